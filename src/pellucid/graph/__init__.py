"""A computation graph: values from left to right, derivatives from right to left.

Lecture 002, 2.1.4: a function is cut into small operations, drawn as a graph. The forward pass goes
from left to right and gives each node its value; the backward pass goes from right to left and
gives each node, by the chain rule, the derivative of the last one with respect to it: "dvar".

>>> from pellucid.graph import Graph
>>> J = Graph("u = b c; v = a + u; J = 3 v", a=5, b=3, c=2)
>>> J.values["v"], J.values["J"]
(11.0, 33.0)
>>> J.derivatives["v"], J.derivatives["b"]
(3.0, 6.0)
>>> J.nudge("v", 0.001)["J"]
0.003

The same graph written in Python, where arrays, broadcasting and every function of
:data:`OPERATIONS` may be used, as ``call("exp", v)`` or, where NumPy has it, ``np.exp(v)``:

>>> from pellucid.graph import variable
>>> a, b, c = variable("a", 5), variable("b", 3), variable("c", 2)
>>> Graph(3 * (a + b * c)).derivatives
{'a': 3.0, 'b': 6.0, 'c': 9.0}
"""

from __future__ import annotations

from pellucid.graph.functions import activation, loss, register
from pellucid.graph.graph import Graph
from pellucid.graph.node import OPERATIONS, Node, call, constant, variable
from pellucid.record.operations import Operation

__all__ = [
    "OPERATIONS",
    "Graph",
    "Node",
    "Operation",
    "activation",
    "call",
    "constant",
    "loss",
    "register",
    "variable",
]
