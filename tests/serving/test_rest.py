"""The REST interface, by what TensorFlow Serving's documentation says of requests, answers and errors."""

import base64
import http.client
import json
import math
import re

import numpy as np
import pytest

from seqkit.errors import ServingError
from seqkit.export.runtime import TensorSpec
from seqkit.serving.tensors import read_question, write_answer


def ask(server, method, path, body=None):
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body)
    connection = http.client.HTTPConnection(server.rest_url.removeprefix("http://"))
    connection.request(method, path, body)
    response = connection.getresponse()
    assert response.headers["content-type"] == "application/json"
    told = json.loads(response.read())
    connection.close()
    return response.status, told


def test_rows_and_columns(server):
    path = "/v1/models/lengths:predict"
    assert ask(server, "POST", path, {"instances": ["abc", ""]}) == (200, {"predictions": [[103.0], [100.0]]})
    assert ask(server, "POST", path, {"instances": [{"text": "é"}]}) == (200, {"predictions": [[102.0]]})
    assert ask(server, "POST", path, {"inputs": ["abc"]}) == (200, {"outputs": [[103.0]]})
    assert ask(server, "POST", path, {"inputs": {"text": ["abc"]}}) == (200, {"outputs": [[103.0]]})
    coded = {"b64": base64.b64encode(b"\xff\x00abc").decode()}
    assert ask(server, "POST", path, {"instances": [coded]}) == (200, {"predictions": [[105.0]]})
    several = [{"raw_bytes": coded, "pair": [1, 2], "flag": True}, {"raw_bytes": "x", "pair": [3, 4], "flag": False}]
    status, answer = ask(server, "POST", path, {"signature_name": "several", "instances": several[1:]})
    assert status == 200
    assert answer == {"predictions": [{"flag": True, "raw_bytes": {"b64": "eA=="}, "sum": 7, "text": "x"}]}
    columns = {"raw_bytes": ["x", "y"], "pair": [[1, 2], [3, 4]], "flag": [True, False]}
    status, answer = ask(server, "POST", path, {"signature_name": "several", "inputs": columns})
    assert status == 200 and answer["outputs"]["sum"] == [3, 7] and answer["outputs"]["flag"] == [False, True]


def test_versions_and_metadata(server):
    assert ask(server, "POST", "/v1/models/lengths/versions/2:predict", {"instances": [""]})[1] == {
        "predictions": [[100.0]]
    }
    told = {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert ask(server, "GET", "/v1/models/lengths") == (200, {"model_version_status": [told]})
    status, answer = ask(server, "GET", "/v1/models/lengths/versions/2/metadata")
    assert status == 200 and answer["model_spec"] == {"name": "lengths", "signature_name": "", "version": "2"}
    definition = answer["metadata"]["signature_def"]["signature_def"]["several"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    shape = {"dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}], "unknown_rank": False}
    assert definition["inputs"]["pair"]["dtype"] == "DT_INT32"
    assert definition["inputs"]["pair"]["tensor_shape"] == shape


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/v1/models/nix:predict", {"instances": [""]}, 404, "Servable not found for request: Latest(nix)"),
        ("POST", "/v1/models/lengths/versions/7:predict", {}, 404, "not found for request: Specific(lengths, 7)"),
        ("POST", "/v1/models/lengths/labels/x:predict", {}, 400, "Unrecognized servable version label: x"),
        ("GET", "/v1/models/nix", None, 404, "Could not find any versions of model nix"),
        ("GET", "/v1/models/lengths/versions/9", None, 404, "Could not find version 9 of model lengths"),
        ("POST", "/v1/models/lengths:classify", {}, 501, "classify"),
        ("GET", "/v1/models/lengths:predict", None, 400, "Malformed request: GET /v1/models/lengths:predict"),
        ("POST", "/v2/x", {}, 400, "Malformed request: POST /v2/x"),
        ("POST", "", b"{", 400, "JSON Parse error"),
        ("POST", "", b"", 400, "JSON Parse error"),
        ("POST", "", [1], 400, "Is not object"),
        ("POST", "", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("POST", "", {"inputs": [], "instances": []}, 400, "expecting only one of 'inputs' or 'instances' keys"),
        ("POST", "", {"instances": []}, 400, "No values in 'instances' array"),
        ("POST", "", {"instances": "x"}, 400, "Excepting 'instances' to be an list/array"),
        ("POST", "", {"instances": [1]}, 400, "element: 0 of 'inst.*Type: Number is not of expected type: str"),
        ("POST", "", {"instances": ["a", ["b"]]}, 400, "element: 1 .*Expecting shape \\[\\] but got: \\[1\\]"),
        ("POST", "", {"instances": ["a", {"text": "b"}]}, 400, "Expecting value/list but got object at item 1"),
        ("POST", "", {"instances": [{"nix": "b"}]}, 400, "keys must be equal to: text"),
        ("POST", "", {"instances": [{"b64": "?"}]}, 400, "Unable to base64 decode"),
        ("POST", "", {"instances": ["\ud800"]}, 400, "surrogate"),
        ("POST", "", {"inputs": {"nix": []}}, 400, "Missing named input: text in 'inputs' object."),
        ("POST", "", {"inputs": [["a"]]}, 400, "takes shape"),
        ("POST", "", {"signature_name": "nix", "inputs": []}, 400, '"nix" not found in signature def'),
        ("POST", "", {"signature_name": 3, "inputs": []}, 400, "'signature_name' key must be a string"),
        ("POST", "", {"signature_name": "several", "instances": ["a"]}, 400, "plain list, but expecting list of obj"),
        ("POST", "", {"signature_name": "several", "inputs": ["a"]}, 400, "plain value/list, but expecting an object"),
    ],
)  # fmt: skip
def test_errors(server, method, path, body, status, message):
    found, answer = ask(server, method, path or "/v1/models/lengths:predict", body)
    assert found == status and list(answer) == ["error"]
    assert re.search(message, answer["error"]) or message in answer["error"], answer


def read(spec, value):
    return read_question(json.dumps({"inputs": {"x": value}}).encode(), lambda name: {"x": spec}).inputs["x"]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", [[1, 2.5], [3, 4]]),
        ("float64", [math.inf, -math.inf, 1e300]),
        ("int64", [[2**62], [-1]]),
        ("int32", 5),
        ("bool", [[True], [False]]),
        ("float32", []),
        ("int32", [[], []]),
    ],
)
def test_numbers_of_json(dtype, value):
    found = read(TensorSpec(dtype, None, "x:0"), value)
    assert found.dtype == dtype and found.tolist() == np.asarray(value, dtype).tolist()
    assert found.shape == np.asarray(value, dtype).shape


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("int32", [1.5], "Type: Number is not of expected type: int32"),
        ("int32", [2**31], "is not of expected type: int32"),
        ("int32", [True], "Type: True is not of expected type: int32"),
        ("bool", [1], "is not of expected type: bool"),
        ("float32", ["1"], "Type: String is not of expected type: float"),
        ("float32", [None], "Type: Null is not of expected type: float"),
        ("float32", [[1], [2, 3]], "unexpected size: 2 at level: 1 expected size: 1"),
        ("float32", [1, [2]], "list at unexpected level: 1 expected < 1"),
        ("string", [["a"], "b"], "found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ("string", [{"b64": "eA==", "more": 1}], "not formatted correctly for base64 data"),
    ],
)
def test_wrong_numbers_of_json(dtype, value, message):
    with pytest.raises(ServingError, match=message.replace("(", "\\(")) as error:
        read(TensorSpec(dtype, None, "x:0"), value)
    assert error.value.code == "INVALID_ARGUMENT"


def test_answers_as_json():
    strings = np.array([["é".encode(), b"\xff"]], object)
    told = write_answer({"text": strings, "x_bytes": strings, "n": np.array([math.nan])}, rows=False)
    assert b'"text": [["\xc3\xa9", "\xff"]]' in told  # as TensorFlow Serving, which sends bytes as they are
    assert b'"x_bytes": [[{"b64": "w6k="}, {"b64": "/w=="}]]' in told and b'"n": [NaN]' in told
    with pytest.raises(ServingError, match="inconsistent batch size: 2 expecting: 1"):
        write_answer({"a": np.zeros(1), "b": np.zeros(2)}, rows=True)
    with pytest.raises(ServingError, match="no shape information"):
        write_answer({"a": np.zeros(())}, rows=True)
