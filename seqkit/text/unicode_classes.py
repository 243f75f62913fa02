"""Classes of characters for the tokenizer, as a two-stage table small enough to live in an exported graph.

The table is made from Python's own ``unicodedata`` when the first graph is traced, so an export carries its copy along
and answers alike whatever serves it.
"""

from __future__ import annotations

import functools
import unicodedata

import numpy as np

# The order matters: `1 <= class <= 2` is a word character.
SPACE, LETTER, DIGIT, ALONE, SYMBOL, EMOJI, TONE, FLAG, MARK = range(9)

_LIMIT = 0x110000
_PAGE = 256

# Scripts written without spaces between words, and characters that stand for a word or a syllable: one token each.
_ALONE_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x3000, 0x312F),  # CJK signs, Hiragana, Katakana, Bopomofo
    (0x31A0, 0xA4CF),  # Bopomofo extended, Han, Yi
    (0xA9E0, 0xA9FF),  # Myanmar extended-B
    (0xAA60, 0xAADF),  # Myanmar extended-A, Tai Viet
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # halfwidth Katakana
    (0x16FE0, 0x18DFF),  # Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # Kana extensions, Nushu
)
# Extended_Pictographic of Unicode's emoji-data.txt (Python's unicodedata does not carry the property).
_EMOJI_RANGES = (
    *((c, c) for c in (0xA9, 0xAE, 0x203C, 0x2049, 0x2122, 0x2139, 0x2328, 0x2388, 0x23CF, 0x24C2, 0x25B6, 0x25C0)),
    *((c, c) for c in (0x2714, 0x2716, 0x271D, 0x2721, 0x2728, 0x2744, 0x2747, 0x274C, 0x274E, 0x2757, 0x27A1)),
    *((c, c) for c in (0x27B0, 0x27BF, 0x2B50, 0x2B55, 0x3030, 0x303D, 0x3297, 0x3299, 0x1F12F, 0x1F18E, 0x1F21A)),
    *((0x2194, 0x2199), (0x21A9, 0x21AA), (0x231A, 0x231B), (0x23E9, 0x23F3), (0x23F8, 0x23FA), (0x25AA, 0x25AB)),
    *((0x25FB, 0x25FE), (0x2600, 0x2605), (0x2607, 0x2612), (0x2614, 0x2685), (0x2690, 0x2705), (0x2708, 0x2712)),
    *((0x2733, 0x2734), (0x2753, 0x2755), (0x2763, 0x2767), (0x2795, 0x2797), (0x2934, 0x2935), (0x2B05, 0x2B07)),
    *((0x2B1B, 0x2B1C), (0x1F000, 0x1F0FF), (0x1F10D, 0x1F10F), (0x1F16C, 0x1F171), (0x1F17E, 0x1F17F)),
    *((0x1F191, 0x1F19A), (0x1F1AD, 0x1F1E5), (0x1F201, 0x1F20F), (0x1F22F, 0x1F22F), (0x1F232, 0x1F23A)),
    *((0x1F23C, 0x1F23F), (0x1F249, 0x1F3FA), (0x1F400, 0x1F53D), (0x1F546, 0x1F64F), (0x1F680, 0x1F6FF)),
    *((0x1F774, 0x1F77F), (0x1F7D5, 0x1F7FF), (0x1F80C, 0x1F80F), (0x1F848, 0x1F84F), (0x1F85A, 0x1F85F)),
    *((0x1F888, 0x1F88F), (0x1F8AE, 0x1F8FF), (0x1F90C, 0x1F93A), (0x1F93C, 0x1F945), (0x1F947, 0x1FAFF)),
    (0x1FC00, 0x1FFFD),
)
# Invisible signs around words, never part of one: zero-width space, byte order mark, directions of writing.
_INVISIBLE = (0x200B, 0xFEFF, 0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
# Second and third parts of a Korean syllable written in pieces.
_JAMO_RANGES = ((0x1160, 0x11FF), (0xD7B0, 0xD7FF))


def _of_category(category: str) -> int:
    if category[0] == "L" or category in ("Nl", "Pc"):
        return LETTER
    if category[0] == "N":
        return DIGIT
    return MARK if category[0] == "M" or category == "Cf" else SYMBOL


@functools.cache
def class_of_code_points() -> np.ndarray:
    """Class of each code point.

    Returns
    -------
    numpy.ndarray of uint8, shape (0x110000,)
    """
    table = np.full(_LIMIT, SYMBOL, np.uint8)
    table[0x20000:0x3FFFE] = ALONE  # planes 2 and 3 hold Han only
    for first, last in ((0, 0x20000), (0xE0000, 0xE0200)):  # all other planes are unassigned or private
        table[first:last] = [_of_category(unicodedata.category(chr(code))) for code in range(first, last)]
    for first, last in _ALONE_RANGES:
        part = table[first : last + 1]
        part[part == LETTER] = ALONE
    for first, last in _JAMO_RANGES:
        part = table[first : last + 1]
        part[part == LETTER] = MARK
    for first, last in _EMOJI_RANGES:
        table[first : last + 1] = EMOJI
    table[0x1F1E6:0x1F200] = FLAG
    table[0x1F3FB:0x1F400] = TONE
    table[0xFFFD] = LETTER  # stands for bytes that are not UTF-8: keep a mis-encoded word in one piece
    table[list(_INVISIBLE)] = SPACE
    table[white_space()] = SPACE
    return table


def white_space() -> np.ndarray:
    """Code points that ``str.split`` takes for white space."""
    return np.array([code for code in range(0x10000) if chr(code).isspace()])


def two_stage(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fold a table of code points into pages, each distinct page stored once.

    Parameters
    ----------
    table : numpy.ndarray, shape (0x110000,)
        One value a code point.

    Returns
    -------
    pages : numpy.ndarray of int32
        Where the page of ``code // 256`` begins in ``values``.
    values : numpy.ndarray
        ``table[code] == values[pages[code // 256] + code % 256]``.
    """
    rows, which = np.unique(table.reshape(-1, _PAGE), axis=0, return_inverse=True)
    return (which.reshape(-1) * _PAGE).astype(np.int32), rows.reshape(-1)
