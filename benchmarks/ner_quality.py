"""Entity F1 (UPOS accuracy for English EWT) of SequenceTagger on public sets.

Every set is trained on its train part, stopped on its dev part (the last tenth of train where a set has none), and its
test part is scored once for each seed. No vectors from elsewhere. The data are found as `seqkit.datasets` does.

    python benchmarks/ner_quality.py [SET ...] [--seeds 0 1 2] [--dev] [--set name=value ...]

With --dev, the dev score is reported and the test part is never read: this is how settings are chosen.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import statistics
import sys
import time

from seqkit import SequenceTagger
from seqkit.datasets import load_tagging, map_types

# Settings that differ from the defaults, chosen on dev parts.
SETTINGS: dict[str, dict] = {
    "mit_movie": {},
    "bc5cdr": {},
    "wnut17": {"word_dropout": 0.25, "dropout": 0.6},
    "wnut17+": {"word_dropout": 0.25, "dropout": 0.6},
    "ud_english_ewt": {},
    "weibo_ner": {},
}
# Sets that end with a second training on one of their parts alone, from the weights of the first: the other parts of
# wnut17+ know three of its six types only, so what is a product or a group in one part is nothing in the others.
SECOND: dict[str, tuple[str, dict]] = {"wnut17+": ("wnut17", {"learning_rate": 0.0005, "epochs": 20})}
TARGETS = {
    "mit_movie": 87.6,
    "bc5cdr": 83.7,
    "wnut17": 24.0,
    "wnut17+": 35.0,
    "ud_english_ewt": 94.5,
    "weibo_ner": 50.0,
}
# Types of the Broad Twitter Corpus and WikiGold in the terms of WNUT-17; None drops a type.
_BTC = {"PER": "person", "LOC": "location", "ORG": "corporation"}
_WIKIGOLD = {"PER": "person", "LOC": "location", "ORG": "corporation", "MISC": None}


def load(name: str, with_test: bool):
    """Return (train, dev, test) pairs; test is None unless asked for."""
    if name == "mit_movie":
        X, y = load_tagging(name, "train", corpus="eng")
        cut = len(X) - len(X) // 10
        train, dev = (X[:cut], y[:cut]), (X[cut:], y[cut:])
        return train, dev, load_tagging(name, "test", corpus="eng") if with_test else None
    if name == "wnut17+":
        train, dev, test = load("wnut17", with_test)
        parts = [train]
        for section in ("train", "dev", "test"):
            X, y = load_tagging("btc", section)
            parts.append((X, map_types(y, _BTC)))
        X, y = load_tagging("wikigold", "all")
        parts.append((X, map_types(y, _WIKIGOLD)))
        X, y = ([item for part in parts for item in part[k]] for k in (0, 1))
        return (X, y), dev, test
    return (
        load_tagging(name, "train"),
        load_tagging(name, "dev"),
        load_tagging(name, "test") if with_test else None,
    )


def run(name: str, seed: int, dev_only: bool, overrides: dict) -> dict:
    """Train once and score once."""
    train, dev, test = load(name, with_test=not dev_only)
    tagger = SequenceTagger(**{"random_state": seed, "verbose": 0, **SETTINGS[name], **overrides})
    started = time.perf_counter()
    tagger.fit(*train, validation_data=dev)
    if name in SECOND:
        part, parameters = SECOND[name]
        tagger.set_params(warm_start=True, **parameters)
        tagger.fit(*load_tagging(part, "train"), validation_data=dev)
    seconds = time.perf_counter() - started
    scores = tagger.history_["f1" if tagger.scheme_ else "accuracy"]
    result = {
        "dev": 100 * max(scores),
        "test": None if dev_only else 100 * tagger.score(*test),
        "minutes": seconds / 60,
        "epochs": len(scores),
        "best": scores.index(max(scores)) + 1,
        "tokens_per_second": statistics.median(tagger.history_["tokens_per_second"]),
        "weights": tagger.model_.count_params(),
    }
    # One line a run, so that a run cut off leaves what it had measured.
    print(name, "seed", seed, json.dumps(result), file=sys.stderr, flush=True)
    return result


def _mean(values: list[float]) -> str:
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {sd:.2f}"


def main() -> None:
    """Run the sets and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--dev", action="store_true", help="score dev only")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    overrides = {}
    for item in arguments.overrides:
        key, _, value = item.partition("=")
        try:
            overrides[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            overrides[key] = value
    print(f"{datetime.date.today()}  seeds {arguments.seeds}  {overrides or ''}", flush=True)
    print("| set | dev | test | to reach | minutes | epochs (best) | tokens/s | weights |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.sets:
        runs = [run(name, seed, arguments.dev, overrides) for seed in arguments.seeds]
        test = "" if arguments.dev else _mean([r["test"] for r in runs])
        epochs = ", ".join(f"{r['epochs']} ({r['best']})" for r in runs)
        minutes = statistics.mean(r["minutes"] for r in runs)
        speed = statistics.median(r["tokens_per_second"] for r in runs)
        print(
            f"| {name} | {_mean([r['dev'] for r in runs])} | {test} | {TARGETS[name]} | {minutes:.1f} | {epochs} | "
            f"{speed:,.0f} | {runs[0]['weights']:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
