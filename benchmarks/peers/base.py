"""The interface that every measured tagger has."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.peers.scoring import entity_f1

Sentences = Sequence[Sequence[str]]
OnEpoch = Callable[[int, float], None]


class Reached(NamedTuple):
    """Where a fit stood after an epoch."""

    seconds: float  # since fit was called
    f1: float  # on dev, percent


class Peer(ABC):
    """A tagger from Python token lists to Python tag lists.

    A fit counts its epochs from 1 and calls ``on_epoch(epoch, seconds)`` after each. ``seconds`` is the time of that
    epoch's training alone: what the callback does (a dev evaluation, say) is in no epoch's time.
    """

    #: What the tables call it.
    name: str
    #: Whether ``predict`` works from ``on_epoch`` and answers with that epoch's weights.
    watchable: bool = True

    @abstractmethod
    def fit(self, X: Sentences, y: Sentences, epochs: int, on_epoch: OnEpoch | None = None) -> Peer:
        """Train from scratch."""

    @abstractmethod
    def predict(self, X: Sentences) -> list[list[str]]:
        """Return the tags of each sentence, in the order given."""

    def train_tokens_per_second(self, X: Sentences, y: Sentences, epochs: int = 1, warmup: int = 1) -> list[float]:
        """Fit for ``warmup + epochs`` epochs and return the speed of each epoch after the warm-up.

        Real tokens are counted, never padding, so that a peer gains nothing by padding more.
        """
        seconds: list[float] = []
        self.fit(X, y, warmup + epochs, on_epoch=lambda _, spent: seconds.append(spent))
        tokens = sum(map(len, X))
        return [tokens / spent for spent in seconds[warmup:]]

    def timeline(self, train: tuple, dev: tuple, epochs: int) -> list[Reached]:
        """Fit, and return after each epoch the seconds since the start and the dev F1.

        The clock starts when ``fit`` is called and stands still during the dev evaluations, so that a peer that would
        train a fixed number of epochs does not pay for being watched.
        """
        reached: list[Reached] = []
        watching = 0.0
        started = time.perf_counter()

        def watch(_: int, __: float) -> None:
            nonlocal watching
            now = time.perf_counter()
            reached.append(Reached(now - started - watching, entity_f1(dev[1], self.predict(dev[0]))))
            watching += time.perf_counter() - now

        self.fit(*train, epochs, on_epoch=watch)
        return reached


def epoch_seconds(name: str, fit: Callable[[int, OnEpoch], object], epochs: int) -> list[float]:
    """Fit for so many epochs, and return the seconds that each is said to have trained for."""
    seconds: list[float] = []
    started = time.perf_counter()
    fit(epochs, lambda _, spent: seconds.append(spent))
    wall = time.perf_counter() - started
    # A peer that claims more time than passed, or another number of epochs, would make the table false.
    if sum(seconds) > wall or len(seconds) != epochs:
        raise RuntimeError(
            f"{name} reports {len(seconds)} epochs and {sum(seconds):.1f} s; expected {epochs} epochs within the "
            f"{wall:.1f} s that fit took"
        )
    return seconds
