"""Where the records of text files begin and end, and what they hold: lines, JSONL, CSV, TSV, CoNLL.

A file is cut into records once to plan and again to read; both do it here, so that a shard is what was planned. A
record that cannot be read is one all the same: it has its place in the output, and its reason among the errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from seqkit.errors import FormatError
from seqkit.io.conll import token_and_rest

_BOM = b"\xef\xbb\xbf"
_QUOTED_LINES = 10_000  # a quote that nothing closes within so many lines is taken for a stray one
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_METADATA = re.compile(rb"# ?(\S+ = |id \S|new(doc|par)\b)")  # as `seqkit.io.iter_conll` has it
_DOCUMENT = b"-DOCSTART-"


class Record(NamedTuple):
    """A record's place and bytes: where it begins, in bytes and in lines (from 1), and all its lines."""

    offset: int
    line: int
    data: bytes


class BadRecord(ValueError):
    """A record that cannot be read; says why, and in which line if that is not its first."""

    def __init__(self, reason: str, line: int | None = None):
        super().__init__(reason)
        self.line = line


class Lines:
    """Each line is a record, blank or not; it has one field, ``text``."""

    columns = ("text",)

    def records(self, stream: Iterable[bytes], offset: int = 0, line: int = 1) -> Iterator[Record]:
        """Cut a stream that stands at an offset, the begin of a line, into records."""
        for number, data in enumerate(stream, line):
            yield Record(offset, number, data)
            offset += len(data)

    def parse(self, record: Record) -> dict[str, Any]:
        """Return the fields of a record.

        Raises
        ------
        BadRecord
            If it cannot be read.
        """
        return {"text": _text(record)}


class JsonLines(Lines):
    """Each line that is not empty is a record: a JSON object, or a string, which is a ``text``."""

    columns = None

    def records(self, stream, offset=0, line=1):
        """See `Lines.records`."""
        return (record for record in super().records(stream, offset, line) if record.data.strip(b"\r\n"))

    def parse(self, record):
        """See `Lines.parse`."""
        text = _text(record)
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadRecord(f"not JSON ({error}): {text!r:.80}") from error
        if isinstance(fields, str):
            fields = {"text": fields}
        if not isinstance(fields, dict):
            raise BadRecord(f"expected a JSON object, got {type(fields).__name__}: {text!r:.80}")
        if _SURROGATE.search(text):
            try:
                json.dumps(fields, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise BadRecord(f"half of a surrogate pair is no text: {text!r:.80}") from error
        return fields


class Delimited(Lines):
    """Rows of cells, the first of which names the columns.

    Parameters
    ----------
    delimiter : str
        Between cells.
    quotes : bool
        Whether a cell may stand in double quotes, and then hold delimiters, line ends and doubled quotes (RFC 4180).
    columns : sequence of str or None
        The columns' names, once they are known; `header` finds them.
    """

    def __init__(self, delimiter: str, quotes: bool, columns=None):
        self.delimiter, self.quotes, self.columns = delimiter.encode(), quotes, columns

    def header(self, stream: Iterable[bytes], path: object) -> tuple[int, int]:
        """Read the names of the columns; return where the rows begin, in bytes and in lines."""
        for record in self.records(stream):
            try:
                names = [cell.strip() or str(i) for i, cell in enumerate(self._cells(record))]
            except BadRecord as error:
                raise FormatError(path, record.line, f"no names of columns: {error}") from error
            for i, name in enumerate(names):
                if name in names[:i]:
                    raise FormatError(path, record.line, f"two columns have the name {name!r}. Rename one.")
            self.columns = tuple(names)
            return record.offset + len(record.data), record.line + record.data.count(b"\n")
        raise FormatError(path, None, "holds no names of columns: expected them in the first line.")

    def records(self, stream, offset=0, line=1):
        """See `Lines.records`; empty lines are no records."""
        held: list[Record] = []
        for record in super().records(stream, offset, line):
            if held:
                held.append(record)
                if record.data.count(b'"') % 2:
                    whole = held[0]._replace(data=b"".join(one.data for one in held))
                    if self._cut(whole.data) is not None:
                        yield whole
                        held = []
                if len(held) > _QUOTED_LINES:
                    yield from (one for one in held if one.data.strip(b"\r\n"))
                    held = []
            elif record.data.strip(b"\r\n"):
                if self._cut(record.data) is None:
                    held = [record]
                else:
                    yield record
        # Nothing closes the quote: its line is a record that cannot be read, and those behind it are records.
        yield from (one for one in held if one.data.strip(b"\r\n"))

    def parse(self, record):
        """See `Lines.parse`."""
        cells = self._cells(record)
        if len(cells) != len(self.columns):
            raise BadRecord(
                f"expected {len(self.columns)} cells, as there are columns, got {len(cells)}: {cells!r:.80}"
            )
        return dict(zip(self.columns, cells, strict=True))

    def _cells(self, record: Record) -> list[str]:
        cells = self._cut(record.data.removeprefix(_BOM) if record.line == 1 else record.data)
        if cells is None:
            raise BadRecord(f"a quote is opened that nothing closes: {record.data!r:.80}")
        return [_decoded(cell) for cell in cells]

    def _cut(self, data: bytes) -> list[bytes] | None:
        """Return the cells of a line, or of several in quotes; None where a quote is open at the end."""
        data = data.removesuffix(b"\n").removesuffix(b"\r")
        if not self.quotes or b'"' not in data:
            return data.split(self.delimiter)
        cells, at = [], 0
        while True:
            if data[at : at + 1] == b'"':
                begin = at + 1
                close = data.find(b'"', begin)
                while close >= 0 and data[close + 1 : close + 2] == b'"':
                    close = data.find(b'"', close + 2)
                if close < 0:
                    return None
                cells.append(data[begin:close].replace(b'""', b'"').replace(b"\r\n", b"\n"))
                end = data.find(self.delimiter, close + 1)
                if data[close + 1 : None if end < 0 else end]:
                    cells[-1] = data[at : None if end < 0 else end]  # text behind the quotes: it stays as it is
            else:
                end = data.find(self.delimiter, at)
                cells.append(data[at : None if end < 0 else end])
            if end < 0:
                return cells
            at = end + 1


class Conll(Lines):
    """Sentences of one token a line, as `seqkit.io.iter_conll` reads them; fields ``tokens`` and ``rest``.

    ``rest`` has what stands in the other columns of each token, between tabs.

    Parameters
    ----------
    token_column : int
        The token's column.
    """

    columns = ("tokens", "rest")

    def __init__(self, token_column: int = 0):
        self.token_column = token_column

    def records(self, stream, offset=0, line=1):
        """See `Lines.records`."""
        held: list[Record] = []
        for record in super().records(stream, offset, line):
            data = record.data.removeprefix(_BOM) if record.line == 1 else record.data
            if not data.strip() or data.startswith(_DOCUMENT):
                if held:
                    yield held[0]._replace(data=b"".join(one.data for one in held))
                    held = []
            elif held or not _METADATA.match(data):
                held.append(record)
        if held:
            yield held[0]._replace(data=b"".join(one.data for one in held))

    def parse(self, record):
        """See `Lines.parse`."""
        lines = _text(record).split("\n")
        try:
            rows = [token_and_rest(line.removesuffix("\r"), self.token_column, "", i) for i, line in enumerate(lines)]
        except FormatError as error:
            raise BadRecord(error.reason, record.line + error.line) from error
        return {"tokens": [token for token, _ in rows], "rest": ["\t".join(rest) for _, rest in rows]}


def _text(record: Record) -> str:
    data = record.data.removeprefix(_BOM) if record.line == 1 else record.data
    return _decoded(data.removesuffix(b"\n").removesuffix(b"\r"))


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        bad = data[error.start : error.end].hex(" ")
        raise BadRecord(f"not valid UTF-8: byte {bad} at position {error.start} ({error.reason})") from error
