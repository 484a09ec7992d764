"""Rows of a table that are not examples: a repeated header, a target that is not a number.

A single "#N/A" among prices must not make a class of each price.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.tables.dates import MOSTLY
from pellucid.tables.split import MOST_CLASSES
from pellucid.tables.table import Table, as_whole, count, some
from pellucid.tables.values import EXACT, LARGEST, MISSING, is_missing, parse_number, parse_numbers

FEW = 2
"""So many cells may be no numbers where 5 % of a small table's rows are fewer."""


def numbers_of(y: NDArray[Any], task: str | None = None) -> NDArray[np.float64] | None:
    """Return a target's texts as numbers, NaN for a few that are none; None where they are classes.

    They are numbers where 95 % of those that do not stand for a missing value are, or all but two
    of a small table. Where the numbers may be classes, 0 and 1 or 20 whole ones at most, a further
    text is a class too, unless it stands in one row alone, or is a mark such as #N/A. With the
    ``task`` "regression" they are no classes; where it names classes, the texts are those.

    >>> numbers_of(np.array(["1.5", "-", "2", "NA", "7", "9"]))
    array([1.5, nan, 2. , nan, 7. , 9. ])
    >>> numbers_of(np.array(["1", "2", "3", "5+"] * 5))
    """
    if y.dtype.kind != "U" or task not in (None, "regression"):
        return None
    numbers = _parsed(y)
    none = np.isnan(numbers)
    strays = [text.strip() for text in y[none].tolist()]
    strays = [text for text in strays if text.casefold() not in MISSING]
    given, few = numbers[~none], (1 - MOSTLY) * (len(strays) + np.sum(~none))
    if len(strays) > max(few, min(FEW, len(given) // 2)) or not len(given):
        return None
    if task == "regression" or (none.any() and not _may_be_classes(given)):
        return numbers
    once = len(strays) <= few and len(set(strays)) == len(strays)
    told_apart = float(np.abs(given).max()) < EXACT
    return numbers if none.any() and told_apart and (once or all(map(_is_mark, strays))) else None


def _parsed(y: NDArray[Any]) -> NDArray[np.float64]:
    """The numbers that texts write, NaN where there is none to compute with."""
    numbers = parse_numbers(y)
    return np.where(np.abs(numbers) > LARGEST, np.nan, numbers)


def _may_be_classes(numbers: NDArray[np.float64]) -> bool:
    values = np.unique(numbers)
    whole = bool((values == np.floor(values)).all())
    few = len(values) <= min(MOST_CLASSES, len(numbers) // 2)
    return len(values) <= 2 or (whole and few)


def _is_mark(text: str) -> bool:
    """Whether a text only marks a gap: "#N/A", "#REF!", "-", "...".

    >>> [_is_mark(text) for text in ("#DIV/0!", "--", "5+")]
    [True, True, False]
    """
    return text.startswith("#") or not any(map(str.isalnum, text))


def with_numbers(table: Table, task: str | None = None) -> Table:
    """Return a table without the few rows whose target is no number, where it is one of numbers.

    A note names the cells; where the texts are classes, those that may mark a gap. DataError where
    ``task`` is "regression" and there are more.
    """
    y = np.asarray(table.y)
    numbers = numbers_of(y, task)
    if numbers is None:
        if task == "regression":
            as_written(y, f"{table.source}: the target {table.target!r}", table.kept)
        return replace(table, notes=[*table.notes, *_gaps_as_classes(y)])
    given = ~np.isnan(numbers)
    if given.all():
        return replace(table, y=as_whole(numbers))
    lost = count(int((~given).sum()), "row")
    note = f"{lost} left out, whose target is not a number: {stray_cells(y, numbers, table.kept)}"
    return replace(only(table, given), y=as_whole(numbers[given]), notes=[*table.notes, note])


def _gaps_as_classes(y: NDArray[Any]) -> list[str]:
    if y.dtype.kind != "U":
        return []
    labels, times = np.unique(y, return_counts=True)
    gaps = [
        repr(label)
        for label, rows in zip(labels.tolist(), times.tolist(), strict=True)
        if label.strip().casefold() in MISSING
        or (_is_mark(label) and rows <= (1 - MOSTLY) * len(y))
    ]
    are = "is a class" if len(gaps) == 1 else "are classes"
    hint = f"{some(gaps)} in the target {are}: leave the cells empty where it is unknown"
    return [hint] if gaps else []


def as_written(y: NDArray[Any], what: str, kept: NDArray[np.int64] | None = None) -> NDArray[Any]:
    """Return texts that write numbers as those; DataError where only some do, which names the rest.

    Texts of which none is a number stay as they are.

    >>> as_written(np.array(["1", "2.5"]), "y")
    array([1. , 2.5])
    >>> as_written(np.array(["1", "2", "-"]), "y")
    Traceback (most recent call last):
    pellucid.errors.DataError: y holds 1 text that is not a number: '-' in row 3. Rows are ...
    """
    if y.dtype.kind != "U":
        return y
    numbers = _parsed(y)
    wrong = int(np.isnan(numbers).sum())
    if 0 < wrong < len(y):
        are = "is not a number" if wrong == 1 else "are not numbers"
        raise DataError(
            f"{what} holds {count(wrong, 'text')} that {are}: "
            f"{stray_cells(y, numbers, kept)}. Rows are counted from 1 after the header. Correct "
            "such cells, or leave those rows out."
        )
    return y if wrong else as_whole(numbers)


def stray_cells(
    y: NDArray[Any], numbers: NDArray[np.float64], kept: NDArray[np.int64] | None = None
) -> str:
    """Return the texts that are no numbers and their rows.

    >>> stray_cells(np.array(["1", "-", "2", "x", "-"]), np.array([1, np.nan, 2, np.nan, np.nan]))
    "'-' in rows 2, 5, 'x' in row 4"
    """
    rows: dict[str, list[int]] = {}
    for k in np.flatnonzero(np.isnan(numbers)).tolist():
        rows.setdefault(str(y[k])[:40], []).append(k if kept is None else int(kept[k]))
    named = sorted(rows, key=lambda text: text.strip().casefold() in MISSING)  # the odd ones first
    return some([f"{text!r} in {row_numbers(rows[text])}" for text in named], most=4)


def row_numbers(rows: Iterable[int]) -> str:
    """Return rows, which are counted from 0, as a user counts them.

    >>> row_numbers([4]), row_numbers(range(9))
    ('row 5', 'rows 1, 2, 3 and 6 more')
    """
    numbers = [f"{row + 1:,}" for row in rows]
    return f"row{'s' * (len(numbers) > 1)} {some(numbers, most=3)}"


def only(table: Table, chosen: NDArray[np.bool_]) -> Table:
    """Return the chosen rows of a table, which remembers where they stood."""
    kept = np.arange(len(chosen)) if table.kept is None else table.kept
    return replace(table, kept=kept).rows(chosen)


def without_headers(table: Table, target: str) -> Table:
    """Return a table without the rows in which every cell is the name of its column.

    The ``target``, which such a row makes a column of texts, is one of numbers again.

    >>> x, y = (np.array(cells, dtype=object) for cells in (["7", "x", "8"], ["1", "y", "2"]))
    >>> found = without_headers(Table({"x": x, "y": y}), "y")
    >>> found.columns["y"], found.notes
    (array([1., 2.]), ['the header is repeated in row 2: left out'])
    """
    again = np.full(table.m, len(table.columns) > 1)
    for name, column in table.columns.items():
        if not again.any() or column.ndim > 1 or column.dtype.kind not in "fO":
            return table
        again &= column == (parse_number(name) if column.dtype.kind == "f" else name.strip())
    if not again.any() or again.all():
        return table
    note = f"the header is repeated in {row_numbers(np.flatnonzero(again))}: left out"
    table = replace(only(table, ~again), notes=[*table.notes, note])
    labels = table.columns[target]
    if labels.dtype == object:
        given = labels[~is_missing(labels)]
        if len(given) and not np.isnan(_parsed(given)).any():
            table.columns[target] = parse_numbers(labels)
    return table
