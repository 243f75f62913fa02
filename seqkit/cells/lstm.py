"""The long short-term memory's cell."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.scan import ScanCell, affine, loop, masked, steps_of, tanh_gradient, weight_gradient
from seqkit.precision import factor, matmul


@keras.saving.register_keras_serializable("seqkit")
class LSTMCell(ScanCell, keras.layers.LSTMCell):
    """One step of a long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    ``i_t = σ(W_i x_t + U_i h_{t-1} + b_i)``
    ``f_t = σ(W_f x_t + U_f h_{t-1} + b_f)``
    ``g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)``
    ``o_t = σ(W_o x_t + U_o h_{t-1} + b_o)``
    ``c_t = f_t ∘ c_{t-1} + i_t ∘ g_t``,  ``h_t = o_t ∘ tanh(c_t)``

    ``W`` is ``kernel`` and ``U`` is ``recurrent_kernel``, gates side by side in the order i, f, g, o; ``b`` is ``bias``
    (forget part 1 at the start). ``tanh`` is ``activation``, ``σ`` is ``recurrent_activation``.

    Args:
        units: Size of the states ``h`` and ``c``.
        **kwargs: As in ``keras.layers.LSTMCell``.
    """

    @property
    def can_scan(self) -> bool:
        """Whether `scan` computes what `call` does: it knows the standard activations in float32."""
        return (
            super().can_scan
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
        )

    def projection(self):
        """Return a function to the part of the gates that needs no recurrence: [..., dim] to [..., 4 units]."""
        half = _halves(self.units)
        kernel, bias = half * tf.convert_to_tensor(self.kernel), half * tf.convert_to_tensor(self.bias)
        return affine(kernel, bias)

    def projected_step(self):
        """Return a function ``(projected inputs, [h, c]) -> (h, [h, c])``; see `ScanCell.projected_step`."""
        kernel = factor(self._projected_kernel())

        def step(projected, state):
            h, c = state
            h2, c, _ = _advance(tf.tanh(projected + matmul(h, kernel)), c)
            h = 0.5 * h2
            return h, [h, c]

        return step

    def scan_with_gradient(self, projected, state, mask=None):
        """Run over [time, batch, 4 units]; see `ScanCell.scan_with_gradient`."""
        hiddens, *state = _scan(projected, self._projected_kernel(), *state, mask)
        return hiddens, state

    def _projected_kernel(self) -> tf.Tensor:
        return _halves(self.units) * tf.convert_to_tensor(self.recurrent_kernel)


# Much of what a small step costs is the number of its operations. So all four gates share one tanh, by
# σ(a) = (1 + tanh(a / 2)) / 2 with the halves taken into the weights beforehand; and the loop carries 2 h.


def _halves(units: int) -> tf.Tensor:
    """Return what gates i, f, g, o are multiplied by before the shared tanh."""
    return tf.constant([0.5] * 2 * units + [1.0] * units + [0.5] * units)


def _advance(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return ``2 h_t``, ``c_t`` and ``tanh(c_t)`` from gates after the shared tanh."""
    i, f, g, o = tf.split(gates, 4, -1)
    c = 0.5 * ((f + 1.0) * c + (i + 1.0) * g)
    tanh_c = tf.tanh(c)
    return (o + 1.0) * tanh_c, c, tanh_c


def _scan(projected, kernel, h0, c0, mask):
    """Run over [time, batch, 4 units] with a gradient by hand; a ``mask`` [batch, units] multiplies each h_{t-1}.

    ``projected`` is what `LSTMCell.project` makes of the inputs, ``kernel`` the recurrent kernel, halves included.
    """

    @tf.custom_gradient
    def scan(projected, kernel, h0, c0):
        steps = tf.shape(projected)[0]
        each, doubled = steps_of(projected), factor(0.5 * kernel)

        def step(t, h2, before):
            seen = masked(h2, mask)
            gates = tf.tanh(each.read(t) + matmul(seen, doubled))
            h2, c, tanh_c = _advance(gates, before)
            return [h2, c], [h2, seen, gates, before, tanh_c]

        (h2, c), (hiddens, seen, *values) = loop(step, steps, [2.0 * h0, c0], 5)

        def gradient(d_hiddens, d_h, d_c):
            # With δ for the gradient towards what the shared tanh is applied to, and t for its values (so that
            # i = (1 + t_i) / 2, g = t_g, ...), for which `tanh_gradient` multiplies by 1 - t²:
            #   dc_t = dc_{t+1} ∘ f_{t+1} + dh_t ∘ o_t (1 - tanh² c_t),     δo_t = dh_t ∘ tanh(c_t) / 2 (1 - t_o²)
            #   δi_t = dc_t ∘ g_t / 2 (1 - t_i²),  δf_t = dc_t ∘ c_{t-1} / 2 (1 - t_f²),  δg_t = dc_t ∘ i_t (1 - t_g²)
            #   dh_{t-1} = δ_t Uᵀ.
            d_outputs, transposed = steps_of(d_hiddens), factor(tf.transpose(kernel))

            def step_back(t, dh, dc):
                gates, before, tanh_c = (value.read(t) for value in values)
                i, f, g, o = tf.split(gates, 4, -1)
                half_dh = 0.5 * (dh + d_outputs.read(t))
                half_dc = 0.5 * (dc + tanh_gradient(tanh_c, half_dh * (o + 1.0)))
                parts = [half_dc * g, half_dc * before, half_dc * (i + 1.0), half_dh * tanh_c]
                delta = tanh_gradient(gates, tf.concat(parts, -1))
                return [masked(matmul(delta, transposed), mask), half_dc * (f + 1.0)], [delta]

            (dh0, dc0), (deltas,) = loop(step_back, steps, [d_h, d_c], 1, backward=True)
            deltas = deltas.stack()
            return deltas, 0.5 * weight_gradient(seen.stack(), deltas), dh0, dc0

        return (0.5 * hiddens.stack(), 0.5 * h2, c), gradient

    return scan(projected, kernel, h0, c0)
