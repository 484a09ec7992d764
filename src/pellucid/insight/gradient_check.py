"""The gradient check: backpropagation against central differences, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.losses import Loss
from pellucid.losses import loss as find_loss
from pellucid.network import Network
from pellucid.propagation import Cache, Gradients

Floats = NDArray[np.float64]

NEAR = 1e-3
"""Closer than this to a kink, a difference may straddle it."""

NOISE = 2e-9
"""J is rounded by about 1e-16 J, so a difference by 1e-16 J / step; this, divided by the step, is
the share of J below which gradients are lost in that to the tolerance of 1e-6."""


@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradients` found; ``str()`` lays it out as a table.

    Attributes
    ----------
    by_name : dict
        The error of each array: ``dW1``, ``db1``, ``ds1``, ..., ``dX``.
    tolerance : float
        What an error may be at most.
    near_kink : tuple of str
        Where the functions have a kink within 1e-3 of these numbers: differences mean nothing
        there, so draw other numbers before you believe a large error.
    """

    by_name: dict[str, float]
    tolerance: float
    near_kink: tuple[str, ...] = ()

    @property
    def largest(self) -> float:
        """The largest of the errors."""
        return max(self.by_name.values())

    @property
    def ok(self) -> bool:
        """True where no error is above the tolerance."""
        return self.largest <= self.tolerance

    def __str__(self) -> str:
        lines = ["array   derivative of  error"]
        for name, error in self.by_name.items():
            of = "w_i L_i" if name == "dX" else "J"
            verdict = "" if error <= self.tolerance else "  WRONG"
            lines.append(f"{name:<6}  {of:<13}  {error:.1e}{verdict}")
        verdict = "agree with" if self.ok else "differ from"
        lines.append(f"gradients {verdict} central differences (tolerance {self.tolerance:g})")
        lines += [f"near a kink, differences mean nothing: {place}" for place in self.near_kink]
        return "\n".join(lines)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is reported as wrong
def check_gradients(
    network: Network,
    X: Any,
    Y: Any,
    loss: str | Loss,
    *,
    sample_weight: Any = None,
    l1: float = 0.0,
    l2: float = 0.0,
    masks: Mapping[int, Any] | None = None,
    step: float = 1e-5,
    tolerance: float = 1e-6,
) -> GradientCheck:
    """Compare every entry of dW[l], db[l], ds[l], dX with (J(w + step) - J(w - step)) / (2 step).

    J is the number that ``network.loss`` reports, for the same weights and penalties. dW, db and
    ds are derivatives of J. dX is the derivative of w_i L_i, one example's weighted loss, so it is
    compared with differences of (sum of w_i) J, m J where there are no weights.

    The error of an array D against its differences D' is ::

        max |D - D'| / max(max |D|, max |D'|, 2e-9 |J| / step)

    over its entries, with (sum of w_i) |J| for dX: relative to the largest entry, because the small
    ones carry the rounding of J. Everything is done on a float64 copy; the network stays as it is.

    Parameters
    ----------
    network : Network
        Its parameters are the point at which gradients are compared.
    X : array of shape (n[0], m)
        A few examples will do: each entry costs two forward passes.
    Y : array of shape (n[L], m), or (m,) class numbers
        The targets.
    loss : str or Loss
        The loss.
    sample_weight : array of shape (m,), optional
        The weights w_i.
    l1, l2 : float
        The penalties.
    masks : dict of arrays of shape (n[l], m), optional
        Dropout masks by layer, 0 or 1 / (1 - rate), held fixed.
    step : float
        What an entry is moved by, up and down.
    tolerance : float
        The largest error that counts as agreement.

    Returns
    -------
    GradientCheck

    Examples
    --------
    >>> from pellucid import Dense, Network, check_gradients
    >>> net = Network([Dense(2, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> check = check_gradients(net, [[0, 0, 1, 1], [0, 1, 0, 1]], [0, 1, 1, 0], "bce")
    >>> check.ok
    True
    >>> list(check.by_name)
    ['dW1', 'db1', 'dW2', 'db2', 'dX']
    """
    loss = find_loss(loss)
    net = in_float64(network)
    terms: dict[str, Any] = {"sample_weight": sample_weight, "l1": l1, "l2": l2}
    if masks is not None:
        masks = {l: np.asarray(mask, dtype=np.float64) for l, mask in masks.items()}

    def forward(X: Any) -> Cache:
        return propagation.forward(net.layers, X, masks)

    def J() -> float:
        if masks is None:
            return net.loss(X, Y, loss, **terms)
        targets, w = net._checked_targets(X.shape[1], Y, loss, sample_weight)[1:]
        return propagation.cost(forward(X), targets, loss, w, l1=l1, l2=l2)

    cache = net.forward(X, cache=True)  # the network checks X
    X = cache.X.copy()  # ours to move
    if masks is not None:
        cache = forward(X)
    gradients = net.backward(cache, Y, loss, inputs=True, **terms)

    cost = J()
    total = X.shape[1] if sample_weight is None else float(np.sum(sample_weight, dtype=np.float64))
    by_name = {}
    for name, array, found in _arrays(net, X, gradients):
        scale = total if name == "dX" else 1.0
        differences = scale * _central_differences(J, array, step)
        by_name[name] = relative_error(found, differences, NOISE / step * scale * abs(cost))
    return GradientCheck(by_name, tolerance, _near_kink(cache, Y, loss, l1))


def in_float64(network: Network) -> Network:
    """Return a copy of the network in float64; layers of a user's own are copied like any other."""
    made = Network(network.layers, network.n_inputs, "zeros", network.seed, "float64")
    made.put_parameters(network.parameters)
    return made


def _arrays(net: Network, X: Floats, gradients: Gradients) -> list[tuple[str, Floats, Floats]]:
    """What is moved and its gradient, by the gradient's name."""
    found = [
        (f"d{letter}{layer.number}", layer.parameters[letter], by_name["d" + letter])
        for layer, by_name in zip(net.layers, gradients.by_layer, strict=True)
        for letter in layer.parameters
    ]
    return [*found, ("dX", X, gradients.dX)]


def _central_differences(J: Callable[[], float], array: Floats, step: float) -> Floats:
    """dJ/d(array), one entry moved at a time; the array is left as it was."""
    differences = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        before = array[index]
        array[index] = above = before + step
        J_above = J()
        array[index] = below = before - step
        J_below = J()
        array[index] = before
        differences[index] = (J_above - J_below) / (above - below)
    return differences


def relative_error(found: Floats, differences: Floats, floor: float) -> float:
    """Return the largest difference of two arrays, relative to their largest entry or the floor."""
    if found.shape != differences.shape or not np.isfinite([found, differences]).all():
        return math.inf
    largest = max(np.abs(found).max(), np.abs(differences).max(), floor)
    return float(np.abs(found - differences).max() / largest) if largest > 0 else 0.0


def _near_kink(cache: Cache, Y: Any, loss: Loss, l1: float) -> tuple[str, ...]:
    """Where a function has a kink within NEAR, in words."""
    counts = [
        (place, int((np.abs(distance) < NEAR).sum()))
        for place, distance in _kinks(cache, Y, loss, l1)
    ]
    return tuple(f"{count} of {place}" for place, count in counts if count)


def _kinks(cache: Cache, Y: Any, loss: Loss, l1: float) -> Iterator[tuple[str, Floats]]:
    """Every function with a kink, and how far its arguments are from it."""
    for layer, kept in zip(cache.layers, cache.caches, strict=True):
        if layer.activation is not None:
            g = layer.activation
            for kink in g.kinks:
                yield f"Z[{layer.number}], {g.name} at {kink:g}", kept.Z - kink
        for letter in layer.penalised if l1 and layer.weight_decay_factor else ():
            yield f"{letter}[{layer.number}], l1 at 0", layer.parameters[letter]
    if loss.kink:
        A = cache.caches[-1].output
        yield f"A[L] - Y, {loss.name} at 0", A - np.asarray(Y).reshape(A.shape)
