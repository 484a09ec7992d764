"""Which columns a network should not learn from: keys, copies of the target, and what looks so.

The command line leaves out, and names, what it can show to be one of these:

- a column that holds nothing: it is empty, or has one value;
- a key: it numbers or names the rows;
- a copy of the target: one rule read off the column gives the target of every row in which it is
  given, half of them at least. For classes each value stands for one class and each class for one
  value, or, in the order of the column, each class is one stretch; for numbers a straight line
  gives them, to rounding, or a sum of columns does.

What merely tells the target very well is used, with a warning. The estimators leave no column out:
what is left out would change with the rows, from fold to fold. They warn of the same columns.

The thresholds below were tried on the tables of scikit-learn (iris, wine, breast cancer, diabetes,
digits) and on abalone, wine quality, titanic, telco churn, bike sharing by the hour, letter,
optdigits, MAGIC gamma telescope, phoneme and four small ones of a machine learning course, whole
and with a random 60 % of the rows. Left out were magic's ID, bike's instant, casual and registered,
titanic's PassengerId and Name, telco's customerID, and columns with a single value; nothing else,
and nothing was said to tell the target almost perfectly.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.tables.by import Groups
from pellucid.tables.copies import as_numbers, look_for_target, may_tell
from pellucid.tables.kinds import MOST_CATEGORIES, checked_numbers, infer_kind
from pellucid.tables.table import Table, count, some
from pellucid.tables.values import is_missing, parse_numbers

UNIQUE = 0.95
"""Texts of which this share differ, or more, are names of the rows."""

MOSTLY_UNIQUE = 0.5
"""From this share on they are pointed out. Titanic's Ticket has 0.76, its Cabin 0.72."""

FILLED = 0.5
"""Unique whole numbers that fill this share of their range number the rows (60 % of them: 0.6)."""

ROW_NUMBERS_FROM = 50
"""Rows. In smaller tables a measurement may well be 1, 2, 3, ..."""


class Settings(Protocol):
    """The settings that screening looks at: names of columns."""

    @property
    def keep(self) -> Collection[str]:
        """Columns that are taken whatever they look like."""

    @property
    def drop(self) -> Collection[str]:
        """Columns that are left out."""

    @property
    def categorical(self) -> Collection[str]:
        """Columns of numbers that are codes of categories."""


@dataclass
class Screening:
    """The columns that are left out, each with the reason, and what else to look at.

    ``telling`` are those of them without which the target may be out of reach: copies of it, or
    where there are none, row numbers near to each other in which the target is much the same.
    """

    left_out: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    telling: list[str] = field(default_factory=list)


DROPPED = "dropped as asked"
GROUPS = "it groups the rows"


def screen(table: Table, task: str, settings: Settings, *, leave_out: bool = True) -> Screening:
    """Return which columns to leave out of a table with a target, and what to warn about.

    ``task`` is "binary", "multiclass" or "regression". Without ``leave_out`` nothing is left out
    but what is dropped as asked and the column that groups the rows; the others are warned about.
    DataError where no column remains.

    >>> from types import SimpleNamespace
    >>> settings = SimpleNamespace(keep=(), drop=(), categorical=())
    >>> columns = {"row": np.arange(60.0), "x": np.arange(60.0) ** 2 % 7, "one": np.ones(60)}
    >>> screen(Table(columns, np.arange(60) % 2), "binary", settings).left_out
    {'row': 'it numbers the rows: 60 different whole numbers from 0 to 59', 'one': 'it holds 1 in \
every row'}
    """
    dropped = set(settings.drop)
    found = Screening({name: DROPPED for name in table.columns if name in dropped})
    if isinstance(table.by, Groups) and table.by.is_column:
        name = table.by.name
        if name in table.columns and name not in settings.keep:
            found.left_out.setdefault(name, GROUPS)
    declared = table.categorical.union(settings.categorical)
    kinds, empty = {}, {}
    for name, column in table.columns.items():
        if name not in found.left_out:
            kinds[name] = infer_kind(column, name in declared)
            if kinds[name] == "number":
                checked_numbers(column, f"{table.source}: column {name!r}")
            reason = _nothing_to_learn(column, kinds[name])
            if reason and name not in settings.keep:
                empty[name] = reason
    usable = {name: kind for name, kind in kinds.items() if name not in empty}
    keys, copies, telling = (
        {name: reason for name, reason in each.items() if name not in settings.keep}
        for each in (_keys(table, usable), *look_for_target(table, usable, task))
    )
    suspects = _in_order({**copies, **keys}, table)
    if not leave_out:
        found.warnings += _used_all_the_same(_in_order({**empty, **suspects}, table))
    elif usable and len(suspects) == len(usable):
        found.left_out |= empty
        found.warnings += [
            f"column {name!r} is used, as nothing else is left, but {reason}."
            for name, reason in suspects.items()
        ]
    else:
        found.left_out |= {**empty, **suspects}
        telling_keys = {k: each for k, each in keys.items() if may_tell(table, k, kinds[k], task)}
        found.telling = list(_in_order(copies or telling_keys, table))
    if len(found.left_out) == len(table.columns):
        reasons = some([f"{name!r} ({reason})" for name, reason in found.left_out.items()])
        raise DataError(
            f"{table.source} has no column to learn from: {reasons}. Add columns, or keep one."
        )
    found.left_out = _in_order(found.left_out, table)
    for name in usable:
        if name not in suspects and name not in settings.keep:
            if name in telling:
                found.warnings.append(
                    f"column {name!r} {telling[name]}. If it is known only with the target, or "
                    f"after it: drop=[{name!r}], or --drop {name!r} on the command line."
                )
            found.warnings += _remarks(name, table.columns[name], kinds[name])
    return found


def _in_order(found: dict[str, str], table: Table) -> dict[str, str]:
    return {name: found[name] for name in table.columns if name in found}


def _used_all_the_same(suspects: dict[str, str]) -> list[str]:
    if not suspects:
        return []
    reasons = some([f"{name!r} ({reason})" for name, reason in suspects.items()])
    return [
        f"used anyway: {reasons}. drop=[...] leaves a column out; keep=[...] uses it "
        "without this warning."
    ]


# One column ---------------------------------------------------------------------------------------


def _nothing_to_learn(column: NDArray[Any], kind: str) -> str:
    """Why a column has nothing to learn from; "" where it has."""
    if kind == "image":
        return ""
    missing = is_missing(column)
    if missing.all():
        return "it is empty"
    if not missing.any() and (column == column[0]).all():
        shown = f"{column[0]:g}" if column.dtype.kind == "f" else repr(str(column[0])[:40])
        return f"it holds {shown} in every row"
    if kind == "category":
        share, distinct, given = _distinct(column)
        if given >= 10 and share >= UNIQUE:
            alike = _like_numbers(column)
            hint = f"; they look like {alike}" if alike else ""
            return (
                f"it names the rows: {distinct:,} different values in {count(given, 'row')}{hint}"
            )
    return ""


_CURRENCY = r"(?:[$€£¥]|USD|EUR|GBP|CHF)"
_DIGITS = r"\d[\d.,' ]*"
_LIKE_NUMBERS = {
    "numbers with a comma": (r"[-+]?\d+,\d+", "write decimal numbers with a point"),
    "percentages": (rf"[-+]?{_DIGITS}%", "write plain numbers, 45 or 0.45"),
    "amounts of money": (
        rf"[-+]?{_CURRENCY} ?[-+]?{_DIGITS}|[-+]?{_DIGITS}{_CURRENCY}",
        "write plain numbers, such as 1234.50, and the currency in the column's name",
    ),
}
"""What texts of numbers are called that are not read, how they look, and how to mend them."""


def _like_numbers(column: NDArray[Any]) -> str:
    """What to say of texts that are numbers in a form that is not read; "" of others."""
    first = [str(text) for text in column[~is_missing(column)][:200]]
    for what, (pattern, mend) in _LIKE_NUMBERS.items():
        found = list(filter(re.compile(pattern).fullmatch, first))
        if found and 2 * len(found) >= len(first):
            return f"{what}, such as {found[0]!r}: {mend}"
    return ""


def _distinct(column: NDArray[Any]) -> tuple[float, int, int]:
    """The share of a column's values that differ, their number, and how many are given."""
    given = column[~is_missing(column)]
    distinct = len(set(given.tolist()))
    return distinct / max(len(given), 1), distinct, len(given)


def _keys(table: Table, kinds: dict[str, str]) -> dict[str, str]:
    """The columns of numbers that number the rows, with the reason."""
    found = {}
    for name, kind in kinds.items():
        if kind == "number":
            column = table.columns[name]
            first = as_numbers(column, kind, slice(500))
            first = first[~np.isnan(first)]
            if len(np.unique(first)) == len(first):  # spares most columns the whole
                found[name] = _row_numbers(as_numbers(column, kind, slice(None)))
    return {name: reason for name, reason in found.items() if reason}


def _row_numbers(x: NDArray[np.float64]) -> str:
    """Why these numbers, where they are given, only number the rows; "" where they do not."""
    m, x = len(x), x[~np.isnan(x)]
    if 2 * len(x) < m or not _all_unique(x):
        return ""
    low, high = int(x.min()), int(x.max())
    years = 1500 <= low and high <= 2200
    if years or len(x) < FILLED * (high - low + 1):
        return ""
    return f"it numbers the rows: {len(x):,} different whole numbers from {low:,} to {high:,}"


def _all_unique(x: NDArray[np.float64]) -> bool:
    """Whether these are whole numbers, enough to tell, and all different."""
    return (
        len(x) >= ROW_NUMBERS_FROM
        and bool((x == np.floor(x)).all())
        and len(np.unique(x)) == len(x)
    )


_CODE_NAME = re.compile(
    r"(?i:(?:^|[^a-z])(?:ids?|codes?|zip|zip.?codes?|post(?:al)?.?codes?|plz)$)"
    r"|(?<=[a-z])(?:I[dD]|Code|Zip)$"
)


def _remarks(name: str, column: NDArray[Any], kind: str) -> Iterator[str]:
    """What to point out about a column that is taken in."""
    if kind == "number":
        x = parse_numbers(column) if column.dtype == object else column
        x = x[~np.isnan(x)]
        if _looks_like_codes(name, x):
            yield (
                f"column {name!r} is taken as a number, but looks like codes of categories "
                f"({len(np.unique(x)):,} values, such as {x[0]:.0f}). If it is one: "
                f"categorical=[{name!r}], or --categorical {name!r} on the command line."
            )
        elif _CODE_NAME.search(name) and _all_unique(x):
            yield (
                f"column {name!r} is taken as a number, but holds a different whole number in each "
                f"of {count(len(x), 'row')}. If it only names the rows: drop=[{name!r}], or "
                f"--drop {name!r} on the command line."
            )
    elif kind == "category":
        share, distinct, given = _distinct(column)
        if distinct > MOST_CATEGORIES and share >= MOSTLY_UNIQUE and not _like_numbers(column):
            yield (
                f"column {name!r} holds {distinct:,} different values in {count(given, 'row')}: "
                f"all but the {MOST_CATEGORIES} most frequent count as one. If it only names the "
                f"rows: drop=[{name!r}], or --drop {name!r} on the command line."
            )
    if kind in ("category", "binary") and column.dtype == object:
        alike = _like_numbers(column)
        if alike:
            yield f"column {name!r} is taken as categories, but holds what looks like {alike}."


def _looks_like_codes(name: str, x: NDArray[np.float64]) -> bool:
    """Whole numbers that come again and again and are called, or all written, like codes."""
    if not len(x) or not (x == np.floor(x)).all():
        return False
    distinct = len(np.unique(x))
    if not 3 <= distinct <= len(x) / 2:
        return False
    low, high = x.min(), x.max()
    years = 1500 <= low and high <= 2200
    long = low >= 1000 and len(str(int(low))) == len(str(int(high))) and not years
    sparse = distinct < 0.5 * (high - low + 1) and (x % 10 != 0).any()
    return bool(_CODE_NAME.search(name)) or bool(long and sparse and distinct <= len(x) / 5)
