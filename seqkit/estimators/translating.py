"""What a fitted encoder-decoder answers."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

import numpy as np

from seqkit.errors import DataError, ParameterError
from seqkit.estimators.sequences import Sequences, as_list
from seqkit.estimators.targets import check_sample_weight

_UNKNOWN = 1  # the id of the unknown token, see `seqkit.text.features`


class Alignment(NamedTuple):
    """What an output looked at: its tokens, those of the source, and weights (of the target, of the source).

    Of texts and tokens the last row is of the end. Where a side is vectors, its tokens are numbers of steps.
    """

    source: list
    target: list
    weights: np.ndarray


class TranslatingMixin:
    """Predictions of `seqkit.Seq2Seq`, and what they are judged by."""

    @property
    def _copies(self) -> bool:
        """Whether unknown tokens are written, and replaced."""
        return bool(self.unk_replace) and self._model_config["attend"] is not None and self.input_kind_ != "vectors"

    def predict(self, X):
        """Return the best target for each source.

        Parameters
        ----------
        X : list
            As in `fit`.

        Returns
        -------
        list of str, list of list of str, or list of array (length, d)
            In the form of y in `fit`; where that was an array, an array.
        """
        self._check_fitted()
        return self._predict(self._read(X))

    def _predict(self, data):
        found = self._search(data, 1)
        if self.target_kind_ == "vectors":
            return self._vectors(found)
        return self._told([row[0][0] for row in found])

    def _vectors(self, found: list[np.ndarray]):
        """Return written vectors in the form that targets had: a table or a list, of vectors or of numbers."""
        table, numbers = self._target_form
        found = [row[:, 0] if numbers else row for row in found]
        if not table or len({len(row) for row in found}) > 1:
            return found
        empty = (0, self.longest_[-1]) if numbers else (0, self.longest_[-1], self._target_dim)
        return np.stack(found) if found else np.zeros(empty, np.float32)

    def predict_nbest(self, X, k: int = 5) -> list[list[tuple]]:
        """Return the best targets for each source, the very best first.

        Parameters
        ----------
        X : list
            As in `fit`.
        k : int
            How many; the search is at least so wide.

        Returns
        -------
        list of list of (target, float)
            Targets in the form of y in `fit`, with their scores: log-probabilities under the penalties.
        """
        self._check_fitted()
        if not isinstance(k, Integral) or k < 1:
            raise ParameterError(f"k={k!r} must be an integer of at least 1.")
        self._need_ids("predict_nbest")
        found = self._search(self._read(X), int(k))
        told = iter(self._told([tokens for row in found for tokens, _ in row]))
        return [[(next(told), score) for _, score in row] for row in found]

    def _need_ids(self, method: str) -> None:
        if self.target_kind_ == "vectors":
            raise DataError(f"{method} is for targets that are texts or tokens; this model was fitted on vectors.")

    def _limits(self, lengths):
        """Return the most items to write for sources of some lengths, an int32 tensor."""
        import tensorflow as tf

        if self.target_kind_ == "vectors" and self._model_config["halting"] is None:
            return tf.fill(tf.shape(lengths), max(self.longest_[-1], 1))
        # In integers, so that a graph finds what is found outside of one.
        lengths = tf.cast(lengths, tf.int64)
        last = max(len(self.longest_) - 1, 1)
        longest = tf.gather(tf.constant(self.longest_, tf.int64), tf.minimum(lengths, len(self.longest_) - 1))
        longest = (longest * tf.maximum(lengths, last) + last - 1) // last
        return tf.cast(tf.minimum(longest + (longest + 4) // 5 + 5, 2**31 - 1), tf.int32)

    def _penalties(self):
        """Return how what is written is compared."""
        from seqkit.decoding.beam import Penalties

        looks = self._model_config["attend"] is not None
        return Penalties(float(self.length_penalty), float(self.coverage_penalty) if looks else 0.0)

    def _search(self, data, k: int, lengths=None) -> list:
        """Return for each source up to k lists of tokens with their scores; of vectors, arrays (of ``lengths``)."""
        from seqkit.training.pairs import translations

        self._check_parameters()  # those of the search may have been set after fit
        limits = self._limits(data.lengths).numpy() if lengths is None else lengths.astype(np.int32)
        how = max(int(self.beam_width), k), k, self._penalties(), lengths is None
        found = translations(self, data, limits, *how)
        if self.target_kind_ == "vectors":
            return found
        names = self._once("names", lambda: np.array(self._names(), object))
        sources: list = [None] * len(data)
        if self._copies:
            types, ends = data.corpus.types.numpy(), np.cumsum(data.lengths)
            sources = [(types, index) for index in np.split(data.corpus.index, ends[:-1])]
        return [
            [(written_tokens(names, ids, source, places), score) for ids, _, score, places in row]
            for source, row in zip(sources, found, strict=False)  # np.split makes one of nothing
        ]

    def _names(self) -> list[str]:
        return ["", "\ufffd", *self.target_vocabulary_.words]

    def _told(self, rows: list[list[str]]) -> list:
        """Return lists of tokens in the form that targets had."""
        if self.target_kind_ != "texts" or not rows:
            return rows
        import tensorflow as tf

        from seqkit.text.corpus import encode_strings

        flat = encode_strings([token for row in rows for token in row])
        texts = self._segmenter("target").join(tf.RaggedTensor.from_row_lengths(flat, [len(row) for row in rows]))
        return [text.decode("utf-8", "replace") for text in texts.numpy()]

    def log_probability(self, X, y) -> np.ndarray:
        """Return the log-probability of each target given its source, that of its end included, an array (n,).

        Of vectors it is the logarithm of a density, of standardized values and but for a constant: half the squared
        error, below 0.
        """
        from seqkit.training.pairs import log_probabilities

        self._check_fitted()
        data = self._read(X)
        return log_probabilities(self, data, self._read_targets(y, len(data), False, "y"))

    def attention(self, X, y=None) -> list[Alignment]:
        """Return what each token of a target looked at in its source.

        Parameters
        ----------
        X : list
            As in `fit`.
        y : list or None
            Targets; None: those that `predict` gives.

        Returns
        -------
        list of Alignment
            Tokens of both sides and weights; `seqkit.inspection.draw_alignment` draws one.
        """
        from seqkit.training.pairs import alignments

        self._check_fitted()
        if self._model_config["attend"] is None:
            raise DataError("This model has no attention: it was fitted with attend=None.")
        data, own = self._read(X), y is None
        if own:
            found = self._search(data, 1)
            y = found if self.target_kind_ == "vectors" else [row[0][0] for row in found]
        targets = self._read_targets(y, len(data), False, "y", own=own)
        weights, sides = alignments(self, data, targets), [tokens_of(data), tokens_of(targets)]
        return [Alignment(*row) for row in zip(*sides, weights, strict=True)]

    def evaluate(self, X, y, sample_weight=None) -> dict[str, float]:
        """Return how good predictions are, by name.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        sample_weight : array of shape (n,), optional
            Weight of each pair; for texts, what is returned is then the weighted mean of the scores of each.

        Returns
        -------
        dict of float
            Of texts "chrf" and "bleu", by sacrebleu, from 0 to 1. Of tokens "token_error_rate", edits needed for a
            token of y, and "sequence_error_rate", the share of targets with any. Of vectors, by scikit-learn and over
            the steps of y, "r2" and "mean_absolute_error".
        """
        from seqkit.metrics import sequences as metrics

        self._check_fitted()
        data, y = self._read(X), as_list(y, "y")
        targets = self._read_targets(y, len(data), False, "y")
        if not len(data):
            raise DataError("X holds no sequences: there is nothing to score.")
        weights = None if sample_weight is None else check_sample_weight(sample_weight, len(data))
        if self.target_kind_ == "vectors":
            found = self._search(data, 1, targets.lengths)
            return metrics.vector_scores(targets.vectors, found, weights)
        found = [row[0][0] for row in self._search(data, 1)]
        if self.target_kind_ == "texts":
            return metrics.text_scores(list(y), self._told(found), weights)
        return metrics.token_errors([[row] for row in tokens_of(targets)], found, weights)

    def score(self, X, y, sample_weight=None) -> float:
        """Return how good predictions are: chrF of texts, 1 - the error rate of tokens, or R²; see `evaluate`.

        Parameters
        ----------
        X, y, sample_weight
            As in `evaluate`.
        """
        found = self.evaluate(X, y, sample_weight)
        return 1.0 - found["token_error_rate"] if "token_error_rate" in found else next(iter(found.values()))


def written_tokens(names: np.ndarray, ids: np.ndarray, sources, places) -> list[str]:
    """Return ids as tokens; an unknown one is that of the source that it looked at.

    Parameters
    ----------
    names : ndarray of str
        Of all ids.
    ids : ndarray
        What was written.
    sources : tuple of ndarray, or None
        Distinct source tokens, and which stands at each place of this source; None without tokens.
    places : ndarray or None
        The place that each id looked at.
    """
    tokens = names[ids].tolist()
    if places is not None and sources is not None:
        types, index = sources
        for t in np.flatnonzero((ids == _UNKNOWN) & (places < len(index))):
            tokens[t] = types[index[places[t]]].decode("utf-8", "replace")
    return tokens


def tokens_of(data: Sequences) -> list[list]:
    """Return the tokens of each sequence; of vectors, the numbers of their steps."""
    if data.corpus is None:
        return [list(range(n)) for n in data.lengths]
    types = [token.decode("utf-8", "replace") for token in data.corpus.types.numpy()]
    rows = np.split(data.corpus.index, np.cumsum(data.lengths)[:-1]) if len(data) else []
    return [[types[i] for i in row] for row in rows]
