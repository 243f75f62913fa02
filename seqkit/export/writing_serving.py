"""What the serving forms share that write sequences."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from seqkit.decoding.writer import Writer
from seqkit.estimators.next_step import MODES
from seqkit.export.sequence_serving import Untracked
from seqkit.export.writer import raw_variables
from seqkit.text.features import TokenGraph
from seqkit.text.tokenizer import tokenize

#: Inputs that say how to write, in the order in which `seqkit.decoding.writer.Writer.write` takes them.
SETTINGS = {
    "max_length": tf.int32,
    "seed": tf.int64,
    "temperature": tf.float32,
    "top_k": tf.int32,
    "top_p": tf.float32,
}


class WritingServing(tf.Module):
    """Base of the signatures of estimators that write.

    Parameters
    ----------
    estimator : seqkit.estimators.next_step.NextStepEstimator
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(name="model")
        self._variables = raw_variables(estimator.model_)
        # Held apart, so that the module tracks raw variables and tables but no Keras object.
        self._writer = Untracked(Writer(estimator.model_))
        if estimator.input_kind_ == "tokens":
            self._mode = MODES[estimator.tokenizer]
            self._between = estimator._between
            self._graph = TokenGraph(estimator.vocabulary_)
            self._names = tf.constant(estimator._names())

    @property
    def writer(self) -> Writer:
        """What writes."""
        return self._writer.object

    @property
    def model(self):
        """The Keras model."""
        return self.writer.model

    def _ids(self, texts):
        """Return ids [rows, time] of texts and how many each has."""
        tokens = tokenize(texts, self._mode).tokens
        ids = tokens.with_values(self._graph(tokens.values)["words"])
        return ids.to_tensor(0), tf.cast(tokens.row_lengths(), tf.int32)

    def _texts(self, written):
        """Return the texts, [rows], of ids that were written."""
        real = tf.sequence_mask(written.lengths, tf.shape(written.ids)[1])
        names = tf.gather(self._names, tf.boolean_mask(written.ids, real))
        rows = tf.RaggedTensor.from_row_lengths(names, written.lengths)
        return tf.strings.reduce_join(rows, axis=-1, separator=self._between)

    def _next(self, item, state, context=None):
        """Return what the signature ``step`` answers."""
        if not self.model.config["keys"]:
            item = tf.clip_by_value(item, 0, self.model.config["vocabulary_size"] - 1)
        logits, state = self.model.step(item, state, context)
        return {"logits": logits, "state": state}


# Requests that go with an export, and are asked of it in the check.


def sample_settings() -> dict[str, np.ndarray]:
    """Return four ways to write twelve items."""
    return {
        "max_length": np.full(4, 12, np.int32),
        "seed": np.arange(4, dtype=np.int64) + 5,
        "temperature": np.array([1.0, 0.0, 0.7, 1.5], np.float32),
        "top_k": np.array([0, 0, 3, 0], np.int32),
        "top_p": np.array([1.0, 1.0, 1.0, 0.8], np.float32),
    }


def written_alone(estimator, prompts: list, contexts: np.ndarray, settings: dict[str, np.ndarray]):
    """Return what the estimator writes after each prompt by itself: a list of arrays, and their log-probabilities."""
    rows, scores = [], []
    for i in range(len(prompts)):
        one = slice(i, i + 1)
        how = (settings[name][one] for name in SETTINGS)
        written = estimator._function("write")(*estimator._padded(estimator._read(prompts[one])), contexts[one], *how)
        items, count, score = (value.numpy()[0] for value in written)
        rows.append(items[:count])
        scores.append(score)
    return rows, np.array(scores, np.float32)
