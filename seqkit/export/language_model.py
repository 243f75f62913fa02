"""The serving form of a `LanguageModel`: the probability of texts, texts written on, and single steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.decoding.writer import Writer
from seqkit.estimators.next_step import MODES
from seqkit.export.sequence_serving import SAMPLES, Untracked, encoded, table
from seqkit.export.writer import raw_variables, write_export
from seqkit.text.features import TokenGraph
from seqkit.text.tokenizer import tokenize

_SEED, _LENGTH = 5, 12  # of the generation that is checked


class LanguageServing(tf.Module):
    """Signatures of a language model.

    Parameters
    ----------
    estimator : seqkit.LanguageModel
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(name="model")
        self._variables = raw_variables(estimator.model_)
        # Held apart, so that the module tracks raw variables and tables but no Keras object.
        self._writer = Untracked(Writer(estimator.model_))
        self._mode = MODES[estimator.tokenizer]
        self._between = "" if estimator.tokenizer == "characters" else " "
        self._graph = TokenGraph(estimator.vocabulary_)
        self._names = tf.constant(estimator._names())

    @property
    def writer(self) -> Writer:
        """What writes texts."""
        return self._writer.object

    def signatures(self) -> dict[str, Callable]:
        """Return the graph function of each signature."""
        model = self.writer.model

        def rows(name, dtype):
            return tf.TensorSpec([None], dtype, name=name)

        state = tf.TensorSpec([None, model.state_size], model.compute_dtype, name="state")
        settings = [rows("max_length", tf.int32), rows("temperature", tf.float32), rows("top_k", tf.int32)]
        settings += [rows("top_p", tf.float32), rows("seed", tf.int64)]
        signatures = {
            "serving_default": (self._measure, rows("text", tf.string)),
            "generate": (self._generate, rows("prompt", tf.string), *settings),
            "begin": (self._begin, rows("prompt", tf.string)),
            "step": (self._step, rows("token", tf.int32), state),
        }
        return {
            name: tf.function(method, input_signature=inputs, autograph=False)
            for name, (method, *inputs) in signatures.items()
        }

    def _measure(self, text):
        ids, lengths = self._ids(text)
        words = tf.pad(ids, [[0, 0], [1, 0]])
        model = self.writer.model
        outputs, _ = model.read(words, model.first_states(tf.shape(words)[0]))
        real = tf.sequence_mask(lengths + 1, tf.shape(words)[1])
        targets = tf.boolean_mask(tf.pad(ids, [[0, 0], [0, 1]]), real)
        losses = model.losses(tf.boolean_mask(outputs, real), targets)
        each = -tf.scatter_nd(tf.where(real), losses, tf.shape(real, tf.int64))
        return {
            "log_probability": tf.reduce_sum(each, -1),
            "token_log_probabilities": each,
            "lengths": lengths + 1,
        }

    def _generate(self, prompt, max_length, temperature, top_k, top_p, seed):
        none = tf.zeros([tf.shape(prompt)[0], 0])
        written = self.writer.write(*self._ids(prompt), none, max_length, seed, temperature, top_k, top_p)
        real = tf.sequence_mask(written.lengths, tf.shape(written.ids)[1])
        names = tf.RaggedTensor.from_row_lengths(
            tf.gather(self._names, tf.boolean_mask(written.ids, real)), written.lengths
        )
        text = tf.strings.reduce_join(names, axis=-1, separator=self._between)
        return {"text": text, "log_probability": written.log_probability}

    def _begin(self, prompt):
        token, state = self.writer.begin(*self._ids(prompt), tf.zeros([tf.shape(prompt)[0], 0]))
        return {"token": token, "state": state}

    def _step(self, token, state):
        size = self.writer.model.config["vocabulary_size"]
        logits, state = self.writer.model.step(tf.clip_by_value(token, 0, size - 1), state)
        return {"logits": logits, "state": state}

    def _ids(self, texts):
        """Return ids [rows, time] of texts and how many each has."""
        tokens = tokenize(texts, self._mode).tokens
        ids = tokens.with_values(self._graph(tokens.values)["words"])
        return ids.to_tensor(0), tf.cast(tokens.row_lengths(), tf.int32)


def export_language_model(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``LanguageModel.export``."""
    serving = LanguageServing(estimator)
    samples = [*SAMPLES, serving._between.join(estimator.vocabulary_.words[:12])]
    prompts, rows = encoded(samples), len(samples)
    none = np.zeros((rows, 0), np.float32)
    last, states = estimator._function("begin")(*estimator._padded(estimator._read(samples)), none)
    logits, after = estimator.model_.step(last, states)
    each = estimator.log_probability(samples, per_token=True)
    seeds = np.arange(rows, dtype=np.int64) + _SEED
    how = {
        "max_length": np.full(rows, _LENGTH, np.int32),
        "temperature": np.array([1.0, 0.0, 0.7, 1.5], np.float32),
        "top_k": np.array([0, 0, 3, 0], np.int32),
        "top_p": np.array([1.0, 1.0, 1.0, 0.8], np.float32),
        "seed": seeds,
    }
    texts, scores = [], []
    for i, text in enumerate(samples):  # each by itself
        one = estimator._read([text])
        settings = (how[name][i : i + 1] for name in ("max_length", "seed", "temperature", "top_k", "top_p"))
        ids, lengths, score = estimator._function("write")(*estimator._padded(one), none[:1], *settings)
        texts.append(estimator._told(ids.numpy()[0, : lengths[0]], (), "texts"))
        scores.append(float(score[0]))
    expected = {
        "serving_default": {
            "log_probability": np.array([p.sum() for p in each], np.float32),
            "token_log_probabilities": table(each, 0.0, np.float32),
            "lengths": np.array(list(map(len, each)), np.int32),
        },
        "generate": {"text": encoded(texts), "log_probability": np.array(scores, np.float32)},
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
        assets_extra={"vocabulary.json": json.dumps(["<EOS>", "<UNK>", *estimator.vocabulary_.words])},
    )
