"""CoNLL columns: every quirk a file may have, and the counts of real sets."""

import gzip
import io
import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io import iter_conll, read_conll, write_conll
from seqkit.tags import entity_spans, infer_scheme

SENTENCES = [["Harry", "met", "Ron"], ["Hi"]]
TAGS = [["B-PER", "O", "B-PER"], ["O"]]
PLAIN = "Harry B-PER\nmet O\nRon B-PER\n\nHi O\n"


def write(tmp_path, content, name="file.conll"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN + "\n\n\n",
        "\n\n" + PLAIN.rstrip("\n"),
        PLAIN.replace(" ", "\t"),
        PLAIN.replace(" ", " \t  "),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n\n", "\n \t \n"),
        PLAIN.replace("\n\n", "\n\u00a0\n"),
        "\ufeff" + PLAIN,
        "-DOCSTART- -X- -X- O\n\n" + PLAIN,
        PLAIN.replace("\n\n", "\n-DOCSTART- O\n"),
        "# sent_id = 1\n# text = Harry met Ron\n" + PLAIN.replace("\n\n", "\n\n# id 4f3a\tdomain=en\n# newdoc\n"),
        PLAIN.replace("\n", "  \n"),
        PLAIN.replace("\n", "\t\n"),
    ],
)
def test_the_same_two_sentences(tmp_path, content):
    assert read_conll(write(tmp_path, content)) == (SENTENCES, TAGS)


def test_sources(tmp_path, monkeypatch):
    data = PLAIN.encode()
    packed = write(tmp_path, gzip.compress(data), "file.conll.gz")
    unnamed = write(tmp_path, gzip.compress(data), "file.conll")
    with open(unnamed, "rb") as binary, open(write(tmp_path, data, "plain"), encoding="utf-8") as text:
        for source in (packed, str(packed), unnamed, binary, text, io.BytesIO(data), io.StringIO(PLAIN)):
            assert read_conll(source) == (SENTENCES, TAGS)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(data))))
    assert read_conll("-") == (SENTENCES, TAGS)
    assert read_conll(io.StringIO("\ufeff" + PLAIN)) == (SENTENCES, TAGS)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_other_encodings(tmp_path, encoding):
    data = "Zoë B-PER\r\nJäger I-PER\r\n".encode(encoding)
    stream = io.BytesIO(data)
    for source in (write(tmp_path, data), stream):
        assert read_conll(source, encoding=encoding) == ([["Zoë", "Jäger"]], [["B-PER", "I-PER"]])
    assert not stream.closed


def test_columns_and_delimiters(tmp_path):
    four = write(tmp_path, "U.N. NNP I-NP I-ORG\nofficial NN I-NP O\n")
    assert read_conll(four)[1] == [["I-ORG", "O"]]
    assert read_conll(four, tag_column=1)[1] == [["NNP", "NN"]]
    assert read_conll(four, token_column=-3, tag_column=0) == ([["NNP", "NN"]], [["U.N.", "official"]])
    assert read_conll(write(tmp_path, "O|Hi there|x\n"), delimiter="|", token_column=1, tag_column=0) == (
        [["Hi there"]],
        [["O"]],
    )
    assert read_conll(write(tmp_path, "O\tmet\n"), token_column=1, tag_column=0) == ([["met"]], [["O"]])
    assert read_conll(write(tmp_path, "a;b,B-X y\n"), delimiter=",") == ([["a;b"]], [["B-X y"]])


def test_tokens_without_tags(tmp_path):
    assert read_conll(write(tmp_path, "Harry\nmet\n\nHi\n"), tag_column=None) == ([["Harry", "met"], ["Hi"]], None)
    assert list(iter_conll(io.StringIO("\nHarry B-PER\n"), tag_column=None)) == [(["Harry"], None, 2)]
    assert read_conll(io.StringIO("")) == ([], [])


def test_tokens_with_blanks_and_white_space_beyond_ascii(tmp_path):
    # From a tab-separated set of tweets: a blank within a token, a token that is a blank, or lost. NBSP,
    # U+3000, U+2028, U+0085 are no separators and end no line.
    content = "AD t\tO\n \tO\n\tO\na\u00a0b\tB-X\n\u3000\tI-X\nc\u2028d\x85\tO\n"
    assert read_conll(write(tmp_path, content)) == (
        [["AD t", " ", " ", "a\u00a0b", "\u3000", "c\u2028d\x85"]],
        [["O", "O", "O", "B-X", "I-X", "O"]],
    )
    assert read_conll(write(tmp_path, "a\u3000b O\n")) == ([["a\u3000b"]], [["O"]])
    # Tabs and blanks mixed: the tag column shows it.
    assert read_conll(write(tmp_path, "EU NNP\tB-NP B-ORG\n")) == ([["EU"]], [["B-ORG"]])


def test_hashes_are_tokens_unless_comments_are_asked_for(tmp_path):
    path = write(tmp_path, "#hash O\n# O\nx B-X\n#y I-X\n\n# text = x y\n#z O\n")
    assert read_conll(path) == ([["#hash", "#", "x", "#y"], ["#z"]], [["O", "O", "B-X", "I-X"], ["O"]])
    assert read_conll(path, comment="#") == ([["x"]], [["B-X"]])
    assert read_conll(path, comment="# text")[0] == [["#hash", "#", "x", "#y"], ["#z"]]
    with pytest.raises(FormatError, match=r"file.conll:7: expected 5 columns"):
        read_conll(path, comment="")


def test_streaming_gives_line_numbers_and_reads_no_further(tmp_path):
    path = write(tmp_path, "\ufeff# text = a b\r\na O\r\nb O\r\n\r\n\r\nc B-X\r\n\r\nbroken\r\n")
    rows = iter_conll(path)
    assert next(rows) == (["a", "b"], ["O", "O"], 2)
    assert next(rows) == (["c"], ["B-X"], 6)
    with pytest.raises(FormatError, match=r"file.conll:8: no tag: expected a token and a tag, got 1 column"):
        next(rows)


@pytest.mark.parametrize(
    ("content", "line", "words", "options"),
    [
        ("a O\nb\n", 2, "expected 2 columns, as in line 1", {}),
        ("a O\nNew York B-LOC\n", 2, "got 3: 'New York B-LOC'", {}),
        ("a\nb\n", 1, "no tag: .*tag_column=None", {}),
        ("a O\n", 1, "no column 2 for the tag", {"tag_column": 2}),
        ("a O\n", 1, "no column -3 for the token", {"token_column": -3}),
        (",O\n", 1, "the token in column 0 is empty", {"delimiter": ","}),
        ("a,\n", 1, "the tag in column -1 is empty", {"delimiter": ","}),
        ("a, \n", 1, "the tag in column -1 is empty", {"delimiter": ","}),
        ("a O b\n", 1, "no tag", {"token_column": 2}),
        (b"a O\n\xff\xfe O\n", 2, "not valid utf-8: byte ff at position 0", {}),
        (b"a O\n" + "b\u00e9 O\n".encode("latin-1"), 2, "byte e9", {}),
        ("a O\n".encode("utf-16")[:-1], 1, "not valid utf-16", {"encoding": "utf-16"}),
        (gzip.compress(("a O\n" * 5000).encode(), mtime=0)[:-20], None, "damaged gzip", {}),
    ],
)
def test_faults_come_with_file_and_line(tmp_path, content, line, words, options):
    path = write(tmp_path, content)
    with pytest.raises(FormatError, match=words) as caught:
        read_conll(path, **options)
    if line is None:  # somewhere in the damaged data
        line = caught.value.line
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ""},
        {"delimiter": 1},
        {"comment": 1},
        {"token_column": "0"},
        {"tag_column": 0},
        {"scheme": "bio"},
        {"scheme": "io"},
        {"source_scheme": "x"},
        {"encoding": "no-such"},
    ],
)
def test_wrong_parameters(options):
    with pytest.raises(ParameterError, match=next(iter(options)).replace("tag_column", "tag_column must differ")):
        read_conll(io.StringIO("a O\n"), **options)


def test_scheme_conversion(tmp_path):
    iob1 = write(tmp_path, "a I-X\nb B-X\n\nc I-Y\n")
    assert read_conll(iob1, scheme="iob2")[1] == [["B-X", "B-X"], ["B-Y"]]
    assert read_conll(iob1, scheme="iobes")[1] == [["S-X", "S-X"], ["S-Y"]]
    assert read_conll(iob1)[1] == [["I-X", "B-X"], ["I-Y"]]
    with pytest.raises(FormatError, match=r"no entity tags .*NOUN"):
        read_conll(io.StringIO("a NOUN\n"), scheme="iob2")
    with pytest.raises(FormatError, match=r"<stream>:3: .*'E-X' at token 0"):
        read_conll(io.StringIO("a I-X\n\nb E-X\n"), scheme="iob2", source_scheme="io")


def test_round_trip_of_random_sentences(tmp_path):
    rng = random.Random(0)
    alphabet = ["a", "#", "# text = x", "\u3000", "a b", "é", "😀", "\u2028", "O", '"', "-", "\x00", "\u00a0"]
    for name in ("out.conll", "out.conll.gz"):
        sentences = [rng.choices(alphabet, k=rng.randint(1, 5)) for _ in range(40)]
        # In front of a sentence "# text = x" is metadata, unless told otherwise.
        tags = [rng.choices(["O", "B-X", "I-X"], k=len(tokens)) for tokens in sentences]
        path = tmp_path / name
        write_conll(path, iter(sentences), iter(tags), iter(tags))
        assert read_conll(path, comment="") == (sentences, tags)
        assert read_conll(path, comment="", tag_column=1, delimiter="\t") == (sentences, tags)
    assert path.read_bytes()[:2] == b"\x1f\x8b"


def test_written_text(capsys):
    stream = io.StringIO()
    write_conll(stream, SENTENCES, TAGS, TAGS, delimiter=" ")
    assert stream.getvalue() == "Harry B-PER B-PER\nmet O O\nRon B-PER B-PER\n\nHi O O\n\n"
    write_conll("-", [["a"]], [["O"]])
    assert capsys.readouterr().out == "a\tO\n\n"


@pytest.mark.parametrize(
    ("sentences", "tags", "words"),
    [
        ([["a"], ["b", "c"]], [["O"], ["O"]], r"Sentence 1: .*lengths \[2, 1\]"),
        ([["a"], ["b"]], [["O"]], "before sentence 1"),
        ([["a"]], [["O"], ["O"]], "before sentence 1"),
        ([["a\tb"]], [["O"]], "Sentence 0: cannot write 'a\\\\tb'"),
        ([["a"], ["b\n"]], [["O"], ["O"]], "Sentence 1: cannot write"),
        ([["a"], [""]], [["O"], ["O"]], "Sentence 1: cannot write ''"),
    ],
)
def test_a_failed_write_leaves_the_old_file(tmp_path, sentences, tags, words):
    path = write(tmp_path, PLAIN)
    with pytest.raises(DataError, match=words):
        write_conll(path, sentences, tags)
    assert path.read_text() == PLAIN
    assert [p.name for p in tmp_path.iterdir()] == ["file.conll"]


def test_a_write_keeps_mode_and_link(tmp_path):
    path = write(tmp_path, PLAIN)
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    write_conll(link, [["a"]], [["O"]])
    assert link.is_symlink() and path.read_text() == "a\tO\n\n" and path.stat().st_mode & 0o777 == 0o640


def test_devices_are_written_directly():
    write_conll(os.devnull, [["a"]], [["O"]])
    assert not os.path.isfile(os.devnull)
    with pytest.raises(DataError):
        write_conll(os.devnull, [["a"]], [])


# Counted by an independent parser of these public sets: sentences, tokens, entities (as conlleval sees them).
REAL = {
    "wnut17/wnut17train.conll": (3394, 62730, 1975, "iob2"),
    "wnut17/emerging.dev.conll": (1009, 15733, 836, "iob2"),
    "wnut17/emerging.test.annotated": (1287, 23394, 1079, "iob2"),
    "wikigold/wikigold.conll.txt": (1696, 39007, 3558, "io"),
    "btc/a.conll": (1000, 16612, 521, "iob2"),
    "btc/b.conll": (2000, 30825, 1610, "iob2"),
    "btc/e.conll": (200, 3981, 325, "iob2"),
    "btc/f.conll": (2000, 35427, 4376, "iob2"),
    "btc/g.conll": (2138, 34062, 4685, "iob2"),
    "btc/h.conll": (2001, 29480, 3368, "iob2"),
    "mit_movie/engtrain.bio.txt": (9775, 99491, 21295, "iob2"),
    "mit_movie/engtest.bio.txt": (2443, 24686, 5339, "iob2"),
    "mit_movie/trivia10k13train.bio.txt": (7816, 158823, 23030, "iob2"),
    "mit_movie/trivia10k13test.bio.txt": (1953, 39035, 5686, "iob2"),
    "bc5cdr/train.tsv": (4560, 118170, 9385, "iob2"),
    "bc5cdr/devel.tsv": (4581, 117453, 9593, "iob2"),
    "bc5cdr/test.tsv": (4797, 124750, 9809, "iob2"),
    "weibo_ner/weiboNER_2nd_conll.train": (1350, 73778, 1895, "iob2"),
    "weibo_ner/weiboNER_2nd_conll.dev": (270, 14509, 389, "iob2"),
    "weibo_ner/weiboNER_2nd_conll.test": (270, 14842, 418, "iob2"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_sets(name):
    path = Path(os.environ.get("SEQKIT_DATA", "no-such-folder")) / name
    if not path.exists():
        pytest.skip(f"needs {name}: set SEQKIT_DATA to the folder that holds it")
    sentences, tags = read_conll(path)
    entities = Counter(kind for labels in tags for *_, kind in entity_spans(labels))
    found = (len(sentences), sum(map(len, sentences)), sum(entities.values()), infer_scheme(tags))
    assert found == REAL[name]
