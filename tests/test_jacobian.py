"""Derivatives by the inputs against differences."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import (
    Dense,
    MLPClassifier,
    Network,
    Scale,
    check_gradients,
    input_gradients,
    jacobian,
)
from pellucid.activations import ACTIVATIONS
from pellucid.insight import integrated_gradients, saliency
from pellucid.layers import (
    LSTM,
    AveragePool,
    Conv1D,
    Conv2D,
    Embedding,
    LayerNorm,
    MaxPool,
    Residual,
)


def differences(f, X, step=1e-6):
    found = []
    for j in range(len(X)):
        move = np.zeros_like(X)
        move[j] = step
        found.append((f(X + move) - f(X - move)) / (2 * step))
    return np.stack(found, axis=1)  # outputs by inputs by examples


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_jacobian_is_that_of_differences(name, outputs, rng):
    hidden = "tanh" if ACTIVATIONS[name].output_only else name
    layers = [Scale(), Dense(5, hidden), Scale(), Dense(outputs, name)]
    net = Network(layers, n_inputs=4, seed=1, dtype="float64", initializer="lecun_normal")
    X = rng.normal(size=(4, 6))
    found = jacobian(net, X)
    assert found.shape == (outputs, 4, 6)
    np.testing.assert_allclose(found, differences(net.forward, X), atol=2e-8, rtol=2e-7)


def test_a_product_of_linear_layers_has_the_product_of_their_matrices():
    net = Network([Dense(3, "identity"), Dense(2, "identity")], 4, seed=0, dtype="float64")
    found = jacobian(net, np.ones((4, 1)))[:, :, 0]
    np.testing.assert_allclose(found, net.W[2] @ net.W[1], atol=1e-15)


def test_input_gradients_are_those_of_the_loss(rng):
    net = Network([Dense(5, "tanh"), Dense(3, "softmax")], 4, seed=1, dtype="float64")
    X, Y, w = rng.normal(size=(4, 6)), rng.integers(0, 3, 6), rng.uniform(0.5, 2, 6)
    found = input_gradients(net, X, Y, "categorical_cross_entropy", sample_weight=w)

    def each(X):
        one = [net.loss(X[:, [i]], Y[[i]], "categorical_cross_entropy") for i in range(6)]
        return (w * np.array(one))[np.newaxis]

    np.testing.assert_allclose(found, differences(each, X)[0], atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_integrated_gradients_add_up_to_the_change_of_the_output(dtype, rng):
    net = Network([Dense(8, "tanh"), Dense(3, "softmax")], 4, seed=1, dtype=dtype)
    X, baseline = rng.normal(size=(4, 6)), rng.normal(size=4)
    k = rng.integers(0, 3, 6)
    parts = integrated_gradients(net, X, k, baseline)
    changed = net.forward(X) - net.forward(np.tile(baseline[:, None], 6))
    np.testing.assert_allclose(parts.sum(axis=0), changed[k, np.arange(6)], atol=2e-5)
    assert not integrated_gradients(net, np.zeros((4, 1)), 0).any()


def test_an_input_that_counts_for_nothing_gets_nothing():
    net = Network([Dense(3, "tanh"), Dense(1, "identity")], 2, seed=0, dtype="float64")
    net.W[1][:, 1] = 0
    parts = integrated_gradients(net, [[1.0], [5.0]], 0)
    assert parts[1, 0] == 0
    assert parts[0, 0] != 0


# Pictures and sequences ---------------------------------------------------------------------------

LENGTHS = np.array([5, 2, 3, 4])


def of_pictures():
    layers = [Conv2D(3, 2, "tanh"), MaxPool(2), LayerNorm(), Dense(2, "softmax")]
    return Network(layers, (4, 5, 2), seed=1, dtype="float64")


def of_steps(last="softmax"):
    layers = [Conv1D(3, 2, "tanh"), Residual(Conv1D(3, 3, "tanh", padding="same"))]
    return Network([*layers, Dense(2, last, each_step=True)], (5, 2), seed=1, dtype="float64")


def sequences(rng):
    X = rng.normal(size=(5, 2, 4))
    for k, length in enumerate(LENGTHS):
        X[length:, :, k] = 7.0
    return X


def test_the_jacobian_of_pictures_and_sequences(rng):
    net, X = of_pictures(), rng.normal(size=(4, 5, 2, 3))
    flat = X.reshape(40, 3)
    np.testing.assert_allclose(jacobian(net, X), differences(net.forward, flat), atol=1e-8)
    net, X = of_steps(), sequences(rng)
    found = jacobian(net, X, lengths=LENGTHS)

    def f(X):
        return net.forward(X, lengths=LENGTHS)

    np.testing.assert_allclose(found, differences(f, X.reshape(10, 4)), atol=1e-8)
    assert found.shape == (8, 10, 4)
    assert not found[2:, :, 1].any()  # 2 steps give 1 output
    X[4] = np.nan
    np.testing.assert_array_equal(jacobian(net, X, lengths=LENGTHS - 1 + (LENGTHS < 5))[:, 8:], 0)


def test_input_gradients_with_lengths(rng):
    net, X, Y = of_steps(), sequences(rng), rng.integers(0, 2, (4, 4))
    found = input_gradients(net, X, Y, "cce", lengths=LENGTHS)

    def each(X):
        one = [
            net.loss(X[:, [i]], Y[:, [i]], "cce", lengths=LENGTHS[[i]]) for i in range(X.shape[1])
        ]
        return np.array(one)[np.newaxis]

    np.testing.assert_allclose(found, differences(each, X.reshape(10, 4))[0], atol=1e-8)
    assert not found.reshape(5, 2, 4)[2:, :, 1].any()


def test_integrated_gradients_of_shapes_add_up(rng):
    layers = [Conv2D(3, 2, "tanh"), AveragePool(2), Dense(2, "softmax")]
    net = Network(layers, (4, 5, 2), seed=1, dtype="float64")
    X, baseline = rng.normal(size=(4, 5, 2, 3)), rng.normal(size=(4, 5, 2))
    parts = integrated_gradients(net, X, 1, baseline)
    changed = net.forward(X) - net.forward(baseline[..., None])
    np.testing.assert_allclose(parts.sum(axis=0), changed[1], atol=1e-6)
    net, X = of_steps("identity"), sequences(rng)
    parts = integrated_gradients(net, X, 1, lengths=LENGTHS)
    changed = net.forward(X, lengths=LENGTHS) - net.forward(0 * X, lengths=LENGTHS)
    np.testing.assert_allclose(parts.sum(axis=0), changed[1], atol=1e-6)
    assert not parts.reshape(5, 2, 4)[2:, :, 1].any()


def test_saliency_is_a_picture_of_the_jacobian(rng):
    net, X = of_pictures(), rng.normal(size=(4, 5, 2, 3))
    k = np.array([0, 1, 1])
    found = saliency(net, X, k)
    expected = np.abs(jacobian(net, X)[k, :, np.arange(3)].T.reshape(4, 5, 2, 3)).max(axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    net, X = of_steps(), sequences(rng)
    found = saliency(net, X, 0, lengths=LENGTHS)
    assert found.shape == (5, 4)
    assert found[:2, 1].all()
    assert not found[2:, 1].any()
    flat = Network([Dense(2, "softmax")], 3, seed=0)
    x = np.ones((3, 2))
    np.testing.assert_allclose(saliency(flat, x, 1), np.abs(jacobian(flat, x)[1]))
    with pytest.raises(ValueError, match="outputs must be 0 to 1, one for all"):
        saliency(flat, x, 2)


def test_word_numbers_have_no_derivative_but_a_saliency(rng):
    net = Network([Embedding(5, 3), LSTM(4), Dense(2, "softmax")], (6,), seed=0, dtype="float64")
    X, lengths = rng.integers(0, 5, (6, 4)), np.array([6, 2, 3, 4])
    for look in (
        lambda: jacobian(net, X),
        lambda: input_gradients(net, X, [0, 1, 0, 1], "cce"),
        lambda: integrated_gradients(net, X, 0),
    ):
        with pytest.raises(ValueError, match=r"word numbers, by which .* insight\.saliency looks"):
            look()
    found = saliency(net, X, 1, lengths=lengths)
    assert found.shape == (6, 4)
    E = net.forward(X, cache=True, lengths=lengths).A[1]
    rest = Network(net.layers[1:], (6, 3), dtype="float64")
    rest.put_parameters(
        {f"{k[0]}{int(k[1]) - 1}": v for k, v in net.parameters.items() if k != "W1"}
    )
    expected = np.abs(jacobian(rest, E, lengths=lengths)[1]).reshape(6, 3, 4).max(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert not found[2:, 1].any()


# What cannot be -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "baseline", "message"),
    [
        (3, None, r"outputs must be 0 to 2, .*; got 3"),
        (-1, None, r"outputs must be 0 to 2, .*; got -1"),
        (0.5, None, r"outputs must be 0 to 2, .*; got 0\.5"),
        ([0, 1, 2], None, r"one for all or for each of the 2 examples; got \[0, 1, 2\]"),
        (0, [1, 2], r"baseline must hold 4 numbers, one an input; got \[1, 2\]"),
        (0, [1, 2, 3, np.nan], r"baseline must hold 4 numbers, one an input; got \[1, 2, 3, nan\]"),
    ],
)
def test_what_cannot_be_attributed_is_refused(outputs, baseline, message):
    net = Network([Dense(3, "softmax")], 4, seed=0)
    with pytest.raises(ValueError, match=message):
        integrated_gradients(net, np.ones((4, 2)), outputs, baseline)


def test_wrong_shapes_are_refused():
    net = Network([Dense(3, "softmax")], 4, seed=0)
    with pytest.raises(ValueError, match=r"X.*\(4, m\)"):
        jacobian(net, np.ones((2, 3)))


@pytest.mark.parametrize("points", [0, -1, 2.5])
def test_points_of_the_integral_are_counted(points):
    with pytest.raises(ValueError, match=r"points must be a whole number of 1 or more; got "):
        integrated_gradients(Network([Dense(1)], 1, seed=0), [[1.0]], 0, points=points)


@pytest.mark.parametrize(
    "take",
    [
        jacobian,
        lambda net, X: input_gradients(net, X, [1], "mse"),
        lambda net, X: integrated_gradients(net, X, 0),
        lambda net, X: saliency(net, X, 0),
        lambda net, X: check_gradients(net, X, [1], "mse"),
    ],
)
def test_what_is_no_network_is_refused(take):
    with pytest.raises(TypeError, match=r"takes a Network; got MLPClassifier.*An estimator has"):
        take(MLPClassifier(), [[1.0]])
