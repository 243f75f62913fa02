"""The Tree-LSTMs against NumPy written from their equations; see test_recursive.py for the loop over a forest."""

import numpy as np
import pytest
import tensorflow as tf
from equations import numeric_gradients, sigmoid

from seqkit.cells.tree_lstm import BinaryTreeLSTMCell, ChildSumTreeLSTMCell

UNITS, DIM = 3, 4


def binary(weights, children):
    """Eq. 9 to 14 for one node; children are [h, c] rows."""
    _, recurrent, bias = weights[:3]
    (h1, c1), (h2, c2) = (np.split(child, 2) for child in children)
    u, i, o, f1, f2 = np.split(np.concatenate([h1, h2]) @ recurrent + bias, 5)
    c = sigmoid(i) * np.tanh(u) + sigmoid(f1) * c1 + sigmoid(f2) * c2
    return np.concatenate([sigmoid(o) * np.tanh(c), c])


def child_sum(weights, children):
    """Eq. 2 to 8 for one node."""
    _, recurrent, bias = weights[:3]
    hidden, cells = np.split(np.array(children), 2, 1)
    u, i, o, _ = np.split(hidden.sum(0) @ recurrent + bias, 4)
    forget = [sigmoid(h @ recurrent[:, 3 * UNITS :] + bias[3 * UNITS :]) for h in hidden]
    c = sigmoid(i) * np.tanh(u) + sum(f * one for f, one in zip(forget, cells, strict=True))
    return np.concatenate([sigmoid(o) * np.tanh(c), c])


def leaf(weights, x):
    kernel, _, bias = weights[:3]
    u, i, o = np.split(x @ kernel + bias[: 3 * UNITS], 3)
    c = sigmoid(i) * np.tanh(u)
    return np.concatenate([sigmoid(o) * np.tanh(c), c])


# Three nodes of one level. None: there is no second child.
FAMILIES = {"binary": [(0, 1), (2, None), (3, 4)], "child_sum": [(0, 1), (2,), (3, 4, 5, 6)]}
CELLS = {"binary": (BinaryTreeLSTMCell, binary), "child_sum": (ChildSumTreeLSTMCell, child_sum)}


def make(name):
    cell = CELLS[name][0](UNITS, dtype="float64")
    cell.build((None, DIM))
    rng = np.random.default_rng(0)
    cell.set_weights([rng.normal(0, 0.7, w.shape) for w in cell.weights])
    return cell, rng


@pytest.mark.parametrize("name", CELLS)
def test_leaves_follow_the_equations(name):
    cell, rng = make(name)
    x = rng.normal(size=(5, DIM))
    np.testing.assert_allclose(cell.leaves(x), [leaf(cell.get_weights(), row) for row in x], atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_a_level_follows_the_equations_in_values_and_gradients(name):
    cell, rng = make(name)
    states = rng.normal(size=(8, cell.state_size))
    states[7] = 0
    arrays = [*cell.get_weights(), states]
    families = [[7 if child is None else child for child in family] for family in FAMILIES[name]]
    flat = [child for family in families for child in family]
    parents = np.repeat(np.arange(3, dtype=np.int32), [len(family) for family in families])

    def reference():
        return np.array([CELLS[name][1](arrays, states[family]) for family in families])

    target = rng.normal(size=(3, cell.state_size))
    given = tf.constant(states)
    with tf.GradientTape() as tape:
        tape.watch(given)
        found = cell.level(tf.gather(given, flat), parents, 3)
        loss = tf.reduce_sum(found * target)
    np.testing.assert_allclose(found, reference(), atol=1e-12)
    kernel, *others = numeric_gradients(lambda: (reference() * target).sum(), arrays)
    assert not kernel.any()  # of leaves alone
    gradients = tape.gradient(loss, [v.value for v in cell.trainable_variables[1:]] + [given])
    for one, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(one), other, atol=1e-8)


@pytest.mark.parametrize("name", CELLS)
def test_trees_in_training_follow_the_equations_in_values_and_gradients(name):
    """Two trees, ((a b) c) and ((d) e), breadth first, with the gradient by hand."""
    cell, rng = make(name)
    arrays = [*cell.get_weights(), rng.normal(size=(5, DIM))]
    step = CELLS[name][1]

    def node(*children):
        rows = [*children, np.zeros(cell.state_size)] if name == "binary" and len(children) == 1 else children
        return step(arrays, np.array(rows))

    def reference():
        c, e, a, b, d = (leaf(arrays, x) for x in arrays[-1])
        ab, alone = node(a, b), node(d)
        return np.array([node(ab, c), node(alone, e), ab, c, alone, e, a, b, d])

    counts, levels = np.array([2, 2, 2, 0, 1, 0, 0, 0, 0], np.int32), np.array([0, 2, 6, 9], np.int32)
    target = rng.normal(size=(9, cell.state_size))
    vectors = tf.constant(arrays[-1])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        found = cell.read(cell.leaves(vectors), counts, levels, training=True)
        loss = tf.reduce_sum(found * target)
    np.testing.assert_allclose(found, reference(), atol=1e-12)
    gradients = tape.gradient(loss, [*(v.value for v in cell.trainable_variables), vectors])
    for one, other in zip(gradients, numeric_gradients(lambda: (reference() * target).sum(), arrays), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)
