"""Word-vector files."""

import gzip
import io
import sys
import tracemalloc

import numpy as np
import pytest

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.text.vectors import WordVectors, read_vectors

WORDS = ["the", "Paris", "paris", "naïve", "中文", "7"]
MATRIX = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def lines(words=WORDS, matrix=MATRIX, end="\n"):
    return "".join(f"{w} {' '.join(repr(float(x)) for x in row)}{end}" for w, row in zip(words, matrix, strict=True))


@pytest.mark.parametrize(
    "content",
    [
        lines().encode(),  # GloVe
        b"6 4\n" + lines().encode(),  # word2vec
        b"6 4\n" + lines(end=" \n").encode(),  # fastText
        gzip.compress(lines().encode(), mtime=0),
        b"\xef\xbb\xbf" + lines(end="\r\n").encode(),
        lines().encode().rstrip(b"\n"),
    ],
)
def test_formats(tmp_path, content):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    for source in (path, str(path), io.BytesIO(content)):
        vectors = read_vectors(source)
        assert vectors.words == WORDS
        assert vectors.matrix.dtype == np.float32
        np.testing.assert_array_equal(vectors.matrix, MATRIX)


def test_words_with_spaces_and_odd_words():
    words = ["the", ". . .", "at name@x.com", "1 2", "\u0085", "\u00a0", " ", "nan", "1e5"]
    matrix = np.arange(27, dtype=np.float32).reshape(9, 3) / 8 - 1
    vectors = read_vectors(io.BytesIO(lines(words, matrix).encode()))
    assert vectors.words == words
    np.testing.assert_array_equal(vectors.matrix, matrix)


def test_of_a_word_that_comes_twice_the_first_counts():
    vectors = read_vectors(io.StringIO("a 1 2\nb 3 4\na 5 6\n"))
    assert vectors.words == ["a", "b"] and vectors.matrix.tolist() == [[1, 2], [3, 4]]


def test_only_some_words_and_a_limit():
    text = lines()
    vectors = read_vectors(io.StringIO(text), words=["Paris", "NAÏVE", "unseen"])
    assert vectors.words == ["Paris", "paris", "naïve"]
    np.testing.assert_array_equal(vectors.matrix, MATRIX[[1, 2, 3]])
    assert read_vectors(io.StringIO(text), limit=2).words == WORDS[:2]
    assert read_vectors(io.StringIO("6 4\n" + text), limit=2).words == WORDS[:2]
    none = read_vectors(io.StringIO(text), words=[])
    assert len(none) == 0 and none.matrix.shape == (0, 4)


def test_lookup_and_rows():
    vectors = WordVectors(WORDS, MATRIX)
    assert vectors.rows(["Paris", "PARIS", "The", "x"]).tolist() == [1, 2, 0, -1]
    found_vectors, found = vectors.lookup(["x", "THE"])
    assert found.tolist() == [False, True] and found_vectors.dtype == np.float32
    np.testing.assert_array_equal(found_vectors, [np.zeros(4), MATRIX[0]])
    assert (len(vectors), vectors.dimension, "the" in vectors, "x" in vectors) == (6, 4, True, False)


def test_coverage_by_hand():
    vectors = WordVectors(WORDS, MATRIX)
    counts = {"the": 50, "The": 10, "Paris": 5, "rare": 5, "xyz": 30}
    report = vectors.coverage(counts)
    assert (report.words, report.exact, report.lowercase, report.missing) == (5, 2, 1, 2)
    assert report.token_share == 0.65
    assert report.missing_examples == ("xyz", "rare")
    assert str(report) == (
        "5 words: 2 (40.0%) as written, 1 (20.0%) in lower case, 2 (40.0%) without a vector; "
        "vectors for 65.0% of the running words; missing: xyz, rare"
    )
    assert vectors.coverage(list(counts), list(counts.values())) == report
    assert vectors.coverage(list(counts)).token_share is None
    assert vectors.coverage([]).words == 0 and "0 words" in str(vectors.coverage([]))
    with pytest.raises(DataError, match="counts has 1 numbers for 2 words"):
        vectors.coverage(["a", "b"], [1])


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"a 1 2 3\nb 1 2\n", 2, "expected a word and 3 numbers, got 2"),
        (b"a 1 2 3\nb 1 x 3\n", 2, "expected 3 finite numbers"),
        (b"a 1 2 3\nb 1 nan 3\n", 2, "finite"),
        (b"a 1 2 3\nb 1 2 3x\n", 2, "finite"),
        (b"a 1 2 3\nb 1 2 1e39\n", 2, "finite"),
        (b"a 1 2 3\nb 1  3\n", 2, "finite"),
        (b"a 1 2 3\n 1 2 3\n", 2, "word before the numbers is empty"),
        (b"3 2\na 1 2\nb 1 2\n", None, "promises 3 vectors, the file holds 2"),
        (b"2 900000000000\na 1 2\n", 2, "expected a word and 900000000000 numbers"),
        (b"2 0\na 1 2\n", 1, "expected a word and its numbers"),
        (b"hello\n", 1, "expected a word and its numbers"),
        (b"\n", 1, "expected a word and its numbers"),
        (b"", None, "empty"),
        (b"a 1 2\n\xff\xfe 1 2\n", None, "not UTF-8"),
        (gzip.compress(lines().encode(), mtime=0)[:-12], None, "damaged gzip"),
    ],
)
def test_faults_come_with_file_and_line(tmp_path, content, line, words):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=words) as caught:
        read_vectors(path)
    assert caught.value.path == str(path)
    if "gzip" not in words:
        assert caught.value.line == line


def test_words_that_are_no_utf8_do_not_matter_if_not_asked_for():
    assert read_vectors(io.BytesIO(b"a 1 2\n\xff\xfe 1 2\n"), words=["a"]).words == ["a"]


def test_wrong_parameters():
    for options in ({"limit": 0}, {"limit": 1.5}, {"words": "abc"}):
        with pytest.raises(ParameterError, match=next(iter(options))):
            read_vectors(io.BytesIO(b"a 1\n"), **options)
    with pytest.raises(DataError, match="distinct"):
        WordVectors(["a", "a"], np.zeros((2, 3)))
    with pytest.raises(DataError, match="one row"):
        WordVectors(["a"], np.zeros((2, 3)))


def test_memory_stays_near_what_is_kept(tmp_path):
    path = tmp_path / "vectors.txt"
    row = " ".join(["0.123456"] * 100)
    with open(path, "w") as stream:
        stream.writelines(f"word{i} {row}\n" for i in range(20_000))  # 18 MB of text, 8 MB as float32
    tracemalloc.start()
    vectors = read_vectors(path, words=[f"word{i}" for i in range(0, 20_000, 100)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(vectors) == 200
    assert peak < 2_000_000


def test_no_python_per_number():
    row = " ".join(["0.5"] * 50)
    data, seen = io.BytesIO("".join(f"w{i} {row}\n" for i in range(100)).encode()), []
    sys.setprofile(lambda frame, event, argument: seen.append(event))
    try:
        vectors = read_vectors(data)
    finally:
        sys.setprofile(None)
    assert vectors.matrix.shape == (100, 50)
    assert len(seen) < 100 * 50
