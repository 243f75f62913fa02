"""Scores to MIDI files that notation programs open with the right bars and tempo."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import numpy as np

from seqkit.errors import DataError, InputTypeError, require
from seqkit.io.lines import write_bytes
from seqkit.music.notes import TICKS, bar_lines, on_grid

if TYPE_CHECKING:
    from symusic import Score

_DEFAULT_TEMPO = 100.0  # quarters per minute, of a score that says nothing
_MIDI_TEMPO = 120.0  # what MIDI takes until a file's first tempo
_SLOWEST = 2**24 - 1  # microseconds per quarter: what three bytes hold


def write_midi(score: Score, path: str | os.PathLike) -> None:
    """Write a score to a MIDI file, whole or not at all; see `tidy_score` for what is put right on the way.

    The file is of format 1: first a track without notes that holds tempos, time and key signatures and markers, and
    ends where the last bar ends; then the tracks of the score.

    Parameters
    ----------
    score : Score
        In ticks; not changed.
    path : str or path
        Where to write, such as ``"piece.mid"``.

    Raises
    ------
    DataError
        If the score has no notes, or holds what MIDI cannot say.
    """
    write_bytes(path, midi_bytes(score))


def midi_bytes(score: Score) -> bytes:
    """Return what `write_midi` writes."""
    tidy = tidy_score(score)
    first = _first_track(tidy)
    # symusic would put these into the first instrument's track; programs may then take them for that instrument's only.
    tidy.tempos, tidy.time_signatures, tidy.key_signatures, tidy.markers = [], [], [], []
    chunks = tidy.dumps_midi()[14:]
    return struct.pack(">4sIHHH", b"MThd", 6, 1, 1 + len(tidy.tracks), TICKS) + first + chunks


def _first_track(score: Score) -> bytes:
    """The chunk of what is said of all tracks."""
    events = [
        (s.time, 0x58, bytes([s.numerator, s.denominator.bit_length() - 1, 24, 8])) for s in score.time_signatures
    ]
    events += [(t.time, 0x51, t.mspq.to_bytes(3, "big")) for t in score.tempos]
    events += [(k.time, 0x59, struct.pack("bB", k.key, k.tonality)) for k in score.key_signatures]
    events += [(m.time, 0x06, m.text.encode()) for m in score.markers]
    events.sort(key=lambda event: event[0])
    events.append((max(events[-1][0], int(bar_lines(score)[-1])), 0x2F, b""))
    data, last = b"", 0
    for time, kind, content in events:
        data += _number(time - last) + bytes([0xFF, kind]) + _number(len(content)) + content
        last = time
    return struct.pack(">4sI", b"MTrk", len(data)) + data


def _number(value: int) -> bytes:
    """A number as MIDI writes it: seven bits a byte, the first ones' eighth bit set."""
    parts = [value & 127]
    while value := value >> 7:
        parts.append(value & 127 | 128)
    return bytes(reversed(parts))


def tidy_score(score: Score) -> Score:
    """Copy a score as notation programs want it: what is written, drawn and played.

    Parameters
    ----------
    score : Score
        In ticks, of any number to a quarter; not changed.

    Returns
    -------
    Score
        480 ticks to a quarter. One tempo and one time signature at time 0: 100 quarters per minute where the score
        has no tempo, 120 where its first comes later (what MIDI takes until then), and 4/4. Of several tempos or
        signatures at one time the last counts. In each track a note ends where its pitch starts again, and the longest
        of equal ones stays; a note lasts at least one tick. Notes of no length and tracks without notes are left out.
        Velocities lie in 1..127. Key signatures, names and controllers are kept.

    Raises
    ------
    InputTypeError
        If it is not a score in ticks.
    DataError
        If the score has no notes; if a note starts before time 0 or lies outside 0..127; if MIDI cannot say a tempo
        or a time signature.
    """
    symusic = require("symusic", extra="music", why="Writing music")
    if not isinstance(score, symusic.core.ScoreTick):
        raise InputTypeError(f"score must be a symusic.Score in ticks, got {type(score).__name__}.")
    notes = [_tidy_notes(track.notes.numpy(), score.ticks_per_quarter, i) for i, track in enumerate(score.tracks)]
    if not any(len(columns["time"]) for columns in notes):
        raise DataError(
            f"The score has no notes (tracks: {len(score.tracks)}), so there is nothing to write. "
            "Expected at least one note that lasts."
        )
    tidy = score.resample(TICKS, 1)
    tracks = []
    for track, columns in zip(tidy.tracks, notes, strict=True):
        if len(columns["time"]):
            track.notes = symusic.Note.from_numpy(**columns)
            tracks.append(track)
    tidy.tracks = tracks
    start = symusic.Tempo(0, _MIDI_TEMPO if len(tidy.tempos) else _DEFAULT_TEMPO)
    tidy.tempos = _one_each(tidy.tempos, start)
    tidy.time_signatures = _one_each(tidy.time_signatures, symusic.TimeSignature(0, 4, 4))
    _check_events(tidy)
    return tidy


def _tidy_notes(notes: dict[str, np.ndarray], ticks_per_quarter: int, track: int) -> dict[str, np.ndarray]:
    """Notes of one track in our ticks, in order of time, none over another of its pitch."""
    pitch = notes["pitch"].astype(np.int64)
    if (notes["time"] < 0).any() or (pitch < 0).any():
        raise DataError(
            f"Track {track} of the score has a note before time 0 or a pitch below 0. Expected times from 0 and "
            "pitches 0..127; shift the score."
        )
    lasting = notes["duration"] > 0
    time, duration, pitch, velocity = (
        column[lasting].astype(np.int64) for column in (notes["time"], notes["duration"], pitch, notes["velocity"])
    )
    # Starts and ends are rounded each, so that what is joined stays joined.
    start, end = (on_grid(ticks, ticks_per_quarter, TICKS) for ticks in (time, time + duration))
    end = np.maximum(end, start + 1)
    order = np.lexsort((end, start, pitch))
    start, end, pitch, velocity = start[order], end[order], pitch[order], velocity[order]
    again = pitch[1:] == pitch[:-1]
    end[:-1][again] = np.minimum(end[:-1], start[1:])[again]
    order = np.lexsort((pitch, start))
    order = order[end[order] > start[order]]  # of notes that start together, all but the longest are cut to nothing
    columns = {"time": start, "duration": end - start, "pitch": pitch, "velocity": velocity.clip(1, 127)}
    types = {"time": np.int32, "duration": np.int32, "pitch": np.int8, "velocity": np.int8}
    return {name: column[order].astype(types[name]) for name, column in columns.items()}


def _one_each(events: list, start: object) -> list:
    """In order of time, the last of each time; `start` if there is none at 0."""
    at = {0: start} | {event.time: event for event in sorted(events, key=lambda event: event.time)}
    return [at[time] for time in sorted(at)]


def _check_events(score: Score) -> None:
    """What MIDI cannot say would be written as something else."""
    for tempo in score.tempos:
        if not 0 < tempo.mspq <= _SLOWEST:
            raise DataError(
                f"The score has a tempo of {tempo.mspq} microseconds per quarter at quarter {tempo.time / TICKS:g}; "
                f"MIDI holds 1..{_SLOWEST}, from 3.58 quarters per minute upward. Change the tempo."
            )
    for signature in score.time_signatures:
        numerator, denominator = signature.numerator, signature.denominator
        if not 0 < numerator < 256 or denominator not in (1, 2, 4, 8, 16, 32, 64):
            raise DataError(
                f"The score has the time signature {numerator}/{denominator} at quarter {signature.time / TICKS:g}. "
                "Expected a numerator of 1..255 over a power of two up to 64; change the signature."
            )
