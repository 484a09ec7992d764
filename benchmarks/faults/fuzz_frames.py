"""What is fuzzed of what is in memory: data frames, dicts, lists, arrays; and expressions."""

from __future__ import annotations

import datetime
import decimal
import fractions
import uuid
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from mutate import ODD_NUMBERS, odd_text, odd_value, usual, whole_text

# Frames -------------------------------------------------------------------------------------------


MODEL = ["n", "*", "word"]


class Odd:
    """An object that does nothing that one may expect."""

    def __init__(self, rng: Random) -> None:
        self.fault = rng.choice((ValueError, TypeError, RuntimeError, KeyError, OverflowError))

    def _raise(self, *given: Any) -> Any:
        raise self.fault("odd\x1b[31m" * 3)

    __str__ = __float__ = __len__ = __eq__ = __lt__ = __bool__ = _raise
    __hash__ = object.__hash__


def odd_object(rng: Random) -> Any:
    """Return one of the objects that columns of objects hold."""
    made = (
        lambda: odd_value(rng), lambda: odd_text(rng), lambda: rng.choice(ODD_NUMBERS),
        lambda: decimal.Decimal(rng.choice(("1.5", "NaN", "sNaN", "Infinity", "1e400"))),
        lambda: fractions.Fraction(1, 3), lambda: complex(1, 2), lambda: uuid.UUID(int=7),
        lambda: datetime.date(rng.choice((1, 1970, 9999)), 1, 1), lambda: datetime.time(1, 2, 3),
        lambda: datetime.timedelta(days=rng.choice((0, 1, -999_999_999))),
        lambda: datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        lambda: np.float32(1.5), lambda: np.datetime64("NaT", "us"),
        lambda: np.datetime64(2**60, "s"),
        lambda: np.timedelta64(3, "D"), lambda: np.array([1, 2]), lambda: np.bool_(True),
        lambda: np.str_("a"), lambda: Odd(rng), lambda: float, lambda: (k for k in "ab"),
    )  # fmt: skip
    return rng.choice(made)()


def objects(rng: Random, m: int) -> list[Any]:
    """A list: of plain values, or of one odd kind, of two, or of several."""
    if rng.random() < 0.5:
        return [
            rng.choice((0.5, 2, None)) if rng.random() < 0.3 else rng.gauss(0, 1) for _ in range(m)
        ]
    few = [odd_object(rng) for _ in range(rng.choice((1, 2, 2, 8)))]
    return [rng.choice(few) for _ in range(m)]


def array(rng: Random, m: int) -> Any:
    """An array of any dtype and often a wrong shape."""
    made = (
        lambda: np.array([rng.gauss(0, 1) for _ in range(m)]),
        lambda: np.arange(m) % 3,
        lambda: np.array([rng.choice("uvw") for _ in range(m)], rng.choice(("U", object, "S"))),
        lambda: _objects(objects(rng, m)),
        lambda: np.ma.masked_array(np.arange(m), mask=[rng.random() < 0.3 for _ in range(m)]),
        lambda: np.array([rng.choice(ODD_NUMBERS[:14]) for _ in range(m)], dtype=np.float64),
        lambda: np.full(m, 2**63, dtype=np.uint64) + np.arange(m, dtype=np.uint64),
        lambda: np.zeros(m, dtype=rng.choice(("f2", "f4", "g", "c16", "i1", "?", "M8[Y]", "M8[ns]",
                                              "m8[D]", "V3", "<U0", ">f8", "datetime64"))),
        lambda: np.zeros((m, 2)), lambda: np.zeros(()), lambda: np.zeros((m, 1)),
        lambda: np.zeros((m, 4, 4, 3), dtype=np.uint8), lambda: np.zeros((m, 2, 2)),
        lambda: np.zeros(m, dtype=[("*", "f8"), ("b", "U3")]),
        lambda: np.matrix(np.zeros((m, 2))), lambda: np.zeros(m + 1), lambda: np.zeros(0),
    )  # fmt: skip
    return rng.choice(made)()


def _objects(values: list[Any]) -> Any:
    column = np.empty(len(values), dtype=object)
    for k, value in enumerate(values):
        column[k] = value
    return column


def arrow_column(rng: Random, m: int) -> Any:
    """A column of pyarrow, of one of its types."""
    import pyarrow as pa

    whole = [None if rng.random() < 0.1 else rng.randrange(-3, 100) for _ in range(m)]
    words = [None if rng.random() < 0.1 else whole_text(rng) for _ in range(m)]
    made = (
        lambda: pa.array(whole, rng.choice((pa.int8(), pa.int64(), pa.float16(), pa.float64()))),
        lambda: pa.array(words, rng.choice((pa.string(), pa.large_string(), pa.string_view()))),
        lambda: pa.array(words).dictionary_encode(),
        lambda: pa.array([None] * m, pa.null()),
        lambda: pa.array([None if w is None else w % 2 == 0 for w in whole]),
        lambda: pa.array([None if w is None else [w] for w in whole]),
        lambda: pa.array([None if w is None else {"a": w, "*": w} for w in whole]),
        lambda: pa.array([None if w is None else [(str(w), w)] for w in whole],
                         pa.map_(pa.string(), pa.int64())),
        lambda: pa.array(whole, pa.int32()).cast(rng.choice((pa.date32(), pa.time32("s")))),
        lambda: pa.array([None if w is None else w * 10**15 for w in whole],
                         rng.choice((pa.timestamp("ns"), pa.timestamp("us", "Asia/Kolkata"),
                                     pa.duration("s"), pa.date64()))),
        lambda: pa.array([None if w is None else decimal.Decimal(w) for w in whole],
                         rng.choice((pa.decimal128(38, 2), pa.decimal256(70, 3)))),
        lambda: pa.array([None if w is None else bytes([w % 256]) for w in whole],
                         rng.choice((pa.binary(), pa.binary(1)))),
        lambda: pa.array([rng.choice((2**63, 2**64 - 1, 0)) for _ in range(m)], pa.uint64()),
        lambda: pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16] * m, pa.binary(16))),
        lambda: pa.chunked_array([pa.array([1.5] * (m // 2)), pa.array([2.5] * (m - m // 2))]),
        lambda: pa.array(whole, pa.int64()).cast(pa.float64()),
        lambda: pa.RunEndEncodedArray.from_arrays([m] if m else [], [7] if m else []),
    )  # fmt: skip
    try:
        return rng.choice(made)()
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # no such values of this type
        return pa.array(whole, pa.float64())


def pandas_frame(rng: Random, m: int) -> Any:
    import pandas as pd

    made = (
        lambda: pd.Series(objects(rng, m), dtype=object),
        lambda: pd.Series(np.arange(m) % 3, dtype="category"),
        lambda: pd.Series(pd.Categorical(objects(rng, m), categories=[1, "a", 2.5])),
        lambda: pd.Series(pd.interval_range(0, m or 1)[:m]),
        lambda: pd.Series(pd.period_range("2020", periods=m, freq="M")),
        lambda: pd.Series(pd.arrays.SparseArray(np.arange(m))),
        lambda: pd.Series(pd.date_range("2020", periods=m, tz="Asia/Tokyo")),
        lambda: pd.Series([None, 1][: m and 2] * (m // 2 + 1), dtype="Int64")[:m],
        lambda: pd.Series([rng.choice((True, None)) for _ in range(m)], dtype="boolean"),
        lambda: pd.Series([odd_text(rng) for _ in range(m)], dtype="string"),
        lambda: pd.Series(pd.arrays.ArrowExtensionArray(_chunked(arrow_column(rng, m)))),
        lambda: pd.Series(np.arange(m, dtype="m8[ns]")), lambda: pd.Series(np.arange(m) * 1j),
        lambda: pd.Series(pd.Categorical(["a"] * m).rename_categories({"a": Odd(rng)})),
    )  # fmt: skip
    columns = [
        pd.Series(usual(rng, m)) if sane else rng.choice(made)().reset_index(drop=True)
        for sane in _kinds(rng)
    ]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(m))
    width = frame.shape[1]
    names: list[Any] = (
        MODEL[:width]
        if rng.random() < 0.6
        else [
            rng.choice(
                (odd_text(rng), 1, "1", 1.0, None, pd.NA, ("a", 1), b"a", True, pd.Timestamp(0))
            )
            for _ in range(width)
        ]
    )
    if rng.random() < 0.05 and width:
        frame.columns = pd.MultiIndex.from_tuples([(str(name), k) for k, name in enumerate(names)])
    elif rng.random() < 0.8:
        frame.columns = pd.Index(names, dtype=object)
    if rng.random() < 0.2:
        frame.index = pd.Index([0] * m)
    return frame


def _chunked(column: Any) -> Any:
    import pyarrow as pa

    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def polars_frame(rng: Random, m: int) -> Any:
    import polars as pl

    made = (
        lambda: pl.from_arrow(arrow_column(rng, m)),
        lambda: pl.Series([whole_text(rng) for _ in range(m)], dtype=pl.Categorical),
        lambda: pl.Series(["a"] * m, dtype=pl.Enum(["a", "b"])),
        lambda: pl.Series([object()] * m, dtype=pl.Object),
        lambda: pl.Series([[1.0, 2.0]] * m, dtype=pl.Array(pl.Float64, 2)),
        lambda: pl.Series([2**100] * m, dtype=pl.Int128),
        lambda: pl.Series([datetime.time(1)] * m), lambda: pl.Series([float("nan")] * m),
        lambda: pl.Series([decimal.Decimal("1.5")] * m),
    )  # fmt: skip
    kinds = _kinds(rng)
    names = list(dict.fromkeys(_names(rng, len(kinds))))
    frame = pl.DataFrame(
        [
            (pl.Series(usual(rng, m)) if sane else rng.choice(made)()).alias(name)
            for name, sane in zip(names, kinds, strict=False)
        ]
    )
    return frame.lazy() if rng.random() < 0.1 else frame


def arrow_table(rng: Random, m: int) -> Any:
    import pyarrow as pa

    kinds = _kinds(rng)
    columns = [pa.array(usual(rng, m)) if sane else arrow_column(rng, m) for sane in kinds]
    names = _names(rng, len(kinds))
    made = pa.table(columns, names=names)
    return made.to_batches()[0] if m and names and rng.random() < 0.1 else made


def plain(rng: Random, m: int) -> Any:
    """A dict, a list, an array, or nothing of the kind."""
    import scipy.sparse

    names = [rng.choice((odd_text(rng), 1, None, ("a",))) for _ in range(rng.choice((0, 1, 2, 4)))]
    names = [*MODEL, *names] if rng.random() < 0.7 else names

    def column() -> Any:
        if rng.random() < 0.7:
            return usual(rng, m)
        return array(rng, m) if rng.random() < 0.5 else objects(rng, m)

    made = (
        lambda: {name: column() for name in names}, lambda: {name: column() for name in names},
        lambda: [{name: odd_object(rng) for name in names if rng.random() < 0.9} for _ in range(m)],
        lambda: [objects(rng, len(names)) for _ in range(m)],
        lambda: [tuple(rng.gauss(0, 1) for _ in names) for _ in range(m)],
        lambda: array(rng, m), lambda: objects(rng, m), lambda: odd_object(rng),
        lambda: scipy.sparse.random(max(m, 1), 3, random_state=0), lambda: memoryview(bytes(m)),
        lambda: {name: rng.choice((1, "a", None, {}, range(m))) for name in names},
        lambda: iter([{"a": 1}]),
    )  # fmt: skip
    return rng.choice(made[:5] if rng.random() < 0.7 else made)()


def _kinds(rng: Random) -> list[bool]:
    """Whether each of some columns is a usual one."""
    odd = rng.choice((0.1, 0.3, 1.0))
    return [rng.random() > odd for _ in range(rng.choice((0, 1, 2, 3, 3, 3, 4)))]


def _names(rng: Random, width: int) -> list[str]:
    if rng.random() < 0.6:
        return [*MODEL, *(whole_text(rng) for _ in range(width))][:width]
    return [whole_text(rng) for _ in range(width)]


def prepare_frames(folder: Path) -> dict[str, Any]:
    """Train the models that frames are predicted with."""
    from pellucid import TabularClassifier

    rows = {
        "n": np.arange(60) % 7,
        "*": np.arange(60) / 7,
        "word": ["uvw"[k % 3] for k in range(60)],
    }
    model = TabularClassifier((2,), epochs=1, ensemble=1, random_state=0)
    numbers = TabularClassifier((2,), epochs=1, ensemble=1, random_state=0)
    y = np.arange(60) % 2
    return {
        "named": model.fit(rows, y),
        "numbers": numbers.fit(np.random.default_rng(0).random((60, 2)), y),
    }


def frame(context: dict[str, Any], rng: Random) -> None:
    """Take what is in memory as a table, to learn from or to predict."""
    from pellucid.tables import TrainSettings, as_table
    from pellucid.tables.fit import prepare

    m = rng.choice((0, 1, 2, 12, 60, 60, 60, 60, 60, 60))
    try:
        data = rng.choice((pandas_frame, polars_frame, arrow_table, plain, plain))(rng, m)
    except BaseException:  # panics too
        return  # the library itself refuses it
    match rng.randrange(5):
        case 0:
            as_table(data, target=rng.choice((None, "n", "*", odd_text(rng))), drop=[odd_text(rng)])
        case 1:
            y = rng.choice((array, objects, usual, usual, usual))(rng, m)
            made = as_table(data, y=y, target="y")
            prepare(made, TrainSettings(hidden_layer_sizes=(2,), ensemble=1))
        case 2:
            made = as_table(data)
            target = rng.choice([*made.columns, "y"])
            prepare(as_table(data, target=target), TrainSettings(hidden_layer_sizes=(2,)))
        case 3:
            context["named"].model_.predict(data)
        case 4:
            context["numbers"].model_.predict_proba(data)


# Expressions --------------------------------------------------------------------------------------


def expression(context: Any, rng: Random) -> None:
    """Parse an expression, compute it, and write it down in every way."""
    from pellucid.graph import Graph

    if rng.random() < 0.7:
        text = f"J = {_expression(rng, rng.randrange(5))}"
    elif rng.random() < 0.5:  # each line twice what the one before it is
        n = rng.choice((3, 40, 400))
        text = ";".join(
            f"v{k} = v{k - 1} {rng.choice('+*-')} v{k - 1}" if k else "v0 = a" for k in range(n)
        )
    else:
        text = ";".join(_line(rng) for _ in range(rng.choice((2, 3, 40))))
    if rng.random() < 0.3:
        text = _mutated(rng, text)
    values = {
        name: rng.choice((1.5, 0, -2, np.ones((2, 3)), np.arange(3), rng.choice(ODD_NUMBERS)))
        for name in "abcxyz"
        if f"{name}" in text
    }
    with np.errstate(all="ignore"):
        graph = Graph(text, **values)
        graph.text()
        repr(graph)
        if len(graph.nodes) < 30:
            graph.svg()
        if graph.by_name:
            graph.nudge(rng.choice(list(graph.by_name)))


def _line(rng: Random) -> str:
    return f"{rng.choice('uvwJabc')} = {_expression(rng, rng.randrange(5))}"


def _expression(rng: Random, depth: int) -> str:
    if depth == 0:
        return rng.choice(
            [*"abcxyzabcxyzw", "2", "0.5", "1e3"]
            + ["1e999", "9" * 400, "pi", "é"] * (rng.random() < 0.1)
        )
    one, other = _expression(rng, depth - 1), _expression(rng, rng.randrange(depth))
    calls = ("exp", "log", "max", "min", "sum", "mean", "sqrt", "where", "transpose", "nix", "abs")
    forms = (
        f"{one} + {other}", f"{one} {other}", f"{one} * {other}", f"{one} ^ {other}", f"-{one}",
        f"({one}) / {other}", f"{one} @ {other}", f"{rng.choice(calls)}({one})",
        f"{rng.choice(calls)}({one}, {other})", f"({one})",
    )  # fmt: skip
    never = (f"{one}.T", f"{one}[0]", f"lambda: {one}", f"{one} if {other} else 1", f"[{one}]")
    return rng.choice(never if rng.random() < 0.01 else forms)


def _mutated(rng: Random, text: str) -> str:
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(text) + 1)
        piece = rng.choice(
            (odd_text(rng), *"()^-=;.+*/@\n", "((((" * 60, "-" * 3000, "a+" * 3000, "**")
        )
        text = text[:place] + piece + text[place + rng.randrange(3) :]
    return text
