"""seqkit's encoder-decoder against its peers: the speed of training and of decoding, side by side on one machine.

    python benchmarks/pair_speed.py [--rounds 3] [--threads 2]
    python benchmarks/pair_speed.py --rounds 1 --pairs 6400 --sentences 200      # a quick look

All contenders read the same French and English words of tatoeba_fra_eng, 8,000 of each side (others are one word), with
a bidirectional LSTM, an LSTM that writes, Luong's general attention, all of 256 units, batches of 64 of like length;
each lives in a process of its own (``peers/worker.py``). They take turns (A B C A B C ...), so that a machine that
slows down slows all of them. The tables give medians over all measurements, and the median and range of the ratios
within a round. See ``peers/keras_pair.py`` and ``peers/torch_pair.py`` for what the peers are.

Training: ``--pairs`` of the train part, a fresh fit each turn, of which the first epoch (tracing, memory) is not
counted; target tokens a second, ends among them. seqkit also averages its weights. Decoding: beams of 5 over
``--sentences`` of the dev part, 128 of like length together, lists of tokens in and out, of at most 60 tokens; Keras'
loop, whose cost is the same for each sentence, over ``--keras-sentences``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.peers import PAIR_PEERS
from benchmarks.peers.base import epoch_seconds
from benchmarks.peers.worker import Worker, import_peer
from benchmarks.tagger_speed import machine, note, table, train_in_turns
from benchmarks.writing_speed import compared

VOCABULARY, BATCH, WIDTH, LONGEST = 8_000, 64, 5, 60
TO_REACH = {"training": {"torch": 1.2}, "decoding": {"torch": 3.0, "keras": 50.0}}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="+", choices=list(PAIR_PEERS), default=list(PAIR_PEERS))
    parser.add_argument("--rounds", type=int, default=3, help="turns that each contender gets (default 3)")
    parser.add_argument("--pairs", type=int, default=12_800, help="in an epoch (default 12,800)")
    parser.add_argument("--epochs", type=int, default=1, help="measured epochs a turn (default 1)")
    parser.add_argument("--warmup", type=int, default=1, help="epochs before them, not counted (default 1)")
    parser.add_argument("--units", type=int, default=256, help="of everything (default 256)")
    parser.add_argument("--sentences", type=int, default=2_000, help="that are decoded (default 2,000)")
    parser.add_argument("--keras-sentences", type=int, default=20, help="by the loop around predict (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="cores for each contender (default 2)")
    parser.add_argument("--json", metavar="FILE", help="write every measurement here too")
    options = parser.parse_args(arguments)
    results: dict[str, object] = {"machine": machine(options.threads), "options": vars(options)}
    note(f"starting {', '.join(options.contenders)}")
    counts = {key: options.keras_sentences if key == "keras" else options.sentences for key in options.contenders}
    workers: dict[str, Worker] = {}
    try:
        for key in options.contenders:
            make = partial(PairContender, units=options.units, sentences=counts[key])
            workers[key] = Worker(key, options.threads, options.pairs, make)
        names = {key: worker.name for key, worker in workers.items()}
        results["training"] = train_in_turns(workers, options)
        results["loss"] = {worker.name: worker.call("loss") for worker in workers.values()}
        for worker in workers.values():
            worker.call("decode")  # tracing, memory
        results["decoding"] = {key: [] for key in workers}
        for turn in range(options.rounds):
            for key, worker in workers.items():
                results["decoding"][key].append([worker.call("decode")])
                note(f"decode {turn + 1}/{options.rounds} {key}: {results['decoding'][key][-1][0]:,.1f} sentences/s")
        lengths = {worker.name: worker.call("mean_length") for worker in workers.values()}
    finally:
        for worker in workers.values():
            worker.close()
    where = results["machine"]
    print(
        f"{where['processor']}, {where['threads']} of {where['cores']} cores, load {where['load']} at the start; "
        f"{options.rounds} rounds in turn, medians; {options.pairs:,} pairs, {options.sentences:,} sentences.\n"
    )
    rows = [
        row
        for name, unit in (("training", "target tokens/s"), ("decoding", "sentences/s"))
        for row in compared(
            f"{name}, {unit}",
            results[name],
            "seqkit",
            {key: (names[key], TO_REACH[name].get(key)) for key in workers},
        )
    ]
    table(["measure", "peer", "seqkit", "the peer", "seqkit ÷ it", "in the rounds", "to reach"], rows)
    each = ", ".join(f"{name} {loss:.2f}" for name, loss in results["loss"].items())
    told = ", ".join(f"{name} {length:.2f}" for name, length in lengths.items())
    print(f"\nMean training loss of the last epoch, nats a token: {each}. Mean length of what was decoded: {told}.")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


class PairContender:
    """What a worker can be asked; the peer lives on between calls, so a later call finds the model fitted.

    Parameters
    ----------
    key : str
        A key of ``PAIR_PEERS``.
    threads : int
        Cores that it may use.
    pairs : int
        In an epoch.
    units : int
        Of everything.
    sentences : int
        That are decoded.
    """

    packages = {"torch": ["torch"]}  # noqa: RUF012

    def __init__(self, key: str, threads: int, pairs: int, *, units: int, sentences: int):
        # Here and not above, so that no library counts its threads before the worker has set them.
        import numpy as np

        from benchmarks.peers.pair_base import frequent, words
        from seqkit.datasets import load_pairs

        dev = load_pairs("tatoeba_fra_eng", "dev")[0]
        sides = [frequent(words(texts), VOCABULARY - 3) for texts in load_pairs("tatoeba_fra_eng", "train")]
        chosen = np.random.default_rng(0).permutation(len(sides[0]))[:pairs]
        # Every word stands in some pair, so that all have a vocabulary of the same size.
        self.X, self.y = ([side[i] for i in chosen] for side in sides)
        for side, every in ((self.X, sides[0]), (self.y, sides[1])):
            missing = sorted({token for row in every for token in row} - {token for row in side for token in row})
            side.extend(missing[i : i + 8] for i in range(0, len(missing), 8))
        more = abs(len(self.X) - len(self.y))
        shorter = self.X if len(self.X) < len(self.y) else self.y
        shorter.extend([shorter[0]] * more)
        rows = words(dev)
        self.asked = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))[:sentences]]
        self.told = sum(len(row) + 1 for row in self.y)
        self.make = partial(import_peer(PAIR_PEERS[key]), units=units, batch_size=BATCH)
        if key == "torch":  # the others take their threads from the environment and the affinity
            self.make = partial(self.make, threads=threads)
        self.peer = self.make()

    def train(self, epochs: int, warmup: int, seed: int) -> list[float]:
        """Return target tokens/s of each epoch after the warm-up."""
        self.peer = self.make(random_state=seed)
        seconds = epoch_seconds(self.peer.name, partial(self.peer.fit, self.X, self.y), warmup + epochs)
        return [self.told / spent for spent in seconds[warmup:]]

    def loss(self) -> float:
        """Return the mean training loss of the last epoch: shows that the measured thing learns."""
        return self.peer.loss

    def decode(self) -> float:
        """Return sentences/s."""
        started = time.perf_counter()
        self.written = self.peer.decode(self.asked, WIDTH, LONGEST)
        seconds = time.perf_counter() - started
        if len(self.written) != len(self.asked):
            raise RuntimeError("not every sentence was answered")
        return len(self.asked) / seconds

    def mean_length(self) -> float:
        """Return the mean length of what was decoded: shows that all do the same work."""
        return sum(map(len, self.written)) / len(self.written)


if __name__ == "__main__":
    main()
