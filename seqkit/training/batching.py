"""Batches of sequences of like length."""

from __future__ import annotations

import numpy as np

#: Most positions in one batch, padding included: bounds memory where sequences are long.
MAX_POSITIONS = 32_768


def shuffled_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator, positions: int = MAX_POSITIONS
) -> list[np.ndarray]:
    """Cut a data set into batches of like length, in random order.

    Lengths are jittered before sorting, so that batches differ from epoch to epoch; by little, since every sequence is
    padded to the longest of its batch.

    Parameters
    ----------
    lengths : ndarray
        Length of each sequence.
    batch_size : int
        Sequences in a batch; fewer where they are so long that the batch would pass ``positions``.
    rng : numpy.random.Generator
        Source of randomness.
    positions : int
        Most positions in a batch, padding included.

    Returns
    -------
    list of ndarray
        Row numbers of each batch; every row occurs once.
    """
    jitter = rng.uniform(-0.05, 0.05, len(lengths)) * lengths + rng.uniform(-0.5, 0.5, len(lengths))
    order = np.argsort(lengths + jitter, kind="stable")
    batches = _cut(order, lengths, batch_size, positions)
    return [batches[i] for i in rng.permutation(len(batches))]


def sorted_batches(lengths: np.ndarray, batch_size: int, positions: int = MAX_POSITIONS) -> list[np.ndarray]:
    """Cut a data set into batches of like length, longest first, of at most so many positions, for prediction."""
    return _cut(np.argsort(-lengths, kind="stable"), lengths, batch_size, positions)


def _cut(order: np.ndarray, lengths: np.ndarray, batch_size: int, positions: int = MAX_POSITIONS) -> list[np.ndarray]:
    batches = []
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        longest = max(int(lengths[batch].max()), 1)
        pieces = -(-len(batch) * longest // positions)
        batches.extend(np.array_split(batch, min(pieces, len(batch))) if pieces > 1 else [batch])
    return batches
