"""Piano rolls: what stands where in the pixels."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from symusic import Note, Score, TimeSignature, Track

from seqkit.errors import DataError
from seqkit.music.picture import _draw, write_picture
from seqkit.music.writing import tidy_score

BLUE, ORANGE, WHITE = (31, 119, 180), (255, 127, 14), (255, 255, 255)


def score(*tracks, names=(), signatures=()):
    made = Score(480)
    for i, notes in enumerate(tracks):
        made.tracks.append(Track(names[i] if names else ""))
        for note in notes:
            made.tracks[i].notes.append(Note(*note, 80))
    made.time_signatures = [TimeSignature(*signature) for signature in signatures]
    return made


def pixels(path):
    from matplotlib.image import imread

    return np.rint(imread(path)[..., :3] * 255).astype(int)


def test_notes_have_the_colour_of_their_track(tmp_path):
    piece = score([(480, 480, 60)], [(960, 960, 67)], names=["Alto", "Bass"])
    write_picture(piece, tmp_path / "a.png", "Two notes")
    image = pixels(tmp_path / "a.png")
    figure = _draw(tidy_score(piece), "Two notes")
    figure.canvas.draw()

    def colour(tick, pitch):
        x, y = figure.axes[0].transData.transform((tick, pitch))
        return tuple(image[image.shape[0] - 1 - int(y), int(x)])

    # Near the corners of each note, inside and outside.
    inside, outside = [500, 940], [460, 980]
    assert [colour(x, y) for x in inside for y in (59.7, 60.3)] == [BLUE] * 4
    assert [colour(x, y) for x in outside for y in (59.7, 60.3)] == [WHITE] * 4
    assert [colour(x, y) for x in inside for y in (59.3, 60.7)] == [WHITE] * 4
    assert [colour(x, y) for x in (980, 1900) for y in (66.7, 67.3)] == [ORANGE] * 4
    assert [colour(x, y) for x in (940,) for y in (66.7, 67.3)] == [WHITE] * 2


def test_the_file_is_a_png_of_the_size_said(tmp_path):
    write_picture(score([(0, 480, 60)]), tmp_path / "short.png")
    data = (tmp_path / "short.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    # 5 by 2.5 inches at 150 dots: one bar, one octave.
    assert struct.unpack(">II", data[16:24]) == (750, 375)
    assert os.listdir(tmp_path) == ["short.png"]


def test_size_grows_with_length_up_to_a_limit(tmp_path):
    def width(bars):
        write_picture(score([(0, 1920 * bars, 60)]), tmp_path / "a.png")
        return pixels(tmp_path / "a.png").shape[1]

    # 1.5 inches, and 0.12 for each quarter; at most 40.
    assert [width(20), width(40), width(2000)] == [1665, 3105, 6000]


def test_axes_name_bars_and_cs():
    piece = score([(0, 480, 59), (5280, 480, 73)], signatures=[(0, 4, 4), (3840, 3, 4)])
    axes = _draw(tidy_score(piece), None).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["C3", "C4", "C5", "C6"]
    assert axes.get_yticks().tolist() == [48, 60, 72, 84]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "4"]
    assert axes.get_xticks().tolist() == [0, 1920, 3840, 5280] and axes.get_xlim() == (0, 6720)


def test_bars_of_long_pieces_are_numbered_with_room():
    axes = _draw(tidy_score(score([(0, 1920 * 1000, 60)])), None).axes[0]
    # 40 inches for 1000 bars: a number needs 0.35, so every 16th bar has one.
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["1", "17", "33"]
    assert axes.get_xticks()[:3].tolist() == [0, 16 * 1920, 32 * 1920]


def test_legend_tells_tracks_that_have_names():
    def legends(*names):
        figure = _draw(tidy_score(score(*([(0, 480, 60 + i)] for i in range(len(names))), names=names)), None)
        figure.canvas.draw()
        return [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]

    assert legends("_low $", "", "$x_{") == [["_low $", "Track 2", "$x_{"]]
    assert legends("", "") == [] and legends("Solo") == []


def test_titles_are_no_formulas(tmp_path):
    write_picture(score([(0, 480, 127), (0, 480, 0)]), tmp_path / "a.png", "$x_{$ & <5%>")
    assert pixels(tmp_path / "a.png").shape[0] == 1500  # all pitches: as high as it gets


def test_nothing_to_draw(tmp_path):
    with pytest.raises(DataError, match="no notes"):
        write_picture(score([]), tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


def test_state_of_pyplot_is_left_alone(tmp_path):
    code = (
        "import sys, symusic, seqkit.music.picture as p\n"
        "assert not {'matplotlib'} & set(sys.modules)\n"
        "s = symusic.Score(480); s.tracks.append(symusic.Track())\n"
        "s.tracks[0].notes.append(symusic.Note(0, 1, 60, 80))\n"
        f"p.write_picture(s, {str(tmp_path / 'a.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
