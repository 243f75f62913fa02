"""Piano rolls: which keys are down at each moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from seqkit.music.notes import Line, lines_of, make_score
from seqkit.music.representation import Representation, no_such

if TYPE_CHECKING:
    import symusic


@dataclass(frozen=True)
class PianoRoll(Representation):
    """All tracks together, as frames (steps, keys) of 0 and 1.

    A key that is struck again without a step between is one longer note; time signatures are not kept.

    Parameters
    ----------
    steps_per_quarter : int
        Frames to a quarter.
    low : int
        MIDI pitch of the first key: 21 is the lowest A of a piano.
    keys : int
        Number of keys.
    """

    steps_per_quarter: int = 4
    low: int = 21
    keys: int = 88

    name: ClassVar[str] = "roll"

    def encode(self, score: symusic.Score) -> np.ndarray:
        """See `Representation.encode`; int8 (steps, keys)."""
        lines = lines_of(score, self.steps_per_quarter)
        low, high = min(line.pitches.min() for line in lines), max(line.pitches.max() for line in lines)
        if low < self.low or high >= self.low + self.keys:
            raise no_such(
                f"has pitches from {low} to {high}", f"{self.low} to {self.low + self.keys - 1} (change low or keys)"
            )
        roll = np.zeros((max(line.ends.max() for line in lines), self.keys), np.int8)
        for line in lines:
            for start, end, pitch in zip(*(values.tolist() for values in line[:3]), strict=True):
                roll[start:end, pitch - self.low] = 1
        return roll

    def decode(self, items: np.ndarray, tempo: float = 100.0) -> symusic.Score:
        """See `Representation.decode`."""
        line = held_notes(np.asarray(items) > 0, self.low, "Piano")
        return make_score([line], self.steps_per_quarter, (), tempo)


def held_notes(roll: np.ndarray, low: int, name: str = "") -> Line:
    """Return the notes of a roll, bool (steps, keys): a key that stays down is one note."""
    edges = np.diff(np.pad(roll.astype(np.int8), [(1, 1), (0, 0)]), axis=0)
    # By key, then by time: the n-th start of a key goes with its n-th end.
    keys, starts = np.nonzero(edges.T == 1)
    _, ends = np.nonzero(edges.T == -1)
    return Line(starts, ends, keys + low, name).sorted()
