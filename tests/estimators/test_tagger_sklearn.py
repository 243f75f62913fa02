"""SequenceTagger among scikit-learn's tools: cloning, searching, pipelines, pickling."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer


def same(a, b) -> bool:
    return all(np.array_equal(v, w) for v, w in zip(a, b, strict=True))


def lowered(X):
    return [[token.lower() for token in tokens] for tokens in X]


def test_clone_has_parameters_and_no_state(full):
    other = clone(full)
    assert other.get_params() == full.get_params() and other is not full
    assert not [name for name in vars(other) if name.endswith("_") or name.startswith("_")]


def test_parameters(make):
    tagger = make()
    assert tagger.set_params(units=7, cell="gru") is tagger
    assert (tagger.units, tagger.get_params()["cell"]) == (7, "gru")
    with pytest.raises(ValueError, match="Invalid parameter 'unit'"):
        tagger.set_params(unit=3)
    assert "units=7" in repr(tagger)


def test_not_fitted(make, tmp_path):
    tagger = make()
    for call in (
        lambda: tagger.predict([["a"]]),
        lambda: tagger.predict_proba([["a"]]),
        lambda: list(tagger.predict_iter([["a"]])),
        lambda: tagger.score([["a"]], [["O"]]),
        lambda: tagger.tag(["a"]),
        lambda: tagger.save(tmp_path / "tagger"),
        lambda: tagger.export(tmp_path / "export"),
    ):
        with pytest.raises(NotFittedError):
            call()
    assert not list(tmp_path.iterdir())


def test_grid_search(make, tiny_corpus):
    """The better parameter wins; what is refitted predicts."""
    X, y = tiny_corpus.X[:16], tiny_corpus.y[:16]
    search = GridSearchCV(make(epochs=20), {"learning_rate": [1e-9, 0.1]}, cv=2)
    search.fit(X, y)
    assert search.best_params_ == {"learning_rate": 0.1}
    assert search.best_score_ > 0.5
    assert [len(tags) for tags in search.predict(X)] == [len(x) for x in X]
    assert search.score(X, y) == search.best_estimator_.score(X, y)


def test_cross_val_score_with_weights(make, tiny_corpus):
    X, y = tiny_corpus.X[:12], tiny_corpus.y[:12]
    scores = cross_val_score(make(), X, y, cv=2, params={"sample_weight": np.ones(12)})
    assert scores.shape == (2,) and (scores >= 0).all()


def test_it_is_no_classifier_to_scikit_learn(make):
    assert not is_classifier(make())


def test_pipeline(fast, tiny_corpus):
    X = tiny_corpus.X[:4]
    pipeline = Pipeline([("lower", FunctionTransformer(lowered)), ("tag", clone(fast))])
    pipeline.set_params(tag__epochs=1).fit(X, tiny_corpus.y[:4])
    assert pipeline.predict(X) == pipeline["tag"].predict(lowered(X))
    assert 0 <= pipeline.score(X, tiny_corpus.y[:4]) <= 1


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e)), through_joblib],
    ids=["copy", "deepcopy", "pickle", "joblib"],
)  # fmt: skip
def test_copies(make, full, vectors, frames, tiny_corpus, copied):
    unfitted = copied(make(units=3))
    assert unfitted.get_params() == make(units=3).get_params()
    for tagger in (full, vectors):
        other = copied(tagger)
        assert same(other.model_.get_weights(), tagger.model_.get_weights())
        assert other.history_ == tagger.history_
        assert other.classes_.tolist() == tagger.classes_.tolist()
    assert copied(vectors).predict(frames[0][:2]) == vectors.predict(frames[0][:2])


def test_a_copy_is_apart(make, tiny_corpus):
    tagger = make().fit(tiny_corpus.X[:8], tiny_corpus.y[:8])
    other, before = copy.deepcopy(tagger), tagger.model_.get_weights()
    other.partial_fit(tiny_corpus.X[:8], tiny_corpus.y[:8])
    assert same(tagger.model_.get_weights(), before)
    assert not same(other.model_.get_weights(), before)


def test_pickle_and_save_in_a_fresh_process(full, tiny_corpus, tmp_path):
    """Neither needs anything but seqkit to be read again, and both answer the same there."""
    (tmp_path / "tagger.pickle").write_bytes(pickle.dumps(full))
    full.save(tmp_path / "tagger")
    X = [*tiny_corpus.X_dev[:5], ["Unseen", "👍🏽"], []]
    (tmp_path / "X.pickle").write_bytes(pickle.dumps(X))
    script = """if True:
        import pickle, sys
        X = pickle.load(open("X.pickle", "rb"))
        taggers = [pickle.load(open("tagger.pickle", "rb"))]
        import seqkit
        taggers += [seqkit.load("tagger"), seqkit.SequenceTagger.load("tagger")]
        pickle.dump([(t.predict(X), t.predict_proba(X)) for t in taggers], open("answers.pickle", "wb"))
    """
    paths = [path for path in sys.path if path]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{script}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = pickle.loads((tmp_path / "answers.pickle").read_bytes())
    assert len(answers) == 3
    for tags, probabilities in answers:
        assert tags == full.predict(X)
        for p, q in zip(probabilities, full.predict_proba(X), strict=True):
            np.testing.assert_allclose(p, q, atol=1e-6)
