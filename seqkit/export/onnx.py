"""Fitted models as ONNX files, checked in onnxruntime."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import numpy as np

from seqkit.errors import ExportError, require
from seqkit.export.conversion import Run, describe, fitted, quietly, write_checked
from seqkit.export.numeric_form import Form, numeric_form

_OPSET = 17
_WHY = "Conversion to ONNX"


def to_onnx(model, path: str | os.PathLike, *, signature: str | None = None) -> Path:
    """Write one function of a fitted model as an ONNX file; the text graph stays outside: tokens' ids come in.

    Beside it stands ``<path>.json`` with classes, inputs, outputs and the vocabulary, with which
    `seqkit.export.token_inputs.TokenInputs` (NumPy alone) makes inputs of tokens. The same but for the vocabulary is in
    the file's ``metadata_props``, under ``"seqkit"``.

    Parameters
    ----------
    model : estimator or str or os.PathLike
        A fitted estimator, or the folder that its ``save`` wrote.
    path : str or os.PathLike
        The file. It appears only if onnxruntime answers a padded batch, and each of its rows alone, as the estimator
        does, to 1e-4.
    signature : str or None
        What to convert: ``"predict"`` of taggers, classifiers and regressors (the default there);
        ``"log_probability"``, ``"begin"`` or ``"step"`` of a language model, ``"begin"`` or ``"step"`` of a generator,
        ``"encode"`` or ``"step"`` of a `seqkit.Seq2Seq`.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ExportError
        If the model cannot be converted, or answers differently.
    MissingDependencyError
        Without tf2onnx, onnx and onnxruntime (``pip install 'seqkit[onnx]'``).

    Examples
    --------
    >>> to_onnx(tagger, "tagger.onnx")  # doctest: +SKIP
    """
    for module in ("onnx", "onnxruntime", "tf2onnx"):
        require(module, extra="onnx", why=_WHY)
    estimator = fitted(model)
    form = numeric_form(estimator, signature)
    description = describe(estimator, form, {}, "onnxruntime", ("onnx", "onnxruntime", "tf2onnx"))
    content = _converted(form, {key: value for key, value in description.items() if key != "vocabulary"})
    return write_checked(Path(path), content, form, description, _load)


def _converted(form: Form, description: dict) -> bytes:
    import onnx
    import tf2onnx

    function, signature = form.traced()
    logger = logging.getLogger("tf2onnx")
    before, logger.level = logger.level, logging.CRITICAL  # what it tells is told below
    try:
        convert = tf2onnx.convert.from_function
        model, _ = quietly(lambda: convert(function, input_signature=signature, opset=_OPSET))
    except Exception as error:
        raise ExportError(f"tf2onnx cannot convert the model: {type(error).__name__}: {error}") from error
    finally:
        logger.level = before
    unknown = sorted(_ops(model.graph) - {schema.name for schema in onnx.defs.get_all_schemas()})
    if unknown:
        raise ExportError(f"The model cannot be converted to ONNX, which has no {', '.join(unknown)}.")
    for given in model.graph.input:
        _, shape = form.inputs[given.name]
        for size, axis in zip(given.type.tensor_type.shape.dim, shape, strict=True):
            if isinstance(axis, str):
                size.dim_param = axis
    model.doc_string = f"{description['class']}.{form.name}, converted by seqkit {description['versions']['seqkit']}"
    onnx.helper.set_model_props(model, {"seqkit": json.dumps(description, ensure_ascii=False)})
    return model.SerializeToString()


def _ops(graph) -> set[str]:
    """Return the names of all operations of a graph and those inside of it."""
    names = set()
    for node in graph.node:
        names.add(node.op_type)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                names |= _ops(inner)
    return names


def _load(content: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        raise ExportError(f"onnxruntime does not load the converted model: {error}") from error
    names, inputs = [output.name for output in session.get_outputs()], {i.name for i in session.get_inputs()}

    def run(request) -> dict[str, np.ndarray]:
        given = {name: np.ascontiguousarray(values) for name, values in request.items() if name in inputs}
        try:
            return dict(zip(names, session.run(None, given), strict=True))
        except Exception as error:
            raise ExportError(f"onnxruntime does not run the converted model: {error}") from error

    return run
