"""JordanHead's search for tags against NumPy and enumeration, in other batches, and in other processes."""

import itertools
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from jordan_equations import (
    CORNERED,
    IOB2,
    MODES,
    UNITS,
    D,
    K,
    backward_potentials,
    batch,
    best_path,
    forced_nll,
    legal,
    make,
    weights_of,
)

from seqkit.errors import ParameterError
from seqkit.layers.jordan import JordanHead


def graph(method):
    """Compile a method for any batch and length: what users run, and far faster than the eager loop."""
    dtype = "float64" if method.__self__.variable_dtype == "float64" else "float32"
    spec = [tf.TensorSpec([None, None, D], dtype), tf.TensorSpec([None], "int32")]
    compiled = tf.function(method, input_signature=spec)
    return lambda x, lengths: compiled(tf.cast(x, dtype), tf.cast(lengths, "int32"))


# --- search ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", MODES)
@pytest.mark.parametrize("masks", [{}, IOB2, CORNERED])
@pytest.mark.parametrize("seed", range(2))
def test_greedy_decoding(kwargs, masks, seed):
    head, rng = make(seed=seed, **kwargs, **masks)
    x, lengths, _ = batch(rng)
    tags, scores = (tensor.numpy() for tensor in head.decode(x, lengths))
    assert tags.dtype == np.int32
    probabilities = head.probabilities(x, lengths).numpy()
    for i, n in enumerate(lengths):
        assert tags[i, :n].tolist() == best_path(head, x[i, :n], masks, width=1)
        assert (tags[i, n:] == 0).all()
        assert (scores[i, n:] == 0).all()
        np.testing.assert_array_equal(scores[i, :n], probabilities[i, range(n), tags[i, :n]])


@pytest.mark.parametrize("kwargs", MODES)
@pytest.mark.parametrize("masks", [{}, IOB2, CORNERED])
def test_wide_beam_is_the_exhaustive_search(kwargs, masks):
    differs = 0
    for seed in range(8):
        head, rng = make(seed=seed, scale=1.0, beam_width=K**3, **kwargs, **masks)
        head.forward_recurrent_kernel.assign(3 * head.forward_recurrent_kernel)  # so that the past matters
        x, lengths, _ = batch(rng)
        tags = head.decode(x, lengths)[0].numpy()
        for i, n in enumerate(lengths):
            potentials = backward_potentials(head, x[i, :n], masks)
            paths = [list(path) for path in itertools.product(range(K), repeat=n) if legal(path, masks)]
            weights = weights_of(head)
            best = max(paths, key=lambda p: potentials[range(n), p].sum() - forced_nll(weights, x[i, :n], p))
            assert tags[i, :n].tolist() == best
            assert (tags[i, n:] == 0).all()
            differs += best != best_path(head, x[i, :n], masks, width=1)
    assert differs, "cases too easy: greedy search finds every best path"


@pytest.mark.parametrize("width", [2, 3])
def test_narrow_beam_is_a_beam_of_that_width(width):
    head, rng = make(seed=2, scale=2.5, beam_width=width)
    x, lengths, _ = batch(rng, lengths=(5, 5, 4, 2, 5, 5), steps=5)
    tags = head.decode(x, lengths)[0].numpy()
    for i, n in enumerate(lengths):
        assert tags[i, :n].tolist() == best_path(head, x[i, :n], {}, width)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("masks", [IOB2, CORNERED])
def test_forbidden_moves_are_never_decoded(width, bidirectional, masks):
    """Output biases push hard for what is forbidden."""
    head, rng = make(dtype="float32", beam_width=width, bidirectional=bidirectional, **masks)
    lengths = np.arange(21)
    x = rng.normal(size=(21, 20, D))
    decode, run_free = graph(head.decode), graph(head.probabilities)
    for bias in ([-500.0, 500, -500], [-500, -500, 500], [1e6, -1e6, -1e6]):
        head.forward_output_bias.assign(bias)
        if bidirectional:
            head.backward_output_bias.assign(bias)
        tags, scores = (tensor.numpy() for tensor in decode(x, lengths))
        assert np.isfinite(scores).all()
        probabilities = run_free(x, lengths).numpy()
        assert np.isfinite(probabilities).all()
        for row, p, n in zip(tags, probabilities, lengths, strict=True):
            assert legal(row[:n].tolist(), masks)
            np.testing.assert_allclose(p[:n].sum(-1), 1, atol=1e-5)
            if n:
                assert (p[0][~np.asarray(masks["start_mask"])] == 0).all()
                assert (p[n - 1][~np.asarray(masks.get("end_mask", [True] * K))] == 0).all()


def test_masks_that_alternate_need_the_right_row_for_every_length():
    """Tags that must come in threes: which tag may come first depends on the length modulo 3."""
    ring = np.roll(np.eye(K, dtype=bool), 1, axis=1)
    head, rng = make(start_mask=[True] * 3, transition_mask=ring, end_mask=[False, False, True])
    lengths = np.arange(9)
    tags = head.decode(rng.normal(size=(9, 8, D)), lengths)[0].numpy()
    for row, n in zip(tags, lengths, strict=True):
        assert row[:n].tolist() == ([0, 1, 2] * 3)[9 - n :]


def test_impossible_masks_are_an_error_that_says_which_length():
    ring = np.roll(np.eye(K, dtype=bool), 1, axis=1).tolist()
    with pytest.raises(ParameterError, match="no sequence of 2 tags"):
        JordanHead(K, 4, start_mask=[True, False, False], transition_mask=ring, end_mask=[True, False, False])


def test_loops_hold_no_input_product():
    head = JordanHead(K, UNITS, bidirectional=True, beam_width=2)
    spec = tf.TensorSpec([None, None, D], "float32"), tf.TensorSpec([None], "int32")
    definition = tf.function(head.decode).get_concrete_function(*spec).graph.as_graph_def()
    bodies = [body for body in definition.library.function if re.match(r"while(_\d+)?_body", body.signature.name)]
    products = [sum("MatMul" in node.op for node in body.node_def) for body in bodies]
    # Trace-back: none; search: V, for U is looked up; free running, twice: U and V.
    assert sorted(products) == [0, 1, 2, 2]


# --- the same answer wherever a sentence stands --------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", [{"bidirectional": True, "beam_width": 3}, {"beam_width": 1}])
@pytest.mark.parametrize("masks", [{}, IOB2])
def test_results_do_not_depend_on_batch_padding_or_order(kwargs, masks):
    head, rng = make(dtype="float32", **kwargs, **masks)
    lengths = rng.integers(0, 13, 40)
    x = rng.normal(size=(40, 12, D)).astype("float32")
    tags_in = rng.integers(0, K, (40, 12))
    order = rng.permutation(40)
    garbage = np.concatenate([x, 1e3 * np.ones_like(x)], axis=1)
    garbage[:, :12][np.arange(12) >= lengths[:, None]] = -7e2
    decode, run_free = graph(head.decode), graph(head.probabilities)
    p, (tags, scores), loss = run_free(x, lengths), decode(x, lengths), head.loss(x, lengths, tags_in)
    p2 = run_free(garbage[order], lengths[order]).numpy()
    tags2, scores2 = (tensor.numpy() for tensor in decode(garbage[order], lengths[order]))
    loss2 = head.loss(garbage[order], lengths[order], np.pad(tags_in, ((0, 0), (0, 12)))[order])
    np.testing.assert_allclose(p2[:, :12], p.numpy()[order], atol=1e-5)
    assert (p2[:, 12:] == 0).all()
    np.testing.assert_array_equal(tags2[:, :12], tags.numpy()[order])
    np.testing.assert_allclose(scores2[:, :12], scores.numpy()[order], atol=1e-5)
    np.testing.assert_allclose(loss2, loss.numpy()[order], rtol=1e-5, atol=1e-5)
    for i in range(0, 40, 7):
        n = lengths[i]
        one = x[i : i + 1, :n]
        np.testing.assert_allclose(run_free(one, [n])[0], p[i, :n], atol=1e-5)
        np.testing.assert_array_equal(decode(one, [n])[0][0], tags[i, :n])
        np.testing.assert_allclose(head.loss(one, [n], tags_in[i : i + 1, :n]), [loss[i]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [1, 2])
def test_long_sequences_keep_their_digits(width):
    """1,000 tokens: the running score is in the hundreds, the differences that decide are far below 1."""
    head, rng = make(dtype="float32", beam_width=width, bidirectional=True, **IOB2)
    precise, _ = make(dtype="float64", beam_width=width, bidirectional=True, **IOB2)
    x = rng.normal(size=(1, 1000, D))
    tags, scores = graph(head.decode)(x, [1000])
    exact_tags, exact_scores = graph(precise.decode)(x, [1000])
    assert (tags.numpy() == exact_tags.numpy()).all()
    np.testing.assert_allclose(scores, exact_scores, atol=1e-4)
    assert -float(head.loss(x, [1000], tags)[0]) < -500


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
@pytest.mark.parametrize("kwargs", [{"bidirectional": True, "beam_width": 2, "scheduled_sampling": 0.5, **IOB2}, {}])
def test_empty_batches(shape, kwargs):
    head, _ = make(recurrent_dropout=0.2, dropout=0.2, **kwargs)
    x, lengths = np.zeros((*shape, D)), np.zeros(shape[0], "int32")
    for function in (head.decode, tf.function(head.decode, input_signature=[
        tf.TensorSpec([None, None, D], "float64"), tf.TensorSpec([None], "int32")])):  # fmt: skip
        tags, scores = function(x, lengths)
        assert tags.shape == scores.shape == shape
    assert head.probabilities(x, lengths).shape == (*shape, K)
    for training in (False, True):
        np.testing.assert_array_equal(
            head.loss(x, lengths, np.zeros(shape, int), training=training), np.zeros(shape[0])
        )


# --- a trained head, and what is saved of it ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """A model that learned a task only a fed-back tag can solve: tags alternate, the first vector says from which."""
    features = keras.Input((None, D))
    lengths = keras.Input((), dtype="int32")
    head = JordanHead(K, 8, beam_width=3, initial_state="learned", **IOB2, seed=0)
    model = keras.Model([features, lengths], head(features, lengths))
    rng = np.random.default_rng(0)
    x = np.zeros((64, 6, D), "float32")
    x[:, 0] = rng.normal(size=(64, D))
    tags = np.where((x[:, 0, :1] > 0) ^ (np.arange(6) % 2 == 1), 0, 2)
    n = rng.integers(1, 7, 64)
    optimizer = keras.optimizers.Adam(0.05)
    optimizer.build(model.trainable_variables)

    @tf.function
    def update():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(head.loss(x, n, tags, training=True))
        optimizer.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]), model.trainable_variables)
        return loss

    losses = [float(update()) for _ in range(120)]
    return model, head, x, n, tags, losses


def test_it_learns_and_its_decoding_is_right(trained):
    model, head, x, n, tags, losses = trained
    assert losses[-1] < 0.1 * losses[0]
    decoded, scores = head.decode(x, n)
    real = np.arange(6) < n[:, None]
    assert (decoded.numpy() == tags)[real].mean() > 0.97
    assert scores.numpy()[real].mean() > 0.9
    assert model.output_shape == (None, None, K)


SCRIPT = """
import sys, numpy as np, keras
import seqkit.layers.jordan
model = keras.saving.load_model(sys.argv[1] + "/m.keras")
data = np.load(sys.argv[1] + "/data.npz")
np.testing.assert_allclose(model([data["x"], data["n"]]), data["p"], atol=1e-6)
head = [layer for layer in model.layers if type(layer).__name__ == "JordanHead"][0]
tags, scores = head.decode(data["x"], data["n"])
np.testing.assert_array_equal(tags, data["tags"])
np.testing.assert_allclose(scores, data["scores"], atol=1e-6)
"""

SERVING = """
import sys, numpy as np
from seqkit.export.runtime import Runtime
model = Runtime(sys.argv[1] + "/export")
data = np.load(sys.argv[1] + "/data.npz")
for rows, steps in ((64, 6), (1, 6), (7, 3), (0, 6), (3, 0)):
    n = np.minimum(data["n"][:rows], steps)
    answer = model.run("decode", {"features": data["x"][:rows, :steps], "lengths": n})
    assert answer["tags"].shape == answer["scores"].shape == (rows, steps)
    if steps == 6:
        np.testing.assert_array_equal(answer["tags"], data["tags"][:rows])
        np.testing.assert_allclose(answer["scores"], data["scores"][:rows], atol=1e-6)
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""


def test_keras_file_and_cpp_runtime_in_fresh_processes(trained, tmp_path):
    model, head, x, n, _, _ = trained
    n = n.astype("int32")
    n[3] = 0
    tags, scores = head.decode(x, n)
    np.savez(tmp_path / "data.npz", x=x, n=n, p=model([x, n]), tags=tags, scores=scores)
    model.save(tmp_path / "m.keras")
    archive = keras.export.ExportArchive()
    archive.track(head)

    def decode(features, lengths):
        return dict(zip(("tags", "scores"), head.decode(features, lengths), strict=True))

    archive.add_endpoint("decode", decode, input_signature=[
        tf.TensorSpec([None, None, D], "float32"), tf.TensorSpec([None], "int32")])  # fmt: skip
    archive.write_out(tmp_path / "export", verbose=False)
    for script in (SCRIPT, SERVING):
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
