"""LSTMCell, stepped and scanned, against NumPy written from its equations and against each other."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import numeric_gradients, read, relu

from seqkit.cells.lstm import LSTMCell, _scan

UNITS, DIM = 4, 3


def make(dtype="float64", **options):
    layer = keras.layers.RNN(LSTMCell(UNITS, dtype=dtype, **options), return_sequences=True, dtype=dtype)
    layer.build((None, None, DIM))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(0, 0.7, w.shape) for w in layer.weights])
    return layer, rng


def scan(cell, x, state):
    """Batch first, as the loop has it."""
    return tf.transpose(cell.scan(tf.transpose(x, [1, 0, 2]), state), [1, 0, 2])


@pytest.mark.parametrize(("activation", "g"), [("tanh", np.tanh), ("relu", relu)])
def test_stepping_follows_the_equations(activation, g):
    layer, rng = make(activation=activation)
    x = rng.normal(size=(2, 5, DIM))
    state = [rng.normal(size=(2, UNITS)) for _ in range(2)]
    np.testing.assert_allclose(layer(x), read("lstm", layer.get_weights(), x, g=g), atol=1e-12)
    given = read("lstm", layer.get_weights(), x, state=state, g=g)
    np.testing.assert_allclose(layer(x, initial_state=state), given, atol=1e-12)


def test_gradients_of_stepping_are_those_of_finite_differences():
    layer, rng = make()
    x, target = rng.normal(size=(2, 4, DIM)), rng.normal(size=(2, 4, UNITS))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * target)
    found = tape.gradient(loss, [v.value for v in layer.trainable_variables])
    arrays = layer.get_weights()
    expected = numeric_gradients(lambda: (read("lstm", arrays, x) * target).sum(), arrays)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_forget_bias_is_one_at_the_start():
    cell = LSTMCell(2)
    cell.build((None, 3))
    np.testing.assert_array_equal(cell.bias, [0, 0, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize("graph", [False, True])
def test_scan_equals_the_equations_in_values_and_gradients(graph):
    layer, rng = make("float32")
    cell = layer.cell
    x, target = rng.normal(size=(3, 6, DIM)), rng.normal(size=(3, 6, UNITS))
    h0, c0 = rng.normal(size=(2, 3, UNITS))

    def run(x, h0, c0):
        with tf.GradientTape() as tape:
            tape.watch([x, h0, c0])
            outputs = scan(cell, x, [h0, c0])
            loss = tf.reduce_sum(outputs * tf.constant(target, tf.float32))
        return outputs, tape.gradient(loss, [*(v.value for v in layer.trainable_variables), x, h0, c0])

    if graph:
        open_state = tf.TensorSpec([None, UNITS], tf.float32)
        run = tf.function(run, input_signature=[tf.TensorSpec([None, None, DIM], tf.float32), open_state, open_state])
    outputs, found = run(*(tf.constant(a, tf.float32) for a in (x, h0, c0)))
    arrays = [*(w.astype(np.float64) for w in layer.get_weights()), x, h0, c0]
    np.testing.assert_allclose(outputs, read("lstm", arrays[:3], x, state=[h0, c0]), atol=1e-6)
    expected = numeric_gradients(lambda: (read("lstm", arrays[:3], x, state=[h0, c0]) * target).sum(), arrays)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_scan_equals_the_keras_loop_in_values_and_gradients():
    layer, rng = make("float32")
    x = tf.constant(rng.normal(size=(5, 9, DIM)), tf.float32)
    state = [tf.constant(rng.normal(size=(5, UNITS)), tf.float32) for _ in range(2)]
    results = []
    for run in (lambda: layer(x, initial_state=state), lambda: scan(layer.cell, x, state)):
        with tf.GradientTape() as tape:
            tape.watch([x, *state])
            outputs = run()
            loss = tf.reduce_sum(outputs * tf.cos(outputs * 7.0))
        results.append([outputs, *tape.gradient(loss, [*(v.value for v in layer.trainable_variables), x, *state])])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)


def test_scan_with_a_mask_equals_steps_that_see_the_state_through_it():
    layer, rng = make("float32")
    cell = layer.cell
    x = tf.constant(rng.normal(size=(3, 6, DIM)), tf.float32)
    h0, c0 = (tf.constant(rng.normal(size=(3, UNITS)), tf.float32) for _ in range(2))
    mask = tf.constant(rng.choice([0.0, 2.0], size=(3, UNITS)), tf.float32)

    def stepped():
        h, c, outputs = h0, c0, []
        for t in range(x.shape[1]):
            h, (_, c) = cell(x[:, t], [h * mask, c])
            outputs.append(h)
        return tf.stack(outputs, 1)

    def scanned():
        projected = cell.project(tf.transpose(x, [1, 0, 2]))
        hiddens = _scan(projected, cell._projected_kernel(), h0, c0, mask)
        return tf.transpose(hiddens, [1, 0, 2])

    results = []
    for run in (stepped, scanned):
        with tf.GradientTape() as tape:
            tape.watch([x, h0, c0])
            outputs = run()
            loss = tf.reduce_sum(outputs * tf.cos(outputs * 7.0))
        results.append([outputs, *tape.gradient(loss, [*(v.value for v in layer.trainable_variables), x, h0, c0])])
    assert np.abs(results[0][0] - scan(cell, x, [h0, c0])).max() > 0.01  # the mask does something
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)


def test_scan_draws_one_recurrent_mask_for_all_steps_of_a_sequence():
    """With a diagonal U every unit lives alone, so its course shows its own factor: 0 or 1 / (1 - rate), throughout."""
    layer, rng = make("float32", recurrent_dropout=0.5, seed=3)
    kernel, _, bias = layer.get_weights()
    layer.set_weights([kernel, np.concatenate([np.diag(rng.normal(1, 0.3, UNITS)) for _ in range(4)], 1), bias])
    x = rng.normal(size=(6, 5, DIM))
    inputs = tf.constant(x.transpose(1, 0, 2), tf.float32)
    state = [tf.zeros((6, UNITS))] * 2
    trained = layer.cell.scan(inputs, state, training=True).numpy().transpose(1, 0, 2)
    dropped, kept = (read("lstm", layer.get_weights(), x, mask=mask) for mask in (0.0, 2.0))
    is_dropped = np.isclose(trained, dropped, atol=1e-5).all(1)
    is_kept = np.isclose(trained, kept, atol=1e-5).all(1)
    assert (is_dropped ^ is_kept).all()
    assert 0 < is_dropped.sum() < is_dropped.size
    assert len({tuple(row) for row in is_dropped}) > 1  # rows have masks of their own
    predicted = layer.cell.scan(inputs, state).numpy().transpose(1, 0, 2)
    np.testing.assert_allclose(predicted, read("lstm", layer.get_weights(), x), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"use_bias": False},
        {"dropout": 0.1},
        {"dtype": "float64"},
        {"dtype": "mixed_bfloat16"},
    ],
)
def test_scan_declines_what_it_does_not_compute(options):
    assert LSTMCell(2).can_scan
    assert not LSTMCell(2, **options).can_scan
