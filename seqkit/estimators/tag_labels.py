"""Lists of tags: checked against their scheme, and turned into numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.tags import repair_corpus


def tag_lists(y):
    """Return y so that it can be read more than once: the items of a generator in a list, anything else as it came."""
    return list(y) if isinstance(y, Iterator) else y


def flatten_tags(tags: Sequence[Sequence], lengths: np.ndarray, name: str = "y") -> list:
    """Check tag lists against the lengths of their sentences and return all tags in one list.

    Raises
    ------
    DataError
        If lengths differ; the message has the index.
    """
    if isinstance(tags, str | bytes) or not hasattr(tags, "__len__"):
        raise InputTypeError(f"{name} must be a list of tag lists, got {type(tags).__name__}.")
    if len(tags) != len(lengths):
        raise DataError(f"X and {name} must have the same number of sequences, got {len(lengths)} and {len(tags)}.")
    for i, sentence in enumerate(tags):
        if isinstance(sentence, str | bytes) or not hasattr(sentence, "__len__"):
            got = f"{type(sentence).__name__} {sentence!r:.60}"
            raise InputTypeError(f"{name}[{i}] must be a list of tags, one for each token; got {got}.")
        if len(sentence) != lengths[i]:
            raise DataError(
                f"X[{i}] has {lengths[i]} tokens but {name}[{i}] has {len(sentence)} tags; expected one for each token."
            )
    return list(chain.from_iterable(tags))


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
    numbers, unseen = tag_numbers_and_unseen(classes, flat)
    if not unseen:
        return numbers
    i, j = next((i, j) for i, tags in enumerate(y) for j, tag in enumerate(tags) if tag == unseen[0])
    where = f"{name}[{j}]" if name == "classes" else f"{name}[{i}][{j}]"
    raise DataError(
        f"{where} is {unseen[0]!r}, a tag that was not there when fitting began. Known are: "
        f"{', '.join(map(repr, classes.tolist()))[:400]}. Give all tags first (classes= of partial_fit)."
    )


def tag_numbers_and_unseen(classes: np.ndarray, flat: list) -> tuple[np.ndarray, list]:
    """Return the number of each tag, and the tags that are not among the classes, which are numbered after them."""
    number = {tag: i for i, tag in enumerate(classes.tolist())}
    try:
        return np.fromiter(map(number.__getitem__, flat), np.int32, count=len(flat)), []
    except KeyError:
        unseen = [tag for tag in dict.fromkeys(flat) if tag not in number]
        number |= {tag: len(number) + i for i, tag in enumerate(unseen)}
        return np.fromiter(map(number.__getitem__, flat), np.int32, count=len(flat)), unseen
