"""What fit of the tabular estimators is given beside X and y: weights, validation rows, parting."""

from __future__ import annotations

import os
import pickle
import signal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from pellucid import TabularClassifier, TabularRegressor, load
from pellucid.callbacks import Callback
from pellucid.errors import DataError, InterruptedWarning, SettingsError

M = 120


@pytest.fixture
def X(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {"a": 5 + 3 * rng.normal(size=M), "b": rng.normal(size=M), "kind": ["u", "v", "w"] * 40}
    )


@pytest.fixture
def y(X: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    return np.where(X["a"] + rng.normal(size=M) > 5, "hot", "cold")


def clf(**parameters: Any) -> TabularClassifier:
    return TabularClassifier((8,), **{"epochs": 5, "ensemble": 1, **parameters})


def reg(**parameters: Any) -> TabularRegressor:
    return TabularRegressor((8,), **{"epochs": 5, "ensemble": 1, **parameters})


def same(a: Any, b: Any, X: Any) -> bool:
    method = "predict_proba" if hasattr(a, "predict_proba") else "predict"
    return bool((getattr(a, method)(X) == getattr(b, method)(X)).all())


# Weights ------------------------------------------------------------------------------------------


def test_equal_weights_are_none_bit_for_bit(X: pd.DataFrame, y: np.ndarray) -> None:
    for make, target in ((clf, y), (reg, X["b"] ** 2)):
        for ensemble in (1, 3):
            plain = make(ensemble=ensemble).fit(X, target)
            for weights in (np.ones(M), [3] * M, pd.Series(np.full(M, 0.25))):
                assert same(make(ensemble=ensemble).fit(X, target, weights), plain, X)
            assert not same(make(ensemble=ensemble).fit(X, target, 1 + np.arange(M)), plain, X)


def test_rows_of_weight_0_are_as_if_they_were_not_there(
    X: pd.DataFrame, y: np.ndarray, rng: np.random.Generator
) -> None:
    counted = rng.random(M) < 0.6
    for make, target in ((clf, y), (reg, X["b"].to_numpy() ** 2)):
        for ensemble in (1, 3):
            options = {
                "ensemble": ensemble,
                **({"class_weight": "balanced"} if make is clf else {}),
            }
            weighted = make(**options).fit(X, target, counted * 7.0)
            assert same(weighted, make(**options).fit(X[counted], target[counted]), X)
    # The class of a row that does not count is known all the same.
    three = np.where(np.arange(M) == 5, "odd", y)
    fitted = clf().fit(X, three, np.arange(M) != 5)
    assert fitted.classes_.tolist() == ["cold", "hot", "odd"]


@pytest.mark.parametrize("make", [clf, reg])
def test_a_weight_of_2_is_a_row_that_is_there_twice(make: Any, rng: np.random.Generator) -> None:
    """With columns of two values, so that no median moves, in one batch and with own validation."""
    X = pd.DataFrame({name: rng.integers(0, 2, M) for name in "abc"})
    y: Any = X["a"] + X["b"] * rng.random(M)
    y = np.where(y > 0.7, "hot", "cold") if make is clf else y.to_numpy()
    weights = rng.integers(1, 4, M)
    twice = np.repeat(np.arange(M), weights)
    own = {"X_val": X[:30], "y_val": y[:30]}
    for class_weight in (None, "balanced") if make is clf else (None,):
        options = {"optimizer": "lbfgs", "epochs": 20, "l2": 0.01}
        options |= {"class_weight": class_weight} if class_weight else {}
        weighted = make(**options).fit(X, y, weights, **own)
        repeated = make(**options).fit(X.iloc[twice], y[twice], **own)
        unweighted = make(**options).fit(X, y, **own)
        ask = "predict_proba" if make is clf else "predict"
        p, q, r = (getattr(each, ask)(X) for each in (weighted, repeated, unweighted))
        np.testing.assert_allclose(p, q, atol=2e-4)
        assert np.abs(p - r).max() > 1e-2
    if make is reg:
        assert weighted.model_.target_mean == pytest.approx(y[twice].mean())
        assert weighted.model_.target_std == pytest.approx(y[twice].std())


def test_weights_count_in_what_follows_from_the_classes(X: pd.DataFrame) -> None:
    y = np.where(np.arange(M) % 10 == 0, "rare", "often")
    smoothing = [
        clf(class_weight=class_weight).fit(X, y, weights).history_[0].settings["label_smoothing"]
        for class_weight, weights in (
            (None, None),
            (None, np.where(y == "rare", 9, 1)),
            ("balanced", np.where(y == "rare", 90, 1)),
        )
    ]
    assert smoothing == [0, 0.05, 0.05]
    rare = clf(epochs=15).fit(X, y, np.where(y == "rare", 9, 1)).predict_proba(X)[:, 1].mean()
    assert rare > clf(epochs=15).fit(X, y).predict_proba(X)[:, 1].mean() + 0.2


@pytest.mark.parametrize("name", ["sample_weight", "sample_weight_val"])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.r_[np.ones(M - 1), -1], "is negative in 1 row: 120"),
        (np.r_[np.nan, np.ones(M - 1)], "is missing in 1 row: 1"),
        (np.r_[np.inf, np.ones(M - 1)], "infinite values|is infinite"),
        (np.zeros(M), "is zero in every row, so no row counts"),
        (np.ones(M - 1), "must hold a number for each of 120 rows; got 119 values"),
        (["a"] * M, "must hold a number for each of 120 rows; got 120 values, not numbers"),
        (np.ones((M, 2)), r"has the shape \(120, 2\)"),
    ],
)
def test_what_is_no_weight(
    name: str, weights: Any, message: str, X: pd.DataFrame, y: np.ndarray
) -> None:
    own = {"X_val": X, "y_val": y} if name.endswith("val") else {}
    with pytest.raises(DataError, match=f"{name}:? ?({message})"):
        clf().fit(X, y, **{name: weights}, **own)


def test_weights_of_any_size(X: pd.DataFrame, y: np.ndarray) -> None:
    weights = np.full(M, 1e-100)
    weights[3] = 1e100
    assert np.isfinite(clf(ensemble=3).fit(X, y, weights).predict_proba(X)).all()
    with pytest.raises(DataError, match="X, without the rows of weight 0, has 3 rows; at least 4"):
        clf().fit(X, y, np.arange(M) < 3)
    with pytest.raises(DataError, match="the target 'y' is constant: every row holds 'hot'"):
        clf().fit(X, y, y == "hot")
    three = np.where(np.arange(M) < 9, "odd", y)  # the one class that counts has no weight
    with pytest.raises(ValueError, match="sample_weight is 0 for every example"):
        clf(class_weight={"hot": 0, "cold": 0}).fit(X, three, np.arange(M) >= 9)


# Validation rows of one's own ---------------------------------------------------------------------


def test_own_validation_rows_mean_one_network_that_trains_on_all_rows(
    X: pd.DataFrame, y: np.ndarray, tmp_path: Any
) -> None:
    own = X[:30]
    fitted = clf(ensemble=None).fit(X, y, X_val=own, y_val=y[:30])
    assert len(fitted.history_) == 1
    assert fitted.model_.data["parts"] == [[M, 30]]
    assert fitted.model_.data["validation"] == "own"
    for other in (
        own[["kind", "b", "a"]],
        own.assign(more=1),
        pl.DataFrame(own),
        own.to_dict("list"),
        own.astype(object).to_numpy(),
    ):
        assert same(clf().fit(X, y, X_val=other, y_val=pd.Series(y[:30])), fitted, X)
    by_position = clf().fit(X.astype(object).to_numpy(), y, X_val=own.to_numpy(), y_val=y[:30])
    assert (by_position.predict_proba(X.to_numpy()) == fitted.predict_proba(X)).all()
    fitted.save(tmp_path / "m")
    assert same(load(tmp_path / "m"), fitted, X)
    # The best epoch is that of these rows, by their weights.
    curve = fitted.history_[0].curves["val_loss"]
    weights = np.arange(30) + 1.0
    weighted = clf().fit(X, y, X_val=own, y_val=y[:30], sample_weight_val=weights).history_[0]
    assert weighted.curves["val_loss"] != curve
    assert weighted.curves["loss"] == fitted.history_[0].curves["loss"]
    ones = clf().fit(X, y, X_val=own, y_val=y[:30], sample_weight_val=np.ones(30)).history_[0]
    assert ones.curves["val_loss"] == curve


def test_numbers_validate_in_their_own_terms(X: pd.DataFrame) -> None:
    y = 1000 + 50 * X["b"] ** 2
    fitted = reg(epochs=20).fit(X, y, X_val=X, y_val=y)
    curves = fitted.history_[0].curves
    best = min(curves["val_loss"])
    mse = np.mean((fitted.predict(X) - y) ** 2) / fitted.model_.target_std**2
    assert best == pytest.approx(mse, rel=1e-4)


@pytest.mark.parametrize(
    ("own", "error", "message"),
    [
        ({"X_val": slice(9)}, SettingsError, "X_val is given, but y_val is not"),
        ({"y_val": slice(9)}, SettingsError, "y_val is given, but X_val is not"),
        ({"X_val": slice(9), "y_val": slice(8)}, DataError, "X_val has 9 rows and y_val has 8 val"),
        ({"X_val": slice(0), "y_val": slice(0)}, DataError, "X_val has 0 rows"),
    ],
)
def test_own_validation_rows_that_are_not_whole(
    own: dict[str, slice], error: Any, message: str, X: pd.DataFrame, y: np.ndarray
) -> None:
    source = {"X_val": X, "y_val": y}
    with pytest.raises(error, match=message):
        clf().fit(X, y, **{name: source[name][rows] for name, rows in own.items()})


def test_own_validation_rows_that_do_not_fit(X: pd.DataFrame, y: np.ndarray) -> None:
    own = {"X_val": X, "y_val": y}
    with pytest.raises(DataError, match="X_val lacks 1 column that the model was trained with: 'b"):
        clf().fit(X, y, X_val=X.drop(columns="b"), y_val=y)
    with pytest.raises(DataError, match="y_val: the target holds 'warm', which is not among the c"):
        clf().fit(X, y, X_val=X, y_val=np.where(X["b"] > 1, "warm", y))
    with pytest.raises(DataError, match="X_val: column 'a' holds texts that are not numbers"):
        clf().fit(X, y, X_val=X.assign(a="x"), y_val=y)
    with pytest.raises(DataError, match="y_val: the target 'b' holds texts, such as"):
        reg().fit(X, X["b"] ** 2, **own)
    with pytest.raises(DataError, match="X_val has 1 features, but TabularClassifier is expecti"):
        clf().fit(X[["a", "b"]].to_numpy(), y, X_val=X[["a"]].to_numpy(), y_val=y)
    with pytest.raises(SettingsError, match="ensemble is 3, but with X_val one network is trained"):
        clf(ensemble=3).fit(X, y, **own)
    with pytest.raises(
        SettingsError, match="groups splits the rows, but X_val is already split off"
    ):
        clf().fit(X, y, **own, groups="kind")


@pytest.fixture
def routing() -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_a_pipeline_transforms_them(X: pd.DataFrame, y: np.ndarray) -> None:
    numbers = X[["a", "b"]]
    last = clf().set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
    own = {"X_val": numbers[:30], "y_val": y[:30], "sample_weight_val": 1 + np.arange(30)}
    pipe = Pipeline([("scale", StandardScaler()), ("net", last)], transform_input=["X_val"])
    pipe.fit(numbers, y, **own)
    scale = StandardScaler().fit(numbers).transform
    own["X_val"] = scale(numbers[:30])
    assert same(pipe["net"], clf().fit(scale(numbers), y, **own), scale(numbers))
    assert same(pickle.loads(pickle.dumps(pipe)), pipe, numbers)


@pytest.mark.usefixtures("routing")
def test_groups_and_weights_are_routed_to_each_fold(X: pd.DataFrame, y: np.ndarray) -> None:
    asked = clf().set_fit_request(groups=True, sample_weight=True)
    asked = asked.set_score_request(sample_weight=False)
    given = {"groups": np.arange(M) // 10, "sample_weight": 1 + np.arange(M)}
    search = GridSearchCV(asked, {"l2": [0.0, 0.1]}, cv=GroupKFold(3)).fit(X, y, **given)
    assert search.best_estimator_.model_.data["validation"] == "group"
    assert same(search.best_estimator_, clone(search.best_estimator_).fit(X, y, **given), X)
    found = cross_validate(asked, X, y, params=given, cv=GroupKFold(3), return_estimator=True)
    assert {each.model_.data["validation"] for each in found["estimator"]} == {"group"}


# Groups, time, target -----------------------------------------------------------------------------


def test_groups_and_time_by_name_or_as_arrays(X: pd.DataFrame, y: np.ndarray) -> None:
    who, day = np.arange(M) // 10, pd.date_range("2024-01-01", periods=M)
    rows = X.assign(who=who, day=day)
    by_group = clf(ensemble=3).fit(X, y, groups=who)
    named = clf(ensemble=3).fit(X.assign(who=who), y, groups="who")
    assert named.left_out_ == {"who": "it groups the rows"}
    assert same(named, by_group, rows)
    assert not same(clf(ensemble=3).fit(X, y), by_group, X)
    kept = clf(ensemble=3, keep=["who"]).fit(X.assign(who=who), y, groups="who")
    assert kept.left_out_ == {}
    by_time = clf().fit(X, y, time=day)
    assert by_time.model_.data["parts"] == [[96, 24]]
    dropped = clf(drop=["day"]).fit(X.assign(day=day), y, time="day")
    assert same(dropped, by_time, rows)
    assert clf().fit(X.assign(day=day), y, time="day").left_out_ == {}
    backwards = clf().fit(X, y, time=day[::-1].strftime("%d.%m.%Y"))
    assert not same(backwards, by_time, X)
    assert same(backwards, clf().fit(X, y, time=-np.arange(M)), X)
    assert same(clf().fit(X, y, time=[str(each) for each in day]), by_time, X)


def test_target_names_the_column_that_is_y(X: pd.DataFrame, y: np.ndarray) -> None:
    rows = X.assign(heat=y == "hot")
    expected = clf().fit(X, rows["heat"])
    for form in (
        rows,
        pl.DataFrame(rows),
        pl.DataFrame(rows).lazy(),
        pl.DataFrame(rows).to_arrow(),
        rows.to_dict("list"),
        rows.to_dict("records"),
    ):
        fitted = clf().fit(form, target="heat")
        assert fitted.classes_.tolist() == [False, True]
        assert fitted.classes_.dtype == np.bool_
        assert fitted.feature_names_in_.tolist() == ["a", "b", "kind"]
        assert fitted.model_.target == "heat"
        assert same(fitted, expected, form)
        assert (fitted.predict(form) == expected.predict(X)).all()
    own = clf().fit(rows, target="heat", X_val=rows[:30])
    assert same(own, clf().fit(X, rows["heat"], X_val=X[:30], y_val=rows["heat"][:30]), X)
    array = clf().fit(rows[["a", "heat", "b"]].to_numpy(dtype=float), target="2")
    assert array.n_features_in_ == 2
    assert array.predict(X[["a", "b"]].to_numpy()).shape == (M,)
    with pytest.raises(SettingsError, match="X_val is given, but y_val is not"):
        clf().fit(rows, target="heat", X_val=rows.to_numpy())
    numbered = pd.DataFrame(X[["a", "b"]].to_numpy()).assign(t=y)
    assert reg().fit(numbered[[0, 1]], target=1).model_.target == "1"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"y": 1, "target": "kind"},
            SettingsError,
            "target names the column of X that is y, but y",
        ),
        ({"target": "Kind"}, DataError, "X has no column 'Kind'.*did you mean 'kind'"),
        ({"target": "kind", "groups": "kind"}, SettingsError, "groups names the target 'kind'"),
        (
            {"y": 1, "groups": "who"},
            SettingsError,
            "groups names the column 'who', which does not e",
        ),
        ({"y": 1, "groups": "kind", "time": "a"}, SettingsError, "groups and time are both given"),
        ({"y": 1, "time": "kind"}, DataError, "'kind' holds 'u', which is not a time"),
        ({"y": 1, "groups": [1, 2]}, DataError, "X has 120 rows and groups has 2 values"),
        ({"y": 1, "groups": [1] * M}, DataError, "'groups' holds one group; at least 2 are needed"),
        ({"y": 1, "time": [1] * M}, DataError, "'time' is 1 in every row"),
        ({"y": 1, "time": [None] * 3 + [1] * (M - 3)}, DataError, "no time in 3 rows: 1, 2, 3"),
        ({}, ValueError, "requires y to be passed, but the target y is None"),
    ],
)
def test_arguments_that_cannot_be(
    given: dict[str, Any], error: Any, message: str, X: pd.DataFrame, y: np.ndarray
) -> None:
    given = {name: y if name == "y" else value for name, value in given.items()}
    with pytest.raises(error, match=message):
        clf().fit(X, **given)


# Predictions, interruptions -----------------------------------------------------------------------


def test_the_logarithm_of_probabilities(X: pd.DataFrame, y: np.ndarray) -> None:
    fitted = clf().fit(X, y)
    np.testing.assert_array_equal(fitted.predict_log_proba(X), np.log(fitted.predict_proba(X)))
    for network in fitted.model_.networks:
        network.b[network.L][:] = 1e4  # saturated: one probability is exactly 0
    assert (fitted.predict_log_proba(X) == [-np.inf, 0]).all()


def test_a_wrong_number_of_columns_names_the_estimator(X: pd.DataFrame, y: np.ndarray) -> None:
    numbers = X[["a", "b"]].to_numpy()
    for fitted in (clf().fit(numbers, y), reg().fit(numbers, X["b"] ** 2)):
        said = f"X has 3 features, but {type(fitted).__name__} is expecting 2 features as input"
        for rows in (np.zeros((2, 3)), [[1, 2, 3]], np.zeros((2, 3), dtype=object)):
            with pytest.raises(DataError, match=said):
                fitted.predict(rows)
        with pytest.raises(DataError, match=said), pytest.warns(UserWarning, match="names"):
            fitted.predict(X)


class Stop(Callback):
    """Presses Ctrl-C in the k-th network's training."""

    def __init__(self, k: int) -> None:
        self.k = k

    def on_train_begin(self, run: Any) -> None:
        self.k -= 1

    def on_epoch_end(self, run: Any) -> None:
        if self.k == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupted_ensemble_says_what_is_missing(
    X: pd.DataFrame, y: np.ndarray, tmp_path: Any
) -> None:
    asked = clf(ensemble=5, callbacks=[Stop(1)])
    said = r"interrupted: 1 of 5 networks is trained \(the last for 1 of 5 epochs\); the 4 others"
    with pytest.warns(InterruptedWarning, match=said):
        fitted = asked.fit(X, y)
    assert len(fitted.history_) == 1
    fitted.save(tmp_path / "m")
    assert "the 4 others are missing" in load(tmp_path / "m").model_.data["warnings"][-1]
