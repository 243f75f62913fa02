"""Tensors as TensorFlow Serving's REST interface writes them in JSON: requests to arrays, arrays to answers.

Reference: "RESTful API" in the documentation of TensorFlow Serving, and its json_tensor.cc, whose words errors have.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from seqkit.errors import ServingError
from seqkit.export.runtime import TensorSpec

_KINDS = {"f": "biuf", "i": "iu", "u": "iu", "b": "b"}  # NumPy's kinds of numbers that a type takes
_TYPES = {
    type(None): "Null",
    bool: "Bool",
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
}


class Question(NamedTuple):
    """A request: which signature, its inputs, and whether they came as rows."""

    signature: str
    inputs: dict[str, np.ndarray]
    rows: bool


def read_question(body: bytes, inputs_of: Callable[[str], Mapping[str, TensorSpec]]) -> Question:
    """Read the body of a request.

    Parameters
    ----------
    body : bytes
        JSON: ``instances`` (rows) or ``inputs`` (columns), and maybe ``signature_name``.
    inputs_of : callable
        Takes the name of a signature, returns its inputs.

    Raises
    ------
    ServingError
        With the code ``INVALID_ARGUMENT``.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"JSON Parse error: {error}") from error
    if not isinstance(asked, dict):
        raise _invalid(f"JSON Value: {_short(asked)} Is not object")
    signature = asked.get("signature_name", "serving_default")
    if not isinstance(signature, str):
        raise _invalid(
            f"JSON Value: {_short(asked)} not formatted correctly. 'signature_name' key must be a string value."
        )
    specs = inputs_of(signature or "serving_default")
    if {"instances", "inputs"} <= set(asked):
        raise _invalid(
            f"JSON Value: {_short(asked)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist "
        )
    if "instances" in asked:
        return Question(signature or "serving_default", _from_rows(asked["instances"], specs), True)
    if "inputs" in asked:
        return Question(signature or "serving_default", _from_columns(asked["inputs"], specs), False)
    raise _invalid("Missing 'inputs' or 'instances' key")


def write_answer(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """Write an answer as JSON: ``predictions`` by rows, or ``outputs`` by columns; a lone output has no name."""
    columns = {name: _plain(name, array) for name, array in sorted(outputs.items())}
    if not rows:
        told: Any = {"outputs": columns if len(columns) > 1 else next(iter(columns.values()))}
    else:
        _check_rows(outputs)
        if len(columns) == 1:
            told = {"predictions": next(iter(columns.values()))}
        else:
            told = {
                "predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            }
    # Bytes that are not UTF-8 go out as they are, as TensorFlow Serving sends them.
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    count = None
    for name, array in sorted(outputs.items()):
        if not array.ndim:
            raise _invalid(f"Tensor name: {name} has no shape information ")
        if count is not None and len(array) != count:
            raise _invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {count}")
        count = len(array)


def _from_rows(instances: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    if not isinstance(instances, list):
        raise _invalid(f"JSON Value: {_short(instances)} Excepting 'instances' to be an list/array")
    if not instances:
        raise _invalid("JSON Value: [] No values in 'instances' array")
    named = _is_object(instances[0])
    if not named and len(specs) > 1:
        raise _invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    rows: dict[str, list[np.ndarray]] = {name: [] for name in specs}
    for i, row in enumerate(instances):
        if _is_object(row) != named:
            got, wanted = ("list", "object") if named else ("object", "value/list")
            raise _invalid(f"Expecting {wanted} but got {got} at item {i} of input list")
        if named and set(row) != set(specs):
            raise _invalid(
                f"Failed to process element: {i} of 'instances' list. JSON object: {_short(row)} keys must be equal "
                f"to: {','.join(sorted(specs))}"
            )
        for name, value in row.items() if named else [(next(iter(specs)), row)]:
            key = f" key: {name}" if named else ""
            try:
                array = _array(value, specs[name])
                if rows[name] and array.shape != rows[name][0].shape:
                    wanted, got = (str(list(a.shape)).replace(" ", "") for a in (rows[name][0], array))
                    raise _invalid(f"Expecting shape {wanted} but got: {got}")
            except ServingError as error:
                raise _invalid(
                    f"Failed to process element: {i}{key} of 'instances' list. Error: INVALID_ARGUMENT: {error}"
                ) from error
            rows[name].append(array)
    return {name: np.stack(arrays) for name, arrays in rows.items()}


def _from_columns(given: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    if not _is_object(given):
        if len(specs) > 1:
            raise _invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {name: _array(given, spec) for name, spec in specs.items()}
    for name in specs:
        if name not in given:
            raise _invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(given[name], spec) for name, spec in specs.items()}


def _is_object(value: Any) -> bool:
    """Whether a value names tensors, and is not bytes in base64."""
    return isinstance(value, dict) and not (set(value) == {"b64"} and isinstance(value["b64"], str))


def _array(value: Any, spec: TensorSpec) -> np.ndarray:
    """Return a JSON value as an array of a signature's type; its shape is that of the value."""
    shape, inner = [], value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    if spec.dtype == "string":
        flat: list[bytes] = []
        _fill(value, 0, shape, _bytes, flat)
        array = np.empty(len(flat), object)
        array[:] = flat
        return array.reshape(shape)
    dtype = np.dtype("float32" if spec.dtype == "bfloat16" else spec.dtype)
    if 0 in shape:
        return np.zeros(shape, dtype)
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        array = np.empty((), object)
    if array.dtype.kind not in _KINDS[dtype.kind] or list(array.shape) != shape or array.dtype.kind in "iub":
        # A look at every value finds what is wrong, and tells true and false from 1 and 0.
        _fill(value, 0, shape, lambda one: _number(one, dtype, spec.dtype), [])
    return array.astype(dtype)


def _fill(value: Any, level: int, shape: list[int], leaf: Callable, flat: list) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise _invalid(
                f"JSON Value: {_short(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        flat.append(leaf(value))
        return
    if level >= len(shape):
        raise _invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise _invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for one in value:
        _fill(one, level + 1, shape, leaf, flat)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise _invalid(f"JSON Parse error: The surrogate pair in string is invalid. ({error})") from error
    if not isinstance(value, dict):
        raise _wrong_type(value, "string")
    if _is_object(value):
        raise _invalid(f"JSON Value: {_short(value)} not formatted correctly for base64 data")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("Unable to base64 decode") from error


def _number(value: Any, dtype: np.dtype, name: str) -> None:
    allowed = {"f": (int, float), "b": (bool,)}.get(dtype.kind, (int,))
    if not isinstance(value, allowed) or (isinstance(value, bool) and dtype.kind != "b"):
        raise _wrong_type(value, name)
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        raise _wrong_type(value, name)


def _wrong_type(value: Any, name: str) -> ServingError:
    kind = str(value) if isinstance(value, bool) else _TYPES.get(type(value), type(value).__name__)
    name = {"float32": "float", "float64": "double"}.get(name, name)
    return _invalid(f"JSON Value: {_short(value)} Type: {kind} is not of expected type: {name}")


def _plain(name: str, array: np.ndarray) -> Any:
    """Return an array as JSON has it; strings whose name ends in ``_bytes`` in base64."""
    if array.dtype != object:
        return array.tolist()
    if name.endswith("_bytes"):
        flat = [{"b64": base64.b64encode(value).decode()} for value in array.ravel()]
    else:
        flat = [value.decode("utf-8", "surrogateescape") for value in array.ravel()]
    told = np.empty(len(flat), object)
    told[:] = flat
    return told.reshape(array.shape).tolist()


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _invalid(message: str) -> ServingError:
    return ServingError(message, "INVALID_ARGUMENT")
