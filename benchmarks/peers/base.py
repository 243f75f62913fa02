"""The interface that every measured tagger has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

Sentences = Sequence[Sequence[str]]
OnEpoch = Callable[[int, float], None]


class Peer(ABC):
    """A tagger from Python token lists to Python tag lists.

    A fit counts its epochs from 1 and calls ``on_epoch(epoch, seconds)`` after each. ``seconds`` is the time of that
    epoch's training alone: what the callback does (a dev evaluation, say) is in no epoch's time.
    """

    #: What the tables call it.
    name: str

    @abstractmethod
    def fit(self, X: Sentences, y: Sentences, epochs: int, on_epoch: OnEpoch | None = None) -> Peer:
        """Train from scratch."""

    @abstractmethod
    def predict(self, X: Sentences) -> list[list[str]]:
        """Return the tags of each sentence, in the order given; may be called from ``on_epoch``."""

    def train_tokens_per_second(self, X: Sentences, y: Sentences, epochs: int = 1, warmup: int = 1) -> list[float]:
        """Fit for ``warmup + epochs`` epochs and return the speed of each epoch after the warm-up.

        Real tokens are counted, never padding, so that a peer gains nothing by padding more.
        """
        seconds: list[float] = []
        self.fit(X, y, warmup + epochs, on_epoch=lambda _, spent: seconds.append(spent))
        tokens = sum(map(len, X))
        return [tokens / spent for spent in seconds[warmup:]]
