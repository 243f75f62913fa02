"""Lists of tags: checked against their scheme, and turned into numbers."""

from __future__ import annotations

import warnings
from itertools import chain

import numpy as np

from seqkit.errors import DataError, ParameterError
from seqkit.tags import repair_corpus


def tag_names(classes: np.ndarray, scheme: str | None) -> int | list[str]:
    """Return what `build_tagger` is to know of the tags: their names if a scheme gives them meaning, else how many."""
    if scheme is None:
        return len(classes)
    wrong = [tag for tag in classes if not isinstance(tag, str)]
    if wrong:
        raise ParameterError(f"scheme={scheme!r} needs tags that are strings, got {wrong[0]!r}. Set scheme=None.")
    return [str(tag) for tag in classes]


def legal_tags(y, flat: list, scheme: str | None) -> tuple:
    """Repair tags that the scheme does not allow, which no path of the model could give, and say so.

    Parameters
    ----------
    y : list of list
        The tags.
    flat : list
        The same in one list.
    scheme : str or None
        What they mean.

    Returns
    -------
    y, flat
    """
    if scheme is None or not all(isinstance(tag, str) for tag in set(flat)):
        return y, flat
    repaired_y, repaired = repair_corpus(y, scheme)
    if not repaired:
        return y, flat
    warnings.warn(
        f"The tags of {len(repaired)} sequences, the first of them y[{repaired[0]}], are not legal {scheme}; "
        "they were read as conlleval does (I-X that continues nothing begins an entity). scheme= says another one.",
        UserWarning,
        stacklevel=3,
    )
    return repaired_y, list(chain.from_iterable(repaired_y))


def tag_numbers(classes: np.ndarray, y, flat: list, name: str = "y") -> np.ndarray:
    """Return the number of each tag, int32; ``y`` and ``name`` are for the error if one is not among the classes."""
    number = {tag: i for i, tag in enumerate(classes.tolist())}
    try:
        return np.fromiter(map(number.__getitem__, flat), np.int32, count=len(flat))
    except KeyError:
        i, j, new = next((i, j, t) for i, tags in enumerate(y) for j, t in enumerate(tags) if t not in number)
        where = f"{name}[{j}]" if name == "classes" else f"{name}[{i}][{j}]"
        raise DataError(
            f"{where} is {new!r}, a tag that was not there when fitting began. Known are: "
            f"{', '.join(map(repr, classes.tolist()))[:400]}. Give all tags first (classes= of partial_fit)."
        ) from None


def tag_numbers_and_unseen(classes: np.ndarray, flat: list) -> tuple[np.ndarray, list]:
    """Return the number of each tag, and the tags that are not among the classes, which are numbered after them."""
    number = {tag: i for i, tag in enumerate(classes.tolist())}
    unseen = {tag: len(number) + i for i, tag in enumerate(dict.fromkeys(t for t in flat if t not in number))}
    return np.fromiter(map((number | unseen).__getitem__, flat), np.int32, count=len(flat)), list(unseen)
