"""diagnose takes drop-ins, tabular models, folders and histories, and names things as they do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from pellucid import (
    Dense,
    History,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    diagnose,
    save,
    train,
)
from pellucid.insight import Diagnosis
from pellucid.tables import TrainSettings, read_table
from pellucid.tables.fit import fit, prepare

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 400))
CURVED = (X[0] * X[1] > 0).astype(int)
NUMBERS = np.sin(X[0]) + X[1] * X[2]
RARE = (X[0] + 0.8 * RNG.normal(size=400) > 1.9).astype(int)


def serious(report: Diagnosis) -> list[str]:
    """The kinds of severity warning or error, in order."""
    return [f.kind for f in report.findings if f.severity != "info"]


def test_drop_in_estimators_tell_columns_by_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.T, columns=["age", "income", "rooms"])
    frame["rooms"] = 7.0
    model = MLPClassifier((8,), max_iter=60, random_state=0, learning_rate_init=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(frame, np.where(CURVED, "yes", "no"))
    report = diagnose(model, frame, np.where(CURVED, "yes", "no"))
    assert "column 'rooms'" in [f.where for f in report.findings]


def test_regressor_with_raw_target() -> None:
    model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X.T, 1000 * NUMBERS)
    assert "unscaled_target" in serious(diagnose(model, X.T, 1000 * NUMBERS))
    seen = ["parameters", "loss curves", "statistics", "some rows of the training"]
    assert diagnose(model).looked_at == seen
    assert "unscaled_target" in serious(diagnose(model))


def fitted(**settings: Any) -> MLPClassifier:
    """A drop-in on the curved table."""
    model = MLPClassifier(**{"hidden_layer_sizes": (24,), "random_state": 0} | settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X.T, CURVED)


def test_drop_in_is_judged_by_its_own_settings() -> None:
    """Steps are counted by its batches; what it suggests are its own parameters."""
    report = diagnose(fitted(max_iter=3), X.T, CURVED)
    first = report.findings[0]
    assert first.kind == "stopped_too_early"
    assert "after 3 epochs, 6 steps" in first.evidence
    assert first.fix == {"max_iter": 100}
    assert MLPClassifier(**report.suggest()).max_iter >= 100
    frozen = diagnose(fitted(learning_rate_init=1e-7), X.T, CURVED)
    assert serious(frozen) == ["learning_rate_too_low"]
    assert "with the learning rate 1e-07" in frozen.findings[0].evidence
    assert frozen.findings[0].fix == {"learning_rate_init": 0.0001}
    assert frozen.tried is not None
    assert frozen.suggest()["learning_rate_init"] > 0.0001


def test_drop_in_stopped_early_is_judged_by_its_best_epoch() -> None:
    model = fitted(early_stopping=True, max_iter=200, learning_rate_init=0.05, n_iter_no_change=30)
    scores = model.validation_scores_
    assert model.history_.best_epoch == int(np.argmax(scores)) + 1 < len(scores)


def test_the_best_epoch_put_back_by_early_stopping_is_no_fault() -> None:
    settings = {"early_stopping": True, "max_iter": 30, "learning_rate_init": 0.001}
    rows = np.random.default_rng(0).normal(size=(200, 6))
    labels = (rows[:, 0] > 0).astype(int)
    for seed in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MLPClassifier((8,), random_state=seed, **settings).fit(rows, labels)
        if model.history_.best_epoch == 1:
            break
    assert model.history_.best_epoch == 1 < model.history_.epochs
    kinds = [f.kind for f in diagnose(model, try_advice=False).findings]
    assert "weights_do_not_move" not in kinds


def test_partial_fits_count_together() -> None:
    model = MLPClassifier((24,), random_state=0, learning_rate_init=0.01)
    for _ in range(150):
        model.partial_fit(X.T, CURVED, classes=[0, 1])
    assert model.history_.epochs == 1
    assert diagnose(model, X.T, CURVED).ok


def test_a_few_partial_fits_are_counted() -> None:
    model = MLPClassifier((24,), random_state=0)
    for _ in range(3):
        model.partial_fit(X.T, CURVED, classes=[0, 1])
    assert "after 3 epochs, 6 steps" in diagnose(model, X.T, CURVED).findings[0].evidence


def test_an_error_of_one_network_is_an_error() -> None:
    model = ensemble(1)
    for history in model.model_.histories:
        history["statistics"] = []
    model.model_.networks[0].b[1][...] = -100
    report = diagnose(model, X.T, CURVED)
    assert (report.findings[0].kind, report.findings[0].severity) == ("dead_units", "error")


def test_what_would_show_more() -> None:
    model = fitted(max_iter=2)
    assert diagnose(fitted(max_iter=2, statistics=False)).more == [
        "the statistics of a training (statistics=True)",
        "the training data",
    ]
    assert diagnose(model, X.T, CURVED).more == [
        "data that it was not trained on (validation_data=...)"
    ]
    net = Network([Dense(1, "sigmoid")], 3, seed=0)
    assert (
        diagnose(net)
        .text()
        .endswith("More would be seen with the history of the training, the training data.")
    )


def ensemble(spoilt: int) -> TabularClassifier:
    """Four networks, so many of which have lost all but one of their hidden units."""
    model = TabularClassifier(hidden_layer_sizes=(16,), activation="relu", epochs=20, ensemble=4)
    model.fit(X.T, CURVED)
    for net in model.model_.networks[:spoilt]:
        net.b[1][1:] = -100
    return model


@pytest.mark.parametrize(("spoilt", "severity"), [(1, "info"), (2, "warning")])
def test_every_network_of_an_ensemble_is_judged(spoilt: int, severity: str) -> None:
    model = ensemble(spoilt)
    for history in model.model_.histories:
        history["statistics"] = []
    model.model_.networks.reverse()
    report = diagnose(model, X.T, CURVED)
    dead = next(f for f in report.findings if f.kind == "dead_units")
    assert dead.severity == severity
    assert report.looked_at[0] == "parameters of 4 networks"
    assert f"(network {5 - spoilt}; {spoilt} of 4 show it)" in dead.evidence


def test_what_all_networks_show_is_said_once() -> None:
    model = TabularClassifier(activation="identity", hidden_layer_sizes=(4,), ensemble=3, epochs=9)
    report = diagnose(model.fit(X.T, CURVED), X.T, CURVED)
    assert [f.kind for f in report.findings].count("no_non_linearity") == 1
    assert report.findings[0].evidence.endswith("so the network is W'x + b'")


def test_a_table_is_told_which_of_its_columns_to_drop() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.T, columns=["age", "income", "rooms"])
    frame["kind"] = np.where(CURVED, "yes", "no")
    model = TabularClassifier(hidden_layer_sizes=(4,), epochs=9, ensemble=1, keep=("kind",))
    report = diagnose(model.fit(frame, CURVED), frame, CURVED)
    assert report.findings[0].kind == "leak"
    assert report.suggest()["drop"] == ["kind"]


def test_a_class_is_named_by_its_label() -> None:
    model = MLPClassifier((8,), random_state=0, max_iter=15, batch_size=16, learning_rate_init=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X.T, np.where(RARE, "sick", "fine"))
    report = diagnose(model, X.T, np.where(RARE, "sick", "fine"))
    assert report.findings[0].where == "class 'sick'"
    assert "are of class 'sick', and the network finds" in report.findings[0].evidence


def said_of_parts(rarely: Any, held_out: Any) -> str:
    """What is said of the parts of 42 rows with a number and a category that one of them has."""
    learned, Y = np.stack([X[0, :28], rarely[:28]]), NUMBERS[:28]
    net = Network([Dense(4, "tanh"), Dense(1, "identity")], 2, seed=0)
    history = train(net, learned, Y, loss="mse", epochs=20)
    held = held_out, NUMBERS[28:42]
    report = diagnose(history, learned, Y, network=net, validation_data=held, try_advice=False)
    return " ".join(f.evidence for f in report.findings if f.kind == "drift")


@pytest.mark.parametrize("standardised", [False, True])
def test_a_category_of_one_row_is_not_scaled_differently(standardised: bool) -> None:
    rarely = np.where(np.arange(42) == 3, 1.0, 0.0)
    if standardised:
        rarely = (rarely - rarely[:28].mean()) / rarely[:28].std()
    held_out = np.stack([X[0, 28:42], rarely[28:]])
    assert said_of_parts(rarely, held_out) == ""
    raw = said_of_parts(rarely, np.stack([1000 * X[0, 28:42] + 5000, rarely[28:]]))
    assert "in 1 of 2 columns" in raw
    assert "scaled differently" in raw
    one_value = np.stack([np.full(14, 5000.0), rarely[28:]])  # no chance: training has none near it
    assert "scaled differently" in said_of_parts(rarely, one_value)


def test_of_advice_that_was_not_tried_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = X * np.array([[1], [1000], [0.01]])
    net = Network([Dense(8, "tanh"), Dense(1, "sigmoid")], 3, seed=0)
    history = train(net, inputs, CURVED, loss="bce", epochs=20)
    monkeypatch.setattr("pellucid.insight.diagnosis.trial.MOST", 1)
    report = diagnose(history, inputs, CURVED, network=net)
    assert "unscaled_inputs" in serious(report)
    assert "makes the score worse" not in report.text()


def test_model_of_a_table() -> None:
    settings = TrainSettings(hidden_layer_sizes=(4,), learning_rate=0.001, epochs=5, ensemble=1)
    model = fit(prepare(read_table("sample:iris", target="target"), settings))
    rows = load_iris()
    report = diagnose(model, rows.data, np.array(model.classes)[rows.target])
    assert report.looked_at == ["parameters", "loss curves", "statistics", "data"]
    assert "stopped_too_early" in serious(report)
    with pytest.raises(ValueError, match="'daisy', which is not among the classes"):
        diagnose(model, rows.data, ["daisy"] * 150)


def test_tabular_estimator() -> None:
    frozen = {"learning_rate": 1e-7, "epochs": 30, "hidden_layer_sizes": (4,), "ensemble": 1}
    model = TabularClassifier(**frozen).fit(X.T, CURVED)
    report = diagnose(model, X.T, CURVED)
    assert report.looked_at == ["parameters", "loss curves", "statistics", "data"]
    assert report.findings[0].kind == "learning_rate_too_low"
    with pytest.raises(NotFittedError, match="is not fitted yet; call fit before diagnose"):
        diagnose(TabularClassifier())


def test_model_folder(tmp_path: Any) -> None:
    net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], 3, initializer="zeros", seed=0)
    history = train(net, X, CURVED, loss="bce", epochs=3)
    save(net, tmp_path / "model", history=history)
    report = diagnose(tmp_path / "model")
    assert report.findings[0].kind == "zero_initialisation"
    assert report.looked_at == ["parameters", "loss curves", "statistics", "facts of the data"]


def test_history_alone() -> None:
    net = Network([Dense(24), Dense(1, "identity")], 3, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = train(
            net, X, NUMBERS, loss="mse", learning_rate=20.0, optimizer="gradient_descent",
            epochs=20,
        )  # fmt: skip
    assert history.stopped == "diverged"
    assert len(history.statistics) == 2  # before, and what is left
    assert diagnose(history).findings[0].kind == "learning_rate_too_high"
    assert diagnose(History.from_dict(history.to_dict())).findings == diagnose(history).findings
