"""Training and reading of a language model: segments of a stream of ids, with the state carried along."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from seqkit.layers.softmax import noise, unigram_shares
from seqkit.training.fitting import Plan, run_training
from seqkit.training.graph import graph
from seqkit.training.optimizer import apply_gradients
from seqkit.training.segments import Pieces, Segment, cut, reading_segments, stream, training_segments

_ROWS = tf.TensorSpec([None], tf.int32)
_READ_ROWS = 64  # texts read together
_LOGITS = 2**25  # most scores made at once where all are asked for


def fit_language_model(estimator, data, weights: np.ndarray, held_out, epochs: int, partial: bool) -> None:
    """Run the training loop of a `seqkit.LanguageModel` whose model is made.

    Parameters
    ----------
    estimator : seqkit.LanguageModel
        Its parameters are read, its ``model_`` trained, its ``history_`` set.
    data : seqkit.estimators.sequences.Sequences
        The texts.
    weights : ndarray
        Weight of each text.
    held_out : seqkit.training.held_out.HeldOut or None
        What judges each pass.
    epochs : int
        Most passes.
    partial : bool
        Whether this continues with the optimizer of the call before, without validation or averaging.
    """
    model, size = estimator.model_, estimator.model_.state_size
    numbers = estimator._ids(data)
    ids, pieces = stream(numbers, data.lengths)
    shares = unigram_shares(numbers, estimator.vocabulary_.n_words, ends=len(data))
    samples = estimator._samples()
    draw, log_expected = noise(shares, samples, estimator._seed * 7 + 9) if samples else (None, None)
    if not partial and not estimator.history_:
        model.expect(shares)

    def make_step(optimizer):
        def step(ids, begins, counts, weights, states, fresh):
            words, real, targets = _gather(ids, begins, counts)
            with tf.GradientTape() as tape:
                states = tf.cond(fresh, lambda: model.first_states(tf.shape(begins)[0]), lambda: states)
                outputs, states = model.read(words, states, training=True)
                sample = (draw(), log_expected) if samples else None
                losses = model.losses(tf.boolean_mask(outputs, real), tf.boolean_mask(targets, real), sample)
                of_each = tf.boolean_mask(tf.broadcast_to(weights[:, None], tf.shape(real)), real)
                loss = tf.reduce_mean(losses * of_each)
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            apply_gradients(optimizer, gradients, variables, estimator.gradient_clip, estimator.gradient_clip_value)
            return loss, states

        states = tf.TensorSpec([None, size], model.compute_dtype)
        weights = tf.TensorSpec([None], tf.float32)
        return graph(step, _ROWS, _ROWS, _ROWS, weights, states, tf.TensorSpec([], tf.bool))

    def plan(step, held_out):
        rows, evaluate = np.arange(len(data)), None
        if held_out is not None:
            rows = rows if held_out.train_rows is None else held_out.train_rows
            evaluate = _evaluation(estimator, held_out)
        train, columns = estimator._layout(pieces.take(rows))
        stream_ids, state = tf.constant(ids), [None]

        def take(segment: Segment):
            if segment.fresh:
                state[0] = tf.zeros([len(segment.rows), size], model.compute_dtype)
            loss, state[0] = step(
                stream_ids,
                tf.constant(segment.begins, tf.int32),
                tf.constant(segment.counts, tf.int32),
                tf.constant(weights[train.texts[segment.rows]], tf.float32),
                state[0],
                tf.constant(segment.fresh),
            )
            return loss

        steps = int(estimator.steps)
        return Plan(take, lambda rng: training_segments(train, columns, steps, rng), int(train.counts.sum()), evaluate)

    targets = {"targets": numbers[:0], "weights": weights}
    run_training(estimator, data, targets, held_out, epochs, partial, ("language",), make_step, plan)


def log_probabilities(estimator, data, pieces: Pieces | None = None) -> list[np.ndarray]:
    """Return ``log p`` of each token of each text given those before it, and of its end, float32 [length + 1] each.

    Parameters
    ----------
    estimator : seqkit.LanguageModel
        A fitted one.
    data : seqkit.estimators.sequences.Sequences
        The texts.
    pieces : Pieces or None
        Stretches to read in place of the texts.
    """
    ids, whole = stream(estimator._ids(data), data.lengths)
    pieces = whole if pieces is None else pieces
    found = [np.zeros(n, np.float32) for n in pieces.counts]
    done = np.zeros(len(found), int)
    for segment, losses in _read(estimator, ids, pieces):
        for i, row, n in zip(segment.rows, losses, segment.counts, strict=True):
            found[i][done[i] : done[i] + n] = -row[:n]
            done[i] += n
    return found


def _read(estimator, ids, pieces: Pieces) -> Iterator[tuple[Segment, np.ndarray]]:
    """Yield the losses of each segment."""
    model = estimator.model_
    rows = _READ_ROWS
    steps = max(1, min(512, _LOGITS // (rows * estimator.vocabulary_.n_words)))
    live = estimator._live.setdefault("functions", {})
    if "measure" not in live:

        def measure(ids, begins, counts, states, fresh):
            words, real, targets = _gather(ids, begins, counts)
            states = tf.cond(fresh, lambda: model.first_states(tf.shape(begins)[0]), lambda: states)
            outputs, states = model.read(words, states)
            losses = model.losses(tf.boolean_mask(outputs, real), tf.boolean_mask(targets, real))
            return tf.scatter_nd(tf.where(real), losses, tf.shape(real, tf.int64)), states

        states = tf.TensorSpec([None, model.state_size], model.compute_dtype)
        live["measure"] = graph(measure, _ROWS, _ROWS, _ROWS, states, tf.TensorSpec([], tf.bool))
    ids, state = tf.constant(ids), None
    for segment in reading_segments(pieces, rows, steps):
        if segment.fresh:
            state = tf.zeros([len(segment.rows), model.state_size], model.compute_dtype)
        losses, state = live["measure"](
            ids,
            tf.constant(segment.begins, tf.int32),
            tf.constant(segment.counts, tf.int32),
            state,
            tf.constant(segment.fresh),
        )
        yield segment, losses.numpy()


def _evaluation(estimator, held_out):
    """Return a function to the loss per token of texts held out."""
    data = held_out.data
    numbers = estimator._ids(data)
    ids, pieces = stream(numbers, data.lengths)
    # Long texts are cut, so that many rows are read together; what a piece does not know of the one before is little.
    pieces = cut(pieces.take(held_out.rows), max(2_000, int(pieces.counts.sum()) // _READ_ROWS))

    def evaluate() -> dict[str, float]:
        total = sum(float(losses.sum(dtype=np.float64)) for _, losses in _read(estimator, ids, pieces))
        return {"validation_loss": total / int(pieces.counts.sum())}

    return evaluate


def _gather(ids, begins, counts):
    """Return the ids that rows read, [batch, time], which of them are real, and the ids that follow."""
    real = tf.sequence_mask(counts)
    places = tf.where(real, begins[:, None] + tf.range(tf.shape(real)[1]), 0)
    return tf.gather(ids, places), real, tf.gather(ids, places + tf.cast(real, tf.int32))
