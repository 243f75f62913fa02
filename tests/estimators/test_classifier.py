"""SequenceClassifier and SequenceRegressor: what they learn, what they take, what they refuse."""

from __future__ import annotations

import datetime
import warnings

import numpy as np
import pytest
from sklearn.exceptions import DataConversionWarning

from seqkit import SequenceClassifier, SequenceRegressor
from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.inspection import leave_one_out

FAST = {
    "cell": "gru",
    "units": 8,
    "word_dim": 8,
    "bidirectional": False,
    "batch_size": 8,
    "epochs": 12,
    "learning_rate": 0.02,
    "validation_fraction": None,
    "average_weights": False,
    "random_state": 0,
    "verbose": 0,
}
GOOD, BAD = ["good", "funny", "moving"], ["bad", "dull", "tired"]


def make(**parameters):
    return SequenceClassifier(**{**FAST, **parameters})


@pytest.fixture(scope="module")
def reviews():
    """Tokens of short reviews; the last word but one decides."""
    rng = np.random.default_rng(0)
    X = [["the", rng.choice(["film", "story"]), "is", rng.choice((BAD, GOOD)[i % 2]), "."] for i in range(60)]
    return [list(map(str, x)) for x in X], ["bad", "good"] * 30


def signs(count, seed=0):
    """Sequences of 12 vectors of size 4, with the sign of their sum as class."""
    X = np.random.default_rng(seed).normal(size=(count, 12, 4))
    return X, np.where(X.sum((1, 2)) > 0, "up", "down")


def test_small_data_get_enough_steps_by_default():
    classifier = SequenceClassifier(random_state=0, verbose=0).fit(*signs(200))
    assert classifier.score(*signs(500, seed=1)) > 0.85


@pytest.mark.parametrize("options", [{}, {"cell": "elman", "ngrams": 0}, {"pooling": "attention", "ngrams": 0}])
def test_learns_from_tokens(reviews, options):
    X, y = reviews
    classifier = make(**options).fit(X, y)
    assert classifier.score(X, y) == 1.0
    assert classifier.predict([["a", "dull", "film"]]).tolist() == ["bad"]


def test_characters():
    X = ["abab", "baba", "cdcd", "dcdc"] * 10
    classifier = make(tokenizer="characters", ngrams=0).fit(X, [0, 0, 1, 1] * 10)
    assert classifier.predict(["ab", "cd"]).tolist() == [0, 1]


def test_several_labels(reviews):
    X, y = reviews
    sets = [{label, *x[1:2]} for x, label in zip(X, y, strict=True)]
    classifier = make(epochs=25).fit(X, sets)
    assert classifier.classes_.tolist() == ["bad", "film", "good", "story"]
    assert classifier.score(X, sets) > 0.9
    assert [set(labels) for labels in classifier.predict(X[:4])] == sets[:4]
    table = np.array([[label in row for label in classifier.classes_] for row in sets]).astype(int)
    other = make(epochs=25).fit(X, table)
    np.testing.assert_array_equal(other.predict(X), table)
    np.testing.assert_allclose(other.predict_proba(X), classifier.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([1, 0] * 3, np.array([0, 1])),
        ([True, False] * 3, np.array([False, True])),
        (np.array(["b", "a"] * 3), np.array(["a", "b"])),
        (["b", "a"] * 3, np.array(["a", "b"], object)),
        ([1, "a"] * 3, np.array([1, "a"], object)),
        (np.array([2.0, 1.0] * 3, np.float32), np.array([1, 2], np.float32)),
    ],
)
def test_classes_come_back_as_they_were(y, classes):
    classifier = make(epochs=1).fit([["a"], ["b"]] * 3, y)
    assert classifier.classes_.tolist() == classes.tolist() and classifier.classes_.dtype == classes.dtype
    assert classifier.predict([["a"]]).dtype == classes.dtype


def test_weights_of_classes_and_of_sequences(reviews):
    """A class that weighs next to nothing is not learned; so are sequences."""
    X, y = reviews
    assert (make(class_weight={"bad": 1e-3}).fit(X, y).predict(X) == "good").mean() > 0.9
    weights = np.where(np.array(y) == "bad", 1e-3, 1.0)
    assert (make().fit(X, y, sample_weight=weights).predict(X) == "good").mean() > 0.9
    balanced = make(class_weight="balanced").fit([*X[:30], X[1]], [*y[:30], y[1]])
    assert balanced.score(X, y) == 1.0
    with pytest.raises(ParameterError, match="class_weight has a weight for 'ugly'"):
        make(class_weight={"ugly": 2}).fit(X, y)


def test_balanced_weights_of_several_classes_a_sequence(monkeypatch):
    from seqkit.training import fitting

    seen = []
    monkeypatch.setattr(fitting, "fit_model", lambda estimator, data, named, *_: seen.append(named))
    X, y = [["a"], ["b"], ["a", "b"], ["c"]], [{"x"}, {"x", "y"}, {"x"}, set()]
    make(class_weight="balanced").fit(X, y)  # three x, one y
    np.testing.assert_allclose(seen[0]["class_weights"], [4 / (2 * 3), 4 / (2 * 1)])


def test_weights_count_in_the_votes_too():
    """With next to no training, the start of the votes decides."""
    X, y = [["good"], ["bad"]] * 20, ["p", "n"] * 5 + ["n", "p"] * 15
    options = dict(ngrams=1, epochs=1, learning_rate=1e-9, validation_fraction=None)
    assert make(**options).fit(X, y).predict([["good"]]) == ["n"]
    weights = [1] * 10 + [0.01] * 30
    assert make(**options).fit(X, y, sample_weight=weights).predict([["good"]]) == ["p"]


@pytest.mark.parametrize("y", [[1, "a"] * 3, [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)] * 3])
def test_score_of_any_classes(y):
    X = [["a"], ["b"]] * 3
    classifier = make(epochs=60, learning_rate=0.05).fit(X, y)
    assert classifier.score(X, y) == 1.0
    assert classifier.score(X, [*y[:5], "none of them"]) == 5 / 6


def test_a_column_of_a_table_holds_texts(reviews):
    X, y = reviews
    texts = np.array([" ".join(x) for x in X], object)
    classifier = make(epochs=1).fit(texts, y)
    column = make(epochs=1).fit(texts[:, None], y)
    np.testing.assert_array_equal(column.predict_proba(texts[:, None]), classifier.predict_proba(texts))


def test_calibration_needs_a_validation_part(reviews):
    with pytest.raises(ParameterError, match="validation_fraction"):
        make(calibrate=True, validation_fraction=None).fit(*reviews)


def test_every_class_is_trained_on():
    X, y = [["a"], ["b"], ["c"]] * 10, [0, 1, 1] * 10
    y[4] = 2  # the only one
    classifier = make(validation_fraction=0.3, epochs=1)
    for seed in range(5):
        part = classifier.set_params(random_state=seed).fit(X, y)._random_part(classifier._read(X), np.array(y))
        assert 4 in part.train_rows and len(part.rows) == 9


def test_tempered_probabilities_suit_the_validation_part(reviews):
    X, y = reviews
    noisy = [("good", "bad")[label == "good"] if i % 5 == 0 else label for i, label in enumerate(y)]
    options = dict(epochs=30, patience=None, dropout=0.0, word_dropout=0.0)
    plain, tempered = (
        make(calibrate=calibrate, **options).fit(X, y, validation_data=(X, noisy)) for calibrate in (False, True)
    )
    assert (plain.predict(X) == tempered.predict(X)).all()
    truth = np.searchsorted(plain.classes_.astype(str), noisy)

    def loss(classifier):
        return -np.log(classifier.predict_proba(X)[np.arange(len(X)), truth]).mean()

    assert loss(tempered) < loss(plain)
    assert float(tempered.model_.head.temperature.numpy()) != 1.0 == float(plain.model_.head.temperature.numpy())


def test_pretraining_lowers_perplexity_and_knows_more_words(reviews):
    X, y = reviews
    further = [["the", "plot", "is", "dull", "."], ["the", "plot", "is", "good", "."]] * 20
    classifier = make(pretrain=further, pretrain_epochs=5).fit(X, y)
    perplexity = classifier.pretraining_["perplexity"]
    assert perplexity[-1] < 0.7 * perplexity[0]
    assert "plot" in classifier.vocabulary_.words and classifier.score(X, y) == 1.0
    own = make(pretrain=True, pretrain_epochs=2).fit(X, y)
    assert len(own.pretraining_["loss"]) == 2 and "plot" not in own.vocabulary_.words
    assert not hasattr(make(epochs=1).fit(X, y), "pretraining_")
    with pytest.raises(ParameterError, match="vectors have no next word"):
        make(pretrain=True).fit(*signs(10))
    with pytest.raises(ParameterError, match="needs a recurrent layer below"):
        make(pretrain=True, cell="jordan").fit(X, y)


def test_what_is_held_out_tells_nothing_of_its_classes():
    """Every text has a word of its own: were its class known to the votes, none of those held out would be missed."""
    X = [["".join(chr(ord("a") + int(digit)) for digit in str(i))] for i in range(200)]
    y = np.random.default_rng(0).integers(0, 2, 200)
    classifier = make(epochs=1, learning_rate=1e-9, validation_fraction=0.5).fit(X, y)
    assert classifier.score(X, y) > 0.65  # the votes begin with what was to be trained on
    assert abs(classifier.history_["accuracy"][0] - 0.5) < 0.15


def test_continuing(reviews):
    X, y = reviews
    classifier = make(epochs=1).partial_fit(X[:30], y[:30], classes=["bad", "good", "ugly"])
    for _ in range(15):
        classifier.partial_fit(X, y)
    assert classifier.score(X, y) == 1.0 and classifier.predict_proba(X).shape == (60, 3)
    with pytest.raises(DataError, match=r"y\[0\] is 'new', a class that was not there"):
        classifier.partial_fit(X[:1], ["new"])
    warm = make(warm_start=True, epochs=2).fit(X, y)
    before = warm.history_["loss"]
    assert warm.fit(X, y).history_["loss"][0] < before[0]


def test_an_empty_text_has_a_defined_answer(reviews):
    X, y = reviews
    for options in ({}, {"pooling": "mean", "ngrams": 0}, {"cell": "jordan"}):
        classifier = make(epochs=2, **options).fit([*X, []], [*y, "bad"])
        proba = classifier.predict_proba([[], X[0], []])
        np.testing.assert_allclose(proba.sum(1), 1, atol=1e-6)
        np.testing.assert_array_equal(proba[0], proba[2])


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ([["a"], ["b"]], ["x"], DataError, "same number of sequences, got 2 and 1"),
        ([["a"], ["b"]], "xy", InputTypeError, "y must be a list or array"),
        ([["a"], ["b"]], [None, "x"], InputTypeError, "None"),
        ([["a"], ["b"]], np.array([0.5, 1.5]), ValueError, "Unknown label type"),
        ([["a"], ["b"]], np.array([[1, 2], [0, 1]]), DataError, "only 0 and 1"),
        ([["a"], ["b"]], [{"x"}, "y"], InputTypeError, r"y\[1\] must be a set or list"),
        ([[], []], ["x", "y"], DataError, "no tokens at all"),
        (["a", None], ["x", "y"], InputTypeError, r"X\[1\]"),
    ],
)
def test_bad_input(X, y, error, message):
    with pytest.raises(error, match=message):
        make().fit(X, y)


def test_attention_and_explanations(reviews):
    X, y = reviews
    classifier = make(pooling="attention").fit(X, y)
    weights = classifier.attention([X[0], [], X[1][:2]])
    assert [len(w) for w in weights] == [5, 0, 2]
    np.testing.assert_allclose([w.sum() for w in weights], [1, 0, 1], atol=1e-5)
    (found,) = leave_one_out(classifier, ["the film is dull ."])
    assert found["label"] == "bad" and found["tokens"][found["scores"].argmax()] == "dull"
    full = classifier.predict_proba(["the film is dull ."])[0, 0]
    without = classifier.predict_proba([["the", "film", "is", "."]])[0, 0]
    assert found["scores"][3] == pytest.approx(np.log(full / without), abs=1e-5)
    with pytest.raises(DataError, match="no attention"):
        make(epochs=1).fit(X, y).attention(X)


def test_values():
    """Of any unit, one or several; a column of values stays a column."""
    X, _ = signs(200)
    y = 1.7e9 + 10 * X[:, :, 0].sum(1)
    options = {**FAST, "units": 16, "epochs": 40, "dropout": 0.0}
    regressor = SequenceRegressor(**options).fit(X, y)
    assert regressor.score(X, y) > 0.9 and regressor.predict(X[:3]).shape == (3,)
    both = np.stack([y, -y], 1)
    regressor = SequenceRegressor(**options).fit(X, both, validation_data=(X[:50], both[:50]))
    assert regressor.score(X, both) > 0.9 and regressor.predict(X[:3]).shape == (3, 2)
    assert max(regressor.history_["r2"]) > 0.9
    with pytest.raises(DataError, match="2 values for each sequence, got 1"):
        regressor.partial_fit(X, y)
    with pytest.raises(InputTypeError, match="must hold numbers"):
        SequenceRegressor(**FAST).fit(X[:2], ["a", "b"])


def test_a_column_of_classes_is_told():
    with warnings.catch_warnings(), pytest.raises(DataConversionWarning):
        warnings.simplefilter("error")
        make(epochs=1).fit([["a"], ["b"]], np.array([[0], [1]]))
