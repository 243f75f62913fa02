"""The last layer of a model with one answer for a sequence: from the vectors of all steps to classes or values.

`PooledHead` and `JordanReadout` share one interface, as the heads of taggers do (`seqkit.layers.tag_heads`):

``outputs(features, lengths) -> [batch, k]``
    What the link makes probabilities of: logits (or standardized values).
``finish(outputs) -> [batch, k]``
    Probabilities of classes (``link="softmax"``: they add up to 1; ``"sigmoid"``: each for itself), or values
    (``"linear"``).
``losses(outputs, targets) -> [batch]``
    Cross-entropy, or squared error. Takes ``class_weights=`` [k] too.
``probabilities(features, lengths)`` and ``loss(features, lengths, targets, training)`` do both steps.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.jordan import JordanCell
from seqkit.errors import ParameterError
from seqkit.layers.pooling import Pooling
from seqkit.layers.recurrent import Recurrent

LINKS = ("softmax", "sigmoid", "linear")
_TINY = 1e-30  # least probability inside logarithms


class _SequenceHead(keras.layers.Layer):
    """What the heads share: from outputs to probabilities and losses."""

    def __init__(self, num_outputs: int, link: str = "softmax", seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if link not in LINKS:
            raise ParameterError(f"link={link!r} is not known. Expected one of: {', '.join(map(repr, LINKS))}.")
        self.num_outputs, self.link, self.seed = num_outputs, link, seed

    def build(self, input_shape):
        """Make what stands between outputs and answers: a temperature, or the targets' mean and deviation."""
        if self.link == "linear":
            size = (self.num_outputs,)
            self.target_mean = self.add_weight(shape=size, initializer="zeros", name="target_mean", trainable=False)
            self.target_deviation = self.add_weight(
                shape=size, initializer="ones", name="target_deviation", trainable=False
            )
        else:
            self.temperature = self.add_weight(shape=(), initializer="ones", name="temperature", trainable=False)
        super().build(input_shape)

    def outputs(self, features, lengths, training=False):
        """Return what the link makes probabilities of, float32 [batch, k]."""
        raise NotImplementedError

    def call(self, features, lengths=None):
        """Return probabilities, or values."""
        if lengths is None:
            lengths = tf.fill([tf.shape(features)[0]], tf.shape(features)[1])
        return self.probabilities(features, lengths)

    def probabilities(self, features, lengths):
        """Return probabilities of classes, or values: float32 [batch, k]."""
        return self.finish(self.outputs(features, lengths))

    def finish(self, outputs):
        """Return what the link makes of outputs."""
        if self.link == "linear":
            return outputs * tf.cast(self.target_deviation, tf.float32) + tf.cast(self.target_mean, tf.float32)
        outputs /= tf.cast(self.temperature, tf.float32)
        return tf.nn.softmax(outputs) if self.link == "softmax" else tf.sigmoid(outputs)

    def loss(self, features, lengths, targets, training=False, class_weights=None):
        """Return the loss of each sequence, float32 [batch]; see `losses`."""
        return self.losses(self.outputs(features, lengths, training=training), targets, class_weights)

    def losses(self, outputs, targets, class_weights=None):
        """Return the loss of each sequence, float32 [batch].

        Args:
            outputs: From `outputs`.
            targets: For softmax class numbers [batch]; else [batch, k], 0 or 1 for each class, or values.
            class_weights: Float tensor [k], the weight of each class' part.
        """
        if self.link == "linear":
            # In float64: of large values that differ by little, float32 keeps no difference.
            mean, deviation = (tf.cast(value, tf.float64) for value in (self.target_mean, self.target_deviation))
            wanted = tf.cast((tf.cast(targets, tf.float64) - mean) / deviation, tf.float32)
            return tf.reduce_sum(tf.square(outputs - wanted), -1)
        outputs /= tf.cast(self.temperature, tf.float32)
        if self.link == "softmax":
            targets = tf.cast(targets, tf.int32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)
            return losses if class_weights is None else losses * tf.gather(class_weights, targets)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(targets, tf.float32), logits=outputs)
        return tf.reduce_sum(losses if class_weights is None else losses * class_weights, -1)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), "num_outputs": self.num_outputs, "link": self.link, "seed": self.seed}


@keras.saving.register_keras_serializable("seqkit")
class PooledHead(_SequenceHead):
    """Pool over time, then a dense layer: ``outputs = pool(h_1 … h_T) V + c``.

    Args:
        num_outputs: Number of classes or values, k.
        link: `"softmax"`, `"sigmoid"` or `"linear"`.
        pooling: See `seqkit.layers.pooling.Pooling`.
        bidirectional: Whether the features are those of two directions.
        attention_units: Size of the hidden layer of attention.
        dropout: Share of the pooled features dropped in training.
        seed: Seed of the initial weights and dropout, or None.
    """

    def __init__(
        self,
        num_outputs: int,
        link: str = "softmax",
        pooling: str = "max",
        bidirectional: bool = False,
        attention_units: int = 100,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(num_outputs, link, seed, **kwargs)
        self.config = dict(
            pooling=pooling, bidirectional=bidirectional, attention_units=attention_units, dropout=dropout
        )
        first, second, third = (None if seed is None else seed + 10 * k for k in range(3))
        self.pooling = Pooling(
            pooling, bidirectional, attention_units, seed=first, dtype=self.dtype_policy, name="pooling"
        )
        self.dropout = keras.layers.Dropout(dropout, seed=second, dtype=self.dtype_policy)
        self.dense = keras.layers.Dense(
            num_outputs,
            kernel_initializer=keras.initializers.GlorotUniform(third),
            dtype=self.dtype_policy,
            name="outputs",
        )

    def build(self, input_shape):
        """Make the weights."""
        self.pooling.build(input_shape)
        self.dense.build((None, input_shape[-1]))
        super().build(input_shape)

    def outputs(self, features, lengths, training=False):
        """Return logits, or standardized values."""
        return self.outputs_of_pooled(self.pooling(features, lengths), training=training)

    def outputs_of_pooled(self, pooled, training=False):
        """Return logits, or standardized values, of what `pooling` gave."""
        return tf.cast(self.dense(self.dropout(pooled, training=training)), tf.float32)

    def attention(self, features, lengths):
        """Return what each step counts in attention pooling, float32 [batch, time]; 0 at padding."""
        return self.pooling.weights_of(features, lengths)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable("seqkit")
class JordanReadout(_SequenceHead):
    """A Jordan network that reads a sequence with its answer so far fed back, and is judged at the last step.

    See `seqkit.cells.jordan.JordanCell` for the equations; the output y_t is the distribution over classes (with
    ``link="linear"``, the standardized values) after t steps. A second network reads right to left if
    ``bidirectional``: then log-probabilities (or values) of both are averaged. A sequence without steps is read as one
    step of zeros.

    Args:
        num_outputs: Number of classes or values, k.
        link: `"softmax"`, `"sigmoid"` or `"linear"`: o of the cell.
        units: Hidden units of each direction.
        activation: g of the cell.
        bidirectional: Whether a second network reads right to left.
        recurrent_dropout: Share of y_{t-1} dropped in training.
        initial_state: `"zeros"` or `"learned"`: y_0.
        seed: Seed of the initial weights and dropout, or None.
    """

    def __init__(
        self,
        num_outputs: int,
        link: str = "softmax",
        units: int = 200,
        activation: str | None = "tanh",
        bidirectional: bool = False,
        recurrent_dropout: float = 0.0,
        initial_state: str = "zeros",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(num_outputs, link, seed, **kwargs)
        self.config = dict(
            units=units,
            activation=activation,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            initial_state=initial_state,
        )
        self.networks = []
        for backward in (False, True)[: 1 + bidirectional]:
            seeds = [None if seed is None else seed + 10 * backward + k for k in range(4)]
            cell = JordanCell(
                units,
                output_units=num_outputs,
                activation=activation,
                output_activation=link,
                kernel_initializer=keras.initializers.GlorotUniform(seeds[0]),
                recurrent_initializer=keras.initializers.Orthogonal(seed=seeds[1]),
                output_initializer=keras.initializers.GlorotUniform(seeds[2]),
                recurrent_dropout=recurrent_dropout,
                seed=seeds[3],
                dtype=self.dtype_policy,
            )
            name = "backward" if backward else "forward"
            self.networks.append(Recurrent(cell, backward, initial_state, dtype=self.dtype_policy, name=name))

    def build(self, input_shape):
        """Make the weights."""
        for network in self.networks:
            network.build(input_shape)
        super().build(input_shape)

    def outputs(self, features, lengths, training=False):
        """Return log-probabilities (of a sigmoid, logits), or standardized values."""
        real = tf.sequence_mask(lengths, tf.shape(features)[1])
        features = tf.where(real[..., None], features, 0)
        lengths = tf.maximum(lengths, 1)
        total = 0.0
        for network in self.networks:
            steps = network(features, lengths, training=training)
            last = steps[:, 0] if network.backward else tf.gather(steps, lengths - 1, batch_dims=1)
            last = tf.cast(last, tf.float32)
            if self.link != "linear":
                logarithm = tf.math.log(tf.maximum(last, _TINY))
                last = logarithm if self.link == "softmax" else logarithm - tf.math.log(tf.maximum(1 - last, _TINY))
            total += last / len(self.networks)
        return total

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}
