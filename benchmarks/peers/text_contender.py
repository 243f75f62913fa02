"""What a worker can be asked about a classifier of texts."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.peers import TEXT_PEERS
from benchmarks.peers.worker import import_peer


class TextContender:
    """A classifier and a set; the peer lives on between calls, so a later call finds the model fitted.

    Parameters
    ----------
    key : str
        A key of ``TEXT_PEERS``.
    threads : int
        Cores that it may use.
    train_texts, test_texts : int or None
        Train on, and predict, so many texts only.
    name : str
        The set.
    """

    packages = {"torch": ["torch"], "torch-dense": ["torch"]}  # noqa: RUF012

    def __init__(self, key: str, threads: int, train_texts: int | None, *, test_texts: int | None, name: str):
        # Here and not above, so that no library counts its threads before the worker has set them.
        from benchmarks.peers.text_data import load_text_set

        self.data = load_text_set(name, train_texts, test_texts)
        self.make = import_peer(TEXT_PEERS[key])
        if key.startswith("torch"):  # the others take their threads from the environment and the affinity
            self.make = partial(self.make, threads=threads)
        if key == "keras":  # what is left out to save time must not make its padding shorter
            self.make = partial(self.make, longest=self.data.longest)
        self.peer = self.make()

    def describe(self) -> dict[str, Any]:
        """Return how large the set is."""
        train, test = self.data.train[0], self.data.test[0]
        return {
            "train_texts": len(train),
            "train_tokens": sum(len(text.split()) for text in train),
            "longest": self.data.longest,
            "test_texts": len(test),
            "test_tokens": sum(len(text.split()) for text in test),
        }

    def train(self, epochs: int, warmup: int, seed: int) -> list[float]:
        """Return training tokens/s of each epoch after the warm-up."""
        self.peer = self.make(random_state=seed)
        return self.peer.train_tokens_per_second(*self.data.train, epochs=epochs, warmup=warmup)

    def dev_accuracy(self) -> float | None:
        """Return dev accuracy of the model as it stands, in percent: shows that the measured thing learns."""
        if self.data.dev is None:
            return None
        X, y = self.data.dev
        right = [answer == truth for answer, truth in zip(self.peer.predict(X), y, strict=True)]
        return 100 * sum(right) / len(right)

    def predict(self) -> float:
        """Return texts/s over the test part, Python strings in, Python labels out."""
        X, y = self.data.test
        started = time.perf_counter()
        labels = self.peer.predict(X)
        seconds = time.perf_counter() - started
        if len(labels) != len(X) or not all(type(label) is type(y[0]) for label in labels):
            raise RuntimeError("predict did not return one label a text")
        return len(X) / seconds
