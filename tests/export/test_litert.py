"""Models as LiteRT files of fixed sizes, run in its interpreter: they answer as `predict` does."""

from __future__ import annotations

import numpy as np
import pytest
from conversions import CONVERTED, alone, assert_answers, assert_part, crf_tagger, described, fitted, random_request
from estimator_examples import EXAMPLES

from seqkit.errors import ParameterError
from seqkit.export.token_inputs import TokenInputs

interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs seqkit[litert]")
from seqkit.export.litert import to_litert  # noqa: E402

#: Some of each kind; benchmarks/conversions.py has all.
SOME = [
    (("SequenceClassifier", "texts"), "predict"),
    (("LanguageModel", "texts"), "step"),
]
ROWS, LENGTH = 2, 7


def opened(path):
    loaded = interpreter.Interpreter(model_path=str(path))
    (name,) = loaded.get_signature_list()
    runner = loaded.get_signature_runner(name)
    return lambda request: runner(**request)


@pytest.mark.parametrize(("key", "name"), SOME, ids=[f"{key[0]} of {key[1]}, {name}" for key, name in SOME])
def test_examples(key, name, tmp_path):
    """A row beside a row of nothing answers as beside another; and as the estimator does."""
    assert (key, name) in CONVERTED
    estimator = fitted(key)
    path = to_litert(estimator, tmp_path / "model.tflite", signature=name, rows=ROWS, length=LENGTH)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.tflite", "model.tflite.json"]
    run, description = opened(path), described(path)
    assert description["runtime"] == "LiteRT" and description["check"]["largest_difference"] < 1e-4

    def asked(request):
        sizes = {name: given["shape"] for name, given in description["inputs"].items()}
        return run({
            name: np.pad(values, [(0, size - n) for size, n in zip(sizes[name], values.shape, strict=True)])
            for name, values in request.items()
        })  # fmt: skip

    lengths = [3, LENGTH]
    request = random_request(description, lengths)
    together = asked(request)
    for row, length in enumerate(lengths):
        assert_part(asked(alone(request, row, length)), together, row, length, rtol=1e-5, atol=1e-5)
    if name in ("predict", "log_probability") and estimator.input_kind_ == "tokens":
        inputs = TokenInputs.load(f"{path}.json")
        for text in EXAMPLES[key].X[:3]:
            tokens = list(text)[:LENGTH] if estimator.tokenizer == "characters" else text.split()[:LENGTH]
            assert_answers(run(inputs([tokens])), estimator, [tokens])


def test_a_crf(tmp_path):
    tagger = crf_tagger(sharp=False)
    path = to_litert(tagger, tmp_path / "tagger.tflite", rows=ROWS, length=LENGTH)
    inputs = TokenInputs.load(f"{path}.json")
    sentences = [["Ada", "SANG", "in", "2Delhis", "x" * 50], ["👍🏽", "", "ÉΑΣ"]]
    assert_answers(opened(path)(inputs(sentences)), tagger, sentences)
    with pytest.raises(ValueError, match="rows=2"):
        inputs([["a"]] * 3)
    with pytest.raises(ValueError, match=r"sentences\[1\] has 8 tokens; .*length=7"):
        inputs([["a"], ["a"] * 8])


def test_sizes_are_checked(tmp_path):
    for sizes in ({"rows": 0}, {"length": 2.5}):
        with pytest.raises(ParameterError, match="must be an integer of at least 1"):
            to_litert(crf_tagger(False), tmp_path / "tagger.tflite", **sizes)
