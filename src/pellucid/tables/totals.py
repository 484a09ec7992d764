"""Rows that add up the others: a "Total" below the rows of a report, subtotals between them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.tables.strays import only, row_numbers
from pellucid.tables.table import Table, some

_WORD = re.compile(
    r"\b(?:totals?|sub-?totals?|sums?|averages?|avg|means?|(?:gesamt|zwischen|end)?summe|gesamt"
    r"|insgesamt|mittelwert|durchschnitt|somme|moyenne|suma|promedio|totale|somma"
    r"|maximum|minimum|median)\b",
    re.IGNORECASE,
)
_STEMS = (
    *("total", "sum", "average", "avg", "mean"),
    *("gesamt", "mittelwert", "durchschnitt", "somm", "moyenne", "promedio", "imum", "median"),
)
"""One of these is in each of those words."""
_ALONE = re.compile(
    rf"\W*(?:(?:grand|overall|sub|sous)[ -])?{_WORD.pattern}(?: g[ée]n[ée]rale?)?[\W\d]*",
    re.IGNORECASE,
)
LONGEST = 60
"""Letters of a cell that may name a total; longer ones are sentences."""
RARE, FEW, MANY = 0.1, 5, 1000
"""A column in which more of the rows than this share name a total has a category of that name: from
more than 5 rows on, and where they are more than 1,000."""
CLOSE = 1e-6
"""How near to the sum a total is, as a share of all that is added."""


@dataclass
class Total:
    """A row, counted from 0, that looks like a total, and why.

    It is ``certain`` at the end, where a cell names it and each of its numbers is a sum or mean.
    """

    row: int
    why: str
    certain: bool


def find_totals(table: Table, texts: Mapping[str, NDArray[Any]] | None = None) -> list[Total]:
    """Return the rows that look like the sum or the mean of others.

    Such are rows that a cell names ("Total", "Sum of 2023", "North subtotal") and whose numbers
    are the sums of all others, or of those since the last such row (or the means, where no second
    cell says the same); rows at the end with a cell of that word alone, or with one such number;
    and a last row without a name whose target, or whose numbers in two columns or more, are the
    sums of all others. ``texts`` are further columns of names.

    >>> region = np.array(["north", "south", "west", "Total"], dtype=object)
    >>> find_totals(Table({"region": region}, np.array([10.5, 7, 20, 37.5]), "sales"))
    [Total(row=3, why="'Total' in 'region'", certain=True)]
    """
    named = _named(table, texts or {})
    numbers = {name: x for name, x in table.columns.items() if x.dtype.kind == "f" and x.ndim == 1}
    if table.y is not None and table.y.dtype.kind in "if":
        numbers[str(table.target)] = table.y.astype(np.float64)
    examples = np.ones(table.m, dtype=np.bool_)
    examples[list(named)] = False
    whole = {name: _sums(x[examples]) for name, x in numbers.items()} if named else {}
    found, start = [], 0
    for row, (why, alone, once) in sorted(named.items()):
        block = np.flatnonzero(examples[start:row]) + start
        adds_up = [
            any(_is_near(x[row], sums, means=once) for sums in (whole[name], _sums(x[block])))
            for name, x in numbers.items()
            if not np.isnan(x[row])
        ]
        at_end = not examples[row:].any()
        sure = bool(adds_up) and all(adds_up)
        if sure or (at_end and (alone or any(adds_up))):
            found.append(Total(row, why, sure and at_end))
        start = row + 1
    return found or _unnamed(table, numbers)


def without_totals(table: Table, texts: Mapping[str, NDArray[Any]] | None = None) -> Table:
    """Return a table without the rows that are certainly totals; notes name all that look so.

    Without a target, as for predictions, all rows stay.
    """
    if table.y is None:
        return replace(table, notes=[*table.notes, *possible_totals(table, texts)])
    found = find_totals(table, texts)
    kept = np.ones(table.m, dtype=np.bool_)
    kept[[total.row for total in found if total.certain]] = False
    notes = [*table.notes, *notes_of(found, table)]
    return replace(table if kept.all() else only(table, kept), notes=notes)


def possible_totals(table: Table, texts: Mapping[str, NDArray[Any]] | None = None) -> list[str]:
    """Return notes on the rows that look like totals and stay."""
    found = find_totals(table, texts)
    return notes_of([replace(total, certain=False) for total in found], table)


def notes_of(found: list[Total], table: Table) -> list[str]:
    """Return a sentence for the totals that are certain, and one for the others.

    >>> notes_of([Total(8, "'Total' in 'region'", True)], Table({}))
    ["row 9 left out, as it sums up others ('Total' in 'region'; another name there keeps it)"]
    """
    notes = []
    for certain in (True, False):
        totals = [total for total in found if total.certain == certain]
        rows = [total.row if table.kept is None else table.kept[total.row] for total in totals]
        why = some(list(dict.fromkeys(total.why for total in totals)), most=2)
        they, them, sum_up = ("they", "them", "") if len(rows) > 1 else ("it", "it", "s")
        if rows and certain:
            why = f"as {they} sum{sum_up} up others ({why}; another name there keeps {them})"
            notes.append(f"{row_numbers(rows)} left out, {why}")
        elif rows:
            notes.append(f"{row_numbers(rows)} may sum up others ({why}): if so, delete {them}")
    return notes


def _named(table: Table, texts: Mapping[str, NDArray[Any]]) -> dict[int, tuple[str, bool, bool]]:
    """Rows in which a cell names a total: which, whether it is that word alone, and only there."""
    named: dict[int, tuple[str, bool, bool]] = {}
    columns = {**table.columns, **texts}
    if table.y is not None and table.y.dtype.kind == "U":
        columns[str(table.target)] = table.y
    for name, column in columns.items():
        if column.dtype.kind not in "OU":
            continue
        times = Counter(column.tolist())
        times.pop(None, None)
        together = "\n".join(times).casefold()
        if not any(stem in together for stem in _STEMS):  # spares most columns the slow search
            continue
        words = {text for text in times if len(text) <= LONGEST and _WORD.search(text)}
        rows = sum(times[text] for text in words)
        if not words or rows > min(max(RARE * table.m, FEW), MANY):
            continue
        for row in np.flatnonzero([text in words for text in column]).tolist():
            text = column[row]
            once = times[text] == 1
            alone = once and _ALONE.fullmatch(text) is not None
            named.setdefault(row, (f"{str(text)!r} in {name!r}", alone, once))
    return named


def _sums(values: NDArray[np.float64]) -> tuple[int, float, float]:
    """How many values are given, their sum, and the sum of their sizes."""
    values = values[~np.isnan(values)]
    return len(values), float(values.sum()), float(np.abs(values).sum())


def _is_near(total: Any, sums: tuple[int, float, float], means: bool) -> bool:
    """Whether it is this sum of two values or more, or with ``means`` their mean, roughly."""
    m, exact, size = sums
    if m < 2:
        return False
    unit = 10.0 ** -len(f"{total:.12g}".partition(".")[2])  # of the last digit that is written
    rounded = unit * m**0.5  # each of the values may be rounded
    near_sum = abs(total - exact) <= max(CLOSE * size, min(rounded, 0.01 * abs(exact)))
    exact, size = exact / m, size / m
    near_mean = abs(total - exact) <= max(CLOSE * size, min(unit, 0.01 * abs(exact)))
    return bool(near_sum or (means and near_mean))


def _unnamed(table: Table, numbers: dict[str, NDArray[np.float64]]) -> list[Total]:
    """The last row where it adds up all others: in the target, or in two columns or more."""
    sums = []
    for name, x in numbers.items() if table.m else ():
        others, total = x[:-1][~np.isnan(x[:-1])], x[-1]
        several = np.count_nonzero(others) >= 5 and total >= 2 * np.abs(others).max()
        if several and abs(total - others.sum()) <= CLOSE * np.abs(others).sum():
            sums.append(name)
    if not sums or (len(sums) == 1 and sums != [str(table.target)]):
        return []
    why = f"in {some([repr(name) for name in sums], most=3)} it is the sum of all others"
    return [Total(table.m - 1, why, certain=False)]
