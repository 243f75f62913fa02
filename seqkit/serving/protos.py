"""Arrays as protocol buffers, and back; several times as quick as TensorFlow's own functions for small ones."""

from __future__ import annotations

import numpy as np
from tensorflow import make_ndarray
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2

from seqkit.export.runtime import DTYPE_NAMES, DTYPE_NUMBERS, STRING

#: Of a channel or a server: messages of any size, as in TensorFlow Serving.
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """Return an array as a ``TensorProto``; one of objects holds bytes."""
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in array.shape]
    )
    if array.dtype == object:
        return tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=array.ravel().tolist())
    return tensor_pb2.TensorProto(
        dtype=DTYPE_NUMBERS[array.dtype.name], tensor_shape=shape, tensor_content=array.tobytes()
    )


def from_proto(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Return a ``TensorProto`` as an array; strings are bytes, in an array of objects."""
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.dtype == STRING and len(proto.string_val) == np.prod(shape, dtype=np.int64):
        array = np.empty(len(proto.string_val), object)
        array[:] = proto.string_val
        return array.reshape(shape)
    if proto.tensor_content and (name := DTYPE_NAMES.get(proto.dtype)) not in (None, "string", "bfloat16"):
        return np.frombuffer(proto.tensor_content, name).reshape(shape).copy()
    return make_ndarray(proto)  # values one by one, or fewer of them than places: the last stands for the rest
