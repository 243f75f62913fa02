"""What an exported model answers, row by row, as Python values: entities with offsets, labels with probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

Outputs = Mapping[str, np.ndarray]


def rows_of(manifest: Mapping[str, Any], outputs: Outputs, asked: Sequence | None = None) -> list[dict[str, Any]]:
    """Return what each row of an answer says.

    Parameters
    ----------
    manifest : mapping
        The export's; its ``task`` tells what the outputs mean.
    outputs : mapping of str to numpy.ndarray
        What ``serving_default``, ``tokens`` or ``generate`` gave; strings as bytes or as text.
    asked : sequence of str, of list of str, or None, default=None
        The texts or tokens that were asked about, for the entities in them.

    Returns
    -------
    list of dict
        Of a tagger: ``tags``, ``scores``, of texts ``tokens``, and ``entities`` as `seqkit.SequenceTagger.tag` has them
        (of tokens, ``start`` and ``end`` are their numbers). Of a classifier: ``label`` (or ``labels``) and
        ``probabilities`` by class. Of a regressor: ``value``. Of a language model: ``log_probability``. Of an
        encoder-decoder: the best ``text`` (``tokens``) and its ``score``; or ``value``. Of what writes: ``text``,
        ``tokens`` or ``frames``, and ``log_probability``. Of any other model: each output's own value.
    """
    return _TASKS.get(manifest.get("task"), _plain)(manifest, outputs, asked)


def _tags(manifest, outputs, texts):
    from seqkit.tags import gather_entities, place_among_tokens

    names = ("tokens", "tags", "scores", "starts", "ends")
    columns = {name: outputs[name].tolist() for name in names if name in outputs}
    rows = []
    for i, length in enumerate(outputs["lengths"].tolist()):
        cut = {name: values[i][:length] for name, values in columns.items()}
        row = {name: cut[name] if name == "scores" else _strings(cut[name]) for name in names[:3] if name in cut}
        if texts is not None:
            row.setdefault("tokens", texts[i])
            place = _place(texts[i], cut) if "starts" in cut else place_among_tokens(texts[i])
            row["entities"] = gather_entities(row["tags"], manifest.get("scheme"), place, row["scores"])
        rows.append(row)
    return rows


def _place(text: str, cut: Mapping[str, Sequence[int]]) -> Callable[[int, int], tuple[int, int, str]]:
    """Return where entities are in a text, given the byte offsets of its tokens; see `seqkit.tags.gather_entities`."""
    character = _characters(text)

    def place(first, after):
        start, end = character(cut["starts"][first]), character(cut["ends"][after - 1])
        return start, end, text[start:end]

    return place


def _classes(manifest, outputs, texts):
    probabilities = outputs["probabilities"].tolist()
    classes = manifest.get("classes") or _strings(outputs["classes"][0].tolist())
    several = "labels" in outputs
    chosen = outputs["labels" if several else "label"].tolist()
    rows = []
    for said, row in zip(chosen, probabilities, strict=True):
        label = {"labels": [name for name in _strings(said) if name]} if several else {"label": _string(said)}
        rows.append({**label, "probabilities": dict(zip(classes, row, strict=True))})
    return rows


def _values(manifest, outputs, texts):
    return [{"value": row[0] if len(row) == 1 else row} for row in outputs["value"].tolist()]


def _likelihoods(manifest, outputs, texts):
    return [{"log_probability": value} for value in outputs["log_probability"].tolist()]


def _targets(manifest, outputs, texts):
    if "value" in outputs:
        lengths = outputs["lengths"].tolist()
        return [{"value": row[:n].tolist()} for row, n in zip(outputs["value"], lengths, strict=True)]
    scores = outputs["scores"][:, 0].tolist()
    if "text" in outputs:
        return [
            {"text": _string(text), "score": score}
            for text, score in zip(outputs["text"][:, 0].tolist(), scores, strict=True)
        ]
    best = zip(outputs["tokens"][:, 0].tolist(), outputs["lengths"][:, 0].tolist(), scores, strict=True)
    return [{"tokens": _strings(row[:length]), "score": score} for row, length, score in best]


def _written(manifest, outputs, texts):
    scores = outputs["log_probability"].tolist()
    if "text" in outputs:
        told = [{"text": _string(text)} for text in outputs["text"].tolist()]
    else:
        name = "tokens" if "tokens" in outputs else "frames"
        cut = [row[:n].tolist() for row, n in zip(outputs[name], outputs["lengths"].tolist(), strict=True)]
        told = [{name: _strings(row) if name == "tokens" else row} for row in cut]
    return [{**row, "log_probability": score} for row, score in zip(told, scores, strict=True)]


def _plain(manifest, outputs, texts):
    columns = {name: values.tolist() for name, values in outputs.items()}
    count = len(next(iter(columns.values()), []))
    return [{name: _decoded(values[i]) for name, values in columns.items()} for i in range(count)]


_TASKS: dict[str, Callable] = {
    "tagging": _tags,
    "classification": _classes,
    "tree classification": _classes,
    "regression": _values,
    "language_model": _likelihoods,
    "seq2seq": _targets,
    "generation": _written,
}


def _characters(text: str) -> Callable[[int], int]:
    """Return a function from the place of a byte in a text to that of its character."""
    if text.isascii():
        return lambda at: at
    places = {at: i for i, at in enumerate(accumulate((len(c.encode()) for c in text), initial=0))}
    return places.__getitem__


def _string(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _strings(values: Sequence[bytes | str]) -> list[str]:
    return [_string(value) for value in values]


def _decoded(value: object) -> object:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return _string(value) if isinstance(value, bytes) else value
