"""Attention against its equations in NumPy, gradients included."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import numeric_gradients, sigmoid

from seqkit.errors import ParameterError
from seqkit.layers.attention import SCORES, Attention

UNITS, STEPS, PLACES, LENGTHS = 3, 2, 5, (5, 2, 0)


def weights_of(layer):
    return {v.name: v.numpy().astype(float) for v in layer.weights}


def attend(score, weights, h, memory, window):
    """``h̃`` and ``a`` of one query and one memory [places, dim], as the docstring of `Attention` has them."""
    count = len(memory)
    if not count:
        return np.tanh(np.concatenate([np.zeros(memory.shape[1]), h]) @ weights["kernel"]), np.zeros(0)
    places = np.arange(count)
    keys = memory @ weights["key_kernel"] if score != "dot" else memory
    if score == "additive":
        scores = np.tanh(h @ weights["query_kernel"] + keys + weights["bias"]) @ weights["score_kernel"][:, 0]
    else:
        scores = keys @ h
    shares = np.exp(scores - scores.max())
    if score == "local":
        center = count * sigmoid(np.tanh(h @ weights["query_kernel"]) @ weights["score_kernel"][:, 0])
        shares *= np.abs(places - center) <= window
    shares /= shares.sum()
    if score == "local":
        shares *= np.exp(-2 * (places - center) ** 2 / window**2)
    return np.tanh(np.concatenate([shares @ memory, h]) @ weights["kernel"]), shares


def example(score, window=2):
    layer = Attention(UNITS, score, window, seed=0)
    dim = UNITS if score == "dot" else 4
    layer.build((None, None, dim))
    rng = np.random.default_rng(1)
    for variable in layer.weights:
        variable.assign(rng.normal(0, 0.8, variable.shape))
    queries = rng.normal(size=(len(LENGTHS), STEPS, UNITS))
    return layer, queries, rng.normal(size=(len(LENGTHS), PLACES, dim))


def run(layer, queries, memory):
    queries, memory = (tf.convert_to_tensor(v, tf.float32) for v in (queries, memory))
    return layer(queries, layer.remember(memory, tf.constant(LENGTHS)))


@pytest.mark.parametrize("score", SCORES)
def test_it_does_as_its_equations(score):
    layer, queries, memory = example(score)
    found, looks = run(layer, queries, memory)
    assert looks.dtype == tf.float32
    for row, length in enumerate(LENGTHS):
        for t in range(STEPS):
            expected, shares = attend(score, weights_of(layer), queries[row, t], memory[row, :length], 2)
            np.testing.assert_allclose(found[row, t], expected, atol=1e-5)
            np.testing.assert_allclose(looks[row, t, :length], shares, atol=1e-5)
            assert not looks[row, t, length:].numpy().any()


@pytest.mark.parametrize("score", SCORES)
def test_gradients(score):
    layer, queries, memory = example(score, window=20)  # no place comes in or goes out within a difference
    up = np.random.default_rng(2).normal(size=(len(LENGTHS), STEPS, UNITS))
    weights = weights_of(layer)

    def loss():
        rows = range(len(LENGTHS))
        every = [
            [attend(score, weights, queries[n, t], memory[n, : LENGTHS[n]], 20)[0] for t in range(STEPS)] for n in rows
        ]
        return float((np.array(every) * up).sum())

    given = [tf.constant(v, tf.float32) for v in (queries, memory)]
    with tf.GradientTape() as tape:
        tape.watch(given)
        found, _ = run(layer, *given)
        total = tf.reduce_sum(found * up)
    wanted = [*given, *(v.value for v in layer.weights)]
    gradients = tape.gradient(total, wanted)
    names = [v.name for v in layer.weights]
    expected = numeric_gradients(loss, [queries, memory, *(weights[name] for name in names)])
    for gradient, want in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), want, atol=2e-3, rtol=2e-3)


def test_what_stands_after_the_end_has_no_say():
    layer, queries, memory = example("general")
    found, _ = run(layer, queries, memory)
    for row, length in enumerate(LENGTHS):
        memory[row, length:] = np.nan
    again, looks = run(layer, queries, memory)
    np.testing.assert_array_equal(found, again)
    assert np.isfinite(looks).all()


def test_configuration():
    layer = Attention(3, "local", 7, seed=5)
    assert Attention.from_config(layer.get_config()).get_config() == layer.get_config()
    assert keras.saving.get_registered_name(Attention) == "seqkit>Attention"


def test_what_it_cannot_be():
    with pytest.raises(ParameterError, match="score='best' is not known"):
        Attention(3, "best")
    with pytest.raises(ParameterError, match="score='dot' needs a memory of the size of the outputs, 3, got 4"):
        Attention(3, "dot").build((None, None, 4))
