"""Fitted models as LiteRT files (once TensorFlow Lite), checked in LiteRT's interpreter."""

from __future__ import annotations

import os
import tempfile
from numbers import Integral
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.errors import ExportError, ParameterError, require
from seqkit.export.conversion import Run, describe, fitted, quietly, write_checked
from seqkit.export.numeric_form import LONGEST, ROWS, TIME, Form, numeric_form
from seqkit.export.writer import raw_variables

_INTERPRETER = "ai_edge_litert.interpreter"


def to_litert(model, path: str | os.PathLike, *, signature: str | None = None, rows: int = 1, length: int = 64) -> Path:
    """Write one function of a fitted model as a LiteRT file of fixed sizes; the text graph stays outside.

    Beside it stands ``<path>.json`` with classes, inputs, outputs and the vocabulary, with which
    `seqkit.export.token_inputs.TokenInputs` (NumPy alone) makes inputs of tokens, padded to the sizes.

    Parameters
    ----------
    model : estimator or str or os.PathLike
        A fitted estimator, or the folder that its ``save`` wrote.
    path : str or os.PathLike
        The file. It appears only if LiteRT's interpreter answers as the estimator does, to 1e-4. All operations are
        LiteRT's own.
    signature : str or None
        What to convert, see `seqkit.export.onnx.to_onnx`.
    rows : int, default=1
        Sequences in each call.
    length : int, default=64
        Tokens (or steps) of each, padding included.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ExportError
        If the model cannot be converted, or answers differently.
    MissingDependencyError
        Without ai-edge-litert (``pip install 'seqkit[litert]'``).
    """
    for name, value in (("rows", rows), ("length", length)):
        if not isinstance(value, Integral) or value < 1:
            raise ParameterError(f"{name}={value!r} must be an integer of at least 1: LiteRT has fixed sizes.")
    require(_INTERPRETER, extra="litert", why="Conversion to LiteRT")
    estimator = fitted(model)
    form = numeric_form(estimator, signature, longest=int(length))
    sizes = {ROWS: int(rows), TIME: int(length)}
    if form.vocabulary is not None:
        sizes[LONGEST] = form.vocabulary.max_characters
    description = describe(estimator, form, sizes, "LiteRT", ("ai-edge-litert",))
    return write_checked(Path(path), _converted(estimator, form, sizes), form, description, _load)


def _converted(estimator, form: Form, sizes: dict[str, int]) -> bytes:
    function, _ = form.traced(sizes)
    module = tf.Module()
    module.variables_ = raw_variables(estimator.model_)

    def convert() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(module, folder, signatures={form.name: function})
            return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[form.name]).convert()

    try:
        return quietly(convert)
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise ExportError(
            f"TensorFlow's converter cannot make a LiteRT model of it: {reason[0] if reason else type(error).__name__}"
        ) from error


def _load(content: bytes) -> Run:
    interpreter = require(_INTERPRETER, extra="litert", why="LiteRT").Interpreter

    def start():
        loaded = interpreter(model_content=content)
        (name,) = loaded.get_signature_list()
        return loaded.get_signature_runner(name)

    runner = quietly(start)
    inputs = set(runner.get_input_details())

    def run(request) -> dict[str, np.ndarray]:
        given = {key: values for key, values in request.items() if key in inputs}
        try:
            return runner(**given)
        except (RuntimeError, ValueError) as error:
            raise ExportError(f"LiteRT does not run the converted model: {error}") from error

    return run
