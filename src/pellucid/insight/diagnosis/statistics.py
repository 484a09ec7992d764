"""What is measured of a network at one moment, on a few examples: plain numbers by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.layers import Dense
from pellucid.losses import Loss
from pellucid.network import Network

FLAT = 0.02
"""A unit of a bounded activation is saturated where its slope is below this share of the largest."""
_STEEPEST = {"sigmoid": 0.25, "tanh": 1.0, "hard_sigmoid": 1 / 6, "hard_tanh": 1.0}
RECTIFIERS = ("relu",)
"""Activations that are exactly 0, slope and value, for half of their inputs."""


def measure(
    network: Network, X: NDArray[Any], Y: NDArray[Any], loss: Loss
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the statistics of one forward and backward pass, and the gradients dW by name.

    ``"J"`` and, under ``"layers"``, for each Dense layer: ``layer``, ``g``, ``units``, ``W_norm``,
    ``W_std``, ``dW_norm``, ``db_norm``, ``A_std`` (mean over examples of the spread between
    units), ``Z_rms``, ``dead`` (units that are 0 for every example), ``silent`` (share of zeros),
    ``saturated`` (units that are flat for 95 % of the examples), ``alike`` (largest difference
    between the units of a layer, relative; 0 where all of them are the same) and ``signal`` (how
    much of the mini-batch gradient its two halves agree on, -1 to 1).
    """
    with np.errstate(all="ignore"):
        cache = propagation.forward(network.layers, X)
        gradients = propagation.backward(cache, Y, loss)
        J = propagation.cost(cache, Y, loss)
        found = []
        dW: dict[str, NDArray[Any]] = {}
        for layer, kept, got in zip(cache.layers, cache.caches, gradients.by_layer, strict=True):
            if isinstance(layer, Dense):
                dW[f"W{layer.number}"] = got["dW"]
                found.append(_of_layer(layer, kept, got))
    return {"J": float(J), "layers": found}, dW


def _of_layer(layer: Dense, kept: Any, got: dict[str, Any]) -> dict[str, Any]:
    W, A, Z, g = layer.parameters["W"], kept.A, kept.Z, layer.activation
    half = A.shape[1] // 2
    return {
        "layer": layer.number,
        "g": g.name,
        "units": layer.n_units,
        "W_norm": _norm(W),
        "W_std": float(np.std(W)),
        "dW_norm": _norm(got["dW"]),
        "db_norm": _norm(got["db"]),
        "Z_rms": float(np.sqrt(np.mean(np.square(Z, dtype=np.float64)))),
        "A_std": float(np.mean(np.std(A, axis=0))),
        "dead": int(np.all(A == 0, axis=1).sum()) if g.name in RECTIFIERS else 0,
        "silent": float(np.mean(A == 0)),
        "saturated": _saturated(layer, kept),
        "alike": _unlikeness(W, layer.parameters["b"], got["dW"]),
        "signal": _agreement(got["dZ"], kept.A_prev, half),
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


def _unlikeness(W: NDArray[Any], b: NDArray[Any], dW: NDArray[Any]) -> float:
    """The largest difference of a unit's W and b from the first unit's, relative to the largest."""
    if len(W) < 2:
        return 1.0
    both = np.concatenate([W, b, dW / (np.abs(dW).max() or 1.0)], axis=1).astype(np.float64)
    largest = float(np.abs(both).max())
    return float(np.abs(both - both[:1]).max()) / largest if largest > 0 else 0.0


def _agreement(dZ: NDArray[Any], A_prev: NDArray[Any], half: int) -> float:
    """The cosine between the gradients of the two halves of the examples."""
    first, second = (
        (dZ[:, part] @ A_prev[:, part].T).ravel() for part in (slice(half), slice(half, None))
    )
    product = _norm(first) * _norm(second)
    return float(first @ second) / product if product > 0 else 0.0
