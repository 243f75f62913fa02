"""The long short-term memory's cell, and a whole-sequence form of it with a hand-written gradient."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("seqkit")
class LSTMCell(keras.layers.LSTMCell):
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
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and self.compute_dtype == "float32"
            and self.use_bias
            and not self.dropout
        )

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the part of all gates that needs no recurrence, ``W x + b``: [..., dim] to [..., 4 units]."""
        return tf.tensordot(inputs, tf.convert_to_tensor(self.kernel), 1) + tf.convert_to_tensor(self.bias)

    def scan(self, projected: tf.Tensor, state: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Run the cell over a whole sequence.

        Equal to stepping with `call`, and faster in training: the input products of all steps are one matrix product
        (`project`), and so is the gradient of ``U``; the loop backwards holds only what is recurrent.

        Args:
            projected: Tensor [time, batch, 4 units], from `project`.
            state: ``[h_0, c_0]``, each [batch, units].
            training: Whether recurrent dropout is active, and a gradient by hand is to be had. Without, the loop keeps
                nothing but its outputs (TensorFlow can still differentiate it, more slowly).

        Returns:
            Tensor [time, batch, units]: ``h`` at every step.
        """
        mask = None
        kernel = tf.convert_to_tensor(self.recurrent_kernel)
        if not training:
            return _forward(projected, kernel, *state)
        if training and self.recurrent_dropout:
            # One mask for all steps of a sequence (Gal & Ghahramani 2016), scaled to keep the mean.
            keep = 1.0 - self.recurrent_dropout
            noise = keras.random.uniform((tf.shape(projected)[1], self.units), seed=self.seed_generator)
            mask = tf.cast(noise < keep, tf.float32) / keep
        return _lstm_scan(projected, kernel, *state, mask)


def _array(steps: tf.Tensor, values: tf.Tensor | None = None) -> tf.TensorArray:
    array = tf.TensorArray(tf.float32, size=steps)
    return array if values is None else array.unstack(values)


# Most of what a small step costs is the number of its operations. So all four gates share one tanh, by
# σ(a) = (1 + tanh(a / 2)) / 2 with the halves taken into the kernel beforehand, and the loops carry 2 h.


def _halves(units: int) -> tf.Tensor:
    """Return what gates i, f, g, o are multiplied by before the shared tanh."""
    return tf.constant([0.5] * 2 * units + [1.0] * units + [0.5] * units)


def _step(inputs: tf.Tensor, h2: tf.Tensor, c: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the gates (after the tanh), ``2 h_t`` and ``c_t``."""
    gates = tf.tanh(inputs + tf.matmul(h2, kernel))
    i, f, g, o = tf.split(gates, 4, -1)
    c = 0.5 * ((f + 1.0) * c + (i + 1.0) * g)
    return gates, (o + 1.0) * tf.tanh(c), c


def _forward(projected, recurrent_kernel, h0, c0):
    """Loop over [time, batch, 4 units] input products; return ``h`` at every step."""
    steps, half = tf.shape(projected)[0], _halves(recurrent_kernel.shape[0])
    kernel, inputs = 0.5 * half * recurrent_kernel, _array(steps, half * projected)

    def step(t, h2, c, outputs):
        _, h2, c = _step(inputs.read(t), h2, c, kernel)
        return t + 1, h2, c, outputs.write(t, h2)

    loop = (0, 2.0 * h0, c0, _array(steps))
    *_, outputs = tf.while_loop(lambda t, *_: t < steps, step, loop, maximum_iterations=steps)
    return 0.5 * outputs.stack()


def _lstm_scan(projected, recurrent_kernel, h0, c0, mask=None):
    """Do as `_forward`, with a gradient by hand; a ``mask`` [batch, units] multiplies each ``h_{t-1}``."""
    units = recurrent_kernel.shape[0]
    half = _halves(units)

    def before(h, h_first):
        """Return ``h_{t-1}`` as the gates see it."""
        shifted = tf.concat([h_first[None], h[:-1]], 0)
        return shifted if mask is None else shifted * mask

    @tf.custom_gradient
    def scan(projected, recurrent_kernel, h0, c0):
        steps = tf.shape(projected)[0]
        kernel, inputs = 0.5 * half * recurrent_kernel, _array(steps, half * projected)

        def step(t, h2, c, gates, cells):
            gate, h2, c = _step(inputs.read(t), h2 if mask is None else h2 * mask, c, kernel)
            return t + 1, h2, c, gates.write(t, gate), cells.write(t, c)

        loop = (0, 2.0 * h0, c0, _array(steps), _array(steps))
        *_, gates, cells = tf.while_loop(lambda t, *_: t < steps, step, loop, maximum_iterations=steps)
        i, f, g, o = tf.split(gates.stack(), 4, -1)
        i, f, o = 0.5 * i + 0.5, 0.5 * f + 0.5, 0.5 * o + 0.5
        cells = cells.stack()
        tanh_c = tf.tanh(cells)
        hiddens = o * tanh_c

        def gradient(d_hiddens):
            # With δ for the gradient of what a gate's activation is applied to:
            #   dc_t = dc_{t+1} ∘ f_{t+1} + dh_t ∘ o_t (1 - tanh² c_t),   δo_t = dh_t ∘ tanh(c_t) o_t (1 - o_t)
            #   δi_t = dc_t ∘ g_t i_t (1 - i_t),  δf_t = dc_t ∘ c_{t-1} f_t (1 - f_t),  δg_t = dc_t ∘ i_t (1 - g_t²)
            #   dh_{t-1} = δ_t Uᵀ.  Every factor but dh and dc is known beforehand, for all steps at once.
            c_before = tf.concat([c0[None], cells[:-1]], 0)
            h_to_c = _array(steps, o * (1.0 - tanh_c * tanh_c))
            parts = [g * i * (1.0 - i), c_before * f * (1.0 - f), i * (1.0 - g * g), tanh_c * o * (1.0 - o)]
            to_delta = _array(steps, tf.concat(parts, -1))
            forget, d_outputs = _array(steps, f), _array(steps, d_hiddens)

            def step_back(t, dh, dc, deltas):
                dh += d_outputs.read(t)
                dc += dh * h_to_c.read(t)
                delta = tf.concat([dc, dc, dc, dh], -1) * to_delta.read(t)
                dh = tf.matmul(delta, recurrent_kernel, transpose_b=True)
                return t - 1, dh if mask is None else dh * mask, dc * forget.read(t), deltas.write(t, delta)

            loop = (steps - 1, tf.zeros_like(h0), tf.zeros_like(c0), _array(steps))
            _, dh0, dc0, deltas = tf.while_loop(lambda t, *_: t >= 0, step_back, loop, maximum_iterations=steps)
            deltas = deltas.stack()
            seen = tf.reshape(before(hiddens, h0), [-1, units])
            d_kernel = tf.matmul(seen, tf.reshape(deltas, [-1, 4 * units]), transpose_a=True)
            return deltas, d_kernel, dh0, dc0

        return hiddens, gradient

    return scan(projected, recurrent_kernel, h0, c0)
