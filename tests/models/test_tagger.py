"""build_tagger as people who write Keras use it: fit, evaluate, predict, decode, save; its errors; precision; seeds."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.errors import DataError, ParameterError
from seqkit.models import build_tagger
from seqkit.training.optimizer import FusedAdam

TAGS = ["O", "B-PER", "I-PER"]
SMALL = {"units": 6, "word_dim": 5, "char_units": 4, "char_dim": 3, "feature_dim": 2}


def sentences(n=24, seed=0):
    """Words 5 and 6 begin a name, 7 continues one; 0 pads."""
    rng = np.random.default_rng(seed)
    words, tags = np.zeros((n, 7), np.int32), np.zeros((n, 7), np.int32)
    for row, tag_row in zip(words, tags, strict=True):
        length = rng.integers(2, 8)
        at = 0
        while at < length:
            piece = [[2], [3], [4], [5], [6, 7], [5, 7, 7]][rng.integers(6)][: length - at]
            row[at : at + len(piece)] = piece
            tag_row[at : at + len(piece)] = [1 if w in (5, 6) else 2 if w == 7 else 0 for w in piece]
            at += len(piece)
    return words, tags


def rich(words):
    """Characters and features made of the word ids."""
    return {
        "words": words,
        "characters": np.stack([words % 4, words // 2 % 4, words * 0], -1),
        "features": np.stack([words % 3, words % 2], -1),
        "lengths": np.count_nonzero(words, 1),
    }


def count_right(model, words, tags):
    real = words > 0
    predicted, _ = model.decode(words)
    return (predicted.numpy() == tags)[real].mean()


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm"},
        {"cell": "gru", "crf": False, "bidirectional": False, "initial_state": "learned"},
        {"cell": "jordan", "scheduled_sampling": 0.2, "beam_width": 2},
    ],
    ids=lambda options: options["cell"],
)
def test_fit_evaluate_predict_decode(options):
    model = build_tagger(8, TAGS, **SMALL, dropout=0.1, seed=0, **options)
    # As a graph, the way it is used, once; the others step by step, which costs no tracing.
    model.compile(keras.optimizers.Adam(0.1), run_eagerly=options["cell"] != "lstm")
    words, tags = sentences()
    before = model.evaluate(words, tags, batch_size=24, verbose=0, return_dict=True)
    history = model.fit(
        words, tags, epochs=15, batch_size=24, verbose=0, validation_data=(words, tags), validation_freq=15
    ).history
    after = model.evaluate(words, tags, batch_size=24, verbose=0, return_dict=True)
    assert after["loss"] < 0.3 * before["loss"]
    assert after["accuracy"] > 0.9
    assert history["val_accuracy"][-1] == pytest.approx(after["accuracy"], abs=1e-6)
    assert history["val_loss"][-1] == pytest.approx(after["loss"], rel=1e-4)
    assert after["accuracy"] == pytest.approx(count_right(model, words, tags), abs=1e-6)  # over real steps only
    probabilities = model.predict(words, verbose=0)
    real = words > 0
    np.testing.assert_allclose(probabilities.sum(-1), real, atol=1e-5)
    best, scores = (t.numpy() for t in model.decode(words))
    assert best.dtype == np.int32
    assert not best[~real].any()
    assert not scores[~real].any()
    picked = np.take_along_axis(probabilities, best[..., None], -1)[..., 0]
    np.testing.assert_allclose(scores, np.where(real, picked, 0), atol=1e-5)


def test_loss_is_the_heads_mean_over_sequences_and_weights_count():
    model = build_tagger(8, TAGS, **SMALL, dropout=0.0, seed=0)
    model.compile("sgd", run_eagerly=True)
    words, tags = sentences(10)
    encoded, lengths = model.encode(words)
    losses = model.head.loss(encoded, lengths, tags).numpy()
    assert model.evaluate(words, tags, batch_size=4, verbose=0)[0] == pytest.approx(losses.mean(), rel=1e-5)
    weights = np.linspace(0, 2, 10).astype("float32")
    found = model.evaluate(words, tags, sample_weight=weights, batch_size=4, verbose=0)[0]
    assert found == pytest.approx((losses * weights).mean(), rel=1e-5)
    data = tf.data.Dataset.from_tensor_slices((words, tags, weights)).batch(3)
    assert model.evaluate(data, verbose=0)[0] == pytest.approx((losses * weights).mean(), rel=1e-5)


def test_a_sequence_of_weight_zero_teaches_nothing():
    words, tags = sentences(8)
    wrong = tags.copy()
    wrong[4:] = 1
    weights = np.array([1.0] * 4 + [0.0] * 4)
    results = []
    for y in (tags, wrong):
        model = build_tagger(8, TAGS, **SMALL, dropout=0.0, seed=0)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        model.fit(words, y, sample_weight=weights, batch_size=8, shuffle=False, verbose=0)
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("crf", [True, False])
def test_padding_of_inputs_and_tags_may_hold_anything(crf):
    """NaN vectors, ids out of range, tags -1: neither losses nor gradients see them."""
    rng = np.random.default_rng(0)
    lengths = np.array([4, 2, 0])
    real = np.arange(4) < lengths[:, None]
    vectors, tags = rng.normal(size=(3, 4, 2)).astype("float32"), rng.integers(0, 3, (3, 4))
    dirty = {"vectors": np.where(real[..., None], vectors, np.nan), "lengths": lengths}
    results = []
    for inputs, y in (({"vectors": vectors, "lengths": lengths}, tags), (dirty, np.where(real, tags, -1))):
        model = build_tagger(tags=3, input_dim=2, units=3, crf=crf, dropout=0.0, seed=0)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        model.fit(inputs, y, epochs=2, verbose=0)
        results.append([model.predict(inputs, verbose=0), *model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    words, _ = sentences(3)
    inputs = rich(words)
    model = build_tagger(8, 3, **SMALL, characters=4, feature_sizes=[3, 2], crf=crf, seed=0)
    clean = model(inputs).numpy()
    blank = words == 0
    for name in ("words", "characters", "features"):
        inputs[name] = inputs[name].copy()
        inputs[name][blank] = -7
    np.testing.assert_allclose(model(inputs), clean, atol=1e-6)


def test_lengths_are_those_up_to_the_last_word_unless_given():
    model = build_tagger(8, TAGS, **SMALL, seed=0)
    words = np.array([[2, 0, 3, 0], [0, 0, 0, 0], [4, 5, 6, 7]])
    np.testing.assert_array_equal(model.encode(words)[1], [3, 0, 4])
    given = model({"words": words, "lengths": np.array([2, 1, 3])}).numpy()
    np.testing.assert_array_equal(given.sum(-1).round(4), [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]])
    np.testing.assert_array_equal(model({"words": words}), model(words))


def test_vectors_with_and_without_lengths():
    model = build_tagger(tags=TAGS, input_dim=3, units=4, seed=0)
    vectors = np.random.default_rng(0).normal(size=(2, 5, 3))
    full = model.predict(vectors, verbose=0)
    np.testing.assert_allclose(full.sum(-1), 1, atol=1e-5)
    cut = model.predict({"vectors": vectors, "lengths": np.array([5, 2])}, verbose=0)
    np.testing.assert_allclose(cut[0], full[0], atol=1e-6)
    np.testing.assert_allclose(cut[1, :2], model.predict(vectors[1:, :2], verbose=0)[0], atol=1e-6)
    assert not cut[1, 2:].any()


def test_forbidden_moves_are_never_decoded():
    words, _ = sentences(40)
    for crf in (True, False):
        model = build_tagger(8, TAGS, **SMALL, crf=crf, seed=0)
        free = build_tagger(8, 3, **SMALL, crf=crf, seed=0)
        rng = np.random.default_rng(1)
        for variable in model.trainable_variables:
            variable.assign(rng.normal(0, 1.5, variable.shape))
        free.set_weights(model.get_weights())

        def wrong(best):
            before = np.pad(best, [(0, 0), (1, 0)])[:, :-1]
            return ((best == 2) & (before == 0) & (words > 0)).sum()

        assert wrong(free.decode(words)[0].numpy()) > 0
        assert wrong(model.decode(words)[0].numpy()) == 0


def test_inputs_that_are_missing_are_named():
    model = build_tagger(8, TAGS, **SMALL, characters=4, feature_sizes=[3, 2])
    words, _ = sentences(2)
    with pytest.raises(DataError, match="This model reads characters"):
        model(words)
    with pytest.raises(DataError, match="This model reads features"):
        model({"words": words, "characters": rich(words)["characters"]})


PREDICT_ELSEWHERE = """
import json, sys
import keras, numpy as np
import seqkit.models.tagger, seqkit.training.optimizer
results = []
for path in sys.argv[1:]:
    data = np.load(path + ".npz")
    model = keras.saving.load_model(path + ".keras")
    best = model.decode(dict(data))[0].numpy().tolist()
    state = [type(model.optimizer).__name__, int(model.optimizer.iterations)]
    results.append([model(dict(data)).numpy().tolist(), best, *state])
print(json.dumps(results))
"""


def test_saved_models_answer_the_same_in_a_fresh_process(tmp_path):
    words, tags = sentences(6)
    cases = [
        ({"characters": 4, "feature_sizes": [3, 2]}, FusedAdam(0.01), "float32"),
        ({"cell": "gru", "crf": False, "layers": 2, "dropout": 0.2, "word_dropout": 0.1}, "adam", "float32"),
        ({"cell": "jordan", "characters": 4, "char_encoder": "rnn", "feature_sizes": [3, 2]}, "adam", "float32"),
        ({"cell": "elman", "initial_state": "learned"}, "sgd", "mixed_bfloat16"),
    ]
    expected = []
    for i, (options, optimizer, dtype) in enumerate(cases):
        model = build_tagger(8, TAGS, **SMALL, seed=0, dtype=dtype, **options)
        model.compile(optimizer, run_eagerly=True)
        inputs = rich(words)
        inputs = {k: v for k, v in inputs.items() if k in ("words", "lengths") or "feature_sizes" in options}
        model.fit(inputs, tags, verbose=0, batch_size=6)
        model.save(tmp_path / f"{i}.keras")
        np.savez(tmp_path / f"{i}.npz", **inputs)
        expected.append((model.predict_on_batch(inputs), model.decode(inputs)[0], type(model.optimizer).__name__))
    run = subprocess.run(
        [sys.executable, "-c", PREDICT_ELSEWHERE, *(str(tmp_path / str(i)) for i in range(len(cases)))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    for found, (probabilities, best, optimizer) in zip(json.loads(run.stdout.splitlines()[-1]), expected, strict=True):
        np.testing.assert_allclose(found[0], probabilities, atol=1e-6)
        np.testing.assert_array_equal(found[1], best)
        assert found[2] == optimizer
        assert found[3] == 1  # the optimizer is where it was


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    words, tags = sentences()
    single = build_tagger(8, TAGS, **SMALL, characters=4, feature_sizes=[3, 2], dropout=0.1, seed=0)
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(policy)
        model = build_tagger(8, TAGS, **SMALL, characters=4, feature_sizes=[3, 2], dropout=0.1, seed=0)
        np.testing.assert_allclose(model(rich(words)), single(rich(words)), atol=0.02)
        model.compile(keras.optimizers.Adam(0.1), run_eagerly=True)
        history = model.fit(rich(words), tags, epochs=6, batch_size=24, verbose=0).history["loss"]
    finally:
        keras.config.set_dtype_policy(before)
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert np.isfinite(history).all()
    assert history[-1] < 0.8 * history[0]
    probabilities = model.predict_on_batch(rich(words))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(-1), words > 0, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "jordan"])
def test_a_seed_gives_the_same_weights_twice(cell):
    """Initial weights, dropout masks and all that training makes of them; nothing global is set or used."""
    words, tags = sentences(8)

    def trained(seed):
        model = build_tagger(
            8, TAGS, **SMALL, cell=cell, layers=2, dropout=0.3, recurrent_dropout=0.2, word_dropout=0.2, seed=seed
        )
        start = model.get_weights()
        model.compile("adam", run_eagerly=True)
        model.fit(words, tags, shuffle=False, verbose=0)
        return start, model.get_weights()

    (start, end), (start_again, end_again) = trained(3), trained(3)
    for one, other in zip([*start, *end], [*start_again, *end_again], strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((a != b).any() for a, b in zip(start, end, strict=True))
    one, two, other = (
        build_tagger(8, TAGS, **SMALL, cell=cell, layers=2, dropout=0.0, seed=seed).get_weights()
        for seed in (2**32 - 1, 2**32 - 1, 2**32 - 2)  # as large as NumPy draws them
    )
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "lstmm"}, "cell='lstmm' is not known. Expected one of: 'elman', 'jordan', 'lstm', 'gru'"),
        ({"cell": "jordan", "crf": True}, "crf=True does not go with cell='jordan'"),
        ({"scheduled_sampling": 0.5}, "scheduled_sampling= and beam_width= belong to cell='jordan'"),
        ({"beam_width": 2}, "scheduled_sampling= and beam_width= belong to cell='jordan'"),
        ({"vocabulary_size": 1}, "vocabulary_size=1 must be at least 2"),
        ({"vocabulary_size": None}, "vocabulary_size=None must be at least 2"),
        ({"units": 0}, "units=0 must be an integer of at least 1"),
        ({"units": 2.5}, "units=2.5 must be an integer"),
        ({"units": True}, "units=True must be an integer"),
        ({"layers": 0}, "layers=0 must be an integer of at least 1"),
        ({"word_dim": 0}, "word_dim=0 must be an integer of at least 1"),
        ({"char_units": -1}, "char_units=-1 must be an integer"),
        ({"input_dim": 0}, "input_dim=0 must be an integer of at least 1"),
        ({"characters": -1}, "characters=-1 must be an integer of at least 0"),
        ({"feature_sizes": [3, 0]}, r"feature_sizes=\[3, 0\] must be integers"),
        ({"vector_rows": 8}, "vector_rows=8 and vector_dim=0 go together"),
        ({"vector_dim": 8}, "vector_rows=0 and vector_dim=8 go together"),
        ({"seed": -1}, "seed=-1 must be an integer of at least 0"),
        ({"tags": 0}, "tags=0 must be a number of at least 1"),
        ({"tags": []}, r"tags=\[\] must be a number of at least 1, or a list of distinct names"),
        ({"tags": ["O", "O"]}, "distinct names"),
        ({"tags": ["O", "PER"]}, "Tag 'PER'.* does not belong to the scheme 'iob2'"),
        ({"scheme": "bio"}, "scheme must be one of"),
        ({"dropout": 1.0}, r"dropout=1.0 must be a number in \[0, 1\)"),
        ({"recurrent_dropout": -0.1}, r"recurrent_dropout=-0.1 must be a number in \[0, 1\)"),
        ({"word_dropout": 1.5}, r"word_dropout=1.5 must be a number in \[0, 1\]"),
        ({"dropout": "half"}, "dropout='half' must be a number"),
        ({"cell": "jordan", "scheduled_sampling": 2}, r"scheduled_sampling=2 must be a number in \[0, 1\]"),
        ({"cell": "jordan", "beam_width": 0}, "beam_width=0 must be an integer of at least 1"),
        ({"initial_state": "random"}, "initial_state='random' is not known. Expected one of: 'zeros', 'learned'"),
        ({"char_encoder": "conv"}, "char_encoder='conv' is not known. Expected one of: 'cnn', 'rnn', None"),
        ({"char_encoder": "rnn", "characters": 5, "char_units": 5}, "char_units=5 must be even"),
        ({"activation": "tanhh"}, "activation='tanhh' is not known"),
    ],
)
def test_parameters_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message) as error:
        build_tagger(**{"vocabulary_size": 8, "tags": TAGS, **SMALL, **options})
    # A tag outside its scheme is a fault of the data; all else is one of the parameters.
    assert isinstance(error.value, DataError if options.get("tags") == ["O", "PER"] else ParameterError)


def test_numbers_of_numpy_and_names_of_any_sequence_will_do():
    model = build_tagger(np.int64(8), np.array(TAGS), units=np.int32(4), layers=np.int64(1), dropout=np.float32(0.25))
    assert model.num_tags == 3
    assert build_tagger(8, np.int64(5), units=4).num_tags == 5
    assert build_tagger(8, tuple(TAGS), units=4).head.crf.start_mask == [True, True, False]


def test_a_given_initial_state_stands_in_for_the_layers_own():
    model = build_tagger(tags=3, input_dim=2, units=4, layers=2, cell="lstm", dropout=0.0, seed=0)
    rng = np.random.default_rng(0)
    inputs = {"vectors": rng.normal(size=(3, 5, 2)).astype("float32"), "lengths": np.array([5, 2, 4])}
    assert model.recurrent.state_count == 8  # two layers, two directions, h and c
    zeros = np.zeros((3, 8, 4), "float32")
    np.testing.assert_allclose(model(inputs | {"initial_state": zeros}), model(inputs), atol=1e-6)
    given = rng.normal(size=zeros.shape).astype("float32")
    encoded, _ = model.encode(inputs | {"initial_state": given})
    # The same by hand: each direction of each layer with its own pair of states.
    layer, states = inputs["vectors"], iter(np.moveaxis(given, 1, 0))
    for pair in model.recurrent.directions:
        outputs = [one(layer, lengths=inputs["lengths"], initial_state=[next(states), next(states)]) for one in pair]
        layer = np.concatenate(outputs, -1)
    real = np.arange(5) < inputs["lengths"][:, None]
    np.testing.assert_allclose(encoded.numpy()[real], layer[real], atol=1e-6)
    jordan = build_tagger(tags=3, input_dim=2, units=4, cell="jordan", seed=0)
    with pytest.raises(DataError, match="initial_state"):
        jordan(inputs | {"initial_state": zeros})


@pytest.mark.parametrize("name", ["loss", "loss_weights", "metrics", "weighted_metrics"])
def test_compile_takes_no_loss_or_metric_that_it_would_ignore(name):
    with pytest.raises(ParameterError, match=f"{name}=.*no effect"):
        build_tagger(5, 2, units=2).compile("adam", **{name: ["accuracy"]})
