"""The recipe of the tables: the network's shape and factors, the training's options, learning."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pellucid import train
from pellucid.layers import Dense, Scale
from pellucid.optimizers import Adam, Momentum, RMSProp
from pellucid.tables.recipe import batch_size, build_network, train_options
from pellucid.tables.settings import TrainSettings
from pellucid.tasks import OF_A_COLUMN

TASKS = list(OF_A_COLUMN)


def build(task="binary", n_inputs=9, n_classes=4, seed=0, **settings):
    return build_network(n_inputs, task, n_classes, TrainSettings(**settings), seed)


@pytest.mark.parametrize(
    ("task", "activation", "output"),
    [
        ("binary", "selu", (1, "sigmoid")),
        ("multiclass", "selu", (4, "softmax")),
        ("regression", "mish", (1, "identity")),
    ],
)
def test_the_layers(task, activation, output):
    scale, *hidden, last = build(task).layers
    assert isinstance(scale, Scale)
    assert [layer.n_units for layer in hidden] == [256, 256, 256]
    assert {layer.activation.name for layer in hidden} == {activation}
    assert (last.n_units, last.activation.name) == output


def test_the_learning_rates_are_those_of_the_neural_tangent_parametrisation():
    scale, first, second, last = build(hidden_layer_sizes=(16, 25)).layers
    assert scale.rate_factor("s") == 6
    for layer, fan_in in ((first, 9), (second, 16), (last, 25)):
        assert layer.rate_factor("W") == pytest.approx(1 / math.sqrt(fan_in))
        assert layer.rate_factor("b") == 0.1


def test_the_start():
    network = build("regression", n_inputs=400)
    assert not network.W[4].any()
    assert not network.b[4].any()
    assert (network.s[0] == 1).all()
    for l in (1, 2, 3):
        W, b = network.W[l] * math.sqrt(network.n[l - 1]), network.b[l]
        assert abs(W.mean()) < 0.02
        assert W.std() == pytest.approx(1, abs=0.02)
        assert abs(b.mean()) < 0.25
        assert b.std() == pytest.approx(1, abs=0.2)
    assert len(np.unique(np.concatenate([network.b[l] for l in (1, 2, 3)]))) == 3 * 256


def test_the_same_seed_gives_the_same_bits_and_another_others():
    one, again, other = (build(seed=seed).parameters for seed in (2**63, 2**63, 1))
    assert all((one[name] == again[name]).all() for name in one)
    assert not any((one[name] == other[name]).all() for name in ("W1", "b1", "W3", "b3"))


def test_without_hidden_layers_it_is_logistic_regression():
    network = build(hidden_layer_sizes=())
    assert [type(layer) for layer in network.layers] == [Dense]
    assert (network.forward(np.ones((9, 2))) == 0.5).all()


def test_settings_reach_the_network():
    hidden = build(hidden_layer_sizes=(5, 6), activation="tanh", dropout=0.25).layers[1:]
    assert [layer.n_units for layer in hidden] == [5, 6, 1]
    assert [layer.activation.name for layer in hidden] == ["tanh", "tanh", "sigmoid"]
    assert [layer.dropout for layer in hidden] == [0.25, 0.25, 0]


@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "lbfgs"])
def test_optimizers_that_follow_the_gradients_size_get_no_factors(optimizer):
    for layer in build(optimizer=optimizer).layers:
        assert layer.learning_rate_factor == 1


@pytest.mark.parametrize("task", TASKS)
def test_the_options(task):
    options = train_options(task, 3_000, TrainSettings())
    regression = task == "regression"
    assert options["loss"] == OF_A_COLUMN[task].loss
    assert options["optimizer"] == Adam(beta2=0.95)
    assert options["learning_rate"] == (0.07 if regression else 0.04)
    assert options["label_smoothing"] == (0 if regression else 0.05)
    assert options["batch_size"] == 128
    assert options["early_stopping"].restore_best
    assert options["early_stopping"].patience == TrainSettings().patience


def test_settings_reach_the_options():
    settings = TrainSettings(
        optimizer=RMSProp(beta=0.8), learning_rate=0.5, epochs=7, batch_size=3, patience=0, l2=0.1
    )
    options = train_options("binary", 3_000, settings)
    assert options["optimizer"] == RMSProp(beta=0.8)
    assert (options["learning_rate"], options["epochs"], options["batch_size"]) == (0.5, 7, 3)
    assert options["early_stopping"].patience == 7  # never before the end
    assert options["l2"] == 0.1


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([0.5, 0.5], 0.05), ([0.25, 0.75], 0.05), ([0.24, 0.76], 0), ([0.4, 0.4, 0.2], 0.05),
     ([0.45, 0.45, 0.1], 0), ([0.0, 1.0], 0)],
)  # fmt: skip
def test_labels_are_smoothed_where_the_classes_are_about_equal(shares, expected):
    for task in ("binary", "multiclass"):
        assert train_options(task, 9, TrainSettings(), shares)["label_smoothing"] == expected
    for asked in (0.0, 0.2):
        options = train_options("binary", 9, TrainSettings(label_smoothing=asked), shares)
        assert options["label_smoothing"] == asked


def test_an_optimizer_of_the_users_is_taken_as_it_is():
    assert train_options("binary", 9, TrainSettings(optimizer=Adam()))["optimizer"] == Adam()
    options = train_options("binary", 9, TrainSettings(optimizer="momentum"))
    assert options["optimizer"] == Momentum()
    assert options["learning_rate"] is None


def test_lbfgs_gets_no_options_that_it_refuses():
    options = train_options("binary", 9, TrainSettings(optimizer="lbfgs"))
    assert not {"learning_rate", "batch_size", "schedule"} & set(options)


def test_batch_sizes_grow_with_the_rows():
    sizes = [batch_size(m) for m in (1, 1_024, 1_025, 10_000, 50_000, 10**6)]
    assert sizes == [64, 64, 128, 256, 512, 1024]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "momentum", "lbfgs"])
@pytest.mark.parametrize("task", TASKS)
def test_a_small_table_is_learned_in_the_same_bits(task, optimizer):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 600))
    radius = np.hypot(*X)
    t = {
        "binary": (radius > 1.2).astype(int),
        "multiclass": np.digitize(radius, [0.8, 1.5]),
        "regression": (radius - radius.mean()) / radius.std(),
    }[task]
    settings = TrainSettings(hidden_layer_sizes=(32, 32), optimizer=optimizer, epochs=40)
    found = []
    for _ in range(2):
        network = build_network(2, task, 3, settings, seed=1)
        options = train_options(task, 480, settings)
        validation = (X[:, 480:], t[480:])
        train(network, X[:, :480], t[:480], validation_data=validation, **options)
        found.append(network.forward(X[:, 480:]))
    assert (found[0] == found[1]).all()
    if task == "regression":
        error = np.sqrt(np.mean((found[0][0] - t[480:]) ** 2))
        assert error < 0.35
    else:
        named = found[0].argmax(axis=0) if task == "multiclass" else found[0][0] >= 0.5
        assert np.mean(named == t[480:]) > 0.85
