"""Performances, as events of a published vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from seqkit.errors import DataError, require
from seqkit.music.notes import TICKS
from seqkit.music.representation import Representation

if TYPE_CHECKING:
    import symusic


@dataclass(frozen=True)
class Events(Representation):
    """All tracks together as one piano, in the events of REMI (Huang & Yang 2020) by the library miditok.

    Bars with time signatures, positions in them, tempos, and for each note its pitch, velocity and length. Pedals are
    not kept.

    Parameters
    ----------
    steps_per_quarter : int
        Positions to a quarter.
    velocities : int
        How many velocities are told apart.
    tempos : int
        How many tempos, from 30 to 240 quarters in a minute.
    """

    steps_per_quarter: int = 12
    velocities: int = 16
    tempos: int = 24

    name: ClassVar[str] = "events"

    def encode(self, score: symusic.Score) -> list[str]:
        """See `Representation.encode`."""
        symusic = require("symusic", extra="music", why="Music")
        one, track = score.copy(), symusic.Track(name="Piano", program=0)
        for part in score.tracks:
            if not part.is_drum:
                track.notes.extend(part.notes)
        if not len(track.notes):
            raise DataError("has no notes (drums are left out)")
        one.tracks = [track]
        one.sort()
        return list(_tokenizer(self).encode(one)[0].tokens)

    def most_items(self, bars: int) -> int:
        """See `Representation.most_items`; four notes a position are taken for the most."""
        return 16 * super().most_items(bars)

    def decode(self, items: Sequence[str], tempo: float = 100.0) -> symusic.Score:
        """See `Representation.decode`."""
        miditok = require("miditok", extra="music", why="The representation 'events'")
        tokenizer = _tokenizer(self)
        known = [token for token in items if token in tokenizer.vocab]
        score = tokenizer.decode([miditok.TokSequence(tokens=known)]).resample(TICKS)
        if not any(token.startswith("Tempo_") for token in items):
            symusic = require("symusic", extra="music", why="Music")
            score.tempos = [symusic.Tempo(time=0, qpm=float(tempo))]
        return score


@cache
def _tokenizer(events: Events):
    """Return miditok's tokenizer of the same settings."""
    miditok = require("miditok", extra="music", why="The representation 'events'")
    config = miditok.TokenizerConfig(
        pitch_range=(0, 127),
        beat_res={(0, 4): events.steps_per_quarter, (4, 16): 4},
        num_velocities=events.velocities,
        use_tempos=True,
        num_tempos=events.tempos,
        tempo_range=(30, 240),
        log_tempos=True,
        delete_equal_successive_tempo_changes=True,
        use_time_signatures=True,
        use_programs=False,
        special_tokens=[],
    )
    return miditok.REMI(config)
