"""Peer (a): the Keras recipe for sequence labelling, as tutorials have it.

Everything is padded once to the longest sentence and the longest word of the data set; a StringLookup and an Embedding
with ``mask_zero``, a TimeDistributed character convolution, a bidirectional LSTM, a TimeDistributed softmax; then
``compile``, ``fit``, ``predict`` and argmax. One thing is better than in most tutorials, so that the recipe is not
judged by a fault: the mask reaches the LSTM and the loss (``Concatenate`` with an unmasked branch loses it). And it
predicts in batches of 512, one and a half times as fast as with ``predict``'s default of 32.
"""

from __future__ import annotations

import time

import keras
import numpy as np
from keras import layers

from benchmarks.peers.base import OnEpoch, Peer, Sentences


class KerasRecipe(Peer):
    """Padded BiLSTM with softmax in Keras.

    Parameters
    ----------
    word, char, hidden : int
        Word embedding, character convolution, and LSTM units each way.
    batch_size, predict_batch_size : int
        Of ``fit`` and of ``predict``.
    dropout : float
        Before and after the LSTM.
    random_state : int
        Seed.
    """

    name = "Keras recipe (a)"

    def __init__(
        self,
        word: int = 100,
        char: int = 50,
        hidden: int = 200,
        batch_size: int = 32,
        predict_batch_size: int = 512,
        dropout: float = 0.5,
        random_state: int = 0,
    ):
        self.word, self.char, self.hidden = word, char, hidden
        self.batch_size, self.predict_batch_size = batch_size, predict_batch_size
        self.dropout, self.random_state = dropout, random_state

    def fit(self, X: Sentences, y: Sentences, epochs: int, on_epoch: OnEpoch | None = None) -> KerasRecipe:
        """Pad everything, then ``compile`` and ``fit``."""
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.random_state)
        self.steps = max(map(len, X))
        self.width = max(len(token) for sentence in X for token in sentence)
        vocabulary = sorted({token for sentence in X for token in sentence})
        self.lookup = layers.StringLookup(vocabulary=vocabulary, mask_token="", num_oov_indices=1)
        self.char_ids = {c: i for i, c in enumerate(sorted({c for s in X for t in s for c in t}), start=2)}
        self.tags = sorted({tag for tags in y for tag in tags})
        tag_ids = {tag: i for i, tag in enumerate(self.tags)}
        inputs = self._encode(X)
        targets = np.zeros(inputs[0].shape, np.int32)
        for row, tags in enumerate(y):
            targets[row, : len(tags)] = [tag_ids[tag] for tag in tags]
        self.model = self._build()
        self.model.fit(
            inputs,
            targets,
            batch_size=self.batch_size,
            epochs=epochs,
            verbose=0,
            callbacks=[_Clock(on_epoch)],
        )
        return self

    def predict(self, X: Sentences) -> list[list[str]]:
        """Pad everything, ``model.predict``, argmax."""
        if not X:
            return []
        probabilities = self.model.predict(self._encode(X), batch_size=self.predict_batch_size, verbose=0)
        best = probabilities.argmax(-1)
        # What lies beyond the longest training sentence was cut, as the recipe has it.
        return [
            [self.tags[tag] for tag in row[: len(tokens)]] + ["O"] * (len(tokens) - self.steps)
            for row, tokens in zip(best, X, strict=True)
        ]

    def _build(self) -> keras.Model:
        words = keras.Input((self.steps,), dtype="int32", name="words")
        chars = keras.Input((self.steps, self.width), dtype="int32", name="chars")
        embedding = layers.Embedding(self.lookup.vocabulary_size(), self.word, mask_zero=True)
        spelled = layers.TimeDistributed(layers.Embedding(len(self.char_ids) + 2, 25))(chars)
        spelled = layers.TimeDistributed(layers.Conv1D(self.char, 3, padding="same", activation="relu"))(spelled)
        spelled = layers.TimeDistributed(layers.GlobalMaxPooling1D())(spelled)
        x = layers.Dropout(self.dropout)(layers.Concatenate()([embedding(words), spelled]))
        x = layers.Bidirectional(layers.LSTM(self.hidden, return_sequences=True))(x, mask=embedding.compute_mask(words))
        x = layers.Dropout(self.dropout)(x)
        model = keras.Model([words, chars], layers.TimeDistributed(layers.Dense(len(self.tags), "softmax"))(x))
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    def _encode(self, X: Sentences) -> list[np.ndarray]:
        words = np.full((len(X), self.steps), "", object)
        chars = np.zeros((len(X), self.steps, self.width), np.int32)
        for row, sentence in enumerate(X):
            words[row, : len(sentence)] = sentence[: self.steps]
            for step, token in enumerate(sentence[: self.steps]):
                chars[row, step, : len(token)] = [self.char_ids.get(c, 1) for c in token[: self.width]]
        return [np.asarray(self.lookup(words.astype(str)), np.int32), chars]


class _Clock(keras.callbacks.Callback):
    """Times each epoch and reports it."""

    def __init__(self, on_epoch: OnEpoch | None):
        super().__init__()
        self.report = on_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        if self.report is not None:
            self.report(epoch + 1, time.perf_counter() - self.started)
