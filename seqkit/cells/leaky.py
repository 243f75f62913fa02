"""The leaky integrator's cell: a simple recurrent network whose units move a part of the way at each step."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells.elman import ElmanCell
from seqkit.cells.scan import GRADIENTS, loop, masked, steps_of, weight_gradient
from seqkit.precision import factor, matmul


@keras.saving.register_keras_serializable("seqkit")
class LeakyCell(ElmanCell):
    """One step of a network of leaky integrator units (Jaeger et al. 2007, eq. 1, with trained leaking rates).

    ``h_t = h_{t-1} + α ∘ (g(W x_t + U h_{t-1} + b) - h_{t-1})``,  ``α = σ(a)``

    ``W`` is ``kernel``, ``U`` is ``recurrent_kernel``, ``b`` is ``bias``, ``g`` is ``activation``, and ``a`` is
    ``leak`` [units], trained with the rest. A unit of small ``α`` is slow: it remembers about ``1/α`` steps. With
    ``α = 1`` it is an Elman network's.

    Args:
        units: Size of the hidden state ``h``.
        activation: ``g``; any Keras activation name or function.
        rates: The smallest and the largest α at the start; units are spread evenly between them, by ``a``.
        **kwargs: As in ``keras.layers.SimpleRNNCell``.

    Reference: H. Jaeger, M. Lukoševičius, D. Popovici and U. Siewert, "Optimization and applications of echo state
    networks with leaky-integrator neurons", Neural Networks 20, 2007.
    """

    def __init__(self, units: int, activation="tanh", rates: tuple[float, float] = (0.1, 0.95), **kwargs):
        super().__init__(units, activation=activation, **kwargs)
        self.rates = tuple(rates)

    def build(self, input_shape):
        """Make the weights."""
        super().build(input_shape)
        low, high = (tf.math.log(rate / (1 - rate)) for rate in self.rates)
        start = tf.linspace(low, high, self.units)
        self.leak = self.add_weight(shape=(self.units,), initializer=lambda *_, **__: start, name="leak")

    def call(self, sequence, states, training=False):
        """Return h_t twice, as output and as the list of states.

        Args:
            sequence: x_t, tensor [batch, dim].
            states: h_{t-1}, tensor [batch, units], or a list that holds it.
            training: Whether dropout is active.
        """
        before = states[0] if isinstance(states, list | tuple) else states
        target, _ = super().call(sequence, [before], training=training)
        h = before + keras.ops.sigmoid(self.leak) * (target - before)
        return h, [h] if isinstance(states, list | tuple) else h

    def projected_step(self):
        """Return a function ``(projected input, [h]) -> (h, [h])``; see `ScanCell.projected_step`."""
        kernel, rate = tf.convert_to_tensor(self.recurrent_kernel), tf.sigmoid(tf.convert_to_tensor(self.leak))
        kernel = factor(kernel)

        def step(projected, state):
            (h,) = state
            h += rate * (self.activation(projected + matmul(h, kernel)) - h)
            return h, [h]

        return step

    def scan_with_gradient(self, projected, state, mask=None):
        """Run over [time, batch, units]; see `ScanCell.scan_with_gradient`."""
        activation, gradient_of = self.activation, GRADIENTS[self.activation]

        @tf.custom_gradient
        def scan(projected, kernel, rate, h0):
            steps = tf.shape(projected)[0]
            each, recurrent = steps_of(projected), factor(kernel)

            def step(t, before):
                seen = masked(before, mask)
                target = activation(each.read(t) + matmul(seen, recurrent))
                h = before + rate * (target - before)
                return [h], [h, seen, before, target]

            (h,), (hiddens, seen, before, targets) = loop(step, steps, [h0], 4)

            def gradient(d_hiddens, d_h):
                # With n_t for g(…): δ_t = dh_t ∘ α ∘ g'_t,  dα = Σ dh_t ∘ (n_t - h_{t-1}),
                #   dh_{t-1} = dh_t ∘ (1 - α) + δ_t Uᵀ ∘ mask
                d_outputs, transposed = steps_of(d_hiddens), factor(tf.transpose(kernel))

                def step_back(t, dh, d_rate):
                    target = targets.read(t)
                    dh += d_outputs.read(t)
                    d_rate += tf.reduce_sum(dh * (target - before.read(t)), 0)
                    dh_rate = dh * rate
                    delta = gradient_of(target, dh_rate)
                    return [dh - dh_rate + masked(matmul(delta, transposed), mask), d_rate], [delta]

                begin = [d_h, tf.zeros_like(rate)]
                (dh0, d_rate), (deltas,) = loop(step_back, steps, begin, 1, backward=True)
                deltas = deltas.stack()
                return deltas, weight_gradient(seen.stack(), deltas), d_rate, dh0

            return (hiddens.stack(), h), gradient

        kernel, rate = tf.convert_to_tensor(self.recurrent_kernel), tf.sigmoid(tf.convert_to_tensor(self.leak))
        hiddens, h = scan(projected, kernel, rate, *state)
        return hiddens, [h]

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), "rates": self.rates}
