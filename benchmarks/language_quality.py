"""Accuracy of language models: tinyshakespeare by character, wikitext2 by word.

    python benchmarks/language_quality.py SET [--seeds 0] [--dev | --whole] [--set name=value ...]

tinyshakespeare: train on the first nine tenths but for their last tenth, which is dev; test is the last tenth.
wikitext2 has its own parts. The pass is chosen on dev; test is read once, as one text from its beginning. With --whole
the settings and ``epochs=`` have been chosen before: train and dev are learned from together, and all passes made.
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

from benchmarks.text_quality import parse_settings
from seqkit import LanguageModel
from seqkit.datasets import load_corpus

SETTINGS = {
    "tinyshakespeare": {"units": 512, "layers": 2, "word_dim": 64, "dropout": 0.4, "steps": 128, "batch_size": 32},
    "wikitext2": {"units": 512, "word_dim": 256, "tied": True, "dropout": 0.4, "steps": 35, "batch_size": 32},
}


def run(name: str, seed: int, parts: list[str], overrides: dict) -> dict:
    """Train once and measure the parts once; where dev is not among them, it is learned from."""
    train, dev, test = ([load_corpus(name, part)] for part in ("train", "dev", "test"))
    options = {"verbose": 2, **SETTINGS[name], "random_state": seed, **overrides}
    began = time.perf_counter()
    if "dev" in parts:
        model = LanguageModel(**options).fit(train, validation_data=dev)
    else:
        model = LanguageModel(**options, validation_fraction=None).fit([train[0] + dev[0]])
    result = {"seed": seed, "minutes": (time.perf_counter() - began) / 60, "epochs": len(model.history_["loss"])}
    result["weights"] = int(sum(np.size(w) for w in model.model_.get_weights()))
    result["tokens/s"] = float(np.median(model.history_["tokens_per_second"]))
    result |= {part: -model.score({"dev": dev, "test": test}[part]) for part in parts}
    course = model.history_.get("validation_loss")
    print(json.dumps({**overrides, **result, "course": course}), file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--dev", action="store_true", help="measure dev only")
    which.add_argument("--whole", action="store_true", help="learn from dev too, and measure test only")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    overrides = parse_settings(arguments.overrides)
    print(f"{datetime.date.today()}  {arguments.set}  {overrides or ''}", flush=True)
    print("| seed | dev, nats | test, nats | test, perplexity | weights | tokens/s | epochs | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    for seed in arguments.seeds:
        parts = ["dev"] if arguments.dev else ["test"] if arguments.whole else ["dev", "test"]
        r = run(arguments.set, seed, parts, overrides)
        dev, test = (f"{r[part]:.4f}" if part in r else "" for part in ("dev", "test"))
        perplexity = f"{np.exp(r['test']):.1f}" if test else ""
        print(
            f"| {seed} | {dev} | {test} | {perplexity} | {r['weights']:,} | {r['tokens/s']:,.0f} | {r['epochs']} | "
            f"{r['minutes']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
