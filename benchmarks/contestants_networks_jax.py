"""Convolutional and recurrent networks in JAX, in the best of a few forms.

A convolution in a ``lax.scan`` over the steps of an epoch is several times slower on a CPU
(github.com/jax-ml/jax/issues/12868): convolutions take one compiled call a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from contestants_jax import adam, epochs, start_adam, start_with
from jax import lax
from stopwatch import Stopwatch
from variants import repeat_best, train_best
from workloads import RECURRENT, Job, has_relu

from pellucid.layers import Layer

Parameters = list[tuple[Any, ...]]


def steps(job: Job, stopwatch: Stopwatch) -> None:
    """The order comes from outside; parameters and Adam's memory are donated."""
    start_with(job.threads)
    problem = Problem(job)
    train_best(dict(problem.forms()), job.form, problem.orders, stopwatch, job.workload.check_costs)


def row(job: Job, stopwatch: Stopwatch) -> None:
    """One compiled call for one example, as NumPy has it."""
    start_with(job.threads)
    problem = Problem(job)
    x, _ = job.workload.with_steps(1).data(job.dtype)

    def form(**settings: Any) -> Callable[[], Any]:
        network = Net(problem.layers, **settings)
        predict, parameters = jax.jit(network.predict), network.parameters()
        job.workload.check(x[:1], predict(parameters, x[:1]))
        return lambda: predict(parameters, x[:1]).block_until_ready()

    unrolls = (1, 4) if problem.recurrent else (1,)
    forms = {
        ", ".join(filter(None, (way, f"unroll {unroll}"))): partial(form, way=way, unroll=unroll)
        for way, unroll in product(problem.ways, unrolls)
    }
    repeat_best(forms, job.form, stopwatch)


class Problem:
    """The data and the forms."""

    def __init__(self, job: Job) -> None:
        self.task = job.workload
        X, y = self.task.data(job.dtype)
        self.rows = X[: self.task.batch]
        self.X, self.y = jnp.asarray(X), jnp.asarray(y, dtype=jnp.int32)
        shape = (self.task.steps, self.task.batch)
        self.orders = [order.reshape(shape).astype(np.int32) for order in self.task.orders()]
        self.layers = self.task.network().layers
        self.recurrent = any(layer.name in RECURRENT for layer in self.layers)
        words = ("one-hot", "look-up") if self.task.words else ("",)
        self.ways = words if self.recurrent else ("channels last", "channels first", "patches")

    def forms(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Yield names and epochs."""
        if not self.recurrent:
            for way in self.ways:
                yield f"{way}, a call a step", partial(self.by_steps, Net(self.layers, way))
            yield "patches, a call an epoch", partial(self.scan, Net(self.layers, "patches"))
            return
        for way, unroll in product(self.ways, (1, 4)):
            network, name = Net(self.layers, way, unroll), f"unroll {unroll}"
            name = ", ".join(filter(None, (way, name)))
            yield f"{name}, a call a step", partial(self.by_steps, network)
            yield f"{name}, a call an epoch", partial(self.scan, network)

    def start(self, network: Net) -> Any:
        """Return the state before the first step; the outputs are what they should be."""
        parameters = network.parameters()
        self.task.check(self.rows, jax.jit(network.predict)(parameters, self.rows))
        return start_adam(parameters)

    def by_steps(self, network: Net) -> Any:
        """Return an epoch of one compiled call a step."""
        state = self.start(network)

        @partial(jax.jit, donate_argnums=0)
        def step(state: Any, X: Any, y: Any, part: Any) -> Any:
            return adam(network.loss, state, X[part], y[part])

        def epoch(order: Any, costs: list[Any] | None) -> None:
            nonlocal state
            each = []
            for part in order:
                state, J = step(state, self.X, self.y, part)
                each.append(J)
            each[-1].block_until_ready()
            if costs is not None:
                costs.extend(map(float, each))

        return epoch

    def scan(self, network: Net) -> Any:
        """Return an epoch as one compiled function."""

        @partial(jax.jit, donate_argnums=0)
        def run(state: Any, X: Any, y: Any, order: Any) -> Any:
            return lax.scan(lambda s, part: adam(network.loss, s, X[part], y[part]), state, order)

        return epochs(run, self.start(network), self.X, self.y)


class Net:
    """The layers as functions of rows; ``way`` is how volumes lie, or how words are looked up."""

    def __init__(self, layers: list[Layer], way: str, unroll: int = 1) -> None:
        self.layers, self.way, self.unroll = layers, way, unroll

    def parameters(self) -> Parameters:
        """Return the weights of each layer, laid out for this way."""
        found: Parameters = []
        for layer in self.layers:
            W, b = (layer.parameters.get(letter) for letter in ("W", "b"))
            if W is None:
                found.append(())
            elif layer.name.startswith("conv"):
                found.append((jnp.asarray(self._filters(layer, W)), jnp.asarray(b[:, 0])))
            elif layer.name in RECURRENT:
                n = layer.n_units
                parts = W[:, :n].T, W[:, n:].T, b[: len(W), 0], b[len(W) :, 0]
                found.append(tuple(map(jnp.asarray, parts)))
            else:
                found.append(tuple(jnp.asarray(each.T) for each in (W, b) if each is not None))
        return found

    def _filters(self, layer: Layer, W: Any) -> Any:
        if self.way == "patches":
            return W.T
        filters = W.reshape(layer.n_filters, *layer.filter_shape)
        if self.way == "channels first":
            return jnp.moveaxis(filters, -1, 1)
        return jnp.moveaxis(filters, 0, -1)

    def loss(self, parameters: Parameters, x: Any, y: Any) -> Any:
        """The cross-entropy of a mini-batch of rows."""
        Z = self.outputs(parameters, x)
        one_hot = jax.nn.one_hot(y, Z.shape[-1])
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(Z) * one_hot, axis=-1))

    def predict(self, parameters: Parameters, x: Any) -> Any:
        """A[L], (m, classes) or (m, steps, classes)."""
        return jax.nn.softmax(self.outputs(parameters, x))

    def outputs(self, parameters: Parameters, x: Any) -> Any:
        """Z[L] of rows."""
        if self.way == "channels first":
            x = jnp.moveaxis(x, -1, 1)
        for layer, held in zip(self.layers, parameters, strict=True):
            x = getattr(self, layer.name)(layer, held, x)
            x = jax.nn.relu(x) if has_relu(layer) else x
        return x

    def conv2d(self, layer: Layer, held: Any, x: Any) -> Any:
        """Of one axis or two."""
        W, b = held
        if self.way == "patches":
            return _patches(layer, x) @ W + b
        axes = "HW"[: layer.n_axes]
        if self.way == "channels first":
            order, b = (f"NC{axes}", f"OI{axes}", f"NC{axes}"), b.reshape(-1, *(1,) * len(axes))
        else:
            order = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
        strides, pads = (1,) * len(axes), layer.padding.upper()
        return lax.conv_general_dilated(x, W, strides, pads, dimension_numbers=order) + b

    conv1d = conv2d

    def maxpool(self, layer: Layer, held: Any, x: Any) -> Any:
        """By reshape: the gradient of ``reduce_window`` is slow."""
        first = 2 if self.way == "channels first" else 1
        for axis in range(first, first + x.ndim - 2):
            n, shape = x.shape[axis] // 2, x.shape
            x = lax.slice_in_dim(x, 0, 2 * n, axis=axis)
            x = x.reshape(*shape[:axis], n, 2, *shape[axis + 1 :]).max(axis + 1)
        return x

    def globalpool(self, layer: Layer, held: Any, x: Any) -> Any:
        """The mean over the steps."""
        return x.mean(2 if self.way == "channels first" else 1)

    def dense(self, layer: Layer, held: Any, x: Any) -> Any:
        """Of each step, or of the whole, whose channels are last."""
        W, b = held
        if not layer.each_step:
            x = jnp.moveaxis(x, 1, -1) if self.way == "channels first" else x
            x = x.reshape(len(x), -1)
        return x @ W + b[0]

    def embedding(self, layer: Layer, held: Any, x: Any) -> Any:
        """By a product or an index; the gradients of these differ in speed."""
        (W,) = held
        return jax.nn.one_hot(x, len(W)) @ W if self.way == "one-hot" else W[x]

    def lstm(self, layer: Layer, held: Any, x: Any) -> Any:
        """The inputs' product for all steps at once."""
        W_a, W_x, b, _ = held

        def step(state: Any, Z_x: Any) -> Any:
            a, c = state
            u, f, o, candidate = jnp.split(Z_x + a @ W_a, 4, axis=1)
            c = jax.nn.sigmoid(u) * jnp.tanh(candidate) + jax.nn.sigmoid(f) * c
            a = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (a, c), a

        start = jnp.zeros((len(x), layer.n_units))
        return self._through(layer, step, (start, start), jnp.swapaxes(x, 0, 1) @ W_x + b)

    def gru(self, layer: Layer, held: Any, x: Any) -> Any:
        """The reset gate after the product."""
        W_a, W_x, b, b_q = held

        def step(a: Any, Z_x: Any) -> Any:
            (u, r, candidate), (u_a, r_a, q) = (jnp.split(Z, 3, axis=1) for Z in (Z_x, a @ W_a))
            u, r = jax.nn.sigmoid(u + u_a), jax.nn.sigmoid(r + r_a)
            a = u * jnp.tanh(candidate + r * (q + b_q)) + (1 - u) * a
            return a, a

        start = jnp.zeros((len(x), layer.n_units))
        return self._through(layer, step, start, jnp.swapaxes(x, 0, 1) @ W_x + b)

    def _through(self, layer: Layer, step: Any, start: Any, Z_x: Any) -> Any:
        _, A = lax.scan(step, start, Z_x, unroll=self.unroll)
        return jnp.swapaxes(A, 0, 1) if layer.sequences else A[-1]


def _patches(layer: Layer, x: Any) -> Any:
    """The patch of each place, by slices: the convolution becomes one product."""
    axes, f = layer.n_axes, layer.size
    if layer.padding == "same":
        x = jnp.pad(x, ((0, 0), *(((f - 1) // 2, f // 2),) * axes, (0, 0)))
    places = [n - f + 1 for n in x.shape[1:-1]]
    parts = []
    for first in product(range(f), repeat=axes):
        window = [slice(k, k + n) for k, n in zip(first, places, strict=True)]
        parts.append(x[:, *window])
    return jnp.concatenate(parts, axis=-1)
