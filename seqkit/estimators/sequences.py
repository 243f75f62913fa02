"""What users give as X, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from seqkit.errors import DataError, InputTypeError

KINDS = {
    "texts": "raw strings",
    "tokens": "lists of tokens",
    "vectors": "arrays of vectors (length, d)",
}


@dataclass
class Sequences:
    """Checked input.

    Parameters
    ----------
    kind : {"texts", "tokens", "vectors"}
        What each sequence is. Texts are tokenized already: their `corpus` is that of their tokens.
    lengths : ndarray
        Length of each sequence.
    corpus : seqkit.text.corpus.TokenCorpus or None
        The tokens.
    vectors : list of ndarray or None
        The vectors, float32 [length, d] each.
    width : int or None
        Columns of X, where it was a table of numbers (n, steps).
    """

    kind: str
    lengths: np.ndarray
    corpus: object = None
    vectors: list[np.ndarray] | None = None
    width: int | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Return where the elements of some rows stand among those of all sequences, one row after the other."""
        lengths = self.lengths[rows]
        before = np.cumsum(lengths) - lengths
        starts = np.cumsum(self.lengths)[rows] - lengths
        return np.repeat(starts - before, lengths) + np.arange(lengths.sum())

    def __getitem__(self, rows: np.ndarray) -> Sequences:
        return self.take(rows)

    def take(self, rows: np.ndarray) -> Sequences:
        """Return some of the sequences."""
        if self.vectors is not None:
            vectors = [self.vectors[i] for i in rows]
            return Sequences(self.kind, self.lengths[rows], vectors=vectors, width=self.width)
        return Sequences(self.kind, self.lengths[rows], self.corpus.take(rows, self.positions(rows)))

    def fingerprint_parts(self) -> list:
        """Return what tells this data from other data."""
        if self.vectors is not None:
            return [self.lengths, *self.vectors]
        return [self.lengths, self.corpus.index, b"\0".join(self.corpus.types.numpy().tolist())]


def as_list(X: object, name: str = "X") -> list:
    """Return the sequences in a list, or say what was wrong with what came.

    Accepts a list or tuple, a NumPy array (of objects, of strings, or numeric: (n, length) or (n, length, d)), a pandas
    Series or DataFrame (a row is a sequence, the one column of a frame a text), or any other iterable.
    """
    if isinstance(X, str | bytes):
        raise InputTypeError(
            f"{name} must be a list of sequences, got one string {X!r:.60}. Wrap it in a list: [{name}]."
        )
    if not isinstance(X, Iterable) and hasattr(X, "__array__"):
        X = np.asarray(X)
    if hasattr(X, "tocsr"):
        raise InputTypeError(f"{name} is a sparse matrix: sparse input is not supported. Use {name}.toarray().")
    if isinstance(X, dict) or not isinstance(X, Iterable):
        raise InputTypeError(f"{name} must be a list of sequences, got {type(X).__name__}.")
    if hasattr(X, "to_numpy") and getattr(X, "ndim", 1) == 2:  # a data frame iterates over the names of its columns
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        if X.ndim == 0:
            raise InputTypeError(f"{name} must be a list of sequences, got an array without dimensions.")
        if X.dtype.kind == "c":
            raise DataError(f"Complex data not supported: {name} has dtype {X.dtype}.")
        if X.dtype.kind in "biuf":
            if X.ndim not in (2, 3):
                raise DataError(
                    f"{name} must have shape (n, length) or (n, length, d), got {X.shape}. Reshape your data, such as "
                    f"{name}.reshape(-1, 1) for sequences of one number, or {name}.reshape(1, -1) for one sequence."
                )
            return list(X[..., None] if X.ndim == 2 else X)
        if X.ndim == 2 and X.shape[1] == 1 and all(isinstance(text, str) for text in X[:, 0]):
            return X[:, 0].tolist()  # a column of texts, as of a data frame
        if X.dtype.kind in "US" or X.ndim > 1:
            return X.tolist()
    return list(X)


def kind_of(items: list, name: str = "X") -> str | None:
    """Return what the sequences are by the first of them that tells, or None if all are empty."""
    for i, item in enumerate(items):
        if isinstance(item, str):
            return "texts"
        if item is None or isinstance(item, bytes) or not hasattr(item, "__len__"):
            got = "None" if item is None else f"{type(item).__name__} {item!r:.60}"
            hint = " Decode bytes first." if isinstance(item, bytes) else ""
            raise InputTypeError(
                f"{name}[{i}] must be a string, a list of tokens, or an array (length, d); got {got}.{hint}"
            )
        if isinstance(item, np.ndarray) and item.dtype.kind in "biuf" and item.ndim:
            if item.ndim == 2 or len(item):
                return "vectors"
        elif len(item):
            first = next(iter(item))
            if isinstance(first, str):
                return "tokens"
            if isinstance(first, int | float | np.number | list | tuple | np.ndarray):
                return "vectors"
            raise InputTypeError(
                f"{name}[{i}][0] must be a string (a token) or a vector, got "
                f"{'None' if first is None else f'{type(first).__name__} {first!r:.60}'}."
            )
    return None


def check_sequences(
    X: object,
    *,
    tokenizer: str | Callable = "words",
    kind: str | None = None,
    dim: int | None = None,
    max_length: int | None = None,
    name: str = "X",
) -> Sequences:
    """Check X and bring it into one form.

    Parameters
    ----------
    X : iterable
        Strings, lists of tokens, or arrays (length, d).
    tokenizer : str or callable
        How strings are cut, see `seqkit.text.tokenizer`; or a function from a tensor of texts to one of tokens.
    kind : str or None
        What a fitted estimator was fitted on ("tokens" stands for texts too); None where it is free.
    dim : int or None
        Size that vectors must have; None where it is free.
    max_length : int or None
        Longest sequence allowed.
    name : str
        What errors call X.

    Returns
    -------
    Sequences
    """
    items = as_list(X, name)
    found = kind_of(items, name) or kind or "tokens"
    wanted = "vectors" if kind == "vectors" else "tokens"
    if kind is not None and (found == "vectors") != (wanted == "vectors"):
        raise InputTypeError(f"{name} must hold {KINDS[wanted]}, as in fit; got {KINDS[found]}.")
    if found == "vectors":
        sequences = _vectors(items, dim, name)
        sequences.width = int(X.shape[1]) if getattr(X, "ndim", None) == 2 else None
    else:
        sequences = _texts(items, tokenizer, name) if found == "texts" else _tokens(items, name)
    if max_length is not None and len(sequences) and sequences.lengths.max() > max_length:
        i = int(sequences.lengths.argmax())
        raise DataError(
            f"{name}[{i}] has length {sequences.lengths[i]}, more than max_length={max_length}. Split it, or raise "
            "max_length (None: no limit); nothing is cut silently."
        )
    return sequences


def _tokens(items: list, name: str) -> Sequences:
    from seqkit.text.corpus import corpus_from_tokens

    corpus = corpus_from_tokens(items, name)
    return Sequences("tokens", corpus.lengths, corpus)


def _texts(items: list, tokenizer: str | Callable, name: str) -> Sequences:
    from seqkit.text.corpus import corpus_from_ragged, corpus_from_tokens, encode_strings
    from seqkit.text.tokenizer import tokenize

    for i, item in enumerate(items):
        if not isinstance(item, str):
            got = "None" if item is None else f"{type(item).__name__} {item!r:.60}"
            raise InputTypeError(f"{name}[{i}] must be a string, as the items before it are; got {got}.")
    if callable(tokenizer):
        corpus = corpus_from_ragged(tokenizer(encode_strings(items)))
    elif tokenizer == "whitespace":  # that is what the graph does, several times slower
        corpus = corpus_from_tokens(list(map(str.split, items)))
    else:
        corpus = corpus_from_ragged(tokenize(encode_strings(items), tokenizer).tokens)
    return Sequences("texts", corpus.lengths, corpus)


def _vectors(items: list, dim: int | None, name: str) -> Sequences:
    arrays = []
    for i, item in enumerate(items):
        try:
            array = np.asarray(item, np.float32)
        except (TypeError, ValueError) as error:
            raise InputTypeError(f"{name}[{i}] must be an array of numbers (length, d): {error}.") from None
        if array.ndim == 1 and (dim in (None, 1) or not array.size):
            array = array.reshape(-1, 1) if array.size else array.reshape(0, dim or 1)
        if array.ndim != 2:
            raise DataError(f"{name}[{i}] must have shape (length, d), got {array.shape}.")
        if not len(array):
            array = array.reshape(0, dim or array.shape[1])
        elif dim is None:
            dim = array.shape[1]
        if len(array) and array.shape[1] != dim:
            raise DataError(f"{name}[{i}] has vectors of size {array.shape[1]}, expected {dim} as in the others.")
        if not np.isfinite(array).all():
            raise DataError(f"{name}[{i}] holds NaN or infinity. Replace missing values first.")
        arrays.append(array)
    dim = dim or 1
    arrays = [a if len(a) else np.zeros((0, dim), np.float32) for a in arrays]
    lengths = np.fromiter(map(len, arrays), np.int64, count=len(arrays))
    return Sequences("vectors", lengths, vectors=arrays)
