"""The light modules stay light: a reader must not load TensorFlow."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["seqkit.tags", "seqkit.io", "seqkit.metrics"])
def test_nothing_heavy_is_imported(module):
    heavy = {"tensorflow", "keras", "sklearn", "pyarrow", "pandas", "scipy"}
    code = f"import sys, {module}; print(*({{name.partition('.')[0] for name in sys.modules}} & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
