"""The drawing of a computation graph as SVG; networkx lays it out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from html import escape
from typing import Any

from pellucid.errors import MissingPackageError
from pellucid.graph.node import Node, shown_number

WIDE, HIGH, BOX = 200, 110, 150
"""Pixels from one column, and from one row, to the next, and the width of a box."""

_STYLE = (
    "text{font:15px sans-serif;text-anchor:middle;fill:currentColor}"
    ".node{fill:none;stroke:currentColor;stroke-width:1.5}"
    ".edge{fill:none;stroke:currentColor;opacity:.5}"
    ".value{fill:#1a7f37}.derivative{fill:#b3471d}"
    "@media(prefers-color-scheme:dark){.value{fill:#5fd38a}.derivative{fill:#f2a07b}}"
)


def svg(nodes: list[Node], value: Mapping[Node, Any], d: Mapping[Node, Any], last: Node) -> str:
    """Return the drawing: values in green above each node, derivatives in red below."""
    nodes = [node for node in nodes if node.operation or node.name]  # constants stand in formulas
    places = _places(nodes)
    width = max(x for x, _ in places.values()) + WIDE / 2
    height = max(y for _, y in places.values()) + HIGH / 2
    title = f"Computation graph of {last.name or 'J'} = {last.expression(whole=True)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
    ]
    for start, end in _steps(nodes):
        # through a placeholder an edge goes straight on, at a node it starts or ends at its box
        left = 0.0 if isinstance(start, tuple) else BOX / 2
        right = 0.0 if isinstance(end, tuple) else BOX / 2
        (x1, y1), (x2, y2) = places[start], places[end]
        parts.append(_edge(x1 + left, y1, x2 - right, y2))
    parts += [_box(node, places[node], value[node], d[node], node is last) for node in nodes]
    return "\n".join([*parts, "</svg>"])


Place = Node | tuple[Node, Node, int]
"""A node, or the placeholder of an edge in a column that it crosses."""


def _columns(nodes: list[Node]) -> dict[Node, int]:
    """How many steps each node is away from the last one: what enters stands just before."""
    steps = dict.fromkeys(nodes, 0)
    for node in reversed(nodes):
        for each in node.inputs:
            if each in steps:
                steps[each] = max(steps[each], steps[node] + 1)
    return steps


def _steps(nodes: list[Node]) -> list[tuple[Place, Place]]:
    """Every edge, cut into pieces from one column to the next."""
    steps = _columns(nodes)
    pieces: list[tuple[Place, Place]] = []
    for node in nodes:
        for each in dict.fromkeys(node.inputs):
            if each in steps:
                between = range(steps[each] - 1, steps[node], -1)
                path: list[Place] = [each, *((each, node, column) for column in between), node]
                pieces += itertools.pairwise(path)
    return pieces


def _places(nodes: list[Node]) -> dict[Place, tuple[float, float]]:
    """Where everything stands, in pixels: one column for each step from left to right."""
    try:
        import networkx
    except ImportError:
        raise MissingPackageError(
            "drawing a graph needs networkx: pip install 'pellucid[graph]'"
        ) from None
    steps = _columns(nodes)
    columns_of: dict[int, list[Place]] = {}
    for place in _in_order(nodes):
        column = place[2] if isinstance(place, tuple) else steps[place]
        columns_of.setdefault(-column, []).append(place)
    graph = networkx.empty_graph([place for column in columns_of.values() for place in column])
    layout = networkx.multipartite_layout(graph, subset_key=columns_of, align="vertical")
    columns = sorted({float(x) for x, _ in layout.values()})
    step = columns[1] - columns[0] if len(columns) > 1 else 1.0  # both axes have one unit
    left, top = columns[0], min(float(y) for _, y in layout.values())
    return {
        place: (((x - left) / step + 0.5) * WIDE, ((y - top) / step + 0.5) * HIGH)
        for place, (x, y) in layout.items()
    }


def _in_order(nodes: list[Node]) -> list[Place]:
    """From the last node back, inputs in their order: so few edges cross."""
    before: dict[Place, list[Place]] = {}
    for start, end in _steps(nodes):
        before.setdefault(end, []).append(start)
    order: dict[Place, None] = {}
    stack: list[Place] = [nodes[-1]]
    while stack:
        place = stack.pop()
        if place not in order:
            order[place] = None
            stack += reversed(before.get(place, []))
    return list(order)


def _edge(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x2 - x1) / 2
    return (
        f'<path class="edge" d="M{x1:.0f},{y1:.0f} C{x1 + bend:.0f},{y1:.0f} '
        f'{x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"/>'
    )


def _box(node: Node, place: tuple[float, float], value: Any, d: Any, last: bool) -> str:
    x, y = place
    text = node.expression()
    if node.operation is not None and (node.name or last):
        text = f"{node.name or 'J'} = {text}"
    text = text if len(text) <= 16 else text[:15] + "…"
    lines = [
        f'<rect class="node" x="{x - BOX / 2:.0f}" y="{y - 16:.0f}" width="{BOX}" height="32" '
        f'rx="{8 if node.operation else 16}"/>',
        f'<text x="{x:.0f}" y="{y + 5:.0f}">{escape(text)}</text>',
        f'<text class="value" x="{x:.0f}" y="{y - 22:.0f}">{escape(shown_number(value))}</text>',
    ]
    if not last:  # dJ/dJ is 1
        lines.append(
            f'<text class="derivative" x="{x:.0f}" y="{y + 34:.0f}">'
            f"{escape('d' + node.name)} = {escape(shown_number(d))}</text>"
        )
    return "".join(lines)
