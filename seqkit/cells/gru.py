"""The gated recurrent unit's cell."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.scan import ScanCell, loop, masked, shifted, steps_of, weight_gradient


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
        return lambda inputs: tf.tensordot(inputs, kernel, 1) + bias

    def projected_step(self):
        """Return a function ``(projected inputs, [h]) -> (h, [h])``; see `ScanCell.projected_step`."""
        kernel, bias = self._recurrent()

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
    """Return ``h_t``, ``z_t``, ``r_t``, ``n_t`` and ``U_n ĥ + c_n``, where ``seen`` is ĥ, h_{t-1} under dropout."""
    units = kernel.shape[0]
    of_gates, inner = tf.split(tf.matmul(seen, kernel), [2 * units, units], -1)
    z, r = tf.split(tf.sigmoid(gates + of_gates), 2, -1)
    inner += bias
    n = tf.tanh(candidate + r * inner)
    return n + z * (h - n), z, r, n, inner


def _scan(projected, kernel, bias, h0, mask):
    """Run over [time, batch, 3 units] with a gradient by hand; a ``mask`` [batch, units] multiplies each h_{t-1}."""
    units = kernel.shape[0]

    @tf.custom_gradient
    def scan(projected, kernel, bias, h0):
        steps = tf.shape(projected)[0]
        gates, candidate = (steps_of(part) for part in tf.split(projected, [2 * units, units], -1))

        def step(t, h):
            h, *values = _advance(gates.read(t), candidate.read(t), h, masked(h, mask), kernel, bias)
            return [h], [h, *values]

        (h,), (hiddens, z, r, n, inner) = loop(step, steps, [h0], 5)

        def gradient(d_hiddens, d_h):
            # With δ for the gradient towards what an activation is applied to, ĥ for h_{t-1} under dropout, and
            # ν for the gradient towards U_n ĥ + c_n:
            #   δz_t = dh_t ∘ (h_{t-1} - n_t) z_t (1 - z_t),   δn_t = dh_t ∘ (1 - z_t)(1 - n_t²)
            #   δr_t = δn_t ∘ (U_n ĥ + c_n) r_t (1 - r_t),   ν_t = δn_t ∘ r_t,   dĥ = [δz, δr, ν]_t Uᵀ
            #   dh_{t-1} = dh_t ∘ z_t + dĥ ∘ mask.  Every factor but dh is known beforehand, for all steps at once.
            before = shifted(h0, hiddens)
            to_n = (1.0 - z) * (1.0 - n * n)
            parts = [(before - n) * z * (1.0 - z), to_n * inner * r * (1.0 - r), to_n * r]
            factors, keep, d_outputs = steps_of(tf.concat(parts, -1)), steps_of(z), steps_of(d_hiddens)
            transposed = tf.transpose(kernel)

            def step_back(t, dh):
                dh += d_outputs.read(t)
                delta = tf.concat([dh, dh, dh], -1) * factors.read(t)
                return [dh * keep.read(t) + masked(tf.matmul(delta, transposed), mask)], [dh, delta]

            (dh0,), (d_states, deltas) = loop(step_back, steps, [d_h], 2, backward=True)
            d_kernel = weight_gradient(masked(before, mask), deltas)
            d_projected = tf.concat([deltas[..., : 2 * units], d_states * to_n], -1)
            return d_projected, d_kernel, tf.reduce_sum(deltas[..., 2 * units :], [0, 1]), dh0

        return (hiddens, h), gradient

    return scan(projected, kernel, bias, h0)
