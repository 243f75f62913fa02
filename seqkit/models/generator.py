"""One to many, or none to many: sequences of tokens or frames, given a context."""

from __future__ import annotations

from seqkit.models.next_step import NextStep


def build_generator(vocabulary_size: int = 0, **options) -> NextStep:
    """Build a generator: a ``keras.Model`` from items to the distribution of the item after each, given a context.

    Parameters
    ----------
    vocabulary_size : int, default=0
        Number of ids: 0 is what stands before and after a sequence (and pads), 1 the unknown token. 0 for frames.
    keys : int, default=0
        Keys of a frame, each on or off. 0 for ids.
    head : {"softmax", "bernoulli", "nade"}, default="softmax"
        Distribution of what follows. Of frames: each key for itself, or keys from low to high given those below
        (`seqkit.layers.frame_heads.NadeHead`).
    head_units : int, default=128
        Hidden units of "nade".
    context_dim : int, default=0
        Size of the vector that a sequence is of; 0: none.
    context_as : {"input", "state", "both"}, default="both"
        Whether the context comes in at each step, makes the initial state, or both.
    halting : {"bernoulli", "length", None}, default=None
        Whether the network says how sequences of frames end: by a chance at each step that the item to come is the
        last one, or by the distribution of the length, given the context (`seqkit.layers.length_head.LengthHead`).
    cell, units, layers, activation, word_dim, tied, dropout, recurrent_dropout, initial_state, seed
        As in `build_language_model`. ``word_dim`` and ``tied`` are for ids.

    Returns
    -------
    keras.Model
        Also steps by itself: ``first_states(rows, context)`` and ``step(items, states, context)``.
    """
    return NextStep(vocabulary_size, **options)
