"""The interface that every measured classifier of texts has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

from benchmarks.peers.base import OnEpoch, epoch_seconds

Label = int | str


class TextPeer(ABC):
    """A classifier from Python strings to Python labels.

    A fit counts its epochs from 1 and calls ``on_epoch(epoch, seconds)`` for each. ``seconds`` is the time of that
    epoch's training alone: reading the texts, building the network and learning the vocabulary are in no epoch's time.
    """

    #: What the tables call it.
    name: str

    @abstractmethod
    def fit(self, X: Sequence[str], y: Sequence[Label], epochs: int, on_epoch: OnEpoch) -> TextPeer:
        """Train from scratch."""

    @abstractmethod
    def predict(self, X: Sequence[str]) -> list[Label]:
        """Return the label of each text, in the order given."""

    def train_tokens_per_second(self, X: Sequence[str], y: Sequence[Label], epochs: int, warmup: int) -> list[float]:
        """Fit for ``warmup + epochs`` epochs and return the speed of each epoch after the warm-up.

        Real tokens are counted, never padding, so that a peer gains nothing by padding more.
        """
        seconds = epoch_seconds(self.name, partial(self.fit, X, y), warmup + epochs)
        tokens = sum(len(text.split()) for text in X)
        return [tokens / spent for spent in seconds[warmup:]]
