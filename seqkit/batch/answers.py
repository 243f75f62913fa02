"""What each kind of model says of a row, as columns with types: one class an estimator."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqkit.errors import InputTypeError, ParameterError

_ENTITY = ("start", "end", "text", "label", "score")


class Answers:
    """The columns of a model's answers.

    Parameters
    ----------
    estimator : object
        A fitted estimator.

    Attributes
    ----------
    types : dict of str to pyarrow.DataType
        All columns that there may be.
    default : tuple of str
        Those that are written unless others are asked for.
    """

    def __init__(self, estimator):
        import pyarrow

        self.estimator = estimator
        self.types: dict[str, Any] = self._types(pyarrow)
        self.default = tuple(self.types)

    def _types(self, pa) -> dict[str, Any]:
        raise NotImplementedError

    def __call__(self, inputs: list) -> Mapping[str, Any]:
        """Answer inputs of one kind: every column, as a list or an array of as many items."""
        raise NotImplementedError


class Tags(Answers):
    """Of a tagger: ``entities`` where tags have a scheme, else ``tags``.

    Entities have ``start`` and ``end`` (characters of a text; of tokens, their numbers), ``text``, ``label`` and
    ``score``, the lowest probability of its tags. Of texts, ``tokens`` are what was tagged.
    """

    def _types(self, pa):
        tag = _type(pa, self.estimator.classes_)
        types = {"tokens": pa.list_(pa.string()), "tags": pa.list_(tag), "scores": pa.list_(pa.float32())}
        return {**types, "entities": pa.list_(entity_type())}

    def __init__(self, estimator):
        super().__init__(estimator)
        self.default = ("entities",) if estimator.scheme_ else ("tokens", "tags")

    def __call__(self, inputs):
        """See `Answers`."""
        if inputs and isinstance(inputs[0], str):
            found = self.estimator.tag(inputs)
            return {name: [row[name] for row in found] for name in self.types}
        from seqkit.tags import gather_entities, place_among_tokens

        estimator, known = self.estimator, {tag: i for i, tag in enumerate(self.estimator.classes_.tolist())}
        tags = estimator.predict(inputs)
        scores = [
            row[np.arange(len(path)), [known[tag] for tag in path]]
            for path, row in zip(tags, estimator.predict_proba(inputs), strict=True)
        ]
        words = [row if not len(row) or isinstance(row[0], str) else None for row in inputs]
        entities = [
            gather_entities(path, estimator.scheme_, place_among_tokens(tokens), row)
            for tokens, path, row in zip(words, tags, scores, strict=True)
        ]
        return {"tokens": words, "tags": tags, "scores": scores, "entities": entities}


class Classes(Answers):
    """Of a classifier: ``label`` (``labels``, where there may be several), and ``probabilities`` by class."""

    def _types(self, pa):
        classes = self.estimator.classes_
        self.several = getattr(self.estimator, "target_kind_", "one") != "one"
        label = _type(pa, classes)
        chosen = {"labels": pa.list_(label)} if self.several else {"label": label}
        return {**chosen, "probabilities": pa.struct([(str(name), pa.float32()) for name in classes])}

    def __call__(self, inputs):
        """See `Answers`."""
        classes, probabilities = self.estimator.classes_, self.estimator.predict_proba(inputs)
        if self.several:
            chosen = {"labels": [classes[row > 0.5].tolist() for row in probabilities]}
        else:
            chosen = {"label": classes[probabilities.argmax(1)] if len(probabilities) else []}
        return {**chosen, "probabilities": dict(zip(map(str, classes), probabilities.T, strict=True))}


class Values(Answers):
    """Of a regressor: ``value``, a number, or a list of them."""

    def _types(self, pa):
        one = self.estimator.n_outputs_ == 1
        return {"value": pa.float32() if one else pa.list_(pa.float32())}

    def __call__(self, inputs):
        """See `Answers`."""
        return {"value": list(np.asarray(self.estimator.predict(inputs), np.float32))}


class Likelihoods(Answers):
    """Of a language model: ``log_probability`` of the whole, the end included."""

    def _types(self, pa):
        return {"log_probability": pa.float64()}

    def __call__(self, inputs):
        """See `Answers`."""
        return {"log_probability": self.estimator.log_probability(inputs)}


class Targets(Answers):
    """Of an encoder-decoder: the best ``text`` (``tokens``) and its ``score``; or ``value``, the vectors."""

    def _types(self, pa):
        kind = self.estimator.target_kind_
        if kind == "vectors":
            return {"value": pa.list_(pa.list_(pa.float32()))}
        told = {"text": pa.string()} if kind == "texts" else {"tokens": pa.list_(pa.string())}
        return {**told, "score": pa.float32()}

    def __call__(self, inputs):
        """See `Answers`."""
        if "value" in self.types:
            rows = [np.asarray(row, np.float32) for row in self.estimator.predict(inputs)]
            return {"value": [row.reshape(len(row), -1).tolist() for row in rows]}
        best = [row[0] for row in self.estimator.predict_nbest(inputs, 1)]
        name = next(iter(self.types))
        return {name: [told for told, _ in best], "score": [score for _, score in best]}


class Written(Answers):
    """Of a generator: what it writes of a context, ``text``, ``tokens`` or ``frames``."""

    def _types(self, pa):
        form = self.estimator._form
        if form == "vectors":
            return {"frames": pa.list_(pa.list_(pa.float32()))}
        return {"text": pa.string()} if form == "texts" else {"tokens": pa.list_(pa.string())}

    def __call__(self, inputs):
        """See `Answers`."""
        (name,) = self.types
        return {name: [np.asarray(row).tolist() if name == "frames" else row for row in self.estimator.predict(inputs)]}


class Music(Answers):
    """Of a composer: ``midi``, the bytes of a file.

    A text says the notes that a piece begins with, such as ``"C4 D4:2"``, or is empty; where the composer knows styles,
    it is the style. One text always gives one piece; so does the same text in another row.
    """

    def __init__(self, estimator):
        from seqkit.music import Composer

        super().__init__(Composer.load(estimator))

    def _types(self, pa):
        return {"midi": pa.binary()}

    def __call__(self, inputs):
        """See `Answers`."""
        from seqkit.music import read_notes
        from seqkit.music.writing import midi_bytes

        if any(not isinstance(text, str) for text in inputs):
            raise InputTypeError("a composer is asked with texts: notes to begin with, or a style")
        about: dict[str, Any] = {"seed": [zlib.crc32(text.encode()) for text in inputs]}
        if self.estimator.generator_.context_kind_ == "styles":
            about["style"] = inputs
        else:
            about["begin"] = [read_notes(text) if text.strip() else None for text in inputs]
        return {"midi": [midi_bytes(score) for score in self.estimator.generate(len(inputs), **about)]}


ANSWERS: dict[str, type[Answers]] = {
    "SequenceTagger": Tags,
    "SequenceClassifier": Classes,
    "TreeClassifier": Classes,
    "SequenceRegressor": Values,
    "LanguageModel": Likelihoods,
    "Seq2Seq": Targets,
    "SequenceGenerator": Written,
}


def load_answers(folder: str) -> Answers:
    """Return what makes columns of a saved model's answers."""
    import seqkit
    from seqkit.music.composer import is_composer

    return Music(folder) if is_composer(folder) else answers_of(seqkit.load(folder))


def answers_of(estimator) -> Answers:
    """Return what makes columns of an estimator's answers."""
    found = ANSWERS.get(type(estimator).__name__)
    if found is None:
        raise ParameterError(
            f"{type(estimator).__name__} has no answers for batches; expected one of {', '.join(ANSWERS)}."
        )
    return found(estimator)


def entity_type():
    """Return the Arrow type of an entity."""
    import pyarrow as pa

    types = (pa.int32(), pa.int32(), pa.string(), pa.string(), pa.float32())
    return pa.struct(list(zip(_ENTITY, types, strict=True)))


def _type(pa, classes: np.ndarray):
    """Return the Arrow type of classes or tags: text, unless all are numbers of one kind."""
    kinds = {type(value) for value in classes.tolist()}
    numbers = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    return numbers.get(kinds.pop(), pa.string()) if len(kinds) == 1 else pa.string()
