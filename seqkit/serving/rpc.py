"""TensorFlow Serving's gRPC interface: the services of tensorflow-serving-api over a `ModelStore`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.protobuf import any_pb2
from tensorflow.core.framework import tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from seqkit.errors import SeqkitError, ServingError
from seqkit.export.runtime import DTYPE_NUMBERS, RuntimeModelError, TensorSpec
from seqkit.serving.protos import OPTIONS, from_proto, to_proto
from seqkit.serving.settings import models_of
from seqkit.serving.store import CODES, ModelStore, Served

_STATES = get_model_status_pb2.ModelVersionStatus.State


def make_server(store: ModelStore, root: Path, pool: Executor, address: str) -> tuple[grpc.Server, int]:
    """Make a gRPC server, which is not started yet, and return it with its port.

    Parameters
    ----------
    store : ModelStore
        What answers.
    root : Path
        Where models are looked for that a new configuration names.
    pool : concurrent.futures.Executor
        Threads in which requests run.
    address : str
        Host and port; of port 0, the system chooses one.
    """
    server = grpc.server(pool, options=[*OPTIONS, ("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predictions(store), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(store, root), server)
    return server, server.add_insecure_port(address)


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    """``PredictionService``: ``Predict`` and ``GetModelMetadata``; the other methods are not implemented."""

    def __init__(self, store: ModelStore):
        self.store = store

    def Predict(self, request, context):
        """Answer one request."""
        with _told(context), self.store.using(*_spec(request.model_spec)) as served:
            signature = request.model_spec.signature_name or "serving_default"
            if signature not in served.runtime.signatures:
                raise ServingError(f'Serving signature key "{signature}" not found.', "FAILED_PRECONDITION")
            outputs = served.runtime.run(signature, {k: from_proto(v) for k, v in request.inputs.items()})
            wanted = list(request.output_filter) or list(outputs)
            for name in wanted:
                if name not in outputs:
                    raise ServingError(
                        f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                        f"{{{','.join(sorted(outputs))}}}.",
                        "INVALID_ARGUMENT",
                    )
            response = predict_pb2.PredictResponse(model_spec=_described(served, signature))
            for name in wanted:
                response.outputs[name].CopyFrom(to_proto(outputs[name]))
            return response

    def GetModelMetadata(self, request, context):
        """Return the signatures of a model."""
        with _told(context):
            fields = list(request.metadata_field)
            if not fields:
                raise ServingError(
                    "GetModelMetadataRequest must specify at least one metadata_field", "INVALID_ARGUMENT"
                )
            for field in fields:
                if field != "signature_def":
                    raise ServingError(f"Metadata field {field} is not supported", "INVALID_ARGUMENT")
            with self.store.using(*_spec(request.model_spec)) as served:
                packed = any_pb2.Any()
                packed.Pack(_signatures(served))
                response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_described(served))
                response.metadata["signature_def"].CopyFrom(packed)
                return response


class Models(model_service_pb2_grpc.ModelServiceServicer):
    """``ModelService``: the state of models, and other models to serve."""

    def __init__(self, store: ModelStore, root: Path):
        self.store, self.root = store, root

    def GetModelStatus(self, request, context):
        """Return the state of the versions of a model."""
        with _told(context):
            response = get_model_status_pb2.GetModelStatusResponse()
            for served in self.store.status(*_spec(request.model_spec)):
                one = response.model_version_status.add(version=served.version, state=_STATES.Value(served.state))
                one.status.error_code, one.status.error_message = served.code, served.message
            return response

    def HandleReloadConfigRequest(self, request, context):
        """Serve the models of another configuration from now on."""
        with _told(context):
            if not request.config.HasField("model_config_list"):
                raise ServingError("ServerCore: the request's config must be a model_config_list", "INVALID_ARGUMENT")
            self.store.configure(models_of(request.config, self.root))
            return model_management_pb2.ReloadConfigResponse()


@contextmanager
def _told(context) -> Iterator[None]:
    """Turn exceptions into gRPC's status."""
    try:
        yield
    except ServingError as error:
        context.abort(grpc.StatusCode[error.code], str(error))
    except RuntimeModelError as error:
        context.abort(grpc.StatusCode[CODES[error.code]], str(error))
    except SeqkitError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _spec(spec: model_pb2.ModelSpec) -> tuple[str, int | None, str | None]:
    if not spec.name:
        raise ServingError("Missing ModelSpec", "INVALID_ARGUMENT")
    version = spec.version.value if spec.HasField("version") else None
    return spec.name, version, spec.version_label or None


def _described(served: Served, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=served.name, signature_name=signature)
    spec.version.value = served.version
    return spec


def _signatures(served: Served) -> get_model_metadata_pb2.SignatureDefMap:
    told = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in served.runtime.signatures.items():
        definition = told.signature_def[name]
        definition.method_name = "tensorflow/serving/predict"
        for side in ("inputs", "outputs"):
            for key, spec in signature[side].items():
                getattr(definition, side)[key].CopyFrom(_info(spec))
    return told


def _info(spec: TensorSpec) -> meta_graph_pb2.TensorInfo:
    shape = tensor_shape_pb2.TensorShapeProto(unknown_rank=spec.shape is None)
    for size in spec.shape or ():
        shape.dim.add(size=size)
    return meta_graph_pb2.TensorInfo(name=spec.tensor, dtype=DTYPE_NUMBERS[spec.dtype], tensor_shape=shape)
