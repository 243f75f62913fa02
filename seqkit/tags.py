"""Entity tag schemes: spans, conversion, repair, inference, and the moves that a scheme allows.

A tag is ``O`` or a prefix and a type joined by the first hyphen (``B-creative-work`` has the type ``creative-work``).

========  ===========================================================================================
scheme    meaning of the prefixes
========  ===========================================================================================
``iob2``  ``B`` begins every entity, ``I`` continues it (the toolkit's default)
``iob1``  ``I`` for all tokens of an entity; ``B`` begins one only right after another of the same type
``iobes`` ``B`` begins, ``I`` continues, ``E`` ends, ``S`` is an entity of one token
``io``    ``I`` for all tokens; neighbors of the same type cannot be told apart
========  ===========================================================================================

Where an entity starts and ends is decided by the rules of the CoNLL scorer (``conlleval``), which read any sequence,
well-formed or not. The scorer knows no ``S`` and has no rule for a ``B`` after an ``E``; those are read as IOBES means
them, every other pair of tags exactly as the scorer does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from seqkit.errors import DataError, InputTypeError, ParameterError

SCHEMES = ("iob1", "iob2", "iobes", "io")
_PREFIXES = {"iob1": "BI", "iob2": "BI", "io": "I", "iobes": "BIES"}

# Classes of prefixes. "." and the brackets are conlleval's own; OTHER is any prefix it has no rule for.
OUTSIDE, DOT, BEGIN, INSIDE, END, SINGLE, BRACKET, OTHER = range(8)
_CLASSES = {"O": OUTSIDE, ".": DOT, "B": BEGIN, "I": INSIDE, "E": END, "S": SINGLE, "[": BRACKET, "]": BRACKET}


def _table(pairs: str) -> np.ndarray:
    table = np.zeros((8, 8), bool)
    for previous, current in pairs.split():
        table[_CLASSES[previous], _CLASSES[current]] = True
    return table


# STARTS[previous, current]: a chunk starts at the current token; ENDS: one ended before it. Besides these, a change of
# type starts a chunk (current not O or ".") and ends one (previous not O or "."). Pairs with S, and E before B, are
# ours; the others are conlleval's.
STARTS = _table("BB IB OB EB SB  OI EI SI  OE EE SE")
STARTS[:, [BRACKET, SINGLE]] = True
ENDS = _table("BB IB EB  BO IO EO  BS IS ES  EI EE")
ENDS[[BRACKET, SINGLE], :] = True
_STARTS, _ENDS = STARTS.tolist(), ENDS.tolist()


@lru_cache(maxsize=65536)
def split_tag(tag: str) -> tuple[int, str]:
    """Class of the prefix, and the type, of one tag, as conlleval cuts it."""
    if not isinstance(tag, str):
        raise InputTypeError(
            f"An entity tag must be a string such as 'B-PER' or 'O', got {tag!r} ({type(tag).__name__})."
        )
    prefix, _, kind = tag.partition("-")
    return _CLASSES.get(prefix, OTHER), kind


def check_scheme(scheme: str, parameter: str = "scheme", choices: Sequence[str] = SCHEMES) -> str:
    """Return `scheme` if it is one of `choices`; otherwise raise a ParameterError that names the parameter."""
    if scheme not in choices:
        raise ParameterError(f"{parameter} must be one of {', '.join(map(repr, choices))}; got {scheme!r}.")
    return scheme


def entity_spans(tags: Sequence[str], scheme: str = "iob2") -> list[tuple[int, int, str]]:
    """Entities of one sentence, read as leniently as conlleval reads them.

    Parameters
    ----------
    tags : sequence of str
        The tags of one sentence. Ill-formed sequences are fine: an ``I-X`` after ``O`` starts an entity.
    scheme : {"iob1", "iob2", "iobes", "io"}, default="iob2"
        Only checked. The rules read all four alike, since the prefixes mean the same wherever they are lenient.

    Returns
    -------
    list of (int, int, str)
        Start, end (exclusive) and type, in order.
    """
    check_scheme(scheme)
    spans = []
    begin, last_class, last_kind = -1, OUTSIDE, ""
    for position, tag in enumerate(tags):
        group, kind = split_tag(tag)
        changed = kind != last_kind
        starts = _STARTS[last_class][group] or (changed and group > DOT)
        if begin >= 0 and (starts or _ENDS[last_class][group] or (changed and last_class > DOT)):
            spans.append((begin, position, last_kind))
            begin = -1
        if starts:
            begin = position
        last_class, last_kind = group, kind
    if begin >= 0:
        spans.append((begin, len(tags), last_kind))
    return spans


#: From the first token of an entity and the one after its last to where it starts and ends, and its text.
Place = Callable[[int, int], tuple[int, int, str | None]]


def gather_entities(
    tags: Sequence[str], scheme: str | None, place: Place, scores: Sequence[float] | None = None
) -> list[dict[str, Any]]:
    """Put together the entities of one sentence.

    Parameters
    ----------
    tags : sequence of str
        The tags of its tokens.
    scheme : str or None
        What they mean, see `entity_spans`; with None there are no entities.
    place : callable
        `place_in_text` or `place_among_tokens`, or another of that kind.
    scores : sequence of float, optional
        Probability of each tag.

    Returns
    -------
    list of dict
        Of each: ``start``, ``end``, ``text``, ``label``, and with scores ``score``, the lowest of its tags.
    """
    entities = []
    for first, after, label in entity_spans(tags, scheme) if scheme else []:
        start, end, text = place(first, after)
        entity = {"start": start, "end": end, "text": text, "label": label}
        entities.append(entity if scores is None else {**entity, "score": min(scores[first:after])})
    return entities


def place_in_text(text: str, starts: Sequence[int], ends: Sequence[int]) -> Place:
    """Return where entities are in a text, given the character offsets of its tokens; see `gather_entities`."""
    return lambda first, after: (starts[first], ends[after - 1], text[starts[first] : ends[after - 1]])


def place_among_tokens(tokens: Sequence[str] | None) -> Place:
    """Return where entities are among tokens, by their numbers; without tokens (vectors, say), they have no text."""
    return lambda first, after: (first, after, None if tokens is None else " ".join(tokens[first:after]))


def tags_from_spans(spans: Iterable[tuple[int, int, str]], length: int, scheme: str = "iob2") -> list[str]:
    """Write entities as tags: the inverse of `entity_spans` (except that ``io`` joins neighbors of one type).

    Parameters
    ----------
    spans : iterable of (int, int, str)
        Start, end (exclusive) and type, ordered and without overlap.
    length : int
        Number of tokens.
    scheme : {"iob1", "iob2", "iobes", "io"}, default="iob2"
        The scheme to write.

    Returns
    -------
    list of str
    """
    check_scheme(scheme)
    tags = ["O"] * length
    last_end, last_kind = -1, None
    for start, end, kind in spans:
        if not 0 <= start < end <= length or start < last_end:
            raise DataError(
                f"The span ({start}, {end}, {kind!r}) is empty, outside the {length} tokens, or begins before the span "
                f"in front of it ends ({last_end}). Give ordered spans that do not overlap."
            )
        suffix = f"-{kind}" if kind else ""
        tags[start:end] = ["I" + suffix] * (end - start)
        if scheme == "iob2" or (scheme == "iob1" and start == last_end and kind == last_kind):
            tags[start] = "B" + suffix
        elif scheme == "iobes":
            tags[start] = "B" + suffix
            tags[end - 1] = ("S" if end - start == 1 else "E") + suffix
        last_end, last_kind = end, kind
    return tags


def _check_tags(tags: Sequence[str], prefixes: str, scheme: str) -> None:
    for position, tag in enumerate(tags):
        split_tag(tag)  # refuses what is not a string
        if tag != "O" and tag.partition("-")[0] not in tuple(prefixes):
            raise DataError(
                f"Tag {tag!r} at token {position} does not belong to the scheme {scheme!r}: expected 'O' or a type "
                f"behind one of {', '.join(f'{prefix}-' for prefix in prefixes)}. Check the tag column and the scheme."
            )


def convert_tags(tags: Sequence[str], source: str, target: str) -> list[str]:
    """Rewrite the tags of one sentence in another scheme.

    Parameters
    ----------
    tags : sequence of str
        The tags of one sentence, in the scheme `source`. Ill-formed sequences are read as conlleval reads them.
    source : {"iob1", "iob2", "iobes", "io"}
        The scheme of `tags`; a prefix that it does not have is a DataError.
    target : {"iob1", "iob2", "iobes"}
        The scheme of the result, which is always legal in it.

    Returns
    -------
    list of str
    """
    check_scheme(source, "source")
    check_scheme(target, "target", SCHEMES[:3])
    _check_tags(tags, _PREFIXES[source], source)
    return tags_from_spans(entity_spans(tags, source), len(tags), target)


def repair_tags(tags: Sequence[str], scheme: str = "iob2") -> list[str]:
    """Make the tags of one sentence legal in `scheme`, without changing the entities that conlleval sees.

    Parameters
    ----------
    tags : sequence of str
        Tags with the prefixes of any scheme, such as ``["O", "I-PER"]``.
    scheme : {"iob1", "iob2", "iobes", "io"}, default="iob2"
        The scheme to obey.

    Returns
    -------
    list of str
        ``["O", "B-PER"]`` for the example.
    """
    check_scheme(scheme)
    _check_tags(tags, "BIES", scheme)
    return tags_from_spans(entity_spans(tags, scheme), len(tags), scheme)


def repair_corpus(sentences: Sequence[Sequence[str]], scheme: str) -> tuple[list[Sequence[str]], list[int]]:
    """Make the tags of a corpus legal, without Python code per token where they are.

    Parameters
    ----------
    sentences : sequence of sequences of str
        The tags of every sentence.
    scheme : {"iob1", "iob2", "iobes", "io"}
        The scheme they should follow.

    Returns
    -------
    sentences : list
        The same, those that made illegal moves repaired by `repair_tags`.
    repaired : list of int
        Which those are.
    """
    ids, lengths, tags = flatten_tags(sentences)
    start, moves, end = transition_masks(tags, scheme)
    before = shift_within(ids, lengths, -1)
    legal = np.where(before < 0, start[ids], moves[np.maximum(before, 0), ids]) if len(ids) else np.ones(0, bool)
    last = np.cumsum(lengths)[lengths > 0] - 1
    legal[last] &= end[ids[last]]
    row = np.repeat(np.arange(len(lengths)), lengths)
    repaired = np.unique(row[~legal]).tolist()
    sentences = list(sentences)
    for i in repaired:
        sentences[i] = repair_tags(list(sentences[i]), scheme)
    return sentences, repaired


def flatten_tags(sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Turn lists of tags into flat ids, without Python code per token.

    Returns
    -------
    ids : int array [tokens]
        Index into `tags` of every tag, sentence after sentence.
    lengths : int array [sentences]
    tags : list
        The distinct tags, in order of first appearance.
    """
    lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
    index = {tag: i for i, tag in enumerate(dict.fromkeys(chain.from_iterable(sentences)))}
    flat = chain.from_iterable(sentences)
    ids = np.fromiter(map(index.__getitem__, flat), np.int64, int(lengths.sum()))
    return ids, lengths, list(index)


def infer_scheme(sentences_tags: Iterable[Sequence[str]]) -> str | None:
    """Guess the scheme of a corpus from its tags.

    Parameters
    ----------
    sentences_tags : iterable of sequences of str
        The tags of every sentence.

    Returns
    -------
    {"iob1", "iob2", "iobes", "io"} or None
        None if these are not entity tags (parts of speech, numbers, an empty corpus). IOB data with a few faults is
        what most of its entities look like. A corpus whose only tag is ``O`` counts as ``iob2``. Prefixes without a
        type (``B``, ``I``, ``O``) count only together with an ``O``.
    """
    sentences = list(sentences_tags)
    try:
        ids, lengths, tags = flatten_tags(sentences)
    except TypeError:  # sentences without a length, or tags that cannot be hashed
        return None
    if not tags or not all(isinstance(tag, str) for tag in tags):
        return None
    if tags == ["O"]:
        return "iob2"
    prefixes = {tag.partition("-")[0] for tag in tags if tag != "O"}
    typed = {"-" in tag for tag in tags if tag != "O"}
    if not prefixes <= set("BIES") or len(typed) != 1 or any(tag[1:] == "-" for tag in tags):
        return None
    if typed == {False} and ("O" not in tags or not prefixes & set("BI")):
        return None
    if prefixes & set("ES"):
        # I and E alone are the IOE schemes, whose legal moves are others.
        return "iobes" if "S" in prefixes or {"B", "E"} <= prefixes else None
    if "B" not in prefixes:
        return "io"
    group, kind = _tag_arrays([*tags, "O"])
    before = shift_within(ids, lengths, len(tags))
    continues = (group[before] != OUTSIDE) & (kind[before] == kind[ids])
    fresh_b = np.count_nonzero((group[ids] == BEGIN) & ~continues)
    fresh_i = np.count_nonzero((group[ids] == INSIDE) & ~continues)
    return "iob2" if fresh_b >= fresh_i else "iob1"


def shift_within(ids: np.ndarray, lengths: np.ndarray, boundary: int) -> np.ndarray:
    """Id of the token before each token of a flat array; `boundary` where a sentence begins."""
    before = np.empty_like(ids)
    before[1:] = ids[:-1]
    starts = np.cumsum(lengths) - lengths
    before[starts[lengths > 0]] = boundary
    return before


def _tag_arrays(tags: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Prefix class and type number of each tag of a tag set."""
    parsed = [split_tag(tag) for tag in tags]
    kinds = {kind: i for i, kind in enumerate(dict.fromkeys(kind for _, kind in parsed))}
    return np.array([group for group, _ in parsed], np.int64), np.array([kinds[kind] for _, kind in parsed], np.int64)


def transition_masks(tags: Sequence[str], scheme: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which tags may begin a sentence, follow one another, and end a sentence.

    Parameters
    ----------
    tags : sequence of str
        The K tags of a model, in the order of their ids.
    scheme : {"iob1", "iob2", "iobes", "io"} or None
        None (tags that are no entity tags) allows everything.

    Returns
    -------
    start : bool array [K]
    transitions : bool array [K, K]
        ``transitions[i, j]``: tag j may follow tag i.
    end : bool array [K]
        In IOBES a tag whose continuation is missing from `tags` is a dead end: no legal path holds it.
    """
    count = len(tags)
    start, transitions, end = np.ones(count, bool), np.ones((count, count), bool), np.ones(count, bool)
    if scheme is None or not count:
        return start, transitions, end
    check_scheme(scheme)
    _check_tags(tags, _PREFIXES[scheme], scheme)
    group, kind = _tag_arrays(tags)
    same = kind[:, None] == kind[None, :]
    inside = group != OUTSIDE
    if scheme == "iob2":
        start = group != INSIDE
        transitions = (group != INSIDE)[None, :] | (same & inside[:, None])
    elif scheme == "iob1":
        start = group != BEGIN
        transitions = (group != BEGIN)[None, :] | (same & inside[:, None])
    elif scheme == "iobes":
        is_open = np.isin(group, (BEGIN, INSIDE))  # an entity that must go on
        goes_on = np.isin(group, (INSIDE, END))
        start, end = ~goes_on, ~is_open
        transitions = np.where(is_open[:, None], goes_on[None, :] & same, ~goes_on[None, :])
    return start, transitions, end
