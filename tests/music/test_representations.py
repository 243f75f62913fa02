"""Scores as tokens and frames, and back."""

import numpy as np
import pytest

from seqkit.datasets import load_music
from seqkit.errors import DataError, ParameterError
from seqkit.music.chorale import voice_line
from seqkit.music.notes import Change, Line, first_bars, lines_of, make_score, meters_of, top_line
from seqkit.music.representation import make_representation


def line(*notes, name=""):
    """Notes as (start, end, pitch)."""
    return Line(*np.array(notes).T, name)


def notes(score):
    """Return (start, duration, pitch) of each track."""
    return [[(n.time, n.duration, n.pitch) for n in track.notes] for track in score.tracks]


# Notes


def test_notes_go_to_the_nearest_step_and_last_one_at_least():
    score = make_score([line((0, 4, 60), (5, 9, 64))], 12)  # 40 ticks a step
    found = lines_of(score, 4)[0]  # sixteenths: thirds of those steps
    assert found.starts.tolist() == [0, 2] and found.ends.tolist() == [1, 3] and found.pitches.tolist() == [60, 64]


def test_a_top_line_is_the_highest_note_of_each_start():
    found = top_line(line((0, 8, 60), (0, 4, 67), (2, 6, 64), (8, 9, 50)))
    assert [v.tolist() for v in found[:3]] == [[0, 2, 8], [2, 6, 9], [67, 64, 50]]


def test_meters_begin_at_the_beginning_and_are_not_said_twice():
    score = make_score([line((0, 1, 60))], 4, [Change(12, 3, 4), Change(24, 3, 4), Change(36, 6, 8)])
    assert meters_of(score, 4) == [(0, 4, 4), (12, 3, 4), (36, 6, 8)]


def test_the_first_bars_are_counted_by_their_meter():
    score = make_score([line((0, 4, 60), (10, 20, 62), (20, 24, 64))], 4, [Change(0, 3, 4)])
    assert notes(first_bars(score, 1)) == [[(0, 480, 60), (1200, 240, 62)]]
    assert notes(first_bars(score, 9)) == notes(score)


def test_no_notes_are_told():
    for name in ("melody", "roll", "chorale", "events"):
        with pytest.raises(DataError, match="no notes"):
            make_representation(name).encode(make_score([], 4))


# Melodies


def test_a_melody_is_pitches_rests_and_meters():
    melody = make_representation("melody", steps_per_quarter=4)
    low, high = line((0, 16, 40)), line((2, 4, 60), (4, 8, 62), (12, 13, 60), (12, 14, 57))
    score = make_score([low, high], 4, [Change(0, 2, 4), Change(8, 3, 4)])
    tokens = ["2/4", "R:2", "60:2", "62:4", "3/4", "R:4", "60:1"]
    assert melody.encode(score) == tokens
    again = melody.decode(tokens, tempo=90)
    assert notes(again) == [[(240, 240, 60), (480, 480, 62), (1440, 120, 60)]]
    assert [(t.time, round(t.qpm, 3)) for t in again.tempos] == [(0, 90)]
    assert meters_of(again, 4) == [(0, 2, 4), (8, 3, 4)]


def test_long_notes_are_several_tokens_of_one_note():
    melody = make_representation("melody", steps_per_quarter=4, longest=8)
    score = make_score([line((0, 19, 60), (36, 37, 60), (37, 38, 60))], 4)
    tokens = ["4/4", "60:8", "~60:8", "~60:3", "R:8", "~R:8", "~R:1", "60:1", "60:1"]
    assert melody.encode(score) == tokens
    assert notes(melody.decode(tokens)) == notes(score)


def test_what_makes_no_sense_in_a_melody_is_passed_over():
    melody = make_representation("melody", steps_per_quarter=4)
    assert notes(melody.decode(["60:2", "60:", ":", "x", "~62:2", "13/7", "R:1", "64:1"])) == [
        [(0, 240, 60), (240, 240, 62), (600, 120, 64)]
    ]


# Piano rolls


def test_a_roll_has_all_tracks():
    roll = make_representation("roll", steps_per_quarter=1, low=60, keys=5)
    frames = roll.encode(make_score([line((0, 2, 60), (2, 4, 62)), line((1, 2, 64), (2, 3, 64))], 1))
    assert frames.tolist() == [[1, 0, 0, 0, 0], [1, 0, 0, 0, 1], [0, 0, 1, 0, 1], [0, 0, 1, 0, 0]]
    assert notes(roll.decode(frames)) == [[(0, 960, 60), (480, 960, 64), (960, 960, 62)]]
    with pytest.raises(DataError, match="has pitches from 59 to 60, expected 60 to 64"):
        roll.encode(make_score([line((0, 2, 60), (2, 4, 59))], 1))


def test_real_rolls_come_back():
    roll = make_representation("roll", steps_per_quarter=1)
    for frames in real("poly_music"):
        again = roll.encode(roll.decode(frames))
        assert (again == frames[: len(again)]).all() and not frames[len(again) :].any()


# Chorales


def voices(table):
    """Return a score of pitches (steps, 4), -1 for silence; a pitch that stays is one note."""
    tracks = []
    for pitches in table.T.tolist():
        tokens = ["R" if p < 0 else f"{p}~" if i and pitches[i - 1] == p else str(p) for i, p in enumerate(pitches)]
        tracks.append(voice_line(tokens, ""))
    return make_score(tracks, 4)


def test_a_chorale_is_soprano_bass_alto_tenor():
    four = [line((0, 2, 72), (2, 3, 72)), line((0, 3, 67)), line((0, 1, 60), (1, 3, 62)), line((1, 3, 48))]
    score = make_score(four, 4, [Change(0, 3, 4)])
    tokens = ["3/4", "72", "R", "67", "60", "72~", "48", "67~", "62", "72", "48~", "67~", "62~"]
    chorale = make_representation("chorale")
    assert chorale.encode(score) == tokens
    again = chorale.decode(tokens)
    assert notes(again) == notes(score)
    assert [t.name for t in again.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    ahead = make_representation("chorale", ahead=2)
    tokens = ["3/4", "72", "72~", "72", "R", "67", "60", ".", "48", "67~", "62", ".", "48~", "67~", "62~"]
    assert ahead.encode(score) == tokens
    assert notes(ahead.decode(tokens)) == notes(score)


@pytest.mark.parametrize("ahead", [0, 1, 7, 5000])
def test_real_chorales_come_back(ahead):
    chorale = make_representation("chorale", ahead=ahead)
    for table in real("jsb_chorales_json")[:5]:
        tokens = chorale.encode(voices(table))
        assert len(tokens) == 1 + table.size + min(ahead, len(table))
        if ahead < len(table):
            assert notes(chorale.decode(tokens)) == notes(voices(table))


@pytest.mark.parametrize("ahead", [0, 8])
def test_a_template_has_the_soprano(ahead):
    chorale, score = make_representation("chorale", ahead=ahead), voices(real("jsb_chorales_json")[0])
    tokens, template = chorale.encode(score), chorale.template(score)
    assert all(given in (None, token) for given, token in zip(template, tokens, strict=True))
    assert template.count(None) == 3 * (len(tokens) - 1 - ahead) / 4


def test_a_chorale_that_goes_on_leaves_open_what_follows_its_soprano():
    score = voices(real("jsb_chorales_json")[0])
    assert make_representation("chorale").beginning(score) == make_representation("chorale").encode(score)
    ahead = make_representation("chorale", ahead=8)
    tokens = ahead.encode(score)
    assert ahead.beginning(score) == tokens[: -4 * 8]


@pytest.mark.parametrize("name", ["melody", "roll", "chorale", "events"])
def test_items_of_bars_are_not_more_than_the_most(name):
    representation = make_representation(name, steps_per_quarter=4)
    tracks = [[(t, t + 1, 72 - 6 * v + t % 5) for t in range(48)] for v in range(4)]
    score = make_score([line(*track) for track in tracks], 4, [Change(0, 12, 8)])
    assert len(representation.encode(score)) <= representation.most_items(2)
    assert len(representation.encode(score)) > representation.most_items(1) / 16


@pytest.mark.parametrize("name", ["melody", "chorale", "events"])
@pytest.mark.parametrize("items", [[], ["4/4"], ["4/4", "60", "x"]])
def test_what_is_no_note_is_no_error(name, items):
    assert make_representation(name).decode(items).note_num() == 0


def test_other_scores_than_four_voices_are_told():
    with pytest.raises(DataError, match="has 1 tracks with notes, expected four"):
        make_representation("chorale").encode(make_score([line((0, 2, 72))], 4))


# Events


def test_events_keep_what_a_performance_has():
    events = make_representation("events")
    score = make_score([line((0, 12, 60), (12, 18, 67)), line((6, 30, 40))], 12, [Change(0, 3, 4)], tempo=120)
    again = events.decode(events.encode(score))
    assert notes(again) == [[(0, 480, 60), (240, 960, 40), (480, 240, 67)]]
    assert meters_of(again, 12) == [(0, 3, 4)]
    assert again.tempos[0].qpm == pytest.approx(120, rel=0.05)  # 24 tempos are told apart


# Settings


@pytest.mark.parametrize("name", ["melody", "roll", "chorale", "events"])
def test_settings_make_the_same_one(name):
    one = make_representation(name, steps_per_quarter=8)
    assert make_representation(**one.settings()) == one != make_representation(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(name="opera"), "representation='opera' must be one of 'melody', 'roll', 'chorale', 'events'"),
        (dict(name="roll", ahead=1), "'roll' has no parameter 'ahead'"),
        (dict(name="roll", steps_per_quarter=7), "must divide 480"),
        (dict(name="roll", low=-1), "low=-1 must be a whole number"),
    ],
)
def test_settings_that_cannot_be(arguments, message):
    with pytest.raises(ParameterError, match=message):
        make_representation(**arguments)


def real(name):
    """Return the test part of a public set."""
    try:
        return load_music(name, "test")
    except DataError as error:
        pytest.skip(str(error))
