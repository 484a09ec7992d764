"""The diagnosis of recurrent networks: what comes back through time, gates, answers at steps."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, History, Network, diagnose, train
from pellucid.insight import Diagnosis, Finding
from pellucid.layers import (
    GRU,
    LSTM,
    Embedding,
    GlobalPool,
    Layer,
    Parallel,
    Recurrent,
)
from pellucid.losses import Loss
from pellucid.losses import loss as find_loss
from pellucid.propagation import backward, forward
from pellucid.training.measure import measure
from pellucid.training.through_time import through_time

M = 300


def cue(steps: int, m: int = M, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X (3 steps, m) whose first step says which of three classes it is; the rest is noise."""
    rng = np.random.default_rng(seed)
    X, y = 0.5 * rng.normal(size=(m, steps, 3)), rng.integers(0, 3, m)
    X[:, 0] = np.eye(3)[y]
    return X.reshape(m, -1).T, y


def network(layers: list[Layer], steps: int, *, states: float = 1.0, **biases: float) -> Network:
    """Layers and a softmax of 3; W's part for the state and some biases are changed."""
    net = Network([*layers, Dense(3, "softmax")], (steps, 3), seed=0)
    first = net.leaves[0]
    n = first.output_shape[-1]
    first.parameters["W"][:, :n] *= states
    for gate, value in biases.items():
        rows = "ufo".index(gate) * n
        first.parameters["b"][rows : rows + n] = value
    return net


def trained(net: Network, steps: int, **settings: Any) -> History:
    settings = {"learning_rate": 0.01, "epochs": 12, "n_threads": 1} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(net, *cue(steps), loss="cce", validation_data=cue(steps, 150, 1), **settings)


def serious(report: Diagnosis) -> list[str]:
    """The kinds of severity warning or error, in order."""
    return [f.kind for f in report.findings if f.severity != "info"]


def of(report: Diagnosis, kind: str) -> Finding:
    return next(f for f in report.findings if f.kind == kind)


# The rules ----------------------------------------------------------------------------------------

SMALL: dict[str, Any] = {"layers": [Recurrent(12)], "steps": 30, "states": 0.2}
PLANTED: dict[str, tuple[dict[str, Any], str]] = {
    "a sigmoid": ({"layers": [Recurrent(12, "sigmoid")], "steps": 30}, "vanishing_through_time"),
    "small states": (SMALL, "vanishing_through_time"),
    "a cell that forgets": ({"layers": [LSTM(8)], "steps": 30, "f": -5}, "vanishing_through_time"),
    "renewed states": ({"layers": [GRU(8)], "steps": 40, "u": 5}, "vanishing_through_time"),
    "large states": (
        {"layers": [Recurrent(12, "leaky_relu")], "steps": 30, "states": 4},
        "exploding_through_time",
    ),
    "a long sequence": ({"layers": [GRU(8)], "steps": 150}, "sequence_too_long"),
}


@pytest.mark.parametrize(("made", "kind"), PLANTED.values(), ids=PLANTED.keys())
def test_what_happens_on_the_way_back_is_named_first(made: dict[str, Any], kind: str) -> None:
    net, steps = network(**made), made["steps"]
    report = diagnose(trained(net, steps, epochs=6 if steps > 100 else 12), try_advice=False)
    first = report.findings[0]
    assert (first.kind, first.severity, first.where) == (kind, "warning", "layer 1"), report
    assert f"dZ[1]<{steps}>" in first.evidence
    assert "dZ[1]<1>" in first.evidence
    assert not any("hidden_layer_sizes" in f.fix for f in report.findings)


def test_how_the_gradient_changes_is_told_with_numbers() -> None:
    history = trained(network(**SMALL), 30)
    found = of(diagnose(history, try_advice=False), "vanishing_through_time")
    layer = history.statistics[0]["layers"][0]
    assert found.evidence.startswith(
        f"at the start the gradient falls on the way back from {layer['dZ_last']:.2g} in dZ[1]<30> "
        f"to {layer['dZ_first']:.2g} in dZ[1]<1>"
    )
    assert f"after {layer['reach']} steps less than 1 % of it is left" in found.evidence
    assert "Use an LSTM or a GRU" in found.advice


def test_stuck_gates_are_counted() -> None:
    net = network([LSTM(8)], 12, u=-15.0, f=15.0, o=-15.0)
    history = trained(net, 12)
    report = diagnose(history, try_advice=False)
    first = report.findings[0]
    assert (first.kind, first.where) == ("saturated_gates", "layer 1"), report
    assert first.evidence == "24 of 24 gates are 0 or 1 at nearly every step; at the start 100 %"
    assert first.fix == {"initializer": "glorot_uniform"}


def test_a_network_that_learns_is_not_told_that_its_gates_are_stuck() -> None:
    net = network([LSTM(8)], 6, f=8.0)  # a third of the gates: the cell keeps what it has
    report = diagnose(trained(net, 6, epochs=40), try_advice=False)
    assert serious(report) == []
    assert of(report, "saturated_gates").severity == "info"


HEALTHY: dict[str, list[Layer]] = {
    "recurrent": [Recurrent(16)],
    "gru": [GRU(10)],
    "lstm": [LSTM(10)],
    "one unit behind": [GRU(10, sequences=True), Recurrent(4)],
    "both ways": [Parallel([[LSTM(6)], [LSTM(6, backwards=True)]])],
    "pooled": [GRU(8, sequences=True), GlobalPool("max")],
}


@pytest.mark.parametrize("layers", HEALTHY.values(), ids=HEALTHY.keys())
def test_healthy_recurrent_networks_are_called_healthy(layers: list[Layer]) -> None:
    net = network(layers, 8)
    history = trained(net, 8, epochs=40)
    assert history.curves["val_loss"][-1] < 0.1
    assert serious(diagnose(history)) == []
    X, y = cue(8)
    assert serious(diagnose(history, X, y, network=net, validation_data=cue(8, 150, 1))) == []


def test_one_recurrent_unit_is_not_called_a_straight_line() -> None:
    report = diagnose(trained(network([GRU(1)], 8), 8, epochs=3), try_advice=False)
    assert not any(f.where == "1 hidden units" for f in report.findings)
    assert not any("hidden_layer_sizes" in f.fix for f in report.findings)


# What they read -----------------------------------------------------------------------------------


def by_hand(net: Network, X: np.ndarray, Y: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """For k = 0, 1, ...: the size of dZ k steps before the last one, of each example alone."""
    sizes: list[list[float]] = [[] for _ in range(int(max(lengths)))]
    n = net.leaves[0].output_shape[-1]
    for i, T in enumerate(lengths):
        cache = forward(net.layers, X[:, [i]], lengths=lengths[[i]])
        dZ = backward(cache, Y[:, [i]], find_loss("cce")).by_layer[0]["dZ"].reshape(-1, n)
        for k in range(T):
            sizes[k].append(float(np.mean(dZ[T - 1 - k] ** 2)))
    return [np.sqrt(np.mean(each)) for each in sizes]


def test_reach_and_sizes_are_those_of_each_example_alone() -> None:
    net = Network([Recurrent(5), Dense(3, "softmax")], (9, 3), seed=0, dtype="float64")
    net.W[1][:, :5] *= 0.5
    X, y = cue(9, 12)
    Y, lengths = np.eye(3)[:, y], np.random.default_rng(0).integers(4, 10, 12)
    cache = forward(net.layers, X, lengths=lengths)
    found = through_time(cache, backward(cache, Y, find_loss("cce")), Y, find_loss("cce"))[1]
    sizes = by_hand(net, X, Y, lengths)
    steps = int(np.median(lengths))
    assert found["steps"] == steps
    assert found["dZ_last"] == pytest.approx(sizes[0])
    assert found["dZ_first"] == pytest.approx(sizes[steps - 1])
    large = [k for k, size in enumerate(sizes) if size >= 0.01 * max(sizes)]
    assert found["reach"] == large[-1] + 1 < 9


def test_a_layer_that_goes_backwards_reaches_from_the_first_step_on() -> None:
    net = Network([Recurrent(5, backwards=True), Dense(3, "softmax")], (9, 3), seed=0)
    net.W[1][:, :5] *= 0.1
    X, y = cue(9, 20)
    found = measure(net, X.astype("float32"), np.eye(3, dtype="float32")[:, y], find_loss("cce"))
    back = found["layers"][0]
    assert back["reach"] < 5
    assert back["dZ_last"] > 100 * back["dZ_first"]


def test_where_each_step_answers_the_last_answer_alone_is_followed() -> None:
    """Each dZ<t> has a loss of its own; how far one of them goes back is another question."""
    net = Network(
        [Recurrent(5, sequences=True), Dense(3, "softmax", each_step=True)], (9, 3), seed=0
    )
    net.W[1][:, :5] *= 0.1
    X, _ = cue(9, 20)
    Y = np.eye(3)[:, np.random.default_rng(0).integers(0, 3, (9, 20))]  # (3, 9, 20)
    Y = np.moveaxis(Y, 1, 0).reshape(27, 20).astype("float32")
    lengths = np.full(20, 9)
    lengths[:10] = 6
    found = measure(net, X.astype("float32"), Y, find_loss("cce"), lengths)["layers"][0]
    assert found["reach"] < 5
    everywhere = backward(forward(net.layers, X.astype("float32")), Y, find_loss("cce"))
    sizes = np.abs(everywhere.by_layer[0]["dZ"].reshape(9, -1)).mean(axis=1)
    assert sizes.min() > 0.3 * sizes.max()


# Answers at each step, and words ------------------------------------------------------------------


def echo(m: int = M, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Each of 10 steps answers with the symbol before it, of three."""
    symbols = np.random.default_rng(seed).integers(0, 3, (10, m))
    before = np.concatenate([np.zeros((1, m), int), symbols[:-1]])
    return np.moveaxis(np.eye(3)[symbols], 2, 1).reshape(30, m), before


@pytest.mark.parametrize("kind", [Recurrent, GRU, LSTM])
def test_answers_at_each_step_are_healthy_where_they_are_learned(kind: Any) -> None:
    layers = [kind(8, sequences=True), Dense(3, "softmax", each_step=True)]
    net = Network(layers, (10, 3), seed=0)
    lengths = np.random.default_rng(0).integers(4, 11, M)
    history = train(net, *echo(), loss="cce", lengths=lengths, learning_rate=0.02, epochs=20)
    assert history.curves["loss"][-1] < 0.1
    assert serious(diagnose(history)) == []
    assert serious(diagnose(history, network=net)) == []


def test_data_with_an_answer_at_each_step_are_given() -> None:
    """As many rows as a training keeps tell the same; others tell what they are like."""
    layers: list[Layer] = [GRU(8, sequences=True), Dense(3, "softmax", each_step=True)]
    net = Network(layers, (10, 3), seed=0)
    (X, Y), lengths = echo(), np.random.default_rng(0).integers(4, 11, M)
    junk = np.where(np.repeat(np.arange(10) < lengths[:, np.newaxis], 3, axis=1).T, X, np.nan)
    seen = (*echo(100, 1), None, lengths[:100])
    history = train(net, X, Y, loss="cce", lengths=lengths, learning_rate=1e-5, epochs=5,
                    validation_data=seen, n_threads=1)  # fmt: skip
    for subject in (history, net):
        report = diagnose(subject, junk, Y, lengths=lengths, validation_data=seen)
        assert "data" in report.looked_at
        assert "data that it was not trained on" not in str(report)
    report = diagnose(history, junk, Y, lengths=lengths, validation_data=seen)
    kept = diagnose(history)
    assert serious(report) == serious(kept) == ["learning_rate_too_low"]
    assert of(report, "learning_rate_too_low") == of(kept, "learning_rate_too_low")
    shifted = (60 * seen[0], *seen[1:])
    for subject in (history, net):
        drifted = diagnose(subject, X, Y, lengths=lengths, validation_data=shifted)
        assert "drift" in serious(drifted)
    with pytest.raises(ValueError, match=r"diagnose: X, Y: Y must have shape .*; got \(4, 300\)"):
        diagnose(net, X, Y[:4])
    with pytest.raises(ValueError, match=r"diagnose: validation_data: .* expects X of shape"):
        diagnose(net, X, Y, validation_data=(X[:5], Y))


class OfOnesOwn(Loss):
    """The square of the distance."""

    name = "of_ones_own"

    def value(self, Y: Any, A: Any) -> Any:
        return ((A - Y) ** 2).sum(axis=0)

    def derivative(self, Y: Any, A: Any) -> Any:
        return 2 * (A - Y)


def test_an_unknown_loss_of_answers_at_each_step_is_asked_for() -> None:
    layers: list[Layer] = [GRU(4, sequences=True), Dense(3, "softmax", each_step=True)]
    net = Network(layers, (10, 3), seed=0)
    X, Y = echo()
    one_hot = np.moveaxis(np.eye(3)[Y], 2, 1).reshape(30, M)
    history = train(net, X, one_hot, loss=OfOnesOwn(), epochs=1)
    again = History.from_dict(history.to_dict())
    with pytest.raises(
        ValueError, match=r"the training's loss is not known; name it \(loss=\.\.\.\)"
    ):
        diagnose(again, X, Y, network=net)
    assert "data" in diagnose(again, X, Y, network=net, loss="cce").looked_at


def test_words_have_no_scale() -> None:
    """Word numbers up to 50 are no column near 50 that wants to be standardised."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 50, (12, 300))
    y = (words < 5).any(axis=0).astype(int)
    layers = [Embedding(50, 6), GRU(8), Dense(1, "sigmoid")]
    history = train(Network(layers, 12, seed=0), words, y, loss="bce", learning_rate=0.02,
                    epochs=40, validation_fraction=0.25, n_threads=1)  # fmt: skip
    report = diagnose(history)
    assert "unscaled_inputs" not in [f.kind for f in report.findings]
    assert "columns" not in history.facts


# Lengths that are given ---------------------------------------------------------------------------


def test_lengths_are_given_with_the_data() -> None:
    X, y = cue(10)
    lengths = np.random.default_rng(0).integers(5, 11, M)
    there = np.repeat(np.arange(10) < lengths[:, np.newaxis], 3, axis=1).T
    junk = np.where(there, X, np.nan)
    net = network([GRU(8)], 10)
    history = train(net, junk, y, loss="cce", lengths=lengths, epochs=5, n_threads=1)
    given = {"network": net, "try_advice": False, "lengths": lengths}
    plain = diagnose(history, np.where(there, X, 0), y, **given)
    assert str(plain) == str(diagnose(history, junk, y, **given))
    validation = (junk[:, :90], y[:90], None, lengths[:90])
    seen = diagnose(history, junk, y, validation_data=validation, **given)
    assert "validation repeats training" in [f.name for f in seen.findings]
    with pytest.raises(ValueError, match="lengths is given without X and Y; pass them too"):
        diagnose(history, lengths=lengths)
    with pytest.raises(
        ValueError, match=r"pair \(Xv, Yv\), or \(Xv, Yv, weights, lengths\); got tup"
    ):
        diagnose(history, X, y, validation_data=(X, y, None))
    with pytest.raises(ValueError, match="lengths need the network that they are for"):
        diagnose(history, X, y, lengths=lengths)
