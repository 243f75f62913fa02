"""Pretrained word vectors: GloVe text, word2vec text, fastText ``.vec``; plain or gzip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice

import numpy as np

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io.lines import Source, read_byte_lines, source_name


@dataclass(frozen=True)
class Coverage:
    """How much of a vocabulary has vectors.

    `exact` words are found as written, `lowercase` ones in lower case only, `missing` ones not at all. `token_share` is
    the share of running words (by the counts given) that have a vector, None without counts.
    """

    words: int
    exact: int
    lowercase: int
    missing: int
    token_share: float | None
    missing_examples: tuple[str, ...]

    def __str__(self) -> str:
        def share(part: int) -> str:
            return f"{part} ({100 * part / self.words if self.words else 0:.1f}%)"

        text = (
            f"{self.words} words: {share(self.exact)} as written, {share(self.lowercase)} in lower case, "
            f"{share(self.missing)} without a vector"
        )
        if self.token_share is not None:
            text += f"; vectors for {100 * self.token_share:.1f}% of the running words"
        if self.missing_examples:
            text += f"; missing: {', '.join(self.missing_examples)}"
        return text


class WordVectors:
    """Words and a vector for each.

    Parameters
    ----------
    words : sequence of str
        Distinct words.
    matrix : float array [n, d]
        One row a word.
    """

    def __init__(self, words: Sequence[str], matrix: np.ndarray):
        self.words = list(words)
        self.matrix = np.asarray(matrix, np.float32)
        if self.matrix.ndim != 2 or len(self.matrix) != len(self.words):
            raise DataError(
                f"matrix must have one row for each of the {len(self.words)} words, got shape {self.matrix.shape}."
            )
        if len(self.index) != len(self.words):
            raise DataError("words must be distinct; keep one row for each.")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __repr__(self) -> str:
        return f"WordVectors({len(self)} words, dimension {self.dimension})"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.matrix.shape[1]

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each word."""
        return {word: row for row, word in enumerate(self.words)}

    def rows(self, vocabulary: Iterable[str]) -> np.ndarray:
        """Row of each word of a vocabulary, as written or else in lower case; -1 where there is none."""
        get = self.index.get
        return np.array([get(word, get(word.lower(), -1)) for word in vocabulary], np.int64)

    def lookup(self, vocabulary: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors for a vocabulary.

        Parameters
        ----------
        vocabulary : iterable of str
            Words; one that is missing as written is looked up in lower case.

        Returns
        -------
        vectors : float32 array [words, d]
            Zeros where there is none.
        found : bool array [words]
        """
        rows = self.rows(vocabulary)
        found = rows >= 0
        vectors = np.zeros((len(rows), self.dimension), np.float32)
        vectors[found] = self.matrix[rows[found]]
        return vectors, found

    def coverage(
        self, vocabulary: Iterable[str] | Mapping[str, int], counts: Sequence[int] | None = None, examples: int = 5
    ) -> Coverage:
        """Report how much of a vocabulary has vectors.

        Parameters
        ----------
        vocabulary : iterable of str, or mapping of str to int
            Words, or words and how often each occurs.
        counts : sequence of int or None, default=None
            How often each word occurs, if `vocabulary` is no mapping.
        examples : int, default=5
            How many missing words to name, the most frequent first.

        Returns
        -------
        Coverage
        """
        words = list(vocabulary)
        if counts is None and isinstance(vocabulary, Mapping):
            counts = list(vocabulary.values())
        if counts is not None and len(counts) != len(words):
            raise DataError(f"counts has {len(counts)} numbers for {len(words)} words; they must agree.")
        found = self.rows(words) >= 0
        exact = sum(word in self.index for word in words)
        missing = [word for word, has in zip(words, found.tolist(), strict=True) if not has]
        share = None
        if counts is not None:
            weights = np.asarray(counts, np.float64)
            share = float(weights[found].sum() / weights.sum()) if weights.sum() else 0.0
            order = np.argsort(-weights[~found], kind="stable")
            missing = [missing[i] for i in order[:examples]]
        return Coverage(
            len(words), exact, int(found.sum()) - exact, int((~found).sum()), share, tuple(missing[:examples])
        )


def read_vectors(path: Source, *, words: Iterable[str] | None = None, limit: int | None = None) -> WordVectors:
    """Read word vectors from a text file, in one pass.

    Parameters
    ----------
    path : str, path or file object
        A word and its numbers a line, single spaces between them; the first line may give the numbers of words and of
        dimensions (word2vec, fastText). Words may hold spaces themselves. Plain or gzip.
    words : iterable of str or None, default=None
        Keep these words only, and their lower-case forms; their numbers alone are parsed. None keeps all.
    limit : int or None, default=None
        Stop after this many lines of the file (such files are sorted by frequency).

    Returns
    -------
    WordVectors
        In the order of the file. Of a word that comes twice the first vector counts.

    Raises
    ------
    FormatError
        With file and line: too few numbers, a number that is none or not finite, a word that is no UTF-8, fewer lines
        than the header promises.
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ParameterError(f"limit must be a positive integer or None, got {limit!r}.")
    if isinstance(words, str):
        raise ParameterError(f"words must be a collection of words, got the string {words!r:.40}.")
    keep = (
        None
        if words is None
        else {form.encode("utf-8", "surrogatepass") for word in words for form in (word, word.lower())}
    )
    name = source_name(path)
    return _parse(_lines(path), name, keep, limit)


def _lines(source: Source) -> Iterator[tuple[int, bytes]]:
    for number, line in read_byte_lines(source):
        line = line.encode() if isinstance(line, str) else line
        yield number, (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).rstrip(b" \r\n")


def _parse(lines: Iterator[tuple[int, bytes]], name: str, keep: set[bytes] | None, limit: int | None) -> WordVectors:
    first = next(lines, None)
    if first is None:
        raise FormatError(name, None, "the file is empty; expected a word and its numbers on each line.")
    fields = first[1].split(b" ")
    promised = None
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
        promised, size = int(fields[0]), int(fields[1])
    else:
        size = _trailing_numbers(fields)
        lines = chain([first], lines)
    if not size:
        raise FormatError(name, first[0], f"expected a word and its numbers, got {first[1]!r:.60}.")
    index: dict[bytes, int] = {}
    matrix = np.empty((0, size), np.float32)  # grows as rows come: a header may promise anything
    seen = 0
    for number, line in islice(lines, limit):
        spaces = line.count(b" ")
        if spaces < size:
            if not line:
                continue
            raise FormatError(name, number, f"expected a word and {size} numbers, got {spaces} of them: {line!r:.60}.")
        seen += 1
        # A word with spaces in it is cut off from the right; the usual one needs no cutting of its numbers.
        cut = line.index(b" ") if spaces == size else len(line.rsplit(b" ", size)[0])
        word = line[:cut]
        if not word:
            raise FormatError(name, number, f"the word before the numbers is empty: {line!r:.60}.")
        if word in index or (keep is not None and word not in keep):
            continue
        row = len(index)
        if row == len(matrix):
            matrix.resize((max(1024, 2 * row), size), refcheck=False)  # in place where memory allows
        matrix[row] = _numbers(line[cut:], size, name, number)
        index[word] = row
    if promised is not None and seen < promised and (limit is None or seen < limit):
        raise FormatError(
            name,
            None,
            f"the header promises {promised} vectors, the file holds {seen}: is it cut short? Fetch it anew.",
        )
    matrix.resize((len(index), size), refcheck=False)
    return WordVectors(_words(index, name), matrix)


def _trailing_numbers(fields: list[bytes]) -> int:
    """How many fields, after at least one for the word, are numbers."""
    count = 0
    for field in reversed(fields[1:]):
        try:
            float(field)
        except ValueError:
            break
        count += 1
    return count


def _numbers(text: bytes, size: int, name: str, number: int) -> np.ndarray:
    fields = text.split()
    try:
        with np.errstate(over="ignore"):
            values = np.fromiter(map(float, fields), np.float32, len(fields))
    except ValueError:
        values = np.empty(0, np.float32)
    if len(values) != size or not np.isfinite(values).all():
        raise FormatError(name, number, f"expected {size} finite numbers after the word, got {text!r:.60}.")
    return values


def _words(index: dict[bytes, int], name: str) -> list[str]:
    words = []
    for word in index:
        try:
            words.append(word.decode())
        except UnicodeDecodeError as error:
            raise FormatError(
                name,
                None,
                f"the word {word!r} is not UTF-8. Give words= to read only those you need, or convert the file.",
            ) from error
    return words
