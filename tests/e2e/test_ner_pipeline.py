"""From tagged files to a served model through the command line, on a corpus that is learned in seconds."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from seqkit import cli
from seqkit.io import read_conll, write_conll

SMALL = ["--units", "16", "--word-dim", "16", "--char-units", "8", "--epochs", "12", "--random-state", "0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_corpus) -> Path:
    folder = tmp_path_factory.mktemp("ner")
    write_conll(folder / "train.conll", tiny_corpus.X, tiny_corpus.y)
    write_conll(folder / "dev.conll", tiny_corpus.X_dev, tiny_corpus.y_dev)
    return folder


@pytest.fixture(scope="module")
def trained(folder) -> tuple[Path, str]:
    """The model's folder, and what training printed."""
    from contextlib import redirect_stdout

    (folder / "parameters.yaml").write_text("cell: gru\nlearning_rate: 1e-2\nbatch_size: 16\nepochs: 1\n")
    printed = io.StringIO()
    files = [str(folder / "train.conll"), "--dev", str(folder / "dev.conll"), "--test", str(folder / "dev.conll")]
    with redirect_stdout(printed):
        options = ["--config", str(folder / "parameters.yaml"), "--output", str(folder / "model"), *SMALL]
        assert cli.main(["ner", "train", *files, *options]) == 0
    return folder / "model", printed.getvalue()


@pytest.fixture
def run(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def test_training_reports_on_dev_and_test_and_uses_config_and_flags(trained):
    import seqkit

    model, printed = trained
    assert printed.count("PER") == printed.count("LOC") == 2
    parameters = seqkit.load(model).get_params()
    assert {name: parameters[name] for name in ("cell", "learning_rate", "batch_size", "epochs", "units")} == {
        "cell": "gru",
        "learning_rate": 0.01,
        "batch_size": 16,
        "epochs": 12,
        "units": 16,
    }


def test_evaluate_prints_the_scores_of_the_predictions_it_writes(run, trained, folder, tiny_corpus):
    from seqkit.metrics.entities import entity_scores

    code, out, error = run("ner", "evaluate", trained[0], folder / "dev.conll", "--output", folder / "scored.conll")
    assert (code, error) == (0, "")
    tokens, predicted = read_conll(folder / "scored.conll", tag_column=2)
    assert tokens == tiny_corpus.X_dev
    scores = entity_scores(tiny_corpus.y_dev, predicted)
    assert scores.report() in out
    assert scores.f1 > 0.8  # names and frames are all in the training part


def test_predict_agrees_over_all_formats(run, trained, folder, tiny_corpus):
    model, _ = trained
    (folder / "in.txt").write_text("".join(" ".join(tokens) + "\n" for tokens in tiny_corpus.X_dev))
    code, as_conll, error = run("ner", "predict", model, folder / "dev.conll", "--output-format", "conll")
    assert (code, error) == (0, "")
    sentences, tags = read_conll(io.StringIO(as_conll))
    assert sentences == tiny_corpus.X_dev
    assert run("ner", "predict", model, folder / "in.txt", "--output-format", "conll")[1] == as_conll

    assert run("ner", "predict", model, folder / "in.txt", "--output", folder / "out.jsonl")[:2] == (0, "")
    records = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [record["tags"] for record in records] == tags
    for record in records:
        for entity in record["entities"]:
            assert record["text"][entity["start"] : entity["end"]] == entity["text"]

    marked = run("ner", "predict", model, folder / "out.jsonl", "--output-format", "text")[1].splitlines()
    assert len(marked) == len(records)
    assert sum(line.count("|PER]") for line in marked) == sum(row.count("B-PER") for row in tags) > 0


def test_predict_reads_standard_input(run, trained, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Ada lives in Oslo .\n"), encoding="utf-8"))
    code, out, _ = run("ner", "predict", trained[0])
    assert code == 0
    assert out.replace("[", "").replace("|PER]", "").replace("|LOC]", "") == "Ada lives in Oslo .\n"


def test_export_check_and_info(run, trained, folder):
    model, _ = trained
    code, out, error = run("ner", "export", model, "--output", folder / "served")
    version = folder / "served" / "1"
    assert (code, out, error) == (0, f"{version}\n", "")

    code, out, _ = run("check", version)
    assert code == 0
    assert "serving_default" in out and "tokens" in out

    for what in (model, version):
        code, out, _ = run("info", what)
        assert code == 0 and "tensorflow" in out
        assert isinstance(json.loads(run("info", what, "--json")[1]), dict)

    shutil.copytree(version, folder / "damaged")
    for file in (folder / "damaged" / "variables").iterdir():
        file.unlink()
    code, out, error = run("check", folder / "damaged")
    assert (code, error) == (1, "") and "FAILED" in out


def test_demo_shows_the_whole_way(capsys, tmp_path, monkeypatch):
    from seqkit_pipelines import ner

    monkeypatch.setattr(ner, "DEMO_PARAMETERS", {"epochs": 1, "units": 16, "random_state": 0})
    output = tmp_path / "served"
    assert cli.main(["demo", "--text", "Zoë 😀 met Ada in Oslo.", "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "Zoë" in out and "The same answer" in out
    assert (output / "1" / "saved_model.pb").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "missing.conll", "--output", "m"], ["missing.conll", "No such file"]),
        (["train", "bad.conll", "--output", "m"], ["bad.conll:2:"]),
        (["train", "train.conll", "--output", "m", "--units", "-3"], ["units", "-3"]),
        (["train", "train.conll", "--output", "m", "--cell", "transformer"], ["cell", "transformer"]),
        (["train", "train.conll", "--output", "m", "--config", "parameters.json"], ["parameters.json"]),
        (["train", "train.conll", "--output", "."], ["exists already"]),
        (["train", "train.conll"], ["--output"]),
        (["evaluate", "no_model", "train.conll"], ["no_model"]),
        (["predict", "no_model", "train.conll"], ["no_model"]),
        (["export", "train.conll"], ["train.conll"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, folder, monkeypatch, arguments, words):
    monkeypatch.chdir(folder)
    Path("bad.conll").write_text("a O\nb\n\n")
    code, out, error = run("ner", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("error: ") and error.count("\n") == 1
    assert all(word in error for word in words)
    assert not Path("m").exists()
