"""Beam search against exhaustive search over a small vocabulary."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from seqkit.decoding.beam import BLOCK, Penalties, _largest, search
from seqkit.decoding.loops import Settings, write

SIZE, PLACES = 4, 3  # ids, of which 0 ends; places to look at


def markov(seed=0, scale=1.5):
    """A model whose next id, and what it looks at, depend on the last two ids.

    The state is the one-hot id before the last. Returns the step, log-probabilities and weights.
    """
    rng = np.random.default_rng(seed)
    table = tf.constant(rng.normal(0, scale, (SIZE, SIZE, SIZE)), tf.float32)
    looks = tf.nn.softmax(tf.constant(rng.normal(0, 2, (SIZE, SIZE, PLACES)), tf.float32))

    def step(ids, states, _=None):
        last = tf.stack([tf.argmax(states, -1, tf.int32), ids], -1)
        return tf.gather_nd(table, last), tf.one_hot(ids, SIZE), tf.gather_nd(looks, last)

    def looking(ids, states, some):
        logits, states, weights = step(ids, states)
        return logits, states, tf.reshape(weights, [tf.shape(some)[0], -1, PLACES])

    return step, looking, tf.nn.log_softmax(table).numpy().astype(float), looks.numpy().astype(float)


def measured(table, looks, ids, limit):
    """Log-probability of ids and of the end after them, if there is room for one, and what each step looked at."""
    before, last, total, seen = 0, 0, 0.0, []
    for following in [*ids, 0][:limit]:
        total += table[before, last, following]
        seen.append(looks[before, last])
        before, last = last, following
    return total, np.array(seen)


def every(limit):
    return [ids for n in range(limit + 1) for ids in itertools.product(range(1, SIZE), repeat=n)]


def start(rows):
    return tf.zeros(rows, tf.int32), tf.one_hot(tf.zeros(rows, tf.int32), SIZE)


def only(step):
    return lambda ids, states, _: step(ids, states)[:2]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed, power):
    step, _, table, looks = markov(seed)
    limit = 4
    scored = [(measured(table, looks, ids, limit)[0] / ((5 + len(ids)) / 6) ** power, ids) for ids in every(limit)]
    scored.sort(reverse=True)
    found = search(only(step), *start(2), tf.fill([2], limit), 200, kept=30, penalties=Penalties(power))
    for row in range(2):
        for k, (score, ids) in enumerate(scored[:30]):
            length = found.lengths[row, k]
            assert tuple(found.ids[row, k, :length].numpy()) == ids
            assert not found.ids[row, k, length:].numpy().any()
            np.testing.assert_allclose(found.scores[row, k], score, atol=1e-5)
            total = measured(table, looks, ids, limit)[0]
            np.testing.assert_allclose(found.log_probability[row, k], total, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_what_was_not_looked_at_costs(seed):
    _, looking, table, looks = markov(seed)
    limit, places, rows = 3, tf.constant([3, 2]), []
    for count in places.numpy():
        scored = []
        for ids in every(limit):
            total, seen = measured(table, looks, ids, limit)
            covered = np.minimum(seen.sum(0)[:count], 1.0)
            scored.append((total / ((5 + len(ids)) / 6) ** 0.5 + 2.0 * np.log(covered).sum(), ids))
        rows.append(sorted(scored, reverse=True))
    plain = search(looking, *start(2), tf.fill([2], limit), 200, kept=5, places=places)
    found = search(looking, *start(2), tf.fill([2], limit), 200, kept=5, places=places, penalties=Penalties(0.5, 2.0))
    for row, scored in enumerate(rows):
        for k, (score, ids) in enumerate(scored[:5]):
            length = found.lengths[row, k]
            assert tuple(found.ids[row, k, :length].numpy()) == ids
            np.testing.assert_allclose(found.scores[row, k], score, atol=1e-5)
            _, seen = measured(table, looks, ids, limit)
            assert found.places[row, k, :length].numpy().tolist() == seen[:length].argmax(-1).tolist()
    assert plain.scores.numpy().tolist() == plain.log_probability.numpy().tolist() != found.scores.numpy().tolist()


def test_a_beam_of_one_is_greedy_and_wider_ones_find_no_less():
    step, _, _, _ = markov(3)
    limits = tf.constant([6, 2, 0])
    cold = Settings(tf.range(3, dtype=tf.int64), tf.zeros(3), tf.zeros(3, tf.int32), tf.ones(3))
    greedy = write(lambda *given: step(*given)[:2], *start(3), limits, cold)
    one = search(only(step), *start(3), limits, 1)
    np.testing.assert_array_equal(one.ids[:, 0], greedy.ids)
    np.testing.assert_array_equal(one.lengths[:, 0], greedy.lengths)
    np.testing.assert_allclose(one.log_probability[:, 0], greedy.log_probability, atol=1e-5)
    wide = search(only(step), *start(3), limits, 6)
    assert (wide.log_probability.numpy()[:, 0] >= one.log_probability.numpy()[:, 0] - 1e-5).all()


def test_a_row_is_found_alike_alone_and_beside_others():
    step, _, _, _ = markov(7)
    limits = tf.constant([6, 2, 0, 9])
    together = search(only(step), *start(4), limits, 3)
    for row in range(4):
        alone = search(only(step), *start(1), limits[row : row + 1], 3)
        count = alone.ids.shape[2]
        np.testing.assert_array_equal(together.ids[row, :, :count], alone.ids[0])
        np.testing.assert_allclose(together.scores[row], alone.scores[0], rtol=1e-5)
    assert together.lengths[2, 0] == 0 and together.scores[2, 0] == 0 and together.scores[2, 1] < -1e29


def test_rows_that_are_done_are_stepped_no_more():
    step, _, _, _ = markov(7)
    limits, stepped = tf.constant([6, 2, 0, 9]), []

    def noted(ids, states, some):
        # At first there is one sequence of each row.
        assert len(ids) == len(states) == (200 if stepped else 1) * len(some)
        stepped.append(some.numpy().tolist())
        return step(ids, states)[:2]

    # So wide a beam is never done before its limit.
    search(noted, *start(4), limits, 200, penalties=Penalties(9.0))
    assert [sorted(rows) for rows in stepped] == [[0, 1, 3]] * 2 + [[0, 3]] * 4 + [[3]] * 3


def test_one_that_has_ended_makes_room_for_another():
    """Ids 1 and 2 go on for certain; the end is likelier at first, and must not leave the beam with one sequence."""
    logits = tf.constant(
        [[0.0, -1.0, -1.1, -9.0], [-3.0, 2.0, 0.0, -9.0], [-3.0, 0.0, 2.0, -9.0], [0.0, 0.0, 0.0, 0.0]]
    )

    def step(ids, states, _):
        return tf.gather(logits, ids), states

    found = search(step, tf.zeros(1, tf.int32), tf.zeros([1, 1]), tf.constant([3]), 2, kept=2, penalties=Penalties(3.0))
    assert found.ids[0].numpy().tolist() == [[1, 1, 1], [2, 2, 2]]


def test_banned_ids_are_never_chosen():
    step, _, _, _ = markov()
    limits = tf.fill([5], 8)
    assert 1 in search(only(step), *start(5), limits, 4).ids.numpy()
    assert 1 not in search(only(step), *start(5), limits, 4, banned=(1,)).ids.numpy()


def test_no_rows_and_no_steps():
    step, _, _, _ = markov()
    none = search(only(step), *start(0), tf.zeros(0, tf.int32), 3)
    assert none.ids.shape[:2] == (0, 3)
    still = search(only(step), *start(2), tf.zeros(2, tf.int32), 3)
    assert still.ids.shape == (2, 3, 0) and still.lengths.numpy().tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("count", [7, BLOCK * 15, BLOCK * 40, BLOCK * 40 + 1])
def test_the_largest_scores_are_found(count):
    rng = np.random.default_rng(count)
    scores = np.stack([rng.normal(size=count), np.arange(count), -np.arange(count), np.full(count, -1e30)])
    values, ids = (found.numpy() for found in _largest(tf.constant(scores, tf.float32), 7))
    np.testing.assert_allclose(values, -np.sort(-scores, -1)[:, :7], rtol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(scores, ids, -1), values, rtol=1e-6)
    assert [len(set(row)) for row in ids.tolist()] == [7] * 4
