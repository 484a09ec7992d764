"""Losses: how wrong one example's output is, and dA[L].

One table, :data:`LOSSES`. ``value(Y, A)`` is the loss of each example, ``derivative(Y, A)`` its
derivative by A; both take (n[L], m) arrays and run on any library that follows the array API
standard. The cost J is the weighted mean of the losses (:mod:`pellucid.propagation`).

Where a loss and an output activation belong together, a :class:`Pair` (:data:`PAIRS`) works from Z
instead, so that log(0) never happens and dZ[L] is a plain difference. Any other combination goes
through A, which is clipped to [eps, 1 - eps] inside a logarithm; it is that clipped function that
is differentiated.

>>> import numpy as np
>>> loss("half_squared_error").value(np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]]))
array([2., 0.])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid._catalogue import Entry, lookup
from pellucid.activations import Activation, exp_limit

Array = Any


@dataclass(frozen=True)
class Loss(Entry):
    """The loss of one example; one entry of :data:`LOSSES`.

    Class attributes: ``fits``, the output activations it makes sense with; ``targets``, what Y
    may hold: "real", "unit" (0 to 1), "distribution" (0 to 1, each column sums to 1) or
    "non-negative"; ``kink``, True where the derivative jumps at A = Y.
    """

    kind: ClassVar[str] = "loss"
    fits: ClassVar[tuple[str, ...]] = ("identity",)
    targets: ClassVar[str] = "real"
    kink: ClassVar[bool] = False

    def value(self, Y: Array, A: Array) -> Array:
        """Return the loss of each example, (m,), for targets and outputs of shape (n[L], m)."""
        raise NotImplementedError

    def derivative(self, Y: Array, A: Array) -> Array:
        """Return dA[L], the derivative of the loss by A, of shape (n[L], m)."""
        raise NotImplementedError

    def smoothed(self, Y: Array, share: float) -> Array:
        """Return Y with this share taken from the label and spread over all classes."""
        raise ValueError(
            f"label_smoothing is for class probabilities: the loss {self.name} has none. "
            "Use binary_cross_entropy or categorical_cross_entropy, or label_smoothing=0."
        )


_POINT_FITS = ("identity", "relu", "leaky_relu", "softplus", "sigmoid", "tanh", "softmax", "exp")


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """L = mean over outputs of (a - y)^2."""

    name = "mean_squared_error"
    aliases = ("mse",)
    formula = "mean_k (a_k - y_k)^2"
    fits = _POINT_FITS
    advice = "For regression."

    def value(self, Y: Array, A: Array) -> Array:
        return _xp(A).mean((A - Y) ** 2, axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        return (2 / A.shape[0]) * (A - Y)


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """L = 1/2 sum over outputs of (a - y)^2 (lecture 002, 2.1.2)."""

    name = "half_squared_error"
    formula = "1/2 sum_k (a_k - y_k)^2"
    fits = _POINT_FITS
    advice = "For regression; dA = A - Y. With a sigmoid it is not convex."

    def value(self, Y: Array, A: Array) -> Array:
        return 0.5 * _xp(A).sum((A - Y) ** 2, axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        return A - Y


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """L = mean over outputs of |a - y|."""

    name = "mean_absolute_error"
    aliases = ("mae",)
    formula = "mean_k |a_k - y_k|"
    fits = _POINT_FITS
    kink = True
    advice = "For regression with outliers: predicts the median."

    def value(self, Y: Array, A: Array) -> Array:
        xp = _xp(A)
        return xp.mean(xp.abs(A - Y), axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        return _xp(A).sign(A - Y) / A.shape[0]


@dataclass(frozen=True)
class Huber(Loss):
    """L = mean over outputs of r^2/2 where |r| <= delta, else delta (|r| - delta/2); r = a - y.

    Huber 1964.
    """

    delta: float = 1.0

    name = "huber"
    formula = "mean_k (r^2/2 if |r| <= delta else delta (|r| - delta/2)), r = a_k - y_k"
    fits = _POINT_FITS
    advice = "Squared for small errors, absolute for large ones."

    def __post_init__(self) -> None:
        self._require(self.delta > 0, "delta", "a positive number, such as 1.0")

    def value(self, Y: Array, A: Array) -> Array:
        xp = _xp(A)
        r = xp.abs(A - Y)
        each = xp.where(r <= self.delta, 0.5 * r * r, self.delta * (r - 0.5 * self.delta))
        return xp.mean(each, axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        return _xp(A).clip(A - Y, -self.delta, self.delta) / A.shape[0]


@dataclass(frozen=True)
class Quantile(Loss):
    """L = mean over outputs of q (y - a) where y > a, else (1 - q) (a - y).

    Koenker, Bassett 1978.
    """

    q: float = 0.5

    name = "quantile"
    aliases = ("pinball",)
    formula = "mean_k (q (y_k - a_k) if y_k > a_k else (1 - q) (a_k - y_k))"
    fits = _POINT_FITS
    kink = True
    advice = "Predicts the q-quantile: 0.9 is exceeded by one target in ten."

    def __post_init__(self) -> None:
        self._require(0 < self.q < 1, "q", "between 0 and 1, such as 0.9")

    def value(self, Y: Array, A: Array) -> Array:
        xp = _xp(A)
        r = Y - A
        return xp.mean(xp.maximum(self.q * r, (self.q - 1) * r), axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        return (0.5 - self.q - 0.5 * _xp(A).sign(Y - A)) / A.shape[0]


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """L = -sum over outputs of y ln(a) + (1 - y) ln(1 - a)."""

    name = "binary_cross_entropy"
    aliases = ("bce", "log_loss")
    formula = "-sum_k (y_k ln a_k + (1 - y_k) ln(1 - a_k))"
    fits = ("sigmoid", "hard_sigmoid")
    targets = "unit"
    advice = "For yes or no, and for several labels at once: one sigmoid output each."

    def value(self, Y: Array, A: Array) -> Array:
        xp = _xp(A)
        A = _clipped(A)
        return -xp.sum(Y * xp.log(A) + (1 - Y) * xp.log(1 - A), axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        C = _clipped(A)
        return _where_unclipped(A, C, (1 - Y) / (1 - C) - Y / C)

    def smoothed(self, Y: Array, share: float) -> Array:
        return (1 - share) * Y + share / 2


@dataclass(frozen=True)
class CategoricalCrossEntropy(Loss):
    """L = -sum over classes of y ln(a); Y also as m class numbers."""

    name = "categorical_cross_entropy"
    aliases = ("cce", "cross_entropy")
    formula = "-sum_k y_k ln a_k"
    fits = ("softmax",)
    targets = "distribution"
    advice = "For one class out of several, with a softmax output."

    def value(self, Y: Array, A: Array) -> Array:
        xp = _xp(A)
        return -xp.sum(Y * xp.log(_clipped(A)), axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        C = _clipped(A)
        return _where_unclipped(A, C, -Y / C)

    def smoothed(self, Y: Array, share: float) -> Array:
        return (1 - share) * Y + share / Y.shape[0]


@dataclass(frozen=True)
class Poisson(Loss):
    """L = sum over outputs of a - y + y ln(y / a), half the Poisson deviance."""

    name = "poisson"
    formula = "sum_k (a_k - y_k + y_k ln(y_k / a_k))"
    fits = ("exp", "softplus")
    targets = "non-negative"
    advice = "For counts."

    def value(self, Y: Array, A: Array) -> Array:
        xp = _xp(A)
        each = A - Y + _y_ln_y(Y) - Y * xp.log(_clipped(A, above=False))
        return xp.sum(each, axis=0)

    def derivative(self, Y: Array, A: Array) -> Array:
        C = _clipped(A, above=False)
        return 1 - _where_unclipped(A, C, Y / C)


LOSSES: dict[str, type[Loss]] = {
    entry.name: entry
    for entry in (
        BinaryCrossEntropy,
        CategoricalCrossEntropy,
        MeanSquaredError,
        HalfSquaredError,
        MeanAbsoluteError,
        Huber,
        Quantile,
        Poisson,
    )
}
"""Every loss by its name. A new one is a class above and a line here."""


class Pair:
    """A loss together with its output activation, worked out from Z: one entry of :data:`PAIRS`."""

    formula: ClassVar[str]

    def value(self, Y: Array, Z: Array, A: Array) -> Array:
        """Return the loss of each example, (m,)."""
        raise NotImplementedError

    def dZ(self, Y: Array, Z: Array, A: Array) -> Array:
        """Return dZ[L] = A - Y, the derivative of the loss by Z, of shape (n[L], m)."""
        return A - Y


class SigmoidBinaryCrossEntropy(Pair):
    """L = sum over outputs of max(z, 0) - z y + ln(1 + e^-|z|);  dZ = A - Y."""

    formula = "sum_k (max(z_k, 0) - z_k y_k + ln(1 + e^-|z_k|))"

    def value(self, Y: Array, Z: Array, A: Array) -> Array:
        xp = _xp(Z)
        positive = xp.maximum(Z, xp.zeros((), dtype=Z.dtype))
        return xp.sum(positive - Z * Y + xp.log1p(xp.exp(-xp.abs(Z))), axis=0)


class SoftmaxCategoricalCrossEntropy(Pair):
    """L = ln(sum_j e^z_j) - sum_k y_k z_k;  dZ = A - Y. The columns of Y sum to 1."""

    formula = "ln(sum_j e^z_j) - sum_k y_k z_k"

    def value(self, Y: Array, Z: Array, A: Array) -> Array:
        xp = _xp(Z)
        Z = Z - xp.max(Z, axis=0, keepdims=True)
        return xp.log(xp.sum(xp.exp(Z), axis=0)) - xp.sum(Y * Z, axis=0)


class ExpPoisson(Pair):
    """L = sum over outputs of e^z - y z + y ln(y) - y;  dZ = A - Y.

    Beyond the z where :class:`~pellucid.activations.Exp` is held, e^z goes on as its tangent.
    """

    formula = "sum_k (e^z_k - y_k z_k + y_k ln y_k - y_k)"

    def value(self, Y: Array, Z: Array, A: Array) -> Array:
        xp = _xp(Z)
        beyond = xp.maximum(Z - exp_limit(Z), xp.zeros((), dtype=Z.dtype))
        return xp.sum(A * (1 + beyond) - Y * Z + _y_ln_y(Y) - Y, axis=0)


PAIRS: dict[tuple[str, str], Pair] = {
    ("sigmoid", "binary_cross_entropy"): SigmoidBinaryCrossEntropy(),
    ("softmax", "categorical_cross_entropy"): SoftmaxCategoricalCrossEntropy(),
    ("exp", "poisson"): ExpPoisson(),
}
"""The fused pairs, by the names of the output activation and the loss."""


def loss(spec: str | Loss) -> Loss:
    """Return the loss that a name or a Loss stands for.

    >>> loss("bce")
    BinaryCrossEntropy()
    """
    return lookup(LOSSES, spec, Loss)


def pair(g: Activation | None, loss: Loss) -> Pair | None:
    """Return the fused pair of an output activation and a loss, or None."""
    return None if g is None else PAIRS.get((g.name, loss.name))


def one_hot(labels: Array, n_classes: int, dtype: Any) -> np.ndarray:
    """Return Y of shape (n_classes, m) from m class numbers.

    From (steps, m) class numbers it is (steps n_classes, m), unrolled as the outputs are.

    >>> one_hot(np.array([2, 0]), 3, np.float64)
    array([[0., 1.],
           [0., 0.],
           [1., 0.]])
    """
    by_example = labels.reshape(-1)[:, None] if labels.ndim == 1 else labels.T
    Y = np.zeros((*by_example.shape, n_classes), dtype=dtype)
    np.put_along_axis(Y, by_example[..., None], 1, axis=-1)
    return Y.reshape(len(by_example), -1).T


def is_custom(loss: Loss) -> bool:
    """Return whether a loss is not one of :data:`LOSSES`, so that no name stands for it.

    >>> is_custom(LOSSES["huber"](delta=2.0))
    False
    """
    return type(loss) is not LOSSES.get(loss.name)


def check_targets(Y: Any, loss: Loss, n_outputs: int, m: int, steps: int = 1) -> np.ndarray:
    """Return Y as an (n[L], m) array, or as m class numbers; refuse any other shape or value.

    Nothing is ever broadcast: a 1-D Y is taken where n[L] is 1, or as class numbers for
    categorical cross-entropy. Where a network has ``n_outputs`` at each of several steps, Y is
    (steps n_outputs, m), (steps, n_outputs, m), or (steps, m) class numbers.
    """
    Y = np.asarray(Y)
    if Y.dtype == bool:
        Y = Y.astype(np.int8)
    if Y.dtype.kind not in "iuf":
        raise TypeError(f"Y must hold numbers; got dtype {Y.dtype}. Encode the labels first.")
    if loss.targets == "distribution" and n_outputs == 1:
        raise ValueError(
            f"{loss.name} needs two outputs or more (softmax of one is always 1); the network has "
            "n[L] = 1. For yes or no use a sigmoid output and binary_cross_entropy."
        )
    labels = (m,) if steps == 1 else (steps, m)
    if loss.targets == "distribution" and Y.shape == labels:
        return _check_labels(Y, n_outputs)
    if Y.shape == (m,) and n_outputs * steps == 1:
        Y = Y[np.newaxis, :]
    if steps > 1 and Y.shape == (steps, n_outputs, m):
        Y = Y.reshape(-1, m)
    if Y.shape != (n_outputs * steps, m):
        hint = " Transpose it: Y.T." if Y.shape == (m, n_outputs * steps) else ""
        expected = f"(n[L], m) = ({n_outputs * steps}, {m}), a column for each example of X"
        if steps > 1:
            classes = ", or class numbers (steps, m)" * (loss.targets == "distribution")
            expected += f", for {steps} steps of {n_outputs} outputs{classes}"
        raise ValueError(f"Y must have shape {expected}; got {Y.shape}.{hint}")
    _check_range(Y, loss)
    checked: np.ndarray = Y
    return checked


def check_weights(
    sample_weight: Any, m: int, dtype: Any, name: str = "sample_weight"
) -> np.ndarray | None:
    """Return the weights of m examples as an array, None for None; refuse what is no weight."""
    if sample_weight is None:
        return None
    w = np.asarray(sample_weight)
    if w.shape != (m,):
        raise ValueError(f"{name} must have shape (m,) = ({m},); got {w.shape}.")
    if w.dtype.kind not in "biuf" or not np.isfinite(w).all() or (w < 0).any():
        raise ValueError(f"{name} must hold finite numbers of 0 or more.")
    if not w.any():
        raise ValueError(f"{name} is 0 for every example; at least one must be positive.")
    with np.errstate(over="ignore", under="ignore"):
        w = w.astype(dtype)
        total = w.sum()
    if not 0 < total < np.inf:
        what = "infinite" if total else "0 for every example"
        raise ValueError(
            f"{name} is {what} in {np.dtype(dtype)}, or its sum is. Divide it by its mean."
        )
    return w


def _check_labels(Y: np.ndarray, n_classes: int) -> np.ndarray:
    _check_finite(Y)
    labels = Y.astype(np.int64)
    if (labels != Y).any() or (labels < 0).any() or (labels >= n_classes).any():
        wrong = Y[(labels != Y) | (labels < 0) | (labels >= n_classes)][0]
        raise ValueError(
            f"Y as class numbers must hold the integers 0 to {n_classes - 1} (n[L] = {n_classes} "
            f"outputs); got {wrong:g}."
        )
    return labels


def _check_finite(Y: np.ndarray) -> None:
    if not np.isfinite(Y).all():
        raise ValueError("Y holds NaN or infinity. Remove those examples or fill the values in.")


_RANGES = {
    "unit": "between 0 and 1",
    "distribution": "between 0 and 1",
    "non-negative": "0 or more",
}


def _check_range(Y: np.ndarray, loss: Loss) -> None:
    _check_finite(Y)
    if loss.targets == "real":
        return
    low, high = Y.min(initial=0), Y.max(initial=0)
    if low < 0 or (high > 1 and loss.targets != "non-negative"):
        wrong = low if low < 0 else high
        raise ValueError(
            f"the loss {loss.name} takes targets {_RANGES[loss.targets]}; Y holds {wrong:g}. "
            "Scale or encode the targets, or choose another loss."
        )
    if loss.targets == "distribution" and not np.allclose(Y.sum(axis=0), 1, atol=1e-5):
        raise ValueError(
            f"the loss {loss.name} takes one-hot columns or probabilities: each column of Y must "
            "sum to 1. For several labels at once use sigmoid outputs and binary_cross_entropy."
        )


def _xp(array: Array) -> Any:
    return array.__array_namespace__()


def _clipped(A: Array, *, above: bool = True) -> Array:
    """A within [eps, 1 - eps], eps the machine epsilon of its dtype; below only on request."""
    xp = _xp(A)
    eps = float(xp.finfo(A.dtype).eps)
    return xp.clip(A, eps, 1 - eps if above else None)


def _where_unclipped(A: Array, C: Array, derivative: Array) -> Array:
    """The derivative of the clipped function: 0 where A was clipped to another value C."""
    xp = _xp(A)
    return xp.where(A == C, derivative, xp.zeros((), dtype=A.dtype))


def _y_ln_y(Y: Array) -> Array:
    """y ln y, 0 at y = 0."""
    xp = _xp(Y)
    return Y * xp.log(xp.where(Y > 0, Y, xp.ones((), dtype=Y.dtype)))
