"""Negative log-likelihood of Bach's chorales, frame by frame: cells and heads side by side.

    python benchmarks/chorales.py [--heads bernoulli nade] [--cells lstm gru …] [--seeds 0] [--transpose] [--dev]
        [--set name=value ...]

On the piano rolls of poly_music with their own parts. Reported is the mean over all frames but the first of each
chorale, which is given (as Bai et al. 2018 count), in nats; beside it the mean over all frames. The pass is chosen on
dev; test is read once. With --transpose the training part is taken in all twelve keys.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.text_quality import mean_and_deviation, parse_settings
from seqkit import SequenceGenerator
from seqkit.datasets import load_music

SETTINGS = {"units": 256, "dropout": 0.5, "recurrent_dropout": 0.25, "learning_rate": 0.006, "halting": None}
SETTINGS |= {"epochs": 75, "patience": 8, "verbose": 0}


def transposed(pieces: list[np.ndarray]) -> list[np.ndarray]:
    """Return pieces five half-tones lower to six higher; a piece that would lose a key is left out."""
    return [np.roll(piece, shift, 1) for shift in range(-5, 7) for piece in pieces if not _lost(piece, shift)]


def _lost(piece: np.ndarray, shift: int) -> bool:
    """Whether a shift would push a key over an edge."""
    edge = piece[:, -shift:] if shift > 0 else piece[:, :-shift] if shift < 0 else piece[:, :0]
    return bool(edge.any())


def loss(generator: SequenceGenerator, pieces: list[np.ndarray]) -> tuple[float, float]:
    """Return the mean of ``-log p`` over frames, without the first ones and with them."""
    found = generator.log_probability(None, pieces, per_item=True)
    return -np.concatenate([p[1:] for p in found]).mean(), -np.concatenate(found).mean()


def run(cell: str, head: str, seed: int, transpose: bool, dev_only: bool, overrides: dict) -> dict:
    """Train once and measure once."""
    train, dev, test = (load_music("poly_music", split) for split in ("train", "dev", "test"))
    began = time.perf_counter()
    generator = SequenceGenerator(**{**SETTINGS, "cell": cell, "head": head, "random_state": seed, **overrides})
    generator.fit(None, transposed(train) if transpose else train, validation_data=(None, dev))
    result = {"cell": cell, "head": head, "seed": seed, "minutes": (time.perf_counter() - began) / 60}
    result["epochs"] = len(generator.history_["loss"])
    result["weights"] = int(sum(np.size(w) for w in generator.model_.get_weights()))
    result["dev"], result["dev, all"] = loss(generator, dev)
    if not dev_only:
        result["test"], result["test, all"] = loss(generator, test)
    print(json.dumps({k: float(v) if isinstance(v, np.floating) else v for k, v in result.items()}), file=sys.stderr)
    return result


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", nargs="+", default=["bernoulli", "nade"])
    parser.add_argument("--cells", nargs="+", default=["elman", "jordan", "leaky", "gru", "lstm"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--transpose", action="store_true")
    parser.add_argument("--dev", action="store_true", help="measure dev only")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    overrides = parse_settings(arguments.overrides)
    keys = "in twelve keys" if arguments.transpose else "as it is"
    print(f"{datetime.date.today()}  seeds {arguments.seeds}, train {keys}  {overrides or ''}", flush=True)
    print("| cell | head | dev | test | test, first frames too | weights | epochs | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    for head in arguments.heads:
        for cell in arguments.cells:
            if cell == "jordan" and head == "nade":
                continue  # a Jordan network feeds back each key by itself
            options = (arguments.transpose, arguments.dev, overrides)
            results = [run(cell, head, seed, *options) for seed in arguments.seeds]
            columns = [
                mean_and_deviation([r[part] for r in results]) if part in results[0] else ""
                for part in ("dev", "test", "test, all")
            ]
            print(
                f"| {cell} | {head} | {' | '.join(columns)} | {results[0]['weights']:,} | "
                f"{statistics.mean(r['epochs'] for r in results):.0f} | "
                f"{statistics.mean(r['minutes'] for r in results):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
