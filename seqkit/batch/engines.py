"""Where shards are worked on: in this process, or in several."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from seqkit.errors import ParameterError, SeqkitError

ENGINES = ("local", "processes")
_TRIES = 3  # times that workers may die without a shard being finished


def run_shards(job: Callable, shards: Sequence, engine: str, workers: int | None) -> Iterator[Any]:
    """Do a job with each shard; give what it returns, in the order in which they are done."""
    if engine == "local":
        yield from map(job, shards)
    elif engine == "processes":
        yield from _in_processes(job, shards, workers or os.cpu_count() or 1)
    else:
        raise ParameterError(f"engine must be one of {', '.join(map(repr, ENGINES))}; got {engine!r}.")


def _in_processes(job: Callable, shards: Sequence, workers: int) -> Iterator[Any]:
    """Spawned, not forked: a fork of a process that has TensorFlow hangs. A shard whose worker dies is done anew."""
    import multiprocessing

    left, failures = dict(enumerate(shards)), 0
    while left:
        context = multiprocessing.get_context("spawn")
        threads = max((os.cpu_count() or 1) // workers, 1)
        pool = ProcessPoolExecutor(min(workers, len(left)), context, _start, (job, threads))
        try:
            for number, found in _window(pool, left, 2 * workers):
                del left[number]
                failures = 0
                yield found
        except BrokenProcessPool as error:
            failures += 1
            if failures == _TRIES:
                raise SeqkitError(
                    f"Worker processes died {_TRIES} times without finishing a shard (out of memory?). Take fewer "
                    "workers or fewer rows in a shard; what is done is kept, and the same call goes on from there."
                ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _window(pool: ProcessPoolExecutor, shards: dict[int, Any], size: int) -> Iterator[tuple[int, Any]]:
    """Keep a few shards ahead of the workers, so that not all are queued at once."""
    waiting, running = iter(list(shards.items())), {}

    def submit() -> None:
        if (following := next(waiting, None)) is not None:
            number, shard = following
            future: Future = pool.submit(_work, shard)
            running[future] = number

    for _ in range(size):
        submit()
    while running:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            number = running.pop(future)
            submit()
            yield number, future.result()


_job: Callable | None = None


def _start(job: Callable, threads: int) -> None:
    """Prepare a worker: it leaves Ctrl-C to the process that began it, and takes its share of the cores."""
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _job = job


def _work(shard: Any) -> Any:
    return _job(shard)
