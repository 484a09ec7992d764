"""What is measured of a network at one moment, on a few examples: plain numbers by layer."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from pellucid import propagation
from pellucid.activations import ACTIVATIONS, Activation
from pellucid.activations import activation as find_activation
from pellucid.layers import Dense
from pellucid.losses import Loss
from pellucid.metrics import METRICS
from pellucid.network import Network
from pellucid.propagation import Cache, Gradients
from pellucid.training.facts.columns import take_rows

FLAT = 0.02
"""Share of its largest slope below which a unit of a bounded activation is saturated."""

PROBE = 64
"""Examples that a look passes through the network, at most."""
REMEMBERED = 2**15
"""Weights of each layer's start that are kept to see how far they move."""
COLUMNS = 16
"""Inputs by which units are compared: units that are one are equal in all of them."""
ALIKE = 1e-5
"""Units whose W, b and dW differ by less than this share are the same unit."""


def measure(network: Network, X: NDArray[Any], Y: NDArray[Any], loss: Loss) -> dict[str, Any]:
    """Return the statistics of one forward and backward pass.

    ``"J"`` and, under ``"layers"``, what
    :func:`of_parameters` says and ``dW_norm``, ``Z_rms``, ``dead`` (units that are 0 for every
    example) and ``saturated`` (units that are flat for 95 % of the examples).
    """
    with np.errstate(all="ignore"):
        cache = propagation.forward(network.layers, X)
        gradients = propagation.backward(cache, Y, loss)
        J = propagation.cost(cache, Y, loss)
        return {"J": float(J), "layers": of_pass(cache, gradients)}


def of_pass(cache: Cache, gradients: Gradients) -> list[dict[str, Any]]:
    """Return for each layer what :func:`measure` says of it, of a pass that is there already."""
    each = zip(cache.layers, cache.caches, gradients.by_layer, strict=True)
    return [_of_layer(layer, kept, got) for layer, kept, got in each if isinstance(layer, Dense)]


def of_parameters(layer: Dense, dW: NDArray[Any] | None = None) -> dict[str, Any]:
    """Return what the parameters alone say of a layer.

    ``W_norm``, ``W_std``, ``W_mean``, and ``alike``: the largest difference of a unit's W and b
    from the first unit's, and where they are alike of its dW, relative to the largest entry; 0
    where all units are the same.
    """
    W, b = layer.parameters["W"], layer.parameters["b"]
    mean = float(np.add.reduce(W.ravel("K"))) / W.size
    return {
        "layer": layer.number,
        **_named(layer.activation),
        "units": layer.n_units,
        "fan_in": W.shape[1],
        "rate_factor": layer.rate_factor("W"),
        "dropout": float(layer.dropout),
        "W_norm": norm(W),
        "W_std": norm(W - mean) / math.sqrt(W.size),
        "W_mean": mean,
        "b_mean": float(b.mean()),
        "alike": _unlikeness(W, b, dW),
    }


def _named(g: Activation) -> dict[str, Any]:
    """The name of g; what else it takes to know it by, where that is more or, as None, nothing."""
    spec = g.spec() if ACTIVATIONS.get(g.name) is type(g) else None
    return {"g": g.name} if spec == g.name else {"g": g.name, "activation": spec}


def activation_of(layer: Mapping[str, Any]) -> Activation:
    """Return g of the statistics of a layer; for one's own an Activation that says nothing.

    >>> (
    ...     activation_of({"g": "elu", "activation": {"name": "elu", "a": 2.5}}),
    ...     activation_of({"g": "mine", "activation": None}),
    ... )
    (ELU(a=2.5), Activation())
    """
    try:
        return find_activation(layer.get("activation", layer["g"]))
    except (TypeError, ValueError):
        return Activation()


def score(Y: NDArray[Any], A: NDArray[Any]) -> float:
    """The accuracy where the targets are labels, else R squared; NaN where there is none."""
    labels = Y.ndim == 1 or bool(np.all((Y == 0) | (Y == 1)))
    with np.errstate(all="ignore"):
        return METRICS["accuracy" if labels else "r2"](Y, A)


def norm(array: NDArray[Any]) -> float:
    """The root of the sum of squares."""
    flat = array.ravel("K")
    size = float(np.dot(flat, flat))
    if not math.isfinite(size) or size < 1e-30:  # float32 holds no squares of such numbers
        size = float(np.sum(np.square(flat, dtype=np.float64)))
    return math.sqrt(size)


def _of_layer(layer: Dense, kept: Any, got: dict[str, Any]) -> dict[str, Any]:
    A, Z = kept.A, kept.Z
    return of_parameters(layer, got["dW"]) | {
        "dW_norm": norm(got["dW"]),
        "Z_rms": norm(Z) / math.sqrt(Z.size),
        "dead": len(A) - int(np.count_nonzero(A.any(axis=1))) if layer.activation.dies else 0,
        "saturated": _saturated(layer, kept),
    }


def _saturated(layer: Dense, kept: Any) -> int:
    """How many units have almost no slope for 95 % of the examples."""
    g = layer.activation
    if g.range is None or not g.range.bounded or g.steepest is None:
        return 0
    ones = np.broadcast_to(kept.A.dtype.type(1), kept.A.shape)
    slope = np.abs(g.backward(ones, kept.Z, kept.A))
    flat = np.count_nonzero(slope < FLAT * g.steepest, axis=1)
    return int(np.count_nonzero(flat >= 0.95 * slope.shape[1]))


def _unlikeness(W: NDArray[Any], b: NDArray[Any], dW: NDArray[Any] | None) -> float:
    if len(W) < 2:
        return 1.0
    some = slice(None, None, -(-W.shape[1] // COLUMNS))
    unlike = _from_first(np.concatenate([W[:, some], b], axis=1))
    if dW is None or unlike > ALIKE:
        return unlike
    return max(unlike, _from_first(dW[:, some]))


def _from_first(units: NDArray[Any]) -> float:
    """The largest difference from the first row, relative to the largest entry."""
    largest = float(np.abs(units).max())
    return float(np.abs(units - units[:1]).max()) / largest if largest > 0 else 0.0


# At one moment of a training ----------------------------------------------------------------------


def sample(
    network: Network,
    few: tuple[NDArray[Any], NDArray[Any]],
    loss: Loss,
    start: Mapping[str, NDArray[Any]],
) -> dict[str, Any]:
    """Return the statistics of a few examples, and how far each W is from where it started.

    ``start`` is what :func:`start_of` returned then; empty, the training has not begun.
    """
    with one_thread():
        found = measure(network, *few, loss)
    parameters = network.parameters
    for layer in found["layers"]:
        name = f"W{layer['layer']}"
        moved = _relative(_some(parameters[name]), start[name]) if start else 0.0
        layer["moved_since_start"] = moved
        layer |= {k: float(f"{v:.6g}") for k, v in layer.items() if isinstance(v, float)}
    return found


def start_of(network: Network) -> dict[str, NDArray[Any]]:
    """Return some of each W, to see later how far it has moved."""
    return {k: _some(W).copy() for k, W in network.parameters.items() if k[0] == "W"}


def _some(W: NDArray[Any]) -> NDArray[Any]:
    """Evenly spaced entries of a large W, all of a small one."""
    return W.ravel("K")[:: -(-W.size // REMEMBERED)]


def _relative(now: NDArray[Any], before: NDArray[Any]) -> float:
    """|now - before| / |before|."""
    size, change = norm(before), norm(now - before)
    return change / size if size > 0 else float(change > 0)


def probe(X: NDArray[Any], Y: NDArray[Any], most: int = PROBE) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return some of the examples (n[0], m) and (n[L], m), evenly spread and always the same."""
    rows = take_rows(X.shape[1], most)
    return np.asfortranarray(X[:, rows]), np.asfortranarray(Y[:, rows])


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep matrix products in this thread meanwhile: those of a few examples lose by sharing."""
    several = [(each, n) for each in _libraries() if (n := each.get_num_threads()) > 1]
    try:
        for library, _ in several:
            library.set_num_threads(1)
        yield
    finally:
        for library, count in several:
            library.set_num_threads(count)


@functools.cache
def _libraries() -> list[Any]:
    """The BLAS that are loaded; to look them up takes longer than to take statistics."""
    # threadpoolctl's own limit() asks each for all it knows, which takes as long as a forward pass
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)
