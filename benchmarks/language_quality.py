"""Accuracy of language models: tinyshakespeare by character, wikitext2 by word.

    python benchmarks/language_quality.py SET [--seeds 0] [--dev] [--set name=value ...]

tinyshakespeare: train on the first nine tenths but for their last tenth, which is dev; test is the last tenth.
wikitext2 has its own parts. The pass is chosen on dev; test is read once, as one text from its beginning.
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


def run(name: str, seed: int, dev_only: bool, overrides: dict) -> dict:
    """Train once and measure once."""
    train, dev, test = ([load_corpus(name, part)] for part in ("train", "dev", "test"))
    options = {"verbose": 2, **SETTINGS[name], "random_state": seed, **overrides}
    model = LanguageModel(**options)
    began = time.perf_counter()
    model.fit(train, validation_data=dev)
    result = {"seed": seed, "minutes": (time.perf_counter() - began) / 60, "epochs": len(model.history_["loss"])}
    result["weights"] = int(sum(np.size(w) for w in model.model_.get_weights()))
    result["tokens/s"] = float(np.median(model.history_["tokens_per_second"]))
    for part, texts in (("dev", dev), ("test", test)):
        if part == "dev" or not dev_only:
            result[part] = -model.score(texts)
    print(json.dumps({**overrides, **result, "course": model.history_["validation_loss"]}), file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--dev", action="store_true", help="measure dev only")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    overrides = parse_settings(arguments.overrides)
    print(f"{datetime.date.today()}  {arguments.set}  {overrides or ''}", flush=True)
    print("| seed | dev, nats | test, nats | test, perplexity | weights | tokens/s | epochs | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    for seed in arguments.seeds:
        r = run(arguments.set, seed, arguments.dev, overrides)
        test = f"{r['test']:.4f} | {np.exp(r['test']):.1f}" if "test" in r else " | "
        print(
            f"| {seed} | {r['dev']:.4f} | {test} | {r['weights']:,} | {r['tokens/s']:,.0f} | {r['epochs']} | "
            f"{r['minutes']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
