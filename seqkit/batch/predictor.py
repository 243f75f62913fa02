"""A saved model as what an engine needs: a picklable function from a table of rows to their answers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from seqkit.batch.plan import NAMES
from seqkit.batch.reading import readable
from seqkit.errors import ModelFileError, ParameterError, SeqkitError
from seqkit.io.columns import beside_answers

#: Models that this process has loaded, by folder, fingerprint and the ops that they may have.
_LOADED: dict[tuple, Any] = {}
_LOADING = Lock()  # threads of one process, such as Dask's, wait for the one that loads
#: Name of the column that says why a row has no answer.
ERROR = "error"


class Predicted(NamedTuple):
    """Answers to some inputs: columns (`pyarrow.Array`), null where there is none, and for those why."""

    columns: dict[str, Any]
    reasons: dict[int, str]


class BatchPredictor:
    """Predict tables of rows: pandas or Arrow in, the same with columns of answers out.

    It can be pickled, and holds no more than the model's folder: the model is loaded once in each process, when it is
    needed first. So it is all that Spark's ``mapInPandas``, Dask's ``map_partitions`` or Ray's ``map_batches`` need.

    Parameters
    ----------
    model : str or os.PathLike
        Folder of a saved estimator, or an export.
    column : str or None, default=None
        The column that is read; None: the first of ``text``, ``tokens``, ``sentence``, ``review``, ``content``,
        ``source``, ``tree``, ``features``.
    answers : sequence of str or None, default=None
        Columns of answers; None: those that matter most.
    max_length : int or None, default=None
        Longest input, in characters of a text or in items of a list; what is longer is an error of its row. Nothing is
        ever cut.
    allow_ops : sequence of str, default=()
        Ops that touch files or processes and may be run all the same, of an exported model.

    Examples
    --------
    >>> predictor = BatchPredictor("tagger")  # doctest: +SKIP
    >>> predictor(pandas.DataFrame({"text": ["Ada sang in Oxford."]}))["entities"]  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike,
        *,
        column: str | None = None,
        answers: Sequence[str] | None = None,
        max_length: int | None = None,
        allow_ops: Sequence[str] = (),
    ):
        self.model = os.path.abspath(model)
        self.fingerprint = folder_fingerprint(model)
        self.column, self.answers, self.max_length = column, answers and tuple(answers), max_length
        self.allow_ops = tuple(allow_ops)

    def __call__(self, data):
        """Return the table with answers; a row that cannot be answered has nulls, and a reason in ``error``."""
        import pyarrow

        if isinstance(data, pyarrow.Table | pyarrow.RecordBatch):
            return self._table(data)
        frame = self._table(pyarrow.Table.from_pandas(data, preserve_index=False)).to_pandas()
        frame.index = data.index
        return frame

    def _table(self, table):
        import pyarrow

        if isinstance(table, pyarrow.RecordBatch):
            table = pyarrow.Table.from_batches([table])
        names = table.column_names
        column = self.column or next((name for name in NAMES if name in names), None)
        if column not in names:
            raise ParameterError(
                f"column={self.column!r} is not in the table; its columns: {', '.join(map(repr, names))}."
            )
        inputs, problems = readable(table.column(column))
        columns, reasons = self.predict(inputs)
        reasons |= problems
        errors = pyarrow.array([reasons.get(i) for i in range(len(inputs))], pyarrow.string())
        return pyarrow.table({**carried(table, columns), **columns, ERROR: errors})

    def types(self) -> dict[str, Any]:
        """Return the Arrow type of each column of answers."""
        made = self._made()
        return {name: made.types[name] for name in self._names(made)}

    def predict(self, inputs: list) -> Predicted:
        """Answer inputs, texts and lists; None is none, and has no answer."""
        import pyarrow

        made, reasons, groups = self._made(), {}, ([], [])
        for i, value in enumerate(inputs):
            if value is None:
                continue
            if self.max_length is not None and len(value) > self.max_length:
                reasons[i] = f"its length is {len(value)}, more than max_length={self.max_length}"
            else:
                groups[isinstance(value, str)].append(i)
        parts: list[tuple[list[int], Any]] = []
        for group in filter(None, groups):
            self._answer(made, inputs, group, parts, reasons)
        order = [i for rows, _ in parts for i in rows]
        places = np.full(len(inputs), -1)
        places[order] = np.arange(len(order))
        places = pyarrow.array(places, pyarrow.int64(), mask=places < 0)
        columns = {}
        for name in self._names(made):
            chunks = [_array(answer[name], made.types[name]) for _, answer in parts]
            columns[name] = pyarrow.chunked_array(chunks, made.types[name]).combine_chunks().take(places)
        return Predicted(columns, reasons)

    def _answer(self, made, inputs, rows: list[int], parts: list, reasons: dict[int, str]) -> None:
        """Answer some rows; where that fails, halve them until those are found that it fails for."""
        try:
            parts.append((rows, made([inputs[i] for i in rows])))
        except SeqkitError as error:
            if len(rows) == 1:
                reasons[rows[0]] = str(error)
                return
            middle = len(rows) // 2
            self._answer(made, inputs, rows[:middle], parts, reasons)
            self._answer(made, inputs, rows[middle:], parts, reasons)

    def _names(self, made) -> tuple[str, ...]:
        if self.answers is None:
            return made.default
        if unknown := [name for name in self.answers if name not in made.types]:
            raise ParameterError(f"answers has {unknown[0]!r}; this model answers {', '.join(map(repr, made.types))}.")
        return self.answers

    def _made(self):
        """Return the model's answers, loaded once in a process."""
        key = self.model, self.fingerprint, self.allow_ops
        with _LOADING:
            if key not in _LOADED:
                _LOADED[key] = self._load()
            return _LOADED[key]

    def _load(self):
        from seqkit.batch.answers import load_answers
        from seqkit.batch.served import ServedAnswers, is_export

        if folder_fingerprint(self.model) != self.fingerprint:
            raise ModelFileError(f"{self.model} is not the model any more that the job was begun with.")
        return ServedAnswers(self.model, self.allow_ops) if is_export(self.model) else load_answers(self.model)


def folder_fingerprint(folder: str | os.PathLike) -> str:
    """Return what tells the content of a model's folder: names and bytes of its files."""
    root, found = Path(folder), hashlib.blake2b(digest_size=16)
    if not root.is_dir():
        raise ModelFileError(f"{root}: no such folder; give a saved model.")
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").digest()
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + digest)
    return found.hexdigest()


def carried(table, answers) -> dict[str, Any]:
    """Return the columns of the input, under the names that `seqkit.io.columns.beside_answers` gives them."""
    return dict(zip(beside_answers(table.column_names, {*answers, ERROR}), table.columns, strict=True))


def _array(values, type):
    import pyarrow

    if pyarrow.types.is_struct(type) and isinstance(values, dict):
        return pyarrow.StructArray.from_arrays(
            [pyarrow.array(values[field.name], field.type) for field in type], fields=list(type)
        )
    return pyarrow.array(values, type)
