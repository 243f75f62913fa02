"""Named entities, from a tagged file to a served model.

``python -m seqkit ner train|evaluate|predict|export``, and ``python -m seqkit demo``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqkit.cli_parameters import estimator_command, given_parameters
from seqkit.console import console, entity_text, import_tensorflow, is_terminal, note
from seqkit.errors import ExportError, ParameterError
from seqkit_pipelines.model_folders import (
    Batching,
    Config,
    Output,
    Overwrite,
    Versions,
    check_output,
    export_version,
    is_to_save,
    load_model,
    saved_class,
)
from seqkit_pipelines.tagging_files import (
    read_items,
    read_tagged,
    tag_items,
    write_predictions,
)

app = typer.Typer(
    help="Named entities (or any other tags): train, evaluate, predict, export.",
    no_args_is_help=True,
    add_completion=False,
)

# What the demo trains with; everything else is the estimator's default.
DEMO_PARAMETERS: dict[str, Any] = {"epochs": 12, "random_state": 0}
DEMO_TEXT = "Last week Amara Okonjo flew from Lisbon to Nairobi to open the new office of Brightwater Logistics."

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that 'ner train' wrote.")]
Format = Annotated[
    Literal["auto", "conll", "conllu", "jsonl"],
    typer.Option("--format", help="Format of the tagged files; auto goes by their endings."),
]
Delimiter = Annotated[
    str | None, typer.Option(help=r"Between CoNLL columns, such as '\t'.", show_default="any white space")
]
TokenColumn = Annotated[int, typer.Option(help="CoNLL column of the token, from 0; negative from the end.")]
TagColumn = Annotated[str, typer.Option(help="CoNLL column of the tag; for CoNLL-U a name such as upos.")]


@app.command(cls=estimator_command("seqkit:SequenceTagger"))
def train(
    context: typer.Context,
    train: Annotated[Path, typer.Argument(metavar="TRAIN", help="Tagged sentences to learn from.")],
    output: Output,
    dev: Annotated[
        Path | None, typer.Option(help="Tagged sentences that decide when to stop.", show_default="part of TRAIN")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Tagged sentences to report on at the end.")] = None,
    config: Config = None,
    overwrite: Overwrite = False,
    format: Format = "auto",
    delimiter: Delimiter = None,
    token_column: TokenColumn = 0,
    tag_column: TagColumn = "-1",
) -> None:
    """Train a tagger on a file, report on dev (and test), and save it."""
    from seqkit import SequenceTagger

    parameters = given_parameters(context, config)
    check_output(output, overwrite)
    columns = {"delimiter": delimiter, "token_column": token_column, "tag_column": tag_column}
    data = {
        name: read_tagged(path, format, **columns)
        for name, path in (("train", train), ("dev", dev), ("test", test))
        if path is not None
    }
    note("  ".join(f"{name}: {len(sentences):,} sentences" for name, (sentences, _) in data.items()))

    import_tensorflow()
    tagger = SequenceTagger(**parameters)
    tagger.fit(*data["train"], validation_data=data.get("dev"))
    if not is_to_save(parameters):
        return
    tagger.save(output)
    for name in ("dev", "test"):
        if name in data:
            typer.echo(f"{name}: {_report(tagger, *data[name])}")
    note(f"Saved to {output}")


@app.command()
def evaluate(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Tagged sentences to score against.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write CoNLL columns: token, true tag, predicted tag.")
    ] = None,
    format: Format = "auto",
    delimiter: Delimiter = None,
    token_column: TokenColumn = 0,
    tag_column: TagColumn = "-1",
) -> None:
    """Score a model on a tagged file: precision, recall and F1 by type, as conlleval counts them."""
    tagger = _load(model)
    sentences, tags = read_tagged(file, format, delimiter=delimiter, token_column=token_column, tag_column=tag_column)
    typer.echo(_report(tagger, sentences, tags, output))


@app.command()
def predict(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="What to tag; - is standard input.")] = Path("-"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; - is standard output.")] = Path("-"),
    output_format: Annotated[
        Literal["auto", "conll", "jsonl", "text"],
        typer.Option(
            help="auto goes by OUTPUT's ending, else text. jsonl keeps the input's fields; those that the answer has "
            "too (tags, entities) become input_tags, input_entities."
        ),
    ] = "auto",
    input_format: Annotated[
        Literal["auto", "text", "conll", "jsonl"],
        typer.Option(help='text: one a line; jsonl: "text" or "tokens" in each; auto goes by the ending, else text.'),
    ] = "auto",
    delimiter: Delimiter = None,
    token_column: TokenColumn = 0,
) -> None:
    """Tag a file or a stream of any length."""
    items = read_items(file, input_format, delimiter=delimiter, token_column=token_column)
    tagger = _load(model)
    # Someone typing wants an answer to each line; everything else is faster in chunks.
    chunk = 1 if str(file) == "-" and is_terminal(sys.stdin) else 4096
    started = time.perf_counter()
    count = write_predictions(output, tag_items(tagger, items, chunk), output_format)
    if str(output) != "-":
        note(f"Tagged {count:,} in {time.perf_counter() - started:.1f} s, written to {output}")


@app.command()
def export(
    model: Model,
    output: Versions = None,
    batching: Batching = False,
) -> None:
    """Export for TensorFlow Serving: OUTPUT/<next version>, checked in TensorFlow's C++ runtime before it appears."""
    export_version(_load(model), model, output, batching)


def demo(text: str | None = None, output: Path = Path("saved_models/ner")) -> None:
    """Train on the bundled sample, score, tag a text, export, and ask the export the same in the C++ runtime.

    Parameters
    ----------
    text : str, optional
        Text to tag; one is at hand.
    output : Path, default saved_models/ner
        Folder of versions to export to.
    """
    text = DEMO_TEXT if text is None else text
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes on the command line that are no UTF-8
        raise ParameterError(f"--text must be valid UTF-8, got {text!r}.") from None
    import_tensorflow()
    from seqkit import SequenceTagger
    from seqkit.datasets import load_ner_sample

    screen = console()
    screen.soft_wrap = True
    sample = load_ner_sample()
    screen.print(f"Sample corpus: {len(sample.X_train)} sentences to learn from, {len(sample.X_dev)} to score on.")
    tagger = SequenceTagger(**DEMO_PARAMETERS)
    started = time.perf_counter()
    tagger.fit(sample.X_train, sample.y_train, validation_data=(sample.X_dev, sample.y_dev))
    screen.print(
        f"Trained a BiLSTM-CRF in {time.perf_counter() - started:.0f} s. On the dev part, names mostly unseen:\n"
    )
    screen.print(_report(tagger, sample.X_dev, sample.y_dev))

    (found,) = tagger.tag([text])
    screen.print(entity_text(text, found["entities"], color=screen.is_terminal))

    version = tagger.export(output)
    screen.print(f"\nExported to {version}, and asked it the same in TensorFlow's C++ runtime:")
    served = ask_export(version, text)
    screen.print(entity_text(text, served["entities"], color=screen.is_terminal))
    difference = max((abs(a - b) for a, b in zip(served["scores"], found["scores"], strict=False)), default=0.0)
    if (served["tokens"], served["tags"]) != (found["tokens"], found["tags"]) or difference > 1e-4:
        raise ExportError(f"{version}: the export answers {served['tags']}, the model {found['tags']}.")
    screen.print(f"The same answer; largest difference of a probability: {difference:.1g}.")


def ask_export(version: Path, text: str) -> dict[str, Any]:
    """Tag one text by an exported model in TensorFlow's C++ runtime, in a process of its own without seqkit.

    Parameters
    ----------
    version : Path
        Version folder of an export.
    text : str
        The text.

    Returns
    -------
    dict
        As `SequenceTagger.tag` gives it: ``text``, ``tokens``, ``tags``, ``scores``, and ``entities`` with character
        offsets.
    """
    import numpy as np

    from seqkit.export.answers import rows_of
    from seqkit.export.check import check_saved_model
    from seqkit.export.manifest import read_manifest

    request = {"text": np.array([text.encode()], dtype=object)}
    report = check_saved_model(version, requests={"serving_default": [request]})
    if not report.ok:
        raise ExportError(f"{version}: {report.problems[0]}")
    (row,) = rows_of(read_manifest(version), report.answers["serving_default"][0], [text])
    return {"text": text, **row}


def _load(model: Path) -> Any:
    """Load a saved tagger; a folder that holds none is told before the slow import."""
    saved_class(model, "SequenceTagger")
    return load_model(model)


def _report(tagger: Any, sentences: list[list[str]], tags: list[list[str]], output: Path | None = None) -> str:
    """Predict, and say how well: by entity where the tags are entity tags, by token otherwise."""
    from seqkit.io import write_conll
    from seqkit.metrics.entities import entity_scores, token_accuracy

    predicted = tagger.predict(sentences)
    if output is not None:
        write_conll(output, sentences, tags, predicted)
    if tagger.scheme_ is None:
        return f"token accuracy {token_accuracy(tags, predicted):.4f}"
    return entity_scores(tags, predicted).report()
