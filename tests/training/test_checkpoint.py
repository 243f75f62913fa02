"""Checkpoints: what comes back, and what is not taken up."""

import numpy as np
import pytest

from seqkit.training.checkpoint import Checkpoint, fingerprint

STATE = {"history": {"loss": [2.0, 1.5]}, "arrays": {"model": [np.arange(6.0).reshape(2, 3), np.array(3)], "best": []}}


def test_a_state_comes_back(tmp_path):
    Checkpoint(tmp_path / "run", "a").write(STATE)
    state = Checkpoint(tmp_path / "run", "a").read()
    assert state["history"] == STATE["history"]
    assert list(state["arrays"]) == ["model", "best"]
    for one, other in zip(state["arrays"]["model"], STATE["arrays"]["model"], strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["training.npz"]  # nothing temporary is left


def test_other_runs_and_finished_ones_are_not_resumed(tmp_path):
    checkpoint = Checkpoint(tmp_path, "a")
    assert checkpoint.read() is None
    checkpoint.write(STATE)
    assert Checkpoint(tmp_path, "b").read() is None
    checkpoint.finish()
    assert Checkpoint(tmp_path, "a").read() is None


@pytest.mark.parametrize("damage", ["cut", "noise", "text", "flipped", "other header"])
def test_damaged_files_are_not_resumed(tmp_path, damage):
    checkpoint = Checkpoint(tmp_path, "a")
    checkpoint.write(STATE)
    whole = checkpoint.path.read_bytes()
    at = whole.index(np.arange(6.0).tobytes()) + 11
    content = {
        "cut": whole[: len(whole) // 2],
        "noise": b"PK\x03\x04" + bytes(range(256)),
        "text": b"hello",
        "flipped": whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :],
    }
    if damage == "other header":
        np.savez(checkpoint.path, header=np.array("[1]"))
    else:
        checkpoint.path.write_bytes(content[damage])
    assert checkpoint.read() is None


def test_a_failed_write_keeps_the_state_before(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, "a")
    checkpoint.write(STATE)
    monkeypatch.setattr("seqkit.training.checkpoint.os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write({"history": {}, "arrays": {}})
    assert Checkpoint(tmp_path, "a").read()["history"] == STATE["history"]
    assert [path.name for path in tmp_path.iterdir()] == ["training.npz"]


def test_fingerprints_tell_content_apart():
    prints = [
        fingerprint({"a": 1, "b": 2}, np.arange(3)),
        fingerprint({"a": 1, "b": 3}, np.arange(3)),
        fingerprint({"a": 1, "b": 2}, np.arange(3).astype(np.int32)),
        fingerprint({"a": 1, "b": 2}, np.array([0, 1, 3])),
        fingerprint({"a": 1, "b": 2}, np.arange(3)[None]),
        fingerprint({"a": 1, "b": 2}),
        fingerprint(b"ab", b"c"),
        fingerprint(b"a", b"bc"),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint({"b": 2, "a": 1}, np.arange(6)[::2]) == fingerprint({"a": 1, "b": 2}, np.array([0, 2, 4]))
