"""The warm-up file of TensorFlow Serving: ``assets.extra/tf_serving_warmup_requests``, a TFRecord of ``PredictionLog``.

A server sends these requests to a new version before any user's, so that the first user does not wait for what
TensorFlow prepares lazily. The messages are put together from their field numbers (``prediction_log.proto``,
``predict.proto`` and ``model.proto`` of TensorFlow Serving), since the package that carries their classes is optional.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seqkit.errors import FormatError
from seqkit.export import runtime

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000  # TensorFlow Serving refuses a model with more

Requests = Mapping[str, Sequence[Mapping[str, np.ndarray]]]


def prediction_log(model: str, signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """One request as a serialized ``PredictionLog``.

    Parameters
    ----------
    model : str
        The model's name.
    signature : str
        Name of the signature.
    inputs : mapping of str to numpy.ndarray
        Object arrays hold bytes.

    Returns
    -------
    bytes
    """
    import tensorflow as tf

    model_spec = _field(1, model.encode()) + _field(3, signature.encode())
    request = _field(1, model_spec)
    for name in sorted(inputs):
        tensor = tf.make_tensor_proto(inputs[name]).SerializeToString(deterministic=True)
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))  # PredictionLog.predict_log.request


def write_warmup(export: str | Path, model: str, requests: Requests) -> int:
    """Write the warm-up file of a SavedModel.

    Parameters
    ----------
    export : str or Path
        The folder of the SavedModel.
    model : str
        The model's name.
    requests : mapping of str to sequence of mappings
        For each signature its requests, each a mapping of input names to arrays.

    Returns
    -------
    int
        How many records were written: the first 1,000, taken in turn from all signatures.
    """
    import tensorflow as tf

    turns = max((len(r) for r in requests.values()), default=0)
    records = [(s, r[turn]) for turn in range(turns) for s, r in requests.items() if turn < len(r)][:MAX_RECORDS]
    if not records:
        return 0
    file = Path(export) / FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, inputs in records:
            writer.write(prediction_log(model, signature, inputs))
    return len(records)


def read_warmup(export: str | Path) -> dict[str, list[dict[str, np.ndarray]]]:
    """Read the warm-up requests of any SavedModel; needs no TensorFlow.

    Parameters
    ----------
    export : str or Path
        The folder of the SavedModel.

    Returns
    -------
    dict of str to list of dict
        For each signature its requests; empty if there is no such file. Records other than predictions are left out.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    file = Path(export) / FILE
    if not file.is_file():
        return {}
    requests: dict[str, list[dict[str, np.ndarray]]] = {}
    for number, record in enumerate(_records(file), 1):
        try:
            for log in _messages(record, 6):
                for request in _messages(log, 1):
                    signature, inputs = _request(request)
                    requests.setdefault(signature, []).append(inputs)
        except (ValueError, TypeError, KeyError) as error:
            raise FormatError(file, None, f"record {number} is not a PredictionLog ({error})") from error
    return requests


def _field(number: int, content: bytes) -> bytes:
    size, head = len(content), bytearray([number << 3 | 2])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes(head) + bytes([size]) + content


def _messages(data, number: int) -> list:
    return [value for field, value in runtime.fields(data) if field == number]


def _records(file: Path):
    """The records of an uncompressed TFRecord file: length, its checksum, content, its checksum."""
    data, position = file.read_bytes(), 0
    while position < len(data):
        if position + 12 > len(data):
            raise FormatError(file, None, f"ends within a record's head, at byte {position}")
        (size,) = struct.unpack_from("<Q", data, position)
        end = position + 12 + size
        if end + 4 > len(data):
            raise FormatError(file, None, f"ends within a record of {size} bytes that begins at byte {position}")
        yield data[position + 12 : end]
        position = end + 4


def _request(request) -> tuple[str, dict[str, np.ndarray]]:
    signature, inputs = "", {}
    for field, value in runtime.fields(request):
        if field == 1:
            signature = "".join(str(v, "utf-8") for v in _messages(value, 3)[-1:])
        elif field == 2:
            name, tensor = (_messages(value, number)[-1] for number in (1, 2))
            inputs[str(name, "utf-8")] = _tensor(tensor)
    return signature or "serving_default", inputs


# TensorProto's fields of typed values: number -> how its packed content reads.
_PACKED = {5: "<f4", 6: "<f8", 9: "<f4", 12: "<f8"}
_VARINTS = (7, 10, 11, 13, 16, 17)
_STRINGS, _HALVES = 8, 13


def _tensor(proto) -> np.ndarray:
    number, shape, content, values = 0, (), None, []
    for field, value in runtime.fields(proto):
        if field == 1:
            number = value
        elif field == 2:
            shape = tuple((_messages(dim, 1) or [0])[-1] for dim in _messages(value, 2))
        elif field == 4:
            content = bytes(value)
        elif field == _STRINGS:
            values.append(bytes(value))
        elif field in _PACKED:
            values.extend(np.frombuffer(value, _PACKED[field]).tolist())
        elif field in _VARINTS:
            values.extend([value] if isinstance(value, int) else runtime.varints(value))
    name = runtime.DTYPE_NAMES[number]
    size = int(np.prod(shape, dtype=np.int64))
    if name == "string":
        array = np.empty(size, object)
        array[:] = (values + [values[-1] if values else b""] * size)[:size]
        return array.reshape(shape)
    if name == "bfloat16":
        raise ValueError("bfloat16 inputs are not read")
    dtype = np.dtype(name)
    if content:
        return np.frombuffer(content, dtype).reshape(shape)
    if dtype == np.float16:
        flat = np.array(values, np.uint16).view(np.float16)
    elif dtype.kind == "c":
        flat = np.array(values, np.float64).reshape(-1, 2) @ np.array([1, 1j])
    else:
        flat = np.array([runtime.signed(v) if dtype.kind == "i" else v for v in values])
    # A shorter list of values is filled up with its last one.
    missing = size - len(flat)
    flat = np.concatenate([flat, np.full(missing, flat[-1] if len(flat) else 0)]) if missing > 0 else flat
    return flat.astype(dtype).reshape(shape)
