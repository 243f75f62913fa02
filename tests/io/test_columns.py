"""Fields of an input keep their values beside its answer, and their names where these are free."""

import json

import pytest

from seqkit.batch.predictor import carried
from seqkit.batch.reading import Rows
from seqkit.batch.writing import write_jsonl
from seqkit.io.columns import beside_answers
from seqkit_pipelines.records import with_answer

pa = pytest.importorskip("pyarrow")


@pytest.mark.parametrize(
    ("names", "answers", "expected"),
    [
        (["id", "label"], {"label"}, ["id", "input_label"]),
        (["label", "input_label"], {"label"}, ["input_input_label", "input_label"]),
        (["input_label", "label"], {"label"}, ["input_label", "input_input_label"]),
        (["x", "input_x"], {"x", "input_x"}, ["input_input_x", "input_input_input_x"]),
        (["a", "a"], set(), ["a", "input_a"]),
        ([], {"label"}, []),
    ],
)
def test_names(names, answers, expected):
    assert beside_answers(names, answers) == expected
    assert len({*expected, *answers}) == len(expected) + len(answers)


def test_all_who_write_answers_go_by_it(tmp_path):
    own = {"id": 1, "label": "bad", "input_label": "worse", "error": "none"}
    names = ["id", "input_input_label", "input_label", "input_error"]
    table = pa.table({name: [value] for name, value in own.items()})
    assert list(carried(table, {"label": None})) == names
    write_jsonl(tmp_path / "part", Rows([None], [own], {}, [1]), {"label": pa.array(["good"])}, {}, None)
    assert json.loads((tmp_path / "part").read_text()) == {
        **dict(zip(names, own.values(), strict=True)),
        "label": "good",
    }
    assert list(with_answer(own, {"label": "good", "error": "no"})) == [*names, "label", "error"]
