"""Files of pairs: sentences and their translations, words and their sounds."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from seqkit.console import note
from seqkit.errors import FormatError, ModelFileError, ParameterError
from seqkit_pipelines.model_folders import load_model, saved_class
from seqkit_pipelines.records import is_records

_CHUNK = 4096
_MISSING = (0, "")
_VARIANT = re.compile(r"\(\d+\)$")


def read_pairs(source: Path, target: Path | None = None, *, reverse: bool = False) -> tuple[list[str], list[str]]:
    """Read pairs of texts.

    Parameters
    ----------
    source : Path
        Sources, one a line; or, without ``target``, pairs: source, tab, target (what follows another tab is left out).
        ``.gz`` too; ``-`` is standard input.
    target : Path or None
        Targets, one a line, as many as there are sources.
    reverse : bool
        Whether a line of pairs has the target first.

    Returns
    -------
    sources, targets : list of str

    Raises
    ------
    FormatError
        If a line has no tab, or one file more lines than the other.
    """
    from seqkit.io import read_lines

    pairs: list[tuple[str, str]] = []
    if target is not None:
        if reverse:
            raise ParameterError("--reverse is for pairs in one file; of two files, give that of the sources first.")
        if str(source) == str(target) == "-":
            raise ParameterError("SOURCE and TARGET are both standard input (-). Give a file for one of them.")
        for one, other in zip_longest(read_lines(source), read_lines(target), fillvalue=_MISSING):
            if _MISSING in (one, other):
                longer, shorter, line = (target, source, other[0]) if one == _MISSING else (source, target, one[0])
                raise FormatError(longer, line, f"there is no such line in {shorter}; both need as many")
            pairs.append((one[1], other[1]))
    else:
        for line, text in read_lines(source):
            columns = text.split("\t")
            if len(columns) > 1:
                pairs.append((columns[0], columns[1]))
            elif text.strip():
                raise FormatError(source, line, "expected a source, a tab and a target; there is no tab")
        if reverse:
            pairs = [(other, one) for one, other in pairs]
    if not pairs:
        raise FormatError(source, None, "holds no pairs")
    return [one for one, _ in pairs], [other for _, other in pairs]


def read_dictionary(path: Path, *, stress: bool = False) -> tuple[list[str], list[list[str]]]:
    """Read a pronouncing dictionary, as that of Carnegie Mellon University.

    Parameters
    ----------
    path : Path
        A word and its sounds on each line, with white space between. A variant is told by ``(1)`` behind the word, or
        by a number of its own after it. Lines that begin with ``;;;`` are comments. ``.gz`` too.
    stress : bool
        Whether the digit behind a vowel, its stress, is kept.

    Returns
    -------
    words : list of str
    sounds : list of list of str

    Raises
    ------
    FormatError
        If a word has no sounds.
    """
    from seqkit.io import read_lines

    found: dict[tuple[str, tuple[str, ...]], None] = {}
    for line, text in read_lines(path):
        if not text.strip() or text.startswith(";;;"):
            continue
        word, *sounds = text.split()
        if sounds and sounds[0].isdecimal():
            sounds = sounds[1:]
        if not sounds:
            raise FormatError(path, line, f"expected a word and its sounds; {word!r} has none")
        sounds = [sound if stress else sound.rstrip("0123456789") or sound for sound in sounds]
        found[_VARIANT.sub("", word), tuple(sounds)] = None
    if not found:
        raise FormatError(path, None, "holds no words")
    return [word for word, _ in found], [list(sounds) for _, sounds in found]


def grouped(words: list[str], sounds: list[list[str]]) -> dict[str, list[list[str]]]:
    """Return all pronunciations of each word."""
    found: dict[str, list[list[str]]] = {}
    for word, one in zip(words, sounds, strict=True):
        found.setdefault(word, []).append(one)
    return found


def load_pair_model(model: Path, targets: str) -> Any:
    """Load a saved `seqkit.Seq2Seq` from texts to "texts" or "tokens".

    Raises
    ------
    ModelFileError
        If the folder holds another model.
    """
    saved_class(model, "Seq2Seq")
    loaded = load_model(model)
    kinds = loaded.source_kind_, loaded.target_kind_
    if kinds != ("texts", targets):
        raise ModelFileError(f"{model} answers {kinds[0]} with {kinds[1]}; this command needs texts and {targets}.")
    return loaded


def answer_lines(
    model: Any, file: Path, output: Path, *, count: int, told: str, copy: bool = False, strip: bool = False
) -> None:
    """Answer the lines of a file, as they come, and say how many there were.

    Parameters
    ----------
    model : seqkit.Seq2Seq
        A fitted one.
    file : Path
        Texts, one a line; ``-`` is standard input.
    output, count, told, copy
        See `write_answers`.
    strip : bool
        Whether white space around a line is no part of it.
    """
    from seqkit.io import read_lines

    # Someone typing, or a program that waits, wants an answer to each line; files are faster in chunks.
    live = str(file) == "-" and str(output) == "-" and not _is_file(sys.stdin)
    texts = (text.strip() if strip else text for _, text in read_lines(file))

    def answers() -> Iterator[tuple[str, list]]:
        while some := list(islice(texts, 1 if live else _CHUNK)):
            asked = [text for text in some if text.strip()]
            found = iter(model.predict_nbest(asked, count) if asked else [])
            # A blank line is answered by a blank line, so that lines stay side by side.
            yield from ((text, next(found) if text.strip() else [("", 0.0)]) for text in some)

    started = time.perf_counter()
    written = write_answers(output, answers(), told=told, count=count, copy=copy)
    if str(output) != "-":
        note(f"Answered {written:,} in {time.perf_counter() - started:.1f} s, written to {output}")


def _is_file(stream: Any) -> bool:
    """Whether a stream is a file that is there as a whole, as with ``< file``."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):
        return False


def write_answers(path: Path, answers: Iterable[tuple[str, list]], *, told: str, count: int, copy: bool) -> int:
    """Write answers as they come; a file appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; ``-`` is standard output. With the ending ``.jsonl``, records with the text and its answers.
    answers : iterable of (str, list of (target, float))
        Texts and what they are answered with, the best first.
    told : str
        Name of the answers in records.
    count : int
        How many answers to a text were asked for: more than one are written with their scores.
    copy : bool
        Whether the text is written before its answer.

    Returns
    -------
    int
        How many texts were answered.
    """
    from seqkit.io import write_whole

    records = is_records(path)
    written = 0
    with write_whole(str(path)) as stream:
        for text, found in answers:
            if records:
                record = {"text": text, told: [target for target, _ in found], "scores": [score for _, score in found]}
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            else:
                for target, score in found:
                    cells = [target if isinstance(target, str) else " ".join(target)]
                    cells = [text, *cells] if copy else cells
                    stream.write("\t".join([*cells, f"{score:.4f}"] if count > 1 else cells) + "\n")
            if str(path) == "-":
                stream.flush()
            written += 1
    return written
