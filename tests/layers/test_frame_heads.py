"""Distributions over frames, against enumeration."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.layers.frame_heads import BernoulliHead, NadeHead

KEYS, DIM = 4, 3
FRAMES = np.array(list(itertools.product([0, 1], repeat=KEYS)), np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(params=[BernoulliHead, NadeHead])
def head(request):
    made = request.param(KEYS, **({"units": 5} if request.param is NadeHead else {}), seed=1)
    made.build((None, DIM))
    rng = np.random.default_rng(0)
    for variable in made.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return made


def log_probability(head, output, frame):
    """By the docstring's equations, key by key."""
    w = {v.name: v.numpy().astype(float) for v in head.trainable_variables}
    total, bias = 0.0, w["bias"] + output @ w["kernel"]
    for k in range(KEYS):
        p = sigmoid(bias[k])
        if isinstance(head, NadeHead):
            hidden = w["hidden_bias"] + output @ w["hidden_kernel"] + frame[:k] @ w["input_kernel"][:k]
            p = sigmoid(bias[k] + w["output_kernel"][k] @ sigmoid(hidden))
        total += np.log(p if frame[k] else 1 - p)
    return total


def test_losses_are_their_equations_and_probabilities_add_up_to_one(head):
    output = np.random.default_rng(1).normal(size=DIM)
    found = head.losses(tf.constant(np.tile(output, (len(FRAMES), 1)), tf.float32), tf.constant(FRAMES))
    np.testing.assert_allclose(-found, [log_probability(head, output, f) for f in FRAMES], rtol=1e-5)
    np.testing.assert_allclose(np.exp(-found).sum(), 1, atol=1e-5)


def test_gradients_are_those_of_finite_differences(head):
    rng = np.random.default_rng(2)
    outputs, frames = tf.constant(rng.normal(size=(6, DIM)), tf.float32), tf.constant(FRAMES[3:9])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = tf.reduce_sum(head.losses(outputs, frames))
    weights = [v.value for v in head.trainable_variables]
    for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        value = variable.numpy()
        for place in [tuple(rng.integers(0, n) for n in value.shape) for _ in range(3)]:
            sides = []
            for change in (1e-2, -1e-2):
                moved = value.copy()
                moved[place] += change
                variable.assign(moved)
                sides.append(float(tf.reduce_sum(head.losses(outputs, frames))))
            variable.assign(value)
            np.testing.assert_allclose(gradient[place], (sides[0] - sides[1]) / 2e-2, atol=2e-3)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_frames_are_drawn_by_their_probability(head, temperature):
    rng, rows = np.random.default_rng(3), 20_000
    output = rng.normal(size=DIM)
    chances = tf.constant(rng.uniform(size=(rows, KEYS)), tf.float32)
    outputs = tf.constant(np.tile(output, (rows, 1)), tf.float32)
    drawn = head.draw(outputs, chances, tf.fill([rows], temperature)).numpy()
    found = np.bincount(drawn.astype(int) @ 2 ** np.arange(KEYS)[::-1], minlength=len(FRAMES)) / rows
    if temperature == 1.0:
        np.testing.assert_allclose(found, [np.exp(log_probability(head, output, f)) for f in FRAMES], atol=0.015)
    else:  # nearer to the most probable keys
        one = head.draw(outputs, chances, tf.ones(rows)).numpy()
        assert found.max() > (np.bincount(one.astype(int) @ 2 ** np.arange(KEYS)[::-1]) / rows).max()
    cold = head.draw(outputs[:2], chances[:2], tf.zeros(2)).numpy()
    np.testing.assert_array_equal(cold[0], cold[1])


def test_it_begins_with_how_often_keys_are_on(head):
    for variable in head.trainable_variables:
        variable.assign(tf.zeros(variable.shape))
    shares = np.array([0.1, 0.5, 0.9, 0.3], np.float32)
    head.expect(shares)
    found = head.losses(tf.zeros([1, DIM]), tf.constant([[1.0, 0, 1, 0]]))
    np.testing.assert_allclose(np.exp(-found), [0.1 * 0.5 * 0.9 * 0.7], rtol=1e-4)


def test_config_round_trip(head):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
