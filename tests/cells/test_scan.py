"""Cells that run over a whole sequence, against NumPy written from their equations and against their own steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import STATES, numeric_gradients, read, relu

from seqkit.cells import make_cell
from seqkit.cells.elman import ElmanCell
from seqkit.cells.gru import GRUCell
from seqkit.cells.leaky import LeakyCell
from seqkit.cells.lstm import LSTMCell

UNITS, DIM = 4, 3
CLASSES = {"elman": ElmanCell, "gru": GRUCell, "lstm": LSTMCell, "leaky": LeakyCell}
CELLS = [("elman", "tanh"), ("elman", "relu"), ("gru", "tanh"), ("lstm", "tanh"), ("leaky", "tanh"), ("leaky", "relu")]
NUMPY = {"tanh": np.tanh, "relu": relu}


def make(name, activation="tanh", scale=0.7, **options):
    cell = CLASSES[name](UNITS, activation=activation, **options)
    cell.build((None, DIM))
    rng = np.random.default_rng(0)
    cell.set_weights([rng.normal(0, scale, w.shape) for w in cell.weights])
    return cell, rng


def first_state(name, rng, rows):
    return [rng.normal(size=(rows, UNITS)).astype(np.float32) for _ in range(STATES[name])]


def scan(cell, x, state, training=False):
    """Batch first, as the loop has it."""
    return tf.transpose(cell.scan(tf.transpose(x, [1, 0, 2]), state, training=training)[0], [1, 0, 2])


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("name", "activation"), CELLS)
def test_scan_equals_the_equations_in_values_and_gradients(name, activation, training, graph):
    cell, rng = make(name, activation)
    assert cell.can_scan
    x, target = rng.normal(size=(3, 6, DIM)), rng.normal(size=(3, 6, UNITS))
    state = first_state(name, rng, 3)

    def run(x, state):
        with tf.GradientTape() as tape:
            tape.watch([x, state])
            outputs = scan(cell, x, state, training)
            loss = tf.reduce_sum(outputs * tf.constant(target, tf.float32))
        weights = [v.value for v in cell.trainable_variables]
        return outputs, tape.gradient(loss, [*weights, x, *state])

    if graph:
        open_state = [tf.TensorSpec([None, UNITS], tf.float32)] * len(state)
        run = tf.function(run, input_signature=[tf.TensorSpec([None, None, DIM], tf.float32), open_state])
    outputs, found = run(tf.constant(x, tf.float32), [tf.constant(s) for s in state])
    weights = [w.astype(np.float64) for w in cell.get_weights()]
    arrays = [*weights, x, *(s.astype(np.float64) for s in state)]

    def reference():
        return read(name, weights, x, state=arrays[len(weights) + 1 :], g=NUMPY[activation])

    np.testing.assert_allclose(outputs, reference(), atol=2e-6)
    expected = numeric_gradients(lambda: (reference() * target).sum(), arrays)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-5)


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize(("name", "activation"), CELLS)
def test_scan_equals_the_cells_own_steps_in_values_and_gradients(name, activation, with_mask):
    cell, rng = make(name, activation, scale=0.5, recurrent_dropout=0.5 if with_mask else 0.0)
    x = tf.constant(rng.normal(size=(5, 9, DIM)), tf.float32)
    state = [tf.constant(s) for s in first_state(name, rng, 5)]
    mask = tf.constant(rng.choice([0.0, 2.0], size=(5, UNITS)), tf.float32) if with_mask else None

    def stepped():
        states, outputs = list(state), []
        # Keras' gated cells draw a mask for each gate.
        cell.get_recurrent_dropout_mask = lambda _: mask if name in ("elman", "leaky") else [mask] * 4
        for t in range(x.shape[1]):
            output, states = cell(x[:, t], states, training=with_mask)
            outputs.append(output)
        return tf.stack(outputs, 1), states

    def scanned():
        hiddens, states = cell.scan_with_gradient(cell.project(tf.transpose(x, [1, 0, 2])), state, mask)
        return tf.transpose(hiddens, [1, 0, 2]), states

    results = []
    for run in (stepped, scanned):
        with tf.GradientTape() as tape:
            tape.watch([x, *state])
            outputs, states = run()
            loss = tf.reduce_sum(outputs * tf.cos(outputs * 7.0))
            loss += tf.add_n([tf.reduce_sum(tf.sin(3.0 * last)) for last in states])
        weights = [v.value for v in cell.trainable_variables]
        results.append([outputs, *states, *tape.gradient(loss, [*weights, x, *state])])
    if with_mask:
        assert np.abs(results[0][0] - scan(cell, x, state)).max() > 0.01  # the mask does something
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=5e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("name", "activation"), CELLS)
def test_integers_stand_for_vectors_of_one_1(name, activation, training):
    cell, rng = make(name, activation)
    ids = tf.constant(rng.integers(0, DIM, size=(5, 4)), tf.int32)
    state = first_state(name, rng, 4)
    results = []
    for inputs in (ids, tf.one_hot(ids, DIM)):
        with tf.GradientTape() as tape:
            outputs, _ = cell.scan(inputs, state, training=training)
            loss = tf.reduce_sum(tf.sin(3.0 * outputs))
        gradients = tape.gradient(loss, [v.value for v in cell.trainable_variables])
        results.append([outputs, *map(tf.convert_to_tensor, gradients)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_scan_draws_one_recurrent_mask_for_all_steps_of_a_sequence():
    """With a diagonal U every unit lives alone, so its course shows its own factor: 0 or 1 / (1 - rate), throughout."""
    cell, rng = make("lstm", recurrent_dropout=0.5, seed=3)
    kernel, _, bias = cell.get_weights()
    cell.set_weights([kernel, np.concatenate([np.diag(rng.normal(1, 0.3, UNITS)) for _ in range(4)], 1), bias])
    x = rng.normal(size=(6, 5, DIM))
    inputs = tf.constant(x, tf.float32)
    state = [tf.zeros((6, UNITS))] * 2
    trained = scan(cell, inputs, state, training=True).numpy()
    dropped, kept = (read("lstm", cell.get_weights(), x, mask=mask) for mask in (0.0, 2.0))
    is_dropped = np.isclose(trained, dropped, atol=1e-5).all(1)
    is_kept = np.isclose(trained, kept, atol=1e-5).all(1)
    assert (is_dropped ^ is_kept).all()
    assert 0 < is_dropped.sum() < is_dropped.size
    assert len({tuple(row) for row in is_dropped}) > 1  # rows have masks of their own
    np.testing.assert_allclose(scan(cell, inputs, state), read("lstm", cell.get_weights(), x), atol=1e-5)


@pytest.mark.parametrize("name", ["elman", "gru", "leaky"])
def test_recurrent_dropout_acts_in_training_only(name):
    cell, rng = make(name, recurrent_dropout=0.5, seed=3)
    x = rng.normal(size=(4, 5, DIM)).astype(np.float32)
    state = [tf.zeros((4, UNITS))]
    assert np.abs(scan(cell, x, state, training=True) - scan(cell, x, state)).max() > 0.01
    np.testing.assert_allclose(scan(cell, x, state), read(name, cell.get_weights(), x), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "sigmoid"},
        {"use_bias": False},
        {"dropout": 0.1},
        {"dtype": "float64"},
        {"dtype": "mixed_bfloat16"},
    ],
)
@pytest.mark.parametrize("name", CLASSES)
def test_scan_declines_what_it_does_not_compute(name, options):
    assert CLASSES[name](2).can_scan
    assert not CLASSES[name](2, **options).can_scan


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lstm", {"recurrent_activation": "hard_sigmoid"}),
        ("gru", {"recurrent_activation": "hard_sigmoid"}),
        ("gru", {"reset_after": False}),
        ("gru", {"activation": "relu"}),
        ("lstm", {"activation": "relu"}),
    ],
)
def test_scan_declines_other_gates(name, options):
    assert not CLASSES[name](2, **options).can_scan


def test_cells_without_a_scan_of_their_own():
    assert not hasattr(make_cell("jordan", 2), "can_scan")
    assert isinstance(make_cell("elman", 2), keras.layers.SimpleRNNCell)
