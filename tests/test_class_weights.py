"""Classes that are not equal: their weights, and how far their labels are smoothed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid.tables import Table, TrainSettings, hold_out
from pellucid.tables.evaluate import evaluate
from pellucid.tables.fit import fit, prepare


def smoothing_of(y: Any, **settings: Any) -> float:
    table = Table({"a": np.random.default_rng(0).normal(size=len(y))}, np.array(y), "t")
    settings = {"hidden_layer_sizes": (2,), "epochs": 1, "ensemble": 2, **settings}
    chosen = [each["settings"] for each in fit(prepare(table, TrainSettings(**settings))).histories]
    assert len({each["label_smoothing"] for each in chosen}) == 1
    return float(chosen[0]["label_smoothing"])


def test_the_smoothing_follows_the_shares_of_the_classes_and_their_weights() -> None:
    equal, rare = ["a", "b"] * 20, ["a"] * 36 + ["b"] * 4
    assert smoothing_of(equal) == smoothing_of(["a"] * 30 + ["b"] * 10) == 0.05
    assert smoothing_of(rare) == smoothing_of([0, 1, 2] * 10 + [2] * 90) == 0
    assert smoothing_of(rare, class_weight="balanced") == 0.05
    assert smoothing_of(rare, class_weight={"b": 9.0}) == 0.05
    assert smoothing_of(equal, class_weight={"a": 0.1}) == 0
    assert smoothing_of(rare, label_smoothing=0.3) == 0.3
    assert smoothing_of(np.arange(40) / 7) == 0


def test_probabilities_of_a_rare_class_are_no_worse_than_its_share() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 4))
    score = X @ [1, -1, 0.5, 0] + 1.5 * rng.logistic(size=4000)
    y = np.where(score > np.quantile(score, 0.98), "yes", "no")
    seen, test = hold_out(Table(dict(zip("abcd", X.T.copy(), strict=True)), y, "t"))
    settings = TrainSettings(hidden_layer_sizes=(16,), epochs=15)
    found = evaluate(fit(prepare(seen, settings)), test, seen).metrics
    losses = [found[name]["log_loss"] for name in ("network", "majority class")]
    assert losses[0] is not None
    assert losses[1] is not None
    assert losses[0] < 0.95 * losses[1]


@pytest.mark.parametrize(
    ("y", "weight", "factors"),
    [
        (["a", "b"], {" a": 2}, [2, 1]),
        (["1", "x"], {1: 2}, [2, 1]),
        ([1, 2], {"1": 2, 2.0: 3}, [2, 3]),
        ([0.5, 1.5], {"0.5": 0}, [0, 1]),
        ([False, True], {1: 2}, [1, 2]),
        ([False, True], {"true": 2}, [1, 2]),
    ],
)
def test_class_weights_name_labels_as_a_table_holds_them(
    y: list[Any], weight: dict[Any, float], factors: list[float]
) -> None:
    table = Table({"a": np.random.default_rng(0).normal(size=20)}, np.array(y * 10), "t")
    plan = prepare(table, TrainSettings(class_weight=weight, task="binary"))
    assert plan.class_factors is not None
    assert plan.class_factors.tolist() == factors
