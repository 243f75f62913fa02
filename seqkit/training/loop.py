"""The training loop: epochs, early stopping, the best weights, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from seqkit.errors import TrainingError
from seqkit.training.averaging import WeightAverage
from seqkit.training.checkpoint import Checkpoint
from seqkit.training.strategies import OneDevice

_MEASURED = ("loss", "seconds", "tokens_per_second", "elapsed")


@dataclass
class TrainingLoop:
    """Fit a model's weights.

    Parameters
    ----------
    model : keras.Model
        The model; all its variables are kept in checkpoints and with the best weights.
    optimizer : keras.optimizers.Optimizer
        Built on the model's trainable variables.
    step : callable
        Takes a batch, makes one optimizer step and returns the loss.
    batches : callable
        Takes a random generator, returns the batches of an epoch, each what ``step`` takes.
    tokens : int
        Tokens in one epoch.
    epochs : int
        Most epochs.
    evaluate : callable or None
        Returns scores of the model's present weights on the validation part, by name, the deciding one first; of
        epochs that are equal in it, the next decides. Greater is better, but of a "loss".
    patience : int or None
        Epochs without a better score before training ends; None for all epochs.
    average : WeightAverage or None
        If given, the average of the weights is what is scored and kept.
    seed : int
        Seed of the order of batches.
    checkpoint : Checkpoint or None
        Where to keep the state after each epoch.
    decay : callable or None
        Told before each step how much of training is done, 0 to 1.
    devices : OneDevice
        What trains.
    progress : callable
        Makes a progress bar: ``progress(total, description)`` is a context with ``advance`` and ``update``.
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    step: Callable
    batches: Callable
    tokens: int
    epochs: int
    progress: Callable
    evaluate: Callable | None = None
    patience: int | None = None
    average: WeightAverage | None = None
    seed: int = 0
    checkpoint: Checkpoint | None = None
    decay: Callable[[float], None] | None = None
    devices: OneDevice = field(default_factory=OneDevice)
    history: dict = field(default_factory=dict)

    def run(self) -> dict[str, list[float]]:
        """Train; leave the best weights in the model; return the history, a list of numbers for each quantity."""
        first = self._resume()
        variables = [*self.model.variables, *self.optimizer.variables]
        self.devices.spread(variables)
        with self.devices.own_noise(variables):
            self._run(first)
        if self.best is not None:
            self._assign(self.best)
        self.devices.spread(variables)
        if self.checkpoint:
            self.checkpoint.finish()
        return self.history

    def _run(self, first: int) -> None:
        """Take the epochs from ``first`` on."""
        started = time.perf_counter() - sum(self.history.get("seconds", []))
        for epoch in range(first, self.epochs):
            if self._out_of_patience():
                break
            self._record(**self._epoch(epoch), elapsed=time.perf_counter() - started)
            if self.checkpoint:
                self.checkpoint.write(self._state())

    best: list[np.ndarray] | None = None

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Train for one epoch, score the weights, and return what the history keeps of it."""
        began = time.perf_counter()
        batches = self.batches(np.random.default_rng([self.seed, epoch]))
        losses = []
        with self.progress(len(batches), f"epoch {epoch + 1}/{self.epochs}") as bar:
            for number, batch in enumerate(batches):
                if self.decay:
                    self.decay((epoch + number / len(batches)) / self.epochs)
                losses.append(self.step(batch))
                if self.average:
                    self.average.step()
                bar.advance()
            loss, trained = float(np.mean(losses)), time.perf_counter() - began
            if not np.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss} in epoch {epoch + 1}. Lower learning_rate=, or set gradient_clip= to 1.0."
                )
            scored = self._score()
            bar.update(loss=loss, **dict(list(scored.items())[:1]))
        measured = {"seconds": time.perf_counter() - began, "tokens_per_second": self.tokens / trained}
        return {"loss": loss, **scored, **measured}

    def _score(self) -> dict[str, float]:
        if self.average:
            self.average.swap()
        scored = {}
        if self.evaluate:
            scored = {name: float(value) for name, value in self.evaluate().items()}
        if not self.evaluate or _rank(scored) > max(self._ranks(), default=()):
            self.best = [v.numpy() for v in self._variables()]
        if self.average:
            self.average.swap()
        return scored

    def _scores(self) -> dict[str, list[float]]:
        """Return what `evaluate` has given so far."""
        return {name: values for name, values in self.history.items() if name not in _MEASURED}

    def _ranks(self) -> list[tuple[float, ...]]:
        scores = self._scores()
        return [_rank(dict(zip(scores, values, strict=True))) for values in zip(*scores.values(), strict=True)]

    def _variables(self) -> list[tf.Variable]:
        return [v.value for v in self.model.trainable_variables]

    def _assign(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)

    def _record(self, **values: float) -> None:
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)

    def _out_of_patience(self) -> bool:
        ranks = self._ranks()
        return bool(ranks) and self.patience is not None and len(ranks) - 1 - ranks.index(max(ranks)) >= self.patience

    def _state(self) -> dict:
        return {
            "history": self.history,
            "arrays": {
                "model": [v.numpy() for v in self.model.variables],
                "optimizer": [v.numpy() for v in self.optimizer.variables],
                "average": self.average.state() if self.average else [],
                "best": self.best or [],
                "seed": [np.array(self.seed)],
            },
        }

    def _resume(self) -> int:
        state = self.checkpoint.read() if self.checkpoint else None
        if state is None:
            return 0
        arrays = state["arrays"]
        for variables, name in ((self.model.variables, "model"), (self.optimizer.variables, "optimizer")):
            for variable, value in zip(variables, arrays[name], strict=True):
                variable.assign(value)
        if self.average:
            self.average.restore(arrays["average"])
        self.best = arrays["best"] or None
        self.history = state["history"]
        return len(self.history["loss"])


def _rank(scores: dict[str, float]) -> tuple[float, ...]:
    """Return what to compare epochs by; NaN counts as worst."""
    signed = (-value if name.endswith("loss") else value for name, value in scores.items())
    return tuple(-np.inf if np.isnan(value) else value for value in signed)
