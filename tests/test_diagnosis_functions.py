"""A diagnosis goes by what an activation says of itself, and concludes nothing from the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid import Dense, History, Network, diagnose, train
from pellucid.activations import ELU, Activation
from pellucid.insight import Diagnosis

X = np.random.default_rng(0).normal(size=(3, 400))


class Cube(Activation):
    """g(z) = z^3, of which nothing else is said."""

    name = "cube"

    def __call__(self, Z: Any) -> Any:
        return Z * Z * Z

    def backward(self, dA: Any, Z: Any, A: Any) -> Any:
        return 3 * dA * Z * Z


def _of_output(g: Any, low: float) -> tuple[Diagnosis, Diagnosis]:
    """An untrained network with this output for targets of at least ``low``, and its history."""
    Y = np.linspace(low, 3.0, X.shape[1])
    net = Network([Dense(1, g)], 3, initializer="glorot_uniform", seed=0)
    history = History.from_dict(train(net, X, Y, loss="mse", epochs=2).to_dict())
    return diagnose(history, X, Y, network=net), diagnose(history, X, Y)


@pytest.mark.parametrize(
    ("g", "low", "wrong"),
    [
        (ELU(a=2.5), -2.4, False),
        (ELU(a=2.5), -2.6, True),
        (ELU(a=0.5), -0.9, True),
        ("elu", -0.9, False),
        ("leaky_relu", -9.0, False),
        (Cube(), -9.0, False),
    ],
)
def test_an_output_reaches_what_its_own_parameters_say(g: Any, low: float, wrong: bool) -> None:
    for report in _of_output(g, low):
        found = [f for f in report.findings if f.kind == "wrong_output"]
        assert bool(found) == wrong
        if wrong:
            assert f"lie between {-g.a:.5g} and inf" in found[0].evidence


def test_nothing_is_concluded_of_a_function_of_ones_own() -> None:
    net = Network([Dense(24, Cube()), Dense(1, "identity")], 3, initializer="zeros", seed=0)
    history = train(net, X, X[0], loss="mse", epochs=2)
    report = diagnose(history, X, X[0], network=net)
    (zero,) = [f for f in report.findings if f.kind == "zero_initialisation"]
    assert zero.fix["initializer"] == "glorot_uniform"
    assert not any(f.kind in ("dead_units", "saturated_units") for f in report.findings)
