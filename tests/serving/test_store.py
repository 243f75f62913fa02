"""Which versions are served: those that appear, those that fail, those that somebody still uses."""

import shutil
import threading

import numpy as np
import pytest

from seqkit.errors import FormatError, ModelFileError, ParameterError, ServingError
from seqkit.export.runtime import RuntimeModelError
from seqkit.serving.store import ModelConfig, ModelStore, models_in

ONE = {"text": np.array([b"abc"], object)}


def publish(source, target):
    """Copy a version to where servers look, as exports come: whole or not at all."""
    hidden = target.parent / f".{target.name}"
    hidden.parent.mkdir(exist_ok=True)
    shutil.copytree(source, hidden)
    hidden.rename(target)


def value(store, **which):
    with store.using("m", **which) as served:
        return served.runtime.run("serving_default", ONE)["value"].item()


def states(store):
    return {one.version: one.state for one in store.status("m")}


def test_a_version_that_appears_takes_over(versions, tmp_path):
    lines = []
    store = ModelStore(lambda: models_in(tmp_path), tell=lines.append)
    store.refresh()
    with pytest.raises(ServingError, match=r"not found for request: Latest\(m\)") as error:
        value(store)
    assert error.value.code == "NOT_FOUND"
    publish(versions / "1", tmp_path / "m" / "1")
    store.refresh()
    assert value(store) == 3.0
    with store.using("m") as before:
        publish(versions / "2", tmp_path / "m" / "2")
        store.refresh()
        assert value(store) == 103.0 and states(store) == {2: "AVAILABLE", 1: "UNLOADING"}
        assert before.runtime.run("serving_default", ONE)["value"].item() == 3.0  # whoever has it may go on
        with pytest.raises(ServingError, match=r"Specific\(m, 1\)"):
            value(store, version=1)
    assert states(store) == {2: "AVAILABLE", 1: "END"} and before.runtime is None
    shutil.rmtree(tmp_path / "m" / "2")
    store.refresh()  # back to the one before
    assert value(store) == 3.0 and states(store) == {2: "END", 1: "AVAILABLE"}
    assert [line.partition(".")[0].split(" from")[0] for line in lines] == [
        "m, version 1: served",
        "m, version 2: served",
        "m, version 1: no longer served",
        "m, version 1: served",
        "m, version 2: no longer served",
    ]
    store.close()
    assert store.available() == [] and set(states(store).values()) == {"END"}


def test_a_version_that_fails_leaves_the_one_before(versions, tmp_path):
    lines = []
    store = ModelStore([ModelConfig("m", tmp_path)], tell=lines.append)
    publish(versions / "1", tmp_path / "1")
    store.refresh()
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"\xff\xff")
    for _ in range(2):
        store.refresh()
        assert value(store) == 3.0 and states(store) == {1: "AVAILABLE", 2: "END"}
    assert len(lines) == 2 and lines[1].startswith("m, version 2: not served.") and "damaged" in lines[1]
    assert store.status("m", 2)[0].message and store.status("m", 2)[0].code
    (tmp_path / "2").rename(tmp_path / "old")
    publish(versions / "2", tmp_path / "2")
    store.refresh()
    assert value(store) == 103.0
    store.close()


def test_a_model_that_touches_files_is_refused(tmp_path):
    import tensorflow as tf

    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def read(self, text):
            return {"value": tf.map_fn(tf.io.read_file, text)}

    module = Reader()
    tf.saved_model.save(module, str(tmp_path / "m" / "1"), signatures={"serving_default": module.read})
    store = ModelStore(models_in(tmp_path))
    store.refresh()
    assert "ReadFile" in store.status("m")[0].message and not store.available()
    allowed = ModelStore(models_in(tmp_path), allow_ops=["ReadFile"])
    allowed.refresh()
    (tmp_path / "x").write_text("seen")
    with allowed.using("m") as served:
        asked = {"text": np.array([str(tmp_path / "x").encode()], object)}
        assert served.runtime.run("serving_default", asked)["value"].tolist() == [b"seen"]
        with pytest.raises(RuntimeModelError, match="nix") as error:
            served.runtime.run("serving_default", {"text": np.array([b"nix"], object)})
        assert error.value.code == 5  # not found, as TensorFlow said
    allowed.close()


def test_versions_and_labels_that_are_asked_for(versions):
    store = ModelStore([ModelConfig("m", versions, (1, 2, 9), labels={"stable": 1, "canary": 9})])
    store.refresh()
    assert value(store) == 103.0 and value(store, version=1) == 3.0 and value(store, label="stable") == 3.0
    assert [one.version for one in store.status("m", label="stable")] == [1]
    with pytest.raises(ServingError, match=r"Specific\(m, 9\)"):
        value(store, label="canary")
    with pytest.raises(ServingError, match="Unrecognized servable version label: nix") as error:
        value(store, label="nix")
    assert error.value.code == "INVALID_ARGUMENT"
    store.configure([ModelConfig("m", versions, latest=0)])
    assert states(store) == {1: "AVAILABLE", 2: "AVAILABLE"}
    store.configure([])
    assert store.available() == []


def test_swaps_under_load_lose_nothing(versions, tmp_path):
    store, stop, found = ModelStore([ModelConfig("m", tmp_path)]), threading.Event(), []
    publish(versions / "1", tmp_path / "1")
    store.refresh()

    def ask():
        while not stop.is_set():
            found.append(value(store))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for number in range(2, 8):
        publish(versions / str(1 + number % 2), tmp_path / str(number))
        store.refresh()
    stop.set()
    for asker in askers:
        asker.join()
    assert set(found) == {3.0, 103.0} and len(found) > 100
    assert next(iter(states(store).items())) == (7, "AVAILABLE") and len(store.available()) == 1
    store.close()


def test_settings_that_cannot_be_read_change_nothing(versions):
    def broken():
        raise FormatError("models.config", None, "not a ModelServerConfig")

    store = ModelStore([ModelConfig("m", versions)])
    store.refresh()
    store._models = broken
    with pytest.raises(FormatError):
        store.refresh()
    assert value(store) == 103.0
    store.close()


def test_folders(versions, tmp_path):
    assert models_in(versions) == [ModelConfig("lengths", versions)]
    assert models_in(versions.parent) == [ModelConfig("lengths", versions)]
    assert models_in(tmp_path) == []
    with pytest.raises(ModelFileError, match="no such folder"):
        models_in(tmp_path / "nix")
    with pytest.raises(ParameterError, match="is one version; give the folder of its versions"):
        models_in(versions / "1")
