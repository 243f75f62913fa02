"""From labelled texts to a served classifier through the command line, on texts that are learned in seconds."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from seqkit import cli

COLUMNS = ["--text-column", "review", "--label-column", "stars"]
#: One pass, for tests that do not ask what was learned.
BRIEF = ["--units", "4", "--word-dim", "4", "--ngrams", "0", "--epochs", "1", "--random-state", "0"]
#: Enough to learn which word decides.
TREES = ["--units", "8", "--word-dim", "8", "--char-encoder", "none", "--dropout", "0", "--epochs", "20"]
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


def test_an_explanation_is_colored_where_someone_looks(trained, run, folder, monkeypatch):
    model, _ = trained
    (folder / "color.txt").write_text("The film is dull.\n")
    for name, value in (("TERM", "xterm"), ("COLORTERM", ""), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = run("sentiment", "predict", model, folder / "color.txt", "--explain")
    assert code == 0 and out.startswith("\x1b[1mbad\x1b[0m ")
    # The word that decides, and no other, is bold; its score stands behind it.
    assert re.findall(r"\x1b\[1;3(\d)m(.*?)\x1b\[0m\x1b\[2;3(\d)m\(\+\d", out) == [("2", "dull", "2")]
    assert re.sub(r"\x1b\[[\d;]*m|\([-+][\d.]+\)", "", out).endswith(" The film is dull.\n")


def test_a_folder_for_each_class_and_texts_without_labels(run, folder):
    (folder / "unlabelled.txt").write_text("".join(f"{text}\n" for text, _ in reviews(20, 2)))
    files = [folder / "train", "--dev", folder / "dev", "--pretrain-on", folder / "unlabelled.txt"]
    options = ["--output", folder / "of_folders", "--pretrain-epochs", "1", *BRIEF]
    code, out, error = run("sentiment", "train", *files, *options)
    assert (code, error) == (0, "") and " 20\n" in out
    config = json.loads((folder / "of_folders" / "config.json").read_text())
    assert config["parameters"]["pretrain"] is True  # not the texts
    assert len(config["state"]["pretraining_"]["loss"]) == 1


def test_five_grades_of_files_of_different_formats(run, folder):
    """Numbers in one and text in the other are the same classes; class weights name them."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts, grades = [f"it is {word}" for word in "abcde"] * 4, [0, 1, 2, 3, 4] * 4
    parquet.write_table(pyarrow.table({"text": texts, "label": grades}), folder / "grades.parquet")
    lines = "".join(f"{text}\t{grade}\n" for text, grade in zip(texts, grades, strict=True))
    (folder / "grades.tsv").write_text("text\tlabel\n" + lines)
    (folder / "grades.jsonl").write_text(
        "".join(json.dumps({"text": t, "label": g}) + "\n" for t, g in zip(texts, grades, strict=True))
    )
    files = [folder / "grades.parquet", "--dev", folder / "grades.tsv", "--test", folder / "grades.jsonl"]
    options = ["--grades", "5", "--class-weight", '{"0": 2}', "--output", folder / "five", *BRIEF]
    code, out, error = run("sentiment", "train", *files, *options)
    assert (code, error) == (0, "")
    dev, test = out.split("test: ")
    assert dev.removeprefix("dev: ") == test and all(f"\n           {grade} " in test for grade in range(5))
    assert run("sentiment", "predict", folder / "five", folder / "grades.jsonl", "-o", folder / "five.jsonl")[0] == 0
    records = [json.loads(line) for line in (folder / "five.jsonl").read_text().splitlines()]
    assert [record["input_label"] for record in records] == grades
    assert all(record["label"] in "01234" for record in records)


def test_trees_are_learned_as_trees(run, folder):
    model, file = folder / "tree_model", folder / "trees.txt"
    options = ["--trees", "--grades", "2", "--output", model, *TREES, "--learning-rate", "0.02", "--random-state", "0"]
    code, out, error = run("sentiment", "train", file, "--dev", file, *options)
    assert (code, error) == (0, "") and "dev: accuracy 1.0000" in out and " 32\n" in out
    # What labels stand for belongs to the model: --grades need not be said again.
    code, again, error = run("sentiment", "evaluate", model, file)
    assert (code, error) == (0, "") and again in out
    code, out, error = run("sentiment", "predict", model, file)
    assert (code, error) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [(label, text) for label, _, text in lines[:2]] == [("negative", "The film a"), ("negative", "The film b")]
    code, out, _ = run("sentiment", "predict", model, file, "--output-format", "jsonl")
    record = json.loads(out.splitlines()[4])
    assert (record["label"], record["text"]) == ("positive", "The film e") and "(4 e)" in record["tree"]
    code, out, _ = run("info", model)
    assert code == 0 and "TreeClassifier" in out and "label_map.3" in out
    code, out, error = run("sentiment", "export", model, "--output", folder / "served_trees")
    assert (code, out, error) == (0, f"{folder / 'served_trees' / '1'}\n", "")
    code, _, error = run("sentiment", "predict", model, file, "--explain")
    assert code == 2 and "--explain is for models of texts" in error


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
        (["train", "train.csv", "--output", ".", "--overwrite"], ["something else", "--output"]),
        (["train", "train.csv", "--output", "train.csv/m"], ["train.csv", "no folder"]),
        (["train", "-", "--output", "m"], ["-: a stream", "--format"]),
        (["train", "trees.txt", "--output", "m", "--trees", "--pooling", "max"], ["--pooling", "TreeClassifier"]),
        (["train", "trees.txt", "--output", "m", "--root-weight", "2"], ["--root-weight", "Add --trees"]),
        (["train", "trees.txt", "--output", "m", "--grades", "3"], ["--grades must be 2 or 5"]),
        (["train", "trees.txt", "--output", "m", "--trees", "--pretrain-on", "trees.txt"], ["--pretrain-on"]),
        (["train", "trees.txt", "--output", "m", "--trees", "--grades", "2", "--label-map", "{}"], ["--label-map"]),
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


def test_a_classifier_is_no_tagger(trained, run, tmp_path):
    (tmp_path / "a.txt").write_text("good")
    code, _, told = run("ner", "predict", trained[0], tmp_path / "a.txt")
    assert code == 2 and "holds SequenceClassifier, expected a SequenceTagger" in " ".join(told.split())
