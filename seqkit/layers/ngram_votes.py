"""N-grams of words that vote for classes, beside a network."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("seqkit")
class NGramVotes(keras.layers.Layer):
    """Add up what the distinct n-grams of a text say about each class.

        outputs_k = g / √|G| · Σ_{i in G} r_ik + c_k

    | symbol | parameter | shape |
    |---|---|---|
    | G | the distinct known n-grams of the text, up to `longest` words | |
    | r | `table` | (vocabulary_size + rows, outputs) |
    | g | `gain` | () |
    | c | `bias` | (outputs,) |

    Rows of the table are numbered by word id for single words and by `keys` beyond: a longer n-gram's key is the row of
    all but its last word times ``vocabulary_size``, plus the last word's id. `learn_ngrams` finds the keys, and
    `naive_bayes` gives r a start: log-ratios of how often classes hold the n-gram (Wang & Manning 2012).

    Args:
        vocabulary_size: Number of word ids; 0 pads, 1 is the unknown word, which does not vote.
        outputs: Number of classes or values, k.
        rows: Number of n-grams of two words and more.
        longest: Words in the longest n-gram.
        dropout: Share of n-grams that do not vote in training.
        seed: Seed of the dropout, or None.

    Reference: S. Wang and C. Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL
    2012.
    """

    def __init__(
        self,
        vocabulary_size: int,
        outputs: int,
        rows: int = 0,
        longest: int = 1,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = dict(
            vocabulary_size=vocabulary_size, outputs=outputs, rows=rows, longest=longest, dropout=dropout, seed=seed
        )
        # One key at least, so that there is something to look into.
        self.num_keys = max(rows, 1)
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None

    def build(self, input_shape=None):
        """Make the table."""
        c = self.config
        self.keys = self.add_weight(
            shape=(self.num_keys,), initializer="ones", dtype="int64", name="keys", trainable=False
        )
        shape = (c["vocabulary_size"] + self.num_keys, c["outputs"])
        self.table = self.add_weight(shape=shape, initializer="zeros", name="table")
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain")
        self.bias = self.add_weight(shape=(c["outputs"],), initializer="zeros", name="bias")
        super().build(input_shape)

    def call(self, words, lengths, training=False):
        """Return what the n-grams say, float32 [batch, outputs].

        Args:
            words: Word ids [batch, time].
            lengths: Integer tensor [batch].
            training: Whether some n-grams are dropped.
        """
        c = self.config
        batch = tf.shape(words, out_type=tf.int64)[0]
        rows = self._rows(words, lengths, _searchsorted)
        texts = tf.repeat(tf.range(batch), tf.shape(rows)[1])
        rows = tf.reshape(rows, [-1])
        if training and c["dropout"]:
            keep = keras.random.uniform(tf.shape(rows), seed=self.seed_generator) >= c["dropout"]
            rows = tf.where(keep, rows, 0)
        votes = rows > 1
        width = c["vocabulary_size"] + self.num_keys
        pairs, _ = tf.unique(tf.boolean_mask(texts * width + rows, votes))
        texts, rows = pairs // width, pairs % width
        values = tf.cast(tf.gather(tf.convert_to_tensor(self.table), rows), tf.float32)
        total = tf.math.unsorted_segment_sum(values, texts, batch)
        count = tf.math.unsorted_segment_sum(tf.ones_like(rows, tf.float32), texts, batch)
        return self._scaled(total, count)

    def portable(self, words, lengths):
        """Return what `call` does, by operations that other runtimes have: it sorts each text's n-grams."""
        rows = tf.cast(self._rows(words, lengths, _search), tf.int32)
        rows, _ = tf.math.top_k(rows, tf.shape(rows)[1])
        distinct = tf.concat([tf.ones_like(rows[:, :1], tf.bool), rows[:, 1:] != rows[:, :-1]], 1)
        votes = tf.cast(distinct & (rows > 1), tf.float32)
        values = tf.cast(tf.gather(tf.convert_to_tensor(self.table), rows), tf.float32)
        return self._scaled(tf.reduce_sum(values * votes[..., None], 1), tf.reduce_sum(votes, 1))

    def _rows(self, words, lengths, search):
        """Return the rows of all n-grams of each text, int64 [batch, n-grams]; 0 or 1 where one is not known."""
        size = self.config["vocabulary_size"]
        real = tf.sequence_mask(lengths, tf.shape(words)[1])
        ids = tf.where(real & (words < size), tf.cast(words, tf.int64), 0)
        keys = tf.convert_to_tensor(self.keys)
        found, row = [ids], ids
        for n in range(2, self.config["longest"] + 1):
            key = row[:, :-1] * size + ids[:, n - 1 :]
            place = tf.minimum(search(keys, key), self.num_keys - 1)
            known = tf.gather(keys, place) == key
            known &= (row[:, :-1] > 1) & (ids[:, n - 1 :] > 1)
            row = tf.where(known, size + tf.cast(place, tf.int64), 0)
            found.append(row)
        return tf.concat(found, 1)

    def _scaled(self, total, count):
        """Return the votes of each text, from their sum and how many they are."""
        scale = tf.cast(self.gain, tf.float32) * tf.math.rsqrt(tf.maximum(count, 1.0))
        return scale[:, None] * total + tf.cast(self.bias, tf.float32)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}


def _searchsorted(keys, wanted):
    """Return where wanted keys, of any shape, belong among sorted ones."""
    return tf.reshape(tf.searchsorted(keys, tf.reshape(wanted, [-1])), tf.shape(wanted))


def _search(keys, wanted):
    """Return what `_searchsorted` does, by halving."""
    below = tf.fill(tf.shape(wanted), -1)  # the last key that is less; -1: none
    step = 1 << (keys.shape[0].bit_length() - 1)
    while step:
        next_ = below + step
        inside = tf.minimum(next_, keys.shape[0] - 1)
        below = tf.where((next_ < keys.shape[0]) & (tf.gather(keys, inside) < wanted), next_, below)
        step //= 2
    return below + 1


def learn_ngrams(words: np.ndarray, lengths: np.ndarray, size: int, longest: int, least: int = 2) -> np.ndarray:
    """Find the n-grams of a corpus.

    Parameters
    ----------
    words : ndarray
        Word ids of all texts, one text after the other [positions].
    lengths : ndarray
        Words in each text.
    size : int
        Number of word ids.
    longest : int
        Words in the longest n-gram.
    least : int
        Texts in which an n-gram must occur.

    Returns
    -------
    ndarray
        Keys of the n-grams of two words and more, sorted, int64; see `NGramVotes`.
    """
    found: list[np.ndarray] = []
    for n, (text, key) in enumerate(_by_length(words, lengths, size, longest, found), 1):
        if n > 1:
            # Each text counts once.
            order = np.lexsort((text, key))
            text, key = text[order], key[order]
            fresh = np.ones(len(key), bool)
            fresh[1:] = (key[1:] != key[:-1]) | (text[1:] != text[:-1])
            distinct, counts = np.unique(key[fresh], return_counts=True)
            found.append(distinct[counts >= least])  # longer n-grams have greater keys
    return np.concatenate([np.zeros(0, np.int64), *found])


def _by_length(words, lengths, size, longest, keys):
    """Yield the texts and rows (for two words and more: keys) of all n-grams of one word, of two, and so on.

    ``keys`` are arrays that together are all keys, or at each length those of all shorter n-grams.
    """
    ids = words.astype(np.int64)
    text = np.repeat(np.arange(len(lengths)), lengths)
    first, row = np.arange(len(ids)), ids
    yield text, row
    for n in range(2, longest + 1):
        inside = first + n - 1 < len(ids)
        first, row = first[inside], row[inside]
        last = ids[first + n - 1]
        good = (text[first] == text[first + n - 1]) & (row > 1) & (last > 1)
        first, key = first[good], row[good] * size + last[good]
        yield text[first], key
        found, place = _look_up(np.concatenate([np.zeros(0, np.int64), *keys]), key)
        first, row = first[found], size + place


def _look_up(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the wanted keys are among the sorted ``keys``, and where those stand."""
    found = np.isin(wanted, keys)
    return found, np.searchsorted(keys, wanted[found])


def naive_bayes(words, lengths, size: int, longest: int, keys: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return log-ratios of how many texts of each class hold an n-gram, against the mean over classes.

    Parameters
    ----------
    words, lengths, size, longest
        As for `learn_ngrams`.
    keys : ndarray
        From `learn_ngrams`.
    weights : ndarray
        How much each text belongs to each class [texts, classes].

    Returns
    -------
    ndarray
        float32 [size + keys (1 at least), classes].
    """
    rows = size + max(len(keys), 1)
    held = np.ones((rows, weights.shape[1]))  # each n-gram once more than seen
    for n, (text, key) in enumerate(_by_length(words, lengths, size, longest, [keys]), 1):
        row = key
        if n > 1:
            found, place = _look_up(keys, key)
            text, row = text[found], size + place
        pairs = np.unique(text * rows + row)
        np.add.at(held, pairs % rows, weights[pairs // rows])
    ratios = np.log(held / held.sum(0))
    ratios -= ratios.mean(1, keepdims=True)
    ratios[:2] = 0
    ratios[size + len(keys) :] = 0
    return ratios.astype(np.float32)
