"""Shards worked on by Ray: on this machine with nothing to set up, or on a cluster.

A shard is a task of Ray, which starts workers, starts others where they or their nodes die, and gives a lost shard to
one of those. Nothing but names and numbers goes through Ray: workers read and write the files themselves.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

from seqkit import __version__
from seqkit.batch.threads import use_threads
from seqkit.console import Terminated
from seqkit.errors import ParameterError, SeqkitError, require

_TRIES = 4  # times that a shard is begun, where workers or nodes die
_SILENT = 30.0  # seconds without a shard, after which it is said what is waited for
_ASK_AGAIN = 5.0  # seconds between looks at a cluster without a free CPU
_REACH = 10.0  # seconds for a cluster to answer
_STORE = 80 << 20  # bytes of shared memory for what goes through Ray, next to nothing; its least is 75 MiB


def ray_shards(job: Callable, shards: Sequence, workers: int | None, address: str | None) -> Iterator[Any]:
    """Do a job with each shard, as tasks of Ray of one CPU; give what it returns, in the order in which they are done.

    Parameters
    ----------
    job : callable
        Takes a shard; it is pickled once, and lives on in a worker.
    shards : sequence
        What it is called with.
    workers : int or None
        Shards in hand at once; None: as many as the cluster has CPUs, be they more or fewer as it goes on.
    address : str or None
        That of a cluster, ``host:port``, ``ray://host:port`` or ``auto``; None: Ray is begun on this machine, and
        stopped at the end, unless this process is connected already.

    Raises
    ------
    ParameterError
        If the cluster has fewer CPUs than ``workers``.
    SeqkitError
        If the cluster cannot be reached, or workers died four times at one shard.
    """
    ray = import_ray()
    with _connected(ray, workers, address):
        where = "Ray on this machine" if address is None else f"The Ray cluster at {address}"
        _need_cpus(ray, workers or 1, where)
        task = ray.remote(num_cpus=1, max_retries=_TRIES - 1)(_work)
        held, left, running, heard = ray.put(job), deque(shards), [], time.monotonic()
        while left or running:
            while left and len(running) < (workers or max(_cpus(ray), 1)):
                # In a list, a reference is handed on as it is: workers fetch the job once, not with each shard.
                running.append(task.remote(held.hex(), [held], __version__, left.popleft()))
            finished, running = ray.wait(running, timeout=_SILENT)
            for found in finished:
                yield _result(ray, found)
            if finished:
                heard = time.monotonic()
            else:
                _tell(
                    f"No shard was finished for {time.monotonic() - heard:.0f} s; in hand: {len(running)}. {where} has "
                    f"{_cpus(ray)} CPUs, {_cpus(ray, free=True)} of them free."
                )


def import_ray():
    """Return the package, or say how to get it."""
    return require("ray", extra="ray", why="engine='ray'")


@contextmanager
def _connected(ray, workers: int | None, address: str | None) -> Iterator[None]:
    if address is None and ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"address": address or "local", "log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to Ray's makers
        options |= {"include_dashboard": False, "num_cpus": workers, "object_store_memory": _STORE}
    else:
        _reach(address)
    stop = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except SystemExit as error:  # SIGTERM to its own handler
        raise Terminated from error
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        if address is None:
            raise SeqkitError(f"Ray cannot be begun on this machine: {reason}") from error
        raise SeqkitError(
            f"The Ray cluster at {address} cannot be joined: {reason} If it asks for a token, set RAY_AUTH_MODE=token "
            "and give the same one here (RAY_AUTH_TOKEN, or ~/.ray/auth_token). Ray and Python must be of its versions."
        ) from error
    finally:
        with suppress(ValueError):  # another thread than the main one
            signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """See whether anything answers there, since Ray takes minutes to say so."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise ParameterError(f"address must be 'host:port', 'ray://host:port' or 'auto'; got {address!r}.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH).close()
    except (OSError, OverflowError) as error:
        raise SeqkitError(
            f"No Ray cluster can be reached at {address} ({error}). Is it running, and is that the address which "
            "`ray start --head` gave?"
        ) from error


def _need_cpus(ray, workers: int, where: str) -> None:
    """See whether there are CPUs, and wait for a free one; not in silence."""
    if (cpus := _cpus(ray)) < workers:
        raise ParameterError(
            f"{where} has {cpus} CPUs, and workers={workers} need one each. Take fewer workers, or start nodes with "
            "more (ray start --num-cpus)."
        )
    told = -_SILENT
    while not _cpus(ray, free=True):
        if time.monotonic() - told >= _SILENT:
            told = time.monotonic()
            _tell(f"{where} has {cpus} CPUs, and other jobs use them all: waiting for a free one.")
        time.sleep(_ASK_AGAIN)


def _cpus(ray, free: bool = False) -> int:
    """Return how many CPUs there are. Where the head is gone nothing answers, and Ray ends the process in a minute."""
    late = Timer(_REACH, _tell, (f"Ray has not answered for {_REACH:.0f} s: is the cluster's head gone?",))
    late.daemon = True
    late.start()
    try:
        return int((ray.available_resources() if free else ray.cluster_resources()).get("CPU", 0))
    finally:
        late.cancel()


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _result(ray, found) -> Any:
    try:
        return ray.get(found)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ImportError):
            raise SeqkitError(
                f"A worker of Ray at {error.ip} cannot import what it needs ({cause}). All nodes need seqkit."
            ) from error
        raise cause from None
    except ray.exceptions.RayError as error:
        raise SeqkitError(
            f"Ray gave up a shard: it was begun {_TRIES} times, and its worker died each time (out of memory?); "
            f"{' '.join(str(error).split())} Take fewer rows in a shard; what is done is kept, and the same call goes "
            "on from there."
        ) from error


_jobs: dict[str, Callable] = {}  # in a worker: the job that it has, by its reference


def _work(key: str, held: list, version: str, shard: Any) -> Any:
    if key not in _jobs:
        if version != __version__:
            raise SeqkitError(
                f"The node {platform.node()} has seqkit {__version__}, and this one {version}. All need the same."
            )
        import ray

        use_threads(1)
        _jobs.clear()
        _jobs[key] = ray.get(held[0])
    return _jobs[key](shard)
