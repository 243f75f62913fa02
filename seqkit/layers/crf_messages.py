"""The loops over time of the conditional random field; :mod:`seqkit.layers.crf_functions` says what they are for.

Called outside of any graph, each is a graph of its own, so that Python does not run at each token. Inside of one it is
a part of that graph: converters to other runtimes need to see the shapes, and a loop once for each call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf


def _in_graph(function: Callable) -> Callable:
    """Let a function of tensors always run in a graph, its own where there is none."""
    own = tf.function(function, autograph=False, reduce_retracing=True)

    @functools.wraps(function)
    def call(*tensors):
        return function(*tensors) if tf.inside_function() else own(*tensors)

    return call


class Grid:
    """Masks ``[batch, time]`` of right-padded rows, and the index of each token counted from its row's end."""

    def __init__(self, emissions: tf.Tensor, lengths: tf.Tensor):
        shape = tf.shape(emissions)
        self.batch, self.time, self.tags = shape[0], shape[1], shape[2]
        step, length = tf.range(self.time)[tf.newaxis, :], lengths[:, tf.newaxis]
        self.mask = step < length
        self.first = tf.logical_and(self.mask, step == 0)
        self.last = step == length - 1
        self.inner = step < length - 1  # a move leaves from here
        self.step = tf.broadcast_to(step, [self.batch, self.time])
        self.reversed = tf.where(self.mask, length - 1 - step, step)
        self.row = tf.range(self.batch)

    def clean(self, emissions: tf.Tensor) -> tf.Tensor:
        """Zeros in the padding, whatever stands there."""
        return tf.where(self.mask[:, :, tf.newaxis], emissions, 0.0)


def _reserve(shape: list, size: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    return tf.raw_ops.TensorListReserve(element_shape=tf.stack(shape), num_elements=size, element_dtype=dtype)


def _stack(tensors: tf.Tensor, shape: list, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Stack a tensor list. Unlike ``TensorArray.stack`` this knows the shape of the elements of an empty list."""
    return tf.raw_ops.TensorListStack(input_handle=tensors, element_shape=tf.stack(shape), element_dtype=dtype)


def _both_ways(grid: Grid, tokens: tf.Tensor) -> tf.Tensor:
    """``[batch, time, tags]`` to ``[time, 2, batch, tags]``: in order, and reversed by length."""
    rows = tf.stack([grid.step, grid.reversed]) + grid.row[:, tf.newaxis] * grid.time
    return tf.gather(tf.reshape(tokens, [-1, tokens.shape[2] or grid.tags]), tf.transpose(rows, [2, 0, 1]))


def _back_in_order(grid: Grid, messages: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Undo :func:`_both_ways`: two tensors ``[batch, time, tags]``."""
    flat = tf.reshape(messages, [-1, messages.shape[3] or grid.tags])
    forward = 2 * grid.step * grid.batch + grid.row[:, tf.newaxis]
    backward = (2 * grid.reversed + 1) * grid.batch + grid.row[:, tf.newaxis]
    return tf.gather(flat, forward), tf.gather(flat, backward)


@_in_graph
def scaled_messages(token, lengths, moves, start, end):
    """Forward and backward messages ``[batch, time, tags]``, without the token's own emission, as probabilities."""
    grid = Grid(token, lengths)
    tokens = _both_ways(grid, token)
    shape = [2, grid.batch, grid.tags]
    message = tf.broadcast_to(tf.stack([start, end])[:, tf.newaxis, :], shape)
    messages = _reserve(shape, grid.time)

    def step(t, message, messages):
        messages = tf.raw_ops.TensorListSetItem(input_handle=messages, index=t, item=message)
        message = message * tf.gather(tokens, t)
        message = message / tf.reduce_sum(message, axis=2, keepdims=True)
        # Two products: TensorFlow's CPU builds hand a batch of small ones to oneDNN, which takes five times as long.
        moved = [tf.matmul(message[0], moves), tf.matmul(message[1], moves, transpose_b=True)]
        return t + 1, tf.stack(moved), messages

    *_, messages = tf.while_loop(lambda t, *_: t < grid.time, step, [0, message, messages])
    return _back_in_order(grid, _stack(messages, shape))


@_in_graph
def sum_over_paths_in_logs(emissions, lengths, transitions, start, end):
    """Log-normalizer, marginals, and the log messages they come from; slower, and right whatever the numbers.

    The messages are normalized at each step too: the log of their sum is taken off.
    """
    grid = Grid(emissions, lengths)
    tokens = _both_ways(grid, emissions)
    shape = [2, grid.batch, grid.tags]
    # Summed over the last axis: [way, 1, to, from] + [way, batch, 1, from].
    moves = tf.stack([tf.transpose(transitions), transitions])[:, tf.newaxis]
    message = tf.broadcast_to(tf.stack([start, end])[:, tf.newaxis, :], shape)
    messages = _reserve(shape, grid.time)

    def step(t, message, messages):
        messages = tf.raw_ops.TensorListSetItem(input_handle=messages, index=t, item=message)
        message = message + tf.gather(tokens, t)
        message = message - tf.reduce_logsumexp(message, axis=2, keepdims=True)
        return t + 1, tf.reduce_logsumexp(message[:, :, tf.newaxis, :] + moves, axis=3), messages

    *_, messages = tf.while_loop(lambda t, *_: t < grid.time, step, [0, message, messages])
    forward, backward = _back_in_order(grid, _stack(messages, shape))
    arriving, leaving = forward + emissions, backward + emissions
    joint = arriving + backward
    scale, total = tf.reduce_logsumexp(arriving, 2), tf.reduce_logsumexp(joint, 2)
    log_normalizer = tf.reduce_sum(tf.where(grid.mask, tf.where(grid.last, total, scale), 0.0), axis=1)
    marginals = tf.where(grid.mask[:, :, tf.newaxis], tf.nn.softmax(joint), 0.0)
    leaving = leaving - tf.reduce_logsumexp(leaving, axis=2, keepdims=True)
    return log_normalizer, marginals, arriving - total[:, :, tf.newaxis], leaving


@_in_graph
def expected_moves_in_logs(arriving, leaving, weight, transitions):
    """Weighted sum over tokens of the pairwise marginals, one time step at a time: flat memory."""

    def step(t, moves):
        pair = arriving[:, t, :, tf.newaxis] + transitions + leaving[:, t, tf.newaxis, :]
        # Where the weight is 0 the row is over, and its numbers are anything.
        here = weight[:, t, :, tf.newaxis]
        return t + 1, moves + tf.reduce_sum(tf.where(here == 0.0, 0.0, here * tf.exp(pair)), axis=0)

    time = tf.shape(arriving)[1]
    return tf.while_loop(lambda t, _: t < time, step, [0, tf.zeros_like(transitions)])[1]


@_in_graph
def best_path(emissions, lengths, transitions, start, end):
    """Tags ``[batch, time]`` of the best path; anything in the padding.

    The messages (best score from a token to the end) run on the rows reversed by length, and the path is then read
    off from the left, where all rows begin together. Reading recomputes the one maximum that the path takes
    (``[batch, tags]``), which is cheaper than to keep the place of every maximum (``[batch, tags, tags]``). The
    messages are kept tags-major, as TensorFlow's maximum over the first axis runs along the others.
    """
    grid = Grid(emissions, lengths)
    tags, row = emissions.shape[2] or grid.tags, grid.row
    tokens = tf.gather(tf.reshape(emissions, [-1, tags]), tf.transpose(grid.reversed) + row * grid.time)
    tokens = tf.transpose(tokens, [0, 2, 1])
    moves = tf.transpose(transitions)[:, :, tf.newaxis]  # [to, from, 1]
    shape = [grid.tags, grid.batch]
    messages = _reserve(shape, grid.time)

    def back(t, message, messages):
        message = message + tf.gather(tokens, t)
        message = message - tf.reduce_max(message, axis=0)
        messages = tf.raw_ops.TensorListSetItem(input_handle=messages, index=t, item=message)
        return t + 1, tf.reduce_max(message[:, tf.newaxis] + moves, axis=0), messages

    first = tf.broadcast_to(end[:, tf.newaxis], shape)
    *_, messages = tf.while_loop(lambda t, *_: t < grid.time, back, [0, first, messages])
    messages = tf.reshape(tf.transpose(_stack(messages, shape), [0, 2, 1]), [-1, tags])
    messages = tf.gather(messages, tf.transpose(grid.reversed) * grid.batch + row)

    def forth(t, arriving, path):
        tag = tf.argmax(arriving + tf.gather(messages, t), axis=1, output_type=tf.int32)
        path = tf.raw_ops.TensorListSetItem(input_handle=path, index=t, item=tag)
        return t + 1, tf.gather(transitions, tag), path

    path = _reserve([grid.batch], grid.time, tf.int32)
    first = tf.broadcast_to(start, [grid.batch, grid.tags])
    *_, path = tf.while_loop(lambda t, *_: t < grid.time, forth, [0, first, path])
    return tf.transpose(_stack(path, [grid.batch], tf.int32))
