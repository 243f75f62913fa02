"""What all models of the toolkit have in common: checked parameters, seeds, and how they compile."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any

import keras

from seqkit.errors import ParameterError


class OwnLossModel(keras.Model):
    """A model that brings its own loss, so that ``compile`` needs none.

    Args:
        given: The subclass' ``locals()``: its arguments, which become ``config``.
    """

    #: The recurrences that the subclass knows; its integers with the least that each may be; its shares below 1; which
    #: of the integers may be None.
    cells: Collection[str] = ()
    integers: Mapping[str, int] = {}
    shares: tuple[str, ...] = ("dropout",)
    may_be_none: tuple[str, ...] = ("seed",)
    #: What `compile` calls the model in its errors, and what it says that the model brings.
    kind = "model"
    brings = "loss and metric, over real steps"

    def __init__(self, given: Mapping[str, Any], **kwargs):
        super().__init__(**kwargs)
        self.config = {k: v for k, v in given.items() if k not in ("self", "kwargs", "__class__")}
        self._check()

    def _check(self):
        """Raise if a parameter is not what it can be."""
        c = self.config
        check_choice("cell", c["cell"], self.cells)
        self._check_integers({**self.integers, "seed": 0})
        check_shares(**{name: c[name] for name in self.shares})
        try:
            keras.activations.get(c["activation"])
        except ValueError:
            raise ParameterError(
                f"activation={c['activation']!r} is not known. Expected the name of a Keras activation, such as 'tanh'."
            ) from None

    def _check_integers(self, least: Mapping[str, int]) -> None:
        """Raise if one of the named parameters is not an integer of at least so much."""
        for name, minimum in least.items():
            value = self.config[name]
            if not (name in self.may_be_none and value is None) and not is_integer(value, minimum):
                raise ParameterError(f"{name}={value!r} must be an integer of at least {minimum}.")

    def _seed(self, part: int) -> int | None:
        """Return the seed of one part of the model."""
        seed = self.config["seed"]
        return None if seed is None else seed * 100_003 + 10_007 * part

    def build(self, input_shape=None):
        """Do nothing: all weights exist from the start."""

    def compile(self, optimizer="adam", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, **options):
        """Set the optimizer, and what else ``keras.Model.compile`` takes but losses and metrics."""
        given = dict(loss=loss, loss_weights=loss_weights, metrics=metrics, weighted_metrics=weighted_metrics)
        for name, value in given.items():
            if value is not None:
                raise ParameterError(
                    f"{name}={value!r} would have no effect: a {self.kind} brings its own {self.brings} only. "
                    f"Leave {name}= out."
                )
        super().compile(optimizer, **options)

    def compile_from_config(self, config):
        """Compile as the saved model was; Keras leaves that to models with a ``compile`` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}


def is_integer(value: object, minimum: int) -> bool:
    """Whether a value is an integer of at least ``minimum``."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= minimum


def check_choice(name: str, value: object, known: Collection) -> None:
    """Raise if a value is none of those known."""
    if value not in known:
        raise ParameterError(f"{name}={value!r} is not known. Expected one of: {', '.join(map(repr, known))}.")


def check_shares(closed: bool = False, **shares: object) -> None:
    """Raise if one of the named numbers is not in [0, 1); 1 itself is one if ``closed``."""
    for name, value in shares.items():
        if not isinstance(value, Real) or not (0 <= value < 1 or (closed and value == 1)):
            raise ParameterError(f"{name}={value!r} must be a number in [0, 1{']' if closed else ')'}.")
