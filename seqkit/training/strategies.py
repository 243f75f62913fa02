"""Training steps on one device, on several, and on several machines.

Each process plans the same batches, from one seed, and holds its own copy of the weights. Of a batch, every replica (a
device that computes) reads its share of the rows; the gradients of all shares are added up, and each process takes the
same optimizer step. So what several devices learn is what one learns, but for rounding and the noise of dropout. The
variables are plain ones: after training nothing tells a model from one that a single device has trained.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import tensorflow as tf

from seqkit.errors import DataError, ParameterError, TrainingError
from seqkit.graph import graph
from seqkit.precision import products_in
from seqkit.training.cluster import meet, read_cluster
from seqkit.training.optimizer import merge_rows

_OTHER_NOISE = 1_000_003  # between the seeds of dropout of two workers


class Whole:
    """All rows of a batch."""

    def take(self, values: tf.Tensor) -> tf.Tensor:
        """Return the values of the rows read here, of values [rows of the batch, …]."""
        return values

    def put(self, values: tf.Tensor) -> tf.Tensor:
        """Return values of the rows read here as values of all, [rows of the batch, …], with 0 for others."""
        return values

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """Return the part that is summed here of a sum over the batch."""
        return tf.reduce_sum(values)

    def mean(self, values: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Return the part that is summed here of a mean over ``count`` values of the batch."""
        return tf.reduce_mean(values)


class Share(Whole):
    """One replica's rows of a batch: every so manieth, so that all have rows of like length.

    Where the batch has fewer rows than there are replicas, one without a row reads the last one, which then counts
    nothing: so no model must know what to do without any.
    """

    def __init__(self, number: tf.Tensor, replicas: int, size: tf.Tensor):
        self.size = size
        self.rows = tf.range(tf.minimum(number, size - 1), size, replicas)
        self.counts = tf.cast(number < size, tf.float32)

    def take(self, values):
        """See `Whole.take`."""
        return tf.gather(values, self.rows)

    def put(self, values):
        """See `Whole.put`."""
        shape = tf.concat([[self.size], tf.shape(values)[1:]], 0)
        return tf.scatter_nd(self.rows[:, None], tf.cast(self.counts, values.dtype) * values, shape)

    def sum(self, values):
        """See `Whole.sum`."""
        return self.counts * tf.reduce_sum(values)

    def mean(self, values, count):
        """See `Whole.mean`."""
        return self.sum(values) / tf.cast(count, tf.float32)


class OneDevice:
    """Training where TensorFlow puts it; and what the others below do otherwise."""

    workers = replicas = 1
    is_chief = True

    def gradients(self, losses: Callable, size: tf.Tensor, variables: list, products: str | None = None) -> tuple:
        """Return the gradients of a batch.

        Parameters
        ----------
        losses : callable
            Takes a `Whole`, returns what is to become small, what is reported of it, and a tensor that is kept (or
            None). All three are sums over the batch, of which the rows read here are a part.
        size : tf.Tensor
            Rows of the batch.
        variables : list of keras.Variable
            The variables.
        products : str or None
            The type of matrix products, see `seqkit.precision.products_in`.

        Returns
        -------
        tuple
            Gradients, a list; what is reported; both of the whole batch. What is kept: of the rows that this process
            has read.
        """
        return _differentiate(losses, Whole(), variables, products)

    def from_chief(self, make: Callable):
        """Return what ``make`` gives in the chief, plain values as JSON has them; it is called there alone."""
        return make()

    def bytes_from_chief(self, make: Callable[[], bytes]) -> bytes:
        """Return the bytes that ``make`` gives in the chief; it is called there alone."""
        return make()

    def spread(self, variables: list) -> None:
        """Give variables the values that they have in the chief."""

    def check_alike(self, fingerprint: str) -> None:
        """Raise in all workers if they are not to do the same."""

    @contextmanager
    def own_noise(self, variables: list) -> Iterator[None]:
        """Let random numbers differ from those of other workers, who else would all drop the same units."""
        yield

    @contextmanager
    def watched(self, advice: str = "") -> Iterator[None]:
        """Say in seqkit's words that another worker has gone."""
        yield


class SeveralDevices(OneDevice):
    """Training on several devices of this process.

    Parameters
    ----------
    strategy : tf.distribute.Strategy
        It runs a function on each device and adds up what they give.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.replicas = strategy.num_replicas_in_sync

    def gradients(self, losses, size, variables, products=None):
        """See `OneDevice.gradients`."""

        def of_replica():
            context = tf.distribute.get_replica_context()
            share = Share(context.replica_id_in_sync_group, self.replicas, size)
            gradients, reported, kept = _differentiate(losses, share, variables, products)
            gradients = [_sent(gradient) for gradient in gradients]
            gradients, reported = context.all_reduce(tf.distribute.ReduceOp.SUM, [gradients, reported])
            return gradients, reported, kept

        found = self.strategy.run(of_replica)
        gradients = [_received(self._here(g)[0], v) for g, v in zip(found[0], variables, strict=True)]
        return gradients, self._here(found[1])[0], None if found[2] is None else tf.add_n(self._here(found[2]))

    def _here(self, value) -> tuple:
        return self.strategy.experimental_local_results(value)


class SeveralWorkers(SeveralDevices):
    """Training on the devices of several processes, which may be on different machines."""

    def __init__(self, strategy, cluster):
        super().__init__(strategy)
        self.cluster = cluster
        self.workers, self.is_chief = len(cluster.workers), cluster.is_chief
        self._sum = graph(self._summed, tf.TensorSpec([None], tf.int32))

    def _summed(self, numbers):
        """Return the sum of integers over all workers."""

        def of_replica():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group % (self.replicas // self.workers) == 0
            return context.all_reduce(tf.distribute.ReduceOp.SUM, numbers * tf.cast(first, tf.int32))

        return self._here(self.strategy.run(of_replica))[0]

    def bytes_from_chief(self, make):
        """See `OneDevice.bytes_from_chief`."""
        content = make() if self.is_chief else b""
        size = int(self._sum(tf.constant([len(content)], tf.int32))[0])
        if not size:  # TensorFlow crashes on a sum of nothing
            return b""
        padded = np.zeros(-(-size // 4) * 4, np.uint8)
        padded[: len(content)] = np.frombuffer(content, np.uint8)
        return self._sum(tf.constant(padded.view(np.int32))).numpy().tobytes()[:size]

    def from_chief(self, make):
        """See `OneDevice.from_chief`."""
        return json.loads(self.bytes_from_chief(lambda: json.dumps(make(), default=float).encode()))

    def spread(self, variables):
        """See `OneDevice.spread`."""
        here = [variable.numpy() for variable in variables]
        there = self.bytes_from_chief(lambda: b"".join(value.tobytes() for value in here))
        start = 0
        for variable, value in zip(variables, here, strict=True):
            end = start + value.nbytes
            if there[start:end] != value.tobytes():
                variable.assign(np.frombuffer(there[start:end], value.dtype).reshape(value.shape))
            start = end

    def check_alike(self, fingerprint):
        """See `OneDevice.check_alike`."""
        differs = np.zeros(self.workers, np.int32)
        differs[self.cluster.index] = self.from_chief(lambda: fingerprint) != fingerprint
        others = np.flatnonzero(self._sum(tf.constant(differs)).numpy())
        if len(others):
            raise DataError(
                f"Worker {', '.join(map(str, others))} was given other data or parameters than worker 0. Give all the "
                "same: each reads its share of every batch by itself."
            )

    @contextmanager
    def own_noise(self, variables):
        """See `OneDevice.own_noise`."""
        seeds = [v for v in variables if v.dtype == "uint32"]  # of Keras' seed generators: [seed, count of draws]
        other = np.array([self.cluster.index * _OTHER_NOISE, 0], np.uint32)
        for seed in seeds:
            seed.assign(seed.numpy() + other)
        try:
            yield
        finally:
            for seed in seeds:
                seed.assign(seed.numpy() - other)

    @contextmanager
    def watched(self, advice=""):
        """See `OneDevice.watched`."""
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            raise _lost(self.cluster, advice, error) from error
        except (tf.errors.InternalError, tf.errors.DeadlineExceededError) as error:
            if "ollective" not in str(error):
                raise
            raise _lost(self.cluster, advice, error) from error


def _lost(cluster, advice: str, error: Exception) -> TrainingError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("Collective ops is aborted")), lines[-1])[:300]
    return TrainingError(
        f"Worker {cluster.index} cannot go on: another of the {len(cluster.workers)} workers has ended or cannot be "
        f"reached. {advice} TensorFlow says: {reason}"
    )


# TensorFlow crashes where it is to put together no rows at all. So each replica sends one that is of no row, number -1.


def _sent(gradient):
    """Return what a replica gives of a gradient."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    gradient = merge_rows(gradient)
    values = tf.pad(gradient.values, [[0, 1], *[[0, 0]] * (gradient.values.shape.rank - 1)])
    return tf.IndexedSlices(values, tf.pad(gradient.indices, [[0, 1]], constant_values=-1), gradient.dense_shape)


def _received(gradient, variable):
    """Return the gradient that all have given, with the static shape that is lost on the way."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    indices = tf.ensure_shape(gradient.indices, [None])
    real = indices >= 0
    values = tf.boolean_mask(tf.ensure_shape(gradient.values, [None, *variable.shape[1:]]), real)
    return tf.IndexedSlices(values, tf.boolean_mask(indices, real), gradient.dense_shape)


def _differentiate(losses: Callable, share: Whole, variables: list, products: str | None) -> tuple:
    with products_in(products):
        with tf.GradientTape() as tape:
            total, reported, kept = losses(share)
        return tape.gradient(total, variables), reported, kept


def devices_of(strategy: str | None) -> OneDevice:
    """Return what trains.

    Parameters
    ----------
    strategy : {"mirrored", "multi_worker"} or None
        The parameter of an estimator.

    Raises
    ------
    ParameterError
        If "multi_worker" has no cluster, or comes too late in this process.
    TrainingError
        If the other workers cannot be reached.
    """
    if strategy is None:
        return OneDevice()
    return _mirrored() if strategy == "mirrored" else _multi_worker(os.environ.get("TF_CONFIG", ""))


@cache
def _mirrored() -> SeveralDevices:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return SeveralDevices(tf.distribute.MirroredStrategy([device.name for device in devices]))


@cache
def _multi_worker(config: str) -> SeveralWorkers:
    cluster = read_cluster(config)
    meet(cluster)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise ParameterError(
            "strategy='multi_worker' must come before anything else that TensorFlow does in a process. Fit first, or "
            "call seqkit.training.strategies.devices_of('multi_worker') at the beginning of the program."
        ) from None
    except tf.errors.OpError as error:
        raise TrainingError(f"Worker {cluster.index} cannot join the others of TF_CONFIG: {error}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # TensorFlow has taken it, and does not end
    return SeveralWorkers(strategy, cluster)
