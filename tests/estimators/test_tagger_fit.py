"""SequenceTagger: what `fit`, `partial_fit` and `score` promise."""

from __future__ import annotations

import random

import numpy as np
import pytest

from seqkit.errors import DataError, InputTypeError, ParameterError


def weights_of(tagger):
    return [np.asarray(w) for w in tagger.model_.get_weights()]


def same_weights(a, b):
    return all(np.array_equal(v, w) for v, w in zip(weights_of(a), weights_of(b), strict=True))


# What is learned


def test_learns_names(full, tiny_corpus):
    assert full.score(tiny_corpus.X_dev, tiny_corpus.y_dev) > 0.9
    assert full.scheme_ == "iob2"
    assert full.classes_.tolist() == ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]


def test_history_and_best_weights(full, tiny_corpus):
    history = full.history_
    assert {len(values) for values in history.values()} == {4}
    assert {"loss", "f1", "seconds", "tokens_per_second", "elapsed"} <= set(history)
    assert all(np.diff(history["elapsed"]) > 0)
    assert full.score(tiny_corpus.X_dev, tiny_corpus.y_dev) == max(history["f1"])


def test_attributes(full, fast, vectors):
    assert full.vocabulary_.words and not hasattr(full, "n_features_in_")
    assert "f1" not in fast.history_  # nothing to validate on
    assert vectors.n_features_in_ == 2 and not hasattr(vectors, "vocabulary_")


def test_early_stopping_keeps_the_best_weights(make, tiny_corpus):
    """Validation tags that cannot be hit: no pass is better than the first."""
    X, y = tiny_corpus.X[:16], tiny_corpus.y[:16]
    dev = (["Ada sang"], [["B-SONG", "O"]])
    stopped = make(epochs=9, patience=2).fit(X, y, validation_data=dev)
    assert stopped.history_["f1"] == [0.0, 0.0, 0.0]
    assert same_weights(stopped, make(epochs=1).fit(X, y))


def test_validation_fraction(make, monkeypatch):
    """A share of the sentences is not trained on; here each has a number of tokens of its own."""
    from seqkit.training import fitting

    loops = []

    class Loop(fitting.TrainingLoop):
        def run(self):
            loops.append(self)
            return super().run()

    monkeypatch.setattr(fitting, "TrainingLoop", Loop)
    X = [["a"] * 2**i for i in range(8)]
    tagger = make(validation_fraction=0.25).fit(X, [["O"] * len(x) for x in X])
    assert len(tagger.history_["f1"]) == 1
    rows = np.concatenate(loops[0].batches(np.random.default_rng(0)))
    assert len(rows) == len(set(rows.tolist())) == 6
    assert loops[0].tokens == sum(2**i for i in rows.tolist())


# The same fit, twice


def test_random_state_decides_all(make, tiny_corpus):
    import tensorflow as tf

    X, y = tiny_corpus.X[:16], tiny_corpus.y[:16]
    parameters = {"validation_fraction": 0.2, "average_weights": True, "epochs": 2}
    parameters |= {"cell": "elman", "dropout": 0.5, "recurrent_dropout": 0.25, "word_dropout": 0.5}
    np.random.seed(1)  # noqa: NPY002 - the global state is what must stay as it is
    random.seed(1)
    tf.random.set_seed(1)
    expected = float(tf.random.uniform([]))
    tf.random.set_seed(1)
    before = (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    one = make(**parameters).fit(X, y)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    assert float(tf.random.uniform([])) == expected

    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    tf.random.set_seed(7)
    two = make(**parameters).fit(X, y)
    assert same_weights(one, two)
    assert one.history_["loss"] == two.history_["loss"] and one.history_["f1"] == two.history_["f1"]


def test_fit_again_starts_afresh(make, frames, tiny_corpus):
    """On other data, of another kind, with the same result as a new estimator's."""
    X, y = tiny_corpus.X[:8], tiny_corpus.y[:8]
    tagger = make().fit(*frames)
    assert tagger.fit(X, y) is tagger
    assert not hasattr(tagger, "n_features_in_")
    assert same_weights(tagger, make().fit(X, y))
    other = make(random_state=np.random.RandomState(5)).fit(X, y)
    assert not same_weights(tagger, other)
    assert other.predict(X[:1]) and tagger.predict(X[:1])


# Going on


def test_warm_start_continues(make, tiny_corpus):
    X, y = tiny_corpus.X[:16], tiny_corpus.y[:16]
    tagger = make(warm_start=True).fit(X, y)
    before, words = weights_of(tagger), list(tagger.vocabulary_.words)
    tagger.set_params(learning_rate=1e-12)
    tagger.fit([["unheard", "of"]], [["O", "B-PER"]])
    for old, new in zip(before, weights_of(tagger), strict=True):
        np.testing.assert_allclose(old, new, atol=1e-9)
    assert tagger.vocabulary_.words == words
    with pytest.raises(DataError, match=r"y\[0\]\[1\] is 'B-NEW'.*'B-LOC', 'B-PER'"):
        tagger.fit([["Ada", "x"]], [["O", "B-NEW"]])
    with pytest.raises(InputTypeError, match="as in fit"):
        tagger.fit([np.zeros((2, 3))], [["O", "O"]])


def test_partial_fit(make):
    X, y = [["Ada", "sang"], ["Bob", "sang"]], [["B-PER", "O"], ["B-PER", "O"]]
    tagger = make(learning_rate=0.1)
    assert tagger.partial_fit(X, y, classes=["O", "B-PER", "I-PER", "B-LOC"]) is tagger
    assert tagger.classes_.tolist() == ["B-LOC", "B-PER", "I-PER", "O"]
    for _ in range(6):
        tagger.partial_fit(X, y)
    assert tagger.predict(X) == y
    losses = tagger.history_["loss"]
    assert len(losses) == 7 and losses[-1] < losses[0] / 2
    tagger.partial_fit([["Oslo"]], [["B-LOC"]])  # a new word, a tag announced
    tagger.partial_fit([[]], [[]])  # nothing to learn from
    assert "oslo" not in tagger.vocabulary_.words
    with pytest.raises(DataError, match=r"y\[0\]\[0\] is 'B-ORG'"):
        tagger.partial_fit([["Oslo"]], [["B-ORG"]])
    with pytest.raises(DataError, match=r"classes\[1\] is 'B-ORG'"):
        tagger.partial_fit(X, y, classes=["O", "B-ORG"])
    tagger.partial_fit(X, y, classes=["O", "B-PER"])
    # fit begins anew.
    assert tagger.fit(X, y).classes_.tolist() == ["B-PER", "O"]


def test_partial_fit_first_call(make):
    tagger = make()
    with pytest.raises(DataError, match="first call of partial_fit"):
        tagger.partial_fit([[]], [[]])
    with pytest.raises(DataError, match=r"y\[0\]\[1\] is 'B-X'"):
        tagger.partial_fit([["a", "b"]], [["O", "B-X"]], classes=["O", "B-PER"])
    assert not hasattr(tagger, "model_")
    # Tags announced tell of the scheme where those at hand do not.
    tagger.partial_fit([["a"]], [["O"]], classes=["O", "B-X", "I-X", "E-X", "S-X"])
    assert tagger.scheme_ == "iobes"
    assert tagger.predict([["a", "b", "c"]])


# Weights of sentences


def test_rows_of_weight_zero_do_not_count(make):
    sentences = [["Ada", "sang"], ["Bob", "ran", "home"]] * 4
    right = [["B-PER", "O"], ["B-PER", "O", "O"]] * 4
    wrong = [["O", "B-PER"], ["O", "O", "B-PER"]] * 4
    X, y = sentences + sentences, right + wrong
    parameters = {"epochs": 12, "learning_rate": 0.1}
    n = len(sentences)
    assert make(**parameters).fit(X, y, sample_weight=[1] * n + [0] * n).predict(sentences) == right
    assert make(**parameters).fit(X, y, sample_weight=np.array([0.0] * n + [2.5] * n)).predict(sentences) == wrong


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0], r"shape \(2,\).*got \(1,\)"),
        ([[1.0], [1.0]], r"shape \(2,\).*got \(2, 1\)"),
        ([1.0, -1.0], "at least 0"),
        ([1.0, np.nan], "finite"),
        (["a", "b"], "one number for each"),
    ],
)
def test_bad_sample_weight(make, fast, weight, message):
    X, y = [["a"], ["b"]], [["O"], ["B-PER"]]
    for call in (make().fit, make().partial_fit, fast.score):
        with pytest.raises(DataError, match=f"sample_weight must.*{message}"):
            call(X, y, sample_weight=weight)


# Score


def test_score_is_entity_f1(full, tiny_corpus):
    """One of two sentences tagged wrong: counted by hand."""
    X = [["Ada", "lives", "in", "Oslo", "."], ["it", "rained", "all", "day"]]
    assert full.predict(X) == [["B-PER", "O", "O", "B-LOC", "O"], ["O"] * 4]
    assert full.score(X, [["B-PER", "O", "O", "B-LOC", "O"], ["O"] * 4]) == 1.0
    y = [["B-PER", "O", "O", "B-PER", "O"], ["B-LOC", "O", "O", "O"]]
    # Found 2, 1 of them right; there are 3.
    assert full.score(X, y) == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    # Of the second sentence half: found 2, right 1, there are 2.5.
    assert full.score(X, y, sample_weight=[1, 0.5]) == pytest.approx(2 * 0.5 * 0.4 / 0.9)
    assert full.score(X, y, sample_weight=[0, 1]) == 0.0
    assert full.score((x for x in X), y) == full.score(X, y)
    assert full.score([], []) == 0.0


def test_score_without_scheme_is_accuracy(vectors, frames):
    X, y = frames
    assert vectors.scheme_ is None
    assert vectors.score(X, y) > 0.9
    truth = [np.array(tags) for tags in vectors.predict(X[:2])]  # 3 and 1 frames
    assert vectors.score(X[:2], truth) == 1.0
    truth[0][0] = 1 - truth[0][0]
    assert vectors.score(X[:2], truth) == pytest.approx(3 / 4)
    assert vectors.score(X[:2], truth, sample_weight=[1, 3]) == pytest.approx(5 / 6)


def test_score_checks_y(fast):
    with pytest.raises(InputTypeError, match="y must be a list of tag lists, got NoneType"):
        fast.score([["a"]], None)
    with pytest.raises(DataError, match=r"X\[0\] has 1 tokens but y\[0\] has 2 tags"):
        fast.score([["a"]], [["O", "O"]])


# Tags come back as they were given


def test_numpy_tags(vectors, frames):
    tags = vectors.predict(frames[0][:1])[0]
    assert {type(tag) for tag in tags} == {np.int64}
    assert vectors.classes_.tolist() == [0, 1]


def test_int_and_tuple_tags(make):
    X = [["a", "b"]] * 4
    assert {type(t) for t in make().fit(X, [[3, 7]] * 4).predict(X)[0]} == {int}
    tagger = make().fit(X, [[("x", 1), ("y", 2)]] * 4)
    assert set(tagger.predict(X)[0]) <= {("x", 1), ("y", 2)}


def test_parts_of_speech_have_no_scheme(make):
    tagger = make().fit([["a", "b"]] * 2, [["DET", "NOUN"]] * 2)
    assert tagger.scheme_ is None
    assert tagger.predict_proba([["a", "b"]])[0].shape == (2, 2)


# Probabilities


def test_probabilities(full, fast, vectors, tiny_corpus, frames):
    for tagger, X in ((full, tiny_corpus.X_dev), (fast, tiny_corpus.X_dev), (vectors, frames[0])):
        found = tagger.predict_proba([*X[:3], X[0][:0]])
        assert [p.shape for p in found] == [(len(x), len(tagger.classes_)) for x in [*X[:3], []]]
        for p in found:
            np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
            assert (p >= 0).all()


def test_crf_marginals_are_not_a_softmax(full):
    """Legal paths only: an I- tag has no probability at the beginning; and `predict` is one path, never illegal."""
    columns = {tag: i for i, tag in enumerate(full.classes_)}
    proba = full.predict_proba([["New", "Delhi", "Ann"]])[0]
    assert proba[0, columns["I-LOC"]] < 1e-6 and proba[0, columns["I-PER"]] < 1e-6


def test_softmax_probabilities_explain_predictions(vectors, frames):
    X = frames[0][:6]
    for tags, p in zip(vectors.predict(X), vectors.predict_proba(X), strict=True):
        assert tags == vectors.classes_[p.argmax(1)].tolist()


def test_tag_scores_are_the_probabilities_of_the_tags(full):
    text = "In Oslo 👍🏽 Mary Ann Evans met Ada."
    (found,) = full.tag([text])
    proba = full.predict_proba([text])[0]
    columns = {tag: i for i, tag in enumerate(full.classes_)}
    expected = [proba[i, columns[tag]] for i, tag in enumerate(found["tags"])]
    np.testing.assert_allclose(found["scores"], expected, atol=1e-5)
    assert found["tags"] == full.predict([text])[0] and len(found["tokens"]) == len(found["tags"])
    for entity in found["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
    assert {"text": "Oslo", "label": "LOC"}.items() <= found["entities"][0].items()
    assert full.tag([]) == []
    assert full.tag([""])[0]["entities"] == []


# Parameters


@pytest.mark.parametrize(
    "bad",
    [
        {"cell": "rnn"},
        {"units": 0},
        {"units": 2.5},
        {"layers": "two"},
        {"dropout": 1.0},
        {"crf": "yes"},
        {"char_encoder": "lstm"},
        {"scheme": "bio"},
        {"tokenizer": "spaces"},
        {"epochs": 0},
        {"validation_fraction": 1.0},
        {"patience": 0},
        {"max_length": 0},
        {"random_state": "zero"},
        {"verbose": 3},
        {"learning_rate": 0},
        {"activation": "nope"},
        {"optimizer": "nope"},
        {"optimizer": {"class_name": "nope", "config": {}}},
    ],
    ids=str,
)
def test_bad_parameters_are_named(make, bad):
    """At fit, not before; with what came."""
    tagger = make(**bad)
    (name,) = bad
    with pytest.raises(ParameterError, match=f"{name}.*") as error:
        tagger.fit([["a"]], [["O"]])
    assert str(next(iter(bad.values())))[:10] in str(error.value).replace('"', "'")


def test_parameters_that_do_not_go_together(make):
    with pytest.raises(ParameterError, match="crf=True does not go with cell='jordan'"):
        make(cell="jordan", crf=True).fit([["a"]], [["O"]])
    with pytest.raises(ParameterError, match="beam_width"):
        make(cell="elman", beam_width=2).fit([["a"]], [["O"]])
    with pytest.raises(ParameterError, match="scheme='iob2' needs tags that are strings"):
        make(scheme="iob2").fit([["a"]], [[1]])


def test_optimizer_objects(make, tiny_corpus):
    import keras

    X, y = tiny_corpus.X[:8], tiny_corpus.y[:8]
    given = keras.optimizers.SGD(0.5)
    tagger = make(optimizer=given).fit(X, y)
    assert given.iterations.numpy() == 0 and not given.built  # a copy was used
    assert same_weights(tagger, make(optimizer={"class_name": "SGD", "config": {"learning_rate": 0.5}}).fit(X, y))


def test_word_vectors_of_unseen_words(make, tmp_path):
    """A word in the vectors file only keeps its vector; also one that the file has with a capital."""
    file = tmp_path / "vectors.txt"
    file.write_text("red 1 0 0\nblue 0.9 0.1 0\nOne -1 0 0\ntwo -1 0.1 0\nTwo 0 0 9\n")
    tagger = make(word_vectors=file, epochs=40, learning_rate=0.1, word_dim=1)
    X, y = (
        [["red", "one"], ["one", "red"], ["red", "red"], ["one", "one"]],
        [["C", "N"], ["N", "C"], ["C"] * 2, ["N"] * 2],
    )
    tagger.fit(X, y)
    assert tagger.predict([["blue"], ["two"], ["Two"]]) == [["C"], ["N"], ["N"]]
    unknown = tagger.predict_proba([["nothing"]])[0]
    assert np.abs(tagger.predict_proba([["blue"]])[0] - unknown).max() > 0.01
    assert tagger.vector_coverage_.exact == 1 and tagger.vector_coverage_.words == 2
    table = tagger.model_.encoder.vector_table.numpy()
    place = tagger.vocabulary_.words.index("one") + 2
    np.testing.assert_array_equal(table[place], [-1, 0, 0])  # the file's "One"
    np.testing.assert_allclose(table[tagger.vocabulary_.extra_words.index("two") + 4], [-1, 0.1, 0])


# Weights of tags


def test_class_weights_scale_the_loss_of_their_tags(make):
    """With all weights 2 the loss doubles; with one tag at 0, its steps teach nothing."""
    X, y = [["a", "b", "a"]] * 4, [["P", "Q", "P"]] * 4
    options = {"crf": False, "scheme": None, "language_model": 0.0, "validation_fraction": None, "epochs": 1}
    for cell in ("lstm", "jordan"):
        loss = {
            weight: make(cell=cell, class_weight=weight and dict(weight), **options).fit(X, y).history_["loss"][0]
            for weight in (None, (("P", 2), ("Q", 2)), (("P", 0),), (("Q", 0),))
        }
        whole, double, q_alone, p_alone = loss.values()
        assert double == pytest.approx(2 * whole, rel=1e-5)
        assert q_alone + p_alone == pytest.approx(whole, rel=1e-5)
        assert 0 < q_alone < p_alone


def test_balanced_class_weights(make):
    X, y = [["a", "b", "a"]] * 4, [["P", "Q", "P"]] * 4
    options = {"crf": False, "scheme": None, "validation_fraction": None, "epochs": 1}
    balanced = make(class_weight="balanced", **options).fit(X, y)
    by_hand = make(class_weight={"P": 12 / (2 * 8), "Q": 12 / (2 * 4)}, **options).fit(X, y)
    assert balanced.history_["loss"] == pytest.approx(by_hand.history_["loss"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"class_weight": "balanced", "crf": "auto", "cell": "lstm"}, "crf"),
        ({"class_weight": {"B-PER": 2}, "crf": True, "cell": "lstm"}, "crf"),
        ({"class_weight": {"Z": 2}, "crf": False}, "'Z'"),
        ({"class_weight": {"O": -1}, "crf": False}, "at least 0"),
        ({"class_weight": {"O": "much"}, "crf": False}, "'much'"),
        ({"class_weight": "even", "crf": False}, "class_weight"),
    ],
)
def test_bad_class_weights(make, tiny_corpus, parameters, message):
    tagger = make(**parameters)
    with pytest.raises(ParameterError, match=message):
        tagger.fit(tiny_corpus.X[:8], tiny_corpus.y[:8])
    assert not hasattr(tagger, "model_")


def test_class_weights_are_checked_against_the_network_there_is(make):
    X, y = [["a", "b"]] * 4, [["P", "Q"]] * 4
    tagger = make(cell="gru", crf=True).partial_fit(X, y)
    tagger.set_params(crf=False, class_weight={"P": 2})
    with pytest.raises(ParameterError, match="conditional random field"):
        tagger.partial_fit(X, y)
    with pytest.raises(ParameterError, match="partial_fit"):
        tagger.set_params(class_weight="balanced").partial_fit(X, y)


def test_class_weights_go_with_checkpoints(make, tmp_path):
    X, y = [["a", "b"]] * 4, [[1, 2]] * 4
    options = {"crf": False, "checkpoint_dir": tmp_path}
    one = make(class_weight={np.int64(1): 2.0}, **options).fit(X, y)
    other = make(class_weight={np.int64(1): 0.0}, **options).fit(X, y)  # starts afresh
    assert one.history_["loss"] != other.history_["loss"]


def test_class_weights_by_number_survive_saving(make, tmp_path):
    X, y = [["a", "b", "a"]] * 4, [[1, 2, 1]] * 4
    tagger = make(class_weight={1: 0.5, 2: 3.0}, crf=False, epochs=1).fit(X, y)
    assert type(tagger).load(tagger.save(tmp_path / "model")).class_weight == {1: 0.5, 2: 3.0}


def test_partial_fit_takes_new_class_weights(make):
    X, y = [["a", "b", "a"]] * 4, [["P", "Q", "P"]] * 4
    tagger = make(crf=False, scheme=None, language_model=0.0, learning_rate=1e-9).partial_fit(X, y)
    tagger.set_params(class_weight={"P": 0, "Q": 0}).partial_fit(X, y)
    assert tagger.history_["loss"][0] > 0 == tagger.history_["loss"][1]
