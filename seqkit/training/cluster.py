"""Which workers train together: what the environment variable ``TF_CONFIG`` says."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import closing
from typing import NamedTuple

from seqkit.console import note
from seqkit.errors import ParameterError, TrainingError

_PATIENCE = 600.0  # seconds to wait for the other workers
_EXAMPLE = '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}'


class Cluster(NamedTuple):
    """The addresses of all workers, and which of them this process is. The first one is the chief."""

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.index == 0


def read_cluster(text: str | None = None) -> Cluster:
    """Read the cluster of ``strategy="multi_worker"``.

    Parameters
    ----------
    text : str or None
        JSON as in ``TF_CONFIG``; None: that variable.

    Returns
    -------
    Cluster

    Raises
    ------
    ParameterError
        If there is none, or it does not say what it must.
    """
    text = os.environ.get("TF_CONFIG") if text is None else text
    if not text:
        raise ParameterError(
            "strategy='multi_worker' needs the environment variable TF_CONFIG, which names all workers and this one, "
            f"for example {_EXAMPLE}; it is not set. Set it in each worker, or use strategy=None."
        )
    try:
        config = json.loads(text)
        task, cluster = config["task"], config["cluster"]
        jobs = {job: addresses for job, addresses in cluster.items() if addresses}
        kind, index = task["type"], task["index"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _broken(f"it cannot be read ({type(error).__name__}: {error})", text) from None
    strange = sorted(set(jobs) - {"chief", "worker"})
    if strange:
        raise _broken(
            f"its cluster has the jobs {', '.join(map(repr, strange))}; only 'worker' and 'chief' train", text
        )
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not all(isinstance(a, str) and _is_address(a) for a in addresses):
            raise _broken(f"the {job!r} addresses must be a list of strings 'host:port', got {addresses!r:.80}", text)
    chiefs, others = jobs.get("chief", []), jobs.get("worker", [])
    workers = (*chiefs, *others)
    if len(set(workers)) < len(workers):
        raise _broken("two workers have the same address", text)
    if len(chiefs) > 1:
        raise _broken(f"there can be one chief, got {len(chiefs)}", text)
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(jobs.get(kind, [])):
        raise _broken(f"its task is {kind!r} number {index!r}, which its cluster does not have", text)
    return Cluster(workers, index + (len(chiefs) if kind == "worker" else 0))


def is_chief() -> bool:
    """Whether this process is the worker that is to save, export and print; True where ``TF_CONFIG`` is not set."""
    return not os.environ.get("TF_CONFIG") or read_cluster().is_chief


def meet(cluster: Cluster, patience: float = _PATIENCE) -> None:
    """Wait until every worker can be reached.

    TensorFlow would wait for ever, deaf to Ctrl-C and to any word of what it waits for.

    Parameters
    ----------
    cluster : Cluster
        The workers.
    patience : float
        Seconds to wait.

    Raises
    ------
    ParameterError
        If this worker's port is taken.
    TrainingError
        If another one does not come.
    """
    end, own = time.monotonic() + patience, cluster.workers[cluster.index]
    try:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        listening = socket.create_server(("", int(own.rpartition(":")[2])), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise ParameterError(
            f"Worker {cluster.index} cannot listen at {own}, as TF_CONFIG says: {error}. End what uses this port, or "
            "give it another one in every worker's TF_CONFIG."
        ) from None
    with closing(listening):  # until here; then TensorFlow listens, so that who comes later finds someone too
        for number, address in enumerate(cluster.workers):
            if number == cluster.index or _answers(address):
                continue
            note(f"worker {cluster.index} waits for worker {number} at {address}")
            while not _answers(address):
                if time.monotonic() > end:
                    raise TrainingError(
                        f"Worker {cluster.index} waited {patience:.0f} s for worker {number} at {address}, which did "
                        "not come. Start all workers of TF_CONFIG, and see that they reach each other."
                    )
                time.sleep(1.0)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


def _broken(what: str, text: str) -> ParameterError:
    return ParameterError(f"TF_CONFIG={text!r:.200}: {what}. Expected for example {_EXAMPLE}.")
