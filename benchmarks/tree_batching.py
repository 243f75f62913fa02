"""Training of TreeClassifier's network on sst_trees: batches of trees against one tree at a time.

    python benchmarks/tree_batching.py [--cell binary_lstm] [--batch 25 64] [--rounds 5] [--seconds 3] [--threads 1]

Every contender takes full training steps (forward, backward, optimizer) of the same network from the same data:

- ``PyTorch``: one tree a step, node by node, as implementations there do it; see ``peers/torch_tree.py``.
- ``node by node``: one tree a step, and in it one node after the other, as a recursive program does it. The network is
  the same; levels of one node each are what makes it so.
- ``one tree``: one tree a step, all nodes of one depth at once.
- ``batch of n``: n trees a step, all nodes of one depth at once. This is what `fit` does.

They take turns, A B C A B C …, in one process; the table gives medians over the rounds of trees/s, and of the ratios
within a round.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

if __package__ in (None, ""):  # run as a file: make `benchmarks` and an uninstalled `seqkit` importable
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.peers.torch_tree import training_step as training_step_in_torch
from seqkit import TreeClassifier
from seqkit.datasets.texts import load_trees
from seqkit.models.tree_classifier import TREE_CELLS, TreeReader
from seqkit.training.optimizer import apply_gradients, make_optimizer
from seqkit.training.token_batches import signature, token_vectors
from seqkit.training.tree_batches import data_tensors, gather_trees, tree_losses


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", choices=TREE_CELLS, default="binary_lstm")
    parser.add_argument("--batch", type=int, nargs="+", default=[25, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--units", type=int, default=150)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)

    classifier = TreeClassifier(options.cell, units=options.units, random_state=0)
    trees = load_trees("sst_trees", "train")
    data = classifier._read(trees, fresh=True)
    targets = classifier._fit_targets(None, data, fresh=True)
    classifier._start(data, targets, np.ones(len(data)))
    tensors = data_tensors(classifier, data)
    constants = {"targets": tf.constant(targets), "node_weights": tf.ones(len(targets))}
    batched = training_step(classifier, tensors, constants, tree_losses)
    contenders = {
        "node by node": (training_step(classifier, tensors, constants, losses_node_by_node), 1),
        "one tree": (batched, 1),
        **{f"batch of {n}": (batched, n) for n in options.batch},
    }
    if options.cell == "binary_lstm":
        contenders["PyTorch"] = (one_by_one(training_step_in_torch(trees, options.units, threads=options.threads)), 1)
    order = np.random.default_rng(0).permutation(len(data)).astype(np.int32)
    for step, size in contenders.values():
        step(order[:size])
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, (step, size) in contenders.items():
            speeds[name].append(trees_per_second(step, size, order, options.seconds))

    parameters = classifier.model_.count_params()
    print(f"{datetime.date.today()}  sst_trees, {options.cell}, {parameters:,} parameters, {options.threads} thread(s)")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    others = [name for name, (_, size) in contenders.items() if size == 1]
    print(f"| contender | trees/s | {' | '.join(f'÷ {other}' for other in others)} |")
    print("|---" * (2 + len(others)) + "|")
    for name, values in speeds.items():
        ratios = [statistics.median(a / b for a, b in zip(values, speeds[other], strict=True)) for other in others]
        print(f"| {name} | {statistics.median(values):,.0f} | {' | '.join(f'{ratio:.1f}' for ratio in ratios)} |")


def one_by_one(step):
    """Return a step that takes rows, of one that takes a row."""
    return lambda rows: [step(row) for row in rows.tolist()]


def training_step(classifier: TreeClassifier, tensors, constants, losses):
    """Return a function that trains on rows of the data set, as `seqkit.training.fitting.fit_model` does it."""
    model = classifier.model_
    optimizer = make_optimizer(classifier.optimizer, classifier.learning_rate)
    optimizer.build(model.trainable_variables)
    fixed = {name: tf.TensorSpec([None], value.dtype) for name, value in constants.items()}

    @tf.function(input_signature=[signature(tensors), fixed, tf.TensorSpec([None], tf.int32)], autograph=False)
    def step(tensors, constants, rows):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(losses(model, tensors, constants, rows)[0])
        gradients = tape.gradient(loss, model.trainable_variables)
        apply_gradients(optimizer, gradients, model.trainable_variables, classifier.gradient_clip)
        return loss

    return lambda rows: step(tensors, constants, tf.constant(rows)).numpy()


def losses_node_by_node(model: TreeReader, tensors, targets, rows):
    """Return the loss of one tree, its inner nodes computed one after the other, children first."""
    forest = gather_trees(tensors, rows)
    cell, counts = model.cell, forest.child_counts
    vectors = token_vectors(model.encoder, tensors, forest.types, training=True)
    leaves = cell.leaves(model.input_dropout(vectors, training=True))
    total = tf.size(counts)
    inner = tf.cast(tf.where(counts > 0)[:, 0], tf.int32)
    leaf_rank = tf.cumsum(tf.cast(counts < 1, tf.int32), exclusive=True)
    # Breadth first, a node's children stand one after the other, and later than it.
    first_child = 1 + tf.cumsum(counts, exclusive=True)
    states = tf.TensorArray(leaves.dtype, total, element_shape=[cell.state_size], clear_after_read=False)
    states = states.scatter(tf.cast(tf.where(counts < 1)[:, 0], tf.int32), tf.gather(leaves, leaf_rank[counts < 1]))
    weights = cell._weights()

    def body(k, states):
        node = inner[k]
        below = states.gather(first_child[node] + tf.range(counts[node]))
        if cell.most_children is not None:
            below = tf.pad(below, [[0, cell.most_children - counts[node]], [0, 0]])
        above = cell._up(below, tf.zeros([counts[node]], tf.int32), 1, weights)[0]
        return k - 1, states.write(node, above[0])

    _, states = tf.while_loop(lambda k, _: k >= 0, body, (tf.size(inner) - 1, states))
    logits = model.outputs(cell.hidden(states.stack()), training=True)
    wanted = tf.gather(targets["targets"], forest.nodes)
    return [tf.reduce_sum(model._cross_entropy(logits, wanted))[None]]


def trees_per_second(step, size: int, order: np.ndarray, seconds: float) -> float:
    """Train for so long, on batches of so many trees, and return the speed."""
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        rows = order[np.arange(done, done + size) % len(order)]
        step(rows)
        done += size
    return done / spent


if __name__ == "__main__":
    main()
