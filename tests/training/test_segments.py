"""Segments of a stream: every token of every text is expected once, after those before it."""

import numpy as np
import pytest

from seqkit.training.segments import Pieces, cut, reading_segments, stream, training_segments


def texts(rng, count, longest):
    lengths = rng.integers(0, longest, count)
    return [rng.integers(1, 50, n) for n in lengths]


def flat(parts):
    return np.concatenate([np.zeros(0, np.int64), *parts])


def test_the_stream_holds_each_text_between_zeros():
    ids, pieces = stream(np.array([5, 6, 7]), np.array([2, 0, 1]))
    assert ids.tolist() == [0, 5, 6, 0, 0, 7, 0]
    assert pieces.begins.tolist() == [0, 3, 4] and pieces.counts.tolist() == [3, 1, 2]
    assert stream(np.zeros(0, int), np.zeros(0, int))[0].tolist() == [0]


@pytest.mark.parametrize("make", [training_segments, reading_segments])
@pytest.mark.parametrize(("count", "longest", "most"), [(30, 12, 5), (1, 400, 50), (3, 2, 7)])
def test_segments_cover_every_text_once_and_in_order(make, count, longest, most):
    rng = np.random.default_rng(count)
    parts = texts(rng, count, longest)
    ids, pieces = stream(flat(parts), np.array(list(map(len, parts))))
    pieces = cut(pieces, most)
    arguments = (rng,) if make is training_segments else ()
    expected = [[] for _ in parts]
    place = {}
    for segment in make(pieces, 4, 3, *arguments):
        assert len(segment.rows) <= 4 and segment.counts.max() <= 3
        for row, begin, n, end in zip(segment.rows, segment.begins, segment.counts, segment.ends, strict=True):
            assert segment.fresh == (row not in place)
            assert end == (n > 0 and begin + n == pieces.begins[row] + pieces.counts[row] and pieces.last[row])
            if n:
                # What a row reads follows what it has read.
                assert begin == place.get(row, pieces.begins[row])
            place[row] = begin + n if n else place[row]
    for row, (begin, count, text, _) in enumerate(zip(*pieces, strict=True)):
        assert place[row] == begin + count
        expected[text].extend(ids[begin + 1 : begin + count + 1])
    assert expected == [[*part, 0] for part in parts]


def test_pieces_are_nearly_equal():
    pieces = cut(Pieces(np.array([0, 11]), np.array([11, 3]), np.array([0, 1]), np.array([True, False])), 4)
    assert pieces.counts.tolist() == [4, 4, 3, 3]
    assert pieces.begins.tolist() == [0, 4, 8, 11]
    assert pieces.texts.tolist() == [0, 0, 0, 1]
    assert pieces.last.tolist() == [False, False, True, False]


def test_frames_have_a_stream_without_ends():
    frames, pieces = stream(np.array([[1, 0], [1, 1], [0, 1]]), np.array([2, 1]), end=False)
    assert frames.tolist() == [[0, 0], [1, 0], [1, 1], [0, 0], [0, 1], [0, 0]]
    assert pieces.begins.tolist() == [0, 3] and pieces.counts.tolist() == [2, 1]
