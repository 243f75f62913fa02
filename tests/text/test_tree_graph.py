"""Trees parsed in the graph: the same nodes as those of the parser in Python; what is no tree spoils no other row."""

import random

import numpy as np
import pytest
import tensorflow as tf

from seqkit.text.features import TokenGraph, learn_vocabulary
from seqkit.text.tree_graph import parse_trees
from seqkit.training.tree_batches import corpus_from_trees, gather_trees, tree_tensors


def draw(generator, depth=0):
    label = generator.choice(["", "1", "NP"])
    if depth > 4 or generator.random() < 0.3:
        word = generator.choice(["good", "bad", "né", "天", "a\u00a0b"])
        return f"({label} {word})" if label else f"({word})"
    children = [draw(generator, depth + 1) for _ in range(generator.choice([1, 2, 2, 3, 5]))]
    return f"({label} {generator.choice(['', ' ', chr(9)]).join(children)})"


GENERATOR = random.Random(0)
TREES = [draw(GENERATOR) for _ in range(60)] + ["(x)", "(1 x)"]


@pytest.fixture(scope="module", params=[True, False], ids=["pairs", "any"])
def parse(request):
    function = tf.function(
        lambda texts: parse_trees(texts, request.param), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    return function, request.param


@pytest.mark.parametrize("texts", [TREES, ["(1 a)", "(b)"], TREES[:1], ["(1 a)"]])
def test_the_same_nodes_as_in_python(parse, texts):
    function, pairs = parse
    corpus = corpus_from_trees(texts, 2 if pairs else None)
    vocabulary = learn_vocabulary(corpus.corpus.types, corpus.corpus.counts, characters=False, features=False)
    forest = gather_trees(tree_tensors(corpus, TokenGraph(vocabulary)), tf.range(len(texts)))
    found = function(tf.constant(texts))
    expected = corpus.corpus.types.numpy()[forest.types.numpy() - 1]
    assert found.tokens.numpy().tolist() == expected.tolist()
    np.testing.assert_array_equal(found.child_counts, forest.child_counts)
    np.testing.assert_array_equal(found.levels, forest.levels)


@pytest.mark.parametrize(
    "bad",
    ["", " ", "word", "()", "(1 a", "(1 a))", "(1 a) (b)", "(1 a) b", "a (1 b)", "(1 2 3)", "(1 (a) b)", "(1 2 (a))",
     ")(", "(1 ())", "((a) ", "no tree"],
)  # fmt: skip
def test_what_is_no_tree_spoils_no_other_row(parse, bad):
    function, _ = parse
    alone = function(tf.constant(["(1 (a) (b))", "(x)", "(2 c)"]))
    found = function(tf.constant(["(1 (a) (b))", bad, "(2 c)"]))
    np.testing.assert_array_equal(found.child_counts, alone.child_counts)
    np.testing.assert_array_equal(found.levels, alone.levels)
    assert found.tokens.numpy().tolist() == [b"", b"c", b"a", b"b"]
