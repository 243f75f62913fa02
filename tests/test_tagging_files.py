"""Files of a tagging pipeline, with a tagger that knows its answers: capitalized words are persons."""

from __future__ import annotations

import io
import json
import re

import pytest

from seqkit.errors import FormatError, ParameterError
from seqkit_pipelines.tagging_files import read_items, read_tagged, tag_items, write_predictions


class Capitals:
    scheme_ = "iob2"

    def _tags(self, tokens):
        return ["B-PER" if token[:1].isupper() else "O" for token in tokens]

    def tag(self, texts):
        for text in texts:
            found = list(re.finditer(r"\w+", text))
            tags = self._tags([match[0] for match in found])
            yield {
                "text": text,
                "tokens": [match[0] for match in found],
                "tags": tags,
                "entities": [
                    {"start": match.start(), "end": match.end(), "text": match[0], "label": "PER", "score": 1.0}
                    for match, tag in zip(found, tags, strict=True)
                    if tag != "O"
                ],
            }

    def predict_iter(self, sentences):
        for tokens in sentences:
            yield self._tags(tokens)


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def predict(path, output, input_format="auto", output_format="auto", **options):
    count = write_predictions(output, tag_items(Capitals(), read_items(path, input_format), **options), output_format)
    return count, output.read_text(encoding="utf-8")


def test_text_to_text(file, tmp_path):
    path = file("a.txt", "\ufeffAda met bob\r\n\nund Zoë\u2028 ging [1]")
    assert predict(path, tmp_path / "o.txt") == (3, "[Ada|PER] met bob\n\nund [Zoë|PER]\u2028 ging [1]\n")


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_text_to_conll_whatever_the_chunk(file, tmp_path, chunk):
    path = file("a.txt", "Ada met bob\nund Zoë\nja\n")
    expected = "Ada\tB-PER\nmet\tO\nbob\tO\n\nund\tO\nZoë\tB-PER\n\nja\tO\n\n"
    assert predict(path, tmp_path / "o.conll", chunk=chunk) == (3, expected)


def test_conll_to_jsonl_places_entities_in_the_joined_text(file, tmp_path):
    path = file("a.conll", "so O\n😀 O\nAda O\n\nBob O\n")
    count, written = predict(path, tmp_path / "o.jsonl")
    records = [json.loads(line) for line in written.splitlines()]
    assert count == len(records) == 2
    assert records[0] == {
        "text": "so 😀 Ada",
        "tokens": ["so", "😀", "Ada"],
        "tags": ["O", "O", "B-PER"],
        "entities": [{"start": 5, "end": 8, "text": "Ada", "label": "PER"}],
    }


def test_conll_without_a_tag_column_can_be_tagged(file, tmp_path):
    assert predict(file("a.conll", "so\nAda\n\n"), tmp_path / "o.txt") == (1, "so [Ada|PER]\n")


def test_jsonl_keeps_other_fields_and_takes_text_and_tokens_in_turn(file, tmp_path):
    lines = [{"id": 1, "text": "Ada sees"}, {"tokens": ["x", "Bob"], "id": "b"}, {"text": ""}, {"tokens": []}]
    path = file("a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    _, written = predict(path, tmp_path / "o.jsonl", chunk=2)
    records = [json.loads(line) for line in written.splitlines()]
    assert [record.get("id") for record in records] == [1, "b", None, None]
    assert [record["tags"] for record in records] == [["B-PER", "O"], ["O", "B-PER"], [], []]


def test_only_what_is_needed_is_read():
    read = 0

    def items():
        nonlocal read
        for _ in range(1000):
            read += 1
            yield "Ada", {}

    first = next(tag_items(Capitals(), items(), chunk=10))
    assert first["tags"] == ["B-PER"]
    assert read == 10


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("a.txt", b"fine\n\xff\xfe\n", 2, "utf-8"),
        ("a.jsonl", b'{"text": "fine"}\n{"text": \n', 2, "not valid JSON"),
        ("a.jsonl", b'{"words": "fine"}\n', 1, '"text" or a list of strings "tokens"'),
        ("a.jsonl", b'\n["text"]\n', 2, '"text" or a list of strings "tokens"'),
        ("a.jsonl", b'{"text": "\\uD83D\\uDE00 fine"}\n{"text": "x\\uD800"}\n', 2, "surrogate"),
        ("a.jsonl", b'{"tokens": ["a", 1]}\n', 1, '"text" or a list of strings "tokens"'),
    ],
)
def test_bad_input_names_file_and_line_and_leaves_no_output(file, tmp_path, name, content, line, message):
    path, output = file(name, content), tmp_path / "out" / "o.jsonl"
    output.parent.mkdir()
    with pytest.raises(FormatError, match=message) as caught:
        predict(path, output)
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert list(output.parent.iterdir()) == []


def test_standard_input_to_standard_output(monkeypatch, capsys):
    from pathlib import Path

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Zoë geht\n".encode()), encoding="utf-8"))
    write_predictions(Path("-"), tag_items(Capitals(), read_items(Path("-"))))
    assert capsys.readouterr().out == "[Zoë|PER] geht\n"


def test_tagged_files_by_ending_and_by_format(file):
    conll = "x\tAda\tB-PER\n\n"
    expected = ([["Ada"]], [["B-PER"]])
    assert read_tagged(file("a.tsv", conll), token_column=1) == expected
    assert read_tagged(file("b", "B-PER|Ada\n"), delimiter="|", token_column=1, tag_column="0") == expected
    assert read_tagged(file("c.jsonl", conll), "conll", delimiter="\\t", token_column=1) == expected
    words = "1\tAda\tAda\tPROPN\tNNP\t_\t0\troot\t_\t_\n\n"
    assert read_tagged(file("d.conllu", words)) == ([["Ada"]], [["PROPN"]])
    assert read_tagged(file("e.txt", words), "conllu", tag_column="deprel") == ([["Ada"]], [["root"]])
    spans = {"text": "hi Ada", "spans": [{"start": 3, "end": 6, "label": "PER"}]}
    assert read_tagged(file("f.jsonl", json.dumps(spans))) == ([["hi", "Ada"]], [["O", "B-PER"]])


def test_unknown_choices_are_refused(file, tmp_path):
    with pytest.raises(ParameterError, match="format must be one of auto, conll"):
        read_tagged(file("a.conll", "a O"), "xml")
    with pytest.raises(ParameterError, match="--tag-column must be a number"):
        read_tagged(file("a.conll", "a O"), tag_column="upos")
    with pytest.raises(ParameterError, match="--output-format"):
        write_predictions(tmp_path / "x", [], "xml")
