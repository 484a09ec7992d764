"""An activation of one's own that says nothing but g and g' works throughout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, MLPClassifier, Network, check_gradients, diagnose, train
from pellucid.activations import Activation
from pellucid.errors import ModelError
from pellucid.export import export
from pellucid.insight import trace

X = np.random.default_rng(0).normal(size=(2, 60))
Y = (X[0] * X[1] > 0).astype(int)


class Softsign(Activation):
    """g(z) = z / (1 + |z|)."""

    name = "softsign"

    def __call__(self, Z: Any) -> Any:
        return Z / (1 + abs(Z))

    def backward(self, dA: Any, Z: Any, A: Any) -> Any:
        return dA * (1 - abs(A)) ** 2


def net() -> Network:
    return Network([Dense(8, Softsign()), Dense(1, "sigmoid")], 2, seed=0, dtype="float64")


def test_it_is_trained_checked_traced_and_diagnosed() -> None:
    network = net()
    assert check_gradients(network, X, Y, "bce").ok
    history = train(network, X, Y, loss="bce", learning_rate=0.05, epochs=100)
    assert (history.engine, history.statistics[0]["layers"][0]["activation"]) == ("reference", None)
    assert np.mean(network.predict(X)[0] == Y) > 0.9
    assert "softsign" in network.summary()
    assert trace(network, X[:, :2], Y[:2], "bce").check().ok
    for report in (diagnose(history), diagnose(network, X, Y), diagnose(history, X, Y)):
        assert not [f for f in report.findings if f.severity == "error"]


def test_it_is_in_a_drop_in() -> None:
    clf = MLPClassifier((8,), Softsign(), solver="lbfgs", random_state=0, max_iter=2000).fit(X.T, Y)
    assert clf.score(X.T, Y) > 0.8


def test_onnx_takes_it_and_c_says_why_it_does_not(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    export(net(), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"Softsign.* cannot be exported to C: .*c_form"):
        export(net(), tmp_path / "model.c", "c")


def test_a_range_in_words_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Wordy\.range must be an Interval, .* got '\(-1, 1\)'"):
        type("Wordy", (Activation,), {"range": "(-1, 1)"})
