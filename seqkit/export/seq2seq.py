"""The serving form of a `Seq2Seq`: the whole search in the graph, and single steps of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.decoding.translator import Start, Translator
from seqkit.export.requests import string_table, table
from seqkit.export.sequence_serving import SAMPLES, Untracked, encoded, sample_vectors, token_lengths, vocabulary_file
from seqkit.export.writer import raw_variables, write_export
from seqkit.text.features import UNKNOWN, TokenGraph

_NEVER = -1e30  # the score of a hypothesis where a source has fewer than the beam is wide


class Seq2SeqServing(tf.Module):
    """Signatures of an encoder-decoder.

    Parameters
    ----------
    estimator : seqkit.Seq2Seq
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(name="model")
        model = estimator.model_
        self._variables = raw_variables(model)
        # Held apart, so that the module tracks raw variables and tables but no Keras object.
        self._translator = Untracked(Translator(model, estimator._copies))
        self._estimator = Untracked(estimator)
        self._source = None if estimator.input_kind_ == "vectors" else TokenGraph(estimator.vocabulary_)
        self._names = None
        if estimator.target_kind_ != "vectors":
            self._names = tf.constant(estimator._names())

    @property
    def model(self):
        """The Keras model."""
        return self._translator.object.model

    def signatures(self) -> dict[str, Callable]:
        """Return the graph function of each signature."""

        def rows(name, dtype, *more):
            return tf.TensorSpec([None, *more], dtype, name=name)

        decoder, dim = self.model.decoder.config, self.model.compute_dtype
        if self._source is None:
            given = [rows("features", tf.float32, None, self.model.config["input_dim"]), rows("lengths", tf.int32)]
            answers = {"serving_default": (self._from_features, *given), "encode": (self._encode_features, *given)}
        else:
            text, tokens = rows("text", tf.string), rows("tokens", tf.string, None)
            answers = {
                "serving_default": (self._from_text, text),
                "tokens": (self._from_tokens, tokens),
                "encode": (self._encode_text, text),
            }
        item = rows("frame", tf.float32, decoder["keys"]) if decoder["keys"] else rows("token", tf.int32)
        step = [item, rows("state", dim, self.model.decoder.state_size), rows("context", dim, decoder["context_dim"])]
        if decoder["memory_dim"]:
            step += [rows("memory", dim, None, decoder["memory_dim"]), rows("memory_lengths", tf.int32)]
        answers["step"] = (self._step, *step)
        return {
            name: tf.function(method, input_signature=inputs, autograph=False)
            for name, (method, *inputs) in answers.items()
        }

    # What is read

    def _from_text(self, text):
        return self._from_ragged(self._cut(text))

    def _cut(self, text):
        return self._estimator.object._segmenter("source").cut(text)

    def _from_tokens(self, tokens):
        lengths = token_lengths(tokens)
        return self._from_ragged(tf.RaggedTensor.from_tensor(tokens, lengths))

    def _from_ragged(self, tokens):
        start, padded = self._read(tokens)
        return self._answer(start, tf.cast(tokens.row_lengths(), tf.int32), padded)

    def _encode_text(self, text):
        return told(self._read(self._cut(text))[0])

    def _read(self, tokens):
        """Return where the decoder begins, and the tokens [rows, time], one step at least."""
        lengths = tf.cast(tokens.row_lengths(), tf.int32)
        padded = tokens.to_tensor("")
        padded = tf.pad(padded, [[0, 0], [0, tf.maximum(1 - tf.shape(padded)[1], 0)]])
        words = tf.reshape(self._source(tf.reshape(padded, [-1]))["words"], tf.shape(padded))
        vectors, _, _, _ = self.model.embed({"words": words, "lengths": lengths})
        return self._translator.object.start(vectors, lengths), padded

    def _from_features(self, features, lengths):
        start, lengths = self._read_features(features, lengths)
        return self._answer(start, lengths, None)

    def _encode_features(self, features, lengths):
        return told(self._read_features(features, lengths)[0])

    def _read_features(self, features, lengths):
        lengths = tf.clip_by_value(lengths, 0, tf.shape(features)[1])
        features = tf.pad(features, [[0, 0], [0, tf.maximum(1 - tf.shape(features)[1], 0)], [0, 0]])
        vectors, _, lengths, _ = self.model.embed({"vectors": features, "lengths": lengths})
        return self._translator.object.start(vectors, lengths), lengths

    # What is written

    def _answer(self, start, lengths, padded):
        estimator, translator = self._estimator.object, self._translator.object
        limits = estimator._limits(lengths)
        if self._names is None:
            written = translator.write(start, limits)
            return {"value": written.ids, "lengths": written.lengths}
        width = int(estimator.beam_width)
        found = translator.search(start, limits, width, width, estimator._penalties())
        rows, beams, time = tf.unstack(tf.shape(found.ids))
        names = tf.gather(self._names, found.ids)
        if found.places is not None and padded is not None:
            copied = tf.gather(padded, tf.reshape(found.places, [rows, -1]), batch_dims=1)
            known = (found.ids != UNKNOWN) | (found.places >= lengths[:, None, None])
            names = tf.where(known, names, tf.reshape(copied, [rows, beams, time]))
        real = tf.sequence_mask(found.lengths, time)
        names = tf.where(real, names, "")
        answer = {"scores": found.scores}
        if estimator.target_kind_ == "tokens":
            return {"tokens": names, "lengths": found.lengths, **answer}
        flat = tf.RaggedTensor.from_row_lengths(tf.boolean_mask(names, real), tf.reshape(found.lengths, [-1]))
        return {"text": tf.reshape(estimator._segmenter("target").join(flat), [rows, beams]), **answer}

    def _step(self, item, state, context, memory=None, memory_lengths=None):
        decoder = self.model.decoder
        if memory is not None:
            memory_lengths = tf.clip_by_value(memory_lengths, 0, tf.shape(memory)[1])
            memory = decoder.attention.remember(memory, memory_lengths)
        if not decoder.config["keys"]:
            item = tf.clip_by_value(item, 0, decoder.config["vocabulary_size"] - 1)
            logits, state = decoder.step(item, state, context, memory)
            return {"logits": logits, "state": state}
        # What stands before the first frame is 0 as the decoder reads it: the mean.
        outputs, state = decoder.stepper(context, memory)(self.model.standardized(item), state)
        answer = {"value": self.model.restored(decoder.logits(outputs)), "state": state}
        if decoder.config["halting"] == "bernoulli":
            answer["halt"] = tf.sigmoid(decoder.halt_logits(outputs))
        return answer


def told(start: Start) -> dict[str, tf.Tensor]:
    """Return what `encode` answers."""
    answer = {"state": start.states, "context": start.context}
    if start.memory is not None:
        answer |= {"memory": start.memory.values, "memory_lengths": start.memory.lengths}
    return answer


def export_seq2seq(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``Seq2Seq.export``."""
    serving = Seq2SeqServing(estimator)
    if estimator.input_kind_ == "vectors":
        sources, request = sample_vectors(estimator)
        requests = {"serving_default": request, "encode": request}
        expected = {"serving_default": _expected(estimator, sources)}
    else:
        texts = [
            *SAMPLES,
            estimator._segmenter("source")
            .join(tf.ragged.constant([estimator.vocabulary_.words[:8]], tf.string))
            .numpy()[0]
            .decode(),
        ]
        sources = texts
        rows = [[t.decode() for t in row] for row in estimator._segmenter("source").cut(tf.constant(texts)).to_list()]
        requests = {name: {"text": encoded(texts)} for name in ("serving_default", "encode")}
        requests["tokens"] = {"tokens": string_table(rows)}
        answer = _expected(estimator, texts)
        expected = {"serving_default": answer, "tokens": answer}
    begun = encoded_alone(estimator, sources)
    expected["encode"] = begun
    item, expected["step"] = first_step(estimator, begun)
    if estimator.target_kind_ == "vectors":
        # The first step after the mean gives the first frame of what is predicted.
        expected["step"] = {"value": expected["serving_default"]["value"][:, 0]}
    requests["step"] = item | begun
    about = {"kind": "export", "task": "seq2seq", "tokenizer": estimator.tokenizer, "targets": estimator.target_kind_}
    extra = {} if estimator.target_kind_ == "vectors" else vocabulary_file(estimator.target_vocabulary_)
    return write_export(
        root,
        serving,
        serving.signatures(),
        requests={name: [value] for name, value in requests.items()},
        expected={name: [value] for name, value in expected.items()},
        manifest=estimator._manifest() | about,
        assets_extra=extra,
    )


def _expected(estimator, sources) -> dict[str, np.ndarray]:
    """Return what the estimator says, in the serving form."""
    data = estimator._read(sources)
    if estimator.target_kind_ == "vectors":
        rows = estimator._search(data, 1)
        lengths = np.array([len(row) for row in rows], np.int32)
        return {"value": table(rows, 0, np.float32), "lengths": lengths}
    width = int(estimator.beam_width)
    rows = [row + [([], _NEVER)] * (width - len(row)) for row in estimator._search(data, width)]
    flat = [tokens for row in rows for tokens, _ in row]
    answer = {"scores": np.array([[score for _, score in row] for row in rows], np.float32)}
    if estimator.target_kind_ == "texts":
        return {"text": np.reshape(encoded(estimator._told(flat)), (len(rows), width)), **answer}
    lengths = np.array([[len(tokens) for tokens, _ in row] for row in rows], np.int32)
    return {"tokens": string_table(flat).reshape(len(rows), width, -1), "lengths": lengths, **answer}


def encoded_alone(estimator, sources) -> dict[str, np.ndarray]:
    """Return what the encoder makes of sources, each read by itself and padded then."""
    model, found = estimator.model_, []
    for source in sources:
        data = estimator._read([source])
        if data.vectors is not None:
            name, given = "vectors", data.vectors[0]
        else:
            name, given = "words", estimator._token_graph()(data.corpus.types)["words"].numpy()[data.corpus.index]
        given = given if len(given) else np.zeros((1, *given.shape[1:]), given.dtype)  # layers need a step
        encoded_, lengths = model.encode({name: given[None], "lengths": np.array(data.lengths, np.int32)})
        context, memory = model.brief(encoded_, lengths)
        found.append((model.decoder.first_states(1, context).numpy(), context.numpy(), memory))
    answer = {"state": np.concatenate([row[0] for row in found]), "context": np.concatenate([row[1] for row in found])}
    if found[0][2] is None:
        return answer
    lengths = np.concatenate([row[2].lengths.numpy() for row in found])
    memory = table([row[2].values.numpy()[0] for row in found], 0, np.float32)
    return answer | {"memory": memory, "memory_lengths": lengths}


def first_step(estimator, begun: dict[str, np.ndarray]) -> tuple[dict, dict[str, np.ndarray]]:
    """Return an item for each row that `encoded_alone` gave, and what the decoder makes of it."""
    model, decoder, count = estimator.model_, estimator.model_.decoder, len(begun["state"])
    memory = None
    if "memory" in begun:
        memory = decoder.attention.remember(tf.constant(begun["memory"]), tf.constant(begun["memory_lengths"]))
    if estimator.target_kind_ == "vectors":
        frames = np.repeat(model.target_mean.numpy()[None], count, 0)
        outputs, state = decoder.stepper(begun["context"], memory)(model.standardized(frames), begun["state"])
        answer = {"value": model.restored(decoder.logits(outputs)), "state": state}
        if decoder.config["halting"] == "bernoulli":
            answer["halt"] = tf.sigmoid(decoder.halt_logits(outputs))
        return {"frame": frames}, {name: value.numpy() for name, value in answer.items()}
    tokens = np.arange(count, dtype=np.int32) % decoder.config["vocabulary_size"]
    logits, state = decoder.step(tokens, begun["state"], begun["context"], memory)
    return {"token": tokens}, {"logits": logits.numpy(), "state": state.numpy()}
