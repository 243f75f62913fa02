"""Run a SavedModel in TensorFlow's C++ runtime, the one that TF Serving is built on, without importing TensorFlow.

The TensorFlow wheel carries that runtime as a shared library; this file speaks to its C API through ctypes. It needs
nothing but Python and NumPy (not even the rest of this package), so that it can judge an export in a process that holds
no Python TensorFlow to help it::

    python -I runtime.py MODEL REQUESTS.npz ANSWERS.npz

``Runtime(path).run("serving_default", {"text": np.array([b"Hello"], object)})`` is the same from Python. String tensors
are object arrays of bytes, bfloat16 tensors are float32 arrays.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import mmap
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

STRING, BFLOAT16 = 7, 14
# TensorFlow's numbers of the types that NumPy has.
_NUMPY_TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
DTYPE_NAMES = {**_NUMPY_TYPES, STRING: "string", BFLOAT16: "bfloat16"}
DTYPE_NUMBERS = {name: number for number, name in DTYPE_NAMES.items()}
_STRING_SIZE = 24  # sizeof(TF_TString), fixed by its ABI


class RuntimeModelError(RuntimeError):
    """A model that does not load, or a request that it does not answer.

    ``code`` is TensorFlow's, as gRPC numbers them: 3 (an invalid argument) unless TensorFlow said another.
    """

    def __init__(self, message: str, code: int = 3):
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        return type(self), (str(self), self.code)


class TensorSpec(NamedTuple):
    """One input or output of a signature; -1 is a free dimension, a shape of None a free rank."""

    dtype: str
    shape: tuple[int, ...] | None
    tensor: str


# --- protobuf, as much of it as a signature needs ---------------------------------------------------------------------


def fields(data: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a protobuf message, in the order of the bytes."""
    data, position = memoryview(data), 0
    while position < len(data):
        key, position = _varint(data, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(data, position)
        else:
            if kind == 2:
                size, position = _varint(data, position)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
            else:
                raise ValueError(f"wire type {kind} is not protobuf")
            value, position = data[position : position + size], position + size
        if position > len(data):
            raise ValueError("the message ends in the middle of a field")
        yield key >> 3, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("the message ends in the middle of a number")
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def _all(data: bytes | memoryview, number: int) -> list:
    return [value for field, value in fields(data) if field == number]


def _text(data: bytes | memoryview, number: int) -> str:
    found = _all(data, number)
    return str(found[-1], "utf-8") if found else ""


def varints(data: memoryview) -> list[int]:
    """The numbers of a packed field."""
    values, position = [], 0
    while position < len(data):
        value, position = _varint(data, position)
        values.append(value)
    return values


def signed(value: int) -> int:
    """An int64 from its bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _tensor_spec(info: memoryview) -> TensorSpec:
    name, number, shape = "", 0, None
    for field, value in fields(info):
        if field == 1:
            name = str(value, "utf-8")
        elif field == 2:
            number = value
        elif field == 3:
            unknown_rank = any(_all(value, 3))
            # A dimension of size 0 is left out on the wire, so an empty message is 0.
            sizes = tuple(signed((_all(dim, 1) or [0])[-1]) for dim in _all(value, 2))
            shape = None if unknown_rank else sizes
    return TensorSpec(DTYPE_NAMES.get(number, f"type {number}"), shape, name)


def _map(message: memoryview, number: int) -> dict[str, memoryview]:
    return {_text(entry, 1): (_all(entry, 2) or [b""])[-1] for entry in _all(message, number)}


class SavedModelFile:
    """What ``saved_model.pb`` says, without loading the model.

    Parameters
    ----------
    path : str or Path
        The folder of the SavedModel.

    Attributes
    ----------
    tags : list of str
        The tags that select the graph to serve.
    signatures : dict
        ``{name: {"inputs": {name: TensorSpec}, "outputs": {name: TensorSpec}}}``
    ops : list of str
        Every op in the graph and its functions, sorted.
    graph : memoryview
        The ``MetaGraphDef`` itself.
    """

    def __init__(self, path: str | Path):
        file = Path(path) / "saved_model.pb"
        if not file.is_file():
            raise RuntimeModelError(f"{path}: not a SavedModel, it holds no saved_model.pb; give its version folder")
        try:
            graphs = [(graph, self._tags(graph)) for graph in _all(file.read_bytes(), 2)]
            if not graphs:
                raise ValueError("it holds no graph")
            self.graph, self.tags = next((g for g in graphs if "serve" in g[1]), graphs[0])
            self.signatures = self._signatures(self.graph)
            self.ops = self._ops(self.graph)
        except (ValueError, TypeError, AttributeError) as error:
            raise RuntimeModelError(f"{file}: damaged, not readable as a SavedModel ({error})") from error

    @staticmethod
    def _tags(graph: memoryview) -> list[str]:
        return [str(tag, "utf-8") for info in _all(graph, 1) for tag in _all(info, 4)]

    @staticmethod
    def _signatures(graph: memoryview) -> dict[str, dict[str, dict[str, TensorSpec]]]:
        result = {}
        for name, signature in sorted(_map(graph, 5).items()):
            if name.startswith("__saved_model_"):  # the initialization, not a question to ask
                continue
            sides = {"inputs": _map(signature, 1), "outputs": _map(signature, 2)}
            result[name] = {side: {k: _tensor_spec(v) for k, v in sorted(m.items())} for side, m in sides.items()}
        return result

    @staticmethod
    def _ops(graph: memoryview) -> list[str]:
        ops, functions = set(), set()
        for definition in _all(graph, 2):
            ops.update(_text(node, 2) for node in _all(definition, 1))
            for function in (f for library in _all(definition, 2) for f in _all(library, 1)):
                functions.update(_text(head, 1) for head in _all(function, 1))
                ops.update(_text(node, 2) for node in _all(function, 3))
        return sorted(ops - functions)


# --- the C API --------------------------------------------------------------------------------------------------------


class _Output(ctypes.Structure):
    _fields_ = (("oper", ctypes.c_void_p), ("index", ctypes.c_int))


class _Buffer(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p))


_P, _S, _I, _Z = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_FUNCTIONS = {  # name: (result, arguments…)
    "TF_Version": (_S,),
    "TF_NewStatus": (_P,),
    "TF_DeleteStatus": (None, _P),
    "TF_GetCode": (_I, _P),
    "TF_Message": (_S, _P),
    "TF_NewSessionOptions": (_P,),
    "TF_SetConfig": (None, _P, _S, _Z, _P),
    "TF_DeleteSessionOptions": (None, _P),
    "TF_NewGraph": (_P,),
    "TF_DeleteGraph": (None, _P),
    "TF_LoadSessionFromSavedModel": (_P, _P, _P, _S, ctypes.POINTER(_S), _I, _P, _P, _P),
    "TF_CloseSession": (None, _P, _P),
    "TF_DeleteSession": (None, _P, _P),
    "TF_SessionRun": (None, _P, _P, _P, _P, _I, _P, _P, _I, _P, _I, _P, _P),
    "TF_GraphOperationByName": (_P, _P, _S),
    "TF_AllocateTensor": (_P, _I, ctypes.POINTER(ctypes.c_int64), _I, _Z),
    "TF_DeleteTensor": (None, _P),
    "TF_TensorType": (_I, _P),
    "TF_NumDims": (_I, _P),
    "TF_Dim": (ctypes.c_int64, _P, _I),
    "TF_TensorByteSize": (_Z, _P),
    "TF_TensorData": (_P, _P),
    "TF_StringInit": (None, _P),
    "TF_StringCopy": (None, _P, _S, _Z),
    "TF_StringDealloc": (None, _P),
    "TF_StringGetDataPointer": (_P, _P),
    "TF_StringGetSize": (_Z, _P),
    "TF_LoadLibrary": (_P, _S, _P),
    "TF_DeleteLibraryHandle": (None, _P),
    "TF_GetAllOpList": (ctypes.POINTER(_Buffer),),
    "TF_DeleteBuffer": (None, ctypes.POINTER(_Buffer)),
}
_loaded: ctypes.CDLL | None = None


def library() -> ctypes.CDLL:
    """The C API of the installed TensorFlow, loaded once a process."""
    global _loaded
    if _loaded is None:
        spec = importlib.util.find_spec("tensorflow")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeModelError("the package tensorflow is not installed here; its wheel carries the C++ runtime")
        folder = Path(next(iter(spec.submodule_search_locations)))
        names = [*folder.glob("libtensorflow_cc.so.*"), *folder.glob("libtensorflow_cc*.dylib")]
        if not names:
            raise RuntimeModelError(f"{folder}: holds no libtensorflow_cc; install the official tensorflow wheel")
        loaded = ctypes.CDLL(str(sorted(names)[0]))
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
        _loaded = loaded
    return _loaded


class _Status:
    """A TF_Status that is freed, and raised if it holds a fault."""

    def __init__(self, doing: str):
        self.doing = doing

    def __enter__(self):
        self.pointer = library().TF_NewStatus()
        return self.pointer

    def __exit__(self, kind, error, trace):
        c = library()
        code, message = c.TF_GetCode(self.pointer), c.TF_Message(self.pointer).decode(errors="replace")
        c.TF_DeleteStatus(self.pointer)
        if kind is None and code:
            raise RuntimeModelError(f"{self.doing}: {message}", code)


def registered_ops() -> set[str]:
    """Ops that this process can run: stock TensorFlow's, and those of the libraries loaded so far."""
    c = library()
    buffer = c.TF_GetAllOpList()
    try:
        return {_text(op, 1) for op in _all(ctypes.string_at(buffer.contents.data, buffer.contents.length), 1)}
    finally:
        c.TF_DeleteBuffer(buffer)


def load_op_library(path: str | Path) -> None:
    """Register the ops of a shared library, as a server that links it would."""
    with _Status(f"loading the op library {path}") as status:
        handle = library().TF_LoadLibrary(str(path).encode(), status)
    library().TF_DeleteLibraryHandle(handle)


def text_libraries(ops: Iterable[str]) -> list[Path]:
    """The shared libraries of the installed tensorflow-text, which TensorFlow Serving links, that have these ops."""
    names, spec = [op.encode() for op in ops], importlib.util.find_spec("tensorflow_text")
    if not names or spec is None or not spec.submodule_search_locations:
        return []
    found = []
    for path in sorted(Path(next(iter(spec.submodule_search_locations)), "python", "ops").glob("*.so")):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if any(content.find(name) >= 0 for name in names):
                found.append(path)
    return found


class Runtime:
    """A SavedModel loaded in the C++ runtime. ``run`` may be called from many threads at once.

    Ops that stock TensorFlow lacks are looked for in tensorflow-text, as in TensorFlow Serving.

    Parameters
    ----------
    path : str or Path
        The folder of the SavedModel.
    config : bytes
        A serialized ``tensorflow.ConfigProto``; empty for the defaults.
    """

    def __init__(self, path: str | Path, *, config: bytes = b""):
        self._session = self._graph = None
        self._places: dict[str, tuple[ctypes.Array, ctypes.Array]] = {}
        self.path = str(path)
        file = SavedModelFile(path)
        self.signatures, self.ops = file.signatures, file.ops
        c = library()
        for name in text_libraries(set(self.ops) - registered_ops()):
            load_op_library(name)
        options, tags = c.TF_NewSessionOptions(), [tag.encode() for tag in file.tags]
        self._graph = c.TF_NewGraph()
        try:
            if config:
                with _Status("reading the session's config") as status:
                    c.TF_SetConfig(options, config, len(config), status)
            with _Status(f"loading {self.path}") as status:
                self._session = c.TF_LoadSessionFromSavedModel(
                    options, None, self.path.encode(), (_S * len(tags))(*tags), len(tags), self._graph, None, status
                )
        except BaseException:
            self.close()
            raise
        finally:
            c.TF_DeleteSessionOptions(options)

    def run(self, signature: str, inputs: Mapping[str, object]) -> dict[str, np.ndarray]:
        """Answer one request.

        Parameters
        ----------
        signature : str
            Name of a signature of the model.
        inputs : mapping of str to array-like
            All inputs of that signature.

        Returns
        -------
        dict of str to numpy.ndarray
        """
        if self._session is None:
            raise RuntimeModelError(f"{self.path}: closed")
        if signature not in self.signatures:
            raise RuntimeModelError(f"no signature {signature!r}; the model has {', '.join(self.signatures) or 'none'}")
        wanted, given = self.signatures[signature]["inputs"], set(inputs)
        if given != set(wanted):
            raise RuntimeModelError(f"signature {signature!r} takes the inputs {sorted(wanted)}, got {sorted(given)}")
        arrays = [as_input(name, spec, inputs[name]) for name, spec in wanted.items()]
        specs = self.signatures[signature]["outputs"]
        if signature not in self._places:
            self._places[signature] = self._outputs(wanted.values()), self._outputs(specs.values())
        feeds, fetches = self._places[signature]
        c, tensors, results = library(), [], (_P * len(specs))()
        try:
            for array, spec in zip(arrays, wanted.values(), strict=True):
                tensors.append(_to_tensor(array, spec))
            with _Status(f"running signature {signature!r}") as status:
                c.TF_SessionRun(
                    self._session, None,
                    feeds, (_P * len(tensors))(*tensors), len(tensors),
                    fetches, results, len(specs),
                    None, 0, None, status,
                )  # fmt: skip
            return {name: _to_array(result) for name, result in zip(specs, results, strict=True)}
        finally:
            # Outputs first: one may share the buffer of an input whose strings are freed below.
            for result in results:
                if result:
                    c.TF_DeleteTensor(result)
            for tensor in tensors:
                _delete_input(tensor)

    def _outputs(self, specs) -> ctypes.Array:
        found = []
        for spec in specs:
            operation, _, index = spec.tensor.partition(":")
            pointer = library().TF_GraphOperationByName(self._graph, operation.encode())
            if not pointer:
                raise RuntimeModelError(f"the graph has no operation {operation!r}, which a signature names")
            found.append(_Output(pointer, int(index or 0)))
        return (_Output * len(found))(*found)

    def close(self) -> None:
        """Free the model."""
        c = library()
        if self._session is not None:
            with _Status("closing the session") as status:
                c.TF_CloseSession(self._session, status)
            with _Status("closing the session") as status:
                c.TF_DeleteSession(self._session, status)
        if self._graph is not None:
            c.TF_DeleteGraph(self._graph)
        self._session = self._graph = None

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *_):
        self.close()


def as_input(name: str, spec: TensorSpec, value: object) -> np.ndarray:
    """One input as the array that a signature takes: its type, strings as bytes, its shape checked."""
    if spec.dtype == "string":
        array = np.asarray(value, object)
        flat = [v.encode() if isinstance(v, str) else v for v in array.ravel()]
        wrong = next((v for v in flat if not isinstance(v, bytes)), None)
        if wrong is not None:
            raise RuntimeModelError(f"input {name!r} takes bytes, got {type(wrong).__name__}")
        array = _object_array(flat, array.shape)
    else:
        array, want = np.asarray(value), np.dtype("float32" if spec.dtype == "bfloat16" else spec.dtype)
        if not (np.can_cast(array.dtype, want, "same_kind") or array.size == 0):
            raise RuntimeModelError(f"input {name!r} takes {spec.dtype}, got {array.dtype}")
        array = np.ascontiguousarray(array, want).reshape(array.shape)  # ascontiguousarray makes a scalar 1-D
    shape = spec.shape
    if shape is not None and (
        len(shape) != array.ndim or any(a not in (-1, b) for a, b in zip(shape, array.shape, strict=True))
    ):
        raise RuntimeModelError(f"input {name!r} takes shape {shape} (-1 is free), got {array.shape}")
    return array


def _object_array(values: list, shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def _to_tensor(array: np.ndarray, spec: TensorSpec) -> int:
    number = DTYPE_NUMBERS[spec.dtype]
    if number == BFLOAT16:
        bits = array.view(np.uint32)
        array = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)  # rounds to even
    size = array.size * _STRING_SIZE if number == STRING else array.nbytes
    c = library()
    tensor = c.TF_AllocateTensor(number, (ctypes.c_int64 * array.ndim)(*array.shape), array.ndim, size)
    data = c.TF_TensorData(tensor)
    if number != STRING:
        ctypes.memmove(data, array.ctypes.data, size)
        return tensor
    for index, value in enumerate(array.ravel()):
        place = data + index * _STRING_SIZE
        c.TF_StringInit(place)
        c.TF_StringCopy(place, value, len(value))
    return tensor


def _delete_input(tensor: int) -> None:
    c = library()
    if c.TF_TensorType(tensor) == STRING:
        data = c.TF_TensorData(tensor)
        for place in range(0, c.TF_TensorByteSize(tensor), _STRING_SIZE):
            c.TF_StringDealloc(data + place)
    c.TF_DeleteTensor(tensor)


def _to_array(tensor: int) -> np.ndarray:
    c = library()
    number = c.TF_TensorType(tensor)
    shape = tuple(c.TF_Dim(tensor, i) for i in range(c.TF_NumDims(tensor)))
    data, size = c.TF_TensorData(tensor), c.TF_TensorByteSize(tensor)
    if number == STRING:
        places = range(data or 0, (data or 0) + size, _STRING_SIZE)
        values = [ctypes.string_at(c.TF_StringGetDataPointer(p), c.TF_StringGetSize(p)) for p in places]
        return _object_array(values, shape)
    if number not in DTYPE_NAMES:
        raise RuntimeModelError(f"an output has TensorFlow's type {number}, which NumPy does not know")
    content = ctypes.string_at(data, size) if size else b""
    if number == BFLOAT16:
        return (np.frombuffer(content, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return np.frombuffer(content, _NUMPY_TYPES[number]).reshape(shape).copy()


# --- requests and answers as files ------------------------------------------------------------------------------------


def write_records(path: str | Path, records: Sequence[dict], **head: object) -> None:
    """Write records to one .npz file without pickle: JSON values, and arrays under the key ``tensors``."""
    parts: dict[str, np.ndarray] = {}
    plain = []
    for i, record in enumerate(records):
        kinds = {}
        for j, (name, array) in enumerate(record.get("tensors", {}).items()):
            array, key = np.asarray(array), f"{i}_{j}"
            if array.dtype == object:
                flat = list(array.ravel())
                parts[f"{key}_shape"] = np.array(array.shape, np.int64)
                parts[f"{key}_ends"] = np.cumsum([len(v) for v in flat], dtype=np.int64)
                array = np.frombuffer(b"".join(flat), np.uint8)
            parts[key], kinds[name] = array, key
        plain.append({**record, "tensors": kinds})
    header = json.dumps({**head, "records": plain}).encode()
    with open(path, "wb") as file:
        np.savez(file, header=np.frombuffer(header, np.uint8), **parts)


def read_records(path: str | Path) -> tuple[list[dict], dict]:
    """Read what :func:`write_records` wrote: the records, and the other values of the head."""
    with np.load(path, allow_pickle=False) as file:
        head = json.loads(file["header"].tobytes())
        records = head.pop("records")
        for record in records:
            record["tensors"] = {name: _read_tensor(file, key) for name, key in record["tensors"].items()}
    return records, head


def _read_tensor(file, key: str) -> np.ndarray:
    if f"{key}_shape" not in file:
        return file[key]
    content, ends = file[key].tobytes(), file[f"{key}_ends"].tolist()
    values = [content[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    return _object_array(values, tuple(file[f"{key}_shape"].tolist()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer a file of requests; faults go into the file of answers, request by request."""
    parser = argparse.ArgumentParser(description="Run requests through a SavedModel in TensorFlow's C++ runtime.")
    parser.add_argument("model")
    parser.add_argument("requests")
    parser.add_argument("answers")
    options = parser.parse_args(arguments)
    requests, _ = read_records(options.requests)
    head, answers = {"fault": None, "version": library().TF_Version().decode()}, []
    stock = registered_ops()
    try:
        head["other_ops"] = [op for op in SavedModelFile(options.model).ops if op not in stock]
        start = time.perf_counter()
        model = Runtime(options.model)
        head["load_seconds"] = time.perf_counter() - start
    except RuntimeModelError as error:
        head["fault"] = str(error)
        requests = []
    for request in requests:
        start, answer = time.perf_counter(), {"fault": None}
        try:
            answer["tensors"] = model.run(request["signature"], request["tensors"])
        except RuntimeModelError as error:
            answer["fault"] = str(error)
        answers.append({**answer, "seconds": time.perf_counter() - start})
    head["python_tensorflow"] = any(name in sys.modules for name in ("tensorflow", "keras", "seqkit"))
    write_records(options.answers, answers, **head)
    return 0


if __name__ == "__main__":
    sys.exit(main())
