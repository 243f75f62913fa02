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
    (the true class, say) keeps its value as ``input_label``; so does a ``text`` that is not the one that was read.
    """
    record = {}
    for name, value in fields.items():
        if name in answer and not (name in _INPUTS and value == answer[name]):
            while name in answer or name in fields or name in record:
                name = f"input_{name}"
        record[name] = value
    return record | answer
