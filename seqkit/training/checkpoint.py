"""The state of a training run on disk, after each epoch."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np

_FILE = "training.npz"


class Checkpoint:
    """One training run's state in a folder, under a fingerprint of what is trained on what.

    The file is written beside and renamed, so that a kill at any moment leaves the last whole epoch. A file with
    another fingerprint, or of a finished run, is not resumed and is overwritten.

    Parameters
    ----------
    folder : str or os.PathLike
        Where to write ``training.npz``.
    fingerprint : str
        From `fingerprint`.
    devices : seqkit.training.strategies.OneDevice or None
        What trains. Of several workers the chief alone reads and writes the file, and tells the others what it read.
    """

    def __init__(self, folder: str | os.PathLike, fingerprint: str, devices=None):
        self.path = Path(folder) / _FILE
        self.fingerprint = fingerprint
        self.devices = devices
        self.last: dict | None = None

    def write(self, state: dict, finished: bool = False) -> None:
        """Write ``{"history": …, "arrays": {name: [arrays]}}``, whole or not at all."""
        self.last = state
        if self.devices is not None and not self.devices.is_chief:
            return
        header = {
            "fingerprint": self.fingerprint,
            "finished": finished,
            "history": state["history"],
            "counts": {name: len(arrays) for name, arrays in state["arrays"].items()},
        }
        arrays = {f"{name}.{i}": a for name, values in state["arrays"].items() for i, a in enumerate(values)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{_FILE}.{os.getpid()}")
        try:
            with open(temporary, "wb") as file:
                np.savez(file, header=np.array(json.dumps(header)), **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)

    def read(self) -> dict | None:
        """Return the state to resume, or None."""
        content = self._content() if self.devices is None else self.devices.bytes_from_chief(self._content)
        if not content:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                if header["fingerprint"] != self.fingerprint or header["finished"]:
                    return None
                arrays = {name: [file[f"{name}.{i}"] for i in range(count)] for name, count in header["counts"].items()}
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None  # not a checkpoint of ours: start afresh
        return {"history": header["history"], "arrays": arrays}

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError:
            return b""

    def read_seed(self) -> int | None:
        """Return the seed of the run to resume, or None."""
        state = self.read()
        return int(state["arrays"]["seed"][0]) if state else None

    def finish(self) -> None:
        """Mark the run as finished; it keeps no arrays."""
        history = self.last["history"] if self.last else {}
        self.write({"history": history, "arrays": {}}, finished=True)


def fingerprint(*parts: object) -> str:
    """Hash parameters and data: arrays and bytes by content, everything else by its JSON form."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = part.dtype.str.encode() + repr(part.shape).encode() + np.ascontiguousarray(part).tobytes()
        elif not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True, default=repr).encode()
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
