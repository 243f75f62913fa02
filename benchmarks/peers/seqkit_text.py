"""seqkit's own classifier behind the peers' interface, by its public API alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.text_base import Label, TextPeer
from seqkit import SequenceClassifier


class SeqkitText(TextPeer):
    """``seqkit.SequenceClassifier`` at the sizes of the comparison.

    Parameters
    ----------
    word, hidden : int
        Word embedding, and LSTM units each way.
    batch_size : int
        Texts a batch in training.
    dropout, word_dropout : float
        Before and after the LSTM; share of the training words replaced by the unknown word.
    random_state : int
        Seed.
    """

    name = "seqkit"

    def __init__(
        self,
        word: int = 100,
        hidden: int = 100,
        batch_size: int = 32,
        dropout: float = 0.5,
        word_dropout: float = 0.2,
        random_state: int = 0,
    ):
        self.parameters: dict[str, Any] = {
            "cell": "lstm",
            "units": hidden,
            "word_dim": word,
            "ngrams": 0,  # the peers have a network alone
            "char_encoder": None,
            "tokenizer": "whitespace",
            "batch_size": batch_size,
            "dropout": dropout,
            "word_dropout": word_dropout,
            "random_state": random_state,
        }

    def fit(self, X: Sequence[str], y: Sequence[Label], epochs: int, on_epoch: OnEpoch) -> SeqkitText:
        """Fit without any dev part."""
        # Every epoch trains on all of X; nothing is evaluated or stopped early.
        self.classifier = SequenceClassifier(**self.parameters, epochs=epochs, validation_fraction=None, verbose=0)
        self.classifier.fit(X, y)
        for epoch, spent in enumerate(self.classifier.history_["seconds"], start=1):
            on_epoch(epoch, float(spent))
        return self

    def predict(self, X: Sequence[str]) -> list[Label]:
        """Return the label of each text."""
        return self.classifier.predict(X).tolist()
