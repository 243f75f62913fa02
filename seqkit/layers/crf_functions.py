r"""Linear-chain conditional random field: pure functions of tensors.

A path :math:`y_1 \dots y_n` over the emissions :math:`e_1 \dots e_n` of one sequence scores

.. math:: s(y) = start_{y_1} + \sum_t e_t(y_t) + \sum_{t>1} A_{y_{t-1} y_t} + end_{y_n}

and has the probability :math:`\exp(s(y) - \log Z)`, :math:`\log Z = \log \sum_{y'} \exp s(y')`.

Everything here is float32, whatever comes in, and is made of stock TensorFlow operations, with batch and time unknown
if need be. Rows are padded on the right; what stands in the padding (NaN included) has no influence.

How the sums over all paths are done
------------------------------------
Forward and backward messages obey the same recursion, the backward one on the sequence reversed by its length and with
the transitions transposed. So one loop carries both, as a state ``[2, batch, tags]``, and needs no mask: all rows begin
at index 0, and what a row computes past its end is never read. In the loop the messages are probabilities scaled to sum
to one at each step (a matrix product, no ``exp`` or ``log``), which is exact as long as nothing that matters falls
under the smallest float32. After the loop that is checked: where some message is below ``_SAFE`` (emissions that differ
by more than about 69, or tags that the allowed moves cannot reach), the batch is done again in log space.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

# A scaled message below this may be missing a part of it that underflowed (float32 ends at 1e-38): 1e-8 of it, at most.
_SAFE = 1e-30


def crf_log_likelihood(
    emissions: tf.Tensor,
    tags: tf.Tensor,
    lengths: tf.Tensor,
    transitions: tf.Tensor,
    start: tf.Tensor,
    end: tf.Tensor,
) -> tf.Tensor:
    """Log-probability of the given paths, with a hand-written gradient.

    Parameters
    ----------
    emissions : tf.Tensor
        Float ``[batch, time, tags]``: score of each tag at each token.
    tags : tf.Tensor
        Int ``[batch, time]``: the paths. Ignored in the padding; elsewhere in ``[0, tags)``.
    lengths : tf.Tensor
        Int ``[batch]``: tokens in each row, 0 to ``time``.
    transitions : tf.Tensor
        Float ``[tags, tags]``: score of each move, from (row) to (column).
    start, end : tf.Tensor
        Float ``[tags]``: score of beginning and ending in a tag.

    Returns
    -------
    tf.Tensor
        Float32 ``[batch]``; 0 for empty sequences.
    """
    lengths, tags = tf.cast(lengths, tf.int32), tf.cast(tags, tf.int32)

    @tf.custom_gradient
    def log_likelihood(emissions, transitions, start, end):
        sums = _sum_over_paths(emissions, lengths, transitions, start, end)
        value = crf_path_score(emissions, tags, lengths, transitions, start, end) - sums.log_normalizer

        def gradient(upstream):
            grid = _Grid(emissions, lengths)
            path = tf.where(grid.mask, tags, -1)  # one_hot makes -1 a row of zeros
            by_token = (tf.one_hot(path, grid.tags) - sums.marginals) * upstream[:, tf.newaxis, tf.newaxis]
            observed = _observed_moves(grid, path, upstream)
            expected = _expected_moves(grid, sums, upstream, emissions, lengths, transitions, start, end)
            return by_token, observed - expected, *_at_ends(grid, by_token)

        return value, gradient

    return log_likelihood(*_float32(emissions, transitions, start, end))


def crf_log_normalizer(
    emissions: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor, end: tf.Tensor
) -> tf.Tensor:
    """Log of the summed ``exp(score)`` of all paths, with a hand-written gradient.

    The gradient towards the emissions is the marginals, towards the transitions the expected number of each move.

    Parameters
    ----------
    emissions, lengths, transitions, start, end : tf.Tensor
        As in :func:`crf_log_likelihood`.

    Returns
    -------
    tf.Tensor
        Float32 ``[batch]``; 0 for empty sequences.
    """
    lengths = tf.cast(lengths, tf.int32)

    @tf.custom_gradient
    def log_normalizer(emissions, transitions, start, end):
        sums = _sum_over_paths(emissions, lengths, transitions, start, end)

        def gradient(upstream):
            grid = _Grid(emissions, lengths)
            by_token = sums.marginals * upstream[:, tf.newaxis, tf.newaxis]
            expected = _expected_moves(grid, sums, upstream, emissions, lengths, transitions, start, end)
            return by_token, expected, *_at_ends(grid, by_token)

        return sums.log_normalizer, gradient

    return log_normalizer(*_float32(emissions, transitions, start, end))


def crf_marginals(
    emissions: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor, end: tf.Tensor
) -> tf.Tensor:
    """Probability of each tag at each token, summed over all paths (forward-backward).

    Parameters
    ----------
    emissions, lengths, transitions, start, end : tf.Tensor
        As in :func:`crf_log_likelihood`.

    Returns
    -------
    tf.Tensor
        Float32 ``[batch, time, tags]``; rows sum to 1, and are 0 in the padding.
    """
    emissions, transitions, start, end = _float32(emissions, transitions, start, end)
    return _sum_over_paths(emissions, tf.cast(lengths, tf.int32), transitions, start, end).marginals


def path_log_probability(
    emissions: tf.Tensor,
    tags: tf.Tensor,
    lengths: tf.Tensor,
    transitions: tf.Tensor,
    start: tf.Tensor,
    end: tf.Tensor,
) -> tf.Tensor:
    """Log-probability of the given paths for prediction and export.

    The same number as :func:`crf_log_likelihood`, without its custom gradient, which a SavedModel would warn about.

    Parameters
    ----------
    emissions, tags, lengths, transitions, start, end : tf.Tensor
        As in :func:`crf_log_likelihood`.

    Returns
    -------
    tf.Tensor
        Float32 ``[batch]``; 0 for empty sequences.
    """
    emissions, transitions, start, end = _float32(emissions, transitions, start, end)
    sums = _sum_over_paths(emissions, tf.cast(lengths, tf.int32), transitions, start, end)
    return crf_path_score(emissions, tags, lengths, transitions, start, end) - sums.log_normalizer


def crf_path_score(
    emissions: tf.Tensor,
    tags: tf.Tensor,
    lengths: tf.Tensor,
    transitions: tf.Tensor,
    start: tf.Tensor,
    end: tf.Tensor,
) -> tf.Tensor:
    """Score of the given paths, not normalized.

    Parameters
    ----------
    emissions, tags, lengths, transitions, start, end : tf.Tensor
        As in :func:`crf_log_likelihood`.

    Returns
    -------
    tf.Tensor
        Float32 ``[batch]``; 0 for empty sequences.
    """
    emissions, transitions, start, end = _float32(emissions, transitions, start, end)
    grid = _Grid(emissions, tf.cast(lengths, tf.int32))
    tags = tf.where(grid.mask, tf.cast(tags, tf.int32), 0)
    at_token = tf.gather(emissions, tags, batch_dims=2)
    move = tf.gather_nd(transitions, tf.stack([tags[:, :-1], tags[:, 1:]], axis=-1))
    ends = tf.where(grid.first, tf.gather(start, tags), 0.0) + tf.where(grid.last, tf.gather(end, tags), 0.0)
    score = tf.reduce_sum(tf.where(grid.mask, at_token, 0.0) + ends, axis=1)
    return score + tf.reduce_sum(tf.where(grid.mask[:, 1:], move, 0.0), axis=1)


def viterbi(
    emissions: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor, end: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Best path of each sequence.

    Parameters
    ----------
    emissions, lengths, transitions, start, end : tf.Tensor
        As in :func:`crf_log_likelihood`.

    Returns
    -------
    tags : tf.Tensor
        Int32 ``[batch, time]``; 0 in the padding. Of equal paths, the one with the lower tag at the first difference.
    score : tf.Tensor
        Float32 ``[batch]``: the path's score, not normalized; 0 for empty sequences.
    """
    emissions, transitions, start, end = _float32(emissions, transitions, start, end)
    lengths = tf.cast(lengths, tf.int32)
    grid = _Grid(emissions, lengths)
    tags = _best_path(grid.clean(emissions), lengths, transitions, start, end)
    tags = tf.where(grid.mask, tags, 0)
    return tags, crf_path_score(emissions, tags, lengths, transitions, start, end)


# ---------------------------------------------------------------------------------------------------------------------
# Positions


class _Grid:
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
        return tf.where(self.mask[:, :, tf.newaxis], emissions, 0.0)


def _float32(*tensors: tf.Tensor) -> list[tf.Tensor]:
    return [tf.cast(tf.convert_to_tensor(tensor), tf.float32) for tensor in tensors]


def _reserve(shape: list, size: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    return tf.raw_ops.TensorListReserve(element_shape=tf.stack(shape), num_elements=size, element_dtype=dtype)


def _stack(tensors: tf.Tensor, shape: list, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Stack a tensor list. Unlike ``TensorArray.stack`` this knows the shape of the elements of an empty list."""
    return tf.raw_ops.TensorListStack(input_handle=tensors, element_shape=tf.stack(shape), element_dtype=dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Sums over all paths


class _Sums(NamedTuple):
    log_normalizer: tf.Tensor  # [batch]
    marginals: tf.Tensor  # [batch, time, tags]
    safe: tf.Tensor  # bool: the two below may be used
    arriving: tf.Tensor  # [batch, time, tags]: forward message with this token's emission, over the token's total
    leaving: tf.Tensor  # [batch, time, tags]: backward message with this token's emission, scaled to sum to one
    moves: tf.Tensor  # [tags, tags]: exp(transitions), scaled


def _sum_over_paths(emissions, lengths, transitions, start, end) -> _Sums:
    grid = _Grid(emissions, lengths)
    emissions = grid.clean(emissions)
    peak, move_peak, start_peak, end_peak = (
        tf.stop_gradient(tf.reduce_max(x, axis))
        for x, axis in ((emissions, 2), (transitions, None), (start, None), (end, None))
    )
    token = tf.exp(emissions - peak[:, :, tf.newaxis])
    moves = tf.exp(transitions - move_peak)
    forward, backward = _scaled_messages(token, lengths, moves, tf.exp(start - start_peak), tf.exp(end - end_peak))
    # What a row went on to compute in its padding may be 0 / 0.
    inside = grid.mask[:, :, tf.newaxis]
    forward, backward = tf.where(inside, forward, 1.0), tf.where(inside, backward, 1.0)
    arriving = forward * token
    leaving = backward * token
    leaving = leaving / tf.reduce_sum(leaving, axis=2, keepdims=True)
    joint = arriving * backward
    scale, total = tf.reduce_sum(arriving, 2), tf.reduce_sum(joint, 2)
    moved_in = tf.reduce_min(forward, 2) >= _SAFE
    moved_out = tf.reduce_min(backward, 2) >= _SAFE
    safe = (moved_in | grid.first) & (moved_out | grid.last) & (total >= _SAFE)
    safe = tf.reduce_all(safe | ~grid.mask)

    per_token = tf.where(grid.mask, tf.where(grid.last, tf.math.log(total), tf.math.log(scale)) + peak, 0.0)
    length = tf.cast(lengths, tf.float32)
    log_normalizer = (
        tf.reduce_sum(per_token, axis=1)
        + tf.maximum(length - 1.0, 0.0) * move_peak
        + tf.minimum(length, 1.0) * (start_peak + end_peak)
    )
    marginals = tf.where(inside, joint / total[:, :, tf.newaxis], 0.0)
    log_normalizer, marginals = tf.cond(
        safe,
        lambda: (log_normalizer, marginals),
        lambda: _sum_over_paths_in_logs(emissions, lengths, transitions, start, end)[:2],
    )
    return _Sums(log_normalizer, marginals, safe, arriving / total[:, :, tf.newaxis], leaving, moves)


def _both_ways(grid: _Grid, tokens: tf.Tensor) -> tf.Tensor:
    """``[batch, time, tags]`` to ``[time, 2, batch, tags]``: in order, and reversed by length."""
    rows = tf.stack([grid.step, grid.reversed]) + grid.row[:, tf.newaxis] * grid.time
    return tf.gather(tf.reshape(tokens, [-1, tokens.shape[2] or grid.tags]), tf.transpose(rows, [2, 0, 1]))


def _back_in_order(grid: _Grid, messages: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Undo :func:`_both_ways`: two tensors ``[batch, time, tags]``."""
    flat = tf.reshape(messages, [-1, messages.shape[3] or grid.tags])
    forward = 2 * grid.step * grid.batch + grid.row[:, tf.newaxis]
    backward = (2 * grid.reversed + 1) * grid.batch + grid.row[:, tf.newaxis]
    return tf.gather(flat, forward), tf.gather(flat, backward)


@tf.function(autograph=False, reduce_retracing=True)
def _scaled_messages(token, lengths, moves, start, end):
    """Forward and backward messages ``[batch, time, tags]``, without the token's own emission, as probabilities."""
    grid = _Grid(token, lengths)
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


@tf.function(autograph=False, reduce_retracing=True)
def _sum_over_paths_in_logs(emissions, lengths, transitions, start, end):
    """Log-normalizer, marginals, and the log messages they come from; slower, and right whatever the numbers.

    The messages are normalized at each step too: the log of their sum is taken off.
    """
    grid = _Grid(emissions, lengths)
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


# ---------------------------------------------------------------------------------------------------------------------
# Gradients


def _at_ends(grid: _Grid, by_token: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients towards ``start`` and ``end``: those towards the emissions of the first and the last tokens, summed."""
    last = tf.cast(grid.last, tf.float32)
    start = tf.reduce_sum(by_token[:, :1], axis=[0, 1])
    return start, tf.reduce_sum(_outer(last[:, :, tf.newaxis], by_token), axis=0)


def _observed_moves(grid: _Grid, path: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """Number of each move in the paths, each row weighted by ``upstream``."""
    move = tf.where(grid.inner[:, :-1], path[:, :-1] * grid.tags + path[:, 1:], -1)  # -1 is dropped
    weight = tf.broadcast_to(upstream[:, tf.newaxis], tf.shape(move))
    moves = tf.math.unsorted_segment_sum(weight, move, grid.tags * grid.tags)
    return tf.reshape(moves, [grid.tags, grid.tags])


def _expected_moves(grid: _Grid, sums: _Sums, upstream, emissions, lengths, transitions, start, end) -> tf.Tensor:
    """Expected number of each move (the sum of the pairwise marginals), each row weighted by ``upstream``."""
    weight = tf.where(grid.inner, upstream[:, tf.newaxis], 0.0)[:, :-1, tf.newaxis]

    def scaled():
        return sums.moves * _outer(sums.arriving[:, :-1] * weight, sums.leaving[:, 1:])

    def in_logs():
        *_, arriving, leaving = _sum_over_paths_in_logs(grid.clean(emissions), lengths, transitions, start, end)
        return _expected_moves_in_logs(arriving[:, :-1], leaving[:, 1:], weight, transitions)

    return tf.cond(sums.safe, scaled, in_logs)


def _outer(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Sum over batch and time of the outer products."""
    left, right = (tf.reshape(x, [-1, tf.shape(x)[2]]) for x in (left, right))
    return tf.matmul(left, right, transpose_a=True)


@tf.function(autograph=False, reduce_retracing=True)
def _expected_moves_in_logs(arriving, leaving, weight, transitions):
    """Weighted sum over tokens of the pairwise marginals, one time step at a time: flat memory."""

    def step(t, moves):
        pair = arriving[:, t, :, tf.newaxis] + transitions + leaving[:, t, tf.newaxis, :]
        # Where the weight is 0 the row is over, and its numbers are anything.
        here = weight[:, t, :, tf.newaxis]
        return t + 1, moves + tf.reduce_sum(tf.where(here == 0.0, 0.0, here * tf.exp(pair)), axis=0)

    time = tf.shape(arriving)[1]
    return tf.while_loop(lambda t, _: t < time, step, [0, tf.zeros_like(transitions)])[1]


# ---------------------------------------------------------------------------------------------------------------------
# The best path


@tf.function(autograph=False, reduce_retracing=True)
def _best_path(emissions, lengths, transitions, start, end):
    """Tags ``[batch, time]`` of the best path; anything in the padding.

    The messages (best score from a token to the end) run on the rows reversed by length, and the path is then read
    off from the left, where all rows begin together. Reading recomputes the one maximum that the path takes
    (``[batch, tags]``), which is cheaper than to keep the place of every maximum (``[batch, tags, tags]``). The
    messages are kept tags-major, as TensorFlow's maximum over the first axis runs along the others.
    """
    grid = _Grid(emissions, lengths)
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
