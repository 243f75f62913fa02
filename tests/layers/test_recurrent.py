"""Recurrent and RecurrentStack against NumPy: directions, lengths, initial states, depth, gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import STATES, numeric_gradients, read, read_stack, relu

from seqkit.cells import make_cell
from seqkit.errors import ParameterError
from seqkit.layers.pooling import Pooling
from seqkit.layers.recurrent import Recurrent, RecurrentStack, reverse
from seqkit.training.prefix_tree import prefix_tree, turned_around

CELLS = ("elman", "lstm", "gru", "leaky")
LENGTHS = np.array([5, 2, 0, 1])


def filled(layer, dim=2, scale=0.7):
    """Build a layer and give every weight a random value, zero biases too."""
    layer.build((None, None, dim))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(0, scale, w.shape) if "seed" not in w.path else w for w in layer.weights])
    return layer, rng


def directions(stack):
    """Weights of each direction, bottom up, in float64."""
    layers = [layer for pair in stack.directions for layer in pair]
    return [[w.numpy().astype(np.float64) for w in layer.loop.trainable_weights] for layer in layers]


def real(outputs, lengths=LENGTHS):
    """Blank what has no meaning."""
    return np.where(np.arange(outputs.shape[1])[None, :, None] < lengths[:, None, None], outputs, 0)


def test_reverse_turns_each_row_around_by_its_length():
    rows = np.arange(12).reshape(3, 4)
    expected = [[0, 1, 2, 3], [6, 5, 4, 7], [11, 10, 9, 8]]
    np.testing.assert_array_equal(reverse(tf.constant(rows), tf.constant([1, 3, 4])), expected)
    np.testing.assert_array_equal(reverse(tf.constant(rows), None), rows[:, ::-1])


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_one_direction_with_zero_given_and_learned_state(cell, backward):
    layer, rng = filled(Recurrent(make_cell(cell, 3), backward=backward, initial_state="learned"))
    weights = [w.numpy().astype(np.float64) for w in layer.loop.trainable_weights]
    x = rng.normal(size=(4, 5, 2))
    inputs, lengths = tf.constant(x, tf.float32), tf.constant(LENGTHS)
    learned = [np.tile(s.numpy(), (4, 1)) for s in layer.learned_state]
    assert len(learned) == STATES[cell]
    expected = read(cell, weights, x, LENGTHS, backward, learned)
    np.testing.assert_allclose(real(layer(inputs, lengths=lengths)), expected, atol=2e-6)
    given = [rng.normal(size=(4, 3)) for _ in learned]
    outputs = layer(inputs, lengths=lengths, initial_state=[tf.constant(s, tf.float32) for s in given])
    np.testing.assert_allclose(real(outputs), read(cell, weights, x, LENGTHS, backward, given), atol=2e-6)
    zeros = Recurrent(layer.cell, backward=backward)
    zeros.build((None, None, 2))
    assert not zeros.learned_state
    expected = read(cell, weights, x, LENGTHS, backward)
    np.testing.assert_allclose(real(zeros(inputs, lengths=lengths)), expected, atol=2e-6)
    full = read(cell, weights, x, backward=backward)
    np.testing.assert_allclose(zeros(inputs), full, atol=2e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_learned_state_learns(cell):
    layer, rng = filled(Recurrent(make_cell(cell, 2), backward=True, initial_state="learned"))
    x, target = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 4, 2))
    lengths = np.array([4, 1, 0])
    with tf.GradientTape() as tape:
        outputs = layer(tf.constant(x, tf.float32), lengths=tf.constant(lengths))
        loss = tf.reduce_sum(real(np.ones((3, 4, 2)), lengths) * target * tf.cast(outputs, tf.float64))
    found = tape.gradient(loss, [s.value for s in layer.learned_state])
    weights = [w.numpy().astype(np.float64) for w in layer.loop.trainable_weights]
    state = [s.numpy().astype(np.float64) for s in layer.learned_state]

    def reference():
        return (read(cell, weights, x, lengths, True, [np.tile(s, (3, 1)) for s in state]) * target).sum()

    for one, other in zip(found, numeric_gradients(reference, state), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_stacks_follow_the_equations(cell, bidirectional, layers):
    stack, rng = filled(RecurrentStack(cell, 3, layers, bidirectional))
    x = rng.normal(size=(4, 5, 2))
    outputs = stack(tf.constant(x, tf.float32), lengths=tf.constant(LENGTHS))
    assert outputs.shape[-1] == stack.output_dim == 3 * (1 + bidirectional)
    expected = read_stack(cell, directions(stack), x, LENGTHS, bidirectional)
    np.testing.assert_allclose(real(outputs.numpy()), expected, atol=3e-6)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("cell", [*CELLS, "jordan"])
def test_reading_on_from_the_last_states_is_reading_at_once(cell, activation):
    stack, rng = filled(RecurrentStack(cell, 3, 2, False, activation=activation, initial_state="learned"))
    x = tf.constant(rng.normal(size=(4, 7, 2)), tf.float32)
    states = stack.first_states(4)
    assert states.shape == (4, stack.state_count, 3)
    parts = []
    for first, end in ((0, 3), (3, 4), (4, 7)):
        outputs, states = stack.carry(x[:, first:end], states)
        parts.append(outputs)
    np.testing.assert_allclose(tf.concat(parts, 1), stack(x), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_a_ragged_bidirectional_stack_are_those_of_finite_differences(cell):
    stack, rng = filled(RecurrentStack(cell, 2, 2, True))
    x = rng.normal(size=(3, 3, 2))
    lengths = np.array([3, 0, 2])
    target = real(rng.normal(size=(3, 3, 4)), lengths)
    inputs = tf.constant(x, tf.float32)
    trained = [v for pair in stack.directions for layer in pair for v in layer.loop.trainable_weights]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(stack(inputs, lengths=tf.constant(lengths)) * tf.constant(target, tf.float32))
    found = tape.gradient(loss, [*(v.value for v in trained), inputs])
    weights = directions(stack)

    def reference():
        return (read_stack(cell, weights, x, lengths, True) * target).sum()

    expected = numeric_gradients(reference, [a for w in weights for a in w] + [x])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not found[-1][1].numpy().any()  # an empty row passes no gradient


def test_relu_falls_back_to_the_loop():
    stack, rng = filled(RecurrentStack("lstm", 3, 1, True, activation="relu"))
    assert not stack.directions[0][0].can_scan
    x = rng.normal(size=(4, 5, 2))
    outputs = stack(tf.constant(x, tf.float32), lengths=tf.constant(LENGTHS)).numpy()
    expected = read_stack("lstm", directions(stack), x, LENGTHS, True, g=relu)
    np.testing.assert_allclose(real(outputs), expected, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_after_the_end_does_not_matter(cell):
    stack, rng = filled(RecurrentStack(cell, 3, 2, True))
    x = rng.normal(size=(4, 5, 2))
    other = np.where(np.arange(5)[None, :, None] < LENGTHS[:, None, None], x, np.nan)
    other = np.concatenate([other, np.full((4, 3, 2), 1e9)], 1)
    one, two = (stack(tf.constant(a, tf.float32), lengths=tf.constant(LENGTHS)).numpy() for a in (x, other))
    np.testing.assert_allclose(real(one), real(two)[:, :5], atol=1e-6)


def test_elman_draws_one_recurrent_mask_for_all_steps_of_a_sequence():
    """With a diagonal U every unit lives alone, so its course shows its own factor: 0 or 1 / (1 - rate), throughout."""
    layer, rng = filled(Recurrent(make_cell("elman", 4, recurrent_dropout=0.5, seed=0)))
    kernel, _, bias = (w.numpy() for w in layer.loop.trainable_weights)
    weights = [kernel, np.diag(rng.uniform(0.5, 1, 4)), bias]
    for variable, value in zip(layer.loop.trainable_weights, weights, strict=True):
        variable.assign(value)
    x = rng.normal(size=(6, 5, 2))
    trained = layer(tf.constant(x, tf.float32), training=True).numpy()
    dropped, kept = (read("elman", weights, x, mask=mask) for mask in (0.0, 2.0))
    is_dropped = np.isclose(trained, dropped, atol=1e-5).all(1)
    assert (is_dropped ^ np.isclose(trained, kept, atol=1e-5).all(1)).all()
    assert 0 < is_dropped.sum() < is_dropped.size
    again = layer(tf.constant(x, tf.float32), training=True).numpy()
    assert (again != trained).any()  # another call draws another mask
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), read("elman", weights, x), atol=1e-5)


@pytest.mark.parametrize("cell", [*CELLS, "jordan"])
def test_dropout_acts_in_training_only_and_between_layers_only(cell):
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 4, 2)), tf.float32)
    for options, active in (
        ({"layers": 1, "dropout": 0.5}, False),
        ({"layers": 2, "dropout": 0.5}, True),
        ({"layers": 1, "recurrent_dropout": 0.5}, True),
    ):
        stack, _ = filled(RecurrentStack(cell, 8, seed=0, **options))
        trained, predicted = stack(x, training=True).numpy(), stack(x).numpy()
        assert (np.abs(trained - predicted).max() > 1e-3) == active
        np.testing.assert_array_equal(predicted, stack(x))


def trees_of(rng, lengths, bidirectional):
    """Draw rows of symbols 0 to 2 with much in common; return them with what `read_trees` takes."""
    rows = rng.integers(0, 3, (len(lengths), lengths.max()))
    rows[1:, :2] = rows[0, :2]  # shared beginnings
    rows[2, 2:4] = rows[1, 2:4]  # and a shared whole
    rows = np.where(np.arange(lengths.max()) < lengths[:, None], rows, 0)
    tree, nodes = prefix_tree(rows, lengths)
    assert len(tree.symbols) < lengths.sum()
    trees = [(*tree, nodes)]
    if bidirectional:
        tree, nodes = prefix_tree(turned_around(rows, lengths), lengths)
        trees.append((*tree, turned_around(nodes, lengths)))
    return rows, trees


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (2, True)])
def test_reading_trees_of_a_table_equals_reading_the_vectors(cell, layers, bidirectional):
    stack, rng = filled(RecurrentStack(cell, 3, layers, bidirectional, initial_state="learned"))
    table = tf.constant(rng.normal(size=(3, 2)), tf.float32)
    lengths = np.array([5, 4, 4, 2, 0])
    rows, trees = trees_of(rng, lengths, bidirectional)
    expected = stack(tf.gather(table, rows), lengths=tf.constant(lengths)).numpy()
    found = stack.read_trees(stack.project(table), trees, tf.constant(lengths)).numpy()
    keep = np.arange(5) < lengths[:, None]
    np.testing.assert_allclose(found[keep], expected[keep], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooling_while_trees_are_read_equals_pooling_afterwards(cell, kind, bidirectional):
    stack, rng = filled(RecurrentStack(cell, 3, 1, bidirectional, initial_state="learned"))
    table = tf.constant(rng.normal(size=(3, 2)), tf.float32)
    lengths = np.array([5, 4, 4, 2, 1])
    rows, trees = trees_of(rng, lengths, bidirectional)
    pooling = Pooling(kind, bidirectional)
    pooling.build((None, None, stack.output_dim))
    steps = stack(tf.gather(table, rows), lengths=tf.constant(lengths))
    found = stack.pool_trees(stack.project(table), trees, tf.constant(lengths), pooling)
    np.testing.assert_allclose(found, pooling(steps, tf.constant(lengths)), atol=1e-6)


@pytest.mark.parametrize(("cell", "activation"), [("jordan", "tanh"), ("elman", "sigmoid"), ("gru", "relu")])
def test_prediction_over_trees_leaves_no_dropout_mask_behind(cell, activation):
    stack = RecurrentStack(cell, 3, 1, False, activation=activation, recurrent_dropout=0.5, seed=0)
    stack.build((None, None, 2))
    table, rows, lengths = tf.ones([2, 2]), np.array([[0, 1], [1, 0]]), np.array([2, 2])
    tree, nodes = prefix_tree(rows, lengths)
    trees = [[tf.constant(array) for array in (*tree, nodes)]]

    @tf.function
    def predict():
        return stack.read_trees(stack.project(table), trees, tf.constant(lengths))

    @tf.function
    def train():
        return stack(tf.gather(table, rows), lengths=tf.constant(lengths), training=True)

    np.testing.assert_allclose(predict(), stack(tf.gather(table, rows), lengths=tf.constant(lengths)), atol=1e-6)
    assert np.abs(train() - predict()).max() > 1e-3


def test_a_seed_gives_the_same_weights_and_every_matrix_its_own():
    one, two, other = (RecurrentStack("lstm", 4, 2, seed=seed) for seed in (5, 5, 6))
    for stack in (one, two, other):
        stack.build((None, None, 8))
    kernels = [v.numpy() for v in one.trainable_variables if v.name.endswith("kernel")]
    for a, b in zip(one.trainable_variables, two.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)
    changed = [
        (a.numpy() != b.numpy()).any() for a, b in zip(one.weights, other.weights, strict=True) if "kernel" in a.name
    ]
    assert all(changed)
    assert all((a != b).any() for i, a in enumerate(kernels) for b in kernels[:i] if a.shape == b.shape)


@pytest.mark.parametrize("cell", [*CELLS, "jordan"])
def test_configuration_round_trip(cell):
    stack, _ = filled(RecurrentStack(cell, 3, 2, activation="relu", initial_state="learned", dtype="mixed_bfloat16"))
    config = keras.saving.serialize_keras_object(stack)
    again = keras.saving.deserialize_keras_object(config)
    again.set_weights(stack.get_weights())
    x = tf.constant(np.random.default_rng(2).normal(size=(2, 4, 2)), tf.float32)
    outputs = stack(x)
    assert outputs.dtype == tf.bfloat16  # the precision is the layer's own, not the process's
    np.testing.assert_array_equal(tf.cast(again(x), tf.float32), tf.cast(outputs, tf.float32))
    one = stack.directions[0][1]
    alone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(one))
    alone.set_weights(one.get_weights())
    np.testing.assert_array_equal(tf.cast(alone(x), tf.float32), tf.cast(one(x), tf.float32))


def test_unknown_names_are_refused():
    with pytest.raises(ParameterError, match=r"cell='lstmm' is not known. Expected one of: elman, jordan, lstm, gru"):
        RecurrentStack("lstmm")
    with pytest.raises(ParameterError, match="initial_state='random'"):
        Recurrent(make_cell("elman", 2), initial_state="random")
