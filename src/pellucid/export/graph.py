"""An ONNX graph under construction: its nodes, constants, inputs and outputs.

What is added is a :class:`~pellucid.export.value.Value`, of the lectures' shape (n, m).

>>> import numpy as np
>>> graph = Graph()
>>> X = graph.input("X", np.float32, (3, "m"))
>>> graph.output("doubled", X + X)
>>> [node.op_type for node in graph.nodes]
['Add', 'Identity']
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import MissingPackageError
from pellucid.export.value import Order, Rows, Shape, Value

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


class Graph:
    """The nodes, constants, inputs and outputs of an ONNX model, as they are added.

    Attributes
    ----------
    nodes, initializers, inputs, outputs, functions : lists of the protobuf objects
    opsets : dict of str to int
        The version of each domain of operators.
    prefix : str
        Stands before the names of new nodes and constants, such as "2." for the second network.
    arrays : dict of str to array
        What each constant holds.
    """

    def __init__(self, opset: int = OPSETS[""]) -> None:
        self.opsets = OPSETS | {"": opset}
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.functions: list[Any] = []
        self.prefix = ""
        self.arrays: dict[str, NDArray[Any]] = {}
        self._names: set[str] = set()
        self._constants: dict[Any, Value] = {}
        self._known: dict[int, str] = {}
        self._transposed: dict[tuple[str, Order], str] = {}
        self._reshaped: dict[str, tuple[str, Shape]] = {}

    def name_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Let constants made of these very arrays have these names, ``W1``, ``b1``, ..."""
        self._known = {id(array): name for name, array in arrays.items()}

    def name_of(self, array: NDArray[Any]) -> str:
        """Return the name of an array that has one, else that of any constant."""
        return self._known.get(id(array), "constant")

    def input(self, name: str, dtype: Any, shape: Shape) -> Value:
        """Add an input of the lectures' shape; its tensor has the axes reversed."""
        name = self._unique(name)
        self.inputs.append(self._info(name, dtype, shape[::-1]))
        return Value(self, name, np.dtype(dtype), shape)

    def output(self, name: str, value: Value) -> None:
        """Make a value an output under this name."""
        name, value = self._unique(name), value.arranged()
        self.nodes.append(onnx.helper.make_node("Identity", [value.name], [name], name=name))
        self.outputs.append(self._info(name, value.dtype, value.tensor_shape))

    def constant(
        self, array: Any, dtype: Any = None, *, order: Order | None = None, name: str = ""
    ) -> Value:
        """Return an array as a value; what has no name of its own is kept once.

        ``order`` are the axes of its tensor, ``name`` what it is called.
        """
        name = name or self.name_of(array)
        own = name != "constant"
        array = np.asarray(array, dtype=dtype)
        order = tuple(range(array.ndim))[::-1] if order is None else order
        key: Any = id(array)
        if array.dtype != object and not own:  # the parts of W that each step takes, for one
            key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if (key, order) not in self._constants:
            unique = self._unique(name)
            self.initializers.append(_tensor(array.transpose(order), unique))
            self._constants[key, order] = Value(self, unique, array.dtype, array.shape, order)
            self.arrays[unique] = array  # so that its id stays its own
        return self._constants[key, order]

    def add(
        self,
        operator: str,
        *inputs: Value,
        dtype: Any,
        shape: Shape,
        order: Order | None = None,
        domain: str = "",
        **how: Any,
    ) -> Value:
        """Add a node; ``dtype``, ``shape`` and ``order`` are its output's."""
        name = self.node(operator, [value.name for value in inputs], domain=domain, **how)[0]
        return Value(self, name, np.dtype(dtype), shape, order)

    def cast(self, value: Value, dtype: Any) -> Value:
        """Add the node that gives the values another dtype."""
        how = {"shape": value.shape, "order": value.order, "to": _type(dtype)}
        return self.add("Cast", value, dtype=dtype, **how)

    def node(self, operator: str, taken: Sequence[str], outputs: int = 1, **how: Any) -> list[str]:
        """Add a node that takes the tensors of these names; return the names of its outputs."""
        names = [self._unique(operator) for _ in range(outputs)]
        self.nodes.append(onnx.helper.make_node(operator, taken, names, name=names[0], **how))
        return names

    def transposed(self, name: str, perm: Order) -> str:
        """Return the name of a tensor with its axes in another order, back and forth nothing."""
        if (name, perm) not in self._transposed:
            (made,) = self.node("Transpose", [name], perm=perm)
            back = tuple(perm.index(axis) for axis in range(len(perm)))
            self._transposed[name, perm], self._transposed[made, back] = made, name
        return self._transposed[name, perm]

    def reshaped(self, name: str, before: Shape, shape: Shape) -> str:
        """Return the name of a tensor in another shape, back and forth nothing."""
        name, before = self._reshaped.get(name, (name, before))
        if before == shape:
            return name
        sizes = self.constant(np.array([-1 if isinstance(n, Rows) else n for n in shape]))
        (made,) = self.node("Reshape", [name, sizes.name])
        self._reshaped[made] = name, before
        return made

    def full(self, shape: Sequence[Any], number: float, dtype: np.dtype[Any]) -> Value:
        """Return an array of one number, as large as the rows that are given."""
        first = self.inputs[0].name
        rows = self.node("Shape", [first], start=0, end=1) if self.opsets[""] >= 15 else None
        if rows is None:
            sizes = self.node("Shape", [first])
            zero = self.constant(np.array([0]))
            rows = self.node("Gather", [sizes[0], zero.name])
        parts = []
        for n in shape:
            size = self.constant(np.array([getattr(n, "times", n)]))
            parts += self.node("Mul", [rows[0], size.name]) if isinstance(n, Rows) else [size.name]
        (sizes_of,) = self.node("Concat", parts, axis=0)
        value = onnx.numpy_helper.from_array(np.array([number], dtype))
        (made,) = self.node("ConstantOfShape", [sizes_of], value=value)
        return Value(self, made, dtype, tuple(shape), tuple(range(len(shape))))

    def embed(self, model: Any, values: Mapping[str, Value], prefix: str, n: int | str) -> Value:
        """Add another model whose inputs are these values; return its output, n numbers a row."""
        prefix = self._unique(prefix) + "."
        model = compose.add_prefix(model, prefix)
        for name, value in values.items():
            self.nodes.append(
                onnx.helper.make_node("Identity", [value.arranged().name], [prefix + name])
            )
        self.nodes += model.graph.node
        self.initializers += model.graph.initializer
        self.functions += model.functions
        for each in model.opset_import:
            self.opsets.setdefault(each.domain, each.version)
        output = model.graph.output[0]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
        return Value(self, output.name, np.dtype(dtype), (n, "m"))

    def concatenate(self, values: list[Any], axis: int = 0) -> Value:
        """Return values below one another, (n1 + n2 + ..., m), or along another axis."""
        like = next(each for each in values if isinstance(each, Value))
        values = [like.value(each).arranged(like.order) for each in values]
        if len(values) == 1:
            return like
        axis = range(like.ndim)[axis]
        sizes = [value.shape[axis] for value in values]
        known = all(isinstance(size, int) for size in sizes)
        total = sum(map(int, sizes)) if known else "n"
        shape = (*like.shape[:axis], total, *like.shape[axis + 1 :])
        return self.add(
            "Concat",
            *values,
            dtype=like.dtype,
            shape=shape,
            order=like.order,
            axis=like.order.index(axis),
        )

    def prune(self) -> None:
        """Leave nodes and constants out on which no output depends."""
        needed = {each.name for each in self.outputs}
        kept = []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                kept.append(node)
                needed |= set(node.input)
        self.nodes = kept[::-1]
        self.initializers = [each for each in self.initializers if each.name in needed]

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """Return the graph as the content of an .onnx file, checked."""
        import pellucid

        self.prune()
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
