"""One tag for each element of a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.estimators.base import BaseSequenceEstimator
from seqkit.estimators.tag_labels import legal_tags, tag_names, tag_numbers, tag_numbers_and_unseen
from seqkit.estimators.targets import check_class_weight, check_sample_weight, sorted_classes
from seqkit.training.held_out import HeldOut, random_part

_CHUNK = 8_192  # sequences predicted at once: bounds memory


class SequenceTagger(BaseSequenceEstimator):
    """Tag every token of a sentence, or every vector of a sequence, with a recurrent network.

    A sentence's tokens become vectors (word, characters, shape, affixes), a recurrent network reads them, and a
    conditional random field decides the tags together (Huang et al. 2015; Lample et al. 2016; Ma & Hovy 2016).

    Parameters
    ----------
    cell : {"lstm", "gru", "elman", "jordan"}, default="lstm"
        The recurrence.
    units : int, default=200
        Hidden units of each direction.
    layers : int, default=1
        Recurrent layers.
    bidirectional : bool, default=True
        Whether to read both ways.
    activation : str or None, default="tanh"
        Activation of the hidden state; any Keras name.
    crf : bool or "auto", default="auto"
        Whether a conditional random field decides the tags together; else each is decided by a softmax. "auto": yes,
        but for a Jordan network, which feeds its own tags back.
    word_dim : int, default=100
        Size of the learned word vectors.
    char_encoder : {"cnn", "rnn"} or None, default="cnn"
        How the characters of a token are read.
    char_units : int, default=50
        Size of a token's vector from its characters.
    shape_features : bool, default=True
        Whether to look at a token's shape (capitals, digits, signs) and at its prefixes and suffixes.
    word_vectors : str, os.PathLike or None, default=None
        File of pretrained vectors (GloVe, word2vec text, fastText ``.vec``, also gzip). They are kept fixed beside the
        learned ones, those of words outside the training data too.
    dropout : float, default=0.5
        Share of features dropped in training before, between and after the recurrent layers.
    recurrent_dropout : float, default=0.0
        Share of the fed-back state dropped in training.
    word_dropout : float, default=0.05
        Share of words replaced by the unknown word in training; of words seen once, one half.
    initial_state : {"zeros", "learned"}, default="zeros"
        State before the first step.
    language_model : float, default=0.2
        Weight of a second objective in training, for words: each direction of the first recurrent layer learns to
        expect the next word, so that it learns from every word and not from the tagged ones alone (Rei 2017). 0: none.
    scheduled_sampling : float, default=0.0
        Jordan only: share of steps trained on the network's own tags in place of the true ones.
    beam_width : int, default=1
        Jordan only: tag sequences followed in prediction.
    class_weight : dict, "balanced" or None, default=None
        Weight of each tag's part of the loss (1 where a dict has none; "balanced": all tags count the same), for
        ``crf=False`` and Jordan networks: a conditional random field judges whole paths, not tags.
    scheme : {"auto", "iob2", "iob1", "iobes", "io"} or None, default="auto"
        What the tags mean. With a scheme, moves it forbids are never predicted and `score` is entity F1; with None,
        `score` is the share of right tags. "auto" looks at the tags.
    tokenizer : {"words", "whitespace", "characters"}, default="words"
        How raw strings are cut into tokens.
    lowercase : bool, default=True
        Whether words are looked up in lower case; characters and shape keep the case in view.
    min_count : int, default=1
        Words seen less often are unknown words.
    optimizer : str, dict or keras.optimizers.Optimizer, default="adam"
        A Keras name, configuration, or optimizer (which is copied).
    learning_rate : float, default=0.002
        Step size, for an optimizer given by name.
    gradient_clip : float or None, default=5.0
        Largest norm of all gradients together.
    batch_size : int, default=32
        Sentences in a training step.
    epochs : int, default=30
        Most passes over the training data.
    patience : int or None, default=6
        Passes without a better score on the validation part before training ends; None: never early.
    validation_fraction : float or None, default=0.1
        Share of the training data, taken at random, that judges each pass, where `fit` is given no validation data.
        None or 0: none, and no early stopping.
    average_weights : bool, default=True
        Whether the moving average of the weights is what is scored and kept.
    max_length : int or None, default=None
        Longest sequence accepted; longer ones raise. None: no limit. Nothing is ever cut.
    warm_start : bool, default=False
        Whether `fit` continues from the present weights. New words are then unknown words, new tags an error.
    checkpoint_dir : str, os.PathLike or None, default=None
        Folder for the state after each pass; `fit` with the same parameters and data resumes from it.
    random_state : int, numpy.random.RandomState or None, default=None
        Seed of weights, dropout, order and the validation part. An int gives the same fit each time on one machine.
    verbose : {"auto", 0, 1, 2}, default="auto"
        Progress: a bar on a terminal ("auto"), none (0), a bar (1), a line a pass (2).

    Attributes
    ----------
    model_ : keras.Model
        The network, made by `seqkit.models.build_tagger`.
    classes_ : ndarray
        The tags, sorted.
    vocabulary_ : seqkit.text.features.TokenVocabulary
        What was learned about tokens; not for vectors.
    history_ : dict
        For each pass: "loss" (per sentence), "f1" or "accuracy" of the validation part, "seconds",
        "tokens_per_second" in training, "elapsed".
    scheme_ : str or None
        The scheme of the tags.
    n_features_in_ : int
        Size of each vector; for vectors only.
    vector_coverage_ : seqkit.text.vectors.Coverage
        With ``word_vectors``: how much of the training vocabulary has a vector; ``print`` shows a report.

    Examples
    --------
    >>> from seqkit import SequenceTagger
    >>> tagger = SequenceTagger(random_state=0)
    >>> tagger.fit([["Harry", "met", "Ron"]] * 10, [["B-PER", "O", "B-PER"]] * 10)  # doctest: +SKIP
    >>> tagger.predict(["Harry met Ron."])  # doctest: +SKIP
    [['B-PER', 'O', 'B-PER', 'O']]
    """

    _parameter_constraints = {  # noqa: RUF012
        "cell": [StrOptions({"lstm", "gru", "elman", "jordan"})],
        "units": [Interval(Integral, 1, None, closed="left")],
        "layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "activation": [str, None],
        "crf": ["boolean", StrOptions({"auto"})],
        "word_dim": [Interval(Integral, 1, None, closed="left")],
        "char_encoder": [StrOptions({"cnn", "rnn"}), None],
        "char_units": [Interval(Integral, 1, None, closed="left")],
        "shape_features": ["boolean"],
        "word_vectors": [str, HasMethods("__fspath__"), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "word_dropout": [Interval(Real, 0, 1, closed="left")],
        "initial_state": [StrOptions({"zeros", "learned"})],
        "language_model": [Interval(Real, 0, None, closed="left")],
        "scheduled_sampling": [Interval(Real, 0, 1, closed="both")],
        "beam_width": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "scheme": [StrOptions({"auto", "iob2", "iob1", "iobes", "io"}), None],
        "tokenizer": [StrOptions({"words", "whitespace", "characters"})],
        "lowercase": ["boolean"],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [str, dict, HasMethods("get_config")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "average_weights": ["boolean"],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
        "checkpoint_dir": [str, HasMethods("__fspath__"), None],
        "random_state": ["random_state"],
        "verbose": [Options(object, {"auto", 0, 1, 2})],
    }
    _plain_state = ("input_kind_", "scheme_", "history_", "n_features_in_", "data_fingerprint_", "_seed")

    def __init__(
        self,
        cell="lstm",
        units=200,
        layers=1,
        bidirectional=True,
        activation="tanh",
        crf="auto",
        word_dim=100,
        char_encoder="cnn",
        char_units=50,
        shape_features=True,
        word_vectors=None,
        dropout=0.5,
        recurrent_dropout=0.0,
        word_dropout=0.05,
        initial_state="zeros",
        language_model=0.2,
        scheduled_sampling=0.0,
        beam_width=1,
        class_weight=None,
        scheme="auto",
        tokenizer="words",
        lowercase=True,
        min_count=1,
        optimizer="adam",
        learning_rate=0.002,
        gradient_clip=5.0,
        batch_size=32,
        epochs=30,
        patience=6,
        validation_fraction=0.1,
        average_weights=True,
        max_length=None,
        warm_start=False,
        checkpoint_dir=None,
        random_state=None,
        verbose="auto",
    ):
        self.cell = cell
        self.units = units
        self.layers = layers
        self.bidirectional = bidirectional
        self.activation = activation
        self.crf = crf
        self.word_dim = word_dim
        self.char_encoder = char_encoder
        self.char_units = char_units
        self.shape_features = shape_features
        self.word_vectors = word_vectors
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.word_dropout = word_dropout
        self.initial_state = initial_state
        self.language_model = language_model
        self.scheduled_sampling = scheduled_sampling
        self.beam_width = beam_width
        self.class_weight = class_weight
        self.scheme = scheme
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.min_count = min_count
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.gradient_clip = gradient_clip
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.average_weights = average_weights
        self.max_length = max_length
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.random_state = random_state
        self.verbose = verbose

    # Fitting

    def fit(self, X, y, validation_data=None, sample_weight=None):
        """Train on sequences and their tags.

        Parameters
        ----------
        X : list of list of str, list of str, or list of array (length, d)
            Tokens, raw strings (cut by ``tokenizer``), or vectors.
        y : list of list
            One tag for each token: strings, or anything that can be hashed.
        validation_data : tuple (X, y), optional
            What judges each pass; by default a random ``validation_fraction`` of the training data.
        sample_weight : array of shape (n,), optional
            Weight of each sequence's loss.

        Returns
        -------
        self
        """
        self._check_parameters()
        continues = self.warm_start and hasattr(self, "model_")
        data = self._read(X, fresh=not continues)
        flat = self._flatten_tags(y, data)
        if not flat:
            raise DataError("X holds no tokens at all: there is nothing to fit.")
        weights = check_sample_weight(sample_weight, len(data))
        if not continues:
            self._choose_scheme(y)
        y, flat = legal_tags(y, flat, self.scheme_)
        tags = self.classes_ if continues else sorted_classes(flat)
        self._check_class_weight(continues, tags)
        if not continues:
            self._start(data, tags)
        tag_ids = tag_numbers(self.classes_, y, flat)
        held_out = self._held_out(validation_data, data, tag_ids)
        self._train(data, tag_ids, weights, held_out, self.epochs)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Take one pass over more data, continuing from the present weights.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        classes : list, optional
            All tags there will be, at the first call; by default those of ``y``. Later, new tags are an error; new
            words are always unknown words.
        sample_weight : array of shape (n,), optional
            Weight of each sequence's loss.

        Returns
        -------
        self
        """
        self._check_parameters()
        if self.class_weight == "balanced":
            raise ParameterError(
                "class_weight='balanced' does not go with partial_fit, which sees a part of the data at a time. "
                "Give the weights in a dict (sklearn.utils.class_weight.compute_class_weight finds them)."
            )
        fresh = not hasattr(self, "model_")
        data = self._read(X, fresh=fresh)
        flat = self._flatten_tags(y, data)
        weights = check_sample_weight(sample_weight, len(data))
        if fresh:
            if not flat and classes is None:
                raise DataError("The first call of partial_fit needs data with tokens, or classes=.")
            # Where all tags are given, those that do not occur yet tell of the scheme too.
            self._choose_scheme(y if classes is None else [*y, *([tag] for tag in classes)])
            y, flat = legal_tags(y, flat, self.scheme_)
            tags = sorted_classes(flat if classes is None else list(classes))
            self._check_class_weight(False, tags)
            self._start(data, tags)
        elif classes is not None:
            tag_numbers(self.classes_, [list(classes)], list(classes), "classes")
        if not fresh:
            y, flat = legal_tags(y, flat, self.scheme_)
            self._check_class_weight(True, self.classes_)
        try:
            tag_ids = tag_numbers(self.classes_, y, flat)
        except DataError:
            if fresh:  # nothing was fitted
                del self.model_
            raise
        if flat:
            self._train(data, tag_ids, weights, None, epochs=1, partial=True)
        return self

    def _check_class_weight(self, continues: bool, classes: np.ndarray) -> None:
        """Check it before anything is changed: against the network there is, or the one that is to be made."""
        cell, crf = self.cell, self.crf
        if continues:
            cell, crf = self._model_config["cell"], self._model_config["crf"] is not False
        check_class_weight(self.class_weight, classes)
        if self.class_weight is not None and cell != "jordan" and crf:
            raise ParameterError(
                f"class_weight={self.class_weight!r} does not go with a conditional random field (crf={self.crf!r}), "
                "whose loss is that of a whole path and has no part for each tag. Set crf=False, or weigh sequences by "
                "sample_weight."
            )

    def _read(self, X, fresh=False, name="X"):
        from seqkit.estimators.sequences import check_sequences

        kind = None if fresh else getattr(self, "input_kind_", None)
        dim = None if fresh else getattr(self, "n_features_in_", None)
        return check_sequences(X, tokenizer=self.tokenizer, kind=kind, dim=dim, max_length=self.max_length, name=name)

    def _flatten_tags(self, y, data, name="y") -> list:
        from seqkit.text.corpus import flatten_tags

        return flatten_tags(y, data.lengths, name)

    def _choose_scheme(self, y) -> None:
        from seqkit.tags import infer_scheme

        self.scheme_ = infer_scheme(y) if self.scheme == "auto" else self.scheme

    def _start(self, data, classes: np.ndarray) -> None:
        """Learn vocabulary and tags, and make a fresh model."""
        self.input_kind_ = "vectors" if data.kind == "vectors" else "tokens"
        self.classes_ = classes
        self._seed = self._draw_seed()
        options = dict(
            tags=tag_names(self.classes_, self.scheme_),
            cell=self.cell,
            units=int(self.units),
            layers=int(self.layers),
            bidirectional=bool(self.bidirectional),
            activation=self.activation,
            crf=None if self.crf == "auto" else bool(self.crf),
            dropout=float(self.dropout),
            recurrent_dropout=float(self.recurrent_dropout),
            initial_state=self.initial_state,
            scheduled_sampling=float(self.scheduled_sampling),
            beam_width=int(self.beam_width),
            scheme=self.scheme_,
            seed=self._seed,
        )
        matrix = None
        if self.input_kind_ == "vectors":
            self.n_features_in_ = int(data.vectors[0].shape[1])
            options["input_dim"] = self.n_features_in_
            self.__dict__.pop("vocabulary_", None)
        else:
            self.__dict__.pop("n_features_in_", None)
            matrix = self._learn_vocabulary(data.corpus)
            vocabulary = self.vocabulary_
            options |= dict(
                vocabulary_size=vocabulary.n_words,
                word_dim=int(self.word_dim),
                word_dropout=float(self.word_dropout),
                rare_from=vocabulary.rare_from,
                characters=vocabulary.n_characters,
                char_encoder=self.char_encoder,
                char_units=int(self.char_units),
                feature_sizes=vocabulary.feature_sizes,
                language_model=float(self.language_model),
            )
            if matrix is not None:
                options |= dict(vector_rows=len(matrix), vector_dim=matrix.shape[1])
        self._model_config = options
        self.model_ = self._build_model()
        if matrix is not None:
            self.model_.encoder.vector_table.assign(matrix)
        self.history_ = {}
        self._drop_live()

    def _learn_vocabulary(self, corpus):
        """Learn `vocabulary_`; return the matrix of pretrained vectors by word id, or None."""
        from seqkit.text.features import learn_vocabulary, normalize

        row_of, vectors = {}, None
        if self.word_vectors is not None:
            import tensorflow as tf

            from seqkit.text.vectors import read_vectors

            vectors = read_vectors(self.word_vectors)
            normal = normalize(tf.constant(vectors.words), self.lowercase, False).numpy()
            for row, (word, key) in enumerate(zip(vectors.words, normal.tolist(), strict=True)):
                key = key.decode()
                if key == word:  # the very word goes before another one that only looks the same in lower case
                    row_of[key] = row
                else:
                    row_of.setdefault(key, row)
        self.vocabulary_ = learn_vocabulary(
            corpus.types,
            corpus.counts,
            characters=self.char_encoder is not None,
            features=self.shape_features,
            lowercase=self.lowercase,
            digits=vectors is None,
            min_count=int(self.min_count),
            extra_words=list(row_of),
        )
        if vectors is None:
            return None
        words = self.vocabulary_.words + self.vocabulary_.extra_words
        rows = np.array([row_of.get(word, -1) for word in words], np.int64)
        matrix = np.zeros((2 + len(words), vectors.dimension), np.float32)  # 0 pads, 1 is the unknown word
        matrix[2:][rows >= 0] = vectors.matrix[rows[rows >= 0]]
        self.vector_coverage_ = vectors.coverage(self.vocabulary_.words)
        return matrix

    def _build_model(self):
        from seqkit.models import build_tagger

        return build_tagger(**self._model_config)

    def _held_out(self, given, data, tag_ids) -> HeldOut | None:
        if given is None:
            return random_part(data, tag_ids, self.validation_fraction, self._seed)
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise InputTypeError("validation_data must be a pair (X, y).")
        held = self._read(given[0], name="validation_data[0]")
        flat = self._flatten_tags(given[1], held, "validation_data[1]")
        numbers, unseen = tag_numbers_and_unseen(self.classes_, flat)
        return HeldOut(held, numbers, np.arange(len(held)), unseen=unseen)

    def _train(self, data, tag_ids, weights, held_out, epochs, partial=False) -> None:
        from seqkit.training.tagging import train_tagger

        trained = tag_ids
        if held_out is not None and held_out.train_rows is not None:
            ends = np.cumsum(data.lengths)
            trained = np.concatenate(
                [tag_ids[ends[row] - data.lengths[row] : ends[row]] for row in held_out.train_rows]
            )
        tag_weights = check_class_weight(self.class_weight, self.classes_, trained)
        train_tagger(self, data, tag_ids, weights, tag_weights, held_out, epochs, partial)

    # Predicting

    def predict(self, X) -> list[list]:
        """Return the tags of each sequence, as they were given to `fit`.

        Parameters
        ----------
        X : list of list of str, list of str, or list of array (length, d)
            As in `fit`.

        Returns
        -------
        list of list
            One tag for each token. A Jordan network's tags come from running free, greedily or by beam.
        """
        self._check_fitted()
        return self._predict(self._read(X))

    def _predict(self, data) -> list[list]:
        from seqkit.training.decoding import decode

        if not len(data):
            return []
        return _split(self.classes_[decode(self, data)[0]], data.lengths)

    def predict_iter(self, X: Iterable, chunk_size: int = _CHUNK) -> Iterator[list]:
        """Yield the tags of each sequence of a stream, in order, holding only ``chunk_size`` of them in memory."""
        self._check_fitted()
        if isinstance(X, str | bytes):
            raise InputTypeError("X must be an iterable of sequences, got one string.")
        if not isinstance(chunk_size, Integral) or chunk_size < 1:
            raise ParameterError(f"chunk_size={chunk_size!r} must be an integer of at least 1.")
        stream, first = iter(X), 0
        while chunk := list(islice(stream, chunk_size)):
            yield from self._predict(self._read(chunk, name=f"X[{first}:]" if first else "X"))
            first += len(chunk)

    def predict_proba(self, X) -> list[np.ndarray]:
        """Return for each sequence an array (length, n_classes), columns in the order of ``classes_``.

        With a conditional random field these are marginals of the sequence model (forward–backward), not a softmax of
        each step.
        """
        self._check_fitted()
        from seqkit.training.decoding import probabilities

        data = self._read(X)
        if not len(data):
            return []
        return np.split(probabilities(self, data), np.cumsum(data.lengths)[:-1])

    def tag(self, texts: Sequence[str]) -> list[dict]:
        """Tag raw strings and gather entities.

        Parameters
        ----------
        texts : list of str
            The strings.

        Returns
        -------
        list of dict
            For each: ``text``, ``tokens``, ``tags``, ``scores`` (probability of each tag), and ``entities``: dicts of
            ``start`` and ``end`` (character offsets), ``text``, ``label`` and ``score`` (the lowest of its tags).
        """
        self._check_fitted()
        from seqkit.tags import entity_spans
        from seqkit.text.tokenizer import tokenize_texts
        from seqkit.training.decoding import decode

        if isinstance(texts, str | bytes):
            raise InputTypeError(f"texts must be a list of strings, got one string {texts!r:.60}. Wrap it in a list.")
        tokenized = tokenize_texts(list(texts), self.tokenizer)
        data = self._read([t.tokens for t in tokenized])
        if not len(data):
            return []
        ids, scores = decode(self, data, scores=True)
        results = []
        rows = zip(
            texts, tokenized, _split(self.classes_[ids], data.lengths), _split(scores, data.lengths), strict=True
        )
        for text, tokens, tags, tag_scores in rows:
            spans = entity_spans(tags, self.scheme_) if self.scheme_ else []
            entities = [
                {
                    "start": tokens.starts[a],
                    "end": tokens.ends[b - 1],
                    "text": text[tokens.starts[a] : tokens.ends[b - 1]],
                    "label": label,
                    "score": min(tag_scores[a:b]),
                }
                for a, b, label in spans
            ]
            results.append(
                {"text": text, "tokens": tokens.tokens, "tags": tags, "scores": tag_scores, "entities": entities}
            )
        return results

    def score(self, X, y, sample_weight=None) -> float:
        """Return entity F1 where tags have a scheme, else the share of right tags.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        sample_weight : array of shape (n,), optional
            Weight of each sequence in the count.

        Returns
        -------
        float
            Between 0 and 1.
        """
        from seqkit.metrics.entities import entity_f1, token_accuracy

        self._check_fitted()
        data = self._read(X)
        self._flatten_tags(y, data)
        weights = None if sample_weight is None else check_sample_weight(sample_weight, len(data))
        metric = entity_f1 if self.scheme_ else token_accuracy
        return metric(list(y), self._predict(data), sample_weight=weights)

    def export(self, root) -> Path:
        """Write a SavedModel for TensorFlow Serving.

        Parameters
        ----------
        root : str or os.PathLike
            The model's folder; the export goes to ``root/<next version>``. It is checked in TensorFlow's C++ runtime
            against `predict`, and appears whole or not at all.

        Returns
        -------
        pathlib.Path
            The version's folder.
        """
        self._check_fitted()
        from seqkit.export.tagger import export_tagger

        return export_tagger(self, root)

    def _drop_live(self) -> None:
        for name in [name for name in self.__dict__ if name.startswith("_live_")]:
            del self.__dict__[name]


def _split(flat: np.ndarray, lengths: np.ndarray) -> list[list]:
    values, ends = flat.tolist(), np.cumsum(lengths).tolist()
    return [values[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]
