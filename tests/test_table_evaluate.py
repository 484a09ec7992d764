"""How good a model of a table is: metrics, baselines, and what the figures show."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from pellucid.errors import DataError
from pellucid.tables import Table, TrainSettings, hold_out
from pellucid.tables.evaluate import (
    Evaluation,
    calibration,
    class_numbers,
    classification_baselines,
    classification_metrics,
    confusion,
    evaluate,
    regression_baselines,
    regression_metrics,
    residuals,
    roc,
)
from pellucid.tables.fit import fit, prepare

SMALL = TrainSettings(hidden_layer_sizes=(8,), epochs=8, ensemble=1)


def make(task: str, m: int = 120, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 3))
    score = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=m)
    y: Any = {
        "binary": np.where(score > 0, "yes", "no"),
        "multiclass": np.digitize(score, [-1, 1]),
        "regression": 100 + 10 * score,
    }[task]
    return Table(dict(zip("abc", X.T.copy(), strict=True)), y, "t", "made up")


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


def test_a_wrong_probability_of_0_costs_no_infinity() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = classification_metrics(np.array([0, 1]), p, np.array([0, 0]))
    assert found["log_loss"] == pytest.approx(-0.5 * np.log(np.finfo(np.float32).eps))


def test_baselines_also_where_they_do_not_know_a_class_and_where_columns_outnumber_rows() -> None:
    Z = np.random.default_rng(0).normal(size=(12, 40)).astype(np.float32)
    found = classification_baselines(Z, np.arange(12) % 2, Z, np.arange(12) % 3)
    assert list(found) == ["majority class", "logistic regression"]
    assert found["majority class"]["accuracy"] == pytest.approx(1 / 3)
    y = Z[:, 0].astype(np.float64)
    numbers = regression_baselines(Z, y, Z, y)
    assert list(numbers) == ["mean", "linear regression"]
    assert numbers["mean"]["r2"] == pytest.approx(0)
    r2 = numbers["linear regression"]["r2"]
    assert r2 is not None
    assert r2 > 0.5


def test_plain_baselines_know_the_rows_seen_alone() -> None:
    Z = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
    labels, test = np.array([0, 0, 0, 1, 0, 0, 0, 1]), np.array([1, 1, 0, 1])
    found = classification_baselines(Z, labels, Z[:4], test)["majority class"]
    assert found["accuracy"] == 0.25
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([0.25, 0.25, 0.75, 0.25])))
    y = np.array([1.0, 3, 1, 3, 1, 3, 1, 3])
    mean = regression_baselines(Z, y, Z[:4], np.array([5.0, 6, 7, 8]))["mean"]
    assert mean["mae"] == 4.5


def test_the_plain_baseline_of_the_rows_themselves() -> None:
    table = make("regression")
    found = evaluate(fit(prepare(table, SMALL)), table).plain()
    assert list(found) == ["mean"]
    assert found["mean"]["r2"] == pytest.approx(0)
    table = make("binary")
    plain = evaluate(fit(prepare(table, SMALL)), table).plain()["majority class"]
    assert plain["accuracy"] == max(np.mean(table.y == each) for each in ("no", "yes"))


def test_figures_by_hand() -> None:
    labels = np.array([0, 1, 1, 2])
    predicted = np.array([0, 1, 2, 2])
    assert confusion(labels, predicted, 3).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    p = np.array([[0.95, 0.05], [0.05, 0.95], [0.0, 1.0]])
    assert calibration(np.array([0, 1, 0]), np.array([0, 1, 1]), p) == [
        {"low": 0.0, "high": 0.1, "rows": 1, "stated": pytest.approx(0.05), "true": 0.0},
        {"low": 0.9, "high": 1.0, "rows": 2, "stated": pytest.approx(0.975), "true": 0.5},
    ]
    assert roc(np.array([1, 1]), np.array([0.1, 0.2]))["true_positive"] == []
    many = roc(np.arange(5000) % 2, np.random.default_rng(0).random(5000))
    assert len(many["true_positive"]) == 200
    assert (many["false_positive"][0], many["true_positive"][-1]) == (0.0, 1.0)
    kept = residuals(np.arange(5000.0), np.zeros(5000))
    assert len(kept["true"]) == len(kept["predicted"]) == 2000
    assert kept["true"][-1] == 4999


@pytest.mark.parametrize(
    ("task", "keys"),
    [
        ("binary", {"classes", "confusion", "calibration", "roc"}),
        ("multiclass", {"classes", "confusion", "calibration"}),
        ("regression", {"residuals"}),
    ],
)
def test_an_evaluation_is_plain_data(task: str, keys: set[str]) -> None:
    seen, test = hold_out(make(task))
    found = evaluate(fit(prepare(seen, SMALL)), test, seen)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(plain) == {"task", "rows", "metrics"} | keys
    assert isinstance(found, Evaluation)
    if task != "regression":
        assert np.sum(plain["confusion"]) == sum(b["rows"] for b in plain["calibration"]) == test.m


def test_many_classes_with_long_names() -> None:
    names = np.array([f"класс {'x' * 60} {chr(97 + k)} 🐈" for k in range(26)])
    rng = np.random.default_rng(0)
    y = np.arange(260) % 26
    table = Table({"a": y + rng.normal(size=260), "b": rng.normal(size=260)}, names[y], "t")
    found = evaluate(fit(prepare(table, SMALL)), table)
    plain = found.to_dict()
    assert plain["classes"] == names.tolist()
    assert np.shape(plain["confusion"]) == (26, 26)


def test_labels_that_the_model_does_not_know() -> None:
    model = fit(prepare(make("binary"), dataclasses.replace(SMALL, epochs=1)))
    table = make("binary")
    table.y = np.array(["yes", "maybe"] * 60)
    with pytest.raises(
        DataError, match="holds 'maybe', which is not among the classes 'no', 'yes'"
    ):
        evaluate(model, table)
    with pytest.raises(DataError, match="was read without the target 't'"):
        evaluate(model, Table(table.columns))
    numbers = fit(prepare(make("regression"), dataclasses.replace(SMALL, epochs=1)))
    with pytest.raises(DataError, match="the target 't' holds texts, such as 'yes'"):
        evaluate(numbers, table)
    assert class_numbers(np.array(["2", "1"]), [1, 2]).tolist() == [1, 0]
    assert class_numbers(np.array([0, 1]), [False, True]).tolist() == [0, 1]
    assert class_numbers(np.array([2.0, 1.0]), ["1.0", "2.0"]).tolist() == [1, 0]
