"""A corpus as arrays: distinct tokens once, and every position as a number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import tensorflow as tf

from seqkit.errors import InputTypeError

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass
class TokenCorpus:
    """Sentences over distinct tokens.

    Parameters
    ----------
    types : tf.Tensor
        Distinct tokens, strings [types], in order of first occurrence.
    index : ndarray
        For each position of the corpus the number of its token, int32 [positions], sentences one after the other.
    lengths : ndarray
        Tokens in each sentence, int64 [sentences].
    """

    types: tf.Tensor
    index: np.ndarray
    lengths: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """How often each type occurs."""
        return np.bincount(self.index, minlength=len(self.types))

    def take(self, rows: np.ndarray, positions: np.ndarray) -> TokenCorpus:
        """Return some sentences, given where their tokens stand, with the types that occur in them."""
        types, index = tf.unique(self.index[positions])  # in order of first occurrence
        return TokenCorpus(tf.gather(self.types, types), index.numpy(), self.lengths[rows])


def corpus_from_tokens(sentences: Sequence[Sequence[str]], name: str = "X") -> TokenCorpus:
    """Index lists of tokens.

    Parameters
    ----------
    sentences : sequence of sequence of str
        The corpus.
    name : str
        What errors call it.

    Returns
    -------
    TokenCorpus

    Raises
    ------
    InputTypeError
        If a sentence is not a sequence or a token not a string; the message has the index.
    """
    try:
        lengths = np.fromiter(map(len, sentences), np.int64, count=len(sentences))
        types = list(dict.fromkeys(chain.from_iterable(sentences)))
    except TypeError:
        _find_bad_sentence(sentences, name)
        raise
    if not all(isinstance(token, str) for token in types) or any(isinstance(s, str) for s in sentences):
        _find_bad_sentence(sentences, name)
    number = dict(zip(types, range(len(types)), strict=True))
    flat = chain.from_iterable(sentences)
    index = np.fromiter(map(number.__getitem__, flat), np.int32, count=int(lengths.sum()))
    return TokenCorpus(encode_strings(types), index, lengths)


def corpus_from_ragged(tokens: tf.RaggedTensor) -> TokenCorpus:
    """Index tokenized text, strings [sentences, None]."""
    types, index = tf.unique(tokens.flat_values)
    return TokenCorpus(types, index.numpy(), tokens.row_lengths().numpy())


def join_corpora(one: TokenCorpus, other: TokenCorpus) -> TokenCorpus:
    """Return the sentences of both, one corpus after the other."""
    types, index = tf.unique(tf.concat([one.types, other.types], 0))
    index, first = index.numpy(), len(one.types)
    flat = np.concatenate([index[:first][one.index], index[first:][other.index]])
    return TokenCorpus(types, flat, np.concatenate([one.lengths, other.lengths]))


def encode_strings(values: list[str]) -> tf.Tensor:
    """Return strings as a tensor; what UTF-8 does not have (lone surrogates) becomes U+FFFD."""
    try:
        return tf.constant(values, tf.string, shape=(len(values),))
    except ValueError:  # lone surrogates: TensorFlow's error is not the UnicodeEncodeError it stands for
        encoded = [_SURROGATES.sub("\ufffd", v).encode() for v in values]
        return tf.constant(encoded, tf.string, shape=(len(values),))


def _find_bad_sentence(sentences: Sequence, name: str) -> None:
    for i, sentence in enumerate(sentences):
        if isinstance(sentence, str | bytes) or not hasattr(sentence, "__len__") or not hasattr(sentence, "__iter__"):
            got = "None" if sentence is None else f"{type(sentence).__name__} {sentence!r:.60}"
            raise InputTypeError(
                f"{name}[{i}] must be a list of tokens, as the items before it are; got {got}. "
                "Give either all raw strings or all lists of tokens."
            )
        for j, token in enumerate(sentence):
            if not isinstance(token, str):
                raise InputTypeError(
                    f"{name}[{i}][{j}] must be a string, got {type(token).__name__} {token!r:.60}. Use str()."
                )
