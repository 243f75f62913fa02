"""Where a public data set lies on this machine; downloads it, with checksums, if it is nowhere."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

from seqkit.datasets.catalogue import Dataset, RemoteFile, get_dataset
from seqkit.errors import DataError

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 16


def find(name: str, *, download: bool = True) -> Path:
    """Folder of a public data set.

    The first of these that exists: ``$SEQKIT_DATA/<name>``; ``<name>`` in the cache, which is ``seqkit`` under
    ``$XDG_CACHE_HOME`` or ``~/.cache``. Otherwise the files are downloaded into the cache: each is checked, and the
    folder appears only once all are there.

    Parameters
    ----------
    name : str
        Name in the catalogue, such as ``"wnut17"``.
    download : bool, default=True
        False: raise instead of downloading.

    Returns
    -------
    Path
        The folder. A file in it may be stored as ``<file>.gz``: see `stored_file`.

    Raises
    ------
    ParameterError
        If the catalogue has no such set.
    DataError
        If the set is not here and cannot be downloaded, if a download has the wrong checksum, or if the folder in
        ``SEQKIT_DATA`` lacks a file.
    """
    entry = get_dataset(name)
    local = _local_folder(name)
    if local is not None and local.is_dir():
        for file in entry.files:
            stored_file(local, file.name)
        return local
    cached = cache_folder() / name
    if not _missing(entry, cached):
        return cached
    if not download:
        raise DataError(
            f"Data set {name!r} is not on this machine: {_looked(name)}. Call find({name!r}) to download it."
        )
    _download(entry, cached)
    return cached


def cache_folder() -> Path:
    """Folder that downloads go to: ``$XDG_CACHE_HOME/seqkit``, or ``~/.cache/seqkit``."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rule: a relative path there is invalid and to be ignored.
    return (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "seqkit"


def stored_file(folder: str | os.PathLike, file: str) -> Path:
    """Path of one file of a data set, plain or with ``.gz`` behind its name.

    Raises
    ------
    DataError
        If the folder has neither.
    """
    plain = Path(folder) / file
    for path in (plain, plain.with_name(plain.name + ".gz")):
        if path.is_file():
            return path
    raise DataError(
        f"{os.fspath(folder)} has no file {file!r} (nor {file + '.gz'!r}). Add it, or remove the folder so that the "
        "whole data set is downloaded."
    )


def verify(name: str, folder: str | os.PathLike | None = None) -> Path:
    """Compare every file of a data set with its checksum.

    Parameters
    ----------
    name : str
        Name in the catalogue.
    folder : path or None, default=None
        Folder to check; None checks what `find` finds, and downloads nothing.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        If a file is missing, damaged or not the one the catalogue knows.
    """
    entry = get_dataset(name)
    folder = find(name, download=False) if folder is None else Path(folder)
    for file in entry.files:
        path = stored_file(folder, file.name)
        digest = hashlib.sha256()
        try:
            with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: damaged gzip data ({error}). Fetch the file anew.") from error
        if digest.hexdigest() != file.sha256:
            raise DataError(
                f"{path}: sha256 of its (uncompressed) content is {digest.hexdigest()}, expected {file.sha256}. "
                f"The file is not the one in {entry.source}; replace it, or remove the folder to have it downloaded."
            )
    return folder


def _local_folder(name: str) -> Path | None:
    root = os.environ.get("SEQKIT_DATA")
    return Path(root).expanduser() / name if root else None


def _looked(name: str) -> str:
    local = _local_folder(name)
    first = f"there is no folder {local} (SEQKIT_DATA)" if local else "SEQKIT_DATA is not set"
    return f"{first}, and {cache_folder() / name} is not there or not complete"


def _missing(entry: Dataset, folder: Path) -> list[str]:
    return [file.name for file in entry.files if not (folder / file.name).is_file()]


def _download(entry: Dataset, folder: Path) -> None:
    """Fetch all files beside `folder`, then rename: other processes see all of it or nothing."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=folder.parent))
    except OSError as error:
        raise DataError(
            f"Data set {entry.name!r} cannot be stored in {folder.parent}: {error}. Make that folder writable, or set "
            "XDG_CACHE_HOME to another."
        ) from error
    try:
        for file in entry.files:
            _download_file(entry, file, temporary / file.name)
        temporary.chmod(0o755)  # mkdtemp gives 0o700; a cache shared on purpose should be readable
        _move_into_place(entry, temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _download_file(entry: Dataset, file: RemoteFile, target: Path) -> None:
    # Imported here: they are half of the time that importing this package would take.
    import http.client
    import urllib.request

    url = entry.url(file)
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "seqkit"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response, open(target, "wb") as out:
            # One byte more than expected is enough to know that it is another file.
            while out.tell() <= file.size and (chunk := response.read(_CHUNK)):
                digest.update(chunk)
                out.write(chunk)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"Data set {entry.name!r} is not on this machine ({_looked(entry.name)}), and its download failed: {url}: "
            f"{reason}. Go online and try again, or put the files into a folder {entry.name!r} and set SEQKIT_DATA to "
            "the folder above it."
        ) from error
    if digest.hexdigest() != file.sha256:
        raise DataError(
            f"{url}: sha256 of the download is {digest.hexdigest()} ({target.stat().st_size} bytes read), expected "
            f"{file.sha256} ({file.size} bytes). A proxy or a broken connection may have changed it; nothing was kept. "
            "Try again, or from another network."
        )


def _move_into_place(entry: Dataset, temporary: Path, folder: Path) -> None:
    with suppress(OSError):  # the folder is there already: another process was faster, or files had been deleted
        os.rename(temporary, folder)
        return
    for name in _missing(entry, folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary / name, folder / name)
