"""What every test can rely on: where the public data is, a quiet TensorFlow, a corpus learned in seconds."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
if _DATA.is_dir():
    os.environ.setdefault("SEQKIT_DATA", str(_DATA))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # processes beside each other: a core for each
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


class Corpus(NamedTuple):
    """Tagged sentences in two parts."""

    X: list[list[str]]
    y: list[list[str]]
    X_dev: list[list[str]]
    y_dev: list[list[str]]


@pytest.fixture(scope="session")
def tiny_corpus() -> Corpus:
    """Sentences of four shapes over a few names, IOB2 tags; the same in each run. Shared: do not change it."""
    generator = random.Random(0)
    people = ["Ada", "Grace Hopper", "Linus", "Mary Ann Evans", "Noam"]
    places = ["Oslo", "Lima", "New Delhi", "Accra"]
    frames = ["PER lives in LOC .", "In LOC , PER met PER .", "it rained all day", "PER left LOC for LOC"]

    def sentence() -> tuple[list[str], list[str]]:
        tokens, tags = [], []
        for word in generator.choice(frames).split():
            name = {"PER": people, "LOC": places}.get(word)
            words = generator.choice(name).split() if name else [word]
            tokens += words
            tags += [f"B-{word}", *[f"I-{word}"] * (len(words) - 1)] if name else ["O"]
        return tokens, tags

    X, y = map(list, zip(*(sentence() for _ in range(80)), strict=True))
    return Corpus(X[:64], y[:64], X[64:], y[64:])


def pytest_terminal_summary(terminalreporter):
    """Say how many of scikit-learn's own checks ran, by estimator."""
    counts: dict[str, Counter] = {}
    for outcome in ("passed", "failed", "xfailed", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == "scikit_learn_check" and (report.when == "call" or outcome == "skipped"):
                    counts.setdefault(value, Counter())[outcome] += 1
    for estimator, outcomes in counts.items():
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        terminalreporter.write_line(f"scikit-learn's checks of {estimator}: {sum(outcomes.values())} ({told})")
