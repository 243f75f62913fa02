"""The Elman network's cell: the hidden state is fed back."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable("seqkit")
class ElmanCell(keras.layers.SimpleRNNCell):
    """One step of a simple recurrent network (Elman 1990, "Finding structure in time").

    ``h_t = g(W x_t + U h_{t-1} + b)``

    This is Keras' own ``SimpleRNNCell`` under the name the field uses: ``W`` is ``kernel``, ``U`` is
    ``recurrent_kernel``, ``b`` is ``bias``, ``g`` is ``activation``.

    Args:
        units: Size of the hidden state ``h``.
        activation: ``g``; any Keras activation name or function.
        **kwargs: As in ``keras.layers.SimpleRNNCell``.
    """
