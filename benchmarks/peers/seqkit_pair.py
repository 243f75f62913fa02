"""seqkit's encoder-decoder behind the interface of the comparison."""

from __future__ import annotations

from benchmarks.peers.base import OnEpoch
from benchmarks.peers.pair_base import PairPeer, Tokens
from seqkit import Seq2Seq


class SeqkitPair(PairPeer):
    """`seqkit.Seq2Seq` of the sizes of the comparison, without what the peers do not have."""

    name = "seqkit"

    def fit(self, X: Tokens, y: Tokens, epochs: int, on_epoch: OnEpoch) -> SeqkitPair:
        """Train; its averaging of weights is counted too."""
        self.model = Seq2Seq(
            units=self.units,
            word_dim=self.units,
            dropout=0.0,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            epochs=epochs,
            validation_fraction=None,
            random_state=self.random_state,
            length_penalty=0.0,
            unk_replace=False,
            verbose=0,
        ).fit(X, y)
        for epoch, seconds in enumerate(self.model.history_["seconds"], 1):
            on_epoch(epoch, seconds)
        self.loss = self.model.history_["loss"][-1]
        return self

    def decode(self, X: Tokens, width: int, longest: int) -> list[list[str]]:
        """Predict."""
        self.model.longest_ = [longest * 5 // 6 - 5] * 1000  # for every length; a fifth and five more make ``longest``
        return self.model.set_params(beam_width=width).predict(X)
