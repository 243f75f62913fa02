"""The type in which matrix products are made, while everything around them stays float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import tensorflow as tf

_PRODUCTS: ContextVar[str | None] = ContextVar("products", default=None)


@contextmanager
def products_in(dtype: str | None) -> Iterator[None]:
    """Make the matrix products of graphs that are traced in this block in another type.

    Nothing else changes: weights, states, gates, losses and what the optimizer sees are float32. The gradient of a
    product is made of products, so that it goes with them, where it is traced in the block too.

    Parameters
    ----------
    dtype : str or None
        ``"bfloat16"``; None: as they come.
    """
    before = _PRODUCTS.set(dtype)
    try:
        yield
    finally:
        _PRODUCTS.reset(before)


def factor(matrix: tf.Tensor) -> tf.Tensor:
    """Return a matrix as `matmul` needs it, so that one before a loop is not brought to its type at each step."""
    dtype = _PRODUCTS.get()
    return tf.cast(matrix, dtype) if dtype and matrix.dtype == tf.float32 else matrix


def matmul(left: tf.Tensor, right: tf.Tensor, transpose_a: bool = False, transpose_b: bool = False) -> tf.Tensor:
    """Multiply as ``tf.matmul`` does, in the type that `products_in` says; of float32 the product is float32."""
    options = dict(transpose_a=transpose_a, transpose_b=transpose_b)
    if _PRODUCTS.get() is None or left.dtype != tf.float32:
        return tf.matmul(left, right, **options)
    return tf.cast(tf.matmul(factor(left), factor(right), **options), tf.float32)
