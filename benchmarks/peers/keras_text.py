"""Peer (a): the Keras recipe for text classification, as tutorials have it.

TextVectorization pads everything to the longest text of the data set; Embedding with ``mask_zero``, a bidirectional
LSTM, Dense; then ``compile``, ``fit``, ``predict`` and argmax. The texts are vectorized once before ``fit``, not in
each epoch, and prediction runs in larger batches than the default of 32.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.keras_recipe import _Clock
from benchmarks.peers.text_base import Label, TextPeer

MAX_POSITIONS = 65_536  # in a batch of prediction: bounds memory where texts are long


class KerasTextRecipe(TextPeer):
    """Padded bidirectional LSTM in Keras.

    Parameters
    ----------
    longest : int or None
        Tokens that all texts are padded to (longer ones are cut, as the recipe has it); None: those of the longest
        training text.
    word, hidden : int
        Word embedding, and LSTM units each way.
    batch_size, predict_batch_size : int
        Of ``fit`` and, at most, of ``predict``.
    dropout : float
        Before and after the LSTM.
    random_state : int
        Seed.
    """

    name = "Keras recipe (a)"

    def __init__(
        self,
        longest: int | None = None,
        word: int = 100,
        hidden: int = 100,
        batch_size: int = 32,
        predict_batch_size: int = 512,
        dropout: float = 0.5,
        random_state: int = 0,
    ):
        self.longest, self.word, self.hidden = longest, word, hidden
        self.batch_size, self.predict_batch_size = batch_size, predict_batch_size
        self.dropout, self.random_state = dropout, random_state

    def fit(self, X: Sequence[str], y: Sequence[Label], epochs: int, on_epoch: OnEpoch) -> KerasTextRecipe:
        """Pad everything, then ``compile`` and ``fit``."""
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.random_state)
        self.steps = self.longest or max(len(text.split()) for text in X)
        self.vectorization = layers.TextVectorization(
            standardize="lower", split="whitespace", output_sequence_length=self.steps
        )
        self.vectorization.adapt(np.array(X, object))
        self.classes = sorted(set(y))
        number = {label: i for i, label in enumerate(self.classes)}
        self.model = self._build()
        self.model.fit(
            self._vectorize(X),
            np.array([number[label] for label in y]),
            batch_size=self.batch_size,
            epochs=epochs,
            verbose=0,
            callbacks=[_Clock(on_epoch)],
        )
        return self

    def predict(self, X: Sequence[str]) -> list[Label]:
        """Pad everything, ``model.predict``, argmax."""
        size = max(1, min(self.predict_batch_size, MAX_POSITIONS // self.steps))
        probabilities = self.model.predict(self._vectorize(X), batch_size=size, verbose=0)
        return [self.classes[best] for best in probabilities.argmax(-1).tolist()]

    def _build(self) -> keras.Model:
        model = keras.Sequential(
            [
                keras.Input((self.steps,), dtype="int64"),
                layers.Embedding(self.vectorization.vocabulary_size(), self.word, mask_zero=True),
                layers.Dropout(self.dropout),
                layers.Bidirectional(layers.LSTM(self.hidden)),
                layers.Dropout(self.dropout),
                layers.Dense(len(self.classes), "softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    def _vectorize(self, X: Sequence[str]) -> np.ndarray:
        return np.asarray(self.vectorization(np.array(X, object)))
