"""Graph: the nodes before one node, their values and their derivatives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid._shown import LONGEST_QUOTED, short
from pellucid.graph.node import Node, as_values, shown_number
from pellucid.graph.parse import parse

Values = NDArray[np.float64]

WIDEST = 48
"""Characters of an expression in a table."""


class Graph:
    """J = f(a, b, ...), node by node: values left to right, dJ/dnode right to left.

    Source: lecture 002, 2.1.4.

    Parameters
    ----------
    last : Node or str
        What is computed: a node, or text such as ``"u = b c; v = a + u; J = 3 v"``.
    **values : number or array
        The variables' values, where they have none yet or others are wanted.

    Attributes
    ----------
    nodes : list of Node
        From left to right; inputs come before what they enter.
    values, derivatives : dict
        By name: the value of each named node, and d(sum of the last node) / d(node). Numbers are
        floats, arrays have the node's shape.

    Raises
    ------
    ValueError
        For a variable without a value, two nodes of one name, a cycle, an unknown operation.

    Examples
    --------
    >>> J = Graph("J = 3 (a + b c)", a=5, b=3, c=2)
    >>> print(J.text())
    node            value  derivative
    a                   5           3
    b                   3           6
    c                   2           9
    b c                 6           3
    a + b c            11           3
    J = 3 (a + b c)    33           1
    """

    def __init__(self, last: Node | str, /, **values: Any) -> None:
        self.last = parse(last, values) if isinstance(last, str) else last
        if not isinstance(self.last, Node):
            raise TypeError(f"a Graph is made of a node or of text; got {last!r}.")
        self.nodes = _ordered(self.last)
        self.by_name = _named(self.nodes, self.last)
        self._check_names(values)
        self.forward(**values)

    def forward(self, /, **values: Any) -> Any:
        """Compute every node from left to right, with new values where given; return the last."""
        self._check_names(values)
        self._given = {**getattr(self, "_given", {}), **values}
        self._value = self._evaluate({})
        self._d = self._backward()
        return _plain(self._value[self.last])

    @property
    def values(self) -> dict[str, Any]:
        """The value of each named node."""
        return {name: _plain(self._value[node]) for name, node in self.by_name.items()}

    @property
    def derivatives(self) -> dict[str, Any]:
        """d(last) / d(node) for each named node but the last: the lecture's "dvar"."""
        return {
            name: _plain(self._d[node])
            for name, node in self.by_name.items()
            if node is not self.last
        }

    def nudge(self, name: str, by: float = 0.001) -> dict[str, Any]:
        """Move one node by a little; return how much each named node after it moves.

        The derivative says what to expect: d(last) is about derivative times ``by``.

        >>> Graph("v = a + u; J = 3 v", a=5, u=6).nudge("a", 0.001)
        {'a': 0.001, 'v': 0.001, 'J': 0.003}
        """
        self._check_names({name: 0}, any_node=True)
        node = self.by_name[name]
        after = self._evaluate({node: self._value[node] + _step(by, node, self._value[node])})
        moved = {}
        for each, other in self.by_name.items():
            if node is other or node in _ordered(other):
                moved[each] = _plain(_moved(self._value[other], after[other]))
        return moved

    def text(self) -> str:
        """Return every node with its value and its derivative, from left to right."""
        rows = [("node", "value", "derivative")]
        for node in self.nodes:
            if node.operation is None and not node.name:
                continue
            named = node.operation is not None and (node.name or node is self.last)
            title = f"{node.name or 'J'} = {node.expression()}" if named else node.expression()
            title = title if len(title) <= WIDEST else title[: WIDEST - 1] + "…"
            rows.append((title, shown_number(self._value[node]), shown_number(self._d[node])))
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = [
            f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}" for row in rows
        ]
        return "\n".join(lines)

    def svg(self) -> str:
        """Return a drawing: each node with its operation, its value above and its derivative below.

        Needs networkx, which lays it out: ``pip install 'pellucid[graph]'``.
        """
        from pellucid.graph.draw import svg

        return svg(self.nodes, self._value, self._d, self.last)

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"<Graph {self.last.name or 'J'} = {self.last.expression(whole=True)}>"

    def _check_names(self, values: Mapping[str, Any], any_node: bool = False) -> None:
        known = [name for name, node in self.by_name.items() if any_node or node.operation is None]
        for name in values:
            if name not in known:
                raise ValueError(
                    f"there is no {'node' if any_node else 'variable'} {short(repr(name))}"
                    f"{did_you_mean(name, known)}; there are: {short(', '.join(known), 400)}."
                )

    def _evaluate(self, held: Mapping[Node, Any]) -> dict[Node, Values]:
        """Every node's value from left to right; those in ``held`` stay as given."""
        value: dict[Node, Values] = {}
        for node in self.nodes:
            if node in held:
                value[node] = as_values(held[node])
            elif node.operation is None:
                value[node] = self._start(node)
            else:
                value[node] = _computed(node, [value[each] for each in node.inputs])
        return value

    def _start(self, node: Node) -> Values:
        if node.name in self._given:
            return as_values(self._given[node.name])
        if node.start is None:
            raise ValueError(
                f"the variable {short(node.name)} has no value; give one: Graph(..., "
                f"{short(node.name)}=1.0)."
            )
        return node.start

    def _backward(self) -> dict[Node, Values]:
        """Each node's derivative from right to left, by the chain rule."""
        d = {node: np.zeros_like(self._value[node]) for node in self.nodes}
        d[self.last] = np.ones_like(self._value[self.last])
        for node in reversed(self.nodes):
            if node.operation is None or node.operation.derivative is None:
                continue
            inputs = [self._value[each] for each in node.inputs]
            with np.errstate(all="ignore"):  # 1 / 0 is infinite, here as in the forward pass
                found = node.operation.derivative(
                    d[node], self._value[node], *inputs, **node.options
                )
            for each, part in zip(node.inputs, found, strict=True):
                d[each] = d[each] + unbroadcast(part, self._value[each].shape)
        return d


def unbroadcast(d: Any, shape: tuple[int, ...]) -> Values:
    """Sum a derivative over the copies that broadcasting made of its input.

    >>> unbroadcast(np.ones((2, 3)), (2, 1))
    array([[3.],
           [3.]])
    """
    d = np.asarray(d, dtype=np.float64)
    d = d.sum(axis=tuple(range(d.ndim - len(shape)))) if d.ndim > len(shape) else d
    thin = tuple(k for k, n in enumerate(shape) if n == 1 and d.shape[k] != 1)
    return np.broadcast_to(d.sum(axis=thin, keepdims=True) if thin else d, shape)


def _computed(node: Node, inputs: list[Values]) -> Values:
    assert node.operation is not None
    try:
        with np.errstate(all="ignore"):
            return np.asarray(node.operation.value(*inputs, **node.options), dtype=np.float64)
    except (TypeError, ValueError):
        shapes = " and ".join(str(each.shape) for each in inputs)
        with_ = "".join(f", {name}={value!r}" for name, value in node.options.items())
        what = short(node.expression(), LONGEST_QUOTED)
        raise ValueError(
            f"{what}: {node.operation.name} cannot take the shapes {shapes}{with_}."
        ) from None


def _step(by: Any, node: Node, value: Values) -> Values:
    """What a node is moved by: a number, or one for each of its numbers."""
    step = as_values(by)
    if not np.isfinite(step).all() or step.shape not in ((), value.shape):
        raise ValueError(
            f"{node.name} is moved by a finite number, such as 0.001, or by an array of its shape "
            f"{value.shape}; got {by!r}."
        )
    return step


def _moved(before: Values, after: Values) -> Values:
    """The change alone, without the last digits, which are the rounding of the values."""
    size = max(float(np.abs(each).max(initial=0.0)) for each in (before, after))
    change: Values = after - before
    return np.round(change, 14 - math.ceil(math.log10(size))) if 0 < size < math.inf else change


def _ordered(last: Node) -> list[Node]:
    """The nodes before this one and itself, inputs first; ValueError for a cycle."""
    order: list[Node] = []
    done: set[int] = set()
    path: set[int] = set()
    stack: list[tuple[Node, bool]] = [(last, False)]
    while stack:
        node, left = stack.pop()
        if left:
            path.discard(id(node))
            done.add(id(node))
            order.append(node)
        elif id(node) in path:
            raise ValueError(
                f"the graph has a cycle: {short(node.name or 'a node')} depends on itself. A value "
                "cannot be its own input."
            )
        elif id(node) not in done:
            path.add(id(node))
            stack.append((node, True))
            stack += [(each, False) for each in reversed(node.inputs) if id(each) not in done]
    variables = [node for node in order if node.is_variable]
    return variables + [node for node in order if not node.is_variable]


def _named(nodes: list[Node], last: Node) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in nodes:
        if node.name in found:
            raise ValueError(
                f"two nodes are called {short(repr(node.name))}; each name stands for one node. "
                "Use the same variable twice, or name one of them differently."
            )
        if node.name:
            found[node.name] = node
    if not last.name:
        found.setdefault("J", last)
    return found


def _plain(value: Values) -> Any:
    """A number as a float, an array as it is."""
    return float(value) if value.ndim == 0 else value
