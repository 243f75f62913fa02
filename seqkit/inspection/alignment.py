"""What an output looked at: attention as a picture, and as text for a terminal."""

from __future__ import annotations

import io
import os
import warnings
from typing import TYPE_CHECKING

import numpy as np

from seqkit.errors import DataError, require
from seqkit.io.lines import write_bytes

if TYPE_CHECKING:
    from seqkit.estimators.translating import Alignment

_SHADES = " ░▒▓█"
_END = "<EOS>"
_JOINER = "\uffed"  # see `seqkit.text.segmentation`; few fonts have it
_INCHES, _MARGIN, _DOTS = 0.32, 1.4, 150  # for a token, for names, per inch
_LONGEST_SIDE = 40.0  # inches


def format_alignment(alignment: Alignment) -> str:
    """Write an alignment as text: a line for each token of the target, a column for each of the source.

    The darker a place, the more the target's token looked at it: ``█`` from 7/8 on, ``▓`` from 5/8, ``▒`` from 3/8,
    ``░`` from 1/8.

    Parameters
    ----------
    alignment : seqkit.estimators.translating.Alignment
        From `seqkit.Seq2Seq.attention`.
    """
    source, target, weights = _checked(alignment)
    width = max(map(_columns, target), default=0)
    lines = []
    for name, row in zip(target, weights, strict=True):
        cells = [_SHADES[round(float(w) * (len(_SHADES) - 1))] * _columns(s) for s, w in zip(source, row, strict=True)]
        lines.append(" " * (width - _columns(name)) + name + " " + " ".join(cells).rstrip())
    return "\n".join([(" " * (width + 1) + " ".join(source)).rstrip(), *map(str.rstrip, lines)])


def draw_alignment(alignment: Alignment, path: str | os.PathLike, title: str | None = None) -> None:
    """Draw an alignment as a heat map into a PNG file, whole or not at all.

    Parameters
    ----------
    alignment : seqkit.estimators.translating.Alignment
        From `seqkit.Seq2Seq.attention`.
    path : str or path
        Where to write, such as ``"alignment.png"``.
    title : str or None, default=None
        Stands above the picture.
    """
    # Figure and canvas themselves: pyplot would keep every figure, and needs a display where one is configured.
    figures = require("matplotlib.figure", extra="plot", why="Drawing alignments")
    canvases = require("matplotlib.backends.backend_agg", extra="plot", why="Drawing alignments")
    source, target, weights = _checked(alignment)
    size = [min(_MARGIN + _INCHES * len(side), _LONGEST_SIDE) for side in (source, target)]
    figure = figures.Figure(figsize=size, layout="constrained")
    canvases.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(np.reshape(weights, (len(target), len(source))), cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(source)), source, rotation=60, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(target)), target)
    axes.xaxis.tick_top()
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)  # a token such as "$" is no formula
    if title is not None:
        axes.set_title(title, parse_math=False)
    stream = io.BytesIO()
    with warnings.catch_warnings():  # of signs that no font has, and of names that leave no room
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(stream, format="png", dpi=_DOTS)
    write_bytes(path, stream.getvalue())


def _checked(alignment: Alignment) -> tuple[list[str], list[str], np.ndarray]:
    """Return names of both sides, the end among them, and the weights."""
    source, target, weights = [list(map(str, side)) for side in alignment[:2]] + [np.asarray(alignment[2])]
    if len(weights) == len(target) + 1:
        target = [*target, _END]
    if weights.shape != (len(target), len(source)):
        raise DataError(
            f"alignment has weights of shape {weights.shape} for {len(target)} target and {len(source)} source tokens."
        )
    return [_visible(name) for name in source], [_visible(name) for name in target], weights


def _visible(name: str) -> str:
    name = name.removeprefix(_JOINER)
    return name if name.strip() else "␣"


def _columns(text: str) -> int:
    """Return how wide a text is on a terminal."""
    from rich.cells import cell_len

    return cell_len(text)
