"""Texts, with labels or without: rows of CSV, TSV, JSONL and Parquet tables, and folders of text files."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io.delimited import quoted_rows, split_rows
from seqkit.io.lines import Source, read_lines, source_name

Label = str | int | float | bool
Column = str | int

_TEXT_NAMES = ("text", "sentence", "review", "content")
_LABEL_NAMES = ("label", "class", "sentiment", "target", "y")
_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_BATCH = 1024  # rows of Parquet in memory at once


class TableRow(NamedTuple):
    """A row of a table.

    Parameters
    ----------
    text : str
        The text; may be empty.
    label : str, int, float, bool or None
        The label as the table holds it (CSV and TSV: a string); None if labels are not read.
    fields : dict
        Every column by its name, text and label included. Without a header the names are ``"0"``, ``"1"``, ....
    line : int
        Line that the row begins in, counted from 1; in Parquet the number of the row.
    """

    text: str
    label: Label | None
    fields: dict[str, Any]
    line: int


def read_table(
    path_or_file: Source,
    text_column: Column | None = None,
    label_column: Column | bool | None = None,
    **options,
) -> tuple[list[str], list[Label] | None]:
    """Read the texts and labels of a table.

    Parameters
    ----------
    path_or_file, text_column, label_column, **options
        As for `iter_table`.

    Returns
    -------
    texts : list of str
    labels : list, or None if `label_column` is False

    Raises
    ------
    FormatError
        As for `iter_table`.
    """
    texts, labels = [], []
    for row in iter_table(path_or_file, text_column, label_column, **options):
        texts.append(row.text)
        labels.append(row.label)
    return texts, (None if label_column is False else labels)


def iter_table(
    path_or_file: Source,
    text_column: Column | None = None,
    label_column: Column | bool | None = None,
    *,
    format: str = "auto",
    delimiter: str | None = None,
    header: bool | None = None,
    quotes: bool | None = None,
    encoding: str = "utf-8",
) -> Iterator[TableRow]:
    """Stream the rows of a table.

    Parameters
    ----------
    path_or_file : str, path or file object
        CSV, TSV and JSONL may be gzip, and ``"-"`` is standard input.
    text_column : str, int or None, default=None
        Name of the column; in CSV and TSV also its number (``0`` or ``"0"``; negative numbers count from the end),
        unless a column has that very name. None takes the first of ``text``, ``sentence``, ``review``, ``content``
        that there is, in upper or lower case.
    label_column : str, int, None or False, default=None
        As `text_column`; None takes the first of ``label``, ``class``, ``sentiment``, ``target``, ``y``, or, in a table
        of two columns without header, the one that is not the text. False reads texts only (to predict, say): every
        label is None.
    format : {"auto", "csv", "tsv", "jsonl", "parquet"}, default="auto"
        ``"auto"`` goes by the file's ending (``.gz`` aside; ``.ndjson`` is JSONL too).
    delimiter : str or None, default=None
        One character between columns; None is a comma in CSV, a tab in TSV.
    header : bool or None, default=None
        Whether the first row of CSV or TSV names the columns. None: yes if a column is given by its name or both are
        left open. If columns are given by number, only if the first row has one of the names above in the place of
        the text and, if labels are read, one in the place of the label.
    quotes : bool or None, default=None
        Whether a field may stand in double quotes, and then hold delimiters, line ends (read as a newline) and
        doubled quotes, as RFC 4180 has it. False: a quote is a character like any other. None: yes in CSV, no in TSV.
    encoding : str, default="utf-8"
        Encoding of CSV, TSV, JSONL. A byte-order mark is dropped.

    Yields
    ------
    TableRow
        ``(text, label, fields, line)``. Blank lines are no rows. JSONL and Parquet labels keep their type.

    Raises
    ------
    FormatError
        With file and line (Parquet: row): a missing field, a wrong number of columns, an empty label (also null, NaN),
        a text that is no string, bytes that are not text, broken quotes or JSON; without line if no column fits.
    """
    kind = _kind(path_or_file, format)
    delimited = kind in _DELIMITERS
    _check_columns(text_column, label_column, delimited, kind)
    for parameter, value, kinds, expected in (
        ("delimiter", delimiter, str, "a string"),
        ("header", header, bool, "True, False"),
        ("quotes", quotes, bool, "True, False"),
    ):
        if value is not None and not isinstance(value, kinds):
            raise ParameterError(f"{parameter} must be {expected} or None, got {value!r}.")
        if value is not None and not delimited:
            raise ParameterError(f"{parameter} is for CSV and TSV only, got {value!r} for {kind!r}. Leave it out.")
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ParameterError(f"delimiter must be one character, no quote and no line end; got {delimiter!r}.")
    if kind == "jsonl":
        records = _json_records(path_or_file, encoding)
    elif kind == "parquet":
        records = _parquet_records(path_or_file)
    else:
        read = quoted_rows if (kind == "csv" if quotes is None else quotes) else split_rows
        rows = read(path_or_file, delimiter or _DELIMITERS[kind], encoding)
        records = _delimited_records(source_name(path_or_file), rows, text_column, label_column, header)
    return _rows(source_name(path_or_file), records, text_column, label_column, delimited)


def read_class_folders(folder: str | os.PathLike) -> tuple[list[str], list[str]]:
    """Read texts from a folder that has one sub-folder a class, with one UTF-8 file a text.

    Parameters
    ----------
    folder : str or path
        Hidden files and folders (those with a leading dot) are left out, and so are files beside the sub-folders.

    Returns
    -------
    texts : list of str
        In order of class, then of file name. Line ends are read as newlines; a byte-order mark is dropped.
    labels : list of str
        Names of the sub-folders.

    Raises
    ------
    FormatError
        With the file (and line) if one is not valid UTF-8.
    DataError
        If there is no sub-folder, or one holds a folder itself.
    """
    texts, labels = [], []
    classes = [path for path in _visible(folder) if path.is_dir()]
    if not classes:
        raise DataError(f"{os.fspath(folder)} has no sub-folders: expected one for each class, with text files in it.")
    for path in classes:
        for file in _visible(path):
            if file.is_dir():
                raise DataError(f"{file} is a folder: expected only text files in {path}, the folder of one class.")
            texts.append(_file_text(file))
            labels.append(path.name)
    return texts, labels


def _visible(folder: str | os.PathLike) -> list[Path]:
    return sorted(path for path in Path(folder).iterdir() if not path.name.startswith("."))


def _file_text(file: Path) -> str:
    data = file.read_bytes()
    try:
        return data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        bad = data[error.start : error.end].hex(" ")
        raise FormatError(
            file,
            data.count(b"\n", 0, error.start) + 1,
            f"not valid utf-8: byte {bad} at position {error.start} of the file ({error.reason}). Convert it to UTF-8.",
        ) from error


def _kind(source: Source, format: str) -> str:
    kinds = tuple(dict.fromkeys(_ENDINGS.values()))
    if format in kinds:
        return format
    if format != "auto":
        raise ParameterError(f"format must be one of {', '.join(map(repr, ('auto', *kinds)))}; got {format!r}.")
    name = source_name(source)
    ending = os.path.splitext(name.lower().removesuffix(".gz"))[1]
    if ending not in _ENDINGS:
        raise ParameterError(
            f"format must be one of {', '.join(map(repr, kinds))} for {name!r}: its ending is none of "
            f"{', '.join(_ENDINGS)} (with or without .gz)."
        )
    return _ENDINGS[ending]


def _check_columns(text_column: object, label_column: object, delimited: bool, kind: str) -> None:
    for parameter, value in (("text_column", text_column), ("label_column", label_column)):
        if value is None or (value is False and parameter == "label_column"):
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            also = ", False" if parameter == "label_column" else ""
            raise ParameterError(f"{parameter} must be a name, a number, None{also}; got {value!r}.")
        if isinstance(value, int) and not delimited:
            raise ParameterError(f"{parameter} must be a name: columns of {kind!r} have no number; got {value!r}.")


def _rows(
    name: str, records: Iterator[tuple[int, dict[str, Any]]], text_column: object, label_column: object, delimited: bool
) -> Iterator[TableRow]:
    text_key = label_key = None
    for line, fields in records:
        if text_key is None:
            text_key = _key("text", text_column, list(fields), _TEXT_NAMES, delimited, name)
            if label_column is not False:
                other = text_key if delimited else None
                label_key = _key("label", label_column, list(fields), _LABEL_NAMES, delimited, name, other)
            if text_key == label_key:
                raise ParameterError(f"text_column and label_column must differ; both are column {text_key!r}.")
        for what, key in (("text", text_key), ("label", label_key)):
            if key is not None and key not in fields:
                raise FormatError(name, line, f"no {what}: expected the key {key!r}; keys: {list(fields)!r:.200}.")
        text = fields[text_key]
        if not isinstance(text, str):
            raise FormatError(
                name, line, f"the text in column {text_key!r} must be a string, got {_shown(text)}. Check text_column."
            )
        label = None if label_key is None else _label(fields[label_key], label_key, name, line)
        yield TableRow(text, label, fields, line)


def _key(
    what: str,
    given: object,
    names: Sequence[str],
    guesses: Sequence[str],
    delimited: bool,
    name: str,
    other: str | None = None,
) -> str:
    """Name of the column that is given by name or number, or guessed; `other` is one that it is not."""
    columns = f"columns: {', '.join(map(repr, names))}"
    if given is None:
        for guess in guesses:
            for column in names:
                if column.lower() == guess:
                    return column
        if other is not None and len(names) == 2 and _is_numbered(names):
            return names[1 - names.index(other)]
        without = ", or label_column=False to read texts only" if what == "label" else ""
        check = " Check delimiter and header too." if delimited else ""
        raise FormatError(
            name,
            None,
            f"no column for the {what}: expected one of {', '.join(map(repr, guesses))}; {columns}. "
            f"Give {what}_column{without}.{check}",
        )
    if str(given) in names:
        return str(given)
    index = _number(given) if delimited else None
    if index is not None and -len(names) <= index < len(names):
        return names[index]
    check = "Check the delimiter, too." if delimited else "Names must agree in upper and lower case."
    raise FormatError(name, None, f"no column {given!r} for the {what}; {columns}. Change {what}_column. {check}")


def _number(column: object) -> int | None:
    return int(column) if re.fullmatch("-?[0-9]+", str(column)) else None


def _is_numbered(names: Sequence[str]) -> bool:
    """Whether these are the names of columns that have none."""
    return list(names) == [str(index) for index in range(len(names))]


def _label(value: object, key: str, name: str, line: int) -> Label:
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        raise FormatError(
            name,
            line,
            f"the label in column {key!r} is empty ({value!r}). Give every row one, or use label_column=False to read "
            "texts only.",
        )
    if not isinstance(value, str | int | float):
        raise FormatError(
            name, line, f"the label in column {key!r} must be a string, a number or a boolean, got {_shown(value)}."
        )
    return sys.intern(value) if isinstance(value, str) else value


def _shown(value: object) -> str:
    return f"{type(value).__name__} {value!r:.80}"


def _delimited_records(
    name: str,
    rows: Iterator[tuple[int, list[str]]],
    text_column: Column | None,
    label_column: Column | bool | None,
    header: bool | None,
) -> Iterator[tuple[int, dict[str, str]]]:
    names, first = None, 0
    for line, values in rows:
        if names is None:
            first = line
            if header if header is not None else _is_header(values, text_column, label_column):
                names = _header_names(values, name, line)
                continue
            names = [str(index) for index in range(len(values))]
        if len(values) != len(names):
            raise FormatError(
                name,
                line,
                f"expected {len(names)} columns, as in line {first}, got {len(values)}: {values!r:.100}. Check "
                "delimiter, header and quotes; a field that holds the delimiter needs quotes around it.",
            )
        yield line, dict(zip(names, values, strict=True))


def _is_header(first: list[str], text_column: Column | None, label_column: Column | bool | None) -> bool:
    given = [column for column in (text_column, label_column) if column is not None and column is not False]
    numbers = [_number(column) for column in given]
    if not given or None in numbers:
        return True
    cells = [cell.strip().lower() for cell in first]

    def names_one(column: object, guesses: Sequence[str]) -> bool:
        if column is None:
            return any(cell in guesses for cell in cells)
        index = _number(column)
        return -len(cells) <= index < len(cells) and cells[index] in guesses

    return names_one(text_column, _TEXT_NAMES) and (label_column is False or names_one(label_column, _LABEL_NAMES))


def _header_names(values: list[str], name: str, line: int) -> list[str]:
    names = [value.strip() or str(index) for index, value in enumerate(values)]  # pandas leaves its index without name
    _check_distinct(names, name, line, " If this is no header, use header=False and give columns by number.")
    return names


def _check_distinct(names: Sequence[str], name: str, line: int | None, hint: str = "") -> None:
    for index, column in enumerate(names):
        if column in names[:index]:
            raise FormatError(name, line, f"two columns have the name {column!r}. Rename one.{hint}")


def _json_records(source: Source, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    name = source_name(source)
    for number, line in read_lines(source, encoding):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FormatError(name, number, f"not JSON ({error}): {line!r:.80}. Expected one record a line.") from error
        if not isinstance(record, dict):
            raise FormatError(
                name,
                number,
                f'expected an object such as {{"text": ..., "label": ...}}, got {type(record).__name__}: {line!r:.80}.',
            )
        if "\\ud" in line or "\\uD" in line:
            try:
                json.dumps(record, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise FormatError(
                    name, number, f"half of a surrogate pair ({error.object[error.start]!r}) is no text: {line!r:.80}."
                ) from error
        yield number, record


def _parquet_records(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    name = source_name(source)
    if name == "<stdin>":
        raise ParameterError("Parquet cannot be read from standard input ('-'): it needs a file that can be searched.")
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as stream:
            yield from _parquet_rows(stream, name)
    else:
        yield from _parquet_rows(source, name)


def _parquet_rows(stream: Any, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    row = 0
    try:
        file = pyarrow.parquet.ParquetFile(stream, pre_buffer=False)  # not closed: the stream is the caller's
        _check_distinct(file.schema_arrow.names, name, None)
        for batch in file.iter_batches(batch_size=_BATCH):
            try:
                records = batch.to_pylist()
            except ValueError as error:
                raise _parquet_fault(batch, row, name, error) from error
            for record in records:
                row += 1
                yield row, record
    except (pyarrow.ArrowException, OSError) as error:
        raise FormatError(name, None, f"not a readable Parquet file ({str(error).strip()}). Check format.") from error


def _parquet_fault(batch: Any, before: int, name: str, error: ValueError) -> FormatError:
    """Which row of a batch has a value that Python cannot have."""
    for index in range(batch.num_rows):
        try:
            batch.slice(index, 1).to_pylist()
        except ValueError as fault:
            return FormatError(name, before + index + 1, f"a value of this row cannot be read ({fault}).")
    return FormatError(name, before + 1, f"the rows from here on cannot be read ({error}).")
