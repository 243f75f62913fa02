"""Data sets: samples that come with the toolkit, and a catalogue of public sets with source, license and checksums."""

from __future__ import annotations

from seqkit.datasets.bundled import Split, load_ner_sample
from seqkit.datasets.catalogue import DATASETS, Dataset, RemoteFile, describe, get_dataset
from seqkit.datasets.corpora import load_corpus
from seqkit.datasets.fetch import cache_folder, find, stored_file, verify
from seqkit.datasets.music import load_music
from seqkit.datasets.pairs import load_pairs
from seqkit.datasets.series import Series, load_series
from seqkit.datasets.tagging import load_tagging, map_types
from seqkit.datasets.texts import fold_numbers, load_texts, load_trees

__all__ = [
    "DATASETS",
    "Dataset",
    "RemoteFile",
    "Series",
    "Split",
    "cache_folder",
    "describe",
    "find",
    "fold_numbers",
    "get_dataset",
    "load_corpus",
    "load_music",
    "load_ner_sample",
    "load_pairs",
    "load_series",
    "load_tagging",
    "load_texts",
    "load_trees",
    "map_types",
    "stored_file",
    "verify",
]
