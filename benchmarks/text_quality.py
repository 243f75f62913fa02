"""Accuracy of SequenceClassifier and TreeClassifier on public sets, beside TF-IDF with logistic regression.

Every set is trained on its train part and stopped on its dev part (the last tenth of train where a set has none); its
test part is scored once for each seed. Sets without parts are cut by the index of a text (see `load`). No vectors from
elsewhere. The data are found as `seqkit.datasets` does.

    python benchmarks/text_quality.py [SET ...] [--seeds 0 1 2] [--dev] [--set name=value ...] [--folds 0 1 2]

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
from collections.abc import Iterator

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from seqkit import SequenceClassifier, TreeClassifier
from seqkit.datasets import fold_numbers, load_texts, load_trees

# Settings that differ from the defaults, chosen on dev parts.
SETTINGS: dict[str, dict] = {
    "sst2": {"tokenizer": "whitespace"},
    "sentence_polarity": {"tokenizer": "whitespace"},
    "movie_reviews": {"tokenizer": "whitespace"},
    "chnsenticorp_htl": {"tokenizer": "characters"},
    "surnames": {"tokenizer": "characters", "lowercase": False},
    "sst_trees": {},
    "sst_trees_binary": {"label_map": {"0": "neg", "1": "neg", "3": "pos", "4": "pos"}},
}
TARGETS = {
    "sst2": 83.0,
    "sentence_polarity": 78.5,
    "movie_reviews": 86.0,
    "chnsenticorp_htl": 89.0,
    "surnames": None,
    "sst_trees": 45.5,
    "sst_trees_binary": 84.0,
}
FOLDS = {"sentence_polarity": range(10), "movie_reviews": range(3)}
_CHARACTERS = ("chnsenticorp_htl", "surnames")

Part = tuple[list, list]  # texts or trees, and their classes


def load(name: str, folds: list[int] | None) -> Iterator[tuple[Part, Part, Part]]:
    """Yield (train, dev, test), once for each fold of the sets that have folds."""
    if name == "sst2":
        yield tuple(load_texts(name, part) for part in ("train", "dev", "test"))
        return
    if name.startswith("sst_trees"):  # in two grades, a tree without a grade at its root still has some at its nodes
        grades = SETTINGS[name].get("label_map", {str(grade): str(grade) for grade in range(5)})
        parts = [load_trees("sst_trees", part) for part in ("train", "dev", "test")]
        yield tuple((trees, [grades.get(tree.root_label) for tree in trees]) for trees in parts)
        return
    X, y = load_texts(name, "all")
    if name in FOLDS:
        number = np.array(fold_numbers(name, len(X)))
        chosen = FOLDS[name] if folds is None else folds
    else:  # the last of every ten texts is the test part
        number, chosen = np.arange(len(X)) % 10, [9]
    if name == "surnames":  # many names stand in a file more than once
        X, y = zip(*sorted(set(zip(X, y, strict=True))), strict=True)
        number = np.arange(len(X)) % 10
    for fold in chosen:
        train, test = np.flatnonzero(number != fold), np.flatnonzero(number == fold)
        if name in _CHARACTERS:  # these files go by class
            dev = train[::10]
        else:
            dev = train[len(train) - len(train) // 10 :]
        train = np.setdiff1d(train, dev)
        yield tuple(([X[i] for i in rows], [y[i] for i in rows]) for rows in (train, dev, test))


def baseline(name: str, train: Part, dev: Part, test: Part) -> tuple[float, float]:
    """Return dev and test accuracy of TF-IDF with logistic regression, its strength chosen on dev."""
    if name.startswith("sst_trees"):
        train, dev, test = (
            tuple(zip(*((" ".join(t.leaves), c) for t, c in zip(*part, strict=True) if c is not None), strict=True))
            for part in (train, dev, test)
        )
    kind = (
        {"analyzer": "char", "ngram_range": (1, 4 if name == "surnames" else 3), "lowercase": False}
        if name in _CHARACTERS
        else {"token_pattern": r"\S+", "ngram_range": (1, 2)}
    )
    vectorizer = TfidfVectorizer(sublinear_tf=True, **kind)
    X = vectorizer.fit_transform(train[0])
    X_dev, X_test = vectorizer.transform(dev[0]), vectorizer.transform(test[0])
    models = [LogisticRegression(C=C, max_iter=1000).fit(X, train[1]) for C in (1, 4, 10, 30)]
    best = max(models, key=lambda model: model.score(X_dev, dev[1]))
    return 100 * best.score(X_dev, dev[1]), 100 * best.score(X_test, test[1])


def run(name: str, parts: tuple[Part, Part, Part], seed: int, dev_only: bool, overrides: dict) -> dict:
    """Train once and score once."""
    train, dev, test = parts
    trees = name.startswith("sst_trees")
    estimator = TreeClassifier if trees else SequenceClassifier
    classifier = estimator(**{"random_state": seed, "verbose": 0, **SETTINGS[name], **overrides})
    if trees:  # which have their classes in them
        train, dev, test = ((part[0], None) for part in (train, dev, test))
    started = time.perf_counter()
    classifier.fit(*train, validation_data=dev)
    seconds = time.perf_counter() - started
    scores = classifier.history_["accuracy"]
    return {
        "dev": 100 * max(scores),
        "test": None if dev_only else 100 * classifier.score(*test),
        "minutes": seconds / 60,
        "epochs": len(scores),
        "tokens_per_second": statistics.median(classifier.history_["tokens_per_second"]),
    }


def parse_settings(items: list[str]) -> dict:
    """Return settings that came as ``name=value``."""
    settings = {}
    for item in items:
        key, _, value = item.partition("=")
        try:
            settings[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[key] = value
    return settings


def mean_and_deviation(values: list[float], digits: int = 2) -> str:
    """Return both as text; the mean alone, of one value."""
    sd = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{sd}"


def main() -> None:
    """Run the sets and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--folds", nargs="+", type=int)
    parser.add_argument("--dev", action="store_true", help="score dev only")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="overrides")
    arguments = parser.parse_args()
    overrides = parse_settings(arguments.overrides)
    print(f"{datetime.date.today()}  seeds {arguments.seeds}  {overrides or ''}", flush=True)
    print("| set | dev | test | to reach | TF-IDF dev | TF-IDF test | minutes | epochs | tokens/s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.sets:
        folds = list(load(name, arguments.folds))
        linear = [baseline(name, *parts) for parts in folds]
        # A seed's score is the mean over folds.
        results = []
        for seed in arguments.seeds:
            for fold, parts in enumerate(folds):
                result = run(name, parts, seed, arguments.dev, overrides) | {"seed": seed, "fold": fold}
                # One line a run, so that a run cut off leaves what it had measured.
                print(name, json.dumps(result), file=sys.stderr, flush=True)
                results.append(result)

        def by_seed(key: str, results: list[dict] = results) -> list[float]:
            seeds = dict.fromkeys(r["seed"] for r in results)
            return [statistics.mean(r[key] for r in results if r["seed"] == seed) for seed in seeds]

        test = "" if arguments.dev else mean_and_deviation(by_seed("test"))
        linear_test = "" if arguments.dev else f"{statistics.mean(t for _, t in linear):.2f}"
        print(
            f"| {name} | {mean_and_deviation(by_seed('dev'))} | {test} | {TARGETS[name] or 'no mark'} | "
            f"{statistics.mean(d for d, _ in linear):.2f} | {linear_test} | "
            f"{statistics.mean(r['minutes'] for r in results):.1f} | "
            f"{statistics.mean(r['epochs'] for r in results):.0f} | "
            f"{statistics.median(r['tokens_per_second'] for r in results):,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
