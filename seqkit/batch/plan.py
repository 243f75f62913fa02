"""What a batch job is to do, in shards: made from the input alone, the same on every machine and with every engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from seqkit.batch.records import Conll, Delimited, JsonLines, Lines
from seqkit.batch.streams import damage_named, format_of, open_bytes
from seqkit.errors import FormatError, ParameterError

#: Names under which a text, or another sequence, is looked for.
NAMES = ("text", "tokens", "sentence", "review", "content", "source", "tree", "features")
_FORMAT = 1


class Shard(NamedTuple):
    """Rows of one file that are predicted together.

    ``file`` is the number of the file, ``first`` that of the row in it; ``offset`` and ``line`` tell where that begins,
    in uncompressed bytes and in lines from 1 (of Parquet, 0 and the number of the row from 1).
    """

    number: int
    file: int
    first: int
    rows: int
    offset: int
    line: int


class InputFile(NamedTuple):
    """A file of input.

    ``digest`` is that of its bytes, ``rows`` how many it has, ``columns`` their names (of JSONL None: each row has its
    own), ``column`` the one that is read (of JSONL None: the first of `NAMES` that a row has).
    """

    path: str
    format: str
    digest: str
    rows: int
    columns: list[str] | None
    column: str | None


class Plan(NamedTuple):
    """A batch job: what was planned, as plain values."""

    model: dict[str, Any]
    options: dict[str, Any]
    files: list[InputFile]
    shards: list[Shard]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(file.rows for file in self.files)

    def to_json(self) -> str:
        """Return the plan as text."""
        value = {
            "format": _FORMAT,
            "model": self.model,
            "options": self.options,
            "files": [file._asdict() for file in self.files],
            "shards": [list(shard) for shard in self.shards],
        }
        return json.dumps(value, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        value = json.loads(text)
        if value.get("format") != _FORMAT:
            raise ParameterError(
                f"The plan is of format {value.get('format')!r}; this version of seqkit reads {_FORMAT}."
            )
        files = [InputFile(**file) for file in value["files"]]
        return cls(value["model"], value["options"], files, [Shard(*shard) for shard in value["shards"]])

    def difference(self, other: Plan) -> str | None:
        """Say in a few words how another plan differs, or None where it asks for the same answers."""
        if self.model["fingerprint"] != other.model["fingerprint"]:
            return f"the model is another one ({self.model['path']}, then {other.model['path']})"
        for name in self.options | other.options:
            mine, theirs = self.options.get(name), other.options.get(name)
            if mine != theirs:
                return f"{name} was {mine!r}, and is {theirs!r} now"
        if len(self.files) != len(other.files):
            return f"there were {len(self.files)} files of input, and there are {len(other.files)} now"
        for mine, theirs in zip(self.files, other.files, strict=True):
            if mine._replace(path="") != theirs._replace(path=""):
                return f"the input {theirs.path} is not what {mine.path} was"
        return None if self.shards == other.shards else "the input is cut into other shards"


def make_plan(files: Iterable[Path], model: dict[str, Any], options: Mapping[str, Any]) -> Plan:
    """Look through all files once, and cut them into shards.

    Parameters
    ----------
    files : iterable of Path
        The input, in its order.
    model : dict
        What tells the model: its path and its fingerprint.
    options : mapping
        What tells the answers, as plain values: ``input_format``, ``column``, ``token_column``, ``shard_rows`` and
        whatever else.
    """
    inputs, shards = [], []
    for number, path in enumerate(files):
        format = format_of(path, options["input_format"])
        scan = _scan_parquet if format == "parquet" else _scan_text
        with damage_named(path):
            columns, starts, rows = scan(path, format, options)
        column = options["column"]
        if columns is not None:
            column = _column(path, columns, column)
        digest = _digest(path)
        inputs.append(InputFile(str(path), format, digest, rows, None if columns is None else list(columns), column))
        ends = [*starts, (rows, 0, 0)]
        for (first, offset, line), (after, *_) in pairwise(ends):
            shards.append(Shard(len(shards), number, first, after - first, offset, line))
    return Plan(dict(model), dict(options), inputs, shards)


def _column(path: Path, columns: Iterable[str], wanted: str | None) -> str:
    names = list(columns)
    if wanted is not None:
        if wanted not in names:
            raise FormatError(path, None, f"no column {wanted!r}; its columns: {', '.join(map(repr, names))}.")
        return wanted
    found = [name for guess in NAMES for name in names if name.lower() == guess]
    if not found:
        raise FormatError(
            path,
            None,
            f"which column is to be read? None is called {', '.join(NAMES)}. Give column: one of "
            f"{', '.join(map(repr, names))}.",
        )
    return found[0]


def text_format(format: str, options: Mapping[str, Any], columns: Iterable[str] | None = None) -> Lines:
    """Return what cuts and reads the records of a text file."""
    if format == "conll":
        return Conll(options["token_column"])
    if format in ("csv", "tsv"):
        return Delimited("," if format == "csv" else "\t", format == "csv", columns and tuple(columns))
    return JsonLines() if format == "jsonl" else Lines()


def _scan_text(path: Path, format: str, options: Mapping[str, Any]):
    kind, offset, line = text_format(format, options), 0, 1
    if isinstance(kind, Delimited):
        with open_bytes(path) as stream:
            offset, line = kind.header(stream, path)
    starts, rows = [], 0
    with open_bytes(path) as stream:
        stream.seek(offset)
        for record in kind.records(stream, offset, line):
            if rows % options["shard_rows"] == 0:
                starts.append((rows, record.offset, record.line))
            rows += 1
    return kind.columns, starts, rows


def _scan_parquet(path: Path, format: str, options: Mapping[str, Any]):
    """Shards of Parquet are some row groups, or a part of one that is larger."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    except (pyarrow.ArrowException, OSError) as error:
        raise FormatError(path, None, f"not a readable Parquet file ({str(error).strip()}).") from error
    if len(set(columns)) < len(columns):
        raise FormatError(path, None, f"two columns have one name: {', '.join(map(repr, columns))}. Rename one.")
    most, starts, rows, held = options["shard_rows"], [], 0, 0
    for size in filter(None, groups):
        if not rows or held + size > most:
            starts += [(first, 0, first + 1) for first in range(rows, rows + size, most)]
            held = min(size, most)
        else:
            held += size
        rows += size
    return columns, starts, rows


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
