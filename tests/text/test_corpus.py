"""Corpora as arrays, and the errors of bad input with their index."""

import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import InputTypeError
from seqkit.text.corpus import corpus_from_ragged, corpus_from_tokens, encode_strings, join_corpora

SENTENCES = [["a", "b", "a"], [], ["é\x00", "b", ""], ["a\x00"]]


def restored(corpus):
    flat = iter(corpus.types.numpy()[corpus.index].tolist())
    return [[next(flat).decode() for _ in range(n)] for n in corpus.lengths]


def test_tokens_come_back_in_place():
    corpus = corpus_from_tokens(SENTENCES)
    assert restored(corpus) == SENTENCES
    assert [t.decode() for t in corpus.types.numpy()] == ["a", "b", "é\x00", "", "a\x00"]  # by first occurrence
    assert corpus.lengths.tolist() == [3, 0, 3, 1]
    assert corpus.counts.tolist() == [2, 2, 1, 1, 1]
    assert corpus.index.dtype == np.int32


def test_sequences_of_other_kinds():
    expected = corpus_from_tokens([["a", "b"], ["c"]])
    for given in ((("a", "b"), ("c",)), [np.array(["a", "b"]), np.array(["c"])], np.array([["a", "b"]])):
        corpus = corpus_from_tokens(given)
        assert restored(corpus) == restored(expected)[: len(given)]


def test_nothing():
    for given in ([], [[]], [[], []]):
        corpus = corpus_from_tokens(given)
        assert corpus.lengths.tolist() == [0] * len(given)
        assert (len(corpus.types), corpus.index.tolist(), corpus.counts.tolist()) == (0, [], [])


def test_ragged_text_equals_lists():
    ragged = tf.ragged.constant(SENTENCES, dtype=tf.string)
    one, two = corpus_from_ragged(ragged), corpus_from_tokens(SENTENCES)
    np.testing.assert_array_equal(one.types, two.types)
    np.testing.assert_array_equal(one.index, two.index)
    np.testing.assert_array_equal(one.lengths, two.lengths)


def test_lone_surrogates_become_replacement_characters():
    assert encode_strings(["a\ud800", "é"]).numpy().tolist() == ["a\ufffd".encode(), "é".encode()]
    corpus = corpus_from_tokens([["\ud800", "x"], ["\udfff"]])
    assert restored(corpus) == [["\ufffd", "x"], ["\ufffd"]]


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ([["a"], None], r"X\[1\] must be a list of tokens.*got None"),
        ([["a"], "b c"], r"X\[1\] must be a list of tokens.*got str 'b c'"),
        ([["a"], ""], r"X\[1\] must be a list of tokens.*got str ''"),
        ([["a"], b"bc"], r"X\[1\] must be a list of tokens.*got bytes"),
        ([["a"], 3], r"X\[1\] must be a list of tokens.*got int 3"),
        ([["a"], [], ["b", None]], r"X\[2\]\[1\] must be a string, got NoneType"),
        ([["a", 7]], r"X\[0\]\[1\] must be a string, got int 7"),
        ([["a", b"b"]], r"X\[0\]\[1\] must be a string, got bytes"),
        ([["a"], [["b"]]], r"X\[1\]\[0\] must be a string, got list"),
        ("abc", r"X\[0\] must be a list of tokens"),
    ],
)
def test_bad_items_are_named(sentences, message):
    with pytest.raises(InputTypeError, match=message) as error:
        corpus_from_tokens(sentences)
    assert isinstance(error.value, TypeError)
    with pytest.raises(InputTypeError, match=r"^dev\["):
        corpus_from_tokens(sentences, name="dev")


def test_joined():
    one, other = corpus_from_tokens([["a", "b"], []]), corpus_from_tokens([["b", "c", "b"]])
    joined = join_corpora(one, other)
    assert joined.types.numpy().tolist() == [b"a", b"b", b"c"] and joined.lengths.tolist() == [2, 0, 3]
    assert joined.index.tolist() == [0, 1, 1, 2, 1] and joined.counts.tolist() == [1, 3, 1]
