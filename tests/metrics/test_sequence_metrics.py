"""Error rates, texts' scores and vectors' scores, against numbers found by hand or by the libraries themselves."""

import numpy as np
import pytest

from seqkit.errors import DataError
from seqkit.metrics.sequences import edit_distances, text_scores, token_errors, vector_scores


def distance(a, b):
    """Levenshtein's distance, as its recurrence says."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            same = a[i - 1] == b[j - 1]
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (not same))
    return table[-1, -1]


def test_edit_distances():
    rng = np.random.default_rng(0)
    rows = [["".join(rng.choice(list("abc"), rng.integers(0, 6))) for _ in range(60)] for _ in range(2)]
    rows = [[*side, last] for side, last in zip(rows, ("", ""), strict=True)]
    found = edit_distances(*[[list(row) for row in side] for side in rows])
    assert found.tolist() == [distance(a, b) for a, b in zip(*rows, strict=True)]
    assert edit_distances([[]], [[]]).tolist() == [0] and edit_distances([], []).tolist() == []
    assert edit_distances([["ab", "c"]], [["abc"]]).tolist() == [2]  # tokens, not characters


def test_the_nearest_reference_counts_and_of_those_the_longest():
    references = [[["a", "b"], ["a", "c", "d"]], [["x"]], [["p", "q"], ["p", "q", "r", "s"]]]
    hypotheses = [["a", "c", "e"], ["x"], ["p", "q", "r"]]
    found = token_errors(references, hypotheses)
    assert found["sequence_error_rate"] == pytest.approx(2 / 3)
    assert found["token_error_rate"] == pytest.approx((1 + 0 + 1) / (3 + 1 + 4))
    weighted = token_errors(references, hypotheses, [2.0, 1.0, 1.0])
    assert weighted["sequence_error_rate"] == pytest.approx(3 / 4)
    assert weighted["token_error_rate"] == pytest.approx((2 + 0 + 1) / (6 + 1 + 4))


def test_texts():
    same, other = ["the cat sat on the mat", "it rained"], ["the cat sat on a mat", "it snowed"]
    assert text_scores(same, same) == {"chrf": 1.0, "bleu": pytest.approx(1.0)}
    found = text_scores(same, other)
    assert 0.2 < found["bleu"] < 0.7 and 0.3 < found["chrf"] < 0.9
    weighted = text_scores(same, other, np.array([1.0, 0.0]))
    assert weighted["chrf"] == pytest.approx(text_scores(same[:1], other[:1])["chrf"], abs=1e-6)


def test_vectors():
    true = [np.array([[0.0], [2.0]]), np.array([[4.0]])]
    found = [np.array([[0.0], [1.0]]), np.array([[4.0]])]
    assert vector_scores(true, found) == {"r2": pytest.approx(1 - 1 / 8), "mean_absolute_error": pytest.approx(1 / 3)}
    assert vector_scores(true, found, [0.0, 1.0])["mean_absolute_error"] == 0


def test_sides_that_differ_in_length():
    with pytest.raises(DataError, match="lengths 1 and 2"):
        token_errors([[["a"]]], [["a"], ["b"]])
    with pytest.raises(DataError, match=r"references\[1\] is empty"):
        token_errors([[["a"]], []], [["a"], ["b"]])


def test_error_rates_do_not_depend_on_the_scale_of_weights():
    given = [[["a", "b"]], [["c"]]], [["a"], ["c"]]
    whole, small = (token_errors(*given, weights=np.array(weights)) for weights in ([1, 3], [0.01, 0.03]))
    assert whole == pytest.approx(small) and whole["token_error_rate"] == 1 / 5
    with pytest.raises(DataError, match="references is empty"):
        token_errors([], [])
