"""What a training keeps of padded sequences and of answers at each step, and their diagnosis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, History, Network, diagnose, train
from pellucid.insight.diagnosis.evidence import gather
from pellucid.insight.diagnosis.training_run import training_run_of
from pellucid.layers import LAYERS, Conv1D, Layer
from pellucid.layers.shapes import valid_steps
from pellucid.losses import loss as find_loss
from pellucid.training.measure import measure

RNG = np.random.default_rng(0)
SHAPE, M = (10, 2), 120
X = RNG.normal(size=(20, M))
LENGTHS = RNG.integers(4, 11, M)
THERE = valid_steps(LENGTHS, SHAPE)
JUNK = np.where(THERE, X, np.nan)
CLASSES = (X[:8].mean(axis=0) > 0).astype(int)
AT_EACH_STEP = (X.reshape(10, 2, M)[:, 0] > 0).astype(int) + (X.reshape(10, 2, M)[:, 1] > 0)
OF_ONE = [Conv1D(4, 3, "tanh"), Dense(1, "sigmoid")]
OF_STEPS = [Conv1D(4, 3, padding="same"), Dense(3, "softmax", each_step=True)]


def _trained(layers: list[Layer], inputs: Any, Y: Any, **settings: Any) -> History:
    loss = "bce" if layers is OF_ONE else "cce"
    network = Network(layers, SHAPE, seed=0)
    return train(network, inputs, Y, loss=loss, epochs=4, validation_fraction=0.3, **settings)


@pytest.mark.parametrize(("layers", "Y"), [(OF_ONE, CLASSES), (OF_STEPS, AT_EACH_STEP)])
def test_what_stands_in_padded_steps_changes_no_statistic_no_fact_and_no_finding(
    layers: list[Layer], Y: Any
) -> None:
    plain = _trained(layers, np.where(THERE, X, 0.0), Y, lengths=LENGTHS)
    junk = _trained(layers, JUNK, Y, lengths=LENGTHS)
    whole = _trained(layers, X, Y)
    assert plain.statistics == junk.statistics != whole.statistics
    assert plain.facts == junk.facts != whole.facts
    assert str(diagnose(plain)) == str(diagnose(junk))


def test_only_steps_that_are_there_are_measured() -> None:
    network = Network(OF_ONE, SHAPE, seed=0, dtype="float64")
    few, L, Y = np.where(THERE, X, 0.0)[:, :9], LENGTHS[:9], CLASSES[np.newaxis, :9]
    first = measure(network, few, Y, find_loss("bce"), L)["layers"][0]
    alone = [
        Network(OF_ONE[:1], (int(T), 2), {1: (network.W[1], network.b[1])}, dtype="float64")
        .forward(few[: 2 * T, [k]], cache=True)
        .Z[1]
        for k, T in enumerate(L)
    ]
    assert first["Z_rms"] == pytest.approx(np.sqrt(np.mean(np.concatenate(alone) ** 2)))
    assert first["units"] == 4


def test_a_filter_is_a_unit_at_all_of_its_places() -> None:
    layers = [Conv1D(3, 1), Dense(1, "identity", each_step=True)]
    network = Network(layers, (4, 1), "zeros", dtype="float64")
    network.W[1] = [[1.0], [1.0], [-1.0]]
    network.b[1] = [[-3.0], [-9.0], [0.5]]  # above 0 where x > 3, where x > 9, where x < 0.5
    steps = np.array([[1.0], [2.0], [4.0], [0.0]])

    def dead(lengths: Any) -> int:
        found = measure(network, steps, np.zeros((4, 1)), find_loss("mse"), lengths)
        return int(found["layers"][0]["dead"])

    assert dead(None) == 1
    assert dead(np.array([3])) == 2  # x = 0 is padding: nothing is below 0.5
    assert dead(np.array([2])) == 3


def test_the_facts_of_answers_at_each_step_are_those_of_the_curves() -> None:
    history = _trained(OF_STEPS, JUNK, AT_EACH_STEP, lengths=LENGTHS, metrics=["accuracy"])
    facts = history.facts
    of_answers = {"m", "target", "scores", "outputs", "answers"}
    assert set(facts) == {*of_answers, "columns", "seen_again"}  # no reference: no rows to learn
    assert facts["columns"]["word"] == "feature"
    assert facts["target"]["task"] == "multiclass"
    assert len(facts["target"]["shares"]) == 3
    assert facts["scores"]["train"] == pytest.approx(history["accuracy"][-1], abs=0.01)
    assert facts["answers"]["validation"] == pytest.approx(history["val_loss"][-1], rel=1e-5)


def test_the_score_of_answers_at_each_step_that_are_given_is_the_mean_over_examples() -> None:
    history = _trained(OF_STEPS, JUNK, AT_EACH_STEP, lengths=LENGTHS)
    run = training_run_of(history, (JUNK, AT_EACH_STEP), None, None, None, (LENGTHS, None))
    scores = gather(run).scores
    assert scores is not None
    assert run.network is not None
    right = run.network.predict(JUNK, lengths=LENGTHS) == AT_EACH_STEP
    expected = [right[:T, k].mean() for k, T in enumerate(LENGTHS)]
    assert scores.train == pytest.approx(np.mean(expected))


def test_classes_at_each_step_have_no_weights() -> None:
    with pytest.raises(ValueError, match="class_weight is for one class an example; this network"):
        _trained(OF_STEPS, X, AT_EACH_STEP, class_weight="balanced")


def _every_layer() -> Iterator[Any]:
    for name, kind in LAYERS.items():
        for k, (layer, shape) in enumerate(kind.examples()):
            yield pytest.param(layer, shape, id=f"{name}-{k}")


@pytest.mark.parametrize(("layer", "shape"), list(_every_layer()))
def test_a_network_with_any_layer_is_diagnosed(layer: Layer, shape: tuple[int, ...]) -> None:
    network = Network([layer, Dense(4, "tanh"), Dense(2, "softmax")], shape, seed=0)
    inputs = network.layers[0].example_inputs(60, np.random.default_rng(1))
    y = np.arange(60) % 2
    history = train(network, inputs, y, loss="cce", epochs=3)
    layers = history.statistics[-1]["layers"]
    assert [each["layer"] for each in layers] == list(range(1, network.L + 1))
    assert all(np.isfinite(each["Z_rms"]) and each["units"] >= 1 for each in layers)
    told = diagnose(history)
    assert "some rows of the training" in told.looked_at
    assert str(diagnose(network, inputs, y)).strip()
