"""By what rows are parted, where not at random: by their time, or by the group they belong to.

Rows that are near in time, or of one group, tell of each other. Held out at random, they have
neighbours among the rows that train, and the score is better than that on new rows will be.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid._shown import LONGEST_QUOTED, quoted, short
from pellucid.engines import permutation
from pellucid.errors import DataError
from pellucid.tables.dates import MOSTLY, find_format, parse_dates
from pellucid.tables.table import Table, count, some
from pellucid.tables.values import is_missing, parse_numbers, text_of

Rows = NDArray[np.int64]

FORWARD_FROM = 0.75
"""The share of the rows, the earliest, that trains the first network of an ensemble by time.

On 1,900 rows of bike sharing by the hour, at four places, R² on what followed was .70 from 1/6 on,
.80 from 1/2, .84 to .86 from .7 to .85; .84 with one network."""

NEEDED = {
    2: "to train and to decide when to stop",
    3: "to train, to decide when to stop, and to measure",
}
"""For what so many different times or groups are needed, at the least."""


@dataclass(frozen=True)
class By(ABC):
    """What rows are parted by.

    Attributes
    ----------
    name : str
        Of the column, or of the argument that gave the values.
    numbers : array of shape (m,)
        For each row the place of its value among ``values``.
    values : array
        The times or groups, in order, each once.
    """

    how: ClassVar[str]

    name: str
    numbers: Rows
    values: NDArray[Any]

    @property
    def each_alone(self) -> bool:
        """Whether there is nothing to keep together, as rows of one group are."""
        return False

    def rows(self, index: Any) -> Self:
        """Return the same of these rows."""
        return replace(self, numbers=self.numbers[index])

    def check(self, least: int) -> None:
        """Refuse rows that have fewer different values than are needed."""
        found = len(np.unique(self.numbers))
        if found < least:
            raise DataError(self._too_few(found, least))

    @abstractmethod
    def cut(
        self, labels: Rows | None, share: float, leave: int, seed: int, draw: int
    ) -> tuple[Rows, Rows]:
        """Return the rows that stay, with ``leave`` values or more, and about a share cut off."""

    @abstractmethod
    def folds(self, labels: Rows | None, k: int, seed: int, draw: int) -> list[tuple[Rows, Rows]]:
        """Return at most k pairs of rows to train on and rows that validate."""

    @abstractmethod
    def describe(self) -> str:
        """Return which rows these are, of those held out, as a phrase."""

    @abstractmethod
    def _too_few(self, found: int, least: int) -> str: ...


@dataclass(frozen=True)
class Time(By):
    """By time: what is held out comes later than what trains; rows of one time stay together.

    >>> day = Time("day", np.array([2, 0, 1, 4, 3, 5, 7, 6]), np.arange(8))
    >>> day.cut(None, 0.2, 1, seed=0, draw=0)
    (array([0, 1, 2, 3, 4, 5]), array([6, 7]))
    >>> [(early.tolist(), late.tolist()) for early, late in day.folds(None, 2, 0, 0)]
    [([0, 1, 2, 3, 4, 5], [7]), ([0, 1, 2, 3, 4, 5, 7], [6])]
    """

    how = "time"

    def cut(
        self, labels: Rows | None, share: float, leave: int, seed: int, draw: int
    ) -> tuple[Rows, Rows]:
        self.check(leave + 1)
        ranks, ends = self._ranks()
        last = _nearest(ends, len(ranks) - max(1, round(share * len(ranks))), leave)
        return np.flatnonzero(ranks <= last), np.flatnonzero(ranks > last)

    def folds(self, labels: Rows | None, k: int, seed: int, draw: int) -> list[tuple[Rows, Rows]]:
        """Return k pairs, each of the rows up to a time and those from there to the next."""
        self.check(2)
        ranks, ends = self._ranks()
        shares = FORWARD_FROM + (1 - FORWARD_FROM) * np.arange(k) / k
        lasts = sorted({_nearest(ends, share * len(ranks), 1) for share in shares})
        until = [*lasts[1:], len(ends) - 1]
        return [
            (np.flatnonzero(ranks <= last), np.flatnonzero((ranks > last) & (ranks <= end)))
            for last, end in zip(lasts, until, strict=True)
        ]

    def describe(self) -> str:
        return f"the last by {self.name!r}, from {_shown(self.values[self.numbers.min()])} on"

    def _ranks(self) -> tuple[Rows, Rows]:
        """The rank of each row's time, and how many rows there are up to each time."""
        ranks = np.unique(self.numbers, return_inverse=True)[1]
        return ranks, np.cumsum(np.bincount(ranks))

    def _too_few(self, found: int, least: int) -> str:
        if found == 1:
            shown = _shown(self.values[self.numbers[0]])
            return (
                f"{self.name!r} is {shown} in every row, so no row is later than another. "
                "Choose another column for the time."
            )
        return (
            f"{self.name!r} holds {found} different times; at least {least} are needed: "
            f"{NEEDED[least]}. Choose another column for the time."
        )


def _nearest(ends: Rows, wanted: float, least: int) -> int:
    """The time after which the number of rows is nearest to that wanted, none of the last.

    At least so many times stay before.
    """
    return least - 1 + int(np.argmin(np.abs(ends[least - 1 : -1] - wanted)))


@dataclass(frozen=True)
class Groups(By):
    """By group: the rows of a group are held out together; each class about in proportion.

    A group that alone holds some class always trains. ``is_column`` says that a column of the table
    is meant: as an input it would stand for nothing in the rows of new groups, and is left out.

    >>> who = Groups("who", np.array([0, 0, 1, 1, 2, 2]), np.array(["a", "b", "c"]))
    >>> who.cut(None, 0.3, 1, seed=0, draw=0)
    (array([2, 3, 4, 5]), array([0, 1]))
    """

    how = "group"

    is_column: bool = False

    @property
    def each_alone(self) -> bool:
        """Whether each row is a group of its own."""
        return len(np.unique(self.numbers)) == len(self.numbers)

    def cut(
        self, labels: Rows | None, share: float, leave: int, seed: int, draw: int
    ) -> tuple[Rows, Rows]:
        self.check(leave + 1)
        ranks, counts, free = self._counts(labels, seed, draw)
        free = free[max(0, leave - (len(counts) - len(free))) :]  # the largest stay
        self._check_free(free)
        part = np.zeros(len(counts), dtype=np.int64)
        stay = np.setdiff1d(np.arange(len(counts)), free)
        has = np.stack([counts[stay].sum(axis=0), np.zeros(counts.shape[1])])
        part[free] = _deal(counts[free], np.outer([1 - share, share], counts.sum(axis=0)), has)
        return np.flatnonzero(part[ranks] == 0), np.flatnonzero(part[ranks] == 1)

    def folds(self, labels: Rows | None, k: int, seed: int, draw: int) -> list[tuple[Rows, Rows]]:
        """Return k pairs, or as many as there are groups: each group validates at most once."""
        self.check(2)
        ranks, counts, free = self._counts(labels, seed, draw)
        self._check_free(free)
        k = min(k, len(free))
        part = np.full(len(counts), k)
        wanted = np.tile(counts[free].sum(axis=0) / k, (k, 1))
        part[free] = _deal(counts[free], wanted, np.zeros_like(wanted))
        fold = part[ranks]
        return [(np.flatnonzero(fold != j), np.flatnonzero(fold == j)) for j in range(k)]

    def describe(self) -> str:
        if self.each_alone:
            return f"at random, as no two rows have the same {self.name!r}"
        held = self.values[np.unique(self.numbers)]
        shown = some([repr(_shown(each)) for each in held], most=5)
        return f"{len(held):,} of the {len(self.values):,} groups of {self.name!r}: {shown}"

    def _counts(self, labels: Rows | None, seed: int, draw: int) -> tuple[Rows, Rows, Rows]:
        """The rank of each row's group, the rows of each group and class, and the groups to deal.

        The largest come first, those of one size in an order drawn at random.
        """
        ranks = np.unique(self.numbers, return_inverse=True)[1]
        labels = np.zeros(len(ranks), dtype=np.int64) if labels is None else labels
        counts = np.zeros((ranks.max() + 1, labels.max() + 1), dtype=np.int64)
        np.add.at(counts, (ranks, labels), 1)
        order = permutation(seed, len(counts), stream=philox.SPLIT, step=draw)
        order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
        holds = counts[order] > 0
        return ranks, counts, order[~(holds & (holds.sum(axis=0) == 1)).any(axis=1)]

    def _check_free(self, free: Rows) -> None:
        if not len(free):
            raise DataError(
                f"whole groups of {self.name!r} cannot be held out: each is the only one with some "
                "class of the target, which could not be learned without it. Add groups, or hold "
                "rows out in another way."
            )

    def _too_few(self, found: int, least: int) -> str:
        groups = "one group" if found == 1 else f"{found} groups"
        return (
            f"{self.name!r} holds {groups}; at least {least} are needed to hold whole groups out: "
            f"{NEEDED[least]}. Choose another column for the groups."
        )


def _deal(counts: Rows, wanted: NDArray[Any], has: NDArray[Any]) -> list[int]:
    """The part that each group goes to, in their order.

    A group goes where sum((has - wanted)^2 / wanted), over classes, then grows least; no part is
    left without a group. ``counts`` are the groups' rows of each class, (groups, classes);
    ``wanted`` and ``has`` those of the parts, (parts, classes).
    """
    chosen: list[int] = []
    empty = np.logical_not(has.any(axis=1))
    scale = np.maximum(wanted, 1e-9)  # 0 for a class that is in none of the groups
    for place, rows in enumerate(counts):
        growth = (rows * (2 * (has - wanted) + rows) / scale).sum(axis=1)
        if len(counts) - place <= empty.sum():
            growth[~empty] = np.inf
        k = int(np.argmin(growth))
        has[k] += rows
        empty[k] = False
        chosen.append(k)
    return chosen


# From columns -------------------------------------------------------------------------------------


def time_of(table: Table, name: str, column: NDArray[Any]) -> Time:
    """Return the times of a table's rows: dates, numbers, or texts that write either.

    DataError where one is missing or no time. ``column`` is as a Table holds it.

    >>> table = Table({"x": np.zeros(3)})
    >>> time_of(table, "when", np.array(["3.2.2020", "1.2.2020", "2.2.2020"], object)).numbers
    array([2, 0, 1])
    """
    times = times_in(column)
    if times is None:
        holds = "an image" if column.ndim > 1 else f"{_first(column)!r}"
        raise DataError(
            f"{table.source}: {name!r} holds {holds}, which is not a time; expected dates or "
            "numbers. Choose another column for the time."
        )
    missing = is_missing(times)
    no_time = missing & ~is_missing(column)
    what = f"no time, such as {column[no_time][0]!r}," if no_time.any() else "no time"
    _refuse_missing(table, name, missing, what)
    values, numbers = np.unique(times, return_inverse=True)
    return Time(name, numbers, values)


def groups_of(table: Table, name: str, column: NDArray[Any], *, is_column: bool = False) -> Groups:
    """Return the groups of a table's rows: any values; DataError where one is missing.

    >>> table = Table({"x": np.zeros(3)})
    >>> groups_of(table, "who", np.array(["b", "a", "b"], object)).numbers
    array([1, 0, 1])
    """
    if column.ndim > 1:
        raise DataError(f"{table.source}: {name!r} holds images, which form no groups.")
    _refuse_missing(table, name, is_missing(column), "no group")
    values, numbers = np.unique(column, return_inverse=True)
    return Groups(name, numbers, values, is_column)


def times_in(column: NDArray[Any]) -> NDArray[Any] | None:
    """Return a column's dates or numbers, missing where a text is none; None for other columns."""
    if column.dtype.kind in "fM" and column.ndim == 1:
        return column
    if column.dtype != object:
        return None
    found = find_format(column)
    if found is not None:
        return parse_dates(found.name, column)
    numbers = parse_numbers(column)
    given = ~is_missing(column)
    return numbers if given.any() and np.isnan(numbers[given]).mean() <= 1 - MOSTLY else None


def _refuse_missing(table: Table, name: str, missing: NDArray[np.bool_], what: str) -> None:
    rows = np.flatnonzero(missing)
    if len(rows):
        numbers = (rows if table.kept is None else table.kept[rows]) + 1
        shown = some(list(map(str, numbers.tolist())), most=5)
        raise DataError(
            f"{table.source}: {name!r} holds {what} in {count(len(rows), 'row')}: {shown} (counted "
            "from 1 after the header). Fill it in, or leave those rows out."
        )


def _first(column: NDArray[Any]) -> str:
    return next((str(value)[:40] for value in column if value is not None), "")


def _shown(value: Any) -> str:
    return str(text_of(value))[:40]


# What should have been parted ---------------------------------------------------------------------

LOOKED_AT = 10_000
"""Rows at most, spread over the table, that tell whether a column goes up or down with them."""

CHANGES, FALLS = 8, 0.05
"""In order are times that change so often or more, and in this share of the changes at most go
against the direction of the others: a log is a little out of order, a table of several places
begins anew with each."""

TREND = 0.9
"""Numbers must also have this correlation with the rows, as days of a month do not."""

PERSONS, KEYS = 5, 20
"""From so many different values on a column that is called like a person, or like a key, is one."""

_TIME_NAME = re.compile(
    r"(?i:(?:^|[^a-z])(?:date|day|month|week|year|(?:date|epoch|unix)?.?time.?(?:stamp)?|ts)$)"
    r"|(?<=[a-z])(?:Date|Day|Month|Week|Year|Time|Timestamp)$"
)
_PERSON = re.compile(
    r"(?i:(?:^|[^a-z])(?:cust(?:omer)?|client|patient|subject|participant|volunteer|respondent|person|"
    r"user|member|student|speaker|player|driver|employee)s?(?:$|[^a-z]*(?:id|no|nr|num|number|key|"
    r"code|name)$))"
)
_KEY = re.compile(
    r"(?i:(?:^|[^a-z])(?:id|uuid|guid|household|account|session|device|machine|vehicle)$)"
    r"|(?<=[a-z])I[dD]$"
)


def flattered(columns: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return why rows of these columns should not be held out at random, a sentence each.

    Times that go up or down with the rows, and keys that come again and again, are looked for.

    >>> days = np.arange("2020-01", "2020-03", dtype="datetime64[D]").astype("datetime64[us]")
    >>> for each in flattered({"day": days, "patient": np.arange(60.0) // 3}):
    ...     print(each)
    the rows are in the order of 'day': a random hold-out flatters, as its rows have neighbours in \
time among the training rows; --time day holds out the last rows
    'patient' repeats, 20 values in 60 rows: a random hold-out flatters if predictions are for new \
ones; --group patient holds out whole groups
    """
    found = []
    ordered = next((name for name, each in columns.items() if _is_order(name, each)), None)
    if ordered is not None:
        found.append(
            f"the rows are in the order of {ordered!r}: a random hold-out flatters, as its rows "
            "have neighbours in time among the training rows; "
            f"--time {_option(ordered)} holds out the last rows"
        )
    for name, distinct, m in _repeated_keys(columns):
        found.append(
            f"{name!r} repeats, {count(distinct, 'value')} in {count(m, 'row')}: a random hold-out "
            "flatters if predictions are for new ones; "
            f"--group {_option(name)} holds out whole groups"
        )
        break
    return found


def _option(name: str) -> str:
    return short(quoted(name), LONGEST_QUOTED)


def _is_order(name: str, column: NDArray[Any]) -> bool:
    """Whether a column holds times that go up, or down, with the rows."""
    times = times_in(column[:: max(1, -(-len(column) // LOOKED_AT))])
    if times is None or is_missing(times).mean() > 1 / 2:
        return False
    times = times[~is_missing(times)]
    dates = times.dtype.kind == "M"
    x: NDArray[np.float64] = times.astype(np.int64 if dates else np.float64)
    steps = np.diff(x)
    rises, falls = np.count_nonzero(steps > 0), np.count_nonzero(steps < 0)
    if rises + falls < CHANGES or min(rises, falls) > FALLS * (rises + falls):
        return False
    if dates:
        return True
    named = _TIME_NAME.search(name) or (_since_1970(x) and not _KEY.search(name))
    return bool(named) and abs(np.corrcoef(np.arange(len(x)), x)[0, 1]) >= TREND


def _since_1970(x: NDArray[np.float64]) -> bool:
    """Whether numbers are, by their size, days such as 20201231, or seconds or parts of seconds."""
    if (x != np.floor(x)).any():
        return False
    month, day = x // 100 % 100, x % 100
    if 1900e4 < x.min() and x.max() < 2200e4:
        return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())
    return any(9e8 * part <= x.min() and x.max() <= 2.2e9 * part for part in (1, 1e3, 1e6, 1e9))


def _repeated_keys(columns: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, int, int]]:
    """The columns that are called like keys and in which most values come again."""
    for name, column in columns.items():
        least = PERSONS if _PERSON.search(name) else KEYS if _KEY.search(name) else 0
        if not least or column.ndim > 1 or column.dtype.kind == "M":
            continue
        given = column[~is_missing(column)]
        whole = column.dtype == object or bool((given == np.floor(given)).all())
        times = np.unique(given, return_counts=True)[1]
        if whole and len(times) >= least and 2 * times[times > 1].sum() >= len(column):
            yield name, len(times), len(column)
