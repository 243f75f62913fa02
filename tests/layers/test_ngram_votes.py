"""N-grams that vote: the keys against a dictionary, the votes and naive Bayes against loops."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from seqkit.layers.ngram_votes import NGramVotes, learn_ngrams, naive_bayes

SIZE = 12
RNG = np.random.default_rng(0)
TEXTS = [RNG.integers(1, SIZE, RNG.integers(0, 9)).tolist() for _ in range(60)]
LENGTHS = np.array([len(t) for t in TEXTS])
FLAT = np.array([w for t in TEXTS for w in t])
PADDED = np.array([t + [0] * (9 - len(t)) for t in TEXTS])


def grams(text, n):
    """Return the n-grams of a text, without those that hold the unknown word."""
    found = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
    return {g for g in found if 1 not in g}


def table_rows(longest):
    """Return the row of each n-gram, found with dictionaries."""
    rows = {(w,): w for w in range(2, SIZE)}
    counts = [Counter(g for t in TEXTS for g in grams(t, n)) for n in range(2, longest + 1)]
    row = SIZE
    for count in counts:
        kept = [g for g, c in count.items() if c >= 2 and g[:-1] in rows]
        for g in sorted(kept, key=lambda g: (rows[g[:-1]], g[-1])):
            rows[g] = row
            row += 1
    return rows


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_votes(longest):
    keys = learn_ngrams(FLAT, LENGTHS, SIZE, longest)
    rows = table_rows(longest)
    assert len(keys) == len(rows) - (SIZE - 2) and (np.diff(keys) > 0).all()
    layer = NGramVotes(SIZE, 2, len(keys), longest)
    layer.build()
    if len(keys):
        layer.keys.assign(keys)
    table = RNG.normal(size=layer.table.shape).astype(np.float32)
    layer.table.assign(table)
    layer.gain.assign(1.5)
    layer.bias.assign([0.1, -0.2])
    found = layer(PADDED, LENGTHS).numpy()
    for text, row in zip(TEXTS, found, strict=True):
        held = [rows[g] for n in range(1, longest + 1) for g in grams(text, n) if g in rows]
        total = 1.5 * table[held].sum(0) / np.sqrt(max(len(held), 1)) + [0.1, -0.2]
        np.testing.assert_allclose(row, total, atol=1e-5)
    # Words beyond the vocabulary, and padding of any width, do not vote.
    wider = np.pad(PADDED, [(0, 0), (0, 2)], constant_values=SIZE + 3)
    np.testing.assert_allclose(layer(wider, LENGTHS), found, atol=1e-6)
    wider = np.where(np.arange(11) < LENGTHS[:, None], wider, 5)
    np.testing.assert_allclose(layer(wider, LENGTHS), found, atol=1e-6)


def test_naive_bayes():
    keys = learn_ngrams(FLAT, LENGTHS, SIZE, 2)
    rows = table_rows(2)
    classes = RNG.integers(0, 3, len(TEXTS))
    found = naive_bayes(FLAT, LENGTHS, SIZE, 2, keys, np.eye(3)[classes])
    counts = np.ones((SIZE + len(keys), 3))
    for text, label in zip(TEXTS, classes, strict=True):
        for g in grams(text, 1) | grams(text, 2) | ({(1,)} if 1 in text else set()):
            if g in rows or g == (1,):
                counts[rows.get(g, 1), label] += 1
    ratios = np.log(counts / counts.sum(0))
    ratios -= ratios.mean(1, keepdims=True)
    np.testing.assert_allclose(found[2:], ratios[2:], atol=1e-5)
    assert not found[:2].any()


def test_dropout_in_training_only():
    layer = NGramVotes(SIZE, 1, 0, 1, dropout=0.5, seed=0)
    layer.build()
    layer.table.assign(np.ones(layer.table.shape))
    full = layer(PADDED, LENGTHS).numpy()
    np.testing.assert_array_equal(layer(PADDED, LENGTHS), full)
    assert (layer(PADDED, LENGTHS, training=True).numpy() <= full).all()
    assert layer(PADDED, LENGTHS, training=True).numpy().sum() < full.sum()


def test_only_voters_learn():
    layer = NGramVotes(SIZE, 1, 0, 1)
    layer.build()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(np.array([[2, 3, 3, 1, 0]]), np.array([4])))
    gradient = tf.convert_to_tensor(tape.gradient(total, layer.table.value)).numpy()[:, 0]
    np.testing.assert_allclose(gradient[[2, 3]], 1 / np.sqrt(2), rtol=1e-5)
    assert not np.delete(gradient, [2, 3]).any()
