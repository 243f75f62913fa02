"""A file that one process holds at a time."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqkit.errors import ParameterError


@contextmanager
def locked(path: Path, what: object) -> Iterator[None]:
    """Hold a lock that the operating system lets go of when this process ends, however it ends.

    Where a file system knows no locks, nothing is held.

    Parameters
    ----------
    path : Path
        The file; it stays, and tells who held it last.
    what : object
        What the lock is for; stands in the message.

    Raises
    ------
    ParameterError
        If another process holds it.
    """
    with open(path, "a+", encoding="utf-8") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise ParameterError(f"{what} is being worked on by {holder}. Wait until it ends, or stop it.") from error
        except (ImportError, OSError):  # another system than Unix; a file system without locks
            pass
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield
