"""What to ask an exported model: texts, tokens, vectors or contexts as the inputs of one of its signatures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.export.runtime import TensorSpec

#: ``{name: {"inputs": {name: TensorSpec}, "outputs": …}}``
Signatures = Mapping[str, Mapping[str, Mapping[str, TensorSpec]]]


def kind_of(X: Sequence) -> str:
    """Return what sequences are: "texts", "tokens" or "vectors"; of empty ones, "tokens"."""
    for item in X:
        if isinstance(item, str):
            return "texts"
        if len(item):
            return "tokens" if isinstance(item[0], str) else "vectors"
    return "tokens"


def predict_request(signatures: Signatures, X: Sequence, name: str = "X") -> tuple[str, dict[str, np.ndarray]]:
    """Return the signature that answers sequences, and its inputs.

    Parameters
    ----------
    signatures : mapping
        Those of the model.
    X : sequence
        Texts (of a model of trees, trees in brackets), lists of tokens, or arrays (length, d).
    name : str
        What errors call X.

    Raises
    ------
    ParameterError
        If the model has no signature for them.
    DataError, InputTypeError
        If an item is none of these, or not of the same kind as the others.
    """
    kind = _checked_kind(X, name)
    for signature in ("serving_default", "tokens"):
        inputs = signatures.get(signature, {}).get("inputs", {})
        if kind == "texts" and set(inputs) in ({"text"}, {"tree"}):
            return signature, {next(iter(inputs)): texts(X, name)}
        if kind == "tokens" and set(inputs) == {"tokens"}:
            return signature, {"tokens": string_table(X)}
        if set(inputs) == {"features", "lengths"} and (kind == "vectors" or not any(map(len, X))):
            return signature, vector_table(X, inputs["features"], name)
    answered = sorted(
        {key for s in signatures.values() for key in s["inputs"]} & {"text", "tree", "tokens", "features"}
    )
    raise ParameterError(
        f"{name} holds {'lists of tokens' if kind == 'tokens' else kind}, for which this model has no signature; it "
        f"answers {' or '.join(answered) or 'none of these'}."
    )


def _checked_kind(X: Sequence, name: str) -> str:
    for i, item in enumerate(X):
        if item is None or isinstance(item, bytes) or not hasattr(item, "__len__"):
            raise InputTypeError(
                f"{name}[{i}] must be a string, a list of tokens or an array (length, d); got {type(item).__name__}."
            )
    kind = kind_of(X)
    for i, item in enumerate(X):
        if isinstance(item, str) != (kind == "texts"):
            got = "a string" if isinstance(item, str) else type(item).__name__
            raise InputTypeError(f"{name}[{i}] must be of the same kind as the items before it; got {got}.")
        if kind == "tokens":
            wrong = next((token for token in item if not isinstance(token, str)), None)
            if wrong is not None:
                raise InputTypeError(f"{name}[{i}] must hold strings (tokens); got {wrong!r:.60}.")
    return kind


def texts(X: Sequence[str], name: str = "X") -> np.ndarray:
    """Return texts as an array of bytes, [n]."""
    rows = np.empty(len(X), object)
    for i, text in enumerate(X):
        try:
            rows[i] = text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{name}[{i}] is not text that UTF-8 can write: {error}.") from error
    return rows


def table(rows: Sequence, fill: object, dtype: object) -> np.ndarray:
    """Return rows of differing lengths, lists or arrays [length, …], as one array, padded at the end."""
    inner = np.shape(rows[0])[1:] if len(rows) else ()
    values = np.full((len(rows), max(map(len, rows), default=0), *inner), fill, dtype)
    for i, row in enumerate(rows):
        values[i, : len(row)] = row
    return values


def string_table(rows: Sequence[Sequence[str]]) -> np.ndarray:
    """Return lists of strings as an array of bytes, [n, T]; "" pads."""
    return table([[text.encode() for text in row] for row in rows], b"", object)


def vector_table(X: Sequence, features: TensorSpec, name: str = "X") -> dict[str, np.ndarray]:
    """Return vectors as ``features``, float32 [n, T, d] with 0 after the end, and ``lengths``, int32 [n]."""
    width = features.shape[-1]
    lengths = np.fromiter(map(len, X), np.int32, len(X))
    table = np.zeros((len(X), max(lengths.max(initial=0), 1), width), np.float32)
    for i, row in enumerate(X):
        values = np.asarray(row, np.float32)
        if values.ndim == 1 and width == 1:
            values = values[:, None]
        if len(values) and values.shape[1:] != (width,):
            raise DataError(f"{name}[{i}] must have shape (length, {width}); got {values.shape}.")
        if len(values):
            table[i, : len(values)] = values
    return {"features": table, "lengths": lengths}


def generate_request(
    signatures: Signatures, prompts: Sequence | None, contexts: Sequence | None, settings: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the inputs of the signature ``generate``.

    Parameters
    ----------
    signatures : mapping
        Those of the model.
    prompts : sequence or None
        Texts, lists of tokens or arrays of frames to go on from; None for nothing.
    contexts : sequence or None
        Styles or vectors, where the model has a context.
    settings : mapping
        ``max_length``, ``temperature``, ``top_k``, ``top_p`` and ``seed``: a value for all rows, or one for each.
    """
    if "generate" not in signatures:
        raise ParameterError("This model has no signature 'generate': it is none that writes.")
    specs = signatures["generate"]["inputs"]
    if (contexts is not None) != ("context" in specs):
        raise ParameterError("context is needed by this model." if "context" in specs else "This model has no context.")
    counts = {len(given) for given in (prompts, contexts) if given is not None} or {1}
    if len(counts) > 1:
        raise DataError(f"prompts and context must be of one length; got {len(prompts)} and {len(contexts)}.")
    (count,) = counts
    request: dict[str, np.ndarray] = {}
    prompt = specs["prompt"]
    if prompt.dtype != "string":
        table = vector_table(prompts if prompts is not None else [[]] * count, prompt, "prompts")
        request |= {"prompt": table["features"], "prompt_lengths": table["lengths"]}
    elif len(prompt.shape) == 1:
        request["prompt"] = texts(prompts if prompts is not None else [""] * count, "prompts")
    else:
        request["prompt"] = string_table(prompts if prompts is not None else [[]] * count)
    if contexts is not None:
        styles = specs["context"].dtype == "string"
        request["context"] = texts(list(map(str, contexts)), "context") if styles else np.asarray(contexts, np.float32)
    for key, value in settings.items():
        request[key] = np.broadcast_to(np.asarray(value, specs[key].dtype), [count]).copy()
    return request
