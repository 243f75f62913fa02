"""Many to many, in step: one tag for each element of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import keras
import tensorflow as tf

from seqkit.errors import ParameterError
from seqkit.layers.jordan import JordanHead
from seqkit.layers.tag_heads import CRFHead, SoftmaxHead
from seqkit.models.sequence_model import SequenceModel
from seqkit.models.text_model import check_shares, is_integer
from seqkit.tags import transition_masks


@keras.saving.register_keras_serializable("seqkit")
class Tagger(SequenceModel):
    """The model that `build_tagger` makes; its arguments are those of `build_tagger`.

    Called on a batch it gives the probability of every tag at every step, [batch, time, tags] (0 at padding), and so
    does ``predict``; `decode` gives the best tags. ``fit`` needs no loss: the model brings its own (the negative
    log-likelihood of the true tags), and counts accuracy over real steps only.
    """

    kind = "tagger"

    def __init__(
        self,
        vocabulary_size: int = 0,
        tags: int | Sequence[str] = 2,
        *,
        crf: bool | None = None,
        scheduled_sampling: float = 0.0,
        beam_width: int = 1,
        scheme: str | None = "iob2",
        **options,
    ):
        super().__init__(vocabulary_size, **options)
        named = isinstance(tags, Sequence) or (hasattr(tags, "__array__") and not isinstance(tags, Integral))
        tags = [str(tag) for tag in tags] if named else tags
        own = dict(tags=tags, crf=crf, scheduled_sampling=scheduled_sampling, beam_width=beam_width, scheme=scheme)
        self.config |= own
        self._check_head()
        self.num_tags = len(tags) if named else int(tags)
        masks = {}
        if named and scheme is not None:
            names = ("start_mask", "transition_mask", "end_mask")
            masks = {k: mask.tolist() for k, mask in zip(names, transition_masks(tags, scheme), strict=True)}
        c = self.config
        if c["cell"] == "jordan":
            self.head = JordanHead(
                self.num_tags,
                c["units"],
                activation=c["activation"],
                bidirectional=c["bidirectional"],
                scheduled_sampling=scheduled_sampling,
                beam_width=beam_width,
                recurrent_dropout=c["recurrent_dropout"],
                initial_state=c["initial_state"],
                **masks,
                seed=self._seed(5),
                dtype=self.dtype_policy,
                name="head",
            )
        else:
            head = SoftmaxHead if crf is False else CRFHead
            self.head = head(self.num_tags, **masks, seed=self._seed(5), dtype=self.dtype_policy, name="head")
        self.head.build((None, None, self.head_dim))
        self.score_tracker = keras.metrics.Mean(name="accuracy")

    def _check_head(self):
        c = self.config
        if c["cell"] == "jordan" and c["crf"]:
            raise ParameterError(
                "crf=True does not go with cell='jordan': a Jordan network feeds its own tags back. "
                "Use crf=None (or False) and beam_width= for a search over tag sequences."
            )
        if c["cell"] != "jordan" and (c["scheduled_sampling"] or c["beam_width"] != 1):
            raise ParameterError(
                "scheduled_sampling= and beam_width= belong to cell='jordan', whose output is fed back."
            )
        if not is_integer(c["beam_width"], 1):
            raise ParameterError(f"beam_width={c['beam_width']!r} must be an integer of at least 1.")
        tags = c["tags"]
        if not (is_integer(tags, 1) or (isinstance(tags, list) and tags and len(set(tags)) == len(tags))):
            raise ParameterError(f"tags={tags!r} must be a number of at least 1, or a list of distinct names.")
        check_shares(closed=True, scheduled_sampling=c["scheduled_sampling"])

    def decode(self, inputs):
        """Return the best tags of a batch.

        Args:
            inputs: As for a call of the model.

        Returns:
            int32 tensor [batch, time], 0 at padding, and float32 tensor [batch, time]: the probability of each tag.
        """
        encoded, lengths = self.encode(inputs)
        return self.head.decode(encoded, lengths)

    def answer(self, what, encoded, lengths, words=None):
        """Return what is asked of the head; of ``best`` only the tags of what ``decode`` gives."""
        return (
            super().answer("decode", encoded, lengths)[:1] if what == "best" else super().answer(what, encoded, lengths)
        )

    def measure(self, encoded, lengths, words, targets):
        """Return the share of right tags, and the number of tags."""
        predicted, _ = self.head.decode(encoded, lengths)
        real = tf.sequence_mask(lengths, tf.shape(predicted)[1])
        right = tf.math.count_nonzero(real & (predicted == tf.cast(targets, tf.int32)), dtype=tf.float32)
        steps = tf.cast(tf.reduce_sum(lengths), tf.float32)
        return tf.math.divide_no_nan(right, steps), steps


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
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default "lstm"
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
