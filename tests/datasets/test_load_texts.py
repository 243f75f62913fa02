from __future__ import annotations

import os
import zipfile
from collections import Counter

import pytest

from seqkit.datasets import DATASETS, fold_numbers, get_dataset, load_texts, load_trees
from seqkit.errors import DataError, FormatError, ParameterError

POLARITY = {"pos": 5331, "neg": 5331}
SURNAMES = {
    "Arabic": 2000,
    "Chinese": 268,
    "Czech": 519,
    "Dutch": 297,
    "English": 3668,
    "French": 277,
    "German": 724,
    "Greek": 203,
    "Irish": 232,
    "Italian": 709,
    "Japanese": 991,
    "Korean": 94,
    "Polish": 139,
    "Portuguese": 74,
    "Russian": 9384,
    "Scottish": 100,
    "Spanish": 298,
    "Vietnamese": 73,
}

# Labels and tokens (as ASCII blanks separate them) that SOURCE.md counts; None where it counts no tokens.
COUNTS = [
    ("sst2", "train", {}, {1: 3610, 0: 3310}, 128096),
    ("sst2", "dev", {}, {0: 428, 1: 444}, 16331),
    ("sst2", "test", {}, {0: 912, 1: 909}, 33653),
    ("sst_trees", "dev", {}, {0: 139, 1: 289, 2: 229, 3: 279, 4: 165}, 21274),
    ("sst_trees", "test", {}, {0: 279, 1: 633, 2: 389, 3: 510, 4: 399}, 42405),
    ("sst_trees", "dev", {"binary": True}, {0: 428, 1: 444}, None),
    ("sst_trees", "test", {"binary": True}, {0: 912, 1: 909}, None),
    ("sentence_polarity", "all", {}, POLARITY, 112445 + 111628),
    ("movie_reviews", "all", {}, {"pos": 1000, "neg": 1000}, 787051 + 705630),
    ("chnsenticorp_htl", "all", {}, {1: 5322, 0: 2444}, None),
    ("surnames", "all", {}, SURNAMES, None),
    ("names", "all", {}, {"female": 5001, "male": 2943}, None),
]


@pytest.mark.parametrize(("name", "split", "options", "labels", "tokens"), COUNTS)
def test_counts(real, name, split, options, labels, tokens):
    real(name)
    texts, y = load_texts(name, split, **options)
    assert Counter(y) == labels
    assert len(texts) == len(y)
    assert {type(label) for label in y} == {type(label) for label in labels}
    if tokens is not None:
        assert sum(len([t for t in text.replace("\n", " ").split(" ") if t]) for text in texts) == tokens
    assert texts.count("") == (name == "chnsenticorp_htl")


def test_sst_trees_train(real):
    real("sst_trees", "train.txt")
    trees = load_trees("sst_trees")
    labels = Counter(tree.root_label for tree in trees)
    assert labels == {"0": 1092, "1": 2218, "2": 1624, "3": 2322, "4": 1288}
    assert sum(len(tree.labels) for tree in trees) == 318582
    assert sum(len(tree.leaves) for tree in trees) == 163563
    assert all(len(tree.labels) == 2 * len(tree.leaves) - 1 for tree in trees)
    assert labels.total() - labels["2"] == 6920


def test_sst_trees_are_the_sentences(real):
    real("sst_trees")
    trees = load_trees("sst_trees", "dev")
    texts, labels = load_texts("sst_trees", "dev")
    assert texts == [" ".join(tree.leaves) for tree in trees]
    assert labels == [int(tree.root_label) for tree in trees]


def test_chnsenticorp_texts(real):
    real("chnsenticorp_htl")
    texts, _ = load_texts("chnsenticorp_htl", "all")
    assert texts[0].startswith('距离川沙公路较近,但是公交指示不对,如果是"蔡陆线"的话')
    assert sum(map(len, texts)) / len(texts) == pytest.approx(128.5, abs=0.1)


@pytest.mark.parametrize("name", ["sentence_polarity", "movie_reviews"])
def test_folds_are_balanced(real, name):
    real(name)
    _, labels = load_texts(name, "all")
    folds = fold_numbers(name, len(labels))
    found = Counter(zip(folds, labels, strict=True))
    if name == "movie_reviews":
        assert found == {(fold, label): 100 for fold in range(10) for label in ("neg", "pos")}
    else:
        assert folds == [index % 10 for index in range(10662)]
        assert set(found.values()) == {533, 534} and len(found) == 20


def test_order_of_sentence_polarity(real):
    real("sentence_polarity")
    texts, labels = load_texts("sentence_polarity", "all")
    assert labels[:20] == ["pos"] * 10 + ["neg"] * 10
    assert texts[0].startswith("the rock is destined") and texts[10] == "simplistic , silly and tedious ."
    assert labels[-2:] == ["pos", "neg"]


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Writes a made-up copy of a set, its other files empty, and has it found."""
    monkeypatch.setenv("SEQKIT_DATA", str(tmp_path))

    def write(name, **texts):
        (tmp_path / name).mkdir(exist_ok=True)
        for file in DATASETS[name].files:
            (tmp_path / name / file.name).write_bytes(b"")
        for file, text in texts.get("texts", {}).items():
            (tmp_path / name / file).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_sst2_reads_quotes_as_they_are(folder):
    folder("sst2", texts={"train.tsv": "\" it 's good\t1\n", "dev.tsv": "text\t0\n", "test.tsv": "c\t1\n"})
    assert load_texts("sst2") == (["\" it 's good"], [1])
    assert load_texts("sst2", "all") == (["\" it 's good", "text", "c"], [1, 0, 1])
    folder("sst2", texts={"dev.tsv": "a\t1\nb\t2\n"})
    with pytest.raises(FormatError, match=r"dev\.tsv:2: the label must be 0 or 1, got '2'"):
        load_texts("sst2", "dev")


def test_sst_trees_binary_and_faults(folder):
    lines = [f"({label} (2 word) (2 x\u00a0{label}))\n" for label in range(5)]
    folder("sst_trees", texts={"dev.txt": "".join(lines)})
    assert load_texts("sst_trees", "dev")[1] == [0, 1, 2, 3, 4]
    texts, labels = load_texts("sst_trees", "dev", binary=True)
    assert texts == ["word x\u00a00", "word x\u00a01", "word x\u00a03", "word x\u00a04"]
    assert labels == [0, 0, 1, 1]
    folder("sst_trees", texts={"dev.txt": "(2 a)\n(5 b)\n"})
    with pytest.raises(FormatError, match=r"dev\.txt:2: the label at the root must be 0 to 4, got '5'"):
        load_trees("sst_trees", "dev")


def test_sst_trees_train_is_put_there_by_hand(folder):
    path = folder("sst_trees")
    with pytest.raises(DataError, match=r"has no train.txt, .*munikarmanish/RNTN/tree/12bb731b.*its first 8544 trees"):
        load_texts("sst_trees", "train")
    assert load_trees("sst_trees", "dev") == []
    (path / "train.txt").write_text("(1 a)\n" * 8544 + "(1 dev)\n" * 1101)
    assert load_texts("sst_trees", "train") == (["a"] * 8544, [1] * 8544)


def test_sentence_polarity_goes_by_tens(folder):
    texts = {f"rt-polarity.{label}": "".join(f"{label} {i} \n" for i in range(12)) for label in ("pos", "neg")}
    folder("sentence_polarity", texts=texts)
    found, labels = load_texts("sentence_polarity", "all")
    assert (
        found[:2] == ["pos 0", "pos 1"]
        and found[10] == "neg 0"
        and found[20:]
        == [
            "pos 10",
            "pos 11",
            "neg 10",
            "neg 11",
        ]
    )
    assert [text.split()[0] for text in found] == labels


def test_movie_reviews_go_by_number(folder):
    path = folder("movie_reviews") / "movie_reviews.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in ("README", "neg/cv000_7.txt", "neg/cv001_5.txt", "pos/cv001_1.txt", "pos/cv000_3.txt"):
            archive.writestr(f"movie_reviews/{member}", f"{member} \n")
    texts, labels = load_texts("movie_reviews", "all")
    assert texts == [f"{m} \n" for m in ("pos/cv000_3.txt", "neg/cv000_7.txt", "pos/cv001_1.txt", "neg/cv001_5.txt")]
    assert labels == ["pos", "neg", "pos", "neg"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("movie_reviews/neg/cv000_7.txt", b"\xff")
    with pytest.raises(FormatError, match=r"movie_reviews\.zip/movie_reviews/neg/cv000_7\.txt: not valid utf-8"):
        load_texts("movie_reviews", "all")
    path.write_bytes(b"no zip")
    with pytest.raises(FormatError, match=r"movie_reviews\.zip: not a readable zip"):
        load_texts("movie_reviews", "all")


def test_surnames_keep_duplicates_and_lose_blanks(folder):
    folder("surnames", texts={"Chinese.txt": "See \nLi\nLi\n", "Czech.txt": "Adámek\n"})
    assert load_texts("surnames", "all") == (["See", "Li", "Li", "Adámek"], ["Chinese"] * 3 + ["Czech"])


def test_chnsenticorp_empty_text(folder):
    folder("chnsenticorp_htl", texts={"ChnSentiCorp_htl_all.csv": 'label,review\n1,"好,""好"""\n0,\n'})
    assert load_texts("chnsenticorp_htl", "all") == (['好,"好"', ""], [1, 0])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("nowhere",), {}, r"name must be one of 'sst2', 'sst_trees', .*; got 'nowhere'\.$"),
        (("wnut17",), {}, r"got 'wnut17'. That set is tagged: use load_tagging"),
        ((["sst2"],), {}, r"name must be one of 'sst2'"),
        (("sst2", "validation"), {}, r"split of 'sst2' must be one of 'train', 'dev', 'test', 'all'; got 'validation'"),
        (("surnames",), {}, r"split of 'surnames' must be 'all', for it has no parts; got 'train'"),
        (("sst2",), {"binary": True}, r"load_texts\('sst2'\) takes no options; got 'binary'"),
        (("sst_trees",), {"grades": 2}, r"load_texts\('sst_trees'\) takes binary; got 'grades'"),
        (("sst_trees",), {"binary": "yes"}, r"binary must be True or False; got 'yes'"),
    ],
)
def test_wrong_parameters(arguments, options, message):
    with pytest.raises(ParameterError, match=message):
        load_texts(*arguments, **options)


def test_wrong_parameters_of_the_others():
    with pytest.raises(ParameterError, match="name must be 'sst_trees', the data set of trees; got 'sst2'"):
        load_trees("sst2")
    with pytest.raises(ParameterError, match="split of 'sst_trees' must be one of"):
        load_trees("sst_trees", "validation")
    with pytest.raises(ParameterError, match="name must be 'movie_reviews' or 'sentence_polarity'; got 'sst2'"):
        fold_numbers("sst2", 3)


def test_a_set_in_an_archive_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SEQKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    entry = get_dataset("sentence_polarity")
    address = f"https://raw.githubusercontent.com/nltk/nltk_data/{entry.commit}/packages/corpora/sentence_polarity.zip"
    with pytest.raises(DataError, match=f"lie in an archive. Fetch {address}, put rt-polarity.pos, rt-polarity.neg"):
        load_texts("sentence_polarity", "all")
    assert os.listdir(tmp_path / "cache" / "seqkit") == []
