"""Quality of Seq2Seq: spelling to sound (cmudict) and French to English (tatoeba_fra_eng).

    python benchmarks/pair_quality.py cmudict|tatoeba [--seeds 0] [--dev] [--save FOLDER] [--set name=value ...]

Parts are those of `seqkit.datasets.load_pairs`. The pass is chosen on dev; test is read once, and not at all with
--dev: this is how settings are chosen. Of words any listed pronunciation is right. BLEU is by sacreBLEU, of
texts as they come back, mixed case.
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
from seqkit import Seq2Seq
from seqkit.datasets import load_pairs
from seqkit.metrics.sequences import token_errors

NAMES = {"cmudict": "cmudict", "tatoeba": "tatoeba_fra_eng"}
# Settings that differ from the defaults, chosen on dev.
SETTINGS: dict[str, dict] = {
    "cmudict": {
        "tokenizer": "characters",
        "units": 512,
        "epochs": 8,
        "learning_rate_decay": "cosine",
        "batch_size": 128,
    },
    "tatoeba": {"batch_size": 128},
}
COLUMNS = {"cmudict": ("wrong words %", "wrong sounds %"), "tatoeba": ("BLEU", "chrF")}
TARGETS = {"cmudict": "25 / 6.5", "tatoeba": "45"}


def measure(task: str, model: Seq2Seq, part: str) -> tuple[float, float]:
    """Return the two measures of a task on one part, in hundredths."""
    sources, targets = load_pairs(NAMES[task], part)
    if task == "tatoeba":
        found = model.evaluate(sources, targets)
        return 100 * found["bleu"], 100 * found["chrf"]
    references: dict[str, list] = {}
    for word, sounds in zip(sources, targets, strict=True):
        references.setdefault(word, []).append(sounds)
    found = token_errors(list(references.values()), model.predict(list(references)))
    return 100 * found["sequence_error_rate"], 100 * found["token_error_rate"]


def run(task: str, seed: int, dev_only: bool, save: str | None, overrides: dict) -> dict:
    """Train once and measure once."""
    train, dev = (load_pairs(NAMES[task], part) for part in ("train", "dev"))
    options = {"verbose": 2, "random_state": seed, **SETTINGS[task], **overrides}
    began = time.perf_counter()
    model = Seq2Seq(**options).fit(*train, validation_data=dev)
    result = {"minutes": (time.perf_counter() - began) / 60, "epochs": len(model.history_["loss"])}
    if save is not None:
        model.save(Path(save) / f"{task}-{seed}")
    result["weights"] = int(sum(np.size(w) for w in model.model_.get_weights()))
    for part in ("dev",) if dev_only else ("dev", "test"):
        began = time.perf_counter()
        result[part] = measure(task, model, part)
        result[f"{part} seconds"] = time.perf_counter() - began
    print(json.dumps({"task": task, "seed": seed, **overrides, **result}), file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Print a row of a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=list(NAMES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--dev", action="store_true", help="measure dev only")
    parser.add_argument("--save", metavar="FOLDER", help="keep the models here")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    task, overrides = arguments.task, parse_settings(arguments.overrides)
    results = [run(task, seed, arguments.dev, arguments.save, overrides) for seed in arguments.seeds]
    print(f"{datetime.date.today()}  {task}, seeds {arguments.seeds}, to reach {TARGETS[task]}")
    columns = [f"{part} {name}" for part in ("dev", "test") for name in COLUMNS[task]]
    print(f"| settings | {' | '.join(columns)} | weights | epochs | minutes |")
    print("|---" * (len(columns) + 4) + "|")
    cells = [
        mean_and_deviation([result[part][i] for result in results]) if part in results[0] else ""
        for part in ("dev", "test")
        for i in range(2)
    ]
    told = " ".join(f"{name}={value}" for name, value in overrides.items()) or "defaults"
    print(
        f"| {told} | {' | '.join(cells)} | {results[0]['weights']:,} | "
        f"{', '.join(str(r['epochs']) for r in results)} | {np.mean([r['minutes'] for r in results]):.0f} |"
    )


if __name__ == "__main__":
    main()
