"""SequenceTagger: every kind of input has a defined result or an error of ours, never a crash."""

from __future__ import annotations

import types

import numpy as np
import pytest

from seqkit.errors import DataError, InputTypeError, ParameterError, SeqkitError

# Results


def test_texts_and_tokens_agree(full):
    assert full.predict(["Ada lives in Oslo."]) == full.predict([["Ada", "lives", "in", "Oslo", "."]])


def test_fit_on_texts(make):
    y = [["B-PER", "O", "O"], ["B-PER", "I-PER"]]
    one = make().fit(["Ada sang.", "Mary Ann"], y)
    two = make().fit([["Ada", "sang", "."], ["Mary", "Ann"]], y)
    assert all(np.array_equal(a, b) for a, b in zip(one.model_.get_weights(), two.model_.get_weights(), strict=True))


def test_tokenizers(make):
    tagger = make(tokenizer="characters").fit(["北京 好"], [["B-LOC", "I-LOC", "O"]])
    assert [len(tags) for tags in tagger.predict(["北京", "👍🏽 a"])] == [2, 2]
    tagger.set_params(tokenizer="whitespace")
    assert [len(tags) for tags in tagger.predict(["北京 it's."])] == [2]


def test_nothing(fast, full, vectors):
    for tagger in (fast, full, vectors):
        assert tagger.predict([]) == [] and tagger.predict_proba([]) == [] and list(tagger.predict_iter([])) == []
        assert tagger.predict([[]]) == [[]]
        assert tagger.predict_proba([[]])[0].shape == (0, len(tagger.classes_))
    assert full.predict([""]) == [[]] and full.predict([" \n", "Ada"])[0] == []
    assert full.predict([[], ["Ada"], []]) == [[], full.predict([["Ada"]])[0], []]
    assert vectors.predict([np.zeros((0, 2)), np.zeros((0,))]) == [[], []]


@pytest.mark.parametrize(
    "tokens",
    [
        ["a\0b", "\0", "\0\0"],
        ["\ud800", "a\udfff", "\ud83d"],
        ["unseen", "жизнь", "👍🏽", "\u202e", "\ufeff"],
        ["x" * 10_000, "👍" * 10_000],
        ["a", "", "b", ""],
        ["", ""],
        [" ", "\n", "a b"],
    ],
    ids=["nul", "surrogates", "unseen", "long", "empty-tokens", "only-empty-tokens", "spaces"],
)
def test_odd_tokens(full, tokens):
    assert len(full.predict([tokens])[0]) == len(tokens)
    alone, beside = full.predict_proba([tokens])[0], full.predict_proba([["Ada"], tokens, ["x"] * 40])[1]
    np.testing.assert_allclose(alone.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(alone, beside, atol=1e-5)


def test_odd_texts(full):
    texts = ["\ud800 Ada", "a\0b \0", "👍🏽\u200d", "\u3000", "x" * 10_000]
    tags = full.predict(texts)
    assert [len(t) for t in tags] == [len(found["tokens"]) for found in full.tag(texts)]
    assert [found["tags"] for found in full.tag(texts)] == tags


def test_fit_on_odd_tokens(make):
    X = [["a\0", "\ud800", "", "👍🏽", "x" * 10_000], [], ["", "b"]]
    y = [["O", "B-A", "O", "B-A", "O"], [], ["O", "B-A"]]
    tagger = make(char_encoder="cnn", shape_features=True, char_units=2).fit(X, y)
    assert [len(tags) for tags in tagger.predict(X)] == [5, 0, 2]


def test_a_long_sentence_is_read_whole(full):
    """5,000 tokens: finite probabilities, the same beside a short one, and its end has been read."""
    sentence = (["In", "Oslo", ",", "Ada", "met", "Noam", "."] * 715)[:5_000]
    proba = full.predict_proba([sentence, ["Ada"]])[0]
    assert proba.shape == (5_000, 5)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-4)
    np.testing.assert_allclose(full.predict_proba([sentence])[0], proba, atol=1e-5)
    # Steps far from either end see the same surroundings, and so get the same answer.
    np.testing.assert_allclose(proba[700:1400], proba[3500:4200], atol=1e-4)
    tags = full.predict([sentence])[0]
    assert len(tags) == 5_000 and tags[700:1400] == tags[3500:4200]


@pytest.mark.parametrize("kind", ["tuple", "objects", "strings", "generator", "series", "frame", "series of arrays"])
def test_containers(fast, kind):
    pandas = pytest.importorskip("pandas")
    X = [["Ada", "ran"], ["Oslo", "."]]
    expected = fast.predict(X)
    objects = np.empty(2, object)
    objects[:] = [np.array(x) for x in X]
    given = {
        "tuple": tuple(map(tuple, X)),
        "objects": objects,
        "strings": np.array(X),
        "generator": (x for x in X),
        "series": pandas.Series(X, index=[7, 3]),
        "frame": pandas.DataFrame(X, columns=["first", "second"]),
        "series of arrays": pandas.Series([np.array(x) for x in X], index=["a", "b"]),
    }[kind]
    assert fast.predict(given) == expected


def test_series_of_texts_and_tags(make, fast):
    pandas = pytest.importorskip("pandas")
    texts = pandas.Series(["Ada ran", "Oslo"], index=[5, 2])
    assert fast.predict(texts) == fast.predict(["Ada ran", "Oslo"]) == fast.predict(np.array(["Ada ran", "Oslo"]))
    y = pandas.Series([["B-PER", "O"], ["B-LOC"]], index=[5, 2])
    tagger = make(warm_start=True).fit(texts, y)
    assert tagger.score(texts, y) >= 0
    with pytest.raises(DataError, match=r"y\[1\]\[0\] is 'B-NEW'"):
        tagger.fit(texts, pandas.Series([["B-PER", "O"], ["B-NEW"]], index=[5, 2]))


def test_arrays_of_numbers(vectors, frames, make):
    """(n, steps, d), lists of lists of numbers, and (n, steps) as one number a step."""
    block = np.stack([frames[0][0], frames[0][4]])
    expected = vectors.predict(list(block))
    assert vectors.predict(block) == expected and vectors.predict(block.tolist()) == expected
    flat = make().fit(np.zeros((2, 3)), [["a", "b", "a"]] * 2)
    assert flat.n_features_in_ == 3
    assert [len(tags) for tags in flat.predict([np.zeros(4), np.zeros((2, 1))])] == [4, 2]


# The batch


def test_batch_invariance(full, tiny_corpus):
    """Alone, in 512, shuffled, in another order: the same tags, probabilities to 1e-5."""
    some = [*tiny_corpus.X_dev[:6], ["Oslo"], [], ["unseen", "👍🏽"] * 30]
    rng = np.random.default_rng(0)
    words = [word for sentence in tiny_corpus.X for word in sentence]
    filler = [[words[i] for i in rng.integers(0, len(words), n)] for n in rng.integers(0, 50, 512 - len(some))]
    order = rng.permutation(512)
    batch = [(some + filler)[i] for i in order]
    proba, tags = full.predict_proba(batch), full.predict(batch)
    place = {row: i for i, row in enumerate(order.tolist())}
    for row, sentence in enumerate(some):
        assert tags[place[row]] == full.predict([sentence])[0]
        np.testing.assert_allclose(proba[place[row]], full.predict_proba([sentence])[0], atol=1e-5)


def test_predict_iter(full, tiny_corpus):
    X = tiny_corpus.X
    taken = []

    def stream():
        for x in X:
            taken.append(x)
            yield x

    tags = full.predict_iter(stream(), chunk_size=10)
    assert isinstance(tags, types.GeneratorType)
    assert not taken
    first = next(tags)
    assert len(taken) <= 10  # no more than a chunk is held
    assert [first, *tags] == full.predict(X)
    assert next(full.predict_iter(iter(["Ada"]))) == full.predict(["Ada"])[0]
    with pytest.raises(InputTypeError, match="one string"):
        list(full.predict_iter("Ada"))
    with pytest.raises(ParameterError, match="chunk_size=0"):
        list(full.predict_iter(X, chunk_size=0))
    with pytest.raises(InputTypeError, match=r"X\[4:\]\[1\].*None"):
        list(full.predict_iter([*X[:5], None], chunk_size=4))


# Errors


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("Ada", "got one string 'Ada'.*list"),
        (b"Ada", "got one string"),
        (None, "got NoneType"),
        (5, "got int"),
        ({"a": 1}, "got dict"),
        ([None], r"X\[0\].*got None"),
        (["Ada", None], r"X\[1\].*got None"),
        ([["Ada"], None], r"X\[1\].*got None"),
        ([["Ada"], ["b", None]], r"X\[1\]\[1\].*NoneType"),
        ([["Ada"], ["b", 3]], r"X\[1\]\[1\].*int 3"),
        (["Ada", ["b"]], r"X\[1\].*list"),
        ([["Ada"], "b"], r"X\[1\].*str 'b'"),
        ([b"Ada"], r"X\[0\].*[Dd]ecode"),
        ([[b"Ada"]], r"X\[0\]\[0\].*bytes"),
        ([[["Ada"]]], "as in fit"),
        ([[1.0, 2.0]], "as in fit"),
        (np.zeros((2, 3)), "as in fit"),
        (np.array("Ada"), "without dimensions"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_input(fast, X, message):
    for method in (fast.predict, fast.predict_proba):
        with pytest.raises(SeqkitError, match=message) as error:
            method(X)
        assert isinstance(error.value, ValueError | TypeError)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["Ada"], "as in fit; got raw strings"),
        ([["Ada"]], "as in fit"),
        ([np.zeros((2, 3))], r"X\[0\].*size 3, expected 2"),
        ([[[0.0, np.nan]]], r"X\[0\] holds NaN"),
        ([[[0.0, np.inf]]], "infinity"),
        ([[[1.0, 2.0]], [[1.0], [1.0, 2.0]]], r"X\[1\]"),
        (np.zeros((2, 3, 4, 5)), "shape"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_vectors(vectors, X, message):
    with pytest.raises(SeqkitError, match=message):
        vectors.predict(X)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([["a"], ["b"]], [["O"]], "same number of sequences, got 2 and 1"),
        ([["a"], ["b", "c"]], [["O"], ["O"]], r"X\[1\] has 2 tokens but y\[1\] has 1 tags"),
        ([["a"]], None, "y must be a list"),
        ([["a"]], "O", "y must be a list"),
        ([["a"]], ["O"], r"y\[0\] must be a list.*got"),
        ([["a"]], [None], r"y\[0\] must be a list.*got"),
        ([["a"]], [[None]], "None as a tag"),
        ([["a"]], [[["O"]]], "hashable"),
        ([[]], [[]], "no tokens"),
        ([], [], "no tokens"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_tags(make, X, y, message):
    tagger = make()
    with pytest.raises(SeqkitError, match=message):
        tagger.fit(X, y)
    assert not hasattr(tagger, "model_")


def test_bad_validation_data(make):
    X, y = [["a"]], [["O"]]
    with pytest.raises(InputTypeError, match="validation_data must be a pair"):
        make().fit(X, y, validation_data=X)
    with pytest.raises(InputTypeError, match=r"validation_data\[0\]\[1\]"):
        make().fit(X, y, validation_data=([["a"], None], y))
    with pytest.raises(DataError, match=r"validation_data\[1\]"):
        make().fit(X, y, validation_data=(X, [["O", "O"]]))


def test_max_length(make, fast):
    with pytest.raises(DataError, match=r"X\[1\] has length 3, more than max_length=2"):
        make(max_length=2).fit([["a"], ["a", "b", "c"]], [["O"], ["O"] * 3])
    limited = make(max_length=2).fit([["a", "b"]], [["O", "O"]])
    assert limited.predict([["a", "b"]]) == [["O", "O"]]
    with pytest.raises(DataError, match="max_length=2"):
        limited.predict(["a b c"])


def test_one_token_is_enough(make):
    """Most sentences empty: the one with a token is trained on, not put aside to validate."""
    X, y = [[]] * 19 + [["a"]], [[]] * 19 + [["B-X"]]
    tagger = make(validation_fraction=0.5).fit(X, y)
    assert tagger.predict([["a"]]) == [["B-X"]]
    assert np.isfinite(tagger.history_["loss"]).all()


@pytest.mark.parametrize("table_bytes", [2**28, 0])
def test_many_distinct_tokens_are_read_in_pieces(make, tiny_corpus, monkeypatch, table_bytes):
    from seqkit.training import prediction

    tagger = make(cell="gru", char_encoder="cnn").fit(tiny_corpus.X[:16], tiny_corpus.y[:16])
    whole = tagger.predict_proba(tiny_corpus.X[:9])
    monkeypatch.setattr(prediction, "_PIECE", 4)
    monkeypatch.setattr(prediction, "_TABLE_BYTES", table_bytes)
    for one, other in zip(whole, tagger.predict_proba(tiny_corpus.X[:9]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
