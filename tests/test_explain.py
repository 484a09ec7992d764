"""What each column adds to a prediction."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pellucid import MLPClassifier, TabularClassifier, TabularRegressor, explain
from pellucid.tables import Table

SMALL: dict[str, Any] = {"hidden_layer_sizes": (12,), "epochs": 25}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=300),
            "colour": rng.choice(["red", "green", "blue"], 300),
            "noise": rng.normal(size=300),
        }
    )
    frame.loc[::17, "size"] = np.nan
    return frame


def score(rows: pd.DataFrame) -> Any:
    return rows["size"].fillna(0) + 2 * (rows["colour"] == "red")


MODELS = {
    "regression": (TabularRegressor, lambda s: 100 + 10 * s, 1),
    "binary": (TabularClassifier, lambda s: np.where(s > 1, "yes", "no"), 1),
    "multiclass": (TabularClassifier, lambda s: np.digitize(s, [0.3, 1.5]), 1),
    "ensemble": (TabularClassifier, lambda s: np.where(s > 1, "yes", "no"), 2),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, rows: pd.DataFrame) -> Any:
    make, target, networks = MODELS[request.param]
    return make(**SMALL, ensemble=networks).fit(rows, target(score(rows)))


def test_the_parts_add_up_to_the_prediction(model: Any, rows: pd.DataFrame) -> None:
    found = explain(model, rows[:40])
    assert found.columns == ["size", "colour", "noise"]
    spread = 10.0 if isinstance(model, TabularRegressor) else 1.0
    total = found.start + found.contributions.sum(axis=1)
    np.testing.assert_allclose(total, found.value, atol=1e-2 * spread)
    if isinstance(model, TabularRegressor):
        np.testing.assert_allclose(found.value, model.predict(rows[:40]), rtol=1e-6)
        assert found.of == []
    else:
        np.testing.assert_allclose(found.value, model.predict_proba(rows[:40]).max(axis=1))
        assert found.of == model.predict(rows[:40]).tolist()


def test_what_counts_gets_more_than_noise(model: Any, rows: pd.DataFrame) -> None:
    importance = explain(model, rows).importance()
    assert list(importance)[-1] == "noise"
    assert importance["colour"] > 3 * importance["noise"]


def test_a_class_may_be_chosen(rows: pd.DataFrame) -> None:
    model = TabularClassifier(**SMALL, ensemble=1).fit(rows, np.where(score(rows) > 1, 1, 0))
    one, other = (explain(model, rows[:20], of=label) for label in (1, 0))
    np.testing.assert_allclose(one.contributions, -other.contributions, atol=1e-12)
    np.testing.assert_allclose(one.value, model.predict_proba(rows[:20])[:, 1])
    row = one.row(3)
    assert sorted(row) == ["colour", "noise", "size"]
    assert list(row.values()) == sorted(row.values(), key=lambda part: -abs(part))
    assert json.loads(json.dumps(one.to_dict()))["columns"] == one.columns


def test_a_table_model_explains_too(model: Any, rows: pd.DataFrame) -> None:
    whole = explain(model, rows[:5])
    again = explain(model.model_, Table({k: rows[k][:5].to_numpy() for k in rows}))
    np.testing.assert_array_equal(whole.contributions, again.contributions)


@pytest.mark.parametrize(
    ("of", "message"),
    [("maybe", r"'maybe' is no class of .*; its classes are 'no', 'yes'")],
)
def test_an_unknown_class_is_refused(of: Any, message: str, rows: pd.DataFrame) -> None:
    model = TabularClassifier(**SMALL, ensemble=1).fit(rows, np.where(score(rows) > 1, "yes", "no"))
    with pytest.raises(ValueError, match=message):
        explain(model, rows, of=of)


def test_numbers_have_no_class(rows: pd.DataFrame) -> None:
    model = TabularRegressor(**SMALL, ensemble=1).fit(rows, score(rows))
    with pytest.raises(ValueError, match="is a number and has no classes; leave of out"):
        explain(model, rows, of=1)
    with pytest.raises(ValueError, match="row must be 0 to 1; got 2"):
        explain(model, rows[:2]).row(2)
    with pytest.raises(ValueError, match=r"row must be 0 to 1; got 0\.5"):
        explain(model, rows[:2]).row(0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TabularClassifier(), r"explain takes a fitted Tabular.*; got .*It is not fitted"),
        (MLPClassifier(), r"For a network: insight\.integrated_gradients"),
        (None, r"got None"),
    ],
)
def test_what_is_no_table_model_is_refused(model: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        explain(model, [[1]])
