"""Training with matrix products in bfloat16 beside training in float32: scores on dev, and speed in turns.

    python benchmarks/mixed_precision.py [--tasks names tagger words characters] [--seeds 2] [--share 1.0]

Both kinds of training see the same data, seeds and passes. They take turns (A B A B ...); the speed of a fit is the
median over its passes but the first, which traces graphs too. The table gives the mean score on dev over seeds, and the
median ratio of training tokens a second within a turn. What is scored is float32 in both.
"""

from __future__ import annotations

import argparse
import sys
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
    return model.fit(X, y, validation_data=(X_dev, y_dev)), "accuracy"


def tagger(share: float, **settings):
    """mit_movie (eng), a BiLSTM-CRF, entity F1."""
    from sklearn.model_selection import train_test_split

    from seqkit import SequenceTagger
    from seqkit.datasets import load_tagging

    X, X_dev, y, y_dev = train_test_split(*load_tagging("mit_movie", "train")[:2], test_size=0.1, random_state=0)
    X, y = X[: int(share * len(X))], y[: int(share * len(y))]
    return SequenceTagger(epochs=3, **settings).fit(X, y, validation_data=(X_dev, y_dev)), "f1"


def words(share: float, **settings):
    """wikitext2, a language model of words, loss a word."""
    from seqkit import LanguageModel
    from seqkit.datasets import load_corpus

    texts, dev = (load_corpus("wikitext2", part) for part in ("train", "dev"))
    texts = texts[: int(share * len(texts) / 10)]
    model = LanguageModel(
        tokenizer="whitespace", units=512, word_dim=256, min_count=3, steps=32, batch_size=64, epochs=3, **settings
    )
    return model.fit(texts, validation_data=dev[: len(dev) // 5]), "validation_loss"


def characters(share: float, **settings):
    """tinyshakespeare, a character network of 512 units, loss a character."""
    from seqkit import LanguageModel
    from seqkit.datasets import load_corpus

    text, dev = (load_corpus("tinyshakespeare", part) for part in ("train", "dev"))
    model = LanguageModel(units=512, batch_size=64, steps=64, epochs=3, **settings)
    return model.fit([text[: int(share * len(text))]], validation_data=[dev]), "validation_loss"


TASKS = {task.__name__: task for task in (names, tagger, words, characters)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=2, help="fits of each kind, with seeds 0, 1, ... (default 2)")
    parser.add_argument("--share", type=float, default=1.0, help="of the training data (default 1.0)")
    options = parser.parse_args(arguments)
    print("| task | score | float32 | bfloat16 | tokens/s, float32 | bfloat16 | ratio |\n|---|---|---|---|---|---|---|")
    for name in options.tasks:
        scores, speeds = {kind: [] for kind in KINDS}, {kind: [] for kind in KINDS}
        for seed in range(options.seeds):
            for kind in KINDS:
                settings = dict(mixed_precision=kind, random_state=seed, patience=None, verbose=0)
                model, score = TASKS[name](options.share, **settings)
                best = min if score.endswith("loss") else max
                scores[kind].append(best(model.history_[score]))
                speeds[kind].append(median(model.history_["tokens_per_second"][1:]))
                print(f"{name} seed {seed} {kind}: {scores[kind][-1]:.4f}, {speeds[kind][-1]:.0f}/s", file=sys.stderr)
        ratio = median(b / a for a, b in zip(*speeds.values(), strict=True))
        both = [f"{mean(scores[kind]):.4f}" for kind in KINDS] + [f"{median(speeds[kind]):,.0f}" for kind in KINDS]
        print(f"| {name} | {score} | {' | '.join(both)} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
