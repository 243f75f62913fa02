"""How much SequenceClassifier learns from 200 sequences of vectors, all parameters at their defaults.

    python benchmarks/small_data.py [--cells lstm gru …]

Sequences of 12 vectors of 4 normal numbers, labelled by the sign of their sum: 200 to learn from, 1,000 others to be
judged by. The data is drawn from seeds 0 to 4; random_state is 0.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import time

import numpy as np

from seqkit import SequenceClassifier


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru", "elman", "jordan"])
    options = parser.parse_args()
    print(f"{datetime.date.today()}  mean over five draws of the data (lowest to highest)", flush=True)
    print("| cell | accuracy | seconds |")
    print("|---|---|---|")
    for cell in options.cells:
        scores, seconds = [], []
        for seed in range(5):
            X = np.random.default_rng(seed).normal(size=(1200, 12, 4)).astype(np.float32)
            y = np.where(X.sum((1, 2)) > 0, "more", "less")
            started = time.perf_counter()
            classifier = SequenceClassifier(cell=cell, random_state=0, verbose=0).fit(X[:200], y[:200])
            seconds.append(time.perf_counter() - started)
            scores.append(100 * classifier.score(X[200:], y[200:]))
        print(
            f"| {cell} | {statistics.mean(scores):.1f} ({min(scores):.1f} to {max(scores):.1f}) | "
            f"{statistics.mean(seconds):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
