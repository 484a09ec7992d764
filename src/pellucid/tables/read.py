"""Reading a file into a :class:`~pellucid.tables.table.Table`, through polars."""

from __future__ import annotations

import gzip
import importlib
import io
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid._files import nearest_file
from pellucid.errors import DataError, MissingPackageError
from pellucid.tables.samples import PREFIX, TARGET, read_sample
from pellucid.tables.table import (
    Table,
    as_whole,
    check_columns,
    check_learnable,
    count,
    nearest,
    some,
)
from pellucid.tables.text import read_text

if TYPE_CHECKING:
    import polars as pl

LARGEST = 1e38
"""Beyond this float32, and squares in float64, overflow."""

_TEXT = (".csv", ".tsv", ".txt")
_BINARY = {".parquet": "read_parquet", ".arrow": "read_ipc", ".feather": "read_ipc"}
_LINES = (".jsonl", ".ndjson")
_WHAT = {".parquet": "a Parquet file", ".arrow": "an Arrow file", ".feather": "an Arrow file"}
_MISSING = ["", "na", "n/a", "nan", "null", "none", "?"]
"""What stands for a missing number in text files, in any case."""


def read_table(
    source: str | os.PathLike[str],
    *,
    target: str | Callable[[list[str]], str] | None = None,
    columns: Sequence[str] | None = None,
) -> Table:
    """Return the table of a file, or of ``sample:NAME``.

    Parameters
    ----------
    source : path or str
        ``.csv``, ``.tsv`` or ``.txt`` (also with ``.gz``), ``.parquet``, ``.arrow``, ``.jsonl``.
    target : str, function or None
        The column to learn; all others are inputs. A function chooses it from the columns' names.
    columns : list of str or None
        Take these columns as inputs, in this order, and ignore the others; None takes all.

    Raises
    ------
    DataError
        Where the file or a column cannot be used; the message says which, where and why.

    Examples
    --------
    >>> rows = ["size,weight,kind"] + [f"{k},{k % 3},{'ab'[k % 2]}" for k in range(12)]
    >>> _ = Path("small.csv").write_text("\\n".join(rows))
    >>> table = read_table("small.csv", target="kind")
    >>> table.columns, table.X.shape, table.y[:3]
    (['size', 'weight'], (12, 2), array(['a', 'b', 'a'], dtype='<U1'))
    """
    name = os.fspath(source)
    if name.startswith(PREFIX):
        return _read_sample(name, target, columns)
    names, frame, notes = _read_file(name)
    target = target(names) if callable(target) else target
    series = dict(zip(names, frame.get_columns(), strict=True))
    if target is not None:
        _check_target_name(name, names, target)
    y = None if target is None else _target(name, target, series.pop(target))
    if columns is not None:
        check_columns(name, names, columns)
        ignored = [repr(each) for each in series if each not in set(columns)]
        if ignored:
            notes.append(f"{count(len(ignored), 'column')} not used: {some(ignored)}")
        series = {each: series[each] for each in columns}
    if not series:
        raise DataError(
            f"{name} has no input columns beside the target {target!r}.{_one_column(names)}"
        )
    table = Table(list(series), _inputs(name, series), y, target, name, notes)
    if target is not None:
        check_learnable(table)
    return table


def column_names(source: str | os.PathLike[str]) -> list[str]:
    """Return the names of all columns, the target included.

    >>> column_names("sample:iris")[-2:]
    ['petal width (cm)', 'target']
    """
    name = os.fspath(source)
    if name.startswith(PREFIX):
        return [*read_sample(name.removeprefix(PREFIX)).columns, TARGET]
    return _read_file(name)[0]


def _read_sample(
    source: str,
    target: str | Callable[[list[str]], str] | None,
    columns: Sequence[str] | None,
) -> Table:
    table = read_sample(source.removeprefix(PREFIX))
    target = target([*table.columns, TARGET]) if callable(target) else target
    if target not in (None, TARGET):
        raise DataError(f"the target of {source} is {TARGET!r}; got {target!r}.")
    if columns is not None:
        table.X, table.columns = table.inputs(columns), list(columns)
    return table


# Files --------------------------------------------------------------------------------------------


def _read_file(name: str) -> tuple[list[str], pl.DataFrame, list[str]]:
    """The columns' names, the columns and the notes of a file."""
    path = Path(name)
    ending = Path(name.removesuffix(".gz")).suffix.lower()
    if ending not in (*_TEXT, *_BINARY, *_LINES):
        if path.is_dir():
            raise DataError(f"{name!r} is a folder; expected a file of data.")
        if not path.exists():
            raise DataError(f"there is no file {name!r}{nearest_file(path)}.")
        raise DataError(
            f"cannot tell the format of {name!r} from its ending; expected {', '.join(_TEXT)} or "
            f"{', '.join(_LINES)} (also with .gz), {', '.join(_BINARY)}, or sample:NAME. Save or "
            "export it as CSV (UTF-8), or rename it."
        )
    content = _read_bytes(path)
    polars()
    notes: list[str] = []
    if ending in _TEXT:
        names, frame, notes = read_text(name, content)
    else:
        frame = _read_with_polars(name, content, ending)
        names = frame.columns
        if not frame.height:
            raise DataError(f"{name} holds no rows; its columns are {some(names)}.")
    _check_names(name, names)
    return _without_nameless(names, frame, notes)


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no file {str(path)!r}{nearest_file(path)}.") from None
    except IsADirectoryError:
        raise DataError(f"{str(path)!r} is a folder; expected a file of data.") from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}.") from None
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{str(path)!r} is a damaged gzip file: {error}.") from None
    if not content:
        raise DataError(f"{str(path)!r} is empty; expected a header and rows of numbers.")
    return content


def polars() -> Any:
    """Return the module polars; MissingPackageError says how to get it."""
    try:
        return importlib.import_module("polars")
    except ImportError:
        raise MissingPackageError(
            "reading files needs polars: pip install 'pellucid[tables]'"
        ) from None


def _read_with_polars(name: str, content: bytes, ending: str) -> pl.DataFrame:
    import polars as pl

    try:
        if ending in _LINES:
            frame = pl.read_ndjson(content, infer_schema_length=None)
        else:
            frame = getattr(pl, _BINARY[ending])(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        what = _WHAT.get(ending, "JSON lines, one object a line")
        raise DataError(f"{name} cannot be read: it is not {what} ({reason}).") from None
    return frame


def _check_names(source: str, names: Sequence[str]) -> None:
    twice = [f"{name!r}" for name, times in Counter(names).items() if name and times > 1]
    if twice:
        places = [str(k) for k, name in enumerate(names, start=1) if f"{name!r}" == twice[0]]
        raise DataError(
            f"{source}: the names of columns must differ; found more than once: {some(twice)} "
            f"({twice[0]} in columns {some(places)}). Rename or drop the doubles."
        )


def _without_nameless(
    names: list[str], frame: pl.DataFrame, notes: list[str]
) -> tuple[list[str], pl.DataFrame, list[str]]:
    """Drop columns that have neither a name nor a value, name the others that have no name."""
    kept = []
    for k, name in enumerate(names):
        if name or frame.to_series(k).null_count() < frame.height:
            kept.append(k)
        else:
            notes.append(f"column {k + 1} has no name and no values: left out")
    final = []
    for k in kept:
        final.append(names[k] or f"column_{k + 1}")
        if not names[k]:
            notes.append(f"column {k + 1} has no name: called {final[-1]!r}")
    return final, frame[:, kept], notes


# Columns ------------------------------------------------------------------------------------------


def _check_target_name(source: str, names: Sequence[str], target: str) -> None:
    if target not in names:
        raise DataError(
            f"{source} has no column {target!r}{nearest(target, names)}; "
            f"its columns are {some([repr(name) for name in names])}.{_one_column(names)}"
        )


def _one_column(names: Sequence[str]) -> str:
    if len(names) > 1:
        return ""
    return " It was read as one column; expected columns cut by a comma, semicolon, tab or |."


def _numbers(column: pl.Series) -> NDArray[np.float64] | None:
    """The column as numbers, NaN where one is missing; None where it holds anything else."""
    import polars as pl

    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64).to_numpy()
    if column.dtype != pl.String:
        return None
    text = column.str.strip_chars()
    lower = text.str.to_lowercase()
    text = text.set(lower.is_in(_MISSING), None)
    found = text.cast(pl.Float64, strict=False)
    if found.null_count() > text.null_count():
        if not _is_boolean(text):
            return None
        found = (lower == "true").cast(pl.Float64).set(text.is_null(), None)
    return found.to_numpy()


def _is_boolean(column: pl.Series) -> bool:
    """Whether a column holds truth values, as such or as the words true and false."""
    import polars as pl

    if column.dtype == pl.Boolean:
        return True
    if column.dtype != pl.String:
        return False
    return bool(column.str.strip_chars().str.to_lowercase().is_in(["true", "false"]).all())


def _inputs(source: str, series: dict[str, pl.Series]) -> NDArray[np.float64]:
    """All columns as one (m, n) array; DataError where a column holds no numbers, or bad ones."""
    X = np.empty((len(next(iter(series.values()))), len(series)))
    other: list[str] = []
    for k, (name, column) in enumerate(series.items()):
        numbers = _numbers(column)
        if numbers is None:
            other.append(f"{name!r} ({_kind(column)}, such as {_example(column)})")
        else:
            X[:, k] = numbers
    if other:
        comma = any(re.search(r"such as '-?\d+,\d+'", each) for each in other)
        hint = " Write decimal numbers with a point, not a comma." if comma else ""
        raise DataError(
            f"{source}: {count(len(other), 'input column')} "
            f"{'is' if len(other) == 1 else 'are'} not numeric: {some(other)}.{hint} Drop such "
            "columns, or encode them as numbers; categories and dates come in a later release."
        )
    names = list(series)
    _refuse(source, names, np.isnan(X), "missing values", "Fill them in, or drop those rows.")
    mend = "Correct them, or drop those rows."
    _refuse(source, names, np.isinf(X), "infinite values", mend)
    limit = f"values beyond {LARGEST:.0e}, too large to compute with,"
    _refuse(source, names, np.abs(X) > LARGEST, limit, mend)
    return X


def _refuse(
    source: str, names: Sequence[str], bad: NDArray[np.bool_], what: str, mend: str
) -> None:
    """Name the columns that hold bad values, and the first rows where they do."""
    found = [
        f"{names[k]!r} ({count(int(bad[:, k].sum()), 'row')}: {_rows(bad[:, k])})"
        for k in np.flatnonzero(bad.any(axis=0)).tolist()
    ]
    if found:
        raise DataError(
            f"{source}: {what} in {count(len(found), 'column')}: {some(found)}. "
            f"Rows are counted from 1, the header not. {mend}"
        )


def _rows(bad: NDArray[np.bool_]) -> str:
    rows = np.flatnonzero(bad) + 1
    return ", ".join(map(str, rows[:3])) + (", ..." if len(rows) > 3 else "")


def _target(source: str, name: str, column: pl.Series) -> NDArray[Any]:
    """The target as truth values, whole numbers, numbers or texts."""
    import polars as pl

    numbers = _numbers(column)
    if numbers is None and column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise DataError(
            f"{source}: the target {name!r} holds {_kind(column)}, such as {_example(column)}; "
            "expected numbers, or texts that name classes."
        )
    if numbers is None:
        texts = column.cast(pl.String).str.strip_chars()
        missing = (texts.is_null() | (texts == "").fill_null(True)).to_numpy()
        y: NDArray[Any] = np.array(texts.fill_null("").to_list(), dtype=np.str_)
    else:
        missing = np.isnan(numbers)
        y = numbers
    where = f"{source}: the target {name!r}"
    if missing.any():
        raise DataError(
            f"{where} is missing in {count(int(missing.sum()), 'row')}: {_rows(missing)} (counted "
            "from 1, the header not). Fill it in, or drop those rows."
        )
    if numbers is not None:
        if not (np.abs(numbers) <= LARGEST).all():
            raise DataError(
                f"{where} holds infinite values, or values beyond {LARGEST:.0e}, in rows "
                f"{_rows(~(np.abs(numbers) <= LARGEST))} (counted from 1, the header not). Correct "
                "them, or drop those rows."
            )
        y = numbers.astype(np.bool_) if _is_boolean(column) else as_whole(numbers)
    return y


def _kind(column: pl.Series) -> str:
    import polars as pl

    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    if column.dtype.is_temporal():
        return "dates or times"
    return "nested values" if column.dtype.is_nested() else str(column.dtype)


def _example(column: pl.Series) -> str:
    """A value that is no number, shortened."""
    for value in column.drop_nulls().head(1000).to_list():
        if not isinstance(value, str):
            return str(value)[:40]
        try:
            float(value)
        except ValueError:
            if value.strip().lower() not in _MISSING:
                return repr(value if len(value) <= 40 else value[:37] + "...")
    values = column.drop_nulls()
    return repr(values[0]) if len(values) else "nothing"
