"""The training loop, on a model of one number whose gradient is always 1."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.console import progress
from seqkit.errors import ParameterError
from seqkit.training.loop import TrainingLoop
from seqkit.training.optimizer import cosine_decay, make_optimizer


class OneNumber(keras.Model):
    def __init__(self):
        super().__init__()
        self.number = self.add_weight(shape=(), initializer="zeros", name="number")
        self.built = True


def test_the_step_size_falls_to_nothing_by_the_last_step():
    model, optimizer, numbers = OneNumber(), make_optimizer("sgd", 0.5), []
    optimizer.build(model.trainable_variables)

    @tf.function
    def graph(_):
        optimizer.apply([tf.ones([])], model.trainable_variables)
        return tf.zeros([])

    def step(batch):
        loss = graph(batch)
        numbers.append(float(model.number))
        return loss

    quiet, decay = partial(progress, enabled=False), cosine_decay(optimizer)
    TrainingLoop(model, optimizer, step, lambda rng: [0, 1, 2], 3, 2, quiet, decay=decay).run()
    sizes = -np.diff([0.0, *numbers])
    np.testing.assert_allclose(sizes, 0.5 * (1 + np.cos(np.pi * np.arange(6) / 6)) / 2, rtol=1e-5)


def test_an_optimizer_that_has_a_schedule_keeps_it():
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))
    with pytest.raises(ParameterError, match="has a schedule"):
        cosine_decay(optimizer)
