"""Text to tokens in one graph of core TensorFlow ops, alike in fit, in predict and inside an export.

Three modes:

``words``
    Runs of letters, marks, digits and underscores. Kept inside a word: apostrophe, period, middle dot between letters
    (``don't``, ``U.S``), hyphen between word characters of which one is a letter (``well-known``, ``COVID-19``),
    ``, . : '`` between digits (``1,000``, ``12:30``), ``@`` in an e-mail address. Kept whole: ``http(s)://`` and
    ``www.`` addresses (without the punctuation that ends the sentence), ``@user``, ``#tag``, an emoji with all its
    modifiers, a flag. Han, kana, Thai and the like: one token a character. Any other sign is a token of its own.
``whitespace``
    What lies between white space, as ``str.split`` sees it.
``characters``
    One token for each visible character, with the marks that belong to it; emoji and flags whole.
``code_points``
    Every character a token, white space too, so that the tokens put together are the text. Bytes that are not UTF-8
    become U+FFFD.

In the first three, bytes that are not UTF-8 count as letters and come back as they were. Invisible signs (zero-width
space, byte order mark, direction marks) separate tokens like white space in ``words`` and ``characters``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.text import unicode_classes as uc

MODES = ("words", "whitespace", "characters", "code_points")

_ZWJ = 0x200D
_APOSTROPHES = (0x27, 0x2019)
_HYPHENS = (0x2D, 0x2010, 0x2011)
_URL_STOPS = '<>"`\\^{|}'
_URL_ENDS = ".,:;!?'\")]*_~"
_CHUNK_CHARACTERS = 1_000_000  # texts tokenized at once: bounds the memory of the arrays below


class TokenizedText(NamedTuple):
    """Tokens of n texts, each field a ``tf.RaggedTensor`` [n, None]; offsets are int32 and count bytes."""

    tokens: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one text, with offsets in characters: ``text[starts[i]:ends[i]] == tokens[i]``."""

    tokens: list[str]
    starts: list[int]
    ends: list[int]


class _Cuts(NamedTuple):
    """Where the tokens lie in the flat array of all characters (each text followed by one space)."""

    codes_splits: tf.Tensor  # [n + 1] where each text begins in the array of characters
    byte_offsets: tf.Tensor  # [characters] offset in its own text
    first: tf.Tensor  # [tokens] index of the first character
    last: tf.Tensor  # [tokens] index after the last character
    splits: tf.Tensor  # [n + 1] where each text begins among the tokens


def tokenize(texts: tf.Tensor, mode: str = "words") -> TokenizedText:
    """Cut texts into tokens with byte offsets; eager or inside a graph.

    Parameters
    ----------
    texts : tf.Tensor of string, shape [n]
        UTF-8; bytes that are not are no fault.
    mode : {"words", "whitespace", "characters", "code_points"}
        See the head of this module.

    Returns
    -------
    TokenizedText
        ``tokens`` holds the original bytes, ``tf.strings.substr(text, start, end - start)``.
    """
    _check_mode(mode)
    texts = tf.convert_to_tensor(texts, tf.string)
    if texts.shape.rank not in (None, 1):
        raise DataError(f"texts: expected a string tensor of shape [n], got shape {texts.shape}; reshape it first")
    # String ops have no GPU kernels; without the pin their small neighbours would travel to the GPU and back.
    with tf.name_scope("tokenize"), tf.device("/CPU:0"):
        if mode == "code_points":
            return _code_points(texts)
        padded = tf.strings.join([texts, " "])
        cuts = _cut(padded, mode)
        starts = tf.gather(cuts.byte_offsets, cuts.first)
        ends = tf.gather(cuts.byte_offsets, cuts.last)
        # One string a byte, then joined by token: substr would copy the whole text once a token.
        each_byte = tf.strings.bytes_split(padded)
        text_of_token = tf.ragged.row_splits_to_segment_ids(cuts.splits)
        base = tf.gather(each_byte.row_splits, text_of_token)
        where = tf.ragged.range(base + starts, base + ends)
        tokens = tf.strings.unsorted_segment_join(
            tf.gather(each_byte.flat_values, where.flat_values), where.value_rowids(), where.nrows()
        )
        fields = (tokens, tf.cast(starts, tf.int32), tf.cast(ends, tf.int32))
        return TokenizedText(*(tf.RaggedTensor.from_row_splits(f, cuts.splits, validate=False) for f in fields))


def _code_points(texts: tf.Tensor) -> TokenizedText:
    tokens, starts = tf.strings.unicode_split_with_offsets(texts, "UTF-8", errors="replace")
    splits, flat = tokens.row_splits, tf.cast(starts.flat_values, tf.int32)
    # A token ends where the next one of its text begins; the last one, where the text does.
    ends = tf.concat([flat[1:], tf.zeros_like(flat[:1])], 0)
    some = tf.where(splits[1:] > splits[:-1])[:, 0]
    last = tf.gather(splits[1:], some) - 1
    ends = tf.tensor_scatter_nd_update(ends, last[:, None], tf.gather(tf.strings.length(texts), some))
    fields = (tokens.flat_values, flat, ends)
    return TokenizedText(*(tf.RaggedTensor.from_row_splits(f, splits, validate=False) for f in fields))


def tokenize_texts(texts: Sequence[str], mode: str = "words") -> list[Tokens]:
    """Cut Python strings into tokens with character offsets.

    Parameters
    ----------
    texts : sequence of str
        The texts; none is changed or normalized.
    mode : {"words", "whitespace", "characters", "code_points"}
        See the head of this module.

    Returns
    -------
    list of Tokens
    """
    _check_mode(mode)
    if isinstance(texts, (str, bytes)):
        raise InputTypeError(f"texts: expected a sequence of str, got a bare {type(texts).__name__}; put it in a list")
    texts = list(texts)
    result: list[Tokens] = []
    chunk: list[str] = []
    size = 0
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputTypeError(f"texts[{index}]: expected str, got {type(text).__name__}")
        if len(text) >= 2**31:
            raise DataError(f"texts[{index}]: {len(text)} characters; a text must be shorter than 2**31")
        chunk.append(text)
        size += len(text) + 1
        if size >= _CHUNK_CHARACTERS:
            result.extend(_tokenize_chunk(chunk, mode))
            chunk, size = [], 0
    if chunk:
        result.extend(_tokenize_chunk(chunk, mode))
    return result


def _tokenize_chunk(texts: list[str], mode: str) -> list[Tokens]:
    # A lone surrogate has no UTF-8; any one letter in its place keeps the character offsets right.
    if mode == "code_points":
        return [Tokens(list(text), list(range(len(text))), list(range(1, len(text) + 1))) for text in texts]
    encoded = [_encode(text) for text in texts]
    splits, starts, ends = (a.numpy().tolist() for a in _character_offsets(mode)(tf.constant(encoded, tf.string)))
    rows = []
    for text, begin, end in zip(texts, splits, splits[1:], strict=False):
        row_starts, row_ends = starts[begin:end], ends[begin:end]
        rows.append(Tokens([text[s:e] for s, e in zip(row_starts, row_ends, strict=True)], row_starts, row_ends))
    return rows


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text).encode()


@functools.cache
def _character_offsets(mode: str):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def run(texts):
        with tf.device("/CPU:0"):
            cuts = _cut(tf.strings.join([texts, " "]), mode)
            base = tf.gather(cuts.codes_splits, tf.ragged.row_splits_to_segment_ids(cuts.splits))
            return cuts.splits, cuts.first - base, cuts.last - base

    return run


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ParameterError(f"mode: expected one of {', '.join(map(repr, MODES))}, got {mode!r}")


def _cut(padded: tf.Tensor, mode: str) -> _Cuts:
    """Find the tokens of texts that each end in one space.

    That space keeps neighbours in the flat array of characters apart, so no step below needs to know of texts, and
    gives every token a character after it, whose offset is the token's end.
    """
    codes, offsets = tf.strings.unicode_decode_with_offsets(padded, "UTF-8", errors="replace")
    splits, codes, offsets = codes.row_splits, codes.flat_values, offsets.flat_values
    if mode == "whitespace":
        kind = _look_up(_space_table(), codes)
        index = tf.range(tf.size(codes, tf.int64))
        begins = (kind == uc.SPACE) | (_before(kind, uc.SPACE) == uc.SPACE)
    else:
        kind = _look_up(_class_table(), codes)
        index, kind = _clusters(codes, kind)
        begins = tf.ones_like(index, tf.bool)
        if mode == "words":
            begins = _word_begins(tf.gather(codes, index), kind)
    heads = tf.where(begins)[:, 0]
    first = tf.gather(index, heads)
    last = _after(first, 0)
    real = tf.gather(kind, heads) != uc.SPACE
    first, last = tf.boolean_mask(first, real), tf.boolean_mask(last, real)
    token_splits = tf.searchsorted(first, splits, side="left", out_type=tf.int64)
    return _Cuts(splits, offsets, first, last, token_splits)


def _clusters(codes: tf.Tensor, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Join marks to their base, parts of an emoji, halves of a flag: index of each first character, and its class."""
    before = _before(kind, uc.SPACE)
    is_mark = kind == uc.MARK
    heads = tf.where(~(is_mark & (before != uc.SPACE)))[:, 0]
    joined_by_zwj = tf.gather(_before(codes, 0) == _ZWJ, heads)
    # A mark with nothing to stand on begins a word.
    kind = tf.gather(tf.where(is_mark, tf.constant(uc.LETTER, kind.dtype), kind), heads)
    before = _before(kind, uc.SPACE)
    pictograph = (before == uc.EMOJI) | (before == uc.TONE)
    joined = (kind == uc.EMOJI) & pictograph & joined_by_zwj
    joined |= (kind == uc.TONE) & (before == uc.EMOJI)
    joined |= _second_of_pair(kind == uc.FLAG)
    keep = ~joined
    return tf.boolean_mask(heads, keep), tf.boolean_mask(kind, keep)


def _second_of_pair(member: tf.Tensor) -> tf.Tensor:
    """In each run of members, mark the second, the fourth, …"""
    position = tf.range(tf.size(member))
    begins = member & ~_before(member, False)
    runs = tf.concat([[0], tf.boolean_mask(position, begins)], 0)
    return member & ((position - tf.gather(runs, tf.cumsum(tf.cast(begins, tf.int32)))) % 2 == 1)


def _word_begins(codes: tf.Tensor, kind: tf.Tensor) -> tf.Tensor:
    """Which clusters begin a token in mode ``words`` (white space always does)."""
    in_url, url_begins = _urls(codes, kind)
    word = _is_word(kind) & ~in_url
    letter = (kind == uc.LETTER) & ~in_url
    digit = (kind == uc.DIGIT) & ~in_url
    word_before, word_after = _before(word, False), _after(word, False)
    letters = _before(letter, False) & _after(letter, False)
    digits = _before(digit, False) & _after(digit, False)

    sign = ~in_url & (kind == uc.SYMBOL)
    period = codes == ord(".")
    apostrophe = _is_any(codes, _APOSTROPHES)
    inside = (period | apostrophe | (codes == 0xB7)) & letters
    inside |= (period | apostrophe | (codes == ord(",")) | (codes == ord(":"))) & digits
    inside |= (_is_any(codes, _HYPHENS) & ~digits | (codes == ord("@"))) & word_before & word_after
    inside &= sign
    opens = sign & ~word_before & word_after & ((codes == ord("@")) | (codes == ord("#")))

    glued = word & word_before | inside | word & _before(inside | opens, False)
    return ~(glued | in_url & ~url_begins)


def _urls(codes: tf.Tensor, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Which clusters lie in an address, and which of them begin one."""
    upper = (codes >= ord("A")) & (codes <= ord("Z"))
    low = tf.where(upper, codes + 32, codes)
    ahead = [low]
    for _ in range(7):
        ahead.append(_after(ahead[-1], 0))

    def spells(text: str, at: int = 0) -> tf.Tensor:
        return functools.reduce(tf.logical_and, [ahead[at + i] == ord(c) for i, c in enumerate(text)])

    head = spells("http") & (spells("://", 4) | (ahead[4] == ord("s")) & spells("://", 5))
    word = _is_word(kind)
    after_www = _after(_after(_after(_after(word, False), False), False), False)
    head |= spells("www.") & after_www
    head &= ~_before(word, False)

    def find():
        # Between two stops, the address runs from the first head to the last character that may end one.
        stop = ~(word | (kind == uc.SYMBOL) & (codes < 128)) | _is_any(codes, map(ord, _URL_STOPS))
        stop |= codes <= 32
        index = tf.range(tf.size(codes))
        part = tf.cumsum(tf.cast(stop, tf.int32))
        parts = part[-1] + 1
        begin = tf.math.unsorted_segment_min(tf.where(head & ~stop, index, tf.int32.max), part, parts)
        may_end = ~stop & ~_is_any(codes, map(ord, _URL_ENDS))
        end = tf.math.unsorted_segment_max(tf.where(may_end, index, -1), part, parts)
        begin, end = tf.gather(begin, part), tf.gather(end, part)
        return (index >= begin) & (index <= end), index == begin

    nowhere = tf.zeros_like(head)
    return tf.cond(tf.reduce_any(head), find, lambda: (nowhere, nowhere))


def _is_word(kind: tf.Tensor) -> tf.Tensor:
    return (kind == uc.LETTER) | (kind == uc.DIGIT)


def _is_any(codes: tf.Tensor, wanted) -> tf.Tensor:
    return functools.reduce(tf.logical_or, [codes == code for code in wanted])


def _before(values: tf.Tensor, fill) -> tf.Tensor:
    """Each element's left neighbour."""
    return tf.concat([tf.fill([1], tf.constant(fill, values.dtype)), values], 0)[:-1]


def _after(values: tf.Tensor, fill) -> tf.Tensor:
    """Each element's right neighbour."""
    return tf.concat([values, tf.fill([1], tf.constant(fill, values.dtype))], 0)[1:]


def _look_up(tables: tuple[np.ndarray, np.ndarray], codes: tf.Tensor) -> tf.Tensor:
    pages, values = tables
    return tf.gather(values, tf.gather(pages, codes // 256) + codes % 256)


@functools.cache
def _class_table() -> tuple[np.ndarray, np.ndarray]:
    return uc.two_stage(uc.class_of_code_points())


@functools.cache
def _space_table() -> tuple[np.ndarray, np.ndarray]:
    table = np.full(0x110000, uc.LETTER, np.uint8)
    table[uc.white_space()] = uc.SPACE
    return uc.two_stage(table)
