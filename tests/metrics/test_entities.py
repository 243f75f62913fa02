"""Entity scores: against the rules of the Perl scorer, and against published scores."""

import os
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seqkit.errors import DataError, InputTypeError
from seqkit.io import iter_conll
from seqkit.metrics import entity_counts, entity_f1, entity_scores, token_accuracy
from seqkit.tags import entity_spans


def start_of_chunk(prev_tag, tag, prev_type, kind):
    """The subroutine of conlleval.pl (2004), statement by statement."""
    pairs = ["BB", "IB", "OB", "OI", "EE", "EI", "OE", "OI"]
    start = prev_tag + "," + tag in [",".join(pair) for pair in pairs]
    if tag not in ("O", ".") and prev_type != kind:
        start = True
    return start or tag in ("[", "]")


def end_of_chunk(prev_tag, tag, prev_type, kind):
    pairs = ["BB", "BO", "IB", "IO", "EE", "EI", "EO", "IO"]
    end = prev_tag + "," + tag in [",".join(pair) for pair in pairs]
    if prev_tag not in ("O", ".") and prev_type != kind:
        end = True
    return end or prev_tag in ("[", "]")


def conlleval(y_true, y_pred, start=start_of_chunk, end=end_of_chunk):
    """The main loop of conlleval.pl; returns counts by type and of tokens."""
    correct, gold, guessed = Counter(), Counter(), Counter()
    in_correct, tokens, right = False, 0, 0
    last_c, last_ct, last_g, last_gt = "O", "", "O", ""
    rows = []
    for true, pred in zip(y_true, y_pred, strict=True):
        rows += [(c, g, False) for c, g in zip(true, pred, strict=True)] + [("O", "O", True)]
    for c_tag, g_tag, boundary in rows:
        (c, _, ct), (g, _, gt) = c_tag.partition("-"), g_tag.partition("-")
        c_ends, g_ends = end(last_c, c, last_ct, ct), end(last_g, g, last_gt, gt)
        if in_correct:
            if c_ends and g_ends and last_gt == last_ct:
                in_correct = False
                correct[last_ct] += 1
            elif c_ends != g_ends or gt != ct:
                in_correct = False
        c_starts, g_starts = start(last_c, c, last_ct, ct), start(last_g, g, last_gt, gt)
        if c_starts and g_starts and gt == ct:
            in_correct = True
        gold[ct] += c_starts
        guessed[gt] += g_starts
        if not boundary:
            right += c == g and gt == ct
            tokens += 1
        last_c, last_ct, last_g, last_gt = c, ct, g, gt
    if in_correct:
        correct[last_ct] += 1
    return correct, gold, guessed, right, tokens


def with_iobes(start_or_end, which):
    """conlleval's rule plus what S, and B after E, mean in IOBES."""

    def rule(prev_tag, tag, prev_type, kind):
        if which == "start":
            ours = tag == "S" or (prev_tag, tag) in {("E", "B"), ("S", "B"), ("S", "I"), ("S", "E")}
        else:
            ours = prev_tag == "S" or (prev_tag, tag) in {("E", "B"), ("B", "S"), ("I", "S"), ("E", "S")}
        return ours or start_or_end(prev_tag, tag, prev_type, kind)

    return rule


def check(y_true, y_pred, **rules):
    correct, gold, guessed, right, tokens = conlleval(y_true, y_pred, **rules)
    scores = entity_scores(y_true, y_pred)
    assert (scores.correct, scores.support, scores.predicted) == tuple(
        sum(c.values()) for c in (correct, gold, guessed)
    )
    assert scores.tokens == tokens
    assert scores.accuracy == (right / tokens if tokens else 0)
    precision = scores.correct / scores.predicted if scores.predicted else 0
    recall = scores.correct / scores.support if scores.support else 0
    assert (scores.precision, scores.recall) == (precision, recall)
    assert scores.f1 == (2 * precision * recall / (precision + recall) if precision + recall else 0)
    for kind in set(+gold) | set(+guessed):
        row = scores.by_type[kind]
        assert (row.correct, row.support, row.predicted) == (correct[kind], gold[kind], guessed[kind])
    assert set(scores.by_type) == set(+gold) | set(+guessed)


PERL_TAGS = ["O", *[f"{prefix}-{kind}" for prefix in "BI" for kind in ("X", "Y-Z", "W")]]
ODD_TAGS = ["B", "I", "-X", "O-X", "NOUN", "M-X", ".", ".-X", "[-X", "]-Y-Z", "B-", "I-", ""]
IOE_TAGS = ["O", "I-X", "E-X", "I-Y", "E-Y", "E"]
IOBES_TAGS = ["O", *[f"{prefix}-{kind}" for prefix in "BIES" for kind in ("X", "Y")], "S", "E"]


def random_pair(rng, alphabet):
    """Predictions that agree with the truth often enough for entities to be correct."""
    y_true = [rng.choices(alphabet, k=rng.choice([0, 1, 2, 5, 9])) for _ in range(rng.randint(1, 4))]
    y_pred = [[tag if rng.random() < 0.8 else rng.choice(alphabet) for tag in tags] for tags in y_true]
    return y_true, y_pred


@pytest.mark.parametrize("alphabet", [PERL_TAGS, PERL_TAGS + ODD_TAGS, IOE_TAGS], ids=["iob", "odd", "ioe"])
def test_equals_conlleval_on_random_sequences(alphabet):
    rng = random.Random(len(alphabet))
    for _ in range(800):
        check(*random_pair(rng, alphabet))


@pytest.mark.parametrize("alphabet", [IOBES_TAGS, IOBES_TAGS + PERL_TAGS + ODD_TAGS], ids=["iobes", "mixed"])
def test_equals_conlleval_with_iobes_rules(alphabet):
    rng = random.Random(len(alphabet))
    rules = {"start": with_iobes(start_of_chunk, "start"), "end": with_iobes(end_of_chunk, "end")}
    for _ in range(800):
        check(*random_pair(rng, alphabet), **rules)


def test_correct_entities_are_the_spans_that_both_have():
    rng = random.Random(5)
    for _ in range(500):
        y_true, y_pred = random_pair(rng, IOBES_TAGS)
        true, pred = (
            {(i, *span) for i, tags in enumerate(y) for span in entity_spans(tags, "iobes")} for y in (y_true, y_pred)
        )
        scores = entity_scores(y_true, y_pred)
        assert (scores.correct, scores.support, scores.predicted) == (len(true & pred), len(true), len(pred))


def test_iobes_scores_as_the_same_entities_in_iob2():
    true, pred = ["S-A", "S-A", "B-A", "E-A", "B-A", "E-A"], ["S-A", "B-A", "E-A", "S-A", "B-A", "E-A"]
    scores = entity_scores([true], [pred])
    assert (scores.correct, scores.predicted, scores.support) == (2, 4, 4)


def test_report_by_hand():
    # Gold: X(0,2) Y(3,4) | X(0,1); predicted: X(0,2) X(3,4) | none. One of two is right, one of three found.
    y_true = [["B-X", "I-X", "O", "B-Y"], ["B-X"]]
    y_pred = [["B-X", "I-X", "O", "B-X"], ["O"]]
    scores = entity_scores(y_true, y_pred)
    assert (scores.precision, scores.recall, scores.f1) == (1 / 2, 1 / 3, 0.4)
    assert scores.accuracy == 3 / 5
    assert scores.by_type["Y"].f1 == 0 and scores.by_type["X"].precision == scores.by_type["X"].recall == 0.5
    assert scores.report().splitlines() == [
        "processed 5 tokens with 3 phrases; found: 2 phrases; correct: 1.",
        "accuracy:  60.00%; precision:  50.00%; recall:  33.33%; FB1:  40.00",
        "                X: precision:  50.00%; recall:  50.00%; FB1:  50.00  2",
        "                Y: precision:   0.00%; recall:   0.00%; FB1:   0.00  0",
    ]


def test_counts_of_flat_ids():
    tags = ["O", "B-X", "I-X", "B-Y"]
    true = np.array([1, 2, 0, 3, 1, 2], np.int32)
    pred = np.array([1, 2, 0, 3, 1, 0], np.int32)
    counts = entity_counts(true, pred, np.array([2, 0, 2, 2]), tags)
    assert counts.types == ("X", "Y")
    assert counts.correct.tolist() == [1, 1]
    assert counts.predicted.tolist() == counts.gold.tolist() == [2, 1]
    assert (counts.correct_tokens, counts.tokens) == (5, 6)
    assert counts.f1 == pytest.approx(2 / 3)


def test_no_python_per_token():
    tags = ["O"] + [f"{p}-{k}" for p in "BI" for k in "ABCDEF"]

    def calls(sentences):
        ids = np.random.default_rng(0).integers(0, len(tags), 20 * sentences)
        lengths, seen = np.full(sentences, 20), []
        sys.setprofile(lambda frame, event, argument: seen.append(event))
        try:
            counts = entity_counts(ids, ids, lengths, tags)
        finally:
            sys.setprofile(None)
        assert counts.correct.sum() > 0 and counts.correct.tolist() == counts.gold.tolist() and counts.f1 == 1
        return len(seen)

    assert calls(10_000) < 2 * calls(100)  # of Python calls, for 100 times the tokens


def test_nothing_to_score():
    for y in ([], [[]], [["O", "O"]]):
        scores = entity_scores(y, y)
        assert (scores.precision, scores.recall, scores.f1, scores.support, scores.by_type) == (0, 0, 0, 0, {})
    assert entity_f1([["O"]], [["B-X"]]) == 0


def test_token_accuracy():
    assert token_accuracy([[1, 2], [3]], [[1, 0], [3]]) == 2 / 3
    assert token_accuracy([["NOUN"]], [np.array(["NOUN"])]) == 1
    assert token_accuracy([], []) == 0


@pytest.mark.parametrize("score", [entity_scores, entity_f1, token_accuracy])
def test_lengths_that_differ_are_named(score):
    with pytest.raises(DataError, match="Sentence 1 has 2 true tags and 1 predicted"):
        score([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(DataError, match="y_true has 1 sentences, y_pred 2"):
        score([["O"]], [["O"], ["O"]])
    with pytest.raises(InputTypeError, match=r"y_pred\[0\]"):
        score([["O"]], ["O"])
    with pytest.raises(InputTypeError, match="y_true must be"):
        score("O", [["O"]])


def test_counts_refuse_ids_without_a_tag():
    with pytest.raises(DataError, match=r"pred_ids must lie in 0\.\.1"):
        entity_counts([0, 1], [0, 2], [2], ["O", "B-X"])
    with pytest.raises(DataError, match="lengths sum to 3"):
        entity_counts([0, 1], [0, 1], [3], ["O", "B-X"])
    with pytest.raises(InputTypeError):
        entity_scores([[1]], [[1]])


PUBLISHED = {  # the figures printed for the submissions to the WNUT-17 shared task
    "uh_ritual": 41.86,
    "spinningbytes.txt": 40.78,
    "sjtu_adapt.txt": 40.42,
    "arcada": 39.98,
    "flytxt": 38.35,
    "mic-cis.txt": 37.06,
    "drexel_cci": 26.30,
}


@pytest.fixture(scope="module")
def wnut17():
    folder = Path(os.environ.get("SEQKIT_DATA", "")) / "wnut17"
    if "SEQKIT_DATA" not in os.environ or not (folder / "submissions").is_dir():
        pytest.skip("needs the WNUT-17 submissions: set SEQKIT_DATA to the folder that holds wnut17/")
    return folder


def flat_tags(path):
    return [tag for _, tags, _ in iter_conll(path) for tag in tags]


@pytest.mark.parametrize("system", PUBLISHED)
def test_shared_task_submissions(wnut17, system):
    # Blank lines differ between the files, tokens do not: predictions are cut where the gold sentences end.
    gold = [tags for _, tags, _ in iter_conll(wnut17 / "emerging.test.annotated")]
    flat = iter(flat_tags(wnut17 / "submissions" / system))
    predicted = [[next(flat) for _ in tags] for tags in gold]
    assert next(flat, None) is None
    assert round(100 * entity_f1(gold, predicted), 2) == PUBLISHED[system]


def test_best_submission_has_published_precision_and_recall(wnut17):
    gold = [tags for _, tags, _ in iter_conll(wnut17 / "emerging.test.annotated")]
    flat = iter(flat_tags(wnut17 / "submissions" / "uh_ritual"))
    scores = entity_scores(gold, [[next(flat) for _ in tags] for tags in gold])
    assert (round(100 * scores.precision, 2), round(100 * scores.recall, 2)) == (57.54, 32.90)
    assert scores.by_type["creative-work"].support == 142
