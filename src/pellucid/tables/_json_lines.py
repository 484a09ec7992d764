"""JSON lines, one object a line, by Python's json module: the same columns as polars gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.tables._opening import check_cells, check_texts
from pellucid.tables.values import as_objects, holds_texts, masked

FEW_LINES = 1_000
"""After so many lines, and each time they are four times as many, the columns are counted."""


def read_json_lines(source: str, content: bytes) -> dict[str, NDArray[Any]]:
    """Return a column for each name that any line has, as arrays.

    Numbers are float64, NaN where missing, but whole numbers alone are objects, as are texts and
    nested values, None where missing; truth values are bool, masked where missing. Of a mixture
    with texts, all are texts.
    """
    rows, names = _rows(source, content)
    cells = {name: [row.get(name) for row in rows] for name in names}
    columns = {name: _column(values) for name, values in cells.items()}
    texts = [values for values in columns.values() if holds_texts(values)]
    size = sum(len(each.encode()) for values in texts for each in values if each is not None)
    check_texts(source, len(texts) * len(rows), size)
    return columns


def _rows(source: str, content: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects, and the names of all columns."""
    decode = json.JSONDecoder(object_pairs_hook=_first, parse_constant=_no_number).decode
    m, few = content.count(b"\n") + 1, FEW_LINES
    rows: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    for k, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = decode(line.decode())
            if not isinstance(row, dict):
                raise ValueError("it holds no object, {...}")
            if b"\\u" in line:
                json.dumps(row, ensure_ascii=False).encode()  # refuses one half of a surrogate pair
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{source} cannot be read: it is not JSON lines, one object a line (line {k}: "
                f"{_reason(error)})."
            ) from None
        rows.append(row)
        if not row.keys() <= names.keys():
            longer = len(row) > len(names)  # its names come first then, as in polars
            names = {**dict.fromkeys(row), **names} if longer else {**names, **dict.fromkeys(row)}
        if k == few < m:
            check_cells(source, content, m, len(names))
            few *= 4
    check_cells(source, content, m, len(names))
    return rows, list(names)


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; where a name stands twice, what it said first."""
    row = dict(pairs)
    return row if len(row) == len(pairs) else {**row, **dict(reversed(pairs))}


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    if isinstance(error, UnicodeError):
        return "it is not encoded in UTF-8"
    return str(error) if isinstance(error, ValueError) else "it is nested too deeply"


def _column(values: Sequence[Any]) -> NDArray[Any]:
    types = {*map(type, values)} - {type(None)}
    if str in types:
        return as_objects(list(map(_text, values)))
    if types == {bool}:
        return masked([bool(value) for value in values], [value is None for value in values])
    if types == {int} or not types <= {int, float, bool}:
        return as_objects(values)
    return np.array([_number(value) for value in values])


def _number(value: Any) -> float:
    try:
        return np.nan if value is None else float(value)
    except OverflowError:
        return np.inf


def _text(value: Any) -> str | None:
    """One value among texts, as JSON writes it, but numbers without an exponent."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and np.isfinite(value):
        return np.format_float_positional(value, trim="-")
    return json.dumps(value, ensure_ascii=False)
