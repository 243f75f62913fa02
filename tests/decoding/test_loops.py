"""The loops that write, against exhaustive search and plain Python."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from seqkit.decoding.loops import Settings, read_all, search, write
from seqkit.decoding.sampling import sample, uniform

SIZE = 4  # ids; 0 ends


def markov(seed=0, scale=1.5):
    """A model whose next id depends on the last two: the state is the one-hot id before the last."""
    table = tf.constant(np.random.default_rng(seed).normal(0, scale, (SIZE, SIZE, SIZE)), tf.float32)

    def step(ids, states):
        before = tf.argmax(states, -1, tf.int32)
        return tf.gather_nd(table, tf.stack([before, ids], -1)), tf.one_hot(ids, SIZE)

    return step, tf.nn.log_softmax(table).numpy()


def log_probability(table, ids, limit, first=0):
    """Of ids and the end after them, if there is room for one."""
    before, last, total = 0, first, 0.0
    for following in [*ids, 0][:limit]:
        total += table[before, last, following]
        before, last = last, following
    return total


def settings(rows, seed=0, temperature=1.0, top_k=0, top_p=1.0):
    return Settings(
        tf.range(rows, dtype=tf.int64) + seed,
        tf.fill([rows], temperature),
        tf.fill([rows], top_k),
        tf.fill([rows], top_p),
    )


def start(rows):
    return tf.zeros(rows, tf.int32), tf.one_hot(tf.zeros(rows, tf.int32), SIZE)


def test_what_is_written_is_what_python_draws():
    step, table = markov()
    limits = tf.constant([0, 1, 5, 9] * 10)
    written = write(step, *start(40), limits, settings(40))
    for row, (limit, length) in enumerate(zip(limits.numpy(), written.lengths.numpy(), strict=True)):
        ids, last, states = [], *start(1)
        for t in range(limit):
            logits, states = step(last, states)
            last = sample(logits, uniform(tf.constant([row], tf.int64), t), *(v[:1] for v in settings(1)[1:]))
            if not last[0]:
                break
            ids.append(int(last[0]))
        assert written.ids[row, :length].numpy().tolist() == ids
        assert not written.ids[row, length:].numpy().any()
        np.testing.assert_allclose(written.log_probability[row], log_probability(table, ids, limit), atol=1e-5)
    assert len(set(written.lengths.numpy()[2::4])) > 2  # some end early, some do not


def test_banned_ids_are_never_chosen():
    step, _ = markov()
    banned = tf.constant([0.0, -1e30, 0.0, 0.0])
    limits = tf.fill([50], 8)
    assert 1 in write(step, *start(50), limits, settings(50)).ids.numpy()
    assert 1 not in write(step, *start(50), limits, settings(50), banned=banned).ids.numpy()
    assert 1 not in search(step, *start(50), limits, 4, banned=banned).ids.numpy()


def test_what_is_given_stands_and_the_rest_is_drawn_after_it():
    step, table = markov()
    limits = tf.constant([6, 3])
    given = tf.constant([[-1, 2, -1, 3, -1, -1], [1, -1, 2, 0, 0, 0]])
    no_end = tf.constant([-1e30, 0.0, 0.0, 0.0])
    written = write(step, *start(2), limits, settings(2), banned=no_end, given=given)
    assert written.lengths.numpy().tolist() == [6, 3]
    for row in range(2):
        last, states = start(1)
        for t in range(limits[row].numpy()):
            logits, states = step(last, states)
            drawn = sample(logits + no_end, uniform(tf.constant([row], tf.int64), t), *(v[:1] for v in settings(1)[1:]))
            last = drawn if given[row, t] < 0 else given[row, t : t + 1]
            assert written.ids[row, t] == last[0]
        ids = written.ids[row, : limits[row]].numpy().tolist()
        np.testing.assert_allclose(
            written.log_probability[row], log_probability(table, ids, limits[row].numpy()), atol=1e-5
        )


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed):
    step, table = markov(seed)
    limit = 4
    every = [ids for n in range(limit + 1) for ids in itertools.product(range(1, SIZE), repeat=n)]
    scored = sorted(((log_probability(table, ids, limit), ids) for ids in every), reverse=True)
    found = search(step, *start(2), tf.fill([2], limit), 200)
    for row in range(2):
        for k, (score, ids) in enumerate(scored[:10]):
            assert tuple(found.ids[row, k, : found.lengths[row, k]].numpy()) == ids
            np.testing.assert_allclose(found.log_probability[row, k], score, atol=1e-5)


def test_a_beam_of_one_is_greedy_and_wider_ones_find_no_less():
    step, _ = markov(3)
    limits = tf.constant([6, 2, 0])
    greedy = write(step, *start(3), limits, settings(3, temperature=0.0))
    one = search(step, *start(3), limits, 1)
    time = greedy.ids.shape[1]
    np.testing.assert_array_equal(one.ids[:, 0, :time], greedy.ids)
    np.testing.assert_allclose(one.log_probability[:, 0], greedy.log_probability, atol=1e-5)
    wide = search(step, *start(3), limits, 6)
    assert (wide.log_probability.numpy()[:, 0] >= one.log_probability.numpy()[:, 0] - 1e-5).all()
    alone = search(step, *start(1), limits[1:2], 6)
    np.testing.assert_array_equal(wide.ids[1, :, :2], alone.ids[0])


def test_reading_stops_at_the_end_of_each_row():
    ids, lengths = tf.constant([[1, 2, 3], [3, 1, 9], [7, 7, 7]]), tf.constant([3, 2, 0])
    states = read_all(lambda ids, states: 10 * states + ids[:, None], ids, lengths, tf.zeros([3, 1], tf.int32))
    assert states.numpy().tolist() == [[123], [31], [0]]
