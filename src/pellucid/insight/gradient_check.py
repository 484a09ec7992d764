"""The gradient check: backpropagation against central differences, in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid._shown import plain
from pellucid.layers import Layer, LayerCache
from pellucid.losses import Loss
from pellucid.losses import loss as find_loss
from pellucid.network import Network
from pellucid.propagation import Cache, Gradients

Floats = NDArray[np.float64]

NEAR = 1e-3
"""Closer than this to a kink, a difference may straddle it."""

ROUNDINGS = 10
"""A number worked out in some steps is off by a few machine epsilons of what was added up to it."""


@dataclass(frozen=True)
class Compared:
    """One array of gradients beside its central differences.

    Attributes
    ----------
    of : str
        What it is a derivative of: "J", or the loss of each example.
    error : float
        Relative to its largest entry; infinity where a number is not finite.
    too_small : int
        How many of its numbers are so small, though not 0, that differences cannot tell.
    count : int
        How many numbers it has.
    """

    of: str
    error: float
    too_small: int
    count: int


@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradients` found; ``str()`` lays it out as a table.

    Attributes
    ----------
    arrays : dict of Compared
        By name: ``dW1``, ``db1``, ``ds1``, ..., ``dX``; ``by_name`` holds their errors alone.
    tolerance : float
        What an error may be at most.
    near_kink : tuple of str
        Where the functions have a kink within 1e-3 of these numbers: differences mean nothing
        there, so draw other numbers before you believe a large error.
    """

    arrays: dict[str, Compared]
    tolerance: float
    near_kink: tuple[str, ...] = ()

    @property
    def by_name(self) -> dict[str, float]:
        """The error of each array."""
        return {name: each.error for name, each in self.arrays.items()}

    @property
    def largest(self) -> float:
        """The largest of the errors."""
        return max(self.by_name.values())

    @property
    def ok(self) -> bool:
        """True where no error is above the tolerance."""
        return self.largest <= self.tolerance

    @property
    def verdict(self) -> str:
        """The result as a sentence."""
        wrong = [n for n, error in self.by_name.items() if self.tolerance < error < math.inf]
        endless = [n for n, error in self.by_name.items() if error == math.inf]
        small = sum(each.too_small for each in self.arrays.values())
        count = sum(each.count for each in self.arrays.values())
        said = "agree with central differences"
        if wrong:
            said = f"differ from central differences in {', '.join(wrong)}"
        if endless:
            said = f"{said + ', and ' if wrong else ''}are not finite in {', '.join(endless)}"
        said = f"gradients {said} (tolerance {self.tolerance:g})"
        if wrong and self.near_kink:
            said += "; near a kink, where differences mean nothing"
        if small:
            said += f"; {small} of {count} numbers are too small for differences to tell"
        return said

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def __str__(self) -> str:
        width = max(6, *map(len, self.arrays))
        lines = [f"{'array':<{width}}  derivative of  error"]
        for name, each in self.arrays.items():
            wrong = "" if each.error <= self.tolerance else "  WRONG"
            error = f"{each.error:.1e}{wrong}" if each.error < math.inf else "not finite"
            few = f"  {each.too_small} of {each.count} too small to tell" if each.too_small else ""
            lines.append(f"{name:<{width}}  {each.of:<13}  {error}{few}")
        lines.append(self.verdict)
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
    lengths: Any = None,
    training: bool = False,
    step: float = 1e-5,
    tolerance: float = 1e-6,
) -> GradientCheck:
    """Compare every entry of dW[l], db[l], ds[l], dX with (J(w + step) - J(w - step)) / (2 step).

    J is the number that ``network.loss`` reports, for the same weights and penalties. dW, db and
    ds are derivatives of J. dX is the derivative of w_i L_i, one example's weighted loss, so it is
    compared with differences of (sum of w_i) J, m J where there are no weights.

    The error of an array D against its differences D' is ::

        max |D - D'| / max(max |D|, max |D'|, noise / tolerance)

    over its entries: relative to the largest, because the small ones carry the rounding of J. The
    noise is what rounding does to a difference, :func:`noise`; where gradients vanish in it, as in
    saturated networks, no difference can tell whether they are right, and ``too_small`` counts
    them. Everything is done on a float64 copy; the network stays as it is.

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
    lengths : array of shape (m,), optional
        The steps that each example has.
    training : bool
        Whether a BatchNorm takes the statistics of X, as in training. dX is then the derivative of
        the sum of the losses, as each depends on every example.
    step : float
        What an entry is moved by, up and down.
    tolerance : float
        The largest error that counts as agreement.

    Returns
    -------
    GradientCheck

    Raises
    ------
    ValueError
        For a step that is no positive number, and for what ``network.loss`` refuses.

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
    check_network(network, "check_gradients")
    loss = find_loss(loss)
    if not 0 < step < math.inf:
        raise ValueError(f"step must be a positive number, such as 1e-5; got {plain(step)!r}.")
    net = in_float64(network)
    terms: dict[str, Any] = {"sample_weight": sample_weight, "l1": l1, "l2": l2}
    if masks is not None:
        masks = {l: np.asarray(mask, dtype=np.float64) for l, mask in masks.items()}

    def forward(X: Any) -> Cache:
        return propagation.forward(net.layers, X, masks, lengths=steps, training=training)

    def J() -> float:  # what is given has been checked; this runs twice for each entry
        return propagation.cost(forward(X), targets, loss, w, l1=l1, l2=l2)

    cache = net.forward(X, cache=True, lengths=lengths, training=training)  # X is checked
    X, steps = cache.X.copy(), cache.lengths  # X is ours to move
    targets, w = net._checked_targets(cache, Y, loss, sample_weight)[1:]
    if masks is not None:
        cache = forward(X)
    gradients = net.backward(cache, Y, loss, inputs=True, **terms)

    total = propagation.total_weight(X, w)
    size = float(sizes(cache, gradients, targets, loss, w).sum()) / total
    size += propagation.penalty(net.leaves, l1, l2)
    arrays = {}
    for name, array, found in _arrays(net, X, gradients):
        of, scale = ("w_i L_i", total) if name == "dX" else ("J", 1.0)

        def differences(h: float, array: Floats = array, scale: float = scale) -> Floats:
            return scale * _central_differences(J, array, h)

        lost = scale * noise(size, step)
        arrays[name] = compared(of, found, differences, step, lost, tolerance)
    return GradientCheck(arrays, tolerance, _near_kink(cache, targets, loss, l1))


def sizes(
    cache: Cache, gradients: Gradients, Y: Any, loss: Loss, sample_weight: Floats | None
) -> Floats:
    """Return the size of what is added up to the weighted loss of each example, (m,).

    w_i (L_i + sum_k (1 + |a_k| + |y_k|)), and for each layer sum_k |dz_k| (|W||a| + |b|)_k, the
    terms of z_k times what its rounding does to the loss. They are what the layer's own forward
    makes of the sizes of its parameters and inputs.
    """
    A = cache.caches[-1].output
    added = (1 + np.abs(A) + np.abs(Y)).sum(axis=0) + np.abs(propagation.losses(cache, Y, loss))
    found: Floats = added if sample_weight is None else added * sample_weight
    for k, (layer, kept) in enumerate(zip(cache.layers, cache.caches, strict=True)):
        if _all_Z(kept) is not None and "dZ" in gradients.by_layer[k]:
            dZ = gradients.by_layer[k]["dZ"]
            found = found + (np.abs(dZ) * _terms(layer, kept)).sum(axis=0)
    return found


def _terms(layer: Layer, kept: LayerCache) -> Floats:
    """How much is added up to each z, signs aside: |Z| where more is not known."""
    sized = copy.copy(layer)
    sized.parameters = {letter: np.abs(array) for letter, array in layer.parameters.items()}
    with np.errstate(all="ignore"):
        terms = np.abs(_all_Z(sized.forward(np.abs(kept.A_prev))[1]))
    found: Floats = np.fmax(terms, np.abs(_all_Z(kept)))
    return found


def _all_Z(kept: LayerCache) -> Any:
    """Z, of a recurrent layer those of all steps below one another, as its dZ is; else None."""
    return np.concatenate(kept.steps["Z"]) if "Z" in kept.steps else kept.Z


def noise(size: float, step: float) -> float:
    """Return 10 eps size / step: what rounding does to (J(w + step) - J(w - step)) / (2 step).

    J is off by a few machine epsilons of the size of its terms (Higham, Accuracy and Stability of
    Numerical Algorithms, 2nd edition, 3.1), the difference by that over the step (Nocedal and
    Wright, Numerical Optimization, 2nd edition, 8.1).
    """
    return ROUNDINGS * float(np.finfo(np.float64).eps) * size / step


def check_network(network: Any, what: str) -> None:
    """Refuse what is no network, with the way to one."""
    if not isinstance(network, Network):
        raise TypeError(
            f"{what} takes a Network; got {network!r}. An estimator has one after fit, "
            "estimator.network_, a table's estimator some, estimator.model_.networks; a folder's "
            "is pellucid.load(path)."
        )


def in_float64(network: Network) -> Network:
    """Return a copy of the network in float64; layers of a user's own are copied like any other."""
    made = Network(network.layers, network.input_shape, "zeros", network.seed, "float64")
    made.put_parameters(network.parameters | network.statistics)
    return made


def _arrays(net: Network, X: Floats, gradients: Gradients) -> list[tuple[str, Floats, Floats]]:
    """What is moved and its gradient, by the gradient's name."""
    found = [
        (f"d{letter}{layer.number}", layer.parameters[letter], by_name["d" + letter])
        for layer, by_name in zip(net.leaves, gradients.by_layer, strict=True)
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


def compared(
    of: str,
    found: Floats,
    differences: Callable[[float], Floats],
    step: float,
    lost: float,
    tolerance: float,
) -> Compared:
    """Hold an array of gradients against its differences, of which rounding may take ``lost``.

    Central differences D'(step) are off by some step^2, too, the more a function bends. What seems
    wrong is compared once more with (4 D'(step) - D'(2 step)) / 3, Richardson's extrapolation,
    which has no such term.
    """
    once = differences(step)
    result = _beside(of, found, once, lost, tolerance)
    if result.error <= tolerance:
        return result
    return _beside(of, found, (4 * once - differences(2 * step)) / 3, 2 * lost, tolerance)


def _beside(of: str, found: Floats, differences: Floats, lost: float, tolerance: float) -> Compared:
    if found.shape != differences.shape or not np.isfinite([found, differences]).all():
        return Compared(of, math.inf, 0, found.size)
    each = np.maximum(np.abs(found), np.abs(differences))
    bound = max(tolerance * float(each.max()), lost)
    error = float(np.abs(found - differences).max())
    small = int(((each > 0) & (each <= bound)).sum())
    return Compared(of, tolerance * error / bound if error else 0.0, small, found.size)


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
        Z, g = _all_Z(kept), layer.activation
        if g is not None and Z is not None:
            for kink in g.kinks:
                yield f"Z[{layer.number}], {g.name} at {kink:g}", Z - kink
        for letter in layer.penalised if l1 and layer.weight_decay_factor else ():
            yield f"{letter}[{layer.number}], l1 at 0", layer.parameters[letter]
    if loss.kink:
        A = cache.caches[-1].output
        yield f"A[L] - Y, {loss.name} at 0", A - Y
