"""The moving average of weights, against its formula."""

import keras
import numpy as np
import tensorflow as tf

from seqkit.training.averaging import WeightAverage
from seqkit.training.optimizer import FusedAdam


def walk(average, variable, values):
    for value in values:
        variable.assign(value)
        average.step()


def reference(start, values, decay, every):
    mean = start
    for step, value in enumerate(values, 1):
        if step < every:
            mean = value
        if step % every == 0:
            n = step // every
            mean = mean + (1 - min(decay, (1 + n) / (10 + n))) * (value - mean)
    return mean


def test_average_follows_the_formula():
    values = [np.array([float(i), -i * i]) for i in range(1, 41)]
    for decay, every in ((0.99, 4), (0.3, 1)):  # 0.3: the decay itself is reached at the third update
        variable = tf.Variable([0.5, 0.5])
        average = WeightAverage([variable], decay, every)
        walk(average, variable, values)
        expected = reference(np.array([0.5, 0.5]), values, decay, every)
        np.testing.assert_allclose(average.averages[0], expected, rtol=1e-5)
        np.testing.assert_array_equal(variable, values[-1])


def test_swap_exchanges_and_undoes():
    variable = tf.Variable([1.0])
    average = WeightAverage([variable], every=1)
    walk(average, variable, [[5.0]])
    mean = average.averages[0].numpy()
    average.swap()
    assert (variable.numpy(), average.averages[0].numpy()) == (mean, 5.0)
    average.swap()
    assert (variable.numpy(), average.averages[0].numpy()) == (5.0, mean)


def test_training_in_place_leaves_the_average_alone():
    """Optimizer kernels write into a variable's memory; the average must not share it, after a swap neither."""
    weight = keras.Variable(np.ones(3, "float32"))
    optimizer = FusedAdam(0.1)
    optimizer.build([weight])
    average = WeightAverage([weight.value], every=1000)
    for _ in range(2):
        average.swap()
        average.swap()
        optimizer.apply([tf.ones(3)], [weight])
    np.testing.assert_allclose(weight, [0.8] * 3, atol=1e-5)
    np.testing.assert_array_equal(average.averages[0], [1.0] * 3)


def test_state_is_taken_up_by_another_run():
    values = [np.array([float(i)]) for i in range(1, 24)]
    one = tf.Variable([0.0])
    whole = WeightAverage([one])
    walk(whole, one, values)
    two = tf.Variable([0.0])
    first = WeightAverage([two])
    walk(first, two, values[:10])
    state = first.state()
    assert all(isinstance(a, np.ndarray) for a in state)
    three = tf.Variable([7.0])
    second = WeightAverage([three])
    second.restore(state)
    walk(second, three, values[10:])
    assert second.steps == whole.steps == 23
    np.testing.assert_array_equal(second.averages[0], whole.averages[0])
