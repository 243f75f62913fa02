"""seqkit's text classifier against its peers: training and prediction speed, side by side on one machine.

Run from the repository's root: ``python benchmarks/text_speed.py [--sets sst2 movie_reviews]``. Each contender lives in
a process of its own; they take turns (A B C A B C ...), so that a machine that slows down slows all of them. The tables
give medians over all measurements, and the median and range of the ratios within a round. All contenders have the same
sizes (words 100, LSTM 100 each way, batch 32) and train on the same texts; see ``peers/keras_text.py`` and
``peers/torch_text.py`` for what they are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.peers import TEXT_PEERS
from benchmarks.peers.text_contender import TextContender
from benchmarks.peers.worker import Worker
from benchmarks.tagger_speed import Rounds, machine, note, predict_in_turns, table, train_in_turns

# (b) takes minutes for one batch of long documents in training, see peers/torch_text.py.
SETS = {"sst2": ("seqkit", "keras", "torch", "torch-dense"), "movie_reviews": ("seqkit", "keras", "torch-dense")}
UNITS = {"train": "training, tokens/s", "predict": "prediction, texts/s"}
# How many times as fast as a peer seqkit is to be.
TO_REACH = {
    "train": {"keras": 2.0, "torch": 1.0, "torch-dense": 1.0},
    "predict": {"keras": 4.0, "torch": 1.5, "torch-dense": 1.5},
}


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    where = machine(options.threads)
    results: dict[str, object] = {"machine": where, "options": vars(options)}
    print("# Text classifier speed\n")
    print(
        f"{where['processor']}, {where['threads']} of {where['cores']} cores, Python {where['python']}; load "
        f"{where['load']} at the start. {options.rounds} rounds in turn, medians. Real tokens count, padding does not."
    )
    for name in options.sets:
        results[name] = measure(name, options)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument(
        "--contenders", nargs="+", choices=list(TEXT_PEERS), help="default: all; on movie_reviews without torch"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns that each contender gets (default 5)")
    parser.add_argument("--epochs", type=int, default=1, help="measured epochs a turn (default 1)")
    parser.add_argument("--warmup", type=int, default=1, help="epochs before them, not counted (default 1)")
    parser.add_argument("--repeats", type=int, default=3, help="predictions of the test part a turn (default 3)")
    parser.add_argument("--limit", type=int, metavar="TEXTS", help="train on and predict at most so many of a set")
    parser.add_argument(
        "--documents", type=int, default=128, help="of movie_reviews to train on in an epoch (default 128 of 1,800)"
    )
    parser.add_argument("--threads", type=int, default=2, help="cores for each contender (default 2)")
    parser.add_argument("--skip", nargs="+", choices=("train", "predict"), default=[])
    parser.add_argument("--json", metavar="FILE", help="write every measurement here too")
    options = parser.parse_args(arguments)
    for name in ("rounds", "epochs", "repeats", "documents", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit must be at least 1, got {options.limit}")
    return options


def measure(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure one set and print its table."""
    contenders = options.contenders or SETS[name]
    note(f"{name}: starting {', '.join(contenders)}")
    train_texts = options.limit
    if name == "movie_reviews":
        train_texts = min(options.documents, options.limit or options.documents)
    make = partial(TextContender, name=name, test_texts=options.limit)
    workers: dict[str, Worker] = {}
    try:
        for key in contenders:
            workers[key] = Worker(key, options.threads, train_texts, make)
        found: dict[str, object] = {"set": next(iter(workers.values())).call("describe")}
        speeds: dict[str, Rounds] = {}
        if "train" not in options.skip:
            speeds["train"] = train_in_turns(workers, options)
            found["dev_accuracy"] = {key: worker.call("dev_accuracy") for key, worker in workers.items()}
        if "predict" not in options.skip:
            speeds["predict"] = predict_in_turns(workers, options, "texts")
    finally:
        for worker in workers.values():
            worker.close()
    report(name, workers, speeds, found, options)
    return found | speeds


def report(
    name: str, workers: dict[str, Worker], speeds: dict[str, Rounds], found: dict, options: argparse.Namespace
) -> None:
    """Print what was measured; for each peer, how many times faster seqkit is."""
    size = found["set"]
    versions = sorted({version for worker in workers.values() for version in worker.versions})
    print(
        f"\n## {name}\n\n{size['train_texts']:,} texts of {size['train_tokens']:,} tokens to train on, "
        f"{size['test_texts']:,} of {size['test_tokens']:,} to predict; the longest text has {size['longest']:,}. "
        f"{', '.join(versions)}.\n"
    )
    rows = []
    for what, rounds in speeds.items():
        own = rounds.get("seqkit")
        for key, turns in rounds.items():
            if key == "seqkit" and len(rounds) > 1:
                continue
            row = [UNITS[what], workers[key].name, speed(own), speed(turns)]
            if key == "seqkit" or own is None:
                rows.append([*row, "–", "–", "–"])
                continue
            ratios = [
                statistics.median(mine) / statistics.median(theirs) for mine, theirs in zip(own, turns, strict=True)
            ]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            rows.append([*row, f"{statistics.median(ratios):.2f}", spread, f"{TO_REACH[what][key]:g}"])
    table(["measure", "peer", "seqkit", "the peer", "seqkit ÷ it", "in the rounds", "to reach"], rows)
    accuracy = {workers[key].name: value for key, value in found.get("dev_accuracy", {}).items() if value is not None}
    if accuracy:
        each = ", ".join(f"{contender} {value:.1f}" for contender, value in accuracy.items())
        print(f"\nDev accuracy after {options.warmup + options.epochs} epochs: {each}.", flush=True)


def speed(turns: list[list[float]] | None) -> str:
    return "–" if turns is None else f"{statistics.median(value for turn in turns for value in turn):,.0f}"


if __name__ == "__main__":
    main()
