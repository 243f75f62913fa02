"""What the estimators share that model what comes next: the language model and the generator."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from seqkit.errors import DataError
from seqkit.estimators.sequence_estimator import READER_CONSTRAINTS, TRAINING_CONSTRAINTS, SequenceEstimator
from seqkit.estimators.targets import check_sample_weight

_LEAST_STEPS = 50  # in a pass over small data
_MOST_ROWS = 64
_MANY_WORDS = 12_000  # from which on the softmax is sampled in training
_SAMPLES = 4_096

#: What the tokenizers are called in `seqkit.text.tokenizer`.
MODES = {"characters": "code_points", "words": "words", "whitespace": "whitespace"}

#: What parameters may be that both have.
NEXT_STEP_CONSTRAINTS = {
    **{name: READER_CONSTRAINTS[name] for name in ("cell", "units", "layers", "activation")},
    "word_dim": [Interval(Integral, 1, None, closed="left"), None],
    "tied": ["boolean"],
    **{name: READER_CONSTRAINTS[name] for name in ("dropout", "recurrent_dropout", "initial_state")},
    **{name: READER_CONSTRAINTS[name] for name in ("tokenizer", "lowercase", "min_count")},
    "steps": [Interval(Integral, 1, None, closed="left")],
    **TRAINING_CONSTRAINTS,
    "gradient_clip_value": [Interval(Real, 0, None, closed="neither"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
}


class NextStepEstimator(SequenceEstimator):
    """Base of `LanguageModel` and `SequenceGenerator`; see there.

    To `SequenceEstimator`, sequences are the data and what they are of (the contexts) are the targets.
    """

    _target_per_step = False
    _first_kind: str | None = "tokens"  # what sequences must be at fit; None where it is free

    def _read(self, X, fresh=False, name="X"):
        from seqkit.estimators.sequences import check_sequences

        kind = self._first_kind if fresh else self.input_kind_
        data = check_sequences(X, tokenizer=MODES[self.tokenizer], kind=kind, max_length=self.max_length, name=name)
        data.width = None
        return data

    def _start(self, data, targets, weights, corpus=None):
        self.input_kind_ = "vectors" if data.kind == "vectors" else "tokens"
        self._table_width = None
        self._seed = self._draw_seed()
        options = self._item_options(data) | dict(
            cell=self.cell,
            units=int(self.units),
            layers=int(self.layers),
            activation=self.activation,
            dropout=float(self.dropout),
            recurrent_dropout=float(self.recurrent_dropout),
            initial_state=self.initial_state,
            seed=self._seed,
        )
        self._make_model(options, None)

    def _item_options(self, data) -> dict:
        """Learn the vocabulary of tokens; return what the builder is told of them."""
        from seqkit.text.features import learn_vocabulary

        self.vocabulary_ = learn_vocabulary(
            data.corpus.types,
            data.corpus.counts,
            characters=False,
            features=False,
            lowercase=self.lowercase,
            digits=False,
            min_count=int(self.min_count),
        )
        word_dim = None if self.word_dim is None else int(self.word_dim)
        return dict(vocabulary_size=self.vocabulary_.n_words, word_dim=word_dim, tied=bool(self.tied))

    def _train(self, data, targets, weights, held_out, epochs, partial=False):
        from seqkit.training.next_step import fit_next_step

        if held_out is not None and held_out.train is not None:
            data = held_out.train
        fit_next_step(self, data, targets, weights, held_out, epochs, partial)

    def _items(self, data) -> np.ndarray:
        """Return the ids of all tokens (or all frames, where these are the items)."""
        import tensorflow as tf

        if not len(data.corpus.index):
            return np.zeros(0, np.int32)
        return tf.gather(self._token_graph()(data.corpus.types)["words"], data.corpus.index).numpy()

    def _samples(self) -> int | None:
        """Return how many words are drawn for a step of training; None for the whole softmax."""
        asked = getattr(self, "sampled_softmax", None)
        if asked != "auto":
            return asked
        return _SAMPLES if self.vocabulary_.n_words > _MANY_WORDS and self.cell != "jordan" else None

    def _layout(self, pieces):
        """Cut pieces for training; return them and how many are read side by side."""
        from seqkit.training.segments import cut

        total, rows = int(pieces.counts.sum()), self.batch_size
        if rows == "auto":
            rows = int(np.clip(total // (_LEAST_STEPS * int(self.steps)), 1, _MOST_ROWS))
        return cut(pieces, max(-(-total // rows), int(self.steps))), rows

    def _log_probability(self, data, contexts, per_token: bool):
        from seqkit.training.next_step import log_probabilities

        found = log_probabilities(self, data, contexts)
        return found if per_token else np.array([p.sum(dtype=np.float64) for p in found])

    def _mean(self, found: list[np.ndarray], sample_weight) -> float:
        """Return the mean over all items of sequences, each of some weight."""
        if not sum(map(len, found)):
            raise DataError("X holds no texts: there is nothing to score.")
        weights = check_sample_weight(sample_weight, len(found)).astype(float)
        lengths = np.array([len(p) for p in found])
        return float(np.dot(weights, [p.sum(dtype=np.float64) for p in found]) / np.dot(weights, lengths))
