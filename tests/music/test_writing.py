"""MIDI files: read back by symusic and by music21, which shares no code with it."""

import os
import warnings

import pytest
from symusic import ControlChange, KeySignature, Note, Score, Tempo, TextMeta, TimeSignature, Track

from seqkit.errors import DataError, InputTypeError
from seqkit.music.notes import bar_lines
from seqkit.music.writing import tidy_score, write_midi


def track(notes, name="", **options):
    made = Track(name, **options)
    for time, duration, pitch, *velocity in notes:
        made.notes.append(Note(time, duration, pitch, *(velocity or [80])))
    return made


def score(*tracks, tpq=480, tempos=(), signatures=()):
    made = Score(tpq)
    made.tracks = [each if isinstance(each, Track) else track(each) for each in tracks]
    made.tempos = [Tempo(*tempo) for tempo in tempos]
    made.time_signatures = [TimeSignature(*signature) for signature in signatures]
    return made


def notes_of(made):
    return [(n.time, n.duration, n.pitch, n.velocity) for n in made.notes]


def by_music21(path):
    from music21 import converter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return converter.parse(path, format="midi", forceSource=True, storePickle=False)


def heard(stream):
    """Start, length in quarters and pitch of the notes of a part, as music21 has them."""
    return [(n.offset, n.quarterLength, n.pitch.midi) for n in stream.flatten().notes]


def marks(parsed):
    """Start in quarters, and quarters per minute; music21 has them in each part."""
    return {(start, mark.number) for start, _, mark in parsed.metronomeMarkBoundaries()}


def test_a_waltz_is_read_back_with_its_bars_tempo_and_notes(tmp_path):
    path = tmp_path / "waltz.mid"
    upper = track(
        [(0, 960, 72), (960, 480, 71), (1440, 720, 69), (2160, 240, 67), (2400, 480, 65)], "Flute", program=73
    )
    lower = track([(0, 1440, 48), (1440, 1440, 53)], "Cello", program=42)
    waltz = score(upper, lower, tempos=[(0, 90)], signatures=[(0, 3, 4)])
    waltz.key_signatures.append(KeySignature(0, -3, 1))
    write_midi(waltz, path)
    assert os.listdir(tmp_path) == ["waltz.mid"]
    # Six bytes: format 1, three tracks, 480 to a quarter. The first track: 3/4 (3 over 2 ** 2), a tempo of 666,667
    # microseconds, three flats and minor, the end after 2880 ticks (22 * 128 + 64), the end of bar 2.
    assert path.read_bytes().startswith(
        b"MThd\0\0\0\x06\0\x01\0\x03\x01\xe0MTrk\0\0\0\x1a"
        b"\0\xff\x58\x04\x03\x02\x18\x08\0\xff\x51\x03\x0a\x2c\x2b\0\xff\x59\x02\xfd\x01\x96\x40\xff\x2f\0MTrk"
    )

    again = Score(path)
    assert again.ticks_per_quarter == 480
    assert [(t.name, t.program) for t in again.tracks] == [("Flute", 73), ("Cello", 42)]
    assert [notes_of(t) for t in again.tracks] == [notes_of(upper), notes_of(lower)]
    assert [(t.time, t.mspq) for t in again.tempos] == [(0, 666_667)]
    assert [(s.time, s.numerator, s.denominator) for s in again.time_signatures] == [(0, 3, 4)]
    assert [(k.time, k.key, k.tonality) for k in again.key_signatures] == [(0, -3, 1)]

    parsed = by_music21(path)
    assert [part.partName for part in parsed.parts] == ["Flute", "Cello"]
    assert heard(parsed.parts[0]) == [(0, 2, 72), (2, 1, 71), (3, 1.5, 69), (4.5, 0.5, 67), (5, 1, 65)]
    assert heard(parsed.parts[1]) == [(0, 3, 48), (3, 3, 53)]
    for part in parsed.parts:
        bars = part.getElementsByClass("Measure")
        assert [(bar.offset, bar.barDuration.quarterLength) for bar in bars] == [(0, 3), (3, 3)]
    assert marks(parsed) == {(0, 90)}
    assert parsed.flatten().getElementsByClass("KeySignature")[0].sharps == -3


def test_changes_of_time_signature_and_tempo(tmp_path):
    """Two bars of 4/4, then 6/8: bars at 0, 4, 8, 11 quarters."""
    piece = score(
        [(0, 3840, 60), (3840, 1440, 62), (5280, 1440, 64)],
        tempos=[(0, 120), (3840, 60)],
        signatures=[(0, 4, 4), (3840, 6, 8)],
    )
    write_midi(piece, tmp_path / "a.mid")
    parsed = by_music21(tmp_path / "a.mid")
    bars = parsed.parts[0].getElementsByClass("Measure")
    assert [bar.offset for bar in bars] == [0, 4, 8, 11]
    assert bars[-1].barDuration.quarterLength == 3
    assert marks(parsed) == {(0, 120), (8, 60)}


def test_the_last_bar_is_whole(tmp_path):
    """A quarter in 4/4: the file lasts 1920 ticks (15 * 128)."""
    write_midi(score([(0, 480, 60)]), tmp_path / "a.mid")
    assert b"\x8f\x00\xff\x2f\x00MTrk" in (tmp_path / "a.mid").read_bytes()


def test_what_stands_behind_the_notes_is_kept(tmp_path):
    piece = score([(0, 480, 60)], tempos=[(0, 120), (200_000, 60)], signatures=[(0, 3, 4), (300_000, 2, 2)])
    piece.markers.append(TextMeta(40, "begin"))
    piece.markers.append(TextMeta(2**21, "Fin é"))
    write_midi(piece, tmp_path / "a.mid")
    again = Score(tmp_path / "a.mid")
    assert [(t.time, t.qpm) for t in again.tempos] == [(0, 120), (200_000, 60)]
    assert [(s.time, s.denominator) for s in again.time_signatures] == [(0, 4), (300_000, 2)]
    assert [(m.time, m.text) for m in again.markers] == [(40, "begin"), (2**21, "Fin é")]


def test_a_bare_score_gets_tempo_and_bars(tmp_path):
    write_midi(score([(0, 480, 60)]), tmp_path / "a.mid")
    parsed = by_music21(tmp_path / "a.mid")
    assert marks(parsed) == {(0, 100)}
    again = Score(tmp_path / "a.mid")
    assert [(s.time, s.numerator, s.denominator) for s in again.time_signatures] == [(0, 4, 4)]


def test_what_comes_late_does_not_change_what_was_before():
    late = tidy_score(score([(0, 480, 60)], tempos=[(960, 60)], signatures=[(1920, 3, 4)]))
    assert [(t.time, t.qpm) for t in late.tempos] == [(0, 120), (960, 60)]
    assert [(s.time, s.numerator) for s in late.time_signatures] == [(0, 4), (1920, 3)]


def test_one_tempo_and_signature_at_a_time():
    twice = tidy_score(score([(0, 480, 60)], tempos=[(480, 60), (0, 90), (0, 80)], signatures=[(0, 2, 4), (0, 3, 4)]))
    assert [(t.time, t.mspq) for t in twice.tempos] == [(0, 750_000), (480, 1_000_000)]
    assert [(s.time, s.numerator) for s in twice.time_signatures] == [(0, 3)]


def test_notes_are_cut_where_their_pitch_starts_again():
    overlapping = [
        (0, 960, 60, 70),
        (480, 960, 60, 71),  # cuts the first
        (480, 240, 60, 72),  # begins with a longer one: left out
        (0, 1920, 64, 73),  # another pitch: stays
        (1440, 480, 60, 74),  # joins: nothing to cut
    ]
    other = [(0, 1920, 60, 75)]  # another track: stays
    tidy = tidy_score(score(overlapping, other))
    assert notes_of(tidy.tracks[0]) == [
        (0, 480, 60, 70),
        (0, 1920, 64, 73),
        (480, 960, 60, 71),
        (1440, 480, 60, 74),
    ]
    assert notes_of(tidy.tracks[1]) == [(0, 1920, 60, 75)]


def test_notes_of_no_length_and_silent_tracks_are_left_out():
    tidy = tidy_score(score(track([], "empty"), track([(0, 0, 60), (0, 10, 62)], "one"), track([(5, 0, 60)], "none")))
    assert [t.name for t in tidy.tracks] == ["one"]
    assert notes_of(tidy.tracks[0]) == [(0, 10, 62, 80)]


def test_velocity_zero_would_be_the_end_of_a_note(tmp_path):
    write_midi(score([(0, 480, 60, 0), (480, 480, 62, 127)]), tmp_path / "a.mid")
    assert notes_of(Score(tmp_path / "a.mid").tracks[0]) == [(0, 480, 60, 1), (480, 480, 62, 127)]


def test_other_resolutions():
    """1000 ticks to a quarter become 480: 500 -> 240; ends are rounded as starts are, so what joins stays joined."""
    piece = score([(0, 333, 60), (333, 334, 60), (667, 1, 60), (1000, 500, 62)], tpq=1000, tempos=[(500, 60)])
    piece.tracks[0].controls.append(ControlChange(500, 7, 100))
    tidy = tidy_score(piece)
    # 333 * 0.48 = 159.84, 667 * 0.48 = 320.16, 668 * 0.48 = 320.64
    assert notes_of(tidy.tracks[0]) == [(0, 160, 60, 80), (160, 160, 60, 80), (320, 1, 60, 80), (480, 240, 62, 80)]
    assert [t.time for t in tidy.tempos] == [0, 240]
    assert [c.time for c in tidy.tracks[0].controls] == [240]
    short = tidy_score(score([(0, 1, 60), (10, 1, 60)], tpq=10_000))  # 0.05 and 0.53 ticks long: at least one
    assert notes_of(short.tracks[0]) == [(0, 1, 60, 80)]  # both start at 0


@pytest.mark.parametrize("tpq", [480, 960])
def test_the_score_is_not_changed(tpq):
    piece = score([(0, 960, 60), (480, 960, 60), (0, 0, 62)], [], tpq=tpq, tempos=[(5, 60)])
    before = piece.copy()
    tidy = tidy_score(piece)
    tidy.tracks[0].notes[0].pitch = 1
    assert piece == before and len(piece.tracks) == 2 and piece.tracks[0].notes[0].pitch == 60


def test_drums_stay_drums(tmp_path):
    write_midi(score([(0, 480, 60)], track([(0, 480, 36)], is_drum=True)), tmp_path / "a.mid")
    assert [t.is_drum for t in Score(tmp_path / "a.mid").tracks] == [False, True]


@pytest.mark.parametrize(
    ("notes", "signatures", "bars"),
    [
        ([(0, 1920, 60)], [], [0, 1920]),
        ([(0, 1921, 60)], [], [0, 1920, 3840]),
        ([(0, 10, 60)], [(0, 6, 8)], [0, 1440]),
        ([(0, 3000, 60)], [(0, 2, 2), (1000, 3, 8)], [0, 1000, 1720, 2440, 3160]),
        ([(0, 480, 60)], [(0, 3, 4), (1440, 4, 4)], [0, 1440]),
    ],
)
def test_bar_lines(notes, signatures, bars):
    assert bar_lines(tidy_score(score(notes, signatures=signatures))).tolist() == bars


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (score(), r"has no notes \(tracks: 0\)"),
        (score([], []), r"has no notes \(tracks: 2\)"),
        (score([(0, 0, 60)]), "at least one note that lasts"),
        (score([(0, 1, 60)], [(-1, 10, 60)]), "Track 1 of the score has a note before time 0"),
        (score([(0, 1, 60)], tempos=[(480, 3)]), "20000000 microseconds per quarter at quarter 1"),
        (score([(0, 1, 60)], signatures=[(960, 4, 5)]), "time signature 4/5 at quarter 2"),
        (score([(0, 1, 60)], signatures=[(0, 0, 4)]), "time signature 0/4"),
    ],
)
def test_what_cannot_be_written(piece, message, tmp_path):
    path = tmp_path / "a.mid"
    path.write_bytes(b"old")
    with pytest.raises(DataError, match=message):
        write_midi(piece, path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.mid"]


def test_other_units_are_refused():
    with pytest.raises(InputTypeError, match="in ticks, got ScoreQuarter"):
        tidy_score(score([(0, 480, 60)]).to("quarter"))
