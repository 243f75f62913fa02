"""TensorFlow Serving's REST interface as an ASGI application: its paths, formats, error bodies and status codes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from typing import Any

from seqkit.errors import ServingError
from seqkit.export.runtime import RuntimeModelError, TensorSpec
from seqkit.serving.store import CODES, ModelStore, Served
from seqkit.serving.tensors import read_question, write_answer

_MODEL = r"(?i:/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(_MODEL + r":(?P<method>predict|classify|regress))")
_LOOK = re.compile(_MODEL + r"(?P<metadata>/metadata)?)")

#: HTTP's status for each of gRPC's, as TensorFlow Serving has it.
_HTTP = {
    "OK": 200, "CANCELLED": 499, "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504, "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "FAILED_PRECONDITION": 412,
    "ABORTED": 409, "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "INTERNAL": 500, "UNAVAILABLE": 503, "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}  # fmt: skip
_DTYPES = {"string": "DT_STRING", "float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF"}

Message = MutableMapping[str, Any]


class RestApp:
    """The application.

    Parameters
    ----------
    store : ModelStore
        What answers.
    pool : concurrent.futures.Executor
        Threads in which models run.
    """

    def __init__(self, store: ModelStore, pool: Executor):
        self.store, self._pool = store, pool

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        loop = asyncio.get_running_loop()
        status, answer = await loop.run_in_executor(
            self._pool, self.answer, scope["method"], scope["path"], bytes(body)
        )
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        try:
            return 200, self._answer(method, path, body)
        except ServingError as error:
            code, message = error.code, str(error)
        except RuntimeModelError as error:
            code, message = CODES[error.code], str(error)
        except Exception as error:  # a fault of ours must not end the connection without a word
            code, message = "INTERNAL", f"{type(error).__name__}: {error}"
        return _HTTP.get(code, 500), json.dumps({"error": message}, ensure_ascii=False).encode(errors="replace")

    def _answer(self, method: str, path: str, body: bytes) -> bytes:
        if method == "POST" and (found := _PREDICT.fullmatch(path)):
            if found["method"].lower() != "predict":
                raise ServingError(f"The method {found['method']} is not served; use predict", "UNIMPLEMENTED")
            with self.store.using(*_spec(found)) as served:
                signatures = served.runtime.signatures

                def inputs_of(name: str) -> dict[str, TensorSpec]:
                    if name not in signatures:
                        raise ServingError(
                            f'Serving signature name: "{name}" not found in signature def', "INVALID_ARGUMENT"
                        )
                    return signatures[name]["inputs"]

                question = read_question(body, inputs_of)
                outputs = served.runtime.run(question.signature, question.inputs)
            return write_answer(outputs, question.rows)
        if method == "GET" and (found := _LOOK.fullmatch(path)):
            name, version, label = _spec(found)
            if found["metadata"]:
                with self.store.using(name, version, label) as served:
                    return _json(_metadata(served))
            return _json({"model_version_status": [_status(one) for one in self.store.status(name, version, label)]})
        raise ServingError(f"Malformed request: {method} {path}", "INVALID_ARGUMENT")


def _spec(found: re.Match) -> tuple[str, int | None, str | None]:
    return found["name"], int(found["version"]) if found["version"] else None, found["label"]


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _status(served: Served) -> dict[str, Any]:
    status = {"error_code": CODES[served.code], "error_message": served.message}
    return {"version": str(served.version), "state": served.state, "status": status}


def _metadata(served: Served) -> dict[str, Any]:
    """Return the signatures as the JSON of a ``GetModelMetadataResponse``."""
    definitions = {
        name: {
            **{side: {key: _info(spec) for key, spec in signature[side].items()} for side in ("inputs", "outputs")},
            "method_name": "tensorflow/serving/predict",
            "defaults": {},
        }
        for name, signature in served.runtime.signatures.items()
    }
    return {
        "model_spec": {"name": served.name, "signature_name": "", "version": str(served.version)},
        "metadata": {"signature_def": {"signature_def": definitions}},
    }


def _info(spec: TensorSpec) -> dict[str, Any]:
    sizes = [{"size": str(size), "name": ""} for size in spec.shape or ()]
    return {
        "dtype": _DTYPES.get(spec.dtype, f"DT_{spec.dtype.upper()}"),
        "tensor_shape": {"dim": sizes, "unknown_rank": spec.shape is None},
        "name": spec.tensor,
    }
