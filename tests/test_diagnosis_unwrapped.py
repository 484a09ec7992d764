"""diagnose looks into pipelines, searches and scikit-learn's own MLP; histories of others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
from pellucid.losses import Loss

RNG = np.random.default_rng(0)
X = 100 * RNG.normal(size=(300, 3)) + 300
CURVED = np.where((X[:, 0] > 300) ^ (X[:, 1] > 300), "yes", "no")
NUMBERS = X[:, 0] + X[:, 1] * X[:, 2] / 100
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def serious(subject: Any, *data: Any, **more: Any) -> list[str]:
    return [f.kind for f in diagnose(subject, *data, **more).findings if f.severity != "info"]


def too_high(kind: type, **more: Any) -> Any:
    """A network whose learning rate is far too high."""
    return kind((16,), solver="sgd", learning_rate_init=3.0, max_iter=60, random_state=0, **more)


def test_a_pipeline_is_diagnosed_as_its_network_is_on_scaled_rows() -> None:
    whole = make_pipeline(StandardScaler(), too_high(MLPClassifier)).fit(X, CURVED)
    scaled = whole[:-1].transform(X)
    inside = diagnose(whole[-1], scaled, CURVED)
    found = diagnose(whole, X, CURVED, validation_data=(X, CURVED))
    assert "unscaled_inputs" not in serious(whole, X, CURVED)
    assert [f.kind for f in diagnose(whole, X, CURVED).findings] == [
        f.kind for f in inside.findings
    ]
    assert inside.suggest().keys() >= {"learning_rate_init"}
    suggested = found.suggest()
    assert "mlpclassifier__learning_rate_init" in suggested
    whole.set_params(**suggested)


def test_a_search_and_what_is_in_it() -> None:
    pipeline = make_pipeline(StandardScaler(), too_high(MLPClassifier))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1e-3]}, cv=2)
    with pytest.raises(NotFittedError, match="this GridSearchCV is not fitted yet; call fit be"):
        diagnose(search)
    search.fit(X, CURVED)
    found = diagnose(search, X, CURVED)
    assert "estimator__mlpclassifier__learning_rate_init" in found.suggest()
    search.set_params(**found.suggest())
    search.set_params(refit=False)
    again = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4]}, cv=2, refit=False)
    with pytest.raises(NotFittedError, match="not fitted yet; call fit, with refit=True"):
        diagnose(again.fit(X, CURVED))


def test_a_transformed_target() -> None:
    whole = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=300)),
        transformer=StandardScaler(),
    )
    with pytest.raises(NotFittedError, match="TransformedTargetRegressor is not fitted yet"):
        diagnose(whole)
    whole.fit(X, NUMBERS)
    assert "unscaled_target" not in serious(whole, X, NUMBERS)
    bare = MLPRegressor(hidden_layer_sizes=(8,), max_iter=300, random_state=0).fit(X, NUMBERS)
    assert "unscaled_inputs" in serious(bare, X, NUMBERS)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize(
    "kinds", [(TheirClassifier, MLPClassifier), (TheirRegressor, MLPRegressor)]
)
def test_scikit_learns_own_is_seen_as_ours(kinds: Any, solver: str) -> None:
    y = CURVED if kinds[0] is TheirClassifier else NUMBERS
    settings = {"hidden_layer_sizes": (8,), "max_iter": 30, "random_state": 0, "solver": solver}
    theirs, ours = (kind(**settings).fit(X / 1000, y) for kind in kinds)
    found, expected = diagnose(theirs, X / 1000, y), diagnose(ours, X / 1000, y)
    assert {f.kind for f in found.findings} & {f.kind for f in expected.findings}
    assert found.looked_at == ["parameters", "loss curves", "data"]
    history, own = History.from_sklearn(theirs), ours.history_
    for name in ("loss", "learning_rate", "epochs"):
        assert history.settings[name] == own.settings[name]
    if solver != "lbfgs":
        np.testing.assert_allclose(history["loss"], own["loss"], rtol=1e-6)
        for name in ("batch_size", "examples"):
            assert history.settings[name] == own.settings[name]
    assert (history.stopped, history.epochs) == (own.stopped, own.epochs) or solver == "lbfgs"


def test_a_rate_too_high_is_named_of_scikit_learns_own_in_a_pipeline() -> None:
    whole = make_pipeline(StandardScaler(), too_high(TheirClassifier)).fit(X, CURVED)
    found = diagnose(whole, X, CURVED)
    assert "mlpclassifier__learning_rate_init" in found.suggest()


def test_what_is_no_network_is_called_so() -> None:
    message = "diagnose is about neural networks; LogisticRegression is not one"
    with pytest.raises(TypeError, match=message):
        diagnose(LogisticRegression())
    with pytest.raises(TypeError, match=message):
        diagnose(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, CURVED))
    with pytest.raises(
        TypeError, match=r"RandomForestClassifier is not one. Diagnose one of its est"
    ):
        diagnose(RandomForestClassifier(2).fit(X, CURVED))
    with pytest.raises(TypeError, match="neural networks; Pipeline is not one"):
        diagnose(make_pipeline(StandardScaler(), "passthrough").fit(X))
    bag = BaggingClassifier(MLPClassifier((4,), max_iter=20), 2).fit(X, CURVED)
    with pytest.raises(TypeError, match=r"Diagnose one of its estimators_"):
        diagnose(bag)
    assert diagnose(bag.estimators_[0]).looked_at
    for unfitted in (TabularClassifier(), TheirClassifier(), MLPClassifier()):
        with pytest.raises(NotFittedError, match="fit"):
            diagnose(unfitted)
        with pytest.raises(NotFittedError, match="fit"):
            diagnose(make_pipeline(StandardScaler(), unfitted))


# Losses of one's own ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fourth(Loss):
    """L = (a - y)^4 / 4."""

    name = "fourth"
    fits = ("identity",)

    def value(self, Y: Any, A: Any) -> Any:
        return ((A - Y) ** 4 / 4).sum(axis=0)

    def derivative(self, Y: Any, A: Any) -> Any:
        return (A - Y) ** 3


@dataclass(frozen=True)
class Wrong(Fourth):
    name = "wrong"

    def derivative(self, Y: Any, A: Any) -> Any:
        return (A - Y) ** 2


@pytest.mark.parametrize("loss", [Fourth(), Wrong()])
def test_a_loss_of_ones_own_is_taken_from_the_history(loss: Loss, tmp_path: Path) -> None:
    rows = RNG.normal(size=(3, 300))
    net = Network([Dense(8, "tanh"), Dense(1, "identity")], 3, seed=0)
    history = train(net, rows, rows[0] * rows[1], loss=loss, epochs=3)
    found = diagnose(history, rows, rows[0], network=net, try_advice=False).findings
    wrong = [(f.kind, f.where) for f in found if f.kind == "wrong_backward"]
    assert wrong == ([("wrong_backward", "loss wrong")] if loss.name == "wrong" else [])
    if wrong:
        assert found[0].evidence.startswith("its derivative, dA[2], differs from differences of ")
    model = MLPRegressor(loss, (8,), max_iter=3, random_state=0).fit(rows.T, rows[0])
    seen = ["parameters", "loss curves", "statistics", "data"]
    assert diagnose(model, rows.T, rows[0], try_advice=False).looked_at == seen
    assert History.from_dict(history.to_dict()) == history
    save(net, tmp_path / "m", history=history)
    assert "the loss (loss=...)" in diagnose(tmp_path / "m").more


# Histories of others ------------------------------------------------------------------------------


def test_keras() -> None:
    curves = {"loss": [0.7, 0.6], "val_acc": [0.5, 0.6], "lr": [0.1, 0.1]}
    history = History.from_keras(SimpleNamespace(history=curves, params={"epochs": 5}))
    assert history.curves.keys() == {"loss", "val_accuracy", "learning_rate"}
    assert (history.epochs, history.stopped, history.settings) == (2, "callback", {"epochs": 5})
    rising = History.from_keras({"loss": [1.0, 5.0, float("nan")]})
    assert rising.stopped == "diverged"
    assert "divergence" in serious(rising)
    with pytest.raises(ValueError, match="this history of Keras has no training loss; it has"):
        History.from_keras({"val_loss": [1.0]})


def test_a_rising_validation_loss_is_named_of_a_history_of_keras() -> None:
    epochs = np.arange(60)
    falling, rising = 0.7 * 0.93**epochs, 0.6 * 0.97**epochs + 0.0004 * epochs**2
    history = History.from_keras({"loss": falling, "val_loss": rising})
    assert any(f.kind == "overfitting" for f in diagnose(history).findings)


def test_lightning(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(
        "epoch,step,train_loss_step,train_loss_epoch,valid_loss,train_acc\n"
        "0,1,0.9,,,\n0,2,0.7,,,\n0,2,,0.8,,0.5\n0,2,,,0.75,\n1,4,,0.6,0.7,0.75\n"
    )
    history = History.from_lightning(tmp_path / "metrics.csv")
    assert history.curves == {"loss": [0.8, 0.6], "val_loss": [0.75, 0.7], "acc": [0.5, 0.75]}
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(tmp_path / "metrics.csv")
    assert History.from_lightning(frame).curves == history.curves
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert diagnose(history).looked_at == ["loss curves"]
