"""Prediction of a fitted tagger: the graph functions and what feeds them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from seqkit.text.features import TokenGraph
from seqkit.training.batching import sorted_batches
from seqkit.training.prefix_tree import prefix_tree, turned_around
from seqkit.training.token_batches import encode_rows, signature, token_tensors, token_vectors, vector_tensors

_BATCH = 256
_TREE_BATCH = 1024  # the more sequences, the more they share
_PIECE = 8_192  # distinct tokens whose characters are read at once
_MOVES = 2**26  # most moves between tags that a batch may hold at one step
_TABLE_BYTES = 2**28  # largest table of distinct tokens' inputs to the recurrence
_INTEGERS = tf.TensorSpec([None], tf.int32)


def decode(estimator, data, scores: bool = False, rows=None, tensors=None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the numbers of the best tags of all positions and, if asked, their probabilities."""
    return _predict(estimator, data, "decode_scores" if scores else "decode", rows, tensors)


def probabilities(estimator, data) -> np.ndarray:
    """Return probabilities [positions, tags]."""
    return _predict(estimator, data, "probabilities")[0]


def data_tensors(estimator, data) -> dict[str, tf.Tensor]:
    """Hold checked sequences as tensors, see `seqkit.training.token_batches`."""
    if data.vectors is not None:
        return vector_tensors(data.vectors, estimator.n_features_in_)
    graph = estimator.__dict__.get("_live_graph")
    if graph is None:
        graph = estimator._live_graph = TokenGraph(estimator.vocabulary_)
    return token_tensors(data.corpus, graph)


def _predict(estimator, data, what: str, rows=None, tensors=None):
    """Run batches of like length, longest first, and put the results back in order."""
    tags = estimator.model_.num_tags
    rows = np.arange(len(data)) if rows is None else rows
    lengths = data.lengths[rows]
    starts = np.cumsum(lengths) - lengths
    total = int(lengths.sum())
    shape = (total, tags) if what == "probabilities" else (total,)
    first = np.zeros(shape, np.float32 if what == "probabilities" else np.int32)
    second = np.zeros(total, np.float32) if what == "decode_scores" else None
    size, function = _reader(estimator, data, what, data_tensors(estimator, data) if tensors is None else tensors)
    for batch in sorted_batches(lengths, size):
        n = lengths[batch]
        if not n.sum():
            continue
        real = np.arange(n.max())[None, :] < n[:, None]
        values = function(rows[batch], n, real)
        values = values if isinstance(values, tuple) else (values,)
        places = np.repeat(starts[batch] - (np.cumsum(n) - n), n) + np.arange(n.sum())
        for target, value in zip((first, second), values, strict=False):
            target[places] = value.numpy()[real]
    return first, second


def _reader(estimator, data, what: str, tensors):
    """Return how many sequences make a batch, and a function from row numbers, lengths and mask to results."""
    model = estimator.model_
    types = len(tensors["words"]) if "words" in tensors else 0
    # Where a table of all that tokens bring to the recurrence fits, distinct prefixes are read, not sequences.
    if not types or not model.recurrent.directions or types * model.recurrent.output_dim * 16 > _TABLE_BYTES:
        tensors = _with_character_vectors(estimator, tensors)
        read = _graph(estimator, (what, *sorted(tensors)), lambda: _rows_graph(model, what, tensors))
        return _BATCH, lambda rows, lengths, real: read(tensors, tf.constant(rows, tf.int32))

    of_types = {name: value for name, value in tensors.items() if name not in ("starts", "index")}
    tables = _in_pieces(_graph(estimator, ("tables",), lambda: _tables_graph(model, of_types)), of_types)
    read = _graph(estimator, (what, "trees"), lambda: _trees_graph(model, what, tables))
    index = data.corpus.index + 1  # type 0 is padding

    def read_batch(rows, lengths, real):
        symbols = np.zeros(real.shape, np.int32)
        symbols[real] = index[data.positions(rows)]
        trees = []
        for layer in model.recurrent.directions[0]:
            tree, nodes = prefix_tree(turned_around(symbols, lengths) if layer.backward else symbols, lengths)
            nodes = turned_around(nodes, lengths) if layer.backward else nodes
            trees.append([tf.constant(array) for array in (*tree, nodes)])
        return read(tables, trees, tf.constant(lengths, tf.int32))

    return min(_TREE_BATCH, max(32, _MOVES // model.num_tags**2)), read_batch


def _graph(estimator, key: tuple, make):
    """Return a graph function of a fitted model, made once."""
    cache = estimator.__dict__.setdefault("_live_functions", {})
    if key not in cache:
        cache[key] = make()
    return cache[key]


def _with_character_vectors(estimator, tensors):
    """Encode the characters of each distinct token, once and not once in each batch."""
    if "characters" not in tensors:
        return tensors
    encoder = estimator.model_.encoder
    characters = {"characters": tensors["characters"]}

    def make():
        def encode(characters):
            return encoder.encode_characters(**characters)

        return tf.function(encode, input_signature=[signature(characters)], autograph=False)

    vectors = {"character_vectors": _in_pieces(_graph(estimator, ("characters",), make), characters)}
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

    return tf.function(project, input_signature=[signature(of_types)], autograph=False)


def _trees_graph(model, what: str, tables):
    def run(tables, trees, lengths):
        return _answer(model, what, model.recurrent.read_trees(tables, trees, lengths), lengths)

    table = [tf.TensorSpec([None, t.shape[-1]], t.dtype) for t in tables]
    tree = [_INTEGERS, _INTEGERS, _INTEGERS, tf.TensorSpec([None, None], tf.int32)]
    return tf.function(run, input_signature=[table, [tree] * len(tables), _INTEGERS], autograph=False)


def _rows_graph(model, what: str, tensors):
    def run(tensors, rows):
        encoded, _, _, lengths = encode_rows(model, tensors, rows)
        return _answer(model, what, encoded, lengths)

    return tf.function(run, input_signature=[signature(tensors), _INTEGERS], autograph=False)


def _answer(model, what: str, encoded, lengths):
    if what == "probabilities":
        return model.head.probabilities(encoded, lengths)
    tags, scores = model.head.decode(encoded, lengths)
    return (tags, scores) if what == "decode_scores" else tags
