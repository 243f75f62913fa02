"""From pairs to served models through the command line: translation and spelling to sound."""

from __future__ import annotations

import io
import itertools
import json
import sys
from contextlib import redirect_stdout

import pytest

from seqkit import cli

SMALL = ["--units", "24", "--word-dim", "12", "--epochs", "30", "--learning-rate", "0.02", "--batch-size", "16",
         "--dropout", "0", "--validation-fraction", "none", "--random-state", "0"]  # fmt: skip
NUMBERS = {"un": "one", "deux": "two", "trois": "three", "quatre": "four"}
LETTERS = dict(zip("abcd", ["AH0", "B", "K", "D"], strict=True))


def run(*arguments) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert cli.main([str(argument) for argument in arguments]) == 0
    return printed.getvalue()


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    pairs = list(itertools.product(NUMBERS, repeat=2)) * 3
    lines = [f"{a}, {b}.\t{NUMBERS[b]}; {NUMBERS[a]}." for a, b in pairs]
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sources, targets = zip(*(line.split("\t") for line in lines), strict=True)
    (folder / "source.txt").write_text("\n".join(sources[:16]) + "\n", encoding="utf-8")
    (folder / "target.txt").write_text("\n".join(targets[:16]) + "\n", encoding="utf-8")
    told = run("translation", "train", folder / "pairs.tsv", "--output", folder / "model", "--dev",
               folder / "pairs.tsv", "--attend", "additive", *SMALL)  # fmt: skip
    return folder, told


def test_translation_is_trained_and_measured(translator):
    folder, told = translator
    assert told.startswith("dev: chrF ") and "(48 texts)" in told
    found = run("translation", "evaluate", folder / "model", folder / "source.txt", folder / "target.txt")
    assert float(found.split()[1]) > 90 and "BLEU" in found and "(16 texts)" in found


def test_translations_come_from_standard_input_as_lines_do(translator, monkeypatch):
    folder, _ = translator
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"deux, un.\ntrois, trois.\n")))
    assert run("translation", "translate", folder / "model") == "one; two.\nthree; three.\n"


def test_several_translations_go_to_a_file(translator):
    folder, _ = translator
    run("translation", "translate", folder / "model", folder / "source.txt", "--best", 3, "--output",
        folder / "out.jsonl")  # fmt: skip
    records = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert len(records) == 16 and all(len(record["translations"]) == len(record["scores"]) == 3 for record in records)
    assert records[1]["text"] == "un, deux." and records[1]["translations"][0] == "two; one."


def test_an_alignment_is_shown_and_drawn(translator):
    folder, _ = translator
    lines = run("translation", "align", folder / "model", "quatre, un.", "--picture", folder / "a.png").splitlines()
    assert lines[0].split() == ["quatre", ",", "un", "."] and len(lines) == 6
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    other = run("translation", "align", folder / "model", "quatre, un.", "--target", "four").splitlines()
    assert [line.split()[0] for line in other[1:]] == ["four", "<EOS>"]


def test_translation_is_exported(translator):
    folder, _ = translator
    assert run("translation", "export", folder / "model", "--output", folder / "served").strip().endswith("served/1")


def test_a_model_of_another_kind_is_refused(translator, tmp_path, capsys):
    folder, _ = translator
    (tmp_path / "words").write_text("UN W AH N\n")
    assert cli.main(["pronunciation", "evaluate", str(folder / "model"), str(tmp_path / "words")]) == 2
    assert "answers texts with texts; this command needs texts and tokens." in capsys.readouterr().err


def test_files_that_do_not_fit_end_with_one_line(translator, capsys):
    folder, _ = translator
    (folder / "short.txt").write_text("one\n")
    assert cli.main(["translation", "evaluate", str(folder / "model"), str(folder / "source.txt"),
                     str(folder / "short.txt")]) == 2  # fmt: skip
    assert "source.txt:2: there is no such line in" in capsys.readouterr().err
    assert cli.main(["translation", "train", str(folder / "pairs.tsv"), "--output", str(folder / "new"),
                     "--dev-target", str(folder / "short.txt")]) == 2  # fmt: skip
    assert "--dev-target goes with --dev where a TARGET is given" in capsys.readouterr().err


def test_words_get_their_sounds(tmp_path, monkeypatch):
    words = ["".join(letters) for n in (1, 2, 3) for letters in itertools.product("abd", repeat=n)]
    (tmp_path / "dict").write_text("".join(f"{w}  {' '.join(LETTERS[c] for c in w)}\n" for w in words))
    told = run("pronunciation", "train", tmp_path / "dict", "--dev", tmp_path / "dict", "--output", tmp_path / "model",
               *SMALL)  # fmt: skip
    assert told.startswith("dev: wrong words ") and "wrong sounds" in told
    assert float(run("pronunciation", "evaluate", tmp_path / "model", tmp_path / "dict").split()[2]) < 20
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"bad\nDAB\n")))
    assert run("pronunciation", "predict", tmp_path / "model") == "bad\tB AH D\nDAB\tD AH B\n"
