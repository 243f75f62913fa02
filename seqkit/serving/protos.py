"""Arrays as protocol buffers; needs TensorFlow."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def to_proto(array: np.ndarray):
    """Return an array as a ``TensorProto``; one of objects holds bytes."""
    if array.dtype == object and not array.size:  # of nothing, NumPy's type tells nothing
        return tf.make_tensor_proto([], tf.string, array.shape)
    return tf.make_tensor_proto(array)
