"""Jordan's recurrent cell: the output, not the hidden state, is fed back."""

from __future__ import annotations

import keras
from keras import activations, initializers, ops

# Not exported by Keras, yet it is the class by which `keras.layers.RNN` knows that a cell keeps dropout masks: the loop
# makes the masks before the first step and forgets them after the last.
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

from seqkit.errors import ParameterError


@keras.saving.register_keras_serializable(package="seqkit")
class JordanCell(keras.layers.Layer, DropoutRNNCell):
    """One step of a Jordan network, for `keras.layers.RNN` or any loop that follows its cell protocol.

    With input x_t, hidden layer h_t and output y_t:

        h_t = g(x_t W + y_{t-1} U + b)
        y_t = o(h_t V + c)

    | symbol | parameter | shape |
    |---|---|---|
    | W | `kernel` | (inputs, units) |
    | U | `recurrent_kernel` | (output_units, units) |
    | b | `bias` | (units,) |
    | V | `output_kernel` | (units, output_units) |
    | c | `output_bias` | (output_units,) |
    | g | `activation` | |
    | o | `output_activation` | |

    The state carried from step to step is y_{t-1} and nothing else; an Elman network (`keras.layers.SimpleRNNCell`)
    carries h_{t-1}. Jordan's own network also let the fed-back units decay into themselves (y_t + μ s_{t-1});
    this is the form without that memory (μ = 0), which is what later work calls a Jordan network.

    Args:
        units: Positive integer, the number of hidden units.
        output_units: Positive integer, the number of outputs, which is the size of the state. Default: `units`.
        activation: g, any Keras activation. `None` is the identity. Default: `"tanh"`.
        output_activation: o, any Keras activation, such as `"softmax"` to feed a distribution back. Default: `"tanh"`.
        use_bias: Whether there are b and c. Default: `True`.
        kernel_initializer: Initializer of W. Default: `"glorot_uniform"`.
        recurrent_initializer: Initializer of U. Default: `"orthogonal"`.
        output_initializer: Initializer of V. Default: `"glorot_uniform"`.
        bias_initializer: Initializer of b and c. Default: `"zeros"`.
        dropout: Float in [0, 1), the share of inputs dropped; one mask for all steps of a sequence.
        recurrent_dropout: Float in [0, 1), the share of the fed-back outputs y_{t-1} dropped; likewise one mask.
        seed: Integer seed of the dropout masks.

    Call arguments:
        inputs: Tensor of shape (batch, inputs), the input x_t.
        states: Tensor of shape (batch, output_units), or a list that holds it: y_{t-1}.
        training: Whether dropout applies.

    Reference: M. I. Jordan, "Serial order: a parallel distributed processing approach", ICS Report 8604, UC San Diego,
    1986.

    Example:
    ```python
    layer = keras.layers.RNN(JordanCell(64, output_units=9, output_activation="softmax"), return_sequences=True)
    distributions = layer(vectors)  # (batch, steps, 9)
    ```
    """

    def __init__(
        self,
        units: int,
        output_units: int | None = None,
        activation="tanh",
        output_activation="tanh",
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        output_initializer="glorot_uniform",
        bias_initializer="zeros",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        for name, value in (("units", units), ("output_units", units if output_units is None else output_units)):
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise ParameterError(
                    f"Received an invalid value for argument `{name}`, expected a positive integer, got {value!r}."
                )
        for name, value in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= value < 1:
                raise ParameterError(
                    f"Received an invalid value for argument `{name}`, expected a number in [0, 1), got {value!r}."
                )
        super().__init__(**kwargs)
        self.units = units
        self.output_units = units if output_units is None else output_units
        self.activation = activations.get(activation)
        self.output_activation = activations.get(output_activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.output_initializer = initializers.get(output_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.state_size = self.output_units
        self.output_size = self.output_units

    def build(self, input_shape):
        """Create the weights for inputs of shape (batch, inputs)."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.output_units, self.units), initializer=self.recurrent_initializer, name="recurrent_kernel"
        )
        self.output_kernel = self.add_weight(
            shape=(self.units, self.output_units), initializer=self.output_initializer, name="output_kernel"
        )
        self.bias = self.output_bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.units,), initializer=self.bias_initializer, name="bias")
            self.output_bias = self.add_weight(
                shape=(self.output_units,), initializer=self.bias_initializer, name="output_bias"
            )

    def call(self, inputs, states, training=False):
        """Return y_t, and the new state, which is y_t again."""
        nested = isinstance(states, (list, tuple))
        previous = states[0] if nested else states
        if training and self.dropout:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout:
            previous = previous * self.get_recurrent_dropout_mask(previous)
        hidden = ops.matmul(inputs, self.kernel) + ops.matmul(previous, self.recurrent_kernel)
        if self.use_bias:
            hidden = hidden + self.bias
        output = ops.matmul(self.activation(hidden), self.output_kernel)
        if self.use_bias:
            output = output + self.output_bias
        output = self.output_activation(output)
        return output, [output] if nested else output

    def get_initial_state(self, batch_size=None):
        """Return y_0 = 0."""
        return [ops.zeros((batch_size, self.state_size), dtype=self.compute_dtype)]

    def get_config(self):
        """Return all arguments, serializable."""
        return {
            **super().get_config(),
            "units": self.units,
            "output_units": self.output_units,
            "activation": activations.serialize(self.activation),
            "output_activation": activations.serialize(self.output_activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "output_initializer": initializers.serialize(self.output_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }
