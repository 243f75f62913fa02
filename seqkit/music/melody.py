"""Melodies: one note after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from seqkit.music.notes import Line, lines_of, make_score, meters_of, top_line
from seqkit.music.representation import Representation, meter_token, read_meter

if TYPE_CHECKING:
    import symusic


@dataclass(frozen=True)
class Melody(Representation):
    """The top line of the highest track: tokens of a pitch and a length in grid steps, as "62:6"; rests are "R:6".

    A time signature is a token of its own, as "6/8", before the first note after it. A note or rest that lasts longer
    than ``longest`` is several tokens, of which all but the first begin with "~".

    Parameters
    ----------
    steps_per_quarter : int
        Grid steps to a quarter: 12 has sixteenths and triplets.
    longest : int
        Longest length of a token, in grid steps.
    """

    steps_per_quarter: int = 12
    longest: int = 96

    name: ClassVar[str] = "melody"

    def encode(self, score: symusic.Score) -> list[str]:
        """See `Representation.encode`."""
        lines = lines_of(score, self.steps_per_quarter)
        line = top_line(max(lines, key=lambda line: line.pitches.mean()))
        changes, tokens, now = meters_of(score, self.steps_per_quarter), [], 0
        for start, end, pitch in zip(*(values.tolist() for values in line[:3]), strict=True):
            before = [change for change in changes if change.step <= start]
            changes = changes[len(before) :]
            tokens.extend(meter_token(change) for change in before)
            tokens.extend(self._tokens("R", start - now))
            tokens.extend(self._tokens(str(pitch), end - start))
            now = end
        return tokens

    def _tokens(self, name: str, length: int) -> list[str]:
        parts = [self.longest] * (length // self.longest) + [length % self.longest] * (length % self.longest > 0)
        return [f"{'~' * (i > 0)}{name}:{part}" for i, part in enumerate(parts)]

    def decode(self, items: Sequence[str], tempo: float = 100.0) -> symusic.Score:
        """See `Representation.decode`."""
        now, meters, notes = 0, [], []
        for token in items:
            if change := read_meter(token, now):
                meters.append(change)
                continue
            name, _, length = token.removeprefix("~").partition(":")
            if not length.isdecimal():
                continue
            end = now + int(length)
            if name.isdecimal():
                if token.startswith("~") and notes and notes[-1][1:] == [now, int(name)]:
                    notes[-1][1] = end
                else:
                    notes.append([now, end, int(name)])
            now = end
        starts, ends, pitches = np.array(notes, np.int64).reshape(-1, 3).T
        return make_score([Line(starts, ends, pitches, "Melody")], self.steps_per_quarter, meters, tempo)
