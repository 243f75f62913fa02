"""What every estimator of the toolkit has in common; the checks of scikit-learn that need no numeric data are its own.

A new estimator needs an entry in `EXAMPLES`.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

import seqkit
from seqkit.errors import InputTypeError, ParameterError, SeqkitError
from seqkit.estimators import all_estimators


class Example(NamedTuple):
    """Parameters that make a small model in a second, and data of one kind."""

    parameters: dict
    X: list
    y: list


_SMALL = {"units": 4, "epochs": 1, "batch_size": 4, "validation_fraction": None, "random_state": 0, "verbose": 0}
_WORDS = {"word_dim": 4, "char_encoder": None, "shape_features": False}
_SENTENCES = [["Ada", "sang"], ["in", "New", "Delhi", "."], [], ["it", "rained", "👍🏽"]] * 2
_TAGS = [["B-PER", "O"], ["O", "B-LOC", "I-LOC", "O"], [], ["O", "O", "O"]] * 2
_FRAMES = [np.random.default_rng(n).normal(size=(n, 3)) for n in (2, 4, 0, 3, 1, 2)]

EXAMPLES = {
    ("SequenceTagger", "tokens"): Example({**_SMALL, **_WORDS, "cell": "jordan"}, _SENTENCES, _TAGS),
    ("SequenceTagger", "vectors"): Example(
        {**_SMALL, "cell": "elman", "crf": False}, _FRAMES, [[int(v[0] > 0) for v in frames] for frames in _FRAMES]
    ),
}
CLASSES = dict(all_estimators())


def test_every_estimator_has_an_example():
    assert {name for name, _ in EXAMPLES} == set(CLASSES)
    for name, cls in CLASSES.items():
        assert getattr(seqkit, name) is cls


# Without data


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    "check",
    [
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_get_params_invariance",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
    ],
)
def test_scikit_learns_own_checks(name, check):
    getattr(estimator_checks, check)(name, CLASSES[name]())


@pytest.mark.parametrize("name", CLASSES)
def test_parameters_are_declared_and_documented(name):
    cls = CLASSES[name]
    parameters = set(cls().get_params())
    assert set(cls._parameter_constraints) == parameters
    cls()._check_parameters()  # the defaults are valid
    text = inspect.getdoc(cls)
    section = text[text.index("Parameters\n---") : text.index("Attributes\n---")]
    documented = {line.split(" : ")[0] for line in section.splitlines() if " : " in line and line[0] != " "}
    assert documented == parameters
    for parameter in inspect.signature(cls).parameters.values():
        assert f"{parameter.name} : " in section
        line = next(line for line in section.splitlines() if line.startswith(f"{parameter.name} : "))
        assert line.endswith(f"default={parameter.default!r}".replace("'", '"')), line


@pytest.mark.parametrize("name", CLASSES)
def test_bad_parameters_name_themselves(name):
    """At fit; every parameter that has constraints refuses an object of no known type."""
    X, y = EXAMPLES[min(key for key in EXAMPLES if key[0] == name)][1:]
    for parameter in CLASSES[name]().get_params():
        estimator = CLASSES[name](**{parameter: object()})
        with pytest.raises(ParameterError, match=f"'{parameter}' parameter.*must be.*Got <object") as error:
            estimator.fit(X, y)
        assert isinstance(error.value, ValueError | TypeError)


@pytest.mark.parametrize("name", CLASSES)
def test_not_fitted(name, tmp_path):
    estimator = CLASSES[name]()
    for call in (estimator.predict, estimator.predict_proba, estimator.export, estimator.save):
        with pytest.raises(NotFittedError):
            call(tmp_path / "x" if call in (estimator.export, estimator.save) else [])


# With data; fitted once


class Fitted(NamedTuple):
    estimator: object
    example: Example


@pytest.fixture(scope="module", params=EXAMPLES, ids="-".join)
def fitted(request):
    example = EXAMPLES[request.param]
    estimator = CLASSES[request.param[0]](**example.parameters)
    before = copy.deepcopy((estimator.get_params(), example.X, example.y))
    assert estimator.fit(example.X, example.y) is estimator
    after = (estimator.get_params(), example.X, example.y)
    assert before[0] == after[0]
    for given, now in zip(before[1:], after[1:], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(given, now, strict=True))
    return Fitted(estimator, example)


def weights_of(estimator):
    return estimator.model_.get_weights()


def assert_equal_weights(a, b):
    for v, w in zip(weights_of(a), weights_of(b), strict=True):
        np.testing.assert_array_equal(v, w)


def state_of(estimator) -> dict:
    return {name: value for name, value in vars(estimator).items() if name != "_live"}


def test_fitted_attributes_end_in_an_underscore(fitted):
    parameters = set(fitted.estimator.get_params())
    public = {name for name in vars(fitted.estimator) if not name.startswith("_")} - parameters
    assert {"model_", "classes_", "history_"} <= public
    assert all(name.endswith("_") for name in public)
    assert ("vocabulary_" in public) != ("n_features_in_" in public)
    for name in public - {"n_features_in_"}:
        assert name in inspect.getdoc(type(fitted.estimator)) or name in ("input_kind_", "data_fingerprint_")


def test_fit_again_is_the_same_fit(fitted):
    """With the same random_state, and with weights of one."""
    X, y = fitted.example.X, fitted.example.y
    again = clone(fitted.estimator).fit(X, y, sample_weight=np.ones(len(X)))
    assert_equal_weights(again, fitted.estimator)
    assert_equal_weights(again.fit(X, y), fitted.estimator)


def test_predicting_changes_nothing(fitted):
    estimator, (_, X, y) = fitted
    before, weights = dict(state_of(estimator)), weights_of(estimator)
    estimator.predict(X), estimator.predict_proba(X), estimator.score(X, y)
    after = state_of(estimator)
    assert before.keys() == after.keys() and all(before[name] is after[name] for name in before)
    for v, w in zip(weights, weights_of(estimator), strict=True):
        np.testing.assert_array_equal(v, w)


def test_any_part_of_the_data_has_the_same_answer(fitted):
    """One by one, in reverse, doubled: order is kept, and no sequence sees its neighbors."""
    estimator, (_, X, _) = fitted
    tags, proba = estimator.predict(X), estimator.predict_proba(X)
    assert [estimator.predict([x])[0] for x in X] == tags
    assert estimator.predict(X[::-1]) == tags[::-1]
    assert estimator.predict([*X, *X]) == tags + tags
    for p, x in zip(proba, X, strict=True):
        np.testing.assert_allclose(estimator.predict_proba([x])[0], p, atol=1e-5)
    for p, q in zip(proba, estimator.predict_proba(X[::-1])[::-1], strict=True):
        np.testing.assert_allclose(p, q, atol=1e-5)
    assert list(estimator.predict_iter(iter(X), chunk_size=3)) == tags


def test_copies_answer_the_same(fitted, tmp_path):
    estimator, (_, X, _) = fitted
    proba = estimator.predict_proba(X)
    others = [pickle.loads(pickle.dumps(estimator)), seqkit.load(estimator.save(tmp_path / "saved"))]
    for other in others:
        assert type(other) is type(estimator) and other.get_params() == estimator.get_params()
        assert other.predict(X) == estimator.predict(X)
        for p, q in zip(proba, other.predict_proba(X), strict=True):
            np.testing.assert_array_equal(p, q)
        assert state_of(other).keys() == state_of(estimator).keys()


def test_nothing_and_no_data(fitted):
    estimator = fitted.estimator
    assert estimator.predict([]) == [] and estimator.predict_proba([]) == []
    for bad in ("Ada", None, [None], 3):
        with pytest.raises(InputTypeError):
            estimator.predict(bad)


def test_bad_lengths_name_the_place(fitted):
    _, (parameters, X, y) = fitted
    estimator = type(fitted.estimator)(**parameters)
    with pytest.raises(SeqkitError, match=f"{len(X)} and {len(X) - 1}"):
        estimator.fit(X, y[:-1])
    with pytest.raises(SeqkitError, match="sample_weight"):
        estimator.fit(X, y, sample_weight=np.ones(len(X) + 1))
    with pytest.raises(SeqkitError, match=r"X\[1\]"):
        estimator.set_params(max_length=3).fit(X, y)
