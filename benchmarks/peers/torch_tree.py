"""Peer in PyTorch: a binary Tree-LSTM as its implementations there do it, one tree a step and node by node."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from seqkit.io import Tree


class TreeNetwork(nn.Module):
    """Binary Tree-LSTM (Tai, Socher & Manning 2015) with a class for every node."""

    def __init__(self, n_words: int, n_classes: int, word: int, units: int, dropout: float):
        super().__init__()
        self.words = nn.Embedding(n_words, word, sparse=True)
        self.leaf, self.inner = nn.Linear(word, 3 * units), nn.Linear(2 * units, 5 * units)
        self.output, self.dropout = nn.Linear(units, n_classes), nn.Dropout(dropout)

    def forward(self, words: torch.Tensor, children: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return logits [nodes, classes]; children come before their parent."""
        # What can be done at once without any batching of trees: all leaves, and the classes of all nodes.
        u, i, o = self.leaf(self.dropout(self.words(words))).chunk(3, 1)
        c = i.sigmoid() * u.tanh()
        leaves = iter(zip((o.sigmoid() * c.tanh()).unbind(), c.unbind(), strict=True))
        states: list[tuple[torch.Tensor, torch.Tensor]] = []
        for below in children:
            if not below:
                states.append(next(leaves))
                continue
            (h1, c1), (h2, c2) = (states[k] for k in (below[0], below[-1]))
            i, f1, f2, o, u = self.inner(torch.cat([h1, h2])).chunk(5)
            c = i.sigmoid() * u.tanh() + f1.sigmoid() * c1 + f2.sigmoid() * c2
            states.append((o.sigmoid() * c.tanh(), c))
        return self.output(self.dropout(torch.stack([h for h, _ in states])))


def training_step(trees: list[Tree], units: int = 150, word: int = 100, threads: int = 1) -> Callable[[int], float]:
    """Return a function that trains on the tree of a number."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    number: dict[str, int] = {}
    tensors = [
        (
            torch.tensor([number.setdefault(token.lower(), len(number)) for token in tree.leaves]),
            tree.children,
            torch.tensor([int(label) for label in tree.labels]),
        )
        for tree in trees
    ]
    network = TreeNetwork(len(number), 5, word, units, 0.5)
    table = [network.words.weight]
    others = [weight for weight in network.parameters() if weight is not table[0]]
    optimizers = [torch.optim.SparseAdam(table, lr=1e-3), torch.optim.Adam(others, lr=1e-3, fused=True)]

    def step(row: int) -> float:
        words, children, labels = tensors[row]
        loss = nn.functional.cross_entropy(network(words, children), labels, reduction="sum")
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return loss.item()

    return step
