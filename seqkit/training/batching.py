"""Batches of sequences of like length."""

from __future__ import annotations

import numpy as np

#: Most positions in one batch, padding included: bounds memory where sequences are long.
MAX_POSITIONS = 32_768
_ALIKE = 16


def shuffled_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator, positions: int = MAX_POSITIONS
) -> list[np.ndarray]:
    """Cut a data set into batches of like length, in random order.

    Lengths are jittered before sorting, so that batches differ from epoch to epoch; by little, since every sequence is
    padded to the longest of its batch.

    Parameters
    ----------
    lengths : ndarray
        Length of each sequence, [n]; or of the two sides of each pair, [n, 2]: then the second ones of a batch are the
        same (long ones nearly), and the first ones alike.
    batch_size : int
        Sequences in a batch; fewer where they are so long that the batch would pass ``positions``.
    rng : numpy.random.Generator
        Source of randomness.
    positions : int
        Most positions in a batch, padding included, of both sides.

    Returns
    -------
    list of ndarray
        Row numbers of each batch; every row occurs once.
    """
    first = lengths if lengths.ndim == 1 else lengths[:, 0]
    jitter = rng.uniform(-0.05, 0.05, len(first)) * first + rng.uniform(-0.5, 0.5, len(first))
    batches = _cut(_order(first + jitter, lengths), lengths, batch_size, positions)
    return [batches[i] for i in rng.permutation(len(batches))]


def sorted_batches(lengths: np.ndarray, batch_size: int, positions: int = MAX_POSITIONS) -> list[np.ndarray]:
    """Cut a data set into batches of like length, longest first, of at most so many positions, for prediction."""
    first = lengths if lengths.ndim == 1 else lengths[:, 0]
    return _cut(_order(-first, -lengths), lengths, batch_size, positions)


def _order(first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the order of rows by ``first``; of pairs by their second length before it."""
    if lengths.ndim == 1:
        return np.argsort(first, kind="stable")
    second = lengths[:, 1]
    # Few sequences have just one length where they are long: from _ALIKE on, lengths count as the same for a while.
    steps = np.log(np.maximum(abs(second), _ALIKE) / _ALIKE) * _ALIKE
    return np.lexsort((first, np.sign(second) * np.floor(np.minimum(abs(second), _ALIKE) + steps)))


def _cut(order: np.ndarray, lengths: np.ndarray, batch_size: int, positions: int = MAX_POSITIONS) -> list[np.ndarray]:
    batches = []
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        longest = max(int(lengths[batch].max(0).sum()), 1)
        pieces = -(-len(batch) // max(positions // longest, 1))
        batches.extend(np.array_split(batch, pieces) if pieces > 1 else [batch])
    return batches
