"""Which columns a network should not learn from: row numbers, names, copies of the target.

The thresholds below were tried on the tables of scikit-learn (iris, wine, breast cancer, diabetes,
digits) and on abalone, wine quality, titanic, telco churn, bike sharing by the hour, letter,
optdigits, MAGIC gamma telescope, phoneme and four small ones of a machine learning course, whole
and with a random 60 % of the rows. Left out were magic's ID, bike's instant, casual and registered,
titanic's PassengerId and Name, telco's customerID, and columns with a single value; nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.errors import DataError
from pellucid.tables.dates import find_format, parse_dates
from pellucid.tables.kinds import MOST_CATEGORIES, checked_numbers, infer_kind
from pellucid.tables.table import Table, count, some
from pellucid.tables.values import by_distinct, is_missing, parse_numbers

UNIQUE = 0.95
"""Texts of which this share differ, or more, are names of the rows."""

MOSTLY_UNIQUE = 0.5
"""From this share on they are pointed out. Titanic's Ticket has 0.76, its Cabin 0.72."""

FILLED = 0.5
"""Unique whole numbers that fill this share of their range number the rows (60 % of them: 0.6)."""

ROW_NUMBERS_FROM = 50
"""Rows. In smaller tables a measurement may well be 1, 2, 3, ..."""

LEAK_ERROR = 0.01
"""A column tells the class if its wrong answers, and one more, are below this share of those of
the answer that never changes. In the tables above 0.001 (magic's ID), then 0.08 (iris)."""

LEAK_R2 = 0.999
"""A column tells the number from this R² on. In the tables above at most 0.94 (registered)."""

COPY_ROWS = 10
"""A column with a value for each class, and never a wrong one, is a copy if as many rows are not of
the most frequent class."""

LEAK_ROWS = 2000
"""Rows on which a column's share in the target is measured; a rare class has up to its part."""

SUM_ROWS = 0.99
"""The share of rows in which sums of columns must give the target."""

MOST_ADDED = 2_000
"""Columns that are tried, as every pair is: of more, those that go along with the target the most,
as one of two that it is the sum of always does."""

SUM_CLOSE, SUM_TELLS = 1e-6, 1e-3
"""How close: as a share of the sizes of all that is added and of the target, and, lest the tiny
difference of two large numbers seem to be any small target, of its standard deviation."""


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
    """The columns that are left out, each with the reason, and what else to look at."""

    left_out: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


DROPPED = "dropped as asked"


def screen(table: Table, task: str, settings: Settings) -> Screening:
    """Return which columns to leave out of a table with a target, and what to warn about.

    ``task`` is "binary", "multiclass" or "regression". DataError where no column remains.

    >>> from types import SimpleNamespace
    >>> settings = SimpleNamespace(keep=(), drop=(), categorical=())
    >>> columns = {"row": np.arange(60.0), "x": np.arange(60.0) ** 2 % 7, "one": np.ones(60)}
    >>> screen(Table(columns, np.arange(60) % 2), "binary", settings).left_out
    {'row': 'it numbers the rows: 60 different whole numbers from 0 to 59', 'one': 'it holds 1 in \
every row'}
    """
    dropped = set(settings.drop)
    found = Screening({name: DROPPED for name in table.columns if name in dropped})
    declared = table.categorical.union(settings.categorical)
    kinds = {}
    for name, column in table.columns.items():
        if name not in found.left_out:
            kinds[name] = infer_kind(column, name in declared)
            if kinds[name] == "number":
                checked_numbers(column, f"{table.source}: column {name!r}")
            reason = _nothing_to_learn(column, kinds[name])
            if reason and name not in settings.keep:
                found.left_out[name] = reason
    usable = [name for name in kinds if name not in found.left_out]
    suspects = _suspects(table, {name: kinds[name] for name in usable}, task, settings)
    if usable and len(suspects) == len(usable):
        found.warnings += [
            f"column {name!r} is taken in, as nothing else is left, but {reason}."
            for name, reason in suspects.items()
        ]
    else:
        found.left_out |= suspects
    if len(found.left_out) == len(table.columns):
        reasons = some([f"{name!r} ({reason})" for name, reason in found.left_out.items()])
        raise DataError(
            f"{table.source} has no column to learn from: {reasons}. Add columns, or keep one."
        )
    order = {name: k for k, name in enumerate(table.columns)}
    found.left_out = dict(sorted(found.left_out.items(), key=lambda item: order[item[0]]))
    for name in usable:
        if name not in found.left_out and name not in settings.keep:
            found.warnings += _remarks(name, table.columns[name], kinds[name])
    return found


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
        and len(np.unique(x[:500])) == len(x[:500])  # spares most columns the whole
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


# The target ---------------------------------------------------------------------------------------


def _suspects(table: Table, kinds: dict[str, str], task: str, settings: Settings) -> dict[str, str]:
    """The columns that number the rows or tell the target, with the reason."""
    found, numbers = {}, {}
    y = None if table.y is None or task == "regression" else table.y
    rows = _some_rows(table.m, y)
    mixed = philox.permutation(0, len(rows), stream=philox.SPLIT)
    if table.y is not None:
        y = table.y[rows] if y is not None else table.y[rows].astype(np.float64)
    for name, kind in kinds.items():
        if kind == "image":
            continue
        column = table.columns[name]
        x = _as_numbers(column, kind, rows)
        reason = ""
        given = x[~np.isnan(x)]
        if kind == "number" and len(np.unique(given)) == len(given):
            reason = _row_numbers(_as_numbers(column, kind, slice(None)))
        if not reason and y is not None:
            reason = _leak(x[mixed], y[mixed], task)
        if reason:
            found[name] = reason
        elif kind == "number" and 2 * np.isnan(x).sum() <= len(x):
            numbers[name] = x
    if task == "regression" and y is not None:
        for name, reason in _sums(numbers, y):
            found.setdefault(name, reason)
    return {name: reason for name, reason in found.items() if name not in settings.keep}


def _some_rows(m: int, labels: NDArray[Any] | None) -> NDArray[np.int64]:
    """At most LEAK_ROWS rows, spread over the table: of each class as many, or all it has."""
    if m <= LEAK_ROWS:
        return np.arange(m)
    if labels is None:
        return _spread_over(np.arange(m), LEAK_ROWS)
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    left, picked = LEAK_ROWS, []
    for place, k in enumerate(np.argsort(counts, kind="stable")):  # the rare ones first
        mine = _spread_over(np.flatnonzero(codes == k), left // (len(classes) - place))
        left -= len(mine)
        picked.append(mine)
    return np.sort(np.concatenate(picked))


def _spread_over(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows), most, endpoint=False).astype(np.int64)]


def _as_numbers(whole: NDArray[Any], kind: str, rows: Any) -> NDArray[np.float64]:
    """Rows of a column as numbers that tell its values apart; NaN where missing."""
    column: NDArray[Any] = whole[rows]
    if kind == "number" and column.dtype == object:
        return parse_numbers(column)
    if column.dtype == object and kind == "date":
        found = find_format(whole)
        assert found is not None, "that is why it is a date"
        column = parse_dates(found.name, column)
    if column.dtype.kind == "M":
        seconds = column.astype(np.int64) / 1e6
        return np.where(np.isnat(column), np.nan, seconds)
    if column.dtype == object:
        places: dict[str | None, int] = {None: -1}
        codes = by_distinct(column, lambda text: places.setdefault(text, len(places) - 1))
        return np.where(codes < 0, np.nan, codes)
    return column


def _leak(x: NDArray[np.float64], y: NDArray[Any], task: str) -> str:
    """Why x alone tells y almost perfectly; "" where it does not.

    Also where x is given, if that is in half of the rows.
    """
    known = ~np.isnan(x)
    reason = _told(x, y, task)
    if reason or known.all() or 2 * known.sum() < len(x):
        return reason
    return _told(x[known], y[known], task)


_TELLS = "by itself it tells the target almost perfectly"


def _told(x: NDArray[np.float64], y: NDArray[Any], task: str) -> str:
    """Why x alone tells y almost perfectly, by a cross-validated tree; "" where it does not."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    regression = task == "regression"
    if len(y) < 20:
        return ""
    if not regression and _is_copy(x, y):
        return f"{_TELLS} (100.00% right)"
    if not _hopeful(x[:400], y[:400], regression):
        return ""
    tree = DecisionTreeRegressor if regression else DecisionTreeClassifier
    predicted = np.empty(len(y), dtype=np.float64 if regression else y.dtype)
    # Centred, since trees take float32, in which large or tiny numbers fall together.
    fold, X = np.arange(len(y)) % 3, _centred(x)[:, np.newaxis]
    for k in range(3):
        model = tree(random_state=0).fit(X[fold != k], y[fold != k])
        predicted[fold == k] = model.predict(X[fold == k])
    if regression:
        r2 = max(_r2(y, predicted), _linear_r2(x, y))
        holds, measured = r2 >= LEAK_R2, f"R² {r2:.5f}"
    else:
        wrong = int((predicted != y).sum())
        holds = wrong + 1 <= LEAK_ERROR * _rarer(y)
        measured = f"{1 - wrong / len(y):.2%} right"
    return f"{_TELLS} ({measured})" if holds else ""


def _is_copy(x: NDArray[np.float64], y: NDArray[Any]) -> bool:
    """Whether x has one value for each class, in rows enough to tell."""
    values, codes = np.unique(x, return_inverse=True)
    classes, labels = np.unique(y, return_inverse=True)
    if len(values) != len(classes) or _rarer(y) < COPY_ROWS:
        return False
    return len(np.unique(codes * len(classes) + labels)) == len(classes)


def _hopeful(x: NDArray[np.float64], y: NDArray[Any], regression: bool) -> bool:
    """Whether rows that are next to each other in x have nearly the same y: most columns fail."""
    ordered = y[np.argsort(x, kind="stable")]
    if not regression:
        return int((ordered[1:] != ordered[:-1]).sum()) <= 0.25 * _rarer(y)
    unlike = float((np.diff(_centred(ordered)) ** 2).mean()) / 2
    return unlike <= 0.25 * float(_centred(y).var()) or _linear_r2(x, y) > 0.9


def _rarer(y: NDArray[Any]) -> int:
    """The rows that are not of the most frequent class."""
    return int(len(y) - np.unique(y, return_counts=True)[1].max())


def _r2(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    largest = np.abs(y - y.mean()).max()
    if largest == 0:
        return 0.0
    error, total = (y - predicted) / largest, (y - y.mean()) / largest
    return 1 - float((error**2).sum() / (total**2).sum())


def _linear_r2(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The squared correlation of x and y; 0 where one is constant, or x is missing in a row."""
    x, y = _centred(x), _centred(y)
    size = float((x**2).sum() * (y**2).sum())
    return float((x * y).sum()) ** 2 / size if size > 0 else 0.0


def _centred(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x - mean, divided by its largest entry so that no square leaves the range of float64."""
    known = x[~np.isnan(x)]
    if not len(known):
        return x
    x = x - known.mean()
    largest = float(np.nanmax(np.abs(x)))
    return x / largest if largest > 0 else x


def _sums(
    numbers: dict[str, NDArray[np.float64]], t: NDArray[np.float64]
) -> Iterator[tuple[str, str]]:
    """The columns whose sum or difference is the target, with the reason."""
    if len(t) < 20 or not numbers:
        return
    names = list(numbers)
    largest = float(np.abs(t).max())
    if largest == 0:
        return
    if len(names) > MOST_ADDED:
        names = sorted(names, key=lambda name: -_linear_r2(numbers[name], t))[:MOST_ADDED]
    X = np.stack([numbers[name] for name in names], axis=1)
    close = SUM_TELLS * largest * float((t / largest).std())
    for signs in _pairs(X, t, close) or _least_squares(X, t):
        used = X[:, list(signs)]
        total, size = used @ np.array(list(signs.values())), np.abs(used).sum(axis=1)
        known = ~np.isnan(total)
        given = _alike(total, t, size, close)
        if 2 * known.sum() >= len(t) and given.sum() >= SUM_ROWS * known.sum():
            formula = " ".join(
                f"{'-' if sign < 0 else '+'} {names[k]!r}" for k, sign in signs.items()
            ).removeprefix("+ ")
            for k in signs:
                yield names[k], f"with others it gives the target exactly: {formula}"


def _alike(total: Any, t: Any, size: Any, close: float) -> NDArray[np.bool_]:
    """Where totals of columns are the target, but for rounding; not where they are missing."""
    alike: NDArray[np.bool_] = np.abs(total - t) <= np.minimum(
        SUM_CLOSE * (np.abs(t) + size), close
    )
    return alike


def _pairs(X: NDArray[np.float64], t: NDArray[np.float64], close: float) -> list[dict[int, int]]:
    """The pairs of columns whose sum or difference may be the target.

    They are tried on the rows in which the target is farthest from its median, half of which must
    fit: where it is mostly 0, so are differences of columns, and tell nothing.
    """
    found = []
    far = np.abs(t - np.median(t))
    few = np.argsort(-far, kind="stable")[: min(50, np.count_nonzero(far))]
    holds = np.nan_to_num(X).any(axis=0)
    X, t = X[few], t[few, np.newaxis]
    known, sizes = ~np.isnan(X), np.abs(X)
    for i in np.flatnonzero(holds).tolist():
        both = (known & known[:, [i]]).sum(axis=0)
        for sign_i, sign_j in ((1, 1), (1, -1)):
            total = sign_i * X[:, [i]] + sign_j * X
            alike = _alike(total, t, sizes[:, [i]] + sizes, close).sum(axis=0)
            found += [
                {i: sign_i, j: sign_j}
                for j in np.flatnonzero(holds & (both > 0) & (2 * alike >= both)).tolist()
                if j != i and (sign_j < 0 or j > i)
            ]
    return found


def _least_squares(X: NDArray[np.float64], t: NDArray[np.float64]) -> list[dict[int, int]]:
    """The columns whose sum, each added or taken away, may be the target: three or more."""
    known = ~np.isnan(X)
    columns = np.arange(X.shape[1])
    rows = known.all(axis=1)
    if 2 * rows.sum() < len(t):
        rows, columns = np.ones(len(t), dtype=np.bool_), np.flatnonzero(known.all(axis=0))
    X, t = X[np.ix_(rows, columns)], t[rows]
    if 2 * X.shape[1] > len(t) or not X.shape[1]:
        return []
    scale = np.abs(X).max(axis=0)
    scale[scale == 0] = 1
    weights = np.linalg.lstsq(X / scale, t, rcond=None)[0] / scale
    signs = np.round(weights)
    used = np.flatnonzero(np.abs(weights) * scale > SUM_CLOSE * np.abs(t).max())
    if len(used) < 3 or not (np.abs(weights[used] - signs[used]) < 1e-3).all():
        return []
    if not (np.abs(signs[used]) == 1).all():
        return []
    return [{int(columns[k]): int(signs[k]) for k in used}]
