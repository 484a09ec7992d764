"""The network of a trace as a drawing: SVG for a page, TikZ for a lecture, one step a slide."""

from __future__ import annotations

import itertools
from html import escape
from typing import TYPE_CHECKING

from pellucid.insight.trace.latex import escaped, step_lines
from pellucid.insight.trace.text import picked

if TYPE_CHECKING:
    from pellucid.insight.trace.trace import Trace

UNITS = 6
"""Of a layer with more, the first ones are drawn and the last."""

WIDE, HIGH, RADIUS = 140, 44, 14
"""Pixels from layer to layer, from unit to unit, and of a unit."""

Place = tuple[float, float]


def places(trace: Trace) -> list[list[Place | None]]:
    """Return where each unit stands, layer by layer, in units of the grid; None is a gap."""
    found: list[list[Place | None]] = []
    for l, n in enumerate(trace.network.n):
        rows = picked(n, UNITS)
        top = -(len(rows) - 1) / 2
        found.append([None if row is None else (l, top + k) for k, row in enumerate(rows)])
    return found


def svg(trace: Trace) -> str:
    """Return the network as SVG: its units, what connects them, and the layers' names."""
    layers = places(trace)
    tallest = max(map(len, layers))
    width, height = len(layers) * WIDE, (tallest + 1.5) * HIGH
    title = f"Network of {'-'.join(map(str, trace.network.n))} units"

    def pixels(place: Place) -> Place:
        return (place[0] + 0.5) * WIDE, (place[1] + tallest / 2 + 0.25) * HIGH

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="img" aria-label="{escape(title)}"><title>{escape(title)}'
        "</title><style>circle{fill:none;stroke:currentColor}line{stroke:currentColor;opacity:.3}"
        "text{font:13px sans-serif;text-anchor:middle;fill:currentColor}</style>"
    ]
    for start, end in _edges(layers):
        (x1, y1), (x2, y2) = pixels(start), pixels(end)
        parts.append(
            f'<line x1="{x1 + RADIUS:.0f}" y1="{y1:.0f}" x2="{x2 - RADIUS:.0f}" y2="{y2:.0f}"/>'
        )
    for l, units in enumerate(layers):
        for k, place in enumerate(units):
            x, y = pixels(place or (l, -(len(units) - 1) / 2 + k))
            drawn = f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{RADIUS}"/>'
            parts.append(drawn if place else f'<text x="{x:.0f}" y="{y + 5:.0f}">⋮</text>')
        below = (tallest + 1) * HIGH
        label = "X" if l == 0 else f"A[{l}]"
        parts.append(f'<text x="{(l + 0.5) * WIDE:.0f}" y="{below:.0f}">{label}</text>')
    return "\n".join([*parts, "</svg>"])


def tikz(trace: Trace, layer: int | None = None) -> str:
    r"""Return the network as a TikZ picture; what belongs to one layer is drawn thick."""
    layers = places(trace)
    lines = [r"\begin{tikzpicture}[x=2.2cm,y=-0.8cm,unit/.style={circle,draw,minimum size=5mm}]"]
    for start, end in _edges(layers):
        how = "thick" if end[0] == layer else "black!30"
        lines.append(rf"\draw[{how}] {_at(start)} -- {_at(end)};")
    deepest = max(map(len, layers)) / 2
    for l, units in enumerate(layers):
        for k, place in enumerate(units):
            how = "unit,very thick" if l == layer else "unit"
            drawn = f"[{how},fill=white] at {_at(place)} {{}}" if place else None
            gap = rf"at ({l},{-(len(units) - 1) / 2 + k:g}) {{$\vdots$}}"
            lines.append(rf"\node {drawn or gap};")
        label = "X" if l == 0 else f"A^{{[{l}]}}"
        lines.append(rf"\node at ({l},{deepest + 0.4:g}) {{${label}$}};")
    return "\n".join([*lines, r"\end{tikzpicture}"])


def slides(trace: Trace) -> str:
    """Return a beamer document: a slide for each step, with the layer it belongs to."""
    title = escaped(trace.title or repr(trace).strip("<>"))
    lines = [_HEAD + rf"\begin{{frame}}{{{title}}}\centering", tikz(trace), r"\end{frame}"]
    for heading, steps in trace.sections().items():
        for step in steps:
            drawing = tikz(trace, step.key[1] or None)
            lines += [
                rf"\begin{{frame}}{{{escaped(heading)}}}",
                rf"\begin{{center}}\scalebox{{0.6}}{{{drawing}}}\end{{center}}",
                *step_lines(step),
                r"\end{frame}",
            ]
    return "\n".join([*lines, "\\end{document}\n"])


def _edges(layers: list[list[Place | None]]) -> list[tuple[Place, Place]]:
    return [
        (start, end)
        for before, after in itertools.pairwise(layers)
        for start in before
        for end in after
        if start and end
    ]


def _at(place: Place) -> str:
    return f"({place[0]:g},{place[1]:g})"


_HEAD = r"""\documentclass{beamer}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,graphicx,tikz}
\setlength{\parindent}{0pt}
\setbeamertemplate{navigation symbols}{}
% a formula is made narrower where the slide is too narrow for it
\newcommand{\fitted}[1]{\par\smallskip\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}%
{!}{$\displaystyle #1$}\par\smallskip}
\begin{document}
"""
