"""Music in steps of one length: JSON, MATLAB files, and arrays."""

import json

import numpy as np
import pytest

from seqkit.errors import DataError, ParameterError
from seqkit.music.reading import read_music, roll_score, voices_score


def notes(track):
    return [(note.time, note.duration, note.pitch) for note in track.notes]


STEPS = [[62, 60], [62], [], [67.0, 60]]  # two keys of which one is held; silence
VOICES = [[62, 60, 55, 48], [62, 59, 55, -1], [-1, 59, 55, 48]]


def test_json_parts_and_numbers(tmp_path):
    path = tmp_path / "x-8th.json"
    path.write_text(json.dumps({"train": [STEPS, STEPS], "valid": [[[60]]], "test": [STEPS]}))
    names = {part: [piece.name for piece in read_music(path, part=part, min_notes=3)[0]] for part in ("train", "test")}
    assert names == {"train": ["x-8th.json#1", "x-8th.json#2"], "test": ["x-8th.json#4"]}
    pieces, dropped = read_music(path, part="all", min_notes=3)
    assert [piece.name for piece in pieces] == ["x-8th.json#1", "x-8th.json#2", "x-8th.json#4"]
    assert [item.name for item in dropped] == ["x-8th.json#3"]
    assert notes(pieces[0].score.tracks[0]) == [(0, 240, 60), (0, 480, 62), (720, 240, 60), (720, 240, 67)]


@pytest.mark.parametrize(("name", "ticks"), [("Q-QUARTER.json", 480), ("a.json", 120), ("Jsb16th.json", 120)])
def test_a_json_list_of_voices(tmp_path, name, ticks):
    path = tmp_path / name
    path.write_text(json.dumps([VOICES]))
    [piece] = read_music(path, part="dev", min_notes=1).pieces  # the list has no parts
    assert piece.name == name
    assert {track.name: notes(track) for track in piece.score.tracks} == {
        "Soprano": [(0, 2 * ticks, 62)],
        "Alto": [(0, ticks, 60), (ticks, 2 * ticks, 59)],
        "Tenor": [(0, 3 * ticks, 55)],
        "Bass": [(0, ticks, 48), (2 * ticks, ticks, 48)],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": [STEPS]}, "has no part 'dev', only 'train'"),
        ({}, "has no part that is known .* it holds nothing"),
        ({"valid": [7]}, "is no music in JSON: expected pieces as lists of steps, .*, got 7"),
        ({"valid": [[[60, 61], 7]]}, "is no music in JSON: .*, got 7|step 2"),
        ("text", "is no music in JSON"),
        ([[[60, 128]]], r"step 1 must be a list of MIDI pitches from 0 to 127, got \[60, 128\]"),
        ([[[60], [60, -1]]], r"step 2 must be .*, got \[60, -1\]"),
        ([[["C", "E"]]], r"step 1 must be .*, got \['C', 'E'\]"),
        ([[[60, 61, 62, 63.5]]], r"voices must hold MIDI pitches from 0 to 127 and -1, got 63\.5"),
    ],
)
def test_faults_of_json(tmp_path, content, message):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_music(tmp_path / "a.json", part="dev")


def test_matlab_rolls(tmp_path):
    from scipy.io import savemat

    frames = np.zeros((4, 88), np.uint8)
    frames[:3, 39] = 1  # pitch 60
    frames[2:, 40] = 1
    cells = np.empty((1, 2), object)
    cells[0, 0], cells[0, 1] = frames, frames[:3]
    one = np.empty((1, 1), object)
    one[0, 0] = frames
    savemat(tmp_path / "a.mat", {"traindata": cells, "validdata": one})
    [piece] = read_music(tmp_path / "a.mat", part="dev", min_notes=1).pieces
    assert piece.name == "a.mat#3"
    assert notes(piece.score.tracks[0]) == [(0, 3 * 480, 60), (2 * 480, 2 * 480, 61)]
    with pytest.raises(DataError, match="has no part 'test', only 'train', 'dev'"):
        read_music(tmp_path / "a.mat", part="test")
    savemat(tmp_path / "a.mat", {"traindata": frames})
    with pytest.raises(DataError, match=r"has no cell arrays of piano rolls: a part is uint8 of shape \(4, 88\)"):
        read_music(tmp_path / "a.mat")


def test_real_chorales(real):
    rolls = read_music(real("poly_music"), part="all", min_notes=1).pieces
    assert len(rolls) == 229 + 76 + 77
    first = rolls[0].score.tracks[0]
    assert sorted(note.pitch for note in first.notes if note.time == 0) == [60, 72, 79, 88]
    folder = real("jsb_chorales_json")
    voices = read_music(folder / "Jsb16thSeparated.json", part="dev").pieces
    assert len(voices) == 76 and voices[0].name == "Jsb16thSeparated.json#230"
    content = json.loads((folder / "Jsb16thSeparated.json").read_text())["valid"]
    for piece, steps in zip(voices, content, strict=True):
        # Sixteenths that sound, voice by voice.
        sounding = [sum(note.duration for note in track.notes) // 120 for track in piece.score.tracks]
        assert sounding == [count for count in (np.array(steps) >= 0).sum(axis=0) if count]
    # The plain file of sixteenths holds the same music, all keys together.
    plain = read_music(folder / "jsb-chorales-16th.json", part="dev").pieces
    assert [len(piece.score.tracks) for piece in plain] == [1] * 76
    assert sorted(piece.score.end() for piece in plain) == sorted(piece.score.end() for piece in voices)


def test_rolls():
    score = roll_score([[1, 0], [1, 0], [0, 0], [1, 1]], low=60, steps_per_quarter=2, tempo=90)
    [track] = score.tracks
    assert notes(track) == [(0, 480, 60), (720, 240, 60), (720, 240, 61)]
    assert {note.velocity for note in track.notes} == {80}
    assert score.ticks_per_quarter == 480 and round(score.tempos[0].qpm) == 90
    assert notes(roll_score(np.ones((1, 88), bool)).tracks[0])[0] == (0, 480, 21)


def test_voices():
    score = voices_score(VOICES[:2], names=("Up",), steps_per_quarter=1)
    assert [track.name for track in score.tracks] == ["Up", "Voice 2", "Voice 3", "Voice 4"]
    assert notes(score.tracks[0]) == [(0, 960, 62)]
    assert notes(score.tracks[3]) == [(0, 480, 48)]
    assert [notes(track) for track in voices_score([[-1, 60]]).tracks] == [[], [(0, 120, 60)]]
    assert len(voices_score(np.array([[60]], np.uint8)).tracks) == 1


@pytest.mark.parametrize(
    ("make", "values", "options", "error", "message"),
    [
        (roll_score, [[0, 2]], {}, DataError, "frames must hold 0 and 1 only, got 2"),
        (roll_score, [[0], [0, 1]], {}, DataError, "its rows differ in length"),
        (roll_score, [0, 1], {}, DataError, r"must be an array \(steps, keys\) of 0 and 1, got int64 of shape \(2,\)"),
        (roll_score, np.zeros((2, 108)), {}, DataError, "have 108 keys from pitch 21 on; MIDI's pitches are 0 to 127"),
        (roll_score, [[1]], {"steps_per_quarter": 7}, ParameterError, "steps_per_quarter must divide 480, got 7"),
        (voices_score, [[128]], {}, DataError, "voices must hold MIDI pitches from 0 to 127 and -1, got 128"),
        (voices_score, [["a"]], {}, DataError, r"must be an array \(steps, voices\)"),
        (voices_score, [], {}, DataError, r"of shape \(0,\)"),
        (voices_score, [[1]], {"steps_per_quarter": 0}, ParameterError, "steps_per_quarter must divide 480, got 0"),
    ],
)
def test_wrong_arrays(make, values, options, error, message):
    with pytest.raises(error, match=message):
        make(values, **options)
