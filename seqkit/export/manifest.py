"""What a model folder says about itself: the manifest of an export, or of a folder written by ``save``."""

from __future__ import annotations

import json
from pathlib import Path

from seqkit.errors import ModelFileError

EXPORT_FILE = Path("assets.extra") / "manifest.json"
SAVED_FILE = Path("manifest.json")
EXPORT_FORMAT = "seqkit-export"
EXPORT_FORMAT_VERSION = 1


def version_folders(root: str | Path) -> dict[int, Path]:
    """Version folders of an export root, as TensorFlow Serving sees them.

    Parameters
    ----------
    root : str or Path
        The folder that holds ``1``, ``2``, …

    Returns
    -------
    dict of int to Path
        In ascending order; anything whose name is not a number is left out.
    """
    root = Path(root)
    names = [entry.name for entry in root.iterdir() if entry.is_dir()] if root.is_dir() else []
    return {number: root / name for number, name in sorted((int(n), n) for n in names if n.isascii() and n.isdigit())}


def manifest_path(path: str | Path) -> Path:
    """Find the manifest of a model folder.

    Parameters
    ----------
    path : str or Path
        A version folder of an export, the folder above it (its highest version counts), or a folder made by ``save``.

    Returns
    -------
    Path

    Raises
    ------
    ModelFileError
        If there is none.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ModelFileError(f"{folder}: no such folder; give a saved model or an export, such as saved_models/ner/1")
    if (folder / SAVED_FILE).is_file():
        return folder / SAVED_FILE
    if not (folder / "saved_model.pb").is_file():
        versions = version_folders(folder)
        if not versions:
            raise ModelFileError(
                f"{folder}: no model here; expected {SAVED_FILE} (a saved model), saved_model.pb (an export), "
                "or version folders such as 1"
            )
        folder = versions[max(versions)]
    if not (folder / EXPORT_FILE).is_file():
        raise ModelFileError(
            f"{folder}: a SavedModel without {EXPORT_FILE}, so not written by seqkit; "
            f"`python -m seqkit check {folder}` shows its signatures"
        )
    return folder / EXPORT_FILE


def read_manifest(path: str | Path) -> dict:
    """Read the manifest of an export or of a folder written by ``save``.

    Parameters
    ----------
    path : str or Path
        As for :func:`manifest_path`.

    Returns
    -------
    dict

    Raises
    ------
    ModelFileError
        If there is none, or it is damaged or of an unknown format version.
    """
    file = manifest_path(path)
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{file}: damaged, not readable as JSON ({error})") from error
    if not isinstance(manifest, dict):
        raise ModelFileError(f"{file}: expected a JSON object, got {type(manifest).__name__}")
    if manifest.get("format") == EXPORT_FORMAT and manifest.get("format_version") != EXPORT_FORMAT_VERSION:
        raise ModelFileError(
            f"{file}: format version {manifest.get('format_version')!r}; this seqkit reads version "
            f"{EXPORT_FORMAT_VERSION}. Use the seqkit that wrote it ({manifest.get('versions', {}).get('seqkit')})"
        )
    return manifest
