"""Peer (b): an attention encoder-decoder in PyTorch as a good engineer writes it.

Packed bidirectional ``nn.LSTM``; teacher forcing with one ``nn.LSTM`` over all steps, attention by two batched
products, cross-entropy over real tokens only, gradients clipped at norm 1, fused Adam, batches of like length. Beam
search is batched too: all hypotheses of 128 sentences of like length step together, states are gathered by their
parents, and the loop ends when every sentence has its best one.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.pair_base import DECODED, PairPeer, Tokens, batches, padded


class _Network(nn.Module):
    def __init__(self, sources: int, targets: int, units: int):
        super().__init__()
        self.source = nn.Embedding(sources, units, padding_idx=0)
        self.target = nn.Embedding(targets, units, padding_idx=0)
        self.encoder = nn.LSTM(units, units, bidirectional=True, batch_first=True)
        self.bridge = nn.Linear(2 * units, 2 * units, bias=False)
        self.decoder = nn.LSTM(units, units, batch_first=True)
        self.keys = nn.Linear(2 * units, units, bias=False)
        self.join = nn.Linear(3 * units, units, bias=False)
        self.output = nn.Linear(units, targets)

    def encode(self, ids: torch.Tensor, lengths: torch.Tensor):
        packed = pack_padded_sequence(self.source(ids), lengths, batch_first=True, enforce_sorted=False)
        outputs, (last, _) = self.encoder(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True)
        state, cell = torch.tanh(self.bridge(torch.cat([last[0], last[1]], -1))).chunk(2, -1)
        away = torch.arange(memory.shape[1])[None] >= lengths[:, None]
        return (state[None].contiguous(), cell[None].contiguous()), memory, self.keys(memory), away

    def attend(self, outputs, memory, keys, away):
        scores = torch.bmm(outputs, keys.transpose(1, 2)).masked_fill(away[:, None], -1e9)
        found = torch.bmm(scores.softmax(-1), memory)
        return torch.tanh(self.join(torch.cat([found, outputs], -1)))


class TorchPair(PairPeer):
    """Encoder-decoder in PyTorch.

    Parameters
    ----------
    threads : int
        PyTorch's threads.
    **sizes
        As in `PairPeer`.
    """

    name = "PyTorch (b)"

    def __init__(self, threads: int = 2, **sizes):
        super().__init__(**sizes)
        torch.set_num_threads(threads)

    def fit(self, X: Tokens, y: Tokens, epochs: int, on_epoch: OnEpoch) -> TorchPair:
        """Train with cross-entropy."""
        torch.manual_seed(self.random_state)
        rng = np.random.default_rng(self.random_state)
        X, y = self.read(X, y)
        self.network = net = _Network(len(self.words[0]), len(self.words[1]), self.units)
        optimizer = torch.optim.Adam(net.parameters(), lr=self.learning_rate, fused=True)
        for epoch in range(1, epochs + 1):
            started, total, count = time.perf_counter(), torch.zeros(()), 0
            for rows in batches(X, y, self.batch_size, rng):
                read, wanted = [X[i] for i in rows], [y[i] for i in rows]
                lengths = torch.tensor([len(row) for row in read])
                states, memory, keys, away = net.encode(torch.from_numpy(padded(read)), lengths)
                inputs, targets = (torch.from_numpy(padded(wanted, *ends)) for ends in ((1, None), (None, 2)))
                outputs, _ = net.decoder(net.target(inputs), states)
                real = targets > 0
                logits = net.output(net.attend(outputs, memory, keys, away)[real])
                loss = nn.functional.cross_entropy(logits, targets[real])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                total += loss.detach() * len(logits)
                count += len(logits)
            self.loss = total.item() / count
            on_epoch(epoch, time.perf_counter() - started)
        return self

    @torch.inference_mode()
    def decode(self, X: Tokens, width: int, longest: int) -> list[list[str]]:
        """Search, a batch of sentences of like length at a time."""
        ids = self.ids(X, 0)
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        found: list = [None] * len(ids)
        for first in range(0, len(order), DECODED):
            rows = order[first : first + DECODED]
            for i, best in zip(rows, self._search([ids[i] for i in rows], width, longest), strict=True):
                found[i] = [self.words[1][t] for t in best]
        return found

    def _search(self, read: list[np.ndarray], width: int, longest: int) -> list[list[int]]:
        net, rows = self.network, len(read)
        lengths = torch.tensor([len(row) for row in read])
        states, memory, keys, away = net.encode(torch.from_numpy(padded(read)), lengths)
        states = tuple(state.repeat_interleave(width, 1) for state in states)
        tokens = torch.ones(rows * width, 1, dtype=torch.long)
        totals = torch.full((rows, width), -1e9)
        totals[:, 0] = 0.0
        best: list[tuple[float, list[int]]] = [(-float("inf"), [])] * rows
        written = torch.zeros(rows, width, 0, dtype=torch.long)
        size, base = net.output.out_features, width * torch.arange(rows)[:, None]
        for t in range(longest):
            outputs, states = net.decoder(net.target(tokens), states)
            outputs = net.attend(outputs.view(rows, width, -1), memory, keys, away)
            logs = net.output(outputs).log_softmax(-1)
            scores, places = (totals[..., None] + logs).view(rows, -1).topk(2 * width, -1)
            parents, chosen = places // size, places % size
            ended = chosen == 2
            for i, k in ended[:, :width].nonzero().tolist():
                score = scores[i, k].item()
                if score > best[i][0]:
                    best[i] = (score, written[i, parents[i, k]].tolist())
            totals, kept = scores.masked_fill(ended, -1e9).topk(width, -1)
            parents, chosen = parents.gather(1, kept), chosen.gather(1, kept)
            if all(best[i][0] >= totals[i, 0] for i in range(rows)):
                break
            written = torch.cat([written.gather(1, parents[..., None].expand(-1, -1, t)), chosen[..., None]], -1)
            flat = (parents + base).view(-1)
            states = tuple(state[:, flat] for state in states)
            tokens = chosen.view(-1, 1)
        else:
            for i in range(rows):
                if totals[i, 0] > best[i][0]:
                    best[i] = (totals[i, 0].item(), written[i, 0].tolist())
        return [ids for _, ids in best]
