"""Saved estimators: what comes back, what is refused, and that a folder cannot run code."""

from __future__ import annotations

import json
import os
import shutil
import sys

import numpy as np
import pytest

import seqkit
from seqkit.errors import ModelFileError
from seqkit.estimators import persistence

FILES = {"config.json", "vocabulary.json", "labels.json", "manifest.json", "weights.npz"}


@pytest.fixture(scope="module")
def saved(full, tmp_path_factory):
    return full.save(tmp_path_factory.mktemp("saved") / "tagger")


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to damage."""
    return shutil.copytree(saved, tmp_path / "tagger")


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}))


def test_comes_back_equal(full, saved, tiny_corpus):
    loaded = seqkit.load(saved)
    assert type(loaded) is seqkit.SequenceTagger
    assert loaded.get_params() == full.get_params()
    assert loaded.history_ == full.history_ and loaded.scheme_ == full.scheme_
    assert loaded.vocabulary_ == full.vocabulary_ and loaded.classes_.tolist() == full.classes_.tolist()
    assert loaded.predict(tiny_corpus.X_dev) == full.predict(tiny_corpus.X_dev)


def test_numbers_and_vectors_come_back(vectors, frames, tmp_path):
    loaded = seqkit.SequenceTagger.load(vectors.save(tmp_path / "deep" / "er" / "tagger"))
    assert loaded.predict(frames[0]) == vectors.predict(frames[0])
    assert {type(tag) for tag in loaded.classes_} == {np.int64}
    assert loaded.n_features_in_ == 2 and loaded.scheme_ is None
    assert not hasattr(loaded, "vocabulary_")


def test_what_was_loaded_trains_on(fast, tiny_corpus, tmp_path):
    loaded = seqkit.load(fast.save(tmp_path / "tagger"))
    passes = len(fast.history_["loss"])
    loaded.partial_fit(tiny_corpus.X[:8], tiny_corpus.y[:8])
    assert len(loaded.history_["loss"]) == passes + 1 and len(fast.history_["loss"]) == passes
    before = loaded.model_.get_weights()
    loaded.set_params(warm_start=True, learning_rate=1e-12).fit(tiny_corpus.X[:8], tiny_corpus.y[:8])
    for old, new in zip(before, loaded.model_.get_weights(), strict=True):
        np.testing.assert_allclose(old, new, atol=1e-9)


def test_odd_characters_and_parameters(make, tmp_path):
    """A vocabulary of line breaks and what is not UTF-8, an optimizer object, a path."""
    import keras

    vectors_file = tmp_path / "vectors.txt"
    vectors_file.write_text("a 1 2\nb 2 1\n")
    tagger = make(
        optimizer=keras.optimizers.SGD(0.25), word_vectors=vectors_file, random_state=np.random.RandomState(1)
    )
    tagger.fit([["a\nb", "\n", "\ud800", "\0"]] * 2, [["O", "O", "B-X", "O"]] * 2)
    loaded = seqkit.load(tagger.save(tmp_path / "tagger"))
    assert loaded.vocabulary_ == tagger.vocabulary_
    assert loaded.predict([["\n", "b"]]) == tagger.predict([["\n", "b"]])
    assert loaded.word_vectors == str(vectors_file)
    vectors_file.unlink()  # is not needed to load
    again = seqkit.load(tmp_path / "tagger")
    np.testing.assert_array_equal(again.model_.encoder.vector_table, tagger.model_.encoder.vector_table)
    assert again.set_params(word_vectors=None).fit([["a"]], [["O"]]).predict([["a"]]) == [
        ["O"]
    ]  # SGD from its configuration


def test_folder(full, saved):
    assert {path.name for path in saved.iterdir()} == FILES
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["class"] == "SequenceTagger" and manifest["versions"]["seqkit"] == seqkit.__version__
    assert manifest["metrics"]["f1"] == max(full.history_["f1"]) and manifest["epochs"] == 4
    assert manifest["data_fingerprint"] == full.data_fingerprint_
    assert manifest["weights"] == full.model_.count_params()


def test_saved_again(fast, full, saved, tmp_path):
    target = shutil.copytree(saved, tmp_path / "tagger")
    assert fast.save(target) == target
    assert seqkit.load(target).cell == "jordan"
    assert sorted(os.listdir(tmp_path)) == ["tagger"]


def test_whole_or_not_at_all(fast, saved, tmp_path, monkeypatch):
    """A fault while the last file is written: the old folder stays, nothing lies beside it."""
    target = shutil.copytree(saved, tmp_path / "tagger")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(persistence.np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        fast.save(target)
    with pytest.raises(OSError, match="disk full"):
        fast.save(tmp_path / "new")
    assert sorted(os.listdir(tmp_path)) == ["tagger"]
    assert seqkit.load(target).cell == "lstm"


def test_does_not_overwrite_other_things(fast, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("notes", "file"):
        with pytest.raises(ModelFileError, match="holds something else"):
            fast.save(tmp_path / name)
    assert (tmp_path / "notes" / "a.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert fast.save(tmp_path / "empty").is_dir()


def test_labels_that_cannot_be_saved(make, tmp_path):
    tagger = make().fit([["a"]], [[("x", 1)]])
    with pytest.raises(ModelFileError, match="Labels must be strings or numbers"):
        tagger.save(tmp_path / "tagger")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b"],
        [1, 2],
        [1.5, -2.0],
        [True, False],
        [np.int8(3), np.int64(4)],
        [np.float32(0.5), np.str_("x"), np.bool_(True)],
    ],
)
def test_labels_keep_their_types(labels):
    array = np.empty(len(labels), object)
    array[:] = labels
    back = persistence.decode_labels(json.loads(json.dumps(persistence.encode_labels(array))))
    assert back.tolist() == labels
    assert [type(label) for label in back] == [type(label) for label in labels]


# What is refused


def test_not_there_or_something_else(tmp_path, saved):
    with pytest.raises(ModelFileError, match="does not exist"):
        seqkit.load(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match=r"has no config\.json"):
        seqkit.load(tmp_path)
    with pytest.raises(ModelFileError, match="does not exist"):
        seqkit.load(saved / "config.json")
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"SavedModel for serving.*save\(\)"):
        seqkit.SequenceTagger.load(tmp_path)


def test_another_class(saved):
    class Other:
        pass

    with pytest.raises(ModelFileError, match="holds a SequenceTagger, not a Other"):
        persistence.load(saved, expected=Other)


@pytest.mark.parametrize("name", sorted(FILES - {"manifest.json"}))
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage", "other"])
def test_damaged_files(folder, name, damage):
    path = folder / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        other = b'{"a": [1, 2]}'
        path.write_bytes(
            {"empty": b"", "cut": data[: len(data) // 2], "garbage": b"\xff\0\x80", "other": other}[damage]
        )
    with pytest.raises(ModelFileError, match=str(folder)):
        seqkit.load(folder)


def test_flipped_bytes_of_weights(folder):
    path = folder / "weights.npz"
    data = bytearray(path.read_bytes())
    for at in range(200, len(data), max(len(data) // 20, 1)):
        data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged"):
        seqkit.load(folder)


def test_weights_of_another_model(folder, fast, tmp_path):
    shutil.copy(fast.save(tmp_path / "fast") / "weights.npz", folder / "weights.npz")
    with pytest.raises(ModelFileError, match="damaged"):
        seqkit.load(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"format": 99},
        {"class": "Elephant"},
        {"class": "os.system"},
        {"parameters": {"unknown": 1}},
        {"parameters": [1]},
        {"state": None},
        {"model": {"units": 3}},
        {"model": []},
    ],
    ids=str,
)
def test_wrong_config(folder, values):
    change(folder / "config.json", **values)
    with pytest.raises(ModelFileError):
        seqkit.load(folder)


def test_wrong_labels(folder):
    change(folder / "labels.json", types=["uint8"] * 5, values=[900, 1, 2, 3, 4])
    with pytest.raises(ModelFileError, match="damaged"):
        seqkit.load(folder)


# No code


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that tells when it is imported."""
    (tmp_path / "seqkit_trap.py").write_text(
        "def run(*a, **k): raise SystemExit('ran')\nclass Run: __init__ = run\nrun\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "seqkit_trap"
    assert "seqkit_trap" not in sys.modules


@pytest.mark.parametrize("place", ["activation", "name", "dtype", "cell", "tags", "initial_state"])
@pytest.mark.parametrize("kind", ["class", "function", "lambda"])
def test_a_folder_runs_no_code(folder, trap, place, kind):
    """Objects by their names, as Keras' own files have them, are refused in the model's configuration."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    marshal = {"value": "4wAAAAAAAAAA", "defaults": None, "closure": None}
    config["model"][place] = {
        "class": {"module": trap, "class_name": "Run", "config": {}, "registered_name": "Run"},
        "function": {"module": trap, "class_name": "function", "config": "run", "registered_name": "run"},
        "lambda": {"module": "builtins", "class_name": "__lambda__", "config": marshal},
    }[kind]
    if place == "tags":
        config["model"]["tags"] = [config["model"]["tags"]]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelFileError, match=f"{place} is"):
        seqkit.load(folder)


def test_parameters_run_no_code(folder, trap):
    """An optimizer's configuration is not looked at by load, and not imported by a fit either."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["parameters"]["optimizer"] = {"module": trap, "class_name": "Run", "config": {}, "registered_name": "Run"}
    (folder / "config.json").write_text(json.dumps(config))
    loaded = seqkit.load(folder)
    with pytest.raises(ValueError, match="optimizer"):
        loaded.partial_fit([["a"]], [["O"]])


def test_pickled_arrays_are_refused(folder, trap):
    class Bomb:
        def __reduce__(self):
            return (__import__, (trap,))

    bomb = np.empty(1, object)
    bomb[0] = Bomb()
    np.savez(folder / "weights.npz", **{"0": bomb})
    with pytest.raises(ModelFileError, match="damaged"):
        seqkit.load(folder)
