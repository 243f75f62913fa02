"""Pairs of sequences as tensors: training of an encoder-decoder, and what it says of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from seqkit.decoding.beam import Penalties
from seqkit.decoding.translator import Translator
from seqkit.graph import graph
from seqkit.training.batching import sorted_batches
from seqkit.training.fitting import fit_model
from seqkit.training.token_batches import embed_rows, gather_rows, pad_flat, row_starts, signature

_ROWS = tf.TensorSpec([None], tf.int32)
_BATCH = 128
_POSITIONS = 8_192  # most positions of sources that are read together where sequences are searched for
_SCORES = 2**24  # most scores of ids at a step of the search: 64 megabytes


def fit_pairs(estimator, data, targets, weights, held_out, epochs: int, partial: bool) -> None:
    """Run the training loop on a `seqkit.Seq2Seq` whose model is made; see `seqkit.training.fitting.fit_model`."""
    named = _items(estimator, targets) | {"weights": weights}
    fit_model(estimator, data, named, held_out, epochs, partial, _losses, _sizes(data, targets))


def _sizes(data, targets) -> np.ndarray:
    """Return the lengths of both sides, [pairs, 2]."""
    return np.stack([data.lengths, targets.lengths], 1)


def _items(estimator, targets) -> dict[str, np.ndarray]:
    """Return the items of all targets, one after another, and where each begins."""
    return {"targets": estimator._target_items(targets), "starts": row_starts(targets.lengths)}


def _losses(model, tensors, targets, rows, batch):
    """Return losses of pairs whose mean is that of ``-log p`` over the items of a batch; and zeros."""
    losses = _of_pairs(model, tensors, targets, rows, training=True)[0]
    starts, ends = targets["starts"], int(model.config["targets"] == "ids")  # the end of ids is judged too
    counts = tf.gather(starts, batch + 1) - tf.gather(starts, batch) + ends
    each = tf.cast(tf.size(counts), tf.float32) / tf.cast(tf.maximum(tf.reduce_sum(counts), 1), tf.float32)
    return losses * each, tf.zeros_like(losses)


def _of_pairs(model, tensors, targets, rows, training=False):
    vectors, _, _, _, lengths = embed_rows(model, tensors, rows, training=training)
    encoded = model.read(vectors, lengths, training=training)
    return model.pair_losses(encoded, lengths, *_wanted(targets, rows), training=training)


def _wanted(targets, rows):
    """Return the targets of rows, padded, and their lengths."""
    positions, real, lengths = gather_rows(targets, rows)
    return pad_flat(targets["targets"], positions, real), lengths


def pair_evaluation(estimator, data, targets, rows: np.ndarray, tensors):
    """Return a function to the loss per item of some pairs."""
    measured = _measure(estimator, data, targets, rows, tensors)
    items = targets.lengths[rows].sum() + (len(rows) if estimator.target_kind_ != "vectors" else 0)

    def evaluate() -> dict[str, float]:
        total = sum(float(-found.sum(dtype=np.float64)) for _, found in measured())
        return {"validation_loss": total / max(int(items), 1)}

    return evaluate


def log_probabilities(estimator, data, targets) -> np.ndarray:
    """Return ``log p`` of each target given its source, float64 [pairs]."""
    found = np.zeros(len(data))
    for rows, values in _measure(estimator, data, targets, np.arange(len(data)), estimator._tensors(data))():
        found[rows] = values
    return found


def _measure(estimator, data, targets, rows, tensors) -> Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Return a function that yields row numbers and ``log p`` of them, a batch at a time."""
    given = {name: tf.constant(value) for name, value in _items(estimator, targets).items()}

    def make():
        def measure(tensors, targets, rows):
            return -_of_pairs(estimator.model_, tensors, targets, rows)[0]

        return graph(measure, signature(tensors), signature(given), _ROWS)

    measure = estimator._once(("pairs", *sorted(tensors)), make)

    def measured():
        for batch in sorted_batches(_sizes(data, targets)[rows], _BATCH, _POSITIONS):
            yield rows[batch], measure(tensors, given, tf.constant(rows[batch], tf.int32)).numpy()

    return measured


def alignments(estimator, data, targets) -> list[np.ndarray]:
    """Return what each item of a target (of ids, the end too) looked at: [items, length of the source] for each."""
    tensors = estimator._tensors(data)
    given = {name: tf.constant(value) for name, value in _items(estimator, targets).items()}

    def make():
        def look(tensors, targets, rows):
            model = estimator.model_
            vectors, _, _, _, lengths = embed_rows(model, tensors, rows)
            wanted, _ = model.judged(*_wanted(targets, rows))
            brief = model.brief(model.read(vectors, lengths), lengths)
            return model.read_targets(*brief, wanted, weights=True)[1]

        return graph(look, signature(tensors), signature(given), _ROWS)

    look = estimator._once(("looks", *sorted(tensors)), make)
    found: list[np.ndarray] = [None] * len(data)
    more = int(estimator.target_kind_ != "vectors")
    for batch in sorted_batches(_sizes(data, targets), _BATCH, _POSITIONS):
        weights = look(tensors, given, tf.constant(batch, tf.int32)).numpy()
        for i, looks in zip(batch, weights, strict=True):
            found[i] = looks[: targets.lengths[i] + more, : data.lengths[i]]
    return found


def translations(estimator, data, limits: np.ndarray, width: int, kept: int, penalties: Penalties, ends: bool) -> list:
    """Return for each source what `seqkit.decoding.translator.Translator` finds, its fields without padding.

    Of ids a list of at most ``kept`` tuples (ids, log-probability, score, places or None); of vectors an array, which
    goes on to its limit where not ``ends``.
    """
    model, tensors = estimator.model_, estimator._tensors(data)
    ids = estimator.target_kind_ != "vectors"

    def make():
        translator = Translator(model, estimator._copies)

        def translate(tensors, rows, limits):
            vectors, _, _, _, lengths = embed_rows(model, tensors, rows)
            start = translator.start(vectors, lengths)
            if not ids:
                return translator.write(start, limits, ends)
            return translator.search(start, limits, width, kept, penalties)

        return graph(translate, signature(tensors), _ROWS, _ROWS)

    translate = estimator._once(("translate", width, kept, penalties, ends, estimator._copies), make)
    found: list = [None] * len(data)
    size = max(width * model.config["target_size"], 1) if ids else 1
    for batch in sorted_batches(data.lengths, int(np.clip(_SCORES // size, 1, _BATCH)), _POSITIONS):
        answer = translate(tensors, *(tf.constant(v, tf.int32) for v in (batch, limits[batch])))
        answer = [None if value is None else value.numpy() for value in answer]
        for row, i in enumerate(batch):
            found[i] = (
                _sequences(*(None if v is None else v[row] for v in answer))
                if ids
                else answer[0][row, : answer[1][row]]
            )
    return found


def _sequences(ids, lengths, log_probabilities, scores, places) -> list[tuple]:
    return [
        (row[:n], float(p), float(score), None if places is None else places[k][:n])
        for k, (row, n, p, score) in enumerate(zip(ids, lengths, log_probabilities, scores, strict=True))
        if score > -1e29
    ]
