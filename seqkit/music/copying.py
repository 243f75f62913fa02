"""How much of a piece is copied from the music that a model learned from: the longest run in common, in any key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from seqkit.errors import DataError
from seqkit.music.statistics import GRID, line_steps, step_intervals, step_waits, top_line

if TYPE_CHECKING:
    from symusic import Score

COPY_NOTES = 16
# An odd number has an inverse modulo 2**64, where unsigned integers wrap around.
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)


@dataclass(frozen=True)
class Copied:
    """The longest run of notes that a piece has in common with training music.

    Parameters
    ----------
    notes : int
        Successive notes of a top line, of the same intervals and times between onsets; 0 if there are none.
    piece : str or None
        Training piece that has them; the first of several.
    training_quarters : float or None
        Where the run starts in it, from its time 0.
    track : int or None
        Index of the track of the examined score.
    start : int or None
        First of the notes in that track's top line, from 0.
    share : float
        Notes copied divided by notes of that top line.
    """

    notes: int
    piece: str | None = None
    training_quarters: float | None = None
    track: int | None = None
    start: int | None = None
    share: float = 0.0


def is_copy(copied: Copied) -> bool:
    """Whether a run is long enough to be called copied: 16 notes, four bars of quarters or more.

    Shorter runs of scales and broken chords are in music of every kind, so that they say nothing.
    """
    return copied.notes >= COPY_NOTES


@dataclass(frozen=True, eq=False)
class _Lines:
    """Steps of lines, one behind the other.

    Parameters
    ----------
    steps : ndarray
        int32 (n,), from `line_steps`.
    bounds : ndarray
        int64 (lines + 1,), where the lines begin and end in it.
    """

    steps: np.ndarray
    bounds: np.ndarray

    @cached_property
    def _room(self) -> np.ndarray:
        """Steps from each one to the end of its line."""
        return np.repeat(self.bounds[1:], np.diff(self.bounds)) - np.arange(len(self.steps))

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of all steps before each, the i-th (from 1) times the i-th power of the base; inverse powers."""
        n = len(self.steps)
        mixed = self.steps.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)  # spreads small numbers over all bits
        mixed ^= mixed >> np.uint64(32)
        terms = mixed * np.cumprod(np.full(n, _BASE, np.uint64))
        return np.append(np.uint64(0), np.cumsum(terms)), np.cumprod(np.full(n, _INVERSE, np.uint64))

    @cached_property
    def _moves(self) -> np.ndarray:
        """How many intervals before each step are not zero."""
        return np.append(0, np.cumsum(step_intervals(self.steps) != 0))

    def moving(self, length: int) -> np.ndarray:
        """Starts of the windows of this length that lie in one line and not on one pitch."""
        starts = np.flatnonzero(self._room >= length)
        return starts[self._moves[starts + length] > self._moves[starts]]

    def hashes(self, starts: np.ndarray, length: int) -> np.ndarray:
        """uint64 for the windows that start there; equal windows have equal ones."""
        sums, inverse = self._sums
        return (sums[starts + length] - sums[starts]) * inverse[starts]


class TrainingRuns:
    """The top lines of training music, to find what was copied from them.

    Parameters
    ----------
    steps : ndarray
        int32 (n,), the lines' steps, one line behind the other; see `seqkit.music.statistics.line_steps`.
    bounds : ndarray
        int64 (lines + 1,), where each line begins and ends in `steps`.
    pieces : ndarray
        int32 (lines,), the piece of each line, an index into `names`.
    onsets : ndarray
        int64 (lines,), the first onset of each line, in twelfths of a quarter.
    names : sequence of str
        Names of the pieces.
    """

    def __init__(
        self, steps: np.ndarray, bounds: np.ndarray, pieces: np.ndarray, onsets: np.ndarray, names: Sequence[str]
    ):
        self.steps, self.bounds, self.pieces, self.onsets = steps, bounds, pieces, onsets
        self.names = list(names)
        self._lines = _Lines(steps, bounds)

    @classmethod
    def of(cls, scores: Iterable[Score], names: Sequence[str]) -> TrainingRuns:
        """Take the top lines of training scores.

        Parameters
        ----------
        scores : iterable of Score
            In ticks; drum tracks are left out.
        names : sequence of str
            A name for each.

        Raises
        ------
        DataError
            If there are not as many names as scores.
        """
        steps, pieces, onsets, count = [], [], [], 0
        for piece, score in enumerate(scores):
            count += 1
            for _, line, first in _score_lines(score):
                steps.append(line)
                pieces.append(piece)
                onsets.append(first)
        if count != len(names):
            raise DataError(f"names must hold one name for each score; got {len(names)} names for {count} scores.")
        lines = _joined(steps)
        return cls(lines.steps, lines.bounds, np.array(pieces, np.int32), np.array(onsets, np.int64), names)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Give all as arrays for ``numpy.savez``; none needs pickle."""
        return {
            "steps": self.steps,
            "bounds": self.bounds,
            "pieces": self.pieces,
            "onsets": self.onsets,
            "names": np.array(self.names, str),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TrainingRuns:
        """Restore what `to_arrays` gave, a dict or what ``numpy.load`` returns.

        Raises
        ------
        DataError
            If an array is missing, or they do not belong together.
        """
        wanted = ("steps", "bounds", "pieces", "onsets", "names")
        if missing := [name for name in wanted if name not in arrays]:
            raise DataError(f"arrays of training runs must be {', '.join(wanted)}; missing: {', '.join(missing)}.")
        steps, bounds, pieces, onsets, names = (np.asarray(arrays[name]) for name in wanted)
        lines = len(bounds) - 1
        if (
            lines < 0
            or bounds[0] != 0
            or bounds[-1] != len(steps)
            or (np.diff(bounds) < 0).any()
            or len(pieces) != lines
            or len(onsets) != lines
            or (lines and not 0 <= pieces.min() <= pieces.max() < len(names))
        ):
            raise DataError("arrays of training runs do not belong together. Build them again from the training data.")
        return cls(steps, bounds, pieces, onsets, names.tolist())

    def longest_copied(self, score: Score) -> Copied:
        """Find the longest run of successive notes of a score that one training line holds too.

        Runs are compared by intervals and times between onsets (to a twelfth of a quarter), so that key and place do
        not matter. Runs on one pitch are not looked at: they are in all music. Neither is a run across two lines or
        pieces.

        Parameters
        ----------
        score : Score
            In ticks; drum tracks are left out.

        Returns
        -------
        Copied
            ``notes`` is 0 if there is no run, or else 2 or more. Of runs of one length it is the one that comes first
            in training.
        """
        found = _score_lines(score)
        own = _joined([steps for _, steps, _ in found])
        # A run that moves has one in it that is a step shorter and moves; so the longest can be found by halving.
        best, low, high = None, 0, int(np.diff(own.bounds).max(initial=0))
        while low < high:
            length = (low + high + 1) // 2
            hit = self._find(own, length)
            if hit:
                best, low = hit, length
            else:
                high = length - 1
        if best is None:
            return Copied(0)
        start, position = best
        line = np.searchsorted(own.bounds, start, "right") - 1
        source = np.searchsorted(self.bounds, position, "right") - 1
        onset = self.onsets[source] + step_waits(self.steps[self.bounds[source] : position]).sum(dtype=np.int64)
        track, steps, _ = found[line]
        return Copied(
            notes=low + 1,
            piece=self.names[self.pieces[source]],
            training_quarters=float(onset / GRID),
            track=track,
            start=int(start - own.bounds[line]),
            share=(low + 1) / (len(steps) + 1),
        )

    def _find(self, own: _Lines, length: int) -> tuple[int, int] | None:
        """Start of a window of `own` and of the first one here that equals it."""
        starts = own.moving(length)
        keys, first = np.unique(own.hashes(starts, length), return_index=True)
        if not len(keys):
            return None
        places = np.flatnonzero(self._lines._room >= length)
        hashes = self._lines.hashes(places, length)
        nearest = np.searchsorted(keys, hashes).clip(max=len(keys) - 1)
        for hit in np.flatnonzero(keys[nearest] == hashes):
            start, place = int(starts[first[nearest[hit]]]), int(places[hit])
            # Different windows of equal hash are all but impossible; a wrong answer would still be wrong.
            if np.array_equal(own.steps[start : start + length], self.steps[place : place + length]):
                return start, place
        return None


def _score_lines(score: Score) -> list[tuple[int, np.ndarray, int]]:
    """Index of the track, steps and first onset of each top line of two notes or more."""
    lines = []
    for i, track in enumerate(score.tracks):
        onsets, pitches = top_line(track, score.ticks_per_quarter)
        if not track.is_drum and len(onsets) > 1:
            lines.append((i, line_steps(onsets, pitches), int(onsets[0])))
    return lines


def _joined(steps: list[np.ndarray]) -> _Lines:
    bounds = np.cumsum([0, *map(len, steps)], dtype=np.int64)
    return _Lines(np.concatenate([np.zeros(0, np.int32), *steps]), bounds)
