"""Training of a tagger: the graph function of a step and what feeds it."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import tensorflow as tf

from seqkit.metrics.entities import entity_counts
from seqkit.training.averaging import WeightAverage
from seqkit.training.batching import shuffled_batches
from seqkit.training.checkpoint import Checkpoint, fingerprint
from seqkit.training.decoding import data_tensors, decode
from seqkit.training.held_out import HeldOut, random_part
from seqkit.training.loop import TrainingLoop
from seqkit.training.optimizer import apply_gradients, make_optimizer
from seqkit.training.token_batches import embed_rows, pad_flat, signature

_ROWS = tf.TensorSpec([None], tf.int32)


def train_tagger(
    estimator,
    data,
    tag_ids: np.ndarray,
    weights: np.ndarray,
    tag_weights: np.ndarray | None,
    held_out: HeldOut | None,
    epochs: int,
    partial: bool,
) -> None:
    """Run the training loop on a `SequenceTagger` whose model is made.

    Parameters
    ----------
    estimator : seqkit.SequenceTagger
        Its parameters are read, its ``model_`` trained, its ``history_`` set.
    data : seqkit.estimators.sequences.Sequences
        Training sequences, and where ``held_out`` says so, validation sequences.
    tag_ids : ndarray
        Tag numbers of all positions.
    weights : ndarray
        Weight of each sequence.
    tag_weights : ndarray or None
        Weight of each tag.
    held_out : HeldOut or None
        What judges each pass.
    epochs : int
        Most passes.
    partial : bool
        Whether this continues with the optimizer of the call before, without validation or averaging.
    """
    model = estimator.model_
    tensors = data_tensors(estimator, data)
    targets = {"tags": tf.constant(tag_ids), "weights": tf.constant(weights)}
    if tag_weights is not None:
        targets["tag_weights"] = tf.constant(tag_weights)
    # partial_fit goes on with the optimizer of the call before, unless it was to be another one.
    asked = (repr(estimator.optimizer), estimator.learning_rate, estimator.gradient_clip)
    before, optimizer, steps = estimator.__dict__.pop("_live_steps", (None, None, {}))
    if not partial or before != asked:
        steps = {}
        optimizer = make_optimizer(estimator.optimizer, float(estimator.learning_rate))
        optimizer.build(model.trainable_variables)
    step = steps.get(tuple(targets))
    if step is None:
        step = steps[tuple(targets)] = _step(model, optimizer, estimator.gradient_clip, tensors, targets)
    if partial:
        estimator._live_steps = asked, optimizer, steps

    checkpoint = None
    if estimator.checkpoint_dir is not None and not partial:
        checkpoint = _checkpoint(estimator, data, targets, held_out)
        seed = checkpoint.read_seed()
        if seed is not None and seed != estimator._seed:  # no integer was given as random_state: the first run's stands
            estimator._seed = estimator._model_config["seed"] = seed
            if held_out is not None and held_out.train_rows is not None:
                held_out = random_part(data, tag_ids, estimator.validation_fraction, seed)

    train_rows = np.arange(len(data))
    evaluate, metric = None, "score"
    if held_out is not None:
        if held_out.train_rows is not None:
            train_rows = held_out.train_rows
        metric = "f1" if estimator.scheme_ else "accuracy"
        evaluate = _evaluation(estimator, held_out, tensors if held_out.data is data else None)
    train_rows = train_rows[data.lengths[train_rows] > 0]
    train_lengths = data.lengths[train_rows]

    loop = TrainingLoop(
        model,
        optimizer,
        lambda rows: step(tensors, targets, rows),
        lambda rng: [train_rows[b] for b in shuffled_batches(train_lengths, estimator.batch_size, rng)],
        tokens=int(train_lengths.sum()),
        epochs=epochs,
        progress=estimator._progress(),
        evaluate=evaluate,
        metric=metric,
        patience=estimator.patience,
        average=WeightAverage([v.value for v in model.trainable_variables])
        if estimator.average_weights and not partial
        else None,
        seed=estimator._seed,
        checkpoint=checkpoint,
    )
    history = loop.run()
    estimator.data_fingerprint_ = fingerprint(*data.fingerprint_parts(), tag_ids)
    if partial:
        for name, values in history.items():
            estimator.history_.setdefault(name, []).extend(values)
    else:
        estimator.history_ = history


def _step(model, optimizer, gradient_clip: float | None, tensors, targets):
    """Return the graph function of an optimizer step; one serves all data of this kind."""

    @tf.function(input_signature=[signature(tensors), signature(targets), _ROWS], autograph=False)
    def step(tensors, targets, rows):
        with tf.GradientTape() as tape:
            vectors, words, positions, real, lengths = embed_rows(model, tensors, rows, training=True)
            tags = pad_flat(targets["tags"], positions, real)
            losses, language = model.losses(vectors, words, lengths, tags, tag_weights=targets.get("tag_weights"))
            weights = tf.gather(targets["weights"], rows)
            loss = tf.reduce_mean(losses * weights)
            total = loss + tf.reduce_mean(language * weights)
        gradients = tape.gradient(total, model.trainable_variables)
        apply_gradients(optimizer, gradients, model.trainable_variables, gradient_clip)
        return loss

    return step


def _checkpoint(estimator, data, targets: dict, held_out) -> Checkpoint:
    """Return the checkpoint of training these parameters on this data."""
    parameters = estimator.get_params(deep=False)
    # The first two change nothing about the result; the third is told by what was made of it.
    for name in ("checkpoint_dir", "verbose", "class_weight"):
        del parameters[name]
    if hasattr(estimator.optimizer, "get_config"):
        config = {k: v for k, v in estimator.optimizer.get_config().items() if k != "name"}  # Keras counts names up
        parameters["optimizer"] = [type(estimator.optimizer).__name__, config]
    if not isinstance(estimator.random_state, Integral):
        parameters["random_state"] = None  # the seed drawn from it is in the checkpoint
    given = held_out is not None and held_out.train_rows is None
    held = [*held_out.data.fingerprint_parts(), held_out.targets] if given else []
    begin = estimator.model_.get_weights() if estimator.history_ else []  # of a warm start
    parts = (*data.fingerprint_parts(), *(value.numpy() for value in targets.values()), *held, *begin)
    return Checkpoint(estimator.checkpoint_dir, fingerprint(parameters, list(map(repr, estimator.classes_)), *parts))


def _evaluation(estimator, held_out: HeldOut, tensors=None):
    """Return a function that scores the present weights; ``tensors`` hold the data where that was done already."""
    data, rows = held_out.data, held_out.rows
    lengths = data.lengths[rows]
    truth, names = held_out.targets[data.positions(rows)], [*estimator.classes_.tolist(), *held_out.unseen]
    if tensors is None:
        tensors = data_tensors(estimator, data)

    def evaluate() -> float:
        predicted, _ = decode(estimator, data, rows=rows, tensors=tensors)
        if estimator.scheme_:
            return entity_counts(truth, predicted, lengths, names).f1
        return float(np.mean(truth == predicted)) if len(truth) else 0.0

    return evaluate
