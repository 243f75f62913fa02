"""Drawing one token of a distribution, row by row: what a row draws depends on its own seed and step alone."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def uniform(seeds: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Return one number in [0, 1) for each seed, the same for the same seed and step whatever stands in other rows.

    It is the step-th output of SplitMix64 begun with the seed, its first 24 bits.

    Args:
        seeds: int64 tensor.
        step: Integer tensor of a shape that goes with it.

    Reference: G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """

    def constant(value):
        return tf.constant(value, tf.uint64)

    def shifted(bits, by):
        return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, constant(by)))

    bits = tf.bitcast(seeds, tf.uint64) + tf.cast(step + 1, tf.uint64) * constant(0x9E3779B97F4A7C15)
    bits = shifted(bits, 30) * constant(0xBF58476D1CE4E5B9)
    bits = shifted(bits, 27) * constant(0x94D049BB133111EB)
    bits = tf.bitwise.right_shift(shifted(bits, 31), constant(40))
    return tf.cast(tf.cast(bits, tf.int32), tf.float32) * 2.0**-24


def sample(logits: tf.Tensor, chance: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor):
    """Draw one id of each row; see `sampler`."""
    return sampler(temperature, top_k, top_p)(logits, chance)


def sampler(temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return a function that draws one id of each row.

    What is the same at every step is made when this is called: before the loop, where the steps are in one.

    Args:
        temperature: float32 [rows]; the logits are divided by it. 0: the most probable id.
        top_k: int32 [rows]; only so many of the most probable ids are drawn from. 0: all.
        top_p: float32 [rows]; only the most probable ids that together reach this probability are drawn from (nucleus
            sampling, Holtzman et al. 2020). 1: all.

    Returns:
        A function from logits, float32 [rows, ids], and chances, float32 [rows] in [0, 1), see `uniform`, to ids,
        int32 [rows].
    """
    warm = temperature > 0
    divisor = tf.where(warm, temperature, 1.0)[:, None]
    limited = tf.reduce_any((top_k > 0) | (top_p < 1.0))

    def likely(shares):
        size = tf.shape(shares)[1]
        values, ids = tf.math.top_k(shares, size)
        before, ranks = tf.cumsum(values, -1, exclusive=True), tf.range(size)[None]
        kept = (ranks < tf.where(top_k > 0, top_k, size)[:, None]) & ((before < top_p[:, None]) | (ranks == 0))
        # Back in the order of the ids, so that a row draws the same whether or not another one is limited.
        return tf.where(tf.gather(kept, tf.argsort(ids), batch_dims=1), shares, 0.0)

    def draw(logits, chance):
        shares = tf.nn.softmax(logits / divisor)
        shares = tf.cond(limited, lambda: likely(shares), lambda: shares)
        return tf.where(warm, _place(shares, chance), tf.argmax(logits, -1, tf.int32))

    return draw


def _place(shares, chance):
    """Return where the cumulated shares pass a chance of their sum; always one whose share is not 0.

    A chance is at most 1 - 2^-24, whose product with a float32 sum is rounded to less than the sum: the place is one at
    which the sum grows.
    """
    sums = tf.cumsum(shares, -1)
    return tf.reduce_sum(tf.cast(sums <= chance[:, None] * sums[:, -1:], tf.int32), -1)
