"""Entity precision, recall and F1, equal to those of the CoNLL scorer (conlleval), ill-formed sequences included.

The scorer walks through the tokens with one bit of state: whether the true and the predicted chunk that are open now
began together and have agreed since. Here the same walk is done on whole arrays: each token either sets the bit (both
begin a chunk of one type), clears it (an end, or a difference of type) or leaves it, and the bit's value at any token
is what the last of these events made it. A chunk is correct where both end while the bit is set. The rules for where
chunks start and end are those of `seqkit.tags`, which also reads the ``S`` and ``E`` of IOBES.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from seqkit.errors import DataError, InputTypeError
from seqkit.tags import DOT, ENDS, OUTSIDE, STARTS, flatten_tags, split_tag


@dataclass(frozen=True)
class EntityCounts:
    """Counts of entities by type; the arrays follow the order of `types`."""

    types: tuple[str, ...]
    correct: np.ndarray
    predicted: np.ndarray
    gold: np.ndarray
    correct_tokens: int
    tokens: int

    @property
    def f1(self) -> float:
        """F1 over the entities of all types together; 0 where it is not defined."""
        return _ratios(self.correct.sum(), self.predicted.sum(), self.gold.sum())[2]


@dataclass(frozen=True)
class TypeScores:
    """Scores of one type, as fractions; `support` counts the true entities."""

    precision: float
    recall: float
    f1: float
    support: int
    predicted: int
    correct: int


@dataclass(frozen=True)
class EntityScores:
    """Scores of all entities together, as fractions; `support` counts the true ones, `accuracy` is that of tokens."""

    precision: float
    recall: float
    f1: float
    support: int
    accuracy: float
    by_type: dict[str, TypeScores]
    predicted: int
    correct: int
    tokens: int

    def report(self) -> str:
        """The scores as text, laid out as conlleval prints them (percentages; the last number counts predictions)."""
        lines = [
            f"processed {self.tokens} tokens with {self.support} phrases; found: {self.predicted} phrases; "
            f"correct: {self.correct}.",
            f"accuracy: {100 * self.accuracy:6.2f}%; {_percentages(self)}",
        ]
        for kind, scores in self.by_type.items():
            lines.append(f"{kind:>17}: {_percentages(scores)}  {scores.predicted}")
        return "\n".join(lines)


def _percentages(scores: EntityScores | TypeScores) -> str:
    return (
        f"precision: {100 * scores.precision:6.2f}%; recall: {100 * scores.recall:6.2f}%; FB1: {100 * scores.f1:6.2f}"
    )


def _ratios(correct: int, predicted: int, gold: int) -> tuple[float, float, float]:
    precision = float(correct / predicted) if predicted else 0.0
    recall = float(correct / gold) if gold else 0.0
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0


def entity_counts(
    true_ids: np.ndarray,
    pred_ids: np.ndarray,
    lengths: np.ndarray,
    tags: Sequence[str],
    sample_weight: np.ndarray | None = None,
) -> EntityCounts:
    """Count true, predicted and correct entities in flat arrays of tag ids; no Python code per token.

    Parameters
    ----------
    true_ids, pred_ids : int array [tokens]
        Tag ids of all sentences, one after the other.
    lengths : int array [sentences]
        Number of tokens of each sentence.
    tags : sequence of str
        The tag of each id, in any scheme.
    sample_weight : float array [sentences], optional
        What an entity of each sentence counts; by default 1. Tokens are counted without it.

    Returns
    -------
    EntityCounts
    """
    lengths = np.asarray(lengths, np.int64).reshape(-1)
    arrays = [np.asarray(ids).reshape(-1).astype(np.int64, copy=False) for ids in (true_ids, pred_ids)]
    for name, ids in zip(("true_ids", "pred_ids"), arrays, strict=True):
        if len(ids) != lengths.sum():
            raise DataError(f"{name} holds {len(ids)} ids, but lengths sum to {lengths.sum()}; they must agree.")
        if len(ids) and (ids.min() < 0 or ids.max() >= len(tags)):
            raise DataError(
                f"{name} must lie in 0..{len(tags) - 1} (the index of a tag), got {ids.min()}..{ids.max()}."
            )
    parsed = [split_tag(tag) for tag in tags] + [(OUTSIDE, "")]
    types = sorted({kind for _, kind in parsed})
    number = {kind: i for i, kind in enumerate(types)}
    groups = np.array([group for group, _ in parsed])
    kinds = np.array([number[kind] for _, kind in parsed])
    pairs = [tag.partition("-")[::2] for tag in tags] + [("O", "")]  # what accuracy compares: "B" equals "B-"
    order = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
    marks = np.array([order[pair] for pair in pairs])

    # An O between sentences, as the scorer puts one: chunks end there.
    total = len(arrays[0]) + len(lengths)
    is_token = np.ones(total, bool)
    is_token[np.cumsum(lengths + 1) - 1] = False
    padded = np.full((2, total), len(tags), np.int64)
    padded[:, is_token] = arrays
    group, kind = groups[padded], kinds[padded]
    last_group = np.concatenate([np.full((2, 1), OUTSIDE), group[:, :-1]], 1)
    last_kind = np.concatenate([np.full((2, 1), number[""]), kind[:, :-1]], 1)
    changed = kind != last_kind
    starts = STARTS[last_group, group] | (changed & (group > DOT))
    ends = ENDS[last_group, group] | (changed & (last_group > DOT))

    agree = kind[0] == kind[1]
    begins = starts[0] & starts[1] & agree
    stops = ends[0] | ends[1] | ~agree
    position = np.arange(total)
    # Both events at one token: the old chunk stops, then a new one begins; hence >= below.
    last_begin = np.maximum.accumulate(np.where(begins, position, -1))
    last_stop = np.maximum.accumulate(np.where(stops, position, -1))
    in_correct = (last_begin >= last_stop) & (last_begin >= 0)
    finished = np.concatenate([[False], in_correct[:-1]])[:total] & ends[0] & ends[1]

    weights = None if sample_weight is None else np.repeat(np.asarray(sample_weight, np.float64), lengths + 1)

    def count(kinds: np.ndarray, where: np.ndarray) -> np.ndarray:
        # The O behind a sentence belongs to it, and with it the end of a chunk that is open there.
        return np.bincount(kinds[where], None if weights is None else weights[where], minlength=len(types))

    correct, predicted, gold = count(last_kind[0], finished), count(kind[1], starts[1]), count(kind[0], starts[0])
    if total and in_correct[-1]:  # the scorer counts a chunk that nothing has ended (only a bare "." leaves one open)
        correct[number[""]] += 1
    # "" is the type of O; it names entities only where tags such as a bare "B" occur.
    keep = [i for i, name in enumerate(types) if name or predicted[i] or gold[i] or correct[i]]
    same_tag = (marks[padded[0]] == marks[padded[1]]) & is_token
    return EntityCounts(
        tuple(types[i] for i in keep),
        correct[keep],
        predicted[keep],
        gold[keep],
        int(np.count_nonzero(same_tag)),
        len(arrays[0]),
    )


def entity_scores(y_true: Sequence[Sequence[str]], y_pred: Sequence[Sequence[str]]) -> EntityScores:
    """Score predicted tags against true ones, by whole entities.

    Parameters
    ----------
    y_true, y_pred : sequences of sequences of str
        The tags of each sentence, in any scheme; a sentence needs as many predicted as true tags.

    Returns
    -------
    EntityScores
        Fractions between 0 and 1; 0 where there is nothing to divide by, as conlleval has it.

    Raises
    ------
    DataError
        If the numbers of sentences or of tags differ; names the sentence.
    """
    _check_lengths(y_true, y_pred)
    ids, lengths, tags = flatten_tags([*y_true, *y_pred])
    cut, sentences = len(ids) // 2, len(lengths) // 2
    counts = entity_counts(ids[:cut], ids[cut:], lengths[:sentences], tags)
    by_type = {
        kind: TypeScores(*_ratios(correct, predicted, gold), int(gold), int(predicted), int(correct))
        for kind, correct, predicted, gold in zip(
            counts.types, counts.correct, counts.predicted, counts.gold, strict=True
        )
        if predicted or gold
    }
    correct, predicted, gold = (int(x.sum()) for x in (counts.correct, counts.predicted, counts.gold))
    precision, recall, f1 = _ratios(correct, predicted, gold)
    accuracy = counts.correct_tokens / counts.tokens if counts.tokens else 0.0
    return EntityScores(precision, recall, f1, gold, accuracy, by_type, predicted, correct, counts.tokens)


def entity_f1(
    y_true: Sequence[Sequence[str]], y_pred: Sequence[Sequence[str]], sample_weight: Sequence[float] | None = None
) -> float:
    """F1 of whole entities, all types together; see `entity_scores`. `sample_weight` holds one number a sentence."""
    _check_lengths(y_true, y_pred, sample_weight)
    ids, lengths, tags = flatten_tags([*y_true, *y_pred])
    cut, sentences = len(ids) // 2, len(lengths) // 2
    return entity_counts(ids[:cut], ids[cut:], lengths[:sentences], tags, sample_weight).f1


def token_accuracy(
    y_true: Sequence[Sequence], y_pred: Sequence[Sequence], sample_weight: Sequence[float] | None = None
) -> float:
    """Share of tokens whose predicted tag equals the true one; tags of any type, 0 if there are no tokens.

    `sample_weight` holds one number a sentence, which each of its tokens counts.
    """
    _check_lengths(y_true, y_pred, sample_weight)
    equal = list(map(operator.eq, chain.from_iterable(y_true), chain.from_iterable(y_pred)))
    weights = np.ones(len(y_true)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    weights = np.repeat(weights, [len(row) for row in y_true])
    total = weights.sum()
    return float(weights @ np.array(equal, bool) / total) if total else 0.0


def _check_lengths(
    y_true: Sequence[Sequence], y_pred: Sequence[Sequence], sample_weight: Sequence[float] | None = None
) -> None:
    for name, y in (("y_true", y_true), ("y_pred", y_pred)):
        if isinstance(y, str | bytes) or not hasattr(y, "__len__"):
            raise InputTypeError(f"{name} must be a list with the tags of each sentence, got {type(y).__name__}.")
        for index, row in enumerate(y):
            if isinstance(row, str | bytes) or not hasattr(row, "__len__"):
                raise InputTypeError(f"{name}[{index}] must be a list of tags, got {row!r:.80}.")
    if len(y_true) != len(y_pred):
        raise DataError(f"y_true has {len(y_true)} sentences, y_pred {len(y_pred)}; they must be the same sentences.")
    if sample_weight is not None and np.shape(sample_weight) != (len(y_true),):
        raise DataError(
            f"sample_weight must have shape ({len(y_true)},), one for each sentence; got {np.shape(sample_weight)}."
        )
    for index, (true, pred) in enumerate(zip(y_true, y_pred, strict=True)):
        if len(true) != len(pred):
            raise DataError(
                f"Sentence {index} has {len(true)} true tags and {len(pred)} predicted ones; they must agree."
            )
