"""The leaky integrator's cell; its equations and gradients are checked in test_scan.py and test_recurrent.py."""

import keras
import numpy as np
import tensorflow as tf

from seqkit.cells import make_cell
from seqkit.cells.elman import ElmanCell
from seqkit.cells.leaky import LeakyCell


def test_rates_are_spread_between_the_smallest_and_the_largest():
    cell = LeakyCell(7, rates=(0.1, 0.95))
    cell.build((None, 3))
    rates = tf.sigmoid(cell.leak).numpy()
    np.testing.assert_allclose(rates[[0, -1]], [0.1, 0.95], rtol=1e-5)
    assert (np.diff(rates) > 0).all()


def test_with_a_rate_of_one_it_is_an_elman_cell():
    leaky, elman = LeakyCell(4), ElmanCell(4)
    x, h = tf.random.normal([5, 3], seed=1), tf.random.normal([5, 4], seed=2)
    for cell in (leaky, elman):
        cell.build((None, 3))
    elman.set_weights(leaky.get_weights()[:3])
    leaky.leak.assign(tf.fill([4], 30.0))
    np.testing.assert_allclose(leaky(x, [h])[0], elman(x, [h])[0], atol=1e-6)


def test_a_slow_unit_keeps_its_state():
    cell = LeakyCell(4)
    cell.build((None, 3))
    cell.leak.assign(tf.fill([4], -30.0))
    h = tf.random.normal([5, 4], seed=2)
    np.testing.assert_allclose(cell(tf.ones([5, 3]), [h])[0], h, atol=1e-6)


def test_keras_rnn_runs_and_saves_it(tmp_path):
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, keras.layers.RNN(make_cell("leaky", 4, seed=0))(inputs))
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
