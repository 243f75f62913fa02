"""Peer (b): a character model in PyTorch as a good engineer writes it.

``nn.LSTM`` on one-hot characters, time before batch, the state detached and carried from segment to segment, gradients
clipped at norm 1, fused Adam (a few percent faster than the default one). Texts are written in a Python loop under
``inference_mode``, one step a character with the state carried, in two ways:

- ``lstm`` (b): by the ``nn.LSTM`` that was trained.
- ``cell`` (b'): by an ``nn.LSTMCell`` that shares its weights. The oneDNN kernel behind ``nn.LSTM``, which makes
  training a quarter faster than PyTorch's own, has a price for each call: the cell writes a single text three times as
  fast.
"""

from __future__ import annotations

import time

import torch
from torch import nn

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.writing_base import WritingPeer


class TorchWriter(WritingPeer):
    """Character LSTM in PyTorch.

    Parameters
    ----------
    threads : int
        PyTorch's threads.
    **sizes
        As in `WritingPeer`.
    """

    name = "PyTorch (b)"

    def __init__(self, threads: int = 2, **sizes):
        super().__init__(**sizes)
        torch.set_num_threads(threads)

    def fit(self, text: str, epochs: int, on_epoch: OnEpoch) -> TorchWriter:
        """Train with cross-entropy."""
        torch.manual_seed(self.random_state)
        ids = torch.tensor(self.read(text))
        # Time before batch; row r of a segment goes on where row r of the segment before ended.
        inputs, targets = (part.view(self.batch_size, -1).T.split(self.steps) for part in (ids[:-1], ids[1:]))
        size = len(self.characters)
        self.lstm, self.output = nn.LSTM(size, self.units), nn.Linear(self.units, size)
        weights = [*self.lstm.parameters(), *self.output.parameters()]
        optimizer = torch.optim.Adam(weights, lr=self.learning_rate, fused=True)
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            states, total = None, torch.zeros(())
            for read, wanted in zip(inputs, targets, strict=True):
                outputs, states = self.lstm(self._one_hot(read), states)
                states = tuple(state.detach() for state in states)
                loss = nn.functional.cross_entropy(self.output(outputs).flatten(0, 1), wanted.flatten())
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()
                total += loss.detach()
            self.loss = total.item() / len(inputs)
            on_epoch(epoch, time.perf_counter() - started)
        self.cell = nn.LSTMCell(size, self.units)
        for weight in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(self.cell, weight, getattr(self.lstm, f"{weight}_l0"))
        return self

    @torch.inference_mode()
    def write(self, way: str, texts: int, length: int, seed: int) -> list[str]:
        """Step, draw, and read what was drawn."""
        torch.manual_seed(seed)
        ids, states, written = torch.full((texts,), self.number["\n"]), None, []
        for _ in range(length):
            vectors = self._one_hot(ids)
            if way == "cell":
                states = self.cell(vectors, states)
                hidden = states[0]
            else:
                hidden, states = self.lstm(vectors[None], states)
            ids = torch.multinomial(self.output(hidden.view(texts, -1)).softmax(-1), 1)[:, 0]
            written.append(ids)
        return ["".join(self.characters[i] for i in row) for row in torch.stack(written, 1).tolist()]

    def _one_hot(self, ids: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(ids, len(self.characters)).float()
