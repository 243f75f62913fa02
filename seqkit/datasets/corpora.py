"""Reads the catalogue's sets of plain text."""

from __future__ import annotations

from seqkit.datasets.catalogue import check_name_and_split
from seqkit.datasets.fetch import find, stored_file

_SPLITS = ("train", "dev", "test")
_FILES = {"train": "train.txt", "dev": "valid.txt", "test": "test.txt"}


def load_corpus(name: str, split: str = "train") -> str | list[str]:
    """Read the plain text of a public data set.

    Parameters
    ----------
    name : {"tinyshakespeare", "wikitext2"}
        Name in the catalogue.
    split : {"train", "dev", "test"}, default="train"
        ``tinyshakespeare`` has no parts of its own: test is its last tenth, as usual, and dev the last tenth of the
        rest.

    Returns
    -------
    str or list of str
        ``tinyshakespeare``: the text. ``wikitext2``: its words, with ``"<eos>"`` at the end of each line.

    Raises
    ------
    ParameterError
        If there is no such set or split.
    DataError
        If the data is not here and cannot be downloaded.
    """
    other = "That set has labels: use load_texts or load_tagging."
    check_name_and_split(name, ("tinyshakespeare", "wikitext2"), split, _SPLITS, other)
    from seqkit.io.lines import read_lines

    folder = find(name)
    if name == "wikitext2":
        lines = read_lines(stored_file(folder, _FILES[split]))
        return [word for _, line in lines for word in [*line.split(), "<eos>"]]
    text = "\n".join(line for _, line in read_lines(stored_file(folder, "input.txt"))) + "\n"
    rest = len(text) * 9 // 10
    ends = {"train": (0, rest * 9 // 10), "dev": (rest * 9 // 10, rest), "test": (rest, len(text))}[split]
    return text[slice(*ends)]
