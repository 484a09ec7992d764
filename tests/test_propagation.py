"""Propagation: the lectures' equations, on any array library, pure, and numbered as they are."""

from __future__ import annotations

import array_api_strict as strict
import numpy as np
import pytest

from pellucid import Dense, Scale, propagation
from pellucid.activations import ACTIVATIONS
from pellucid.layers import Layer
from pellucid.losses import LOSSES, PAIRS, loss


def chain(layers: list[Layer], n_inputs: int, rng: np.random.Generator) -> list[Layer]:
    """Build the layers one upon the other, with random parameters."""
    shape, number = (n_inputs,), 0
    for layer in layers:
        number += layer.computes_Z
        layer.build(shape, number=number)
        for parameter in layer.parameters.values():
            parameter[...] = rng.normal(size=parameter.shape)
        shape = layer.output_shape
    return layers


def pairs_that_fit():
    """Every hidden activation once, with every loss and output activation that fits it."""
    hidden = [name for name, g in ACTIVATIONS.items() if not g.output_only]
    combinations = [(output, name) for name in LOSSES for output in LOSSES[name].fits]
    found = [(hidden[k % len(hidden)], *pair) for k, pair in enumerate(combinations)]
    found += [(g, "identity", "half_squared_error") for g in hidden]
    return found


@pytest.mark.parametrize(("hidden", "output", "name"), pairs_that_fit())
def test_another_array_library_gives_the_same_numbers(hidden, output, name, rng, draw_targets):
    entry = loss(name)
    layers = chain([Scale(), Dense(4, hidden, dropout=0.5), Dense(3, output)], 2, rng)
    X, Y, w = rng.normal(size=(2, 6)), draw_targets(entry, 3, 6, rng), rng.random(6)
    masks = {1: (rng.random((4, 6)) > 0.5) * 2.0}
    penalties = {"l1": 0.01, "l2": 0.1}

    def run(xp):
        """The cost, and every array of a forward and a backward pass."""
        own = [layer.unbuilt() for layer in layers]
        for mine, layer in zip(own, layers, strict=True):
            mine.number, mine.input_shape = layer.number, layer.input_shape
            mine.output_shape = layer.output_shape
            mine.parameters = {key: xp.asarray(value) for key, value in layer.parameters.items()}
        targets, weights = xp.asarray(Y), xp.asarray(w)
        own_masks = {l: xp.asarray(mask) for l, mask in masks.items()}
        cache = propagation.forward(own, xp.asarray(X), own_masks)
        gradients = propagation.backward(cache, targets, entry, weights, inputs=True, **penalties)
        arrays = {"dX": gradients.dX}
        arrays |= {f"Z{l}": Z for l, Z in cache.Z.items()} | {
            f"A{l}": A for l, A in cache.A.items()
        }
        arrays |= {f"dA{l}": dA for l, dA in gradients.dA.items()}
        for position, found in enumerate(gradients.by_layer):
            arrays |= {f"{name} of {position}": array for name, array in found.items()}
        return propagation.cost(cache, targets, entry, weights, **penalties), arrays

    J, arrays = run(np)
    J_strict, strict_arrays = run(strict)
    assert J_strict == pytest.approx(J, rel=1e-13)
    assert list(arrays) == list(strict_arrays)
    for key, array in arrays.items():
        assert type(strict_arrays[key]) is type(strict.asarray(0.0)), key
        np.testing.assert_allclose(np.asarray(strict_arrays[key]), array, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_of_float32_stay_float32_in_another_library(activation):
    g = ACTIVATIONS[activation]()
    Z = strict.asarray([[-2.0, 0.0, 3.0]], dtype=strict.float32)
    assert g(Z).dtype == g.backward(Z, Z, g(Z)).dtype == strict.float32


def test_nothing_is_changed_in_place(rng):
    layers = chain([Scale(), Dense(3, "relu", dropout=0.5), Dense(2, "softmax")], 2, rng)
    X, Y, w = rng.normal(size=(2, 4)), np.eye(2)[[0, 1, 1, 0]].T, rng.random(4)
    mask = (rng.random((3, 4)) > 0.5) * 2.0
    arrays = [X, Y, w, mask, *(array for k in layers for array in k.parameters.values())]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    cache = propagation.forward(layers, X, {1: mask})
    kept = [array.copy() for array in [*cache.Z.values(), *cache.A.values()]]
    for array in [*cache.Z.values(), *cache.A.values()]:
        array.flags.writeable = False
    propagation.backward(cache, Y, loss("cce"), w, l1=0.1, l2=0.1, inputs=True)
    assert all((a == b).all() for a, b in zip(arrays, before, strict=True))
    after = [*cache.Z.values(), *cache.A.values()]
    assert all((a == b).all() for a, b in zip(after, kept, strict=True))


def test_a_scale_belongs_to_the_layer_before_it(rng):
    layers = chain([Scale(), Dense(3, "tanh"), Scale(), Dense(1, "identity")], 2, rng)
    X, Y = rng.normal(size=(2, 5)), rng.normal(size=(1, 5))
    cache = propagation.forward(layers, X)
    gradients = propagation.backward(cache, Y, loss("mse"), inputs=True)
    s0, W1, s1, W2 = (next(iter(layer.parameters.values())) for layer in layers)
    assert list(cache.A) == [0, 1, 2]
    assert list(cache.Z) == [1, 2]
    np.testing.assert_allclose(cache.A[0], s0 * X)  # what enters layer 1
    np.testing.assert_allclose(cache.A[1], s1 * np.tanh(cache.Z[1]))  # what enters layer 2
    assert list(gradients.dW) == list(gradients.db) == [1, 2]
    assert list(gradients.ds) == [0, 1]
    # dA[l] is by A[l] as it leaves layer l, so W^T dZ; dX is by X itself.
    np.testing.assert_allclose(gradients.dA[1], W2.T @ gradients.dZ[2])
    np.testing.assert_allclose(gradients.dA[0], W1.T @ gradients.dZ[1])
    np.testing.assert_allclose(gradients.dX, s0 * gradients.dA[0])
    np.testing.assert_allclose(gradients.ds[0], np.mean(gradients.dA[0] * X, axis=1, keepdims=True))


def test_dX_only_on_request(rng):
    layers = chain([Dense(3, "tanh"), Dense(1, "identity")], 2, rng)
    cache = propagation.forward(layers, rng.normal(size=(2, 5)))
    gradients = propagation.backward(cache, np.zeros((1, 5)), loss("mse"))
    assert gradients.dX is None
    assert 0 not in gradients.dA
    assert sorted(gradients.dA) == [1, 2]


def test_a_fused_pair_starts_from_dZ(rng):
    layers = chain([Dense(2, "sigmoid")], 2, rng)
    Y = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    cache = propagation.forward(layers, rng.normal(size=(2, 3)))
    dA, dZ = propagation.output_gradient(cache, Y, loss("bce"))
    assert dA is None
    assert (dZ == cache.A[1] - Y).all()
    dA, dZ = propagation.output_gradient(cache, Y, loss("mse"))
    assert dZ is None
    assert (dA == cache.A[1] - Y).all()  # 2/n (A - Y), n = 2
    assert ("sigmoid", "mean_squared_error") not in PAIRS


def test_integer_weights_repeat_examples(rng):
    layers = chain([Dense(3, "tanh"), Dense(1, "sigmoid")], 2, rng)
    X, Y, times = rng.normal(size=(2, 4)), np.array([[0.0, 1.0, 1.0, 0.0]]), [1, 3, 0, 2]
    weighted = propagation.forward(layers, X)
    repeated = propagation.forward(layers, np.repeat(X, times, axis=1))
    w, Y_repeated = np.array(times, dtype=float), np.repeat(Y, times, axis=1)
    assert propagation.cost(weighted, Y, loss("bce"), w) == pytest.approx(
        propagation.cost(repeated, Y_repeated, loss("bce")), rel=1e-13
    )
    a = propagation.backward(weighted, Y, loss("bce"), w)
    b = propagation.backward(repeated, Y_repeated, loss("bce"))
    for l in (1, 2):
        np.testing.assert_allclose(a.dW[l], b.dW[l], rtol=1e-12)
        np.testing.assert_allclose(a.db[l], b.db[l], rtol=1e-12)


def test_a_mask_drops_units_and_scales_the_others(rng):
    layers = chain([Dense(3, "tanh", dropout=0.5), Dense(1, "identity")], 2, rng)
    X = rng.normal(size=(2, 4))
    mask = np.array([[0.0, 2, 2, 0], [2, 0, 2, 0], [2, 2, 0, 0]])
    cache = propagation.forward(layers, X, {1: mask})
    assert (cache.A[1] == np.tanh(cache.Z[1]) * mask).all()
    assert cache.masks == {1: mask} or (cache.masks[1] == mask).all()
    gradients = propagation.backward(cache, np.zeros((1, 4)), loss("mse"))
    assert ((gradients.dZ[1] != 0) == (mask != 0)).all()
    assert propagation.forward(layers, X).masks == {}


def test_blocks_of_a_mini_batch_add_up(rng):
    layers = chain([Dense(3, "tanh"), Dense(2, "softmax")], 2, rng)
    X, Y = rng.normal(size=(2, 10)), np.eye(2)[rng.integers(0, 2, 10)].T
    whole = propagation.backward(propagation.forward(layers, X), Y, loss("cce"))
    parts = [
        propagation.backward(propagation.forward(layers, X[:, k]), Y[:, k], loss("cce"), m=10)
        for k in (slice(0, 7), slice(7, 10))
    ]
    for l in (1, 2):
        np.testing.assert_allclose(sum(part.dW[l] for part in parts), whole.dW[l], rtol=1e-12)
        np.testing.assert_allclose(sum(part.db[l] for part in parts), whole.db[l], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_J_is_summed_in_float64(dtype):
    # 2^24 + 1 examples of loss 1 would stop growing at 2^24 in float32; here, unequal weights.
    w = np.array([1e8, 1.0, 1.0], dtype=dtype)
    layer = Dense(1, "identity").build((1,), dtype=dtype)
    layer.parameters["W"][...] = 1
    X = np.array([[0.0, 1e4, 1e4]], dtype=dtype)
    cache = propagation.forward([layer], X)
    J = propagation.cost(cache, np.zeros((1, 3), dtype), loss("mse"), w)
    assert J == pytest.approx(2e8 / (1e8 + 2), rel=1e-12)
