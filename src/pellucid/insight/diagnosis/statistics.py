"""What is measured of a network at one moment, on a few examples: plain numbers by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.layers import Dense
from pellucid.losses import Loss
from pellucid.metrics import METRICS
from pellucid.network import Network

FLAT = 0.02
"""Share of its largest slope below which a unit of a bounded activation is saturated."""
_STEEPEST = {"sigmoid": 0.25, "tanh": 1.0, "hard_sigmoid": 1 / 6, "hard_tanh": 1.0}
RECTIFIERS = ("relu",)
"""Activations that are exactly 0, slope and value, for half of their inputs."""


def measure(network: Network, X: NDArray[Any], Y: NDArray[Any], loss: Loss) -> dict[str, Any]:
    """Return the statistics of one forward and backward pass.

    ``"J"``, ``"score"`` (accuracy or R squared) and, under ``"layers"``, what
    :func:`of_parameters` says and ``dW_norm``, ``db_norm``, ``Z_rms``, ``A_std`` (mean over units
    of the spread over examples), ``dead`` (units that are 0 for every example), ``silent`` (share
    of zeros), ``saturated`` (units that are flat for 95 % of the examples), ``alike`` (largest
    difference between the units of a layer, relative; 0 where all of them are the same) and
    ``signal`` (how much the gradients of two halves agree, -1 to 1).
    """
    with np.errstate(all="ignore"):
        cache = propagation.forward(network.layers, X)
        gradients = propagation.backward(cache, Y, loss)
        J = propagation.cost(cache, Y, loss)
        layers = [
            _of_layer(layer, kept, got)
            for layer, kept, got in zip(cache.layers, cache.caches, gradients.by_layer, strict=True)
            if isinstance(layer, Dense)
        ]
        return {"J": float(J), "score": score(Y, cache.A[network.L]), "layers": layers}


def of_parameters(layer: Dense, dW: NDArray[Any] | None = None) -> dict[str, Any]:
    """Return what the parameters alone say of a layer: sizes, norms, whether units are alike."""
    W, b = layer.parameters["W"], layer.parameters["b"]
    return {
        "layer": layer.number,
        "g": layer.activation.name,
        "units": layer.n_units,
        "fan_in": W.shape[1],
        "W_norm": _norm(W),
        "W_std": float(np.std(W, dtype=np.float64)),
        "W_mean": float(np.mean(W, dtype=np.float64)),
        "alike": _unlikeness(W, b, dW),
    }


def score(Y: NDArray[Any], A: NDArray[Any]) -> float:
    """The accuracy where the targets are labels, else R squared; NaN where there is none."""
    with np.errstate(all="ignore"):
        return METRICS["accuracy" if are_labels(Y) else "r2"](Y, A)


def are_labels(Y: NDArray[Any]) -> bool:
    """Whether targets are class numbers (m,) or 0 and 1 alone."""
    return Y.ndim == 1 or bool(np.all((Y == 0) | (Y == 1)))


def _of_layer(layer: Dense, kept: Any, got: dict[str, Any]) -> dict[str, Any]:
    A, Z, g = kept.A, kept.Z, layer.activation
    return of_parameters(layer, got["dW"]) | {
        "dW_norm": _norm(got["dW"]),
        "db_norm": _norm(got["db"]),
        "Z_rms": _norm(Z) / float(np.sqrt(Z.size)),
        "A_std": float(np.mean(np.std(A, axis=1, dtype=np.float64))),
        "dead": int(np.all(A == 0, axis=1).sum()) if g.name in RECTIFIERS else 0,
        "silent": float(np.mean(A == 0)),
        "saturated": _saturated(layer, kept),
        "signal": _agreement(got["dZ"], kept.A_prev, A.shape[1] // 2),
    }


def _norm(array: NDArray[Any]) -> float:
    return float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))


def _saturated(layer: Dense, kept: Any) -> int:
    """How many units have almost no slope for 95 % of the examples."""
    steepest = _STEEPEST.get(layer.activation.name)
    if steepest is None:
        return 0
    slope = layer.activation.backward(np.ones_like(kept.A), kept.Z, kept.A)
    return int((np.mean(slope < FLAT * steepest, axis=1) >= 0.95).sum())


def _unlikeness(W: NDArray[Any], b: NDArray[Any], dW: NDArray[Any] | None) -> float:
    """The largest difference of a unit's W, b and dW from the first unit's, relative."""
    if len(W) < 2:
        return 1.0
    parts = [W, b] if dW is None else [W, b, dW / (np.abs(dW).max() or 1.0)]
    both = np.concatenate(parts, axis=1).astype(np.float64)
    largest = float(np.abs(both).max())
    return float(np.abs(both - both[:1]).max()) / largest if largest > 0 else 0.0


def _agreement(dZ: NDArray[Any], A_prev: NDArray[Any], half: int) -> float:
    """The cosine between the gradients of the two halves of the examples."""
    first, second = (
        (dZ[:, part] @ A_prev[:, part].T).ravel() for part in (slice(half), slice(half, None))
    )
    product = _norm(first) * _norm(second)
    return float(first @ second) / product if product > 0 else 0.0
