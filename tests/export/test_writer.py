"""An export is written whole, checked, and numbered; or it leaves nothing."""

import concurrent.futures
import json
import os
import stat
import threading

import numpy as np
import pytest
import tensorflow as tf

import seqkit
from seqkit.errors import ExportError, ParameterError
from seqkit.export import warmup, writer
from seqkit.export.check import CheckReport
from seqkit.export.manifest import read_manifest
from seqkit.export.writer import write_export


@pytest.fixture
def small():
    """A model that takes no time to save."""

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def double(self, x):
            return {"y": self.weight * x}

    module = Module()
    arguments = {
        "requests": {"serving_default": [{"x": [1.0, 2.0]}]},
        "expected": {"serving_default": [{"y": [2.0, 4.0]}]},
        "manifest": {},
    }
    return module, {"serving_default": module.double}, arguments


@pytest.fixture
def unchecked(monkeypatch):
    """Skip the check in the C++ runtime, where it is not what the test is about."""
    monkeypatch.setattr(writer, "check_saved_model", lambda path, **_: CheckReport(path, signatures=[]))
    monkeypatch.setattr(writer, "_manifest", lambda given, report: "{}")


def test_a_finished_export(exported, tagger):
    assert exported.name == "1"
    assert os.listdir(exported.parent) == ["1"]
    manifest = json.loads((exported / "assets.extra" / "manifest.json").read_text())
    assert read_manifest(exported.parent) == manifest
    assert manifest["estimator"] == "SequenceTagger"
    assert (manifest["format"], manifest["format_version"]) == ("seqkit-export", 1)
    assert manifest["versions"]["seqkit"] == seqkit.__version__
    assert manifest["versions"]["tensorflow"] == tf.__version__
    assert manifest["non_core_ops"] == []
    assert manifest["signatures"]["tokens"]["inputs"] == {"tokens": {"dtype": "string", "shape": [-1, -1]}}
    assert manifest["check"]["requests"] == {"serving_default": 2, "tokens": 1}
    assert manifest["check"]["largest_difference"] < 1e-5
    warm = warmup.read_warmup(exported)
    assert [r["text"].tolist() for r in warm["serving_default"]] == [
        tagger.requests["serving_default"][0]["text"],
        [b"Ron"],
    ]
    assert "words.txt" in os.listdir(exported / "assets")
    for path in (exported, *exported.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o444 == 0o444
        assert path.is_file() or mode & 0o111 == 0o111


def test_versions_count_up(small, tmp_path, unchecked):
    module, signatures, arguments = small
    for taken in ("3", "note", "0007.bak"):
        (tmp_path / taken).mkdir()
    arguments["assets_extra"] = {"labels.json": "[]", "raw": b"\0"}
    first = write_export(tmp_path, module, signatures, **arguments)
    second = write_export(tmp_path, module, signatures, **arguments)
    assert (first.name, second.name) == ("4", "5")
    assert (first / "assets.extra" / "labels.json").read_text() == "[]"
    assert (first / "assets.extra" / "raw").read_bytes() == b"\0"
    assert sorted(os.listdir(tmp_path)) == ["0007.bak", "3", "4", "5", "note"]


def test_inputs_are_sent_as_the_server_takes_them(small, tmp_path, unchecked):
    """A list of Python floats is float64 to NumPy; the signature takes float32."""
    module, signatures, arguments = small
    path = write_export(tmp_path, module, signatures, **arguments)
    (request,) = warmup.read_warmup(path)["serving_default"]
    assert request["x"].dtype == np.float32


def test_a_wrong_answer_leaves_nothing(small, tmp_path):
    module, signatures, arguments = small
    arguments["expected"] = {"serving_default": [{"y": [2.0, 4.5]}]}
    message = (
        r"C\+\+ runtime: signature 'serving_default', request 0 \(given\), output 'y'\[1\]: .*4\.0.*expected .*4\.5"
    )
    with pytest.raises(ExportError, match=message):
        write_export(tmp_path / "a" / "b", module, signatures, **arguments)
    assert os.listdir(tmp_path) == []
    arguments["expected"] = {"serving_default": [{"y": [2.0, 4.00001]}]}
    assert write_export(tmp_path / "a" / "b", module, signatures, **arguments) == tmp_path / "a" / "b" / "1"


def test_interrupted_it_leaves_nothing_and_until_done_only_a_hidden_folder(small, tmp_path, monkeypatch):
    module, signatures, arguments = small
    (tmp_path / "1").mkdir()
    seen = []

    def interrupt(path, **_):
        seen.extend(os.listdir(tmp_path))
        assert (path / "saved_model.pb").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "check_saved_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_export(tmp_path, module, signatures, **arguments)
    assert os.listdir(tmp_path) == ["1"]
    assert sorted(seen)[1] == "1"
    assert sorted(seen)[0].startswith(".export-")
    assert len(seen) == 2


def test_a_model_that_cannot_be_saved(small, tmp_path):
    _, _, arguments = small
    held_by_nobody = tf.Variable(1.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def double(x):
        return {"y": held_by_nobody * x}

    with pytest.raises(ExportError, match="The module must hold every table and every raw variable"):
        write_export(tmp_path, tf.Module(), {"serving_default": double}, **arguments)
    assert os.listdir(tmp_path) == []


def test_at_once_each_gets_a_version(tmp_path):
    """Twenty finished exports race for their number."""
    for i in range(20):
        (tmp_path / f".export-{i}").mkdir()
        (tmp_path / f".export-{i}" / "content").write_text(str(i))
    ready = threading.Barrier(20)

    def publish(i):
        ready.wait()
        return writer._publish(tmp_path / f".export-{i}", tmp_path)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        targets = list(pool.map(publish, range(20)))
    assert sorted(os.listdir(tmp_path), key=int) == [str(i) for i in range(1, 21)]
    assert all((target / "content").read_text() == str(i) for i, target in enumerate(targets))


def test_faults_before_the_work_starts(small, tmp_path):
    module, signatures, arguments = small

    def fails(error, message, **changes):
        with pytest.raises(error, match=message):
            write_export(tmp_path / "x", module, changes.pop("signatures", signatures), **{**arguments, **changes})
        assert os.listdir(tmp_path) == []

    fails(ParameterError, "signatures: expected at least one", signatures={})
    fails(ParameterError, r"requests: expected one entry for each of \['serving_default'\], got \[\]", requests={})
    fails(ParameterError, "at least one request and as many answers, got 1 and 0", expected={"serving_default": []})
    fails(ParameterError, "manifest: expected JSON values, got object", manifest={"a": object()})
    fails(ParameterError, "'manifest.json' is not a free file name", assets_extra={"manifest.json": ""})
    fails(ParameterError, "'../x' is not a free file name", assets_extra={"../x": ""})
    fails(ExportError, r"expected the inputs \['x'\], got \['z'\]", requests={"serving_default": [{"z": [1.0]}]})
    fails(ExportError, r"\[0\]: input 'x' takes shape", requests={"serving_default": [{"x": [[1.0]]}]})
