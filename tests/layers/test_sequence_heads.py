"""Heads with one answer for a sequence: probabilities and losses by hand, a Jordan network step by step in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_softmax, softmax

from seqkit.errors import ParameterError
from seqkit.layers.sequence_heads import JordanReadout, PooledHead

LENGTHS = np.array([3, 1, 0, 4], np.int32)
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(4, 4, 5)).astype(np.float32)
LINKS = ("softmax", "sigmoid", "linear")


def shaken(head):
    """Build a head and move its weights away from where they begin."""
    head.build((None, None, 5))
    for weight in head.trainable_variables:
        weight.assign(RNG.normal(0, 0.7, weight.shape))
    return head


@pytest.mark.parametrize("link", LINKS)
def test_pooled_head(link):
    head = shaken(PooledHead(3, link=link, pooling="mean", seed=0))
    outputs = head.outputs(FEATURES, LENGTHS).numpy()
    mean = [FEATURES[i, :n].mean(0) if n else np.zeros(5) for i, n in enumerate(LENGTHS)]
    np.testing.assert_allclose(outputs, mean @ head.dense.kernel.numpy() + head.dense.bias.numpy(), atol=1e-5)
    found = head.probabilities(FEATURES, LENGTHS).numpy()
    by_hand = {"softmax": lambda z: softmax(z, 1), "sigmoid": expit, "linear": lambda z: z}[link]
    np.testing.assert_allclose(found, by_hand(outputs), atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_losses(weighted):
    weights = np.array([0.5, 2.0, 3.0], np.float32)
    given = {"class_weights": tf.constant(weights)} if weighted else {}
    weights = weights if weighted else np.ones(3)
    classes, labels = np.array([2, 0, 1, 1]), RNG.integers(0, 2, (4, 3)).astype(np.float32)
    head = shaken(PooledHead(3, link="softmax"))
    z = head.outputs(FEATURES, LENGTHS).numpy()
    expected = -log_softmax(z, 1)[np.arange(4), classes] * weights[classes]
    np.testing.assert_allclose(head.loss(FEATURES, LENGTHS, classes, **given), expected, rtol=1e-5)
    head = shaken(PooledHead(3, link="sigmoid"))
    z = head.outputs(FEATURES, LENGTHS).numpy()
    expected = -(weights * (labels * np.log(expit(z)) + (1 - labels) * np.log(expit(-z)))).sum(1)
    np.testing.assert_allclose(head.loss(FEATURES, LENGTHS, labels, **given), expected, rtol=1e-4)


def test_values_are_standardized_inside():
    head = shaken(PooledHead(2, link="linear"))
    plain = head.probabilities(FEATURES, LENGTHS).numpy()
    head.target_mean.assign([10.0, -5.0])
    head.target_deviation.assign([2.0, 100.0])
    found = head.probabilities(FEATURES, LENGTHS).numpy()
    np.testing.assert_allclose(found, plain * [2, 100] + [10, -5], rtol=1e-5)
    targets = RNG.normal(size=(4, 2))
    expected = np.square((found - targets) / [2, 100]).sum(1)
    np.testing.assert_allclose(head.loss(FEATURES, LENGTHS, targets), expected, rtol=1e-4)


def test_temperature_tempers_and_keeps_the_order():
    head = shaken(PooledHead(3))
    z = head.outputs(FEATURES, LENGTHS).numpy()
    head.temperature.assign(2.5)
    np.testing.assert_allclose(head.probabilities(FEATURES, LENGTHS), softmax(z / 2.5, 1), atol=1e-6)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_jordan_readout(link, bidirectional):
    """h_t = tanh(x_t W + y_{t-1} U + b), y_t = o(h_t V + c); both directions' answers are averaged."""
    head = shaken(JordanReadout(3, link=link, units=4, bidirectional=bidirectional, initial_state="learned", seed=0))
    through = {"softmax": softmax, "sigmoid": expit, "linear": lambda z: z}[link]
    for row, length in enumerate(LENGTHS):
        answers = []
        for network in head.networks:
            cell = network.cell
            W, U, b, V, c = (
                w.numpy() for w in (cell.kernel, cell.recurrent_kernel, cell.bias, cell.output_kernel, cell.output_bias)
            )
            steps = FEATURES[row, :length] if length else np.zeros((1, 5))
            y = network.learned_state[0].numpy()
            for x in steps[::-1] if network.backward else steps:
                z = np.tanh(x @ W + y @ U + b) @ V + c
                y = through(z)
            answers.append(np.log(y) if link == "softmax" else np.log(y / (1 - y)) if link == "sigmoid" else y)
        np.testing.assert_allclose(head.outputs(FEATURES, LENGTHS)[row], np.mean(answers, 0), atol=1e-4)


def test_unknown_link():
    with pytest.raises(ParameterError, match="link='relu' is not known"):
        PooledHead(2, link="relu")
