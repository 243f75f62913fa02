"""Reads the catalogue's sets of pairs: words and their sounds, sentences and their translations."""

from __future__ import annotations

import zlib

from seqkit.datasets.catalogue import check_name_and_split
from seqkit.datasets.fetch import find, stored_file

_SPLITS = ("train", "dev", "test")
_OF = {18: "dev", 19: "test"}  # of crc32 mod 20


def load_pairs(name: str, split: str = "train") -> tuple[list[str], list]:
    """Read pairs of a public data set.

    Parameters
    ----------
    name : {"cmudict", "tatoeba_fra_eng"}
        Name in the catalogue; `describe` tells how its parts are made.
    split : {"train", "dev", "test"}, default="train"
        Part of the set.

    Returns
    -------
    sources : list of str
        ``cmudict``: words, each as often as it has pronunciations (those that differ by stress are one).
        ``tatoeba_fra_eng``: French sentences.
    targets : list of list of str, or list of str
        Phones; English sentences.

    Raises
    ------
    ParameterError
        If there is no such set or split.
    DataError
        If the data is not here and cannot be downloaded.
    """
    other = "That set is of another kind."
    check_name_and_split(name, ("cmudict", "tatoeba_fra_eng"), split, _SPLITS, other)
    pairs = _pronunciations() if name == "cmudict" else _translations()
    chosen = [pair for pair, of in pairs if of == split]
    return [source for source, _ in chosen], [target for _, target in chosen]


def _part(text: str) -> str:
    return _OF.get(zlib.crc32(text.encode()) % 20, "train")


def _pronunciations() -> list[tuple[tuple[str, list[str]], str]]:
    """Return (word, phones) and their part."""
    from seqkit.io.lines import read_lines

    found = {}
    for _, line in read_lines(stored_file(find("cmudict"), "cmudict")):
        word, _, *phones = line.split()
        found[word, tuple(phone.rstrip("012") for phone in phones)] = None
    return [((word, list(phones)), _part(word)) for word, phones in found]


def _translations() -> list[tuple[tuple[str, str], str]]:
    """Return (French, English) and their part."""
    from seqkit.io.lines import read_lines

    rows = [line.split("\t") for _, line in read_lines(stored_file(find("tatoeba_fra_eng"), "fra.txt")) if line]
    # Sentences that share a pair are joined; the root of each tree is its smallest English sentence.
    above: dict[tuple[int, str], tuple[int, str]] = {}

    def root(node):
        while (up := above.setdefault(node, node)) != node:
            above[node] = above[up]
            node = above[node]
        return node

    for english, french in rows:
        one, other = sorted((root((0, english)), root((1, french))))
        above[other] = one
    return [((french, english), _part(root((0, english))[1])) for english, french in rows]
