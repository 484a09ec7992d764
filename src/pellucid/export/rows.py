"""Rows as the arrays that an exported file takes.

A drop-in or a pipeline takes one input ``X``, (m, n), or where a data frame's columns are found by
name or differ in type, one for each column, (m, 1): numbers, float32 where all of them are and
float64 else, or texts, "" where one is missing. docs/export.md says what models of tables take.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.tables.kinds import Binary, Category, Date, Image, Number
from pellucid.tables.preprocess import Preprocessing
from pellucid.tables.table import Table, check_columns
from pellucid.tables.values import as_objects, is_missing, parse_numbers, text_of

Arrays = dict[str, NDArray[Any]]

_MISSING = ("NoneType", "NAType", "NaTType")


def arrays_of(rows: Any, first: Any = None) -> Arrays:
    """Return what the inputs take; ``first`` is the first step of a pipeline, if there is any.

    >>> arrays_of([[1, 2]])
    {'X': array([[1., 2.]])}
    """
    columns = _columns_of(rows)
    if columns is None:
        X = _matrix(rows)
        n = getattr(first, "n_features_in_", X.shape[1])
        if X.shape[1] != n:
            raise DataError(f"X has {X.shape[1]} columns; expected {n}, as in training.")
        return {"X": X}
    names = list(getattr(first, "feature_names_in_", columns))
    check_columns("X", columns, names)
    arrays = {name: _column(columns[name], name) for name in names}
    numbers = [array.dtype for array in arrays.values() if array.dtype != object]
    if numbers:
        dtype = np.result_type(*numbers)
        arrays = {k: a if a.dtype == object else a.astype(dtype) for k, a in arrays.items()}
    if finds_columns(first) or len({array.dtype for array in arrays.values()}) > 1:
        return arrays
    return {"X": np.hstack(list(arrays.values()))}


def finds_columns(step: Any) -> bool:
    """Whether a step of a pipeline takes columns apart."""
    return hasattr(step, "transformers_")


def _columns_of(rows: Any) -> dict[str, Any] | None:
    """The columns of a data frame; None where it is none, or its columns have no names."""
    import narwhals as nw

    if hasattr(rows, "iloc") and not all(isinstance(name, str) for name in rows.columns):
        return None  # of pandas, with numbers for names
    frame = nw.from_native(rows, eager_only=True, pass_through=True)
    return (
        {name: frame[name] for name in frame.columns} if isinstance(frame, nw.DataFrame) else None
    )


def _column(series: Any, name: str) -> NDArray[Any]:
    import narwhals as nw

    dtype = series.dtype
    if dtype == nw.Float32:
        values: NDArray[Any] = series.to_numpy()
    elif dtype.is_numeric() or dtype == nw.Boolean:
        values = series.cast(nw.Float64).to_numpy().astype(np.float64)
    elif dtype.is_temporal() or dtype.is_nested():
        raise DataError(
            f"X: column {name!r} holds {dtype}; expected numbers or texts. Convert it to one of "
            "these before the pipeline."
        )
    else:
        values = _texts(series.to_list(), f"X: column {name!r}")
    return values[:, np.newaxis]


def _matrix(rows: Any) -> NDArray[Any]:
    array = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
    if array.dtype.kind in "biuf":
        array = array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)
    else:
        array = _texts(array.ravel().tolist(), "X").reshape(array.shape)
    if array.ndim == 1 and array.dtype == object:
        return array[:, np.newaxis]  # the documents of a vectorizer
    if array.ndim != 2:
        raise DataError(
            f"X has the shape {array.shape}; expected (m, n), one row per example. For one row "
            "pass [row]."
        )
    return array


def _texts(values: list[Any], where: str) -> NDArray[Any]:
    """Texts, "" where one is missing."""
    texts = [
        "" if type(value).__name__ in _MISSING or value != value else value for value in values
    ]
    wrong = next((value for value in texts if not isinstance(value, str)), None)
    if wrong is not None:
        raise DataError(
            f"{where} holds {wrong!r} among texts or of an unknown type; expected only texts or "
            "only numbers. Pass a data frame, in which each column has its own type."
        )
    return as_objects(texts)


# Tables -------------------------------------------------------------------------------------------


def onnx_inputs(preprocessing: Preprocessing, table: Table) -> Arrays:
    """Return a table's columns as the inputs of an ONNX file.

    >>> city = {"city": Category(0, ["b", "a"], 0, False)}
    >>> table = Table({"city": np.array(["a", None], dtype=object)})
    >>> onnx_inputs(Preprocessing(city), table)
    {'city': array(['a', ''], dtype=object)}
    """
    return {
        name: _tensor(kind, table.columns[name], f"{table.source}: column {name!r}")
        for name, kind in preprocessing.columns.items()
        if kind.n_outputs
    }


def c_inputs(preprocessing: Preprocessing, table: Table) -> NDArray[np.float64]:
    """Return a table's columns as x of a C file, a row an example.

    >>> city = {"city": Category(0, ["b", "a"], 0, False)}
    >>> table = Table({"city": np.array(["a", None, "c"], dtype=object)})
    >>> c_inputs(Preprocessing(city), table).ravel()
    array([ 1., nan, -1.])
    """
    parts = []
    for name, kind in preprocessing.columns.items():
        column, where = table.columns[name], f"{table.source}: column {name!r}"
        if isinstance(kind, (Binary, Category)) and not kind.from_numbers:
            x = _places(kind, column, where)
        else:
            x = _tensor(kind, column, where)
        if isinstance(kind, Date):
            dates = x.view("datetime64[us]")
            x = np.where(np.isnat(dates), np.nan, x / 1e6)
        parts.append(x.reshape(table.m, -1).astype(np.float64))
    return np.hstack(parts)


def _tensor(kind: Any, column: NDArray[Any], where: str) -> NDArray[Any]:
    """What the input of a column takes."""
    if isinstance(kind, Image):
        return column
    if isinstance(kind, Date):
        microseconds: NDArray[Any] = (
            kind.dates(column, where).astype("datetime64[us]").view(np.int64)
        )
        return microseconds
    if isinstance(kind, Number):
        return kind.numbers(column, where)
    if kind.from_numbers and column.dtype.kind == "f":
        return column
    words = as_objects([text_of(value) for value in column])
    if not kind.from_numbers:
        return as_objects([word or "" for word in words])
    if isinstance(kind, Binary):  # other words may stand for its two numbers
        return _chosen(kind, column, where, *map(float, kind.values))
    numbers = parse_numbers(words)
    return np.where(np.isnan(numbers) & ~is_missing(words), np.inf, numbers)  # a text is unseen


def _places(kind: Binary | Category, column: NDArray[Any], where: str) -> NDArray[np.float64]:
    """The places of texts among the known ones, -1 for others, NaN where missing."""
    if isinstance(kind, Binary):
        return _chosen(kind, column, where, 0.0, 1.0)
    n = len(kind.categories)
    Z = _written(kind, column, where)
    known = np.hstack([Z[:, :n], np.full((len(Z), 1), 0.5)]).argmax(axis=1)  # n for none of them
    return np.where(known < n, known, np.where(is_missing(column), np.nan, -1.0))


def _chosen(
    kind: Binary, column: NDArray[Any], where: str, first: float, second: float
) -> NDArray[np.float64]:
    """One number for each of two values, NaN for others, which count as missing."""
    Z = _written(kind, column, where)[:, 0]
    return np.select([Z < 0, Z > 0], [first, second], np.nan)


def _written(kind: Any, column: NDArray[Any], where: str) -> NDArray[np.float32]:
    Z = np.zeros((len(column), kind.n_outputs), dtype=np.float32)
    kind.write(column, Z, where)
    return Z
