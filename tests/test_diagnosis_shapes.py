"""The diagnosis of pictures and sequences: filters, channels, and what must not be advised."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, History, Network, NetworkClassifier, diagnose, train
from pellucid.insight import Diagnosis, Finding
from pellucid.insight.diagnosis.evidence import gather
from pellucid.insight.diagnosis.recipe import recipe_of
from pellucid.insight.diagnosis.training_run import training_run_of, with_kept_rows
from pellucid.layers import BatchNorm, Conv1D, Conv2D, GlobalPool, Layer, MaxPool, Residual
from pellucid.losses import loss as find_loss
from pellucid.training.facts.channels import channels_of, compare_channels
from pellucid.training.facts.columns import Columns
from pellucid.training.measure import measure, of_layers

RNG = np.random.default_rng(0)
M = 400


def bars(m: int = M, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Upright or lying bars somewhere in pictures of 8 x 8."""
    pictures, lies = 0.2 * RNG.normal(size=(m, 8, 8, channels)), RNG.integers(0, 2, m)
    for k, (row, column) in enumerate(RNG.integers(0, 5, (m, 2))):
        if lies[k]:
            pictures[k, row, column : column + 4] += 1
        else:
            pictures[k, row : row + 4, column] += 1
    return pictures.reshape(m, -1).T, lies


X, Y = bars()
XV, YV = bars(200)
CONV: tuple[Layer, ...] = (Conv2D(6, 3), MaxPool(2), Conv2D(8, 3))


def trained(
    layers: Any = CONV,
    inputs: Any = X,
    *,
    targets: Any = Y,
    shape: tuple[int, ...] = (8, 8, 1),
    validation: Any = (XV, YV),
    bias: float | None = None,
    **settings: Any,
) -> History:
    net = Network([*layers, Dense(1, "sigmoid")], shape, seed=0)
    if bias is not None:
        for l in range(1, net.L):
            net.b[l][...] = bias
    settings = {"loss": "bce", "learning_rate": 0.005, "epochs": 25, "n_threads": 1} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(net, inputs, targets, validation_data=validation, **settings)


def serious(report: Diagnosis) -> list[str]:
    """The kinds of severity warning or error, in order."""
    return [f.kind for f in report.findings if f.severity != "info"]


def of(report: Diagnosis, kind: str) -> Finding:
    return next(f for f in report.findings if f.kind == kind)


# Filters ------------------------------------------------------------------------------------------


def test_filters_that_are_0_at_every_place_are_dead() -> None:
    report = diagnose(trained(bias=-10.0))
    first = report.findings[0]
    assert (first.kind, first.severity, first.where) == ("dead_filters", "error", "layer 1")
    assert first.evidence.startswith(
        "6 of 6 filters are 0 at every place of every example, so they pass no gradient back"
    )
    assert "dead_units" not in serious(report)
    assert first.fix == {"activation": "leaky_relu", "bias": 0.0}
    assert report.tried is not None
    assert report.tried.after > report.tried.before + 0.1


def test_a_filter_that_is_above_0_at_one_place_lives() -> None:
    net = Network([Conv2D(3, 1), Dense(1, "sigmoid")], (2, 2, 1), "zeros", dtype="float64")
    net.W[1] = [[1.0], [1.0], [-1.0]]
    net.b[1] = [[-4.0], [-9.0], [-1.0]]
    one = np.array([[1.0, 2.0, 3.0, 5.0]]).T  # only 5 - 4 is above 0
    found = measure(net, one, np.ones((1, 1)), find_loss("bce"))["layers"]
    assert (found[0]["dead"], found[0]["units"], found[0]["places"]) == (2, 3, 4)
    assert found[0]["unit"] == "filter"
    assert {"unit", "places"} & found[1].keys() == set()


def test_a_dense_layer_behind_filters_still_has_dead_units() -> None:
    net = Network([Conv2D(4, 3), Dense(6), Dense(1, "sigmoid")], (8, 8, 1), seed=0)
    net.b[2][...] = -50
    report = diagnose(net, X, Y, loss="bce")
    assert of(report, "dead_units").where == "layer 2"
    assert "dead_filters" not in [f.kind for f in report.findings]


# Healthy ones -------------------------------------------------------------------------------------

HEALTHY = {
    "pools": CONV,
    "one filter": (Conv2D(1, 3), Dense(8)),
    "strides": (Conv2D(6, 3, "tanh", stride=2), Dense(16)),
    "batch norm": (Conv2D(6, 3), BatchNorm(), Conv2D(6, 3)),
    "residual": (
        Conv2D(6, 3, padding="same"),
        Residual([Conv2D(6, 3, padding="same"), Conv2D(6, 3, "identity", padding="same")]),
        GlobalPool("max"),
    ),
}


@pytest.mark.parametrize("layers", HEALTHY.values(), ids=HEALTHY.keys())
def test_healthy_convolutions_are_called_healthy(layers: Any) -> None:
    history = trained(layers, epochs=50, early_stopping=10)
    assert max(history.curves["val_loss"][-1:]) < 0.4
    assert serious(diagnose(history)) == []
    net = history.kept.network()
    assert serious(diagnose(history, X, Y, network=net, validation_data=(XV, YV))) == []


def test_sizes_of_hidden_layers_are_not_advised_to_filters() -> None:
    noisy = np.where(np.random.default_rng(1).random(M) < 0.3, 1 - Y, Y)
    settings = {"epochs": 150, "learning_rate": 0.01}
    runs = {
        "overfitting": trained(targets=noisy, **settings),
        "underfitting": trained([Conv2D(1, 1, stride=4)], targets=noisy, epochs=60),
        "constant": trained([Conv2D(1, 3, "sigmoid", stride=3)], learning_rate=1e-4, epochs=60),
    }
    for name, history in runs.items():
        report = diagnose(history, try_advice=name == "overfitting")
        assert not any("hidden_layer_sizes" in f.fix for f in report.findings), name
        assert "hidden_layer_sizes" not in report.suggest(), name
        assert "hidden units" not in str(report), name
        assert name not in ("overfitting", "underfitting") or name in serious(report), name


def test_one_filter_is_no_hidden_layer_of_one_unit() -> None:
    """It gives a number for each place: the answer does not follow one line."""
    report = diagnose(trained([Conv2D(1, 3)], epochs=2))
    assert "underfitting" not in serious(report)


# Channels -----------------------------------------------------------------------------------------


def test_channels_are_judged_as_columns_are() -> None:
    pictures, lies = bars(M, 2)
    raw = pictures.reshape(8, 8, 2, M).copy()
    raw[:, :, 1] = 300 * raw[:, :, 1] + 100
    report = diagnose(trained(inputs=raw.reshape(128, M), targets=lies, shape=(8, 8, 2),
                              validation=None, epochs=10))  # fmt: skip
    scales = of(report, "unscaled_inputs")
    assert serious(report)[0] == "unscaled_inputs"
    assert scales.where == "channel 1, channel 2"
    assert scales.advice.startswith("Standardise: subtract each channel's mean")


def test_a_constant_channel_is_told_and_not_dropped() -> None:
    pictures, lies = bars(M, 2)
    raw = pictures.reshape(8, 8, 2, M).copy()
    raw[:, :, 1] = 1.0
    report = diagnose(trained(inputs=raw.reshape(128, M), targets=lies, shape=(8, 8, 2),
                              validation=None))  # fmt: skip
    constant = of(report, "constant_column")
    assert (constant.where, constant.severity, constant.fix) == ("channel 2", "info", {})


def test_pictures_scaled_differently_in_validation() -> None:
    report = diagnose(trained(validation=(255 * XV, YV), epochs=10))
    assert serious(report)[0] == "drift"
    assert "in 1 of 1 channels the validation values" in of(report, "drift").evidence


def test_padded_steps_are_no_values_of_a_feature() -> None:
    steps = np.array([[[2.0, 5.0], [2.0, 7.0], [0.0, 0.0]], [[2.0, 6.0], [0.0, 0.0], [0.0, 0.0]]])
    given = steps.reshape(2, -1).T, np.array([2, 1])
    found = channels_of(given, (3, 2))
    assert found.constant == [True, False]
    assert found.scale[1] == pytest.approx(np.sqrt((25 + 49 + 36) / 3))
    assert channels_of((given[0], None), (3, 2)).constant == [False, False]
    assert found.word == Columns.from_dict(found.to_dict()).word == "feature"


def test_places_of_one_picture_are_one_draw() -> None:
    """A dozen pictures, each as bright as it is: two halves that chance has drawn do not differ."""
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(1, 24)) + 0.01 * rng.normal(size=(400, 24))
    shape = (20, 20, 1)
    found = channels_of((pictures[:, :12], None), shape)
    compare_channels(found, (pictures[:, :12], None), (pictures[:, 12:], None), shape)
    assert found.drift == [0.0]


# Advice that is tried -----------------------------------------------------------------------------


def test_a_trial_scales_channels_over_the_steps_that_are_there() -> None:
    rng = np.random.default_rng(3)
    lengths, steps = rng.integers(5, 11, 200), rng.normal(size=(10, 2, 200))
    steps[:, 1] = 40 + 100 * steps[:, 1]
    labels = (steps[:4, 0].mean(axis=0) > 0).astype(int)
    history = trained([Conv1D(6, 3), GlobalPool()], steps.reshape(20, 200), targets=labels,
                      shape=(10, 2), validation=None, lengths=lengths, epochs=4)  # fmt: skip
    run = with_kept_rows(training_run_of(history, None, None, None, None))
    recipe = recipe_of(run, gather(run))
    assert recipe is not None
    assert run.data is not None
    scaled, _ = recipe.changed({"standardise": True}).data(run.data, run.data, lengths)
    there = np.arange(10)[:, np.newaxis] < lengths
    for j in range(2):
        values = scaled.reshape(10, 2, 200)[:, j][there]
        assert (values.mean(), values.std()) == pytest.approx((0, 1), abs=1e-5)
    report = diagnose(history)
    assert serious(report)[0] == "unscaled_inputs"
    assert report.tried is not None
    assert report.tried.settings["standardise"]


def test_what_stands_beside_a_way_around_is_not_a_chain() -> None:
    layers = Network(
        [Conv2D(2, 1), Residual([Conv2D(2, 1), Conv2D(2, 1)]), Conv2D(2, 1), Dense(1)], (2, 2, 1)
    ).layers
    assert [each.get("bent", False) for each in of_layers(layers)] == [
        False,
        True,
        True,
        True,
        False,
    ]


# Estimators ---------------------------------------------------------------------------------------


def test_an_estimator_of_any_layers_is_diagnosed() -> None:
    pictures, lies = np.moveaxis(X.reshape(8, 8, 1, M), -1, 0), np.where(Y, "lies", "stands")
    good = NetworkClassifier([*CONV], epochs=25, learning_rate=0.005, random_state=0)
    good.fit(pictures, lies)
    assert serious(diagnose(good)) == []
    assert serious(diagnose(good, pictures, lies)) == []
    slow = NetworkClassifier([*CONV], epochs=25, learning_rate=1e-6, random_state=0)
    report = diagnose(slow.fit(pictures, lies))
    assert serious(report)[0] == "learning_rate_too_low"
    assert report.tried is not None
    better = NetworkClassifier([*CONV], random_state=0, **{"epochs": 25} | report.suggest())
    assert better.fit(pictures, lies).score(pictures, lies) > 0.95
