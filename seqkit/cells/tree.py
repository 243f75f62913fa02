"""What cells over trees share: the loop over depths."""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf


class TreeCell(keras.layers.Layer):
    """What cells over trees share: a batch of trees is read level by level, from the deepest up.

    A forest stands in breadth-first order: all roots, then all nodes of depth 1, and so on, each level from left to
    right. So the children of one level are the whole next level, in order, and two vectors say all there is to know:
    how many children each node has, and where each level begins. A level of all trees is one step, a few large
    products. A step sees the level below it and nothing else: memory and time grow linearly, however deep the trees.

    A node's state is one row, its h first. A subclass makes `leaves` and `_up`, and where it says so in ``by_hand``,
    the gradient of a level: `_factors`, `_down` and `_weight_gradients`. What these hand each other are lists of
    tensors, those with a row for each node and those with a row for each child apart.

    Args:
        units: Size of h.
        activation: Activation of h; any Keras activation name or function.
        kernel_initializer: Start of the weights of leaf vectors.
        recurrent_initializer: Start of the weights of the children's states.
    """

    #: Most children of a node, None for any number. Where it is 2, a child that is missing is a row of zeros.
    most_children: int | None = 2
    #: What `_up` keeps of each node and of each child, and the deltas that `_down` gives, in multiples of `units`.
    node_parts: tuple[int, ...] = ()
    child_parts: tuple[int, ...] = ()
    delta_parts: tuple[int, ...] = (1,)

    def __init__(
        self,
        units: int,
        activation="tanh",
        kernel_initializer="glorot_uniform",
        recurrent_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)

    @property
    def state_size(self) -> int:
        """Numbers in a node's state."""
        return self.units

    @property
    def by_hand(self) -> bool:
        """Whether the gradient of a level is made by hand, which is faster than TensorFlow's."""
        return self.activation is keras.activations.tanh

    def leaves(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return the states of leaves, [leaves, dim] to [leaves, state_size]."""
        raise NotImplementedError

    def level(self, below: tf.Tensor, parents: tf.Tensor | None = None, count: tf.Tensor | None = None) -> tf.Tensor:
        """Return the states of the nodes of one level from those of their children.

        Args:
            below: Tensor [children, state_size], parent by parent; two rows for each parent where ``most_children`` is
                2 (zeros for a child that is missing).
            parents: Integer tensor [children]: the number of each child's parent, in rising order.
            count: Number of parents. It and ``parents`` are for cells with any number of children.

        Returns:
            Tensor [parents, state_size].
        """
        return self._up(below, parents, count, self._weights())[0]

    def read(self, leaves: tf.Tensor, child_counts: tf.Tensor, levels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Read a forest in breadth-first order.

        Args:
            leaves: Tensor [leaves, state_size], from `leaves`.
            child_counts: Integer tensor [nodes], 0 for a leaf.
            levels: Integer tensor [depths + 1]: the first node of each level, then the number of nodes.
            training: Whether a gradient by hand is to be had. Without, the loop keeps nothing but states (TensorFlow
                can still differentiate it, more slowly).

        Returns:
            Tensor [nodes, state_size].
        """
        places = arrange(child_counts, levels, self.most_children)
        if training and self.by_hand:
            return self._read_with_gradient(leaves, places)
        inner = self._climb(leaves, places, self._weights())[0]
        return tf.gather(tf.concat([inner, leaves], 0), places.nodes)

    def hidden(self, states: tf.Tensor) -> tf.Tensor:
        """Return h of states, [nodes, units]."""
        return states

    def _climb(self, leaves, places: Places, weights, keep: bool = False) -> list[tf.Tensor]:
        """Return the states of inner nodes [inner, state_size]; with ``keep``, then what `_up` keeps."""
        nothing = leaves[:0]
        missing = tf.zeros([1, self.state_size], leaves.dtype)

        def step(t, states):
            row = Bounds(*tf.unstack(places.bounds[t]))
            pool = tf.concat([states, leaves[row.leaf : row.leaf_end], missing], 0)
            parents = places.parents[row.child : row.child_end] - row.inner
            below = tf.gather(pool, places.below[row.child : row.child_end])
            states, *kept = self._up(below, parents, row.inner_end - row.inner, weights)
            return states, [states, *(v for part in kept for v in part)] if keep else [states]

        sizes = [self.state_size]
        if keep:
            sizes += [part * self.units for part in (*self.node_parts, *self.child_parts)]
        return _over_levels(step, places, nothing, sizes, upwards=True)

    def _read_with_gradient(self, leaves, places: Places):
        """Return the states of all nodes, with a gradient by hand."""
        size = self.state_size

        @tf.custom_gradient
        def run(leaves, *weights):
            states, *kept = self._climb(leaves, places, weights, keep=True)
            split, inner_total = len(self.node_parts), tf.shape(states)[0]
            all_states = tf.concat([states, leaves, tf.zeros([1, size], leaves.dtype)], 0)

            def gradient(d_nodes):
                d_states = tf.gather(tf.convert_to_tensor(d_nodes), places.order)
                below = tf.gather(all_states, places.children)
                # Every factor but what comes from above is known beforehand, for all levels at once.
                transposed = [tf.transpose(w) for w in weights]
                of_nodes, of_children = self._factors(states, below, places.parents, kept[:split], kept[split:])

                def step(t, d_above):
                    row = Bounds(*tf.unstack(places.bounds[t]))
                    inner, children = slice(row.inner, row.inner_end), slice(row.child, row.child_end)
                    d_below, deltas = self._down(
                        d_above + d_states[inner],
                        [v[inner] for v in of_nodes],
                        [v[children] for v in of_children],
                        places.parents[children] - row.inner,
                        transposed,
                    )
                    inner_below = places.inner_child[row.inner_end : row.next_inner_end] - row.child
                    return tf.gather(d_below, inner_below), [d_below, *deltas]

                sizes = [size, *(part * self.units for part in self.delta_parts)]
                first = tf.zeros([tf.reduce_sum(places.bounds[:1, 1]), size], leaves.dtype)
                d_below, *deltas = _over_levels(step, places, first, sizes, upwards=False)
                # A leaf that is a whole tree has no parent, and no gradient from one.
                d_below = tf.concat([d_below, tf.zeros([1, size], leaves.dtype)], 0)
                d_leaves = d_states[inner_total:] + tf.gather(d_below, places.leaf_child)
                return d_leaves, *self._weight_gradients(below, places.parents, inner_total, deltas)

            return tf.gather(all_states, places.nodes), gradient

        return run(leaves, *self._weights())

    def _weights(self) -> list[tf.Tensor]:
        """Return the weights that a level needs, in the precision of computation."""
        raise NotImplementedError

    def _up(self, below, parents, count, weights):
        """Return states [parents, state_size], and two lists of what the gradient needs of nodes and of children."""
        raise NotImplementedError

    def _factors(self, states, below, parents, of_nodes, of_children):
        """Make of what `_up` kept the two lists that `_down` needs."""
        raise NotImplementedError

    def _down(self, gradient, of_nodes, of_children, parents, transposed):
        """Return the gradient of one level's ``below`` from that of its states, and the deltas for the weights."""
        raise NotImplementedError

    def _weight_gradients(self, below, parents, count, deltas):
        """Return the gradients of the weights from the deltas of all levels."""
        raise NotImplementedError

    def get_config(self):
        """Return what `from_config` needs."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
        }


class Bounds(NamedTuple):
    """Where a level's parts begin and end: its inner nodes, its children, and of these the leaves and the rest."""

    inner: tf.Tensor
    inner_end: tf.Tensor
    child: tf.Tensor
    child_end: tf.Tensor
    leaf: tf.Tensor
    leaf_end: tf.Tensor
    next_inner_end: tf.Tensor


class Places(NamedTuple):
    """Where things stand in a forest, all int32; inner nodes and leaves are each numbered in breadth-first order.

    Args:
        bounds: [levels with inner nodes, 7], see `Bounds`.
        nodes: [nodes]: the place of each node among the inner nodes, then the leaves.
        order: [nodes]: the inverse of this.
        children: [children]: the same of each child, parent by parent; behind them all for one that is missing.
        below: [children]: the same within the level below.
        parents: [children]: the inner node whose child it is.
        inner_child: [inner]: which child an inner node is; no meaning for a root.
        leaf_child: [leaves]: which child a leaf is; behind them all for a root.
    """

    bounds: tf.Tensor
    nodes: tf.Tensor
    order: tf.Tensor
    children: tf.Tensor
    below: tf.Tensor
    parents: tf.Tensor
    inner_child: tf.Tensor
    leaf_child: tf.Tensor


def arrange(child_counts: tf.Tensor, levels: tf.Tensor, most_children: int | None) -> Places:
    """Work out where the parts of a forest stand; see `TreeCell.read`. With ``most_children`` 2, all nodes get two."""
    counts, levels = tf.cast(child_counts, tf.int32), tf.cast(levels, tf.int32)
    total, trees = tf.size(counts), levels[1]
    number = tf.range(total)
    is_leaf = tf.equal(counts, 0)
    inner_before = tf.cumsum(tf.cast(~is_leaf, tf.int32), exclusive=True)
    inner_nodes, leaf_nodes = (tf.cast(tf.where(which)[:, 0], tf.int32) for which in (~is_leaf, is_leaf))
    inner_total = tf.size(inner_nodes)
    nodes = tf.where(is_leaf, inner_total + number - inner_before, inner_before)

    inner_starts = tf.gather(tf.concat([inner_before, [inner_total]], 0), levels)
    leaf_starts = levels - inner_starts
    depth = tf.searchsorted(levels, number, side="right") - 1
    first_inner, first_leaf = tf.gather(inner_starts, depth), tf.gather(leaf_starts, depth)
    inner_here = tf.gather(inner_starts, depth + 1) - first_inner
    within = tf.where(is_leaf, inner_here + number - inner_before - first_leaf, inner_before - first_inner)

    # All nodes but the roots, in order, are the children of the inner nodes, in order.
    inner_counts = tf.gather(counts, inner_nodes)
    ends = tf.cumsum(inner_counts)
    starts = ends - inner_counts
    parents = tf.searchsorted(ends, tf.range(total - trees), side="right")
    if most_children is None:
        children, below, child_starts = nodes[trees:], within[trees:], levels[1:] - trees
        child_number = tf.range(total - trees)
    else:
        tf.debugging.assert_less_equal(inner_counts, 2, message="This cell takes nodes of one or two children.")
        both = inner_counts > 1
        first = trees + starts
        second = tf.where(both, first + 1, first)
        level_below = tf.gather(depth, inner_nodes) + 1
        size_below = tf.gather(levels, level_below + 1) - tf.gather(levels, level_below)

        def pairs(values, missing):
            other = tf.where(both, tf.gather(values, second), missing)
            return tf.reshape(tf.stack([tf.gather(values, first), other], 1), [-1])

        children, below, child_starts = pairs(nodes, total), pairs(within, size_below), 2 * inner_starts[:-1]
        child_number = 2 * parents + tf.range(total - trees) - tf.gather(starts, parents)
        parents = tf.repeat(tf.range(inner_total), 2)
    child_number = tf.concat([tf.fill([trees], tf.size(children)), child_number], 0)
    bounds = [
        inner_starts[:-2],
        inner_starts[1:-1],
        child_starts[:-1],
        child_starts[1:],
        leaf_starts[1:-1],
        leaf_starts[2:],
        inner_starts[2:],
    ]
    return Places(
        tf.stack(bounds, 1),
        nodes,
        tf.concat([inner_nodes, leaf_nodes], 0),
        children,
        below,
        parents,
        tf.gather(child_number, inner_nodes),
        tf.gather(child_number, leaf_nodes),
    )


def _over_levels(step, places: Places, state: tf.Tensor, sizes: list[int], upwards: bool) -> list[tf.Tensor]:
    """Run ``step(t, state) -> (state, values)`` over all levels with inner nodes and join each of the values."""
    steps = tf.shape(places.bounds)[0]

    def body(t, state, arrays):
        state, values = step(t, state)
        return t + (-1 if upwards else 1), state, [a.write(t, v) for a, v in zip(arrays, values, strict=True)]

    def rows_of(size):
        array = tf.TensorArray(state.dtype, steps + 1, infer_shape=False, element_shape=[None, size])
        return array.write(steps, tf.zeros([0, size], state.dtype))  # there is something to join if there is no level

    arrays = [rows_of(size) for size in sizes]
    *_, arrays = tf.while_loop(
        (lambda t, *_: t >= 0) if upwards else (lambda t, *_: t < steps),
        body,
        (steps - 1 if upwards else 0, state, arrays),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None, state.shape[-1]]),
            [tf.TensorShape(None)] * len(arrays),
        ),
        maximum_iterations=steps,
    )
    return [array.concat() for array in arrays]
