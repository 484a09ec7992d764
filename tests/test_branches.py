"""Dropout, Residual and Parallel: what they compute, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alike import same_parameters
from pellucid import (
    Dense,
    Network,
    Scale,
    check_gradients,
    propagation,
    train,
)
from pellucid.engines import ENGINES, Job, Objective
from pellucid.layers import (
    BatchNorm,
    Conv1D,
    Conv2D,
    Dropout,
    Layer,
    LayerCache,
    LayerNorm,
    Parallel,
    Residual,
    chain,
)
from pellucid.layers.chain import Mode
from pellucid.losses import loss
from pellucid.optimizers import optimizer

# --- Dropout ---


def test_a_dropout_draws_as_the_layer_before_it_would(made):
    inside = Network([Dense(6, "tanh", dropout=0.4), Dense(3, "softmax")], 4, seed=0)
    behind = Network([Dense(6, "tanh"), Dropout(0.4), Dense(3, "softmax")], 4, seed=0)
    for each in (inside, behind):
        train(each, *made, loss="cce", epochs=3, engine="reference", seed=5)
    assert same_parameters(inside, behind)
    X = made[0]
    A, expected = (each.forward(X, cache=True).A[2] for each in (behind, inside))
    np.testing.assert_array_equal(A, expected)  # nothing is left out


def test_a_dropout_of_the_inputs_and_of_pictures(rng):
    X, y = rng.normal(size=(3, 3, 2, 40)), rng.integers(0, 2, 40)
    layers = [Dropout(0.5), Conv2D(3, 2, "tanh"), Dropout(0.25), Dense(2, "softmax")]
    net = Network(layers, (3, 3, 2), seed=0, dtype="float64")
    job = Job(net, Objective(loss("cce")), optimizer("sgd"), batch_size=40, seed=7)
    masks = ENGINES["reference"].start(job)._masks(0, 40)
    assert {l: mask.shape for l, mask in masks.items()} == {0: (18, 40), 1: (12, 40)}
    assert set(np.unique(masks[0])) == {0.0, 2.0}
    assert abs(np.mean(masks[0] == 0) - 0.5) < 0.05
    cache = propagation.forward(net.layers, X.reshape(18, 40), masks)
    np.testing.assert_array_equal(cache.A[0], X.reshape(18, 40) * masks[0])
    assert cache.masks.keys() == {0, 1}
    few = {l: mask[:, :5] for l, mask in masks.items()}
    check = check_gradients(net, X[..., :5], y[:5], "cce", masks=few)
    assert check.ok, check


@pytest.mark.parametrize("rate", [1, -0.1, math.nan, "half", True])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="Dropout: rate must be at least 0 and below 1; got "):
        Dropout(rate)


@pytest.mark.parametrize(
    ("layers", "first", "second"),
    [
        ([Dense(4, dropout=0.5), Dropout(0.5), Dense(1)], r"1 \(Dense", r"1 \(Dropout"),
        ([Dropout(0.1), Scale(), Dropout(0.2), Dense(1)], r"0 \(Dropout", r"0 \(Dropout"),
        ([Residual([Dropout(0.1)]), Dropout(0.2), Dense(1)], r"0 \(Dropout", r"0 \(Dropout"),
        ([Parallel([[Dense(2), Dropout(0.1)], Dropout(0.1)]), Dense(1)], "1 .Drop", "1 .Drop"),
    ],
)
def test_two_dropouts_of_one_number_are_refused(layers, first, second):
    expected = (
        rf"layer {first}.* and layer {second}.* both drop units, by the same draws; put a layer "
        "with a Z, such as Dense, between them"
    )
    with pytest.raises(ValueError, match=expected):
        Network(layers, 4)


def test_a_dropout_that_drops_nothing_changes_no_draw(made):
    with_it = Network([Dense(6), Dropout(0.0), Dropout(0.3), Dense(3, "softmax")], 4, seed=0)
    without = Network([Dense(6), Dropout(0.3), Dense(3, "softmax")], 4, seed=0)
    for each in (with_it, without):
        train(each, *made, loss="cce", epochs=3, engine="reference", seed=5)
    assert same_parameters(with_it, without)


# --- Residual ---


def test_a_residual_by_hand():
    net = Network([Residual([Dense(2, "relu"), Dense(2, "identity")]), Dense(1, "identity")], 2)
    net.set_parameters(
        {1: ([[1, 1], [1, -1]], [0, 0]), 2: ([[2, 0], [0, 3]], [10, 20]), 3: ([[1, 1]], [0])}
    )
    cache = net.forward([[1.0], [2.0]], cache=True)
    # F = W[2] relu((3, -1)) + b[2] = (16, 20), beside what enters
    np.testing.assert_array_equal(cache.Z[1], [[3.0], [-1.0]])
    np.testing.assert_array_equal(cache.Z[2], [[16.0], [20.0]])
    np.testing.assert_array_equal(cache.A[2], [[17.0], [22.0]])
    np.testing.assert_array_equal(cache.A[3], [[39.0]])
    gradients = net.backward(cache, [[38.5]], "half_squared_error", inputs=True)
    # dA[3] = 0.5 for both units of the sum; back through F comes (2 * 0.5, 0) W[1]
    np.testing.assert_array_equal(gradients.dA[2], [[0.5], [0.5]])
    np.testing.assert_array_equal(gradients.dW[2], [[1.5, 0.0], [1.5, 0.0]])
    np.testing.assert_array_equal(gradients.dW[1], [[1.0, 2.0], [0.0, 0.0]])
    np.testing.assert_array_equal(gradients.dX, [[0.5 + 1.0], [0.5 + 1.0]])


@pytest.mark.parametrize("lengths", [None, [6, 2, 4, 1]])
def test_a_residual_is_its_layers_and_what_enters(lengths, rng):
    inner = [LayerNorm(), Conv1D(3, 3, "tanh", padding="same"), Dense(2, "tanh", each_step=True)]
    net = Network([Residual(inner), Dense(2, "softmax", each_step=True)], (6, 2), seed=0)
    alone = Network(inner, (6, 2), seed=0)
    X, Y = rng.normal(size=(12, 4)).astype(np.float32), rng.integers(0, 2, (6, 4))
    T = None if lengths is None else np.array(lengths)
    padding = np.repeat(np.arange(6)[:, None] >= (lengths or [6] * 4), 2, axis=0)
    X = np.where(padding, np.float32("nan"), X)
    cache = net.forward(X, cache=True, lengths=T)
    F = alone.forward(X, cache=True, lengths=T).A[2]
    np.testing.assert_allclose(cache.A[2], np.where(padding, 0, X) + F, rtol=1e-6)
    assert list(net.lengths_after(np.array([6, 2]))) == [6, 2]
    check = check_gradients(net, X, Y, "cce", lengths=T)
    assert check.ok, check


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([Dense(3)], 4, r"Residual\(\[Dense\(3, 'relu'\)\]\): what leaves .* enters, 4; .* it 3\."),
        ([Conv1D(2, 2)], (5, 2), r"enters, 5 x 2; they make it 4 x 2. End them with a layer that"),
        ([Dense(4)], (2, 2), r"enters, 2 x 2; they make it 4\."),
        ([Conv1D(2, 9)], (5, 2), r"Conv1D\(2, 9, 'relu'\): the window of 9 is larger"),
    ],
)
def test_layers_that_do_not_keep_the_shape_are_refused(layers, shape, message):
    with pytest.raises(ValueError, match=message):
        Network([Residual(layers), Dense(1)], shape)


# --- Parallel ---


def test_a_parallel_by_hand():
    net = Network([Parallel([Dense(1, "identity"), [], Scale()]), Dense(1, "identity")], 2)
    net.W[1][...], net.b[1][...], net.s[1][...] = [[1, 10]], 5, [[2], [3]]
    net.W[2][...], net.b[2][...] = [[1, 2, 3, 4, 5]], 0
    cache = net.forward([[1.0], [2.0]], cache=True)
    np.testing.assert_array_equal(cache.A[1].T, [[26.0, 1, 2, 2, 6]])
    np.testing.assert_array_equal(cache.A[2], [[26 + 2 + 6 + 8 + 30]])
    gradients = net.backward(cache, [[71.0]], "half_squared_error", inputs=True)  # dZ[2] = 1
    np.testing.assert_array_equal(gradients.dA[1].T, [[1.0, 2, 3, 4, 5]])
    np.testing.assert_array_equal(gradients.dW[1], [[1.0, 2.0]])
    np.testing.assert_array_equal(gradients.ds[1].T, [[4.0, 10.0]])
    np.testing.assert_array_equal(gradients.dX.T, [[1 + 2 + 2 * 4, 10 + 3 + 3 * 5]])


@pytest.mark.parametrize("split", [None, [1, 2]])
@pytest.mark.parametrize("lengths", [None, [6, 2, 4, 1]])
def test_branches_are_what_they_are_alone(split, lengths, rng):
    branches = [
        [Conv1D(3, 3, "tanh", padding="same"), LayerNorm()],
        [Dense(2, "sigmoid", each_step=True)],
    ]
    net = Network([Parallel(branches, split=split), Dense(2, "softmax", each_step=True)], (6, 3))
    shares = [slice(0, 3)] * 2 if split is None else [slice(0, 1), slice(1, 3)]
    X = rng.normal(size=(6, 3, 4)).astype(np.float32)
    T = None if lengths is None else np.array(lengths)
    X *= (np.arange(6)[:, None] < (lengths or [6] * 4))[:, None, :]
    cache = net.forward(X.reshape(18, 4), cache=True, lengths=T)
    found, start = cache.A[2].reshape(6, 5, 4), 0
    for branch, share in zip(net.layers[0].branches, shares, strict=True):
        A, _ = chain.forward(branch, X[:, share].reshape(-1, 4), Mode(), T)
        A = A.reshape(6, -1, 4)
        np.testing.assert_allclose(found[:, start : start + A.shape[1]], A, rtol=1e-6)
        start += A.shape[1]
    assert start == 5
    assert (net.lengths_after(T) == T) if lengths is None else (net.lengths_after(T) == T).all()
    check = check_gradients(net, X, rng.integers(0, 2, (6, 4)), "cce", lengths=T)
    assert check.ok, check


def test_filters_of_several_sizes_look_at_one_picture(rng):
    towers = Parallel([Conv2D(2, 1, "tanh"), [Conv2D(1, 1), Conv2D(3, 3, "tanh", padding="same")]])
    net = Network([towers, Dense(1, "identity")], (4, 3, 2), seed=0)
    assert net.layers[0].output_shape == (4, 3, 5)
    X = rng.normal(size=(4, 3, 2, 3)).astype(np.float32)
    found = net.forward(X, cache=True).A[3].reshape(4, 3, 5, 3)
    first = Network([Conv2D(2, 1, "tanh")], (4, 3, 2), seed=0)
    first.set_parameters({1: (net.W[1], net.b[1])})
    np.testing.assert_allclose(found[:, :, :2], first.forward(X).reshape(4, 3, 2, 3), rtol=1e-6)


def refused(branches: Any, **how: Any) -> Callable[[tuple[int, ...]], Network]:
    return lambda shape: Network([Parallel(branches, **how), Dense(1)], shape)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (
            refused([Conv1D(2, 2), Dense(3, each_step=True)]),
            (5, 2),
            r"must give the same steps or places.*; branch 1 gives 4 x 2, branch 2 gives 5 x 3\.",
        ),
        (
            refused([Dense(3, each_step=True), Scale(), Dense(3)]),
            (5, 2),
            r"branch 1 gives 5 x 3, branch 3 gives 3\.",
        ),
        (
            refused([Dense(2), Dense(2)], split=[1, 2]),
            (5, 4),
            r"split must add up to 4, the last number of what enters, 5 x 4; \[1, 2\] adds up to 3",
        ),
        (refused([Dense(2)], split=[1, 2]), (3,), "split must be 1 integers of 1 or more"),
        (refused([Dense(2), []], split=[0, 3]), (3,), r"one for each branch; got \[0, 3\]"),
        (refused([Dense(2), []], split="12"), (3,), "split must be 2 integers"),
        (refused([[], []]), (3,), "at least one branch must have a layer; got none"),
        (refused([]), (3,), "at least one branch must have a layer"),
    ],
)
def test_branches_that_do_not_fit_are_refused(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make(shape)


def test_lengths_that_branches_leave_differently_are_refused(rng):
    class Mixing(Layer):  # keeps the shape, and no steps apart
        def lengths_after(self, lengths):
            return None

        def forward(self, A_prev, mask=None):
            return A_prev, LayerCache(A_prev, A_prev)

    X, T = rng.normal(size=(5, 1, 2)), np.array([5, 4])
    strides = Parallel([Conv1D(1, 2, stride=2), Conv1D(1, 3, stride=2)])
    net = Network([strides, Dense(1, each_step=True)], (5, 1), seed=0)
    assert net.forward(X).shape == (2, 2)
    with pytest.raises(
        ValueError,
        match=r"layer 2 \(Parallel 5 x 1 -> 2 x 2\): .* of the 4 of example 1 branch 1 leaves 2, "
        "branch 2 leaves 1",
    ):
        net.forward(X, lengths=T)
    mixed = Parallel([Dense(1, each_step=True), Mixing()])
    net = Network([mixed, Dense(1, each_step=True)], (5, 1), seed=0)
    with pytest.raises(ValueError, match=r"keep the steps apart; branch 1 does, branch 2 does not"):
        net.forward(X, lengths=T)


# --- the layers inside ---


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Residual([]), ValueError, r"Residual: layers must be one or more; got an empty"),
        (lambda: Residual(5), TypeError, r"Residual: layers must be a list of layers .* 1 is 5\."),
        (lambda: Residual([Dense(2), "relu"]), TypeError, r"entry 2 is 'relu'"),
        (lambda: Parallel([Dense(2), [3]]), TypeError, r"branch 2 must be a list .* 1 is 3"),
        (lambda: Parallel(Dense(2)), TypeError, r"branches must be a list of layers, or of lists"),
        (
            lambda: Network([Residual([Dense(2, "softmax")]), Dense(2)], 2),
            ValueError,
            r"entry 1, Residual\(.*in it Dense\(2, 'softmax'\): softmax is for the output layer",
        ),
        (
            lambda: Network([Dense(2), Residual(Dense(2))], 2),
            ValueError,
            r"the last layer must compute a Z, such as Dense; got Residual\(\[Dense",
        ),
        (
            lambda: Network([Parallel([[Dense(2), Scale()], Scale()]), Dense(1)], 2),
            ValueError,
            r"layer 1 \(Scale 2 -> 2\) and layer 1 \(Scale 2 -> 2\) both have a parameter s1",
        ),
    ],
)
def test_what_cannot_be_inside_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_wrong_input_names_the_inner_layer():
    net = Network([Residual([Dense(2), Dense(3)]), Dense(1)], 3)
    with pytest.raises(ValueError, match=r"layer 2 \(Dense 2 -> 3\) expects A_prev of shape"):
        net.leaves[1].forward(np.ones((3, 1)))
    net.leaves[1].parameters["W"] = np.zeros((1, 1))
    with pytest.raises(ValueError, match=r"W\[2\] must be an array of float32, \(3, 2\)"):
        net.forward(np.ones((3, 1)))


def test_what_stands_alone_is_built_whole(rng):
    layer = Residual([Dense(2, "tanh"), BatchNorm(), Dense(3)]).build((3,), seed=3)
    output, cache = layer.forward(rng.normal(size=(3, 5)))
    dA_prev, found = layer.backward(output, cache)
    assert [set(each) for each in found] == [
        {"dZ", "dW", "db"}, {"dgamma", "dbeta"}, {"dZ", "dW", "db"},
    ]  # fmt: skip
    assert dA_prev.shape == (3, 5)
    with pytest.raises(ValueError, match=r"layer 3 \(Residual 3 -> 3\) expects A_prev of shape"):
        layer.forward(np.ones((2, 5)))
    with pytest.raises(ValueError, match="expects dA of the shape of its output"):
        layer.backward(np.ones((2, 5)), cache)
    with pytest.raises(ValueError, match="has no parameters yet"):
        Parallel([Dense(1)]).forward(np.ones((2, 5)))
