"""A data set held as tensors, from which the graph gathers batches by row number.

What a token is (its ids) is stored once for each distinct token. So is its character vector computed: a batch encodes
the characters of its distinct tokens only.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from seqkit.text.corpus import TokenCorpus
from seqkit.text.features import TokenGraph

Tensors = dict[str, tf.Tensor]


def token_tensors(corpus: TokenCorpus, graph: TokenGraph) -> Tensors:
    """Hold tokenized sentences as tensors.

    Returns
    -------
    dict
        ``starts`` int32 [rows + 1] and ``index`` int32 [positions]: where each row begins, and the type at each
        position. ``words``, ``characters``, ``features``: ids of each type; type 0 is padding.
    """
    ids = graph(tf.concat([[""], corpus.types], 0))
    # One position at least, so that batches of empty rows have something to gather.
    index = corpus.index + 1 if len(corpus.index) else np.zeros(1, np.int32)
    return {"starts": tf.constant(row_starts(corpus.lengths)), "index": tf.constant(index), **ids}


def vector_tensors(sequences: list[np.ndarray], dim: int) -> Tensors:
    """Hold sequences of vectors, float [length, dim] each, as tensors ``starts`` and ``vectors`` [positions, dim]."""
    lengths = np.fromiter(map(len, sequences), np.int64, count=len(sequences))
    # One row at least, so that batches of empty sequences have something to gather.
    flat = np.concatenate(sequences) if lengths.sum() else np.zeros((1, dim))
    vectors = tf.constant(flat.astype(np.float32), shape=(len(flat), dim))
    return {"starts": tf.constant(row_starts(lengths)), "vectors": vectors}


def row_starts(lengths: np.ndarray) -> np.ndarray:
    """Return where each row begins among the positions of all, and where the last one ends, int32 [rows + 1]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def signature(tensors: Tensors) -> dict[str, tf.TensorSpec]:
    """Describe `tensors` to ``tf.function``: every size is open except that of vectors, features and targets."""
    fixed = ("vectors", "features", "character_vectors", "targets", "class_weights")
    return {
        name: tf.TensorSpec([None, *value.shape[1:]] if name in fixed else [None] * value.shape.rank, value.dtype)
        for name, value in tensors.items()
    }


def gather_rows(tensors: Tensors, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Find the positions of a batch.

    Returns
    -------
    positions : tf.Tensor
        int32 [batch, time]: numbers into flat arrays; at padding 0.
    real : tf.Tensor
        bool [batch, time].
    lengths : tf.Tensor
        int32 [batch].
    """
    starts = tf.gather(tensors["starts"], rows)
    lengths = tf.gather(tensors["starts"], rows + 1) - starts
    # One step at least: a batch of empty rows is no special case below.
    time = tf.maximum(tf.reduce_max(lengths), 1)
    real = tf.sequence_mask(lengths, time)
    return tf.where(real, starts[:, None] + tf.range(time), 0), real, lengths


def pad_flat(flat: tf.Tensor, positions: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Gather values [positions, …] to [batch, time, …], 0 at padding."""
    for _ in range(flat.shape.rank - 1):
        real = real[..., None]
    return tf.where(real, tf.gather(flat, positions), tf.zeros([], flat.dtype))


def embed_rows(model, tensors: Tensors, rows: tf.Tensor, training: bool = False):
    """Return vectors [batch, time, dim] and word ids [batch, time] (or None) of rows, then as `gather_rows`."""
    positions, real, lengths = gather_rows(tensors, rows)
    if "vectors" in tensors:
        vectors = pad_flat(tensors["vectors"], positions, real)
        return vectors, None, positions, real, lengths
    types = pad_flat(tensors["index"], positions, real)
    vectors = token_vectors(model.encoder, tensors, types, training)
    return vectors, tf.gather(tensors["words"], types), positions, real, lengths


def token_vectors(encoder, tensors: Tensors, types: tf.Tensor, training: bool = False) -> tf.Tensor:
    """Return vectors [batch, time, dim] of the tokens whose type numbers are ``types``.

    Among the tensors ``character_vectors`` [types, units], computed beforehand, may stand for ``characters``.
    """
    character_vectors = None
    if "character_vectors" in tensors:
        character_vectors = tf.gather(tensors["character_vectors"], types)
    elif encoder.char_encoder is not None:
        distinct, place = tf.unique(tf.reshape(types, [-1]))
        characters = tf.gather(tensors["characters"], distinct)
        longest = tf.maximum(tf.reduce_max(tf.math.count_nonzero(characters, 1)), 1)
        vectors = encoder.encode_characters(characters[:, :longest], training=training)
        character_vectors = tf.reshape(tf.gather(vectors, place), tf.concat([tf.shape(types), [vectors.shape[-1]]], 0))
    features = tf.gather(tensors["features"], types) if "features" in tensors else None
    return encoder(tf.gather(tensors["words"], types), features, character_vectors, training=training)
