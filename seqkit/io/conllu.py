"""CoNLL-U, the format of Universal Dependencies: words and one of their columns as tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io.lines import Source, read_lines, source_name, write_whole

_COLUMNS = {"lemma": 2, "upos": 3, "xpos": 4, "feats": 5, "deprel": 7}
_FEATURE = re.compile(r"[A-Z][A-Za-z0-9]*(\[[a-z0-9]+\])?")  # as the format defines them: Number, Person[psor]
_SKIPPED = re.compile(r"[0-9]+(-[0-9]+|\.[0-9]+)")  # a multiword token's range, an empty node


def read_conllu(path_or_file: Source, tag: str = "upos") -> tuple[list[list[str]], list[list[str]]]:
    """Read the syntactic words of a CoNLL-U file, and a tag for each.

    Parameters
    ----------
    path_or_file : str, path or file object
        Plain or gzip; ``"-"`` is standard input.
    tag : str, default="upos"
        ``"upos"``, ``"xpos"``, ``"deprel"``, ``"lemma"``, ``"feats"``, or the name of one feature, such as ``"Number"``
        (words without it get ``"_"``).

    Returns
    -------
    sentences, tags : lists of list of str
        Ranges of multiword tokens (``3-4``) and empty nodes (``8.1``) are left out.

    Raises
    ------
    FormatError
        With file and line if a line does not have ten columns, or ids are not 1, 2, 3, ...; also if no word of the
        file has the tag asked for.
    """
    sentences, tags = [], []
    for tokens, labels, _ in iter_conllu(path_or_file, tag):
        sentences.append(tokens)
        tags.append(labels)
    if tags and all(label == "_" for labels in tags for label in labels):
        raise FormatError(
            source_name(path_or_file), None, f"no word has a value for {tag!r}. Choose another column or feature."
        )
    return sentences, tags


def iter_conllu(path_or_file: Source, tag: str = "upos") -> Iterator[tuple[list[str], list[str], int]]:
    """Stream the sentences of a CoNLL-U file; parameters as in `read_conllu`.

    Yields
    ------
    tokens, tags : list of str
    line : int
        Line number of the first word, counted from 1.
    """
    if tag not in _COLUMNS and not (isinstance(tag, str) and _FEATURE.fullmatch(tag)):
        raise ParameterError(
            f"tag must be one of {', '.join(map(repr, _COLUMNS))}, or a feature such as 'Number'; got {tag!r}."
        )
    return _sentences(path_or_file, tag)


def _sentences(source: Source, tag: str) -> Iterator[tuple[list[str], list[str], int]]:
    name = source_name(source)
    tokens, tags, first = [], [], 0
    for number, line in read_lines(source):
        if line.startswith("#"):
            continue
        if not line.strip():
            if tokens:
                yield tokens, tags, first
                tokens, tags = [], []
            continue
        columns = line.split("\t")
        if len(columns) != 10:
            raise FormatError(
                name, number, f"expected 10 columns with tabs between them, got {len(columns)}: {line!r:.100}"
            )
        if _SKIPPED.fullmatch(columns[0]):
            continue
        if columns[0] != str(len(tokens) + 1):
            raise FormatError(
                name,
                number,
                f"expected the word id {len(tokens) + 1}, got {columns[0]!r}. Ids count from 1 in every sentence; a "
                "blank line separates sentences.",
            )
        if not columns[1]:
            raise FormatError(name, number, f"the word in column 2 (FORM) is empty: {line!r:.100}")
        if not tokens:
            first = number
        tokens.append(columns[1])
        tags.append(columns[_COLUMNS[tag]] if tag in _COLUMNS else _feature(columns[5], tag))
    if tokens:
        yield tokens, tags, first


def _feature(features: str, name: str) -> str:
    for feature in features.split("|"):
        key, _, value = feature.partition("=")
        if key == name:
            return value
    return "_"


def write_conllu(
    path_or_file: Source, sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]], tag: str = "upos"
) -> None:
    """Write words and one column of tags as CoNLL-U; the other columns are ``_``.

    Parameters
    ----------
    path_or_file : str, path or file object
        A path is written whole or not at all; ``"-"`` is standard output.
    sentences, tags : iterables of sequences of str
        Words and tags.
    tag : {"upos", "xpos", "deprel", "lemma", "feats"} or feature name, default="upos"
        Where the tags go.
    """
    if tag not in _COLUMNS and not (isinstance(tag, str) and _FEATURE.fullmatch(tag)):
        raise ParameterError(f"tag must be one of {', '.join(map(repr, _COLUMNS))} or a feature's name; got {tag!r}.")
    with write_whole(path_or_file) as stream:
        for index, (words, labels) in enumerate(zip_longest(sentences, tags)):
            if words is None or labels is None or len(words) != len(labels):
                raise DataError(
                    f"Sentence {index}: every word needs one tag; words: {words!r:.80}, tags: {labels!r:.80}."
                )
            for position, (word, label) in enumerate(zip(words, labels, strict=True), 1):
                if any(not value or "\t" in value or "\n" in value for value in (word, label)):
                    raise DataError(f"Sentence {index}: {word!r} or {label!r} is empty, or holds a tab or a line end.")
                columns = [str(position), word] + ["_"] * 8
                if tag in _COLUMNS:
                    columns[_COLUMNS[tag]] = label
                elif label != "_":
                    columns[5] = f"{tag}={label}"
                stream.write("\t".join(columns) + "\n")
            stream.write("\n")
