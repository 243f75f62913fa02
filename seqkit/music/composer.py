"""Learns from scores, and writes new ones."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from seqkit.errors import DataError, ModelFileError, ParameterError
from seqkit.music.copying import TrainingRuns
from seqkit.music.notes import bar_lines, first_bars, lines_of
from seqkit.music.reading import Dropped, Piece
from seqkit.music.representation import Representation, make_representation
from seqkit.music.statistics import MusicStatistics, music_statistics

if TYPE_CHECKING:
    import symusic

_FILE, _RUNS = "music.json", "training.npz"
_SHIFTS = [shift for shift in range(-5, 7) if shift]


class Evaluation(NamedTuple):
    """How probable pieces are to a composer."""

    loss: float  # -log p of an item given those before it, mean, in nats
    items: int
    dropped: list[Dropped]


class Composer:
    """Learn from scores in some representation, and write new ones: a `SequenceGenerator` that knows music.

    Parameters
    ----------
    representation : str or Representation, default="melody"
        "melody", "roll", "chorale", "events", or one of `seqkit.music.make_representation`.
    transpose : bool, default=True
        Whether each piece is learned from in all twelve keys, so far as its notes stay between the lowest and the
        highest one of the training pieces (of each voice, in chorales).
    **parameters
        Parameters of `seqkit.SequenceGenerator`.

    Attributes
    ----------
    generator_ : seqkit.SequenceGenerator
        The network.
    kept_ : list of str
        Names of the pieces that could be read.
    held_out_ : list of str
        Those of them that were not learned from, but judged each pass.
    dropped_ : list of Dropped
        The pieces that could not be read, with reasons: first those to learn from, then those of ``validation``.
    statistics_ : MusicStatistics
        What the training pieces are like, in this representation.
    runs_ : TrainingRuns
        The training pieces' lines, to find what is copied.
    tempo_ : float
        Median of the first tempos of the training pieces, in quarters in a minute.

    Examples
    --------
    >>> from seqkit.music import Composer, read_music, write_midi
    >>> pieces = read_music("tunes").pieces  # doctest: +SKIP
    >>> composer = Composer("melody", units=128, random_state=0).fit(pieces)  # doctest: +SKIP
    >>> write_midi(composer.generate(seed=1)[0], "new.mid")  # doctest: +SKIP
    """

    def __init__(self, representation: str | Representation = "melody", *, transpose: bool = True, **parameters):
        if not isinstance(representation, Representation):
            representation = make_representation(representation)
        self.representation = representation
        self.transpose = transpose
        self.parameters = parameters

    def fit(self, pieces: Iterable[Piece], validation: Iterable[Piece] | None = None) -> Composer:
        """Learn from pieces.

        Parameters
        ----------
        pieces : iterable of Piece
            See `seqkit.music.read_music`. Where they have styles, what is written can be asked for in one.
        validation : iterable of Piece, optional
            What judges each pass. By default a share of the pieces (``validation_fraction``), in their own keys.

        Returns
        -------
        self
        """
        from seqkit import SequenceGenerator

        generator = SequenceGenerator(**self.parameters)
        kept, encoded, self.dropped_ = self._encoded(pieces)
        self.kept_ = [piece.name for piece in kept]
        if not kept:
            raise DataError(f"No piece can be learned from: {_told(self.dropped_)}.")
        if validation is None:
            styles = [piece.style for piece in kept]
            seed = generator.random_state
            if generator.strategy == "multi_worker" and not isinstance(seed, Integral):
                seed = generator._draw_seed()  # the same pieces in all workers
            train, held = _parted(styles, generator.validation_fraction, seed)
            held_pieces, held_items = [kept[i] for i in held], [encoded[i] for i in held]
            kept, encoded = [kept[i] for i in train], [encoded[i] for i in train]
        else:
            held_pieces, held_items, dropped = self._encoded(validation)
            self.dropped_ += dropped
            if not held_pieces:
                raise DataError(f"No piece can judge the passes: {_told(dropped)}.")
        items, styles = list(encoded), [piece.style for piece in kept]
        if self.transpose:
            for piece in self._in_other_keys(kept):
                items.append(self.representation.encode(piece.score))
                styles.append(piece.style)
        with_styles = any(style is not None for style in styles)
        held = None
        if held_items:
            held = ([piece.style for piece in held_pieces] if with_styles else None, held_items)
        self.generator_ = generator.fit(styles if with_styles else None, items, validation_data=held)
        self.held_out_ = [piece.name for piece in held_pieces] if validation is None else []
        self.tempo_ = float(np.median([p.score.tempos[0].qpm if len(p.score.tempos) else 100.0 for p in kept]))
        read = [self.representation.decode(item) for item in encoded]
        self.statistics_ = music_statistics(read)
        self.runs_ = TrainingRuns.of(read, [piece.name for piece in kept])
        return self

    def _encoded(self, pieces: Iterable[Piece]) -> tuple[list[Piece], list, list[Dropped]]:
        """Return the pieces that the representation can read, their items, and the others with reasons."""
        kept, items, dropped = [], [], []
        for piece in pieces:
            try:
                items.append(self.representation.encode(piece.score))
                kept.append(piece)
            except DataError as error:
                dropped.append(Dropped(piece.name, str(error)))
        return kept, items, dropped

    def _in_other_keys(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        """Yield each piece in the keys in which it stays between the lowest and the highest note of all."""
        ranges = [self._ranges(piece.score) for piece in pieces]
        low, high = np.min([own[:, 0] for own in ranges], 0), np.max([own[:, 1] for own in ranges], 0)
        for piece, own in zip(pieces, ranges, strict=True):
            for shift in _SHIFTS:
                if (own[:, 0] + shift >= low).all() and (own[:, 1] + shift <= high).all():
                    yield Piece(piece.score.shift_pitch(shift), piece.name, piece.style)

    def _ranges(self, score: symusic.Score) -> np.ndarray:
        """Return the lowest and the highest pitch, int [1, 2], or [4, 2] for chorales: of each voice."""
        lines = lines_of(score, self.representation.steps_per_quarter)
        ranges = np.array([(line.pitches.min(), line.pitches.max()) for line in lines])
        if self.representation.name == "chorale":
            return ranges[np.argsort([-line.pitches.mean() for line in lines], kind="stable")]
        return np.array([[ranges[:, 0].min(), ranges[:, 1].max()]])

    # Judging

    def read(self, pieces: Iterable[Piece]) -> list[symusic.Score]:
        """Return what this representation keeps of pieces: what there is to learn from, and to compare with.

        Parameters
        ----------
        pieces : iterable of Piece
            Those that cannot be read are left out; `evaluate` says which.
        """
        return [self.representation.decode(items) for items in self._encoded(pieces)[1]]

    def evaluate(self, pieces: Iterable[Piece]) -> Evaluation:
        """Return how probable pieces are.

        Parameters
        ----------
        pieces : iterable of Piece
            In the styles that were learned, if any.
        """
        self._check_fitted()
        kept, items, dropped = self._encoded(pieces)
        if not kept:
            raise DataError(f"No piece can be read: {_told(dropped)}.")
        found = self.generator_.log_probability(self._contexts(kept), items, per_item=True)
        return Evaluation(-float(np.concatenate(found).mean()), sum(map(len, found)), dropped)

    def _contexts(self, pieces: Sequence[Piece]):
        return [piece.style for piece in pieces] if self.generator_.context_kind_ == "styles" else None

    # Writing

    def generate(
        self,
        count: int = 1,
        *,
        style: str | Sequence[str] | None = None,
        bars: int | None = None,
        begin: symusic.Score | Sequence[symusic.Score | None] | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int | Sequence[int] | None = None,
        tempo: float | None = None,
    ) -> list[symusic.Score]:
        """Write scores.

        Parameters
        ----------
        count : int
            How many.
        style : str, sequence of str, or None
            The style of all or of each, of ``generator_.styles_``; needed where pieces had styles.
        bars : int or None
            Most bars, those of ``begin`` not counted. None: as long as it wants, at most as long as the longest
            training piece.
        begin : symusic.Score, sequence of symusic.Score or None, or None
            How all, or each, are to begin; it stands at the beginning of what is returned, in this representation.
        temperature, top_p : float
            See `SequenceGenerator.generate`.
        seed : int, sequence of int, or None
            Of the first, the next ones have one more each; or of each. None: by chance.
        tempo : float or None
            Quarters in a minute. None: that of ``begin``, or `tempo_`; performances write their own.

        Returns
        -------
        list of symusic.Score
        """
        self._check_fitted()
        if not isinstance(count, int) or count < 1:
            raise ParameterError(f"count={count!r} must be a whole number of at least 1.")
        if bars is not None and (not isinstance(bars, int) or bars < 1):
            raise ParameterError(f"bars={bars!r} must be a whole number of at least 1, or None.")
        begins = list(begin) if isinstance(begin, Sequence) else [begin] * count
        if len(begins) != count:
            raise DataError(f"begin has {len(begins)} beginnings for count={count} scores.")
        empty = [] if self.generator_.input_kind_ == "tokens" else np.zeros((0, self.generator_.keys_), np.float32)
        prompts = [empty if one is None else self.representation.beginning(one) for one in begins]
        written = self.generator_.generate(
            self._asked(style, count),
            self.generator_.longest_ if bars is None else self.representation.most_items(bars),
            prompt=prompts,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
        )
        scores = []
        for begin, prompt, items in zip(begins, prompts, written, strict=True):
            if len(prompt):
                items = [*prompt, *items] if isinstance(items, list) else np.concatenate([prompt, items])
            own = begin.tempos[0].qpm if begin is not None and len(begin.tempos) else self.tempo_
            score = self.representation.decode(items, tempo or own)
            before = 0 if begin is None else len(bar_lines(begin)) - 1
            scores.append(score if bars is None else first_bars(score, before + bars))
        return scores

    def _asked(self, style, count: int):
        """Return the contexts of so many pieces in a style."""
        if self.generator_.context_kind_ == "styles":
            known = self.generator_.styles_.tolist()
            styles = [style] * count if style is None or isinstance(style, str) else list(style)
            for one in styles:
                if one not in known:
                    raise ParameterError(f"style={one!r} must be one of {', '.join(map(repr, known))}.")
            if len(styles) != count:
                raise DataError(f"style has {len(styles)} styles for count={count} scores.")
            return styles
        if style is not None:
            raise ParameterError(f"style={style!r}: this composer learned from pieces without styles.")
        return count

    def harmonize(
        self,
        melody: symusic.Score,
        count: int = 1,
        *,
        candidates: int = 8,
        temperature: float = 0.7,
        top_p: float = 1.0,
        seed: int | None = None,
        style: str | None = None,
    ) -> list[symusic.Score]:
        """Write alto, tenor and bass to a soprano; for composers of chorales.

        Parameters
        ----------
        melody : symusic.Score
            The top line of its highest track is the soprano.
        count : int
            How many harmonizations.
        candidates : int
            How many are written for each, of which the most probable one is returned.
        temperature, top_p, seed, style
            As in `generate`; each candidate has a seed of its own.

        Returns
        -------
        list of symusic.Score
        """
        self._check_fitted()
        if self.representation.name != "chorale":
            raise ParameterError(
                f"harmonize is for composers of chorales; this one writes in the representation "
                f"{self.representation.name!r}."
            )
        template, total = self.representation.template(melody), count * candidates
        asked = self._asked(style, total)
        contexts = None if isinstance(asked, int) else asked
        filled = self.generator_.fill(contexts, [template] * total, temperature=temperature, top_p=top_p, seed=seed)
        scores = self.generator_.log_probability(contexts, filled).reshape(count, candidates)
        best = scores.argmax(1) + np.arange(count) * candidates
        tempo = melody.tempos[0].qpm if len(melody.tempos) else self.tempo_
        return [self.representation.decode(filled[i], tempo) for i in best]

    # Files

    def save(self, folder: str | os.PathLike) -> Path:
        """Save as a folder of JSON and arrays, which `load` and `seqkit.load` read (the latter as the network alone).

        Parameters
        ----------
        folder : str or os.PathLike
            Is made, or replaced if it holds a saved model.
        """
        from seqkit.estimators.persistence import save

        self._check_fitted()
        about = {
            "representation": self.representation.settings(),
            "transpose": self.transpose,
            "tempo": self.tempo_,
            "kept": self.kept_,
            "held_out": self.held_out_,
            "dropped": [[piece.name, piece.reason] for piece in self.dropped_],
            "statistics": asdict(self.statistics_),
        }
        arrays = io.BytesIO()
        np.savez_compressed(arrays, **self.runs_.to_arrays())
        return save(
            self.generator_,
            folder,
            {_FILE: json.dumps(about, ensure_ascii=False, indent=1).encode(), _RUNS: arrays.getvalue()},
        )

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Composer:
        """Load what `save` wrote. Runs no code from the folder.

        Parameters
        ----------
        folder : str or os.PathLike
            The folder.
        """
        from seqkit import SequenceGenerator

        folder = Path(folder)
        generator = SequenceGenerator.load(folder)
        if not is_composer(folder):
            raise ModelFileError(f"{folder} holds a SequenceGenerator that was not saved by a Composer: no {_FILE}.")
        try:
            about = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            composer = cls(make_representation(**about["representation"]), transpose=about["transpose"])
            composer.parameters = generator.get_params()
            composer.tempo_ = float(about["tempo"])
            composer.kept_, composer.held_out_ = list(about["kept"]), list(about["held_out"])
            composer.dropped_ = [Dropped(*piece) for piece in about["dropped"]]
            statistics = {k: tuple(v) if isinstance(v, list) else v for k, v in about["statistics"].items()}
            composer.statistics_ = MusicStatistics(**statistics)
            with np.load(folder / _RUNS, allow_pickle=False) as arrays:
                composer.runs_ = TrainingRuns.from_arrays(dict(arrays))
        except (LookupError, TypeError, ValueError, AttributeError, OSError, EOFError) as error:
            raise ModelFileError(f"{folder} is damaged: {type(error).__name__}: {error}. Save it again.") from error
        composer.generator_ = generator
        return composer

    def export(self, root: str | os.PathLike) -> Path:
        """Export the network for TensorFlow Serving, see `SequenceGenerator.export`; scores stay outside."""
        self._check_fitted()
        return self.generator_.export(root)

    def _check_fitted(self) -> None:
        if not hasattr(self, "generator_"):
            raise ParameterError("This Composer is not fitted yet. Call fit first, or load one.")


def is_composer(folder: str | os.PathLike) -> bool:
    """Whether a folder was saved by a `Composer`."""
    return (Path(folder) / _FILE).is_file()


def _parted(styles: Sequence[str | None], share: float | None, random_state) -> tuple[np.ndarray, np.ndarray]:
    """Return the pieces to learn from and those held out: of each style one at least is learned from."""
    from sklearn.utils import check_random_state

    count = len(styles)
    wanted = max(1, round(count * share)) if share else 0
    order = check_random_state(random_state).permutation(count)
    firsts = {styles[i]: i for i in reversed(order)}.values()
    held = [i for i in order if i not in firsts][:wanted]
    return np.setdiff1d(order, held), np.sort(np.array(held, int))


def _told(dropped: Sequence[Dropped]) -> str:
    return "; ".join(f"{piece.name}: {piece.reason}" for piece in dropped[:3]) or "there are none"
