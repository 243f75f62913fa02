"""JordanHead against NumPy written from its equations, one sentence and one step at a time."""

import itertools
import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import ParameterError
from seqkit.layers.jordan import JordanHead

K, UNITS, D = 3, 4, 2
# Tags B, I, O under IOB2: I neither first nor after O.
IOB2 = {"start_mask": [True, False, True], "transition_mask": [[True] * 3, [True] * 3, [True, False, True]]}
# 0 must be followed by 1, and neither 0 nor 2 can be last: the only end is 1 -> (0 ->) 1, and 2 leads to 0 only.
CORNERED = {
    "start_mask": [True, True, True],
    "transition_mask": [[False, True, False], [True, True, True], [True, False, False]],
    "end_mask": [False, True, False],
}


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def weights_of(head, direction="forward"):
    names = ("kernel", "bias", "recurrent_kernel", "output_kernel", "output_bias", "initial_output")
    values = [getattr(head, f"{direction}_{name}") for name in names]
    return [np.zeros(K) if value is None else value.numpy() for value in values]


def step(weights, x, y):
    kernel, bias, recurrent, output_kernel, output_bias, _ = weights
    return softmax(np.tanh(x @ kernel + y @ recurrent + bias) @ output_kernel + output_bias)


def forced_nll(weights, x, tags):
    """Sum of -log p_t[true tag] of one sentence, with the true previous tag fed back."""
    y, total = weights[-1], 0.0
    for vector, tag in zip(x, tags, strict=True):
        total -= np.log(step(weights, vector, y)[tag])
        y = np.eye(K)[tag]
    return total


def legal(path, masks):
    ones = np.ones((K, K), bool)
    start, move, end = (np.asarray(masks.get(n, ones[0] if n != "transition_mask" else ones)) for n in (
        "start_mask", "transition_mask", "end_mask"))  # fmt: skip
    inside = all(move[i, j] for i, j in itertools.pairwise(path))
    return len(path) == 0 or (start[path[0]] and end[path[-1]] and inside)


def free_run(weights, x, masks=None):
    """Own distribution fed back; with masks, each previous tag shares out among its viable followers."""
    n, rows, y = len(x), [], None
    for t, vector in enumerate(x):
        p = step(weights, vector, weights[-1] if y is None else y)
        if masks:
            # By enumeration: a move i -> j is open if some legal sequence of this length makes it here.
            paths = [path for path in itertools.product(range(K), repeat=n) if legal(path, masks)]
            if t == 0:
                q = p * [any(path[0] == j for path in paths) for j in range(K)]
            else:
                q = np.zeros(K)
                for i in range(K):
                    followers = p * [any(path[t - 1] == i and path[t] == j for path in paths) for j in range(K)]
                    if followers.sum():
                        q += y[i] * followers / followers.sum()
            p = q / q.sum()
        rows.append(p)
        y = p
    return np.array(rows).reshape(n, K)


def backward_free_run(head, x, masks):
    mirrored = {}
    if masks:
        mirrored = {
            "start_mask": masks.get("end_mask", [True] * K),
            "transition_mask": np.transpose(masks["transition_mask"]),
            "end_mask": masks.get("start_mask", [True] * K),
        }
    return free_run(weights_of(head, "backward"), x[::-1], mirrored)[::-1]


def expected_probabilities(head, x, masks=None):
    forward = free_run(weights_of(head), x, masks)
    if not head.bidirectional:
        return forward
    mean = np.sqrt(forward * backward_free_run(head, x, masks))
    return mean / mean.sum(axis=-1, keepdims=True)


def backward_potentials(head, x, masks):
    if not head.bidirectional or not len(x):
        return np.zeros((len(x), K))
    return np.log(np.maximum(backward_free_run(head, x, masks), 1e-30))


def best_path(head, x, masks, width):
    """The best of all legal paths, or of the ``width`` best beginnings at each step."""
    weights, potentials, hypotheses = weights_of(head), backward_potentials(head, x, masks), [(0.0, ())]
    ends = [path for path in itertools.product(range(K), repeat=len(x)) if legal(path, masks)]
    for t in range(len(x)):
        beginnings = {path[: t + 1] for path in ends}
        longer = []
        for score, path in hypotheses:
            gain = np.log(step(weights, x[t], np.eye(K)[path[-1]] if path else weights[-1])) + potentials[t]
            longer += [(score + gain[tag], (*path, tag)) for tag in range(K) if (*path, tag) in beginnings]
        hypotheses = sorted(longer, reverse=True)[:width]
    return list(hypotheses[0][1])


def make(seed=0, scale=1.5, dtype="float64", **kwargs):
    head = JordanHead(K, UNITS, dtype=dtype, **kwargs)
    head.build((None, None, D))
    rng = np.random.default_rng(seed)
    for variable in head.trainable_variables:
        variable.assign(rng.normal(0, scale, variable.shape))
    return head, rng


def batch(rng, lengths=(4, 0, 1, 3), steps=5):
    lengths = np.array(lengths, "int32")
    return rng.normal(size=(len(lengths), steps, D)), lengths, rng.integers(0, K, (len(lengths), steps))


def graph(method):
    """Compile a method for any batch and length: what users run, and far faster than the eager loop."""
    dtype = "float64" if method.__self__.variable_dtype == "float64" else "float32"
    spec = [tf.TensorSpec([None, None, D], dtype), tf.TensorSpec([None], "int32")]
    compiled = tf.function(method, input_signature=spec)
    return lambda x, lengths: compiled(tf.cast(x, dtype), tf.cast(lengths, "int32"))


MODES = [
    {},
    {"initial_state": "learned"},
    {"bidirectional": True, "initial_state": "learned"},
]


# --- teacher forcing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", MODES)
def test_loss_follows_the_equations(kwargs):
    head, rng = make(**kwargs)
    x, lengths, tags = batch(rng)
    expected = [forced_nll(weights_of(head), x[i, :n], tags[i, :n]) for i, n in enumerate(lengths)]
    if head.bidirectional:
        backward = weights_of(head, "backward")
        expected = [e + forced_nll(backward, x[i, :n][::-1], tags[i, :n][::-1])
                    for i, (e, n) in enumerate(zip(expected, lengths, strict=True))]  # fmt: skip
    for padding in (0, -1, 99):
        padded = np.where(np.arange(5) < lengths[:, None], tags, padding)
        np.testing.assert_allclose(head.loss(x, lengths, padded), expected, atol=1e-12)
        np.testing.assert_allclose(head.loss(x, lengths, padded, training=True), expected, atol=1e-12)


@pytest.mark.parametrize("kwargs", MODES)
def test_loss_gradients_are_those_of_finite_differences(kwargs):
    head, rng = make(scale=0.7, **kwargs)
    x, lengths, tags = batch(rng)
    with tf.GradientTape() as tape:
        tensor = tf.constant(x)
        tape.watch(tensor)
        total = tf.reduce_sum(head.loss(tensor, lengths, tags, training=True))
    gradients = tape.gradient(total, [tensor, *(v.value for v in head.trainable_variables)])

    def value():
        total = 0.0
        for i, n in enumerate(lengths):
            total += forced_nll(arrays["forward"], x[i, :n], tags[i, :n])
            if head.bidirectional:
                total += forced_nll(arrays["backward"], x[i, :n][::-1], tags[i, :n][::-1])
        return total

    directions = ("forward", "backward") if head.bidirectional else ("forward",)
    arrays = {direction: weights_of(head, direction) for direction in directions}
    # Weights are made in the order of weights_of; without a learned y_0 its zeros get no gradient.
    flat = [x, *(array for d in directions for array in arrays[d][: 6 if head.initial_state == "learned" else 5])]
    for array, gradient in zip(flat, gradients, strict=True):
        for index in np.ndindex(array.shape):
            keep = array[index]
            array[index] = keep + 1e-5
            up = value()
            array[index] = keep - 1e-5
            down = value()
            array[index] = keep
            assert (up - down) / 2e-5 == pytest.approx(np.asarray(gradient)[index], abs=1e-7)


def test_loss_has_no_time_loop():
    head, _ = make(bidirectional=True, scheduled_sampling=0.5, recurrent_dropout=0.1, dropout=0.1)
    spec = [tf.TensorSpec([None, None, D], "float64"), tf.TensorSpec([None], "int32"),
            tf.TensorSpec([None, None], "int32")]  # fmt: skip
    graph = tf.function(lambda *a: head.loss(*a, training=True)).get_concrete_function(*spec).graph
    assert not [op.name for op in graph.get_operations() if "While" in op.type]


def test_bidirectional_loss_sees_the_next_tag_only_through_the_backward_network():
    head, rng = make(bidirectional=True)
    x, lengths, tags = batch(rng, lengths=[3], steps=3)
    alone, _ = make(seed=5)
    for name in ("kernel", "bias", "recurrent_kernel", "output_kernel", "output_bias"):
        getattr(alone, f"forward_{name}").assign(getattr(head, f"backward_{name}"))
    forward = forced_nll(weights_of(head), x[0], tags[0])
    mirrored = alone.loss(x[:, ::-1], lengths, tags[:, ::-1])
    np.testing.assert_allclose(head.loss(x, lengths, tags) - mirrored, [forward], atol=1e-12)


# --- scheduled sampling ------------------------------------------------------------------------------------------


def test_scheduled_sampling_of_everything_feeds_the_first_pass_back():
    head, rng = make(scheduled_sampling=1.0)
    x, lengths, tags = batch(rng)
    weights = weights_of(head)
    expected = []
    for i, n in enumerate(lengths):
        gold = [np.zeros(K), *np.eye(K)[tags[i, : max(n - 1, 0)]]][:n]
        first = [step(weights, x[i, t], gold[t]) for t in range(n)]
        second = [step(weights, x[i, t], first[t - 1] if t else np.zeros(K)) for t in range(n)]
        expected.append(-sum(np.log(second[t][tags[i, t]]) for t in range(n)))
    np.testing.assert_allclose(head.loss(x, lengths, tags, training=True), expected, atol=1e-12)
    forced = [forced_nll(weights, x[i, :n], tags[i, :n]) for i, n in enumerate(lengths)]
    np.testing.assert_allclose(head.loss(x, lengths, tags, training=False), forced, atol=1e-12)
    assert np.abs(np.subtract(expected, forced)).max() > 0.01


def test_scheduled_sampling_takes_its_share_and_sends_no_gradient_through_it():
    """y_2 depends on the first pass of step 1, but its gradient with respect to x_1 must be 0."""
    head, rng = make(scheduled_sampling=1.0)
    x, lengths, tags = batch(rng, lengths=[2], steps=2)
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        both = head.loss(tensor, lengths, tags, training=True)
        first = head.loss(tensor[:, :1], [1], tags[:, :1], training=True)
        last = both - first
    np.testing.assert_allclose(tape.gradient(last, tensor)[0, 0], 0, atol=1e-14)

    head, rng = make(scheduled_sampling=0.3, seed=4)
    x, tags = rng.normal(size=(4000, 2, D)), np.zeros((4000, 2), int)
    x[:] = x[0]  # one sentence 4,000 times: step 2 was fed gold or not, so there are two losses
    losses = head.loss(x, np.full(4000, 2), tags, training=True).numpy()
    gold = head.loss(x[:1], [2], tags[:1]).numpy()
    share = (np.abs(losses - gold) > 1e-9).mean()
    assert 0.27 < share < 0.33


# --- running free ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", MODES)
@pytest.mark.parametrize("masks", [{}, IOB2, CORNERED])
def test_probabilities_follow_the_equations(kwargs, masks):
    head, rng = make(**kwargs, **masks)
    x, lengths, _ = batch(rng)
    out = head.probabilities(x, lengths).numpy()
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(out[i, :n], expected_probabilities(head, x[i, :n], masks), atol=1e-10)
        assert (out[i, n:] == 0).all()
        np.testing.assert_allclose(out[i, :n].sum(-1), 1, atol=1e-12)


def test_free_running_gradients_are_those_of_finite_differences():
    head, rng = make(scale=0.7, initial_state="learned", **IOB2)
    x, lengths, _ = batch(rng, lengths=(3, 1), steps=3)
    target = rng.normal(size=(2, 3, K))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(head.probabilities(x, lengths) * target)
    gradients = tape.gradient(total, [v.value for v in head.trainable_variables])
    arrays = weights_of(head)

    def value():
        return sum((free_run(arrays, x[i, :n], IOB2) * target[i, :n]).sum() for i, n in enumerate(lengths))

    for array, gradient in zip(arrays, gradients, strict=True):
        for index in np.ndindex(array.shape):
            keep = array[index]
            array[index] = keep + 1e-5
            up = value()
            array[index] = keep - 1e-5
            down = value()
            array[index] = keep
            assert (up - down) / 2e-5 == pytest.approx(np.asarray(gradient)[index], abs=1e-7)


def test_loops_hold_no_input_product():
    head = JordanHead(K, UNITS, bidirectional=True, beam_width=2)
    spec = tf.TensorSpec([None, None, D], "float32"), tf.TensorSpec([None], "int32")
    definition = tf.function(head.decode).get_concrete_function(*spec).graph.as_graph_def()
    bodies = [body for body in definition.library.function if re.match(r"while(_\d+)?_body", body.signature.name)]
    products = [sum("MatMul" in node.op for node in body.node_def) for body in bodies]
    # Trace-back: none; search: V, for U is looked up; free running, twice: U and V.
    assert sorted(products) == [0, 1, 2, 2]


# --- search ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", MODES)
@pytest.mark.parametrize("masks", [{}, IOB2, CORNERED])
@pytest.mark.parametrize("seed", range(2))
def test_greedy_decoding(kwargs, masks, seed):
    head, rng = make(seed=seed, **kwargs, **masks)
    x, lengths, _ = batch(rng)
    tags, scores = (tensor.numpy() for tensor in head.decode(x, lengths))
    assert tags.dtype == np.int32
    probabilities = head.probabilities(x, lengths).numpy()
    for i, n in enumerate(lengths):
        assert tags[i, :n].tolist() == best_path(head, x[i, :n], masks, width=1)
        assert (tags[i, n:] == 0).all()
        assert (scores[i, n:] == 0).all()
        np.testing.assert_array_equal(scores[i, :n], probabilities[i, range(n), tags[i, :n]])


@pytest.mark.parametrize("kwargs", MODES)
@pytest.mark.parametrize("masks", [{}, IOB2, CORNERED])
def test_wide_beam_is_the_exhaustive_search(kwargs, masks):
    differs = 0
    for seed in range(8):
        head, rng = make(seed=seed, scale=1.0, beam_width=K**3, **kwargs, **masks)
        head.forward_recurrent_kernel.assign(3 * head.forward_recurrent_kernel)  # so that the past matters
        x, lengths, _ = batch(rng)
        tags = head.decode(x, lengths)[0].numpy()
        for i, n in enumerate(lengths):
            potentials = backward_potentials(head, x[i, :n], masks)
            paths = [list(path) for path in itertools.product(range(K), repeat=n) if legal(path, masks)]
            weights = weights_of(head)
            best = max(paths, key=lambda p: potentials[range(n), p].sum() - forced_nll(weights, x[i, :n], p))
            assert tags[i, :n].tolist() == best
            assert (tags[i, n:] == 0).all()
            differs += best != best_path(head, x[i, :n], masks, width=1)
    assert differs, "cases too easy: greedy search finds every best path"


@pytest.mark.parametrize("width", [2, 3])
def test_narrow_beam_is_a_beam_of_that_width(width):
    head, rng = make(seed=2, scale=2.5, beam_width=width)
    x, lengths, _ = batch(rng, lengths=(5, 5, 4, 2, 5, 5), steps=5)
    tags = head.decode(x, lengths)[0].numpy()
    for i, n in enumerate(lengths):
        assert tags[i, :n].tolist() == best_path(head, x[i, :n], {}, width)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("masks", [IOB2, CORNERED])
def test_forbidden_moves_are_never_decoded(width, bidirectional, masks):
    """Output biases push hard for what is forbidden."""
    head, rng = make(dtype="float32", beam_width=width, bidirectional=bidirectional, **masks)
    lengths = np.arange(21)
    x = rng.normal(size=(21, 20, D))
    decode, run_free = graph(head.decode), graph(head.probabilities)
    for bias in ([-500.0, 500, -500], [-500, -500, 500], [1e6, -1e6, -1e6]):
        head.forward_output_bias.assign(bias)
        if bidirectional:
            head.backward_output_bias.assign(bias)
        tags, scores = (tensor.numpy() for tensor in decode(x, lengths))
        assert np.isfinite(scores).all()
        probabilities = run_free(x, lengths).numpy()
        assert np.isfinite(probabilities).all()
        for row, p, n in zip(tags, probabilities, lengths, strict=True):
            assert legal(row[:n].tolist(), masks)
            np.testing.assert_allclose(p[:n].sum(-1), 1, atol=1e-5)
            if n:
                assert (p[0][~np.asarray(masks["start_mask"])] == 0).all()
                assert (p[n - 1][~np.asarray(masks.get("end_mask", [True] * K))] == 0).all()


def test_masks_that_alternate_need_the_right_row_for_every_length():
    """Tags that must come in threes: which tag may come first depends on the length modulo 3."""
    ring = np.roll(np.eye(K, dtype=bool), 1, axis=1)
    head, rng = make(start_mask=[True] * 3, transition_mask=ring, end_mask=[False, False, True])
    lengths = np.arange(9)
    tags = head.decode(rng.normal(size=(9, 8, D)), lengths)[0].numpy()
    for row, n in zip(tags, lengths, strict=True):
        assert row[:n].tolist() == ([0, 1, 2] * 3)[9 - n :]


def test_impossible_masks_are_an_error_that_says_which_length():
    ring = np.roll(np.eye(K, dtype=bool), 1, axis=1).tolist()
    with pytest.raises(ParameterError, match="no sequence of 2 tags"):
        JordanHead(K, 4, start_mask=[True, False, False], transition_mask=ring, end_mask=[True, False, False])


# --- the same answer wherever a sentence stands --------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", [{"bidirectional": True, "beam_width": 3}, {"beam_width": 1}])
@pytest.mark.parametrize("masks", [{}, IOB2])
def test_results_do_not_depend_on_batch_padding_or_order(kwargs, masks):
    head, rng = make(dtype="float32", **kwargs, **masks)
    lengths = rng.integers(0, 13, 40)
    x = rng.normal(size=(40, 12, D)).astype("float32")
    tags_in = rng.integers(0, K, (40, 12))
    order = rng.permutation(40)
    garbage = np.concatenate([x, 1e3 * np.ones_like(x)], axis=1)
    garbage[:, :12][np.arange(12) >= lengths[:, None]] = -7e2
    decode, run_free = graph(head.decode), graph(head.probabilities)
    p, (tags, scores), loss = run_free(x, lengths), decode(x, lengths), head.loss(x, lengths, tags_in)
    p2 = run_free(garbage[order], lengths[order]).numpy()
    tags2, scores2 = (tensor.numpy() for tensor in decode(garbage[order], lengths[order]))
    loss2 = head.loss(garbage[order], lengths[order], np.pad(tags_in, ((0, 0), (0, 12)))[order])
    np.testing.assert_allclose(p2[:, :12], p.numpy()[order], atol=1e-5)
    assert (p2[:, 12:] == 0).all()
    np.testing.assert_array_equal(tags2[:, :12], tags.numpy()[order])
    np.testing.assert_allclose(scores2[:, :12], scores.numpy()[order], atol=1e-5)
    np.testing.assert_allclose(loss2, loss.numpy()[order], rtol=1e-5, atol=1e-5)
    for i in range(0, 40, 7):
        n = lengths[i]
        one = x[i : i + 1, :n]
        np.testing.assert_allclose(run_free(one, [n])[0], p[i, :n], atol=1e-5)
        np.testing.assert_array_equal(decode(one, [n])[0][0], tags[i, :n])
        np.testing.assert_allclose(head.loss(one, [n], tags_in[i : i + 1, :n]), [loss[i]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [1, 2])
def test_long_sequences_keep_their_digits(width):
    """1,000 tokens: the running score is in the hundreds, the differences that decide are far below 1."""
    head, rng = make(dtype="float32", beam_width=width, bidirectional=True, **IOB2)
    precise, _ = make(dtype="float64", beam_width=width, bidirectional=True, **IOB2)
    x = rng.normal(size=(1, 1000, D))
    tags, scores = graph(head.decode)(x, [1000])
    exact_tags, exact_scores = graph(precise.decode)(x, [1000])
    assert (tags.numpy() == exact_tags.numpy()).all()
    np.testing.assert_allclose(scores, exact_scores, atol=1e-4)
    assert -float(head.loss(x, [1000], tags)[0]) < -500


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize("kwargs", [{"bidirectional": True, "beam_width": 2, "scheduled_sampling": 0.5, **IOB2}, {}])
def test_empty_batches(shape, kwargs):
    head, _ = make(recurrent_dropout=0.2, dropout=0.2, **kwargs)
    x, lengths = np.zeros((*shape, D)), np.zeros(shape[0], "int32")
    for function in (head.decode, tf.function(head.decode, input_signature=[
        tf.TensorSpec([None, None, D], "float64"), tf.TensorSpec([None], "int32")])):  # fmt: skip
        tags, scores = function(x, lengths)
        assert tags.shape == scores.shape == shape
    assert head.probabilities(x, lengths).shape == (*shape, K)
    for training in (False, True):
        np.testing.assert_array_equal(
            head.loss(x, lengths, np.zeros(shape, int), training=training), np.zeros(shape[0])
        )


# --- as a Keras layer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_softmax_and_weights_in_float32(policy):
    full, rng = make(dtype="float32", bidirectional=True, beam_width=2, **IOB2)
    half, _ = make(dtype=policy, bidirectional=True, beam_width=2, **IOB2)
    assert {v.dtype for v in half.trainable_variables} == {"float32"}
    x, lengths, tags = batch(rng)
    out = half(x.astype("float32"), lengths)
    assert out.dtype == tf.float32
    np.testing.assert_allclose(out, full(x.astype("float32"), lengths), atol=0.05)
    loss = half.loss(x, lengths, tags)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, full.loss(x, lengths, tags), atol=0.1)
    assert half.decode(x, lengths)[1].dtype == tf.float32
    half.forward_output_kernel.assign(1e5 * np.ones((UNITS, K)))  # beyond float16
    assert np.isfinite(half.loss(x, lengths, tags)).all()


def test_dropout_masks_hold_for_a_whole_sequence():
    head = JordanHead(K, K, "linear", recurrent_dropout=0.5, seed=1)
    head.build((None, None, D))
    for name in ("kernel", "bias", "output_bias"):
        variable = getattr(head, f"forward_{name}")
        variable.assign(np.zeros(variable.shape))
    head.forward_recurrent_kernel.assign(np.eye(K))
    head.forward_output_kernel.assign(np.eye(K))
    # Tag 1 all along: each step but the first has logits (0, 2, 0) where tag 1 is kept, (0, 0, 0) where it is dropped.
    loss = head.loss(np.zeros((200, 6, D)), np.full(200, 6), np.ones((200, 6), int), training=True).numpy()
    first, kept = np.log(3), -np.log(np.exp(2) / (np.exp(2) + 2))
    np.testing.assert_allclose(np.unique(loss.round(4)), np.sort([first + 5 * kept, 6 * first]), atol=1e-3)
    assert 70 < (loss > 5).sum() < 130
    quiet = head.loss(np.zeros((2, 6, D)), [6, 6], np.ones((2, 6), int)).numpy()
    np.testing.assert_allclose(quiet, first - 5 * np.log(np.e / (np.e + 2)), atol=1e-5)


def test_one_seed_gives_the_same_weights_and_masks():
    def run(seed):
        head = JordanHead(K, UNITS, bidirectional=True, dropout=0.4, scheduled_sampling=0.4, seed=seed)
        head.build((None, None, D))
        x, lengths, tags = batch(np.random.default_rng(0))
        return [*head.get_weights(), head.loss(x, lengths, tags, training=True).numpy()]

    one, two, other = run(1), run(1), run(2)
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert (one[-1] != other[-1]).any()
    assert (one[0] != other[0]).any()
    assert not np.allclose(one[0], one[5]), "both directions start from the same weights"


def test_config_says_everything():
    head = JordanHead(
        K, 5, "relu", True, scheduled_sampling=0.1, beam_width=4, dropout=0.2, recurrent_dropout=0.3,
        initial_state="learned", **IOB2, end_mask=np.array([True, True, True]), seed=9, name="j",
    )  # fmt: skip
    config = head.get_config()
    again = JordanHead.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    for name in ("num_tags", "units", "bidirectional", "scheduled_sampling", "beam_width", "dropout",
                 "recurrent_dropout", "initial_state", "seed"):  # fmt: skip
        assert getattr(again, name) == getattr(head, name)
    assert again.activation is keras.activations.relu
    assert config["transition_mask"] == IOB2["transition_mask"]
    assert keras.saving.get_registered_name(JordanHead) == "seqkit>JordanHead"


def test_call_takes_lengths_from_the_mask():
    head, rng = make(dtype="float32", bidirectional=True)
    x, lengths, _ = batch(rng)
    x = x.astype("float32")
    expected = head.probabilities(x, lengths)
    np.testing.assert_allclose(head(x, mask=np.arange(5) < lengths[:, None]), expected)
    np.testing.assert_allclose(head(x, lengths), expected)
    np.testing.assert_allclose(head(x), head.probabilities(x, [5, 5, 5, 5]))


@pytest.fixture(scope="module")
def trained():
    """A model that learned a task only a fed-back tag can solve: tags alternate, the first vector says from which."""
    features = keras.Input((None, D))
    lengths = keras.Input((), dtype="int32")
    head = JordanHead(K, 8, beam_width=3, initial_state="learned", **IOB2, seed=0)
    model = keras.Model([features, lengths], head(features, lengths))
    rng = np.random.default_rng(0)
    x = np.zeros((64, 6, D), "float32")
    x[:, 0] = rng.normal(size=(64, D))
    tags = np.where((x[:, 0, :1] > 0) ^ (np.arange(6) % 2 == 1), 0, 2)
    n = rng.integers(1, 7, 64)
    optimizer = keras.optimizers.Adam(0.05)
    optimizer.build(model.trainable_variables)

    @tf.function
    def update():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(head.loss(x, n, tags, training=True))
        optimizer.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]), model.trainable_variables)
        return loss

    losses = [float(update()) for _ in range(120)]
    return model, head, x, n, tags, losses


def test_it_learns_and_its_decoding_is_right(trained):
    model, head, x, n, tags, losses = trained
    assert losses[-1] < 0.1 * losses[0]
    decoded, scores = head.decode(x, n)
    real = np.arange(6) < n[:, None]
    assert (decoded.numpy() == tags)[real].mean() > 0.97
    assert scores.numpy()[real].mean() > 0.9
    assert model.output_shape == (None, None, K)


SCRIPT = """
import sys, numpy as np, keras
import seqkit.layers.jordan
model = keras.saving.load_model(sys.argv[1] + "/m.keras")
data = np.load(sys.argv[1] + "/data.npz")
np.testing.assert_allclose(model([data["x"], data["n"]]), data["p"], atol=1e-6)
head = [layer for layer in model.layers if type(layer).__name__ == "JordanHead"][0]
tags, scores = head.decode(data["x"], data["n"])
np.testing.assert_array_equal(tags, data["tags"])
np.testing.assert_allclose(scores, data["scores"], atol=1e-6)
"""

SERVING = """
import sys, numpy as np
from seqkit.export.runtime import Runtime
model = Runtime(sys.argv[1] + "/export")
data = np.load(sys.argv[1] + "/data.npz")
for rows, steps in ((64, 6), (1, 6), (7, 3), (0, 6), (3, 0)):
    n = np.minimum(data["n"][:rows], steps)
    answer = model.run("decode", {"features": data["x"][:rows, :steps], "lengths": n})
    assert answer["tags"].shape == answer["scores"].shape == (rows, steps)
    if steps == 6:
        np.testing.assert_array_equal(answer["tags"], data["tags"][:rows])
        np.testing.assert_allclose(answer["scores"], data["scores"][:rows], atol=1e-6)
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""


def test_keras_file_and_cpp_runtime_in_fresh_processes(trained, tmp_path):
    model, head, x, n, _, _ = trained
    n = n.astype("int32")
    n[3] = 0
    tags, scores = head.decode(x, n)
    np.savez(tmp_path / "data.npz", x=x, n=n, p=model([x, n]), tags=tags, scores=scores)
    model.save(tmp_path / "m.keras")
    archive = keras.export.ExportArchive()
    archive.track(head)

    def decode(features, lengths):
        return dict(zip(("tags", "scores"), head.decode(features, lengths), strict=True))

    archive.add_endpoint("decode", decode, input_signature=[
        tf.TensorSpec([None, None, D], "float32"), tf.TensorSpec([None], "int32")])  # fmt: skip
    archive.write_out(tmp_path / "export", verbose=False)
    for script in (SCRIPT, SERVING):
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]


def test_methods_build_the_layer_on_first_use_inside_a_graph():
    head = JordanHead(K, UNITS, initial_state="learned", seed=0)
    x, lengths, tags = batch(np.random.default_rng(0))
    loss = tf.function(lambda x: head.loss(x, lengths, tags))(tf.constant(x, tf.float32))
    np.testing.assert_allclose(loss, [forced_nll(weights_of(head), x[i, :n], tags[i, :n])
                                      for i, n in enumerate(lengths)], atol=1e-5)  # fmt: skip


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"num_tags": 0}, "num_tags"),
        ({"units": 1.5}, "units"),
        ({"beam_width": 0}, "beam_width"),
        ({"dropout": 1}, "dropout"),
        ({"scheduled_sampling": 1.1}, "scheduled_sampling"),
        ({"initial_state": "ones"}, "initial_state"),
        ({"start_mask": [True]}, "start_mask"),
        ({"transition_mask": [True, True, True]}, "transition_mask"),
        ({"end_mask": [0.5, 1, 2]}, "end_mask"),
    ],
)
def test_bad_arguments_are_named(kwargs, name):
    with pytest.raises(ParameterError, match=f"`{name}`"):
        JordanHead(**{"num_tags": K, "units": 4, **kwargs})
