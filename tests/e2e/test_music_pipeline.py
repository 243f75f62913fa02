"""From scores to new ones through the command line."""

from __future__ import annotations

import io
import json
import wave
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import symusic

from seqkit import cli
from seqkit.music import read_notes, voices_score, write_midi
from seqkit.music.copying import TrainingRuns

SMALL = ["--units", "24", "--word-dim", "16", "--epochs", "30", "--patience", "none", "--learning-rate", "0.02"]
SMALL += ["--dropout", "0", "--random-state", "0"]
TUNES = {"up": "C4 D4 E4 F4 G4 A4 B4 C5", "down": "C5 B4 A4 G4 F4 E4 D4 C4"}
CHORALE = np.array([[72, 67, 60, 48], [74, 67, 59, 43], [76, 67, 60, 48], [77, 69, 60, 41]])


def fit(*arguments) -> str:
    """Train, and return what was printed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert cli.main(["music", "train", *map(str, arguments), *SMALL]) == 0
    return printed.getvalue()


@pytest.fixture(scope="module")
def tunes(tmp_path_factory) -> tuple[Path, str]:
    """A folder with tunes in two styles and the model that learned from them, and what training printed."""
    folder = tmp_path_factory.mktemp("music")
    for style, text in TUNES.items():
        (folder / "tunes" / style).mkdir(parents=True)
        for i in range(5):
            write_midi(read_notes(text), folder / "tunes" / style / f"{i}.mid")
    (folder / "tunes" / "up" / "notes.txt").write_text("no music")
    (folder / "tunes" / "up" / "broken.mid").write_bytes(b"MThd no")
    write_midi(read_notes("C4 D4"), folder / "tunes" / "down" / "short.mid")
    (folder / "more" / "up").mkdir(parents=True)
    write_midi(read_notes(TUNES["up"]), folder / "more" / "up" / "0.mid")
    (folder / "more" / "note.txt").write_text("no music")
    options = ["--output", folder / "model", "--styles", "folders", "--no-transpose", "--report", folder / "report.tsv"]
    return folder, fit(folder / "tunes", "--test", folder / "more", *options)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = cli.main(["music", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def pitches(path):
    return [[note.pitch for note in track.notes] for track in symusic.Score(path).tracks]


def test_every_file_is_kept_or_dropped_with_a_reason(tunes):
    folder, printed = tunes
    rows = [line.split("\t") for line in (folder / "report.tsv").read_text().splitlines()]
    assert rows[0] == ["part", "file", "decision", "reason"]
    assert [row[1] for row in rows if row[0] == "test"] == ["note.txt", "up/0.mid"]
    found = {row[1]: row[2] for row in rows[1:] if row[0] == "train"}
    assert sorted(found) == sorted(str(p.relative_to(folder / "tunes")) for p in (folder / "tunes").rglob("*.*"))
    reasons = {row[1]: row[3] for row in rows if row[0] == "train" and row[2] == "dropped"}
    assert set(reasons) == {"up/notes.txt", "up/broken.mid", "down/short.mid"}
    assert "10 pieces kept (1 of them to judge each pass), 3 dropped:" in printed
    assert all(f"{name}: {reason}" in " ".join(printed.split()) for name, reason in reasons.items())


def test_a_tune_goes_on_in_its_style_as_midi_sound_and_picture(tunes, run):
    folder, _ = tunes
    new = folder / "new"
    down = ["--style", "down", "--notes", "C5 B4", "--temperature", 0, "--count", 2]
    code, out, _ = run("generate", folder / "model", "-o", new, *down)
    assert code == 0
    assert pitches(new / "1.mid") == pitches(new / "2.mid") == [[72, 71, 69, 67, 65, 64, 62, 60]]
    with wave.open(str(new / "1.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(8 * 0.6, abs=0.5)
    assert (new / "2.png").read_bytes()[:4] == b"\x89PNG"
    # Of eight notes two were given.
    assert "1: longest run copied from training: 6 notes, as in down/" in out and "Overlap of intervals" in out
    begin = folder / "tunes" / "up" / "0.mid"
    code, _, _ = run(
        "generate", folder / "model", "-o", new, "--style", "up", "--begin", begin, "--bars", 1, "--no-wav", "--seed", 1
    )
    assert code == 0 and pitches(new / "1.mid")[0][:8] == pitches(begin)[0]


def test_scores_are_judged(tunes, run):
    folder, _ = tunes
    code, out, _ = run("evaluate", folder / "model", folder / "tunes")
    assert code == 0 and "nats per token, 100 tokens" in out and "Share of repeated figures" in out


def test_a_soprano_is_harmonized(tmp_path, run, monkeypatch):
    table = CHORALE.repeat(4, 0)
    (tmp_path / "all.json").write_text(json.dumps({"train": [table.tolist()] * 6, "valid": [table.tolist()]}))
    options = ["--representation", "chorale", "--dev", tmp_path / "all.json", "--output", tmp_path / "model"]
    printed = fit(tmp_path / "all.json", *options)
    assert "6 pieces kept, 0 dropped" in printed and "nats per token, 66 tokens" in printed
    soprano = voices_score(np.stack([table[:, 0]] + [np.full(len(table), -1)] * 3, 1))
    write_midi(soprano, tmp_path / "soprano.mid")
    compared, find = [], TrainingRuns.longest_copied
    monkeypatch.setattr(
        TrainingRuns, "longest_copied", lambda *args: compared.append(len(args[1].tracks)) or find(*args)
    )
    code, _, _ = run("generate", tmp_path / "model", "-o", tmp_path, "--harmonize", tmp_path / "soprano.mid")
    assert compared == [3]  # the soprano was given, so it is not looked for in the training pieces
    assert code == 0 and pitches(tmp_path / "1.mid") == pitches_of(voices_score(table))


def pitches_of(score):
    return [[note.pitch for note in track.notes] for track in score.tracks]


def test_a_model_is_exported(tunes, run):
    folder, _ = tunes
    code, out, _ = run("export", folder / "model", "--output", folder / "served")
    assert code == 0 and out.strip() == str(folder / "served" / "1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--notes", "H4"], "'H4' is no note"),
        (["--notes", "C4", "--begin", "x.mid"], "Give one of them"),
        (["--begin", "none.mid"], "none.mid"),
        ([], "style=None must be one of 'down', 'up'"),
        (["--harmonize", "{folder}/tunes/up/0.mid"], "harmonize is for composers of chorales"),
    ],
)
def test_what_cannot_be_written_is_told(tunes, run, arguments, message, tmp_path):
    arguments = [argument.replace("{folder}", str(tunes[0])) for argument in arguments]
    code, _, error = run("generate", tunes[0] / "model", "-o", tmp_path / "new", *arguments)
    assert code == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_the_demo_leaves_music(tmp_path, monkeypatch, capsys):
    from seqkit_pipelines import music

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(music, "DEMO_PIECES", 8)
    monkeypatch.setattr(music, "DEMO_PARAMETERS", {**music.DEMO_PARAMETERS, "units": 16, "epochs": 1})
    assert cli.main(["demo", "music", "--text", "G4 A4 B4 G4:2"]) == 0
    printed = capsys.readouterr().out
    assert "Read 8 chorales" in printed and "saved_models/music/1" in printed
    for name in ("1.mid", "1.wav", "1.png", "2.mid", "2.wav", "2.png"):
        assert (tmp_path / "demo_music" / name).stat().st_size > 100
    assert pitches(tmp_path / "demo_music" / "2.mid")[0] == [67, 69, 71, 67]
