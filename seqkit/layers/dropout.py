"""Dropout for sequences."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("seqkit")
class SequenceDropout(keras.layers.Layer):
    """Drop the same features at every step of a sequence (variational dropout, Gal & Ghahramani 2016).

    Args:
        rate: Share of features dropped in training; the rest is scaled up by ``1 / (1 - rate)``.
        locked: Whether one mask serves all steps of a row; otherwise each step has its own.
        seed: Seed, or None.
    """

    def __init__(self, rate: float, locked: bool = True, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.locked, self.seed = rate, locked, seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None
        self.built = True

    def call(self, inputs, training=False):
        """Return ``inputs`` [batch, time, dim] with features dropped if ``training``."""
        if not training or not self.rate:
            return inputs
        shape = tf.shape(inputs)
        noise = (shape[0], 1 if self.locked else shape[1], inputs.shape[-1])
        keep = keras.random.uniform(noise, seed=self.seed_generator) >= self.rate
        return inputs * (tf.cast(keep, inputs.dtype) / (1.0 - self.rate))

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), "rate": self.rate, "locked": self.locked, "seed": self.seed}


@keras.saving.register_keras_serializable("seqkit")
class WordDropout(keras.layers.Layer):
    """Replace word ids by the unknown word's in training, so that the unknown word gets trained.

    Args:
        rate: Share of all words replaced.
        rare_rate: Share replaced among rare words, those with an id of at least ``rare_from``.
        rare_from: First id of the rare words (ids are in order of falling frequency), or None for no such rule.
        unknown: Id of the unknown word.
        seed: Seed, or None.
    """

    def __init__(
        self,
        rate: float = 0.0,
        rare_rate: float = 0.0,
        rare_from: int | None = None,
        unknown: int = 1,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = dict(rate=rate, rare_rate=rare_rate, rare_from=rare_from, unknown=unknown, seed=seed)
        self.active = bool(rate or (rare_rate and rare_from is not None))
        self.seed_generator = keras.random.SeedGenerator(seed) if self.active else None
        self.built = True

    def call(self, ids, training=False):
        """Return integer ``ids`` of any shape, some replaced if ``training``; 0 (padding) never is."""
        if not training or not self.active:
            return ids
        config = self.config
        rate = tf.fill(tf.shape(ids), float(config["rate"]))
        if config["rare_from"] is not None:
            rate = tf.where(ids >= config["rare_from"], float(max(config["rare_rate"], config["rate"])), rate)
        drop = keras.random.uniform(tf.shape(ids), seed=self.seed_generator) < rate
        return tf.where(drop & (ids > 0), tf.cast(config["unknown"], ids.dtype), ids)

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}
