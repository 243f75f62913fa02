"""A local server of exported models that speaks TensorFlow Serving's protocols, for development and tests.

Models run in TensorFlow's C++ runtime, the one that TensorFlow Serving is built on. What a production server is for is
TensorFlow Serving's: requests of many clients in one batch, many cores, metrics, encryption.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from seqkit.errors import ParameterError, SeqkitError, ServingError, require
from seqkit.serving.rest import RestApp
from seqkit.serving.settings import MODELS, read_models
from seqkit.serving.store import ModelStore, models_in


class Server:
    """Serves the models of a folder until it is stopped; a version folder that appears is loaded.

    Parameters
    ----------
    root : str or Path
        The folder of the models, or of the versions of one. Where it has a ``models.config``, that says what is served;
        else it is the latest version of each.
    host : str, default="127.0.0.1"
        The address to listen at; only this machine can reach the default.
    rest_port : int or None, default=8501
        The port of REST; 0 for a free one, None for no REST.
    grpc_port : int or None, default=8500
        The port of gRPC, likewise. gRPC needs tensorflow-serving-api, and imports TensorFlow.
    config : str, Path or None, default=None
        Another ``models.config``.
    allow_ops : sequence of str, default=()
        Ops that touch files or processes and may be run all the same.
    poll_seconds : float, default=1.0
        How often the folders are looked at.
    threads : int or None, default=None
        How many requests are answered at once; None for four for each core.
    tell : callable, optional
        Takes a line on what was loaded, dropped or refused.

    Attributes
    ----------
    rest_url : str or None
        Such as ``"http://127.0.0.1:8501"``.
    grpc_url : str or None
        Such as ``"grpc://127.0.0.1:8500"``.

    Examples
    --------
    >>> with Server("saved_models", rest_port=0, grpc_port=None) as server:  # doctest: +SKIP
    ...     Client(f"{server.rest_url}/v1/models/ner").predict(["Amara Okonjo flew to Lisbon."])
    """

    def __init__(
        self,
        root: str | Path,
        *,
        host: str = "127.0.0.1",
        rest_port: int | None = 8501,
        grpc_port: int | None = 8500,
        config: str | Path | None = None,
        allow_ops: Sequence[str] = (),
        poll_seconds: float = 1.0,
        threads: int | None = None,
        tell: Callable[[str], None] = lambda line: None,
    ):
        if rest_port is None and grpc_port is None:
            raise ParameterError("rest_port and grpc_port are both None: nothing would be served.")
        self.root, self.host = Path(root), host
        self.rest_url = self.grpc_url = None
        self._ports, self._poll = (rest_port, grpc_port), poll_seconds
        self._config = Path(config) if config is not None else None
        self._threads = threads or 4 * (os.cpu_count() or 1)
        self.store = ModelStore(self._models, allow_ops=allow_ops, tell=tell)
        self._tell, self._stop, self._ends = tell, threading.Event(), contextlib.ExitStack()

    def _models(self):
        file = self._config or self.root / MODELS
        return read_models(file) if self._config or file.exists() else models_in(self.root)

    def start(self) -> Server:
        """Load the models, then listen.

        Raises
        ------
        SeqkitError
            If there is no such folder, a file of settings is damaged, or a port is taken.
        """
        with contextlib.ExitStack() as ends:
            ends.callback(self.store.close)
            self.store.refresh()
            rest, grpc = self._ports
            if rest is not None:
                self.rest_url = f"http://{self.host}:{self._start_rest(ends, rest)}"
            if grpc is not None:
                self.grpc_url = f"grpc://{self.host}:{self._start_grpc(ends, grpc)}"
            watcher = threading.Thread(target=self._watch, name="versions", daemon=True)
            watcher.start()
            ends.callback(watcher.join)
            ends.callback(self._stop.set)
            self._ends = ends.pop_all()
        return self

    def stop(self) -> None:
        """Answer the requests that have come, then end."""
        self._ends.close()

    def __enter__(self) -> Server:
        """Start."""
        return self.start()

    def __exit__(self, *_):
        """Stop."""
        self.stop()

    def _watch(self) -> None:
        told = ""
        while not self._stop.wait(self._poll):
            try:
                self.store.refresh()
                told = ""
            except (SeqkitError, OSError) as error:  # such as a file of settings that somebody is still writing
                if str(error) != told:
                    told = str(error)
                    self._tell(told)

    def _start_rest(self, ends: contextlib.ExitStack, port: int) -> int:
        uvicorn = require("uvicorn", extra="serving", why="The REST server")
        pool = ends.enter_context(ThreadPoolExecutor(self._threads, "rest"))
        listening = ends.enter_context(socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, port))
            listening.listen(1024)  # at once: who connects before uvicorn is ready waits for it
        except OSError as error:
            raise ServingError(
                f"{self.host}:{port} (REST) cannot be listened at: {error.strerror}. Choose another rest_port.",
                "UNAVAILABLE",
            ) from error
        config = uvicorn.Config(
            RestApp(self.store, pool),
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="rest", daemon=True)
        thread.start()

        def end():
            server.should_exit = True
            thread.join()

        ends.callback(end)
        return listening.getsockname()[1]

    def _start_grpc(self, ends: contextlib.ExitStack, port: int) -> int:
        require("tensorflow_serving.apis", extra="serving", why="The gRPC server")
        from seqkit.serving.rpc import make_server

        pool = ends.enter_context(ThreadPoolExecutor(self._threads, "grpc"))
        try:
            server, port = make_server(self.store, self.root, pool, f"{self.host}:{port}")
        except RuntimeError as error:
            raise ServingError(
                f"{self.host}:{port} (gRPC) cannot be listened at: {error}. Choose another grpc_port.", "UNAVAILABLE"
            ) from error
        server.start()
        ends.callback(lambda: server.stop(grace=30).wait())
        return port
