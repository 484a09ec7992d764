"""What all kinds of columns share: the interface, the checks of their data, scaling, one-hot."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pellucid.checks import is_whole
from pellucid.errors import DataError
from pellucid.tables.values import is_missing, text_of

FARTHEST = 1e6
"""Interquartile ranges. Values farther out count as this far, so that nothing overflows."""

MEND = "Correct such values, or leave them empty: then they count as missing."
"""How to mend a column with values of another type."""


@dataclass
class Kind(ABC):
    """A fitted kind of column. ``missing`` counts the training rows without a value."""

    missing: int

    kind: ClassVar[str]
    expected: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, column: NDArray[Any], where: str) -> Self:
        """Return the kind fitted on a column of the training rows."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """How many numbers a value becomes."""

    @abstractmethod
    def names(self, column: str) -> list[str]:
        """Return the outputs' names."""

    @abstractmethod
    def write(self, column: NDArray[Any], out: NDArray[np.float32], where: str) -> None:
        """Write a column's outputs into ``out``, (m, n_outputs) and all 0; DataError otherwise."""

    def unseen(self, column: NDArray[Any], where: str) -> NDArray[np.bool_]:
        """Return a mask, (m,): the rows of a column that fits with a category not seen before."""
        return np.zeros(len(column), dtype=np.bool_)

    @abstractmethod
    def detail(self) -> str:
        """Return what was found out about the column, for the report."""

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError where the fields do not fit together."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a model file."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the kind that :meth:`to_dict` wrote; ValueError for anything else."""
        fields = [field.name for field in dataclasses.fields(cls)]
        if set(data) != set(fields):
            raise ValueError(f"expected {', '.join(fields)}; got {', '.join(map(str, data))}")
        kind = cls(**data)
        require(is_count(kind.missing), "'missing' must count rows")
        kind.check()
        return kind

    def refusal(self, where: str, column: NDArray[Any]) -> DataError:
        """The message for a column of another type."""
        if column.ndim > 1:
            got = f"arrays of the shape {column.shape[1:]}"
        else:
            given = np.flatnonzero(~is_missing(column))
            example = f"{text_of(column[given[0]])!r} in row {given[0] + 1}" if len(given) else ""
            got = f"{_HOLDS.get(column.dtype.kind, str(column.dtype))}, such as {example}"
        return DataError(f"{where} holds {got}; expected {self.expected}, as in training. {MEND}")


_HOLDS = {"f": "numbers", "O": "texts", "M": "dates"}


def require(holds: bool, message: str) -> None:
    """Raise a ValueError with this message unless it holds."""
    if not holds:
        raise ValueError(message)


def is_count(value: object, low: int = 0) -> bool:
    """Whether it is a whole number of at least ``low`` that float64 holds exactly."""
    return is_whole(value, low, 2**53 - 1)


def are_texts(values: object, low: int, high: int) -> bool:
    """Whether it is a list of so many different texts."""
    return (
        isinstance(values, list)
        and low <= len(values) <= high
        and all(isinstance(each, str) for each in values)
        and len(set(values)) == len(values)
    )


def spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median and the interquartile range of the values that are not NaN.

    Where the quartiles coincide the range is half the distance from the smallest to the largest
    value, and 0 where all are the same.

    >>> spread(np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])), spread(np.array([0.0, 0, 0, 0, 8]))
    ((3.0, 2.0), (0.0, 4.0))
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return 0.0, 0.0
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    if high == low:
        low, high = values.min() / 2, values.max() / 2
    return median, float(high - low)


def squash(x: NDArray[np.float64], median: Any, scale: Any) -> NDArray[np.float64]:
    """Return z / √(1 + (z/3)²) with z = (x - median) / scale: about z near 0, never beyond ±3.

    A missing x, and every x where the scale is 0, becomes 0. For x of shape (m, n) the median and
    scale may be those of the n columns.

    >>> squash(np.array([2.0, 5.0, 1e9, np.nan]), median=2.0, scale=3.0).round(4)
    array([0.    , 0.9487, 3.    , 0.    ])
    """
    with np.errstate(over="ignore"):
        z = (x - median) / np.where(np.equal(scale, 0), np.inf, scale)
    z = np.minimum(np.maximum(z, -FARTHEST), FARTHEST)
    z /= np.sqrt(1 + (z / 3) ** 2)
    return np.where(np.isnan(z), 0.0, z)


def check_texts(
    expected: str, column: NDArray[Any], unread: NDArray[np.bool_], lenient: bool, where: str
) -> None:
    """Refuse texts that are no numbers, or dates, where training had no texts, or most are such."""
    wrong = np.flatnonzero(unread & ~is_missing(column))
    if len(wrong) and not (lenient and (len(wrong) < 10 or 2 * len(wrong) < len(column))):
        raise DataError(
            f"{where} holds texts that are not {expected}, such as {column[wrong[0]]!r} in row "
            f"{wrong[0] + 1}; expected {expected}, as in training. {MEND}"
        )


def put_ones(out: NDArray[np.float32], places: NDArray[np.int64]) -> None:
    """Set each row's place to 1; a place of -1 stands for none.

    >>> out = np.zeros((2, 3), dtype=np.float32)
    >>> put_ones(out, np.array([2, -1]))
    >>> out
    array([[0., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    rows = np.flatnonzero(places >= 0)
    out[rows, places[rows]] = 1
