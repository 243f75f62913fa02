"""One class, or several labels, for a sequence."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import StrOptions

from seqkit.errors import DataError, ParameterError
from seqkit.estimators.class_labels import (
    INDICATOR,
    SETS,
    SINGLE,
    as_targets,
    class_numbers,
    column,
    kind_of_classes,
    learn_classes,
)
from seqkit.estimators.sequence_reader import SequenceReaderEstimator
from seqkit.training.held_out import random_part


class SequenceClassifier(ClassifierMixin, SequenceReaderEstimator):
    """Classify texts, lists of tokens, or sequences of vectors with a recurrent network.

    Tokens become vectors (word, characters, shape), a recurrent network reads them, its outputs are pooled over time,
    and a dense layer decides.

    Parameters
    ----------
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default="lstm"
        The recurrence. A Jordan network feeds its class probabilities back through the steps and is judged at the last.
    units : int, default=100
        Hidden units of each direction.
    layers : int, default=1
        Recurrent layers.
    bidirectional : bool, default=True
        Whether to read both ways.
    activation : str or None, default="tanh"
        Activation of the hidden state; any Keras name.
    pooling : {"auto", "last", "mean", "max", "attention"}, default="auto"
        How the outputs of all steps become one vector: the last state, mean, maximum, or attention (Yang et al. 2016;
        `attention` gives its weights). "auto": maximum, but for a Jordan network.
    ngrams : int, default=2
        Words in the longest n-grams that vote beside the network, for texts and tokens: each learns for itself, and
        their answers are averaged (Wang & Manning 2012). 0: none.
    word_dim : int, default=100
        Size of the learned word vectors.
    char_encoder : {"cnn", "rnn"} or None, default=None
        How the characters of a token are read, beside the word itself.
    char_units : int, default=50
        Size of a token's vector from its characters.
    shape_features : bool, default=False
        Whether to look at a token's shape (capitals, digits, signs) and at its prefixes and suffixes.
    word_vectors : str, os.PathLike or None, default=None
        File of pretrained vectors (GloVe, word2vec text, fastText ``.vec``, also gzip). They are kept fixed beside the
        learned ones, those of words outside the training data too.
    dropout : float, default=0.5
        Share of features dropped in training before, between and after the recurrent layers.
    recurrent_dropout : float, default=0.0
        Share of the fed-back state dropped in training.
    word_dropout : float, default=0.2
        Share of words replaced by the unknown word in training; of words seen once, one half.
    initial_state : {"zeros", "learned"}, default="zeros"
        State before the first step.
    pretrain : bool, list of texts or None, default=False
        Texts on which the token vectors and the first recurrent layer first learn to expect the next word, each
        direction for itself (Dai & Le 2015); no labels are needed. True: those of the training data. A saved
        estimator does not hold them.
    pretrain_epochs : int, default=10
        Most passes over these texts; less if a part held out is expected no better.
    language_model : float, default=0.0
        Weight of a second objective in training, for words: each direction of the first recurrent layer learns to
        expect the next word (Rei 2017). 0: none.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class' part of the loss (1 where a dict has none; "balanced": all classes count the same).
    tokenizer : {"words", "whitespace", "characters"}, default="words"
        How raw strings are cut into tokens.
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
    batch_size : int or "auto", default="auto"
        Sequences in a training step. "auto": 32, fewer where that would make less than 50 steps in a pass.
    epochs : int, default=30
        Most passes over the training data.
    patience : int or None, default=6
        Passes without a better score on the validation part before training ends; None: never early.
    validation_fraction : float or None, default=0.1
        Share of the training data, taken at random from each class, that judges each pass, where `fit` is given no
        validation data. None or 0: none, and no early stopping.
    average_weights : bool, default=True
        Whether the moving average of the weights is what is scored and kept.
    calibrate : bool, default=False
        Whether probabilities are tempered so that they suit the validation part (Guo et al. 2017). Answers stay the
        same.
    max_length : int or None, default=None
        Longest sequence accepted; longer ones raise. None: no limit. Nothing is ever cut.
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
        The network, made by `seqkit.models.build_classifier`.
    classes_ : ndarray
        The classes, sorted.
    target_kind_ : {"one", "indicator", "sets"}
        What y was: one class each, rows of 0 and 1, or sets of classes.
    vocabulary_ : seqkit.text.features.TokenVocabulary
        What was learned about tokens; not for vectors.
    history_ : dict
        For each pass: "loss" (per sequence), "accuracy" and "validation_loss" of the validation part, "seconds",
        "tokens_per_second" in training, "elapsed".
    pretraining_ : dict
        With ``pretrain``: "loss" and "perplexity" (of a part held out) of each pass.
    n_features_in_ : int
        Size of each vector; of an array (n, steps), its steps. For vectors only.
    vector_coverage_ : seqkit.text.vectors.Coverage
        With ``word_vectors``: how much of the training vocabulary has a vector; ``print`` shows a report.

    Examples
    --------
    >>> from seqkit import SequenceClassifier
    >>> classifier = SequenceClassifier(random_state=0)
    >>> classifier.fit(["good fun", "a dull film"] * 20, ["pos", "neg"] * 20)  # doctest: +SKIP
    >>> classifier.predict(["fun"])  # doctest: +SKIP
    array(['pos'], dtype=object)
    """

    _parameter_constraints = {  # noqa: RUF012
        **SequenceReaderEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }
    _plain_state = (*SequenceReaderEstimator._plain_state, "target_kind_")
    _builder = "build_classifier"

    def __init__(
        self,
        cell="lstm",
        units=100,
        layers=1,
        bidirectional=True,
        activation="tanh",
        pooling="auto",
        ngrams=2,
        word_dim=100,
        char_encoder=None,
        char_units=50,
        shape_features=False,
        word_vectors=None,
        dropout=0.5,
        recurrent_dropout=0.0,
        word_dropout=0.2,
        initial_state="zeros",
        pretrain=False,
        pretrain_epochs=10,
        language_model=0.0,
        class_weight=None,
        tokenizer="words",
        lowercase=True,
        min_count=1,
        optimizer="adam",
        learning_rate=0.002,
        gradient_clip=5.0,
        batch_size="auto",
        epochs=30,
        patience=6,
        validation_fraction=0.1,
        average_weights=True,
        calibrate=False,
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
        self.layers = layers
        self.bidirectional = bidirectional
        self.activation = activation
        self.pooling = pooling
        self.ngrams = ngrams
        self.word_dim = word_dim
        self.char_encoder = char_encoder
        self.char_units = char_units
        self.shape_features = shape_features
        self.word_vectors = word_vectors
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.word_dropout = word_dropout
        self.initial_state = initial_state
        self.pretrain = pretrain
        self.pretrain_epochs = pretrain_epochs
        self.language_model = language_model
        self.class_weight = class_weight
        self.tokenizer = tokenizer
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
        self.calibrate = calibrate
        self.max_length = max_length
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.strategy = strategy
        self.mixed_precision = mixed_precision
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, validation_data=None, sample_weight=None):
        """Train on sequences and their classes.

        Parameters
        ----------
        X : list of str, list of list of str, or list of array (length, d)
            Raw strings (cut by ``tokenizer``), tokens, or vectors; also an array (n, length, d), or (n, length) of
            sequences of numbers.
        y : list or array
            One class for each sequence: strings, numbers, or anything that can be hashed; or several: a set of classes
            for each sequence, or an array (n, classes) of 0 and 1.
        validation_data : tuple (X, y), optional
            What judges each pass; by default a random ``validation_fraction`` of the training data.
        sample_weight : array of shape (n,), optional
            Weight of each sequence's loss.

        Returns
        -------
        self
        """
        return super().fit(X, y, validation_data, sample_weight)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Take one pass over more data, continuing from the present weights.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        classes : list, optional
            All classes there will be, at the first call; by default those of ``y``. Later, new classes are an error;
            new words are always unknown words.
        sample_weight : array of shape (n,), optional
            Weight of each sequence's loss.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, classes, sample_weight)

    def _fit_targets(self, y, data, fresh, classes=None) -> np.ndarray:
        values = as_targets(y, len(data))
        if fresh:
            self.target_kind_ = kind_of_classes(values)
            learned = learn_classes(values, self.target_kind_)
            if classes is not None:
                learned = learn_classes(as_targets(classes, len(classes), "classes"), SINGLE, "classes")
            if not len(learned):
                raise DataError("No sequence of y has a class: there is nothing to learn. Give classes that occur.")
            self.classes_ = learned
        elif classes is not None:
            class_numbers(as_targets(classes, len(classes), "classes"), SINGLE, self.classes_, "classes")
        return class_numbers(values, self.target_kind_, self.classes_)

    def _validation_targets(self, y, data, name):
        return class_numbers(as_targets(y, len(data), name), self.target_kind_, self.classes_, name), []

    def _random_part(self, data, targets):
        return random_part(data, targets, self.validation_fraction, self._seed, by_class=targets.ndim == 1)

    def _model_options(self) -> dict:
        return super()._model_options() | dict(classes=len(self.classes_), multilabel=self.target_kind_ != SINGLE)

    def _vote_start(self, words, lengths, targets, weights, keys):
        from seqkit.layers.ngram_votes import naive_bayes

        given = (words, lengths, self.vocabulary_.n_words, int(self.ngrams), keys)
        if targets.ndim == 1:
            return naive_bayes(*given, weights[:, None] * np.eye(len(self.classes_))[targets])
        # Each label against its absence.
        pairs = [naive_bayes(*given, weights[:, None] * np.stack([c, 1 - c], 1)) for c in targets.T]
        return np.stack([2 * pair[:, 0] for pair in pairs], 1)

    def _evaluation(self, held_out, tensors):
        data, rows = held_out.data, held_out.rows
        truth = held_out.targets[rows]

        def evaluate() -> dict[str, float]:
            probabilities = self._rows(data, "probabilities", rows, tensors)
            if not len(rows):
                return {"accuracy": 0.0, "validation_loss": 0.0}
            if truth.ndim == 1:
                right = np.argmax(probabilities, 1) == truth
                likelihood = probabilities[np.arange(len(truth)), truth]
            else:
                right = ((probabilities > 0.5) == (truth > 0.5)).all(1)
                likelihood = np.where(truth > 0.5, probabilities, 1 - probabilities)
            loss = -np.log(np.maximum(likelihood, 1e-12)).sum() / len(truth)
            return {"accuracy": float(np.mean(right)), "validation_loss": float(loss)}

        return evaluate

    def _train(self, data, targets, weights, held_out, epochs, partial=False):
        from seqkit.training.calibration import fit_temperature

        head = self.model_.head
        if not partial:
            if self.calibrate and (held_out is None or not len(held_out.rows)):
                raise ParameterError(
                    "calibrate=True needs a validation part, to fit the temperature on: give validation_data, or a "
                    f"validation_fraction that leaves some of the {len(data)} sequences; it is "
                    f"{self.validation_fraction}."
                )
            head.temperature.assign(1.0)
        super()._train(data, targets, weights, held_out, epochs, partial)
        if self.calibrate and not partial:

            def best_temperature() -> float:
                outputs = self._rows(held_out.data, "outputs", held_out.rows)
                return fit_temperature(outputs, held_out.targets[held_out.rows])

            head.temperature.assign(self._devices().from_chief(best_temperature))

    def predict(self, X) -> np.ndarray:
        """Return the class of each sequence.

        Parameters
        ----------
        X : list
            As in `fit`.

        Returns
        -------
        ndarray of shape (n,)
            Classes as they were given to `fit`; for several classes a sequence, an array (n, classes) of 0 and 1, or a
            list of lists of classes.
        """
        return super().predict(X)

    def _predict(self, data):
        probabilities = self._rows(data, "probabilities")
        if self.target_kind_ == INDICATOR:
            return (probabilities > 0.5).astype(np.int64)
        if self.target_kind_ == SETS:
            return [self.classes_[row > 0.5].tolist() for row in probabilities]
        return self.classes_[np.argmax(probabilities, 1)]

    def predict_proba(self, X) -> np.ndarray:
        """Return the probability of each class, an array (n, n_classes) with columns in the order of ``classes_``.

        Where a sequence may have several classes, each column is for itself; else a row adds up to 1.
        """
        self._check_fitted()
        return self._rows(self._read(X), "probabilities")

    def score(self, X, y, sample_weight=None) -> float:
        """Return accuracy: the share of sequences whose class (or set of classes) is right.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        sample_weight : array of shape (n,), optional
            Weight of each sequence.

        Returns
        -------
        float
            Between 0 and 1.
        """
        self._check_fitted()
        data = self._read(X)
        truth = as_targets(y, len(data))
        predicted = self._predict(data)
        if self.target_kind_ == INDICATOR:
            return float(accuracy_score(truth, predicted, sample_weight=sample_weight))
        if self.target_kind_ == SETS:
            right = [set(one) == set(other) for one, other in zip(truth, predicted, strict=True)]
        else:
            right = [one == other for one, other in zip(column(truth).tolist(), predicted.tolist(), strict=True)]
        return float(np.average(right, weights=sample_weight)) if right else 0.0

    def __sklearn_tags__(self):
        """Say what y may be."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
