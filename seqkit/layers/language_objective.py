"""A second objective for a recurrent layer that reads words: to expect the neighbouring ones."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from seqkit.layers.softmax import cross_entropy, sampled_cross_entropy


@keras.saving.register_keras_serializable("seqkit")
class LanguageObjective(keras.layers.Layer):
    """Predict the next word from the forward states, and the previous one from the backward states (Rei 2017).

    ``p(w_{t+1} | w_1 … w_t) = softmax(V tanh(W h_t))``, likewise for ``w_{t-1}`` with weights of its own; past an end
    stands the word 0. Tags are rare and say little about most words; this makes the network learn from every word of
    its training data. It is used in training only.

    Reference: M. Rei, "Semi-supervised multitask learning for sequence labeling", ACL 2017.

    Args:
        words: Number of word ids that are told apart, from 0 up; all others count as the unknown word.
        units: Units of each direction of the recurrent layer.
        bidirectional: Whether there is a backward direction.
        bottleneck: Size of the layer in between.
        unknown: Id of the unknown word.
        seed: Seed of the initial weights, or None.
    """

    def __init__(
        self,
        words: int,
        units: int,
        bidirectional: bool = True,
        bottleneck: int = 50,
        unknown: int = 1,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = dict(
            words=words, units=units, bidirectional=bidirectional, bottleneck=bottleneck, unknown=unknown, seed=seed
        )
        self.networks = []
        for k, way in enumerate(("next", "previous")[: 1 + bidirectional]):
            hidden, output = (
                keras.layers.Dense(
                    size,
                    activation=activation,
                    kernel_initializer=keras.initializers.GlorotUniform(None if seed is None else seed + 2 * k + i),
                    dtype=self.dtype_policy,
                    name=f"{way}_{name}",
                )
                for i, (size, activation, name) in enumerate(((bottleneck, "tanh", "hidden"), (words, None, "output")))
            )
            self.networks.append((hidden, output))

    def build(self, input_shape=None):
        """Make the weights."""
        for hidden, output in self.networks:
            hidden.build((None, self.config["units"]))
            output.build((None, self.config["bottleneck"]))
        super().build(input_shape)

    def expect(self, share):
        """Begin with how often words occur, an array [words] that adds up to 1; that need not be learned then."""
        for _, output in self.networks:
            output.bias.assign(np.log(share))

    def loss(self, states, words, lengths, ends: bool = True):
        """Return the negative log-probability of the neighbouring words, summed over each sequence and direction.

        Args:
            states: Outputs of the recurrent layer, [batch, time, units] or [batch, time, 2 units] (forward first).
            words: Integer word ids [batch, time].
            lengths: Integer tensor [batch].
            ends: Whether the word 0 is to be expected past an end; else nothing is.

        Returns:
            float32 tensor [batch].
        """

        def loss(hidden, output, target):
            return cross_entropy(hidden, tf.transpose(output.kernel), output.bias, target)

        return self._sum(loss, states, words, lengths, ends)

    def sampled_loss(self, states, words, lengths, noise, log_expected, ends: bool = True):
        """Estimate `loss` from a sample of the words, see `seqkit.layers.softmax.sampled_cross_entropy`.

        Args:
            states: See `loss`.
            words: See `loss`.
            lengths: See `loss`.
            noise: Integer tensor [samples]: words drawn from a distribution q, with replacement.
            log_expected: Float tensor [words], log(samples · q).
            ends: See `loss`.
        """

        def loss(hidden, output, target):
            kernel = tf.transpose(output.kernel)
            return sampled_cross_entropy(hidden, kernel, output.bias, target, noise, log_expected)

        return self._sum(loss, states, words, lengths, ends)

    def _sum(self, loss, states, words, lengths, ends):
        """Sum ``loss(hidden, output layer, target)`` [positions] over each sequence and direction."""
        real = tf.sequence_mask(lengths, tf.shape(words)[1])
        words = self.told_apart(tf.where(real, words, 0))
        targets = (tf.pad(words[:, 1:], [[0, 0], [0, 1]]), tf.pad(words[:, :-1], [[0, 0], [1, 0]]))
        total = tf.zeros([tf.shape(words)[0]])
        ways = zip(self.networks, targets, tf.split(states, len(self.networks), -1), strict=False)
        for (hidden, output), target, state in ways:
            places = tf.where(real if ends else real & (target > 0))
            losses = loss(hidden(tf.gather_nd(state, places)), output, tf.gather_nd(target, places))
            total += tf.math.unsorted_segment_sum(losses, places[:, 0], tf.shape(words)[0])
        return total

    def told_apart(self, words):
        """Return word ids, those that are too rare for this layer as the unknown word."""
        return tf.where(words < self.config["words"], words, self.config["unknown"])

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}
