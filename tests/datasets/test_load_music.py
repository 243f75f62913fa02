"""Music: pieces and steps as their sources count them."""

import numpy as np
import pytest

from seqkit.datasets import load_music
from seqkit.errors import ParameterError


@pytest.mark.parametrize(("split", "pieces", "steps"), [("train", 229, 13807), ("dev", 76, 4602), ("test", 77, 4725)])
def test_piano_rolls(real, split, pieces, steps):
    real("poly_music")
    found = load_music("poly_music", split)
    assert len(found) == pieces and sum(map(len, found)) == steps
    assert all(piece.shape[1] == 88 and np.isin(piece, (0, 1)).all() for piece in found)
    if split == "train":
        assert [np.flatnonzero(frame).tolist() for frame in found[0][:2]] == [[39, 51, 58, 67], [51, 58, 67]]


@pytest.mark.parametrize(("split", "pieces", "steps"), [("train", 229, 55228), ("dev", 76, 18408), ("test", 77, 18900)])
def test_voices(real, split, pieces, steps):
    real("jsb_chorales_json")
    found = load_music("jsb_chorales_json", split)
    assert len(found) == pieces and sum(map(len, found)) == steps
    assert all(piece.shape[1] == 4 and piece.min() >= -1 and piece.max() < 128 for piece in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("names",), "That set is of another kind"),
        (("none such",), "name must be 'poly_music' or 'jsb_chorales_json'; got 'none such'"),
        (("poly_music", "all"), "must be one of 'train', 'dev', 'test'; got 'all'"),
    ],
)
def test_what_there_is_not(arguments, message):
    with pytest.raises(ParameterError, match=message):
        load_music(*arguments)
