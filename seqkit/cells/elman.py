"""The Elman network's cell: the hidden state is fed back."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.scan import GRADIENTS, ScanCell, affine, loop, masked, steps_of, weight_gradient
from seqkit.precision import factor, matmul


@keras.saving.register_keras_serializable("seqkit")
class ElmanCell(ScanCell, keras.layers.SimpleRNNCell):
    """One step of a simple recurrent network (Elman 1990, "Finding structure in time").

    ``h_t = g(W x_t + U h_{t-1} + b)``

    This is Keras' own ``SimpleRNNCell`` under the name the field uses: ``W`` is ``kernel``, ``U`` is
    ``recurrent_kernel``, ``b`` is ``bias``, ``g`` is ``activation``.

    Args:
        units: Size of the hidden state ``h``.
        activation: ``g``; any Keras activation name or function.
        **kwargs: As in ``keras.layers.SimpleRNNCell``.
    """

    @property
    def can_scan(self) -> bool:
        """Whether `scan` computes what `call` does: it knows tanh and relu in float32."""
        return super().can_scan and self.activation in GRADIENTS

    def projection(self):
        """Return a function to ``W x + b``, [..., dim] to [..., units]."""
        return affine(tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias))

    def projected_step(self):
        """Return a function ``(projected inputs, [h]) -> (h, [h])``; see `ScanCell.projected_step`."""
        kernel = factor(tf.convert_to_tensor(self.recurrent_kernel))

        def step(projected, state):
            h = self.activation(projected + matmul(state[0], kernel))
            return h, [h]

        return step

    def scan_with_gradient(self, projected, state, mask=None):
        """Run over [time, batch, units]; see `ScanCell.scan_with_gradient`."""
        activation, gradient_of = self.activation, GRADIENTS[self.activation]

        @tf.custom_gradient
        def scan(projected, kernel, h0):
            steps = tf.shape(projected)[0]
            each, recurrent = steps_of(projected), factor(kernel)

            def step(t, h):
                seen = masked(h, mask)
                h = activation(each.read(t) + matmul(seen, recurrent))
                return [h], [h, seen]

            (h,), (hiddens, seen) = loop(step, steps, [h0], 2)

            def gradient(d_hiddens, d_h):
                # δ_t = dh_t ∘ g'_t,  dh_{t-1} = δ_t Uᵀ
                d_outputs, transposed = steps_of(d_hiddens), factor(tf.transpose(kernel))

                def step_back(t, dh):
                    delta = gradient_of(hiddens.read(t), dh + d_outputs.read(t))
                    return [masked(matmul(delta, transposed), mask)], [delta]

                (dh0,), (deltas,) = loop(step_back, steps, [d_h], 1, backward=True)
                deltas = deltas.stack()
                return deltas, weight_gradient(seen.stack(), deltas), dh0

            return (hiddens.stack(), h), gradient

        hiddens, h = scan(projected, tf.convert_to_tensor(self.recurrent_kernel), *state)
        return hiddens, [h]
