"""Derivatives by the inputs: the Jacobian, the gradient of the loss, integrated gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import plain
from pellucid.checks import is_whole
from pellucid.insight.gradient_check import check_network
from pellucid.layers import chain
from pellucid.losses import Loss
from pellucid.network import Network
from pellucid.propagation import Cache

POINTS = 64
"""Points of an integral, by Gauss and Legendre."""


def jacobian(network: Network, X: Any) -> NDArray[Any]:
    """Return dA[L]/dX of each example: entry [k, j, i] is da_k/dx_j of example i.

    Outputs by inputs (numerator layout, lecture 003), with the example on the last axis:
    (n[L], n[0], m). By the chain rule from right to left, a backward pass for each output; no
    unit is dropped.

    Parameters
    ----------
    network : Network
    X : array of shape (n[0], m)

    Returns
    -------
    array of shape (n[L], n[0], m)

    Examples
    --------
    Of a linear layer it is W:

    >>> from pellucid import Dense, Network
    >>> net = Network([Dense(2, "identity")], n_inputs=3, dtype="float64")
    >>> net.set_parameters({1: ([[1, 2, 3], [4, 5, 6]], [0, 0])})
    >>> jacobian(net, [[1], [1], [1]])[:, :, 0]
    array([[1., 2., 3.],
           [4., 5., 6.]])
    """
    check_network(network, "jacobian")
    cache = network.forward(X, cache=True)
    n_outputs, m = cache.A[network.L].shape
    found = np.empty((n_outputs, network.n_inputs, m), dtype=network.dtype)
    for k in range(n_outputs):
        dA = np.zeros((n_outputs, m), dtype=network.dtype)
        dA[k] = 1
        found[k] = _back_to_inputs(cache, dA)
    return found


def input_gradients(
    network: Network, X: Any, Y: Any, loss: str | Loss, *, sample_weight: Any = None
) -> NDArray[Any]:
    """Return dL/dX, (n[0], m): how the loss of each example changes with each of its inputs.

    The derivative of w_i L_i, where there are weights.

    Examples
    --------
    >>> from pellucid import Dense, Network
    >>> gate = Network([Dense(1, "sigmoid")], n_inputs=2, dtype="float64")
    >>> gate.set_parameters({1: ([[20, 20]], [[-30]])})
    >>> input_gradients(gate, [[1], [1]], [0], "bce").round(3)
    array([[19.999],
           [19.999]])
    """
    check_network(network, "input_gradients")
    cache = network.forward(X, cache=True)
    found: NDArray[Any] = network.backward(
        cache, Y, loss, sample_weight=sample_weight, inputs=True
    ).dX
    return found


def integrated_gradients(
    network: Network, X: Any, outputs: Any, baseline: Any = None, *, points: int = POINTS
) -> NDArray[np.float64]:
    """Return how much each input adds to an output, (n[0], m).

    (x_j - x'_j) times the mean of da_k/dx_j on the straight line from the baseline x' to x.
    Over the inputs they add up to a_k(x) - a_k(x'), but for the error of the integral.
    Sundararajan, Taly, Yan 2017, arXiv:1703.01365.

    Parameters
    ----------
    network : Network
    X : array of shape (n[0], m)
    outputs : int or array of shape (m,)
        k, the output that is looked at, for all examples or for each.
    baseline : array of shape (n[0],) or None
        x'; None is 0.
    points : int
        Points of the integral.

    Examples
    --------
    >>> from pellucid import Dense, Network
    >>> gate = Network([Dense(1, "sigmoid")], n_inputs=2, dtype="float64")
    >>> gate.set_parameters({1: ([[2, 2]], [[-3]])})
    >>> parts = integrated_gradients(gate, [[1], [1]], 0)
    >>> (
    ...     parts.ravel().round(4),
    ...     float((gate.forward([[1.0], [1.0]]) - gate.forward([[0.0], [0.0]]))[0, 0]),
    ... )
    (array([0.3418, 0.3418]), 0.6836...)
    """
    check_network(network, "integrated_gradients")
    if not is_whole(points, 1):
        raise ValueError(f"points must be a whole number of 1 or more; got {plain(points)!r}.")
    X = np.asarray(network.forward(X, cache=True).X, dtype=np.float64)
    start = np.zeros((len(X), 1)) if baseline is None else np.reshape(baseline, (-1, 1))
    if len(start) != len(X) or start.dtype.kind not in "biuf" or not np.isfinite(start).all():
        raise ValueError(f"baseline must hold {len(X)} numbers, one an input; got {baseline!r}.")
    n_outputs, m = network.n[-1], X.shape[1]
    chosen = np.asarray(outputs)
    if (
        chosen.shape not in ((), (m,))
        or chosen.dtype.kind not in "iu"
        or (chosen < 0).any()
        or (chosen >= n_outputs).any()
    ):
        raise ValueError(
            f"outputs must be 0 to {n_outputs - 1}, one for all or for each of the {m} examples; "
            f"got {outputs!r}."
        )
    dA = np.zeros((n_outputs, m), dtype=network.dtype)
    dA[chosen, np.arange(m)] = 1
    total = np.zeros(X.shape)
    places, weights = np.polynomial.legendre.leggauss(points)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        cache = network.forward((start + place * (X - start)).astype(network.dtype), cache=True)
        total += weight * _back_to_inputs(cache, dA)
    parts: NDArray[np.float64] = (X - start) * total
    return parts


def _back_to_inputs(cache: Cache, dA: NDArray[Any]) -> NDArray[Any]:
    """dX for a dA[L], by each layer's backward from the last to the first."""
    dX: NDArray[Any] = chain.backward(cache.chain, cache.chain_caches, dA, m=1.0)[0]
    return dX
