"""CharacterEncoder against NumPy, one token at a time."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import read

from seqkit.errors import ParameterError
from seqkit.layers.char_encoder import CharacterEncoder

TOKENS = [[3, 4, 5, 6], [7], [], [2, 2, 8], [1, 9]]


def padded(width):
    out = np.zeros((len(TOKENS), width), np.int32)
    for row, token in zip(out, TOKENS, strict=True):
        row[: len(token)] = token
    return tf.constant(out)


def make(kind, **options):
    encoder = CharacterEncoder(10, kind, dim=3, units=4, seed=0, **options)
    encoder.build()
    rng = np.random.default_rng(0)
    encoder.set_weights([rng.normal(0, 0.8, w.shape) if "seed" not in w.path else w for w in encoder.weights])
    return encoder


def convolved(encoder, token):
    """The maximum over windows centred on each character, zeros around the token."""
    table, kernel, bias = (w.numpy().astype(np.float64) for w in (encoder.table, encoder.kernel, encoder.bias))
    left = (len(kernel) - 1) // 2
    values = np.pad(table[token], [(left, len(kernel) - 1 - left), (0, 0)])
    windows = [sum(values[at + k] @ kernel[k] for k in range(len(kernel))) + bias for at in range(len(token))]
    return np.tanh(np.max(windows, 0))


def last_outputs(encoder, token):
    """The last output of each reading."""
    x = encoder.table.numpy().astype(np.float64)[token][None]
    forward, backward = (
        [w.numpy().astype(np.float64) for w in layer.loop.trainable_weights] for layer in encoder.reader.directions[0]
    )
    return np.concatenate([read("lstm", forward, x)[0, -1], read("lstm", backward, x, backward=True)[0, 0]])


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_convolution(width):
    encoder = make("cnn", width=width)
    expected = [convolved(encoder, token) if token else np.zeros(4) for token in TOKENS]
    np.testing.assert_allclose(encoder(padded(4)), expected, atol=1e-6)


def test_recurrent():
    encoder = make("rnn")
    expected = [last_outputs(encoder, token) if token else np.zeros(4) for token in TOKENS]
    np.testing.assert_allclose(encoder(padded(4)), expected, atol=2e-6)


@pytest.mark.parametrize("kind", ["cnn", "rnn"])
def test_the_longest_token_of_a_batch_does_not_matter(kind):
    encoder = make(kind)
    vectors = encoder(padded(4)).numpy()
    np.testing.assert_allclose(encoder(padded(40)), vectors, atol=1e-6)
    for token, vector in zip(TOKENS, vectors, strict=True):
        np.testing.assert_allclose(encoder(tf.constant([token or [0]]))[0], vector, atol=1e-6)


@pytest.mark.parametrize("kind", ["cnn", "rnn"])
def test_empty_tokens_are_zero_and_teach_nothing(kind):
    encoder = make(kind)
    with tf.GradientTape() as tape:
        vectors = encoder(tf.zeros((3, 2), tf.int32))
        loss = tf.reduce_sum(tf.square(vectors - 1.0))
    assert not vectors.numpy().any()
    gradients = tape.gradient(loss, [v.value for v in encoder.trainable_variables])
    assert all(not np.any(tf.convert_to_tensor(g)) for g in gradients)


@pytest.mark.parametrize("kind", ["cnn", "rnn"])
def test_half_precision_follows(kind):
    encoder = make(kind)
    half = make(kind, dtype="mixed_bfloat16")
    out = half(padded(4))
    assert out.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(out, tf.float32), encoder(padded(4)), atol=0.05)


def test_configuration_and_seed():
    encoder = CharacterEncoder(10, "rnn", dim=3, units=4, seed=1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(encoder))
    encoder.build()
    again.build()
    np.testing.assert_array_equal(again(padded(4)), encoder(padded(4)))
    assert encoder(padded(4)).numpy().any()


def test_errors():
    with pytest.raises(ParameterError, match="char_encoder='conv' is not known"):
        CharacterEncoder(10, "conv")
    with pytest.raises(ParameterError, match="char_units=5 must be even"):
        CharacterEncoder(10, "rnn", units=5)
