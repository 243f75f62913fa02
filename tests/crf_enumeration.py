"""A linear-chain CRF by enumeration of all its paths, and chains to ask it about."""

import itertools

import numpy as np


def make(batch, time, tags, scale=1.0, seed=0, lengths=None):
    """Emissions, gold tags, lengths, and (transitions, start, end); lengths run through 0 … time."""
    rng = np.random.default_rng(seed)
    emissions = scale * rng.normal(size=(batch, time, tags)).astype("float32")
    gold = rng.integers(0, tags, (batch, time)).astype("int32")
    lengths = np.arange(batch) % (time + 1) if lengths is None else np.asarray(lengths)
    weights = tuple((scale * rng.normal(size=size)).astype("float32") for size in ((tags, tags), tags, tags))
    return emissions, gold, lengths.astype("int32"), weights


def all_paths(emissions, transitions, start, end):
    """Every path of one sequence and its score, in float64."""
    time, tags = emissions.shape
    paths = list(itertools.product(range(tags), repeat=time))
    scores = [
        float(start[y[0]])
        + float(end[y[-1]])
        + sum(float(emissions[t, k]) for t, k in enumerate(y))
        + sum(float(transitions[a, b]) for a, b in itertools.pairwise(y))
        for y in paths
    ]
    return np.array(paths), np.array(scores)


def enumerated(emissions, lengths, weights):
    """Log-normalizers, marginals, best paths and their scores by enumeration."""
    log_z, marginals = np.zeros(len(lengths)), np.zeros(emissions.shape)
    best, best_score = np.zeros(emissions.shape[:2], int), np.zeros(len(lengths))
    for b, n in enumerate(lengths):
        if n == 0:
            continue
        paths, scores = all_paths(emissions[b, :n], *weights)
        log_z[b] = np.logaddexp.reduce(scores)
        for path, score in zip(paths, scores, strict=True):
            marginals[b, np.arange(n), path] += np.exp(score - log_z[b])
        best[b, :n], best_score[b] = paths[scores.argmax()], scores.max()
    return log_z, marginals, best, best_score
