"""Parts of the output: the rows of a shard with their answers, as Parquet, JSONL or CoNLL."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqkit.batch.plan import InputFile, text_format
from seqkit.batch.predictor import ERROR, carried
from seqkit.batch.reading import Problem, Rows
from seqkit.batch.records import BadRecord
from seqkit.batch.streams import open_bytes
from seqkit.errors import ParameterError
from seqkit.io.columns import beside_answers

#: Formats of output, and how their files end.
OUTPUTS = {"parquet": ".parquet", "jsonl": ".jsonl", "conll": ".conll"}
#: Column of Parquet for what JSON records have beyond the columns that were planned.
MORE = "more"
_LOOKED_AT = 1_000  # JSON records of a file, to find their columns and types


# Carried columns


def carried_schema(files: Sequence[InputFile], options: Mapping[str, Any]):
    """Return the Arrow schema of what is carried through to Parquet, one for all files.

    Fields of JSON have the type of those in the first 1,000 records of each file; where these differ, their JSON as
    text. What has no column there goes to ``more``.
    """
    import pyarrow

    found, json_lines = [], False
    for file in files:
        if file.format == "parquet":
            import pyarrow.parquet

            found.append(pyarrow.parquet.read_schema(file.path).remove_metadata())
        elif file.format == "jsonl":
            json_lines = True
            found.append(_json_schema(Path(file.path), options))
        else:
            kind = pyarrow.list_(pyarrow.string()) if file.format == "conll" else pyarrow.string()
            found.append(pyarrow.schema([(name, kind) for name in file.columns]))
    try:
        schema = pyarrow.unify_schemas(found, promote_options="permissive") if found else pyarrow.schema([])
    except pyarrow.ArrowException as error:
        raise ParameterError(
            f"The files of input have columns of one name and different types ({str(error).strip()}): choose keep= "
            "columns, or write JSONL."
        ) from error
    keep = options["keep"]
    if keep is not None:
        if missing := [name for name in keep if name not in schema.names]:
            raise ParameterError(f"keep has {missing[0]!r}; the columns are {', '.join(map(repr, schema.names))}.")
        return pyarrow.schema([schema.field(name) for name in keep])
    return schema.append(pyarrow.field(MORE, pyarrow.string())) if json_lines and MORE not in schema.names else schema


def _json_schema(path: Path, options):
    import pyarrow

    kind, columns = text_format("jsonl", options), {}
    with open_bytes(path) as stream:
        for i, record in enumerate(kind.records(stream)):
            if i == _LOOKED_AT:
                break
            try:
                fields = kind.parse(record)
            except BadRecord:
                continue
            for name, value in fields.items():
                columns.setdefault(name, []).append(value)
    return pyarrow.schema([(name, _json_type(values)) for name, values in columns.items()])


def _json_type(values: list):
    import pyarrow

    try:
        found = pyarrow.array(values).type
    except (pyarrow.ArrowException, OverflowError):
        return pyarrow.string()
    return pyarrow.string() if pyarrow.types.is_null(found) else found


def carried_table(rows: Rows, schema, problems: dict[int, Problem]):
    """Return the carried columns of rows as a table of that schema; what does not fit becomes a problem."""
    import pyarrow

    if isinstance(rows.fields, pyarrow.Table):
        have = rows.fields.column_names
        columns = [
            rows.fields.column(field.name).cast(field.type)
            if field.name in have
            else pyarrow.nulls(rows.fields.num_rows, field.type)
            for field in schema
        ]
        return pyarrow.table(columns, schema=schema)
    columns = []
    for field in schema:
        values = [fields.get(field.name) for fields in rows.fields]
        if field.name == MORE and not any(MORE in fields for fields in rows.fields):
            values = [_more(fields, schema.names) for fields in rows.fields]
        elif pyarrow.types.is_string(field.type):
            values = [value if value is None or isinstance(value, str) else _dumps(value) for value in values]
        columns.append(_fitting(values, field, rows.lines, problems))
    return pyarrow.table(columns, schema=schema)


def _more(fields: Mapping[str, Any], names: Sequence[str]) -> str | None:
    other = {name: value for name, value in fields.items() if name not in names}
    return _dumps(other) if other else None


def _fitting(values: list, field, lines: list[int], problems: dict[int, Problem]):
    """Return values as an array; null where one does not fit, which is told."""
    import pyarrow

    faults = (pyarrow.ArrowException, OverflowError, TypeError, ValueError)
    try:
        return pyarrow.array(values, field.type)
    except faults:
        for i, value in enumerate(values):
            try:
                pyarrow.array([value], field.type)
            except faults:
                reason = f"the field {field.name!r} is {_dumps(value):.80}, and {field.type} in the rows before"
                problems.setdefault(i, Problem(lines[i], reason))
                values[i] = None
        return pyarrow.array(values, field.type)


# Parts


def write_parquet(path: Path, rows: Rows, columns: Mapping[str, Any], problems: dict[int, Problem], schema) -> None:
    """Write a part as Parquet."""
    import pyarrow
    import pyarrow.parquet

    table = carried_table(rows, schema, problems)
    errors = pyarrow.array([_reason(problems, i) for i in range(table.num_rows)], pyarrow.string())
    table = pyarrow.table({**carried(table, columns), **columns, ERROR: errors})
    pyarrow.parquet.write_table(table, path)


def write_jsonl(path: Path, rows: Rows, columns: Mapping[str, Any], problems: dict[int, Problem], keep) -> None:
    """Write a part as JSONL: the fields of a row, those of its answer, and ``error`` where there is none."""
    fields = rows.fields if isinstance(rows.fields, list) else rows.fields.to_pylist()
    answers = {name: values.to_pylist() for name, values in columns.items()}
    taken = {*answers, ERROR}
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for i, own in enumerate(fields):
            kept = {name: value for name, value in own.items() if keep is None or name in keep}
            record = dict(zip(beside_answers(kept, taken), kept.values(), strict=True))
            record |= {name: values[i] for name, values in answers.items()}
            if (reason := _reason(problems, i)) is not None:
                record[ERROR] = reason
            stream.write(_dumps(record) + "\n")


def write_conll(path: Path, rows: Rows, columns: Mapping[str, Any], problems: dict[int, Problem], keep) -> None:
    """Write a part as CoNLL: each token, what stood beside it, its tag; a comment where a row has no answer."""
    tokens, tags = (columns[name].to_pylist() for name in ("tokens", "tags"))
    fields = rows.fields if isinstance(rows.fields, list) else [{}] * len(tags)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for i, (words, labels) in enumerate(zip(tokens, tags, strict=True)):
            if labels is None:
                stream.write(f"# error = {' '.join(_reason(problems, i).split())}\n\n")
                continue
            rest = fields[i].get("rest") if keep is None or "rest" in keep else None
            for k, (word, label) in enumerate(zip(words, labels, strict=True)):
                beside = [rest[k]] if rest and rest[k] else []
                stream.write("\t".join([word, *beside, str(label)]) + "\n")
            stream.write("\n")


def count_rows(path: Path, output: str) -> int:
    """Return how many rows a part has."""
    if output == "parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_metadata(path).num_rows
    with path.open("rb") as stream:
        if output == "jsonl":
            return sum(1 for _ in stream)
        return sum(1 for line in stream if line == b"\n")


def _reason(problems: Mapping[int, Problem], i: int) -> str | None:
    return problems[i].reason if i in problems else None


def _dumps(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    """Return what JSON lacks in a form that it has: dates as in ISO 8601, bytes in base64, others as text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _finite(value: object) -> object:
    """Return a value in which numbers that are none (NaN, infinity) are null, as JSON has none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
