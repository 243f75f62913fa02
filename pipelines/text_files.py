"""Files in and out of a pipeline that classifies texts: tables, a folder for each class, parse trees, plain lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seqkit.console import console, is_terminal
from seqkit.errors import DataError, FormatError, ParameterError
from seqkit_pipelines.records import is_records, with_answer

if TYPE_CHECKING:
    from seqkit.io import Tree

FORMATS = ("auto", "csv", "tsv", "jsonl", "parquet", "folder", "trees")
INPUT_FORMATS = ("auto", "text", "csv", "tsv", "jsonl", "parquet", "trees")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_GRADES = ("0", "1", "2", "3", "4")
#: Grades of the Stanford Sentiment Treebank and the like, in two; the middle one is neither.
TWO_GRADES = {"0": "negative", "1": "negative", "3": "positive", "4": "positive"}
#: Each token to explain costs a prediction of the whole text, so the work grows with the square of the length. So many
#: squared characters (a hundred short reviews, one page) are explained before the first of them is shown.
_EXPLAINED_AT_ONCE = 1_000_000


class Answer(NamedTuple):
    """What a model says of one text."""

    fields: Mapping[str, Any]  #: what came with the text
    record: dict[str, Any]  #: text, class, probabilities, …
    spans: list[tuple[int, int, float]] | None = None  #: with an explanation: the tokens' places and scores


def read_labelled(
    path: Path,
    format: str = "auto",
    *,
    trees: bool = False,
    text_column: str | None = None,
    label_column: str | None = None,
    header: bool | None = None,
    grades: int | None = None,
    label_map: Mapping[str, Any] | None = None,
) -> tuple[list[str] | list[Tree], list[str]]:
    """Read texts and their classes.

    Parameters
    ----------
    path : Path
        A table, a folder with one folder of text files for each class, or a file of parse trees in brackets.
    format : {"auto", "csv", "tsv", "jsonl", "parquet", "folder", "trees"}, default "auto"
        "auto": a folder is a folder; a file goes by its ending (``.gz`` aside) and is one of trees if it begins with a
        bracket that ends the first line.
    trees : bool, default False
        Whether parse trees are wanted: those of a file of trees as they are, not as their words, and elsewhere one in
        brackets for each text.
    text_column, label_column : str, optional
        Columns of a table, by name or by number.
    header : bool or None
        Whether the first row of a CSV or TSV table has the names; None: where columns are not given by number.
    grades : {2, 5} or None
        Of classes that are grades from 0 to 4, 2 makes two: 0 and 1 are negative, 3 and 4 positive, and 2 is left out.
        5 takes them as they are.
    label_map : mapping or None
        The class that the label of a tree's root stands for, in a file of trees; trees whose label it lacks are left
        out. ``grades=2`` goes before it.

    Returns
    -------
    texts : list of str, or list of seqkit.io.Tree
    labels : list of str
        Strings whatever the file is, so that files of two formats go together.
    """
    if grades not in (None, 2, 5):
        raise ParameterError(f"--grades must be 2 or 5, got {grades}.")
    kind = _kind(path, format, FORMATS, trees)
    if grades == 2:
        label_map = TWO_GRADES
    elif kind != "trees":
        label_map = None
    known = None if label_map is None else {str(label): str(meaning) for label, meaning in label_map.items()}
    texts, labels = [], []
    for text, label, line in _labelled(path, kind, format, trees, text_column, label_column, header):
        name = str(label)
        if grades is not None and name not in _GRADES:
            raise FormatError(
                path, line, f"--grades takes grades 0 to 4, got {label!r}. Leave it out for other classes."
            )
        name = name if known is None else known.get(name)
        if name is not None:
            texts.append(text)
            labels.append(name)
    return texts, labels


def _labelled(
    path: Path,
    kind: str,
    format: str,
    trees: bool,
    text_column: str | None,
    label_column: str | None,
    header: bool | None,
) -> Iterator[tuple[str | Tree, Any, int | None]]:
    """Yield each text (or tree), its label, and its line where it has one."""
    if kind == "folder":
        from seqkit.io import read_class_folders

        for text, label in zip(*read_class_folders(path), strict=True):
            yield _tree(text, path / label, None) if trees else text, label, None
    elif kind == "trees":
        for tree, line in _trees(path, "--format tsv" if format == "auto" and not trees else None):
            if not tree.root_label:
                raise FormatError(path, line, "no label at the tree's root: expected one, as in (1 (0 not) (1 bad)).")
            yield tree if trees else " ".join(tree.leaves), tree.root_label, line
    else:
        from seqkit.io import iter_table

        for row in iter_table(path, text_column, label_column, format=_table_format(kind), header=header):
            yield _tree(row.text, path, row.line) if trees else row.text, row.label, row.line


def read_texts(
    path: Path,
    format: str = "auto",
    *,
    trees: bool = False,
    text_column: str | None = None,
    header: bool | None = None,
) -> Iterator[tuple[str | Tree, dict]]:
    """Stream texts to classify, or parse trees, each with the other fields of its record; see `read_labelled`."""
    kind = _kind(path, format, INPUT_FORMATS, trees)
    if kind == "text" and not trees:
        from seqkit.io import read_lines

        return ((line, {}) for _, line in read_lines(path))
    if kind in ("text", "trees"):
        found = _trees(path, "--input-format text" if format == "auto" and not trees else None)
        return ((tree if trees else " ".join(tree.leaves), {}) for tree, _ in found)
    from seqkit.io import iter_table

    rows = iter_table(path, text_column, False, format=_table_format(kind), header=header)
    return ((_tree(row.text, path, row.line) if trees else row.text, row.fields) for row in rows)


def classify_texts(
    classifier: Any, items: Iterable[tuple[str | Tree, dict]], explain: bool = False, chunk: int = 1024
) -> Iterator[Answer]:
    """Classify a stream of texts, or of parse trees, in its order, holding no more than a chunk of it in memory.

    Yields
    ------
    Answer
        Its record has ``text`` (and ``tree``, where the model reads trees), ``label`` (``labels``, where a text may
        have several) and ``probabilities`` by class; with ``explain`` also ``tokens`` and ``scores``, see
        `seqkit.inspection.leave_one_out`.
    """
    from seqkit.inspection import leave_one_out
    from seqkit.io import format_tree

    several = getattr(classifier, "target_kind_", "one") != "one"
    names = [str(label) for label in classifier.classes_]
    for batch in _chunks(items, chunk, explain):
        texts = [text for text, _ in batch]
        explained = leave_one_out(classifier, texts) if explain else [None] * len(texts)
        for (text, fields), row, why in zip(batch, classifier.predict_proba(texts), explained, strict=True):
            # The words of a tree are what a reader wants to see; the tree itself goes along.
            record = {"text": text} if isinstance(text, str) else {"text": " ".join(text.leaves)}
            if not isinstance(text, str):
                record["tree"] = format_tree(text)
            if several:
                record["labels"] = [name for name, p in zip(names, row, strict=True) if p > 0.5]
            else:
                record["label"] = _plain(classifier.classes_[row.argmax()])
            record["probabilities"] = dict(zip(names, (round(float(p), 6) for p in row), strict=True))
            if why is None:
                yield Answer(fields, record)
                continue
            record |= {"tokens": why["tokens"], "scores": [round(float(s), 6) for s in why["scores"]]}
            yield Answer(fields, record, list(zip(why["starts"], why["ends"], record["scores"], strict=True)))


def _chunks(items: Iterable[tuple[Any, dict]], most: int, explain: bool) -> Iterator[list[tuple[Any, dict]]]:
    """Cut a stream into lists of `most` items, or of fewer where they are to be explained."""
    batch, cost = [], 0
    for item in items:
        batch.append(item)
        cost += len(item[0]) ** 2 if explain else 0
        if len(batch) >= most or cost >= _EXPLAINED_AT_ONCE:
            yield batch
            batch, cost = [], 0
    if batch:
        yield batch


def write_answers(path: Path, answers: Iterable[Answer], format: str = "auto") -> int:
    """Write answers as they come; a file appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; ``-`` is standard output.
    answers : iterable of Answer
        As `classify_texts` yields them.
    format : {"auto", "text", "jsonl"}, default "auto"
        "text": class, probability and text with tabs between, in color on a terminal; "auto" goes by the file's ending.
        "jsonl": a record for each, with the fields of its input; see `seqkit_pipelines.records.with_answer`.

    Returns
    -------
    int
        How many records were written.
    """
    if format == "auto":
        format = "jsonl" if is_records(path) else "text"
    from seqkit.io import write_whole

    written = 0
    with write_whole(str(path)) as stream:
        color = is_terminal(stream)
        for answer in answers:
            if format == "jsonl":
                record = with_answer(answer.fields, answer.record)
                stream.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
            elif color:
                console().print(_marked(answer.record, answer.spans), soft_wrap=True)
            else:
                stream.write(_marked(answer.record, answer.spans).plain + "\n")
            written += 1
    return written


def _marked(record: Mapping[str, Any], spans: list | None):
    """Show an answer in one line: for the class in green, against it in red, where it is explained."""
    from rich.text import Text

    text, label = record["text"], record.get("label")
    answer = ", ".join(record["labels"]) if label is None else str(label)
    certain = "" if label is None else f"{record['probabilities'][str(label)]:.3f}"
    line = Text.assemble((answer, "bold"), "\t", certain, "\t")
    if not spans:
        return line.append(_one_line(text))
    strongest = max(abs(score) for *_, score in spans) or 1.0
    position = 0
    for start, end, score in spans:
        line.append(_one_line(text[position:start]))
        strength = abs(score) / strongest
        hue = "green" if score > 0 else "red"
        line.append(_one_line(text[start:end]), style="" if strength < 0.1 else f"{'bold ' * (strength > 0.5)}{hue}")
        if strength > 0.5:
            line.append(f"({score:+.2f})", style=f"dim {hue}")
        position = end
    return line.append(_one_line(text[position:]))


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()) if any(sign in text for sign in "\r\n") else text


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def _kind(path: Path, format: str, allowed: tuple[str, ...], trees: bool) -> str:
    if format not in allowed:
        raise ParameterError(f"--format must be one of {', '.join(allowed)}; got {format!r}.")
    if format != "auto":
        return format
    if path.is_dir():
        if "folder" in allowed:
            return "folder"
        raise ParameterError(f"{path} is a folder. Give a file of texts.")
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(_TABLES):
        return "table"
    if trees:
        return "trees"
    if str(path) == "-" or (path.exists() and not path.is_file()):  # a stream: what is read to look at it is gone
        if "text" in allowed:
            return "text"
        raise ParameterError(
            f"{path}: a stream has no ending that tells its format, and no beginning to look at twice. "
            "Add --format csv, tsv, jsonl or trees."
        )
    from seqkit.io import read_lines

    if _in_brackets(next((line for _, line in read_lines(path) if line.strip()), "")):
        return "trees"
    return "text" if "text" in allowed else "tsv"


def _in_brackets(line: str) -> bool:
    """Whether a line begins with a bracket that does not close before the line's end, as that of a tree."""
    line = line.strip()
    depths = list(accumulate((sign == "(") - (sign == ")") for sign in line))
    return line.startswith("(") and 0 not in depths[:-1]


def _table_format(kind: str) -> str:
    return "auto" if kind == "table" else kind


def _trees(path: Path, otherwise: str | None) -> Iterator[tuple[Tree, int]]:
    """Stream trees; where nobody asked for them, an error names the flag that reads the file otherwise."""
    from seqkit.io import iter_trees

    try:
        yield from iter_trees(path)
    except FormatError as error:
        if otherwise is None or not isinstance(error.__cause__, DataError):
            raise
        hint = f"The file was read as parse trees since it begins with a bracket; {otherwise} reads it otherwise."
        raise FormatError(error.path, error.line, f"{error.reason} {hint}") from error


def _tree(text: str, path: Path, line: int | None) -> Tree:
    """Parse the tree that a table or a text file holds in place of a text."""
    from seqkit.io import parse_tree

    try:
        return parse_tree(text)
    except DataError as error:
        raise FormatError(path, line, f"no parse tree: {error} Got {text!r:.60}.") from error
