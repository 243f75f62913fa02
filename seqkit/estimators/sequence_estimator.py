"""What the estimators share whose X is texts, lists of tokens, or sequences of vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from seqkit.cells import CELL_NAMES
from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.estimators.base import BaseSequenceEstimator
from seqkit.estimators.targets import check_class_weight, check_sample_weight
from seqkit.training.held_out import HeldOut, random_part

CHUNK = 8_192  # sequences predicted at once: bounds memory

#: What parameters may be that speak of the input and the network.
READER_CONSTRAINTS = {
    "cell": [StrOptions(set(CELL_NAMES))],
    "units": [Interval(Integral, 1, None, closed="left")],
    "layers": [Interval(Integral, 1, None, closed="left")],
    "bidirectional": ["boolean"],
    "activation": [str, None],
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
    "tokenizer": [StrOptions({"words", "whitespace", "characters"})],
    "lowercase": ["boolean"],
    "min_count": [Interval(Integral, 1, None, closed="left")],
}
#: What parameters may be that speak of training.
TRAINING_CONSTRAINTS = {
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
    "strategy": [StrOptions({"mirrored", "multi_worker"}), None],
    "mixed_precision": [StrOptions({"bfloat16"}), None],
    "random_state": ["random_state"],
    "verbose": [Options(object, {"auto", 0, 1, 2})],
}


class SequenceEstimator(BaseSequenceEstimator):
    """Fit and predict of estimators that read sequences.

    A subclass names its builder and answers four questions: what the targets are (`_fit_targets`), what those of
    validation data are (`_validation_targets`), what its builder needs beside what all readers need
    (`_model_options`), and how the model is scored (`_evaluation`). Its `_predict` makes answers of checked input.
    """

    _plain_state = ("input_kind_", "history_", "n_features_in_", "data_fingerprint_", "_seed", "_table_width")
    #: Function of `seqkit.models` that makes the model.
    _builder: str
    _target_per_step = True  # or per node; else one for each sequence

    def _fit_targets(self, y, data, fresh: bool, classes=None) -> np.ndarray:
        """Check y and return it as numbers; learn what classes there are where ``fresh``."""
        raise NotImplementedError

    def _validation_targets(self, y, data, name: str) -> tuple[np.ndarray, list]:
        """Check y of validation data; return it as numbers, and the classes that training data lack."""
        raise NotImplementedError

    def _model_options(self) -> dict:
        """Return the builder's options that are this estimator's own."""
        raise NotImplementedError

    def _evaluation(self, held_out: HeldOut, tensors):
        """Return a function to scores by name; ``tensors`` are those of the held-out data."""
        raise NotImplementedError

    def _predict(self, data):
        """Return the answers for checked sequences."""
        raise NotImplementedError

    def _export(self, root) -> Path:
        """Write the SavedModel; see `export`."""
        raise NotImplementedError

    # Fitting

    def fit(self, X, y, validation_data=None, sample_weight=None):
        """Train on sequences and their targets; see the estimator."""
        self._check_parameters()
        self._check_devices()
        with self._unchanged_on_error(), self._devices().watched(self._advice()):
            fresh = not (self.warm_start and hasattr(self, "model_"))
            data = self._read(X, fresh=fresh)
            weights = check_sample_weight(sample_weight, len(data))
            _check_table(data)
            data, targets, weights = self._of_weight(data, self._fit_targets(y, data, fresh), weights)
            if not data.lengths.sum():
                raise DataError("X holds no tokens at all: there is nothing to fit.")
            self._check_class_weight(fresh)
            if fresh:
                self._start(data, targets, weights)
            self._train(data, targets, weights, self._held_out(validation_data, data, targets), self.epochs)
        return self

    def _partial_fit(self, X, y, classes, sample_weight):
        self._check_parameters()
        if getattr(self, "class_weight", None) == "balanced":
            raise ParameterError(
                "class_weight='balanced' does not go with partial_fit, which sees a part of the data at a time. "
                "Give the weights in a dict (sklearn.utils.class_weight.compute_class_weight finds them)."
            )
        self._check_devices()
        with self._unchanged_on_error(), self._devices().watched(self._advice()):
            fresh = not hasattr(self, "model_")
            data = self._read(X, fresh=fresh)
            weights = check_sample_weight(sample_weight, len(data))
            if fresh and not data.lengths.sum() and classes is None:
                raise DataError(
                    "The first call of partial_fit needs data with tokens, or classes= where it takes them."
                )
            data, targets, weights = self._of_weight(data, self._fit_targets(y, data, fresh, classes), weights)
            self._check_class_weight(fresh)
            if fresh:
                self._start(data, targets, weights)
            if data.lengths.sum():
                self._train(data, targets, weights, None, epochs=1, partial=True)
        return self

    def _check_devices(self) -> None:
        """Raise if there is no training on the devices asked for, before anything is read."""
        replicas, rows = self._devices().replicas, self.batch_size
        if isinstance(rows, Integral) and rows < replicas:
            raise ParameterError(
                f"batch_size={rows} is too small for strategy={self.strategy!r} on {replicas} devices, which share the "
                f"rows of each batch. Set batch_size to at least {replicas}, or train on fewer devices."
            )

    def _advice(self) -> str:
        """Return what to do when a worker is lost."""
        if self.checkpoint_dir is None:
            return (
                "Start all of them again; with checkpoint_dir= on a disk of worker 0, fit would go on after the last "
                "whole pass."
            )
        return f"Start all of them again, alike: fit goes on after the last whole pass, from {self.checkpoint_dir}."

    @contextmanager
    def _unchanged_on_error(self):
        """Leave an estimator whose fit fails as it was before."""
        before = dict(self.__dict__)
        weights = self.model_.get_weights() if hasattr(self, "model_") else None
        try:
            yield
        except Exception:
            self.__dict__.clear()
            self.__dict__.update(before)
            if weights is not None:
                self.model_.set_weights(weights)
            raise

    def _of_weight(self, data, targets, weights) -> tuple:
        """Leave out the sequences that weigh nothing, so that nothing is learned from them."""
        kept = np.flatnonzero(weights)
        if len(kept) == len(data):
            return data, targets, weights
        return data.take(kept), targets[data.positions(kept) if self._target_per_step else kept], weights[kept]

    def _tensors(self, data) -> dict:
        """Hold checked sequences as the tensors that the graph functions of training and prediction take."""
        from seqkit.training.prediction import data_tensors

        return data_tensors(self, data)

    def _check_class_weight(self, fresh: bool) -> None:
        """Raise if ``class_weight`` does not go with the classes or the network."""
        if hasattr(self, "class_weight"):
            check_class_weight(self.class_weight, self.classes_)

    def _read(self, X, fresh=False, name="X"):
        from seqkit.estimators.sequences import check_sequences

        kind = None if fresh else self.input_kind_
        dim = None if fresh else self._model_config.get("input_dim")
        data = check_sequences(X, tokenizer=self._cutter(), kind=kind, dim=dim, max_length=self.max_length, name=name)
        table = None if fresh else self._table_width
        if table is not None and data.width not in (None, table):
            raise DataError(
                f"{name} has {data.width} features, but {type(self).__name__} is expecting {table} features as input: "
                "it was fitted on an array (n, steps). Give lists of arrays (length, d) where lengths differ."
            )
        return data

    def _cutter(self):
        """Return how raw strings are cut, see `seqkit.estimators.sequences.check_sequences`."""
        return self.tokenizer

    def _start(self, data, targets, weights, corpus=None) -> None:
        """Learn the vocabulary, from ``corpus`` if that is not the data's own, and make a fresh model."""
        self.input_kind_ = "vectors" if data.kind == "vectors" else "tokens"
        self._seed = self._draw_seed()
        options = self._model_options() | dict(
            cell=self.cell,
            units=int(self.units),
            layers=int(self.layers),
            bidirectional=bool(self.bidirectional),
            activation=self.activation,
            dropout=float(self.dropout),
            recurrent_dropout=float(self.recurrent_dropout),
            initial_state=self.initial_state,
            seed=self._seed,
        )
        matrix = None
        if self.input_kind_ == "vectors":
            options["input_dim"] = int(data.vectors[0].shape[1])
            # To scikit-learn the columns of a table are its features, and numbers in lists of one length are a table.
            # Later, an array of another width is refused; lists of sequences stay free.
            flat = options["input_dim"] == 1 and data.lengths.min() == data.lengths.max()
            self._table_width = int(data.lengths[0]) if flat else None
            self.n_features_in_ = self._table_width or options["input_dim"]
            self.__dict__.pop("vocabulary_", None)
        else:
            self.__dict__.pop("n_features_in_", None)
            self._table_width = None
            matrix = self._learn_vocabulary(data.corpus if corpus is None else corpus)
            options |= self._text_options(data) | dict(language_model=float(self.language_model))
        self._make_model(options, matrix)
        if self.input_kind_ == "vectors" and data.lengths.sum():
            self.model_.standardize(np.concatenate(data.vectors), np.repeat(weights, data.lengths))

    def _make_model(self, options: dict, matrix: np.ndarray | None) -> None:
        """Build a fresh model, with the pretrained vectors of `_learn_vocabulary` if there are some."""
        if matrix is not None:
            options = options | dict(vector_rows=len(matrix), vector_dim=matrix.shape[1])
        self._model_config = options
        self._set_model(self._build_model())
        if matrix is not None:
            self.model_.encoder.vector_table.assign(matrix)
        self.history_ = {}

    def _text_options(self, data) -> dict:
        """Return the builder's options that speak of tokens."""
        vocabulary = self.vocabulary_
        return dict(
            vocabulary_size=vocabulary.n_words,
            word_dim=int(self.word_dim),
            word_dropout=float(self.word_dropout),
            rare_from=vocabulary.rare_from,
            characters=vocabulary.n_characters,
            char_encoder=self.char_encoder,
            char_units=int(self.char_units),
            feature_sizes=vocabulary.feature_sizes,
        )

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
        import seqkit.models

        return getattr(seqkit.models, self._builder)(**self._model_config)

    def _held_out(self, given, data, targets) -> HeldOut | None:
        if given is None:
            return self._random_part(data, targets)
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise InputTypeError("validation_data must be a pair (X, y).")
        held = self._read(given[0], name="validation_data[0]")
        if not len(held):
            raise DataError("validation_data[0] holds no sequences: there is nothing to judge a pass by.")
        numbers, unseen = self._validation_targets(given[1], held, "validation_data[1]")
        return HeldOut(held, numbers, np.arange(len(held)), unseen=unseen)

    def _random_part(self, data, targets) -> HeldOut | None:
        return random_part(data, targets, self.validation_fraction, self._seed)

    def _class_weights(self, data, targets, train_rows) -> np.ndarray | None:
        """Return the weight of each class for training on some rows (all, if None)."""
        if getattr(self, "class_weight", None) is None:
            return None
        if train_rows is not None:
            targets = targets[data.positions(train_rows) if self._target_per_step else train_rows]
        if targets.ndim == 2:  # a column for each class: each class of a sequence is an item
            targets = np.nonzero(targets)[1]
        return check_class_weight(self.class_weight, self.classes_, targets)

    def _train(self, data, targets, weights, held_out, epochs, partial=False) -> None:
        from seqkit.training.fitting import fit_model

        named = {"targets": targets, "weights": weights}
        train_rows = None if held_out is None else held_out.train_rows
        class_weights = self._class_weights(data, targets, train_rows)
        if class_weights is not None:
            named["class_weights"] = class_weights
        fit_model(self, data, named, held_out, epochs, partial)

    # Predicting

    def predict(self, X):
        """Return the answer for each sequence; see the estimator."""
        self._check_fitted()
        return self._predict(self._read(X))

    def predict_iter(self, X: Iterable, chunk_size: int = CHUNK) -> Iterator:
        """Yield the answer for each sequence of a stream, in order, holding only ``chunk_size`` of them in memory."""
        self._check_fitted()
        if isinstance(X, str | bytes):
            raise InputTypeError("X must be an iterable of sequences, got one string.")
        if not isinstance(chunk_size, Integral) or chunk_size < 1:
            raise ParameterError(f"chunk_size={chunk_size!r} must be an integer of at least 1.")
        stream, first = iter(X), 0
        while chunk := list(islice(stream, chunk_size)):
            yield from self._predict_chunk(chunk, f"X[{first}:]" if first else "X")
            first += len(chunk)

    def _predict_chunk(self, chunk: list, name: str):
        """Return the answers for a part of a stream, which errors call by ``name``."""
        return self._predict(self._read(chunk, name=name))

    # Serving

    def export(self, root) -> Path:
        """Write a SavedModel for TensorFlow Serving.

        Parameters
        ----------
        root : str or os.PathLike
            The model's folder; the export goes to ``root/<next version>``. It is checked in TensorFlow's C++ runtime
            against what this estimator answers, and appears whole or not at all.

        Returns
        -------
        pathlib.Path
            The version's folder.
        """
        self._check_fitted()
        return self._export(root)


def _check_table(data) -> None:
    """Raise if an array (n, steps) has no rows or no columns, in scikit-learn's words."""
    for axis, name in enumerate(("sample", "feature")):
        shape = (len(data), data.width)
        if data.width is not None and not shape[axis]:
            raise DataError(f"0 {name}(s) (shape={shape}) while a minimum of 1 is required.")


def split_rows(flat: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Cut what was said of all steps into one array for each sequence."""
    return np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []
