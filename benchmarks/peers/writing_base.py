"""The interface that every measured writer of texts has."""

from __future__ import annotations

from abc import ABC, abstractmethod

from benchmarks.peers.base import OnEpoch


class WritingPeer(ABC):
    """A model of characters that is trained on one text and writes others; its sizes are those of the comparison.

    A fit counts its epochs from 1 and calls ``on_epoch(epoch, seconds)`` for each, with the time of that epoch's
    training alone.

    Parameters
    ----------
    units : int
        Of the LSTM.
    batch_size, steps : int
        Rows of a batch, and characters of each.
    learning_rate : float
        Of Adam.
    random_state : int
        Seed.
    """

    #: What the tables call it.
    name: str
    #: Mean loss of a character in the last epoch.
    loss: float

    def __init__(
        self,
        units: int = 512,
        batch_size: int = 64,
        steps: int = 128,
        learning_rate: float = 2e-3,
        random_state: int = 0,
    ):
        self.units, self.batch_size, self.steps = units, batch_size, steps
        self.learning_rate, self.random_state = learning_rate, random_state

    @abstractmethod
    def fit(self, text: str, epochs: int, on_epoch: OnEpoch) -> WritingPeer:
        """Train from scratch."""

    @abstractmethod
    def write(self, way: str, texts: int, length: int, seed: int) -> list[str]:
        """Write texts that follow a line break."""

    def read(self, text: str) -> list[int]:
        """Learn the characters of a text, and return their numbers."""
        self.characters = sorted(set(text))
        self.number = {character: i for i, character in enumerate(self.characters)}
        return [self.number[character] for character in text]
