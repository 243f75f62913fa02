"""How many cores a worker takes."""

from __future__ import annotations

import os


def use_threads(threads: int) -> None:
    """Let TensorFlow and what it stands on use so many threads, unless the environment says another number.

    It counts where TensorFlow is not imported yet.
    """
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
