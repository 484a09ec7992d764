"""Activations and gradients by layer, and the metrics: the numbers are the reference's."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from pellucid import propagation
from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import step_sizes
from pellucid.lab.presets import PRESETS
from pellucid.lab.server.commands import COMMANDS
from pellucid.lab.server.trainer import Player
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings
from pellucid.lab.views.diagnosis import training_settings
from pellucid.lab.views.layers import BINS, FEWEST, MOST, examples, layers
from pellucid.lab.views.state import metrics
from pellucid.metrics import METRICS
from pellucid.training.measure import measure


def made(name: str, **more) -> Experiment:
    e = Experiment(Settings.read({**PRESETS[name].experiment, **more}))
    e.steps(30)
    return e


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("gradient", ["dZ", "dW"])
def test_every_number_is_the_reference_s(name, gradient):
    e = made(name, l2=0.01)
    found, rows = layers(e, gradient), examples(e)
    X, Y = e.X[:, rows], e.Y[:, rows]
    cache = propagation.forward(e.network.layers, X)
    back = propagation.backward(cache, Y, e.loss, l2=0.01)
    largest = max(float(np.abs(each).max()) for each in getattr(back, gradient).values())
    assert 10 ** found["log"]["high"] >= largest
    for each, measured in zip(
        found["layers"], measure(e.network, X, Y, e.loss)["layers"], strict=True
    ):
        l = each["layer"]
        arrays = {"A": cache.A[l], "gradient": getattr(back, gradient)[l]}
        for key, values in arrays.items():
            told = each[key]
            assert told["mean"] == pytest.approx(values.mean(dtype=np.float64), rel=1e-5, abs=1e-9)
            assert told["std"] == pytest.approx(values.std(dtype=np.float64), rel=1e-5)
            assert told["zero"] == np.mean(values == 0)
            assert told["size"] == values.size
            assert sum(told["counts"]) == np.sum(values != 0)
        ends = found["A"]["low"], found["A"]["high"]
        nonzero = cache.A[l][cache.A[l] != 0]
        assert each["A"]["counts"] == np.histogram(nonzero, BINS, ends)[0].tolist()
        for key in ("units", "g", "dead", "saturated", "W_norm"):
            assert each[key] == measured[key]
        assert each["dW_rms"] == pytest.approx(np.sqrt(np.mean(np.square(back.dW[l]))), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "adam"])
def test_the_step_is_that_of_the_diagnosis(optimizer):
    e = made("spiral", optimizer=optimizer, learning_rate=0.05)
    rows = examples(e)
    found = measure(e.network, e.X[:, rows], e.Y[:, rows], e.loss)
    expected = step_sizes(Evidence(settings=training_settings(e)), {**found, "epoch": 0})
    told = layers(e)["layers"]
    assert [each["step"] for each in told] == pytest.approx(expected)
    if optimizer == "gradient_descent":
        for each in told:
            plain = 0.05 * each["dW_rms"] * math.sqrt(e.network.W[each["layer"]].size)
            size = max(each["W_norm"], 0.5 * math.sqrt(each["units"]))
            assert each["step"] == pytest.approx(plain / size, rel=1e-5)


def test_sigmoids_shrink_the_gradient_on_its_way_back():
    deep = {"layers": [{"units": 8, "activation": "sigmoid"}] * 5}
    told = layers(made("spiral", **deep))["layers"]
    sizes = [math.hypot(each["gradient"]["mean"], each["gradient"]["std"]) for each in told]
    assert all(first < second for first, second in pairwise(sizes))
    assert sizes[0] < 1e-2 * sizes[-1]


def test_units_at_0_and_flat_units_are_counted():
    relu = made("spiral", layers=[{"units": 4, "activation": "relu"}])
    relu.set_cell("b", 1, 0, 0, -100.0)
    first = layers(relu)["layers"][0]
    assert first["dead"] == 1
    assert first["A"]["zero"] >= 0.25
    tanh = made("spiral", layers=[{"units": 4}])
    tanh.set_cell("b", 1, 2, 0, 50.0)
    assert layers(tanh)["layers"][0]["saturated"] == 1


def test_only_training_examples_and_few_of_them():
    e = made("spiral")
    found = examples(e)
    assert len(found) == layers(e)["examples"] == MOST < layers(e)["of"] == 300
    assert set(found) <= set(e.training)
    large = Experiment(Settings.read({"data": {"name": "digits"}, "layers": [{"units": 400}] * 2}))
    assert FEWEST <= len(examples(large)) < MOST
    small = made("xor-non-linear")
    assert examples(small).tolist() == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_that_are_none_are_left_out():
    e = made("sine", optimizer="gradient_descent", learning_rate=1000.0)
    e.steps(2000)
    assert e.diverged
    for each in layers(e)["layers"]:
        assert len(each["A"]["counts"]) == BINS


def test_all_zeros():
    told = layers(made("spiral", initializer="zeros", optimizer="gradient_descent"))
    assert told["layers"][0]["A"]["zero"] == told["layers"][0]["gradient"]["zero"] == 1
    assert sum(told["layers"][0]["A"]["counts"]) == 0


def test_another_gradient_is_refused():
    with pytest.raises(ValueError, match="gradient must be dZ or dW; got 'dB'"):
        layers(made("sine"), "dB")


def test_the_metrics_are_those_of_the_table():
    e = made("sine")
    A, found = e.outputs(), metrics(e)
    for part, rows in (("training", e.training), ("validation", e.validation)):
        for name in ("root_mean_squared_error", "r2"):
            assert found[part][name] == METRICS[name](e.Y[:, rows], A[:, rows])
    assert metrics(made("xor-non-linear")).keys() == {"training"}
    assert metrics(made("digits"))["validation"].keys() == {"accuracy"}


@pytest.mark.parametrize("command", ["layers", "metrics", "diagnosis"])
def test_looking_does_not_pause(command):
    player = Player(lambda message: None)
    player.open(made("spiral"))
    player.play(None)
    COMMANDS[command](player, {})
    assert player.playing
    player.close()


def test_the_whole_diagnosis_pauses():
    player = Player(lambda message: None)
    player.open(made("xor-non-linear"))
    player.play(None)
    COMMANDS["diagnosis"](player, {"whole": True})
    assert not player.playing
    player.close()
