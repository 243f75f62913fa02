"""Parse trees in brackets to the nodes that a model reads: one graph of stock TensorFlow ops, without a loop."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

_SPACE = r"[ \t\r\n\x{b}\x{c}]+"


class BreadthFirst(NamedTuple):
    """The nodes of a batch of trees, depth by depth; see `seqkit.cells.tree.TreeCell.read`.

    Parameters
    ----------
    tokens : tf.Tensor
        The tokens of leaves, strings [leaves].
    child_counts : tf.Tensor
        Number of children of each node, int32 [nodes]; the roots come first, in the order of the batch.
    levels : tf.Tensor
        First node of each depth, then the number of nodes, int32 [depths + 1].
    """

    tokens: tf.Tensor
    child_counts: tf.Tensor
    levels: tf.Tensor


def parse_trees(texts: tf.Tensor, pairs: bool) -> BreadthFirst:
    """Parse trees.

    Parameters
    ----------
    texts : tf.Tensor
        Trees such as ``(3 (2 It) (4 good))``, strings [n], n at least 1. A text that is no tree is read as one leaf
        whose token is empty, so that it spoils no other row.
    pairs : bool
        Whether a node of more than two children becomes a chain of nodes of two, as
        `seqkit.training.tree_batches.corpus_from_trees` makes them for binary cells.

    Returns
    -------
    BreadthFirst
    """
    pieces, lost = _pieces(texts)
    opening, closing = tf.cast(pieces == "(", tf.int32), tf.cast(pieces == ")", tf.int32)
    # A leaf's token is the word before a closing bracket.
    tokens = tf.boolean_mask(pieces, (opening + closing < 1) & tf.concat([closing[1:] > 0, [False]], 0))
    tokens = tf.where(tokens == lost, "", tokens)
    brackets = tf.boolean_mask(opening, opening + closing > 0)  # 1 opens, 0 closes
    depths, order, inner, counts = _breadth_first(brackets)
    if pairs:
        depths, order, inner, counts = _breadth_first(_in_pairs(brackets, order, inner, counts))
    sorted_depths = tf.gather(depths, order)
    levels = tf.searchsorted(sorted_depths, tf.range(sorted_depths[-1] + 2))
    child_counts = tf.scatter_nd(tf.where(inner), counts, [tf.size(order, tf.int64)])
    is_leaf = tf.scatter_nd(order[:, None], tf.cast(~inner, tf.int32), [tf.size(order)])
    leaf_rank = tf.gather(tf.cumsum(is_leaf, exclusive=True), order)
    return BreadthFirst(tf.gather(tokens, tf.boolean_mask(leaf_rank, ~inner)), child_counts, levels)


def _pieces(texts):
    """Return brackets and words of all trees in one, and the token that stands for a text that is none."""
    # No word can hold a space.
    lost = tf.constant("no tree")
    spaced = tf.strings.regex_replace(tf.strings.regex_replace(texts, r"([()])", r" \1 "), _SPACE, " ")
    ragged = tf.strings.split(tf.strings.strip(spaced), " ")
    ragged = tf.ragged.boolean_mask(ragged, ragged != "")
    good = _is_tree(ragged)
    instead = tf.RaggedTensor.from_row_splits(tf.stack(["(", lost, ")"]), tf.constant([0, 3], ragged.row_splits.dtype))
    rows = tf.shape(texts, out_type=ragged.row_splits.dtype)[0]
    chosen = tf.where(good, tf.range(rows), rows)
    return tf.gather(tf.concat([ragged, instead], 0), chosen).flat_values, lost


def _is_tree(pieces: tf.RaggedTensor) -> tf.Tensor:
    """Return which rows are one whole tree, bool [n]."""
    flat, row, rows = pieces.flat_values, pieces.value_rowids(), pieces.nrows()
    opens, closes = flat == "(", flat == ")"
    word = ~(opens | closes)
    step = tf.cast(opens, tf.int32) - tf.cast(closes, tf.int32)
    total = tf.concat([[0], tf.cumsum(step)], 0)
    depth = total[1:] - tf.gather(tf.gather(total, pieces.row_starts()), row)
    last = tf.concat([row[1:] != row[:-1], [True]], 0)[: tf.size(row)]
    # Within a tree the depth is at least 1, and 0 at the very end.
    wrong = tf.where(last, depth != 0, depth < 1)
    same = tf.concat([[False], row[1:] == row[:-1]], 0)[: tf.size(row)]
    before = tf.concat([[False], word[:-1]], 0)[: tf.size(row)] & same
    two_before = tf.concat([[False], before[:-1]], 0)[: tf.size(row)] & before
    after_open = tf.concat([[False], opens[:-1]], 0)[: tf.size(row)] & same
    after_close = tf.concat([[False], closes[:-1]], 0)[: tf.size(row)] & same
    wrong |= (closes & after_open) | (word & after_close) | (word & two_before) | (opens & two_before) | (word & ~same)
    faults = tf.math.unsorted_segment_sum(tf.cast(wrong, tf.int32), row, rows)
    return (faults == 0) & (pieces.row_lengths() > 0)


def _breadth_first(brackets):
    """Return nodes breadth first.

    Depth of each node in order of opening; their breadth-first order; then, in this order, which have children, and how
    many children each of those has.
    """
    depths = tf.boolean_mask(tf.cumsum(2 * brackets - 1), brackets > 0) - 1
    order = tf.argsort(depths, stable=True)
    deeper = depths[1:] == depths[:-1] + 1  # the next one to open is a child
    inner = tf.gather(tf.concat([deeper, [False]], 0), order)
    first_child = tf.gather(tf.concat([[False], deeper], 0), order)
    # Breadth first, all nodes but roots are children of inner nodes, in order; a family begins with a first child.
    begins = tf.cast(tf.where(first_child)[:, 0], tf.int32)
    return depths, order, inner, tf.concat([begins[1:], [tf.size(order)]], 0)[: tf.size(begins)] - begins


def _in_pairs(brackets, order, inner, counts):
    """Write (a b c d) as (((a b) c) d).

    With a node of k children k - 2 more brackets open, and one more closes behind each of its children 1 … k - 2.
    """
    total = tf.size(order)
    roots = total - tf.reduce_sum(counts)
    number = tf.range(total)
    parent = tf.concat([tf.fill([roots], -1), tf.searchsorted(tf.cumsum(counts), tf.range(total - roots), "right")], 0)
    siblings = tf.gather(tf.concat([[0], counts], 0), parent + 1)
    rank = number - roots - tf.gather(tf.concat([[0], tf.cumsum(counts, exclusive=True)], 0), parent + 1)
    closes_more = tf.cast((parent >= 0) & (rank >= 1) & (rank <= siblings - 2), tf.int32)
    opens_more = tf.scatter_nd(tf.boolean_mask(order, inner)[:, None], tf.maximum(counts - 2, 0), [total])
    depth = tf.cumsum(2 * brackets - 1)
    open_at, close_at = (tf.cast(tf.where(found)[:, 0], tf.int32) for found in (brackets > 0, brackets < 1))
    # Brackets of one depth take turns, so closing ones sorted by depth stand beside the opening ones sorted so.
    close_at = tf.gather(close_at, tf.argsort(tf.gather(depth, close_at), stable=True))
    times = tf.scatter_nd(open_at[:, None], opens_more, [tf.size(brackets)])
    return tf.repeat(brackets, 1 + tf.tensor_scatter_nd_add(times, close_at[:, None], closes_more))
