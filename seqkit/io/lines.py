"""Numbered lines of text files, gzip and standard input included; and files that are written whole or not at all."""

from __future__ import annotations

import errno
import gzip
import io
import os
import secrets
import shutil
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from seqkit.errors import FormatError, ParameterError

Source = str | os.PathLike | IO[Any]


def source_name(source: Source) -> str:
    """What to call a source in messages."""
    if isinstance(source, str | os.PathLike):
        return "<stdin>" if os.fspath(source) == "-" else os.fspath(source)
    return str(getattr(source, "name", "<stream>"))


def read_lines(source: Source, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    r"""Number (from 1) and text of each line, without its line end.

    Only ``\n`` ends a line (a ``\r`` before it is dropped), so that U+2028, U+0085 and their like stay inside tokens.
    A byte-order mark at the start is dropped. Gzip is recognized by its first bytes, whatever the file is called.

    Parameters
    ----------
    source : str, path or file object
        ``"-"`` is standard input. A file object may give bytes or text; it is not closed.
    encoding : str, default="utf-8"
        Encoding of the bytes.

    Raises
    ------
    FormatError
        If a line cannot be decoded, or gzip data is damaged.
    """
    name, number = source_name(source), 0
    try:
        cuttable = "\n".encode(encoding) == b"\n"
    except LookupError as error:
        raise ParameterError(f"encoding must be one that Python knows, such as 'utf-8'; got {encoding!r}.") from error
    try:
        if cuttable:
            for number, line in read_byte_lines(source):
                yield number, _text(line if isinstance(line, str) else line.decode(encoding), number)
        else:  # UTF-16 and the like cannot be cut into lines before decoding
            with _open(source) as stream:
                wrapper = (
                    None if isinstance(stream, io.TextIOBase) else io.TextIOWrapper(stream, encoding, newline="\n")
                )
                try:
                    for number, line in enumerate(wrapper or stream, 1):
                        yield number, _text(line, number)
                finally:
                    if wrapper:
                        wrapper.detach()  # or it would close a file that is the caller's
    except UnicodeDecodeError as error:
        if not cuttable:
            number += 1
        bad = bytes(error.object[error.start : error.end])
        raise FormatError(
            name,
            number,
            f"not valid {encoding}: byte {bad.hex(' ')} at position {error.start} of the line ({error.reason}). "
            "Give the encoding of the file, or convert it to UTF-8.",
        ) from error


def _text(line: str, number: int) -> str:
    return (line.removeprefix("\ufeff") if number == 1 else line).removesuffix("\n").removesuffix("\r")


def read_byte_lines(source: Source) -> Iterator[tuple[int, bytes | str]]:
    r"""Number (from 1) and undecoded bytes of each line, ``\n`` included; text from a file object that gives text."""
    number = 0
    try:
        with _open(source) as stream:
            for number, line in enumerate(stream, 1):
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(
            source_name(source), number + 1, f"damaged gzip data from here on ({error}). Fetch the file anew."
        ) from error


@contextmanager
def _open(source: Source) -> Iterator[IO[Any]]:
    if isinstance(source, str | os.PathLike) and os.fspath(source) != "-":
        with open(source, "rb") as stream:
            yield _gunzipped(stream)
        return
    stream = source if not isinstance(source, str | os.PathLike) else getattr(sys.stdin, "buffer", sys.stdin)
    yield stream if isinstance(stream, io.TextIOBase) else _gunzipped(stream)


def _gunzipped(stream: IO[bytes]) -> IO[bytes]:
    if hasattr(stream, "peek"):
        magic = stream.peek(2)[:2]
    elif hasattr(stream, "seekable") and stream.seekable():
        position = stream.tell()
        magic = stream.read(2)
        stream.seek(position)
    else:
        return stream
    return gzip.open(stream, "rb") if magic == b"\x1f\x8b" else stream


@contextmanager
def write_whole(target: Source, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """Open a text file for writing that appears under its name only once it is complete.

    Parameters
    ----------
    target : str, path or file object
        A path is written under a temporary name beside it and renamed when the block ends without an exception; with
        an exception nothing is left, and an older file stays as it was. A name in ``.gz`` is compressed. ``"-"`` is
        standard output; devices, pipes and file objects are written directly.
    encoding : str, default="utf-8"
        Encoding of the file.
    """
    if not isinstance(target, str | os.PathLike):
        yield target
        return
    if os.fspath(target) == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    path = _real(target)
    if _is_special(path):
        with open(path, "w", encoding=encoding, newline="\n") as stream:
            yield stream
        return
    opener = gzip.open if path.suffix == ".gz" else open
    with replacing(path) as temporary, opener(temporary, "wt", encoding=encoding, newline="\n") as stream:
        yield stream


def write_bytes(target: str | os.PathLike, data: bytes) -> None:
    """Write a file of bytes that appears under its name only once it is complete; see `write_whole`.

    Parameters
    ----------
    target : str or path
        With an exception nothing is left, and an older file stays as it was. ``"-"`` is standard output; devices and
        pipes are written directly. Nothing is compressed.
    data : bytes
        The whole content.
    """
    if os.fspath(target) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = _real(target)
    if _is_special(path):
        path.write_bytes(data)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _real(target: str | os.PathLike) -> Path:
    return Path(os.path.realpath(target))  # through a link: the link stays, its target is replaced


def _is_special(path: Path) -> bool:
    """Whether it is a device or a pipe, which cannot be replaced."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it unless an exception comes."""
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(path.parent))
    # The number of a process may be that of another one on another machine with the same folder.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(3)}.tmp")
    try:
        yield temporary
        with suppress(FileNotFoundError):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
