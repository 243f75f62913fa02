"""JordanCell against NumPy written from its equations, in keras.layers.RNN's loop."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqkit.cells.jordan import JordanCell
from seqkit.errors import ParameterError


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "softmax": softmax, "linear": lambda x: x}


def reference(x, weights, activation, output_activation, y0=None):
    """h_t = g(x_t W + y_{t-1} U + b), y_t = o(h_t V + c), one sequence and one step at a time."""
    kernel, recurrent, output_kernel, bias, output_bias = weights
    g, o = ACTIVATIONS[activation], ACTIVATIONS[output_activation]
    out = np.zeros((x.shape[0], x.shape[1], output_kernel.shape[1]))
    for n, sequence in enumerate(x):
        y = np.zeros(output_kernel.shape[1]) if y0 is None else y0[n]
        for t, step in enumerate(sequence):
            h = g(step @ kernel + y @ recurrent + bias)
            y = o(h @ output_kernel + output_bias)
            out[n, t] = y
    return out


def make(inputs=3, dtype="float64", seed=0, **kwargs):
    layer = keras.layers.RNN(JordanCell(4, 2, dtype=dtype, **kwargs), return_sequences=True, dtype=dtype)
    layer.build((None, None, inputs))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(0, 0.7, w.shape) for w in layer.weights])
    return layer, rng


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("output_activation", ["tanh", "softmax", "linear"])
def test_outputs_follow_the_equations(activation, output_activation):
    layer, rng = make(activation=activation, output_activation=output_activation)
    x = rng.normal(size=(2, 5, 3))
    expected = reference(x, layer.get_weights(), activation, output_activation)
    np.testing.assert_allclose(layer(x), expected, atol=1e-12)


def test_given_initial_state_is_y0():
    layer, rng = make()
    x, y0 = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 2))
    expected = reference(x, layer.get_weights(), "tanh", "tanh", y0)
    np.testing.assert_allclose(layer(x, initial_state=y0), expected, atol=1e-12)


def test_only_the_output_is_fed_back():
    """What a hidden unit knows is forgotten if the output does not show it; an Elman cell would carry it on."""
    layer, rng = make()
    x = rng.normal(size=(2, 6, 3))
    x[1, -1] = x[0, -1]
    shown = layer(x).numpy()
    assert np.abs(shown[0, -1] - shown[1, -1]).max() > 1e-3
    layer.cell.output_kernel.assign(layer.cell.output_kernel * np.array([[1.0], [1], [0], [0]]))
    layer.cell.kernel.assign(layer.cell.kernel * np.array([0.0, 0, 1, 1]))
    hidden = layer(x).numpy()
    np.testing.assert_allclose(hidden[0, -1], hidden[1, -1], atol=1e-14)


@pytest.mark.parametrize("output_activation", ["tanh", "softmax"])
def test_gradients_are_those_of_finite_differences(output_activation):
    layer, rng = make(output_activation=output_activation)
    x, target = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 2))
    with tf.GradientTape() as tape:
        tensor = tf.constant(x)
        tape.watch(tensor)
        loss = tf.reduce_sum(layer(tensor) * target)
    gradients = tape.gradient(loss, [v.value for v in layer.trainable_variables] + [tensor])
    arrays = [*layer.get_weights(), x]

    def value():
        return (reference(arrays[-1], arrays[:-1], "tanh", output_activation) * target).sum()

    for array, gradient in zip(arrays, gradients, strict=True):
        for index in np.ndindex(array.shape):
            keep = array[index]
            array[index] = keep + 1e-5
            up = value()
            array[index] = keep - 1e-5
            down = value()
            array[index] = keep
            assert (up - down) / 2e-5 == pytest.approx(np.asarray(gradient)[index], abs=1e-8)


def test_masked_steps_keep_the_state():
    layer, rng = make()
    x = rng.normal(size=(1, 5, 3))
    mask = np.array([[True, True, False, True, False]])
    expected = reference(x[:, [0, 1, 3]], layer.get_weights(), "tanh", "tanh")
    np.testing.assert_allclose(layer(x, mask=mask).numpy()[:, [0, 1, 3]], expected, atol=1e-12)


def test_recurrent_dropout_is_one_mask_a_sequence():
    """U = identity, no inputs, V = identity: a fed-back unit that is dropped once is dropped at every step."""
    size = 40
    cell = JordanCell(size, activation="linear", output_activation="linear", recurrent_dropout=0.5, seed=3)
    layer = keras.layers.RNN(cell, return_sequences=True)
    layer.build((None, None, 1))
    eye = np.eye(size)
    layer.set_weights([np.zeros((1, size)), eye, eye, np.zeros(size), np.zeros(size)])
    out = layer(np.zeros((3, 4, 1)), initial_state=np.ones((3, size)), training=True).numpy()
    # 1 / (1 - 0.5) at each step for a unit that is kept, 0 from the first step on for one that is not.
    kept = out[:, 0] > 0
    assert 20 < kept.sum() < 100
    assert (kept[0] != kept[1]).any()
    for t in range(4):
        np.testing.assert_allclose(out[:, t], np.where(kept, 2.0 ** (t + 1), 0))
    again = layer(np.zeros((3, 4, 1)), initial_state=np.ones((3, size)), training=True).numpy()
    assert ((again[:, 0] > 0) != kept).any()
    quiet = layer(np.zeros((3, 4, 1)), initial_state=np.ones((3, size)), training=False).numpy()
    np.testing.assert_allclose(quiet, 1)


def test_input_dropout_hits_the_inputs():
    cell = JordanCell(30, activation="linear", output_activation="linear", dropout=0.5, seed=3)
    layer = keras.layers.RNN(cell, return_sequences=True)
    layer.build((None, None, 30))
    eye, zero = np.eye(30), np.zeros(30)
    layer.set_weights([eye, 0 * eye, eye, zero, zero])
    out = layer(np.ones((2, 3, 30)), training=True).numpy()
    assert set(np.unique(out)) == {0.0, 2.0}
    np.testing.assert_allclose(out, out[:, :1].repeat(3, axis=1))


def test_config_says_everything():
    cell = JordanCell(
        5, 3, "relu", "softmax", use_bias=False, kernel_initializer="he_normal", recurrent_initializer="zeros",
        output_initializer="ones", dropout=0.1, recurrent_dropout=0.2, seed=7, name="j",
    )  # fmt: skip
    config = cell.get_config()
    again = JordanCell.from_config(config)
    assert again.get_config() == config
    assert {"units", "output_units", "use_bias", "seed", "bias_initializer"} <= set(config)
    assert again.activation is keras.activations.relu
    assert again.output_activation is keras.activations.softmax
    assert isinstance(again.kernel_initializer, keras.initializers.HeNormal)
    assert keras.saving.get_registered_name(JordanCell) == "seqkit>JordanCell"


def test_without_bias_there_are_three_weights():
    layer, rng = make(use_bias=False)
    assert [w.name for w in layer.weights] == ["kernel", "recurrent_kernel", "output_kernel"]
    x = rng.normal(size=(2, 3, 3))
    expected = reference(x, [*layer.get_weights(), 0.0, 0.0], "tanh", "tanh")
    np.testing.assert_allclose(layer(x), expected, atol=1e-12)


def test_model_saves_and_loads(tmp_path):
    inputs = keras.Input((None, 3))
    cells = [JordanCell(4, 2, seed=1), JordanCell(5, output_activation="softmax", seed=1)]
    model = keras.Model(inputs, keras.layers.RNN(cells, return_sequences=True)(inputs))
    model.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "m.keras")(x), model(x), atol=1e-6)
    assert model.output_shape == (None, None, 5)


def test_mixed_precision_runs_in_half_and_stays_close():
    full, rng = make(dtype="float32", output_activation="softmax")
    half, _ = make(dtype="mixed_bfloat16", output_activation="softmax")
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    out = half(x)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    np.testing.assert_allclose(np.asarray(out, "float32"), full(x), atol=0.05)


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"units": 0}, "units"),
        ({"units": 2.5}, "units"),
        ({"units": 2, "output_units": -1}, "output_units"),
        ({"units": 2, "dropout": 1.0}, "dropout"),
        ({"units": 2, "recurrent_dropout": -0.1}, "recurrent_dropout"),
    ],
)
def test_bad_arguments_are_named(kwargs, name):
    with pytest.raises(ParameterError, match=f"`{name}`"):
        JordanCell(**kwargs)
