"""A table's preprocessing as a part of an ONNX graph: one input for each column.

===========  ====================  ==================================================
kind         tensor                missing
===========  ====================  ==================================================
number       double, (m,)          NaN
binary       double or text, (m,)  NaN or ""; text where the column held text
category     double or text, (m,)  the same
date         int64, (m,)           the smallest int64; microseconds since 1970 (UTC)
image        uint8, (m, h, w, 3)   cannot be
===========  ====================  ==================================================

Dates are what ``column.astype("datetime64[us]").astype("int64")`` gives, NaT included. A kind of
column is a line in :data:`COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.export.graph import ML, Graph
from pellucid.export.value import XP, Shape, Value
from pellucid.tables.codes import code_of
from pellucid.tables.kinds import FARTHEST, TRUTHS, Binary, Category, Date, Image, Kind
from pellucid.tables.preprocess import Preprocessing
from pellucid.tables.values import MISSING, texts

Part = tuple[Value, list[int]]
"""Outputs, (n, m), and their n places among all outputs."""

MISSING_DATE = np.iinfo(np.int64).min
"""What stands for a missing date: NaT's own number."""

_DAY, _HOUR = 86_400_000_000, 3_600_000_000  # in microseconds


@dataclass
class Column:
    """A column: its kind, its input, and the place of its first output among all."""

    kind: Any
    x: Value
    place: int

    def all_places(self) -> list[int]:
        """Return the places of its outputs."""
        return list(range(self.place, self.place + self.kind.n_outputs))


def transform(graph: Graph, preprocessing: Preprocessing) -> Value:
    """Add the inputs and what ``Preprocessing.transform`` does; return Z^T, (n_outputs, m).

    >>> from pellucid.tables.kinds import Number
    >>> preprocessing = Preprocessing({"age": Number(1, 40.0, 10.0, False)})
    >>> transform(Graph(), preprocessing).shape
    (2, 'm')
    """
    by_kind: dict[str, list[Column]] = {}
    place = 0
    # The inputs come first, so that no other part of the graph takes a column's name.
    for name, kind in preprocessing.columns.items():
        if kind.n_outputs:
            x = graph.input(name, *input_type(kind))
            by_kind.setdefault(kind.kind, []).append(Column(kind, x, place))
        place += kind.n_outputs
    parts: list[Part] = []
    for kind_name, columns in by_kind.items():
        parts += COLUMNS[kind_name](columns)
    Z = graph.concatenate([value.astype(np.float32) for value, _ in parts])
    order = np.argsort([place for _, places in parts for place in places])
    if (order == np.arange(len(order))).all():
        return Z
    return graph.add("Gather", Z, graph.constant(order), dtype=Z.dtype, shape=Z.shape, axis=1)


def input_type(kind: Kind) -> tuple[Any, Shape]:
    """Return the dtype and the lectures' shape, examples last, of a column's input.

    >>> input_type(Image(0, 64, 48))
    (<class 'numpy.uint8'>, (3, 48, 64, 'm'))
    """
    if isinstance(kind, Image):
        return np.uint8, (3, kind.width, kind.height, "m")
    if isinstance(kind, Date):
        return np.int64, ("m",)
    text = isinstance(kind, (Binary, Category)) and not kind.from_numbers
    return (object if text else np.float64), ("m",)


def _number(columns: list[Column]) -> list[Part]:
    """All at once, and in double, as in Python: 1e9 + 1 is not 1e9 in float32."""
    graph = columns[0].x.graph
    x = graph.concatenate([_row(column.x) for column in columns])
    parts = [(_squash(x, _each(columns, "median"), _each(columns, "scale")), _places(columns))]
    gaps = [column for column in columns if column.kind.missing]
    if gaps:
        x = graph.concatenate([_row(column.x) for column in gaps])
        parts.append((_is_nan(x), [place + 1 for place in _places(gaps)]))
    return parts


def _squash(x: Value, median: Any, scale: Any) -> Value:
    scale = np.where(np.equal(scale, 0), np.inf, scale)  # everything is 0 then
    z = XP.clip((x - median) / scale, -FARTHEST, FARTHEST)
    z = z / XP.sqrt(1 + (z / 3) * (z / 3))
    squashed: Value = XP.where(_is_nan(x), 0.0, z)
    return squashed


def _each(columns: list[Column], name: str) -> NDArray[Any]:
    """A field of each column's kind, (number of columns, 1)."""
    return np.array([[getattr(column.kind, name)] for column in columns])


def _places(columns: list[Column]) -> list[int]:
    return [column.place for column in columns]


def _binary(columns: list[Column]) -> list[Part]:
    numbers = [column for column in columns if column.kind.from_numbers]
    parts = _category([column for column in columns if not column.kind.from_numbers])
    if numbers:
        x = numbers[0].x.graph.concatenate([_row(column.x) for column in numbers])
        values = _each(numbers, "values").astype(np.float64)  # (number of columns, 1, 2)
        first, second = ((x == values[..., k]).astype(np.float32) for k in (0, 1))
        parts.append((second - first, _places(numbers)))
    return parts


def _category(columns: list[Column]) -> list[Part]:
    """For each a table with a row for each known value, filled by the kind itself."""
    return [
        ((_of_numbers if c.kind.from_numbers else _of_texts)(c.kind, c.x), c.all_places())
        for c in columns
    ]


def _of_texts(kind: Binary | Category, x: Value) -> Value:
    cases = (str, str.lower, str.upper, str.capitalize, str.title)
    known = list(dict.fromkeys(case(text) for text in _values(kind) for case in cases))
    rows = _written(kind, texts([*known, "\0"]))  # the last is none of them: the unseen value
    place = x.graph.add(
        "LabelEncoder",
        x,
        dtype=np.int64,
        shape=x.shape,
        domain=ML,
        keys_strings=known,
        values_int64s=list(range(len(known))),
        default_int64=len(known),
    )
    shape = (kind.n_outputs, *x.shape)
    return x.graph.add("Gather", x.graph.constant(rows.T), place, dtype=rows.dtype, shape=shape)


def _values(kind: Binary | Category) -> list[str]:
    """The texts that stand for something, whatever their case; codes also as 94107.0."""
    known = kind.categories if isinstance(kind, Category) else kind.values
    codes = [form for text in known for form in (code_of(text), f"{code_of(text)}.0")]
    words = list(TRUTHS) if isinstance(kind, Binary) else ["false", "true"]
    folded = [text.casefold() for text in known]
    return [*known, *folded, *codes, *words, *sorted(MISSING), "NaN"]


def _of_numbers(kind: Category, x: Value) -> Value:
    known = np.array([float(text) for text in kind.categories])
    rows = _written(kind, np.array([*known, np.nan, np.inf]))  # infinity: an unseen value
    unseen = rows[-1:].T
    is_one = [_row(x) == known[:, np.newaxis]] if len(known) else []
    which = x.graph.concatenate([part.astype(rows.dtype) for part in (*is_one, _is_nan(_row(x)))])
    return (rows[:-1].T - unseen) @ which + unseen


def _written(kind: Kind, column: NDArray[Any]) -> NDArray[np.float32]:
    """What a kind makes of these values, (number of values, n_outputs)."""
    rows = np.zeros((len(column), kind.n_outputs), dtype=np.float32)
    kind.write(column, rows, "the export")
    return rows


def _date(columns: list[Column]) -> list[Part]:
    """All at once: microseconds since 1970 in int64."""
    graph = columns[0].x.graph
    x = graph.concatenate([_row(column.x) for column in columns])
    missing = x == MISSING_DATE
    seconds = XP.where(missing, np.nan, x.astype(np.float64) / 1e6)
    time = _squash(seconds, _each(columns, "median"), _each(columns, "scale"))
    values = _parts_of(XP.where(missing, 0, x))
    parts = [(time, _places(columns))]
    for k, column in enumerate(columns):
        places = column.all_places()[1:]
        row = graph.constant(np.array([k]))
        absent = _rows(missing, row)
        for name in ("month", "weekday", "hour"):
            known = getattr(column.kind, name)
            if known:
                is_one = _rows(values[name], row) == np.array(known)[:, np.newaxis]
                parts.append((is_one & ~absent, places[: len(known)]))
            places = places[len(known) :]
        if column.kind.missing:
            parts.append((absent, places))
    return parts


def _rows(values: Value, rows: Value) -> Value:
    shape = (rows.shape[0], *values.shape[1:])
    return values.graph.add("Gather", values, rows, dtype=values.dtype, shape=shape, axis=1)


def _parts_of(time: Value) -> dict[str, Value]:
    """Month, weekday and hour of microseconds since 1970; numbers are whole, / cuts them."""
    of_day = _modulo(time, _DAY)
    days = (time - of_day) / _DAY
    # The month by days since 1 March of year 0 in cycles of 400 years, 146097 days (H. Hinnant's
    # civil_from_days).
    of_era = _modulo(days + 719_468, 146_097)
    year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365
    of_year = of_era - (365 * year + year / 4 - year / 100)
    from_march = (5 * of_year + 2) / 153
    return {
        "month": _modulo(from_march + 2, 12) + 1,
        "weekday": _modulo(days + 3, 7) + 1,  # 1970-01-01 was a Thursday
        "hour": of_day / _HOUR,
    }


def _image(columns: list[Column]) -> list[Part]:
    parts = []
    for column in columns:
        x, shape = column.x, (column.kind.n_outputs, "m")
        flat = x.graph.add("Flatten", x, dtype=x.dtype, shape=shape, axis=1)
        parts.append((flat.astype(np.float32) / 255, column.all_places()))
    return parts


COLUMNS: dict[str, Callable[[list[Column]], list[Part]]] = {
    "number": _number,
    "binary": _binary,
    "category": _category,
    "date": _date,
    "image": _image,
}
"""For every kind what makes the outputs of all its columns from their inputs."""


def _row(x: Value) -> Value:
    """(m,) as (1, m), whose tensor is a column."""
    axis = x.graph.constant(np.array([1]))
    return x.graph.add("Unsqueeze", x, axis, dtype=x.dtype, shape=(1, *x.shape))


def _is_nan(x: Value) -> Value:
    return x.alone("IsNaN", np.dtype(bool))


def _modulo(x: Value, n: int) -> Value:
    """x modulo n, from 0 to n - 1, also where x is negative."""
    return x.with_("Mod", n)
