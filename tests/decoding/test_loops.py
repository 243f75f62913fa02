"""The loops that write, against plain Python."""

import numpy as np
import tensorflow as tf

from seqkit.decoding.loops import Settings, read_all, write
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


def test_reading_stops_at_the_end_of_each_row():
    ids, lengths = tf.constant([[1, 2, 3], [3, 1, 9], [7, 7, 7]]), tf.constant([3, 2, 0])
    states = read_all(lambda ids, states: 10 * states + ids[:, None], ids, lengths, tf.zeros([3, 1], tf.int32))
    assert states.numpy().tolist() == [[123], [31], [0]]
