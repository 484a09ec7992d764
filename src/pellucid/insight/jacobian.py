"""Derivatives by the inputs: the Jacobian, the loss', integrated gradients, saliency.

X may have the shape of an example, as everywhere: (rows, columns, channels, m), (steps, features,
m). What is returned is unrolled, (n[0], m), but for saliency, which is a picture.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import plain
from pellucid.checks import is_whole
from pellucid.insight.gradient_check import check_network
from pellucid.layers import Embedding, chain
from pellucid.layers.shapes import held, valid_steps
from pellucid.losses import Loss
from pellucid.network import Network
from pellucid.propagation import Cache

POINTS = 64
"""Points of an integral, by Gauss and Legendre."""


def jacobian(network: Network, X: Any, *, lengths: Any = None) -> NDArray[Any]:
    """Return dA[L]/dX of each example: entry [k, j, i] is da_k/dx_j of example i.

    Outputs by inputs (numerator layout, lecture 003), with the example on the last axis:
    (n[L], n[0], m). By the chain rule from right to left, a backward pass for each output; no
    unit is dropped. It is 0 by steps, and of outputs of steps, that are not there.

    Parameters
    ----------
    network : Network
    X : array of shape (n[0], m)
    lengths : array of shape (m,) or None
        The steps that each example has.

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
    _check(network, "jacobian")
    cache = network.forward(X, cache=True, lengths=lengths)
    n_outputs, m = cache.chain_caches[-1].output.shape
    found = np.empty((n_outputs, network.n_inputs, m), dtype=network.dtype)
    for k in range(n_outputs):
        dA = np.zeros((n_outputs, m), dtype=network.dtype)
        dA[k] = 1
        found[k] = _back_to_inputs(cache, dA)
    return found


def input_gradients(
    network: Network,
    X: Any,
    Y: Any,
    loss: str | Loss,
    *,
    sample_weight: Any = None,
    lengths: Any = None,
) -> NDArray[Any]:
    """Return dL/dX, (n[0], m): how the loss of each example changes with each of its inputs.

    The derivative of w_i L_i, where there are weights. ``lengths``, (m,), are the steps that each
    example has; by the others it is 0.

    Examples
    --------
    >>> from pellucid import Dense, Network
    >>> gate = Network([Dense(1, "sigmoid")], n_inputs=2, dtype="float64")
    >>> gate.set_parameters({1: ([[20, 20]], [[-30]])})
    >>> input_gradients(gate, [[1], [1]], [0], "bce").round(3)
    array([[19.999],
           [19.999]])
    """
    _check(network, "input_gradients")
    cache = network.forward(X, cache=True, lengths=lengths)
    found: NDArray[Any] = network.backward(
        cache, Y, loss, sample_weight=sample_weight, inputs=True
    ).dX
    return found


def integrated_gradients(
    network: Network,
    X: Any,
    outputs: Any,
    baseline: Any = None,
    *,
    points: int = POINTS,
    lengths: Any = None,
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
    baseline : array of shape (n[0],), or of an example's own, or None
        x'; None is 0.
    points : int
        Points of the integral.
    lengths : array of shape (m,) or None
        The steps that each example has; those that are not there get 0.

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
    _check(network, "integrated_gradients")
    if not is_whole(points, 1):
        raise ValueError(f"points must be a whole number of 1 or more; got {plain(points)!r}.")
    X = np.asarray(network.forward(X, cache=True, lengths=lengths).X, dtype=np.float64)
    start = np.zeros((len(X), 1)) if baseline is None else np.reshape(baseline, (-1, 1))
    if len(start) != len(X) or start.dtype.kind not in "biuf" or not np.isfinite(start).all():
        raise ValueError(f"baseline must hold {len(X)} numbers, one an input; got {baseline!r}.")
    dA = _of_outputs(network, outputs, X.shape[1])
    total = np.zeros(X.shape)
    places, weights = np.polynomial.legendre.leggauss(points)
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        between = (start + place * (X - start)).astype(network.dtype)
        cache = network.forward(between, cache=True, lengths=lengths)
        total += weight * _back_to_inputs(cache, dA)
    parts: NDArray[np.float64] = (X - start) * total
    return parts


def saliency(network: Network, X: Any, outputs: Any, *, lengths: Any = None) -> NDArray[Any]:
    """Return how much an output depends on each place of each example, (rows, columns, m).

    |da_k/dx| of each place, the largest over its channels or features: (rows, columns, channels)
    gives (rows, columns, m), (steps, features) gives (steps, m), and (n[0],) gives (n[0], m). Of
    word numbers, which have no derivative, it is the largest of the numbers that their Embedding
    gives. Simonyan, Vedaldi, Zisserman 2014, arXiv:1312.6034.

    Parameters
    ----------
    network : Network
    X : array of shape (n[0], m)
    outputs : int or array of shape (m,)
        k, the output that is looked at, for all examples or for each.
    lengths : array of shape (m,) or None
        The steps that each example has; those that are not there get 0.

    Examples
    --------
    An edge is found where light and dark meet:

    >>> from pellucid import Dense, Network
    >>> from pellucid.layers import Conv1D
    >>> net = Network([Conv1D(1, 2, "relu"), Dense(1, "identity")], (4, 1), dtype="float64")
    >>> net.set_parameters({1: ([[-1, 1]], [0]), 2: ([[1, 1, 1]], [0])})
    >>> saliency(net, [[0], [0], [1], [1]], 0).T
    array([[0., 1., 1., 0.]])
    """
    check_network(network, "saliency")
    cache = network.forward(X, cache=True, lengths=lengths)
    m = cache.X.shape[1]
    skipped = 1 if _takes_words(network) else 0
    found = _back_to_inputs(cache, _of_outputs(network, outputs, m), skipped)
    shape = network.layers[0].output_shape if skipped else network.input_shape
    sizes: NDArray[Any] = np.abs(found).reshape(*shape, m)
    if len(shape) > 1:
        sizes = sizes.max(axis=-2)
    return sizes


def _check(network: Any, what: str) -> None:
    """Refuse what is no network, or has no derivative by its inputs."""
    check_network(network, what)
    if _takes_words(network):
        raise ValueError(
            f"{what}: the network takes word numbers, by which nothing has a derivative; "
            "insight.saliency looks at what the Embedding makes of them."
        )


def _takes_words(network: Network) -> bool:
    return isinstance(network.layers[0], Embedding)


def _of_outputs(network: Network, outputs: Any, m: int) -> NDArray[Any]:
    """dA[L]: 1 for the output that is looked at."""
    n_outputs = math.prod(network.output_shape)
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
    return dA


def _back_to_inputs(cache: Cache, dA: NDArray[Any], skipped: int = 0) -> NDArray[Any]:
    """dX for a dA[L], by each layer's backward from the last to the first, or one after it."""
    layers, caches = cache.chain[skipped:], cache.chain_caches[skipped:]
    dX: NDArray[Any] = chain.backward(layers, caches, dA, m=1.0)[0]
    if cache.lengths is not None:
        entered = cache.chain[skipped].input_shape
        dX = held(dX, valid_steps(cache.lengths, entered))
    return dX
