"""A Jordan network as a tagging head: what is fed back is the tag of the neighboring token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from seqkit.errors import ParameterError
from seqkit.precision import matmul

_IMPOSSIBLE = -1e30  # so far down that no sum of log-probabilities of a legal path comes near it, and still finite
_TINY = 1e-30  # least probability inside divisions and logarithms


class _Network(NamedTuple):
    """The weights of one direction, as tensors; the symbols are those of `JordanHead`."""

    kernel: tf.Tensor  # W (inputs, units)
    bias: tf.Tensor  # b (units,)
    recurrent_kernel: tf.Tensor  # U (tags, units)
    output_kernel: tf.Tensor  # V (units, tags)
    output_bias: tf.Tensor  # c (tags,)
    initial_output: tf.Tensor  # y_0 (tags,)


class _Moves:
    """Which tag may follow which, and which tag can still reach a legal end.

    The set of tags from which a legal end is exactly r moves away follows from the set for r - 1, so the sets, listed
    by r, run into a cycle: a short table serves every length. With it the search never walks into a dead end.
    """

    def __init__(self, start: np.ndarray, transition: np.ndarray, end: np.ndarray):
        rows: list[np.ndarray] = []
        seen: dict[bytes, int] = {}
        row = end
        while row.tobytes() not in seen:
            if not (start & row).any():
                raise ParameterError(
                    "Received invalid values for arguments `start_mask`, `transition_mask`, `end_mask`: no sequence of "
                    f"{len(rows) + 1} tags is legal under them; expected at least one for every length."
                )
            seen[row.tobytes()] = len(rows)
            rows.append(row)
            row = (transition & row).any(axis=1)
        self.viable = np.stack(rows)
        self.cycle_start = seen[row.tobytes()]
        self.cycle = len(rows) - self.cycle_start
        # The last row stands for "before the first tag".
        self.allowed = np.concatenate([transition, start[None]])

    def viable_tags(self, remaining: tf.Tensor) -> tf.Tensor:
        """Return [B, K] bool: the tags from which a legal end is ``remaining`` [B] moves away."""
        cyclic = self.cycle_start + tf.math.floormod(remaining - self.cycle_start, self.cycle)
        row = tf.where(remaining < self.cycle_start, tf.maximum(remaining, 0), cyclic)
        return tf.gather(tf.constant(self.viable), row)


@keras.saving.register_keras_serializable(package="seqkit")
class JordanHead(keras.layers.Layer):
    """Tags a sequence of feature vectors with a Jordan network, whose output y is the distribution over K tags.

        h_t = g(x_t W + y_{t-1} U + b)
        p_t = softmax(h_t V + c)

    | symbol | weight | shape |
    |---|---|---|
    | W, b | `forward_kernel`, `forward_bias` | (inputs, units), (units,) |
    | U | `forward_recurrent_kernel` | (num_tags, units) |
    | V, c | `forward_output_kernel`, `forward_output_bias` | (units, num_tags), (num_tags,) |
    | y_0 | `forward_initial_output` (zeros without it) | (num_tags,) |
    | g | `activation` | |

    With `bidirectional=True` a second network, with weights `backward_*`, reads right to left: its y_{t-1} is the tag
    of the *next* token.

    What y_{t-1} is:

    - **`loss`** (teacher forcing): the true previous tag, one-hot. No step waits for another: the whole batch is one
      matrix product. The loss is -Σ_t log p_t[true tag]; with two directions, the sum of both networks' losses (each
      is trained as a network of its own). `scheduled_sampling=p` runs twice: first on the true tags, then again with
      the distribution of the first run (no gradient through it) in place of a share p of the true tags; so training
      meets the network's own mistakes, and still without a loop.
    - **`decode`** (searching): the tag decided on, one-hot (hard), as in training. It maximizes
      Σ_t log p_t[tag_t], exactly if the beam is wide enough; `beam_width=1` is the greedy search. Two directions: the
      backward network's free-running log-probabilities are added to the forward network's at each token.
    - **`probabilities`** (running free): the network's own distribution (soft), which stands in for the expectation
      over the previous tag; so row t approximates the marginal of tag t, whatever path `decode` takes. Two directions:
      the geometric mean of both distributions, normalized. It ranks tags as their product does, but the product counts
      the evidence that both networks see twice and is far too sure of itself. The scores of `decode` are these
      probabilities at its tags.

    Masks remove moves that the tag scheme forbids: `decode` never makes one, and walks into no dead end. In
    `probabilities` a tag gets only what comes in over legal moves, where each previous tag i shares its probability
    q_{t-1}[i] out among the tags that may follow it:
    q_t[j] = p_t[j] Σ_i allowed[i, j] q_{t-1}[i] / Σ_k allowed[i, k] p_t[k], and q is fed back. The loss knows no masks.

    Sums, softmax and weights are float32 under mixed precision (only x_t W is in the compute dtype). The result for a
    sequence does not depend on its batch or padding.

    Args:
        num_tags: Positive integer K.
        units: Positive integer, the number of hidden units of each direction.
        activation: g, any Keras activation. Default: `"tanh"`.
        bidirectional: Whether a second network reads right to left.
        scheduled_sampling: Float in [0, 1], the share of steps that get the network's own distribution in training.
        beam_width: Positive integer, the number of tag sequences kept at each step of `decode`; 1 is greedy.
        dropout: Float in [0, 1), the share of inputs dropped in training; one mask for all steps of a sequence.
        recurrent_dropout: Float in [0, 1), the share of the fed-back y_{t-1} dropped in training; likewise one mask.
        initial_state: `"zeros"` or `"learned"`: y_0.
        start_mask: K booleans, False for a tag that cannot be the first. `None` allows all.
        transition_mask: K lists of K booleans, False where row tag cannot be followed by column tag.
        end_mask: K booleans, False for a tag that cannot be the last.
        seed: Integer seed of the initial weights, the dropout and the sampling.

    Call arguments:
        features: Tensor of shape (batch, steps, inputs), padded at the end.
        lengths: Integer tensor of shape (batch,); 0 is allowed. Without it `mask` decides, else all steps count.
        mask: Boolean tensor of shape (batch, steps), True first. Its row sums are the lengths.

    Returns (of a call): what `probabilities` returns.

    References: M. I. Jordan, "Serial order", 1986. D. Duckworth et al., "Parallel scheduled sampling", 2019.
    T. Mihaylova and A. F. T. Martins, "Scheduled sampling for transformers", 2019. G. Mesnil et al., "Investigation of
    recurrent-neural-network architectures and learning methods for spoken language understanding", 2013 (Jordan
    taggers).
    """

    def __init__(
        self,
        num_tags: int,
        units: int,
        activation="tanh",
        bidirectional: bool = False,
        scheduled_sampling: float = 0.0,
        beam_width: int = 1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        initial_state: str = "zeros",
        start_mask: Sequence[bool] | None = None,
        transition_mask: Sequence[Sequence[bool]] | None = None,
        end_mask: Sequence[bool] | None = None,
        seed: int | None = None,
        **kwargs,
    ):
        for name, value in (("num_tags", num_tags), ("units", units), ("beam_width", beam_width)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value <= 0:
                raise _invalid(name, "a positive integer", value)
        for name, value in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= value < 1:
                raise _invalid(name, "a number in [0, 1)", value)
        if not 0 <= scheduled_sampling <= 1:
            raise _invalid("scheduled_sampling", "a number in [0, 1]", scheduled_sampling)
        if initial_state not in ("zeros", "learned"):
            raise _invalid("initial_state", "'zeros' or 'learned'", initial_state)
        super().__init__(**kwargs)
        self.num_tags = int(num_tags)
        self.units = int(units)
        self.activation = keras.activations.get(activation)
        self.bidirectional = bool(bidirectional)
        self.scheduled_sampling = scheduled_sampling
        self.beam_width = int(beam_width)
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.initial_state = initial_state
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

        self.start_mask = _as_mask("start_mask", start_mask, (self.num_tags,))
        self.transition_mask = _as_mask("transition_mask", transition_mask, (self.num_tags, self.num_tags))
        self.end_mask = _as_mask("end_mask", end_mask, (self.num_tags,))
        self._moves = self._moves_backward = None
        masks = (self.start_mask, self.transition_mask, self.end_mask)
        if any(mask is not None and not mask.all() for mask in masks):
            shapes = ((self.num_tags,), (self.num_tags, self.num_tags), (self.num_tags,))
            start, transition, end = (np.ones(s, bool) if m is None else m for m, s in zip(masks, shapes, strict=True))
            self._moves = _Moves(start, transition, end)
            self._moves_backward = _Moves(end, transition.T, start)
        self._float = "float64" if self.variable_dtype == "float64" else "float32"

    def build(self, features_shape):
        """Create the weights for features of shape (batch, steps, inputs)."""
        inputs, tags, units = features_shape[-1], self.num_tags, self.units
        if inputs is None:
            raise ParameterError("The last dimension of `features` must be known to build a JordanHead, got None.")
        seeds = iter([None] * 8 if self.seed is None else np.random.SeedSequence(self.seed).generate_state(8).tolist())
        for direction in ("forward", "backward") if self.bidirectional else ("forward",):
            for name, shape, initializer in (
                ("kernel", (inputs, units), keras.initializers.GlorotUniform(next(seeds))),
                ("bias", (units,), "zeros"),
                ("recurrent_kernel", (tags, units), keras.initializers.GlorotUniform(next(seeds))),
                ("output_kernel", (units, tags), keras.initializers.GlorotUniform(next(seeds))),
                ("output_bias", (tags,), "zeros"),
                ("initial_output", (tags,), "zeros"),
            ):
                name = f"{direction}_{name}"
                weight = None
                if not name.endswith("initial_output") or self.initial_state == "learned":
                    # float32 whatever the policy, and not cast to half precision on use.
                    weight = self.add_weight(
                        shape=shape, initializer=initializer, name=name, dtype=self._float, autocast=False
                    )
                setattr(self, name, weight)

    def call(self, features, lengths=None, mask=None):
        """Return `probabilities`."""
        if lengths is None:
            shape = tf.shape(features)
            lengths = tf.fill(shape[:1], shape[1]) if mask is None else tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        return self.probabilities(features, lengths)

    def loss(self, features, lengths, tags, training: bool = False, class_weights=None) -> tf.Tensor:
        """Return the negative log-likelihood of each sequence under teacher forcing.

        Args:
            features: Float tensor (batch, steps, inputs).
            lengths: Integer tensor (batch,).
            tags: Integer tensor (batch, steps), the true tags; what stands at padding does not matter.
            training: Whether dropout and scheduled sampling apply.
            class_weights: Float tensor (num_tags,): what the loss at each true tag counts; all 1 without it.

        Returns:
            Tensor (batch,): the sum over tokens and directions; 0 for an empty sequence.
        """
        features, lengths = self._ready(features, lengths)
        position = tf.range(tf.shape(features)[1])[None, :]
        real = position < lengths[:, None]
        tags = tf.where(real, tf.cast(tags, tf.int32), 0)
        truth = tf.one_hot(tags, self.num_tags, dtype=self._float)
        loss = self._teacher_forced(features, truth, tags, position == 0, 1, self._network("forward"), training)
        if self.bidirectional:
            last = position == lengths[:, None] - 1
            loss += self._teacher_forced(features, truth, tags, last, -1, self._network("backward"), training)
        if class_weights is not None:
            loss *= tf.gather(class_weights, tags)
        return tf.reduce_sum(tf.where(real, loss, 0), axis=1)

    def probabilities(self, features, lengths) -> tf.Tensor:
        """Return the distribution over the tags of each token, running free.

        Args:
            features: Float tensor (batch, steps, inputs).
            lengths: Integer tensor (batch,).

        Returns:
            Tensor (batch, steps, num_tags); rows sum to 1, and are 0 at padding.
        """
        features, lengths = self._ready(features, lengths)
        forward, backward, _ = self._run_free(features, lengths)
        return self._combine(forward, backward, lengths)

    def decode(self, features, lengths) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the best tags found by beam search, and how probable each is.

        Args:
            features: Float tensor (batch, steps, inputs).
            lengths: Integer tensor (batch,).

        Returns:
            Two tensors (batch, steps): the tags (int32, 0 at padding) and, for each, its entry in `probabilities`
            (0 at padding).
        """
        features, lengths = self._ready(features, lengths)
        forward, backward, inputs = self._run_free(features, lengths)
        potentials = None if backward is None else tf.math.log(tf.maximum(backward, _TINY))
        tags = self._search(inputs, potentials, lengths)
        tags *= tf.sequence_mask(lengths, tf.shape(tags)[1], dtype=tf.int32)
        probabilities = self._combine(forward, backward, lengths)
        return tags, tf.gather(probabilities, tags, batch_dims=2)

    def get_config(self):
        """Return all arguments, serializable."""
        return {
            **super().get_config(),
            "num_tags": self.num_tags,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "bidirectional": self.bidirectional,
            "scheduled_sampling": self.scheduled_sampling,
            "beam_width": self.beam_width,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "initial_state": self.initial_state,
            "start_mask": None if self.start_mask is None else self.start_mask.tolist(),
            "transition_mask": None if self.transition_mask is None else self.transition_mask.tolist(),
            "end_mask": None if self.end_mask is None else self.end_mask.tolist(),
            "seed": self.seed,
        }

    def _ready(self, features, lengths) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.convert_to_tensor(features)
        if not self.built:
            self.build(features.shape)
        return tf.cast(features, self.compute_dtype), tf.cast(lengths, tf.int32)

    def _network(self, direction: str) -> _Network:
        weights = [getattr(self, f"{direction}_{field}") for field in _Network._fields]
        zeros = tf.zeros([self.num_tags], self._float)
        return _Network(*(zeros if weight is None else tf.convert_to_tensor(weight) for weight in weights))

    def _project(self, features: tf.Tensor, network: _Network) -> tf.Tensor:
        """Return x_t W + b of all steps: the part that waits for no other step."""
        product = matmul(features, tf.cast(network.kernel, features.dtype))
        return tf.cast(product, self._float) + network.bias

    def _teacher_forced(self, features, truth, tags, first, shift, network: _Network, training: bool) -> tf.Tensor:
        """Return -log p_t[true tag], [B, T]; ``shift`` is 1 to read left to right, -1 right to left."""
        recurrent_mask = None
        if training and self.dropout:
            noise_shape = (None, 1, None)
            features = keras.random.dropout(features, self.dropout, noise_shape=noise_shape, seed=self.seed_generator)
        if training and self.recurrent_dropout:
            ones = tf.ones_like(truth[:, :1])
            recurrent_mask = keras.random.dropout(ones, self.recurrent_dropout, seed=self.seed_generator)
        inputs = self._project(features, network)

        def logits(outputs):
            previous = tf.where(first[..., None], network.initial_output, tf.roll(outputs, shift, axis=1))
            if recurrent_mask is not None:
                previous *= recurrent_mask
            hidden = self.activation(inputs + matmul(previous, network.recurrent_kernel))
            return matmul(hidden, network.output_kernel) + network.output_bias

        scores = logits(truth)
        if training and self.scheduled_sampling:
            own = tf.stop_gradient(tf.nn.softmax(scores))
            draw = keras.random.uniform(tf.shape(tags), seed=self.seed_generator)
            scores = logits(tf.where((draw < self.scheduled_sampling)[..., None], own, truth))
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tags, logits=scores)

    def _run_free(self, features, lengths) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor]:
        """Return each direction's distributions [B, T, K], and x_t W + b of the forward one."""
        network = self._network("forward")
        inputs = self._project(features, network)
        forward = self._free_loop(inputs, lengths, network, self._moves)
        if not self.bidirectional:
            return forward, None, inputs
        network = self._network("backward")
        reverse = tf.reverse_sequence(self._project(features, network), lengths, seq_axis=1)
        backward = self._free_loop(reverse, lengths, network, self._moves_backward)
        return forward, tf.reverse_sequence(backward, lengths, seq_axis=1), inputs

    def _combine(self, forward, backward, lengths) -> tf.Tensor:
        if backward is not None:
            possible = tf.cast(forward > 0, self._float)  # what the masks rule out stays exactly 0
            mean = possible * tf.sqrt(tf.maximum(forward, _TINY)) * tf.sqrt(tf.maximum(backward, _TINY))
            forward = mean / tf.maximum(tf.reduce_sum(mean, axis=-1, keepdims=True), _TINY)
        real = tf.sequence_mask(lengths, tf.shape(forward)[1])
        return tf.where(real[..., None], forward, 0)

    def _free_loop(self, inputs, lengths, network: _Network, moves: _Moves | None) -> tf.Tensor:
        """Feed the own distribution back, step by step. [B, T, units] -> [B, T, K]."""
        steps, read = _time_major(inputs)
        batch, tags = tf.shape(inputs)[0], self.num_tags
        table = _with_start(network)
        allowed = None if moves is None else tf.constant(moves.allowed, self._float)

        def body(t, previous, outputs):
            hidden = self.activation(read(t) + tf.matmul(previous, table))
            output = tf.nn.softmax(tf.matmul(hidden, network.output_kernel) + network.output_bias)
            if moves is not None:
                viable = tf.cast(moves.viable_tags(lengths - 1 - t), self._float)
                output = tf.maximum(output, _TINY) * viable
                followers = tf.matmul(output, allowed, transpose_b=True)
                output *= tf.matmul(previous / tf.maximum(followers, _TINY), allowed)
                output /= tf.maximum(tf.reduce_sum(output, axis=1, keepdims=True), _TINY)
            return t + 1, tf.pad(output, [[0, 0], [0, 1]]), outputs.write(t, output)

        # The state has K + 1 columns: the last one says "before the first tag", see _with_start.
        begin = tf.one_hot(tf.fill([batch], tags), tags + 1, dtype=self._float)
        outputs = tf.TensorArray(self._float, steps, element_shape=(inputs.shape[0], tags))
        outputs = tf.while_loop(lambda t, *_: t < steps, body, (0, begin, outputs))[2]
        return tf.transpose(outputs.stack(), [1, 0, 2])[:, : tf.shape(inputs)[1]]

    def _search(self, inputs, potentials, lengths) -> tf.Tensor:
        """Beam search. [B, T, units] -> tags [B, T]; what stands at padding is arbitrary."""
        network, moves = self._network("forward"), self._moves
        steps, read = _time_major(inputs)
        if potentials is not None:
            _, read_potentials = _time_major(potentials)
        batch, width, tags = tf.shape(inputs)[0], self.beam_width, self.num_tags
        table = _with_start(network)
        same = tf.tile(tf.range(width)[None, :], [batch, 1])

        def body(t, last, score, chosen, origin):
            hidden = self.activation(read(t)[:, None, :] + tf.gather(table, last))
            gain = tf.nn.log_softmax(tf.matmul(hidden, network.output_kernel) + network.output_bias)
            if potentials is not None:
                gain += read_potentials(t)[:, None, :]
            if moves is not None:
                legal = tf.gather(tf.constant(moves.allowed), last) & moves.viable_tags(lengths - 1 - t)[:, None, :]
                gain = tf.where(legal, gain, _IMPOSSIBLE)
            best, index = tf.math.top_k(tf.reshape(score[:, :, None] + gain, [batch, width * tags]), width)
            # Only differences within a row matter; without this the sum over a long row would lose its digits.
            best -= best[:, :1]
            going = (t < lengths)[:, None]
            last = tf.where(going, index % tags, last)
            score = tf.where(going, best, score)
            return t + 1, last, score, chosen.write(t, last), origin.write(t, tf.where(going, index // tags, same))

        begin = tf.fill([batch, width], tags)  # the row of the tables that says "before the first tag"
        score = tf.tile(tf.constant([[0.0] + [_IMPOSSIBLE] * (width - 1)], self._float), [batch, 1])
        arrays = [tf.TensorArray(tf.int32, steps, element_shape=(inputs.shape[0], width)) for _ in range(2)]
        state = tf.while_loop(lambda t, *_: t < steps, body, (0, begin, score, *arrays))
        chosen, origin = state[3].stack(), state[4].stack()
        if width == 1:
            path = chosen[:, :, 0]
        else:
            path = _trace_back(chosen, origin, steps)
        return tf.transpose(path)[:, : tf.shape(inputs)[1]]


def _invalid(name: str, expected: str, got: object) -> ParameterError:
    return ParameterError(f"Received an invalid value for argument `{name}`, expected {expected}, got {got!r}.")


def _as_mask(name: str, value, shape: tuple[int, ...]) -> np.ndarray | None:
    if value is None:
        return None
    mask = np.asarray(value)
    if mask.dtype != bool or mask.shape != shape:
        raise _invalid(name, f"booleans of shape {shape}", f"{mask.dtype} of shape {mask.shape}")
    return mask


def _with_start(network: _Network) -> tf.Tensor:
    """Return U with one more row, y_0 U: what enters the hidden layer before the first tag."""
    start = tf.linalg.matvec(network.recurrent_kernel, network.initial_output, transpose_a=True)
    return tf.concat([network.recurrent_kernel, start[None]], axis=0)


def _time_major(values: tf.Tensor):
    """Return the number of steps, at least 1 (a stack of no steps has no shape), and a reader of one step."""
    steps = tf.maximum(tf.shape(values)[1], 1)
    values = tf.pad(values, [[0, 0], [0, steps - tf.shape(values)[1]], [0, 0]])
    array = tf.TensorArray(values.dtype, steps, element_shape=(values.shape[0], values.shape[2]))
    return steps, array.unstack(tf.transpose(values, [1, 0, 2])).read


def _trace_back(chosen: tf.Tensor, origin: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Follow the best last hypothesis back to the start. [T, B, W] twice -> [T, B]."""

    def body(i, place, path):
        # Written in the order of the loop: converters to other runtimes know no other.
        path = path.write(i, tf.gather(chosen[steps - 1 - i], place, batch_dims=1))
        return i + 1, tf.gather(origin[steps - 1 - i], place, batch_dims=1), path

    path = tf.TensorArray(tf.int32, steps, element_shape=(chosen.shape[1],))
    place = tf.zeros(tf.shape(chosen)[1:2], tf.int32)  # hypotheses are sorted, the best first
    return tf.reverse(tf.while_loop(lambda i, *_: i < steps, body, (0, place, path))[2].stack(), [0])
