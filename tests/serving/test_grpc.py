"""The gRPC services, through the stubs of tensorflow-serving-api."""

import shutil

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from seqkit.serving import Server
from seqkit.serving.protos import from_proto, to_proto


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.grpc_url.removeprefix("grpc://")) as channel:
        yield channel


def asked(name="lengths", version=None, label="", signature="", outputs=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=list(outputs))
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version is not None:
        request.model_spec.version.value = version
    elif label:
        request.model_spec.version_label = label
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_predict(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    answer = stub.Predict(asked(text=[b"abc", b"\xff\x00"]))
    assert tf.make_ndarray(answer.outputs["value"]).tolist() == [[103.0], [102.0]]
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("lengths", 2)
    assert answer.model_spec.signature_name == "serving_default"
    several = {"raw_bytes": [b"x"], "pair": np.array([[1, 2]], np.int32), "flag": [True]}
    answer = stub.Predict(asked(signature="several", outputs=["sum"], **several))
    assert {name: tf.make_ndarray(proto).tolist() for name, proto in answer.outputs.items()} == {"sum": [3]}


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (asked("nix"), "NOT_FOUND", "Servable not found for request: Latest(nix)"),
        (asked(version=8), "NOT_FOUND", "Servable not found for request: Specific(lengths, 8)"),
        (asked(label="x"), "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
        (asked(""), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (asked(signature="nix"), "FAILED_PRECONDITION", 'Serving signature key "nix" not found.'),
        (asked(nix=[b""]), "INVALID_ARGUMENT", "takes the inputs ['text']"),
        (asked(text=[1.0]), "INVALID_ARGUMENT", "takes bytes"),
        (asked(text=[[b""]]), "INVALID_ARGUMENT", "takes shape"),
        (asked(text=[b""], outputs=["nix"]), "INVALID_ARGUMENT", "output tensor alias not found in signature: nix"),
    ],
)
def test_faults(channel, request_, code, message):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request_)
    assert error.value.code().name == code and message in error.value.details()


def test_metadata(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "lengths"
    told = get_model_metadata_pb2.SignatureDefMap()
    assert stub.GetModelMetadata(request).metadata["signature_def"].Unpack(told)
    several = told.signature_def["several"]
    assert several.method_name == "tensorflow/serving/predict"
    assert several.inputs["pair"].dtype == tf.int32.as_datatype_enum
    assert [dim.size for dim in several.inputs["pair"].tensor_shape.dim] == [-1, 2]
    request.metadata_field[:] = ["nix"]
    with pytest.raises(grpc.RpcError, match="Metadata field nix is not supported"):
        stub.GetModelMetadata(request)


def test_status_and_another_configuration(versions, tmp_path):
    shutil.copytree(versions, tmp_path / "models" / "lengths")
    with (
        Server(tmp_path / "models", rest_port=None, grpc_port=0) as server,
        grpc.insecure_channel(server.grpc_url.removeprefix("grpc://")) as channel,
    ):
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "lengths"
        states = {one.version: one.state for one in stub.GetModelStatus(status).model_version_status}
        available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        assert states == {2: available}
        request = model_management_pb2.ReloadConfigRequest()
        entry = request.config.model_config_list.config.add(name="other", base_path="/models/lengths")
        entry.model_version_policy.specific.versions.append(1)
        entry.version_labels["stable"] = 1
        stub.HandleReloadConfigRequest(request)
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = predictions.Predict(asked("other", label="stable", text=[b"abc"]))
        assert tf.make_ndarray(answer.outputs["value"]).tolist() == [[3.0]]
        with pytest.raises(grpc.RpcError, match="Servable not found"):
            predictions.Predict(asked(text=[b"abc"]))
        with pytest.raises(grpc.RpcError, match="model_config_list"):
            stub.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest())


@pytest.mark.parametrize(
    "array",
    [
        np.array([[b"a", b"\xff\x00"], [b"", b"c"]], object),
        np.zeros((0, 3), object),
        np.arange(6, dtype=np.int64).reshape(2, 3).T,
        np.array([1.5, np.nan], np.float32),
        np.array(True),
        np.zeros((2, 0), np.int32),
    ],
)
def test_arrays_as_protocol_buffers(array):
    """As TensorFlow reads and writes them."""
    dtype = tf.string if array.dtype == object else array.dtype
    for proto in (to_proto(array), tf.make_tensor_proto(array.tolist() or [], dtype, array.shape)):
        for read in (from_proto, tf.make_ndarray):
            found = read(proto)
            assert found.shape == array.shape and (array.dtype == object or found.dtype == array.dtype)
            np.testing.assert_array_equal(found, array)
