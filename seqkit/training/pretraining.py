"""Training of an encoder as a language model before it learns its task."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from seqkit.layers.language_objective import LanguageObjective
from seqkit.training.batching import shuffled_batches, sorted_batches
from seqkit.training.graph import graph
from seqkit.training.loop import TrainingLoop
from seqkit.training.optimizer import apply_gradients, make_optimizer
from seqkit.training.token_batches import embed_rows, signature

_WORDS = 10_000  # word ids that the language model tells apart
_SAMPLES = 512  # of them, drawn for a step of training
_BOTTLENECK = 100
_DROPOUT = 0.2
_BATCH = 32
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
    model, seed = estimator.model_, estimator._seed
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
    tensors = estimator._tensors(data)
    specification = [signature(tensors), tf.TensorSpec([None], tf.int32)]

    rows = np.flatnonzero(data.lengths > 0)
    rows = rows[np.random.default_rng([seed, 2]).permutation(len(rows))]
    held = round(len(rows) * _HELD_OUT)
    train, held = np.sort(rows[held:]), np.sort(rows[:held])
    words = tf.gather(tensors["words"], tensors["index"].numpy()[data.positions(train)])
    words = objective.told_apart(words).numpy()
    counts = np.bincount(words, minlength=objective.config["words"])
    counts[0] = len(train)  # ends
    share = np.maximum(counts, 0.1) / np.maximum(counts, 0.1).sum()  # no word is impossible
    objective.expect(share)
    draw, log_expected = _draws(share, _SAMPLES, seed * 7 + 4)
    dropout = [keras.layers.Dropout(_DROPOUT, seed=seed * 7 + k, dtype=model.dtype_policy) for k in (5, 6)]

    def cross_entropy(tensors, rows, training):
        """Return the mean over words and directions; in training an estimate."""
        vectors, words, _, _, lengths = embed_rows(model, tensors, rows, training=training)
        vectors = dropout[0](vectors, training=training)
        _, states, *_ = model.recurrent.each_layer(vectors, lengths, training=training)
        states = dropout[1](states, training=training)
        if training:
            losses = objective.sampled_loss(states, words, lengths, draw(), log_expected)
        else:
            losses = objective.loss(states, words, lengths)
        directions = 1 + bool(config["bidirectional"])
        return tf.reduce_sum(losses) / (directions * tf.cast(tf.reduce_sum(lengths), tf.float32))

    def take_step(tensors, rows):
        with tf.GradientTape() as tape:
            loss = cross_entropy(tensors, rows, True)
        apply_gradients(optimizer, tape.gradient(loss, variables), variables, estimator.gradient_clip)
        return loss

    step = graph(take_step, *specification)
    measure = graph(lambda tensors, rows: cross_entropy(tensors, rows, False), *specification)

    def evaluate() -> dict[str, float]:
        total = 0.0
        for batch in sorted_batches(data.lengths[held], 128):
            chosen = held[batch]
            total += float(measure(tensors, tf.constant(chosen, tf.int32))) * data.lengths[chosen].sum()
        mean = total / data.lengths[held].sum()
        return {"validation_loss": mean}

    loop = TrainingLoop(
        SimpleNamespace(variables=variables, trainable_variables=variables),
        optimizer,
        lambda chosen: step(tensors, chosen),
        lambda rng: [train[b] for b in shuffled_batches(data.lengths[train], _BATCH, rng)],
        tokens=int(data.lengths[train].sum()),
        epochs=epochs,
        progress=estimator._progress("pretraining "),
        evaluate=evaluate if len(held) else None,
        patience=_PATIENCE,
        seed=seed,
    )
    history = loop.run()
    if "validation_loss" in history:
        history["perplexity"] = np.exp(history.pop("validation_loss")).tolist()
    return history


def _draws(share: np.ndarray, samples: int, seed: int):
    """Return a function that draws words by their share q, and log(samples · q), see `sampled_loss`."""
    below = tf.constant(np.cumsum(share)[:-1], tf.float32)
    generator = keras.random.SeedGenerator(seed)

    def draw():
        return tf.searchsorted(below, keras.random.uniform((samples,), seed=generator), side="right")

    return draw, tf.constant(np.log(samples * share), tf.float32)
