"""What the estimators share that write sequences."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from seqkit.errors import ParameterError


class WritingMixin:
    """Drawing of sequences by an estimator with ``model_``; prompts are checked sequences, contexts an array."""

    def _padded(self, prompts) -> tuple[np.ndarray, np.ndarray]:
        """Return items [rows, time, …] and lengths [rows]."""
        items = self._items(prompts)
        padded = np.zeros((len(prompts), int(prompts.lengths.max(initial=0)), *items.shape[1:]), items.dtype)
        padded[np.arange(padded.shape[1]) < prompts.lengths[:, None]] = items
        return padded, prompts.lengths.astype(np.int32)

    def _settings(self, rows: int, temperature, top_k, top_p, seed):
        if not isinstance(temperature, Real) or not 0 <= temperature < np.inf:
            raise ParameterError(f"temperature={temperature!r} must be a number of at least 0.")
        if not isinstance(top_p, Real) or not 0 < top_p <= 1:
            raise ParameterError(f"top_p={top_p!r} must be a number above 0, at most 1.")
        if seed is None:
            seed = int(np.random.default_rng().integers(2**40))
        seeds = np.arange(rows, dtype=np.int64) + int(seed) if isinstance(seed, Integral) else np.asarray(seed)
        if seeds.shape != (rows,) or seeds.dtype.kind not in "iu":
            raise ParameterError(f"seed={seed!r} must be an integer or None, or {rows} integers, one for each row.")
        return (
            seeds.astype(np.int64),
            np.full(rows, temperature, np.float32),
            np.full(rows, count("top_k", top_k), np.int32),
            np.full(rows, top_p, np.float32),
        )

    def _write(self, prompts, contexts, length, *settings) -> list[np.ndarray]:
        limits = np.full(len(prompts), count("length", length), np.int32)
        settings = self._settings(len(prompts), *settings)
        if not len(prompts):
            return []
        items, lengths, _ = self._function("write")(*self._padded(prompts), contexts, limits, *settings)
        return [row[:n] for row, n in zip(items.numpy(), lengths.numpy(), strict=True)]

    def _search(self, prompts, contexts, length, width) -> list[np.ndarray]:
        if count("beam_width", width) < 1:
            raise ParameterError(f"beam_width={width!r} must be at least 1, or None to draw.")
        limits = np.full(len(prompts), count("length", length), np.int32)
        if not len(prompts):
            return []
        found = self._function(("search", int(width)))(*self._padded(prompts), contexts, limits)
        return [row[:n] for row, n in zip(found.ids.numpy()[:, 0], found.lengths.numpy()[:, 0], strict=True)]

    @property
    def _between(self) -> str:
        """What stands between tokens in a text."""
        return "" if self.tokenizer == "characters" else " "

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
        text = self._between.join(tokens)
        return text[: min((text.index(part) for part in stops if part and part in text), default=len(text))]

    def _function(self, name):
        """Return a graph function of the fitted model, made once."""
        from seqkit.decoding.writer import writer_function

        return self._once(name, lambda: writer_function(self.model_, name))


def count(name: str, value) -> int:
    """Return a value that must be a whole number of at least 0."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
        raise ParameterError(f"{name}={value!r} must be an integer of at least 0.")
    return int(value)
