"""Small data and parameters for every estimator of the toolkit; a new estimator needs an entry in `EXAMPLES`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from seqkit.estimators import all_estimators


class Example(NamedTuple):
    """Parameters that make a small model in a second, and data of one kind."""

    parameters: dict
    X: list
    y: list


_SMALL = {"units": 4, "epochs": 1, "batch_size": 4, "validation_fraction": None, "random_state": 0, "verbose": 0}
_PLAIN = {**_SMALL, "learning_rate": 0.1}
_WORDS = {"word_dim": 4, "char_encoder": None, "shape_features": False}
_SENTENCES = [["Ada", "sang"], ["in", "New", "Delhi", "."], [], ["it", "rained", "👍🏽"]] * 2
_TEXTS = ["good fun .", "a dull film", "", "Not good!", "dull, dull 👎", "fun"] * 2
_TAGS = [["B-PER", "O"], ["O", "B-LOC", "I-LOC", "O"], [], ["O", "O", "O"]] * 2
_FRAMES = [np.random.default_rng(n).normal(size=(n, 3)) for n in (2, 4, 0, 3, 1, 2)]

_TREES = [
    "(1 (1 good) (1 (2 fun) (2 .)))",
    "(0 (0 dull) (2 film) (2 x) (2 .))",
    "(1 fun)",
    "(0 (0 (0 not) (1 good)) (2 !))",
    "(0 (0 dull))",
    "(2 (2 It) (3 (2 's) (2 👎)))",
] * 2

EXAMPLES: dict[tuple[str, str], Example] = {
    ("SequenceTagger", "tokens"): Example({**_SMALL, **_WORDS, "cell": "jordan"}, _SENTENCES, _TAGS),
    ("SequenceTagger", "vectors"): Example(
        {**_SMALL, "cell": "elman", "crf": False}, _FRAMES, [[int(v[0] > 0) for v in frames] for frames in _FRAMES]
    ),
    ("SequenceClassifier", "texts"): Example({**_SMALL, **_WORDS, "cell": "gru"}, _TEXTS, ["+", "-", "-"] * 4),
    ("SequenceClassifier", "vectors"): Example(
        {**_SMALL, "cell": "jordan"}, _FRAMES, [3, 1, 2, 1, 2, 3]
    ),
    ("SequenceClassifier", "sets"): Example(
        {**_SMALL, **_WORDS, "cell": "elman", "pooling": "attention"},
        _SENTENCES,
        [{"who"}, {"where"}, set(), {"who", "where"}] * 2,
    ),
    ("TreeClassifier", "brackets"): Example({**_SMALL, **_WORDS}, _TREES, ["+", "-", "+", "-", "-", "-"] * 2),
    ("TreeClassifier", "counts"): Example(
        {**_SMALL, **_WORDS, "cell": "child_sum_lstm"}, _TREES, [1, 0, 1, 0, 0, 2] * 2
    ),
    ("SequenceRegressor", "tokens"): Example(
        {**_SMALL, **_WORDS, "pooling": "last"}, _SENTENCES, [2.0, 4.0, 0.0, 3.0] * 2
    ),
    ("SequenceRegressor", "vectors"): Example(
        {**_SMALL, "cell": "jordan"}, _FRAMES, [[float(len(x)), 1.0] for x in _FRAMES]
    ),
    ("LanguageModel", "texts"): Example({**_PLAIN, "word_dim": 3, "steps": 4}, _TEXTS, [None] * len(_TEXTS)),
    ("LanguageModel", "tokens"): Example(
        {**_PLAIN, "cell": "jordan", "word_dim": None, "layers": 2}, _SENTENCES, [None] * len(_SENTENCES)
    ),
    ("SequenceGenerator", "texts"): Example({**_PLAIN, "word_dim": 3}, ["f", "m", "f"] * 4, _TEXTS),
    ("SequenceGenerator", "tokens"): Example(
        {**_PLAIN, "cell": "gru", "context_as": "state"}, np.eye(8, 3).tolist(), _SENTENCES
    ),
    ("SequenceGenerator", "frames"): Example(
        {**_PLAIN, "cell": "elman", "head_units": 3}, [3, 1, 2, 1, 3, 2], [(f > 0).astype(int) for f in _FRAMES]
    ),
    ("SequenceGenerator", "frames, each key for itself"): Example(
        {**_PLAIN, "cell": "jordan"}, [3, 1, 2, 1, 3, 2], [(f > 0).astype(int) for f in _FRAMES]
    ),
    ("Seq2Seq", "texts"): Example(
        {**_PLAIN, "word_dim": 3, "min_count": 1, "beam_width": 2},
        _TEXTS,
        ["viel Spaß.", "ein öder Film", "", "Nicht gut!", "öde, öde 👎", "Spaß"] * 2,
    ),
    ("Seq2Seq", "tokens"): Example(
        {**_PLAIN, "word_dim": 3, "cell": "gru", "attend": "additive", "beam_width": 1}, _SENTENCES, _TAGS
    ),
    ("Seq2Seq", "vectors"): Example(
        {**_PLAIN, "cell": "elman", "attend": None, "halting": "length"},
        _FRAMES,
        [f[::-1, :2] if len(f) else [[0, 1]] for f in _FRAMES],
    ),
}  # fmt: skip
CLASSES = dict(all_estimators())


def first_example(name: str) -> Example:
    """Return an example of an estimator: strings."""
    return next(example for key, example in EXAMPLES.items() if key[0] == name)


def answers(predicted: Any) -> list:
    """Return what `predict` gave as plain lists, so that answers can be compared."""
    if isinstance(predicted, np.ndarray):
        return predicted.tolist()
    return [one.tolist() if isinstance(one, np.ndarray) else one for one in predicted]


def assert_close(one: Any, other: Any, **tolerance: float) -> None:
    """Compare answers or probabilities, arrays or lists of them."""
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        if isinstance(a, np.ndarray | float | np.floating):
            np.testing.assert_allclose(a, b, **tolerance)
        else:
            assert a == b
