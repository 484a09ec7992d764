"""The cells of a text file by Python's csv module, as columns of NumPy.

:mod:`~pellucid.tables._cells_polars` has the same functions, and is quicker. Here columns of
numbers are float64, NaN where missing; of truth values bool, and of whole numbers too large for
float64 int64, masked where missing; of texts objects, None where missing.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pellucid.tables._rows import BLANKS, Layout, check_cells, check_lengths, is_blank, reader
from pellucid.tables.values import MINUS, MISSING, as_objects, masked, may_merge

Column: TypeAlias = NDArray[Any]

_CELLS = 200_000
"""About so many cells are texts at once, where all of them are numbers."""


def parse(layout: Layout, content: bytes, numeric: Sequence[bool]) -> tuple[list[Column], int]:
    """Return the columns, and how many blank lines were skipped.

    Numbers need a fourth of the memory of their texts, so the columns of which the first rows
    promise them are never made into those unless a later cell is no number.
    """
    hoped = {k for k, each in enumerate(numeric) if each}
    check_cells(layout, content, len(hoped))
    parts: list[list[NDArray[Any]]] = [[] for _ in numeric]
    blank = 0
    for chunk, skipped in _chunks(layout, content):
        blank += skipped
        for k, cells in enumerate(zip(*chunk, strict=True)):
            if not numeric[k]:
                parts[k].append(_stripped(cells))
            elif k in hoped:
                x = _floats(cells)
                if x is None or may_merge(x):
                    hoped.remove(k)
                    parts[k].clear()
                else:
                    parts[k].append(x)
    again = [k for k, each in enumerate(numeric) if each and k not in hoped]
    if again:
        check_cells(layout, content)
        for chunk, _ in _chunks(layout, content):
            for k in again:
                parts[k].append(_stripped([row[k] for row in chunk]))
    empty: list[NDArray[Any]] = [np.empty(0, dtype=object)]
    return [np.concatenate(each or empty) for each in parts], blank


def _chunks(layout: Layout, content: bytes) -> Iterator[tuple[list[list[str]], int]]:
    """The rows below the header, some at a time, and how many blank lines were among them."""
    width, most = layout.width, 1 + _CELLS // layout.width
    found = reader(content.decode(), layout.delimiter, strict=True)
    try:
        if layout.header:
            next(found)
        while chunk := list(itertools.islice(found, most)):
            whole = [row for row in chunk if len(row) == width and (width > 1 or not is_blank(row))]
            if not all(is_blank(row) for row in chunk if len(row) != width):
                check_lengths(layout, content)
            yield whole, len(chunk) - len(whole)
    except csv.Error:
        check_lengths(layout, content)


def _stripped(cells: Iterable[str]) -> Column:
    """Texts without blanks around them, None where empty."""
    return as_objects([cell.strip(BLANKS) or None for cell in cells])


def _floats(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """The numbers that these texts write, NaN where missing; None where one writes none."""
    try:
        x = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        cells = ["nan" if cell.strip(BLANKS).lower() in MISSING else cell for cell in cells]
        try:
            x = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            return None
    together = "".join(cells)
    return x if together.isascii() and not any(map(together.__contains__, _NO_SIGNS)) else None


_NO_SIGNS = "_\x1c\x1d\x1e\x1f"
"""What Python's float takes and no table means, as digits that are not ASCII."""


# What text.py asks of columns ---------------------------------------------------------------------


def is_text(column: Column) -> bool:
    """Whether it holds texts."""
    return column.dtype == object


def is_number(column: Column) -> bool:
    """Whether it holds numbers."""
    return column.dtype.kind == "f"


def known(column: Column) -> Column:
    """Return texts, None where one stands for a missing value, with plain minus signs."""
    return as_objects(
        [
            None if cell is None or cell.lower() in MISSING else cell.replace(MINUS, "-", 1)
            for cell in column
        ]
    )


def matching(texts: Column, pattern: str) -> Column:
    """Return those of the texts in which the pattern is found."""
    search = re.compile(pattern).search
    return as_objects([cell for cell in texts if cell is not None and search(cell)])


def numbers(texts: Column) -> Column | None:
    """Return texts as numbers, None where one is none."""
    return _floats(["nan" if cell is None else cell for cell in texts])


def whole(texts: Column) -> Column | None:
    """Return digits as whole numbers, None where one is too large for 64 bits."""
    missing = [cell is None for cell in texts]
    x = [0 if cell is None else int(cell[:_LONGEST]) for cell in texts]
    return masked(x, missing) if all(-(2**63) <= each < 2**63 for each in x) else None


_LONGEST = 4000
"""Digits that Python makes a number of; the others are too many in any case."""


def truths(texts: Column) -> Column | None:
    """Return texts as truth values, None where one is none."""
    lower = [None if cell is None else cell.lower() for cell in texts]
    if not {*lower} <= {None, "true", "false"}:
        return None
    return masked([cell == "true" for cell in lower], [cell is None for cell in lower])


def replaced(texts: Column, others: Column, pattern: str, signs: Mapping[str, str]) -> Column:
    """Return the texts of this form with other signs, and in the other places what others hold."""
    search, table = re.compile(pattern).search, str.maketrans(dict(signs))
    return as_objects(
        [
            other if cell is None or search(cell) is None else cell.translate(table)
            for cell, other in zip(texts, others, strict=True)
        ]
    )
