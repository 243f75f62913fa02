"""TokenEncoder against look-ups done by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.layers.token_encoder import TokenEncoder

WORDS = np.array([[2, 4, 1], [3, 0, 0]])
FEATURES = np.array([[[1, 2], [2, 0], [0, 1]], [[2, 2], [0, 0], [0, 0]]])


def make(**options):
    encoder = TokenEncoder(5, word_dim=2, seed=0, **options)
    encoder.build()
    return encoder


def test_words_alone():
    encoder = make()
    assert encoder.output_dim == 2
    np.testing.assert_array_equal(encoder(tf.constant(WORDS)), encoder.word_table.numpy()[WORDS])


def test_all_parts_side_by_side():
    encoder = make(
        vector_rows=5, vector_dim=3, characters=6, char_dim=2, char_units=4, feature_sizes=(3, 3), feature_dim=2
    )
    rng = np.random.default_rng(0)
    encoder.vector_table.assign(rng.normal(size=(5, 3)))
    characters = tf.constant(rng.integers(0, 6, (6, 4)))
    read = tf.reshape(encoder.encode_characters(characters), (2, 3, 4))
    out = encoder(tf.constant(WORDS), tf.constant(FEATURES), read).numpy()
    assert out.shape == (2, 3, encoder.output_dim) == (2, 3, 2 + 3 + 4 + 2 * 2)
    first, second = encoder.feature_table.numpy()[:3], encoder.feature_table.numpy()[3:]
    for i, j in np.ndindex(WORDS.shape):
        word, (one, two) = WORDS[i, j], FEATURES[i, j]
        parts = [
            encoder.word_table.numpy()[word],
            encoder.vector_table.numpy()[word],
            read[i, j],
            first[one],
            second[two],
        ]
        np.testing.assert_array_equal(out[i, j], np.concatenate(parts))


def test_words_known_from_pretrained_vectors_only_keep_their_vectors():
    encoder = make(vector_rows=8, vector_dim=3)
    table = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    encoder.vector_table.assign(table)
    out = encoder(tf.constant([[4, 7]])).numpy()
    words = encoder.word_table.numpy()
    np.testing.assert_array_equal(out[0, 0], np.concatenate([words[4], table[4]]))
    np.testing.assert_array_equal(out[0, 1], np.concatenate([words[1], table[7]]))  # 1: the unknown word


def test_pretrained_vectors_are_not_trained():
    encoder = make(vector_rows=5, vector_dim=3)
    (trained,) = encoder.trainable_variables
    assert trained is encoder.word_table


def test_word_dropout_hides_the_word_and_not_its_pretrained_vector():
    encoder = make(vector_rows=5, vector_dim=3, word_dropout=1.0)
    table = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    encoder.vector_table.assign(table)
    out = encoder(tf.constant(WORDS), training=True).numpy()
    np.testing.assert_array_equal(out[..., 2:], table[WORDS])
    np.testing.assert_array_equal(out[..., :2], encoder.word_table.numpy()[np.where(WORDS > 0, 1, 0)])


def test_rare_words_alone_are_dropped():
    encoder = make(rare_from=4, rare_word_dropout=1.0)
    out = encoder(tf.constant(WORDS), training=True).numpy()
    np.testing.assert_array_equal(out, encoder.word_table.numpy()[np.where(WORDS >= 4, 1, WORDS)])


@pytest.mark.parametrize("char_encoder", ["cnn", "rnn"])
def test_configuration_and_seed(char_encoder):
    encoder = make(characters=6, char_encoder=char_encoder, char_units=4, feature_sizes=(3, 3))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(encoder))
    assert [w.shape for w in again.weights] == [w.shape for w in encoder.weights]
    for one, other in zip(encoder.trainable_variables, again.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)
