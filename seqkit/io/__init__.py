"""Readers and writers, one format a file; faults are reported with file and line. Nothing heavy is imported."""

from seqkit.io.conll import iter_conll, read_conll, write_conll
from seqkit.io.conllu import iter_conllu, read_conllu, write_conllu
from seqkit.io.jsonl import iter_spans, read_jsonl_tagged, read_spans, spans_to_tags, tags_to_spans, write_spans
from seqkit.io.lines import read_lines, write_bytes, write_whole
from seqkit.io.tables import TableRow, iter_table, read_class_folders, read_table
from seqkit.io.trees import Tree, format_tree, iter_trees, parse_tree, read_trees

__all__ = [
    "TableRow",
    "Tree",
    "format_tree",
    "iter_conll",
    "iter_conllu",
    "iter_spans",
    "iter_table",
    "iter_trees",
    "parse_tree",
    "read_class_folders",
    "read_conll",
    "read_conllu",
    "read_jsonl_tagged",
    "read_lines",
    "read_spans",
    "read_table",
    "read_trees",
    "spans_to_tags",
    "tags_to_spans",
    "write_bytes",
    "write_conll",
    "write_conllu",
    "write_spans",
    "write_whole",
]
