"""The optimizer's step in a trace: the first one, and any later one."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import Dense, Network, Scale, trace, train
from pellucid.engines import ENGINES, Examples, Job, Objective
from pellucid.engines.contract import State
from pellucid.insight.trace import preset
from pellucid.losses import loss
from pellucid.optimizers import OPTIMIZERS, optimizer


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_the_update_is_the_first_step_of_a_training(name, rng):
    layers = [Dense(3, "tanh", learning_rate_factor=0.5), Dense(1, "sigmoid")]
    net = Network(layers, n_inputs=2, seed=0, dtype="float64")
    X, Y = rng.normal(size=(2, 4)), np.array([[0.0, 1, 1, 0]])
    t = trace(net, X, Y, "bce", optimizer=name, learning_rate=0.05)
    how = {"loss": "bce", "optimizer": name, "learning_rate": 0.05, "epochs": 1, "batch_size": 4}
    train(net, X, Y, engine="reference", **how)
    after = {step.key: step.values for step in t.update}
    for l in (1, 2):
        np.testing.assert_allclose(after["W", l], net.W[l], rtol=1e-12)
        np.testing.assert_allclose(after["b", l], net.b[l], rtol=1e-12, atol=1e-18)
    slots = OPTIMIZERS[name].slots
    assert [key[0] for key in after] == 2 * [
        *(f"{slot}_dW" for slot in slots), "W", *(f"{slot}_db" for slot in slots), "b"
    ]  # fmt: skip
    assert "Update" in t.text(100)
    assert "v_{dW}^{[1]}" in t.latex() or "v" not in slots


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_a_later_step_is_that_of_the_engine(name, dtype, rng):
    layers = [
        Scale(),
        Dense(3, "tanh", learning_rate_factor={"W": 0.5, "b": 2.0}),
        Dense(2, "softmax"),
    ]
    net = Network(layers, n_inputs=2, seed=0, dtype=dtype)
    X, Y = rng.normal(size=(2, 5)).astype(dtype), np.eye(2, dtype=dtype)[:, [0, 1, 1, 0, 1]]
    w = rng.uniform(0.5, 1.5, 5).astype(dtype)
    how = {"sample_weight": w, "l2": 0.1, "l1": 0.01, "optimizer": name, "learning_rate": 0.05}
    first = trace(net, X, Y, "cce", **how)
    job = Job(net, Objective(loss("cce"), 0.01, 0.1), optimizer(name), batch_size=5)
    session = ENGINES["reference"].start(job)
    rates = np.full(1, 0.05)
    for step in range(4):
        before = session.state()
        t = trace(net, X, Y, "cce", state=before, **how)
        later = first.next(step)
        session.run(Examples(X, Y, w), None, 0, 1, learning_rate=rates)
        after = session.state()
        assert t.state.step == later.state.step == step
        shown = {step.key: step.values for step in t.update}
        for layer in net.layers:
            for letter, W in layer.parameters.items():
                np.testing.assert_array_equal(shown[letter, layer.number], W)
                for slot in OPTIMIZERS[name].slots:
                    found = shown[f"{slot}_d{letter}", layer.number]
                    np.testing.assert_array_equal(
                        found, after.slots[f"{slot}_{letter}{layer.number}"]
                    )
        for mine, theirs in zip(t.update, later.update, strict=True):
            assert (mine.key, mine.formula) == (theirs.key, theirs.formula)
            np.testing.assert_array_equal(mine.values, theirs.values)
    assert t.update[-1].why.endswith("Step t = 4.")
    session.close()


def test_what_is_remembered_is_shown_with_its_numbers():
    t = preset("xor").trace(optimizer="momentum", learning_rate=1.0)
    v, W = t.next().update[:2]
    old = next(part for part in v.parts if not isinstance(part, str))
    np.testing.assert_array_equal(old.values, t.update[0].values)
    assert v.why == "What the optimizer remembers; it is what step 1 left."
    assert t.update[0].why == "What the optimizer remembers; it began at 0."
    np.testing.assert_array_equal(W.values, t.next(2).network.W[1])
    data = t.next(2).to_dict()
    assert data["state"]["step"] == 2
    np.testing.assert_array_equal(data["state"]["slots"]["v_W1"], v.values)
    assert set(data["update"]) == {f"{a}[{l}]" for a in ("v_dW", "W", "v_db", "b") for l in (1, 2)}


def test_a_checkpoint_says_what_is_remembered(tmp_path, rng):
    X, Y = rng.normal(size=(2, 6)), np.array([0, 1, 1, 0, 1, 0])
    net = Network([Dense(2, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    how = {"loss": "bce", "optimizer": "adam", "learning_rate": 0.01, "batch_size": 6}
    train(net, X, Y, epochs=3, engine="reference", checkpoint=tmp_path / "c", **how)
    del how["batch_size"]
    t = trace(net, X, Y, state=tmp_path / "c", **how)
    train(net, X, Y, epochs=4, engine="reference", resume=tmp_path / "c", batch_size=6, **how)
    assert t.state.step == 3
    after = {step.key: step.values for step in t.update}
    np.testing.assert_allclose(after["W", 1], net.W[1], rtol=1e-6)


def test_momentum_is_written_as_in_lecture_001():
    t = preset("xor").trace(optimizer="momentum")
    assert [step.formula for step in t.update[:2]] == [
        "v_dW[1] := 0.9 v_dW[1] + 0.1 dW[1]",
        "W[1] := W[1] - alpha v_dW[1]",
    ]
    adam = preset("xor").trace(optimizer="adam").update[2].formula
    assert adam == ("W[1] := W[1] - (alpha 0.0316228 / 0.1) v_dW[1] / (sqrt(s_dW[1]) + 1e-08)")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"optimizer": "lbfgs"}, "lbfgs takes a line search"),
        ({"learning_rate": 0.1}, "is for the step of an optimizer; name one"),
        ({"state": State()}, "state is for the step of an optimizer; name one"),
        (
            {"optimizer": "adam", "state": State()},
            r"does not belong to this network and adam: s_W1 should be \(2, 2\), is absent",
        ),
        ({"optimizer": "sgd", "state": State(-1)}, "its step must be a whole number of 0 or more"),
        ({"optimizer": "adm"}, r"unknown optimizer 'adm' \(did you mean 'adam'"),
    ],
)
def test_an_update_that_cannot_be_shown_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        preset("xor").trace(**how)


def test_a_step_that_cannot_be_gone_on_to_is_refused():
    with pytest.raises(TypeError, match="state must be a State, as "):
        preset("xor").trace(optimizer="adam", state={"v_W1": 0})
    with pytest.raises(ValueError, match="next is a step of an optimizer; name one"):
        preset("xor").trace().next()
    with pytest.raises(ValueError, match="steps must be a whole number of 0 or more; got -1"):
        preset("xor").trace(optimizer="adam").next(-1)
