"""The README's Python blocks run as they stand, but for fewer epochs and sentences; what it says of packaging holds."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FEWER = """
import seqkit.datasets
whole = seqkit.datasets.load_ner_sample()
seqkit.datasets.load_ner_sample = lambda: type(whole)(*(part[:100] for part in whole))
"""
KEEP = "import numpy as np; np.savez('kept.npz', X=words[:3], y=model.predict(words[:3]))"
COMPARE = (
    "import numpy as np; kept = np.load('kept.npz')\nnp.testing.assert_allclose(model.predict(kept['X']), kept['y'])"
)
NAMES = (
    "SequenceTagger(",
    "SequenceClassifier(",
    "Seq2Seq(",
    "LanguageModel(",
    "Composer(",
    "build_tagger(",
    "Server(",
)
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
KERAS, EXPORT, SERVER = map(NAMES.index, ("build_tagger(", "SequenceTagger(", "Server("))


def short(code: str) -> str:
    return FEWER + re.sub(r"epochs=\d+", "epochs=1", code)


def test_there_is_an_estimator_example_and_a_keras_example():
    assert len(BLOCKS) >= 2
    assert [name in block for name, block in zip(NAMES, BLOCKS, strict=True)] == [True] * len(BLOCKS)


def run_python(code: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("number", [n for n in range(len(BLOCKS)) if n not in (KERAS, EXPORT, SERVER)])
def test_block_runs(number, tmp_path):
    run_python(short(BLOCKS[number]), tmp_path)


def test_what_is_exported_is_served(tmp_path):
    for number in (EXPORT, SERVER):
        run_python(short(BLOCKS[number]), tmp_path)


def test_keras_block_runs_and_a_fresh_process_loads_the_model(tmp_path):
    run_python(short(BLOCKS[KERAS]) + KEEP, tmp_path)
    load = re.search(r"`(keras\.models\.load_model\(.*?\))`", README)[1]
    run_python(f"import keras; from seqkit.models import build_tagger\nmodel = {load}\n" + COMPARE, tmp_path)


def test_the_wheel_has_every_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    present = {".".join(file.parent.relative_to(ROOT).parts) for file in ROOT.glob("seqkit/**/__init__.py")}
    assert listed == present | {"seqkit_pipelines"}


def test_links_to_files_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
