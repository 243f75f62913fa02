"""What a shell sees of ``python -m seqkit``: exit codes, and standard error to the last byte."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from seqkit.io import write_conll

COMMAND = [sys.executable, "-m", "seqkit", "ner"]
SMALL = ["--units", "8", "--word-dim", "8", "--char-units", "4", "--random-state", "0"]


@pytest.fixture
def data(tmp_path, tiny_corpus):
    write_conll(tmp_path / "train.conll", tiny_corpus.X[:20], tiny_corpus.y[:20])
    return tmp_path


def test_nothing_but_results_where_there_is_no_terminal(data):
    arguments = ["train", "train.conll", "--test", "train.conll", "--output", "model", "--epochs", "1", *SMALL]
    done = subprocess.run([*COMMAND, *arguments], cwd=data, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("test: ") and "PER" in done.stdout
    assert (data / "model" / "manifest.json").is_file()


def test_bad_input_found_after_tensorflow_is_loaded_is_one_line(data):
    arguments = ["train", "train.conll", "--output", "model", "--epochs", "0"]
    done = subprocess.run([*COMMAND, *arguments], cwd=data, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and "epochs" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (data / "model").exists()


def test_interrupted_training_exits_with_130_and_leaves_no_model(data):
    arguments = ["train", "train.conll", "--output", "model", "--epochs", "100000", "--patience", "none", *SMALL]
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--checkpoint-dir", "state"],
        cwd=data,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts its background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        limit = time.monotonic() + 300
        while not (data / "state").exists() or not any((data / "state").iterdir()):
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert error == "error: interrupted\n"
    assert not (data / "model").exists()
