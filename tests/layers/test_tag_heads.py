"""CRFHead and SoftmaxHead against enumeration of all tag sequences, and their shared interface."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.layers.tag_heads import CRFHead, SoftmaxHead

K, D = 3, 4
LENGTHS = np.array([4, 1, 0, 3])
# O, B, I under IOB2: I neither first nor after O.
MASKS = {"start_mask": [True, True, False], "transition_mask": [[True, True, False], [True] * 3, [True] * 3]}
HEADS = {"crf": CRFHead, "softmax": SoftmaxHead}


def make(kind, masks=None, scale=1.5):
    head = HEADS[kind](K, **(masks or {}), seed=0)
    head.build((None, None, D))
    rng = np.random.default_rng(0)
    head.set_weights([rng.normal(0, scale, w.shape) for w in head.weights])
    features = rng.normal(size=(4, 4, D))
    tags = np.array([[0, 1, 2, 1], [1, 0, 0, 0], [0, 0, 0, 0], [1, 2, 0, 0]])
    return head, features.astype(np.float32), tags


def emissions(head, features):
    kernel, bias = head.dense.get_weights()
    return features.astype(np.float64) @ kernel + bias


def legal(path, masks):
    start = masks.get("start_mask", [True] * K)
    moves = masks.get("transition_mask", [[True] * K] * K)
    return start[path[0]] and all(moves[a][b] for a, b in itertools.pairwise(path))


def path_scores(head, kind, row, masks):
    """Log-probability of each legal path (CRF), or the sum of its steps' log-probabilities (softmax)."""
    paths = [p for p in itertools.product(range(K), repeat=len(row)) if legal(p, masks)]
    scores = np.array([sum(step[tag] for step, tag in zip(row, path, strict=True)) for path in paths])
    if kind == "softmax":
        return paths, scores - np.log(np.exp(row).sum(-1)).sum()
    moves, start, end = (w.numpy().astype(np.float64) for w in (head.crf.transitions, head.crf.start, head.crf.end))
    for i, path in enumerate(paths):
        scores[i] += start[path[0]] + end[path[-1]] + sum(moves[a, b] for a, b in itertools.pairwise(path))
    return paths, scores - np.log(np.exp(scores).sum())


@pytest.mark.parametrize("kind", HEADS)
def test_loss_is_the_negative_log_likelihood_of_the_tags(kind):
    head, features, tags = make(kind)
    expected = np.zeros(4)
    for n, length in enumerate(LENGTHS):
        if length:
            paths, scores = path_scores(head, kind, emissions(head, features[n, :length]), {})
            expected[n] = -scores[paths.index(tuple(tags[n, :length]))]
    np.testing.assert_allclose(head.loss(features, LENGTHS, tags), expected, atol=1e-4)


@pytest.mark.parametrize("masks", [{}, MASKS], ids=["free", "masked"])
@pytest.mark.parametrize("kind", HEADS)
def test_best_tags_and_their_probabilities(kind, masks):
    head, features, _ = make(kind, masks)
    tags, scores = (t.numpy() for t in head.decode(features, LENGTHS))
    probabilities = head.probabilities(features, LENGTHS).numpy()
    for n, length in enumerate(LENGTHS):
        assert not probabilities[n, length:].any()
        assert not tags[n, length:].any()
        assert not scores[n, length:].any()
        if not length:
            continue
        row = emissions(head, features[n, :length])
        paths, path_score = path_scores(head, kind, row, masks)
        assert tuple(tags[n, :length]) == paths[path_score.argmax()]
        if kind == "softmax":
            expected = np.exp(row) / np.exp(row).sum(-1, keepdims=True)
        else:
            expected = np.zeros((length, K))
            for path, score in zip(paths, path_score, strict=True):
                expected[np.arange(length), path] += np.exp(score)
        np.testing.assert_allclose(probabilities[n, :length], expected, atol=1e-5)
        np.testing.assert_allclose(scores[n, :length], expected[np.arange(length), tags[n, :length]], atol=1e-5)


def test_masks_change_what_the_softmax_head_decodes():
    head, features, _ = make("softmax", MASKS)
    free = head.probabilities(features, LENGTHS).numpy().argmax(-1)
    assert any(n and not legal(path[:n], MASKS) for path, n in zip(free.tolist(), LENGTHS, strict=True))


@pytest.mark.parametrize("kind", HEADS)
def test_padding_may_hold_anything(kind):
    head, features, tags = make(kind)
    real = np.arange(4) < LENGTHS[:, None]
    dirty, dirty_tags = np.where(real[..., None], features, np.nan), np.where(real, tags, -1)
    np.testing.assert_allclose(
        head.loss(dirty, LENGTHS, dirty_tags), head.loss(features, LENGTHS, tags), rtol=1e-6, atol=1e-6
    )
    clean = [head.probabilities(features, LENGTHS), *head.decode(features, LENGTHS)]
    for one, other in zip([head.probabilities(dirty, LENGTHS), *head.decode(dirty, LENGTHS)], clean, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("kind", HEADS)
def test_a_call_gives_probabilities_and_counts_every_step_without_lengths(kind):
    head, features, _ = make(kind, MASKS)
    np.testing.assert_array_equal(head(features, lengths=LENGTHS), head.probabilities(features, LENGTHS))
    out = head(features).numpy()
    np.testing.assert_array_equal(out, head.probabilities(features, np.full(4, 4)))
    np.testing.assert_allclose(out.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", HEADS)
def test_scores_stay_in_single_precision(kind):
    head = HEADS[kind](K, seed=0, dtype="mixed_float16")
    head.build((None, None, D))
    features = np.random.default_rng(0).normal(size=(1, 5000, D)).astype(np.float16)
    lengths = np.array([5000])
    loss = head.loss(features, lengths, np.zeros((1, 5000), int))
    assert loss.dtype == tf.float32
    assert 1000 < float(loss[0]) < 1e5
    probabilities = head.probabilities(features, lengths)
    assert probabilities.dtype == tf.float32
    np.testing.assert_allclose(probabilities.numpy().sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", HEADS)
def test_configuration_round_trip(kind):
    head, features, tags = make(kind, MASKS)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    again.set_weights(head.get_weights())
    np.testing.assert_array_equal(again.decode(features, LENGTHS)[0], head.decode(features, LENGTHS)[0])
    np.testing.assert_array_equal(again.loss(features, LENGTHS, tags), head.loss(features, LENGTHS, tags))
    assert again.get_config() == head.get_config()
