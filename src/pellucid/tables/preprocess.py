"""What is done to a table before a network sees it, fitted on the training rows alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid.errors import DataError
from pellucid.tables._kind import squash
from pellucid.tables.kinds import KINDS, Date, Kind, Number, infer_kind
from pellucid.tables.table import Table, check_columns
from pellucid.tables.values import LARGEST

__all__ = ["KINDS", "Kind", "Preprocessing", "infer_kind"]

BLOCK = 2**16
"""Numbers that are scaled at a time."""


@dataclass
class Preprocessing:
    """The kinds of a table's columns, fitted: they turn rows into the inputs of a network.

    Nothing here needs more than numpy.

    Attributes
    ----------
    columns : dict of str to Kind
        The kind of each input column, in order.

    Examples
    --------
    >>> sex = np.array(["f", "m", "f", "f"], dtype=object)
    >>> table = Table({"age": np.array([20.0, 30.0, 40.0, np.nan]), "sex": sex})
    >>> preprocessing = Preprocessing.fit(table)
    >>> preprocessing.output_names
    ['age', 'age is missing', 'sex = m']
    >>> preprocessing.transform(table.columns).round(2)
    array([[-0.95,  0.  , -1.  ],
           [ 0.  ,  0.  ,  1.  ],
           [ 0.95,  0.  , -1.  ],
           [ 0.  ,  1.  , -1.  ]], dtype=float32)
    """

    columns: dict[str, Kind]

    @classmethod
    def fit(cls, table: Table, *, categorical: Collection[str] = ()) -> Preprocessing:
        """Return the preprocessing of these rows.

        ``categorical`` names columns of numbers that are codes of categories; names of other
        tables' columns mean nothing here.
        """
        if not table.columns or not table.m:
            what = "rows" if table.columns else "columns"
            raise DataError(f"{table.source} has no {what}; there is nothing to fit.")
        declared = table.categorical.union(categorical)
        fitted = {}
        for name, column in table.columns.items():
            kind = KINDS[infer_kind(column, name in declared)]
            fitted[name] = kind.fit(column, _where(table.source, name))
        return cls(fitted)

    def transform(
        self, columns: Mapping[str, NDArray[Any]], source: str = "X"
    ) -> NDArray[np.float32]:
        """Return the inputs of a network, (m, n_outputs); DataError where a column does not fit.

        ``columns`` are those of a :class:`~pellucid.tables.table.Table`; further ones are ignored.
        """
        check_columns(source, columns, self.columns)
        m = len(next(iter(columns.values()))) if columns else 0
        Z = np.zeros((m, self.n_outputs), dtype=np.float32)
        k = 0
        numbers: list[tuple[int, str, Number]] = []
        for name, kind in self.columns.items():
            column = columns[name]
            if isinstance(kind, Number) and column.dtype.kind == "f" and column.ndim == 1:
                numbers.append((k, name, kind))
            else:
                kind.write(column, Z[:, k : k + kind.n_outputs], _where(source, name))
            k += kind.n_outputs
        if numbers:
            _write_numbers(numbers, columns, Z, source)
        return Z

    def unseen(
        self, columns: Mapping[str, NDArray[Any]], source: str = "X"
    ) -> dict[str, NDArray[np.bool_]]:
        """Return for each column with categories not seen in training a mask of their rows, (m,).

        The worst comes first. ``columns`` are those that :meth:`transform` takes.
        """
        masks = {
            name: kind.unseen(columns[name], _where(source, name))
            for name, kind in self.columns.items()
        }
        found = {name: mask for name, mask in masks.items() if mask.any()}
        return dict(sorted(found.items(), key=lambda item: -int(item[1].sum())))

    @property
    def n_outputs(self) -> int:
        """How many inputs the network has, n[0]."""
        return sum(kind.n_outputs for kind in self.columns.values())

    @property
    def output_names(self) -> list[str]:
        """The name of each output."""
        return [each for name, kind in self.columns.items() for each in kind.names(name)]

    @property
    def output_columns(self) -> list[str]:
        """For each output the input column that it comes from."""
        return [name for name, kind in self.columns.items() for _ in range(kind.n_outputs)]

    @property
    def notes(self) -> list[str]:
        """What a reader should know: dates that could be read in two ways."""
        return [
            f"the dates in {name!r} are read as {kind.format}; {kind.other_format} fits too. If "
            "that is wrong, write them as 2020-12-31."
            for name, kind in self.columns.items()
            if isinstance(kind, Date) and kind.other_format
        ]

    def describe(self) -> list[dict[str, Any]]:
        """Return for each column: name, kind, missing in training, outputs, detail."""
        return [
            {
                "name": name,
                "kind": kind.kind,
                "missing": kind.missing,
                "outputs": kind.n_outputs,
                "detail": kind.detail(),
            }
            for name, kind in self.columns.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a model file."""
        return {
            "columns": [{"name": name, **kind.to_dict()} for name, kind in self.columns.items()]
        }

    @classmethod
    def from_dict(cls, data: Any) -> Preprocessing:
        """Return the preprocessing that :meth:`to_dict` wrote; ValueError for anything else."""
        entries = data.get("columns") if isinstance(data, Mapping) else None
        if not isinstance(entries, list) or not entries:
            raise ValueError("the preprocessing must list its columns")
        columns: dict[str, Kind] = {}
        for place, entry in enumerate(entries, start=1):
            name, kind = _kind_from(place, entry)
            if name in columns:
                raise ValueError(f"column {place}: the name {name!r} is used twice")
            columns[name] = kind
        return cls(columns)


def _write_numbers(
    numbers: list[tuple[int, str, Number]],
    columns: Mapping[str, NDArray[Any]],
    Z: NDArray[np.float32],
    source: str,
) -> None:
    """What Number.write does, for all such columns at once: a single row takes a tenth as long.

    ``numbers`` are (place among the outputs, name, kind). Rows are taken in blocks, so that the
    float64 numbers on the way take little memory.
    """
    places = [k for k, _, _ in numbers]
    median = np.array([kind.median for _, _, kind in numbers])
    scale = np.array([kind.scale for _, _, kind in numbers])
    step = max(1, BLOCK // len(numbers))
    for start in range(0, len(Z), step):
        rows = slice(start, start + step)
        x = np.stack([columns[name][rows] for _, name, _ in numbers], axis=1)
        if (np.abs(x) > LARGEST).any():
            for _, name, kind in numbers:
                kind.numbers(columns[name], _where(source, name))  # raises for one of them
        Z[rows, places] = squash(x, median, scale)
    for k, name, kind in numbers:
        if kind.missing:
            Z[:, k + 1] = np.isnan(columns[name])


def _where(source: str, name: str) -> str:
    return f"{source}: column {name!r}"


def _kind_from(place: int, entry: Any) -> tuple[str, Kind]:
    fields = dict(entry) if isinstance(entry, Mapping) else {}
    name, known = fields.pop("name", None), fields.pop("kind", None)
    if not isinstance(name, str):
        raise ValueError(f"column {place} has no name")
    if not isinstance(known, str) or known not in KINDS:
        hint = did_you_mean(known, KINDS)
        raise ValueError(
            f"column {name!r}: unknown kind {known!r}{hint}; known are {', '.join(KINDS)}"
        )
    try:
        return name, KINDS[known].from_dict(fields)
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from None
