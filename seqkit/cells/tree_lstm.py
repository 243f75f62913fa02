"""Tree-structured long short-term memories: child-sum and binary."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.scan import weight_gradient
from seqkit.cells.tree import TreeCell
from seqkit.precision import matmul


class _TreeLSTMCell(TreeCell):
    """What both share: a state is h and c, side by side, and a leaf has no children.

    A leaf: ``c = i ∘ u``, ``h = o ∘ tanh(c)`` with the gates u, i, o of its vector alone; the first three columns of
    ``kernel`` and ``bias``.
    """

    @property
    def state_size(self) -> int:
        """Numbers in a node's state: h and c."""
        return 2 * self.units

    def build(self, input_shape):
        """Make the weights."""
        units, gates, children = self.units, self.gates, self.most_children or 1

        def weight(name, shape, start):
            return self.add_weight(shape=shape, initializer=start, name=name)

        self.kernel = weight("kernel", (input_shape[-1], 3 * units), self.kernel_initializer)
        self.recurrent_kernel = weight(
            "recurrent_kernel", (children * units, gates * units), self.recurrent_initializer
        )
        self.bias = weight("bias", (gates * units,), "zeros")
        super().build(input_shape)

    def leaves(self, vectors):
        """Return h and c of leaves, [leaves, dim] to [leaves, 2 units]."""
        kernel, bias = tf.cast(self.kernel, vectors.dtype), tf.cast(self.bias, vectors.dtype)
        u, i, o = tf.split(matmul(vectors, kernel) + bias[: 3 * self.units], 3, 1)
        c = tf.sigmoid(i) * self.activation(u)
        return tf.concat([tf.sigmoid(o) * self.activation(c), c], 1)

    def hidden(self, states):
        """Return h of states, [nodes, units]."""
        return tf.split(states, 2, 1)[0]  # the gradient of a slice takes much longer

    def _weights(self):
        return [tf.cast(w, self.compute_dtype) for w in (self.recurrent_kernel, self.bias)]


@keras.saving.register_keras_serializable("seqkit")
class BinaryTreeLSTMCell(_TreeLSTMCell):
    """A level of the binary Tree-LSTM (Tai, Socher & Manning 2015, eq. 9 to 14 with N = 2).

    ``i = σ(W_i x + U_i [h_1; h_2] + b_i)``
    ``f_k = σ(U_fk [h_1; h_2] + b_fk)``, k = 1, 2
    ``o = σ(W_o x + U_o [h_1; h_2] + b_o)``
    ``u = tanh(W_u x + U_u [h_1; h_2] + b_u)``
    ``c = i ∘ u + f_1 ∘ c_1 + f_2 ∘ c_2``,  ``h = o ∘ tanh(c)``

    As in the paper's constituency trees, only leaves have a vector x and only inner nodes have children, so that there
    is no W_f; each forget gate has a bias of its own, as in the authors' program. A node's only child is the first;
    zeros stand for the second.

    ``W`` is ``kernel``, gates side by side in the order u, i, o; ``U`` is ``recurrent_kernel``, the rows of h_1 before
    those of h_2, gates in the order u, i, o, f_1, f_2; ``b`` is ``bias`` in this order too. ``tanh`` is ``activation``.

    Args: as for `seqkit.cells.tree.TreeCell`.
    """

    gates = 5
    node_parts = (1, 4)
    delta_parts = (5,)

    def _up(self, below, parents, count, weights):
        units = self.units
        kernel, bias = weights
        pairs = tf.reshape(below, [-1, 2, 2 * units])
        gates = matmul(tf.reshape(pairs[:, :, :units], [-1, 2 * units]), kernel) + bias
        u, rest = self.activation(gates[:, :units]), tf.sigmoid(gates[:, units:])
        i, o, f = tf.split(rest, [units, units, 2 * units], 1)
        c = i * u + tf.reduce_sum(tf.reshape(f, [-1, 2, units]) * pairs[:, :, units:], 1)
        return tf.concat([o * self.activation(c), c], 1), [u, rest], []

    def _factors(self, states, below, parents, of_nodes, of_children):
        units = self.units
        u, rest = of_nodes
        i, o, f = tf.split(rest, [units, units, 2 * units], 1)
        children = tf.reshape(tf.reshape(below, [-1, 2, 2 * units])[:, :, units:], [-1, 2 * units])
        tanh_c = tf.tanh(states[:, units:])
        to_deltas = tf.concat([i, u, tanh_c, children], 1) * tf.concat([1.0 - u * u, rest * (1.0 - rest)], 1)
        return [o * (1.0 - tanh_c * tanh_c), to_deltas, f], []

    def _down(self, gradient, of_nodes, of_children, parents, transposed):
        # With δ for the gradient towards what σ and tanh are applied to:
        #   dc += dh ∘ o (1 - tanh² c),   δu = dc ∘ i (1 - u²),   δi = dc ∘ u ∘ i (1 - i),   δo = dh ∘ tanh(c) o (1 - o)
        #   δf_k = dc ∘ c_k ∘ f_k (1 - f_k),   [dh_1; dh_2] = δ Uᵀ,   dc_k = dc ∘ f_k
        units = self.units
        h_to_c, to_deltas, f = of_nodes
        dh, dc = tf.split(gradient, 2, 1)
        dc += dh * h_to_c
        delta = tf.concat([dc, dc, dh, dc, dc], 1) * to_deltas
        d_hidden = tf.reshape(matmul(delta, transposed[0]), [-1, 2, units])
        d_cells = dc[:, None] * tf.reshape(f, [-1, 2, units])
        return tf.reshape(tf.concat([d_hidden, d_cells], 2), [-1, 2 * units]), [delta]

    def _weight_gradients(self, below, parents, count, deltas):
        hidden = tf.reshape(below[:, : self.units], [-1, 2 * self.units])
        return [weight_gradient(hidden, deltas[0]), tf.reduce_sum(deltas[0], 0)]


@keras.saving.register_keras_serializable("seqkit")
class ChildSumTreeLSTMCell(_TreeLSTMCell):
    """A level of the child-sum Tree-LSTM (Tai, Socher & Manning 2015, eq. 2 to 8), for any number of children.

    ``h~ = Σ_k h_k``
    ``i = σ(W_i x + U_i h~ + b_i)``
    ``f_k = σ(U_f h_k + b_f)``
    ``o = σ(W_o x + U_o h~ + b_o)``
    ``u = tanh(W_u x + U_u h~ + b_u)``
    ``c = i ∘ u + Σ_k f_k ∘ c_k``,  ``h = o ∘ tanh(c)``

    Only leaves have a vector x and only inner nodes have children, so that there is no W_f.

    ``W`` is ``kernel``, gates side by side in the order u, i, o; ``U`` is ``recurrent_kernel`` and ``b`` is ``bias``,
    gates in the order u, i, o, f. ``tanh`` is ``activation``.

    Args: as for `seqkit.cells.tree.TreeCell`.
    """

    most_children = None
    gates = 4
    node_parts = (1, 2)
    child_parts = (1,)
    delta_parts = (3, 1)

    def _up(self, below, parents, count, weights):
        units = self.units
        kernel, bias = weights
        h, c = tf.split(below, 2, 1)
        gates = matmul(_sums(h, parents, count), kernel[:, : 3 * units]) + bias[: 3 * units]
        u, rest = self.activation(gates[:, :units]), tf.sigmoid(gates[:, units:])
        i, o = tf.split(rest, 2, 1)
        f = tf.sigmoid(matmul(h, kernel[:, 3 * units :]) + bias[3 * units :])
        c = i * u + _sums(f * c, parents, count)
        return tf.concat([o * self.activation(c), c], 1), [u, rest], [f]

    def _factors(self, states, below, parents, of_nodes, of_children):
        u, rest = of_nodes
        i, o = tf.split(rest, 2, 1)
        (f,) = of_children
        tanh_c = tf.tanh(states[:, self.units :])
        to_deltas = tf.concat([i, u, tanh_c], 1) * tf.concat([1.0 - u * u, rest * (1.0 - rest)], 1)
        return [o * (1.0 - tanh_c * tanh_c), to_deltas], [f, below[:, self.units :] * f * (1.0 - f)]

    def _down(self, gradient, of_nodes, of_children, parents, transposed):
        # As in the binary cell, but δf_k = dc ∘ c_k ∘ f_k (1 - f_k) is a child's own and dh_k = δ U_uioᵀ + δf_k U_fᵀ.
        units = self.units
        h_to_c, to_deltas = of_nodes
        f, to_forget = of_children
        dh, dc = tf.split(gradient, 2, 1)
        dc += dh * h_to_c
        delta = tf.concat([dc, dc, dh], 1) * to_deltas
        d_sum = matmul(delta, transposed[0][: 3 * units])
        d_sum, dc = tf.split(tf.gather(tf.concat([d_sum, dc], 1), parents), 2, 1)
        forget = dc * to_forget
        d_hidden = d_sum + matmul(forget, transposed[0][3 * units :])
        return tf.concat([d_hidden, dc * f], 1), [delta, forget]

    def _weight_gradients(self, below, parents, count, deltas):
        h = below[:, : self.units]
        kernels = [weight_gradient(_sums(h, parents, count), deltas[0]), weight_gradient(h, deltas[1])]
        return [tf.concat(kernels, 1), tf.concat([tf.reduce_sum(delta, 0) for delta in deltas], 0)]


def _sums(values: tf.Tensor, parents: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Add up the rows of each parent's children."""
    return tf.math.unsorted_segment_sum(values, parents, count)
