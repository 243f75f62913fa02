"""Tokens to numbers: one TensorFlow graph, used alike by fit, predict and export.

Every token becomes a word id, character ids, and ids of its outward features (shape, prefixes, suffixes). All of it is
made of core ``tf.strings`` ops, so that the same graph runs in a served model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
import tensorflow as tf

PADDING, UNKNOWN = 0, 1
_FIRST = 2  # ids of known entries begin here

#: Outward features of a token, in the order of the ids' last axis.
FEATURES = ("shape", "prefix2", "prefix3", "prefix4", "suffix1", "suffix2", "suffix3", "suffix4")


@dataclass
class TokenVocabulary:
    """What a corpus taught about tokens: plain lists, saved as JSON.

    Parameters
    ----------
    words : list of str
        Normalised words by falling frequency.
    characters : list of int
        Code points by falling frequency.
    features : dict of str to list of str
        Known values of each outward feature; empty where features are off.
    lowercase : bool
        Whether words are lower-cased before the look-up (case remains visible in characters and shape).
    digits : bool
        Whether each digit counts as 0 in the look-up.
    extra_words : list of str
        Words known from pretrained vectors only. Their ids follow those of `words`.
    rare_from : int
        Id of the first word that was seen once.
    max_characters : int
        The character encoder reads a longer token's first and last halves of this number.
    """

    words: list[str]
    characters: list[int] = field(default_factory=list)
    features: dict[str, list[str]] = field(default_factory=dict)
    lowercase: bool = True
    digits: bool = True
    extra_words: list[str] = field(default_factory=list)
    rare_from: int = _FIRST
    max_characters: int = 32

    @property
    def n_words(self) -> int:
        """Number of word ids with learned vectors, padding and the unknown word included."""
        return len(self.words) + _FIRST

    @property
    def n_characters(self) -> int:
        """Number of character ids, padding and the unknown character included; 0 without characters."""
        return len(self.characters) + _FIRST if self.characters else 0

    @property
    def feature_sizes(self) -> list[int]:
        """Number of ids of each outward feature."""
        return [len(self.features[name]) + _FIRST for name in FEATURES] if self.features else []

    def to_json(self) -> dict:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> TokenVocabulary:
        """Make a vocabulary from what `to_json` gave."""
        return cls(**data)


class TokenGraph(tf.Module):
    """The graph from token strings to ids.

    Parameters
    ----------
    vocabulary : TokenVocabulary
        Known words, characters and feature values.
    """

    def __init__(self, vocabulary: TokenVocabulary):
        super().__init__(name="token_graph")
        self.vocabulary = vocabulary
        self.words = _table(vocabulary.words + vocabulary.extra_words, tf.string)
        self.characters = _table(vocabulary.characters, tf.int64) if vocabulary.characters else None
        self.features = [_table(vocabulary.features[name], tf.string) for name in FEATURES if vocabulary.features]

    def __call__(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return ids of tokens.

        Parameters
        ----------
        tokens : tf.Tensor
            Strings [n].

        Returns
        -------
        dict
            ``words`` int32 [n]; ``characters`` int32 [n, longest] if characters are known; ``features`` int32
            [n, features] if features are known. The empty string is padding: 0 throughout.
        """
        tokens = valid_utf8(tokens)
        empty = tf.equal(tokens, "")
        normal = normalize(tokens, self.vocabulary.lowercase, self.vocabulary.digits)
        ids = {"words": tf.where(empty, PADDING, _look_up(self.words, normal))}
        if self.characters is not None:
            ids["characters"] = self._character_ids(tokens)
        if self.features:
            values = outward_features(tokens)
            columns = [_look_up(table, values[name]) for table, name in zip(self.features, FEATURES, strict=True)]
            ids["features"] = tf.where(empty[:, None], PADDING, tf.stack(columns, -1))
        return ids

    def _character_ids(self, tokens: tf.Tensor) -> tf.Tensor:
        points = tf.strings.unicode_decode(tokens, "UTF-8")
        limit = self.vocabulary.max_characters
        lengths = points.row_lengths()
        position = tf.ragged.range(lengths).flat_values
        row_length = tf.repeat(lengths, lengths)
        keep = (position < limit - limit // 2) | (position >= row_length - limit // 2)
        points = tf.ragged.boolean_mask(points, points.with_flat_values(keep))
        ids = points.with_flat_values(_look_up(self.characters, tf.cast(points.flat_values, tf.int64)))
        ids = ids.to_tensor(default_value=PADDING)
        # At least one column, so that a batch of empty tokens has something to convolve.
        return tf.pad(ids, [[0, 0], [0, tf.maximum(1 - tf.shape(ids)[1], 0)]])


def valid_utf8(tokens: tf.Tensor) -> tf.Tensor:
    """Replace bytes that are not UTF-8 by U+FFFD."""
    return tf.strings.unicode_transcode(tokens, "UTF-8", "UTF-8", errors="replace")


def normalize(tokens: tf.Tensor, lowercase: bool, digits: bool) -> tf.Tensor:
    """Return the form of tokens under which words are looked up."""
    if lowercase:
        # `lower` takes NUL for the end of the string.
        tokens = tf.strings.lower(tf.strings.regex_replace(tokens, r"\x00", "\ufffd"), encoding="utf-8")
    return tf.strings.regex_replace(tokens, r"\p{Nd}", "0") if digits else tokens


def outward_features(tokens: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the string values of each of `FEATURES` for valid UTF-8 tokens [n]."""
    shape = tf.strings.regex_replace(tokens, r"\p{Lu}", "X")
    shape = tf.strings.regex_replace(shape, r"\p{Ll}", "x")
    shape = tf.strings.regex_replace(shape, r"\p{Nd}", "d")
    shape = tf.strings.regex_replace(shape, r"[^\x00-\x7f]", "u")
    for sign in "Xxdu":  # runs longer than two count as two
        shape = tf.strings.regex_replace(shape, f"{sign}{{3,}}", sign * 2)
    lower = normalize(tokens, True, True)
    length = tf.strings.length(lower, unit="UTF8_CHAR")
    values = {"shape": shape}
    for n in (1, 2, 3, 4):
        size = tf.minimum(length, n)
        if n > 1:
            values[f"prefix{n}"] = tf.strings.substr(lower, tf.zeros_like(length), size, unit="UTF8_CHAR")
        values[f"suffix{n}"] = tf.strings.substr(lower, length - size, size, unit="UTF8_CHAR")
    return values


def learn_vocabulary(
    types: tf.Tensor,
    counts: np.ndarray,
    *,
    characters: bool = True,
    features: bool = True,
    lowercase: bool = True,
    digits: bool = True,
    min_count: int = 1,
    min_feature_count: int = 2,
    extra_words: list[str] = (),
) -> TokenVocabulary:
    """Learn a vocabulary from the distinct tokens of a corpus.

    Parameters
    ----------
    types : tf.Tensor
        Distinct tokens, strings [n].
    counts : ndarray
        How often each occurs.
    characters, features : bool
        Whether to learn characters and outward features.
    lowercase, digits : bool
        How words are normalised, see `TokenVocabulary`.
    min_count : int
        Words seen less often are unknown words.
    min_feature_count : int
        Feature values found in fewer distinct tokens are unknown.
    extra_words : list of str
        Words of pretrained vectors.

    Returns
    -------
    TokenVocabulary
    """
    types = valid_utf8(types)
    words, word_counts = _count(normalize(types, lowercase, digits), counts)
    enough = word_counts >= min_count
    words, word_counts = words[enough], word_counts[enough]
    vocabulary = TokenVocabulary(
        words=[word.decode() for word in words],
        lowercase=lowercase,
        digits=digits,
        rare_from=int((word_counts > 1).sum()) + _FIRST,
    )
    known = set(vocabulary.words)
    vocabulary.extra_words = [word for word in dict.fromkeys(extra_words) if word not in known]
    if characters:
        points = tf.strings.unicode_decode(types, "UTF-8")
        weights = np.repeat(counts, points.row_lengths().numpy())
        vocabulary.characters = [int(c) for c in _count(points.flat_values, weights)[0]]
    if features:
        for name, values in outward_features(types).items():
            known_values, type_counts = _count(values, np.ones(len(counts), np.int64))
            # The shape's values are few: all of them are kept.
            least = 1 if name == "shape" else min_feature_count
            vocabulary.features[name] = [v.decode() for v in known_values[type_counts >= least]]
    return vocabulary


def _count(values: tf.Tensor, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct values and their summed weights, by falling weight; ties in order of first occurrence."""
    distinct, index = tf.unique(values)
    sums = np.bincount(index.numpy(), weights=weights, minlength=len(distinct)).astype(np.int64)
    order = np.argsort(-sums, kind="stable")
    return distinct.numpy()[order], sums[order]


def _table(keys: list, dtype: tf.DType) -> tf.lookup.StaticHashTable:
    # A table must not be empty; the key "" (or -1) is never looked up.
    if not keys:
        keys = [""] if dtype == tf.string else [-1]
    values = tf.range(_FIRST, _FIRST + len(keys), dtype=tf.int64)
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(keys, dtype), values), default_value=UNKNOWN
    )


def _look_up(table: tf.lookup.StaticHashTable, keys: tf.Tensor) -> tf.Tensor:
    return tf.cast(table.lookup(keys), tf.int32)
