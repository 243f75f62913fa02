"""Peer (a): the Keras recipe for a character model, as tutorials have it.

Characters come in as vectors of one 1, made once before ``fit``; a stateful LSTM, Dense with a softmax; then
``compile`` and ``fit`` without shuffling, in batches whose rows go on where those of the batch before ended. The texts
are written in a Python loop, one prediction a character, in three ways:

- ``windows`` (a): as in Keras' example ``lstm_text_generation``. A network without a state reads the last 128
  characters again for each one more. All texts are one batch, and the softmax is that of the last step only.
- ``stateful`` (a'): a network with a state reads the last character only, by ``predict`` too.
- ``on-batch`` (a''): the same by ``predict_on_batch``, which does not make a data set of each character.

Left at its default, ``jit_compile`` comes to False; True (XLA) made training half as fast on a CPU.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.keras_recipe import _Clock
from benchmarks.peers.writing_base import WritingPeer


class KerasWriter(WritingPeer):
    """Stateful LSTM in Keras; parameters as in `WritingPeer`."""

    name = "Keras recipe (a)"

    def fit(self, text: str, epochs: int, on_epoch: OnEpoch) -> KerasWriter:
        """Lay the text out in rows, then ``compile`` and ``fit``."""
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.random_state)
        ids = np.array(self.read(text), np.int32)
        self.writers: dict[tuple[str, int], keras.Model] = {}
        self.model = self._build((self.batch_size, self.steps), stateful=True, every_step=True)
        self.model.compile(keras.optimizers.Adam(self.learning_rate), "sparse_categorical_crossentropy")
        history = self.model.fit(
            self._one_hot(self._batches(ids[:-1])),
            self._batches(ids[1:]),
            batch_size=self.batch_size,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[_Reset(), _Clock(on_epoch)],
        )
        self.loss = float(history.history["loss"][-1])
        return self

    def write(self, way: str, texts: int, length: int, seed: int) -> list[str]:
        """Predict, draw in NumPy, and read what was drawn, a character at a time."""
        if (way, texts) not in self.writers:
            self.writers[way, texts] = self._writer(way, texts)
        model, random = self.writers[way, texts], np.random.default_rng(seed)
        model.layers[0].reset_states()
        ids, written = np.full(texts, self.number["\n"]), []
        read = np.zeros((texts, *model.input_shape[1:]), np.float32)
        for _ in range(length):
            read = np.concatenate([read[:, 1:], self._one_hot(ids)[:, None]], 1)
            if way == "on-batch":
                shares = model.predict_on_batch(read)
            else:
                shares = model.predict(read, batch_size=texts, verbose=0)
            sums = shares.cumsum(-1, dtype=np.float64)
            ids = (sums > random.random((texts, 1)) * sums[:, -1:]).argmax(-1)
            written.append(ids)
        return ["".join(self.characters[i] for i in row) for row in np.stack(written, 1)]

    def _writer(self, way: str, texts: int) -> keras.Model:
        """Return a network with the trained weights that answers for the last step alone."""
        if way == "windows":
            model = self._build((None, self.steps), stateful=False, every_step=False)
        else:
            model = self._build((texts, 1), stateful=True, every_step=False)
        model.set_weights(self.model.get_weights())
        return model

    def _build(self, shape: tuple[int | None, int], stateful: bool, every_step: bool) -> keras.Model:
        size = len(self.characters)
        return keras.Sequential(
            [
                keras.Input(batch_shape=(*shape, size)),
                layers.LSTM(self.units, stateful=stateful, return_sequences=every_step),
                layers.Dense(size, "softmax"),
            ]
        )

    def _batches(self, ids: np.ndarray) -> np.ndarray:
        """Return [batches * rows, steps]; row r of a batch goes on where row r of the batch before ended."""
        return ids.reshape(self.batch_size, -1, self.steps).swapaxes(0, 1).reshape(-1, self.steps)

    def _one_hot(self, ids: np.ndarray) -> np.ndarray:
        return np.eye(len(self.characters), dtype=np.float32)[ids]


class _Reset(keras.callbacks.Callback):
    """Begin each epoch with a state of zeros."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.layers[0].reset_states()
