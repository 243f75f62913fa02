"""What the estimators share that give one answer for a sequence: the classifier and the regressor."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from seqkit.errors import DataError, ParameterError
from seqkit.estimators.sequence_estimator import (
    READER_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    SequenceEstimator,
    split_rows,
)

_LEAST_STEPS = 50  # in a pass over small data


class SequenceReaderEstimator(SequenceEstimator):
    """Base of `SequenceClassifier` and `SequenceRegressor`; see there."""

    _parameter_constraints = {  # noqa: RUF012
        **READER_CONSTRAINTS,
        "pooling": [StrOptions({"auto", "last", "mean", "max", "attention"})],
        "ngrams": [Interval(Integral, 0, None, closed="left")],
        "pretrain": ["boolean", list, tuple, HasMethods("__array__"), None],
        "pretrain_epochs": [Interval(Integral, 1, None, closed="left")],
        **TRAINING_CONSTRAINTS,
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }

    _target_per_step = False
    _plain_state = (*SequenceEstimator._plain_state, "pretraining_")

    def _parameters_to_save(self) -> dict:
        parameters = super()._parameters_to_save()
        if not isinstance(self.pretrain, bool | None):
            parameters["pretrain"] = True  # texts are data, which no model carries along
        return parameters

    def _model_options(self) -> dict:
        pooling = self.pooling
        if pooling == "auto":
            pooling = "last" if self.cell == "jordan" else "max"
        return dict(pooling=pooling)

    def _text_options(self, data) -> dict:
        options = super()._text_options(data)
        if self.ngrams:
            from seqkit.layers.ngram_votes import learn_ngrams

            words = self._word_ids(data)
            keys = learn_ngrams(words, data.lengths, self.vocabulary_.n_words, int(self.ngrams))
            options |= dict(ngrams=int(self.ngrams), ngram_rows=len(keys))
            self._ngrams = keys, words
        return options

    def _word_ids(self, data) -> np.ndarray:
        """Return the word ids of all positions."""
        import tensorflow as tf

        from seqkit.text.features import TokenGraph

        ids = TokenGraph(self.vocabulary_)(data.corpus.types)["words"]
        return tf.gather(ids, data.corpus.index).numpy()

    def _start(self, data, targets, weights):
        self.__dict__.pop("pretraining_", None)
        unlabelled, corpus = self._unlabelled(data), None
        if unlabelled is not None and unlabelled is not data:
            from seqkit.text.corpus import join_corpora

            corpus = join_corpora(data.corpus, unlabelled.corpus)
        super()._start(data, targets, weights, corpus)
        if unlabelled is not None:
            from seqkit.training.pretraining import pretrain

            self.pretraining_ = pretrain(self, unlabelled, int(self.pretrain_epochs))
        if self.model_.votes is not None:
            self._live["votes"] = self.__dict__.pop("_ngrams")  # see `_train`

    def _train(self, data, targets, weights, held_out, epochs, partial=False):
        if "votes" in self._live:  # a fresh model
            keys, words = self._live.pop("votes")
            if len(keys):
                self.model_.votes.keys.assign(keys)
            # Of the rows that are trained on: what is held out must not tell its classes.
            rows = np.arange(len(data)) if held_out is None or held_out.train_rows is None else held_out.train_rows
            words = words[data.positions(rows)]
            start = self._vote_start(words, data.lengths[rows], targets[rows], weights[rows], keys)
            if start is not None:
                self.model_.votes.table.assign(start)
        super()._train(data, targets, weights, held_out, epochs, partial)

    def _unlabelled(self, data):
        """Return the texts to pretrain on, or None."""
        if self.pretrain is None or isinstance(self.pretrain, bool):
            if not self.pretrain:
                return None
            texts = data
        else:
            texts = self._read(self.pretrain, fresh=True, name="pretrain")
        if not texts.lengths.sum():
            raise DataError("pretrain holds no tokens at all: there is nothing to learn from.")
        if data.kind == "vectors" or texts.kind == "vectors":
            raise ParameterError("pretrain= takes texts or lists of tokens: vectors have no next word to expect.")
        depth = int(self.layers) - (self.cell == "jordan")
        if not depth:
            raise ParameterError(
                "pretrain= needs a recurrent layer below the answer, which a Jordan network of one layer has not. "
                "Set layers=2, or another cell."
            )
        return texts

    def _vote_start(self, words, lengths, targets, weights, keys) -> np.ndarray | None:
        """Return what the n-grams' votes begin with, given word ids and so on of texts; None for zeros."""
        return None

    def _batch_rows(self, rows) -> int:
        if self.batch_size != "auto":
            return self.batch_size
        # Small data must get enough steps.
        return int(np.clip(len(rows) // _LEAST_STEPS, 1, 32))

    def attention(self, X) -> list[np.ndarray]:
        """Return what each token (or vector) counts in the pooled sequence.

        Parameters
        ----------
        X : list
            As in `fit`.

        Returns
        -------
        list of ndarray
            For each sequence an array (length,) that adds up to 1. For ``pooling="attention"``.
        """
        from seqkit.training.prediction import answer_steps

        self._check_fitted()
        pooling = self._model_config["pooling"]
        if pooling != "attention":
            raise DataError(f"This model has no attention: it was fitted with pooling={pooling!r}.")
        data = self._read(X)
        return split_rows(answer_steps(self, data, "attention")[0], data.lengths)

    def _export(self, root):
        from seqkit.export.sequence_reader import export_sequence_reader

        return export_sequence_reader(self, root)

    def _rows(self, data, what: str, rows=None, tensors=None) -> np.ndarray:
        """Return what the model says of each sequence, see `seqkit.training.prediction.answer_rows`."""
        from seqkit.training.prediction import answer_rows

        return answer_rows(self, data, what, rows, tensors)

    def __sklearn_tags__(self):
        """Say what X may be."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags
