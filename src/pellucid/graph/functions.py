"""Activations and losses of your own: written as a graph, checked, and known by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.activations import ACTIVATIONS, Activation
from pellucid.graph.graph import Graph
from pellucid.graph.node import Node, check_name, variable
from pellucid.losses import LOSSES, Loss

E = TypeVar("E", Activation, Loss)
Floats = NDArray[np.float64]

NEAR_KINK, STEP, TOLERANCE = 1e-3, 1e-5, 1e-6


class GraphActivation(Activation):
    """A = g(Z) for a g written with nodes; dZ comes from its computation graph."""

    function: ClassVar[Callable[[Node], Node]]
    derivative = "from its computation graph"
    needs_Z = True

    def __call__(self, Z: Any) -> Any:
        value = Graph(type(self).function(variable("z", Z))).forward()
        return np.broadcast_to(np.asarray(value, dtype=Z.dtype), Z.shape)

    def backward(self, dA: Any, Z: Any, A: Any) -> Any:
        graph = Graph((type(self).function(variable("z", Z)) * dA).sum())
        return np.asarray(graph.derivatives["z"], dtype=Z.dtype)


class GraphLoss(Loss):
    """The loss of each example written with nodes; dA[L] comes from its computation graph."""

    function: ClassVar[Callable[[Node, Node], Node]]
    fits = tuple(ACTIVATIONS)

    def value(self, Y: Any, A: Any) -> Any:
        found = Graph(type(self).function(variable("y", Y), variable("a", A))).forward()
        return np.broadcast_to(np.asarray(found, dtype=A.dtype), A.shape[1:])

    def derivative(self, Y: Any, A: Any) -> Any:
        graph = Graph(type(self).function(variable("y", Y), variable("a", A)).sum())
        return np.asarray(graph.derivatives["a"], dtype=A.dtype)


def activation(
    name: str,
    function: Callable[[Node], Node],
    *,
    kinks: tuple[float, ...] = (),
    initializer: str = "glorot_uniform",
) -> Activation:
    """Return the activation A = g(Z) whose g is written with nodes, registered under its name.

    Parameters
    ----------
    name : str
        Its name, for ``Dense(4, name)``; it runs on the reference engine.
    function : callable
        From the node z to the node g(z).
    kinks : tuple of float
        The z at which g has no derivative.
    initializer : str
        The start that suits it.

    Examples
    --------
    >>> from pellucid import Dense, Network
    >>> from pellucid.graph import activation, call
    >>> bent = activation("bent_identity", lambda z: (call("sqrt", z**2 + 1) - 1) / 2 + z)
    >>> bent(np.array([[0.0, 1.0]])).round(4)
    array([[0.    , 1.2071]])
    >>> net = Network([Dense(3, "bent_identity"), Dense(1)], n_inputs=2, seed=0)
    >>> del ACTIVATIONS["bent_identity"]  # forgets it
    """
    z = variable("z", 1.0)
    members = {
        "name": name,
        "formula": _node(function(z), "function(z)").expression(whole=True),
        "function": staticmethod(function),
        "kinks": tuple(kinks),
        "initializer": initializer,
    }
    made: Activation = register(type(name, (GraphActivation,), members)())
    return made


def loss(
    name: str,
    function: Callable[[Node, Node], Node],
    *,
    targets: str = "real",
    kink: bool = False,
) -> Loss:
    """Return the loss whose value is written with nodes, registered under its name.

    Parameters
    ----------
    name : str
        Its name, for ``train(..., loss=name)``; it runs on the reference engine.
    function : callable
        From the nodes y and a, both (n[L], m), to the loss of each example, (m,).
    targets : str
        What Y may hold: "real", "unit", "distribution" or "non-negative".
    kink : bool
        Whether the derivative jumps at a = y.

    Examples
    --------
    >>> from pellucid.graph import call, loss
    >>> log_cosh = loss(
    ...     "log_cosh",
    ...     lambda y, a: call("log", (call("exp", a - y) + call("exp", y - a)) / 2).sum(0),
    ... )
    >>> log_cosh.derivative(np.array([[0.0]]), np.array([[1.0]])).round(4)
    array([[0.7616]])
    >>> del LOSSES["log_cosh"]  # forgets it
    """
    y, a = variable("y", np.ones((1, 1))), variable("a", np.ones((1, 1)))
    members = {
        "name": name,
        "formula": _node(function(y, a), "function(y, a)").expression(whole=True),
        "function": staticmethod(function),
        "targets": targets,
        "kink": kink,
    }
    made: Loss = register(type(name, (GraphLoss,), members)())
    return made


def register(entry: E) -> E:
    """Make an activation or a loss of your own known by its name, once its derivative is right.

    The derivative is compared with central differences, (f(x + 1e-5) - f(x - 1e-5)) / 2e-5.

    Raises
    ------
    ValueError
        Where the derivative is wrong, or the name is that of an entry of Pellucid's own.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from pellucid.activations import Activation
    >>> @dataclass(frozen=True)
    ... class Square(Activation):
    ...     name = "square"
    ...     formula = "z^2"
    ...     derivative = "z"
    ...
    ...     def __call__(self, Z):
    ...         return Z**2
    ...
    ...     def backward(self, dA, Z, A):
    ...         return dA * Z
    >>> register(Square())
    Traceback (most recent call last):
    ValueError: activation 'square': its derivative is wrong: at z = ... it gives ...
    """
    if isinstance(entry, Activation):
        return _entered(ACTIVATIONS, entry, _check_activation)
    if isinstance(entry, Loss):
        return _entered(LOSSES, entry, _check_loss)
    raise TypeError(f"register takes an Activation or a Loss; got {entry!r}.")


def _entered(table: dict[str, Any], entry: E, check: Callable[[E], None]) -> E:
    check_name(entry.name)
    present = table.get(entry.name)
    if (
        present is not None
        and present.__module__.startswith("pellucid.")
        and not issubclass(present, (GraphActivation, GraphLoss))
    ):
        raise ValueError(
            f"{entry.kind} {entry.name!r} is one of Pellucid's own; choose another name."
        )
    check(entry)
    table[entry.name] = type(entry)
    return entry


def _check_activation(g: Activation) -> None:
    """Compare backward(dA, Z, A) with differences of sum(dA g(Z)), away from kinks."""
    Z = 1.5 * _drawn((4, 6), 1)
    for kink in g.kinks:
        Z[np.abs(Z - kink) < NEAR_KINK] += 2 * NEAR_KINK
    dA = _drawn(Z.shape, 2)
    A = _shaped(f"activation {g.name!r}: g(Z)", g(Z), Z.shape)
    found = _shaped(f"activation {g.name!r}: backward", g.backward(dA, Z, A), Z.shape)
    differences = _differences(lambda Z: float(np.sum(dA * g(Z))), Z)
    _compare(f"activation {g.name!r}", "z", Z, found, differences)


def _check_loss(loss: Loss) -> None:
    """Compare derivative(Y, A) with differences of the sum of value(Y, A)."""
    A = 0.5 + 0.4 * np.tanh(_drawn((3, 5), 3))
    Y = np.floor(A * 2) if loss.targets in ("unit", "non-negative") else _drawn(A.shape, 4)
    if loss.targets == "distribution":
        Y = np.eye(3)[:, np.arange(5) % 3]
    _shaped(f"loss {loss.name!r}: value", loss.value(Y, A), (5,))
    found = _shaped(f"loss {loss.name!r}: derivative", loss.derivative(Y, A), A.shape)
    differences = _differences(lambda A: float(np.sum(loss.value(Y, A))), A)
    _compare(f"loss {loss.name!r}", "a", A, found, differences)


def _differences(f: Callable[[Floats], float], X: Floats) -> Floats:
    found = np.empty_like(X)
    for place in np.ndindex(X.shape):
        above, below = X.copy(), X.copy()
        above[place] += STEP
        below[place] -= STEP
        found[place] = (f(above) - f(below)) / (above[place] - below[place])
    return found


def _compare(what: str, letter: str, X: Floats, found: Floats, differences: Floats) -> None:
    error = np.abs(found - differences)
    bound = TOLERANCE * max(1.0, float(np.abs(differences).max()))
    if np.isfinite(found).all() and (error <= bound).all():
        return
    place = np.unravel_index(
        int(np.nanargmax(np.where(np.isfinite(error), error, np.inf))), X.shape
    )
    raise ValueError(
        f"{what}: its derivative is wrong: at {letter} = {X[place]:.4g} it gives "
        f"{found[place]:.6g}, central differences give {differences[place]:.6g}. Correct it, name "
        "the kinks, or write the function with pellucid.graph, which derives it for you."
    )


def _shaped(what: str, values: Any, shape: tuple[int, ...]) -> Floats:
    found: Floats = np.asarray(values, dtype=np.float64)
    if found.shape != shape:
        raise ValueError(f"{what} should have the shape {shape}; it has {found.shape}.")
    return found


def _drawn(shape: tuple[int, ...], layer: int) -> Floats:
    return philox.normal(0, shape, stream=philox.WEIGHTS, layer=layer)


def _node(made: Any, what: str) -> Node:
    if not isinstance(made, Node):
        raise TypeError(f"{what} must return a node of the graph; it returned {made!r}.")
    return made
