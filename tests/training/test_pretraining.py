"""Pretraining on windows of texts."""

import numpy as np
import pytest
import tensorflow as tf

import seqkit.training.pretraining
from seqkit import SequenceClassifier
from seqkit.errors import DataError
from seqkit.training.pretraining import _windows


def test_windows_cover_every_text_in_order(monkeypatch):
    monkeypatch.setattr(seqkit.training.pretraining, "_WINDOW", 4)
    lengths = np.array([9, 0, 4, 1, 5])
    tensors, cut, texts = _windows({"starts": None, "index": 3}, lengths)
    assert cut.tolist() == [3, 3, 3, 0, 4, 1, 3, 2]
    assert texts.tolist() == [0, 0, 0, 1, 2, 3, 4, 4]
    assert tensors["starts"].numpy().tolist() == [0, 3, 6, 9, 9, 13, 14, 17, 19] and tensors["index"] == 3
    assert tensors["starts"].dtype == tf.int32


def test_long_texts_make_many_steps(monkeypatch):
    """A word always follows another: soon known, where one long text is many windows."""
    text = " ".join(["one", "two", "three"] * 400)
    classifier = SequenceClassifier(
        units=8, word_dim=8, ngrams=0, dropout=0.0, learning_rate=0.02, epochs=1, verbose=0, random_state=0
    )
    classifier.set_params(pretrain=[text] * 4, pretrain_epochs=10).fit(["one two", "two one"] * 4, [0, 1] * 4)
    assert classifier.pretraining_["loss"][-1] < 0.2


def test_words_alone_have_nothing_to_expect():
    with pytest.raises(DataError, match="no text of two tokens"):
        SequenceClassifier(pretrain=["one", "two"], verbose=0, units=4).fit(["a b", "c"] * 3, [0, 1] * 3)
