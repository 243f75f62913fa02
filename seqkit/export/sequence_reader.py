"""The serving form of a `SequenceClassifier` or `SequenceRegressor`: one answer for a sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.export.requests import string_table
from seqkit.export.sequence_serving import SequenceServing, encoded, sample_texts, sample_vectors
from seqkit.export.writer import write_export


class RegressorServing(SequenceServing):
    """Signatures of a regressor.

    Parameters
    ----------
    estimator : seqkit.SequenceRegressor
        A fitted one.
    """

    def respond(self, vectors, lengths, words, rows, time):
        """Return ``value`` [rows, k]."""
        return {"value": self._probabilities(vectors, lengths, words)[:rows]}

    def _probabilities(self, vectors, lengths, words):
        return self.model.answer("probabilities", self.model.read(vectors, lengths), lengths, words)[0]


class ClassifierServing(RegressorServing):
    """Signatures of a classifier.

    Parameters
    ----------
    estimator : seqkit.SequenceClassifier
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(estimator)
        self._classes = tf.constant([str(label) for label in estimator.classes_])
        self._several = estimator.target_kind_ != "one"

    def respond(self, vectors, lengths, words, rows, time):
        """Return ``label`` [rows] (``labels`` [rows, k], "" pads, where there may be several) and probabilities."""
        probabilities = self._probabilities(vectors, lengths, words)[:rows]
        if self._several:
            chosen = probabilities > 0.5
            # Those chosen come first, in the order of the classes.
            order = tf.argsort(tf.cast(~chosen, tf.int32), stable=True)
            names = tf.where(tf.gather(chosen, order, batch_dims=1), tf.gather(self._classes, order), "")
            answer = {"labels": names}
        else:
            answer = {"label": tf.gather(self._classes, tf.argmax(probabilities, -1))}
        classes = tf.repeat(self._classes[None], rows, 0)
        return {**answer, "probabilities": probabilities, "classes": classes}


def export_sequence_reader(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``SequenceClassifier.export``."""
    classes = getattr(estimator, "classes_", None)
    about = {"kind": "export", "tokenizer": estimator.tokenizer}
    if classes is None:
        serving = RegressorServing(estimator)
        about |= {"task": "regression", "values": estimator.n_outputs_}
    else:
        serving = ClassifierServing(estimator)
        about |= {"task": "classification", "classes": [str(label) for label in classes]}
    if estimator.input_kind_ == "vectors":
        sequences, request = sample_vectors(estimator)
        requests = {"serving_default": [request]}
        expected = {"serving_default": [_answer(estimator, sequences)]}
    else:
        from seqkit.text.tokenizer import tokenize_texts

        texts = sample_texts(estimator)
        tokens = [cut.tokens for cut in tokenize_texts(texts, estimator.tokenizer)]
        requests = {"serving_default": [{"text": encoded(texts)}], "tokens": [{"tokens": string_table(tokens)}]}
        expected = {"serving_default": [_answer(estimator, texts)], "tokens": [_answer(estimator, tokens)]}
    about = estimator._manifest() | about
    return write_export(root, serving, serving.signatures(), requests=requests, expected=expected, manifest=about)


def _answer(estimator, X) -> dict[str, np.ndarray]:
    """Return what the estimator says, in the serving form."""
    predicted = estimator.predict(X)
    if not hasattr(estimator, "classes_"):
        return {"value": np.reshape(predicted, (len(X), -1)).astype(np.float32)}
    probabilities, names = estimator.predict_proba(X), [str(label) for label in estimator.classes_]
    if estimator.target_kind_ == "one":
        answer = {"label": encoded([str(label) for label in predicted])}
    else:
        rows = [[name for name, p in zip(names, row, strict=True) if p > 0.5] for row in probabilities]
        answer = {"labels": string_table([*rows, names])[: len(rows)]}  # as wide as there are classes
    return {**answer, "probabilities": probabilities, "classes": string_table([names] * len(X))}
