"""record_training: loops that were written by hand, healthy and broken ones."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, History, Network, diagnose
from pellucid.insight import Recording, record_training
from pellucid.losses import Loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 120))
Y = (X[0] * X[1] > 0).astype(int)

Steps = Callable[[Network, Any, int], None]


def network(dtype: str = "float32", units: int = 8) -> Network:
    return Network([Dense(units, "tanh"), Dense(1, "sigmoid")], 2, seed=0, dtype=dtype)


def descend(net: Network, g: Any, alpha: float) -> None:
    for l in net.W:
        net.W[l] -= alpha * g.dW[l]
        net.b[l] -= alpha * g.db[l]


def gradients(net: Network, A0: Any = X, T: Any = Y, loss: Any = "bce") -> Any:
    return net.backward(net.forward(A0, cache=True), T, loss)


def full_batch(net: Network, update: Steps, epochs: int = 60, **how: Any) -> Recording:
    """A loop of full batches; ``update(net, gradients, epoch)`` changes the weights."""
    with record_training(net, **how) as r:
        for epoch in range(epochs):
            update(net, gradients(net), epoch)
            r.step(X, Y)
    return r


def in_batches(net: Network, alpha: float, epochs: int, end: bool, start: Any = None) -> Recording:
    rng = np.random.default_rng(1)
    with record_training(net, loss="bce") as r:
        for _ in range(epochs):
            if start is not None:
                start(net)
            order = rng.permutation(120)
            for rows in np.split(order, range(32, 120, 32)):
                descend(net, gradients(net, X[:, rows], Y[rows]), alpha)
                r.step(X[:, rows], Y[rows])
            if end:
                r.end_epoch()
    return r


def serious(*given: Any, **more: Any) -> list[str]:
    return [f.kind for f in diagnose(*given, **more).findings if f.severity != "info"]


# Healthy loops ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_healthy_loop_is_recorded_and_not_flagged(dtype: str) -> None:
    net = network(dtype)
    r = full_batch(net, lambda net, g, epoch: descend(net, g, 1.0), 600, loss="bce")
    h = r.history
    assert serious(h) == serious(h, network=net) == serious(h, X, Y, network=net) == []
    assert h.epochs == 600
    assert (h.stopped, h.best_epoch) == ("finished", 600)
    assert h.settings == {
        "loss": "binary_cross_entropy",
        "optimizer": "gradient_descent",
        "learning_rate": 1.0,
        "epochs": 600,
        "batch_size": 120,
        "examples": 120,
        "restarts": 0,
    }
    assert set(h["learning_rate"]) == {1.0}
    assert h["loss"][0] == pytest.approx(network(dtype).loss(X, Y, "bce"), rel=1e-6)
    assert [s["epoch"] for s in h.statistics] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]
    assert [s["step"] for s in h.statistics] == [s["epoch"] for s in h.statistics]
    moved = [s["layers"][0]["moved_since_start"] for s in h.statistics]
    assert moved[0] == 0 < moved[1] < moved[-1]
    assert h.facts["target"]["shares"] == pytest.approx([np.mean(Y == 0), np.mean(Y == 1)])
    looked_at = diagnose(h).looked_at
    assert looked_at == ["parameters", "loss curves", "statistics", "some rows of the training"]


@pytest.mark.parametrize("end", [True, False])
def test_mini_batches(end: bool) -> None:
    h = in_batches(network(), 0.5, 150, end).history
    assert serious(h) == []
    assert h.epochs == 150
    assert [h.settings[name] for name in ("batch_size", "examples", "learning_rate")] == [
        32,
        120,
        0.5,
    ]
    assert h.statistics[1]["step"] == 4
    assert h.kept.m == h.kept.train.X.shape[1] == 120


def test_end_epoch_decides_from_its_first_call_on() -> None:
    net = network()
    with record_training(net, loss="bce") as r:
        for step in range(1, 33):
            descend(net, gradients(net), 0.1)
            r.step(X, Y)
            if step % 10 == 0:
                r.end_epoch()
    assert r.history.epochs == 4
    assert [s["step"] for s in r.history.statistics] == [0, 10, 20, 32]


def test_momentum_and_adam_do_not_look_like_gradient_descent() -> None:
    net = network()
    v: dict[int, Any] = dict.fromkeys(net.W, 0.0)
    w: dict[int, Any] = dict.fromkeys(net.W, 0.0)

    def momentum(net: Network, g: Any, epoch: int) -> None:
        for l in net.W:
            v[l] = 0.9 * v[l] - 0.2 * g.dW[l]
            net.W[l] += v[l]
            net.b[l] -= 0.2 * g.db[l]

    h = full_batch(net, momentum, 300, loss="bce").history
    assert serious(h) == []
    assert min(h["learning_rate"]) > 0
    assert h.settings["restarts"] == 0

    def adam(net: Network, g: Any, epoch: int) -> None:
        for l in net.W:
            v[l] = 0.9 * v[l] + 0.1 * g.dW[l]
            w[l] = 0.999 * w[l] + 0.001 * g.dW[l] ** 2
            t = epoch + 1
            net.W[l] -= 0.02 * v[l] / (1 - 0.9**t) / (np.sqrt(w[l] / (1 - 0.999**t)) + 1e-8)
            net.b[l] -= 0.1 * g.db[l]

    net, v, w = network(), dict.fromkeys(net.W, 0.0), dict.fromkeys(net.W, 0.0)
    h = full_batch(net, adam, 300, loss="bce").history
    assert serious(h) == []
    assert (h.settings["optimizer"], h.settings["restarts"]) == ("unknown", 0)


def test_a_large_network_and_many_rows_leave_few() -> None:
    A0 = RNG.normal(size=(300, 5000))
    T = (A0[0] > 0).astype(int)
    net = Network([Dense(200, "tanh"), Dense(1, "sigmoid")], 300, seed=0)
    before = A0.copy()
    with record_training(net, loss="bce") as r:
        for _ in range(3):
            for k in range(0, 5000, 1000):
                A, B = A0[:, k : k + 1000], T[k : k + 1000]
                descend(net, gradients(net, A, B), 0.1)
                r.step(A, B)
    h = r.history
    assert (h.epochs, h.settings["examples"], h.kept.m) == (3, 5000, 5000)
    assert h.kept.train.X.shape[1] == 2**18 // (301 * 4)
    assert h.statistics[-1]["layers"][0]["moved_since_start"] > 0
    np.testing.assert_array_equal(A0, before)
    assert diagnose(h).looked_at


def test_classes_and_scipys_columns() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    labels = np.digitize(X[0], [-0.5, 0.5])
    net = Network([Dense(6, "tanh"), Dense(3, "softmax")], 2, seed=0)
    with record_training(net, loss="categorical_cross_entropy") as r:
        for _ in range(200):
            descend(net, gradients(net, X, labels, "categorical_cross_entropy"), 1.0)
            r.step(sparse.csc_matrix(X), labels)
    assert serious(r.history) == []
    assert len(r.history.facts["target"]["shares"]) == 3


# Broken loops -------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0, 30.0])
def test_steps_along_dW_are_named_first(alpha: float) -> None:
    net = network()
    h = full_batch(net, lambda net, g, epoch: descend(net, g, -alpha), loss="bce").history
    for found in (diagnose(h).findings[0], diagnose(h, network=net).findings[0]):
        assert found.kind == "ascent"
        assert found.suggest() == {"learning_rate": pytest.approx(alpha, rel=0.05)}
        assert "right if a likelihood is maximised, as in lecture 001" in found.advice
    assert h.settings["optimizer"] == "gradient_descent"
    assert h.settings["learning_rate"] == pytest.approx(-alpha, rel=0.05)


def test_weights_that_are_never_updated() -> None:
    h = full_batch(network(), lambda net, g, epoch: None, loss="bce").history
    assert set(h["learning_rate"]) == {0.0}
    assert (h.settings["learning_rate"], h.settings["restarts"]) == (0.0, 0)
    for layer in h.statistics[-1]["layers"]:
        assert layer["moved_since_start"] == 0 < layer["dW_norm"]
    assert diagnose(h).findings[0].kind == "weights_do_not_move"


def test_a_copy_of_a_layer_that_is_updated() -> None:
    def update(net: Network, g: Any, epoch: int) -> None:
        net.W[2] -= g.dW[2]

    last = full_batch(network(), update, loss="bce").history.statistics[-1]["layers"]
    assert last[0]["moved_since_start"] == 0 < last[0]["dW_norm"]
    assert last[1]["moved_since_start"] > 0


def same(net: Network) -> None:
    net.put_parameters(network().parameters)


def another(net: Network) -> None:
    for l in net.W:
        net.W[l] = RNG.normal(size=net.W[l].shape) / np.sqrt(net.W[l].shape[1])
        net.b[l] = 0 * net.b[l]


@pytest.mark.parametrize("start", [same, another])
@pytest.mark.parametrize("end", [True, False, None])
def test_weights_drawn_anew_each_epoch(start: Any, end: bool | None) -> None:
    def update(net: Network, g: Any, epoch: int) -> None:
        start(net)
        descend(net, gradients(net), 0.3)

    if end is None:
        h = full_batch(network(), update, loss="bce").history
    else:
        h = in_batches(network(), 0.3, 60, end, start).history
    assert h.epochs == 60
    assert h.settings["restarts"] >= 55
    found = diagnose(h).findings[0]
    assert (found.kind, found.severity) == ("weights_set_back", "error")
    assert f"{h.settings['restarts']} times in 60 epochs" in found.evidence


def test_weights_that_are_all_zero_and_stay_so() -> None:
    net = Network([Dense(4, "relu"), Dense(1, "sigmoid")], 2, initializer="zeros", seed=0)
    h = full_batch(net, lambda net, g, epoch: descend(net, g, 0.1), loss="bce").history
    assert (h.settings["learning_rate"], h.settings["restarts"]) == (0.0, 0)
    assert diagnose(h).findings[0].kind == "zero_initialisation"


def test_weights_that_are_set_within_the_block() -> None:
    net = network()

    def update(net: Network, g: Any, epoch: int) -> None:
        if epoch == 0:
            another(net)
            g = gradients(net)
        descend(net, g, 1.0)

    h = full_batch(net, update, 600, loss="bce").history
    assert serious(h) == []
    assert h.settings["restarts"] == 0


def test_a_rate_far_too_high() -> None:
    net = network()
    h = full_batch(net, lambda net, g, epoch: descend(net, g, 300.0), loss="bce").history
    assert "learning_rate_too_high" in serious(h)
    assert h.settings["restarts"] <= 1


def test_a_loop_that_diverges() -> None:
    net = Network([Dense(8, "relu"), Dense(1, "identity")], 2, seed=0)
    with record_training(net, "half_squared_error") as r, np.errstate(all="ignore"):
        for _ in range(300):
            descend(net, gradients(net, X, X[0] * X[1], "half_squared_error"), 50.0)
            r.step(X, X[0] * X[1])
    h = r.history
    assert (h.stopped, not np.isfinite(h["loss"][-1])) == ("diverged", True)
    assert diagnose(h).findings[0].kind in ("learning_rate_too_high", "divergence")
    assert np.isfinite(h.statistics[-1]["layers"][0]["W_norm"])


# Losses of one's own, and likelihoods -------------------------------------------------------------


@dataclass(frozen=True)
class LogLikelihood(Loss):
    """l = y ln a + (1 - y) ln(1 - a), which lecture 001 maximises."""

    name = "log_likelihood"
    fits = ("sigmoid",)
    targets = "unit"

    def value(self, Y: Any, A: Any) -> Any:
        return (Y * np.log(A) + (1 - Y) * np.log(1 - A)).sum(axis=0)

    def derivative(self, Y: Any, A: Any) -> Any:
        return Y / A - (1 - Y) / (1 - A)


@dataclass(frozen=True)
class Fourth(Loss):
    """L = (a - y)^4 / 4."""

    name = "fourth"
    fits = ("sigmoid",)

    def value(self, Y: Any, A: Any) -> Any:
        return ((A - Y) ** 4 / 4).sum(axis=0)

    def derivative(self, Y: Any, A: Any) -> Any:
        return (A - Y) ** 3


def upwards(maximise: bool) -> tuple[History, Network]:
    net, loss = network(), LogLikelihood()
    with record_training(net, loss, maximise=maximise) as r:
        for _ in range(600):
            descend(net, gradients(net, loss=loss), -1.0)
            r.step(X, Y)
    return r.history, net


def test_a_likelihood_is_maximised() -> None:
    h, net = upwards(True)
    assert serious(h) == serious(h, network=net) == []
    assert h["loss"][0] == pytest.approx(network().loss(X, Y, "bce"), rel=1e-5)
    assert h["loss"][-1] < h["loss"][0]
    assert h.settings["learning_rate"] == 1.0
    assert upwards(False)[0].settings["learning_rate"] == -1.0
    assert diagnose(upwards(False)[0]).findings[0].kind == "ascent"
    assert History.from_dict(h.to_dict()).curves == h.curves
    assert pickle.loads(pickle.dumps(h)).statistics == h.statistics


def test_a_loss_of_ones_own() -> None:
    net = network()
    with record_training(net, Fourth()) as r:
        for _ in range(30):
            descend(net, gradients(net, loss=Fourth()), 1.0)
            r.step(X, Y)
    assert r.history.own_loss == Fourth()
    assert r.history.settings["learning_rate"] == 1.0
    assert diagnose(r.history).looked_at


# Errors -------------------------------------------------------------------------------------------


def test_what_does_not_fit() -> None:
    net = network()
    with pytest.raises(TypeError, match="record_training: expected a Network; got History"):
        record_training(History())
    with pytest.raises(ValueError, match="unknown loss 'bec'"):
        record_training(net, "bec")
    with record_training(net) as r:
        with pytest.raises(ValueError, match=r"shape \(n\[0\], m\) = \(2, m\); got \(120, 2\)"):
            r.step(X.T, Y)
        with pytest.raises(ValueError, match=r"\(n\[L\], m\) = \(1, 120\).*got \(60,\)"):
            r.step(X, Y[:60])
        with pytest.raises(ValueError, match="end_epoch was called without a step"):
            r.end_epoch()
        with pytest.raises(ValueError, match="between 0 and 1; Y holds 3"):
            r.step(X, 3 * Y)
    with pytest.raises(ValueError, match="the history is empty: no epoch was done"):
        diagnose(r.history)
    with pytest.raises(ValueError, match="step was called outside of the with block; call it with"):
        r.step(X, Y)
    with pytest.raises(ValueError, match="end_epoch was called outside of the with block"):
        r.end_epoch()


def test_an_error_in_the_loop_leaves_what_was_recorded() -> None:
    net = network()
    r = record_training(net)

    def loop() -> None:
        with r:
            for _ in range(5):
                descend(net, gradients(net), 0.1)
                r.step(X, Y)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert (r.history.epochs, r.history.stopped) == (5, "interrupted")
    with r:  # once more, from the beginning
        r.step(X, Y)
    assert (r.history.epochs, r.history["learning_rate"]) == (1, [0.0])
