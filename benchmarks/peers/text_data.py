"""The sets of the comparison of text classifiers: sst2 (short texts) and movie_reviews (long documents)."""

from __future__ import annotations

import random
from typing import NamedTuple

from benchmarks.peers.text_base import Label
from seqkit.datasets import fold_numbers, load_texts

Part = tuple[list[str], list[Label]]


class TextSet(NamedTuple):
    """A set with its parts."""

    train: Part
    dev: Part | None
    test: Part
    longest: int  # tokens in the longest text of the training part, those left out included


def load_text_set(name: str, train_texts: int | None = None, test_texts: int | None = None) -> TextSet:
    """Return a set; of ``movie_reviews``, which has no parts, the test part is fold 0.

    Parameters
    ----------
    name : {"sst2", "movie_reviews"}
        The set.
    train_texts, test_texts : int or None
        Keep only so many texts, drawn at random, but the same at each call; None: all.
    """
    if name == "sst2":
        train, dev, test = (load_texts(name, part) for part in ("train", "dev", "test"))
    else:
        X, y = load_texts(name, "all")
        folds = fold_numbers(name, len(X))
        rows = [i for i, fold in enumerate(folds) if fold], [i for i, fold in enumerate(folds) if not fold]
        train, test = (([X[i] for i in part], [y[i] for i in part]) for part in rows)
        dev = None
    longest = max(len(text.split()) for text in train[0])
    return TextSet(_some(train, train_texts), dev, _some(test, test_texts), longest)


def _some(part: Part, count: int | None) -> Part:
    X, y = part
    if count is None or count >= len(X):
        return part
    rows = sorted(random.Random(0).sample(range(len(X)), count))
    return [X[i] for i in rows], [y[i] for i in rows]
