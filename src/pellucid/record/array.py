"""Arrays that record what is done to them.

:class:`Recorded` has Python's operators and leaves to its subclasses what they mean;
:class:`Array` computes at once, as NumPy does, and keeps how its numbers came about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from pellucid.record.operations import OPERATIONS, Operation

Key = tuple[str, int] | tuple[str, int, int]
"""A letter and its layer: ("dW", 2) is dW[2]; at a step of a sequence, ("Z", 1, 3) is Z[1]<3>."""


class Recorded:
    """Python's operators; :meth:`record` says what is done with them."""

    def record(self, operation: str, *inputs: Any, **options: Any) -> Self:
        """Return the result of an operation of the table."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Self:
        return self.record("add", self, other)

    def __radd__(self, other: Any) -> Self:
        return self.record("add", other, self)

    def __sub__(self, other: Any) -> Self:
        return self.record("subtract", self, other)

    def __rsub__(self, other: Any) -> Self:
        return self.record("subtract", other, self)

    def __mul__(self, other: Any) -> Self:
        return self.record("multiply", self, other)

    def __rmul__(self, other: Any) -> Self:
        return self.record("multiply", other, self)

    def __truediv__(self, other: Any) -> Self:
        return self.record("divide", self, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self.record("divide", other, self)

    def __pow__(self, other: Any) -> Self:
        return self.record("power", self, other)

    def __rpow__(self, other: Any) -> Self:
        return self.record("power", other, self)

    def __matmul__(self, other: Any) -> Self:
        return self.record("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Self:
        return self.record("matmul", other, self)

    def __neg__(self) -> Self:
        return self.record("negative", self)

    def __abs__(self) -> Self:
        return self.record("abs", self)

    @property
    def T(self) -> Self:
        """The transpose."""
        return self.record("transpose", self)


class Compared(Recorded):
    """Comparisons too, entry by entry, as an array has them."""

    __hash__ = object.__hash__

    def __gt__(self, other: Any) -> Self:
        return self.record("greater", self, other)

    def __ge__(self, other: Any) -> Self:
        return self.record("greater_equal", self, other)

    def __lt__(self, other: Any) -> Self:
        return self.record("less", self, other)

    def __le__(self, other: Any) -> Self:
        return self.record("less_equal", self, other)

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        return self.record("equal", self, other)

    def __and__(self, other: Any) -> Self:
        return self.record("logical_and", self, other)

    def __or__(self, other: Any) -> Self:
        return self.record("logical_or", self, other)

    def __invert__(self) -> Self:
        return self.record("logical_not", self)


class Functions:
    """The Python array API's functions on recorded arrays: those of the table.

    What is known beforehand is an array of NumPy's; where it meets a recorded one it is a constant.
    """

    bool, float32, float64 = (np.dtype(name) for name in ("bool", "float32", "float64"))
    asarray: Callable[..., Any] = staticmethod(np.asarray)
    finfo = staticmethod(np.finfo)
    ones: Callable[..., Any] = staticmethod(np.ones)
    zeros: Callable[..., Any] = staticmethod(np.zeros)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in OPERATIONS:
            raise AttributeError(f"the array function {name!r} is not in the table of operations")
        return lambda *inputs, **options: first(inputs).record(name, *inputs, **options)

    def astype(self, x: Any, dtype: Any, **options: Any) -> Any:
        """Return the values in another dtype."""
        return x.astype(dtype)

    def take(self, x: Any, at: Any, *, axis: int) -> Any:
        """Return what stands at these places of an axis."""
        return x[(slice(None),) * axis + (at,)]


def first(inputs: Any) -> Any:
    """Return the first of the inputs that records."""
    return next(each for each in inputs if isinstance(each, Recorded))


_NUMPY_NAMES = {
    "absolute": "abs",
    "amax": "max",
    "amin": "min",
    "arctan": "atan",
    "concatenate": "concat",
    "float_power": "power",
    "permute_dims": "transpose",
    "matrix_transpose": "transpose",
    "pow": "power",
    "true_divide": "divide",
}
"""NumPy's and the array API's other names of operations in the table."""


class _NumpyFunctions(Functions):
    """All of NumPy: what the table lacks is one operation of its own name."""

    def __getattr__(self, name: str) -> Any:
        known = _NUMPY_NAMES.get(name, name)
        function = getattr(np, name, None)
        if known not in OPERATIONS and (not callable(function) or isinstance(function, type)):
            return getattr(np, name)

        def call(*given: Any, **options: Any) -> Any:
            if not any(isinstance(each, Array) for each in _flat(given)):
                return getattr(np, name)(*given, **options)
            return _called(known, function, given, options)

        return call

    @staticmethod
    def asarray(x: Any, dtype: Any = None, **options: Any) -> Any:
        """Return an array of NumPy's; one that records as it is, or in another dtype."""
        if not isinstance(x, Array):
            return np.asarray(x, dtype=dtype, **options)
        return x if dtype is None else x.astype(dtype)


_FUNCTIONS = _NumpyFunctions()


class Array(Compared):
    """An array of NumPy's numbers and how they came about.

    >>> W, X = Array(np.ones((1, 2)), key=("W", 1)), Array(np.ones((2, 3)), key=("X", 0))
    >>> Z = W @ X**2
    >>> Z.values, Z.operation.name, [each.key for each in Z.inputs]
    (array([[2., 2., 2.]]), 'matmul', [('W', 1), None])

    Attributes
    ----------
    values : array, or a Python number
        Exactly what NumPy computes; a Python number stays one, so that it takes on any dtype.
    operation : Operation or None
        What was done, None where the numbers are given; ``inputs`` and ``options`` to what and how.
    key : (str, int) or (str, int, int) or None
        What it is called: ("Z", 1), at step 3 ("Z", 1, 3).
    text : str
        How formulas write it, "" for its name; ``note`` is said after the formula.
    """

    __array_priority__ = 1000

    def __init__(
        self,
        values: Any,
        operation: Operation | None = None,
        inputs: tuple[Array, ...] = (),
        options: dict[str, Any] | None = None,
        *,
        key: Key | None = None,
        text: str = "",
        note: str = "",
    ) -> None:
        self.values = values
        self.operation, self.inputs, self.options = operation, inputs, options or {}
        self.key, self.text, self.note = key, text, note

    def record(self, operation: str, *inputs: Any, **options: Any) -> Self:
        """Compute an operation of the table and keep it."""
        return cast("Self", _recorded(OPERATIONS[operation], inputs, options))

    def whole(self, operation: str, **options: Any) -> Array:
        """Return what a function of the layers makes of it, as one operation of the table."""
        found = self.record(operation, self, **options)
        return self if found.values is self.values else found

    def named(self, key: Key) -> Array:
        """Give the array a name; one that has another already gets it as a copy. Return it."""
        if self.key is not None:
            return Array(self.values, SAME, (self,), key=key)
        self.key = key
        return self

    def again(self) -> Array:
        """Return the same array as another object, which may get a name of its own."""
        return Array(self.values, SAME, (self,))

    @property
    def is_number(self) -> bool:
        """Whether it is one number that stands for itself."""
        return np.ndim(self.values) == 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return np.shape(self.values)

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return np.ndim(self.values)

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(np.size(self.values))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return np.asarray(self.values).dtype

    mT = Recorded.T

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return _FUNCTIONS

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or "out" in options:
            return NotImplemented
        name = _NUMPY_NAMES.get(ufunc.__name__, ufunc.__name__)
        return _called(name, ufunc, inputs, options)

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        name = _NUMPY_NAMES.get(function.__name__, function.__name__)
        return _called(name, function, given, options)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Array]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, at: Any) -> Array:
        return self.record("take", self, at=_plain(at))

    def __bool__(self) -> bool:
        return bool(self.values)

    def __float__(self) -> float:
        return float(self.values)

    def __int__(self) -> int:
        return int(self.values)

    def __repr__(self) -> str:
        return f"<Array by {self.operation.name if self.operation else self.key}, {self.shape}>"

    def sum(self, axis: int | None = None, **options: Any) -> Array:
        """Return the sum, over all numbers or along an axis."""
        return self.record("sum", self, axis=axis, **options)

    def mean(self, axis: int | None = None, **options: Any) -> Array:
        """Return the mean, over all numbers or along an axis."""
        return self.record("mean", self, axis=axis, **options)

    def max(self, axis: int | None = None, **options: Any) -> Array:
        """Return the largest number, of all or along an axis."""
        return self.record("max", self, axis=axis, **options)

    def min(self, axis: int | None = None, **options: Any) -> Array:
        """Return the smallest number, of all or along an axis."""
        return self.record("min", self, axis=axis, **options)

    def clip(self, low: Any = None, high: Any = None) -> Array:
        """Return the numbers held between two bounds."""
        return self.record("clip", self, low, high)

    def reshape(self, *shape: Any, **options: Any) -> Array:
        """Return the same numbers in another shape."""
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return self.record("reshape", self, shape=shape, **options)

    def transpose(self, *axes: Any) -> Array:
        """Return the array with its axes in another order."""
        if not axes:
            return self.record("transpose", self)
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple) else axes
        return self.record("transpose", self, axes=order)

    def astype(self, dtype: Any, **options: Any) -> Array:
        """Return the values in another dtype."""
        return self if dtype == self.dtype else self.record("astype", self, dtype=dtype)

    def copy(self) -> Array:
        """Return the same numbers as an array of its own."""
        return self.again()


class Changing(Array):
    """An array that `+=` and its like change, as an optimizer does with W.

    >>> W = Changing(np.ones((1, 2)), key=("W", 1))
    >>> W -= 0.5 * Array(np.ones((1, 2)), key=("dW", 1))
    >>> W.values
    array([[0.5, 0.5]])
    """

    def _become(self, operation: str, other: Any) -> Self:
        before = Array(self.values, self.operation, self.inputs, self.options, key=self.key)
        after = before.record(operation, before, other)
        self.values, self.operation, self.inputs = after.values, after.operation, after.inputs
        self.options, self.key = after.options, None
        return self

    def __iadd__(self, other: Any) -> Self:
        return self._become("add", other)

    def __isub__(self, other: Any) -> Self:
        return self._become("subtract", other)

    def __imul__(self, other: Any) -> Self:
        return self._become("multiply", other)

    def __itruediv__(self, other: Any) -> Self:
        return self._become("divide", other)


SAME = Operation("same", "{0}", np.asarray)
"""Another name for the same numbers."""

_POSITIONAL: dict[str, tuple[str, ...]] = {
    "sum": ("axis",),
    "mean": ("axis",),
    "max": ("axis",),
    "min": ("axis",),
    "transpose": ("axes",),
    "reshape": ("shape",),
    "astype": ("dtype",),
    "expand_dims": ("axis",),
    "squeeze": ("axis",),
    "broadcast_to": ("shape",),
    "flip": ("axis",),
    "pad": ("pad_width", "mode"),
    "concat": ("axis",),
}
"""Options that may be given without their names, after the arrays."""


def _called(name: str, function: Any, given: Any, options: dict[str, Any]) -> Any:
    """What a function of NumPy's makes of arrays of which some record."""
    operation = OPERATIONS.get(name)
    if operation is not None and not (name == "clip" and {"a_min", "min"} & set(options)):
        if name == "concat":
            given = (*given[0], *given[1:])
        if name in _POSITIONAL:
            arrays = [each for each in given if isinstance(each, (Array, np.ndarray))]
            rest = given[len(arrays) :]
            named = dict(zip(_POSITIONAL[name], rest, strict=False))
            return _recorded(operation, tuple(arrays), named | options)
        return _recorded(operation, given, options)
    inputs = tuple(each for each in _flat((given, list(options.values()))) if _counts(each))
    values = function(*_plain(given), **{k: _plain(v) for k, v in options.items()})
    if not isinstance(values, (np.ndarray, np.generic)):
        return values
    return opaque(values, name, *inputs)


def _counts(each: Any) -> bool:
    return isinstance(each, (Array, np.ndarray))


def opaque(values: Any, name: str, *inputs: Any, shown: str = "") -> Array:
    """Return numbers of which it is only known by what function, and from what, they came.

    >>> opaque(np.ones(2), "einsum", Array(np.ones(2), key=("X", 0)))
    <Array by einsum, (2,)>
    """
    places = ", ".join(f"{{{k}}}" for k in range(len(inputs)))
    unknown = Operation(name, shown or f"{name}({places})", np.asarray, kind="unknown")
    return Array(values, unknown, tuple(map(as_array, inputs)))


def _recorded(operation: Operation, inputs: Any, options: dict[str, Any]) -> Array:
    arrays = tuple(map(as_array, inputs))
    options = {name: _plain(option) for name, option in options.items()}
    values = operation.value(*(each.values for each in arrays), **options)
    if isinstance(values, np.generic) and not any(_of_numpy(each.values) for each in arrays):
        values = values.item()  # a Python number again
    return Array(values, operation, arrays, options)


def _of_numpy(values: Any) -> bool:
    return isinstance(values, (np.ndarray, np.generic))


def as_array(value: Any) -> Array:
    """Return an array that records as it is, a number or an array of NumPy's as a constant."""
    if isinstance(value, Array):
        return value
    if value is None or isinstance(value, (bool, int, float, np.ndarray, np.generic)):
        return Array(value)
    return Array(np.asarray(value))


def plain(value: Any) -> Any:
    """Return NumPy's array of one that records; anything else as it is."""
    return value.values if isinstance(value, Array) else value


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(each) for each in value)
    return plain(value)


def _flat(given: Any) -> Iterator[Any]:
    for each in given:
        if isinstance(each, (tuple, list)):
            yield from _flat(each)
        else:
            yield each
