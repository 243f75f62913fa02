"""The C++ runtime through ctypes, against the same model in Python."""

import concurrent.futures
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from seqkit.export import runtime
from seqkit.export.runtime import Runtime, RuntimeModelError, SavedModelFile, TensorSpec


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """A model that gives back what it is given, one signature a type."""
    types = ["float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "bool", "uint16",
             "complex128", "float16", "uint32", "uint64", "string", "bfloat16"]  # fmt: skip
    module, signatures = tf.Module(), {}
    for name in types:
        spec = tf.TensorSpec(None, getattr(tf, name), name="x")
        signatures[name] = tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[spec])
    scalar = tf.TensorSpec([], tf.float32, name="x")
    signatures["scalar"] = tf.function(lambda x: {"y": x + 1.0}, input_signature=[scalar])
    folder = tmp_path_factory.mktemp("echo")
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return Runtime(folder)


@pytest.fixture(scope="module")
def model(exported):
    return Runtime(exported)


def test_signatures_are_read_from_the_file(exported):
    file = SavedModelFile(exported)
    assert file.tags == ["serve"]
    assert list(file.signatures) == ["serving_default", "tokens"]
    text = file.signatures["serving_default"]
    assert text["inputs"] == {"text": TensorSpec("string", (-1,), "serving_default_text:0")}
    kinds = {name: (spec.dtype, spec.shape) for name, spec in text["outputs"].items()}
    assert kinds == {
        "tokens": ("string", (-1, -1)),
        "tags": ("string", (-1, -1)),
        "scores": ("float32", (-1, -1)),
        "starts": ("int32", (-1, -1)),
        "lengths": ("int32", (-1,)),
    }
    # As TensorFlow's own classes read the same file.
    from tensorflow.core.protobuf import saved_model_pb2

    graph = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    ops = {node.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for node in nodes}
    assert file.ops == sorted(ops - {f.signature.name for f in graph.library.function})


def test_answers_as_python_does(model, tagger):
    for name, requests in tagger.requests.items():
        for request, expected in zip(requests, tagger.expected[name], strict=True):
            answer = model.run(name, request)
            assert set(answer) == set(expected)
            for output, want in expected.items():
                if want.dtype == object:
                    np.testing.assert_array_equal(answer[output], want)
                else:
                    assert answer[output].dtype == want.dtype
                    np.testing.assert_allclose(answer[output], want, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 1)])
def test_every_type_survives(echo, shape):
    draw = np.random.default_rng(0)
    for name in echo.signatures:
        if name in ("string", "bfloat16", "scalar"):
            continue
        value = (draw.normal(size=shape) * 100).astype(name)
        got = echo.run(name, {"x": value})["y"]
        assert got.dtype == value.dtype
        assert got.shape == shape
        np.testing.assert_array_equal(got, value)


def test_strings_survive(echo):
    values = [b"", b"\0", b"a\0b", b"x" * 22, b"x" * 23, b"y" * 100_000, "\U0001f600".encode(), b"\xff\xfe"]
    got = echo.run("string", {"x": np.array(values, object).reshape(2, 4)})["y"]
    assert got.shape == (2, 4)
    assert got.ravel().tolist() == values
    assert echo.run("string", {"x": "é"})["y"].tolist() == "é".encode()
    assert echo.run("string", {"x": np.empty((2, 0), object)})["y"].shape == (2, 0)


def test_bfloat16_rounds_to_even(echo):
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, -3.14159, 1e30, 0.0], np.float32)
    want = tf.cast(tf.cast(values, tf.bfloat16), tf.float32).numpy()
    np.testing.assert_array_equal(echo.run("bfloat16", {"x": values})["y"], want)


def test_arrays_that_are_not_contiguous(echo):
    value = np.arange(12, dtype=np.int32).reshape(3, 4).T
    np.testing.assert_array_equal(echo.run("int32", {"x": value})["y"], value)
    assert echo.run("scalar", {"x": 1})["y"] == 2.0


def test_faults_are_named(echo, model, exported, tmp_path):
    with pytest.raises(RuntimeModelError, match="no signature 'nothing'; the model has serving_default, tokens"):
        model.run("nothing", {})
    with pytest.raises(RuntimeModelError, match=r"takes the inputs \['text'\], got \['texts'\]"):
        model.run("serving_default", {"texts": [b"a"]})
    with pytest.raises(RuntimeModelError, match=r"'text' takes shape \(-1,\) \(-1 is free\), got \(1, 1\)"):
        model.run("serving_default", {"text": [[b"a"]]})
    with pytest.raises(RuntimeModelError, match="'text' takes bytes, got int"):
        model.run("serving_default", {"text": [1]})
    with pytest.raises(RuntimeModelError, match="'x' takes int32, got float64"):
        echo.run("int32", {"x": [1.5]})
    with pytest.raises(RuntimeModelError, match=r"holds no saved_model\.pb"):
        Runtime(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes((exported / "saved_model.pb").read_bytes()[:-100])
    with pytest.raises(RuntimeModelError, match="damaged"):
        Runtime(tmp_path)
    shutil.copy(exported / "saved_model.pb", tmp_path)
    with pytest.raises(RuntimeModelError, match=r"loading .*(variables|words\.txt)"):
        Runtime(tmp_path)
    with pytest.raises(RuntimeModelError, match=r"loading the op library nothing\.so"):
        runtime.load_op_library("nothing.so")


def test_a_closed_model_says_so(exported, tagger):
    with Runtime(exported) as model:
        model.run("tokens", tagger.requests["tokens"][0])
    with pytest.raises(RuntimeModelError, match="closed"):
        model.run("tokens", tagger.requests["tokens"][0])
    model.close()


def test_many_threads(model):
    def ask(i):
        words = [b"Harry", b"Ron", b"w%d" % i] * (i % 5 + 1)
        return model.run("serving_default", {"text": [b" ".join(words)]})["tokens"][0].tolist() == words

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(80)))


def test_memory_is_given_back(echo):
    value = np.array([b"x" * 1_000_000] * 4, object)
    numbers = np.zeros(1_000_000, np.float32)

    def ask(times):
        for _ in range(times):
            echo.run("string", {"x": value})
            echo.run("float32", {"x": numbers})
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = ask(5)
    assert ask(60) - before < 100_000  # kilobytes; a leak of either side would be 240,000


def test_records_survive_a_file(tmp_path):
    tensors = {
        "text": np.array([[b"a\0", b""], ["ü".encode(), b"x" * 50]], object),
        "none": np.empty((0, 3), object),
        "scalar": np.float32(2.5),
        "ids": np.arange(6, dtype=np.int64).reshape(2, 3),
    }
    runtime.write_records(tmp_path / "r", [{"signature": "s", "tensors": tensors}, {"signature": "t"}], version="1")
    records, head = runtime.read_records(tmp_path / "r")
    assert head == {"version": "1"}
    assert [r["signature"] for r in records] == ["s", "t"]
    assert records[1]["tensors"] == {}
    for name, want in tensors.items():
        got = records[0]["tensors"][name]
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


def test_stands_alone(exported, tagger, tmp_path):
    """The file alone, in a process that sees neither this package nor the working directory."""
    script = shutil.copy(runtime.__file__, tmp_path / "alone.py")
    records = [{"signature": "tokens", "tensors": tagger.requests["tokens"][0]}, {"signature": "wrong"}]
    runtime.write_records(tmp_path / "asked", records)
    command = [sys.executable, "-I", script, exported, tmp_path / "asked", tmp_path / "answered"]
    subprocess.run([str(part) for part in command], check=True, cwd=tmp_path, capture_output=True)
    answers, head = runtime.read_records(tmp_path / "answered")
    assert head["python_tensorflow"] is False
    assert head["fault"] is None
    assert head["other_ops"] == []
    assert head["version"] == tf.__version__
    want = tagger.expected["tokens"][0]
    np.testing.assert_array_equal(answers[0]["tensors"]["tags"], want["tags"])
    np.testing.assert_allclose(answers[0]["tensors"]["scores"], want["scores"], atol=1e-6)
    assert "no signature 'wrong'" in answers[1]["fault"]


def test_protobuf_fields():
    data = b"\x08\x96\x01\x12\x02hi\x1d\0\0\x80\x3f\x21\0\0\0\0\0\0\0\x40"
    assert [(n, v if isinstance(v, int) else bytes(v)) for n, v in runtime.fields(data)] == [
        (1, 150),
        (2, b"hi"),
        (3, b"\0\0\x80\x3f"),
        (4, b"\0\0\0\0\0\0\0\x40"),
    ]
    for broken in (b"\x12\x05hi", b"\x08\x96", b"\x0b"):
        with pytest.raises(ValueError, match=r"ends in the middle|wire type 3"):
            list(runtime.fields(broken))
    assert runtime.signed(2**64 - 1) == -1
    assert runtime.varints(memoryview(b"\x01\x96\x01")) == [1, 150]
