"""Alignments as text and as pictures."""

import matplotlib.image
import numpy as np
import pytest

from seqkit.errors import DataError
from seqkit.estimators.translating import Alignment
from seqkit.inspection import draw_alignment, format_alignment

EXAMPLE = Alignment(["le", "chat", "$"], ["the", "cat"], np.array([[1, 0, 0], [0.2, 0.55, 0.25], [0, 0.1, 0.9]]))


def test_text():
    assert format_alignment(EXAMPLE).splitlines() == [
        "      le chat $",
        "  the ██",
        "  cat ░░ ▒▒▒▒ ░",
        "<EOS>         █",
    ]


def test_text_of_wide_characters_and_spaces_lines_up():
    lines = format_alignment(Alignment(["日本", " "], ["a"], np.array([[1.0, 1.0]]))).splitlines()
    assert lines == ["  日本 ␣", "a ████ █"]


def test_nothing():
    assert format_alignment(Alignment([], [], np.zeros((1, 0)))) == "\n<EOS>"


def test_picture(tmp_path):
    draw_alignment(EXAMPLE, tmp_path / "one.png", title="a $ sign")
    picture = matplotlib.image.imread(tmp_path / "one.png")
    assert picture.shape[0] > 100 and picture.shape[1] > 100 and picture[..., :3].min() < 0.1
    draw_alignment(Alignment(["a"] * 9, ["b"], np.eye(1, 9)), tmp_path / "two.png")
    assert matplotlib.image.imread(tmp_path / "two.png").shape[1] > picture.shape[1]


def test_weights_of_another_shape():
    with pytest.raises(DataError, match=r"shape \(2, 2\) for 2 target and 3 source tokens"):
        format_alignment(Alignment(["a", "b", "c"], ["d"], np.zeros((2, 2))))
