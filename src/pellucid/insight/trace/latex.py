"""A trace as a LaTeX document, with amsmath's matrices."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import visible
from pellucid.insight.trace.text import count, labels, left_out, shapes
from pellucid.record import DIGITS, GREEK, Matrix, Picture, latex, name, pictures, shown
from pellucid.record.layout import PICTURES, picked

if TYPE_CHECKING:
    from pellucid.insight.trace.passes import Step
    from pellucid.insight.trace.trace import Trace

MOST = 6, 6
"""Rows and columns of a matrix: of a larger one the first are shown and the last."""

PAGE = 140
"""Digits, roughly, beside each other on a line: with more of them it is broken."""

_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    '"': r"\textquotedbl{}",
}
_MATH = {sign: rf"\{name}" for name, sign in GREEK.items()} | {
    "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "≈": r"\approx", "→": r"\to", "←": r"\leftarrow",
    "∞": r"\infty", "∑": r"\sum", "∂": r"\partial", "−": "-", "ϵ": r"\epsilon",
}  # fmt: skip
_SPECIAL |= {sign: rf"\ensuremath{{{written}}}" for sign, written in _MATH.items()}
_FONTS = r"""\ifdefined\Umathchar\else % not for lualatex and xelatex
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\fi
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
"""
_FITTED = r"""\setlength{\parindent}{0pt}
\setlength{\emergencystretch}{4em}
% a formula is made narrower where the page is too narrow for it
\newcommand{\fitted}[1]{\par\smallskip\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}%
{!}{$\displaystyle #1$}\par\smallskip}
"""
_LACKING = r"""\ifdefined\Umathchar\else\makeatletter % letters that pdflatex may not know
\newcommand{\lacking}[3]{\@ifundefined{u8:\detokenize{#1}}{\DeclareUnicodeCharacter{#2}{#3}}{}}
"""


def whole(kind: str, packages: str, lines: list[str]) -> str:
    """Return a document of lines; pdflatex, which knows few letters, is told of the others."""
    body = "\n".join([r"\begin{document}", *lines, "\\end{document}\n"])
    others = [
        rf"\lacking{{{c}}}{{{ord(c):04X}}}{{{_in_its_place(c)}}}"
        for c in sorted(set(body))
        if not c.isascii()
    ]
    told = "\n".join([*others, "\\makeatother\\fi\n"])
    return f"{kind}\n{_FONTS}{packages}{_FITTED}{_LACKING + told if others else ''}{body}"


def _in_its_place(character: str) -> str:
    """What stands for a letter that pdflatex does not know; ``?`` where nothing is like it."""
    alike = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    unseen = unicodedata.category(character) in ("Mn", "Cf")
    return escaped(alike) or ("" if unseen else "?")


def document(trace: Trace) -> str:
    """Return a whole document."""
    n = "-".join(map(str, trace.network.n))
    title = f"\\section*{{{escaped(trace.title)}}}\n" if trace.title else ""
    lines = [
        title,
        f"{n}, {count(trace.cache.X.shape[1])}, loss {escaped(trace.loss.name)}, "
        f"$J = {_number(trace.J)}$.",
        *(_fitted(f"{letter} = {_given(trace, letter)}") for letter in ("X", "Y")),
    ]
    for heading, steps in trace.sections().items():
        lines.append(f"\n\\subsection*{{{heading}}}")
        for step in steps:
            lines += step_lines(step)
    packages = "\\usepackage[margin=1.5cm]{geometry}\n\\usepackage{amsmath,graphicx}\n"
    return whole(r"\documentclass[a4paper]{article}", packages, lines)


def _given(trace: Trace, letter: str) -> str:
    values, volume = trace.Y if letter == "Y" else trace.cache.X, trace.volumes.get((letter, 0))
    if volume is not None:
        return _album(pictures(values, volume), MOST)[0]
    return f"{_matrix(values)}{_names(trace.names[letter])}"


def step_lines(
    step: Step, widest: int = PAGE, most: Sequence[tuple[int, int]] = (MOST,), highest: int = 100
) -> list[str]:
    """Return the lines of one step: its formula, what it is, the numbers.

    Of ``most``, pairs of rows and columns of a matrix, the first is taken with which the numbers
    are not higher than so many rows, or else the last.
    """
    why = rf"{escaped(step.why)} ({escaped(shapes(step))})"
    for each in most:
        numbers = _numbers(step, widest, each)
        if sum(height for _, height in numbers) <= highest:
            break
    before = [f"\n{left_out(step)}"] if step.left_out else []
    return [
        *before,
        "\n" + _fitted(latex(step.formula)),
        why,
        *(_fitted(line) for line, _ in numbers),
    ]


def _numbers(step: Step, widest: int, most: tuple[int, int]) -> list[tuple[str, int]]:
    """The result and what it is made of, on as many lines as its width asks for: their heights."""
    blocks = []
    for part in step.parts:
        if isinstance(part, Matrix):
            blocks.append(_block(part.pictures, part.shown, most, part.digits))
        else:
            blocks.append((latex(part), 1, len(part)))
    result, rows, columns = _block(step.pictures, step.shown, most)
    named = _names(list(step.names), most[0])
    blocks.append((f"= {result}{named}", rows, columns + 2 + max(map(len, step.names), default=0)))
    lines, used = [(f"{latex(name(step.key))} =", 1)], 4
    for k, (text, height, width) in enumerate(blocks):
        if k and used + width > widest:
            lines.append((r"\qquad", 1))
            used = 4
        line, high = lines.pop()
        space = r"\," if k and not text.startswith("=") else " "
        lines.append((f"{line}{space}{text}", max(high, height)))
        used += width
    return lines


def _block(
    found: list[Picture], values: NDArray[Any], most: tuple[int, int], digits: int = DIGITS
) -> tuple[str, int, int]:
    """An array, how many rows it has, and how wide it is."""
    if found:
        return _album(found, most)
    return _matrix(values, most, digits), *_size(values, most, digits)


def _album(found: list[Picture], most: tuple[int, int]) -> tuple[str, int, int]:
    """Pictures beside each other, what each is above it; of many the first."""
    blocks, height, width = [], 0, 0
    for each in found[:PICTURES]:
        rows, columns = _size(each.values, most)
        n = len(picked(each.values.shape[1], most[1]))
        lines = _lines(each.values, most)
        drawn = rf"\begin{{array}}{{|{'r' * n}|}}\hline {lines} \\ \hline\end{{array}}"
        label = rf"\text{{{escaped(each.label)}}}"
        blocks.append(rf"\overset{{{label}}}{{{drawn}}}" if each.label else drawn)
        height, width = max(height, rows + bool(each.label)), width + max(columns, len(each.label))
    if len(found) > PICTURES:
        blocks.append(rf"\text{{\dots{{}} {len(found) - PICTURES} more}}")
    return r"\;".join(blocks), height, width


def _size(values: NDArray[Any], most: tuple[int, int], digits: int = DIGITS) -> tuple[int, int]:
    """How many rows of a matrix are shown, and how wide it is, in digits."""
    if values.ndim == 0:
        return 1, len(shown(values))
    rows, columns = picked(len(values), most[0]), picked(values.shape[1], most[1])
    widths = (
        max((len(shown(values[row, column], digits)) for row in rows if row is not None), default=1)
        for column in columns
        if column is not None
    )
    return len(rows), sum(widths) + 2 * len(columns)


def _names(names: list[str], most: int = MOST[0]) -> str:
    rows = r" \\ ".join(rf"\text{{{escaped(each)}}}" for each in labels(names, most))
    return rf"\begin{{array}}{{l}}{rows}\end{{array}}" if names else ""


def _fitted(formula: str) -> str:
    return f"\\fitted{{{formula}}}"


def _matrix(values: NDArray[Any], most: tuple[int, int] = MOST, digits: int = DIGITS) -> str:
    if values.ndim == 0:
        return _number(values)
    return rf"\begin{{bmatrix}}{_lines(values, most, digits)}\end{{bmatrix}}"


def _lines(values: NDArray[Any], most: tuple[int, int], digits: int = DIGITS) -> str:
    rows, columns = picked(len(values), most[0]), picked(values.shape[1], most[1])
    lines = [" & ".join(_cell(values, row, column, digits) for column in columns) for row in rows]
    return r" \\ ".join(lines)


def _cell(values: NDArray[Any], row: int | None, column: int | None, digits: int) -> str:
    if row is None or column is None:
        both = row is None and column is None
        return r"\ddots" if both else r"\vdots" if row is None else r"\cdots"
    return r"\cdot" if np.isnan(values[row, column]) else _number(values[row, column], digits)


def _number(value: Any, digits: int = DIGITS) -> str:
    r"""``1.2 \cdot 10^{-5}`` for 1.2e-05."""
    return re.sub(
        r"e([-+])0*(\d+)", lambda e: rf" \cdot 10^{{{e[1].strip('+')}{e[2]}}}", shown(value, digits)
    )


def escaped(text: str) -> str:
    r"""Return text that LaTeX shows as it is.

    >>> escaped("50 % of_all")
    '50 \\% of\\_all'
    """
    text = re.sub(r"([-<>,'`])(?=\1)", "\\1\0", visible(" ".join(text.split())))
    return "".join(_SPECIAL.get(c, c) for c in text).replace("\0", "{}")  # -- stays two
