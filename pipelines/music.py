"""Music: from a folder of scores to a model that writes new ones.

``python -m seqkit music train|evaluate|generate|export``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqkit.cli_parameters import estimator_command, given_parameters
from seqkit.console import console, import_tensorflow, note
from seqkit.errors import ParameterError
from seqkit_pipelines.model_folders import (
    Batching,
    Config,
    Output,
    Overwrite,
    Versions,
    check_output,
    export_version,
    is_to_save,
    saved_class,
)

app = typer.Typer(
    help="Music: learn from scores, write new ones, continue and harmonize.",
    no_args_is_help=True,
    add_completion=False,
)

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that 'music train' wrote.")]
Temperature = Annotated[float, typer.Option(help="Below 1 for more likely, above 1 for more daring notes.")]
_DROPPED_SHOWN = 20


@app.command(cls=estimator_command("seqkit:SequenceGenerator"))
def train(
    context: typer.Context,
    train: Annotated[Path, typer.Argument(metavar="TRAIN", help="A folder of scores, or one file.")],
    output: Output,
    representation: Annotated[
        Literal["melody", "roll", "chorale", "events"],
        typer.Option(
            help="melody: the top line; roll: all notes on a grid; chorale: four voices; events: performances."
        ),
    ] = "melody",
    dev: Annotated[
        Path | None,
        typer.Option(
            help="Scores that decide when to stop; of a file that has parts (.json, .mat), the one for that.",
            show_default="part of TRAIN",
        ),
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Scores to report on at the end, likewise.")] = None,
    steps_per_quarter: Annotated[
        int | None, typer.Option(help="Grid steps to a quarter.", show_default="12; roll and chorale 4")
    ] = None,
    ahead: Annotated[
        int, typer.Option(help="Steps by which the soprano of a chorale is read before the other voices.")
    ] = 0,
    transpose: Annotated[
        bool, typer.Option(help="Learn from each piece in all keys within the range of the training pieces.")
    ] = True,
    styles: Annotated[
        Literal["none", "folders"], typer.Option(help="folders: the style of a piece is its folder in TRAIN.")
    ] = "none",
    min_notes: Annotated[int, typer.Option(help="Pieces with fewer notes are dropped.")] = 8,
    report: Annotated[Path | None, typer.Option(help="TSV file to write: each file, kept or dropped, and why.")] = None,
    config: Config = None,
    overwrite: Overwrite = False,
) -> None:
    """Train on scores, report what was kept and dropped and how probable dev (and test) are, and save."""
    from seqkit.music import Composer, make_representation

    parameters = given_parameters(context, config)
    settings = {} if steps_per_quarter is None else {"steps_per_quarter": steps_per_quarter}
    if ahead:
        settings["ahead"] = ahead
    reads = make_representation(representation, **settings)
    check_output(output, overwrite)
    data = {}
    for name, path in (("train", train), ("dev", dev), ("test", test)):
        if path is not None:
            data[name] = _read(path, name, styles, min_notes)
    import_tensorflow()
    composer = Composer(reads, transpose=transpose, **parameters)
    composer.fit(data["train"].pieces, data["dev"].pieces if dev else None)
    if not is_to_save(parameters):
        return
    composer.save(output)
    judged = {name: composer.evaluate(data[name].pieces) for name in ("dev", "test") if name in data}
    unread = {"train": composer.dropped_[: len(data["train"].pieces) - len(composer.kept_)]}
    unread |= {name: found.dropped for name, found in judged.items()}
    if report is not None:
        _write_report(report, data, unread)
    dropped = [*data["train"].dropped, *unread["train"]]
    screen = console()
    held_out = f" ({len(composer.held_out_):,} of them to judge each pass)" if composer.held_out_ else ""
    screen.print(f"{len(composer.kept_):,} pieces kept{held_out}, {len(dropped):,} dropped" + ":" * bool(dropped))
    for piece in dropped[:_DROPPED_SHOWN]:
        screen.print(f"  {piece.name}: {piece.reason}", soft_wrap=True)
    if len(dropped) > _DROPPED_SHOWN:
        screen.print(f"  and {len(dropped) - _DROPPED_SHOWN:,} more" + " (--report lists all)" * (report is None))
    for name, found in judged.items():
        screen.print(f"{name}: {_told(composer, found)}")
    note(f"Saved to {output}")


@app.command()
def evaluate(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="SCORES", help="A folder of scores, or one file.")],
    part: Annotated[
        Literal["train", "dev", "test", "all"], typer.Option(help="Which part of a file that has parts.")
    ] = "test",
    min_notes: Annotated[int, typer.Option(help="Pieces with fewer notes are dropped.")] = 8,
) -> None:
    """Say how probable scores are to a model, and what they are like beside those it learned from."""
    from seqkit.music import format_statistics, music_statistics

    composer = _load(model)
    styles = "folders" if composer.generator_.context_kind_ == "styles" else "none"
    pieces = _read(file, part, styles, min_notes).pieces
    typer.echo(_told(composer, composer.evaluate(pieces)))
    typer.echo(format_statistics(music_statistics(composer.read(pieces)), composer.statistics_, "given"))


@app.command()
def generate(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write 1.mid, 1.wav, 1.png, 2.mid … to.")],
    count: Annotated[int, typer.Option(help="How many pieces.", min=1)] = 1,
    bars: Annotated[
        int | None, typer.Option(help="Most bars to write.", min=1, show_default="until the piece ends")
    ] = None,
    style: Annotated[str | None, typer.Option(help="Style to write in, where the model has styles.")] = None,
    begin: Annotated[Path | None, typer.Option(help="Score to continue: MIDI, MusicXML or ABC.")] = None,
    notes: Annotated[str | None, typer.Option(help='First notes, such as "C4 D4 E4:2".')] = None,
    harmonize: Annotated[
        Path | None, typer.Option(help="Score whose top line is to be given three more voices (chorale models).")
    ] = None,
    temperature: Temperature = 1.0,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest notes of this share together.")] = 1.0,
    tempo: Annotated[
        float | None, typer.Option(help="Quarters in a minute.", show_default="of BEGIN, or of the training pieces")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed writes the same.", show_default="by chance")] = None,
    wav: Annotated[bool, typer.Option(help="Whether to write a sound file.")] = True,
    picture: Annotated[bool, typer.Option(help="Whether to write a picture.")] = True,
) -> None:
    """Write pieces, as MIDI, sound and picture, and say how they compare with what was learned from."""
    from seqkit.music import read_notes, read_score

    if sum(given is not None for given in (begin, notes, harmonize)) > 1:
        raise ParameterError("--begin, --notes and --harmonize each say what there is already. Give one of them.")
    composer = _load(model)
    how: dict[str, Any] = {"style": style, "temperature": temperature, "top_p": top_p}
    if harmonize is not None:
        scores = composer.harmonize(read_score(harmonize), count, seed=seed, **how)
        own = [_below(score) for score in scores]
    else:
        first = read_score(begin) if begin else read_notes(notes, tempo or composer.tempo_) if notes else None
        scores = composer.generate(count, bars=bars, begin=first, seed=seed, tempo=tempo, **how)
        given = first.end() if first else 0
        own = [score.clip(given, max(given, score.end()) + 1) for score in scores]
    _write(scores, output, wav, picture)
    _compare(composer, scores, own)


@app.command()
def export(
    model: Model,
    output: Versions = None,
    batching: Batching = False,
) -> None:
    """Export for TensorFlow Serving: OUTPUT/<next version>, checked in TensorFlow's C++ runtime before it appears."""
    export_version(_load(model), model, output, batching)


DEMO_TUNE = "B4 B4 C5 D5 D5 C5 B4 A4 G4 G4 A4 B4 B4:3/2 A4:1/2 A4:2"
DEMO_FOLDER = Path("demo_music")
DEMO_PIECES = 60
DEMO_PARAMETERS = {
    "units": 192,
    "epochs": 12,
    "learning_rate": 0.004,
    "random_state": 0,
}


def demo(text: str | None = None, output: Path = Path("saved_models/music")) -> None:
    """Learn from chorales that music21 carries, write one, harmonize a tune, and export the model.

    Parameters
    ----------
    text : str, optional
        Notes of a tune, such as "G4 A4 B4:2", for which the model writes three more voices; one is at hand.
    output : Path, default saved_models/music
        Folder of versions to export to. The music itself goes to ``demo_music``.
    """
    from seqkit.music import Composer, make_representation, read_notes

    tune = read_notes(DEMO_TUNE if text is None else text)
    import_tensorflow()
    screen = console()
    screen.soft_wrap = True
    started = time.perf_counter()
    pieces = _bundled_chorales(DEMO_PIECES)
    screen.print(f"Read {len(pieces)} chorales by J. S. Bach from music21's corpus ({_since(started)}).")
    started = time.perf_counter()
    composer = Composer(make_representation("chorale", steps_per_quarter=2), **DEMO_PARAMETERS).fit(
        pieces[6:], pieces[:6]
    )
    screen.print(
        f"Learned to write them ({_since(started)}); of others: {_told(composer, composer.evaluate(pieces[:6]))}."
    )
    new = max(composer.generate(8, bars=16, temperature=0.8, seed=0), key=lambda score: score.end())
    (harmonized,) = composer.harmonize(tune, seed=0)
    scores = [new, harmonized]
    screen.print("A chorale of its own, the longest of eight, and three voices to a given tune:")
    _write(scores, DEMO_FOLDER, True, True)
    _compare(composer, scores, [new, _below(harmonized)])
    screen.print(f"Exported to {composer.export(output)}, which answers the same in TensorFlow's C++ runtime.")


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.0f} s"


def _bundled_chorales(count: int) -> list[Any]:
    """Read chorales of four voices that come with music21."""
    from seqkit.errors import DataError, require
    from seqkit.music import Piece, read_score

    corpus = require("music21.corpus", extra="music", why="The music demo")
    pieces: list[Any] = []
    for path in corpus.getComposer("bach"):
        if len(pieces) == count:
            break
        if Path(path).suffix != ".mxl":
            continue
        try:
            score = read_score(path)
        except DataError:
            continue
        if len(score.tracks) == 4:
            pieces.append(Piece(score, Path(path).stem))
    return pieces


def _read(path: Path, part: str, styles: str, min_notes: int) -> Any:
    """Read scores, and tell how many."""
    from seqkit.music import read_music

    reading = read_music(path, part=part, styles=styles, min_notes=min_notes)
    note(f"{path}: {len(reading.pieces):,} pieces, {len(reading.dropped):,} dropped")
    return reading


def _load(model: Path) -> Any:
    """Load a composer; a folder that holds none is told before the slow import."""
    saved_class(model, "SequenceGenerator")
    import_tensorflow()
    from seqkit.music import Composer

    return Composer.load(model)


def _told(composer: Any, found: Any) -> str:
    """Say how probable pieces are; ``found`` is what `seqkit.music.Composer.evaluate` gives."""
    unit = "frame" if composer.representation.name == "roll" else "token"
    dropped = f", {len(found.dropped)} pieces could not be read" if found.dropped else ""
    return f"{found.loss:.4f} nats per {unit}, {found.items:,} {unit}s{dropped}"


def _write_report(path: Path, data: dict[str, Any], unread: dict[str, Sequence[Any]]) -> None:
    """Write which files of each part were kept; ``unread`` are those that the representation could not take."""
    from seqkit.io import write_whole

    with write_whole(path) as stream:
        stream.write("part\tfile\tdecision\treason\n")
        for part, reading in data.items():
            dropped = {piece.name: piece.reason for piece in (*reading.dropped, *unread[part])}
            kept = {piece.name: "" for piece in reading.pieces if piece.name not in dropped}
            for name, reason in sorted((kept | dropped).items()):
                row = (part, name, "dropped" if name in dropped else "kept", reason)
                stream.write("\t".join(" ".join(cell.split()) for cell in row) + "\n")


def _write(scores: Sequence[Any], folder: Path, wav: bool, picture: bool) -> None:
    """Write the files of pieces, and tell their names."""
    from seqkit.music import write_midi, write_picture, write_wav

    folder.mkdir(parents=True, exist_ok=True)
    for number, score in enumerate(scores, 1):
        if not score.note_num():
            typer.echo(f"{number}: no notes, the model ended the piece at once. Try another --seed.")
            continue
        paths = [folder / f"{number}.mid"]
        write_midi(score, paths[0])
        if wav:
            paths.append(folder / f"{number}.wav")
            write_wav(score, paths[-1])
        if picture:
            paths.append(folder / f"{number}.png")
            write_picture(score, paths[-1])
        typer.echo("  ".join(map(str, paths)))


def _below(score: Any) -> Any:
    """Return a score without its first track, which was given."""
    rest = score.copy()
    rest.tracks.pop(0)
    return rest


def _compare(composer: Any, scores: Sequence[Any], own: Sequence[Any]) -> None:
    """Print what pieces are like beside the training pieces, and what they copied in ``own``, what was not given."""
    from seqkit.music import format_statistics, is_copy, music_statistics

    typer.echo(format_statistics(music_statistics(scores), composer.statistics_))
    for number, written in enumerate(own, 1):
        found = composer.runs_.longest_copied(written)
        place = f", as in {found.piece} from quarter {found.training_quarters:g}" if found.piece else ""
        flag = "  COPIED" if is_copy(found) else ""
        typer.echo(f"{number}: longest run copied from training: {found.notes} notes{place}{flag}")
