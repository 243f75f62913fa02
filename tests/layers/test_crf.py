"""The CRF layer against enumeration of all paths, and itself in other types and processes."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from crf_enumeration import enumerated, make
from tensorflow.core.protobuf import saved_model_pb2

from seqkit.errors import ParameterError
from seqkit.layers.crf import CRF

MASKS = {  # O, B, I of IOB2, and a sequence may not end in B
    "start_mask": [True, True, False],
    "transition_mask": [[True, True, False], [True, True, True], [True, True, True]],
    "end_mask": [True, False, True],
}


def masked_layer(seed=0, **options):
    layer = CRF(3, **MASKS, initializer=keras.initializers.RandomUniform(-1, 1, seed=seed), **options)
    layer.build((None, None, 3))
    return layer


def legal(path):
    moves = all(MASKS["transition_mask"][a][b] for a, b in itertools.pairwise(path))
    return MASKS["start_mask"][path[0]] and moves and MASKS["end_mask"][path[-1]]


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_forbidden_moves_have_no_probability_and_are_never_decoded(scale):
    emissions, _, lengths, _ = make(24, 5, 3, scale, seed=5)
    emissions[0::2, :, 2] += 5 * scale  # all for I
    emissions[1::4, :, 1] += 5 * scale  # all for B
    layer = masked_layer()
    layer.transitions.assign(layer.transitions + 100.0 * ~np.array(MASKS["transition_mask"]))  # learned, and ignored
    tags, scores = (x.numpy() for x in layer.decode(emissions, lengths))
    marginals = layer.marginals(emissions, lengths).numpy()
    weights = [
        np.where(MASKS[name], weight, -1e30)
        for name, weight in (
            ("transition_mask", layer.transitions.numpy()),
            ("start_mask", layer.start.numpy()),
            ("end_mask", layer.end.numpy()),
        )
    ]
    _, expected, best, _ = enumerated(emissions, lengths, weights)
    assert np.isfinite(marginals).all()
    for b, n in enumerate(lengths):
        if n:
            assert legal(tags[b, :n])
            assert marginals[b, 0, 2] == 0.0
            assert marginals[b, n - 1, 1] == 0.0
            np.testing.assert_array_equal(scores[b, :n], marginals[b, np.arange(n), tags[b, :n]])
        assert not scores[b, n:].any()
    if scale == 1.0:
        np.testing.assert_array_equal(tags, best)
        np.testing.assert_allclose(marginals, expected, atol=1e-5)


def test_a_forbidden_gold_path_has_a_finite_loss_and_gradient():
    layer = masked_layer()
    emissions = tf.constant(make(1, 3, 3)[0])
    with tf.GradientTape() as tape:
        tape.watch(emissions)
        value = layer.log_likelihood(emissions, [[0, 2, 0]], [3])
    assert -1.1e4 < float(value[0]) < -0.9e4
    gradient = tape.gradient(value, [emissions, *layer.trainable_variables])
    assert all(np.isfinite(g.numpy()).all() for g in gradient)
    assert gradient[1].numpy()[0, 2] == 0.0  # ignored weights do not learn
    assert gradient[2].numpy()[2] == gradient[3].numpy()[1] == 0.0
    assert float(layer.path_log_probability(emissions, [[0, 2, 0]], [3])[0]) < -1e29


def test_call_lengths_mask_and_neither():
    emissions, _, lengths, _ = make(4, 3, 3)
    layer = masked_layer()
    by_length = layer(emissions, lengths=lengths).numpy()
    by_mask = layer(emissions, mask=np.arange(3) < lengths[:, None]).numpy()
    np.testing.assert_array_equal(by_length, by_mask)
    np.testing.assert_array_equal(by_length, layer.marginals(emissions, lengths).numpy())
    np.testing.assert_allclose(layer(emissions).numpy().sum(-1), np.ones((4, 3)), rtol=1e-5)
    assert not by_length[0].any()


def test_learns_a_rule_only_transitions_can_carry():
    """Emissions say nothing; the tags alternate: the transitions have to learn it."""
    layer = CRF(2, initializer="zeros")
    emissions, gold, lengths = tf.zeros([4, 6, 2]), tf.constant([[0, 1, 0, 1, 0, 1]] * 4), tf.fill([4], 6)
    optimizer = keras.optimizers.SGD(0.5)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(layer.log_likelihood(emissions, gold, lengths))
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
        return loss

    layer.build((None, None, 2))
    optimizer.build(layer.trainable_variables)
    first = float(step())
    np.testing.assert_allclose(first, 6 * np.log(2), rtol=1e-5)  # all paths alike at the beginning
    for _ in range(60):
        last = float(step())
    assert last < 0.1
    assert layer.decode(emissions, lengths)[0].numpy().tolist() == gold.numpy().tolist()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_float32_inside_under_every_policy(policy):
    emissions, gold, lengths, _ = make(6, 5, 3, 3.0)
    layer, exact = masked_layer(dtype=policy), masked_layer()
    assert {v.dtype for v in layer.weights} == {"float32"}
    got = layer(tf.constant(emissions), lengths=lengths)
    assert got.dtype == tf.float32
    # float32 emissions are not rounded on their way in
    np.testing.assert_array_equal(got.numpy(), exact(emissions, lengths=lengths).numpy())
    half = tf.cast(emissions, keras.DTypePolicy(policy).compute_dtype)
    for name, arguments in (("log_likelihood", (gold, lengths)), ("marginals", (lengths,))):
        a, b = (getattr(crf, name)(x, *arguments) for crf, x in ((layer, half), (exact, tf.cast(half, "float32"))))
        assert a.dtype == tf.float32
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    with tf.GradientTape() as tape:
        tape.watch(half)
        value = tf.reduce_sum(layer.log_likelihood(half, gold, lengths))
    gradient = tape.gradient(value, half)
    assert gradient.dtype == half.dtype
    assert np.isfinite(tf.cast(gradient, tf.float32).numpy()).all()


@pytest.mark.parametrize(
    "options",
    [
        {"num_tags": 0},
        {"num_tags": 2.0},
        {"num_tags": 3, "start_mask": [True]},
        {"num_tags": 2, "transition_mask": [[True, False], [True]]},
        {"num_tags": 2, "end_mask": [0.5, 1.0]},
    ],
)
def test_bad_parameters_are_named(options):
    with pytest.raises(ParameterError, match=list(options)[-1]):
        CRF(**options)


def test_emissions_of_another_size_are_refused():
    with pytest.raises(ParameterError, match="num_tags=3"):
        CRF(3)(np.zeros((1, 2, 4), "float32"))


def test_config_holds_everything():
    layer = masked_layer(name="crf_tags")
    config = json.loads(json.dumps(layer.get_config()))
    again = CRF.from_config(config)
    assert again.get_config() == layer.get_config()
    assert {"num_tags", "start_mask", "transition_mask", "end_mask", "initializer"} <= set(config)
    assert again.transition_mask == MASKS["transition_mask"]


RELOAD = """
import sys, json, numpy as np, keras
import seqkit.layers.crf
model = keras.models.load_model(sys.argv[1] + "/model.keras")
data = np.load(sys.argv[1] + "/data.npz")
np.testing.assert_allclose(model.predict([data["x"], data["n"]], verbose=0), data["marginals"], atol=1e-6)
tags, scores = model.get_layer("crf").decode(data["emissions"], data["n"])
assert tags.numpy().tolist() == data["tags"].tolist()
print("same")
"""


def test_model_saves_and_loads_in_a_fresh_process(tmp_path):
    emissions = keras.Input([None, 4], name="x")
    lengths = keras.Input([], dtype="int32", name="n")
    scores = keras.layers.Dense(3, name="scores")(emissions)
    crf = CRF(3, **MASKS, initializer=keras.initializers.RandomUniform(-1, 1, seed=1), name="crf")
    model = keras.Model([emissions, lengths], crf(scores, lengths=lengths))
    x, _, n, _ = make(6, 5, 4)
    # trained a little with a plain loss, so that the optimizer's state is saved too
    model.compile("adam", "mse")
    model.fit([x, n], np.zeros((6, 5, 3), "float32"), verbose=0)
    hidden = model.get_layer("scores")(x)
    np.savez(
        tmp_path / "data.npz",
        x=x,
        n=n,
        emissions=hidden,
        marginals=model.predict([x, n], verbose=0),
        tags=crf.decode(hidden, n)[0],
    )
    model.save(tmp_path / "model.keras")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "same", done.stderr[-3000:]


def test_inside_a_saved_model(tmp_path):
    """Decoding with free batch and time as a signature of stock operations, without custom gradients."""
    layer = masked_layer()

    class Decoder(tf.Module):
        def __init__(self):
            super().__init__()
            self.kept = [v.value for v in layer.variables]

        @tf.function(
            input_signature=[tf.TensorSpec([None, None, 3], name="emissions"), tf.TensorSpec([None], tf.int32, "n")]
        )
        def decode(self, emissions, n):
            tags, scores = layer.decode(emissions, n)
            return {"tags": tags, "scores": scores, "log": layer.path_log_probability(emissions, tags, n)}

    module = Decoder()
    tf.saved_model.save(module, str(tmp_path), signatures=module.decode)
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    for batch, time in ((6, 5), (1, 17), (3, 0), (0, 2)):
        emissions, _, n, _ = make(batch, time, 3)
        answer = served(emissions=tf.constant(emissions), n=tf.constant(n))
        tags, scores = layer.decode(emissions, n)
        assert answer["tags"].numpy().tolist() == tags.numpy().tolist()
        np.testing.assert_allclose(answer["scores"], scores, atol=1e-6)
        np.testing.assert_allclose(answer["log"], layer.path_log_probability(emissions, tags, n), atol=1e-5)
    definition = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    nodes = [n for f in definition.meta_graphs[0].graph_def.library.function for n in f.node_def]
    assert {n.op for n in nodes} & {"StatelessWhile", "While"}
    assert not [n.name for n in nodes if n.op in ("PyFunc", "EagerPyFunc", "IdentityN")]
