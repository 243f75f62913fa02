"""Recurrent cells: one step of a recurrence each, after Keras' cell protocol."""

from __future__ import annotations

import importlib

from seqkit.errors import ParameterError

# Name -> (module, class). A new recurrence is one file and one line here.
_CELLS = {
    "elman": ("seqkit.cells.elman", "ElmanCell"),
    "jordan": ("seqkit.cells.jordan", "JordanCell"),
    "lstm": ("seqkit.cells.lstm", "LSTMCell"),
    "gru": ("seqkit.cells.gru", "GRUCell"),
    "leaky": ("seqkit.cells.leaky", "LeakyCell"),
}

CELL_NAMES = tuple(_CELLS)


def make_cell(
    name: str,
    units: int,
    *,
    activation: str | None = "tanh",
    recurrent_dropout: float = 0.0,
    seed: int | None = None,
    dtype=None,
):
    """Make a cell by name.

    Parameters
    ----------
    name : str
        One of `CELL_NAMES`.
    units : int
        Size of the hidden state.
    activation : str or None
        Activation of the hidden state (of the candidate, in gated cells); None for a linear one.
    recurrent_dropout : float
        Share of the fed-back state dropped in training, one mask a sequence.
    seed : int or None
        Seed of the initial weights and of dropout.
    dtype : str, keras.DTypePolicy or None
        Precision; None for Keras' present policy.

    Returns
    -------
    keras.layers.Layer
        A cell after Keras' RNN cell protocol.
    """
    import keras

    if name not in _CELLS:
        raise ParameterError(f"cell={name!r} is not known. Expected one of: {', '.join(CELL_NAMES)}.")
    module, cls = _CELLS[name]
    kernel_seed, recurrent_seed, dropout_seed, output_seed = (None if seed is None else seed + k for k in range(4))
    options = {"output_initializer": keras.initializers.GlorotUniform(output_seed)} if name == "jordan" else {}
    return getattr(importlib.import_module(module), cls)(
        units,
        activation=activation,
        recurrent_dropout=recurrent_dropout,
        kernel_initializer=keras.initializers.GlorotUniform(kernel_seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=recurrent_seed),
        seed=dropout_seed,
        dtype=dtype,
        name=name,
        **options,
    )
