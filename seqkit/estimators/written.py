"""What was written, in tokens, and what it looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seqkit.estimators.sequences import Sequences

_UNKNOWN = 1  # the id of the unknown token, see `seqkit.text.features`


class Alignment(NamedTuple):
    """What an output looked at: its tokens, those of the source, and weights (of the target, of the source).

    Of texts and tokens the last row is of the end. Where a side is vectors, its tokens are numbers of steps.
    """

    source: list
    target: list
    weights: np.ndarray


def written_tokens(names: np.ndarray, ids: np.ndarray, sources, places) -> list[str]:
    """Return ids as tokens; an unknown one is that of the source that it looked at.

    Parameters
    ----------
    names : ndarray of str
        Of all ids.
    ids : ndarray
        What was written.
    sources : tuple of ndarray, or None
        Distinct source tokens, and which stands at each place of this source; None without tokens.
    places : ndarray or None
        The place that each id looked at.
    """
    tokens = names[ids].tolist()
    if places is not None and sources is not None:
        types, index = sources
        for t in np.flatnonzero((ids == _UNKNOWN) & (places < len(index))):
            tokens[t] = types[index[places[t]]].decode("utf-8", "replace")
    return tokens


def tokens_of(data: Sequences) -> list[list]:
    """Return the tokens of each sequence; of vectors, the numbers of their steps."""
    if data.corpus is None:
        return [list(range(n)) for n in data.lengths]
    types = [token.decode("utf-8", "replace") for token in data.corpus.types.numpy()]
    rows = np.split(data.corpus.index, np.cumsum(data.lengths)[:-1]) if len(data) else []
    return [[types[i] for i in row] for row in rows]
