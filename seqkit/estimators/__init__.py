"""The scikit-learn face of the toolkit."""

from __future__ import annotations

import importlib

_ESTIMATORS = {
    "SequenceTagger": "seqkit.estimators.tagger",
    "SequenceClassifier": "seqkit.estimators.classifier",
    "SequenceRegressor": "seqkit.estimators.regressor",
    "TreeClassifier": "seqkit.estimators.tree_classifier",
    "LanguageModel": "seqkit.estimators.language_model",
    "SequenceGenerator": "seqkit.estimators.generator",
    "Seq2Seq": "seqkit.estimators.seq2seq",
}


def all_estimators() -> list[tuple[str, type]]:
    """Return the name and class of every estimator of the toolkit."""
    return [(name, getattr(importlib.import_module(module), name)) for name, module in _ESTIMATORS.items()]


def __getattr__(name: str):
    if name in _ESTIMATORS:
        return getattr(importlib.import_module(_ESTIMATORS[name]), name)
    raise AttributeError(f"module 'seqkit.estimators' has no attribute {name!r}")
