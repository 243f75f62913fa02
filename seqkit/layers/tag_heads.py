"""The last layer of a tagger: from the vector of each step to tags.

Three heads share one interface: `SoftmaxHead` and `CRFHead` here, `seqkit.layers.jordan.JordanHead` beside them.

``loss(features, lengths, tags, training) -> [batch]``
    Negative log-likelihood of the true tags, summed over each sequence. All but the CRF's, which is that of a whole
    path, take ``class_weights=`` [tags] too: what each tag's part counts.
``probabilities(features, lengths) -> [batch, time, tags]``
    Probability of every tag at every step.
``decode(features, lengths) -> (tags, scores)``
    The best tags [batch, time] (0 at padding) and the probability of each one.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.layers.crf import CRF
from seqkit.layers.crf_functions import viterbi


class _DenseHead(keras.layers.Layer):
    def __init__(self, num_tags: int, start_mask=None, transition_mask=None, end_mask=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.num_tags = num_tags
        self.masks = dict(start_mask=start_mask, transition_mask=transition_mask, end_mask=end_mask)
        self.seed = seed
        initializer = keras.initializers.GlorotUniform(seed)
        self.dense = keras.layers.Dense(
            num_tags, kernel_initializer=initializer, dtype=self.dtype_policy, name="emissions"
        )

    def build(self, input_shape):
        """Make the weights."""
        self.dense.build(input_shape)
        super().build(input_shape)

    def emissions(self, features: tf.Tensor) -> tf.Tensor:
        """Return unnormalised scores [batch, time, tags] in float32."""
        return tf.cast(self.dense(features), tf.float32)

    def call(self, features, lengths=None):
        """Return probabilities."""
        if lengths is None:
            lengths = tf.fill([tf.shape(features)[0]], tf.shape(features)[1])
        return self.probabilities(features, lengths)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), "num_tags": self.num_tags, **self.masks, "seed": self.seed}


@keras.saving.register_keras_serializable("seqkit")
class CRFHead(_DenseHead):
    """A dense layer under a linear-chain conditional random field; see `seqkit.layers.crf.CRF`.

    Args:
        num_tags: Number of tags.
        start_mask: List of bool [tags], False where a sequence cannot begin.
        transition_mask: Nested list of bool [tags, tags] (from, to), False where a move is forbidden.
        end_mask: List of bool [tags], False where a sequence cannot end.
        seed: Seed of the initial weights, or None.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.crf = CRF(self.num_tags, **self.masks, name="crf")

    def build(self, input_shape):
        """Make the weights."""
        self.crf.build((None, None, self.num_tags))
        super().build(input_shape)

    def loss(self, features, lengths, tags, training=False):
        """Return the negative log-likelihood [batch] of the paths ``tags``."""
        return -self.crf.log_likelihood(self.emissions(features), tags, lengths)

    def probabilities(self, features, lengths):
        """Return forward–backward marginals [batch, time, tags]."""
        return self.crf.marginals(self.emissions(features), lengths)

    def decode(self, features, lengths):
        """Return the most probable path (Viterbi) and the marginal of each of its tags."""
        return self.crf.decode(self.emissions(features), lengths)


@keras.saving.register_keras_serializable("seqkit")
class SoftmaxHead(_DenseHead):
    """A dense layer and a softmax: each step is decided for itself, but forbidden moves are never made.

    Args: as `CRFHead`.
    """

    def loss(self, features, lengths, tags, training=False, class_weights=None):
        """Return the summed cross-entropy [batch]."""
        emissions = self.emissions(features)
        real = tf.sequence_mask(lengths, tf.shape(emissions)[1])
        tags = tf.where(real, tf.cast(tags, tf.int32), 0)  # padding may hold anything, such as the customary -1
        steps = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tags, logits=emissions)
        if class_weights is not None:
            steps *= tf.gather(class_weights, tags)
        return tf.reduce_sum(tf.where(real, steps, 0.0), 1)

    def probabilities(self, features, lengths):
        """Return the softmax [batch, time, tags]; 0 at padding."""
        probabilities = tf.nn.softmax(self.emissions(features))
        return tf.where(tf.sequence_mask(lengths, tf.shape(probabilities)[1])[..., None], probabilities, 0.0)

    def decode(self, features, lengths):
        """Return the most probable tags among legal sequences, and the softmax of each."""
        log_probabilities = tf.nn.log_softmax(self.emissions(features))
        tags, _ = viterbi(log_probabilities, lengths, *self._moves())
        return tags, tf.gather(self.probabilities(features, lengths), tags, batch_dims=2)

    def _moves(self):
        shapes = ((self.num_tags, self.num_tags), (self.num_tags,), (self.num_tags,))
        masks = (self.masks["transition_mask"], self.masks["start_mask"], self.masks["end_mask"])
        return [
            tf.zeros(shape) if mask is None else tf.where(tf.constant(mask), 0.0, -1e30)
            for mask, shape in zip(masks, shapes, strict=True)
        ]
