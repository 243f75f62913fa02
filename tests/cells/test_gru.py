"""GRUCell against NumPy written from its equations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import numeric_gradients, read, relu

from seqkit.cells.gru import GRUCell


def make(activation="tanh"):
    layer = keras.layers.RNN(GRUCell(4, activation=activation, dtype="float64"), return_sequences=True, dtype="float64")
    layer.build((None, None, 3))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(0, 0.7, w.shape) for w in layer.weights])
    return layer, rng


@pytest.mark.parametrize(("activation", "g"), [("tanh", np.tanh), ("relu", relu)])
def test_outputs_follow_the_equations(activation, g):
    layer, rng = make(activation)
    x, h0 = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 4))
    np.testing.assert_allclose(layer(x), read("gru", layer.get_weights(), x, g=g), atol=1e-12)
    given = read("gru", layer.get_weights(), x, state=[h0], g=g)
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
    expected = numeric_gradients(lambda: (read("gru", arrays[:3], x, state=[h0]) * target).sum(), arrays)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_an_update_gate_of_one_keeps_the_state():
    layer, rng = make()
    kernel, recurrent, bias = layer.get_weights()
    bias[0, :4] = 100.0
    layer.set_weights([kernel, recurrent, bias])
    h0 = rng.normal(size=(2, 4))
    out = layer(rng.normal(size=(2, 7, 3)), initial_state=h0)
    np.testing.assert_allclose(out[:, -1], h0, atol=1e-12)
