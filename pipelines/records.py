"""Records of JSONL output: where they are written, the fields that came with an input, and the answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: What an input is; an answer that repeats it unchanged loses nothing.
_INPUTS = ("text", "tokens")


def is_records(path: Path) -> bool:
    """Whether a file's ending says that it holds a JSON object on each line."""
    return path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson"))


def with_answer(fields: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Join an answer to the fields of its input.

    An answer has the names that a served model gives it, such as ``label``. A field of the input that has one of them
    (the true class, say) keeps its value as ``input_label``, see `seqkit.io.columns.beside_answers`; so does a ``text``
    that is not the one that was read.
    """
    from seqkit.io.columns import beside_answers  # NumPy comes with it, which --help need not wait for

    same = {name for name in _INPUTS if name in answer and fields.get(name) == answer[name]}
    names = beside_answers(fields, answer.keys() - same)
    return dict(zip(names, fields.values(), strict=True)) | answer
