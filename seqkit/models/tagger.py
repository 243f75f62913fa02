"""Many to many, in step: one tag for each element of a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import keras
import tensorflow as tf

from seqkit.cells import CELL_NAMES
from seqkit.errors import DataError, ParameterError
from seqkit.layers.dropout import SequenceDropout
from seqkit.layers.jordan import JordanHead
from seqkit.layers.language_objective import LanguageObjective
from seqkit.layers.recurrent import RecurrentStack
from seqkit.layers.tag_heads import CRFHead, SoftmaxHead
from seqkit.layers.token_encoder import TokenEncoder
from seqkit.tags import transition_masks


@keras.saving.register_keras_serializable("seqkit")
class Tagger(keras.Model):
    """The model that `build_tagger` makes; its arguments are those of `build_tagger`.

    Called on a batch it gives the probability of every tag at every step, [batch, time, tags], and so does ``predict``;
    `decode` gives the best tags. ``fit`` needs no loss: the model brings its own (the negative log-likelihood of the
    true tags), and counts accuracy over real steps only.
    """

    def __init__(
        self,
        vocabulary_size: int = 0,
        tags: int | Sequence[str] = 2,
        *,
        input_dim: int | None = None,
        cell: str = "lstm",
        units: int = 200,
        layers: int = 1,
        bidirectional: bool = True,
        activation: str | None = "tanh",
        crf: bool | None = None,
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
        scheduled_sampling: float = 0.0,
        beam_width: int = 1,
        language_model: float = 0.0,
        language_words: int = 2000,
        scheme: str | None = "iob2",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        named = isinstance(tags, Sequence) or (hasattr(tags, "__array__") and not isinstance(tags, Integral))
        self.config["tags"] = tags = [str(tag) for tag in tags] if named else tags
        self.config["feature_sizes"] = list(feature_sizes)
        self._check()

        def part(k):
            return None if seed is None else seed * 100_003 + 10_007 * k

        self.num_tags = len(tags) if named else int(tags)
        masks = {}
        if named and scheme is not None:
            names = ("start_mask", "transition_mask", "end_mask")
            masks = {k: mask.tolist() for k, mask in zip(names, transition_masks(tags, scheme), strict=True)}
        self.encoder = None
        if input_dim is None:
            self.encoder = TokenEncoder(
                vocabulary_size,
                word_dim,
                vector_rows=vector_rows,
                vector_dim=vector_dim,
                characters=characters if char_encoder else 0,
                char_encoder=char_encoder or "cnn",
                char_dim=char_dim,
                char_units=char_units,
                feature_sizes=feature_sizes,
                feature_dim=feature_dim,
                word_dropout=word_dropout,
                rare_from=rare_from,
                seed=part(1),
                dtype=self.dtype_policy,
                name="encoder",
            )
            self.encoder.build()
            input_dim = self.encoder.output_dim
        self.input_dropout = SequenceDropout(
            dropout, locked=False, seed=part(2), dtype=self.dtype_policy, name="input_dropout"
        )
        # The Jordan network's recurrence runs through its tags: its top layer is the head itself.
        jordan = cell == "jordan"
        depth = layers - 1 if jordan else layers
        self.recurrent = RecurrentStack(
            cell,
            units,
            depth,
            bidirectional,
            activation,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            initial_state=initial_state,
            seed=part(3),
            dtype=self.dtype_policy,
            name="recurrent",
        )
        self.recurrent.build((None, None, input_dim))
        dim = self.recurrent.output_dim if depth else input_dim
        self.output_dropout = SequenceDropout(
            dropout if depth else 0.0, seed=part(4), dtype=self.dtype_policy, name="output_dropout"
        )
        self.language = None
        if language_model and depth and self.encoder is not None:
            self.language = LanguageObjective(
                min(language_words, vocabulary_size),
                units,
                bidirectional,
                seed=part(6),
                dtype=self.dtype_policy,
                name="language",
            )
            self.language.build()
        if jordan:
            self.head = JordanHead(
                self.num_tags,
                units,
                activation=activation,
                bidirectional=bidirectional,
                scheduled_sampling=scheduled_sampling,
                beam_width=beam_width,
                recurrent_dropout=recurrent_dropout,
                initial_state=initial_state,
                **masks,
                seed=part(5),
                dtype=self.dtype_policy,
                name="head",
            )
        else:
            head = SoftmaxHead if crf is False else CRFHead
            self.head = head(self.num_tags, **masks, seed=part(5), dtype=self.dtype_policy, name="head")
        self.head.build((None, None, dim))
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.accuracy = keras.metrics.Mean(name="accuracy")
        self.built = True

    def _check(self):
        c = self.config
        if c["cell"] not in CELL_NAMES:
            raise ParameterError(f"cell={c['cell']!r} is not known. Expected one of: {', '.join(CELL_NAMES)}.")
        if c["cell"] == "jordan" and c["crf"]:
            raise ParameterError(
                "crf=True does not go with cell='jordan': a Jordan network feeds its own tags back. "
                "Use crf=None (or False) and beam_width= for a search over tag sequences."
            )
        if c["cell"] != "jordan" and (c["scheduled_sampling"] or c["beam_width"] != 1):
            raise ParameterError(
                "scheduled_sampling= and beam_width= belong to cell='jordan', whose output is fed back."
            )
        if c["input_dim"] is None and not _is_integer(c["vocabulary_size"], 2):
            raise ParameterError(
                f"vocabulary_size={c['vocabulary_size']!r} must be at least 2 (0 pads, 1 is the unknown word); "
                "or give input_dim= for sequences of vectors."
            )
        for names, minimum in (
            (("units", "layers", "word_dim", "char_dim", "char_units", "feature_dim", "beam_width"), 1),
            (("language_words",), 2),
            (("input_dim", "rare_from"), 1),
            (("vector_rows", "vector_dim", "characters", "seed"), 0),
        ):
            for name in names:
                optional = name in ("input_dim", "rare_from", "seed") and c[name] is None
                if not optional and not _is_integer(c[name], minimum):
                    raise ParameterError(f"{name}={c[name]!r} must be an integer of at least {minimum}.")
        if not all(_is_integer(size, 1) for size in c["feature_sizes"]):
            raise ParameterError(f"feature_sizes={c['feature_sizes']!r} must be integers of at least 1.")
        if bool(c["vector_rows"]) != bool(c["vector_dim"]):
            raise ParameterError(
                f"vector_rows={c['vector_rows']!r} and vector_dim={c['vector_dim']!r} go together: "
                "the size of a table of pretrained vectors. Give both or neither."
            )
        tags = c["tags"]
        if not (_is_integer(tags, 1) or (isinstance(tags, list) and tags and len(set(tags)) == len(tags))):
            raise ParameterError(f"tags={tags!r} must be a number of at least 1, or a list of distinct names.")
        weight = c["language_model"]
        if not isinstance(weight, Real) or not 0 <= weight < math.inf:
            raise ParameterError(f"language_model={weight!r} must be a number of at least 0.")
        for name in ("dropout", "recurrent_dropout", "word_dropout", "scheduled_sampling"):
            closed = name in ("word_dropout", "scheduled_sampling")
            if not isinstance(c[name], Real) or not (0 <= c[name] < 1 or (closed and c[name] == 1)):
                raise ParameterError(f"{name}={c[name]!r} must be a number in [0, 1{']' if closed else ')'}.")
        for name, known in (("initial_state", ("zeros", "learned")), ("char_encoder", ("cnn", "rnn", None))):
            if c[name] not in known:
                raise ParameterError(
                    f"{name}={c[name]!r} is not known. Expected one of: {', '.join(map(repr, known))}."
                )
        try:
            keras.activations.get(c["activation"])
        except ValueError:
            raise ParameterError(
                f"activation={c['activation']!r} is not known. Expected the name of a Keras activation, such as 'tanh'."
            ) from None

    def build(self, input_shape=None):
        """Do nothing: all weights exist from the start."""

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
        for name, needed in (("characters", self.encoder.char_encoder), ("features", self.config["feature_sizes"])):
            if needed and name not in inputs:
                raise DataError(
                    f"This model reads {name}: its input must be a dict with 'words' and {name!r}, "
                    f"got {', '.join(map(repr, inputs))} only. Add {name!r}, or build the model without them."
                )
        words = tf.cast(inputs["words"], tf.int32)
        if lengths is None:  # up to the last id that is not padding
            lengths = tf.reduce_max(tf.where(words > 0, tf.range(1, tf.shape(words)[1] + 1), 0), 1)
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
        vectors = self.input_dropout(vectors, training=training)
        if initial_state is not None and not self.recurrent.directions:
            raise DataError("initial_state goes to recurrent layers; a Jordan network of one layer has none.")
        if self.recurrent.directions:
            vectors = self.recurrent(vectors, lengths=lengths, initial_state=initial_state, training=training)
        return self.output_dropout(vectors, training=training)

    def losses(self, vectors, words, lengths, tags, initial_state=None, training=True, tag_weights=None):
        """Return what training makes small.

        Args:
            vectors: Token vectors [batch, time, dim].
            words: Word ids [batch, time], or None for a model on vectors.
            lengths: Integer tensor [batch].
            tags: True tags, integers [batch, time].
            initial_state: See `RecurrentStack.call`.
            training: Whether dropout is active.
            tag_weights: Float tensor [tags], the weight of each tag's part of the loss; not with a CRF.

        Returns:
            Two float tensors [batch]: the negative log-likelihood of the tags, and that of the neighbouring words times
            ``language_model`` (zeros where there is no such objective).
        """
        weights = {} if tag_weights is None else {"tag_weights": tag_weights}
        if self.language is None:
            encoded = self.read(vectors, lengths, initial_state, training=training)
            tag_losses = self.head.loss(encoded, lengths, tags, training=training, **weights)
            return tag_losses, tf.zeros_like(tag_losses)
        vectors = self.input_dropout(vectors, training=training)
        # The first layer alone has read nothing yet of the words that it is to expect.
        _, first, *above = self.recurrent.each_layer(vectors, lengths, initial_state, training)
        encoded = self.output_dropout(above[-1] if above else first, training=training)
        tag_losses = self.head.loss(encoded, lengths, tags, training=training, **weights)
        return tag_losses, self.config["language_model"] * self.language.loss(first, words, lengths)

    def call(self, inputs, training=False):
        """Return probabilities [batch, time, tags]; 0 at padding.

        Args:
            inputs: Word ids [batch, time] (0 pads, after the end); or a dict of them as ``words`` with ``characters``
                [batch, time, longest token], ``features`` [batch, time, features], and optional ``lengths`` [batch].
                For a model with ``input_dim``: vectors [batch, time, dim], or a dict of ``vectors`` and ``lengths``.
                Any such dict may hold ``initial_state``, see `RecurrentStack.call`.
            training: Whether dropout is active.
        """
        encoded, lengths = self.encode(inputs, training=training)
        return self.head.probabilities(encoded, lengths)

    def decode(self, inputs):
        """Return the best tags of a batch.

        Args:
            inputs: As for a call of the model.

        Returns:
            int32 tensor [batch, time], 0 at padding, and float32 tensor [batch, time]: the probability of each tag.
        """
        encoded, lengths = self.encode(inputs)
        return self.head.decode(encoded, lengths)

    # Keras' fit and evaluate. The loss is a property of the head, so that `compile` needs none.

    def compile(self, optimizer="adam", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, **options):
        """Set the optimizer, and what else ``keras.Model.compile`` takes but losses and metrics."""
        given = dict(loss=loss, loss_weights=loss_weights, metrics=metrics, weighted_metrics=weighted_metrics)
        for name, value in given.items():
            if value is not None:
                raise ParameterError(
                    f"{name}={value!r} would have no effect: a tagger brings its own loss, and counts accuracy over "
                    f"real steps. Leave {name}= out."
                )
        super().compile(optimizer, **options)

    def compile_from_config(self, config):
        """Compile as the saved model was; Keras leaves that to models with a ``compile`` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self):
        """The running mean of the loss per sequence and of the accuracy per step."""
        return [self.loss_tracker, self.accuracy]

    def train_step(self, data):
        """Take one optimizer step on a batch."""
        inputs, tags, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            vectors, words, lengths, initial_state = self.embed(inputs, training=True)
            losses, language = self.losses(vectors, words, lengths, tf.cast(tags, tf.int32), initial_state)
            loss = _weighted_mean(losses, sample_weight)
            scaled = self.optimizer.scale_loss(loss + _weighted_mean(language, sample_weight))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        self.loss_tracker.update_state(loss, sample_weight=tf.size(lengths))
        return {"loss": self.loss_tracker.result()}

    def test_step(self, data):
        """Measure a batch."""
        inputs, tags, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        encoded, lengths = self.encode(inputs)
        loss = _weighted_mean(self.head.loss(encoded, lengths, tf.cast(tags, tf.int32)), sample_weight)
        predicted, _ = self.head.decode(encoded, lengths)
        real = tf.sequence_mask(lengths, tf.shape(predicted)[1])
        right = tf.math.count_nonzero(real & (predicted == tf.cast(tags, tf.int32)), dtype=tf.float32)
        steps = tf.cast(tf.reduce_sum(lengths), tf.float32)
        self.loss_tracker.update_state(loss, sample_weight=tf.size(lengths))
        self.accuracy.update_state(tf.math.divide_no_nan(right, steps), sample_weight=steps)
        return {metric.name: metric.result() for metric in self.metrics}

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}


def _is_integer(value: object, minimum: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= minimum


def _weighted_mean(losses: tf.Tensor, sample_weight) -> tf.Tensor:
    weights = 1.0 if sample_weight is None else tf.cast(sample_weight, losses.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.cast(tf.size(losses), losses.dtype))


def build_tagger(vocabulary_size: int = 0, tags: int | Sequence[str] = 2, **options) -> Tagger:
    """Build a tagger: a ``keras.Model`` from integer ids or vectors to tags.

    Nothing in it is learned yet; use it with plain ``compile(optimizer)``, ``fit``, ``predict`` and ``save``.

    Parameters
    ----------
    vocabulary_size : int
        Number of word ids; 0 is padding, 1 the unknown word. Left out with ``input_dim``.
    tags : int or list of str
        Number of tags, or their names. With names and an IOB or IOBES `scheme`, moves that the scheme forbids (such as
        from ``O`` to ``I-PER``) are never predicted.
    input_dim : int, optional
        Size of each vector, for sequences of vectors in place of word ids.
    cell : {"elman", "jordan", "lstm", "gru"}, default "lstm"
        The recurrence.
    units : int, default 200
        Hidden units, of each direction.
    layers : int, default 1
        Recurrent layers.
    bidirectional : bool, default True
        Whether to read both ways.
    activation : str or None, default "tanh"
        Activation of the hidden state.
    crf : bool or None, default None
        Whether a conditional random field decides the tags together; else a softmax decides each. None: yes, where the
        cell allows it (a Jordan network feeds its own tags back instead).
    dropout, recurrent_dropout : float
        Share of features dropped before, between and after the recurrent layers (default 0.5), and of the fed-back
        state (default 0).
    initial_state : {"zeros", "learned"}
        State before the first step.
    word_dim : int, default 100
        Size of the word vectors.
    word_dropout : float, default 0
        Share of words replaced by the unknown word in training; of words from id `rare_from` on, one half.
    vector_rows, vector_dim : int
        Size of a table of fixed pretrained vectors beside the learned ones, indexed by the same word ids.
    characters : int, default 0
        Number of character ids; 0 for no character encoder.
    char_encoder : {"cnn", "rnn"} or None, default "cnn"
        How characters are read.
    char_dim, char_units : int
        Size of the character vectors, and of a token's vector from them.
    feature_sizes : sequence of int
        Number of ids of each further feature of a token.
    feature_dim : int
        Size of each such feature's vector.
    scheduled_sampling : float, default 0
        Jordan only: share of steps trained on the network's own tags in place of the true ones.
    beam_width : int, default 1
        Jordan only: tag sequences followed in prediction.
    language_model : float, default 0
        Weight of a second objective in training: each direction of the first recurrent layer learns to expect the next
        word (Rei 2017). 0.2 is a good value; for words only.
    language_words : int, default 2000
        Word ids that this objective tells apart; rarer words count as the unknown word.
    scheme : {"iob2", "iob1", "iobes", "io"} or None, default "iob2"
        What the names of the tags mean.
    seed : int, optional
        Seed of the initial weights and of dropout.

    Returns
    -------
    Tagger
        A ``keras.Model``.

    Examples
    --------
    >>> model = build_tagger(vocabulary_size=5000, tags=["O", "B-PER", "I-PER"], units=64)
    >>> model.compile("adam")
    >>> model.fit(word_ids, tag_ids, epochs=3)  # both int [sentences, longest], 0 pads word_ids
    """
    return Tagger(vocabulary_size, tags, **options)
