"""Written music (MusicXML, Humdrum and ABC) by music21, as scores of 480 ticks a quarter.

The files are handed to music21 as text that is already in memory: so it looks for no address on the network, keeps no
cache of pickles in the shared temporary folder, and writes nothing.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from seqkit.errors import DataError, require
from seqkit.music.notes import TICKS
from seqkit.music.tunes import plain_tune

if TYPE_CHECKING:
    import symusic
    from music21.stream import Score, Stream

_LARGEST = 256 * 2**20  # bytes; a small compressed file can hold any number of them


def read_musicxml(data: bytes) -> symusic.Score:
    """Read a MusicXML file.

    Parameters
    ----------
    data : bytes
        What the file holds, plain or compressed (``.mxl``).

    Returns
    -------
    symusic.Score
        A track for each part, with its name and program. Times are those of the notation, at 480 ticks a quarter:

        - Ties are joined, repeats are played; the piece stays as written where music21 cannot tell how to play them.
        - A pick-up bar comes after the rest that it lacks, so that all bars begin where the time signature says.
        - Grace notes have no time of their own and are left out, and so are chord symbols.
        - Transposing instruments sound; loudness follows dynamics and accents, 90 where there are none.
        - Parts for unpitched percussion are drum tracks.

    Raises
    ------
    DataError
        If this is no MusicXML. Other faults raise what music21 raises.
    """
    root = ElementTree.fromstring(_unpacked(data) if data[:2] == b"PK" else data)
    if root.tag != "score-partwise":
        advice = " Save it anew as a partwise score." if root.tag == "score-timewise" else ""
        raise DataError(
            f"is not MusicXML that can be read: expected the root 'score-partwise', got {root.tag!r}.{advice}"
        )
    with _quiet_music21():
        from music21.musicxml.xmlToM21 import MusicXMLImporter

        importer = MusicXMLImporter()
        importer.xmlRootToScore(root, importer.stream)
        return _to_score(importer.stream)


def _unpacked(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.startswith("META-INF/")]
        with suppress(KeyError):  # the format's own table of contents, which some programs leave out
            contents = ElementTree.fromstring(_member(archive, "META-INF/container.xml"))
            names = [item.get("full-path") for item in contents.iter() if item.tag.endswith("rootfile")]
        name = next((name for name in names if name.endswith((".xml", ".musicxml"))), None)
        if name is None:
            raise DataError("is an archive without a MusicXML file in it.")
        return _member(archive, name)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LARGEST:
        raise DataError(f"holds more than {_LARGEST >> 20} MiB in {name!r}. Unpack it first if that is right.")
    return archive.read(name)


def read_kern(text: str) -> list[symusic.Score]:
    """Read a Humdrum ``**kern`` file; the scores are as those of `read_musicxml`."""
    with _quiet_music21():
        from music21.converter.subConverters import ConverterHumdrum

        return _read_text(ConverterHumdrum(), text)


def read_abc(text: str) -> symusic.Score:
    """Read one ABC tune; the score is as that of `read_musicxml`, but all notes are of one loudness.

    Where a chord is tied to the next one, both are struck: music21 does not read these ties. A book of tunes is to be
    cut by `seqkit.music.tunes.split_tunes` before.
    """
    with _quiet_music21():
        from music21.converter.subConverters import ConverterABC

        return _read_text(ConverterABC(), plain_tune(text))[0]


def _read_text(converter, text: str) -> list[symusic.Score]:
    from music21.stream import Opus

    converter.parseData(text)
    found = converter.stream
    return [_to_score(score) for score in (found.scores if isinstance(found, Opus) else [found])]


@contextmanager
def _quiet_music21() -> Iterator[None]:
    """Load music21 and hold back what it would print: its own warnings pass by Python's."""
    environment = require("music21.environment", extra="music", why="Reading MusicXML, Humdrum and ABC").Environment
    warn = environment.warn
    environment.warn = lambda *_, **__: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        environment.warn = warn


def _to_score(written: Score) -> symusic.Score:
    symusic = require("symusic", extra="music", why="Music")
    from music21.key import KeySignature
    from music21.meter import TimeSignature
    from music21.tempo import MetronomeMark

    written.toSoundingPitch(inPlace=True)
    written = _played(written)
    parts = list(written.parts) or [written]
    lead = _lead(parts)
    score = symusic.Score(TICKS)
    score.tracks.extend([_track(part, lead) for part in parts])
    flat = written.flatten()

    def events(kind):
        # What stands at the very start counts from there, before the rest that leads in a pick-up bar.
        return [(_ticks(offset + lead) if offset else 0, item) for offset, item in _timed(flat, kind)]

    for time, meter in events(TimeSignature):
        score.time_signatures.append(symusic.TimeSignature(time, meter.numerator, meter.denominator))
    for time, key in events(KeySignature):
        if key.sharps is None or abs(key.sharps) > 7:  # MIDI has no such keys
            continue
        score.key_signatures.append(symusic.KeySignature(time, key.sharps, int(getattr(key, "mode", None) == "minor")))
    for time, mark in events(MetronomeMark):
        if quarters := mark.getQuarterBPM():
            score.tempos.append(symusic.Tempo(time, quarters))
    return score


def _played(written: Score) -> Score:
    """With repeats expanded, where music21 can do it for all parts alike."""
    from music21.repeat import RepeatMark

    if not written[RepeatMark]:
        return written  # expanding copies all, which takes longer than reading did
    with suppress(Exception):  # repeats that make no sense: music21 has no one class for its faults
        for part in written.parts:
            _begin_repeats(part)
        played = written.expandRepeats()
        # A "da capo" often stands over the top part alone, and only that one would be expanded.
        lengths, before = ({part.highestTime for part in score.parts} for score in (played, written))
        if len(lengths) <= len(before):
            return played
    return written


def _begin_repeats(part: Stream) -> None:
    """Begin repeats that only end: in ``A :| B :|`` B alone is repeated, where music21 would begin with A again."""
    from music21.bar import Barline, Repeat
    from music21.spanner import RepeatBracket
    from music21.stream import Measure

    endings = {id(bar) for bracket in part[RepeatBracket] for bar in bracket.getSpannedElements()}
    ended, start = False, None  # whether a repeat has ended and none begun since; the bar where the next may begin
    for bar in part.getElementsByClass(Measure):
        left, right = bar.leftBarline, bar.rightBarline
        if isinstance(left, Repeat) and left.direction == "start":
            ended, start = False, None
        elif ended and start is None and id(bar) not in endings:
            start = bar
        if isinstance(right, Repeat) and right.direction == "end":
            if start is not None:
                start.leftBarline = Repeat(direction="start")
            ended, start = True, None
        elif isinstance(right, Barline) and right.type not in ("regular", "dashed", "dotted", "none"):
            start = None  # a double bar: a section ends here, such as a second ending of several bars


def _lead(parts: list[Stream]):
    """Quarters that the first bar lacks, the same in all parts; 0 if it is full or the only one."""
    from music21.stream import Measure

    measures = [list(part.getElementsByClass(Measure)[:2]) for part in parts]
    firsts = [bars[0] for bars in measures if len(bars) == 2]
    return max(0, min((bar.barDuration.quarterLength - bar.highestTime for bar in firsts), default=0))


def _timed(flat: Stream, kind: type | tuple[type, ...]) -> list[tuple]:
    return [(flat.elementOffset(item), item) for item in flat.getElementsByClass(kind)]


def _ticks(quarters) -> int:
    return round(quarters * TICKS)


def _track(part: Stream, lead) -> symusic.Track:
    import symusic
    from music21.chord import Chord
    from music21.harmony import Harmony
    from music21.instrument import Instrument, UnpitchedPercussion
    from music21.note import Note, Unpitched
    from music21.percussion import PercussionChord
    from music21.volume import realizeVolume

    realizeVolume(part)
    flat = part.flatten()
    instrument = flat.getElementsByClass(Instrument).first()
    drums = isinstance(instrument, UnpitchedPercussion)
    notes: list[symusic.Note] = []
    tied: dict[int, symusic.Note] = {}  # by pitch: the last note that a tie led on from
    for offset, item in _timed(flat, (Note, Chord, Unpitched, PercussionChord)):
        if isinstance(item, Harmony) or not item.quarterLength:
            continue
        start, end = _ticks(offset + lead), _ticks(offset + lead + item.quarterLength)
        drums = drums or isinstance(item, Unpitched | PercussionChord)
        for note in getattr(item, "notes", (item,)):
            pitch = note.pitch.midi if isinstance(note, Note) else 35  # of unpitched ones only the rhythm is known
            tie = note.tie.type if note.tie else None
            before = tied.get(pitch)
            if tie in ("continue", "stop") and before and before.end == start:
                before.duration = end - before.time
                continue
            loudness = (note if item is not note and item.hasComponentVolumes() else item).volume.cachedRealized
            notes.append(symusic.Note(start, max(1, end - start), pitch, min(127, max(1, round(loudness * 127)))))
            if tie in ("start", "continue"):
                tied[pitch] = notes[-1]
    program = getattr(instrument, "midiProgram", None) or 0
    track = symusic.Track(str(getattr(part, "partName", None) or ""), program, drums)
    track.notes.extend(notes)
    track.notes.sort()
    return track
