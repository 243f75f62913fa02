"""The examples on Spark and Dask: they answer what the model answers, where the engine is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import seqkit

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXTS = [" ".join(["good", "dull", "film", "fun", "not"][(i * k) % 5] for k in range(1, 2 + i % 7)) for i in range(40)]


@pytest.mark.parametrize(("engine", "package"), [("spark", "pyspark"), ("dask", "dask.dataframe")])
@pytest.mark.parametrize("name", ["SequenceClassifier", "SequenceTagger"])
def test_examples(saved, tmp_path, engine, package, name):
    pytest.importorskip(package, reason=f"{package} is not installed")
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not installed")
    (tmp_path / "in").mkdir()
    for i in range(2):
        numbers = list(range(i * 20, i * 20 + 20))
        texts = [TEXTS[n] if n != 3 else None for n in numbers]
        pq.write_table(pa.table({"id": numbers, "text": texts, "label": texts}), tmp_path / "in" / f"{i}.parquet")
    command = [sys.executable, EXAMPLES / f"batch_{engine}.py", saved(name), tmp_path / "in", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = sorted(pq.read_table(tmp_path / "out").to_pylist(), key=lambda row: row["id"])
    assert [row["id"] for row in rows] == list(range(40)) and rows[3]["error"] == "expected a text or a list, got null"
    answered, model = [row for row in rows if row["id"] != 3], seqkit.load(saved(name))
    assert all(row["error"] is None for row in answered)
    texts = [row["text"] for row in answered]
    if name == "SequenceClassifier":
        assert [row["label"] for row in answered] == model.predict(texts).tolist()
        assert [row["input_label"] for row in answered] == texts and rows[3]["label"] is None
        assert set(rows[0]["probabilities"]) == set(model.classes_)
    else:
        found = [[(e["start"], e["end"], e["label"]) for e in row["entities"]] for row in answered]
        told = model.tag(texts)
        assert found == [[(e["start"], e["end"], e["label"]) for e in row["entities"]] for row in told]
        assert rows[3]["entities"] is None
