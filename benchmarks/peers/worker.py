"""One contender in a process of its own, started once and driven by messages.

TensorFlow and PyTorch each keep a thread pool; in one process they would fight for the cores and load each other's
OpenMP. A worker that waits for its turn sleeps on a pipe.
"""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.peers.data import load_mit_movie
from benchmarks.peers.scoring import entity_f1


class Worker:
    """The driver's handle: ``worker.call("train", epochs=2)`` runs ``Contender.train(epochs=2)`` in the process.

    Parameters
    ----------
    key : str
        A key of ``PEERS``.
    threads : int
        Cores that the process may use.
    sentences : int or None
        Train on so many sentences only.
    contender : callable or None
        Makes what the process asks, from the three above; None: `Contender`. The process gets it pickled, before the
        threads are set: its module must not import a framework.
    alone : bool
        Whether the process begins no others; it is then ended with this one, whatever happens.
    """

    def __init__(
        self, key: str, threads: int, sentences: int | None, contender: Callable | None = None, alone: bool = True
    ):
        context = multiprocessing.get_context("spawn")
        self.key = key
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, key, threads, sentences, contender or Contender), daemon=alone
        )
        self._process.start()
        other.close()
        self.name, self.versions = self._answer()

    def call(self, method: str, **arguments: Any) -> Any:
        """Run a method of the contender and wait for what it returns."""
        self._pipe.send((method, arguments))
        return self._answer()

    def close(self) -> None:
        """Let the process end."""
        self._pipe.close()
        self._process.join(timeout=30)
        if self._process.is_alive():
            self._process.terminate()

    def _answer(self) -> Any:
        try:
            fine, value = self._pipe.recv()
        except EOFError:
            self._process.join(timeout=30)
            raise RuntimeError(f"the worker {self.key!r} died (exit code {self._process.exitcode})") from None
        if not fine:
            raise RuntimeError(f"the worker {self.key!r} failed:\n{value}")
        return value


class Contender:
    """What a worker can be asked; the peer lives on between calls, so a later call finds the model fitted."""

    #: Distributions whose versions the heading names, where they are not TensorFlow and Keras.
    packages: Mapping[str, list[str]] = {"torch": ["torch", "pytorch-crf"], "features": ["sklearn-crfsuite"]}

    def __init__(self, key: str, threads: int, sentences: int | None):
        self.make = import_peer(PEERS[key])
        if key == "torch":  # the others take their threads from the environment and the affinity
            self.make = partial(self.make, threads=threads)
        self.data = load_mit_movie(sentences)
        self.peer = self.make()

    def train(self, epochs: int, warmup: int, seed: int) -> list[float]:
        """Return training tokens/s of each epoch after the warm-up."""
        self.peer = self.make(random_state=seed)
        return self.peer.train_tokens_per_second(*self.data.train, epochs=epochs, warmup=warmup)

    def dev_f1(self) -> float:
        """Return dev F1 of the model as it stands: shows that the measured thing learns."""
        X, y = self.data.dev
        return entity_f1(y, self.peer.predict(X))

    def predict(self) -> float:
        """Return sentences/s over the test set, token lists in, tag lists out."""
        X = self.data.test[0]
        started = time.perf_counter()
        tags = self.peer.predict(X)
        seconds = time.perf_counter() - started
        if [len(row) for row in tags] != [len(row) for row in X] or not isinstance(tags[0][0], str):
            raise RuntimeError("predict did not return one tag a token")
        return len(X) / seconds

    def timeline(self, epochs: int | None, seed: int) -> list[tuple[float, float]]:
        """Return (seconds, dev F1) after each epoch of a fresh fit."""
        self.peer = self.make(random_state=seed)
        return [tuple(reached) for reached in self.peer.timeline(self.data.train, self.data.dev, epochs)]

    def stream(self, sentences: int) -> dict[str, Any]:
        """Send the test set, repeated, through ``predict_iter`` and watch the resident memory."""
        X = self.data.test[0]
        expected = self.peer.predict(X)
        every = max(sentences // 200, 1)
        samples = [(0, resident_mib())]
        differing = count = 0
        started = time.perf_counter()
        for tags, wanted in zip(
            self.peer.predict_iter(repeated(X, sentences)), itertools.cycle(expected), strict=False
        ):
            count += 1
            differing += tags != wanted
            if count % every == 0:
                samples.append((count, resident_mib()))
        seconds = time.perf_counter() - started
        if count != sentences:
            raise RuntimeError(f"predict_iter gave {count} answers to {sentences} sentences")
        return {"seconds": seconds, "sentences": count, "differing": differing, "memory_mib": samples}


def import_peer(path: str) -> Callable:
    """Return the class at ``"module:name"``."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def repeated(X: list[list[str]], count: int) -> Iterator[list[str]]:
    """Yield ``count`` sentences, fresh lists each, so that keeping them would show in memory."""
    return map(list, itertools.islice(itertools.cycle(X), count))


def resident_mib() -> float:
    """Return this process's resident memory (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _serve(pipe: Connection, key: str, threads: int, sentences: int | None, make: Callable) -> None:
    # Before any framework is imported: all of them read these, and the affinity binds what does not.
    os.environ.update({"OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "2"})
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        contender = make(key, threads, sentences)
        pipe.send((True, (contender.peer.name, _versions(contender.packages.get(key, ["tensorflow", "keras"])))))
    except BaseException:
        pipe.send((False, traceback.format_exc()))
        return
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(contender, method)(**arguments)))
        except Exception:
            pipe.send((False, traceback.format_exc()))


def _versions(packages: list[str]) -> list[str]:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # installed under another distribution's name, such as tensorflow-cpu
            continue
    return found
