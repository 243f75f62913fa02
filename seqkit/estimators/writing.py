"""What the estimators share that write sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral, Real

import numpy as np

from seqkit.errors import InputTypeError, ParameterError


class WritingMixin:
    """Generation of texts by an estimator with ``model_``, ``vocabulary_`` and ``tokenizer``.

    It asks ``_read`` and ``_items`` of the estimator what prompts are.
    """

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
        if beam_width is not None:
            written = self._search(prompts, length, beam_width)
        else:
            written = self._write(prompts, length, temperature, top_k, top_p, seed)
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
        last, states = self._function("begin")(*self._padded(prompts))
        for t in range(_count("length", length)):
            last, states = self._function("next")(last, states, np.int32(t), *settings)
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

    def _padded(self, prompts) -> tuple[np.ndarray, np.ndarray]:
        """Return ids [rows, time] and lengths [rows]."""
        ids = np.zeros((len(prompts), int(prompts.lengths.max(initial=0))), np.int32)
        ids[np.arange(ids.shape[1]) < prompts.lengths[:, None]] = self._items(prompts)
        return ids, prompts.lengths.astype(np.int32)

    def _settings(self, rows: int, temperature, top_k, top_p, seed):
        if not isinstance(temperature, Real) or not 0 <= temperature < np.inf:
            raise ParameterError(f"temperature={temperature!r} must be a number of at least 0.")
        if not isinstance(top_p, Real) or not 0 < top_p <= 1:
            raise ParameterError(f"top_p={top_p!r} must be a number above 0, at most 1.")
        if seed is None:
            seed = int(np.random.default_rng().integers(2**40))
        if not isinstance(seed, Integral):
            raise ParameterError(f"seed={seed!r} must be an integer or None.")
        return (
            np.arange(rows, dtype=np.int64) + int(seed),
            np.full(rows, temperature, np.float32),
            np.full(rows, _count("top_k", top_k), np.int32),
            np.full(rows, top_p, np.float32),
        )

    def _write(self, prompts, length, *settings) -> list[np.ndarray]:
        if not len(prompts):
            return []
        limits = np.full(len(prompts), _count("length", length), np.int32)
        settings = self._settings(len(prompts), *settings)
        ids, lengths, _ = self._function("write")(*self._padded(prompts), limits, *settings)
        return [row[:n] for row, n in zip(ids.numpy(), lengths.numpy(), strict=True)]

    def _search(self, prompts, length, width) -> list[np.ndarray]:
        if _count("beam_width", width) < 1:
            raise ParameterError(f"beam_width={width!r} must be at least 1, or None to draw.")
        if not len(prompts):
            return []
        limits = np.full(len(prompts), _count("length", length), np.int32)
        ids, lengths, _ = self._function(("search", int(width)))(*self._padded(prompts), limits)
        return [row[:n] for row, n in zip(ids.numpy()[:, 0], lengths.numpy()[:, 0], strict=True)]

    def _next(self, data, k: int) -> list[list[tuple[str, float]]]:
        """Return the k most probable tokens after each text, with their probabilities."""
        names, found = self._names(), []
        for first in range(0, len(data), 256):
            some = data.take(np.arange(first, min(first + 256, len(data))))
            last, states = self._function("begin")(*self._padded(some))
            shares = self._function("distribution")(last, states).numpy()
            order = np.argsort(-shares, 1, kind="stable")[:, :k]
            found.extend([(names[i], float(row[i])) for i in best] for row, best in zip(shares, order, strict=True))
        return found

    def _names(self) -> list[str]:
        return ["", "\ufffd", *self.vocabulary_.words]

    def _told(self, ids, stop, kind: str):
        """Return ids as tokens, or as the text they are of, cut at a ``stop``."""
        names = self._names()
        tokens = [names[i] for i in ids]
        stops = [stop] if isinstance(stop, str) else list(stop)
        if kind == "tokens":
            ends = [tokens.index(word) for word in stops if word in tokens]
            return tokens[: min(ends, default=len(tokens))]
        text = ("" if self.tokenizer == "characters" else " ").join(tokens)
        return text[: min((text.index(part) for part in stops if part and part in text), default=len(text))]

    def _function(self, name):
        """Return a graph function of the fitted model, made once."""
        functions = self._live.setdefault("functions", {})
        if name not in functions:
            from seqkit.decoding.language import language_function

            functions[name] = language_function(self.model_, name)
        return functions[name]


def _count(name: str, value) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
        raise ParameterError(f"{name}={value!r} must be an integer of at least 0.")
    return int(value)
