"""Texts in tables and folders."""

import csv
import gzip
import io
import json
import random
import threading

import pytest

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io import iter_table, read_class_folders, read_table


def table(text, *arguments, format="csv", **options):
    """Rows of a table that is given as text or bytes."""
    data = text.encode() if isinstance(text, str) else text
    return list(iter_table(io.BytesIO(data), *arguments, format=format, **options))


def parquet(path, **columns):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (".csv", 'id,text,label\r\n7,"a, ""b""\nc",pos\r\n\r\n8,,neg\r\n'),
        (".TSV", 'id\ttext\tlabel\n7\ta, "b"\tpos\n\n8\t\tneg\n'),
        (".jsonl", '{"id": "7", "text": "a, \\"b\\"", "label": "pos"}\n\n{"id": "8", "text": "", "label": "neg"}'),
        (".ndjson", '{"id": "7", "text": "a, \\"b\\"", "label": "pos"}\n\n{"id": "8", "text": "", "label": "neg"}'),
    ],
)
def test_formats_by_ending(tmp_path, ending, text, packed):
    path = tmp_path / ("x" + ending + (".gz" if packed else ""))
    data = b"\xef\xbb\xbf" + text.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    first = 'a, "b"\nc' if ending == ".csv" else 'a, "b"'
    rows = list(iter_table(path))
    assert [row.fields for row in rows] == [
        {"id": "7", "text": first, "label": "pos"},
        {"id": "8", "text": "", "label": "neg"},
    ]
    lines = {".csv": [2, 5], ".TSV": [2, 4]}.get(ending, [1, 3])
    assert [row[:2] + row[3:] for row in rows] == [(first, "pos", lines[0]), ("", "neg", lines[1])]
    assert read_table(path) == ([first, ""], ["pos", "neg"])
    assert read_table(path, "id", label_column=False) == (["7", "8"], None)
    assert [row.label for row in iter_table(path, label_column=False)] == [None, None]


def test_parquet(tmp_path):
    path = parquet(tmp_path / "x.parquet", id=[7, 8], Text=["a", ""], label=[True, False])
    assert list(iter_table(path)) == [
        ("a", True, {"id": 7, "Text": "a", "label": True}, 1),
        ("", False, {"id": 8, "Text": "", "label": False}, 2),
    ]
    assert read_table(path, "Text", "id") == (["a", ""], [7, 8])
    with open(path, "rb") as stream:
        assert read_table(stream, format="parquet") == (["a", ""], [True, False])
        assert not stream.closed
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "y.parquet")


def test_parquet_in_batches(tmp_path):
    path = parquet(tmp_path / "x.parquet", text=[str(i) for i in range(5000)], label=list(range(5000)))
    rows = list(iter_table(path))
    assert [(int(row.text), row.label, row.line) for row in rows] == [(i, i, i + 1) for i in range(5000)]


def test_labels_keep_their_type():
    values = [1, "1", True, 0.5, "ж"]
    text = "".join(json.dumps({"text": "t", "label": value}) + "\n" for value in values)
    labels = [row.label for row in table(text, format="jsonl")]
    assert list(zip(labels, map(type, labels), strict=True)) == [(value, type(value)) for value in values]
    assert table("text,label\na,1\n")[0].label == "1"


@pytest.mark.parametrize(
    ("text", "arguments", "options", "expected"),
    [
        ("Review,Y\na,1\n", (), {}, [("a", "1")]),
        ("content,SENTENCE,target\na,b,1\n", (), {}, [("b", "1")]),
        ("x,y\na,1\n", ("x", "y"), {}, [("a", "1")]),
        (" x , y\na,1\n", ("x", "y"), {}, [("a", "1")]),
        ("a,1\nb,2\n", (0, 1), {}, [("a", "1"), ("b", "2")]),
        ("a,1\nb,2\n", ("0", "-1"), {}, [("a", "1"), ("b", "2")]),
        ("a,1\nb,2\n", (-2,), {}, [("a", "1"), ("b", "2")]),  # two columns: the other is the label
        ("1,a\n2,b\n", ("1",), {}, [("a", "1"), ("b", "2")]),
        ("a,1\nb,2\n", (0, False), {}, [("a", None), ("b", None)]),
        ("a,1\nb,2\n", (0, 1), {"header": True}, [("b", "2")]),
        ("text,label\nb,2\n", (0, 1), {}, [("b", "2")]),  # numbers, but the first row is a header
        ("Text,label\nb,2\n", (0, False), {}, [("b", None)]),
        ("text,label\nb,2\n", (0,), {}, [("b", "2")]),
        ("text,5\nb,2\n", (0, 1), {}, [("text", "5"), ("b", "2")]),
        ("text,label\nb,2\n", (0, 1), {"header": False}, [("text", "label"), ("b", "2")]),
        ("1,0\na,b\n", (0, 1), {"header": True}, [("b", "a")]),  # names win over numbers
        (",text,label\n0,a,b\n", (), {}, [("a", "b")]),  # the index that pandas writes
        ("text;label\na,b;1\n", (), {"delimiter": ";"}, [("a,b", "1")]),
        ('text,label\n"a,1\n', (), {"quotes": False}, [('"a', "1")]),
        ("", (), {}, []),
        ("text,label\n", (), {}, []),
    ],
)
def test_columns_and_headers(text, arguments, options, expected):
    assert [row[:2] for row in table(text, *arguments, **options)] == expected


def test_fields_without_header():
    assert table("a\t1\tx\n", 0, 1, format="tsv")[0].fields == {"0": "a", "1": "1", "2": "x"}


def test_quotes_in_tsv():
    assert table('"a\t1\nb\t2\n', 0, 1, format="tsv")[0].text == '"a'
    assert table('"a\tb"\t1\n', 0, 1, format="tsv", quotes=True)[0].text == "a\tb"


def test_encoding_and_line_ends():
    assert table("text,label\r\né,1\r\n".encode("utf-16"), encoding="utf-16")[0].text == "é"
    assert table('text,label\n"a\r\nb",1\n')[0].text == "a\nb"
    assert table("text,label\na\u2028b\u0085c,1\n")[0].text == "a\u2028b\u0085c"


def test_round_trip_through_the_csv_module():
    rng = random.Random(0)
    rows = [["".join(rng.choices('a",\n é\t中', k=rng.randint(1, 9))), rng.choice("xyz")] for _ in range(500)]
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["text", "label"], *rows])
    found = table(stream.getvalue())
    assert [[row.text, row.label] for row in found] == rows
    line = 2
    for row in found:
        assert row.line == line
        line += 1 + row.text.count("\n")


def test_fields_beyond_the_limit_of_the_csv_module():
    limit = csv.field_size_limit()
    long = "x" * limit + "\n" + "y" * limit
    text = f'text,label\na,1\n"{long}",2\n{"z" * limit * 2},3\nb,4\n'
    rows = iter_table(io.StringIO(text), format="csv")
    for length in (1, len(long), 2 * limit, 1):
        assert len(next(rows).text) == length
        assert csv.field_size_limit() == limit  # the process's own
    with pytest.raises(FormatError, match="not CSV"):
        table(f'text,label\n"{long}"x,2\n')
    assert csv.field_size_limit() == limit


def test_long_fields_in_threads():
    limit = csv.field_size_limit()
    text = "text,label\n" + f'"{"x" * limit * 2}",1\n' * 20
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(table(text)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [20] * 4
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("format", "text", "line", "message"),
    [
        ("csv", "text,label\na,1\nb\n", 3, r"expected 2 columns, as in line 1, got 1: \['b'\]"),
        ("csv", "text,label\na,b,1\n", 2, "expected 2 columns, as in line 1, got 3"),
        ("tsv", "text\tlabel\n\na b\n", 3, "expected 2 columns, as in line 1, got 1"),
        ("csv", 'text,label\n"a\n\nb","\n"\nc,1\n', 2, r"label in column 'label' is empty \('\\n'\)"),
        ("csv", 'text,label\n"a\nb",1\n"c,2\nd,3\n', 4, "record that begins here is not CSV .*unexpected end"),
        ("csv", 'text,label\n"a"b,1\n', 2, "not CSV .*quotes=False"),
        ("csv", "text,label\na\rb,1\n", 2, "not CSV"),
        ("csv", "text,label\na,\n", 2, r"label in column 'label' is empty \(''\).*label_column=False"),
        ("csv", b"text,label\na,1\n\xff,2\n", 3, "not valid utf-8: byte ff"),
        ("tsv", b"text\tlabel\n\xe9\t2\n", 2, "not valid utf-8"),
        ("csv", "text,label,text\na,1,b\n", 1, "two columns have the name 'text'.*header=False"),
        ("csv", "a;b\n1;2\n", None, r"no column for the text: expected one of 'text'.*; columns: 'a;b'.*delimiter"),
        ("csv", "text,b\n1,2\n", None, "no column for the label: .*'y'; columns: 'text', 'b'.*label_column=False"),
        ("jsonl", '{"text": "a", "label": 1}\n{', 2, "not JSON"),
        ("jsonl", "[" * 100_000, 1, "not JSON"),
        ("jsonl", '["a", 1]', 1, r'expected an object such as \{"text": ..., "label": ...\}, got list'),
        ("jsonl", '{"text": 3, "label": 1}', 1, "text in column 'text' must be a string, got int 3"),
        ("jsonl", '{"text": null, "label": 1}', 1, "must be a string, got NoneType"),
        ("jsonl", '{"text": "a", "label": 1}\n{"label": 1}', 2, r"no text: expected the key 'text'; keys: \['label'\]"),
        ("jsonl", '{"text": "a", "label": 1}\n{"text": "a"}', 2, "no label: expected the key 'label'"),
        ("jsonl", '{"text": "a", "label": null}', 1, r"is empty \(None\)"),
        ("jsonl", '{"text": "a", "label": NaN}', 1, r"is empty \(nan\)"),
        ("jsonl", '{"text": "a", "label": " "}', 1, "is empty"),
        ("jsonl", '{"text": "a", "label": [1]}', 1, "must be a string, a number or a boolean, got list"),
        ("jsonl", '{"text": "a", "label": "\\ud800"}', 1, r"half of a surrogate pair \('\\ud800'\)"),
        ("jsonl", '{"txt": "a"}', None, "no column for the text: .*columns: 'txt'"),
        ("jsonl", b'{"text": "\xff"}', 1, "not valid utf-8"),
        ("parquet", b"PAR1 no, it is not", None, "not a readable Parquet file"),
    ],
)
def test_faults_come_with_file_and_line(tmp_path, format, text, line, message):
    path = tmp_path / f"x.{format}"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(FormatError, match=message) as caught:
        read_table(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


@pytest.mark.parametrize(
    ("columns", "line", "message"),
    [
        ({"text": ["a", None], "label": [1, 2]}, 2, "must be a string, got NoneType"),
        ({"text": [b"a"], "label": [1]}, 1, "must be a string, got bytes"),
        ({"text": ["a", "b"], "label": [1, None]}, 2, "is empty"),
        ({"text": ["a", "b", "c"], "label": [1.0, 2.0, float("nan")]}, 3, r"is empty \(nan\)"),
        ({"text": ["a"], "label": [[1]]}, 1, "got list"),
        ({"id": [1], "label": [1]}, None, "no column for the text: .*columns: 'id', 'label'"),
        ({"text": ["a"], "id": [1]}, None, "no column for the label"),
    ],
)
def test_faults_of_parquet_come_with_the_row(tmp_path, columns, line, message):
    path = parquet(tmp_path / "x.parquet", **columns)
    with pytest.raises(FormatError, match=message) as caught:
        read_table(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_parquet_with_bytes_that_are_no_text(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    good = pyarrow.array(["a", "b", "c"])
    bad = pyarrow.StringArray.from_buffers(3, good.buffers()[1], pyarrow.py_buffer(b"a\xffc"))
    path = parquet(tmp_path / "x.parquet", text=bad, label=[1, 2, 3])
    with pytest.raises(FormatError, match=r"x\.parquet:2: a value of this row cannot be read .*0xff"):
        read_table(path)


def test_parquet_with_a_column_twice(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    parquet.write_table(pyarrow.table([pyarrow.array(["a"])] * 2, names=["text", "text"]), path)
    with pytest.raises(FormatError, match="two columns have the name 'text'"):
        read_table(path)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("text,label\na,1\n", ("txt",), "no column 'txt' for the text; columns: 'text', 'label'. Change text_column"),
        ("text,label\na,1\n", ("text", "lab"), "no column 'lab' for the label"),
        ("a,1\n", (0, 2), "no column 2 for the label; columns: '0', '1'"),
        ("a,1\n", ("-3", 1), "no column '-3' for the text"),
        ("a,1,2\n", (0,), "no column for the label.*Give label_column"),
    ],
)
def test_columns_that_are_not_there(text, arguments, message):
    with pytest.raises(FormatError, match=message):
        table(text, *arguments)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("a", "a"), {}, "must differ; both are column 'a'"),
        ((0, "-2"), {}, "must differ; both are column '0'"),
        ((True,), {}, "text_column must be a name, a number, None; got True"),
        ((False,), {}, "text_column must be"),
        ((None, True), {}, "label_column must be a name, a number, None, False; got True"),
        ((0,), {"format": "jsonl"}, "text_column must be a name: columns of 'jsonl' have no number; got 0"),
        ((), {"format": "xml"}, "format must be one of 'auto', 'csv', 'tsv', 'jsonl', 'parquet'; got 'xml'"),
        ((), {"format": "auto"}, "format must be one of 'csv', .*'<stream>': its ending is none of .csv, .tsv"),
        ((), {"delimiter": ";;"}, "delimiter must be one character"),
        ((), {"delimiter": '"'}, "delimiter must be one character"),
        ((), {"delimiter": 3}, "delimiter must be a string or None, got 3"),
        ((), {"header": "yes"}, "header must be True, False or None, got 'yes'"),
        ((), {"quotes": 1}, "quotes must be True, False or None, got 1"),
        ((), {"header": True, "format": "jsonl"}, "header is for CSV and TSV only, got True for 'jsonl'"),
        ((), {"delimiter": ",", "format": "parquet"}, "delimiter is for CSV and TSV only"),
        ((), {"encoding": "nonsense"}, "encoding must be one that Python knows"),
    ],
)
def test_wrong_parameters(arguments, options, message):
    with pytest.raises(ParameterError, match=message):
        table("a,b\n1,2\n", *arguments, **options)


def test_parameters_are_checked_before_the_first_row(tmp_path):
    with pytest.raises(ParameterError):
        iter_table(tmp_path / "not there.csv", True)
    with pytest.raises(ParameterError, match="standard input"):
        read_table("-", format="parquet")


@pytest.fixture
def folders(tmp_path):
    files = {
        "pos/b.txt": "\ufeffgood\r\nfilm\n",
        "pos/a.txt": "",
        "pos/.hidden": "no",
        "neg/10.txt": "schlecht",
        "neg/9": "bäd",
        ".git/x": "no",
        "README": "no",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def test_class_folders(folders):
    texts, labels = read_class_folders(folders)
    assert texts == ["schlecht", "bäd", "", "good\nfilm\n"]
    assert labels == ["neg", "neg", "pos", "pos"]
    assert read_class_folders(str(folders)) == (texts, labels)


def test_faults_of_class_folders(folders):
    (folders / "pos" / "c.txt").write_bytes(b"one\ntwo \xff\n")
    with pytest.raises(FormatError, match=r"c\.txt:2: not valid utf-8: byte ff at position 8 of the file"):
        read_class_folders(folders)
    (folders / "neg" / "sub").mkdir()
    with pytest.raises(DataError, match=r"neg/sub is a folder: expected only text files"):
        read_class_folders(folders)
    with pytest.raises(DataError, match="sub has no sub-folders: expected one for each class"):
        read_class_folders(folders / "neg" / "sub")
