"""CoNLL columns: one token a line, a blank line between sentences."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import overload

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io.lines import Source, read_lines, source_name, write_whole
from seqkit.tags import SCHEMES, check_scheme, convert_tags, infer_scheme

# CoNLL-U metadata ("# text = ...", "# newdoc") and MultiCoNER's "# id ...". A tagged "#" token never looks like this.
_METADATA = re.compile(r"# ?(\S+ = |id \S|new(doc|par)\b)")
_DOCUMENT = "-DOCSTART-"


@overload
def read_conll(
    path_or_file: Source, *, token_column: int = 0, tag_column: int = -1, **options
) -> tuple[list[list[str]], list[list[str]]]: ...
@overload
def read_conll(
    path_or_file: Source, *, token_column: int = 0, tag_column: None, **options
) -> tuple[list[list[str]], None]: ...
def read_conll(
    path_or_file,
    *,
    token_column=0,
    tag_column=-1,
    delimiter=None,
    comment=None,
    scheme=None,
    source_scheme=None,
    encoding="utf-8",
):
    """Read a file of CoNLL columns.

    Parameters
    ----------
    path_or_file : str, path or file object
        Plain or gzip; ``"-"`` is standard input.
    token_column : int, default=0
        Column of the token; negative numbers count from the end.
    tag_column : int or None, default=-1
        Column of the tag. None reads tokens only, and the tags come back as None.
    delimiter : str or None, default=None
        What stands between columns. None: tabs in a line that has any (so a token may hold a blank, or be one),
        otherwise runs of blanks; a line whose tag would then hold a blank is cut at every run of tabs and blanks. White
        space beyond ASCII never separates.
    comment : str or None, default=None
        Lines that begin with this are dropped, "#hashtag O" included if it is "#". None drops only what cannot be a
        tagged token: lines such as ``# text = ...``, ``# id ...``, ``# newdoc`` before the first token of a sentence.
        "" drops nothing.
    scheme : {"iob1", "iob2", "iobes"} or None, default=None
        Convert the tags to this scheme; None keeps them as they are.
    source_scheme : {"iob1", "iob2", "iobes", "io"} or None, default=None
        The scheme of the file, for the conversion. None infers it from all tags of the file.
    encoding : str, default="utf-8"
        Encoding of the file. A byte-order mark is dropped.

    Returns
    -------
    sentences : list of list of str
        Lines of ``-DOCSTART-`` end a sentence and are dropped. With the default delimiter a token that is empty in
        front of a tab (tweets whose sign was lost) is read as one blank: it has a tag, and no token can be empty.
    tags : list of list of str, or None

    Raises
    ------
    FormatError
        With file and line: missing or empty columns, columns that differ within a sentence, bytes that are not text.
    """
    name = source_name(path_or_file)
    if scheme is not None:
        check_scheme(scheme, "scheme", SCHEMES[:3])
    if source_scheme is not None:
        check_scheme(source_scheme, "source_scheme")
    rows = iter_conll(
        path_or_file,
        token_column=token_column,
        tag_column=tag_column,
        delimiter=delimiter,
        comment=comment,
        encoding=encoding,
    )
    sentences, tags, lines = [], [], []
    for tokens, labels, line in rows:
        sentences.append(tokens)
        tags.append(labels)
        lines.append(line)
    if tag_column is None:
        return sentences, None
    if scheme is not None and sentences:
        source = source_scheme or infer_scheme(tags)
        if source is None:
            distinct = sorted({tag for labels in tags for tag in labels})
            raise FormatError(
                name,
                None,
                f"cannot convert the tags to {scheme!r}: they are no entity tags ({', '.join(distinct[:8])}). "
                "Check tag_column, or give source_scheme.",
            )
        tags = [_converted(labels, source, scheme, name, line) for labels, line in zip(tags, lines, strict=True)]
    return sentences, tags


def _converted(tags: list[str], source: str, target: str, name: str, line: int) -> list[str]:
    try:
        return convert_tags(tags, source, target)
    except DataError as error:
        raise FormatError(name, line, f"in the sentence that begins here: {error}") from error


def iter_conll(
    path_or_file: Source,
    *,
    token_column: int = 0,
    tag_column: int | None = -1,
    delimiter: str | None = None,
    comment: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[tuple[list[str], list[str] | None, int]]:
    """Stream the sentences of a CoNLL file; parameters as in `read_conll`.

    Yields
    ------
    tokens : list of str
    tags : list of str, or None if `tag_column` is None
    line : int
        Line number of the first token, counted from 1.
    """
    for parameter, value in (("delimiter", delimiter), ("comment", comment)):
        if not (value is None or isinstance(value, str)):
            raise ParameterError(f"{parameter} must be a string or None, got {value!r}.")
    if delimiter == "":
        raise ParameterError("delimiter must not be empty; use None for any white space.")
    for parameter, value in (("token_column", token_column), ("tag_column", tag_column)):
        if isinstance(value, bool) or not (isinstance(value, int) or (value is None and parameter == "tag_column")):
            raise ParameterError(f"{parameter} must be an integer, got {value!r}.")
    if token_column == tag_column:
        raise ParameterError(f"token_column and tag_column must differ, got {token_column} for both.")
    return _sentences(path_or_file, token_column, tag_column, delimiter, comment, encoding)


def _sentences(source, token_column, tag_column, delimiter, comment, encoding):
    name = source_name(source)
    tokens, tags, first, width = [], [], 0, 0
    for number, line in read_lines(source, encoding):
        is_comment = line.startswith(comment) if comment else comment is None and not tokens and _METADATA.match(line)
        if is_comment:
            continue
        if not line.strip() or line.startswith(_DOCUMENT):
            if tokens:
                yield tokens, (None if tag_column is None else tags), first
                tokens, tags = [], []
            continue
        columns = _columns(line, delimiter, tag_column)
        if not tokens:
            first, width = number, len(columns)
        elif len(columns) != width:
            raise FormatError(
                name,
                number,
                f"expected {width} columns, as in line {first} where this sentence begins, got {len(columns)}: "
                f"{_shown(line)}. Check the delimiter, or the blank line between sentences.",
            )
        token = _pick(columns, token_column, "token", name, number, line)
        if tag_column is not None:
            tag = _pick(columns, tag_column, "tag", name, number, line).strip()
            if len(columns) == 1 or token_column % width == tag_column % width:
                raise FormatError(
                    name,
                    number,
                    f"no tag: expected a token and a tag, got {len(columns)} column(s): {_shown(line)}. "
                    "Check delimiter and tag_column; tag_column=None reads a file without tags.",
                )
            if not tag:
                raise FormatError(name, number, f"the tag in column {tag_column} is empty: {_shown(line)}.")
            tags.append(sys.intern(tag))
        tokens.append(token)
    if tokens:
        yield tokens, (None if tag_column is None else tags), first


def token_and_rest(line: str, token_column: int, name: str, number: int) -> tuple[str, list[str]]:
    """Return the token of a line, and what stands in its other columns.

    Raises
    ------
    FormatError
        If there is no such column, or it is empty; ``name`` and ``number`` are those of the file and the line.
    """
    columns = _columns(line, None, None)
    token = _pick(columns, token_column, "token", name, number, line)
    del columns[token_column]
    return token, columns


def _columns(line: str, delimiter: str | None, tag_column: int | None) -> list[str]:
    if delimiter is not None:
        return line.split(delimiter)
    line = line.rstrip(" \t")
    if "\t" not in line:
        return re.split(" +", line.lstrip(" "))
    columns = [column.strip(" ") or " " for column in re.split("\t+", line)]
    if tag_column is not None and -len(columns) <= tag_column < len(columns) and " " in columns[tag_column]:
        return re.split("[ \t]+", line.lstrip(" \t"))
    return columns


def _pick(columns: list[str], column: int, what: str, name: str, number: int, line: str) -> str:
    if not -len(columns) <= column < len(columns):
        raise FormatError(
            name,
            number,
            f"no column {column} for the {what}: the line has {len(columns)} column(s): {_shown(line)}. "
            f"Check delimiter and {what}_column.",
        )
    if not columns[column]:
        raise FormatError(name, number, f"the {what} in column {column} is empty: {_shown(line)}.")
    return columns[column]


def _shown(line: str) -> str:
    return repr(line if len(line) <= 80 else line[:77] + "...")


def write_conll(
    path_or_file: Source,
    sentences: Iterable[Sequence[str]],
    tags: Iterable[Sequence[str]],
    *columns: Iterable[Sequence[str]],
    delimiter: str = "\t",
    encoding: str = "utf-8",
) -> None:
    r"""Write sentences as CoNLL columns: token, tag, further columns; a blank line after each sentence.

    Parameters
    ----------
    path_or_file : str, path or file object
        A path is written whole or not at all, compressed if it ends in ``.gz``; ``"-"`` is standard output.
    sentences, tags : iterables of sequences of str
        Tokens and tags. Iterators are consumed sentence by sentence. A sentence without tokens leaves a blank line
        only, which no reader gives back.
    *columns : iterables of sequences of str
        Further columns; predicted tags after the true ones make the input of conlleval.
    delimiter : str, default="\t"
        A tab by default, since tokens may hold blanks; ``" "`` is what conlleval expects by default.
    encoding : str, default="utf-8"
        Encoding of the file.

    Raises
    ------
    DataError
        If lengths differ, or a value is empty or holds the delimiter or a line end; names the sentence.
    """
    missing = object()
    with write_whole(path_or_file, encoding) as stream:
        for index, rows in enumerate(zip_longest(sentences, tags, *columns, fillvalue=missing)):
            if any(row is missing for row in rows):
                raise DataError(
                    f"Columns differ in their number of sentences: one of them ends before sentence {index}."
                )
            if len({len(row) for row in rows}) != 1:
                raise DataError(
                    f"Sentence {index}: all columns need one value a token, got lengths {[len(row) for row in rows]}."
                )
            for values in zip(*rows, strict=True):
                for value in values:
                    if not value or delimiter in value or "\n" in value:
                        raise DataError(
                            f"Sentence {index}: cannot write {value!r} as a column: it is empty, or it holds "
                            f"{delimiter!r} (the delimiter) or a line end. Replace it, or choose another delimiter."
                        )
                stream.write(delimiter.join(values) + "\n")
            stream.write("\n")
