"""What comes next, given what came so far: the network of language models and generators."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from seqkit.cells import CELL_NAMES
from seqkit.cells.jordan import JordanCell
from seqkit.cells.scan import loop, product, steps_of
from seqkit.errors import DataError, ParameterError
from seqkit.layers.attention import SCORES, Attention, Memory
from seqkit.layers.dropout import SequenceDropout
from seqkit.layers.frame_heads import BernoulliHead, LinearHead, NadeHead, draw_keys
from seqkit.layers.length_head import LengthHead
from seqkit.layers.recurrent import Recurrent, RecurrentStack, turned
from seqkit.layers.softmax import cross_entropy, sampled_cross_entropy
from seqkit.models.own_loss import OwnLossModel, check_choice, is_integer
from seqkit.precision import factor, matmul

_LEAST_PROBABILITY = 1e-30  # whose logarithm float32 still has
_PROJECTED = 2**22  # most numbers that are made of a vocabulary before a loop
_HEADS = {"bernoulli": BernoulliHead, "nade": NadeHead, "linear": LinearHead}


@keras.saving.register_keras_serializable("seqkit")
class NextStep(OwnLossModel):
    """The model that `build_language_model` and `build_generator` make; its arguments are theirs.

    Called on ids [batch, time] it gives the distribution of the id that follows each of them, [batch, time,
    vocabulary], and so does ``predict``; on frames [batch, time, keys] the probability of each key in the frame that
    follows (where keys depend on each other, given that those below it are off). Where there is a context, inputs are a
    dict of ``items`` and ``context`` [batch, context_dim]. ``fit(items, next_items)`` needs no loss: the model brings
    its own.

    As the decoder of a `seqkit.models.encoder_decoder.EncoderDecoder` it may also look back at a memory, vectors of
    size ``memory_dim``, by `seqkit.layers.attention.Attention` (``attend`` is its score); with ``input_feeding``
    what it found at a step is part of its next input (Luong et al. 2015, section 3.3).
    """

    kind = "model of sequences"
    brings = "loss, over real steps"
    cells = CELL_NAMES
    integers = {"units": 1, "layers": 1, "word_dim": 1, "head_units": 1, "context_dim": 0, "keys": 0, "memory_dim": 0}  # noqa: RUF012
    may_be_none = ("seed", "word_dim", "halting")
    shares = ("dropout", "recurrent_dropout")

    def __init__(
        self,
        vocabulary_size: int = 0,
        *,
        keys: int = 0,
        head: str = "softmax",
        head_units: int = 128,
        context_dim: int = 0,
        context_as: str = "both",
        memory_dim: int = 0,
        attend: str = "general",
        input_feeding: bool = False,
        halting: str | None = None,
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
        # With attention, what a Jordan network feeds back is the output that looks, not what is found.
        jordan = cell == "jordan" and not memory_dim
        self.table = None
        if word_dim is not None:
            self.table = self._weight("word_vectors", (vocabulary_size, word_dim), 1, word_dim**-0.5)
        size = vocabulary_size or keys
        dim = word_dim or size
        self.input_dropout = self._dropout(dropout if word_dim else 0.0, 2, "input_dropout")
        if context_dim and context_as != "state":
            dim += context_dim
        if input_feeding:
            dim += units
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
        self.attention = None
        if memory_dim:
            self.attention = Attention(units, attend, seed=self._seed(12), dtype=self.dtype_policy, name="attention")
            self.attention.build((None, None, memory_dim))
        self.output_dropout = self._dropout(dropout, 4, "output_dropout")
        self.top = None
        self.head = None
        if jordan:
            self.top = self._make_top(dim, size)
        elif head == "softmax":
            self._make_output(dim)
        else:
            options = dict(units=head_units) if head == "nade" else {}
            self.head = _HEADS[head](keys, seed=self._seed(6), dtype=self.dtype_policy, name="head", **options)
            self.head.build((None, dim))
        if halting == "length":
            self.length_head = LengthHead(context_dim, seed=self._seed(11), dtype=self.dtype_policy, name="length_head")
            self.length_head.build((None, context_dim))
        if halting == "bernoulli":
            self.halt_kernel = self._weight("halt_kernel", (size if jordan else dim, 1), 9, dim**-0.5)
            self.halt_bias = self._weight("halt_bias", (1,), 9)
        if context_dim and context_as != "input":
            shape = (context_dim, self.state_size)
            self.context_kernel = self._weight("context_kernel", shape, 10, context_dim**-0.5)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.built = True

    def _check(self):
        c = self.config
        if not c["keys"] and not is_integer(c["vocabulary_size"], 2):
            raise ParameterError(
                f"vocabulary_size={c['vocabulary_size']!r} must be at least 2 (0 stands before and after a sequence, 1 "
                "is the unknown token); or give keys= for frames."
            )
        super()._check()
        check_choice("initial_state", c["initial_state"], ("zeros", "learned"))
        check_choice("context_as", c["context_as"], ("input", "state", "both"))
        check_choice("head", c["head"], ("softmax", *_HEADS))
        check_choice("attend", c["attend"], SCORES)
        if c["input_feeding"] and (not c["memory_dim"] or c["recurrent_dropout"]):
            raise ParameterError(
                "input_feeding=True feeds back what attention found: it needs attention (memory_dim=), and does not go "
                f"with recurrent_dropout={c['recurrent_dropout']!r}."
            )
        if c["halting"] is not None:
            check_choice("halting", c["halting"], ("bernoulli", "length"))
        if c["keys"] and (c["vocabulary_size"] or c["word_dim"] is not None or c["head"] == "softmax"):
            raise ParameterError(
                "keys= is for frames, which have no vocabulary_size= and no word_dim=; their head is 'bernoulli', "
                f"'nade' or 'linear', got head={c['head']!r}."
            )
        if not c["keys"] and c["head"] != "softmax":
            raise ParameterError(f"head={c['head']!r} is for frames, which need keys=.")
        jordan = c["cell"] == "jordan" and not c["memory_dim"]
        if c["tied"] and (c["word_dim"] is None or jordan):
            raise ParameterError(
                "tied=True shares the word vectors with the output layer: it needs word_dim=, and a cell other than "
                "'jordan', whose output layer is part of the recurrence."
            )
        if jordan and c["head"] in ("nade", "linear"):
            raise ParameterError(
                f"head={c['head']!r} does not go with cell='jordan', which feeds back the probability of each key by "
                "itself."
            )

    def _weight(self, name: str, shape: tuple, part: int, deviation: float = 0.0):
        start = keras.initializers.RandomNormal(0.0, deviation, seed=self._seed(part)) if deviation else "zeros"
        return self.add_weight(shape=shape, initializer=start, name=name)

    def _dropout(self, rate: float, part: int, name: str) -> SequenceDropout:
        return SequenceDropout(rate, seed=self._seed(part), dtype=self.dtype_policy, name=name)

    def _make_top(self, dim: int, size: int) -> Recurrent:
        """Make the top layer of a Jordan network, which feeds the distribution back that it answers with."""
        c, seed = self.config, self._seed(5)
        seeds = [None if seed is None else seed + k for k in range(4)]
        cell = JordanCell(
            c["units"],
            size,
            activation=c["activation"],
            output_activation="sigmoid" if c["keys"] else "softmax",
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
        """Begin with how often ids occur (or keys are on; or with their means), which need not be learned then."""
        if self.head is not None:
            self.head.expect(shares)
            return
        bias = self.top.cell.output_bias if self.top else self.output_bias
        bias.assign(np.log(shares) - (np.log1p(-shares) if self.config["keys"] else 0.0))

    # Reading on from a state

    @property
    def state_size(self) -> int:
        """Size of all states of one row together."""
        own = self.top.cell.output_units if self.top else 0
        if self.config["input_feeding"]:
            own += self.config["units"]
        return self.recurrent.state_count * self.config["units"] + own

    def first_states(self, rows, context=None):
        """Return the states before the first step, [rows, `state_size`], given the context [rows, context_dim]."""
        states = self.top.first_state(rows) if self.top else []
        if self.recurrent.state_count:
            states = [tf.reshape(self.recurrent.first_states(rows), [rows, -1]), *states]
        if self.config["input_feeding"]:
            states = [*states, tf.zeros([rows, self.config["units"]], self.compute_dtype)]
        states = tf.concat(states, -1)
        if self.config["context_dim"] and self.config["context_as"] != "input":
            states += tf.tanh(matmul(tf.cast(context, states.dtype), tf.cast(self.context_kernel, states.dtype)))
        return states

    def read(self, items, states, training=False, context=None, memory=None, weights=False):
        """Read on from a state.

        Args:
            items: Ids [batch, time], none of them padding, or frames [batch, time, keys]; 0 is what stands before and
                after a text, and a frame without keys what stands before others.
            states: Tensor [batch, `state_size`].
            training: Whether dropout is active.
            context: Tensor [batch, context_dim], for a model that has one.
            memory: A `seqkit.layers.attention.Memory` made by ``attention``, for a model that looks at one.
            weights: Whether what each step looked at is returned too, [batch, time, places].

        Returns:
            What `logits` and `losses` take, [batch, time, dim], and the states after the last step.
        """
        c = self.config
        beside = c["context_dim"] and c["context_as"] != "state"
        integers = not beside and not c["input_feeding"]
        outputs, after = self.input_dropout(self._vectors(items, integers), training=training), []
        if beside:
            every = tf.repeat(tf.cast(context, outputs.dtype)[:, None], tf.shape(outputs)[1], 1)
            outputs = tf.concat([outputs, every], -1)
        size = self.recurrent.state_count * c["units"]
        if c["input_feeding"]:
            outputs, after, looks = self._read_fed(outputs, states, memory, training)
        elif size:
            own = tf.reshape(states[:, :size], [-1, self.recurrent.state_count, c["units"]])
            outputs, own = self.recurrent.carry(outputs, own, training=training)
            after = [tf.reshape(own, [-1, size])]
        if self.attention is not None and not c["input_feeding"]:
            outputs, looks = self.attention(outputs, memory)
        outputs = self.output_dropout(outputs, training=training)
        if self.top:
            outputs, own = self.top(outputs, initial_state=[states[:, size:]], training=training, return_state=True)
            after += own
        after = tf.concat(after, -1)
        return (outputs, after, looks) if weights else (outputs, after)

    def _read_fed(self, values, states, memory, training):
        """Read inputs [batch, time, dim], each joined by what was found at the step before."""
        units = self.config["units"]
        project, step = self.recurrent.stepper(tf.shape(values)[0] if training else None)
        feed, look = factor(self._feeder(project, values.shape[-1])), self.attention.looker()
        each = steps_of(turned(project(tf.pad(values, [[0, 0], [0, 0], [0, units]]))))

        def one(t, *states):
            *states, found = states
            outputs, states = step(each.read(t) + matmul(found, feed), states)
            found, weights = (value[:, 0] for value in look(outputs[:, None], memory))
            return [*states, found], [tf.cast(found, tf.float32), weights]

        states = tf.split(states, [units] * (self.recurrent.state_count + 1), -1)
        states, results = loop(one, tf.shape(values)[1], states, 2)
        found, weights = (turned(result.stack()) for result in results)
        return tf.cast(found, self.compute_dtype), states, weights

    def _feeder(self, project, before: int):
        """Return the matrix from what was found to the first layer's projection of it, behind ``before`` inputs."""
        units = self.config["units"]
        zeros = tf.zeros([1, before + units], self.compute_dtype)
        rows = tf.concat([tf.zeros([units, before], zeros.dtype), tf.eye(units, dtype=zeros.dtype)], -1)
        return project(rows) - project(zeros)

    def _vectors(self, items, integers: bool = True):
        """Return what the first layer reads of ids or frames; ``integers``: ids as they are, if it takes them so."""
        if self.config["keys"]:
            return tf.cast(items, self.compute_dtype)
        if self.table is not None:
            return tf.gather(tf.cast(self.table, self.compute_dtype), items)
        if integers and self.recurrent.reads_integers:
            return items
        return tf.one_hot(items, self.config["vocabulary_size"], dtype=self.compute_dtype)

    def logits(self, outputs):
        """Return the scores of all ids (or keys), float32 [..., vocabulary], from what `read` gave [..., dim]."""
        return self.scorer()(outputs)

    def scorer(self, multiple: int = 1):
        """Return `logits` as a function that has read the weights: before the loop, where its calls are in one.

        Args:
            multiple: Scores of -1e30, of no id, may follow those of ids, so that their number is a multiple of this.
        """
        if self.head is not None:
            return self.head.logits
        if self.top:
            return self._log_odds if self.config["keys"] else _logarithm
        rows, bias = (tf.cast(v, self.compute_dtype) for v in (self.rows, self.output_bias))
        if multiple > 1:
            more = -self.config["vocabulary_size"] % multiple
            rows, bias = tf.pad(rows, [[0, more], [0, 0]]), tf.pad(bias, [[0, more]], constant_values=-1e30)
        projection = None if self.projection is None else tf.cast(self.projection, self.compute_dtype)

        def score(outputs):
            if projection is not None:
                outputs = product(outputs, projection)
            return tf.cast(product(outputs, rows, transpose=True) + bias, tf.float32)

        return score

    def _log_odds(self, shares):
        shares = tf.cast(shares, tf.float32)
        return _logarithm(shares) - _logarithm(1.0 - shares)

    def losses(self, outputs, targets, sample=None):
        """Return ``-log p`` of targets [positions], float32, from what `read` gave, [positions, dim].

        Args:
            outputs: See `read`.
            targets: Ids [positions], or frames [positions, keys].
            sample: Noise words and log(samples · q), to estimate it by `seqkit.layers.softmax.sampled_cross_entropy`.
        """
        if self.head is not None:
            return self.head.losses(outputs, targets)
        if self.config["keys"]:
            return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, self.logits(outputs)), -1)
        if self.top:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, self.logits(outputs))
        if self.projection is not None:
            outputs = product(outputs, tf.cast(self.projection, outputs.dtype))
        if sample is None:
            return cross_entropy(outputs, self.rows, self.output_bias, targets)
        return sampled_cross_entropy(outputs, self.rows, self.output_bias, targets, *sample)

    def draw(self, outputs, chances, temperature):
        """Draw frames, see `seqkit.layers.frame_heads.FrameHead.draw`; ``outputs`` [rows, dim] are those of `read`."""
        if self.head is not None:
            return self.head.draw(outputs, chances, temperature)
        return draw_keys(self.logits(outputs), chances, temperature[:, None])

    def halt_logits(self, outputs):
        """Return the log-odds that a sequence ends after the step that is to come, float32 [...]; see `read`."""
        kernel, bias = (tf.cast(v, outputs.dtype) for v in (self.halt_kernel, self.halt_bias))
        return tf.cast(product(outputs, kernel) + bias, tf.float32)[..., 0]

    def stepper(self, context=None, memory=None, weights=False):
        """Return a function that reads one item of each row, in prediction.

        What is the same at every step is made when this is called: before the loop, where the steps are in one.

        Args:
            context: See `read`.
            memory: See `read`.
            weights: See `read`.

        Returns:
            A function from items, ids [rows] or frames [rows, keys], and states [rows, `state_size`] to what `logits`
            takes, [rows, dim], and the states after the items; with ``weights`` also to what was looked at, [rows, of
            each, places]. Where it is given, as a third, the numbers of ``some`` rows of the context and the memory,
            items and states are of those: of each of them equally many, one after another.
        """
        count, units, feeding = self.recurrent.state_count, self.config["units"], self.config["input_feeding"]
        project, step = self.recurrent.stepper() if count else (tf.identity, None)
        enter, before = self._entrance(project, context)
        feed = self._feeder(project, before) if feeding else None
        look = None if self.attention is None else self.attention.looker()
        _, top = self.top.stepper() if self.top else (None, None)
        sizes = [units] * (count + feeding) + ([self.top.cell.output_units] if self.top else [])

        def advance(items, states, some=None):
            outputs, states, after = enter(items, some), tf.split(states, sizes, -1), []
            if feeding:
                outputs += matmul(states.pop(), feed)
            if step:
                outputs, after = step(outputs, states[:count])
            if look:
                of_each = memory if some is None else Memory(*(tf.gather(values, some) for values in memory))
                asked = tf.reshape(outputs, [tf.shape(of_each.lengths)[0], -1, units])
                found, looks = look(asked, of_each)
                outputs = tf.reshape(found, [-1, units])
            if feeding:
                after = [*after, outputs]
            if top:
                outputs, above = top(outputs, states[count:])
                after = [*after, *above]
            after = tf.concat(after, -1)
            return (outputs, after, looks) if weights else (outputs, after)

        return advance

    def _entrance(self, project, context):
        """Return a function from items to the first layer's projections of them and of the context, and their size."""
        c = self.config
        dim = c["keys"] or c["word_dim"] or c["vocabulary_size"]
        size = c["context_dim"] if c["context_as"] != "state" else 0  # how much of the input is context
        fed = c["units"] * c["input_feeding"]

        def alone(values):
            return project(values if values.dtype.is_integer else tf.pad(values, [[0, 0], [0, size + fed]]))

        integers = not size + fed
        if c["keys"] or c["vocabulary_size"] * 4 * c["units"] > _PROJECTED:

            def enter(items, some=None):
                return alone(self._vectors(items, integers))
        else:
            rows = alone(self._vectors(tf.range(c["vocabulary_size"]), integers))

            def enter(items, some=None):
                return tf.gather(rows, items)

        if not size:
            return enter, dim
        zeros = tf.zeros([tf.shape(context)[0], dim], self.compute_dtype)
        both = project(tf.pad(tf.concat([zeros, tf.cast(context, zeros.dtype)], -1), [[0, 0], [0, fed]]))
        added = both - alone(zeros)  # the projection's constant comes with the items

        def enter_beside(items, some=None):
            if some is None:
                return enter(items) + added
            of_each = tf.shape(items)[0] // tf.maximum(tf.shape(some)[0], 1)
            return enter(items) + tf.repeat(tf.gather(added, some), of_each, 0)

        return enter_beside, dim + size

    def step(self, items, states, context=None, memory=None):
        """Return the scores of what comes after one more item of each row.

        Args:
            items: Ids [rows], or frames [rows, keys].
            states: Tensor [rows, `state_size`].
            context: See `read`.
            memory: See `read`.

        Returns:
            float32 [rows, vocabulary], and the states after it.
        """
        outputs, states = self.stepper(context, memory)(items, states)
        return self.logits(outputs), states

    # Keras

    def _given(self, inputs):
        """Return items and context."""
        items, context = (inputs["items"], inputs.get("context")) if isinstance(inputs, dict) else (inputs, None)
        if self.config["context_dim"] and context is None:
            raise DataError("This model reads a context: its input must be a dict with 'items' and 'context'.")
        return items if self.config["keys"] else tf.cast(items, tf.int32), context

    def call(self, inputs, training=False):
        """Return the distribution of what follows each item, [batch, time, vocabulary or keys].

        Args:
            inputs: Ids [batch, time] or frames [batch, time, keys], or a dict of them as ``items`` and ``context``
                [batch, context_dim]. What stands at padding, after the end of a row, is read and means nothing.
            training: Whether dropout is active.
        """
        items, context = self._given(inputs)
        states = self.first_states(tf.shape(items)[0], context)
        outputs, _ = self.read(items, states, training=training, context=context)
        return self.answer(outputs)

    def answer(self, outputs):
        """Return the distribution of what follows each item (of frames, its mean), given what `read` gave."""
        if self.top:
            return outputs
        logits = self.logits(outputs)
        if self.config["head"] == "linear":
            return logits
        return (tf.sigmoid if self.config["keys"] else tf.nn.softmax)(logits)

    def _loss(self, inputs, targets, sample_weight, training):
        """Return the mean of ``-log p`` over the targets of a batch, and how many count.

        Ids after the last one of a row that is not 0, and one 0 more (the end), are padding; so are all frames after
        the last one with a key.
        """
        items, context = self._given(inputs)
        states = self.first_states(tf.shape(items)[0], context)
        outputs, _ = self.read(items, states, training=training, context=context)
        frames, time = bool(self.config["keys"]), tf.shape(targets)[1]
        targets = tf.cast(targets, tf.float32 if frames else tf.int32)
        some = tf.reduce_any(targets != 0, -1) if frames else targets > 0
        lengths = tf.reduce_max(tf.where(some, tf.range(1, time + 1), 0), 1) + (0 if frames else 1)
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


def _logarithm(shares):
    return tf.math.log(tf.maximum(tf.cast(shares, tf.float32), _LEAST_PROBABILITY))
