"""Small networks and sessions of any engine, for the tests of engines."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import Dense, Network
from pellucid.engines import ENGINES, Examples, Job, Objective, simd
from pellucid.losses import loss
from pellucid.optimizers import OPTIMIZERS, optimizer

STEPPING = [name for name in OPTIMIZERS if name != "lbfgs"]
BUILT = [name for name in ENGINES if name != "fused" or simd.levels()]
each_engine = pytest.mark.parametrize("engine", BUILT)


def network(dropout: float = 0.0, dtype: str = "float64", **settings) -> Network:
    """A 3-4-2 network."""
    layers = [Dense(4, "tanh", dropout=dropout, **settings), Dense(2, "softmax")]
    return Network(layers, n_inputs=3, seed=1, dtype=dtype)


def data(m: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(m)
    return rng.normal(size=(3, m)), rng.integers(0, 2, m)


def start(net: Network, engine: str = "reference", rule="gradient_descent", **options):
    """A session with small defaults."""
    settings = {"batch_size": 4, "seed": 0} | {
        k: options.pop(k) for k in list(options) if k in USED
    }
    objective = Objective(loss("cce"), **options)
    return ENGINES[engine].start(Job(net, objective, optimizer(rule), **settings))


USED = ("batch_size", "seed", "state", "n_threads", "interrupted")


def run(session, X, Y, order=None, first=0, last=None, alpha=0.1, w=None) -> np.ndarray:
    last = -(-X.shape[1] // session.batch_size) if last is None else last
    rates = np.full(last - first, alpha)
    return session.run(Examples(X, Y, w), order, first, last, learning_rate=rates)


def parameters(net: Network) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in net.parameters.items()}


def assert_same(found: dict, expected: dict, tolerance: float = 0.0) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(
            found[name], array, rtol=0, atol=tolerance * np.abs(array).max(), err_msg=name
        )
