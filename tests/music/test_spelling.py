"""Notes written as words."""

import pytest

from seqkit.errors import ParameterError
from seqkit.music.spelling import read_notes


def test_words_are_notes():
    score = read_notes("C4 F#4:2, R:1/2 Bb3:1/4\n72 c-1 Cb4", tempo=60)
    assert [(n.time, n.duration, n.pitch) for n in score.tracks[0].notes] == [
        (0, 480, 60),
        (480, 960, 66),
        (1680, 120, 58),
        (1800, 480, 72),
        (2280, 480, 0),
        (2760, 480, 59),
    ]
    assert [round(t.qpm, 3) for t in score.tempos] == [60]


@pytest.mark.parametrize("text", ["H4", "C", "C4:", "C4:0", "C4:1/7", "", "C4 x", "C4:1/0", "4:"])
def test_other_words_are_told(text):
    with pytest.raises(ParameterError, match="is no note"):
        read_notes(text)


@pytest.mark.parametrize(("text", "message"), [("R R:2", "has no notes"), ("128", "out of range"), ("B9", "from 0")])
def test_what_cannot_be_played_is_told(text, message):
    with pytest.raises(ParameterError, match=message):
        read_notes(text)
