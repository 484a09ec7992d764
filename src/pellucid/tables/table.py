"""Table: columns with their names, and the column to learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid._shown import LONGEST_QUOTED, short
from pellucid.errors import DataError

if TYPE_CHECKING:
    from pellucid.tables.by import By


@dataclass
class Table:
    """Columns by name, all of one length: a row is an example.

    Whatever a table was read from, its columns are of these types alone:

    - numbers, truth values (0 and 1) and durations (seconds): ``float64``, NaN where missing;
    - texts: ``object``, str without blanks around it, or None where missing; also columns of whole
      numbers from 2^53 on, which float64 would not tell apart;
    - dates and times: ``datetime64[us]``, in UTC where a time zone is known, NaT where missing;
    - images: ``uint8`` of shape (m, height, width, 3).

    A column in which everything is missing is ``float64``.

    Attributes
    ----------
    columns : dict of str to array
        The inputs.
    y : array of shape (m,) or None
        The target: truth values, int64, float64 or texts (dtype U); none is missing.
    target : str or None
        Its name.
    source : str
        What was read, for messages.
    notes : list of str
        What was found out on the way, such as ``"delimiter ';'"``.
    categorical : frozenset of str
        The columns that are declared categories where they come from.
    kept : array of int or None
        Which rows of what was read these are, from 0, where some were left out.
    weights : array of shape (m,) or None
        What each row counts, 0 or more; None is 1 each.
    by : By or None
        What the rows are parted by when some are held out; None is at random.
    decimal : str
        "," where a file wrote numbers with decimal commas.

    Examples
    --------
    >>> table = Table({"age": np.array([31.0, np.nan]), "sex": np.array(["f", None], dtype=object)})
    >>> table.m, table.rows([1]).columns["sex"]
    (2, array([None], dtype=object))
    """

    columns: dict[str, NDArray[Any]]
    y: NDArray[Any] | None = None
    target: str | None = None
    source: str = "table"
    notes: list[str] = field(default_factory=list)
    categorical: frozenset[str] = frozenset()
    decimal: str = "."
    kept: NDArray[np.int64] | None = None
    weights: NDArray[np.float64] | None = None
    by: By | None = None

    @property
    def m(self) -> int:
        """The number of rows."""
        if self.columns:
            return len(next(iter(self.columns.values())))
        return 0 if self.y is None else len(self.y)

    def rows(self, index: Any) -> Table:
        """Return the table of these rows: row numbers, a mask or a slice."""
        columns = {name: values[index] for name, values in self.columns.items()}
        y, kept, weights = (
            None if each is None else each[index] for each in (self.y, self.kept, self.weights)
        )
        by = None if self.by is None else self.by.rows(index)
        return replace(self, columns=columns, y=y, kept=kept, weights=weights, by=by)

    def select(self, names: Sequence[str]) -> Table:
        """Return the table with these columns in this order; DataError where one is missing."""
        check_columns(self.source, self.columns, names)
        return replace(self, columns={name: self.columns[name] for name in names})


def check_columns(source: str, present: Collection[str], wanted: Collection[str]) -> None:
    """Refuse a table that lacks columns a model was trained with."""
    known = set(present)
    missing = [name for name in wanted if name not in known]
    if missing:
        free = sorted(known.difference(wanted))
        named = [f"{name!r}{nearest(name, free)}" for name in missing[:8]]
        names = some([*named, *missing[8:]])
        raise DataError(
            f"{source} lacks {count(len(missing), 'column')} that the model was trained with: "
            f"{names}. It has: {some([repr(name) for name in present])}. Add what is missing, or "
            "rename."
        )


def check_target(source: str, names: Sequence[str], target: str, hint: str = "") -> None:
    """Refuse a target that is no column; ``hint`` is what may be the reason."""
    if target not in names:
        raise DataError(
            f"{source} has no column {target!r}{nearest(target, names)}; its columns are "
            f"{some([repr(name) for name in names])}.{hint}"
        )


def check_names(source: str, names: Sequence[str], hint: str = "") -> None:
    """Refuse names that are there twice; empty ones are none. ``hint`` is a further way to mend."""
    twice = [name for name, times in Counter(names).items() if name and times > 1]
    if twice:
        places = [str(k) for k, name in enumerate(names, start=1) if name == twice[0]]
        raise DataError(
            f"{source}: the names of columns must differ; found more than once: "
            f"{some([repr(name) for name in twice])} ({twice[0]!r} in columns {some(places)}). "
            f"Rename or drop the duplicates{hint}."
        )


def as_whole(numbers: NDArray[np.float64]) -> NDArray[Any]:
    """Return numbers as integers where all of them are whole.

    >>> as_whole(np.array([1.0, 2.0])), as_whole(np.array([1.0, 2.5]))
    (array([1, 2]), array([1. , 2.5]))
    """
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)
    return numbers.astype(np.int64) if whole.all() else numbers


def nearest(name: str, known: Collection[str]) -> str:
    """Return ``" (did you mean 'Age'?)"`` for a name that differs a little, or only in case.

    >>> nearest("AGE", ["age", "sex"])
    " (did you mean 'age'?)"
    """
    alike = [each for each in known if each.strip().casefold() == name.strip().casefold()]
    return f" (did you mean {alike[0]!r}?)" if alike else did_you_mean(name, known)


def some(items: Sequence[str], most: int = 8, by: str = ", ") -> str:
    """Join items with commas, the first few alone where there are many, each short and visible.

    >>> some(["a", "b\\n", "c"], most=2)
    'a, b\\\\n and 1 more'
    """
    shown = by.join(short(item, LONGEST_QUOTED) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "row"), count(2000, "row"), count(3, "class")
    ('1 row', '2,000 rows', '3 classes')
    """
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
