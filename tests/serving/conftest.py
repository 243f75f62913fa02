"""A model whose answers tell its version, exported as often as a test wants."""

from __future__ import annotations

import numpy as np
import pytest


def write_version(root, number: float):
    """Export a model that answers the length of a text, of tokens or of vectors, plus a number; return its folder."""
    import tensorflow as tf

    from seqkit.export.writer import write_export

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.number = tf.Variable(number)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def text(self, text):
            return {"value": tf.cast(tf.strings.length(text), tf.float32)[:, None] + self.number}

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string, name="tokens")])
        def tokens(self, tokens):
            count = tf.reduce_sum(tf.cast(tokens != "", tf.float32), 1)
            return {"value": count[:, None] + self.number}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, name="raw_bytes"),
                tf.TensorSpec([None, 2], tf.int32, name="pair"),
                tf.TensorSpec([None], tf.bool, name="flag"),
            ]
        )
        def several(self, raw_bytes, pair, flag):
            return {"raw_bytes": raw_bytes, "sum": tf.reduce_sum(pair, 1), "flag": ~flag, "text": raw_bytes}

    module = Module()
    signatures = {"serving_default": module.text, "tokens": module.tokens, "several": module.several}
    requests = {
        "serving_default": [{"text": np.array([b"abc", b""], object)}],
        "tokens": [{"tokens": np.array([[b"a", b"b"], [b"c", b""]], object)}],
        "several": [
            {"raw_bytes": np.array([b"a"], object), "pair": np.array([[1, 2]], np.int32), "flag": np.array([True])}
        ],
    }
    expected = {
        "serving_default": [{"value": np.array([[3.0], [0.0]], np.float32) + number}],
        "tokens": [{"value": np.array([[2.0], [1.0]], np.float32) + number}],
        "several": [{"sum": np.array([3], np.int32), "flag": np.array([False])}],
    }
    return write_export(root, module, signatures, requests=requests, expected=expected, manifest={"task": "regression"})


@pytest.fixture(scope="session")
def versions(tmp_path_factory):
    """Return the folder of two versions: 1 adds nothing, 2 adds 100."""
    root = tmp_path_factory.mktemp("lengths") / "lengths"
    write_version(root, 0.0)
    write_version(root, 100.0)
    return root


@pytest.fixture(scope="session")
def server(versions):
    """Return a server of them, over REST and gRPC."""
    from seqkit.serving import Server

    with Server(versions, rest_port=0, grpc_port=0) as running:
        yield running
