"""seqkit's own tagger behind the peers' interface, by its public API alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from benchmarks.peers.base import OnEpoch, Peer, Reached, Sentences
from seqkit import SequenceTagger


class SeqkitTagger(Peer):
    """``seqkit.SequenceTagger`` at the sizes of the comparison.

    Parameters
    ----------
    word, char, hidden : int
        Word embedding, character convolution, and LSTM units each way.
    batch_size : int
        Sentences a batch in training.
    shape_features : bool
        The toolkit's own default adds affixes and shape to what the peers see; False leaves the same inputs as theirs.
    random_state : int
        Seed.
    """

    name = "seqkit"
    watchable = False  # ``on_epoch`` is told after the fit, from ``history_``

    def __init__(
        self,
        word: int = 100,
        char: int = 50,
        hidden: int = 200,
        batch_size: int = 32,
        shape_features: bool = False,
        random_state: int = 0,
    ):
        self.random_state = random_state
        self.parameters: dict[str, Any] = {
            "cell": "lstm",
            "bidirectional": True,
            "crf": True,
            "units": hidden,
            "word_dim": word,
            "char_encoder": "cnn",
            "char_units": char,
            "batch_size": batch_size,
            "shape_features": bool(shape_features),
            "language_model": 0.0,  # the peers train on tags alone
        }

    def fit(self, X: Sentences, y: Sentences, epochs: int, on_epoch: OnEpoch | None = None) -> SeqkitTagger:
        """Fit without any dev part."""
        # Every epoch trains on all of X; nothing is evaluated or stopped early.
        self.tagger = SequenceTagger(
            **self.parameters, epochs=epochs, validation_fraction=None, random_state=self.random_state, verbose=0
        )
        started = time.perf_counter()
        self.tagger.fit(X, y)
        seconds = self._history("seconds")
        _check_clock(seconds, time.perf_counter() - started, epochs)
        for epoch, spent in enumerate(seconds, start=1):
            if on_epoch is not None:
                on_epoch(epoch, spent)
        return self

    def predict(self, X: Sentences) -> list[list[str]]:
        """Return the tags of each sentence."""
        return self.tagger.predict(X)

    def predict_iter(self, X: Iterable) -> Iterator[list[str]]:
        """Yield the tags of each sentence of a stream."""
        return iter(self.tagger.predict_iter(X))

    def timeline(self, train: tuple, dev: tuple, epochs: int | None = None) -> list[Reached]:
        """Fit with the toolkit's own defaults and return when each epoch's dev F1 was known.

        An epoch's seconds hold its dev evaluation. All that ``fit`` spent outside its epochs (vocabulary, building,
        restoring the best weights) is charged before the first one, so the times err against seqkit if at all.
        """
        self.tagger = SequenceTagger(random_state=self.random_state, verbose=0)
        if epochs is not None:
            self.tagger.set_params(epochs=epochs)
        started = time.perf_counter()
        self.tagger.fit(*train, validation_data=dev)
        wall = time.perf_counter() - started
        seconds = self._history("seconds")
        _check_clock(seconds, wall, None)
        outside = wall - sum(seconds)
        elapsed = accumulate(seconds, initial=outside)
        next(elapsed)
        return [Reached(at, 100 * f1) for at, f1 in zip(elapsed, self._history("f1"), strict=True)]

    def _history(self, column: str) -> list[float]:
        return [float(value) for value in self.tagger.history_[column]]


def _check_clock(seconds: list[float], wall: float, epochs: int | None) -> None:
    """A history that claims more time than passed, or another number of epochs, would make the table false."""
    if sum(seconds) > wall or (epochs is not None and len(seconds) != epochs):
        raise RuntimeError(
            f"history_['seconds'] holds {len(seconds)} epochs and {sum(seconds):.1f} s; "
            f"expected {epochs or 'any number of'} epochs within the {wall:.1f} s that fit took"
        )
