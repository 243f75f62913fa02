"""Spelling to sound: from a pronouncing dictionary to a served model.

``python -m seqkit pronunciation train|evaluate|predict|export``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from seqkit.cli_parameters import estimator_command, given_parameters
from seqkit.console import import_tensorflow, note
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
from seqkit_pipelines.pair_files import answer_lines, grouped, load_pair_model, read_dictionary

app = typer.Typer(
    help="Spelling to sound: train on a pronouncing dictionary, evaluate, predict, export.",
    no_args_is_help=True,
    add_completion=False,
)

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that 'pronunciation train' wrote.")]
Stress = Annotated[bool, typer.Option("--stress", help="Keep the digits that tell the stress of a vowel.")]


@app.command(cls=estimator_command("seqkit:Seq2Seq"))
def train(
    context: typer.Context,
    dictionary: Annotated[Path, typer.Argument(metavar="DICTIONARY", help="A word and its sounds on each line.")],
    output: Output,
    dev: Annotated[
        Path | None, typer.Option(help="Dictionary that decides when to stop.", show_default="part of DICTIONARY")
    ] = None,
    stress: Stress = False,
    config: Config = None,
    overwrite: Overwrite = False,
) -> None:
    """Train on a pronouncing dictionary, report on dev, and save."""
    from seqkit import Seq2Seq

    # Words are read by their letters, unless it is said otherwise.
    parameters = {"tokenizer": "characters", "lowercase": True} | given_parameters(context, config)
    check_output(output, overwrite)
    pairs = read_dictionary(dictionary, stress=stress)
    held_out = None if dev is None else read_dictionary(dev, stress=stress)
    note(f"train: {len(pairs[0]):,} entries" + ("" if held_out is None else f"  dev: {len(held_out[0]):,} entries"))
    import_tensorflow()
    model = Seq2Seq(**parameters).fit(*pairs, validation_data=held_out)
    if not is_to_save(parameters):
        return
    model.save(output)
    if held_out is not None:
        typer.echo(f"dev: {_report(model, *held_out)}")
    note(f"Saved to {output}")


@app.command()
def evaluate(
    model: Model,
    dictionary: Annotated[Path, typer.Argument(metavar="DICTIONARY", help="Words with all that is right.")],
    stress: Stress = False,
) -> None:
    """Compare with a dictionary: the share of wrong words, and of wrong sounds. Any pronunciation it lists is right."""
    loaded = load_pair_model(model, "tokens")
    typer.echo(_report(loaded, *read_dictionary(dictionary, stress=stress)))


@app.command()
def predict(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Words, one a line; - is standard input.")] = Path("-"),
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write; - is standard output; .jsonl: records.")
    ] = Path("-"),
    best: Annotated[int, typer.Option(help="Pronunciations of each, with scores if more than one.", min=1)] = 1,
) -> None:
    """Give words their sounds: a file or a stream of any length, as it comes."""
    answer_lines(
        load_pair_model(model, "tokens"), file, output, count=best, told="pronunciations", copy=True, strip=True
    )


@app.command()
def export(model: Model, output: Versions = None, batching: Batching = False) -> None:
    """Export for TensorFlow Serving: OUTPUT/<next version>, checked in TensorFlow's C++ runtime before it appears."""
    export_version(load_pair_model(model, "tokens"), model, output, batching)


def _report(model: Any, words: list[str], sounds: list[list[str]]) -> str:
    from seqkit.metrics.sequences import token_errors

    references = grouped(words, sounds)
    found = token_errors(list(references.values()), model.predict(list(references)))
    wrong, errors = found["sequence_error_rate"], found["token_error_rate"]
    return f"wrong words {100 * wrong:.2f} %  wrong sounds {100 * errors:.2f} %  ({len(references):,} words)"
