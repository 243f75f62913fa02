"""Samples that were written for this project and come with it: nothing to download."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple


class Split(NamedTuple):
    """Tagged sentences in two parts, ready for ``fit(X_train, y_train, validation_data=(X_dev, y_dev))``."""

    X_train: list[list[str]]
    y_train: list[list[str]]
    X_dev: list[list[str]]
    y_dev: list[list[str]]


def load_ner_sample() -> Split:
    """English sentences with persons, places and organizations (PER, LOC, ORG; IOB2).

    Most names of the dev part do not occur in the train part; the words around them do. ``samples/README.md`` says
    how the sentences were made and what counts as an entity.

    Returns
    -------
    Split
        ``(X_train, y_train, X_dev, y_dev)``, fresh lists at each call.

    Examples
    --------
    >>> from seqkit.datasets import load_ner_sample
    >>> X_train, y_train, X_dev, y_dev = load_ner_sample()
    >>> len(X_train[0]) == len(y_train[0])
    True
    """
    from seqkit.io import read_conll

    parts = []
    for name in ("ner.train.conll", "ner.dev.conll"):
        with resources.files(__package__).joinpath("samples", name).open("rb") as stream:
            parts += read_conll(stream)
    return Split(*parts)
