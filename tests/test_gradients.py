"""Gradients against central differences in float64, over the whole grid (DESIGN, section 8.1)."""

from __future__ import annotations

import dataclasses
import math
import re
import zlib
from itertools import product

import numpy as np
import pytest

from pellucid import Dense, Network, Scale, check_gradients, propagation, trace
from pellucid.activations import ACTIVATIONS, ELU, Activation, LeakyReLU, ReLU, Sigmoid, activation
from pellucid.insight.trace import preset
from pellucid.layers import LAYERS, BatchNorm, Layer, LayerCache, Residual, chain
from pellucid.losses import LOSSES, Huber, Loss, MeanSquaredError, Quantile, loss

HIDDEN: list[Activation] = [entry() for entry in ACTIVATIONS.values() if not entry.output_only]
HIDDEN += [LeakyReLU(slope=0.3), ELU(a=2.5)]

ENTRIES: list[Loss] = [entry() for entry in LOSSES.values()] + [Huber(delta=0.4), Quantile(q=0.9)]


def seed_of(*words: object) -> np.random.Generator:
    """Random numbers of a test's own, the same in every run."""
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


# --- (a) each layer and activation with a random dA ---


EXAMPLES = [(layer, shape) for entry in LAYERS.values() for layer, shape in entry.examples()]
OF_EACH = [(Dense(4, g), (3,)) for g in [*HIDDEN, activation("softmax"), activation("exp")]]
OF_EACH += [(Residual([Dense(3, "tanh"), BatchNorm(), Dense(2, "sigmoid")]), (2,))]
HOW = [("whole", each) for each in EXAMPLES + OF_EACH]
HOW += [("dropout", each) for each in EXAMPLES + OF_EACH]
HOW += [
    ("training", each) for each in EXAMPLES + OF_EACH
    if any(leaf.mixes_examples for leaf in chain.leaves([each[0]]))
]  # fmt: skip


def built_and_input(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator):
    """The layer with random numbers in it, and an input whose Z keeps away from kinks."""
    layer = layer.unbuilt().build(shape)
    while True:
        for leaf in chain.leaves([layer]):
            for parameter in leaf.parameters.values():
                parameter[...] = rng.normal(size=parameter.shape)
            for statistic in leaf.statistics.values():
                statistic[...] = rng.uniform(0.5, 2, size=statistic.shape)
        A_prev = layer.example_inputs(5, rng)
        cache = propagation.forward([layer], A_prev)
        if not any(near_a_kink(*each) for each in zip(cache.layers, cache.caches, strict=True)):
            return layer, A_prev


def near_a_kink(layer: Layer, cache: LayerCache) -> bool:
    kinks = () if layer.activation is None or cache.Z is None else layer.activation.kinks
    return any((np.abs(cache.Z - kink) < 1e-3).any() for kink in kinks)


def random_mask(layer: Layer, m: int, rng: np.random.Generator) -> np.ndarray:
    return (rng.random((math.prod(layer.output_shape), m)) > 0.5) * 2.0


@pytest.mark.parametrize(("how", "each"), HOW, ids=repr)
def test_each_layer_and_activation_with_a_random_dA(how, each):
    rng = seed_of(each[0], how)
    layer, A_prev = built_and_input(*each, rng)
    n, m = math.prod(layer.output_shape), A_prev.shape[1]
    masked = how == "dropout" and not layer.inner and (layer.computes_Z or layer.dropout)
    mask = random_mask(layer, m, rng) if masked else None
    masks = {k.number: random_mask(k, m, rng) for k in chain.leaves(layer.inner) if k.dropout}
    mode = chain.Mode(masks if how == "dropout" else None, how == "training")
    given = {"mode": mode} if "mode" in layer.needs else {}
    dA = rng.normal(size=(n, m))
    dA_prev, found = layer.backward(dA, layer.forward(A_prev, mask, **given)[1])
    found = found if layer.inner else [found]

    def derivative(array: np.ndarray) -> np.ndarray:
        """The derivative of sum(dA * output) by the array."""
        found, step = np.empty_like(array), 1e-5
        for index in np.ndindex(array.shape):
            before = array[index]
            array[index] = before + step
            above = np.sum(dA * layer.forward(A_prev, mask, **given)[0])
            array[index] = before - step
            below = np.sum(dA * layer.forward(A_prev, mask, **given)[0])
            array[index] = before
            found[index] = (above - below) / (2 * step)
        return found

    np.testing.assert_allclose(dA_prev, derivative(A_prev), rtol=1e-6, atol=1e-8)
    nothing, weighed = layer.backward(
        dA, layer.forward(A_prev, mask, **given)[1], m=2.5, inputs=False
    )
    assert nothing is None
    weighed = weighed if layer.inner else [weighed]
    for leaf, gradients, others in zip(chain.leaves([layer]), found, weighed, strict=True):
        for letter, parameter in leaf.parameters.items():
            expected, name = derivative(parameter) / m, "d" + letter
            np.testing.assert_allclose(gradients[name], expected, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(others[name] * 2.5, gradients[name] * m, rtol=1e-12)


# --- (b) whole networks against the reported J ---


@pytest.mark.parametrize(
    ("g", "entry", "output"),
    [
        pytest.param(g, entry, output, id=f"{g!r}-{entry!r}-{output}")
        for g, entry in product(HIDDEN, ENTRIES)
        for output in entry.fits
    ],
)
def test_networks_against_the_reported_J(g, entry, output, draw_targets):
    rng = seed_of(g, entry, output)
    one_is_enough = output != "softmax" and entry.targets != "distribution"
    for n, m, weighted, penalties in product(
        (1, 2, 5) if one_is_enough else (2, 5), (1, 7), (False, True), ({}, {"l1": 0.03, "l2": 0.2})
    ):
        check = None
        while check is None or check.near_kink:
            net = Network([Dense(3, g), Dense(n, output)], n_inputs=2, dtype="float64", seed=0)
            for parameter in net.parameters.values():
                parameter[...] = rng.normal(scale=0.7, size=parameter.shape)
            X, Y = rng.normal(size=(2, m)), draw_targets(entry, n, m, rng)
            w = rng.uniform(0.2, 3.0, m) if weighted else None
            # A step of 3e-6, for ln a of a small a = z/6 + 1/2 bends too much for 1e-5.
            check = check_gradients(net, X, Y, entry, sample_weight=w, **penalties, step=3e-6)
        assert list(check.by_name) == ["dW1", "db1", "dW2", "db2", "dX"]
        assert check.ok, f"outputs {n}, batch {m}, weights {weighted}, {penalties}\n{check}"


@pytest.mark.parametrize(("layer", "shape"), EXAMPLES, ids=repr)
def test_each_layer_inside_a_network(layer, shape):
    rng = seed_of(layer)
    net = Network([layer, Dense(2, "softmax")], shape, seed=1)
    for parameter in net.parameters.values():
        parameter[...] = rng.normal(size=parameter.shape)
    X, labels = net.layers[0].example_inputs(6, rng), rng.integers(0, 2, 6)
    for training in {False, any(leaf.mixes_examples for leaf in net.leaves)}:
        check = check_gradients(net, X, labels, "cce", l2=0.1, training=training)
        assert check.ok, check


def test_scales_dropout_and_factors_together(rng):
    layers = [
        Scale(weight_decay_factor=0.5),
        Dense(4, "tanh", dropout=0.5, weight_decay_factor=2.0),
        Scale(),
        Dense(3, "silu", dropout=0.25),
        Dense(2, "sigmoid", weight_decay_factor=0.0),
    ]
    net = Network(layers, n_inputs=3, seed=0)
    for parameter in net.parameters.values():
        parameter[...] = rng.normal(size=parameter.shape)
    X, Y = rng.normal(size=(3, 6)), rng.integers(0, 2, (2, 6))
    masks = {1: (rng.random((4, 6)) > 0.5) * 2.0, 2: (rng.random((3, 6)) > 0.25) / 0.75}
    check = check_gradients(net, X, Y, "bce", masks=masks, l1=0.01, l2=0.3)
    assert list(check.by_name) == ["ds0", "dW1", "db1", "ds1", "dW2", "db2", "dW3", "db3", "dX"]
    assert check.ok, check
    assert check_gradients(net, X, Y, "bce", l1=0.01, l2=0.3).ok


def test_a_deep_network_and_smoothed_targets(rng):
    net = Network([Dense(4, "tanh") for _ in range(5)] + [Dense(3, "softmax")], 4, "he", seed=3)
    X, Y = rng.normal(size=(4, 5)), np.eye(3)[rng.integers(0, 3, 5)].T
    assert check_gradients(net, X, loss("cce").smoothed(Y, 0.1), "cce").ok


# --- negative controls: the check finds what is wrong ---


@dataclasses.dataclass(frozen=True)
class AlwaysOne(ReLU):
    """ReLU with the derivative 1 everywhere."""

    def backward(self, dA, Z, A):
        return dA


class SumOverExamples(Dense):
    """Dense without the 1/m."""

    def backward(self, dA, cache, **options):
        return super().backward(dA, cache, **options | {"m": 1})


class NoMask(Dense):
    """Dense whose backward forgets the dropout mask."""

    def backward(self, dA, cache, **options):
        return super().backward(dA, dataclasses.replace(cache, mask=None), **options)


class NotTransposed(Dense):
    """dA_prev = W dZ in place of W^T dZ (lecture 002's slip, for a square W)."""

    def backward(self, dA, cache, **options):
        dA_prev, gradients = super().backward(dA, cache, **options)
        return (None if dA_prev is None else self.parameters["W"] @ gradients["dZ"]), gradients


class TimesK(MeanSquaredError):  # noqa: N818, it is no exception
    """k times the derivative of the reported loss."""

    def derivative(self, Y, A):
        return 2 * (A - Y)


def wrong_arrays(layers, entry="mse", masks=None, **options) -> set[str]:
    rng = np.random.default_rng(5)
    net = Network(layers, n_inputs=3, seed=2)
    X, Y = rng.normal(size=(3, 6)), rng.normal(size=(3, 6))
    check = check_gradients(net, X, Y, entry, masks=masks, **options)
    assert check.near_kink == ()
    assert check.ok == (check.largest <= check.tolerance)
    wrong = {name for name, error in check.by_name.items() if error > check.tolerance}
    assert wrong == {line.split()[0] for line in str(check).splitlines() if "WRONG" in line}
    assert check.ok == (not wrong)
    return wrong


EVERYTHING = {"dW1", "db1", "dW2", "db2", "dX"}


def test_wrong_activation_is_found():
    assert wrong_arrays([Dense(3, "relu"), Dense(3, "identity")]) == set()
    assert wrong_arrays([Dense(3, AlwaysOne()), Dense(3, "identity")]) == {"dW1", "db1", "dX"}


def test_missing_mean_over_the_examples_is_found():
    layers = [SumOverExamples(3, "tanh"), Dense(3, "identity")]
    assert wrong_arrays(layers) == {"dW1", "db1"}  # dZ and dX are not divided by m


def test_missing_mask_is_found():
    mask = np.array([[0, 2.0, 0, 2, 0, 2]] * 3)
    right, wrong = (
        wrong_arrays([layer(3, "tanh", dropout=0.5), Dense(3, "identity")], masks={1: mask})
        for layer in (Dense, NoMask)
    )
    assert right == set()
    assert wrong == {"dW1", "db1", "dX"}


def test_missing_transpose_is_found():
    layers = [Dense(3, "tanh"), NotTransposed(3, "identity")]
    assert wrong_arrays(layers) == {"dW1", "db1", "dX"}


def test_loss_that_is_not_what_is_differentiated_is_found():
    assert wrong_arrays([Dense(3, "tanh"), Dense(3, "identity")], TimesK()) == EVERYTHING


def test_forgotten_penalty_is_found(monkeypatch):
    layers = [Dense(3, "tanh"), Dense(3, "identity")]
    assert wrong_arrays(layers, l2=0.1) == set()
    monkeypatch.setattr("pellucid.propagation.add_penalty", lambda *arguments: None)
    assert wrong_arrays(layers, l2=0.1) == {"dW1", "dW2"}  # biases are not penalised


def test_a_gradient_that_is_not_finite_is_found():
    net = Network([Dense(1, "identity")], n_inputs=1, initializer="constant", dtype="float64")
    check = check_gradients(net, [[np.inf]], [[1.0]], "mae")
    assert not check.ok
    assert check.largest == np.inf
    assert "gradients are not finite in dW1, db1, dX" in check.verdict
    assert re.search(r"^dW1 +J +not finite$", str(check), re.M)


# --- saturated networks: what rounding leaves of a difference ---


def saturated(hidden, output, scale, seed, m=4):
    """Weights times ``scale``, and the targets that the network hits."""
    rng = np.random.default_rng(seed)
    net = Network([Dense(4, hidden), Dense(3 if output == "softmax" else 1, output)], 2, seed=seed)
    for array in net.parameters.values():
        array[...] = rng.normal(size=array.shape) * scale
    X = rng.normal(size=(2, m))
    A = net.forward(X)
    if output == "softmax":
        return net, X, A.argmax(axis=0)
    return net, X, (A > 0.5).astype(int) if output == "sigmoid" else A


@pytest.mark.parametrize("scale", [1, 10, 30])
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "softplus", "gelu"])
@pytest.mark.parametrize(
    ("output", "entry"), [("sigmoid", "bce"), ("softmax", "cce"), ("identity", "mse")]
)
def test_saturated_networks_are_right(hidden, output, entry, scale):
    small = 0
    for seed in range(5):
        net, X, Y = saturated(hidden, output, scale, seed)
        check = trace(net, X, Y, entry).check()
        assert check.ok or check.near_kink, f"{check} {seed}"
        small += sum(each.too_small for each in check.arrays.values())
    assert scale < 30 or small > 0


@pytest.mark.parametrize("weight", [None, 1e6])
def test_the_noise_grows_with_examples_and_weights(weight):
    net, X, Y = saturated("tanh", "softmax", 10, 3, m=60)
    w = None if weight is None else np.full(60, weight)
    check = check_gradients(net, X, Y, "cce", sample_weight=w)
    assert check.ok, check
    assert trace(net, X, Y, "cce", sample_weight=w).check().ok


def test_the_noise_grows_with_the_terms_of_z():
    net = Network([Dense(2, "sigmoid"), Dense(1, "sigmoid")], 1, dtype="float64", seed=0)
    W2 = [[3e4, -3e4]]  # z[2] is a small difference of large terms
    net.set_parameters({1: ([[12.0], [12.0]], [0.0, 0.0]), 2: (W2, [0.3])})
    check = check_gradients(net, [[1.0, 1.7, 2.1]], [[0, 1, 1]], "bce")
    assert check.ok, check


def test_what_is_too_small_to_tell_is_counted():
    net = Network([Dense(1, "sigmoid"), Dense(1, "sigmoid")], 1, dtype="float64", seed=0)
    net.set_parameters({1: ([[30.0]], [0.0]), 2: ([[1.0]], [0.0])})
    check = check_gradients(net, [[1.0, 1.1]], [[0, 1]], "bce")
    assert {name for name, each in check.arrays.items() if each.too_small} == {"dW1", "db1", "dX"}
    assert check.arrays["dX"].too_small == 2
    assert "; 4 of 6 numbers are too small for differences to tell" in check.verdict
    assert re.search(r"^dX .* 2 of 2 too small to tell$", str(check), re.M)
    net.W[1][...] = 0  # what is 0 on both sides is right, not too small
    assert not check_gradients(net, [[0.0, 0.0]], [[0, 1]], "bce").arrays["dW1"].too_small


@pytest.mark.parametrize("fault", [1.5, 0.0, -1.0])
def test_a_wrong_gradient_of_a_saturated_network_is_found(fault, monkeypatch):
    gate = preset("xor")  # weights of 20: its dZ[1] are about 4e-8
    right = Sigmoid.backward
    assert gate.trace().check().ok
    monkeypatch.setattr(Sigmoid, "backward", lambda self, dA, Z, A: fault * right(self, dA, Z, A))
    check = gate.trace().check()
    assert {"dZ1", "dW1", "db1", "dX"} == {n for n, e in check.by_name.items() if e > 1e-6}
    assert "gradients differ from central differences in dW1, db1, dX, dZ1" in check.verdict


def test_a_function_that_bends_too_much_for_the_step_is_right():
    net = Network([Dense(1, "tanh"), Dense(1, "identity")], 1, dtype="float64", seed=0)
    net.set_parameters({1: ([[1000.0]], [0.3]), 2: ([[1.0]], [0.0])})
    X, Y, h = np.array([[1e-4]]), [[0.0]], 1e-5
    found = net.backward(net.forward(X, cache=True), Y, "mse", inputs=True).dX
    plain = (net.loss(X + h, Y, "mse") - net.loss(X - h, Y, "mse")) / (2 * h)
    assert abs(plain / found[0, 0] - 1) > 1e-5
    assert check_gradients(net, X, Y, "mse").ok


@pytest.mark.parametrize("step", [0, -1e-5, math.nan, math.inf])
def test_a_step_that_is_none_is_refused(step):
    net = Network([Dense(1, "sigmoid")], n_inputs=2, seed=0)
    with pytest.raises(ValueError, match=r"step must be a positive number, such as 1e-5; got "):
        check_gradients(net, np.ones((2, 2)), [0, 1], "bce", step=step)


def test_the_derivative_of_a_loss_is_held_against_differences_too(rng):
    net = Network([Dense(3, "tanh"), Dense(3, "identity")], n_inputs=3, seed=2)
    X, Y = rng.normal(size=(2, 3, 6))
    w = rng.uniform(0.5, 2, 6)
    check = trace(net, X, Y, MeanSquaredError(), sample_weight=w).check()
    assert check.ok
    assert "dA2" in check.by_name
    wrong = trace(net, X, Y, TimesK(), sample_weight=w).check()
    assert wrong.by_name["dA2"] > 0.1


# --- what the check says and leaves alone ---


def test_the_report_says_what_each_array_is_the_derivative_of(rng):
    net = Network([Dense(2, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    lines = str(check_gradients(net, rng.normal(size=(2, 3)), [0, 1, 1], "bce")).splitlines()
    assert lines[0].split() == ["array", "derivative", "of", "error"]
    assert lines[1].split()[:2] == ["dW1", "J"]
    assert lines[5].split()[:3] == ["dX", "w_i", "L_i"]
    assert lines[-1] == "gradients agree with central differences (tolerance 1e-06)"


def test_a_kink_nearby_is_named():
    net = Network([Dense(2, "relu"), Dense(1, "identity")], n_inputs=2, seed=0, dtype="float64")
    X = np.zeros((2, 3))  # Z[1] = b[1] = 0, where ReLU has no derivative
    check = check_gradients(net, X, [1.0, 2.0, 0.0], "mae", l1=0.1)
    assert check.near_kink == ("6 of Z[1], relu at 0", "1 of A[L] - Y, mean_absolute_error at 0")
    assert "differences mean nothing: 6 of Z[1], relu at 0" in str(check)
    net.W[2][0, 0] = 1e-4
    check = check_gradients(net, X + 1, [1.0, 2.0, 3.0], "mse", l1=0.1)
    assert check.near_kink == ("1 of W[2], l1 at 0",)
    assert check_gradients(net, X + 1, [1.0, 2.0, 3.0], "mse").near_kink == ()


def test_the_network_and_the_data_are_left_alone(rng):
    net = Network([Dense(2, "tanh"), Dense(1, "identity")], n_inputs=2, seed=0, dtype="float32")
    before = {name: array.copy() for name, array in net.parameters.items()}
    X, Y = rng.normal(size=(2, 3)), rng.normal(size=(1, 3))
    X.flags.writeable = Y.flags.writeable = False
    check = check_gradients(net, X, Y, "mse")
    assert check.ok  # in float64, although the network is float32
    assert net.dtype == np.float32
    assert all((net.parameters[name] == array).all() for name, array in before.items())


def test_sparse_inputs_are_checked(rng):
    sparse = pytest.importorskip("scipy.sparse")
    net = Network([Dense(2, "tanh"), Dense(1, "identity")], n_inputs=3, seed=0)
    X = sparse.csr_array(np.eye(3))
    assert check_gradients(net, X, rng.normal(size=3), "mse").ok


def test_mistakes_are_reported_by_the_network():
    net = Network([Dense(1, "sigmoid")], n_inputs=2, seed=0)
    with pytest.raises(ValueError, match=r"layer 1 \(Dense 2 -> 1\) expects X of shape"):
        check_gradients(net, np.ones((3, 2)), [0, 1], "bce")
    with pytest.raises(ValueError, match="Transpose it"):
        check_gradients(net, np.ones((2, 4)), np.ones((4, 1)), "bce")
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(m,\) = \(4,\)"):
        check_gradients(net, np.ones((2, 4)), np.ones(4), "bce", sample_weight=[1])
