"""Every recurrence of the tagger on mit_movie (eng), at the same budget.

    python benchmarks/tagger_cells.py [--epochs 8] [--seed 0]

Word vectors 100, characters 50, 200 units a direction, batch 32, all else at its default; dev is the last tenth of the
training part, the epoch is chosen on dev, the test part is scored once. A CRF does not exist for Jordan networks: they
feed their own tags back; they are shown greedy and with a beam of four.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import time

from ner_quality import load

from seqkit import SequenceTagger


def rows():
    """Yield the settings of each row of the table."""
    for cell in ("elman", "gru", "lstm"):
        for bidirectional in (False, True):
            for crf in (False, True):
                yield {"cell": cell, "bidirectional": bidirectional, "crf": crf}
    for bidirectional in (False, True):
        yield {"cell": "jordan", "bidirectional": bidirectional, "beam_width": 1}
        yield {"cell": "jordan", "bidirectional": bidirectional, "beam_width": 4}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train, dev, test = load("mit_movie", with_test=True)
    tokens = sum(map(len, test[0]))
    print(f"{datetime.date.today()}  mit_movie (eng), {options.epochs} epochs, seed {options.seed}", flush=True)
    print(
        "| cell | directions | decided by | dev F1 | test F1 | parameters | training tokens/s | prediction tokens/s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows():
        tagger = SequenceTagger(**row, epochs=options.epochs, patience=None, random_state=options.seed, verbose=0)
        tagger.fit(*train, validation_data=dev)
        score = tagger.score(*test)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            tagger.predict(test[0])
            seconds.append(time.perf_counter() - started)
        head = f"its tags, beam {row['beam_width']}" if row["cell"] == "jordan" else "CRF" if row["crf"] else "softmax"
        print(
            f"| {row['cell']} | {1 + row['bidirectional']} | {head} | {100 * max(tagger.history_['f1']):.2f} | "
            f"{100 * score:.2f} | {tagger.model_.count_params():,} | "
            f"{statistics.median(tagger.history_['tokens_per_second']):,.0f} | "
            f"{tokens / statistics.median(seconds):,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
