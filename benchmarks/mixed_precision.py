"""Training with matrix products in bfloat16 beside training in float32: scores on dev, and speed in turns.

    python benchmarks/mixed_precision.py [--tasks names tagger words characters] [--seeds 2] [--rounds 5] [--share 1.0]

Scores: fits of both kinds on the same data, with the same seeds and passes; the mean of the best score on dev over
seeds. What is scored is float32 in both. Speed: both take passes over the same sequences by ``partial_fit``, in turns
(A B A B ...), the first of which is not counted; the median ratio within a turn, and its range. Seconds are those of
the processor, so that a shared machine may be used: set TF_NUM_INTRAOP_THREADS=1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import mean, median

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

KINDS = (None, "bfloat16")


def names(share: float, **settings):
    """Surnames to nationalities by character, accuracy."""
    from sklearn.model_selection import train_test_split

    from seqkit import SequenceClassifier
    from seqkit.datasets import load_texts

    X, X_dev, y, y_dev = train_test_split(*load_texts("surnames", "all"), test_size=0.2, random_state=0)
    X, y = X[: int(share * len(X))], y[: int(share * len(y))]
    model = SequenceClassifier(tokenizer="characters", ngrams=0, units=200, batch_size=64, epochs=4, **settings)
    return model, (X, y), (X_dev, y_dev), "accuracy"


def tagger(share: float, **settings):
    """mit_movie (eng), a BiLSTM-CRF, entity F1."""
    from sklearn.model_selection import train_test_split

    from seqkit import SequenceTagger
    from seqkit.datasets import load_tagging

    X, X_dev, y, y_dev = train_test_split(*load_tagging("mit_movie", "train")[:2], test_size=0.1, random_state=0)
    X, y = X[: int(share * len(X))], y[: int(share * len(y))]
    return SequenceTagger(epochs=3, **settings), (X, y), (X_dev, y_dev), "f1"


def words(share: float, **settings):
    """wikitext2, a language model of words, loss a word."""
    from seqkit import LanguageModel
    from seqkit.datasets import load_corpus

    texts, dev = (load_corpus("wikitext2", part) for part in ("train", "dev"))
    texts = texts[: int(share * len(texts) / 10)]
    model = LanguageModel(
        tokenizer="whitespace", units=512, word_dim=256, min_count=3, steps=32, batch_size=64, epochs=3, **settings
    )
    return model, (texts,), dev[: len(dev) // 5], "validation_loss"


def characters(share: float, **settings):
    """tinyshakespeare, a character network of 512 units, loss a character."""
    from seqkit import LanguageModel
    from seqkit.datasets import load_corpus

    text, dev = (load_corpus("tinyshakespeare", part) for part in ("train", "dev"))
    model = LanguageModel(units=512, batch_size=64, steps=64, epochs=3, **settings)
    return model, ([text[: int(share * len(text))]],), [dev], "validation_loss"


TASKS = {task.__name__: task for task in (names, tagger, words, characters)}


def score(task, seed: int, kind: str | None, share: float) -> float:
    """Return the best score on dev of a fit."""
    model, data, dev, name = task(share, mixed_precision=kind, random_state=seed, patience=None, verbose=0)
    found = model.fit(*data, validation_data=dev).history_[name]
    return min(found) if name.endswith("loss") else max(found)


def speeds(task, rounds: int, share: float) -> list[tuple[float, float]]:
    """Return the seconds of both kinds in each turn."""
    models = {}
    for kind in KINDS:
        models[kind], data, _, _ = task(share, mixed_precision=kind, random_state=0, verbose=0)
        models[kind].partial_fit(*data)
    found = []
    for _ in range(rounds):
        turn = []
        for kind in KINDS:
            began = time.process_time()
            models[kind].partial_fit(*data)
            turn.append(time.process_time() - began)
        found.append(tuple(turn))
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=2, help="fits of each kind, with seeds 0, 1, ... (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="turns for the speed (default 5)")
    parser.add_argument("--share", type=float, default=1.0, help="of the training data (default 1.0)")
    parser.add_argument("--speed-share", type=float, default=0.05, help="of it for the speed (default 0.05)")
    options = parser.parse_args(arguments)
    print("| task | float32, dev | bfloat16, dev | processor s, float32 | bfloat16 | ratio | in the turns |")
    print("|---|---|---|---|---|---|---|")
    for name in options.tasks:
        task = TASKS[name]
        turns = speeds(task, options.rounds, options.speed_share)
        ratios = [a / b for a, b in turns]
        seconds = [f"{median(each):.2f}" for each in zip(*turns, strict=True)]
        seeds = range(options.seeds)
        found = [f"{mean(score(task, seed, kind, options.share) for seed in seeds):.4f}" for kind in KINDS if seeds]
        row = [name, *(found or ["", ""]), *seconds, f"{median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
