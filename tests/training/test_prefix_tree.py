"""Common prefixes are joined, and nothing else."""

import numpy as np
import pytest

from seqkit.training.prefix_tree import prefix_tree, turned_around


def by_hand(rows):
    """Return the distinct prefixes of lists by length, each level sorted."""
    longest = max(map(len, rows), default=0)
    return [sorted({tuple(row[: t + 1]) for row in rows if len(row) > t}) for t in range(longest)]


def prefixes(tree):
    """Return what each node spells."""
    spelled, before = [], [()]
    for t in range(len(tree.starts) - 1):
        level = slice(tree.starts[t], tree.starts[t + 1])
        before = [before[p] + (int(s),) for p, s in zip(tree.parents[level], tree.symbols[level], strict=True)]
        spelled.extend(before)
    return spelled


@pytest.mark.parametrize("seed", range(8))
def test_every_distinct_prefix_is_one_node(seed):
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, 3, n).tolist() for n in sorted(rng.integers(0, 8, 20), reverse=True)]
    lengths = np.array([len(row) for row in rows])
    padded = np.zeros((len(rows), lengths.max()), np.int32)
    for row, symbols in zip(padded, rows, strict=True):
        row[: len(symbols)] = symbols
    tree, nodes = prefix_tree(padded, lengths)
    spelled = prefixes(tree)
    assert sorted(spelled) == sorted(p for level in by_hand(rows) for p in level)
    for i, row in enumerate(rows):
        assert [spelled[node] for node in nodes[i, : len(row)]] == [tuple(row[: t + 1]) for t in range(len(row))]
        assert not nodes[i, len(row) :].any()


def test_rows_without_symbols_have_no_nodes():
    tree, nodes = prefix_tree(np.zeros((2, 0), np.int32), np.zeros(2, int))
    assert tree.starts.tolist() == [0] and len(tree.symbols) == len(tree.parents) == 0
    assert nodes.shape == (2, 0)


def test_rows_turn_around_by_their_own_length():
    rows = np.array([[1, 2, 3], [4, 5, 9], [7, 9, 9]])
    assert turned_around(rows, np.array([3, 2, 0])).tolist() == [[3, 2, 1], [5, 4, 0], [0, 0, 0]]
