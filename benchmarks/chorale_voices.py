"""Negative log-likelihood of Bach's chorales in sixteenths, voice by voice, with and without transposition.

    python benchmarks/chorale_voices.py [--seeds 0] [--ahead 0] [--keys own all] [--dev] [--set name=value ...]

On jsb_chorales_json with its own parts. Reported is the mean over the notes' tokens, four a step, in nats: not over the
time signature before them (always 4/4 here) and the end after them. The pass is chosen on dev; test is read once.
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

from benchmarks.text_quality import mean_and_deviation, parse_settings
from seqkit.datasets import load_music
from seqkit.music import Composer, Piece, make_representation, voices_score

SETTINGS = {"units": 256, "word_dim": 64, "dropout": 0.3, "steps": 128, "batch_size": 32, "epochs": 30, "patience": 3}


def load(split: str) -> list[Piece]:
    return [
        Piece(voices_score(voices), f"{split} {i}") for i, voices in enumerate(load_music("jsb_chorales_json", split))
    ]


def loss(composer: Composer, pieces: list[Piece]) -> float:
    """Return the mean of ``-log p`` over the notes' tokens."""
    items = [composer.representation.encode(piece.score) for piece in pieces]
    found = composer.generator_.log_probability(None, items, per_item=True)
    notes = [[token != "." and "/" not in token for token in tokens] for tokens in items]
    return -float(np.concatenate([p[:-1][is_note] for p, is_note in zip(found, notes, strict=True)]).mean())


def run(seed: int, ahead: int, transpose: bool, dev_only: bool, overrides: dict) -> dict:
    """Train once and measure once."""
    train, dev, test = map(load, ("train", "dev", "test"))
    options = {**SETTINGS, "verbose": 2, "random_state": seed, **overrides}
    began = time.perf_counter()
    composer = Composer(make_representation("chorale", ahead=ahead), transpose=transpose, **options).fit(train, dev)
    result = {"minutes": (time.perf_counter() - began) / 60, "epochs": len(composer.generator_.history_["loss"])}
    result["dev"] = loss(composer, dev)
    if not dev_only:
        result["test"] = loss(composer, test)
    print(json.dumps({"ahead": ahead, "transpose": transpose, **overrides, **result}), file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--ahead", type=int, default=0)
    parser.add_argument("--keys", nargs="+", choices=["own", "all"], default=["own", "all"])
    parser.add_argument("--dev", action="store_true", help="measure dev only")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    overrides = parse_settings(arguments.overrides)
    print(f"{datetime.date.today()}  seeds {arguments.seeds}, ahead {arguments.ahead}  {overrides or ''}", flush=True)
    print("| trained on | dev | test | epochs | minutes |")
    print("|---|---|---|---|---|")
    for keys in arguments.keys:
        options = (arguments.ahead, keys == "all", arguments.dev, overrides)
        results = [run(seed, *options) for seed in arguments.seeds]
        columns = [
            mean_and_deviation([r[part] for r in results], 4) if part in results[0] else "" for part in ("dev", "test")
        ]
        print(
            f"| {'all keys within the range' if keys == 'all' else 'its own keys'} | {' | '.join(columns)} | "
            f"{', '.join(str(r['epochs']) for r in results)} | {np.mean([r['minutes'] for r in results]):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
