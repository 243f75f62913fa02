"""``models.config`` and ``batching.config``, read by TensorFlow Serving's own protocol buffers."""

import re
import shutil

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from seqkit.errors import FormatError, ParameterError
from seqkit.serving.settings import read_models, write_settings
from seqkit.serving.store import ModelConfig


def parsed(file):
    config = text_format.Parse(file.read_text(), model_server_config_pb2.ModelServerConfig())
    return {entry.name: entry for entry in config.model_config_list.config}


@pytest.fixture
def root(versions, tmp_path):
    shutil.copytree(versions / "1", tmp_path / "ner" / "1")
    return tmp_path


def test_labels_follow_the_versions(root, versions):
    models, _ = write_settings(root)
    entry = parsed(models)["ner"]
    assert (entry.base_path, entry.model_platform) == ("/models/ner", "tensorflow")
    assert dict(entry.version_labels) == {"stable": 1, "canary": 1}
    assert list(entry.model_version_policy.specific.versions) == [1]
    assert not list(root.glob("*.tmp*"))
    shutil.copytree(versions / "2", root / "ner" / "2")
    shutil.copytree(versions / "2", root / "lengths" / "5")
    # What somebody wrote into the file stays.
    models.write_text(models.read_text().replace('"/models/ner"', '"/other/ner"'))
    write_settings(root)
    entries = parsed(models)
    assert dict(entries["ner"].version_labels) == {"stable": 1, "canary": 2}
    assert list(entries["ner"].model_version_policy.specific.versions) == [1, 2]
    assert entries["ner"].base_path == "/other/ner" and entries["lengths"].base_path == "/models/lengths"
    assert read_models(models) == [
        ModelConfig("ner", root / "ner", (1, 2), labels={"stable": 1, "canary": 2}),
        ModelConfig("lengths", root / "lengths", (5,), labels={"stable": 5, "canary": 5}),
    ]
    shutil.rmtree(root / "ner" / "1")  # the stable one is gone
    write_settings(root)
    assert dict(parsed(models)["ner"].version_labels) == {"stable": 2, "canary": 2}


def test_padding_is_left_off_where_it_would_add_tokens(root):
    _, batching = write_settings(root)
    text = batching.read_text()
    assert re.search(r"^pad_variable_length_inputs: false$", text, re.M) and "ner (tokens)" in text
    assert re.search(r"^max_batch_size \{ value: \d+ \}$", text, re.M)


def test_padding_where_lengths_are_told(tmp_path):
    import numpy as np

    from seqkit import SequenceClassifier

    frames = [np.random.default_rng(n).normal(size=(n + 1, 3)) for n in range(4)]
    model = SequenceClassifier(units=4, epochs=1, validation_fraction=None, random_state=0, verbose=0)
    model.fit(frames, [0, 1, 0, 1]).export(tmp_path / "frames")
    _, batching = write_settings(tmp_path)
    assert re.search(r"^pad_variable_length_inputs: true$", batching.read_text(), re.M)


def test_policies(tmp_path):
    file = tmp_path / "models.config"
    file.write_text(
        """model_config_list {
        config { name: "a" base_path: "/nix/a" model_version_policy { all {} } }
        config { name: "b" base_path: "/nix/b" model_version_policy { latest { num_versions: 2 } } }
        config { name: "c" base_path: "/nix/c" }
        }"""
    )
    assert [(model.versions, model.latest) for model in read_models(file)] == [((), 0), ((), 2), ((), 1)]


def test_faults(tmp_path):
    with pytest.raises(ParameterError, match="holds no models"):
        write_settings(tmp_path)
    (tmp_path / "models.config").write_text("")
    with pytest.raises(FormatError, match=r"models\.config: names no model"):
        read_models(tmp_path / "models.config")
    (tmp_path / "models.config").write_text("nonsense {")
    with pytest.raises(FormatError, match=r"models\.config: not a ModelServerConfig"):
        read_models(tmp_path / "models.config")
