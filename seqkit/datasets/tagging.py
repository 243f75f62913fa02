"""Reads the catalogue's tagging sets: one call, one shape, whatever the files look like."""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from seqkit.datasets.catalogue import get_dataset
from seqkit.datasets.fetch import find, stored_file
from seqkit.errors import DataError, FormatError, ParameterError

# U+FFFD twice is what the release made of characters outside the Basic Multilingual Plane.
_WEIBO_TOKEN = re.compile("(\ufffd+|.)[0-9]+", re.DOTALL)

Tagged = tuple[list[list[str]], list[list[str]]]


class _Layout(NamedTuple):
    """Which files hold which split, and how one of them is read."""

    splits: Mapping[str, Sequence[str]]
    read: Callable[[Path], Tagged]


def load_tagging(name: str, split: str = "train", **options) -> Tagged:
    """Read tagged sentences of a public data set.

    Entities and slots come as legal IOB2, whatever the files hold; parts of speech as they are.

    Parameters
    ----------
    name : str
        Name in the catalogue: ``wnut17``, ``wikigold``, ``btc``, ``mit_movie``, ``bc5cdr``, ``weibo_ner``, ``snips``,
        ``ud_english_ewt``. `describe` tells about each.
    split : {"train", "dev", "test", "all"}, default="train"
        ``"all"`` joins what there is, in that order. Not every set has all three.
    **options
        ``mit_movie``: ``corpus="eng"`` or ``"trivia"``. ``btc``: ``sections="ab"`` reads these sections instead of the
        split's own (of a, b, e, f, g, h). ``ud_english_ewt``: ``tag="upos"``, ``"xpos"``, ``"deprel"`` or the name of a
        feature.

    Returns
    -------
    sentences : list of list of str
    tags : list of list of str
        One tag for each token.

    Raises
    ------
    ParameterError
        If there is no such set, split or option.
    DataError
        If the data is not here and cannot be downloaded, or does not follow its format (with file and line).
    """
    layout = _layout(get_dataset(name).name, options)
    if split != "all" and split not in layout.splits:
        parts = [*layout.splits, "all"]
        hint = " Cut one from train." if split == "dev" else ""
        raise ParameterError(f"split of {name!r} must be one of {', '.join(map(repr, parts))}; got {split!r}.{hint}")
    every = dict.fromkeys(file for part in layout.splits.values() for file in part)
    files = every if split == "all" else layout.splits[split]
    folder = find(name)
    sentences, tags = [], []
    for file in files:
        X, y = layout.read(stored_file(folder, file))
        sentences += X
        tags += y
    return sentences, tags


def map_types(tags: Iterable[Sequence[str]], types: Mapping[str, str | None]) -> list[list[str]]:
    """Rename or drop entity types, so that data sets of different types can be joined.

    Parameters
    ----------
    tags : iterable of list of str
        Tags of sentences in IOB2 or IOBES. (In IOB1 and IO, two neighbors given the same type would melt into one.)
    types : mapping of str to (str or None)
        New name of each type, such as ``{"PER": "person", "MISC": None}``; None makes its tokens ``"O"``. Every type
        that occurs must be named, so that none slips through: ``"LOC": "LOC"`` keeps one.

    Returns
    -------
    list of list of str

    Raises
    ------
    DataError
        If a tag is neither ``"O"`` nor a prefix and a type; with the indices of its sentence and token.
    ParameterError
        If `types` does not name a type that occurs.

    Examples
    --------
    >>> map_types([["B-PER", "O", "B-MISC", "I-MISC"]], {"PER": "person", "MISC": None})
    [['B-person', 'O', 'O', 'O']]
    """
    table = {"O": "O"}

    def new(tag: str, sentence: int, token: int) -> str:
        if tag not in table:
            prefix, hyphen, kind = tag.partition("-")
            if not (hyphen and kind and prefix in tuple("BIES")):
                raise DataError(
                    f"tags[{sentence}][{token}] must be 'O' or a prefix and a type such as 'B-PER'; got {tag!r}."
                )
            if kind not in types:
                raise ParameterError(
                    f"types must name every entity type: {kind!r} (tags[{sentence}][{token}] is {tag!r}) is not in "
                    f"{sorted(types)}. Map it to a name, to itself to keep it, or to None to drop it."
                )
            table[tag] = "O" if types[kind] is None else f"{prefix}-{types[kind]}"
        return table[tag]

    return [[new(tag, i, j) for j, tag in enumerate(sentence)] for i, sentence in enumerate(tags)]


def _layout(name: str, options: dict) -> _Layout:
    if name not in _LAYOUTS:
        raise ParameterError(
            f"name must be one of {', '.join(map(repr, _LAYOUTS))}; got {name!r}, which holds texts: use load_texts."
        )
    make = _LAYOUTS[name]
    known = list(inspect.signature(make).parameters)
    for option in options:
        if option not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no options"
            raise ParameterError(f"load_tagging({name!r}) {takes}; got {option!r}.")
    return make(**options)


def _read_iob2(path: Path) -> Tagged:
    # The conversion from IOB2 to itself turns an I- that nothing begins into B-, which is how conlleval reads it.
    from seqkit.io import read_conll

    return read_conll(path, scheme="iob2", source_scheme="iob2")


def _read_io(path: Path) -> Tagged:
    from seqkit.io import read_conll

    return read_conll(path, scheme="iob2", source_scheme="io")


def _read_btc(path: Path) -> Tagged:
    """A few lines have a blank or nothing for a token; U+FFFD stands in, so that the counts are the published ones."""
    from seqkit.io import read_conll
    from seqkit.io.lines import read_lines

    lines = (line.lstrip(" ") for _, line in read_lines(path))
    text = io.StringIO("\n".join("\ufffd" + line if line.startswith("\t") else line for line in lines))
    text.name = str(path)  # for messages
    return read_conll(text, scheme="iob2", source_scheme="iob2")


def _read_weibo(path: Path) -> Tagged:
    """A character comes with its position in the word behind it: "对0", and "h10" for the eleventh of a long one."""
    sentences, tags = _read_iob2(path)
    return [[_without_position(token, path) for token in tokens] for tokens in sentences], tags


def _without_position(token: str, path: Path) -> str:
    match = _WEIBO_TOKEN.fullmatch(token)
    if match is None:
        raise FormatError(
            path, None, f"every token must be a character and its position, such as '对0'; got {token!r}."
        )
    return match[1]


def _read_parallel_lines(path: Path) -> Tagged:
    """Tokens in seq.in, their tags on the same line of seq.out."""
    from seqkit.io.lines import read_lines
    from seqkit.tags import repair_tags

    labels = stored_file(path.parent, "seq.out")
    sentences = [line.split() for _, line in read_lines(path)]
    tags = [line.split() for _, line in read_lines(labels)]
    if len(sentences) != len(tags):
        raise FormatError(labels, None, f"has {len(tags)} lines, but {path} has {len(sentences)}.")
    for number, (tokens, row) in enumerate(zip(sentences, tags, strict=True), 1):
        if len(tokens) != len(row):
            raise FormatError(labels, number, f"has {len(row)} tags, but the line in {path} has {len(tokens)} tokens.")
    return sentences, [repair_tags(row) for row in tags]


def _wnut17() -> _Layout:
    files = {"train": ["wnut17train.conll"], "dev": ["emerging.dev.conll"], "test": ["emerging.test.annotated"]}
    return _Layout(files, _read_iob2)


def _wikigold() -> _Layout:
    return _Layout({"train": ["wikigold.conll.txt"]}, _read_io)


def _btc(sections: str | None = None) -> _Layout:
    if sections is None:
        parts = {"train": "abef", "dev": "g", "test": "h"}
    elif isinstance(sections, str) and sections and set(sections) <= set("abefgh"):
        parts = dict.fromkeys(("train", "dev", "test"), dict.fromkeys(sections))
    else:
        raise ParameterError(f"sections must be letters of 'abefgh', such as 'abe', or None; got {sections!r}.")
    return _Layout({split: [f"{letter}.conll" for letter in letters] for split, letters in parts.items()}, _read_btc)


def _mit_movie(corpus: str = "eng") -> _Layout:
    if corpus not in ("eng", "trivia"):
        raise ParameterError(f"corpus must be 'eng' or 'trivia'; got {corpus!r}.")
    stem = {"eng": "eng", "trivia": "trivia10k13"}[corpus]
    return _Layout({split: [f"{stem}{split}.bio.txt"] for split in ("train", "test")}, _read_iob2)


def _bc5cdr() -> _Layout:
    return _Layout({"train": ["train.tsv"], "dev": ["devel.tsv"], "test": ["test.tsv"]}, _read_iob2)


def _weibo_ner() -> _Layout:
    return _Layout({split: [f"weiboNER_2nd_conll.{split}"] for split in ("train", "dev", "test")}, _read_weibo)


def _snips() -> _Layout:
    return _Layout({"train": ["train/seq.in"], "dev": ["valid/seq.in"], "test": ["test/seq.in"]}, _read_parallel_lines)


def _ud_english_ewt(tag: str = "upos") -> _Layout:
    def read(path: Path) -> Tagged:
        from seqkit.io import read_conllu

        return read_conllu(path, tag=tag)

    return _Layout({split: [f"en_ewt-ud-{split}.conllu"] for split in ("train", "dev", "test")}, read)


_LAYOUTS: dict[str, Callable[..., _Layout]] = {
    "wnut17": _wnut17,
    "wikigold": _wikigold,
    "btc": _btc,
    "mit_movie": _mit_movie,
    "bc5cdr": _bc5cdr,
    "weibo_ner": _weibo_ner,
    "snips": _snips,
    "ud_english_ewt": _ud_english_ewt,
}
