"""Trees as flat arrays, and batches of them gathered in the graph by row number: in training and in prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from seqkit.errors import DataError, InputTypeError
from seqkit.graph import graph
from seqkit.io.trees import Tree, parse_tree
from seqkit.text.corpus import TokenCorpus, corpus_from_tokens
from seqkit.text.features import TokenGraph
from seqkit.training.batching import sorted_batches
from seqkit.training.token_batches import Tensors, signature, token_tensors, token_vectors

_BATCH = 256
_ROWS = tf.TensorSpec([None], tf.int32)


@dataclass
class TreeCorpus:
    """Trees, the nodes of all of them in flat arrays: tree after tree, children before their parent and in order.

    Parameters
    ----------
    corpus : TokenCorpus
        The tokens of leaves from left to right, a "sentence" for each tree.
    child_counts : ndarray
        Number of children of each node, int32 [nodes].
    depths : ndarray
        Distance of each node from its root, int32 [nodes].
    counts : ndarray
        Nodes of each tree, int64 [trees].
    labels : list of str
        Distinct labels.
    label_index : ndarray
        Which of them each node has, int32 [nodes]; -1 for a node that was made here.
    """

    corpus: TokenCorpus
    child_counts: np.ndarray
    depths: np.ndarray
    counts: np.ndarray
    labels: list[str]
    label_index: np.ndarray
    width: None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each tree."""
        return self.corpus.lengths

    @cached_property
    def starts(self) -> np.ndarray:
        """The first node of each tree, then the number of nodes, int64 [trees + 1]."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @property
    def roots(self) -> np.ndarray:
        """The root of each tree, int64 [trees]."""
        return self.starts[1:] - 1

    @property
    def given(self) -> np.ndarray:
        """Which nodes are those of the trees that came, bool [nodes]."""
        return self.label_index >= 0

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Return the nodes of some trees, one tree after the other."""
        return _ranges(self.starts[rows], self.counts[rows])

    def take(self, rows: np.ndarray) -> TreeCorpus:
        """Return some of the trees."""
        ends = np.cumsum(self.lengths)
        nodes, tokens = self.positions(rows), _ranges((ends - self.lengths)[rows], self.lengths[rows])
        return TreeCorpus(
            self.corpus.take(rows, tokens),
            self.child_counts[nodes],
            self.depths[nodes],
            self.counts[rows],
            self.labels,
            self.label_index[nodes],
        )

    def meanings(self, label_map: dict | None = None) -> list:
        """Return what each of the distinct labels stands for, by default itself; None for nothing, as the empty one."""
        if label_map is None:
            return [label or None for label in self.labels]
        known = {str(label): value for label, value in label_map.items()}
        return [known.get(label) if label else None for label in self.labels]

    def root_meanings(self, label_map: dict | None = None) -> list:
        """Return what the label of each root stands for; None for nothing."""
        meanings = self.meanings(label_map)
        return [meanings[label] for label in self.label_index[self.roots]]

    def class_numbers(self, classes: Sequence, label_map: dict | None = None) -> np.ndarray:
        """Return the class of each node as a number, int32 [nodes]; -1 where its label stands for none.

        A class is known by its text: the label "3" stands for the class 3, or 3.0.
        """
        number = {_text(label): i for i, label in enumerate(classes)}
        numbers = [-1 if value is None else number.get(_text(value), -1) for value in self.meanings(label_map)]
        # The last one is found by the index -1.
        return np.array([*numbers, -1], np.int32)[self.label_index]

    def fingerprint_parts(self) -> list:
        """Return what tells these trees from others, but for labels."""
        return [self.counts, self.child_counts, self.corpus.index, b"\0".join(self.corpus.types.numpy().tolist())]


def corpus_from_trees(items: Sequence[str | Tree], most_children: int | None = None, name: str = "X") -> TreeCorpus:
    """Put trees into flat arrays.

    Parameters
    ----------
    items : sequence of str or Tree
        Trees in brackets, or as `seqkit.io.trees.parse_tree` gives them.
    most_children : {2, None}, default None
        2: a node of more than two children becomes a chain of nodes of two, branching to the left; (a b c d) is read as
        (((a b) c) d). The nodes made for this have no label, and no answer of a model speaks of them. None: trees stay
        as they are.
    name : str
        What errors call the trees.

    Returns
    -------
    TreeCorpus

    Raises
    ------
    DataError, InputTypeError
        If an item is no tree; the message has the index.
    """
    trees = [_as_tree(item, f"{name}[{i}]") for i, item in enumerate(items)]
    counts = np.fromiter((len(tree.labels) for tree in trees), np.int64, count=len(trees))
    total, starts = int(counts.sum()), np.cumsum(counts) - counts
    number = {}
    flat = chain.from_iterable(tree.labels for tree in trees)
    label_index = np.fromiter((number.setdefault(label, len(number)) for label in flat), np.int32, count=total)
    families = list(chain.from_iterable(tree.children for tree in trees))
    child_counts = np.fromiter(map(len, families), np.int32, count=total)
    children = np.fromiter(chain.from_iterable(families), np.int64, count=int(child_counts.sum()))
    children += np.repeat(np.repeat(starts, counts), child_counts)
    _check(trees, starts, children, child_counts, name)
    corpus = corpus_from_tokens([[token for token in tree.tokens if token is not None] for tree in trees], name)
    parents = np.arange(total)
    parents[children] = np.repeat(np.arange(total), child_counts)
    if most_children == 2 and total and child_counts.max() > 2:
        parents, places = _in_pairs(children, child_counts, parents)
        counts += np.add.reduceat(np.maximum(child_counts - 2, 0), starts)
        child_counts = _at(places, np.minimum(child_counts, 2), len(parents), 2)
        label_index = _at(places, label_index, len(parents), -1)
    return TreeCorpus(corpus, child_counts, _depths(parents), counts, list(number), label_index)


def _text(label: object) -> str:
    return str(int(label)) if isinstance(label, float | np.floating) and label == label // 1 else str(label)


def _as_tree(item: object, name: str) -> Tree:
    if isinstance(item, Tree):
        if not len(item.labels) == len(item.tokens) == len(item.children) > 0:
            raise DataError(f"{name}: labels, tokens and children must be of one length, at least 1.")
        if not all(isinstance(label, str) for label in item.labels):
            raise InputTypeError(f'{name}: labels must be strings, "" for none. Use str().')
        return item
    try:
        return parse_tree(item)
    except InputTypeError:
        got = "None" if item is None else f"{type(item).__name__} {item!r:.60}"
        raise InputTypeError(
            f"{name} must be a tree in brackets, such as '(1 (0 not) (1 bad))', or a seqkit.io.Tree; got {got}."
        ) from None
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _check(trees: list[Tree], starts: np.ndarray, children: np.ndarray, child_counts: np.ndarray, name: str) -> None:
    """Raise if a tree's nodes are not in order, or if it has tokens elsewhere than at its leaves."""
    tokens = chain.from_iterable(tree.tokens for tree in trees)
    is_leaf = np.fromiter((token is not None for token in tokens), bool, count=len(child_counts))
    bad = is_leaf != (child_counts == 0)
    node = np.repeat(np.arange(len(child_counts)), child_counts)
    tree = np.searchsorted(starts, node, side="right") - 1
    strange = (children < starts[tree]) | (children >= node)
    bad[node[strange]] = True
    if not strange.any():
        # A node's children end just before it, and each of them begins where the one before ends.
        first = np.arange(len(child_counts))
        begins = np.cumsum(child_counts) - child_counts
        first[child_counts > 0] = children[begins[child_counts > 0]]
        while (first[first] != first).any():
            first = first[first]
        last = np.append(node[1:] != node[:-1], True)[: len(node)]
        bad[node[last & (children != node - 1)]] = True
        bad[node[:-1][~last[:-1] & (first[children[1:]] != children[:-1] + 1)]] = True
        roots = np.append(starts[1:], len(child_counts))[: len(starts)] - 1
        bad[roots[first[roots] != starts]] = True
    if bad.any():
        at = int(np.argmax(bad))
        row = int(np.searchsorted(starts, at, side="right") - 1)
        raise DataError(
            f"{name}[{row}]: node {at - starts[row]} is out of place. Nodes come in order, children before their "
            "parent, the root last; leaves have a token and all other nodes have none."
        )


def _in_pairs(children: np.ndarray, counts: np.ndarray, parents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make nodes of two children of those of more: return all nodes' parents, and where the nodes from before stand.

    A node of k children c_0 … c_{k-1} becomes k - 1 pairs: c_0 and c_1, this pair and c_2, and so on; the last is the
    node itself, each other one is new and stands right behind its second child.
    """
    rank = _ranges(np.zeros_like(counts, np.int64), counts)  # which child of its parent each one is
    siblings = np.repeat(counts, counts)
    followed = np.zeros(len(parents), bool)
    followed[children] = (rank >= 1) & (rank < siblings - 1)
    places = np.arange(len(parents)) + np.cumsum(followed) - followed
    grown = np.arange(len(parents) + int(followed.sum()))
    # The pair that ends with each child: new, or its parent. The first child is in the pair of the second.
    pair = np.where(followed[children], places[children] + 1, places[parents[children]])
    after = np.append(pair[1:], 0)
    grown[places[children]] = np.where((rank == 0) & (siblings > 1), after, pair)
    grown[pair[followed[children]]] = after[followed[children]]
    return grown, places


def _at(places: np.ndarray, values: np.ndarray, total: int, others: int) -> np.ndarray:
    spread = np.full(total, others, values.dtype)
    spread[places] = values
    return spread


def _depths(parents: np.ndarray) -> np.ndarray:
    """Return how far each node is from its root, which is its own parent; by jumps that double in length."""
    depths = (parents != np.arange(len(parents))).astype(np.int32)
    while (further := depths[parents]).any():
        depths += further
        parents = parents[parents]
    return depths


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return start, start + 1, … for each of a number of ranges, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def tree_tensors(data: TreeCorpus, graph: TokenGraph) -> Tensors:
    """Hold trees as tensors.

    Returns
    -------
    dict
        ``starts`` int32 [trees + 1]; ``depths``, ``child_counts`` and ``types`` int32 [nodes], the last the token of a
        leaf, 0 for other nodes. ``words``, ``characters``, ``features``: ids of each type, as in
        `seqkit.training.token_batches.token_tensors`.
    """
    tensors = token_tensors(data.corpus, graph)
    types = np.zeros(len(data.depths), np.int32)
    types[data.child_counts == 0] = data.corpus.index + 1
    arrays = dict(starts=data.starts.astype(np.int32), depths=data.depths, child_counts=data.child_counts, types=types)
    of_types = {name: value for name, value in tensors.items() if name not in ("starts", "index")}
    return {**{name: tf.constant(value) for name, value in arrays.items()}, **of_types}


class Forest(NamedTuple):
    """A batch of trees in breadth-first order, see `seqkit.cells.tree.TreeCell.read`; all int32.

    Parameters
    ----------
    nodes : tf.Tensor
        Each node's number in the flat arrays, [nodes].
    trees : tf.Tensor
        Which tree of the batch it is in, [nodes].
    child_counts : tf.Tensor
        [nodes].
    levels : tf.Tensor
        [depths + 1].
    types : tf.Tensor
        The token of each leaf, [leaves].
    """

    nodes: tf.Tensor
    trees: tf.Tensor
    child_counts: tf.Tensor
    levels: tf.Tensor
    types: tf.Tensor


def gather_trees(tensors: Tensors, rows: tf.Tensor) -> Forest:
    """Put the trees whose row numbers are ``rows``, int32 [batch], into breadth-first order."""
    starts = tf.gather(tensors["starts"], rows)
    counts = tf.gather(tensors["starts"], rows + 1) - starts
    ends = tf.cumsum(counts)
    number = tf.range(tf.reduce_sum(counts))
    trees = tf.searchsorted(ends, number, side="right")
    nodes = tf.gather(starts - ends + counts, trees) + number
    depths = tf.gather(tensors["depths"], nodes)
    order = tf.argsort(depths, stable=True)
    nodes, trees, depths = (tf.gather(values, order) for values in (nodes, trees, depths))
    child_counts, types = (tf.gather(tensors[name], nodes) for name in ("child_counts", "types"))
    levels = tf.searchsorted(depths, tf.range(depths[-1] + 2))
    return Forest(nodes, trees, child_counts, levels, tf.boolean_mask(types, child_counts < 1))


def model_inputs(tensors: Tensors, rows: np.ndarray) -> dict[str, tf.Tensor]:
    """Return trees as the models of `seqkit.models.build_tree_classifier` take them.

    Parameters
    ----------
    tensors : dict
        From `tree_tensors`.
    rows : ndarray
        Numbers of the trees.

    Returns
    -------
    dict of tf.Tensor
        ``words``, ``child_counts`` and ``levels``, and ``characters`` and ``features`` where there are some; besides
        ``nodes``, which of all nodes each one is: ``targets[nodes]`` are targets in the same order.
    """
    forest = gather_trees(tensors, tf.constant(rows, tf.int32))
    of_leaves = {
        name: tf.gather(tensors[name], forest.types) for name in ("words", "characters", "features") if name in tensors
    }
    return {**of_leaves, "child_counts": forest.child_counts, "levels": forest.levels, "nodes": forest.nodes}


def tree_losses(
    model, tensors: Tensors, targets: Tensors, rows: tf.Tensor, batch: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the losses of trees of a data set, for `seqkit.training.fitting.fit_model`; float32 [batch] each.

    ``targets`` are class numbers of all nodes of the data set, -1 for none; ``node_weights`` float32 [nodes] says how
    much a node counts.
    """
    forest = gather_trees(tensors, rows)
    vectors = token_vectors(model.encoder, tensors, forest.types, training=True)
    wanted, weights = (tf.gather(targets[name], forest.nodes) for name in ("targets", "node_weights"))
    losses = model.losses(vectors, forest.child_counts, forest.levels, wanted, training=True) * weights
    losses = tf.math.unsorted_segment_sum(losses, forest.trees, tf.size(rows))
    return losses, tf.zeros_like(losses)


def answer_trees(estimator, data: TreeCorpus, rows=None, tensors=None) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of classes.

    Parameters
    ----------
    estimator : seqkit.estimators.tree_classifier.TreeClassifier
        A fitted one.
    data : TreeCorpus
        The trees.
    rows : ndarray or None
        Numbers of the trees asked about; None for all.
    tensors : dict or None
        The data as `data_tensors` gives them, where that was done already.

    Returns
    -------
    roots : ndarray
        float32 [trees, classes].
    nodes : ndarray
        float32 [nodes, classes], of all nodes of ``data``; of trees not asked about 0.
    """
    rows = np.arange(len(data)) if rows is None else rows
    tensors = data_tensors(estimator, data) if tensors is None else tensors
    classes = estimator.model_.config["classes"]
    roots, nodes = (np.zeros((n, classes), np.float32) for n in (len(rows), len(data.depths)))
    read = estimator._once(("trees", *sorted(tensors)), lambda: _reader(estimator.model_, tensors))
    for batch in sorted_batches(data.lengths[rows], _BATCH):
        places, probabilities = (value.numpy() for value in read(tensors, tf.constant(rows[batch], tf.int32)))
        nodes[places] = probabilities
        roots[batch] = probabilities[: len(batch)]
    return roots, nodes


def data_tensors(estimator, data: TreeCorpus) -> Tensors:
    """Hold trees as tensors, see `tree_tensors`, with the vocabulary of a fitted estimator."""
    return tree_tensors(data, estimator._token_graph())


def _reader(model, tensors: Tensors):
    def read(tensors, rows):
        forest = gather_trees(tensors, rows)
        vectors = token_vectors(model.encoder, tensors, forest.types)
        hidden = model.read(vectors, forest.child_counts, forest.levels)
        return forest.nodes, tf.nn.softmax(model.outputs(hidden))

    return graph(read, signature(tensors), _ROWS)
