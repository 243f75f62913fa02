"""The generator's network: frames and contexts; what it shares with language models is in test_language_model.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import read

from seqkit.errors import DataError, ParameterError
from seqkit.models import build_generator

KEYS, UNITS, CONTEXT = 5, 4, 3


def filled(*arguments, **options):
    model = build_generator(*arguments, **{"units": UNITS, "seed": 0, **options})
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.6, variable.shape))
    return model, rng


def frames_of(rng, *shape):
    return rng.integers(0, 2, (*shape, KEYS)).astype(np.float32)


@pytest.mark.parametrize("context_as", ["input", "state", "both"])
@pytest.mark.parametrize("cell", ["elman", "lstm", "leaky"])
def test_it_is_its_equations(cell, context_as):
    model, rng = filled(keys=KEYS, head="bernoulli", cell=cell, context_dim=CONTEXT, context_as=context_as)
    frames, context = frames_of(rng, 3, 6), rng.normal(size=(3, CONTEXT)).astype(np.float32)
    inputs, state = frames, None
    if context_as != "state":
        inputs = np.concatenate([frames, np.repeat(context[:, None], 6, 1)], -1)
    if context_as != "input":
        state = np.split(np.tanh(context @ model.context_kernel.numpy()), model.state_size // UNITS, -1)
    layer = model.recurrent.directions[0][0]
    hidden = read(cell, [w.numpy() for w in layer.loop.trainable_weights], inputs, state=state)
    expected = 1 / (1 + np.exp(-(hidden @ model.head.kernel.numpy() + model.head.bias.numpy())))
    np.testing.assert_allclose(model({"items": frames, "context": context}), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {"keys": KEYS, "head": "bernoulli", "layers": 2}),
        ((), {"keys": KEYS, "head": "nade", "cell": "gru", "context_dim": CONTEXT}),
        ((), {"keys": KEYS, "head": "bernoulli", "cell": "jordan", "context_dim": CONTEXT, "layers": 2}),
        ((6,), {"word_dim": 3, "context_dim": CONTEXT, "initial_state": "learned"}),
        ((6,), {"cell": "jordan", "context_dim": CONTEXT}),
    ],
    ids=str,
)
def test_stepping_and_reading_on_are_reading_at_once(arguments, options):
    model, rng = filled(*arguments, **options)
    items = rng.integers(0, 6, (3, 5)) if arguments else frames_of(rng, 3, 5)
    context = tf.constant(rng.normal(size=(3, CONTEXT)), tf.float32) if "context_dim" in options else None
    whole, _ = model.read(tf.constant(items), model.first_states(3, context), context=context)
    states, rows = model.first_states(3, context), []
    for t in range(2):
        scores, states = model.step(tf.constant(items[:, t]), states, context)
        rows.append(scores)
    outputs, _ = model.read(tf.constant(items[:, 2:]), states, context=context)
    np.testing.assert_allclose(tf.stack(rows, 1), model.logits(whole[:, :2]), atol=1e-5)
    np.testing.assert_allclose(outputs, whole[:, 2:], atol=1e-5)


def test_a_jordan_network_feeds_the_probability_of_each_key_back():
    model, rng = filled(keys=KEYS, head="bernoulli", cell="jordan")
    frames = frames_of(rng, 2, 4)
    cell = model.top.cell
    y = np.zeros((2, KEYS))
    for t, found in enumerate(np.moveaxis(model(frames).numpy(), 1, 0)):
        h = np.tanh(frames[:, t] @ cell.kernel.numpy() + y @ cell.recurrent_kernel.numpy() + cell.bias.numpy())
        y = 1 / (1 + np.exp(-(h @ cell.output_kernel.numpy() + cell.output_bias.numpy())))
        np.testing.assert_allclose(found, y, atol=1e-6)
    outputs, targets = model.read(tf.constant(frames), model.first_states(2))[0], frames_of(rng, 2, 4)
    expected = -(np.log(outputs) * targets + np.log(1 - outputs) * (1 - targets)).sum(-1)
    np.testing.assert_allclose(
        model.losses(tf.reshape(outputs, [-1, KEYS]), targets.reshape(-1, KEYS)), expected.ravel(), rtol=1e-4
    )


@pytest.mark.parametrize("head", ["bernoulli", "nade"])
def test_keras_fit_learns_which_frame_follows_in_which_context(head, tmp_path):
    model = build_generator(keys=2, head=head, head_units=8, units=16, context_dim=1, seed=0)
    model.compile(keras.optimizers.Adam(0.03))
    items = np.tile([[[0, 0], [1, 0], [1, 1]]], (64, 1, 1)).astype(np.float32)
    following = np.tile([[[1, 0], [1, 1], [0, 1]]], (64, 1, 1)).astype(np.float32)
    context = np.repeat([[0.0], [1.0]], 32, 0)
    following[32:, :, 0] = 0  # in the second, the first key is never on
    inputs = {"items": items, "context": context}
    model.fit(inputs, following, epochs=60, verbose=0)
    assert model.evaluate(inputs, following, verbose=0) < 0.1
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(inputs), model(inputs), atol=1e-6)


def test_ends_have_log_odds():
    model, rng = filled(keys=KEYS, head="bernoulli", halting="bernoulli")
    outputs, _ = model.read(tf.constant(frames_of(rng, 2, 3)), model.first_states(2))
    expected = (outputs.numpy() @ model.halt_kernel.numpy() + model.halt_bias.numpy())[..., 0]
    np.testing.assert_allclose(model.halt_logits(outputs), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "vocabulary_size=0 must be at least 2.*or give keys= for frames"),
        ({"keys": 3}, "their head is 'bernoulli', 'nade' or 'linear', got head='softmax'"),
        ({"keys": 3, "head": "bernoulli", "word_dim": 4}, "no word_dim="),
        ({"vocabulary_size": 5, "head": "nade"}, "head='nade' is for frames, which need keys="),
        ({"keys": 3, "head": "nade", "cell": "jordan"}, "head='nade' does not go with cell='jordan'"),
        ({"vocabulary_size": 5, "context_as": "both ways"}, "context_as='both ways' is not known"),
        ({"vocabulary_size": 5, "context_dim": -1}, "context_dim=-1 must be an integer of at least 0"),
    ],
)
def test_parameters_that_cannot_be(options, message):
    with pytest.raises(ParameterError, match=message):
        build_generator(**options)


def test_a_missing_context_is_told():
    model = build_generator(5, context_dim=2, units=3)
    with pytest.raises(DataError, match="a dict with 'items' and 'context'"):
        model.call(np.zeros((1, 2), int))
