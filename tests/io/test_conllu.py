"""CoNLL-U."""

import io
import os
from pathlib import Path

import pytest

from seqkit.errors import DataError, FormatError, ParameterError
from seqkit.io import iter_conllu, read_conllu, write_conllu

TEXT = """# newdoc
# text = I don't know #tags
1\tI\tI\tPRON\tPRP\tCase=Nom|Number=Sing|Person=1\t4\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\tNumber[psor]=Sing\t4\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
3.1\tmaybe\t_\tADV\t_\t_\t_\t_\t_\t_
4\tknow\tknow\tVERB\tVB\tVerbForm=Inf\t0\troot\t_\t_
5\t#tags\t#tags\tX\tADD\t_\t4\tobj\t_\t_

1\t3 000\t3000\tNUM\tCD\tNumber=Plur\t0\troot\t_\t_
"""
WORDS = [["I", "do", "n't", "know", "#tags"], ["3 000"]]


@pytest.mark.parametrize(
    ("tag", "tags"),
    [
        ("upos", [["PRON", "AUX", "PART", "VERB", "X"], ["NUM"]]),
        ("xpos", [["PRP", "VBP", "RB", "VB", "ADD"], ["CD"]]),
        ("deprel", [["nsubj", "aux", "advmod", "root", "obj"], ["root"]]),
        ("Number", [["Sing", "_", "_", "_", "_"], ["Plur"]]),
        ("Number[psor]", [["_", "Sing", "_", "_", "_"], ["_"]]),
    ],
)
def test_read(tag, tags):
    assert read_conllu(io.StringIO(TEXT), tag) == (WORDS, tags)


def test_lines_of_a_stream():
    assert [(len(words), line) for words, _, line in iter_conllu(io.StringIO(TEXT))] == [(5, 3), (1, 11)]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("1\tI\tI\tPRON\n", 1, "expected 10 columns .*got 4"),
        (TEXT.replace("\n\n", "\n"), 10, "expected the word id 6, got '1'"),
        (TEXT.replace("\n4\t", "\nx\t"), 8, "got 'x'"),
        (TEXT.replace("\tI\tI\t", "\t\tI\t"), 3, "FORM. is empty"),
    ],
)
def test_faults_come_with_file_and_line(tmp_path, text, line, words):
    path = tmp_path / "x.conllu"
    path.write_text(text)
    with pytest.raises(FormatError, match=words) as caught:
        read_conllu(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_wrong_tag():
    with pytest.raises(ParameterError, match="got 'pos'"):
        read_conllu(io.StringIO(TEXT), "pos")
    with pytest.raises(FormatError, match="no word has a value for 'Gender'"):
        read_conllu(io.StringIO(TEXT), "Gender")


@pytest.mark.parametrize("tag", ["upos", "xpos", "deprel", "Number"])
def test_round_trip(tmp_path, tag):
    words, tags = read_conllu(io.StringIO(TEXT), tag)
    write_conllu(tmp_path / "out.conllu", iter(words), iter(tags), tag)
    assert read_conllu(tmp_path / "out.conllu", tag) == (words, tags)


def test_a_failed_write_leaves_nothing(tmp_path):
    for words, tags in ((["a", "b"], ["X"]), (["a\tb"], ["X"])):
        with pytest.raises(DataError, match="Sentence 1"):
            write_conllu(tmp_path / "out.conllu", [["a"], words], [["X"], tags])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "sentences", "words", "xpos"),
    [
        ("en_ewt-ud-train.conllu.gz", 12544, 204577, 49),
        ("en_ewt-ud-dev.conllu", 2001, 25147, 49),
        ("en_ewt-ud-test.conllu", 2077, 25094, 48),
    ],
)
def test_real_treebank(name, sentences, words, xpos):
    path = Path(os.environ.get("SEQKIT_DATA", "no-such-folder")) / "ud_english_ewt" / name
    if not path.exists():
        pytest.skip("needs ud_english_ewt: set SEQKIT_DATA to the folder that holds it")
    tokens, tags = read_conllu(path)
    assert (len(tokens), sum(map(len, tokens)), len({t for row in tags for t in row})) == (sentences, words, 17)
    if "train" not in name:  # the other columns once, for the time it takes
        assert len({t for row in read_conllu(path, "xpos")[1] for t in row}) == xpos
