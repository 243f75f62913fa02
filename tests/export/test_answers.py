"""Served answers as Python values, against what the estimators say themselves."""

import numpy as np
import pytest
from estimator_examples import EXAMPLES

from seqkit.batch.answers import answers_of
from seqkit.batch.served import ServedAnswers
from seqkit.estimators import all_estimators
from seqkit.export.answers import rows_of
from seqkit.export.check import check_saved_model
from seqkit.export.manifest import read_manifest

TEXTS = ["good fun .", "", "天气 dull 👍🏽 film, Ada sang in New Delhi", "not x"]


# Of all estimators, what they learned from is asked in contracts/test_estimators.py.
@pytest.mark.parametrize("key", [("SequenceTagger", "tokens")], ids="-".join)
def test_rows_say_what_the_estimator_says(key, tmp_path):
    example = EXAMPLES[key]
    estimator = dict(all_estimators())[key[0]](**example.parameters).fit(example.X, example.y)
    folder = estimator.export(tmp_path / "model")
    request = {"text": np.array([text.encode() for text in TEXTS], object)}
    report = check_saved_model(folder, requests={"serving_default": [request]})
    assert report.ok, report.to_text()
    found = rows_of(read_manifest(folder), report.answers["serving_default"][0], TEXTS)
    expected = answers_of(estimator)(TEXTS)
    served = ServedAnswers(folder.parent)
    assert set(served.default) <= set(served.types) <= set(answers_of(estimator).types)
    again = served(TEXTS)
    for name in set(again) & {"label", "labels", "tags", "tokens", "text"}:
        assert again[name] == [row[name] for row in found]
    assert len(found) == len(TEXTS)
    for i, row in enumerate(found):
        for name, value in row.items():
            if name == "probabilities":
                np.testing.assert_allclose(list(value.values()), [expected[name][c][i] for c in value], atol=1e-4)
            elif name == "entities":
                keys = ("start", "end", "text", "label")
                assert [[e[k] for k in keys] for e in value] == [[e[k] for k in keys] for e in expected[name][i]]
            elif name in ("scores", "score", "value", "log_probability"):
                np.testing.assert_allclose(value, expected[name][i], rtol=1e-3, atol=1e-4)
            else:
                assert value == (
                    expected[name][i].tolist() if hasattr(expected[name][i], "tolist") else expected[name][i]
                )
