"""Peer (b): a BiLSTM-CRF in PyTorch with a character convolution, as a good engineer writes it.

Batches of like length, embeddings and convolution on real tokens only, packed sequences, CRF from pytorch-crf, word
dropout to train the unknown word, gradient clipping, fused Adam, large sorted batches in prediction.
"""

from __future__ import annotations

import time
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torchcrf import CRF

from benchmarks.peers.base import OnEpoch, Peer, Sentences

PAD, UNKNOWN = 0, 1


class Encoded(NamedTuple):
    """Sentences as flat arrays: token t of sentence i lies at ``offsets[i] + t``."""

    words: torch.Tensor  # [tokens] word id
    types: torch.Tensor  # [tokens] row of ``chars``
    chars: torch.Tensor  # [distinct words, longest word] character ids, 0 pads
    tags: torch.Tensor  # [tokens]
    lengths: np.ndarray
    offsets: np.ndarray


class Batch(NamedTuple):
    """One batch in packed order (time step by time step, longest sentence first)."""

    words: torch.Tensor
    types: torch.Tensor
    sizes: torch.Tensor  # [T] sentences that reach step t
    tags: torch.Tensor  # [T, B], 0 pads
    mask: torch.Tensor  # [T, B]


class Network(nn.Module):
    """Embedding and character convolution, BiLSTM, linear layer, CRF."""

    def __init__(self, n_words: int, n_chars: int, n_tags: int, sizes: dict[str, int], dropout: float):
        super().__init__()
        self.words = nn.Embedding(n_words, sizes["word"], padding_idx=PAD)
        self.chars = nn.Embedding(n_chars, sizes["char_embedding"], padding_idx=PAD)
        self.convolution = nn.Conv1d(sizes["char_embedding"], sizes["char"], kernel_size=3, padding=1)
        self.lstm = nn.LSTM(sizes["word"] + sizes["char"], sizes["hidden"], bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * sizes["hidden"], n_tags)
        self.crf = CRF(n_tags)
        nn.init.uniform_(self.words.weight, -0.1, 0.1)

    def forward(self, batch: Batch, chars: torch.Tensor) -> torch.Tensor:
        """Return emissions [T, B, tags]."""
        # Each distinct word of the batch goes through the convolution once.
        distinct, row = torch.unique(batch.types, return_inverse=True)
        spelled = chars[distinct]
        spelled = spelled[:, : int((spelled != PAD).sum(1).max())]
        shapes = self.convolution(self.chars(spelled).transpose(1, 2))
        shapes = shapes.masked_fill((spelled == PAD).unsqueeze(1), float("-inf")).amax(2)
        tokens = self.dropout(torch.cat([self.words(batch.words), shapes[row]], dim=1))
        states, _ = self.lstm(PackedSequence(tokens, batch.sizes))
        emissions = self.output(self.dropout(states.data))
        return pad_packed_sequence(PackedSequence(emissions, batch.sizes))[0]


class TorchTagger(Peer):
    """BiLSTM-CRF in PyTorch.

    Parameters
    ----------
    word, char, hidden : int
        Word embedding, character convolution, and LSTM units each way.
    batch_size, predict_batch_size : int
        Sentences a batch in training and in prediction.
    learning_rate, clip : float
        Of Adam; the largest gradient norm.
    dropout, word_dropout : float
        Before and after the LSTM; share of the training words replaced by the unknown word.
    threads : int
        PyTorch's threads.
    random_state : int
        Seed.
    """

    name = "PyTorch BiLSTM-CRF (b)"

    def __init__(
        self,
        word: int = 100,
        char: int = 50,
        hidden: int = 200,
        batch_size: int = 32,
        predict_batch_size: int = 512,
        learning_rate: float = 2e-3,
        clip: float = 5.0,
        dropout: float = 0.5,
        word_dropout: float = 0.15,
        threads: int = 2,
        random_state: int = 0,
    ):
        self.sizes = {"word": word, "char": char, "hidden": hidden, "char_embedding": 25}
        self.batch_size, self.predict_batch_size = batch_size, predict_batch_size
        self.learning_rate, self.clip = learning_rate, clip
        self.dropout, self.word_dropout = dropout, word_dropout
        self.random_state = random_state
        torch.set_num_threads(threads)

    def fit(self, X: Sentences, y: Sentences, epochs: int, on_epoch: OnEpoch | None = None) -> TorchTagger:
        """Train with the CRF's log-likelihood."""
        torch.manual_seed(self.random_state)
        random = np.random.default_rng(self.random_state)
        self.word_ids = {word: i for i, word in enumerate(sorted({t.lower() for s in X for t in s}), start=UNKNOWN + 1)}
        self.char_ids = {c: i for i, c in enumerate(sorted({c for s in X for t in s for c in t}), start=UNKNOWN + 1)}
        self.tags = sorted({tag for tags in y for tag in tags})
        data = self._encode(X, y)
        self.network = Network(len(self.word_ids) + 2, len(self.char_ids) + 2, len(self.tags), self.sizes, self.dropout)
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.learning_rate, fused=True)
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            self.network.train()
            # Like lengths together, ties broken afresh each epoch, batches in random order.
            order = np.argsort(data.lengths + random.random(len(data.lengths)))
            starts = np.arange(0, len(order), self.batch_size)
            random.shuffle(starts)
            for start in starts:
                batch = self._batch(data, order[start : start + self.batch_size])
                dropped = torch.rand(batch.words.shape) < self.word_dropout
                emissions = self.network(batch._replace(words=batch.words.masked_fill(dropped, UNKNOWN)), data.chars)
                loss = -self.network.crf(emissions, batch.tags, batch.mask, reduction="mean")
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
                optimizer.step()
            if on_epoch is not None:
                on_epoch(epoch, time.perf_counter() - started)
        return self

    @torch.inference_mode()
    def predict(self, X: Sentences) -> list[list[str]]:
        """Decode in large batches, longest sentences first."""
        self.network.eval()
        data = self._encode(X)
        answers: list[list[str]] = [[] for _ in X]
        order = np.argsort(-data.lengths, kind="stable")
        order = order[: np.count_nonzero(data.lengths)]  # an empty sentence has its answer already
        for start in range(0, len(order), self.predict_batch_size):
            rows = order[start : start + self.predict_batch_size]
            batch = self._batch(data, rows)
            paths = self.network.crf.decode(self.network(batch, data.chars), batch.mask)
            for row, path in zip(rows, paths, strict=True):
                answers[row] = [self.tags[tag] for tag in path]
        return answers

    def _encode(self, X: Sentences, y: Sentences | None = None) -> Encoded:
        tokens = list(chain.from_iterable(X))
        distinct = {token: row for row, token in enumerate(dict.fromkeys(tokens))}
        rows = np.fromiter(map(distinct.__getitem__, tokens), np.int64, len(tokens))
        words = np.array([self.word_ids.get(token.lower(), UNKNOWN) for token in distinct], np.int64)
        chars = np.zeros((len(distinct), max(map(len, distinct), default=1)), np.int64)
        for token, row in distinct.items():
            chars[row, : len(token)] = [self.char_ids.get(c, UNKNOWN) for c in token]
        tag_ids = {tag: i for i, tag in enumerate(self.tags)}
        tags = [] if y is None else [tag_ids[tag] for tag in chain.from_iterable(y)]
        lengths = np.fromiter(map(len, X), np.int64, len(X))
        return Encoded(
            torch.from_numpy(words[rows] if tokens else rows),
            torch.from_numpy(rows),
            torch.from_numpy(chars),
            torch.tensor(tags, dtype=torch.int64),
            lengths,
            np.cumsum(lengths) - lengths,
        )

    @staticmethod
    def _batch(data: Encoded, rows: np.ndarray) -> Batch:
        # Longest first, in place: the caller zips its rows with the answers.
        rows[:] = rows[np.argsort(-data.lengths[rows], kind="stable")]
        steps = np.arange(data.lengths[rows[0]])[:, None]
        mask = torch.from_numpy(steps < data.lengths[rows])
        at = torch.from_numpy(steps + data.offsets[rows])[mask]
        tags = torch.zeros(mask.shape, dtype=torch.int64)
        if len(data.tags):
            tags[mask] = data.tags[at]
        return Batch(data.words[at], data.types[at], mask.sum(1), tags, mask)
