"""Optimizers by name."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from seqkit.errors import ParameterError


@keras.saving.register_keras_serializable("seqkit")
class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam with one TensorFlow kernel for a variable's update in place of a dozen small ones.

    On a CPU the update of a small recurrent model takes a large part of a training step; fused it costs a third. Of a
    table of vectors only the rows that a batch used are updated ("lazy" Adam), so that a step does not grow with the
    vocabulary; every other variable gets what `keras.optimizers.Adam` would give it.

    Args: as `keras.optimizers.Adam`.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Apply Adam's rule (Kingma & Ba 2015, algorithm 1) to one variable."""
        if self.amsgrad:
            super().update_step(tf.convert_to_tensor(gradient), variable, learning_rate)
            return
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        rate, epsilon = tf.cast(learning_rate, dtype), tf.cast(self.epsilon, dtype)
        power_1, power_2 = tf.pow(beta_1, step), tf.pow(beta_2, step)
        index = self._get_variable_index(variable)
        weights = variable if isinstance(variable, tf.Variable) else variable.value
        m, v = self._momentums[index].value, self._velocities[index].value
        if not isinstance(gradient, tf.IndexedSlices):
            tf.raw_ops.ResourceApplyAdam(
                var=weights.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=power_1,
                beta2_power=power_2,
                lr=rate,
                beta1=beta_1,
                beta2=beta_2,
                epsilon=epsilon,
                grad=tf.cast(gradient, dtype),
            )
            return
        # Under plain `fit` a row comes once for each of its uses; the rule must see their sum.
        gradient = merge_rows(gradient)
        rows, values = gradient.indices, tf.cast(gradient.values, dtype)
        m_rows = beta_1 * tf.gather(m, rows) + (1.0 - beta_1) * values
        v_rows = beta_2 * tf.gather(v, rows) + (1.0 - beta_2) * tf.square(values)
        rate *= tf.sqrt(1.0 - power_2) / (1.0 - power_1)
        m.scatter_update(tf.IndexedSlices(m_rows, rows))
        v.scatter_update(tf.IndexedSlices(v_rows, rows))
        weights.scatter_sub(tf.IndexedSlices(rate * m_rows / (tf.sqrt(v_rows) + epsilon), rows))


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: list,
    variables: list,
    clip: float | None,
    clip_value: float | None = None,
) -> None:
    """Take an optimizer step.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        The optimizer.
    gradients : list of tf.Tensor or tf.IndexedSlices
        One for each variable.
    variables : list of keras.Variable
        The variables.
    clip : float or None
        Largest norm of all gradients together (Pascanu et al. 2013).
    clip_value : float or None
        Largest size of each number in a gradient, before that.
    """
    sparse = isinstance(optimizer, FusedAdam)
    gradients = [
        merge_rows(g) if sparse and isinstance(g, tf.IndexedSlices) else tf.convert_to_tensor(g) for g in gradients
    ]
    if clip_value is not None:
        gradients = tf.nest.map_structure(lambda g: tf.clip_by_value(g, -clip_value, clip_value), gradients)
    if clip is not None:
        gradients, _ = tf.clip_by_global_norm(gradients, clip)
    optimizer.apply(gradients, variables)


def merge_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Add up the slices of a row that occurs more than once."""
    rows, place = tf.unique(tf.reshape(gradient.indices, [-1]))
    values = tf.reshape(gradient.values, [-1, *gradient.values.shape[gradient.indices.shape.rank :]])
    return tf.IndexedSlices(tf.math.unsorted_segment_sum(values, place, tf.size(rows)), rows, gradient.dense_shape)


def make_optimizer(
    optimizer: str | dict | keras.optimizers.Optimizer, learning_rate: float
) -> keras.optimizers.Optimizer:
    """Make a fresh optimizer.

    Parameters
    ----------
    optimizer : str, dict or keras.optimizers.Optimizer
        A Keras name, a Keras configuration, or an optimizer, of which a fresh copy is made with its own settings.
    learning_rate : float
        Step size, for an optimizer given by name.

    Returns
    -------
    keras.optimizers.Optimizer
    """
    if isinstance(optimizer, str):
        name = optimizer.lower()
        config = {"learning_rate": learning_rate}
        if name == "adam":
            return FusedAdam(**config)
        return _deserialize({"class_name": name, "config": config}, optimizer)
    if isinstance(optimizer, dict):
        return _deserialize(optimizer, optimizer)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ParameterError(f"optimizer={optimizer!r} must be a Keras name, configuration or optimizer.")
    return type(optimizer).from_config(optimizer.get_config())


def cosine_decay(optimizer: keras.optimizers.Optimizer) -> Callable[[float], None]:
    """Return what sets the step size, given how much of training is done, 0 to 1: ``first (1 + cos(π done)) / 2``.

    Reference: I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, eq. 5.
    """
    first = optimizer.get_config()["learning_rate"]
    if isinstance(first, dict):
        raise ParameterError(
            "learning_rate_decay='cosine' goes with a learning rate that is a number; that of optimizer= has a "
            "schedule. Set learning_rate_decay=None."
        )

    def decay(done: float) -> None:
        optimizer.learning_rate = first * (1 + math.cos(math.pi * done)) / 2

    return decay


def _deserialize(config: dict, given: object) -> keras.optimizers.Optimizer:
    try:
        made = keras.optimizers.deserialize(copy.deepcopy(config))  # Keras puts the objects that it makes into it
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ParameterError(f"optimizer={given!r} is not one that Keras can make: {error}") from error
    if not isinstance(made, keras.optimizers.Optimizer):  # Keras gives an unknown name back as it is
        raise ParameterError(f"optimizer={given!r} is not known to Keras. Expected a name such as 'adam' or 'sgd'.")
    return made
