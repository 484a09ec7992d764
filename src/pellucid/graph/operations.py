"""The operations of a computation graph: one table, each with its value and its derivatives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Value = Callable[..., Any]
Derivative = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class Operation:
    """What one node computes; one entry of :data:`OPERATIONS`.

    Attributes
    ----------
    name : str
    shown : str
        How the expression is written, with {0}, {1} for its inputs.
    value : callable
        From the inputs' values, and the options, to the node's.
    derivative : callable
        From d (of the node), the node's value and the inputs' values, and the options, to the d of
        each input; where an input was broadcast, the graph sums over the copies.
    rank : int
        How tightly it binds: 1 a sum, 2 a product, 3 a sign, 4 a power, 9 a call.
    """

    name: str
    shown: str
    value: Value
    derivative: Derivative
    rank: int = 9

    @property
    def n_inputs(self) -> int:
        """How many inputs it takes."""
        return len(set(re.findall(r"{\d}", self.shown)))


def _spread(d: Any, x: Values, axis: int | None, keepdims: bool) -> Any:
    """The d of a sum over an axis, for each of the numbers that were summed."""
    if axis is not None and not keepdims:
        d = np.expand_dims(d, axis)
    return np.broadcast_to(d, x.shape)


def _mean_derivative(
    d: Any, out: Any, x: Values, axis: int | None = None, keepdims: bool = False
) -> tuple[Any]:
    count = x.size if axis is None else x.shape[axis]
    return (_spread(d, x, axis, keepdims) / count,)


def _extreme_derivative(
    d: Any, out: Values, x: Values, axis: int | None = None, keepdims: bool = False
) -> tuple[Any]:
    """Shared equally among the largest (smallest)."""
    most = x == _spread(out, x, axis, keepdims)
    return (_spread(d, x, axis, keepdims) * most / most.sum(axis=axis, keepdims=True),)


def _matmul_derivative(d: Any, out: Any, x: Values, y: Values) -> tuple[Any, Any]:
    if x.ndim == 1 and y.ndim == 1:
        return d * y, d * x
    rows, columns = np.atleast_2d(x), y.reshape(-1, 1) if y.ndim == 1 else y
    d = np.reshape(d, (*np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2]),
                       rows.shape[-2], columns.shape[-1]))  # fmt: skip
    dx, dy = d @ columns.swapaxes(-1, -2), rows.swapaxes(-1, -2) @ d
    return (dx.reshape(x.shape) if x.ndim == 1 else dx,
            dy.reshape(y.shape) if y.ndim == 1 else dy)  # fmt: skip


def _sigmoid(x: Values) -> Values:
    e = np.exp(-np.abs(x))
    a: Values = np.where(x >= 0, 1.0, e) / (1 + e)
    return a


def _power_derivative(d: Any, out: Any, x: Values, p: Values) -> tuple[Any, Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        of_power = np.where(x > 0, out * np.log(np.where(x > 0, x, 1.0)), 0.0)
    return d * p * x ** np.where(p == 0, 1.0, p - 1), d * of_power


OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("add", "{0} + {1}", np.add, lambda d, out, x, y: (d, d), 1),
        Operation("subtract", "{0} - {1}", np.subtract, lambda d, out, x, y: (d, -d), 1),
        Operation("multiply", "{0} {1}", np.multiply, lambda d, out, x, y: (d * y, d * x), 2),
        Operation("divide", "{0} / {1}", np.divide, lambda d, out, x, y: (d / y, -d * out / y), 2),
        Operation("negative", "-{0}", np.negative, lambda d, out, x: (-d,), 3),
        Operation("power", "{0}^{1}", np.power, _power_derivative, 4),
        Operation("matmul", "{0} @ {1}", np.matmul, _matmul_derivative, 2),
        Operation("exp", "exp({0})", np.exp, lambda d, out, x: (d * out,)),
        Operation("log", "log({0})", np.log, lambda d, out, x: (d / x,)),
        Operation("log1p", "log1p({0})", np.log1p, lambda d, out, x: (d / (1 + x),)),
        Operation("sqrt", "sqrt({0})", np.sqrt, lambda d, out, x: (d / (2 * out),)),
        Operation("sin", "sin({0})", np.sin, lambda d, out, x: (d * np.cos(x),)),
        Operation("cos", "cos({0})", np.cos, lambda d, out, x: (-d * np.sin(x),)),
        Operation("tanh", "tanh({0})", np.tanh, lambda d, out, x: (d * (1 - out * out),)),
        Operation("sigmoid", "sigmoid({0})", _sigmoid, lambda d, out, x: (d * out * (1 - out),)),
        Operation("abs", "|{0}|", np.abs, lambda d, out, x: (d * np.sign(x),)),
        Operation(
            "maximum",
            "max({0}, {1})",
            np.maximum,
            lambda d, out, x, y: (d * (x > y), d * (y >= x)),
        ),
        Operation(
            "minimum",
            "min({0}, {1})",
            np.minimum,
            lambda d, out, x, y: (d * (x < y), d * (y <= x)),
        ),
        Operation(
            "where",
            "where({0}, {1}, {2})",
            lambda c, x, y: np.where(c > 0, x, y),
            lambda d, out, c, x, y: (np.zeros_like(c), d * (c > 0), d * (c <= 0)),
        ),
        Operation(
            "sum",
            "sum({0})",
            np.sum,
            lambda d, out, x, axis=None, keepdims=False: (_spread(d, x, axis, keepdims),),
        ),
        Operation("mean", "mean({0})", np.mean, _mean_derivative),
        Operation("max", "max({0})", np.max, _extreme_derivative),
        Operation("min", "min({0})", np.min, _extreme_derivative),
        Operation("transpose", "{0}^T", np.transpose, lambda d, out, x: (np.transpose(d),), 4),
    )
}
"""Every operation by its name. A new one is an entry here."""
