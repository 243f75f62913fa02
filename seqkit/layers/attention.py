"""Attention: what a step looks at of what was read before."""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf

from seqkit.cells.scan import product
from seqkit.errors import ParameterError
from seqkit.precision import factor, matmul

SCORES = ("additive", "general", "dot", "local")
_NEVER = -1e30


class Memory(NamedTuple):
    """What is attended to.

    Args:
        keys: What queries are compared with, [rows, places, units].
        values: What is read, [rows, places, dim].
        lengths: How many places of each row are real, int32 [rows].
    """

    keys: tf.Tensor
    values: tf.Tensor
    lengths: tf.Tensor


@keras.saving.register_keras_serializable("seqkit")
class Attention(keras.layers.Layer):
    """Look back at a memory from each output of a recurrent network, and join what is found to it.

    ``a_ts = softmax_s(score(h_t, m_s))``,  ``c_t = Σ_s a_ts m_s``,  ``h̃_t = tanh(W [c_t; h_t])``

    with one of the scores

    ``dot``:       ``h_t · m_s``
    ``general``:   ``h_t · A m_s``
    ``additive``:  ``v · tanh(Q h_t + A m_s + b)``
    ``local``:     that of ``general``, among the places at most D from ``p_t``, times ``exp(-2 (s - p_t)² / D²)``,
    where ``p_t = S σ(v · tanh(Q h_t))`` and S is the length of the memory.

    | symbol | parameter | shape |
    |---|---|---|
    | A | `key_kernel` | (dim, units) |
    | Q | `query_kernel` | (units, units) |
    | b | `bias` | (units,) |
    | v | `score_kernel` | (units,) |
    | W | `kernel` | (dim + units, units) |
    | D | `window` | |

    A memory without places is looked at as one of a place that is 0.

    Args:
        units: Size of the outputs h and h̃.
        score: One of the names above. ``dot`` needs memories of that size too.
        window: D, of ``local``.
        seed: Seed of the initial weights, or None.

    References: D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly learning to align and
    translate", ICLR 2015 (``additive``; here it is asked by h_t, not by h_{t-1}); M.-T. Luong, H. Pham and C. Manning,
    "Effective approaches to attention-based neural machine translation", EMNLP 2015, eq. 5 to 10 (the others).
    """

    def __init__(self, units: int, score: str = "general", window: int = 10, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if score not in SCORES:
            raise ParameterError(f"score={score!r} is not known. Expected one of: {', '.join(map(repr, SCORES))}.")
        self.units, self.score, self.window, self.seed = units, score, window, seed

    def build(self, memory_shape):
        """Make the weights for memories of shape (rows, places, dim)."""
        dim, units = memory_shape[-1], self.units
        if self.score == "dot" and dim != units:
            raise ParameterError(f"score='dot' needs a memory of the size of the outputs, {units}, got {dim}.")

        def weight(name, shape, part):
            start = keras.initializers.GlorotUniform(None if self.seed is None else self.seed + part)
            return self.add_weight(shape=shape, initializer=start, name=name)

        if self.score != "dot":
            self.key_kernel = weight("key_kernel", (dim, units), 0)
        if self.score in ("additive", "local"):
            self.query_kernel = weight("query_kernel", (units, units), 1)
            self.score_kernel = weight("score_kernel", (units, 1), 2)
        if self.score == "additive":
            self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")
        self.kernel = weight("kernel", (dim + units, units), 3)
        super().build(memory_shape)

    def remember(self, values, lengths) -> Memory:
        """Return the memory that is made of values [rows, places, dim]; what stands after ``lengths`` is not read."""
        keys = values
        if self.score != "dot":
            keys = product(values, tf.cast(self.key_kernel, values.dtype))
        if self.score == "additive":
            keys += tf.cast(self.bias, keys.dtype)
        real = tf.sequence_mask(lengths, tf.shape(values)[1])[..., None]
        return Memory(tf.where(real, keys, 0), tf.where(real, values, 0), tf.cast(lengths, tf.int32))

    def looker(self):
        """Return `call` as a function that has read the weights: before the loop, where its calls are in one."""
        kernels = {
            name: factor(tf.cast(getattr(self, name), self.compute_dtype))
            for name in ("query_kernel", "score_kernel", "kernel")
            if hasattr(self, name)
        }

        def look(queries, memory):
            weights = self._weights(queries, memory, kernels)
            found = matmul(tf.cast(weights, queries.dtype), memory.values)
            return tf.tanh(product(tf.concat([found, queries], -1), kernels["kernel"])), weights

        return look

    def call(self, queries, memory):
        """Return what is found.

        Args:
            queries: Outputs of the network, [rows, steps, units]; what a row asks depends on its own memory alone.
            memory: What `remember` gave.

        Returns:
            ``h̃`` [rows, steps, units], and ``a``, float32 [rows, steps, places], 0 after the end of a memory.
        """
        return self.looker()(queries, memory)

    def _weights(self, queries, memory, kernels):
        places = tf.shape(memory.keys)[1]
        real = tf.sequence_mask(memory.lengths, places)[:, None, :]
        if self.score == "additive":
            asked = product(queries, kernels["query_kernel"])
            joined = tf.tanh(asked[:, :, None] + memory.keys[:, None])
            scores = product(joined, kernels["score_kernel"])[..., 0]
        else:
            scores = matmul(queries, memory.keys, transpose_b=True)
        scores = tf.cast(scores, tf.float32)
        if self.score == "local":
            hidden = tf.tanh(product(queries, kernels["query_kernel"]))
            share = tf.sigmoid(tf.cast(product(hidden, kernels["score_kernel"]), tf.float32))
            center = share * tf.cast(memory.lengths, tf.float32)[:, None, None]
            far = tf.cast(tf.range(places), tf.float32) - center
            real &= tf.abs(far) <= self.window
        weights = tf.nn.softmax(tf.where(real, scores, _NEVER))
        if self.score == "local":
            weights *= tf.exp(-2.0 * tf.square(far / self.window))
        return tf.where(real, weights, 0.0)

    def get_config(self):
        """Return what `from_config` needs."""
        own = {"units": self.units, "score": self.score, "window": self.window, "seed": self.seed}
        return {**super().get_config(), **own}
