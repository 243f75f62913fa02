"""Tag schemes: spans, conversion, repair, inference, legal moves."""

import itertools
import random

import numpy as np
import pytest

from seqkit.errors import DataError, InputTypeError, ParameterError, SeqkitError
from seqkit.tags import (
    convert_tags,
    entity_spans,
    gather_entities,
    infer_scheme,
    place_among_tokens,
    place_in_text,
    repair_corpus,
    repair_tags,
    tags_from_spans,
    transition_masks,
)

# One sentence, its entities, and how each scheme writes it.
ENTITIES = [(0, 1, "PER"), (1, 3, "PER"), (4, 7, "creative-work"), (7, 8, "LOC")]
WRITTEN = {
    "iob1": ["I-PER", "B-PER", "I-PER", "O", "I-creative-work", "I-creative-work", "I-creative-work", "I-LOC"],
    "iob2": ["B-PER", "B-PER", "I-PER", "O", "B-creative-work", "I-creative-work", "I-creative-work", "B-LOC"],
    "iobes": ["S-PER", "B-PER", "E-PER", "O", "B-creative-work", "I-creative-work", "E-creative-work", "S-LOC"],
}


def random_spans(rng, length):
    spans, position = [], 0
    while position < length:
        if rng.random() < 0.6:
            end = min(length, position + rng.randint(1, 3))
            spans.append((position, end, rng.choice(["PER", "a-b-c", "LOC.NAM"])))
            position = end
        else:
            position += 1
    return spans


@pytest.mark.parametrize("scheme", WRITTEN)
def test_spans_and_writing_by_hand(scheme):
    assert entity_spans(WRITTEN[scheme], scheme) == ENTITIES
    assert tags_from_spans(ENTITIES, 8, scheme) == WRITTEN[scheme]


def test_entities_in_a_text_and_among_tokens():
    text, tags, scores = "Ada  Lovelace met Bo", ["B-PER", "I-PER", "O", "B-PER"], [0.9, 0.7, 0.1, 0.8]
    found = gather_entities(tags, "iob2", place_in_text(text, [0, 5, 14, 18], [3, 13, 17, 20]), scores)
    assert [tuple(entity.values()) for entity in found] == [
        (0, 13, "Ada  Lovelace", "PER", 0.7),
        (18, 20, "Bo", "PER", 0.8),
    ]
    assert list(found[0]) == ["start", "end", "text", "label", "score"]
    found = gather_entities(tags, "iob2", place_among_tokens(text.split()))
    assert found[0] == {"start": 0, "end": 2, "text": "Ada Lovelace", "label": "PER"}
    assert [entity["text"] for entity in gather_entities(tags, "iob2", place_among_tokens(None))] == [None, None]
    assert gather_entities(tags, None, place_among_tokens(None)) == []


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(WRITTEN, 2)))
def test_convert_by_hand(source, target):
    assert convert_tags(WRITTEN[source], source, target) == WRITTEN[target]


def test_convert_round_trips_on_random_entities():
    rng = random.Random(0)
    for _ in range(300):
        length = rng.randint(0, 12)
        spans = random_spans(rng, length)
        for scheme in WRITTEN:
            tags = tags_from_spans(spans, length, scheme)
            assert entity_spans(tags, scheme) == spans
            for target in WRITTEN:
                assert convert_tags(tags, scheme, target) == tags_from_spans(spans, length, target)


def test_io_joins_neighbors_of_one_type():
    tags = ["I-PER", "I-PER", "I-LOC", "O", "I-LOC"]
    assert entity_spans(tags, "io") == [(0, 2, "PER"), (2, 3, "LOC"), (4, 5, "LOC")]
    assert convert_tags(tags, "io", "iob2") == ["B-PER", "I-PER", "B-LOC", "O", "B-LOC"]
    assert tags_from_spans(ENTITIES[:2], 3, "io") == ["I-PER", "I-PER", "I-PER"]


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        (["O", "I-PER", "I-PER"], "iob2", ["O", "B-PER", "I-PER"]),
        (["B-PER", "I-LOC", "O"], "iob2", ["B-PER", "B-LOC", "O"]),
        (["O", "B-PER", "B-LOC"], "iob1", ["O", "I-PER", "I-LOC"]),
        (["B-PER", "O", "I-LOC", "I-LOC"], "iobes", ["S-PER", "O", "B-LOC", "E-LOC"]),
        (["B-PER", "E-PER", "S-PER"], "iob2", ["B-PER", "I-PER", "B-PER"]),
        ([], "iob2", []),
    ],
)
def test_repair(tags, scheme, expected):
    assert repair_tags(tags, scheme) == expected


def test_repaired_tags_are_legal_and_keep_their_entities():
    rng = random.Random(1)
    for scheme in ("iob1", "iob2", "iobes"):
        prefixes = "BIES" if scheme == "iobes" else "BI"
        alphabet = ["O"] + [f"{p}-{t}" for p in prefixes for t in ("X", "Y")]
        start, moves, end = transition_masks(alphabet, scheme)
        for _ in range(300):
            tags = rng.choices(alphabet, k=rng.randint(1, 8))
            fixed = repair_tags(tags, scheme)
            assert entity_spans(fixed) == entity_spans(tags)
            ids = [alphabet.index(tag) for tag in fixed]
            assert start[ids[0]] and end[ids[-1]] and all(moves[a, b] for a, b in itertools.pairwise(ids))


@pytest.mark.parametrize("scheme", ["iob1", "iob2", "iobes", "io"])
def test_masks_allow_exactly_the_sequences_that_repair_leaves_alone(scheme):
    prefixes = {"iob1": "BI", "iob2": "BI", "io": "I", "iobes": "BIES"}[scheme]
    tags = (
        ["I-Y", "O", *[f"{p}-X" for p in prefixes]]
        if scheme != "iobes"
        else ["O", *[f"{p}-X" for p in prefixes], "S-Y"]
    )
    start, moves, end = transition_masks(tags, scheme)
    assert start.dtype == moves.dtype == end.dtype == bool
    for length in (1, 2, 3, 4):
        for ids in itertools.product(range(len(tags)), repeat=length):
            path = [tags[i] for i in ids]
            legal = start[ids[0]] and end[ids[-1]] and all(moves[a, b] for a, b in itertools.pairwise(ids))
            assert legal == (repair_tags(path, scheme) == path), path


def test_masks_without_a_scheme_allow_all():
    start, moves, end = transition_masks(["NOUN", "VERB"], None)
    assert start.all() and moves.all() and end.all() and moves.shape == (2, 2)


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        ([WRITTEN["iob1"]], "iob1"),
        ([WRITTEN["iob2"]], "iob2"),
        ([WRITTEN["iobes"]], "iobes"),
        ([["I-PER", "I-PER"], ["O"]], "io"),
        ([["B-PER.NAM", "O"], []], "iob2"),
        ([["B-creative-work", "I-creative-work"]], "iob2"),
        ([["O", "S-PER"]], "iobes"),
        ([["I-A", "E-A", "O"]], None),  # IOE
        ([["B-A", "O", "B-A"], ["O", "I-A"]], "iob2"),  # one fault
        ([["I-A", "B-A"], ["I-A"], ["B-A"]], "iob1"),  # one fault
        ([["I-A"], ["I-A", "B-A"]], "iob1"),
        ([["B", "I", "O"]], "iob2"),
        ([["O", "O"]], "iob2"),
        ([["NOUN", "VERB"]], None),
        ([["NOUN", "B-PER"]], None),
        ([["B", "I"]], None),
        ([["B-PER", "I", "O"]], None),
        ([["B-", "O"]], None),
        ([["M-PER", "O"]], None),
        ([[1, 0]], None),
        ([[None, "O"]], None),
        ([[["B-PER"]]], None),
        ([[]], None),
        ([], None),
        ([np.array(["B-PER", "I-PER"])], "iob2"),
    ],
)
def test_infer(sentences, expected):
    assert infer_scheme(sentences) == expected


def test_infer_reads_no_entity_across_sentences():
    # Read as one sequence, each B would follow an entity of its own type, as in IOB1.
    assert infer_scheme([["B-A"], ["B-A"], ["B-A", "I-A"]]) == "iob2"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: entity_spans(["O"], "bio"), ParameterError, "scheme must be one of"),
        (lambda: entity_spans([3]), InputTypeError, "got 3"),
        (lambda: convert_tags(["O"], "iob2", "io"), ParameterError, "target must be one of"),
        (lambda: convert_tags(["O", "E-PER"], "iob2", "iobes"), DataError, "'E-PER' at token 1"),
        (lambda: repair_tags(["NOUN"]), DataError, "'NOUN' at token 0"),
        (lambda: transition_masks(["O", "S-PER"], "iob2"), DataError, "'S-PER'"),
        (lambda: tags_from_spans([(0, 2, "A"), (1, 3, "A")], 3), DataError, r"\(1, 3, 'A'\)"),
        (lambda: tags_from_spans([(0, 4, "A")], 3), DataError, "3 tokens"),
    ],
)
def test_errors_name_what_is_wrong(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert isinstance(caught.value, SeqkitError)


def test_repair_corpus_touches_only_illegal_sentences():
    legal, illegal, dead_end = ["B-X", "I-X", "O"], ["O", "I-X", "I-Y"], ["B-X"]
    repaired, which = repair_corpus([legal, illegal, [], dead_end], "iob2")
    assert which == [1]
    assert repaired == [legal, ["O", "B-X", "B-Y"], [], dead_end]
    assert repair_corpus([["O", "B-X"], ["S-X"]], "iobes") == ([["O", "S-X"], ["S-X"]], [0])
    assert repair_corpus([[], []], "iob2") == ([[], []], [])
