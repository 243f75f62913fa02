"""Train one peer alone: ``python -m benchmarks.peers torch --epochs 16``."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from benchmarks.peers import PEERS
from benchmarks.peers.data import load_mit_movie
from benchmarks.peers.scoring import entity_f1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("peer", choices=sorted(PEERS))
    parser.add_argument("--epochs", type=int, default=16, help="epochs (L-BFGS iterations for the feature CRF)")
    parser.add_argument("--sentences", type=int, help="train on so many sentences only")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="a parameter of the peer")
    parser.add_argument("--test", action="store_true", help="score on test as well, at the end")
    options = parser.parse_args()

    train, dev, test = load_mit_movie(options.sentences)
    parameters = {name: _number(value) for name, _, value in (item.partition("=") for item in options.set)}
    module, _, name = PEERS[options.peer].partition(":")
    peer = getattr(importlib.import_module(module), name)(**parameters)
    tokens = sum(map(len, train[0]))

    def report(epoch: int, seconds: float) -> None:
        line = f"epoch {epoch:3d}  {seconds:7.2f} s  {tokens / seconds:8.0f} tokens/s"
        if peer.watchable:
            line += f"  dev F1 {entity_f1(dev[1], peer.predict(dev[0])):.2f}"
        print(line, flush=True)

    started = time.perf_counter()
    peer.fit(*train, options.epochs, on_epoch=report)
    print(f"fit, with what it printed: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    print(f"{peer.name}: dev F1 {entity_f1(dev[1], peer.predict(dev[0])):.2f}")
    if options.test:
        started = time.perf_counter()
        tags = peer.predict(test[0])
        seconds = time.perf_counter() - started
        print(f"{peer.name}: test F1 {entity_f1(test[1], tags):.2f}, {len(tags) / seconds:.0f} sentences/s")


def _number(text: str) -> float | int:
    return int(text) if text.lstrip("-").isdigit() else float(text)


if __name__ == "__main__":
    main()
