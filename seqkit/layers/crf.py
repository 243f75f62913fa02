"""A linear-chain conditional random field as a Keras layer."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from seqkit.errors import ParameterError
from seqkit.layers import crf_functions

# Score of a forbidden move. In learning it must leave the loss of a wrong gold path finite; in prediction it must
# outweigh any emissions a network can produce.
_FORBIDDEN_IN_LEARNING = -1e4
_FORBIDDEN_IN_PREDICTION = -1e30


@keras.saving.register_keras_serializable(package="seqkit", name="CRF")
class CRF(keras.layers.Layer):
    r"""Linear-chain conditional random field (Lafferty et al. 2001; over a network's emissions: Lample et al. 2016).

    For emissions :math:`e_1 \dots e_n`, :math:`e_t \in R^K`,

    .. math::
        s(y) = start_{y_1} + \sum_{t=1}^n e_t(y_t) + \sum_{t=2}^n A_{y_{t-1} y_t} + end_{y_n}, \qquad
        p(y \mid e) = \frac{\exp s(y)}{\sum_{y'} \exp s(y')}

    `transitions` is :math:`A` (from, to), `start` and `end` are the two vectors; all three are learned. Called, the
    layer gives the marginals :math:`p(y_t = k \mid e)`. The loss is minus `log_likelihood`, the best path is `decode`;
    both are methods, to be used in a model's own `compute_loss` and prediction.

    All is float32, under mixed precision too. No number depends on a sequence's padding or batch.

    Args:
        num_tags: Number of tags, K.
        start_mask: K booleans, False where a sequence may not begin; None allows all.
        transition_mask: K × K booleans (from, to), False for a move that may not be made; None allows all.
        end_mask: K booleans, False where a sequence may not end; None allows all. The learned weights of what a mask
            forbids are ignored. A forbidden path has probability 0 and is never decoded, unless a length admits no
            other.
        initializer: Initializer of the three weights.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        emissions: Float tensor `(batch, time, K)`.
        lengths: Int tensor `(batch,)`, tokens in each row (padded on the right); None takes them from `mask`, or all.
        mask: Bool tensor `(batch, time)`, as Keras passes it on; read only where `lengths` is None.
    """

    def __init__(
        self,
        num_tags: int,
        start_mask: Sequence[bool] | None = None,
        transition_mask: Sequence[Sequence[bool]] | None = None,
        end_mask: Sequence[bool] | None = None,
        initializer: str | dict | keras.initializers.Initializer = "zeros",
        **kwargs,
    ):
        # Without autocast, as Keras would round float32 emissions to the compute type before `call` sees them.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if isinstance(num_tags, bool) or not isinstance(num_tags, int | np.integer) or num_tags < 1:
            raise ParameterError(f"CRF: num_tags must be an int of at least 1, got {num_tags!r}.")
        self.num_tags = int(num_tags)
        self.start_mask = _mask("start_mask", start_mask, (self.num_tags,))
        self.transition_mask = _mask("transition_mask", transition_mask, (self.num_tags, self.num_tags))
        self.end_mask = _mask("end_mask", end_mask, (self.num_tags,))
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True
        # Batches differ in length; XLA would compile the loop anew for each.
        self.supports_jit = False

    def build(self, input_shape=None):
        """Create the weights; they depend on `num_tags` alone."""
        if input_shape is not None and input_shape[-1] not in (None, self.num_tags):
            raise ParameterError(
                f"CRF: the last dimension of the emissions must be num_tags={self.num_tags}, got shape "
                f"{tuple(input_shape)}. Put a Dense({self.num_tags}) layer before the CRF."
            )
        options = {"initializer": self.initializer, "dtype": "float32", "autocast": False}
        self.transitions = self.add_weight(name="transitions", shape=(self.num_tags, self.num_tags), **options)
        self.start = self.add_weight(name="start", shape=(self.num_tags,), **options)
        self.end = self.add_weight(name="end", shape=(self.num_tags,), **options)

    def call(self, emissions, lengths=None, mask=None):
        """Marginals `(batch, time, K)`."""
        if lengths is None:
            if mask is not None:
                lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
            else:
                lengths = tf.fill([tf.shape(emissions)[0]], tf.shape(emissions)[1])
        return self.marginals(emissions, lengths)

    def log_likelihood(self, emissions, tags, lengths) -> tf.Tensor:
        """Log-probability `(batch,)` of the given tags `(batch, time)`; 0 for empty rows. Its negative is the loss."""
        weights = self._weights(emissions, _FORBIDDEN_IN_LEARNING)
        return crf_functions.crf_log_likelihood(emissions, tags, lengths, *weights)

    def marginals(self, emissions, lengths) -> tf.Tensor:
        """Probability `(batch, time, K)` of each tag at each token; 0 in the padding."""
        return crf_functions.crf_marginals(emissions, lengths, *self._weights(emissions, _FORBIDDEN_IN_PREDICTION))

    def decode(self, emissions, lengths) -> tuple[tf.Tensor, tf.Tensor]:
        """Tags `(batch, time)` of the best path, int32, and the marginal `(batch, time)` of each; 0 in the padding."""
        weights = self._weights(emissions, _FORBIDDEN_IN_PREDICTION)
        tags, _ = crf_functions.viterbi(emissions, lengths, *weights)
        marginals = crf_functions.crf_marginals(emissions, lengths, *weights)
        return tags, tf.gather(marginals, tags, batch_dims=2)

    def path_log_probability(self, emissions, tags, lengths) -> tf.Tensor:
        """Log-probability `(batch,)` of the given tags, as a prediction: a forbidden path gets an enormous negative."""
        weights = self._weights(emissions, _FORBIDDEN_IN_PREDICTION)
        return crf_functions.path_log_probability(emissions, tags, lengths, *weights)

    def _weights(self, emissions, forbidden: float) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        if not self.built:
            self.build(tuple(emissions.shape))
        pairs = (
            (self.transitions, self.transition_mask),
            (self.start, self.start_mask),
            (self.end, self.end_mask),
        )
        values = ((tf.convert_to_tensor(weight), mask) for weight, mask in pairs)
        return tuple(value if mask is None else tf.where(mask, value, forbidden) for value, mask in values)

    def compute_output_spec(self, emissions, lengths=None, mask=None):
        """Shape of the emissions, float32 under any policy."""
        return keras.KerasTensor(emissions.shape, dtype="float32")

    def compute_output_shape(self, input_shape):
        """Shape of the emissions."""
        return tuple(input_shape)

    def get_config(self):
        """Everything `__init__` takes."""
        return {
            **super().get_config(),
            "num_tags": self.num_tags,
            "start_mask": self.start_mask,
            "transition_mask": self.transition_mask,
            "end_mask": self.end_mask,
            "initializer": keras.initializers.serialize(self.initializer),
        }


def _mask(name: str, value, shape: tuple[int, ...]):
    """Nested lists of bool, checked; None stays None."""
    if value is None:
        return None
    try:
        mask = np.asarray(value)
    except ValueError:  # ragged
        mask = np.empty(0)
    if mask.shape != shape or not (mask.dtype == bool or np.isin(mask, (0, 1)).all()):
        size = " × ".join(map(str, shape))
        raise ParameterError(
            f"CRF: {name} must be {size} booleans, one for each {'move' if len(shape) == 2 else 'tag'}, "
            f"got shape {mask.shape} of {mask.dtype}."
        )
    return mask.astype(bool).tolist()
