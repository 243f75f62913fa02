"""Cells that run over a whole sequence by themselves, with a gradient by hand."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from seqkit.precision import factor, matmul


class ScanCell:
    """What a cell adds to Keras' protocol to be fast.

    A cell has `projection`, `projected_step` and `scan_with_gradient`, of which `scan` is made, and says in `can_scan`
    when they compute what `call` does.
    """

    @property
    def can_scan(self) -> bool:
        """Whether `scan` computes what `call` does."""
        return self.compute_dtype == "float32" and self.use_bias and not self.dropout

    def scan(
        self, inputs: tf.Tensor, state: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Run the cell over a whole sequence.

        Equal to stepping with `call`, and faster: the products of the inputs are made beforehand for all steps at once,
        and in training the gradient is made by hand, its loop too holding only what is recurrent.

        Args:
            inputs: Tensor [time, batch, dim]; or integers [time, batch], which stand for vectors of one 1 (one-hot).
            state: The cell's states before the first step, each [batch, units].
            training: Whether recurrent dropout is active, and a gradient by hand is to be had. Without, the loop keeps
                nothing but its outputs (TensorFlow can still differentiate it, more slowly).

        Returns:
            Tensor [time, batch, units], the output at every step; and the states after the last step, a list.
        """
        projected = self.project(inputs)
        if training:
            return self.scan_with_gradient(projected, state, self._state_mask(tf.shape(inputs)[1]))
        each, one = steps_of(projected), self.projected_step()

        def step(t, *state):
            output, state = one(each.read(t), list(state))
            return state, [output]

        state, (outputs,) = loop(step, tf.shape(inputs)[0], state, 1)
        return outputs.stack(), state

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return what a step makes of its input alone: [..., dim], or integers [...], to [..., dim projected]."""
        return self.projection()(inputs)

    def projection(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return `project` as a function that has made what it needs of the weights."""
        raise NotImplementedError

    def projected_step(self) -> Callable[[tf.Tensor, list[tf.Tensor]], tuple[tf.Tensor, list[tf.Tensor]]]:
        """Return a function ``(projected input, states) -> (output, states)`` that does as `call` in prediction.

        Where many steps share a few distinct inputs (the words of a text), `project` is done once for each; and what is
        made of the weights is made when this is called, not at each step.
        """
        raise NotImplementedError

    def scan_with_gradient(
        self, projected: tf.Tensor, state: list[tf.Tensor], mask: tf.Tensor | None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Run over projected inputs [time, batch, dim]; ``mask`` [batch, units] multiplies each state fed back.

        Returns what `scan` does.
        """
        raise NotImplementedError

    def _state_mask(self, rows: tf.Tensor) -> tf.Tensor | None:
        """Draw one mask for all steps of a sequence (Gal & Ghahramani 2016), scaled to keep the mean."""
        if not self.recurrent_dropout:
            return None
        keep = 1.0 - self.recurrent_dropout
        noise = keras.random.uniform((rows, self.units), seed=self.seed_generator)
        return tf.cast(noise < keep, tf.float32) / keep


def affine(kernel: tf.Tensor, bias: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function to ``W x + b``; of integers, which stand for vectors of one 1, it looks up ``W + b``."""
    rows, kernel = kernel + bias, factor(kernel)

    def apply(inputs):
        return tf.gather(rows, inputs) if inputs.dtype.is_integer else product(inputs, kernel) + bias

    return apply


def product(values: tf.Tensor, matrix: tf.Tensor, transpose: bool = False) -> tf.Tensor:
    """Multiply [..., dim] by a matrix, or by its transpose: a ``tensordot`` of fewer operations, for small steps."""
    if values.shape.rank == 2:
        return matmul(values, matrix, transpose_b=transpose)
    flat = matmul(tf.reshape(values, [-1, values.shape[-1]]), matrix, transpose_b=transpose)
    return tf.reshape(flat, tf.concat([tf.shape(values)[:-1], flat.shape[-1:]], 0))


def masked(state: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Multiply by a mask, if there is one."""
    return state if mask is None else state * mask


def tanh_gradient(values: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Return ``gradient ∘ (1 - t²)``, in one pass, for values t of a tanh."""
    return tf.raw_ops.TanhGrad(y=values, dy=gradient)


def sigmoid_gradient(values: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Return ``gradient ∘ s (1 - s)``, in one pass, for values s of a sigmoid."""
    return tf.raw_ops.SigmoidGrad(y=values, dy=gradient)


# What is made of a value of each activation that gradients by hand know, and of the gradient towards it.
GRADIENTS = {
    keras.activations.tanh: tanh_gradient,
    keras.activations.relu: lambda values, gradient: tf.where(values > 0, gradient, 0.0),
}


def weight_gradient(inputs: tf.Tensor, deltas: tf.Tensor) -> tf.Tensor:
    """Return the gradient of a kernel from what it was applied to and what came back, both [time, batch, ...]."""
    rows = [tf.reshape(values, [-1, values.shape[-1]]) for values in (inputs, deltas)]
    return matmul(*rows, transpose_a=True)


def steps_of(values: tf.Tensor) -> tf.TensorArray:
    """Hold [time, ...] so that a loop reads it step by step."""
    return tf.TensorArray(values.dtype, size=tf.shape(values)[0]).unstack(values)


def loop(step, steps: tf.Tensor, state: list[tf.Tensor], kept: int, backward: bool = False):
    """Run ``step(t, *state) -> (state, values)`` for every t, in order or from the last to the first.

    What a step makes is read again by the step that goes back, while it is small enough to stay in the processor's
    cache; of all steps at once only what a product needs is put together.

    Args:
        step: The function.
        steps: Integer scalar.
        state: Float32 tensors that one step hands to the next.
        kept: How many values each step gives.
        backward: Whether t falls.

    Returns:
        The last state, a list; and the values of all steps, a list of ``tf.TensorArray``, which may be read repeatedly.
    """

    def body(t, state, arrays):
        state, values = step(t, *state)
        return t + (-1 if backward else 1), list(state), [a.write(t, v) for a, v in zip(arrays, values, strict=True)]

    arrays = [tf.TensorArray(tf.float32, size=steps, clear_after_read=False) for _ in range(kept)]
    begin = (steps - 1 if backward else 0, list(state), arrays)
    goes_on = (lambda t, *_: t >= 0) if backward else (lambda t, *_: t < steps)
    _, state, arrays = tf.while_loop(goes_on, body, begin, maximum_iterations=steps)
    return state, arrays
