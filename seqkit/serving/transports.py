"""How a client reaches a server: REST over http.client, or gRPC over the stubs of tensorflow-serving-api."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np

from seqkit.errors import ServingError, require
from seqkit.export.runtime import DTYPE_NAMES, TensorSpec

Specs = Mapping[str, TensorSpec]
Arrays = dict[str, np.ndarray]
_CODES = {
    400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED", 501: "UNIMPLEMENTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_REST_TYPES = {"FLOAT": "float32", "DOUBLE": "float64", "HALF": "float16"}


class Transport(Protocol):
    """A connection to one model of a server; every fault is a `ServingError`."""

    def signatures(self) -> dict[str, dict[str, dict[str, TensorSpec]]]:
        """Return what the model can be asked."""

    def status(self) -> list[dict[str, Any]]:
        """Return the versions of the model."""

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Specs) -> Arrays:
        """Ask once."""

    def close(self) -> None:
        """Close the connections."""


def transport_to(
    scheme: str, host: str, name: str, version: int | None, label: str | None, timeout: float
) -> Transport:
    """Return the transport that the scheme of an address names; nothing is connected yet."""
    kind = Grpc if scheme.startswith("grpc") else Rest
    return kind(scheme, host, name, version, label, timeout)


class Rest:
    """REST, by columns; connections are kept, so many as there are requests at once."""

    def __init__(self, scheme, host, name, version, label, timeout):
        place = f"/versions/{version}" if version is not None else f"/labels/{label}" if label else ""
        self._path, self._host, self._timeout = f"/v1/models/{quote(name)}{place}", host, timeout
        self._connection = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        self._idle: list[http.client.HTTPConnection] = []

    def signatures(self):
        """See `Transport`."""
        told = self._ask("GET", f"{self._path}/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            name: {side: {key: _rest_spec(info) for key, info in one[side].items()} for side in ("inputs", "outputs")}
            for name, one in sorted(told.items())
            if not name.startswith("__saved_model_")
        }

    def status(self):
        """See `Transport`."""
        return [
            {
                "version": int(one["version"]),
                "state": one["state"],
                "message": one.get("status", {}).get("error_message", ""),
            }
            for one in self._ask("GET", self._path)["model_version_status"]
        ]

    def run(self, signature, inputs, outputs):
        """See `Transport`."""
        asked = {"signature_name": signature, "inputs": {name: _json(array) for name, array in inputs.items()}}
        told = self._ask("POST", f"{self._path}:predict", json.dumps(asked, ensure_ascii=False).encode())["outputs"]
        if len(outputs) == 1:
            told = {next(iter(outputs)): told}
        return {name: _array(name, value, outputs[name]) for name, value in told.items()}

    def close(self):
        """See `Transport`."""
        while self._idle:
            self._idle.pop().close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        try:
            status, data = self._exchange(method, path, body)
        except TimeoutError as error:
            raise ServingError(f"no answer within {self._timeout:g} s", "DEADLINE_EXCEEDED") from error
        except (OSError, http.client.HTTPException) as error:
            raise ServingError(f"cannot be reached ({error or type(error).__name__})", "UNAVAILABLE") from error
        try:
            # Strings that are not UTF-8 come as the bytes they are.
            told = json.loads(data.decode("utf-8", "surrogateescape"))
        except ValueError:
            told = None
        if status == 200 and isinstance(told, dict):
            return told
        message = told.get("error") if isinstance(told, dict) else None
        message = message or data[:200].decode(errors="replace") or http.client.responses.get(status, "no reason")
        raise ServingError(f"{message} (HTTP {status})", _CODES.get(status, "UNKNOWN"))

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Send a request over a connection that nobody uses, and return the status and the body of the answer."""
        try:
            connection, used = self._idle.pop(), True
        except IndexError:
            connection, used = self._connection(self._host, timeout=self._timeout), False
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            connection.close()
            if not used:
                raise
            # The server closes a connection that was idle for long, just when it is used again.
            return self._exchange(method, path, body)
        except BaseException:
            connection.close()
            raise
        if not response.will_close:
            self._idle.append(connection)
        return response.status, data


def _rest_spec(info: Mapping[str, Any]) -> TensorSpec:
    shape = info["tensor_shape"]
    sizes = None if shape.get("unknown_rank") else tuple(int(dim["size"]) for dim in shape.get("dim", ()))
    kind = info["dtype"].removeprefix("DT_")
    return TensorSpec(_REST_TYPES.get(kind, kind.lower()), sizes, info["name"])


def _json(array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    flat = np.empty(array.size, object)
    flat[:] = [_json_text(value) for value in array.ravel()]
    return flat.reshape(array.shape).tolist()


def _json_text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _array(name: str, value: Any, spec: TensorSpec) -> np.ndarray:
    if spec.dtype != "string":
        return np.asarray(value, "float32" if spec.dtype == "bfloat16" else spec.dtype)
    array = np.asarray(value, object)
    flat = np.empty(array.size, object)
    flat[:] = [
        base64.b64decode(one["b64"]) if isinstance(one, dict) else one.encode("utf-8", "surrogateescape")
        for one in array.ravel()
    ]
    return flat.reshape(array.shape)


class Grpc:
    """gRPC; one channel, which connects again by itself."""

    def __init__(self, scheme, host, name, version, label, timeout):
        why = "A client over gRPC"
        self._grpc = require("grpc", extra="serving", why=why)
        require("tensorflow_serving.apis", extra="serving", why=why)
        from tensorflow_serving.apis import model_pb2, model_service_pb2_grpc, prediction_service_pb2_grpc

        from seqkit.serving.protos import OPTIONS

        if scheme == "grpcs":
            self._channel = self._grpc.secure_channel(host, self._grpc.ssl_channel_credentials(), OPTIONS)
        else:
            self._channel = self._grpc.insecure_channel(host, OPTIONS)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._spec, self._timeout = model_pb2.ModelSpec(name=name), timeout
        if version is not None:
            self._spec.version.value = version
        elif label is not None:
            self._spec.version_label = label

    def signatures(self):
        """See `Transport`."""
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        told = get_model_metadata_pb2.SignatureDefMap()
        self._ask(self._predictions.GetModelMetadata, request).metadata["signature_def"].Unpack(told)
        return {
            name: {
                side: {key: _grpc_spec(info) for key, info in sorted(getattr(one, side).items())}
                for side in ("inputs", "outputs")
            }
            for name, one in sorted(told.signature_def.items())
            if not name.startswith("__saved_model_")
        }

    def status(self):
        """See `Transport`."""
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest(model_spec=self._spec)
        states = get_model_status_pb2.ModelVersionStatus.State
        return [
            {"version": one.version, "state": states.Name(one.state), "message": one.status.error_message}
            for one in self._ask(self._models.GetModelStatus, request).model_version_status
        ]

    def run(self, signature, inputs, outputs):
        """See `Transport`."""
        from tensorflow_serving.apis import predict_pb2

        from seqkit.serving.protos import from_proto, to_proto

        request = predict_pb2.PredictRequest(model_spec=self._spec)
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(to_proto(array))
        response = self._ask(self._predictions.Predict, request)
        return {name: from_proto(proto) for name, proto in response.outputs.items()}

    def close(self):
        """See `Transport`."""
        self._channel.close()

    def _ask(self, method, request):
        try:
            return method(request, timeout=self._timeout)
        except self._grpc.RpcError as error:
            raise ServingError(error.details() or error.code().name, error.code().name) from error


def _grpc_spec(info) -> TensorSpec:
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
    return TensorSpec(DTYPE_NAMES.get(info.dtype, f"type {info.dtype}"), sizes, info.name)
