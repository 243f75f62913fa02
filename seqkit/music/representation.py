"""What a network reads of a score, and how a score is made of what it writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from seqkit.errors import DataError, ParameterError
from seqkit.music.notes import TICKS, Change

if TYPE_CHECKING:
    import numpy as np
    import symusic

_METER = re.compile(r"([1-9]\d?)/(1|2|4|8|16|32)")


@dataclass(frozen=True)
class Representation:
    """Base of the ways to read music; a subclass names itself and turns scores into items and back.

    Parameters
    ----------
    steps_per_quarter : int
        Grid steps to a quarter; divides 480.
    """

    steps_per_quarter: int = 4

    name: ClassVar[str] = ""

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ParameterError(f"{field.name}={value!r} must be a whole number of at least 0.")
        if not self.steps_per_quarter or TICKS % self.steps_per_quarter:
            raise ParameterError(
                f"steps_per_quarter={self.steps_per_quarter!r} must divide {TICKS}: 12 has sixteenths and triplets."
            )

    def encode(self, score: symusic.Score) -> list[str] | np.ndarray:
        """Return the items of a score: tokens, or frames (length, keys) of 0 and 1.

        Raises
        ------
        DataError
            If the score does not have what this representation reads; says what, in a few words.
        """
        raise NotImplementedError

    def decode(self, items: Sequence[str] | np.ndarray, tempo: float = 100.0) -> symusic.Score:
        """Return the score of items, whatever they are: what makes no sense there is passed over.

        Parameters
        ----------
        items : list of str, or array
            See `encode`.
        tempo : float
            Quarters in a minute, where the items do not say.
        """
        raise NotImplementedError

    def beginning(self, score: symusic.Score) -> list[str] | np.ndarray:
        """Return the items of a score that is to go on; see `encode`."""
        return self.encode(score)

    def most_items(self, bars: int) -> int:
        """Return how many items so many bars can have, the longest bar having six quarters."""
        return bars * 6 * self.steps_per_quarter + 1

    def settings(self) -> dict:
        """Return what `make_representation` makes the same one of."""
        return {"name": self.name, **asdict(self)}


def make_representation(name: str, **settings) -> Representation:
    """Return a representation by its name.

    Parameters
    ----------
    name : {"melody", "roll", "chorale", "events"}
        Which.
    **settings
        Its parameters.

    Raises
    ------
    ParameterError
        If there is no such representation or parameter.
    """
    from seqkit.music.chorale import Chorale
    from seqkit.music.events import Events
    from seqkit.music.melody import Melody
    from seqkit.music.roll import PianoRoll

    known = {cls.name: cls for cls in (Melody, PianoRoll, Chorale, Events)}
    if name not in known:
        raise ParameterError(f"representation={name!r} must be one of {', '.join(map(repr, known))}.")
    unknown = settings.keys() - {field.name for field in fields(known[name])}
    if unknown:
        raise ParameterError(f"The representation {name!r} has no parameter {min(unknown)!r}.")
    return known[name](**settings)


def meter_token(change: Change) -> str:
    """Return the token of a time signature, such as "6/8"."""
    return f"{change.numerator}/{change.denominator}"


def read_meter(token: str, step: int) -> Change | None:
    """Return the time signature that a token stands for, or None."""
    match = _METER.fullmatch(token)
    return Change(step, int(match[1]), int(match[2])) if match else None


def no_such(what: str, expected: str) -> DataError:
    """Return the error of a score that a representation cannot read."""
    return DataError(f"{what}, expected {expected}")
