"""Training of an estimator's model: the graph function of a step and what feeds it."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from seqkit.graph import graph
from seqkit.training.averaging import WeightAverage
from seqkit.training.batching import shuffled_batches
from seqkit.training.checkpoint import Checkpoint, fingerprint
from seqkit.training.held_out import HeldOut
from seqkit.training.loop import TrainingLoop
from seqkit.training.optimizer import apply_gradients, cosine_decay, make_optimizer
from seqkit.training.token_batches import embed_rows, pad_flat, signature

_ROWS = tf.TensorSpec([None], tf.int32)


def fit_model(
    estimator,
    data,
    targets: dict[str, np.ndarray],
    held_out: HeldOut | None,
    epochs: int,
    partial: bool,
    losses: Callable | None = None,
    sizes: np.ndarray | None = None,
) -> None:
    """Run the training loop on an estimator whose model is made.

    Parameters
    ----------
    estimator : seqkit.estimators.base.BaseSequenceEstimator
        Its parameters are read, its ``model_`` trained, its ``history_`` set.
    data : seqkit.estimators.sequences.Sequences
        Training sequences, and where ``held_out`` says so, validation sequences.
    targets : dict of ndarray
        ``targets``: of all positions, or of all sequences; ``weights`` of each sequence; and where there are some,
        ``class_weights``.
    held_out : HeldOut or None
        What judges each pass.
    epochs : int
        Most passes.
    partial : bool
        Whether this continues with the optimizer of the call before, without validation or averaging.
    losses : callable or None
        Takes the model, tensors, targets, row numbers, and those of the whole batch that they are of; returns two
        losses of each row, of which the first is reported. None: `sequence_losses`.
    sizes : ndarray or None
        By which sequences are batched with others of like size, see `seqkit.training.batching.shuffled_batches`; None:
        their lengths.
    """
    tensors = estimator._tensors(data)
    constants = {name: tf.constant(value) for name, value in targets.items()}

    def make_step(optimizer):
        return _step(estimator, optimizer, tensors, constants, losses or sequence_losses)

    def plan(step, held_out):
        rows, evaluate = np.arange(len(data)), None
        if held_out is not None:
            if held_out.train_rows is not None:
                rows = held_out.train_rows
            evaluate = estimator._evaluation(
                held_out, tensors if held_out.data is data else estimator._tensors(held_out.data)
            )
        every = data.lengths if sizes is None else sizes
        rows = rows[every.reshape(len(every), -1).any(1)[rows]]
        of_rows = every[rows]
        return Plan(
            lambda batch: step(tensors, constants, tf.constant(batch, tf.int32)),
            lambda rng: [rows[b] for b in shuffled_batches(of_rows, estimator._batch_rows(rows), rng)],
            int(of_rows.sum()),
            evaluate,
        )

    run_training(estimator, data, targets, held_out, epochs, partial, tuple(constants), make_step, plan)


class Plan(NamedTuple):
    """What a `TrainingLoop` is told of the data: see there."""

    step: Callable
    batches: Callable
    tokens: int
    evaluate: Callable | None


def run_training(
    estimator,
    data,
    targets: dict[str, np.ndarray],
    held_out: HeldOut | None,
    epochs: int,
    partial: bool,
    key: tuple,
    make_step: Callable,
    plan: Callable,
) -> None:
    """Run the training loop on an estimator whose model is made; parameters not told of here are those of `fit_model`.

    Parameters
    ----------
    key : tuple
        What tells one step's graph from another, where several are made for one optimizer.
    make_step : callable
        Takes an optimizer, returns the graph function of a step.
    plan : callable
        Takes that function and the `HeldOut` that counts (of a resumed fit, it may be another one), returns a `Plan`.
    """
    model, devices = estimator.model_, estimator._devices()
    # partial_fit goes on with the optimizer of the call before, unless it was to be another one.
    asked = (repr(estimator.optimizer), estimator.learning_rate, estimator.gradient_clip)
    before, optimizer, steps = estimator._live.pop("steps", (None, None, {}))
    if not partial or before != asked:
        steps = {}
        optimizer = make_optimizer(estimator.optimizer, float(estimator.learning_rate))
        optimizer.build(model.trainable_variables)
    key = (*key, estimator.strategy, estimator.mixed_precision)
    step = steps.get(key)
    if step is None:
        step = steps[key] = make_step(optimizer)
    if partial:
        estimator._live["steps"] = asked, optimizer, steps

    checkpoint = None
    if devices.workers > 1 or (estimator.checkpoint_dir is not None and not partial):
        trained = _fingerprint(estimator, data, targets, held_out)
        devices.check_alike(trained)
    if estimator.checkpoint_dir is not None and not partial:
        checkpoint = Checkpoint(estimator.checkpoint_dir, trained, devices)
        seed = checkpoint.read_seed()
        if seed is not None and seed != estimator._seed:  # no integer was given as random_state: the first run's stands
            estimator._seed = estimator._model_config["seed"] = seed
            if held_out is not None and held_out.train_rows is not None:
                held_out = estimator._random_part(data, targets["targets"])

    planned = plan(step, held_out)
    evaluate = planned.evaluate
    loop = TrainingLoop(
        model,
        optimizer,
        planned.step,
        planned.batches,
        tokens=planned.tokens,
        epochs=epochs,
        progress=estimator._progress(),
        evaluate=evaluate and (lambda: devices.from_chief(evaluate)),
        patience=estimator.patience,
        average=WeightAverage([v.value for v in model.trainable_variables])
        if estimator.average_weights and not partial
        else None,
        seed=estimator._seed,
        checkpoint=checkpoint,
        decay=cosine_decay(optimizer) if getattr(estimator, "learning_rate_decay", None) and not partial else None,
        devices=devices,
    )
    history = loop.run()
    estimator.data_fingerprint_ = fingerprint(*data.fingerprint_parts(), targets["targets"])
    if partial:
        for name, values in history.items():
            estimator.history_.setdefault(name, []).extend(values)
    else:
        estimator.history_ = history


def sequence_losses(model, tensors, targets, rows, batch):
    """Return the losses of rows of a data set: the head's, and that of the language objective; float32 [batch] each."""
    vectors, words, positions, real, lengths = embed_rows(model, tensors, rows, training=True)
    if model.per_step:
        wanted = pad_flat(targets["targets"], positions, real)
    else:
        wanted = tf.gather(targets["targets"], rows)
    return model.losses(vectors, words, lengths, wanted, class_weights=targets.get("class_weights"))


def _step(estimator, optimizer, tensors, targets, losses):
    """Return the graph function of an optimizer step; one serves all data of this kind."""
    model, devices = estimator.model_, estimator._devices()
    variables, clip, products = model.trainable_variables, estimator.gradient_clip, estimator.mixed_precision

    def step(tensors, targets, batch):
        size = tf.size(batch)

        def of_share(share):
            rows = share.take(batch)
            reported, further = losses(model, tensors, targets, rows, batch)
            weights = tf.gather(targets["weights"], rows)
            loss = share.mean(reported * weights, size)
            return loss + share.mean(further * weights, size), loss, None

        gradients, loss, _ = devices.gradients(of_share, size, variables, products)
        apply_gradients(optimizer, gradients, variables, clip)
        return loss

    return graph(step, signature(tensors), signature(targets), _ROWS)


def _parts(targets) -> list:
    """Return what tells targets from others: arrays, or sequences."""
    return targets.fingerprint_parts() if hasattr(targets, "fingerprint_parts") else [targets]


def _fingerprint(estimator, data, targets: dict, held_out) -> str:
    """Return what tells training these parameters on this data from any other."""
    parameters = estimator.get_params(deep=False)
    # The first three change nothing about the result (so more or fewer devices may go on with a run); the fourth is
    # told by what was made of it.
    for name in ("checkpoint_dir", "verbose", "strategy", "class_weight"):
        parameters.pop(name, None)
    if hasattr(estimator.optimizer, "get_config"):
        config = {k: v for k, v in estimator.optimizer.get_config().items() if k != "name"}  # Keras counts names up
        parameters["optimizer"] = [type(estimator.optimizer).__name__, config]
    if not isinstance(estimator.random_state, Integral):
        parameters["random_state"] = None  # the seed drawn from it is in the checkpoint
    given = held_out is not None and held_out.train_rows is None
    held = [*held_out.data.fingerprint_parts(), *_parts(held_out.targets)] if given else []
    begin = estimator.model_.get_weights() if estimator.history_ else []  # of a warm start
    labels = list(map(repr, getattr(estimator, "classes_", [])))
    parts = (*data.fingerprint_parts(), *targets.values(), *held, *begin)
    return fingerprint(parameters, labels, *parts)
