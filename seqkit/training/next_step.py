"""Training and reading of models of what comes next: segments of a stream of items, with the state carried along."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from seqkit.graph import graph
from seqkit.layers.softmax import noise, unigram_shares
from seqkit.training.fitting import Plan, run_training
from seqkit.training.optimizer import apply_gradients
from seqkit.training.segments import Pieces, Segment, cut, reading_segments, stream, training_segments

_ROWS = tf.TensorSpec([None], tf.int32)
_READ_ROWS = 64  # texts read together
_LOGITS = 2**25  # most scores made at once where all are asked for
_LEAST_SHARE = 1e-3  # of frames in which a key is on, to begin with


def fit_next_step(estimator, data, contexts: np.ndarray, weights, held_out, epochs: int, partial: bool) -> None:
    """Run the training loop of an estimator whose model, a `seqkit.models.next_step.NextStep`, is made.

    Parameters
    ----------
    estimator : seqkit.estimators.next_step.NextStepEstimator
        Its parameters are read, its ``model_`` trained, its ``history_`` set.
    data : seqkit.estimators.sequences.Sequences
        The sequences.
    contexts : ndarray
        What each is of, float32 [sequences, context_dim].
    weights : ndarray
        Weight of each.
    held_out : seqkit.training.held_out.HeldOut or None
        What judges each pass.
    epochs : int
        Most passes.
    partial : bool
        Whether this continues with the optimizer of the call before, without validation or averaging.
    """
    model = estimator.model_
    items = estimator._items(data)
    shares = _shares(model, items, len(data))
    items, pieces = _stream(model, items, data.lengths)
    samples = estimator._samples()
    draw, log_expected = noise(shares, samples, estimator._seed * 7 + 9) if samples else (None, None)
    if not partial and not estimator.history_:
        model.expect(shares)
        if model.config["halting"] == "length":
            model.length_head.expect(data.lengths)

    def make_step(optimizer):
        devices, variables = estimator._devices(), model.trainable_variables

        def step(stream, places, states, fresh):
            steps, items = tf.reduce_max(places["counts"]), tf.reduce_sum(places["counts"])
            sample = (draw(), log_expected) if samples else None

            def of_share(share):
                place = {name: share.take(values) for name, values in places.items()}
                before = share.take(states)
                outputs, targets, real, after = _read_on(model, stream, place, before, fresh, steps, training=True)
                losses = _losses(model, stream, outputs, targets, real, place, sample)
                weights = tf.gather(stream["weights"], place["texts"])
                of_each = tf.boolean_mask(tf.broadcast_to(weights[:, None], tf.shape(real)), real)
                loss = share.mean(losses * of_each, items)
                return loss, loss, share.put(after)

            size, products = tf.size(places["texts"]), estimator.mixed_precision
            gradients, loss, states = devices.gradients(of_share, size, variables, products)
            apply_gradients(optimizer, gradients, variables, estimator.gradient_clip, estimator.gradient_clip_value)
            return loss, states

        return graph(step, *_signature(model, weights=True))

    def plan(step, held_out):
        rows, evaluate = np.arange(len(data)), None
        if held_out is not None:
            rows = rows if held_out.train_rows is None else held_out.train_rows
            evaluate = _evaluation(estimator, held_out)
        train, columns = estimator._layout(pieces.take(rows))
        given = {**_tensors(items, contexts, data.lengths), "weights": tf.constant(weights, tf.float32)}
        state = [None]

        def take(segment: Segment):
            state[0] = _begin(model, segment, state[0])
            loss, state[0] = step(given, _place(train, segment), state[0], tf.constant(segment.fresh))
            return loss

        steps = int(estimator.steps)
        return Plan(take, lambda rng: training_segments(train, columns, steps, rng), int(train.counts.sum()), evaluate)

    targets = {"targets": contexts, "weights": weights}
    run_training(estimator, data, targets, held_out, epochs, partial, ("next step",), make_step, plan)


def log_probabilities(estimator, data, contexts: np.ndarray) -> list[np.ndarray]:
    """Return ``log p`` of each item of each sequence given those before it, float32 [length, or length + 1] each.

    The last one is that of the end where an end is an item like others. Where a network says at each step if the
    sequence ends, that counts with the item.

    Parameters
    ----------
    estimator : seqkit.estimators.next_step.NextStepEstimator
        A fitted one.
    data : seqkit.estimators.sequences.Sequences
        The sequences.
    contexts : ndarray
        What each is of, float32 [sequences, context_dim].
    """
    items, pieces = _stream(estimator.model_, estimator._items(data), data.lengths)
    found = [np.zeros(n, np.float32) for n in pieces.counts]
    done = np.zeros(len(found), int)
    for segment, losses in _read(estimator, items, pieces, contexts, data.lengths):
        for i, row, n in zip(segment.rows, losses, segment.counts, strict=True):
            found[i][done[i] : done[i] + n] = -row[:n]
            done[i] += n
    return found


def _stream(model, items: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, Pieces]:
    return stream(items, lengths, end=not model.config["keys"])


def _shares(model, items: np.ndarray, ends: int) -> np.ndarray:
    """Return how often ids occur, or keys are on."""
    if model.config["keys"]:
        return np.clip(items.mean(0), _LEAST_SHARE, 1 - _LEAST_SHARE).astype(np.float32)
    return unigram_shares(items, model.config["vocabulary_size"], ends=ends)


def _read(estimator, items, pieces: Pieces, contexts, lengths) -> Iterator[tuple[Segment, np.ndarray]]:
    """Yield the losses of each segment."""
    model = estimator.model_
    width = model.config["vocabulary_size"] or model.config["keys"] * model.config["head_units"]
    rows = max(1, min(_READ_ROWS, len(pieces.counts)))
    steps = max(1, min(512, _LOGITS // (rows * width)))

    def make():
        def measure(stream, place, states, fresh):
            steps = tf.reduce_max(place["counts"])
            outputs, targets, real, states = _read_on(model, stream, place, states, fresh, steps)
            losses = _losses(model, stream, outputs, targets, real, place)
            return tf.scatter_nd(tf.where(real), losses, tf.shape(real, tf.int64)), states

        return graph(measure, *_signature(model))

    measure = estimator._once("measure", make)
    given, state = _tensors(items, contexts, lengths), None
    for segment in reading_segments(pieces, rows, steps):
        state = _begin(model, segment, state)
        losses, state = measure(given, _place(pieces, segment), state, tf.constant(segment.fresh))
        yield segment, losses.numpy()


def _evaluation(estimator, held_out):
    """Return a function to the loss per item of sequences held out."""
    held = held_out.data
    items, pieces = _stream(estimator.model_, estimator._items(held), held.lengths)
    # Long texts are cut, so that many rows are read together; what a piece does not know of the one before is little.
    pieces = cut(pieces.take(held_out.rows), max(2_000, int(pieces.counts.sum()) // _READ_ROWS))

    def evaluate() -> dict[str, float]:
        every = _read(estimator, items, pieces, held_out.targets, held.lengths)
        total = sum(float(losses.sum(dtype=np.float64)) for _, losses in every)
        return {"validation_loss": total / int(pieces.counts.sum())}

    return evaluate


# What the graphs take


def _tensors(items, contexts, lengths) -> dict[str, tf.Tensor]:
    return {
        "items": tf.constant(items),
        "contexts": tf.constant(contexts, tf.float32),
        "lengths": tf.constant(lengths, tf.int32),
    }


def _place(pieces: Pieces, segment: Segment) -> dict[str, tf.Tensor]:
    return {
        "begins": tf.constant(segment.begins, tf.int32),
        "counts": tf.constant(segment.counts, tf.int32),
        "texts": tf.constant(pieces.texts[segment.rows], tf.int32),
        "ends": tf.constant(segment.ends),
    }


def _signature(model, weights: bool = False) -> tuple:
    c = model.config
    items = tf.TensorSpec([None, c["keys"]], tf.float32) if c["keys"] else _ROWS
    stream = {"items": items, "contexts": tf.TensorSpec([None, c["context_dim"]], tf.float32), "lengths": _ROWS}
    if weights:
        stream["weights"] = tf.TensorSpec([None], tf.float32)
    place = {"begins": _ROWS, "counts": _ROWS, "texts": _ROWS, "ends": tf.TensorSpec([None], tf.bool)}
    return stream, place, tf.TensorSpec([None, model.state_size], model.compute_dtype), tf.TensorSpec([], tf.bool)


def _begin(model, segment: Segment, state):
    """Return the state to go on from; where all is fresh, one of the right size."""
    return tf.zeros([len(segment.rows), model.state_size], model.compute_dtype) if segment.fresh else state


def _read_on(model, stream, place, states, fresh, steps, training: bool = False):
    """Return what the model says of a segment, what follows each item, which are real, and the states after it."""
    real = tf.sequence_mask(place["counts"], steps)
    positions = tf.where(real, place["begins"][:, None] + tf.range(tf.shape(real)[1]), 0)
    context = tf.gather(stream["contexts"], place["texts"]) if model.config["context_dim"] else None
    states = tf.cond(fresh, lambda: model.first_states(tf.shape(real)[0], context), lambda: states)
    outputs, states = model.read(tf.gather(stream["items"], positions), states, training=training, context=context)
    return outputs, tf.gather(stream["items"], positions + tf.cast(real, tf.int32)), real, states


def _losses(model, stream, outputs, targets, real, place, sample=None):
    """Return ``-log p`` of all real positions, [positions]."""
    losses = model.losses(tf.boolean_mask(outputs, real), tf.boolean_mask(targets, real), sample)
    if model.config["halting"] is None:
        return losses
    at_end = tf.one_hot(place["counts"] - 1, tf.shape(real)[1]) * tf.cast(place["ends"], tf.float32)[:, None]
    at_end = tf.boolean_mask(at_end, real)
    if model.config["halting"] == "bernoulli":
        logits = tf.boolean_mask(model.halt_logits(outputs), real)
        return losses + tf.nn.sigmoid_cross_entropy_with_logits(at_end, logits)
    contexts, lengths = (tf.gather(stream[name], place["texts"]) for name in ("contexts", "lengths"))
    of_length = model.length_head.losses(tf.maximum(lengths, 1), contexts)[:, None]
    return losses + at_end * tf.boolean_mask(tf.broadcast_to(of_length, tf.shape(real)), real)
