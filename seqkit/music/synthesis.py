"""Scores to sound, by adding sines; to hear what a model writes, not to please."""

from __future__ import annotations

import io
import math
import os
import wave
from itertools import groupby
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seqkit.errors import DataError, ParameterError
from seqkit.io.lines import write_bytes
from seqkit.music.notes import TICKS
from seqkit.music.writing import tidy_score

if TYPE_CHECKING:
    from symusic import Score

_HARMONICS = 8
_ATTACK, _RELEASE = 0.008, 0.08  # seconds
_DECAY, _SUSTAIN = 0.4, 0.3  # seconds until 1/e of the way from 1 down to this level
_STROKE = 0.15  # seconds that a drum sounds
_PEAK = 0.9
_LONGEST = 3 * 3600  # seconds; more is a fault of the data, and memory that one may not have


def synthesize(score: Score, sample_rate: int = 22_050) -> np.ndarray:
    """Sound of a score.

    A note is a sine of its pitch (A4, 69, is 440 Hz) and its first harmonics, the k-th of amplitude 1 / k ** 1.5, times
    velocity / 127; harmonics from half the sample rate upward are left out. It rises in 8 ms, decays to 0.3 of its
    height and falls to zero in the 80 ms after its end. Notes of drum tracks are short noise.

    Parameters
    ----------
    score : Score
        In ticks; played as `seqkit.music.writing.tidy_score` gives it, with its changes of tempo.
    sample_rate : int, default=22_050
        Samples per second, 8000 to 192_000.

    Returns
    -------
    ndarray
        float32 (samples,), the largest magnitude 0.9; from time 0 of the score to the end of what sounds last. The
        same for the same score.

    Raises
    ------
    DataError
        If the score has no notes, or lasts more than three hours.
    ParameterError
        If the sample rate is not one.
    """
    if not isinstance(sample_rate, Integral) or not 8000 <= sample_rate <= 192_000:
        raise ParameterError(f"sample_rate must be an integer between 8000 and 192000; got {sample_rate!r}.")
    notes = _notes(tidy_score(score))
    end = max(note.start + note.sounding for note in notes)
    if end > _LONGEST:
        raise DataError(
            f"The score lasts {end / 3600:.1f} hours; expected at most {_LONGEST // 3600}. Is one of its tempos or "
            "notes wrong? Clip it."
        )
    sound = np.zeros(math.ceil(end * sample_rate), np.float32)
    notes.sort(key=lambda note: (note.is_drum, note.pitch))
    for (is_drum, pitch), same in groupby(notes, key=lambda note: (note.is_drum, note.pitch)):
        same = list(same)
        longest = max(note.sounding for note in same)
        # Notes of one pitch differ in their ends only, so that their sines are computed once.
        wave_form = _stroke(pitch, sample_rate) if is_drum else _held_tone(pitch, longest, sample_rate)
        for note in same:
            released = wave_form if is_drum else _released(wave_form, note.length, sample_rate)
            place = sound[round(note.start * sample_rate) :][: len(released)]
            place += note.height * released[: len(place)]
    peak = np.abs(sound).max()
    return sound if peak == 0 else sound * np.float32(_PEAK / peak)


def write_wav(score: Score, path: str | os.PathLike, sample_rate: int = 22_050) -> None:
    """Write the sound of a score to a WAV file, 16 bit, one channel, whole or not at all; see `synthesize`.

    Parameters
    ----------
    score : Score
    path : str or path
        Where to write, such as ``"piece.wav"``.
    sample_rate : int, default=22_050
        Samples per second.

    Raises
    ------
    DataError, ParameterError
        As `synthesize`.
    """
    sound = synthesize(score, sample_rate)
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(sample_rate))
        file.writeframes(np.rint(sound * 32767).astype("<i2").tobytes())
    write_bytes(path, stream.getvalue())


class _Note(NamedTuple):
    """A note in seconds; its height is a share of the greatest velocity."""

    start: float
    length: float
    pitch: int
    height: float
    is_drum: bool

    @property
    def sounding(self) -> float:
        return _STROKE if self.is_drum else self.length + _RELEASE


def _notes(score: Score) -> list[_Note]:
    found = []
    for track in score.tracks:
        columns = track.notes.numpy()
        starts = _seconds(score, columns["time"])
        lengths = _seconds(score, columns["time"].astype(np.int64) + columns["duration"]) - starts
        heights = columns["velocity"] / 127
        values = (column.tolist() for column in (starts, lengths, columns["pitch"], heights))
        found += [_Note(*note, track.is_drum) for note in zip(*values, strict=True)]
    return found


def _seconds(score: Score, ticks: np.ndarray) -> np.ndarray:
    """When ticks of a tidy score come, by its tempos."""
    tempos = score.tempos.numpy()
    times, per_tick = tempos["time"].astype(np.int64), tempos["mspq"] / (1e6 * TICKS)
    reached = np.concatenate([[0.0], np.cumsum(np.diff(times) * per_tick[:-1])])
    tempo = np.searchsorted(times, ticks, "right") - 1
    return reached[tempo] + (ticks - times[tempo]) * per_tick[tempo]


def _held_tone(pitch: int, seconds: float, sample_rate: int) -> np.ndarray:
    """float64, a note that is not let go."""
    time = np.arange(math.ceil(seconds * sample_rate)) / sample_rate
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    heard = np.arange(1, _HARMONICS + 1)
    heard = heard[heard * frequency < sample_rate / 2]
    # The sum of h[k] * sin(k * x) is the imaginary part of a polynomial in exp(i * x): one exponential for all.
    tone = np.polynomial.Polynomial([0, *heard**-1.5])(np.exp(2j * np.pi * frequency * time)).imag
    attack = np.minimum(time / _ATTACK, 1)
    decay = _SUSTAIN + (1 - _SUSTAIN) * np.exp(-time / _DECAY)
    return tone * attack * decay


def _released(tone: np.ndarray, length: float, sample_rate: int) -> np.ndarray:
    """The note that is let go `length` seconds after its start, to the end of its release."""
    tone = tone[: math.ceil((length + _RELEASE) * sample_rate)].copy()
    end = math.ceil(length * sample_rate)
    since = np.arange(end, len(tone)) / sample_rate - length
    # Half a cosine goes to zero without a corner at either end: a jump or a corner is heard as a click.
    tone[end:] *= 0.5 + 0.5 * np.cos(np.pi * since / _RELEASE)
    return tone


def _stroke(pitch: int, sample_rate: int) -> np.ndarray:
    """Noise for a note of a drum track, whose pitch names an instrument: each its own noise, the same each time."""
    time = np.arange(math.ceil(_STROKE * sample_rate)) / sample_rate
    noise = np.random.default_rng(pitch).uniform(-1, 1, len(time))
    return noise * np.exp(-time / 0.03) * (1 - time / _STROKE)
