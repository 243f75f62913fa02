"""The serving form of a `SequenceGenerator`: sequences written from a context and a beginning, and single steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.decoding.writer import Writer
from seqkit.estimators.next_step import MODES
from seqkit.export.sequence_serving import Untracked, encoded, string_table
from seqkit.export.writer import raw_variables, write_export
from seqkit.text.features import TokenGraph
from seqkit.text.tokenizer import tokenize

_LENGTH = 12  # of the sequences that are checked


class GeneratorServing(tf.Module):
    """Signatures of a generator.

    Parameters
    ----------
    estimator : seqkit.SequenceGenerator
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(name="model")
        model = estimator.model_
        self._variables = raw_variables(model)
        # Held apart, so that the module tracks raw variables and tables but no Keras object.
        self._writer = Untracked(Writer(model))
        self._kind, self._form = estimator.context_kind_, estimator._form
        if self._form != "vectors":
            self._mode = MODES[estimator.tokenizer]
            self._between = "" if estimator.tokenizer == "characters" else " "
            self._graph = TokenGraph(estimator.vocabulary_)
            self._names = tf.constant(estimator._names())
        if self._kind == "styles":
            styles = tf.constant([str(style) for style in estimator.styles_])
            numbers = tf.lookup.KeyValueTensorInitializer(styles, tf.range(len(styles)))
            self._styles = tf.lookup.StaticHashTable(numbers, -1)

    @property
    def model(self):
        """The Keras model."""
        return self._writer.object.model

    def signatures(self) -> dict[str, Callable]:
        """Return the graph function of each signature."""
        config = self.model.config

        def rows(name, dtype, *more):
            return tf.TensorSpec([None, *more], dtype, name=name)

        inputs = {}
        if self._kind == "styles":
            inputs["context"] = rows("context", tf.string)
        elif self._kind == "vectors":
            inputs["context"] = rows("context", tf.float32, config["context_dim"])
        if self._form == "vectors":
            inputs["prompt"] = rows("prompt", tf.float32, None, config["keys"])
            inputs["prompt_lengths"] = rows("prompt_lengths", tf.int32)
        else:
            inputs["prompt"] = rows("prompt", tf.string, *([None] if self._form == "tokens" else []))
        for name, dtype in (("max_length", tf.int32), ("temperature", tf.float32), ("top_k", tf.int32)):
            inputs[name] = rows(name, dtype)
        inputs |= {"top_p": rows("top_p", tf.float32), "seed": rows("seed", tf.int64)}
        names = list(inputs)

        def generate(*values):
            return self._generate(dict(zip(names, values, strict=True)))

        signatures = {"generate": tf.function(generate, input_signature=list(inputs.values()), autograph=False)}
        if config["head"] != "nade":  # whose scores of keys depend on the keys below
            item = rows("frame", tf.float32, config["keys"]) if config["keys"] else rows("token", tf.int32)
            state = rows("state", self.model.compute_dtype, self.model.state_size)
            context = [rows("context", tf.float32, config["context_dim"])] if config["context_dim"] else []
            signatures["step"] = tf.function(self._step, input_signature=[item, state, *context], autograph=False)
        return signatures

    def _generate(self, given):
        prompts, lengths = self._prompts(given)
        count = tf.shape(prompts)[0]
        known = tf.ones([count], tf.bool)
        context = given.get("context", tf.zeros([count, 0]))
        if self._kind == "styles":
            number = self._styles.lookup(context)
            known, context = number >= 0, tf.one_hot(number, self.model.config["context_dim"])
        settings = [given[name] for name in ("seed", "temperature", "top_k", "top_p")]
        limits = tf.where(known, given["max_length"], 0)
        written = self._writer.object.write(prompts, lengths, context, limits, *settings)
        # A style that is not known has no sequences.
        answer = {"log_probability": tf.where(known, written.log_probability, float("nan"))}
        if self._form == "vectors":
            return {"frames": written.ids, "lengths": written.lengths, **answer}
        real = tf.sequence_mask(written.lengths, tf.shape(written.ids)[1])
        if self._form == "tokens":
            tokens = tf.where(real, tf.gather(self._names, written.ids), "")
            return {"tokens": tokens, "lengths": written.lengths, **answer}
        flat = tf.gather(self._names, tf.boolean_mask(written.ids, real))
        rows = tf.RaggedTensor.from_row_lengths(flat, written.lengths)
        return {"text": tf.strings.reduce_join(rows, axis=-1, separator=self._between), **answer}

    def _prompts(self, given):
        """Return items [rows, time, …] and lengths."""
        prompt = given["prompt"]
        if self._form == "vectors":
            return prompt, tf.clip_by_value(given["prompt_lengths"], 0, tf.shape(prompt)[1])
        if self._form == "tokens":
            ids = tf.reshape(self._graph(tf.reshape(prompt, [-1]))["words"], tf.shape(prompt))
            return ids, tf.reduce_sum(tf.cast(ids > 0, tf.int32), 1)
        tokens = tokenize(prompt, self._mode).tokens
        ids = tokens.with_values(self._graph(tokens.values)["words"]).to_tensor(0)
        return ids, tf.cast(tokens.row_lengths(), tf.int32)

    def _step(self, item, state, context=None):
        if not self.model.config["keys"]:
            item = tf.clip_by_value(item, 0, self.model.config["vocabulary_size"] - 1)
        logits, state = self.model.step(item, state, context)
        return {"logits": logits, "state": state}


def export_generator(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``SequenceGenerator.export``."""
    serving, count = GeneratorServing(estimator), 4
    how = {
        "max_length": np.full(count, _LENGTH, np.int32),
        "temperature": np.array([1.0, 0.0, 0.7, 1.5], np.float32),
        "top_k": np.array([0, 0, 3, 0], np.int32),
        "top_p": np.array([1.0, 1.0, 1.0, 0.8], np.float32),
        "seed": np.arange(count, dtype=np.int64) + 5,
    }
    rng, given = np.random.default_rng(0), None
    request: dict[str, np.ndarray] = {}
    if estimator.context_kind_ == "styles":
        given = [estimator.styles_[i % len(estimator.styles_)] for i in range(count)]
        request["context"] = encoded([str(style) for style in given])
    elif estimator.context_kind_ == "vectors":
        request["context"] = given = rng.normal(size=(count, estimator._context_dim)).astype(np.float32)
    frames = estimator._form == "vectors"
    if frames:
        prompts = [rng.integers(0, 2, (n, estimator.keys_)).astype(np.float32) for n in (0, 3, 1, 0)]
        request["prompt"], request["prompt_lengths"] = estimator._padded(estimator._read(prompts))
    else:
        known = [*estimator.vocabulary_.words[:3], "?"]
        prompts = [[], known[:1], known, known[1:]]
        if estimator._form == "texts":
            prompts = [serving._between.join(tokens) for tokens in prompts]
        request["prompt"] = encoded(prompts) if estimator._form == "texts" else string_table(prompts)
    contexts = estimator._context_rows(given, count, "X")
    items, lengths, scores = [], [], []
    for i in range(count):  # each by itself
        one = estimator._read(prompts[i : i + 1])
        settings = (how[name][i : i + 1] for name in ("max_length", "seed", "temperature", "top_k", "top_p"))
        written = estimator._function("write")(*estimator._padded(one), contexts[i : i + 1], *settings)
        row, n, score = (value.numpy()[0] for value in written)
        items.append(row[:n])
        lengths.append(n)
        scores.append(score)
    expected = {"log_probability": np.array(scores, np.float32)}
    if frames:
        longest = max(lengths)
        padded = [np.pad(row, [(0, longest - len(row)), (0, 0)]) for row in items]
        expected |= {"frames": np.array(padded, np.float32), "lengths": np.array(lengths, np.int32)}
    elif estimator._form == "tokens":
        names = [estimator._told(row, (), "tokens") for row in items]
        expected |= {"tokens": string_table(names), "lengths": np.array(lengths, np.int32)}
    else:
        expected["text"] = encoded([estimator._told(row, (), "texts") for row in items])
    requests, answers, signatures = {"generate": [request | how]}, {"generate": [expected]}, serving.signatures()
    if "step" in signatures:
        model = estimator.model_
        context = contexts if contexts.shape[1] else None
        last = np.zeros((count, estimator.keys_), np.float32) if frames else np.array([0, 1, 2, 1], np.int32)
        states = model.first_states(count, context)
        logits, after = model.step(last, states, context)
        step = {"frame" if frames else "token": last, "state": states.numpy()}
        requests["step"] = [step | ({} if context is None else {"context": context})]
        answers["step"] = [{"logits": logits.numpy(), "state": after.numpy()}]
    about = {"kind": "export", "task": "generation", "context": estimator.context_kind_}
    extra = {}
    if not frames:
        extra["vocabulary.json"] = json.dumps(["<EOS>", "<UNK>", *estimator.vocabulary_.words])
    about = estimator._manifest() | about
    return write_export(
        root, serving, signatures, requests=requests, expected=answers, manifest=about, assets_extra=extra
    )
