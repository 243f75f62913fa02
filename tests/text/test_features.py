"""Token ids against plain Python: normalisation, characters, shape, affixes, unknown values, order of vocabularies."""

import json
import re
import unicodedata

import numpy as np
import pytest
import tensorflow as tf

from seqkit.text.features import FEATURES, TokenGraph, TokenVocabulary, learn_vocabulary, outward_features, valid_utf8

LONG = "Donau" + "dampf" * 30 + "schiff9"
TOKENS = [
    "Ada", "ADA", "ada", "iPhone", "O'Neill", "U.S.A.", "X-ray", "AAAAbbbb1234", "1984", "3,14", "B2B",
    "Émile", "ÉÉÉÉ", "straße", "Ωmega", "İstanbul", "ǅ", "北京大学", "北", "東京2020", "👩‍🚀", "🙂🙂🙂🙂", "é",
    "a\u0301bc", "٣٤٥", "Ⅷ", "½", "_", "--", "...", "a\x00b", "\x00", "x", "ddddd", "uuuuXXXX", "\ufeffHi", LONG,
]  # fmt: skip


def category(character):
    return unicodedata.category(character)


def normal(token, lowercase=True, digits=True):
    token = token.lower().replace("\x00", "\ufffd") if lowercase else token
    return "".join("0" if digits and category(c) == "Nd" else c for c in token)


def shape(token):
    kinds = {"Lu": "X", "Ll": "x", "Nd": "d"}
    signs = "".join(kinds.get(category(c)) or (c if c < "\x80" else "u") for c in token)
    return re.sub(r"([Xxdu])\1{2,}", r"\1\1", signs)


def outward(token):
    lower = normal(token)
    values = {"shape": shape(token)}
    values |= {f"prefix{n}": lower[:n] for n in (2, 3, 4)}
    return values | {f"suffix{n}": lower[-n:] for n in (1, 2, 3, 4)}


def learn(tokens, counts=None, **options):
    return learn_vocabulary(tf.constant(tokens), np.array(counts or [1] * len(tokens)), **options)


def ids(graph, tokens):
    return {name: value.numpy() for name, value in graph(tf.constant(tokens, tf.string, shape=(len(tokens),))).items()}


def test_outward_features_equal_plain_python():
    found = outward_features(tf.constant(TOKENS))
    assert set(found) == set(FEATURES)
    for name, values in found.items():
        for token, value in zip(TOKENS, values.numpy(), strict=True):
            assert value.decode() == outward(token)[name], (name, token)


def test_shapes_by_hand():
    expected = {
        "Ada": "Xxx",
        "AAAAbbbb1234": "XXxxdd",
        "U.S.A.": "X.X.X.",
        "北京大学": "uu",
        "東京2020": "uudd",
        "½": "u",
    }
    found = outward_features(tf.constant(list(expected)))["shape"].numpy()
    assert [value.decode() for value in found] == list(expected.values())


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("digits", [True, False])
def test_words_equal_plain_python(lowercase, digits):
    vocabulary = learn(TOKENS, lowercase=lowercase, digits=digits)
    forms = list(dict.fromkeys(normal(token, lowercase, digits) for token in TOKENS))
    assert sorted(vocabulary.words) == sorted(forms)
    found = ids(TokenGraph(vocabulary), [*TOKENS, "never seen", ""])["words"]
    expected = [vocabulary.words.index(normal(token, lowercase, digits)) + 2 for token in TOKENS]
    assert found.tolist() == [*expected, 1, 0]


def test_characters_equal_plain_python():
    vocabulary = learn(TOKENS)
    number = {chr(point): i + 2 for i, point in enumerate(vocabulary.characters)}
    tokens = [*TOKENS, "Zürich!", ""]
    found = ids(TokenGraph(vocabulary), tokens)["characters"]
    for row, token in zip(found, tokens, strict=True):
        read = token if len(token) <= 32 else token[:16] + token[-16:]
        expected = [number.get(c, 1) for c in read]
        assert row[: len(expected)].tolist() == expected, token
        assert not row[len(expected) :].any()
    assert found.shape[1] == 32


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_long_token_is_read_at_both_ends(limit):
    vocabulary = learn(["abcdefg"])
    vocabulary.max_characters = limit
    number = {chr(point): i + 2 for i, point in enumerate(vocabulary.characters)}
    first, last = limit - limit // 2, limit // 2
    expected = "abcdefg"[:first] + ("abcdefg"[-last:] if last else "")
    found = ids(TokenGraph(vocabulary), ["abcdefg", "a"])["characters"]
    assert found.tolist() == [[number[c] for c in expected], [number["a"]] + [0] * (limit - 1)]


def test_feature_ids_equal_plain_python():
    vocabulary = learn(TOKENS, min_feature_count=2)
    counts = {name: {} for name in FEATURES}
    for token in TOKENS:
        for name, value in outward(token).items():
            counts[name][value] = counts[name].get(value, 0) + 1
    for name in FEATURES:
        least = 1 if name == "shape" else 2
        assert set(vocabulary.features[name]) == {value for value, n in counts[name].items() if n >= least}
        seen = [counts[name][value] for value in vocabulary.features[name]]
        assert seen == sorted(seen, reverse=True)
    tokens = [*TOKENS, "Qq7", ""]
    found = ids(TokenGraph(vocabulary), tokens)["features"]
    for row, token in zip(found, tokens, strict=True):
        expected = [0] * len(FEATURES)
        if token:
            for k, name in enumerate(FEATURES):
                known, value = vocabulary.features[name], outward(token)[name]
                expected[k] = known.index(value) + 2 if value in known else 1
        assert row.tolist() == expected, token
    assert vocabulary.feature_sizes == [len(vocabulary.features[name]) + 2 for name in FEATURES]
    assert (found < vocabulary.feature_sizes).all()


def test_invalid_utf8_becomes_a_replacement_character():
    raw = [b"\xff", b"ab\xc3", b"\xed\xa0\x80", "né".encode("latin-1"), "ok€".encode()]
    clean = [value.decode() for value in valid_utf8(tf.constant(raw)).numpy()]
    assert clean[0] == "\ufffd"
    assert clean[1] == "ab\ufffd"
    assert set(clean[2]) == {"\ufffd"}  # an encoded surrogate
    assert clean[3] == "n\ufffd"
    assert clean[4] == "ok€"
    vocabulary = learn(raw)
    found = ids(TokenGraph(vocabulary), raw)
    assert (found["words"] > 1).all()
    again = ids(TokenGraph(vocabulary), clean)
    for name, value in found.items():
        np.testing.assert_array_equal(value, again[name])


def test_words_stand_by_falling_frequency_then_first_occurrence():
    vocabulary = learn(["b", "A", "a", "c", "d", "e9", "e8"], [3, 1, 2, 9, 1, 1, 1])
    assert vocabulary.words == ["c", "b", "a", "e0", "d"]  # a: 1 + 2, after b; e8 and e9 are one word
    assert vocabulary.rare_from == 2 + 4
    assert vocabulary.n_words == 7
    assert [chr(c) for c in vocabulary.characters] == ["c", "b", "a", "e", "A", "d", "9", "8"]
    assert vocabulary.n_characters == 10


def test_min_count_and_what_is_left_out():
    vocabulary = learn(["a", "b", "c"], [1, 2, 3], min_count=2, characters=False, features=False)
    assert vocabulary.words == ["c", "b"]
    assert (vocabulary.n_characters, vocabulary.feature_sizes) == (0, [])
    found = ids(TokenGraph(vocabulary), ["a", "b", "c"])
    assert list(found) == ["words"]
    assert found["words"].tolist() == [1, 3, 2]


def test_words_of_pretrained_vectors_follow_those_of_the_corpus():
    vocabulary = learn(["the", "cat"], [2, 1], extra_words=["cat", "dog", "emu", "dog"])
    assert vocabulary.extra_words == ["dog", "emu"]
    assert vocabulary.n_words == 4  # ids with learned vectors
    found = ids(TokenGraph(vocabulary), ["The", "cat", "Dog", "emu", "yak"])["words"]
    assert found.tolist() == [2, 3, 4, 5, 1]


def test_json_round_trip_gives_the_same_graph():
    vocabulary = learn(TOKENS, extra_words=["nächster"])
    text = json.dumps(vocabulary.to_json())
    again = TokenVocabulary.from_json(json.loads(text))
    assert again == vocabulary
    one, two = (ids(TokenGraph(v), [*TOKENS, "", "nächster"]) for v in (vocabulary, again))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_an_empty_corpus_knows_nothing_and_still_answers():
    vocabulary = learn_vocabulary(tf.constant([], tf.string), np.zeros(0, int))
    assert vocabulary.n_words == 2
    found = ids(TokenGraph(vocabulary), ["a", ""])
    assert found["words"].tolist() == [1, 0]
    assert found["features"].tolist() == [[1] * 8, [0] * 8]


def test_no_tokens_and_only_empty_tokens():
    graph = TokenGraph(learn(TOKENS))
    found = ids(graph, [])
    assert found["words"].shape == (0,)
    assert found["characters"].shape == (0, 1)
    assert found["features"].shape == (0, 8)
    found = ids(graph, ["", ""])
    assert not any(value.any() for value in found.values())
    assert found["characters"].shape == (2, 1)


def test_the_graph_has_stock_operations_only():
    graph = TokenGraph(learn(TOKENS))
    function = tf.function(graph, input_signature=[tf.TensorSpec([None], tf.string)]).get_concrete_function()
    operations = {node.op for node in function.graph.as_graph_def().node}
    assert not {name for name in operations if "PyFunc" in name or ">" in name}
    assert "LookupTableFindV2" in operations
    found = function(tf.constant(TOKENS))
    for name, value in ids(graph, TOKENS).items():
        np.testing.assert_array_equal(found[name], value)
