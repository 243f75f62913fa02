"""JSONL with labeled character spans, as spaCy, Prodigy and Doccano write them.

One JSON value a line, any of

- ``{"text": "...", "spans": [{"start": 0, "end": 5, "label": "PER"}]}`` (Prodigy, and what `write_spans` writes),
- ``{"text": "...", "label": [[0, 5, "PER"]]}`` (Doccano; also ``labels``, ``entities``; ``data`` for ``text``; entities
  as objects with ``start_offset``, ``end_offset``, ``label``),
- ``["...", {"entities": [[0, 5, "PER"]]}]`` (spaCy's training pairs).

Offsets count characters (Unicode code points), the end is exclusive. A record without spans is a text without entities.
Prodigy records whose ``answer`` is not ``accept`` are skipped.
"""

from __future__ import annotations

import json
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise, zip_longest

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io.lines import Source, read_lines, source_name, write_whole
from seqkit.tags import check_scheme, entity_spans, tags_from_spans

Span = tuple[int, int, str]

_SPAN_KEYS = ("spans", "entities", "labels", "label")
_CHUNK = 1024  # texts tokenized at once


def read_spans(path_or_file: Source) -> tuple[list[str], list[list[Span]]]:
    """Read texts and their labeled spans.

    Parameters
    ----------
    path_or_file : str, path or file object
        Plain or gzip; ``"-"`` is standard input.

    Returns
    -------
    texts : list of str
    spans : list of list of (int, int, str)
        Start, end (exclusive) in characters and label, in order.

    Raises
    ------
    FormatError
        With file and line: bad JSON, no text, spans that overlap, are empty or leave the text.
    """
    texts, spans = [], []
    for text, labeled, _ in iter_spans(path_or_file):
        texts.append(text)
        spans.append(labeled)
    return texts, spans


def iter_spans(path_or_file: Source) -> Iterator[tuple[str, list[Span], int]]:
    """Stream text, spans and line number of the records of a file; see `read_spans`."""
    for text, spans, number, _ in _records(path_or_file):
        yield text, spans, number


def _records(source: Source) -> Iterator[tuple[str, list[Span], int, bool]]:
    """Text, spans, line number, and whether the record has a key for spans at all."""
    name = source_name(source)
    for number, line in read_lines(source):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FormatError(name, number, f"not JSON ({error}): {line!r:.80}. Expected one record a line.") from error
        if isinstance(record, list) and len(record) == 2 and isinstance(record[1], dict):
            record = {**record[1], "text": record[0]}
        if not isinstance(record, dict):
            raise FormatError(
                name,
                number,
                f'expected an object such as {{"text": ..., "spans": [...]}}, got {type(record).__name__}.',
            )
        if record.get("answer", "accept") != "accept":
            continue
        text = record.get("text", record.get("data"))
        if not isinstance(text, str):
            raise FormatError(name, number, f'no text: expected a string under "text" or "data"; keys: {list(record)}.')
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise FormatError(
                name, number, f"the text holds half of a surrogate pair at character {error.start}."
            ) from error
        # Classification records also have a "label", but as a string.
        given = next((record[key] for key in _SPAN_KEYS if isinstance(record.get(key), list)), None)
        spans = sorted(_span(item, text, name, number) for item in given or ())
        for left, right in pairwise(spans):
            if right[0] < left[1]:
                raise FormatError(
                    name,
                    number,
                    f"spans {_shown(left, text)} and {_shown(right, text)} overlap. Tags hold flat spans only.",
                )
        yield text, spans, number, given is not None


def _span(item: object, text: str, name: str, number: int) -> Span:
    if isinstance(item, dict):
        values = [
            item.get("start", item.get("start_offset")),
            item.get("end", item.get("end_offset")),
            item.get("label"),
        ]
    else:
        values = item if isinstance(item, list) else []
    if (
        len(values) != 3
        or not all(isinstance(value, int) and not isinstance(value, bool) for value in values[:2])
        or not isinstance(values[2], str)
        or not values[2]
    ):
        raise FormatError(
            name,
            number,
            f'expected a span like {{"start": 0, "end": 5, "label": "PER"}} or [0, 5, "PER"], got {item!r:.80}.',
        )
    start, end, label = values
    if not 0 <= start < end <= len(text):
        raise FormatError(
            name,
            number,
            f"the span {start}-{end} ({label}) is empty or outside the text of {len(text)} characters. Offsets count "
            "characters (not bytes), with the end exclusive.",
        )
    return start, end, label


def _shown(span: Span, text: str) -> str:
    start, end, label = span
    return f"{start}-{end} {text[start:end]!r:.40} ({label})"


def spans_to_tags(
    text: str,
    spans: Iterable[Span],
    token_offsets: Sequence[tuple[int, int]],
    scheme: str = "iob2",
    on_misaligned: str = "error",
) -> list[str]:
    """Tags of tokens from labeled character spans.

    Parameters
    ----------
    text : str
        The text that the offsets refer to.
    spans : iterable of (int, int, str)
        Start, end (exclusive) and label. White space at the ends of a span does not count.
    token_offsets : sequence of (int, int)
        Start and end (exclusive) of each token, in order.
    scheme : {"iob2", "iob1", "iobes", "io"}, default="iob2"
        The scheme to write.
    on_misaligned : {"error", "warn"}, default="error"
        What to do with a span that does not begin and end where tokens do: raise a DataError, or warn and widen it to
        the tokens it touches (dropped where it touches none, or one that another span has).

    Returns
    -------
    list of str
        One tag a token.
    """
    check_scheme(scheme)
    if on_misaligned not in ("error", "warn"):
        raise ParameterError(f"on_misaligned must be 'error' or 'warn', got {on_misaligned!r}.")
    starts, ends = [start for start, _ in token_offsets], [end for _, end in token_offsets]
    found: list[Span] = []
    for start, end, label in sorted(spans):
        inner = text[start:end]
        begin, stop = start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
        first, last = bisect_right(ends, begin), bisect_left(starts, stop)
        taken = bool(found) and first < found[-1][1]
        if first < last and starts[first] == begin and ends[last - 1] == stop and not taken:
            found.append((first, last, label))
            continue
        touched = [text[left:right] for left, right in token_offsets[first:last]]
        reason = "shares a token with the span before it" if taken else "does not begin and end where tokens do"
        message = f"the span {_shown((start, end, label), text)} {reason}; tokens it touches: {touched}"
        if on_misaligned == "error":
            raise DataError(
                f"{message}. Correct its offsets, or use on_misaligned='warn' to widen such spans to whole tokens."
            )
        drop = taken or first >= last
        warnings.warn(f"{message}; {'dropped' if drop else 'widened'}.", stacklevel=2)
        if not drop:
            found.append((first, last, label))
    return tags_from_spans(found, len(starts), scheme)


def tags_to_spans(tags: Sequence[str], token_offsets: Sequence[tuple[int, int]]) -> list[Span]:
    """Labeled character spans from the tags of tokens, read as conlleval reads them: the inverse of `spans_to_tags`.

    Parameters
    ----------
    tags : sequence of str
        One tag a token, in any scheme.
    token_offsets : sequence of (int, int)
        Start and end (exclusive) of each token.

    Returns
    -------
    list of (int, int, str)
        Start, end (exclusive) and label.
    """
    if len(tags) != len(token_offsets):
        raise DataError(f"Got {len(tags)} tags for {len(token_offsets)} tokens; expected one for each.")
    return [(token_offsets[first][0], token_offsets[last - 1][1], label) for first, last, label in entity_spans(tags)]


def read_jsonl_tagged(
    path_or_file: Source,
    tokenize: Callable[[list[str]], Iterable] | None = None,
    *,
    scheme: str = "iob2",
    on_misaligned: str = "error",
) -> tuple[list[list[str]], list[list[str]]]:
    """Read labeled texts as tokens and tags.

    Parameters
    ----------
    path_or_file : str, path or file object
        As for `read_spans`.
    tokenize : callable or None, default=None
        Takes a list of texts; returns, for each, its tokens, their starts and their ends in characters, as a tuple or
        as an object with the attributes ``tokens``, ``starts``, ``ends``. None is
        `seqkit.text.tokenizer.tokenize_texts`.
    scheme, on_misaligned : str
        As for `spans_to_tags`.

    Returns
    -------
    sentences, tags : lists of list of str

    Raises
    ------
    FormatError
        With file and line; also if no record of the file has spans, which hints at an unknown key.
    """
    check_scheme(scheme)
    if tokenize is None:
        from seqkit.text.tokenizer import tokenize_texts as tokenize  # TensorFlow loads here, not with seqkit.io

    name = source_name(path_or_file)
    records = _records(path_or_file)
    sentences, tags, labeled = [], [], False
    while chunk := list(islice(records, _CHUNK)):
        rows = tokenize([text for text, *_ in chunk])
        for (text, spans, number, has_spans), row in zip(chunk, rows, strict=True):
            tokens, starts, ends = (row.tokens, row.starts, row.ends) if hasattr(row, "tokens") else row
            offsets = list(zip(map(int, starts), map(int, ends), strict=True))
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    tags.append(spans_to_tags(text, spans, offsets, scheme, on_misaligned))
            except DataError as error:
                raise FormatError(name, number, str(error)) from error
            for warning in caught:
                warnings.warn(f"{name}:{number}: {warning.message}", stacklevel=2)
            sentences.append(list(tokens))
            labeled = labeled or has_spans
    if sentences and not labeled:
        raise FormatError(name, None, f"no record has spans: none has a list under {', '.join(map(repr, _SPAN_KEYS))}.")
    return sentences, tags


def write_spans(path_or_file: Source, texts: Iterable[str], spans: Iterable[Iterable[Span | Mapping]]) -> None:
    """Write texts and spans as JSONL, ``{"text": ..., "spans": [{"start", "end", "label"}]}`` a line.

    Parameters
    ----------
    path_or_file : str, path or file object
        A path is written whole or not at all, compressed if it ends in ``.gz``; ``"-"`` is standard output.
    texts : iterable of str
        The texts; an iterator is consumed text by text.
    spans : iterable of iterables
        For each text its spans: (start, end, label), or mappings with these keys, whose further keys (such as a score)
        are written too.
    """
    with write_whole(path_or_file) as stream:
        for index, (text, items) in enumerate(zip_longest(texts, spans)):
            if text is None or items is None:
                raise DataError(f"texts and spans differ in number: one of them ends before item {index}.")
            rows = []
            for item in items:
                row = (
                    dict(item) if isinstance(item, Mapping) else dict(zip(("start", "end", "label"), item, strict=True))
                )
                if not 0 <= row["start"] < row["end"] <= len(text):
                    raise DataError(
                        f"Text {index}: the span {row} is empty or outside the text of {len(text)} characters."
                    )
                row["start"], row["end"] = int(row["start"]), int(row["end"])  # numpy integers are no JSON
                rows.append(row)
            stream.write(json.dumps({"text": text, "spans": rows}, ensure_ascii=False) + "\n")
