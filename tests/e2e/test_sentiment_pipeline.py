"""From labelled texts to a served classifier through the command line, on texts that are learned in seconds."""

from __future__ import annotations

import csv
import io
import json
import random
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from seqkit import cli

COLUMNS = ["--text-column", "review", "--label-column", "stars"]
SMALL = ["--units", "8", "--word-dim", "8", "--char-encoder", "none", "--epochs", "12", "--random-state", "0"]


def reviews(count: int, seed: int) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    words = {"good": ["good", "funny", "moving"], "bad": ["bad", "dull", "tired"]}
    rows = []
    for i in range(count):
        label = ("good", "bad")[i % 2]
        noun = draw.choice(["film", "story", "cast"])
        rows.append((f"The {noun}, which {draw.choice(['I', 'we'])} saw, is {draw.choice(words[label])}.", label))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sentiment")
    for name, rows in (("train", reviews(80, 0)), ("dev", reviews(20, 1))):
        with open(folder / f"{name}.csv", "w", newline="") as stream:
            csv.writer(stream).writerows([("id", "review", "stars"), *((i, *row) for i, row in enumerate(rows))])
        for i, (text, label) in enumerate(rows):
            (folder / name / label).mkdir(parents=True, exist_ok=True)
            (folder / name / label / f"{i:03}.txt").write_text(text)
    trees = [f"({grade} (2 The) ({grade} (2 film) ({grade} {word})))" for grade, word in enumerate("abcde")]
    (folder / "trees.txt").write_text("\n".join(trees * 8) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(folder) -> tuple[Path, str]:
    """The model's folder, and what training printed."""
    printed = io.StringIO()
    files = [str(folder / "train.csv"), "--dev", str(folder / "dev.csv"), "--text-column", "review"]
    with redirect_stdout(printed):
        options = ["--label-column", "stars", "--output", str(folder / "model"), "--ngrams", "2", *SMALL]
        assert cli.main(["sentiment", "train", *files, *options]) == 0
    return folder / "model", printed.getvalue()


@pytest.fixture
def run(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def test_it_learns_and_reports(trained, run, folder):
    model, printed = trained
    assert "dev: accuracy" in printed and float(printed.split("accuracy")[1].split()[0]) > 0.8
    code, out, error = run(
        "sentiment", "evaluate", model, folder / "dev.csv", "--text-column", "1", "--label-column", "2", "--header"
    )
    assert (code, error) == (0, "") and out.strip() in printed
    # The same texts in a folder for each class.
    code, out, _ = run("sentiment", "evaluate", model, folder / "dev")
    assert code == 0 and out.split("\n")[0] in printed


def test_predict_agrees_over_formats(trained, run, folder):
    model, _ = trained
    rows = reviews(20, 1)
    (folder / "in.txt").write_text("".join(text + "\n" for text, _ in rows))
    code, as_text, error = run("sentiment", "predict", model, folder / "in.txt")
    assert (code, error) == (0, "")
    lines = [line.split("\t") for line in as_text.splitlines()]
    assert [line[2] for line in lines] == [text for text, _ in rows]
    arguments = (folder / "dev.csv", "--text-column", "review", "--output", folder / "out.jsonl")
    assert run("sentiment", "predict", model, *arguments)[:2] == (0, "")
    records = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [record["label"] for record in records] == [line[0] for line in lines]
    assert [record["id"] for record in records] == [str(i) for i in range(20)]  # other columns come along
    for record in records:
        assert max(record["probabilities"], key=record["probabilities"].get) == record["label"]


def test_an_explanation_finds_the_words_that_decide(trained, run, folder):
    model, _ = trained
    (folder / "one.txt").write_text("The film, which we saw, is dull.\n")
    code, out, _ = run("sentiment", "predict", model, folder / "one.txt", "--explain", "--output-format", "jsonl")
    assert code == 0
    (record,) = map(json.loads, out.splitlines())
    assert record["tokens"][record["scores"].index(max(record["scores"]))] == "dull"
    code, out, _ = run("sentiment", "predict", model, folder / "one.txt", "--explain")
    assert code == 0 and "dull(+" in out


def test_trees_in_two_grades(run, folder):
    options = ["--grades", "2", "--output", folder / "graded", *SMALL, "--epochs", "2"]
    code, out, error = run("sentiment", "train", folder / "trees.txt", "--test", folder / "trees.txt", *options)
    assert (code, error) == (0, "") and "negative" in out and "positive" in out
    assert " 32\n" in out  # of 40 trees, eight stand in the middle


def test_export_and_info(trained, run, folder):
    model, _ = trained
    code, out, error = run("sentiment", "export", model, "--output", folder / "served")
    assert (code, out, error) == (0, f"{folder / 'served' / '1'}\n", "")
    code, out, _ = run("check", folder / "served" / "1")
    assert code == 0 and "probabilities" in out and "tokens" in out
    assert run("info", model)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "missing.csv", "--output", "m"], ["missing.csv", "No such file"]),
        (["train", "train.csv", "--output", "m", "--text-column", "body"], ["train.csv", "body", "review"]),
        (["train", "train.csv", "--output", "m", *COLUMNS, "--pooling", "sum"], ["pooling"]),
        (["train", "train.csv", "--output", "."], ["exists already"]),
        (["train", "train.csv", "--output", "m", *COLUMNS, "--grades", "2"], ["grades"]),
        (["evaluate", "no_model", "dev.csv"], ["no_model"]),
        (["predict", "train", "dev.csv"], ["train"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(run, folder, monkeypatch, arguments, words):
    monkeypatch.chdir(folder)
    code, out, error = run("sentiment", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("error: ") and error.count("\n") == 1
    assert all(word in error for word in words)
    assert not Path("m").exists()
