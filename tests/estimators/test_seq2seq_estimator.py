"""What `Seq2Seq` makes of texts, tokens and vectors, beyond what all estimators have in common."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

import seqkit
from seqkit import Seq2Seq
from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.export.check import check_saved_model
from seqkit.export.manifest import EXPORT_FILE
from seqkit.export.seq2seq import Seq2SeqServing

QUICK = {"units": 24, "word_dim": 12, "epochs": 25, "learning_rate": 0.02, "batch_size": 16, "random_state": 0,
         "validation_fraction": None, "dropout": 0.0, "verbose": 0}  # fmt: skip
LETTERS = dict(zip("abcde", ["AH", "B", "K", "D", "EH"], strict=True))
WORDS = ["".join(letters) for n in (2, 3, 4) for letters in itertools.product("abcde", repeat=n)][::3]
NAMES = ["zero", "one", "two", "three"]
SOUNDS = [[LETTERS[letter] for letter in word] for word in WORDS]


@pytest.fixture(scope="module")
def speller():
    """Spelling to sound, letter by letter; "e" at the end and the word "eee" are not among what was learned."""
    kept = [i for i, word in enumerate(WORDS) if word != "ddd"]
    return Seq2Seq(tokenizer="characters", **QUICK).fit([WORDS[i] for i in kept], [SOUNDS[i] for i in kept])


def test_it_spells_what_it_has_not_seen(speller):
    new = ["abcde"[i % 5] + "bad"[i % 3] + "edc"[i % 3] + "ab"[i % 2] for i in range(12)]
    expected = [[LETTERS[letter] for letter in word] for word in new]
    found = speller.evaluate(new, expected)
    assert found["token_error_rate"] < 0.1 and speller.score(new, expected) == 1 - found["token_error_rate"]


def test_best_ones_in_order_with_their_probabilities(speller):
    rows = speller.predict_nbest(["bad", "ace"], 4)
    assert [row[0][0] for row in rows] == speller.predict(["bad", "ace"])
    for word, row in zip(["bad", "ace"], rows, strict=True):
        scores = [score for _, score in row]
        assert len(row) == 4 and scores == sorted(scores, reverse=True)
        assert len({tuple(tokens) for tokens, _ in row}) == 4
        lengths = np.array([len(tokens) for tokens, _ in row])
        logs = speller.log_probability([word] * 4, [tokens for tokens, _ in row])
        np.testing.assert_allclose(logs / ((5 + lengths) / 6) ** 0.6, scores, rtol=1e-3, atol=1e-4)


def test_it_looks_at_the_letter_that_it_says(speller):
    (found,) = speller.attention(["bcad"])
    assert found.source == list("bcad") and found.target == ["B", "K", "AH", "D"] and found.weights.shape == (5, 4)
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-5)
    (given,) = speller.attention(["ab"], [["D", "D", "D"]])
    assert given.target == ["D", "D", "D"] and given.weights.shape == (4, 2)


def test_a_folder_and_a_fresh_process_answer_alike(speller, tmp_path):
    speller.save(tmp_path / "model")
    assert (tmp_path / "model" / "target_vocabulary.json").is_file()
    again = seqkit.load(tmp_path / "model")
    assert again.predict_nbest(WORDS[:20], 3) == speller.predict_nbest(WORDS[:20], 3)


def test_what_it_writes_ends_though_it_learned_no_end():
    pairs = [("ab", "x" * 10), ("ba", "y" * 7), ("abba", "xyyx" * 5)] * 5
    model = Seq2Seq(tokenizer="characters", **{**QUICK, "epochs": 1}).fit(*zip(*pairs, strict=True))
    model.model_.decoder.output_bias.assign(np.eye(1, 4)[0] * -50)  # the end never comes
    lengths = [len(text) for text in model.predict(["ab", "bab", "abab", "ab" * 10, ""])]
    # A fifth and five more than the longest of those that were learned from for sources no longer.
    assert lengths == [17, 17, 29, 125, 17] and model.longest_ == [10, 10, 10, 10, 20]
    model.partial_fit(["aba", "ababab"], ["x" * 12, "y"])
    assert model.longest_ == [10, 10, 10, 12, 20, 20, 20]
    lengths = np.arange(400, dtype=np.int32)
    np.testing.assert_array_equal(tf.function(model._limits)(tf.constant(lengths)), model._limits(lengths))


def test_texts_come_back_as_texts():
    numbers = ["one", "two", "three", "four"]
    pairs = [(f"{a}, {b}!", f"{b}{sign} ({a})") for a in numbers for b in numbers for sign in ".?"]
    model = Seq2Seq(attend="additive", **{**QUICK, "epochs": 40}).fit(*zip(*pairs, strict=True))
    assert model.predict(["three, two!"])[0] in ("two. (three)", "two? (three)")
    assert model.evaluate(*zip(*pairs, strict=True))["chrf"] > 0.7  # one of two signs, as it comes


def test_unknown_words_are_copied_from_where_they_were_looked_at():
    # Of known names it learns where to look; those that are seen once are unknown.
    names = [*["Ada", "Ben", "Eve", "Tom"] * 15, *(f"N{i}" for i in range(20))]
    X, y = [f"hello {name} there" for name in names], [f"hallo {name}" for name in names]
    model = Seq2Seq(attend="additive", **{**QUICK, "epochs": 40}).fit(X, y)
    assert model.predict(["hello Xanthippe there"]) == ["hallo Xanthippe"]
    plain = model.set_params(unk_replace=False).predict(["hello Xanthippe there"])
    assert "Xanthippe" not in plain[0] and "\ufffd" not in plain[0]


def test_vectors_of_differing_lengths():
    X = [np.full((n, 1), float(n)) for n in (1, 2, 3)] * 12
    y = [np.stack([np.arange(2.0 * len(x)), np.arange(2.0 * len(x))[::-1]], 1) for x in X]
    model = Seq2Seq(cell="gru", **{**QUICK, "epochs": 60}).fit(X, y)
    assert [len(row) for row in model.predict(X[:3])] == [2, 4, 6]
    found = model.evaluate(X, y)
    assert found["r2"] > 0.7 and model.score(X, y) == found["r2"]


def test_forecasts_are_tables():
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(400) * 0.4) + rng.normal(0, 0.05, 400)
    X = np.stack([series[i : i + 20] for i in range(360)])
    y = np.stack([series[i + 20 : i + 26] for i in range(360)])
    model = Seq2Seq(**{**QUICK, "epochs": 8}).fit(X[:300], y[:300])
    found = model.predict(X[300:])
    assert found.shape == (60, 6) and model.score(X[300:], y[300:]) > 0.8
    assert model.predict(X[:0]).shape == (0, 6)
    with pytest.raises(DataError, match="Seq2Seq is expecting 20 features as input"):
        model.predict(X[:, :10])
    with pytest.raises(DataError, match="predict_nbest is for targets that are texts or tokens"):
        model.predict_nbest(X)


def test_what_was_given_is_named_in_errors(speller):
    with pytest.raises(DataError, match="X and y have lengths 2 and 1"):
        Seq2Seq(**QUICK).fit(["a", "b"], ["c"])
    with pytest.raises(InputTypeError, match=r"y\[1\]"):
        Seq2Seq(**QUICK).fit(["a", "b"], ["c", None])
    with pytest.raises(InputTypeError, match="X must hold lists of tokens"):
        speller.predict([np.zeros((3, 2))])
    with pytest.raises(ParameterError, match="k=0 must be an integer of at least 1"):
        speller.predict_nbest(["a"], 0)
    model = Seq2Seq(attend=None, **{**QUICK, "epochs": 1}).fit(WORDS[:4], SOUNDS[:4])
    with pytest.raises(DataError, match="This model has no attention: it was fitted with attend=None"):
        model.attention(["ab"])


def test_pieces_of_words(tmp_path):
    X = [f"{stem}{end} now" for stem in ("walk", "talk", "jump", "look") for end in ("ing", "ed", "s", "er")] * 3
    y = [text.upper() for text in X]
    model = Seq2Seq(tokenizer="wordpiece", subwords=45, **{**QUICK, "epochs": 30}).fit(X, y)
    assert any(word.startswith("##") for word in model.target_vocabulary_.words)
    assert model.predict(["walking now"]) == ["WALKING NOW"]
    folder = model.export(tmp_path / "pieces")
    about = (folder / "assets.extra" / EXPORT_FILE.name).read_text()
    assert "FastWordpieceTokenizeWithOffsets" in about
    assert check_saved_model(folder).ok
    model.save(tmp_path / "model")
    assert seqkit.load(tmp_path / "model").predict(X[:3]) == model.predict(X[:3])


def test_one_vector_is_told_in_words():
    """Images of two digits, as in ``examples/captions.py``."""
    images, digits = load_digits(n_class=4, return_X_y=True)
    left, right = np.random.default_rng(0).integers(0, 500, (2, 1000))
    X = np.concatenate([images[left], images[right]], -1)[:, None] / 16
    y = [f"a {NAMES[digits[a]]} and a {NAMES[digits[b]]}" for a, b in zip(left, right, strict=True)]
    model = Seq2Seq(layers=0, attend=None, **{**QUICK, "epochs": 12}).fit(X, y)
    unseen = np.concatenate([images[500:600], images[600:700]], -1)[:, None] / 16
    told = [f"a {NAMES[a]} and a {NAMES[b]}" for a, b in zip(digits[500:600], digits[600:700], strict=True)]
    assert np.mean([a == b for a, b in zip(model.predict(unseen), told, strict=True)]) > 0.8


def test_what_has_no_source_to_copy_from_is_not_that_of_a_neighbour():
    """Where the unknown token comes for certain."""
    model = Seq2Seq(**{**QUICK, "epochs": 1}).fit([["a", "b"], ["b"]] * 4, [["A"], ["B"]] * 4)
    model.model_.decoder.output_bias.assign(np.eye(1, 4)[0] * -50 + np.eye(1, 4, 1)[0] * 50)
    (alone,), (first, second) = model.predict([[]]), model.predict([[], ["p"]])
    assert alone == first and set(alone) == {"\ufffd"} and set(second) == {"p"}
    images = Seq2Seq(**{**QUICK, "epochs": 1}).fit(np.eye(4)[:, None], ["one", "two", "two", "one"])
    images.model_.decoder.output_bias.assign(np.eye(1, 4, 1)[0] * 50)
    assert "\ufffd" not in "".join(images.predict(np.eye(4)[:, None]))


def test_vectors_of_differing_lengths_are_exported(tmp_path):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(1, 8, 40)]
    y = [7 + x.cumsum(0) for x in X]
    # It is checked against predict, padding included; and a first step from the mean against the first frame.
    Seq2Seq(halting="length", **QUICK).fit(X, y).export(tmp_path / "export")
    model = Seq2Seq(halting="bernoulli", **{**QUICK, "epochs": 1}).fit(X, y)
    step = Seq2SeqServing(model).signatures()["step"].get_concrete_function()
    assert set(step.structured_outputs) == {"value", "state", "halt"}


def test_targets_that_are_refused():
    with pytest.raises(DataError, match=r'y\[1\] holds the empty string "", which is no token'):
        Seq2Seq(**QUICK).fit([["a"], ["b"]], [["A"], ["A", "", "B"]])
    with pytest.raises(DataError, match=r"y\[1\] has no steps"):
        Seq2Seq(**QUICK).fit([["a"], ["b"]], [np.ones((2, 3)), np.ones((0, 3))])
    with pytest.raises(ParameterError, match=r"attend='dot' .* encoder's is 48, the decoder's units=24"):
        Seq2Seq(attend="dot", **QUICK).fit([["a"], ["b"]], [["A"], ["B"]])
    with pytest.raises(ParameterError, match=r"coverage_penalty=0\.2 counts what attention looked at"):
        Seq2Seq(attend=None, coverage_penalty=0.2, **QUICK).fit([["a"], ["b"]], [["A"], ["B"]])
    with pytest.raises(ParameterError, match="tied=True shares the vectors of target tokens"):
        Seq2Seq(tied=True, **QUICK).fit([["a"], ["b"]], [np.ones((2, 3)), np.ones((1, 3))])


def test_few_texts_whose_words_occur_once_are_learned_and_exported(tmp_path):
    model = Seq2Seq(**QUICK).fit(["one two", "three", "four"], ["eins zwei", "drei", "vier"])
    assert model.predict(["three", "four"]) == ["drei", "vier"]
    assert len(model.target_vocabulary_.words) == 4  # words that occur once are known where most do
    tiny = Seq2Seq(beam_width=10, unk_replace=False, **{**QUICK, "epochs": 9}).fit(["a", "b"] * 4, ["A", "A"] * 4)
    assert len(tiny.predict_nbest(["a"], 10)[0]) < 10  # what an export tells to score -1e30
    tiny.export(tmp_path / "tiny")


def test_numbers_come_back_as_they_were_given():
    X = [[float(i), 1.0] for i in range(8)]
    rows = Seq2Seq(**{**QUICK, "epochs": 1}).fit(X, [[i, i + 1.0, i + 2.0] for i in range(8)]).predict(X)
    assert isinstance(rows, list) and {row.shape for row in rows} == {(3,)}
    table = Seq2Seq(**{**QUICK, "epochs": 1}).fit(X, np.arange(24.0).reshape(8, 3)).predict(X)
    assert table.shape == (8, 3)
    ragged = np.array([np.ones((n, 2)) for n in (1, 2) * 4], object)
    assert isinstance(Seq2Seq(**{**QUICK, "epochs": 1}).fit(X, ragged).predict(X[:1]), list)


def test_texts_for_a_model_of_tokens_are_cut_into_plain_words():
    model = Seq2Seq(**{**QUICK, "epochs": 1}).fit([["a", ",", "b"]] * 4, [["A", ",", "B"]] * 4)
    assert model.attention(["a, b"], ["A, B"])[0][:2] == (["a", ",", "b"], ["A", ",", "B"])


def test_what_does_not_fit_a_fitted_model():
    model = Seq2Seq(**{**QUICK, "epochs": 1}).fit(["a b"] * 4, ["A B"] * 4)
    with pytest.raises(DataError, match="y holds lists of tokens; this model was fitted on texts"):
        model.score(["a b"], [["A", "B"]])
    with pytest.raises(ParameterError, match="beam_width"):
        model.set_params(beam_width=0).predict(["a b"])
    with pytest.raises(DataError, match="validation_data\\[0\\] holds no sequences"):
        Seq2Seq(**QUICK).fit(["a b"] * 4, ["A B"] * 4, validation_data=([], []))
