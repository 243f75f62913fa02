"""seqkit's language model against its peers: the speed of training and of writing, side by side on one machine.

    python benchmarks/writing_speed.py [--rounds 5] [--threads 2]
    python benchmarks/writing_speed.py --rounds 1 --segments 4 --peer-length 5      # a quick look

All contenders read the same characters of tinyshakespeare, one-hot, with one LSTM layer of 512 units and a softmax, and
each lives in a process of its own (``peers/worker.py``). They take turns (A B C A B C ...), so that a machine that
slows down slows all of them. The tables give medians over all measurements, and the median and range of the ratios
within a round. See ``peers/keras_writer.py`` and ``peers/torch_writer.py`` for what the peers are.

Training: the text is laid out in 64 rows, read in segments of 128 characters with the state carried from one to the
next. It is cut so that all segments are full: ``--segments`` (40) to an epoch, 327,680 characters to be told. Each turn
is a fresh fit; the first epoch (tracing, memory) is not counted. The peers take an optimizer step and nothing else;
seqkit, whose other parameters stand at their defaults, also averages its weights and keeps them.

Writing: from one line break on, 1,000 characters of 1 text and of 64 texts at once, drawn at temperature 1, after a
short call that is not counted. Python strings come out. The ways that call Keras' ``predict`` are timed over fewer
characters (``--peer-length``), as each costs them the same. Only seqkit's texts can end by themselves: what was written
counts, and a call that brought less than 95 % of what was asked is taken again with another seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.peers import WRITING_PEERS
from benchmarks.peers.base import epoch_seconds
from benchmarks.peers.worker import Worker, import_peer
from benchmarks.tagger_speed import Rounds, machine, note, table, train_in_turns

BATCH, STEPS = 64, 128
TO_REACH_IN_TRAINING = {"keras": 1.8, "torch": 1.0}  # how many times as fast as a peer seqkit is to be


class Way(NamedTuple):
    """How a contender writes."""

    peer: str
    name: str
    to_reach: float | None = None
    slow: bool = False  # timed over fewer characters


WAYS = {
    "generate": Way("seqkit", "seqkit"),
    "windows": Way("keras", "Keras, predict on 128 characters (a)", 100, slow=True),
    "stateful": Way("keras", "Keras, predict on one (a')", slow=True),
    "on-batch": Way("keras", "Keras, predict_on_batch on one (a'')"),
    "lstm": Way("torch", "PyTorch, nn.LSTM (b)", 3),
    "cell": Way("torch", "PyTorch, nn.LSTMCell (b')", 3),
}


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    results: dict[str, object] = {"machine": machine(options.threads), "options": vars(options)}
    note(f"starting {', '.join(options.contenders)}")
    make = partial(WritingContender, units=options.units)
    workers: dict[str, Worker] = {}
    try:
        for key in options.contenders:
            workers[key] = Worker(key, options.threads, options.segments, make)
        heading(results["machine"], workers, options)
        rows = []
        if "train" not in options.skip:
            results["train"] = train_in_turns(workers, options)
            results["loss"] = {worker.name: worker.call("loss") for worker in workers.values()}
            marks = {key: (worker.name, TO_REACH_IN_TRAINING.get(key)) for key, worker in workers.items()}
            rows += compared("training", results["train"], "seqkit", marks)
        if "write" not in options.skip:
            results["write"] = write_in_turns(workers, options)
            marks = {way: (told.name, told.to_reach) for way, told in WAYS.items()}
            for texts, speeds in results["write"].items():
                rows += compared(f"writing, {texts:,} at once", speeds, "generate", marks)
    finally:
        for worker in workers.values():
            worker.close()
    table(["characters/s", "peer", "seqkit", "the peer", "seqkit ÷ it", "in the rounds", "to reach"], rows)
    if "loss" in results:
        each = ", ".join(f"{name} {loss:.2f}" for name, loss in results["loss"].items())
        print(f"\nMean training loss of the last epoch, nats a character: {each}.", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="+", choices=list(WRITING_PEERS), default=list(WRITING_PEERS))
    parser.add_argument("--rounds", type=int, default=5, help="turns that each contender gets (default 5)")
    parser.add_argument("--segments", type=int, default=40, help="in an epoch, 8,192 characters each (default 40)")
    parser.add_argument("--epochs", type=int, default=1, help="measured epochs a turn (default 1)")
    parser.add_argument("--warmup", type=int, default=1, help="epochs before them, not counted (default 1)")
    parser.add_argument("--units", type=int, default=512, help="of the LSTM (default 512)")
    parser.add_argument("--texts", type=int, nargs="+", default=[1, 64], help="written at once (default 1 and 64)")
    parser.add_argument("--length", type=int, default=1000, help="characters of each (default 1000)")
    parser.add_argument("--peer-length", type=int, default=50, help="those of ways that call predict (default 50)")
    parser.add_argument("--threads", type=int, default=2, help="cores for each contender (default 2)")
    parser.add_argument("--skip", nargs="+", choices=("train", "write"), default=[])
    parser.add_argument("--json", metavar="FILE", help="write every measurement here too")
    options = parser.parse_args(arguments)
    for name in ("rounds", "segments", "epochs", "units", "length", "peer_length", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, got {getattr(options, name)}")
    if min(options.texts) < 1:
        parser.error(f"--texts must be at least 1, got {min(options.texts)}")
    return options


def write_in_turns(workers: dict[str, Worker], options: argparse.Namespace) -> dict[int, Rounds]:
    """Return characters/s of every way, for each number of texts. Trains first if that was skipped."""
    if "train" in options.skip:
        for worker in workers.values():
            worker.call("train", epochs=1, warmup=0, seed=0)
    lengths = {
        way: options.peer_length if told.slow else options.length for way, told in WAYS.items() if told.peer in workers
    }
    found: dict[int, Rounds] = {}
    for texts in options.texts:
        for way, length in lengths.items():  # tracing, memory
            workers[WAYS[way].peer].call("write", way=way, texts=texts, length=min(length, 20), seed=0)
        found[texts] = {way: [] for way in lengths}
        for turn in range(options.rounds):
            for way, length in lengths.items():
                speed = workers[WAYS[way].peer].call("write", way=way, texts=texts, length=length, seed=turn)
                found[texts][way].append([speed])
                note(f"write {texts}, {turn + 1}/{options.rounds} {way}: {speed:,.0f} characters/s")
    return found


def compared(measure: str, speeds: Rounds, own: str, marks: dict[str, tuple[str, float | None]]) -> list[list[str]]:
    """Return table rows: for each peer, how many times faster seqkit is."""
    rows = []
    for key, turns in speeds.items():
        if key == own and len(speeds) > 1:
            continue
        name, mark = marks[key]
        row = [measure, name, number(speeds[own]) if own in speeds else "–", number(turns)]
        if key == own or own not in speeds:
            rows.append([*row, "–", "–", "–"])
            continue
        ratios = [
            statistics.median(mine) / statistics.median(theirs) for mine, theirs in zip(speeds[own], turns, strict=True)
        ]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        rows.append([*row, f"{statistics.median(ratios):.2f}", spread, "–" if mark is None else f"{mark:g}"])
    return rows


def number(turns: list[list[float]]) -> str:
    value = statistics.median(value for turn in turns for value in turn)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def heading(where: dict[str, object], workers: dict[str, Worker], options: argparse.Namespace) -> None:
    versions = sorted({version for worker in workers.values() for version in worker.versions})
    print("# Speed of writing\n")
    print(
        f"{where['processor']}, {where['threads']} of {where['cores']} cores, Python {where['python']}, "
        f"{', '.join(versions)}; load {where['load']} at the start. {options.rounds} rounds in turn, medians. "
        f"tinyshakespeare, one-hot, LSTM of {options.units}; training on {BATCH} × {STEPS} characters a step, "
        f"{options.segments} steps an epoch.\n",
        flush=True,
    )


class WritingContender:
    """What a worker can be asked; the peer lives on between calls, so a later call finds the model fitted.

    Parameters
    ----------
    key : str
        A key of ``WRITING_PEERS``.
    threads : int
        Cores that it may use.
    segments : int
        In an epoch.
    units : int
        Of the LSTM.
    """

    packages = {"torch": ["torch"]}  # noqa: RUF012

    def __init__(self, key: str, threads: int, segments: int, *, units: int):
        # Here and not above, so that no library counts its threads before the worker has set them.
        from seqkit.datasets import load_corpus

        self.told = BATCH * STEPS * segments
        self.text = load_corpus("tinyshakespeare")[: self.told + 1]
        if len(self.text) <= self.told:
            raise ValueError(f"{segments} segments are too many: tinyshakespeare has {len(self.text):,} characters")
        self.make = partial(import_peer(WRITING_PEERS[key]), units=units, batch_size=BATCH, steps=STEPS)
        if key == "torch":  # the others take their threads from the environment and the affinity
            self.make = partial(self.make, threads=threads)
        self.peer = self.make()

    def train(self, epochs: int, warmup: int, seed: int) -> list[float]:
        """Return training characters/s of each epoch after the warm-up."""
        self.peer = self.make(random_state=seed)
        seconds = epoch_seconds(self.peer.name, partial(self.peer.fit, self.text), warmup + epochs)
        return [self.told / spent for spent in seconds[warmup:]]

    def loss(self) -> float:
        """Return the mean training loss of the last epoch: shows that the measured thing learns."""
        return self.peer.loss

    def write(self, way: str, texts: int, length: int, seed: int) -> float:
        """Return characters/s."""
        for again in range(10):
            started = time.perf_counter()
            written = self.peer.write(way, texts, length, seed + 1000 * again)
            seconds = time.perf_counter() - started
            total = sum(map(len, written))
            if len(written) != texts or max(map(len, written)) > length or not {*"".join(written)} <= {*self.text}:
                raise RuntimeError(f"{way} did not write {texts} texts of at most {length} known characters")
            if total >= 0.95 * texts * length:
                return total / seconds
        raise RuntimeError(f"{way} wrote {total:,} characters only, of {texts} times {length}")


if __name__ == "__main__":
    main()
