"""The loss of a softmax over a vocabulary against numbers by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from seqkit.layers.softmax import cross_entropy

TARGETS = np.array([3, 0, 3, 6, 1], np.int32)  # a word twice: its rows' gradients add up


def _drawn(scale=1.0):
    rng = np.random.default_rng(0)
    return [(scale * rng.normal(size=shape)).astype(np.float32) for shape in ((5, 4), (7, 4), (7,))]


def _by_numpy(hidden, rows, bias, targets, each):
    """Return losses and the gradients of ``each · losses``, float64."""
    hidden, rows, bias = (np.asarray(v, np.float64) for v in (hidden, rows, bias))
    scores = hidden @ rows.T + bias
    most = scores.max(-1, keepdims=True)
    sums = most + np.log(np.exp(scores - most).sum(-1, keepdims=True))
    to_scores = (np.exp(scores - sums) - np.eye(len(rows))[targets]) * each[:, None]
    losses = sums[:, 0] - scores[np.arange(len(targets)), targets]
    return losses, [to_scores @ rows, to_scores.T @ hidden, to_scores.sum(0)]


@tf.function
def _losses(each, *values):
    with tf.GradientTape() as tape:
        tape.watch(values)
        losses = cross_entropy(*values, TARGETS)
        total = tf.reduce_sum(each * losses)
    return losses, tape.gradient(total, values)


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["even", "almost certain"])
def test_cross_entropy(scale):
    values, each = _drawn(scale), np.array([1.0, 0.5, -2.0, 0.0, 3.0], np.float32)
    losses, gradients = _losses(each, *map(tf.constant, values))
    expected, expected_gradients = _by_numpy(*values, TARGETS, each)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-4 * scale)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * scale)


def test_of_bfloat16():
    values = [tf.cast(v, tf.bfloat16) for v in _drawn()]
    losses, gradients = _losses(np.ones(5, np.float32), *values)
    assert losses.dtype == tf.float32
    expected, expected_gradients = _by_numpy(*(tf.cast(v, tf.float32) for v in values), TARGETS, np.ones(5))
    np.testing.assert_allclose(losses, expected, atol=0.05)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        assert found.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(found, tf.float32), wanted, atol=0.05)


def test_scores_that_are_not_numbers_are_not_hidden():
    hidden, rows, bias = _drawn()
    hidden[1, 2] = np.nan
    losses = cross_entropy(*map(tf.constant, (hidden, rows, bias)), TARGETS).numpy()
    assert np.isnan(losses[1]) and np.isfinite(losses[[0, 2, 3, 4]]).all()
