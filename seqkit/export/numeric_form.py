"""Fitted models as functions of numbers, for runtimes without strings: what comes in has passed the vocabulary.

One function is one file: where a model has several (a language model's ``step``, say), each is a conversion of its own.
Names of inputs and outputs are those of the SavedModel's signatures; ids stand for strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from seqkit.decoding.writer import Writer
from seqkit.errors import ExportError, ParameterError
from seqkit.export.requests import table
from seqkit.export.sequence_serving import SAMPLES
from seqkit.text.features import FEATURES, TokenVocabulary

Arrays = dict[str, np.ndarray]
#: Names of free axes.
ROWS, TIME, LONGEST = "rows", "time", "longest_token"


@dataclass
class Form:
    """One function of a model.

    Parameters
    ----------
    name : str
        What it is called.
    function : callable
        From tensors by name to tensors by name.
    inputs : dict of str to (dtype, list of int or str)
        Type and shape of each input; free axes by name.
    request, expected : dict of str to numpy.ndarray
        A padded batch, and what the estimator says to it.
    about : dict
        What the description of the converted model says of it.
    vocabulary : TokenVocabulary or None
        Where tokens are read: that of ``words``, ``characters`` and ``features``.
    sentences : list of list of str
        The tokens of the request, where tokens are read.
    """

    name: str
    function: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]
    inputs: dict[str, tuple[tf.DType, list]]
    request: Arrays
    expected: Arrays
    about: dict[str, Any] = field(default_factory=dict)
    vocabulary: TokenVocabulary | None = None
    sentences: list = field(default_factory=list)

    def traced(self, sizes: Mapping[str, int] | None = None):
        """Return the function as a ``tf.function``, and its signature; free axes get the sizes given."""
        sizes = sizes or {}
        names = list(self.inputs)
        signature = [
            tf.TensorSpec([sizes.get(axis) if isinstance(axis, str) else axis for axis in shape], dtype, name=name)
            for name, (dtype, shape) in self.inputs.items()
        ]

        def call(*values):
            return self.function(dict(zip(names, values, strict=True)))

        return tf.function(call, input_signature=signature, autograph=False), signature


def numeric_form(estimator, name: str | None = None, longest: int | None = None) -> Form:
    """Return one function of a fitted estimator.

    Parameters
    ----------
    estimator : estimator
        A fitted one.
    name : str or None
        Which; None where there is but one.
    longest : int or None
        Most tokens (or steps) in a sequence of the request.

    Raises
    ------
    ExportError
        If the estimator has no such form; the message says why.
    """
    forms = _forms(estimator)
    if name is None and len(forms) > 1:
        raise ParameterError(
            f"A {type(estimator).__name__} has several functions, each a file of its own: choose one by signature=, "
            f"one of {', '.join(map(repr, forms))}."
        )
    name = name or next(iter(forms))
    if name not in forms:
        raise ParameterError(f"signature={name!r} is not known; this model has {', '.join(map(repr, forms))}.")
    form = forms[name](estimator, longest)
    form.name = name
    return form


def _forms(estimator) -> dict[str, Callable]:
    kind = type(estimator).__name__
    if kind == "TreeClassifier":
        raise ExportError(
            "A TreeClassifier cannot be converted: the order in which its network reads a tree comes from parsing the "
            "brackets, which is done by string operations. Serve it as a SavedModel."
        )
    if kind == "SequenceGenerator" and estimator.model_.config["head"] == "nade":
        raise ExportError(
            "A generator of frames with head='nade' cannot be converted: each key depends on those drawn below it, and "
            "the draws are TensorFlow's own random numbers. Fit it with head='bernoulli', or serve it as a SavedModel."
        )
    if kind not in _FORMS:
        raise ExportError(f"A {kind} has no form of numbers alone and cannot be converted.")
    return _FORMS[kind]


# What is read


def _sentences(estimator, longest: int | None) -> list[list[str]]:
    """Return lists of tokens to ask about; one of them is empty, one is of known words."""
    cut = list if estimator.tokenizer == "characters" else str.split
    return [row[:longest] for row in [*map(cut, SAMPLES), estimator.vocabulary_.words[:12]]]


def _reading(estimator, longest: int | None) -> tuple[dict, Arrays, list]:
    """Return the inputs of what reads sequences, a request, and the sequences in it."""
    if estimator.input_kind_ == "vectors":
        dim = estimator._model_config["input_dim"]
        rng = np.random.default_rng(0)
        lengths = np.minimum([4, 1, 7, 0], longest or 7).astype(np.int32)
        sequences = [rng.normal(size=(n, dim)).astype(np.float32) for n in lengths]
        inputs = {"features": (tf.float32, [ROWS, TIME, dim]), "lengths": (tf.int32, [ROWS])}
        return inputs, {"features": table(sequences, 0, np.float32), "lengths": lengths}, sequences
    sentences = _sentences(estimator, longest)
    inputs = token_specs(estimator.vocabulary_)
    return inputs, token_request(estimator, sentences), sentences


def token_specs(vocabulary: TokenVocabulary) -> dict:
    """Return the inputs of what reads tokens."""
    inputs = {"words": (tf.int32, [ROWS, TIME])}
    if vocabulary.characters:
        inputs["characters"] = (tf.int32, [ROWS, TIME, LONGEST])
    if vocabulary.features:
        inputs["features"] = (tf.int32, [ROWS, TIME, len(FEATURES)])
    return inputs | {"lengths": (tf.int32, [ROWS])}


def token_request(estimator, sentences: list[list[str]]) -> Arrays:
    """Return the ids of padded sentences, by the graph that `predict` uses."""
    from seqkit.text.corpus import encode_strings

    lengths = np.array(list(map(len, sentences)), np.int32)
    time = max(1, lengths.max(initial=0))
    flat = [token for row in sentences for token in [*row, *[""] * (time - len(row))]]
    ids = estimator._token_graph()(encode_strings(flat))
    shape = (len(sentences), time)
    return {name: np.reshape(values, (*shape, *values.shape[1:])) for name, values in ids.items()} | {
        "lengths": lengths
    }


def _model_inputs(estimator, given: dict) -> dict:
    """Return what the Keras model calls its inputs."""
    if estimator.input_kind_ == "vectors":
        return {"vectors": given["features"], "lengths": given["lengths"]}
    return given


def _about(estimator, task: str, **more) -> dict:
    return {"task": task, "reads": estimator.input_kind_, "tokenizer": estimator.tokenizer, **more}


def _form(estimator, function, given: tuple[dict, Arrays, list], expected: Arrays, about: dict) -> Form:
    """Return the form of what reads sequences; ``given`` is what `_reading` gave."""
    inputs, request, sequences = given
    form = Form("", function, inputs, request, expected, about)
    if estimator.input_kind_ != "vectors":
        form.vocabulary, form.sentences = estimator.vocabulary_, sequences
    return form


# Estimators


def _tagger(estimator, longest):
    given = _reading(estimator, longest)
    model, sequences = estimator.model_, given[-1]

    def predict(tensors):
        features, lengths = model.encode(_model_inputs(estimator, tensors))
        probabilities = model.head.probabilities(features, lengths)
        tags, _ = model.head.decode(features, lengths)
        return {
            "tags": tags,
            "scores": tf.gather(probabilities, tags, batch_dims=2)
            * tf.sequence_mask(lengths, tf.shape(tags)[1], tf.float32),
            "probabilities": probabilities,
        }

    numbers = {tag: i for i, tag in enumerate(estimator.classes_.tolist())}
    paths = [[numbers[tag] for tag in row] for row in estimator.predict(sequences)]
    probabilities = estimator.predict_proba(sequences)
    scores = [found[np.arange(len(path)), path] for path, found in zip(paths, probabilities, strict=True)]
    expected = {
        "tags": table(paths, 0, np.int32),
        "scores": table(scores, 0, np.float32),
        "probabilities": table(probabilities, 0, np.float32),
    }
    about = _about(estimator, "tagging", tags=list(map(str, estimator.classes_)), scheme=estimator.scheme_)
    return _form(estimator, predict, given, expected, about)


def _reader(estimator, longest):
    given = _reading(estimator, longest)
    model, sequences, classes = estimator.model_, given[-1], getattr(estimator, "classes_", None)
    name = "value" if classes is None else "probabilities"

    def predict(tensors):
        vectors, words, lengths, _ = model.embed(_model_inputs(estimator, tensors))
        outputs = model.head.outputs(model.read(vectors, lengths), lengths)
        if model.votes is not None:
            outputs = (outputs + model.votes.portable(words, lengths)) / 2
        return {name: model.head.finish(outputs)}

    if classes is None:
        expected = np.reshape(estimator.predict(sequences), (len(sequences), -1))
        about = _about(estimator, "regression", values=estimator.n_outputs_)
    else:
        expected = estimator.predict_proba(sequences)
        several = estimator.target_kind_ != "one"
        about = _about(estimator, "classification", classes=list(map(str, classes)), several=several)
    return _form(estimator, predict, given, {name: expected.astype(np.float32)}, about)


def _log_probability(estimator, longest):
    given = _reading(estimator, longest)
    model = estimator.model_

    def measure(tensors):
        words, lengths = tensors["words"], tensors["lengths"]
        words = tf.where(tf.sequence_mask(lengths, tf.shape(words)[1]), words, 0)  # 0 is the end, too
        before, after = tf.pad(words, [[0, 0], [1, 0]]), tf.pad(words, [[0, 0], [0, 1]])
        outputs, _ = model.read(before, model.first_states(tf.shape(words)[0]))
        every = tf.nn.log_softmax(model.logits(outputs))
        each = tf.gather(every, after, batch_dims=2)
        each = tf.where(tf.sequence_mask(lengths + 1, tf.shape(after)[1]), each, 0.0)
        return {"log_probability": tf.reduce_sum(each, 1), "token_log_probabilities": each}

    each = estimator.log_probability(given[-1], per_token=True)
    expected = {
        "log_probability": np.array([row.sum() for row in each], np.float32),
        "token_log_probabilities": table(each, 0, np.float32),
    }
    return _form(estimator, measure, given, expected, _writes(estimator))


def _writes(estimator) -> dict:
    """Return what is said of a model that writes on."""
    if type(estimator).__name__ == "LanguageModel":
        return _about(estimator, "language_model", writes=estimator._names())
    about = _about(estimator, "generation", context=estimator.context_kind_)
    if estimator.context_kind_ == "styles":
        about["styles"] = list(map(str, estimator.styles_))  # the context is a vector of one 1, at the style's place
    return about if estimator.input_kind_ == "vectors" else about | {"writes": estimator._names()}


def _begun(estimator, longest) -> tuple[dict, Arrays, list, np.ndarray]:
    """Return the inputs of ``begin``, a request, the prompts in it, and contexts."""
    if estimator.input_kind_ == "vectors":
        rng, keys = np.random.default_rng(0), estimator.keys_
        lengths = np.minimum([0, 3, 1, 0], longest or 3)
        prompts = [rng.integers(0, 2, (n, keys)).astype(np.float32) for n in lengths]
        inputs = {"prompt": (tf.float32, [ROWS, TIME, keys]), "lengths": (tf.int32, [ROWS])}
        request = {"prompt": table(prompts, 0, np.float32), "lengths": lengths.astype(np.int32)}
    else:
        inputs, request, prompts = _reading(estimator, longest)
    size = estimator.model_.config["context_dim"]
    contexts = np.zeros((len(prompts), size), np.float32)
    if size:
        contexts[np.arange(len(prompts)), np.arange(len(prompts)) % size] = 1.0
        inputs, request = {**inputs, "context": (tf.float32, [ROWS, size])}, {**request, "context": contexts}
    return inputs, request, prompts, contexts


def _last(estimator) -> str:
    return "frame" if estimator.input_kind_ == "vectors" else "token"


def _begin(estimator, longest):
    inputs, request, prompts, contexts = _begun(estimator, longest)
    writer, items = Writer(estimator.model_), "prompt" if "prompt" in inputs else "words"

    def begin(given):
        none = tf.zeros([tf.shape(given["lengths"])[0], 0])
        last, state = writer.begin(given[items], given["lengths"], given.get("context", none))
        return {_last(estimator): last, "state": state}

    last, states = _begun_alone(estimator, prompts, contexts)
    expected = {_last(estimator): last, "state": states}
    return _form(estimator, begin, (inputs, request, prompts), expected, _writes(estimator))


def _begun_alone(estimator, prompts, contexts) -> tuple[np.ndarray, np.ndarray]:
    """Return the last item of each prompt and the states before it, each prompt read by itself."""
    function = estimator._function("begin")
    found = [
        [value.numpy() for value in function(*estimator._padded(estimator._read([prompt])), contexts[i : i + 1])]
        for i, prompt in enumerate(prompts)
    ]
    return tuple(np.concatenate(values) for values in zip(*found, strict=True))


def _step(estimator, longest):
    from seqkit.export.generator import GeneratorServing
    from seqkit.export.language_model import LanguageServing

    _, request, prompts, contexts = _begun(estimator, longest)
    last, states = _begun_alone(estimator, prompts, contexts)
    model, item = estimator.model_, _last(estimator)
    kind = (tf.float32, [ROWS, estimator.keys_]) if item == "frame" else (tf.int32, [ROWS])
    inputs = {item: kind, "state": (tf.float32, [ROWS, model.state_size])}
    request = {item: last, "state": states} | ({"context": contexts} if contexts.shape[1] else {})
    if contexts.shape[1]:
        inputs["context"] = (tf.float32, [ROWS, contexts.shape[1]])
    if type(estimator).__name__ == "LanguageModel":
        serving = LanguageServing(estimator)

        def step(given):
            return _after(serving._next(given["token"], given["state"]))
    else:
        serving = GeneratorServing(estimator)

        def step(given):
            return _after(serving._step(given))

    outputs, after = model.stepper(contexts if contexts.shape[1] else None)(tf.constant(last), tf.constant(states))
    expected = {"logits": model.logits(outputs).numpy(), "next_state": after.numpy()}
    if model.config["halting"] == "bernoulli":
        expected["halt_logits"] = model.halt_logits(outputs).numpy()
    return Form("", step, inputs, request, expected, _writes(estimator))


def _translates(estimator) -> dict:
    about = _about(estimator, "seq2seq", targets=estimator.target_kind_)
    return about if estimator.target_kind_ == "vectors" else about | {"writes": estimator._names()}


def _encode(estimator, longest):
    from seqkit.decoding.translator import Translator
    from seqkit.export.seq2seq import encoded_alone, told

    given = _reading(estimator, longest)
    model, translator = estimator.model_, Translator(estimator.model_, estimator._copies)

    def encode(tensors):
        vectors, _, lengths, _ = model.embed(_model_inputs(estimator, tensors))
        return told(translator.start(vectors, lengths))

    return _form(estimator, encode, given, encoded_alone(estimator, given[-1]), _translates(estimator))


def _decode(estimator, longest):
    from seqkit.export.seq2seq import Seq2SeqServing, encoded_alone, first_step

    begun = encoded_alone(estimator, _reading(estimator, longest)[-1])
    item, expected = first_step(estimator, begun)
    expected = _after(expected)
    request = {**item, **begun}
    shapes = {name: [ROWS, *value.shape[1:]] for name, value in request.items()}
    if "memory" in shapes:
        shapes["memory"][1] = TIME
    inputs = {name: (tf.as_dtype(request[name].dtype), shape) for name, shape in shapes.items()}
    serving = Seq2SeqServing(estimator)

    def step(given):
        return _after(serving._step(*given.values()))

    return Form("", step, inputs, request, expected, _translates(estimator))


def _after(answer: dict) -> dict:
    """Rename the state that a step gives: in ONNX no output may be called what an input is."""
    return {"next_state" if name == "state" else name: value for name, value in answer.items()}


_FORMS = {
    "SequenceTagger": {"predict": _tagger},
    "SequenceClassifier": {"predict": _reader},
    "SequenceRegressor": {"predict": _reader},
    "LanguageModel": {"log_probability": _log_probability, "begin": _begin, "step": _step},
    "SequenceGenerator": {"begin": _begin, "step": _step},
    "Seq2Seq": {"encode": _encode, "step": _decode},
}
