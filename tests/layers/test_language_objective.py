import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.layers.language_objective import LanguageObjective
from seqkit.models import build_tagger


def log_softmax(x):
    return x - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)) - x.max(-1, keepdims=True)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_loss_equals_the_equation_word_by_word(bidirectional, ends):
    rng = np.random.default_rng(0)
    units, words = 3, 6
    layer = LanguageObjective(words, units, bidirectional, bottleneck=4, seed=1)
    layer.build()
    states = rng.normal(size=(4, 5, units * (1 + bidirectional)))
    ids = rng.integers(2, 9, (4, 5))  # 6, 7 and 8 are too rare to be told apart
    lengths = [5, 3, 0, 1]
    expected = np.zeros(4)
    weights = [[w.numpy().astype(float) for w in (*a.weights, *b.weights)] for a, b in layer.networks]
    for row, length in enumerate(lengths):
        for t in range(length):
            targets = [ids[row, t + 1] if t + 1 < length else 0, ids[row, t - 1] if t else 0]
            for k, (W, b, V, c) in enumerate(weights):
                if not ends and (t == 0 if k else t + 1 == length):
                    continue
                hidden = np.tanh(states[row, t, k * units : (k + 1) * units] @ W + b)
                target = targets[k] if targets[k] < words else 1
                expected[row] -= log_softmax(hidden @ V + c)[target]
    found = layer.loss(tf.constant(states, tf.float32), tf.constant(ids, tf.int32), tf.constant(lengths), ends)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_sampled_loss_counts_a_word_by_how_often_it_is_drawn():
    """A draw of every word, one of them twice as often as the others, gives the whole sum again."""
    rng = np.random.default_rng(0)
    layer = LanguageObjective(6, 3, bottleneck=4, seed=1)
    layer.build()
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    states = tf.constant(rng.normal(size=(4, 5, 6)), tf.float32)
    ids, lengths = tf.constant(rng.integers(2, 9, (4, 5)), tf.int32), tf.constant([5, 3, 0, 1])
    noise, expected = tf.constant([0, 1, 2, 2, 3, 4, 5]), np.log([1, 1, 2, 1, 1, 1]).astype(np.float32)
    found = layer.sampled_loss(states, ids, lengths, noise, expected)
    np.testing.assert_allclose(found, layer.loss(states, ids, lengths), rtol=1e-5)
    fewer = layer.sampled_loss(states, ids, lengths, noise[:2], expected)
    assert np.all((fewer < found) | (lengths == 0))
    found = layer.sampled_loss(states, ids, lengths, noise, expected, ends=False)
    np.testing.assert_allclose(found, layer.loss(states, ids, lengths, ends=False), rtol=1e-5)


def test_begins_with_how_often_words_occur():
    layer = LanguageObjective(6, 3, bottleneck=4, seed=1)
    layer.build()
    share = np.array([1, 1, 2, 3, 1, 2]) / 10
    layer.expect(share)
    found = layer.loss(tf.zeros([1, 2, 6]), tf.constant([[3, 5]]), tf.constant([2]))
    # Forward 5 and the end, backward the end and 3.
    np.testing.assert_allclose(found, -np.log(share[[5, 0, 0, 3]]).sum(), rtol=1e-5)


def test_config_round_trip():
    layer = LanguageObjective(6, 3, False, bottleneck=4, seed=1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("layers", [1, 2])
def test_no_state_has_read_the_word_it_is_to_expect(layers):
    """Changing the next word changes no forward state, and changing the previous word no backward state."""
    model = build_tagger(20, 3, units=4, layers=layers, dropout=0.0, language_model=0.5, seed=0)
    seen = {}
    model.language.loss = lambda states, words, lengths: seen.setdefault("states", states)[:, 0, 0]
    results = []
    for words in ([[5, 6, 7]], [[5, 6, 8]], [[9, 6, 7]]):
        seen.clear()
        ids = tf.constant(words)
        model.losses(*model.embed(ids)[:3], targets=tf.zeros([1, 3], tf.int32), training=False)
        results.append(seen["states"].numpy()[0])
    base, other_next, other_previous = results
    np.testing.assert_array_equal(base[:2, :4], other_next[:2, :4])
    np.testing.assert_array_equal(base[1:, 4:], other_previous[1:, 4:])
    assert np.abs(base[2, :4] - other_next[2, :4]).max() > 1e-4


def test_it_is_for_training_on_words_only():
    assert build_tagger(20, 3, units=4, seed=0).language is None
    assert build_tagger(tags=3, input_dim=2, units=4, language_model=0.1).language is None
    assert build_tagger(20, 3, units=4, cell="jordan", language_model=0.1).language is None
    model = build_tagger(20, 3, units=4, dropout=0.0, language_model=0.5, seed=0)
    plain = build_tagger(20, 3, units=4, dropout=0.0, seed=0)
    words, tags = np.array([[5, 6, 7, 0], [3, 0, 0, 0]]), np.zeros((2, 4), int)
    np.testing.assert_allclose(model(words), plain(words), atol=1e-6)
    model.compile("adam")
    plain.compile("adam")
    assert model.evaluate(words, tags, verbose=0) == pytest.approx(plain.evaluate(words, tags, verbose=0), abs=1e-5)
    before = [w.numpy() for w in model.language.trainable_weights]
    assert len(before) == 8
    model.fit(words, tags, verbose=0)
    assert all(np.abs(w.numpy() - b).max() > 0 for w, b in zip(model.language.trainable_weights, before, strict=True))
