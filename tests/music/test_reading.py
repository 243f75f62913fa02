"""Files of music: what is read, and what is left out and why."""

import csv
import io
import struct
import subprocess
import sys
import tempfile
import zipfile

import pytest
import symusic

from seqkit.errors import DataError, MissingDependencyError, ParameterError
from seqkit.music.reading import Dropped, read_music, read_score


def notes(track):
    return [(note.time, note.duration, note.pitch) for note in track.notes]


def chunk(*events):
    """A track of a MIDI file; an event is the ticks before it (below 128) and its bytes."""
    data = b"".join(bytes([wait, *message]) for wait, message in (*events, (0, [0xFF, 0x2F, 0])))
    return b"MTrk" + struct.pack(">I", len(data)) + data


def midi(*chunks, kind=1, division=96):
    return b"MThd" + struct.pack(">IHHH", 6, kind, len(chunks), division) + b"".join(chunks)


def tune(count, channel=0):
    """The events of so many notes of a quarter, from middle C upwards."""
    return [
        event
        for pitch in range(60, 60 + count)
        for event in ((0, [0x90 | channel, pitch, 64]), (96, [0x80 | channel, pitch, 0]))
    ]


def meter(numerator, power):
    return [0xFF, 0x58, 4, numerator, power, 24, 8]


ABC = """%abc-2.1
M:3/4
L:1/4
Some words that are no music

X:7
T:One
Q:1/4=60
K:G
D|"G"G-G{a}B|"D7"[FA]d:|
B|c3-|c2|]

X:7
T:Broken
L:1/x
K:C
CDE|FGA|

X:9
T:Three
K:C
CDE|FGA|
"""

KERN = """**kern\t**kern
*Ivioln\t*Iflt
*M3/4\t*M3/4
*MM60\t*MM60
4C\t4cc
4D\t4dd
4E\t4ee
=2\t=2
[2.F\t2.ff
=3\t=3
4F]\t4r
2G\t2gg
==\t==
*-\t*-
"""


def xml_note(step, octave, quarters, extra=""):
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>" if octave else "<rest/>"
    return f"<note>{pitch}<duration>{2 * quarters:.0f}</duration>{extra}</note>"


DRUM = (
    "<note><unpitched><display-step>E</display-step><display-octave>4</display-octave></unpitched>"
    "<duration>8</duration></note>"
)
START = "<divisions>2</divisions><time><beats>4</beats><beat-type>4</beat-type></time>"
BACK = '<barline location="right"><repeat direction="backward"/></barline>'
FORTE = "<direction><direction-type><dynamics><f/></dynamics></direction-type></direction>"
MUSICXML = f"""<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="4.0">
  <part-list>
    <score-part id="P1"><part-name>Clarinet</part-name><midi-instrument id="I1"><midi-program>72</midi-program>
    </midi-instrument></score-part>
    <score-part id="P2"><part-name>Cello</part-name></score-part>
    <score-part id="P3"><part-name>Drum</part-name></score-part>
  </part-list>
  <part id="P1">
    <measure number="1"><attributes>{START}<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>
      </attributes><direction><sound tempo="72"/></direction>
      {xml_note("C", 5, 2)}{xml_note("D", 5, 2, '<tie type="start"/>')}{BACK}</measure>
    <measure number="2">{FORTE}{xml_note("D", 5, 1, '<tie type="stop"/>')}{xml_note("E", 5, 3)}</measure>
  </part>
  <part id="P2">
    <measure number="1"><attributes>{START}</attributes>{xml_note("C", 3, 4)}{BACK}</measure>
    <measure number="2">{xml_note("G", 2, 0.5)}{xml_note("", 0, 3.5)}</measure>
  </part>
  <part id="P3">
    <measure number="1"><attributes>{START}</attributes>{DRUM}{BACK}</measure>
    <measure number="2">{DRUM}</measure>
  </part>
</score-partwise>
"""


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


def test_a_midi_file_of_one_track_gives_one_for_each_instrument(tmp_path):
    path = tmp_path / "a.mid"
    events = [
        (0, [0xC0, 5]),
        (0, [0xC1, 40]),
        (0, [0xFF, 0x51, 3, 0x07, 0xA1, 0x20]),  # 500,000 microseconds
        (0, [0x90, 60, 64]),
        (0, [0x91, 64, 70]),
        (0, [0x99, 35, 90]),
        (96, [0x80, 60, 0]),
        (0, [0xFF, 0x51, 3, 0x07, 0xA1, 0x20]),
        (0, [0x81, 64, 0]),
        (0, [0x89, 35, 0]),
        (48, [0xFF, 0x51, 3, 0x0F, 0x42, 0x40]),  # 1,000,000
        (0, [0x90, 62, 64]),
        (24, [0x80, 62, 0]),
        (0, [0x91, 65, 70]),
        (0, [0x81, 65, 0]),
    ]
    path.write_bytes(midi(chunk(*events), kind=0))
    score = read_score(path)
    assert score.ticks_per_quarter == 480
    assert [(track.program, notes(track)) for track in score.tracks] == [
        (5, [(0, 480, 60), (720, 120, 62)]),
        (40, [(0, 480, 64), (840, 1, 65)]),
    ]
    assert [(tempo.time, tempo.mspq) for tempo in score.tempos] == [(0, 500_000), (720, 1_000_000)]


def test_time_signatures_of_all_tracks_are_told_once(tmp_path):
    path = tmp_path / "a.midi"
    first = chunk((0, meter(6, 3)), *tune(3), (0, meter(6, 3)), (96, meter(3, 2)))
    path.write_bytes(midi(first, chunk((0, meter(6, 3)), *tune(1, channel=1))))
    signatures = [(meter.time, meter.numerator, meter.denominator) for meter in read_score(path).time_signatures]
    assert signatures == [(0, 6, 8), (4 * 480, 3, 4)]


def test_real_midi_files_keep_their_notes_and_lengths(real):
    folder = real("midi_files")
    pieces, dropped = read_music(folder)
    with open(folder / "MANIFEST.tsv", encoding="utf-8", newline="") as stream:
        counts = {row["file"]: int(row["note_ons"]) for row in csv.DictReader(stream, delimiter="\t")}
    assert len(counts) == 47
    assert {piece.name: piece.score.note_num() for piece in pieces} == counts
    assert [piece.name for piece in pieces] == sorted(counts)
    assert [item.name for item in dropped] == ["MANIFEST.tsv", "SOURCE.md"]
    for piece in pieces:
        seconds = symusic.Score(folder / piece.name).to("second").end()
        assert piece.score.to("second").end() == pytest.approx(seconds, rel=1e-3)


def test_every_file_of_a_folder_is_told_of(tmp_path):
    folder = tmp_path / "music"
    (folder / "b" / ".git").mkdir(parents=True)
    good = midi(chunk(*tune(8)))
    for name, data in {
        "z.MID": good,
        "b/book.abc": ABC.encode(),
        "b/.hidden.mid": good,
        "b/.git/x.mid": good,
        "broken.mid": b"MThd but no more",
        "cut.mid": good[:-9],
        "timeless.mid": midi(chunk(*tune(8)), division=0),
        "empty.mid": midi(chunk()),
        "drums.mid": midi(chunk(*tune(8, channel=9))),
        "short.mid": midi(chunk(*tune(7))),
        "notes.txt": b"",
        "page.xml": b"<html/>",
        "torn.xml": b"<score-partwise>",
        "torn.mxl": b"PK nothing",
        "words.krn": b"no such thing",
        "torn.json": b"[[",
        "other.json": b'{"a": 1}',
        "torn.mat": b"no such thing",
    }.items():
        (folder / name).write_bytes(data)
    (folder / "link.mid").symlink_to(tmp_path / "nowhere")
    pieces, dropped = read_music(folder)
    assert [piece.name for piece in pieces] == ["b/book.abc#1", "z.MID"]
    assert all(piece.style is None for piece in pieces)
    reasons = {item.name: item.reason for item in dropped}
    assert list(reasons) == [
        *("b/book.abc#2", "b/book.abc#3", "broken.mid", "cut.mid", "drums.mid", "empty.mid", "link.mid", "notes.txt"),
        *("other.json", "page.xml", "short.mid", "timeless.mid", "torn.json", "torn.mat", "torn.mxl", "torn.xml"),
        "words.krn",
    ]
    assert reasons["b/book.abc#2"].startswith("cannot be read (ValueError: ")
    assert reasons["b/book.abc#3"] == "has fewer than 8 notes (6); lower min_notes to keep it"
    assert reasons["short.mid"] == "has fewer than 8 notes (7); lower min_notes to keep it"
    assert reasons["broken.mid"].startswith("cannot be read (RuntimeError: MiniMidi: ")
    assert reasons["cut.mid"].startswith("cannot be read (RuntimeError: MiniMidi: ")
    assert reasons["timeless.mid"] == "is damaged: its quarters have no ticks"
    assert reasons["drums.mid"] == "has only drums, which are left out"
    assert reasons["empty.mid"] == "has no notes"
    assert reasons["link.mid"] == "is no regular file, or a link to nothing"
    assert reasons["notes.txt"].startswith("is not a music file (endings read: .mid, .midi, .xml, ")
    assert reasons["page.xml"] == "is not MusicXML that can be read: expected the root 'score-partwise', got 'html'."
    assert "'a'" in reasons["other.json"]
    assert not any("\n" in reason for reason in reasons.values())
    assert len(read_music(folder, min_notes=6).pieces) == 4


def test_what_cannot_be_read_at_all(tmp_path):
    with pytest.raises(DataError, match=r"nowhere does not exist; expected a file or folder of music\."):
        read_music(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"nowhere\.mid does not exist"):
        read_score(tmp_path / "nowhere.mid")
    with pytest.raises(DataError, match="has no files in it"):
        read_music(tmp_path)
    (tmp_path / "a.mid").write_bytes(midi(chunk(*tune(7))))
    with pytest.raises(DataError, match=r"a\.mid has fewer than 8 notes \(7\)"):
        read_music(tmp_path / "a.mid")
    (tmp_path / "b.txt").touch()
    with pytest.raises(DataError, match=r"2 left out, such as: a\.mid has fewer than 8 .*; b\.txt is not a music file"):
        read_music(tmp_path)
    with pytest.raises(DataError, match=r"b\.txt is not a music file"):
        read_music(tmp_path / "b.txt")
    with pytest.raises(DataError, match="is not a music file"):
        read_score(tmp_path)
    assert read_score(tmp_path / "a.mid").note_num() == 7
    (tmp_path / "c.abc").write_text(ABC)
    with pytest.raises(DataError, match=r"c\.abc holds 3 pieces, expected one\."):
        read_score(tmp_path / "c.abc")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"part": "valid"}, "part must be one of 'train', 'dev', 'test', 'all'; got 'valid'"),
        ({"styles": "names"}, "styles must be one of 'none', 'folders'; got 'names'"),
        ({"min_notes": 0}, "min_notes must be a whole number, 1 or more; got 0"),
        ({"styles": "folders"}, "styles='folders' needs a folder with a folder for each style"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    (tmp_path / "a.mid").touch()
    with pytest.raises(ParameterError, match=message):
        read_music(tmp_path / "a.mid", **arguments)


def test_styles_are_the_names_of_folders(tmp_path):
    for name in ("jazz/1920/a.mid", "jazz/b.mid", "reel/c.mid", "d.mid"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(midi(chunk(*tune(8))))
    pieces, dropped = read_music(tmp_path, styles="folders")
    assert [(piece.name, piece.style) for piece in pieces] == [
        ("jazz/1920/a.mid", "jazz/1920"),
        ("jazz/b.mid", "jazz"),
        ("reel/c.mid", "reel"),
    ]
    assert dropped == [Dropped("d.mid", "has no style: move it into a folder that is named after its style")]


def test_an_abc_tune(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text(ABC)
    first, third = read_music(path, min_notes=1).pieces
    assert (first.name, third.name) == ("a.abc#1", "a.abc#3")
    score = first.score
    # The pick-up is the third beat of a bar. The G is tied; the grace note and the chord symbols have no time.
    strain = [(0, 480, 62), (480, 960, 67), (1440, 480, 71), (1920, 480, 66), (1920, 480, 69), (2400, 480, 74)]
    twice = [(960 + again + time, *rest) for again in (0, 2880) for time, *rest in strain]
    assert notes(score.tracks[0]) == [*twice, (6720, 480, 71), (7200, 2400, 72)]
    assert [(meter.time, meter.numerator, meter.denominator) for meter in score.time_signatures] == [(0, 3, 4)]
    assert [(tempo.time, round(tempo.qpm)) for tempo in score.tempos] == [(0, 60)]
    assert [(key.time, key.key, key.tonality) for key in score.key_signatures] == [(0, 1, 0)]
    assert notes(third.score.tracks[0]) == [(480 * i, 480, pitch) for i, pitch in enumerate((60, 62, 64, 65, 67, 69))]


def test_a_kern_file(tmp_path):
    path = tmp_path / "a.krn"
    path.write_text(KERN)
    flute, violin = read_score(path).tracks
    assert (flute.name, flute.program, violin.name, violin.program) == ("Flute", 73, "Violin", 40)
    assert notes(flute) == [(0, 480, 72), (480, 480, 74), (960, 480, 76), (1440, 1440, 77), (3360, 960, 79)]
    assert notes(violin) == [(0, 480, 48), (480, 480, 50), (960, 480, 52), (1440, 1920, 53), (3360, 960, 55)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.xml", MUSICXML.encode()),
        ("a.musicxml", MUSICXML.replace("UTF-8", "UTF-16").encode("utf-16")),
        ("a.mxl", zipped({"mimetype": "x", "score.xml": MUSICXML})),
        (
            "b.mxl",
            zipped(
                {
                    "other.xml": "<no/>",
                    "META-INF/container.xml": '<c><rootfiles><rootfile full-path="s/a.musicxml"/></rootfiles></c>',
                    "s/a.musicxml": MUSICXML,
                }
            ),
        ),
    ],
)
def test_a_musicxml_file(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    clarinet, cello = read_score(path).tracks
    assert (clarinet.name, clarinet.program, cello.name) == ("Clarinet", 71, "Cello")
    # It sounds a tone lower; the first bar is played twice, and only its second time ties into the next one.
    expected = [(0, 960, 70), (960, 960, 72), (1920, 960, 70), (2880, 1440, 72), (4320, 1440, 74)]
    assert notes(clarinet) == expected
    assert notes(cello) == [(0, 1920, 48), (1920, 1920, 48), (3840, 240, 43)]
    assert clarinet.notes[0].velocity == cello.notes[0].velocity == 90 < clarinet.notes[4].velocity
    score = read_score(path)
    assert [(tempo.time, round(tempo.qpm)) for tempo in score.tempos] == [(0, 72)]
    assert [(meter.time, meter.numerator, meter.denominator) for meter in score.time_signatures] == [(0, 4, 4)]


def test_repeats_that_would_part_the_parts_are_not_played(tmp_path):
    head, *rest = MUSICXML.split(BACK)
    (tmp_path / "a.xml").write_text(head + BACK + "".join(rest))
    clarinet, cello = read_score(tmp_path / "a.xml").tracks
    assert notes(clarinet) == [(0, 960, 70), (960, 1440, 72), (2400, 1440, 74)]
    assert notes(cello) == [(0, 1920, 48), (1920, 240, 43)]


def test_faults_of_musicxml(tmp_path):
    (tmp_path / "a.xml").write_text("<score-timewise/>")
    with pytest.raises(DataError, match=r"got 'score-timewise'\. Save it anew as a partwise score"):
        read_score(tmp_path / "a.xml")
    (tmp_path / "a.mxl").write_bytes(zipped({"a.txt": ""}))
    with pytest.raises(DataError, match="is an archive without a MusicXML file in it"):
        read_score(tmp_path / "a.mxl")


def test_an_archive_that_grows_too_large_is_not_unpacked(tmp_path, monkeypatch):
    from seqkit.music import notation

    monkeypatch.setattr(notation, "_LARGEST", 2**20)
    (tmp_path / "a.mxl").write_bytes(zipped({"a.xml": " " * 2**20 + " "}))
    with pytest.raises(DataError, match=r"holds more than 1 MiB in 'a\.xml'"):
        read_score(tmp_path / "a.mxl")


def test_music21_leaves_nothing_behind_and_is_silent(tmp_path, monkeypatch, capfd):
    from music21 import environment

    for name in ("scratch", "home", "in"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(environment.envSingleton(), "defaultRootTempDir", None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = str(environment.envSingleton())
    for name, text in {"a.abc": ABC, "a.krn": KERN, "a.xml": MUSICXML}.items():
        (tmp_path / "in" / name).write_text(text)
    # A tune that music21 warns of: a meter that the notes overrun.
    (tmp_path / "in" / "b.abc").write_text("X:1\nM:none\nL:1/4\nK:Zz exotic\nCDEFG|ABc[|\n")
    pieces, _ = read_music(tmp_path / "in", min_notes=1)
    assert len(pieces) >= 4
    assert not list((tmp_path / "scratch").iterdir()) and not list((tmp_path / "home").iterdir())
    assert capfd.readouterr() == ("", "")
    assert str(environment.envSingleton()) == settings
    environment.Environment("test").warn("still there")
    assert "still there" in capfd.readouterr().err


def test_a_missing_library_is_no_fault_of_the_files(tmp_path, monkeypatch):
    (tmp_path / "a.mid").write_bytes(midi(chunk(*tune(8))))
    (tmp_path / "b.abc").write_text(ABC)
    for name in [name for name in sys.modules if name.partition(".")[0] == "music21"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(MissingDependencyError, match=r"needs the package 'music21'.*pip install 'seqkit\[music\]'"):
        read_music(tmp_path)


def test_libraries_load_when_they_are_needed():
    code = "import sys, seqkit.music.reading; print([m for m in ('symusic', 'music21', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_chorale_of_music21(tmp_path):
    from music21 import common

    path = common.getCorpusFilePath() / "bach" / "bwv66.6.mxl"
    score = read_score(path)
    assert [track.name for track in score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert score.note_num() == 163  # 165 are written, two of them tied to the one before
    # C#5 B4 in eighths on the fourth beat, then A4 B4 C#5 E5.
    assert notes(score.tracks[0])[:6] == [
        *((1440, 240, 73), (1680, 240, 71)),
        *((1920, 480, 69), (2400, 480, 71), (2880, 480, 73), (3360, 480, 76)),
    ]


def test_tunes_of_music21():
    from music21 import common

    corpus = common.getCorpusFilePath()
    tune = read_score(corpus / "ryansMammoth" / "42dHighlandRegimentStrathspey.abc").tracks[0]
    # u"4"e|v(c<A)(A>.B) (c<A) (A>.f)| in eighths; the pick-up stands before the second bar.
    assert notes(tune)[:9] == [
        (1680, 240, 76),
        *((1920, 120, 72), (2040, 360, 69), (2400, 360, 69), (2760, 120, 71)),
        *((2880, 120, 72), (3000, 360, 69), (3360, 360, 69), (3720, 120, 77)),
    ]
    pieces, dropped = read_music(corpus / "oneills1850" / "0487-0500.abc")
    assert len(pieces) == 14 and not dropped
