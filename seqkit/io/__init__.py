"""Readers and writers, one format a file; faults are reported with file and line. Nothing heavy is imported."""

from seqkit.io.conll import iter_conll, read_conll, write_conll
from seqkit.io.conllu import iter_conllu, read_conllu, write_conllu
from seqkit.io.jsonl import iter_spans, read_jsonl_tagged, read_spans, spans_to_tags, tags_to_spans, write_spans
from seqkit.io.lines import read_lines, write_whole

__all__ = [
    "iter_conll",
    "iter_conllu",
    "iter_spans",
    "read_conll",
    "read_conllu",
    "read_jsonl_tagged",
    "read_lines",
    "read_spans",
    "spans_to_tags",
    "tags_to_spans",
    "write_conll",
    "write_conllu",
    "write_spans",
    "write_whole",
]
