"""What every estimator of the toolkit has in common; the checks of scikit-learn that need no numeric data are its own.

A new estimator needs an entry in `estimator_examples.EXAMPLES`.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
from estimator_examples import CLASSES, EXAMPLES, Example, answers, assert_close, first_example
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

import seqkit
from seqkit.batch.answers import answers_of
from seqkit.batch.served import ServedAnswers
from seqkit.errors import InputTypeError, ParameterError, SeqkitError, TrainingError
from seqkit.export.runtime import Runtime
from seqkit.export.warmup import read_warmup
from seqkit.serving import Client, Server
from seqkit.training.loop import TrainingLoop


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
    _, X, y = first_example(name)
    for parameter in CLASSES[name]().get_params():
        estimator = CLASSES[name](**{parameter: object()})
        with pytest.raises(ParameterError, match=f"'{parameter}' parameter.*must be.*Got <object") as error:
            estimator.fit(X, y)
        assert isinstance(error.value, ValueError | TypeError)


@pytest.mark.parametrize("name", CLASSES)
def test_not_fitted(name, tmp_path):
    estimator = CLASSES[name]()
    for method in ("predict", "predict_proba", "attention", "export", "save"):
        if hasattr(estimator, method):
            with pytest.raises(NotFittedError):
                getattr(estimator, method)(tmp_path / "x" if method in ("export", "save") else [])


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


def probabilities(estimator, X):
    """Return the finest answer there is."""
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


def test_fitted_attributes_end_in_an_underscore(fitted):
    parameters = set(fitted.estimator.get_params())
    public = {name for name in vars(fitted.estimator) if not name.startswith("_")} - parameters
    assert {"model_", "history_"} <= public
    assert ("classes_" in public) == hasattr(fitted.estimator, "predict_proba")
    assert all(name.endswith("_") for name in public)
    assert ("vocabulary_" in public) != bool(public & {"n_features_in_", "keys_"})
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
    estimator.predict(X), probabilities(estimator, X), estimator.score(X, y)
    after = state_of(estimator)
    assert before.keys() == after.keys() and all(before[name] is after[name] for name in before)
    for v, w in zip(weights, weights_of(estimator), strict=True):
        np.testing.assert_array_equal(v, w)


def test_any_part_of_the_data_has_the_same_answer(fitted):
    """One by one, in reverse, doubled: order is kept, and no sequence sees its neighbors."""
    estimator, (_, X, _) = fitted
    whole, proba = answers(estimator.predict(X)), probabilities(estimator, X)
    assert_close([answers(estimator.predict([x]))[0] for x in X], whole, atol=1e-5)
    assert_close(answers(estimator.predict(X[::-1])), whole[::-1], atol=1e-5)
    assert_close(answers(estimator.predict([*X, *X])), whole + whole, atol=1e-5)
    assert_close(list(estimator.predict_iter(iter(X), chunk_size=3)), whole, atol=1e-5)
    assert_close([probabilities(estimator, [x])[0] for x in X], list(proba), atol=1e-5)
    assert_close(list(probabilities(estimator, X[::-1])[::-1]), list(proba), atol=1e-5)


def test_copies_answer_the_same(fitted, tmp_path):
    estimator, (_, X, _) = fitted
    others = [pickle.loads(pickle.dumps(estimator)), seqkit.load(estimator.save(tmp_path / "saved"))]
    for other in others:
        assert type(other) is type(estimator) and other.get_params() == estimator.get_params()
        assert answers(other.predict(X)) == answers(estimator.predict(X))
        for p, q in zip(probabilities(estimator, X), probabilities(other, X), strict=True):
            np.testing.assert_array_equal(p, q)
        assert state_of(other).keys() == state_of(estimator).keys()
        if hasattr(estimator, "classes_"):
            assert other.classes_.dtype == estimator.classes_.dtype


# Exported


@pytest.fixture(scope="module")
def exported(fitted, tmp_path_factory):
    """Return a version folder. The export checks itself against `predict`; a difference would raise."""
    root = tmp_path_factory.mktemp("served") / "model"
    assert fitted.estimator.export(root) == root / "1"
    return root / "1"


def alone(inputs: dict, i: int) -> dict:
    """Return row i of a request as its own, without the padding that the others made necessary."""
    row = {name: array[i : i + 1] for name, array in inputs.items()}
    for name, array in row.items():
        if name in ("tokens", "prompt") and array.dtype == object and array.ndim == 2:
            row[name] = array[:, : sum(token != b"" for token in array[0])]
        for lengths in ("lengths", "prompt_lengths"):
            if array.ndim == 3 and lengths in row and name in ("features", "prompt"):
                row[name] = array[:, : row[lengths][0]]
    return row


def assert_same_row(whole: np.ndarray, row: np.ndarray, filled: bool) -> None:
    """That one row of an answer is that of its own, but for what is behind its end."""
    within = whole[tuple(map(slice, row.shape))]
    if row.dtype == object:
        assert within.tolist() == row.tolist()
    else:
        np.testing.assert_allclose(within, row, rtol=1e-4, atol=1e-5)
    behind = whole.copy()
    behind[tuple(map(slice, row.shape))] = b"" if row.dtype == object else 0
    assert not filled or not behind.astype(bool).any()


def test_a_served_request_of_n_is_n_of_one(exported):
    """In every signature; a server batches requests by their first dimension."""
    with Runtime(exported) as model:
        requests = read_warmup(exported)
        assert set(requests) == set(model.signatures)
        for signature, (inputs, *_) in requests.items():
            whole, count = model.run(signature, inputs), len(next(iter(inputs.values())))
            assert count > 1 and all(len(array) == count for array in (*inputs.values(), *whole.values()))
            for i in range(count):
                for name, row in model.run(signature, alone(inputs, i)).items():
                    assert_same_row(whole[name][i : i + 1], row, signature not in ("encode", "begin"))


def test_a_batch_of_an_export_is_that_of_the_estimator(fitted, exported):
    X = [x for x in fitted.example.X if np.size(x)] if fitted.example.X is not None else [0, 0]
    X = [list(x) if isinstance(x, np.ndarray) else x for x in X]
    if isinstance(fitted.estimator, seqkit.LanguageModel):  # its export reads texts alone
        X = [x if isinstance(x, str) else " ".join(x) for x in X]
    served, own = ServedAnswers(exported), answers_of(fitted.estimator)
    found, expected = served(X), own(X)
    assert set(served.default) <= set(found) <= set(own.types) and served.types.keys() == found.keys()
    for name, column in found.items():
        if name == "probabilities":
            shares = np.array([list(row.values()) for row in column])
            np.testing.assert_allclose(shares, np.stack(list(expected[name].values()), 1), atol=1e-4)
        elif name in ("label", "labels", "tags"):
            assert [as_text(row) for row in column] == [as_text(row) for row in expected[name]]
        elif name == "entities":
            places = [[(e["start"], e["end"], e["text"], e["label"]) for e in row] for row in expected[name]]
            assert [[(e["start"], e["end"], e["text"], e["label"]) for e in row] for row in column] == places
        elif name in ("text", "tokens"):
            assert column == [row if row is None or isinstance(row, str) else list(row) for row in expected[name]]
        else:
            assert_close(
                [np.asarray(row, float) for row in column],
                [np.asarray(row, float) for row in expected[name]],
                atol=1e-3,
            )


def as_text(value):
    """Return labels as an export has them."""
    return [str(one) for one in value] if isinstance(value, list | np.ndarray) else str(value)


def test_served_by_many_at_once(exported):
    """Over REST and gRPC: what the runtime answers, whoever else asks at the same time."""
    requests = read_warmup(exported)
    with Server(exported.parent, rest_port=0, grpc_port=0) as server, ThreadPoolExecutor(4) as pool:
        with server.store.using(exported.parent.name) as model:
            expected = {name: model.runtime.run(name, inputs) for name, (inputs, *_) in requests.items()}
        clients = [Client(f"{url}/{exported.parent.name}") for url in (server.rest_url, server.grpc_url)]
        asked = [(client, signature) for client in clients for signature in requests] * 2
        found = list(pool.map(lambda one: one[0].run(one[1], requests[one[1]][0]), asked))
        for (client, signature), answer in zip(asked, found, strict=True):
            assert client.signatures.keys() == requests.keys() and answer.keys() == expected[signature].keys()
            for name, array in answer.items():
                if array.dtype == object:
                    assert array.tolist() == expected[signature][name].tolist()
                else:
                    np.testing.assert_array_equal(array, expected[signature][name])
        for client in clients:
            client.close()


def test_nothing_and_no_data(fitted):
    estimator = fitted.estimator
    assert answers(estimator.predict([])) == [] and len(probabilities(estimator, [])) == 0
    for bad in ("Ada", None, [None], 3):
        with pytest.raises(InputTypeError):
            estimator.predict(bad)


def raising(error):
    """Return a function that raises."""

    def fail(*_):
        raise error

    return fail


def test_a_failed_fit_changes_nothing(fitted, monkeypatch):
    """Neither one refused for its data nor one refused when training was to begin."""
    estimator, (parameters, X, y) = copy.deepcopy(fitted.estimator), fitted.example
    before, answer = state_of(estimator).keys(), answers(estimator.predict(X))
    estimator.optimizer = "none such"
    for arguments in ({"y": y}, {"y": y[:-1]}, {"y": y, "validation_data": 3}):
        with pytest.raises(SeqkitError):
            estimator.fit(X, **arguments)
        assert state_of(estimator).keys() == before and answers(estimator.predict(X)) == answer
    # Nor one that fails when a pass has changed the weights.
    before = probabilities(estimator, X)
    monkeypatch.setattr(TrainingLoop, "_score", raising(TrainingError("no more")))
    with pytest.raises(TrainingError, match="no more"):
        estimator.set_params(warm_start=True, optimizer="adam").fit(X, y)
    for p, q in zip(before, probabilities(estimator, X), strict=True):
        np.testing.assert_array_equal(p, q)
    fresh = type(estimator)(**{**parameters, "optimizer": "none such"})
    with pytest.raises(ParameterError, match="none such"):
        fresh.fit(X, y)
    assert not hasattr(fresh, "model_")


def test_nothing_is_learned_from_what_weighs_nothing(fitted):
    estimator, (_, X, y) = fitted
    other = clone(estimator).fit(X[::-1] + X, y[::-1] + y, sample_weight=[0] * len(X) + [1] * len(X))
    for p, q in zip(probabilities(estimator, X), probabilities(other, X), strict=True):
        np.testing.assert_array_equal(p, q)


def test_bad_lengths_name_the_place(fitted):
    _, (parameters, X, y) = fitted
    estimator = type(fitted.estimator)(**parameters)
    with pytest.raises(SeqkitError, match=f"{len(X)} and {len(X) - 1}"):
        estimator.fit(X, y[:-1])
    with pytest.raises(SeqkitError, match="sample_weight"):
        estimator.fit(X, y, sample_weight=np.ones(len(X) + 1))
    with pytest.raises(SeqkitError, match=r"[Xy]\[\d\] has length \d+, more than max_length=3"):
        estimator.set_params(max_length=3).fit(X, y)
