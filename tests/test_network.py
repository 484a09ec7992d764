"""Network and layers: dimensions, parameters, and what is said when shapes do not fit."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid import Dense, Network, Scale
from pellucid.activations import ACTIVATIONS, LeakyReLU
from pellucid.layers import layer_from_dict
from pellucid.losses import LOSSES


def small(dtype: str = "float64", **options) -> Network:
    """A 2-3-1 network."""
    return Network([Dense(3, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0, dtype=dtype)


# --- dimensions ---


def test_summary_is_the_dimension_table():
    layers = [Dense(4, "tanh", dropout=0.25), Scale(), Dense(1, "sigmoid")]
    assert Network(layers, n_inputs=3).summary().splitlines() == [
        "layer  kind   units  g                   W[l]      b[l]    Z[l], A[l]  parameters",
        "0      input      3                                        (3, m)               0",
        "1      dense      4  tanh, dropout 0.25  (4, 3)    (4, 1)  (4, m)              16",
        "1      scale      4                      s (4, 1)          (4, m)               4",
        "2      dense      1  sigmoid             (1, 4)    (1, 1)  (1, m)               5",
        "total                                                                          25",
    ]


def test_L_counts_the_output_layer_and_n_the_units():
    net = Network([Scale(), Dense(3), Dense(2), Scale(), Dense(1, "identity")], n_inputs=5)
    assert net.L == 3
    assert net.n == [5, 3, 2, 1]
    assert list(net.W) == list(net.b) == [1, 2, 3]
    assert list(net.s) == [0, 2]
    assert repr(net) == "<Network 5-3-2-1, 36 parameters, float32>"


sizes = st.lists(st.integers(1, 5), min_size=2, max_size=5)


@given(sizes, st.integers(1, 6), st.sampled_from(["float32", "float64"]), st.integers(0, 2**64 - 1))
def test_shapes_and_counts_for_any_sizes(n, m, dtype, seed):
    net = Network([Dense(k, "tanh") for k in n[1:]], n_inputs=n[0], seed=seed, dtype=dtype)
    assert net.n == n
    assert net.L == len(n) - 1
    assert net.n_parameters == sum(n[l] * (n[l - 1] + 1) for l in range(1, len(n)))
    X = np.random.default_rng(0).normal(size=(n[0], m))
    cache = net.forward(X, cache=True)
    gradients = net.backward(cache, np.zeros((n[-1], m)), "mse", inputs=True)
    for l in range(1, net.L + 1):
        assert net.W[l].shape == gradients.dW[l].shape == (n[l], n[l - 1])
        assert net.b[l].shape == gradients.db[l].shape == (n[l], 1)
        arrays = (cache.Z[l], cache.A[l], gradients.dZ[l], gradients.dA[l])
        assert all(array.shape == (n[l], m) and array.dtype == dtype for array in arrays)
        assert net.W[l].flags.f_contiguous
    assert gradients.dA[0].shape == gradients.dX.shape == (n[0], m)
    tolerance = 1e-5 if dtype == "float32" else 1e-12  # the cache is the reference's
    np.testing.assert_allclose(net.forward(X), cache.A[net.L], rtol=0, atol=tolerance)


@settings(max_examples=50)
@given(hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))
def test_any_other_shape_of_X_is_refused(shape):
    net, X = small(), np.zeros(shape)
    if len(shape) == 2 and shape[0] == 2:
        assert net.forward(X).shape == (1, shape[1])
    else:
        with pytest.raises(ValueError, match=r"expects X of shape \(n\[0\], m\) = \(2, m\); got"):
            net.forward(X)


@settings(max_examples=50)
@given(hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))
def test_any_other_shape_of_Y_is_refused(shape):
    net, X = small(), np.zeros((2, 3))
    if shape in ((1, 3), (3,)):
        assert np.isfinite(net.loss(X, np.zeros(shape), "bce"))
    else:
        with pytest.raises(ValueError, match=r"Y must have shape \(n\[L\], m\) = \(1, 3\)"):
            net.loss(X, np.zeros(shape), "bce")


# --- parameters ---


def test_parameters_are_the_networks_own_arrays():
    net, X = small(), np.array([[1.0], [2.0]])
    net.W[1][...] = 0.0
    net.b[1][0, 0] = 5.0
    assert net.forward(X, cache=True).Z[1].tolist() == [[5.0], [0.0], [0.0]]
    net.W[1] = [[1, 2], [3, 4], [5, 6]]
    assert net.W[1].dtype == np.float64
    assert net.forward(X, cache=True).Z[1].tolist() == [[10.0], [11.0], [17.0]]
    assert list(net.parameters) == ["W1", "b1", "W2", "b2"]
    assert net.parameters["W1"] is net.W[1]


def test_transposed_weights_are_the_drop_ins_coefs():
    coefs = small().W[1].T  # scikit-learn's (n[l-1], n[l])
    assert coefs.flags.c_contiguous
    assert coefs.base is not None


@pytest.mark.parametrize(
    ("letter", "number", "values", "error", "message"),
    [
        ("W", 0, [[1]], KeyError, r"no W\[0\] in this network; layers with W: 1, 2\."),
        ("b", 3, [[1]], KeyError, r"no b\[3\].*The lectures count layers from 1"),
        ("s", 0, [[1]], KeyError, r"no s\[0\] in this network; layers with s: none"),
        (
            "W",
            1,
            np.ones((2, 3)),
            ValueError,
            r"W\[1\] has shape \(3, 2\); got \(2, 3\)\. Pass the",
        ),
        ("W", 1, 1.0, ValueError, r"W\[1\] has shape \(3, 2\); got \(\)\.$"),
        ("b", 1, np.ones(3), ValueError, r"b\[1\] has shape \(3, 1\); got \(3,\)"),
    ],
)
def test_wrong_parameters_are_refused(letter, number, values, error, message):
    with pytest.raises(error, match=message):
        getattr(small(), letter)[number] = values


def test_a_parameter_cannot_be_deleted():
    net = small()
    with pytest.raises(TypeError, match=r"W\[1\] cannot be deleted; make a new Network"):
        del net.W[1]
    assert repr(net.W) == "<W of layers {1: (3, 2), 2: (1, 3)}>"
    assert len(net.W) == 2


def test_set_parameters():
    net = small()
    net.set_parameters({2: ([[1, 2, 3]], [4])})
    assert net.W[2].tolist() == [[1, 2, 3]]
    assert net.b[2].tolist() == [[4]]
    W = np.ones((3, 2))
    net.set_parameters({1: (W, np.zeros((3, 1)))})
    W[...] = 7  # copied: the user's array stays the user's
    assert (net.W[1] == 1).all()


@pytest.mark.parametrize(
    ("second", "error", "message"),
    [
        ((np.ones((1, 2)), [0]), ValueError, r"W\[2\] has shape \(1, 3\); got \(1, 2\)"),
        ((np.ones((1, 3)), [0, 0]), ValueError, r"b\[2\] has shape \(1, 1\); got \(2, 1\)"),
        ((np.full((1, 3), "x"), [0]), TypeError, r"W\[2\] must hold real .* <U1"),
        ((np.ones((1, 3)), [object()]), TypeError, r"b\[2\] must hold real .* object"),
    ],
)
def test_set_parameters_is_all_or_nothing(second, error, message):
    net = small()
    before = {name: array.copy() for name, array in net.parameters.items()}
    with pytest.raises(error, match=message):
        net.set_parameters({1: (np.ones((3, 2)), [1, 1, 1]), 2: second})
    assert all((net.parameters[name] == array).all() for name, array in before.items())
    with pytest.raises(KeyError, match=r"no W\[3\]"):
        net.set_parameters({1: (np.ones((3, 2)), [1, 1, 1]), 3: second})
    assert all((net.parameters[name] == array).all() for name, array in before.items())


def test_copies_share_nothing():
    layers = [Dense(3, "tanh", learning_rate_factor={"W": 0.5}), Dense(1, "sigmoid")]
    net = Network(layers, n_inputs=2, seed=0)
    twin, other = net.copy(), Network(net.layers, n_inputs=2, seed=1)
    X = np.ones((2, 4))
    assert (twin.forward(X) == net.forward(X)).all()
    before = net.W[1].copy()
    twin.W[1][...] = 9
    other.W[1][...] = 9
    assert (net.W[1] == before).all()
    assert layers[0].parameters == {}  # the user's own layers are not touched
    assert (copy.deepcopy(net).W[1] == before).all()
    assert (pickle.loads(pickle.dumps(net)).W[1] == before).all()


def test_to_dict_and_back():
    layers = [
        Scale(learning_rate_factor=2.0, weight_decay_factor=0.5),
        Dense(4, LeakyReLU(slope=0.2), dropout=0.25, initializer={"name": "normal", "std": 0.3}),
        Dense(3, "tanh", learning_rate_factor={"W": 1.0, "b": 0.1}, weight_decay_factor=0.0),
        Dense(2, "softmax"),
    ]
    net = Network(layers, n_inputs=3, seed=5, dtype="float64")
    again = Network.from_dict(net.to_dict())
    assert again.to_dict() == net.to_dict()
    assert again.summary() == net.summary()
    assert [repr(layer) for layer in again.layers] == [repr(layer) for layer in net.layers]
    for name, array in again.parameters.items():
        array[...] = net.parameters[name]
    X = np.random.default_rng(0).normal(size=(3, 4))
    assert (again.forward(X) == net.forward(X)).all()


def test_an_unknown_layer_is_refused():
    with pytest.raises(ValueError, match=r"unknown layer 'dens' \(did you mean 'dense'\?\)"):
        layer_from_dict({"layer": "dens"})


# --- forward, loss, predict ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_is_of_the_networks_dtype(dtype, rng):
    net = small(dtype)
    X, Y = rng.normal(size=(2, 5)), rng.integers(0, 2, 5)
    cache = net.forward(X, cache=True)
    gradients = net.backward(cache, Y, "bce", sample_weight=rng.random(5), l1=0.1, l2=0.1)
    arrays = [*net.parameters.values(), *cache.Z.values(), *cache.A.values()]
    arrays += [*gradients.dW.values(), *gradients.db.values(), *gradients.dZ.values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert net.forward(X).dtype == dtype
    assert isinstance(net.loss(X, Y, "bce"), float)


def test_float32_and_float64_agree(rng):
    single, double = small("float32"), small("float64")
    X, Y = rng.normal(size=(2, 50)), rng.integers(0, 2, 50)
    assert single.loss(X, Y, "bce") == pytest.approx(double.loss(X, Y, "bce"), rel=1e-6)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil"])
def test_sparse_X(form, rng):
    net = Network([Dense(3, "tanh"), Dense(2, "softmax")], n_inputs=4, seed=0, dtype="float64")
    X = rng.normal(size=(4, 30)) * (rng.random((4, 30)) < 0.3)
    sparse = scipy.sparse.csr_array(X).asformat(form)
    assert (net.forward(sparse) == net.forward(X)).all()
    assert net.loss(sparse, np.zeros(30, int), "cce") == net.loss(X, np.zeros(30, int), "cce")
    with pytest.raises(ValueError, match=r"got \(30, 4\)\. .*transpose, X\.T"):
        net.forward(sparse.T)


def test_a_large_X_goes_through_in_blocks(rng):
    net, X = small(), rng.normal(size=(2, 3000))
    whole = net.forward(X, cache=True).A[2]
    np.testing.assert_allclose(net.forward(X), whole, rtol=1e-14)
    assert net.forward(X).flags.f_contiguous


def test_no_examples():
    net, X = small(), np.empty((2, 0))
    assert net.forward(X).shape == net.predict(X).shape == (1, 0)
    with pytest.raises(ValueError, match="X holds no examples"):
        net.loss(X, np.empty((1, 0)), "bce")


def test_lists_integers_and_booleans_are_arrays_too():
    net = small()
    expected = net.forward(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert (net.forward([[1, 0], [0, 1]]) == expected).all()
    assert (net.forward(np.eye(2, dtype=bool)) == expected).all()


@pytest.mark.parametrize("m", [1, 5])
def test_an_example_alone_gives_what_it_gives_in_a_batch(m, rng):
    net, X = small(), rng.normal(size=(2, m))
    each = np.concatenate([net.forward(X[:, [i]]) for i in range(m)], axis=1)
    np.testing.assert_allclose(each, net.forward(X), rtol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_the_weighted_mean_of_the_losses_of_each_example(name, rng, draw_targets):
    entry = LOSSES[name]()
    net = Network([Dense(3, "tanh"), Dense(2, entry.fits[0])], n_inputs=2, seed=0, dtype="float64")
    X, w = rng.normal(size=(2, 6)), rng.random(6)
    Y = draw_targets(entry, 2, 6, rng)
    each = [net.loss(X[:, [i]], Y[:, [i]], name) for i in range(6)]
    assert net.loss(X, Y, name) == pytest.approx(np.mean(each), rel=1e-12)
    weighted = net.loss(X, Y, name, sample_weight=w)
    assert weighted == pytest.approx(np.sum(w * each) / np.sum(w), rel=1e-12)
    twice = net.loss(X, Y, name, sample_weight=2 * w)
    assert twice == pytest.approx(weighted, rel=1e-12)


def test_penalties_by_hand(rng):
    layers = [Dense(2, "tanh", weight_decay_factor=3.0), Scale(), Dense(1, "identity")]
    net = Network(layers, n_inputs=2, seed=0, dtype="float64")
    net.set_parameters({1: ([[1, -2], [0, 3]], [5, 5]), 2: ([[2, -1]], [7])})
    X, Y = rng.normal(size=(2, 4)), rng.normal(size=4)
    plain = net.loss(X, Y, "mse")
    # sum W^2 = 14, times 3, and 5; sum |W| = 6, times 3, and 3. No b, and no s unless asked for.
    assert net.loss(X, Y, "mse", l2=0.1) == pytest.approx(plain + 0.05 * (3 * 14 + 5))
    assert net.loss(X, Y, "mse", l1=0.1) == pytest.approx(plain + 0.1 * (3 * 6 + 3))


@pytest.mark.parametrize(
    ("g", "Z", "expected"),
    [
        ("sigmoid", [[0.0, 1e-9, -1e-9]], [[1, 1, 0]]),  # lecture 001: class 1 where g >= 0.5
        ("hard_sigmoid", [[0.0, 1.0, -1.0]], [[1, 1, 0]]),
        ("identity", [[0.5, -2.0]], [[0.5, -2.0]]),
        ("softmax", [[0.0, 2.0], [1.0, 1.0]], [1, 0]),
    ],
)
def test_predict(g, Z, expected):
    Z = np.array(Z)
    net = Network([Dense(len(Z), g)], n_inputs=len(Z), initializer=np.zeros, dtype="float64")
    net.W[1] = np.eye(len(Z))
    assert net.predict(Z).tolist() == expected


# --- mistakes ---


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (
            np.ones((3, 5)),
            ValueError,
            r"layer 1 \(Dense 2 -> 3\) expects X .*= \(2, m\); got \(3, 5\)",
        ),
        (np.ones((5, 2)), ValueError, r"got \(5, 2\)\. An example is a column here: pass .*X\.T"),
        (np.ones(2), ValueError, r"got \(2,\)\. For one example pass X\.reshape\(-1, 1\)"),
        (np.ones(7), ValueError, r"got \(7,\)\.$"),
        (np.ones((2, 3, 4)), ValueError, r"got \(2, 3, 4\)"),
        (np.array([["a"], ["b"]]), TypeError, "X must hold numbers; got dtype <U1"),
        ([[None], [1]], TypeError, "X must hold numbers; got dtype object"),
    ],
)
def test_inputs_refused(X, error, message):
    with pytest.raises(error, match=message):
        small().forward(X)


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.ones(3), r"sample_weight must have shape \(m,\) = \(4,\); got \(3,\)"),
        (np.ones((1, 4)), r"must have shape \(m,\) = \(4,\); got \(1, 4\)"),
        ([1, -1, 1, 1], "sample_weight must hold finite numbers of 0 or more"),
        ([1, np.nan, 1, 1], "finite numbers of 0 or more"),
        ([1, np.inf, 1, 1], "finite numbers of 0 or more"),
        (["a"] * 4, "finite numbers of 0 or more"),
        (np.zeros(4), "sample_weight is 0 for every example; at least one must be positive"),
    ],
)
def test_weights_refused(w, message):
    net, X, Y = small(), np.ones((2, 4)), np.ones(4)
    with pytest.raises(ValueError, match=message):
        net.loss(X, Y, "bce", sample_weight=w)
    with pytest.raises(ValueError, match=message):
        net.backward(net.forward(X, cache=True), Y, "bce", sample_weight=w)


@pytest.mark.parametrize(
    ("layers", "options", "error", "message"),
    [
        ([], {}, ValueError, "a Network needs at least one layer, such as Dense"),
        (["tanh"], {}, TypeError, "entry 1 is 'tanh'"),
        ([Dense(2), 4], {}, TypeError, "layers such as .*; entry 2 is 4"),
        ([Dense(2), Scale()], {}, ValueError, r"the last layer must compute a Z.*got Scale\(\)"),
        ([Dense(2, dropout=0.5)], {}, ValueError, "the output layer cannot drop units"),
        (
            [Scale(), Scale(), Dense(1)],
            {},
            ValueError,
            r"Scale 2 -> 2\) both have a parameter s0; put a layer with a Z",
        ),
        (
            [Dense(2, "softmax"), Dense(1)],
            {},
            ValueError,
            "entry 1.*softmax is for the output layer",
        ),
        ([Dense(2, "exp"), Dense(1)], {}, ValueError, "exp is for the output layer"),
        (
            [Dense(2)],
            {"n_inputs": 0},
            ValueError,
            "n_inputs must be an integer of 1 or more; got 0",
        ),
        ([Dense(2)], {"n_inputs": 2.0}, ValueError, r"n_inputs must be .*; got 2\.0"),
        ([Dense(2)], {"n_inputs": True}, ValueError, "n_inputs must be .*; got True"),
        (
            [Dense(2)],
            {"dtype": "int32"},
            ValueError,
            "dtype must be 'float32' or 'float64'; got 'i",
        ),
        ([Dense(2)], {"seed": -1}, ValueError, "seed must be between 0"),
        ([Dense(2)], {"initializer": "hee"}, ValueError, "unknown initializer 'hee'"),
    ],
)
def test_networks_refused(layers, options, error, message):
    with pytest.raises(error, match=message):
        Network(layers, **{"n_inputs": 2} | options)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0,), {}, "Dense: n_units must be an integer of 1 or more; got 0"),
        ((2.0,), {}, r"n_units must be an integer of 1 or more; got 2\.0"),
        (("4",), {}, "n_units must be an integer of 1 or more; got '4'"),
        ((True,), {}, "n_units must be an integer of 1 or more; got True"),
        ((2, "rleu"), {}, "unknown activation 'rleu'"),
        ((2,), {"dropout": 1.0}, r"Dense: dropout must be at least 0 and below 1; got 1\.0"),
        ((2,), {"dropout": -0.1}, "dropout must be at least 0"),
        ((2,), {"initializer": "hee"}, "unknown initializer 'hee'"),
        (
            (2,),
            {"learning_rate_factor": -1},
            "Dense: learning_rate_factor must be 0 or more; got -1",
        ),
        ((2,), {"learning_rate_factor": {"W": "x"}}, "learning_rate_factor must be 0 or more"),
        ((2,), {"weight_decay_factor": np.inf}, "weight_decay_factor must be 0 or more; got inf"),
    ],
)
def test_layers_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Dense(*arguments, **options)


@pytest.mark.parametrize(
    ("A_prev", "message"),
    [
        (
            np.ones((4, 2)),
            r"layer 1 \(Dense 3 -> 2\) expects A_prev of shape \(3, m\); got \(4, 2\)\.$",
        ),
        (np.ones((4, 3)), r"got \(4, 3\)\. An example is a column here: pass the transpose, A\.T"),
        (np.ones(3), r"got \(3,\)\. For one example pass A\.reshape\(-1, 1\)"),
    ],
)
def test_a_layer_on_its_own_checks_its_input(A_prev, message):
    with pytest.raises(ValueError, match=message):
        Dense(2).build((3,)).forward(A_prev)


def test_a_layer_that_is_not_built_says_so():
    with pytest.raises(
        ValueError, match=r"Dense\(2, 'relu'\) has no parameters yet; put it in a N"
    ):
        Dense(2).forward(np.ones((3, 1)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_any_activation_at_the_output(name, rng):
    net = Network([Dense(3, name)], n_inputs=2, seed=0)
    A = net.forward(1e4 * rng.normal(size=(2, 8)))
    assert A.shape == (3, 8)
    assert np.isfinite(A).all()
    assert repr(Dense(3, name)) == f"Dense(3, {name!r})"


def test_shape_mistakes_of_the_building_blocks():
    layer = Dense(2, "relu").build((3,), number=4)
    _, cache = layer.forward(np.ones((3, 5)))
    with pytest.raises(
        ValueError, match=r"layer 4 \(Dense 3 -> 2\) expects dA .*\(2, 5\); got \(1"
    ):
        layer.backward(np.ones((1, 5)), cache)
    with pytest.raises(TypeError, match=r"layer 4 .* expects A_prev as an array; got \[\[1\]\]"):
        layer.forward([[1]])
    with pytest.raises(ValueError, match="learning_rate_factor names 'w'; the parameters are W, b"):
        Network([Dense(2, learning_rate_factor={"w": 0.1})], n_inputs=3)


def test_numbers_too_large_for_float32():
    net = Network([Dense(2)], n_inputs=1, seed=0)
    with pytest.raises(ValueError, match=r"X holds numbers that float32 cannot: .* 1e\+300"):
        net.forward([[1e300]])
