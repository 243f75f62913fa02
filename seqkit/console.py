"""What the command line and the training loop show in a terminal.

Standard output carries results (reports, predictions), standard error everything else (progress, notes, errors), so
that output can be piped. Nothing but results and errors is written where standard error is not a terminal.
"""

from __future__ import annotations

import datetime
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_ENTITY_COLORS = ("cyan", "yellow", "red", "blue", "bright_green", "magenta", "green")


def console(stderr: bool = False) -> Console:
    """Make a console on the current standard output or error.

    Made anew at each call, since tests and notebooks replace ``sys.stdout``. Nothing is highlighted or interpreted by
    itself: data may contain square brackets and must come out as it is.
    """
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def is_terminal(stream: object = None) -> bool:
    """Whether a stream (standard error if none is given) is a terminal a person looks at."""
    stream = sys.stderr if stream is None else stream
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # no such method; or the stream is closed
        return False


def note(message: str) -> None:
    """Tell a person at a terminal what is going on; say nothing otherwise."""
    if is_terminal():
        console(stderr=True).print(message, style="dim", soft_wrap=True)


def error_line(message: str) -> None:
    """Print one line, ``error: …``, to standard error whatever line breaks the message has."""
    from rich.text import Text

    line = Text.assemble(("error: ", "bold red"), " ".join(message.split()))
    console(stderr=True).print(line, soft_wrap=True)


@contextmanager
def hushed() -> Iterator[None]:
    """Hold back what native libraries write to standard error, unless the block fails.

    Importing TensorFlow writes several lines there before any log level of its own applies; they would drown the one
    line that a user of the command line is to read.
    """
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError, ValueError):  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def import_tensorflow() -> None:
    """Import TensorFlow without its greeting; commands call this before whatever else would import it."""
    with hushed():
        import tensorflow  # noqa: F401


class Terminated(KeyboardInterrupt):
    """SIGTERM, as an exception like that of Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with what is to be tidied up; in the main thread only."""

    def stop(*_):
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # another thread than the main one
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Progress:
    """Handle of a progress display; see `progress`. This base class shows nothing."""

    def advance(self, n: float = 1) -> None:
        """Count ``n`` more steps as done."""

    def update(self, **fields: object) -> None:
        """Show these values beside the bar, such as ``loss=0.31, f1=0.87``; a total may be given as ``total=``."""


class _Bar(Progress):
    def __init__(self, bar, task):
        self._bar, self._task, self._fields = bar, task, {}

    def advance(self, n: float = 1) -> None:
        self._bar.advance(self._task, n)

    def update(self, **fields: object) -> None:
        total = fields.pop("total", None)
        self._fields.update(fields)
        self._bar.update(self._task, total=total, status=_format_fields(self._fields))


class _Lines(Progress):
    def __init__(self, total: float | None, description: str, every: float = 0.0):
        self._total, self._description, self._done = total, description, 0
        self._every, self._began, self._told = every, time.monotonic(), -math.inf

    def advance(self, n: float = 1) -> None:
        self._done += n

    def update(self, **fields: object) -> None:
        self._total = fields.pop("total", None) or self._total
        now, last = time.monotonic(), self._done == self._total
        if now - self._told < self._every and not last:
            return
        self._told = now
        count = f"{self._done:.12g}" if self._total is None else f"{self._done:.12g}/{self._total:.12g}"
        if self._every and self._total and self._done and not last:
            left = (now - self._began) * (self._total - self._done) / self._done
            fields["left"] = str(datetime.timedelta(seconds=round(left)))
        print(f"{self._description} {count}  {_format_fields(fields)}".rstrip(), file=sys.stderr, flush=True)


@contextmanager
def progress(
    total: float | None,
    description: str,
    enabled: bool | Literal["auto", "lines"] = "auto",
    every: float = 0.0,
) -> Iterator[Progress]:
    """Show how far a long job is, on standard error.

    Parameters
    ----------
    total : float or None
        Number of steps; None where it is not known.
    description : str
        A few words in front of the bar.
    enabled : bool or {"auto", "lines"}, default "auto"
        "auto": a bar if standard error is a terminal, nothing otherwise. True: a bar in any case. "lines": one plain
        line at each ``update``. False: nothing.
    every : float, default 0.0
        Fewest seconds between plain lines; those then say how much time is left.

    Yields
    ------
    Progress
        Object with ``advance(n)`` and ``update(**fields)``.
    """
    if enabled == "lines":
        yield _Lines(total, description, every)
        return
    if enabled is False or (enabled == "auto" and not is_terminal()):
        yield Progress()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}", markup=False),
    )
    with RichProgress(*columns, console=console(stderr=True)) as bar:
        yield _Bar(bar, bar.add_task(description, total=total, status=""))


def entity_text(text: str, entities: Iterable[Mapping], color: bool = True) -> Text:
    """Mark entities in a text: in color, or as ``[Ada Lovelace|PER]`` where there is none.

    Parameters
    ----------
    text : str
        The text.
    entities : iterable of mappings
        Each with ``start``, ``end`` (character offsets) and ``label``; they do not overlap.
    color : bool, default True
        False writes plain brackets, for files and pipes.
    """
    from rich.text import Text

    marked, position = Text(), 0
    for entity in sorted(entities, key=lambda item: item["start"]):
        start, end, label = entity["start"], entity["end"], entity["label"]
        marked.append(text[position:start])
        if color:
            # By the label's own letters, so that a label keeps its color from run to run; PER, LOC, ORG, MISC differ.
            hue = _ENTITY_COLORS[sum(map(ord, label)) % len(_ENTITY_COLORS)]
            marked.append(text[start:end], style=f"bold {hue}")
            marked.append(f" {label} ", style=f"black on {hue}")
        else:
            marked.append(f"[{text[start:end]}|{label}]")
        position = end
    return marked.append(text[position:])


def _format_fields(fields: Mapping[str, object]) -> str:
    return "  ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in fields.items()
    )
