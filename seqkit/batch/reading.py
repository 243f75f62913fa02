"""The rows of a shard: what the model reads of each, what is carried through, and what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from seqkit.batch.plan import NAMES, InputFile, Shard, text_format
from seqkit.batch.records import BadRecord
from seqkit.batch.streams import damage_named, open_bytes
from seqkit.errors import FormatError

_BATCH = 1 << 14  # rows of Parquet that are decoded at once


class Problem(NamedTuple):
    """Why a row has no answer, and the line (of Parquet, the row) that it begins in or that is to blame."""

    line: int
    reason: str


class Rows(NamedTuple):
    """Some rows in their order.

    ``inputs`` is what the model reads, None where that is a problem; ``fields`` a dict for each, or a `pyarrow.Table`;
    ``problems`` by the number of the row among these; ``lines`` where each begins.
    """

    inputs: list
    fields: Any
    problems: dict[int, Problem]
    lines: list[int]


class ShardReader:
    """Read shards of a job's files, best in their order: a file is left open, since the next one may go on in it.

    Parameters
    ----------
    files : sequence of InputFile
        The job's.
    options : mapping
        The plan's.
    """

    def __init__(self, files: list[InputFile], options: Mapping[str, Any]):
        self._files, self._options = files, options
        self._open: tuple[int, int, Iterator] | None = None  # file, row that comes next, records from there
        self._held = ExitStack()

    def read(self, shard: Shard) -> Rows:
        """Return the rows of a shard.

        Raises
        ------
        FormatError
            If the file has not as many rows as when the job was planned.
        """
        file = self._files[shard.file]
        path = Path(file.path)
        with damage_named(path):
            if file.format == "parquet":
                rows = self._parquet(path, file, shard)
            else:
                rows = self._text(path, file, shard)
        if len(rows.inputs) != shard.rows:
            raise FormatError(
                path, None, f"has changed since the job was planned: rows are missing after row {shard.first}."
            )
        return rows

    def close(self) -> None:
        """Close what is open."""
        self._open = None
        self._held.close()

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *_):
        self.close()

    def _text(self, path: Path, file: InputFile, shard: Shard) -> Rows:
        kind = text_format(file.format, self._options, file.columns)
        if self._open is None or self._open[:2] != (shard.file, shard.first):
            self.close()
            stream = self._held.enter_context(open_bytes(path))
            stream.seek(shard.offset)
            self._open = shard.file, shard.first, kind.records(stream, shard.offset, shard.line)
        records = self._open[2]
        inputs, fields, problems, lines = [], [], {}, []
        for i, record in enumerate(islice(records, shard.rows)):
            value, found = None, {}
            try:
                found = kind.parse(record)
                value = _value(found, file.column)
            except BadRecord as error:
                problems[i] = Problem(error.line or record.line, str(error))
            inputs.append(value)
            fields.append(found)
            lines.append(record.line)
        self._open = shard.file, shard.first + shard.rows, records
        return Rows(inputs, fields, problems, lines)

    def _parquet(self, path: Path, file: InputFile, shard: Shard) -> Rows:
        import pyarrow
        import pyarrow.parquet

        if self._open is None or self._open[:2] != (shard.file, shard.first):
            self.close()
            # Buffered ahead, what was read of all row groups would be kept until the file is closed.
            source = self._held.enter_context(pyarrow.parquet.ParquetFile(path, pre_buffer=False))
            self._open = shard.file, shard.first, _ParquetRows(source, shard.first)
        following = self._open[2]
        try:
            table = following.take(shard.rows)
        except (pyarrow.ArrowException, OSError) as error:
            raise FormatError(path, shard.line, f"cannot be read from this row on ({str(error).strip()}).") from error
        self._open = shard.file, shard.first + shard.rows, following
        lines = list(range(shard.line, shard.line + table.num_rows))
        inputs, reasons = readable(table.column(file.column))
        problems = {i: Problem(lines[i], reason) for i, reason in reasons.items()}
        return Rows(inputs, table, problems, lines)


class _ParquetRows:
    """The rows of an open Parquet file from some row on; row groups before it are not read."""

    def __init__(self, file, first: int):
        groups, before = [], 0
        for i in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(i).num_rows
            if groups or before + size > first:
                groups.append(i)
            else:
                before += size
        self._schema = file.schema_arrow
        self._batches = file.iter_batches(batch_size=_BATCH, row_groups=groups)
        self._held: list = []
        self._ready = 0
        self.take(first - before)

    def take(self, count: int):
        """Return the next rows, fewer at the end."""
        import pyarrow

        while self._ready < count and (batch := next(self._batches, None)) is not None:
            self._held.append(batch)
            self._ready += batch.num_rows
        table = pyarrow.Table.from_batches(self._held, self._schema)
        self._held, self._ready = table.slice(count).to_batches(), max(self._ready - count, 0)
        return table.slice(0, count)


def _value(fields: Mapping[str, Any], column: str | None) -> object:
    """Return what a model reads of a row."""
    if column is None:
        column = next((name for name in NAMES if name in fields), None)
        if column is None:
            raise BadRecord(f"none of {', '.join(map(repr, NAMES))} is among its fields: {list(fields)!r:.200}")
    elif column not in fields:
        raise BadRecord(f"no field {column!r}; its fields: {list(fields)!r:.200}")
    value = fields[column]
    if reason := _fault(value):
        raise BadRecord(f"{column!r} must be a text or a list, got {reason}")
    return value


def readable(column) -> tuple[list, dict[int, str]]:
    """Return what a model reads of the rows of a table's column, None for some, and what is wrong with those."""
    try:
        values = column.to_pylist()
    except ValueError:  # a string that is not UTF-8: Arrow does not look
        values = [_one(column, i) for i in range(len(column))]
    reasons = {}
    for i, value in enumerate(values):
        if type(value) is str or not (reason := _fault(value)):
            continue
        reasons[i] = f"expected a text or a list, got {reason}"
        values[i] = None
    return values, reasons


def _one(column, i: int) -> object:
    try:
        return column[i].as_py()
    except ValueError as error:
        return error


def _fault(value: object) -> str | None:
    """Say what a value is that no model reads, or None."""
    if isinstance(value, str | list):
        return None
    if value is None:
        return "null"
    return (
        f"what cannot be read ({value})" if isinstance(value, ValueError) else f"{type(value).__name__} {value!r:.80}"
    )
