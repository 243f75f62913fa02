"""The loop over depths against node after node, for every cell; the plain recursive network against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import numeric_gradients, relu

from seqkit.cells.recursive import RecursiveCell
from seqkit.cells.tree_lstm import BinaryTreeLSTMCell, ChildSumTreeLSTMCell

UNITS, DIM = 3, 4
CELLS = {"recursive": RecursiveCell, "binary_lstm": BinaryTreeLSTMCell, "child_sum_lstm": ChildSumTreeLSTMCell}
# A leaf is its number, an inner node a list.
BINARY = [[[0, 1], [[2, 3], 4]], 5, [6, 7], [[[8]], [9, [10]]], [11]]
WIDE = [*BINARY, [12, [13, 14, 15, [16]], 17, [18, 19]]]


def breadth_first(trees):
    """Leaf numbers, child counts and levels, as `TreeCell.read` takes them."""
    leaves, counts, levels, level = [], [], [0], list(trees)
    while level:
        counts += [len(node) if isinstance(node, list) else 0 for node in level]
        leaves += [node for node in level if not isinstance(node, list)]
        levels.append(levels[-1] + len(level))
        level = [child for node in level if isinstance(node, list) for child in node]
    return leaves, np.array(counts, np.int32), np.array(levels, np.int32)


def one_by_one(trees, leaf, node):
    """States of all nodes, breadth first, from functions of a leaf's number and of children's states."""
    states, level = [], list(trees)

    def state(tree):
        return node([state(child) for child in tree]) if isinstance(tree, list) else leaf(tree)

    while level:
        states += [state(tree) for tree in level]
        level = [child for tree in level if isinstance(tree, list) for child in tree]
    return np.array(states)


def make(name, dtype="float64", **options):
    cell = CELLS[name](UNITS, dtype=dtype, **options)
    cell.build((None, DIM))
    rng = np.random.default_rng(0)
    cell.set_weights([rng.normal(0, 0.7, w.shape) for w in cell.weights])
    return cell, rng


def trees_of(cell):
    return BINARY if cell.most_children else WIDE


def read(cell, vectors, training):
    leaves, counts, levels = breadth_first(trees_of(cell))
    return cell.read(cell.leaves(tf.gather(vectors, leaves)), counts, levels, training=training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_levels_of_a_forest_are_what_single_nodes_are(name, training):
    cell, rng = make(name)
    vectors = rng.normal(size=(20, DIM))

    def node(children):
        below = np.zeros((cell.most_children or len(children), cell.state_size))
        below[: len(children)] = children
        return cell.level(below, np.zeros(len(children), np.int32), 1)[0].numpy()

    expected = one_by_one(trees_of(cell), lambda n: cell.leaves(vectors[n : n + 1])[0].numpy(), node)
    np.testing.assert_allclose(read(cell, vectors, training), expected, atol=1e-12)


@pytest.mark.parametrize(("name", "graph"), [*((name, False) for name in CELLS), ("binary_lstm", True)])
def test_the_gradient_by_hand_is_tensorflows(name, graph):
    cell, rng = make(name)
    assert cell.by_hand
    vectors = tf.constant(rng.normal(size=(20, DIM)))
    nodes = len(breadth_first(trees_of(cell))[1])
    target = rng.normal(size=(nodes, cell.state_size))

    def gradients(training):
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            loss = tf.reduce_sum(read(cell, vectors, training) * target)
        return tape.gradient(loss, [vectors, *(v.value for v in cell.trainable_variables)])

    run = tf.function(gradients) if graph else gradients
    for one, other in zip(run(True), run(False), strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(one), tf.convert_to_tensor(other), atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_trees_of_one_leaf_only(name):
    cell, rng = make(name)
    leaves = tf.constant(rng.normal(size=(3, cell.state_size)))
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            states = cell.read(leaves, np.zeros(3, np.int32), np.array([0, 3], np.int32), training=training)
        np.testing.assert_array_equal(states, leaves)
        gradient = tf.convert_to_tensor(tape.gradient(states, leaves))
        np.testing.assert_array_equal(gradient, np.ones_like(leaves))


@pytest.mark.parametrize("name", CELLS)
def test_deep_and_wide_trees(name):
    """One graph for all; a chain of 3,000 levels; where any number of children is taken, a node of 30,000."""
    cell, rng = make(name, dtype="float32")
    cell.set_weights([w * 0.5 for w in cell.get_weights()])
    size = [None, cell.state_size]
    run = tf.function(
        lambda *forest: cell.read(*forest, training=True),
        input_signature=[tf.TensorSpec(size, tf.float32), *[tf.TensorSpec([None], tf.int32)] * 2],
    )
    steps = 3000
    leaves = tf.constant(rng.normal(size=(steps + 1, cell.state_size)), tf.float32)
    # Breadth first: a root; then each level a leaf and an inner node, the last one two leaves.
    chain = np.array([2, *[0, 2] * (steps - 1), 0, 0], np.int32)
    levels = np.array([0, *range(1, 2 * steps + 2, 2)], np.int32)
    states = run(leaves, chain, levels).numpy()
    assert states.shape == (2 * steps + 1, cell.state_size) and np.isfinite(states).all()
    short = run(leaves[-41:], chain[-81:], np.array([0, *range(1, 82, 2)], np.int32)).numpy()
    np.testing.assert_allclose(states[-81:], short, atol=1e-6)
    if cell.most_children is None:
        leaves = tf.constant(rng.normal(size=(30_000, cell.state_size)) * 1e-3, tf.float32)
        star = run(leaves, np.array([30_000, *[0] * 30_000], np.int32), np.array([0, 1, 30_001], np.int32))
        np.testing.assert_allclose(star[0], cell.level(leaves, np.zeros(30_000, np.int32), 1)[0], atol=1e-5)


def test_more_children_than_two_are_refused_by_the_cells_of_two():
    cell, _ = make("recursive")
    with pytest.raises(tf.errors.InvalidArgumentError, match="one or two children"):
        cell.read(tf.zeros([3, UNITS], tf.float64), np.array([3, 0, 0, 0]), np.array([0, 1, 4]))


@pytest.mark.parametrize("name", CELLS)
def test_an_activation_without_a_gradient_by_hand_works_too(name):
    cell, rng = make(name, activation="softplus")
    assert not cell.by_hand
    vectors = rng.normal(size=(20, DIM))
    np.testing.assert_allclose(read(cell, vectors, True), read(cell, vectors, False), atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_configuration(name):
    cell, _ = make(name, activation="relu", kernel_initializer=keras.initializers.GlorotUniform(3))
    again = keras.layers.deserialize(keras.layers.serialize(cell))
    assert again.get_config() == cell.get_config()


# The plain recursive network


@pytest.mark.parametrize(("activation", "g"), [("tanh", np.tanh), ("relu", relu)])
def test_recursive_follows_the_equations_in_values_and_gradients(activation, g):
    cell, rng = make("recursive", activation=activation)
    arrays = [*cell.get_weights(), rng.normal(size=(20, DIM))]
    vectors = tf.constant(arrays[-1])

    def reference():
        kernel, bias, recurrent, recurrent_bias, x = arrays

        def node(children):
            both = np.concatenate([*children, np.zeros(UNITS)])[: 2 * UNITS]
            return g(both @ recurrent + recurrent_bias)

        return one_by_one(BINARY, lambda n: g(x[n] @ kernel + bias), node)

    expected = reference()
    target = rng.normal(size=expected.shape)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        states = read(cell, vectors, True)
        loss = tf.reduce_sum(states * target)
    np.testing.assert_allclose(states, expected, atol=1e-12)
    found = tape.gradient(loss, [*(v.value for v in cell.trainable_variables), vectors])
    for one, other in zip(found, numeric_gradients(lambda: (reference() * target).sum(), arrays), strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(one), other, atol=1e-7)
