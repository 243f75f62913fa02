"""A token's vector from its characters."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.errors import ParameterError


@keras.saving.register_keras_serializable("seqkit")
class CharacterEncoder(keras.layers.Layer):
    """Read the characters of each token with a convolution or a small recurrent network.

    ``"cnn"``: windows of three characters and the maximum over the token (Ma & Hovy 2016). ``"rnn"``: the last outputs
    of an LSTM in each direction (Lample et al. 2016).

    Args:
        characters: Number of character ids, padding (0) included.
        kind: ``"cnn"`` or ``"rnn"``.
        dim: Size of character vectors.
        units: Size of the output (``"rnn"``: half of it in each direction).
        width: Characters in a window of the convolution.
        seed: Seed of the initial weights, or None.
    """

    def __init__(
        self,
        characters: int,
        kind: str = "cnn",
        dim: int = 30,
        units: int = 50,
        width: int = 3,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kind not in ("cnn", "rnn"):
            raise ParameterError(f"char_encoder={kind!r} is not known. Expected 'cnn', 'rnn' or None.")
        self.config = dict(characters=characters, kind=kind, dim=dim, units=units, width=width, seed=seed)
        self.reader = None
        if kind == "rnn":
            from seqkit.layers.recurrent import RecurrentStack

            if units % 2:
                raise ParameterError(
                    f"char_units={units} must be even with char_encoder='rnn': half in each direction."
                )
            self.reader = RecurrentStack(
                "lstm", units // 2, seed=None if seed is None else seed + 7, dtype=self.dtype_policy, name="reader"
            )

    def build(self, input_shape=None):
        """Make the weights."""
        config = self.config
        seed = config["seed"]
        table = keras.initializers.RandomUniform(-0.3, 0.3, seed=seed)
        self.table = self.add_weight(shape=(config["characters"], config["dim"]), initializer=table, name="table")
        if self.reader is None:
            kernel = keras.initializers.GlorotUniform(None if seed is None else seed + 1)
            shape = (config["width"], config["dim"], config["units"])
            self.kernel = self.add_weight(shape=shape, initializer=kernel, name="kernel")
            self.bias = self.add_weight(shape=(config["units"],), initializer="zeros", name="bias")
        else:
            self.reader.build((None, None, config["dim"]))
        super().build(input_shape)

    def call(self, characters, training=False):
        """Return vectors [n, units] of tokens given as character ids [n, longest], right-padded with 0."""
        vectors = tf.gather(tf.convert_to_tensor(self.table), characters)
        known = tf.cast(characters > 0, vectors.dtype)
        vectors *= known[..., None]
        if self.reader is not None:
            lengths = tf.reduce_sum(tf.cast(characters > 0, tf.int32), 1)
            outputs = self.reader(vectors, lengths=lengths, training=training)
            forward, backward = tf.split(outputs, 2, -1)
            last = tf.gather(forward, tf.maximum(lengths - 1, 0), batch_dims=1)
            return tf.concat([last, backward[:, 0]], -1) * tf.cast(lengths > 0, last.dtype)[:, None]
        windows = tf.nn.conv1d(vectors, tf.convert_to_tensor(self.kernel), 1, "SAME") + tf.convert_to_tensor(self.bias)
        # Windows centred on padding do not count: the result must not depend on the longest token of the batch.
        windows = tf.where(known[..., None] > 0, windows, windows.dtype.min)
        peak = tf.reduce_max(windows, 1)
        return tf.where(tf.reduce_any(characters > 0, 1)[:, None], tf.tanh(peak), 0.0)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}
