"""The character RNN of `examples/char_rnn.py` beside the same recipe in NumPy, on tinyshakespeare.

    python benchmarks/char_rnn.py [--steps 10000] [--seeds 0 1 2]

The NumPy run is Karpathy's (one Elman layer, softmax, backpropagation through 25 steps, Adagrad), written from its
description. Both read the same characters in the same order; the loss is summed over 25 characters and smoothed with
0.999, as there. NumPy begins once with the same weights as seqkit, and once with small random ones, as he did.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

import keras
import numpy as np

if __package__ in (None, ""):  # run as a file: make `examples` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from examples.char_rnn import char_rnn
from seqkit.datasets import load_corpus
from seqkit.training.loop import TrainingLoop

UNITS, SPAN, RATE, LIMIT = 100, 25, 0.1, 5.0


def numpy_losses(ids: np.ndarray, weights: list[np.ndarray], steps: int) -> list[float]:
    """Train in NumPy from weights (input, recurrent, output, biases) and return the loss of each step."""
    wxh, whh, why, bh, by = weights = [w.astype(float) for w in weights]
    memory = [np.zeros_like(w) for w in weights]
    h, losses = np.zeros(UNITS), []
    for step in range(steps):
        x, y = ids[step * SPAN : (step + 1) * SPAN], ids[step * SPAN + 1 : (step + 1) * SPAN + 1]
        hiddens = [h]
        for one in x:
            hiddens.append(np.tanh(wxh[one] + hiddens[-1] @ whh + bh))
        before, after = np.array(hiddens[:-1]), np.array(hiddens[1:])
        logits = after @ why + by
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        losses.append(-np.log(shares[np.arange(SPAN), y]).sum())
        d_logits = shares
        d_logits[np.arange(SPAN), y] -= 1
        deltas, carried = np.zeros((SPAN, UNITS)), np.zeros(UNITS)
        for t in reversed(range(SPAN)):
            deltas[t] = (d_logits[t] @ why.T + carried) * (1 - after[t] ** 2)
            carried = deltas[t] @ whh.T
        d_wxh = np.zeros_like(wxh)
        np.add.at(d_wxh, x, deltas)
        gradients = [d_wxh, before.T @ deltas, after.T @ d_logits, deltas.sum(0), d_logits.sum(0)]
        for weight, gradient, past in zip(weights, gradients, memory, strict=True):
            gradient = np.clip(gradient, -LIMIT, LIMIT)
            past += gradient * gradient
            weight -= RATE * gradient / np.sqrt(past + 1e-8)
        h = after[-1]
    return losses


def our_losses(text: str, steps: int, seed: int) -> tuple[list[float], np.ndarray, list[np.ndarray]]:
    """Fit the example; return the loss of each step, the ids it read, and the weights it began with."""
    losses, began, epoch = [], [], TrainingLoop._epoch

    def recorded(self, number):
        take, model = self.step, self.model
        cell = model.recurrent.directions[0][0].cell
        parts = (cell.kernel, cell.recurrent_kernel, model.rows, cell.bias, model.output_bias)
        began.extend(keras.ops.convert_to_numpy(part) for part in parts)
        began[2] = began[2].T

        def step(batch):
            losses.append(take(batch))
            return losses[-1]

        self.step = step
        return epoch(self, number)

    TrainingLoop._epoch = recorded
    try:
        model = char_rnn(epochs=1, random_state=seed, verbose=0).fit([text[: steps * SPAN]])
    finally:
        TrainingLoop._epoch = epoch
    known = {character: i + 2 for i, character in enumerate(model.vocabulary_.words)}
    ids = np.array([0, *(known[c] for c in text[: steps * SPAN])])
    return [SPAN * float(loss) for loss in losses][:steps], ids, began


def smoothed(losses: list[float], size: int) -> float:
    """Return the smoothed loss after all steps."""
    value = SPAN * np.log(size)
    for loss in losses:
        value = 0.999 * value + 0.001 * loss
    return value


def main() -> None:
    """Run both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    text = load_corpus("tinyshakespeare")
    print(f"{datetime.date.today()}  {arguments.steps:,} steps, seeds {arguments.seeds}", flush=True)
    print("| seed | seqkit | NumPy, same start | seqkit ÷ it | NumPy, small random start | seqkit ÷ it |")
    print("|---|---|---|---|---|---|")
    for seed in arguments.seeds:
        ours, ids, weights = our_losses(text, arguments.steps, seed)
        size = len(weights[0])
        rng = np.random.default_rng(seed)
        own = [rng.normal(0, 0.01, w.shape) if w.ndim == 2 else np.zeros_like(w) for w in weights]
        ours, same, own = (
            smoothed(losses, size)
            for losses in (ours, *(numpy_losses(ids, start, arguments.steps) for start in (weights, own)))
        )
        print(f"| {seed} | {ours:.2f} | {same:.2f} | {ours / same:.4f} | {own:.2f} | {ours / own:.4f} |", flush=True)


if __name__ == "__main__":
    main()
