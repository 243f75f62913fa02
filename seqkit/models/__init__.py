"""Builders of Keras models: plain arguments in, ``keras.Model`` out."""

from __future__ import annotations


def __getattr__(name: str):
    if name == "build_tagger":
        from seqkit.models.tagger import build_tagger

        return build_tagger
    raise AttributeError(f"module 'seqkit.models' has no attribute {name!r}")
