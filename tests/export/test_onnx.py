"""Models as ONNX files, run in onnxruntime: they answer as `predict` does, whatever the batch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conversions import (
    CONVERTED,
    REFUSED,
    alone,
    assert_answers,
    assert_part,
    crf_tagger,
    described,
    fitted,
    random_request,
)
from estimator_examples import EXAMPLES

from seqkit import cli
from seqkit.errors import ExportError, MissingDependencyError, ParameterError
from seqkit.export import numeric_form, token_inputs
from seqkit.export.token_inputs import TokenInputs

onnxruntime = pytest.importorskip("onnxruntime", reason="needs seqkit[onnx]")
pytest.importorskip("onnx", reason="needs seqkit[onnx]")
pytest.importorskip("tf2onnx", reason="needs seqkit[onnx]")
from seqkit.export.onnx import to_onnx  # noqa: E402


def opened(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return session, lambda request: dict(zip(names, session.run(None, request), strict=True))


def padded_vectors(sequences: list[np.ndarray]) -> dict[str, np.ndarray]:
    lengths = np.array(list(map(len, sequences)), np.int32)
    features = np.full((len(sequences), lengths.max(), sequences[1].shape[1]), 7, np.float32)
    for i, sequence in enumerate(sequences):
        features[i, : len(sequence)] = sequence
    return {"features": features, "lengths": lengths}


#: One of each kind; benchmarks/conversions.py has all.
SOME = [
    (("SequenceTagger", "tokens"), "predict"),
    (("SequenceClassifier", "texts"), "predict"),
    (("SequenceRegressor", "vectors"), "predict"),
    (("LanguageModel", "texts"), "log_probability"),
    (("LanguageModel", "texts"), "step"),
    (("Seq2Seq", "texts"), "encode"),
    (("Seq2Seq", "texts"), "step"),
]


@pytest.mark.parametrize(("key", "name"), SOME, ids=[f"{key[0]} of {key[1]}, {name}" for key, name in SOME])
def test_examples(key, name, tmp_path):
    """A row alone answers as in a batch, padded by numbers; and as the estimator does."""
    assert (key, name) in CONVERTED
    estimator = fitted(key)
    path = to_onnx(estimator, tmp_path / "model.onnx", signature=name)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx", "model.onnx.json"]
    session, run = opened(path)
    description = described(path)
    assert description["class"] == key[0] and description["signature"] == name
    assert description["check"]["largest_difference"] < 1e-4
    inside = json.loads(session.get_modelmeta().custom_metadata_map["seqkit"])
    assert inside.items() <= description.items() and "vocabulary" not in inside
    assert {i.name for i in session.get_inputs()} == set(description["inputs"])
    assert set(run(random_request(description, [2]))) == set(description["outputs"])

    lengths = [3, 0, 5, 1]
    request = random_request(description, lengths)
    together = run(request)
    for row, length in enumerate(lengths):
        assert_part(run(alone(request, row, length)), together, row, length, rtol=1e-5, atol=1e-5)
    if name in ("predict", "log_probability"):
        X = EXAMPLES[key].X[:6]
        if estimator.input_kind_ == "vectors":
            assert_answers(run(padded_vectors(X)), estimator, X)
        else:
            X = [list(x) if estimator.tokenizer == "characters" and isinstance(x, str) else x for x in X]
            X = [x.split() if isinstance(x, str) else x for x in X]
            assert_answers(run(TokenInputs.load(f"{path}.json")(X)), estimator, X)


@pytest.mark.parametrize("key", REFUSED[1:], ids=" of ".join)
def test_what_cannot_be_converted_is_told(key, tmp_path):
    with pytest.raises(ExportError, match=r"cannot be converted: .* (Serve it|serve it) as a SavedModel"):
        to_onnx(fitted(key), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_function_is_to_be_chosen(tmp_path):
    model = fitted(("Seq2Seq", "texts"))
    with pytest.raises(ParameterError, match=r"several functions.*'encode', 'step'"):
        to_onnx(model, tmp_path / "model.onnx")
    with pytest.raises(ParameterError, match="signature='predict' is not known"):
        to_onnx(model, tmp_path / "model.onnx", signature="predict")


def test_a_crf_in_a_process_without_tensorflow(tmp_path):
    """Characters, shapes, Viterbi, and marginals that would underflow; a copy of one file does the look-up."""
    tagger = crf_tagger(sharp=True)
    to_onnx(tagger, tmp_path / "tagger.onnx")
    sentences = [["Ada", "SANG", "in", "2Delhis"] * 10, [], ["👍🏽", "", "ÉΑΣ"]]
    shutil.copy(token_inputs.__file__, tmp_path / "inputs_of_tokens.py")
    code = f"""
import json, sys
import numpy as np, onnxruntime
from inputs_of_tokens import TokenInputs
inputs = TokenInputs.load("tagger.onnx.json")
names = json.load(open("tagger.onnx.json"))["outputs"]
session = onnxruntime.InferenceSession("tagger.onnx")
np.savez("answer.npz", **dict(zip(names, session.run(list(names), inputs({sentences!r})))))
assert not {{"tensorflow", "keras", "seqkit"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "answer.npz") as answer:
        assert_answers(dict(answer), tagger, sentences)
        assert answer["probabilities"][0].max() > 0.999


def test_another_answer_leaves_nothing(monkeypatch, tmp_path):
    estimator, path = fitted(("SequenceRegressor", "vectors")), tmp_path / "model.onnx"
    path.write_bytes(b"an older one")

    def other(estimator, longest, made=numeric_form._reader):
        form = made(estimator, longest)
        form.expected["value"][2] += 0.01
        return form

    monkeypatch.setitem(numeric_form._FORMS, "SequenceRegressor", {"predict": other})
    with pytest.raises(ExportError, match=r"not answer as the estimator does: padded rows 0 to 3.*onnxruntime gives"):
        to_onnx(estimator, path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"] and path.read_bytes() == b"an older one"


def test_missing_packages(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(MissingDependencyError, match=r"tf2onnx.*seqkit\[onnx\]"):
        to_onnx(fitted(("SequenceRegressor", "vectors")), tmp_path / "model.onnx")


def test_command(tmp_path, capsys):
    folder = fitted(("SequenceRegressor", "vectors")).save(tmp_path / "model")
    assert cli.main(["convert", str(folder), str(tmp_path / "out.onnx")]) == 0
    told = capsys.readouterr()
    assert "features, lengths to value" in told.out and "checked in onnxruntime" in told.out
    for arguments, error in (
        (["out.h5"], "must end in .onnx or .tflite"),
        (["o.onnx", "--rows", "2"], "--rows is for"),
    ):
        assert cli.main(["convert", str(folder), *arguments]) == 2
        assert error in capsys.readouterr().err
