"""Reading tables, what is refused, preparing, fitting, and the model's round trip."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import load, save
from pellucid.errors import DataError, MissingPackageError, ModelError
from pellucid.persistence import read_folder
from pellucid.tables import (
    SAMPLES,
    Table,
    TableModel,
    TrainSettings,
    fit_table,
    prepare,
    read_sample,
    read_table,
)
from pellucid.tables.evaluate import classification_metrics, regression_metrics
from pellucid.tables.preprocess import Standardizer
from pellucid.tables.read import column_names
from pellucid.tables.split import TASKS, infer_task, split
from pellucid.tables.text import _lines

BODY = "\n".join(f"{k},{k * 0.5},{'xy'[k % 2]}" for k in range(12))
GOOD = f"a,b,c\n{BODY}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(content: str | bytes, name: str = "t.csv", target: str | None = "c", **how: Any) -> Table:
    """Write the content to a file and read it."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(name, target=target, **how)


def table(task: str, m: int = 120) -> Table:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(m, 3))
    score = X @ [1.0, -2.0, 0.5]
    y: Any = {
        "binary": np.where(score > 0, "yes", "no"),
        "multiclass": np.digitize(score, [-1, 1]),
        "regression": 100 + 10 * score,
    }[task]
    return Table(["a", "b", "c"], X, y, "t", "made up")


# Reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (GOOD, ["delimiter ','"]),
        (GOOD.replace(",", ";"), ["delimiter ';'"]),
        (GOOD.replace(",", "\t"), ["delimiter tab"]),
        (GOOD.replace(",", "|"), ["delimiter '|'"]),
        (GOOD.replace(",", ", "), ["delimiter ','"]),
        (GOOD.replace("\n", "\r\n") + "\r\n", ["delimiter ','"]),
        (GOOD.replace("\n", "\r"), ["delimiter ','"]),
        ("\n\n" + GOOD + "\n\n", ["delimiter ','"]),
        ("\ufeff" + GOOD, ["delimiter ','"]),
        (gzip.compress(GOOD.encode(), mtime=0), ["delimiter ','"]),
        (GOOD.replace("a,b", '"a","b"').replace("0,0.0", '"0","0.0"'), ["delimiter ','"]),
        (GOOD.replace("\n", "\n\n"), ["delimiter ','"]),
        (GOOD.replace("\n5,", "\n\n5,"), ["delimiter ','", "1 empty row skipped"]),
    ],
)
def test_forms_of_text(content: str | bytes, notes: list[str]) -> None:
    found = read(content)
    np.testing.assert_array_equal(found.X, [[k, k * 0.5] for k in range(12)])
    assert (found.columns, found.target, found.notes) == (["a", "b"], "c", notes)
    assert found.y is not None
    assert found.y.tolist() == ["x", "y"] * 6


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather", "t.jsonl", "t.tsv", "t.txt"])
def test_forms_of_files(name: str) -> None:
    frame = pl.read_csv(GOOD.encode())
    ending = Path(name).suffix
    if ending == ".parquet":
        frame.write_parquet(name)
    elif ending in (".arrow", ".feather"):
        frame.write_ipc(name)
    elif ending == ".jsonl":
        frame.write_ndjson(name)
    else:
        frame.write_csv(name, separator="\t")
    found, expected = read_table(name, target="c"), read(GOOD)
    assert found.columns == expected.columns == ["a", "b"]
    np.testing.assert_array_equal(found.X, expected.X)
    assert found.y is not None
    assert found.y.tolist() == ["x", "y"] * 6
    assert column_names(name) == ["a", "b", "c"]


def test_no_header() -> None:
    found = read(BODY, target="3")
    assert found.columns == ["1", "2"]
    assert found.notes == ["delimiter ','", "no header: columns are named 1 to 3"]
    years = "kind,2019,2020\n" + "\n".join(f"{'xy'[k % 2]},{k},{k}" for k in range(12))
    assert read(years, target="kind").columns == ["2019", "2020"]


def test_columns_without_a_name() -> None:
    found = read(",b,c,\n" + BODY.replace("\n", ",\n") + ",")
    assert found.columns == ["column_1", "b"]
    assert found.notes[1:] == [
        "column 4 has no name and no values: left out",
        "column 1 has no name: called 'column_1'",
    ]


@pytest.mark.parametrize(
    ("values", "dtype", "first"),
    [
        (["x", "yes and no"], "U", "x"),
        (["true", "False"], "b", True),
        (["1", "2.0"], "i", 1),
        (["1.5", "2e3"], "f", 1.5),
        (["0", "x"], "U", "0"),
    ],
)
def test_kinds_of_targets(values: list[str], dtype: str, first: Any) -> None:
    found = read("a,c\n" + "\n".join(f"{k},{values[k % 2]}" for k in range(12)))
    assert found.y is not None
    assert (found.y.dtype.kind, found.y[0]) == (dtype, first)


def test_truth_values_and_decimals_are_numbers() -> None:
    rows = [f"{'TRUE' if k % 2 else 'false'}, +{k}e-1 ,{k % 3}" for k in range(12)]
    found = read("a,b,c\n" + "\n".join(rows))
    np.testing.assert_array_equal(found.X[:3], [[0, 0.0], [1, 0.1], [0, 0.2]])


def test_columns_are_taken_by_name() -> None:
    found = read(GOOD, target=None, columns=["b", "a"])
    assert (found.columns, found.y) == (["b", "a"], None)
    np.testing.assert_array_equal(found.X[1], [0.5, 1])
    assert found.notes[1:] == ["1 column not used: 'c'"]


@given(
    st.lists(st.tuples(*[st.floats(-1e30, 1e30, allow_nan=False)] * 3), min_size=2, max_size=20),
    st.sampled_from(",;\t|"),
)
def test_any_numbers_come_back(rows: list[tuple[float, ...]], delimiter: str) -> None:
    lines = [delimiter.join("uvw"), *(delimiter.join(map(repr, row)) for row in rows)]
    found = read("\n".join(lines), target=None)
    assert found.columns == ["u", "v", "w"]
    np.testing.assert_array_equal(found.X, rows)


# What is refused ----------------------------------------------------------------------------------

TEN = "\n".join(f"{k},{k},{k % 2}" for k in range(10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"'t\.csv' is empty; expected a header and rows of numbers"),
        ("\n \n", r"t\.csv is empty"),
        ("a,b,c\n", r"holds a header alone, no rows: 'a', 'b', 'c'"),
        (GOOD + "\n1,2", r"line 14 has 2 cells, expected 3 as in the first row \(delimiter ','\)"),
        (GOOD + "\n1,2,x,4\n1", r"line 14 has 4 cells, .*; 1 more row is wrong too"),
        ("\n" + GOOD + "\n1\n1\n1", r"line 15 has 1 cell, .*; 2 more rows are wrong too"),
        ("a,b,c\n1,2\n3,4\n5,6", r"line 2 has 2 cells, expected 3"),
        (GOOD + '\n1,"2,x', r"line 14: unexpected end of data: a quotation mark is opened and not"),
        (b"PK\x03\x04...", "is an Excel or zip file, not a table of text"),
        (b"<!DOCTYPE html>", "is a web page, not a table of text"),
        (GOOD.encode() + b"\n\0", "not a table of text: line 14 holds a zero byte"),
        (GOOD.encode("utf-16"), "encoded in UTF-16; expected UTF-8"),
        (f"{GOOD}\n1,2,é".encode("latin-1"), r"not encoded in UTF-8: line 14 holds the byte 0xe9"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-9], "is a damaged gzip file"),
        (GOOD.replace("c", "C"), r"has no column 'c' \(did you mean 'C'\?\); its columns are 'a'"),
        (GOOD.replace("c", "z"), r"has no column 'c'; its columns are 'a', 'b', 'z'"),
        (GOOD.replace(",", " "), "It was read as one column; expected columns cut by a comma"),
        ("c\n" + "\n".join("01" * 6), r"has no input columns beside the target 'c'\. It was read"),
        (GOOD.replace("y", "x"), "the target 'c' is constant: every row holds 'x'"),
        (GOOD + "\n1,2,\n1,2,", r"the target 'c' is missing in 2 rows: 13, 14 \(counted from 1"),
        ("a,b,c\n" + TEN + "\n1,2,NA", r"the target 'c' is missing in 1 row: 11 "),
        (
            "a,b,c\n" + TEN + "\n1,2,inf",
            r"'c' holds infinite values, or values beyond 1e\+38, in r",
        ),
        ("a,b,c\n" + TEN[:-6], "has 9 rows; at least 10 are needed to train, validate and test"),
        ("a,a,c\n" + BODY, r"names of columns must differ; found more than once: 'a' \('a' in col"),
        (
            GOOD + "\n,2,x\n?,2,x\nNA,2,x\n , nan,x",
            r"missing values in 2 columns: 'a' \(4 rows: 13, 14, 15, \.\.\.\), 'b' \(1 row: 16\)",
        ),
        (GOOD + "\n1,-inf,x", r"infinite values in 1 column: 'b' \(1 row: 13\).*Correct them"),
        (GOOD + "\n1,1e300,x", r"values beyond 1e\+38, too large to compute with, in 1 column: 'b"),
        (
            GOOD + "\nAnn,2001-02-03,x",
            r"2 input columns are not numeric: 'a' \(text, such as 'Ann'\), 'b' \(text, such",
        ),
        (
            GOOD.replace(",", ";").replace(".", ",") + "\n1;2,5;x",
            r"'b' .*'0,0'\)\. Write decimal nu",
        ),
    ],
)
def test_bad_text(content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(content)


def test_bad_paths() -> None:
    read(GOOD)
    Path("d.csv").mkdir()
    Path("t.xlsx").write_bytes(b"PK")
    for name, message in (
        ("tt.csv", r"there is no file 'tt\.csv' \(did you mean 't\.csv'\?\)"),
        ("zzz.foo", r"there is no file 'zzz\.foo'"),
        ("d.csv", r"'d\.csv' is a folder; expected a file of data"),
        ("t.xlsx", r"cannot tell the format of 't\.xlsx' from its ending; expected \.csv"),
        ("sample:irsi", r"there is no sample 'irsi' \(did you mean 'iris'\?\)"),
    ):
        with pytest.raises(DataError, match=message):
            read_table(name, target="c")
    with pytest.raises(DataError, match="the target of sample:iris is 'target'; got 'kind'"):
        read_table("sample:iris", target="kind")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.parquet", b"abc" * 50, "it is not a Parquet file"),
        ("t.arrow", b"abc" * 50, "it is not an Arrow file"),
        ("t.jsonl", b"abc", "it is not JSON lines, one object a line"),
        ("t.jsonl", b'[{"a": 1}]', "it is not JSON lines, one object a line"),
        ("t.jsonl", b'{"a": 1, "c": {"z": 1}}\n' * 12, "target 'c' holds nested values, such as"),
        ("t.jsonl", b'{"a": [1], "c": 1}\n{"a": [2], "c": 2}\n' * 6, r"'a' \(nested values, such"),
        ("t.jsonl", b'{"a": 1, "c": 1}\n{"c": 2}\n' * 6, r"missing values in 1 column: 'a' \(6 r"),
    ],
)
def test_bad_files(name: str, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(content, name)


def test_dates_and_empty_tables() -> None:
    frame = pl.read_csv(GOOD.encode()).with_columns(d=datetime.date(2001, 2, 3))
    frame.write_parquet("t.parquet")
    with pytest.raises(DataError, match=r"'d' \(dates or times, such as 2001-02-03\)"):
        read_table("t.parquet", target="c")
    with pytest.raises(DataError, match="the target 'd' holds dates or times, such as 2001-02-03"):
        read_table("t.parquet", target="d")
    frame.head(0).write_parquet("t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet holds no rows; its columns are a, b, c, d"):
        read_table("t.parquet", target="c")


def test_prediction_table_that_lacks_a_column() -> None:
    with pytest.raises(
        DataError,
        match=r"lacks 2 columns .*: 'A' \(did you mean 'a'\?\), 'size'\. It has: 'a', 'b', 'c'",
    ):
        read(GOOD, target=None, columns=["A", "b", "size"])
    with pytest.raises(DataError, match=r"sample:iris lacks 1 column .*: 'size'"):
        read_table("sample:iris", columns=["size"])


def test_polars_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(
        MissingPackageError, match=r"needs polars: pip install 'pellucid\[tables\]'"
    ):
        read(GOOD)


# Samples ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_as_described(name: str) -> None:
    sample, found = SAMPLES[name], read_sample(name)
    assert found.y is not None
    assert found.X.shape == (sample.rows, sample.columns) == (len(found.y), len(found.columns))
    assert infer_task("target", found.y)[0] == sample.task
    assert sample.task in TASKS


# Preparing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "asked", "task", "reason"),
    [
        (["a", "b"] * 6, None, "binary", "2 distinct texts: binary classification"),
        (["a", "b", "c"] * 6, None, "multiclass", "3 distinct texts: multi-class classification"),
        ([True, False] * 6, None, "binary", "2 distinct truth values: binary classification"),
        ([3, 7] * 6, None, "binary", "2 distinct whole numbers: binary classification"),
        (list(range(20)) * 3, None, "multiclass", "20 distinct whole numbers: multi-class"),
        (list(range(21)) * 3, None, "regression", "21 distinct whole numbers: regression"),
        ([0.5, 1.5, 2.5] * 6, None, "regression", "3 distinct numbers: regression"),
        ([0.5, 1.5] * 6, None, "binary", "2 distinct numbers: binary classification"),
        ([3, 7] * 6, "regression", "regression", "regression, as asked for"),
        ([3, 7] * 6, "multiclass", "multiclass", "multi-class classification, as asked for"),
        (list(range(21)) * 3, "multiclass", "multiclass", "as asked for"),
    ],
)
def test_the_task_is_inferred(y: list[Any], asked: str | None, task: str, reason: str) -> None:
    found, why = infer_task("y", np.array(y), asked)
    assert (found, why.startswith("'y' holds ")) == (task, True)
    assert reason in why


@pytest.mark.parametrize(
    ("y", "asked", "message"),
    [
        (["a", "b"] * 6, "regression", "2 distinct texts, such as 'a': regression needs numbers"),
        (["a", "b", "c"] * 6, "binary", "3 distinct texts: binary classification needs exactly 2"),
        ([f"Ann {k}" for k in range(12)], None, "12 distinct texts in 12 rows: too many classes"),
        ([k / 2 for k in range(12)], "multiclass", "12 distinct numbers in 12 rows: too many"),
    ],
)
def test_tasks_that_do_not_fit(y: list[Any], asked: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        infer_task("y", np.array(y), asked)
    with pytest.raises(ValueError, match="task must be one of binary, multiclass, regression; got"):
        infer_task("y", np.array([1, 2]), "rank")


@given(st.lists(st.integers(0, 4), min_size=10, max_size=200), st.integers(0, 2**64 - 1))
def test_splits_are_stratified(labels: list[int], seed: int) -> None:
    y = np.array(labels)
    parts = split(len(y), y, seed)
    everyone = np.concatenate([parts.training, parts.validation, parts.test])
    assert sorted(everyone) == list(range(len(y)))
    assert min(len(parts.training), len(parts.validation), len(parts.test)) > 0
    assert set(y[parts.training]) == set(labels)
    for c in set(labels):
        assert abs(np.sum(y[parts.test] == c) - 0.2 * np.sum(y == c)) <= 1


def test_the_split_depends_on_the_seed_alone() -> None:
    a, b, c = (split(100, None, seed).test.tolist() for seed in (0, 0, 1))
    assert a == b != c


def test_standardizer_is_fitted_on_training_rows_alone() -> None:
    made = table("binary")
    plan = prepare(made, TrainSettings())
    Z = plan.Z[plan.parts.training]
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(Z.std(axis=0), 1)
    np.testing.assert_array_equal(plan.model.standardizer.mean, made.X[plan.parts.training].mean(0))


def test_standardizer_of_odd_columns() -> None:
    X = np.array([[0.1, 1e38, 1e-200], [0.1, -1e38, 3e-200], [0.1, 1e38, 1e-200]])
    standardizer = Standardizer.fit(X)
    Z = standardizer.transform(X)
    assert np.isfinite(Z).all()
    assert (Z[:, 0] == 0).all()
    far = standardizer.transform(np.array([[1e38, 0.0, 0.0]]))
    np.testing.assert_array_equal(far[0, 0], 1e6)
    again = Standardizer.from_dict(json.loads(json.dumps(standardizer.to_dict())), 3)
    assert again.transform(X).tobytes() == Z.tobytes()
    np.testing.assert_allclose(standardizer.inverse(Z), X, atol=1e-100)


def test_all_faults_of_the_settings_are_named_at_once() -> None:
    with pytest.raises(
        ValueError, match=r"hidden must be .* epochs must be .*dropout .*'rleu' \(d"
    ):
        TrainSettings(hidden=(4, 0), epochs=0, dropout=1.0, activation="rleu")
    with pytest.raises(
        ValueError, match=r"'softmax' is for the output layer.*optimizer 'adm' \(did"
    ):
        TrainSettings(activation="softmax", optimizer="adm")
    with pytest.raises(ValueError, match=r"learning_rate .*patience .*l2 .*seed must be"):
        TrainSettings(learning_rate=0, patience=-1, l2=float("nan"), seed=2**64)


def test_tables_made_by_hand_are_checked_too() -> None:
    with pytest.raises(DataError, match="was read without a target"):
        prepare(Table(["a"], np.zeros((20, 1))), TrainSettings())
    with pytest.raises(DataError, match="the target 't' is constant: every row holds 1"):
        prepare(Table(["a"], np.zeros((20, 1)), np.ones(20, int), "t"), TrainSettings())
    with pytest.raises(DataError, match="has 3 rows; at least 10"):
        prepare(Table(["a"], np.zeros((3, 1)), np.arange(3), "t"), TrainSettings())


# Fitting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_a_model_comes_back_bit_for_bit(task: str) -> None:
    made = table(task)
    result = fit_table(made, TrainSettings(epochs=30, hidden=(8,)))
    model = result.model
    assert model.task == task
    save(model, "m.pellucid")
    again = load("m.pellucid")
    assert isinstance(again, TableModel)
    assert again.predict(made).tobytes() == model.predict(made).tobytes()
    assert again.predict(made).dtype == model.predict(made).dtype
    if task != "regression":
        assert again.predict_proba(made).tobytes() == model.predict_proba(made).tobytes()
    assert (again.columns, again.target, again.classes) == (["a", "b", "c"], "t", model.classes)
    assert again.metrics == model.metrics
    assert again.history["curves"]["loss"] == result.history.curves["loss"]
    assert again.settings["hidden"] == [8]


@pytest.mark.parametrize(
    ("task", "metric", "sign"),
    [("binary", "auc", 1), ("multiclass", "accuracy", 1), ("regression", "rmse", -1)],
)
def test_the_network_learns_and_beats_the_plain_predictor(
    task: str, metric: str, sign: int
) -> None:
    metrics = fit_table(table(task, 400)).metrics
    network, plain, _ = metrics.values()
    assert next(iter(metrics)) == "network"
    assert network[metric] is not None
    assert plain[metric] is not None
    assert sign * network[metric] > sign * plain[metric]


def test_the_same_settings_give_the_same_model() -> None:
    a, b, c = (
        fit_table(table("binary"), TrainSettings(epochs=5, seed=seed)).model.predict_proba(
            table("binary")
        )
        for seed in (0, 0, 1)
    )
    assert a.tobytes() == b.tobytes() != c.tobytes()


def test_columns_are_matched_by_name_and_rows_by_position() -> None:
    made = table("regression")
    model = fit_table(made, TrainSettings(epochs=5)).model
    shuffled = Table(["c", "x", "a", "b"], made.X[:, [2, 0, 0, 1]])
    assert model.predict(shuffled).tobytes() == model.predict(made).tobytes()
    assert model.predict(made.X).tobytes() == model.predict(made).tobytes()
    with pytest.raises(DataError, match=r"lacks 1 column .*: 'b'"):
        model.predict(Table(["a", "c"], made.X[:, [0, 2]]))
    with pytest.raises(DataError, match=r"rows must have the shape \(m, 3\).*pass \[row\]"):
        model.predict(made.X[0])
    with pytest.raises(DataError, match=r"first in row 2, column 'c'"):
        model.predict([[1, 2, 3], [1, 2, np.nan]])
    with pytest.raises(DataError, match="rows must hold numbers; got the dtype <U1"):
        model.predict([["a", "b", "c"]])
    with pytest.raises(ValueError, match="'t' is a number, so there are no probabilities"):
        model.predict_proba(made)


def test_binary_predictions_follow_the_lecture() -> None:
    model = fit_table(table("binary"), TrainSettings(epochs=1, hidden=())).model
    model.network.W[1][...] = 0  # every output is exactly one half
    model.network.b[1][...] = 0
    assert model.classes == ["no", "yes"]
    assert model.predict([[1, 2, 3]]).tolist() == ["yes"]
    assert model.predict_proba([[1, 2, 3]]).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ["a", "b"]}, "it names 2 columns, the network takes 3"),
        ({"columns": ["a", "b", "b"]}, "it names 3 columns, the network takes 3|must differ"),
        ({"task": "rank"}, "the task is 'rank'; expected one of binary, multiclass, regression"),
        (
            {"task": "multiclass"},
            "a multiclass model with 2 classes has 2 outputs; the network has 1",
        ),
        ({"classes": ["a"]}, "a binary model with 1 classes"),
        ({"classes": "ab"}, "the entry 'classes' of model.json is 'ab'; expected a list"),
        ({"standardizer": {"mean": [0], "std": [1]}}, "expected mean and std of 3 columns, got 1"),
        ({"standardizer": {"mean": [0] * 3, "std": [1, 0, 1]}}, "std above 0"),
        (
            {"standardizer": {"mean": [0] * 3, "std": ["x"] * 3}},
            "'standardizer' of model.json is w",
        ),
    ],
)
def test_damaged_table_models(change: dict[str, Any], message: str) -> None:
    save(fit_table(table("binary"), TrainSettings(epochs=1)).model, "m")
    model = json.loads(Path("m/model.json").read_text())
    Path("m/model.json").write_text(json.dumps({**model, **change}))
    with pytest.raises(ModelError, match=message):
        load("m")
    assert read_folder("m").model["kind"] == "table_model"


def test_metrics_by_hand() -> None:
    labels, p = np.array([0, 1, 1, 0]), np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3], [0.5, 0.5]])
    found = classification_metrics(labels, p, np.array([0, 1, 0, 1]))
    # right: rows 1 and 2 of 4; pairs (0, 1) in the right order: .2<.6, .2<.3, .5<.6 of 4
    assert found["accuracy"] == 0.5
    assert found["auc"] == 0.75
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([0.8, 0.6, 0.3, 0.5])))
    assert classification_metrics(labels[:1], p[:1], np.array([0]))["auc"] is None
    found = regression_metrics(np.array([1.0, 2, 6]), np.array([1.0, 4, 5]))
    # errors 0, 2, -1; the mean of y is 3, its squares about it 4 + 1 + 9
    assert found == {"rmse": pytest.approx((5 / 3) ** 0.5), "mae": 1.0, "r2": 1 - 5 / 14}
    assert regression_metrics(np.ones(2), np.ones(2))["r2"] is None


def test_lines_end_as_csv_needs_them() -> None:
    for text in ("a\r\nb\rc\n\nd", "\n", "", "x\r", '"a\nb",c\r\n'):
        assert list(_lines(text)) == list(io.StringIO(text, newline=""))


def test_a_wrong_probability_of_0_costs_no_infinity() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = classification_metrics(np.array([0, 1]), p, np.array([0, 0]))
    assert found["log_loss"] == pytest.approx(-0.5 * np.log(np.finfo(np.float32).eps))
