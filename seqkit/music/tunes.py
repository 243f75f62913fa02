"""ABC tunes as text: books cut into tunes, and tunes brought into the form that music21 reads without mistakes.

music21 10 drops what it does not know rather than complain, so some of ABC has to be put differently before:

- Accidentals hold to the end of the bar, as the ABC standard has it, only where the text says that it is of version 2.
- Fields in brackets, as ``[K:G]``, are read as chords; the first field line after a bar line is not read at all.
- Voices must be numbered, and each must stand in one piece; in most files they take turns, line by line.
- A mark between ``>`` and its note keeps the notes from being dotted; a slur's end may end a triplet; a note under
  a fermata (``H``) is lost, and so is the time of an invisible rest (``x``).
"""

from __future__ import annotations

import re

from seqkit.errors import DataError

_FIELD = re.compile(r"([A-Za-z+]):(?![|:])")
_BRACKETED_FIELD = re.compile(r"\[([A-Za-z]:[^]\n]*)]")
# What no score holds: chord symbols and remarks, decorations, grace notes, slurs, spaces, comments, line ends.
_MARKS = re.compile(r'"[^"\n]*"|![^!|\s]{1,24}!|\{[^}\n]*}|%.*|\((?!\d)|y\d*|[)!~.`\\H-WYh-w]')
_UNREADABLE = {"Z": "rests of whole bars", "X": "rests of whole bars", "&": "voices that share a line"}


def split_tunes(text: str) -> list[str]:
    """Cut a tune book into its tunes, each with the fields that stand before the first one.

    A tune begins with its number (``X:``). Cut this way, a tune that cannot be read does not take the others with it.
    """
    before, *tunes = re.split(r"^(?=X:)", re.sub(r"\r\n?", "\n", text), flags=re.MULTILINE)
    if not tunes:
        return [before]
    fields = "".join(f"{line}\n" for line in before.split("\n") if _FIELD.match(line) or line.startswith("%%"))
    return [fields + tune for tune in tunes]


def plain_tune(tune: str) -> str:
    """Put a tune as music21 reads it: notes, bars, and the fields for key, meter, tempo and length of notes.

    Raises
    ------
    DataError
        If the tune holds what music21 does not read and what cannot be left out either.
    """
    head, in_head, voice = ["%abc-2.1"], True, ""
    voices: dict[str, list[str]] = {"": []}
    singing: set[str] = set()  # voices that have more than fields
    for line in _BRACKETED_FIELD.sub(r"\n\1\n", tune).split("\n"):
        if line.startswith("%%propagate-accidentals"):
            head.append(line)
        elif field := _FIELD.match(line):
            if field[1] == "V" and not in_head:
                voice = (line[2:].split() or [""])[0]
                voices.setdefault(voice, [])
            elif field[1] in "KLMQ":
                # Twice, since the first one after a bar is not read.
                (head if in_head else voices[voice]).extend([line, line])
            in_head = in_head and field[1] != "K"
        elif music := _MARKS.sub("", line).strip():
            for sign in _UNREADABLE:
                if sign in music:
                    raise DataError(f"has {_UNREADABLE[sign]} ({sign!r}), which cannot be read. Write them out.")
            in_head = False
            voices[voice].append(music.replace("x", "z"))
            singing.add(voice)
    if not any(line[0] in "LM" for line in head):
        head.insert(1, "L:1/8")  # what the standard says; music21 has nothing to go by then
    parts = list(voices.values())
    if len(singing) > 1:
        parts = [[f"V:{n}", *lines] if name in singing else lines for n, (name, lines) in enumerate(voices.items(), 1)]
    return "\n".join([*head, *(line for part in parts for line in part), ""])
