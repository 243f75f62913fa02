"""What comes next: a distribution over sequences of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.estimators.next_step import NEXT_STEP_CONSTRAINTS, NextStepEstimator
from seqkit.estimators.sequences import Sequences
from seqkit.estimators.writing import WritingMixin, count
from seqkit.training.held_out import HeldOut, random_part

_FEW = 20  # texts, of which each gives its last share to be held out


class LanguageModel(WritingMixin, NextStepEstimator):
    """Learn the probability of texts, token by token, and write new ones.

    A recurrent network reads the tokens so far and gives the distribution of the next. Texts of any length are one
    stream: each is read from its beginning, in segments through which the gradient flows, with the state carried from
    one to the next (truncated backpropagation). What ends a text is a token of its own, ``<EOS>``.

    Parameters
    ----------
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default="lstm"
        The recurrence. A Jordan network's top layer feeds back the distribution that it answers with.
    units : int, default=512
        Hidden units of each layer.
    layers : int, default=1
        Recurrent layers.
    activation : str or None, default="tanh"
        Activation of the hidden state; any Keras name.
    word_dim : int or None, default=128
        Size of the learned vectors of tokens. None: tokens come in as vectors of one 1 (one-hot).
    tied : bool, default=False
        Whether the vectors of tokens serve as the output layer too (Press & Wolf 2017; Inan et al. 2017).
    dropout : float, default=0.2
        Share of features dropped in training before, between and after the recurrent layers, the same at all steps of
        a segment (Gal & Ghahramani 2016).
    recurrent_dropout : float, default=0.0
        Share of the fed-back state dropped in training, likewise.
    initial_state : {"zeros", "learned"}, default="zeros"
        State before the first step.
    sampled_softmax : int, "auto" or None, default="auto"
        Words drawn for a training step in place of the whole vocabulary (Jean et al. 2015). None: the whole. "auto":
        4,096 where there are more than 12,000 tokens. What is predicted always is of the whole.
    tokenizer : {"characters", "words", "whitespace"}, default="characters"
        How raw strings are cut into tokens. "characters": all of them, white space too.
    lowercase : bool, default=False
        Whether tokens are looked up in lower case.
    min_count : int, default=1
        Tokens seen less often are the unknown token, ``<UNK>``. With 1 none is: one that is new later is then all but
        impossible.
    steps : int, default=64
        Tokens in a segment: how far the gradient flows back.
    optimizer : str, dict or keras.optimizers.Optimizer, default="adam"
        A Keras name, configuration, or optimizer (which is copied).
    learning_rate : float, default=0.002
        Step size, for an optimizer given by name.
    gradient_clip : float or None, default=1.0
        Largest norm of all gradients together.
    gradient_clip_value : float or None, default=None
        Largest size of each number in a gradient. The loss is the mean over the tokens of a step.
    batch_size : int or "auto", default="auto"
        Texts, or pieces of long ones, read side by side. "auto": 64, fewer where that would make less than 50 steps in
        a pass.
    epochs : int, default=30
        Most passes over the training data.
    patience : int or None, default=3
        Passes without a better score on the validation part before training ends; None: never early.
    validation_fraction : float or None, default=0.1
        Share of the training data that judges each pass, where `fit` is given no validation data: texts at random, or
        of 20 texts or fewer the last share of each, as a text of its own. None or 0: none, and no early stopping.
    average_weights : bool, default=True
        Whether the moving average of the weights is what is scored and kept.
    max_length : int or None, default=None
        Longest text accepted, in tokens; longer ones raise. None: no limit. Nothing is ever cut.
    warm_start : bool, default=False
        Whether `fit` continues from the present weights. New tokens are then unknown tokens.
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
        The network, made by `seqkit.models.build_language_model`.
    vocabulary_ : seqkit.text.features.TokenVocabulary
        The tokens.
    history_ : dict
        For each pass: "loss" (per token), "validation_loss" of the validation part, "seconds", "tokens_per_second" in
        training, "elapsed".

    Examples
    --------
    >>> from seqkit import LanguageModel
    >>> model = LanguageModel(random_state=0).fit(["the apple and pear salad"] * 50)  # doctest: +SKIP
    >>> model.generate("the apple", length=20, temperature=0.5, seed=1)  # doctest: +SKIP
    ' and pear salad'
    """

    _parameter_constraints = {  # noqa: RUF012
        **NEXT_STEP_CONSTRAINTS,
        "sampled_softmax": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
    }
    _builder = "build_language_model"

    def __init__(
        self,
        cell="lstm",
        units=512,
        layers=1,
        activation="tanh",
        word_dim=128,
        tied=False,
        dropout=0.2,
        recurrent_dropout=0.0,
        initial_state="zeros",
        sampled_softmax="auto",
        tokenizer="characters",
        lowercase=False,
        min_count=1,
        steps=64,
        optimizer="adam",
        learning_rate=0.002,
        gradient_clip=1.0,
        gradient_clip_value=None,
        batch_size="auto",
        epochs=30,
        patience=3,
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
        self.activation = activation
        self.word_dim = word_dim
        self.tied = tied
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.initial_state = initial_state
        self.sampled_softmax = sampled_softmax
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.min_count = min_count
        self.steps = steps
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.gradient_clip = gradient_clip
        self.gradient_clip_value = gradient_clip_value
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

    # Fitting

    def fit(self, X, y=None, validation_data=None, sample_weight=None):
        """Learn from texts.

        Parameters
        ----------
        X : list of str or list of list of str
            Texts, or lists of tokens.
        y : None
            Not used; it is here because scikit-learn's tools give one.
        validation_data : list or tuple (X, None), optional
            Texts that judge each pass; by default a share of the training data.
        sample_weight : array of shape (n,), optional
            Weight of each text's loss.

        Returns
        -------
        self
        """
        return super().fit(X, y, validation_data, sample_weight)

    def partial_fit(self, X, y=None, sample_weight=None):
        """Take one pass over more texts, continuing from the present weights; the first call learns the vocabulary.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, None, sample_weight)

    def _fit_targets(self, y, data, fresh, classes=None):
        if y is not None and (count := len(y if hasattr(y, "__len__") else list(y))) != len(data):
            raise DataError(f"X and y have lengths {len(data)} and {count}; y is not used, leave it out.")
        return self._no_contexts(data)

    def _held_out(self, given, data, targets):
        if given is None:
            return self._random_part(data, targets)
        if isinstance(given, tuple) and len(given) == 2 and given[1] is None:
            given = given[0]
        held = self._read(given, name="validation_data")
        return HeldOut(held, self._no_contexts(held), np.arange(len(held)))

    def _random_part(self, data, targets):
        if len(data) > _FEW:
            return random_part(data, targets, self.validation_fraction, self._seed)
        kept = np.ceil(data.lengths * (1 - (self.validation_fraction or 0.0))).astype(int)
        if not (data.lengths - kept).sum():
            return None
        train, held = _split(data, kept)
        return HeldOut(held, targets, np.flatnonzero(held.lengths), train=train)

    def _no_contexts(self, data) -> np.ndarray:
        return np.zeros((len(data), 0), np.float32)

    def _export(self, root):
        from seqkit.export.language_model import export_language_model

        return export_language_model(self, root)

    # Probabilities

    def log_probability(self, X, per_token: bool = False):
        """Return the log-probability of texts, that of their ends included.

        Parameters
        ----------
        X : list of str or list of list of str
            As in `fit`.
        per_token : bool
            Whether to return that of each token given those before it.

        Returns
        -------
        ndarray of shape (n,), or list of ndarray
            Natural logarithms. Per token: for each text an array (length + 1,), the last for its end.
        """
        self._check_fitted()
        data = self._read(X)
        return self._log_probability(data, self._no_contexts(data), per_token)

    def score(self, X, y=None, sample_weight=None) -> float:
        """Return the mean log-probability of a token of the texts, their ends counted as tokens.

        Parameters
        ----------
        X : list
            As in `fit`.
        y : None
            Not used.
        sample_weight : array of shape (n,), optional
            Weight of each text.
        """
        return self._mean(self.log_probability(X, per_token=True), sample_weight)

    def perplexity(self, X) -> float:
        """Return ``exp(-score(X))``: as unsure as among so many tokens of equal chance."""
        return float(np.exp(-self.score(X)))

    def predict(self, X) -> np.ndarray:
        """Return the most probable next token of each text, an array (n,); "" where that is the end."""
        return super().predict(X)

    def _predict(self, data):
        return np.array([pairs[0][0] for pairs in self._next(data, 1)], object)

    def predict_next(self, X, k: int = 10):
        """Return the most probable next tokens.

        Parameters
        ----------
        X : str or list
            One text, or texts (or lists of tokens).
        k : int
            How many.

        Returns
        -------
        list of (str, float), or a list of such lists
            Tokens and their probabilities, the most probable first; "" is the end, "\ufffd" the unknown token.
        """
        self._check_fitted()
        if not isinstance(k, Integral) or k < 1:
            raise ParameterError(f"k={k!r} must be an integer of at least 1.")
        pairs = self._next(self._read([X] if isinstance(X, str) else X), int(k))
        return pairs[0] if isinstance(X, str) else pairs

    def _next(self, data, k: int) -> list[list[tuple[str, float]]]:
        """Return the k most probable tokens after each text, with their probabilities."""
        names, found = self._names(), []
        for first in range(0, len(data), 256):
            some = data.take(np.arange(first, min(first + 256, len(data))))
            contexts = self._no_contexts(some)
            last, states = self._function("begin")(*self._padded(some), contexts)
            shares = self._function("distribution")(last, states, contexts).numpy()
            order = np.argsort(-shares, 1, kind="stable")[:, :k]
            found.extend([(names[i], float(row[i])) for i in best] for row, best in zip(shares, order, strict=True))
        return found

    # Writing

    def generate(
        self,
        prompt: str | Sequence | None = None,
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        beam_width: int | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
    ):
        """Write on from a beginning.

        Parameters
        ----------
        prompt : str, list of str, list of list of str, or None
            Beginnings: a text, several of them, or lists of tokens. None: one text from its start.
        length : int
            Most tokens to write. A text may end before, by its own ``<EOS>``.
        temperature : float
            Below 1 for more likely, above 1 for more daring tokens; 0: always the most probable one.
        top_k : int
            Draw from this many of the most probable tokens only. 0: from all.
        top_p : float
            Draw from the most probable tokens only that together reach this probability (Holtzman et al. 2020).
        beam_width : int or None
            Look for the most probable continuation with so many candidates, in place of drawing.
        seed : int or None
            The same seed draws the same text. Of several prompts the first has this seed, the next one more, and so
            on; what others there are makes no difference. None: a seed by chance.
        stop : str or list of str
            What ends a text before its length: it is cut where one of these begins.

        Returns
        -------
        str, list of str, or list of list of str
            What follows the prompt, in the form of the prompt.
        """
        one, prompts = self._prompts(prompt)
        contexts = self._no_contexts(prompts)
        if beam_width is not None:
            written = self._search(prompts, contexts, length, beam_width)
        else:
            written = self._write(prompts, contexts, length, temperature, top_k, top_p, seed)
        texts = [self._told(tokens, stop, prompts.kind) for tokens in written]
        return texts[0] if one else texts

    def stream(
        self,
        prompt: str | Sequence[str] | None = None,
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Yield the tokens that `generate` would write, each as soon as it is drawn.

        Parameters
        ----------
        prompt : str, list of str, or None
            One beginning: a text, or the tokens of one.
        length, temperature, top_k, top_p, seed
            As in `generate`.
        """
        if prompt is not None and not isinstance(prompt, str):
            prompt = [list(prompt)]
        _, prompts = self._prompts(prompt)
        settings = self._settings(1, temperature, top_k, top_p, seed)
        contexts = self._no_contexts(prompts)
        last, states = self._function("begin")(*self._padded(prompts), contexts)
        for t in range(count("length", length)):
            last, states = self._function("next")(last, states, contexts, np.int32(t), *settings)
            if not last[0]:
                return
            yield self._names()[int(last[0])]

    def _prompts(self, prompt):
        """Return whether one text is asked for, and the beginnings as checked sequences."""
        self._check_fitted()
        if isinstance(prompt, bytes):
            raise InputTypeError("prompt must be text, got bytes. Decode it first.")
        one = prompt is None or isinstance(prompt, str)
        items = [prompt or ""] if one else prompt
        return one, self._read(items, name="prompt")


def _split(data, kept: np.ndarray) -> tuple[Sequences, Sequences]:
    """Cut each text after so many tokens."""
    from seqkit.text.corpus import TokenCorpus

    position = np.arange(data.lengths.sum()) - np.repeat(np.cumsum(data.lengths) - data.lengths, data.lengths)
    first = position < np.repeat(kept, data.lengths)
    return tuple(
        Sequences(data.kind, lengths, TokenCorpus(data.corpus.types, data.corpus.index[chosen], lengths))
        for lengths, chosen in ((kept, first), (data.lengths - kept, ~first))
    )
