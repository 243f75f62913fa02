"""Peers in PyTorch over a file: processes read, encode, sort and batch while the network computes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow.parquet
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from benchmarks.peers.torch_tagger import TorchTagger
from benchmarks.peers.torch_text import _batch


class Batches(IterableDataset):
    """Batches of like length, each with the row group that it is of and its rows in that.

    Parameters
    ----------
    peer : TorchTagger or TorchText
        Fitted; encodes.
    source : str
        Parquet file with a column ``text``; each process takes the row groups that are its own.
    inputs : callable
        Makes of texts what the peer reads.
    """

    def __init__(self, peer, source: str, inputs: Callable[[list[str]], list]):
        self.peer, self.source, self.inputs = peer, source, inputs

    def __iter__(self) -> Iterator[tuple]:
        """Yield the number of a row group, rows of it, and what the network reads of them."""
        worker = get_worker_info()
        cut = self._tagger_batches if isinstance(self.peer, TorchTagger) else self._text_batches
        with pyarrow.parquet.ParquetFile(self.source) as file:
            for group in range(worker.id, file.num_row_groups, worker.num_workers):
                texts = file.read_row_group(group, columns=["text"]).column(0).to_pylist()
                for rows, batch in cut(self.peer._encode(self.inputs(texts))):
                    yield group, rows, batch

    def _tagger_batches(self, data) -> Iterator[tuple]:
        order = np.argsort(-data.lengths, kind="stable")
        for start in range(0, len(order), self.peer.predict_batch_size):
            rows = order[start : start + self.peer.predict_batch_size]
            batch = self.peer._batch(data, rows)  # sorts the rows in place
            distinct, types = torch.unique(batch.types, return_inverse=True)
            yield rows, (tuple(batch._replace(types=types)), data.chars[distinct])

    def _text_batches(self, data) -> Iterator[tuple]:
        for rows in self.peer._sorted_batches(data.lengths):
            yield rows, _batch(data, rows)


@torch.inference_mode()
def predict_chunks(peer, source: str, inputs: Callable, processes: int) -> Iterator[list]:
    """Yield the labels of each row group, in order."""
    peer.network.eval()
    with pyarrow.parquet.ParquetFile(source) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    loader = DataLoader(
        Batches(peer, source, inputs),
        batch_size=None,
        num_workers=processes,
        prefetch_factor=4,
        multiprocessing_context="fork",
    )
    found: dict[int, list] = {}
    left, following = defaultdict(int, enumerate(sizes)), 0
    for group, rows, batch in loader:
        labels = found.setdefault(group, [None] * sizes[group])
        for row, label in zip(rows.tolist(), _labels(peer, batch), strict=True):
            labels[row] = label
        left[group] -= len(rows)
        while following < len(sizes) and not left[following]:
            yield found.pop(following)
            following += 1


def _labels(peer, batch) -> list:
    if isinstance(peer, TorchTagger):
        from benchmarks.peers.torch_tagger import Batch

        fields, chars = batch
        batch = Batch(*fields)
        paths = peer.network.crf.decode(peer.network(batch, chars), batch.mask)
        return [[peer.tags[tag] for tag in path] for path in paths]
    return [peer.classes[i] for i in peer.network(*batch).argmax(1).tolist()]
