"""Expressions as text: "u = b c; v = a + u; J = 3 v". Nothing is executed: the text is parsed."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pellucid._catalogue import did_you_mean
from pellucid._shown import LONGEST_QUOTED, short
from pellucid.graph.node import OPERATIONS, Node, call, constant, variable

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.MatMult: "matmul",
}
_SHORT = {"max": "maximum", "min": "minimum"}
"""With two inputs these are the element-wise ones."""
_JUXTAPOSED = re.compile(r"(?<=[\w.)])[ \t]+(?=[A-Za-z_(0-9])|(?<=\))(?=[\w(])")
_NUMBER_BEFORE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?![eE][-+]?\d|[\d.])(?=[A-Za-z_(])")
MAX_LENGTH = 20_000


def parse(text: str, values: Mapping[str, Any]) -> Node:
    """Return the node of the last line; names without a line of their own are variables.

    ``values`` are what the variables begin with.
    """
    lines = _lines(text)
    found: dict[str, Node] = {}
    under_way: list[str] = []

    def node_of(name: str) -> Node:
        if name in found:
            return found[name]
        if name in under_way:
            circle = " -> ".join([*under_way[under_way.index(name) :], name])
            raise ValueError(
                f"the graph has a cycle: {short(circle, LONGEST_QUOTED)}. A value cannot depend on "
                "itself; give one of them another name."
            )
        if name not in lines and name in OPERATIONS and name not in values:
            raise ValueError(f"{name} is an operation; write {name}(...).")
        if name not in lines:
            found[name] = variable(name, values.get(name))
        else:
            under_way.append(name)
            found[name] = _build(lines[name], node_of, name)
            under_way.pop()
        return found[name]

    try:
        last = node_of(list(lines)[-1])
    except RecursionError:
        raise ValueError(
            "the expression is nested too deeply; split it into named lines."
        ) from None
    unused = [name for name in lines if name not in found]
    if unused:
        raise ValueError(
            f"{short(unused[0])} is not part of the last line, {short(last.name)}; leave it out."
        )
    return last


def _lines(text: str) -> dict[str, ast.expr]:
    """The expression of each name, in order."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the expression has {len(text)} characters; at most {MAX_LENGTH}.")
    lines: dict[str, ast.expr] = {}
    pieces = [piece.strip() for piece in re.split(r"[;\n]", text) if piece.strip()]
    for position, piece in enumerate(pieces):
        name, sign, right = piece.rpartition("=")
        name = name.strip() if sign else ("J" if position == len(pieces) - 1 else "")
        if not name.isidentifier():
            raise ValueError(
                f"expected NAME = EXPRESSION, such as 'v = a + u'; got {short(repr(piece))}."
            )
        if name in lines:
            raise ValueError(f"{short(name)} is given twice; each name stands for one node.")
        lines[name] = _expression(right, piece)
    if not lines:
        raise ValueError("the expression is empty; write one such as 'J = 3 (a + b c)'.")
    return lines


def _expression(text: str, piece: str) -> ast.expr:
    """Two names side by side are multiplied, and ^ is a power, as on paper."""
    spelled = text.strip().replace("^", "**")
    spelled = _NUMBER_BEFORE.sub(r"\1*", spelled)
    spelled = _JUXTAPOSED.sub("*", spelled)
    try:
        return ast.parse(spelled, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(
            f"{short(repr(piece))} cannot be read; expected numbers, names, + - * / ^ @, "
            f"parentheses and {', '.join(OPERATIONS)}."
        ) from None


def _build(tree: ast.expr, node_of: Callable[[str], Node], name: str = "") -> Node:
    """The node of a parsed expression; only what is listed here is understood."""
    made: Node
    match tree:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            made = constant(_float(number))
        case ast.Name(id=other):
            made = node_of(other)
            if name:
                made = made + 0.0  # y = x: a node of its own, so that both names stand
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            made = constant(-_float(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            made = call("negative", _build(operand, node_of))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            made = call(_BINARY[type(op)], _build(left, node_of), _build(right, node_of))
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
            inputs = [_build(each, node_of) for each in args]
            made = call(_operation(function, len(inputs)), *inputs)
        case _:
            raise ValueError(
                f"{short(repr(ast.unparse(tree)))} is not understood; expected numbers, names, "
                f"+ - * / ^ @ and {', '.join(OPERATIONS)}."
            )
    return made.named(name) if name else made


def _float(number: float) -> float:
    """A whole number too large for float64 is infinite, as 1e999 is."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _operation(function: str, inputs: int) -> str:
    name = _SHORT.get(function, function) if inputs == 2 else function
    if name not in OPERATIONS:
        raise ValueError(
            f"unknown operation {short(repr(function))}{did_you_mean(function, OPERATIONS)}. Known "
            f"are: {', '.join(OPERATIONS)}. A product is written a * b."
        )
    return name
