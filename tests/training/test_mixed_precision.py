"""Matrix products in bfloat16 in training: near float32, nothing else changed, nothing left behind."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit import SequenceTagger, load
from seqkit.cells import make_cell
from seqkit.layers.softmax import cross_entropy
from seqkit.precision import factor, matmul, products_in

PARAMETERS = {
    "cell": "gru",
    "bidirectional": False,
    "char_encoder": None,
    "shape_features": False,
    "units": 8,
    "word_dim": 8,
    "epochs": 2,
    "learning_rate": 0.02,
    "random_state": 0,
    "verbose": 0,
}


def rounded(array: np.ndarray) -> np.ndarray:
    return np.asarray(tf.cast(tf.cast(array, tf.bfloat16), tf.float32))


def test_products_are_of_rounded_numbers_and_results_float32():
    left, right = np.random.default_rng(0).normal(size=(2, 5, 5)).astype(np.float32)
    expected = rounded(rounded(left) @ rounded(right).T)
    with products_in("bfloat16"):
        found = matmul(left := tf.constant(left), right := tf.constant(right), transpose_b=True)
        again = matmul(left, factor(right), transpose_b=True)
    assert found.dtype == again.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=2**-7, atol=1e-6)  # the sum may be rounded the other way
    np.testing.assert_array_equal(found, again)
    np.testing.assert_array_equal(matmul(left, right), tf.matmul(left, right))  # outside of the block nothing changes
    assert factor(right).dtype == tf.float32


@pytest.mark.parametrize("name", ["elman", "gru", "leaky", "lstm"])
def test_cells_and_their_gradients_are_near_float32(name):
    random = np.random.default_rng(1)
    inputs = tf.constant(random.normal(size=(6, 3, 4)), tf.float32)
    cell = make_cell(name, 5, seed=1)
    cell.build((None, 4))
    weights = [variable.value for variable in cell.trainable_variables]

    def run(products):
        with products_in(products), tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs, _ = cell.scan(inputs, cell.get_initial_state(batch_size=3), training=True)
            loss = tf.reduce_sum(tf.square(outputs))
            with tape.stop_recording():
                return outputs, *tape.gradient(loss, [inputs, *weights])

    for one, other in zip(run(None), run("bfloat16"), strict=True):
        assert other.dtype == tf.float32
        one, other = np.asarray(one), np.asarray(other)
        assert 0 < np.abs(one - other).max() < 0.05 * np.abs(one).max()


def test_the_softmax_over_words_is_near_float32():
    random = np.random.default_rng(2)
    hidden, rows, bias = (tf.constant(random.normal(size=shape), tf.float32) for shape in ((7, 4), (11, 4), (11,)))
    with products_in("bfloat16"):
        found = cross_entropy(hidden, rows, bias, tf.range(7))
    np.testing.assert_allclose(found, cross_entropy(hidden, rows, bias, tf.range(7)), rtol=0.05, atol=0.05)


@pytest.fixture(scope="module")
def fitted(tiny_corpus):
    return {
        kind: SequenceTagger(**PARAMETERS, mixed_precision=kind).fit(tiny_corpus.X, tiny_corpus.y)
        for kind in (None, "bfloat16")
    }


def test_a_fit_is_near_that_in_float32(fitted):
    one, other = fitted[None], fitted["bfloat16"]
    assert one.history_["loss"] != other.history_["loss"]
    np.testing.assert_allclose(other.history_["loss"], one.history_["loss"], rtol=0.02)


def test_the_model_stays_float32(fitted, tiny_corpus, tmp_path):
    tagger = fitted["bfloat16"]
    assert keras.config.dtype_policy().name == "float32"
    assert all(np.asarray(w).dtype != tf.bfloat16.as_numpy_dtype for w in tagger.model_.get_weights())
    # Prediction knows nothing of how the model was trained: one of the other kind with these weights says the same.
    same = load(fitted[None].save(tmp_path / "float32"))
    same.model_.set_weights(tagger.model_.get_weights())
    again = load(tagger.save(tmp_path / "bfloat16"))
    assert again.get_params()["mixed_precision"] == "bfloat16"
    for one, two, three in zip(*(m.predict_proba(tiny_corpus.X_dev) for m in (tagger, same, again)), strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)


def test_partial_fit_follows_the_parameter(tiny_corpus):
    tagger = SequenceTagger(**PARAMETERS).partial_fit(tiny_corpus.X, tiny_corpus.y)
    twin = SequenceTagger(**PARAMETERS).partial_fit(tiny_corpus.X, tiny_corpus.y)
    tagger.set_params(mixed_precision="bfloat16").partial_fit(tiny_corpus.X, tiny_corpus.y)
    twin.partial_fit(tiny_corpus.X, tiny_corpus.y)
    assert tagger.history_["loss"][0] == twin.history_["loss"][0]
    assert tagger.history_["loss"][1] != twin.history_["loss"][1]
