"""Initializers: the variance of each formula, seeds, and arrays of a user's own."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import Dense, Network
from pellucid.activations import ACTIVATIONS
from pellucid.initializers import (
    INITIALIZERS,
    Constant,
    HeNormal,
    Normal,
    Uniform,
    Zeros,
    initializer,
)

ENTRIES = [entry() for entry in INITIALIZERS.values()]
RANDOM = [entry for entry in ENTRIES if not isinstance(entry, (Zeros, Constant))]
FAN_OUT, FAN_IN = 300, 700

# Variance, and the bound of the uniform ones, from the published formulas.
VARIANCES = {
    "normal": 0.1**2,  # lecture 001: standard deviation 0.1
    "uniform": 0.1**2 / 3,
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
}
BOUNDS = {
    "uniform": 0.1,
    "glorot_uniform": (6 / (FAN_IN + FAN_OUT)) ** 0.5,
    "he_uniform": (6 / FAN_IN) ** 0.5,
    "lecun_uniform": (3 / FAN_IN) ** 0.5,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_mean_and_variance(name):
    W = initializer(name).draw((FAN_OUT, FAN_IN), seed=1, layer=1)
    assert W.var() == pytest.approx(VARIANCES[name], rel=0.02)
    assert abs(W.mean()) < 0.02 * W.std()
    if name in BOUNDS:
        assert 0.999 * BOUNDS[name] < np.abs(W).max() <= BOUNDS[name]
    else:
        assert np.mean((W / W.std()) ** 4) == pytest.approx(3, abs=0.1)


def test_zeros_and_constant():
    assert (Zeros().draw((2, 3), seed=0, layer=1) == 0).all()
    assert (Constant(0.25).draw((2, 3), seed=0, layer=1) == 0.25).all()


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_every_entry_is_described_and_draws(entry):
    assert entry.formula
    assert INITIALIZERS[entry.name] is type(entry)
    assert initializer(entry.spec()) == entry
    W = entry.draw((3, 5), seed=0, layer=1)
    assert W.shape == (3, 5)
    assert W.dtype == np.float64
    assert np.isfinite(W).all()


@pytest.mark.parametrize("entry", RANDOM, ids=repr)
def test_seeds_and_layers(entry):
    W = entry.draw((4, 6), seed=3, layer=1)
    assert (W == entry.draw((4, 6), seed=3, layer=1)).all()
    assert (W != entry.draw((4, 6), seed=4, layer=1)).any()
    assert (W != entry.draw((4, 6), seed=3, layer=2)).any()


def test_layers_of_one_shape_start_differently():
    net = Network([Dense(3, "tanh"), Dense(3, "tanh")], n_inputs=3, seed=0)
    assert (net.W[1] != net.W[2]).all()


def test_biases_start_at_zero_with_every_initializer():
    for name in INITIALIZERS:
        net = Network([Dense(3), Dense(1, "identity")], n_inputs=2, initializer=name, seed=0)
        assert all((b == 0).all() for b in net.b.values())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_has_the_start_that_suits_it(name):
    suited = initializer(ACTIVATIONS[name].initializer)
    net = Network([Dense(5, name)], n_inputs=4, seed=2, dtype="float64")
    assert (net.W[1] == suited.draw((5, 4), seed=2, layer=1)).all()


def test_relu_starts_with_he_and_tanh_with_glorot():
    assert ACTIVATIONS["relu"].initializer == "he_normal"
    assert ACTIVATIONS["tanh"].initializer == "glorot_uniform"
    assert ACTIVATIONS["selu"].initializer == "lecun_normal"


def test_a_network_takes_a_name_an_entry_or_a_dict():
    expected = Normal(0.3).draw((2, 3), seed=7, layer=1)
    for spec in (Normal(0.3), {"name": "normal", "std": 0.3}):
        net = Network([Dense(2)], n_inputs=3, initializer=spec, seed=7, dtype="float64")
        assert (net.W[1] == expected).all()
    net = Network([Dense(2)], n_inputs=3, initializer="he", seed=7, dtype="float64")
    assert (net.W[1] == HeNormal().draw((2, 3), seed=7, layer=1)).all()


def test_a_network_takes_arrays_of_ones_own():
    own = {1: ([[1, 2], [3, 4]], [5, 6]), 2: ([[7, 8]], [9])}
    net = Network([Dense(2), Dense(1, "identity")], n_inputs=2, initializer=own)
    assert net.W[1].tolist() == [[1, 2], [3, 4]]
    assert net.b[1].tolist() == [[5], [6]]
    assert net.W[2].tolist() == [[7, 8]]
    with pytest.raises(ValueError, match=r"W\[1\] has shape \(2, 2\); got \(1, 2\)"):
        Network([Dense(2)], n_inputs=2, initializer={1: ([[1, 2]], [0, 0])})


def test_a_network_takes_a_function():
    shapes = []

    def ones(shape):
        shapes.append(shape)
        return np.ones(shape)

    net = Network([Dense(3), Dense(1, "identity")], n_inputs=2, initializer=ones)
    assert shapes == [(3, 2), (1, 3)]
    assert all((W == 1).all() for W in net.W.values())


@pytest.mark.parametrize("network_start", ["he", None, np.ones], ids=["name", "none", "function"])
def test_a_layers_own_initializer_comes_first(network_start):
    layers = [Dense(3, initializer="zeros"), Dense(1, "identity")]
    net = Network(layers, n_inputs=2, initializer=network_start, seed=0)
    assert (net.W[1] == 0).all()
    assert (net.W[2] != 0).all()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("glorott", r"unknown initializer 'glorott' \(did you mean 'glorot'"),
        ({"name": "normal", "std": 0}, "initializer normal: std must be a positive number"),
        ({"name": "uniform", "limit": -1}, "initializer uniform: limit must be a positive"),
        (
            {"name": "normal", "sd": 1},
            r"has no parameter 'sd' \(did you mean 'std'\?\); it has std",
        ),
    ],
)
def test_unknown_initializers(spec, message):
    with pytest.raises(ValueError, match=message):
        initializer(spec)


def test_uniform_keeps_to_its_limit():
    assert np.abs(Uniform(2.0).draw((50, 50), seed=0, layer=1)).max() <= 2.0
