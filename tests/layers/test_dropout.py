"""SequenceDropout and WordDropout: what is dropped, where, how often."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.layers.dropout import SequenceDropout, WordDropout


@pytest.mark.parametrize("locked", [True, False])
def test_features_are_dropped_or_scaled_up(locked):
    layer = SequenceDropout(0.25, locked=locked, seed=0)
    out = layer(tf.ones((64, 5, 40)), training=True).numpy()
    assert set(np.unique(out)) == {0.0, np.float32(1 / 0.75)}
    # 64 · 40 draws at least: the standard deviation of the share is under 0.01
    assert (out == 0).mean() == pytest.approx(0.25, abs=0.04)
    same = (out == out[:, :1]).all()
    assert same == locked
    assert (out[0] != out[1]).any()


def test_sequence_dropout_leaves_predictions_alone():
    x = tf.random.normal((2, 3, 4))
    assert SequenceDropout(0.5)(x) is x
    assert SequenceDropout(0.0)(x, training=True) is x


def test_sequence_dropout_draws_anew_and_repeats_under_a_seed():
    x = tf.ones((4, 2, 16))
    one, two = SequenceDropout(0.5, seed=1), SequenceDropout(0.5, seed=1)
    first, second = (one(x, training=True).numpy() for _ in range(2))
    assert (first != second).any()
    np.testing.assert_array_equal(two(x, training=True), first)
    config = keras.saving.serialize_keras_object(SequenceDropout(0.5, locked=False, seed=1))
    again = keras.saving.deserialize_keras_object(config)
    assert (again.rate, again.locked, again.seed) == (0.5, False, 1)


def test_sequence_dropout_keeps_half_precision():
    out = SequenceDropout(0.5, seed=0, dtype="mixed_float16")(tf.ones((2, 3, 4)), training=True)
    assert out.dtype == tf.float16


def test_word_dropout_by_rank():
    ids = np.tile([0, 1, 2, 9, 10, 500], (4000, 1))
    layer = WordDropout(0.1, rare_rate=0.5, rare_from=10, unknown=1, seed=0)
    out = layer(tf.constant(ids), training=True).numpy()
    changed = out != ids
    assert (out[changed] == 1).all()
    # Padding and the unknown word stay. 4000 draws: the standard deviation of a share is under 0.008.
    np.testing.assert_allclose(changed.mean(0), [0, 0, 0.1, 0.1, 0.5, 0.5], atol=0.035)
    assert changed[:, :2].sum() == 0
    assert layer(tf.constant(ids)).numpy().tolist() == ids.tolist()


def test_the_higher_rate_counts_for_rare_words():
    ids = tf.constant(np.full((2000, 1), 7))
    out = WordDropout(0.9, rare_rate=0.2, rare_from=5, seed=0)(ids, training=True).numpy()
    assert (out == 1).mean() == pytest.approx(0.9, abs=0.04)


def test_word_dropout_of_everything_and_of_nothing():
    ids = tf.constant([[3, 4, 0]])
    np.testing.assert_array_equal(WordDropout(1, unknown=2, seed=0)(ids, training=True), [[2, 2, 0]])
    assert WordDropout(0, rare_rate=0.5, rare_from=None)(ids, training=True) is ids
    mixed = WordDropout(0, rare_rate=1, rare_from=4, seed=0)(ids, training=True)
    np.testing.assert_array_equal(mixed, [[3, 1, 0]])


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_word_dropout_keeps_the_type_in_a_graph(dtype):
    layer = WordDropout(1.0, seed=0)
    out = tf.function(lambda ids: layer(ids, training=True))(tf.constant([[5, 0]], dtype))
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, [[1, 0]])


def test_word_dropout_configuration():
    layer = WordDropout(0.1, 0.2, 30, 1, seed=4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    ids = tf.constant(np.arange(100).reshape(4, 25))
    np.testing.assert_array_equal(again(ids, training=True), layer(ids, training=True))
    assert again.get_config() == layer.get_config()
