"""JSONL with character spans."""

import io
import itertools
import json
import random
from types import SimpleNamespace

import pytest

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io import iter_spans, read_jsonl_tagged, read_spans, spans_to_tags, tags_to_spans, write_spans

TEXT = "😀 Harry met Ron."
SPANS = [(2, 7, "PER"), (12, 15, "PER")]
OFFSETS = [(0, 1), (2, 7), (8, 11), (12, 15), (15, 16)]
TOKENS = ["😀", "Harry", "met", "Ron", "."]
TAGS = ["O", "B-PER", "O", "B-PER", "O"]


def by_space(texts):
    """Tokens, starts, ends in characters: white space and a final period separate."""
    rows = []
    for text in texts:
        offsets, position = [], 0
        for word in text.replace(".", " . ").split():
            position = text.index(word, position)
            offsets.append((position, position + len(word)))
            position += len(word)
        rows.append(([text[s:e] for s, e in offsets], [s for s, _ in offsets], [e for _, e in offsets]))
    return rows


@pytest.mark.parametrize(
    "record",
    [
        {
            "text": TEXT,
            "spans": [{"start": 12, "end": 15, "label": "PER"}, {"start": 2, "end": 7, "label": "PER", "x": 1}],
        },
        {"text": TEXT, "label": [[2, 7, "PER"], [12, 15, "PER"]]},
        {"data": TEXT, "label": [[2, 7, "PER"], [12, 15, "PER"]], "id": 3},
        {"text": TEXT, "labels": [[2, 7, "PER"], [12, 15, "PER"]]},
        {"text": TEXT, "entities": [[2, 7, "PER"], [12, 15, "PER"]]},
        {
            "text": TEXT,
            "entities": [{"id": 0, "label": "PER", "start_offset": s, "end_offset": e} for s, e, _ in SPANS],
        },
        {"text": TEXT, "label": "news", "spans": [{"start": s, "end": e, "label": t} for s, e, t in SPANS]},
        [TEXT, {"entities": [[2, 7, "PER"], [12, 15, "PER"]]}],
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_shape_of_record(tmp_path, record, ascii_only):
    path = tmp_path / "x.jsonl"
    path.write_text("\n" + json.dumps(record, ensure_ascii=ascii_only) + "\r\n", encoding="utf-8-sig")
    assert read_spans(path) == ([TEXT], [SPANS])
    assert read_jsonl_tagged(path, by_space) == ([TOKENS], [TAGS])


def test_texts_without_spans_and_rejected_records():
    lines = ['{"text": "a"}', '{"text": "b", "spans": [], "answer": "accept"}', '{"text": "c", "answer": "reject"}']
    assert list(iter_spans(io.StringIO("\n".join(lines)))) == [("a", [], 1), ("b", [], 2)]
    assert read_jsonl_tagged(io.StringIO("\n".join(lines)), by_space) == ([["a"], ["b"]], [["O"], ["O"]])
    with pytest.raises(FormatError, match="no record has spans"):
        read_jsonl_tagged(io.StringIO('{"text": "a", "ents": [[0, 1, "X"]]}'), by_space)


def span(start, end, label="X"):
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "expected an object"),
        ('["text only"]', "expected an object"),
        ("{}", "no text"),
        ('{"text": 3}', "no text"),
        ('{"text": "\\ud800"}', "surrogate"),
        (json.dumps({"text": "abc", "spans": [span(0, 2), span(1, 3)]}), "0-2 'ab' .X. and 1-3 'bc' .X. overlap"),
        (json.dumps({"text": "abc", "spans": [span(1, 1)]}), "1-1 .X. is empty or outside"),
        (json.dumps({"text": "é", "spans": [span(0, 2)]}), "text of 1 characters"),
        (json.dumps({"text": "abc", "spans": [span(-1, 2)]}), "outside"),
        (json.dumps({"text": "abc", "spans": [span("0", 2)]}), "expected a span like"),
        (json.dumps({"text": "abc", "spans": [span(0, 2, "")]}), "expected a span like"),
        (json.dumps({"text": "abc", "spans": [span(True, 2)]}), "expected a span like"),
        (json.dumps({"text": "abc", "label": [[0, 2]]}), "expected a span like"),
        (json.dumps({"text": "abc", "label": [3]}), "expected a span like"),
    ],
)
def test_faults_come_with_file_and_line(tmp_path, line, words):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "fine"}\n\n' + line + "\n")
    with pytest.raises(FormatError, match=words) as caught:
        read_spans(path)
    assert (caught.value.path, caught.value.line) == (str(path), 3)


def test_tags_of_spans_and_back():
    assert spans_to_tags(TEXT, SPANS, OFFSETS) == TAGS
    assert spans_to_tags(TEXT, [(2, 11, "X"), (12, 15, "X")], OFFSETS, "iobes") == ["O", "B-X", "E-X", "S-X", "O"]
    assert (
        spans_to_tags(TEXT, [(2, 8, "PER"), (11, 15, "PER")], OFFSETS) == TAGS
    )  # white space at the ends is no matter
    assert tags_to_spans(TAGS, OFFSETS) == SPANS
    assert tags_to_spans(["O", "B-X", "E-X", "S-X", "O"], OFFSETS) == [(2, 11, "X"), (12, 15, "X")]
    with pytest.raises(DataError, match="Got 1 tags for 5 tokens"):
        tags_to_spans(["O"], OFFSETS)
    with pytest.raises(ParameterError, match="on_misaligned"):
        spans_to_tags(TEXT, SPANS, OFFSETS, on_misaligned="drop")


def test_round_trip_on_random_texts():
    rng = random.Random(0)
    for _ in range(200):
        words = rng.choices(["Aé", "😀", "x", "中文", "."], k=rng.randint(1, 8))
        text, offsets = "", []
        for word in words:
            text += " " * rng.randint(0, 2)
            offsets.append((len(text), len(text) + len(word)))
            text += word
        cuts = sorted(rng.sample(range(len(words) + 1), rng.randint(0, len(words) + 1)))
        spans = [
            (offsets[a][0], offsets[b - 1][1], rng.choice("XY"))
            for a, b in itertools.pairwise(cuts)
            if rng.random() < 0.6
        ]
        for scheme in ("iob1", "iob2", "iobes"):
            assert tags_to_spans(spans_to_tags(text, spans, offsets, scheme), offsets) == spans


@pytest.mark.parametrize(
    ("spans", "tags", "words"),
    [
        ([(3, 7, "A")], ["O", "B-A", "O", "O", "O"], r"3-7 'arry' \(A\).*\['Harry'\]; widened"),
        ([(2, 9, "A")], ["O", "B-A", "I-A", "O", "O"], "widened"),
        ([(7, 8, "A")], ["O"] * 5, r"touches: \[\]; dropped"),
        (
            [(2, 9, "A"), (9, 11, "B")],
            ["O", "B-A", "I-A", "O", "O"],
            "shares a token with the span before it.*; dropped",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:the span")  # one case warns twice
def test_misaligned_spans(spans, tags, words):
    with pytest.raises(DataError, match="on_misaligned='warn'"):
        spans_to_tags(TEXT, spans, OFFSETS)
    with pytest.warns(UserWarning, match=words):
        assert spans_to_tags(TEXT, spans, OFFSETS, on_misaligned="warn") == tags


def test_misaligned_spans_of_a_file(tmp_path):
    path = tmp_path / "x.jsonl"
    rows = ([SimpleNamespace(tokens=["ab"], starts=[0], ends=[2])] for _ in range(2))
    path.write_text('\n{"text": "ab", "spans": [{"start": 0, "end": 1, "label": "X"}]}\n')
    with pytest.raises(FormatError, match=r"x.jsonl:2: the span 0-1 'a' \(X\)"):
        read_jsonl_tagged(path, lambda texts: next(rows))
    with pytest.warns(UserWarning, match="x.jsonl:2: the span"):
        assert read_jsonl_tagged(path, lambda texts: next(rows), on_misaligned="warn") == ([["ab"]], [["B-X"]])


def test_default_tokenizer():
    line = json.dumps({"text": "😀 Harry traf 王明 in Zürich.", "spans": [span(2, 7, "PER"), span(13, 15, "PER")]})
    sentences, tags = read_jsonl_tagged(io.StringIO(line))
    assert sentences == [["😀", "Harry", "traf", "王", "明", "in", "Zürich", "."]]
    assert tags == [["O", "B-PER", "O", "B-PER", "I-PER", "O", "O", "O"]]


def test_write(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    rows = [SPANS, [{"start": 0, "end": 1, "label": "X", "score": 0.5}]]
    write_spans(path, iter([TEXT, "a\nb"]), iter(rows))
    assert read_spans(path) == ([TEXT, "a\nb"], [SPANS, [(0, 1, "X")]])
    stream = io.StringIO()
    write_spans(stream, ["中"], [[{"start": 0, "end": 1, "label": "X", "score": 0.5}]])
    assert stream.getvalue() == '{"text": "中", "spans": [{"start": 0, "end": 1, "label": "X", "score": 0.5}]}\n'
    before = path.read_bytes()
    for texts, spans in ((["a", "b"], [[]]), (["a", "b"], [[], [(0, 2, "X")]])):
        with pytest.raises(DataError, match=r"item 1|Text 1"):
            write_spans(path, texts, spans)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
