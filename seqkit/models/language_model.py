"""None to many: a model of what comes next."""

from __future__ import annotations

from seqkit.models.next_step import NextStep


def build_language_model(vocabulary_size: int, **options) -> NextStep:
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
    return NextStep(vocabulary_size, **options)
