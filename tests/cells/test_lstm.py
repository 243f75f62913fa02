"""LSTMCell against NumPy written from its equations; see test_scan.py for whole sequences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import numeric_gradients, read, relu

from seqkit.cells.lstm import LSTMCell

UNITS, DIM = 4, 3


def make(dtype="float64", **options):
    layer = keras.layers.RNN(LSTMCell(UNITS, dtype=dtype, **options), return_sequences=True, dtype=dtype)
    layer.build((None, None, DIM))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(0, 0.7, w.shape) for w in layer.weights])
    return layer, rng


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
