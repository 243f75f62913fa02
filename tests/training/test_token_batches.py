"""Data held as tensors: what a batch gathers is what the rows say, and encodes as the model's own input does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.models import build_tagger
from seqkit.text.corpus import corpus_from_tokens
from seqkit.text.features import TokenGraph, TokenVocabulary, learn_vocabulary
from seqkit.training.token_batches import (
    embed_rows,
    gather_rows,
    pad_flat,
    signature,
    token_tensors,
    vector_tensors,
)

SENTENCES = [["Ada", "met", "Ann-Marie", "in", "Oslo"], [], ["it", "rained"], ["Oslo"], ["Ada", "met", "Ada"]]


@pytest.fixture(scope="module")
def data():
    corpus = corpus_from_tokens(SENTENCES)
    vocabulary = learn_vocabulary(corpus.types, corpus.counts, min_feature_count=1)
    graph = TokenGraph(vocabulary)
    return corpus, graph, token_tensors(corpus, graph)


def encode_rows(model, tensors, rows):
    """What the recurrent layers make of rows in prediction; which steps are real; lengths."""
    vectors, _, _, real, lengths = embed_rows(model, tensors, rows)
    return model.read(vectors, lengths), real, lengths


def by_hand(graph, rows, time, longest):
    """The model's own input: ids of each token of the rows, padded."""
    out = {
        "words": np.zeros((len(rows), time), np.int32),
        "characters": np.zeros((len(rows), time, longest), np.int32),
        "features": np.zeros((len(rows), time, 8), np.int32),
        "lengths": np.array([len(SENTENCES[row]) for row in rows]),
    }
    for i, row in enumerate(rows):
        for j, token in enumerate(SENTENCES[row]):
            ids = graph(tf.constant([token]))
            out["words"][i, j], out["features"][i, j] = ids["words"][0], ids["features"][0]
            out["characters"][i, j, : ids["characters"].shape[1]] = ids["characters"][0]
    return out


def test_token_tensors(data):
    _, graph, tensors = data
    assert tensors["starts"].numpy().tolist() == [0, 5, 5, 7, 8, 11]
    assert not any(np.any(tensors[name][0]) for name in ("words", "characters", "features"))  # type 0 is padding
    flat = [token for sentence in SENTENCES for token in sentence]
    words = tf.gather(tensors["words"], tensors["index"])
    np.testing.assert_array_equal(words, graph(tf.constant(flat))["words"])


def test_gather_rows(data):
    positions, real, lengths = gather_rows(data[2], tf.constant([2, 1, 4]))
    assert lengths.numpy().tolist() == [2, 0, 3]
    assert real.numpy().tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert positions.numpy().tolist() == [[5, 6, 0], [0, 0, 0], [8, 9, 10]]
    padded = pad_flat(tf.constant([10 * i for i in range(11)]), positions, real)
    assert padded.numpy().tolist() == [[50, 60, 0], [0, 0, 0], [80, 90, 100]]
    positions, real, lengths = gather_rows(data[2], tf.constant([1]))
    assert (positions.shape, real.numpy().tolist(), lengths.numpy().tolist()) == ((1, 1), [[False]], [0])


def test_an_empty_data_set_can_be_gathered_from():
    tensors = vector_tensors([np.zeros((0, 3))] * 2, 3)
    positions, real, _ = gather_rows(tensors, tf.constant([0, 1]))
    none = token_tensors(corpus_from_tokens([[], []]), TokenGraph(TokenVocabulary(["a"])))
    assert pad_flat(none["index"], positions, real).numpy().tolist() == [[0], [0]]
    model = build_tagger(tags=2, input_dim=3, units=2, dropout=0.0)
    encoded, *_ = encode_rows(model, tensors, tf.constant([0, 1]))
    assert encoded.shape == (2, 1, 4)


@pytest.mark.parametrize("char_encoder", ["cnn", "rnn", None])
def test_encoding_rows_equals_the_models_own_input(data, char_encoder):
    _, graph, tensors = data
    vocabulary = graph.vocabulary
    model = build_tagger(
        vocabulary.n_words,
        3,
        units=3,
        word_dim=4,
        characters=vocabulary.n_characters,
        char_encoder=char_encoder,
        char_units=4,
        feature_sizes=vocabulary.feature_sizes,
        feature_dim=2,
        seed=0,
    )
    rows = [4, 1, 0]
    inputs = by_hand(graph, rows, 5, 12)
    if char_encoder is None:
        del inputs["characters"]
    expected, expected_lengths = model.encode(inputs)
    function = tf.function(
        lambda tensors, rows: encode_rows(model, tensors, rows),
        input_signature=[signature(tensors), tf.TensorSpec([None], tf.int32)],
    )
    encoded, real, lengths = function(tensors, tf.constant(rows))
    np.testing.assert_array_equal(lengths, expected_lengths)
    keep = real.numpy()[..., None]
    np.testing.assert_allclose(np.where(keep, encoded, 0), np.where(keep, expected, 0), atol=1e-6)
    # What prediction computes once for each distinct token.
    if char_encoder:
        short = {k: v for k, v in tensors.items() if k != "characters"}
        short["character_vectors"] = model.encoder.encode_characters(tensors["characters"])
        encoded, *_ = encode_rows(model, short, tf.constant(rows))
        np.testing.assert_allclose(np.where(keep, encoded, 0), np.where(keep, expected, 0), atol=1e-6)


def test_sequences_of_vectors():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(n, 3)) for n in (2, 0, 4)]
    tensors = vector_tensors(sequences, 3)
    model = build_tagger(tags=2, input_dim=3, units=2, seed=0)
    encoded, real, lengths = encode_rows(model, tensors, tf.constant([2, 0, 1]))
    assert lengths.numpy().tolist() == [4, 2, 0]
    padded = keras.utils.pad_sequences([sequences[i] for i in (2, 0, 1)], 4, "float32", padding="post")
    expected, _ = model.encode({"vectors": padded, "lengths": lengths})
    keep = real.numpy()[..., None]
    np.testing.assert_allclose(np.where(keep, encoded, 0), np.where(keep, expected, 0), atol=1e-6)
