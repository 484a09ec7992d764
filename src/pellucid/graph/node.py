"""Nodes: variables, constants and operations, built with Python's own operators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid._shown import short
from pellucid.record.array import Recorded
from pellucid.record.operations import OPERATIONS as ALL_OPERATIONS
from pellucid.record.operations import Operation

Values = NDArray[np.float64]

OPERATIONS: dict[str, Operation] = {
    name: operation for name, operation in ALL_OPERATIONS.items() if operation.derivative
}
"""The operations of a graph by their names: those of pellucid.record that have a derivative."""

LONGEST_EXPRESSION = 20_000
"""Characters of an input that is written out."""


class Node(Recorded):
    """A variable, a constant, or an operation on other nodes.

    ``name`` is what it is called, "" for a node without a name; ``operation`` is None for
    variables and constants; ``start`` is the value they begin with.

    >>> x = variable("x", 2.0)
    >>> (x**2 + 1).expression()
    'x^2 + 1'
    """

    def __init__(
        self,
        operation: Operation | None = None,
        inputs: tuple[Node, ...] = (),
        *,
        name: str = "",
        start: Any = None,
        **options: Any,
    ) -> None:
        self.operation = operation
        self.inputs = inputs
        self.name = name
        self.start: Values | None = None if start is None else as_values(start)
        self.options = options

    @property
    def is_variable(self) -> bool:
        """Whether it is a variable: a named number that may be set and nudged."""
        return self.operation is None and bool(self.name)

    def named(self, name: str) -> Node:
        """Give the node a name, as v in v = a + u; return it."""
        check_name(name)
        self.name = name
        return self

    def expression(self, *, whole: bool = False) -> str:
        """Return how it is computed; named inputs stand by their names unless ``whole``."""
        return self._written(whole, {})

    def _written(self, whole: bool, texts: dict[Node, str]) -> str:
        """The expression, with those of its inputs in ``texts``.

        Each text may have the one before it twice, so one that is too long is not written out.
        """
        if self.operation is None:
            return self.name or shown_number(self.start)
        parts = []
        for place, node in enumerate(self.inputs):
            if node not in texts:
                named = node.name and not whole
                text = node.name if named else node._written(whole, texts)
                texts[node] = text if len(text) <= LONGEST_EXPRESSION else "…"
            text = texts[node]
            inner = node.operation if whole or not node.name else None
            rank = 9 if inner is None else inner.rank
            negative = inner is None and not node.name and text.startswith("-")
            outer = self.operation.rank
            tight = rank < outer or (rank == outer and place > 0) or negative
            parts.append(f"({text})" if outer < 9 and tight else text)
        return _spaced(self.operation.shown.format(*parts), self.operation, parts)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Node:
        """``np.exp(node)`` and ``array + node``: the operation of NumPy's name."""
        if method != "__call__" or options:
            raise TypeError(
                f"a node cannot be used in np.{ufunc.__name__}.{method}, or with options."
            )
        return call("abs" if ufunc is np.absolute else ufunc.__name__, *inputs)

    def __iter__(self) -> Iterator[Node]:
        raise TypeError(f"{self!r} cannot be unpacked.")

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} is not true or false: its value may change. Write where(x, a, b), which is "
            "a where x > 0."
        )

    def __repr__(self) -> str:
        return (
            f"<Node {self.name + ' = ' if self.operation and self.name else ''}{self.expression()}>"
        )

    def record(self, operation: str, *inputs: Any, **options: Any) -> Node:
        """Return a node for an operation of the table."""
        return call(operation, *inputs, **options)

    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> Node:
        """Return the sum, over all numbers or along an axis."""
        return call("sum", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | None = None, *, keepdims: bool = False) -> Node:
        """Return the mean, over all numbers or along an axis."""
        return call("mean", self, axis=axis, keepdims=keepdims)


def variable(name: str, value: Any = None) -> Node:
    """Return a variable; its value may also be given when the graph is evaluated.

    >>> variable("x", 3)
    <Node x>
    """
    check_name(name)
    return Node(name=name, start=value)


def constant(value: Any) -> Node:
    """Return a number or array that never changes."""
    return Node(start=value)


def call(operation: str, *inputs: Any, **options: Any) -> Node:
    """Return a node for an operation of the table; numbers and arrays become constants.

    >>> call("exp", variable("z"))
    <Node exp(z)>
    """
    if operation not in OPERATIONS:
        raise ValueError(
            f"unknown operation {operation!r}{did_you_mean(operation, OPERATIONS)}. Known are: "
            f"{', '.join(OPERATIONS)}."
        )
    nodes = tuple(each if isinstance(each, Node) else constant(each) for each in inputs)
    entry = OPERATIONS[operation]
    if len(nodes) != entry.n_inputs:
        raise ValueError(f"{operation} takes {entry.n_inputs} inputs; got {len(nodes)}.")
    return Node(entry, nodes, **options)


def as_values(value: Any) -> Values:
    """Return a number or array in float64; TypeError for anything else."""
    try:
        if value is not None:  # NumPy would make it NaN
            return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise TypeError(f"a graph computes with numbers and arrays; got {short(repr(value))}.")


def check_name(name: str) -> None:
    """Refuse what cannot name a node."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"a node's name must be a word such as 'v'; got {short(repr(name))}.")


def shown_number(value: Any) -> str:
    """Return a number in few digits, an array by its shape.

    >>> shown_number(0.1 + 0.2), shown_number(np.ones((2, 3)))
    ('0.3', '[2 x 3]')
    """
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{float(array):.6g}"
    return f"[{' x '.join(map(str, array.shape))}]"


def _spaced(text: str, operation: Operation, parts: list[str]) -> str:
    """A product of two numbers needs its sign: 3 4 would read as one number."""
    if operation.name == "multiply" and parts[1][:1].isdigit():
        return f"{parts[0]} * {parts[1]}"
    return text
