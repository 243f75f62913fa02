"""seqkit: recurrent models for sequences, with scikit-learn estimators and TensorFlow Serving exports.

Importing this package is instant: TensorFlow, Keras and scikit-learn load when the first estimator or builder is used.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Public name -> module that defines it. Resolved on first use (PEP 562).
_PUBLIC = {
    "SequenceTagger": "seqkit.estimators.tagger",
    "SequenceClassifier": "seqkit.estimators.classifier",
    "SequenceRegressor": "seqkit.estimators.regressor",
    "TreeClassifier": "seqkit.estimators.tree_classifier",
    "LanguageModel": "seqkit.estimators.language_model",
    "SequenceGenerator": "seqkit.estimators.generator",
    "Seq2Seq": "seqkit.estimators.seq2seq",
    "load": "seqkit.estimators.persistence",
}
_SUBPACKAGES = (
    "errors",
    "tags",
    "io",
    "datasets",
    "text",
    "cells",
    "layers",
    "models",
    "music",
    "decoding",
    "metrics",
    "training",
    "export",
    "estimators",
    "inspection",
    "batch",
    "serving",
)

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    if name in _SUBPACKAGES:
        return importlib.import_module(f"seqkit.{name}")
    raise AttributeError(f"module 'seqkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES])
