"""Pairs: their counts, their parts, and what is refused."""

import pytest

from seqkit.datasets import load_pairs
from seqkit.errors import ParameterError


def test_words_of_cmudict_are_in_one_part_with_all_their_sounds(real):
    real("cmudict")
    parts = {split: load_pairs("cmudict", split) for split in ("train", "dev", "test")}
    words = {split: set(sources) for split, (sources, _) in parts.items()}
    assert sum(map(len, words.values())) == len(set.union(*words.values())) == 123_455
    assert 0.045 < len(words["dev"]) / 123_455 < 0.055 and 0.045 < len(words["test"]) / 123_455 < 0.055
    assert len({phone for _, targets in parts.values() for target in targets for phone in target}) == 39
    sources, targets = parts["train"]
    assert [t for s, t in zip(sources, targets, strict=True) if s == "A"] == [["AH"], ["EY"]]


def test_sentences_that_share_a_side_are_in_one_part(real):
    real("tatoeba_fra_eng")
    parts = {split: load_pairs("tatoeba_fra_eng", split) for split in ("train", "dev", "test")}
    assert sum(len(sources) for sources, _ in parts.values()) == 142_787
    for side in range(2):
        held = [set(pairs[side]) for pairs in parts.values()]
        assert not held[0] & held[1] and not held[0] & held[2] and not held[1] & held[2]
    assert 0.04 < len(parts["dev"][0]) / 142_787 < 0.06 and 0.04 < len(parts["test"][0]) / 142_787 < 0.06
    assert parts["train"][0][0] == "Va !" and parts["train"][1][0] == "Go."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sst2",), "name must be .* That set is of another kind"),
        (("none such",), "name must be 'cmudict' or 'tatoeba_fra_eng'; got 'none such'"),
        (("cmudict", "all"), "must be one of 'train', 'dev', 'test'; got 'all'"),
    ],
)
def test_what_there_is_not(arguments, message):
    with pytest.raises(ParameterError, match=message):
        load_pairs(*arguments)
