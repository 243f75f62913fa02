"""The checks of X: what each kind of input becomes. (Errors as users meet them: test_tagger_input.)"""

from __future__ import annotations

import numpy as np
import pytest

from seqkit.errors import DataError, InputTypeError
from seqkit.estimators.sequences import as_list, check_sequences, kind_of
from seqkit.training.checkpoint import fingerprint


def tokens_of(sequences) -> list[list[str]]:
    types = [token.decode() for token in sequences.corpus.types.numpy().tolist()]
    flat = [types[i] for i in sequences.corpus.index]
    ends = np.cumsum(sequences.lengths)
    return [flat[end - n : end] for end, n in zip(ends, sequences.lengths, strict=True)]


def test_tokens():
    found = check_sequences([["b", "a"], [], ["b"], ("c",), np.array(["a", "c"])])
    assert found.kind == "tokens" and len(found) == 5
    assert found.lengths.tolist() == [2, 0, 1, 1, 2]
    assert found.corpus.types.numpy().tolist() == [b"b", b"a", b"c"]
    assert tokens_of(found) == [["b", "a"], [], ["b"], ["c"], ["a", "c"]]


def test_texts():
    found = check_sequences(["a b", "", "b 👍🏽"])
    assert found.kind == "texts" and found.lengths.tolist() == [2, 0, 2]
    assert tokens_of(found) == [["a", "b"], [], ["b", "👍🏽"]]
    assert tokens_of(check_sequences(["b c"], tokenizer="characters")) == [["b", "c"]]


def test_vectors():
    found = check_sequences([[[1, 2], [3, 4]], np.zeros((0, 2)), []])
    assert found.kind == "vectors" and found.lengths.tolist() == [2, 0, 0]
    assert [v.shape for v in found.vectors] == [(2, 2), (0, 2), (0, 2)]
    assert found.vectors[0].dtype == np.float32
    assert [v.shape for v in check_sequences([[1, 2, 3], [True]]).vectors] == [(3, 1), (1, 1)]
    assert [v.shape for v in check_sequences(np.zeros((2, 5))).vectors] == [(5, 1)] * 2
    assert [v.shape for v in check_sequences(np.zeros((2, 5, 3), int)).vectors] == [(5, 3)] * 2


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ([], None),
        ([[], ()], None),
        ([np.array([]), "a"], "texts"),
        ([[], ["a"]], "tokens"),
        ([[], [0.5]], "vectors"),
        ([[], [[0.5]]], "vectors"),
        ([np.zeros((0, 3))], "vectors"),
        ([np.array(["a"])], "tokens"),
        ([np.array([np.float64(1)], object)], "vectors"),
    ],
)
def test_kind(items, kind):
    assert kind_of(items) == kind


def test_kind_of_a_fitted_estimator():
    assert check_sequences([[]], kind="vectors", dim=3).vectors[0].shape == (0, 3)
    assert check_sequences(["a"], kind="tokens").kind == "texts"
    assert check_sequences([], kind="tokens").lengths.tolist() == []
    with pytest.raises(InputTypeError, match="X must hold lists of tokens, as in fit; got arrays of vectors"):
        check_sequences([[1.0]], kind="tokens")
    with pytest.raises(DataError, match=r"dev\[1\] has vectors of size 2, expected 3"):
        check_sequences([np.zeros((1, 3)), np.zeros((1, 2))], kind="vectors", name="dev")


def test_as_list():
    pandas = pytest.importorskip("pandas")
    assert as_list(iter(["a", "b"])) == ["a", "b"]
    assert as_list(pandas.Series([["a"], ["b"]], index=[4, 4])) == [["a"], ["b"]]
    assert as_list(np.array([["a", "b"]])) == [["a", "b"]]
    # The rows of a table, not the names of its columns.
    assert as_list(pandas.DataFrame({"x": ["a", "b"], "y": ["c", "d"]})) == [["a", "c"], ["b", "d"]]
    np.testing.assert_array_equal(as_list(pandas.DataFrame({"x": [1, 2], "y": [3, 4]})), [[[1], [3]], [[2], [4]]])
    with pytest.raises(DataError, match=r"shape \(n, length\)"):
        as_list(np.zeros(3))


def test_max_length():
    assert len(check_sequences(["a b", "a"], max_length=2)) == 2
    with pytest.raises(DataError, match=r"X\[1\] has length 3, more than max_length=2"):
        check_sequences([["a"], ["a"] * 3], max_length=2)
    with pytest.raises(DataError, match="length 3"):
        check_sequences([np.zeros((3, 1))], max_length=2)


def test_fingerprints_differ():
    """Other cuts, other tokens, another order, vectors in place of tokens."""
    inputs = [[["a", "b"], ["c"]], [["a"], ["b", "c"]], [["a", "b"], ["d"]], [["c"], ["a", "b"]], [["a", "b", "c"]]]
    inputs += [[[[0.0], [1.0]], [[2.0]]], [[[0.0]], [[1.0], [2.0]]], [[[0.0], [1.0]], [[2.5]]]]
    marks = [fingerprint(*check_sequences(X).fingerprint_parts()) for X in inputs]
    assert len(set(marks)) == len(inputs)
    assert marks[0] == fingerprint(*check_sequences(tuple(x) for x in inputs[0]).fingerprint_parts())
