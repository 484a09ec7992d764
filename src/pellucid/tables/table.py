"""Table: columns of numbers with their names, and the column to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid.errors import DataError

MIN_ROWS = 10
"""Fewer cannot be cut into a training, a validation and a held-out part."""


@dataclass
class Table:
    """A table whose inputs are numbers: a row is an example.

    Attributes
    ----------
    columns : list of str
        The names of the inputs.
    X : array of shape (m, n)
        The inputs in float64, a row for each example.
    y : array of shape (m,) or None
        The target: integers, floats, truth values or texts.
    target : str or None
        Its name.
    source : str
        What was read, for messages.
    notes : list of str
        What was found out on the way, such as ``"delimiter ';'"``.
    """

    columns: list[str]
    X: NDArray[np.float64]
    y: NDArray[Any] | None = None
    target: str | None = None
    source: str = "table"
    notes: list[str] = field(default_factory=list)

    @property
    def m(self) -> int:
        """The number of rows."""
        return len(self.X)

    def inputs(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return these columns in this order, (m, n); DataError where one is missing."""
        check_columns(self.source, self.columns, columns)
        return self.X[:, [self.columns.index(name) for name in columns]]


def check_learnable(table: Table) -> None:
    """Refuse a table that nothing can be learned from: too few rows, or a constant target."""
    y = table.y
    if y is None or table.target is None:
        raise DataError(f"{table.source} was read without a target; name the column to learn.")
    if table.m < MIN_ROWS:
        raise DataError(
            f"{table.source} has {count(table.m, 'row')}; at least {MIN_ROWS} are needed to train, "
            "validate and test. Add rows."
        )
    if (y == y[0]).all():
        raise DataError(
            f"{table.source}: the target {table.target!r} is constant: every row holds "
            f"{y[0].item()!r}, so there is nothing to learn. Choose another target."
        )


def check_columns(source: str, present: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a table that lacks columns a model was trained with."""
    known = set(present)
    missing = [name for name in wanted if name not in known]
    if missing:
        names = some(
            [
                f"{name!r}{nearest(name, [c for c in present if c not in wanted])}"
                for name in missing
            ]
        )
        raise DataError(
            f"{source} lacks {count(len(missing), 'column')} that the model was trained with: "
            f"{names}. It has: {some([repr(name) for name in present])}. Add what is missing, or "
            "rename."
        )


def as_whole(numbers: NDArray[np.float64]) -> NDArray[Any]:
    """Return numbers as integers where all of them are whole.

    >>> as_whole(np.array([1.0, 2.0])), as_whole(np.array([1.0, 2.5]))
    (array([1, 2]), array([1. , 2.5]))
    """
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)
    return numbers.astype(np.int64) if whole.all() else numbers


def nearest(name: str, known: Sequence[str]) -> str:
    """Return ``" (did you mean 'Age'?)"`` for a name that differs a little, or only in case.

    >>> nearest("AGE", ["age", "sex"])
    " (did you mean 'age'?)"
    """
    alike = [each for each in known if each.strip().casefold() == name.strip().casefold()]
    return f" (did you mean {alike[0]!r}?)" if alike else did_you_mean(name, known)


def some(items: Sequence[str], most: int = 8) -> str:
    """Join items with commas, the first few alone where there are many.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "row"), count(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
