"""Notes on a grid: the form between scores and what a network reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seqkit.errors import DataError, require

if TYPE_CHECKING:
    import symusic

#: Ticks to a quarter in the scores that are made here: divides by 2, 3 and 5, and every notation program knows it.
TICKS = 480
_WHY = "Music"


class Line(NamedTuple):
    """The notes of one voice or instrument, on a grid; arrays of one length."""

    starts: np.ndarray
    ends: np.ndarray
    pitches: np.ndarray
    name: str = ""

    def sorted(self) -> Line:
        """Return the notes in the order of their starts, those of one start from low to high."""
        order = np.lexsort((self.pitches, self.starts))
        return Line(self.starts[order], self.ends[order], self.pitches[order], self.name)


class Change(NamedTuple):
    """A time signature, from a grid step on."""

    step: int
    numerator: int
    denominator: int


def lines_of(score: symusic.Score, steps_per_quarter: int) -> list[Line]:
    """Return the notes of each track that has some, drums left out, on a grid.

    Parameters
    ----------
    score : symusic.Score
        The score, in ticks.
    steps_per_quarter : int
        Grid steps to a quarter. Starts and ends go to the nearest step; a note lasts one step at least.

    Returns
    -------
    list of Line
    """
    tracks = [track for track in score.tracks if not track.is_drum and len(track.notes)]
    if not tracks:
        raise DataError("has no notes (drums are left out)")
    return [line_of(track, score.ticks_per_quarter, steps_per_quarter) for track in tracks]


def line_of(track: symusic.Track, ticks_per_quarter: int, steps_per_quarter: int) -> Line:
    """Return the notes of a track on a grid; see `lines_of`."""
    notes = track.notes.numpy()
    begins = notes["time"].astype(np.int64)
    starts, ends = (
        on_grid(ticks, ticks_per_quarter, steps_per_quarter) for ticks in (begins, begins + notes["duration"])
    )
    return Line(starts, np.maximum(ends, starts + 1), notes["pitch"].astype(np.int64), track.name).sorted()


def on_grid(ticks: np.ndarray, ticks_per_quarter: int, steps_per_quarter: int) -> np.ndarray:
    """Return the nearest grid steps, halves upward: to even, a figure would change with the place where it stands."""
    return (2 * steps_per_quarter * ticks.astype(np.int64) + ticks_per_quarter) // (2 * ticks_per_quarter)


def changes(events: Iterable, time: Callable, value: Callable) -> list:
    """Return the events that change something, in order; of several at one time the last."""
    kept: list = []
    for event in {time(event): event for event in sorted(events, key=time)}.values():
        if not kept or value(event) != value(kept[-1]):
            kept.append(event)
    return kept


def meters_of(score: symusic.Score, steps_per_quarter: int) -> list[Change]:
    """Return the time signatures in order, one at step 0 at least (4/4 where the score does not say)."""
    found = [Change(0, 4, 4)]
    for signature in sorted(score.time_signatures, key=lambda s: s.time):
        step = round(signature.time * steps_per_quarter / score.ticks_per_quarter)
        found.append(Change(step, signature.numerator, signature.denominator))
    return changes(found, lambda change: change.step, lambda change: change[1:])


def top_line(line: Line) -> Line:
    """Return the highest note of each start, cut where the next one starts."""
    line = line.sorted()
    last = np.append(line.starts[1:] != line.starts[:-1], True)[: len(line.starts)]
    starts, ends, pitches = (values[last] for values in line[:3])
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return Line(starts, ends, pitches, line.name)


def make_score(
    lines: Iterable[Line], steps_per_quarter: int, meters: Sequence[Change] = (), tempo: float = 100.0
) -> symusic.Score:
    """Return a score of lines, a track each.

    Parameters
    ----------
    lines : iterable of Line
        The notes.
    steps_per_quarter : int
        Grid steps to a quarter; divides 480.
    meters : sequence of Change
        Time signatures; 4/4 where there is none.
    tempo : float
        Quarters in a minute.

    Returns
    -------
    symusic.Score
    """
    symusic = require("symusic", extra="music", why=_WHY)
    score, ticks = symusic.Score(TICKS), TICKS // steps_per_quarter
    score.tempos.append(symusic.Tempo(time=0, qpm=float(tempo)))
    for step, numerator, denominator in meters or [Change(0, 4, 4)]:
        score.time_signatures.append(symusic.TimeSignature(step * ticks, numerator, denominator))
    for line in lines:
        track = symusic.Track(name=line.name, program=0, is_drum=False)
        for start, end, pitch in zip(*(values.tolist() for values in line.sorted()[:3]), strict=True):
            track.notes.append(symusic.Note(start * ticks, (end - start) * ticks, pitch, 80))
        score.tracks.append(track)
    return score


def bar_lines(score: symusic.Score) -> np.ndarray:
    """Return where bars begin, and where the last one ends, which holds the end of the last note.

    Parameters
    ----------
    score : symusic.Score
        In ticks.

    Returns
    -------
    ndarray
        int64 (bars + 1,), ticks, from 0; a time signature begins a bar wherever it stands.
    """
    end, bar, starts = score.end(), 0, []
    changes = [change for change in meters_of(score, score.ticks_per_quarter) if change.step < end]
    for change, until in zip(changes, [*(change.step for change in changes[1:]), end], strict=True):
        bar = score.ticks_per_quarter * 4 * change.numerator // change.denominator
        starts.extend(range(change.step, until, bar))
    return np.array([*starts, starts[-1] + bar] if starts else [0], np.int64)


def first_bars(score: symusic.Score, bars: int) -> symusic.Score:
    """Return the first bars of a score; notes that last longer are cut there."""
    times = bar_lines(score).tolist()
    if bars >= len(times) - 1:
        return score
    cut = score.clip(0, times[bars], clip_end=False)
    for track in cut.tracks:
        notes = track.notes.numpy()
        notes["duration"] = np.minimum(notes["duration"], times[bars] - notes["time"])
        track.notes = type(track.notes).from_numpy(*(notes[k] for k in ("time", "duration", "pitch", "velocity")))
    return cut
