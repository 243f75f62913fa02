"""Four voices, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from seqkit.music.notes import Line, lines_of, make_score, meters_of, top_line
from seqkit.music.representation import Representation, meter_token, no_such, read_meter

if TYPE_CHECKING:
    import symusic

#: The order in which the voices of a step are read: the outer ones first.
VOICES = ("Soprano", "Bass", "Alto", "Tenor")
_FROM_HIGH_TO_LOW = (0, 3, 1, 2)
_OVER = "."


@dataclass(frozen=True)
class Chorale(Representation):
    """Four tracks, each one note at a time: at each step a token for soprano, bass, alto and tenor.

    A token is the pitch where a note begins, as "67"; the pitch and "~" where it goes on; "R" for silence. The time
    signature stands before all, as "4/4"; changes of it are not kept.

    Parameters
    ----------
    steps_per_quarter : int
        Steps to a quarter: 4 reads sixteenths.
    ahead : int
        Steps by which the soprano is read before the other voices, which then follow where it is going. That makes for
        better harmony to a given soprano.
    """

    steps_per_quarter: int = 4
    ahead: int = 0

    name: ClassVar[str] = "chorale"

    def encode(self, score: symusic.Score) -> list[str]:
        """See `Representation.encode`."""
        lines = lines_of(score, self.steps_per_quarter)
        if len(lines) != 4:
            raise no_such(f"has {len(lines)} tracks with notes", "four, one for each voice")
        lines = [top_line(line) for line in sorted(lines, key=lambda line: -line.pitches.mean())]
        steps = max(line.ends[-1] for line in lines)
        voices = [voice_tokens(lines[i], steps) for i in _FROM_HIGH_TO_LOW]
        return [meter_token(meters_of(score, self.steps_per_quarter)[0]), *self._interleaved(voices)]

    def beginning(self, score: symusic.Score) -> list[str]:
        """Return the tokens of a score that is to go on.

        Where the soprano is read ahead, the last steps of the other voices are left out, to be written anew: how the
        soprano goes on is not known there.
        """
        tokens = self.encode(score)
        return tokens[: tokens.index(_OVER)] if _OVER in tokens else tokens

    def most_items(self, bars: int) -> int:
        """See `Representation.most_items`."""
        return 4 * super().most_items(bars) + self.ahead

    def _interleaved(self, voices: Sequence[Sequence[str | None]]) -> list[str | None]:
        soprano, *others = voices
        ahead = min(self.ahead, len(soprano))
        late = [*soprano[ahead:], *[_OVER] * ahead]
        return [*soprano[:ahead], *(token for step in zip(late, *others, strict=True) for token in step)]

    def template(self, melody: symusic.Score) -> list[str | None]:
        """Return the tokens of a score whose soprano is given, None where the other voices are to be written.

        Parameters
        ----------
        melody : symusic.Score
            A score; the top line of its highest track is taken.
        """
        lines = lines_of(melody, self.steps_per_quarter)
        line = top_line(max(lines, key=lambda line: line.pitches.mean()))
        soprano = voice_tokens(line, line.ends[-1])
        nothing = [None] * len(soprano)
        meter = meter_token(meters_of(melody, self.steps_per_quarter)[0])
        return [meter, *self._interleaved([soprano, nothing, nothing, nothing])]

    def decode(self, items: Sequence[str], tempo: float = 100.0) -> symusic.Score:
        """See `Representation.decode`."""
        meters = [change for token in items if (change := read_meter(token, 0))][:1]
        tokens = [token for token in items if not read_meter(token, 0)]
        steps = max(0, len(tokens) - self.ahead) // 4
        table = np.array(tokens[self.ahead : self.ahead + 4 * steps], object).reshape(steps, 4)
        voices = [[*tokens[: self.ahead], *table[:, 0]][:steps], *table.T[1:].tolist()]
        # Tracks from high to low, as scores have them.
        named = sorted(zip(_FROM_HIGH_TO_LOW, VOICES, voices, strict=True))
        lines = [voice_line(voice, name) for _, name, voice in named]
        return make_score([line for line in lines if len(line.starts)], self.steps_per_quarter, meters, tempo)


def voice_tokens(line: Line, steps: int) -> list[str]:
    """Return a token for each step of a line of single notes."""
    tokens = ["R"] * int(steps)
    for start, end, pitch in zip(*(values.tolist() for values in line[:3]), strict=True):
        tokens[start:end] = [f"{pitch}~"] * (end - start)
        tokens[start] = str(pitch)
    return tokens


def voice_line(tokens: Sequence[str], name: str) -> Line:
    """Return the notes of a voice."""
    notes, before = [], None
    for step, token in enumerate(tokens):
        pitch = token.removesuffix("~")
        if not pitch.isdecimal():
            before = None
        elif token.endswith("~") and before == pitch:
            notes[-1][1] = step + 1
        else:
            notes.append([step, step + 1, int(pitch)])
            before = pitch
    starts, ends, pitches = np.array(notes, np.int64).reshape(-1, 3).T
    return Line(starts, ends, pitches, name)
