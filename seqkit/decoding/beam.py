"""Beam search: the most probable sequences, in one loop in the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

_NEVER = -1e30
_NOTHING = 1e-9
_PARTS = 16  # what is done is left out of a step by sixteenths: few shapes, for each of which kernels are prepared
#: Scores of ids whose number is a multiple of this are looked through a block at a time.
BLOCK = 32
_BLOCKS = 16  # fewer are not worth it


class Found(NamedTuple):
    """What was found, the best first.

    ``ids`` [rows, kept, time] (0 behind the end), how many of them [rows, kept], their log-probability and their score;
    and where weights were given, ``places`` [rows, kept, time], the place that each id looked at most.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    log_probability: tf.Tensor
    scores: tf.Tensor
    places: tf.Tensor | None


class Penalties(NamedTuple):
    """How sequences of differing lengths are compared (Wu et al. 2016, eq. 14).

    ``score = log P / lp + cp``,  ``lp = ((5 + n) / 6)^length``,  ``cp = coverage · Σ_s log min(1, Σ_t a_ts)``

    with n the ids of the sequence, its end not counted, and a_ts what its t-th id looked at place s.

    Reference: Y. Wu et al., "Google's neural machine translation system", arXiv:1609.08144, 2016.
    """

    length: float = 0.0
    coverage: float = 0.0

    def divisor(self, lengths):
        """Return ``lp``, float32."""
        return tf.pow((5.0 + tf.cast(lengths, tf.float32)) / 6.0, self.length)

    def of_coverage(self, seen, lengths):
        """Return ``cp`` [rows, width], given how much places were looked at [rows, width, places], of so many real."""
        real = tf.sequence_mask(lengths, tf.shape(seen)[2])[:, None]
        logs = tf.math.log(tf.clip_by_value(seen, _NOTHING, 1.0))
        return self.coverage * tf.reduce_sum(tf.where(real, logs, 0.0), -1)


class _Pool(NamedTuple):
    """The best sequences that are complete, [rows, kept] each: how they score, and how to find them again."""

    scores: tf.Tensor
    totals: tf.Tensor
    lengths: tf.Tensor
    slots: tf.Tensor  # where in the beam the last id stood

    def join(self, others: _Pool) -> _Pool:
        """Return the best of both."""
        kept = self.scores.shape[1]
        every = [tf.concat(pair, 1) for pair in zip(self, others, strict=True)]
        scores, order = tf.math.top_k(every[0], kept)
        return _Pool(scores, *(tf.gather(values, order, batch_dims=1) for values in every[1:]))


def search(
    step: Callable,
    ids,
    states,
    limits,
    width: int,
    *,
    kept: int | None = None,
    score: Callable = tf.identity,
    end: int = 0,
    banned: Sequence[int] = (),
    penalties: Penalties | None = None,
    places=None,
) -> Found:
    """Find the sequences that score best.

    At each step the ``2 width`` best continuations are looked at. Those among the first ``width`` that have ended leave
    the beam for the pool of complete sequences; the best others go on. One that cannot come to score as well as the
    ``kept`` best complete ones is continued no more, and a row that has no other is done. With as many candidates as
    there are sequences that is exhaustive.

    Args:
        step: ``(ids [some · n], states [some · n, size], some) -> (outputs [some · n, dim], states)`` for n sequences
            of some rows, int32 numbers; and where ``places`` are given, what was looked at [some, n, places].
        ids: int32 [rows]: the last id before what is to be written.
        states: Tensor [rows, size]: the states before that id is read.
        limits: int32 [rows]: most ids to write; a sequence that is still without an end then counts as it is.
        width: Sequences that go on at each step, for each row.
        kept: Sequences to return, at most ``width``; None: all.
        score: From outputs of some sequences, [sequences, dim], to scores of all ids, [sequences, ids]. With a large
            vocabulary most of the work, so it is spared those that are continued no more.
        end: The id that ends a row; it is not among what was written, yet counts in its probability.
        banned: Ids that are never chosen.
        penalties: How sequences of differing lengths are compared; None: by probability alone.
        places: int32 [rows]: how many places there are to look at; or None.

    Returns:
        Found. Where a row has fewer sequences than are kept, the last ones score -1e30.
    """
    kept, penalties = kept or width, penalties or Penalties()
    covers = places is not None and penalties.coverage > 0
    rows = tf.shape(ids)[0] if ids.shape[0] is None else ids.shape[0]
    longest = tf.reduce_max(tf.pad(limits, [[0, 1]]))
    slots = tf.tile(tf.range(width)[None], [rows, 1])
    most = penalties.divisor(limits)

    def worth(totals, lengths, seen):
        found = totals / penalties.divisor(lengths)
        return found + penalties.of_coverage(seen, places) if covers else found

    def complete(which, totals, lengths, slots, seen):
        lengths = tf.broadcast_to(lengths, tf.shape(totals))
        return _Pool(tf.where(which, worth(totals, lengths, seen), _NEVER), totals, lengths, slots)

    def goes_on(t, _some, _ids, _states, alive, *_):
        return (t < longest) & tf.reduce_any(alive)

    def continuations(outputs):
        """Return of each sequence the best ids, and what they add to its log-probability."""
        scores = score(outputs)
        each = min(2 * width + len(banned), scores.shape[-1])
        gains, best = _largest(scores, each)
        # log Σ exp(z) = max z - log max p
        norm = gains[:, :1] - tf.math.log(tf.gather(tf.nn.softmax(scores), best[:, :1], batch_dims=1))
        for number in banned:
            gains = tf.where(best == number, _NEVER, gains)
        best = tf.where(gains > _NEVER / 2, best, end)  # too few ids: those of the scorer's padding come
        return gains - norm, best

    def body(t, some, ids, states, alive, totals, seen, pool, written, parents_of, looked):
        count = tf.shape(ids)[1]  # of sequences of each row: one at first, ``width`` then

        def of_all(values):
            return tf.scatter_nd(some[:, None], values, tf.concat([[rows], tf.shape(values)[1:]], 0))

        answer = step(tf.reshape(tf.gather(ids, some), [-1]), states, some)
        outputs, after = answer[:2]
        if places is not None:
            looked = looked.write(t, of_all(tf.argmax(answer[2], -1, tf.int32)))
        if covers:
            seen += of_all(answer[2][..., : tf.shape(seen)[2]])  # a batch may be padded beyond its longest row
        # Of each sequence its own best continuations first: that is one look at all scores, and the rest is small.
        which = _living(tf.reshape(tf.gather(alive, some), [-1]), rows * count)
        found = continuations(tf.gather(outputs, which))
        each, sequences = found[0].shape[1], tf.shape(outputs)[0]
        gains, best = (
            tf.tensor_scatter_nd_update(tf.fill([sequences, each], nothing), which[:, None], values)
            for nothing, values in zip((_NEVER, end), found, strict=True)
        )
        gains += tf.reshape(tf.gather(totals, some), [-1, 1])
        gains, best = (tf.reshape(values, [-1, count * each]) for values in (gains, best))
        if each < 2 * width:  # there may be too few continuations
            gains = tf.pad(gains, [[0, 0], [0, 2 * width]], constant_values=_NEVER)
            best = tf.pad(best, [[0, 0], [0, 2 * width]], constant_values=end)
        gains, order = tf.math.top_k(gains, 2 * width)
        best = tf.gather(best, order, batch_dims=1)
        totals, parents, ids = map(of_all, (gains, tf.minimum(order // each, count - 1), best))
        ended = ids == end
        ends = alive[:, :1] & ended & (tf.range(2 * width) < width) & (totals > _NEVER / 2)
        of_parents = tf.gather(seen, parents, batch_dims=1) if covers else None
        pool = pool.join(complete(ends, totals, t, parents, of_parents))
        # The best that have not ended, in their order.
        totals, order = tf.math.top_k(tf.where(ended, _NEVER, totals), width)
        ids, parents = tf.gather(ids, order, batch_dims=1), tf.gather(parents, order, batch_dims=1)
        if covers:
            seen = tf.gather(seen, parents, batch_dims=1)
        full = alive[:, :1] & (t + 1 >= limits)[:, None] & (totals > _NEVER / 2)
        pool = pool.join(complete(full, totals, t + 1, slots, seen))
        # Probabilities only fall, and coverage takes nothing off the best case. The best comes first: a row is alive
        # as long as its first sequence is.
        wins = (totals > _NEVER / 2) & (totals / most[:, None] > pool.scores[:, kept - 1 :])
        alive = alive[:, :1] & (t + 1 < limits)[:, None] & wins
        written, parents_of = written.write(t, ids), parents_of.write(t, parents)
        kept_on = _living(tf.gather(alive[:, 0], some), rows)
        some = tf.gather(some, kept_on)
        states = tf.gather(after, tf.reshape(kept_on[:, None] * count + tf.gather(parents, some), [-1]))
        return t + 1, some, ids, states, alive, totals, seen, pool, written, parents_of, looked

    nothing = tf.zeros([rows, kept], tf.int32)
    at_once = (limits <= 0)[:, None] & (tf.range(kept) == 0)
    pool = _Pool(tf.where(at_once, 0.0, _NEVER), tf.where(at_once, 0.0, _NEVER), nothing, nothing)
    seen = tf.zeros([rows, 1, tf.reduce_max(tf.pad(places, [[0, 1]], constant_values=1)) if covers else 0])
    arrays = [
        tf.TensorArray(tf.int32, 0, True, clear_after_read=False, infer_shape=False, element_shape=[None, None])
        for _ in range(3)
    ]
    alive = limits[:, None] > 0
    some = _changing(_living(alive[:, 0], rows), None)
    states = _changing(tf.gather(states, some), None, states.shape[1])
    ids, totals, seen = _changing(ids[:, None], None, None), tf.zeros([rows, 1]), _changing(seen, None, None, None)
    begin = (0, some, ids, states, _changing(alive, None, None), _changing(totals, None, None), seen, pool, *arrays)
    t, *_, pool, written, parents_of, looked = tf.while_loop(goes_on, body, begin)
    return Found(*_trace(pool, t, written, parents_of, looked if places is not None else None, kept))


def _changing(values, *shape):
    """Say to a loop no more of the shape of what it is given than this: the rest changes in it."""
    return tf.compat.v1.placeholder_with_default(values, shape)


def _living(alive, whole):
    """Return where ``alive`` is true, and a few places where it is not, int32; ``whole``: its size at first."""
    part = tf.maximum(whole // _PARTS, 1)
    count = (tf.math.count_nonzero(alive, dtype=tf.int32) + part - 1) // part * part
    return tf.math.top_k(tf.cast(alive, tf.int32), tf.minimum(count, tf.size(alive))).indices


def _largest(scores, k: int):
    """Return the k largest of each row of scores [rows, ids], and their ids."""
    blocks = scores.shape[-1] // BLOCK
    if scores.shape[-1] % BLOCK or blocks < max(_BLOCKS, k):
        return tf.math.top_k(scores, k)
    # The k largest are in the k blocks whose largest is largest: to find those is quick, and the others are left aside.
    scores = tf.reshape(scores, [-1, blocks, BLOCK])
    _, places = tf.math.top_k(tf.reduce_max(scores, -1), k)
    found = tf.reshape(tf.gather(scores, places, batch_dims=1), [-1, k * BLOCK])
    values, order = tf.math.top_k(found, k)
    return values, tf.gather(places, order // BLOCK, batch_dims=1) * BLOCK + order % BLOCK


def _trace(pool: _Pool, steps, written, parents_of, looked, kept: int):
    """Follow complete sequences back to their beginning; return the fields of `Found`."""
    longest = tf.minimum(tf.reduce_max(tf.pad(tf.reshape(pool.lengths, [-1]), [[0, 1]])), steps)

    def body(t, slots, ids, places):
        inside = t < pool.lengths
        parents = tf.gather(parents_of.read(t), slots, batch_dims=1)
        ids = ids.write(t, tf.where(inside, tf.gather(written.read(t), slots, batch_dims=1), 0))
        if looked is not None:  # by the sequence before this id was added
            places = places.write(t, tf.where(inside, tf.gather(looked.read(t), parents, batch_dims=1), 0))
        return t - 1, tf.where(inside, parents, slots), ids, places

    arrays = [tf.TensorArray(tf.int32, longest, element_shape=[None, kept]) for _ in range(2)]
    *_, ids, places = tf.while_loop(lambda t, *_: t >= 0, body, (longest - 1, pool.slots, *arrays))
    empty = tf.zeros([tf.shape(pool.lengths)[0], kept, 0], tf.int32)

    def stacked(array):
        return tf.cond(longest > 0, lambda: tf.transpose(array.stack(), [1, 2, 0]), lambda: empty)

    return stacked(ids), pool.lengths, pool.totals, pool.scores, None if looked is None else stacked(places)
