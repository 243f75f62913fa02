"""Reads the catalogue's sets of labeled texts and trees: one call, one shape, whatever the files look like."""

from __future__ import annotations

import inspect
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from seqkit.datasets.catalogue import DATASETS, get_dataset
from seqkit.datasets.fetch import find, stored_file
from seqkit.errors import DataError, FormatError, ParameterError

if TYPE_CHECKING:
    from seqkit.io.tables import Column
    from seqkit.io.trees import Tree

Texts = tuple[list[str], list[str] | list[int]]

_REVIEW = re.compile("(pos|neg)/(cv[0-9]{3})_[^/]*[.]txt$")
_FOLDS = 10
_SST_TRAIN = 8544  # trees; in the catalogue's source the file goes on with the dev part


class _Layout(NamedTuple):
    """Which files hold which split (an undivided set has one, "all"), and how those of a split are read."""

    splits: Mapping[str, Sequence[str]]
    read: Callable[[list[Path]], Texts]


def load_texts(name: str, split: str = "train", **options) -> Texts:
    """Read labeled texts of a public data set.

    Parameters
    ----------
    name : str
        Name in the catalogue: ``sst2``, ``sst_trees`` (the sentences of the trees), ``sentence_polarity``,
        ``movie_reviews``, ``chnsenticorp_htl``, ``surnames``, ``names``. `describe` tells about each.
    split : {"train", "dev", "test", "all"}, default="train"
        ``"all"`` joins what there is, in that order. ``sst2`` and ``sst_trees`` have all three, the others only
        ``"all"``.
    **options
        ``sst_trees``: ``binary=True`` drops label 2 and makes 0, 1 of the lower and the upper grades.

    Returns
    -------
    texts : list of str
        ``sentence_polarity``: ten positive, ten negative, ten positive, and so on. ``movie_reviews``: pos000, neg000,
        pos001, neg001, and so on. `fold_numbers` gives the folds in these orders. ``surnames``: by language, then as
        in its file, with the names that occur twice. ``names``: female ones first. The others: as in their files.
    labels : list of int or list of str
        ``sst2``, ``chnsenticorp_htl``: 0 (negative), 1. ``sst_trees``: 0 to 4, at the root. ``sentence_polarity``,
        ``movie_reviews``: ``"neg"``, ``"pos"``. ``surnames``: the language. ``names``: ``"female"``, ``"male"``.

    Raises
    ------
    ParameterError
        If there is no such set, split or option.
    DataError
        If the data is not here and cannot be downloaded, or does not follow its format (with file and line).
    """
    layout = _layout(name, options)
    return layout.read(_files(name, layout.splits, split))


def load_trees(name: str = "sst_trees", split: str = "train") -> list[Tree]:
    """Read the parse trees of a public data set.

    Parameters
    ----------
    name : {"sst_trees"}, default="sst_trees"
        Name in the catalogue.
    split : {"train", "dev", "test", "all"}, default="train"
        ``"all"`` joins the three.

    Returns
    -------
    list of Tree
        Binary trees, with a label from ``"0"`` to ``"4"`` at every node. See `seqkit.io.Tree`.

    Raises
    ------
    ParameterError, DataError
        As `load_texts`.
    """
    if name != "sst_trees":
        get_dataset(name)
        raise ParameterError(f"name must be 'sst_trees', the data set of trees; got {name!r}.")
    return _read_trees(_files(name, _sst_trees().splits, split))


def fold_numbers(name: str, count: int) -> list[int]:
    """Folds for ten-fold cross-validation of a data set that has no split.

    Parameters
    ----------
    name : {"movie_reviews", "sentence_polarity"}
        ``movie_reviews``: the folds of its authors, cv000 to cv099 in the first and so on. ``sentence_polarity`` has
        none of its own; here sentence i is in fold i mod 10. Every fold has as many positive as negative texts (in
        ``sentence_polarity`` up to one).
    count : int
        Number of texts, all in the order of `load_texts`.

    Returns
    -------
    list of int
        Fold of each text, from 0 to 9: what scikit-learn's ``PredefinedSplit`` takes.
    """
    if name == "movie_reviews":
        return [index * _FOLDS // count for index in range(count)]
    if name == "sentence_polarity":
        return [index % _FOLDS for index in range(count)]
    raise ParameterError(f"name must be 'movie_reviews' or 'sentence_polarity'; got {name!r}.")


def _layout(name: str, options: dict) -> _Layout:
    if not isinstance(name, str) or name not in _LAYOUTS:
        other = " That set is tagged: use load_tagging." if isinstance(name, str) and name in DATASETS else ""
        raise ParameterError(f"name must be one of {', '.join(map(repr, _LAYOUTS))}; got {name!r}.{other}")
    make = _LAYOUTS[name]
    known = list(inspect.signature(make).parameters)
    for option in options:
        if option not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no options"
            raise ParameterError(f"load_texts({name!r}) {takes}; got {option!r}.")
    return make(**options)


def _files(name: str, splits: Mapping[str, Sequence[str]], split: str) -> list[Path]:
    parts = {**splits, "all": [file for files in splits.values() for file in files]}
    if split not in parts:
        if len(parts) == 1:
            raise ParameterError(
                f"split of {name!r} must be 'all', for it has no parts; got {split!r}. Cut parts from it, or "
                "cross-validate."
            )
        raise ParameterError(f"split of {name!r} must be one of {', '.join(map(repr, parts))}; got {split!r}.")
    folder = find(name)
    catalogued = {file.name for file in get_dataset(name).files}
    return [stored_file(folder, file) if file in catalogued else _sst_train(folder) for file in parts[split]]


def _sst_train(folder: Path) -> Path:
    """The one file that is read but not in the catalogue."""
    try:
        return stored_file(folder, "train.txt")
    except DataError as error:
        entry = get_dataset("sst_trees")
        raise DataError(
            f"{folder} has no train.txt, and seqkit does not download it: in {entry.source} the dev part is joined to "
            f"it. Put trees/train.txt from there into that folder: its first {_SST_TRAIN} trees are read. dev and test "
            "are here."
        ) from error


def _lines(path: Path) -> list[str]:
    """Lines without blanks at their ends; blank lines are left out."""
    from seqkit.io.lines import read_lines

    return [text for _, line in read_lines(path) if (text := line.strip())]


def _read_tables(paths: list[Path], text_column: Column, label_column: Column, header: bool) -> Texts:
    """Tables with labels 0 and 1."""
    from seqkit.io import iter_table

    texts, labels = [], []
    for path in paths:
        for row in iter_table(path, text_column, label_column, header=header):
            if row.label not in ("0", "1"):
                raise FormatError(path, row.line, f"the label must be 0 or 1, got {row.label!r}.")
            texts.append(row.text)
            labels.append(int(row.label))
    return texts, labels


def _read_trees(paths: list[Path]) -> list[Tree]:
    from seqkit.io import iter_trees

    trees = []
    for path in paths:
        count = _SST_TRAIN if path.name.startswith("train") else None
        for tree, line in islice(iter_trees(path), count):
            if tree.root_label not in tuple("01234"):
                raise FormatError(path, line, f"the label at the root must be 0 to 4, got {tree.root_label!r}.")
            trees.append(tree)
    return trees


def _read_polarity(paths: list[Path]) -> Texts:
    # In blocks of ten, so that sentences i with the same i mod 10 are of both classes. One by one they would be of one.
    columns = [(label, _lines(path)) for path, label in zip(paths, ("pos", "neg"), strict=True)]
    texts, labels = [], []
    for start in range(0, max(len(lines) for _, lines in columns), _FOLDS):
        for label, lines in columns:
            block = lines[start : start + _FOLDS]
            texts += block
            labels += [label] * len(block)
    return texts, labels


def _read_movie_reviews(paths: list[Path]) -> Texts:
    texts, labels = [], []
    try:
        with zipfile.ZipFile(paths[0]) as archive:
            members = [member for member in archive.namelist() if _REVIEW.search(member)]
            for member in sorted(members, key=_review_order):
                try:
                    texts.append(archive.read(member).decode())
                except UnicodeDecodeError as error:
                    raise FormatError(f"{paths[0]}/{member}", None, f"not valid utf-8 ({error}).") from error
                labels.append(member.split("/")[-2])
    except (zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(paths[0], None, f"not a readable zip ({error}). Fetch the file anew.") from error
    return texts, labels


def _review_order(member: str) -> tuple[str, bool]:
    """By number, and of two with the same number pos first."""
    label, number = _REVIEW.search(member).groups()
    return number, label == "neg"


def _read_named(paths: list[Path]) -> Texts:
    """Files of names, each called as the label of all that it holds."""
    texts, labels = [], []
    for path in paths:
        names = _lines(path)
        texts += names
        labels += [path.name.partition(".")[0]] * len(names)
    return texts, labels


def _sst2() -> _Layout:
    return _Layout(
        {split: [f"{split}.tsv"] for split in ("train", "dev", "test")},
        lambda paths: _read_tables(paths, 0, 1, header=False),
    )


def _sst_trees(binary: bool = False) -> _Layout:
    if not isinstance(binary, bool):
        raise ParameterError(f"binary must be True or False; got {binary!r}.")

    def read(paths: list[Path]) -> Texts:
        rows = [(" ".join(tree.leaves), int(tree.root_label)) for tree in _read_trees(paths)]
        if binary:
            rows = [(text, int(label > 2)) for text, label in rows if label != 2]
        return [text for text, _ in rows], [label for _, label in rows]

    return _Layout({split: [f"{split}.txt"] for split in ("train", "dev", "test")}, read)


def _sentence_polarity() -> _Layout:
    return _Layout({"all": ["rt-polarity.pos", "rt-polarity.neg"]}, _read_polarity)


def _movie_reviews() -> _Layout:
    return _Layout({"all": ["movie_reviews.zip"]}, _read_movie_reviews)


def _chnsenticorp_htl() -> _Layout:
    return _Layout({"all": ["ChnSentiCorp_htl_all.csv"]}, lambda paths: _read_tables(paths, "review", "label", True))


def _surnames() -> _Layout:
    return _Layout({"all": [file.name for file in get_dataset("surnames").files]}, _read_named)


def _names() -> _Layout:
    return _Layout({"all": [file.name for file in get_dataset("names").files]}, _read_named)


_LAYOUTS: dict[str, Callable[..., _Layout]] = {
    "sst2": _sst2,
    "sst_trees": _sst_trees,
    "sentence_polarity": _sentence_polarity,
    "movie_reviews": _movie_reviews,
    "chnsenticorp_htl": _chnsenticorp_htl,
    "surnames": _surnames,
    "names": _names,
}
