"""The loop over time: one direction, both directions, stacked."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.cells import make_cell
from seqkit.cells.scan import masked
from seqkit.errors import ParameterError
from seqkit.layers.dropout import SequenceDropout


@keras.saving.register_keras_serializable("seqkit")
class Recurrent(keras.layers.Layer):
    """Read right-padded sequences with a cell, in one direction.

    Padding stands after the end, so a forward reading needs no mask: what it computes there is never used. A backward
    reading turns each sequence around by its own length first. So an output never depends on how far a batch is padded.

    Args:
        cell: A cell after Keras' RNN cell protocol. If it has `scan`, that runs in place of the generic loop.
        backward: Whether to read from the end to the beginning. Outputs stay in the order of the input.
        initial_state: ``"zeros"``, or ``"learned"`` (a trained vector for each state of the cell).
    """

    def __init__(self, cell, backward: bool = False, initial_state: str = "zeros", **kwargs):
        super().__init__(**kwargs)
        if initial_state not in ("zeros", "learned"):
            raise ParameterError(f"initial_state={initial_state!r} is not known. Expected 'zeros' or 'learned'.")
        self.loop = keras.layers.RNN(
            cell, return_sequences=True, return_state=True, dtype=self.dtype_policy, name="loop"
        )
        self.backward = backward
        self.initial_state = initial_state

    @property
    def cell(self):
        """The cell that makes each step."""
        return self.loop.cell

    def build(self, input_shape):
        """Make the weights of the cell and of a learned initial state."""
        self.loop.build(input_shape)
        sizes = self.state_sizes
        self.learned_state = []
        if self.initial_state == "learned":
            self.learned_state = [
                self.add_weight(shape=(size,), initializer="zeros", name=f"initial_state_{i}")
                for i, size in enumerate(sizes)
            ]
        super().build(input_shape)

    def call(self, inputs, lengths=None, initial_state=None, training=False, time_major=False, return_state=False):
        """Return the output at every step.

        Args:
            inputs: Tensor [batch, time, dim]; or, where `can_scan`, integers [batch, time], which stand for vectors of
                one 1 (one-hot).
            lengths: Integer tensor [batch], or None where every row is full.
            initial_state: List of tensors [batch, size] that stands in for the layer's own initial state.
            training: Whether dropout is active.
            time_major: Whether inputs and outputs have time before batch; the form that `can_scan` works in.
            return_state: Whether the states after the last step are returned too.

        Returns:
            Tensor [batch, time, units]; what stands after the end of a row has no meaning. With ``return_state`` also a
            list of tensors [batch, units], which has a meaning for rows that are full.
        """
        if self.can_scan != time_major:
            outputs, states = self.call(turned(inputs), lengths, initial_state, training, not time_major, True)
            outputs = turned(outputs)
            return (outputs, states) if return_state else outputs
        if self.backward:
            inputs = reverse(inputs, lengths, time_major)
        if initial_state is None:
            initial_state = self.first_state(tf.shape(inputs)[int(time_major)])
        read = self.cell.scan if self.can_scan else self._loop
        outputs, states = read(inputs, initial_state, training=training)
        if self.backward:
            outputs = reverse(outputs, lengths, time_major)
        return (outputs, states) if return_state else outputs

    def _loop(self, inputs, initial_state, training):
        outputs, *states = self.loop(inputs, initial_state=initial_state, training=training)
        return outputs, states

    @property
    def state_sizes(self) -> list[int]:
        """Size of each state of the cell."""
        sizes = self.cell.state_size
        return list(sizes) if isinstance(sizes, list | tuple) else [sizes]

    @property
    def can_scan(self) -> bool:
        """Whether the cell runs over a whole sequence by itself."""
        return getattr(self.cell, "can_scan", False)

    def first_state(self, batch) -> list[tf.Tensor]:
        """Return the initial state for a number of rows."""
        zeros = self.cell.get_initial_state(batch_size=batch)
        zeros = list(zeros) if isinstance(zeros, list | tuple) else [zeros]
        if not self.learned_state:
            return zeros
        return [zero + tf.cast(s, zero.dtype) for zero, s in zip(zeros, self.learned_state, strict=True)]

    def project(self, inputs):
        """Return what the cell makes of inputs alone, for `read_tree`; the inputs, where it keeps no such part."""
        return self.cell.project(inputs) if self.can_scan else inputs

    def stepper(self):
        """Return ``project`` and ``step``, to read step by step in prediction; see `RecurrentStack.stepper`."""
        if self.can_scan:
            return self.cell.projection(), self.cell.projected_step()

        def step(inputs, states):
            output, states = self.cell(inputs, states)
            self._forget_masks()
            return output, list(states)

        return tf.identity, step

    def _forget_masks(self) -> None:
        """Let no mask reach another graph: Keras' simple cell draws them in prediction too, and keeps them."""
        if hasattr(self.cell, "reset_dropout_mask"):
            self.cell.reset_dropout_mask()
            self.cell.reset_recurrent_dropout_mask()

    def read_tree(self, table, starts, symbols, parents, join=None):
        """Read the distinct prefixes of sequences (suffixes, if this layer reads backward), in prediction.

        Args:
            table: Tensor [symbols, dim projected]: `project` of each distinct input.
            starts: Integer tensor [longest + 1]; ``starts``, ``symbols`` and ``parents`` are those of
                `seqkit.training.prefix_tree.PrefixTree`.
            symbols: Integer tensor [nodes], rows of the table.
            parents: Integer tensor [nodes].
            join: A `seqkit.layers.pooling.Running`, or None.

        Returns:
            Tensor [nodes, units]: the output at the end of each prefix, or with ``join`` all outputs up to it joined.
        """
        step = self.cell.projected_step() if self.can_scan else self.cell
        depth = tf.shape(starts)[0] - 1

        def level(t, states, outputs):
            above = parents[starts[t] : starts[t + 1]]
            inputs = tf.gather(table, symbols[starts[t] : starts[t + 1]])
            before = [tf.gather(state, above) for state in states]
            output, states = step(inputs, before[: len(states) - joins])
            if joins:
                output = join.function(before[-1], output)
                states = [*states, output]
            return t + 1, states, outputs.write(t, output)

        states, joins = self.first_state(1), int(join is not None)
        if joins:
            states = [*states, tf.fill([1, self.cell.output_size], tf.cast(join.start, table.dtype))]
        outputs = tf.TensorArray(table.dtype, depth, infer_shape=False, element_shape=[None, self.cell.output_size])
        sizes = [tf.TensorShape([None, state.shape[-1]]) for state in states]
        *_, outputs = tf.while_loop(
            lambda t, *_: t < depth,
            level,
            (0, states, outputs),
            shape_invariants=(tf.TensorShape([]), sizes, tf.TensorShape(None)),
        )
        self._forget_masks()
        return outputs.concat()

    def get_config(self):
        """Return what `from_config` needs."""
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "backward": self.backward,
            "initial_state": self.initial_state,
        }

    @classmethod
    def from_config(cls, config):
        """Make the layer from its configuration."""
        return cls(cell=keras.saving.deserialize_keras_object(config.pop("cell")), **config)


def turned(sequences: tf.Tensor) -> tf.Tensor:
    """Swap batch and time: [batch, time, …] and [time, batch, …]."""
    return tf.transpose(sequences, [1, 0, *range(2, len(sequences.shape))])


def reverse(sequences: tf.Tensor, lengths: tf.Tensor | None, time_major: bool = False) -> tf.Tensor:
    """Turn each sequence of [batch, time, …] around by its own length; padding stays where it is."""
    time, batch = (0, 1) if time_major else (1, 0)
    if lengths is None:
        return tf.reverse(sequences, [time])
    return tf.reverse_sequence(sequences, lengths, seq_axis=time, batch_axis=batch)


@keras.saving.register_keras_serializable("seqkit")
class RecurrentStack(keras.layers.Layer):
    """A stack of recurrent layers, each in one direction or both, with dropout between them.

    Args:
        cell: Name of the cell, see `seqkit.cells`.
        units: Hidden units of each direction.
        layers: Number of layers.
        bidirectional: Whether each layer reads both ways; outputs of both are joined, [batch, time, 2 units].
        activation: Activation of the hidden state.
        dropout: Share of each layer's outputs dropped in training before the next layer.
        recurrent_dropout: Share of the fed-back state dropped in training.
        initial_state: ``"zeros"`` or ``"learned"``.
        seed: Seed of initial weights and dropout, or None.
    """

    def __init__(
        self,
        cell: str = "lstm",
        units: int = 200,
        layers: int = 1,
        bidirectional: bool = True,
        activation: str | None = "tanh",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        initial_state: str = "zeros",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = dict(
            cell=cell,
            units=units,
            layers=layers,
            bidirectional=bidirectional,
            activation=activation,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            initial_state=initial_state,
            seed=seed,
        )
        self.directions = []
        self.between = []
        for level in range(layers):
            pair = []
            for backward in (False, True)[: 1 + bidirectional]:
                cell_seed = None if seed is None else seed + 10 * (2 * level + backward)
                one = make_cell(
                    cell,
                    units,
                    activation=activation,
                    recurrent_dropout=recurrent_dropout,
                    seed=cell_seed,
                    dtype=self.dtype_policy,
                )
                pair.append(
                    Recurrent(
                        one,
                        backward=backward,
                        initial_state=initial_state,
                        dtype=self.dtype_policy,
                        name=f"{'backward' if backward else 'forward'}_{level}",
                    )
                )
            self.directions.append(pair)
            drop_seed = None if seed is None else seed + 1000 + level
            self.between.append(
                SequenceDropout(
                    dropout if level else 0.0, seed=drop_seed, dtype=self.dtype_policy, name=f"dropout_{level}"
                )
            )

    @property
    def output_dim(self) -> int:
        """Size of the output at each step."""
        return self.config["units"] * (2 if self.config["bidirectional"] else 1)

    def build(self, input_shape):
        """Make the weights of every layer."""
        dim = input_shape[-1]
        for pair in self.directions:
            for layer in pair:
                layer.build((None, None, dim))
            dim = self.output_dim
        super().build(input_shape)

    @property
    def reads_integers(self) -> bool:
        """Whether inputs may be integers, which stand for vectors of one 1; see `Recurrent.call`."""
        return bool(self.directions) and all(layer.can_scan for layer in self.directions[0])

    @property
    def state_count(self) -> int:
        """Number of states in the stack: of each layer, each direction, each state of the cell."""
        return sum(len(layer.state_sizes) for pair in self.directions for layer in pair)

    def call(self, inputs, lengths=None, initial_state=None, training=False, above=0):
        """Return [batch, time, units, or 2 units].

        Args:
            inputs: Tensor [batch, time, dim].
            lengths: As in `Recurrent.call`.
            initial_state: Tensor [batch, `state_count`, units] that stands in for the layers' own initial states: layer
                by layer from below, forward before backward, the cell's states in its own order (an LSTM's: h, c).
            training: Whether dropout is active.
            above: Layers below this number are left out.
        """
        return self.each_layer(inputs, lengths, initial_state, training, above)[-1]

    def each_layer(self, inputs, lengths=None, initial_state=None, training=False, above=0):
        """Return ``inputs`` and the output of every layer from ``above`` up, a list; see `call`."""
        return self._read(inputs, lengths, initial_state, training, above)[0]

    def carry(self, inputs, states, training=False):
        """Read on from ``states`` over rows that are full, for a network in one direction.

        Args:
            inputs: Tensor [batch, time, dim], or, where it `reads_integers`, integers [batch, time].
            states: Tensor [batch, `state_count`, units], see `call`.
            training: Whether dropout is active.

        Returns:
            Tensor [batch, time, units], and the states after the last step, as ``states``.
        """
        outputs, states = self._read(inputs, None, states, training, 0)
        return outputs[-1], tf.stack(states, 1)

    def stepper(self, rows=None):
        """Return two functions that read step by step, for a network in one direction.

        What is the same at every step is made when this is called: before the loop, where the steps are in one.

        Args:
            rows: How many rows are trained on, with dropout between layers; None in prediction.

        Returns:
            ``project``, from inputs [..., dim] to what the first layer makes of them alone (linear but for a constant,
            if it is not the identity); and ``step``, from that of one step [rows, ...] and a list of `state_count`
            states [rows, units] to the output [rows, units] and the list of states after it.
        """
        layers = [layer for (layer,) in self.directions]
        parts = [layer.stepper() for layer in layers]
        masks = [None] * len(layers)
        if rows is not None and self.config["dropout"]:
            ones = tf.ones([rows, 1, self.config["units"]], self.compute_dtype)
            masks[1:] = [dropout(ones, training=True)[:, 0] for dropout in self.between[1:]]

        def step(values, states):
            states, after = iter(states), []
            for level, (layer, (project, one)) in enumerate(zip(layers, parts, strict=True)):
                own = [next(states) for _ in layer.state_sizes]
                values, own = one(project(masked(values, masks[level])) if level else values, own)
                after.extend(own)
            return values, after

        return parts[0][0], step

    def first_states(self, batch) -> tf.Tensor:
        """Return the initial states of a number of rows, as `carry` takes them."""
        return tf.stack([state for pair in self.directions for layer in pair for state in layer.first_state(batch)], 1)

    def _read(self, inputs, lengths, initial_state, training, above):
        """Return the inputs and outputs of layers, as `each_layer`, and all states after the last step, two lists."""
        last = []
        given = initial_state is not None
        states = iter(tf.unstack(initial_state, self.state_count, axis=1) if given else [None] * self.state_count)
        for layer in (layer for pair in self.directions[:above] for layer in pair):
            for _ in layer.state_sizes:
                next(states)
        results = [inputs]
        for pair, dropout in list(zip(self.directions, self.between, strict=True))[above:]:
            inputs = dropout(inputs, training=training)
            time_major = all(layer.can_scan for layer in pair)
            if time_major:  # turned once for both directions
                inputs = turned(inputs)
            outputs = []
            for layer in pair:
                own = [next(states) for _ in layer.state_sizes]
                state = own if given else None
                output, after = layer(
                    inputs, lengths, state, training=training, time_major=time_major, return_state=True
                )
                outputs.append(output)
                last.extend(after)
            inputs = tf.concat(outputs, -1)
            if time_major:
                inputs = turned(inputs)
            results.append(inputs)
        return results, last

    def project(self, inputs) -> list[tf.Tensor]:
        """Return what each direction of the first layer makes of inputs alone."""
        return [layer.project(inputs) for layer in self.directions[0]]

    def read_trees(self, tables, trees, lengths):
        """Do as a call on ``gather(inputs, symbols)``, given ``tables = project(inputs)``; see `Recurrent.read_tree`.

        Args:
            tables: From `project`.
            trees: For each direction ``starts``, ``symbols``, ``parents`` and ``nodes``, integer tensors; ``nodes``
                [batch, time] is the node at each position.
            lengths: Integer tensor [batch].
        """
        outputs = []
        for layer, table, (*tree, nodes) in zip(self.directions[0], tables, trees, strict=True):
            outputs.append(tf.gather(layer.read_tree(table, *tree), nodes))
        return self(tf.concat(outputs, -1), lengths=lengths, above=1)

    def pool_trees(self, tables, trees, lengths, pooling):
        """Return ``pooling(read_trees(...), lengths)`` of a stack of one layer, without the outputs at every position.

        Args:
            tables: From `project`.
            trees: See `read_trees`.
            lengths: Integer tensor [batch], each at least 1.
            pooling: A `seqkit.layers.pooling.Pooling` with a ``running`` form.
        """
        pooled = []
        for layer, table, (*tree, nodes) in zip(self.directions[0], tables, trees, strict=True):
            ends = nodes[:, 0] if layer.backward else tf.gather(nodes, lengths - 1, batch_dims=1)
            pooled.append(tf.gather(layer.read_tree(table, *tree, pooling.running), ends))
        return pooling.finish_running(tf.concat(pooled, -1), lengths)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}
