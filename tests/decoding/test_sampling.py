"""Drawing of ids, against shares worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from seqkit.decoding.sampling import sample, uniform

MASK = (1 << 64) - 1


def splitmix(seed: int, step: int) -> float:
    """SplitMix64 as its authors give it, in Python's integers."""
    bits = (seed + (step + 1) * 0x9E3779B97F4A7C15) & MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return ((bits ^ (bits >> 31)) >> 40) / 2**24


def test_chances_are_those_of_splitmix():
    seeds = [0, 1, 7, 2**40, -3]
    for step in (0, 1, 99):
        expected = [splitmix(seed & MASK, step) for seed in seeds]
        np.testing.assert_allclose(uniform(tf.constant(seeds, tf.int64), step), expected, atol=1e-7)


def test_chances_are_spread_evenly_over_seeds_and_steps():
    over_seeds = uniform(tf.range(20_000, dtype=tf.int64), 3).numpy()
    over_steps = uniform(tf.zeros(20_000, tf.int64), tf.range(20_000)).numpy()
    for chances in (over_seeds, over_steps):
        counts = np.histogram(chances, 20, (0, 1))[0]
        assert np.abs(counts - 1000).max() < 150
        assert abs(np.corrcoef(chances[1:], chances[:-1])[0, 1]) < 0.03


def draw(logits, rows=20_000, temperature=1.0, top_k=0, top_p=1.0):
    """Return how often each id is drawn."""
    chance = uniform(tf.range(rows, dtype=tf.int64), 0)
    ids = sample(
        tf.repeat(tf.constant([logits], tf.float32), rows, 0),
        chance,
        tf.fill([rows], float(temperature)),
        tf.fill([rows], top_k),
        tf.fill([rows], float(top_p)),
    )
    return np.bincount(ids.numpy(), minlength=len(logits)) / rows


SHARES = np.array([0.1, 0.4, 0.0, 0.3, 0.2])
LOGITS = np.log(np.maximum(SHARES, 1e-30))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, SHARES),
        ({"temperature": 0.5}, SHARES**2 / (SHARES**2).sum()),
        ({"temperature": 0}, [0, 1, 0, 0, 0]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7, 0]),
        ({"top_k": 99}, SHARES),
        ({"top_p": 0.65}, [0, 4 / 7, 0, 3 / 7, 0]),  # 0.4 is not enough; 0.7 is
        ({"top_p": 0.8}, [0, 4 / 9, 0, 3 / 9, 2 / 9]),
        ({"top_p": 0.01}, [0, 1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.65}, [0, 4 / 7, 0, 3 / 7, 0]),
    ],
)
def test_ids_are_drawn_by_their_shares(options, expected):
    found = draw(LOGITS, **options)
    np.testing.assert_allclose(found, expected, atol=0.015)
    assert not found[np.equal(expected, 0)].any()


def test_rows_do_not_depend_on_each_other():
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(size=(60, 9)), tf.float32)
    chance = uniform(tf.range(60, dtype=tf.int64), 0)
    temperature = tf.constant(rng.choice([0.0, 0.5, 1.0], 60), tf.float32)
    top_k, top_p = tf.constant(rng.integers(0, 4, 60), tf.int32), tf.constant(rng.choice([0.5, 1.0], 60), tf.float32)
    together = sample(logits, chance, temperature, top_k, top_p)
    alone = [int(sample(*(v[i : i + 1] for v in (logits, chance, temperature, top_k, top_p)))[0]) for i in range(60)]
    assert together.numpy().tolist() == alone


@pytest.mark.parametrize("chance", [0.0, np.float32(1 - 2**-24)])
def test_no_chance_draws_what_has_no_share(chance):
    ids = sample(
        tf.constant([[-1e30, 0.0, 1.0, -1e30]]), tf.constant([chance]), tf.ones(1), tf.zeros(1, tf.int32), tf.ones(1)
    )
    assert int(ids[0]) == (1 if chance == 0 else 2)
