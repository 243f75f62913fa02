"""Tree to one: a class for every node of a parse tree, and so for the tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from seqkit.cells.recursive import RecursiveCell
from seqkit.cells.tree_lstm import BinaryTreeLSTMCell, ChildSumTreeLSTMCell
from seqkit.errors import ParameterError
from seqkit.models.text_model import TextModel

#: Recurrences over trees, by name.
TREE_CELLS = {"binary_lstm": BinaryTreeLSTMCell, "child_sum_lstm": ChildSumTreeLSTMCell, "recursive": RecursiveCell}


@keras.saving.register_keras_serializable("seqkit")
class TreeReader(TextModel):
    """The model that `build_tree_classifier` makes; its arguments are theirs.

    Called on a batch of trees it gives probabilities [nodes, classes], and so does ``predict``; those of the roots come
    first. ``fit`` needs no loss: the model brings its own.
    """

    cells = TREE_CELLS
    integers: Mapping[str, int] = {"classes": 1, "units": 1}
    kind = "tree classifier"
    brings = "loss and metrics, over labelled nodes"

    def __init__(
        self,
        vocabulary_size: int = 0,
        classes: int = 2,
        *,
        cell: str = "binary_lstm",
        units: int = 150,
        activation: str | None = "tanh",
        dropout: float = 0.5,
        word_dim: int = 100,
        word_dropout: float = 0.0,
        rare_from: int | None = None,
        vector_rows: int = 0,
        vector_dim: int = 0,
        characters: int = 0,
        char_encoder: str | None = "cnn",
        char_dim: int = 30,
        char_units: int = 50,
        feature_sizes: Sequence[int] = (),
        feature_dim: int = 20,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(locals(), **kwargs)
        self.supports_jit = False  # a batch of trees has no fixed size
        shared = dict(dtype=self.dtype_policy)
        self.encoder = self._make_encoder()
        self.input_dropout = keras.layers.Dropout(dropout, seed=self._seed(2), **shared, name="input_dropout")
        self.cell = TREE_CELLS[cell](
            units,
            activation=activation,
            kernel_initializer=keras.initializers.GlorotUniform(self._seed(3)),
            recurrent_initializer=keras.initializers.GlorotUniform(self._seed(4)),
            **shared,
            name="cell",
        )
        self.cell.build((None, self.encoder.output_dim))
        self.output_dropout = keras.layers.Dropout(dropout, seed=self._seed(5), **shared, name="output_dropout")
        start = keras.initializers.GlorotUniform(self._seed(6))
        self.dense = keras.layers.Dense(classes, kernel_initializer=start, **shared, name="outputs")
        self.dense.build((None, units))
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.node_tracker = keras.metrics.Mean(name="node_accuracy")
        self.root_tracker = keras.metrics.Mean(name="accuracy")
        self.built = True

    def _check(self):
        super()._check()
        c = self.config
        if c["char_encoder"] not in ("cnn", "rnn", None):
            raise ParameterError(f"char_encoder={c['char_encoder']!r} is not known. Expected 'cnn', 'rnn' or None.")

    def embed(self, inputs, training=False):
        """Return the vectors of leaves [leaves, dim] from what `call` takes."""
        self._check_given(inputs, "{!r} too")
        character_vectors = features = None
        if self.encoder.char_encoder:
            characters = tf.cast(inputs["characters"], tf.int32)
            character_vectors = self.encoder.encode_characters(characters, training=training)
        if self.config["feature_sizes"]:
            features = tf.cast(inputs["features"], tf.int32)
        return self.encoder(tf.cast(inputs["words"], tf.int32), features, character_vectors, training=training)

    def read(self, vectors, child_counts, levels, training=False):
        """Return h of all nodes.

        Args:
            vectors: Vectors of leaves [leaves, dim].
            child_counts: Integer tensor [nodes].
            levels: Integer tensor [depths + 1].
            training: Whether dropout is active.

        Returns:
            Tensor [nodes, units]. Nodes are in breadth-first order, see `seqkit.cells.tree.TreeCell.read`.
        """
        leaves = self.cell.leaves(self.input_dropout(vectors, training=training))
        return self.cell.hidden(self.cell.read(leaves, child_counts, levels, training=training))

    def outputs(self, hidden, training=False):
        """Return the logits of classes, float32 [nodes, classes], from h of nodes."""
        return tf.cast(self.dense(self.output_dropout(hidden, training=training)), tf.float32)

    def losses(self, vectors, child_counts, levels, targets, training=True):
        """Return the cross-entropy of each node, float32 [nodes]; 0 where there is no label.

        Args:
            vectors: Vectors of leaves [leaves, dim].
            child_counts: Integer tensor [nodes].
            levels: Integer tensor [depths + 1].
            targets: Class numbers [nodes], -1 for a node without a label.
            training: Whether dropout is active.
        """
        hidden = self.read(vectors, child_counts, levels, training=training)
        return self._cross_entropy(self.outputs(hidden, training=training), targets)

    @staticmethod
    def _cross_entropy(logits, targets):
        targets = tf.cast(targets, tf.int32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.maximum(targets, 0), logits=logits)
        return tf.where(targets >= 0, losses, 0.0)

    def call(self, inputs, training=False):
        """Return probabilities of classes, float32 [nodes, classes].

        Args:
            inputs: A batch of trees, all nodes in breadth-first order: the roots of all trees, then all nodes of depth
                1, and so on, each level tree by tree and from left to right. A dict of ``words`` [leaves], the word ids
                of leaves in this order, with ``characters`` [leaves, longest token] and ``features`` [leaves,
                features] where the model reads them; ``child_counts`` [nodes], 0 for a leaf; and ``levels``
                [depths + 1], the first node of each level, then the number of nodes.
                `seqkit.training.tree_batches.model_inputs` makes it.
            training: Whether dropout is active.
        """
        vectors = self.embed(inputs, training=training)
        hidden = self.read(vectors, inputs["child_counts"], inputs["levels"], training=training)
        return tf.nn.softmax(self.outputs(hidden, training=training))

    # Keras' fit and evaluate, on batches of trees.

    @property
    def metrics(self):
        """Running means: of the loss per tree, and of the share of labelled roots and nodes that are right."""
        return [self.loss_tracker, self.root_tracker, self.node_tracker]

    def train_step(self, data):
        """Take one optimizer step on a batch of trees."""
        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            vectors = self.embed(inputs, training=True)
            losses = self.losses(vectors, inputs["child_counts"], inputs["levels"], targets)
            loss = self._per_tree(losses, inputs, sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        self.loss_tracker.update_state(loss, sample_weight=inputs["levels"][1])
        return {"loss": self.loss_tracker.result()}

    def test_step(self, data):
        """Measure a batch of trees."""
        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        hidden = self.read(self.embed(inputs), inputs["child_counts"], inputs["levels"])
        logits, trees = self.outputs(hidden), inputs["levels"][1]
        loss = self._per_tree(self._cross_entropy(logits, targets), inputs, sample_weight)
        targets = tf.cast(targets, tf.int32)
        right = tf.cast(tf.argmax(logits, -1, tf.int32) == targets, tf.float32)
        known = tf.cast(targets >= 0, tf.float32)
        self.loss_tracker.update_state(loss, sample_weight=trees)
        self.node_tracker.update_state(right, sample_weight=known)
        self.root_tracker.update_state(right[:trees], sample_weight=known[:trees])
        return {metric.name: metric.result() for metric in self.metrics}

    @staticmethod
    def _per_tree(losses, inputs, sample_weight):
        """Return the sum of nodes' losses divided by the number of trees."""
        if sample_weight is not None:
            losses *= tf.cast(sample_weight, losses.dtype)
        return tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(inputs["levels"][1], losses.dtype))


def build_tree_classifier(vocabulary_size: int = 0, classes: int = 2, *, cell: str = "binary_lstm", **options):
    """Build a classifier of parse trees: a ``keras.Model`` from batches of trees to probabilities of every node.

    Nothing in it is learned yet; use it with plain ``compile(optimizer)``, ``fit``, ``predict`` and ``save``. The
    vectors of tokens go into the leaves, a recursive network makes a state of every node from those of its children,
    and a dense layer with softmax makes classes of the states. All nodes of one depth are one step, whatever tree they
    are of. The loss is the cross-entropy summed over the labelled nodes of a tree.

    A batch is a dict of tensors that tell a number of trees, see `TreeReader.call`; targets are class numbers of its
    nodes in the same order, -1 for a node without a label; sample weights are those of nodes. Since a batch is no stack
    of equal rows, ``fit``, ``evaluate`` and ``predict`` take a ``tf.data.Dataset`` of batches, and ``train_on_batch``,
    ``predict_on_batch`` or a call one batch.

    Parameters
    ----------
    vocabulary_size : int
        Number of word ids; 0 is padding, 1 the unknown word.
    classes : int, default 2
        Number of classes.
    cell : {"binary_lstm", "child_sum_lstm", "recursive"}, default "binary_lstm"
        The recurrence, see `seqkit.cells.tree_lstm` and `seqkit.cells.recursive`. Nodes have one or two children, with
        "child_sum_lstm" any number.
    units : int, default 150
        Size of a node's state.
    activation : str or None, default "tanh"
        Activation of the state; any Keras name.
    dropout : float, default 0.5
        Share of features of leaf vectors, and of node states before the dense layer, dropped in training.
    word_dim : int, default 100
        Size of learned word vectors.
    word_dropout : float, default 0.0
        Share of words replaced by the unknown word in training.
    rare_from : int or None, default None
        First id of rare words, of which one half are replaced in training.
    vector_rows, vector_dim : int, default 0
        Size of a table of fixed vectors of words.
    characters : int, default 0
        Number of character ids, 0 for no character encoder.
    char_encoder : {"cnn", "rnn"} or None, default "cnn"
        How the characters of a token are read.
    char_dim, char_units : int, default 30 and 50
        Size of characters' vectors, and of what the encoder makes of a token.
    feature_sizes : sequence of int, default ()
        Number of ids of each outward feature of a token.
    feature_dim : int, default 20
        Size of each outward feature's vector.
    seed : int or None, default None
        Seed of initial weights and dropout.

    Returns
    -------
    TreeReader
        A ``keras.Model``.

    Examples
    --------
    >>> model = build_tree_classifier(vocabulary_size=100, classes=2)
    >>> # ((7 8) 9) and (5): two roots; three nodes below them; two below these
    >>> batch = {"words": [9, 5, 7, 8], "child_counts": [2, 1, 2, 0, 0, 0, 0], "levels": [0, 2, 5, 7]}
    >>> model({name: np.array(values) for name, values in batch.items()})[:2]  # the roots'
    """
    return TreeReader(vocabulary_size, classes, cell=cell, **options)
