"""Convert every function of every example of the tests to ONNX and LiteRT; print how far the answers are apart.

``python benchmarks/conversions.py``. What cannot be converted says so. Takes some minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:1] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "export")]

from conversions import CONVERTED, described, fitted  # noqa: E402

from seqkit.errors import ExportError  # noqa: E402
from seqkit.export.litert import to_litert  # noqa: E402
from seqkit.export.onnx import to_onnx  # noqa: E402

SIZES = {"rows": 2, "length": 9}


def main() -> None:
    """Print a row for each function and runtime."""
    print("| estimator | of | function | runtime | largest difference | KB | seconds |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for key, name in CONVERTED:
            for convert, sizes in ((to_onnx, {}), (to_litert, SIZES)):
                begun = time.perf_counter()
                try:
                    path = convert(fitted(key), Path(folder) / "model", signature=name, **sizes)
                    difference = f"{described(path)['check']['largest_difference']:.1e}"
                    difference += f" | {path.stat().st_size / 1000:.0f}"
                except ExportError as error:
                    difference = f"{error} |"
                seconds = time.perf_counter() - begun
                print(
                    f"| {' | '.join(key)} | {name} | {convert.__name__[3:]} | {difference} | {seconds:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
