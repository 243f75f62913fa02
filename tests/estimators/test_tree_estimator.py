"""TreeClassifier: what it learns, what labels mean, what trees may be, and that copies are the same."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
from sklearn.base import clone

import seqkit
from seqkit import TreeClassifier
from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.io.trees import Tree, parse_tree
from seqkit.training.tree_batches import corpus_from_trees

FAST = {
    "cell": "recursive",
    "units": 8,
    "word_dim": 8,
    "char_encoder": None,
    "dropout": 0.0,
    "word_dropout": 0.0,
    "average_weights": False,
    "validation_fraction": None,
    "batch_size": 8,
    "epochs": 1,
    "learning_rate": 0.03,
    "random_state": 0,
    "verbose": 0,
}
GRADES = {"good": 1, "fun": 1, "bad": 0, "dull": 0}


def make(**parameters):
    return TreeClassifier(**{**FAST, **parameters})


def phrase(generator, negations=2):
    """A phrase and its grade: "not" turns what it stands before around."""
    if negations and generator.random() < 0.6:
        inner, grade = phrase(generator, negations - 1)
        return f"({1 - grade} ({generator.choice('01')} not) {inner})", 1 - grade
    word = generator.choice(list(GRADES))
    return f"({GRADES[word]} (1 a) ({GRADES[word]} {word}))", GRADES[word]


@pytest.fixture(scope="module")
def trees():
    generator = random.Random(0)
    return [phrase(generator)[0] for _ in range(80)]


@pytest.fixture(scope="module")
def fitted(trees):
    """With all that the default has, in small."""
    options = dict(cell="binary_lstm", char_encoder="cnn", char_units=4, dropout=0.1, average_weights=True, epochs=8)
    return make(**options).fit(trees[:60], validation_data=(trees[60:], None))


# What is learned


def test_learns_negation(trees):
    classifier = make(cell="binary_lstm", epochs=12).fit(trees[:60])
    assert classifier.score(trees[60:]) == 1.0
    assert classifier.predict(["(good)", "((not) ((a) (good)))"]).tolist() == [1, 0]


def test_history_and_best_weights(fitted, trees):
    history = fitted.history_
    assert list(history) == ["loss", "accuracy", "validation_loss", "seconds", "tokens_per_second", "elapsed"]
    assert {len(values) for values in history.values()} == {8}
    assert fitted.score(trees[60:]) == max(history["accuracy"])
    assert fitted.classes_.tolist() == [0, 1]


def test_nodes_and_their_order(fitted, trees):
    parsed = [parse_tree(tree) for tree in trees]
    nodes = fitted.predict_nodes_proba(trees)
    assert [len(n) for n in nodes] == [len(tree.labels) for tree in parsed]
    np.testing.assert_allclose([n[-1] for n in nodes], fitted.predict_proba(trees), atol=1e-6)
    assert [n[-1] for n in fitted.predict_nodes(trees)] == fitted.predict(trees).tolist()
    # A leaf's answer is that of its word alone, wherever it stands.
    for tree, probabilities in list(zip(parsed, nodes, strict=True))[:5]:
        for token, p in zip(tree.tokens, probabilities, strict=True):
            if token:
                np.testing.assert_allclose(p, fitted.predict_proba([f"({token})"])[0], atol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(parsed[:7]), fitted.predict_proba(trees[:7]), atol=1e-6)


@pytest.mark.parametrize("cell", ["recursive", "child_sum_lstm"])
def test_nodes_of_many_children_keep_their_number_and_order(cell):
    text = "(0 (1 a) (0 b) (1 c) (0 (1 d) (0 e) (1 f)))"
    classifier = make(cell=cell).fit([text, "(1 b)"])
    (nodes,) = classifier.predict_nodes_proba([text])
    assert nodes.shape == (8, 2)
    (inner,) = classifier.predict_nodes_proba(["(0 (1 d) (0 e) (1 f))"])
    np.testing.assert_allclose(nodes[3:7], inner, atol=1e-5)
    # For cells of two children (a b c) is read as ((a b) c).
    deep = classifier.predict_proba(["(((a) (b)) (c))", "((a) (b) (c))"])
    assert np.allclose(deep[0], deep[1], atol=1e-6) == (cell == "recursive")


# What labels mean


def targets_of(classifier, trees, y=None):
    """What the nodes are to be, as class numbers."""
    return classifier._fit_targets(y, classifier._read(trees, fresh=True), True).tolist()


def test_classes_are_those_of_the_roots_or_of_y():
    trees = ["(3 (0 a) (1 b))", "(1 (3 a) (x b))"]
    classifier = make()
    assert targets_of(classifier, trees) == [-1, 0, 1, 1, -1, 0]
    assert classifier.classes_.tolist() == [1, 3]
    # The second root says 1, y says 3; below the roots labels count where they are classes, as text.
    assert targets_of(classifier, trees, np.array([3, 3])) == [-1, -1, 0, 0, -1, 0]
    assert targets_of(classifier, trees, np.array([3.0, 0.0])) == [0, -1, 1, 1, -1, 0]
    assert classifier.classes_.tolist() == [0.0, 3.0]
    assert targets_of(classifier, trees, ["3", "0"]) == [0, -1, 1, 1, -1, 0]
    assert targets_of(make(node_labels=False), trees) == [-1, -1, 1, -1, -1, 0]
    assert targets_of(classifier, ["(pos (S a) (neg b))", "(neg a)"]) == [-1, 0, 1, 0]
    assert classifier.classes_.tolist() == ["neg", "pos"]


def test_label_map_leaves_labels_out():
    binary = {"0": "neg", "1": "neg", "3": "pos", "4": "pos"}
    trees = ["(3 (2 a) (4 b))", "(2 (1 a) (2 b))", "(0 (2 (1 c) (2 d)) (4 e))"]
    classifier = make(label_map=binary).fit(trees)
    assert classifier.classes_.tolist() == ["neg", "pos"]
    assert targets_of(make(label_map=binary), trees) == [-1, 1, 1, 0, -1, -1, 0, -1, -1, 1, 0]
    predicted = classifier.predict(trees)
    expected = np.mean([predicted[0] == "pos", predicted[2] == "neg"])  # the second does not count
    assert classifier.score(trees) == pytest.approx(expected)
    assert classifier.score(trees, sample_weight=[0, 5, 1]) == (predicted[2] == "neg")
    assert classifier.score(trees, ["pos", "neg", "neg"]) == np.mean(predicted == ["pos", "neg", "neg"])
    assert targets_of(make(label_map={0: 7, 3: 5}), trees) == [-1, -1, 0, -1, -1, -1, -1, -1, -1, -1, 1]
    with pytest.raises(DataError, match="No root has a class"):
        make(label_map={"9": "pos"}).fit(trees)


def test_blanks_are_those_of_the_export(tmp_path):
    assert make().fit(["(1\v(0 a) (1 b))", "(0\fc)"] * 3).export(tmp_path / "trees").name == "1"
    with pytest.raises(DataError, match="more than one token"):
        make().fit(["(1 (0 a\vq) (1 b))"])


def test_weights_of_trees_classes_and_roots(monkeypatch):
    from seqkit.training import fitting

    seen = []
    fit_model = fitting.fit_model
    monkeypatch.setattr(fitting, "fit_model", lambda *arguments: seen.append(arguments))
    trees = ["(1 (0 a) (1 b))", "(0 a)", "(1 (x b))"]  # no word is rare, and dropped for that

    def node_weights(**options):
        make(**options).fit(trees)
        return seen[-1][2]["node_weights"].tolist()

    assert node_weights() == [1] * 6
    assert node_weights(root_weight=2.0) == [1, 1, 2, 2, 1, 2]
    assert node_weights(class_weight={0: 3.0}) == [3, 1, 1, 3, 1, 1]
    assert node_weights(class_weight={0: 3.0}, root_weight=0) == [3, 1, 0, 0, 1, 0]
    # Two nodes of class 0 and three of class 1.
    np.testing.assert_allclose(node_weights(class_weight="balanced"), [5 / 4, 5 / 6, 5 / 6, 5 / 4, 1, 5 / 6])

    fit_model(*seen[0])
    estimator, data, targets, *_, losses = seen[0]
    tensors = estimator._tensors(data)
    rows = np.array([2, 0])
    before = losses(estimator.model_, tensors, targets, rows, rows)[0]
    own = -np.log(estimator.predict_proba(trees))[rows, [1, 1]]
    np.testing.assert_allclose(before[0], own[0], rtol=1e-4)  # one label
    nodes = -np.log(estimator.predict_nodes_proba(trees[:1])[0])[range(3), [0, 1, 1]]
    np.testing.assert_allclose(before[1], nodes.sum(), rtol=1e-4)
    targets = targets | {"node_weights": np.array([0, 2, 1, 0, 0, 5], np.float32)}
    found = losses(estimator.model_, tensors, targets, rows, rows)[0]
    np.testing.assert_allclose(found, [5 * own[0], nodes @ [0, 2, 1]], rtol=1e-4)


def test_errors_about_labels(trees, fitted):
    with pytest.raises(DataError, match=r"X\[1\] has no label at its root"):
        make().fit(["(1 (0 a) (1 b))", "((0 a) (1 b))"])
    assert targets_of(make(), ["(1 (0 a) (1 b))", "((0 a) (1 b))"], [0, 1]) == [0, 1, 0, 0, 1, 1]
    classifier = clone(fitted).set_params(warm_start=True)
    classifier.__setstate__(fitted.__getstate__() | {"warm_start": True})
    with pytest.raises(DataError, match=r"root of X\[0\] is '2'.*Known are: 0, 1"):
        classifier.fit(["(2 a)"])
    with pytest.raises(DataError, match=r"y\[0\] is 2.*Known are: 0, 1"):
        classifier.fit(["(1 a)"], [2])
    with pytest.raises(DataError, match=r"root of validation_data\[0\]\[0\] is '2'"):
        make().fit(trees[:8], validation_data=(["(2 a)"], None))
    with pytest.raises(DataError, match="one class for each tree"):
        make().fit(trees[:2], [{0, 1}, {1}])
    with pytest.raises(DataError, match="8 and 7"):
        make().fit(trees[:8], [1] * 7)


# What trees may be


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ("(1 (0 a) (1 b)", DataError, r"X\[1\]: missing closing bracket: 1 open"),
        ("", DataError, r"X\[1\]: empty text"),
        ("(1 ())", DataError, r"X\[1\]: empty brackets at character 4"),
        (None, InputTypeError, r"X\[1\] must be a tree in brackets.*got None"),
        (["a", "b"], InputTypeError, r"X\[1\] must be a tree in brackets.*got list"),
        (Tree(["1", "0"], ["a", "b"], [(), (0,)]), DataError, r"X\[1\]: node 1 is out of place"),
        (Tree(["1", "1", "0"], ["a", "b", None], [(), (), (1, 0)]), DataError, r"X\[1\]: node 2 is out of place"),
        (Tree(["1", "1", "0"], ["a", "b", None], [(), (), (1,)]), DataError, r"X\[1\]: node 2 is out of place"),
        (Tree(["1", "0"], ["a", None], [(), (7,)]), DataError, r"X\[1\]: node 1 is out of place"),
        (Tree(["1"], [None], [()]), DataError, r"X\[1\]: node 0 is out of place"),
        (Tree(["1"], [], [()]), DataError, r"X\[1\]: labels, tokens and children must be of one length"),
        (Tree([1], ["a"], [()]), InputTypeError, r"X\[1\]: labels must be strings"),
        (Tree(["1"], [3], [()]), InputTypeError, r"X\[1\]\[0\] must be a string, got int"),
    ],
)
def test_what_is_no_tree_is_named(bad, error, message, fitted):
    for call in (make().fit, fitted.predict):
        with pytest.raises(error, match=message):
            call(["(1 a)", bad])


def test_other_bad_input(fitted, trees):
    for bad in ("(1 a)", None, 3, {}):
        with pytest.raises(InputTypeError):
            fitted.predict(bad)
    with pytest.raises(DataError, match=r"X\[1\] has length 3, more than max_length=2"):
        make(max_length=2).fit(["(1 a)", "(1 (0 a) (1 (0 b) (1 c)))"])
    with pytest.raises(ParameterError, match="'label_map' parameter"):
        make(label_map=["pos"]).fit(trees)
    with pytest.raises(ParameterError, match="'cell' parameter"):
        make(cell="lstm").fit(trees)
    assert fitted.predict([]).tolist() == [] and fitted.predict_proba([]).shape == (0, 2)
    assert fitted.predict_nodes([]) == [] and fitted.predict_nodes_proba([]) == []


def test_odd_tokens_and_depth(fitted):
    """Tokens never seen, with a no-break space, NUL and half a surrogate pair; a tree of 1,500 levels."""
    odd = ["(x\u00a0y)", "(a\x00b)", "(\ud83d)", "((( (good) )))", "((a) (b) (c) (d) (e))"]
    deep = "(1 (1 not) " * 1500 + "(1 good)" + ")" * 1500
    proba = fitted.predict_proba([*odd, deep])
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba([deep])[0], proba[-1], atol=1e-5)
    assert len(fitted.predict_nodes([deep])[0]) == 3001


def test_trees_become_flat_arrays():
    data = corpus_from_trees(["(a (b x) (c (d y) (e z) (f u) (g x)))", "(h y)"])
    assert data.child_counts.tolist() == [0, 0, 0, 0, 0, 4, 2, 0]
    assert data.depths.tolist() == [1, 2, 2, 2, 2, 1, 0, 0]
    assert data.corpus.index.tolist() == [0, 1, 2, 3, 0, 1]
    assert data.roots.tolist() == [6, 7] and data.lengths.tolist() == [5, 1]
    pairs = corpus_from_trees(["(a (b x) (c (d y) (e z) (f u) (g x)))", "(h y)"], most_children=2)
    assert pairs.child_counts.tolist() == [0, 0, 0, 2, 0, 2, 0, 2, 2, 0]  # x ((y z) u) x
    assert pairs.depths.tolist() == [1, 4, 4, 3, 3, 2, 2, 1, 0, 0]
    assert [pairs.labels[i] if i >= 0 else "" for i in pairs.label_index] == [
        "b",
        "d",
        "e",
        "",
        "f",
        "",
        "g",
        "c",
        "a",
        "h",
    ]
    assert pairs.positions(np.array([1, 0])).tolist() == [9, *range(9)]


# The same fit, and the same model


def same_weights(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.model_.get_weights(), other.model_.get_weights(), strict=True))


def test_random_state_decides_all(trees):
    options = dict(dropout=0.5, word_dropout=0.3, validation_fraction=0.2, average_weights=True, epochs=2)
    one = make(**options).fit(trees[:40])
    assert len(one.history_["accuracy"]) == 2
    two = clone(one).set_params(random_state=1, epochs=1).fit(trees)
    assert not same_weights(one, two)
    two.set_params(random_state=0, epochs=2).fit(trees[:40])  # afresh
    assert same_weights(one, two) and one.history_["loss"] == two.history_["loss"]


def test_copies_answer_the_same(fitted, trees, tmp_path):
    expected = fitted.predict_proba(trees)
    saved = seqkit.load(fitted.save(tmp_path / "trees"))
    for other in (pickle.loads(pickle.dumps(fitted)), saved, TreeClassifier.load(tmp_path / "trees")):
        np.testing.assert_array_equal(other.predict_proba(trees), expected)
        assert other.get_params() == fitted.get_params()
        assert other.classes_.dtype == fitted.classes_.dtype
    fitted = pickle.loads(pickle.dumps(fitted)).set_params(label_map={0: 1, 1: 0})
    loaded = TreeClassifier.load(fitted.save(tmp_path / "mapped"))
    assert loaded.label_map == {0: 1, 1: 0} and loaded.score(trees) == pytest.approx(1 - saved.score(trees))
    with pytest.raises(DataError, match="a class that was not there"):
        loaded.partial_fit(["(1 a)"], ["other"])


def test_partial_fit_and_warm_start(trees):
    classifier = make()
    assert classifier.partial_fit(trees[:16], classes=[0, 1, 2]) is classifier
    for _ in range(5):
        classifier.partial_fit(trees[:16])
    losses = classifier.history_["loss"]
    assert len(losses) == 6 and losses[-1] < 0.7 * losses[0] and classifier.classes_.tolist() == [0, 1, 2]
    classifier.set_params(warm_start=True, learning_rate=1e-9)
    before = classifier.model_.get_weights()
    classifier.fit(["(1 (0 unheard) (1 of))"])
    for one, other in zip(before, classifier.model_.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_checkpoint_is_resumed(trees, tmp_path, monkeypatch):
    whole = make(epochs=3, dropout=0.3).fit(trees[:24])
    from seqkit.training import loop

    class Stopped(Exception):
        pass

    run = loop.TrainingLoop._epoch

    def until_the_third(self, epoch):
        if epoch == 2:
            raise Stopped
        return run(self, epoch)

    resumed = make(epochs=3, dropout=0.3, checkpoint_dir=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(loop.TrainingLoop, "_epoch", until_the_third)
        with pytest.raises(Stopped):
            resumed.fit(trees[:24])
    assert same_weights(resumed.fit(trees[:24]), whole)
    assert len(resumed.history_["loss"]) == 3
