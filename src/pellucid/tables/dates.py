"""Dates: in which format a column of texts has them, their values, and the kind ``Date``.

>>> find_format(np.array(["31/01/2020", "1/2/2020 14:30", None], dtype=object)).name
'day/month/year'
"""

from __future__ import annotations

import datetime
import functools
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pellucid.checks import is_number
from pellucid.tables._kind import (
    Kind,
    check_texts,
    is_count,
    put_ones,
    require,
    spread,
    squash,
)
from pellucid.tables.values import is_missing, naive

MOSTLY = 0.95
"""The share of a column's texts that must be numbers, or dates of one format, to be taken so."""

LOOK_AT = 10_000
"""Texts at most, spread over a column, that are looked at to tell what it holds."""

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_NAME = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_YEAR = r"(?P<year>\d{4})"
_SHORT_YEAR = r"(?P<year>\d{4}|(?<![-])\d{2})"  # 5/6/07 and 5.6.07, but 5-6-07 may be a score
_MONTH, _DAY = r"(?P<month>\d{1,2})", r"(?P<day>\d{1,2})"
_CUT = r"(?P<cut>[-/.])"
_TIME = (
    r"(?:(?:T|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?P<part>\.\d+)?)?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?(?: ?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}))?)?"
)

FORMATS = {
    "year-month-day": f"{_YEAR}{_CUT}{_MONTH}(?P=cut){_DAY}",
    "day/month/year": f"{_DAY}{_CUT}{_MONTH}(?P=cut){_SHORT_YEAR}",
    "month/day/year": f"{_MONTH}{_CUT}{_DAY}(?P=cut){_SHORT_YEAR}",
    "day month-name year": rf"{_DAY}(?:st|nd|rd|th)?[- ]{_NAME},?[- ]{_YEAR}",
    "month-name day, year": rf"{_NAME}[- ]{_DAY}(?:st|nd|rd|th)?,?[- ]{_YEAR}",
}
"""The known formats of dates; each may be followed by a time of day and an offset from UTC."""


_DIGIT = re.compile(r"\d")


@functools.cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(FORMATS[name] + _TIME, re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class DateFormat:
    """A format of dates; ``other`` is the one that would fit as many of a column's texts."""

    name: str
    other: str | None = None


def find_format(column: NDArray[Any]) -> DateFormat | None:
    """Return the format in which 95 % of a column's texts are dates, None where there is none.

    Day and month may stand in either order while no day is above 12. Then the order in which the
    column goes up from row to row is taken; where that tells nothing, the day comes first before
    points, 31.12.2020, and the month before other signs, 12/31/2020.
    """
    given = some_texts(column)
    if not any(map(_DIGIT.search, given[:50])):
        return None
    hopeful = [name for name in FORMATS if _share(name, given[:50]) >= MOSTLY / 2]
    shares = {name: _share(name, given) for name in hopeful}
    best = max(shares.values(), default=0.0)
    if best < MOSTLY:
        return None
    names = [name for name, share in shares.items() if share == best]
    if len(names) == 1:
        return DateFormat(names[0])
    rising = [name for name in names if _is_rising(parse_dates(name, given))]
    if len(rising) != 1:
        rising = ["day/month/year" if "." in given[0] else "month/day/year"]
    return DateFormat(rising[0], next(name for name in names if name != rising[0]))


def some_texts(column: NDArray[Any]) -> NDArray[Any]:
    """Return what a column holds that is not missing, of long columns some, in their order."""
    given = column[~is_missing(column)]
    return given[:: -(-len(given) // LOOK_AT)] if len(given) else given


def _share(name: str, texts: NDArray[Any]) -> float:
    return float(1 - np.isnat(parse_dates(name, texts)).mean())


def _is_rising(dates: NDArray[np.datetime64]) -> bool:
    known = dates[~np.isnat(dates)]
    steps = np.diff(known)
    zero = np.timedelta64(0, "us")
    return bool((steps >= zero).all() and (steps > zero).any())


def parse_dates(name: str, column: NDArray[Any]) -> NDArray[np.datetime64]:
    """Return the dates that a column of texts writes, NaT where one is missing or no date.

    >>> parse_dates("day/month/year", np.array(["5.6.2020 7:08", "x"], dtype=object))
    array(['2020-06-05T07:08:00.000000',                        'NaT'],
          dtype='datetime64[us]')
    """
    if name == "year-month-day":
        quick = _parse_quickly(column)
        if quick is not None:
            return quick
    match = _pattern(name).fullmatch

    @functools.cache
    def parse(text: str | None) -> datetime.datetime | None:
        found = None if text is None else match(text)
        return None if found is None else _date_of(found.groupdict())

    return np.array(list(map(parse, column)), dtype="datetime64[us]")


_PLAIN = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)


def _parse_quickly(column: NDArray[Any]) -> NDArray[np.datetime64] | None:
    """The dates of a column that holds nothing but 2020-12-31, with a time or without."""
    given = ~is_missing(column)
    if not all(map(_PLAIN.fullmatch, column[given])):
        return None
    dates = np.full(len(column), "NaT", dtype="datetime64[us]")
    try:
        dates[given] = column[given].astype("datetime64[us]")
    except ValueError:  # such as 31 February
        return None
    return dates


def _date_of(part: dict[str, str | None]) -> datetime.datetime | None:
    """The date of a match's parts, in UTC; None where there is no such day or time."""
    name, half, zone = part.get("name"), part["half"], part["zone"]
    year, hour = int(part["year"] or 0), int(part["hour"] or 0)
    if year < 100:
        year += 1900 if year >= 69 else 2000  # as POSIX reads them
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "pP" else 0)
    month = _MONTHS.index(name[:3].lower()) // 4 + 1 if name else int(part["month"] or 0)
    day, minute, second = (int(part[key] or 0) for key in ("day", "minute", "second"))
    try:
        fraction = int(((part["part"] or ".") + "000000")[1:7])
        date = datetime.datetime(year, month, day, hour, minute, second, fraction)
        return naive(date.replace(tzinfo=_zone(zone))) if zone else date
    except (ValueError, OverflowError):
        return None


def _zone(text: str) -> datetime.timezone:
    if text[0] not in "+-":
        return datetime.UTC
    digits = text[1:].replace(":", "")
    offset = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return datetime.timezone(offset if text[0] == "+" else -offset)


_PARTS = {"month": range(1, 13), "weekday": range(1, 8), "hour": range(24)}
"""The parts of a date that are outputs, with their values; Monday is 1."""


@dataclass
class Date(Kind):
    """A date: the time elapsed, as a :class:`Number`, and its month, weekday and hour one-hot.

    A part has outputs for the values it had in training, and none where it had only one. Weekday 1
    is Monday. Missing dates become 0 throughout; where some were missing in training, a last output
    is 1 for them.

    Attributes
    ----------
    median, scale : float
        Of the seconds since 1970-01-01 (see :func:`spread`).
    month, weekday, hour : list of int
        The values that have an output.
    format, other_format : str or None
        How the column writes dates, where it holds texts, and the format that would fit as well.

    Examples
    --------
    >>> kind = Date.fit(np.array(["2020-01-01", "2020-02-05"], dtype="datetime64[us]"), "'day'")
    >>> kind.names("day")
    ['day: time', 'day: month 1', 'day: month 2']
    """

    median: float
    scale: float
    month: list[int]
    weekday: list[int]
    hour: list[int]
    format: str | None = None
    other_format: str | None = None

    kind: ClassVar[str] = "date"
    expected: ClassVar[str] = "dates"

    @classmethod
    def fit(cls, column: NDArray[Any], where: str) -> Self:
        found = find_format(column) if column.dtype == object else None
        dates = column if found is None else parse_dates(found.name, column)
        missing, known = int(np.isnat(dates).sum()), dates[~np.isnat(dates)]
        median, scale = spread(_seconds(known))
        parts = {name: np.unique(values).tolist() for name, values in _parts(known).items()}
        varying = {name: values if len(values) > 1 else [] for name, values in parts.items()}
        formats = (None, None) if found is None else (found.name, found.other)
        return cls(
            missing,
            median,
            scale,
            varying["month"],
            varying["weekday"],
            varying["hour"],
            *formats,
        )

    @property
    def n_outputs(self) -> int:
        return 1 + sum(map(len, self._varying().values())) + (self.missing > 0)

    def names(self, column: str) -> list[str]:
        parts = [f"{column}: {name} {k}" for name, own in self._varying().items() for k in own]
        return [f"{column}: time", *parts] + [f"{column} is missing"] * (self.missing > 0)

    def write(self, column: NDArray[Any], out: NDArray[np.float32], where: str) -> None:
        dates = self.dates(column, where)
        missing = np.isnat(dates)
        out[:, 0] = squash(_seconds(dates), self.median, self.scale)
        parts, k = _parts(dates), 1
        for name, own in self._varying().items():
            if own:
                places = np.full(max(_PARTS[name]) + 1, -1)
                places[own] = np.arange(len(own))
                mine = np.where(missing, -1, places[np.where(missing, own[0], parts[name])])
                put_ones(out[:, k : k + len(own)], mine)
            k += len(own)
        if self.missing:
            out[:, k] = missing

    def dates(self, column: NDArray[Any], where: str) -> NDArray[np.datetime64]:
        """Return a column's dates, NaT where one is missing; DataError for other types."""
        if column.ndim == 1 and column.dtype.kind == "M":
            return column
        if column.ndim == 1 and is_missing(column).all():
            return np.full(len(column), "NaT", dtype="datetime64[us]")
        if column.ndim > 1 or column.dtype != object:
            raise self.refusal(where, column)
        dates = parse_dates(self.format or "year-month-day", column)
        if self.format not in (None, "year-month-day") and np.isnat(dates).any():
            unread = np.isnat(dates)
            dates[unread] = parse_dates("year-month-day", column[unread])
        check_texts(self.expected, column, np.isnat(dates), self.format is not None, where)
        return dates

    def _varying(self) -> dict[str, list[int]]:
        return {"month": self.month, "weekday": self.weekday, "hour": self.hour}

    def detail(self) -> str:
        middle = np.datetime64(round(self.median), "s").astype("datetime64[D]")
        parts = [name for name, own in self._varying().items() if own]
        detail = f"around {middle}, with {', '.join(parts)}" if parts else f"around {middle}"
        if self.format is not None:
            detail += f"; written {self.format}"
        return detail + (f", which {self.other_format} would fit too" if self.other_format else "")

    def check(self) -> None:
        numbers = is_number(self.median) and is_number(self.scale) and self.scale >= 0
        require(numbers, "'median' and 'scale' must be finite numbers, 'scale' not negative")
        require(abs(self.median) < 1e13, "'median' must be a time that a date can have")
        for name, own in self._varying().items():
            valid = isinstance(own, list) and all(is_count(k) and k in _PARTS[name] for k in own)
            require(valid and own == sorted(set(own)), f"{name!r} must list {name}s in order")
        for known in (self.format, self.other_format):
            require(known is None or known in FORMATS, f"there is no format of dates {known!r}")


def _seconds(dates: NDArray[np.datetime64]) -> NDArray[np.float64]:
    seconds = dates.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(dates), np.nan, seconds)


def _parts(dates: NDArray[np.datetime64]) -> dict[str, NDArray[np.int64]]:
    """Month, weekday and hour of each date; where one is missing they mean nothing."""
    days = dates.astype("datetime64[D]")
    return {
        "month": dates.astype("datetime64[M]").astype(np.int64) % 12 + 1,
        "weekday": (days.astype(np.int64) + 3) % 7 + 1,  # 1970-01-01 was a Thursday
        "hour": (dates - days).astype("timedelta64[h]").astype(np.int64),
    }
