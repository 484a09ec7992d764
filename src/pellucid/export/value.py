"""Arrays that write down what is done to them, as nodes of an ONNX graph.

A :class:`Value` behaves as an array of the Python array API: the reference's forward pass, run on
one, leaves the graph of that network behind, whatever its layers and activations are. So there is
no second list of formulas to keep.

>>> from pellucid.export.graph import Graph
>>> graph = Graph()
>>> Z = graph.input("Z", np.float32, (3, "m"))
>>> A = XP.maximum(2 * Z, graph.constant(np.float32(0)))
>>> A.shape, [node.op_type for node in graph.nodes]
((3, 'm'), ['Mul', 'Max'])
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.record import OPERATIONS, Functions
from pellucid.record.array import Compared

if TYPE_CHECKING:
    from pellucid.export.graph import Graph

Shape = tuple[int | str, ...]
Order = tuple[int, ...]


class Rows(str):
    """A size that is known only when the graph runs: the number of rows, "m", or a multiple.

    >>> Rows("m") * 6, Rows("m") * 6 // 3 == Rows("m") * 2
    ('6 m', True)
    """

    name: str
    times: int
    graph: Graph | None

    def __new__(cls, name: str, times: int = 1, graph: Graph | None = None) -> Rows:
        made = super().__new__(cls, name if times == 1 else f"{times} {name}")
        made.name, made.times, made.graph = name, times, graph
        return made

    def __mul__(self, times: Any) -> Rows:
        return Rows(self.name, self.times * int(times), self.graph)

    __rmul__ = __mul__

    def __floordiv__(self, by: Any) -> Any:
        if isinstance(by, Rows):
            return self.times // by.times
        if self.times % by:
            raise ValueError(f"{self} rows are not {by} times a whole number of them")
        return Rows(self.name, self.times // int(by), self.graph)


class Value(Compared):
    """A number of the graph that is known only when it runs, with the operators of an array.

    Attributes
    ----------
    shape : tuple of int and Rows
        The lectures' shape, mostly (n, m): an example in each column.
    order : tuple of int
        Which axis of the shape each axis of the tensor is. Unless given, the axes are reversed:
        the tensor of an (n, m) is (m, n), as everyone hands rows to ONNX, and ``W @ A`` becomes
        MatMul(A^T, W^T).
    """

    __array_ufunc__ = None  # W @ value is value's to answer, not NumPy's

    def __init__(
        self,
        graph: Graph,
        name: str,
        dtype: np.dtype[Any],
        shape: Shape,
        order: Order | None = None,
    ) -> None:
        self.graph, self.name, self.dtype = graph, name, dtype
        self.shape: Any = tuple(Rows(n, graph=graph) if type(n) is str else n for n in shape)
        self.order = _reversed(len(shape)) if order is None else order

    def __array_namespace__(self, api_version: str | None = None) -> Functions:
        return XP

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def tensor_shape(self) -> Shape:
        """The shape of its tensor."""
        return tuple(self.shape[axis] for axis in self.order)

    def record(self, operation: str, *inputs: Any, **options: Any) -> Value:
        """Add the ONNX nodes of an operation of the table."""
        if operation in _WRITTEN_OUT:
            made: Value = _WRITTEN_OUT[operation](*inputs, **options)
            return made
        entry = OPERATIONS[operation]
        if not entry.onnx:
            raise AttributeError(f"the array function {operation!r} has no ONNX form yet")
        if operation == "matmul":
            return _matmul(self.graph, *inputs)
        if entry.kind == "sum":
            return _reduce(entry.onnx, *inputs, **options)
        given = list(inputs)
        if operation == "where" and not isinstance(given[0], Value):
            given[0] = self.graph.constant(given[0], bool)
        typed = [each for each in given[operation == "where" :] if isinstance(each, Value)]
        known = typed[0].dtype if typed else np.result_type(*given[1:])
        made_of = _alike(
            [each if isinstance(each, Value) else np.asarray(each, known) for each in given]
        )
        shape: Shape = ()
        for each in made_of:
            shape = _broadcast(shape, each.shape)
        dtype = np.dtype(bool) if entry.rank == 0 else known
        return self.graph.add(
            entry.onnx, *made_of, dtype=dtype, shape=shape, order=_order_of(made_of, len(shape))
        )

    def __bool__(self) -> bool:
        raise TypeError(
            "a formula with a branch on the values (if, and, or, max) cannot be exported; write it "
            "with the array API: xp.where(condition, x, y)"
        )

    def __floordiv__(self, other: int) -> Value:
        return self.with_("Div", other)  # of whole numbers of 0 or more

    def __getitem__(self, at: Any) -> Value:
        return _take(self, at)

    def reshape(self, *shape: Any) -> Value:
        """Return the same numbers in another shape, in C order."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return _reshape(self, wanted)

    def transpose(self, *axes: int) -> Value:
        """Return the array with its axes in another order; the tensor stays."""
        return _transpose(self, axes)

    def arranged(self, order: Order | None = None) -> Value:
        """Return the same array, the tensor's axes in this order; unless given, reversed."""
        order = _reversed(self.ndim) if order is None else order
        if order == self.order:
            return self
        if self.name in self.graph.arrays:
            return self.graph.constant(self.graph.arrays[self.name], order=order)
        made = Value(self.graph, self.name, self.dtype, self.shape, order)
        if _moving(self) == _moving(made):  # an axis of one entry may stand anywhere
            made.name = self.graph.reshaped(self.name, self.tensor_shape, made.tensor_shape)
        else:
            perm = tuple(self.order.index(axis) for axis in order)
            made.name = self.graph.transposed(self.name, perm)
        return made

    def astype(self, dtype: Any) -> Value:
        """Return the values in another dtype."""
        if np.dtype(dtype) == self.dtype:
            return self
        return self.graph.cast(self, dtype)

    def value(self, other: Any) -> Value:
        """Return a number or array as a constant of this dtype; a Value as it is."""
        return other if isinstance(other, Value) else self.graph.constant(other, self.dtype)

    def alone(self, operator: str, dtype: Any = None, **how: Any) -> Value:
        """Return what an element-wise operator makes of the values."""
        dtype = dtype or self.dtype
        return self.graph.add(
            operator, self, dtype=dtype, shape=self.shape, order=self.order, **how
        )

    def with_(self, operator: str, other: Any, dtype: Any = None) -> Value:
        """Return what an element-wise operator makes of the values and others."""
        pair = _alike([self, self.value(other)])
        shape = _broadcast(*(each.shape for each in pair))
        order = _order_of(pair, len(shape))
        return self.graph.add(operator, *pair, dtype=dtype or self.dtype, shape=shape, order=order)


class _Functions(Functions):
    """The array API's functions, as far as ONNX has them."""

    int64 = np.dtype("int64")
    arange = staticmethod(np.arange)

    def __getattr__(self, name: str) -> Any:
        if name not in OPERATIONS or not (OPERATIONS[name].onnx or name in _WRITTEN_OUT):
            raise AttributeError(f"the array function {name!r} has no ONNX form yet")
        recorded = super().__getattr__(name)

        def call(*inputs: Any, **options: Any) -> Any:
            if any(isinstance(each, Value) for each in inputs):
                return recorded(*inputs, **options)
            return getattr(np, name)(*inputs, **options)

        return call

    @staticmethod
    def asarray(x: Any, dtype: Any = None) -> Any:
        """Return an array of NumPy's; a Value as it is, or in another dtype."""
        if not isinstance(x, Value):
            return np.asarray(x, dtype=dtype)
        return x if dtype is None else x.astype(dtype)

    @staticmethod
    def reshape(x: Any, shape: Any) -> Any:
        """Return the same numbers in another shape."""
        return x.reshape(tuple(shape))

    @staticmethod
    def permute_dims(x: Any, axes: Any) -> Any:
        """Return the array with its axes in another order."""
        return x.transpose(*axes)

    @staticmethod
    def concat(arrays: Sequence[Any], axis: int = 0) -> Any:
        """Return arrays behind one another."""
        values = [each for each in arrays if isinstance(each, Value)]
        if not values:
            return np.concatenate(arrays, axis=axis)
        return values[0].graph.concatenate(list(arrays), axis)

    def repeat(self, x: Any, repeats: int, axis: int) -> Any:
        """Return each entry of an axis several times."""
        return self.take(x, np.repeat(np.arange(x.shape[axis]), repeats), axis=axis)

    @staticmethod
    def zeros(shape: Any, dtype: Any = np.float64) -> Any:
        """Return zeros, a Value where how many is known only when the graph runs."""
        return _full(shape, 0, dtype)

    @staticmethod
    def ones(shape: Any, dtype: Any = np.float64) -> Any:
        """Return ones."""
        return _full(shape, 1, dtype)


XP = _Functions()
"""The array API's functions that formulas of layers and activations call, on Values."""


# What ONNX lacks, and where it would lose digits --------------------------------------------------


def _expm1(x: Value) -> Any:
    """e^x - 1 = tanh(x/2) (e^x + 1), which loses no digits near 0."""
    return XP.tanh(x / 2) * (XP.exp(x) + 1)


def _log1p(x: Value) -> Any:
    """ln(1 + x): with u = 1 + x as it was rounded, ln(u) x / (u - 1), or x where u is 1."""
    u = 1 + x
    return XP.where(u == 1, x, XP.log(u) * (x / (u - 1)))


def _clip(x: Value, low: float, high: float) -> Any:
    """min(max(x, low), high)."""
    return XP.minimum(XP.maximum(x, low), high)


# Moves: no number changes, only where it stands ---------------------------------------------------


def _transpose(x: Value, axes: Sequence[int] | None = None) -> Value:
    """The tensor stays as it is: only what its axes are called changes."""
    wanted = list(axes or _reversed(x.ndim))
    order = tuple(wanted.index(axis) for axis in x.order)
    shape = tuple(x.shape[axis] for axis in wanted)
    return Value(x.graph, x.name, x.dtype, shape, order)


def _reshape(x: Value, shape: Sequence[Any]) -> Value:
    known = math.prod(_times(n) for n in shape if n != -1)
    total = math.prod(map(_times, x.shape))
    if -1 in shape:
        rows = next((n for n in x.shape if isinstance(n, Rows)), None)
        times = total // known
        if rows is not None and not any(isinstance(n, Rows) for n in shape):
            found: Any = Rows(rows.name, times, x.graph)
        else:
            found = times
        shape = tuple(found if n == -1 else n for n in shape)
    if math.prod(map(_times, shape)) != total:
        raise ValueError(f"an array of shape {x.shape} cannot be reshaped to {tuple(shape)}")
    x = x.arranged(_straight(x.ndim))
    name = x.graph.reshaped(x.name, x.tensor_shape, tuple(shape))
    return Value(x.graph, name, x.dtype, tuple(shape), _straight(len(shape)))


def _take(x: Value, at: Any) -> Value:
    """x[at]: slices, numbers, None, and at most one array of places."""
    at = at if isinstance(at, tuple) else (at,)
    given = sum(each is not None and each is not Ellipsis for each in at)
    if Ellipsis in [each for each in at if each is Ellipsis]:
        k = next(k for k, each in enumerate(at) if each is Ellipsis)
        at = (*at[:k], *(slice(None),) * (x.ndim - given), *at[k + 1 :])
    axis = 0
    for each in at:
        if each is None:
            x = _expand_dims(x, axis)
        elif isinstance(each, slice):
            x = _slice(x, axis, each)
        else:
            x = _gather(x, axis, each)
            axis += (each if isinstance(each, Value) else np.asarray(each)).ndim - 1
        axis += 1
    return x


def _slice(x: Value, axis: int, part: slice) -> Value:
    if part == slice(None):
        return x
    n = x.shape[axis]
    if isinstance(n, Rows):
        raise ValueError("the rows of an exported network cannot be cut")
    places = range(n)[part]
    if places == range(n):
        return x
    stop = places.stop if places.step > 0 or places.stop >= 0 else -(n + 1)
    numbers = (places.start, stop, x.order.index(axis), places.step)
    bounds = [x.graph.constant(np.array([number])) for number in numbers]
    shape = (*x.shape[:axis], len(places), *x.shape[axis + 1 :])
    return x.graph.add("Slice", x, *bounds, dtype=x.dtype, shape=shape, order=x.order)


def _gather(x: Value, axis: int, places: Any) -> Value:
    """Entries at these places of an axis; what they were found by takes the axis' place."""
    if not isinstance(places, Value):
        numbers = np.asarray(places)
        numbers = np.where(numbers < 0, numbers + x.shape[axis], numbers).astype(np.int64)
        places = x.graph.constant(numbers, order=_straight(numbers.ndim))
    places = places.arranged(_straight(places.ndim))
    k, extra = x.order.index(axis), places.ndim - 1
    order: list[int] = []
    for each in x.order:
        if each == axis:
            order += range(axis, axis + places.ndim)
        else:
            order.append(each if each < axis else each + extra)
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return x.graph.add("Gather", x, places, dtype=x.dtype, shape=shape, order=tuple(order), axis=k)


def _expand_dims(x: Value, axis: int = 0) -> Value:
    axis = range(x.ndim + 1)[axis]
    k = x.ndim - axis if x.order == _reversed(x.ndim) else axis
    order = [each if each < axis else each + 1 for each in x.order]
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    axes = x.graph.constant(np.array([k]))
    at = (*order[:k], axis, *order[k:])
    return x.graph.add("Unsqueeze", x, axes, dtype=x.dtype, shape=shape, order=at)


def _squeeze(x: Value, axis: int) -> Value:
    axis = range(x.ndim)[axis]
    axes = x.graph.constant(np.array([x.order.index(axis)]))
    shape, order = _without(x.shape, axis), _order_without(x.order, axis)
    return x.graph.add("Squeeze", x, axes, dtype=x.dtype, shape=shape, order=order)


def _flip(x: Value, axis: int) -> Value:
    return _take(x, (slice(None),) * range(x.ndim)[axis] + (slice(None, None, -1),))


def _full(shape: Any, number: float, dtype: Any) -> Any:
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    graph = next((n.graph for n in shape if isinstance(n, Rows)), None)
    if graph is None:
        return np.full(shape, number, dtype)
    return graph.full(shape, number, np.dtype(dtype))


_WRITTEN_OUT: dict[str, Callable[..., Any]] = {
    "expm1": _expm1,
    "log1p": _log1p,
    "clip": _clip,
    "transpose": _transpose,
    "reshape": lambda x, shape: _reshape(x, shape),
    "take": lambda x, at: _take(x, at),
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "flip": _flip,
}
"""What is no single operator of the table."""


# Operators ----------------------------------------------------------------------------------------


def _matmul(graph: Graph, x: Any, y: Any) -> Value:
    """x @ y: the tensors are the transposes, so that y^T x^T is what is written."""
    dtype = next(each.dtype for each in (x, y) if isinstance(each, Value))
    x, y = (each if isinstance(each, Value) else graph.constant(each, dtype) for each in (x, y))
    known = not any(isinstance(n, Rows) for n in x.shape[1:] + y.shape[:1])
    if (x.ndim, y.ndim) != (2, 2) or (known and x.shape[1] != y.shape[0]):
        raise ValueError(f"a matrix product of {x.shape} and {y.shape} cannot be exported")
    shape = (x.shape[0], y.shape[1])
    return graph.add("MatMul", y.arranged(), x.arranged(), dtype=dtype, shape=shape)


def _reduce(operator: str, x: Value, *, axis: int, keepdims: bool = False) -> Value:
    axis = range(x.ndim)[axis]
    k = x.order.index(axis)
    shape: Shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    order = x.order
    if not keepdims:
        shape, order = _without(x.shape, axis), _order_without(x.order, axis)
    how: dict[str, Any] = {"keepdims": int(keepdims), "dtype": x.dtype}
    how |= {"shape": shape, "order": order}
    # The axes became an input: of ReduceSum in opset 13, of the others in 18.
    if operator == "ReduceSum" or x.graph.opsets[""] >= 18:
        return x.graph.add(operator, x, x.graph.constant(np.array([k])), **how)
    return x.graph.add(operator, x, axes=[k], **how)


def _alike(values: list[Any]) -> list[Value]:
    """Values and arrays as Values of one order, with as many axes each, but for numbers."""
    n = max(each.ndim for each in values)
    order = next((each.order for each in values if isinstance(each, Value) and each.ndim == n), ())
    graph = next(each.graph for each in values if isinstance(each, Value))
    order = order or _reversed(n)
    found = []
    for each in values:
        if not isinstance(each, Value):
            if 0 < each.ndim < n:
                each = each.reshape((1,) * (n - each.ndim) + each.shape)
            each = graph.constant(each, order=order if each.ndim else None)
        for _ in range(n - each.ndim if each.ndim else 0):
            each = _expand_dims(each)
        found.append(each.arranged(order) if each.ndim else each)
    return found


def _order_of(values: list[Value], n: int) -> Order:
    return next(each.order for each in values if each.ndim == n)


def _broadcast(x: Shape, y: Shape) -> Shape:
    """The shape of x + y; the number of examples is not known, "m"."""
    if len(x) < len(y):
        x, y = y, x
    # numbers stand for themselves; of a size and 1, or of "m" and 1, the 1 gives way
    padded = (1,) * (len(x) - len(y)) + y
    for a, b in zip(x, padded, strict=True):
        if a != b and 1 not in (a, b):
            raise ValueError(f"shapes {x} and {y} do not fit together")
    return tuple(b if a == 1 else a for a, b in zip(x, padded, strict=True))


def _moving(x: Value) -> list[int]:
    """The axes of more than one entry, as the tensor has them."""
    return [axis for axis in x.order if x.shape[axis] != 1]


def _times(n: Any) -> int:
    return n.times if isinstance(n, Rows) else int(n)


def _reversed(n: int) -> Order:
    return tuple(range(n))[::-1]


def _straight(n: int) -> Order:
    return tuple(range(n))


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


def _order_without(order: Order, axis: int) -> Order:
    return tuple(each if each < axis else each - 1 for each in order if each != axis)
