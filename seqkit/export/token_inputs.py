"""Tokens to the numbers that a converted model reads (see `seqkit.export.conversion`), with NumPy alone.

This file needs nothing else of seqkit, and no TensorFlow: it may be copied to where the model runs. ::

    inputs = TokenInputs.load("tagger.onnx.json")
    outputs = session.run(None, inputs([["Harry", "met", "Ron"], ["It", "rained"]]))

What it does is what `seqkit.text.features.TokenGraph` does. The classes of characters are in the JSON file, since
Python's own tables differ from version to version.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_UNKNOWN = 1
_FIRST = 2  # ids of known entries begin here
_FEATURES = ("shape", "prefix2", "prefix3", "prefix4", "suffix1", "suffix2", "suffix3", "suffix4")
_SIGMA = "\u03a3"  # the one letter whose lower case depends on what stands around it
_RUNS = re.compile("(X{3,}|x{3,}|d{3,}|u{3,})")
_SURROGATES = re.compile("[\ud800-\udfff]")


class TokenInputs:
    """What turns tokens into the inputs of a converted model.

    Parameters
    ----------
    description : dict
        What stands beside the model in its JSON file. Where its ``inputs`` have fixed sizes (LiteRT), tokens are padded
        to them.
    """

    def __init__(self, description: dict):
        if "vocabulary" not in description:
            raise ValueError("This model reads no tokens: its inputs are vectors, or ids and states of a step.")
        vocabulary = description["vocabulary"]
        self._rows, self._length = (size if size > 0 else None for size in description["inputs"]["words"]["shape"])
        self._lowercase, self._digits = vocabulary["lowercase"], vocabulary["digits"]
        self._max_characters = vocabulary["max_characters"]
        self._words = _numbered(vocabulary["words"] + vocabulary["extra_words"])
        self._characters = _numbered(map(chr, vocabulary["characters"]))
        values = vocabulary["features"]
        self._features = {name: _numbered(values[name]) for name in _FEATURES if values}
        kinds = vocabulary["unicode"]
        self._lower = str.maketrans(kinds["lower"])
        self._zeros = str.maketrans(dict.fromkeys(kinds["Nd"], "0"))
        signs = {"X": kinds["Lu"], "x": kinds["Ll"], "d": kinds["Nd"]}
        self._shapes = {character: sign for sign, characters in signs.items() for character in characters}

    @classmethod
    def load(cls, path: str | os.PathLike) -> TokenInputs:
        """Read the JSON file beside a model."""
        return cls(json.loads(Path(path).read_text(encoding="utf-8")))

    def __call__(self, sentences: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
        """Return the inputs for some sentences.

        Parameters
        ----------
        sentences : sequence of sequence of str
            Tokens.

        Returns
        -------
        dict of numpy.ndarray
            int32 throughout. ``words`` [rows, time] and ``lengths`` [rows]; where the model reads them, ``characters``
            [rows, time, longest token] and ``features`` [rows, time, 8]. 0 pads. Of fixed sizes, the rows after those
            of the sentences have length 0, and what is answered for them means nothing.

        Raises
        ------
        ValueError
            If there are more sentences, or more tokens in one, than the model's fixed sizes allow.
        TypeError
            If a sentence is not a list of strings.
        """
        for i, sentence in enumerate(sentences):
            if isinstance(sentence, str | bytes) or not all(isinstance(token, str) for token in sentence):
                raise TypeError(f"sentences[{i}] must be a list of tokens (strings), got {sentence!r:.60}.")
        lengths = [len(sentence) for sentence in sentences]
        rows = self._rows or len(lengths)
        time = self._length or max([1, *lengths])  # the model needs a step
        if len(lengths) > rows:
            raise ValueError(f"{len(lengths)} sentences; this model was converted for rows={rows}.")
        if max(lengths, default=0) > time:
            i = int(np.argmax(lengths))
            raise ValueError(f"sentences[{i}] has {lengths[i]} tokens; this model was converted for length={time}.")
        types = {"": 0}  # padding
        index = np.zeros((rows, time), np.int64)
        for i, sentence in enumerate(sentences):
            index[i, : lengths[i]] = [types.setdefault(token, len(types)) for token in sentence]
        padded = np.zeros(rows, np.int32)
        padded[: len(lengths)] = lengths
        return {name: ids[index] for name, ids in self._ids(list(types)).items()} | {"lengths": padded}

    def _ids(self, tokens: list[str]) -> dict[str, np.ndarray]:
        """Return the ids of distinct tokens, of which the first is padding."""
        tokens = [_SURROGATES.sub("\ufffd", token) for token in tokens]  # which UTF-8 does not have
        words = [self._normal(token, self._lowercase, self._digits) for token in tokens]
        ids = {"words": np.array([self._words.get(word, _UNKNOWN) for word in words], np.int32)}
        if self._characters:
            spelled = [self._spelled(token) for token in tokens]
            longest = self._max_characters if self._length else max(1, *map(len, spelled))
            ids["characters"] = np.array([row + [0] * (longest - len(row)) for row in spelled], np.int32)
        if self._features:
            known = [self._outward(token) for token in tokens]
            tables = self._features.items()
            rows = [[table.get(values[name], _UNKNOWN) for name, table in tables] for values in known]
            ids["features"] = np.array(rows, np.int32)
        empty = [not token for token in tokens]
        for values in ids.values():
            values[empty] = 0
        return ids

    def _normal(self, token: str, lowercase: bool, digits: bool) -> str:
        if lowercase:
            token = self._lowered(token.replace("\0", "\ufffd"))
        return token.translate(self._zeros) if digits else token

    def _lowered(self, token: str) -> str:
        if _SIGMA in token:
            whole = "".join(c if self._is_cased_alike(c) else "-" for c in token.replace("\u0130", "I")).lower()
            token = "".join(whole[i] if c == _SIGMA else c for i, c in enumerate(token))
        return token.translate(self._lower)

    def _is_cased_alike(self, character: str) -> bool:
        """Whether the table knows the pair of cases that Python may know of."""
        lower, upper = character.lower(), character.upper()
        known = ord(character) in self._lower if lower != character else True
        return known and (len(upper) != 1 or upper == character or ord(upper) in self._lower)

    def _spelled(self, token: str) -> list[int]:
        limit = self._max_characters
        if len(token) > limit:  # its first and last halves
            token = token[: limit - limit // 2] + token[len(token) - limit // 2 :]
        return [self._characters.get(character, _UNKNOWN) for character in token]

    def _outward(self, token: str) -> dict[str, str]:
        """Return the values of outward features by name, such as ``prefix3``."""
        signs = (self._shapes.get(c, c if c < "\x80" else "u") for c in token)
        values = {"shape": _RUNS.sub(lambda run: run[0][:2], "".join(signs))}
        lower = self._normal(token, True, True)
        for n in range(1, 5):
            values[f"prefix{n}"], values[f"suffix{n}"] = lower[:n], lower[-n:]
        return values


def _numbered(entries) -> dict[str, int]:
    return {entry: number for number, entry in enumerate(entries, _FIRST)}
