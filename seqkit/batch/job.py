"""A batch job: shards planned, predicted, written, counted; it goes on where it was stopped."""

from __future__ import annotations

import base64
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from seqkit.batch.engines import check_engine, run_shards
from seqkit.batch.lock import locked
from seqkit.batch.plan import Plan, Shard, make_plan
from seqkit.batch.predictor import BatchPredictor
from seqkit.batch.reading import Problem, ShardReader
from seqkit.batch.streams import find_files, format_of
from seqkit.batch.writing import (
    OUTPUTS,
    carried_schema,
    count_rows,
    write_conll,
    write_jsonl,
    write_parquet,
)
from seqkit.console import progress, terminable
from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io.lines import replacing, write_bytes, write_whole

_PLAN, _DONE, _LOCK = "plan.json", "done", "lock"
_EVERY = 5.0  # seconds between lines of progress
_JOB = "_job"  # readers of folders of data leave out what begins with an underscore
REPORT, SUCCESS, ERRORS = "report.json", "_SUCCESS", "errors"


class Done(NamedTuple):
    """A shard that is written: its number, its rows, how many have no answer, and the seconds it took."""

    shard: int
    rows: int
    errors: int
    seconds: float


class Report(NamedTuple):
    """What a job did.

    ``rows`` are all, ``errors`` those without an answer, ``done_before`` those of earlier runs; ``rows_per_second`` is
    that of this run.
    """

    output: Path
    parts: int
    rows: int
    errors: int
    done_before: int
    seconds: float
    rows_per_second: float


class ShardJob:
    """What a worker does with a shard. It can be pickled, and opens nothing before it is called.

    Parameters
    ----------
    folder : Path
        The job's folder.
    plan : Plan
        The whole plan.
    predictor : BatchPredictor
        That of the plan's model and options.
    """

    def __init__(self, folder: Path, plan: Plan, predictor: BatchPredictor):
        self.folder, self.plan, self.predictor = folder.absolute(), plan, predictor
        self._reader: ShardReader | None = None

    def __getstate__(self):
        """Return a state without open files."""
        return {**self.__dict__, "_reader": None}

    def __call__(self, shard: Shard) -> Done:
        """Predict a shard and write its part."""
        began, options = time.perf_counter(), self.plan.options
        if self._reader is None:
            self._look_around()
            self._reader = ShardReader(self.plan.files, options)
        rows = self._reader.read(shard)
        columns, reasons = self.predictor.predict(rows.inputs)
        problems = {i: Problem(rows.lines[i], reason) for i, reason in reasons.items()} | rows.problems
        output = options["output_format"]
        with replacing(part_path(self.folder, shard.number, output)) as path:
            if output == "parquet":
                write_parquet(path, rows, columns, problems, _schema(options["schema"]))
            else:
                write = write_jsonl if output == "jsonl" else write_conll
                write(path, rows, columns, problems, options["keep"])
            self._tell(shard, problems)
        done = Done(shard.number, shard.rows, len(problems), time.perf_counter() - began)
        write_bytes(_done_path(self.folder, shard.number), json.dumps(done._asdict()).encode())
        return done

    def _look_around(self) -> None:
        """See whether this machine sees what the one sees that planned the job."""
        path = self.folder / _JOB / _PLAN
        if not path.is_file() or path.read_text(encoding="utf-8") != self.plan.to_json():
            raise self._unseen(f"does not see the job in {self.folder}")
        for name in (self.predictor.model, *(file.path for file in self.plan.files)):
            if not os.path.exists(name):
                raise self._unseen(f"does not see {name}")

    @staticmethod
    def _unseen(what: str) -> DataError:
        return DataError(
            f"The machine {platform.node()} {what}. The model, the input and the output must be on a file system that "
            "all machines share, under the same names."
        )

    def _tell(self, shard: Shard, problems: Mapping[int, Problem]) -> None:
        """Write the errors of a shard; or raise the first, if the job is to stop there."""
        file = self.plan.files[shard.file].path
        path = self.folder / ERRORS / f"part-{shard.number:05d}.jsonl"
        if not problems:
            path.unlink(missing_ok=True)
            return
        if self.plan.options["on_error"] == "fail":
            first = problems[min(problems)]
            raise FormatError(file, first.line, first.reason)
        path.parent.mkdir(exist_ok=True)
        with write_whole(path) as stream:
            for i in sorted(problems):
                record = {"file": file, "line": problems[i].line, "row": shard.first + i, "reason": problems[i].reason}
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def part_path(folder: Path, number: int, output: str) -> Path:
    """Return where the part of a shard is written."""
    return folder / f"part-{number:05d}{OUTPUTS[output]}"


def _done_path(folder: Path, number: int) -> Path:
    return folder / _JOB / _DONE / f"{number:05d}.json"


def predict_files(
    model: str | os.PathLike,
    inputs: Iterable[str | os.PathLike] | str | os.PathLike,
    output: str | os.PathLike,
    *,
    input_format: str = "auto",
    output_format: str = "auto",
    column: str | None = None,
    keep: Sequence[str] | None = None,
    answers: Sequence[str] | None = None,
    token_column: int = 0,
    max_length: int | None = None,
    allow_ops: Sequence[str] = (),
    on_error: str = "skip",
    shard_rows: int = 10_000,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
    verbose: bool | str = "auto",
) -> Report:
    """Predict all rows of files, larger than memory, into a folder of parts; go on where an earlier run stopped.

    Parameters
    ----------
    model : str or os.PathLike
        Folder of a saved estimator.
    inputs : path or iterable of paths
        Files, folders and patterns, see `seqkit.batch.streams.find_files`.
    output : str or os.PathLike
        Folder of the parts: ``part-00000.parquet`` and so on, in the order of the input, one row for each. Beside them
        ``errors/``, what is wrong with rows that have no answer; ``report.json``; and ``_SUCCESS`` when all is done.
    input_format : {"auto", "parquet", "jsonl", "csv", "tsv", "lines", "conll"}, default="auto"
        "auto" goes by each file's ending.
    output_format : {"auto", "parquet", "jsonl", "conll"}, default="auto"
        "auto": that of the input where all files have one of these, else "jsonl".
    column : str or None, default=None
        The column or field that is read; None: the first of ``text``, ``tokens``, ``sentence``, ``review``,
        ``content``, ``source``, ``tree``, ``features``.
    keep : sequence of str or None, default=None
        Columns that are carried through; None: all. One whose name an answer has too becomes ``input_…``.
    answers : sequence of str or None, default=None
        Columns of answers; None: those that matter most, see `seqkit.batch.answers`.
    token_column : int, default=0
        Column of the tokens in CoNLL files.
    max_length : int or None, default=None
        Longest input, in characters of a text or items of a list; a longer one is an error of its row.
    allow_ops : sequence of str, default=()
        Ops of an export that touch files or processes, and may be run all the same.
    on_error : {"skip", "fail"}, default="skip"
        "skip": a row that cannot be read or answered has nulls in the output, and a record in ``errors/``. "fail": the
        first one stops the job.
    shard_rows : int, default=10_000
        Most rows of a part.
    engine : {"local", "processes", "ray"}, default="local"
        Where the work is done: in this process, in several of this machine, or by Ray (extra ``[ray]``).
    workers : int or None, default=None
        Processes; None: as many as there are cores, with Ray as the cluster has CPUs.
    address : str or None, default=None
        A Ray cluster, ``host:port`` or ``auto``, whose nodes all see the model, the input and the output under the same
        names; None: Ray is begun on this machine, and stopped at the end.
    verbose : bool or {"auto", "lines"}, default="auto"
        Progress by rows: a bar on a terminal, plain lines ("lines"), or none (False).

    Returns
    -------
    Report

    Raises
    ------
    ParameterError
        If the folder holds a job of another model, another input or other options; or if another process is at work
        there.
    """
    check_engine(engine, workers, address)
    files = find_files([inputs] if isinstance(inputs, str | os.PathLike) else inputs)
    files = [path.absolute() for path in files]  # workers may have another working directory
    options: dict[str, Any] = {
        "input_format": input_format,
        "output_format": _output_format(output_format, files, input_format),
        "column": column,
        "keep": None if keep is None else list(keep),
        "answers": None if answers is None else list(answers),
        "token_column": token_column,
        "max_length": max_length,
        "on_error": _one_of("on_error", on_error, ("skip", "fail")),
        "shard_rows": _positive("shard_rows", shard_rows),
    }
    if options["output_format"] == "conll":
        options["answers"] = ["tokens", "tags"]
    predictor = BatchPredictor(model, answers=options["answers"], max_length=max_length, allow_ops=allow_ops)
    plan = make_plan(files, {"path": predictor.model, "fingerprint": predictor.fingerprint}, options)
    schema = carried_schema(plan.files, options) if options["output_format"] == "parquet" else None
    plan = plan._replace(options={**options, "schema": schema and base64.b64encode(schema.serialize()).decode()})
    folder = Path(output)
    with _begun(folder, plan):
        return _run(folder, plan, predictor, engine, workers, address, verbose)


@contextmanager
def _begun(folder: Path, plan: Plan) -> Iterator[None]:
    """Hold the folder of a job for this process alone: a new one, or an earlier run's of the same plan."""
    if folder.is_dir() and not (folder / _JOB).is_dir() and any(folder.iterdir()):
        raise ParameterError(f"{folder} is not empty, and holds no job that could be continued. Give another folder.")
    (folder / _JOB / _DONE).mkdir(parents=True, exist_ok=True)
    with locked(folder / _JOB / _LOCK, folder):
        path = folder / _JOB / _PLAN
        if path.is_file():
            before = Plan.from_json(path.read_text(encoding="utf-8"))
            if (why := before.difference(plan)) is not None:
                raise ParameterError(
                    f"{folder} holds a job of its own that this one does not continue: {why}. Give another output "
                    "folder, or remove this one."
                )
        if not path.is_file() or path.read_text(encoding="utf-8") != plan.to_json():
            write_bytes(path, plan.to_json().encode())
        _sweep(folder)
        try:
            yield
        finally:
            _sweep(folder)


def _sweep(folder: Path) -> None:
    """Remove what killed workers left half written."""
    for place in (folder, folder / ERRORS, folder / _JOB, folder / _JOB / _DONE):
        for path in place.glob(".*.tmp"):
            path.unlink(missing_ok=True)


def _run(
    folder: Path,
    plan: Plan,
    predictor: BatchPredictor,
    engine: str,
    workers: int | None,
    address: str | None,
    verbose: bool | str,
) -> Report:
    output = plan.options["output_format"]
    done = {d.shard: d for d in map(_read_done, (folder / _JOB / _DONE).glob("*.json"))}
    done = {n: d for n, d in done.items() if part_path(folder, n, output).is_file()}
    before = sum(d.rows for d in done.values())
    todo = [shard for shard in plan.shards if shard.number not in done]
    if todo:
        (folder / SUCCESS).unlink(missing_ok=True)
    began, rows, errors = time.perf_counter(), before, sum(d.errors for d in done.values())
    shards = run_shards(ShardJob(folder, plan, predictor), todo, engine, workers, address)
    try:
        with terminable(), progress(plan.rows, "predict", verbose, _EVERY) as bar, closing(shards):
            bar.advance(before)
            for found in shards:
                done[found.shard] = found
                rows, errors = rows + found.rows, errors + found.errors
                bar.advance(found.rows)
                bar.update(errors=errors, **{"rows/s": round((rows - before) / (time.perf_counter() - began))})
    except KeyboardInterrupt:
        print(f"Stopped: {rows:,} of {plan.rows:,} rows are done. The same call goes on from there.", file=sys.stderr)
        raise
    seconds = time.perf_counter() - began
    _count(folder, plan, done)
    report = Report(folder, len(done), rows, errors, before, seconds, (rows - before) / seconds)
    value = {**report._asdict(), "output": str(folder), "model": plan.model}
    write_bytes(folder / REPORT, (json.dumps(value, indent=1) + "\n").encode())
    write_bytes(folder / SUCCESS, b"")
    return report


def _count(folder: Path, plan: Plan, done: Mapping[int, Done]) -> None:
    """Count the parts against the plan, and their rows against the input."""
    output = plan.options["output_format"]
    for shard in plan.shards:
        path = part_path(folder, shard.number, output)
        rows = count_rows(path, output) if path.is_file() else None
        if rows != shard.rows or done[shard.number].rows != shard.rows:
            found = "is missing" if rows is None else f"has {rows} rows, not {shard.rows} as planned"
            raise DataError(f"{path} {found}. Remove {_done_path(folder, shard.number)}, and run the job again.")


def _read_done(path: Path) -> Done:
    return Done(**json.loads(path.read_text()))


def _schema(text: str):
    import pyarrow

    return pyarrow.ipc.read_schema(pyarrow.py_buffer(base64.b64decode(text)))


def _output_format(asked: str, files: Sequence[Path], input_format: str) -> str:
    if asked == "auto":
        formats = {format_of(path, input_format) for path in files}
        return formats.pop() if len(formats) == 1 and formats <= set(OUTPUTS) else "jsonl"
    return _one_of("output_format", asked, ("auto", *OUTPUTS))


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ParameterError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}.")
    return value


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name} must be an integer of at least 1; got {value!r}.")
    return value
