"""Small networks of the lectures with data of their own: one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid.insight.trace.trace import Trace, trace
from pellucid.layers import Conv2D, Dense, Recurrent
from pellucid.network import Network

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Preset:
    """A network of the lectures with its data; one entry of :data:`PRESETS`.

    Attributes
    ----------
    name, title : str
    source : str
        The lecture.
    inputs : tuple of str
        What each row of X is, or its columns where they are unrolled; ``target`` is what Y is.
    X, Y : array
        (n[0], m) and (n[L], m).
    loss : str
    build : callable
        Returns the network.
    """

    name: str
    title: str
    source: str
    inputs: tuple[str, ...]
    target: str
    X: Array
    Y: Array
    loss: str
    build: Callable[[], Network]

    def trace(self, **how: Any) -> Trace:
        """Return the trace of one pass of all examples; ``how`` is what :func:`trace` takes."""
        title = f"{self.title} ({self.source})"
        names = {"inputs": self.inputs} if len(self.inputs) == len(self.X) else {}
        names |= {"outputs": (self.target,)} if len(self.Y) == 1 else {}
        how = {**names, "title": title, **how}
        return trace(self.build(), self.X, self.Y, self.loss, **how)


def _gate() -> Network:
    net = Network([Dense(1, "sigmoid")], n_inputs=2, dtype="float64", seed=0)
    net.set_parameters({1: ([[20, 20]], [[-30]])})
    return net


def _xor() -> Network:
    """OR and NAND in the hidden layer, their AND in the output: XOR."""
    net = Network([Dense(2, "sigmoid"), Dense(1, "sigmoid")], 2, dtype="float64", seed=0)
    net.set_parameters({1: ([[20, 20], [-20, -20]], [-10, 30]), 2: ([[20, 20]], [-30])})
    return net


def _house() -> Network:
    """The price is max(0, w x + b): never negative."""
    net = Network([Dense(1, "relu")], n_inputs=1, dtype="float64", seed=0)
    net.set_parameters({1: ([[0.14]], [[90]])})
    return net


def _class() -> Network:
    """Before any training, from a fixed seed."""
    return Network([Dense(3, "tanh"), Dense(1, "sigmoid")], 2, seed=1, dtype="float64")


def _movies() -> Network:
    """Two hidden units that see the two corners Susan dislikes: sums near 0 and near 2."""
    net = Network([Dense(2, "sigmoid"), Dense(1, "sigmoid")], 2, dtype="float64", seed=0)
    net.set_parameters({1: ([[6, 6], [6, 6]], [-3, -9]), 2: ([[8, -8]], [-4])})
    return net


def _edges() -> Network:
    """Bright on the left less bright on the right: 3 where the brightness falls, else 0."""
    net = Network([Conv2D(1, 3, "identity")], (6, 6, 1), dtype="float64", seed=0)
    net.set_parameters({1: ([[1, 0, -1] * 3], [0])})
    return net


def _echo() -> Network:
    """a<t> = 0.5 a<t-1> + x<t>: what was heard is heard again, half as loud."""
    net = Network([Recurrent(1, "identity", sequences=True)], (4, 1), dtype="float64", seed=0)
    net.set_parameters({1: ([[0.5, 1]], [0])})
    return net


_CORNERS = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], dtype=float)

PRESETS: dict[str, Preset] = {
    entry.name: entry
    for entry in (
        Preset(
            "and-gate",
            "The AND gate: one sigmoid unit with W = (20, 20), b = -30",
            "lecture 003",
            ("x1", "x2"),
            "x1 and x2",
            _CORNERS,
            np.array([[0, 0, 0, 1]], dtype=float),
            "binary_cross_entropy",
            _gate,
        ),
        Preset(
            "xor",
            "XOR: an OR unit and a NAND unit, and the AND of both",
            "lecture 003",
            ("x1", "x2"),
            "either x1 or x2",
            _CORNERS,
            np.array([[0, 1, 1, 0]], dtype=float),
            "binary_cross_entropy",
            _xor,
        ),
        Preset(
            "house-price-neuron",
            "One ReLU unit: the price of a house from its size, never negative",
            "lecture 002",
            ("size in square feet",),
            "price in 1000 dollars",
            np.array([[2104, 1600, 2400, 3000]], dtype=float),
            np.array([[400, 330, 369, 540]], dtype=float),
            "half_squared_error",
            _house,
        ),
        Preset(
            "pass-the-class",
            "Will I pass this class? Before any training",
            "lecture 003",
            ("lectures attended, of 10", "hours in the laboratory, of 10"),
            "passed",
            np.array([[0.4, 0.9, 0.2, 0.8, 0.6], [0.5, 0.7, 0.3, 0.2, 0.8]]),
            np.array([[0, 1, 0, 0, 1]], dtype=float),
            "binary_cross_entropy",
            _class,
        ),
        Preset(
            "movie-taste",
            "Susan likes romance or action, not both and not neither",
            "lecture 003",
            ("romance", "action"),
            "liked",
            np.array([[0.1, 0.2, 0.9, 0.8, 0.9], [0.1, 0.9, 0.1, 0.9, 0.2]]),
            np.array([[0, 1, 1, 0, 1]], dtype=float),
            "binary_cross_entropy",
            _movies,
        ),
        Preset(
            "edge-detector",
            "A filter of 3 x 3 finds the vertical edge of a picture of 6 x 6",
            "lecture 002",
            ("a picture of 6 x 6 pixels, bright on the left",),
            "1 where the edge is",
            np.tile([1.0, 1, 1, 0, 0, 0], 6).reshape(-1, 1),
            np.tile([0.0, 1, 1, 0], 4).reshape(-1, 1),
            "half_squared_error",
            _edges,
        ),
        Preset(
            "echo",
            "A unit that repeats its input, half as loud at each step",
            "lecture 004",
            ("a sound at the first of 4 steps",),
            "as loud at each step",
            np.array([[8.0, 0, 0, 0]]).T,
            np.array([[8.0, 8, 8, 8]]).T,
            "half_squared_error",
            _echo,
        ),
    )
}
"""Every preset by its name. A new one is an entry here."""


def preset(name: str) -> Preset:
    """Return the preset of this name.

    >>> float(preset("and-gate").trace().J)
    3.404917...e-05
    """
    if name not in PRESETS:
        raise ValueError(
            f"there is no preset {name!r}{did_you_mean(name, PRESETS)}. Known are: "
            f"{', '.join(PRESETS)}."
        )
    return PRESETS[name]
