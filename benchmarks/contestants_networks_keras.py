"""Convolutional and recurrent networks in Keras on TensorFlow, in the best of a few forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from stopwatch import Skip, Stopwatch
from variants import repeat_best, train_best
from workloads import LEARNING_RATE, RECURRENT, Job

from pellucid.layers import Layer

UNROLLED = 32
"""Steps at most that are written out one by one: more take minutes to build."""


def steps(job: Job, stopwatch: Stopwatch) -> None:
    """A step, or an epoch, is one graph, by XLA or not: ``fit`` would do more around it."""
    _start_with(job.threads)
    problem = Problem(job)
    train_best(dict(problem.forms()), job.form, problem.orders, stopwatch, job.workload.check_costs)


def row(job: Job, stopwatch: Stopwatch) -> None:
    """One example through a graph; ``predict`` is for many."""
    _start_with(job.threads)
    problem = Problem(job)
    x, _ = job.workload.with_steps(1).data(job.dtype)

    def form(unroll: bool, xla: bool) -> Callable[[], Any]:
        model = problem.model(unroll)
        predict = tf.function(lambda x: tf.nn.softmax(model(x)), jit_compile=xla)
        job.workload.check(x[:1], predict(x[:1]))
        return lambda: predict(x[:1]).numpy()

    forms = {name: partial(form, unroll, xla) for name, unroll, xla in problem.ways()}
    repeat_best(forms, job.form, stopwatch)


def _start_with(threads: int) -> None:
    if keras.backend.backend() != "tensorflow":
        raise Skip(f"Keras is set up for {keras.backend.backend()}, not for TensorFlow")
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


class Problem:
    """The data and the forms."""

    def __init__(self, job: Job) -> None:
        self.task = job.workload
        X, y = self.task.data(job.dtype)
        self.rows = X[: self.task.batch]
        self.X, self.y = tf.constant(X), tf.constant(y)
        shape = (self.task.steps, self.task.batch)
        self.orders = [tf.constant(order.reshape(shape)) for order in self.task.orders()]
        self.layers = self.task.network().layers
        self.recurrent = any(layer.name in RECURRENT for layer in self.layers)

    def ways(self) -> Iterator[tuple[str, bool, bool]]:
        """Yield names, whether steps are unrolled, and whether XLA compiles."""
        unrolls = (False,)
        if self.recurrent and self.task.input_shape[0] <= UNROLLED:
            unrolls = (False, True)
        for unroll, xla in product(unrolls, (False, True)):
            words = "graph by XLA" if xla else "graph", "unrolled" if unroll else ""
            yield ", ".join(filter(None, words)), unroll, xla

    def forms(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Yield names and epochs."""
        for name, unroll, xla in self.ways():
            yield f"{name}, a call a step", partial(self.epoch, unroll, xla, False)
            if not xla:
                yield f"{name}, a call an epoch", partial(self.epoch, unroll, xla, True)

    def model(self, unroll: bool) -> keras.Model:
        """Return the network, whose outputs are what they should be."""
        words = bool(self.task.words)
        shape, dtype = self.task.input_shape, "int32" if words else "float32"
        model = keras.Sequential([keras.Input(shape, dtype=dtype)])
        for layer in self.layers:
            made, weights = MADE[layer.name](layer, unroll)
            for each in made:
                model.add(each)
            if weights:
                made[-1].set_weights(weights)
        self.task.check(self.rows, tf.nn.softmax(model(self.rows)))
        return model

    def epoch(self, unroll: bool, xla: bool, whole: bool) -> Any:
        """Return an epoch of one call a step, or of one call."""
        model = self.model(unroll)
        adam = keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-8)
        adam.build(model.trainable_variables)

        def step(part: Any) -> Any:
            x, y = tf.gather(self.X, part), tf.gather(self.y, part)
            with tf.GradientTape() as tape:
                J = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=True))
                )
            adam.apply(tape.gradient(J, model.trainable_variables), model.trainable_variables)
            return J

        one = tf.function(step, jit_compile=xla)

        @tf.function
        def steps(order: Any) -> Any:
            return tf.map_fn(step, order, fn_output_signature=tf.float32, parallel_iterations=1)

        def epoch(order: Any, costs: list[Any] | None) -> None:
            each = steps(order) if whole else [one(part) for part in tf.unstack(order)]
            found = [float(J) for J in (each if costs is not None else each[-1:])]
            if costs is not None:
                costs.extend(found)

        return epoch


Made = tuple[list[Any], list[np.ndarray]]
"""Layers of Keras's, and the weights of the last one."""


def convolution(layer: Layer, unroll: bool) -> Made:
    kind = {"conv1d": keras.layers.Conv1D, "conv2d": keras.layers.Conv2D}[layer.name]
    made = kind(layer.n_filters, layer.size, padding=layer.padding, activation="relu")
    filters = layer.parameters["W"].reshape(layer.n_filters, *layer.filter_shape)
    return [made], [np.moveaxis(filters, 0, -1), layer.parameters["b"][:, 0]]


def dense(layer: Layer, unroll: bool) -> Made:
    """Z alone of the last one."""
    relu = "relu" if layer.activation.name == "relu" else None
    flatten = [] if layer.each_step else [keras.layers.Flatten()]
    W, b = layer.parameters["W"], layer.parameters["b"]
    return [*flatten, keras.layers.Dense(layer.n_units, activation=relu)], [W.T, b[:, 0]]


def lstm(layer: Layer, unroll: bool) -> Made:
    """Keras's gates are i f c o."""
    n = layer.n_units
    W, b = _gates(layer, (0, 1, 3, 2), (1, 1, 1, 1))
    made = keras.layers.LSTM(n, return_sequences=layer.sequences, unroll=unroll)
    return [made], [W[:, n:].T, W[:, :n].T, b]


def gru(layer: Layer, unroll: bool) -> Made:
    """Keras's gates are z r h with z = 1 - Gamma_u."""
    n = layer.n_units
    W, b = _gates(layer, (0, 1, 2), (-1, 1, 1))
    of_state = np.zeros_like(b)
    of_state[2 * n :] = layer.parameters["b"][3 * n :, 0]
    made = keras.layers.GRU(n, return_sequences=layer.sequences, unroll=unroll, reset_after=True)
    return [made], [W[:, n:].T, W[:, :n].T, np.stack([b, of_state])]


def _gates(layer: Layer, gates: tuple[int, ...], signs: tuple[int, ...]) -> tuple[Any, Any]:
    """W and b with the gates in another order."""
    n = layer.n_units
    W, b = layer.parameters["W"], layer.parameters["b"]
    W, b = W.reshape(-1, n, W.shape[1]), b.reshape(-1, n, 1)
    signs = np.array(signs, dtype=W.dtype)[:, None, None]
    return (signs * W[list(gates)]).reshape(len(gates) * n, -1), (signs * b[list(gates)]).ravel()


def embedding(layer: Layer, unroll: bool) -> Made:
    return [keras.layers.Embedding(layer.n_words, layer.n_units)], [layer.parameters["W"].T]


MADE: dict[str, Callable[[Any, bool], Made]] = {
    "conv1d": convolution,
    "conv2d": convolution,
    "dense": dense,
    "embedding": embedding,
    "globalpool": lambda layer, unroll: ([keras.layers.GlobalAveragePooling1D()], []),
    "gru": gru,
    "lstm": lstm,
    "maxpool": lambda layer, unroll: ([POOLS[len(layer.input_shape)](layer.size)], []),
}
POOLS = {2: keras.layers.MaxPooling1D, 3: keras.layers.MaxPooling2D}
