"""The values of columns: from Python values and texts to the arrays that a Table holds."""

from __future__ import annotations

import datetime
import decimal
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError

LARGEST = 1e38
"""Beyond this float32, and squares in float64, overflow."""

MISSING = frozenset(["", "na", "n/a", "nan", "null", "none", "?"])
"""Texts that stand for a missing value, in any case."""

EXACT = 2**53
"""Whole numbers from here on are no longer told apart in float64."""

MINUS = "\N{MINUS SIGN}"
"""What some write for the "-" of a number."""

_NOTHING = ("NoneType", "NAType", "NaTType")
"""The types of None, pandas.NA and pandas.NaT."""


def may_merge(numbers: NDArray[np.float64]) -> bool:
    """Return whether some are whole and so large that float64 has lost their last digits.

    >>> may_merge(np.array([np.nan, 1e17])), may_merge(np.array([1.5, np.inf]))
    (True, False)
    """
    x = np.abs(numbers)
    large = x[(x >= EXACT) & (x <= LARGEST)]
    return bool((large == np.floor(large)).any())


def canonical(
    values: Sequence[Any], what: str, labels: bool = False, categories: bool = False
) -> NDArray[Any]:
    """Return Python values as a column of a :class:`~pellucid.tables.table.Table`.

    Numbers alone are numbers, texts alone texts, dates alone dates; of a mixture, texts. Whole
    numbers too large to be told apart in float64 are texts, as ``labels`` they stay int.
    ``what`` names the column in messages. ``categories`` may be of any type that has a text.

    >>> canonical([1, None, 2.5], "x"), canonical([" a", "NA", 7.0], "x")
    (array([1. , nan, 2.5]), array(['a', None, '7'], dtype=object))
    >>> canonical([2**60, 2**60 + 1], "x").tolist()
    ['1152921504606846976', '1152921504606846977']
    """
    types = set(map(type, values))
    if categories:
        strange = {each for each in types if _kind_of(each) == ""}
        values = [str(each) if type(each) in strange else each for each in values]
        types = set(map(type, values))
    kinds = {_kind_of(each) or refuse(each, what) for each in types} - {"missing"}
    if len(kinds) > 1 and all(map(_no_number, values)):
        kinds -= {"number"}  # its numbers are NaN, which pandas puts where a text is missing
    cleaned = label_texts if labels else texts
    if kinds <= {"number"}:
        numbers = np.fromiter(map(_number, values), np.float64, len(values))
        if not _too_large(numbers) or not all(map(_is_whole, values)):
            return numbers
        whole = [None if _is_nothing(value) else value for value in values]
        return as_objects(whole) if labels else texts(map(text_of, whole))
    if kinds == {"text"}:
        return cleaned(values)
    if kinds == {"date"}:
        return all_missing_as_numbers(np.array(list(map(_date, values)), dtype="datetime64[us]"))
    return cleaned(list(map(text_of, values)))


def _too_large(numbers: NDArray[np.float64]) -> bool:
    """Whether some are too large to be told apart, and none to compute with."""
    largest = np.nanmax(np.abs(numbers), initial=0.0)
    return bool(EXACT <= largest <= LARGEST)


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number of a type that holds it exactly, or missing."""
    if isinstance(value, decimal.Decimal) and not value.is_nan():
        return value == value.to_integral_value()
    return isinstance(value, (int, np.integer)) or _is_nothing(value)


def _is_nothing(value: Any) -> bool:
    return type(value).__name__ in _NOTHING or bool(value != value)


def _kind_of(cls: type) -> str:
    """ "missing", "text", "date" or "number"; "" for other types."""
    if cls.__name__ in _NOTHING:
        return "missing"
    if issubclass(cls, str):
        return "text"
    if issubclass(cls, (datetime.date, np.datetime64)):
        return "date"
    numbers = (int, float, np.number, np.bool_, decimal.Decimal, datetime.timedelta, datetime.time)
    known = issubclass(cls, numbers) and not issubclass(cls, np.complexfloating)
    return "number" if known else ""


def refuse(cls: type, what: str) -> NoReturn:
    """Refuse values of a type that no column holds."""
    nested = issubclass(cls, (list, tuple, dict, set, np.ndarray))
    mend = "Split it into separate columns" if nested else "Convert them to texts or numbers"
    raise DataError(
        f"{what} holds {'nested values' if nested else 'values'} of the type {cls.__name__}; "
        f"expected numbers, texts, truth values or dates. {mend}, or drop it."
    )


def _no_number(value: Any) -> bool:
    return not isinstance(value, (int, float, np.number)) or bool(value != value)


def _number(value: Any) -> float:
    """One value as a number: NaN where missing, truth values as 0 and 1, durations in seconds."""
    if isinstance(value, datetime.timedelta):
        return value / datetime.timedelta(seconds=1)
    if isinstance(value, np.timedelta64):
        return float(value / np.timedelta64(1, "s"))
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    if type(value).__name__ in _NOTHING:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _date(value: Any) -> datetime.datetime | None:
    if isinstance(value, np.datetime64):
        value = _micro(value)
    if isinstance(value, float) or type(value).__name__ in _NOTHING:
        return None
    if not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day)
    return naive(value)


def _micro(value: np.datetime64) -> Any:
    """The datetime, None where missing, or an int where Python's years do not reach."""
    return value.astype("datetime64[us]").item()


def naive(value: datetime.datetime) -> datetime.datetime:
    """Return a time in UTC without its time zone; one that has none is taken as it is."""
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC)
    # Taken apart, since a pandas.Timestamp has nanoseconds, which numpy would round its own way.
    return datetime.datetime(*value.timetuple()[:6], value.microsecond)


def text_of(value: Any) -> str | None:
    """Return one value as a category's text: whole numbers without a point, True as "true".

    >>> text_of(94107.0), text_of(2.5), text_of(True), text_of(None)
    ('94107', '2.5', 'true', None)
    """
    if value is None or type(value).__name__ in _NOTHING:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, np.datetime64) and isinstance(_micro(value), int):
        return str(value)  # of a year that Python's dates do not reach
    if isinstance(value, (datetime.date, np.datetime64)):
        date = _date(value)
        return None if date is None else date.isoformat().removesuffix("T00:00:00")
    number = _number(value)
    if math.isnan(number):
        return None
    if isinstance(value, decimal.Decimal) and value == value.to_integral_value():
        return str(int(value))
    return str(int(number)) if number.is_integer() and abs(number) < EXACT else repr(number)


def texts(values: Iterable[Any]) -> NDArray[Any]:
    """Return texts without the blanks around them, None where one stands for a missing value.

    >>> texts([" a ", "n/a", "", None])
    array(['a', None, None, None], dtype=object)
    """
    return all_missing_as_numbers(as_objects(list(map(functools.cache(_clean), values))))


def label_texts(values: Sequence[Any]) -> NDArray[Any]:
    """Return texts as they are, None where one is blank or NaN: the classes of a target.

    >>> label_texts([" a", "a", "none", " ", "NaN"])
    array([' a', 'a', 'none', None, None], dtype=object)
    """
    known = [isinstance(each, str) and each.strip() not in ("", "nan", "NaN") for each in values]
    given = zip(values, known, strict=True)
    return all_missing_as_numbers(as_objects([str(each) if has else None for each, has in given]))


def masked(values: Sequence[Any], missing: Sequence[bool]) -> NDArray[Any]:
    """Return an array of truth values or whole numbers, masked where some are missing.

    >>> masked([True, False], [False, True]).tolist()
    [True, None]
    """
    x = np.array(values)
    return np.ma.masked_array(x, missing) if any(missing) else x


def as_objects(values: Sequence[Any]) -> NDArray[Any]:
    """Return an array of the values, each as it is."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _clean(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    value = str(value).strip()
    return None if value.casefold() in MISSING else value


def all_missing_as_numbers(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column, as float64 where it holds nothing: then its type says nothing either."""
    if len(column) and is_missing(column).all():
        return np.full(len(column), np.nan)
    return column


def is_missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the missing values of a column, (m,).

    >>> is_missing(np.array(["a", None], dtype=object))
    array([False,  True])
    """
    missing: NDArray[np.bool_] = np.zeros(len(column), dtype=np.bool_)
    if column.dtype == object:
        missing[:] = [value is None for value in column]
    elif column.dtype.kind == "f":
        np.isnan(column, out=missing)
    elif column.dtype.kind == "M":
        np.isnat(column, out=missing)
    return missing


def holds_texts(column: Any) -> bool:
    """Return whether a column holds texts: a Series of polars, or objects of one type and None.

    >>> holds_texts(np.array([None, "a"], dtype=object)), holds_texts(np.array([1, 2]))
    (True, False)
    """
    if str(column.dtype) != "object":
        return str(column.dtype) == "String"
    return isinstance(next((each for each in column if each is not None), None), str)


def parse_number(text: str | None) -> float:
    r"""Return the number that a text writes, NaN where it writes none.

    >>> parse_number("-1.5e3"), parse_number("1_000"), parse_number("ten")
    (-1500.0, nan, nan)
    >>> parse_number("\N{MINUS SIGN}7")
    -7.0
    """
    if text is None or "_" in text:  # Python's float takes 1_000, no table means that
        return math.nan
    try:
        return float(text.replace(MINUS, "-"))
    except ValueError:
        return math.nan


def parse_numbers(column: NDArray[Any]) -> NDArray[np.float64]:
    """Return the numbers that a column of texts writes, NaN where one is missing or no number.

    >>> parse_numbers(np.array(["1", None, "x"], dtype=object))
    array([ 1., nan, nan])
    """
    return np.fromiter(map(parse_number, column), np.float64, len(column))


def by_distinct(column: NDArray[Any], f: Callable[[str | None], int]) -> NDArray[np.int64]:
    """Return f of each value's text, computed once for each distinct value.

    >>> by_distinct(np.array([2.0, 2.0, np.nan]), lambda text: -1 if text is None else int(text))
    array([ 2,  2, -1])
    """
    f = functools.cache(f)
    if column.dtype == object:
        return np.fromiter(map(f, column), np.int64, len(column))
    distinct, places = np.unique(column, return_inverse=True)
    return np.array([f(text_of(value)) for value in distinct], dtype=np.int64)[places]
