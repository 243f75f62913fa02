"""The command line, ``python -m seqkit``: a few commands of its own, and one for each installed pipeline.

A pipeline is a Typer app that some package offers under the entry-point group ``seqkit.pipelines``; its module may also
have a function ``demo(text=..., output=...)``, which ``python -m seqkit demo NAME`` calls. seqkit knows no pipeline by
name, and one that cannot be imported harms only itself.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from seqkit import __version__
from seqkit.console import Terminated, error_line
from seqkit.errors import MissingDependencyError, ParameterError, SeqkitError

PIPELINE_GROUP = "seqkit.pipelines"
_PANEL = "Pipelines"


class Commands(TyperGroup):
    """The group of all commands; pipelines are imported when they are named or listed."""

    def list_commands(self, ctx):
        """Name the commands of seqkit, then the pipelines."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in sorted(find_pipelines()) if name not in own)]

    def get_command(self, ctx, cmd_name):
        """Find a command, importing it if it is a pipeline."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in find_pipelines():
            return own
        wrapper = typer.Typer(add_completion=False)
        wrapper.add_typer(_pipeline_app(cmd_name), name=cmd_name, rich_help_panel=_PANEL)
        wrapper.callback()(lambda: None)
        return typer.main.get_command(wrapper).commands[cmd_name]


app = typer.Typer(
    cls=Commands,
    name="seqkit",
    help="Recurrent sequence models: train, evaluate, predict, serve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    name: Annotated[str, typer.Argument(help="Which pipeline to show.")] = "ner",
    text: Annotated[str | None, typer.Option(help="Text to run the trained model on.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option(help="Where to export to.", show_default="saved_models/NAME")] = None,
) -> None:
    """Train on a bundled sample, predict, export, and check the export. Offline, in under two minutes."""
    _load(name)
    module = importlib.import_module(_pipeline(name).module)
    if not hasattr(module, "demo"):
        raise ParameterError(f"The pipeline {name!r} has no demo. See its commands: python -m seqkit {name} --help")
    module.demo(text=text, output=output or Path("saved_models") / name)


@app.command()
def info(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model, or of one exported version.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Print what a model folder says of itself: versions, parameters, metrics, signatures."""
    from seqkit.console import console
    from seqkit.export.manifest import read_manifest

    manifest = read_manifest(model)
    if as_json:
        typer.echo(json.dumps(manifest, ensure_ascii=False, indent=2))
        return
    rows = _flatten(manifest)
    width = max((len(key) for key, _ in rows), default=0)
    screen = console()
    for key, value in rows:
        screen.print(f"{key:<{width}}  ", style="cyan", end="")
        screen.print(value, soft_wrap=True)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="Any SavedModel folder, such as saved_models/ner/1.")],
    allow_op: Annotated[
        list[str] | None, typer.Option(help="An op that touches files or processes and may run.", show_default="none")
    ] = None,
) -> None:
    """Load a SavedModel in TensorFlow's C++ runtime, in a clean process, and run every signature."""
    from seqkit.export.check import check_saved_model

    report = check_saved_model(folder, allow_ops=allow_op or ())
    typer.echo(report.to_text())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def convert(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a saved model.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A file in .onnx or .tflite.")],
    signature: Annotated[
        str | None, typer.Option(help="What of it: step, encode, …", show_default="where there is but one, that")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Sequences in a call; .tflite.", show_default="1")] = None,
    length: Annotated[int | None, typer.Option(help="Tokens of each; .tflite.", show_default="64")] = None,
) -> None:
    """Convert a model for onnxruntime or LiteRT, and check it there; ids of tokens come in, see OUTPUT.json."""
    sizes = {name: value for name, value in (("rows", rows), ("length", length)) if value is not None}
    ending = output.suffix.lower()
    if ending not in (".onnx", ".tflite"):
        raise ParameterError(f"{output}: OUTPUT must end in .onnx or .tflite; its ending says what is written.")
    if ending == ".onnx" and sizes:
        raise ParameterError(
            f"--{next(iter(sizes))} is for .tflite; an .onnx file takes any number of rows and tokens."
        )
    from seqkit.console import import_tensorflow

    import_tensorflow()
    if ending == ".onnx":
        from seqkit.export.onnx import to_onnx

        to_onnx(model, output, signature=signature)
    else:
        from seqkit.export.litert import to_litert

        to_litert(model, output, signature=signature, **sizes)
    described = json.loads(output.with_name(f"{output.name}.json").read_text(encoding="utf-8"))
    difference = described["check"]["largest_difference"]
    typer.echo(f"{output} ({', '.join(described['inputs'])} to {', '.join(described['outputs'])})")
    typer.echo(f"checked in {described['runtime']}; largest difference {difference:.1e}")


@app.command()
def batch(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a saved model.")],
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT…", help="Files, folders, patterns such as 'in/*.gz'.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write parts to; an unfinished one goes on.")
    ],
    input_format: Annotated[
        str, typer.Option(help="parquet, jsonl, csv, tsv, lines, conll; auto: by the ending.")
    ] = "auto",
    output_format: Annotated[str, typer.Option(help="parquet, jsonl, conll; auto: as the input, else jsonl.")] = "auto",
    column: Annotated[str | None, typer.Option(help="What is read.", show_default="text, tokens, …")] = None,
    keep: Annotated[list[str] | None, typer.Option(help="A column to carry through.", show_default="all")] = None,
    answers: Annotated[list[str] | None, typer.Option(help="A column of answers.", show_default="the usual")] = None,
    token_column: Annotated[int, typer.Option(help="Column of the tokens in CoNLL.")] = 0,
    max_length: Annotated[int | None, typer.Option(help="Longest input; a longer one is an error of its row.")] = None,
    allow_op: Annotated[
        list[str] | None,
        typer.Option(help="An op of an export that touches files or processes and may run.", show_default="none"),
    ] = None,
    on_error: Annotated[str, typer.Option(help="skip: bad rows are set aside; fail: the first one stops.")] = "skip",
    shard_rows: Annotated[int, typer.Option(help="Most rows of a part.")] = 10_000,
    engine: Annotated[str, typer.Option(help="local; processes of this machine; ray, here or on a cluster.")] = "local",
    workers: Annotated[int | None, typer.Option(help="Processes.", show_default="one a core")] = None,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A Ray cluster, or auto.", show_default="begin one here")
    ] = None,
) -> None:
    """Predict files of any size into a folder of parts; run again, it goes on where it was stopped."""
    from seqkit.batch import predict_files
    from seqkit.console import is_terminal

    try:
        report = predict_files(
            model,
            inputs,
            output,
            input_format=input_format,
            output_format=output_format,
            column=column,
            keep=keep,
            answers=answers,
            token_column=token_column,
            max_length=max_length,
            allow_ops=allow_op or (),
            on_error=on_error,
            shard_rows=shard_rows,
            engine=engine,
            workers=workers,
            address=address,
            verbose="auto" if is_terminal() else "lines",
        )
    except Terminated as error:
        raise typer.Exit(143) from error
    more = f", {report.errors:,} without an answer (see {output / 'errors'})" if report.errors else ""
    if report.rows and report.rows == report.done_before:
        speed = "all were done before"
    else:
        speed = f"{report.rows_per_second:,.0f} rows/s"
    typer.echo(f"{report.rows:,} rows in {report.parts:,} parts{more}; {speed}")


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(help="Folder of exported models, or of one's versions.")] = Path(
        "saved_models"
    ),
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(help="Port of REST; 0 for a free one.")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="Port of gRPC; 0 for a free one.")] = 8500,
    grpc: Annotated[bool, typer.Option(help="Whether to serve gRPC, which imports TensorFlow.")] = True,
    config: Annotated[
        Path | None, typer.Option(help="A models.config.", show_default="FOLDER/models.config, if it is there")
    ] = None,
    allow_op: Annotated[
        list[str] | None, typer.Option(help="An op that touches files or processes and may run.", show_default="none")
    ] = None,
) -> None:
    """Serve exported models as TensorFlow Serving does, for development and tests; versions that appear are loaded."""
    from seqkit.console import terminable
    from seqkit.serving import Server

    server = Server(
        folder,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port if grpc else None,
        config=config,
        allow_ops=allow_op or (),
        tell=lambda line: typer.echo(line, err=True),
    )
    with contextlib.suppress(KeyboardInterrupt), terminable(), server:  # both signals are how a server is ended
        for served in server.store.available():
            typer.echo(f"{server.rest_url}/v1/models/{served.name}/versions/{served.version}")
            if server.grpc_url:
                typer.echo(f"{server.grpc_url}/{served.name}/versions/{served.version}")
        if not server.store.available():
            typer.echo(f"{folder}: no model can be served yet; those that are exported to it will be.", err=True)
        typer.echo("For development and tests. In production, run TensorFlow Serving on this folder.", err=True)
        threading.Event().wait()


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def find_pipelines() -> dict[str, EntryPoint]:
    """List the installed pipelines by name, without importing them; the first package to claim a name has it."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=PIPELINE_GROUP):
        found.setdefault(entry.name, entry)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        The exit code: 0; 1 where a check failed; 2 after bad input, said in one line on standard error (set
        ``SEQKIT_DEBUG=1`` for the traceback); 130 after Ctrl-C, 143 after SIGTERM.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # What TensorFlow's C++ side logs (a missing GPU is an "error" to it) reaches Python as an exception if it matters.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="python -m seqkit", standalone_mode=False)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if os.environ.get("SEQKIT_DEBUG") == "1":
            raise
        code = _explain(error)
    if code == 130:
        error_line("interrupted")
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> int:
    """Say in one line what went wrong, if it is the user's to mend; else let the traceback through."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    elif isinstance(error, typer.Abort):
        return 130
    elif hasattr(error, "format_message"):  # a usage error: unknown option, missing argument
        where = error.ctx.command_path if getattr(error, "ctx", None) else "python -m seqkit"
        error_line(f"{error.format_message().rstrip('.')}. See: {where} --help")
    elif isinstance(error, OSError) and not isinstance(error, SeqkitError):
        named = f"{error.filename}: " if error.filename is not None else ""
        error_line(f"{named}{error.strerror or error}")
    elif isinstance(error, SeqkitError):
        error_line(str(error))
    else:
        raise error
    return 2


def _pipeline(name: str) -> EntryPoint:
    found = find_pipelines()
    if name not in found:
        known = f"Installed: {', '.join(sorted(found))}." if found else "None is installed; run: pip install ."
        raise ParameterError(f"There is no pipeline {name!r}. {known}")
    return found[name]


def _load(name: str) -> typer.Typer:
    entry = _pipeline(name)
    try:
        loaded = entry.load()
        if not isinstance(loaded, typer.Typer):
            raise TypeError(f"expected a typer.Typer, got {loaded!r}")
    except Exception as error:  # whatever a stranger's module does on import
        raise MissingDependencyError(
            f"The pipeline {name!r} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return loaded


def _pipeline_app(name: str) -> typer.Typer:
    """Import a pipeline's app; if that fails, make one that says why when it is used."""
    try:
        return _load(name)
    except MissingDependencyError as error:
        reason = error
    broken = typer.Typer(help="Cannot be loaded.")

    @broken.callback(
        invoke_without_command=True,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    )
    def explain(arguments: Annotated[list[str] | None, typer.Argument()] = None) -> None:
        raise reason

    return broken


def _flatten(value: object, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [row for key, item in value.items() for row in _flatten(item, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(value, str):
        return [(prefix, value)]
    return [(prefix, json.dumps(value, ensure_ascii=False, default=str))]
