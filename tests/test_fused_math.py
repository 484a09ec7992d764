"""The vector functions of the fused engine, at every SIMD level that this machine can run.

exp, log and their like against mpmath; activations, losses and draws against the Python tables.
"""

import importlib

import numpy as np
import pytest

from pellucid import philox
from pellucid.activations import ACTIVATIONS, activation, exp_limit
from pellucid.engines import simd
from pellucid.layers import LAYERS
from pellucid.losses import LOSSES, PAIRS, Huber, Quantile, loss, one_hot, pair
from pellucid.optimizers import OPTIMIZERS

LEVELS = simd.levels()
if not LEVELS:
    pytest.skip("built without the fused engine (PELLUCID_PURE)", allow_module_level=True)

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])


@pytest.fixture(params=LEVELS)
def module(request):
    return importlib.import_module(f"pellucid.engines._fused_{request.param}")


@pytest.fixture(autouse=True)
def _infinities_and_nan_are_meant():
    with np.errstate(all="ignore"):
        yield


# --------------------------------------------------------------------------- exp, log and others

# Bounds that cpp/math.hpp states, in units of the last place.
BOUNDS = {
    "exp": 1.1,
    "expm1": 2.0,
    "log": 1.0,
    "log1p": 1.5,
    "tanh": 1.5,
    "sigmoid": 1.8,
    "softplus": 1.8,
}


def wide_softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def wide_sigmoid(x):
    return np.exp(-np.maximum(-x, 0)) / (1 + np.exp(-np.abs(x)))


WIDE = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": wide_sigmoid,
    "softplus": wide_softplus,
}

# Where the code changes its way: rounding of n in x = n ln 2 + r, splits, clamps, under- and
# overflow.
TURNS = {
    np.float32: [88.7228, 88.8, 89, -87.3365, -103.2789, -103.97, -104, 2.9e-8, 20, 10, 40, 16.635],
    np.float64: [709.7827, 710, -708.39, -744.44, -745.1332, -746, 5.5e-17, 40, 20, 80, 36.7368],
}
TURNS_OF_BOTH = [0.5625, 0.5493, 0.41421356, 0.34657359, 1.03972077, 0.70710678, 1.41421356, 1, 2]


def call(module, name, x):
    out = np.empty_like(x)
    module.math(name, x, out)
    return out


def points(dtype):
    """Points over the whole range: every exponent, the usual arguments, and around the turns."""
    rng = np.random.default_rng(0)
    kind = np.dtype(f"i{np.dtype(dtype).itemsize}")
    info, limit = np.iinfo(kind), 110 if dtype == np.float32 else 760
    everywhere = rng.integers(info.min, info.max, 200_000, dtype=kind, endpoint=True).view(dtype)
    turns = np.array(TURNS[dtype] + TURNS_OF_BOTH, dtype=dtype)
    turns = np.concatenate([turns, -turns]).view(kind)
    near = (turns[:, np.newaxis] + np.arange(-200, 200, dtype=kind)).ravel().view(dtype)
    size = 10.0 ** rng.uniform(-20, 2, 100_000) * rng.choice([-1, 1], 100_000)
    tiny = np.ldexp(rng.uniform(-1, 1, 4000), np.finfo(dtype).minexp + 2)
    usual = [rng.uniform(-limit, limit, 200_000), rng.uniform(-4, 4, 200_000), size, tiny]
    return np.concatenate([everywhere, near, *(a.astype(dtype) for a in usual)])


def unit(value, dtype):
    """The unit of the last place of a number of this dtype nearest to value, as value's dtype."""
    info = np.finfo(dtype)
    exponent = np.maximum(np.frexp(value)[1], info.minexp + 1)
    return np.ldexp(np.ones_like(value), exponent - info.nmant - 1)


@pytest.mark.parametrize("name", BOUNDS)
@each_dtype
def test_error_in_units_of_the_last_place(module, name, dtype):
    mp = pytest.importorskip("mpmath")
    x = points(dtype)
    got = call(module, name, x)
    wide = np.float64 if dtype == np.float32 else np.longdouble
    expected = WIDE[name](x.astype(wide))
    assert (np.isnan(got) == np.isnan(expected)).all()
    certain = np.abs(expected) < np.finfo(dtype).max
    infinite = ~certain & ~np.isnan(expected)
    assert (got[infinite] == expected[infinite].astype(dtype)).all()

    x, got, expected = x[certain], got[certain], expected[certain]
    error = np.abs(got - expected) / unit(expected, dtype)
    assert error.max() <= BOUNDS[name], x[error.argmax()]
    # The worst of them once more: `wide` is itself no exact reference.
    exact = {
        "sigmoid": lambda v: mp.exp(v) / (1 + mp.exp(v)),
        "softplus": lambda v: mp.log1p(mp.exp(v)),
        "expm1": mp.expm1,
        "log1p": mp.log1p,
    }
    function = exact.get(name) or getattr(mp, name)
    with mp.workdps(60):
        for k in np.argsort(error)[-1000:]:
            value = function(mp.mpf(float(x[k])))
            one = mp.mpf(float(unit(np.float64(value), dtype)))
            assert abs(mp.mpf(float(got[k])) - value) <= BOUNDS[name] * one, x[k]


@each_dtype
def test_edges(module, dtype):
    inf, nan = np.inf, np.nan
    least = np.finfo(dtype).smallest_subnormal
    most = np.finfo(dtype).max
    x = np.array([0.0, -0.0, inf, -inf, nan, least, -least, most, -most, -1, -2], dtype=dtype)
    high, half = np.log(most), np.log(np.array(2, dtype))
    softplus = [half, half, inf, 0, nan, half, half, most, 0]
    expected = {
        "exp": [1, 1, inf, 0, nan, 1, 1, inf, 0, np.exp(-1.0), np.exp(-2.0)],
        "expm1": [0.0, -0.0, inf, -1, nan, least, -least, inf, -1, np.expm1(-1), np.expm1(-2)],
        "log": [-inf, -inf, inf, nan, nan, np.log(least), nan, high, nan, nan, nan],
        "log1p": [0.0, -0.0, inf, nan, nan, least, -least, high, nan, -inf, nan],
        "tanh": [0.0, -0.0, 1, -1, nan, least, -least, 1, -1, np.tanh(-1), np.tanh(-2)],
        "sigmoid": [0.5, 0.5, 1, 0, nan, 0.5, 0.5, 1, 0, wide_sigmoid(-1), wide_sigmoid(-2)],
        "softplus": [*softplus, wide_softplus(-1), wide_softplus(-2)],
    }
    for name, values in expected.items():
        got, want = call(module, name, x), np.array(values, dtype=dtype)
        np.testing.assert_allclose(got, want, rtol=2 * np.finfo(dtype).eps, err_msg=name)
        zero = want == 0
        assert (np.signbit(got[zero]) == np.signbit(want[zero])).all(), name


@each_dtype
def test_exp_underflows_gradually(module, dtype):
    x = np.log(np.finfo(dtype).smallest_normal) - np.linspace(0, 20, 200).astype(dtype)
    got = call(module, "exp", x.astype(dtype))
    assert ((0 < got) & (got < np.finfo(dtype).smallest_normal)).sum() > 100
    assert (np.diff(got) <= 0).all()


@pytest.mark.parametrize("name", BOUNDS)
def test_a_lane_does_not_know_its_neighbours(module, name):
    x = np.random.default_rng(1).normal(size=133).astype(np.float32)
    got = call(module, name, x)
    alone = [call(module, name, x[k : k + 1])[0] for k in range(len(x))]
    np.testing.assert_array_equal(got, np.array(alone, dtype=np.float32))


# ------------------------------------------------------------------------------------ activations

BUILT = simd.load_level().activation_ids
ENTRIES = [activation(name) for name in BUILT if name != "softmax"]
ENTRIES += [activation({"name": "leaky_relu", "slope": 0.3}), activation({"name": "elu", "a": 1.7})]


def parameter(entry):
    for name in ("slope", "a", "delta", "q"):
        if hasattr(entry, name):
            return float(getattr(entry, name))
    return 0.0


def arguments(entry, dtype):
    rng = np.random.default_rng(2)
    limit = exp_limit(np.zeros(1, dtype))
    marks = np.array([0.0, -0.0, *entry.kinks, limit, -limit], dtype=dtype)
    parts = [rng.uniform(-8, 8, 3000), rng.uniform(-100, 100, 1000), rng.uniform(-1e4, 1e4, 1001)]
    near = [np.nextafter(marks, dtype(np.inf)), np.nextafter(marks, dtype(-np.inf))]
    return np.concatenate([marks, *near, *(part.astype(dtype) for part in parts)])


def test_what_is_built_is_in_the_tables(module):
    """Not the other way round: what only the table has runs on the reference engine."""
    for ids, table in [
        (module.activation_ids, ACTIVATIONS),
        (module.loss_ids, LOSSES),
        (module.optimizer_ids, OPTIMIZERS),
        (dict.fromkeys(module.layers, 0), LAYERS),
    ]:
        assert set(ids) <= set(table)
        assert {type(k) for k in ids.values()} == {int}
    assert module.needs_z == [name for name in module.activation_ids if ACTIVATIONS[name].needs_Z]


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
@each_dtype
def test_activation_is_the_tables(module, entry, dtype):
    z, eps = arguments(entry, dtype), np.finfo(dtype).eps
    a, slope = np.empty_like(z), np.empty_like(z)
    module.activation(entry.name, z, parameter(entry), a)
    expected = entry(z)
    # Of GELU's 1 + tanh the table loses the digits that cancel; so |z| eps, too.
    np.testing.assert_allclose(a, expected, rtol=12 * eps, atol=eps * np.abs(z).clip(0, 10).max())
    module.activation_slope(entry.name, z, a, parameter(entry), slope)
    expected = entry.backward(np.ones_like(z), z, a)
    # Where s is nearly 1, 1 - s has few digits, in the table as here; GELU multiplies it by z^3.
    np.testing.assert_allclose(slope, expected, rtol=12 * eps, atol=100 * eps)


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
@each_dtype
def test_activation_at_kinks_infinities_and_nan(module, entry, dtype):
    z = np.array([*entry.kinks, 0.0, np.inf, -np.inf, np.nan], dtype=dtype)
    a, slope = np.empty_like(z), np.empty_like(z)
    module.activation(entry.name, z, parameter(entry), a)
    expected = entry(z)
    np.testing.assert_allclose(a, expected, rtol=4 * np.finfo(dtype).eps)
    module.activation_slope(entry.name, z, expected, parameter(entry), slope)
    expected = entry.backward(np.ones_like(z), z, expected)
    known = ~np.isnan(expected)  # at infinity the table gives 0 times infinity for some
    np.testing.assert_allclose(slope[known], expected[known], rtol=4 * np.finfo(dtype).eps)
    assert np.isnan(a[-1])


def test_gelu_keeps_its_digits_far_below_0(module):
    z = np.linspace(-5, -1, 50)
    narrow = z.astype(np.float32)
    a = np.empty_like(narrow)
    module.activation("gelu", narrow, 0.0, a)
    u = np.sqrt(2 / np.pi) * (narrow + 0.044715 * narrow.astype(float) ** 3)
    np.testing.assert_allclose(a, narrow * wide_sigmoid(2 * u), rtol=3e-6)


@pytest.mark.parametrize("name", ["softmax", "no_such"])
def test_no_such_activation(module, name):
    with pytest.raises(ValueError, match="no such activation"):
        module.activation(name, np.zeros(1), 0.0, np.zeros(1))


# ------------------------------------------------------------------------------------------ draws


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**64 - 1, 0x9E3779B97F4A7C15])
def test_words_are_the_references(module, seed):
    where = {"layer": 3, "step": 2**32 - 1, "stream": philox.DROPOUT}
    expected = philox.words(seed, 700, **where)
    for first in (0, 1, 2, 3, 4, 5, 31, 32, 64, 127):
        for count in (0, 1, 2, 3, 4, 5, 7, 8, 15, 31, 32, 33, 64, 65, 128, 130, 500):
            out = np.full(count + 1, 12345, dtype=np.uint32)
            module.philox_words(out[:-1], first, 3, 2**32 - 1, philox.DROPOUT, seed)
            assert (out[:-1] == expected[first : first + count]).all(), (first, count)
            assert out[-1] == 12345


# ----------------------------------------------------------------------------------------- losses

WIDTHS = [1, 2, 3, 10, 15, 16, 17, 33, 100]
LOSS_ENTRIES = [loss(name) for name in simd.load_level().loss_ids] + [
    Huber(delta=0.4),
    Quantile(q=0.9),
]


def spec(module, entry, g, smoothing=0.0):
    return {
        "id": module.loss_ids[entry.name],
        "parameter": parameter(entry),
        "smoothing": smoothing,
        "output_activation": module.activation_ids[g.name],
        "activation_parameter": parameter(g),
        "fused": pair(g, entry) is not None,
    }


def run(module, spec, Z, Y, labels, weights, together=True):
    """A, the losses and dZ of Z, (m, n)."""
    A, dZ, losses = np.empty_like(Z), np.empty_like(Z), np.empty(len(Z))
    module.example_losses(spec, Z, Y, labels, weights, A, losses, dZ, together)
    return A, losses, dZ


def targets(entry, m, n, rng):
    if entry.targets == "unit":
        return rng.integers(0, 2, (m, n)).astype(float)
    if entry.targets == "distribution":
        return rng.dirichlet(np.ones(n), m)
    if entry.targets == "non-negative":
        return rng.poisson(2.0, (m, n)).astype(float)
    return rng.normal(size=(m, n))


def reference(entry, g, Z, Y, weights, A):
    """What the Python tables make of it, from the same A."""
    Z, Y, A = Z.T, Y.T, A.T
    fused = pair(g, entry)
    if fused:
        return fused.value(Y, Z, A), (fused.dZ(Y, Z, A) * weights).T
    return entry.value(Y, A), g.backward(entry.derivative(Y, A) * weights, Z, A).T


@pytest.mark.parametrize("g", list(BUILT))
@pytest.mark.parametrize("entry", LOSS_ENTRIES, ids=repr)
@each_dtype
def test_losses_and_dz_are_the_tables(module, entry, g, dtype):
    rng, g, eps = np.random.default_rng(3), activation(g), np.finfo(dtype).eps
    for n, m in ((n, m) for n in WIDTHS for m in (1, 5, 33)):
        if entry.targets == "distribution" and n == 1:
            continue
        Z = rng.normal(scale=2, size=(m, n)).astype(dtype)
        Y = targets(entry, m, n, rng).astype(dtype)
        weights = rng.uniform(0.1, 2, m).astype(dtype)
        A, losses, dZ = run(module, spec(module, entry, g), Z, Y, None, weights)
        np.testing.assert_allclose(A, g(Z.T).T, rtol=20 * eps, atol=20 * eps)
        value, expected = reference(entry, g, Z, Y, weights, A)
        scale = max(1.0, np.abs(value).max())
        np.testing.assert_allclose(losses, value, rtol=40 * eps, atol=4 * n * eps * scale)
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(dZ, expected, rtol=40 * eps, atol=40 * eps * scale)


@pytest.mark.parametrize("names", PAIRS, ids="+".join)
@each_dtype
def test_losses_far_out(module, names, dtype):
    """Where e^z under- or overflows and a is clipped: fused pairs and the clipped routes."""
    g, entry = activation(names[0]), loss(names[1])
    rng, eps = np.random.default_rng(4), np.finfo(dtype).eps
    for n in (2, 20):
        Z = rng.choice([-1e4, -800, -90, -20, 0, 20, 69, 71, 90], (40, n)).astype(dtype)
        Y = targets(entry, 40, n, rng).astype(dtype)
        one = np.ones(40, dtype)
        for unfused in (False, True):
            how = spec(module, entry, g) | ({"fused": False} if unfused else {})
            A, losses, dZ = run(module, how, Z, Y, None, one)
            if unfused:
                value = entry.value(Y.T, A.T)
                expected = g.backward(entry.derivative(Y.T, A.T), Z.T, A.T).T
            else:
                value, expected = reference(entry, g, Z, Y, one, A)
            assert np.isfinite(value).all()
            np.testing.assert_allclose(losses, value, rtol=20 * eps)
            np.testing.assert_allclose(dZ, expected, rtol=20 * eps, atol=eps)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("n", [2, 10, 16, 17, 200])
@each_dtype
def test_labels_and_smoothing(module, smoothing, n, dtype):
    rng = np.random.default_rng(5)
    Z = rng.normal(size=(21, n)).astype(dtype)
    labels = rng.integers(0, n, 21).astype(np.int32)
    weights = rng.uniform(0.1, 2, 21).astype(dtype)
    for g_name, name in (
        ("softmax", "categorical_cross_entropy"),
        ("sigmoid", "categorical_cross_entropy"),
        ("sigmoid", "binary_cross_entropy"),
    ):
        g, entry = activation(g_name), loss(name)
        how = spec(module, entry, g, smoothing)
        Y = np.ascontiguousarray(one_hot(labels, n, dtype).T)
        A, losses, dZ = run(module, how, Z, None, labels, weights)
        assert all(
            (a == b).all()
            for a, b in zip((A, losses, dZ), run(module, how, Z, Y, None, weights), strict=True)
        )
        smoothed = entry.smoothed(Y.T, smoothing).T if smoothing else Y
        value, expected = reference(entry, g, Z, smoothed, weights, A)
        tolerance = 50 * np.finfo(dtype).eps
        np.testing.assert_allclose(losses, value, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(dZ, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("g", ["identity", "sigmoid", "gelu", "softmax", "exp"])
@pytest.mark.parametrize("n", WIDTHS)
@each_dtype
def test_an_example_has_the_same_bits_alone_and_in_any_company(module, g, n, dtype):
    rng = np.random.default_rng(6)
    Z = rng.normal(scale=3, size=(37, n)).astype(dtype)
    Y, weights = rng.uniform(0, 1, (37, n)).astype(dtype), rng.uniform(0.1, 2, 37).astype(dtype)
    for name in LOSSES:
        if name == "categorical_cross_entropy" and n == 1:
            continue
        how = spec(module, loss(name), activation(g))
        A, losses, dZ = run(module, how, Z, Y, None, weights)
        for k in (5, 36):  # the last k examples: other neighbours, other lanes
            part = run(module, how, Z[k:].copy(), Y[k:].copy(), None, weights[k:].copy())
            for whole, some in zip((A, losses, dZ), part, strict=True):
                np.testing.assert_array_equal(whole[k:], some)
        alone = run(module, how, Z, Y, None, weights, together=False)
        for whole, single in zip((A, losses, dZ), alone, strict=True):
            np.testing.assert_array_equal(whole, single)
        predicted = np.empty_like(Z)
        module.outputs(module.activation_ids[g], 0.0, Z, predicted)
        np.testing.assert_array_equal(predicted, A)


@pytest.mark.parametrize("n", [1, 2, 17])
@each_dtype
def test_a_loss_of_nan_is_nan(module, n, dtype):
    for entry in LOSS_ENTRIES:
        for g in map(activation, BUILT):
            if n == 1 and (g.name == "softmax" or entry.targets == "distribution"):
                continue
            Z, Y = np.zeros((3, n), dtype), np.ones((3, n), dtype)
            Z[1, 0] = np.nan
            A, losses, _ = run(module, spec(module, entry, g), Z, Y, None, np.ones(3, dtype))
            assert np.isnan(A[1, 0])
            assert np.isnan(losses).tolist() == [False, True, False], (entry, g)
