"""Files of music to scores: MIDI, written music, chorales in JSON and piano rolls in MATLAB files.

Nothing is dropped without a word: `read_music` tells of each file, and each piece in it, either what it holds or why it
was left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from seqkit.console import progress as show_progress
from seqkit.errors import DataError, MissingDependencyError, ParameterError, require
from seqkit.music import notation
from seqkit.music.notes import TICKS, changes
from seqkit.music.step_files import numbered, read_json, read_mat, roll_score, voices_score
from seqkit.music.tunes import split_tunes

__all__ = ["Dropped", "Piece", "Reading", "read_music", "read_score", "roll_score", "voices_score"]

if TYPE_CHECKING:
    import os

    import symusic

    from seqkit.music.step_files import Contents


@dataclass(frozen=True)
class Piece:
    """One piece of music.

    Parameters
    ----------
    score : symusic.Score
        The notes, 480 ticks a quarter, drums left out.
    name : str
        The file's path from the folder that was read, and ``"#3"`` for the third piece of a file that holds several.
    style : str or None
        The style, where it was asked for.
    """

    score: symusic.Score
    name: str
    style: str | None = None


@dataclass(frozen=True)
class Dropped:
    """A file or piece that was left out; the reason is one line."""

    name: str
    reason: str


class Reading(NamedTuple):
    """What was read, and what was left out."""

    pieces: list[Piece]
    dropped: list[Dropped]


def read_music(
    path: str | os.PathLike,
    *,
    part: Literal["train", "dev", "test", "all"] = "train",
    styles: Literal["none", "folders"] = "none",
    min_notes: int = 8,
    progress: Callable = show_progress,
) -> Reading:
    """Read all music of a file or folder.

    Parameters
    ----------
    path : str or path
        A file, or a folder that is searched with all folders in it; names that begin with a dot are skipped. The
        ending says how a file is read:

        - ``.mid``, ``.midi``: a track for each instrument; tempo changes, pedals and the like are kept.
        - ``.xml``, ``.musicxml``, ``.mxl``, ``.krn``, ``.abc``: written music, see `seqkit.music.notation`. An ABC
          file may be a book of tunes, each of them a piece.
        - ``.json``: pieces as lists of steps, each a list of MIDI pitches; a list of pieces, or several under "train",
          "valid" and "test". Where each step of the file has four numbers, they are voices from high to low and -1 is
          silence (see `voices_score`), else the keys that are down (see `roll_score`). "16th", "8th" or "quarter" in
          the file's name tells the step; a sixteenth otherwise.
        - ``.mat``: piano rolls of quarter steps from MIDI pitch 21 on, under traindata, validdata and testdata.

        Of all of them drums and tracks without notes are left out, and tempos, time and key signatures that change
        nothing; times are rounded to 480 ticks a quarter, and a note lasts one tick at least.
    part : {"train", "dev", "test", "all"}, default="train"
        What to take of JSON and MATLAB files that are divided so; other files are read whole. Pieces are numbered
        through all parts.
    styles : {"none", "folders"}, default="none"
        "folders": the style of a piece is the name of the folder that holds its file, as ``"jazz"`` or
        ``"jazz/1920"``; files that lie in no folder are left out.
    min_notes : int, default=8
        Pieces with fewer notes are left out.
    progress : callable
        Makes a progress bar: ``progress(total, description)`` is a context with ``advance``. By default there is one
        in a terminal.

    Returns
    -------
    Reading
        Pieces, in the order of their paths, and what was left out and why.

    Raises
    ------
    DataError
        If the path does not exist, or nothing in it can be used.
    MissingDependencyError
        If there is a file whose library is not installed.
    """
    choices = (("part", part, ("train", "dev", "test", "all")), ("styles", styles, ("none", "folders")))
    for name, value, known in choices:
        if value not in known:
            raise ParameterError(f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}.")
    if not isinstance(min_notes, int | np.integer) or min_notes < 1:
        raise ParameterError(f"min_notes must be a whole number, 1 or more; got {min_notes!r}.")
    root = Path(path)
    if styles == "folders" and root.is_file():
        raise ParameterError(f"styles='folders' needs a folder with a folder for each style; {root} is a file.")
    files = _files(root)
    reading = Reading([], [])
    with progress(len(files), "reading music") as bar:
        for file, name in files:
            _read_file(file, name, part, styles, min_notes, reading)
            bar.advance()
    if not reading.pieces:
        raise DataError(_nothing(root, reading.dropped))
    return reading


def read_score(path: str | os.PathLike) -> symusic.Score:
    """Read a file with one piece of music, as `read_music` does; it may be as short as one note.

    Raises
    ------
    DataError
        If the file does not exist, cannot be read, or holds several pieces.
    """
    file, reading = Path(path), Reading([], [])
    if not file.exists():
        raise DataError(f"{file} does not exist.")
    _read_file(file, file.name, "all", "none", 1, reading)
    pieces, dropped = reading
    if len(pieces) + len(dropped) > 1:
        raise DataError(f"{file} holds {len(pieces) + len(dropped)} pieces, expected one. read_music reads them all.")
    if dropped:
        raise DataError(f"{file} {dropped[0].reason}")
    return pieces[0].score


def _files(root: Path) -> list[tuple[Path, str]]:
    """Files and their names, in order."""
    if not root.exists():
        raise DataError(f"{root} does not exist; expected a file or folder of music.")
    if not root.is_dir():
        return [(root, root.name)]
    found = [(file, file.relative_to(root)) for file in root.rglob("*") if not file.is_dir()]
    found = [(file, inner) for file, inner in found if not any(word.startswith(".") for word in inner.parts)]
    return [(file, inner.as_posix()) for file, inner in sorted(found, key=lambda pair: pair[1].parts)]


def _nothing(root: Path, dropped: list[Dropped]) -> str:
    if not dropped:
        return f"{root} has no files in it; expected music ({', '.join(_READERS)})."
    if len(dropped) == 1 and root.is_file():
        return f"{root} {dropped[0].reason}"
    examples = "; ".join(f"{item.name} {item.reason}" for item in dropped[:3])
    return f"{root}: no music that can be used, {len(dropped)} left out, such as: {examples}"


def _read_file(file: Path, name: str, part: str, styles: str, min_notes: int, reading: Reading) -> None:
    """Add a file's pieces to a reading."""
    with _telling(reading.dropped, name):
        if file.suffix.lower() not in _READERS:
            raise DataError(f"is not a music file (endings read: {', '.join(_READERS)})")
        if not file.is_file():
            raise DataError("is no regular file, or a link to nothing")
        style = name.rpartition("/")[0] if styles == "folders" else None
        if style == "":
            raise DataError("has no style: move it into a folder that is named after its style")
        for number, make in _READERS[file.suffix.lower()](file, part):
            with _telling(reading.dropped, name + number):
                reading.pieces.append(Piece(_tidy(make(), min_notes), name + number, style))


@contextmanager
def _telling(dropped: list[Dropped], name: str) -> Iterator[None]:
    """Note what fails within as dropped."""
    try:
        yield
    except MissingDependencyError:
        raise
    except DataError as error:
        dropped.append(Dropped(name, _one_line(error)))
    except Exception as error:  # a damaged file may make a library fail in any way
        dropped.append(Dropped(name, f"cannot be read ({type(error).__name__}: {_one_line(error)})"))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 240 else text[:239] + "…"


def _tidy(score: symusic.Score, min_notes: int) -> symusic.Score:
    tracks = [track for track in score.tracks if len(track.notes)]
    if not tracks:
        raise DataError("has no notes")
    tracks = [track for track in tracks if not track.is_drum]
    if not tracks:
        raise DataError("has only drums, which are left out")
    count = sum(len(track.notes) for track in tracks)
    if count < min_notes:
        raise DataError(f"has fewer than {min_notes} notes ({count}); lower min_notes to keep it")
    if score.ticks_per_quarter <= 0:
        raise DataError("is damaged: its quarters have no ticks")
    score.tracks = tracks
    score = score.resample(TICKS, min_dur=1)
    score.time_signatures = changes(score.time_signatures, _time, lambda meter: (meter.numerator, meter.denominator))
    score.key_signatures = changes(score.key_signatures, _time, lambda key: (key.key, key.tonality))
    score.tempos = changes(score.tempos, _time, lambda tempo: tempo.mspq)
    return score


def _time(event) -> int:
    return event.time


def _midi(file: Path, part: str) -> Contents:
    symusic = require("symusic", extra="music", why="Reading MIDI files")
    return numbered([lambda: symusic.Score.from_midi(file.read_bytes())])


def _musicxml(file: Path, part: str) -> Contents:
    return numbered([lambda: notation.read_musicxml(file.read_bytes())])


def _kern(file: Path, part: str) -> Contents:
    return numbered([lambda score=score: score for score in notation.read_kern(_text(file))])


def _abc(file: Path, part: str) -> Contents:
    return numbered([partial(notation.read_abc, tune) for tune in split_tunes(_text(file))])


def _text(file: Path) -> str:
    data = file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:  # titles and words of old files; the notes are ASCII
        return data.decode("latin-1")


_READERS: dict[str, Callable[[Path, str], Contents]] = {
    ".mid": _midi,
    ".midi": _midi,
    ".xml": _musicxml,
    ".musicxml": _musicxml,
    ".mxl": _musicxml,
    ".krn": _kern,
    ".abc": _abc,
    ".json": read_json,
    ".mat": read_mat,
}
