"""The client, over REST and gRPC: answers, faults, patience."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from seqkit.errors import DataError, InputTypeError, ParameterError, ServingError
from seqkit.serving import Client, Server
from seqkit.serving.settings import write_settings


@pytest.fixture(params=["rest", "grpc"])
def url(server, request):
    return server.rest_url + "/v1/models" if request.param == "rest" else server.grpc_url


@pytest.fixture
def client(url):
    with Client(f"{url}/lengths") as client:
        yield client


def test_answers(client, url):
    assert client.predict(["abc", "é", ""]) == [{"value": 103.0}, {"value": 102.0}, {"value": 100.0}]
    assert client.predict([["a", "b"], []]) == [{"value": 102.0}, {"value": 100.0}]
    assert client.predict([]) == []
    with Client(f"{url}/lengths", batch_size=2) as small:
        assert [row["value"] for row in small.predict(["a" * n for n in range(5)])] == [100, 101, 102, 103, 104]
    (status,) = client.status()
    assert status == {"version": 2, "state": "AVAILABLE", "message": ""}
    with Client(f"{url}/lengths/versions/2") as other:
        assert other.predict(["a"]) == [{"value": 101.0}]


def test_tensors(client):
    inputs = {"raw_bytes": [b"\xff\x00", b""], "pair": [[1, 2], [3, 4]], "flag": [True, False]}
    answer = client.run("several", inputs)
    assert answer["raw_bytes"].tolist() == [b"\xff\x00", b""] == answer["text"].tolist()
    assert answer["sum"].tolist() == [3, 7] and answer["sum"].dtype == np.int32
    assert answer["flag"].tolist() == [False, True] and answer["flag"].dtype == bool
    nothing = client.run("serving_default", {"text": []})
    assert nothing["value"].shape in ((0,), (0, 1))  # JSON says no more than that there is nothing
    assert client.signatures["several"]["inputs"]["pair"].shape == (-1, 2)


def test_faults_of_requests(client, url):
    with pytest.raises(InputTypeError, match="X must be a list"):
        client.predict("abc")
    with pytest.raises(InputTypeError, match=r"X\[1\] must be a string"):
        client.predict(["a", None])
    with pytest.raises(InputTypeError, match=r"X\[1\] must be of the same kind"):
        client.predict(["a", ["b"]])
    with pytest.raises(InputTypeError, match=r"X\[0\] must hold strings"):
        client.predict([["a", 1]])
    with pytest.raises(DataError, match=r"X\[0\] is not text that UTF-8 can write"):
        client.predict(["\ud800"])
    with pytest.raises(
        ParameterError, match="holds vectors, for which this model has no signature; it answers text or"
    ):
        client.predict([np.zeros((2, 3))])
    with pytest.raises(ParameterError, match="has no signature 'generate'"):
        client.generate(["a"])
    with pytest.raises(ParameterError, match="takes the inputs text; got nix"):
        client.run("serving_default", {"nix": []})
    with pytest.raises(ParameterError, match="no signature 'nix'"):
        client.run("nix", {})
    for name, message in (("nix", r"Latest\(nix\)"), ("lengths/versions/9", r"Specific\(lengths, 9\)")):
        with Client(f"{url}/{name}") as other, pytest.raises(ServingError, match=message) as error:
            other.predict(["a"])
        assert error.value.code == "NOT_FOUND" and str(error.value).startswith(url)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "localhost:8501"}, "url must name a server and a model"),
        ({"url": "http://localhost:8501"}, "url must name a server and a model"),
        ({"url": "http://h/m", "timeout": 0}, "timeout must be at least 0.001; got 0"),
        ({"url": "http://h/m", "retries": -1}, "retries must be at least 0"),
        ({"url": "http://h/m", "batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_faults_of_parameters(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Client(**arguments)


class Moody(BaseHTTPRequestHandler):
    """Not available at first; then it answers."""

    protocol_version = "HTTP/1.1"
    refusals = 0

    def do_GET(self):
        if type(self).refusals:
            type(self).refusals -= 1
            self.answer(503, {"error": "busy"})
        else:
            self.answer(200, {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]})

    def answer(self, status, told):
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_patience_with_a_busy_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/m"
        Moody.refusals = 3
        with Client(url) as client:
            assert client.status() == [{"version": 1, "state": "AVAILABLE", "message": ""}] and Moody.refusals == 0
        Moody.refusals = 3
        with Client(url, retries=1) as client, pytest.raises(ServingError, match=r"busy \(HTTP 503\)") as error:
            client.status()
        assert error.value.code == "UNAVAILABLE" and Moody.refusals == 1
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there_and_nobody_answering(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.perf_counter()
        with (
            Client(f"{scheme}://127.0.0.1:{port}/m", timeout=0.3, retries=9) as client,
            pytest.raises(ServingError) as error,
        ):
            client.status()
        # What was sent and not answered in time is not sent again.
        assert error.value.code == "DEADLINE_EXCEEDED" and time.perf_counter() - began < 10
    with Client(f"{scheme}://127.0.0.1:{port}/m", retries=1) as client, pytest.raises(ServingError) as error:
        client.status()
    assert error.value.code == "UNAVAILABLE" and f"127.0.0.1:{port}/m: " in str(error.value)


def test_labels_and_settings_that_change(versions, tmp_path):
    shutil.copytree(versions, tmp_path / "lengths")
    models, _ = write_settings(tmp_path)
    text, lines = models.read_text(), []
    with Server(tmp_path, rest_port=0, grpc_port=None, poll_seconds=0.05, tell=lines.append) as server:
        with Client(f"{server.rest_url}/v1/models/lengths/labels/canary") as client:
            assert client.predict([""]) == [{"value": 100.0}]
            models.write_text("model_config_list { nonsense")
            wait(lambda: any("not a ModelServerConfig" in line for line in lines))
            assert client.predict([""]) == [{"value": 100.0}]
            (tmp_path / "other").write_text(text.replace("2", "1"))
            (tmp_path / "other").rename(models)
            wait(lambda: client.predict([""]) == [{"value": 0.0}])
        assert sum("not a ModelServerConfig" in line for line in lines) == 1


def wait(done):
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_port_that_is_taken(server, versions):
    port = int(server.rest_url.rpartition(":")[2])
    with pytest.raises(
        ServingError, match=rf"127.0.0.1:{port} \(REST\) cannot be listened at.*Choose another rest_port"
    ):
        Server(versions, rest_port=port, grpc_port=None).start()
    with pytest.raises(ParameterError, match="nothing would be served"):
        Server(versions, rest_port=None, grpc_port=None)


def test_from_the_command_line(versions):
    """It serves until a signal ends it, without TensorFlow in Python where gRPC is left off."""
    command = [sys.executable, "-m", "seqkit", "serve", str(versions.parent), "--rest-port", "0", "--no-grpc"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert url.endswith("/v1/models/lengths/versions/2")
        with Client(url) as client:
            assert client.predict(["abc"]) == [{"value": 103.0}]
        modules = f"/proc/{process.pid}/maps"
        if os.path.exists(modules):
            with open(modules) as maps:
                assert "_pywrap_tensorflow" not in maps.read()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "lengths, version 2: served" in told and "In production, run TensorFlow Serving" in told
