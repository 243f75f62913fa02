"""Files in and out of a tagging pipeline: tagged data to learn from, streams to tag, and predictions."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice, tee
from pathlib import Path
from typing import Any

from seqkit.console import console, entity_text, import_tensorflow, is_terminal
from seqkit.errors import FormatError, ParameterError
from seqkit_pipelines.records import with_answer

TAGGED_FORMATS = ("auto", "conll", "conllu", "jsonl")
INPUT_FORMATS = ("auto", "text", "conll", "jsonl")
OUTPUT_FORMATS = ("auto", "conll", "jsonl", "text")
_CONLL_ENDINGS = (".conll", ".iob", ".iob2", ".bio", ".bioes", ".tsv", ".col")
_JSONL_ENDINGS = (".jsonl", ".ndjson", ".json")

# One thing to tag: its text or its tokens, and whatever else its record holds.
Item = tuple[str | list[str], Mapping[str, Any]]


def read_tagged(
    path: Path, format: str = "auto", *, delimiter: str | None = None, token_column: int = 0, tag_column: str = "-1"
) -> tuple[list[list[str]], list[list[str]]]:
    """Read sentences and tags to learn from or to score against.

    Parameters
    ----------
    path : Path
        The file; ``-`` is standard input (CoNLL only).
    format : {"auto", "conll", "conllu", "jsonl"}, default "auto"
        "auto" goes by the ending of the name (``.gz`` aside) and takes CoNLL columns where that says nothing.
    delimiter : str, optional
        Between CoNLL columns; any white space by default. A backslash and a t mean a tab.
    token_column : int, default 0
        Column of the token in CoNLL, counted from 0; negative from the end.
    tag_column : str, default "-1"
        Column of the tag in CoNLL; in CoNLL-U a name such as ``upos`` (the default there).

    Returns
    -------
    sentences, tags : list of lists of str
    """
    _one_of("format", format, TAGGED_FORMATS)
    kind = _by_ending(path, {"conllu": (".conllu",), "jsonl": _JSONL_ENDINGS}, "conll") if format == "auto" else format
    if kind == "conllu":
        from seqkit.io import read_conllu

        return read_conllu(path, tag="upos" if tag_column == "-1" else tag_column)
    if kind == "jsonl":
        from seqkit.io import read_jsonl_tagged

        import_tensorflow()  # cuts the texts
        return read_jsonl_tagged(path)
    from seqkit.io import read_conll

    try:
        column = int(tag_column)
    except ValueError:
        raise ParameterError(f"--tag-column must be a number for CoNLL columns, got {tag_column!r}.") from None
    return read_conll(path, token_column=token_column, tag_column=column, delimiter=_unescaped(delimiter))


def read_items(
    path: Path, format: str = "auto", *, delimiter: str | None = None, token_column: int = 0
) -> Iterator[Item]:
    """Stream what is to be tagged: a text a line, CoNLL tokens, or JSON records with "text" or "tokens"."""
    _one_of("--input-format", format, INPUT_FORMATS)
    kind = _by_ending(path, {"conll": _CONLL_ENDINGS, "jsonl": _JSONL_ENDINGS}, "text") if format == "auto" else format
    if kind == "conll":
        from seqkit.io import iter_conll

        rows = iter_conll(path, token_column=token_column, tag_column=None, delimiter=_unescaped(delimiter))
        return ((tokens, {}) for tokens, _, _ in rows)
    from seqkit.io.lines import read_lines, source_name

    if kind == "jsonl":
        name = source_name(path)
        return (_json_item(name, number, line) for number, line in read_lines(path) if line.strip())
    return ((line, {}) for _, line in read_lines(path))


def tag_items(tagger: Any, items: Iterable[Item], chunk: int = 4096) -> Iterator[dict[str, Any]]:
    """Tag a stream in its order, holding no more than a few chunks of it in memory.

    Yields
    ------
    dict
        ``text``, ``tokens``, ``tags``, ``entities`` (character offsets), and the fields that came with the item; see
        `seqkit_pipelines.records.with_answer` for those that have one of these names.
    """
    for is_text, group in groupby(items, key=lambda item: isinstance(item[0], str)):
        answers = partial(_tag_texts, chunk=chunk) if is_text else _tag_tokens
        yield from answers(tagger, group)


def write_predictions(path: Path, records: Iterable[Mapping[str, Any]], format: str = "auto") -> int:
    """Write predictions as they come; a file appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; ``-`` is standard output.
    records : iterable of mappings
        As `tag_items` yields them.
    format : {"auto", "conll", "jsonl", "text"}, default "auto"
        "text" is in color on a terminal, ``[Ada Lovelace|PER]`` elsewhere. "auto" goes by the file's ending, and is
        "text" for standard output.

    Returns
    -------
    int
        How many records were written.
    """
    _one_of("--output-format", format, OUTPUT_FORMATS)
    if format == "auto":
        format = _by_ending(path, {"conll": _CONLL_ENDINGS, "jsonl": _JSONL_ENDINGS}, "text")
    from seqkit.io import write_conll
    from seqkit.io.lines import write_whole

    written = 0

    def counted() -> Iterator[Mapping[str, Any]]:
        nonlocal written
        for record in records:
            yield record
            written += 1

    target = str(path)
    if format == "conll":
        first, second = tee(counted())
        write_conll(target, (record["tokens"] for record in first), (record["tags"] for record in second))
    else:
        with write_whole(target) as stream:
            if format == "text" and is_terminal(stream):
                for record in counted():
                    console().print(entity_text(record["text"], record["entities"]), soft_wrap=True)
            else:
                line = _json_line if format == "jsonl" else _text_line
                stream.writelines(line(record) for record in counted())
    return written


def space_offsets(tokens: Sequence[str]) -> tuple[list[int], list[int]]:
    """Character offsets of tokens in ``" ".join(tokens)``."""
    starts, ends, position = [], [], 0
    for token in tokens:
        starts.append(position)
        ends.append(position + len(token))
        position += len(token) + 1
    return starts, ends


def _tag_texts(tagger: Any, items: Iterator[Item], chunk: int) -> Iterator[dict[str, Any]]:
    while batch := list(islice(items, chunk)):
        for found, (_, fields) in zip(tagger.tag([text for text, _ in batch]), batch, strict=True):
            yield with_answer(fields, found)


def _tag_tokens(tagger: Any, items: Iterator[Item]) -> Iterator[dict[str, Any]]:
    from seqkit.tags import gather_entities, place_in_text

    pending: deque[Item] = deque()  # read by predict_iter, not yet answered

    def tokens() -> Iterator[list[str]]:
        for item in items:
            pending.append(item)
            yield item[0]

    for tags in tagger.predict_iter(tokens()):
        words, fields = pending.popleft()
        text = " ".join(words)
        entities = gather_entities(tags, tagger.scheme_, place_in_text(text, *space_offsets(words)))
        yield with_answer(fields, {"text": text, "tokens": words, "tags": list(tags), "entities": entities})


def _json_item(path: str, number: int, line: str) -> Item:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise FormatError(path, number, f"not valid JSON ({error}). Expected one object a line.") from None
    if "\\ud" in line.lower():  # JSON can spell half of a surrogate pair, which no text file can hold
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise FormatError(
                path, number, "holds half of a surrogate pair (\\ud800 to \\udfff), no character."
            ) from None
    value = record.get("tokens", record.get("text")) if isinstance(record, dict) else None
    words = isinstance(value, list) and all(isinstance(word, str) for word in value)
    if not words and not isinstance(value, str):
        raise FormatError(path, number, 'expected an object with a string "text" or a list of strings "tokens".')
    return value, record


def _json_line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _text_line(record: Mapping[str, Any]) -> str:
    return entity_text(record["text"], record["entities"], color=False).plain + "\n"


def _unescaped(delimiter: str | None) -> str | None:
    """Let a tab be written as it is typed most easily in a shell."""
    return delimiter.replace("\\t", "\t") if delimiter is not None else None


def _by_ending(path: Path, endings: Mapping[str, Sequence[str]], otherwise: str) -> str:
    name = path.name.lower().removesuffix(".gz")
    return next((kind for kind, ends in endings.items() if name.endswith(tuple(ends))), otherwise)


def _one_of(parameter: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ParameterError(f"{parameter} must be one of {', '.join(allowed)}, got {value!r}.")
