"""Classes of texts, such as sentiment: from a labelled table to a served model.

``python -m seqkit sentiment train|evaluate|predict|export``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqkit.cli_parameters import estimator_command, given_parameters
from seqkit.console import import_tensorflow, is_terminal, note
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
    load_model,
    saved_class,
)
from seqkit_pipelines.text_files import TWO_GRADES, classify_texts, read_labelled, read_texts, write_answers

app = typer.Typer(
    help="Sentiment (or any other classes of texts): train, evaluate, predict, export.",
    no_args_is_help=True,
    add_completion=False,
)

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that 'sentiment train' wrote.")]
Format = Annotated[
    Literal["auto", "csv", "tsv", "jsonl", "parquet", "folder", "trees"],
    typer.Option("--format", help="Format of the labelled files; auto looks at their names and beginnings."),
]
TextColumn = Annotated[
    str | None, typer.Option(help="Column of the text, by name or number.", show_default="text, sentence, review …")
]
LabelColumn = Annotated[
    str | None, typer.Option(help="Column of the class, by name or number.", show_default="label, class, sentiment …")
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header", help="Whether the first row has names.", show_default="by how columns are given"
    ),
]
Grades = Annotated[
    int | None,
    typer.Option(
        help="Classes are grades 0 to 4. 5: as they are; 2: two of them (0 and 1 against 3 and 4; 2 is left out).",
        show_default="any classes",
    ),
]


@app.command(cls=estimator_command("seqkit:SequenceClassifier", trees="seqkit:TreeClassifier"))
def train(
    context: typer.Context,
    train: Annotated[Path, typer.Argument(metavar="TRAIN", help="Labelled texts to learn from.")],
    output: Output,
    dev: Annotated[
        Path | None, typer.Option(help="Labelled texts that decide when to stop.", show_default="part of TRAIN")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Labelled texts to report on at the end.")] = None,
    config: Config = None,
    overwrite: Overwrite = False,
    format: Format = "auto",
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    header: Header = None,
    grades: Grades = None,
    trees: Annotated[
        bool,
        typer.Option(
            "--trees",
            help="Learn from parse trees with a TreeClassifier, the labels of all nodes included. Without it, a file "
            "of trees gives the words of each, and the label of its root.",
        ),
    ] = False,
    pretrain_on: Annotated[
        Path | None,
        typer.Option(
            help="File of texts without labels for --pretrain: one a line, or a table.", show_default="those of TRAIN"
        ),
    ] = None,
) -> None:
    """Train a classifier on a file or folder, report on dev (and test), and save it."""
    from seqkit import SequenceClassifier, TreeClassifier

    parameters = _with_text_keys(given_parameters(context, config))
    if trees and grades == 2:
        if parameters.get("label_map") is not None:
            raise ParameterError("--label-map and --grades 2 both say what labels stand for. Leave one of them out.")
        parameters["label_map"] = TWO_GRADES
    if pretrain_on is not None:
        if trees:
            raise ParameterError("--pretrain-on is for a model of texts, which --trees does not train. Leave one out.")
        parameters["pretrain"] = [text for text, _ in read_texts(pretrain_on, text_column=text_column, header=header)]
    check_output(output, overwrite)
    columns = {"text_column": text_column, "label_column": label_column, "header": header, "grades": grades}
    data = {
        name: read_labelled(path, format, trees=trees, label_map=parameters.get("label_map"), **columns)
        for name, path in (("train", train), ("dev", dev), ("test", test))
        if path is not None
    }
    note("  ".join(f"{name}: {len(texts):,} texts" for name, (texts, _) in data.items()))

    import_tensorflow()
    classifier = (TreeClassifier if trees else SequenceClassifier)(**parameters)
    classifier.fit(*data["train"], validation_data=data.get("dev"))
    if not is_to_save(parameters):
        return
    classifier.save(output)
    for name in ("dev", "test"):
        if name in data:
            typer.echo(f"{name}: {_report(classifier, *data[name])}")
    note(f"Saved to {output}")


@app.command()
def evaluate(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Labelled texts to score against.")],
    format: Format = "auto",
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    header: Header = None,
    grades: Grades = None,
) -> None:
    """Score a model on a labelled file: accuracy, and precision, recall and F1 by class."""
    trees = _reads_trees(model)
    classifier = load_model(model)
    texts, labels = read_labelled(
        file,
        format,
        trees=trees,
        text_column=text_column,
        label_column=label_column,
        header=header,
        grades=grades,
        label_map=classifier.label_map if trees else None,
    )
    typer.echo(_report(classifier, texts, labels))


@app.command()
def predict(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Texts to classify; - is standard input.")] = Path("-"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write; - is standard output.")] = Path("-"),
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how much each token speaks for the class, by leaving it out.")
    ] = False,
    output_format: Annotated[
        Literal["auto", "text", "jsonl"],
        typer.Option(
            help="auto goes by OUTPUT's ending, else text. jsonl keeps the input's fields; those that the answer has "
            "too (label, probabilities) become input_label, input_probabilities."
        ),
    ] = "auto",
    input_format: Annotated[
        Literal["auto", "text", "csv", "tsv", "jsonl", "parquet", "trees"],
        typer.Option(
            help="text: one a line; auto looks at the name and the beginning (of a stream: text). A model of trees "
            "reads a tree in the place of each text."
        ),
    ] = "auto",
    text_column: TextColumn = None,
    header: Header = None,
) -> None:
    """Classify a file or a stream of any length."""
    trees = _reads_trees(model)
    if trees and explain:
        raise ParameterError(f"--explain is for models of texts; {model} reads trees. Leave it out.")
    items = read_texts(file, input_format, trees=trees, text_column=text_column, header=header)
    classifier = load_model(model)
    # Someone typing wants an answer to each line; everything else is faster in chunks.
    chunk = 1 if str(file) == "-" and is_terminal(sys.stdin) else 4096
    started = time.perf_counter()
    count = write_answers(output, classify_texts(classifier, items, explain, chunk), output_format)
    if str(output) != "-":
        note(f"Classified {count:,} in {time.perf_counter() - started:.1f} s, written to {output}")


@app.command()
def export(
    model: Model,
    output: Versions = None,
    batching: Batching = False,
) -> None:
    """Export for TensorFlow Serving: OUTPUT/<next version>, checked in TensorFlow's C++ runtime before it appears."""
    _reads_trees(model)
    export_version(load_model(model), model, output, batching)


def _reads_trees(model: Path) -> bool:
    """Whether a saved model is one of trees; a folder that holds no classifier is told before the slow import."""
    return saved_class(model, "SequenceClassifier", "TreeClassifier") == "TreeClassifier"


def _with_text_keys(parameters: dict[str, Any]) -> dict[str, Any]:
    """Let classes be strings, as the files' are: in YAML, the key 0 is a number."""
    return {
        name: {str(key): item for key, item in value.items()}
        if name in ("class_weight", "label_map") and isinstance(value, dict)
        else value
        for name, value in parameters.items()
    }


def _report(classifier: Any, texts: list, labels: list[str]) -> str:
    """Predict, and say how well."""
    from sklearn.metrics import accuracy_score, classification_report

    predicted = [str(label) for label in classifier.predict(texts)]
    table = classification_report(labels, predicted, digits=4, zero_division=0)
    return f"accuracy {accuracy_score(labels, predicted):.4f}\n{table}".rstrip()
