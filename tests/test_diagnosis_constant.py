"""A network that gives every example one answer is named, for any number of rows."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pellucid import Dense, History, MLPClassifier, Network, diagnose, train
from pellucid.insight import Diagnosis

XOR = np.array([[0, 0, 1, 1], [0, 1, 0, 1.0]]), np.array([0, 1, 1, 0])


def serious(report: Diagnosis) -> list[str]:
    return [f.kind for f in report.findings if f.severity != "info"]


@pytest.mark.parametrize("seed", range(5))
def test_xor_without_a_hidden_layer(seed: int) -> None:
    net = Network([Dense(1, "sigmoid")], 2, seed=seed)
    history = train(net, *XOR, loss="bce", epochs=300, learning_rate=0.1)
    report = diagnose(history, *XOR, network=net)
    assert serious(report) == ["underfitting"]
    assert report.findings[0].where == "0 hidden units"
    assert report.findings[0].evidence.startswith(
        "J is 0.693; one constant answer would give 0.693"
    )
    cured = Network(
        [Dense(*report.suggest()["hidden_layer_sizes"], "tanh"), *net.layers], 2, seed=0
    )
    history = train(cured, *XOR, loss="bce", epochs=300, learning_rate=0.1)
    assert diagnose(history, *XOR, network=cured).ok
    assert cured.predict(XOR[0]).ravel().tolist() == XOR[1].tolist()


def test_xor_by_a_drop_in() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((), max_iter=300, random_state=0).fit(XOR[0].T, XOR[1])
        report = diagnose(model, XOR[0].T, XOR[1])
        assert serious(report) == ["underfitting"]
        model.set_params(**report.suggest()).fit(XOR[0].T, XOR[1])
    assert model.score(XOR[0].T, XOR[1]) == 1


def test_a_curve_alone_tells_a_coin() -> None:
    report = diagnose(History(curves={"loss": [0.6931] * 60}))
    assert serious(report) == ["constant_answer"]
    assert "J stays at 0.6931, which is log 2" in report.findings[0].evidence
    assert report.suggest() == {}
    for curve in ([0.6931] * 40, [*np.linspace(0.9, 0.67, 60)], [0.62] * 60):
        assert "constant_answer" not in serious(diagnose(History(curves={"loss": list(curve)})))
    squares = History(curves={"loss": [0.6931] * 60}, settings={"loss": "mean_squared_error"})
    assert "constant_answer" not in serious(diagnose(squares))


def test_a_regression_that_answers_the_mean() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 12))
    net = Network([Dense(2, "relu"), Dense(1, "identity")], 2, seed=0)
    net.W[1][...], net.b[1][...] = 0.1, -9
    history = train(net, X, X[0] * X[1], loss="mse", epochs=300, learning_rate=0.05)
    kinds = [f.kind for f in diagnose(history, X, X[0] * X[1], network=net).findings]
    assert "constant_answer" in kinds


def test_flat_units_leave_one_answer() -> None:
    net = Network([Dense(2, "sigmoid"), Dense(1, "sigmoid")], 2, seed=0)
    net.W[1][...], net.b[1][...] = [[0.1, 0.2], [0.2, 0.1]], [[-4], [4]]
    history = train(net, *XOR, loss="bce", epochs=60, optimizer="gradient_descent")
    report = diagnose(history, *XOR, network=net)
    assert serious(report) == ["constant_answer"]
    assert report.findings[0].fix == {"hidden_layer_sizes": [16], "activation": "tanh"}
    assert report.tried is not None
    assert report.tried.after == 1
    assert report.suggest().items() >= report.findings[0].fix.items()


def test_columns_that_are_rarely_given_are_not_unscaled() -> None:
    """A pixel that was once 1/255 is no reason to standardise images."""
    rng = np.random.default_rng(0)
    X = rng.random((6, 300))
    X[5] = 0
    X[5, 7] = 1 / 255
    y = (X[0] > X[1]).astype(int)
    net = Network([Dense(16), Dense(1, "sigmoid")], 6, seed=0)
    history = train(net, X, y, loss="bce", epochs=60, learning_rate=0.01)
    assert "unscaled_inputs" not in [f.kind for f in diagnose(history, X, y, network=net).findings]
    X[5] = X[5, 7] * rng.random(300)
    found = diagnose(history, X, y, network=net).findings
    assert "unscaled_inputs" in [f.kind for f in found]


def test_one_that_has_not_been_trained_is_no_case_of_it() -> None:
    net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], 2, seed=0)
    assert "constant_answer" not in serious(diagnose(net, *XOR, loss="bce"))
