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

from seqkit.layers.crf_messages import (
    Grid,
    best_path,
    expected_moves_in_logs,
    scaled_messages,
    sum_over_paths_in_logs,
)

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
            grid = Grid(emissions, lengths)
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
            grid = Grid(emissions, lengths)
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
    grid = Grid(emissions, tf.cast(lengths, tf.int32))
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
    grid = Grid(emissions, lengths)
    tags = best_path(grid.clean(emissions), lengths, transitions, start, end)
    tags = tf.where(grid.mask, tags, 0)
    return tags, crf_path_score(emissions, tags, lengths, transitions, start, end)


# ---------------------------------------------------------------------------------------------------------------------
# Sums over all paths


def _float32(*tensors: tf.Tensor) -> list[tf.Tensor]:
    return [tf.cast(tf.convert_to_tensor(tensor), tf.float32) for tensor in tensors]


class _Sums(NamedTuple):
    log_normalizer: tf.Tensor  # [batch]
    marginals: tf.Tensor  # [batch, time, tags]
    safe: tf.Tensor  # bool: the two below may be used
    arriving: tf.Tensor  # [batch, time, tags]: forward message with this token's emission, over the token's total
    leaving: tf.Tensor  # [batch, time, tags]: backward message with this token's emission, scaled to sum to one
    moves: tf.Tensor  # [tags, tags]: exp(transitions), scaled


def _sum_over_paths(emissions, lengths, transitions, start, end) -> _Sums:
    grid = Grid(emissions, lengths)
    emissions = grid.clean(emissions)
    peak, move_peak, start_peak, end_peak = (
        tf.stop_gradient(tf.reduce_max(x, axis))
        for x, axis in ((emissions, 2), (transitions, None), (start, None), (end, None))
    )
    token = tf.exp(emissions - peak[:, :, tf.newaxis])
    moves = tf.exp(transitions - move_peak)
    forward, backward = scaled_messages(token, lengths, moves, tf.exp(start - start_peak), tf.exp(end - end_peak))
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
        lambda: sum_over_paths_in_logs(emissions, lengths, transitions, start, end)[:2],
    )
    return _Sums(log_normalizer, marginals, safe, arriving / total[:, :, tf.newaxis], leaving, moves)


# ---------------------------------------------------------------------------------------------------------------------
# Gradients


def _at_ends(grid: Grid, by_token: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients towards ``start`` and ``end``: those towards the emissions of the first and the last tokens, summed."""
    last = tf.cast(grid.last, tf.float32)
    start = tf.reduce_sum(by_token[:, :1], axis=[0, 1])
    return start, tf.reduce_sum(_outer(last[:, :, tf.newaxis], by_token), axis=0)


def _observed_moves(grid: Grid, path: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """Number of each move in the paths, each row weighted by ``upstream``."""
    move = tf.where(grid.inner[:, :-1], path[:, :-1] * grid.tags + path[:, 1:], -1)  # -1 is dropped
    weight = tf.broadcast_to(upstream[:, tf.newaxis], tf.shape(move))
    moves = tf.math.unsorted_segment_sum(weight, move, grid.tags * grid.tags)
    return tf.reshape(moves, [grid.tags, grid.tags])


def _expected_moves(grid: Grid, sums: _Sums, upstream, emissions, lengths, transitions, start, end) -> tf.Tensor:
    """Expected number of each move (the sum of the pairwise marginals), each row weighted by ``upstream``."""
    weight = tf.where(grid.inner, upstream[:, tf.newaxis], 0.0)[:, :-1, tf.newaxis]

    def scaled():
        return sums.moves * _outer(sums.arriving[:, :-1] * weight, sums.leaving[:, 1:])

    def in_logs():
        *_, arriving, leaving = sum_over_paths_in_logs(grid.clean(emissions), lengths, transitions, start, end)
        return expected_moves_in_logs(arriving[:, :-1], leaving[:, 1:], weight, transitions)

    return tf.cond(sums.safe, scaled, in_logs)


def _outer(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Sum over batch and time of the outer products."""
    left, right = (tf.reshape(x, [-1, tf.shape(x)[2]]) for x in (left, right))
    return tf.matmul(left, right, transpose_a=True)
