"""A class for a parse tree, and for each of its nodes."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions

from seqkit.errors import DataError
from seqkit.estimators.class_labels import SINGLE, as_targets, class_numbers, column, kind_of_classes, learn_classes
from seqkit.estimators.sequence_estimator import (
    READER_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    SequenceEstimator,
    split_rows,
)
from seqkit.estimators.sequences import as_list
from seqkit.estimators.targets import check_class_weight
from seqkit.training.held_out import random_part

_TOKENS = ("word_dim", "char_encoder", "char_units", "shape_features", "word_vectors", "lowercase", "min_count")
_NETWORK = ("units", "activation", "dropout", "word_dropout")


class TreeClassifier(ClassifierMixin, SequenceEstimator):
    """Classify parse trees, and all nodes of them, with a recursive network.

    Tokens become vectors (word, characters, shape) at the leaves, each node's state is made of those of its children,
    and a dense layer decides at every node; the root's class is that of the tree.

    Trees may have labels at their nodes, as ``(3 (2 It) (4 (2 's) (4 good)))`` has them. The classes are those of the
    roots: their labels, or ``y``. An inner node or leaf whose label, after ``label_map``, is one of the classes (as
    text) is learned too; any other label is no label.

    Parameters
    ----------
    cell : {"binary_lstm", "child_sum_lstm", "recursive"}, default="binary_lstm"
        The recurrence: a Tree-LSTM over one or two children in order or over any number in none (Tai et al. 2015), or
        the plain recursive network over one or two (Socher et al. 2011). For cells of two, nodes of more become
        chains of nodes of two, branching to the left.
    units : int, default=150
        Size of a node's state.
    activation : str or None, default="tanh"
        Activation of the state; any Keras name.
    word_dim : int, default=100
        Size of the learned word vectors.
    char_encoder : {"cnn", "rnn"} or None, default="cnn"
        How the characters of a token are read.
    char_units : int, default=50
        Size of a token's vector from its characters.
    shape_features : bool, default=False
        Whether to look at a token's shape (capitals, digits, signs) and at its prefixes and suffixes.
    word_vectors : str, os.PathLike or None, default=None
        File of pretrained vectors (GloVe, word2vec text, fastText ``.vec``, also gzip). They are kept fixed beside the
        learned ones, those of words outside the training data too.
    dropout : float, default=0.5
        Share of features of leaf vectors, and of states before the dense layer, dropped in training.
    word_dropout : float, default=0.05
        Share of words replaced by the unknown word in training; of words seen once, one half.
    node_labels : bool, default=True
        Whether labels below the root are learned too.
    root_weight : float, default=1.0
        Weight of the root's part of the loss, beside 1 for every other node with a label.
    label_map : dict or None, default=None
        The class that each label of the trees stands for; labels that it lacks are no labels. None: the labels are the
        classes, as ints if those of all roots are whole numbers.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class' part of the loss (1 where a dict has none; "balanced": all classes count the same).
    lowercase : bool, default=True
        Whether words are looked up in lower case; characters and shape keep the case in view.
    min_count : int, default=1
        Words seen less often are unknown words.
    optimizer : str, dict or keras.optimizers.Optimizer, default="adam"
        A Keras name, configuration, or optimizer (which is copied).
    learning_rate : float, default=0.002
        Step size, for an optimizer given by name.
    gradient_clip : float or None, default=5.0
        Largest norm of all gradients together.
    batch_size : int, default=25
        Trees in a training step.
    epochs : int, default=30
        Most passes over the training data.
    patience : int or None, default=6
        Passes without a better score on the validation part before training ends; None: never early.
    validation_fraction : float or None, default=0.1
        Share of the training data, taken at random from each class, that judges each pass, where `fit` is given no
        validation data. None or 0: none, and no early stopping.
    average_weights : bool, default=True
        Whether the moving average of the weights is what is scored and kept.
    max_length : int or None, default=None
        Most tokens accepted in a tree; more raise. None: no limit. Nothing is ever cut.
    warm_start : bool, default=False
        Whether `fit` continues from the present weights. New words are then unknown words, new classes an error.
    checkpoint_dir : str, os.PathLike or None, default=None
        Folder for the state after each pass; `fit` with the same parameters and data resumes from it.
    strategy : {"mirrored", "multi_worker"} or None, default=None
        Devices that share the rows of each batch. None: one. "mirrored": all of this machine (GPUs, where it has some).
        "multi_worker": those of all workers that ``TF_CONFIG`` names, each a process that runs the same `fit`.
    mixed_precision : {"bfloat16"} or None, default=None
        Type of the matrix products in training. Weights, states and losses stay float32, and so does all that the
        fitted model does.
    random_state : int, numpy.random.RandomState or None, default=None
        Seed of weights, dropout, order and the validation part. An int gives the same fit each time on one machine.
    verbose : {"auto", 0, 1, 2}, default="auto"
        Progress: a bar on a terminal ("auto"), none (0), a bar (1), a line a pass (2).

    Attributes
    ----------
    model_ : keras.Model
        The network, made by `seqkit.models.build_tree_classifier`.
    classes_ : ndarray
        The classes, sorted.
    vocabulary_ : seqkit.text.features.TokenVocabulary
        What was learned about tokens.
    history_ : dict
        For each pass: "loss" (summed over the nodes of a tree), "accuracy" and "validation_loss" of the validation
        part's roots, "seconds", "tokens_per_second" in training, "elapsed".
    vector_coverage_ : seqkit.text.vectors.Coverage
        With ``word_vectors``: how much of the training vocabulary has a vector; ``print`` shows a report.

    Examples
    --------
    >>> from seqkit import TreeClassifier
    >>> trees = ["(1 (1 good) (1 fun))", "(0 (0 not) (1 fun))"] * 20
    >>> classifier = TreeClassifier(random_state=0).fit(trees)  # doctest: +SKIP
    >>> classifier.predict(["(x (x not) (x good))"])  # doctest: +SKIP
    array([0])
    """

    _parameter_constraints = {  # noqa: RUF012
        "cell": [StrOptions({"binary_lstm", "child_sum_lstm", "recursive"})],
        **{name: READER_CONSTRAINTS[name] for name in _TOKENS + _NETWORK},
        "node_labels": ["boolean"],
        "root_weight": [Interval(Real, 0, None, closed="left")],
        "label_map": [dict, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        **TRAINING_CONSTRAINTS,
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }
    _plain_state = ("history_", "data_fingerprint_", "_seed")
    _builder = "build_tree_classifier"

    def __init__(
        self,
        cell="binary_lstm",
        units=150,
        activation="tanh",
        word_dim=100,
        char_encoder="cnn",
        char_units=50,
        shape_features=False,
        word_vectors=None,
        dropout=0.5,
        word_dropout=0.05,
        node_labels=True,
        root_weight=1.0,
        label_map=None,
        class_weight=None,
        lowercase=True,
        min_count=1,
        optimizer="adam",
        learning_rate=0.002,
        gradient_clip=5.0,
        batch_size=25,
        epochs=30,
        patience=6,
        validation_fraction=0.1,
        average_weights=True,
        max_length=None,
        warm_start=False,
        checkpoint_dir=None,
        strategy=None,
        mixed_precision=None,
        random_state=None,
        verbose="auto",
    ):
        self.cell = cell
        self.units = units
        self.activation = activation
        self.word_dim = word_dim
        self.char_encoder = char_encoder
        self.char_units = char_units
        self.shape_features = shape_features
        self.word_vectors = word_vectors
        self.dropout = dropout
        self.word_dropout = word_dropout
        self.node_labels = node_labels
        self.root_weight = root_weight
        self.label_map = label_map
        self.class_weight = class_weight
        self.lowercase = lowercase
        self.min_count = min_count
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.gradient_clip = gradient_clip
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.average_weights = average_weights
        self.max_length = max_length
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.strategy = strategy
        self.mixed_precision = mixed_precision
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None, validation_data=None, sample_weight=None):
        """Train on trees.

        Parameters
        ----------
        X : list of str or list of seqkit.io.Tree
            Trees, in brackets or parsed.
        y : list or array, optional
            The class of each tree; by default what its root's label stands for. Where the two differ, ``y`` counts.
        validation_data : tuple (X, y), optional
            What judges each pass, y again a list or None; by default a random ``validation_fraction`` of the training
            data.
        sample_weight : array of shape (n,), optional
            Weight of each tree's loss.

        Returns
        -------
        self
        """
        return super().fit(X, y, validation_data, sample_weight)

    def partial_fit(self, X, y=None, classes=None, sample_weight=None):
        """Take one pass over more data, continuing from the present weights.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        classes : list, optional
            All classes there will be, at the first call; by default those of the roots. Later, new classes are an
            error; new words are always unknown words.
        sample_weight : array of shape (n,), optional
            Weight of each tree's loss.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, classes, sample_weight)

    # What X and y are

    def _read(self, X, fresh=False, name="X"):
        from seqkit.training.tree_batches import corpus_from_trees

        cell = self.cell if fresh else self._model_config["cell"]
        data = corpus_from_trees(as_list(X, name), None if cell == "child_sum_lstm" else 2, name)
        if self.max_length is not None and len(data) and data.lengths.max() > self.max_length:
            i = int(data.lengths.argmax())
            raise DataError(
                f"{name}[{i}] has length {data.lengths[i]}, more than max_length={self.max_length} tokens. Leave it "
                "out, or raise max_length (None: no limit); nothing is cut silently."
            )
        return data

    def _root_numbers(self, y, data, name="X", y_name="y") -> np.ndarray:
        """Return the class number of each tree, int32; -1 where ``label_map`` has none for its root's label."""
        if y is not None:
            return class_numbers(_one_each(y, data, y_name), SINGLE, self.classes_, y_name)
        numbers = data.class_numbers(self.classes_, self.label_map)[data.roots]
        for i, (n, meaning) in enumerate(zip(numbers, data.root_meanings(self.label_map), strict=True)):
            if n < 0 and meaning is not None:
                raise DataError(
                    f"The label of the root of {name}[{i}] is {meaning!r}, a class that was not there when fitting "
                    f"began. Known are: {', '.join(map(repr, self.classes_.tolist()))[:400]}."
                )
            if n < 0 and self.label_map is None:
                raise DataError(f"{name}[{i}] has no label at its root. Label it, or give {y_name}.")
        return numbers

    def _fit_targets(self, y, data, fresh, classes=None) -> np.ndarray:
        y = None if y is None else as_targets(y, len(data))
        if classes is not None:
            classes = as_targets(classes, len(classes), "classes")
        if fresh:
            values = classes
            if values is None and y is not None:
                values = _one_each(y, data, "y")
            elif values is None:
                values = [value for value in data.root_meanings(self.label_map) if value is not None]
                if self.label_map is None and all(v.isdecimal() and str(int(v)) == v for v in values):
                    values = [int(v) for v in values]
            self.classes_ = learn_classes(values, SINGLE, "y" if classes is None else "classes")
        elif classes is not None:
            class_numbers(classes, SINGLE, self.classes_, "classes")
        roots = self._root_numbers(y, data)
        if fresh and not len(self.classes_):
            raise DataError("No root has a class: there is nothing to fit. Give y, or another label_map.")
        targets = np.full(len(data.depths), -1, np.int32)
        if self.node_labels:
            targets = data.class_numbers(self.classes_, self.label_map)
        targets[data.roots] = roots
        return targets

    def _validation_targets(self, y, data, name):
        return self._root_numbers(y, data, "validation_data[0]", name), []

    def _random_part(self, data, targets):
        return random_part(data, targets[data.roots], self.validation_fraction, self._seed, by_class=True)

    # Training

    def _tensors(self, data):
        from seqkit.training.tree_batches import data_tensors

        return data_tensors(self, data)

    def _start(self, data, targets, weights) -> None:
        self._seed = self._draw_seed()
        matrix = self._learn_vocabulary(data.corpus)
        options = dict(
            classes=len(self.classes_),
            cell=self.cell,
            units=int(self.units),
            activation=self.activation,
            dropout=float(self.dropout),
            seed=self._seed,
        )
        self._make_model(options | self._text_options(data), matrix)

    def _train(self, data, targets, weights, held_out, epochs, partial=False) -> None:
        from seqkit.training.fitting import fit_model
        from seqkit.training.tree_batches import tree_losses

        node_weights = np.ones(len(targets), np.float32)
        node_weights[data.roots] = self.root_weight
        trained = np.arange(len(data)) if held_out is None or held_out.train_rows is None else held_out.train_rows
        seen = targets[data.positions(trained)]
        class_weights = check_class_weight(self.class_weight, self.classes_, seen[seen >= 0])
        if class_weights is not None:
            node_weights *= np.where(targets >= 0, class_weights[targets], 1)
        named = {"targets": targets, "weights": weights, "node_weights": node_weights}
        fit_model(self, data, named, held_out, epochs, partial, tree_losses)

    def _evaluation(self, held_out, tensors):
        from seqkit.training.tree_batches import answer_trees

        rows = held_out.rows[held_out.targets[held_out.rows] >= 0]
        truth = held_out.targets[rows]

        def evaluate() -> dict[str, float]:
            if not len(rows):
                return {"accuracy": 0.0, "validation_loss": 0.0}
            probabilities, _ = answer_trees(self, held_out.data, rows, tensors)
            loss = -np.log(np.maximum(probabilities[np.arange(len(rows)), truth], 1e-12)).mean()
            return {"accuracy": float(np.mean(np.argmax(probabilities, 1) == truth)), "validation_loss": float(loss)}

        return evaluate

    # Answers

    def predict(self, X) -> np.ndarray:
        """Return the class of each tree, that of its root.

        Parameters
        ----------
        X : list
            As in `fit`; labels in the trees have no say.

        Returns
        -------
        ndarray of shape (n,)
            Classes as they were given to `fit`.
        """
        return super().predict(X)

    def _predict(self, data):
        from seqkit.training.tree_batches import answer_trees

        return self.classes_[np.argmax(answer_trees(self, data)[0], 1)]

    def predict_proba(self, X) -> np.ndarray:
        """Return the probability of each class, an array (n, n_classes) with columns in the order of ``classes_``."""
        from seqkit.training.tree_batches import answer_trees

        self._check_fitted()
        return answer_trees(self, self._read(X))[0]

    def predict_nodes(self, X) -> list[np.ndarray]:
        """Return the classes of all nodes: for each tree an array, in the order of `seqkit.io.Tree`, the root last."""
        return [self.classes_[np.argmax(nodes, 1)] for nodes in self.predict_nodes_proba(X)]

    def predict_nodes_proba(self, X) -> list[np.ndarray]:
        """Return the probabilities of classes at all nodes: for each tree an array (nodes, n_classes)."""
        from seqkit.training.tree_batches import answer_trees

        self._check_fitted()
        data = self._read(X)
        given = data.given
        lengths = np.add.reduceat(given, data.starts[:-1], dtype=np.int64) if len(data) else data.counts
        return split_rows(answer_trees(self, data)[1][given], lengths)

    def score(self, X, y=None, sample_weight=None) -> float:
        """Return accuracy: the share of trees whose class is right.

        Parameters
        ----------
        X : list
            As in `fit`.
        y : list or array, optional
            The class of each tree; by default what its root's label stands for. Trees whose root's label stands for no
            class (see ``label_map``) do not count.
        sample_weight : array of shape (n,), optional
            Weight of each tree.

        Returns
        -------
        float
            Between 0 and 1.
        """
        self._check_fitted()
        data = self._read(X)
        predicted = self._predict(data).tolist()
        if y is None:
            truth, predicted = data.root_meanings(self.label_map), list(map(str, predicted))
            counted = np.array([value is not None for value in truth], bool)
            right = np.equal(predicted, list(map(str, truth)))
        else:
            counted = np.ones(len(data), bool)
            right = np.array([a == b for a, b in zip(predicted, _one_each(y, data, "y"), strict=True)], bool)
        if not counted.any():
            raise DataError("No root of X has a class that could be right or wrong. Give y.")
        weights = None if sample_weight is None else np.asarray(sample_weight)[counted]
        return float(np.average(right[counted], weights=weights))

    def _export(self, root):
        from seqkit.export.tree_classifier import export_tree_classifier

        return export_tree_classifier(self, root)

    def __sklearn_tags__(self):
        """Say what X and y may be."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.required = False
        return tags


def _one_each(y, data, name: str) -> np.ndarray | list:
    """Return y, one class for each tree."""
    values = as_targets(y, len(data), name)
    if kind_of_classes(values, name) != SINGLE:
        raise DataError(f"{name} must hold one class for each tree, got several for one.")
    return column(values, name)
