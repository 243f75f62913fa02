"""The loops that write sequences: one token after the other, each read before the next is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from seqkit.decoding.sampling import sampler, uniform

#: ``(ids [rows], states [rows, …]) -> (logits [rows, ids], states)``
Step = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Written(NamedTuple):
    """What was written: items [rows, time, …] (0 behind the end), how many of them, their log-probability [rows]."""

    ids: tf.Tensor
    lengths: tf.Tensor
    log_probability: tf.Tensor


class Settings(NamedTuple):
    """How each row is to be sampled; see `seqkit.decoding.sampling.sample`."""

    seeds: tf.Tensor  # int64 [rows]
    temperature: tf.Tensor  # float32 [rows]
    top_k: tf.Tensor  # int32 [rows]
    top_p: tf.Tensor  # float32 [rows]


def write(step: Step, ids, states, limits, settings: Settings, end: int = 0, banned=None, given=None) -> Written:
    """Sample sequences.

    Args:
        step: What reads an id and scores the next.
        ids: int32 [rows]: the last id before what is to be written.
        states: Tensor [rows, …]: the states before that id is read.
        limits: int32 [rows]: most ids to write.
        settings: How.
        end: The id that ends a row; it is not among what was written, yet counts in its probability.
        banned: float32 [ids], added to the scores of what is chosen; or None.
        given: int32 [rows, at least the largest limit]: what is to stand there, -1 where it is to be drawn; or None.
    """
    longest = tf.reduce_max(tf.pad(limits, [[0, 1]]))
    chances = uniform(settings.seeds, tf.range(longest)[:, None])
    draw = sampler(settings.temperature, settings.top_k, settings.top_p)

    def goes_on(t, _ids, _states, alive, *_):
        return (t < longest) & tf.reduce_any(alive)

    def body(t, ids, states, alive, lengths, total, written):
        logits, states = step(ids, states)
        chosen = logits if banned is None else logits + banned
        ids = draw(chosen, tf.gather(chances, t))
        if given is not None:
            ids = tf.where(given[:, t] >= 0, given[:, t], ids)
        scores = -tf.nn.sparse_softmax_cross_entropy_with_logits(ids, logits)
        total += tf.where(alive, scores, 0.0)
        alive &= ids != end
        ids = tf.where(alive, ids, end)
        lengths += tf.cast(alive, tf.int32)
        return t + 1, ids, states, alive & (t + 1 < limits), lengths, total, written.write(t, ids)

    rows = tf.shape(ids)
    written = tf.TensorArray(tf.int32, 0, dynamic_size=True, clear_after_read=False, element_shape=[None])
    begin = (0, ids, states, limits > 0, tf.zeros(rows, tf.int32), tf.zeros(rows), written)
    t, *_, lengths, total, written = tf.while_loop(goes_on, body, begin)
    table = tf.cond(t > 0, lambda: tf.transpose(written.stack()), lambda: tf.zeros([rows[0], 0], tf.int32))
    longest = tf.reduce_max(tf.pad(lengths, [[0, 1]]))  # the last step may have brought nothing but ends
    return Written(tf.where(tf.sequence_mask(lengths, longest), table[:, :longest], 0), lengths, total)


def write_frames(model, advance: Callable, frames, states, limits, settings: Settings, ends: bool = True) -> Written:
    """Draw sequences of frames; where the network says so, they end by chance before their limits.

    Args:
        model: A `seqkit.models.next_step.NextStep` of frames.
        advance: Its `stepper`.
        frames: float32 [rows, keys]: the last frame before what is to be written.
        states: Tensor [rows, size]: the states before that frame is read.
        limits: int32 [rows]: most frames to write.
        settings: How; of frames, top_k and top_p say nothing.
        ends: Whether they may end before.
    """
    longest = tf.reduce_max(tf.pad(limits, [[0, 1]]))
    rows, keys = tf.shape(frames)[0], model.config["keys"]
    cold = settings.temperature <= 0

    def goes_on(t, _frames, _states, alive, *_):
        return (t < longest) & tf.reduce_any(alive)

    def body(t, frames, states, alive, lengths, total, written):
        outputs, states = advance(frames, states)
        chances = frame_chances(settings.seeds, t, keys)
        frames = model.draw(outputs, chances[:, :keys], settings.temperature)
        scores = -model.losses(outputs, frames)
        goes = tf.ones([rows], tf.bool)
        if ends and model.config["halting"] == "bernoulli":
            logits = model.halt_logits(outputs)
            goes = tf.where(cold, logits <= 0, chances[:, keys] >= tf.sigmoid(logits))
            scores -= tf.nn.sigmoid_cross_entropy_with_logits(1.0 - tf.cast(goes, tf.float32), logits)
        written = written.write(t, tf.where(alive[:, None], frames, 0.0))
        lengths += tf.cast(alive, tf.int32)
        total += tf.where(alive, scores, 0.0)
        return t + 1, frames, states, alive & goes & (t + 1 < limits), lengths, total, written

    written = tf.TensorArray(tf.float32, 0, dynamic_size=True, clear_after_read=False, element_shape=[None, keys])
    begin = (0, frames, states, limits > 0, tf.zeros([rows], tf.int32), tf.zeros([rows]), written)
    t, *_, lengths, total, written = tf.while_loop(goes_on, body, begin)
    nothing = tf.zeros([rows, 0, keys])
    return Written(tf.cond(t > 0, lambda: tf.transpose(written.stack(), [1, 0, 2]), lambda: nothing), lengths, total)


def frame_chances(seeds, t, keys: int) -> tf.Tensor:
    """Return the numbers by which the t-th frame is drawn, [rows, keys + 1]: one for each key, and one for the end.

    Args:
        seeds: int64 [rows].
        t: int32, a scalar or [rows, 1].
        keys: Keys of a frame.
    """
    return uniform(seeds[:, None], t * (keys + 1) + tf.range(keys + 1))


def read_all(read: Callable, ids, lengths, states):
    """Read rows of differing lengths and return the states after the last id of each.

    Args:
        read: ``(ids [rows], states) -> states``.
        ids: int32 [rows, time].
        lengths: int32 [rows].
        states: Tensor [rows, size].
    """

    def body(t, states):
        return t + 1, tf.where((t < lengths)[:, None], read(ids[:, t], states), states)

    longest = tf.reduce_max(tf.pad(lengths, [[0, 1]]))
    return tf.while_loop(lambda t, _: t < longest, body, (0, states))[1]
