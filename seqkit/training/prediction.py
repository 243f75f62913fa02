"""Prediction of a fitted model that reads sequences: the graph functions and what feeds them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from seqkit.graph import graph
from seqkit.training.batching import MAX_POSITIONS, sorted_batches
from seqkit.training.prefix_tree import prefix_tree, turned_around
from seqkit.training.token_batches import embed_rows, signature, token_tensors, token_vectors, vector_tensors

_BATCH = 256
_TREE_BATCH = 1024  # the more sequences, the more they share
_PIECE = 8_192  # distinct tokens whose characters are read at once
_POOLED_POSITIONS = 2**17  # most positions of a batch of which nothing is kept but what is pooled
_MOVES = 2**26  # most moves between tags that a batch may hold at one step
_TABLE_BYTES = 2**28  # largest table of distinct tokens' inputs to the recurrence
_INTEGERS = tf.TensorSpec([None], tf.int32)


def answer_steps(estimator, data, what: str, rows=None, tensors=None) -> list[np.ndarray]:
    """Return what a head says of every step, flat: an array [positions, …] for each of its answers.

    Parameters
    ----------
    estimator : seqkit.estimators.base.BaseSequenceEstimator
        A fitted one.
    data : seqkit.estimators.sequences.Sequences
        The sequences.
    what : str
        What is asked, see `seqkit.models.sequence_model.SequenceModel.answer`.
    rows : ndarray or None
        Numbers of the sequences asked about; None for all.
    tensors : dict or None
        The data as `data_tensors` gives them, where that was done already.
    """
    lengths = data.lengths if rows is None else data.lengths[rows]
    starts = np.cumsum(lengths) - lengths
    results: list[np.ndarray] = []
    for batch, real, values in _batches(estimator, data, what, rows, tensors):
        if not results:
            results = [np.zeros((int(lengths.sum()), *value.shape[2:]), value.dtype) for value in values]
        n = lengths[batch]
        places = np.repeat(starts[batch] - (np.cumsum(n) - n), n) + np.arange(n.sum())
        for result, value in zip(results, values, strict=True):
            result[places] = value[real]
    return results or [value[0, :0] for value in _of_nothing(estimator.model_, what)]


def answer_rows(estimator, data, what: str, rows=None, tensors=None) -> np.ndarray:
    """Return what a head says of each sequence, [sequences, …]; see `answer_steps`."""
    lengths = data.lengths if rows is None else data.lengths[rows]
    result = None
    if not lengths.all() or not len(lengths):
        result = np.repeat(_of_nothing(estimator.model_, what)[0], len(lengths), 0)
    for batch, _, (value,) in _batches(estimator, data, what, rows, tensors):
        if result is None:
            result = np.zeros((len(lengths), *value.shape[1:]), value.dtype)
        result[batch] = value
    return result


def data_tensors(estimator, data) -> dict[str, tf.Tensor]:
    """Hold checked sequences as tensors, see `seqkit.training.token_batches`."""
    if data.vectors is not None:
        return vector_tensors(data.vectors, estimator._model_config["input_dim"])
    return token_tensors(data.corpus, estimator._token_graph())


def _of_nothing(model, what: str) -> list[np.ndarray]:
    """Return what a head says of one sequence without any step."""
    words = None if model.encoder is None else tf.zeros([1, 1], tf.int32)
    values = model.answer(what, tf.zeros([1, 1, model.head_dim], model.compute_dtype), tf.zeros([1], tf.int32), words)
    return [value.numpy() for value in values]


def _batches(estimator, data, what: str, rows, tensors) -> Iterator[tuple]:
    """Run batches of like length, longest first; yield which sequences, which steps are real, and the answers."""
    rows = np.arange(len(data)) if rows is None else rows
    lengths = data.lengths[rows]
    tensors = data_tensors(estimator, data) if tensors is None else tensors
    size, positions, function = _reader(estimator, data, what, tensors)
    for batch in sorted_batches(lengths, size, positions):
        batch = batch[lengths[batch] > 0]
        if len(batch):
            n = lengths[batch]
            real = np.arange(n.max())[None, :] < n[:, None]
            yield batch, real, [value.numpy() for value in function(rows[batch], n, real)]


def _reader(estimator, data, what: str, tensors):
    """Return how many sequences and positions make a batch, and a function from rows, lengths and mask to results."""
    model = estimator.model_
    types = len(tensors["words"]) if "words" in tensors else 0
    # Where a table of all that tokens bring to the recurrence fits, distinct prefixes are read, not sequences.
    if not types or not model.recurrent.directions or types * model.recurrent.output_dim * 16 > _TABLE_BYTES:
        tensors = _with_character_vectors(estimator, tensors)
        read = estimator._once((what, *sorted(tensors)), lambda: _rows_graph(model, what, tensors))
        return _BATCH, MAX_POSITIONS, lambda rows, lengths, real: read(tensors, tf.constant(rows, tf.int32))

    of_types = {name: value for name, value in tensors.items() if name not in ("starts", "index")}
    tables = _in_pieces(estimator._once(("tables",), lambda: _tables_graph(model, of_types)), of_types)
    read = estimator._once((what, "trees"), lambda: _trees_graph(model, what, tables))
    words = tensors["words"]
    index = data.corpus.index + 1  # type 0 is padding

    def read_batch(rows, lengths, real):
        symbols = np.zeros(real.shape, np.int32)
        symbols[real] = index[data.positions(rows)]
        trees = []
        for layer in model.recurrent.directions[0]:
            tree, nodes = prefix_tree(turned_around(symbols, lengths) if layer.backward else symbols, lengths)
            nodes = turned_around(nodes, lengths) if layer.backward else nodes
            trees.append([tf.constant(array) for array in (*tree, nodes)])
        return read(tables, trees, tf.constant(lengths, tf.int32), words, tf.constant(symbols))

    # A search looks at all moves from tag to tag.
    size = min(_TREE_BATCH, max(32, _MOVES // getattr(model, "num_tags", 1) ** 2))
    return size, _POOLED_POSITIONS if model.running_pooling else MAX_POSITIONS, read_batch


def _with_character_vectors(estimator, tensors):
    """Encode the characters of each distinct token, once and not once in each batch."""
    if "characters" not in tensors:
        return tensors
    encoder = estimator.model_.encoder
    characters = {"characters": tensors["characters"]}

    def make():
        def encode(characters):
            return encoder.encode_characters(**characters)

        return graph(encode, signature(characters))

    vectors = {"character_vectors": _in_pieces(estimator._once(("characters",), make), characters)}
    return {name: value for name, value in tensors.items() if name != "characters"} | vectors


def _in_pieces(function, of_types):
    """Call a function of distinct tokens on a bounded number of them at a time and join what it gives."""
    count = len(next(iter(of_types.values())))
    pieces = [
        function({name: value[first : first + _PIECE] for name, value in of_types.items()})
        for first in range(0, count, _PIECE)
    ]
    return pieces[0] if len(pieces) == 1 else tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *pieces)


def _tables_graph(model, of_types):
    def project(of_types):
        types = tf.range(tf.shape(of_types["words"])[0])[None]
        return model.recurrent.project(token_vectors(model.encoder, of_types, types)[0])

    return graph(project, signature(of_types))


def _trees_graph(model, what: str, tables):
    def run(tables, trees, lengths, words, types):
        words = tf.gather(words, types)
        if model.running_pooling:
            pooled = model.recurrent.pool_trees(tables, trees, lengths, model.running_pooling)
            return model.answer_pooled(what, pooled, lengths, words)
        return model.answer(what, model.recurrent.read_trees(tables, trees, lengths), lengths, words)

    table = [tf.TensorSpec([None, t.shape[-1]], t.dtype) for t in tables]
    grid = tf.TensorSpec([None, None], tf.int32)
    trees = [[_INTEGERS, _INTEGERS, _INTEGERS, grid]] * len(tables)
    return graph(run, table, trees, _INTEGERS, _INTEGERS, grid)


def _rows_graph(model, what: str, tensors):
    def run(tensors, rows):
        vectors, words, _, _, lengths = embed_rows(model, tensors, rows)
        return model.answer(what, model.read(vectors, lengths), lengths, words)

    return graph(run, signature(tensors), _INTEGERS)
