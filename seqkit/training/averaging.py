"""An exponential moving average of a model's weights."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from seqkit.graph import graph


class WeightAverage:
    """Average weights over training steps (Polyak & Juditsky 1992): less noise, and no learning-rate decay needed.

    ``average ← average + (1 - d) (weight - average)`` every `every` steps, with ``d = min(decay, (1 + n) / (10 + n))``
    at the n-th update, so that the first random weights are soon forgotten; before the first update the average is
    the weights themselves.

    Parameters
    ----------
    variables : list of tf.Variable
        The weights.
    decay : float
        ``d`` in the long run, for one update.
    every : int
        Steps between updates.
    """

    def __init__(self, variables: list[tf.Variable], decay: float = 0.99, every: int = 4):
        self.variables = variables
        self.averages = [tf.Variable(v, trainable=False) for v in variables]
        self.decay, self.every = decay, every
        self.steps = 0
        self._update = graph(self._assign, tf.TensorSpec([], tf.float32))

    def _assign(self, rate):
        for average, variable in zip(self.averages, self.variables, strict=True):
            average.assign_add(rate * (variable - average))

    def step(self) -> None:
        """Count one optimizer step."""
        self.steps += 1
        if self.steps < self.every:  # the weights themselves, so that a fit of few steps is not lost
            self._update(tf.constant(1.0, tf.float32))
        elif self.steps % self.every == 0:
            n = self.steps // self.every
            self._update(tf.constant(1.0 - min(self.decay, (1 + n) / (10 + n)), tf.float32))

    def swap(self) -> None:
        """Exchange the weights and their averages; a second call undoes it."""
        for average, variable in zip(self.averages, self.variables, strict=True):
            value = tf.identity(variable)
            variable.assign(average)
            average.assign(value)

    def state(self) -> list[np.ndarray]:
        """Return what `restore` needs."""
        return [np.array(self.steps), *(v.numpy() for v in self.averages)]

    def restore(self, state: list[np.ndarray]) -> None:
        """Take up the state of another run."""
        self.steps = int(state[0])
        for average, value in zip(self.averages, state[1:], strict=True):
            average.assign(value)
