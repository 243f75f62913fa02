"""One value, or several, for a sequence."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin

from seqkit.errors import DataError, InputTypeError
from seqkit.estimators.class_labels import as_targets
from seqkit.estimators.sequence_reader import SequenceReaderEstimator


class SequenceRegressor(RegressorMixin, SequenceReaderEstimator):
    """Give a value to texts, lists of tokens, or sequences of vectors with a recurrent network.

    As `seqkit.SequenceClassifier`, with values for classes and squared error for cross-entropy. Values are brought to
    mean 0 and deviation 1 inside, so their unit does not matter.

    Parameters
    ----------
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default="lstm"
        The recurrence. A Jordan network feeds its values back through the steps and is judged at the last.
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
        their answers are averaged. 0: none.
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
        Share of the training data, taken at random, that judges each pass, where `fit` is given no
        validation data. None or 0: none, and no early stopping.
    average_weights : bool, default=True
        Whether the moving average of the weights is what is scored and kept.
    max_length : int or None, default=None
        Longest sequence accepted; longer ones raise. None: no limit. Nothing is ever cut.
    warm_start : bool, default=False
        Whether `fit` continues from the present weights. New words are then unknown words.
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
        The network, made by `seqkit.models.build_regressor`.
    n_outputs_ : int
        Values for each sequence.
    vocabulary_ : seqkit.text.features.TokenVocabulary
        What was learned about tokens; not for vectors.
    history_ : dict
        For each pass: "loss" (squared error per sequence, of standardized values), "r2" of the validation part,
        "seconds", "tokens_per_second" in training, "elapsed".
    pretraining_ : dict
        With ``pretrain``: "loss" and "perplexity" (of a part held out) of each pass.
    n_features_in_ : int
        Size of each vector; of an array (n, steps), its steps. For vectors only.
    vector_coverage_ : seqkit.text.vectors.Coverage
        With ``word_vectors``: how much of the training vocabulary has a vector; ``print`` shows a report.

    Examples
    --------
    >>> from seqkit import SequenceRegressor
    >>> regressor = SequenceRegressor(random_state=0)
    >>> regressor.fit([[[0.1], [0.4]], [[0.9], [0.2], [0.3]]] * 20, [0.5, 1.4] * 20)  # doctest: +SKIP
    >>> regressor.predict([[[0.1], [0.4]]])  # doctest: +SKIP
    array([0.5])
    """

    _plain_state = (*SequenceReaderEstimator._plain_state, "n_outputs_", "_flat_targets")
    _builder = "build_regressor"

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
        self.max_length = max_length
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.strategy = strategy
        self.mixed_precision = mixed_precision
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, validation_data=None, sample_weight=None):
        """Train on sequences and their values.

        Parameters
        ----------
        X : list of str, list of list of str, or list of array (length, d)
            Raw strings (cut by ``tokenizer``), tokens, or vectors; also an array (n, length, d), or (n, length) of
            sequences of numbers.
        y : array of shape (n,) or (n, k)
            One value for each sequence, or several.
        validation_data : tuple (X, y), optional
            What judges each pass; by default a random ``validation_fraction`` of the training data.
        sample_weight : array of shape (n,), optional
            Weight of each sequence's loss.

        Returns
        -------
        self
        """
        return super().fit(X, y, validation_data, sample_weight)

    def partial_fit(self, X, y, sample_weight=None):
        """Take one pass over more data, continuing from the present weights.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        sample_weight : array of shape (n,), optional
            Weight of each sequence's loss.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, None, sample_weight)

    def _fit_targets(self, y, data, fresh, classes=None) -> np.ndarray:
        values, flat = _values(y, len(data))
        if fresh:
            self.n_outputs_, self._flat_targets = values.shape[1], flat
        self._check_width(values, "y")
        return values

    def _validation_targets(self, y, data, name):
        values, _ = _values(y, len(data), name)
        self._check_width(values, name)
        return values, []

    def _check_width(self, values, name: str) -> None:
        if values.shape[1] != self.n_outputs_:
            raise DataError(f"{name} must have {self.n_outputs_} values for each sequence, got {values.shape[1]}.")

    def _start(self, data, targets, weights):
        super()._start(data, targets, weights)
        mean = np.average(targets, 0, weights)
        deviation = np.sqrt(np.average(np.square(targets - mean), 0, weights))
        self.model_.head.target_mean.assign(mean)
        self.model_.head.target_deviation.assign(np.where(deviation > 0, deviation, 1.0))

    def _model_options(self) -> dict:
        return super()._model_options() | dict(targets=self.n_outputs_)

    def _evaluation(self, held_out, tensors):
        data, rows = held_out.data, held_out.rows
        truth = held_out.targets[rows]
        # Against the training data's mean: a small validation part's own says little.
        spread = float(np.square(truth - np.asarray(self.model_.head.target_mean)).sum()) or 1.0

        def evaluate() -> dict[str, float]:
            errors = np.square(self._values(data, rows, tensors) - truth).sum()
            return {"r2": 1.0 - float(errors) / spread}

        return evaluate

    def predict(self, X) -> np.ndarray:
        """Return the value of each sequence.

        Parameters
        ----------
        X : list
            As in `fit`.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
            As y was given to `fit`.
        """
        return super().predict(X)

    def _predict(self, data) -> np.ndarray:
        values = self._values(data)
        return values[:, 0] if self._flat_targets else values

    def _values(self, data, rows=None, tensors=None) -> np.ndarray:
        """Return what `_rows` gives of "probabilities", in float64: targets may be large, and differ by little."""
        head = self.model_.head
        mean, deviation = (np.asarray(value, np.float64) for value in (head.target_mean, head.target_deviation))
        return self._rows(data, "outputs", rows, tensors) * deviation + mean

    def __sklearn_tags__(self):
        """Say what y may be."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _values(y, count: int, name: str = "y") -> tuple[np.ndarray, bool]:
    """Return values [n, k], and whether they were given as [n]."""
    try:
        values = np.asarray(as_targets(y, count, name), np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError | InputTypeError):
            raise
        raise InputTypeError(f"{name} must hold numbers: {error}.") from None
    if values.ndim not in (1, 2) or (values.ndim == 2 and not values.shape[1]):
        raise DataError(f"{name} must have shape (n,) or (n, k), got {values.shape}.")
    if not np.isfinite(values).all():
        raise DataError(f"Input {name} contains NaN or infinity.")
    return values.reshape(len(values), -1), values.ndim == 1
