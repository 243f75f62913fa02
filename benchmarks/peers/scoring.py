"""Entity F1 by conlleval's rule: one scorer for all contenders, and none of theirs."""

from __future__ import annotations

from collections.abc import Sequence


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """Return ``(start, end, type)`` of each entity; an I- after O or after another type begins an entity too."""
    found = set()
    start, kind = 0, None
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, label = tag.partition("-")
        if kind is not None and (prefix != "I" or label != kind):
            found.add((start, position, kind))
            kind = None
        if kind is None and prefix != "O":
            start, kind = position, label
    return found


def entity_f1(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """Return micro-averaged entity F1 in percent; lengths must agree sentence by sentence."""
    correct = n_gold = n_predicted = 0
    for true_tags, tags in zip(gold, predicted, strict=True):
        if len(true_tags) != len(tags):
            raise ValueError(f"a sentence of {len(true_tags)} tokens was given {len(tags)} tags")
        true_spans, found = spans(true_tags), spans(tags)
        correct += len(true_spans & found)
        n_gold += len(true_spans)
        n_predicted += len(found)
    return 200.0 * correct / max(n_gold + n_predicted, 1)
