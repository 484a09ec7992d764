"""Columns that a network should not learn from are found, and no others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import datasets

from pellucid.errors import DataError
from pellucid.tables.frame import as_table
from pellucid.tables.screen import DROPPED, Screening, screen
from pellucid.tables.settings import TrainSettings
from pellucid.tables.table import Table

M = 400


def found(columns: dict[str, Any], y: Any, task: str = "regression", **settings: Any) -> Screening:
    return screen(as_table(columns, y=y), task, TrainSettings(**settings))


@pytest.fixture
def noise(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"a": rng.normal(size=M), "b": rng.integers(0, 9, M).astype(float)}


def test_nothing_to_say(noise: dict[str, np.ndarray]) -> None:
    y = noise["a"] + noise["b"]
    y[::3] += 1
    assert found(noise, y) == Screening({}, [])
    assert found(noise, y > 4, "binary") == Screening({}, [])


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    """A target that has nothing to do with anything."""
    return rng.integers(0, 2, 10 * M)[-M:]


def test_columns_that_hold_nothing(noise: dict[str, np.ndarray], y: np.ndarray) -> None:
    noise |= {"empty": [None] * M, "one": [1.0] * M, "word": ["x"] * M, "some": ["x", None] * 200}
    left_out = found(noise, y, "binary").left_out
    assert left_out == {
        "empty": "it is empty",
        "one": "it holds 1 in every row",
        "word": "it holds 'x' in every row",
    }


def test_names_of_the_rows(noise: dict[str, np.ndarray], y: np.ndarray) -> None:
    noise |= {
        "name": [f"name {k}" for k in range(M)],
        "ticket": [f"ticket {k % 290}" for k in range(M)],
        "town": [f"town {k % 50}" for k in range(M)],
    }
    screening = found(noise, y, "binary")
    assert screening.left_out == {"name": "it names the rows: 400 different values in 400 rows"}
    assert screening.warnings == [
        "column 'ticket' holds 290 different values in 400 rows: all but the 32 most frequent "
        "count as one. If it only names the rows: drop=['ticket'], or --drop 'ticket' on the "
        "command line.",
    ]


@pytest.mark.parametrize("first", [0, 1, 10_001])
def test_row_numbers(
    first: int, noise: dict[str, np.ndarray], y: np.ndarray, rng: np.random.Generator
) -> None:
    noise["id"] = rng.permutation(np.arange(first, first + M)).astype(float)
    table = as_table(noise, y=y)
    for rows in (slice(None), rng.permutation(M)[: 6 * M // 10], np.arange(M)[:240]):
        assert list(screen(table.rows(rows), "binary", TrainSettings()).left_out) == ["id"]
    assert found(noise, y, "binary", keep=["id"]).left_out == {}


def test_row_numbers_some_of_which_are_missing(
    noise: dict[str, np.ndarray], y: np.ndarray, rng: np.random.Generator
) -> None:
    noise["nr"] = np.where(rng.random(M) < 0.05, np.nan, np.arange(M))
    assert list(found(noise, y, "binary").left_out) == ["nr"]
    noise["nr"] = np.where(rng.random(M) < 0.6, np.nan, np.arange(M))
    assert found(noise, y, "binary").left_out == {}


@pytest.mark.parametrize("name", ["id", "customer_id", "customerID", "ID", "Account Id"])
def test_numbers_that_may_name_the_rows_are_pointed_out(
    name: str, noise: dict[str, np.ndarray], y: np.ndarray, rng: np.random.Generator
) -> None:
    noise[name] = rng.permutation(10**7)[:M].astype(float)
    screening = found(noise, y, "binary")
    assert screening.left_out == {}
    assert screening.warnings == [
        f"column '{name}' is taken as a number, but holds a different whole number in each of 400 "
        f"rows. If it only names the rows: drop=['{name}'], or --drop '{name}' on the command line."
    ]
    noise["paid"] = noise.pop(name)
    assert found(noise, y, "binary") == Screening({}, [])


def test_what_is_no_row_number(
    noise: dict[str, np.ndarray], y: np.ndarray, rng: np.random.Generator
) -> None:
    noise["sparse"] = rng.permutation(3 * M)[:M].astype(float)
    noise["again"] = rng.integers(0, M, M).astype(float)
    assert found(noise, y, "binary").left_out == {}
    years = {"year": np.arange(1960.0, 2024), "a": noise["a"][:64]}
    assert found(years, y[:64], "binary").left_out == {}
    few = {"size": np.arange(40.0), "a": noise["a"][:40]}
    assert found(few, y[:40], "binary").left_out == {}


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_columns_that_tell_the_class(
    task: str, noise: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    classes = 2 if task == "binary" else 3
    y = rng.integers(0, classes, M)
    noise |= {
        "copy": (y * 7.5).tolist(),
        "word": np.array(["yes", "no", "maybe"])[y].tolist(),
        "margin": (y + 0.3 * rng.uniform(size=M)).tolist(),
        "good": (y + rng.normal(scale=0.3, size=M)).tolist(),
        "day": (np.datetime64("2020-01-01") + 100 * y + rng.integers(0, 90, M)).tolist(),
    }
    noise["bands"] = np.where(y == 0, 5.0, y) + 0.3 * rng.uniform(size=M)
    noise["town"] = [f"{'abc'[k]}{n}" for k, n in zip(y, rng.integers(0, 9, M), strict=True)]
    screening = found(noise, y, task)
    exactly = "it gives the target exactly: in its order each class is one block"
    assert screening.left_out == {
        "copy": "it is a copy of the target: a value for each class",
        "word": "it is a copy of the target: a value for each class",
        "margin": exactly,
        "day": exactly,
        "bands": exactly,
    }
    assert screening.telling == list(screening.left_out)
    # What is not shown to be a copy is used, and pointed out.
    assert [warning.split("'")[1] for warning in screening.warnings] == ["town"]
    assert screening.warnings[0] == (
        "column 'town' by itself predicts the target almost perfectly (100.00% right). If it is "
        "known only with the target, or after it: drop=['town'], or --drop 'town' on the command "
        "line."
    )
    assert found(noise, y, task, keep=["town"]).warnings == []


def test_few_rows_show_no_stretches(rng: np.random.Generator) -> None:
    """A measurement may part 99 rows of each class; a value for each class may not."""
    for m, left_out in ((198, []), (200, ["x"])):
        y = np.arange(m) % 2
        columns = {"x": y + 0.9 * rng.random(m), "a": rng.normal(size=m)}
        assert list(found(columns, y, "binary").left_out) == left_out


def test_a_date_that_one_class_alone_has(noise: dict[str, np.ndarray]) -> None:
    y = np.arange(M) % 4 == 0
    day = (np.datetime64("2020-01-01") + np.arange(M) % 90).astype(object)
    noise["left"] = np.where(y, day, None)
    assert list(found(noise, y, "binary").left_out) == ["left"]


def test_a_copy_is_shown_on_all_rows(rng: np.random.Generator) -> None:
    m = 6000
    y = (np.arange(m) % 2).astype(float)
    for odd, left_out in ((None, ["x"]), (1, [])):  # row 1 is not among those looked at first
        x = y.copy()
        if odd is not None:
            x[odd] = 0.0
        assert list(found({"x": x, "a": rng.normal(size=m)}, y, "binary").left_out) == left_out


def test_estimators_leave_nothing_out(noise: dict[str, np.ndarray], y: np.ndarray) -> None:
    noise |= {
        "one": np.ones(M),
        "name": [f"name {k}" for k in range(M)],
        "id": np.arange(M),
        "copy": y * 2.0,
    }
    table = as_table(noise, y=y)
    screening = screen(table, "binary", TrainSettings(), leave_out=False)
    assert screening.left_out == {}
    (warning,) = screening.warnings
    assert warning.startswith("used anyway: 'one' (it holds 1 in every row), 'name' (it names")
    assert "'copy' (it is a copy of the target: a value for each class). drop=[...]" in warning
    settings = TrainSettings(keep=["one", "name", "id", "copy"])
    assert screen(table, "binary", settings, leave_out=False) == Screening({}, [])
    dropped = screen(table, "binary", TrainSettings(drop=["a", "id"]), leave_out=False)
    assert dropped.left_out == {"a": DROPPED, "id": DROPPED}


def test_what_may_be_missed(noise: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Row numbers are worth keeping where rows near to each other have much the same target."""
    noise["row"] = np.arange(M) + 0.0
    assert found(noise, np.sin(noise["row"] / 20)).telling == ["row"]
    assert found(noise, rng.normal(size=M)).telling == []
    assert found(noise, np.arange(M) > 99, "binary").telling == ["row"]


def test_a_number_that_leaks_because_the_file_is_sorted(rng: np.random.Generator) -> None:
    number = np.sort(rng.permutation(10**6)[:2000]).astype(float)
    columns = {"number": number, "a": rng.normal(size=2000)}
    assert list(found(columns, np.arange(2000) > 500, "binary").left_out) == ["number"]


def test_columns_that_tell_the_number(
    noise: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    y = rng.lognormal(size=M)
    noise |= {"scaled": 3 - 2 * y, "near": y * rng.uniform(0.8, 1.2, M), "rank": np.log(y)}
    noise["rounded"] = (1.8 * y + 32).round(2)
    screening = found(noise, y)
    line = "it gives the target exactly: both lie on a straight line"
    assert screening.left_out == {"scaled": line, "rounded": line}
    assert screening.warnings == []
    t = rng.uniform(1, 9, 10 * M)
    screening = found({"log": np.log(t), "a": rng.normal(size=10 * M)}, t)
    assert screening.left_out == {}
    assert screening.warnings[0].startswith("column 'log' by itself predicts the target almost")


def test_an_outlier_makes_no_line(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=M), rng.normal(size=M)
    x[7] = y[7] = 1e9
    assert found({"x": x, "a": rng.normal(size=M)}, y).left_out == {}


def test_sums_of_columns(noise: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    u, v, w = (rng.integers(0, 90, M).astype(float) for _ in range(3))
    left_out = found({**noise, "u": u, "v": v}, u + v).left_out
    assert left_out == dict.fromkeys("uv", "with others it gives the target exactly: 'u' + 'v'")
    assert list(found({**noise, "u": u, "v": v}, u - v).left_out) == ["u", "v"]
    assert list(found({**noise, "u": u, "v": v}, v - u, keep=["u"]).left_out) == ["v"]
    three = found({**noise, "u": u, "v": v, "w": w}, u + v - w).left_out
    assert three["w"] == "with others it gives the target exactly: 'u' + 'v' - 'w'"
    twice = found({**noise, "u": u, "v": v, "v2": v}, u + v).left_out
    assert list(twice) == ["u", "v", "v2"]
    assert found({**noise, "u": u, "v": v}, 2 * u + v).left_out == {}
    assert found({**noise, "u": u, "v": v}, u + v + noise["b"]).left_out.keys() == {"u", "v", "b"}


def test_a_target_that_is_mostly_0_or_has_an_outlier(rng: np.random.Generator) -> None:
    m = 4000
    columns = {
        "age": rng.integers(18, 90, m).astype(float),
        "km": rng.integers(0, 300, m).astype(float),
        "bonus": rng.random(m) * 3,
        "power": rng.integers(40, 200, m).astype(float),
        "claims": (rng.random(m) < 0.005).astype(float),
        "thefts": (rng.random(m) < 0.005).astype(float),
    }
    claim = np.where(rng.random(m) < 0.005, rng.lognormal(15, 1, m), 0)
    assert found(columns, claim) == Screening({}, [])
    outlier = rng.normal(size=m)
    outlier[7] = 1e9
    assert found(columns, outlier) == Screening({}, [])
    # Nor do two columns tell the target that are the same where it is 0.
    assert found({**columns, "paid": columns["bonus"]}, claim) == Screening({}, [])
    # What gives even such a target is found all the same.
    part = np.where(claim > 0, rng.lognormal(15, 1, m), 0)
    left_out = found({**columns, "part": part, "rest": claim - part}, claim).left_out
    assert list(left_out) == ["part", "rest"]


def test_sums_that_are_near_the_target_alone(rng: np.random.Generator) -> None:
    u, v, w = (rng.integers(1, 90, M).astype(float) for _ in range(3))
    for t, columns in ((u + v, {"u": u, "v": v}), (u + v - w, {"u": u, "v": v, "w": w})):
        assert found(columns, t).left_out == {}  # nothing else is left
        columns["a"] = rng.normal(size=M)
        assert len(found(columns, t).left_out) == len(columns) - 1
        assert found(columns, t * (1 + 1e-4 * rng.normal(size=M))).left_out == {}
        assert found(columns, t + 0.5 * (rng.random(M) < 0.05)).left_out == {}
    # The sum may be right but for rounding, of float32 or of decimals.
    rounded = {"u": (u / 7).astype(np.float32), "v": (v / 7).astype(np.float32), "a": w}
    assert list(found(rounded, (u + v) / 7).left_out) == ["u", "v"]
    # Two times that differ little are no measure of any small number.
    start = 1.6e9 + rng.integers(0, 10**7, M)
    times = {"start": start, "end": start + rng.integers(0, 600, M), "a": w}
    assert found(times, rng.integers(1, 6, M) + rng.random(M)).left_out == {}


def test_leaks_with_missing_values(rng: np.random.Generator) -> None:
    def holey(x: np.ndarray, share: float) -> np.ndarray:
        return np.where(rng.random(len(x)) < share, np.nan, x)

    u, v, w, other = (rng.lognormal(size=M) for _ in range(4))
    t = u + v
    for share, known in ((0.05, True), (0.4, True), (0.7, False)):
        single = found({"a": other, "twice": holey(2 * t, share)}, t).left_out
        assert ("twice" in single) is known
    pair = {"a": other, "hole": holey(w, 0.9), "u": holey(u, 0.02), "v": v}
    assert list(found(pair, t).left_out) == ["u", "v"]
    three = {"a": other, "hole": holey(w, 0.9), "u": u, "v": v, "w": w}
    assert list(found(three, t - w).left_out) == ["u", "v", "w"]
    three["hole"], three["u"] = other**2, holey(u, 0.02)
    assert list(found(three, t - w).left_out) == ["u", "v", "w"]
    most = {"a": other, "u": holey(u, 0.4), "v": holey(v, 0.4)}
    assert found(most, t).left_out == {}  # both are known in a third of the rows
    y = rng.integers(0, 2, M)
    assert list(found({"a": other, "y": holey(y * 1.0, 0.1)}, y, "binary").left_out) == ["y"]


@pytest.mark.parametrize("share", [0.02, 0.001])
def test_an_exact_copy_of_a_rare_class(share: float, rng: np.random.Generator) -> None:
    m = 20_000
    y = rng.random(m) < share
    copy = np.where(y, "fraud", "ok").astype(object)
    columns = {"a": rng.normal(size=m), "copy": copy, "other": rng.random(m) < share}
    assert list(found(columns, y, "binary").left_out) == ["copy"]
    wrong = copy.copy()
    wrong[np.flatnonzero(y)[: y.sum() // 3]] = "ok"
    assert found({**columns, "copy": wrong}, y, "binary").left_out == {}
    few = np.zeros(m, dtype=bool)
    few[:9] = True
    assert found({"a": columns["a"], "x": few}, few, "binary").left_out == {}
    few[9] = True
    assert list(found({"a": columns["a"], "x": few}, few, "binary").left_out) == ["x"]


def test_the_rows_of_rare_classes_may_hold_anything(rng: np.random.Generator) -> None:
    m = 50_000
    y = np.arange(m) % 50 == 7
    day = np.datetime64("2020-01-01") + rng.integers(0, 300, m)
    texts = np.where(y, "never", day.astype(str)).astype(object)  # of all 2 %, of the sample half
    columns = {"a": rng.normal(size=m), "day": texts}
    assert found(columns, y, "binary").left_out.keys() <= {"day"}
    many = rng.integers(0, 10_000, m)
    assert found({"a": columns["a"], "b": rng.normal(size=m)}, many, "multiclass").left_out == {}


def test_leaks_are_kept_where_nothing_else_is_left() -> None:
    x = np.arange(100.0)
    screening = found({"x": x, "one": np.ones(100)}, 2 * x + 1)
    assert screening.left_out == {"one": "it holds 1 in every row"}
    assert screening.warnings == [
        "column 'x' is used, as nothing else is left, but it numbers the rows: 100 different "
        "whole numbers from 0 to 99."
    ]
    real = found({"x": np.sin(x)}, 2 * np.sin(x) + 1)
    assert real.left_out == {}
    assert "nothing else is left, but it gives the target exactly" in real.warnings[0]


def test_codes_are_pointed_out(
    noise: dict[str, np.ndarray], y: np.ndarray, rng: np.random.Generator
) -> None:
    towns = rng.integers(10_000, 99_999, 30)
    noise |= {
        "where": rng.choice(towns, M).astype(float),
        "ad_id": rng.integers(0, 40, M).astype(float),
        "shopID": rng.integers(0, 40, M).astype(float),
        "year": rng.integers(1990, 2020, M).astype(float),
        "price": 1000 * rng.integers(10, 99, M).astype(float),
        "paid": rng.integers(0, 40, M).astype(float),
    }
    screening = found(noise, y, "binary")
    assert screening.left_out == {}
    assert [warning.split("'")[1] for warning in screening.warnings] == ["where", "ad_id", "shopID"]
    assert "categorical=['ad_id'], or --categorical 'ad_id' on the command line" in str(
        screening.warnings
    )
    declared = found(noise, y, "binary", categorical=["where", "ad_id", "shopID"])
    assert declared == Screening({}, [])


def test_decimal_commas_are_pointed_out(noise: dict[str, np.ndarray], y: np.ndarray) -> None:
    noise["size"] = [f"{k % 50},{k % 2}" for k in range(M)]
    (warning,) = found(noise, y, "binary").warnings
    assert "'size' is taken as categories, but holds what looks like numbers with" in warning
    noise["size"] = [f"{k % 90},{k % 7}" for k in range(M)]
    (reason,) = found(noise, y, "binary").left_out.values()
    assert "400 rows; they look like numbers with a comma, such as '0,0': write decimal" in reason


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("${},234.50", "amounts of money, such as '$0,234.50': write plain numbers, such as 1234"),
        ("-{} €", "amounts of money, such as '-0 €'"),
        ("EUR {}", "amounts of money, such as 'EUR 0'"),
        ("{}%", "percentages, such as '0%': write plain numbers, 45 or 0.45"),
        ("{}.5 %", "percentages, such as '0.5 %'"),
    ],
)
def test_amounts_and_percentages_are_pointed_out(
    form: str, message: str, noise: dict[str, np.ndarray], y: np.ndarray
) -> None:
    noise["x"] = [form.format(k % 50) for k in range(M)]
    (warning,) = found(noise, y, "binary").warnings
    assert f"'x' is taken as categories, but holds what looks like {message}" in warning
    noise["x"] = [form.format(k % 2) for k in range(M)]
    assert message in str(found(noise, y, "binary").warnings)
    noise["x"] = [form.format(k) for k in range(M)]
    assert f"they look like {message}" in found(noise, y, "binary").left_out["x"]
    noise["x"] = [f"{k % 50} km" for k in range(M)]
    assert found(noise, y, "binary").warnings == []


@pytest.mark.filterwarnings("error")
def test_infinite_texts_are_refused_without_ado(
    noise: dict[str, np.ndarray], y: np.ndarray
) -> None:
    noise["x"] = ["inf", *map(str, range(M - 1))]
    for task, target in (("binary", y), ("regression", noise["a"])):
        with pytest.raises(DataError, match="column 'x' holds inf in row 1: infinite"):
            found(noise, target, task)


def test_drop_and_keep(noise: dict[str, np.ndarray], y: np.ndarray) -> None:
    noise["one"] = np.ones(M)
    screening = found(noise, y, "binary", drop=["a"], keep=["one"])
    assert screening == Screening({"a": DROPPED}, [])


def test_tables_that_cannot_be(noise: dict[str, np.ndarray], y: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"X has no column to learn from: 'a' \(dropped as asked\)"):
        found(noise, y, "binary", drop=["a", "b"])
    names = [f"name {k}" for k in range(M)]
    with pytest.raises(DataError, match=r"no column to learn from: 'n' \(it names the rows: 400"):
        found({"n": names}, y, "binary")


def test_images_are_never_suspect(rng: np.random.Generator) -> None:
    images = rng.integers(0, 255, (30, 4, 4, 3)).astype(np.uint8)
    table = as_table(images, y=np.arange(30) % 2)
    assert screen(table, "binary", TrainSettings()) == Screening({}, [])


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e37])
def test_tiny_and_huge_numbers(
    size: float, noise: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    y = rng.normal(size=M) * size
    noise |= {"copy": -y, "near": y + rng.normal(scale=size / 2, size=M)}
    assert list(found(noise, y).left_out) == ["copy"]
    far = {"big": rng.normal(size=M) * 1e37, "huge": rng.normal(size=M) * 1e37}
    assert found({**far, **noise}, y, keep=["copy"]).left_out == {}
    # Numbers that are equal in float32.
    large = {"id": 1e12 + np.arange(0.0, 3 * M, 3), "a": noise["a"]}
    assert "'id' by itself predicts" in found(large, np.sin(large["id"] / 1000)).warnings[0]


def test_many_rows_and_columns(rng: np.random.Generator) -> None:
    m = 30_000
    y = rng.normal(size=m)
    columns = {"x": rng.normal(size=m), "id": np.arange(m) + 0.0, "leak": 2 * y}
    assert list(found(columns, y).left_out) == ["id", "leak"]
    wide = as_table(rng.normal(size=(60, 800)), y=y[:60])
    assert screen(wide, "regression", TrainSettings()).left_out == {}


def parts(table: Table) -> list[Table]:
    """The table, and a random 60 % of its rows, shuffled and not."""
    picked = np.random.default_rng(0).permutation(table.m)[: 6 * table.m // 10]
    return [table, table.rows(picked), table.rows(np.sort(picked))]


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_no_false_alarm_on_the_samples(name: str) -> None:
    data = getattr(datasets, f"load_{name}")()
    task = "regression" if name == "diabetes" else "multiclass"
    for table in parts(as_table(data.data, y=data.target)):
        screening = screen(table, task, TrainSettings())
        reasons = set(screening.left_out.values())
        assert reasons <= {"it holds 0 in every row"}
        assert screening.warnings == []


FILES: dict[str, tuple[str, str, str, list[str]]] = {
    "red wine": ("wine_quality/winequality-red.csv", "", "regression", []),
    "white wine": ("wine_quality/winequality-white.csv", "", "regression", []),
    "abalone": ("abalone/abalone.csv", "", "regression", []),
    "titanic": ("titanic/titanic.csv", "Survived", "binary", ["PassengerId", "Name"]),
    "telco": ("telco_churn/Telco-Customer-Churn.csv", "Churn", "binary", ["customerID"]),
    "bike": ("bike_hour/hour.csv.gz", "cnt", "regression", ["instant", "casual", "registered"]),
    "letter": ("letter/letter.csv", "class", "multiclass", []),
    "optdigits": ("optdigits/optdigits.csv", "class", "multiclass", ["input1", "input40"]),
    "magic": ("magic04/MagicTelescope.csv.gz", "class:", "binary", ["ID"]),
    "phoneme": ("phoneme/phoneme.csv", "", "binary", []),
}
"""The file, its target or "" for the last column without a header, the task, what is left out."""


@pytest.mark.skipif("PELLUCID_DATA" not in os.environ, reason="PELLUCID_DATA names no folder")
@pytest.mark.parametrize("name", FILES)
def test_real_tables(name: str) -> None:
    file, target, task, left_out = FILES[name]
    frame = pl.read_csv(
        Path(os.environ["PELLUCID_DATA"]) / file,
        has_header=bool(target),
        infer_schema_length=None,
        null_values=["", "?"],
    )
    table = as_table(frame, target=target or frame.columns[-1])
    for part in parts(table):
        assert list(screen(part, task, TrainSettings()).left_out) == left_out
