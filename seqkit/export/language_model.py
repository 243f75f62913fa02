"""The serving form of a `LanguageModel`: the probability of texts, texts written on, and single steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.export.requests import table
from seqkit.export.sequence_serving import SAMPLES, encoded, vocabulary_file
from seqkit.export.writer import write_export
from seqkit.export.writing_serving import SETTINGS, WritingServing, sample_settings, written_alone


class LanguageServing(WritingServing):
    """Signatures of a language model."""

    def signatures(self) -> dict[str, Callable]:
        """Return the graph function of each signature."""

        def rows(name, dtype):
            return tf.TensorSpec([None], dtype, name=name)

        state = tf.TensorSpec([None, self.model.state_size], self.model.compute_dtype, name="state")
        settings = [rows(name, dtype) for name, dtype in SETTINGS.items()]
        signatures = {
            "serving_default": (self._measure, rows("text", tf.string)),
            "generate": (self._generate, rows("prompt", tf.string), *settings),
            "begin": (self._begin, rows("prompt", tf.string)),
            "step": (self._next, rows("token", tf.int32), state),
        }
        return {
            name: tf.function(method, input_signature=inputs, autograph=False)
            for name, (method, *inputs) in signatures.items()
        }

    def _measure(self, text):
        ids, lengths = self._ids(text)
        words = tf.pad(ids, [[0, 0], [1, 0]])
        outputs, _ = self.model.read(words, self.model.first_states(tf.shape(words)[0]))
        real = tf.sequence_mask(lengths + 1, tf.shape(words)[1])
        targets = tf.boolean_mask(tf.pad(ids, [[0, 0], [0, 1]]), real)
        losses = self.model.losses(tf.boolean_mask(outputs, real), targets)
        each = -tf.scatter_nd(tf.where(real), losses, tf.shape(real, tf.int64))
        return {
            "log_probability": tf.reduce_sum(each, -1),
            "token_log_probabilities": each,
            "lengths": lengths + 1,
        }

    def _generate(self, prompt, *settings):
        none = tf.zeros([tf.shape(prompt)[0], 0])
        written = self.writer.write(*self._ids(prompt), none, *settings)
        return {"text": self._texts(written), "log_probability": written.log_probability}

    def _begin(self, prompt):
        token, state = self.writer.begin(*self._ids(prompt), tf.zeros([tf.shape(prompt)[0], 0]))
        return {"token": token, "state": state}


def export_language_model(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``LanguageModel.export``."""
    serving = LanguageServing(estimator)
    samples = [*SAMPLES, estimator._between.join(estimator.vocabulary_.words[:12])]
    prompts, rows = encoded(samples), len(samples)
    none = np.zeros((rows, 0), np.float32)
    last, states = estimator._function("begin")(*estimator._padded(estimator._read(samples)), none)
    logits, after = estimator.model_.step(last, states)
    each = estimator.log_probability(samples, per_token=True)
    how = sample_settings()
    written, scores = written_alone(estimator, samples, none, how)
    texts = encoded([estimator._told(ids, (), "texts") for ids in written])
    expected = {
        "serving_default": {
            "log_probability": np.array([p.sum() for p in each], np.float32),
            "token_log_probabilities": table(each, 0.0, np.float32),
            "lengths": np.array(list(map(len, each)), np.int32),
        },
        "generate": {"text": texts, "log_probability": scores},
        "begin": {"token": last.numpy(), "state": states.numpy()},
        "step": {"logits": logits.numpy(), "state": after.numpy()},
    }
    requests = {
        "serving_default": {"text": prompts},
        "generate": {"prompt": prompts, **how},
        "begin": {"prompt": prompts},
        "step": {"token": last.numpy(), "state": states.numpy()},
    }
    about = estimator._manifest() | {"kind": "export", "task": "language_model", "tokenizer": estimator.tokenizer}
    return write_export(
        root,
        serving,
        serving.signatures(),
        requests={name: [value] for name, value in requests.items()},
        expected={name: [value] for name, value in expected.items()},
        manifest=about,
        assets_extra=vocabulary_file(estimator.vocabulary_),
    )
