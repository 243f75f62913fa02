"""Where shards are worked on: in this process, in several, or by Ray."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import Any

from seqkit.batch.threads import use_threads
from seqkit.errors import ParameterError, SeqkitError

ENGINES = ("local", "processes", "ray")
_TRIES = 3  # times that workers may die without a shard being finished


def check_engine(engine: str, workers: int | None, address: str | None) -> None:
    """See whether there is such an engine, before any work is done.

    Raises
    ------
    ParameterError
        If a parameter has a value that it cannot have.
    MissingDependencyError
        If the engine is not installed.
    """
    if engine not in ENGINES:
        raise ParameterError(f"engine must be one of {', '.join(map(repr, ENGINES))}; got {engine!r}.")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ParameterError(f"workers must be an integer of at least 1, or None; got {workers!r}.")
    if address is not None and engine != "ray":
        raise ParameterError(f"address is that of a Ray cluster; got {address!r} and engine={engine!r}, not 'ray'.")
    if engine == "ray":
        from seqkit.batch.ray_engine import import_ray

        import_ray()


def run_shards(
    job: Callable, shards: Sequence, engine: str, workers: int | None, address: str | None = None
) -> Iterator[Any]:
    """Do a job with each shard; give what it returns, in the order in which they are done."""
    if not shards:
        return
    if engine == "processes":
        yield from _in_processes(job, shards, workers or os.cpu_count() or 1)
    elif engine == "ray":
        from seqkit.batch.ray_engine import ray_shards

        yield from ray_shards(job, shards, workers, address)
    else:
        yield from map(job, shards)


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
        except (KeyboardInterrupt, GeneratorExit):
            print("Stopping: the shards in hand are finished first.", file=sys.stderr, flush=True)
            raise
        finally:
            pool.shutdown(cancel_futures=True)


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
    """Prepare a worker: it leaves Ctrl-C to its parent, dies with it, and takes its share of the cores."""
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_die_with_parent, daemon=True).start()
    use_threads(threads)
    _job = job


def _die_with_parent() -> None:
    """End this process when the one that began it is killed: it would wait for shards for ever."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(shard: Any) -> Any:
    return _job(shard)
