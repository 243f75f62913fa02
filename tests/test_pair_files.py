"""Files of pairs, dictionaries, and answers that are written as they come."""

import io
import json
from pathlib import Path

import pytest

from seqkit.errors import FormatError, ParameterError
from seqkit_pipelines.pair_files import answer_lines, grouped, read_dictionary, read_pairs, write_answers


@pytest.fixture
def file(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_pairs_of_one_file(file):
    pairs = file("pairs.tsv", "Va !\tGo.\tCC-BY\n\nCours !\tRun!\n")
    assert read_pairs(pairs) == (["Va !", "Cours !"], ["Go.", "Run!"])
    assert read_pairs(pairs, reverse=True) == (["Go.", "Run!"], ["Va !", "Cours !"])


def test_pairs_of_two_files_keep_empty_lines(file):
    assert read_pairs(file("a", "one\n\nthree\n"), file("b", "eins\nzwei\ndrei\n")) == (
        ["one", "", "three"],
        ["eins", "zwei", "drei"],
    )


def test_faults_of_pairs_are_told_with_their_line(file):
    with pytest.raises(FormatError, match=r"a:3: there is no such line in .*b; both need as many"):
        read_pairs(file("a", "1\n2\n3\n4\n"), file("b", "1\n2\n"))
    with pytest.raises(FormatError, match=r"b:2: there is no such line in .*a; both need as many"):
        read_pairs(file("a", "1\n"), file("b", "1\n2\n"))
    with pytest.raises(FormatError, match=r"c:2: expected a source, a tab and a target; there is no tab"):
        read_pairs(file("c", "a\tb\na b\n"))
    with pytest.raises(FormatError, match=r"d: holds no pairs"):
        read_pairs(file("d", "\n"))


def test_dictionaries_of_both_forms(file):
    """Those of Carnegie Mellon, and of its copy with a number for each variant."""
    one = file("cmudict", ";;; a comment\nREAD  R IY1 D\nREAD(1)  R EH1 D\nA  AH0\nA(1)  AH1\n")
    other = file("nltk", "READ 1 R IY1 D\nREAD 2 R EH1 D\nA 1 AH0\nA 2 AH1\n")
    expected = (["READ", "READ", "A"], [["R", "IY", "D"], ["R", "EH", "D"], ["AH"]])
    assert read_dictionary(one) == read_dictionary(other) == expected
    assert read_dictionary(one, stress=True)[1][2:] == [["AH0"], ["AH1"]]
    assert grouped(*expected) == {"READ": [["R", "IY", "D"], ["R", "EH", "D"]], "A": [["AH"]]}


def test_faults_of_dictionaries(file):
    with pytest.raises(FormatError, match=r"d:2: expected a word and its sounds; 'B' has none"):
        read_dictionary(file("d", "A AH\nB\n"))
    with pytest.raises(FormatError, match="holds no words"):
        read_dictionary(file("e", ";;; nothing\n"))


ANSWERS = [("hi", [(["HH", "AY"], -0.5), (["HH", "IY"], -1.25)]), ("a", [("text", 0.0)])]


def test_answers(tmp_path, capsys):
    path = tmp_path / "out.tsv"
    assert write_answers(path, ANSWERS, told="sounds", count=2, copy=True) == 2
    assert path.read_text() == "hi\tHH AY\t-0.5000\nhi\tHH IY\t-1.2500\na\ttext\t0.0000\n"
    write_answers(path, [ANSWERS[1]], told="sounds", count=1, copy=False)
    assert path.read_text() == "text\n"
    write_answers(tmp_path / "out.jsonl", ANSWERS, told="sounds", count=2, copy=False)
    records = [json.loads(line) for line in io.StringIO((tmp_path / "out.jsonl").read_text())]
    assert records[0] == {"text": "hi", "sounds": [["HH", "AY"], ["HH", "IY"]], "scores": [-0.5, -1.25]}


class Upper:
    """A model that answers in capitals."""

    asked = ()

    def predict_nbest(self, texts, count):
        self.asked = [*self.asked, len(texts)]
        return [[(text.upper(), -0.5)] * count for text in texts]


def test_blank_lines_stay_blank(tmp_path):
    given, out = tmp_path / "in.txt", tmp_path / "out.txt"
    given.write_text("\ufeffone\r\n\r\n \r\ntwo", encoding="utf-8")
    model = Upper()
    answer_lines(model, given, out, count=1, told="answers")
    assert out.read_text(encoding="utf-8") == "ONE\n\n\nTWO\n" and model.asked == [2]
    answer_lines(model, given, out, count=1, told="answers", copy=True, strip=True)
    assert out.read_text(encoding="utf-8") == "one\tONE\n\t\n\t\ntwo\tTWO\n"


def test_sides_that_cannot_be_told_apart(tmp_path):
    with pytest.raises(ParameterError, match="both standard input"):
        read_pairs(Path("-"), Path("-"))
    with pytest.raises(ParameterError, match="--reverse is for pairs in one file"):
        read_pairs(tmp_path / "a", tmp_path / "b", reverse=True)
