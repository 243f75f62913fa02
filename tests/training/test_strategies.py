"""Several devices and workers learn what one device learns; a worker that ends is told, and training resumes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import strategy_fits
import tensorflow as tf

from seqkit import SequenceClassifier
from seqkit.errors import ParameterError, TrainingError
from seqkit.training.cluster import Cluster, is_chief, meet, read_cluster
from seqkit.training.optimizer import merge_rows
from seqkit.training.strategies import Share, Whole

PROGRAM = Path(strategy_fits.__file__)
FITTED = ("classifier", "tagger", "language model")


def start(*arguments: object) -> subprocess.Popen:
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}
    environment.pop("TF_CONFIG", None)
    return subprocess.Popen(
        [sys.executable, PROGRAM, *map(str, arguments)], env=environment, stderr=subprocess.PIPE, text=True
    )


def free_ports() -> int:
    """Return a port that is free, and so is the next one."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except (OSError, OverflowError):
                continue
        return port
    raise OSError("no two ports are free")


def run_pair(folder, *names) -> list[int]:
    port = free_ports()
    both = [start("workers", index, port, folder, *names) for index in range(2)]
    return [(process.communicate(timeout=240), process.returncode)[1] for process in both]


def learned(folder, name) -> tuple[list[np.ndarray], dict]:
    with np.load(folder / f"{name}.npz") as file:
        weights = [file[key] for key in file.files if key != "history"]
        return weights, json.loads(str(file["history"]))


def assert_same(found, expected, **tolerance):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **{"rtol": 0, "atol": 1e-5, **tolerance})


# Two workers


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A folder with what two workers learned, until one of them was killed; and when the other one noticed."""
    folder = tmp_path_factory.mktemp("workers")
    codes = run_pair(folder, *FITTED, "broken")
    return folder, codes


@pytest.mark.parametrize("name", FITTED)
def test_two_workers_learn_what_one_process_learns(pair, name):
    alone = strategy_fits.fit(name)
    for index in range(2):
        weights, history = learned(pair[0], f"{name} {index}")
        assert_same(weights, alone.model_.get_weights())
        for key in history:
            np.testing.assert_allclose(history[key], alone.history_[key], rtol=1e-4)


def test_workers_end_with_the_very_same_weights(pair):
    for name in FITTED:
        (first, history), (second, other) = (learned(pair[0], f"{name} {index}") for index in range(2))
        assert_same(first, second, atol=0)
        assert history == other


def test_a_killed_worker_is_told_and_a_restart_of_all_resumes(pair):
    folder, codes = pair
    assert codes == [0, -9]
    error = (folder / "error 0").read_text()
    assert "Start all of them again" in error and str(folder / "state of 0") in error
    assert (folder / "state of 0").is_dir() and not (folder / "state of 1").exists()  # the chief alone writes

    assert run_pair(folder, "resumed") == [0, 0]
    unbroken = strategy_fits.fit("broken")
    for index in range(2):
        weights, history = learned(folder, f"resumed {index}")
        assert_same(weights, unbroken.model_.get_weights())
        assert len(history["loss"]) == 4
    assert not (folder / "state of 1").exists()


# Several devices of one process


def test_several_devices_learn_what_one_learns(tmp_path):
    names = ["TreeClassifier", "Seq2Seq"]
    process = start("mirrored", 3, tmp_path, *names)  # batches of 4 rows, and of fewer than there are devices
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-2000:]
    for name in names:
        (one, history), (several, other) = (learned(tmp_path, f"{name} {kind}") for kind in ("one", "several"))
        assert_same(several, one)
        np.testing.assert_allclose(other["loss"], history["loss"], rtol=1e-4)


def test_shares_are_all_rows_once():
    values = tf.constant(np.arange(1.0, 11.0).reshape(5, 2), tf.float32)
    for size, replicas in ((5, 2), (5, 3), (5, 5), (2, 4), (1, 3)):
        whole = values[:size]
        shares = [Share(tf.constant(i), replicas, tf.constant(size)) for i in range(replicas)]
        assert all(len(share.take(whole)) for share in shares)  # no replica is without a row
        put = sum(share.put(share.take(whole)) for share in shares)
        np.testing.assert_array_equal(put, whole)
        np.testing.assert_allclose(sum(share.sum(share.take(whole)) for share in shares), tf.reduce_sum(whole))
        mean = sum(share.mean(share.take(whole), 2 * size) for share in shares)
        np.testing.assert_allclose(mean, Whole().mean(whole, 2 * size), rtol=1e-6)


def test_rows_are_added_up():
    merged = merge_rows(
        tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([3, 1, 3]), tf.constant([5, 1]))
    )
    np.testing.assert_array_equal(tf.convert_to_tensor(merged)[:, 0], [0, 2, 0, 5, 0])


# What is refused


def test_parameters(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ParameterError, match=r"strategy.*'mirrored'"):
        SequenceClassifier(strategy="parameter_server").fit(["a b"], [0])
    with pytest.raises(ParameterError, match=r"mixed_precision.*'bfloat16'"):
        SequenceClassifier(mixed_precision="float16").fit(["a b"], [0])
    with pytest.raises(ParameterError, match=r"TF_CONFIG.*not set"):
        SequenceClassifier(strategy="multi_worker").fit(["a b"], [0])


def test_a_batch_has_a_row_for_each_device(monkeypatch):
    from seqkit.training import strategies

    class Three(strategies.OneDevice):
        replicas = 3

    monkeypatch.setattr(strategies, "devices_of", lambda strategy: Three())
    with pytest.raises(ParameterError, match=r"batch_size=2.*3 devices"):
        SequenceClassifier(strategy="mirrored", batch_size=2).fit(["a b"], [0])


TWO = {"worker": ["one:1", "two:2"]}


@pytest.mark.parametrize(
    "config, why",
    [
        ("worker 1", "cannot be read"),
        ("[]", "cannot be read"),
        ({"cluster": TWO}, "'task'"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, "number 2"),
        ({"cluster": TWO, "task": {"type": "worker", "index": "0"}}, "number '0'"),
        ({"cluster": TWO, "task": {"type": "chief", "index": 0}}, "'chief' number 0"),
        ({"cluster": {**TWO, "ps": ["three:3"]}, "task": {"type": "worker", "index": 0}}, "'ps'"),
        ({"cluster": {"worker": ["one"]}, "task": {"type": "worker", "index": 0}}, "host:port"),
        ({"cluster": {"worker": ["one:99999"]}, "task": {"type": "worker", "index": 0}}, "host:port"),
        ({"cluster": {"worker": ["one:1", "one:1"]}, "task": {"type": "worker", "index": 0}}, "same address"),
    ],
)
def test_broken_clusters_are_refused(monkeypatch, config, why):
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))
    with pytest.raises(ParameterError, match=f"TF_CONFIG.*{why}"):
        SequenceClassifier(strategy="multi_worker").fit(["a b"], [0])


def test_cluster(monkeypatch):
    chief = {"cluster": {"chief": ["zero:1"], **TWO}, "task": {"type": "worker", "index": 1}}
    assert read_cluster(json.dumps(chief)) == Cluster(("zero:1", "one:1", "two:2"), 2)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert is_chief()
    monkeypatch.setenv("TF_CONFIG", json.dumps(chief))
    assert not is_chief()


def test_a_worker_that_does_not_come():
    port = free_ports()
    cluster = Cluster((f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"), 0)
    began = time.monotonic()
    with pytest.raises(TrainingError, match=f"worker 1 at 127.0.0.1:{port + 1}.*did not come"):
        meet(cluster, patience=0.1)
    assert time.monotonic() - began < 30
    with socket.create_server(("", port)), pytest.raises(ParameterError, match="cannot listen"):
        meet(cluster, patience=0.1)
