"""Write one export: a hidden folder first, the check in the C++ runtime, then the next version by rename.

A server that polls the folder sees a version whole or not at all; several exports to one folder at once each get a
version of their own; a fault, or Ctrl-C, leaves nothing behind.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

import seqkit
from seqkit.errors import ExportError, ParameterError
from seqkit.export import runtime, warmup
from seqkit.export.check import CheckReport, check_saved_model
from seqkit.export.manifest import EXPORT_FILE, EXPORT_FORMAT, EXPORT_FORMAT_VERSION, version_folders

Tensors = Mapping[str, np.ndarray]


def raw_variables(model: object) -> list[tf.Variable]:
    """The TensorFlow variables of a Keras model, for a ``tf.Module`` to hold in its place.

    A SavedModel of a module that holds the Keras model itself loads in Python and nowhere else.

    Parameters
    ----------
    model : keras.Model or keras.Layer
        A built one.

    Returns
    -------
    list of tf.Variable
    """
    return [variable.value for variable in model.variables]


def write_export(
    root: str | Path,
    module: tf.Module,
    signatures: Mapping[str, Callable],
    *,
    requests: Mapping[str, Sequence[Tensors]],
    expected: Mapping[str, Sequence[Tensors]],
    manifest: Mapping[str, object],
    assets_extra: Mapping[str, str | bytes | Path] | None = None,
    atol: float = 1e-4,
    rtol: float = 1e-4,
) -> Path:
    """Write ``root/<next version>`` for TensorFlow Serving, checked in TensorFlow's C++ runtime.

    Parameters
    ----------
    root : str or Path
        The model's folder; its name is the model's name. Made if it is not there.
    module : tf.Module
        Holds every table and every raw variable (:func:`raw_variables`) that the signatures use.
    signatures : mapping of str to tf.function or ConcreteFunction
        Each takes named tensors and returns a dict of named tensors.
    requests : mapping of str to sequence of mappings
        For each signature at least one request; they go into the warm-up file, up to 1,000.
    expected : mapping of str to sequence of mappings
        What the model answers to ``requests``, one for one, found by another way than the signatures.
    manifest : mapping
        What the export should say about itself; JSON values. Format, versions, signatures and ops are added.
    assets_extra : mapping of str to str, bytes or Path, optional
        Further files for ``assets.extra``: name to content, or to a file to copy.
    atol, rtol : float
        How far floats may be from ``expected``.

    Returns
    -------
    Path
        The version folder.

    Raises
    ------
    ExportError
        If the model does not save, load, run or answer as expected; nothing is left behind.
    """
    root = Path(root)
    _check_arguments(signatures, requests, expected, assets_extra or {})
    text = _to_json(dict(manifest))  # fails before the long work
    made = _make_folders(root)
    temporary = root / f".export-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        _save(temporary, module, signatures)
        requests = _as_inputs(temporary, requests)
        warmup.write_warmup(temporary, root.absolute().name, requests)
        report = check_saved_model(temporary, requests=requests, expected=expected, atol=atol, rtol=rtol)
        if not report.ok:
            more = f" ({len(report.problems) - 1} more)" if len(report.problems) > 1 else ""
            raise ExportError(f"{root}: the export fails in TensorFlow's C++ runtime: {report.problems[0]}{more}")
        _write_extra(temporary, {**(assets_extra or {}), EXPORT_FILE.name: _manifest(json.loads(text), report)})
        _make_readable(temporary)
        return _publish(temporary, root)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


def _check_arguments(signatures: Mapping, requests: Mapping, expected: Mapping, extra: Mapping) -> None:
    if not signatures:
        raise ParameterError("signatures: expected at least one, got none")
    for name, given in (("requests", requests), ("expected", expected)):
        if set(given) != set(signatures):
            raise ParameterError(f"{name}: expected one entry for each of {sorted(signatures)}, got {sorted(given)}")
    for name in signatures:
        if not len(requests[name]) == len(expected[name]) > 0:
            raise ParameterError(
                f"signature {name!r}: expected at least one request and as many answers, "
                f"got {len(requests[name])} and {len(expected[name])}"
            )
    for name in extra:
        if Path(name).name != name or name in (EXPORT_FILE.name, warmup.FILE.name):
            raise ParameterError(f"assets_extra: {name!r} is not a free file name")


def _make_folders(root: Path) -> list[Path]:
    """Make the folder and those above it; the ones made, innermost first."""
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    root.mkdir(parents=True, exist_ok=True)
    return missing


def _save(folder: Path, module: tf.Module, signatures: Mapping[str, Callable]) -> None:
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    try:
        tf.saved_model.save(module, str(folder), signatures=dict(signatures), options=options)
    except (ValueError, TypeError, AssertionError, tf.errors.OpError) as error:
        raise ExportError(
            f"TensorFlow does not save the model: {error}. The module must hold every table and every raw variable "
            "that the signatures use"
        ) from error


def _as_inputs(folder: Path, requests: Mapping[str, Sequence[Tensors]]) -> dict[str, list[dict[str, np.ndarray]]]:
    """The requests in the very types that the signatures take, as a server wants them."""
    signatures, result = runtime.SavedModelFile(folder).signatures, {}
    for name, items in requests.items():
        specs = signatures[name]["inputs"]
        result[name] = []
        for index, inputs in enumerate(items):
            if set(inputs) != set(specs):
                got = sorted(inputs)
                raise ExportError(f"requests[{name!r}][{index}]: expected the inputs {sorted(specs)}, got {got}")
            try:
                result[name].append({key: runtime.as_input(key, specs[key], value) for key, value in inputs.items()})
            except runtime.RuntimeModelError as error:
                raise ExportError(f"requests[{name!r}][{index}]: {error}") from error
    return result


def _manifest(given: dict, report: CheckReport) -> str:
    return _to_json(
        {
            **given,
            "format": EXPORT_FORMAT,
            "format_version": EXPORT_FORMAT_VERSION,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": {
                "seqkit": seqkit.__version__,
                "tensorflow": tf.__version__,
                "keras": importlib.metadata.version("keras"),
            },
            "signatures": {
                signature.name: {
                    side: {
                        name: {"dtype": spec.dtype, "shape": None if spec.shape is None else list(spec.shape)}
                        for name, spec in specs.items()
                    }
                    for side, specs in (("inputs", signature.inputs), ("outputs", signature.outputs))
                }
                for signature in report.signatures
            },
            "non_core_ops": report.non_core_ops,
            "check": {
                "runtime": report.version,
                "requests": {s.name: len(s.seconds) for s in report.signatures},
                "largest_difference": max(s.largest_difference for s in report.signatures),
            },
        }
    )


def _to_json(value: dict) -> str:
    def plain(item):
        if isinstance(item, (np.generic, np.ndarray)):
            return item.tolist()
        if isinstance(item, Path):
            return str(item)
        raise ParameterError(f"manifest: expected JSON values, got {type(item).__name__}: {item!r}")

    return json.dumps(value, indent=2, ensure_ascii=False, default=plain) + "\n"


def _write_extra(folder: Path, files: Mapping[str, str | bytes | Path]) -> None:
    (folder / "assets.extra").mkdir(exist_ok=True)
    for name, content in files.items():
        if isinstance(content, Path):
            content = content.read_bytes()
        (folder / "assets.extra" / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _make_readable(folder: Path) -> None:
    """A server often runs as another user."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def _publish(temporary: Path, root: Path) -> Path:
    number = max(version_folders(root), default=0) + 1
    while True:
        target = root / str(number)
        try:
            os.rename(temporary, target)
            return target
        except OSError as error:
            if not target.exists():
                raise ExportError(f"{target}: cannot put the export in its place ({error})") from error
            number += 1  # another export was quicker
