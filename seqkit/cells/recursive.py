"""The plain recursive network over trees."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.scan import GRADIENTS, weight_gradient
from seqkit.cells.tree import TreeCell
from seqkit.precision import matmul


@keras.saving.register_keras_serializable("seqkit")
class RecursiveCell(TreeCell):
    """The plain recursive network (Socher et al. 2011, "Parsing natural scenes and natural language", eq. 3).

    A leaf: ``h = g(x W_x + b_x)``
    A node: ``h = g([h_left; h_right] W + b)``

    ``W_x`` is ``kernel``, ``b_x`` is ``bias``; ``W`` is ``recurrent_kernel``, first the rows of the left child, and
    ``b`` is ``recurrent_bias``; ``g`` is ``activation``. A node's only child is the left one; zeros stand for the
    other.

    Args: as for `seqkit.cells.tree.TreeCell`.
    """

    @property
    def by_hand(self) -> bool:
        """Whether the gradient of a level is made by hand: that of tanh and relu is."""
        return self.activation in GRADIENTS

    def build(self, input_shape):
        """Make the weights."""
        units = self.units

        def weight(name, shape, start):
            return self.add_weight(shape=shape, initializer=start, name=name)

        self.kernel = weight("kernel", (input_shape[-1], units), self.kernel_initializer)
        self.bias = weight("bias", (units,), "zeros")
        self.recurrent_kernel = weight("recurrent_kernel", (2 * units, units), self.recurrent_initializer)
        self.recurrent_bias = weight("recurrent_bias", (units,), "zeros")
        super().build(input_shape)

    def leaves(self, vectors):
        """Return h of leaves, [leaves, dim] to [leaves, units]."""
        kernel, bias = (tf.cast(w, vectors.dtype) for w in (self.kernel, self.bias))
        return self.activation(matmul(vectors, kernel) + bias)

    def _weights(self):
        return [tf.cast(w, self.compute_dtype) for w in (self.recurrent_kernel, self.recurrent_bias)]

    def _up(self, below, parents, count, weights):
        kernel, bias = weights
        return self.activation(matmul(tf.reshape(below, [-1, 2 * self.units]), kernel) + bias), [], []

    def _factors(self, states, below, parents, of_nodes, of_children):
        return [states], []

    def _down(self, gradient, of_nodes, of_children, parents, transposed):
        # δ = dh ∘ g',  [dh_left; dh_right] = δ Wᵀ
        delta = GRADIENTS[self.activation](of_nodes[0], gradient)
        return tf.reshape(matmul(delta, transposed[0]), [-1, self.units]), [delta]

    def _weight_gradients(self, below, parents, count, deltas):
        pairs = tf.reshape(below, [-1, 2 * self.units])
        return [weight_gradient(pairs, deltas[0]), tf.reduce_sum(deltas[0], 0)]
