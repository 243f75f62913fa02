"""What judges each pass over the training data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class HeldOut:
    """Sequences that are scored and not trained on.

    Parameters
    ----------
    data : seqkit.estimators.sequences.Sequences
        Where they are.
    targets : ndarray
        Their true tags or classes, as numbers, with those of all of ``data``.
    rows : ndarray
        Which rows of ``data`` they are.
    train_rows : ndarray or None
        The other rows, where ``data`` is the training data itself; None where it was given apart.
    unseen : list
        Classes that training data lack; they are numbered after the known ones and can only be missed.
    train : seqkit.estimators.sequences.Sequences or None
        What to train on in place of the training data given, where the sequences held out were cut from those.
    """

    data: Any
    targets: np.ndarray
    rows: np.ndarray
    train_rows: np.ndarray | None = None
    unseen: list = field(default_factory=list)
    train: Any = None


def random_part(data, targets: np.ndarray, fraction: float | None, seed: int, by_class: bool = False) -> HeldOut | None:
    """Hold out a random share of the training data; None where that is nothing, or all.

    With ``by_class``, targets are class numbers and the share is taken of each class as evenly as can be, but never the
    only sequence of a class.
    """
    rows = np.flatnonzero(data.lengths > 0)  # an empty sequence judges nothing
    count = round(len(rows) * (fraction or 0.0))
    if not count or len(rows) - count < 1:
        return None
    order = rows[np.random.default_rng([seed, 1]).permutation(len(rows))]
    if by_class:
        order = order[np.argsort(targets[order], kind="stable")]
        free = np.ones(len(order), bool)
        free[np.unique(targets[order], return_index=True)[1]] = False  # the first of each class is trained on
        free = np.flatnonzero(free)
        count = min(count, len(free))
        if not count:
            return None
        # Evenly spaced among rows sorted by class.
        chosen = free[((np.arange(count) + 0.5) * len(free) / count).astype(int)]
        return HeldOut(data, targets, np.sort(order[chosen]), np.sort(np.delete(order, chosen)))
    return HeldOut(data, targets, np.sort(order[:count]), np.sort(order[count:]))
