"""The judge must pass what a server can run, and find what it cannot."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import ModelFileError
from seqkit.export.check import check_saved_model, compare


def save(folder, module=None, **signatures):
    tf.saved_model.save(module or tf.Module(), str(folder), signatures=signatures)
    return folder


def lstm():
    return keras.Sequential(
        [keras.Input([None, 2]), keras.layers.LSTM(3, use_cudnn=False), keras.layers.Dense(1, name="value")]
    )


def test_an_export_of_keras_itself_passes(tmp_path):
    model = lstm()
    model.export(tmp_path / "m" / "1", verbose=False)
    x = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    (name,) = tf.saved_model.load(tmp_path / "m" / "1").signatures["serve"].structured_input_signature[1]
    report = check_saved_model(tmp_path / "m", requests={"serve": [{name: x}]})
    assert report.ok, report.to_text()
    (got,) = report.answers["serve"][0].values()
    np.testing.assert_allclose(got, model(x), atol=1e-6)
    sources = {signature.name: signature.source for signature in report.signatures}
    assert sources == {"serve": "given", "serving_default": "made up"}
    (made_up,) = report.answers["serving_default"][0].values()
    np.testing.assert_allclose(made_up, model(np.ones((2, 2, 2), np.float32)), atol=1e-6)
    text = report.to_text()
    assert text.endswith("OK")
    assert f"float32 [?, ?, 2]\n  out output_0 {'':<15} float32 [?, 1]" in text
    assert "all stock TensorFlow" in text


def test_a_model_that_only_python_can_load_fails(tmp_path):
    tf.saved_model.save(lstm(), str(tmp_path))
    assert tf.saved_model.load(str(tmp_path)).signatures  # looks fine
    report = check_saved_model(tmp_path)
    assert not report.ok
    assert "Could not find variable" in report.problems[0]
    assert "v.value for v in model.variables" in report.problems[0]
    assert report.to_text().endswith("FAILED")


def test_a_difference_is_named(exported, tagger):
    # The warm-up file's requests where none are given; what is not compared is said to be so.
    assert {s.source for s in check_saved_model(exported).signatures} == {"warm-up file"}

    expected = {name: [dict(answer) for answer in answers] for name, answers in tagger.expected.items()}
    expected["serving_default"][0]["scores"] = expected["serving_default"][0]["scores"] + np.float32(0.5)
    expected["serving_default"][1]["nothing"] = 1
    expected["tokens"][0]["tags"] = np.array([["B-DOG", "O", "O"], ["O", "", ""]])
    report = check_saved_model(exported, requests=tagger.requests, expected=expected)
    assert [p.partition(": ")[0] for p in report.problems] == [
        "signature 'serving_default', request 0 (given), output 'scores'[0, 0]",
        "signature 'serving_default', request 1 (given)",
        "signature 'tokens', request 0 (given), output 'tags'[0, 0]",
    ]
    assert "no output 'nothing'" in report.problems[1]
    assert "expected b'B-DOG'" in report.problems[2]
    assert report.signatures[0].largest_difference == pytest.approx(0.5, abs=1e-3)


def test_requests_that_do_not_fit_are_named(exported, tagger):
    report = check_saved_model(
        exported,
        requests={"other": [{}], "serving_default": [{"text": [[b"a"]]}]},
        expected={"tokens": [{}]},
    )
    assert report.problems == [
        "no signature 'other'; the model has serving_default, tokens",
        "signature 'tokens': 1 expected answers to 0 requests",
        "signature 'serving_default', request 0 (given): input 'text' takes shape (-1,) (-1 is free), got (1, 1)",
    ]
    report = check_saved_model(exported, requests={"tokens": [{"token": [[b"a"]]}]})
    assert "request 0 (given): signature 'tokens' takes the inputs ['tokens'], got ['token']" in report.problems[0]


@pytest.mark.filterwarnings("ignore")
def test_ops_that_no_server_runs(tmp_path):
    spec = tf.TensorSpec([None], tf.float32, name="x")

    @tf.function(input_signature=[spec])
    def python(x):
        return {"y": tf.numpy_function(lambda v: v, [x], tf.float32)}

    @tf.function(input_signature=[spec])
    def cudnn(x):
        out = tf.raw_ops.CudnnRNNV3(
            input=tf.reshape(x, [-1, 1, 1]), input_h=[[[0.0]]], input_c=[[[0.0]]], params=[0.0], sequence_lengths=[1]
        )
        return {"y": out.output}

    report = check_saved_model(save(tmp_path / "a", python=python))
    assert report.problems == [
        "PyFunc: calls Python, which a server does not have; replace tf.py_function and tf.numpy_function by "
        "TensorFlow ops"
    ]
    report = check_saved_model(save(tmp_path / "b", cudnn=cudnn))
    assert report.problems == [
        "CudnnRNNV3: runs on an NVIDIA GPU only; rebuild the model with use_cudnn=False before exporting"
    ]


def test_ops_that_a_server_must_link(tmp_path):
    text = pytest.importorskip("tensorflow_text")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def fold(text_):
        return {"text": text.case_fold_utf8(text_)}

    save(tmp_path, serving_default=fold)
    report = check_saved_model(tmp_path, requests={"serving_default": [{"text": ["ÄB"]}]})
    assert report.ok, report.to_text()
    assert report.non_core_ops == ["CaseFoldUTF8"]
    assert "NOT in stock TensorFlow: CaseFoldUTF8 (of tensorflow-text, which" in report.to_text()
    assert report.answers["serving_default"][0]["text"].tolist() == ["äb".encode()]

    # Those of nobody are no server's.
    graph = tmp_path / "saved_model.pb"
    graph.write_bytes(graph.read_bytes().replace(b"CaseFoldUTF8", b"CaseFoldUTF9"))
    report = check_saved_model(tmp_path)
    assert report.non_core_ops == ["CaseFoldUTF9"]
    assert "a server must link the ops CaseFoldUTF9" in report.problems[0]
    assert "NOT in stock TensorFlow: CaseFoldUTF9\n" in report.to_text()
    assert report.to_text().endswith("FAILED")


def test_folders_without_a_model(tmp_path):
    with pytest.raises(ModelFileError, match=r"not a SavedModel, it holds no saved_model\.pb"):
        check_saved_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\x0b")
    with pytest.raises(ModelFileError, match=r"saved_model\.pb: damaged"):
        check_saved_model(tmp_path)


def test_a_model_without_signatures(tmp_path):
    report = check_saved_model(save(tmp_path))
    assert report.problems == ["the model has no signature, so a server has nothing to call"]


def test_a_process_that_does_not_end(exported):
    report = check_saved_model(exported, timeout=0.01)
    assert report.problems == ["the C++ runtime did not finish within 0.01 s"]


def test_compare():
    def fault(got, want, rtol=0.0, atol=0.1):
        return compare(np.asarray(got), want, rtol=rtol, atol=atol)

    assert fault([1.0, 2.0], [1.05, 2.0]) == ("", pytest.approx(0.05))
    text, largest = fault([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.5, 5.0]])
    assert text.startswith("[1, 0]: the C++ runtime gives ")
    assert "2 of 4 values differ; allowed: 0.1 + 0 × expected" in text
    assert largest == 1.0
    assert fault([100.0], [109.0], rtol=0.1)[0] == ""
    assert fault([np.nan, np.inf], [np.nan, np.inf]) == ("", 0.0)
    assert fault([np.nan], [0.0])[0]
    assert fault([np.inf], [-np.inf])[0]
    assert fault([1, 2], [1, 2]) == ("", 0.0)
    assert fault([1, 2], [1, 3])[0].startswith("[1]: the C++ runtime gives ")
    assert fault([1.0], [[1.0]])[0] == ": shape [1], expected [1, 1]"
    words = np.array([b"a", "é".encode()], object)
    assert fault(words, ["a", "é"]) == ("", 0.0)
    assert fault(words, words) == ("", 0.0)
    assert "[1]: the C++ runtime gives b'\\xc3\\xa9', expected b'e'" in fault(words, ["a", "e"])[0]
    assert fault(words, [1, 2])[0].startswith(": object values, expected int")
    assert fault(np.empty((0, 2), object), np.empty((0, 2), "U1")) == ("", 0.0)
    assert fault(1.5, 1.5) == ("", 0.0)


def test_the_judge_needs_no_tensorflow():
    code = "import sys, seqkit.export.check, seqkit.export.manifest; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
