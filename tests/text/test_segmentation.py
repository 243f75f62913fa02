"""Texts to tokens and back."""

import numpy as np
import pytest
import tensorflow as tf

from seqkit.text.segmentation import JOINER, MODES, UNKNOWN_PIECE, Segmenter, learn_pieces

TEXTS = ["I've seen 3.14, twice!", "", "«Où\u202f?» dit-elle…", "a-b  c\td", "#tag ## @you", "日本 語", " end. "]
PIECES = [UNKNOWN_PIECE, "see", "##n", "##ing", "s", "##e", "##i", "##g", f"{JOINER}!", "a"]


def tokens(segmenter, texts):
    return [[token.decode() for token in row] for row in segmenter.cut(tf.constant(texts, tf.string)).to_list()]


def joined(segmenter, rows):
    return [text.decode() for text in segmenter.join(tf.ragged.constant(rows, tf.string, ragged_rank=1)).numpy()]


def test_words_tell_where_no_white_space_is():
    found = tokens(Segmenter("words"), TEXTS[:3])
    assert found[0] == ["I've", "seen", "3.14", f"{JOINER},", "twice", f"{JOINER}!"]
    assert found[1] == []
    assert found[2][:3] == ["«", f"{JOINER}Où", "?"]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "wordpiece"])
def test_joining_undoes_cutting_but_for_kinds_of_white_space(mode):
    segmenter = Segmenter(mode)
    expected = TEXTS if mode == "characters" else [" ".join(text.split()) for text in TEXTS]
    assert joined(segmenter, tokens(segmenter, TEXTS)) == expected


def test_words_are_cut_into_the_longest_pieces():
    segmenter = Segmenter("wordpiece", PIECES)
    found = tokens(segmenter, ["seeing seen!", "", "sing a song"])
    assert found == [["see", "##ing", "see", "##n", f"{JOINER}!"], [], ["s", "##ing", "a", UNKNOWN_PIECE]]
    assert joined(segmenter, found[:2]) == ["seeing seen!", ""]


def test_learned_pieces_make_up_every_word_that_was_seen():
    words = ["low", "lower", "lowest", "new", "newer", "newest", f"{JOINER}."]
    pieces = learn_pieces(tf.constant(words), np.array([9, 4, 3, 8, 5, 6, 20]), 25)
    assert pieces[0] == UNKNOWN_PIECE and len(pieces) <= 40
    segmenter = Segmenter("wordpiece", pieces)
    texts = ["lowest newest.", "newer low", "slower wens"]
    found = tokens(segmenter, texts)
    assert UNKNOWN_PIECE not in [token for row in found[:2] for token in row]
    assert joined(segmenter, found)[:2] == texts[:2]
    assert learn_pieces(tf.constant([], tf.string), np.zeros(0, int), 25) == [UNKNOWN_PIECE]


def test_a_graph_cuts_and_joins_alike():
    segmenter = Segmenter("words")
    both = tf.function(
        lambda texts: segmenter.join(segmenter.cut(texts)), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    assert [t.decode() for t in both(tf.constant(TEXTS)).numpy()] == [" ".join(text.split()) for text in TEXTS]
    assert both(tf.constant([], tf.string)).shape == (0,)
