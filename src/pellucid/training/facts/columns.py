"""What each column is like, and whether two tables differ: numbers, never rows."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.training.facts.target import Table

Floats = NDArray[np.float64]

ROWS = 2000
"""Rows that are looked at."""
COLUMNS = 1000
"""Columns whose relation to the target is looked at, the first ones."""
WORDS = ("", "channel", "feature")
NEIGHBOURS = 5
RARELY = 0.05
"""A column of which a smaller share than this is not 0 moves little, whatever its values are."""
OUTPUTS = 8
"""Outputs whose relation to the columns is looked at."""
FAR = 1.0
"""A value that many rows share, further from all others than they are from each other."""


@dataclass
class Columns:
    """A number for each column, in order; the lists that are empty were not looked for."""

    scale: list[float]
    """Root mean square of the values that are not 0: 1 for standardised and for 0/1 columns."""
    rare: list[bool]
    """Whether nearly all of the values are 0, as of pixels at the rim and of words."""
    constant: list[bool]
    copy: list[float]
    """How much of the column's own variance the target explains: 1 where it is the target."""
    placeholder: list[tuple[int, float, float]] = field(default_factory=list)
    """Column, value and share of rows, where many rows share a value far from all others."""
    twin: list[int] = field(default_factory=list)
    """The first column that is the same up to its scale; its own number where there is none."""
    lattice: list[float] = field(default_factory=list)
    """Share of evenly spaced places that are taken, each once: 1 for a counter, 0 for others."""
    alone: list[float] = field(default_factory=list)
    """What the column alone says of the target on rows held out, 0 nothing, 1 everything."""
    drift: list[float] = field(default_factory=list)
    """Kolmogorov's distance between training and validation, 0 where it may be chance."""
    moved: list[float] = field(default_factory=list)
    """How far the validation's mean is from the training's, in standard deviations of either, or
    how much wider one is than the other (a logarithm), whichever is more."""
    word: str = ""
    """"channel" or "feature" where a column is one, at all places of a picture or a sequence: one
    of ``WORDS``."""

    def to_dict(self) -> dict[str, Any]:
        """Return what a rule could speak of, as plain data: a few columns of each kind."""
        n = len(self.scale)
        used = [j for j in range(n) if not (self.constant[j] or self.rare[j]) and self.scale[j] > 0]
        used.sort(key=self.scale.__getitem__)
        return {
            "n": n,
            "scale": [[j, _rounded(self.scale[j])] for j in dict.fromkeys([*used[:1], *used[-1:]])],
            "constant": [j for j in range(n) if self.constant[j]],
            "twin": [[j, k] for j, k in enumerate(self.twin) if j != k],
            "placeholder": [list(map(_rounded, each)) for each in self.placeholder],
            **{name: _largest(getattr(self, name)) for name in _SPARSE},
            **({"word": self.word} if self.word else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Columns:
        """Return what :meth:`to_dict` wrote; the columns it left out are like any other."""
        n = data["n"]
        if not isinstance(n, int) or not 0 < n <= COLUMNS:
            raise ValueError(f"{n!r:.40} columns")
        found = cls([1.0] * n, [True] * n, [False] * n, [0.0] * n, twin=list(range(n)))
        for j, value in _pairs(data["scale"], n):
            found.scale[j], found.rare[j] = value, False
        for j in data["constant"]:
            found.constant[range(n)[j]] = True
        for j, k in _pairs(data["twin"], n):
            found.twin[j] = range(n)[int(k)]
        found.placeholder = [
            (range(n)[int(j)], float(v), float(s)) for j, v, s in data["placeholder"]
        ]
        for name in _SPARSE:
            values = [0.0] * n if data[name] else []
            for j, value in _pairs(data[name], n):
                values[j] = value
            setattr(found, name, values)
        found.copy = found.copy or [0.0] * n
        found.word = data.get("word", "")
        if found.word not in WORDS:
            raise ValueError(f"word = {found.word!r:.40}")
        return found


_SPARSE = ("copy", "lattice", "alone", "drift", "moved")
"""Lists of which the largest say all; an empty one stays empty."""
_MOST = 30


def _largest(values: list[float]) -> list[list[float]]:
    order = sorted(range(len(values)), key=lambda j: -abs(values[j]))[:_MOST]
    return [[j, _rounded(values[j])] for j in order if values[j] or j == order[0]]


def _pairs(data: Any, n: int) -> Iterator[tuple[int, float]]:
    """Pairs of a column and a number; IndexError or TypeError for anything else."""
    for j, value in data:
        yield range(n)[j], float(value)


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")


def take_rows(m: int, most: int = ROWS) -> NDArray[np.intp]:
    """At most so many row numbers, evenly spread and always the same: one of each stretch."""
    if m <= most:
        return np.arange(m)
    places = (np.arange(most) + _within_stretches(most)) * (m / most)
    rows: NDArray[np.intp] = places.astype(np.intp)
    return rows


@functools.lru_cache(maxsize=16)
def _within_stretches(count: int) -> NDArray[np.float64]:
    """Where in each stretch its row is; to make a generator takes as long as a small epoch."""
    return np.random.default_rng(0).random(count)


def columns_of(table: Table) -> Columns:
    """Return the facts of every column of a table of a few thousand rows."""
    X, found = table.X, columns_of_values(table.X)
    columns = [*enumerate(zip(X.T, found.constant, strict=True))]
    found.copy = np.where(found.constant, 0.0, _copy(X, table)).tolist()
    found.lattice = [0.0 if same else _lattice(x) for _, (x, same) in columns]
    found.alone = [0.0 if same or j >= COLUMNS else alone(x, table) for j, (x, same) in columns]
    return found


def columns_of_values(X: Floats) -> Columns:
    """Return what the values of each column alone are like."""
    given = (X != 0).sum(axis=0)
    nonzero = np.maximum(given, 1)
    scale = np.sqrt((X**2).sum(axis=0) / nonzero)
    constant = X.std(axis=0) <= 1e-6 * np.maximum(scale, 1e-300)
    return Columns(
        scale.tolist(),
        (given < RARELY * len(X)).tolist(),
        constant.tolist(),
        [0.0] * X.shape[1],
        _placeholders(X),
        _twins(X, constant),
    )


def _copy(X: Floats, table: Table) -> Floats:
    """Squared correlations with the target, of values or ranks; for classes correlation ratios."""
    centred = X - X.mean(axis=0)
    whole = np.maximum((centred**2).sum(axis=0), 1e-300)
    if table.classes:
        means = [centred[table.y == k].sum(axis=0) for k in range(table.classes)]
        counts = np.maximum(np.bincount(table.y, minlength=table.classes), 1)
        explained: Floats = (np.square(means) / counts[:, np.newaxis]).sum(axis=0) / whole
        return explained
    y = table.y[:, :OUTPUTS]
    return np.maximum(_correlations(X, y), _correlations(_ranks(X), _ranks(y)))


def _ranks(X: Floats) -> Floats:
    ranks: Floats = X.argsort(axis=0).argsort(axis=0).astype(np.float64)
    return ranks


def _correlations(X: Floats, Y: Floats) -> Floats:
    """The largest squared correlation of each column of X with a column of Y."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    sizes = np.outer((X**2).sum(axis=0), (Y**2).sum(axis=0))
    found: Floats = ((X.T @ Y) ** 2 / np.maximum(sizes, 1e-300)).max(axis=1)
    return found


def _placeholders(X: Floats) -> list[tuple[int, float, float]]:
    """Values at an end of a column that many rows share, far from all the others, and no 0.

    The others are numbers of their own, ten of them or more: 0 and 1 of a flag are none.
    """
    found = []
    for ends in (X.max(axis=0), X.min(axis=0)):
        shared = (X == ends).sum(axis=0)
        few = (shared >= max(3, 0.005 * len(X))) & (shared < 0.5 * len(X)) & (ends != 0)
        for j in np.flatnonzero(few):
            others = np.unique(X[X[:, j] != ends[j], j])
            gap = np.abs(others - ends[j]).min()
            if len(others) >= 10 and gap > FAR * (others[-1] - others[0]):
                found.append((int(j), float(ends[j]), float(shared[j] / len(X))))
    return found


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
    held_out = table.rows(asked)
    held_out.loss = None
    floor = held_out.floor()
    y = table.y[known][near] if table.classes else table.y[known, 0][near]
    if not table.classes:
        held_out.y = held_out.y[:, :1]
    return (held_out.score(_vote(y, table.classes)) - floor) / max(1 - floor, 1e-12)


def _vote(near: NDArray[Any], classes: int) -> NDArray[Any]:
    if not classes:
        mean: NDArray[Any] = near.mean(axis=1)[:, np.newaxis]
        return mean
    winner: NDArray[Any] = np.stack([(near == k).sum(axis=1) for k in range(classes)]).argmax(0)
    return winner


def compare_columns(found: Columns, train: Floats, held_out: Floats) -> None:
    """Add how columns of validation rows differ from those of training rows."""
    add_moved(found, train, held_out)
    n = len(found.moved)
    found.drift = [drift(train[:, j], held_out[:, j], n + 1) for j in range(n)]


def add_moved(found: Columns, train: Floats, held_out: Floats) -> None:
    """Add how far the values of each column have moved."""
    spreads = [np.maximum(X.std(axis=0), 1e-300) for X in (train, held_out)]
    apart = np.abs(train.mean(axis=0) - held_out.mean(axis=0)) / np.minimum(*spreads)
    moved = np.maximum(apart, np.abs(np.log(spreads[0] / spreads[1])))
    found.moved = np.where(found.constant, 0.0, np.minimum(moved, 1e6)).tolist()


def drift(x: Floats, other: Floats, tests: int) -> float:
    """Kolmogorov's distance of two samples; 0 where chance would do it once in 10^4 times."""
    both = np.concatenate([x, other])
    below = [np.searchsorted(np.sort(part), both, side="right") / len(part) for part in (x, other)]
    distance = float(np.abs(below[0] - below[1]).max())
    n = len(x) * len(other) / (len(x) + len(other))
    return distance if 2 * np.exp(-2 * n * distance**2) < 1e-4 / tests else 0.0
