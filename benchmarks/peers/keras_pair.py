"""Peer (a): the encoder-decoder of Keras' tutorial with attention, and its loop around ``predict``.

Stock layers with masks, ``fit`` on batches of like length through a ``keras.utils.PyDataset``. Decoding steps in
Python: the encoder's ``predict`` once a sentence, the decoder's ``predict`` once a token for all hypotheses of a beam.
"""

from __future__ import annotations

import time

import keras
import numpy as np
from keras import layers

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.pair_base import PairPeer, Tokens, batches, padded


class KerasPair(PairPeer):
    """Encoder-decoder in Keras."""

    name = "Keras (a)"

    def fit(self, X: Tokens, y: Tokens, epochs: int, on_epoch: OnEpoch) -> KerasPair:
        """Train with cross-entropy over real tokens."""
        keras.utils.set_random_seed(self.random_state)
        X, y = self.read(X, y)
        self._build()
        self.model.compile(
            keras.optimizers.Adam(self.learning_rate, global_clipnorm=1.0),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0),
        )
        data = _Batches(X, y, self.batch_size, self.random_state)
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            self.loss = self.model.fit(data, verbose=0).history["loss"][0]
            on_epoch(epoch, time.perf_counter() - started)
        return self

    def _build(self) -> None:
        units = self.units
        source, target = keras.Input([None], dtype="int32"), keras.Input([None], dtype="int32")
        # As wide as PyTorch's: from Keras' narrow ones a short training learns next to nothing, and writes nothing.
        wide = keras.initializers.RandomNormal(stddev=1.0)
        read = layers.Embedding(len(self.words[0]), units, wide, mask_zero=True)(source)
        lstm = layers.LSTM(units, return_sequences=True, return_state=True)
        memory, *states = layers.Bidirectional(lstm)(read)
        h, c = (layers.Dense(units, "tanh", use_bias=False)(layers.Concatenate()([states[0], states[2]])) for _ in "hc")
        keys = layers.Dense(units, use_bias=False)(memory)
        embed = layers.Embedding(len(self.words[1]), units, wide, mask_zero=True)
        decoder = layers.LSTM(units, return_sequences=True, return_state=True)
        attention, join = layers.Attention(), layers.Dense(units, "tanh", use_bias=False)
        output = layers.Dense(len(self.words[1]))

        def write(target, states, memory, keys):
            outputs, *states = decoder(embed(target), initial_state=states)
            found = attention([outputs, memory, keys])
            return output(join(layers.Concatenate()([found, outputs]))), states

        self.model = keras.Model([source, target], write(target, [h, c], memory, keys)[0])
        self.encoder = keras.Model(source, [h, c, memory, keys])
        given = [keras.Input([units]), keras.Input([units]), keras.Input([None, 2 * units]), keras.Input([None, units])]
        logits, states = write(target, given[:2], *given[2:])
        self.step = keras.Model([target, *given], [logits, *states])

    def decode(self, X: Tokens, width: int, longest: int) -> list[list[str]]:
        """Search, a sentence at a time."""
        return [[self.words[1][t] for t in self._search(row, width, longest)] for row in self.ids(X, 0)]

    def _search(self, row: np.ndarray, width: int, longest: int) -> list[int]:
        h, c, *memory = self.encoder.predict(row[None], verbose=0)
        h, c, *memory = (np.repeat(value, width, 0) for value in (h, c, *memory))
        totals, tokens = np.full(width, -1e9), np.ones((width, 1), int)
        totals[0] = 0.0
        best, written = (-np.inf, []), [[] for _ in range(width)]
        for _ in range(longest):
            logits, h, c = self.step.predict([tokens, h, c, *memory], verbose=0)
            logits = logits[:, 0].astype(float)
            logits -= logits.max(-1, keepdims=True)
            scores = totals[:, None] + logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            order = np.argpartition(-scores.ravel(), 2 * width)[: 2 * width]
            order = order[np.argsort(-scores.ravel()[order])]
            parents, chosen = np.divmod(order, scores.shape[1])
            for k in range(width):
                if chosen[k] == 2 and scores.ravel()[order[k]] > best[0]:
                    best = (scores.ravel()[order[k]], written[parents[k]])
            goes = np.flatnonzero(chosen != 2)[:width]
            totals, parents, chosen = scores.ravel()[order[goes]], parents[goes], chosen[goes]
            if best[0] >= totals[0]:
                break
            written = [[*written[p], int(t)] for p, t in zip(parents, chosen, strict=True)]
            h, c, tokens = h[parents], c[parents], chosen[:, None]
        else:
            best = max(best, (totals[0], written[0]))
        return best[1]


class _Batches(keras.utils.PyDataset):
    def __init__(self, X, y, size: int, seed: int):
        super().__init__()
        self.X, self.y, self.size, self.rng = X, y, size, np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self):
        self.rows = list(batches(self.X, self.y, self.size, self.rng))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        rows = self.rows[number]
        wanted = [self.y[i] for i in rows]
        return (padded([self.X[i] for i in rows]), padded(wanted, 1, None)), padded(wanted, None, 2)
