"""What an encoder-decoder answers: the best sequences for a source, in one graph with the reading of it."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from seqkit.decoding.beam import BLOCK, Found, Penalties, search
from seqkit.decoding.loops import Settings, Written, write_frames
from seqkit.text.features import UNKNOWN


class Start(NamedTuple):
    """Where a decoder begins: states [rows, size], context [rows, dim], and a memory or None."""

    states: tf.Tensor
    context: tf.Tensor
    memory: tuple | None


class Translator:
    """An encoder-decoder in prediction.

    Parameters
    ----------
    model : seqkit.models.encoder_decoder.EncoderDecoder
        The network.
    copies : bool
        Whether the unknown token may be written, to be replaced by what it looked at; else it never is.
    """

    def __init__(self, model, copies: bool = False):
        self.model, self.decoder = model, model.decoder
        self.banned = () if copies else (UNKNOWN,)

    def start(self, vectors, lengths) -> Start:
        """Read sources, vectors [rows, time, dim] of some lengths."""
        context, memory = self.model.brief(self.model.read(vectors, lengths), lengths)
        return Start(self.decoder.first_states(tf.shape(context)[0], context), context, memory)

    def search(self, start: Start, limits, width: int, kept: int, penalties: Penalties) -> Found:
        """Return the best sequences of ids; see `seqkit.decoding.beam.search`."""
        looks = start.memory is not None
        return search(
            self.decoder.stepper(start.context, start.memory, weights=looks),
            tf.zeros_like(limits),
            start.states,
            limits,
            width,
            kept=kept,
            score=self.decoder.scorer(BLOCK),
            banned=self.banned,
            penalties=penalties,
            places=start.memory.lengths if looks else None,
        )

    def write(self, start: Start, limits, ends: bool = True) -> Written:
        """Return vectors, each the mean of what may follow: ``limits`` [rows] steps, or fewer if it ``ends`` before."""
        rows, size = tf.shape(limits)[0], self.model.config["target_size"]
        if ends and self.decoder.config["halting"] == "length":
            nothing = tf.zeros([rows])
            limits = tf.minimum(limits, self.decoder.length_head.draw(start.context, nothing + 0.5, nothing))
        settings = Settings(tf.zeros([rows], tf.int64), tf.zeros([rows]), tf.zeros([rows], tf.int32), tf.ones([rows]))
        advance = self.decoder.stepper(start.context, start.memory)
        written = write_frames(self.decoder, advance, tf.zeros([rows, size]), start.states, limits, settings, ends)
        real = tf.sequence_mask(written.lengths, tf.shape(written.ids)[1])[..., None]
        return written._replace(ids=tf.where(real, self.model.restored(written.ids), 0.0))
