"""Activations: every entry of the table against its own definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pellucid.activations import (
    ACTIVATIONS,
    ELU,
    Activation,
    Exp,
    LeakyReLU,
    Softmax,
    activation,
    exp_limit,
)

ENTRIES: list[Activation] = [entry() for entry in ACTIVATIONS.values()]
ENTRIES += [LeakyReLU(slope=0.3), ELU(a=2.5)]

each_entry = pytest.mark.parametrize("g", ENTRIES, ids=repr)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def away_from_kinks(g: Activation, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    Z = rng.uniform(-4, 4, shape)
    for kink in g.kinks:
        Z = np.where(np.abs(Z - kink) < 1e-3, Z + 2e-3, Z)
    return Z


@each_entry
def test_backward_against_central_differences(g, rng):
    Z = away_from_kinks(g, rng, (3, 8))
    dA = rng.normal(size=Z.shape)
    step = 1e-5
    differences = np.empty_like(Z)
    for index in np.ndindex(Z.shape):
        nudge = np.zeros_like(Z)
        nudge[index] = step
        # dZ is the derivative of sum(dA * A); softmax's A depends on the whole column of Z.
        differences[index] = np.sum(dA * (g(Z + nudge) - g(Z - nudge))) / (2 * step)
    dZ = g.backward(dA, Z, g(Z))
    scale = np.abs(differences).max()
    np.testing.assert_allclose(dZ, differences, rtol=0, atol=1e-8 * scale)


def test_softmax_has_its_full_jacobian(rng):
    Z = rng.normal(size=(4, 1))
    A = Softmax()(Z)
    a = A[:, 0]
    jacobian = np.diag(a) - np.outer(a, a)  # da_k/dz_j = a_k (1[k = j] - a_j)
    for k, unit in enumerate(np.eye(4)):
        dZ = Softmax().backward(unit[:, np.newaxis], Z, A)
        np.testing.assert_allclose(dZ[:, 0], jacobian[k], atol=1e-15)


CLOSED_FORMS = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": lambda z: (math.exp(z) - math.exp(-z)) / (math.exp(z) + math.exp(-z)),
    "relu": lambda z: max(z, 0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * (math.exp(z) - 1)),
    "gelu": lambda z: z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "mish": lambda z: z * math.tanh(math.log(1 + math.exp(z))),
    "softplus": lambda z: math.log(1 + math.exp(z)),
    "hard_sigmoid": lambda z: min(max(z / 6 + 0.5, 0), 1),
    "hard_tanh": lambda z: min(max(z, -1), 1),
    "exp": math.exp,
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_values_are_those_of_the_formula(name):
    Z = np.linspace(-5, 5, 21)[np.newaxis, :]
    expected = [[CLOSED_FORMS[name](z) for z in Z[0]]]
    np.testing.assert_allclose(activation(name)(Z), expected, rtol=1e-13, atol=1e-15)


def test_softmax_is_the_exponentials_share(rng):
    Z = rng.normal(size=(3, 5))
    expected = np.exp(Z) / np.exp(Z).sum(axis=0)
    np.testing.assert_allclose(Softmax()(Z), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "z", "derivative"),
    [
        ("relu", 0.0, 0.0),  # 000:355
        ({"name": "leaky_relu", "slope": 0.2}, 0.0, 0.2),
        ({"name": "elu", "a": 1.5}, 0.0, 1.5),
        ("selu", 0.0, 1.0507009873554805 * 1.6732632423543772),
        ("hard_sigmoid", 3.0, 0.0),
        ("hard_sigmoid", -3.0, 0.0),
        ("hard_tanh", 1.0, 0.0),
        ("hard_tanh", -1.0, 0.0),
    ],
)
def test_derivative_at_the_kinks(name, z, derivative):
    g = activation(name)
    assert z in g.kinks
    Z = np.array([[z]])
    assert g.backward(np.ones((1, 1)), Z, g(Z)) == pytest.approx(derivative, rel=1e-15)


@each_entry
@each_dtype
def test_finite_and_of_the_same_dtype_up_to_1e4(g, dtype):
    sizes = [0, 1e-30, 1e-3, 1, 10, 17, 30, 69, 71, 88, 104, 699, 701, 745, 1e3, 1e4]
    row = np.array([sign * size for size in sizes for sign in (1, -1)], dtype=dtype)
    Z = np.stack([row, np.zeros_like(row), row[::-1]])
    A = g(Z)
    dZ = g.backward(np.ones_like(Z), Z, A)
    assert A.dtype == dZ.dtype == dtype
    assert A.shape == dZ.shape == Z.shape
    assert np.isfinite(A).all()
    assert np.isfinite(dZ).all()


@each_dtype
def test_exp_is_held_and_has_no_slope_beyond_its_limit(dtype):
    limit = exp_limit(np.zeros((), dtype))
    Z = np.array([[limit - 1, limit + 1, limit + 1e3]], dtype=dtype)
    A = Exp()(Z)
    assert A[0, 1] == A[0, 2] == np.exp(dtype(limit))
    assert (Exp().backward(np.ones_like(Z), Z, A) / A).tolist() == [[1, 0, 0]]


def test_slope_of_the_sigmoid():
    # 002, 3.4: 1/4 at 0, and "about 0" at +-10, which is 4.5395808e-5.
    Z = np.array([[0.0, 10.0, -10.0]])
    g = activation("sigmoid")
    slope = g.backward(np.ones_like(Z), Z, g(Z))
    np.testing.assert_allclose(slope, [[0.25, 4.5395808e-5, 4.5395808e-5]], rtol=1e-7)


@each_entry
def test_inputs_are_not_changed(g, rng):
    Z, dA = rng.normal(size=(2, 4)), rng.normal(size=(2, 4))
    A = g(Z)
    for array in (Z, dA, A):
        array.flags.writeable = False  # writing into one would raise
    before = Z.copy(), dA.copy(), A.copy()
    g(Z)
    g.backward(dA, Z, A)
    assert all((a == b).all() for a, b in zip((Z, dA, A), before, strict=True))


@each_entry
def test_every_entry_is_described(g):
    for text in (g.formula, g.derivative, str(g.range), g.advice, type(g).__doc__):
        assert text
    assert ACTIVATIONS[g.name] is type(g)
    assert activation(g.spec()) == g


PARAMETERS = [ELU(a=0.2), ELU(a=40.0), LeakyReLU(slope=0.99), LeakyReLU(slope=1e-4)]


@pytest.mark.parametrize("g", [*ENTRIES, *PARAMETERS], ids=repr)
def test_range_steepest_and_dies_are_those_of_the_values(g):
    Z = np.linspace(-10, 10, 20_001)[np.newaxis]
    if g.name == "softmax":
        Z = np.concatenate([Z, np.zeros_like(Z)])
    far = g(np.array([[-1e6, -60.0, 60.0, 1e6], [0.0, 0.0, 0.0, 0.0]]))[0]
    A = g(Z)
    low, high = g.range.lower, g.range.upper
    values = np.concatenate([far, A[0]])
    assert low - 1e-12 <= values.min()
    assert values.max() <= high + 1e-12
    assert values.min() < -50 if low == -math.inf else values.min() == pytest.approx(low, abs=1e-6)
    assert values.max() > 50 if high == math.inf else values.max() == pytest.approx(high, abs=1e-6)
    near = A[np.abs(Z) < 5]
    assert bool(np.any(near < low + 1e-6)) == (g.range.closed != "neither")
    assert bool(np.any(near > high - 1e-6)) == (g.range.closed == "both")
    if g.name == "softmax":  # its units are mixed
        assert g.steepest is None
        return
    slopes = g.backward(np.ones_like(Z), Z, A)
    if g.steepest == math.inf:
        assert slopes.max() > 1e4
    else:
        assert np.abs(slopes).max() == pytest.approx(g.steepest, rel=1e-4)
    assert g.dies == (not A[Z < 0].any() and not slopes[Z < 0].any())


def test_ranges_are_told_in_one_way():
    assert [str(g().range) for g in (ACTIVATIONS["relu"], ELU, ACTIVATIONS["gelu"])] == [
        *("[0, inf)", "(-1, inf)", "[-0.17004, inf)")
    ]
    assert str(ELU(a=2.5).range) == "(-2.5, inf)"


class Twice(ACTIVATIONS["relu"]):
    """Another g than its parent's."""

    name = "twice"

    def __call__(self, Z):
        return 2 * Z


class Steeper(ACTIVATIONS["tanh"]):
    """Its parent's g, with a backward of its own."""

    def backward(self, dA, Z, A):
        return dA


def test_nothing_is_taken_for_known_of_another_g():
    g = Twice()
    assert (g.range, g.steepest, g.dies, g.c_form) == (None, None, False, None)
    assert Steeper().range == ACTIVATIONS["tanh"].range


@pytest.mark.parametrize("g", [g for g in ENTRIES if not g.needs_Z], ids=repr)
def test_an_entry_that_needs_no_Z_does_not_read_it(g, rng):
    Z, dA = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    A = g(Z)
    assert (g.backward(dA, None, A) == g.backward(dA, Z, A)).all()


def test_lookup_by_name_alias_class_and_dict():
    assert activation("logistic") == activation("sigmoid")
    assert activation("swish") == activation("silu")
    assert activation(LeakyReLU) == LeakyReLU(slope=0.01)
    assert activation({"name": "leaky_relu", "slope": 0.1}) == LeakyReLU(slope=0.1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rleu", r"unknown activation 'rleu' \(did you mean 'relu'\?\)\. Known are: identity, "),
        ("tahn", "did you mean 'tanh'"),
        (3, "unknown activation 3"),
        ({"slope": 0.1}, "unknown activation None"),
        ({"name": "leaky_relu", "slop": 1}, r"no parameter 'slop' \(did you mean 'slope'\?\)"),
        ({"name": "tanh", "a": 1}, "activation 'tanh' has no parameter 'a'; it has none"),
    ],
)
def test_unknown_names_and_parameters(spec, message):
    with pytest.raises(ValueError, match=message):
        activation(spec)


@pytest.mark.parametrize("slope", [0.0, 1.0, -0.1, math.nan])
def test_leaky_relu_refuses_a_slope(slope):
    with pytest.raises(ValueError, match=r"activation leaky_relu: slope must be .*; got"):
        LeakyReLU(slope=slope)


@pytest.mark.parametrize("a", [0.0, -1.0, math.inf, math.nan])
def test_elu_refuses_an_a(a):
    with pytest.raises(ValueError, match=r"activation elu: a must be a positive number.*; got"):
        ELU(a=a)
