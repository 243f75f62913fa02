"""The encoder-decoder: its equations in NumPy, both sides' weights found, plain Keras, saving, gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from equations import STATES, STEPS, numeric_gradients, read

from seqkit.decoding.beam import Penalties
from seqkit.decoding.translator import Translator
from seqkit.errors import DataError, ParameterError
from seqkit.models import build_encoder_decoder

SOURCES = np.array([[3, 4, 5, 2], [6, 2, 0, 0], [1, 0, 0, 0]])
LENGTHS = [4, 2, 1]
TARGETS = np.array([[2, 3, 4], [4, 0, 0], [2, 2, 0]])
SIZES = {"units": 3, "word_dim": 4, "target_dim": 5, "dropout": 0.0, "seed": 0}


def build(**options):
    model = build_encoder_decoder(8, 6, **{**SIZES, **options})
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.7, variable.shape))
    return model


def names_of(variables, model):
    """A name for each variable; those of the decoder's own parts begin with "decoder"."""
    own = {id(v) for v in model.decoder.variables}
    return [f"decoder/{v.path.removeprefix('decoder/')}" if id(v) in own else v.path for v in variables]


def named(model):
    return {n: v.numpy().astype(float) for n, v in zip(names_of(model.variables, model), model.variables, strict=True)}


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def cell_of(weights, prefix):
    """Kernel, recurrent kernel and bias of one recurrent layer."""
    return [weights[next(n for n in weights if n.startswith(prefix) and n.endswith(f"/{part}"))]
            for part in ("kernel", "recurrent_kernel", "bias")]  # fmt: skip


def by_hand(weights, cell, context_as, feeding, attend="general"):
    """Distributions of what follows each target, [rows][steps], from the equations."""
    ways = [cell_of(weights, f"recurrent/{way}_0") for way in ("forward", "backward")]
    answers = []
    for row, length in enumerate(LENGTHS):
        vectors = weights["encoder/words"][SOURCES[row, :length]][None]
        outputs = [read(cell, w, vectors, backward=bool(k))[0] for k, w in enumerate(ways)]
        memory = np.concatenate(outputs, -1)
        context = np.concatenate([outputs[0][-1], outputs[1][0]])
        size = STATES[cell] * 3 + 3 * feeding
        states = np.zeros(size)
        if context_as != "input":
            states = np.tanh(context @ weights["decoder/context_kernel"])
        states = np.split(states, size // 3)
        last, answer = 0, []
        for following in [*TARGETS[row], None]:
            x = weights["decoder/word_vectors"][last]
            if context_as != "state":
                x = np.concatenate([x, context])
            if feeding:
                x = np.concatenate([x, states[-1]])
            own = STEPS[cell](cell_of(weights, "decoder/recurrent"), x, states[: STATES[cell]])
            found = own[0]
            if attend:
                scores = memory @ weights["decoder/attention/key_kernel"] @ own[0]
                shares = np.exp(scores - scores.max())
                found = np.concatenate([shares @ memory / shares.sum(), own[0]])
                found = np.tanh(found @ weights["decoder/attention/kernel"])
            states = [*own, found] if feeding else own
            answer.append(log_softmax(found @ weights["decoder/output_vectors"].T + weights["decoder/output_bias"]))
            last = following
        answers.append(answer)
    return answers


def losses_by_hand(weights, *options):
    return [
        -sum(answer[t][following] for t, following in enumerate([*row[: np.count_nonzero(row)], 0]))
        for answer, row in zip(by_hand(weights, *options), TARGETS, strict=True)
    ]


CASES = [
    ("lstm", "state", False, "general"),
    ("gru", "both", False, "general"),
    ("elman", "input", True, "general"),
    ("lstm", "both", True, "general"),
    ("gru", "state", True, "general"),
    ("elman", "both", False, None),
]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    cell, context_as, feeding, attend = request.param
    model = build(cell=cell, context_as=context_as, input_feeding=feeding, attend=attend)
    return model, request.param


def test_it_does_as_its_equations(case):
    model, options = case
    found = model({"words": SOURCES, "targets": TARGETS}).numpy()
    for row, answer in enumerate(by_hand(named(model), *options)):
        np.testing.assert_allclose(np.log(found[row]), answer[: TARGETS.shape[1]], atol=1e-4)


def test_losses_and_gradients(case):
    model, options = case
    weights = named(model)

    def measured():
        encoded, lengths = model.encode({"words": SOURCES}, training=True)
        return model.head_losses(encoded, lengths, None, TARGETS, training=True)

    np.testing.assert_allclose(measured(), losses_by_hand(weights, *options), rtol=1e-4)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(measured())
    gradients = tape.gradient(total, [v.value for v in model.trainable_variables])
    names = names_of(model.trainable_variables, model)
    expected = numeric_gradients(lambda: sum(losses_by_hand(weights, *options)), [weights[name] for name in names])
    for name, gradient, want in zip(names, gradients, expected, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), want, atol=3e-3, rtol=3e-3, err_msg=name)


WRITERS = [
    dict(cell="lstm"),
    dict(cell="jordan", attend=None),
    dict(cell="elman", attend="additive"),
    dict(cell="leaky", attend="local"),
    dict(cell="gru", attend="dot", units=4, bidirectional=False),
    *(dict(cell=cell, input_feeding=True) for cell in ("gru", "jordan")),
]


@pytest.mark.parametrize("options", WRITERS, ids=str)
def test_steps_are_what_reading_gives(options):
    """What is written step by step has the probability that reading it back has."""
    model = build(context_as="both", decoder_layers=2, **options)
    ends = model.decoder.top.cell.output_bias if model.decoder.top else model.decoder.output_bias
    ends.assign(np.array([2.0, 0, 0, 0, 0, 0]))
    translator, lengths = Translator(model, copies=True), tf.constant(LENGTHS)

    @tf.function
    def write():
        start = translator.start(model.embed({"words": SOURCES})[0], lengths)
        return translator.search(start, tf.fill([3], 6), 4, 3, Penalties())

    found, (encoded, _) = write(), model.encode({"words": SOURCES})
    compared = 0
    for k in range(3):
        ids, counts = found.ids[:, k], found.lengths[:, k]
        whole = (counts < 6).numpy()
        losses, items = model.pair_losses(encoded, lengths, ids, counts)
        np.testing.assert_allclose(-losses[whole], found.log_probability[:, k][whole], atol=2e-4)
        assert items.numpy().tolist() == (counts + 1).numpy().tolist()
        compared += whole.sum()
    assert compared > 4 and found.lengths.numpy().max() > 0


def test_what_it_looked_at():
    for feeding in (False, True):
        model = build(input_feeding=feeding)
        encoded, lengths = model.encode({"words": SOURCES})
        _, looks = model.read_targets(*model.brief(encoded, lengths), tf.constant(TARGETS), weights=True)
        assert looks.shape == (3, 3, 4)
        np.testing.assert_allclose(tf.reduce_sum(looks, -1), 1.0, atol=1e-5)
        assert not looks[1, :, 2:].numpy().any() and not looks[2, :, 1:].numpy().any()


def test_scheduled_sampling_reads_what_it_would_have_written():
    """With a share of 1 every true item but the first is replaced by the network's own choice."""
    model = build(scheduled_sampling=1.0)
    encoded, lengths = model.encode({"words": SOURCES})
    outputs = model.read_targets(*model.brief(encoded, lengths), tf.constant(TARGETS))
    own = tf.argmax(model.head.logits(outputs), -1, tf.int32)
    expected = model.read_targets(*model.brief(encoded, lengths), tf.concat([own[:, :-1], own[:, -1:]], 1))
    np.testing.assert_allclose(
        model.read_targets(*model.brief(encoded, lengths), tf.constant(TARGETS), training=True), expected, atol=1e-5
    )
    assert not np.allclose(outputs, expected)


def test_no_encoder_is_the_mean_of_what_is_given():
    model = build_encoder_decoder(target_size=6, input_dim=2, layers=0, **{**SIZES, "word_dim": 4})
    vectors = np.random.default_rng(0).normal(size=(2, 3, 2)).astype(np.float32)
    given = {"vectors": vectors, "lengths": np.array([3, 2])}
    encoded, lengths = model.encode(given)
    context, memory = model.brief(encoded, lengths)
    np.testing.assert_allclose(context, [vectors[0].mean(0), vectors[1, :2].mean(0)], atol=1e-6)
    np.testing.assert_allclose(memory.values, vectors * [[[1]] * 3, [[1]] * 2 + [[0]]], atol=1e-6)


def test_keras_trains_saves_and_loads_it(tmp_path):
    model = build_encoder_decoder(8, 6, **SIZES)
    model.compile(keras.optimizers.Adam(0.08))
    before = model.evaluate({"words": SOURCES}, TARGETS, verbose=0, return_dict=True)
    model.fit({"words": SOURCES}, TARGETS, epochs=25, verbose=0)
    after = model.evaluate({"words": SOURCES}, TARGETS, verbose=0, return_dict=True)
    assert after["loss"] < 0.3 * before["loss"] and after["accuracy"] > 0.8
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    given = {"words": SOURCES, "targets": TARGETS}
    np.testing.assert_allclose(model(given), again(given), atol=1e-6)


@pytest.mark.parametrize("halting", [None, "bernoulli", "length"])
def test_vectors(halting):
    model = build_encoder_decoder(8, 2, targets="vectors", halting=halting, **SIZES)
    wanted = np.stack([np.arange(3.0), np.ones(3)], -1) * np.array([1.0, 2.0, 3.0])[:, None, None]
    model.standardize_targets([1.0, 2.0], [2.0, 3.0])
    model.compile(keras.optimizers.Adam(0.08))
    model.fit({"words": SOURCES}, wanted, epochs=40, verbose=0)
    assert model.evaluate({"words": SOURCES}, wanted, verbose=0, return_dict=True)["squared_error"] < 0.3
    translator = Translator(model)
    start = translator.start(model.embed({"words": SOURCES})[0], tf.constant(LENGTHS))
    written = translator.write(start, tf.fill([3], 3 if halting is None else 9))
    assert written.lengths.numpy().tolist() == [3, 3, 3]
    np.testing.assert_allclose(written.ids[:, :3], wanted, atol=1.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attend": "best"}, "attend='best' is not known. Expected one of: None, 'additive'"),
        ({"target_size": 1}, "target_size=1 must be an integer of at least 2"),
        ({"decoder_layers": 0}, "decoder_layers=0 must be an integer of at least 1"),
        ({"targets": "words"}, "targets='words' is not known"),
        ({"input_feeding": True, "attend": None}, "input_feeding=True feeds back what attention found"),
        ({"input_feeding": True, "recurrent_dropout": 0.1}, "does not go with recurrent_dropout=0.1"),
        ({"scheduled_sampling": 1.5}, "scheduled_sampling=1.5 must be a number in"),
        ({"halting": "length"}, "halting='length' is for vectors; ids end by 0"),
        ({"targets": "vectors", "cell": "jordan", "attend": None}, "cell='jordan' without attention"),
    ],
)
def test_what_it_cannot_be(options, message):
    with pytest.raises(ParameterError, match=message):
        build_encoder_decoder(8, **{"target_size": 6, **SIZES, **options})


def test_both_sides_are_needed():
    with pytest.raises(DataError, match="must be a dict with 'targets' too"):
        build()({"words": SOURCES})


@pytest.mark.parametrize(
    "kwargs", [{"input_feeding": True}, {"targets": "vectors", "target_size": 3}, {"attend": "additive"}], ids=str
)
def test_half_precision(kwargs):
    rng = np.random.default_rng(0)
    model = build_encoder_decoder(**{"vocabulary_size": 9, "target_size": 7, "units": 6, "seed": 0, **kwargs},
                                  dtype="mixed_bfloat16")  # fmt: skip
    vectors = kwargs.get("targets") == "vectors"
    targets = rng.normal(1000, 1, (4, 3, 3)) if vectors else rng.integers(1, 7, (4, 3))
    inputs = {"words": rng.integers(1, 9, (4, 5)), "targets": targets}
    if vectors:
        model.standardize_targets(np.full(3, 1000.7), np.ones(3))
    model.compile("sgd")
    model.fit(inputs, targets, verbose=0)
    answer = model(inputs)
    assert answer.dtype == "float32" and answer.shape == (4, 3, 3 if vectors else 7)
    if vectors:  # the mean is not rounded to eight bits, which would be 1000 or 1004
        assert 990 < answer.numpy().mean() < 1010 and model.target_mean.numpy()[0] == np.float32(1000.7)
