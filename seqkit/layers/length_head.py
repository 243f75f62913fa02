"""The distribution of how long a sequence will be."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

_LONGEST = 1e6  # items; more are never drawn
_LEAST_SCALE = 0.02  # to begin with, where all sequences have one length


@keras.saving.register_keras_serializable("seqkit")
class LengthHead(keras.layers.Layer):
    """Length given a context: the logarithm of the length is logistic, rounded to whole lengths of 1 and more.

    ``P(n) = F(log(n + ½)) - F(log(n - ½))``,  ``F(x) = σ((x - μ) / s)``,  ``μ = c w + b``,  and ``P(1) = F(log 1½)``.

    ``w`` is ``kernel`` [dim, 1], ``b`` is ``bias`` [1], ``log s`` is ``log_scale`` [1]; ``c`` is the context.

    Args:
        dim: Size of the context; 0: all sequences have one distribution.
        seed: Seed of the initial weights, or None.
    """

    def __init__(self, dim: int, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.seed = dim, seed

    def build(self, input_shape):
        """Make the weights."""
        if self.dim:
            start = keras.initializers.RandomNormal(0.0, 0.01, seed=self.seed)
            self.kernel = self.add_weight(shape=(self.dim, 1), initializer=start, name="kernel")
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")
        self.log_scale = self.add_weight(shape=(1,), initializer="zeros", name="log_scale")
        super().build(input_shape)

    def expect(self, lengths) -> None:
        """Begin with the lengths of some sequences, an array of whole numbers."""
        logs = np.log(np.maximum(lengths, 1))
        self.bias.assign([logs.mean()])
        self.log_scale.assign([np.log(max(logs.std() * np.sqrt(3) / np.pi, _LEAST_SCALE))])

    def _center(self, context):
        """Return μ, float32 [rows]."""
        center = tf.cast(self.bias, tf.float32)
        if self.dim:
            center += tf.linalg.matmul(tf.cast(context, tf.float32), tf.cast(self.kernel, tf.float32))[:, 0]
        return tf.broadcast_to(center, tf.shape(context)[:1])

    def losses(self, lengths, context):
        """Return ``-log P(lengths)``, float32 [rows].

        Args:
            lengths: Whole numbers of at least 1, [rows].
            context: [rows, dim].
        """
        lengths, center = tf.cast(lengths, tf.float32), self._center(context)
        scale = tf.exp(tf.cast(self.log_scale, tf.float32))
        above = (tf.math.log(lengths + 0.5) - center) / scale
        below = (tf.math.log(tf.maximum(lengths - 0.5, 0.5)) - center) / scale
        # σ(a) - σ(b) = σ(a) σ(-b) (1 - exp(b - a)), which loses nothing where both are nearly 0 or 1.
        between = tf.math.log_sigmoid(-below) + tf.math.log1p(-tf.exp(below - above))
        return -tf.math.log_sigmoid(above) - tf.where(lengths > 1, between, 0.0)

    def draw(self, context, chances, temperature):
        """Draw lengths, int32 [rows].

        Args:
            context: [rows, dim].
            chances: Numbers in [0, 1), float32 [rows].
            temperature: float32 [rows]; ``s`` is multiplied by it. 0: the median.
        """
        spread = tf.exp(tf.cast(self.log_scale, tf.float32)) * temperature
        odds = tf.math.log(tf.maximum(chances, 2.0**-25)) - tf.math.log1p(-chances)
        logs = tf.minimum(self._center(context) + spread * odds, np.log(_LONGEST))
        return tf.maximum(tf.cast(tf.floor(tf.exp(logs) + 0.5), tf.int32), 1)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), "dim": self.dim, "seed": self.seed}
