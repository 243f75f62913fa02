"""Piano rolls: a score as a picture, time to the right and pitch upward."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np

from seqkit.errors import require
from seqkit.io.lines import write_bytes
from seqkit.music.notes import TICKS, bar_lines
from seqkit.music.writing import tidy_score

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from symusic import Score

_DOTS = 150  # per inch
_INCHES_PER_QUARTER, _NARROWEST, _WIDEST = 0.12, 5.0, 40.0
_INCHES_PER_PITCH, _LOWEST, _HIGHEST = 0.09, 2.5, 10.0
_LABEL_INCHES = 0.35  # room for the number of a bar
_WHY = "Drawing music"


def write_picture(score: Score, path: str | os.PathLike, title: str | None = None) -> None:
    """Draw a score as a piano roll into a PNG file, whole or not at all.

    Each note is a rectangle from its start to its end, half a half-tone up and down from its pitch. Bars are numbered
    from 1, and every C is named, C4 being MIDI pitch 60. Each track has a colour (ten, then the first again); where
    there is more than one track and one has a name, a legend tells them.

    Parameters
    ----------
    score : Score
        In ticks; drawn as `seqkit.music.writing.tidy_score` gives it.
    path : str or path
        Where to write, such as ``"piece.png"``.
    title : str or None, default=None
        Stands above the picture.

    Raises
    ------
    DataError
        If the score has no notes.
    """
    figure = _draw(tidy_score(score), title)
    stream = io.BytesIO()
    figure.canvas.print_png(stream)
    write_bytes(path, stream.getvalue())


def _draw(score: Score, title: str | None) -> Figure:
    # Figure and canvas themselves: pyplot would keep every figure, and needs a display where one is configured.
    figures = require("matplotlib.figure", extra="music", why=_WHY)
    canvases = require("matplotlib.backends.backend_agg", extra="music", why=_WHY)
    bars = bar_lines(score)
    pitches = np.concatenate([track.notes.numpy()["pitch"] for track in score.tracks])
    low, high = 12 * (int(pitches.min()) // 12), 12 * (int(pitches.max()) // 12 + 1)  # whole octaves: Cs to name
    width = np.clip(1.5 + _INCHES_PER_QUARTER * bars[-1] / TICKS, _NARROWEST, _WIDEST)
    height = np.clip(1.2 + _INCHES_PER_PITCH * (high - low), _LOWEST, _HIGHEST)
    figure = figures.Figure((width, height), dpi=_DOTS, layout="constrained")
    canvases.FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlim=(0, bars[-1]), ylim=(low - 1, high + 1), xlabel="Bar")
    axes.vlines(bars, low - 1, high + 1, colors="0.8", linewidths=0.6, zorder=0)
    octaves = np.arange(low, high + 1, 12)
    axes.hlines(octaves, 0, bars[-1], colors="0.8", linewidths=0.6, zorder=0)
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    step = _label_step(bars, width)
    axes.set_xticks(bars[:-1:step], [str(i + 1) for i in range(0, len(bars) - 1, step)])
    if title:
        axes.set_title(title, parse_math=False)
    _draw_notes(figure, axes, score)
    return figure


def _draw_notes(figure: Figure, axes: object, score: Score) -> None:
    collections = require("matplotlib.collections", extra="music", why=_WHY)
    colours = require("matplotlib", extra="music", why=_WHY).colormaps["tab10"].colors
    drawn = []
    for i, track in enumerate(score.tracks):
        notes = track.notes.numpy()
        left, bottom = notes["time"].astype(float), notes["pitch"].astype(float) - 0.5
        right, top = left + notes["duration"], bottom + 1.0
        corners = np.stack([left, bottom, left, top, right, top, right, bottom], 1).reshape(-1, 4, 2)
        # The thin edge parts notes that follow one another at one pitch.
        drawn.append(
            axes.add_collection(
                collections.PolyCollection(
                    corners, facecolors=[colours[i % len(colours)]], edgecolors="white", linewidths=0.3, zorder=2
                ),
                autolim=False,
            )
        )
    names = [track.name for track in score.tracks]
    if len(names) > 1 and any(names):
        legend = figure.legend(drawn, [str(i) for i in range(len(names))], loc="outside right upper")
        # Set afterwards: a legend leaves out names that begin with "_", and takes "$" for the begin of a formula.
        for i, text in enumerate(legend.get_texts()):
            text.set_parse_math(False)
            text.set_text(names[i] or f"Track {i + 1}")


def _label_step(bars: np.ndarray, width: float) -> int:
    """Number every n-th bar, so that the numbers have room."""
    inches, step = width / (len(bars) - 1), 1
    while inches * step < _LABEL_INCHES:
        step *= 2
    return step
