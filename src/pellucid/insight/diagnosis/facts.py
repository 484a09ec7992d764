"""Facts of a table: what each column and the target are like, and whether two tables differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROWS = 2000
"""Rows that are looked at, evenly spaced."""
COLUMNS = 1000
"""Columns whose relation to the target is looked at, the first ones."""
NEIGHBOURS = 5
RARELY = 0.05
"""A column of which a smaller share than this is not 0 moves little, whatever its values are."""


@dataclass
class Table:
    """Rows as sklearn wants them, and the target as class numbers or as real numbers."""

    X: Floats
    y: NDArray[Any]
    classes: int
    """0 for regression."""


@dataclass
class Columns:
    """A number for each column, in order."""

    scale: list[float]
    """Root mean square of the values that are not 0: 1 for standardised and for 0/1 columns."""
    rare: list[bool]
    """Whether nearly all of the values are 0, as of pixels at the rim and of words."""
    constant: list[bool]
    twin: list[int]
    """The first column that is the same up to its scale; its own number where there is none."""
    lattice: list[float]
    """Share of evenly spaced places that are taken, each once: 1 for a counter, 0 for others."""
    alone: list[float]
    """What the column alone says of the target on rows held out, 0 nothing, 1 everything."""
    copy: list[float]
    """How much of the column's own variance the target explains: 1 where it is the target."""
    drift: list[float] = field(default_factory=list)
    """Kolmogorov's distance between training and validation, 0 where it may be chance."""


def take_rows(m: int) -> NDArray[np.intp]:
    """At most ROWS row numbers, evenly spaced."""
    rows: NDArray[np.intp] = np.unique(np.linspace(0, m - 1, min(m, ROWS)).astype(np.intp))
    return rows


def columns_of(table: Table) -> Columns:
    """Return the facts of every column of a table of a few thousand rows."""
    X = table.X
    given = (X != 0).sum(axis=0)
    nonzero = np.maximum(given, 1)
    scale = np.sqrt((X**2).sum(axis=0) / nonzero)
    spread = X.std(axis=0)
    constant = spread <= 1e-6 * np.maximum(scale, 1e-300)
    return Columns(
        scale.tolist(),
        (given < RARELY * len(X)).tolist(),
        constant.tolist(),
        _twins(X, constant),
        [0.0 if constant[j] else _lattice(X[:, j]) for j in range(X.shape[1])],
        [0.0 if constant[j] or j >= COLUMNS else alone(X[:, j], table) for j in range(X.shape[1])],
        [0.0 if constant[j] else _copy(X[:, j], table) for j in range(X.shape[1])],
    )


def _copy(x: Floats, table: Table) -> float:
    """The squared correlation, or for classes the correlation ratio, with the target."""
    if not table.classes:
        if np.std(table.y) == 0:
            return 0.0
        ranks = [np.argsort(np.argsort(each)) for each in (x, table.y)]
        pairs = (x, table.y), ranks
        return max(float(np.corrcoef(*pair)[0, 1]) ** 2 for pair in pairs)
    inside = sum(float(np.sum((part - part.mean()) ** 2)) for part in _by_class(x, table))
    return 1 - inside / float(np.sum((x - x.mean()) ** 2))


def _by_class(x: Floats, table: Table) -> list[Floats]:
    return [x[table.y == k] for k in range(table.classes) if np.any(table.y == k)]


def _twins(X: Floats, constant: NDArray[np.bool_]) -> list[int]:
    """For each column the first one with the same standardised values."""
    known: dict[bytes, int] = {}
    twins = []
    centred = X - X.mean(axis=0)
    spread = np.where(constant, 1.0, X.std(axis=0))
    first = centred[np.abs(centred).argmax(axis=0), np.arange(X.shape[1])]
    standard = centred / (spread * np.where(first < 0, -1, 1))
    for j in range(X.shape[1]):
        if constant[j]:
            twins.append(j)
            continue
        key = np.round(standard[:, j], 3).astype(np.float32) + np.float32(0)
        twins.append(known.setdefault(key.tobytes(), j))
    return twins


def _lattice(x: Floats) -> float:
    """m / (number of places) where the values are all distinct and multiples of one step."""
    values = np.sort(x)
    steps = np.diff(values)
    if len(values) < 30 or steps.min() <= 0:
        return 0.0
    unit = float(np.median(steps[steps < 1.5 * steps.min()]))
    places = (values - values[0]) / unit
    if np.abs(places - np.round(places)).max() > 0.1:
        return 0.0
    return float(len(values) / (round(places[-1]) + 1))


def alone(x: Floats, table: Table) -> float:
    """R squared, or accuracy above chance, of the nearest neighbours along one column."""
    known, asked = slice(0, None, 2), slice(1, None, 2)
    order = np.argsort(x[known], kind="stable")
    at = np.searchsorted(x[known][order], x[asked])
    places = np.clip(at[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS), 0, len(order) - 1)
    around = order[places]
    distance = np.abs(x[known][around] - x[asked][:, None])
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    near = np.take_along_axis(around, nearest, axis=1)
    return skill(_vote(table.y[known][near], table.classes), table.y[asked], table.classes)


def _vote(near: NDArray[Any], classes: int) -> NDArray[Any]:
    if not classes:
        mean: NDArray[Any] = near.mean(axis=1)
        return mean
    winner: NDArray[Any] = np.stack([(near == k).sum(axis=1) for k in range(classes)]).argmax(0)
    return winner


def skill(predicted: NDArray[Any], y: NDArray[Any], classes: int) -> float:
    """R squared; for classes, how far the accuracy is from always the commonest class to 1."""
    floor = float(np.bincount(y, minlength=classes).max() / len(y)) if classes else 0.0
    return (score_of(predicted, y, classes) - floor) / max(1 - floor, 1e-12)


def score_of(predicted: NDArray[Any], y: NDArray[Any], classes: int) -> float:
    """The accuracy, or R squared where there are no classes."""
    if classes:
        return float(np.mean(predicted == y))
    spread = float(np.var(y))
    return 1 - float(np.mean((predicted - y) ** 2)) / spread if spread > 0 else 0.0


def drift(x: Floats, other: Floats, tests: int) -> float:
    """Kolmogorov's distance of two samples; 0 where chance would do it once in 10^4 times."""
    both = np.concatenate([x, other])
    below = [np.searchsorted(np.sort(part), both, side="right") / len(part) for part in (x, other)]
    distance = float(np.abs(below[0] - below[1]).max())
    n = len(x) * len(other) / (len(x) + len(other))
    return distance if 2 * np.exp(-2 * n * distance**2) < 1e-4 / tests else 0.0
