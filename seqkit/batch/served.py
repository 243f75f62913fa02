"""Answers of an exported model, by TensorFlow's C++ runtime: no Keras, no TensorFlow in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqkit.errors import DataError, ParameterError
from seqkit.export.answers import rows_of
from seqkit.export.manifest import EXPORT_FILE, read_manifest, version_folders
from seqkit.export.requests import generate_request, predict_request
from seqkit.export.runtime import Runtime, RuntimeModelError, SavedModelFile
from seqkit.export.safety import check_ops

_ROWS, _PLACES = 128, 16_384  # most rows that are asked at once, and most places of them with their padding
_LENGTH = 100  # most items of what is written, where the export does not say
#: How a model that writes is asked: for the likeliest item each time, as its `predict` is.
_LIKELIEST = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0}


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
        self._signatures = self._runtime.signatures
        told = self._signatures["serving_default"]["outputs"]
        self.types = _types(self.manifest, told)
        self.default = ("entities",) if self.manifest.get("scheme") else tuple(self.types)
        if self.manifest["task"] == "tagging" and "tokens" not in told:
            self.default = ("tags",)

    def __call__(self, inputs: list) -> dict[str, list]:
        """Answer texts, lists of tokens or of vectors, or contexts: every column, as a list of as many items."""
        found: list[dict[str, Any]] = [{}] * len(inputs)
        order = sorted(range(len(inputs)), key=lambda i: _size(inputs[i]))
        while order:
            # The longest first: where there is not enough memory, that shows at once.
            count = max(min(_ROWS, _PLACES // max(_size(inputs[order[-1]]), 1)), 1)
            some, order = order[-count:], order[:-count]
            asked = [inputs[i] for i in some]
            try:
                rows = self._ask(asked)
            except RuntimeModelError as error:
                raise DataError(str(error)) from error
            for i, row in zip(some, rows, strict=True):
                found[i] = row
        return {name: [row.get(name) for row in found] for name in self.types}

    def _ask(self, asked: list) -> list[dict[str, Any]]:
        if self.manifest["task"] == "generation":
            settings = _LIKELIEST | {"max_length": self.manifest.get("longest", _LENGTH)}
            contexts = None if self.manifest["context"] == "none" else asked
            nothing = [""] * len(asked) if "text" in self.types else [[]] * len(asked)
            request = generate_request(self._signatures, nothing, contexts, settings)
            return rows_of(self.manifest, self._runtime.run("generate", request))
        signature, request = predict_request(self._signatures, asked)
        words = asked if {"text", "tokens"} & set(request) else None
        return rows_of(self.manifest, self._runtime.run(signature, request), words)


def is_export(folder: str | Path) -> bool:
    """Whether a folder holds an exported model, or versions of one."""
    path = Path(folder)
    return any((p / EXPORT_FILE).is_file() for p in [path, *version_folders(path).values()])


def _size(item: Any) -> int:
    return len(item) if hasattr(item, "__len__") else 1


def _types(manifest, outputs) -> dict[str, Any]:
    """Return the Arrow types of the columns of a model whose ``serving_default`` has these outputs."""
    import pyarrow as pa

    from seqkit.batch.answers import entity_type

    task = manifest.get("task")
    words, numbers = pa.list_(pa.string()), pa.list_(pa.float32())
    if task == "tagging":
        types = {"tokens": words, "tags": words, "scores": numbers, "entities": pa.list_(entity_type())}
        return types if "tokens" in outputs else {"tags": words, "scores": numbers}
    if task in ("classification", "tree classification"):
        shares = pa.struct([(name, pa.float32()) for name in manifest["classes"]])
        return {**({"labels": words} if "labels" in outputs else {"label": pa.string()}), "probabilities": shares}
    if task == "regression":
        return {"value": pa.float32() if manifest["values"] == 1 else numbers}
    if task == "language_model":
        return {"log_probability": pa.float64()}
    if task == "seq2seq":
        told = {"texts": {"text": pa.string()}, "tokens": {"tokens": words}}.get(manifest["targets"])
        return {"value": pa.list_(numbers)} if told is None else {**told, "score": pa.float32()}
    if task == "generation":
        kinds = {"text": pa.string(), "tokens": words, "frames": pa.list_(numbers)}
        return {name: kind for name, kind in kinds.items() if name in outputs}
    raise ParameterError(f"an export for {task or 'an unknown task'} has no answers for batches.")
