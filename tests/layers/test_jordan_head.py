"""JordanHead's losses, probabilities and gradients against NumPy; test_jordan_decoding.py has its search for tags."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from jordan_equations import (
    CORNERED,
    IOB2,
    MODES,
    UNITS,
    D,
    K,
    batch,
    expected_probabilities,
    forced_nll,
    free_run,
    make,
    step,
    weights_of,
)

from seqkit.errors import ParameterError
from seqkit.layers.jordan import JordanHead

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
