"""The files by which TensorFlow Serving is told what to serve and how to batch: ``models.config``, ``batching.config``.

Both are protocol buffers in text form: ``ModelServerConfig`` and ``BatchingParameters`` of TensorFlow Serving.
"""

from __future__ import annotations

from pathlib import Path

from seqkit.errors import FormatError, ParameterError, require
from seqkit.export.manifest import version_folders
from seqkit.export.runtime import SavedModelFile, TensorSpec
from seqkit.io.lines import write_bytes
from seqkit.serving.store import ModelConfig, models_in

MODELS, BATCHING = "models.config", "batching.config"
#: Where the container that TensorFlow publishes looks for models.
CONTAINER = "/models"
_LARGEST_BATCH = 128

_BATCHING = """\
# Requests that wait at the same time are run as one: tensorflow_model_server --enable_batching \
--batching_parameters_file=FILE
max_batch_size {{ value: {largest} }}
# How long the first of a batch waits for others, in microseconds.
batch_timeout_micros {{ value: 1000 }}
max_enqueued_batches {{ value: 1000 }}
# One thread for each core is the default.
# num_batch_threads {{ value: 8 }}
{padding}
"""
_PADS = """\
# Requests of other lengths are padded; each says its lengths.
pad_variable_length_inputs: true"""
_PADS_NOT = """\
# TensorFlow Serving pads with the first value of the shorter request, not with "", so tokens would be added. As it is,
# requests to {names} wait only for others of the same length: one of another length in the same
# batch is refused, not answered wrongly. Texts are not concerned.
pad_variable_length_inputs: false"""


def write_settings(root: str | Path) -> tuple[Path, Path]:
    """Write ``models.config`` and ``batching.config`` for a folder of exported models.

    Every model gets two labels: ``stable`` keeps the version that it has in the file, else that is the newest version;
    ``canary`` is the newest. Both versions are served, and no other. What else the file says of a model is kept.

    Parameters
    ----------
    root : str or Path
        The folder of the models, ``saved_models``. In the server's container it is ``/models``.

    Returns
    -------
    (Path, Path)
        The two files.
    """
    root = Path(root)
    models = [model for model in models_in(root) if model.path != root]
    if not models:
        raise ParameterError(f"{root} holds no models: expected folders such as {root}/ner with versions such as 1.")
    file = root / MODELS
    config = _parsed(file) if file.exists() else _message()
    known = {entry.name: entry for entry in config.model_config_list.config}
    for model in models:
        entry = known.get(model.name)
        if entry is None:
            entry = config.model_config_list.config.add(
                name=model.name, base_path=f"{CONTAINER}/{model.name}", model_platform="tensorflow"
            )
        versions = version_folders(model.path)
        newest, stable = max(versions), entry.version_labels.get("stable")
        labels = {"stable": stable if stable in versions else newest, "canary": newest}
        entry.version_labels.update(labels)
        entry.model_version_policy.specific.versions[:] = sorted(set(entry.version_labels.values()) & set(versions))
    text = require("google.protobuf.text_format", extra="serving", why=f"{MODELS}").MessageToString(config)
    batching = root / BATCHING
    write_bytes(file, text.encode())
    write_bytes(batching, _batching(models).encode())
    return file, batching


def read_models(file: str | Path) -> list[ModelConfig]:
    """Read ``models.config``.

    A ``base_path`` that is not there, such as ``/models/ner``, is looked for beside the file.

    Raises
    ------
    FormatError
        If it is not a ``ModelServerConfig``, or names no model, as a file does that is just being written.
    """
    found = models_of(_parsed(Path(file)), Path(file).parent)
    if not found:
        raise FormatError(file, None, "names no model; expected model_config_list { config { name: … } }")
    return found


def models_of(config, root: Path) -> list[ModelConfig]:
    """Return the models that a ``ModelServerConfig`` names; their folders are looked for in `root` where it must be."""
    found = []
    for entry in config.model_config_list.config:
        path = Path(entry.base_path)
        if not path.is_dir():
            path = root / path.name
        policy, versions, latest = entry.model_version_policy, (), 1
        if policy.HasField("specific"):
            versions = tuple(policy.specific.versions)
        elif policy.HasField("all"):
            latest = 0
        elif policy.HasField("latest"):
            latest = policy.latest.num_versions or 1
        found.append(ModelConfig(entry.name, path, versions, latest, dict(entry.version_labels)))
    return found


def _message():
    config = require("tensorflow_serving.config.model_server_config_pb2", extra="serving", why=f"{MODELS}")
    return config.ModelServerConfig()


def _parsed(file: Path):
    text_format = require("google.protobuf.text_format", extra="serving", why=f"{MODELS}")
    try:
        return text_format.Parse(file.read_text(encoding="utf-8"), _message())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise FormatError(file, None, f"not a ModelServerConfig in text form ({error})") from error


def _batching(models: list[ModelConfig]) -> str:
    names = [
        f"{model.name} ({name})"
        for model in models
        for name, signature in SavedModelFile(max(version_folders(model.path).items())[1]).signatures.items()
        if not _says_lengths(signature["inputs"])
    ]
    return _BATCHING.format(
        largest=_LARGEST_BATCH, padding=_PADS_NOT.format(names=", ".join(names)) if names else _PADS
    )


def _says_lengths(inputs: dict[str, TensorSpec]) -> bool:
    """Whether what pads a request at its end is told by lengths, or there is nothing to pad."""
    free = any(spec.shape is None or -1 in spec.shape[1:] for spec in inputs.values())
    return not free or any(name.endswith("lengths") for name in inputs)
