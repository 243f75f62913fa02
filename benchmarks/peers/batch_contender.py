"""What a worker can be asked about batch prediction: raw strings in Parquet to labels in Parquet."""

from __future__ import annotations

import itertools
import random
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS, TEXT_PEERS
from benchmarks.peers.worker import import_peer

TASKS = ("tagger", "classifier")
_CHUNK = 1_000  # rows that the naive loop reads and predicts at once
_GROUP = 10_000  # rows of a row group, and of a chunk of the peer in PyTorch


class BatchContender:
    """A fitted peer that predicts a file.

    ``seqkit`` is `seqkit.batch.predict_files` in process. ``keras`` is the naive loop: chunks as they are read, each
    given to the recipe's ``predict``, which pads to the longest. ``torch`` has a `torch.utils.data.DataLoader` whose
    processes read, encode and sort by length, in large batches, while this one computes.

    Parameters
    ----------
    key : {"seqkit", "keras", "torch"}
        Who.
    threads : int
        Cores that it may use; as many processes load for PyTorch.
    sentences : int or None
        Train on so many only.
    task : {"tagger", "classifier"}
        What.
    """

    packages = {"torch": ["torch", "pytorch-crf"]}  # noqa: RUF012

    def __init__(self, key: str, threads: int, sentences: int | None, *, task: str):
        self.key, self.task, self.threads = key, task, threads
        if task == "tagger":
            from benchmarks.peers.data import load_mit_movie

            make, (X, y) = import_peer(PEERS[key]), load_mit_movie(sentences).train
        else:
            from benchmarks.peers.text_data import load_text_set

            # Of the peers in PyTorch the one that is tuned for CPUs.
            make = import_peer(TEXT_PEERS["torch-dense" if key == "torch" else key])
            X, y = load_text_set("sst2", sentences).train
        self.peer = make(threads=threads) if key == "torch" else make()
        self.peer.fit(X, y, 1, lambda *_: None)

    def save(self, folder: str) -> None:
        """Save seqkit's model."""
        (self.peer.tagger if self.task == "tagger" else self.peer.classifier).save(folder)
        self.model = folder

    def predict(self, source: str, target: str) -> float:
        """Return rows/s from file to file; whatever was at the target before is removed."""
        shutil.rmtree(target, ignore_errors=True)
        started = time.perf_counter()
        rows = getattr(self, f"_{self.key}")(source, target)
        return rows / (time.perf_counter() - started)

    def _seqkit(self, source: str, target: str) -> int:
        from seqkit.batch import predict_files

        report = predict_files(self.model, source, target, answers=answers_of(self.task), verbose=False)
        if report.errors:
            raise RuntimeError(f"{report.errors} rows have no answer")
        return report.rows

    def _keras(self, source: str, target: str) -> int:
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(source) as file:
            chunks = (batch.column(0).to_pylist() for batch in file.iter_batches(_CHUNK, columns=["text"]))
            return self._write(target, (self.peer.predict(self._inputs(texts)) for texts in chunks))

    def _torch(self, source: str, target: str) -> int:
        from benchmarks.peers.torch_loader import predict_chunks

        return self._write(target, predict_chunks(self.peer, source, self._inputs, self.threads))

    def _inputs(self, texts: list[str]) -> list:
        return [text.split() for text in texts] if self.task == "tagger" else texts

    def _write(self, target: str, labels: Iterable[list]) -> int:
        import pyarrow
        import pyarrow.parquet

        rows, writer = 0, None
        Path(target).mkdir(parents=True)
        for some in labels:
            table = pyarrow.table({answers_of(self.task)[0]: some})
            writer = writer or pyarrow.parquet.ParquetWriter(f"{target}/part.parquet", table.schema)
            writer.write_table(table)
            rows += len(some)
        writer.close()
        return rows


def answers_of(task: str) -> list[str]:
    """Return the column that is written."""
    return ["tags"] if task == "tagger" else ["label"]


def write_rows(task: str, count: int, path: Path) -> dict[str, Any]:
    """Write texts of the task's set as Parquet, again from the start where there are not enough; return their size."""
    import pyarrow
    import pyarrow.parquet

    if task == "tagger":
        from benchmarks.peers.data import load_mit_movie

        texts = [" ".join(tokens) for part in load_mit_movie() for tokens in part[0]]
    else:
        from benchmarks.peers.text_data import load_text_set

        parts = load_text_set("sst2")
        texts = [text for part in (parts.train, parts.dev, parts.test) for text in part[0]]
    random.Random(0).shuffle(texts)
    texts = list(itertools.islice(itertools.cycle(texts), count))
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), path, row_group_size=_GROUP)
    lengths = [len(text.split()) for text in texts]
    return {"rows": count, "tokens": sum(lengths), "longest": max(lengths)}


def short_texts(count: int, seed: int = 0) -> Iterator[Any]:
    """Yield tables of at most 100,000 rows of one to five words."""
    import numpy as np
    import pyarrow
    import pyarrow.compute as pc

    random, words = np.random.default_rng(seed), np.array([f"w{i}" for i in range(1_000)] + ["good", "bad"], object)
    for first in range(0, count, 100_000):
        size = min(100_000, count - first)
        lengths = random.integers(1, 6, size)
        columns = [
            pyarrow.array(words[random.integers(0, len(words), size)], pyarrow.string(), mask=lengths <= k)
            for k in range(5)
        ]
        yield pyarrow.table({"text": pc.binary_join_element_wise(*columns, " ", null_handling="skip")})
