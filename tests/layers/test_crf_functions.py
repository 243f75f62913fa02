"""Sums and maxima over all paths of a CRF, and their gradients, against enumeration and float64 references."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from crf_enumeration import all_paths, enumerated, make

from seqkit.layers import crf_functions as functions


def brute_log_likelihood(emissions, gold, lengths, transitions, start, end):
    """Log-likelihoods path by path in TensorFlow float64: automatic differentiation gives the reference gradient."""
    result = []
    for b, n in enumerate(lengths):
        if n == 0:
            result.append(tf.constant(0.0, tf.float64))
            continue
        paths = np.array(list(itertools.product(range(emissions.shape[2]), repeat=int(n))))
        rows = tf.gather(tf.transpose(emissions[b, :n]), paths)  # [paths, n, n]
        scores = tf.reduce_sum(tf.linalg.diag_part(tf.transpose(rows, [0, 2, 1])), axis=1)
        scores += tf.gather(start, paths[:, 0]) + tf.gather(end, paths[:, -1])
        if n > 1:
            scores += tf.reduce_sum(tf.gather_nd(transitions, np.stack([paths[:, :-1], paths[:, 1:]], -1)), axis=1)
        here = int(np.flatnonzero((paths == gold[b, :n]).all(1))[0])
        result.append(scores[here] - tf.reduce_logsumexp(scores))
    return tf.stack(result)


def forward_backward_float64(emissions, transitions, start, end):
    """Marginals and log-normalizer of one sequence in log space."""
    emissions, transitions, start, end = (x.astype("float64") for x in (emissions, transitions, start, end))
    forward, backward = np.zeros(emissions.shape), np.zeros(emissions.shape)
    forward[0], backward[-1] = start + emissions[0], end
    for t in range(1, len(emissions)):
        forward[t] = emissions[t] + np.logaddexp.reduce(forward[t - 1][:, None] + transitions, axis=0)
        u = len(emissions) - 1 - t
        backward[u] = np.logaddexp.reduce(transitions + emissions[u + 1] + backward[u + 1], axis=1)
    log_z = np.logaddexp.reduce(forward[-1] + end)
    return np.exp(forward + backward - log_z), log_z


def gradients(function, *tensors):
    tensors = [tf.convert_to_tensor(x) for x in tensors]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(value, tensors)]


def everything_eagerly(emissions, gold, lengths, *weights):
    return (
        functions.crf_log_normalizer(emissions, lengths, *weights),
        functions.crf_marginals(emissions, lengths, *weights),
        *functions.viterbi(emissions, lengths, *weights),
        functions.crf_log_likelihood(emissions, gold, lengths, *weights),
        functions.path_log_probability(emissions, gold, lengths, *weights),
    )


# Nothing known of batch, time and tags.
FLOAT, INT = tf.float32, tf.int32
SIGNATURE = [
    tf.TensorSpec([None] * n, t) for n, t in ((3, FLOAT), (2, INT), (1, INT), (2, FLOAT), (1, FLOAT), (1, FLOAT))
]
everything_in_a_graph = tf.function(everything_eagerly, input_signature=SIGNATURE)


# scale 1 stays in scaled probabilities; at 60 the messages underflow there and the log-space version answers
@pytest.mark.parametrize("scale", [1.0, 60.0])
@pytest.mark.parametrize("tags", [1, 2, 3])
@pytest.mark.parametrize("graph", [False, True])
def test_equals_enumeration_at_every_length(scale, tags, graph):
    emissions, gold, lengths, weights = make(6, 5, tags, scale)
    log_z, marginals, best, best_score = enumerated(emissions, lengths, weights)

    everything = everything_in_a_graph if graph else everything_eagerly
    got = [x.numpy() for x in everything(emissions, gold, lengths, *weights)]
    np.testing.assert_allclose(got[0], log_z, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(got[1], marginals, atol=2e-5)
    np.testing.assert_array_equal(got[2], best)
    np.testing.assert_allclose(got[3], best_score, rtol=1e-6, atol=1e-5)
    for b, n in enumerate(lengths):
        expected = 0.0
        if n:
            paths, scores = all_paths(emissions[b, :n], *weights)
            expected = scores[(paths == gold[b, :n]).all(1)][0] - log_z[b]
        np.testing.assert_allclose([got[4][b], got[5][b]], expected, rtol=1e-5, atol=1e-5 * scale)
    assert got[2].dtype == np.int32
    assert got[0][0] == got[3][0] == got[4][0] == got[5][0] == 0.0  # the empty sequence, exactly


def test_by_hand():
    # Two tags, two tokens, all else zero: paths 00, 01, 10, 11 score 1, 0, 0, 2 (moves), so Z = e + 1 + 1 + e².
    weights = (np.array([[1.0, 0.0], [0.0, 2.0]]), np.zeros(2), np.zeros(2))
    z = np.e + 2 + np.e**2
    emissions, lengths = np.zeros((1, 2, 2)), [2]
    np.testing.assert_allclose(functions.crf_log_normalizer(emissions, lengths, *weights), [np.log(z)], rtol=1e-6)
    marginal = (np.e + 1) / z
    np.testing.assert_allclose(
        functions.crf_marginals(emissions, lengths, *weights), [[[marginal, 1 - marginal]] * 2], rtol=1e-6
    )
    tags, score = functions.viterbi(emissions, lengths, *weights)
    assert tags.numpy().tolist() == [[1, 1]]
    assert score.numpy().tolist() == [2.0]


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_gradient_equals_autodiff_of_enumeration(scale):
    emissions, gold, lengths, weights = make(6, 4, 3, scale, lengths=[0, 1, 2, 3, 4, 4])
    upstream = np.array([1.0, 2.0, -1.0, 0.5, 3.0, 1.5])

    def ours(e, *w):
        return tf.reduce_sum(functions.crf_log_likelihood(e, gold, lengths, *w) * upstream.astype("float32"))

    def reference(e, *w):
        return tf.reduce_sum(brute_log_likelihood(e, gold, lengths, *w) * upstream)

    expected = gradients(reference, *(x.astype("float64") for x in (emissions, *weights)))
    for run in (ours, tf.function(ours)):
        for a, b in zip(gradients(run, emissions, *weights), expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4 if scale > 1 else 1e-5)


def test_gradient_equals_finite_differences():
    emissions, _, lengths, weights = make(4, 4, 3, lengths=[0, 1, 3, 4])
    inputs = [x.astype("float64") for x in (emissions, *weights)]
    got = gradients(lambda e, *w: tf.reduce_sum(functions.crf_log_normalizer(e, lengths, *w)), emissions, *weights)
    for which, gradient in enumerate(got):
        for place in np.ndindex(gradient.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = [x.copy() for x in inputs]
                moved[which][place] += step
                values.append(enumerated(moved[0], lengths, moved[1:])[0].sum())
            np.testing.assert_allclose(gradient[place], (values[0] - values[1]) / 2e-5, atol=1e-5)


def test_marginals_can_be_trained_on():
    """A loss on what the layer returns differentiates too, for people who fit it with a plain Keras loss."""
    emissions, gold, lengths, weights = make(3, 4, 3, lengths=[1, 3, 4])
    place = np.argwhere(np.arange(4) < lengths[:, None])
    place = np.c_[place, gold[tuple(place.T)]]

    def ours(e, *w):
        return tf.reduce_sum(tf.math.log(tf.gather_nd(functions.crf_marginals(e, lengths, *w), place)))

    got = gradients(tf.function(ours), emissions, *weights)
    inputs = [x.astype("float64") for x in (emissions, *weights)]
    for which, gradient in enumerate(got):
        for index in list(np.ndindex(gradient.shape))[::4]:
            values = []
            for step in (1e-5, -1e-5):
                moved = [x.copy() for x in inputs]
                moved[which][index] += step
                values.append(np.log(enumerated(moved[0], lengths, moved[1:])[1][tuple(place.T)]).sum())
            np.testing.assert_allclose(gradient[index], (values[0] - values[1]) / 2e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 0, 3), (0, 0, 3), (3, 4, 3)])
def test_nothing_to_read(shape):
    """No rows, no time, or rows that are all padding: defined answers and zero gradients."""
    emissions, gold, lengths = np.ones(shape, "float32"), np.zeros(shape[:2], "int32"), np.zeros(shape[0], "int32")
    weights = make(1, 1, 3)[3]
    assert functions.crf_marginals(emissions, lengths, *weights).numpy().tolist() == np.zeros(shape).tolist()
    tags, score = functions.viterbi(emissions, lengths, *weights)
    assert tags.numpy().tolist() == gold.tolist()
    assert score.numpy().tolist() == [0.0] * shape[0]

    def total(e, *w):
        return tf.reduce_sum(functions.crf_log_likelihood(e, gold, lengths, *w))

    assert float(total(emissions, *weights)) == 0.0
    for gradient in gradients(total, emissions, *weights):
        assert not gradient.any()


def test_padding_and_batch_have_no_influence():
    emissions, gold, lengths, weights = make(7, 9, 5, 2.0, lengths=[9, 1, 4, 0, 7, 2, 9])

    def results(e, y, n):
        value = functions.crf_log_likelihood(e, y, n, *weights)
        return value, functions.crf_marginals(e, n, *weights), functions.viterbi(e, n, *weights)[0]

    value, marginals, tags = (x.numpy() for x in results(emissions, gold, lengths))
    # longer padding that holds rubbish, another order, and a row of extreme numbers that sends the batch to log space
    order = [4, 2, 0, 6, 1, 3, 5]
    wide = np.full((8, 14, 5), np.nan, "float32")
    wide[7] = 500 * np.random.default_rng(1).normal(size=(14, 5))
    wide_gold = np.full((8, 14), 77, "int32")
    for to, b in enumerate(order):
        wide[to, : lengths[b]], wide_gold[to, : lengths[b]] = emissions[b, : lengths[b]], gold[b, : lengths[b]]
    wide_gold[7] = 0
    wide_value, wide_marginals, wide_tags = (x.numpy() for x in results(wide, wide_gold, np.append(lengths[order], 14)))
    assert np.isfinite(wide_value).all()
    for to, b in enumerate(order):
        n = lengths[b]
        alone = [x.numpy()[0] for x in results(emissions[b : b + 1, :n], gold[b : b + 1, :n], lengths[b : b + 1])]
        np.testing.assert_allclose([wide_value[to], alone[0]], value[b], rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(wide_marginals[to, :n], marginals[b, :n], atol=1e-5)
        np.testing.assert_allclose(alone[1], marginals[b, :n], atol=1e-5)
        assert wide_tags[to, :n].tolist() == alone[2].tolist() == tags[b, :n].tolist()
        assert not wide_marginals[to, n:].any()
        assert not wide_tags[to, n:].any()


def test_gradient_ignores_padding():
    emissions, gold, lengths, weights = make(4, 6, 3, lengths=[6, 2, 0, 5])
    padding = np.arange(6) >= lengths[:, None]
    # A tag that cannot be left makes the padding's own messages 0 / 0.
    weights[0][2] = -1e4
    dirty, gold = np.where(padding[..., None], np.float32(1e30), emissions), np.where(padding, -1, 0 * gold)

    def total(e, *w):
        return tf.reduce_sum(functions.crf_log_likelihood(e, gold, lengths, *w))

    clean = gradients(total, emissions, *weights)
    for a, b in zip(gradients(total, dirty, *weights), clean, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert not clean[0][padding].any()


def test_extreme_emissions_need_the_path_that_seems_lost():
    # At the first token tag 0 leads by 200, far below float32's range; but only tag 1 may be followed by tag 2.
    weights = np.array([[0, 0, -1e4], [0, 0, 0], [0, 0, 0.0]]), np.array([0, 0, -1e4]), np.zeros(3)
    emissions = np.array([[[200.0, 0.0, 0.0], [0.0, 0.0, 500.0]]])
    np.testing.assert_allclose(functions.crf_log_normalizer(emissions, [2], *weights), [500.0], atol=1e-3)
    np.testing.assert_allclose(functions.crf_marginals(emissions, [2], *weights), [[[0, 1, 0], [0, 0, 1]]], atol=1e-6)
    assert functions.viterbi(emissions, [2], *weights)[0].numpy().tolist() == [[1, 2]]
    moves = gradients(
        lambda e, *w: functions.crf_log_normalizer(e, [2], *w), *(x.astype("float32") for x in (emissions, *weights))
    )[1]
    np.testing.assert_allclose(moves, [[0, 0, 0], [0, 0, 1], [0, 0, 0]], atol=1e-6)


def test_five_thousand_tokens():
    emissions, gold, _, weights = make(1, 5000, 7, 2.0, seed=3)
    expected, log_z = forward_backward_float64(emissions[0], *weights)
    marginals = functions.crf_marginals(emissions, [5000], *weights).numpy()[0]
    np.testing.assert_allclose(marginals.sum(1), 1.0, atol=1e-4)
    np.testing.assert_allclose(marginals, expected, atol=1e-3)
    np.testing.assert_allclose(functions.crf_log_normalizer(emissions, [5000], *weights), [log_z], rtol=1e-6)
    gradient = gradients(
        lambda e, *w: functions.crf_log_likelihood(e, gold, [5000], *w)[0], emissions, *weights
    )  # observed minus expected counts: over all moves, and over all tags, both sum to the same number
    np.testing.assert_allclose(gradient[0].sum(), 0.0, atol=0.02)
    np.testing.assert_allclose(gradient[1].sum(), 0.0, atol=0.02)
    observed = np.zeros((7, 7))
    np.add.at(observed, (gold[0, :-1], gold[0, 1:]), 1)
    # Expected moves out of a tag are its marginals, summed over all tokens but the last.
    np.testing.assert_allclose((observed - gradient[1]).sum(1), expected[:-1].sum(0), rtol=1e-4)


def test_log_space_at_five_thousand_tokens():
    """Tag 6 is unreachable, which sends the sequence to log space; the rest must be as without it."""
    emissions, _, _, (transitions, start, end) = make(1, 5000, 7, 2.0, seed=3)
    transitions[:, 6], start[6] = -1e4, -1e4
    expected, log_z = forward_backward_float64(emissions[0], transitions, start, end)
    assert not functions._sum_over_paths(
        *map(tf.constant, (emissions, np.array([5000], "int32"), transitions, start, end))
    ).safe
    marginals = functions.crf_marginals(emissions, [5000], transitions, start, end).numpy()[0]
    np.testing.assert_allclose(marginals.sum(1), 1.0, atol=1e-4)
    np.testing.assert_allclose(marginals, expected, atol=1e-3)
    np.testing.assert_allclose(
        functions.crf_log_normalizer(emissions, [5000], transitions, start, end), [log_z], rtol=1e-6
    )


def test_ordinary_batches_take_the_quick_way():
    """IOB2 with forbidden moves and confident emissions must not fall back to log space (it would only be slow)."""
    emissions, _, lengths, _ = make(6, 8, 3, 10.0, lengths=[8, 7, 5, 1, 0, 8])
    weights = np.array([[0, 0, -1e4], [0, 0, 0], [0, 0, 0]], "float32"), np.array([0, 0, -1e4], "float32")
    sums = functions._sum_over_paths(*map(tf.constant, (emissions, lengths, *weights, np.zeros(3, "float32"))))
    assert sums.safe


def test_a_tag_out_of_range_is_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError):
        functions.crf_log_likelihood(np.zeros((1, 2, 3)), [[0, 3]], [2], np.zeros((3, 3)), np.zeros(3), np.zeros(3))
