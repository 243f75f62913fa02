"""seqkit's tagger against its peers: training and prediction speed, side by side on one machine.

Run from the repository's root: ``python benchmarks/tagger_speed.py [--time-to-f1] [--million]``. Each contender lives
in a process of its own; they take turns (A B C A B C ...), so that a machine that slows down slows all of them. The
tables give medians over the rounds, and the median of the ratios within a round. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.peers.worker import Worker

CONTENDERS = ("seqkit", "keras", "torch")
Rounds = dict[str, list[list[float]]]  # contender -> round -> measurements


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    note(f"starting {', '.join(options.contenders)}")
    workers = {key: Worker(key, options.threads, options.sentences) for key in options.contenders}
    results: dict[str, object] = {"machine": machine(options.threads), "options": vars(options)}
    try:
        heading(results["machine"], workers, options)
        if "train" not in options.skip:
            results["train"] = measure_training(workers, options)
        if "predict" not in options.skip:
            results["predict"] = measure_prediction(workers, options)
        if options.time_to_f1:
            results["time_to_f1"] = measure_time_to_f1(workers, options)
        if options.million:
            results["million"] = measure_stream(workers, options)
    finally:
        for worker in workers.values():
            worker.close()
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=5, help="turns that each contender gets (default 5)")
    parser.add_argument("--epochs", type=int, default=1, help="measured epochs a turn (default 1)")
    parser.add_argument("--warmup", type=int, default=1, help="epochs before them, not counted (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="predictions of the test set a turn (default 5)")
    parser.add_argument("--sentences", type=int, help="train on so many sentences only, for a quick look")
    parser.add_argument("--threads", type=int, default=2, help="cores for each contender (default 2)")
    parser.add_argument("--skip", nargs="+", choices=("train", "predict"), default=[])
    parser.add_argument("--time-to-f1", type=int, nargs="?", const=1, metavar="RUNS", help="seconds to (b)'s dev F1")
    parser.add_argument("--peer-epochs", type=int, default=16, help="epochs that (b) gets for it (default 16)")
    parser.add_argument("--million", type=int, nargs="?", const=1_000_000, metavar="N", help="N sentences, streamed")
    parser.add_argument("--json", metavar="FILE", help="write every measurement here too")
    options = parser.parse_args(arguments)
    for name in ("rounds", "epochs", "repeats", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    if options.time_to_f1 and not {"seqkit", "torch"} <= {*options.contenders}:
        parser.error("--time-to-f1 compares seqkit with torch: both must be among --contenders")
    if options.million and "seqkit" not in options.contenders:
        parser.error("--million measures seqkit's predict_iter: seqkit must be among --contenders")
    return options


def train_in_turns(workers: dict[str, Worker], options: argparse.Namespace) -> Rounds:
    """Return training tokens/s, an epoch each."""
    speeds: Rounds = {key: [] for key in workers}
    for turn in range(options.rounds):
        for key, worker in workers.items():
            speeds[key].append(worker.call("train", epochs=options.epochs, warmup=options.warmup, seed=turn))
            note(f"train {turn + 1}/{options.rounds} {key}: {statistics.median(speeds[key][-1]):,.0f} tokens/s")
    return speeds


def predict_in_turns(workers: dict[str, Worker], options: argparse.Namespace, unit: str) -> Rounds:
    """Return predictions/s over the test part; ``unit`` is what is predicted. Trains first if that was skipped."""
    if "train" in options.skip:
        for worker in workers.values():
            worker.call("train", epochs=1, warmup=0, seed=0)
    for worker in workers.values():
        worker.call("predict")  # tracing, allocation
    speeds: Rounds = {key: [] for key in workers}
    for turn in range(options.rounds):
        for key, worker in workers.items():
            speeds[key].append([worker.call("predict") for _ in range(options.repeats)])
            note(f"predict {turn + 1}/{options.rounds} {key}: {statistics.median(speeds[key][-1]):,.0f} {unit}/s")
    return speeds


def measure_training(workers: dict[str, Worker], options: argparse.Namespace) -> Rounds:
    """Training tokens/s at batch 32, same sizes."""
    speeds = train_in_turns(workers, options)
    f1 = {key: worker.call("dev_f1") for key, worker in workers.items()}
    print("\n## Training, tokens/s (real tokens; batch 32, word 100, char convolution 50, hidden 2 × 200)\n")
    speed_table(workers, speeds, f"dev F1 after {options.warmup + options.epochs} epochs", f1)
    return speeds


def measure_prediction(workers: dict[str, Worker], options: argparse.Namespace) -> Rounds:
    """Sentences/s from Python token lists to Python tag lists over the test set."""
    speeds = predict_in_turns(workers, options, "sentences")
    print("\n## Prediction, sentences/s (Python token lists to Python tag lists, mit_movie test)\n")
    speed_table(workers, speeds)
    return speeds


def measure_time_to_f1(workers: dict[str, Worker], options: argparse.Namespace) -> list[dict[str, list]]:
    """Wall seconds until seqkit, with its own defaults, has the dev F1 that (b) ends with."""
    print(f"\n## Time to the dev F1 that (b) has after {options.peer_epochs} epochs\n")
    rows, runs, ratios = [], [], []
    for seed in range(options.time_to_f1):
        note(f"time to F1, run {seed + 1}: (b)")
        peer = workers["torch"].call("timeline", epochs=options.peer_epochs, seed=seed)
        peer_seconds, target = peer[-1]
        note(f"time to F1, run {seed + 1}: (b) has {target:.2f} after {peer_seconds:.0f} s; seqkit")
        own = workers["seqkit"].call("timeline", epochs=None, seed=seed)
        runs.append({"torch": peer, "seqkit": own, "seqkit_dev_f1": workers["seqkit"].call("dev_f1")})
        reached = next((epoch for epoch, (_, f1) in enumerate(own) if f1 >= target), None)
        if reached is None:
            at, ratio = f"not reached in {len(own)} epochs (best {max(f1 for _, f1 in own):.2f})", "–"
        else:
            ratios.append(own[reached][0] / peer_seconds)
            at, ratio = f"{own[reached][0]:.0f} s, epoch {reached + 1}", f"{ratios[-1]:.2f}"
        rows.append([seed + 1, f"{target:.2f}", f"{peer_seconds:.0f} s", at, ratio, f"{runs[-1]['seqkit_dev_f1']:.2f}"])
    table(
        ["run", "(b)'s dev F1", "(b)'s time", "seqkit has it after", "seqkit ÷ (b)", "seqkit's dev F1 at its end"], rows
    )
    if len(ratios) == len(rows):
        print(f"\nMedian ratio {statistics.median(ratios):.2f}.")
    print("\nDev F1 of each epoch (seconds since `fit` was called):\n")
    for seed, run in enumerate(runs, start=1):
        for key in ("torch", "seqkit"):
            print(f"- run {seed}, {key}: " + ", ".join(f"{f1:.2f} ({seconds:.0f} s)" for seconds, f1 in run[key]))
    return runs


def measure_stream(workers: dict[str, Worker], options: argparse.Namespace) -> dict:
    """A long stream through ``predict_iter``: sentences/s and resident memory."""
    if {"train", "predict"} <= {*options.skip} and not options.time_to_f1:
        workers["seqkit"].call("train", epochs=1, warmup=0, seed=0)
    note(f"streaming {options.million:,} sentences")
    found = workers["seqkit"].call("stream", sentences=options.million)
    memory = dict(found["memory_mib"])
    counts = sorted(memory)
    marks = [counts[round(share * (len(counts) - 1))] for share in (0, 0.1, 0.25, 0.5, 0.75, 1)]
    settled = [memory[count] for count in counts if count >= marks[1]]
    print(f"\n## {found['sentences']:,} sentences through `predict_iter`\n")
    table(
        ["sentences done", *[f"{count:,}" for count in marks]], [["MiB", *[f"{memory[count]:.0f}" for count in marks]]]
    )
    print(
        f"\n{found['sentences'] / found['seconds']:,.0f} sentences/s ({found['seconds']:.0f} s). After the first tenth "
        f"the memory moved between {min(settled):.0f} and {max(settled):.0f} MiB. "
        f"{found['differing']} answers differ from `predict` on the same sentence."
    )
    return found


def speed_table(workers: dict[str, Worker], speeds: Rounds, extra: str = "", values: dict | None = None) -> None:
    """Print median, range and, for each peer, how many times faster seqkit is."""
    per_round = {key: [statistics.median(turn) for turn in turns] for key, turns in speeds.items()}
    rows = []
    for key, worker in workers.items():
        every = [value for turn in speeds[key] for value in turn]
        row = [worker.name, f"{statistics.median(every):,.0f}", f"{min(every):,.0f} to {max(every):,.0f}"]
        if "seqkit" in workers:
            ratios = [own / peer for own, peer in zip(per_round["seqkit"], per_round[key], strict=True)]
            row.append("" if key == "seqkit" else f"{statistics.median(ratios):.2f}")
        rows.append(row + ([f"{values[key]:.2f}"] if values else []))
    header = [
        "contender",
        "median",
        "range",
        *(["seqkit ÷ it"] if "seqkit" in workers else []),
        *([extra] if extra else []),
    ]
    table(header, rows)


def table(header: list[str], rows: Iterable[Iterable[object]]) -> None:
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    sys.stdout.flush()


def heading(where: dict[str, object], workers: dict[str, Worker], options: argparse.Namespace) -> None:
    versions = sorted({version for worker in workers.values() for version in worker.versions})
    print("# Tagger speed\n")
    print(f"{where['processor']}, {where['threads']} of {where['cores']} cores, Python {where['python']}", end="")
    print(f", {', '.join(versions)}; load {where['load']} at the start.", end=" ")
    print(f"{options.rounds} rounds in turn, medians." + (" Part of the training set only." * bool(options.sentences)))


def machine(threads: int) -> dict[str, object]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": processor or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }


def note(text: str) -> None:
    """Say on stderr how far it is; stdout holds the tables alone."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
