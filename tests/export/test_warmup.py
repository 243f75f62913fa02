"""The warm-up file against TensorFlow Serving's own classes and TensorFlow's own TensorProto."""

import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import FormatError
from seqkit.export import warmup


def test_same_bytes_as_tensorflow_serving():
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    inputs = {
        "text": np.array([b"Harry met Ron", b"\xff\0", b"x" * 300], object),
        "lengths": np.array([3, 1, 2], np.int32),
        "features": np.ones((2, 3, 4), np.float32),
    }
    log = apis.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "ner", "serving_default"
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    ours = warmup.prediction_log("ner", "serving_default", inputs)
    assert ours == log.SerializeToString(deterministic=True)


def test_written_as_tensorflow_reads_it(tmp_path):
    requests = {"a": [{"x": np.array([i], np.int64)} for i in range(3)], "b": [{"y": np.array([b"q"], object)}]}
    assert warmup.write_warmup(tmp_path, "m", requests) == 4
    file = tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    records = [r.numpy() for r in tf.data.TFRecordDataset(str(file))]
    assert records == [
        warmup.prediction_log("m", name, requests[name][i]) for name, i in [("a", 0), ("b", 0), ("a", 1), ("a", 2)]
    ]
    read = warmup.read_warmup(tmp_path)
    assert [r["x"].tolist() for r in read["a"]] == [[0], [1], [2]]
    assert read["b"][0]["y"].tolist() == [b"q"]


def test_no_more_than_a_server_takes(tmp_path):
    many = {"a": [{"x": np.zeros(1, np.float32)}] * 1500, "b": [{"x": np.ones(1, np.float32)}] * 10}
    assert warmup.write_warmup(tmp_path, "m", many) == 1000
    read = warmup.read_warmup(tmp_path)
    assert (len(read["a"]), len(read["b"])) == (990, 10)


def test_nothing_to_write(tmp_path):
    assert warmup.write_warmup(tmp_path, "m", {"a": []}) == 0
    assert list(tmp_path.iterdir()) == []
    assert warmup.read_warmup(tmp_path) == {}


TYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
         "bool", "complex64", "complex128"]  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_tensors_however_written(name):
    dtype = np.dtype(name)
    values = np.array([[1, 0, 3], [5, 7, 120]]).astype(dtype)
    if dtype.kind in "if":
        values[0, 1] = -2
    if dtype.kind == "c":
        values = values * dtype.type(1 - 2j)
    for value in (values, values[0, 0], values[:0], values[1, 2].reshape(1, 1)):
        packed = tf.make_tensor_proto(value)
        typed = tf.make_tensor_proto(value.tolist(), dtype=tf.as_dtype(name), shape=value.shape)
        for proto in (packed, typed):
            got = warmup._tensor(memoryview(proto.SerializeToString()))
            assert got.dtype == dtype
            assert got.shape == value.shape
            np.testing.assert_array_equal(got, tf.make_ndarray(proto))
            np.testing.assert_array_equal(got, value)
    # One value stands for all.
    filled = tf.make_tensor_proto(values[:1, :1])
    filled.tensor_shape.dim[0].size = 4
    got = warmup._tensor(memoryview(filled.SerializeToString()))
    np.testing.assert_array_equal(got, np.full((4, 1), values[0, 0]))


def test_strings_however_written():
    for value in (np.array([[b"a", b""], [b"\xff", b"d"]], object), np.array(b"x", object), np.empty((0, 2), object)):
        got = warmup._tensor(memoryview(tf.make_tensor_proto(value).SerializeToString()))
        assert got.shape == value.shape
        assert got.tolist() == value.tolist()


def test_damaged_files_are_named(tmp_path):
    warmup.write_warmup(tmp_path, "m", {"a": [{"x": np.zeros(3, np.float32)}]})
    file = tmp_path / warmup.FILE
    whole = file.read_bytes()
    for content, message in [
        (whole[:-5], "ends within a record of"),
        (whole + b"\0" * 5, "ends within a record's head"),
        (whole[:12] + b"\x0b" * (len(whole) - 16) + whole[-4:], "record 1 is not a PredictionLog"),
    ]:
        file.write_bytes(content)
        with pytest.raises(FormatError, match=message):
            warmup.read_warmup(tmp_path)
