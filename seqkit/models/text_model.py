"""What all models that read tokens have in common: their parameters, the encoder of tokens, and how they compile."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any

import keras

from seqkit.errors import DataError, ParameterError
from seqkit.layers.token_encoder import TokenEncoder

# The least that integers may be which say how tokens become vectors.
_LEAST = dict.fromkeys(("word_dim", "char_dim", "char_units", "feature_dim", "rare_from"), 1)
_LEAST |= dict.fromkeys(("vector_rows", "vector_dim", "characters", "seed"), 0)
_MAY_BE_NONE = ("input_dim", "rare_from", "seed")


class TextModel(keras.Model):
    """A model that turns tokens into vectors; what it makes of them is up to the subclass.

    Arguments of a subclass that speak of tokens are named as in `seqkit.models.build_tagger`. Where one is
    ``input_dim`` and not None, vectors stand in place of tokens.

    Args:
        given: The subclass' ``locals()``: its arguments, which become ``config``.
    """

    #: The recurrences that the subclass knows; its integers with the least that each may be; its shares below 1.
    cells: Collection[str] = ()
    integers: Mapping[str, int] = {}
    shares: tuple[str, ...] = ("dropout",)
    #: What `compile` calls the model in its errors, and what it says that the model brings.
    kind = "model"
    brings = "loss and metric, over real steps"

    def __init__(self, given: Mapping[str, Any], **kwargs):
        super().__init__(**kwargs)
        self.config = {k: v for k, v in given.items() if k not in ("self", "kwargs", "__class__")}
        self.config["feature_sizes"] = list(given["feature_sizes"])
        self._check()

    def _check(self):
        """Raise if a parameter is not what it can be."""
        c = self.config
        if c["cell"] not in self.cells:
            raise ParameterError(f"cell={c['cell']!r} is not known. Expected one of: {', '.join(self.cells)}.")
        if c.get("input_dim") is None and not is_integer(c["vocabulary_size"], 2):
            vectors = "; or give input_dim= for sequences of vectors" if "input_dim" in c else ""
            raise ParameterError(
                f"vocabulary_size={c['vocabulary_size']!r} must be at least 2 (0 pads, 1 is the unknown word){vectors}."
            )
        for name, least in {**self.integers, **_LEAST}.items():
            if not (name in _MAY_BE_NONE and c[name] is None) and not is_integer(c[name], least):
                raise ParameterError(f"{name}={c[name]!r} must be an integer of at least {least}.")
        if not all(is_integer(size, 1) for size in c["feature_sizes"]):
            raise ParameterError(f"feature_sizes={c['feature_sizes']!r} must be integers of at least 1.")
        if bool(c["vector_rows"]) != bool(c["vector_dim"]):
            raise ParameterError(
                f"vector_rows={c['vector_rows']!r} and vector_dim={c['vector_dim']!r} go together: "
                "the size of a table of pretrained vectors. Give both or neither."
            )
        check_shares(**{name: c[name] for name in self.shares})
        check_shares(closed=True, word_dropout=c["word_dropout"])
        try:
            keras.activations.get(c["activation"])
        except ValueError:
            raise ParameterError(
                f"activation={c['activation']!r} is not known. Expected the name of a Keras activation, such as 'tanh'."
            ) from None

    def _seed(self, part: int) -> int | None:
        """Return the seed of one part of the model."""
        seed = self.config["seed"]
        return None if seed is None else seed * 100_003 + 10_007 * part

    def _make_encoder(self) -> TokenEncoder:
        c = self.config
        encoder = TokenEncoder(
            c["vocabulary_size"],
            c["word_dim"],
            vector_rows=c["vector_rows"],
            vector_dim=c["vector_dim"],
            characters=c["characters"] if c["char_encoder"] else 0,
            char_encoder=c["char_encoder"] or "cnn",
            char_dim=c["char_dim"],
            char_units=c["char_units"],
            feature_sizes=c["feature_sizes"],
            feature_dim=c["feature_dim"],
            word_dropout=c["word_dropout"],
            rare_from=c["rare_from"],
            seed=self._seed(1),
            dtype=self.dtype_policy,
            name="encoder",
        )
        encoder.build()
        return encoder

    def _check_given(self, inputs, expected: str) -> None:
        """Raise if inputs lack what the encoder reads beside words.

        Args:
            inputs: A dict by name.
            expected: What is told of the missing name, with ``{!r}`` in its place.
        """
        for name, needed in (("characters", self.encoder.char_encoder), ("features", self.config["feature_sizes"])):
            if needed and name not in inputs:
                raise DataError(
                    f"This model reads {name}: its input must be a dict with {expected.format(name)}, got "
                    f"{', '.join(map(repr, inputs))} only. Add {name!r}, or build the model without them."
                )

    def build(self, input_shape=None):
        """Do nothing: all weights exist from the start."""

    # The loss is the model's own, so that `compile` needs none.

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


def check_shares(closed: bool = False, **shares: object) -> None:
    """Raise if one of the named numbers is not in [0, 1); 1 itself is one if ``closed``."""
    for name, value in shares.items():
        if not isinstance(value, Real) or not (0 <= value < 1 or (closed and value == 1)):
            raise ParameterError(f"{name}={value!r} must be a number in [0, 1{']' if closed else ')'}.")
