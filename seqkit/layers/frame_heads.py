"""Distributions over frames: sets of keys, each on or off, or vectors."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.scan import product


class FrameHead(keras.layers.Layer):
    """Base of the heads that give the distribution of a frame.

    Args:
        keys: Number of keys, K.
        seed: Seed of the initial weights, or None.
    """

    def __init__(self, keys: int, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.keys, self.seed = keys, seed

    def _weight(self, name: str, shape: tuple[int, ...], part: int = 0, start=None):
        if start is None:
            start = keras.initializers.GlorotUniform(None if self.seed is None else self.seed + part)
        return self.add_weight(shape=shape, initializer=start, name=name)

    def losses(self, outputs, frames):
        """Return ``-log p`` of frames, float32 [positions].

        Args:
            outputs: What the network says, [positions, dim].
            frames: 0 and 1, [positions, keys].
        """
        raise NotImplementedError

    def draw(self, outputs, chances, temperature):
        """Draw frames, float32 [rows, keys].

        Args:
            outputs: What the network says, [rows, dim].
            chances: Numbers in [0, 1), one for each key, float32 [rows, keys].
            temperature: float32 [rows]; the logits are divided by it. 0: each key as is more probable.
        """
        raise NotImplementedError

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), "keys": self.keys, "seed": self.seed}


@keras.saving.register_keras_serializable("seqkit")
class BernoulliHead(FrameHead):
    """Each key for itself: ``p(x) = Π_k p_k^{x_k} (1 - p_k)^{1 - x_k}`` with ``p = σ(h W + b)``.

    ``W`` is ``kernel`` [dim, keys], ``b`` is ``bias`` [keys].
    """

    def build(self, input_shape):
        """Make the weights."""
        self.kernel = self._weight("kernel", (input_shape[-1], self.keys))
        self.bias = self._weight("bias", (self.keys,), start="zeros")
        super().build(input_shape)

    def expect(self, shares) -> None:
        """Begin with how often keys are on, an array [keys] of numbers between 0 and 1."""
        self.bias.assign(tf.math.log(shares) - tf.math.log1p(-shares))

    def logits(self, outputs):
        """Return the log-odds of each key, float32 [..., keys]."""
        kernel, bias = (tf.cast(v, outputs.dtype) for v in (self.kernel, self.bias))
        return tf.cast(product(outputs, kernel) + bias, tf.float32)

    def losses(self, outputs, frames):
        """See `FrameHead.losses`."""
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(frames, self.logits(outputs)), -1)

    def draw(self, outputs, chances, temperature):
        """See `FrameHead.draw`."""
        return draw_keys(self.logits(outputs), chances, temperature[:, None])


@keras.saving.register_keras_serializable("seqkit")
class LinearHead(FrameHead):
    """Vectors: a normal distribution about ``h W + b`` with variance 1 in every direction, without its constant.

    ``W`` is ``kernel`` [dim, keys], ``b`` is ``bias`` [keys]; "keys" are the numbers of a vector here. The loss is half
    the squared distance, so that what is learned is the mean, and what is drawn, at any temperature.
    """

    def build(self, input_shape):
        """Make the weights."""
        self.kernel = self._weight("kernel", (input_shape[-1], self.keys))
        self.bias = self._weight("bias", (self.keys,), start="zeros")
        super().build(input_shape)

    def expect(self, means) -> None:
        """Begin with the mean of the vectors, an array [keys]."""
        self.bias.assign(means)

    def logits(self, outputs):
        """Return the mean, float32 [..., keys]."""
        kernel, bias = (tf.cast(v, outputs.dtype) for v in (self.kernel, self.bias))
        return tf.cast(product(outputs, kernel) + bias, tf.float32)

    def losses(self, outputs, frames):
        """See `FrameHead.losses`."""
        return 0.5 * tf.reduce_sum(tf.square(self.logits(outputs) - tf.cast(frames, tf.float32)), -1)

    def draw(self, outputs, chances, temperature):
        """See `FrameHead.draw`."""
        return self.logits(outputs)


@keras.saving.register_keras_serializable("seqkit")
class NadeHead(FrameHead):
    """Keys from low to high, each given those below it: a neural autoregressive distribution estimator.

    ``p(x) = Π_k p_k^{x_k} (1 - p_k)^{1 - x_k}``,  ``p_k = σ(b_k + V_k · σ(c + Σ_{j<k} x_j W_j))``

    where ``b`` and ``c`` come from the network's output ``h``: ``b = b' + h B``, ``c = c' + h C`` (the RNN-NADE of
    Boulanger-Lewandowski et al. 2012, eq. 12 and 13).

    | symbol | parameter | shape |
    |---|---|---|
    | V | `output_kernel` | (keys, units) |
    | W | `input_kernel` | (keys, units) |
    | b' | `bias` | (keys,) |
    | c' | `hidden_bias` | (units,) |
    | B | `kernel` | (dim, keys) |
    | C | `hidden_kernel` | (dim, units) |

    Args:
        keys: Number of keys, K.
        units: Hidden units of the estimator.
        seed: Seed of the initial weights, or None.

    References: H. Larochelle and I. Murray, "The neural autoregressive distribution estimator", AISTATS 2011;
    N. Boulanger-Lewandowski, Y. Bengio and P. Vincent, "Modeling temporal dependencies in high-dimensional sequences",
    ICML 2012.
    """

    def __init__(self, keys: int, units: int = 128, seed: int | None = None, **kwargs):
        super().__init__(keys, seed, **kwargs)
        self.units = units

    def build(self, input_shape):
        """Make the weights."""
        dim = input_shape[-1]
        self.kernel = self._weight("kernel", (dim, self.keys), 0)
        self.hidden_kernel = self._weight("hidden_kernel", (dim, self.units), 1)
        self.input_kernel = self._weight("input_kernel", (self.keys, self.units), 2)
        self.output_kernel = self._weight("output_kernel", (self.keys, self.units), 3)
        self.bias = self._weight("bias", (self.keys,), start="zeros")
        self.hidden_bias = self._weight("hidden_bias", (self.units,), start="zeros")
        super().build(input_shape)

    def expect(self, shares) -> None:
        """Begin with how often keys are on, an array [keys] of numbers between 0 and 1."""
        self.bias.assign(tf.math.log(shares) - tf.math.log1p(-shares))

    def _conditions(self, outputs):
        """Return b and c of each position, float32."""
        outputs = tf.cast(outputs, tf.float32)
        kernels = ((self.kernel, self.bias), (self.hidden_kernel, self.hidden_bias))
        return [product(outputs, tf.convert_to_tensor(kernel)) + bias for kernel, bias in kernels]

    def logits(self, outputs):
        """Return the log-odds of each key, given that those below it are off, float32 [..., keys]."""
        bias, hidden = self._conditions(outputs)
        return bias + tf.tensordot(tf.sigmoid(hidden), tf.convert_to_tensor(self.output_kernel), [[-1], [-1]])

    def losses(self, outputs, frames):
        """See `FrameHead.losses`."""
        # The hidden units change at keys that are on, and those are few: with m of them on there are m + 1 states, of
        # which key k sees the one that follows the on keys below it.
        frames = tf.cast(frames, tf.float32)
        bias, hidden = self._conditions(outputs)
        below = tf.cast(tf.cumsum(frames, 1, exclusive=True), tf.int32)
        most = tf.reduce_max(tf.pad(tf.cast(tf.reduce_sum(frames, 1), tf.int32), [[0, 1]]))
        added = tf.one_hot(tf.where(frames > 0, below, -1), most, axis=1)  # [positions, m, keys]: the i-th key on
        inputs = tf.tensordot(added, tf.convert_to_tensor(self.input_kernel), 1)
        states = tf.sigmoid(hidden[:, None] + tf.cumsum(tf.pad(inputs, [[0, 0], [1, 0], [0, 0]]), 1))
        every = tf.tensordot(states, tf.convert_to_tensor(self.output_kernel), [[2], [1]])
        logits = bias + tf.reduce_sum(every * tf.one_hot(below, most + 1, axis=1), 1)
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(frames, logits), -1)

    def draw(self, outputs, chances, temperature):
        """See `FrameHead.draw`."""
        bias, hidden = self._conditions(outputs)
        inputs, outputs = tf.convert_to_tensor(self.input_kernel), tf.convert_to_tensor(self.output_kernel)

        def body(k, hidden, drawn):
            logits = bias[:, k] + tf.linalg.matvec(tf.sigmoid(hidden), outputs[k])
            keys = draw_keys(logits, chances[:, k], temperature)
            return k + 1, hidden + keys[:, None] * inputs[k], drawn.write(k, keys)

        drawn = tf.TensorArray(tf.float32, self.keys, element_shape=[None])
        *_, drawn = tf.while_loop(lambda k, *_: k < self.keys, body, (0, hidden, drawn))
        return tf.transpose(drawn.stack())

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), "units": self.units}


def draw_keys(logits, chances, temperature):
    """Return 1 where a key is on, else 0; arguments broadcast."""
    scaled = logits / tf.where(temperature > 0, temperature, 1.0)
    return tf.cast(tf.where(temperature > 0, chances < tf.sigmoid(scaled), logits > 0), tf.float32)
