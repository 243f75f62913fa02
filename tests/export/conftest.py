"""A small tagger as the exporter meets it: string tables and a BiLSTM behind the tokenizer."""

import dataclasses

import numpy as np
import pytest

TEXTS = ["Harry met 👍🏽 北 in Oxford.", "", "a b", "Ron"]
TAGS = ["O", "B-PER", "B-LOC"]


@dataclasses.dataclass
class Tagger:
    module: object
    signatures: dict
    requests: dict
    expected: dict

    def arguments(self):
        return {"requests": self.requests, "expected": self.expected, "manifest": {"estimator": "SequenceTagger"}}


def make_tagger(vocabulary_file):
    import keras
    import tensorflow as tf

    from seqkit.export.writer import raw_variables
    from seqkit.text.tokenizer import tokenize

    keras.utils.set_random_seed(1)
    ids = keras.Input([None], dtype="int32")
    x = keras.layers.Embedding(8, 4)(ids)
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True, use_cudnn=False))(x)
    model = keras.Model(ids, keras.layers.Dense(3, activation="softmax")(x))
    vocabulary_file.write_text("Harry\nRon\nOxford\nmet\nin\n")

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.held = raw_variables(model)
            initializer = tf.lookup.TextFileInitializer(
                str(vocabulary_file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
            )  # fmt: skip
            self.words = tf.lookup.StaticVocabularyTable(initializer, 1)
            self.tags = tf.constant(TAGS)

        def tag(self, tokens, lengths):
            ids = tf.cast(self.words.lookup(tokens), tf.int32)
            scores = model(tf.pad(ids, [[0, 0], [0, 1]]), training=False)[:, :-1]
            mask = tf.sequence_mask(lengths, tf.shape(tokens)[1])
            tags = tf.where(mask, tf.gather(self.tags, tf.argmax(scores, -1)), "")
            return {"tags": tags, "scores": tf.where(mask, tf.reduce_max(scores, -1), 0.0), "lengths": lengths}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def text(self, text):
            cut = tokenize(text)
            tokens = cut.tokens.to_tensor("")
            lengths = tf.cast(cut.tokens.row_lengths(), tf.int32)
            return {"tokens": tokens, "starts": cut.starts.to_tensor(0), **self.tag(tokens, lengths)}

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string, name="tokens")])
        def tokens(self, tokens):
            lengths = tf.reduce_sum(tf.cast(tokens != "", tf.int32), 1)
            return self.tag(tokens, lengths)

    module = Module()
    signatures = {"serving_default": module.text, "tokens": module.tokens}
    tokens = np.array([[b"Harry", b"met", b"Ron"], [b"x", b"", b""]], object)
    requests = {
        "serving_default": [{"text": [t.encode() for t in TEXTS]}, {"text": np.array([b"Ron"], object)}],
        "tokens": [{"tokens": tokens}],
    }
    expected = {
        name: [
            {k: v.numpy() for k, v in signatures[name](*map(tf.constant, request.values())).items()}
            for request in requests[name]
        ]
        for name in requests
    }
    return Tagger(module, signatures, requests, expected)


@pytest.fixture(scope="session")
def tagger(tmp_path_factory):
    return make_tagger(tmp_path_factory.mktemp("vocabulary") / "words.txt")


@pytest.fixture(scope="session")
def exported(tagger, tmp_path_factory):
    """One finished export."""
    from seqkit.export.writer import write_export

    root = tmp_path_factory.mktemp("exports") / "ner"
    return write_export(root, tagger.module, tagger.signatures, **tagger.arguments())
