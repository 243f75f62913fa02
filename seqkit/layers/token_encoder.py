"""Tokens to vectors: word, characters and outward features, joined."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqkit.layers.char_encoder import CharacterEncoder
from seqkit.layers.dropout import WordDropout


@keras.saving.register_keras_serializable("seqkit")
class TokenEncoder(keras.layers.Layer):
    """Turn ids of a token into one vector: its word's, its characters' and its outward features' vectors, joined.

    Args:
        vocabulary_size: Number of word ids, padding (0) and the unknown word (1) included.
        word_dim: Size of learned word vectors.
        vector_rows: Number of rows of a fixed table of pretrained vectors, 0 for none. Its rows are word ids too, and
            may go beyond ``vocabulary_size``: such words are unknown to the learned table only.
        vector_dim: Size of the pretrained vectors.
        characters: Number of character ids, 0 for no character encoder.
        char_encoder: ``"cnn"`` or ``"rnn"``.
        char_dim: Size of character vectors.
        char_units: Size of the encoder's output.
        feature_sizes: Number of ids of each outward feature.
        feature_dim: Size of each outward feature's vector.
        word_dropout: Share of words replaced by the unknown word in training.
        rare_from: First id of rare words, of which ``rare_word_dropout`` are replaced; None for no such rule.
        rare_word_dropout: See ``rare_from``.
        seed: Seed of initial weights and dropout, or None.
    """

    def __init__(
        self,
        vocabulary_size: int,
        word_dim: int = 100,
        vector_rows: int = 0,
        vector_dim: int = 0,
        characters: int = 0,
        char_encoder: str = "cnn",
        char_dim: int = 30,
        char_units: int = 50,
        feature_sizes: tuple[int, ...] = (),
        feature_dim: int = 20,
        word_dropout: float = 0.0,
        rare_from: int | None = None,
        rare_word_dropout: float = 0.5,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = dict(
            vocabulary_size=vocabulary_size,
            word_dim=word_dim,
            vector_rows=vector_rows,
            vector_dim=vector_dim,
            characters=characters,
            char_encoder=char_encoder,
            char_dim=char_dim,
            char_units=char_units,
            feature_sizes=list(feature_sizes),
            feature_dim=feature_dim,
            word_dropout=word_dropout,
            rare_from=rare_from,
            rare_word_dropout=rare_word_dropout,
            seed=seed,
        )
        self.word_dropout = WordDropout(
            word_dropout,
            rare_word_dropout,
            rare_from,
            seed=None if seed is None else seed + 1,
            dtype=self.dtype_policy,
            name="word_dropout",
        )
        self.char_encoder = None
        if characters:
            self.char_encoder = CharacterEncoder(
                characters,
                char_encoder,
                char_dim,
                char_units,
                seed=None if seed is None else seed + 2,
                dtype=self.dtype_policy,
                name="characters",
            )

    @property
    def output_dim(self) -> int:
        """Size of a token's vector."""
        config = self.config
        chars = config["char_units"] if self.char_encoder else 0
        return config["word_dim"] + config["vector_dim"] + chars + config["feature_dim"] * len(config["feature_sizes"])

    def build(self, input_shape=None):
        """Make the tables."""
        config = self.config
        seed = config["seed"]

        def table(name, rows, dim, k, scale=0.1, trainable=True):
            start = keras.initializers.RandomNormal(stddev=scale, seed=None if seed is None else seed + k)
            return self.add_weight(shape=(rows, dim), initializer=start, name=name, trainable=trainable)

        self.word_table = table("words", config["vocabulary_size"], config["word_dim"], 3)
        self.vector_table = None
        if config["vector_rows"]:
            self.vector_table = self.add_weight(
                shape=(config["vector_rows"], config["vector_dim"]),
                initializer="zeros",
                name="pretrained",
                trainable=False,
            )
        # One table for all features, each with its own range of rows: one look-up serves them all.
        self.feature_table = None
        if config["feature_sizes"]:
            self.feature_table = table("features", sum(config["feature_sizes"]), config["feature_dim"], 4)
        if self.char_encoder:
            self.char_encoder.build()
        super().build(input_shape)

    def encode_characters(self, characters, training=False):
        """Return character vectors [n, char_units] of tokens given as character ids [n, longest]."""
        return self.char_encoder(characters, training=training)

    def call(self, words, features=None, character_vectors=None, training=False):
        """Return token vectors.

        Args:
            words: Word ids, any shape.
            features: Ids of outward features, that shape + [features].
            character_vectors: Vectors from `encode_characters`, that shape + [char_units].
            training: Whether word dropout is active.

        Returns:
            Tensor of that shape + [output_dim].
        """
        config = self.config
        known = self.word_dropout(words, training=training)
        if config["vector_rows"]:
            known = tf.where(known < config["vocabulary_size"], known, 1)
        parts = [tf.gather(tf.convert_to_tensor(self.word_table), known)]
        if self.vector_table is not None:
            parts.append(tf.gather(tf.convert_to_tensor(self.vector_table), words))
        if character_vectors is not None:
            parts.append(character_vectors)
        if self.feature_table is not None:
            sizes = config["feature_sizes"]
            offsets = tf.constant([sum(sizes[:i]) for i in range(len(sizes))], features.dtype)
            vectors = tf.gather(tf.convert_to_tensor(self.feature_table), features + offsets)
            flat = tf.concat([tf.shape(words), [len(sizes) * config["feature_dim"]]], 0)
            parts.append(tf.reshape(vectors, flat))
        return tf.concat(parts, -1) if len(parts) > 1 else parts[0]

    def get_config(self):
        """Return what `from_config` needs."""
        return {**super().get_config(), **self.config}
