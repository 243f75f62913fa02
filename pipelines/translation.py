"""Translation, or any other rewriting of texts: from pairs of lines to a served model.

``python -m seqkit translation train|evaluate|translate|align|export``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from seqkit.cli_parameters import estimator_command, given_parameters
from seqkit.console import import_tensorflow, note
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
)
from seqkit_pipelines.pair_files import answer_lines, load_pair_model, read_pairs

app = typer.Typer(
    help="Translation, or any rewriting of texts: train, evaluate, translate, align, export.",
    no_args_is_help=True,
    add_completion=False,
)

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that 'translation train' wrote.")]
Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="Texts, one a line; or, without TARGET, pairs with a tab between.")
]
Target = Annotated[Path | None, typer.Argument(metavar="[TARGET]", help="Their translations, one a line.")]
Reverse = Annotated[bool, typer.Option("--reverse", help="Pairs have the translation first.")]


@app.command(cls=estimator_command("seqkit:Seq2Seq"))
def train(
    context: typer.Context,
    source: Source,
    output: Output,
    target: Target = None,
    dev: Annotated[
        Path | None, typer.Option(help="Texts or pairs that decide when to stop.", show_default="part of SOURCE")
    ] = None,
    dev_target: Annotated[Path | None, typer.Option(help="Translations of DEV, where TARGET is given.")] = None,
    reverse: Reverse = False,
    config: Config = None,
    overwrite: Overwrite = False,
) -> None:
    """Train on parallel files or on pairs, report on dev, and save."""
    from seqkit import Seq2Seq

    parameters = given_parameters(context, config)
    if (dev_target is not None) != (dev is not None and target is not None):
        raise ParameterError("--dev-target goes with --dev where a TARGET is given, and only there.")
    check_output(output, overwrite)
    pairs = read_pairs(source, target, reverse=reverse)
    held_out = None if dev is None else read_pairs(dev, dev_target, reverse=reverse)
    note(f"train: {len(pairs[0]):,} pairs" + ("" if held_out is None else f"  dev: {len(held_out[0]):,} pairs"))
    import_tensorflow()
    model = Seq2Seq(**parameters).fit(*pairs, validation_data=held_out)
    if not is_to_save(parameters):
        return
    model.save(output)
    if held_out is not None:
        typer.echo(f"dev: {_report(model, *held_out)}")
    note(f"Saved to {output}")


@app.command()
def evaluate(model: Model, source: Source, target: Target = None, reverse: Reverse = False) -> None:
    """Translate texts and compare with given translations: chrF and BLEU."""
    loaded = load_pair_model(model, "texts")
    typer.echo(_report(loaded, *read_pairs(source, target, reverse=reverse)))


@app.command()
def translate(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Texts, one a line; - is standard input.")] = Path("-"),
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write; - is standard output; .jsonl: records.")
    ] = Path("-"),
    best: Annotated[int, typer.Option(help="Translations of each, with scores if more than one.", min=1)] = 1,
) -> None:
    """Translate a file or a stream of any length, as it comes."""
    answer_lines(load_pair_model(model, "texts"), file, output, count=best, told="translations")


@app.command()
def align(
    model: Model,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A text.")],
    target: Annotated[
        str | None, typer.Option(help="A translation of it.", show_default="the one that the model gives")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="PNG file to draw into.")] = None,
) -> None:
    """Show what each word of a translation looked at in the text."""
    from seqkit.inspection import draw_alignment, format_alignment

    loaded = load_pair_model(model, "texts")
    (alignment,) = loaded.attention([text], None if target is None else [target])
    typer.echo(format_alignment(alignment))
    if picture is not None:
        draw_alignment(alignment, picture)
        note(f"Drawn to {picture}")


@app.command()
def export(model: Model, output: Versions = None, batching: Batching = False) -> None:
    """Export for TensorFlow Serving: OUTPUT/<next version>, checked in TensorFlow's C++ runtime before it appears."""
    export_version(load_pair_model(model, "texts"), model, output, batching)


def _report(model: Any, sources: list[str], targets: list[str]) -> str:
    found = model.evaluate(sources, targets)
    return f"chrF {100 * found['chrf']:.2f}  BLEU {100 * found['bleu']:.2f}  ({len(sources):,} texts)"
