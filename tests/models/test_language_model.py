"""The language model's network: its equations, its steps, its loss, Keras' own fit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import read

from seqkit.errors import ParameterError
from seqkit.models import build_language_model

SIZE, UNITS = 6, 4
CELLS = ("elman", "gru", "lstm", "leaky", "jordan")


def softmax(logits):
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def filled(**options):
    model = build_language_model(SIZE, **{"units": UNITS, "seed": 0, **options})
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.6, variable.shape))
    return model, rng


def loss_of(model, words, targets, states=None, **options):
    states = model.first_states(len(words)) if states is None else states
    outputs, _ = model.read(tf.constant(words), states)
    return model.losses(tf.reshape(outputs, [-1, outputs.shape[-1]]), tf.constant(targets.ravel()), **options)


@pytest.mark.parametrize(
    "options", [{}, {"word_dim": 3}, {"word_dim": UNITS, "tied": True}, {"word_dim": 3, "tied": True}], ids=str
)
@pytest.mark.parametrize("cell", CELLS[:4])
def test_it_is_its_equations(cell, options):
    model, rng = filled(cell=cell, **options)
    words = rng.integers(0, SIZE, (3, 5))
    table = np.eye(SIZE) if model.table is None else model.table.numpy()
    layer = model.recurrent.directions[0][0]
    hidden = read(cell, [w.numpy() for w in layer.loop.trainable_weights], table[words])
    if model.projection is not None:
        hidden = hidden @ model.projection.numpy()
    expected = softmax(hidden @ model.rows.numpy().T + model.output_bias.numpy())
    np.testing.assert_allclose(model(words), expected, atol=1e-6)
    targets = rng.integers(0, SIZE, (3, 5))
    chosen = np.take_along_axis(expected, targets[..., None], -1).ravel()
    np.testing.assert_allclose(loss_of(model, words, targets), -np.log(chosen), atol=1e-5)


def test_a_jordan_network_feeds_its_distribution_back():
    model, rng = filled(cell="jordan", initial_state="learned")
    words = rng.integers(0, SIZE, (2, 4))
    cell = model.top.cell
    kernel, recurrent, bias, output, output_bias = (
        getattr(cell, name).numpy() for name in ("kernel", "recurrent_kernel", "bias", "output_kernel", "output_bias")
    )
    y = np.repeat(model.first_states(1).numpy(), 2, 0)
    assert np.abs(y).max() > 0.1  # learned
    for t, found in enumerate(np.moveaxis(model(words).numpy(), 1, 0)):
        h = np.tanh(np.eye(SIZE)[words[:, t]] @ kernel + y @ recurrent + bias)
        y = softmax(h @ output + output_bias)
        np.testing.assert_allclose(found, y, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_stepping_and_reading_on_are_reading_at_once(cell, layers):
    model, rng = filled(cell=cell, layers=layers, word_dim=3, initial_state="learned")
    words = tf.constant(rng.integers(0, SIZE, (3, 6)), tf.int32)
    whole = tf.math.log(model(words))
    states, rows = model.first_states(3), []
    assert states.shape == (3, model.state_size)
    for t in range(2):
        logits, states = model.step(words[:, t], states)
        rows.append(tf.nn.log_softmax(logits))
    for part in (words[:, 2:5], words[:, 5:]):
        outputs, states = model.read(part, states)
        rows.extend(tf.unstack(tf.nn.log_softmax(model.logits(outputs)), axis=1))
    np.testing.assert_allclose(tf.stack(rows, 1), whole, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"cell": "lstm", "word_dim": 3}, {"cell": "jordan"}, {"cell": "gru", "word_dim": 3, "tied": True}],
    ids=str,
)
def test_gradients_are_those_of_finite_differences(options):
    model, rng = filled(**options)
    words, targets = rng.integers(0, SIZE, (2, 3)), rng.integers(0, SIZE, (2, 3))
    weights = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loss_of(model, words, targets))
    found = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, weights)]
    for variable, gradient in zip(weights, found, strict=True):
        value = variable.numpy()
        for place in [tuple(rng.integers(0, n) for n in value.shape) for _ in range(4)]:
            sides = []
            for change in (1e-2, -1e-2):
                moved = value.copy()
                moved[place] += change
                variable.assign(moved)
                sides.append(float(tf.reduce_sum(loss_of(model, words, targets))))
            variable.assign(value)
            np.testing.assert_allclose(gradient[place], (sides[0] - sides[1]) / 2e-2, atol=3e-3)


def test_keras_fit_learns_and_its_loss_leaves_padding_out(tmp_path):
    model = build_language_model(SIZE, units=16, seed=0)
    model.compile(keras.optimizers.Adam(0.05))
    words = np.tile([[0, 2, 3, 4, 5], [0, 3, 0, 0, 0]], (32, 1))
    following = np.tile([[2, 3, 4, 5, 0], [3, 0, 0, 0, 0]], (32, 1))
    model.fit(words, following, batch_size=64, epochs=60, verbose=0)  # all at once, so that the order is nothing
    # Either text is as likely as the other, and nothing else is unsure: log 2 at one of 5 and of 2 places.
    assert abs(model.evaluate(words, following, verbose=0) - 2 * np.log(2) / 7) < 0.02
    weighted = model.evaluate(words, following, sample_weight=np.tile([1.0, 0.0], 32), verbose=0)
    assert abs(weighted - np.log(2) / 7) < 0.02
    np.testing.assert_allclose(model.predict(words[:1], verbose=0)[0, 0, [2, 3]], 0.5, atol=0.05)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(words), model(words), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lstmm"}, "cell='lstmm' is not known"),
        ({"units": 0}, "units=0 must be an integer of at least 1"),
        ({"word_dim": 0}, "word_dim=0 must be an integer of at least 1"),
        ({"tied": True}, "tied=True shares the word vectors.*needs word_dim="),
        ({"tied": True, "word_dim": 3, "cell": "jordan"}, "a cell other than 'jordan'"),
        ({"dropout": 1.0}, r"dropout=1.0 must be a number in \[0, 1\)"),
        ({"initial_state": "ones"}, "initial_state='ones' is not known"),
    ],
)
def test_parameters_that_cannot_be(options, message):
    with pytest.raises(ParameterError, match=message):
        build_language_model(SIZE, **options)


def test_dropout_is_active_in_training_only():
    model, rng = filled(word_dim=3, layers=2, dropout=0.5, recurrent_dropout=0.3)
    words = rng.integers(0, SIZE, (3, 5))
    np.testing.assert_array_equal(model(words), model(words))
    assert np.abs(model(words, training=True) - model(words)).max() > 0.01
