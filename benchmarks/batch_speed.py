"""Batch prediction beside its peers, by more processes, and over more rows: speed and memory.

Run from the repository's root: ``python benchmarks/batch_speed.py [rates] [processes] [growth]``, by default all three.

- ``rates``: rows/s from raw strings in Parquet to labels in Parquet, in process, against a naive loop in Keras
  (``predict`` on chunks as they are read, padded to the longest) and PyTorch with a loader of several processes. Each
  contender lives in a process of its own; they take turns, A B C A B C, after a run that does not count.
- ``processes``: ``engine="processes"`` with two workers against one, TensorFlow held to one thread in each.
- ``growth``: seconds and peak memory of one process over 10,000 to 10,000,000 short rows, each in a fresh process,
  after 10,000 others that load the model and do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.peers.batch_contender import TASKS, BatchContender, answers_of, short_texts, write_rows
from benchmarks.peers.worker import Worker
from benchmarks.tagger_speed import machine, note, table

# How many times as fast as another seqkit is to be.
TO_REACH = {"keras": 4.0, "torch": 2.0, "one process": 1.7}
NAMES = {"keras": "naive loop in Keras", "torch": "PyTorch, loader of several processes"}


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    where = machine(options.threads)
    print("# Batch prediction\n")
    print(
        f"{where['processor']}, {where['threads']} of {where['cores']} cores, Python {where['python']}; load "
        f"{where['load']} at the start."
    )
    results: dict[str, object] = {"machine": where, "options": vars(options)}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for part in options.parts:
            results[part] = PARTS[part](Path(folder), options)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (default all)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--contenders", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default 5)")
    parser.add_argument("--rows", type=int, default=50_000, help="of rates (default 50,000)")
    parser.add_argument("--process-rows", type=int, default=200_000, help="of processes (default 200,000)")
    parser.add_argument(
        "--growth-rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 10_000_000], metavar="ROWS"
    )
    parser.add_argument("--train", type=int, metavar="TEXTS", help="train on so many only")
    parser.add_argument("--threads", type=int, default=2, help="cores for each contender (default 2)")
    parser.add_argument("--folder", help="where to write; default: the folder for temporary files")
    parser.add_argument("--json", metavar="FILE", help="write every measurement here too")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {unknown.pop()!r}; there are {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    return options


# Rates


def measure_rates(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Rows/s of seqkit and the others, in turn."""
    print(f"\n## Rows/s, raw strings in Parquet to labels in Parquet ({options.rounds} rounds in turn, medians)\n")
    found, lines = {}, []
    for task in options.tasks:
        size = write_rows(task, options.rows, folder / f"{task}.parquet")
        note(f"{task}: {size['rows']:,} rows of {size['tokens']:,} tokens, the longest of {size['longest']}")
        workers: dict[str, Worker] = {}
        try:
            for key in ("seqkit", *options.contenders):
                make = partial(BatchContender, task=task)
                workers[key] = Worker(key, options.threads, options.train, make, alone=False)
            workers["seqkit"].call("save", folder=str(folder / f"rates-{task}"))
            found[task] = in_turns(workers, folder, task, options.rounds)
        finally:
            for worker in workers.values():
                worker.close()
        own = found[task]["seqkit"]
        for key in options.contenders:
            ratios = [mine / theirs for mine, theirs in zip(own, found[task][key], strict=True)]
            lines.append([task, NAMES[key], *map(middle, (own, found[task][key])), *told(ratios, TO_REACH[key])])
    table(["task", "peer", "seqkit", "the peer", "seqkit ÷ it", "in the rounds", "to reach"], lines)
    return found


def in_turns(workers: dict[str, Worker], folder: Path, task: str, rounds: int) -> dict[str, list[float]]:
    """Let each predict the file in turn; the first round is not counted."""
    speeds: dict[str, list[float]] = {key: [] for key in workers}
    for turn in range(rounds + 1):
        for key, worker in workers.items():
            source, target = folder / f"{task}.parquet", folder / f"{task}-{key}"
            speed = worker.call("predict", source=str(source), target=str(target))
            note(f"{task} {turn}/{rounds} {key}: {speed:,.0f} rows/s")
            if turn:
                speeds[key].append(speed)
    return speeds


# Processes


def measure_processes(folder: Path, options: argparse.Namespace) -> dict[str, dict[int, list[dict[str, float]]]]:
    """Rows/s of one worker and of two, in turn: once they are at work, and with their start."""
    from seqkit.batch import predict_files

    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    print(f"\n## Two processes against one, one thread each ({options.rounds} rounds in turn, medians of rows/s)\n")
    found, lines = {}, []
    for task in options.tasks:
        source, model = folder / f"{task}-many.parquet", folder / f"processes-{task}"
        write_rows(task, options.process_rows, source)
        worker = Worker("seqkit", options.threads, options.train, partial(BatchContender, task=task))
        worker.call("save", folder=str(model))
        worker.close()
        runs: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        for turn in range(options.rounds):
            for count, speeds in runs.items():
                target = folder / f"{task}-{count}-{turn}"
                shard_rows = min(10_000, options.process_rows // 8)
                report = predict_files(
                    model,
                    source,
                    target,
                    answers=answers_of(task),
                    shard_rows=shard_rows,
                    engine="processes",
                    workers=count,
                    verbose=False,
                )
                # Without the start: from when every worker has written its first part.
                at = sorted(path.stat().st_mtime for path in target.glob("part-*"))
                running = (len(at) - count) * shard_rows / (at[-1] - at[count - 1])
                speeds.append({"running": running, "whole": report.rows_per_second})
                note(f"{task} {turn + 1}/{options.rounds} {count}: {running:,.0f} rows/s, {speeds[-1]['whole']:,.0f}")
        found[task] = runs
        for what, to_reach in (("running", TO_REACH["one process"]), ("whole", None)):
            one, two = ([run[what] for run in runs[count]] for count in (1, 2))
            ratios = [b / a for a, b in zip(one, two, strict=True)]
            name = "at work" if what == "running" else "with their start"
            lines.append([task, name, middle(one), middle(two), *told(ratios, to_reach)])
    table(["task", "measure", "one", "two", "two ÷ one", "in the rounds", "to reach"], lines)
    return found


# Growth


def measure_growth(folder: Path, options: argparse.Namespace) -> list[dict[str, float]]:
    """Seconds and peak memory over more and more rows, each time in a fresh process."""
    import pyarrow.parquet

    import seqkit

    print("\n## One process over short rows (one to five words)\n")
    some = [text for part in short_texts(2_000, seed=1) for text in part.column(0).to_pylist()]
    model = seqkit.SequenceClassifier(epochs=1, units=16, word_dim=16, ngrams=0, random_state=0)
    model.fit(some, ["good" if "good" in text else "other" for text in some]).save(folder / "growth")
    pyarrow.parquet.write_table(next(short_texts(10_000, seed=2)), folder / "first.parquet")
    found = []
    for count in options.growth_rows:
        source = folder / f"{count}.parquet"
        parts = short_texts(count)
        first = next(parts)
        with pyarrow.parquet.ParquetWriter(source, first.schema) as writer:
            writer.write_table(first)
            for part in parts:
                writer.write_table(part)
        command = [sys.executable, __file__, "one", str(folder), str(count)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        note(f"{count:,} rows: {found[-1]}")
        source.unlink()
    least = min(found, key=lambda run: abs(run["rows"] - 1_000_000))
    lines = [
        [
            f"{run['rows']:,}",
            f"{run['seconds']:.1f}",
            f"{1e6 * run['seconds'] / run['rows']:.1f}",
            f"{1e6 * run['cpu'] / run['rows']:.1f}",
            f"{run['peak_mib']:,.0f}",
            f"{run['peak_mib'] / least['peak_mib']:.2f}",
        ]
        for run in found
    ]
    header = ["rows", "seconds", "µs a row", "µs of processor a row", "peak RSS, MiB"]
    table([*header, f"÷ that of {least['rows']:,}"], lines)
    return found


def one(folder: str, count: str) -> None:
    """Predict a file in this process, and print how long it took and how much memory."""
    import resource

    from seqkit.batch import predict_files

    place = Path(folder)
    predict = partial(predict_files, place / "growth", answers=["label"], verbose=False)
    predict(place / "first.parquet", place / f"first-{count}")
    started, worked = time.perf_counter(), time.process_time()
    report = predict(place / f"{count}.parquet", place / count)
    seconds, worked = time.perf_counter() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": report.rows, "seconds": seconds, "cpu": worked, "peak_mib": peak}))


def middle(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f}"


def told(ratios: list[float], to_reach: float | None) -> list[str]:
    """Return a median ratio, its range, and what it is to be."""
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return [f"{statistics.median(ratios):.2f}", spread, "–" if to_reach is None else f"{to_reach:g}"]


PARTS = {"rates": measure_rates, "processes": measure_processes, "growth": measure_growth}

if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(*sys.argv[2:])
    else:
        main()
