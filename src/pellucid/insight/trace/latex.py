"""A trace as a LaTeX document, with amsmath's matrices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid.insight.trace.text import count, labels, picked, shapes
from pellucid.record import Matrix, latex, name, shown

if TYPE_CHECKING:
    from pellucid.insight.trace.passes import Step
    from pellucid.insight.trace.trace import Trace

ROWS, COLUMNS = 6, 6
"""Larger matrices show their first rows and columns, and the last."""

_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_HEAD = r"""\documentclass[a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[margin=1.5cm]{geometry}
\usepackage{amsmath,graphicx}
\setlength{\parindent}{0pt}
% a formula is made narrower where the page is too narrow for it
\newcommand{\fitted}[1]{\par\smallskip\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}%
{!}{$\displaystyle #1$}\par\smallskip}
\begin{document}
"""


def document(trace: Trace) -> str:
    """Return a whole document."""
    n = "-".join(map(str, trace.network.n))
    title = f"\\section*{{{escaped(trace.title)}}}\n" if trace.title else ""
    lines = [
        _HEAD + title,
        f"{n}, {count(trace.cache.X.shape[1])}, loss {escaped(trace.loss.name)}, "
        f"$J = {_number(trace.J)}$.",
        *(
            _fitted(f"{a} = {_matrix(v)}{_names(trace.names[a])}")
            for a, v in (("X", trace.cache.X), ("Y", trace.Y))
        ),
    ]
    for heading, steps in trace.sections().items():
        lines.append(f"\n\\subsection*{{{heading}}}")
        for step in steps:
            lines += step_lines(step)
    return "\n".join([*lines, "\\end{document}\n"])


def step_lines(step: Step) -> list[str]:
    """Return the lines of one step: its formula, what it is, the numbers."""
    right = r"\,".join(_matrix(p.shown) if isinstance(p, Matrix) else latex(p) for p in step.parts)
    return [
        "\n" + _fitted(latex(step.formula)),
        rf"{escaped(step.why)} ({escaped(shapes(step))})",
        _fitted(f"{latex(name(step.key))} = {right} = {_matrix(step.values)}"),
    ]


def _names(names: list[str]) -> str:
    rows = r" \\ ".join(rf"\text{{{escaped(each)}}}" for each in labels(names, ROWS))
    return rf"\begin{{array}}{{l}}{rows}\end{{array}}" if names else ""


def _fitted(formula: str) -> str:
    return f"\\fitted{{{formula}}}"


def _matrix(values: NDArray[Any]) -> str:
    if values.ndim == 0:
        return _number(values)
    rows, columns = picked(len(values), ROWS), picked(values.shape[1], COLUMNS)
    lines = [" & ".join(_cell(values, row, column) for column in columns) for row in rows]
    return r"\begin{bmatrix}" + r" \\ ".join(lines) + r"\end{bmatrix}"


def _cell(values: NDArray[Any], row: int | None, column: int | None) -> str:
    if row is None or column is None:
        both = row is None and column is None
        return r"\ddots" if both else r"\vdots" if row is None else r"\cdots"
    return _number(values[row, column])


def _number(value: Any) -> str:
    r"""``1.2 \cdot 10^{-5}`` for 1.2e-05."""
    return re.sub(
        r"e([-+])0*(\d+)", lambda e: rf" \cdot 10^{{{e[1].strip('+')}{e[2]}}}", shown(value)
    )


def escaped(text: str) -> str:
    r"""Return text that LaTeX shows as it is.

    >>> escaped("50 % of_all")
    '50 \\% of\\_all'
    """
    return "".join(_SPECIAL.get(c, c) for c in text)
