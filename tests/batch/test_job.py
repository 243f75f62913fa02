"""Batch jobs: every row answered as `predict` answers it, whatever happens on the way."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from estimator_examples import first_example

import seqkit
from seqkit.batch import BatchPredictor, predict_files
from seqkit.batch.job import ShardJob
from seqkit.batch.lock import locked
from seqkit.batch.plan import Plan
from seqkit.cli import main
from seqkit.errors import DataError, FormatError, ModelFileError, ParameterError
from seqkit.estimators import all_estimators
from seqkit.tags import entity_spans

WORDS = ["good", "dull", "film", "fun", "not", "👎", "Ada", "Delhi"]
TEXTS = [" ".join(WORDS[(i * k) % 8] for k in range(1, 2 + i % 7)) for i in range(60)]


def jsonl(path, texts=TEXTS):
    path.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)))
    return path


def read(folder) -> list[dict]:
    """Return all rows of a job's parts in their order."""
    rows = []
    for path in sorted(folder.glob("part-*")):
        if path.suffix == ".parquet":
            rows += pq.read_table(path).to_pylist()
        else:
            rows += [json.loads(line) for line in path.read_text().splitlines()]
    return rows


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


@pytest.mark.parametrize("name", [name for name, _ in all_estimators()])
def test_every_estimator_answers(saved, tmp_path, name):
    """A new estimator has answers for batches too."""
    example, model = first_example(name), seqkit.load(saved(name))
    X = [row if row is None else getattr(row, "tolist", lambda row=row: row)() for row in example.X]
    pq.write_table(pa.table({"text": X, "n": range(len(X))}), tmp_path / "in.parquet")
    report = predict_files(saved(name), tmp_path / "in.parquet", tmp_path / "out", shard_rows=5)
    rows = read(tmp_path / "out")
    assert (report.rows, report.errors, report.parts) == (len(X), 0, -(-len(X) // 5))
    assert [row["n"] for row in rows] == list(range(len(X)))
    if name in ("SequenceClassifier", "TreeClassifier"):
        assert [row["label"] for row in rows] == model.predict(example.X).tolist()
        found = np.array([list(row["probabilities"].values()) for row in rows])
        np.testing.assert_allclose(found, model.predict_proba(example.X), atol=1e-5)
    elif name == "SequenceTagger":
        spans = [[(e["start"], e["end"], e["label"]) for e in row["entities"]] for row in rows]
        assert spans == [entity_spans(tags, model.scheme_) for tags in model.predict(example.X)]
    elif name == "SequenceRegressor":
        np.testing.assert_allclose([row["value"] for row in rows], model.predict(example.X), rtol=1e-4, atol=1e-5)
    elif name == "LanguageModel":
        found = [row["log_probability"] for row in rows]
        np.testing.assert_allclose(found, model.log_probability(example.X), rtol=1e-4)
    elif name == "Seq2Seq":
        assert [row["text"] for row in rows] == model.predict(example.X)
        assert [row["input_text"] for row in rows] == X and all(row["score"] <= 0 for row in rows)
    else:
        assert [row["text"] for row in rows] == model.predict(example.X)


def test_entities_of_texts_and_of_tokens(saved, tmp_path):
    path, model = saved("SequenceTagger"), seqkit.load(saved("SequenceTagger"))
    jsonl(tmp_path / "a.jsonl")
    predict_files(path, tmp_path / "a.jsonl", tmp_path / "out", answers=["tags", "entities"], shard_rows=7)
    for row, found in zip(read(tmp_path / "out"), model.tag(TEXTS), strict=True):
        assert row["tags"] == found["tags"]
        for mine, theirs in zip(row["entities"], found["entities"], strict=True):
            assert mine["score"] == pytest.approx(theirs.pop("score"), abs=1e-5)
            assert {name: value for name, value in mine.items() if name != "score"} == theirs
    (tmp_path / "a.conll").write_text("".join("".join(f"{w}\tx\n" for w in t.split()) + "\n" for t in TEXTS))
    predict_files(path, tmp_path / "a.conll", tmp_path / "conll", shard_rows=50)
    written = "".join(path.read_text() for path in sorted((tmp_path / "conll").glob("part-*.conll")))
    tags = model.predict([text.split() for text in TEXTS])
    assert written == "".join(
        "".join(f"{w}\tx\t{tag}\n" for w, tag in zip(t.split(), row, strict=True)) + "\n"
        for t, row in zip(TEXTS, tags, strict=True)
    )


@pytest.mark.parametrize("output", ["jsonl", "parquet"])
def test_bad_rows_are_set_aside(saved, tmp_path, output):
    path = jsonl(tmp_path / "in.jsonl", TEXTS[:4])
    with path.open("ab") as file:
        file.write(
            b'{bad\n{"id": 5, "text": 3}\n{"text": "\xff"}\n{"text": "fun fun fun fun fun fun"}\n{"text": "fun"}\n'
        )
    report = predict_files(
        saved("SequenceClassifier"), path, tmp_path / "out", output_format=output, max_length=20, shard_rows=3
    )
    rows = read(tmp_path / "out")
    assert (report.rows, report.errors) == (9, 4) and len(rows) == 9
    bad = [i for i, row in enumerate(rows) if row.get("error") is not None]
    assert bad == [4, 5, 6, 7] and all((row["label"] is None) == (i in bad) for i, row in enumerate(rows))
    told = [json.loads(line) for file in sorted((tmp_path / "out" / "errors").iterdir()) for line in file.open()]
    assert [(error["line"], error["row"]) for error in told] == [(5, 4), (6, 5), (7, 6), (8, 7)]
    assert all(error["file"] == str(path) for error in told)
    for error, reason in zip(told, ["not JSON", "got int 3", "not valid UTF-8", "its length is 23"], strict=True):
        assert reason in error["reason"]
    with pytest.raises(FormatError, match=r"in\.jsonl:5: not JSON"):
        predict_files(saved("SequenceClassifier"), path, tmp_path / "fail", on_error="fail", shard_rows=3)


def test_what_a_model_refuses_is_found_among_many(saved):
    rows = [TEXTS[0], ["good", 3], TEXTS[1], ["fun"], [[1.0]], TEXTS[2]]
    columns, reasons = BatchPredictor(saved("SequenceClassifier")).predict(rows)
    assert sorted(reasons) == [1, 4]
    model = seqkit.load(saved("SequenceClassifier"))
    expected = [*model.predict([rows[i] for i in (0, 2, 5)]).tolist(), *model.predict([rows[3]]).tolist()]
    found = columns["label"].to_pylist()
    assert [found[i] for i in (0, 2, 5, 3)] == expected and found[1] is found[4] is None


def test_tables_in_memory(saved):
    predictor = pickle.loads(pickle.dumps(BatchPredictor(saved("SequenceClassifier"))))
    frame = pd.DataFrame({"text": [TEXTS[0], None, TEXTS[1]], "label": [1, 2, 3]}, index=[7, 8, 9])
    found = predictor(frame)
    assert list(found) == ["text", "input_label", "label", "probabilities", "error"] and list(found.index) == [7, 8, 9]
    assert found["error"].isna().tolist() == [True, False, True]
    assert found["error"].iloc[1] == "expected a text or a list, got null"
    table = predictor(pa.table({"text": frame["text"]}))
    assert table["label"].to_pylist() == [found["label"].iloc[0], None, found["label"].iloc[2]]
    assert predictor(pa.table({"text": pa.array([], pa.string())})).num_rows == 0
    with pytest.raises(ParameterError, match="its columns: 'words'"):
        predictor(pd.DataFrame({"words": ["a"]}))


def test_json_fields_in_parquet(saved, tmp_path):
    records = [
        {"text": "fun", "n": 1, "d": {"a": [1]}},
        {"text": "dull", "n": 2, "mixed": 1},
        {"text": "x", "mixed": "s"},
    ]
    later = [{"text": "fun", "n": "three"}, {"text": "fun", "new": [True]}]
    filler = [{"text": "fun", "n": 0}] * 1_000
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in [*records, *filler, *later]))
    report = predict_files(saved("SequenceClassifier"), path, tmp_path / "out", output_format="parquet")
    rows = read(tmp_path / "out")
    assert rows[0]["d"] == {"a": [1]} and [row["mixed"] for row in rows[:3]] == [None, "1", "s"]
    assert report.errors == 1 and "'n' is \"three\", and int64 in the rows before" in rows[-2]["error"]
    assert rows[-1]["more"] == '{"new": [true]}' and rows[-1]["label"] is not None


def test_a_job_goes_on_where_it_was_stopped(saved, tmp_path):
    path, model = jsonl(tmp_path / "in.jsonl"), saved("SequenceClassifier")
    whole = predict_files(model, path, tmp_path / "whole", shard_rows=10)
    assert whole.done_before == 0
    again = predict_files(model, path, tmp_path / "whole", shard_rows=10)
    assert again.done_before == 60 == again.rows
    (tmp_path / "whole" / "part-00002.jsonl").unlink()
    (tmp_path / "whole" / "_job" / "done" / "00004.json").unlink()
    before = contents(tmp_path / "whole")
    mended = predict_files(model, path, tmp_path / "whole", shard_rows=10)
    assert mended.done_before == 40 and len(contents(tmp_path / "whole")) == len(before) + 1
    assert read(tmp_path / "whole") == read_again(model, path, tmp_path / "new")
    for change, why in (
        ({"shard_rows": 5}, "shard_rows was 10, and is 5 now"),
        ({"max_length": 9, "shard_rows": 10}, "max_length was None, and is 9 now"),
    ):
        with pytest.raises(ParameterError, match=why):
            predict_files(model, path, tmp_path / "whole", **change)
    with pytest.raises(ParameterError, match="the model is another one"):
        predict_files(saved("SequenceRegressor"), path, tmp_path / "whole", shard_rows=10)
    jsonl(path, TEXTS[::-1])
    with pytest.raises(ParameterError, match=r"the input .*in\.jsonl is not what"):
        predict_files(model, path, tmp_path / "whole", shard_rows=10)
    with pytest.raises(ParameterError, match="is not empty, and holds no job"):
        predict_files(model, path, tmp_path, shard_rows=10)


def read_again(model, path, folder) -> list[dict]:
    predict_files(model, path, folder, shard_rows=10)
    return read(folder)


def test_a_killed_job_loses_and_doubles_nothing(saved, tmp_path):
    path, model = jsonl(tmp_path / "in.jsonl", TEXTS * 20), saved("SequenceClassifier")
    predict_files(model, path, tmp_path / "whole", shard_rows=25)
    command = [sys.executable, "-m", "seqkit", "batch", str(model), str(path), "-o", str(tmp_path / "out")]
    command += ["--shard-rows", "25", "--engine", "processes", "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    limit = time.monotonic() + 120
    while len(list((tmp_path / "out").glob("part-*"))) < 5 and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert is_gone(process.pid)  # the workers end with it
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    done = predict_files(model, path, tmp_path / "out", shard_rows=25)
    assert 0 < done.done_before < done.rows == 1_200
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert (tmp_path / "out" / "_SUCCESS").exists()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("engine", ["local", "processes"])
def test_a_stopped_job_says_how_to_go_on(saved, tmp_path, engine, sent, code):
    path, model = jsonl(tmp_path / "in.jsonl", TEXTS * 100), saved("SequenceClassifier")
    command = [sys.executable, "-m", "seqkit", "batch", str(model), str(path), "-o", str(tmp_path / "out")]
    command += ["--shard-rows", "20", "--engine", engine, "--workers", "1"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # the tests may run where nobody types
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heard)
    limit = time.monotonic() + 120
    while not list((tmp_path / "out").glob("part-*")) and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, sent)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert " of 6,000 rows are done. The same call goes on from there." in told
    assert not list((tmp_path / "out").glob("**/.*.tmp"))
    assert is_gone(process.pid)


def is_gone(group: int) -> bool:
    """Whether all processes of a group end within half a minute."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_one_process_at_a_time_works_on_a_folder(saved, tmp_path, capsys):
    path, model = jsonl(tmp_path / "in.jsonl"), saved("SequenceClassifier")
    predict_files(model, path, tmp_path / "out")
    told = rf"out is being worked on by process {os.getpid()} on .*\. Wait"
    with locked(tmp_path / "out" / "_job" / "lock", "it"), pytest.raises(ParameterError, match=told):
        predict_files(model, path, tmp_path / "out")
    assert main(["batch", str(model), str(path), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == "60 rows in 1 parts; all were done before\n"


def test_a_machine_that_does_not_see_the_folder_says_so(saved, tmp_path):
    model, path = saved("SequenceClassifier"), jsonl(tmp_path / "in.jsonl")
    predict_files(model, path, tmp_path / "out")
    plan = Plan.from_json((tmp_path / "out" / "_job" / "plan.json").read_text())
    job = pickle.loads(pickle.dumps(ShardJob(tmp_path / "out", plan, BatchPredictor(model))))
    assert job(plan.shards[0]).rows == 60
    for name in ("in.jsonl", "out"):
        (tmp_path / name).rename(tmp_path / "elsewhere")
        with pytest.raises(DataError, match=f"The machine .* does not see .*{name}. .* on a file system that all"):
            ShardJob(tmp_path / "out", plan, BatchPredictor(model))(plan.shards[0])
        (tmp_path / "elsewhere").rename(tmp_path / name)


def test_engines_that_there_are_not(saved, tmp_path):
    path, model = jsonl(tmp_path / "in.jsonl"), saved("SequenceClassifier")
    for wrong, why in (
        ({"engine": "dask"}, "engine must be one of 'local', 'processes', 'ray'; got 'dask'"),
        ({"workers": 0}, "workers must be an integer of at least 1, or None; got 0"),
        ({"address": "auto"}, "address is that of a Ray cluster; got 'auto' and engine='local'"),
    ):
        with pytest.raises(ParameterError, match=why):
            predict_files(model, path, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_an_export_that_reads_files_needs_leave(tmp_path):
    import tensorflow as tf

    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def read(self, text):
            sizes = tf.map_fn(lambda path: tf.strings.length(tf.io.read_file(path)), text, tf.int32)
            return {"value": tf.cast(sizes, tf.float32)[:, None]}

    module, folder = Reader(), tmp_path / "model"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.read})
    (folder / "assets.extra").mkdir()
    manifest = {"format": "seqkit-export", "format_version": 1, "task": "regression", "values": 1}
    (folder / "assets.extra" / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "some").write_text("12345")
    lines = tmp_path / "names.txt"
    lines.write_text(f"{tmp_path / 'some'}\n{tmp_path / 'nix'}\n")
    with pytest.raises(ModelFileError, match="touch files or processes: ReadFile"):
        predict_files(folder, lines, tmp_path / "out")
    report = predict_files(folder, lines, tmp_path / "out", allow_ops=["ReadFile"], output_format="jsonl")
    (part,) = (tmp_path / "out").glob("part-*")
    one, other = map(json.loads, part.read_text().splitlines())
    # What the runtime refuses is the fault of its row.
    assert one["value"] == 5.0 and other["value"] is None and "nix" in other["error"] and report.errors == 1
