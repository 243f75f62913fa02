"""A Jordan network as the head of a tagger in NumPy, written from its equations: one sentence, one step at a time."""

import itertools

import numpy as np

from seqkit.layers.jordan import JordanHead

K, UNITS, D = 3, 4, 2
# Tags B, I, O under IOB2: I neither first nor after O.
IOB2 = {"start_mask": [True, False, True], "transition_mask": [[True] * 3, [True] * 3, [True, False, True]]}
# 0 must be followed by 1, and neither 0 nor 2 can be last: the only end is 1 -> (0 ->) 1, and 2 leads to 0 only.
CORNERED = {
    "start_mask": [True, True, True],
    "transition_mask": [[False, True, False], [True, True, True], [True, False, False]],
    "end_mask": [False, True, False],
}


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def weights_of(head, direction="forward"):
    names = ("kernel", "bias", "recurrent_kernel", "output_kernel", "output_bias", "initial_output")
    values = [getattr(head, f"{direction}_{name}") for name in names]
    return [np.zeros(K) if value is None else value.numpy() for value in values]


def step(weights, x, y):
    kernel, bias, recurrent, output_kernel, output_bias, _ = weights
    return softmax(np.tanh(x @ kernel + y @ recurrent + bias) @ output_kernel + output_bias)


def forced_nll(weights, x, tags):
    """Sum of -log p_t[true tag] of one sentence, with the true previous tag fed back."""
    y, total = weights[-1], 0.0
    for vector, tag in zip(x, tags, strict=True):
        total -= np.log(step(weights, vector, y)[tag])
        y = np.eye(K)[tag]
    return total


def legal(path, masks):
    ones = np.ones((K, K), bool)
    start, move, end = (np.asarray(masks.get(n, ones[0] if n != "transition_mask" else ones)) for n in (
        "start_mask", "transition_mask", "end_mask"))  # fmt: skip
    inside = all(move[i, j] for i, j in itertools.pairwise(path))
    return len(path) == 0 or (start[path[0]] and end[path[-1]] and inside)


def free_run(weights, x, masks=None):
    """Own distribution fed back; with masks, each previous tag shares out among its viable followers."""
    n, rows, y = len(x), [], None
    for t, vector in enumerate(x):
        p = step(weights, vector, weights[-1] if y is None else y)
        if masks:
            # By enumeration: a move i -> j is open if some legal sequence of this length makes it here.
            paths = [path for path in itertools.product(range(K), repeat=n) if legal(path, masks)]
            if t == 0:
                q = p * [any(path[0] == j for path in paths) for j in range(K)]
            else:
                q = np.zeros(K)
                for i in range(K):
                    followers = p * [any(path[t - 1] == i and path[t] == j for path in paths) for j in range(K)]
                    if followers.sum():
                        q += y[i] * followers / followers.sum()
            p = q / q.sum()
        rows.append(p)
        y = p
    return np.array(rows).reshape(n, K)


def backward_free_run(head, x, masks):
    mirrored = {}
    if masks:
        mirrored = {
            "start_mask": masks.get("end_mask", [True] * K),
            "transition_mask": np.transpose(masks["transition_mask"]),
            "end_mask": masks.get("start_mask", [True] * K),
        }
    return free_run(weights_of(head, "backward"), x[::-1], mirrored)[::-1]


def expected_probabilities(head, x, masks=None):
    forward = free_run(weights_of(head), x, masks)
    if not head.bidirectional:
        return forward
    mean = np.sqrt(forward * backward_free_run(head, x, masks))
    return mean / mean.sum(axis=-1, keepdims=True)


def backward_potentials(head, x, masks):
    if not head.bidirectional or not len(x):
        return np.zeros((len(x), K))
    return np.log(np.maximum(backward_free_run(head, x, masks), 1e-30))


def best_path(head, x, masks, width):
    """The best of all legal paths, or of the ``width`` best beginnings at each step."""
    weights, potentials, hypotheses = weights_of(head), backward_potentials(head, x, masks), [(0.0, ())]
    ends = [path for path in itertools.product(range(K), repeat=len(x)) if legal(path, masks)]
    for t in range(len(x)):
        beginnings = {path[: t + 1] for path in ends}
        longer = []
        for score, path in hypotheses:
            gain = np.log(step(weights, x[t], np.eye(K)[path[-1]] if path else weights[-1])) + potentials[t]
            longer += [(score + gain[tag], (*path, tag)) for tag in range(K) if (*path, tag) in beginnings]
        hypotheses = sorted(longer, reverse=True)[:width]
    return list(hypotheses[0][1])


def make(seed=0, scale=1.5, dtype="float64", **kwargs):
    head = JordanHead(K, UNITS, dtype=dtype, **kwargs)
    head.build((None, None, D))
    rng = np.random.default_rng(seed)
    for variable in head.trainable_variables:
        variable.assign(rng.normal(0, scale, variable.shape))
    return head, rng


def batch(rng, lengths=(4, 0, 1, 3), steps=5):
    lengths = np.array(lengths, "int32")
    return rng.normal(size=(len(lengths), steps, D)), lengths, rng.integers(0, K, (len(lengths), steps))


MODES = [
    {},
    {"initial_state": "learned"},
    {"bidirectional": True, "initial_state": "learned"},
]
