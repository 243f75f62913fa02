"""The distribution of lengths, against sums and drawn numbers."""

import numpy as np
import tensorflow as tf

from seqkit.layers.length_head import LengthHead


def head(center=2.0, scale=0.3, kernel=0.0, dim=1):
    """A head whose center is ``center + kernel · context``."""
    made = LengthHead(dim)
    made.build((None, dim))
    made.bias.assign([center])
    made.log_scale.assign([np.log(scale)])
    if dim:
        made.kernel.assign([[kernel]])
    return made


def test_probabilities_are_differences_of_the_logistic_and_sum_to_one():
    lengths = np.arange(1, 400)
    found = np.exp(-head().losses(lengths, np.zeros((len(lengths), 1), np.float32)).numpy())

    def below(x):
        return 1 / (1 + np.exp(-(np.log(x) - 2.0) / 0.3))

    expected = below(lengths + 0.5) - np.where(lengths > 1, below(np.maximum(lengths - 0.5, 0.1)), 0)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-9)
    np.testing.assert_allclose(found.sum(), 1, atol=1e-4)


def test_gradients_are_those_of_differences_and_finite_far_out():
    made, lengths = head(kernel=0.5), np.array([1, 2, 7, 30])
    contexts = np.array([[0.0], [1.0], [-1.0], [2.0]], np.float32)
    variables = made.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(made.losses(lengths, contexts))
    assert np.isfinite(made.losses([100_000, 1], [[0.0], [9.0]])).all()
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        values = []
        for step in (1e-2, -2e-2):
            variable.assign_add(tf.fill(variable.shape, step))
            values.append(float(tf.reduce_sum(made.losses(lengths, contexts))))
        variable.assign_add(tf.fill(variable.shape, 1e-2))
        np.testing.assert_allclose(float(tf.reduce_sum(gradient)), (values[0] - values[1]) / 2e-2, rtol=1e-2)


def test_drawn_lengths_have_their_probabilities():
    made = head(center=1.5, scale=0.5)
    chances = ((np.arange(200_000) + 0.5) / 200_000).astype(np.float32)
    contexts = np.zeros((len(chances), 1), np.float32)
    drawn = made.draw(contexts, chances, tf.ones(len(chances))).numpy()
    lengths = np.arange(1, 30)
    shares = np.bincount(drawn, minlength=31)[1:30] / len(drawn)
    np.testing.assert_allclose(shares, np.exp(-made.losses(lengths, contexts[:29]).numpy()), atol=2e-4)
    assert (made.draw(contexts[:5], chances[:5], tf.zeros(5)).numpy() == round(np.exp(1.5))).all()
    assert made.draw(contexts[:1], np.zeros(1, np.float32), tf.ones(1)).numpy() >= 1


def test_the_context_moves_the_center():
    made = head(center=1.0, kernel=1.0)
    found = made.draw(np.array([[0.0], [1.0], [2.0]], np.float32), np.full(3, 0.5, np.float32), tf.ones(3))
    assert found.numpy().tolist() == [3, 7, 20]  # e, e², e³ rounded


def test_it_begins_with_the_lengths_it_is_told():
    made = head(dim=0)
    made.expect(np.array([8, 8, 8]))
    assert made.draw(np.zeros((2, 0), np.float32), np.full(2, 0.5, np.float32), tf.ones(2)).numpy().tolist() == [8, 8]
    logs = np.log([4, 16])
    made.expect(np.array([4, 16]))
    np.testing.assert_allclose(made.bias.numpy(), logs.mean(), rtol=1e-6)
    np.testing.assert_allclose(np.exp(made.log_scale.numpy()) * np.pi / np.sqrt(3), logs.std(), rtol=1e-5)
