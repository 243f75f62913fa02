"""The look-up in NumPy alone gives what the graph of TensorFlow operations gives."""

from __future__ import annotations

import random

import numpy as np
import pytest

from seqkit.export.conversion import vocabulary_description
from seqkit.export.token_inputs import TokenInputs
from seqkit.text.corpus import encode_strings
from seqkit.text.features import TokenGraph, learn_vocabulary

# Signs whose lower case or class differs between versions of Unicode, depends on what is beside them, or is two signs.
_ODD = [
    "Σ",
    "ΑΣ",
    "İ",
    "ß",
    "ǅ",
    "\U00010570",
    "\u2c2f",
    "\U00011f50",
    "\ud800",
    "👍🏽",
    "天",
    "٣",
    "\u0301",
    "'",
    "\0",
]


def some_tokens(count: int) -> list[str]:
    generator = random.Random(0)
    letters = [*map(chr, range(0x250)), *_ODD * 5]
    return ["".join(generator.choices(letters, k=generator.choice([1, 2, 3, 4, 5, 8, 40, 70]))) for _ in range(count)]


@pytest.mark.parametrize(("lowercase", "digits"), [(True, True), (False, False)])
def test_ids_are_those_of_the_graph(lowercase, digits):
    tokens = [*some_tokens(1000), "AAAaaa111ééé", "Dddd", "uuuu", "3333"]
    vocabulary = learn_vocabulary(
        encode_strings(tokens[::2]),
        np.ones(len(tokens[::2]), np.int64),
        lowercase=lowercase,
        digits=digits,
        min_feature_count=1,
        extra_words=["extra", "of vectors"],
    )
    description = {"inputs": {"words": {"shape": [-1, -1]}}, "vocabulary": vocabulary_description(vocabulary)}
    asked = [*tokens, "extra", "", "unseen", *map(chr, range(1, 0x110000, 97))]
    ids = TokenInputs(description)([asked, ["a"]])
    expected = TokenGraph(vocabulary)(encode_strings(asked))
    assert set(ids) == {*expected, "lengths"} and ids["lengths"].tolist() == [len(asked), 1]
    for name, values in expected.items():
        assert len(np.unique(values)) > 10
        np.testing.assert_array_equal(ids[name][0], values, err_msg=name)
        assert not ids[name][1, 1:].any()


def test_what_is_no_list_of_tokens():
    description = {"inputs": {"words": {"shape": [-1, -1]}}}
    with pytest.raises(ValueError, match="reads no tokens"):
        TokenInputs(description)
    vocabulary = learn_vocabulary(encode_strings(["a"]), np.ones(1, np.int64))
    inputs = TokenInputs(description | {"vocabulary": vocabulary_description(vocabulary)})
    for bad in (["a text"], [["a"], [1]]):
        with pytest.raises(TypeError, match=r"sentences\[\d\] must be a list of tokens"):
            inputs(bad)
    assert inputs([])["words"].shape == (0, 1)
