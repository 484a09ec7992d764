"""Losses and fused pairs: values, derivatives, guards, and targets that are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pellucid import Dense, Network
from pellucid.activations import ACTIVATIONS, activation
from pellucid.losses import (
    LOSSES,
    PAIRS,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Huber,
    Loss,
    Poisson,
    Quantile,
    check_targets,
    loss,
    one_hot,
    pair,
)

ENTRIES: list[Loss] = [entry() for entry in LOSSES.values()]
ENTRIES += [Huber(delta=0.4), Quantile(q=0.9)]

each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=repr)
each_pair = pytest.mark.parametrize("names", PAIRS, ids="+".join)


def draw_outputs(entry: Loss, Y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Outputs where the loss is smooth: inside its domain, away from Y where it has a kink."""
    A = rng.uniform(0.1, 0.9, Y.shape)
    return np.where(np.abs(A - Y) < 1e-3, A + 2e-3, A) if entry.kink else A


def differences(function, array: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of sum(function(array))."""
    found = np.empty_like(array)
    for index in np.ndindex(array.shape):
        nudge = np.zeros_like(array)
        nudge[index] = step
        found[index] = (function(array + nudge) - function(array - nudge)).sum() / (2 * step)
    return found


@each_entry
@pytest.mark.parametrize("n", [1, 3])
def test_derivative_against_central_differences(entry, n, rng, draw_targets):
    Y = draw_targets(entry, n, 9, rng)
    A = draw_outputs(entry, Y, rng)
    expected = differences(lambda A: entry.value(Y, A), A)
    np.testing.assert_allclose(entry.derivative(Y, A), expected, rtol=1e-6, atol=1e-8)


@each_entry
def test_shapes_dtypes_and_purity(entry, rng, draw_targets):
    for dtype in (np.float32, np.float64):
        Y = draw_targets(entry, 3, 6, rng).astype(dtype)
        A = draw_outputs(entry, Y, rng).astype(dtype)
        Y.flags.writeable = A.flags.writeable = False
        value, dA = entry.value(Y, A), entry.derivative(Y, A)
        assert value.shape == (6,)
        assert dA.shape == (3, 6)
        assert value.dtype == dA.dtype == dtype
        assert (value >= 0).all()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        # y = (1, 0), a = (0.5, 0.25): r = (-0.5, 0.25)
        ("mean_squared_error", (0.25 + 0.0625) / 2),
        ("half_squared_error", (0.25 + 0.0625) / 2),
        ("mean_absolute_error", (0.5 + 0.25) / 2),
        ("huber", (0.125 + 0.03125) / 2),  # both |r| <= 1
        (Huber(delta=0.3), (0.3 * (0.5 - 0.15) + 0.03125) / 2),
        (Quantile(q=0.9), (0.9 * 0.5 + 0.1 * 0.25) / 2),
        ("binary_cross_entropy", -math.log(0.5) - math.log(0.75)),
        ("categorical_cross_entropy", -math.log(0.5)),
        ("poisson", (0.5 - 1 + math.log(2)) + 0.25),
    ],
)
def test_values_by_hand(entry, expected):
    value = loss(entry).value(np.array([[1.0], [0.0]]), np.array([[0.5], [0.25]]))
    np.testing.assert_allclose(value, [expected], rtol=1e-14)


def test_squared_errors_of_one_output_differ_by_a_factor_of_two():
    Y, A = np.array([[1.0, 2.0]]), np.array([[3.0, 2.5]])
    np.testing.assert_allclose(
        loss("mean_squared_error").value(Y, A), 2 * loss("half_squared_error").value(Y, A)
    )


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.kink], ids=repr)
def test_the_derivative_at_a_kink_is_a_subgradient(entry):
    Y = np.array([[2.0]])
    below, at, above = (entry.derivative(Y, Y + r)[0, 0] for r in (-1, 0, 1))
    assert below <= at <= above


@each_entry
def test_every_entry_is_described(entry):
    assert entry.formula
    assert entry.advice
    assert entry.fits
    assert set(entry.fits) <= set(ACTIVATIONS)
    assert LOSSES[entry.name] is type(entry)
    assert loss(entry.spec()) == entry
    for alias in entry.aliases:
        assert loss(alias) == type(entry)()


# --- fused pairs ---


@each_pair
def test_a_pair_equals_the_unfused_route(names, rng, draw_targets):
    g, entry = activation(names[0]), loss(names[1])
    fused = pair(g, entry)
    assert fused is PAIRS[names]
    assert fused.formula
    Z = rng.uniform(-3, 3, (3, 7))
    A, Y = g(Z), draw_targets(entry, 3, 7, rng)
    np.testing.assert_allclose(fused.value(Y, Z, A), entry.value(Y, A), rtol=1e-12)
    unfused = g.backward(entry.derivative(Y, A), Z, A)
    np.testing.assert_allclose(fused.dZ(Y, Z, A), unfused, rtol=1e-12, atol=1e-14)


@each_pair
@pytest.mark.parametrize("size", [1.0, 50.0, 720.0])
def test_dZ_of_a_pair_is_the_derivative_of_its_value(names, size, rng, draw_targets):
    g, entry = activation(names[0]), loss(names[1])
    n = 2 if names[0] == "softmax" else 1  # one unit, or the rounding of a large one hides a small
    Z = np.minimum(rng.uniform(-size, size, (n, 10)), 705.0)  # e^705 is finite
    Y = draw_targets(entry, n, 10, rng)
    expected = differences(lambda Z: PAIRS[names].value(Y, Z, g(Z)), Z, step=1e-5)
    found = PAIRS[names].dZ(Y, Z, g(Z))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs_never_take_the_logarithm_of_0(dtype):
    """Where the unfused route would give log(0), the loss is exact."""

    def value(g: str, name: str, Z: list, Y: list) -> float:
        Z, Y = np.array(Z, dtype=dtype), np.array(Y, dtype=dtype)
        return PAIRS[g, name].value(Y, Z, activation(g)(Z))[0]

    assert value("sigmoid", "binary_cross_entropy", [[-1000.0]], [[1.0]]) == 1000
    assert value("sigmoid", "binary_cross_entropy", [[1e4]], [[0.0]]) == 1e4
    assert value("sigmoid", "binary_cross_entropy", [[1e4]], [[1.0]]) == 0
    softmax = value("softmax", "categorical_cross_entropy", [[1000.0], [0.0]], [[0.0], [1.0]])
    assert softmax == 1000
    # e^-1000 - 2 (-1000) + 2 ln 2 - 2
    poisson = value("exp", "poisson", [[-1000.0]], [[2.0]])
    assert poisson == pytest.approx(1998 + 2 * math.log(2), rel=1e-6)
    assert math.isfinite(value("exp", "poisson", [[1e4]], [[2.0]]))


def test_only_the_named_pairs_are_fused():
    fused = [
        (g.name, entry.name)
        for g in map(activation, ACTIVATIONS)
        for entry in map(loss, LOSSES)
        if pair(g, entry)
    ]
    assert sorted(fused) == sorted(PAIRS)
    assert set(PAIRS) >= {
        ("sigmoid", "binary_cross_entropy"),
        ("softmax", "categorical_cross_entropy"),
        ("exp", "poisson"),
    }


# --- the clipped, unfused route ---


@pytest.mark.parametrize(("dtype", "guard"), [(np.float64, 36.0437), (np.float32, 15.9424)])
def test_the_guard_at_a_certain_wrong_answer(dtype, guard):
    # 001:322-329 as ERRATA has it: y-hat is held within [eps, 1 - eps], so log(0) never happens.
    Y, A = np.array([[0.0, 1.0]], dtype=dtype), np.array([[1.0, 0.0]], dtype=dtype)
    value = BinaryCrossEntropy().value(Y, A)
    np.testing.assert_allclose(value, guard, rtol=1e-5)
    assert value.dtype == dtype


@pytest.mark.parametrize("entry", [BinaryCrossEntropy(), CategoricalCrossEntropy(), Poisson()])
@pytest.mark.parametrize("a", [-0.2, 0.0, 1.0, 1.2])
def test_the_derivative_is_that_of_the_clipped_function(entry, a):
    Y, A = np.array([[1.0], [0.0]]), np.full((2, 1), a)
    # Poisson is clipped below alone, and beyond the clip A - Y goes on.
    expected = differences(lambda A: entry.value(Y, A), A, step=1e-6)
    if a in (0.0, 1.0) and entry.name != "poisson":
        expected = np.zeros((2, 1))  # the very end of the flat part: its derivative, 0
    if a == 0.0 and entry.name == "poisson":
        expected = np.ones((2, 1))
    np.testing.assert_allclose(entry.derivative(Y, A), expected, rtol=1e-6, atol=1e-8)


def test_label_smoothing():
    Y = np.array([[1.0, 0.0]])
    np.testing.assert_allclose(BinaryCrossEntropy().smoothed(Y, 0.2), [[0.9, 0.1]])
    Y = np.array([[1.0], [0.0], [0.0], [0.0]])
    smooth = CategoricalCrossEntropy().smoothed(Y, 0.2)
    np.testing.assert_allclose(smooth, [[0.85], [0.05], [0.05], [0.05]])
    np.testing.assert_allclose(smooth.sum(axis=0), 1)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.targets in ("real", "non-negative")])
def test_label_smoothing_is_refused_where_there_are_no_classes(entry):
    with pytest.raises(ValueError, match=f"the loss {entry.name} has none. Use binary_cross"):
        entry.smoothed(np.ones((1, 2)), 0.1)


# --- targets ---


def net(n_outputs: int, g: str, dtype: str = "float64") -> Network:
    return Network([Dense(n_outputs, g)], n_inputs=2, seed=0, dtype=dtype)


def test_class_numbers_are_one_hot_columns(rng):
    X, labels = rng.normal(size=(2, 6)), np.array([0, 2, 1, 1, 0, 2])
    softmax = net(3, "softmax")
    Y = one_hot(labels, 3, np.float64)
    assert softmax.loss(X, labels, "cce") == softmax.loss(X, Y, "cce")
    assert softmax.loss(X, labels.astype(float), "cce") == softmax.loss(X, Y, "cce")


def test_1d_targets_of_one_output_are_a_row(rng):
    X, Y = rng.normal(size=(2, 5)), rng.normal(size=5)
    one = net(1, "identity")
    row = one.loss(X, Y[np.newaxis, :], "mse")
    assert one.loss(X, Y, "mse") == row
    # Never broadcast: with (m, m) differences the mean would be another number.
    assert row == pytest.approx(np.mean((one.forward(X)[0] - Y) ** 2))


def test_true_and_false_are_1_and_0():
    Y = check_targets([True, False, True], BinaryCrossEntropy(), 1, 3)
    assert Y.tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    ("name", "n_outputs", "Y", "message"),
    [
        ("mse", 2, np.zeros(5), r"shape \(n\[L\], m\) = \(2, 5\).*got \(5,\)\.$"),
        ("mse", 1, np.zeros((5, 1)), r"= \(1, 5\).*got \(5, 1\)\. Transpose it: Y\.T\."),
        ("bce", 2, np.zeros((5, 2)), r"got \(5, 2\)\. Transpose it"),
        ("mse", 1, np.zeros((1, 4)), r"= \(1, 5\), a column for each example of X; got \(1, 4\)"),
        ("mse", 1, np.zeros((5, 5)), r"got \(5, 5\)"),
        ("mse", 1, 3.0, r"got \(\)"),
        ("bce", 1, [0, 1, 2, 0, 1], "binary_cross_entropy takes targets between 0 and 1.*holds 2"),
        ("bce", 1, [0, 1, -1, 0, 1], "takes targets between 0 and 1; Y holds -1"),
        ("poisson", 1, [0, 1, -1, 0, 1], "poisson takes targets 0 or more; Y holds -1"),
        ("mse", 1, [0, 1, math.nan, 0, 1], "Y holds NaN or infinity"),
        ("mse", 1, [0, 1, math.inf, 0, 1], "Y holds NaN or infinity"),
        ("cce", 3, [0, 1, math.nan, 0, 1], "Y holds NaN or infinity"),
        ("cce", 3, [0, 1, 3, 0, 1], r"integers 0 to 2 \(n\[L\] = 3 outputs\); got .*3"),
        ("cce", 3, [0, 1, -1, 0, 1], r"integers 0 to 2 .*got .*-1"),
        ("cce", 3, [0, 1, 0.5, 0, 1], r"integers 0 to 2 .*got .*0\.5"),
        ("cce", 1, [0, 1, 0, 0, 1], "needs two outputs or more.*use a sigmoid output"),
        ("cce", 2, np.full((2, 5), 0.4), "each column of Y must sum to 1"),
        ("cce", 2, np.array([[2.0] * 5, [-1.0] * 5]), "between 0 and 1; Y holds -1"),
    ],
)
def test_targets_refused_by_name(name, n_outputs, Y, message):
    with pytest.raises(ValueError, match=message):
        check_targets(Y, loss(name), n_outputs, 5)


@pytest.mark.parametrize(
    "Y", [["a", "b"], np.array(["2020", "2021"], dtype="M8[Y]"), [None, 1], [1j, 2]]
)
def test_targets_that_are_no_numbers(Y):
    with pytest.raises(
        TypeError, match=r"Y must hold numbers; got dtype .*Encode the labels first"
    ):
        check_targets(Y, loss("mse"), 1, 2)


def test_the_network_refuses_targets_before_any_arithmetic(rng):
    X = rng.normal(size=(2, 5))
    one = net(1, "sigmoid")
    with pytest.raises(ValueError, match="Transpose it"):
        one.loss(X, np.zeros((5, 1)), "bce")
    with pytest.raises(ValueError, match="Transpose it"):
        one.backward(one.forward(X, cache=True), np.zeros((5, 1)), "bce")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("huberr", r"unknown loss 'huberr' \(did you mean 'huber'\?\)"),
        ({"name": "huber", "delta": 0}, "loss huber: delta must be a positive number"),
        ({"name": "quantile", "q": 1}, "loss quantile: q must be between 0 and 1"),
        ({"name": "quantile", "delta": 1}, "loss 'quantile' has no parameter 'delta'; it has q"),
    ],
)
def test_unknown_losses_and_parameters(spec, message):
    with pytest.raises(ValueError, match=message):
        loss(spec)
