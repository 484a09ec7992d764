"""Explicit loops, vectorised NumPy, and the engine: lecture 002, 2.1.6.

    python benchmarks/loops.py

The lecture says that vectorising a matrix product "takes 300 times less time than with an explicit
for loop". Here that product, and one step of gradient descent for logistic regression, are written
with Python's loops, with NumPy and with Pellucid; all three give the same numbers.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import report_scaling
import speed

from pellucid import Callback, Dense, Network, train

ALPHA = 0.1


def product_loops(A: list[list[float]], B: list[list[float]]) -> list[list[float]]:
    """C = A B with three loops."""
    rows, inner, columns = len(A), len(B), len(B[0])
    C = [[0.0] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            for k in range(inner):
                C[i][j] += A[i][k] * B[k][j]
    return C


def logistic_loops(X: Any, Y: Any, w: list[float], b: float) -> tuple[list[float], float]:
    """One step as in lecture 002, 2.1.5: a loop over examples, loops over inputs."""
    m, n = len(X), len(w)
    dw, db = [0.0] * n, 0.0
    for i in range(m):
        z = b
        for j in range(n):
            z += w[j] * X[i][j]
        dz = 1 / (1 + math.exp(-z)) - Y[i]
        for j in range(n):
            dw[j] += X[i][j] * dz
        db += dz
    return [w[j] - ALPHA * dw[j] / m for j in range(n)], b - ALPHA * db / m


def logistic_numpy(X: Any, Y: Any, w: Any, b: float) -> tuple[Any, float]:
    """The same without a loop; X is (n, m)."""
    A = 1 / (1 + np.exp(-(w @ X + b)))
    dZ = A - Y
    return w - ALPHA * (X @ dZ) / len(Y), b - ALPHA * dZ.mean()


class EpochTimes(Callback):
    """Seconds of each epoch."""

    writes = False

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, run: Any) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, run: Any) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def seconds_of(call: Callable[[], Any], rounds: int) -> float:
    """The median of a few rounds; a round repeats what is short."""
    start = time.perf_counter()
    call()
    times = max(1, min(1000, round(0.02 / (time.perf_counter() - start + 1e-9))))
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - start) / times)
    return statistics.median(found)


def matrix_product(n: int, rounds: int) -> dict[str, float]:
    """Two n x n matrices, float64. The engine's is Z = W A_prev + b with b = 0."""
    random = np.random.default_rng(0)
    A, B = random.standard_normal((2, n, n))
    network = Network([Dense(n, "identity")], n_inputs=n, seed=0, dtype="float64")
    network.set_parameters({1: (A, np.zeros(n))})
    a, b = A.tolist(), B.tolist()
    np.testing.assert_allclose(product_loops(a, b), A @ B, atol=1e-10 * n)
    np.testing.assert_allclose(network.forward(B), A @ B, atol=1e-10 * n)
    return {
        "loops": seconds_of(lambda: product_loops(a, b), min(rounds, 3)),
        "numpy": seconds_of(lambda: A @ B, rounds),
        "engine": seconds_of(lambda: network.forward(B), rounds),
    }


def logistic_regression(m: int, n: int, rounds: int) -> dict[str, Any]:
    """One step over m examples with n inputs, float64."""
    random = np.random.default_rng(0)
    X = random.standard_normal((n, m))
    Y = (random.random(m) < 0.5).astype(float)
    w = random.standard_normal(n)
    network = Network([Dense(1, "sigmoid")], n_inputs=n, seed=0, dtype="float64")
    network.set_parameters({1: (w.reshape(1, n), [0.0])})
    rows, labels, weights = X.T.tolist(), Y.tolist(), w.tolist()
    settings = {
        "loss": "binary_cross_entropy",
        "optimizer": "gradient_descent",
        "learning_rate": ALPHA,
        "batch_size": None,
        "shuffle": False,
    }
    history = train(network, X, Y, epochs=1, **settings)
    w_loops, b_loops = logistic_loops(rows, labels, weights, 0.0)
    w_numpy, b_numpy = logistic_numpy(X, Y, w, 0.0)
    for w_found, b_found in ((w_numpy, b_numpy), (network.W[1][0], network.b[1][0, 0])):
        np.testing.assert_allclose(w_found, w_loops, rtol=1e-9)
        np.testing.assert_allclose(b_found, b_loops, rtol=1e-9)
    times = EpochTimes()
    train(network, X, Y, epochs=20 * rounds, callbacks=[times], **settings)
    return {
        "loops": seconds_of(lambda: logistic_loops(rows, labels, weights, 0.0), min(rounds, 3)),
        "numpy": seconds_of(lambda: logistic_numpy(X, Y, w, 0.0), rounds),
        "engine": statistics.median(times.seconds),
        "engine_name": history.engine,
    }


def main() -> None:
    arguments = speed.options(__doc__).parse_args()
    rounds = arguments.rounds or (3 if arguments.quick else 15)
    n, m = (60, 1000) if arguments.quick else (250, 20000)
    results = {
        f"matrix product, {n} × {n} by {n} × {n}": matrix_product(n, rounds),
        f"logistic regression, one step over {m:,} examples of 50 inputs": logistic_regression(
            m, 50, rounds
        ),
    }
    speed.finish(arguments, not arguments.quick, "loops", results)
    print("\n".join(report_scaling.loops_section(results)))


if __name__ == "__main__":
    main()
