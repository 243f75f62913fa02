"""ABC: what is read is what is written, where music21 by itself reads something else."""

import pytest

from seqkit.errors import DataError
from seqkit.music.notation import read_abc
from seqkit.music.tunes import plain_tune, split_tunes


def score_of(body, head="M:4/4\nL:1/4\n"):
    return read_abc(f"X:1\nT:A title\n{head}K:C\n{body}\n")


def pitches(track):
    """Letters of the notes: C to B from middle C, c to b above it; sharps with #."""
    names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
    return " ".join(
        names[note.pitch % 12] if note.pitch < 72 else names[note.pitch % 12].lower() for note in track.notes
    )


def test_books_are_cut_into_tunes_with_the_fields_of_the_head():
    head = "%%propagate-accidentals not\nM:4/4\n"
    tunes = ["X:1\nT:A\x85\nK:C\nC\n\n", "X:1\nK:C\n", "X:2\n"]
    book = f"%abc-2.1\n{head}some words\n\n{''.join(tunes)}"
    assert split_tunes(book.replace("\n", "\r\n")) == [head + tune for tune in tunes]
    assert split_tunes("K:C\rC\r") == ["K:C\nC\n"]


@pytest.mark.parametrize(
    "body", ["A>B", "A>.B", 'A>"4".B', "A>(vB", "(A>)B", "(.A)>B", "A>{g}B", "A> B", "A`>`B", "A>!f!B", "A>~B % x>.y"]
)
def test_dotted_pairs_and_a_triplet(body):
    track = score_of(f"{body}\n[K:G](3(c)d.f|", "M:2/4\nL:1/8\n").tracks[0]
    lengths = [360, 120, 160, 160, 160]
    assert [(note.duration, note.pitch) for note in track.notes] == list(
        zip(lengths, (69, 71, 72, 74, 78), strict=True)
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("^FGFf|F4|", "F# G F# f# F"),  # a sharp holds to the bar's end, in all octaves
        ("^F=F G F|", "F# F G F"),
        ("FGAB|[K:G]FGAB|", "F G A B F# G A B"),
        ("FGAB|\nK:G\nFGAB|", "F G A B F# G A B"),
        ("F[r:a remark]GAB|cdef|\nw:words to sing\nN:a note", "F G A B c d e f"),
        ("HF!fermata!GTAuB|", "F G A B"),
        ('"Am7"F"^slower"G|y2A2|', "F G A"),
        ("FGAB|cdef:|\nAGFE|D4:|", "F G A B c d e f F G A B c d e f A G F E D A G F E D"),
        ("|:FGAB|1c4:|2d2|e2||cdef|g4:|", "F G A B c F G A B d e c d e f g c d e f g"),
        ("FGAB|c4|d4:|e4|]", "F G A B c d F G A B c d e"),
        ("FGAB|c4|\nA:|", "F G A B c A F G A B c A"),  # a bar, and no field
    ],
)
def test_pitches(body, expected):
    assert pitches(score_of(body).tracks[0]) == expected


def test_accidentals_may_be_told_not_to_hold():
    assert pitches(score_of("^FGFG|", "%%propagate-accidentals not\nM:4/4\nL:1/4\n").tracks[0]) == "F# G F G"


def test_changes_on_the_way():
    score = score_of("FGAB|[M:3/4]FGA|[Q:1/4=50]FGA|\nL:1/8\nF2z2x2|F6|")
    assert [(meter.time, meter.numerator) for meter in score.time_signatures] == [(0, 4), (1920, 3)]
    assert {(tempo.time, tempo.mspq) for tempo in score.tempos} == {(3360, 1_200_000)}
    assert [(note.time, note.duration) for note in score.tracks[0].notes][-2:] == [(4800, 480), (6240, 1440)]


@pytest.mark.parametrize(
    "body",
    [
        "V:S clef=treble\nFGAB|cdef|\nV:B\nA,4|B,4|",
        "[V:S]FGAB|\n[V:B]A,4|\n[V:S]cdef|\n[V:B]B,4|",
        "V:S\nFGAB|\nV:B\nA,4|\nV:S\ncdef|\nV:B\nB,4|",
    ],
)
def test_voices_go_beside_each_other(body):
    high, low = score_of(body, 'M:4/4\nL:1/4\nV:S name="Soprano"\nV:B\n').tracks
    assert [(note.time, note.pitch) for note in low.notes] == [(0, 57), (1920, 59)]
    assert [note.time for note in high.notes] == list(range(0, 8 * 480, 480))


@pytest.mark.parametrize(("head", "ticks"), [("", 240), ("M:2/4\n", 120), ("M:6/8\n", 240), ("M:2/4\nL:1/4\n", 480)])
def test_the_length_of_notes(head, ticks):
    assert [note.duration for note in score_of("CDEF|GABc|", head).tracks[0].notes] == [ticks] * 8


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("FGAB|Z2|", r"has rests of whole bars \('Z'\), which cannot be read\. Write them out\."),
        ("FGAB&c4|", r"has voices that share a line \('&'\)"),
    ],
)
def test_what_cannot_be_read_is_refused(body, message):
    with pytest.raises(DataError, match=message):
        score_of(body)


def test_plain_text():
    tune = 'X:1\nT:Zoo & Xylophone\nM:3/4\nC:N. N.\nL:1/8\nK:G % key\nV:1\n"G"(G2{a}B2) d2\\\nP:B\n|]\n'
    assert plain_tune(tune).split("\n") == [
        *("%abc-2.1", "M:3/4", "M:3/4", "L:1/8", "L:1/8", "K:G % key", "K:G % key"),
        *("G2B2 d2", "|]", ""),
    ]
