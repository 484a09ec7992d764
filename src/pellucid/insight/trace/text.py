"""A trace for a terminal: matrices side by side, elided where they are large."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.record import DIGITS, Matrix, name, shown

if TYPE_CHECKING:
    from pellucid.insight.trace.passes import Step
    from pellucid.insight.trace.trace import Trace

NARROWEST = 40
ROWS, COLUMNS = 6, 8
"""Larger matrices show their first rows and columns, and the last."""

SHORTEST, LONGEST = 6, 16
"""Characters of a row's name: with room for less it is left out, for more columns make way."""

Block = list[str]


def as_text(trace: Trace, width: int | None) -> str:
    """Return the trace; no line is longer than the terminal is wide."""
    width = max(NARROWEST, width or shutil.get_terminal_size((80, 24)).columns)
    lines = [*_fitted(trace.title, width), ""] if trace.title else []
    lines += _fitted(
        f"{'-'.join(map(str, trace.network.n))}, {count(trace.cache.X.shape[1])}, "
        f"loss {trace.loss.name}, J = {trace.J:.6g}", width
    )  # fmt: skip
    lines += [""]
    for letter, values in (("X", trace.cache.X), ("Y", trace.Y)):
        names = labels(trace.names[letter], ROWS)
        room = min(max(map(len, names), default=-2), LONGEST) + 2
        lines += _labelled(_given(letter, values, width - room), names, width)

    for title, steps in trace.sections().items():
        lines += ["", title, "=" * len(title)]
        for step in steps:
            lines += ["", *_step(step, width)]
    return "\n".join(line.rstrip() for line in lines)


def count(m: int) -> str:
    """Return "1 example" or "5 examples"."""
    return f"{m} example{'' if m == 1 else 's'}"


def shapes(step: Step, times: str = "x") -> str:
    """Return the shape of the result and of what is put in, for the dimension check.

    ``"3x5: W[1] 3x2, X 2x5, b[1] 3x1"``.
    """
    given = [
        f"{name(p.key)}{'^T' if p.transposed else ''} {times.join(map(str, p.shown.shape))}"
        for p in step.parts
        if isinstance(p, Matrix)
    ]
    return f"{times.join(map(str, step.values.shape))}: {', '.join(dict.fromkeys(given))}"


def _given(title: str, values: NDArray[Any], width: int, digits: int = DIGITS) -> list[str]:
    for most, exact in _tries():
        lines = _beside([[f"{title} ="], matrix(values, ROWS, most, digits if exact else DIGITS)])
        if max(map(len, lines)) <= width or most == 2:
            break
    return lines


def _tries() -> Iterator[tuple[int, bool]]:
    """How many columns are tried: all, then with the digits that are usual, then fewer."""
    yield COLUMNS, True
    for columns in range(COLUMNS, 0, -1):
        yield columns, False


def labels(names: list[str], most: int) -> list[str]:
    """Return the names of the rows that are shown; "" for the gap."""
    return ["" if row is None else names[row] for row in picked(len(names), most)]


def _labelled(lines: list[str], names: list[str], width: int) -> list[str]:
    """Names beside the rows, cut where the terminal ends."""
    widest = max(map(len, lines))
    room = width - widest - 2
    if not names or room < min(SHORTEST, max(map(len, names))):
        return lines
    cut = [each if len(each) <= room else each[: room - 1] + "…" for each in names]
    return [f"{line:<{widest}}  {each}" for line, each in zip(lines, cut, strict=True)]


def _step(step: Step, width: int) -> list[str]:
    """The formula, then the same with the numbers put in, side by side if they fit."""
    lines = _fitted(f"{step.formula}    ({shapes(step)})", width)
    adds_up = any(isinstance(part, Matrix) and part.digits > DIGITS for part in step.parts)
    for columns in range(COLUMNS, 0, -1):
        blocks = [
            matrix(part.shown, ROWS, columns, part.digits) if isinstance(part, Matrix) else [part]
            for part in step.parts
        ]
        laid = _beside([*blocks, ["="], matrix(step.values, ROWS, columns)])
        if max(map(len, laid)) + 2 <= width:
            return lines + ["  " + line for line in laid]
        if columns <= 3 or adds_up:
            break
    return lines + _stacked(step, width)


def _stacked(step: Step, width: int) -> list[str]:
    """One array under the other, for what does not fit side by side."""
    lines: list[str] = []
    for part in step.parts:
        if isinstance(part, Matrix):
            title = name(part.key) + ("^T" if part.transposed else "")
            lines += ["  " + line for line in _given(title, part.shown, width - 2, part.digits)]
        else:
            lines += ["  " + line for line in _fitted(part, width - 2)]
    return lines + ["  " + line for line in _given(name(step.key), step.values, width - 2)]


def matrix(
    values: NDArray[Any], rows: int = ROWS, columns: int = COLUMNS, digits: int = DIGITS
) -> Block:
    """Return a matrix as lines of one length.

    >>> print("\\n".join(matrix(np.array([[1.0, -0.5], [0.25, 3.0]]))))
    [   1  -0.5]
    [0.25     3]
    >>> matrix(np.arange(40.0).reshape(1, 40), columns=3)
    ['[0  1  ...  39]']
    """
    if values.ndim < 2:
        whole = values.ndim == 0
        return [shown(values)] if whole else matrix(values[np.newaxis], rows, columns, digits)
    picked_rows, picked_columns = picked(len(values), rows), picked(values.shape[1], columns)
    cells = [
        [_cell(values, row, column, digits) for column in picked_columns] for row in picked_rows
    ]
    widths = [max(len(line[k]) for line in cells) for k in range(len(picked_columns))]
    return [
        "[" + "  ".join(text.rjust(w) for text, w in zip(line, widths, strict=True)) + "]"
        for line in cells
    ]


def _cell(values: NDArray[Any], row: int | None, column: int | None, digits: int) -> str:
    return "..." if row is None or column is None else shown(values[row, column], digits)


def picked(count: int, most: int) -> list[int | None]:
    """Return the indices that are shown; None is the gap."""
    if count <= max(most, 1):
        return list(range(count))
    return [*range(max(most - 1, 1)), None, count - 1] if most > 1 else [0, None]


def _beside(blocks: list[Block]) -> list[str]:
    """Lay blocks out side by side, each centred in height."""
    height = max(map(len, blocks))
    columns = []
    for block in blocks:
        width = max(map(len, block))
        above = (height - len(block)) // 2
        padded = [""] * above + block + [""] * (height - above - len(block))
        columns.append([line.ljust(width) for line in padded])
    return [" ".join(line).rstrip() for line in zip(*columns, strict=True)]


def _fitted(text: str, width: int) -> list[str]:
    """Break a long line between words."""
    import textwrap

    return textwrap.wrap(text, width, subsequent_indent="    ", break_long_words=False) or [text]
