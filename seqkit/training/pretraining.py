"""Training of an encoder as a language model before it learns its task."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from seqkit.errors import DataError
from seqkit.graph import graph
from seqkit.layers.language_objective import LanguageObjective
from seqkit.layers.softmax import noise, unigram_shares
from seqkit.training.batching import shuffled_batches, sorted_batches
from seqkit.training.loop import TrainingLoop
from seqkit.training.optimizer import apply_gradients, make_optimizer
from seqkit.training.token_batches import embed_rows, signature

_WORDS = 10_000  # word ids that the language model tells apart
_SAMPLES = 512  # of them, drawn for a step of training
_BOTTLENECK = 100
_DROPOUT = 0.2
_BATCH = 32
_WINDOW = 64  # words that are read at once: long texts are cut, for more optimizer steps
_PATIENCE = 2
_HELD_OUT = 0.1


def pretrain(estimator, data, epochs: int) -> dict[str, list[float]]:
    """Train the token encoder and the first recurrent layer to expect the next word (Dai & Le 2015).

    Each direction of the first layer is a language model of its own: forward of the next word, backward of the one
    before. Layers above read both directions and could only copy the answer; they begin at random, as the head does.

    Parameters
    ----------
    estimator : seqkit.estimators.sequence_reader.SequenceReaderEstimator
        Its ``model_`` is trained.
    data : seqkit.estimators.sequences.Sequences
        Texts; no labels are looked at.
    epochs : int
        Most passes; it ends before when a tenth of the texts, which is held out, is expected no better.

    Returns
    -------
    dict
        For each pass "loss" and "perplexity" (per word and direction, of the part held out), "seconds", and so on.

    References
    ----------
    A. Dai and Q. Le, "Semi-supervised sequence learning", NIPS 2015.
    """
    model, seed, devices = estimator.model_, estimator._seed, estimator._devices()
    config = model.config
    objective = LanguageObjective(
        min(_WORDS, config["vocabulary_size"]),
        config["units"],
        config["bidirectional"],
        bottleneck=_BOTTLENECK,
        seed=seed * 7 + 3,
        dtype=model.dtype_policy,
        name="pretraining",
    )
    objective.build()
    layers = [model.encoder, *model.recurrent.directions[0], objective]
    variables = [variable for layer in layers for variable in layer.trainable_variables]
    optimizer = make_optimizer(estimator.optimizer, float(estimator.learning_rate))
    optimizer.build(variables)
    tensors, lengths, texts = _windows(estimator._tensors(data), data.lengths)
    specification = [signature(tensors), tf.TensorSpec([None], tf.int32)]

    order = np.random.default_rng([seed, 2]).permutation(len(data))
    is_held = np.zeros(len(data), bool)
    is_held[order[: round(len(data) * _HELD_OUT)]] = True
    some = lengths > 1  # a word alone has no neighbour to expect
    train, held = np.flatnonzero(some & ~is_held[texts]), np.flatnonzero(some & is_held[texts])
    if not len(train):
        raise DataError("pretrain holds no text of two tokens or more: there is no next word to expect.")
    words = tf.gather(tensors["words"], tensors["index"].numpy()[data.positions(np.flatnonzero(~is_held))])
    words = objective.told_apart(words).numpy()
    shares = unigram_shares(words, objective.config["words"], ends=0)
    objective.expect(shares)
    draw, log_expected = noise(shares, _SAMPLES, seed * 7 + 4)
    dropout = [keras.layers.Dropout(_DROPOUT, seed=seed * 7 + k, dtype=model.dtype_policy) for k in (5, 6)]

    def cross_entropies(tensors, rows, sample=None):
        """Return the sum over words and directions of each row; in training, an estimate from a sample."""
        training = sample is not None
        vectors, words, _, _, lengths = embed_rows(model, tensors, rows, training=training)
        vectors = dropout[0](vectors, training=training)
        _, states, *_ = model.recurrent.each_layer(vectors, lengths, training=training)
        states = dropout[1](states, training=training)
        if training:
            return objective.sampled_loss(states, words, lengths, sample, log_expected, ends=False)
        return objective.loss(states, words, lengths, ends=False)

    def expected(tensors, rows):
        """Return how many words are to be expected in rows, counted in each direction."""
        starts, directions = tensors["starts"], 1 + bool(config["bidirectional"])
        words = tf.reduce_sum(tf.gather(starts, rows + 1) - tf.gather(starts, rows) - 1)
        return directions * tf.cast(words, tf.float32)

    def take_step(tensors, batch):
        sample, total = draw(), expected(tensors, batch)

        def of_share(share):
            loss = share.sum(cross_entropies(tensors, share.take(batch), sample)) / total
            return loss, loss, None

        gradients, loss, _ = devices.gradients(of_share, tf.size(batch), variables, estimator.mixed_precision)
        apply_gradients(optimizer, gradients, variables, estimator.gradient_clip)
        return loss

    def take_measure(tensors, rows):
        return tf.reduce_sum(cross_entropies(tensors, rows)) / expected(tensors, rows)

    step, measure = graph(take_step, *specification), graph(take_measure, *specification)

    def evaluate() -> dict[str, float]:
        total = 0.0
        for batch in sorted_batches(lengths[held], 128):
            chosen = held[batch]
            total += float(measure(tensors, tf.constant(chosen, tf.int32))) * (lengths[chosen] - 1).sum()
        mean = total / (lengths[held] - 1).sum()
        return {"validation_loss": mean}

    loop = TrainingLoop(
        SimpleNamespace(variables=variables, trainable_variables=variables),
        optimizer,
        lambda chosen: step(tensors, tf.constant(chosen, tf.int32)),
        lambda rng: [train[b] for b in shuffled_batches(lengths[train], _BATCH, rng)],
        tokens=int(lengths[train].sum()),
        epochs=epochs,
        progress=estimator._progress("pretraining "),
        evaluate=(lambda: devices.from_chief(evaluate)) if len(held) else None,
        patience=_PATIENCE,
        seed=seed,
        devices=devices,
    )
    history = loop.run()
    if "validation_loss" in history:
        history["perplexity"] = np.exp(history.pop("validation_loss")).tolist()
    return history


def _windows(tensors, lengths: np.ndarray):
    """Cut texts into windows of nearly the same length, as rows of their own.

    Returns
    -------
    tuple
        The tensors with windows for rows, the length of each window, and the number of its text.
    """
    count = np.maximum(-(-lengths // _WINDOW), 1)
    texts = np.repeat(np.arange(len(lengths)), count)
    place = np.arange(len(texts)) - np.repeat(np.cumsum(count) - count, count)
    cut = lengths[texts] // count[texts] + (place < lengths[texts] % count[texts])
    starts = tf.constant(np.concatenate([[0], np.cumsum(cut)]), tf.int32)
    return {**tensors, "starts": starts}, cut, texts
