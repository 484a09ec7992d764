"""Tables: settings, which rows do what, preparing, fitting, the model and its evaluation."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Dense, Network
from pellucid.activations import LeakyReLU
from pellucid.callbacks import Callback
from pellucid.errors import DataError, InterruptedWarning, SettingsError
from pellucid.optimizers import AdamW
from pellucid.tables import TASKS, Preprocessing, Table, TableModel, TrainSettings, hold_out
from pellucid.tables.evaluate import evaluate
from pellucid.tables.fit import fit, prepare
from pellucid.tables.split import check_learnable, folds, infer_task, validation_part
from pellucid.training import DivergenceWarning

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


# Settings -----------------------------------------------------------------------------------------


def test_all_faults_of_the_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        TrainSettings(
            task="multi",
            hidden_layer_sizes=(4, 0),
            activation="rleu",
            optimizer="adm",
            learning_rate=0,
            epochs=0,
            batch_size=1.5,
            patience=-1,
            l2=math.nan,
            dropout=1.0,
            label_smoothing=-0.1,
            validation_fraction=0,
            ensemble=0,
            class_weight="balance",
            categorical=3.5,
            drop={"a": 1},
            keep=None,
            seed=2**64,
            statistics="no",
        )
    assert [name for name, _ in caught.value.faults] == [
        field.name for field in dataclasses.fields(TrainSettings)
    ]
    for expected in (
        "task must be one of 'binary', 'multiclass', 'regression', or None; got 'multi' (did you "
        "mean 'multiclass",
        "(did you mean 'relu'?)",
        "(did you mean 'adam'?)",
        "hidden_layer_sizes must be whole numbers of 1 or more; got (4, 0).",
        "class_weight must be None, 'balanced' or a dict",
        "categorical must be names of columns; got 3.5.",
    ):
        assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"activation": "softmax"}, "activation 'softmax' is for the output layer"),
        ({"drop": ["a", "b"], "keep": "b"}, "drop and keep both name 'b'"),
        ({"task": "regression", "class_weight": "balanced"}, "class_weight is for classes"),
        ({"optimizer": "lbfgs", "dropout": 0.1}, "dropout must be 0 with lbfgs"),
        ({"class_weight": {"a": -1}}, "class_weight must be"),
        ({"epochs": True}, "epochs must be a whole number of 1 or more; got True"),
        ({"hidden_layer_sizes": "8"}, "hidden_layer_sizes must be whole numbers"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TrainSettings(**given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"hidden_layer_sizes": np.array([4, 3]), "epochs": np.int64(3), "l2": np.float32(0.5)},
        {"hidden_layer_sizes": (), "categorical": ["zip", 3], "drop": "x"},
        {"class_weight": {1: 2.0, "a": 0, False: 0.5}},
        {"activation": LeakyReLU(slope=0.2), "optimizer": AdamW(weight_decay=0.1)},
    ],
)
def test_settings_come_back_from_plain_data(given: dict[str, Any]) -> None:
    settings = TrainSettings(**given)
    again = TrainSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert again == settings


def test_settings_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no setting 'epoch' \(did you mean 'epochs'"):
        TrainSettings.from_dict({"epoch": 3})


# The task -----------------------------------------------------------------------------------------


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
        ([1, 2, 3, 1], "multiclass", "multiclass", "as asked for"),
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


def test_an_unknown_task() -> None:
    with pytest.raises(SettingsError, match=r"task must be .*got 'regresion' \(did you mean 'reg"):
        infer_task("y", np.array([1, 2]), "regresion")


# Which rows do what -------------------------------------------------------------------------------

Labels = st.lists(st.integers(0, 4), min_size=10, max_size=200)


@given(Labels, st.integers(0, 2**64 - 1), st.floats(0.05, 0.6))
def test_splits_are_stratified(labels: list[int], seed: int, share: float) -> None:
    y = np.unique(np.array(labels), return_inverse=True)[1]
    training, validation = validation_part(len(y), y, share, seed)
    assert sorted([*training, *validation]) == list(range(len(y)))
    assert len(validation) > 0
    assert set(y[training]) == set(y)
    for c in set(y):
        assert abs(np.sum(y[validation] == c) - share * np.sum(y == c)) <= 1


@given(Labels, st.integers(0, 2**64 - 1), st.integers(2, 7))
def test_folds_are_stratified(labels: list[int], seed: int, k: int) -> None:
    y = np.unique(np.array(labels), return_inverse=True)[1]
    pairs = folds(len(y), y, k, seed)
    single = np.bincount(y)[y] == 1
    validated = np.concatenate([validation for _, validation in pairs])
    assert sorted(validated) == np.flatnonzero(~single).tolist()
    for training, validation in pairs:
        assert sorted([*training, *validation]) == list(range(len(y)))
        assert len(validation)
        assert set(y[training]) == set(y)
        for c in set(y[validation]):
            assert abs(np.sum(y[validation] == c) - np.sum(y == c) / len(pairs)) < 1


def test_rows_of_numbers_are_cut_at_random_and_depend_on_the_seed_alone() -> None:
    for cut in (
        lambda seed: validation_part(100, None, 0.2, seed)[1],
        lambda s: folds(9, None, 3, s)[0][1],
    ):
        a, b, c = (cut(seed).tolist() for seed in (0, 0, 1))
        assert a == b != c
    assert [len(part) for part in validation_part(100, None, 0.2, 0)] == [80, 20]
    assert [len(validation) for _, validation in folds(11, None, 5, 0)] == [3, 2, 2, 2, 2]


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_held_out(task: str) -> None:
    table = make(task, 50)
    seen, test = hold_out(table, task, 0.2, 0)
    assert (seen.m, test.m) == (40, 10)
    both = np.concatenate([seen.columns["a"], test.columns["a"]])
    assert sorted(both) == sorted(table.columns["a"])
    assert not set(test.columns["a"]) & set(seen.columns["a"])


def test_tables_that_nothing_can_be_learned_from() -> None:
    columns = {"a": np.arange(20.0)}
    with pytest.raises(DataError, match="was read without a target"):
        prepare(Table(columns))
    with pytest.raises(DataError, match=r"'t' is constant: every row holds 'x' \(one class only;"):
        prepare(Table(columns, np.full(20, "x"), "t"))
    with pytest.raises(
        DataError, match=r"'t' is constant: every row holds 1\.5 \(nothing to learn"
    ):
        prepare(Table(columns, np.full(20, 1.5), "t"))
    with pytest.raises(DataError, match="has 3 rows; at least 4"):
        prepare(Table({"a": np.zeros(3)}, np.arange(3), "t"))
    with pytest.raises(DataError, match="has 9 rows; at least 10"):
        hold_out(Table({"a": np.zeros(9)}, np.arange(9), "t"))
    check_learnable(Table({"a": np.zeros(3)}, np.arange(3), "t"), least=2)


# Preparing ----------------------------------------------------------------------------------------


def test_one_network_and_its_preprocessing_see_the_training_rows_alone() -> None:
    table = make("regression")
    plan = prepare(table, SMALL)
    [(training, validation)] = plan.members
    assert (len(training), len(validation)) == (96, 24)
    expected = Preprocessing.fit(table.rows(training))
    assert plan.preprocessing.to_dict() == expected.to_dict()
    assert plan.Z.tobytes() == expected.transform(table.columns).tobytes()
    assert plan.target_mean == table.y[training].mean()
    assert plan.t[training].mean() == pytest.approx(0)
    assert plan.t[training].std() == pytest.approx(1)


def test_small_tables_have_five_networks_and_every_row_trains_some() -> None:
    table = make("regression")
    plan = prepare(table, TrainSettings(hidden_layer_sizes=4))
    assert len(plan.networks) == len(plan.members) == 5
    assert plan.preprocessing.to_dict() == Preprocessing.fit(table).to_dict()
    assert plan.target_mean == table.y.mean()
    assert len({network.W[1].tobytes() for network in plan.networks}) == 5
    seeds = {network.seed for network in plan.networks}
    others = prepare(table, TrainSettings(hidden_layer_sizes=4, seed=1)).networks
    assert len(seeds | {network.seed for network in others}) == 10
    for m, networks in ((1500, 5), (1999, 5), (2000, 1)):
        assert (
            len(prepare(make("binary", m), TrainSettings(hidden_layer_sizes=4)).members) == networks
        )
    assert len(prepare(make("binary", 1500), SMALL).networks) == 1


def test_columns_left_out_and_asked_for() -> None:
    table = make("binary")
    table.columns |= {"row": np.arange(120.0), "code": np.arange(120) % 7 + 10000.0}
    settings = dataclasses.replace(SMALL, drop=("b",), categorical=("code",))
    plan = prepare(table, settings)
    assert list(plan.left_out) == ["b", "row"]
    assert plan.columns == ["a", "b", "c", "row", "code"]
    assert list(plan.preprocessing.columns) == ["a", "c", "code"]
    assert plan.preprocessing.columns["code"].kind == "category"
    kept = prepare(table, dataclasses.replace(SMALL, keep=("row",)))
    assert list(kept.left_out) == []
    with pytest.raises(
        SettingsError, match=r"drop names the column 'B', .*mean 'b'.*keep names the column 'zip'"
    ):
        prepare(table, dataclasses.replace(SMALL, drop=("B",), keep=("zip",)))
    with pytest.raises(DataError, match="has no column to learn from"):
        prepare(make("binary"), dataclasses.replace(SMALL, drop=("a", "b", "c")))


def test_class_weights_are_those_of_the_labels() -> None:
    table = make("binary")
    plain, weighted, balanced = (
        fit(prepare(table, dataclasses.replace(SMALL, epochs=20, class_weight=weight)))
        for weight in (None, {"yes": 10.0}, "balanced")
    )
    assert (weighted.predict(table) == "yes").sum() > (plain.predict(table) == "yes").sum()
    assert balanced.settings["class_weight"] == "balanced"
    assert weighted.settings["class_weight"] == [["yes", 10.0]]
    for task, weight, message in (
        (
            "binary",
            {"no": 0, "yes ": 0},
            "class_weight is 0 for every class, so no row counts",
        ),
        (
            "binary",
            {"maybe": 1.0},
            "class_weight names 'maybe', which is not a class .*'no', 'yes'",
        ),
        ("regression", "balanced", "class_weight is for classes; the task is regression"),
    ):
        with pytest.raises(SettingsError, match=message):
            prepare(make(task), dataclasses.replace(SMALL, class_weight=weight))


# Fitting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "metric", "sign"),
    [("binary", "auc", 1), ("multiclass", "accuracy", 1), ("regression", "rmse", -1)],
)
def test_the_network_learns_and_beats_the_plain_predictor(
    task: str, metric: str, sign: int
) -> None:
    seen, test = hold_out(make(task, 400))
    settings = TrainSettings(hidden_layer_sizes=(16,), epochs=30, ensemble=2)
    found = evaluate(fit(prepare(seen, settings)), test, seen)
    network, plain, linear = found.metrics.values()
    assert next(iter(found.metrics)) == "network"
    assert found.m == 80
    assert network[metric] is not None
    assert plain[metric] is not None
    assert linear[metric] is not None
    assert sign * network[metric] > sign * plain[metric]


def test_the_same_settings_give_the_same_model() -> None:
    table = make("binary")
    a, b, c = (
        fit(prepare(table, dataclasses.replace(SMALL, seed=seed, ensemble=2))).predict_proba(table)
        for seed in (0, 0, 1)
    )
    assert a.tobytes() == b.tobytes() != c.tobytes()


def test_predictions_are_the_mean_over_the_networks() -> None:
    for task in TASKS:
        table = make(task)
        model = fit(prepare(table, dataclasses.replace(SMALL, ensemble=3)))
        parts = [dataclasses.replace(model, networks=[each]) for each in model.networks]
        assert len(parts) == len(model.histories) == 3
        of_parts = [
            part.predict(table) if task == "regression" else part.predict_proba(table)
            for part in parts
        ]
        whole = model.predict(table) if task == "regression" else model.predict_proba(table)
        np.testing.assert_allclose(whole, np.mean(of_parts, axis=0), rtol=1e-12)


def test_a_row_is_predicted_alone_as_among_others() -> None:
    table = make("multiclass", 60)
    model = fit(prepare(table, dataclasses.replace(SMALL, ensemble=2)))
    whole = model.predict_proba(table)
    for k in (0, 17, 59):
        assert model.predict_proba(table.rows([k])).tobytes() == whole[k : k + 1].tobytes()
    order = np.random.default_rng(0).permutation(60)
    assert model.predict_proba(table.rows(order)).tobytes() == whole[order].tobytes()


class Stop(Callback):
    """Presses Ctrl-C in the k-th network's training."""

    def __init__(self, k: int, epoch: int = 2) -> None:
        self.k, self.epoch, self.seen = k, epoch, 0

    def on_train_begin(self, run: Any) -> None:
        self.seen += 1

    def on_epoch_end(self, run: Any) -> None:
        if self.seen == self.k and run.epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupted_ensemble_keeps_what_was_learned() -> None:
    table = make("binary")
    settings = dataclasses.replace(SMALL, ensemble=4)
    said = (
        r"interrupted: 3 of 4 networks are trained \(the last for 2 of 8 epochs\); the other is "
        r"missing. Train again to get them all\."
    )
    with pytest.warns(InterruptedWarning, match=said) as caught:
        model = fit(prepare(table, settings), Stop(3))
    assert model.data["warnings"] == [str(caught[0].message)]
    assert [history["stopped"] for history in model.histories[2:]] == ["interrupted"]
    assert len(model.networks) == 3
    whole = fit(prepare(table, settings))
    for mine, theirs in zip(model.networks[:2], whole.networks, strict=False):
        assert mine.W[1].tobytes() == theirs.W[1].tobytes()
    assert np.isfinite(model.predict_proba(table)).all()


class Interrupt(Callback):
    """Ends the training before the first epoch of the k-th network."""

    def __init__(self, k: int) -> None:
        self.k, self.seen = k, 0

    def on_train_begin(self, run: Any) -> None:
        self.seen += 1

    def on_epoch_begin(self, run: Any) -> None:
        if self.seen == self.k:
            raise KeyboardInterrupt


def test_a_network_without_an_epoch_is_not_kept() -> None:
    settings = dataclasses.replace(SMALL, ensemble=3)
    with pytest.warns(InterruptedWarning, match=r"1 of 3 networks is trained; the 2 others are mi"):
        assert len(fit(prepare(make("binary"), settings), Interrupt(2)).networks) == 1
    with pytest.warns(InterruptedWarning, match="in the first epoch: nothing was learned. Train"):
        first = fit(prepare(make("binary"), settings), Interrupt(1))
    assert len(first.networks) == 1
    assert first.histories[0]["stopped"] == "interrupted"


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("ensemble", "said"),
    [
        (1, "interrupted after 2 of 8 epochs: what was learned until then is kept."),
        (3, r"3 of 3 networks are trained \(the last for 2 of 8 epochs\)\. Train again to get"),
    ],
)
def test_the_last_network_interrupted(ensemble: int, said: str) -> None:
    settings = dataclasses.replace(SMALL, ensemble=ensemble)
    with pytest.warns(InterruptedWarning, match=said):
        fit(prepare(make("binary"), settings), Stop(ensemble))


class Spoil(Callback):
    """Makes the k-th network's training diverge at an epoch."""

    def __init__(self, k: int, epoch: int) -> None:
        self.k, self.epoch, self.seen = k, epoch, 0

    def on_train_begin(self, run: Any) -> None:
        self.seen += 1

    def on_epoch_begin(self, run: Any) -> None:
        if self.seen == self.k and run.epoch == self.epoch:
            run.learning_rate = 1e38


def test_a_network_that_diverges_is_reported() -> None:
    settings = dataclasses.replace(SMALL, ensemble=3, l2=0.1)
    with pytest.warns(DivergenceWarning, match=r"network 2 of 3 diverged at step \d of epoch 4"):
        model = fit(prepare(make("regression"), settings), Spoil(2, 3))
    assert len(model.networks) == 3  # it has learned something
    assert "network 2 of 3 diverged" in model.data["warnings"][0]
    with pytest.warns(DivergenceWarning, match=r"network 1 of 3 diverged at step \d of epoch 1"):
        model = fit(prepare(make("regression"), settings), Spoil(1, 0))
    assert len(model.networks) == len(model.histories) == 2
    assert np.isfinite(model.predict(make("regression"))).all()


def test_a_learning_rate_with_which_nothing_is_learned() -> None:
    settings = dataclasses.replace(SMALL, learning_rate=1e38, l2=0.1)
    with pytest.raises(SettingsError, match=r"learning_rate 1e\+38 is too large: the training div"):
        fit(prepare(make("regression"), settings))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "momentum", AdamW()])
def test_every_optimizer_and_no_hidden_layer(task: str, optimizer: Any) -> None:
    settings = TrainSettings(hidden_layer_sizes=(), optimizer=optimizer, epochs=5, ensemble=1)
    table = make(task)
    assert np.isfinite(fit(prepare(table, settings)).inputs(table)).all()
    found = evaluate(fit(prepare(table, settings)), table)
    assert found.metrics["network"]["rmse" if task == "regression" else "accuracy"] is not None


def test_an_outlier_of_the_target_leaves_predictions_finite() -> None:
    table = make("regression")
    assert table.y is not None
    table.y[7] = 1e30
    for ensemble in (1, 3):
        model = fit(prepare(table, dataclasses.replace(SMALL, ensemble=ensemble)))
        assert np.isfinite(model.predict(table)).all()


def test_a_target_that_varies_in_the_validation_part_alone() -> None:
    columns = {"a": np.random.default_rng(0).normal(size=20)}
    _, validation = validation_part(20, None, 0.2, 0)
    y = np.zeros(20)
    y[validation[0]] = 1.0
    settings = dataclasses.replace(SMALL, task="regression")
    plan = prepare(Table(columns, y, "t"), settings)
    assert (plan.target_mean, plan.target_std) == (0.0, 1.0)
    assert np.isfinite(fit(plan).predict(columns)).all()


@pytest.mark.parametrize("m", [4, 5, 10])
@pytest.mark.parametrize("task", TASKS)
def test_tiny_tables(task: str, m: int) -> None:
    table = make(task, 40, seed=3).rows(slice(0, m))
    assert table.y is not None
    if task != "regression":
        table.y[:4] = np.unique(make(task).y)[[0, 1, 0, 1]]
    model = fit(prepare(table, TrainSettings(hidden_layer_sizes=(4,), epochs=3, task=task)))
    assert len(model.predict(table)) == m


def test_classes_of_one_two_and_three_rows() -> None:
    table = make("binary", 40)
    table.y = np.array(["a"] * 17 + ["b"] * 17 + ["c"] * 3 + ["d"] * 2 + ["e"])
    model = fit(prepare(table, TrainSettings(hidden_layer_sizes=(4,), epochs=3)))
    assert len(model.networks) == 5
    assert model.classes == list("abcde")
    assert model.predict_proba(table).shape == (40, 5)


# The model ----------------------------------------------------------------------------------------


def test_columns_are_found_by_name_and_arrays_by_position() -> None:
    table = make("regression")
    table.columns["row"] = np.arange(120.0)
    model = fit(prepare(table, SMALL))
    expected = model.predict(table).tobytes()
    shuffled = {name: table.columns[name] for name in ("c", "a", "b")}
    X = np.stack(list(table.columns.values()), axis=1)
    for rows in (
        shuffled,
        Table({"x": np.zeros(120), **shuffled}),
        [dict(zip("abc", row, strict=False)) for row in X.tolist()],
        X,
        X.tolist(),
        X.astype(object),
        np.asfortranarray(X),
    ):
        assert model.predict(rows).tobytes() == expected
    single = model.predict(X.astype(np.float32))
    np.testing.assert_allclose(single, model.predict(table), rtol=1e-4)


def test_what_columns_that_are_not_used_hold_does_not_matter() -> None:
    table = make("regression")
    table.columns["row"] = np.arange(120.0)
    model = fit(prepare(table, SMALL))
    odd = [object(), [1], np.inf] * 40
    named = {**table.columns, "row": odd, "more": [{}] * 120}
    by_position = np.empty((120, 4), dtype=object)
    for k, column in enumerate([*(table.columns[name] for name in "abc"), odd]):
        by_position[:, k] = column
    infinite = np.stack([*(table.columns[name] for name in "abc"), np.full(120, np.inf)], axis=1)
    for rows in (named, by_position, infinite):
        assert model.predict(rows).tobytes() == model.predict(table).tobytes()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": [1.0], "c": [1.0]}, r"lacks 1 column .*: 'b'"),
        (np.zeros((2, 2)), "X has 2 features, but TableModel is expecting 3 features"),
        ([[1, 2, 3, 4]], "X has 4 features, but TableModel is expecting 3 features"),
        (np.zeros(3), r"an array of the shape \(3,\).*pass \[row\]"),
        (np.array([[0, 1, np.inf]]), "infinite values in 1 column: '3'"),
        (np.array([[0, -1e300, 0]]), "values beyond 1e.38, too large to compute with"),
        (
            {"a": ["x"], "b": [1], "c": [2]},
            "column 'a' holds texts that are not numbers, such as 'x'",
        ),
        ({"a": [1], "b": [1, 2], "c": [2]}, "its columns differ in length"),
    ],
)
def test_rows_that_cannot_be_predicted(rows: Any, message: str) -> None:
    model = fit(prepare(make("binary"), dataclasses.replace(SMALL, epochs=1)))
    with pytest.raises(DataError, match=message):
        model.predict(rows)


def test_numbers_have_no_probabilities() -> None:
    model = fit(prepare(make("regression"), dataclasses.replace(SMALL, epochs=1)))
    with pytest.raises(ValueError, match="'t' is a number, so there are no probabilities"):
        model.predict_proba(make("regression"))


def test_missing_values_are_predicted_too() -> None:
    model = fit(prepare(make("binary"), SMALL))
    p = model.predict_proba({"a": [None, 1.0], "b": [math.nan] * 2, "c": [None, None]})
    assert np.isfinite(p).all()
    assert model.predict(np.empty((0, 3))).shape == (0,)


def test_binary_predictions_follow_the_lecture() -> None:
    preprocessing = Preprocessing.fit(make("binary"))
    half = Network([Dense(1, "sigmoid")], 3, "zeros")  # every output is exactly one half
    model = TableModel(preprocessing, [half], "binary", "t", list("abc"), ["no", "yes"])
    assert model.predict([[1, 2, 3]]).tolist() == ["yes"]
    assert model.predict_proba([[1, 2, 3]]).tolist() == [[0.5, 0.5]]
