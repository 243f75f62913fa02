"""What the tests of conversions share: fitted examples, and requests of random numbers."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
from estimator_examples import CLASSES, EXAMPLES

SIGNATURES = {
    "SequenceTagger": ["predict"],
    "SequenceClassifier": ["predict"],
    "SequenceRegressor": ["predict"],
    "LanguageModel": ["log_probability", "begin", "step"],
    "SequenceGenerator": ["begin", "step"],
    "Seq2Seq": ["encode", "step"],
}
REFUSED = [key for key in EXAMPLES if key[0] == "TreeClassifier"] + [("SequenceGenerator", "frames")]
CONVERTED = [(key, name) for key in EXAMPLES if key not in REFUSED for name in SIGNATURES[key[0]]]
_TIMED = ("words", "characters", "features", "prompt", "memory")


@functools.cache
def fitted(key: tuple[str, str]):
    """Return the estimator of an example, fitted once."""
    example = EXAMPLES[key]
    return CLASSES[key[0]](**example.parameters).fit(example.X, example.y)


@functools.cache
def crf_tagger(sharp: bool):
    """Return a tagger with all that reads tokens; a sharp one's CRF has to calculate in logarithms."""
    example = EXAMPLES["SequenceTagger", "tokens"]
    more = {"cell": "lstm", "crf": True, "char_encoder": "cnn", "char_units": 4, "shape_features": True}
    tagger = CLASSES["SequenceTagger"](**{**example.parameters, **more}).fit(example.X, example.y)
    if sharp:
        tagger.model_.head.dense.kernel.assign(3000.0 * tagger.model_.head.dense.kernel)
    return tagger


def described(path: Path) -> dict:
    """Return what the JSON file beside a model says."""
    return json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))


def random_request(description: dict, lengths: list[int], seed: int = 0) -> dict[str, np.ndarray]:
    """Return a request of ids and numbers, none of them 0 in the padding, for rows of some lengths."""
    rng, sizes = np.random.default_rng(seed), {"rows": len(lengths), "time": max(lengths), "longest_token": 3}
    request = {}
    for name, given in description["inputs"].items():
        pairs = zip(given["axes"], given["shape"], strict=True)
        shape = [sizes[axis] if axis else size for axis, size in pairs]
        if name.endswith("lengths"):
            request[name] = np.array(lengths, np.int32)
        elif given["dtype"] == "int32":
            request[name] = rng.integers(1, 3, shape, np.int32)
        else:
            request[name] = rng.normal(size=shape).astype(np.float32)
    return request


def alone(request: dict[str, np.ndarray], row: int, length: int) -> dict[str, np.ndarray]:
    """Return one row of a request without its padding."""
    length = max(1, length)
    return {
        name: values[row : row + 1, :length] if name in _TIMED and values.ndim > 1 else values[row : row + 1]
        for name, values in request.items()
    }


def assert_part(one: dict, many: dict, row: int, length: int, **tolerance: float) -> None:
    """Compare the answer to a row alone with its part of the answer to a batch, as far as it means something."""
    for name, values in one.items():
        steps = slice(0, length) if name in ("tags", "scores", "memory") or many[name].ndim == 3 else slice(None)
        if name == "token_log_probabilities":
            steps = slice(0, length + 1)
        np.testing.assert_allclose(values[0, steps] if values.ndim > 1 else values[0],
                                   many[name][row, steps] if values.ndim > 1 else many[name][row],
                                   err_msg=name, **tolerance)  # fmt: skip


def assert_answers(answer: dict, estimator, X: list) -> None:
    """Compare what a runtime says to X with what the estimator says, alone and padded alike."""
    if hasattr(estimator, "tag"):
        for i, (path, rows) in enumerate(zip(estimator.predict(X), estimator.predict_proba(X), strict=True)):
            assert estimator.classes_[answer["tags"][i, : len(path)]].tolist() == path
            assert not answer["tags"][i, len(path) :].any() and not answer["scores"][i, len(path) :].any()
            np.testing.assert_allclose(answer["probabilities"][i, : len(path)], rows, atol=1e-5)
    elif hasattr(estimator, "log_probability"):
        np.testing.assert_allclose(answer["log_probability"][: len(X)], estimator.log_probability(X), rtol=1e-5)
    elif hasattr(estimator, "classes_"):
        np.testing.assert_allclose(answer["probabilities"][: len(X)], estimator.predict_proba(X), atol=1e-5)
    else:
        expected = np.reshape(estimator.predict(X), (len(X), -1))
        np.testing.assert_allclose(answer["value"][: len(X)], expected, atol=1e-5)
