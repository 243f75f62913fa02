"""Files of any size as streams of bytes, plain or compressed, that can go on where another reader stopped."""

from __future__ import annotations

import glob
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seqkit.errors import FormatError, ParameterError

#: Formats by the ending of a file's name, ``.gz`` and ``.zst`` aside.
ENDINGS = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "lines",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
}
FORMATS = tuple(dict.fromkeys(ENDINGS.values()))
_COMPRESSED = (".gz", ".zst")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def find_files(inputs: Iterable[str | os.PathLike]) -> list[Path]:
    """Return the files that inputs name, in their order, each once.

    Parameters
    ----------
    inputs : iterable of str or path
        Files; folders, of which every file with a known ending counts, in the order of their names (names that begin
        with a dot or an underscore do not); patterns such as ``data/*.jsonl.gz`` (``**`` stands for any folders).

    Raises
    ------
    ParameterError
        If an input is not there, matches or holds no file, or is standard input; or a file is named twice.
    """
    found: list[Path] = []
    for item in inputs:
        name = os.fspath(item)
        path = Path(name)
        if name == "-":
            raise ParameterError("A batch is read more than once: give files, not standard input (-).")
        if path.is_dir():
            some = [file for file in sorted(path.rglob("*")) if file.is_file() and _counts(file.relative_to(path))]
            if not some:
                raise ParameterError(
                    f"The folder {name} holds no file that ends in {', '.join(ENDINGS)} (or .gz, .zst)."
                )
        elif path.exists():
            some = [path]
        else:
            some = [Path(file) for file in sorted(glob.glob(name, recursive=True)) if Path(file).is_file()]
            if not some:
                raise ParameterError(f"There is no file {name}, and no file matches it as a pattern.")
        found += some
    seen: set[Path] = set()
    for path in found:
        if (real := path.resolve()) in seen:
            raise ParameterError(f"The file {path} is named twice; its rows would be too.")
        seen.add(real)
    if not found:
        raise ParameterError("No input is given. Name files, folders or patterns.")
    return found


def _counts(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts) and _ending(path) in ENDINGS


def _ending(path: Path) -> str:
    name = path.name.lower()
    for end in _COMPRESSED:
        name = name.removesuffix(end)
    return os.path.splitext(name)[1]


def format_of(path: Path, format: str = "auto") -> str:
    """Return the format of a file: the one that is asked for, or the one of its ending."""
    if format == "auto":
        found = ENDINGS.get(_ending(path))
        if found is None:
            raise ParameterError(
                f"The ending of {path} tells no format: expected one of {', '.join(ENDINGS)} (.gz, .zst behind it). "
                f"Give input_format: {', '.join(map(repr, FORMATS))}."
            )
        return found
    if format not in FORMATS:
        raise ParameterError(f"input_format must be one of {', '.join(map(repr, ('auto', *FORMATS)))}; got {format!r}.")
    return format


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading; gzip and Zstandard are told by its first bytes, whatever it is called.

    Offsets are those of the uncompressed bytes. To seek forward is cheap in a plain file, and takes the time of
    decompressing in others.
    """
    with open(path, "rb") as file:
        start = file.peek(4)[:4]
        if start.startswith(_GZIP):
            with gzip.open(file, "rb") as stream:
                yield stream
        elif start == _ZSTD:
            import pyarrow

            with pyarrow.CompressedInputStream(pyarrow.PythonFile(file, "r"), "zstd") as stream:
                yield io.BufferedReader(_Forward(stream), 1 << 20)
        else:
            yield file


class _Forward(io.RawIOBase):
    """A stream that cannot seek, as one that can seek forward."""

    def __init__(self, stream):
        self._stream, self._at = stream, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._at
        if whence == os.SEEK_END or offset < self._at:
            raise io.UnsupportedOperation("a compressed stream goes forward only")
        while self._at < offset and (data := self._stream.read(min(offset - self._at, 1 << 20))):
            self._at += len(data)
        return self._at


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Say which file's compressed data are damaged."""
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise FormatError(path, None, f"damaged compressed data ({error}). Fetch the file anew.") from error
