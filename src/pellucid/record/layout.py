"""Matrices and pictures as lines of text, elided where they are large."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.record.show import DIGITS, shown
from pellucid.record.volumes import Picture

Block = list[str]
"""Lines of one length."""

ROWS, COLUMNS = 6, 8
"""Larger matrices show their first rows and columns, and the last."""

PICTURES = 6
"""Pictures of a volume: of more the first are shown."""


def album(found: list[Picture], columns: int = COLUMNS, across: int = PICTURES) -> Block:
    """Return pictures as lines of one length, so many beside each other; of many the first.

    >>> shown = album([Picture(np.eye(2), "filter 0"), Picture(np.ones((2, 2)), "filter 1")])
    >>> print("\\n".join(shown))
    filter 0  filter 1
    |1  0|    |1  1|
    |0  1|    |1  1|
    """
    lines: list[str] = []
    for first in range(0, min(len(found), PICTURES), across):
        blocks = []
        for each in found[first : min(first + across, PICTURES)]:
            drawn = matrix(each.values, ROWS, columns)
            drawn = [f"|{line[1:-1]}|" for line in drawn]
            blocks.append([each.label, *drawn] if each.label else drawn)
        lines += [line.rstrip() for line in beside(blocks, between="  ")]
    if len(found) > PICTURES:
        lines.append(f"... {len(found) - PICTURES} more ...")
    widest = max(map(len, lines), default=0)
    return [line.ljust(widest) for line in lines]


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
    if row is None or column is None:
        return "..."
    return "." if np.isnan(values[row, column]) else shown(values[row, column], digits)


def picked(count: int, most: int) -> list[int | None]:
    """Return the indices that are shown; None is the gap."""
    if count <= max(most, 1):
        return list(range(count))
    return [*range(max(most - 1, 1)), None, count - 1] if most > 1 else [0, None]


def beside(blocks: list[Block], between: str = " ") -> list[str]:
    """Lay blocks out side by side, each centred in height."""
    height = max(map(len, blocks))
    columns = []
    for block in blocks:
        width = max(map(len, block))
        above = (height - len(block)) // 2
        padded = [""] * above + block + [""] * (height - above - len(block))
        columns.append([line.ljust(width) for line in padded])
    return [between.join(line).rstrip() for line in zip(*columns, strict=True)]
