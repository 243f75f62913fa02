"""Music as steps of one length: chorales in JSON, piano rolls in MATLAB files, and arrays of both kinds to scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from seqkit.errors import DataError, ParameterError
from seqkit.music.notes import TICKS, Line, make_score
from seqkit.music.roll import held_notes

if TYPE_CHECKING:
    from pathlib import Path

    import symusic
    from numpy.typing import ArrayLike

    # What a file holds: of each piece, what to add to the file's name, and what makes the score.
    Contents = Sequence[tuple[str, Callable[[], symusic.Score]]]

# The names of a part in JSON and in MATLAB files.
_PARTS = {"train": ("train", "traindata"), "dev": ("valid", "dev", "validdata"), "test": ("test", "testdata")}
_STEPS = {"16th": 4, "8th": 2, "quarter": 1}  # words in the name of a JSON file: steps to a quarter
_JSON_FORM = "expected pieces as lists of steps, each a list of MIDI pitches"


def numbered(makes: Sequence[Callable[[], symusic.Score]]) -> Contents:
    """Name the pieces of a file by their places in it; the only one of a file needs no such name."""
    return [(f"#{number}" if len(makes) > 1 else "", make) for number, make in enumerate(makes, 1)]


def read_json(file: Path, part: str) -> Contents:
    """Read chorales in JSON; see `seqkit.music.reading.read_music`."""
    content = json.loads(file.read_bytes())
    parts = _parts(content) if isinstance(content, dict) else {"all": content}
    steps = [step for pieces in parts.values() for piece in _lists(pieces) for step in _lists(piece)]
    make = voices_score if all(isinstance(step, list) and len(step) == 4 for step in steps) else _keys_score
    per_quarter = next((count for word, count in _STEPS.items() if word in file.name.lower()), 4)
    return _chosen(parts, part, lambda piece: make(piece, steps_per_quarter=per_quarter))


def _lists(value: Any) -> list:
    if isinstance(value, list):
        return value
    raise DataError(f"is no music in JSON: {_JSON_FORM}, got {value!r:.60}")


def read_mat(file: Path, part: str) -> Contents:
    """Read piano rolls of a MATLAB file; see `seqkit.music.reading.read_music`."""
    from scipy.io import loadmat

    parts = _parts(loadmat(file))
    for cells in parts.values():
        if cells.dtype != object:
            raise DataError(f"has no cell arrays of piano rolls: a part is {cells.dtype} of shape {cells.shape}")
    return _chosen({name: cells.ravel() for name, cells in parts.items()}, part, roll_score)


def _parts(content: dict[str, Any]) -> dict[str, Any]:
    found = {part: content[name] for part, names in _PARTS.items() for name in names if name in content}
    if not found:
        names = ", ".join(map(repr, content)) or "nothing"
        raise DataError(f"has no part that is known ('train', 'valid', 'test', 'traindata', …); it holds {names:.100}")
    return found


def _chosen(parts: dict[str, Sequence], part: str, make: Callable[[Any], symusic.Score]) -> Contents:
    """The pieces of a part, numbered through all parts: so a name is that of one piece, whatever part was asked for."""
    if part not in ("all", *parts) and "all" not in parts:
        raise DataError(f"has no part {part!r}, only {', '.join(map(repr, parts))}")
    names = [name for name, pieces in parts.items() for _ in pieces]
    contents = numbered([partial(make, piece) for pieces in parts.values() for piece in pieces])
    return [item for name, item in zip(names, contents, strict=True) if part == "all" or name in (part, "all")]


def _keys_score(steps: list[list[int]], steps_per_quarter: int) -> symusic.Score:
    frames = np.zeros((len(steps), 128), np.int8)
    for number, (frame, pitches) in enumerate(zip(frames, steps, strict=True), 1):
        if not all(isinstance(pitch, int | float) and pitch in range(128) for pitch in _lists(pitches)):
            raise DataError(f"step {number} must be a list of MIDI pitches from 0 to 127, got {pitches!s:.60}")
        frame[[int(pitch) for pitch in pitches]] = 1
    return roll_score(frames, low=0, steps_per_quarter=steps_per_quarter)


def roll_score(frames: ArrayLike, *, low: int = 21, steps_per_quarter: int = 1, tempo: float = 100.0) -> symusic.Score:
    """Make a score of a piano roll.

    Parameters
    ----------
    frames : array (steps, keys) of 0 and 1
        1 where a key is down. A key that is down in steps that follow each other is one note.
    low : int, default=21
        MIDI pitch of the first key.
    steps_per_quarter : int, default=1
        Steps to a quarter; divides 480.
    tempo : float, default=100.0
        Quarters in a minute.

    Returns
    -------
    symusic.Score
        One track.

    Raises
    ------
    DataError
        If the frames are no such array, or have keys outside of MIDI's pitches 0 to 127.
    """
    array = _table(frames, "frames", "(steps, keys) of 0 and 1")
    if wrong := array[~np.isin(array, (0, 1))].tolist():
        raise DataError(f"frames must hold 0 and 1 only, got {wrong[0]!r}.")
    if low < 0 or low + array.shape[1] > 128:
        raise DataError(f"frames have {array.shape[1]} keys from pitch {low} on; MIDI's pitches are 0 to 127.")
    return make_score([held_notes(array == 1, low, "Piano")], _checked(steps_per_quarter), (), tempo)


def voices_score(
    voices: ArrayLike,
    *,
    steps_per_quarter: int = 4,
    names: Sequence[str] = ("Soprano", "Alto", "Tenor", "Bass"),
    tempo: float = 100.0,
) -> symusic.Score:
    """Make a score of voices, each of which sings one note at a time.

    Parameters
    ----------
    voices : int array (steps, voices)
        MIDI pitches; -1 is silence. The same pitch in steps that follow each other is one note.
    steps_per_quarter : int, default=4
        Steps to a quarter; divides 480.
    names : sequence of str
        Names of the voices; further ones are called "Voice 5" and so on.
    tempo : float, default=100.0
        Quarters in a minute.

    Returns
    -------
    symusic.Score
        A track for each voice, also for a silent one.

    Raises
    ------
    DataError
        If the voices are no such array.
    """
    array = _table(voices, "voices", "(steps, voices) of MIDI pitches and -1")
    if wrong := array[~np.isin(array, np.arange(-1, 128))].tolist():
        raise DataError(f"voices must hold MIDI pitches from 0 to 127 and -1, got {wrong[0]!r}.")
    array = array.astype(np.int64)
    names = [*names, *(f"Voice {number}" for number in range(len(names) + 1, array.shape[1] + 1))]
    lines = []
    for name, pitches in zip(names, array.T, strict=False):
        bounds = np.flatnonzero(np.diff(pitches, prepend=-2, append=-2))  # -2 is no pitch: the ends are bounds too
        starts, ends = bounds[:-1], bounds[1:]
        sung = pitches[starts] >= 0
        lines.append(Line(starts[sung], ends[sung], pitches[starts[sung]], name))
    return make_score(lines, _checked(steps_per_quarter), (), tempo)


def _table(values: ArrayLike, name: str, shape: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of several lengths
        raise DataError(f"{name} must be an array {shape}; its rows differ in length.") from error
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise DataError(f"{name} must be an array {shape}, got {array.dtype} of shape {array.shape}.")
    return array


def _checked(steps_per_quarter: int) -> int:
    if steps_per_quarter < 1 or TICKS % steps_per_quarter:
        raise ParameterError(f"steps_per_quarter must divide {TICKS}, got {steps_per_quarter!r}.")
    return int(steps_per_quarter)
