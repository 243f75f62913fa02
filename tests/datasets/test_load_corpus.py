"""Plain texts: their sizes as their source counts them, their parts, and what is refused."""

import pytest

from seqkit.datasets import load_corpus
from seqkit.errors import ParameterError


def test_tinyshakespeare_is_cut_nine_to_one_and_again(real):
    real("tinyshakespeare")
    train, dev, test = (load_corpus("tinyshakespeare", split) for split in ("train", "dev", "test"))
    assert len(train) + len(dev) == 1_003_854 and len(test) == 111_540
    assert abs(len(dev) - 100_385) <= 1
    assert train.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")
    assert len(set(train + dev + test)) == 65


@pytest.mark.parametrize(
    ("split", "lines", "words"), [("train", 36718, 2051910), ("dev", 3760, 213886), ("test", 4358, 241211)]
)
def test_wikitext2_has_the_counts_of_its_source(real, split, lines, words):
    real("wikitext2")
    tokens = load_corpus("wikitext2", split)
    assert tokens.count("<eos>") == lines and len(tokens) == lines + words


def test_the_vocabulary_of_wikitext2_is_that_of_its_source(real):
    real("wikitext2")
    assert len({token for split in ("train", "dev", "test") for token in load_corpus("wikitext2", split)}) == 33278


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sst2",), "name must be .* That set has labels"),
        (("none such",), "name must be 'tinyshakespeare' or 'wikitext2'; got 'none such'"),
        (("wikitext2", "all"), "must be one of 'train', 'dev', 'test'; got 'all'"),
    ],
)
def test_what_there_is_not(arguments, message):
    with pytest.raises(ParameterError, match=message):
        load_corpus(*arguments)
