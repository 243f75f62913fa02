"""None to many: what comes next, given what came so far."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from seqkit.cells import CELL_NAMES
from seqkit.cells.jordan import JordanCell
from seqkit.errors import ParameterError
from seqkit.layers.dropout import SequenceDropout
from seqkit.layers.recurrent import Recurrent, RecurrentStack
from seqkit.layers.softmax import cross_entropy, sampled_cross_entropy
from seqkit.models.own_loss import OwnLossModel, check_choice

_LEAST_PROBABILITY = 1e-30  # whose logarithm float32 still has


@keras.saving.register_keras_serializable("seqkit")
class NextToken(OwnLossModel):
    """The model that `build_language_model` makes; its arguments are those.

    Called on ids [batch, time] it gives the distribution of the id that follows each of them, [batch, time,
    vocabulary], and so does ``predict``. ``fit(ids, next_ids)`` needs no loss: the model brings its own.
    """

    kind = "language model"
    brings = "loss, over real steps"
    cells = CELL_NAMES
    integers = {"vocabulary_size": 2, "units": 1, "layers": 1, "word_dim": 1}  # noqa: RUF012
    may_be_none = ("seed", "word_dim")
    shares = ("dropout", "recurrent_dropout")

    def __init__(
        self,
        vocabulary_size: int,
        *,
        cell: str = "lstm",
        units: int = 512,
        layers: int = 1,
        activation: str | None = "tanh",
        word_dim: int | None = None,
        tied: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        initial_state: str = "zeros",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
        check_choice("initial_state", initial_state, ("zeros", "learned"))
        jordan = cell == "jordan"
        if tied and (word_dim is None or jordan):
            raise ParameterError(
                "tied=True shares the word vectors with the output layer: it needs word_dim=, and a cell other than "
                "'jordan', whose output layer is part of the recurrence."
            )
        self.table = None
        if word_dim is not None:
            self.table = self._weight("word_vectors", (vocabulary_size, word_dim), 1, word_dim**-0.5)
        dim = word_dim or vocabulary_size
        self.input_dropout = self._dropout(dropout if word_dim else 0.0, 2, "input_dropout")
        self.recurrent = RecurrentStack(
            cell,
            units,
            layers - jordan,
            False,
            activation,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            initial_state=initial_state,
            seed=self._seed(3),
            dtype=self.dtype_policy,
            name="recurrent",
        )
        self.recurrent.build((None, None, dim))
        if layers > jordan:
            dim = units
        self.output_dropout = self._dropout(dropout, 4, "output_dropout")
        self.top = None
        if jordan:
            self.top = self._make_top(dim)
        else:
            self._make_output(dim)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.built = True

    def _weight(self, name: str, shape: tuple, part: int, deviation: float = 0.0):
        start = keras.initializers.RandomNormal(0.0, deviation, seed=self._seed(part)) if deviation else "zeros"
        return self.add_weight(shape=shape, initializer=start, name=name)

    def _dropout(self, rate: float, part: int, name: str) -> SequenceDropout:
        return SequenceDropout(rate, seed=self._seed(part), dtype=self.dtype_policy, name=name)

    def _make_top(self, dim: int) -> Recurrent:
        """Make the top layer of a Jordan network, which feeds the distribution back that it answers with."""
        c, seed = self.config, self._seed(5)
        seeds = [None if seed is None else seed + k for k in range(4)]
        cell = JordanCell(
            c["units"],
            c["vocabulary_size"],
            activation=c["activation"],
            output_activation="softmax",
            recurrent_dropout=c["recurrent_dropout"],
            kernel_initializer=keras.initializers.GlorotUniform(seeds[0]),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seeds[1]),
            output_initializer=keras.initializers.GlorotUniform(seeds[2]),
            seed=seeds[3],
            dtype=self.dtype_policy,
            name="jordan",
        )
        top = Recurrent(cell, initial_state=c["initial_state"], dtype=self.dtype_policy, name="top")
        top.build((None, None, dim))
        return top

    def _make_output(self, dim: int) -> None:
        """Make the softmax layer, with a projection before it where word vectors of another size are shared."""
        c = self.config
        self.projection, self.rows = None, self.table
        if not c["tied"]:
            self.rows = self._weight("output_vectors", (c["vocabulary_size"], dim), 6, dim**-0.5)
        elif c["word_dim"] != dim:
            self.projection = self._weight("projection", (dim, c["word_dim"]), 7, dim**-0.5)
        self.output_bias = self._weight("output_bias", (c["vocabulary_size"],), 8)

    def expect(self, shares) -> None:
        """Begin with how often words occur, an array [vocabulary] that adds up to 1; that need not be learned then."""
        bias = self.top.cell.output_bias if self.top else self.output_bias
        bias.assign(np.log(shares))

    # Reading on from a state

    @property
    def state_size(self) -> int:
        """Size of all states of one row together."""
        own = self.config["vocabulary_size"] if self.top else 0
        return self.recurrent.state_count * self.config["units"] + own

    def first_states(self, rows):
        """Return the states before the first token, [rows, `state_size`]."""
        states = self.top.first_state(rows) if self.top else []
        if self.recurrent.state_count:
            states = [tf.reshape(self.recurrent.first_states(rows), [rows, -1]), *states]
        return tf.concat(states, -1)

    def read(self, words, states, training=False):
        """Read ids on from a state.

        Args:
            words: Ids [batch, time], none of them padding; 0 is what stands before and after a text.
            states: Tensor [batch, `state_size`].
            training: Whether dropout is active.

        Returns:
            What `logits` and `losses` take, [batch, time, dim], and the states after the last id.
        """
        c = self.config
        if self.table is None:
            vectors = tf.one_hot(words, c["vocabulary_size"], dtype=self.compute_dtype)
        else:
            vectors = tf.gather(tf.cast(self.table, self.compute_dtype), words)
        outputs, after = self.input_dropout(vectors, training=training), []
        size = self.recurrent.state_count * c["units"]
        if size:
            own = tf.reshape(states[:, :size], [-1, self.recurrent.state_count, c["units"]])
            outputs, own = self.recurrent.carry(outputs, own, training=training)
            after = [tf.reshape(own, [-1, size])]
        outputs = self.output_dropout(outputs, training=training)
        if self.top:
            outputs, own = self.top(outputs, initial_state=[states[:, size:]], training=training, return_state=True)
            after += own
        return outputs, tf.concat(after, -1)

    def logits(self, outputs):
        """Return the scores of all ids, float32 [..., vocabulary], from what `read` gave [..., dim]."""
        if self.top:
            return tf.math.log(tf.maximum(tf.cast(outputs, tf.float32), _LEAST_PROBABILITY))
        rows, bias = (tf.cast(v, outputs.dtype) for v in (self.rows, self.output_bias))
        return tf.cast(tf.tensordot(self._projected(outputs), rows, [[-1], [1]]) + bias, tf.float32)

    def losses(self, outputs, targets, sample=None):
        """Return ``-log p`` of targets [positions], float32, from what `read` gave, [positions, dim].

        Args:
            outputs: See `read`.
            targets: Integer tensor [positions].
            sample: Noise words and log(samples · q), to estimate it by `seqkit.layers.softmax.sampled_cross_entropy`.
        """
        if self.top:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, self.logits(outputs))
        outputs = self._projected(outputs)
        if sample is not None:
            return sampled_cross_entropy(outputs, self.rows, self.output_bias, targets, *sample)
        return cross_entropy(outputs, tf.transpose(tf.convert_to_tensor(self.rows)), self.output_bias, targets)

    def _projected(self, outputs):
        if self.projection is None:
            return outputs
        return tf.tensordot(outputs, tf.cast(self.projection, outputs.dtype), 1)

    def step(self, words, states):
        """Return the scores of what comes after one more id of each row.

        Args:
            words: Ids [rows].
            states: Tensor [rows, `state_size`].

        Returns:
            float32 [rows, vocabulary], and the states after it.
        """
        outputs, states = self.read(words[:, None], states)
        return self.logits(outputs[:, 0]), states

    # Keras

    def call(self, inputs, training=False):
        """Return the distribution of the next id after each id, [batch, time, vocabulary].

        Args:
            inputs: Ids [batch, time]; those that stand at padding, after the end of a row, are read and mean nothing.
            training: Whether dropout is active.
        """
        words = tf.cast(inputs, tf.int32)
        outputs, _ = self.read(words, self.first_states(tf.shape(words)[0]), training=training)
        return outputs if self.top else tf.nn.softmax(self.logits(outputs))

    def _loss(self, inputs, targets, sample_weight, training):
        """Return the mean of ``-log p`` over the targets of a batch, and how many count.

        Targets after the last one of a row that is not 0, and one 0 more (the end), are padding.
        """
        words, targets = tf.cast(inputs, tf.int32), tf.cast(targets, tf.int32)
        outputs, _ = self.read(words, self.first_states(tf.shape(words)[0]), training=training)
        time = tf.shape(targets)[1]
        lengths = 1 + tf.reduce_max(tf.where(targets > 0, tf.range(1, time + 1), 0), 1)
        real = tf.sequence_mask(tf.minimum(lengths, time), time)
        losses = self.losses(tf.boolean_mask(outputs, real), tf.boolean_mask(targets, real))
        count = tf.size(losses)
        if sample_weight is not None:
            weights = tf.cast(sample_weight, tf.float32)[:, None] * tf.ones([1, time])
            losses *= tf.boolean_mask(weights, real)
        return tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(count, tf.float32)), count

    @property
    def metrics(self):
        """The running mean of the loss per id."""
        return [self.loss_tracker]

    def train_step(self, data):
        """Take one optimizer step on a batch."""
        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss, count = self._loss(inputs, targets, sample_weight, True)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        self.loss_tracker.update_state(loss, sample_weight=count)
        return {"loss": self.loss_tracker.result()}

    def test_step(self, data):
        """Measure a batch."""
        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        loss, count = self._loss(inputs, targets, sample_weight, False)
        self.loss_tracker.update_state(loss, sample_weight=count)
        return {"loss": self.loss_tracker.result()}


def build_language_model(vocabulary_size: int, **options) -> NextToken:
    """Build a language model: a ``keras.Model`` from integer ids to the distribution of the id after each.

    Parameters
    ----------
    vocabulary_size : int
        Number of ids: 0 is what stands before and after a text (and pads), 1 the unknown token.
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default="lstm"
        The recurrence. A Jordan network's top layer feeds the distribution back that it answers with.
    units : int, default=512
        Hidden units of each layer.
    layers : int, default=1
        Recurrent layers.
    activation : str or None, default="tanh"
        Activation of the hidden state; any Keras name.
    word_dim : int or None, default=None
        Size of the learned vectors of ids; None: ids come in as vectors of one 1 (one-hot).
    tied : bool, default=False
        Whether the vectors of ids serve as the output layer too (Press & Wolf 2017; Inan et al. 2017). Where
        ``word_dim`` is not ``units``, a matrix stands between.
    dropout : float, default=0.0
        Share of features dropped in training before, between and after the recurrent layers, the same at all steps of
        a row (Gal & Ghahramani 2016).
    recurrent_dropout : float, default=0.0
        Share of the fed-back state dropped in training, the same at all steps of a row.
    initial_state : {"zeros", "learned"}, default="zeros"
        State before the first step.
    seed : int or None, default=None
        Seed of weights and dropout.

    Returns
    -------
    keras.Model
        Also steps by itself: ``first_states(rows)`` and ``step(ids, states)``.
    """
    return NextToken(vocabulary_size, **options)
