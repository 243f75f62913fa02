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
    """Stretches of a stream: the first id that each reads, how many it reads, and the text it is of."""

    begins: np.ndarray
    counts: np.ndarray
    texts: np.ndarray

    def take(self, rows) -> Pieces:
        """Return some of them."""
        return Pieces(*(array[rows] for array in self))


class Segment(NamedTuple):
    """A part of a batch of pieces: where each row reads, how far, and whether it begins there."""

    rows: np.ndarray  # numbers of the pieces
    begins: np.ndarray
    counts: np.ndarray
    fresh: bool


def stream(ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, Pieces]:
    """Return the stream of some texts, given their ids one text after the other, and each text as one piece."""
    places = np.cumsum(lengths) - lengths
    begins = places + np.arange(len(lengths))
    ids = np.append(np.insert(ids, places, 0), 0).astype(np.int32)
    return ids, Pieces(begins, lengths + 1, np.arange(len(lengths)))


def cut(pieces: Pieces, longest: int) -> Pieces:
    """Cut pieces into nearly equal ones of at most a length."""
    number = np.maximum(-(-pieces.counts // longest), 1)
    of = np.repeat(np.arange(len(number)), number)
    place = np.arange(len(of)) - np.repeat(np.cumsum(number) - number, number)
    size, rest = pieces.counts[of] // number[of], pieces.counts[of] % number[of]
    counts = size + (place < rest)
    begins = pieces.begins[of] + place * size + np.minimum(place, rest)
    return Pieces(begins, counts, pieces.texts[of])


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
            segments.append(Segment(rows, begins, counts, first == 0))
    return segments
