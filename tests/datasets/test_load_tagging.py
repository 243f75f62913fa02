from __future__ import annotations

from collections import Counter

import pytest

from seqkit.datasets import DATASETS, find, load_tagging, map_types
from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.tags import entity_spans, repair_tags

# Sentences, tokens, entities of the published files. For ud_english_ewt: sentences, words, different tags.
COUNTS = [
    ("wnut17", "train", {}, 3394, 62730, 1975),
    ("wnut17", "dev", {}, 1009, 15733, 836),
    ("wnut17", "test", {}, 1287, 23394, 1079),
    ("wikigold", "train", {}, 1696, 39007, 3558),
    ("btc", "train", {}, 5200, 86845, 6832),
    ("btc", "dev", {}, 2138, 34062, 4685),
    ("btc", "test", {}, 2001, 29480, 3368),
    ("btc", "all", {"sections": "ea"}, 1200, 20593, 846),
    ("mit_movie", "train", {}, 9775, 99491, 21295),
    ("mit_movie", "test", {}, 2443, 24686, 5339),
    ("mit_movie", "train", {"corpus": "trivia"}, 7816, 158823, 23030),
    ("mit_movie", "test", {"corpus": "trivia"}, 1953, 39035, 5686),
    ("bc5cdr", "train", {}, 4560, 118170, 9385),
    ("bc5cdr", "dev", {}, 4581, 117453, 9593),
    ("bc5cdr", "test", {}, 4797, 124750, 9809),
    ("weibo_ner", "train", {}, 1350, 73778, 1895),
    ("weibo_ner", "dev", {}, 270, 14509, 389),
    ("weibo_ner", "test", {}, 270, 14842, 418),
    ("snips", "train", {}, 13084, 117700, 33958),
    ("snips", "dev", {}, 700, 6384, 1794),
    ("snips", "test", {}, 700, 6354, 1790),
    ("ud_english_ewt", "train", {}, 12544, 204577, 17),
    ("ud_english_ewt", "dev", {}, 2001, 25147, 17),
    ("ud_english_ewt", "test", {"tag": "xpos"}, 2077, 25094, 48),
]


@pytest.fixture
def real(request):
    """Skip where a public set is not on the machine: tests download nothing."""

    def check(name):
        try:
            find(name, download=False)
        except DataError as error:
            pytest.skip(str(error))

    return check


@pytest.mark.parametrize(("name", "split", "options", "sentences", "tokens", "entities"), COUNTS)
def test_counts(real, name, split, options, sentences, tokens, entities):
    real(name)
    X, y = load_tagging(name, split, **options)
    assert [len(s) for s in X] == [len(t) for t in y]
    if name == "ud_english_ewt":
        found = len({tag for row in y for tag in row})
    else:
        assert [repair_tags(row) for row in y] == y  # legal IOB2
        found = sum(len(entity_spans(row)) for row in y)
    assert (len(X), sum(map(len, X)), found) == (sentences, tokens, entities)
    assert all(token for row in X for token in row)


def test_btc_and_wikigold_join_wnut17(real):
    real("btc")
    real("wikigold")
    types = {"PER": "person", "LOC": "location", "ORG": "corporation", "MISC": None}
    tags = [tag for name in ("btc", "wikigold") for tag in load_tagging(name, "all")[1]]
    found = Counter(kind for row in map_types(tags, types) for _, _, kind in entity_spans(row))
    persons, places, groups = 7928 + 934, 2822 + 1014, 4135 + 898
    assert found == {"person": persons, "location": places, "corporation": groups}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Writes a made-up copy of a set, its other files empty, and has it found."""
    monkeypatch.setenv("SEQKIT_DATA", str(tmp_path))

    def write(name, **files):
        for file in DATASETS[name].files:
            path = tmp_path / name / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        for file, text in files.get("texts", {}).items():
            (tmp_path / name / file).write_text(text, encoding="utf-8")

    return write


def test_wnut17_mark_and_lone_inside_tag(folder):
    folder("wnut17", texts={"emerging.dev.conll": "\ufeffAda\tI-person\nsleeps\tO\n\nin\tO\nBergen\tB-location\n"})
    X, y = load_tagging("wnut17", "dev")
    assert X == [["Ada", "sleeps"], ["in", "Bergen"]]
    assert y == [["B-person", "O"], ["O", "B-location"]]


def test_wikigold_becomes_iob2(folder):
    folder("wikigold", texts={"wikigold.conll.txt": "Ada I-PER\nBell I-PER\nOslo I-LOC\n. O\n"})
    assert load_tagging("wikigold") == ([["Ada", "Bell", "Oslo", "."]], [["B-PER", "I-PER", "B-LOC", "O"]])


def test_btc_lines_without_a_token(folder):
    folder("btc", texts={"h.conll": "hi\tO\n\tO\n \tO\n\n\tO\n", "g.conll": "Oslo\tB-LOC\n"})
    assert load_tagging("btc", "test")[0] == [["hi", "\ufffd", "\ufffd"], ["\ufffd"]]
    assert load_tagging("btc", "train", sections="g") == ([["Oslo"]], [["B-LOC"]])
    assert load_tagging("btc", "all", sections="gg") == ([["Oslo"]], [["B-LOC"]])


def test_weibo_positions_are_taken_off(folder):
    folder("weibo_ner", texts={"weiboNER_2nd_conll.dev": "对0\tO\n30\tO\n310\tO\n\ufffd\ufffd0\tO\n李0\tB-PER.NAM\n"})
    X, y = load_tagging("weibo_ner", "dev")
    assert X == [["对", "3", "3", "\ufffd\ufffd", "李"]]
    assert y == [["O", "O", "O", "O", "B-PER.NAM"]]
    folder("weibo_ner", texts={"weiboNER_2nd_conll.dev": "对\tO\n"})
    with pytest.raises(FormatError, match=r"weiboNER_2nd_conll\.dev: every token .* got '对'"):
        load_tagging("weibo_ner", "dev")


def test_snips_reads_parallel_lines(folder):
    folder("snips", texts={"valid/seq.in": "play bach now \n", "valid/seq.out": "O I-artist O \n"})
    assert load_tagging("snips", "dev") == ([["play", "bach", "now"]], [["O", "B-artist", "O"]])
    folder("snips", texts={"valid/seq.in": "a b\nc d\n", "valid/seq.out": "O O\nO\n"})
    with pytest.raises(FormatError, match=r"seq\.out:2: has 1 tags, but the line in .*seq\.in has 2 tokens"):
        load_tagging("snips", "dev")
    folder("snips", texts={"valid/seq.in": "a b\nc d\n", "valid/seq.out": "O O\n"})
    with pytest.raises(FormatError, match="has 1 lines, but"):
        load_tagging("snips", "dev")


def test_all_joins_the_splits_in_order(folder):
    texts = {"train.tsv": "a\tO\n", "devel.tsv": "b\tO\n", "test.tsv": "c\tB-Disease\n"}
    folder("bc5cdr", texts=texts)
    assert load_tagging("bc5cdr", "all") == ([["a"], ["b"], ["c"]], [["O"], ["O"], ["B-Disease"]])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("wikigold", "test"), {}, r"split of 'wikigold' must be one of 'train', 'all'; got 'test'"),
        (("mit_movie", "dev"), {}, r"'train', 'test', 'all'; got 'dev'. Cut one from train"),
        (("mit_movie",), {"corpus": "both"}, r"corpus must be 'eng' or 'trivia'; got 'both'"),
        (("btc",), {"sections": "ac"}, r"sections must be letters of 'abefgh'.*got 'ac'"),
        (("btc",), {"sections": ""}, r"sections must be letters"),
        (("btc",), {"section": "a"}, r"load_tagging\('btc'\) takes sections; got 'section'"),
        (("snips",), {"tag": "upos"}, r"takes no options; got 'tag'"),
        (("nowhere",), {}, r"name must be one of 'wnut17'"),
    ],
)
def test_wrong_parameters(arguments, options, message):
    with pytest.raises(ParameterError, match=message):
        load_tagging(*arguments, **options)


def test_map_types_renames_joins_and_drops():
    tags = [["B-PER", "I-PER", "B-LOC", "O"], [], ["B-creative-work", "I-creative-work", "S-MISC", "E-MISC"]]
    types = {"PER": "name", "LOC": "name", "creative-work": "work", "MISC": None}
    assert map_types(tags, types) == [["B-name", "I-name", "B-name", "O"], [], ["B-work", "I-work", "O", "O"]]
    assert tags[0][0] == "B-PER"  # the argument stays as it was


def test_map_types_wants_every_type_named():
    with pytest.raises(ParameterError, match=r"'ORG' \(tags\[1\]\[2\] is 'I-ORG'\) is not in \['LOC', 'PER'\]"):
        map_types([["B-PER"], ["O", "B-LOC", "I-ORG"]], {"PER": "p", "LOC": None})


@pytest.mark.parametrize("tag", ["NOUN", "B", "B-", "X-PER", ""])
def test_map_types_refuses_what_is_no_entity_tag(tag):
    with pytest.raises(DataError, match=r"tags\[0\]\[1\] must be 'O' or a prefix and a type"):
        map_types([["O", tag]], {"PER": None, "": None})
