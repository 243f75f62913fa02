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

    def scan(self, inputs: tf.Tensor, state: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Run the cell over a whole sequence.

        Equal to stepping with `call`, and faster: the products of the inputs are made beforehand for all steps at once,
        and in training the gradient is made by hand, its loop too holding only what is recurrent.

        Args:
            inputs: Tensor [time, batch, dim].
            state: ``[h_0, c_0]``, each [batch, units].
            training: Whether recurrent dropout is active, and a gradient by hand is to be had. Without, the loop keeps
                nothing but its outputs (TensorFlow can still differentiate it, more slowly).

        Returns:
            Tensor [time, batch, units]: ``h`` at every step.
        """
        projected, kernel = self.project(inputs), self._projected_kernel()
        if training:
            mask = None
            if self.recurrent_dropout:
                # One mask for all steps of a sequence (Gal & Ghahramani 2016), scaled to keep the mean.
                keep = 1.0 - self.recurrent_dropout
                noise = keras.random.uniform((tf.shape(inputs)[1], self.units), seed=self.seed_generator)
                mask = tf.cast(noise < keep, tf.float32) / keep
            return _scan(projected, kernel, *state, mask)
        steps = tf.shape(inputs)[0]
        each, kernel = _array(steps, projected), 0.5 * kernel

        def step(t, h2, c, outputs):
            h2, c = _advance(tf.tanh(each.read(t) + tf.matmul(h2, kernel)), c)
            return t + 1, h2, c, outputs.write(t, h2)

        loop = (0, 2.0 * state[0], state[1], _array(steps))
        *_, outputs = tf.while_loop(lambda t, *_: t < steps, step, loop, maximum_iterations=steps)
        return 0.5 * outputs.stack()

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the part of the gates that needs no recurrence: [..., dim] to [..., 4 units]."""
        half = _halves(self.units)
        kernel, bias = half * tf.convert_to_tensor(self.kernel), half * tf.convert_to_tensor(self.bias)
        return tf.tensordot(inputs, kernel, 1) + bias

    def projected_step(self):
        """Return a function ``(projected inputs, [h, c]) -> (h, [h, c])`` that does as `call` in prediction.

        Where many steps share a few distinct inputs (the words of a text), `project` is done once for each.
        """
        kernel = self._projected_kernel()

        def step(projected, state):
            h, c = state
            h2, c = _advance(tf.tanh(projected + tf.matmul(h, kernel)), c)
            h = 0.5 * h2
            return h, [h, c]

        return step

    def _projected_kernel(self) -> tf.Tensor:
        return _halves(self.units) * tf.convert_to_tensor(self.recurrent_kernel)


# Much of what a small step costs is the number of its operations. So all four gates share one tanh, by
# σ(a) = (1 + tanh(a / 2)) / 2 with the halves taken into the weights beforehand; and the loops carry 2 h.


def _halves(units: int) -> tf.Tensor:
    """Return what gates i, f, g, o are multiplied by before the shared tanh."""
    return tf.constant([0.5] * 2 * units + [1.0] * units + [0.5] * units)


def _advance(gates: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return ``2 h_t`` and ``c_t`` from gates after the shared tanh."""
    i, f, g, o = tf.split(gates, 4, -1)
    c = 0.5 * ((f + 1.0) * c + (i + 1.0) * g)
    return (o + 1.0) * tf.tanh(c), c


def _array(steps: tf.Tensor, values: tf.Tensor | None = None) -> tf.TensorArray:
    array = tf.TensorArray(tf.float32, size=steps)
    return array if values is None else array.unstack(values)


def _scan(projected, kernel, h0, c0, mask=None):
    """Run over [time, batch, 4 units] with a gradient by hand; a ``mask`` [batch, units] multiplies each h_{t-1}.

    ``projected`` is what `LSTMCell.project` makes of the inputs, ``kernel`` the recurrent kernel, halves included.
    """
    units = kernel.shape[0]

    @tf.custom_gradient
    def scan(projected, kernel, h0, c0):
        steps = tf.shape(projected)[0]
        each, doubled = _array(steps, projected), 0.5 * kernel

        def step(t, h2, c, gates, cells):
            gate = tf.tanh(each.read(t) + tf.matmul(h2 if mask is None else h2 * mask, doubled))
            h2, c = _advance(gate, c)
            return t + 1, h2, c, gates.write(t, gate), cells.write(t, c)

        loop = (0, 2.0 * h0, c0, _array(steps), _array(steps))
        *_, gates, cells = tf.while_loop(lambda t, *_: t < steps, step, loop, maximum_iterations=steps)
        gates, cells = gates.stack(), cells.stack()
        i, f, g, o = tf.split(gates, 4, -1)
        tanh_c, o = tf.tanh(cells), 0.5 * o + 0.5
        hiddens = o * tanh_c

        def gradient(d_hiddens):
            # With δ for the gradient towards what the shared tanh is applied to, and t for its values (so that
            # i = (1 + t_i) / 2, g = t_g, ...):
            #   dc_t = dc_{t+1} ∘ f_{t+1} + dh_t ∘ o_t (1 - tanh² c_t),     δo_t = dh_t ∘ tanh(c_t) / 2 (1 - t_o²)
            #   δi_t = dc_t ∘ g_t / 2 (1 - t_i²),  δf_t = dc_t ∘ c_{t-1} / 2 (1 - t_f²),  δg_t = dc_t ∘ i_t (1 - t_g²)
            #   dh_{t-1} = δ_t Uᵀ.  Every factor but dh and dc is known beforehand, for all steps at once.
            c_before = tf.concat([c0[None], cells[:-1]], 0)
            h_to_c = _array(steps, o * (1.0 - tanh_c * tanh_c))
            factors = 0.5 * tf.concat([g, c_before, i + 1.0, tanh_c], -1)
            to_delta = _array(steps, factors * (1.0 - gates * gates))
            forget, d_outputs = _array(steps, 0.5 * f + 0.5), _array(steps, d_hiddens)
            transposed = tf.transpose(kernel)

            def step_back(t, dh, dc, deltas):
                dh += d_outputs.read(t)
                dc += dh * h_to_c.read(t)
                delta = tf.concat([dc, dc, dc, dh], -1) * to_delta.read(t)
                dh = tf.matmul(delta, transposed)
                return t - 1, dh if mask is None else dh * mask, dc * forget.read(t), deltas.write(t, delta)

            loop = (steps - 1, tf.zeros_like(h0), tf.zeros_like(c0), _array(steps))
            _, dh0, dc0, deltas = tf.while_loop(lambda t, *_: t >= 0, step_back, loop, maximum_iterations=steps)
            deltas = deltas.stack()
            h_before = tf.concat([h0[None], hiddens[:-1]], 0)
            seen = tf.reshape(h_before if mask is None else h_before * mask, [-1, units])
            d_kernel = tf.matmul(seen, tf.reshape(deltas, [-1, 4 * units]), transpose_a=True)
            return deltas, d_kernel, dh0, dc0

        return hiddens, gradient

    return scan(projected, kernel, h0, c0)
