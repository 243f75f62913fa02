"""Builders of Keras models: plain arguments in, ``keras.Model`` out."""

from __future__ import annotations

import importlib

_BUILDERS = {
    "build_tagger": "seqkit.models.tagger",
    "build_classifier": "seqkit.models.classifier",
    "build_regressor": "seqkit.models.classifier",
    "build_tree_classifier": "seqkit.models.tree_classifier",
    "build_language_model": "seqkit.models.language_model",
    "build_generator": "seqkit.models.generator",
    "build_encoder_decoder": "seqkit.models.encoder_decoder",
}


def __getattr__(name: str):
    if name in _BUILDERS:
        return getattr(importlib.import_module(_BUILDERS[name]), name)
    raise AttributeError(f"module 'seqkit.models' has no attribute {name!r}")
