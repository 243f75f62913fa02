"""scikit-learn takes the estimators for its own: its checks on numbers, and its tools on sequences of strings."""

from __future__ import annotations

import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas
import pytest
import sklearn
from estimator_examples import CLASSES, answers, assert_close, first_example
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from seqkit import SequenceClassifier

#: Full passes of one batch, nothing dropped: what is checked is the contract, on a dozen to three hundred rows.
_NUMERIC = {
    "cell": "elman",
    "units": 8,
    "bidirectional": False,
    "dropout": 0.0,
    "learning_rate": 0.015,
    "batch_size": 32,
    "epochs": 15,
    "average_weights": False,
    "patience": None,
    "validation_fraction": None,
    "random_state": 0,
    "verbose": 0,
}
#: Estimator -> why the checks' tables of numbers are no input of it.
_NOT_OF_NUMBERS = {
    "SequenceTagger": "Its y holds a tag for every step of a sequence, where the checks give one for each row.",
    "TreeClassifier": "Its X holds parse trees.",
    "LanguageModel": "Its X holds texts.",
    "SequenceGenerator": "Its y holds a sequence for each row.",
    "Seq2Seq": "Its y holds a sequence for each row.",
}
#: Check -> why it cannot hold.
_EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "Rows are trained in batches in random order: a row given twice makes other batches than one of weight two."
    ),
}


@parametrize_with_checks(
    [cls(**_NUMERIC) for name, cls in CLASSES.items() if name not in _NOT_OF_NUMBERS],
    expected_failed_checks=lambda estimator: _EXPECTED_FAILURES,
)
def test_scikit_learns_checks(estimator, check, record_property):
    record_property("scikit_learn_check", type(estimator).__name__)
    check(estimator)


# The same tools on strings, for every estimator there is.


def identity(X):
    return X


def upper(X):
    """Clean texts, or lists of tokens."""
    return [x.upper() if isinstance(x, str) else [t.upper() for t in x] for x in X]


@pytest.fixture(scope="module", params=CLASSES)
def strings(request):
    """An unfitted estimator and its example of strings."""
    parameters, X, y = first_example(request.param)
    return CLASSES[request.param](**parameters), X, y


@pytest.fixture(scope="module")
def fitted(strings):
    estimator, X, y = strings
    return clone(estimator).fit(X, y), X, y


def test_what_it_is_to_scikit_learn(strings):
    estimator = strings[0]
    assert is_classifier(estimator) == type(estimator).__name__.endswith("Classifier")
    assert is_regressor(estimator) == type(estimator).__name__.endswith("Regressor")


def test_a_clone_of_a_fitted_one_is_unfitted(fitted):
    estimator = fitted[0]
    other = clone(estimator)
    assert other.get_params() == estimator.get_params()
    assert not [name for name in vars(other) if name.endswith("_") or name.startswith("_")]


def test_searches_in_two_processes(strings):
    estimator, X, y = strings
    grid = GridSearchCV(estimator, {"units": [2, 3]}, cv=2, n_jobs=2, refit=False, error_score="raise").fit(X, y)
    assert grid.best_params_["units"] in (2, 3) and np.isfinite(grid.cv_results_["mean_test_score"]).all()


def test_other_searches():
    """At random; and one that fits again with what it found."""
    parameters, X, y = first_example("SequenceClassifier")
    options = dict(n_iter=1, cv=2, refit=False, random_state=0, error_score="raise")
    estimator = SequenceClassifier(**parameters)
    search = RandomizedSearchCV(estimator, {"learning_rate": [0.1, 0.01]}, **options).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    grid = GridSearchCV(estimator, {"units": [3]}, cv=2, error_score="raise").fit(X, y)
    assert len(grid.predict(X)) == len(X)


def test_pipeline_that_cleans_its_text(fitted):
    estimator, X, y = fitted
    pipeline = Pipeline([("clean", FunctionTransformer(upper)), ("model", clone(estimator))]).fit(X, y)
    assert_close(answers(pipeline.predict(X)), answers(pipeline["model"].predict(upper(X))), atol=1e-6)
    assert np.isfinite(pipeline.score(X, y))


def test_cross_validation(strings):
    estimator, X, y = strings
    scores = cross_val_score(estimator, X, y, cv=2, params={"sample_weight": np.ones(len(X))}, error_score="raise")
    assert scores.shape == (2,) and np.isfinite(scores).all()


def test_metadata_routing(strings):
    """A sample weight reaches fit through a pipeline that was asked for it; it changes the fit."""
    estimator, X, y = strings
    weights = np.linspace(0.1, 3, len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        routed = Pipeline([("same", FunctionTransformer(identity)), ("model", clone(estimator))])
        routed["model"].set_fit_request(sample_weight=True)
        routed.fit(X, y, sample_weight=weights)
    direct, plain = clone(estimator).fit(X, y, sample_weight=weights), clone(estimator).fit(X, y)
    weighted = direct.model_.get_weights()
    assert all(np.array_equal(v, w) for v, w in zip(routed["model"].model_.get_weights(), weighted, strict=True))
    assert not all(np.array_equal(v, w) for v, w in zip(plain.model_.get_weights(), weighted, strict=True))


def test_containers(fitted):
    """A list, a NumPy array of objects, a pandas Series with an index of its own, and a generator are the same."""
    estimator, X, y = fitted
    array = np.empty(len(X), object)
    array[:] = X
    targets = np.empty(len(y), object)
    targets[:] = y
    expected = answers(estimator.predict(X))
    for other in (array, pandas.Series(list(X), index=[7] * len(X)), (x for x in X), tuple(X)):
        assert answers(estimator.predict(other)) == expected
    assert estimator.score(array, targets) == estimator.score(X, y)
    series = pandas.Series(list(X)), pandas.Series(list(y))
    for other, labels in ((array, targets), series, ((x for x in X), (label for label in y))):
        again = clone(estimator).fit(other, labels).model_.get_weights()
        assert all(np.array_equal(v, w) for v, w in zip(again, estimator.model_.get_weights(), strict=True))


def test_another_process_reads_the_dump(fitted, tmp_path):
    estimator, X, _ = fitted
    joblib.dump(estimator, tmp_path / "model.joblib")
    joblib.dump((X, answers(estimator.predict(X))), tmp_path / "answers.joblib")
    script = (
        "import joblib, numpy as np\n"
        "model = joblib.load('model.joblib'); X, expected = joblib.load('answers.joblib')\n"
        "found = model.predict(X)\n"
        "found = found.tolist() if isinstance(found, np.ndarray) else found\n"
        "assert found == expected or np.allclose(found, expected), (found, expected)\n"
    )
    paths = [path for path in sys.path if path]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{script}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


# Tools that only some can use.


@pytest.mark.parametrize("ensemble", [False, True])
def test_calibration_by_cross_validation(ensemble):
    parameters, X, y = first_example("SequenceClassifier")
    X, y = ["good fun", "dull"] * 6, ["+", "-"] * 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        calibrated = CalibratedClassifierCV(SequenceClassifier(**parameters), cv=2, ensemble=ensemble).fit(X, y)
    probabilities = calibrated.predict_proba(X)
    assert probabilities.shape == (12, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)


def test_permutation_importance_finds_the_step_that_counts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    y = (X[:, 2] > 0).astype(int)
    classifier = SequenceClassifier(**{**_NUMERIC, "cell": "gru", "epochs": 30}).fit(X, y)
    found = permutation_importance(classifier, X, y, n_repeats=3, random_state=0)
    assert found.importances_mean.argmax() == 2 and found.importances_mean[2] > 0.2
