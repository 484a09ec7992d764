"""Convolutions and pools: by hand, by loops, against central differences, with padded steps."""

from __future__ import annotations

import math
import tracemalloc
import zlib
from itertools import product
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, Network, check_gradients, train
from pellucid.activations import ACTIVATIONS, ELU, Activation, LeakyReLU
from pellucid.engines import reference
from pellucid.layers import AveragePool, Conv1D, Conv2D, GlobalPool, Layer, MaxPool, patches

COURSE = np.array(
    [[1, 3, 2, 1, 3], [2, 9, 1, 1, 5], [1, 3, 2, 3, 2], [8, 3, 5, 1, 0], [5, 6, 1, 2, 9]], float
)


def column(picture: Any) -> np.ndarray:
    """One example of one channel."""
    return np.asarray(picture, float).reshape(-1, 1)


def seeded(*words: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def drawn(layers: list[Layer], shape: tuple[int, ...], rng: np.random.Generator) -> Network:
    """A network of these layers and random parameters."""
    net = Network(layers, shape, seed=0, dtype="float64")
    for parameter in net.parameters.values():
        parameter[...] = rng.normal(scale=0.7, size=parameter.shape)
    return net


# --- by hand ---


def test_a_vertical_edge_is_found() -> None:
    """6 x 6 pixels, bright on the left: 30 where the edge is, 0 elsewhere."""
    layer = Conv2D(1, 3, "identity").build((6, 6, 1))
    layer.parameters["W"][:] = [[1, 0, -1] * 3]
    picture = np.repeat([[10.0, 10, 10, 0, 0, 0]], 6, axis=0)
    edges, _ = layer.forward(column(picture))
    assert edges.reshape(4, 4).tolist() == [[0, 30, 30, 0]] * 4
    assert layer.forward(column(picture.T))[0].tolist() == [[0.0]] * 16  # it is none for rows


def test_a_convolution_forward_and_backward_by_hand() -> None:
    layer = Conv2D(1, 2, "relu").build((2, 3, 1))
    layer.parameters["W"][:], layer.parameters["b"][:] = [[1, 2, 3, 4]], [[-40]]
    A, cache = layer.forward(column([[1, 2, 3], [4, 5, 6]]))
    assert cache.Z.T.tolist() == [[1 + 4 + 12 + 20 - 40, 2 + 6 + 15 + 24 - 40]]  # -3, 7
    assert A.T.tolist() == [[0, 7]]
    dA_prev, gradients = layer.backward(np.array([[5.0], [2.0]]), cache)
    assert gradients["dZ"].T.tolist() == [[0, 2]]
    assert gradients["dW"].tolist() == [[2 * 2, 2 * 3, 2 * 5, 2 * 6]]
    assert gradients["db"].tolist() == [[2]]
    assert dA_prev.reshape(2, 3).tolist() == [[0, 2, 4], [0, 6, 8]]


def test_the_gradient_adds_up_places_and_examples() -> None:
    """Filter of 1 x 1: dW = (1/m) sum of dz a_prev over 3 steps of 2 examples."""
    layer = Conv1D(1, 1, "identity").build((3, 1))
    A_prev, dA = np.array([[1.0, 4], [2, 5], [3, 6]]), np.array([[1.0, 1], [10, 10], [100, 100]])
    _, gradients = layer.backward(dA, layer.forward(A_prev)[1])
    assert gradients["dW"].tolist() == [[(1 + 20 + 300 + 4 + 50 + 600) / 2]]
    assert gradients["db"].tolist() == [[222 / 2]]


@pytest.mark.parametrize(
    ("layer", "picture", "expected"),
    [
        (MaxPool(2), COURSE[:4, :4], [[9, 2], [8, 5]]),
        (MaxPool(3, 1), COURSE, [[9, 9, 5], [9, 9, 5], [8, 6, 9]]),
        (AveragePool(2), COURSE[:4, :4], [[3.75, 1.25], [3.75, 2.75]]),
        (MaxPool((1, 2)), COURSE[:2], [[3, 2], [9, 1]]),
        (GlobalPool("max"), COURSE, [9]),
        (GlobalPool(), COURSE, [COURSE.sum() / 25]),
    ],
    ids=repr,
)
def test_pools_by_hand(layer: Layer, picture: np.ndarray, expected: list[Any]) -> None:
    layer = layer.unbuilt().build((*picture.shape, 1))
    output = layer.forward(column(picture))[0]
    assert output.reshape(np.shape(expected)).tolist() == expected


def test_the_largest_gets_the_derivative_and_equals_share_it() -> None:
    layer = MaxPool(2).build((2, 4, 1))
    _, cache = layer.forward(column([[1, 7, 3, 3], [2, 5, 3, 0]]))
    dA_prev, gradients = layer.backward(np.array([[8.0], [6.0]]), cache)
    assert dA_prev.reshape(2, 4).tolist() == [[0, 8, 2, 2], [0, 0, 2, 0]]
    assert gradients == {}
    layer = MaxPool(2, 1).build((3, 1))  # the 5 is in both windows
    dA_prev, _ = layer.backward(np.array([[1.0], [10.0]]), layer.forward(column([1, 5, 2]))[1])
    assert dA_prev.T.tolist() == [[0, 11, 0]]


def test_channels_are_kept_apart() -> None:
    layer = MaxPool(2).build((4, 2))
    steps = [[1, 80], [2, 70], [6, 10], [5, 30]]
    assert layer.forward(column(steps))[0].reshape(2, 2).tolist() == [[2, 80], [6, 30]]


def test_a_global_pool_is_that_of_the_steps_which_are_there() -> None:
    """In the chain padded steps are 0, which is more than -2 and -5."""
    A_prev, lengths = np.array([[-5.0, -3], [-2, 0], [0, 0]]), np.array([2, 1])
    dA = np.array([[6.0, 8.0]])
    for kind, expected, derivative in (
        ("max", [-2, -3], [[0, 8], [6, 0], [0, 0]]),
        ("average", [-3.5, -3], [[3, 8], [3, 0], [0, 0]]),
    ):
        layer = GlobalPool(kind).build((3, 1))
        A, cache = layer.forward(A_prev, lengths=lengths)
        assert A.tolist() == [expected]
        assert layer.backward(dA, cache)[0].tolist() == derivative


# --- by loops ---


def by_loops(layer: Any, volume: np.ndarray, pads: list[tuple[int, int]]) -> np.ndarray:
    """Z of one example, (rows, columns, channels) or (steps, features), place by place."""
    W, b, groups = layer.parameters["W"], layer.parameters["b"], layer.groups
    n_axes, n_C = volume.ndim - 1, volume.shape[-1] // groups
    size, stride = (
        v if isinstance(v, tuple) else (v,) * n_axes for v in (layer.size, layer.stride)
    )
    padded = np.pad(volume, [*pads, (0, 0)])
    Z = np.zeros(layer.output_shape)
    for place in np.ndindex(layer.output_shape[:-1]):
        window = [slice(k * s, k * s + f) for k, s, f in zip(place, stride, size, strict=True)]
        for c in range(layer.n_filters):
            first = c * groups // layer.n_filters * n_C
            seen = padded[(*window, slice(first, first + n_C))]
            Z[(*place, c)] = np.sum(seen.ravel() * W[c]) + b[c, 0]
    return Z


@pytest.mark.parametrize(
    ("layer", "shape", "pads"),
    [
        (Conv2D(4, 3), (5, 6, 2), [(0, 0), (0, 0)]),
        (Conv2D(4, (2, 3), stride=(2, 1), padding="same"), (5, 4, 2), [(0, 1), (1, 1)]),
        (Conv2D(4, 4, stride=3, padding=2, groups=2), (5, 7, 4), [(2, 2), (2, 2)]),
        (Conv2D(6, 1, groups=3), (2, 2, 3), [(0, 0), (0, 0)]),
        (Conv1D(4, 3, stride=2, padding="same", groups=2), (7, 4), [(1, 1)]),
        (Conv1D(2, 4, padding="same"), (5, 3), [(1, 2)]),
    ],
    ids=repr,
)
def test_z_is_the_sum_over_the_patch(layer: Any, shape: Any, pads: Any) -> None:
    rng = seeded(layer)
    layer = layer.unbuilt().build(shape)
    for parameter in layer.parameters.values():
        parameter[...] = rng.normal(size=parameter.shape)
    X = rng.normal(size=(*shape, 3))
    _, cache = layer.forward(X.reshape(-1, 3))
    for i in range(3):
        expected = by_loops(layer, X[..., i], pads)
        np.testing.assert_allclose(cache.Z[:, i].reshape(layer.output_shape), expected, rtol=1e-12)
    assert cache.Z.flags.f_contiguous  # in memory an example is contiguous
    assert cache.output.flags.f_contiguous


@pytest.mark.parametrize("make", [Conv1D, MaxPool, AveragePool])
def test_n_H_is_the_formula(make: Any) -> None:
    """floor((n + 2p - f) / s) + 1 is how many windows fit."""
    for n, f, s, p in product(range(1, 9), range(1, 5), range(1, 5), range(3)):
        if p and make is not Conv1D:
            continue
        options = {"stride": s, "padding": p} if make is Conv1D else {"stride": s}
        layer = make(1, f, **options) if make is Conv1D else make(f, **options)
        fit = sum(start + f <= n + 2 * p for start in range(0, n + 2 * p, s))
        assert fit == max(0, (n + 2 * p - f) // s + 1)
        if fit:
            assert layer.output_shape_for((n, 1))[0] == fit
            assert layer.unbuilt().build((n, 1)).forward(np.ones((n, 2)))[0].shape == (fit, 2)
        else:
            with pytest.raises(ValueError, match="is larger than what enters"):
                layer.output_shape_for((n, 1))


@pytest.mark.parametrize(("n", "f", "s"), [*product((1, 4, 5), (1, 2, 3, 4), (1, 2, 3))])
def test_same_gives_as_many_places_as_strides_fit(n: int, f: int, s: int) -> None:
    assert Conv1D(1, f, stride=s, padding="same").output_shape_for((n, 1)) == (-(-n // s), 1)


def test_examples_are_added_up_in_parts(monkeypatch: pytest.MonkeyPatch, rng: Any) -> None:
    """Many examples at once give what each alone gives."""
    layer = Conv2D(3, 3, padding="same").build((6, 6, 2))
    A_prev, dA = rng.normal(size=(72, 9)), rng.normal(size=(108, 9))
    whole, _ = layer.backward(dA, layer.forward(A_prev)[1])
    for at_once in (1, 2 * patches.patches((6, 6, 2), (3, 3), (1, 1), ((1, 1),) * 2).visits.size):
        monkeypatch.setattr(patches, "AT_ONCE", at_once)
        np.testing.assert_array_equal(layer.backward(dA, layer.forward(A_prev)[1])[0], whole)


def test_many_patches_are_made_of_fewer_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass takes as many rows as keep the patches small, and the sum over blocks is the same."""
    layers = [Conv2D(2, 5, padding="same"), MaxPool(2), Dense(2, "softmax")]
    rng = seeded("blocks")
    net, trained, answers = drawn(layers, (12, 12, 4), rng), [], []
    X, labels = rng.normal(size=(net.n_inputs, 50)), rng.integers(0, 2, 50)
    assert [layer.numbers for layer in net.layers] == [144 * 25 * 4, 4 * 36 * 2, 72]
    assert reference.rows_at_once(net.leaves) == 1024
    rng = seeded("blocks")
    X, labels, trained, answers = (
        rng.normal(size=(net.n_inputs, 50)),
        rng.integers(0, 2, 50),
        [],
        [],
    )
    for most, rows in ((2**25, 1024), (7 * 144 * 25 * 4, 7), (1, 1)):
        monkeypatch.setattr(reference, "NUMBERS", most)
        assert reference.rows_at_once(net.leaves) == rows
        again = net.copy()
        train(again, X, labels, loss="cce", epochs=2, batch_size=25, seed=0)
        trained.append(again.parameters)
        tracemalloc.start()
        answers.append(net.copy().forward(X))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * 8 * min(rows, 50) * 144 * 25 * 4 + 10**6
    for other in (1, 2):
        np.testing.assert_allclose(answers[other], answers[0], rtol=1e-12)
        for name, array in trained[0].items():
            np.testing.assert_allclose(trained[other][name], array, rtol=1e-9)


# --- against central differences ---

ALL: list[Activation] = [entry() for entry in ACTIVATIONS.values() if not entry.output_only]
ALL += [LeakyReLU(slope=0.3), ELU(a=2.5)]

PICTURES: list[list[Layer]] = [
    [Conv2D(2, size, "tanh", stride=stride, padding=padding, groups=groups)]
    for size, stride, padding, groups in product(
        (1, 2, (3, 2)), (1, (2, 1)), ("valid", "same", 1), (1, 2)
    )
]
PICTURES += [[Conv2D(2, 2, g, stride=2, padding=1)] for g in ALL]
PICTURES += [
    [Conv2D(2, 2, g, padding="same"), pool]
    for g, pool in product(
        ("relu", "tanh"),
        (
            *(
                kind(size, s)
                for kind in (MaxPool, AveragePool)
                for size in (2, (3, 2))
                for s in (1, 2)
            ),
            MaxPool(2, (1, 2)),
            GlobalPool(),
            GlobalPool("max"),
        ),
    )
]
SEQUENCES: list[list[Layer]] = [
    [Conv1D(2, size, "tanh", stride=stride, padding=padding, groups=groups)]
    for size, stride, padding, groups in product((1, 2, 3), (1, 2), ("valid", "same", 1), (1, 2))
]
SEQUENCES += [[Conv1D(2, 3, g, stride=2, padding="same")] for g in ALL]
SEQUENCES += [
    [Conv1D(2, 2, g, padding="same"), pool]
    for g, pool in product(
        ("relu", "tanh"),
        (
            *(kind(f, s) for kind in (MaxPool, AveragePool) for f in (2, 3) for s in (1, 2)),
            GlobalPool(),
            GlobalPool("max"),
        ),
    )
]


def checked(layers: list[Layer], shape: tuple[int, ...], lengths: Any = None) -> None:
    """Draw until no z is near a kink, then hold all gradients against differences."""
    rng, check = seeded(layers, lengths), None
    while check is None or check.near_kink:
        net = drawn([*layers, Dense(2, "softmax")], shape, rng)
        X = rng.normal(size=(net.n_inputs, 3))
        check = check_gradients(net, X, [0, 1, 1], "cce", lengths=lengths, l2=0.1)
    assert list(check.by_name) == ["dW1", "db1", "dW2", "db2", "dX"]
    assert check.ok, check


@pytest.mark.parametrize("layers", PICTURES, ids=repr)
def test_gradients_of_pictures(layers: list[Layer]) -> None:
    checked(layers, (4, 3, 2))


@pytest.mark.parametrize("lengths", [None, [5, 3, 4]], ids=["whole", "lengths"])
@pytest.mark.parametrize("layers", SEQUENCES, ids=repr)
def test_gradients_of_sequences(layers: list[Layer], lengths: Any) -> None:
    checked(layers, (5, 2), lengths)


def test_gradients_of_a_deep_network(rng: Any) -> None:
    layers = [Conv2D(2, 3, "elu", padding="same"), MaxPool(2), Conv2D(3, 2, "silu"), GlobalPool()]
    net = drawn([*layers, Dense(2, "softmax")], (6, 6, 1), rng)
    check = check_gradients(net, rng.normal(size=(36, 3)), [0, 1, 1], "cce", l2=0.1)
    assert list(check.by_name) == ["dW1", "db1", "dW2", "db2", "dW3", "db3", "dX"]
    assert check.ok, check


# --- padded steps ---

CHAINS: list[list[Layer]] = [
    [Conv1D(2, 3, "tanh"), GlobalPool()],
    [Conv1D(2, 3, "sigmoid", stride=2, padding="same"), GlobalPool("max")],
    [Conv1D(2, 2, "softplus"), MaxPool(2), Conv1D(2, 2, "softplus", padding=1), GlobalPool()],
    [AveragePool(2, 1), Conv1D(4, 1, "relu", groups=2), MaxPool(3, 1), GlobalPool("max")],
]
each_chain = pytest.mark.parametrize("layers", CHAINS, ids=repr)


def padded(rng: np.random.Generator, lengths: Any, filled: float) -> np.ndarray:
    """(8, 2, m) numbers, in the padded steps others."""
    X = rng.normal(size=(8, 2, len(lengths)))
    for i, length in enumerate(lengths):
        X[length:, :, i] = filled
    return X


@each_chain
def test_padded_steps_change_nothing(layers: list[Layer]) -> None:
    lengths, labels = np.array([8, 5, 7]), [0, 1, 0]
    found = []
    for filled in (0.0, math.nan, 1e9):
        net = drawn([*layers, Dense(2, "softmax")], (8, 2), seeded(layers))
        X = padded(seeded(layers), lengths, filled)
        cache = net.forward(X, cache=True, lengths=lengths)
        gradients = net.backward(cache, labels, "cce", inputs=True)
        assert not np.any(
            gradients.dX.reshape(X.shape)[np.isnan(padded(seeded(), lengths, np.nan))]
        )
        train(net, X, labels, loss="cce", lengths=lengths, epochs=2, engine="reference")
        arrays = [cache.A[net.L], gradients.dX, *net.parameters.values()]
        arrays += [array for by_name in gradients.by_layer for array in by_name.values()]
        arrays += [
            net.forward(X, lengths=lengths),
            np.array(net.loss(X, labels, "cce", lengths=lengths)),
        ]
        found.append(arrays)
    for arrays in found[1:]:
        for mine, theirs in zip(arrays, found[0], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@each_chain
def test_a_padded_example_gives_what_it_gives_alone(layers: list[Layer]) -> None:
    lengths = np.array([8, 5, 7])
    net = drawn([*layers, Dense(2, "softmax")], (8, 2), seeded(layers))
    X = padded(seeded(layers), lengths, math.nan)
    together = net.forward(X, cache=True, lengths=lengths)
    gradients = net.backward(together, [0, 1, 0], "cce", inputs=True)
    summed = {name: np.zeros_like(array) for name, array in net.parameters.items()}
    for i, length in enumerate(lengths):
        alone = Network(net.layers, (int(length), 2), seed=0, dtype="float64")
        alone.put_parameters(net.parameters)
        cache = alone.forward(X[:length, :, i : i + 1], cache=True)
        np.testing.assert_allclose(together.A[net.L][:, i], cache.A[net.L][:, 0], rtol=1e-12)
        own = alone.backward(cache, [[0, 1, 0][i]], "cce", inputs=True)
        dX = gradients.dX[: 2 * length, i]
        np.testing.assert_allclose(dX, own.dX[:, 0], rtol=1e-10, atol=1e-14)
        for layer, found in zip(alone.leaves, own.by_layer, strict=True):
            for letter in layer.parameters:
                summed[f"{letter}{layer.number}"] += found["d" + letter] / 3
    for layer, found in zip(net.leaves, gradients.by_layer, strict=True):
        for letter in layer.parameters:
            np.testing.assert_allclose(
                found["d" + letter], summed[f"{letter}{layer.number}"], rtol=1e-10, atol=1e-14
            )


def test_outputs_at_each_step_are_those_of_the_example_alone() -> None:
    rng, lengths = seeded("steps"), np.array([6, 4])
    net = drawn([Conv1D(3, 2, "tanh"), Conv1D(2, 2, "softmax", padding="same")], (6, 2), rng)
    X = rng.normal(size=(6, 2, 2))
    X[4:, :, 1] = math.nan
    A = net.forward(X, lengths=lengths).reshape(5, 2, 2)
    assert A[3:, :, 1].tolist() == [[0, 0], [0, 0]]
    alone = Network(net.layers, (4, 2), seed=0, dtype="float64")
    alone.put_parameters(net.parameters)
    one = alone.forward(X[:4, :, 1:]).reshape(3, 2)
    np.testing.assert_allclose(A[:3, :, 1], one, rtol=1e-12)
    np.testing.assert_allclose(A[:3, :, 1].sum(axis=1), 1, rtol=1e-12)


# --- what cannot be ---


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: Conv2D(2, 7), (5, 9, 1), r"window of 7 x 7 is larger than what enters, 5 x 9"),
        (lambda: Conv2D(2, (2, 7)), (5, 6, 1), r"window of 2 x 7 .* or padding='same'"),
        (lambda: Conv1D(2, 4, padding=1), (1, 3), r"window of 4 is larger than what enters, 1"),
        (lambda: MaxPool(3), (2, 4, 1), r"MaxPool\(3, 3\): the window of 3 x 3 .* smaller size\.$"),
        (lambda: AveragePool(9), (8, 3), r"window of 9 is larger than what enters, 8"),
        (lambda: Conv2D(2, 3), (28, 28), r"got \(28, 28\)\. .* write \(28, 28, 1\)"),
        (lambda: Conv1D(2, 3), (28,), r"\(steps, features\); got \(28,\)\. .* write \(28, 1\)"),
        (lambda: Conv1D(2, 3), (28, 28, 1), r"shape \(steps, features\); got \(28, 28, 1\)\.$"),
        (
            lambda: MaxPool(2),
            (7,),
            r"\(rows, columns, channels\) or \(steps, features\); got \(7,\)",
        ),
        (lambda: GlobalPool(), (7,), r"\(rows, columns, channels\) or \(steps, features\)"),
        (lambda: MaxPool((2, 1)), (8, 3), r"a pair is for \(rows, columns, channels\)"),
        (lambda: Conv2D(4, 3, groups=2), (5, 5, 3), r"3 channels cannot be shared among 2 groups"),
        (lambda: Conv2D(3, 3, groups=2), (5, 5, 2), r"3 filters cannot be shared among 2 groups"),
        (lambda: Conv2D(3, 3, stride=0), None, r"Conv2D: stride must be .* a pair of them; got 0"),
        (lambda: Conv1D(3, 3, stride=0), None, r"Conv1D: stride must be an integer .*; got 0"),
        (lambda: MaxPool(2, 0), None, r"MaxPool: stride must be an integer of 1 or more"),
        (lambda: MaxPool(0), None, r"MaxPool: size must be an integer of 1 or more.*; got 0"),
        (lambda: Conv2D(3, (1, 2, 3)), None, r"Conv2D: size must be .*; got \(1, 2, 3\)"),
        (lambda: Conv1D(3, (1, 2)), None, r"Conv1D: size must be an integer of 1 or more; got"),
        (lambda: Conv2D(0, 3), None, r"Conv2D: n_filters must be an integer of 1 or more; got 0"),
        (lambda: Conv2D(2, 3, groups=0), None, r"Conv2D: groups must be an integer of 1 or more"),
        (lambda: Conv2D(2, 3, padding=-1), None, r"padding must be 'valid', 'same' or an integer"),
        (lambda: Conv2D(2, 3, padding="full"), None, r"padding must be 'valid', .* got 'full'"),
        (lambda: GlobalPool("sum"), None, r"kind must be 'average' or 'max'; got 'sum'"),
    ],
)
def test_what_cannot_be_is_said(make: Any, shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network([make(), Dense(1)], shape)


def test_sequences_shorter_than_a_window_are_refused() -> None:
    X = np.ones((6, 2, 3))
    net = Network([Conv1D(2, 2), Conv1D(2, 3), GlobalPool(), Dense(1)], (6, 2), seed=0)
    assert net.forward(X, lengths=[6, 4, 5]).shape == (1, 3)
    message = (
        r"layer 2 \(Conv1D 5 x 2 -> 3 x 2\) sees 3 steps at once; lengths\[1\] is 2\. .*'same'"
    )
    with pytest.raises(ValueError, match=message):
        net.forward(X, lengths=[6, 3, 5])
    net = Network([MaxPool(3), Dense(1)], (6, 2), seed=0)
    with pytest.raises(ValueError, match=r"MaxPool .* sees 3 steps .*; lengths\[0\] is 2.*out\.$"):
        net.forward(X, lengths=[2, 3, 5])


def test_the_wrong_shape_of_an_input_is_refused() -> None:
    layer = MaxPool(2).build((4, 4, 1))
    with pytest.raises(ValueError, match=r"\(MaxPool 4 x 4 x 1 -> 2 x 2 x 1\) expects A_prev of"):
        layer.forward(np.ones((4, 4)))
    with pytest.raises(ValueError, match=r"expects dA of the shape of its output, \(4, 2\)"):
        layer.backward(np.ones((2, 4)), layer.forward(np.ones((16, 2)))[1])
    with pytest.raises(ValueError, match=r"last layer must compute a Z.* got GlobalPool"):
        Network([Conv2D(2, 2), GlobalPool()], (4, 4, 1))
