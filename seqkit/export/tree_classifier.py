"""The serving form of a `TreeClassifier`: a tree in brackets in, its class out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from seqkit.export.requests import string_table
from seqkit.export.sequence_serving import Untracked, encoded
from seqkit.export.writer import raw_variables, write_export
from seqkit.text.features import TokenGraph
from seqkit.text.tree_graph import parse_trees
from seqkit.training.token_batches import token_vectors


class TreeServing(tf.Module):
    """The signature of a tree classifier.

    Parameters
    ----------
    estimator : seqkit.TreeClassifier
        A fitted one.
    """

    def __init__(self, estimator):
        super().__init__(name="model")
        self._variables = raw_variables(estimator.model_)
        self._model = Untracked(estimator.model_)
        self._graph = TokenGraph(estimator.vocabulary_)
        self._classes = tf.constant([str(label) for label in estimator.classes_])
        self._pairs = estimator._model_config["cell"] != "child_sum_lstm"
        self.serving_default = tf.function(
            self._answer, input_signature=[tf.TensorSpec([None], tf.string, name="tree")], autograph=False
        )

    def _answer(self, tree):
        """Return ``label`` [n], ``probabilities`` [n, k] and ``classes`` [n, k] of the roots."""
        model, rows = self._model.object, tf.shape(tree)[0]
        # One more, so that there is a tree at least.
        nodes = parse_trees(tf.concat([tree, ["(x)"]], 0), self._pairs)
        distinct, place = tf.unique(nodes.tokens)
        vectors = token_vectors(model.encoder, self._graph(distinct), place)
        hidden = model.read(vectors, nodes.child_counts, nodes.levels)
        probabilities = tf.nn.softmax(model.outputs(hidden[:rows]))
        return {
            "label": tf.gather(self._classes, tf.argmax(probabilities, -1)),
            "probabilities": probabilities,
            "classes": tf.repeat(self._classes[None], rows, 0),
        }


def export_tree_classifier(estimator, root) -> Path:
    """Write ``root/<next version>``; see ``TreeClassifier.export``."""
    words = (estimator.vocabulary_.words * 4)[:4] or ["x"] * 4
    a, b, c, d = (word.replace("(", "-LRB-").replace(")", "-RRB-") for word in words)
    trees = [
        f"(0 (1 {a}) (2 (0 {b}) (1 {c})))",
        f"({a})",
        f"(1 ({b}) ({c}) (0 ({d}) ({a})) ({b}))",
        "(0 (1 unséen) (1 天))",
    ]
    names = [str(label) for label in estimator.classes_]
    answer = {
        "label": encoded([str(label) for label in estimator.predict(trees)]),
        "probabilities": estimator.predict_proba(trees).astype(np.float32),
        "classes": string_table([names] * len(trees)),
    }
    serving = TreeServing(estimator)
    return write_export(
        root,
        serving,
        {"serving_default": serving.serving_default},
        requests={"serving_default": [{"tree": encoded(trees)}]},
        expected={"serving_default": [answer]},
        manifest=estimator._manifest() | {"kind": "export", "task": "tree classification", "classes": names},
    )
