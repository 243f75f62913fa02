"""Small taggers, fitted once for all tests; none of the tests may change them."""

from __future__ import annotations

import numpy as np
import pytest

#: The cheapest tagger there is: one direction, words only, and a network that trains without a loop over time.
FAST = {
    "cell": "jordan",
    "bidirectional": False,
    "crf": False,
    "char_encoder": None,
    "shape_features": False,
    "validation_fraction": None,
    "average_weights": False,
    "dropout": 0.0,
    "word_dropout": 0.0,
    "units": 4,
    "word_dim": 4,
    "batch_size": 8,
    "epochs": 1,
    "learning_rate": 0.02,
    "random_state": 0,
    "verbose": 0,
}


@pytest.fixture(scope="session")
def make():
    """A function that makes a cheap tagger; its arguments change parameters."""
    from seqkit import SequenceTagger

    return lambda **parameters: SequenceTagger(**{**FAST, **parameters})


@pytest.fixture(scope="session")
def fast(make, tiny_corpus):
    """A cheap fitted tagger."""
    return make(epochs=2).fit(tiny_corpus.X, tiny_corpus.y)


@pytest.fixture(scope="session")
def full(make, tiny_corpus):
    """A tagger with all that the default has, in small; fitted with validation data."""
    tagger = make(
        cell="lstm",
        bidirectional=True,
        crf=True,
        char_encoder="cnn",
        shape_features=True,
        average_weights=True,
        dropout=0.5,
        word_dropout=0.05,
        units=8,
        word_dim=8,
        char_units=6,
        epochs=4,
    )
    return tagger.fit(tiny_corpus.X, tiny_corpus.y, validation_data=(tiny_corpus.X_dev, tiny_corpus.y_dev))


@pytest.fixture(scope="session")
def frames():
    """Sequences of vectors (length, 2) with the sign of the first number as tag, an int."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in (3, 1, 5, 4) * 6]
    return X, [(x[:, 0] > 0).astype(np.int64) for x in X]


@pytest.fixture(scope="session")
def vectors(make, frames):
    """A cheap tagger of vectors."""
    return make(cell="elman", epochs=12, learning_rate=0.05).fit(*frames)
