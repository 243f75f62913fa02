"""Sequences to sequences of another length."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from seqkit.errors import DataError, ParameterError
from seqkit.estimators.sequence_estimator import READER_CONSTRAINTS, TRAINING_CONSTRAINTS, SequenceEstimator
from seqkit.estimators.sequences import Sequences, as_list, check_sequences
from seqkit.estimators.translating import TranslatingMixin

_LEAST_STEPS = 50  # in a pass over small data
_MOST_ROWS = 64
_LEAST_DEVIATION = 1e-6
_RARE = 0.25  # most words seen once, of running words
_TOKENIZERS = {"words", "whitespace", "characters", "wordpiece"}


class Seq2Seq(TranslatingMixin, SequenceEstimator):
    """Turn sequences into sequences of another length: translation, spelling to sound, captions, forecasts.

    One recurrent network, the encoder, reads a source: a text, a list of tokens, or vectors. Another, the decoder,
    writes the target, looking back at the source by attention. Texts and tokens are found by beam search.

    Parameters
    ----------
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default="lstm"
        The recurrence of both. A Jordan decoder feeds back the distribution of tokens that it answers with; with
        attention, the output by which it looks at the source.
    units : int, default=256
        Hidden units of each layer of the decoder, and of each direction of the encoder.
    layers : int, default=1
        Recurrent layers of the encoder. 0: the source's vectors are looked at as they are, and their mean is what the
        decoder begins with; for features of an image, for one.
    decoder_layers : int, default=1
        Recurrent layers of the decoder.
    bidirectional : bool, default=True
        Whether the encoder reads both ways.
    activation : str or None, default="tanh"
        Activation of the hidden state; any Keras name.
    attend : {"general", "additive", "dot", "local"} or None, default="general"
        How the decoder looks back: the scores of Luong et al. 2015 and of Bahdanau et al. 2015, see
        `seqkit.layers.attention.Attention`. In training "additive" holds an array of pairs, target items, source items
        and units: of long sequences choose another, or a small ``batch_size``. None: all that it knows of the source is
        the encoder's last state.
    input_feeding : bool, default=False
        Whether what was found at a step is part of the next input (Luong et al. 2015). Slower to train.
    context_as : {"auto", "state", "input", "both"}, default="auto"
        Whether the encoder's last state makes the decoder's first one, comes in at each step, or both. "auto": "state"
        with attention, which finds the rest, else "both".
    word_dim : int, default=256
        Size of the learned vectors of tokens, of both sides.
    tied : bool, default=False
        Whether the target's vectors serve as the output layer too (Press & Wolf 2017).
    dropout : float, default=0.3
        Share of features dropped in training before, between and after the recurrent layers.
    recurrent_dropout : float, default=0.0
        Share of the fed-back state dropped in training.
    word_dropout : float, default=0.0
        Share of source tokens replaced by the unknown token in training; of those seen once, one half.
    initial_state : {"zeros", "learned"}, default="zeros"
        State of the encoder before the first step.
    scheduled_sampling : float, default=0.0
        Share of target tokens that the network's own choice stands in for in training (Bengio et al. 2015).
    halting : {"auto", "bernoulli", "length", None}, default="auto"
        How targets that are vectors end: by a chance at each step, at a length predicted from the source, or only at
        the longest length that was seen (None). "auto": None where all have one length, else by that chance. Texts and
        tokens end by a token of their own, ``<EOS>``.
    tokenizer : {"words", "whitespace", "characters", "wordpiece"}, default="words"
        How raw strings are cut into tokens, on both sides. "words": words and signs, with a mark where no white space
        is between them, so that texts come back as texts. "wordpiece": such words cut further into ``subwords``
        frequent pieces, by tensorflow-text, which an exported model then needs too.
    target_tokenizer : {"words", "whitespace", "characters", "wordpiece"} or None, default=None
        Likewise for targets; None: as ``tokenizer``.
    subwords : int, default=8000
        About how many pieces of "wordpiece" each side has.
    lowercase : bool, default=False
        Whether source tokens are looked up in lower case.
    min_count : int or "auto", default="auto"
        Tokens seen less often are the unknown token, ``<UNK>``. "auto": 2 for texts cut into words, if three of four
        running words are known then, else 1.
    beam_width : int, default=5
        Sequences that the search for the best one holds. 1: the most probable token is taken at each step.
    length_penalty : float, default=0.6
        How sequences of differing lengths are compared: log-probabilities are divided by ((5 + length) / 6) to this
        power (Wu et al. 2016). 0: not at all.
    coverage_penalty : float, default=0.0
        What it costs not to have looked at all of the source (Wu et al. 2016).
    unk_replace : bool, default=True
        Whether an unknown token in what is written is replaced by the source token it looked at most (Luong et al.
        2015). Otherwise, and without attention, none is written.
    optimizer : str, dict or keras.optimizers.Optimizer, default="adam"
        A Keras name, configuration, or optimizer (which is copied).
    learning_rate : float, default=0.002
        Step size, for an optimizer given by name.
    learning_rate_decay : {"cosine"} or None, default=None
        "cosine": the step size falls to 0 by the end of the last of all ``epochs`` (Loshchilov & Hutter 2017, eq. 5):
        choose as many as there is time for; long trainings gain much from it. None: it stays as it is.
    gradient_clip : float or None, default=1.0
        Largest norm of all gradients together.
    batch_size : int or "auto", default="auto"
        Pairs in a training step. "auto": 64, fewer where that would make less than 50 steps in a pass.
    epochs : int, default=30
        Most passes over the training data.
    patience : int or None, default=3
        Passes without a better loss on the validation part before training ends; None: never early.
    validation_fraction : float or None, default=0.1
        Share of the training data, taken at random, that judges each pass, where `fit` is given no validation data.
        None or 0: none, and no early stopping.
    average_weights : bool, default=True
        Whether the moving average of the weights is what is scored and kept.
    max_length : int or None, default=None
        Longest sequence accepted; longer ones raise. None: no limit. Nothing is ever cut.
    warm_start : bool, default=False
        Whether `fit` continues from the present weights. New tokens are then unknown tokens.
    checkpoint_dir : str, os.PathLike or None, default=None
        Folder for the state after each pass; `fit` with the same parameters and data resumes from it.
    strategy : {"mirrored", "multi_worker"} or None, default=None
        Devices that share the rows of each batch. None: one. "mirrored": all of this machine (GPUs, where it has some).
        "multi_worker": those of all workers that ``TF_CONFIG`` names, each a process that runs the same `fit`.
    mixed_precision : {"bfloat16"} or None, default=None
        Type of the matrix products in training. Weights, states and losses stay float32, and so does all that the
        fitted model does.
    random_state : int, numpy.random.RandomState or None, default=None
        Seed of weights, dropout, order and the validation part. An int gives the same fit each time on one machine.
    verbose : {"auto", 0, 1, 2}, default="auto"
        Progress: a bar on a terminal ("auto"), none (0), a bar (1), a line a pass (2).

    Attributes
    ----------
    model_ : keras.Model
        The network, made by `seqkit.models.build_encoder_decoder`.
    vocabulary_, target_vocabulary_ : seqkit.text.features.TokenVocabulary
        The tokens of each side; not for vectors.
    source_kind_, target_kind_ : {"texts", "tokens", "vectors"}
        What sources and targets are.
    longest_ : list of int
        For each length of a source, from 0 on, the longest target of those sources that were learned from and are no
        longer. What is written is at most a fifth and five items longer than that; longer in proportion where the
        source is longer than any.
    history_ : dict
        For each pass: "loss" (per item), "validation_loss" of the validation part, "seconds", "tokens_per_second" in
        training (of both sides), "elapsed".
    n_features_in_ : int
        Size of each source vector; of an array (n, steps), its steps. For vectors only.

    Examples
    --------
    >>> from seqkit import Seq2Seq
    >>> words, sounds = ["cab", "bad", "cad"] * 30, [list("KAB"), list("BAD"), list("KAD")] * 30
    >>> model = Seq2Seq(tokenizer="characters", units=32, random_state=0).fit(words, sounds)  # doctest: +SKIP
    >>> model.predict(["dab"])  # doctest: +SKIP
    [['D', 'A', 'B']]
    """

    _parameter_constraints = {  # noqa: RUF012
        **{name: READER_CONSTRAINTS[name] for name in ("cell", "units", "bidirectional", "activation", "word_dim")},
        "layers": [Interval(Integral, 0, None, closed="left")],
        "decoder_layers": [Interval(Integral, 1, None, closed="left")],
        "attend": [StrOptions({"general", "additive", "dot", "local"}), None],
        "input_feeding": ["boolean"],
        "context_as": [StrOptions({"auto", "input", "state", "both"})],
        "tied": ["boolean"],
        **{name: READER_CONSTRAINTS[name] for name in ("dropout", "recurrent_dropout", "word_dropout")},
        **{name: READER_CONSTRAINTS[name] for name in ("initial_state", "lowercase")},
        "scheduled_sampling": [Interval(Real, 0, 1, closed="both")],
        "halting": [StrOptions({"auto", "bernoulli", "length"}), None],
        "tokenizer": [StrOptions(_TOKENIZERS)],
        "target_tokenizer": [StrOptions(_TOKENIZERS), None],
        "subwords": [Interval(Integral, 10, None, closed="left")],
        "min_count": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "beam_width": [Interval(Integral, 1, None, closed="left")],
        "length_penalty": [Interval(Real, 0, None, closed="left")],
        "coverage_penalty": [Interval(Real, 0, None, closed="left")],
        "unk_replace": ["boolean"],
        **TRAINING_CONSTRAINTS,
        "learning_rate_decay": [StrOptions({"cosine"}), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }
    _builder = "build_encoder_decoder"
    _target_per_step = False
    _vocabularies = ("vocabulary_", "target_vocabulary_")
    language_model = 0.0  # a parameter of other readers
    _plain_state = (
        *SequenceEstimator._plain_state,
        "source_kind_",
        "target_kind_",
        "longest_",
        "_pieces",
        "_target_dim",
        "_target_form",
        "_halting",
    )

    def __init__(
        self,
        cell="lstm",
        units=256,
        layers=1,
        decoder_layers=1,
        bidirectional=True,
        activation="tanh",
        attend="general",
        input_feeding=False,
        context_as="auto",
        word_dim=256,
        tied=False,
        dropout=0.3,
        recurrent_dropout=0.0,
        word_dropout=0.0,
        initial_state="zeros",
        scheduled_sampling=0.0,
        halting="auto",
        tokenizer="words",
        target_tokenizer=None,
        subwords=8000,
        lowercase=False,
        min_count="auto",
        beam_width=5,
        length_penalty=0.6,
        coverage_penalty=0.0,
        unk_replace=True,
        optimizer="adam",
        learning_rate=0.002,
        learning_rate_decay=None,
        gradient_clip=1.0,
        batch_size="auto",
        epochs=30,
        patience=3,
        validation_fraction=0.1,
        average_weights=True,
        max_length=None,
        warm_start=False,
        checkpoint_dir=None,
        strategy=None,
        mixed_precision=None,
        random_state=None,
        verbose="auto",
    ):
        self.cell = cell
        self.units = units
        self.layers = layers
        self.decoder_layers = decoder_layers
        self.bidirectional = bidirectional
        self.activation = activation
        self.attend = attend
        self.input_feeding = input_feeding
        self.context_as = context_as
        self.word_dim = word_dim
        self.tied = tied
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.word_dropout = word_dropout
        self.initial_state = initial_state
        self.scheduled_sampling = scheduled_sampling
        self.halting = halting
        self.tokenizer = tokenizer
        self.target_tokenizer = target_tokenizer
        self.subwords = subwords
        self.lowercase = lowercase
        self.min_count = min_count
        self.beam_width = beam_width
        self.length_penalty = length_penalty
        self.coverage_penalty = coverage_penalty
        self.unk_replace = unk_replace
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.gradient_clip = gradient_clip
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.average_weights = average_weights
        self.max_length = max_length
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.strategy = strategy
        self.mixed_precision = mixed_precision
        self.random_state = random_state
        self.verbose = verbose

    # Fitting

    def fit(self, X, y, validation_data=None, sample_weight=None):
        """Learn from pairs of sequences.

        Parameters
        ----------
        X : list of str, list of list of str, or list of array (length, d)
            Sources: raw strings (cut by ``tokenizer``), tokens, or vectors; also an array (n, length, d), or
            (n, length) of sequences of numbers.
        y : list of str, list of list of str, or list of array (length, d)
            Targets, likewise. Tokens are strings: numbers are values to be told, so write ``str(3)`` for token 3.
        validation_data : tuple (X, y), optional
            What judges each pass; by default a random ``validation_fraction`` of the training data.
        sample_weight : array of shape (n,), optional
            Weight of each pair's loss.

        Returns
        -------
        self
        """
        return super().fit(X, y, validation_data, sample_weight)

    def partial_fit(self, X, y, sample_weight=None):
        """Take one pass over more pairs, continuing from the present weights; the first call learns the vocabularies.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, None, sample_weight)

    def _mode(self, side: str) -> str:
        return self.tokenizer if side == "source" else self.target_tokenizer or self.tokenizer

    def _segmenter(self, side: str):
        """Return what cuts the texts of a side, "source" or "target"."""
        from seqkit.text.segmentation import Segmenter

        mode, pieces = self._mode(side), self._pieces.get(side)
        if mode == "wordpiece" and not pieces:
            mode = "words"
        # Tokens that were given as such do not tell where white space was.
        how = mode, pieces, getattr(self, f"{side}_kind_", "texts") == "texts"
        made = self.__dict__.setdefault("_live", {}).setdefault("segmenters", {})
        if made.get(side, (None,))[0] != how:
            made[side] = how, Segmenter(mode, pieces or (), joiners=how[2])
        return made[side][1]

    def _cutter(self):
        return self._segmenter("source").cut

    def _read(self, X, fresh=False, name="X"):
        if fresh:
            self._pieces = {}
            for kind in ("source_kind_", "target_kind_"):
                self.__dict__.pop(kind, None)
        X = as_list(X, name) if not hasattr(X, "ndim") else X
        data = super()._read(X, fresh, name)
        if fresh:
            self.source_kind_ = data.kind
            if self._learn_pieces("source", data):
                data = super()._read(X, fresh, name)
        return data

    def _read_targets(self, y, count: int, fresh: bool, name: str, max_length=None, own=False) -> Sequences:
        """Check targets; those are the network's ``own`` that are in its tokens though y in `fit` was texts."""
        y = as_list(y, name)
        kind = None if fresh else "vectors" if self.target_kind_ == "vectors" else "tokens"
        dim = self._target_dim if kind == "vectors" else None

        def read():
            cut = self._segmenter("target").cut
            return check_sequences(y, tokenizer=cut, kind=kind, dim=dim, max_length=max_length, name=name)

        targets = read()
        if fresh and self._learn_pieces("target", targets):
            targets = read()
        if len(targets) != count:
            raise DataError(f"X and {name} have lengths {count} and {len(targets)}.")
        if not (fresh or own) and (self.target_kind_, targets.kind) == ("texts", "tokens") and targets.lengths.any():
            raise DataError(f"{name} holds lists of tokens; this model was fitted on texts. Give raw strings.")
        if targets.vectors is not None and not targets.lengths.all():
            raise DataError(f"{name}[{targets.lengths.argmin()}] has no steps; targets that are vectors need one.")
        if targets.kind == "tokens" and len(empty := np.flatnonzero(targets.corpus.types.numpy() == b"")):
            at = np.flatnonzero(targets.corpus.index == empty[0])[0]
            row = int(np.searchsorted(np.cumsum(targets.lengths), at, side="right"))
            raise DataError(f'{name}[{row}] holds the empty string "", which is no token. Leave it out.')
        return targets

    def _learn_pieces(self, side: str, data) -> bool:
        """Learn the pieces of words that a side is cut into; return whether it is."""
        if self._mode(side) != "wordpiece" or data.kind != "texts":
            return False
        from seqkit.text.segmentation import learn_pieces

        self._pieces[side] = learn_pieces(data.corpus.types, data.corpus.counts, int(self.subwords))
        return True

    def _fit_targets(self, y, data, fresh, classes=None):
        targets = self._read_targets(y, len(data), fresh, "y", self.max_length)
        if fresh:
            self.target_kind_ = targets.kind
            self._target_form = None
            if targets.kind == "vectors":
                numbers = all(np.ndim(row) == 1 for row in as_list(y, "y")) or getattr(y, "ndim", 0) == 2
                self._target_form = [getattr(getattr(y, "dtype", None), "kind", "O") in "biuf", numbers]
            self._target_dim = int(targets.vectors[0].shape[1]) if targets.kind == "vectors" else None
        return targets

    def _validation_targets(self, y, data, name):
        return self._read_targets(y, len(data), False, name, self.max_length), []

    def _vocabulary_of(self, corpus, kind: str, side: str, lowercase: bool):
        from seqkit.text.features import learn_vocabulary
        from seqkit.text.segmentation import UNKNOWN_PIECE

        least = self.min_count
        if least == "auto":
            words = kind == "texts" and self._mode(side) in ("words", "whitespace")
            least = 2 if words and (corpus.counts == 1).sum() <= _RARE * corpus.counts.sum() else 1
        options = dict(characters=False, features=False, lowercase=lowercase, digits=False, min_count=int(least))
        types, counts = corpus.types, corpus.counts
        if kind == "texts" and self._mode(side) == "wordpiece":
            kept = types.numpy() != UNKNOWN_PIECE.encode()
            types, counts = types[kept], counts[kept]
        return learn_vocabulary(types, counts, **options)

    def _learn_vocabulary(self, corpus):
        self.vocabulary_ = self._vocabulary_of(corpus, self.source_kind_, "source", bool(self.lowercase))

    def _text_options(self, data) -> dict:
        return dict(
            vocabulary_size=self.vocabulary_.n_words,
            word_dim=int(self.word_dim),
            word_dropout=float(self.word_dropout),
            rare_from=self.vocabulary_.rare_from,
            char_encoder=None,
        )

    def _model_options(self) -> dict:
        if self.attend is None and self.coverage_penalty:
            raise ParameterError(
                f"coverage_penalty={self.coverage_penalty!r} counts what attention looked at; attend=None has none."
            )
        if self.target_kind_ == "vectors" and self.tied:
            raise ParameterError("tied=True shares the vectors of target tokens; targets that are vectors have none.")
        auto = "both" if self.attend is None else "state"
        options = dict(
            attend=self.attend,
            input_feeding=bool(self.input_feeding),
            context_as=auto if self.context_as == "auto" else self.context_as,
            decoder_layers=int(self.decoder_layers),
            tied=bool(self.tied),
            scheduled_sampling=float(self.scheduled_sampling),
        )
        if self.target_kind_ != "vectors":
            return options | dict(target_size=self.target_vocabulary_.n_words, target_dim=int(self.word_dim))
        return options | dict(targets="vectors", target_size=self._target_dim, halting=self._halting)

    def _start(self, data, targets, weights):
        self.longest_ = []
        self.__dict__.pop("target_vocabulary_", None)
        if self.target_kind_ != "vectors":
            self.target_vocabulary_ = self._vocabulary_of(targets.corpus, targets.kind, "target", lowercase=False)
        self._halting = self.halting if self.target_kind_ == "vectors" else None
        if self._halting == "auto":
            self._halting = "bernoulli" if len(set(targets.lengths.tolist())) > 1 else None
        super()._start(data, targets, weights)
        model, items = self.model_, self._target_items(targets)
        if self.target_kind_ == "vectors":
            of_each = np.repeat(weights, targets.lengths)
            mean = np.average(items, 0, of_each)
            deviation = np.sqrt(np.average(np.square(items - mean), 0, of_each))
            model.standardize_targets(mean, np.where(deviation > _LEAST_DEVIATION, deviation, 1.0))
            if self._halting == "length":
                model.decoder.length_head.expect(targets.lengths)
        else:
            from seqkit.layers.softmax import unigram_shares

            model.decoder.expect(unigram_shares(items, self.target_vocabulary_.n_words, ends=len(targets)))

    def _train(self, data, targets, weights, held_out, epochs, partial=False):
        from seqkit.training.pairs import fit_pairs

        before, shortest = self.longest_, data.lengths.min()
        longest = np.zeros(max(int(data.lengths.max()) + 1, len(before)), int)
        np.maximum.at(longest, data.lengths, targets.lengths)
        longest[:shortest] = 0 if before else longest[shortest]
        longest[: len(before)] = np.maximum(longest[: len(before)], before)
        self.longest_ = np.maximum.accumulate(longest).tolist()
        self._live["pairs"] = data, targets
        try:
            fit_pairs(self, data, targets, weights, held_out, epochs, partial)
        finally:
            self._live.pop("pairs", None)

    def _evaluation(self, held_out, tensors):
        from seqkit.training.pairs import pair_evaluation

        data, targets = self._live["pairs"]
        if held_out.data is not data:
            data, targets = held_out.data, held_out.targets
        return pair_evaluation(self, data, targets, held_out.rows, tensors)

    def _batch_rows(self, rows) -> int:
        if self.batch_size != "auto":
            return self.batch_size
        return int(np.clip(len(rows) // _LEAST_STEPS, 1, _MOST_ROWS))

    def _target_items(self, targets) -> np.ndarray:
        """Return the ids of all tokens, or all vectors, of targets; at least one, for the graph to gather."""
        import tensorflow as tf

        from seqkit.text.features import TokenGraph

        if targets.vectors is not None:
            return np.concatenate(
                [np.zeros((int(not targets.lengths.sum()), self._target_dim), np.float32), *targets.vectors]
            )
        if not len(targets.corpus.index):
            return np.zeros(1, np.int32)
        ids = self._once("target graph", lambda: TokenGraph(self.target_vocabulary_))(targets.corpus.types)["words"]
        return tf.gather(ids, targets.corpus.index).numpy()

    def _export(self, root):
        from seqkit.export.seq2seq import export_seq2seq

        return export_seq2seq(self, root)

    def __sklearn_tags__(self):
        """Say what X may be."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags
