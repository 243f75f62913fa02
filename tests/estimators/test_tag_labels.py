"""Lists of tags: what does not fit is named."""

import numpy as np
import pytest

from seqkit.errors import DataError, InputTypeError
from seqkit.estimators.tag_labels import flatten_tags, tag_numbers, tag_numbers_and_unseen


def test_tags_in_one_list():
    assert flatten_tags([["O", "B-X"], [], ("O",)], np.array([2, 0, 1])) == ["O", "B-X", "O"]
    assert flatten_tags([np.array([1, 2])], np.array([2])) == [1, 2]
    assert flatten_tags([], np.zeros(0, int)) == []


@pytest.mark.parametrize(
    ("tags", "kind", "message"),
    [
        ([["O"]], DataError, "X and y must have the same number of sequences, got 2 and 1"),
        ([["O", "O"], ["O", "O"]], DataError, r"X\[1\] has 1 tokens but y\[1\] has 2 tags"),
        ([["O", "O"], "O"], InputTypeError, r"y\[1\] must be a list of tags, one for each token; got str 'O'"),
        ([["O", "O"], None], InputTypeError, r"y\[1\] must be a list of tags"),
        ("OO", InputTypeError, "y must be a list of tag lists, got str"),
        (None, InputTypeError, "y must be a list of tag lists, got NoneType"),
    ],
)
def test_tags_that_do_not_fit_are_named(tags, kind, message):
    with pytest.raises(kind, match=message):
        flatten_tags(tags, np.array([2, 1]))


def test_numbers():
    classes = np.array(["B-X", "I-X", "O"], object)
    numbers, unseen = tag_numbers_and_unseen(classes, ["O", "B-Y", "B-X", "B-Z", "B-Y"])
    assert numbers.tolist() == [2, 3, 0, 4, 3] and unseen == ["B-Y", "B-Z"]
    assert tag_numbers(classes, [["O"], ["I-X"]], ["O", "I-X"]).tolist() == [2, 1]
    with pytest.raises(DataError, match=r"y\[1\]\[1\] is 'B-Y'"):
        tag_numbers(classes, [["O"], ["I-X", "B-Y"]], ["O", "I-X", "B-Y"])
    with pytest.raises(DataError, match=r"classes\[0\] is 'B-Y'"):
        tag_numbers(classes, [["B-Y", "O"]], ["B-Y", "O"], "classes")
