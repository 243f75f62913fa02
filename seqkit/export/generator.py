"""The serving form of a `SequenceGenerator`: sequences written from a context and a beginning, and single steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.decoding.loops import frame_chances
from seqkit.export.requests import string_table
from seqkit.export.sequence_serving import encoded, vocabulary_file
from seqkit.export.writer import write_export
from seqkit.export.writing_serving import SETTINGS, WritingServing, sample_settings, written_alone


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
        begun = dict(inputs)
        inputs |= {name: rows(name, dtype) for name, dtype in SETTINGS.items()}
        generate = self._named(self._generate, inputs)
        item = rows("frame", tf.float32, config["keys"]) if config["keys"] else rows("token", tf.int32)
        step = {item.name: item, "state": rows("state", self.model.compute_dtype, self.model.state_size)}
        if config["context_dim"]:
            step["context"] = rows("context", tf.float32, config["context_dim"])
        if config["head"] == "nade":  # whose scores of keys depend on the keys below: the frame itself is drawn
            step |= {"seed": rows("seed", tf.int64), "position": rows("position", tf.int32)}
            step["temperature"] = rows("temperature", tf.float32)
        return {
            "serving_default": generate,
            "generate": generate,
            "begin": self._named(self._begin, begun),
            "step": self._named(self._step, step),
        }

    def _named(self, method, inputs: dict[str, tf.TensorSpec]) -> Callable:
        """Return the graph function of a method that takes a dict."""
        names = list(inputs)

        def call(*values):
            return method(dict(zip(names, values, strict=True)))

        return tf.function(call, input_signature=list(inputs.values()), autograph=False)

    def _begin(self, given):
        prompts, lengths = self._prompts(given)
        known, context = self._context(given, tf.shape(prompts)[0])
        last, state = self.writer.begin(prompts, lengths, context)
        name = "frame" if self._form == "vectors" else "token"
        answer = {name: last, "state": tf.where(known[:, None], state, float("nan"))}
        return answer | ({"context_vector": context} if self.model.config["context_dim"] else {})

    def _step(self, given):
        config, context = self.model.config, given.get("context")
        if not config["keys"]:
            return self._next(given["token"], given["state"], context)
        outputs, state = self.model.stepper(context)(given["frame"], given["state"])
        answer = {"state": state}
        if config["halting"] == "bernoulli":
            answer["halt_logits"] = self.model.halt_logits(outputs)
        if config["head"] != "nade":
            return answer | {"logits": self.model.logits(outputs)}
        chances = frame_chances(given["seed"], given["position"][:, None], config["keys"])[:, :-1]
        return answer | {"next_frame": self.model.draw(outputs, chances, given["temperature"])}

    def _context(self, given, count):
        """Return which rows are of what is known, and the contexts [rows, context_dim]."""
        known, context = tf.ones([count], tf.bool), given.get("context", tf.zeros([count, 0]))
        if self._kind == "styles":
            number = self._styles.lookup(context)
            known, context = number >= 0, tf.one_hot(number, self.model.config["context_dim"])
        return known, context

    def _generate(self, given):
        prompts, lengths = self._prompts(given)
        known, context = self._context(given, tf.shape(prompts)[0])
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
    requests = {"serving_default": request | how, "generate": request | how, "begin": request}
    answers = {"serving_default": expected, "generate": expected}
    begun = serving.writer.begin(*map(tf.constant, estimator._padded(estimator._read(prompts))), contexts)
    last, states = (value.numpy() for value in begun)
    answers["begin"] = {"frame" if frames else "token": last, "state": states}
    requests["step"] = {"frame" if frames else "token": last, "state": states}
    if contexts.shape[1]:
        answers["begin"]["context_vector"] = requests["step"]["context"] = contexts
    if estimator.model_.config["head"] == "nade":
        requests["step"] |= {"seed": how["seed"], "position": np.arange(count, dtype=np.int32)}
        requests["step"]["temperature"] = how["temperature"]
    answers["step"] = {k: v.numpy() for k, v in serving._step(requests["step"]).items()}
    about = {"kind": "export", "task": "generation", "context": estimator.context_kind_, "longest": estimator.longest_}
    extra = {} if frames else vocabulary_file(estimator.vocabulary_)
    about = estimator._manifest() | about
    return write_export(
        root,
        serving,
        serving.signatures(),
        requests={name: [value] for name, value in requests.items()},
        expected={name: [value] for name, value in answers.items()},
        manifest=about,
        assets_extra=extra,
    )
