"""The gated recurrent unit's cell."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable("seqkit")
class GRUCell(keras.layers.GRUCell):
    """One step of a gated recurrent unit (Cho et al. 2014; the ``reset_after`` form of cuDNN).

    ``z_t = σ(W_z x_t + U_z h_{t-1} + b_z)``
    ``r_t = σ(W_r x_t + U_r h_{t-1} + b_r)``
    ``n_t = g(W_n x_t + b_n + r_t ∘ (U_n h_{t-1} + c_n))``
    ``h_t = z_t ∘ h_{t-1} + (1 - z_t) ∘ n_t``

    ``W`` is ``kernel`` and ``U`` is ``recurrent_kernel``, gates side by side in the order z, r, n; ``b`` and ``c`` are
    the two rows of ``bias``; ``σ`` is ``recurrent_activation``, ``g`` is ``activation``.

    Args:
        units: Size of the hidden state ``h``.
        activation: ``g``; any Keras activation name or function.
        **kwargs: As in ``keras.layers.GRUCell``.
    """
