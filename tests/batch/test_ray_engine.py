"""Shards by Ray: what the other engines do, through deaths of workers; nothing waits in silence."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from seqkit.batch import predict_files, ray_engine
from seqkit.errors import FormatError, ParameterError, SeqkitError

ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'seqkit[ray]')")

TEXTS = [" ".join(["good", "dull", "film", "fun", "not"][(i * k) % 5] for k in range(1, 2 + i % 7)) for i in range(60)]


@pytest.fixture(scope="module")
def here():
    """Begin Ray once for all: the engine uses the one that this process is connected to."""
    options = {"include_dashboard": False, "object_store_memory": 80 << 20, "logging_level": "ERROR"}
    ray.init(address="local", num_cpus=2, log_to_driver=False, **options)
    yield
    ray.shutdown()


def shards(job, numbers, workers=2) -> list:
    return sorted(ray_engine.ray_shards(job, numbers, workers, None))


def test_a_stopped_job_goes_on_and_equals_one_in_process(saved, tmp_path):
    path, model = tmp_path / "in.jsonl", saved("SequenceClassifier")
    path.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(TEXTS * 50)))
    command = [sys.executable, "-m", "seqkit", "batch", str(model), "in.jsonl", "-o", "out", "--shard-rows", "25"]
    process = subprocess.Popen(
        [*command, "--engine", "ray", "--workers", "1"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    limit = time.monotonic() + 180
    while not list((tmp_path / "out").glob("part-*")) and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)  # Ray has a handler of its own
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert " of 3,000 rows are done. The same call goes on from there." in told
    assert not list((tmp_path / "out").glob("**/.*.tmp"))
    mended = predict_files(model, path, tmp_path / "out", shard_rows=25)
    assert 0 < mended.done_before < mended.rows == 3_000 and mended.parts == 120
    predict_files(model, path, tmp_path / "whole", shard_rows=25)
    for part in (tmp_path / "whole").glob("part-*"):
        assert (tmp_path / "out" / part.name).read_bytes() == part.read_bytes()


def test_what_a_killed_worker_had_in_hand_is_done_by_another(tmp_path, here):
    def job(number):
        if number % 4 == 0 and not (tmp_path / str(number)).exists():
            (tmp_path / str(number)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number, os.getpid()

    found = shards(job, range(9))
    assert [number for number, _ in found] == list(range(9))
    assert len(list(tmp_path.iterdir())) == 3 and os.getpid() not in {pid for _, pid in found}


def test_a_worker_that_always_dies_ends_the_job(monkeypatch, here):
    monkeypatch.setattr(ray_engine, "_TRIES", 1)
    with pytest.raises(SeqkitError, match=r"Ray gave up a shard.*the same call goes on from there"):
        shards(lambda number: os.kill(os.getpid(), signal.SIGKILL), [1])


def test_an_error_says_what_it_says_elsewhere(here):
    def job(number):
        if number == 2:
            raise FormatError("a.jsonl", 3, "not JSON")
        return number

    with pytest.raises(FormatError, match=r"^a\.jsonl:3: not JSON$") as found:
        shards(job, range(4))
    assert (found.value.path, found.value.line) == ("a.jsonl", 3)


def test_a_worker_keeps_the_job_and_takes_one_core(here):
    class Job:
        calls = 0

        def __call__(self, number):
            self.calls += 1
            return number, self.calls, os.environ["TF_NUM_INTRAOP_THREADS"]

    assert shards(Job(), range(5), workers=1) == [(i, i + 1, "1") for i in range(5)]


def test_a_cluster_that_is_too_small_or_not_there(here):
    with pytest.raises(ParameterError, match=r"Ray on this machine has 2 CPUs, and workers=3 need one each\."):
        shards(print, [1], workers=3)
    with socket.socket() as closed:  # bound, and nothing listens
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(SeqkitError, match=f"No Ray cluster can be reached at {address} "):
            list(ray_engine.ray_shards(print, [1], None, address))
    with pytest.raises(ParameterError, match=r"address must be 'host:port'.* got 'head'"):
        list(ray_engine.ray_shards(print, [1], None, "head"))


def test_waiting_is_told(tmp_path, monkeypatch, capsys, here):
    monkeypatch.setattr(ray_engine, "_ASK_AGAIN", 0.05)
    monkeypatch.setattr(ray_engine, "_SILENT", 0.3)
    tell, told = ray_engine._tell, []
    monkeypatch.setattr(ray_engine, "_tell", lambda message: (tell(message), told.append(message), go_on()))

    @ray.remote(num_cpus=2)
    def other():
        while not (tmp_path / "go on").exists():
            time.sleep(0.01)

    def go_on():
        (tmp_path / "go on").touch()

    busy = other.remote()
    while ray.available_resources().get("CPU"):
        time.sleep(0.01)
    assert shards(lambda number: time.sleep(1.0) or number, [1]) == [1]
    ray.get(busy)
    assert told[0] == "Ray on this machine has 2 CPUs, and other jobs use them all: waiting for a free one."
    assert re.match(r"No shard was finished for \d+ s; in hand: 1\. Ray on this machine has 2 CPUs, \d of", told[-1])
    assert capsys.readouterr().err.splitlines() == told
