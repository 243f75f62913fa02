"""Sequences of tokens or frames, written from a context or from nothing."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from seqkit.errors import DataError, InputTypeError, ParameterError
from seqkit.estimators.next_step import NEXT_STEP_CONSTRAINTS, NextStepEstimator
from seqkit.estimators.targets import sorted_classes
from seqkit.estimators.writing import WritingMixin
from seqkit.training.held_out import HeldOut


class SequenceGenerator(WritingMixin, NextStepEstimator):
    """Learn to write sequences of what they are of: a style, a vector, or nothing.

    X is what the sequences are of, y the sequences: texts, lists of tokens, or frames (arrays (length, keys) of 0 and
    1, such as the keys of a piano at each moment). A recurrent network reads the items so far, and gives the
    distribution of the next.

    Parameters
    ----------
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default="lstm"
        The recurrence. A Jordan network's top layer feeds back the distribution that it answers with.
    units : int, default=256
        Hidden units of each layer.
    layers : int, default=1
        Recurrent layers.
    activation : str or None, default="tanh"
        Activation of the hidden state; any Keras name.
    context_as : {"input", "state", "both"}, default="both"
        Whether what a sequence is of comes in at each step, makes the initial state, or both.
    head : {"auto", "softmax", "bernoulli", "nade"}, default="auto"
        Distribution of what follows. "auto": softmax for tokens; for frames "nade", where keys are given from low to
        high, each given those below it, or "bernoulli", each for itself, in a Jordan network.
    head_units : int, default=128
        Hidden units of "nade".
    halting : {"auto", "bernoulli", "length", None}, default="auto"
        How a sequence of frames ends: by a chance that the network gives at each step, at a length that it predicts
        from the context, or only at the length asked for (None). "auto": by that chance. Tokens end by a token of
        their own, ``<EOS>``.
    word_dim : int or None, default=64
        Size of the learned vectors of tokens. None: tokens come in as vectors of one 1 (one-hot).
    tied : bool, default=False
        Whether the vectors of tokens serve as the output layer too (Press & Wolf 2017; Inan et al. 2017).
    dropout : float, default=0.2
        Share of features dropped in training before, between and after the recurrent layers, the same at all steps of
        a segment (Gal & Ghahramani 2016).
    recurrent_dropout : float, default=0.0
        Share of the fed-back state dropped in training, likewise.
    initial_state : {"zeros", "learned"}, default="learned"
        State before the first step, beside what the context makes of it.
    tokenizer : {"characters", "words", "whitespace"}, default="characters"
        How raw strings are cut into tokens. "characters": all of them, white space too.
    lowercase : bool, default=False
        Whether tokens are looked up in lower case.
    min_count : int, default=1
        Tokens seen less often are the unknown token, ``<UNK>``. With 1 none is: one that is new later is then all but
        impossible.
    steps : int, default=128
        Items in a segment: how far the gradient flows back.
    optimizer : str, dict or keras.optimizers.Optimizer, default="adam"
        A Keras name, configuration, or optimizer (which is copied).
    learning_rate : float, default=0.002
        Step size, for an optimizer given by name.
    gradient_clip : float or None, default=1.0
        Largest norm of all gradients together.
    gradient_clip_value : float or None, default=None
        Largest size of each number in a gradient. The loss is the mean over the items of a step.
    batch_size : int or "auto", default="auto"
        Sequences, or pieces of long ones, read side by side. "auto": 64, fewer where that would make less than 50
        steps in a pass.
    epochs : int, default=50
        Most passes over the training data.
    patience : int or None, default=5
        Passes without a better score on the validation part before training ends; None: never early.
    validation_fraction : float or None, default=0.1
        Share of the training data, taken at random, that judges each pass, where `fit` is given no validation data.
        None or 0: none, and no early stopping.
    average_weights : bool, default=True
        Whether the moving average of the weights is what is scored and kept.
    max_length : int or None, default=None
        Longest sequence accepted; longer ones raise. None: no limit. Nothing is ever cut.
    warm_start : bool, default=False
        Whether `fit` continues from the present weights. New tokens are then unknown tokens, new styles an error.
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
        The network, made by `seqkit.models.build_generator`.
    styles_ : ndarray
        The styles, sorted; where X was styles.
    context_kind_ : {"none", "styles", "vectors"}
        What X was.
    vocabulary_ : seqkit.text.features.TokenVocabulary
        The tokens; not for frames.
    keys_ : int
        Keys of a frame; for frames only.
    longest_ : int
        Length of the longest sequence that was learned from.
    history_ : dict
        For each pass: "loss" (per item), "validation_loss" of the validation part, "seconds", "tokens_per_second" in
        training, "elapsed".

    Examples
    --------
    >>> from seqkit import SequenceGenerator
    >>> styles, names = ["f", "m"] * 50, ["Ada", "Bob"] * 50
    >>> generator = SequenceGenerator(units=32, random_state=0).fit(styles, names)  # doctest: +SKIP
    >>> generator.generate(["f", "m"], seed=0)  # doctest: +SKIP
    ['Ada', 'Bob']
    """

    _parameter_constraints = {  # noqa: RUF012
        **NEXT_STEP_CONSTRAINTS,
        "context_as": [StrOptions({"input", "state", "both"})],
        "head": [StrOptions({"auto", "softmax", "bernoulli", "nade"})],
        "head_units": [Interval(Integral, 1, None, closed="left")],
        "halting": [StrOptions({"auto", "bernoulli", "length"}), None],
    }
    _builder = "build_generator"
    _plain_state = (*NextStepEstimator._plain_state, "context_kind_", "keys_", "longest_", "_context_dim", "_form")
    _labels = "styles_"
    _first_kind = None

    def __init__(
        self,
        cell="lstm",
        units=256,
        layers=1,
        activation="tanh",
        context_as="both",
        head="auto",
        head_units=128,
        halting="auto",
        word_dim=64,
        tied=False,
        dropout=0.2,
        recurrent_dropout=0.0,
        initial_state="learned",
        tokenizer="characters",
        lowercase=False,
        min_count=1,
        steps=128,
        optimizer="adam",
        learning_rate=0.002,
        gradient_clip=1.0,
        gradient_clip_value=None,
        batch_size="auto",
        epochs=50,
        patience=5,
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
        self.context_as = context_as
        self.head = head
        self.head_units = head_units
        self.halting = halting
        self.word_dim = word_dim
        self.tied = tied
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.initial_state = initial_state
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

    def fit(self, X, y, validation_data=None, sample_weight=None):
        """Learn to write sequences.

        Parameters
        ----------
        X : list, array of shape (n, d), or None
            What each sequence is of: a style (a string or a whole number), or a vector. None: nothing.
        y : list of str, list of list of str, or list of arrays (length, keys)
            The sequences: texts, lists of tokens, or frames of 0 and 1.
        validation_data : tuple (X, y), optional
            What judges each pass; by default a share of the training data.
        sample_weight : array of shape (n,), optional
            Weight of each sequence's loss.

        Returns
        -------
        self
        """
        return super().fit(y, X, validation_data, sample_weight)

    def _read(self, X, fresh=False, name="y"):
        data = super()._read(X, fresh, {"X": "y"}.get(name, name))
        if data.kind == "vectors":
            keys = None if fresh else self.keys_
            for i, frames in enumerate(data.vectors):
                if not np.isin(frames, (0, 1)).all():
                    raise DataError(f"{name}[{i}] holds frames with other numbers than 0 and 1.")
                if keys is not None and len(frames) and frames.shape[1] != keys:
                    raise DataError(f"{name}[{i}] has frames of {frames.shape[1]} keys, expected {keys} as in fit.")
        return data

    def _fit_targets(self, y, data, fresh, classes=None):
        given = y  # to the base, contexts are targets
        if not fresh:
            return self._context_rows(given, len(data), "X")
        self.context_kind_ = "none"
        self.__dict__.pop("styles_", None)
        if given is not None:
            given = _listed(given, "X")
            table = np.asarray(given) if _is_table(given) else None
            self.context_kind_ = "styles" if table is None else "vectors"
            if table is None:
                self.styles_ = sorted_classes(list(given))
            self._context_dim = len(self.styles_) if table is None else int(table.shape[1])
        else:
            self._context_dim = 0
        self._form = data.kind
        if data.kind == "vectors":
            self.keys_ = int(data.vectors[0].shape[1])
        else:
            self.__dict__.pop("keys_", None)
        self.longest_ = int(data.lengths.max(initial=0))
        return self._context_rows(given, len(data), "X")

    def _context_rows(self, given, count: int | None, name: str) -> np.ndarray:
        """Return contexts as an array [count, context_dim]."""
        if self.context_kind_ == "none":
            if given is not None:
                raise DataError(f"{name} must be None: this generator was fitted on sequences of nothing.")
            return np.zeros((count or 0, 0), np.float32)
        if given is None:
            raise InputTypeError(f"{name} must hold {self.context_kind_}, what each sequence is of; got None.")
        given = _listed(given, name)
        if any(item is None for item in given):
            raise InputTypeError(f"{name} holds None: say what each sequence is of.")
        if count is not None and len(given) != count:
            raise DataError(f"X and y have lengths {len(given)} and {count}.")
        if self.context_kind_ == "vectors":
            rows = np.asarray(given, np.float32)
            if not rows.size:
                rows = rows.reshape(0, self._context_dim)
            if rows.ndim != 2 or rows.shape[1] != self._context_dim:
                raise DataError(f"{name} must have shape (n, {self._context_dim}), as in fit; got {rows.shape}.")
            if not np.isfinite(rows).all():
                raise DataError(f"{name} holds NaN or infinity. Replace missing values first.")
            return rows
        number = {style: i for i, style in enumerate(self.styles_.tolist())}
        rows = np.zeros((len(given), len(number)), np.float32)
        for i, style in enumerate(given):
            if isinstance(style, np.generic):
                style = style.item()
            if not isinstance(style, Hashable) or style not in number:
                raise DataError(
                    f"{name}[{i}] is {style!r}, a style that fit has not seen. Known are: "
                    f"{', '.join(map(repr, number))[:400]}."
                )
            rows[i, number[style]] = 1.0
        return rows

    def _held_out(self, given, data, targets):
        if given is None:
            return self._random_part(data, targets)
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise InputTypeError("validation_data must be a pair (X, y).")
        held = self._read(given[1], name="validation_data[1]")
        contexts = self._context_rows(given[0], len(held), "validation_data[0]")
        return HeldOut(held, contexts, np.arange(len(held)))

    def _item_options(self, data) -> dict:
        options = dict(context_dim=self._context_dim, context_as=self.context_as)
        head = self.head
        if data.kind != "vectors":
            if head not in ("auto", "softmax"):
                raise ParameterError(f"head={head!r} is for frames; tokens have 'softmax'.")
            return options | super()._item_options(data)
        if head == "auto":
            head = "bernoulli" if self.cell == "jordan" else "nade"
        if head == "softmax":
            raise ParameterError("head='softmax' is for tokens; frames have 'bernoulli' or 'nade'.")
        self.__dict__.pop("vocabulary_", None)
        halting = "bernoulli" if self.halting == "auto" else self.halting
        return options | dict(keys=self.keys_, head=head, head_units=int(self.head_units), halting=halting)

    def _items(self, data):
        if data.vectors is None:
            return super()._items(data)
        frames = [np.zeros((0, self.keys_), np.float32), *(v for v in data.vectors if len(v))]
        return np.concatenate(frames).astype(np.float32)

    # Probabilities

    def log_probability(self, X, y, per_item: bool = False):
        """Return the log-probability of sequences, that of their ends included.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        per_item : bool
            Whether to return that of each item given those before it.

        Returns
        -------
        ndarray of shape (n,), or list of ndarray
            Natural logarithms. Per item: for each sequence of tokens an array (length + 1,), the last for its end; of
            frames (length,), each with the chance that the sequence ends there, or does not; or the last one with that
            of the length.
        """
        self._check_fitted()
        data = self._read(y)
        return self._log_probability(data, self._context_rows(X, len(data), "X"), per_item)

    def score(self, X, y, sample_weight=None) -> float:
        """Return the mean log-probability of an item of sequences; among tokens, ends are items too."""
        return self._mean(self.log_probability(X, y, per_item=True), sample_weight)

    # Writing

    def predict(self, X) -> list:
        """Return a sequence for each context, of the most probable item at each step.

        Parameters
        ----------
        X : list or array
            As in `fit`; where that was None, a list of None, one for each sequence to write.

        Returns
        -------
        list
            Sequences of at most the longest length that was learned from, in the form that `fit` had.
        """
        return self.generate(X, temperature=0)

    def _predict_chunk(self, chunk, name):
        return self.predict(chunk)

    def _export(self, root):
        from seqkit.export.generator import export_generator

        return export_generator(self, root)

    def generate(
        self,
        X=None,
        length: int | None = None,
        *,
        prompt: Sequence | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | Sequence[int] | None = None,
    ) -> list:
        """Write a sequence for each context.

        Parameters
        ----------
        X : list, array or int
            What the sequences are to be of, as in `fit`. Where that was None: how many to write, or a list of None.
        length : int or None
            Most items to write. None: as many as the longest sequence had that was learned from.
        prompt : list or None
            How each is to begin: texts, lists of tokens or frames. What is returned does not repeat it.
        temperature : float
            Below 1 for more likely, above 1 for more daring items; 0: always the most probable one.
        top_k, top_p : int, float
            Draw from the most probable tokens only, see `LanguageModel.generate`. They say nothing of frames.
        seed : int, sequence of int, or None
            The first sequence has this seed, the next one more, and so on; or each its own. What others there are makes
            no difference. None: a seed by chance.

        Returns
        -------
        list of str, list of list of str, or list of arrays (length, keys)
        """
        self._check_fitted()
        if self.context_kind_ == "none":
            rows = (1 if X is None else int(X)) if not hasattr(X, "__len__") else len(X)
            contexts = np.zeros((rows, 0), np.float32)
        else:
            contexts = self._context_rows(X, None, "X")
            rows = len(contexts)
        if prompt is None:
            nothing = np.zeros((0, self.keys_), np.float32) if self.input_kind_ == "vectors" else []
            prompt = [nothing] * rows
        prompts = self._read(prompt, name="prompt")
        if len(prompts) != rows:
            raise DataError(f"X and prompt have lengths {rows} and {len(prompts)}.")
        written = self._write(
            prompts, contexts, self.longest_ if length is None else length, temperature, top_k, top_p, seed
        )
        if self.input_kind_ == "vectors":
            return written
        return [self._told(ids, (), self._form) for ids in written]

    def fill(
        self,
        X,
        templates: Sequence[Sequence[str | None]],
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | Sequence[int] | None = None,
    ) -> list[list[str]]:
        """Write the tokens that templates leave open, each given all before it.

        Parameters
        ----------
        X : list, array or None
            What each sequence is of, as in `fit`.
        templates : list of lists of str and None
            For each sequence its tokens, None where one is to be drawn.
        temperature, top_k, top_p, seed
            As in `generate`.

        Returns
        -------
        list of list of str
            The templates, complete.
        """
        self._check_fitted()
        if self._form != "tokens":
            raise ParameterError(f"fill is for lists of tokens; this generator was fitted on {self._form}.")
        templates = [list(template) for template in templates]
        some = self.vocabulary_.words[0]
        data = self._read([[some if t is None else t for t in template] for template in templates], name="templates")
        contexts = self._context_rows(X, len(data), "X")
        settings = self._settings(len(data), temperature, top_k, top_p, seed)
        if not len(data):
            return []
        given, lengths = self._padded(data)
        for row, template in zip(given, templates, strict=True):
            row[[i for i, token in enumerate(template) if token is None]] = -1
        written = self._function("fill")(given, lengths, contexts, *settings)
        names = self._names()
        return [
            [names[i] if token is None else token for i, token in zip(ids, template, strict=False)]
            for ids, template in zip(written.ids.numpy(), templates, strict=True)
        ]


def _listed(given, name: str):
    """Return contexts as something with a length, or say what was wrong with what came."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputTypeError(f"{name} must be a list of what sequences are of, got {type(given).__name__}.")
    return given if hasattr(given, "__len__") else list(given)


def _is_table(given) -> bool:
    """Whether contexts are vectors."""
    first = next(iter(given), None) if not isinstance(given, np.ndarray) else given
    return getattr(first, "ndim", 0) == (2 if first is given else 1) or isinstance(first, list | tuple)
