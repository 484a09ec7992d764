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
from pellucid.tables.kinds import MOST_CATEGORIES, infer_kind
from pellucid.tables.table import Table, count, nearest, some
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

LEAK_ROWS = 2000
"""Rows on which a column's share in the target is measured."""

SUM_ROWS = 0.99
"""The share of rows in which sums of columns must give the target."""


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

    @property
    def messages(self) -> list[str]:
        """All of it as sentences, for people; what was asked for with ``drop`` is not news."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            if reason != DROPPED:
                by_reason.setdefault(reason, []).append(name)
        left_out = [
            f"{'column' if len(names) == 1 else 'columns'} {some([repr(name) for name in names])} "
            f"left out: {reason}. To take in: keep=[{names[0]!r}], or --keep {names[0]!r} on the "
            "command line."
            for reason, names in by_reason.items()
        ]
        return left_out + self.warnings


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
    for names, setting in (
        (settings.drop, "drop"),
        (settings.keep, "keep"),
        (settings.categorical, "categorical"),
    ):
        _check_named(table, names, setting)
    found = Screening({name: DROPPED for name in table.columns if name in set(settings.drop)})
    declared = table.categorical.union(settings.categorical)
    kinds = {}
    for name, column in table.columns.items():
        if name not in found.left_out:
            kinds[name] = infer_kind(column, name in declared)
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


def _check_named(table: Table, names: Collection[str], setting: str) -> None:
    for name in names:
        if name not in table.columns:
            known = list(table.columns)
            raise DataError(
                f"{table.source} has no column {name!r}{nearest(name, known)}, which {setting} "
                f"names; its columns are {some([repr(each) for each in known])}."
            )


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
            commas = _decimal_comma(column)
            hint = f"; they look like {commas}" if commas else ""
            return (
                f"it names the rows: {distinct:,} different values in {count(given, 'row')}{hint}"
            )
    return ""


def _decimal_comma(column: NDArray[Any]) -> str:
    """What to say of texts that are numbers with a comma; "" of others."""
    first = [str(text) for text in column[~is_missing(column)][:200]]
    found = list(filter(re.compile(r"[-+]?\d+,\d+").fullmatch, first))
    if 2 * len(found) < len(first) or not found:
        return ""
    return f"numbers with a comma, such as {found[0]!r}: write decimal numbers with a point"


def _distinct(column: NDArray[Any]) -> tuple[float, int, int]:
    """The share of a column's values that differ, their number, and how many are given."""
    given = column[~is_missing(column)]
    distinct = len(set(given.tolist()))
    return distinct / max(len(given), 1), distinct, len(given)


def _row_numbers(x: NDArray[np.float64]) -> str:
    """Why these numbers only number the rows; "" where they do not."""
    if (
        len(x) < ROW_NUMBERS_FROM
        or not (x % 1 == 0).all()
        or len(np.unique(x[:500])) < len(x[:500])
    ):
        return ""
    low, high = int(x.min()), int(x.max())
    years = 1500 <= low and high <= 2200
    if years or len(x) < FILLED * (high - low + 1) or len(np.unique(x)) < len(x):
        return ""
    return f"it numbers the rows: {len(x):,} different whole numbers from {low:,} to {high:,}"


_CODE_NAME = re.compile(
    r"(?:^|[^a-z])(?:ids?|codes?|zip|zip.?codes?|post(?:al)?.?codes?|plz)$|(?<=[a-z])I[dD]$"
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
    elif kind == "category":
        share, distinct, given = _distinct(column)
        if distinct > MOST_CATEGORIES and share >= MOSTLY_UNIQUE:
            yield (
                f"column {name!r} holds {distinct:,} different values in {count(given, 'row')}: "
                f"all but the {MOST_CATEGORIES} most frequent count as one. If it only names the "
                f"rows: drop=[{name!r}], or --drop {name!r} on the command line."
            )
        commas = _decimal_comma(column)
        if commas:
            yield f"column {name!r} is taken as categories, but holds what looks like {commas}."


def _looks_like_codes(name: str, x: NDArray[np.float64]) -> bool:
    """Whole numbers that come again and again and are called, or all written, like codes."""
    if not len(x) or not (x % 1 == 0).all():
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
    rows = np.sort(_some_rows(table.m))
    mixed = _some_rows(len(rows))
    y = None if table.y is None else table.y[rows]
    if task == "regression" and y is not None:
        y = y.astype(np.float64)
    for name, kind in kinds.items():
        if kind == "image":
            continue
        column = table.columns[name]
        x = _as_numbers(column[rows], kind)
        reason = ""
        if kind == "number" and len(np.unique(x)) == len(x):
            reason = _row_numbers(_as_numbers(column, kind))
        if not reason and y is not None:
            reason = _leak(x[mixed], y[mixed], task)
        if reason and name not in settings.keep:
            found[name] = reason
        elif kind == "number" and not np.isnan(x).any():
            numbers[name] = x
    if task == "regression" and y is not None:
        for name, reason in _sums(numbers, y):
            if name not in settings.keep:
                found.setdefault(name, reason)
    return found


def _some_rows(m: int) -> NDArray[np.int64]:
    """At most LEAK_ROWS rows, drawn without a seed of the user's: the answer is always the same."""
    if m <= LEAK_ROWS:
        return np.asarray(philox.permutation(0, m, stream=philox.SPLIT))
    steps = (np.arange(LEAK_ROWS) * (m / LEAK_ROWS)).astype(np.int64)  # spread over the table
    return steps[philox.permutation(0, LEAK_ROWS, stream=philox.SPLIT)]


def _as_numbers(column: NDArray[Any], kind: str) -> NDArray[np.float64]:
    """A column as one number a row that tells its values apart; NaN where missing."""
    if kind == "number" and column.dtype == object:
        return parse_numbers(column)
    if column.dtype == object and kind == "date":
        found = find_format(column)
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
    """Why x alone tells y almost perfectly, by a cross-validated tree; "" where it does not."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    regression = task == "regression"
    if len(y) < 20 or not _hopeful(x[:400], y[:400], regression):
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
    return f"by itself it tells the target almost perfectly ({measured})" if holds else ""


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
    X = np.stack(list(numbers.values()), axis=1)
    close = 1e-6 * float(np.abs(t).max())
    for signs in _pairs(X, t, close) or _least_squares(X, t):
        given = np.abs(X[:, list(signs)] @ np.array(list(signs.values())) - t) <= close
        if given.mean() >= SUM_ROWS:
            formula = " ".join(
                f"{'-' if sign < 0 else '+'} {names[k]!r}" for k, sign in signs.items()
            ).removeprefix("+ ")
            for k in signs:
                yield names[k], f"with others it gives the target exactly: {formula}"


def _pairs(X: NDArray[np.float64], t: NDArray[np.float64], close: float) -> list[dict[int, int]]:
    """The pairs of columns whose sum or difference is the target in nearly all rows."""
    found = []
    few, n = slice(0, 50), X.shape[1]
    for i in range(n):
        for sign_i, sign_j in ((1, 1), (1, -1)):
            rest = sign_j * (t - sign_i * X[:, i])
            alike = (np.abs(X[few] - rest[few, np.newaxis]) <= close).mean(axis=0) > 0.9
            found += [
                {i: sign_i, j: sign_j}
                for j in np.flatnonzero(alike).tolist()
                if j != i and (sign_j < 0 or j > i) and X[:, j].any() and X[:, i].any()
            ]
    return found


def _least_squares(X: NDArray[np.float64], t: NDArray[np.float64]) -> list[dict[int, int]]:
    """The columns whose sum, each added or taken away, is the target: three or more."""
    if 2 * X.shape[1] > len(t):
        return []
    scale = np.abs(X).max(axis=0)
    scale[scale == 0] = 1
    weights = np.linalg.lstsq(X / scale, t, rcond=None)[0] / scale
    signs = np.round(weights)
    used = np.flatnonzero(np.abs(weights) * scale > 1e-6 * np.abs(t).max())
    if len(used) < 3 or not (np.abs(weights[used] - signs[used]) < 1e-3).all():
        return []
    if not (np.abs(signs[used]) == 1).all():
        return []
    return [{int(k): int(signs[k]) for k in used}]
