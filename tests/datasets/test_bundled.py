from __future__ import annotations

import subprocess
import sys
from collections import defaultdict

import pytest

from seqkit.datasets import load_ner_sample
from seqkit.tags import entity_spans, infer_scheme, repair_tags


@pytest.fixture(scope="module")
def sample():
    return load_ner_sample()


def names(sentences, tags):
    """(surface form, type) of every entity, in order."""
    for tokens, row in zip(sentences, tags, strict=True):
        for start, end, kind in entity_spans(row):
            yield " ".join(tokens[start:end]), kind


def test_sizes_and_alignment(sample):
    assert len(sample.X_train) >= 640
    assert len(sample.X_dev) >= 120
    for sentences, tags in (sample[:2], sample[2:]):
        assert [len(s) for s in sentences] == [len(t) for t in tags]
        assert all(sentences)
        assert not [token for s in sentences for token in s if token != token.strip() or " " in token or not token]


def test_tags_are_legal_iob2_of_three_types(sample):
    for tags in (sample.y_train, sample.y_dev):
        assert infer_scheme(tags) == "iob2"
        assert [repair_tags(row) for row in tags] == tags
        assert {tag.partition("-")[2] for row in tags for tag in row} == {"", "PER", "LOC", "ORG"}


def test_most_names_of_dev_are_not_in_train(sample):
    known = {name for name, _ in names(*sample[:2])}
    dev = {name for name, _ in names(*sample[2:])}
    assert len(dev - known) / len(dev) >= 0.6
    assert dev & known  # but not all of them are new


def test_no_sentence_twice(sample):
    sentences = [tuple(s) for s in sample.X_train + sample.X_dev]
    assert len(sentences) == len(set(sentences))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("Jordan", {"PER", "LOC"}),
        ("Paris", {"PER", "LOC"}),
        ("Washington", {"PER", "LOC", "ORG"}),
        ("Mercer", {"PER", "ORG"}),
        ("Spain", {"LOC", "ORG"}),
    ],
)
def test_ambiguous_names_occur_as_each_type(sample, name, kinds):
    seen = defaultdict(set)
    for form, kind in names(*sample[:2]):
        seen[form].add(kind)
    assert kinds <= seen[name]


def test_kinds_of_sentences(sample):
    for X, y in (sample[:2], sample[2:]):
        assert any(all(tag == "O" for tag in row) for row in y)  # no entity
        assert any(row[0] != "O" for row in y)  # one at the start
        assert any(row[-1] != "O" for row in y)  # one at the end
        assert any(entity_spans(row) and "".join(s).islower() for s, row in zip(X, y, strict=True))
        assert any(entity_spans(row) and "".join(s).isupper() for s, row in zip(X, y, strict=True))


def test_each_call_gives_lists_of_its_own(sample):
    other = load_ner_sample()
    assert other == sample
    other.X_train[0].append("changed")
    assert load_ner_sample() == sample


def test_tokens_are_those_of_the_default_tokenizer(sample):
    # Otherwise a model trained on the sample would meet other tokens when it tags raw text.
    tokenize_texts = pytest.importorskip("seqkit.text.tokenizer").tokenize_texts
    sentences = sample.X_train + sample.X_dev
    found = [list(row.tokens) for row in tokenize_texts([" ".join(tokens) for tokens in sentences])]
    assert [(f, s) for f, s in zip(found, sentences, strict=True) if f != s] == []


def test_import_is_light():
    heavy = ("tensorflow", "keras", "numpy", "pyarrow", "sklearn", "urllib.request")
    code = f"import sys, seqkit.datasets; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
