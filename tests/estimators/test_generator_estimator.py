"""SequenceGenerator: what it learns of contexts, its probabilities step by step, what it writes."""

import numpy as np
import pytest
import tensorflow as tf

from seqkit import SequenceGenerator
from seqkit.errors import DataError, InputTypeError, ParameterError

SMALL = {"units": 24, "word_dim": 8, "verbose": 0, "random_state": 0, "learning_rate": 0.02, "dropout": 0.0}
SMALL |= {"batch_size": 8}  # fewer steps than by default, which are enough here
STYLES, NAMES = ["f", "m"] * 30, ["Ada", "Bob", "Eve", "Max"] * 15
SCALE = np.eye(5, dtype=int)  # a frame for each key: up, or down


@pytest.fixture(scope="module")
def names():
    return SequenceGenerator(**SMALL, epochs=40).fit(STYLES, NAMES)


@pytest.fixture(scope="module", params=["nade", "bernoulli", "jordan"])
def scales(request):
    """Up from key 0 to key 4 in style 1, down in style -1; then the end."""
    options = {"cell": "jordan"} if request.param == "jordan" else {"head": request.param, "head_units": 8}
    options |= {"epochs": 120 if request.param == "jordan" else 60, "patience": 10}
    return SequenceGenerator(**SMALL, **options).fit([1, -1] * 20, [SCALE, SCALE[::-1]] * 20)


def test_a_style_decides_what_is_written(names):
    assert set(names.generate(["f"] * 20, temperature=0.5, seed=0)) == {"Ada", "Eve"}
    assert set(names.generate(["m"] * 20, temperature=0.5, seed=0)) == {"Bob", "Max"}
    assert names.predict(["m", "f"])[0] in ("Bob", "Max")
    right, wrong = names.log_probability(["f", "m"], ["Eve", "Eve"])
    assert right > wrong + 2
    assert names.score(["f", "m"], ["Ada", "Bob"]) > -0.5
    assert names.styles_.tolist() == ["f", "m"] and names.longest_ == 3


@pytest.mark.parametrize("context_as", ["input", "state", "both"])
def test_a_vector_decides_what_is_written(context_as):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    y = [["high", "end"] if row[1] > 0 else ["low"] for row in X]
    generator = SequenceGenerator(**SMALL, epochs=30, context_as=context_as).fit(X, y)
    new = rng.normal(size=(40, 3))
    right = [(words == ["high", "end"]) == (row[1] > 0) for row, words in zip(new, generator.predict(new), strict=True)]
    assert np.mean(right) > 0.85


def test_sequences_of_nothing():
    generator = SequenceGenerator(**SMALL, epochs=40).fit(None, NAMES)
    assert set(generator.generate(20, seed=0)) == set(NAMES)
    assert len(generator.generate()) == 1 and len(generator.predict([None] * 3)) == 3
    total = np.exp(generator.log_probability(None, ["Ada", "Bob", "Eve", "Max"])).sum()
    assert 0.8 < total <= 1.0001


def test_frames_follow_each_other_to_their_end(scales):
    up, down = scales.predict([1, -1])
    np.testing.assert_array_equal(up, SCALE)
    np.testing.assert_array_equal(down, SCALE[::-1])
    (rest,) = scales.generate([1], prompt=[SCALE[:2]], temperature=0)
    np.testing.assert_array_equal(rest, SCALE[2:])
    assert len(scales.generate([1], 2, temperature=0)[0]) == 2
    right, wrong = scales.log_probability([1, -1], [SCALE, SCALE])
    assert right > wrong + 5


def test_probabilities_are_those_of_single_steps(scales):
    sequences = [SCALE, SCALE[1:3], np.ones((4, 5))]
    found = scales.log_probability([1, -1, 1], sequences, per_item=True)
    context = np.array([[0, 1], [1, 0], [0, 1]], np.float32)  # styles are sorted
    for row, (frames, each) in enumerate(zip(sequences, found, strict=True)):
        last, states = np.zeros((1, 5)), scales.model_.first_states(1, context[row : row + 1])
        assert len(each) == len(frames)
        for t, frame in enumerate(frames):
            items = tf.constant(last[None], tf.float32)
            outputs, states = scales.model_.read(items, states, context=context[row : row + 1])
            p = -scales.model_.losses(outputs[0], tf.constant(frame[None], tf.float32))
            end = tf.sigmoid(scales.model_.halt_logits(outputs[0]))
            p += tf.math.log(end if t + 1 == len(frames) else 1 - end)
            np.testing.assert_allclose(each[t], p[0], rtol=1e-4, atol=1e-4)
            last = frame[None]
    np.testing.assert_allclose(scales.log_probability([1, -1, 1], sequences), [p.sum() for p in found], rtol=1e-5)


def test_a_seed_makes_a_sequence_whatever_stands_beside_it(names, scales):
    texts = names.generate(["f", "m", "f"], seed=3, temperature=2.0)
    assert texts == [names.generate([s], seed=3 + i, temperature=2.0)[0] for i, s in enumerate(["f", "m", "f"])]
    together = scales.generate([1, -1, 1], seed=5, temperature=3.0, length=9)
    for i, style in enumerate([1, -1, 1]):
        np.testing.assert_array_equal(scales.generate([style], seed=5 + i, temperature=3.0, length=9)[0], together[i])


def test_without_halting_frames_go_on_to_the_length_asked_for():
    generator = SequenceGenerator(**SMALL, halting=None, epochs=2).fit(None, [SCALE] * 10)
    assert [len(frames) for frames in generator.generate(3, 17, seed=0)] == [17] * 3
    assert generator.generate(2, 0, seed=0)[0].shape == (0, 5)


def test_a_length_is_predicted_from_the_style():
    short, long = SCALE[:3], np.tile(SCALE, (3, 1))
    options = {**SMALL, "halting": "length", "epochs": 60, "patience": None}
    generator = SequenceGenerator(**options).fit(["short", "long"] * 20, [short, long] * 20)
    styles = ["short", "long"]
    assert [len(frames) for frames in generator.generate(styles, temperature=0)] == [3, 15]
    begun = generator.generate(styles, prompt=[SCALE[:2].astype(float)] * 2, temperature=0)
    assert [len(frames) for frames in begun] == [1, 13]
    assert [len(frames) for frames in generator.generate(styles, 5, temperature=0)] == [3, 5]
    found = generator.log_probability(styles, [short, long], per_item=True)
    wrong = generator.log_probability(styles, [long[:4], long], per_item=True)
    assert found[0][2] > wrong[0][3] + 1  # three frames are what is short
    contexts = np.eye(2, dtype=np.float32)[[1, 0]]  # styles are sorted
    of_length = generator.model_.length_head.losses([3, 15], contexts).numpy()
    items = [float(p.sum()) + loss for p, loss in zip(found, of_length, strict=True)]
    generator.model_.length_head.bias.assign_add([1.0])
    again = generator.log_probability(styles, [short, long])
    moved = generator.model_.length_head.losses([3, 15], contexts).numpy()
    np.testing.assert_allclose(again, np.array(items) - moved, atol=1e-4)


def test_what_is_held_out_can_be_given(names):
    generator = SequenceGenerator(**SMALL, epochs=3)
    generator.fit(STYLES, NAMES, validation_data=(["f", "m"], ["Ada", "Max"]))
    best = min(generator.history_["validation_loss"])
    np.testing.assert_allclose(best, -generator.score(["f", "m"], ["Ada", "Max"]), rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["f"], NAMES), DataError, "X and y have lengths 1 and 60"),
        ((STYLES, [np.full((2, 3), 0.5)] * 60), DataError, r"y\[0\] holds frames with other numbers than 0 and 1"),
        (("fm", NAMES), InputTypeError, "X must be a list"),
        ((STYLES, NAMES, (["x"], ["Ada"])), DataError, r"validation_data\[0\]\[0\] is 'x', a style that fit has not"),
        ((STYLES, NAMES, 3), InputTypeError, r"validation_data must be a pair \(X, y\)"),
    ],
)
def test_data_that_cannot_be(arguments, error, message):
    with pytest.raises(error, match=message):
        SequenceGenerator(**SMALL, epochs=1).fit(*arguments)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"head": "nade"}, NAMES, "head='nade' is for frames"),
        ({"head": "softmax"}, [SCALE] * 60, "head='softmax' is for tokens"),
        ({"head": "nade", "cell": "jordan"}, [SCALE] * 60, "does not go with cell='jordan'"),
    ],
)
def test_parameters_that_cannot_be(options, y, message):
    with pytest.raises(ParameterError, match=message):
        SequenceGenerator(**SMALL, epochs=1, **options).fit(STYLES, y)


def test_requests_that_cannot_be(names, scales):
    with pytest.raises(DataError, match=r"X\[1\] is 'x', a style that fit has not seen. Known are: 'f', 'm'"):
        names.generate(["f", "x"])
    with pytest.raises(InputTypeError, match="X must hold styles"):
        names.generate()
    with pytest.raises(DataError, match="X and prompt have lengths 2 and 1"):
        names.generate(["f", "m"], prompt=["A"])
    with pytest.raises(DataError, match="frames of 4 keys, expected 5 as in fit"):
        scales.generate([1], prompt=[np.ones((2, 4))])
    with pytest.raises(DataError, match="nothing to score"):
        names.score([], [])


def test_what_a_template_leaves_open_is_written():
    rows = [["a", "b", "c"], ["x", "y", "z"]] * 40
    generator = SequenceGenerator(**SMALL, epochs=20)
    generator.fit(None, rows)
    templates = [["x", None, None], [None, "b", None], ["a", "?", None], []]
    filled = generator.fill(None, templates, temperature=0)
    assert filled[0] == ["x", "y", "z"]
    assert filled[1][1] == "b" and filled[1][0] in "ax"
    assert filled[2][:2] == ["a", "?"] and filled[3] == []
    assert generator.fill(None, templates[:1], seed=3) == generator.fill(None, templates * 2, seed=3)[:1]
    with pytest.raises(ParameterError, match="fill is for lists of tokens"):
        SequenceGenerator(units=4, epochs=1, verbose=0).fit(None, ["ab", "ba"] * 5).fill(None, [[None]])
