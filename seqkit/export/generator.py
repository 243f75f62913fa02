"""The serving form of a `SequenceGenerator`: sequences written from a context and a beginning, and single steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.export.sequence_serving import encoded, string_table
from seqkit.export.writer import write_export
from seqkit.export.writing_serving import SETTINGS, WritingServing, sample_settings, vocabulary_file, written_alone


class GeneratorServing(WritingServing):
    """Signatures of a generator.

    Parameters
    ----------
    estimator : seqkit.SequenceGenerator
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(estimator)
        self._kind, self._form = estimator.context_kind_, estimator._form
        if self._kind == "styles":
            styles = tf.constant([str(style) for style in estimator.styles_])
            numbers = tf.lookup.KeyValueTensorInitializer(styles, tf.range(len(styles)))
            self._styles = tf.lookup.StaticHashTable(numbers, -1)

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
        inputs |= {name: rows(name, dtype) for name, dtype in SETTINGS.items()}
        names = list(inputs)

        def generate(*values):
            return self._generate(dict(zip(names, values, strict=True)))

        signatures = {"generate": tf.function(generate, input_signature=list(inputs.values()), autograph=False)}
        if config["head"] != "nade":  # whose scores of keys depend on the keys below
            item = rows("frame", tf.float32, config["keys"]) if config["keys"] else rows("token", tf.int32)
            state = rows("state", self.model.compute_dtype, self.model.state_size)
            context = [rows("context", tf.float32, config["context_dim"])] if config["context_dim"] else []
            signatures["step"] = tf.function(self._next, input_signature=[item, state, *context], autograph=False)
        return signatures

    def _generate(self, given):
        prompts, lengths = self._prompts(given)
        count = tf.shape(prompts)[0]
        known = tf.ones([count], tf.bool)
        context = given.get("context", tf.zeros([count, 0]))
        if self._kind == "styles":
            number = self._styles.lookup(context)
            known, context = number >= 0, tf.one_hot(number, self.model.config["context_dim"])
        # A style that is not known has no sequences.
        given = given | {"max_length": tf.where(known, given["max_length"], 0)}
        written = self.writer.write(prompts, lengths, context, *(given[name] for name in SETTINGS))
        answer = {"log_probability": tf.where(known, written.log_probability, float("nan"))}
        if self._form == "vectors":
            return {"frames": written.ids, "lengths": written.lengths, **answer}
        if self._form == "tokens":
            real = tf.sequence_mask(written.lengths, tf.shape(written.ids)[1])
            tokens = tf.where(real, tf.gather(self._names, written.ids), "")
            return {"tokens": tokens, "lengths": written.lengths, **answer}
        return {"text": self._texts(written), **answer}

    def _prompts(self, given):
        """Return items [rows, time, …] and lengths."""
        prompt = given["prompt"]
        if self._form == "vectors":
            return prompt, tf.clip_by_value(given["prompt_lengths"], 0, tf.shape(prompt)[1])
        if self._form == "tokens":
            ids = tf.reshape(self._graph(tf.reshape(prompt, [-1]))["words"], tf.shape(prompt))
            return ids, tf.reduce_sum(tf.cast(ids > 0, tf.int32), 1)
        return self._ids(prompt)


def export_generator(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``SequenceGenerator.export``."""
    serving, how = GeneratorServing(estimator), sample_settings()
    count = len(how["seed"])
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
            prompts = [estimator._between.join(tokens) for tokens in prompts]
        request["prompt"] = encoded(prompts) if estimator._form == "texts" else string_table(prompts)
    contexts = estimator._context_rows(given, count, "X")
    items, scores = written_alone(estimator, prompts, contexts, how)
    expected, lengths = {"log_probability": scores}, [len(row) for row in items]
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
    extra = {} if frames else vocabulary_file(estimator)
    about = estimator._manifest() | about
    return write_export(
        root, serving, signatures, requests=requests, expected=answers, manifest=about, assets_extra=extra
    )
