"""An ONNX graph under construction, and arrays that write down what is done to them.

A :class:`Value` behaves as an array of the Python array API: the reference's forward pass, run on
one, leaves the graph of that network behind, whatever its layers and activations are. So there is
no second list of formulas to keep.

A Value has the lectures' shape (n, m), an example in each column; its tensor in the graph is the
transpose, (m, n), as everyone hands rows to ONNX. ``W @ A`` becomes MatMul(A^T, W^T).

>>> import numpy as np
>>> graph = Graph()
>>> Z = graph.input("Z", np.float32, (3, "m"))
>>> A = XP.maximum(2 * Z, graph.constant(np.float32(0)))
>>> A.shape, [node.op_type for node in graph.nodes]
((3, 'm'), ['Mul', 'Max'])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import MissingPackageError
from pellucid.record import OPERATIONS, Functions
from pellucid.record.array import Compared

try:
    import onnx
    from onnx import compose
except ImportError:
    raise MissingPackageError(
        "exporting to ONNX needs the package onnx: pip install 'pellucid[onnx]'"
    ) from None

ML = "ai.onnx.ml"
"""The domain of operators such as LabelEncoder."""

OPSETS, IR_VERSION = {"": 17, ML: 3}, 8
"""The oldest versions with all that is needed: ONNX Runtime 1.12 and newer run them."""

OLDEST = 13
"""The oldest opset in which the nodes of a network can be written."""

Shape = tuple[int | str, ...]


class Graph:
    """The nodes, constants, inputs and outputs of an ONNX model, as they are added.

    Attributes
    ----------
    nodes, initializers, inputs, outputs, functions : lists of the protobuf objects
    opsets : dict of str to int
        The version of each domain of operators.
    prefix : str
        Stands before the names of new nodes and constants, such as "2." for the second network.
    """

    def __init__(self, opset: int = OPSETS[""]) -> None:
        self.opsets = OPSETS | {"": opset}
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.functions: list[Any] = []
        self.prefix = ""
        self._names: set[str] = set()
        self._constants: dict[Any, Value] = {}
        self._known: dict[int, str] = {}
        self._kept: list[Any] = []

    def name_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Let constants made of these very arrays have these names, ``W1``, ``b1``, ..."""
        self._known = {id(array): name for name, array in arrays.items()}

    def input(self, name: str, dtype: Any, shape: Shape) -> Value:
        """Add an input of the lectures' shape; its tensor has the axes reversed."""
        name = self._unique(name)
        self.inputs.append(self._info(name, dtype, shape[::-1]))
        return Value(self, name, np.dtype(dtype), shape)

    def output(self, name: str, value: Value) -> None:
        """Make a value an output under this name."""
        name = self._unique(name)
        self.nodes.append(onnx.helper.make_node("Identity", [value.name], [name], name=name))
        self.outputs.append(self._info(name, value.dtype, value.shape[::-1]))

    def constant(self, array: Any, dtype: Any = None) -> Value:
        """Return an array as a value; numbers of one value are kept once."""
        name = self._known.get(id(array), "constant")
        array = np.asarray(array, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes()) if not array.ndim else id(array)
        if key not in self._constants:
            unique = self._unique(name)
            self.initializers.append(_tensor(array.T, unique))
            self._constants[key] = Value(self, unique, array.dtype, array.shape)
            self._kept.append(array)  # so that its id stays its own
        return self._constants[key]

    def add(
        self, operator: str, *inputs: Value, dtype: Any, shape: Shape, domain: str = "", **how: Any
    ) -> Value:
        """Add a node; ``dtype`` and ``shape`` are its output's."""
        name = self._unique(operator)
        taken = [value.name for value in inputs]
        node = onnx.helper.make_node(operator, taken, [name], name=name, domain=domain, **how)
        self.nodes.append(node)
        return Value(self, name, np.dtype(dtype), shape)

    def embed(self, model: Any, values: Mapping[str, Value], prefix: str, n: int | str) -> Value:
        """Add another model whose inputs are these values; return its output, n numbers a row."""
        prefix = self._unique(prefix) + "."
        model = compose.add_prefix(model, prefix)
        for name, value in values.items():
            self.nodes.append(onnx.helper.make_node("Identity", [value.name], [prefix + name]))
        self.nodes += model.graph.node
        self.initializers += model.graph.initializer
        self.functions += model.functions
        for each in model.opset_import:
            self.opsets.setdefault(each.domain, each.version)
        output = model.graph.output[0]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
        return Value(self, output.name, np.dtype(dtype), (n, "m"))

    def concatenate(self, values: list[Value]) -> Value:
        """Return values below one another, (n1 + n2 + ..., m): tensors side by side."""
        if len(values) == 1:
            return values[0]
        sizes = [value.shape[0] for value in values]
        known = all(isinstance(size, int) for size in sizes)
        shape = (sum(map(int, sizes)) if known else "n", values[0].shape[1])
        return self.add("Concat", *values, dtype=values[0].dtype, shape=shape, axis=1)

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """Return the graph as the content of an .onnx file, checked."""
        import pellucid

        model = onnx.helper.make_model(
            onnx.helper.make_graph(
                self.nodes, "pellucid", self.inputs, self.outputs, self.initializers
            ),
            functions=self.functions,
            opset_imports=[onnx.helper.make_opsetid(*each) for each in self.opsets.items()],
            ir_version=IR_VERSION,
            producer_name="pellucid",
            producer_version=pellucid.__version__,
        )
        onnx.helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content

    def _unique(self, wanted: str) -> str:
        """A name nothing has: networks' parameters keep theirs, others are numbered."""
        name, number = self.prefix + wanted, 1
        while name in self._names:
            number += 1
            name = f"{self.prefix}{wanted}_{number}"
        self._names.add(name)
        return name

    @staticmethod
    def _info(name: str, dtype: Any, tensor_shape: Shape) -> Any:
        return onnx.helper.make_tensor_value_info(name, _type(dtype), list(tensor_shape))


class Value(Compared):
    """A number of the graph that is known only when it runs, with the operators of an array."""

    __array_ufunc__ = None  # W @ value is value's to answer, not NumPy's

    def __init__(self, graph: Graph, name: str, dtype: np.dtype[Any], shape: Shape) -> None:
        self.graph, self.name, self.dtype, self.shape = graph, name, dtype, shape

    def __array_namespace__(self, api_version: str | None = None) -> Functions:
        return XP

    def record(self, operation: str, *inputs: Any, **options: Any) -> Value:
        """Add the ONNX nodes of an operation of the table."""
        if operation in _WRITTEN_OUT:
            made: Value = _WRITTEN_OUT[operation](*inputs, **options)
            return made
        entry = OPERATIONS[operation]
        if not entry.onnx:
            raise AttributeError(f"the array function {operation!r} has no ONNX form yet")
        if operation == "matmul":
            return _matmul(*inputs)
        if entry.kind == "sum":
            return _reduce(entry.onnx, *inputs, **options)
        of_dtype = next(each for each in inputs[operation == "where" :] if isinstance(each, Value))
        values = [of_dtype.value(each) for each in inputs]
        shape: Shape = ()
        for each in values:
            shape = _broadcast(shape, each.shape)
        dtype = np.dtype(bool) if entry.rank == 0 else of_dtype.dtype
        return self.graph.add(entry.onnx, *values, dtype=dtype, shape=shape)

    def __bool__(self) -> bool:
        raise TypeError(
            "a formula with a branch on the values (if, and, or, max) cannot be exported; write it "
            "with the array API: xp.where(condition, x, y)"
        )

    def astype(self, dtype: Any) -> Value:
        """Return the values in another dtype."""
        if np.dtype(dtype) == self.dtype:
            return self
        return self.graph.add("Cast", self, dtype=dtype, shape=self.shape, to=_type(dtype))

    def value(self, other: Any) -> Value:
        """Return a number or array as a constant of this dtype; a Value as it is."""
        return other if isinstance(other, Value) else self.graph.constant(other, self.dtype)

    def alone(self, operator: str, dtype: Any = None) -> Value:
        """Return what an element-wise operator makes of the values."""
        return self.graph.add(operator, self, dtype=dtype or self.dtype, shape=self.shape)

    def with_(self, operator: str, other: Any, dtype: Any = None) -> Value:
        """Return what an element-wise operator makes of the values and others."""
        other = self.value(other)
        shape = _broadcast(self.shape, other.shape)
        return self.graph.add(operator, self, other, dtype=dtype or self.dtype, shape=shape)


class _Functions(Functions):
    """The array API's functions, as far as ONNX has them."""

    def __getattr__(self, name: str) -> Any:
        if name not in OPERATIONS or not (OPERATIONS[name].onnx or name in _WRITTEN_OUT):
            raise AttributeError(f"the array function {name!r} has no ONNX form yet")
        return super().__getattr__(name)


XP = _Functions()
"""The array API's functions that formulas of layers and activations call, on Values."""


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


_WRITTEN_OUT: dict[str, Callable[..., Any]] = {"expm1": _expm1, "log1p": _log1p, "clip": _clip}
"""What ONNX lacks, and so that nothing is lost to rounding."""


def _matmul(W: Any, A: Any) -> Value:
    """W @ A: the tensors are the transposes, A^T W^T."""
    if not isinstance(A, Value):
        raise NotImplementedError("an unknown value @ a matrix; the lectures write W @ A")
    W = A.value(W)
    return A.graph.add("MatMul", A, W, dtype=A.dtype, shape=(W.shape[0], *A.shape[1:]))


def _reduce(operator: str, x: Value, *, axis: int, keepdims: bool = False) -> Value:
    axis = range(len(x.shape))[axis]
    left = list(x.shape)
    left[axis : axis + 1] = [1] if keepdims else []
    tensor_axis = len(x.shape) - 1 - axis  # the tensor is the transpose
    # The axes became an input: of ReduceSum in opset 13, of the others in 18.
    if operator == "ReduceSum" or x.graph.opsets[""] >= 18:
        axes = x.graph.constant(np.array([tensor_axis]))
        made = {"keepdims": int(keepdims), "dtype": x.dtype, "shape": tuple(left)}
        return x.graph.add(operator, x, axes, **made)  # type: ignore[arg-type]
    return x.graph.add(
        operator, x, dtype=x.dtype, shape=tuple(left), axes=[tensor_axis], keepdims=int(keepdims)
    )


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


def _type(dtype: Any) -> int:
    """ONNX's number of a dtype; objects and text are strings."""
    if np.dtype(dtype).kind in "OU":
        return int(onnx.TensorProto.STRING)
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _tensor(values: NDArray[Any], name: str) -> Any:
    if values.dtype.kind in "OU":
        texts = [str(each).encode() for each in values.ravel()]
        return onnx.helper.make_tensor(name, onnx.TensorProto.STRING, values.shape, texts)
    return onnx.numpy_helper.from_array(np.require(values, requirements="C"), name)
