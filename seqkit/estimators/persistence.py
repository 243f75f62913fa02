"""Saved estimators: a folder of JSON and weights that runs no code when it is loaded.

``config.json``
    class, parameters, the model's configuration and plain fitted state.
``vocabulary.json``, ``labels.json``
    What fit learned about tokens, and the classes or tags.
``weights.npz``
    The model's weights in order; read without pickle.
``manifest.json``
    Versions, fingerprint of the training data, metrics: for people, not needed to load.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import seqkit
from seqkit.errors import ModelFileError, ParameterError

FORMAT = 1
_PAIRS = "(key, value) pairs"
_DAMAGE = (EOFError, zipfile.BadZipFile, RecursionError, NotImplementedError, MemoryError)


def save(estimator, folder: str | os.PathLike, extra: Mapping[str, bytes] | None = None) -> Path:
    """Write a fitted estimator, and files of other names beside its own; see `BaseSequenceEstimator.save`."""
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and not (folder / "config.json").exists() and any(folder.iterdir())):
        raise ModelFileError(f"{folder} exists and holds something else than a saved estimator. Choose another folder.")
    config = {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "parameters": {name: _plain(name, value) for name, value in estimator._parameters_to_save().items()},
        "model": estimator._model_config,
        "state": {name: getattr(estimator, name) for name in estimator._plain_state if hasattr(estimator, name)},
    }
    weights = {str(i): w for i, w in enumerate(estimator.model_.get_weights())}
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        _write_json(temporary / "config.json", config)
        for name in estimator._vocabularies:
            vocabulary = getattr(estimator, name, None)
            _write_json(temporary / f"{name.strip('_')}.json", None if vocabulary is None else vocabulary.to_json())
        classes = getattr(estimator, estimator._labels, None)
        _write_json(temporary / "labels.json", None if classes is None else encode_labels(classes))
        _write_json(temporary / "manifest.json", manifest(estimator))
        np.savez(temporary / "weights.npz", **weights)
        for name, content in (extra or {}).items():
            (temporary / name).write_bytes(content)
        _replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def load(folder: str | os.PathLike, *, expected: type | None = None):
    """Load a saved estimator of any class.

    Parameters
    ----------
    folder : str or os.PathLike
        What an estimator's ``save`` wrote.
    expected : type, optional
        The class it must be of.

    Returns
    -------
    estimator

    Raises
    ------
    ModelFileError
        If the folder is missing, is damaged, or holds another thing.
    """
    from seqkit.estimators import all_estimators
    from seqkit.text.features import TokenVocabulary

    folder = Path(folder)
    if (folder / "saved_model.pb").exists():
        raise ModelFileError(
            f"{folder} is a SavedModel for serving, which cannot be loaded as an estimator. Load the folder save() "
            "wrote, or run this one with TensorFlow Serving (python -m seqkit check shows its signatures)."
        )
    if not (folder / "config.json").is_file():
        why = "has no config.json" if folder.is_dir() else "does not exist"
        raise ModelFileError(f"{folder} {why}. Expected a folder written by an estimator's save().")
    config = _read_json(folder / "config.json")
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        got = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise ModelFileError(
            f"{folder}: format {got!r} is not known to seqkit {seqkit.__version__}, which reads {FORMAT}."
        )
    classes = dict(all_estimators())
    cls = classes.get(config.get("class"))
    if cls is None:
        raise ModelFileError(f"{folder}: holds a {config.get('class')!r}; known are {', '.join(classes)}.")
    if expected is not None and not issubclass(cls, expected):
        raise ModelFileError(
            f"{folder} holds a {cls.__name__}, not a {expected.__name__}. Use {cls.__name__}.load() or seqkit.load()."
        )
    try:
        _check_plain(config["model"])
        estimator = cls(**{name: _unplain(value) for name, value in config["parameters"].items()})
        for name in cls._plain_state:
            if name in config["state"]:
                setattr(estimator, name, config["state"][name])
        for name in cls._vocabularies:
            vocabulary = _read_json(folder / f"{name.strip('_')}.json")
            if vocabulary is not None:
                setattr(estimator, name, TokenVocabulary.from_json(vocabulary))
        labels = _read_json(folder / "labels.json")
        if labels is not None:
            setattr(estimator, estimator._labels, decode_labels(labels))
        estimator._model_config = config["model"]
        with np.load(folder / "weights.npz", allow_pickle=False) as file:
            weights = [file[str(i)] for i in range(len(file.files))]
        estimator._set_model(estimator._build_model())
        estimator.model_.set_weights(weights)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, OSError, *_DAMAGE) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{folder} is damaged: {type(error).__name__}: {error}. Save the model again.") from error
    return estimator


def _check_plain(model: dict) -> None:
    """Refuse a model configuration with nested objects: Keras would look up classes by their names."""
    for name, value in model.items():
        values = value if isinstance(value, list) else [value]
        if not all(v is None or isinstance(v, str | int | float | bool) for v in values):
            raise ValueError(f"model: {name} is {value!r:.80}, expected a plain value or a list of them")


# What is said of a model's quality, from its history.
_BEST = {"f1": max, "accuracy": max, "r2": max, "validation_loss": min}


def manifest(estimator) -> dict:
    """Describe a fitted estimator: versions, data, metrics."""
    history = getattr(estimator, "history_", {})
    return {
        "kind": "estimator",
        "class": type(estimator).__name__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "seqkit": seqkit.__version__,
            **{name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")},
        },
        "data_fingerprint": getattr(estimator, "data_fingerprint_", None),
        "parameters": {name: _plain(name, value) for name, value in estimator._parameters_to_save().items()},
        "weights": int(sum(np.size(w) for w in estimator.model_.get_weights())),
        "epochs": len(history.get("loss", [])),
        "metrics": {name: best(history[name]) for name, best in _BEST.items() if name in history},
    }


def encode_labels(labels: np.ndarray) -> dict:
    """Turn labels into JSON that keeps their types."""
    kinds = {type(label).__name__ for label in labels}
    values = [label.item() if isinstance(label, np.generic) else label for label in labels]
    if not all(type(value) in (str, int, float, bool) for value in values):
        raise ModelFileError(f"Labels must be strings or numbers to be saved, got {', '.join(sorted(kinds))}.")
    return {"dtype": labels.dtype.str, "types": [_type_name(label) for label in labels], "values": values}


def _type_name(label: object) -> str:
    if isinstance(label, np.generic):
        return f"numpy.{np.dtype(type(label)).name}"
    return type(label).__name__


def decode_labels(data: dict) -> np.ndarray:
    """Make labels of what `encode_labels` gave."""
    plain = {"str": str, "int": int, "float": float, "bool": bool}
    labels = np.empty(len(data["values"]), object)
    for i, (name, value) in enumerate(zip(data["types"], data["values"], strict=True)):
        kind = np.dtype(name.removeprefix("numpy.")).type if name.startswith("numpy.") else plain[name]
        labels[i] = kind(value)
    return labels.astype(np.dtype(data["dtype"]))


def _plain(name: str, value: object) -> object:
    """Return a parameter's value in a form that JSON has."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.random.RandomState):
        return None  # a generator's state is not part of a model
    if hasattr(value, "get_config"):
        import keras

        return keras.saving.serialize_keras_object(value)
    if isinstance(value, tuple | list):
        return [_plain(name, v) for v in value]
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):  # JSON has no such keys
        return {_PAIRS: [[_plain(name, key), _plain(name, item)] for key, item in value.items()]}
    if isinstance(value, dict):
        return {key: _plain(name, item) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ParameterError(f"{name}={value!r:.80} cannot be saved: expected plain values (text, numbers, lists).")


def _unplain(value: object) -> object:
    """Undo `_plain` where JSON could not hold the value as it was."""
    return dict(value[_PAIRS]) if isinstance(value, dict) and list(value) == [_PAIRS] else value


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8", errors="surrogatepass")


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from error


def _replace(temporary: Path, folder: Path) -> None:
    """Put a finished folder in the place of an old one, if any."""
    if folder.exists():
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        os.rename(folder, old)
        os.rename(temporary, folder)
        shutil.rmtree(old)
    else:
        os.rename(temporary, folder)
