"""Runs copied from training music, against a search of all runs one by one."""

import io
from itertools import pairwise

import numpy as np
import pytest
from symusic import Note, Score, Track

from seqkit.errors import DataError
from seqkit.music import copying
from seqkit.music.copying import Copied, TrainingRuns, is_copy


def score(*lines, drums=(), tpq=12):
    """Lines of (onset, pitch), in twelfths of a quarter by default."""
    made = Score(tpq)
    for i, notes in enumerate(lines):
        made.tracks.append(Track("", 0, i in drums))
        for onset, pitch in notes:
            made.tracks[i].notes.append(Note(onset, 1, pitch, 80))
    return made


def even(*pitches, start=0, wait=6):
    return [(start + wait * i, pitch) for i, pitch in enumerate(pitches)]


def steps(line):
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(line)]


def by_force(own, training):
    """Longest run: try all runs at all places. Training is a list of pieces, each a list of lines."""
    longest = 0
    for mine in map(steps, own):
        for theirs in (steps(line) for piece in training for line in piece):
            for i in range(len(mine)):
                for j in range(len(theirs)):
                    for length in range(1, min(len(mine) - i, len(theirs) - j) + 1):
                        if mine[i : i + length] != theirs[j : j + length]:
                            break
                        if any(interval for _, interval in mine[i : i + length]):
                            longest = max(longest, length + 1)
    return longest


def random_line(rng, notes, pitches, waits):
    onsets = rng.integers(0, 30) + np.cumsum(rng.choice(waits, notes))
    return list(zip(onsets.tolist(), rng.choice(pitches, notes).tolist(), strict=True))


@pytest.mark.parametrize("seed", range(12))
def test_equals_a_search_of_all_runs(seed):
    rng = np.random.default_rng(seed)
    # Few pitches and lengths, so that there are runs of all lengths and many on one pitch.
    pitches, waits = [60, 60, 62, 65][: 2 + seed % 3], [3, 6][: 1 + seed % 2]

    def piece():
        return [random_line(rng, rng.integers(0, 25), pitches, waits) for _ in range(rng.integers(0, 4))]

    training = [piece() for _ in range(5)]
    runs = TrainingRuns.of([score(*lines) for lines in training], [f"piece {i}" for i in range(5)])
    for _ in range(10):
        own = piece()
        found = runs.longest_copied(score(*own))
        assert found.notes == by_force(own, training)
        if found.notes == 0:
            assert found == Copied(0)
            continue
        # It is where it is said to be.
        mine = own[found.track]
        run = mine[found.start : found.start + found.notes]
        assert len(run) == found.notes and found.share == found.notes / len(mine)
        source = training[int(found.piece.removeprefix("piece "))]
        places = [line[i : i + found.notes] for line in source for i in range(len(line))]
        assert steps(run) in [steps(place) for place in places if place[0][0] == found.training_quarters * 12]


def test_a_melody_is_found_in_any_key_and_at_any_time():
    tune = [(0, 60), (3, 62), (6, 64), (18, 60), (24, 67), (27, 69)]
    other = even(60, 59, 57, 55)
    runs = TrainingRuns.of([score(other), score(even(40, 40), [(t + 24, p) for t, p in tune])], ["other", "tune"])
    moved = [(t + 100, p - 7) for t, p in tune]
    before = [(1, 90), (55, 20)]
    found = runs.longest_copied(score(even(40, 41), before + moved + [(200, 30)]))
    assert found == Copied(6, "tune", 2.0, 1, 2, 6 / 9)
    # Neither upside down, nor slower, nor with another rhythm.
    for changed in (
        [(t, 120 - p) for t, p in tune],
        [(2 * t, p) for t, p in tune],
        even(*(p for _, p in tune), wait=5),
    ):
        assert runs.longest_copied(score(changed)).notes < 6


def test_resolutions_do_not_matter():
    pitches = (60, 62, 64, 60, 67)
    runs = TrainingRuns.of([score(even(*pitches))], ["a"])
    fine = [(40 * onset, pitch) for onset, pitch in even(*pitches)]
    assert runs.longest_copied(score(fine, tpq=480)).notes == 5


def test_runs_do_not_cross_pieces_or_tracks():
    first, second = even(60, 61, 63), even(63, 67, 72)
    joined = first + even(67, 72, start=18)
    two_pieces = TrainingRuns.of([score(first), score(second)], ["a", "b"])
    two_tracks = TrainingRuns.of([score(first, second)], ["a"])
    together = TrainingRuns.of([score(joined)], ["a"])
    assert [runs.longest_copied(score(joined)).notes for runs in (two_pieces, two_tracks, together)] == [3, 3, 5]
    # Nor do the runs that are looked for.
    assert together.longest_copied(score(first, second)).notes == 3


def test_runs_on_one_pitch_are_no_copies():
    runs = TrainingRuns.of([score(even(*[60] * 30, 62, 60))], ["a"])
    assert runs.longest_copied(score(even(*[50] * 30))) == Copied(0)
    assert runs.longest_copied(score(even(*[50] * 20, 52))).notes == 21  # it moves at last


def test_the_first_of_several_is_told():
    runs = TrainingRuns.of([score(even(1, 9)), score(even(60, 61, 63)), score(even(60, 61, 63))], ["a", "b", "c"])
    assert runs.longest_copied(score(even(70, 71, 73))).piece == "b"


def test_drums_are_left_out():
    line = even(60, 61, 63)
    assert TrainingRuns.of([score(line, drums=[0])], ["a"]).longest_copied(score(line)) == Copied(0)
    runs = TrainingRuns.of([score(line)], ["a"])
    assert runs.longest_copied(score(line, drums=[0])) == Copied(0)
    assert runs.longest_copied(score(line, line, drums=[0])).track == 1


def test_of_chords_the_highest_notes_count():
    chords = sorted(even(60, 61, 63) + even(50, 40, 30))
    assert TrainingRuns.of([score(chords)], ["a"]).longest_copied(score(even(70, 71, 73))).notes == 3


def test_sixteen_notes_are_a_copy():
    scale = even(*range(60, 80))
    runs = TrainingRuns.of([score(scale[:15]), score(scale[:16])], ["short", "long"])
    found = runs.longest_copied(score(scale))
    assert (found.notes, found.piece, found.share) == (16, "long", 16 / 20) and is_copy(found)
    assert not is_copy(runs.longest_copied(score(scale[:15])))
    assert not is_copy(Copied(0))


def test_nothing_to_find():
    empty = TrainingRuns.of([], [])
    assert empty.longest_copied(score(even(60, 62))) == Copied(0)
    assert TrainingRuns.of([score(), score(even(60))], ["a", "b"]).longest_copied(score(even(60, 62))) == Copied(0)
    runs = TrainingRuns.of([score(even(60, 62))], ["a"])
    for piece in (score(), score([]), score(even(60)), score(even(60, 63))):
        assert runs.longest_copied(piece) == Copied(0)


def test_equal_hashes_do_not_make_a_copy(monkeypatch):
    """Where all windows have one hash, what is told is still in both."""
    training, own = even(60, 61, 63, 66, 70), even(60, 65, 66, 68, 60)
    runs = TrainingRuns.of([score(training)], ["a"])
    monkeypatch.setattr(copying._Lines, "hashes", lambda self, starts, length: np.zeros(len(starts), np.uint64))
    found = runs.longest_copied(score(own))
    assert found.notes <= by_force([own], [[training]]) == 3
    assert runs.longest_copied(score(even(50, 51, 53, 56, 60))).notes == 5


def test_saved_without_pickle():
    rng = np.random.default_rng(0)
    lines = [random_line(rng, 20, [60, 62, 65], [3, 6]) for _ in range(8)]
    runs = TrainingRuns.of([score(*lines[:3]), score(), score(*lines[3:])], ["Fin é", "", "c"])
    stream = io.BytesIO()
    np.savez(stream, **runs.to_arrays())
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as arrays:
        again = TrainingRuns.from_arrays(arrays)
    assert again.names == ["Fin é", "", "c"]
    for line in lines:
        found = again.longest_copied(score(line))
        assert found.notes == 20 and found == runs.longest_copied(score(line))
    nothing = TrainingRuns.from_arrays(TrainingRuns.of([], []).to_arrays())
    assert nothing.longest_copied(score(lines[0])) == Copied(0)


def test_faults():
    with pytest.raises(DataError, match="got 1 names for 2 scores"):
        TrainingRuns.of([score(), score()], ["a"])
    arrays = TrainingRuns.of([score(even(60, 62))], ["a"]).to_arrays()
    with pytest.raises(DataError, match="missing: bounds, names"):
        TrainingRuns.from_arrays({name: arrays[name] for name in ("steps", "pieces", "onsets")})
    for name, wrong in [("bounds", [0, 2]), ("bounds", []), ("pieces", [1]), ("onsets", [0, 0]), ("names", [])]:
        with pytest.raises(DataError, match="do not belong together"):
            TrainingRuns.from_arrays(arrays | {name: np.array(wrong)})
