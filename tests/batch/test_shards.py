"""Files cut into shards and read back: every row once, whatever the format, the compression and the size of shards."""

import gzip
import io
import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqkit.batch import reading
from seqkit.batch.plan import Plan, make_plan
from seqkit.batch.reading import Problem, ShardReader
from seqkit.batch.records import BadRecord, Conll, Delimited, JsonLines, Lines
from seqkit.batch.streams import find_files, format_of
from seqkit.errors import FormatError, ParameterError

MODEL = {"path": "model", "fingerprint": "f"}
OPTIONS = {"input_format": "auto", "column": None, "token_column": 0, "shard_rows": 3}
TEXTS = [f"text {i}, “so”\u2028" for i in range(10)]


def parsed(kind, data: bytes) -> list:
    """Place, line and fields of each record; of a bad one its reason."""
    found = []
    for record in kind.records(io.BytesIO(data)):
        assert data[record.offset :].startswith(record.data)
        try:
            found.append((record.line, kind.parse(record)))
        except BadRecord as error:
            found.append((error.line or record.line, str(error)))
    return found


def test_lines():
    assert parsed(Lines(), b"\xef\xbb\xbfa\r\n\nb\xc2\x85 \nc") == [
        (1, {"text": "a"}),
        (2, {"text": ""}),
        (3, {"text": "b\x85 "}),
        (4, {"text": "c"}),
    ]
    ((line, reason),) = parsed(Lines(), b"b\xff\n")
    assert line == 1 and reason.startswith("not valid UTF-8: byte ff at position 1")


def test_json_lines():
    rows = parsed(JsonLines(), b'{"text":"a"}\n\n  \n"x"\n[1]\n{"text": "\\ud800"}\n{bad\n{"n": 1}')
    assert [line for line, _ in rows] == [1, 3, 4, 5, 6, 7, 8]
    assert [fields for _, fields in rows if isinstance(fields, dict)] == [{"text": "a"}, {"text": "x"}, {"n": 1}]
    for (_, reason), expected in zip(
        [rows[1], *rows[3:6]], ["not JSON", "got list", "surrogate", "not JSON"], strict=True
    ):
        assert expected in reason


def test_cells_in_quotes():
    data = b'\xef\xbb\xbfid,text\r\n1,"a, ""b"""\n\n2,"two\r\nlines"\r\n3,x"y\n'
    data += b'4,"q"z\n5,"\n6,"open\n7,a\n8,b,c\n9,"\xff"\n'
    kind = Delimited(",", quotes=True)
    offset, line = kind.header(io.BytesIO(data), "file.csv")
    assert (kind.columns, line) == (("id", "text"), 2)
    stream = io.BytesIO(data)
    stream.seek(offset)
    found = []
    for record in kind.records(stream, offset, line):
        try:
            found.append(list(kind.parse(record).values()))
        except BadRecord as error:
            found.append((record.line, str(error)[:14]))
    assert found == [
        ["1", 'a, "b"'],
        ["2", "two\nlines"],
        ["3", 'x"y'],
        ["4", '"q"z'],
        ["5", '"\n6,"open'],  # what stands behind a quote that closes keeps it from being one
        ["7", "a"],
        (11, "expected 2 cel"),
        (12, "not valid UTF-"),
    ]


def test_a_stray_quote_takes_no_rows_with_it():
    data = b'a,b\n1,"open\n2,x\n\n3,y\n'
    kind = Delimited(",", quotes=True)
    offset, line = kind.header(io.BytesIO(data), "file.csv")
    stream = io.BytesIO(data)
    stream.seek(offset)
    first, *others = kind.records(stream, offset, line)
    with pytest.raises(BadRecord, match="a quote is opened that nothing closes"):
        kind.parse(first)
    assert [(record.line, kind.parse(record)["b"]) for record in others] == [(3, "x"), (5, "y")]


def test_headers():
    with pytest.raises(FormatError, match=r"f\.csv:1: two columns have the name 'a'"):
        Delimited(",", quotes=True).header(io.BytesIO(b"a,a\n"), "f.csv")
    with pytest.raises(FormatError, match="holds no names of columns"):
        Delimited("\t", quotes=False).header(io.BytesIO(b"\n"), "f.tsv")


def test_conll():
    data = b"# id 3\na\tB-X\nb O\n\n-DOCSTART- -X-\n\nc\r\n  \n\t\n\tO\n\nd"
    rows = parsed(Conll(), data)
    assert rows[0] == (2, {"tokens": ["a", "b"], "rest": ["B-X", "O"]})
    assert rows[1] == (7, {"tokens": ["c"], "rest": [""]})
    assert rows[-1] == (12, {"tokens": ["d"], "rest": [""]})


def write(folder, format: str, compression: str) -> None:
    """Write `TEXTS`, with numbers beside them where there are columns."""
    rows = [{"id": i, "text": text} for i, text in enumerate(TEXTS)]
    if format == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), folder / "data.parquet", row_group_size=4)
        return
    if format == "jsonl":
        data = "".join(json.dumps(row) + "\n" for row in rows)
    elif format == "csv":
        data = "id,text\n" + "".join(f'{row["id"]},"{row["text"]}"\n' for row in rows)
    elif format == "tsv":
        data = "id\ttext\n" + "".join(f"{row['id']}\t{row['text']}\n" for row in rows)
    elif format == "conll":
        data = "".join("".join(f"{token}\tX\n" for token in text.split()) + "\n" for text in TEXTS)
    else:
        data = "".join(text + "\n" for text in TEXTS)
    ending = {"lines": "txt"}.get(format, format)
    path = folder / f"data.{ending}{compression}"
    if compression == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(data.encode())
    else:
        path.write_bytes(gzip.compress(data.encode()) if compression else data.encode())


@pytest.mark.parametrize("size", [1, 3, 5, 100])
@pytest.mark.parametrize(
    ("format", "compression"),
    [("parquet", ""), *itertools.product(["lines", "jsonl", "csv", "tsv", "conll"], ["", ".gz", ".zst"])],
)
def test_every_row_is_read_once(tmp_path, format, compression, size):
    write(tmp_path, format, compression)
    plan = make_plan(find_files([tmp_path]), MODEL, {**OPTIONS, "shard_rows": size})
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.rows == len(TEXTS) and sum(shard.rows for shard in plan.shards) == len(TEXTS)
    assert max(shard.rows for shard in plan.shards) <= size
    expected = [text.split() for text in TEXTS] if format == "conll" else TEXTS
    for order in (plan.shards, plan.shards[::-1]):  # as one process takes them, and as others may
        found = {}
        with ShardReader(plan.files, plan.options) as reader:
            for shard in order:
                rows = reader.read(shard)
                assert not rows.problems and len(rows.lines) == shard.rows and rows.lines[0] == shard.line
                found[shard.number] = rows.inputs
        assert [value for number in sorted(found) for value in found[number]] == expected


def test_of_a_parquet_file_little_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_BATCH", 100)
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("text", pa.string())]), compression="none") as writer:
        for i in range(100):
            writer.write_table(pa.table({"text": [f"{i} {k} {'x' * 1_000}" for k in range(100)]}))
    size = (tmp_path / "a.parquet").stat().st_size
    plan = make_plan([tmp_path / "a.parquet"], MODEL, {**OPTIONS, "shard_rows": 100})
    before, held = pa.total_allocated_bytes(), 0
    with ShardReader(plan.files, plan.options) as reader:
        for shard in plan.shards:
            assert len(reader.read(shard).inputs) == 100
            held = max(held, pa.total_allocated_bytes() - before)
    assert 0 < held < size / 10


def test_rows_that_cannot_be_read_keep_their_place(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": 3}\n{"no": 1}\n{"text": "\xff"}\n{"sentence": "b"}\n')
    pq.write_table(pa.table({"text": pa.array(["a", None, "b"])}), tmp_path / "b.parquet")
    broken = pa.StringArray.from_buffers(3, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffb"))
    pq.write_table(pa.table({"text": broken}), tmp_path / "c.parquet")
    plan = make_plan(find_files([tmp_path]), MODEL, {**OPTIONS, "shard_rows": 10})
    with ShardReader(plan.files, plan.options) as reader:
        found = [reader.read(shard) for shard in plan.shards]
    assert [rows.inputs for rows in found] == [["a", None, None, None, "b"], ["a", None, "b"], ["a", None, "b"]]
    assert [sorted(rows.problems) for rows in found] == [[1, 2, 3], [1], [1]]
    assert found[0].problems[1] == Problem(2, "'text' must be a text or a list, got int 3")
    assert "none of 'text', 'tokens'" in found[0].problems[2].reason
    assert found[1].problems[1] == Problem(2, "expected a text or a list, got null")
    assert "what cannot be read" in found[2].problems[1].reason


def test_inputs_that_are_refused(tmp_path):
    (tmp_path / "x.dat").write_text("a\n")
    with pytest.raises(ParameterError, match=r"There is no file .*nothing"):
        find_files([tmp_path / "nothing"])
    with pytest.raises(ParameterError, match=r"holds no file that ends in \.parquet"):
        find_files([tmp_path])
    with pytest.raises(ParameterError, match="more than once: give files, not standard input"):
        find_files(["-"])
    with pytest.raises(ParameterError, match="named twice"):
        find_files([tmp_path / "x.dat", f"{tmp_path}/*.dat"])
    with pytest.raises(ParameterError, match=r"The ending of .*x\.dat tells no format"):
        format_of(tmp_path / "x.dat")
    assert format_of(tmp_path / "x.dat", "lines") == "lines"
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FormatError, match=r"x\.csv: which column is to be read\? .* one of 'a', 'b'"):
        make_plan([tmp_path / "x.csv"], MODEL, OPTIONS)
    with pytest.raises(FormatError, match=r"x\.csv: no column 'c'; its columns: 'a', 'b'"):
        make_plan([tmp_path / "x.csv"], MODEL, {**OPTIONS, "column": "c"})
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(FormatError, match=r"x\.parquet: not a readable Parquet file"):
        make_plan([tmp_path / "x.parquet"], MODEL, OPTIONS)


@pytest.mark.parametrize("format", ["lines", "jsonl", "csv"])
def test_damaged_and_changed_files_are_named(tmp_path, format):
    for compression in (".gz", ".zst"):
        write(tmp_path, format, compression)
        (path,) = tmp_path.glob(f"*{compression}")
        plan = make_plan([path], MODEL, OPTIONS)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(FormatError, match=rf"{path.name}: damaged compressed data"):
            make_plan([path], MODEL, OPTIONS)
        with pytest.raises(FormatError, match=path.name), ShardReader(plan.files, plan.options) as reader:
            reader.read(plan.shards[-1])


def test_what_another_plan_differs_in(tmp_path):
    (tmp_path / "a.txt").write_text("a\nb\n")
    plan = make_plan([tmp_path / "a.txt"], MODEL, OPTIONS)
    assert plan.difference(plan) is None
    other = make_plan([tmp_path / "a.txt"], {**MODEL, "fingerprint": "g"}, OPTIONS)
    assert "the model is another one" in plan.difference(other)
    other = make_plan([tmp_path / "a.txt"], MODEL, {**OPTIONS, "shard_rows": 1})
    assert plan.difference(other) == "shard_rows was 3, and is 1 now"
    (tmp_path / "a.txt").write_text("a\nc\n")
    assert "a.txt is not what" in plan.difference(make_plan([tmp_path / "a.txt"], MODEL, OPTIONS))
    assert "there were 1 files" in plan.difference(make_plan([], MODEL, OPTIONS))
