"""JAX: an epoch is one compiled scan over the mini-batches, in the best of a few forms."""

from __future__ import annotations

import os
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from stopwatch import Skip, Stopwatch
from variants import train_best
from workloads import LEARNING_RATE, Job


def scan(job: Job, stopwatch: Stopwatch) -> None:
    """The order comes from outside; parameters and Adam's memory are donated."""
    start_with(job.threads)
    problem = Problem(job)
    forms = {
        ", ".join(
            (
                "rows gathered once an epoch" if gather_once else "rows gathered for each step",
                "one-hot loss" if one_hot else "indexed loss",
                f"unroll {unroll}",
            )
        ): partial(problem.epoch, gather_once, one_hot, unroll)
        for gather_once, one_hot, unroll in product((False, True), (False, True), (1, 4))
    }
    train_best(forms, job.form, problem.orders, stopwatch)


def start_with(threads: int) -> None:
    """Let XLA make its thread pool while the process may use so many CPUs only.

    XLA has no other switch that holds. Afterwards all threads may run anywhere again, so that
    a neighbour on one CPU does no harm.
    """
    if not threads:
        import jax

        return
    if not hasattr(os, "sched_setaffinity"):
        raise Skip("XLA cannot be held to some threads on this system")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[-threads:]))
    import jax

    jax.devices()
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), allowed)


def epochs(run: Any, state: Any, X: Any, y: Any) -> Any:
    """Return a function that does an epoch, each from the state that the one before left."""

    def epoch(order: Any, costs: list[Any] | None) -> None:
        nonlocal state
        state, J = run(state, X, y, order)
        J.block_until_ready()
        if costs is not None:
            costs.extend(J.tolist())

    return epoch


def start_adam(parameters: Any) -> Any:
    """Return a state: parameters, Adam's two means and its count of steps."""
    import jax
    import jax.numpy as jnp

    means, squares = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    return parameters, means, squares, jnp.zeros(())


def adam(loss: Any, state: Any, x: Any, y: Any) -> Any:
    """Return the state after one step of Adam, and J before it."""
    import jax
    import jax.numpy as jnp

    parameters, means, squares, t = state
    J, gradients = jax.value_and_grad(loss)(parameters, x, y)
    t = t + 1
    rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    means = jax.tree.map(lambda m, dW: 0.9 * m + 0.1 * dW, means, gradients)
    squares = jax.tree.map(lambda v, dW: 0.999 * v + 0.001 * dW * dW, squares, gradients)
    parameters = jax.tree.map(
        lambda W, m, v: W - rate * m / (jnp.sqrt(v) + 1e-8), parameters, means, squares
    )
    return (parameters, means, squares, t), J


class Problem:
    """The data, the loss and an epoch."""

    def __init__(self, job: Job) -> None:
        import jax.numpy as jnp

        self.workload = job.workload
        X, y = job.workload.data(job.dtype)
        self.X, self.y = jnp.asarray(X), jnp.asarray(y, dtype=jnp.int32)
        shape = (job.workload.steps, job.workload.batch)
        self.orders = [
            jnp.asarray(order.reshape(shape), dtype=jnp.int32) for order in job.workload.orders()
        ]

    def parameters(self) -> Any:
        """W and b of each layer, for rows as examples."""
        import jax.numpy as jnp

        return [(jnp.asarray(W.T), jnp.asarray(b)) for W, b in self.workload.parameters()]

    @staticmethod
    def loss(parameters: Any, x: Any, y: Any, one_hot: bool) -> Any:
        """The cross-entropy of a mini-batch of rows."""
        import jax
        import jax.numpy as jnp

        for W, b in parameters[:-1]:
            x = jax.nn.relu(x @ W + b)
        W, b = parameters[-1]
        z = x @ W + b
        if one_hot:
            each = jax.nn.log_softmax(z) * jax.nn.one_hot(y, z.shape[1])
            return -jnp.mean(jnp.sum(each, axis=1))
        right = jnp.take_along_axis(z, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - right)

    def epoch(self, gather_once: bool, one_hot: bool, unroll: int) -> Any:
        """Return an epoch as one compiled function."""
        import jax

        step = partial(adam, partial(self.loss, one_hot=one_hot))

        def steps(state: Any, X: Any, y: Any, order: Any) -> Any:
            if gather_once:
                rows = X[order], y[order]
                return jax.lax.scan(lambda s, part: step(s, *part), state, rows, unroll=unroll)
            return jax.lax.scan(
                lambda s, part: step(s, X[part], y[part]), state, order, unroll=unroll
            )

        run = jax.jit(steps, donate_argnums=0)
        return epochs(run, start_adam(self.parameters()), self.X, self.y)
