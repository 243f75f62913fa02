"""Answers of an exported model, by TensorFlow's C++ runtime: no Keras, no TensorFlow in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seqkit.errors import ParameterError
from seqkit.export.answers import rows_of
from seqkit.export.manifest import EXPORT_FILE, read_manifest, version_folders
from seqkit.export.runtime import Runtime, SavedModelFile
from seqkit.export.safety import check_ops

_ROWS, _PLACES = 128, 16_384  # most rows that are asked at once, and most places of them with their padding


class ServedAnswers:
    """The columns of an exported model's answers, as `seqkit.batch.answers.Answers` has them.

    Parameters
    ----------
    folder : str or Path
        A version folder, or the folder above it, of which the highest version counts.
    allow_ops : sequence of str
        Ops that touch files or processes and may be run all the same.
    """

    def __init__(self, folder: str | Path, allow_ops=()):
        path = Path(folder)
        if not (path / "saved_model.pb").is_file() and (versions := version_folders(path)):
            path = versions[max(versions)]
        check_ops(SavedModelFile(path), path, allow_ops)
        self.manifest = read_manifest(path)
        self._runtime = Runtime(path)
        self.types = _types(self.manifest)
        told = self._runtime.signatures["serving_default"]["outputs"]
        for name in {"label", "labels"} - set(told):
            self.types.pop(name, None)
        self.default = ("entities",) if self.manifest.get("scheme") else tuple(self.types)

    def __call__(self, inputs: list) -> dict[str, list]:
        """Answer texts, or lists of tokens: every column, as a list of as many items."""
        texts = bool(inputs) and isinstance(inputs[0], str)
        found: list[dict[str, Any]] = [{}] * len(inputs)
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i]))
        while order:
            size = len(inputs[order[-1]])  # the longest first: where there is not enough memory, that shows at once
            count = max(min(_ROWS, _PLACES // max(size, 1)), 1)
            some, order = order[-count:], order[:-count]
            asked = [inputs[i] for i in some]
            signature, request = self._request(asked, texts)
            outputs = self._runtime.run(signature, request)
            for i, row in zip(some, rows_of(self.manifest, outputs, asked), strict=True):
                found[i] = row
        return {name: [row.get(name) for row in found] for name in self.types}

    def _request(self, asked: list, texts: bool) -> tuple[str, dict[str, np.ndarray]]:
        signatures = self._runtime.signatures
        name = "serving_default" if texts else "tokens"
        if name not in signatures or (texts and not {"text", "tree"} & set(signatures[name]["inputs"])):
            raise ParameterError(f"this export answers no {'texts' if texts else 'lists of tokens'}.")
        if texts:
            (given,) = signatures[name]["inputs"]
            return name, {given: np.array([text.encode() for text in asked], object)}
        table = np.full((len(asked), max(map(len, asked))), b"", object)
        for i, row in enumerate(asked):
            table[i, : len(row)] = [token.encode() for token in row]
        return name, {"tokens": table}


def is_export(folder: str | Path) -> bool:
    """Whether a folder holds an exported model, or versions of one."""
    path = Path(folder)
    return any((p / EXPORT_FILE).is_file() for p in [path, *version_folders(path).values()])


def _types(manifest) -> dict[str, Any]:
    import pyarrow as pa

    from seqkit.batch.answers import entity_type

    task = manifest.get("task")
    words, numbers = pa.list_(pa.string()), pa.list_(pa.float32())
    if task == "tagging":
        return {"tokens": words, "tags": words, "scores": numbers, "entities": pa.list_(entity_type())}
    if task in ("classification", "tree classification"):
        shares = pa.struct([(name, pa.float32()) for name in manifest["classes"]])
        return {"label": pa.string(), "labels": words, "probabilities": shares}
    if task == "regression":
        return {"value": pa.float32() if manifest["values"] == 1 else numbers}
    if task == "language_model":
        return {"log_probability": pa.float64()}
    if task == "seq2seq":
        told = {"texts": {"text": pa.string()}, "tokens": {"tokens": words}}.get(manifest["targets"])
        return {"value": pa.list_(numbers)} if told is None else {**told, "score": pa.float32()}
    raise ParameterError(f"an export for {task or 'an unknown task'} has no answers for batches.")
