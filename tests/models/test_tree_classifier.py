"""build_tree_classifier as people who write Keras use it; a tree's answer never depends on its batch."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import DataError, ParameterError
from seqkit.io.trees import Tree
from seqkit.models import build_tree_classifier
from seqkit.models.tree_classifier import TREE_CELLS
from seqkit.text.features import TokenGraph, learn_vocabulary
from seqkit.training.optimizer import FusedAdam
from seqkit.training.tree_batches import corpus_from_trees, model_inputs, tree_tensors

SMALL = {"units": 6, "word_dim": 5, "char_units": 4, "char_dim": 3, "feature_dim": 2, "seed": 0}
WORDS = ["good", "bad", "fun", "dull", "not", "very", "It", "'s", ".", "film"]


def random_tree(rng, most=2, leaves=12):
    """A tree of up to so many leaves; labels 0 to 2, some without."""
    tree = Tree([], [], [])

    def add(n):
        label = str(rng.integers(3)) if rng.random() < 0.7 else ""
        children = ()
        if n > 1:
            parts = min(int(rng.integers(1, most + 1)), n)
            cuts = np.sort(rng.choice(np.arange(1, n), parts - 1, replace=False))
            children = tuple(add(int(k)) for k in np.diff([0, *cuts, n]) if k < n or rng.random() < 0.5)
        if not children:
            tree.tokens.append(WORDS[rng.integers(len(WORDS))])
        else:
            tree.tokens.append(None)
        tree.labels.append(label)
        tree.children.append(children)
        return len(tree.labels) - 1

    add(int(rng.integers(1, leaves + 1)))
    return tree


def chain(depth, to_the_left=False):
    """A tree so deep that each level has one leaf."""
    labels, tokens, children = ["1"], ["good"], [()]
    if to_the_left:
        for _ in range(depth):
            at = len(labels)
            labels += ["2", ""]
            tokens += ["not", None]
            children += [(), (at - 1, at)]
    else:
        labels, tokens, children = ["2"] * depth + labels, ["not"] * depth + tokens, [()] * depth + children
        for k in range(depth):
            children.append((depth - 1 - k, len(labels) - 1))
            labels.append("")
            tokens.append(None)
    return Tree(labels, tokens, children)


class Forest:
    """Trees, and a model for them with weights far from zero."""

    def __init__(self, cell, trees, **options):
        self.data = corpus_from_trees(trees, TREE_CELLS[cell].most_children)
        types = self.data.corpus.types
        vocabulary = learn_vocabulary(types, self.data.corpus.counts, min_feature_count=1)
        self.tensors = tree_tensors(self.data, TokenGraph(vocabulary))
        self.targets = self.data.class_numbers(range(3))
        sizes = dict(characters=vocabulary.n_characters, feature_sizes=vocabulary.feature_sizes)
        self.model = build_tree_classifier(vocabulary.n_words, 3, cell=cell, **{**SMALL, **sizes, **options})
        rng = np.random.default_rng(0)
        for variable in self.model.trainable_variables:
            variable.assign(rng.normal(0, 0.6, variable.shape))
        inputs = self.batch([0])[0]
        sizes = {n: [None, value.shape[1]] if n == "features" else [None] * value.ndim for n, value in inputs.items()}
        signature = {name: tf.TensorSpec(size, tf.int32) for name, size in sizes.items()}
        self.run = tf.function(lambda inputs: self.model(inputs), input_signature=[signature])

    def batch(self, rows):
        """Inputs, and targets in the same order."""
        inputs = model_inputs(self.tensors, np.asarray(rows))
        nodes = inputs.pop("nodes").numpy()
        return inputs, self.targets[nodes], nodes

    def answers(self, rows):
        """Probabilities of all nodes of each tree, in the order of the tree."""
        inputs, _, nodes = self.batch(rows)
        probabilities = np.zeros((len(self.targets), 3))
        probabilities[nodes] = self.run(inputs).numpy()
        return [probabilities[self.data.starts[r] : self.data.starts[r + 1]] for r in rows]


def close(one, other):
    for p, q in zip(one, other, strict=True):
        np.testing.assert_allclose(p, q, atol=1e-5)


@pytest.fixture(scope="module", params=TREE_CELLS)
def forest(request):
    rng = np.random.default_rng(1)
    most = 2 if TREE_CELLS[request.param].most_children else 5
    trees = [random_tree(rng, most) for _ in range(120)]
    alone = Tree(["1"], ["fun"], [()])
    return Forest(request.param, [*trees, alone, chain(2000), chain(2000, to_the_left=True), alone])


# The answer for a tree never depends on its batch


def test_roots_come_first_and_answers_differ(forest):
    inputs, _, nodes = forest.batch(range(20))
    np.testing.assert_array_equal(nodes[:20], forest.data.roots[:20])
    probabilities = forest.run(inputs).numpy()
    assert probabilities.shape == (len(nodes), 3) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert probabilities.std(0).max() > 0.02


def test_alone_in_a_batch_and_shuffled(forest):
    rows = np.arange(120)
    together = forest.answers(rows)
    for row in (0, 1, 2, 50, 119):
        close(forest.answers([row]), [together[row]])
    order = np.random.default_rng(2).permutation(120)
    close(forest.answers(order), [together[row] for row in order])
    close(forest.answers([3, 3, 3]), [together[3]] * 3)


def test_beside_single_leaves_and_very_deep_trees(forest):
    together = forest.answers(range(30))
    found = forest.answers([120, *range(30), 121, 122, 123])
    close(found[1:31], together)
    close(forest.answers([120, 123]), [found[0], found[-1]])  # no level with inner nodes at all
    np.testing.assert_allclose(found[0], found[-1], atol=1e-6)
    close(forest.answers([121]), [found[31]])
    close(forest.answers([122]), [found[32]])
    if forest.model.config["cell"] != "child_sum_lstm":
        assert not np.allclose(found[31][-1], found[32][-1], atol=1e-3)


def test_in_training_dropout_apart_the_answer_is_the_same(forest):
    inputs, _, _ = forest.batch(range(30))
    model = build_tree_classifier(**{**forest.model.get_config(), "name": "dry", "dropout": 0.0})
    model.set_weights(forest.model.get_weights())
    words = model.embed(inputs)  # without word dropout
    hidden = [model.read(words, inputs["child_counts"], inputs["levels"], training=t) for t in (True, False)]
    np.testing.assert_allclose(*hidden, atol=1e-6)


# Plain Keras


def dataset(forest, parts):
    signature = (forest.run.input_signature[0], tf.TensorSpec([None], tf.int32))
    batches = [forest.batch(rows)[:2] for rows in parts]
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)


def test_fit_evaluate_predict():
    """Labels are those of the words "good", "bad" and all others, at leaves and above; the first word decides."""
    rng = np.random.default_rng(0)
    trees = []
    for _ in range(40):
        tree = random_tree(rng)
        labels = []
        for token, children in zip(tree.tokens, tree.children, strict=True):
            labels.append(labels[children[0]] if children else {"good": "1", "bad": "0"}.get(token, "2"))
        trees.append(tree._replace(labels=labels))
    forest = Forest("recursive", trees, dropout=0.0)
    parts = np.array_split(np.arange(40), 3)
    data = dataset(forest, parts)
    model = forest.model
    model.compile(keras.optimizers.Adam(0.03))
    before = model.evaluate(data, verbose=0, return_dict=True)
    assert set(before) == {"loss", "accuracy", "node_accuracy"}
    model.fit(data.repeat(), epochs=15, steps_per_epoch=3, shuffle=False, verbose=0)
    after = model.evaluate(data, verbose=0, return_dict=True)
    assert after["loss"] < 0.2 * before["loss"] and after["accuracy"] > 0.9 and after["node_accuracy"] > 0.9
    probabilities = model.predict(data, verbose=0)
    expected = np.concatenate([model(forest.batch(rows)[0]) for rows in parts])
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_the_loss_is_summed_over_labelled_nodes():
    rng = np.random.default_rng(3)
    forest = Forest("binary_lstm", [random_tree(rng) for _ in range(9)], dropout=0.0)
    forest.model.compile("sgd", run_eagerly=True)
    inputs, targets, _ = forest.batch(range(9))
    assert (targets < 0).any()
    own = -np.log(forest.model(inputs).numpy()[np.arange(len(targets)), targets])
    result = forest.model.test_on_batch(inputs, targets, return_dict=True)
    assert result["loss"] == pytest.approx(own[targets >= 0].sum() / 9, rel=1e-4)
    right = forest.model(inputs).numpy().argmax(-1) == targets
    assert result["node_accuracy"] == pytest.approx(right[targets >= 0].mean(), abs=1e-6)
    assert result["accuracy"] == pytest.approx(right[:9][targets[:9] >= 0].mean(), abs=1e-6)
    weights = rng.random(len(targets)).astype("float32")
    result = forest.model.test_on_batch(inputs, targets, weights, return_dict=True)
    assert result["loss"] == pytest.approx((own * weights)[targets >= 0].sum() / 9, rel=1e-4)
    before = forest.model.get_weights()
    forest.model.train_on_batch(inputs, np.full_like(targets, -1))
    for one, other in zip(before, forest.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


PREDICT_ELSEWHERE = """
import json, sys
import keras, numpy as np
import seqkit.models.tree_classifier, seqkit.training.optimizer
results = []
for path in sys.argv[1:]:
    model = keras.saving.load_model(path + ".keras")
    answer = model(dict(np.load(path + ".npz")))
    results.append([answer.numpy().tolist(), type(model.optimizer).__name__, int(model.optimizer.iterations)])
print(json.dumps(results))
"""


def test_saved_models_answer_the_same_in_a_fresh_process(tmp_path):
    rng = np.random.default_rng(4)
    trees = [random_tree(rng) for _ in range(6)]
    expected = []
    for cell, optimizer in zip(TREE_CELLS, (FusedAdam(0.01), "adam", "sgd"), strict=True):
        forest = Forest(cell, trees, dtype="mixed_bfloat16" if cell == "recursive" else "float32")
        forest.model.compile(optimizer, run_eagerly=True)
        inputs, targets, _ = forest.batch(range(6))
        forest.model.train_on_batch(inputs, targets)
        forest.model.save(tmp_path / f"{cell}.keras")
        np.savez(tmp_path / f"{cell}.npz", **{name: value.numpy() for name, value in inputs.items()})
        expected.append((forest.model.predict_on_batch(inputs), type(forest.model.optimizer).__name__))
    run = subprocess.run(
        [sys.executable, "-c", PREDICT_ELSEWHERE, *(str(tmp_path / cell) for cell in TREE_CELLS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    for found, (probabilities, optimizer) in zip(json.loads(run.stdout.splitlines()[-1]), expected, strict=True):
        np.testing.assert_allclose(found[0], probabilities, atol=1e-6)
        assert found[1:] == [optimizer, 1]


def test_mixed_precision():
    rng = np.random.default_rng(5)
    trees = [random_tree(rng) for _ in range(12)]
    single = Forest("binary_lstm", trees, dropout=0.1)
    mixed = Forest("binary_lstm", trees, dropout=0.1, dtype="mixed_bfloat16")
    inputs, targets, _ = mixed.batch(range(12))
    np.testing.assert_allclose(mixed.model(inputs), single.model(inputs), atol=0.03)
    mixed.model.compile(keras.optimizers.Adam(0.05), run_eagerly=True)
    losses = [mixed.model.train_on_batch(inputs, targets, return_dict=True)["loss"] for _ in range(6)]
    assert np.isfinite(losses).all() and losses[-1] < 0.9 * losses[0]
    assert {v.dtype for v in mixed.model.trainable_variables} == {"float32"}


def test_a_seed_gives_the_same_weights_twice():
    rng = np.random.default_rng(6)
    trees = [random_tree(rng) for _ in range(8)]

    def trained():
        forest = Forest("binary_lstm", trees, dropout=0.3, word_dropout=0.2)
        forest.model.compile("adam", run_eagerly=True)
        inputs, targets, _ = forest.batch(range(8))
        for _ in range(2):
            forest.model.train_on_batch(inputs, targets)
        return forest.model.get_weights()

    for one, other in zip(trained(), trained(), strict=True):
        np.testing.assert_array_equal(one, other)
    fresh = [build_tree_classifier(8, 2, **{**SMALL, "seed": seed}).get_weights() for seed in (0, 0, 1)]
    assert all((a == b).all() for a, b in zip(*fresh[:2], strict=True))
    assert any((a != b).any() for a, b in zip(*fresh[1:], strict=True))


# What cannot be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lstm"}, "cell='lstm' is not known. Expected one of: 'binary_lstm', 'child_sum_lstm', 'recursive'"),
        ({"vocabulary_size": 1}, "vocabulary_size=1 must be at least 2"),
        ({"classes": 0}, "classes=0 must be an integer of at least 1"),
        ({"units": 2.5}, "units=2.5 must be an integer"),
        ({"word_dim": 0}, "word_dim=0 must be an integer of at least 1"),
        ({"characters": -1}, "characters=-1 must be an integer of at least 0"),
        ({"feature_sizes": [3, 0]}, r"feature_sizes=\[3, 0\] must be integers"),
        ({"vector_rows": 8}, "vector_rows=8 and vector_dim=0 go together"),
        ({"dropout": 1.0}, r"dropout=1.0 must be a number in \[0, 1\)"),
        ({"word_dropout": 1.5}, r"word_dropout=1.5 must be a number in \[0, 1\]"),
        ({"char_encoder": "conv"}, "char_encoder='conv' is not known"),
        ({"activation": "tanhh"}, "activation='tanhh' is not known"),
        ({"seed": -1}, "seed=-1 must be an integer of at least 0"),
    ],
)
def test_parameters_that_cannot_be(options, message):
    with pytest.raises(ParameterError, match=message):
        build_tree_classifier(**{"vocabulary_size": 8, "classes": 2, **SMALL, **options})


def test_inputs_that_are_missing_are_named():
    model = build_tree_classifier(8, 2, **SMALL, characters=4, feature_sizes=[3, 2])
    one = {"words": np.array([2]), "child_counts": np.array([0]), "levels": np.array([0, 1])}
    with pytest.raises(DataError, match="This model reads characters"):
        model(one)
    with pytest.raises(DataError, match="This model reads features"):
        model(one | {"characters": np.array([[1]])})
    with pytest.raises(ParameterError, match=r"loss=.*no effect"):
        model.compile("adam", loss="mse")
