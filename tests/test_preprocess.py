"""What a table becomes before a network sees it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid.errors import DataError
from pellucid.tables.dates import DateFormat, find_format, parse_dates
from pellucid.tables.frame import as_table
from pellucid.tables.kinds import KINDS, MOST_CATEGORIES, Kind, infer_kind
from pellucid.tables.preprocess import Preprocessing
from pellucid.tables.table import Table
from pellucid.tables.values import text_of


def fit(values: Any, **settings: Any) -> Preprocessing:
    """The preprocessing of a table with one column, "x"."""
    return Preprocessing.fit(as_table({"x": values}), **settings)


def outputs(preprocessing: Preprocessing, values: Any) -> list[list[float]]:
    Z = preprocessing.transform(as_table({"x": values}).columns)
    return Z.astype(np.float64).round(4).tolist()


def texts(*values: str | None) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


# Kinds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.5, 3.5], "number"),
        ([1.5, 2.5, None, 1.5], "number"),
        ([1, 2, None, 1], "binary"),
        ([True, False], "binary"),
        ([7, 7, 7], "number"),
        (["a", "b", "a"], "binary"),
        (["a", "b", "c"], "category"),
        (["a", None, "a"], "category"),
        (["1", "2", "3"], "number"),
        (["0", "1", "1"], "binary"),
        (["0", "1", "1"] * 20 + ["unknown"], "number"),
        ([*map(str, range(19)), "x"], "number"),
        ([*map(str, range(18)), "x", "y"], "category"),
        (["1_0", "2_0", "3_0"], "category"),
        ([dt.date(2020, 1, 1)], "date"),
        (["2020-01-01", "2020-01-02"], "date"),
        ([None, None], "category"),
        (np.zeros((2, 4, 4, 3), dtype=np.uint8), "image"),
    ],
)
def test_the_kind_of_a_column(values: Any, kind: str) -> None:
    assert fit(values).columns["x"].kind == kind


def test_declared_categories_are_categories() -> None:
    assert infer_kind(np.array([1.0, 2.0, 3.0]), categorical=True) == "category"
    assert infer_kind(texts("1", "2", "3"), categorical=True) == "category"
    assert infer_kind(np.array([1.0, 2.0]), categorical=True) == "binary"
    preprocessing = fit([94107.0, 94107.0, 10001.0, 2134.5], categorical=["x", "elsewhere"])
    assert preprocessing.output_names == ["x = 94107", "x = 10001", "x = 2134.5"]
    for same in (94107, "94107", "94107.0"):
        assert outputs(preprocessing, [same, "y"])[0] == [1, 0, 0]


# Numbers ------------------------------------------------------------------------------------------


def test_numbers_by_median_and_quartiles() -> None:
    preprocessing = fit([1.0, 2.0, 3.0, 4.0, 5.0, None])
    # z = (5 - 3) / (4 - 2) = 1, and 1 / √(1 + 1/9) = 0.9487
    assert outputs(preprocessing, [3, 5, None]) == [[0, 0], [0.9487, 0], [0, 1]]
    assert preprocessing.describe() == [
        {"name": "x", "kind": "number", "missing": 1, "outputs": 2, "detail": "median 3, IQR 2"}
    ]


def test_numbers_whose_quartiles_coincide() -> None:
    mostly_zero = fit([0.0] * 9 + [8.0, 4.0])
    assert outputs(mostly_zero, [0, 4]) == [[0], [0.9487]]
    constant = fit([7.0, 7.0])
    assert outputs(constant, [7, 8, None]) == [[0], [0], [0]]
    assert constant.describe()[0]["detail"] == "constant 7"
    assert outputs(fit([3.0, 3.0]), [1e38]) == [[0]]
    assert fit([-0.054813249]).describe()[0]["detail"] == "constant -0.05481"
    assert fit([1234567, 1234569.5]).columns["x"].detail() == "median 1.235e+06, IQR 1.25"


def test_missing_where_training_had_none_is_the_median() -> None:
    assert outputs(fit([1.0, 2.0, 4.0]), [None, 2.0]) == [[0], [0]]


def test_numbers_written_as_texts() -> None:
    preprocessing = fit([*map(str, range(1, 40)), "unknown", None])
    assert preprocessing.columns["x"].missing == 2
    assert preprocessing.output_names == ["x", "x is missing"]
    assert outputs(preprocessing, ["20", 20.0, "other"]) == [[0, 0], [0, 0], [0, 1]]
    with pytest.raises(DataError, match=r"X: column 'x' holds texts that are not numbers, such as"):
        outputs(preprocessing, ["a"] * 10)
    assert outputs(fit([1.0, 2.0, 3.0]), [" 2 ", "2e0"]) == [[0], [0]]


@pytest.mark.filterwarnings("error")
def test_infinite_texts_are_refused_in_training() -> None:
    with pytest.raises(DataError, match="X: column 'x' holds inf in row 2: infinite, or beyond"):
        fit(["1", "inf", "2"])
    with pytest.raises(DataError, match="X: column 'x' holds -inf in row 1"):
        fit(["-inf", "1"])


def test_minus_signs_of_typographers() -> None:
    preprocessing = fit(["\N{MINUS SIGN}2", "1", "4"])
    assert outputs(preprocessing, ["\N{MINUS SIGN}2", -2, "-2"]) == [[-0.9487]] * 3


def test_categories_of_large_whole_numbers_are_told_apart() -> None:
    ids = [10**17 + k for k in range(3)]
    preprocessing = fit(ids, categorical=["x"])
    assert outputs(preprocessing, ids) == np.eye(3).tolist()
    assert outputs(preprocessing, [str(ids[1]), None]) == [[0, 1, 0], [0, 0, 0]]
    numbers = fit([2**60, 2**61, 2**62])
    assert numbers.columns["x"].kind == "number"
    assert outputs(numbers, [2**61]) == outputs(numbers, [2.0**61]) == [[0]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["1", "abc"],
            r"X: column 'x' holds texts that are not numbers, such as 'abc' in row 2; expected "
            r"numbers, as in training\. Correct such values, or leave them empty",
        ),
        ([dt.date(2020, 1, 2)], r"X: column 'x' holds dates, such as '2020-01-02' in row 1; exp"),
        (["1e300", "1"], r"X: column 'x' holds 1e300 in row 1: infinite, or beyond 1e\+38 and too"),
        (["inf", "1"], r"X: column 'x' holds inf in row 1: infinite, or beyond 1e\+38 and too la"),
        (np.zeros((1, 2, 2, 3), dtype=np.uint8), r"holds arrays of the shape \(2, 2, 3\); expect"),
    ],
)
def test_numbers_of_another_type(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        outputs(fit([1.0, 2.0, 3.0]), values)


def test_infinities_that_come_past_as_table() -> None:
    preprocessing = fit([1.0, 2.0, 3.0])
    with pytest.raises(DataError, match=r"'x' holds inf in row 2: infinite"):
        preprocessing.transform({"x": np.array([1.0, np.inf])})


finite = st.floats(-1e38, 1e38)


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=finite | st.just(np.nan)), st.data())
def test_numbers_stay_within_three(column: np.ndarray, data: st.DataObject) -> None:
    preprocessing = Preprocessing.fit(Table({"x": column}))
    new = data.draw(hnp.arrays(np.float64, 5, elements=finite | st.just(np.nan)))
    for values in (column, new):
        Z = preprocessing.transform({"x": values})
        assert Z.shape == (len(values), preprocessing.n_outputs)
        assert Z.dtype == np.float32
        assert Z.flags.c_contiguous
        assert np.isfinite(Z).all()
        assert (np.abs(Z) <= 3).all()


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=finite))
def test_all_numbers_at_once_as_one_by_one(X: np.ndarray) -> None:
    table = as_table(X)
    preprocessing = Preprocessing.fit(table)
    Z, k = preprocessing.transform(table.columns), 0
    for name, kind in preprocessing.columns.items():
        alone = np.zeros((len(X), kind.n_outputs), dtype=np.float32)
        kind.write(table.columns[name], alone, "")
        assert np.array_equal(Z[:, k : k + kind.n_outputs], alone)
        k += kind.n_outputs


# Two values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("training", "rows"),
    [
        ([True, False], [False, 0, 0.0, "0", "False", "false", "no"]),
        ([0, 1], [False, 0, "0", "0.0", "FALSE", "No"]),
        (["yes", "no"], ["no", " no ", "No", 0, False]),
        (["True", "False"], ["False", "false", 0, False]),
        (["on", "off"], ["off", "OFF"]),
        (["b", "a"], ["a"]),
        ([10, 9], [9, "9", "9.0"]),
        (["0", "1"], ["0", 0, False]),
        (["0.0", "1.0"], ["0", 0, 0.0, "0.0"]),
        (["YES", "no"], ["no", "No", False]),
        (["NO", "Yes"], ["no", "NO", "0"]),
    ],
)
def test_the_same_value_in_another_form(training: list[Any], rows: list[Any]) -> None:
    preprocessing = fit(training)
    assert preprocessing.n_outputs == 1
    for value in rows:
        assert outputs(preprocessing, [value]) == [[-1]], value
        assert outputs(preprocessing, [value, None]) == [[-1], [0]], value


def test_two_values() -> None:
    preprocessing = fit(["f", "m", None, "f"])
    assert preprocessing.output_names == ["x = m"]
    assert outputs(preprocessing, ["f", "m", None, "x", "M"]) == [[-1], [1], [0], [0], [0]]
    assert preprocessing.describe()[0]["detail"] == "f is -1, m is +1"
    assert outputs(fit([1, 2]), [2, 1, 9]) == [[1], [-1], [0]]
    with pytest.raises(DataError, match=r"'x' holds the text 'abc'; expected numbers, .* 1 and 2"):
        outputs(fit([1, 2]), ["abc"])
    with pytest.raises(DataError, match=r"holds arrays of the shape \(2, 2, 3\); expected one of"):
        outputs(fit([1, 2]), np.zeros((1, 2, 2, 3), dtype=np.uint8))


# Categories ---------------------------------------------------------------------------------------


def test_categories() -> None:
    preprocessing = fit(["b", "a", "b", "c", None])
    assert preprocessing.output_names == ["x = b", "x = a", "x = c", "x is missing"]
    assert preprocessing.output_columns == ["x"] * 4
    assert outputs(preprocessing, ["a", None, "new"]) == [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert preprocessing.describe()[0]["detail"] == "3 categories: b, a, c"
    assert outputs(fit(["a", "b", "c"]), [None, "b"]) == [[0, 0, 0], [0, 1, 0]]
    with pytest.raises(DataError, match=r"holds arrays of the shape \(2, 2, 3\); expected categor"):
        outputs(preprocessing, np.zeros((1, 2, 2, 3), dtype=np.uint8))


def test_rare_categories_share_the_rest_bin() -> None:
    values = [f"c{k}" for k in range(40) for _ in range(40 - k)]
    preprocessing = fit([*values, None])
    assert preprocessing.n_outputs == MOST_CATEGORIES + 2
    assert preprocessing.output_names[-3:] == ["x = c31", "x: any other", "x is missing"]
    for value, place in (("c0", 0), ("c31", 31), ("c32", 32), ("new", 32), (None, 33), (5, 32)):
        row = outputs(preprocessing, [value, "c1"])[0]
        assert row.index(1) == place
        assert sum(row) == 1
    detail = "40 categories: c0, c1, c2, c3, c4 and 27 more; 8 rare ones share one output"
    assert preprocessing.describe()[0]["detail"] == detail


def test_a_column_without_values_takes_anything_later() -> None:
    preprocessing = fit([None, None])
    assert preprocessing.output_names == ["x is missing"]
    for values in (["a"], [1.0], [dt.date(2020, 1, 1)]):
        assert outputs(preprocessing, values) == [[0]]
    assert outputs(preprocessing, [None]) == [[1]]


# Dates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "name", "first"),
    [
        (["2020-12-31", "2020-01-02"], "year-month-day", "2020-12-31"),
        (["2020-12-31T10:20:30.5", "2020-01-02 08:00"], "year-month-day", "2020-12-31T10:20:30.5"),
        (["2020-12-31T10:20:30Z", "2020-1-2"], "year-month-day", "2020-12-31T10:20:30"),
        (["2020-12-31 01:00+02:00", "2020/01/02"], "year-month-day", "2020-12-30T23:00"),
        (["31/12/2020", "1/2/2020"], "day/month/year", "2020-12-31"),
        (["31.12.20 5:06", "1.2.1999"], "day/month/year", "2020-12-31T05:06"),
        (["31-12-2020", "01-02-2020"], "day/month/year", "2020-12-31"),
        (["12/31/2020 1:05 PM", "1/2/2020"], "month/day/year", "2020-12-31T13:05"),
        (["12/31/70 12:05 am", "1/2/2020"], "month/day/year", "1970-12-31T00:05"),
        (["12/31/69", "1/2/68"], "month/day/year", "1969-12-31"),
        (["12/31/68", "1/2/69"], "month/day/year", "2068-12-31"),
        (["12/31/50", "1/2/00"], "month/day/year", "2050-12-31"),
        (["31 Dec 2020", "2-may-2020"], "day month-name year", "2020-12-31"),
        (["December 31, 2020", "Sep 2nd 2020"], "month-name day, year", "2020-12-31"),
    ],
)
def test_formats_of_dates(values: list[str], name: str, first: str) -> None:
    found = find_format(texts(*values, None))
    assert found == DateFormat(name)
    dates = parse_dates(name, texts(*values, None))
    assert dates[0] == np.datetime64(first)
    assert not np.isnat(dates[1])
    assert np.isnat(dates[2])


@pytest.mark.parametrize(
    "values",
    [
        ["1.2.3", "1.10.0"],
        ["5-6-07", "6-7-08"],
        ["2020-13-01", "2020-01-32"],
        ["31/31/2020", "32/1/2020"],
        ["2020-01-01 25:00", "2020-01-01 13:00 pm"],
        ["2020-02-30", "2021-02-29"],
        ["0000-01-01", "x"],
        ["10:30", "11:00"],
        ["2020", "2021x"],
        ["1/2-2020", "3.4/2020"],
        ["2020-01-01", "x", "y"],
        ["٢٠٢٠-٠١-٠١", "x"],
    ],
)
def test_what_is_no_date(values: list[str]) -> None:
    assert find_format(texts(*values)) is None


def test_dates_that_may_be_read_in_two_ways() -> None:
    rising = texts("1/2/2020", "2/2/2020", "1/3/2020")
    assert find_format(rising) == DateFormat("day/month/year", "month/day/year")
    assert find_format(rising[::-1]) == DateFormat("month/day/year", "day/month/year")
    points = texts("3.2.2020", "2.3.2020", "1.4.2020", "1.1.2020")
    assert find_format(points) == DateFormat("day/month/year", "month/day/year")
    preprocessing = fit(rising.tolist())
    assert preprocessing.notes == [
        "the dates in 'x' are read as day/month/year; month/day/year fits too. If that is wrong, "
        "write them as 2020-12-31."
    ]
    assert "written day/month/year, which month/day/year would fit too" in str(
        preprocessing.describe()
    )
    assert find_format(texts("1/2/2020", "13/2/2020")) == DateFormat("day/month/year")


def test_dates_become_time_month_weekday_and_hour() -> None:
    monday = dt.datetime(2024, 1, 1, 9)
    preprocessing = fit([monday, monday + dt.timedelta(days=32, hours=5), None])
    assert preprocessing.output_names == [
        *("x: time", "x: month 1", "x: month 2", "x: weekday 1", "x: weekday 5"),
        *("x: hour 9", "x: hour 14", "x is missing"),
    ]
    Z = outputs(preprocessing, [monday, None, dt.datetime(2024, 3, 5)])
    assert Z[0][1:] == [1, 0, 1, 0, 1, 0, 0]
    assert Z[1] == [0, 0, 0, 0, 0, 0, 0, 1]
    assert Z[2][1:] == [0] * 7
    assert preprocessing.describe()[0]["detail"] == "around 2024-01-17, with month, weekday, hour"
    weekly = fit([monday + dt.timedelta(weeks=k) for k in range(3)])
    assert weekly.output_names == ["x: time"]
    assert fit([monday, monday]).describe()[0]["detail"] == "around 2024-01-01"


def test_dates_as_texts_and_as_dates_are_the_same() -> None:
    days = [dt.date(2020, 1, 31) + dt.timedelta(days=17 * k) for k in range(20)]
    as_dates = fit(days)
    as_texts = fit([day.strftime("%d/%m/%Y") for day in days])
    expected = outputs(as_dates, days)
    assert outputs(as_texts, days) == expected
    assert outputs(as_texts, [day.strftime("%d/%m/%Y") for day in days]) == expected
    assert outputs(as_texts, [day.isoformat() for day in days]) == expected
    assert outputs(as_dates, [day.isoformat() for day in days]) == expected
    assert outputs(as_texts, ["31/01/2020", "soon"])[1] == [0] * as_texts.n_outputs


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["soon"], r"'x' holds texts that are not dates, such as 'soon' in row 1; expected dates"),
        ([7.0], r"X: column 'x' holds numbers, such as '7' in row 1; expected dates, as in train"),
    ],
)
def test_dates_of_another_type(values: Any, message: str) -> None:
    preprocessing = fit([dt.date(2020, 1, 1), dt.date(2020, 2, 1)])
    with pytest.raises(DataError, match=message):
        outputs(preprocessing, values)


# Images -------------------------------------------------------------------------------------------


def test_images_as_in_the_lectures() -> None:
    images = np.arange(2 * 64 * 64 * 3, dtype=np.uint8).reshape(2, 64, 64, 3)
    table = as_table(images)
    preprocessing = Preprocessing.fit(table)
    Z = preprocessing.transform(table.columns)
    assert Z.shape == (2, 12288)
    np.testing.assert_array_equal(Z, images.reshape(2, -1) / np.float32(255))
    assert preprocessing.output_names[64 * 3 + 1] == "image: row 2, column 1, green"
    assert (
        preprocessing.to_dict()["columns"][0]["order"] == "row, column, channel (red, green, blue)"
    )
    with pytest.raises(DataError, match=r"holds 8x8x3; expected images of 64 x 64 pixels in 3"):
        preprocessing.transform(as_table(np.zeros((1, 8, 8, 3), dtype=np.uint8)).columns)
    with pytest.raises(DataError, match=r"column 'image' holds no images; expected images"):
        preprocessing.transform({"image": np.zeros(3)})


# Whole tables -------------------------------------------------------------------------------------


def test_columns_are_found_by_name() -> None:
    table = as_table({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]})
    preprocessing = Preprocessing.fit(table)
    swapped = {"b": table.columns["b"], "more": np.zeros(3), "a": table.columns["a"]}
    assert np.array_equal(preprocessing.transform(swapped), preprocessing.transform(table.columns))
    with pytest.raises(DataError, match=r"new\.csv lacks 1 column .*: 'a' \(did you mean 'A'\?\)"):
        preprocessing.transform({"b": table.columns["b"], "A": np.zeros(3)}, "new.csv")
    with pytest.raises(DataError, match="X has no rows; there is nothing to fit"):
        Preprocessing.fit(table.rows([]))
    with pytest.raises(DataError, match="X has no columns"):
        Preprocessing.fit(table.select([]))


def test_no_rows_at_prediction() -> None:
    table = as_table({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"], "c": ["2020-01-01"] * 3})
    preprocessing = Preprocessing.fit(table)
    assert preprocessing.transform(table.rows(slice(0, 0)).columns).shape == (0, 5)


def test_very_wide_and_very_long_names() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3000))
    table = as_table({"n" * 5000 + str(k): X[:, k] for k in range(3000)})
    preprocessing = Preprocessing.fit(table)
    assert preprocessing.transform(table.columns).shape == (20, 3000)
    with pytest.raises(DataError, match="lacks 2,999 columns that the model was trained with"):
        preprocessing.transform(table.select(list(table.columns)[:1]).columns)


def test_one_row_and_rows_that_are_there_twice() -> None:
    one = as_table([{"a": 1.5, "b": "x", "c": "2020-01-01", "d": None}])
    preprocessing = Preprocessing.fit(one)
    assert np.isfinite(preprocessing.transform(one.columns)).all()
    twice = one.rows([0, 0, 0])
    assert Preprocessing.fit(twice).output_names == preprocessing.output_names


cells = {
    "number": st.floats(-1e30, 1e30),
    "binary": st.sampled_from(["ja", "nein"]),
    "category": st.text(st.characters(codec="utf-8"), max_size=6),
    "date": st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)),
}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """A table to fit on and one to predict, with values that the first has not."""
    kinds = draw(st.lists(st.sampled_from(sorted(cells)), min_size=1, max_size=4))
    m, new = draw(st.integers(1, 15)), draw(st.integers(1, 4))
    tables = []
    for rows in (m, new):
        columns = {}
        for k, kind in enumerate(kinds):
            cell = st.none() | cells[kind]
            columns[f"{kind} {k} \N{GREEK SMALL LETTER ALPHA}"] = draw(
                st.lists(cell, min_size=rows, max_size=rows)
            )
        tables.append(columns)
    return tables[0], tables[1]


@given(pairs())
def test_any_table(pair: tuple[dict[str, list[Any]], dict[str, list[Any]]]) -> None:
    table, new = map(as_table, pair)
    preprocessing = Preprocessing.fit(table)
    assert len(preprocessing.output_names) == preprocessing.n_outputs
    assert len(preprocessing.output_columns) == preprocessing.n_outputs
    again = Preprocessing.from_dict(
        json.loads(json.dumps(preprocessing.to_dict(), allow_nan=False))
    )
    assert again == preprocessing
    assert again.describe() == preprocessing.describe()
    Z = preprocessing.transform(table.columns)
    assert again.transform(table.columns).tobytes() == Z.tobytes()
    assert np.isfinite(Z).all()
    row = len(Z) // 2
    assert preprocessing.transform(table.rows([row]).columns).tobytes() == Z[row].tobytes()
    kinds = [kind.kind for kind in preprocessing.columns.values()]
    if [infer_kind(column) for column in new.columns.values()] == kinds:
        assert np.isfinite(preprocessing.transform(new.columns)).all()


# Plain data ---------------------------------------------------------------------------------------

EXAMPLES: dict[str, Any] = {
    "number": [1.0, 2.0, None],
    "binary": ["a", "b"],
    "category": ["a", "b", "c", None],
    "date": ["31.12.2020", "1.2.2020", "1.2.2020 5:00", None],
    "image": np.zeros((2, 3, 4, 3), dtype=np.uint8),
}


def test_there_is_an_example_of_every_kind() -> None:
    assert list(EXAMPLES) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_through_json(kind: str) -> None:
    table = as_table({"x": EXAMPLES[kind]})
    preprocessing = Preprocessing.fit(table)
    if kind == "number":
        preprocessing = Preprocessing.fit(as_table({"x": [1.0, 2.0, 3.0, None]}))
    assert preprocessing.columns["x"].kind == kind
    data = json.loads(json.dumps(preprocessing.to_dict(), allow_nan=False))
    again = Preprocessing.from_dict(data)
    assert again == preprocessing
    assert again.to_dict() == preprocessing.to_dict()


def damaged(kind: str) -> Kind:
    values = [1.0, 2.0, 3.0] if kind == "number" else EXAMPLES[kind]
    return Preprocessing.fit(as_table({"x": values})).columns["x"]


@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        ("number", "missing", -1, "'missing' must count rows"),
        ("number", "missing", True, "'missing' must count rows"),
        ("number", "median", "1", "'median' and 'scale' must be finite numbers"),
        ("number", "median", float("nan"), "'median' and 'scale' must be finite numbers"),
        ("number", "median", 10**400, "'median' and 'scale' must be finite numbers"),
        ("number", "scale", -1.0, "'scale' not negative"),
        ("number", "from_text", 1, "'from_text' must be true or false"),
        ("number", "more", 1, r"column 'x': expected missing, median, scale, from_text; got"),
        ("binary", "values", ["a"], "'values' must be two different texts"),
        ("binary", "values", ["a", "a"], "'values' must be two different texts"),
        ("binary", "from_numbers", None, "'from_numbers' must be true or false"),
        ("category", "categories", ["a", 1], "'categories' must be at most 32 different texts"),
        ("category", "categories", ["a"] * 2, "'categories' must be at most 32 different texts"),
        ("category", "categories", [*map(str, range(33))], "'categories' must be at most 32"),
        ("category", "others", 0.5, "'others' must count categories"),
        ("category", "from_numbers", "no", "'from_numbers' must be true or false"),
        ("date", "scale", float("inf"), "'median' and 'scale' must be finite numbers"),
        ("date", "median", 1e300, "'median' must be a time that a date can have"),
        ("date", "month", [0, 1], "'month' must list months in order"),
        ("date", "weekday", [2, 1], "'weekday' must list weekdays in order"),
        ("date", "hour", {"1": 2}, "'hour' must list hours in order"),
        ("date", "format", "stars", "there is no format of dates 'stars'"),
        ("image", "height", 0, "'height' and 'width' must be whole numbers of 1 or more"),
        ("image", "width", 10**9, "'height' and 'width' must be whole numbers of 1 or more"),
        ("image", "order", "column first", "'order' must be 'row, column, channel"),
    ],
)
def test_damaged_data_is_refused(kind: str, field: str, value: Any, message: str) -> None:
    data = {"name": "x", **damaged(kind).to_dict(), field: value}
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict({"columns": [data]})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "the preprocessing must list its columns"),
        ({"columns": []}, "the preprocessing must list its columns"),
        ({"columns": [1]}, "column 1 has no name"),
        ({"columns": [{"name": "x"}]}, "column 'x': unknown kind None; known are number, binary"),
        (
            {"columns": [{"name": "x", "kind": "nunber"}]},
            r"column 'x': unknown kind 'nunber' \(did you mean 'number'\?\)",
        ),
        ({"columns": [{"name": "x", "kind": "number"}]}, "column 'x': expected missing, median"),
        (
            {"columns": [{"name": "x", **damaged("number").to_dict()}] * 2},
            "column 2: the name 'x' is used twice",
        ),
    ],
)
def test_damaged_preprocessing_is_refused(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict(data)


def test_texts_of_values() -> None:
    pairs = [(3, "3"), (-0.0, "0"), (1e20, "1e+20"), (np.float64(2.5), "2.5"), (np.True_, "true")]
    for value, text in [*pairs, (np.datetime64("2020-01-01T05:00"), "2020-01-01T05:00:00")]:
        assert text_of(value) == text
    assert text_of(float("nan")) is None
    assert text_of(np.datetime64("NaT", "us")) is None
