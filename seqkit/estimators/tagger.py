"""One tag for each element of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from seqkit.errors import InputTypeError, ParameterError
from seqkit.estimators.sequence_estimator import (
    READER_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    SequenceEstimator,
    split_rows,
)
from seqkit.estimators.tag_labels import (
    flatten_tags,
    legal_tags,
    tag_lists,
    tag_names,
    tag_numbers,
    tag_numbers_and_unseen,
)
from seqkit.estimators.targets import check_sample_weight, sorted_classes
from seqkit.tags import infer_scheme


class SequenceTagger(SequenceEstimator):
    """Tag every token of a sentence, or every vector of a sequence, with a recurrent network.

    A sentence's tokens become vectors (word, characters, shape, affixes), a recurrent network reads them, and a
    conditional random field decides the tags together (Huang et al. 2015; Lample et al. 2016; Ma & Hovy 2016).

    Parameters
    ----------
    cell : {"lstm", "gru", "elman", "leaky", "jordan"}, default="lstm"
        The recurrence.
    units : int, default=200
        Hidden units of each direction.
    layers : int, default=1
        Recurrent layers.
    bidirectional : bool, default=True
        Whether to read both ways.
    activation : str or None, default="tanh"
        Activation of the hidden state; any Keras name.
    crf : bool or "auto", default="auto"
        Whether a conditional random field decides the tags together; else each is decided by a softmax. "auto": yes,
        but for a Jordan network, which feeds its own tags back.
    word_dim : int, default=100
        Size of the learned word vectors.
    char_encoder : {"cnn", "rnn"} or None, default="cnn"
        How the characters of a token are read.
    char_units : int, default=50
        Size of a token's vector from its characters.
    shape_features : bool, default=True
        Whether to look at a token's shape (capitals, digits, signs) and at its prefixes and suffixes.
    word_vectors : str, os.PathLike or None, default=None
        File of pretrained vectors (GloVe, word2vec text, fastText ``.vec``, also gzip). They are kept fixed beside the
        learned ones, those of words outside the training data too.
    dropout : float, default=0.5
        Share of features dropped in training before, between and after the recurrent layers.
    recurrent_dropout : float, default=0.0
        Share of the fed-back state dropped in training.
    word_dropout : float, default=0.05
        Share of words replaced by the unknown word in training; of words seen once, one half.
    initial_state : {"zeros", "learned"}, default="zeros"
        State before the first step.
    language_model : float, default=0.2
        Weight of a second objective in training, for words: each direction of the first recurrent layer learns to
        expect the next word, so that it learns from every word and not from the tagged ones alone (Rei 2017). 0: none.
    scheduled_sampling : float, default=0.0
        Jordan only: share of steps trained on the network's own tags in place of the true ones.
    beam_width : int, default=1
        Jordan only: tag sequences followed in prediction.
    class_weight : dict, "balanced" or None, default=None
        Weight of each tag's part of the loss (1 where a dict has none; "balanced": all tags count the same), for
        ``crf=False`` and Jordan networks: a conditional random field judges whole paths, not tags.
    scheme : {"auto", "iob2", "iob1", "iobes", "io"} or None, default="auto"
        What the tags mean. With a scheme, moves it forbids are never predicted and `score` is entity F1; with None,
        `score` is the share of right tags. "auto" looks at the tags.
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
    batch_size : int, default=32
        Sentences in a training step.
    epochs : int, default=30
        Most passes over the training data.
    patience : int or None, default=6
        Passes without a better score on the validation part before training ends; None: never early.
    validation_fraction : float or None, default=0.1
        Share of the training data, taken at random, that judges each pass, where `fit` is given no validation data.
        None or 0: none, and no early stopping.
    average_weights : bool, default=True
        Whether the moving average of the weights is what is scored and kept.
    max_length : int or None, default=None
        Longest sequence accepted; longer ones raise. None: no limit. Nothing is ever cut.
    warm_start : bool, default=False
        Whether `fit` continues from the present weights. New words are then unknown words, new tags an error.
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
        The network, made by `seqkit.models.build_tagger`.
    classes_ : ndarray
        The tags, sorted.
    vocabulary_ : seqkit.text.features.TokenVocabulary
        What was learned about tokens; not for vectors.
    history_ : dict
        For each pass: "loss" (per sentence), "f1" or "accuracy" of the validation part, "seconds",
        "tokens_per_second" in training, "elapsed".
    scheme_ : str or None
        The scheme of the tags.
    n_features_in_ : int
        Size of each vector; of an array (n, steps), its steps. For vectors only.
    vector_coverage_ : seqkit.text.vectors.Coverage
        With ``word_vectors``: how much of the training vocabulary has a vector; ``print`` shows a report.

    Examples
    --------
    >>> from seqkit import SequenceTagger
    >>> tagger = SequenceTagger(random_state=0)
    >>> tagger.fit([["Harry", "met", "Ron"]] * 10, [["B-PER", "O", "B-PER"]] * 10)  # doctest: +SKIP
    >>> tagger.predict(["Harry met Ron."])  # doctest: +SKIP
    [['B-PER', 'O', 'B-PER', 'O']]
    """

    _parameter_constraints = {  # noqa: RUF012
        **READER_CONSTRAINTS,
        "crf": ["boolean", StrOptions({"auto"})],
        "scheduled_sampling": [Interval(Real, 0, 1, closed="both")],
        "beam_width": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "scheme": [StrOptions({"auto", "iob2", "iob1", "iobes", "io"}), None],
        **TRAINING_CONSTRAINTS,
    }
    _plain_state = (*SequenceEstimator._plain_state, "scheme_")
    _builder = "build_tagger"

    def __init__(
        self,
        cell="lstm",
        units=200,
        layers=1,
        bidirectional=True,
        activation="tanh",
        crf="auto",
        word_dim=100,
        char_encoder="cnn",
        char_units=50,
        shape_features=True,
        word_vectors=None,
        dropout=0.5,
        recurrent_dropout=0.0,
        word_dropout=0.05,
        initial_state="zeros",
        language_model=0.2,
        scheduled_sampling=0.0,
        beam_width=1,
        class_weight=None,
        scheme="auto",
        tokenizer="words",
        lowercase=True,
        min_count=1,
        optimizer="adam",
        learning_rate=0.002,
        gradient_clip=5.0,
        batch_size=32,
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
        self.crf = crf
        self.word_dim = word_dim
        self.char_encoder = char_encoder
        self.char_units = char_units
        self.shape_features = shape_features
        self.word_vectors = word_vectors
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.word_dropout = word_dropout
        self.initial_state = initial_state
        self.language_model = language_model
        self.scheduled_sampling = scheduled_sampling
        self.beam_width = beam_width
        self.class_weight = class_weight
        self.scheme = scheme
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

    # Fitting

    def fit(self, X, y, validation_data=None, sample_weight=None):
        """Train on sequences and their tags.

        Parameters
        ----------
        X : list of list of str, list of str, or list of array (length, d)
            Tokens, raw strings (cut by ``tokenizer``), or vectors.
        y : list of list
            One tag for each token: strings, or anything that can be hashed.
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
            All tags there will be, at the first call; by default those of ``y``. Later, new tags are an error; new
            words are always unknown words.
        sample_weight : array of shape (n,), optional
            Weight of each sequence's loss.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, classes, sample_weight)

    def _fit_targets(self, y, data, fresh, classes=None) -> np.ndarray:
        y = tag_lists(y)
        flat = flatten_tags(y, data.lengths)
        if fresh:
            # Where all tags are given, those that do not occur yet tell of the scheme too.
            named = y if classes is None else [*y, *([tag] for tag in classes)]
            self.scheme_ = infer_scheme(named) if self.scheme == "auto" else self.scheme
        y, flat = legal_tags(y, flat, self.scheme_)
        if fresh:
            self.classes_ = sorted_classes(flat if classes is None else list(classes))
        elif classes is not None:
            tag_numbers(self.classes_, [list(classes)], list(classes), "classes")
        return tag_numbers(self.classes_, y, flat)

    def _validation_targets(self, y, data, name):
        y = tag_lists(y)
        return tag_numbers_and_unseen(self.classes_, flatten_tags(y, data.lengths, name))

    def _check_class_weight(self, fresh) -> None:
        """Check it before anything is changed: against the network there is, or the one that is to be made."""
        super()._check_class_weight(fresh)
        cell, crf = self.cell, self.crf
        if not fresh:
            cell, crf = self._model_config["cell"], self._model_config["crf"] is not False
        if self.class_weight is not None and cell != "jordan" and crf:
            raise ParameterError(
                f"class_weight={self.class_weight!r} does not go with a conditional random field (crf={self.crf!r}), "
                "whose loss is that of a whole path and has no part for each tag. Set crf=False, or weigh sequences by "
                "sample_weight."
            )

    def _model_options(self) -> dict:
        return dict(
            tags=tag_names(self.classes_, self.scheme_),
            crf=None if self.crf == "auto" else bool(self.crf),
            scheduled_sampling=float(self.scheduled_sampling),
            beam_width=int(self.beam_width),
            scheme=self.scheme_,
        )

    def _evaluation(self, held_out, tensors):
        from seqkit.metrics.entities import entity_counts
        from seqkit.training.prediction import answer_steps

        data, rows = held_out.data, held_out.rows
        truth, names = held_out.targets[data.positions(rows)], [*self.classes_.tolist(), *held_out.unseen]

        def evaluate() -> dict[str, float]:
            (predicted,) = answer_steps(self, data, "best", rows, tensors)
            if self.scheme_:
                return {"f1": entity_counts(truth, predicted, data.lengths[rows], names).f1}
            return {"accuracy": float(np.mean(truth == predicted)) if len(truth) else 0.0}

        return evaluate

    # Predicting

    def predict(self, X) -> list[list]:
        """Return the tags of each sequence, as they were given to `fit`.

        Parameters
        ----------
        X : list of list of str, list of str, or list of array (length, d)
            As in `fit`.

        Returns
        -------
        list of list
            One tag for each token. A Jordan network's tags come from running free, greedily or by beam.
        """
        return super().predict(X)

    def _predict(self, data) -> list[list]:
        from seqkit.training.prediction import answer_steps

        return _lists(self.classes_[answer_steps(self, data, "best")[0]], data.lengths)

    def predict_proba(self, X) -> list[np.ndarray]:
        """Return for each sequence an array (length, n_classes), columns in the order of ``classes_``.

        With a conditional random field these are marginals of the sequence model (forward–backward), not a softmax of
        each step.
        """
        self._check_fitted()
        from seqkit.training.prediction import answer_steps

        data = self._read(X)
        return split_rows(answer_steps(self, data, "probabilities")[0], data.lengths)

    def tag(self, texts: Sequence[str]) -> list[dict]:
        """Tag raw strings and gather entities.

        Parameters
        ----------
        texts : list of str
            The strings.

        Returns
        -------
        list of dict
            For each: ``text``, ``tokens``, ``tags``, ``scores`` (probability of each tag), and ``entities``: dicts of
            ``start`` and ``end`` (character offsets), ``text``, ``label`` and ``score`` (the lowest of its tags).
        """
        self._check_fitted()
        from seqkit.tags import gather_entities, place_in_text
        from seqkit.text.tokenizer import tokenize_texts
        from seqkit.training.prediction import answer_steps

        if isinstance(texts, str | bytes):
            raise InputTypeError(f"texts must be a list of strings, got one string {texts!r:.60}. Wrap it in a list.")
        tokenized = tokenize_texts(list(texts), self.tokenizer)
        data = self._read([t.tokens for t in tokenized])
        ids, scores = answer_steps(self, data, "decode")
        results = []
        rows = zip(
            texts, tokenized, _lists(self.classes_[ids], data.lengths), _lists(scores, data.lengths), strict=True
        )
        for text, tokens, tags, tag_scores in rows:
            place = place_in_text(text, tokens.starts, tokens.ends)
            entities = gather_entities(tags, self.scheme_, place, tag_scores)
            results.append(
                {"text": text, "tokens": tokens.tokens, "tags": tags, "scores": tag_scores, "entities": entities}
            )
        return results

    def score(self, X, y, sample_weight=None) -> float:
        """Return entity F1 where tags have a scheme, else the share of right tags.

        Parameters
        ----------
        X, y : lists
            As in `fit`.
        sample_weight : array of shape (n,), optional
            Weight of each sequence in the count.

        Returns
        -------
        float
            Between 0 and 1.
        """
        from seqkit.metrics.entities import entity_f1, token_accuracy

        self._check_fitted()
        data = self._read(X)
        y = tag_lists(y)
        flatten_tags(y, data.lengths)
        weights = None if sample_weight is None else check_sample_weight(sample_weight, len(data))
        metric = entity_f1 if self.scheme_ else token_accuracy
        return metric(list(y), self._predict(data), sample_weight=weights)

    def _export(self, root):
        from seqkit.export.tagger import export_tagger

        return export_tagger(self, root)


def _lists(flat: np.ndarray, lengths: np.ndarray) -> list[list]:
    values, ends = flat.tolist(), np.cumsum(lengths).tolist()
    return [values[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]
