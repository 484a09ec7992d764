"""Rows held out and rows that validate: by time, by group, and what says that chance flatters."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError
from pellucid.tables import Table, TrainSettings, hold_out, read_table
from pellucid.tables.by import By, Groups, Time, flattered, groups_of, time_of
from pellucid.tables.evaluate import evaluate
from pellucid.tables.fit import fit, prepare
from pellucid.tables.split import folds, validation_part

SMALL = TrainSettings(hidden_layer_sizes=(4,), epochs=2)


def times(values: Any) -> Time:
    values = np.asarray(values)
    return time_of(Table({"x": np.zeros(len(values))}), "t", values)


def groups(values: Any) -> Groups:
    values = np.asarray(values)
    return groups_of(Table({"x": np.zeros(len(values))}), "g", values.astype(object))


def table(m: int, by: By | None, y: Any = None) -> Table:
    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(size=m), "b": rng.normal(size=m)}
    return Table(columns, columns["a"] ** 2 if y is None else y, "y", by=by)


# Time ---------------------------------------------------------------------------------------------


def test_the_last_rows_are_held_out_and_then_the_last_of_the_others_validate() -> None:
    order = np.random.default_rng(1).permutation(100)
    seen, test = hold_out(table(100, times(order.astype(float))))
    assert seen.by is not None
    assert test.by is not None
    assert sorted(test.by.numbers) == list(range(80, 100))
    assert test.by.describe() == "the last by 't', from 80 on"
    plan = prepare(seen, dataclasses.replace(SMALL, ensemble=1))
    ((training, validation),) = plan.members
    assert sorted(seen.by.numbers[validation]) == list(range(64, 80))
    assert sorted(seen.by.numbers[training]) == list(range(64))


@given(st.lists(st.integers(0, 9), min_size=4, max_size=60), st.integers(1, 7))
def test_time_runs_forward_and_rows_of_one_time_stay_together(values: list[int], k: int) -> None:
    by = times(np.array(values, dtype=float))
    if len(set(values)) == 1:
        with pytest.raises(DataError, match=f"'t' is {values[0]} in every row"):
            validation_part(len(values), None, 0.2, 0, by)
        return
    pairs = [*folds(len(values), None, k, 0, by), validation_part(len(values), None, 0.2, 0, by)]
    for training, validation in pairs:
        assert len(training) > 0 < len(validation)
        assert by.numbers[training].max() < by.numbers[validation].min()
    forward = pairs[:-1]
    assert 1 <= len(forward) <= k
    validated = np.concatenate([validation for _, validation in forward])
    assert len(set(validated.tolist())) == len(validated)  # each once
    assert by.numbers.max() in by.numbers[forward[-1][1]]


def test_folds_forward_in_time_train_on_all_that_is_earlier() -> None:
    plan = prepare(table(400, times(np.arange(400.0))), SMALL)
    assert plan.validation == "time"
    spans = [(len(a), int(b.min()), int(b.max())) for a, b in plan.members]
    assert spans == [(n, n, n + 19) for n in (300, 320, 340, 360, 380)]
    # The last rows train no network, so that the preprocessing does not know them.
    later = table(400, times(np.arange(400.0)))
    later.columns["a"][380:] = 1e6
    changed = prepare(later, SMALL)
    assert changed.preprocessing.to_dict() == plan.preprocessing.to_dict()


TEXTS = ["3.2.2020 10:00", "1.2.2020", "2.2.2020"]


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (np.array(["2020-02-03", "2020-02-01", "2020-02-02"], dtype="datetime64[us]"), [2, 0, 1]),
        (np.array(TEXTS, dtype=object), [2, 0, 1]),
        (np.array([20200203.0, 20200201.0, 20200201.0]), [1, 0, 0]),
        (np.array(["2021", "2020", "2020"], dtype=object), [1, 0, 0]),
    ],
)
def test_times_are_dates_numbers_or_texts_of_them(column: Any, numbers: list[int]) -> None:
    assert times(column).numbers.tolist() == numbers


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["Rom"] * 30, "'t' holds 'Rom', which is not a time; expected dates or numbers. Choose"),
        (["2020-01-01"] * 29 + [None], r"'t' holds no time in 1 row: 30 \(counted from 1"),
        (["?"] + ["2020-01-01"] * 29, r"'t' holds no time, such as '\?', in 1 row: 1 \(counted"),
        ([None] * 30, "'t' holds no time in 30 rows: 1, 2, 3, 4, 5 and 25 more"),
    ],
)
def test_what_is_no_time(column: list[Any], message: str) -> None:
    values = np.full(30, np.nan) if column[0] is None else np.array(column, dtype=object)
    with pytest.raises(DataError, match=message):
        times(values)


def test_rows_without_a_time_are_numbered_as_in_the_file() -> None:
    rows = dataclasses.replace(table(3, None), kept=np.array([4, 6, 9]))
    with pytest.raises(DataError, match=r"in 1 row: 7 \(counted"):
        time_of(rows, "t", np.array([1.0, np.nan, 2.0]))


def test_too_few_times_and_classes_that_come_last() -> None:
    two = table(40, times(np.arange(40.0) // 20))
    with pytest.raises(
        DataError, match="'t' holds 2 different times; at least 3 are needed: to tr"
    ):
        hold_out(two)
    assert len(prepare(two, SMALL).members) == 1  # 20 rows train, 20 validate
    early = np.array(["a", "b"] * 15 + ["b"] * 8 + ["c"] * 2)
    with pytest.raises(DataError, match="the last by 't', from 32 on; they alone hold 'c' of the"):
        hold_out(table(40, times(np.arange(40.0)), early))
    late = np.where(np.arange(40) < 35, "a", "b")
    with pytest.raises(DataError, match="in all others the target 'y' is 'a': nothing to learn"):
        hold_out(table(40, times(np.arange(40.0)), late))


def test_rows_that_train_and_are_of_one_class() -> None:
    y = np.where(np.arange(40) < 34, "a", "b")
    for ensemble in (1, 3):
        with pytest.raises(DataError, match="by 't' all training rows are of one class: nothing"):
            prepare(
                table(40, times(np.arange(40.0)), y), dataclasses.replace(SMALL, ensemble=ensemble)
            )


# Groups -------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2)), min_size=8, max_size=60),
    st.integers(2, 5),
    st.booleans(),
)
def test_groups_stay_together_and_classes_can_be_learned(
    rows: list[tuple[int, int]], k: int, classes: bool
) -> None:
    by = groups([f"g{group}" for group, _ in rows])
    y = np.unique([label for _, label in rows], return_inverse=True)[1]
    labels = y if classes else None
    try:
        pairs = [*folds(len(y), labels, k, 0, by), validation_part(len(y), labels, 0.3, 0, by)]
    except DataError as error:
        alone = "each is the only one with some class" in str(error)
        assert alone or len(by.values) == 1
        return
    for training, validation in pairs:
        assert len(training) > 0 < len(validation)
        if not by.each_alone:
            assert not set(by.numbers[training]) & set(by.numbers[validation])
            assert not classes or set(y[validation]) <= set(y[training])


def test_parts_of_groups_have_about_their_shares_of_rows_and_classes() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 40, 200)
    who = np.repeat(np.arange(200), sizes)
    y = (rng.random(200) < 0.3)[who].astype(np.int64)  # each group is of one class
    seen, test = hold_out(table(len(who), groups(who), y))
    assert test.m / len(who) == pytest.approx(0.2, abs=0.01)
    assert test.y.mean() == pytest.approx(y.mean(), abs=0.01)
    assert test.by.describe().startswith(f"{len(set(test.by.numbers))} of the 200 groups of 'g': '")
    plan = prepare(seen, dataclasses.replace(SMALL, ensemble=4))
    for training, validation in plan.members:
        assert len(validation) / seen.m == pytest.approx(0.25, abs=0.01)
        assert seen.y[training].mean() == pytest.approx(y.mean(), abs=0.01)
    other = hold_out(table(len(who), groups(who), y), seed=1)[1]
    assert set(other.by.numbers) != set(test.by.numbers)


def test_few_groups() -> None:
    for count, found in ((1, "one group"), (2, "2 groups")):
        with pytest.raises(DataError, match=f"'g' holds {found}; at least 3 are needed to hold"):
            hold_out(table(40, groups(np.arange(40) % count)))
    seen, test = hold_out(table(42, groups(np.arange(42) % 3)))
    assert (seen.m, test.m) == (28, 14)
    assert len(prepare(seen, SMALL).networks) == 2  # as many as there are groups
    uneven = groups([0] * 30 + [1] * 10)
    ((training, validation),) = prepare(
        table(40, uneven), dataclasses.replace(SMALL, ensemble=1)
    ).members
    assert (len(training), len(validation)) == (30, 10)  # the smallest, however large
    with pytest.raises(DataError, match="each is the only one with some class of the target"):
        hold_out(table(40, groups(np.arange(40) % 4), np.arange(40) % 4))


def test_rows_that_are_groups_of_their_own_are_parted_at_random() -> None:
    alone, plain = table(60, groups(np.arange(60))), table(60, None)
    parts = hold_out(alone), hold_out(plain)
    assert parts[0][1].columns["a"].tolist() == parts[1][1].columns["a"].tolist()
    assert parts[0][1].by.describe() == "at random, as no two rows have the same 'g'"


def test_the_column_that_groups_is_no_input() -> None:
    rows = table(60, None)
    rows.columns["who"] = np.arange(60.0) // 5
    rows.by = groups_of(rows, "who", rows.columns["who"], is_column=True)
    plan = prepare(rows, SMALL)
    assert plan.left_out == {"who": "it groups the rows"}
    kept = prepare(rows, dataclasses.replace(SMALL, keep=("who",)))
    assert list(kept.preprocessing.columns) == ["a", "b", "who"]
    with pytest.raises(DataError, match="'who' holds no group in 2 rows: 1, 3"):
        groups_of(rows, "who", np.array([None, "a", None] + ["b"] * 57, dtype=object))


# What flatters ------------------------------------------------------------------------------------


def test_a_random_hold_out_flatters_where_neighbours_in_time_are_alike() -> None:
    """As with a sensor that drifts: what is held out at random has neighbours that tell it."""
    rng = np.random.default_rng(0)
    m = 1200
    level = np.cumsum(rng.normal(size=m))
    columns = {
        "hour": np.datetime64("2024-01-01", "us") + 3_600_000_000 * np.arange(m),
        "x": rng.normal(size=m),
    }
    rows = Table(columns, level + columns["x"], "y")
    settings = TrainSettings(hidden_layer_sizes=(32,), epochs=30, ensemble=1)
    r2 = []
    for by in (None, time_of(rows, "hour", columns["hour"])):
        rows.by = by
        seen, test = hold_out(rows)
        r2.append(evaluate(fit(prepare(seen, settings)), test).metrics["network"]["r2"])
    assert r2[0] is not None
    assert r2[1] is not None
    assert r2[0] > 0.7 > 0.3 > r2[1]


M = 200
K = np.arange(M)
DAYS = np.datetime64("2020-01-01", "us") + 86_400_000_000 * K


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("seen", DAYS),
        ("seen", DAYS[::-1]),
        ("seen", np.roll(DAYS, 70)),  # two places, one below the other
        ("seen", DAYS[K // 10]),
        ("seen", DAYS.astype("datetime64[D]").astype(str).astype(object)),
        ("Time", K * 7.5),
        ("saleYear", 1900.0 + K // 2),
        ("t0", 1.6e9 + 60 * K),
        ("x", np.array([20200101.0 + 100 * (k // 17) + k % 17 for k in K])),
    ],
)
def test_rows_in_the_order_of_a_time_are_noticed(name: str, column: Any) -> None:
    (said,) = flattered({"a": np.sin(K), name: column})
    assert said.startswith(f"the rows are in the order of '{name}': a random hold-out flatters")
    assert f"; --time {name} holds out the last rows" in said


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("seen", np.random.default_rng(0).permutation(DAYS)),
        ("seen", np.full(M, DAYS[0])),
        ("seen", np.where(K < 150, np.datetime64("NaT", "us"), DAYS)),
        ("id", K + 1.0),
        ("id", 1.6e9 + K),
        ("x", K * 1.0),
        ("price", np.sort(np.random.default_rng(0).random(M))),
        ("day", K % 31 + 1.0),
        ("month", K % 12 + 1.0),
        ("year", np.random.default_rng(0).integers(1990, 2020, M) + 0.0),
        ("x", 20200000.0 + K),
        ("place", np.array(["a", "b"] * 100, dtype=object)),
        ("customer", K + 1.0),
        ("customer", np.array(["new", "old"] * 100, dtype=object)),
        ("user", (K % 4) + 0.5),
        ("paid", np.array([f"P{k % 50}" for k in K], dtype=object)),
    ],
)
def test_what_is_no_time_and_no_key_is_not(name: str, column: Any) -> None:
    assert flattered({name: column}) == []


@pytest.mark.parametrize(
    "name", ["patient", "Customer ID", "user_id", "subjectNo", "machine", "ID"]
)
def test_keys_that_repeat_are_noticed(name: str) -> None:
    for column in (K // 5 + 100.0, np.array([f"n{k // 5}" for k in K], dtype=object)):
        (said,) = flattered({"a": np.sin(K), name: column})
        assert said.startswith(
            f"{name!r} repeats, 40 values in 200 rows: a random hold-out flatters"
        )
        assert "if predictions are for new ones; --group " in said


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_no_false_alarm_on_the_samples(name: str) -> None:
    assert flattered(read_table(f"sample:{name}").columns) == []
