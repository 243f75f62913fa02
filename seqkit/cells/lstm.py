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
            training: Whether recurrent dropout is active.

        Returns:
            Tensor [time, batch, units]: ``h`` at every step.
        """
        if training and self.recurrent_dropout:
            # One mask for all steps of a sequence (Gal & Ghahramani 2016), scaled to keep the mean.
            keep = 1.0 - self.recurrent_dropout
            noise = keras.random.uniform((tf.shape(projected)[1], self.units), seed=self.seed_generator)
            mask = tf.cast(noise < keep, tf.float32) / keep
        else:
            mask = tf.ones([1, self.units])
        return _lstm_scan(projected, tf.convert_to_tensor(self.recurrent_kernel), *state, mask)


def _double_g(x: tf.Tensor) -> tf.Tensor:
    """Double the block of gate g, so that one sigmoid serves all four gates: tanh(a) = 2 σ(2a) - 1."""
    i, f, g, o = tf.split(x, 4, -1)
    return tf.concat([i, f, 2.0 * g, o], -1)


def _array(steps: tf.Tensor, values: tf.Tensor | None = None) -> tf.TensorArray:
    array = tf.TensorArray(tf.float32, size=steps)
    return array if values is None else array.unstack(values)


@tf.custom_gradient
def _lstm_scan(projected, recurrent_kernel, h0, c0, mask):
    """Loop over [time, batch, 4 units] input products; ``mask`` [batch or 1, units] multiplies each ``h_{t-1}``."""
    steps = tf.shape(projected)[0]
    kernel2 = _double_g(recurrent_kernel)
    inputs = _array(steps, _double_g(projected))

    def step(t, h, c, gates, cells, hiddens):
        s = tf.sigmoid(inputs.read(t) + tf.matmul(h * mask, kernel2))
        i, f, g2, o = tf.split(s, 4, -1)
        c = f * c + i * (2.0 * g2 - 1.0)
        h = o * tf.tanh(c)
        return t + 1, h, c, gates.write(t, s), cells.write(t, c), hiddens.write(t, h)

    loop = (0, h0, c0, _array(steps), _array(steps), _array(steps))
    *_, gates, cells, hiddens = tf.while_loop(lambda t, *_: t < steps, step, loop, maximum_iterations=steps)
    gates, cells, hiddens = gates.stack(), cells.stack(), hiddens.stack()

    def gradient(d_hiddens):
        # With δ for the gradient of what a gate's activation is applied to:
        #   dc_t = dc_{t+1} ∘ f_{t+1} + dh_t ∘ o_t (1 - tanh² c_t),   δo_t = dh_t ∘ tanh(c_t) o_t (1 - o_t)
        #   δi_t = dc_t ∘ g_t i_t (1 - i_t),  δf_t = dc_t ∘ c_{t-1} f_t (1 - f_t),  δg_t = dc_t ∘ i_t (1 - g_t²)
        #   dh_{t-1} = δ_t Uᵀ.  Every factor but dh and dc is known beforehand, for all steps at once.
        i, f, g2, o = tf.split(gates, 4, -1)
        g = 2.0 * g2 - 1.0
        tanh_c = tf.tanh(cells)
        c_before = tf.concat([c0[None], cells[:-1]], 0)
        h_before = tf.concat([h0[None], hiddens[:-1]], 0) * mask
        from_h_to_c = _array(steps, o * (1.0 - tanh_c * tanh_c))
        from_h_to_o = _array(steps, tanh_c * o * (1.0 - o))
        from_c = _array(steps, tf.concat([g * i * (1.0 - i), c_before * f * (1.0 - f), i * (1.0 - g * g)], -1))
        forget, d_outputs = _array(steps, f), _array(steps, d_hiddens)

        def step_back(t, dh, dc, deltas):
            dh += d_outputs.read(t)
            dc += dh * from_h_to_c.read(t)
            delta = tf.concat([tf.concat([dc, dc, dc], -1) * from_c.read(t), dh * from_h_to_o.read(t)], -1)
            dh = tf.matmul(delta, recurrent_kernel, transpose_b=True) * mask
            return t - 1, dh, dc * forget.read(t), deltas.write(t, delta)

        loop = (steps - 1, tf.zeros_like(h0), tf.zeros_like(c0), _array(steps))
        _, dh0, dc0, deltas = tf.while_loop(lambda t, *_: t >= 0, step_back, loop, maximum_iterations=steps)
        deltas = deltas.stack()
        units = recurrent_kernel.shape[0]
        d_kernel = tf.matmul(tf.reshape(h_before, [-1, units]), tf.reshape(deltas, [-1, 4 * units]), transpose_a=True)
        return deltas, d_kernel, dh0, dc0, tf.zeros_like(mask)

    return hiddens, gradient
