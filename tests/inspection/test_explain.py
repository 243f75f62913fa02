"""Explanations by leaving tokens out, of a classifier whose answers are known: the share of tokens that say "good"."""

from __future__ import annotations

import numpy as np
import pytest

from seqkit.errors import InputTypeError
from seqkit.inspection import explain, leave_one_out


class Share:
    tokenizer = "words"
    target_kind_ = "one"
    classes_ = np.array(["bad", "good"], object)

    def __init__(self):
        self.calls = []

    def predict_proba(self, X):
        self.calls.append(len(X))
        good = np.array([(tokens.count("good") + 1) / (len(tokens) + 2) for tokens in X])
        return np.stack([1 - good, good], 1)


ITEMS = ["So good, good!", [], ["dull", "good", "dull"], "", "Zoë\u2028is  dull."]


def test_scores_are_differences_of_logarithms():
    (found,) = leave_one_out(Share(), ["good, good"])
    assert (found["tokens"], found["label"], found["probability"]) == (["good", ",", "good"], "good", 3 / 5)
    np.testing.assert_allclose(found["scores"], np.log([0.6 / 0.5, 0.6 / 0.75, 0.6 / 0.5]))
    assert [found["text"][s:e] for s, e in zip(found["starts"], found["ends"], strict=True)] == found["tokens"]


@pytest.mark.parametrize(("most", "calls"), [(1_000_000, [17]), (8, None)])
def test_texts_share_calls_and_answers_do_not_depend_on_it(monkeypatch, most, calls):
    monkeypatch.setattr(explain, "_TOKENS_AT_ONCE", most)
    classifier = Share()
    together = leave_one_out(classifier, iter(ITEMS))
    assert sum(classifier.calls) == 17 and (calls is None or classifier.calls == calls)
    assert max(classifier.calls) <= most
    for item, found in zip(ITEMS, together, strict=True):
        (alone,) = leave_one_out(Share(), [item])
        assert alone.keys() == found.keys() and ("text" in found) == isinstance(item, str)
        assert all(np.array_equal(alone[name], found[name]) for name in alone)
    assert leave_one_out(Share(), []) == []


def test_what_cannot_be_explained():
    with pytest.raises(InputTypeError, match="Wrap it"):
        leave_one_out(Share(), "good")
    trees = type("Trees", (), {"target_kind_": "one", "classes_": Share.classes_})
    with pytest.raises(InputTypeError, match="Only classifiers of texts or tokens"):
        leave_one_out(trees(), ["(good)"])
