"""ElmanCell against NumPy written from its equation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import numeric_gradients, read, relu

from seqkit.cells.elman import ElmanCell


def make(activation="tanh"):
    layer = keras.layers.RNN(
        ElmanCell(4, activation=activation, dtype="float64"), return_sequences=True, dtype="float64"
    )
    layer.build((None, None, 3))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(0, 0.7, w.shape) for w in layer.weights])
    return layer, rng


@pytest.mark.parametrize(("activation", "g"), [("tanh", np.tanh), ("relu", relu), ("linear", lambda x: x)])
def test_outputs_follow_the_equation(activation, g):
    layer, rng = make(activation)
    x, h0 = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 4))
    np.testing.assert_allclose(layer(x), read("elman", layer.get_weights(), x, g=g), atol=1e-12)
    given = read("elman", layer.get_weights(), x, state=[h0], g=g)
    np.testing.assert_allclose(layer(x, initial_state=h0), given, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    layer, rng = make()
    x, h0, target = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4)), rng.normal(size=(2, 4, 4))
    inputs, state = tf.constant(x), tf.constant(h0)
    with tf.GradientTape() as tape:
        tape.watch([inputs, state])
        loss = tf.reduce_sum(layer(inputs, initial_state=state) * target)
    found = tape.gradient(loss, [*(v.value for v in layer.trainable_variables), inputs, state])
    arrays = [*layer.get_weights(), x, h0]
    expected = numeric_gradients(lambda: (read("elman", arrays[:3], x, state=[h0]) * target).sum(), arrays)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_the_hidden_state_is_fed_back_whole():
    """What stood at the first step is seen at the last, through the state alone."""
    layer, rng = make()
    x = rng.normal(size=(2, 6, 3))
    x[1, 1:] = x[0, 1:]
    with_state = layer(x).numpy()
    assert np.abs(with_state[0, -1] - with_state[1, -1]).max() > 1e-4
    layer.cell.recurrent_kernel.assign(np.zeros((4, 4)))
    without = layer(x).numpy()
    np.testing.assert_array_equal(without[0, 1:], without[1, 1:])
