"""Where the circles of a drawn network stand: its layers as columns, wide and many ones elided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pellucid.network import Network

WIDTH, HEIGHT = 360, 220
TOP, BOTTOM = 24, 168
MOST_UNITS, MOST_LAYERS = 8, 7
ENDS = 3
"""Of a wide layer, or of many layers, so many stand on either side of the dots."""


@dataclass(frozen=True)
class Column:
    """A layer as drawn: its centre x, the y of each circle, where dots stand, what is below.

    ``number`` is None for the dots that stand for several layers.
    """

    x: float
    number: int | None
    units: int
    g: str
    circles: tuple[float, ...]
    dots: float | None


@dataclass(frozen=True)
class Drawing:
    """The columns of a network and, between two that follow each other, the lines as SVG paths."""

    columns: tuple[Column, ...]
    lines: tuple[str, ...]
    radius: float
    words: str
    width: int = WIDTH
    height: int = HEIGHT


def draw(network: Network) -> Drawing:
    """Return how to draw a network.

    >>> from pellucid import Dense, Network
    >>> drawing = draw(Network([Dense(300, "selu"), Dense(1, "sigmoid")], n_inputs=2))
    >>> drawing.words
    '2 inputs, then 300 units (selu), then 1 unit (sigmoid)'
    >>> [len(column.circles) for column in drawing.columns]
    [2, 6, 1]
    """
    layers = [layer for layer in network.leaves if layer.computes_Z]
    g = ["", *(layer.activation.name if layer.activation else "" for layer in layers)]
    n = network.n
    numbers: list[int | None] = list(range(len(n)))
    if len(numbers) > MOST_LAYERS:
        numbers[ENDS:-ENDS] = [None]
    step = (WIDTH - 60) / max(1, len(numbers) - 1)
    columns = []
    for k, number in enumerate(numbers):
        x = round(30 + k * step, 1)
        if number is None:
            columns.append(Column(x, None, len(n) - 2 * ENDS, "", (), (TOP + BOTTOM) / 2))
        else:
            circles, dots = _heights(n[number])
            columns.append(Column(x, number, n[number], g[number], circles, dots))
    lines = [_lines(a, b) for a, b in pairwise(columns)]
    return Drawing(tuple(columns), tuple(lines), 6.0, _words(n, g))


def _heights(units: int) -> tuple[tuple[float, ...], float | None]:
    """The y of each circle of a layer, and of the dots where it has more than are shown."""
    places = units if units <= MOST_UNITS else 2 * ENDS + 1
    gap = min(22.0, (BOTTOM - TOP) / max(1, places - 1))
    top = (TOP + BOTTOM - gap * (places - 1)) / 2
    heights = [round(top + k * gap, 1) for k in range(places)]
    if units <= MOST_UNITS:
        return tuple(heights), None
    return tuple(heights[:ENDS] + heights[-ENDS:]), heights[ENDS]


def _lines(left: Column, right: Column) -> str:
    return "".join(
        f"M{left.x:g} {y:g}L{right.x:g} {z:g}" for y in left.circles for z in right.circles
    )


def _words(n: Sequence[int], g: Sequence[str]) -> str:
    """The network in words, for those who do not see the drawing."""
    parts = [f"{n[0]} input{'s' * (n[0] != 1)}"]
    parts += [
        f"{units} unit{'s' * (units != 1)} ({name})"
        for units, name in zip(n[1:], g[1:], strict=True)
    ]
    return ", then ".join(parts)
