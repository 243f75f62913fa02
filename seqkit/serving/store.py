"""Versions of models: found in folders, loaded while others answer, dropped when no request needs them any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from seqkit.errors import ModelFileError, ParameterError, SeqkitError, ServingError
from seqkit.export.manifest import version_folders
from seqkit.export.runtime import Runtime, RuntimeModelError, SavedModelFile
from seqkit.export.safety import check_ops
from seqkit.export.warmup import read_warmup

#: The names of gRPC's status codes, which are TensorFlow's, by their numbers.
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


class ModelConfig(NamedTuple):
    """A model to serve: its folder of versions, and which of them.

    Attributes
    ----------
    name : str
        What clients call it.
    path : Path
        The folder of versions.
    versions : tuple of int
        The versions to serve; none for the latest ones.
    latest : int
        So many of the latest; 0 for all.
    labels : mapping of str to int
        Names of versions, such as ``stable``.
    """

    name: str
    path: Path
    versions: tuple[int, ...] = ()
    latest: int = 1
    labels: Mapping[str, int] = MappingProxyType({})

    def wanted(self) -> dict[int, Path]:
        """Return the folders of the versions to serve, those that there are."""
        there = version_folders(self.path)
        if self.versions:
            return {version: path for version, path in there.items() if version in self.versions}
        return dict(list(there.items())[-self.latest :])


@dataclass
class Served:
    """A version of a model: ``state`` as TensorFlow Serving names it, and what went wrong, if something did."""

    name: str
    version: int
    path: Path
    state: str = "START"
    code: int = 0
    message: str = ""
    runtime: Runtime | None = None
    users: int = 0
    written: int = 0  # when its graph was


class ModelStore:
    """The models that a server answers with.

    Parameters
    ----------
    models : sequence of ModelConfig, or callable
        What to serve; a function is asked again at each `refresh`.
    allow_ops : sequence of str
        Ops that touch files or processes and may be run all the same.
    tell : callable
        Takes a line on what was loaded, dropped or refused.
    """

    def __init__(
        self,
        models: Sequence[ModelConfig] | Callable[[], Sequence[ModelConfig]],
        *,
        allow_ops: Sequence[str] = (),
        tell: Callable[[str], None] = lambda line: None,
    ):
        self._models = models if callable(models) else lambda: models
        self._allow_ops, self._tell = tuple(allow_ops), tell
        self._configs: dict[str, ModelConfig] = {}
        self._served: dict[str, dict[int, Served]] = {}
        self._lock, self._refreshing = threading.Lock(), threading.Lock()

    def refresh(self) -> None:
        """Load the versions that are to be served and are not; then drop the others, when no request uses them.

        A version that does not load is told once, and tried again when its file is another; those before it stay.

        Raises
        ------
        SeqkitError, OSError
            If it cannot be told what is to be served; then all stays as it is.
        """
        with self._refreshing:
            configs = {config.name: config for config in self._models()}
            wanted = {name: config.wanted() for name, config in configs.items()}
            with self._lock:
                for name in configs:
                    self._served.setdefault(name, {})
            for name, versions in wanted.items():
                for version, path in versions.items():
                    before, written = self._served[name].get(version), _written(path)
                    if before is None or (before.state == "END" and (not before.code or before.written != written)):
                        self._load(Served(name, version, path, written=written))
            with self._lock:
                self._configs = configs  # labels move when the versions are there that they name
            for name in self._served:
                self._retire(name, set(wanted.get(name, ())))

    def configure(self, models: Sequence[ModelConfig]) -> None:
        """Serve these models from now on."""
        self._models = lambda: models
        self.refresh()

    @contextmanager
    def using(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[Served]:
        """Hold a version of a model, the latest one unless another is asked for; it stays loaded for so long."""
        with self._lock:
            served = self._find(name, version, label)
            served.users += 1
        try:
            yield served
        finally:
            with self._lock:
                served.users -= 1
                unused = served if served.state == "UNLOADING" and not served.users else None
            if unused:
                self._close(unused)

    def status(self, name: str, version: int | None = None, label: str | None = None) -> list[Served]:
        """Return the versions of a model, the latest first."""
        with self._lock:
            version = self._labelled(name, label) if label is not None else version
            there = self._served.get(name, {})
            found = [there[v] for v in sorted(there, reverse=True) if version in (None, v)]
        if not found:
            what = "any versions" if version is None else f"version {version}"
            raise ServingError(f"Could not find {what} of model {name}", "NOT_FOUND")
        return found

    def available(self) -> list[Served]:
        """Return what can be asked."""
        with self._lock:
            return [one for there in self._served.values() for one in there.values() if one.state == "AVAILABLE"]

    def close(self) -> None:
        """Drop all models; those in use when their last request is answered."""
        for name in list(self._served):
            self._retire(name, set())

    def _find(self, name: str, version: int | None, label: str | None) -> Served:
        if label is not None:
            version = self._labelled(name, label)
        there = {v: one for v, one in self._served.get(name, {}).items() if one.state == "AVAILABLE"}
        if version is None and there:
            version = max(there)
        if version not in there:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServingError(f"Servable not found for request: {asked}", "NOT_FOUND")
        return there[version]

    def _labelled(self, name: str, label: str) -> int:
        labels = self._configs[name].labels if name in self._configs else {}
        if label not in labels:
            raise ServingError(f"Unrecognized servable version label: {label}", "INVALID_ARGUMENT")
        return labels[label]

    def _load(self, served: Served) -> None:
        with self._lock:
            self._served[served.name][served.version] = served
            served.state = "LOADING"
        runtime = None
        try:
            check_ops(SavedModelFile(served.path), served.path, self._allow_ops)
            runtime = Runtime(served.path)
            for signature, requests in read_warmup(served.path).items():
                for request in requests:
                    runtime.run(signature, request)
        except (RuntimeModelError, SeqkitError, OSError) as error:
            if runtime is not None:
                runtime.close()
            with self._lock:
                served.state, served.code, served.message = "END", getattr(error, "code", 3), str(error)
            self._tell(f"{served.name}, version {served.version}: not served. {error}")
            return
        with self._lock:
            served.runtime, served.state = runtime, "AVAILABLE"
        self._tell(f"{served.name}, version {served.version}: served from {served.path}")

    def _retire(self, name: str, keep: set[int]) -> None:
        with self._lock:
            others = [one for version, one in self._served[name].items() if version not in keep]
            if keep and not any(one.state == "AVAILABLE" for v, one in self._served[name].items() if v in keep):
                return  # the new ones failed: those before them stay
            for one in others:
                if one.state == "AVAILABLE":
                    one.state = "UNLOADING"
            unused = [one for one in others if one.state == "UNLOADING" and not one.users]
        for one in unused:
            self._close(one)

    def _close(self, served: Served) -> None:
        with self._lock:
            runtime, served.runtime, served.state = served.runtime, None, "END"
        if runtime is not None:
            runtime.close()
            self._tell(f"{served.name}, version {served.version}: no longer served")


def _written(path: Path) -> int:
    try:
        return (path / "saved_model.pb").stat().st_mtime_ns
    except OSError:
        return 0


def models_in(root: str | Path) -> list[ModelConfig]:
    """Return the models of a folder: each of its folders that has versions; or itself, if it has versions.

    Raises
    ------
    ModelFileError
        If there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise ModelFileError(f"{root}: no such folder; give one of exported models, such as saved_models")
    if (root / "saved_model.pb").is_file():
        raise ParameterError(f"{root} is one version; give the folder of its versions, {root.absolute().parent}")
    if version_folders(root):
        return [ModelConfig(root.absolute().name, root)]
    return [ModelConfig(folder.name, folder) for folder in sorted(root.iterdir()) if version_folders(folder)]
