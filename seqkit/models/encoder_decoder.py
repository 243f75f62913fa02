"""Many to many, own lengths: one network reads a sequence, another writes one."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.errors import DataError, ParameterError
from seqkit.layers.attention import SCORES
from seqkit.models.next_step import NextStep
from seqkit.models.own_loss import check_choice, check_shares, is_integer
from seqkit.models.sequence_model import SequenceModel, id_lengths


@keras.saving.register_keras_serializable("seqkit")
class EncoderDecoder(SequenceModel):
    """The model that `build_encoder_decoder` makes; its arguments are those.

    The encoder reads the source; its last outputs (of a network in both directions, the forward one at the end and the
    backward one at the beginning) are the *context*, all of them the *memory*. The decoder, ``head``, is a
    `seqkit.models.next_step.NextStep` that goes on from the context and looks back at the memory.

    Called on a dict of sources and ``targets`` [batch, time] it gives the distribution of each id of the targets, given
    those before it, [batch, time, target_size]. ``fit(sources, targets)`` needs no loss: the model brings its own.
    """

    kind = "encoder-decoder"
    per_step = False
    jordan_head = False
    integers = {"units": 1, "layers": 0, "language_words": 2, "input_dim": 1}  # noqa: RUF012

    def __init__(
        self,
        vocabulary_size: int = 0,
        target_size: int = 2,
        *,
        targets: str = "ids",
        attend: str | None = "general",
        input_feeding: bool = False,
        context_as: str = "state",
        decoder_layers: int = 1,
        target_dim: int = 256,
        tied: bool = False,
        scheduled_sampling: float = 0.0,
        halting: str | None = None,
        **options,
    ):
        super().__init__(vocabulary_size, **options)
        self.config |= dict(target_size=target_size, targets=targets, attend=attend, input_feeding=input_feeding)
        self.config |= dict(context_as=context_as, decoder_layers=decoder_layers, target_dim=target_dim, tied=tied)
        self.config |= dict(scheduled_sampling=scheduled_sampling, halting=halting)
        self._check_decoder()
        c = self.config
        ids = targets == "ids"
        form = dict(word_dim=target_dim, tied=tied) if ids else dict(keys=target_size, head="linear", halting=halting)
        self.head = NextStep(
            target_size if ids else 0,
            **form,
            context_dim=self.head_dim,
            context_as=context_as,
            memory_dim=self.head_dim if attend else 0,
            attend=attend or "general",
            input_feeding=input_feeding,
            cell=c["cell"],
            units=c["units"],
            layers=decoder_layers,
            activation=c["activation"],
            dropout=c["dropout"],
            recurrent_dropout=c["recurrent_dropout"],
            seed=self._seed(8),
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.sampling_seed = keras.random.SeedGenerator(self._seed(9)) if scheduled_sampling else None
        # Targets that are vectors are brought to mean 0 and deviation 1 by what `standardize_targets` learned.
        self.target_mean = self.target_deviation = None
        if not ids:
            self.target_mean, self.target_deviation = (
                self.add_weight((target_size,), start, trainable=False, autocast=False, name=f"target_{name}")
                for name, start in (("mean", "zeros"), ("deviation", "ones"))
            )
        self.score_tracker = keras.metrics.Mean(name="accuracy" if ids else "squared_error")

    def _check_decoder(self):
        c = self.config
        check_choice("targets", c["targets"], ("ids", "vectors"))
        check_choice("attend", c["attend"], (None, *SCORES))
        least = 2 if c["targets"] == "ids" else 1
        for name, minimum in (("target_size", least), ("decoder_layers", 1), ("target_dim", 1)):
            if not is_integer(c[name], minimum):
                raise ParameterError(f"{name}={c[name]!r} must be an integer of at least {minimum}.")
        check_shares(closed=True, scheduled_sampling=c["scheduled_sampling"])
        if c["attend"] == "dot" and self.head_dim != c["units"]:
            raise ParameterError(
                "attend='dot' compares the outputs of both networks, which need one size: the encoder's is "
                f"{self.head_dim}, the decoder's units={c['units']}. Set bidirectional=False or attend='general'."
            )
        if c["input_feeding"] and c["attend"] is None:
            raise ParameterError("input_feeding=True feeds back what attention found; attend=None leaves nothing.")
        if c["targets"] == "vectors" and c["cell"] == "jordan" and c["attend"] is None:
            raise ParameterError(
                "cell='jordan' without attention feeds back the distribution of ids; for vectors choose an attend= "
                "or another cell."
            )
        if c["halting"] is not None and c["targets"] == "ids":
            raise ParameterError(f"halting={c['halting']!r} is for vectors; ids end by 0.")

    @property
    def decoder(self) -> NextStep:
        """The network that writes."""
        return self.head

    def brief(self, encoded, lengths):
        """Return what the decoder is given of a source.

        Args:
            encoded: What `read` gave, [batch, time, dim].
            lengths: int32 [batch].

        Returns:
            Context [batch, dim], and a `seqkit.layers.attention.Memory` or None.
        """
        real = tf.sequence_mask(lengths, tf.shape(encoded)[1])[..., None]
        encoded = tf.where(real, encoded, 0)
        memory = self.head.attention.remember(encoded, lengths) if self.head.attention is not None else None
        if not self.recurrent.directions:
            count = tf.cast(tf.maximum(lengths, 1), encoded.dtype)[:, None]
            return tf.reduce_sum(encoded, 1) / count, memory
        encoded = tf.pad(encoded, [[0, 0], [0, tf.maximum(1 - tf.shape(encoded)[1], 0)], [0, 0]])
        last = tf.gather(encoded, tf.maximum(lengths - 1, 0), batch_dims=1)
        if self.config["bidirectional"]:
            forward = last.shape[-1] // 2
            last = tf.concat([last[:, :forward], encoded[:, 0, forward:]], -1)
        return last, memory

    def read_targets(self, context, memory, targets, training=False, weights=False):
        """Read targets after their sources (teacher forcing).

        Args:
            context: From `brief`.
            memory: From `brief`.
            targets: Ids [batch, time], 0 after their ends, or standardized vectors [batch, time, target_size].
            training: Whether dropout and scheduled sampling are active.
            weights: Whether what each step looked at is returned too, [batch, time, places].

        Returns:
            What the decoder's ``logits`` and ``losses`` take, [batch, time, dim], and with ``weights`` those.
        """
        states = self.head.first_states(tf.shape(context)[0], context)

        def read(items, training):
            found = self.head.read(items, states, training, context, memory, weights)
            return (found[0], found[2]) if weights else found[0]

        items = tf.concat([tf.zeros_like(targets[:, :1]), targets[:, :-1]], 1)
        share = self.config["scheduled_sampling"]
        if training and share:
            # What the network itself says of all steps at once, each given the true ones before it, stands in for some
            # of the true ones (Mihaylova & Martins 2019).
            own = read(items, training)
            own = self.head.logits(own[0] if weights else own)
            if self.config["targets"] == "ids":
                own = tf.argmax(own, -1, items.dtype)
            own = tf.stop_gradient(tf.concat([tf.zeros_like(own[:, :1]), own[:, :-1]], 1))
            drawn = keras.random.uniform(tf.shape(items)[:2], seed=self.sampling_seed) < share
            drawn &= (tf.range(tf.shape(items)[1]) > 0)[None]
            items = tf.where(drawn if items.shape.rank == 2 else drawn[..., None], own, items)
        return read(items, training)

    def pair_losses(self, encoded, lengths, targets, target_lengths, training=False):
        """Return ``-log p`` of each target, float32 [batch], and how many items were judged, int32 [batch].

        Args:
            encoded: See `brief`.
            lengths: See `brief`.
            targets: See `read_targets`; of vectors, given as they are.
            target_lengths: int32 [batch]; the end of ids, not counted here, is an item too.
            training: See `read_targets`.
        """
        targets, counts = self.judged(targets, target_lengths)
        context, memory = self.brief(encoded, lengths)
        outputs = self.read_targets(context, memory, targets, training)
        real = tf.sequence_mask(counts, tf.shape(targets)[1])
        losses = self.head.losses(tf.boolean_mask(outputs, real), tf.boolean_mask(targets, real))
        losses = tf.scatter_nd(tf.where(real), losses, tf.shape(real, tf.int64))
        if self.config["halting"] == "bernoulli":
            at_end = tf.one_hot(counts - 1, tf.shape(real)[1])
            halts = tf.nn.sigmoid_cross_entropy_with_logits(at_end, self.head.halt_logits(outputs))
            losses += tf.where(real, halts, 0.0)
        losses = tf.reduce_sum(losses, -1)
        if self.config["halting"] == "length":
            losses += self.head.length_head.losses(tf.maximum(target_lengths, 1), context)
        return losses, counts

    def judged(self, targets, lengths):
        """Return targets as `read_targets` takes them, the end of ids among them, and how many items each has."""
        if self.config["targets"] == "ids":
            return tf.pad(targets, [[0, 0], [0, 1]]), lengths + 1
        return self.standardized(targets), lengths

    # Targets that are vectors

    def standardize_targets(self, mean, deviation) -> None:
        """Take mean and deviation of the targets, arrays [target_size]."""
        self.target_mean.assign(mean)
        self.target_deviation.assign(deviation)

    def standardized(self, targets):
        """Return vectors as the decoder reads and writes them."""
        return (tf.cast(targets, tf.float32) - self.target_mean) / self.target_deviation

    def restored(self, values):
        """Undo `standardized`."""
        return tf.cast(values, tf.float32) * self.target_deviation + self.target_mean

    # Keras

    def call(self, inputs, training=False):
        """Return the distribution of each item of the targets.

        Args:
            inputs: As for a `SequenceModel`, in a dict, with ``targets``: ids [batch, time], or vectors.
            training: Whether dropout is active.
        """
        if not isinstance(inputs, dict) or "targets" not in inputs:
            raise DataError("An encoder-decoder reads both sides: its input must be a dict with 'targets' too.")
        encoded, lengths = self.encode(inputs, training=training)
        targets = inputs["targets"]
        targets = tf.cast(targets, tf.int32) if self.config["targets"] == "ids" else self.standardized(targets)
        answer = self.head.answer(self.read_targets(*self.brief(encoded, lengths), targets, training))
        return answer if self.config["targets"] == "ids" else self.restored(answer)

    def head_losses(self, encoded, lengths, words, targets, training=False, **weights):
        """Return the decoder's loss of each target, [batch]; ids up to the last one that is not 0 are real."""
        if self.config["targets"] == "vectors":
            counts = tf.fill(tf.shape(targets)[:1], tf.shape(targets)[1])
        else:
            targets = tf.cast(targets, tf.int32)
            counts = id_lengths(targets)
        return self.pair_losses(encoded, lengths, targets, counts, training)[0]

    def measure(self, encoded, lengths, words, targets):
        """Return the share of ids that are most probable given those before (of vectors, the mean squared error)."""
        if self.config["targets"] == "vectors":
            found = self.read_targets(*self.brief(encoded, lengths), self.standardized(targets))
            found = self.restored(self.head.answer(found))
            squares = tf.square(found - tf.cast(targets, tf.float32))
            return tf.reduce_mean(squares), tf.size(squares)
        targets = tf.cast(targets, tf.int32)
        real = tf.sequence_mask(id_lengths(targets), tf.shape(targets)[1])
        found = self.head.answer(self.read_targets(*self.brief(encoded, lengths), targets))
        found = tf.argmax(found, -1, tf.int32)
        right = tf.math.count_nonzero(real & (found == targets), dtype=tf.float32)
        count = tf.math.count_nonzero(real, dtype=tf.float32)
        return tf.math.divide_no_nan(right, count), count


def build_encoder_decoder(vocabulary_size: int = 0, target_size: int = 2, **options) -> EncoderDecoder:
    """Build an encoder-decoder: a ``keras.Model`` from sequences to sequences of another length.

    Nothing in it is learned yet; use it with plain ``compile(optimizer)``, ``fit(sources, targets)`` and ``save``.

    Parameters
    ----------
    vocabulary_size : int
        Number of source ids; 0 is padding, 1 the unknown word. Left out with ``input_dim``.
    target_size : int
        Number of target ids: 0 is what stands before and after a sequence (and pads), 1 the unknown word; or size of
        target vectors.
    targets : {"ids", "vectors"}, default="ids"
        What targets are.
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default="lstm"
        The recurrence of both networks. A Jordan decoder feeds back the distribution of ids that it answers with; with
        attention, the output that looks at the memory.
    units : int, default=200
        Hidden units of the decoder, and of each direction of the encoder.
    layers : int, default=1
        Recurrent layers of the encoder; 0: sources are looked at as they are, their mean is the context.
    decoder_layers : int, default=1
        Recurrent layers of the decoder.
    bidirectional : bool, default=True
        Whether the encoder reads both ways.
    attend : {"general", "additive", "dot", "local"} or None, default="general"
        How the decoder looks back at the source, see `seqkit.layers.attention.Attention`.
    input_feeding : bool, default=False
        Whether what was found at a step is part of the next input (Luong et al. 2015). Slower to train.
    context_as : {"state", "input", "both"}, default="state"
        Whether the context makes the decoder's initial state, comes in at each step, or both.
    word_dim, target_dim : int, default=100, 256
        Size of the learned vectors of source and target ids.
    tied : bool, default=False
        Whether target vectors serve as the output layer too.
    scheduled_sampling : float, default=0.0
        Share of target ids that the network's own choice stands in for in training (Bengio et al. 2015).
    halting : {"bernoulli", "length"} or None, default=None
        How targets that are vectors end: by a chance at each step, by a length that is predicted from the context, or
        only where they are asked to (None).
    input_dim, activation, dropout, recurrent_dropout, initial_state, word_dropout, characters, char_encoder, seed
        As in `seqkit.models.build_tagger`; ``initial_state`` is the encoder's.

    Returns
    -------
    keras.Model
    """
    return EncoderDecoder(vocabulary_size, target_size, **options)
