"""Files in and out of a pipeline that classifies texts: tables, a folder for each class, parse trees, plain lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from seqkit.console import console, is_terminal
from seqkit.errors import DataError, ParameterError

FORMATS = ("auto", "csv", "tsv", "jsonl", "parquet", "folder", "trees")
INPUT_FORMATS = ("auto", "text", "csv", "tsv", "jsonl", "parquet", "trees")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
#: Grades of the Stanford Sentiment Treebank and the like, in two; the middle one is neither.
TWO_GRADES = {"0": "negative", "1": "negative", "3": "positive", "4": "positive"}


def read_labelled(
    path: Path,
    format: str = "auto",
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    header: bool | None = None,
    grades: int | None = None,
) -> tuple[list[str], list]:
    """Read texts and their classes.

    Parameters
    ----------
    path : Path
        A table, a folder with one folder of text files for each class, or a file of parse trees in brackets.
    format : {"auto", "csv", "tsv", "jsonl", "parquet", "folder", "trees"}, default "auto"
        "auto": a folder is a folder; a file goes by its ending (``.gz`` aside) and is one of trees if it begins with a
        bracket.
    text_column, label_column : str, optional
        Columns of a table, by name or by number.
    header : bool or None
        Whether the first row of a CSV or TSV table has the names; None: where columns are not given by number.
    grades : {2} or None
        2 makes two grades of five: 0 and 1 are negative, 3 and 4 positive, and 2 is left out.

    Returns
    -------
    texts : list of str
    labels : list
    """
    kind = _kind(path, format, FORMATS)
    if kind == "folder":
        from seqkit.io import read_class_folders

        texts, labels = read_class_folders(path)
    elif kind == "trees":
        from seqkit.io import read_trees

        trees = read_trees(path)
        texts, labels = [" ".join(tree.leaves) for tree in trees], [tree.root_label for tree in trees]
    else:
        from seqkit.io import read_table

        texts, labels = read_table(path, text_column, label_column, format=_table_format(kind), header=header)
    if grades is None:
        return texts, labels
    kept = [(text, TWO_GRADES[str(label)]) for text, label in zip(texts, labels, strict=True) if _graded(label, path)]
    return [text for text, _ in kept], [label for _, label in kept]


def _graded(label: object, path: Path) -> bool:
    """Whether a grade is on one of the two sides."""
    if str(label) not in (*TWO_GRADES, "2"):
        raise DataError(f"{path}: --grades 2 takes grades 0 to 4, got {label!r}. Leave it out for other classes.")
    return str(label) != "2"


def read_texts(
    path: Path, format: str = "auto", *, text_column: str | None = None, header: bool | None = None
) -> Iterator[tuple[str, dict]]:
    """Stream texts to classify, each with the other fields of its record."""
    kind = "text" if str(path) == "-" and format == "auto" else _kind(path, format, INPUT_FORMATS)
    if kind == "text":
        from seqkit.io import read_lines

        return ((line, {}) for _, line in read_lines(path))
    if kind == "trees":
        from seqkit.io import iter_trees

        return ((" ".join(tree.leaves), {}) for tree, _ in iter_trees(path))
    from seqkit.io import iter_table

    rows = iter_table(path, text_column, False, format=_table_format(kind), header=header)
    return ((row.text, row.fields) for row in rows)


def classify_texts(
    classifier: Any, items: Iterable[tuple[str, dict]], explain: bool = False, chunk: int = 1024
) -> Iterator[dict[str, Any]]:
    """Classify a stream in its order, holding no more than a chunk of it in memory.

    Yields
    ------
    dict
        The fields that came with the text, ``text``, ``label`` (``labels``, where a text may have several) and
        ``probabilities`` by class; with ``explain`` also ``tokens`` and ``scores``, see
        `seqkit.inspection.leave_one_out`.
    """
    from seqkit.inspection import leave_one_out

    several = classifier.target_kind_ != "one"
    names = [str(label) for label in classifier.classes_]
    items = iter(items)
    while batch := list(islice(items, chunk)):
        texts = [text for text, _ in batch]
        explained = leave_one_out(classifier, texts) if explain else [None] * len(texts)
        for (text, fields), row, why in zip(batch, classifier.predict_proba(texts), explained, strict=True):
            record = {**fields, "text": text}
            if several:
                record["labels"] = [name for name, p in zip(names, row, strict=True) if p > 0.5]
            else:
                record["label"] = _plain(classifier.classes_[row.argmax()])
            record["probabilities"] = dict(zip(names, (round(float(p), 6) for p in row), strict=True))
            if why is not None:
                record |= {"tokens": why["tokens"], "scores": [round(float(s), 6) for s in why["scores"]]}
                record["_spans"] = list(zip(why["starts"], why["ends"], record["scores"], strict=True))
            yield record


def write_answers(path: Path, records: Iterable[Mapping[str, Any]], format: str = "auto") -> int:
    """Write answers as they come; a file appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; ``-`` is standard output.
    records : iterable of mappings
        As `classify_texts` yields them.
    format : {"auto", "text", "jsonl"}, default "auto"
        "text": class, probability and text with tabs between, in color on a terminal; "auto" goes by the file's ending.

    Returns
    -------
    int
        How many records were written.
    """
    if format == "auto":
        format = "jsonl" if path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson")) else "text"
    from seqkit.io import write_whole

    written = 0
    with write_whole(str(path)) as stream:
        color = is_terminal(stream)
        for record in records:
            spans = record.get("_spans")
            plain = {name: value for name, value in record.items() if name != "_spans"}
            if format == "jsonl":
                stream.write(json.dumps(plain, ensure_ascii=False, default=str) + "\n")
            elif color:
                console().print(_marked(plain, spans), soft_wrap=True)
            else:
                stream.write(_marked(plain, spans).plain + "\n")
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


def _kind(path: Path, format: str, allowed: tuple[str, ...]) -> str:
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
    from seqkit.io import read_lines

    first = next((line for _, line in read_lines(path) if line.strip()), "")
    if first.lstrip().startswith("("):
        return "trees"
    return "text" if "text" in allowed else "tsv"


def _table_format(kind: str) -> str:
    return "auto" if kind == "table" else kind
