"""Training that was cut off goes on where it was, to the same weights; anything else begins afresh."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from seqkit.training.checkpoint import Checkpoint, fingerprint
from seqkit.training.loop import TrainingLoop

PARAMETERS = {
    "cell": "elman",
    "bidirectional": False,
    "crf": False,
    "char_encoder": None,
    "shape_features": False,
    "validation_fraction": 0.25,
    "units": 4,
    "word_dim": 4,
    "batch_size": 8,
    "epochs": 4,
    "learning_rate": 0.02,
    "verbose": 0,
}


def make(**parameters):
    from seqkit import SequenceTagger

    return SequenceTagger(**{**PARAMETERS, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def data(tiny_corpus):
    return tiny_corpus.X[:24], tiny_corpus.y[:24]


@pytest.fixture(scope="module")
def unbroken(data):
    return make().fit(*data)


@pytest.fixture
def epochs(monkeypatch):
    """The numbers of the passes that are run; one may be set to be cut off when it is half done."""
    run, original = Passes(), TrainingLoop._epoch

    def epoch(self, number):
        run.append(number)
        if number == run.cut:
            run.cut = None
            self.step = Half(self.step)
        return original(self, number)

    monkeypatch.setattr(TrainingLoop, "_epoch", epoch)
    return run


class Passes(list):
    cut = None


class Half:
    """A training step that is interrupted the second time."""

    def __init__(self, step):
        self.step, self.calls = step, 0

    def __call__(self, rows):
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return self.step(rows)


def interrupt(tagger, data, epochs, at=2, **arguments):
    epochs.cut = at
    with pytest.raises(KeyboardInterrupt):
        tagger.fit(*data, **arguments)
    epochs.clear()


def assert_same(a, b):
    for v, w in zip(a.model_.get_weights(), b.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(v, w)
    assert a.history_["loss"] == b.history_["loss"] and a.history_["f1"] == b.history_["f1"]


def test_killed_and_resumed(data, unbroken, tmp_path, epochs, tiny_corpus):
    """SIGKILL in the third pass, in another process."""
    script = f"""if True:
        import os, signal, sys
        sys.path[:0] = {[path for path in sys.path if path]!r}
        from seqkit import SequenceTagger
        from seqkit.training.loop import TrainingLoop
        X, y = {data!r}
        original, passes = TrainingLoop._epoch, []

        def epoch(self, number):
            step, calls = self.step, []

            def killing(rows):
                calls.append(rows)
                if number == 2 and len(calls) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                return step(rows)

            self.step = killing
            return original(self, number)

        TrainingLoop._epoch = epoch
        SequenceTagger(**{PARAMETERS!r}, random_state=0, checkpoint_dir="state").fit(X, y)
    """
    killed = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["training.npz"]
    tagger = make(checkpoint_dir=tmp_path / "state").fit(*data)
    assert epochs == [2, 3]
    assert_same(tagger, unbroken)
    assert first_pass(tagger, *data, {}) == 0  # finished, so it is not resumed


def test_interrupted_and_resumed(data, tmp_path, epochs, capsys):
    """Ctrl-C; parameters that change nothing may differ, and a pass without progress is remembered (patience)."""
    dev = (["Ada sang"], [["B-SONG", "O"]])  # cannot be hit: every pass is as bad as the first
    parameters = {"patience": 2, "recurrent_dropout": 0.25, "optimizer": keras.optimizers.RMSprop(0.01)}
    whole = make(**parameters).fit(*data, validation_data=dev)
    assert whole.history_["f1"] == [0, 0, 0]
    epochs.clear()
    interrupt(make(**parameters, checkpoint_dir=tmp_path), data, epochs, validation_data=dev)
    parameters["optimizer"] = keras.optimizers.RMSprop(0.01)  # another object, equal
    tagger = make(**parameters, checkpoint_dir=str(tmp_path), verbose=2).fit(*data, validation_data=dev)
    assert epochs == [2]
    assert_same(tagger, whole)
    assert "epoch 3/4" in "".join(capsys.readouterr())


def test_a_seed_that_was_drawn_is_resumed(data, tmp_path, epochs):
    """random_state=None: the run resumed has the weights, the validation part and the order of the first."""
    first = make(random_state=None, checkpoint_dir=tmp_path)
    interrupt(first, data, epochs)
    tagger = make(random_state=None, checkpoint_dir=tmp_path).fit(*data)
    assert epochs == [2, 3]
    assert tagger._seed == first._seed
    assert_same(tagger, make(random_state=Fixed(first._seed)).fit(*data))


class Fixed(np.random.RandomState):
    """A generator whose next number is known."""

    def __init__(self, number):
        super().__init__(0)
        self.number = number

    def randint(self, *_):
        return self.number


def test_anything_else_starts_afresh(data, tmp_path, epochs):
    X, y = data
    interrupt(make(checkpoint_dir=tmp_path), data, epochs, at=1)
    state = (tmp_path / "training.npz").read_bytes()
    renamed = [[tag.replace("LOC", "GPE") for tag in tags] for tags in y]
    others = {
        "parameters": (make(learning_rate=0.03), X, y, {}),
        "seed": (make(random_state=1), X, y, {}),
        "optimizer": (make(optimizer=keras.optimizers.SGD(0.1)), X, y, {}),
        "tokens": (make(), [["Eve", *X[0][1:]], *X[1:]], y, {}),
        "order": (make(), X[::-1], y[::-1], {}),
        "names of tags": (make(), X, renamed, {}),
        "weights": (make(), X, y, {"sample_weight": np.arange(24)}),
        "validation": (make(), X, y, {"validation_data": (X, y)}),
    }
    for name, (tagger, X_other, y_other, arguments) in others.items():
        (tmp_path / "training.npz").write_bytes(state)
        assert first_pass(tagger.set_params(checkpoint_dir=tmp_path), X_other, y_other, arguments) == 0, name
    (tmp_path / "training.npz").write_bytes(state)
    assert first_pass(make(checkpoint_dir=tmp_path), X, y, {}) == 1


class _Began(Exception):
    pass


def first_pass(tagger, X, y, arguments) -> int:
    """The number of the pass with which a fit begins; it is stopped there."""
    original = TrainingLoop._epoch

    def epoch(self, number):
        raise _Began(number)

    TrainingLoop._epoch = epoch
    try:
        with pytest.raises(_Began) as began:
            tagger.fit(X, y, **arguments)
    finally:
        TrainingLoop._epoch = original
    return began.value.args[0]


def test_damaged_checkpoints_are_no_checkpoints(data, tmp_path, epochs):
    interrupt(make(checkpoint_dir=tmp_path), data, epochs, at=1)
    file = tmp_path / "training.npz"
    state = file.read_bytes()
    for damaged in (b"", b"garbage", state[: len(state) // 2]):
        file.write_bytes(damaged)
        assert first_pass(make(checkpoint_dir=tmp_path), *data, {}) == 0


def test_warm_start_from_other_weights_is_another_run(data, tmp_path, epochs):
    X, y = data
    base = make(epochs=1).fit(X, y).set_params(warm_start=True, checkpoint_dir=tmp_path, epochs=3)
    same, other = copy.deepcopy(base), copy.deepcopy(base).set_params(warm_start=False)
    interrupt(base, data, epochs, at=1)
    assert first_pass(same, X, y, {}) == 1
    assert first_pass(make(warm_start=True, checkpoint_dir=tmp_path, epochs=3), X, y, {}) == 0
    assert first_pass(other, X, y, {}) == 0


# The file


def state(loss: float) -> dict:
    return {"history": {"loss": [loss]}, "arrays": {"model": [np.arange(3.0), np.zeros((0, 2))], "best": []}}


def test_file(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new" / "folder", "a")
    assert checkpoint.read() is None and checkpoint.read_seed() is None
    checkpoint.write(state(1.0))
    checkpoint.write(state(0.5))
    found = Checkpoint(tmp_path / "new" / "folder", "a").read()
    assert found["history"] == {"loss": [0.5]}
    np.testing.assert_array_equal(found["arrays"]["model"][0], [0, 1, 2])
    assert found["arrays"]["model"][1].shape == (0, 2) and found["arrays"]["best"] == []
    assert Checkpoint(tmp_path / "new" / "folder", "b").read() is None
    checkpoint.finish()
    assert checkpoint.read() is None
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["training.npz"]


def test_a_fault_while_writing_leaves_the_last_state(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, "a")
    checkpoint.write(state(1.0))

    def fail(file, **_):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write(state(0.5))
    assert checkpoint.read()["history"] == {"loss": [1.0]}
    assert len(list(tmp_path.iterdir())) == 1


def test_fingerprint():
    a = np.arange(4, dtype=np.int32)
    values = [a, a.astype(np.int64), a.reshape(2, 2), a[::-1], b"ab", "ab", ["a", "b"], {"a": 1}, {"a": 1.5}, None]
    assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint(b"a", b"b") != fingerprint(b"ab") != fingerprint(b"ab", b"")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(a[::2]) == fingerprint(a[::2].copy())
