"""seqkit as a writer of texts."""

from __future__ import annotations

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.writing_base import WritingPeer
from seqkit import LanguageModel


class SeqkitWriter(WritingPeer):
    """``seqkit.LanguageModel`` by its public API alone; parameters as in `WritingPeer`."""

    name = "seqkit"

    def fit(self, text: str, epochs: int, on_epoch: OnEpoch) -> SeqkitWriter:
        """Fit without any dev part."""
        self.model = LanguageModel(
            cell="lstm",
            units=self.units,
            word_dim=None,  # one-hot
            dropout=0.0,
            batch_size=self.batch_size,
            steps=self.steps,
            learning_rate=self.learning_rate,
            epochs=epochs,
            random_state=self.random_state,
            validation_fraction=None,  # every epoch trains on all; nothing is evaluated or stopped early
            verbose=0,
        )
        # It reads a beginning before the text and expects an end after it, so it tells as many as the peers.
        self.model.fit([text[1:-1]])
        for epoch, spent in enumerate(self.model.history_["seconds"], start=1):
            on_epoch(epoch, float(spent))
        self.loss = float(self.model.history_["loss"][-1])
        return self

    def write(self, way: str, texts: int, length: int, seed: int) -> list[str]:
        """Call ``generate`` once."""
        return self.model.generate(["\n"] * texts, length, seed=seed)
