"""Tables from everything a user may have in memory: the same data, the same arrays."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import subprocess
import sys
import uuid
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError
from pellucid.tables.frame import as_table, labels_of
from pellucid.tables.preprocess import Preprocessing
from pellucid.tables.table import Table

PARIS = dt.timezone(dt.timedelta(hours=2))

COLUMNS: dict[str, list[Any]] = {
    "whole": [1, 2, None, -4],
    "real": [1.5, 2.5, None, 0.1],
    "text": ["x", " y ", None, "NA"],
    "truth": [True, False, None, True],
    "moment": [dt.datetime(2020, 1, 1, 5, 6, 7, 891011), None, dt.datetime(1960, 1, 1), None],
    "day": [dt.date(2020, 1, 1), None, dt.date(2020, 1, 2), dt.date(1950, 1, 1)],
    "span": [dt.timedelta(seconds=1.5), None, dt.timedelta(days=-1), dt.timedelta(0)],
    "clock": [dt.time(1, 2, 3, 4), None, dt.time(0), dt.time(23, 59)],
    "exact": [decimal.Decimal("0.1"), None, decimal.Decimal("7.25"), decimal.Decimal("3.3")],
    "empty": [None] * 4,
    "blank": ["", " ", "?", "n/a"],
    "zoned": [dt.datetime(2020, 7, 1, 1, 0, tzinfo=PARIS), None, None, None],
}
EXPECTED: dict[str, Any] = {
    "whole": np.array([1, 2, np.nan, -4]),
    "real": np.array([1.5, 2.5, np.nan, 0.1]),
    "text": np.array(["x", "y", None, None], dtype=object),
    "truth": np.array([1, 0, np.nan, 1]),
    "moment": np.array(["2020-01-01T05:06:07.891011", "NaT", "1960-01-01", "NaT"], "M8[us]"),
    "day": np.array(["2020-01-01", "NaT", "2020-01-02", "1950-01-01"], "M8[us]"),
    "span": np.array([1.5, np.nan, -86400, 0]),
    "clock": np.array([3723.000004, np.nan, 0, 86340]),
    "exact": np.array([0.1, np.nan, 7.25, 3.3]),
    "empty": np.full(4, np.nan),
    "blank": np.full(4, np.nan),
    "zoned": np.array(["2020-06-30T23:00", "NaT", "NaT", "NaT"], "M8[us]"),
}
FORMS = {
    "dict": lambda data: data,
    "list": lambda data: [
        dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)
    ],
    "pandas": pd.DataFrame,
    "pandas nullable": lambda data: pd.DataFrame(data).convert_dtypes(),
    "pandas objects": lambda data: pd.DataFrame(data, dtype=object),
    "pandas from arrow": lambda data: pa.table(data).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda data: pl.DataFrame(data, strict=False),
    "polars lazy": lambda data: pl.LazyFrame(data, strict=False),
    "pyarrow": pa.table,
}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()


@pytest.mark.parametrize("form", FORMS)
def test_every_type_from_every_form(form: str) -> None:
    table = as_table(FORMS[form](COLUMNS))
    assert list(table.columns) == list(COLUMNS)
    for name, expected in EXPECTED.items():
        got = table.columns[name]
        assert got.dtype == expected.dtype, name
        np.testing.assert_array_equal(got, expected, err_msg=name)


names = st.text(min_size=1, max_size=30) | st.text("ab", min_size=300, max_size=400)
moments = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))
contents = st.sampled_from(
    [
        st.integers(-(2**40), 2**40),
        st.floats(-1e30, 1e30),
        st.booleans(),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
        st.sampled_from(["red", "grün", "青", "rot und grün"]),
        st.sampled_from(["1", "2.5", "-3e2", "x"]),
        moments,
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Columns of one type each, with missing values."""
    m = draw(st.integers(1, 12))
    columns = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    return {
        name: draw(st.lists(st.none() | draw(contents), min_size=m, max_size=m)) for name in columns
    }


@given(tables())
def test_the_same_table_from_pandas_polars_and_pyarrow(data: dict[str, list[Any]]) -> None:
    expected = as_table(data)
    preprocessing = Preprocessing.fit(expected)
    Z = preprocessing.transform(expected.columns)
    for form in ("pandas", "polars", "pyarrow", "list"):
        table = as_table(FORMS[form](data))
        assert list(table.columns) == list(expected.columns)
        for name, column in table.columns.items():
            assert same(column, expected.columns[name]), (form, name)
        fitted = Preprocessing.fit(table)
        assert fitted == preprocessing
        assert fitted.transform(table.columns).tobytes() == Z.tobytes()


def test_declared_categories() -> None:
    codes = [94107, 10001, None]
    frame = pd.DataFrame({"zip": pd.Categorical(codes), "x": [1, 2, 3]})
    table = as_table(frame)
    assert table.categorical == {"zip"}
    np.testing.assert_array_equal(table.columns["zip"], [94107, 10001, np.nan])
    kind = Preprocessing.fit(table).columns["zip"]
    assert kind.kind == "binary"
    assert kind.to_dict()["values"] == ["10001", "94107"]
    for dtype in (pl.Categorical, pl.Enum(["a", "b"])):
        assert as_table(pl.DataFrame({"c": pl.Series(["a", "b"], dtype=dtype)})).categorical
    assert as_table(pa.table({"c": pa.array(["a", "b"]).dictionary_encode()})).categorical == {"c"}


def test_arrays() -> None:
    table = as_table(np.array([[1, 2], [3, 4]]))
    assert list(table.columns) == ["1", "2"]
    np.testing.assert_array_equal(table.columns["2"], [2.0, 4.0])
    assert as_table([[1, "a"], [2, "b"]]).columns["2"].tolist() == ["a", "b"]
    mixed = as_table(np.array([[1, "a"], [None, 2.0]], dtype=object))
    assert mixed.columns["2"].tolist() == ["a", "2"]
    record = np.array([(1, "a"), (2, "b")], dtype=[("x", "i4"), ("y", "U1")])
    assert as_table(record).columns["y"].tolist() == ["a", "b"]
    images = np.zeros((3, 4, 5, 3), dtype=np.uint8)
    assert as_table(images).columns["image"] is not None
    masked = {"x": np.ma.array([1.0, 2.0], mask=[False, True])}
    np.testing.assert_array_equal(as_table(masked).columns["x"], [1.0, np.nan])
    spans = {"x": np.array([90, "NaT"], dtype="m8[s]")}
    np.testing.assert_array_equal(as_table(spans).columns["x"], [90.0, np.nan])


def test_names_that_are_no_texts_become_texts() -> None:
    assert list(as_table(pd.DataFrame([[1, 2]])).columns) == ["0", "1"]


def test_a_mixture_of_types_is_texts() -> None:
    values = ["a", 1.0, 2.5, True, dt.date(2020, 1, 2), None, float("nan")]
    column = as_table({"x": values}).columns["x"]
    assert column.tolist() == ["a", "1", "2.5", "true", "2020-01-02", None, None]
    dates = as_table({"x": [dt.date(2020, 1, 2), float("nan"), None]}).columns["x"]
    assert dates.dtype == "M8[us]"


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1, 2, 3], np.array([1, 2, 3])),
        ([1.0, 2.0], np.array([1, 2])),
        ([0.5, 2.0], np.array([0.5, 2.0])),
        ([True, False], np.array([True, False])),
        (np.array([True, False], dtype=object), np.array([True, False])),
        (["b ", "b", "a"], np.array(["b ", "b", "a"])),
        (["none", "NA", "null", "?"], np.array(["none", "NA", "null", "?"])),
        ([2**60, 2**60 + 1], np.array([2**60, 2**60 + 1])),
        (np.array([2**60, 2**60 + 1]), np.array([2**60, 2**60 + 1])),
        (np.array([2**64 - 1, 2**64 - 2], "u8"), np.array([str(2**64 - 1), str(2**64 - 2)])),
        (pd.Series([-(2**60), 1 - 2**60]), np.array([-(2**60), 1 - 2**60])),
        (pd.Series([2**60, 2**60 + 1], dtype="category"), np.array([2**60, 2**60 + 1])),
        (pl.Series([-(2**63)]), np.array([-(2**63)])),
        (["b", 1], np.array(["b", "1"])),
        (np.array([[1], [2]]), np.array([1, 2])),
        (pd.Series(["b", "a"], dtype="category"), np.array(["b", "a"])),
        (pd.Series([True, False], dtype="boolean"), np.array([True, False])),
        (pd.Series([True, False], dtype=object), np.array([True, False])),
        (pd.DataFrame({"y": [3, 4]}), np.array([3, 4])),
        (pl.Series([True, False]), np.array([True, False])),
        (pl.Series([1.5, 2.0]), np.array([1.5, 2.0])),
        (pa.chunked_array([["a", "b"]]), np.array(["a", "b"])),
    ],
)
def test_labels(y: Any, expected: np.ndarray) -> None:
    labels = labels_of(y)
    assert labels.dtype == expected.dtype
    assert labels.tolist() == expected.tolist()


def test_the_target_is_a_column_of_the_table() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3, 4], "b": ["x", None, "", "y"]})
    table = as_table(frame, target="b", source="shop.csv")
    assert (table.m, list(table.columns), table.target) == (2, ["a"], "b")
    assert table.y is not None
    assert table.y.tolist() == ["x", "y"]
    assert table.notes == ["2 rows without a target left out (50% of all)"]
    assert as_table(table) is table
    assert as_table(table, y=[1, 2], target="c").target == "c"


def test_rows_and_columns() -> None:
    table = as_table({"a": [1, 2, 3], "b": ["x", "y", "z"]}, y=[1, 0, 1])
    part = table.rows(np.array([2, 0]))
    assert part.y is not None
    assert (part.columns["b"].tolist(), part.y.tolist()) == (["z", "x"], [1, 1])
    assert table.rows(slice(0, 2)).m == 2
    assert list(table.select(["b"]).columns) == ["b"]
    with pytest.raises(
        DataError, match=r"X lacks 1 column .*: 'B' \(did you mean 'b'\?\)\. It has"
    ):
        table.select(["a", "B"])
    assert Table({}).m == 0


BAD: list[tuple[Any, str]] = [
    (None, r"X is of the type NoneType; expected a DataFrame"),
    ([], r"X is an empty list; expected a DataFrame .* For one row give \[row\]"),
    ([1, 2], r"X is a list of int; expected a DataFrame"),
    (np.zeros(3), r"an array of the shape \(3,\); expected \(m, n\).*For one row pass \[row\]"),
    (np.zeros((2, 2, 2)), r"an array of the shape \(2, 2, 2\); expected \(m, n\)"),
    (np.zeros((2, 2, 2, 3)), r"X is an array of the shape \(2, 2, 2, 3\); .* or images, uint8"),
    ({"a": 1, "b": 2}, r"column 'a' holds 1, a single value; .*one row give \[row\]"),
    ({"a": [1], "b": [1, 2]}, r"differ in length: 'a' has 1, 'b' 2 values\. Expected a value"),
    ({"a": [1], 1: [2], "1": [3]}, r"names of columns must differ; .*'1' \('1' in columns 2, 3\)"),
    ([[1, 2], [3]], r"row 2 has 1 value, most have 2; expected rows of the same length"),
    ({"a": [[1], [2]]}, r"column 'a' holds nested values of the type list; .*Split it"),
    ({"a": [1j]}, r"column 'a' holds values of the type complex; expected numbers, texts"),
    ({"a": [b"x"]}, r"column 'a' holds values of the type bytes"),
    (pl.DataFrame({"a": [[1], [2]]}), "column 'a' holds nested values of the type list"),
    (pl.DataFrame({"a": [{"b": 1}]}), "column 'a' holds nested values of the type dict"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"must differ; .*'a' \('a' in columns 1, 2\)"),
    (pa.table([[1], [2]], names=["a", "a"]), r"must differ; .*'a' \('a' in columns 1, 2\)"),
    (
        {"a": [1.0, np.inf], "b": [-np.inf, 0]},
        r"X: infinite values in 2 columns: 'a' \(1 row: 2\), 'b' \(1 row: 1\)\. Rows are counted",
    ),
    (
        {"a": [1e300, 2, 1e39, -1e39, 1e39]},
        r"beyond 1e\+38, too large to compute with, in 1 column: 'a' \(4 rows: 1, 3, 4, \.\.\.\)",
    ),
    ({"a": [10**400]}, "infinite values in 1 column: 'a'"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_what_is_no_table(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_table(data)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, None, 2, None], r"y is missing in 2 rows: 2, 4 \(counted from 1\)\. Fill it in"),
        ([1, np.nan], r"y is missing in 1 row: 2"),
        ([" ", "a", "NaN"], r"y is missing in 2 rows: 1, 3"),
        (["1/2/2020", "2/2/2020"], r"y holds dates; .* Make a number of it, such as the days"),
        ([1.0, np.inf], r"y: infinite values in 1 column"),
        ([dt.date(2020, 1, 1)], "y holds dates; expected numbers, truth values, or texts"),
        (np.zeros((3, 2)), r"y has the shape \(3, 2\); expected one value for each row"),
        (7, "y is of the type int; expected a value for each row: a Series, a list or an array"),
        ([[1], [2, 3]], "y holds nested values of the type list"),
    ],
)
def test_what_is_no_target(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        labels_of(y)


def test_targets_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="X has 2 rows and y has 3 values; expected one value for"):
        as_table({"a": [1, 2]}, y=[1, 2, 3])
    with pytest.raises(DataError, match=r"X has no column 'Age' \(did you mean 'age'\?\); its"):
        as_table({"age": [1, 2]}, target="Age")
    with pytest.raises(DataError, match=r"the target 'b' is missing in every row\. Choose another"):
        as_table({"a": [1], "b": [None]}, target="b")


def test_plain_data_needs_numpy_alone() -> None:
    code = (
        "import sys\n"
        "from pellucid.tables.frame import as_table\n"
        "from pellucid.tables.preprocess import Preprocessing\n"
        "table = as_table([{'a': 1, 'b': 'x', 'd': '2020-01-01'}, {'a': 2, 'b': 'y'}])\n"
        "Preprocessing.fit(table).transform(table.columns)\n"
        "found = {'narwhals', 'pandas', 'polars', 'pyarrow', 'sklearn'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_texts_that_mean_nothing_elsewhere_are_classes() -> None:
    grades = ["none", "NA", None, "low"] * 25
    for form in ("dict", "list", "pandas", "polars", "pyarrow"):
        table = as_table(FORMS[form]({"a": list(range(100)), "b": grades}), target="b")
        assert table.y is not None
        assert table.y.tolist() == ["none", "NA", "low"] * 25, form
        assert table.notes == [
            "25 rows without a target left out (25% of all)",
            "'NA', 'none' in the target are classes: leave the cells empty where it is unknown",
        ]


@pytest.mark.parametrize("form", ["dict", "list", "pandas", "polars", "pyarrow"])
def test_columns_that_are_not_wanted_are_never_read(form: str) -> None:
    frame = FORMS[form]({"a": [1, 2], "nested": [[1], [2]], "far": [1e300, 1.0], "b": ["x", "y"]})
    for wanted in ({"drop": ["nested", "far"]}, {"only": {"a": 0, "b": 0}}):
        table = as_table(frame, **wanted)  # type: ignore[arg-type]
        assert list(table.columns) == ["a", "nested", "far", "b"]
        assert table.columns["a"].tolist() == [1, 2]
        assert table.columns["b"].tolist() == ["x", "y"]
        assert all(
            np.isnan(table.columns[name]).tolist() == [True] * 2 for name in ("far", "nested")
        )
    assert as_table(frame, drop=["a", "nested", "far", "b"]).m == 2
    chosen = as_table(frame, only=["a"], target="b")
    assert chosen.y is not None
    assert chosen.y.tolist() == ["x", "y"]
    with pytest.raises(DataError, match="nested"):
        as_table(frame)


def test_columns_of_arrays_that_are_not_wanted() -> None:
    table = as_table([[1, [2]], [3, [4]]], only=["1"])
    assert table.columns["1"].tolist() == [1, 3]
    assert np.isnan(table.columns["2"]).all()
    assert as_table({"a": [1, 2], "b": 5}, drop=["b"]).m == 2


IDS = [10**17 + k for k in range(4)]


@pytest.mark.parametrize("form", [*FORMS, "numpy"])
def test_large_whole_numbers_are_never_merged(form: str) -> None:
    if form == "numpy":
        table = as_table({"id": np.array(IDS), "short": np.arange(4)})
    else:
        table = as_table(FORMS[form]({"id": IDS, "short": [0, 1, 2, 3]}))
    assert table.columns["id"].tolist() == list(map(str, IDS))
    assert table.columns["short"].tolist() == [0.0, 1.0, 2.0, 3.0]
    kind = Preprocessing.fit(table, categorical=["id"]).columns["id"]
    assert kind.n_outputs == 4
    assert Preprocessing.fit(table).columns["id"].kind == "number"


def test_large_whole_numbers_with_a_missing_one() -> None:
    values = [10**17, None, 10**17 + 1]
    expected = [str(10**17), None, str(10**17 + 1)]
    for column in (
        values,
        pd.Series(values, dtype="Int64"),
        pl.Series(values),
        pa.chunked_array([values]),
        [decimal.Decimal(10**17), decimal.Decimal("nan"), decimal.Decimal(10**17 + 1)],
    ):
        assert as_table({"x": column}).columns["x"].tolist() == expected
    # These are no whole numbers, or are held by a type that has merged them already.
    for numbers in ([2**53, 0.5], [1e17, 2.0], [decimal.Decimal(2**53), decimal.Decimal("0.5")]):
        assert as_table({"x": numbers}).columns["x"].dtype == np.float64
    assert as_table({"x": [2**53 - 1, 1]}).columns["x"].dtype == np.float64
    mixed = as_table({"x": [2**60 + 1, decimal.Decimal(2**60 + 3), "a"]}).columns["x"]
    assert mixed.tolist() == [str(2**60 + 1), str(2**60 + 3), "a"]


STRANGE = {
    "intervals": (pd.cut([1.0, 4.0, 9.0, np.nan], [0, 5, 10]), "(0, 5]"),
    "periods": (pd.Categorical(pd.period_range("2020-01", periods=3, freq="M")), "2020-01"),
    "uuids": (pd.Categorical([uuid.UUID(int=1), uuid.UUID(int=2)]), str(uuid.UUID(int=1))),
    "fractions": (pd.Categorical([fractions.Fraction(1, 2), fractions.Fraction(1, 3)]), "1/2"),
    "bytes": (pd.Categorical([b"x", b"y"]), "b'x'"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_declared_categories_of_any_type_are_their_texts(name: str) -> None:
    values, first = STRANGE[name]
    table = as_table(pd.DataFrame({"x": values}))
    assert table.columns["x"][0] == first
    assert Preprocessing.fit(table).columns["x"].kind in ("category", "binary")
    plain = pd.DataFrame({"x": pd.Series(list(values), dtype=object)})
    with pytest.raises(
        DataError, match=r"column 'x' holds values of the type \w+; .* Convert them"
    ):
        as_table(plain)


NUMBERS = {
    "floats": pd.DataFrame({"a": [1.5, np.nan, -2.0], "b": [0.0, 3.0, 1e30]}),
    "all kinds": pd.DataFrame(
        {
            **{f"f8 {k}": [0.5, k, np.nan] for k in range(6)},
            "f4": np.array([0.1, np.nan, 3], np.float32),
            "f2": np.array([0.1, 2, 3], np.float16),
            "i1": np.array([-128, 0, 127], np.int8),
            "u8": np.array([0, 1, 2**53 - 1], np.uint64),
            "truth": [True, False, True],
            "text": ["x", " y ", None],
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "object": pd.Series([1, 2.5, None], dtype=object),
            "category": pd.Categorical([3, 1, 3]),
            "moment": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
        }
    ),
    "whole beyond": pd.DataFrame({"n": [np.nan, 1, 2], "id": np.array([1, 2**60 + 1, 5])}),
    "names that are numbers": pd.DataFrame({3: [1.0, 2.0], 7: [4, 5]}),
    "no rows": pd.DataFrame({"a": np.zeros(0), "b": np.zeros(0, int)}),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_are_read_together_are_those_read_one_by_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = NUMBERS[name]
    together = as_table(data)
    some = as_table(data, only=[str(data.columns[-1])])
    monkeypatch.setattr("pellucid.tables.frame.FEW_ROWS", -1)
    for found, expected in (
        (together, as_table(data)),
        (some, as_table(data, only=[str(data.columns[-1])])),
    ):
        assert list(found.columns) == list(expected.columns)
        assert found.categorical == expected.categorical
        for column, wanted in zip(found.columns.values(), expected.columns.values(), strict=True):
            assert column.dtype == wanted.dtype
            np.testing.assert_array_equal(column, wanted)


def test_a_table_keeps_its_numbers_where_the_frame_changes() -> None:
    data = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"])
    table = as_table(data)
    data.iloc[0, 0] = 99
    assert table.columns["a"].tolist() == [0, 2, 4]
