"""Lines of text cut into fields: with quotes as in CSV, or at every delimiter as in TSV."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator

from seqkit.errors import FormatError
from seqkit.io.lines import Source, read_lines, source_name

_LONG = 1 << 16  # characters of a record from which on the csv module's limit is watched; its default is twice that


def split_rows(source: Source, delimiter: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each line's number and fields, in which quotes are characters like any other; blank lines are left out."""
    for number, line in read_lines(source, encoding):
        if line:
            yield number, line.split(delimiter)


def quoted_rows(source: Source, delimiter: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record's first line and fields, where fields in double quotes may hold anything (RFC 4180)."""
    name, limit, first = source_name(source), _FieldLimit(), 1
    reader = csv.reader(limit.watched(read_lines(source, encoding)), delimiter=delimiter, strict=True)
    while True:
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise FormatError(
                name,
                first,
                f"the record that begins here is not CSV ({error}). A field with a quote, a delimiter or a line end in "
                "it needs quotes around it, and the quote is written twice; quotes=False reads quotes as they are.",
            ) from error
        finally:
            limit.restore()
        if values is None:
            return
        if values:
            yield first, values
        first = reader.line_num + 1


class _FieldLimit:
    """Lifts the csv module's limit on fields, which belongs to the whole process, while a long record is read."""

    _lock = threading.Lock()
    _holders = 0
    _former = 0

    def __init__(self):
        self._length, self._holds = 0, False

    def watched(self, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
        for _, line in lines:
            self._length += len(line) + 1
            if not self._holds and self._length > min(_LONG, csv.field_size_limit()):
                self._lift()
            yield line + "\n"

    def _lift(self) -> None:
        with _FieldLimit._lock:
            if not _FieldLimit._holders:
                _FieldLimit._former = csv.field_size_limit((1 << 31) - 1)  # the most that a C long holds everywhere
            _FieldLimit._holders += 1
        self._holds = True

    def restore(self) -> None:
        self._length = 0
        if self._holds:
            self._holds = False
            with _FieldLimit._lock:
                _FieldLimit._holders -= 1
                if not _FieldLimit._holders:
                    csv.field_size_limit(_FieldLimit._former)
