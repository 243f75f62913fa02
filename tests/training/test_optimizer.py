"""FusedAdam against Keras' Adam, and optimizers by name, configuration and example."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import ParameterError
from seqkit.training.optimizer import FusedAdam, apply_gradients, make_optimizer

SHAPES = [(5, 3), (7,), (2, 2, 2)]


def variables():
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in SHAPES]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"amsgrad": True},
        {"weight_decay": 0.1},
        {"global_clipnorm": 0.5},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_fused_adam_equals_keras_adam(options):
    options = {"learning_rate": 0.01, **options}
    one, two = variables(), variables()
    fused, plain = FusedAdam(**options), keras.optimizers.Adam(**options)
    fused.build(one)
    plain.build(two)
    step = tf.function(lambda gradients: fused.apply(gradients, one))
    rng = np.random.default_rng(1)
    for _ in range(6):
        gradients = [tf.constant(rng.normal(size=shape), tf.float32) for shape in SHAPES]
        step(gradients)
        plain.apply(gradients, two)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert np.abs(one[0].numpy() - variables()[0].numpy()).max() > 0.02
    assert int(fused.iterations) == 6


def lazy_adam(table, steps, rate=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Kingma & Ba's algorithm 1 for the rows that a step uses; the others, and their moments, stay as they are."""
    table, m, v = table.astype(np.float64), np.zeros(table.shape), np.zeros(table.shape)
    for t, (rows, values) in enumerate(steps, 1):
        dense = np.zeros(table.shape)
        np.add.at(dense, rows, values)
        for row in set(rows):
            m[row] = beta_1 * m[row] + (1 - beta_1) * dense[row]
            v[row] = beta_2 * v[row] + (1 - beta_2) * dense[row] ** 2
            unbiased = np.sqrt(v[row] / (1 - beta_2**t))
            # Keras adds epsilon before the correction of v's bias.
            scaled = epsilon / np.sqrt(1 - beta_2**t)
            table[row] -= rate * m[row] / (1 - beta_1**t) / (unbiased + scaled)
    return table


@pytest.mark.parametrize("through", ["optimizer.apply", "apply_gradients"])
def test_rows_of_a_table_are_updated_where_they_were_used(through):
    """Rows used several times in a batch get one update, by the sum of their gradients."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(6, 2)).astype(np.float32)
    steps = [(rows, rng.normal(size=(len(rows), 2))) for rows in ([1, 4, 1], [4, 0], [1, 1, 1, 5])]
    table = keras.Variable(start)
    optimizer = FusedAdam(0.1)
    optimizer.build([table])
    for rows, values in steps:
        gradient = tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), tf.constant([6, 2]))
        if through == "optimizer.apply":
            optimizer.apply([gradient], [table])
        else:
            apply_gradients(optimizer, [gradient], [table], clip=None)
    np.testing.assert_allclose(table, lazy_adam(start, steps), atol=1e-6)
    np.testing.assert_array_equal(table.numpy()[[2, 3]], start[[2, 3]])


@pytest.mark.parametrize("make", [FusedAdam, keras.optimizers.SGD])
def test_gradients_are_clipped_by_their_norm_together(make):
    """Rows that come twice count as their sum: (3, 0) here, with (4) beside it a norm of 5."""
    table, weight = keras.Variable(np.zeros((2, 2), "float32")), keras.Variable(np.zeros(1, "float32"))
    optimizer = make(1.0)
    optimizer.build([table, weight])
    slices = tf.IndexedSlices(tf.constant([[1.0, 0.0], [2.0, 0.0]]), tf.constant([1, 1]), tf.constant([2, 2]))
    apply_gradients(optimizer, [slices, tf.constant([4.0])], [table, weight], clip=2.5)
    if make is keras.optimizers.SGD:
        np.testing.assert_allclose(table, [[0, 0], [-1.5, 0]], atol=1e-6)
        np.testing.assert_allclose(weight, [-2.0], atol=1e-6)
    else:  # Adam's first moment shows the gradient
        np.testing.assert_allclose(optimizer._momentums[0], [[0, 0], [0.15, 0]], atol=1e-6)
        np.testing.assert_allclose(optimizer._momentums[1], [0.2], atol=1e-6)


def test_by_name():
    adam = make_optimizer("adam", 0.01)
    assert type(adam) is FusedAdam
    assert float(adam.learning_rate) == pytest.approx(0.01)
    assert type(make_optimizer("Adam", 0.01)) is FusedAdam
    sgd = make_optimizer("SGD", 0.5)
    assert type(sgd) is keras.optimizers.SGD
    assert float(sgd.learning_rate) == 0.5


def test_by_configuration_and_by_example():
    example = keras.optimizers.SGD(0.3, momentum=0.9)
    variable = keras.Variable(np.ones(2, "float32"))
    example.build([variable])
    example.apply([tf.ones(2)], [variable])
    by_config = make_optimizer(keras.optimizers.serialize(example), 7.0)
    by_example = make_optimizer(example, 7.0)
    for made in (by_config, by_example):
        assert type(made) is keras.optimizers.SGD
        assert made is not example
        assert (float(made.learning_rate), made.momentum) == (pytest.approx(0.3), 0.9)
        assert not made.built  # a fresh one: nothing of the example's training is left
        assert int(made.iterations) == 0


def test_a_schedule_survives_the_copy():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    example = keras.optimizers.SGD(schedule)
    config = keras.optimizers.serialize(example)
    before = copy.deepcopy(config)
    assert float(make_optimizer(config, 7.0).learning_rate) == pytest.approx(0.1)
    assert config == before  # what a user gave stays as it was
    made = make_optimizer(example, 7.0)
    variable = keras.Variable(np.zeros(1, "float32"))
    made.build([variable])
    for _ in range(3):
        made.apply([tf.ones(1)], [variable])
    np.testing.assert_allclose(variable, [-(0.1 + 0.05 + 0.025)], atol=1e-6)


@pytest.mark.parametrize("wrong", ["adamm", {"class_name": "nope", "config": {}}, 3, None])
def test_what_keras_does_not_know_is_refused(wrong):
    with pytest.raises(ParameterError, match="optimizer="):
        make_optimizer(wrong, 0.1)


def test_fused_adam_is_saved_as_itself():
    config = keras.optimizers.serialize(FusedAdam(0.02, beta_1=0.8))
    again = keras.optimizers.deserialize(config)
    assert type(again) is FusedAdam
    assert (float(again.learning_rate), again.beta_1) == (pytest.approx(0.02), 0.8)
