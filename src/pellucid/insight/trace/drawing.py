"""The network of a trace as a drawing: SVG for a page, TikZ for a lecture, one step a slide."""

from __future__ import annotations

import itertools
from html import escape
from typing import TYPE_CHECKING

from pellucid._shown import short
from pellucid.insight.trace.latex import escaped, step_lines, whole
from pellucid.insight.trace.text import labels
from pellucid.record.layout import picked

if TYPE_CHECKING:
    from pellucid.insight.trace.trace import Trace

UNITS = 6
"""Of a layer with more, the first ones are drawn and the last."""

WIDE, HIGH, RADIUS = 140, 44, 14
"""Pixels from layer to layer, from unit to unit, and of a unit."""

LETTER, LINE = 7, 16
"""Pixels of a letter, and from line to line."""

LONGEST = 28
"""Letters of a name beside or below the units."""

SLIDE, SLIDE_MOST, SLIDE_ROWS = 68, ((5, 6), (4, 5), (3, 4), (2, 3)), 11
"""Digits beside each other on a slide; rows and columns of a matrix, fewer where more than so many
rows would stand below each other."""

Place = tuple[float, float]


def places(trace: Trace) -> list[list[Place | None]]:
    """Return where each unit stands, layer by layer, in units of the grid; None is a gap."""
    found: list[list[Place | None]] = []
    for l, n in enumerate(trace.network.n):
        rows = picked(n, UNITS)
        top = -(len(rows) - 1) / 2
        found.append([None if row is None else (l, top + k) for k, row in enumerate(rows)])
    return found


def captions(trace: Trace) -> list[list[str]]:
    """Return what stands below each column of units: their number, and the layers by their names.

    A layer without a Z of its own, such as a Scale, stands where its output does.
    """
    kinds: list[list[str]] = [[] for _ in trace.network.n]
    for layer in trace.network.layers:
        kinds[layer.number].append(layer.name)
        if layer.activation is not None:
            kinds[layer.number].append(layer.activation.name)
    return [
        [f"{n} unit{'' if n == 1 else 's'}" if l else f"{n} input{'' if n == 1 else 's'}"]
        + [short(kind, LONGEST) for kind in kinds[l]]
        for l, n in enumerate(trace.network.n)
    ]


def _named(trace: Trace) -> list[tuple[int, list[str]]]:
    """The users' names of what enters and of what leaves, with the layer they stand beside."""
    beside = ((0, trace.names["X"]), (trace.network.L, trace.names["Y"]))
    return [(l, [short(each, LONGEST) for each in labels(names, UNITS)]) for l, names in beside]


def svg(trace: Trace) -> str:
    """Return the network as SVG: its units, what connects them, the layers, the users' names."""
    layers, below = places(trace), captions(trace)
    tallest, deepest = max(map(len, layers)), max(map(len, below))
    (_, inputs), (_, outputs) = named = _named(trace)
    left, right = (LETTER * max(map(len, names), default=0) for names in (inputs, outputs))
    left, right = max(left - WIDE // 2 + 2 * RADIUS, 0), max(right - WIDE // 2 + 2 * RADIUS, 0)
    width = left + len(layers) * WIDE + right
    height = (tallest + 1) * HIGH + deepest * LINE + LINE
    title = f"Network of {'-'.join(map(str, trace.network.n))} units"

    def pixels(place: Place) -> Place:
        return left + (place[0] + 0.5) * WIDE, (place[1] + tallest / 2 + 0.25) * HIGH

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" style="max-width:100%;height:auto" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}'
        "</title><style>circle{fill:none;stroke:currentColor}line{stroke:currentColor;opacity:.3}"
        "text{font:13px sans-serif;text-anchor:middle;fill:currentColor}.small{font-size:11px}"
        ".in{text-anchor:end}.out{text-anchor:start}</style>"
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
        x, y = left + (l + 0.5) * WIDE, (tallest + 1) * HIGH
        parts.append(f'<text x="{x:.0f}" y="{y}">{_label(l)}</text>')
        for k, caption in enumerate(below[l]):
            at = f'x="{x:.0f}" y="{y + (k + 1) * LINE}"'
            parts.append(f'<text class="small" {at}>{escape(caption)}</text>')
    for (l, names), side in zip(named, ("in", "out"), strict=True):
        for name, place in zip(names, layers[l], strict=False):
            if place:
                x, y = pixels(place)
                x += (RADIUS + 6) * (-1 if side == "in" else 1)
                parts.append(
                    f'<text class="small {side}" x="{x:.0f}" y="{y + 4:.0f}">{escape(name)}</text>'
                )
    return "\n".join([*parts, "</svg>"])


def tikz(trace: Trace, layer: int | None = None, *, told: bool = True) -> str:
    r"""Return the network as a TikZ picture; what belongs to one layer is drawn thick.

    ``told``: with the users' names, and what the layers are.
    """
    layers = places(trace)
    lines = [
        r"\begin{tikzpicture}[x=2.2cm,y=-0.8cm,unit/.style={circle,draw,minimum size=5mm},"
        r"below/.style={anchor=north,align=center,font=\scriptsize}]"
    ]
    for start, end in _edges(layers):
        how = "thick" if end[0] == layer else "black!30"
        lines.append(rf"\draw[{how}] {_at(start)} -- {_at(end)};")
    deepest = max(map(len, layers)) / 2
    for l, (units, caption) in enumerate(zip(layers, captions(trace), strict=True)):
        for k, place in enumerate(units):
            how = "unit,very thick" if l == layer else "unit"
            drawn = f"[{how},fill=white] at {_at(place)} {{}}" if place else None
            gap = rf"at ({l},{-(len(units) - 1) / 2 + k:g}) {{$\vdots$}}"
            lines.append(rf"\node {drawn or gap};")
        label = "X" if l == 0 else f"A^{{[{l}]}}"
        words = map(escaped, caption if told else ())
        text = r"\\".join([rf"\normalsize${label}$", *words])
        lines.append(rf"\node[below] at ({l},{deepest:g}) {{{text}}};")
    for (l, names), side in zip(_named(trace) if told else (), ("left", "right"), strict=False):
        for name, place in zip(names, layers[l], strict=False):
            if place:
                how = rf"{side}=3mm,font=\scriptsize"
                lines.append(rf"\node[{how}] at {_at(place)} {{{escaped(name)}}};")
    return "\n".join([*lines, r"\end{tikzpicture}"])


def slides(trace: Trace) -> str:
    """Return a beamer document: a slide for each step, with the layer it belongs to."""
    title = escaped(trace.title or repr(trace).strip("<>"))
    lines = [
        rf"\begin{{frame}}{{{title}}}",
        rf"\drawn{{\linewidth}}{{0.75\textheight}}{{{tikz(trace)}}}",
        r"\end{frame}",
    ]
    for heading, steps in trace.sections().items():
        for step in steps:
            drawing = tikz(trace, step.key[1] or None, told=False)
            lines += [
                rf"\begin{{frame}}[shrink]{{{escaped(heading)}}}",
                rf"\drawn{{\linewidth}}{{0.25\textheight}}{{{drawing}}}",
                r"\small",
                *step_lines(step, SLIDE, SLIDE_MOST, SLIDE_ROWS),
                r"\end{frame}",
            ]
    return whole(r"\documentclass{beamer}", _PACKAGES, lines)


def _label(layer: int) -> str:
    return f"A[{layer}]" if layer else "X"


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


_PACKAGES = r"""\usepackage{amsmath,graphicx,tikz}
\setbeamertemplate{navigation symbols}{}
% a drawing in the middle, made smaller where it is wider or higher than it may be
\newsavebox{\drawing}
\newcommand{\drawn}[3]{\sbox{\drawing}{#3}%
\ifdim\wd\drawing>#1\sbox{\drawing}{\resizebox{#1}{!}{\usebox{\drawing}}}\fi
\ifdim\dimexpr\ht\drawing+\dp\drawing>#2\sbox{\drawing}{\resizebox{!}{#2}{\usebox{\drawing}}}\fi
{\centering\usebox{\drawing}\par}}
"""
