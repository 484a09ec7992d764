"""The network of a trace as a drawing: SVG for a page, TikZ for a lecture, one step a slide."""

from __future__ import annotations

import itertools
import math
from html import escape
from typing import TYPE_CHECKING

from pellucid._shown import short
from pellucid.insight.trace.latex import escaped, step_lines, whole
from pellucid.insight.trace.text import labels
from pellucid.layers.chain import walk
from pellucid.record.layout import picked

if TYPE_CHECKING:
    from pellucid.insight.trace.trace import Trace

UNITS = 6
"""Of a layer with more, the first ones are drawn and the last."""

WIDE, HIGH, RADIUS, BOX = 140, 44, 14, 96
"""Pixels from layer to layer, from unit to unit, of a unit, and of a volume's box."""

LETTER, LINE = 7, 16
"""Pixels of a letter, and from line to line."""

LONGEST, SHORT = 28, 18
"""Letters of a name beside or below the units, and above one."""

SLIDE, SLIDE_MOST, SLIDE_ROWS = 68, ((5, 6), (4, 5), (3, 4), (2, 3)), 11
"""Digits beside each other on a slide; rows and columns of a matrix, fewer where more than so many
rows would stand below each other."""

Place = tuple[float, float]


def places(trace: Trace) -> list[list[Place | None]]:
    """Return where each unit stands, layer by layer, in units of the grid; None is a gap.

    A volume or a sequence is one box.
    """
    found: list[list[Place | None]] = []
    for l, shape in enumerate(_shapes(trace)):
        rows = picked(math.prod(shape), UNITS) if len(shape) == 1 else [0]
        top = -(len(rows) - 1) / 2
        found.append([None if row is None else (l, top + k) for k, row in enumerate(rows)])
    return found


def _shapes(trace: Trace) -> list[tuple[int, ...]]:
    """The shape of what enters, and of each layer that computes a Z."""
    leaves = trace.network.leaves
    return [trace.network.input_shape, *(each.output_shape for each in leaves if each.computes_Z)]


def _boxes(trace: Trace) -> dict[int, str]:
    """What stands in the box of each layer that is a volume or a sequence."""
    shapes = enumerate(_shapes(trace))
    return {l: " x ".join(map(str, shape)) for l, shape in shapes if len(shape) > 1}


def captions(trace: Trace) -> list[list[str]]:
    """Return what stands below each column of units: their number, and the layers by their names.

    A layer without a Z of its own, such as a Scale, stands where its output does, with its shape
    where that is another.
    """
    kinds: list[list[str]] = [[] for _ in trace.network.n]
    shapes = _shapes(trace)
    for layer in walk(trace.network.layers):
        shape, before = layer.output_shape, shapes[layer.number]
        changed = "" if shape == before else f" {' x '.join(map(str, shape))}"
        kinds[layer.number].append(layer.name + changed)
        if layer.activation is not None:
            kinds[layer.number].append(layer.activation.name)
    return [
        [f"{n} unit{'' if n == 1 else 's'}" if l else f"{n} input{'' if n == 1 else 's'}"]
        + [short(kind, LONGEST) for kind in kinds[l]]
        for l, n in enumerate(trace.network.n)
    ]


def _named(trace: Trace) -> list[tuple[int, list[str]]]:
    """The users' names of what enters and of what leaves, with the layer they stand beside."""
    boxes = _boxes(trace)
    beside = ((0, trace.names["X"]), (trace.network.L, trace.names["Y"]))
    return [
        (l, [] if l in boxes else [short(each, LONGEST) for each in labels(names, UNITS)])
        for l, names in beside
    ]


def _inside(trace: Trace) -> dict[Place, str]:
    """The users' names of hidden units, by where these stand."""
    found: dict[Place, str] = {}
    boxes, layers = _boxes(trace), places(trace)
    for layer in trace.network.leaves:
        names, l = getattr(layer, "names", None), layer.number
        if names and l not in boxes and l != trace.network.L:
            shown = zip(layers[l], labels(names, UNITS), strict=True)
            found |= {place: short(name, SHORT) for place, name in shown if place}
    return found


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
        "</title><style>circle,rect{fill:none;stroke:currentColor}line{stroke:currentColor;opacity:.3}"
        "text{font:13px sans-serif;text-anchor:middle;fill:currentColor}.small{font-size:11px}"
        ".in{text-anchor:end}.out{text-anchor:start}</style>"
    ]
    boxes, inside = _boxes(trace), _inside(trace)
    for start, end in _edges(trace, layers):
        (x1, y1), (x2, y2) = pixels(start), pixels(end)
        x1 += BOX / 2 if start[0] in boxes else RADIUS
        x2 -= BOX / 2 if end[0] in boxes else RADIUS
        parts.append(f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"/>')
    for l, units in enumerate(layers):
        for k, place in enumerate(units):
            x, y = pixels(place or (l, -(len(units) - 1) / 2 + k))
            drawn = f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{RADIUS}"/>'
            if l in boxes:
                drawn = (
                    f'<rect x="{x - BOX / 2:.0f}" y="{y - HIGH / 2 + 4:.0f}" width="{BOX}" '
                    f'height="{HIGH - 8}"/><text class="small" x="{x:.0f}" y="{y + 4:.0f}">'
                    f"{boxes[l]}</text>"
                )
            if place in inside:
                said = escape(inside[place])
                at = f'x="{x:.0f}" y="{y - RADIUS - 4:.0f}"'
                drawn += f'<text class="small" {at}>{said}</text>'
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
        r"box/.style={draw,minimum height=7mm,font=\scriptsize},"
        r"below/.style={anchor=north,align=center,font=\scriptsize}]"
    ]
    boxes, inside = _boxes(trace), _inside(trace) if told else {}
    for start, end in _edges(trace, layers):
        how = "thick" if end[0] == layer else "black!30"
        lines.append(rf"\draw[{how}] {_at(start)} -- {_at(end)};")
    deepest = max(map(len, layers)) / 2
    for l, (units, caption) in enumerate(zip(layers, captions(trace), strict=True)):
        for k, place in enumerate(units):
            how = ("box" if l in boxes else "unit") + (",very thick" if l == layer else "")
            if place in inside:
                how += rf",label={{[font=\tiny]above:{{{escaped(inside[place])}}}}}"
            held = boxes.get(l, "").replace(" x ", r"$\times$")
            drawn = f"[{how},fill=white] at {_at(place)} {{{held}}}" if place else None
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


def _edges(trace: Trace, layers: list[list[Place | None]]) -> list[tuple[Place, Place]]:
    """What is connected: all units of one layer with all of the next, but for a mask."""
    masks = {layer.number: getattr(layer, "mask", None) for layer in trace.network.leaves}
    units = [picked(n, UNITS) for n in trace.network.n]
    boxes, found = _boxes(trace), []
    for l, (before, after) in enumerate(itertools.pairwise(layers), start=1):
        mask = None if {l, l - 1} & boxes.keys() else masks.get(l)
        for (j, start), (k, end) in itertools.product(enumerate(before), enumerate(after)):
            if start and end and (mask is None or mask[units[l][k], units[l - 1][j]]):
                found.append((start, end))
    return found


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
