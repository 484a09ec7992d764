"""From what a user has in memory to a :class:`~pellucid.tables.table.Table`.

Dicts, lists and arrays need numpy alone; narwhals, which knows every library of data frames, is
imported only for frames.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError, MissingPackageError
from pellucid.tables._opening import check_fits, guarded
from pellucid.tables.dates import find_format
from pellucid.tables.strays import only, with_numbers, without_headers
from pellucid.tables.table import Table, as_whole, check_names, check_target, count, some
from pellucid.tables.values import (
    EXACT,
    LARGEST,
    all_missing_as_numbers,
    as_objects,
    canonical,
    is_missing,
    refuse,
)

MANY = 0.05
"""From this share of rows without a target on, the note says how large it is."""

FEW_ROWS = 10_000
"""Up to so many rows of a frame its numbers are read together, which takes a copy more."""

WORTH_SELECTING = 8
"""Columns of numbers among others from which picking them out of a frame pays."""

LONGEST_CLASS = 10_000
"""Characters of a class's name."""

_PLAIN = "convert it to plain numbers, texts, truth values or dates"
_EXPECTED = (
    "expected a DataFrame (pandas, polars, pyarrow, ...), a dict of columns, a list of dicts, one "
    "per row, or a 2-D array"
)


def as_table(
    data: Any,
    *,
    y: Any = None,
    target: str | None = None,
    source: str = "X",
    only: Collection[str] | None = None,
    drop: Collection[str] = (),
    task: str | None = None,
) -> Table:
    """Return data of any of these forms as a Table: the same data gives the same arrays.

    Parameters
    ----------
    data : frame, dict, list or array
        A DataFrame of pandas, polars, pyarrow or another library that narwhals knows; a dict of
        columns; a list of dicts, one a row; a 2-D array, whose columns are called "1", "2", ...;
        a Table.
    y : Series, list or array, or None
        The target beside the data, a value for each row.
    target : str or None
        Its name; without ``y`` the column of the data to take as the target. Rows in which it is
        missing are left out, as are a header that stands once more and a few texts in a target of
        numbers (:func:`~pellucid.tables.strays.numbers_of`); notes name them.
    source : str
        What the data is called in messages.
    only, drop : collection of str
        The columns to look at, and those not to: what the others hold is never read, so it may be
        anything. They keep their places, as columns in which everything is missing.
    task : str or None
        "binary" or "multiclass" where texts in the target are classes as they stand, "regression"
        where it must be numbers.

    Raises
    ------
    DataError
        Where the data is no table, or holds values that cannot be learned from.

    Examples
    --------
    >>> table = as_table({"age": [31, None], "sex": ["f", "m "]}, y=[True, False])
    >>> table.columns["age"], table.columns["sex"], table.y
    (array([31., nan]), array(['f', 'm'], dtype=object), array([ True, False]))
    """
    choice = _Choice(only, drop, target if y is None else None)
    with guarded(source, _PLAIN):
        table = data if isinstance(data, Table) else _read(data, source, choice)
    _check_numbers(table.source, table.columns)
    if y is not None:
        labels = labels_of(y, target or "y")
        if len(labels) != table.m:
            raise DataError(
                f"{source} has {count(table.m, 'row')} and y has {count(len(labels), 'value')}; "
                "expected one value for each row."
            )
        return replace(table, y=labels, target=target)
    return table if target is None else _take_target(table, target, task)


@dataclass(frozen=True)
class _Choice:
    """Which columns are looked at, and which of them is the target, whose texts stay as given."""

    only: Collection[str] | None = None
    drop: Collection[str] = ()
    target: str | None = None

    def has(self, name: str) -> bool:
        asked = self.only is None or name in self.only
        return name == self.target or (asked and name not in self.drop)


def _take_target(table: Table, target: str, task: str | None) -> Table:
    """The table with one of its columns as the target, without the rows that are no examples."""
    check_target(table.source, list(table.columns), target)
    table = without_headers(replace(table, notes=list(table.notes)), target)
    labels = table.columns[target]
    given = ~is_missing(labels)
    if not given.any():
        raise DataError(
            f"{table.source}: the target {target!r} is missing in every row. Choose another."
        )
    columns = {name: column for name, column in table.columns.items() if name != target}
    table = replace(table, columns=columns, target=target)
    if not given.all():
        lost, share = count(int((~given).sum()), "row"), 1 - given.mean()
        of_all = f" ({share:.0%} of all)" if share >= MANY else ""
        table.notes.append(f"{lost} without a target left out{of_all}")
        table = only(table, given)
    y = _as_labels(labels[given], f"{table.source}: the target {target!r}")
    return with_numbers(replace(table, y=y), task)


def column_of(data: Any, name: str, source: str = "X") -> Any:
    """Return a column as the data holds it: a Series, a list or an array.

    ``data`` is a frame, a dict of columns, a list of dicts, a 2-D array or a Table.

    >>> column_of({"a": [1, 2], "t": ["x", "y"]}, "t"), column_of([{"t": True}, {}], "t")
    (['x', 'y'], [True, None])
    """
    columns: Mapping[Any, Any]
    if isinstance(data, (list, tuple)):
        columns = {key: [row.get(key) for row in data] for row in data for key in row}
    elif isinstance(data, np.ndarray):
        names = data.dtype.names
        columns = dict(enumerate(data.T, start=1)) if names is None else {n: data[n] for n in names}
    elif isinstance(data, (Mapping, Table)):
        columns = data.columns if isinstance(data, Table) else data
    else:
        frame = _frame(data, source)
        columns = (
            {} if frame is None else dict(zip(frame.columns, frame.iter_columns(), strict=True))
        )
    columns = {str(key): column for key, column in columns.items()}
    check_target(source, list(columns), name)
    found = columns[name]
    return found.to_native() if hasattr(found, "to_native") else found


def labels_of(y: Any, source: str = "y") -> NDArray[Any]:
    """Return a target given beside the data: truth values, int64, float64 or texts (dtype U).

    Texts are classes as they stand, "none" and "NA" too; missing are None, NaN and blank texts.

    >>> labels_of([1.0, 2.0]), labels_of(["a", "NA"]), labels_of(np.array([True, False]))
    (array([1, 2]), array(['a', 'NA'], dtype='<U2'), array([ True, False]))
    """
    with guarded(source, _PLAIN):
        values, truths = _column_of(y, source)
    _check_numbers(source, {source: values})
    missing = is_missing(values)
    if missing.any():
        raise DataError(
            f"{source} is missing in {count(int(missing.sum()), 'row')}: {_rows(missing)} (counted "
            "from 1). Fill it in, or leave those rows out."
        )
    return values.astype(np.bool_) if truths else _as_labels(values, source)


def weights_of(values: Any, m: int, source: str) -> NDArray[np.float64] | None:
    """Return what each of m rows counts, the largest as 1; None where all count the same.

    >>> weights_of([1, 4, 0], 3, "sample_weight"), weights_of([2, 2], 2, "sample_weight")
    (array([0.25, 1.  , 0.  ]), None)
    """
    column, _ = _column_of(values, source)
    if len(column) != m or column.dtype.kind != "f":
        got = f"{count(len(column), 'value')}{'' if column.dtype.kind == 'f' else ', not numbers'}"
        raise DataError(f"{source} must hold a number for each of {count(m, 'row')}; got {got}.")
    for bad, what in (
        (np.isnan(column), "missing"),
        (np.isinf(column), "infinite"),
        (column < 0, "negative"),
    ):
        if bad.any():
            raise DataError(
                f"{source} is {what} in {count(int(bad.sum()), 'row')}: {_rows(bad)} (counted from "
                "1); expected numbers of 0 or more."
            )
    if not column.any():
        raise DataError(f"{source} is zero in every row, so no row counts; expected some above 0.")
    return None if (column == column[0]).all() else column / column.max()


def _as_labels(values: NDArray[Any], what: str) -> NDArray[Any]:
    """What is given of a target, as numbers or texts; DataError for dates, also as texts."""
    if values.ndim == 1 and values.dtype.kind == "f":
        return as_whole(values)
    if values.ndim == 1 and values.dtype == object:
        if not isinstance(values[0], str):
            return _exact(values)
        if not (re.search(r"\d{4}", values[0]) and find_format(values)):
            return _as_texts(values, what)
    elif values.dtype.kind != "M":
        raise DataError(
            f"{what} holds arrays; expected numbers, truth values, or texts that name classes."
        )
    raise DataError(
        f"{what} holds dates; expected numbers, truth values, or texts that name classes. Make a "
        "number of it, such as the days since a first one, or a class, such as the month's name."
    )


def _as_texts(values: NDArray[Any], what: str) -> NDArray[np.str_]:
    """Texts as dtype U, which has room for the longest in every row."""
    longest = max(map(len, values))
    holds = f"{what} holds a text of {longest:,} characters"
    if longest > LONGEST_CLASS:
        raise DataError(f"{holds}; expected names of classes, of {LONGEST_CLASS:,} at most.")
    check_fits(f"{holds} in {count(len(values), 'row')}", 4 * 3 * longest * len(values))
    return values.astype(np.str_)


def _exact(whole: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers beyond 2^53, as texts where int64 does not hold them."""
    try:
        return whole.astype(np.int64)
    except OverflowError:
        return np.array([str(int(value)) for value in whole])


def _column_of(y: Any, source: str) -> tuple[NDArray[Any], bool]:
    """A target as a column, and whether it holds truth values."""
    if not isinstance(y, (list, tuple, np.ndarray)):
        series = _series(y)
        if series is not None:
            return _from_series(series, source, labels=True)[0], _holds_truths(series)
        if not hasattr(y, "__array__"):
            raise DataError(
                f"{source} is of the type {type(y).__name__}; expected a value for each row: a "
                "Series, a list or an array."
            )
    array = np.asarray(y) if not isinstance(y, (list, tuple)) else _objects(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"{source} has the shape {array.shape}; expected one value for each row, (m,)."
        )
    truths = array.dtype == np.bool_
    if array.dtype == object and len(array):
        truths = all(isinstance(each, (bool, np.bool_)) for each in array)
    return _from_array(array, source, labels=True), bool(truths)


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    """A list as an array of what it holds, each as it is."""
    if values and all(isinstance(each, (list, tuple, np.ndarray)) for each in values):
        try:
            return np.array(values, dtype=object)
        except ValueError:
            pass  # ragged: a list of lists, which is refused by name
    return as_objects(values)


# Tables of each form ------------------------------------------------------------------------------


def _read(data: Any, source: str, choice: _Choice) -> Table:
    if isinstance(data, Mapping):
        return _from_dict(data, source, choice)
    if isinstance(data, (list, tuple)):
        return _from_list(data, source, choice)
    if isinstance(data, np.ndarray):
        return _from_matrix(data, source, choice)
    frame = _frame(data, source)
    if frame is not None:
        return _from_frame(frame, source, choice)
    if hasattr(data, "__array__"):
        return _from_matrix(np.asarray(data), source, choice)
    raise DataError(f"{source} is of the type {type(data).__name__}; {_EXPECTED}.")


def _in_place(
    names: Sequence[str], columns: dict[str, NDArray[Any]], m: int
) -> dict[str, NDArray[Any]]:
    """The columns in the order of all names; those that were not wanted hold nothing."""
    nothing = np.broadcast_to(np.nan, m)
    return {name: columns.get(name, nothing) for name in names}


def _from_dict(data: Mapping[Any, Any], source: str, choice: _Choice) -> Table:
    names = [str(name) for name in data]
    check_names(source, names)
    columns = {
        name: _one_column(values, f"{source}: column {name!r}", name == choice.target)
        for name, values in zip(names, data.values(), strict=True)
        if choice.has(name)
    }
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        one = next(iter(lengths))
        other = next(name for name in lengths if lengths[name] != lengths[one])
        raise DataError(
            f"{source}: its columns differ in length: {one!r} has {lengths[one]:,}, {other!r} "
            f"{lengths[other]:,} values. Expected a value for each row in each column."
        )
    first = next(iter(columns.values() if columns else data.values()), ())
    m = len(first) if hasattr(first, "__len__") else 0
    return Table(_in_place(names, columns, m), source=source)


def _one_column(values: Any, where: str, labels: bool) -> NDArray[Any]:
    if isinstance(values, (list, tuple)):
        return canonical(values, where, labels)
    if isinstance(values, np.ndarray):
        return _from_array(values, where, labels)
    if isinstance(values, (str, bytes, int, float)) or values is None:
        raise DataError(
            f"{where} holds {values!r}, a single value; expected a list or an array of them. For "
            "one row give [row], a list with one dict."
        )
    series = _series(values)
    if series is None:
        return _from_array(np.asarray(values), where, labels)
    return _from_series(series, where, labels)[0]


def _from_list(rows: Sequence[Any], source: str, choice: _Choice) -> Table:
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        what = f"{source} holds {count(len(rows), 'row')} of {count(len(names), 'name')} in all"
        check_fits(what, 16 * len(rows) * len(names))
        return _from_dict({name: [row.get(name) for row in rows] for name in names}, source, choice)
    if rows and all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        lengths = Counter(map(len, rows))
        if len(lengths) > 1:
            usual = lengths.most_common(1)[0][0]
            k = next(k for k, row in enumerate(rows) if len(row) != usual)
            raise DataError(
                f"{source}: row {k + 1} has {count(len(rows[k]), 'value')}, most have {usual}; "
                "expected rows of the same length."
            )
        by_column = enumerate(zip(*rows, strict=True), start=1)
        return _from_dict({str(k): list(column) for k, column in by_column}, source, choice)
    what = f"a list of {type(rows[0]).__name__}" if rows else "an empty list"
    raise DataError(f"{source} is {what}; {_EXPECTED}. For one row give [row].")


def _from_matrix(data: NDArray[Any], source: str, choice: _Choice) -> Table:
    if data.dtype.names is not None:
        return _from_dict({name: data[name] for name in data.dtype.names}, source, choice)
    if data.ndim == 4:
        return Table({"image": _from_array(data, source)}, source=source)
    if data.ndim != 2:
        hint = " For one row pass [row]." if data.ndim == 1 else ""
        raise DataError(
            f"{source} is an array of the shape {data.shape}; expected (m, n), one row per "
            f"example.{hint}"
        )
    return _from_dict({str(k + 1): data[:, k] for k in range(data.shape[1])}, source, choice)


def _from_array(array: NDArray[Any], where: str, labels: bool = False) -> NDArray[Any]:
    """One array of numpy as a column."""
    if array.ndim == 4 and array.dtype == np.uint8 and array.shape[3] == 3:
        return array
    if array.ndim != 1:
        raise DataError(
            f"{where} is an array of the shape {array.shape}; expected one value for each row, "
            "(m,), or images, uint8 of the shape (m, height, width, 3)."
        )
    kind = array.dtype.kind
    if isinstance(array, np.ma.MaskedArray):
        return canonical(array.tolist(), where, labels)
    if kind in "biuf" and not (kind in "iu" and _beyond(array)):
        return array.astype(np.float64)
    if kind == "M":
        return all_missing_as_numbers(array.astype("datetime64[us]"))
    if kind == "m":
        seconds = array.astype("timedelta64[us]").astype(np.int64) / 1e6
        return np.where(np.isnat(array), np.nan, seconds)
    return canonical(array.tolist(), where, labels)


def _beyond(whole: Any) -> bool:
    """Whether float64 may not tell these whole numbers apart."""
    return bool(len(whole)) and max(-int(whole.min() or 0), int(whole.max() or 0)) >= EXACT


# Frames, by narwhals ------------------------------------------------------------------------------


def _narwhals() -> Any:
    try:
        return importlib.import_module("narwhals")
    except ImportError:  # as in pellucid-predict
        raise MissingPackageError(
            "taking a data frame needs narwhals: pip install narwhals; or give a dict of columns"
        ) from None


def _frame(data: Any, source: str) -> Any:
    """The data as a narwhals DataFrame with texts as names; None where it is no frame."""
    nw = _narwhals()
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # pandas: names may be anything
        names = [str(name) for name in data.columns]
        check_names(source, names)
        if not all(type(name) is str for name in data.columns):
            data = data.set_axis(names, axis=1)
    elif hasattr(data, "column_names"):  # pyarrow: names may be there twice
        check_names(source, list(data.column_names))
    try:
        frame = nw.from_native(data)
    except TypeError:
        return None
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


def _series(data: Any) -> Any:
    """The data as a narwhals Series, also of a frame with one column; None where it is neither."""
    nw = _narwhals()
    try:
        found = nw.from_native(data, allow_series=True)
    except TypeError:
        return None
    if isinstance(found, nw.LazyFrame):
        found = found.collect()
    if isinstance(found, nw.DataFrame):
        return found.get_column(found.columns[0]) if len(found.columns) == 1 else None
    return found


def _from_frame(frame: Any, source: str, choice: _Choice) -> Table:
    names = [name for name in frame.columns if choice.has(name)]
    columns, declared = _plain_numbers(frame.to_native(), names), []
    for name in names:
        if name in columns:
            continue
        columns[name], categorical = _from_series(
            frame.get_column(name), f"{source}: column {name!r}", name == choice.target
        )
        if categorical:
            declared.append(name)
    columns = _in_place(frame.columns, columns, len(frame))
    return Table(columns, source=source, categorical=frozenset(declared))


def _plain_numbers(data: Any, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The columns of a few rows of pandas that are numpy's numbers, read all at once.

    Column by column a row takes ten times as long. Whole numbers that float64 may not tell apart
    are not among them.
    """
    if not hasattr(data, "iloc") or len(data) > FEW_ROWS:
        return {}
    dtypes = dict(zip(data.columns, data.dtypes, strict=True))
    plain = [name for name in names if isinstance(dtypes[name], np.dtype)]
    plain = [name for name in plain if dtypes[name].kind in "biuf" and dtypes[name].itemsize <= 8]
    everything = len(plain) == len(dtypes)
    if not everything and len(plain) < WORTH_SELECTING:
        return {}
    rows = data if everything else data[plain]
    by_column = np.array(rows.to_numpy(np.float64).T)
    whole = by_column[[dtypes[name].kind in "iu" for name in plain]]
    if np.abs(whole).max(initial=0) >= EXACT:
        return {}
    return dict(zip(plain, by_column, strict=True))


def _from_series(series: Any, where: str, labels: bool) -> tuple[NDArray[Any], bool]:
    """A column of any library, and whether it is declared categories."""
    import narwhals as nw

    dtype = series.dtype
    if dtype in (nw.Categorical, nw.Enum):
        return _from_categories(series, where, labels), True
    if dtype.is_integer() and _beyond(series):
        return canonical(series.to_list(), where, labels), False
    if dtype == nw.Boolean or (dtype.is_numeric() and dtype != nw.Decimal):
        numbers = series.cast(nw.Float64).to_numpy()
        if numbers.dtype == object:
            return canonical(numbers.tolist(), where), False
        return numbers.astype(np.float64), False
    if dtype == nw.Datetime:
        if dtype.time_zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return _from_array(series.to_numpy().astype("datetime64[us]"), where), False
    if dtype == nw.Duration:
        return _from_array(series.to_numpy().astype("timedelta64[us]"), where), False
    if dtype.is_nested():
        refuse(dict if dtype == nw.Struct else list, where)
    return canonical(series.to_list(), where, labels), False


def _from_categories(series: Any, where: str, labels: bool) -> NDArray[Any]:
    declared: Any = getattr(series.to_native(), "cat", None)
    if not hasattr(declared, "categories"):
        return canonical(series.to_list(), where, labels, categories=True)
    # Pandas would make floats of whole intervals where a row has none.
    categories = [*declared.categories.tolist(), None]
    found = canonical(categories, where, labels, categories=True)
    return all_missing_as_numbers(found[np.asarray(declared.codes)])


def _holds_truths(series: Any) -> bool:
    import narwhals as nw

    if series.dtype == nw.Boolean:
        return True
    return series.dtype == nw.Object and all(isinstance(each, bool) for each in series.to_list())


# Checks -------------------------------------------------------------------------------------------


def _check_numbers(source: str, columns: Mapping[str, NDArray[Any]]) -> None:
    """Refuse infinite values and those too large to compute with, naming columns and rows."""
    infinite: list[str] = []
    large: list[str] = []
    for name, column in columns.items():
        if column.dtype.kind == "f":
            bad = np.abs(column) > LARGEST
            if bad.any():
                which = infinite if np.isinf(column).any() else large
                bad = np.isinf(column) if which is infinite else bad
                which.append(f"{name!r} ({count(int(bad.sum()), 'row')}: {_rows(bad)})")
    for what, found in (
        ("infinite values", infinite),
        (f"values beyond {LARGEST:.0e}, too large to compute with,", large),
    ):
        if found:
            raise DataError(
                f"{source}: {what} in {count(len(found), 'column')}: {some(found)}. Rows are "
                "counted from 1 after the header. Correct them, or drop those rows."
            )


def _rows(bad: NDArray[np.bool_]) -> str:
    rows = np.flatnonzero(bad) + 1
    return ", ".join(map(str, rows[:3])) + (", ..." if len(rows) > 3 else "")
