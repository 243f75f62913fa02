"""The softmax over a vocabulary, whole or from a sample of it."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from seqkit.precision import matmul


def cross_entropy(hidden: tf.Tensor, rows: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return ``-log p`` of the targets, with ``p = softmax(hidden rowsᵀ + bias)``, float32 [positions].

    As ``log Σ exp(z) = max z - log max p``, and as all that the gradients need besides p is a row for each position, no
    array of [positions, words] is made but the scores z and p: a fifth less time in training than from TensorFlow's
    loss of scores.

    Args:
        hidden: Tensor [positions, dim].
        rows: Tensor [words, dim], the kernel with a word in each row.
        bias: Tensor [words].
        targets: Integer tensor [positions].
    """

    @tf.custom_gradient
    def losses(hidden, rows, bias):
        scores = tf.cast(matmul(hidden, rows, transpose_b=True) + bias, tf.float32)
        shares = tf.nn.softmax(scores)
        sums = tf.reduce_max(scores, -1) - tf.math.log(tf.reduce_max(shares, -1))

        def gradients(each):
            # of a score: each · (p - 1 at the target), whose two parts are multiplied by themselves
            p, each = tf.cast(shares, hidden.dtype), tf.cast(each, hidden.dtype)[:, None]
            inputs = each * hidden
            to_hidden = each * (matmul(p, rows) - tf.gather(rows, targets))
            to_rows = matmul(p, inputs, transpose_a=True)
            to_bias = tf.matmul(p, each, transpose_a=True)
            places = targets[:, None]
            return (
                to_hidden,
                tf.tensor_scatter_nd_sub(to_rows, places, inputs),
                tf.tensor_scatter_nd_sub(to_bias, places, each)[:, 0],
            )

        return sums - tf.gather(scores, targets, batch_dims=1), gradients

    return losses(hidden, tf.cast(rows, hidden.dtype), tf.cast(bias, hidden.dtype))


def sampled_cross_entropy(
    hidden: tf.Tensor, rows: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor, noise: tf.Tensor, log_expected: tf.Tensor
) -> tf.Tensor:
    """Estimate `cross_entropy` from a sample of the words, for training where there are many.

    Each noise word stands for those that were not drawn: its score is lowered by the log of how often it is expected in
    the sample, so that the sum over the sample estimates the sum over all words (Jean et al. 2015, eq. 8).

    Args:
        hidden: Tensor [positions, dim].
        rows: Tensor [words, dim], the kernel with a word in each row.
        bias: Tensor [words].
        targets: Integer tensor [positions].
        noise: Integer tensor [samples]: words drawn from a distribution q, with replacement.
        log_expected: Float tensor [words], log(samples · q).

    Reference: S. Jean, K. Cho, R. Memisevic and Y. Bengio, "On using very large target vocabulary for neural machine
    translation", ACL 2015.
    """
    rows, bias = tf.cast(rows, hidden.dtype), tf.cast(bias, hidden.dtype)
    right = tf.reduce_sum(hidden * tf.gather(rows, targets), -1) + tf.gather(bias, targets)
    others = matmul(hidden, tf.gather(rows, noise), transpose_b=True) + tf.gather(bias, noise)
    right, others = tf.cast(right, tf.float32), tf.cast(others, tf.float32) - tf.gather(log_expected, noise)
    others = tf.where(noise == targets[:, None], -1e30, others)
    return tf.reduce_logsumexp(tf.concat([right[:, None], others], -1), -1) - right


def unigram_shares(words: np.ndarray, size: int, ends: int) -> np.ndarray:
    """Return how often each word id occurs, an array [size] that adds up to 1; no word is impossible.

    Parameters
    ----------
    words : ndarray
        Word ids of a corpus.
    size : int
        Number of word ids.
    ends : int
        How often the end, id 0, is to be expected beside them.
    """
    counts = np.bincount(words, minlength=size).astype(float)
    counts[0] = ends
    counts = np.maximum(counts, 0.1)
    return counts / counts.sum()


def noise(shares: np.ndarray, samples: int, seed: int) -> tuple[Callable[[], tf.Tensor], tf.Tensor]:
    """Return a function that draws words by their shares q, and log(samples · q), see `sampled_cross_entropy`."""
    below = tf.constant(np.cumsum(shares)[:-1], tf.float32)
    generator = keras.random.SeedGenerator(seed)

    def draw():
        return tf.searchsorted(below, keras.random.uniform((samples,), seed=generator), side="right")

    return draw, tf.constant(np.log(samples * shares), tf.float32)
