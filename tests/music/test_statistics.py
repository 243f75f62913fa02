"""Statistics of music, each counted by hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from symusic import Note, Score, Track

from seqkit.errors import DataError, InputTypeError
from seqkit.music.statistics import (
    compare_statistics,
    format_statistics,
    line_steps,
    music_statistics,
    overlap,
    step_intervals,
    step_waits,
    top_line,
)


def score(*tracks, tpq=4, drums=()):
    """Notes are (start, length, pitch), in sixteenths by default."""
    made = Score(tpq)
    for i, notes in enumerate(tracks):
        made.tracks.append(Track("", 0, i in drums))
        for note in notes:
            made.tracks[i].notes.append(Note(*note, 80))
    return made


def line(*pitches, wait=4):
    return [(i * wait, wait, pitch) for i, pitch in enumerate(pitches)]


def shares(size, **counts):
    """Shares by position ("p3" is position 3)."""
    total = sum(counts.values())
    return tuple(counts.get(f"p{i}", 0) / total for i in range(size))


def test_a_small_piece_by_hand():
    # Sixteenths: C4 0-4, E4 4-8, rest 8-12, G4 12-14, below it C3 12-16; begins after a bar of silence.
    melody = [(16, 4, 60), (20, 4, 64), (28, 2, 67)]
    bass = [(28, 4, 48)]
    found = music_statistics([score(melody, bass)])
    assert (found.pieces, found.notes) == (1, 4)
    assert found.quarters == 4  # 16 to 32
    assert found.density == 1
    assert found.sounding == 14 / 12  # 14 sixteenths of notes in 12 that sound
    assert found.silence == 4 / 16
    assert found.note_quarters == 14 / 4 / 4
    assert (found.lowest, found.highest) == (48, 67)
    assert found.pitch_classes == shares(12, p0=2, p4=1, p7=1)
    assert found.intervals == shares(25, p16=1, p15=1)  # up a major and a minor third
    assert found.repetition == 0


def test_means_are_over_all_pieces():
    found = music_statistics([score([(0, 4, 60)]), score(line(62, 62, 62)), score()])
    assert (found.pieces, found.notes, found.quarters) == (3, 4, 4 / 3)
    assert (found.density, found.note_quarters, found.sounding, found.silence) == (1, 1, 1, 0)
    assert (found.lowest, found.highest) == (60, 62)


def test_pieces_in_other_resolutions_count_alike():
    fine = score([(time * 120, length * 120, pitch) for time, length, pitch in line(60, 62, 64, 65)], tpq=480)
    assert music_statistics([fine]) == music_statistics([score(line(60, 62, 64, 65))])


def test_wide_intervals_count_at_the_ends():
    found = music_statistics([score(line(60, 72, 85, 40, 28, 28))])  # 12, 13, -45, -12, 0
    assert found.intervals == shares(25, p24=2, p0=2, p12=1)


def test_intervals_are_of_top_lines():
    # Chords C-E-G and D-F-A: the line is G, A; an inner note that begins alone belongs to the line.
    chords = [(0, 4, 60), (0, 8, 67), (0, 4, 64), (4, 4, 57), (8, 4, 69), (8, 4, 62), (8, 4, 65)]
    assert music_statistics([score(chords)]).intervals == shares(25, p2=1, p24=1)  # G to A3 and up to A4


def test_drums_count_for_nothing():
    with_drums = score(line(60, 64), line(36, 36, 36, 36, 36), drums=[1])
    assert music_statistics([with_drums]) == music_statistics([score(line(60, 64))])
    only = music_statistics([score(line(36), drums=[0])])
    assert (only.pieces, only.notes, only.quarters, only.lowest) == (1, 0, 0, None)


@pytest.mark.parametrize(
    ("tracks", "repetition"),
    [
        ([line(60, 62, 64, 65)], 0 / 1),
        ([line(60, 61, 63, 66, 60, 61, 63, 66)], 1 / 5),
        ([line(60, 61, 63, 66, 70, 71, 73, 76)], 1 / 5),  # in another key
        ([line(60, 60, 60, 60, 60, 60)], 2 / 3),  # three windows of one kind
        ([line(60, 61, 63, 66), line(50, 51, 53, 56)], 1 / 2),  # in another track
        ([line(60, 61, 63, 66), line(50, 51, 53, 56, wait=2)], 0 / 2),  # in another rhythm
        ([line(60, 62, 64)], 0),  # too short for a window
    ],
)
def test_repetition(tracks, repetition):
    assert music_statistics([score(*tracks)]).repetition == repetition


def test_repetition_is_within_a_piece():
    piece = score(line(60, 61, 63, 66))
    assert music_statistics([piece, piece]).repetition == 0


def test_silence_between_overlapping_notes():
    # 0-10, within it 2-4, then 12-13 and 12-16: silent 10-12 of 16.
    found = music_statistics([score([(0, 10, 60), (2, 2, 64)], [(12, 1, 50), (12, 4, 52)])])
    assert found.silence == 2 / 16 and found.sounding == 17 / 14


def test_top_line_takes_the_highest_note_of_each_twelfth():
    # 48 ticks to a quarter, so 4 to a twelfth: 1 rounds down with 0, 2 up to the next with 4.
    made = score([(4, 4, 61), (0, 9, 60), (1, 9, 59), (2, 1, 70), (48, 9, 50)], tpq=48)
    onsets, pitches = top_line(made.tracks[0], 48)
    assert (onsets.tolist(), pitches.tolist()) == ([0, 1, 12], [60, 70, 50])


def test_halves_of_a_twelfth_are_rounded_alike_everywhere():
    for shift in range(12):
        notes = [(4 * shift + 2, 1, 60), (4 * shift + 8, 1, 62)]
        onsets, _ = top_line(score(notes, tpq=48).tracks[0], 48)
        assert np.diff(onsets).tolist() == [1]


def test_steps_hold_interval_and_time():
    onsets, pitches = np.array([0, 3, 15, 10**8]), np.array([60, 55, 127, 0])
    steps = line_steps(onsets, pitches)
    assert steps.dtype == np.int32
    assert step_intervals(steps).tolist() == [-5, 72, -127]
    assert step_waits(steps).tolist() == [3, 12, 2**22]
    assert line_steps(onsets[:0], pitches[:0]).tolist() == line_steps(onsets[:1], pitches[:1]).tolist() == []


def test_overlap_is_what_two_distributions_share():
    assert overlap([0.5, 0.5, 0], [0, 0.25, 0.75]) == 0.25
    assert overlap([0.5, 0.5], [0.5, 0.5]) == 1 and overlap([1, 0], [0, 1]) == 0
    assert overlap([0, 0], [1, 0]) == 0


def test_comparison():
    ours = music_statistics([score(line(60, 62, 64))])  # steps 2, 2
    theirs = music_statistics([score(line(60, 62, 60)), score(line(67))])  # steps 2, -2
    rows, pitch_classes, intervals = compare_statistics(ours, theirs)
    values = {name: pair for name, *pair in rows}
    assert values["Pieces"] == [1, 2] and values["Highest pitch"] == [64, 67]
    assert pitch_classes == pytest.approx(1 / 3 + 1 / 4)  # C: 1/3 and 1/2, D: 1/3 and 1/4
    assert intervals == 1 / 2


def test_table():
    ours = music_statistics([score(line(60, 62, 64, 64))])
    theirs = music_statistics([score([(0, 4, 60), (8, 4, 61)])])
    lines = format_statistics(ours, theirs).splitlines()
    assert lines == [
        "                                            generated                  training",
        "Pieces                                              1                         1",
        "Notes                                               4                         2",
        "Quarters per piece                               4.00                      3.00",
        "Notes per quarter                                1.00                      0.67",
        "Notes at a time                                  1.00                      1.00",
        "Share of silence                                 0.0%                     33.3%",
        "Quarters per note                                1.00                      1.00",
        "Lowest pitch                                  C4 (60)                   C4 (60)",
        "Highest pitch                                 E4 (64)                  C#4 (61)",
        "Share of repeated figures                        0.0%                      0.0%",
        "Overlap of pitch classes                        25.0%",
        "Overlap of intervals                             0.0%",
        "C                             ████████          25.0%   ████████████████  50.0%",
        "C#                                               0.0%   ████████████████  50.0%",
        "D                             ████████          25.0%                      0.0%",
        "D#                                               0.0%                      0.0%",
        "E                             ████████████████  50.0%                      0.0%",
        *(f"{name:<2}                                               0.0%                      0.0%"
          for name in ("F", "F#", "G", "G#", "A", "A#", "B")),
    ]  # fmt: skip
    assert format_statistics(ours, theirs, "given").splitlines() == [
        lines[0].replace("generated", "    given"),
        *lines[1:],
    ]


def test_table_of_nothing_and_of_much_is_as_wide():
    nothing = music_statistics([score()])
    much = music_statistics([score([(i, 1, 20 + i % 100) for i in range(5000)])] * 20)
    table = format_statistics(nothing, much)
    assert max(map(len, table.splitlines())) <= 100
    assert "Lowest pitch                                        -                  G#0 (20)" in table
    assert "100000" in table


def test_faults():
    with pytest.raises(DataError, match="scores is empty"):
        music_statistics([])
    with pytest.raises(InputTypeError, match=r"write \[score\]"):
        music_statistics(score(line(60)))


def test_a_tune_from_a_file():
    path = Path(os.environ.get("SEQKIT_DATA", "")) / "midi_files" / "nottingham_hpps42.mid"
    if not path.is_file():
        pytest.skip("needs the MIDI files: set SEQKIT_DATA to the folder that holds midi_files/")
    tune = Score(path)
    found = music_statistics([tune])
    pitches = [note.pitch for track in tune.tracks for note in track.notes]
    assert found.notes == len(pitches) and (found.lowest, found.highest) == (min(pitches), max(pitches))
    assert found.pitch_classes[2] == sum(pitch % 12 == 2 for pitch in pitches) / len(pitches)
    # The same from a piano roll: ticks at which one note sounds or more.
    roll = tune.pianoroll(modes=["frame"])[0].sum((0, 1))
    sounding = np.flatnonzero(roll)
    length = sounding[-1] + 1 - sounding[0]
    assert found.silence == pytest.approx(1 - len(sounding) / length)
    assert found.quarters == pytest.approx(length / tune.ticks_per_quarter)
