"""Folders of saved models, checked before the slow work that needs them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from seqkit.console import import_tensorflow
from seqkit.errors import ModelFileError, ParameterError, require

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write the model to; must not exist.")]
Config = Annotated[Path | None, typer.Option(help="YAML file of the parameters below; flags win over it.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the model that OUTPUT holds.")]
Versions = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder of versions.", show_default="saved_models/MODEL's name"),
]
Batching = Annotated[
    bool,
    typer.Option(
        "--batching", help="Also write models.config and batching.config, TensorFlow Serving's, beside OUTPUT."
    ),
]


def export_version(estimator: Any, model: Path, output: Path | None, batching: bool) -> None:
    """Export an estimator and say where to: where a person said, or to a folder of the model's name.

    With ``batching``, also write the server's settings for all models that stand beside it.
    """
    from seqkit.serving.settings import write_settings

    if batching:
        require("tensorflow_serving", extra="serving", why="--batching")
    folder = output or Path("saved_models") / model.resolve().name
    typer.echo(estimator.export(folder))
    if batching:
        for file in write_settings(folder.resolve().parent):
            typer.echo(file)


def check_output(output: Path, overwrite: bool) -> None:
    """Raise if a model could not be saved there: before training, not after it.

    Parameters
    ----------
    output : Path
        Folder to save to.
    overwrite : bool
        Whether a saved model may be replaced.
    """
    if output.exists():
        if not overwrite:
            raise ParameterError(f"{output}: exists already. Choose another --output, or add --overwrite.")
        if not output.is_dir() or (not (output / "config.json").exists() and any(output.iterdir())):
            raise ParameterError(
                f"{output} holds something else than a saved model, which --overwrite leaves alone. Choose another "
                "--output."
            )
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ParameterError(f"{output}: {above} is no folder that can be written to. Choose another --output.")


def is_to_save(parameters: Mapping[str, Any]) -> bool:
    """Whether this process saves what it trained: of several workers (``strategy="multi_worker"``) the first one."""
    from seqkit.training.cluster import is_chief

    return parameters.get("strategy") != "multi_worker" or is_chief()


def saved_class(model: Path, *allowed: str) -> str:
    """Return the class of a saved estimator; one that is not allowed is an error.

    Parameters
    ----------
    model : Path
        Folder that an estimator's ``save`` wrote.
    *allowed : str
        Names of classes.
    """
    from seqkit.export.manifest import read_manifest

    found = read_manifest(model).get("class")
    if found not in allowed:
        raise ModelFileError(f"{model} holds {found or 'no estimator'}, expected a {' or a '.join(allowed)}.")
    return found


def load_model(model: Path) -> Any:
    """Load a saved estimator of any class."""
    import seqkit

    import_tensorflow()
    return seqkit.load(model)
