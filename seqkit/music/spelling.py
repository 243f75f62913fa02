"""Notes written as words, as "C4 D4 F#4:2 R Bb3:1/2"."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from seqkit.errors import ParameterError
from seqkit.music.notes import TICKS, Line, make_score

if TYPE_CHECKING:
    import symusic

_NOTE = re.compile(r"(?:([A-Ga-g])([#b]{0,2})(-?\d)|(\d{1,3})|[Rr])(?::(\d+)(?:/([1-9]\d*))?)?")
_HALF_TONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def read_notes(text: str, tempo: float = 100.0) -> symusic.Score:
    """Return the score of notes written as words.

    Parameters
    ----------
    text : str
        Notes between white space or commas: a name with "#" or "b" and an octave (C4 is the middle C) or a MIDI pitch,
        "R" for a rest; then, after a colon, how many quarters it lasts, as ":2" or ":1/2". Without: one.
    tempo : float
        Quarters in a minute.

    Returns
    -------
    symusic.Score
        A single track.

    Raises
    ------
    ParameterError
        If a word is no note, or there is none.
    """
    notes, now = [], 0
    for word in re.split(r"[\s,]+", text.strip()):
        match = _NOTE.fullmatch(word)
        length = Fraction(int(match[5] or 1), int(match[6] or 1)) * TICKS if match else 0
        if not match or length.denominator > 1 or not length:
            raise ParameterError(f"{word!r} is no note: expected words such as C4, F#4:2, Bb3:1/2, 60 or R:1.")
        end, pitch = now + int(length), None
        if match[1]:
            accidental = match[2].count("#") - match[2].count("b")
            pitch = 12 * (int(match[3]) + 1) + _HALF_TONES[match[1].upper()] + accidental
        elif match[4]:
            pitch = int(match[4])
        if pitch is not None:
            if not 0 <= pitch < 128:
                raise ParameterError(f"{word!r} is out of range: MIDI has pitches from 0 (C-1) to 127 (G9).")
            notes.append((now, end, pitch))
        now = end
    if not notes:
        raise ParameterError(f"{text!r} has no notes.")
    starts, ends, pitches = np.array(notes, np.int64).T
    return make_score([Line(starts, ends, pitches)], TICKS, (), tempo)
