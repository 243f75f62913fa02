"""Classes of sequences: checked, and turned into numbers and back."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from seqkit.errors import DataError, InputTypeError
from seqkit.estimators.targets import sorted_classes

SINGLE, INDICATOR, SETS = "one", "indicator", "sets"


def as_targets(y, count: int, name: str = "y") -> np.ndarray | list:
    """Return targets as an array (where they came as one) or a list, one for each of ``count`` sequences."""
    if y is None:
        raise DataError(
            f"This estimator requires {name} to be passed, but the target {name} is None. Give one target a sequence."
        )
    if not isinstance(y, Iterable) and hasattr(y, "__array__"):
        y = np.asarray(y)
    if isinstance(y, str | bytes | dict) or not isinstance(y, Iterable):
        raise InputTypeError(f"{name} must be a list or array, one target for each sequence; got {type(y).__name__}.")
    values = np.asarray(y) if hasattr(y, "to_numpy") else y if isinstance(y, np.ndarray) else list(y)
    if isinstance(values, np.ndarray) and not values.ndim:
        raise InputTypeError(f"{name} must be a list or array, got an array without dimensions.")
    if isinstance(values, np.ndarray) and values.dtype == object:
        values = values.tolist()  # what it holds decides
    if len(values) != count:
        raise DataError(f"X and {name} must have the same number of sequences, got {count} and {len(values)}.")
    return values


def kind_of_classes(values: np.ndarray | list, name: str = "y") -> str:
    """Return whether each sequence has one class, a row of 0 and 1 (a column for each class), or a set of classes."""
    if isinstance(values, list):
        several = [v for v in values if isinstance(v, set | frozenset | list | tuple | np.ndarray)]
        if not several:
            return SINGLE
        if any(isinstance(v, set | frozenset) or any(isinstance(x, str) for x in v) for v in several):
            return SETS
        values = _rectangular(values, name)
    if values.ndim == 2 and values.shape[1] > 1:
        if type_of_target(values) != "multilabel-indicator":
            raise DataError(
                f"{name} has shape {values.shape}: for several classes a sequence it must hold only 0 and 1, a column "
                "for each class; or give a set of classes for each sequence."
            )
        return INDICATOR
    return SINGLE


def _rectangular(values: list, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:
        raise DataError(f"{name} holds lists of differing lengths. Give sets of classes, or rows of 0 and 1.") from None


def column(values: np.ndarray | list, name: str = "y") -> np.ndarray:
    """Return targets as a one-dimensional array that keeps what they are."""
    if isinstance(values, list):
        kinds = {type(v) for v in values}
        if len(kinds) == 1 and issubclass(next(iter(kinds)), bool | int | float | np.number | np.bool_):
            values = np.array(values)
        else:
            flat = values
            values = np.empty(len(flat), object)
            values[:] = flat
    elif values.ndim == 2 and values.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
            stacklevel=4,
        )
        values = values.ravel()
    if values.ndim != 1:
        raise DataError(f"{name} must hold one target for each sequence, got shape {values.shape}.")
    return values


def learn_classes(values: np.ndarray | list, kind: str, name: str = "y") -> np.ndarray:
    """Return the distinct classes, sorted, as they were given."""
    if kind == INDICATOR:
        return np.arange(np.shape(values)[1])
    if kind == SETS:
        return sorted_classes([label for labels in values for label in labels])
    values = column(values, name)
    if values.dtype == object:
        return sorted_classes(values.tolist())
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise DataError(f"Input {name} contains NaN or infinity.")
        check_classification_targets(values)
    return np.unique(values)


def class_numbers(values: np.ndarray | list, kind: str, classes: np.ndarray, name: str = "y") -> np.ndarray:
    """Return class numbers, int32 [n], or a column of 0 and 1 for each class, float32 [n, classes].

    Raises
    ------
    DataError
        If a class is not among ``classes``; the message has the index.
    """
    if kind == INDICATOR:
        values = np.asarray(values, np.float32)
        if values.ndim != 2 or values.shape[1] != len(classes):
            raise DataError(f"{name} must have shape (n, {len(classes)}), a column for each class; got {values.shape}.")
        if not np.isin(values, (0, 1)).all():
            raise DataError(f"{name} must hold only 0 and 1, a column for each class.")
        return values
    number = {label: i for i, label in enumerate(classes.tolist())}
    if kind == SINGLE:
        flat = column(values, name).tolist()
        try:
            return np.fromiter(map(number.__getitem__, flat), np.int32, count=len(flat))
        except (KeyError, TypeError):
            i = next(i for i, v in enumerate(flat) if not _hashable(v) or v not in number)
            _refuse(flat[i], f"{name}[{i}]", classes)
    table = np.zeros((len(values), len(classes)), np.float32)
    for i, labels in enumerate(values):
        if isinstance(labels, str) or not isinstance(labels, Iterable):
            raise InputTypeError(
                f"{name}[{i}] must be a set or list of classes, as the others are; got {labels!r:.60}."
            )
        for label in labels:
            if label not in number:
                _refuse(label, f"{name}[{i}]", classes)
            table[i, number[label]] = 1
    return table


def _hashable(value: object) -> bool:
    return getattr(value, "__hash__", None) is not None


def _refuse(label: object, where: str, classes: np.ndarray) -> None:
    raise DataError(
        f"{where} is {label!r}, a class that was not there when fitting began. Known are: "
        f"{', '.join(map(repr, classes.tolist()))[:400]}. Give all classes first (classes= of partial_fit)."
    )
