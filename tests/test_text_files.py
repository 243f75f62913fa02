"""Files of a pipeline that classifies texts, with a classifier that knows its answers: what holds "good" is good."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import seqkit.inspection
from seqkit.errors import FormatError, ParameterError
from seqkit.io import parse_tree
from seqkit_pipelines.text_files import classify_texts, read_labelled, read_texts, write_answers

ROWS = [("a good film", "1"), ('dull, "very" long', "0"), ("so so", "1")]
TREES = "(3 (2 It) (4 good))\n\n(2 (2 so) (2 so))\n(0 dull)\n"


class Good:
    classes_ = np.array(["bad", "good"], object)
    target_kind_ = "one"

    def predict_proba(self, X):
        found = ["good" in (text if isinstance(text, str) else text.leaves) for text in X]
        return np.array([[0.25, 0.75] if good else [0.75, 0.25] for good in found])


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return write


def answers(path, output, **options):
    items = read_texts(path, **options)
    count = write_answers(output, classify_texts(Good(), items))
    written = output.read_text(encoding="utf-8").splitlines()
    assert count == len(written)
    return [json.loads(line) for line in written] if output.suffix == ".jsonl" else written


# Labelled files


def test_formats_give_the_same_texts_and_labels(file, tmp_path):
    """Labels are strings, whatever type the file has for them: a model trained on one is judged on another."""
    expected = [text for text, _ in ROWS], [label for _, label in ROWS]
    csv = "text,label\n" + "".join(f'"{text.replace(chr(34), chr(34) * 2)}",{label}\n' for text, label in ROWS)
    assert read_labelled(file("a.csv", csv)) == expected
    tsv = "".join(f"{text}\t{label}\n" for text, label in ROWS)
    assert read_labelled(file("a.tsv", "text\tlabel\n" + tsv)) == expected
    assert read_labelled(file("a.txt", tsv), text_column="0", label_column="1") == expected
    jsonl = "".join(json.dumps({"text": text, "label": int(label)}) + "\n" for text, label in ROWS)
    assert read_labelled(file("a.jsonl", jsonl)) == expected
    for i, (text, label) in enumerate(ROWS):
        (tmp_path / "folder" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / label / f"{i}.txt").write_text(text)
    assert sorted(zip(*read_labelled(tmp_path / "folder"), strict=True)) == sorted(ROWS)


def test_parquet_gives_the_same_texts_and_labels(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"text": [text for text, _ in ROWS], "label": [int(label) for _, label in ROWS]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    assert read_labelled(tmp_path / "a.parquet") == (columns["text"], [label for _, label in ROWS])
    assert [text for text, _ in read_texts(tmp_path / "a.parquet")] == columns["text"]


@pytest.mark.parametrize(
    ("options", "texts", "labels"),
    [
        ({}, ["It good", "so so", "dull"], ["3", "2", "0"]),
        ({"grades": 5}, ["It good", "so so", "dull"], ["3", "2", "0"]),
        ({"grades": 2}, ["It good", "dull"], ["positive", "negative"]),
        ({"label_map": {3: "up", "2": 0}}, ["It good", "so so"], ["up", "0"]),
    ],
)
def test_trees_give_their_words_or_themselves(file, options, texts, labels):
    path = file("trees.txt", TREES)
    assert read_labelled(path, **options) == (texts, labels)
    trees, same = read_labelled(path, trees=True, **options)
    assert same == labels and [" ".join(tree.leaves) for tree in trees] == texts


def test_trees_of_tables_and_folders(file):
    expected = [parse_tree("(3 (2 It) (4 good))")], ["x"]
    assert read_labelled(file("a.csv", "text,label\n(3 (2 It) (4 good)),x\n"), trees=True) == expected
    folder = file("folder/x/1.txt", "(3 (2 It)\n  (4 good))\n").parents[1]
    assert read_labelled(folder, trees=True) == expected
    file("folder/x/2.txt", "so so")
    with pytest.raises(FormatError, match=r"x: no parse tree: .* Got 'so so'"):
        read_labelled(folder, trees=True)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", "text,label\nx,3\ny,7\n", {"grades": 5}, "a.csv:3: --grades takes grades 0 to 4, got '7'"),
        ("a.csv", "text,label\nx,3\n", {"grades": 3}, "--grades must be 2 or 5, got 3"),
        ("a.csv", "text,label\nx,3\nso so,3\n", {"trees": True}, "a.csv:2: no parse tree: .* Got 'x'"),
        ("t.txt", "(1 a)\n(b)\n", {}, "t.txt:2: no label at the tree's root"),
        ("t.txt", "(1 a)\n(1 b\n", {"trees": True}, "t.txt:2: missing closing bracket.*open at the text's end.$"),
        ("t.txt", "(1 a)\n(Laughs) b\t0\n", {}, "t.txt:2: .*read as parse trees .*; --format tsv reads it otherwise"),
    ],
)
def test_errors_say_where_and_what_to_do(file, name, content, options, message):
    with pytest.raises((FormatError, ParameterError), match=message):
        read_labelled(file(name, content), **options)


# Streams


def test_standard_input_loses_no_line(monkeypatch):
    def pipe(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        return Path("-")

    with pytest.raises(ParameterError, match=r"-: a stream has no ending.* Add --format csv"):
        read_labelled(pipe("text,label\nx,1\n"))
    assert sys.stdin.read() == "text,label\nx,1\n"  # nobody has read of it
    assert read_labelled(pipe("text,label\nx,1\n"), "csv") == (["x"], ["1"])
    assert read_labelled(pipe(TREES), "trees")[1] == ["3", "2", "0"]
    assert len(read_labelled(pipe(TREES), trees=True)[0]) == 3
    assert [text for text, _ in read_texts(pipe("(a)\nb\n"))] == ["(a)", "b"]
    assert [tree.leaves for tree, _ in read_texts(pipe("(a)\n(b)\n"), trees=True)] == [["a"], ["b"]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_loses_no_line(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ParameterError, match="pipe: a stream has no ending"):
        read_labelled(path)
    writer = Thread(target=path.write_text, args=["one\ntwo\n"])
    writer.start()
    assert [text for text, _ in read_texts(path)] == ["one", "two"]
    writer.join()


# Texts to classify


@pytest.mark.parametrize("first", ["(Reuters) Good news.", "(a) (b)", ":-(", "", "(sic!) a (b)"])
def test_a_bracket_that_closes_early_begins_no_tree(file, tmp_path, first):
    path = file("a.txt", f"{first}\nso good\n")
    assert answers(path, tmp_path / "o.txt")[1] == "good\t0.750\tso good"
    assert [text for text, _ in read_texts(path)] == [first, "so good"]


def test_a_line_in_brackets_that_is_no_tree_is_told_with_the_flag(file):
    path = file("a.txt", "(I saw it on a plane.)\nso good\n")
    with pytest.raises(FormatError, match=r"a.txt:1: .*--input-format text reads it otherwise"):
        list(read_texts(path))
    assert len(list(read_texts(path, "text"))) == 2


def test_fields_of_the_input_keep_their_values(file, tmp_path):
    """The answer has the names of a served model's; what stood there before is not lost."""
    record = {"id": 7, "text": "so good", "label": "bad", "probabilities": [1], "input_label": 0, "_spans": [1]}
    path = file("a.jsonl", json.dumps(record) + "\n")
    assert answers(path, tmp_path / "o.jsonl") == [
        {
            "id": 7,
            "text": "so good",
            "input_input_label": "bad",
            "input_probabilities": [1],
            "input_label": 0,
            "_spans": [1],
            "label": "good",
            "probabilities": {"bad": 0.25, "good": 0.75},
        }
    ]
    path = file("b.csv", "text,review\nTitle,so good\n")
    (found,) = answers(path, tmp_path / "o.jsonl", text_column="review")
    assert (found["text"], found["input_text"], found["review"]) == ("so good", "Title", "so good")


def test_trees_are_answered_with_their_words(file, tmp_path):
    path = file("trees.txt", TREES)
    assert answers(path, tmp_path / "o.txt", trees=True)[0] == "good\t0.750\tIt good"
    found = answers(path, tmp_path / "o.jsonl", trees=True)
    assert [record["label"] for record in found] == ["good", "bad", "bad"]
    assert found[0]["tree"] == "(3 (2 It) (4 good))" and found[0]["text"] == "It good"
    assert answers(path, tmp_path / "o.txt") == answers(path, tmp_path / "p.txt", trees=True)
    path = file("a.jsonl", json.dumps({"id": 1, "sentence": "(x (x good))"}) + "\n")
    (found,) = answers(path, tmp_path / "o.jsonl", trees=True)
    assert (found["id"], found["text"], found["label"], found["tree"]) == (1, "good", "good", "(x (x good))")


@pytest.mark.parametrize(("text", "most"), [("x " * 50, 110), ("x " * 5000, 1)])
def test_explanations_come_as_they_are_made(monkeypatch, text, most):
    """The longer the texts, the fewer of them wait for each other."""

    def explained(classifier, texts):
        return [{"tokens": ["x"], "starts": [0], "ends": [1], "scores": [0.5]} for _ in texts]

    monkeypatch.setattr(seqkit.inspection, "leave_one_out", explained)
    read = 0

    def items():
        nonlocal read
        for _ in range(1000):
            read += 1
            yield text, {}

    found = next(classify_texts(Good(), items(), explain=True, chunk=4096))
    assert found.spans == [(0, 1, 0.5)] and read <= most
