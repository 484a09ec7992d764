"""The operations: one table, each with its value, its derivatives, its ONNX name and its text.

Three kinds of arrays read it: :class:`pellucid.record.Array` knows its numbers, a node of
:mod:`pellucid.graph` waits for them, a value of :mod:`pellucid.export` becomes an ONNX node.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.layers.conv import by_channel, of_patches
from pellucid.layers.embedding import looked_up, summed_by_word
from pellucid.layers.shapes import by_place, held, unrolled

Values = NDArray[np.float64]
Value = Callable[..., Any]
Derivative = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class Operation:
    """What is done to arrays; one entry of :data:`OPERATIONS`.

    Attributes
    ----------
    name : str
        That of NumPy and the Python array API, where they have it.
    shown : str
        How the expression is written, with {0}, {1} for its inputs; LaTeX and MathML are read from
        it (:mod:`pellucid.record.formula`).
    value : callable
        From the inputs' values, and the options, to the result's.
    derivative : callable or None
        From d (of the result), the result's value and the inputs' values, and the options, to the d
        of each input; where an input was broadcast, whoever asks sums over the copies. None: a
        computation graph cannot use it.
    rank : int
        How tightly it binds: 1 a sum, 2 a product, 3 a sign, 4 a power, 9 a call.
    onnx : str
        ONNX's operator; "" where there is none.
    kind : str
        How an entry of the result comes about: "each" from the entries at its place, "sum" from
        those along an axis, "matmul", "move" from one entry elsewhere, or "gather" from some
        entries, which :func:`pellucid.record.entries.gathered` knows.
    written : str
        How the lectures write it, "" where that is ``shown``.
    """

    name: str
    shown: str
    value: Value
    derivative: Derivative | None = None
    rank: int = 9
    onnx: str = ""
    kind: str = "each"
    written: str = ""

    def __reduce__(self) -> Any:
        """Pickle one of the table by its name: its functions may be lambdas."""
        if OPERATIONS.get(self.name) is self:
            return _of_the_table, (self.name,)
        return Operation, tuple(getattr(self, each.name) for each in fields(self))

    @property
    def n_inputs(self) -> int:
        """How many inputs it takes."""
        return len(set(re.findall(r"{\d}", self.shown)))


def _of_the_table(name: str) -> Operation:
    return OPERATIONS[name]


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


def _flat_derivative(d: Any, out: Any, x: Values) -> tuple[Any]:
    return (np.zeros_like(x),)


def _concat(*arrays: Any, axis: int = 0) -> Any:
    return np.concatenate(arrays, axis=axis)


_ENTRYWISE = (
    Operation("add", "{0} + {1}", np.add, lambda d, out, x, y: (d, d), 1, "Add"),
    Operation("subtract", "{0} - {1}", np.subtract, lambda d, out, x, y: (d, -d), 1, "Sub"),
    Operation("multiply", "{0} {1}", np.multiply, lambda d, out, x, y: (d * y, d * x), 2, "Mul"),
    Operation(
        "divide", "{0} / {1}", np.divide, lambda d, out, x, y: (d / y, -d * out / y), 2, "Div"
    ),
    Operation("negative", "-{0}", np.negative, lambda d, out, x: (-d,), 3, "Neg"),
    Operation("power", "{0}^{1}", np.power, _power_derivative, 4, "Pow"),
    Operation("exp", "exp({0})", np.exp, lambda d, out, x: (d * out,), onnx="Exp"),
    Operation("expm1", "expm1({0})", np.expm1, lambda d, out, x: (d * (out + 1),)),
    Operation("log", "log({0})", np.log, lambda d, out, x: (d / x,), onnx="Log", written="ln({0})"),
    Operation(
        "log1p",
        "log1p({0})",
        np.log1p,
        lambda d, out, x: (d / (1 + x),),
        written="ln(1 + {0})",
    ),
    Operation("sqrt", "sqrt({0})", np.sqrt, lambda d, out, x: (d / (2 * out),), onnx="Sqrt"),
    Operation("sin", "sin({0})", np.sin, lambda d, out, x: (d * np.cos(x),), onnx="Sin"),
    Operation("cos", "cos({0})", np.cos, lambda d, out, x: (-d * np.sin(x),), onnx="Cos"),
    Operation("atan", "atan({0})", np.arctan, lambda d, out, x: (d / (1 + x * x),), onnx="Atan"),
    Operation("tanh", "tanh({0})", np.tanh, lambda d, out, x: (d * (1 - out * out),), onnx="Tanh"),
    Operation("sigmoid", "sigmoid({0})", _sigmoid, lambda d, out, x: (d * out * (1 - out),)),
    Operation("abs", "|{0}|", np.abs, lambda d, out, x: (d * np.sign(x),), onnx="Abs"),
    Operation("sign", "sign({0})", np.sign, _flat_derivative, onnx="Sign"),
    Operation("floor", "floor({0})", np.floor, _flat_derivative, onnx="Floor"),
    Operation(
        "maximum",
        "max({0}, {1})",
        np.maximum,
        lambda d, out, x, y: (d * (x > y), d * (y >= x)),
        onnx="Max",
    ),
    Operation(
        "minimum",
        "min({0}, {1})",
        np.minimum,
        lambda d, out, x, y: (d * (x < y), d * (y <= x)),
        onnx="Min",
    ),
    Operation("clip", "clip({0}, {1}, {2})", np.clip),
    Operation(
        "where",
        "where({0}, {1}, {2})",
        lambda c, x, y: np.where(c > 0, x, y),
        lambda d, out, c, x, y: (np.zeros_like(c), d * (c > 0), d * (c <= 0)),
        onnx="Where",
    ),
    Operation("astype", "{0}", lambda x, dtype: x.astype(dtype)),
    Operation("greater", "{0} > {1}", np.greater, rank=0, onnx="Greater"),
    Operation("greater_equal", "{0} >= {1}", np.greater_equal, rank=0, onnx="GreaterOrEqual"),
    Operation("less", "{0} < {1}", np.less, rank=0, onnx="Less"),
    Operation("less_equal", "{0} <= {1}", np.less_equal, rank=0, onnx="LessOrEqual"),
    Operation("equal", "{0} = {1}", np.equal, rank=0, onnx="Equal"),
    Operation("logical_and", "({0} and {1})", np.logical_and, onnx="And"),
    Operation("logical_or", "({0} or {1})", np.logical_or, onnx="Or"),
    Operation("logical_not", "not({0})", np.logical_not, onnx="Not"),
)
_ALONG_AN_AXIS = (
    Operation(
        "sum",
        "sum({0})",
        np.sum,
        lambda d, out, x, axis=None, keepdims=False: (_spread(d, x, axis, keepdims),),
        onnx="ReduceSum",
        kind="sum",
    ),
    Operation("mean", "mean({0})", np.mean, _mean_derivative, onnx="ReduceMean", kind="sum"),
    Operation("max", "max({0})", np.max, _extreme_derivative, onnx="ReduceMax", kind="sum"),
    Operation("min", "min({0})", np.min, _extreme_derivative, onnx="ReduceMin", kind="sum"),
    Operation("matmul", "{0} @ {1}", np.matmul, _matmul_derivative, 2, "MatMul", "matmul"),
)
_MOVED = (
    Operation(
        "transpose",
        "{0}^T",
        np.transpose,
        lambda d, out, x: (np.transpose(d),),
        4,
        kind="move",
    ),
    Operation("reshape", "reshape({0})", np.reshape, kind="move"),
    Operation("take", "{0}[...]", lambda x, at: x[at], kind="move"),
    Operation("expand_dims", "{0}", np.expand_dims, kind="move"),
    Operation("squeeze", "{0}", np.squeeze, kind="move"),
    Operation("broadcast_to", "{0}", np.broadcast_to, kind="move"),
    Operation("flip", "flip({0})", np.flip, kind="move"),
    Operation("pad", "pad({0})", np.pad, kind="move"),
    Operation("concat", "concat({0})", _concat, kind="move"),
)
_OF_LAYERS = (
    Operation("by_place", "{0}", by_place, kind="move"),
    Operation("unrolled", "{0}", unrolled, kind="move"),
    Operation("held", "{0}", held, kind="move"),
    Operation(
        "carried_on",
        "{0}",
        lambda now, before, there: np.where(there, now, before),
        kind="move",
    ),
    Operation("by_channel", "{0}", by_channel, kind="move"),
    Operation("of_patches", "{0}", of_patches, kind="move"),
    Operation("patches", "patches({0})", lambda A, enter: enter(A), kind="move"),
    Operation(
        "sum_over_patches",
        "sum over patches of {0}",
        lambda dP, enter, leave: leave(dP),
        rank=2,
        kind="gather",
    ),
    Operation("by_window", "{0}", lambda dA: np.expand_dims(dA.T, axis=1), kind="move"),
    Operation("windows", "windows({0})", lambda A, enter: enter(A), kind="move"),
    Operation(
        "sum_over_windows",
        "sum over windows of {0}",
        lambda dS, enter, leave: leave(dS),
        rank=2,
        kind="gather",
    ),
    Operation("looked_up", "{0}[:, words]", looked_up, kind="move"),
    Operation("summed_by_word", "sum of {0} by word", summed_by_word, rank=2, kind="gather"),
)
"""What layers do with volumes and sequences: how an example is laid out stands in no formula."""

OPERATIONS: dict[str, Operation] = {
    operation.name: operation for operation in (*_ENTRYWISE, *_ALONG_AN_AXIS, *_MOVED, *_OF_LAYERS)
}
"""Every operation by its name. A new one is an entry here."""
