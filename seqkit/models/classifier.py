"""Many to one: one class, several labels, or values for a sequence."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.errors import DataError, ParameterError
from seqkit.layers.ngram_votes import NGramVotes
from seqkit.layers.pooling import POOLINGS
from seqkit.layers.sequence_heads import LINKS, JordanReadout, PooledHead
from seqkit.models.own_loss import check_choice, is_integer
from seqkit.models.sequence_model import SequenceModel


@keras.saving.register_keras_serializable("seqkit")
class SequenceReader(SequenceModel):
    """The model that `build_classifier` and `build_regressor` make; its arguments are theirs.

    Called on a batch it gives probabilities [batch, outputs] (or values), and so does ``predict``. ``fit`` needs no
    loss: the model brings its own.
    """

    per_step = False

    def __init__(
        self,
        vocabulary_size: int = 0,
        outputs: int = 2,
        *,
        link: str = "softmax",
        pooling: str | None = None,
        attention_units: int = 100,
        ngrams: int = 0,
        ngram_rows: int = 0,
        **options,
    ):
        super().__init__(vocabulary_size, **options)
        self.config |= dict(outputs=outputs, link=link, pooling=pooling, attention_units=attention_units)
        self.config |= dict(ngrams=ngrams, ngram_rows=ngram_rows)
        c = self.config
        self.kind = "regressor" if link == "linear" else "classifier"
        for name, least in (("outputs", 1), ("attention_units", 1), ("ngrams", 0), ("ngram_rows", 0)):
            if not is_integer(c[name], least):
                raise ParameterError(f"{name}={c[name]!r} must be an integer of at least {least}.")
        if ngrams and self.encoder is None:
            raise ParameterError(f"ngrams={ngrams!r} are of words; this model reads vectors (input_dim=).")
        check_choice("link", link, LINKS)
        shared = dict(link=link, bidirectional=c["bidirectional"], seed=self._seed(5), dtype=self.dtype_policy)
        if c["cell"] == "jordan":
            if pooling not in (None, "last"):
                raise ParameterError(
                    f"pooling={pooling!r} does not go with cell='jordan': a Jordan network feeds its answer back, and "
                    "the answer after the last step is the one that counts. Leave pooling out, or use 'last'."
                )
            self.head = JordanReadout(
                outputs,
                units=c["units"],
                activation=c["activation"],
                recurrent_dropout=c["recurrent_dropout"],
                initial_state=c["initial_state"],
                **shared,
                name="head",
            )
        else:
            check_choice("pooling", pooling, (None, *POOLINGS))
            self.head = PooledHead(
                outputs, pooling=pooling or "max", attention_units=attention_units, **shared, name="head"
            )
        self.head.build((None, None, self.head_dim))
        self.votes = None
        if ngrams:
            self.votes = NGramVotes(
                vocabulary_size, outputs, ngram_rows, ngrams, c["dropout"], seed=self._seed(7), name="votes"
            )
            self.votes.build()
        self.score_tracker = keras.metrics.Mean(name="squared_error" if link == "linear" else "accuracy")

    def head_losses(self, encoded, lengths, words, targets, training=False, **weights):
        """Return the loss of the network, and that of the n-grams' votes if there are some, added up.

        Each learns for itself. Votes fit the training data so well that a network beside them would learn nothing from
        the loss of both together.
        """
        losses = self.head.losses(self.head.outputs(encoded, lengths, training=training), targets, **weights)
        if self.votes is None:
            return losses
        return losses + self.head.losses(self.votes(words, lengths, training=training), targets, **weights)

    def answer(self, what, encoded, lengths, words=None):
        """Return what is asked of the head; ``outputs`` are the mean of the network's and the votes'."""
        if what not in ("outputs", "probabilities"):
            return super().answer(what, encoded, lengths, words)
        return self._answer(what, self.head.outputs(encoded, lengths), lengths, words)

    @property
    def running_pooling(self):
        """The head's pooling, if it can be done while the only recurrent layer reads; else None."""
        pooling = getattr(self.head, "pooling", None)
        return pooling if pooling is not None and pooling.running and len(self.recurrent.directions) == 1 else None

    def answer_pooled(self, what, pooled, lengths, words=None):
        """Return ``"outputs"`` or ``"probabilities"`` as `answer` does, from what `running_pooling` gave."""
        return self._answer(what, self.head.outputs_of_pooled(pooled), lengths, words)

    def _answer(self, what, outputs, lengths, words):
        if self.votes is not None:
            outputs = (outputs + self.votes(words, lengths)) / 2
        return (outputs if what == "outputs" else self.head.finish(outputs),)

    def measure(self, encoded, lengths, words, targets):
        """Return the share of right classes (the mean squared error, for values), and how many were counted."""
        (answers,) = self.answer("probabilities", encoded, lengths, words)
        link = self.config["link"]
        if link == "softmax":
            scores = tf.cast(tf.argmax(answers, -1, tf.int32) == tf.cast(targets, tf.int32), tf.float32)
        else:
            targets = tf.cast(targets, tf.float32)
            if link == "sigmoid":
                scores = tf.cast((answers > 0.5) == (targets > 0.5), tf.float32)
            else:
                scores = tf.square(answers - targets)
        return tf.reduce_mean(scores), tf.size(scores)

    def attention(self, inputs):
        """Return what each step counts in attention pooling, [batch, time]; 0 at padding."""
        if self.config["pooling"] != "attention":
            raise DataError(f"This model has no attention: it was built with pooling={self.config['pooling']!r}.")
        return self.head.attention(*self.encode(inputs))


def build_classifier(vocabulary_size: int = 0, classes: int = 2, *, multilabel: bool = False, **options):
    """Build a classifier of sequences: a ``keras.Model`` from integer ids or vectors to probabilities of classes.

    Nothing in it is learned yet; use it with plain ``compile(optimizer)``, ``fit``, ``predict`` and ``save``. Targets
    are class numbers [batch]; with ``multilabel``, 0 or 1 for each class [batch, classes].

    Parameters
    ----------
    vocabulary_size : int
        Number of word ids; 0 is padding, 1 the unknown word. Left out with ``input_dim``.
    classes : int, default 2
        Number of classes.
    multilabel : bool, default False
        Whether a sequence may have several classes, or none.
    pooling : {"last", "mean", "max", "attention"} or None, default None
        How the outputs of all steps become one vector. None: "max", but for a Jordan network, which feeds its answer
        back and is judged at its last one.
    attention_units : int, default 100
        Size of the hidden layer of attention.
    ngrams : int, default 0
        Words in the longest n-grams that vote beside the network; see `seqkit.layers.ngram_votes.NGramVotes`.
    ngram_rows : int, default 0
        Number of n-grams of two words and more.
    **options
        What speaks of the input, the recurrent layers and dropout, as in `seqkit.models.build_tagger`: ``input_dim``,
        ``cell``, ``units``, ``layers``, ``bidirectional``, ``activation``, ``dropout``, ``recurrent_dropout``,
        ``initial_state``, ``word_dim``, ``word_dropout``, ``rare_from``, ``vector_rows``, ``vector_dim``,
        ``characters``, ``char_encoder``, ``char_dim``, ``char_units``, ``feature_sizes``, ``feature_dim``,
        ``language_model``, ``language_words``, ``seed``.

    Returns
    -------
    SequenceReader
        A ``keras.Model``.

    Examples
    --------
    >>> model = build_classifier(vocabulary_size=5000, classes=2, units=64)
    >>> model.compile("adam")
    >>> model.fit(word_ids, class_numbers, epochs=3)  # int [texts, longest], 0 pads; int [texts]
    """
    return SequenceReader(vocabulary_size, classes, link="sigmoid" if multilabel else "softmax", **options)


def build_regressor(vocabulary_size: int = 0, targets: int = 1, **options):
    """Build a regressor of sequences: a ``keras.Model`` from integer ids or vectors to values [batch, targets].

    Parameters
    ----------
    vocabulary_size : int
        Number of word ids; left out with ``input_dim``.
    targets : int, default 1
        Number of values for each sequence.
    **options
        As in `build_classifier`, without ``multilabel``.

    Returns
    -------
    SequenceReader
        A ``keras.Model``.
    """
    return SequenceReader(vocabulary_size, targets, link="linear", **options)
