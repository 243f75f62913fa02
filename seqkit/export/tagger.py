"""The serving form of a `SequenceTagger`: text or tokens in, tags out, one graph of stock ops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.export.writer import raw_variables, write_export
from seqkit.text.features import TokenGraph
from seqkit.text.tokenizer import tokenize
from seqkit.training.token_batches import token_vectors

_SAMPLES = ["Harry met Ron in Oxford.", "", "天气 is nice 👍🏽 in São Paulo,\u3000isn't it?"]


class TaggerServing(tf.Module):
    """Signatures of a tagger.

    Parameters
    ----------
    estimator : seqkit.SequenceTagger
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(name="tagger")
        model = estimator.model_
        self._variables = raw_variables(model)
        # Held apart, so that the module tracks raw variables and tables but no Keras object.
        self._model = _Untracked(model)
        self._mode = estimator.tokenizer
        self._tags = tf.constant([str(tag) for tag in estimator.classes_])
        self._graph = None if estimator.input_kind_ == "vectors" else TokenGraph(estimator.vocabulary_)
        if self._graph is None:
            dim = estimator.n_features_in_
            self.serving_default = tf.function(
                self._from_features,
                input_signature=[
                    tf.TensorSpec([None, None, dim], tf.float32, name="features"),
                    tf.TensorSpec([None], tf.int32, name="lengths"),
                ],
                autograph=False,
            )
        else:
            self.serving_default = tf.function(
                self._from_text, input_signature=[tf.TensorSpec([None], tf.string, name="text")], autograph=False
            )
            self.tokens = tf.function(
                self._from_tokens,
                input_signature=[tf.TensorSpec([None, None], tf.string, name="tokens")],
                autograph=False,
            )

    def _from_text(self, text):
        cut = tokenize(text, self._mode)
        tokens, lengths = cut.tokens.to_tensor(""), tf.cast(cut.tokens.row_lengths(), tf.int32)
        answer = self._answer(tokens, lengths)
        offsets = {"starts": cut.starts.to_tensor(0), "ends": cut.ends.to_tensor(0)}
        return {"tokens": tokens, **answer, **offsets}

    def _from_tokens(self, tokens):
        # "" pads behind the last token of a row; before that it is a token like any other, and is answered.
        return self._answer(tokens, _lengths(tokens))

    def _from_features(self, features, lengths):
        lengths = tf.clip_by_value(lengths, 0, tf.shape(features)[1])
        padded = _one_at_least(features, 2)
        real = tf.sequence_mask(_one_at_least(lengths, 1), tf.shape(padded)[1])
        return self._decode(tf.where(real[..., None], padded, 0.0), lengths, tf.shape(features)[1])

    def _answer(self, tokens, lengths):
        """Tag padded tokens [n, time]."""
        padded = _one_at_least(tokens, 2)
        distinct, place = tf.unique(tf.reshape(padded, [-1]))
        types = tf.reshape(place, tf.shape(padded))
        vectors = token_vectors(self._model.object.encoder, self._graph(distinct), types)
        return self._decode(vectors, lengths, tf.shape(tokens)[1])

    def _decode(self, vectors, lengths, time):
        """Tag vectors that have a row and a step at least; the answer is cut to the rows and steps of the request."""
        model = self._model.object
        padded = _one_at_least(lengths, 1)
        tags, scores = model.head.decode(model.read(vectors, padded), padded)
        real = tf.sequence_mask(padded, tf.shape(vectors)[1])
        tags = tf.where(real, tf.gather(self._tags, tags), "")
        rows = tf.shape(lengths)[0]
        return {"tags": tags[:rows, :time], "scores": scores[:rows, :time], "lengths": lengths}


def _one_at_least(tensor, axes: int):
    """Pad so that there is a row (and a step, for two axes): layers cannot do with none."""
    missing = tf.maximum(1 - tf.shape(tensor)[:axes], 0)
    ends = tf.concat([missing, tf.zeros([tensor.shape.rank - axes], tf.int32)], 0)
    return tf.pad(tensor, tf.stack([tf.zeros_like(ends), ends], 1))


def _lengths(tokens):
    """Up to the last token that is not padding."""
    places = tf.where(tf.equal(tokens, ""), 0, tf.range(1, tf.shape(tokens)[1] + 1))
    return tf.reduce_max(tf.pad(places, [[0, 0], [1, 0]]), 1)


class _Untracked:
    """A box that ``tf.Module`` does not look into."""

    def __init__(self, item):
        self.object = item


def export_tagger(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``SequenceTagger.export``."""
    serving = TaggerServing(estimator)
    if estimator.input_kind_ == "vectors":
        signatures = {"serving_default": serving.serving_default}
        requests, expected = _vector_examples(estimator)
    else:
        signatures = {"serving_default": serving.serving_default, "tokens": serving.tokens}
        requests, expected = _text_examples(estimator)
    about = estimator._manifest() | {
        "kind": "export",
        "task": "tagging",
        "tags": [str(tag) for tag in estimator.classes_],
        "scheme": estimator.scheme_,
        "tokenizer": estimator.tokenizer,
    }
    return write_export(
        root, serving, signatures, requests=requests, expected=expected, manifest=about, atol=1e-4, rtol=1e-4
    )


def _text_examples(estimator):
    """Return requests and what `predict` answers, found through Python's side of the toolkit."""
    texts = [*_SAMPLES, " ".join(estimator.vocabulary_.words[:12])]
    results = estimator.tag(texts)
    lengths = np.array([len(r["tokens"]) for r in results], np.int32)
    time = int(lengths.max())

    def table(rows, fill, dtype):
        values = np.full((len(rows), time), fill, dtype)
        for i, row in enumerate(rows):
            values[i, : len(row)] = row
        return values

    def strings(rows):
        return table([[s.encode("utf-8") for s in row] for row in rows], b"", object)

    offsets = [_byte_offsets(text, tokens) for text, tokens in zip(texts, (r["tokens"] for r in results), strict=True)]
    tags = strings([[str(tag) for tag in r["tags"]] for r in results])
    scores = table([r["scores"] for r in results], 0.0, np.float32)
    tokens = strings([r["tokens"] for r in results])
    requests = {
        "serving_default": [{"text": np.array([t.encode("utf-8") for t in texts], object)}],
        "tokens": [{"tokens": tokens}],
    }
    answer = {"tags": tags, "scores": scores, "lengths": lengths}
    text_answer = {
        "tokens": tokens,
        **answer,
        "starts": table([[a for a, _ in row] for row in offsets], 0, np.int32),
        "ends": table([[b for _, b in row] for row in offsets], 0, np.int32),
    }
    return requests, {"serving_default": [text_answer], "tokens": [answer]}


def _byte_offsets(text: str, tokens: list[str]) -> list[tuple[int, int]]:
    """Find tokens one after the other in the bytes of their text."""
    data, at, offsets = text.encode("utf-8"), 0, []
    for token in tokens:
        start = data.index(token.encode("utf-8"), at)
        at = start + len(token.encode("utf-8"))
        offsets.append((start, at))
    return offsets


def _vector_examples(estimator):
    rng = np.random.default_rng(0)
    dim = estimator.n_features_in_
    sequences = [rng.normal(size=(n, dim)).astype(np.float32) for n in (4, 1, 7)]
    lengths = np.array([4, 1, 7], np.int32)
    features = np.zeros((3, 7, dim), np.float32)
    tags, scores = np.full((3, 7), b"", object), np.zeros((3, 7), np.float32)
    answers = zip(estimator.predict(sequences), estimator.predict_proba(sequences), strict=True)
    position = {tag: i for i, tag in enumerate(estimator.classes_.tolist())}
    for i, (path, marginals) in enumerate(answers):
        n = lengths[i]
        features[i, :n] = sequences[i]
        tags[i, :n] = [str(tag).encode("utf-8") for tag in path]
        scores[i, :n] = marginals[np.arange(n), [position[tag] for tag in path]]
    requests = {"serving_default": [{"features": features, "lengths": lengths}]}
    return requests, {"serving_default": [{"tags": tags, "scores": scores, "lengths": lengths}]}
