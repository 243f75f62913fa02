"""What all models that read a sequence have in common: everything between the input and the head."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import keras
import numpy as np
import tensorflow as tf

from seqkit.cells import CELL_NAMES
from seqkit.errors import DataError, ParameterError
from seqkit.layers.dropout import SequenceDropout
from seqkit.layers.language_objective import LanguageObjective
from seqkit.layers.recurrent import RecurrentStack
from seqkit.models.own_loss import check_choice
from seqkit.models.text_model import TextModel


class SequenceModel(TextModel):
    """A model that turns tokens into vectors, reads them with recurrent layers, and leaves the rest to a head.

    A subclass makes its ``head`` from ``head_dim`` in ``__init__`` and says by ``per_step`` whether there is a target
    at every step or one for the sequence. The head has ``loss(features, lengths, targets, training)`` and
    ``probabilities(features, lengths)``; features are [batch, time, ``head_dim``].

    A Jordan network's recurrence runs through its output: its top layer is the head itself, and only the layers below
    it are ``recurrent``.

    Args: those of `seqkit.models.build_tagger` that speak of the input, the recurrent layers and dropout.
    """

    per_step = True
    jordan_head = True  # whether the top layer of a Jordan network is the head
    running_pooling = None  # see `seqkit.models.classifier.SequenceReader`
    cells = CELL_NAMES
    integers: Mapping[str, int] = {"units": 1, "layers": 1, "language_words": 2, "input_dim": 1}
    shares = ("dropout", "recurrent_dropout")

    def __init__(
        self,
        vocabulary_size: int = 0,
        *,
        input_dim: int | None = None,
        cell: str = "lstm",
        units: int = 200,
        layers: int = 1,
        bidirectional: bool = True,
        activation: str | None = "tanh",
        dropout: float = 0.5,
        recurrent_dropout: float = 0.0,
        initial_state: str = "zeros",
        word_dim: int = 100,
        word_dropout: float = 0.0,
        rare_from: int | None = None,
        vector_rows: int = 0,
        vector_dim: int = 0,
        characters: int = 0,
        char_encoder: str | None = "cnn",
        char_dim: int = 30,
        char_units: int = 50,
        feature_sizes: Sequence[int] = (),
        feature_dim: int = 20,
        language_model: float = 0.0,
        language_words: int = 2000,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
        self.encoder = None
        if input_dim is None:
            self.encoder = self._make_encoder()
            input_dim = self.encoder.output_dim
        self.input_dropout = SequenceDropout(
            dropout, locked=False, seed=self._seed(2), dtype=self.dtype_policy, name="input_dropout"
        )
        depth = layers - (cell == "jordan" and self.jordan_head)
        self.recurrent = RecurrentStack(
            cell,
            units,
            depth,
            bidirectional,
            activation,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            initial_state=initial_state,
            seed=self._seed(3),
            dtype=self.dtype_policy,
            name="recurrent",
        )
        self.recurrent.build((None, None, input_dim))
        # Vectors are brought to mean 0 and deviation 1 by what `standardize` learned; nothing is changed until then.
        self.input_mean = self.input_deviation = None
        if self.encoder is None:
            self.input_mean, self.input_deviation = (
                self.add_weight(shape=(input_dim,), initializer=start, name=f"input_{name}", trainable=False)
                for name, start in (("mean", "zeros"), ("deviation", "ones"))
            )
        self.head_dim = self.recurrent.output_dim if depth else input_dim
        self.output_dropout = SequenceDropout(
            dropout if depth else 0.0, seed=self._seed(4), dtype=self.dtype_policy, name="output_dropout"
        )
        self.language = None
        if language_model and depth and self.encoder is not None:
            self.language = LanguageObjective(
                min(language_words, vocabulary_size),
                units,
                bidirectional,
                seed=self._seed(6),
                dtype=self.dtype_policy,
                name="language",
            )
            self.language.build()
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.built = True

    def _check(self):
        super()._check()
        c = self.config
        weight = c["language_model"]
        if not isinstance(weight, Real) or not 0 <= weight < math.inf:
            raise ParameterError(f"language_model={weight!r} must be a number of at least 0.")
        check_choice("initial_state", c["initial_state"], ("zeros", "learned"))
        check_choice("char_encoder", c["char_encoder"], ("cnn", "rnn", None))

    def encode(self, inputs, training=False):
        """Return what the head reads, and lengths.

        Args:
            inputs: As for a call of the model.
            training: Whether dropout is active.

        Returns:
            Tensor [batch, time, dim] and int32 tensor [batch].
        """
        vectors, _, lengths, initial_state = self.embed(inputs, training=training)
        return self.read(vectors, lengths, initial_state, training=training), lengths

    def embed(self, inputs, training=False):
        """Return vectors [batch, time, dim], word ids (None without words), lengths and the given initial state."""
        inputs = dict(inputs) if isinstance(inputs, dict) else {"words" if self.encoder else "vectors": inputs}
        lengths = inputs.get("lengths")
        if self.encoder is None:
            vectors = tf.cast(inputs["vectors"], self.compute_dtype)
            if lengths is None:
                lengths = tf.fill([tf.shape(vectors)[0]], tf.shape(vectors)[1])
            lengths = tf.cast(lengths, tf.int32)
            # What stands at padding has no influence; were it NaN, it would still reach the gradients as 0 · NaN.
            vectors = tf.where(tf.sequence_mask(lengths, tf.shape(vectors)[1])[..., None], vectors, 0)
            return vectors, None, lengths, inputs.get("initial_state")
        self._check_given(inputs, "'words' and {!r}")
        words = tf.cast(inputs["words"], tf.int32)
        if lengths is None:  # up to the last id that is not padding
            lengths = id_lengths(words)
        lengths = tf.cast(lengths, tf.int32)
        real = tf.sequence_mask(lengths, tf.shape(words)[1])
        words = tf.where(real, words, 0)
        features = None
        if self.config["feature_sizes"]:
            features = tf.where(real[..., None], tf.cast(inputs["features"], tf.int32), 0)
        character_vectors = None
        if self.encoder.char_encoder:
            characters = tf.where(real[..., None], tf.cast(inputs["characters"], tf.int32), 0)
            flat = tf.reshape(characters, [-1, tf.shape(characters)[-1]])
            character_vectors = self.encoder.encode_characters(flat, training=training)
            shape = tf.concat([tf.shape(words), [self.config["char_units"]]], 0)
            character_vectors = tf.reshape(character_vectors, shape)
        vectors = self.encoder(words, features, character_vectors, training=training)
        return vectors, words, lengths, inputs.get("initial_state")

    def read(self, vectors, lengths, initial_state=None, training=False):
        """Run the recurrent layers over token vectors [batch, time, dim]; see `RecurrentStack.call`."""
        return self._read_layers(vectors, lengths, initial_state, training)[-1]

    def _read_layers(self, vectors, lengths, initial_state, training):
        """Return ``vectors`` and the output of each recurrent layer, with the dropout before and after them."""
        if initial_state is not None and not self.recurrent.directions:
            raise DataError("initial_state goes to recurrent layers; a Jordan network of one layer has none.")
        if self.input_mean is not None:
            mean, deviation = (tf.cast(v, vectors.dtype) for v in (self.input_mean, self.input_deviation))
            vectors = (vectors - mean) / deviation
        vectors = self.input_dropout(vectors, training=training)
        outputs = self.recurrent.each_layer(vectors, lengths, initial_state, training)
        return [*outputs, self.output_dropout(outputs[-1], training=training)]

    def standardize(self, vectors, weights=None) -> None:
        """Learn mean and deviation of the vectors that the model will read.

        Args:
            vectors: Array [n, dim].
            weights: How much each counts, array [n]; None for all alike.
        """
        vectors = np.asarray(vectors, np.float64)
        mean = np.average(vectors, 0, weights)
        deviation = np.sqrt(np.average(np.square(vectors - mean), 0, weights))
        self.input_mean.assign(mean)
        self.input_deviation.assign(np.where(deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6), deviation, 1.0))

    def losses(self, vectors, words, lengths, targets, initial_state=None, training=True, class_weights=None):
        """Return what training makes small.

        Args:
            vectors: Token vectors [batch, time, dim].
            words: Word ids [batch, time], or None for a model on vectors.
            lengths: Integer tensor [batch].
            targets: What the head takes as targets, such as the true tags, integers [batch, time].
            initial_state: See `RecurrentStack.call`.
            training: Whether dropout is active.
            class_weights: Float tensor [classes], the weight of each class' part of the loss; not with a CRF.

        Returns:
            Two float tensors [batch]: the head's loss, and the negative log-likelihood of the neighbouring words times
            ``language_model`` (zeros where there is no such objective).
        """
        weights = {} if class_weights is None else {"class_weights": class_weights}
        outputs = self._read_layers(vectors, lengths, initial_state, training)
        losses = self.head_losses(outputs[-1], lengths, words, targets, training, **weights)
        if self.language is None:
            return losses, tf.zeros_like(losses)
        return losses, self.config["language_model"] * self.language_losses(outputs, words, lengths)

    def head_losses(self, encoded, lengths, words, targets, training=False, **weights):
        """Return the head's loss [batch]."""
        return self.head.loss(encoded, lengths, targets, training=training, **weights)

    def answer(self, what, encoded, lengths, words=None) -> tuple:
        """Return what is asked of the head: tensors [batch, …].

        Args:
            what: The name of one of the head's methods.
            encoded: What `read` gave.
            lengths: Integer tensor [batch].
            words: Word ids [batch, time], or None for a model on vectors.
        """
        found = getattr(self.head, what)(encoded, lengths)
        return found if isinstance(found, tuple) else (found,)

    def language_losses(self, outputs, words, lengths):
        """Return the negative log-likelihood [batch] of the neighbouring words."""
        # The first layer alone has read nothing yet of the words that it is to expect.
        return self.language.loss(outputs[1], words, lengths)

    def call(self, inputs, training=False):
        """Return what the head makes of a batch.

        Args:
            inputs: Word ids [batch, time] (0 pads, after the end); or a dict of them as ``words`` with ``characters``
                [batch, time, longest token], ``features`` [batch, time, features], and optional ``lengths`` [batch].
                For a model with ``input_dim``: vectors [batch, time, dim], or a dict of ``vectors`` and ``lengths``.
                Any such dict may hold ``initial_state``, see `RecurrentStack.call`.
            training: Whether dropout is active.
        """
        vectors, words, lengths, initial_state = self.embed(inputs, training=training)
        encoded = self.read(vectors, lengths, initial_state, training=training)
        return self.answer("probabilities", encoded, lengths, words)[0]

    # Keras' fit and evaluate.

    def measure(self, encoded, lengths, words, targets):
        """Return a score of a batch, averaged over what it counts, and how many that are; see ``score_tracker``."""
        raise NotImplementedError

    @property
    def metrics(self):
        """The running mean of the loss per sequence, and of the model's score."""
        return [self.loss_tracker, self.score_tracker]

    def train_step(self, data):
        """Take one optimizer step on a batch."""
        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            vectors, words, lengths, initial_state = self.embed(inputs, training=True)
            losses, language = self.losses(vectors, words, lengths, targets, initial_state)
            loss = _weighted_mean(losses, sample_weight)
            scaled = self.optimizer.scale_loss(loss + _weighted_mean(language, sample_weight))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        self.loss_tracker.update_state(loss, sample_weight=tf.size(lengths))
        return {"loss": self.loss_tracker.result()}

    def test_step(self, data):
        """Measure a batch."""
        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        vectors, words, lengths, initial_state = self.embed(inputs)
        encoded = self.read(vectors, lengths, initial_state)
        loss = _weighted_mean(self.head_losses(encoded, lengths, words, targets), sample_weight)
        score, count = self.measure(encoded, lengths, words, targets)
        self.loss_tracker.update_state(loss, sample_weight=tf.size(lengths))
        self.score_tracker.update_state(score, sample_weight=count)
        return {metric.name: metric.result() for metric in self.metrics}


def _weighted_mean(losses: tf.Tensor, sample_weight) -> tf.Tensor:
    weights = 1.0 if sample_weight is None else tf.cast(sample_weight, losses.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.cast(tf.size(losses), losses.dtype))


def id_lengths(ids):
    """Return how many ids each row has, int32 [rows]: up to the last one that is not 0."""
    return tf.reduce_max(tf.pad(tf.where(ids > 0, tf.range(1, tf.shape(ids)[1] + 1), 0), [[0, 0], [0, 1]]), 1)
