"""The recurrences in NumPy, written from the equations in the cells' docstrings: one sequence, one step at a time."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def elman(weights, x, state, g=np.tanh, mask=1.0):
    kernel, recurrent, bias = weights
    h = g(x @ kernel + (mask * state[0]) @ recurrent + bias)
    return [h]


def lstm(weights, x, state, g=np.tanh, mask=1.0):
    kernel, recurrent, bias = weights
    h, c = state
    i, f, n, o = np.split(x @ kernel + (mask * h) @ recurrent + bias, 4)
    c = sigmoid(f) * c + sigmoid(i) * g(n)
    return [sigmoid(o) * g(c), c]


def gru(weights, x, state, g=np.tanh, mask=1.0):
    kernel, recurrent, bias = weights
    z, r, n = np.split(x @ kernel + bias[0], 3)
    uz, ur, un = np.split((mask * state[0]) @ recurrent + bias[1], 3)
    z, r = sigmoid(z + uz), sigmoid(r + ur)
    return [z * state[0] + (1 - z) * g(n + r * un)]


def leaky(weights, x, state, g=np.tanh, mask=1.0):
    kernel, recurrent, bias, leak = weights
    h = state[0]
    return [h + sigmoid(leak) * (g(x @ kernel + (mask * h) @ recurrent + bias) - h)]


STEPS = {"elman": elman, "lstm": lstm, "gru": gru, "leaky": leaky}
STATES = {"elman": 1, "lstm": 2, "gru": 1, "leaky": 1}


def read(cell, weights, x, lengths=None, backward=False, state=None, **options):
    """Outputs [batch, time, units]; 0 after the end of a row. ``state``: a list of [batch, units], default zeros."""
    units = weights[1].shape[0]
    lengths = [x.shape[1]] * len(x) if lengths is None else lengths
    out = np.zeros((*x.shape[:2], units))
    for n, length in enumerate(lengths):
        now = [np.zeros(units) if state is None else state[k][n] for k in range(STATES[cell])]
        for t in range(length)[:: -1 if backward else 1]:
            now = STEPS[cell](weights, x[n, t], now, **options)
            out[n, t] = now[0]
    return out


def read_stack(cell, weights, x, lengths, bidirectional, **options):
    """A stack; ``weights`` lists each direction's (kernel, recurrent kernel, bias), bottom up, forward first."""
    ways = 1 + bidirectional
    for level in range(len(weights) // ways):
        pair = weights[level * ways : (level + 1) * ways]
        x = np.concatenate([read(cell, w, x, lengths, bool(k), **options) for k, w in enumerate(pair)], -1)
    return x


def numeric_gradients(function, arrays, step=1e-5):
    """Central differences of a scalar function of float64 arrays, which are changed in place and restored."""
    gradients = [np.zeros_like(a) for a in arrays]
    for array, gradient in zip(arrays, gradients, strict=True):
        for at in np.ndindex(array.shape):
            value = array[at]
            array[at] = value + step
            above = function()
            array[at] = value - step
            gradient[at] = (above - function()) / (2 * step)
            array[at] = value
    return gradients
