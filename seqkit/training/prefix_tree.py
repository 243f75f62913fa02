"""What sequences have in common, read once.

A recurrent network's state after a prefix depends on that prefix alone. So of sentences that begin alike ("show me a
movie ..."), the shared beginning needs to be read only once, and of those that end alike the ending, by the backward
network. A batch becomes a tree of its distinct prefixes; the network makes all nodes of one depth in one step. Beside
the shared work, no step is spent on padding, and batches can be large.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class PrefixTree(NamedTuple):
    """The distinct prefixes of a batch of sequences, shortest first.

    Attributes
    ----------
    starts : ndarray
        int32 [longest + 1]: the prefixes of length ``t + 1`` are the nodes ``starts[t]`` to ``starts[t + 1]``.
    symbols : ndarray
        int32 [nodes]: last symbol of each prefix.
    parents : ndarray
        int32 [nodes]: number of the prefix without that symbol, counted within its own length (0 at the root).
    """

    starts: np.ndarray
    symbols: np.ndarray
    parents: np.ndarray


def prefix_tree(symbols: np.ndarray, lengths: np.ndarray) -> tuple[PrefixTree, np.ndarray]:
    """Join the common prefixes of sequences.

    Parameters
    ----------
    symbols : ndarray
        Integers of at least 0 [batch, time], rows padded on the right.
    lengths : ndarray
        Length of each row, longest first.

    Returns
    -------
    tree : PrefixTree
    nodes : ndarray
        int32 [batch, time]: the node that each position is; 0 at padding.
    """
    time = symbols.shape[1]
    reaching = np.count_nonzero(lengths[:, None] > np.arange(time), axis=0)  # rows of more than t symbols: the first
    nodes = np.zeros(symbols.shape, np.int32)
    starts = np.zeros(time + 1, np.int32)
    base = int(symbols.max(initial=0)) + 1
    place = np.zeros(len(lengths), np.int64)  # of each row's prefix among those of its length
    level_symbols, level_parents = [], []
    distinct = False
    for t, rows in enumerate(reaching):
        place = place[:rows]
        if distinct:  # prefixes that differ stay different
            parents, last = place, symbols[:rows, t]
            place = np.arange(rows)
        else:
            keys, place = np.unique(place * base + symbols[:rows, t], return_inverse=True)
            parents, last = np.divmod(keys, base)
            distinct = len(keys) == rows
        nodes[:rows, t] = starts[t] + place
        starts[t + 1] = starts[t] + len(last)
        level_symbols.append(last)
        level_parents.append(parents)
    empty = np.zeros(0, np.int32)
    return PrefixTree(
        starts,
        np.concatenate([empty, *level_symbols]).astype(np.int32),
        np.concatenate([empty, *level_parents]).astype(np.int32),
    ), nodes


def turned_around(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return [batch, time] rows, each turned around by its own length; 0 at padding."""
    position = lengths[:, None] - 1 - np.arange(rows.shape[1])
    return np.where(position >= 0, np.take_along_axis(rows, np.maximum(position, 0), 1), 0)
