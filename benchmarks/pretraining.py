"""What pretraining on unlabelled texts brings a classifier that has few labels.

Of a set's training texts so many have a label, at least one of each class; all of them, without labels, are what
``pretrain=`` learns from. The network stands alone (``ngrams=0``). Beside it the same network that begins at random.
Both stop on the dev part; the test part is scored once. No text of another set is used.

    python benchmarks/pretraining.py [SET ...] [--labels 250 1000] [--seeds 0 1 2] [--dev] [--set name=value ...]
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from pathlib import Path

import numpy as np

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.text_quality import SETTINGS, load, mean_and_deviation, parse_settings
from seqkit import SequenceClassifier

SETS = ("surnames", "chnsenticorp_htl", "movie_reviews", "sst2")


def run(name: str, parts, labels: int, pretrain: bool, seed: int, dev_only: bool, overrides: dict) -> dict:
    """Train once and score once."""
    (X, y), dev, test = parts
    rows = np.random.default_rng(seed).permutation(len(X))
    classes = np.asarray(y)[rows]
    first = np.unique(classes, return_index=True)[1]  # at least one of each class
    rows = np.concatenate([rows[first], np.delete(rows, first)])[:labels]
    settings = {"random_state": seed, "verbose": 0, "ngrams": 0, **SETTINGS[name], **overrides}
    classifier = SequenceClassifier(**settings, pretrain=list(X) if pretrain else False)
    started = time.perf_counter()
    classifier.fit([X[i] for i in rows], [y[i] for i in rows], validation_data=dev)
    result = {
        "set": name,
        "labels": len(rows),
        "pretrained": pretrain,
        "seed": seed,
        "dev": 100 * max(classifier.history_["accuracy"]),
        "test": None if dev_only else 100 * classifier.score(*test),
        "minutes": (time.perf_counter() - started) / 60,
    }
    if pretrain:
        result["perplexity"] = [round(p, 1) for p in classifier.pretraining_["perplexity"]]
    print(json.dumps(result), file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Run the sets and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--labels", nargs="+", type=int, default=[500, 2000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--dev", action="store_true", help="score dev only")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    overrides = parse_settings(arguments.overrides)
    print(f"{datetime.date.today()}  seeds {arguments.seeds}  {overrides or ''}", flush=True)
    print("| set | labels | dev, at random | dev, pretrained | test, at random | test, pretrained |")
    print("|---|---|---|---|---|---|")
    for name in arguments.sets:
        parts = next(load(name, [0]))
        for labels in arguments.labels:
            found = [
                [run(name, parts, labels, way, seed, arguments.dev, overrides) for seed in arguments.seeds]
                for way in (False, True)
            ]
            scores = [
                "" if arguments.dev and part == "test" else mean_and_deviation([r[part] for r in results])
                for part in ("dev", "test")
                for results in found
            ]
            print(f"| {name} | {found[0][0]['labels']:,} | {' | '.join(scores)} |", flush=True)


if __name__ == "__main__":
    main()
