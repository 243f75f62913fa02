"""The corpus of the comparison: mit_movie (eng), read without any contender's code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

Corpus = tuple[list[list[str]], list[list[str]]]


class Splits(NamedTuple):
    """Training, development and test sentences with their tags."""

    train: Corpus
    dev: Corpus
    test: Corpus


def data_root() -> Path:
    """Return ``$SEQKIT_DATA``, else ``../shared/data`` beside the repository."""
    return Path(os.environ.get("SEQKIT_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def read_columns(path: Path) -> Corpus:
    """Read "word TAB tag" lines; a blank line ends a sentence."""
    sentences: list[list[str]] = []
    tags: list[list[str]] = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        words, labels = zip(*(line.split("\t") for line in block.splitlines() if line), strict=True)
        sentences.append(list(words))
        tags.append(list(labels))
    return sentences, tags


def load_mit_movie(sentences: int | None = None) -> Splits:
    """Return mit_movie; dev is the last tenth of train, since the set has no dev part of its own.

    Parameters
    ----------
    sentences : int or None
        Keep only so many training sentences (for a quick check), spread over the whole file, which is not in random
        order: its first sentences differ from the rest. Dev and test stay whole.
    """
    folder = data_root() / "mit_movie"
    if not folder.is_dir():
        raise SystemExit(f"no mit_movie below {data_root()}: set SEQKIT_DATA to the folder that holds mit_movie/")
    X, y = read_columns(folder / "engtrain.bio.txt")
    cut = len(X) - -(-len(X) // 10)  # 8797 and 978, as published work on this set cuts it
    kept = range(cut) if sentences is None else [i * cut // sentences for i in range(min(sentences, cut))]
    train = [X[i] for i in kept], [y[i] for i in kept]
    return Splits(train, (X[cut:], y[cut:]), read_columns(folder / "engtest.bio.txt"))
