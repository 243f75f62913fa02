"""What a language model's steps are put together to: graph functions for the estimator and for exports alike."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from seqkit.decoding.loops import Settings, Written, read_all, search, write
from seqkit.decoding.sampling import sample, uniform
from seqkit.text.features import UNKNOWN
from seqkit.training.graph import graph

_ROWS = tf.TensorSpec([None], tf.int32)
_SHARES = tf.TensorSpec([None], tf.float32)
_PROMPTS = (tf.TensorSpec([None, None], tf.int32), _ROWS)
_SETTINGS = (tf.TensorSpec([None], tf.int64), _SHARES, _ROWS, _SHARES)


class Writer:
    """A language model that writes on from prompts: ids [rows, time], 0 after the ``lengths`` [rows] of each.

    Parameters
    ----------
    model : seqkit.models.next_step.NextStep
        The model.
    """

    def __init__(self, model):
        self.model = model
        # The unknown token stands for many; it is no text.
        self.banned = tf.one_hot(UNKNOWN, model.config["vocabulary_size"], -1e30, 0.0)

    def begin(self, prompts, lengths):
        """Return the last id of each prompt (0, the beginning, of an empty one), and the states before it."""
        ids = tf.pad(prompts, [[0, 0], [1, 0]])
        states = self.model.first_states(tf.shape(ids)[0])
        states = read_all(lambda words, states: self.model.read(words[:, None], states)[1], ids, lengths, states)
        return tf.gather(ids, lengths, batch_dims=1), states

    def distribution(self, last, states):
        """Return the probabilities of what comes next, [rows, vocabulary]."""
        return tf.nn.softmax(self.model.step(last, states)[0])

    def next(self, last, states, t, *settings):
        """Draw the t-th id after the prompts; return it and the states before it is read."""
        logits, states = self.model.step(last, states)
        seeds, *how = settings
        return sample(logits + self.banned, uniform(seeds, t), *how), states

    def write(self, prompts, lengths, limits, *settings) -> Written:
        """Draw up to ``limits`` [rows] ids."""
        begun = self.begin(prompts, lengths)
        return write(self.model.step, *begun, limits, Settings(*settings), banned=self.banned)

    def search(self, width: int, prompts, lengths, limits) -> Written:
        """Return the most probable continuations of up to ``limits`` [rows] ids, [rows, width, …]."""
        return search(self.model.step, *self.begin(prompts, lengths), limits, width, banned=self.banned)


def language_function(model, name: str | tuple[str, int]) -> Callable:
    """Return a method of `Writer` as a graph function; ``("search", width)`` for that of so many candidates."""
    writer = Writer(model)
    states = tf.TensorSpec([None, model.state_size], model.compute_dtype)
    if isinstance(name, tuple):
        width = name[1]
        return graph(lambda *arguments: writer.search(width, *arguments), *_PROMPTS, _ROWS)
    signatures = {
        "begin": _PROMPTS,
        "distribution": (_ROWS, states),
        "next": (_ROWS, states, tf.TensorSpec([], tf.int32), *_SETTINGS),
        "write": (*_PROMPTS, _ROWS, *_SETTINGS),
    }
    method = getattr(writer, name)
    return graph(lambda *arguments: method(*arguments), *signatures[name])
