"""From the vectors of all steps to one vector of the sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from seqkit.errors import ParameterError
from seqkit.precision import matmul

POOLINGS = ("last", "mean", "max", "attention")


class Running(NamedTuple):
    """A pooling as a reading goes on: ``function(pooled so far, output)``, which begins with ``start``."""

    function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    start: float


_RUNNING = {
    "last": Running(lambda _, output: output, 0.0),
    "mean": Running(tf.add, 0.0),  # and divided at the end
    "max": Running(tf.maximum, -3e38),
}


@keras.saving.register_keras_serializable("seqkit")
class Pooling(keras.layers.Layer):
    """Pool right-padded sequences over time; padding has no part in it, and a sequence without steps gives zeros.

    | kind | result |
    |---|---|
    | `"last"` | the state when all has been read: the forward half at the last step, the backward half at the first |
    | `"mean"`, `"max"` | over the steps, feature by feature |
    | `"attention"` | Σ_t a_t h_t with a = softmax_t(v · tanh(h_t W + b)) (Yang et al. 2016) |

    Args:
        kind: One of the above.
        bidirectional: Whether the features are those of two directions, forward first; for `"last"`.
        units: Size of tanh(h_t W + b).
        seed: Seed of the initial weights, or None.

    Reference: Z. Yang et al., "Hierarchical attention networks for document classification", NAACL 2016, eq. 5 to 7.
    """

    def __init__(
        self, kind: str = "max", bidirectional: bool = False, units: int = 100, seed: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        if kind not in POOLINGS:
            raise ParameterError(f"pooling={kind!r} is not known. Expected one of: {', '.join(map(repr, POOLINGS))}.")
        self.config = dict(kind=kind, bidirectional=bidirectional, units=units, seed=seed)

    def build(self, input_shape):
        """Make the weights of attention."""
        if self.config["kind"] == "attention":
            seed, units = self.config["seed"], self.config["units"]
            starts = [keras.initializers.GlorotUniform(None if seed is None else seed + k) for k in range(2)]
            self.kernel = self.add_weight(shape=(input_shape[-1], units), initializer=starts[0], name="kernel")
            self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")
            self.query = self.add_weight(shape=(units, 1), initializer=starts[1], name="query")
        super().build(input_shape)

    def call(self, features, lengths):
        """Return [batch, dim].

        Args:
            features: Tensor [batch, time, dim].
            lengths: Integer tensor [batch].
        """
        kind = self.config["kind"]
        if kind == "last":
            return self._last(features, lengths)
        if kind == "attention":
            return tf.einsum("bt,btd->bd", tf.cast(self.weights_of(features, lengths), features.dtype), features)
        real = tf.sequence_mask(lengths, tf.shape(features)[1])[..., None]
        if kind == "mean":
            count = tf.cast(tf.maximum(lengths, 1), features.dtype)
            return tf.reduce_sum(tf.where(real, features, 0), 1) / count[:, None]
        highest = tf.reduce_max(tf.where(real, features, features.dtype.min), 1)
        return tf.where(lengths[:, None] > 0, highest, 0)

    @property
    def running(self) -> Running | None:
        """How outputs are joined one after the other, in the order of each direction; None where that can't be."""
        return _RUNNING.get(self.config["kind"])

    def finish_running(self, pooled, lengths):
        """Return what `call` does from what ``running`` made of all outputs [batch, dim]; no length may be 0."""
        return pooled / tf.cast(lengths, pooled.dtype)[:, None] if self.config["kind"] == "mean" else pooled

    def weights_of(self, features, lengths):
        """Return the attention a, float32 [batch, time], 0 at padding."""
        hidden = tf.tanh(matmul(features, tf.cast(self.kernel, features.dtype)) + tf.cast(self.bias, features.dtype))
        scores = tf.cast(tf.matmul(hidden, tf.cast(self.query, features.dtype))[..., 0], tf.float32)
        real = tf.sequence_mask(lengths, tf.shape(features)[1])
        # Of finite size, so that a row of padding alone does not become 0 / 0.
        return tf.where(real, tf.nn.softmax(tf.where(real, scores, -1e30)), 0.0)

    def _last(self, features, lengths):
        last = tf.gather(features, tf.maximum(lengths - 1, 0), batch_dims=1)
        if self.config["bidirectional"]:
            half = features.shape[-1] // 2
            last = tf.concat([last[:, :half], features[:, 0, half:]], -1)
        return tf.where(lengths[:, None] > 0, last, 0)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}
