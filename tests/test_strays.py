"""Rows that are no examples: stray cells in a target of numbers, headers within, totals."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import Result

from pellucid import TabularClassifier, TabularRegressor
from pellucid.errors import DataError, DataWarning
from pellucid.tables import Table, as_table, infer_task, read_table
from pellucid.tables.evaluate import as_numbers
from pellucid.tables.read import raw_of
from pellucid.tables.strays import numbers_of, without_headers
from pellucid.tables.totals import find_totals

Run = Callable[..., Result]
Refused = Callable[..., str]
FAST = ("--epochs", "3", "--hidden", "4", "--ensemble", "1")

PRICES = [f"{200_000 + 1_237 * k}" for k in range(60)]


def lines(target: list[str], head: str = "x,z,price") -> str:
    rows = [f"{k % 13},{(k * 7) % 11},{cell}" for k, cell in enumerate(target)]
    return "\n".join([head, *rows])


def read(content: str | bytes, target: str = "price", task: str | None = None, **how: Any) -> Table:
    data = content.encode() if isinstance(content, str) else content
    return raw_of("t.csv", data).table(target, task=task, **how)


def with_cells(cells: dict[int, str], target: list[str] = PRICES) -> list[str]:
    """The target with other cells in some rows, counted from 1."""
    return [cells.get(k + 1, cell) for k, cell in enumerate(target)]


# Stray cells --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        ({17: "#N/A"}, "1 row left out, whose target is not a number: '#N/A' in row 17"),
        ({1: "USD"}, "1 row left out, whose target is not a number: 'USD' in row 1"),
        ({60: "-"}, "1 row left out, whose target is not a number: '-' in row 60"),
        ({9: '"$105,000"'}, "1 row left out, whose target is not a number: '$105,000' in row 9"),
        ({9: "12 (est.)"}, "1 row left out, whose target is not a number: '12 (est.)' in row 9"),
        (
            {9: "inf", 8: "-"},
            "2 rows left out, whose target is not a number: '-' in row 8, 'inf' in",
        ),
        (
            {5: "-", 7: "n/a", 9: "-", 2: ""},
            "3 rows left out, whose target is not a number: '-' in rows 5, 9, 'n/a' in row 7",
        ),
        (
            dict.fromkeys(range(1, 30), "NA") | {40: "#REF!"},
            "30 rows left out, whose target is not a number: '#REF!' in row 40, 'NA' in rows 1, 2, "
            "3 and 26 more",
        ),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_stray_cell_makes_no_classes(cells: dict[int, str], note: str, mark: str) -> None:
    table = read(mark + lines(with_cells(cells)))
    assert table.y is not None
    assert table.y.dtype == np.int64
    assert infer_task("price", table.y)[0] == "regression"
    assert table.notes[-1].startswith(note)
    assert table.kept is not None
    assert table.kept.tolist() == [k for k in range(60) if k + 1 not in cells]
    assert table.y.tolist() == [int(PRICES[k]) for k in table.kept]


def test_commas_in_numbers_beside_a_stray_cell() -> None:
    prices = [f'"{int(cell):,}"' if k % 2 else cell for k, cell in enumerate(PRICES)]
    table = read(lines(with_cells({17: "#N/A"}, prices)))
    assert "commas in 'price' read as thousands" in table.notes
    assert table.y is not None
    assert table.y[:2].tolist() == [200_000, 201_237]
    decimals = [f"{int(cell) / 8}".replace(".", ",") for cell in PRICES]
    text = "\n".join(["x;price", *(f"{k % 7};{c}" for k, c in enumerate(decimals)), "1;#N/A"])
    table = read(text)
    assert table.decimal == ","
    assert table.y is not None
    assert table.y[:2].tolist() == [25_000, 25_154.625]
    assert table.notes[-1].endswith("'#N/A' in row 61")
    few = "\n".join(text.split("\n")[:1] + text.split("\n")[-12:])
    assert read(few).notes[-1].endswith("'#N/A' in row 12")
    inputs = read(text.replace("x;price", "price;z").replace("1;#N/A", "1;-"))
    assert inputs.columns["z"].tolist()[-2:] == ["34122.875", "-"]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (["0", "1"] * 30, {3: "#N/A"}),
        (["0", "1"] * 30, {3: "?"}),
        (["0", "1", "2"] * 4, {3: "-"}),
        (["1", "2", "3", "4"] * 15, {60: "quality"}),
        ([str(k / 2) for k in range(12)], {3: "n.b."}),
        ([str(k / 2) for k in range(12)], {3: "m", 12: "-"}),
    ],
)
def test_rare_texts_are_left_out(values: list[str], kept: dict[int, str]) -> None:
    found = numbers_of(np.array(with_cells(kept, values)))
    assert found is not None
    assert np.isnan(found).sum() == len(kept)


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "3", "4", "5+"] * 12,
        ["1", "2", "3", "4"] * 40 + ["5+"] * 4,
        ["0", "1"] * 40 + ["unknown"] * 3,
        (["1", "2", "3"] * 3 + ["5+"]) * 1,
        ["0", "1", "-"] * 20,
        [str(k / 2) for k in range(30)] + ["n.b."] * 5,
        ["a", "b"] * 20 + ["7"],
        ["1", "2"] * 30,
        [str(2**60 + k % 2) for k in range(40)] + ["-"],
        ["x", "1.5"],
    ],
)
def test_what_are_classes_stays_so(values: list[str]) -> None:
    assert numbers_of(np.array(values)) is None


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        (
            ["1", "2", "3", "unknown"] * 10,
            "4 distinct texts (30 of 40 are numbers, 'unknown' is not): multi-class",
        ),
        (["1", "2"] * 10, "2 distinct texts (20 of 20 are numbers): binary"),
        (["a", "b", "1"] * 10, "3 distinct texts: multi-class"),
    ],
)
def test_the_task_says_that_many_are_numbers(y: list[str], reason: str) -> None:
    assert infer_task("y", np.array(y))[1].startswith(f"'y' holds {reason}")


def test_the_task_that_is_asked_for_decides() -> None:
    one = lines(with_cells({17: "#N/A"}))
    assert read(one, task="regression").notes == read(one).notes
    classes = read(one, task="multiclass")
    assert classes.y is not None
    assert classes.y.dtype.kind == "U"
    assert classes.notes[-1].startswith("'#N/A' in the target is a class: leave the cells empty")
    many = lines(with_cells(dict.fromkeys(range(3, 60, 5), "n.b.")))
    with pytest.raises(
        DataError,
        match=r"t.csv: the target 'price' holds 12 texts that are not numbers: 'n.b.' in rows "
        r"3, 8, 13 and 9 more\. Rows are counted from 1 after the header\. Correct such cells",
    ):
        read(many, task="regression")
    with pytest.raises(DataError, match=r"60 distinct texts, such as 'a0': regression needs"):
        infer_task("y", np.array([f"a{k}" for k in range(60)]), "regression")
    few = lines(["1", "2", "3", "4"] * 14 + ["5+"] * 2)
    assert infer_task("y", np.asarray(read(few).y))[0] == "multiclass"
    assert read(few, task="regression").m == 56


def test_typed_sources_too(tmp_path: Path) -> None:
    target = with_cells({17: "#N/A"})
    frame = pl.DataFrame({"x": [k % 13 for k in range(60)], "price": target})
    frame.write_parquet(tmp_path / "t.parquet")
    for table in (
        read_table(tmp_path / "t.parquet", target="price"),
        as_table(frame, target="price"),
        as_table({"x": list(range(60)), "price": target}, target="price"),
    ):
        assert table.m == 59
        assert table.notes[-1].endswith("'#N/A' in row 17")
    labels = read_table(tmp_path / "t.parquet", target="price", task="multiclass").y
    assert labels is not None
    assert labels.dtype.kind == "U"


def test_a_rare_mark_among_classes_is_pointed_out() -> None:
    labels = ["good", "bad"] * 30
    table = read(lines(with_cells({5: "#N/A", 6: "NA"}, labels)))
    assert table.notes[-1].startswith("'#N/A', 'NA' in the target are classes: leave the cells")
    assert len(read(lines(["+", "-"] * 30)).notes) == 2


# The command line and estimators ------------------------------------------------------------------


def test_training_and_evaluating_with_a_stray_cell(run: Run, refused: Refused) -> None:
    Path("t.csv").write_text(lines(with_cells({17: "#N/A"})))
    said = run("train", "t.csv", "--target", "price", *FAST).stdout
    assert "1 row left out, whose target is not a number: '#N/A' in row 17." in said
    assert "Task: 'price' holds 59 distinct whole numbers: regression." in said
    Path("few.csv").write_text(lines(with_cells({17: "#N/A"}, [str(k % 3) for k in range(60)])))
    for task, rows in (("multiclass", 60), ("regression", 59)):
        asked = ("--target", "price", "--task", task, *FAST, "--json", "--overwrite")
        assert json.loads(run("train", "few.csv", *asked).stdout)["rows"]["all"] == rows
    Path("new.csv").write_text("x,z,price\n1,2,300000\n3,4,-\n5,6,250000")
    said = run("evaluate", "t.pellucid", "new.csv").stdout
    assert "2 rows; " in said
    assert "1 row left out, whose target is not a number: '-' in row 2." in said
    found = json.loads(run("evaluate", "t.pellucid", "new.csv", "--json").stdout)
    assert (found["rows"], found["notes"][-1][:13]) == (2, "1 row left ou")
    Path("no.csv").write_text("x,z,price\n1,2,300000\n3,4,n.b.\n5,6,n.b.\n1,1,5")
    message = refused("evaluate", "t.pellucid", "no.csv")
    assert "holds 2 texts that are not numbers: 'n.b.' in rows 2, 3." in message
    assert run("trace", "t.pellucid", "t.csv", "--row", "18").stdout.startswith("Row 18 of t.csv, ")
    assert "row 17 has no target" in refused("trace", "t.pellucid", "t.csv", "--row", "17")


def test_evaluating_classes_that_are_numbers(run: Run, refused: Refused) -> None:
    Path("t.csv").write_text(lines(["0", "1"] * 30))
    run("train", "t.csv", "--target", "price", *FAST, "-q")
    Path("new.csv").write_text(lines(with_cells({4: "#N/A"}, ["0", "1", "1"] * 10)))
    assert "'#N/A' in row 4" in run("evaluate", "t.pellucid", "new.csv").stdout
    Path("no.csv").write_text(lines(["0", "1", "maybe"] * 10))
    message = refused("evaluate", "t.pellucid", "no.csv")
    assert "holds 'maybe', which is not among the classes 0, 1" in message


def test_many_classes_without_a_warning_of_another_library(run: Run) -> None:
    Path("t.csv").write_text(lines([str(k * 7 % 36) for k in range(60)]))
    run("train", "t.csv", "--target", "price", "--task", "multiclass", *FAST, "-q")


def test_estimators_and_texts_that_write_numbers() -> None:
    X = {"x": [k % 13 for k in range(60)]}
    y = [f"{k % 7}.5" for k in range(60)]
    reg = TabularRegressor((4,), epochs=2, ensemble=1).fit(X, y)
    numbers = TabularRegressor((4,), epochs=2, ensemble=1).fit(X, [float(each) for each in y])
    assert np.array_equal(reg.predict(X), numbers.predict(X))
    assert list(reg.feature_importances(X, y)) == ["x"]
    y[16] = "12 (est.)"
    message = (
        r"y holds 1 text that is not a number: '12 \(est\.\)' in row 17\. Rows are counted from 1"
    )
    for target in (y, [each if each == y[16] else float(each) for each in y]):
        with pytest.raises(DataError, match=message):
            TabularRegressor((4,), epochs=2).fit(X, target)
    with pytest.raises(DataError, match=message):
        reg.feature_importances(X, y)
    with pytest.raises(DataError, match="y holds texts, such as 'a'; the model predicts numbers"):
        as_numbers(np.array(["a", "b"]), "y")


def test_a_classifier_takes_texts_as_they_stand_and_says_so() -> None:
    X = {"x": [k % 13 for k in range(60)]}
    clf = TabularClassifier((4,), epochs=2, ensemble=1)
    labels = ["0", "1"] * 30
    assert clf.fit(X, labels).classes_.tolist() == ["0", "1"]
    labels[16] = "#N/A"
    with pytest.warns(DataWarning, match=r"y holds numbers, except '#N/A' in row 17 \(counted"):
        clf.fit(X, labels)
    assert clf.classes_.tolist() == ["#N/A", "0", "1"]
    clf.fit(X, ["1", "2", "3", "4", "5+"] * 12)  # warnings are errors here


# Headers within -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [PRICES, ["good", "bad"] * 30, ["0", "1"] * 30])
def test_a_header_that_stands_once_more(target: list[str]) -> None:
    text = lines(target).split("\n")
    table = read("\n".join([*text[:31], text[0], *text[31:], text[0]]))
    plain = read("\n".join(text))
    assert table.y is not None
    assert plain.y is not None
    assert (table.y.dtype, table.y.tolist()) == (plain.y.dtype, plain.y.tolist())
    assert table.notes[-1] == "the header is repeated in rows 31, 62: left out"
    assert table.kept is not None
    assert table.kept[30] == 31


def test_a_long_cell_beside_a_second_header_takes_its_own_room_alone() -> None:
    x = np.array(["1", "x", *"2" * 98], dtype=object)
    y = np.array(["1", "y", "z" * 2_000_000, *"2" * 97], dtype=object)
    tracemalloc.start()
    without_headers(Table({"x": x, "y": y}), "y")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


def test_what_is_no_header_stays() -> None:
    assert read(lines(["price", "other"] * 30)).m == 60
    table = as_table({"a": ["a", "b"] * 10, "b": ["b", "a"] * 10, "7": [7.0] * 20}, target="b")
    assert table.m == 10
    days = np.array(["2020-01-01"] * 20, dtype="datetime64[us]")
    assert as_table({"a": ["a", "b"] * 10, "day": days}, target="a").m == 20


# Totals -------------------------------------------------------------------------------------------


def report(*last: str, m: int = 24) -> str:
    rows = [f"r{k % 8},{k * 3 % 17},{100.5 + k * 7 % 31}" for k in range(m)]
    return "\n".join(["region,units,price", *rows, *last])


def sums(m: int = 24) -> tuple[int, float]:
    return sum(k * 3 % 17 for k in range(m)), sum(100.5 + k * 7 % 31 for k in range(m))


UNITS, PRICE = sums()
OUT = "left out, as it sums up others ({}; another name there keeps it)"
THEY = "left out, as they sum up others ({}; another name there keeps them)"
MAY = "may sum up others ({}): if so, delete it"


@pytest.mark.parametrize(
    ("last", "rows", "note"),
    [
        ([f"Total,{UNITS},{PRICE}"], 24, "row 25 " + OUT.format("'Total' in 'region'")),
        ([f"TOTAL 2023:,,{PRICE}"], 24, "row 25 " + OUT.format("'TOTAL 2023:' in 'region'")),
        ([f"Sum of all,,{PRICE}"], 24, "row 25 " + OUT.format("'Sum of all' in 'region'")),
        ([f"Summe,{UNITS},{PRICE}"], 24, "row 25 " + OUT.format("'Summe' in 'region'")),
        (
            [f"Total,{UNITS},{PRICE}", f"Average,{UNITS / 24:.1f},{PRICE / 24:.2f}"],
            24,
            "rows 25, 26 " + THEY.format("'Total' in 'region', 'Average' in 'region'"),
        ),
        (
            [f"Total,{UNITS},{PRICE}", "Maximum,16,130.5"],
            25,
            [
                "row 25 " + OUT.format("'Total' in 'region'"),
                "row 26 " + MAY.format("'Maximum' in 'region'"),
            ],
        ),
        (["Total,3,99.5"], 25, "row 25 " + MAY.format("'Total' in 'region'")),
        ([f"Total,7,{PRICE}"], 25, "row 25 " + MAY.format("'Total' in 'region'")),
        (
            [f",{UNITS},{PRICE}"],
            25,
            "row 25 " + MAY.format("in 'units', 'price' it is the sum of all others"),
        ),
        ([f"r3,5,{PRICE}"], 25, "row 25 " + MAY.format("in 'price' it is the sum of all others")),
        (["Total,,"], 24, "1 row without a target left out"),
        (["Total Wine,4,110"], 25, []),
        (["r1,4,110"], 25, []),
    ],
)
def test_totals_at_the_end(last: list[str], rows: int, note: str | list[str]) -> None:
    table = read(report(*last))
    assert table.m == rows
    assert table.notes[2:] == ([note] if isinstance(note, str) else note)


def test_subtotals_between_are_pointed_out() -> None:
    first, second = (sum(100.5 + k * 7 % 31 for k in range(*of)) for of in ((0, 12), (12, 24)))
    text = report(f"South total,,{second}", f"Grand total,,{PRICE}").split("\n")
    text.insert(13, f"North total,,{first}")
    table = read("\n".join(text))
    assert table.notes[2:] == [
        "rows 26, 27 " + THEY.format("'South total' in 'region', 'Grand total' in 'region'"),
        "row 13 " + MAY.format("'North total' in 'region'"),
    ]
    assert table.m == 25


def test_categories_called_total_stay() -> None:
    kinds = ["total", "partial", "total"] * 20
    y = np.arange(60) * 3 % 17 + 0.5
    column = np.array(kinds, dtype=object)
    assert find_totals(Table({"loss": column}, y, "y")) == []
    once = np.array(["part"] * 30 + ["total"] + ["part"] * 29, dtype=object)
    assert find_totals(Table({"loss": once}, y, "y")) == []
    counts = np.array([0, 0, 1, 0, 0, 1])  # the last is the sum of the others
    assert find_totals(Table({"x": np.arange(6.0)}, counts, "y")) == []


def test_the_column_that_names_the_total_need_not_be_used(run: Run) -> None:
    text = report(f"Total,{UNITS},{PRICE}")
    for how in ({"drop": ["region"]}, {"columns": ["units"]}):
        table = read(text, **how)
        assert table.m == 24
        assert "row 25 " + OUT.format("'Total' in 'region'") in table.notes
    Path("t.csv").write_text(text)
    run("train", "t.csv", "--target", "price", "--drop", "region", *FAST, "-q")
    assert "row 25 left out, as it sums up others" in run("evaluate", "t.pellucid", "t.csv").stdout
    predicted = run("predict", "t.pellucid", "t.csv")
    assert len(predicted.stdout.splitlines()) == 26  # a prediction for each row that is there
    assert "row 25 " + MAY.format("'Total' in 'region'") in predicted.stderr.replace("\n", " ")


def test_estimators_keep_a_total_and_say_so() -> None:
    X = {"region": [f"r{k % 8}" for k in range(24)], "units": [k * 3 % 17 for k in range(24)]}
    X = {"region": [*X["region"], "Total"], "units": [*X["units"], UNITS]}
    with pytest.warns(
        DataWarning, match="X: row 25 " + re.escape(MAY.format("'Total' in 'region'"))
    ):
        reg = TabularRegressor((4,), epochs=1, ensemble=1).fit(X, [*range(24), sum(range(24))])
    assert reg.model_.data["rows"] == 25


def test_a_total_among_classes() -> None:
    rows = [f"{k * 3 % 17},{'ab'[k % 2]}" for k in range(24)]
    table = read("\n".join(["units,kind", *rows, f"{UNITS},Total"]), "kind")
    assert table.notes[2:] == ["row 25 " + OUT.format("'Total' in 'kind'")]
    assert table.y is not None
    assert set(table.y) == {"a", "b"}
