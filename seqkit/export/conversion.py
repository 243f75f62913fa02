"""What conversions to other runtimes share: the description beside a model, and the check before it appears.

A converted model is one file, and beside it ``<file>.json``: what the model is, its inputs and outputs, its classes,
and where it reads tokens the vocabulary, for `seqkit.export.token_inputs.TokenInputs`.
"""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import tensorflow as tf

import seqkit
from seqkit.console import hushed
from seqkit.errors import ExportError
from seqkit.export.check import compare
from seqkit.export.numeric_form import Arrays, Form
from seqkit.export.token_inputs import TokenInputs
from seqkit.io.lines import replacing, write_whole
from seqkit.text.features import TokenVocabulary

FORMAT, FORMAT_VERSION = "seqkit-conversion", 1
_TOLERANCE = 1e-4

Made = TypeVar("Made")
Run = Callable[[Arrays], Mapping[str, np.ndarray]]


def quietly(make: Callable[[], Made]) -> Made:
    """Return what a function makes, without what native libraries tell beside it, even where it fails."""
    with hushed():
        try:
            return make()
        except Exception as error:  # of any kind: converters raise what comes
            failure = error
    raise failure


def fitted(model):
    """Return a fitted estimator, given one or the folder that its ``save`` wrote."""
    if isinstance(model, str | os.PathLike):
        return seqkit.load(model)
    model._check_fitted()
    return model


def describe(estimator, form: Form, sizes: Mapping[str, int], runtime: str, packages: tuple[str, ...]) -> dict:
    """Return what the JSON file says; outputs and check are added by `write_checked`."""
    about = estimator._manifest()
    versions = about["versions"] | {name: importlib.metadata.version(name) for name in packages}
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": "conversion",
        "runtime": runtime,
        "signature": form.name,
        **form.about,
        "inputs": {
            name: {
                "dtype": dtype.name,
                "shape": [sizes.get(axis, -1) if isinstance(axis, str) else axis for axis in shape],
                "axes": [axis if isinstance(axis, str) else None for axis in shape],
            }
            for name, (dtype, shape) in form.inputs.items()
        },
        **{name: about[name] for name in ("class", "data_fingerprint", "parameters", "weights", "metrics")},
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions,
    }
    if form.vocabulary is not None:
        description["vocabulary"] = vocabulary_description(form.vocabulary)
    return description


def vocabulary_description(vocabulary: TokenVocabulary) -> dict:
    """Return a vocabulary with the classes of characters that its look-up goes by."""
    return vocabulary.to_json() | {"unicode": _unicode()}


@functools.cache
def _unicode() -> dict:
    """Return the characters of some classes and their lower cases, by TensorFlow's own tables."""
    codes = [code for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    every = "".join(map(chr, codes))
    kinds = {
        kind: tf.strings.regex_replace([every], rf"[^\p{{{kind}}}]", "").numpy()[0].decode()
        for kind in ("Lu", "Ll", "Nd")
    }
    lines = tf.strings.lower(["\n".join(every)], encoding="utf-8").numpy()[0].decode().split("\n")
    # The line feed itself gave two empty lines.
    lines = [line for line in lines if line]
    lower = {c: low for c, low in zip(every.replace("\n", ""), lines, strict=True) if c != low}
    return {**kinds, "lower": lower}


def write_checked(path: Path, content: bytes, form: Form, description: dict, load: Callable[[bytes], Run]) -> Path:
    """Write a converted model and its description, if it answers as the estimator does; else nothing.

    Parameters
    ----------
    path : Path
        The model's file.
    content : bytes
        What is to be in it.
    form : Form
        What was converted, with a request and the estimator's answer.
    description : dict
        From `describe`.
    load : callable
        From the content to a function that runs it in its own runtime.

    Returns
    -------
    Path

    Raises
    ------
    ExportError
        If the answers differ.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        largest, outputs = _checked(path, load(temporary.read_bytes()), form, description)
        description |= {"outputs": outputs}
        description["check"] = {"rows": len(next(iter(form.request.values()))), "largest_difference": largest}
        with write_whole(path.with_name(f"{path.name}.json")) as stream:
            json.dump(description, stream, ensure_ascii=False, indent=1)
            stream.write("\n")
    return path


def _checked(path: Path, run: Run, form: Form, description: dict) -> tuple[float, dict]:
    """Ask a padded batch, and each of its rows alone; return the largest difference, and what outputs there are."""
    if form.sentences:
        for name, ids in TokenInputs(description | {"inputs": _free(description)})(form.sentences).items():
            if not np.array_equal(ids, form.request[name]):
                raise ExportError(f"{path}: the vocabulary file gives other {name} than the model's own look-up.")
    sizes = {name: given["shape"] for name, given in description["inputs"].items()}
    fixed = sizes and all(size > 0 for shape in sizes.values() for size in shape)
    count, largest, answer = len(next(iter(form.request.values()))), 0.0, {}
    batches = [range(count)] if not fixed else _chunks(count, next(iter(sizes.values()))[0])
    alone = [range(i, i + 1) for i in range(count)]
    for rows in [*batches, *alone]:
        request = {name: values[rows.start : rows.stop] for name, values in form.request.items()}
        wanted = {name: values[rows.start : rows.stop] for name, values in form.expected.items()}
        if fixed:
            request = {name: _padded(values, sizes[name]) for name, values in request.items()}
        elif len(rows) == 1:
            request = _cut(request)
        answer = run(request)
        for name, want in wanted.items():
            got = answer.get(name)
            if got is None:
                raise ExportError(f"{path}: no output {name!r}, got {', '.join(answer)}.")
            if fixed or len(rows) == 1:  # of another length than in the batch
                common = [slice(0, min(sides)) for sides in zip(got.shape, want.shape, strict=True)]
                got, want = got[tuple(common)], want[tuple(common)]
            fault, difference = compare(
                got, want, rtol=_TOLERANCE, atol=_TOLERANCE, runtime_name=description["runtime"]
            )
            largest = max(largest, difference)
            if fault:
                where = f"row {rows.start} alone" if len(rows) == 1 else f"padded rows {rows.start} to {rows.stop - 1}"
                raise ExportError(
                    f"{path}: the converted model does not answer as the estimator does: {where}, output "
                    f"{name!r}{fault}"
                )
    outputs = {name: {"dtype": values.dtype.name, "rank": values.ndim} for name, values in answer.items()}
    return largest, outputs


def _free(description: dict) -> dict:
    return {name: given | {"shape": [-1] * len(given["shape"])} for name, given in description["inputs"].items()}


def _chunks(count: int, rows: int) -> list[range]:
    return [range(first, min(first + rows, count)) for first in range(0, count, rows)]


def _padded(values: np.ndarray, shape: list[int]) -> np.ndarray:
    padded = np.zeros(shape, values.dtype)
    padded[tuple(slice(0, size) for size in values.shape)] = values
    return padded


def _cut(request: Arrays) -> Arrays:
    """Leave out the padding of a single row."""
    lengths = request.get("lengths", request.get("memory_lengths"))
    if lengths is None:
        return request
    length = max(1, int(lengths[0]))
    timed = ("words", "characters", "features", "prompt", "memory")
    return {name: values[:, :length] if name in timed else values for name, values in request.items()}
