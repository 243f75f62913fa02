"""Peers in PyTorch: bidirectional LSTM with maximum over time, as a good engineer writes it, and tuned for CPUs.

Both: batches of like length, large sorted batches in prediction, word dropout to train the unknown word. (b) packs its
sequences, as every guide has it, and embeds real tokens only. On a CPU packed sequences cost PyTorch its oneDNN kernel
and a backward pass that grows with the square of the length (pytorch/pytorch#149194), and dense Adam walks the whole
table of words at each step. (b') is free of that: each direction is an LSTM of its own on padded batches, the second on
the texts turned around, which gives the same features; and Adam updates only the words of the batch.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.text_base import Label, TextPeer

PAD, UNKNOWN = 0, 1


class Vocabulary(dict):
    """Word -> id, and `UNKNOWN` for any other word."""

    def __missing__(self, word: str) -> int:
        """Return the id of the unknown word."""
        return UNKNOWN


class Encoded(NamedTuple):
    """Texts as one flat array: token t of text i is ``words[offsets[i] + t]``."""

    words: np.ndarray
    lengths: np.ndarray
    offsets: np.ndarray


class Network(nn.Module):
    """What both have: embedding, dropout, linear layer. A subclass reads [T, B] word ids, longest text first."""

    def __init__(self, n_words: int, n_classes: int, word: int, hidden: int, dropout: float, sparse: bool):
        super().__init__()
        self.words = nn.Embedding(n_words, word, padding_idx=PAD, sparse=sparse)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * hidden, n_classes)
        nn.init.uniform_(self.words.weight, -0.1, 0.1)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits [B, classes]."""
        # Dropped after the maximum: the same as one mask for all steps before it, and less work.
        return self.output(self.dropout(self.pooled(words, lengths)))

    @abstractmethod
    def pooled(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the maximum over time of each feature of both directions, [B, 2 * hidden]."""


class PackedNetwork(Network):
    """Packed sequences."""

    def __init__(self, n_words: int, n_classes: int, word: int, hidden: int, dropout: float):
        super().__init__(n_words, n_classes, word, hidden, dropout, sparse=False)
        self.lstm = nn.LSTM(word, hidden, bidirectional=True)

    def pooled(self, words, lengths):
        """Pad the states of packed steps with what no maximum takes."""
        packed = pack_padded_sequence(words, lengths)
        states, _ = self.lstm(PackedSequence(self.dropout(self.words(packed.data)), packed.batch_sizes))
        return pad_packed_sequence(states, padding_value=float("-inf"))[0].amax(0)


class DenseNetwork(Network):
    """One LSTM for each direction, on padded batches."""

    def __init__(self, n_words: int, n_classes: int, word: int, hidden: int, dropout: float):
        super().__init__(n_words, n_classes, word, hidden, dropout, sparse=True)
        self.directions = nn.ModuleList(nn.LSTM(word, hidden) for _ in range(2))

    def pooled(self, words, lengths):
        """Read the texts, and the texts turned around."""
        steps = torch.arange(len(words))[:, None]
        # Turned around within its length, a text is padded at its end again; the maximum does not ask for the order.
        turned = words.gather(0, (lengths - 1 - steps).clamp(min=0))
        padding = (steps >= lengths)[..., None]
        vectors = self.dropout(self.words(torch.stack([words, turned])))
        states = [
            lstm(x)[0].masked_fill(padding, float("-inf")) for lstm, x in zip(self.directions, vectors, strict=True)
        ]
        return torch.cat([each.amax(0) for each in states], 1)


class TorchText(TextPeer):
    """Text classifier in PyTorch.

    Parameters
    ----------
    word, hidden : int
        Word embedding, and LSTM units each way.
    batch_size, predict_batch_size : int
        Texts a batch in training and, at most, in prediction.
    learning_rate : float
        Of Adam.
    dropout, word_dropout : float
        Before and after the LSTM; share of the training words replaced by the unknown word.
    threads : int
        PyTorch's threads.
    random_state : int
        Seed.
    """

    network_class: type[Network]
    #: Most tokens of a batch in prediction, padding included; what was fastest on long documents.
    max_positions: int

    def __init__(
        self,
        word: int = 100,
        hidden: int = 100,
        batch_size: int = 32,
        predict_batch_size: int = 256,
        learning_rate: float = 2e-3,
        dropout: float = 0.5,
        word_dropout: float = 0.2,
        threads: int = 2,
        random_state: int = 0,
    ):
        self.word, self.hidden = word, hidden
        self.batch_size, self.predict_batch_size = batch_size, predict_batch_size
        self.learning_rate = learning_rate
        self.dropout, self.word_dropout = dropout, word_dropout
        self.random_state = random_state
        torch.set_num_threads(threads)

    def fit(self, X: Sequence[str], y: Sequence[Label], epochs: int, on_epoch: OnEpoch) -> TorchText:
        """Train with cross-entropy."""
        torch.manual_seed(self.random_state)
        random = np.random.default_rng(self.random_state)
        distinct = sorted({word for text in X for word in text.lower().split()})
        self.vocabulary = Vocabulary((word, i) for i, word in enumerate(distinct, start=UNKNOWN + 1))
        self.classes = sorted(set(y))
        number = {label: i for i, label in enumerate(self.classes)}
        targets = torch.tensor([number[label] for label in y])
        data = self._encode(X)
        self.network = self.network_class(
            len(distinct) + 2, len(self.classes), self.word, self.hidden, dropout=self.dropout
        )
        optimizers = self._optimizers()
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            self.network.train()
            # Like lengths together, ties broken afresh each epoch, batches in random order.
            order = np.argsort(data.lengths + random.random(len(data.lengths)))
            starts = np.arange(0, len(order), self.batch_size)
            random.shuffle(starts)
            for start in starts:
                rows = order[start : start + self.batch_size][::-1].copy()
                words, lengths = _batch(data, rows)
                dropped = (torch.rand(words.shape) < self.word_dropout) & (words != PAD)
                logits = self.network(words.masked_fill(dropped, UNKNOWN), lengths)
                loss = nn.functional.cross_entropy(logits, targets[rows])
                for optimizer in optimizers:
                    optimizer.zero_grad(set_to_none=True)
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
            on_epoch(epoch, time.perf_counter() - started)
        return self

    @torch.inference_mode()
    def predict(self, X: Sequence[str]) -> list[Label]:
        """Decide in large batches, longest texts first."""
        self.network.eval()
        data = self._encode(X)
        best = np.zeros(len(X), np.int64)
        for rows in self._sorted_batches(data.lengths):
            best[rows] = self.network(*_batch(data, rows)).argmax(1).numpy()
        return [self.classes[i] for i in best.tolist()]

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.network.parameters(), lr=self.learning_rate, fused=True)]

    def _encode(self, X: Sequence[str]) -> Encoded:
        # A text without tokens is read as one unknown word.
        texts = [text.lower().split() or [""] for text in X]
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        words = map(self.vocabulary.__getitem__, chain.from_iterable(texts))
        return Encoded(np.fromiter(words, np.int64, lengths.sum()), lengths, np.cumsum(lengths) - lengths)

    def _sorted_batches(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            size = max(1, min(self.predict_batch_size, self.max_positions // lengths[order[start]]))
            yield order[start : start + size]
            start += size


class PackedText(TorchText):
    """Peer (b)."""

    name = "PyTorch, packed (b)"
    network_class = PackedNetwork
    max_positions = 32_768


class DenseText(TorchText):
    """Peer (b')."""

    name = "PyTorch, tuned for CPUs (b')"
    network_class = DenseNetwork
    max_positions = 16_384

    def _optimizers(self):
        table = [self.network.words.weight]
        others = [weight for weight in self.network.parameters() if weight is not table[0]]
        return [
            torch.optim.SparseAdam(table, lr=self.learning_rate),
            torch.optim.Adam(others, lr=self.learning_rate, fused=True),
        ]


def _batch(data: Encoded, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return word ids [T, B] and lengths of rows that come longest first."""
    lengths = data.lengths[rows]
    steps = np.arange(lengths[0])[:, None]
    # What lies beyond the end of the last text must not be asked for.
    places = np.minimum(steps + data.offsets[rows], len(data.words) - 1)
    words = np.where(steps < lengths, data.words[places], PAD)
    return torch.from_numpy(words), torch.from_numpy(lengths)
