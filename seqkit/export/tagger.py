"""The serving form of a `SequenceTagger`: a tag for every token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.export.requests import string_table, table
from seqkit.export.sequence_serving import SequenceServing, encoded, sample_texts, sample_vectors
from seqkit.export.writer import write_export


class TaggerServing(SequenceServing):
    """Signatures of a tagger.

    Parameters
    ----------
    estimator : seqkit.SequenceTagger
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(estimator)
        self._tags = tf.constant([str(tag) for tag in estimator.classes_])

    def respond(self, vectors, lengths, words, rows, time):
        """Return ``tags``, ``scores`` and ``lengths``."""
        tags, scores = self.model.head.decode(self.model.read(vectors, lengths), lengths)
        real = tf.sequence_mask(lengths, tf.shape(vectors)[1])
        tags = tf.where(real, tf.gather(self._tags, tags), "")
        return {"tags": tags[:rows, :time], "scores": scores[:rows, :time], "lengths": lengths[:rows]}

    def text_answer(self, cut, answer):
        """Add the tokens and where they stand."""
        offsets = {"starts": cut.starts.to_tensor(0), "ends": cut.ends.to_tensor(0)}
        return {"tokens": cut.tokens.to_tensor(""), **answer, **offsets}


def export_tagger(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``SequenceTagger.export``."""
    serving = TaggerServing(estimator)
    examples = _vector_examples if estimator.input_kind_ == "vectors" else _text_examples
    requests, expected = examples(estimator)
    about = estimator._manifest() | {
        "kind": "export",
        "task": "tagging",
        "tags": [str(tag) for tag in estimator.classes_],
        "scheme": estimator.scheme_,
        "tokenizer": estimator.tokenizer,
    }
    return write_export(root, serving, serving.signatures(), requests=requests, expected=expected, manifest=about)


def _text_examples(estimator):
    """Return requests and what `predict` answers, found through Python's side of the toolkit."""
    texts = sample_texts(estimator)
    results = estimator.tag(texts)
    tokens = string_table([r["tokens"] for r in results])
    answer = {
        "tags": string_table([[str(tag) for tag in r["tags"]] for r in results]),
        "scores": table([r["scores"] for r in results], 0.0, np.float32),
        "lengths": np.array([len(r["tokens"]) for r in results], np.int32),
    }
    offsets = [_byte_offsets(text, r["tokens"]) for text, r in zip(texts, results, strict=True)]
    text_answer = {
        "tokens": tokens,
        **answer,
        "starts": table([[a for a, _ in row] for row in offsets], 0, np.int32),
        "ends": table([[b for _, b in row] for row in offsets], 0, np.int32),
    }
    requests = {"serving_default": [{"text": encoded(texts)}], "tokens": [{"tokens": tokens}]}
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
    sequences, request = sample_vectors(estimator)
    position = {tag: i for i, tag in enumerate(estimator.classes_.tolist())}
    paths = estimator.predict(sequences)
    scores = [
        marginals[np.arange(len(path)), [position[tag] for tag in path]]
        for path, marginals in zip(paths, estimator.predict_proba(sequences), strict=True)
    ]
    answer = {
        "tags": string_table([list(map(str, path)) for path in paths]),
        "scores": table(scores, 0.0, np.float32),
        "lengths": request["lengths"],
    }
    return {"serving_default": [request]}, {"serving_default": [answer]}
