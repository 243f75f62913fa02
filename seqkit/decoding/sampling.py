"""Drawing one token of a distribution, row by row: what a row draws depends on its own seed and step alone."""

from __future__ import annotations

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
    """Draw one id of each row.

    Args:
        logits: float32 [rows, ids].
        chance: float32 [rows], in [0, 1), see `uniform`.
        temperature: float32 [rows]; the logits are divided by it. 0: the most probable id.
        top_k: int32 [rows]; only so many of the most probable ids are drawn from. 0: all.
        top_p: float32 [rows]; only the most probable ids that together reach this probability are drawn from (nucleus
            sampling, Holtzman et al. 2020). 1: all.

    Returns:
        int32 [rows].
    """
    best = tf.argmax(logits, -1, tf.int32)
    scaled = logits / tf.where(temperature > 0, temperature, 1.0)[:, None]

    shares = tf.nn.softmax(scaled)

    def likely():
        size = tf.shape(logits)[1]
        values, ids = tf.math.top_k(shares, size)
        before, ranks = tf.cumsum(values, -1, exclusive=True), tf.range(size)[None]
        kept = (ranks < tf.where(top_k > 0, top_k, size)[:, None]) & ((before < top_p[:, None]) | (ranks == 0))
        # Back in the order of the ids, so that a row draws the same whether or not another one is limited.
        return tf.where(tf.gather(kept, tf.argsort(ids), batch_dims=1), shares, 0.0)

    limited = tf.reduce_any((top_k > 0) | (top_p < 1.0))
    drawn = _place(tf.cond(limited, likely, lambda: shares), chance)
    return tf.where(temperature > 0, drawn, best)


def _place(shares, chance):
    """Return where the cumulated shares pass a chance of their sum; always one whose share is not 0."""
    sums = tf.cumsum(shares, -1)
    place = tf.reduce_sum(tf.cast(sums <= chance[:, None] * sums[:, -1:], tf.int32), -1)
    # Rounding may bring the chance up to the sum itself.
    last = tf.reduce_max(tf.where(shares > 0, tf.range(tf.shape(shares)[1])[None], 0), -1)
    return tf.minimum(place, last)
