"""Text to tokens and back: what cuts texts so that a network that writes tokens writes texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from seqkit.text.tokenizer import tokenize

#: Stands before a token that no white space stands before, other than a text's first (as in OpenNMT's tokenizer).
JOINER = "\uffed"
#: Stands before a piece of a word that is not its first.
SUFFIX = "##"
#: What a word becomes that no pieces make up.
UNKNOWN_PIECE = "[UNK]"
MODES = ("words", "whitespace", "characters", "wordpiece")
_LONGEST_WORD = 200  # bytes; a longer one is not cut into pieces


class Segmenter:
    """Cut texts into tokens, and join tokens to texts; in a graph of core TensorFlow ops, but for "wordpiece".

    Joining undoes cutting, except that white space becomes one space, and there is none at the ends; characters are all
    kept. A text that holds U+FFED loses it.

    Parameters
    ----------
    mode : {"words", "whitespace", "characters", "wordpiece"}
        "words": those of `seqkit.text.tokenizer`, with U+FFED before one that no white space stands before.
        "wordpiece": such words cut further, each into the longest ``pieces`` from its beginning.
    pieces : sequence of str
        Of "wordpiece": beginnings of words, and other parts with ``##`` before them. Words with characters that are
        not among them, or of more than 200 bytes, become ``[UNK]``.
    joiners : bool
        Whether U+FFED tells where no white space was. Otherwise texts do not come back as they were.
    """

    def __init__(self, mode: str, pieces: Sequence[str] = (), *, joiners: bool = True):
        self.mode = mode
        self.pieces = list(pieces)
        self.joiners = joiners
        self._cut_words = _word_cutter(self.pieces) if mode == "wordpiece" else None

    def cut(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Return the tokens of texts, strings [n] to [n, None]."""
        if self.mode == "characters":
            return tokenize(texts, "code_points").tokens
        if self.mode == "whitespace":
            return tokenize(texts, "whitespace").tokens
        words = tokenize(texts, "words")
        words = _with_joiners(*words) if self.joiners else words.tokens
        if self._cut_words is None:
            return words
        distinct, place = tf.unique(words.values)
        pieces = tf.gather(self._cut_words(distinct), place)
        ends = tf.concat([[0], tf.cumsum(pieces.row_lengths())], 0)
        return tf.RaggedTensor.from_row_splits(pieces.values, tf.gather(ends, words.row_splits), validate=False)

    def join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        """Return texts, strings [n], of tokens [n, None]."""
        texts = tf.strings.reduce_join(tokens, axis=-1, separator="" if self.mode == "characters" else " ")
        if self.mode == "wordpiece":
            texts = tf.strings.regex_replace(texts, f"(^| ){SUFFIX}", "")
        if self.mode in ("words", "wordpiece"):
            texts = tf.strings.regex_replace(texts, f" ?{JOINER}", "")
        return texts


def _with_joiners(tokens: tf.RaggedTensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor) -> tf.RaggedTensor:
    count = tf.size(tokens.values)
    before = tf.concat([[-1], ends.values[:-1]], 0)[:count]
    first = tf.scatter_nd(
        tokens.row_splits[:-1][:, None], tf.ones_like(tokens.row_splits[:-1]), [tf.cast(count, tf.int64) + 1]
    )
    joined = (starts.values == before) & (first[:-1] == 0)
    return tokens.with_values(tf.where(joined, tf.strings.join([JOINER, tokens.values]), tokens.values))


def _word_cutter(pieces: list[str]) -> Callable[[tf.Tensor], tf.RaggedTensor]:
    """Return a function that cuts words, strings [n], into pieces [n, None]."""
    import tensorflow_text

    cutter = tensorflow_text.FastWordpieceTokenizer(
        pieces,
        suffix_indicator=SUFFIX,
        max_bytes_per_word=_LONGEST_WORD,
        token_out_type=tf.string,
        unknown_token=UNKNOWN_PIECE,
        no_pretokenization=True,
        support_detokenization=False,
    )
    return cutter.tokenize


def learn_pieces(words: tf.Tensor, counts, size: int) -> list[str]:
    """Learn the pieces of "wordpiece" from the most frequent words, four times ``size`` at most, by tensorflow-text.

    Parameters
    ----------
    words : tf.Tensor
        Distinct words, strings [n].
    counts : ndarray
        How often each occurs.
    size : int
        About how many pieces; never fewer than there are characters.

    Returns
    -------
    list of str
        The unknown piece first, then beginnings of words and, after ``##``, other parts.
    """
    from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as learner

    known = {}
    for word, count in zip(words.numpy(), counts.tolist(), strict=True):
        if len(word) <= _LONGEST_WORD:
            known[word.decode("utf-8", "replace")] = int(count)
    if not known:
        return [UNKNOWN_PIECE]
    # Pieces that are kept occur so often that there are ``size`` of them. That is looked for step by step, a reading of
    # all words each; the words alone tell where not to look.
    last = sorted(known.values(), reverse=True)[: int(size)][-1]
    characters = {sign for word in known for sign in word}
    how = dict(lower_thresh=1, upper_thresh=10 * last + 10, max_input_tokens=4 * int(size), joiner=SUFFIX)
    pieces = learner.learn(known, size, [UNKNOWN_PIECE], max_unique_chars=len(characters), **how)
    # Those of rarer words too, so that every word can be cut into characters.
    return list(dict.fromkeys([*pieces, *(first + sign for sign in sorted(characters) for first in ("", SUFFIX))]))
