"""What music is made of, in numbers: to set what a model writes beside what it learned from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seqkit.errors import DataError, InputTypeError
from seqkit.music.notes import line_of
from seqkit.music.notes import top_line as highest_notes

if TYPE_CHECKING:
    from symusic import Score, Track

GRID = 12  # steps to a quarter: sixteenths and triplets of eighths fall on it
_WINDOW = 4  # notes that make a figure which can come again
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class MusicStatistics:
    """Statistics of pieces of music; drum tracks count for nothing.

    A piece lasts from its first note to the end of its last. A track's top line is the highest note at each onset;
    onsets are rounded to twelfths of a quarter. Means over notes or time are over all pieces together, 0 where there
    are no notes.

    Parameters
    ----------
    pieces, notes : int
        How many.
    quarters : float
        Mean length of a piece.
    density : float
        Notes per quarter.
    sounding : float
        Mean number of notes that sound at a time, while any does.
    silence : float
        Share of the time at which none sounds.
    note_quarters : float
        Mean length of a note.
    lowest, highest : int or None
        MIDI pitches; None without notes.
    pitch_classes : tuple of float, 12
        Shares of the notes: C, C#, ... B.
    intervals : tuple of float, 25
        Shares of the steps within top lines by half-tones, -12 to 12; what is wider counts at the ends.
    repetition : float
        Share of all windows of four successive notes in top lines whose intervals and times between onsets an earlier
        window of the piece had already, in whatever key and track.
    """

    pieces: int
    notes: int
    quarters: float
    density: float
    sounding: float
    silence: float
    note_quarters: float
    lowest: int | None
    highest: int | None
    pitch_classes: tuple[float, ...]
    intervals: tuple[float, ...]
    repetition: float


class Comparison(NamedTuple):
    """Statistics of two sets of music beside each other.

    Parameters
    ----------
    rows : list of (str, float, float)
        Name of a statistic, its value in the generated pieces and in the training pieces; a pitch is None where there
        are no notes.
    pitch_class_overlap, interval_overlap : float
        Common part of the two distributions, 0 to 1: one minus their total variation distance.
    """

    rows: list[tuple[str, float | None, float | None]]
    pitch_class_overlap: float
    interval_overlap: float


def top_line(track: Track, ticks_per_quarter: int) -> tuple[np.ndarray, np.ndarray]:
    """Follow the highest note at each onset of a track.

    Parameters
    ----------
    track : Track
        In ticks.
    ticks_per_quarter : int
        Of the score.

    Returns
    -------
    onsets : ndarray
        int64 (n,), in twelfths of a quarter, rounded; each greater than the one before.
    pitches : ndarray
        int64 (n,)
    """
    line = highest_notes(line_of(track, ticks_per_quarter, GRID))
    return line.starts, line.pitches


def line_steps(onsets: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """Tell a line by what does not change with key and place: from each note to the next, interval and time.

    Parameters
    ----------
    onsets, pitches : ndarray
        int64 (n,), from `top_line`.

    Returns
    -------
    ndarray
        int32 (max(n - 1, 0),), time in twelfths of a quarter (at most 2**22) * 256 + interval in half-tones + 128.
    """
    waits = np.minimum(np.diff(onsets), 2**22)
    return (waits * 256 + np.diff(pitches) + 128).astype(np.int32)


def step_intervals(steps: np.ndarray) -> np.ndarray:
    """Half-tones in steps from `line_steps`."""
    return (steps & 255) - 128


def step_waits(steps: np.ndarray) -> np.ndarray:
    """Twelfths of a quarter in steps from `line_steps`."""
    return steps >> 8


class _Counts(NamedTuple):
    """Sums over one piece; times in quarters."""

    notes: int
    length: float
    silent: float
    held: float  # the lengths of all notes
    lowest: int | None
    highest: int | None
    pitch_classes: np.ndarray
    intervals: np.ndarray
    windows: int
    repeated: int


def music_statistics(scores: Iterable[Score]) -> MusicStatistics:
    """Count what pieces of music are made of.

    Parameters
    ----------
    scores : iterable of Score
        In ticks. Pieces without notes count as pieces.

    Returns
    -------
    MusicStatistics

    Raises
    ------
    InputTypeError
        If one score is given in place of a list.
    DataError
        If there are no scores.
    """
    if hasattr(scores, "tracks"):
        raise InputTypeError("scores must be a list of scores, got one score: write [score].")
    counts = [_count(score) for score in scores]
    if not counts:
        raise DataError("scores is empty; expected at least one piece.")
    notes, length, silent, held = (sum(column) for column in list(zip(*counts, strict=True))[:4])
    pitch_classes = sum(piece.pitch_classes for piece in counts)
    intervals = sum(piece.intervals for piece in counts)
    return MusicStatistics(
        pieces=len(counts),
        notes=notes,
        quarters=length / len(counts),
        density=_ratio(notes, length),
        sounding=_ratio(held, length - silent),
        silence=_ratio(silent, length),
        note_quarters=_ratio(held, notes),
        lowest=min((piece.lowest for piece in counts if piece.notes), default=None),
        highest=max((piece.highest for piece in counts if piece.notes), default=None),
        pitch_classes=tuple(_ratio(count, notes) for count in pitch_classes.tolist()),
        intervals=tuple(_ratio(count, intervals.sum()) for count in intervals.tolist()),
        repetition=_ratio(sum(piece.repeated for piece in counts), sum(piece.windows for piece in counts)),
    )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _count(score: Score) -> _Counts:
    tracks = [track for track in score.tracks if not track.is_drum]
    columns = [track.notes.numpy() for track in tracks]
    time, duration, pitch = (
        np.concatenate([np.zeros(0, np.int64), *(notes[name] for notes in columns)])
        for name in ("time", "duration", "pitch")
    )
    steps = [line_steps(*top_line(track, score.ticks_per_quarter)) for track in tracks]
    intervals = np.concatenate([np.zeros(0, np.int32), *map(step_intervals, steps)]).clip(-12, 12)
    windows, distinct = _windows(steps)
    length, silent = _length_and_silence(time, time + duration)
    quarter = score.ticks_per_quarter
    return _Counts(
        len(pitch),
        length / quarter,
        silent / quarter,
        int(duration.sum()) / quarter,
        int(pitch.min()) if len(pitch) else None,
        int(pitch.max()) if len(pitch) else None,
        np.bincount(pitch % 12, minlength=12),
        np.bincount(intervals + 12, minlength=25),
        windows,
        windows - distinct,
    )


def _windows(steps: list[np.ndarray]) -> tuple[int, int]:
    """How many windows of successive notes there are in the lines of a piece, and how many different ones."""
    size = _WINDOW - 1
    windows = [np.lib.stride_tricks.sliding_window_view(line, size) for line in steps if len(line) >= size]
    if not windows:
        return 0, 0
    every = np.concatenate(windows)
    return len(every), len(np.unique(every, axis=0))


def _length_and_silence(starts: np.ndarray, ends: np.ndarray) -> tuple[int, int]:
    """Ticks from the first start to the last end, and how many of them no note holds."""
    if not len(starts):
        return 0, 0
    order = np.argsort(starts)
    starts, reached = starts[order], np.maximum.accumulate(ends[order])
    return int(reached[-1] - starts[0]), int((starts[1:] - reached[:-1]).clip(0).sum())


def overlap(first: Iterable[float], second: Iterable[float]) -> float:
    """Common part of two distributions, 0 to 1: one minus their total variation distance; 0 if one holds nothing."""
    return float(np.minimum(tuple(first), tuple(second)).sum())


def compare_statistics(generated: MusicStatistics, training: MusicStatistics) -> Comparison:
    """Set the statistics of generated pieces beside those of the training pieces.

    Parameters
    ----------
    generated, training : MusicStatistics

    Returns
    -------
    Comparison
    """
    names = {
        "Pieces": "pieces",
        "Notes": "notes",
        "Quarters per piece": "quarters",
        "Notes per quarter": "density",
        "Notes at a time": "sounding",
        "Share of silence": "silence",
        "Quarters per note": "note_quarters",
        "Lowest pitch": "lowest",
        "Highest pitch": "highest",
        "Share of repeated figures": "repetition",
    }
    rows = [(name, getattr(generated, field), getattr(training, field)) for name, field in names.items()]
    return Comparison(
        rows,
        overlap(generated.pitch_classes, training.pitch_classes),
        overlap(generated.intervals, training.intervals),
    )


def format_statistics(generated: MusicStatistics, training: MusicStatistics, name: str = "generated") -> str:
    """Write the statistics of generated and training pieces as a table of two columns.

    Parameters
    ----------
    generated, training : MusicStatistics
    name : str
        What the first are called, where they are other pieces than generated ones.

    Returns
    -------
    str
        Lines of plain text, at most 100 characters wide.
    """
    comparison = compare_statistics(generated, training)
    lines = [_line("", name, "training")]
    lines += [_line(name, _written(name, ours), _written(name, theirs)) for name, ours, theirs in comparison.rows]
    lines += [
        _line("Overlap of pitch classes", f"{comparison.pitch_class_overlap:.1%}"),
        _line("Overlap of intervals", f"{comparison.interval_overlap:.1%}"),
    ]
    top = max(*generated.pitch_classes, *training.pitch_classes)
    shares = zip(_NAMES, generated.pitch_classes, training.pitch_classes, strict=True)
    lines += [_line(name, *(f"{_bar(share, top):<16} {share:6.1%}" for share in pair)) for name, *pair in shares]
    return "\n".join(lines)


def _line(name: str, *values: str) -> str:
    return (f"{name:<27}" + "".join(f"{value:>26}" for value in values)).rstrip()


def _written(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if "pitch" in name:
        return f"{_NAMES[value % 12]}{value // 12 - 1} ({value})"
    if name.startswith("Share"):
        return f"{value:.1%}"
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _bar(share: float, top: float) -> str:
    """Up to sixteen blocks, in eighths."""
    eighths = round(128 * share / top) if top else 0
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
