"""What a network's steps are put together to: graph functions for estimators and for exports alike."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from seqkit.decoding.beam import BLOCK, Found, search
from seqkit.decoding.loops import Settings, Written, read_all, write, write_frames
from seqkit.decoding.sampling import sample, uniform
from seqkit.graph import graph
from seqkit.text.features import UNKNOWN

_ROWS = tf.TensorSpec([None], tf.int32)
_SHARES = tf.TensorSpec([None], tf.float32)
_LENGTH_STEP = 2**31 - 2  # of the numbers drawn by chance, the one for the length; frames never come so far
_SETTINGS = (tf.TensorSpec([None], tf.int64), _SHARES, _ROWS, _SHARES)


class Writer:
    """A network that writes on from prompts: ids [rows, time] or frames [rows, time, keys], each of some length.

    ``context`` is [rows, context_dim] throughout; ``settings`` are those of `seqkit.decoding.loops.Settings`.

    Parameters
    ----------
    model : seqkit.models.next_step.NextStep
        The network.
    """

    def __init__(self, model):
        self.model = model
        # The unknown token stands for many; it is no text.
        self.banned = None if model.config["keys"] else tf.one_hot(UNKNOWN, model.config["vocabulary_size"], -1e30, 0.0)

    def _step(self, advance):
        score = self.model.scorer()

        def step(items, states):
            outputs, states = advance(items, states)
            return score(outputs), states

        return step

    def begin(self, prompts, lengths, context, advance=None):
        """Return the last item of each prompt (0, the beginning, of an empty one), and the states before it.

        ``advance`` is the model's stepper where it is made already.
        """
        first = tf.zeros(tf.concat([tf.shape(prompts)[:1], [1], tf.shape(prompts)[2:]], 0), prompts.dtype)
        items = tf.concat([first, prompts], 1)
        states = self.model.first_states(tf.shape(items)[0], context)
        advance = advance or self.model.stepper(context)
        states = read_all(lambda items, states: advance(items, states)[1], items, lengths, states)
        return tf.gather(items, lengths, batch_dims=1), states

    def distribution(self, last, states, context):
        """Return the probabilities of the ids that may come next, [rows, vocabulary]."""
        return tf.nn.softmax(self._step(self.model.stepper(context))(last, states)[0])

    def next(self, last, states, context, t, *settings):
        """Draw the t-th id after the prompts; return it and the states before it is read."""
        logits, states = self._step(self.model.stepper(context))(last, states)
        seeds, *how = settings
        return sample(logits + self.banned, uniform(seeds, t), *how), states

    def write(self, prompts, lengths, context, limits, *settings) -> Written:
        """Draw up to ``limits`` [rows] items."""
        settings, advance = Settings(*settings), self.model.stepper(context)
        begun = self.begin(prompts, lengths, context, advance)
        if self.model.config["keys"]:
            if self.model.config["halting"] != "length":
                return write_frames(self.model, advance, *begun, limits, settings)
            whole = self.model.length_head.draw(context, uniform(settings.seeds, _LENGTH_STEP), settings.temperature)
            limits = tf.minimum(limits, tf.maximum(whole - lengths, 0))
            written = write_frames(self.model, advance, *begun, limits, settings)
            return written._replace(
                log_probability=written.log_probability - self.model.length_head.losses(whole, context)
            )
        return write(self._step(advance), *begun, limits, settings, banned=self.banned)

    def fill(self, given, limits, context, *settings) -> Written:
        """Write ``limits`` [rows] ids: those of ``given`` [rows, time] where they are not -1, and drawn ones."""
        nothing = tf.zeros([tf.shape(given)[0], 0], tf.int32)
        advance = self.model.stepper(context)
        begun = self.begin(nothing, tf.zeros_like(limits), context, advance)
        banned = self.banned + tf.one_hot(0, self.banned.shape[0], -1e30, 0.0)  # no end before the end
        return write(self._step(advance), *begun, limits, Settings(*settings), banned=banned, given=given)

    def search(self, width: int, prompts, lengths, context, limits) -> Found:
        """Return the most probable continuation of up to ``limits`` [rows] ids, [rows, 1, …]."""
        advance = self.model.stepper(context)
        begun = self.begin(prompts, lengths, context, advance)
        return search(advance, *begun, limits, width, kept=1, score=self.model.scorer(BLOCK), banned=(UNKNOWN,))


def writer_function(model, name: str | tuple[str, int]) -> Callable:
    """Return a method of `Writer` as a graph function; ``("search", width)`` for that of so many candidates."""
    writer, keys = Writer(model), model.config["keys"]
    states = tf.TensorSpec([None, model.state_size], model.compute_dtype)
    context = tf.TensorSpec([None, model.config["context_dim"]], tf.float32)
    prompts = tf.TensorSpec([None, None, keys], tf.float32) if keys else tf.TensorSpec([None, None], tf.int32)
    last = tf.TensorSpec([None, keys], tf.float32) if keys else _ROWS
    begin = (prompts, _ROWS, context)
    if isinstance(name, tuple):
        width = name[1]
        return graph(lambda *arguments: writer.search(width, *arguments), *begin, _ROWS)
    signatures = {
        "begin": begin,
        "distribution": (last, states, context),
        "next": (last, states, context, tf.TensorSpec([], tf.int32), *_SETTINGS),
        "write": (*begin, _ROWS, *_SETTINGS),
        "fill": (prompts, _ROWS, context, *_SETTINGS),
    }
    method = getattr(writer, name)
    return graph(lambda *arguments: method(*arguments), *signatures[name])
