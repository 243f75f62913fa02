"""Python functions as TensorFlow graphs."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def graph(function: Callable, *signature) -> Callable:
    """Return the one graph of a function, traced for tensors as the signature says.

    A ``tf.function`` does as much, but goes by the place of the code: it warns of "retracing" when one process fits its
    fifth estimator. The variables that the function uses must be kept by the caller.

    Parameters
    ----------
    function : callable
        Of tensors, or of lists and dicts of tensors.
    *signature
        A ``tf.TensorSpec`` (or list or dict of them) for each argument.
    """
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()
