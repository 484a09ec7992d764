"""Whether the backward of functions of one's own is the derivative of their forward."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.activations import ACTIVATIONS
from pellucid.insight.gradient_check import in_float64
from pellucid.layers import LAYERS, Layer
from pellucid.layers.chain import leaves, walk
from pellucid.losses import Loss, is_custom
from pellucid.network import Network

STEP = 1e-5
"""What an array is moved by; J is rounded by some 1e-15 of itself, a difference by that / STEP."""


def of_ones_own(network: Network, loss: Loss) -> bool:
    """Whether a layer, an activation or the loss is none of Pellucid's tables."""
    functions = [layer.activation for layer in network.leaves if layer.activation is not None]
    return (
        is_custom(loss)
        or any(type(g) is not ACTIVATIONS.get(g.name) for g in functions)
        or any(type(layer) is not LAYERS.get(layer.name) for layer in walk(network.layers))
    )


def upside_down(Y: NDArray[Any], loss: Loss) -> tuple[float, float] | None:
    """Return what a loss is for right and for wrong answers, where the right ones cost more.

    Wrong are the right answers in another order.
    """
    low, high = float(Y.min()), float(Y.max())
    margin = 0.02 * (high - low)
    near = Y.clip(low + margin, high - margin)  # logarithms of 0 are nobody's fault
    with np.errstate(all="ignore"):
        right = float(np.mean(loss.value(Y, near)))
        wrong = float(
            np.mean([np.mean(loss.value(Y, np.roll(near, k, axis=1))) for k in (1, 2, 3)])
        )
    fits = math.isfinite(right) and math.isfinite(wrong)
    return (right, wrong) if fits and right - wrong > 0.1 * abs(wrong) else None


def wrong_gradients(network: Network, Y: NDArray[Any], loss: Loss) -> dict[str, float]:
    """Return, for each dW[l], db[l] and dA[l], by what share dJ along a random direction differs.

    dA[L] is the derivative of a loss of one's own. Of the network's functions, not of its state:
    in float64, with fresh weights of a good size and a few random inputs, where differences are
    exact. Each array is moved as a whole; of three draws the least difference counts, so that a
    kink is not taken for a fault.
    """
    net, Y = in_float64(network), np.asarray(Y, dtype=np.float64)
    draws = [_differences(net, Y, loss, np.random.default_rng(k)) for k in range(3)]
    return {name: min(each[name] for each in draws) for name in draws[0]}


def _differences(
    net: Network, Y: NDArray[Any], loss: Loss, rng: np.random.Generator
) -> dict[str, float]:
    for layer in net.leaves:
        for letter, array in layer.parameters.items():
            weights = layer.computes_Z and letter in layer.penalised
            size = math.sqrt(array.shape[-1] if weights else 4)
            array[...] = rng.normal(size=array.shape) / size
    first = net.layers[0]
    X = first.example_inputs(Y.shape[1], rng)
    if type(first).example_inputs is Layer.example_inputs:  # any numbers suit it
        X = 1.5 * X

    def J(A: NDArray[Any] = X, after: int = 0) -> float:
        return float(propagation.cost(propagation.forward(net.layers[after:], A), Y, loss))

    found = {}
    with np.errstate(all="ignore"):
        cache = propagation.forward(net.layers, X)
        gradients, cost = propagation.backward(cache, Y, loss), J()
        by_leaf = iter(zip(net.leaves, gradients.by_layer, strict=True))
        for k, layer in enumerate(net.layers, 1):
            for leaf, got in islice(by_leaf, len(leaves([layer]))):
                for letter, array in leaf.parameters.items():
                    name = f"d{letter}[{leaf.number}]"
                    found[name] = _difference(array, got["d" + letter], J, cost, rng)
            if k < len(net.layers) and net.layers[k].number > layer.number:  # no Scale of its own
                A, dA = cache.A[layer.number].copy(), gradients.dA[layer.number] / Y.shape[1]
                after = partial(J, A, k)
                found[f"dA[{layer.number}]"] = _difference(A, dA, after, cost, rng)
        if is_custom(loss):
            A = cache.A[net.L].copy()
            dA = np.asarray(loss.derivative(Y, A)) / Y.shape[1]

            def mean_loss() -> float:
                return float(np.mean(loss.value(Y, A)))

            found[f"dA[{net.L}]"] = _difference(A, dA, mean_loss, mean_loss(), rng)
    return found


def _difference(
    array: NDArray[Any],
    gradient: NDArray[Any],
    J: Callable[[], float],
    cost: float,
    rng: np.random.Generator,
) -> float:
    direction = rng.choice([-1.0, 1.0], array.shape) / math.sqrt(array.size)
    before = array.copy()
    array += STEP * direction
    above = J()
    array[...] = before - STEP * direction
    below = J()
    array[...] = before
    numeric, analytic = (above - below) / (2 * STEP), float(np.sum(gradient * direction))
    lost = 1e3 * 1e-15 * max(abs(cost), 1.0) / STEP
    size = max(abs(numeric), abs(analytic), lost)
    return abs(numeric - analytic) / size if math.isfinite(size) else 0.0
