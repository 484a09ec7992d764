"""An activation added as CONTRIBUTING.md says, a class and its entry: the product runs with it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pellucid import (
    Dense,
    MLPClassifier,
    Network,
    check_gradients,
    load,
    load_predictor,
    save,
    trace,
    train,
)
from pellucid.activations import ACTIVATIONS, ReLU
from pellucid.engines import ENGINES, Job, Objective, simd
from pellucid.losses import loss
from pellucid.optimizers import optimizer

SOFTSIGN = '''
from dataclasses import dataclass

from pellucid.activations import Activation, Interval


@dataclass(frozen=True)
class Softsign(Activation):
    """z / (1 + |z|)."""

    name = "softsign"
    formula = "z / (1 + |z|)"
    derivative = "(1 - |a|)^2"
    range = Interval(-1, 1)

    def __call__(self, Z):
        return Z / (1 + abs(Z))

    def backward(self, dA, Z, A):
        return dA * (1 - abs(A)) ** 2
'''

REASON = "fused: it has no activation Softsign()" if simd.levels() else "fused: "


@pytest.fixture
def softsign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with one class, and its entry in the table."""
    (tmp_path / "softsign_module.py").write_text(SOFTSIGN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "softsign_module", raising=False)
    module = importlib.import_module("softsign_module")
    monkeypatch.setitem(ACTIVATIONS, "softsign", module.Softsign)
    return module


@pytest.fixture
def made(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Examples of two classes, (3, 40) and (1, 40)."""
    X = rng.normal(size=(3, 40))
    return X, (X[:1] > 0).astype(float)


def network(dtype: str = "float64") -> Network:
    return Network([Dense(5, "softsign"), Dense(1, "sigmoid")], 3, seed=0, dtype=dtype)


@pytest.mark.usefixtures("softsign")
def test_a_network_predicts_learns_and_is_looked_into(made, tmp_path):
    X, Y = made
    net = network()
    Z = net.W[1] @ X + net.b[1]
    by_hand = net.W[2] @ (Z / (1 + abs(Z))) + net.b[2]
    np.testing.assert_allclose(net.forward(X), 1 / (1 + np.exp(-by_hand)), rtol=1e-12)
    assert check_gradients(net, X, Y, "bce").ok
    found = trace(net, X[:, :2], Y[:, :2], "bce")
    check = found.check()
    assert check.ok
    assert check.fused is None
    assert REASON in check.fused_note
    assert "softsign" in found.text()
    history = train(net, X, Y, loss="bce", epochs=30, learning_rate=0.05)
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert history.engine == "reference"
    assert REASON in history.engine_note
    save(net, tmp_path / "net")
    again = load(tmp_path / "net")
    np.testing.assert_array_equal(again.forward(X), net.forward(X))


@pytest.mark.usefixtures("softsign")
def test_an_estimator_fits_predicts_and_comes_back(made, tmp_path):
    X, Y = made
    rows, y = X.T, np.array(["no", "yes"])[Y[0].astype(int)]
    clf = MLPClassifier((5,), activation="softsign", solver="lbfgs", alpha=0.1, random_state=0)
    clf.fit(rows, y)
    assert clf.score(rows, y) > 0.9
    clf.save(tmp_path / "clf")
    for again in (load(tmp_path / "clf"), load_predictor(tmp_path / "clf")):
        assert (again.predict(rows) == clf.predict(rows)).all()


@pytest.mark.skipif(not simd.levels(), reason="the fused engine is not built (PELLUCID_PURE)")
def test_a_known_name_over_another_function_is_no_built_in_one():
    class Doubled(ReLU):
        def __call__(self, Z):
            return 2 * super().__call__(Z)

    net = Network([Dense(4, Doubled()), Dense(1, "identity")], 3, seed=0)
    job = Job(net, Objective(loss("mse")), optimizer("adam"))
    assert "it has no activation" in ENGINES["fused"].refuses(job)
    X = np.ones((3, 2), dtype="f4")
    hidden = 2 * np.maximum(net.W[1] @ X + net.b[1], 0)
    np.testing.assert_allclose(net.forward(X), net.W[2] @ hidden + net.b[2], rtol=1e-5)
