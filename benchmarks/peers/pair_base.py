"""The interface that every measured encoder-decoder has, and the pairs it learns from."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.peers.base import OnEpoch

Tokens = Sequence[Sequence[str]]
UNKNOWN_WORD = "<rare>"
DECODED = 128  # sentences that are decoded together


class PairPeer(ABC):
    """An encoder-decoder with attention, from lists of tokens to lists of tokens, of the sizes of the comparison.

    One bidirectional LSTM reads, one LSTM writes, both of ``units`` (each direction); Luong's general attention, its
    output through a tanh; word vectors of ``units``; dropout none. A fit counts its epochs from 1 and calls
    ``on_epoch(epoch, seconds)`` for each, with the time of that epoch's training alone.

    Parameters
    ----------
    units : int
        Of the LSTMs.
    batch_size : int
        Pairs of a step.
    learning_rate : float
        Of Adam.
    random_state : int
        Seed.
    """

    #: What the tables call it.
    name: str
    #: Mean loss of a token in the last epoch.
    loss: float

    def __init__(self, units: int = 256, batch_size: int = 64, learning_rate: float = 1e-3, random_state: int = 0):
        self.units, self.batch_size = units, batch_size
        self.learning_rate, self.random_state = learning_rate, random_state

    @abstractmethod
    def fit(self, X: Tokens, y: Tokens, epochs: int, on_epoch: OnEpoch) -> PairPeer:
        """Train from scratch."""

    @abstractmethod
    def decode(self, X: Tokens, width: int, longest: int) -> list[list[str]]:
        """Return the best target of each source by a beam search of a width, of at most so many tokens."""

    # For peers that see ids: 0 pads, 1 begins and 2 ends.

    def read(self, X: Tokens, y: Tokens) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Learn both vocabularies, and return ids."""
        self.words = [
            [None, None, None, *sorted({token for row in side for token in row} | {UNKNOWN_WORD})] for side in (X, y)
        ]
        self.numbers = [{word: i for i, word in enumerate(words)} for words in self.words]
        return self.ids(X, 0), self.ids(y, 1)

    def ids(self, rows: Tokens, side: int) -> list[np.ndarray]:
        """Return ids of tokens."""
        number = self.numbers[side]
        return [np.array([number.get(token, number[UNKNOWN_WORD]) for token in row], np.int64) for row in rows]


def batches(X: Sequence, y: Sequence, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the rows of batches of like length, in random order."""
    lengths = np.array([len(a) + len(b) for a, b in zip(X, y, strict=True)])
    order = np.argsort(lengths + rng.uniform(-1, 1, len(lengths)))
    every = [order[i : i + size] for i in range(0, len(order), size)]
    for i in rng.permutation(len(every)):
        yield every[i]


def padded(rows: Sequence[np.ndarray], before: int | None = None, after: int | None = None) -> np.ndarray:
    """Return ids as an array, 0 behind the ends, with an id before and one after each row if wanted."""
    extra = (before is not None) + (after is not None)
    out = np.zeros((len(rows), max(map(len, rows)) + extra), np.int64)
    for to, row in zip(out, rows, strict=True):
        row = [*([] if before is None else [before]), *row, *([] if after is None else [after])]
        to[: len(row)] = row
    return out


def words(texts: Sequence[str]) -> list[list[str]]:
    """Cut texts into words and signs."""
    return [re.findall(r"\w+|[^\w\s]", text) for text in texts]


def frequent(rows: Tokens, count: int) -> list[list[str]]:
    """Return rows with all but so many words replaced by one."""
    kept = {word for word, _ in Counter(word for row in rows for word in row).most_common(count - 1)}
    return [[word if word in kept else UNKNOWN_WORD for word in row] for row in rows]
