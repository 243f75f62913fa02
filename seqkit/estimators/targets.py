"""What users give as targets and weights, checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from seqkit.errors import DataError, InputTypeError, ParameterError


def sorted_classes(flat: list) -> np.ndarray:
    """Return distinct classes, sorted, each as it was given."""
    try:
        distinct = list(dict.fromkeys(flat))
    except TypeError:
        bad = next(tag for tag in flat if getattr(tag, "__hash__", None) is None)
        raise InputTypeError(
            f"Tags must be strings, numbers or other hashable values, got {type(bad).__name__}."
        ) from None
    if any(tag is None for tag in distinct):
        raise InputTypeError("y holds None as a tag. Give every token a tag, such as 'O'.")
    try:
        distinct.sort()
    except TypeError:
        distinct.sort(key=lambda tag: (type(tag).__name__, str(tag)))
    classes = np.empty(len(distinct), object)
    classes[:] = distinct
    return classes


def check_sample_weight(sample_weight, count: int) -> np.ndarray:
    """Return one weight for each of ``count`` sequences, float32; ones for None."""
    if sample_weight is None:
        return np.ones(count, np.float32)
    try:
        weights = np.asarray(sample_weight, np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"sample_weight must hold one number for each sequence: {error}.") from None
    if weights.shape != (count,):
        raise DataError(f"sample_weight must have shape ({count},), one weight for each sequence; got {weights.shape}.")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("sample_weight must hold finite numbers of at least 0.")
    if count and not weights.any():
        raise DataError("sample_weight is zero for every sequence: there would be nothing to learn from.")
    return weights


def check_class_weight(class_weight, classes: np.ndarray, numbers=()) -> np.ndarray | None:
    """Return the weight of each class, float32, or None for None.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weight by class, 1 where none is given; or weights by which all classes count the same.
    classes : ndarray
        The classes.
    numbers : ndarray
        The class of each training item, as a number into `classes`, for "balanced".
    """
    if class_weight is None:
        return None
    weights = np.ones(len(classes), np.float32)
    if isinstance(class_weight, Mapping):
        known = {label: i for i, label in enumerate(classes.tolist())}
        for label, weight in class_weight.items():
            if label not in known:
                raise ParameterError(
                    f"class_weight has a weight for {label!r}, which is no class here. Known are: "
                    f"{', '.join(map(repr, known))[:400]}."
                )
            if not np.isscalar(weight) or isinstance(weight, str) or not 0 <= weight < np.inf:
                raise ParameterError(f"class_weight[{label!r}]={weight!r} must be a finite number of at least 0.")
            weights[known[label]] = weight
        return weights
    present = np.unique(np.asarray(numbers, np.int64))
    if len(present):
        weights[present] = compute_class_weight("balanced", classes=present, y=numbers)
    return weights
