"""A composer: what it learns from, what it writes, and that all of it is saved."""

import subprocess
import sys
import zlib

import numpy as np
import pytest

import seqkit
from seqkit import SequenceGenerator
from seqkit.batch import predict_files
from seqkit.errors import DataError, ModelFileError, ParameterError, SeqkitError
from seqkit.music import Composer, Piece, make_representation, read_notes, voices_score
from seqkit.music.notes import bar_lines

SMALL = {"units": 24, "word_dim": 16, "epochs": 40, "patience": None, "learning_rate": 0.02, "dropout": 0.0}
SMALL |= {"random_state": 0, "verbose": 0}
SCALE = "C4 D4 E4 F4 G4 A4 B4 C5 B4 A4 G4 F4 E4 D4 C4:2"


def pieces(*texts, styles=None):
    """Return pieces of notes written as words."""
    styles = styles or [None] * len(texts)
    return [
        Piece(read_notes(text), f"{i}.mid", style) for i, (text, style) in enumerate(zip(texts, styles, strict=True))
    ]


def pitches(score):
    return [[note.pitch for note in track.notes] for track in score.tracks]


@pytest.fixture(scope="module")
def scales():
    """Learned from one melody, six times, in its own key."""
    return Composer("melody", transpose=False, **SMALL).fit(pieces(*[SCALE] * 6))


@pytest.fixture(scope="module")
def chorales():
    """Learned from two pieces of four voices: where the soprano goes decides what the others do."""
    up = np.array([[72, 67, 60, 48], [74, 67, 59, 43], [76, 67, 60, 48], [77, 69, 60, 41]]).repeat(4, 0)
    down = np.array([[76, 67, 60, 48], [74, 65, 59, 43], [72, 64, 60, 48], [71, 62, 55, 43]]).repeat(4, 0)
    each = [Piece(voices_score(table), f"{i}") for i, table in enumerate([up, down] * 6)]
    return Composer("chorale", transpose=False, **SMALL).fit(each, validation=each[:2]), up


def test_a_melody_goes_on_as_it_was_learned(scales):
    whole = pitches(read_notes(SCALE))
    assert pitches(scales.generate(temperature=0)[0]) == whole
    continued = scales.generate(2, begin=read_notes("C4 D4 E4"), temperature=0)
    assert [pitches(score) for score in continued] == [whole, whole]
    assert scales.generate(1, temperature=0, tempo=77)[0].tempos[0].qpm == pytest.approx(77, abs=0.01)
    assert scales.runs_.longest_copied(continued[0]).notes == 15


def test_bars_are_counted_behind_the_beginning(scales):
    assert len(bar_lines(scales.generate(bars=2, temperature=0)[0])) == 3
    begun = scales.generate(bars=1, begin=read_notes("C4 D4 E4 F4 G4"), temperature=0)[0]
    assert len(bar_lines(begun)) == 4  # two bars begun, and one
    assert pitches(begun)[0] == pitches(read_notes(SCALE))[0][:12]


def test_a_seed_writes_the_same_whatever_stands_beside_it(scales):
    def written(*arguments, **options):
        return [pitches(score) for score in scales.generate(*arguments, temperature=5.0, **options)]

    assert written(3, seed=4)[1:] == written(2, seed=5) != written(2, seed=4)


def test_a_style_is_written_in():
    up, down = "C4 D4 E4 F4 G4 A4 B4 C5", "C5 B4 A4 G4 F4 E4 D4 C4"
    composer = Composer("melody", **SMALL).fit(pieces(*[up, down] * 6, styles=["up", "down"] * 6))
    assert pitches(composer.generate(style="down", temperature=0, begin=read_notes("C5"))[0]) == pitches(
        read_notes(down)
    )
    with pytest.raises(ParameterError, match="style='left' must be one of 'down', 'up'"):
        composer.generate(style="left")
    loss = composer.evaluate(pieces(up, styles=["up"])).loss
    assert loss < composer.evaluate(pieces(up, styles=["down"])).loss


def test_pieces_are_learned_from_in_all_keys_within_their_range(monkeypatch):
    seen, fit = [], SequenceGenerator.fit

    def spied(generator, X, y, **options):
        seen.append(y)
        return fit(generator, X, y, **options)

    monkeypatch.setattr(SequenceGenerator, "fit", spied)
    wide, narrow = "C4 C5", "E4 G4"
    Composer("melody", **{**SMALL, "epochs": 1}).fit(pieces(wide, narrow), pieces(wide))
    starts = sorted(int(tokens[1].split(":")[0]) for tokens in seen[0])
    assert starts == sorted([60, *range(60, 70)])  # the narrow one from C4 to A4, all between C4 and C5


def test_of_each_style_something_is_learned():
    styles = ["a", "b", "c", "c", "c", "c"]
    for seed in range(5):
        options = {**SMALL, "epochs": 1, "random_state": seed, "validation_fraction": 0.5}
        composer = Composer("melody", **options).fit(pieces(*["C4 D4"] * 6, styles=styles))
        assert len(composer.held_out_) == 3
        assert composer.generator_.styles_.tolist() == ["a", "b", "c"]
    alone = Composer("melody", **{**SMALL, "epochs": 1}).fit(pieces("C4 D4"))
    assert alone.kept_ == ["0.mid"] and alone.held_out_ == []


def test_four_voices_are_harmonized(chorales):
    composer, up = chorales
    soprano = voices_score(np.stack([up[:, 0]] + [np.full(len(up), -1)] * 3, 1))
    found = composer.harmonize(soprano, 2, seed=0, temperature=0.3)
    assert [pitches(score) for score in found] == [pitches(voices_score(up))] * 2
    assert [track.name for track in found[0].tracks] == ["Soprano", "Alto", "Tenor", "Bass"]


def test_the_loss_is_the_mean_over_items(chorales):
    composer, up = chorales
    piece = Piece(voices_score(up), "up")
    found = composer.evaluate([piece, Piece(read_notes(SCALE), "one voice")])
    items = composer.representation.encode(piece.score)
    assert found.items == len(items) + 1 == 66  # the meter, 16 steps of four voices, the end
    assert found.loss == pytest.approx(-composer.generator_.log_probability(None, [items])[0] / 66)
    assert [(piece.name, piece.reason[:10]) for piece in found.dropped] == [("one voice", "has 1 trac")]


def test_rolls_are_written():
    frames = np.eye(88, dtype=int)[40:64]  # a scale: the last frame says that it is the last
    score = make_representation("roll").decode(frames)
    composer = Composer("roll", transpose=False, **{**SMALL, "word_dim": None}, head_units=8)
    composer.fit([Piece(score, str(i)) for i in range(6)])
    continued = composer.generate(begin=make_representation("roll").decode(frames[:4]), bars=1, temperature=0)[0]
    assert (composer.representation.encode(continued) == frames[: 4 * 4 * 2]).all()


def test_a_composer_is_saved_whole(scales, tmp_path):
    scales.save(tmp_path / "model")
    code = (
        "import sys; from seqkit.music import Composer; composer = Composer.load(sys.argv[1]);"
        "print(composer.generate(seed=3, temperature=5.0)[0].tracks[0].notes);"
        "print(composer.representation, composer.tempo_, composer.kept_, composer.statistics_)"
    )
    again = subprocess.run([sys.executable, "-c", code, tmp_path / "model"], capture_output=True, text=True, check=True)
    notes = scales.generate(seed=3, temperature=5.0)[0].tracks[0].notes
    assert again.stdout.splitlines() == [
        str(notes),
        f"{scales.representation} {scales.tempo_} {scales.kept_} {scales.statistics_}",
    ]
    assert isinstance(seqkit.load(tmp_path / "model"), SequenceGenerator)
    (tmp_path / "model" / "music.json").write_text("{}")
    with pytest.raises(ModelFileError, match="is damaged"):
        Composer.load(tmp_path / "model")
    (tmp_path / "model" / "music.json").unlink()
    with pytest.raises(ModelFileError, match="was not saved by a Composer"):
        Composer.load(tmp_path / "model")


def test_what_cannot_be_is_told(scales, chorales):
    with pytest.raises(DataError, match="No piece can be learned from: a: has 1 tracks"):
        Composer("chorale", **SMALL).fit([Piece(read_notes(SCALE), "a")])
    with pytest.raises(DataError, match="No piece can judge the passes: there are none"):
        Composer("melody", **SMALL).fit([Piece(read_notes(SCALE), "a")], [])
    with pytest.raises(ParameterError, match="not fitted"):
        Composer("melody").generate()
    with pytest.raises(ParameterError, match="harmonize is for composers of chorales"):
        scales.harmonize(read_notes(SCALE))
    with pytest.raises(ParameterError, match="without styles"):
        scales.generate(style="folk")
    with pytest.raises(ParameterError, match="bars=0 must be"):
        scales.generate(bars=0)
    with pytest.raises(ParameterError, match="count=0 must be"):
        scales.generate(0)
    with pytest.raises(TypeError, match="unitss"):
        Composer("melody", unitss=3).fit(pieces(SCALE))


def test_batches_of_midi(scales, tmp_path):
    """One text gives one piece, whatever stands beside it; notes that are none are an error of their row."""
    import pyarrow.parquet
    import symusic

    folder, lines = scales.save(tmp_path / "scales"), tmp_path / "begin.txt"
    lines.write_text("C4 D4 E4\nnonsense\n\nC4 D4 E4\n")
    predict_files(folder, [lines], tmp_path / "out", output_format="parquet")
    (part,) = (tmp_path / "out").rglob("part-*.parquet")
    rows = pyarrow.parquet.read_table(part).to_pylist()
    assert [row["midi"] is None for row in rows] == [False, True, False, False]
    assert "'nonsense' is no note" in rows[1]["error"] and rows[0]["midi"] == rows[3]["midi"]
    begin = read_notes("C4 D4 E4")
    (expected,) = scales.generate(begin=begin, seed=zlib.crc32(b"C4 D4 E4"))
    assert pitches(symusic.Score.from_midi(rows[0]["midi"])) == pitches(expected)
    assert pitches(expected)[0][:3] == pitches(begin)[0]
    more = scales.generate(3, begin=[None, begin, begin], seed=[5, 6, 7])
    assert [pitches(score) for score in more[1:]] == [
        pitches(scales.generate(begin=begin, seed=seed)[0]) for seed in (6, 7)
    ]
    for wrong in ({"seed": [1]}, {"seed": 1.5}, {"begin": [begin]}):
        with pytest.raises(SeqkitError, match=next(iter(wrong))):
            scales.generate(2, **wrong)
