"""What all models that read tokens have in common: their parameters and the encoder of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqkit.errors import DataError, ParameterError
from seqkit.layers.token_encoder import TokenEncoder
from seqkit.models.own_loss import OwnLossModel, check_choice, check_shares, is_integer

# The least that integers may be which say how tokens become vectors.
_LEAST = dict.fromkeys(("word_dim", "char_dim", "char_units", "feature_dim", "rare_from"), 1)
_LEAST |= dict.fromkeys(("vector_rows", "vector_dim", "characters"), 0)


class TextModel(OwnLossModel):
    """A model that turns tokens into vectors; what it makes of them is up to the subclass.

    Arguments of a subclass that speak of tokens are named as in `seqkit.models.build_tagger`. Where one is
    ``input_dim`` and not None, vectors stand in place of tokens.

    Args:
        given: The subclass' ``locals()``: its arguments, which become ``config``.
    """

    may_be_none = ("input_dim", "rare_from", "seed")

    def __init__(self, given: Mapping[str, Any], **kwargs):
        super().__init__({**given, "feature_sizes": list(given["feature_sizes"])}, **kwargs)

    def _check(self):
        c = self.config
        check_choice("cell", c["cell"], self.cells)
        if c.get("input_dim") is None and not is_integer(c["vocabulary_size"], 2):
            vectors = "; or give input_dim= for sequences of vectors" if "input_dim" in c else ""
            raise ParameterError(
                f"vocabulary_size={c['vocabulary_size']!r} must be at least 2 (0 pads, 1 is the unknown word){vectors}."
            )
        super()._check()
        self._check_integers(_LEAST)
        if not all(is_integer(size, 1) for size in c["feature_sizes"]):
            raise ParameterError(f"feature_sizes={c['feature_sizes']!r} must be integers of at least 1.")
        if bool(c["vector_rows"]) != bool(c["vector_dim"]):
            raise ParameterError(
                f"vector_rows={c['vector_rows']!r} and vector_dim={c['vector_dim']!r} go together: "
                "the size of a table of pretrained vectors. Give both or neither."
            )
        check_shares(closed=True, word_dropout=c["word_dropout"])

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
