"""Columns that give the target: copies of it, sums that are it, near-perfect predictors of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.engines import permutation
from pellucid.tables.dates import find_format, parse_dates
from pellucid.tables.table import Table
from pellucid.tables.values import by_distinct, parse_numbers

COPY_ROWS, STRETCH_ROWS = 10, 100
"""The rows that must not be of the most frequent class to show a copy: where each class has one
value, and where each has a stretch of them, as a measurement may have in few rows."""

COPY_R2, LINE_CLOSE = 0.99999, 0.02
"""A straight line gives the numbers, to rounding, from this R² on (outdoor temperatures in degrees
Celsius and Fahrenheit, with a decimal, have 0.999994), if almost all are as near to it as this
share of their interquartile range: one outlier must not make a line."""

TELLS_ERROR = 0.01
"""A column tells the class almost perfectly if its wrong answers, and one more, are below this
share of those of the answer that never changes. In the tables above at least 0.08 (iris)."""

TELLS_R2 = 0.999
"""A column tells the number almost perfectly from this R² on. In the tables above at most 0.94
(registered)."""

SOME_ROWS = 2000
"""Rows on which a column's share in the target is measured; a rare class has up to its part."""

LEAST_ROWS = 20
"""Fewer show nothing."""

SUM_ROWS = 0.99
"""The share of rows in which a line, or a sum of columns, must give the target."""

MOST_ADDED = 2_000
"""Columns that are tried, as every pair is: of more, those that go along with the target the most,
as one of two that it is the sum of always does."""

SUM_CLOSE, SUM_TELLS = 1e-6, 1e-3
"""How close: as a share of the sizes of all that is added and of the target, and, lest the tiny
difference of two large numbers seem to be any small target, of its standard deviation."""

Found = dict[str, str]
"""Columns by name, each with the reason."""


def look_for_target(table: Table, kinds: dict[str, str], task: str) -> tuple[Found, Found]:
    """Return the columns that are copies of the target, and those that predict it almost perfectly.

    ``kinds`` are the columns to look at.

    >>> x = np.linspace(-1, 1, 400)
    >>> table = Table({"x": x, "double": 2 * x}, x > 0)
    >>> look_for_target(table, {"x": "number"}, "binary")
    ({'x': 'it gives the target exactly: in its order each class is one block'}, {})
    """
    copies: Found = {}
    telling: Found = {}
    (y, rows), regression = _target(table, task), task == "regression"
    if not len(rows):
        return copies, telling
    mixed = permutation(0, len(rows), stream=philox.SPLIT)
    numbers = {}
    for name, kind in kinds.items():
        if kind == "image":
            continue
        column, ordered = table.columns[name], kind in ("number", "date")
        x = as_numbers(column, kind, rows)
        reason = _copy(x, y[rows], regression, ordered)
        if reason and len(rows) < table.m:  # shown for all rows, not for some
            reason = _copy(as_numbers(column, kind, slice(None)), y, regression, ordered)
        if reason:
            copies[name] = reason
            continue
        share = _told(x[mixed], y[rows][mixed], regression)
        if share:
            telling[name] = f"by itself predicts the target almost perfectly ({share})"
        if kind == "number" and 2 * np.isnan(x).sum() <= len(x):
            numbers[name] = x
    if regression:
        for name, reason in _sums(numbers, y[rows]):
            copies.setdefault(name, reason)
            telling.pop(name, None)
    return copies, telling


def may_tell(table: Table, name: str, kind: str, task: str) -> bool:
    """Return whether rows that are next to each other in a column have much the same target."""
    y, rows = _target(table, task)
    return len(rows) > 0 and _hopeful(
        as_numbers(table.columns[name], kind, rows), y[rows], task == "regression"
    )


def _target(table: Table, task: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The target as numbers, and the rows on which it is looked for; none where there are few."""
    if table.y is None or table.m < LEAST_ROWS:
        return np.empty(0), np.empty(0, dtype=np.int64)
    if task == "regression":
        return table.y.astype(np.float64), _some_rows(table.m, None)
    y = np.unique(table.y, return_inverse=True)[1]
    return y, _some_rows(table.m, y)


def _some_rows(m: int, labels: NDArray[Any] | None) -> NDArray[np.int64]:
    """At most SOME_ROWS rows, spread over the table: of each class as many, or all it has."""
    if m <= SOME_ROWS:
        return np.arange(m)
    if labels is None:
        return _spread_over(np.arange(m), SOME_ROWS)
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    left, picked = SOME_ROWS, []
    for place, k in enumerate(np.argsort(counts, kind="stable")):  # the rare ones first
        mine = _spread_over(np.flatnonzero(codes == k), left // (len(classes) - place))
        left -= len(mine)
        picked.append(mine)
    return np.sort(np.concatenate(picked))


def _spread_over(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows), most, endpoint=False).astype(np.int64)]


def as_numbers(whole: NDArray[Any], kind: str, rows: Any) -> NDArray[np.float64]:
    """Return rows of a column as numbers that tell its values apart; NaN where missing."""
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


def _known_parts(x: NDArray[np.float64]) -> Iterator[Any]:
    """All rows; and those where x is given, if some are not and those are half of them."""
    known = ~np.isnan(x)
    yield slice(None)
    if not known.all() and 2 * known.sum() >= len(x):
        yield known


# Copies -------------------------------------------------------------------------------------------


def _copy(x: NDArray[np.float64], y: NDArray[Any], regression: bool, ordered: bool) -> str:
    """By which rule x gives every y; "" where by none. Without order x are codes."""
    for rows in _known_parts(x):
        if regression and _on_a_line(x[rows], y[rows]):
            return "it gives the target exactly: both lie on a straight line"
        if not regression:
            reason = _class_by_class(x[rows], y[rows], ordered)
            if reason:
                return reason
    return ""


def _class_by_class(x: NDArray[np.float64], y: NDArray[np.int64], ordered: bool) -> str:
    values, codes = np.unique(x, return_inverse=True)
    pairs = np.unique(codes * (y.max() + 1) + y)
    if len(pairs) > len(values):
        return ""  # a value that stands for two classes
    classes = len(np.unique(y))
    if len(values) == classes:
        return "it is a copy of the target: a value for each class" * (_rarer(y) >= COPY_ROWS)
    stretches = 1 + np.count_nonzero(np.diff(pairs % (y.max() + 1)))
    if ordered and stretches == classes and _rarer(y) >= STRETCH_ROWS:
        return "it gives the target exactly: in its order each class is one block"
    return ""


def _on_a_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether a straight line gives y from x, but for rounding; not where x is missing in a row."""
    if _linear_r2(x, y) < COPY_R2:
        return False
    x, y = _centred(x), _centred(y)
    off = np.abs(y - x * float((x * y).sum() / (x * x).sum()))
    spread = float(np.diff(np.quantile(y, (0.25, 0.75)))[0])
    return bool((off <= max(LINE_CLOSE * spread, 1e-12)).mean() >= SUM_ROWS)


# What tells the target almost perfectly -----------------------------------------------------------


def _told(x: NDArray[np.float64], y: NDArray[Any], regression: bool) -> str:
    """How well x alone tells y, if almost perfectly; "" where it does not."""
    return next(filter(None, (_by_a_tree(x[k], y[k], regression) for k in _known_parts(x))), "")


def _by_a_tree(x: NDArray[np.float64], y: NDArray[Any], regression: bool) -> str:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if len(y) < LEAST_ROWS or not _hopeful(x[:400], y[:400], regression):
        return ""
    tree = DecisionTreeRegressor if regression else DecisionTreeClassifier
    predicted = np.empty(len(y), dtype=y.dtype)
    # Centred, since trees take float32, in which large or tiny numbers fall together.
    fold, X = np.arange(len(y)) % 3, _centred(x)[:, np.newaxis]
    for k in range(3):
        model = tree(random_state=0).fit(X[fold != k], y[fold != k])
        predicted[fold == k] = model.predict(X[fold == k])
    if regression:
        r2 = max(_r2(y, predicted), _linear_r2(x, y))
        return f"R² {r2:.5f}" if r2 >= TELLS_R2 else ""
    wrong = int((predicted != y).sum())
    return f"{1 - wrong / len(y):.2%} right" if wrong + 1 <= TELLS_ERROR * _rarer(y) else ""


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


# Sums ---------------------------------------------------------------------------------------------


def _sums(
    numbers: dict[str, NDArray[np.float64]], t: NDArray[np.float64]
) -> Iterator[tuple[str, str]]:
    """The columns whose sum or difference is the target, with the reason."""
    if not numbers:
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
