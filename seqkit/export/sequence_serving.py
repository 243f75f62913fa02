"""The serving form of models that read sequences: text, tokens or features in, one graph of stock ops."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from seqkit.export.requests import table
from seqkit.export.writer import raw_variables
from seqkit.text.features import TokenGraph
from seqkit.text.tokenizer import tokenize
from seqkit.training.token_batches import token_vectors

SAMPLES = ("Harry met Ron in Oxford.", "", "天气 is nice 👍🏽 in São Paulo,\u3000isn't it?")


class SequenceServing(tf.Module):
    """Signatures of a fitted estimator: what comes in; a subclass says in `respond` what goes out.

    Parameters
    ----------
    estimator : seqkit.estimators.sequence_estimator.SequenceEstimator
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(name="model")
        model = estimator.model_
        self._variables = raw_variables(model)
        # Held apart, so that the module tracks raw variables and tables but no Keras object.
        self._model = Untracked(model)
        self._mode = estimator.tokenizer
        self._graph = None if estimator.input_kind_ == "vectors" else TokenGraph(estimator.vocabulary_)
        self._dim = estimator._model_config.get("input_dim")

    @property
    def model(self):
        """The Keras model."""
        return self._model.object

    def signatures(self) -> dict[str, Callable]:
        """Return the graph function of each signature."""
        if self._graph is None:
            features = tf.TensorSpec([None, None, self._dim], tf.float32, name="features")
            lengths = tf.TensorSpec([None], tf.int32, name="lengths")
            return {"serving_default": _function(self._from_features, features, lengths)}
        return {
            "serving_default": _function(self._from_text, tf.TensorSpec([None], tf.string, name="text")),
            "tokens": _function(self._from_tokens, tf.TensorSpec([None, None], tf.string, name="tokens")),
        }

    def respond(self, vectors, lengths, words, rows, time) -> dict[str, tf.Tensor]:
        """Return the answer to vectors [batch, steps, dim] that have a row and a step at least, and their word ids.

        It is to be cut to the ``rows`` and the ``time`` of the request.
        """
        raise NotImplementedError

    def text_answer(self, cut, answer) -> dict[str, tf.Tensor]:
        """Return the answer to a text whose tokens are ``cut``; by default no more than that to tokens."""
        return answer

    def _from_text(self, text):
        cut = tokenize(text, self._mode)
        tokens, lengths = cut.tokens.to_tensor(""), tf.cast(cut.tokens.row_lengths(), tf.int32)
        return self.text_answer(cut, self._from_padded(tokens, lengths))

    def _from_tokens(self, tokens):
        # "" pads behind the last token of a row; before that it is a token like any other, and is answered.
        return self._from_padded(tokens, token_lengths(tokens))

    def _from_padded(self, tokens, lengths):
        padded = _one_at_least(tokens, 2)
        distinct, place = tf.unique(tf.reshape(padded, [-1]))
        types = tf.reshape(place, tf.shape(padded))
        ids = self._graph(distinct)
        vectors = token_vectors(self.model.encoder, ids, types)
        words = tf.gather(ids["words"], types)
        return self.respond(vectors, _one_at_least(lengths, 1), words, *tf.unstack(tf.shape(tokens)))

    def _from_features(self, features, lengths):
        rows, time = tf.shape(features)[0], tf.shape(features)[1]
        lengths = _one_at_least(tf.clip_by_value(lengths, 0, time), 1)
        padded = _one_at_least(features, 2)
        real = tf.sequence_mask(lengths, tf.shape(padded)[1])
        return self.respond(tf.where(real[..., None], padded, 0.0), lengths, None, rows, time)


def _function(method, *specifications):
    return tf.function(method, input_signature=list(specifications), autograph=False)


def _one_at_least(tensor, axes: int):
    """Pad so that there is a row (and a step, for two axes): layers cannot do with none."""
    missing = tf.maximum(1 - tf.shape(tensor)[:axes], 0)
    ends = tf.concat([missing, tf.zeros([tensor.shape.rank - axes], tf.int32)], 0)
    return tf.pad(tensor, tf.stack([tf.zeros_like(ends), ends], 1))


def token_lengths(tokens):
    """Return how many tokens each row has, int32 [rows]: up to the last one that is not ""."""
    places = tf.where(tf.equal(tokens, ""), 0, tf.range(1, tf.shape(tokens)[1] + 1))
    return tf.reduce_max(tf.pad(places, [[0, 0], [1, 0]]), 1)


class Untracked:
    """A box that ``tf.Module`` does not look into."""

    def __init__(self, item):
        self.object = item


# Requests that go with an export, and are asked of it in the check.


def sample_texts(estimator) -> list[str]:
    """Return texts to ask about; one of them is made of known words."""
    return [*SAMPLES, " ".join(estimator.vocabulary_.words[:12])]


def encoded(strings: list[str]) -> np.ndarray:
    """Return strings as the C++ runtime takes them."""
    return np.array([text.encode("utf-8") for text in strings], object)


def sample_vectors(estimator) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Return sequences of vectors, and the request that holds them."""
    rng = np.random.default_rng(0)
    lengths = np.array([4, 1, 7], np.int32)
    dim = estimator._model_config["input_dim"]
    sequences = [rng.normal(size=(n, dim)).astype(np.float32) for n in lengths]
    return sequences, {"features": table(sequences, 0, np.float32), "lengths": lengths}


def vocabulary_file(vocabulary) -> dict[str, str]:
    """Return the file that names the ids of ``step``; the vocabulary is that of what is written."""
    return {"vocabulary.json": json.dumps(["<EOS>", "<UNK>", *vocabulary.words])}
