"""Long texts read in segments, with the state carried from one to the next (truncated backpropagation).

All texts stand one after the other in one stream of ids, a 0 before each and one after the last, so that what follows
every id of a text is the id after it. A *piece* is a stretch of one text, read from its beginning by one row of a
batch; a long text is cut into pieces, so that the rows of a batch end together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seqkit.training.batching import shuffled_batches, sorted_batches

_NO_LIMIT = 2**62  # on positions in a batch, which is read in segments


class Pieces(NamedTuple):
    """Stretches of a stream: the first item each reads, how many it reads, the text it is of, and if it ends that."""

    begins: np.ndarray
    counts: np.ndarray
    texts: np.ndarray
    last: np.ndarray

    def take(self, rows) -> Pieces:
        """Return some of them."""
        return Pieces(*(array[rows] for array in self))


class Segment(NamedTuple):
    """A part of a batch of pieces: where each row reads and how far; if they begin there; which texts end there."""

    rows: np.ndarray  # numbers of the pieces
    begins: np.ndarray
    counts: np.ndarray
    fresh: bool
    ends: np.ndarray


def stream(items: np.ndarray, lengths: np.ndarray, end: bool = True) -> tuple[np.ndarray, Pieces]:
    """Return the stream of some texts, given their items one text after the other, and each text as one piece.

    Parameters
    ----------
    items : ndarray
        Ids [positions], or frames [positions, keys].
    lengths : ndarray
        Items of each text.
    end : bool
        Whether the 0 after a text is expected like its items.
    """
    places = np.cumsum(lengths) - lengths
    numbers = np.arange(len(lengths))
    zero = np.zeros((1, *items.shape[1:]), items.dtype)
    items = np.concatenate([np.insert(items, places, 0, axis=0), zero])
    return items, Pieces(places + numbers, lengths + int(end), numbers, np.ones(len(lengths), bool))


def cut(pieces: Pieces, longest: int) -> Pieces:
    """Cut pieces into nearly equal ones of at most a length."""
    number = np.maximum(-(-pieces.counts // longest), 1)
    of = np.repeat(np.arange(len(number)), number)
    place = np.arange(len(of)) - np.repeat(np.cumsum(number) - number, number)
    size, rest = pieces.counts[of] // number[of], pieces.counts[of] % number[of]
    counts = size + (place < rest)
    begins = pieces.begins[of] + place * size + np.minimum(place, rest)
    return Pieces(begins, counts, pieces.texts[of], pieces.last[of] & (place == number[of] - 1))


def training_segments(pieces: Pieces, rows: int, steps: int, rng: np.random.Generator) -> list[Segment]:
    """Return all segments of all pieces: batches of pieces of like length, in random order, each from start to end."""
    return _segments(pieces, shuffled_batches(pieces.counts, rows, rng, _NO_LIMIT), steps)


def reading_segments(pieces: Pieces, rows: int, steps: int) -> list[Segment]:
    """Return the segments of all pieces, longest first, for what is no training."""
    return _segments(pieces, sorted_batches(pieces.counts, rows, _NO_LIMIT), steps)


def _segments(pieces: Pieces, batches: list[np.ndarray], steps: int) -> list[Segment]:
    segments = []
    for rows in batches:
        for first in range(0, int(pieces.counts[rows].max(initial=1)), steps):
            counts = np.clip(pieces.counts[rows] - first, 0, steps)
            begins = np.where(counts > 0, pieces.begins[rows] + first, 0)
            ends = pieces.last[rows] & (counts > 0) & (first + counts == pieces.counts[rows])
            segments.append(Segment(rows, begins, counts, first == 0, ends))
    return segments
