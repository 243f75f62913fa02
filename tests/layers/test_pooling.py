"""Pooling over time: each kind against its definition, on rows of every length."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import ParameterError
from seqkit.layers.pooling import POOLINGS, Pooling

LENGTHS = np.array([4, 1, 3, 0])
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(4, 4, 6)).astype(np.float32)


def make(kind, **options):
    layer = Pooling(kind, units=5, seed=0, **options)
    layer.build((None, None, 6))
    return layer


def expected(kind, rows, layer=None):
    """Pool the real steps [length, 6] of one row."""
    if not len(rows):
        return np.zeros(6)
    if kind == "last":
        return np.concatenate([rows[-1, :3], rows[0, 3:]])
    if kind == "attention":
        kernel, bias, query = (w.numpy() for w in (layer.kernel, layer.bias, layer.query))
        scores = (np.tanh(rows @ kernel + bias) @ query)[:, 0]
        weights = np.exp(scores) / np.exp(scores).sum()
        return weights @ rows
    return getattr(rows, kind)(0)


@pytest.mark.parametrize("kind", POOLINGS)
def test_pools_what_is_real(kind):
    layer = make(kind, bidirectional=True)
    if kind == "attention":
        layer.bias.assign(RNG.normal(size=5))
    found = layer(FEATURES, LENGTHS).numpy()
    for row, values, length in zip(found, FEATURES, LENGTHS, strict=True):
        np.testing.assert_allclose(row, expected(kind, values[:length], layer), atol=1e-6)
    # What stands at padding, and how much of it, has no part.
    real = np.arange(4)[None, :, None] < LENGTHS[:, None, None]
    longer = np.pad(np.where(real, FEATURES, 1e3), [(0, 0), (0, 3), (0, 0)]).astype(np.float32)
    np.testing.assert_allclose(layer(longer, LENGTHS), found, atol=1e-6)


def test_last_of_one_direction():
    np.testing.assert_array_equal(make("last")(FEATURES, LENGTHS)[2], FEATURES[2, 2])


def test_attention_weights_add_up_to_one():
    layer = make("attention")
    weights = layer.weights_of(FEATURES, LENGTHS).numpy()
    np.testing.assert_allclose(weights.sum(1), [1, 1, 1, 0], atol=1e-6)
    assert not weights[np.arange(4) >= LENGTHS[:, None]].any()
    np.testing.assert_allclose(layer(FEATURES, LENGTHS), (weights[..., None] * FEATURES).sum(1), atol=1e-6)


@pytest.mark.parametrize("kind", POOLINGS)
def test_gradients_are_finite_beside_empty_rows(kind):
    layer = make(kind)
    features = tf.Variable(FEATURES)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(features, LENGTHS) ** 2)
    gradient = tf.convert_to_tensor(tape.gradient(total, features)).numpy()
    assert np.isfinite(gradient).all() and gradient[0].any() and not gradient[3].any()


def test_configuration():
    again = Pooling.from_config(make("attention").get_config())
    assert again.config == make("attention").config
    with pytest.raises(ParameterError, match="pooling='sum' is not known"):
        Pooling("sum")
    assert keras.saving.get_registered_object("seqkit>Pooling") is Pooling
