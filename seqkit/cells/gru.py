"""The gated recurrent unit's cell."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.scan import ScanCell, affine, loop, masked, sigmoid_gradient, steps_of, tanh_gradient, weight_gradient
from seqkit.precision import factor, matmul


@keras.saving.register_keras_serializable("seqkit")
class GRUCell(ScanCell, keras.layers.GRUCell):
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

    @property
    def can_scan(self) -> bool:
        """Whether `scan` computes what `call` does: it knows the standard activations in float32."""
        return (
            super().can_scan
            and self.reset_after
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
        )

    def projection(self):
        """Return a function to ``W x + b`` and, where it is only added, ``c``: [..., dim] to [..., 3 units]."""
        kernel, (bias, recurrent_bias) = tf.convert_to_tensor(self.kernel), tf.unstack(tf.convert_to_tensor(self.bias))
        bias += recurrent_bias * tf.constant([1.0] * 2 * self.units + [0.0] * self.units)
        return affine(kernel, bias)

    def projected_step(self):
        """Return a function ``(projected inputs, [h]) -> (h, [h])``; see `ScanCell.projected_step`."""
        kernel, bias = self._recurrent()
        kernel = factor(kernel)

        def step(projected, state):
            (h,) = state
            gates, candidate = tf.split(projected, [2 * self.units, self.units], -1)
            h, *_ = _advance(gates, candidate, h, h, kernel, bias)
            return h, [h]

        return step

    def scan_with_gradient(self, projected, state, mask=None):
        """Run over [time, batch, 3 units]; see `ScanCell.scan_with_gradient`."""
        hiddens, h = _scan(projected, *self._recurrent(), *state, mask)
        return hiddens, [h]

    def _recurrent(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return ``U`` and ``c_n``."""
        return tf.convert_to_tensor(self.recurrent_kernel), tf.convert_to_tensor(self.bias)[1, 2 * self.units :]


def _advance(gates, candidate, h, seen, kernel, bias):
    """Return ``h_t``, ``z_t`` and ``r_t`` side by side, ``n_t`` and ``U_n ĥ + c_n``; ĥ is h_{t-1} under dropout."""
    units = kernel.shape[0]
    of_gates, inner = tf.split(matmul(seen, kernel), [2 * units, units], -1)
    gates = tf.sigmoid(gates + of_gates)
    z, r = tf.split(gates, 2, -1)
    inner += bias
    n = tf.tanh(candidate + r * inner)
    return n + z * (h - n), gates, n, inner


def _scan(projected, kernel, bias, h0, mask):
    """Run over [time, batch, 3 units] with a gradient by hand; a ``mask`` [batch, units] multiplies each h_{t-1}."""
    units = kernel.shape[0]

    @tf.custom_gradient
    def scan(projected, kernel, bias, h0):
        steps = tf.shape(projected)[0]
        each, recurrent = steps_of(projected), factor(kernel)

        def step(t, before):
            seen = masked(before, mask)
            h, *values = _advance(*tf.split(each.read(t), [2 * units, units], -1), before, seen, recurrent, bias)
            return [h], [h, seen, before, *values]

        (h,), (hiddens, seen, *values) = loop(step, steps, [h0], 6)

        def gradient(d_hiddens, d_h):
            # With δ for the gradient towards what an activation is applied to, ĥ for h_{t-1} under dropout, and
            # ν for the gradient towards U_n ĥ + c_n:
            #   δz_t = dh_t ∘ (h_{t-1} - n_t) z_t (1 - z_t),   δn_t = dh_t ∘ (1 - z_t)(1 - n_t²)
            #   δr_t = δn_t ∘ (U_n ĥ + c_n) r_t (1 - r_t),   ν_t = δn_t ∘ r_t,   dĥ = [δz, δr, ν]_t Uᵀ
            #   dh_{t-1} = dh_t ∘ z_t + dĥ ∘ mask.
            d_outputs, transposed = steps_of(d_hiddens), factor(tf.transpose(kernel))

            def step_back(t, dh):
                before, gates, n, inner = (value.read(t) for value in values)
                z, r = tf.split(gates, 2, -1)
                dh += d_outputs.read(t)
                to_n = tanh_gradient(n, dh * (1.0 - z))
                to_gates = sigmoid_gradient(gates, tf.concat([dh * (before - n), to_n * inner], -1))
                delta = tf.concat([to_gates, to_n * r], -1)
                return [dh * z + masked(matmul(delta, transposed), mask)], [tf.concat([to_gates, to_n], -1), delta]

            (dh0,), (d_projected, deltas) = loop(step_back, steps, [d_h], 2, backward=True)
            deltas = deltas.stack()
            d_bias = tf.reduce_sum(deltas[..., 2 * units :], [0, 1])
            return d_projected.stack(), weight_gradient(seen.stack(), deltas), d_bias, dh0

        return (hiddens.stack(), h), gradient

    return scan(projected, kernel, bias, h0)
