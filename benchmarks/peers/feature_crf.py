"""A linear-chain CRF on hand-made features (CRFsuite), for the accuracy table: no network at all."""

from __future__ import annotations

import time

import pycrfsuite
import sklearn_crfsuite

from benchmarks.peers.base import OnEpoch, Peer, Sentences


class FeatureCRF(Peer):
    """CRFsuite with the usual features: words and neighbors, affixes, shape, two bigrams.

    An epoch is one iteration of L-BFGS.

    Parameters
    ----------
    c1, c2 : float
        Weights of the L1 and L2 penalties.
    """

    name = "feature CRF (CRFsuite)"
    watchable = False

    def __init__(self, c1: float = 0.1, c2: float = 0.1):
        self.c1, self.c2 = c1, c2

    def fit(self, X: Sentences, y: Sentences, epochs: int = 100, on_epoch: OnEpoch | None = None) -> FeatureCRF:
        """Run L-BFGS for at most ``epochs`` iterations."""
        self.crf = sklearn_crfsuite.CRF(
            algorithm="lbfgs",
            c1=self.c1,
            c2=self.c2,
            max_iterations=epochs,
            all_possible_transitions=True,
            trainer_cls=_reporting_trainer(on_epoch),
        )
        self.crf.fit([features(sentence) for sentence in X], [list(tags) for tags in y])
        return self

    def predict(self, X: Sentences) -> list[list[str]]:
        """Return the best path of each sentence."""
        return [list(tags) for tags in self.crf.predict([features(sentence) for sentence in X])]


def features(sentence: list[str]) -> list[list[str]]:
    """Return the active features of each token."""
    lower = [token.lower() for token in sentence]
    padded = ["<s>", "<s>", *lower, "</s>", "</s>"]
    rows = []
    for position, token in enumerate(sentence):
        word = lower[position]
        before2, before, _, after, after2 = padded[position : position + 5]
        row = ["bias", f"w={word}", f"w-1={before}", f"w-2={before2}", f"w+1={after}", f"w+2={after2}"]
        row += [f"w-1|w={before}|{word}", f"w|w+1={word}|{after}", f"shape={shape(token)}"]
        row += [f"prefix{n}={word[:n]}" for n in (1, 2, 3, 4) if len(word) >= n]
        row += [f"suffix{n}={word[-n:]}" for n in (1, 2, 3, 4) if len(word) >= n]
        row += [name for name, holds in zip(_SHAPES, _shape_tests(token), strict=True) if holds]
        rows.append(row)
    return rows


def shape(token: str) -> str:
    """Return the token's shape, runs cut to two signs: ``"McDonald-1995"`` gives ``"XxXxx-dd"``."""
    signs: list[str] = []
    for c in token:
        sign = "X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else c
        if signs[-2:] != [sign, sign]:
            signs.append(sign)
    return "".join(signs)


_SHAPES = ("upper", "title", "digit", "has-digit", "has-hyphen")


def _shape_tests(token: str) -> tuple[bool, ...]:
    return token.isupper(), token.istitle(), token.isdigit(), any(map(str.isdigit, token)), "-" in token


def _reporting_trainer(on_epoch: OnEpoch | None) -> type:
    class Reporting(pycrfsuite.Trainer):
        """Tells the callback of each iteration."""

        def on_featgen_end(self, log):
            self.started = time.perf_counter()

        def on_iteration(self, log, info):
            if on_epoch is not None:
                on_epoch(int(info["num"]), time.perf_counter() - self.started)
                self.started = time.perf_counter()

    return Reporting
