"""Recurrent, GRU and LSTM: by hand, by loops, against central differences, with padded steps."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from pellucid import Dense, Network, check_gradients, load, save, train
from pellucid.activations import ACTIVATIONS, ELU, Activation, LeakyReLU
from pellucid.layers import GRU, LSTM, Embedding, Layer, Recurrent
from pellucid.layers.chain import Mode

KINDS: dict[str, Callable[..., Layer]] = {
    "recurrent": Recurrent,
    "gru": GRU,
    "gru-after": lambda n, **how: GRU(n, reset="after", **how),
    "lstm": LSTM,
}
HOW = list(product(KINDS, (False, True), (False, True)))
each_way = pytest.mark.parametrize(("kind", "sequences", "backwards"), HOW)
HIDDEN: list[Activation] = [entry() for entry in ACTIVATIONS.values() if not entry.output_only]
HIDDEN += [LeakyReLU(slope=0.3), ELU(a=2.5)]


def seeded(*words: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def drawn(layers: list[Layer], shape: tuple[int, ...], rng: np.random.Generator) -> Network:
    """A network of these layers and random parameters."""
    net = Network(layers, shape, seed=0, dtype="float64")
    for parameter in net.parameters.values():
        parameter[...] = rng.normal(scale=0.7, size=parameter.shape)
    return net


def column(*numbers: float) -> np.ndarray:
    """One example of one feature."""
    return np.array(numbers, float).reshape(-1, 1)


def states(**letters: float) -> dict[str, Any]:
    """What a layer of one unit starts from."""
    return {"mode": Mode(states={1: {k: np.array([[v]]) for k, v in letters.items()}})}


# --- by hand ---


def test_a_unit_that_adds_up_forward_and_backward_by_hand() -> None:
    layer = Recurrent(1, "identity", sequences=True).build((3, 1))
    layer.parameters["W"][:] = [[1, 1]]
    A, cache = layer.forward(column(3, 1, 4))
    assert A.T.tolist() == [[3, 4, 8]]
    dA_prev, found = layer.backward(column(1, 10, 100), cache)
    assert found["dZ"].T.tolist() == dA_prev.T.tolist() == [[111, 110, 100]]
    assert found["dW"].tolist() == [[110 * 3 + 100 * 4, 111 * 3 + 110 * 1 + 100 * 4]]
    assert found["db"].tolist() == [[321]]


def test_the_last_state_alone_and_backwards() -> None:
    """a<t> = 2 a<t-1> + x<t>: the first step counts 2^(T-1), backwards the last does."""
    for backwards, expected, way in ((False, 3 * 4 + 1 * 2 + 4, [4, 2, 1]),
                                     (True, 4 * 4 + 1 * 2 + 3, [1, 2, 4])):  # fmt: skip
        layer = Recurrent(1, "identity", backwards=backwards).build((3, 1))
        layer.parameters["W"][:] = [[2, 1]]
        A, cache = layer.forward(column(3, 1, 4))
        assert A.tolist() == [[expected]]
        assert layer.backward(np.array([[1.0]]), cache)[0].T.tolist() == [way]
    assert cache.steps["a"][0].tolist() == [[21]]  # a<1> is that of step 1, whichever the way
    assert cache.steps["a"][2].tolist() == [[4]]


def test_gates_at_one_half_halve_what_the_cell_holds() -> None:
    layer = LSTM(1, sequences=True).build((3, 1), initializer=None)
    for parameter in layer.parameters.values():
        parameter[...] = 0
    A, cache = layer.forward(column(5, 6, 7), **states(a=0, c=8))
    assert [c.item() for c in cache.steps["c"]] == [4, 2, 1]
    assert A.T.tolist() == [[0.5 * math.tanh(c) for c in (4, 2, 1)]]
    for reset in ("before", "after"):
        gru = GRU(1, reset=reset, sequences=True).build((3, 1), initializer=None)
        for parameter in gru.parameters.values():
            parameter[...] = 0
        assert gru.forward(column(5, 6, 7), **states(a=8))[0].T.tolist() == [[4, 2, 1]]


def test_where_the_reset_gate_is_applied() -> None:
    """W_ca = 1, b_q = 3: after the product the gate halves the bias, too."""
    for reset, z in (("before", 0.5 * 2 + 3), ("after", 0.5 * (2 + 3))):
        layer = GRU(1, reset=reset).build((1, 1))
        layer.parameters["W"][:] = [[0, 0], [0, 0], [1, 0]]
        layer.parameters["b"][:] = 0
        layer.parameters["b"][-1] = 3
        A, cache = layer.forward(column(9), **states(a=2))
        assert cache.steps["Z"][0].T.tolist() == [[0, 0, z]]
        assert A.item() == 0.5 * math.tanh(z) + 0.5 * 2


def test_a_latch_keeps_what_was_marked() -> None:
    """x<t> = (number, mark): the mark opens the gate u and shuts f."""
    layer = LSTM(1).build((5, 2))
    layer.parameters["W"][:] = [[0, 0, 60], [0, 0, -60], [0, 0, 0], [0, 1, 0]]
    layer.parameters["b"][:] = [[-30], [30], [30], [0]]
    numbers = [0.3, -0.9, 0.5, 0.8, -0.1]
    X = np.array([[number, mark] for number, mark in zip(numbers, (0, 0, 1, 0, 0), strict=True)])
    A, _ = layer.forward(X.reshape(-1, 1))
    assert A.item() == pytest.approx(math.tanh(math.tanh(0.5)), abs=1e-12)


# --- by loops ---


def by_loops(layer: Any, x: np.ndarray) -> list[list[float]]:
    """The states of one example, (T, n), number by number, with nothing of NumPy's arithmetic."""
    n, W, b = layer.n_units, layer.parameters["W"].tolist(), layer.parameters["b"][:, 0].tolist()
    a, c = [0.0] * n, [0.0] * n
    found = {}

    def z(row: int, a: list[float], x: list[float]) -> float:
        return sum(w * v for w, v in zip(W[row], a + x, strict=True)) + b[row]

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    for t in reversed(range(len(x))) if layer.backwards else range(len(x)):
        now = x[t].tolist()
        if isinstance(layer, Recurrent):
            a = [math.tanh(z(k, a, now)) for k in range(n)]
        elif isinstance(layer, LSTM):
            u, f, o = ([sigmoid(z(g * n + k, a, now)) for k in range(n)] for g in range(3))
            new = [math.tanh(z(3 * n + k, a, now)) for k in range(n)]
            c = [u[k] * new[k] + f[k] * c[k] for k in range(n)]
            a = [o[k] * math.tanh(c[k]) for k in range(n)]
        else:
            u, r = ([sigmoid(z(g * n + k, a, now)) for k in range(n)] for g in range(2))
            if layer.reset == "before":
                reset = [r[k] * a[k] for k in range(n)]
                new = [math.tanh(z(2 * n + k, reset, now)) for k in range(n)]
            else:
                zero = [0.0] * n
                of_a = [
                    z(2 * n + k, a, [0.0] * len(now)) - b[2 * n + k] + b[3 * n + k]
                    for k in range(n)
                ]
                new = [math.tanh(z(2 * n + k, zero, now) + r[k] * of_a[k]) for k in range(n)]
            a = [u[k] * new[k] + (1 - u[k]) * a[k] for k in range(n)]
        found[t] = a
    return [found[t] for t in range(len(x))]


@each_way
def test_it_is_what_loops_give(kind: str, sequences: bool, backwards: bool) -> None:
    rng = seeded(kind, sequences, backwards)
    net = drawn([KINDS[kind](3, sequences=sequences, backwards=backwards)], (4, 2), rng)
    X = rng.normal(size=(8, 5))
    A = net.forward(X)
    for k in range(5):
        states = by_loops(net.layers[0], X[:, k].reshape(4, 2))
        expected = states if sequences else states[0 if backwards else -1]
        np.testing.assert_allclose(A[:, k], np.ravel(expected), rtol=1e-12, atol=1e-14)


@each_way
def test_float32_stays_float32(kind: str, sequences: bool, backwards: bool) -> None:
    net = Network([KINDS[kind](3, sequences=sequences, backwards=backwards)], (4, 2), seed=0)
    X = np.ones((8, 5), np.float32)
    for lengths in (None, np.array([1, 4, 2, 3, 4])):
        cache = net.forward(X, cache=True, lengths=lengths)
        gradients = net.backward(cache, np.zeros_like(cache.A[1]), "mse", inputs=True)
        arrays = [*cache.A.values(), gradients.dX, gradients.dW[1], gradients.db[1]]
        arrays += [each for steps in cache.caches[0].steps.values() for each in steps]
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


# --- central differences ---


def checked(net: Network, T: int, lengths: Any, rng: np.random.Generator, loss: str, **how: Any):
    """The gradient check of a few examples of 2 features, drawn until no kink is near."""
    n, m = math.prod(net.output_shape), 3
    check = None
    while check is None or check.near_kink:
        X = rng.normal(size=(2 * T, m))
        Y = rng.integers(0, 2, (n, m)) if loss == "bce" else rng.normal(size=(n, m))
        check = check_gradients(net, X, Y, loss, lengths=lengths, **how)
    return check


@each_way
@pytest.mark.parametrize("lengths", [None, (2, 4, 1)])
def test_gradients(kind: str, sequences: bool, backwards: bool, lengths: Any) -> None:
    rng = seeded(kind, sequences, backwards, lengths)
    layer = KINDS[kind](2, sequences=sequences, backwards=backwards)
    net = drawn([layer, Dense(1, "sigmoid", each_step=sequences)], (4, 2), rng)
    check = checked(net, 4, lengths, rng, "bce", l1=0.01, l2=0.1, sample_weight=[0.5, 2, 1])
    assert list(check.by_name) == ["dW1", "db1", "dW2", "db2", "dX"]
    assert check.ok, check


@pytest.mark.parametrize("lengths", [None, (1, 3, 2)])
@pytest.mark.parametrize("g", HIDDEN, ids=repr)
def test_gradients_with_each_activation(g: Activation, lengths: Any) -> None:
    rng = seeded(g, lengths)
    for sequences, backwards in product((False, True), repeat=2):
        layer = Recurrent(2, g, sequences=sequences, backwards=backwards)
        net = drawn([layer, Dense(1, "identity", each_step=sequences)], (3, 2), rng)
        net.W[1][...] *= 0.5  # so that what is not bounded stays small
        check = checked(net, 3, lengths, rng, "mse", step=3e-6)
        assert check.ok, check


@pytest.mark.parametrize("lengths", [None, (2, 3, 1)])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(
    ("layer", "loss"),
    [
        (Recurrent(2, "sigmoid"), "bce"),
        (Recurrent(3, "softmax"), "cce"),
        (Recurrent(2, "identity"), "mse"),
        (Recurrent(2, "tanh"), "mse"),
        (GRU(2), "mse"),
        (LSTM(2), "half_squared_error"),
    ],
    ids=repr,
)
def test_gradients_of_output_layers(layer: Any, loss: str, sequences: bool, lengths: Any) -> None:
    """With a fused pair, dZ[L] = A[L] - Y goes round g' of the last layer."""
    for backwards in (False, True):
        rng = seeded(layer, sequences, lengths, backwards)
        layer.sequences, layer.backwards = sequences, backwards
        net = drawn([layer], (3, 2), rng)
        n, steps = net.output_shape[-1], 3 if sequences else 1
        X, Y = rng.normal(size=(6, 3)), rng.normal(size=(n * steps, 3))
        if loss == "bce":
            Y = (Y > 0).astype(float)
        if loss == "cce":
            Y = rng.integers(0, n, (steps, 3)) if sequences else rng.integers(0, n, 3)
        check = check_gradients(net, X, Y, loss, lengths=lengths)
        assert check.ok, check


@pytest.mark.parametrize("lengths", [None, (5, 1, 3, 2)])
def test_gradients_of_a_deep_network_with_dropout(lengths: Any, rng: np.random.Generator) -> None:
    layers = [
        Embedding(4, 2, padding=1, dropout=0.2),
        LSTM(3, sequences=True, dropout=0.5),
        GRU(2, sequences=True, backwards=True),
        GRU(2, reset="after", sequences=True, dropout=0.5),
        Recurrent(2, "softplus", dropout=0.5),
        Dense(3, "softmax"),
    ]
    net = drawn(layers, (5,), rng)
    X, Y = rng.integers(0, 4, (5, 4)), rng.integers(0, 3, 4)
    sizes = {layer.number: math.prod(layer.output_shape) for layer in net.layers if layer.dropout}
    masks = {l: (rng.random((n, 4)) > 0.5) * 2.0 for l, n in sizes.items()}
    check = check_gradients(net, X, Y, "cce", lengths=lengths, masks=masks, l2=0.1)
    assert check.ok, check
    assert check.arrays["dX"].error == 0  # word numbers have no derivative


class Truncated(Recurrent):
    """A Recurrent whose backward does not go from step to step."""

    def step_back(self, d, x, before, now):
        return {"a": 0 * d["a"]}, *super().step_back(d, x, before, now)[1:]


class NotHeld(GRU):
    """A GRU that goes on through padded steps."""

    needs = ("mode",)


def test_what_is_wrong_through_time_is_found(rng: np.random.Generator) -> None:
    net = drawn([Truncated(2, sequences=True), Dense(1, "tanh")], (3, 2), rng)
    check = checked(net, 3, None, rng, "mse")
    assert {name for name, error in check.by_name.items() if error > 1e-3} == {"dW1", "db1", "dX"}
    X, lengths = rng.normal(size=(6, 2)), [1, 3]
    held, goes_on = (drawn([kind(2)], (3, 2), np.random.default_rng(0)) for kind in (GRU, NotHeld))
    assert (
        held.forward(X, lengths=lengths)[:, 1] == goes_on.forward(X, lengths=lengths)[:, 1]
    ).all()
    assert (
        held.forward(X, lengths=lengths)[:, 0] != goes_on.forward(X, lengths=lengths)[:, 0]
    ).all()


# --- lengths ---


@each_way
def test_padded_steps_change_nothing(kind: str, sequences: bool, backwards: bool) -> None:
    rng = seeded(kind, sequences, backwards)
    layer = KINDS[kind](3, sequences=sequences, backwards=backwards)
    net = drawn([layer, Dense(2, "softmax", each_step=sequences)], (4, 2), rng)
    lengths, X = np.array([2, 4, 1, 3, 4]), rng.normal(size=(8, 5))
    Y = rng.integers(0, 2, (4, 5) if sequences else 5)
    filled = X.copy()
    for k, length in enumerate(lengths):
        filled[2 * length :, k] = np.nan
    found = []
    for given in (X, filled):
        cache = net.forward(given, cache=True, lengths=lengths)
        gradients = net.backward(cache, Y, "cce", inputs=True)
        found.append([
            cache.A[2], net.forward(given, lengths=lengths), net.predict(given, lengths=lengths),
            net.loss(given, Y, "cce", lengths=lengths),
            gradients.dX, *gradients.dW.values(), *gradients.db.values(),
        ])  # fmt: skip
        trained = net.copy()
        train(trained, given, Y, loss="cce", lengths=lengths, epochs=2, batch_size=2, seed=0)
        found[-1] += trained.parameters.values()
    for mine, others in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, others)
        assert np.isfinite(mine).all()


@each_way
def test_an_example_is_as_it_were_alone(kind: str, sequences: bool, backwards: bool) -> None:
    """A network for as many steps as an example has gives the same for it."""
    rng = seeded(kind, sequences, backwards)
    layer = KINDS[kind](3, sequences=sequences, backwards=backwards)
    net = drawn([layer], (4, 2), rng)
    lengths, X = [2, 4, 1], rng.normal(size=(8, 3))
    cache = net.forward(X, cache=True, lengths=lengths)
    Y = rng.normal(size=cache.A[1].shape)
    gradients = net.backward(cache, Y, "mse", inputs=True)
    dW, n = 0, 3
    for k, length in enumerate(lengths):
        alone = Network([layer], (length, 2), {1: (net.W[1], net.b[1])}, 0, "float64")
        rows = length * n if sequences else n
        one = alone.forward(X[: 2 * length, [k]], cache=True)
        np.testing.assert_allclose(cache.A[1][:rows, k], one.A[1][:, 0], rtol=1e-13)
        assert not cache.A[1][rows:, k].any()
        of_one = alone.backward(one, Y[:rows, [k]], "mse", inputs=True)
        np.testing.assert_allclose(gradients.dX[: 2 * length, k], of_one.dX[:, 0], rtol=1e-12)
        assert not gradients.dX[2 * length :, k].any()
        dW = dW + of_one.dW[1] / 3
        for letter in net.layers[0].carried:
            steps = [each[:, k] for each in cache.caches[0].steps[letter]]
            for padded in steps[length:]:  # held, or backwards not begun yet
                assert (padded == (0 if backwards else steps[length - 1])).all()
    np.testing.assert_allclose(gradients.dW[1], dW, rtol=1e-12)


# --- the start, and what cannot be ---


def test_the_forget_gate_starts_open() -> None:
    net = Network([LSTM(3), Dense(1)], (4, 2), seed=5)
    assert net.b[1].T.tolist() == [[0] * 3 + [1] * 3 + [0] * 6]
    assert not Network([GRU(3, reset="after"), Dense(1)], (4, 2), seed=5).b[1].any()


@pytest.mark.parametrize("kind", KINDS)
def test_W_starts_as_the_initializer_says(kind: str) -> None:
    layer, shape = KINDS[kind], (4, 20)
    W = Network([layer(30), Dense(1)], shape, seed=3).W[1]
    rows = len(W)
    assert W.shape == (rows, 50)
    assert np.abs(W).max() <= math.sqrt(6 / (rows + 50))
    assert W.std() == pytest.approx(math.sqrt(2 / (rows + 50)), rel=0.05)
    assert len(np.unique(W)) > 0.99 * W.size  # no gate starts as another
    assert not Network([layer(30), Dense(1)], shape, "zeros").W[1].any()
    assert (Network([layer(30, initializer="constant"), Dense(1)], shape, "he").W[1] == 0.5).all()
    assert Network([layer(30), Dense(1)], shape).layers[0].fan_in == 50


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_dimensions_counts_it(kind: str) -> None:
    net = Network([KINDS[kind](5, sequences=True), Dense(2, each_step=True)], (7, 3))
    gates = {"recurrent": 1, "gru": 3, "gru-after": 3, "lstm": 4}[kind]
    rows = 4 if kind == "gru-after" else gates
    assert net.layers[0].n_parameters == gates * 5 * 8 + rows * 5
    row = net.summary().splitlines()[2]
    assert "7 x 5" in row
    assert f"({gates * 5}, 8)" in row
    assert f"({rows * 5}, 1)" in row


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_of_an_example_are_all_that_is_kept_of_it(kind: str) -> None:
    layer = KINDS[kind](5).build((7, 3))
    _, cache = layer.forward(np.ones((21, 1)))
    kept = sum(each.size for steps in cache.steps.values() for each in steps)
    assert kept + 21 <= layer.numbers <= 2.5 * (kept + 21)


@pytest.mark.parametrize("kind", [Recurrent, GRU, LSTM])
def test_what_cannot_be_is_refused(kind: Any) -> None:
    name = kind.__name__
    with pytest.raises(ValueError, match=f"{name}: n_units must be an integer of 1 or more; got 0"):
        kind(0)
    with pytest.raises(ValueError, match=f"{name}: dropout must be at least 0 and below 1; got 1"):
        kind(2, dropout=1)
    with pytest.raises(
        ValueError,
        match=rf"{name}\(2.*\) expects inputs of shape \(steps, features\); got \(6,\). A number a "
        r"step is \(steps, 1\)",
    ):
        Network([kind(2), Dense(1)], 6)
    with pytest.raises(ValueError, match=r"\(steps, features\); got \(8, 8, 1\)"):
        Network([kind(2), Dense(1)], (8, 8, 1))
    net = Network([kind(2), Dense(1)], (4, 3), seed=0)
    with pytest.raises(ValueError, match=rf"layer 1 \({name} 4 x 3 -> 2\) expects X of shape"):
        net.forward(np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"lengths must be 1 to 4.*lengths\[1\] is 5"):
        net.forward(np.ones((12, 2)), lengths=[4, 5])
    layer = kind(2).build((4, 3))
    with pytest.raises(ValueError, match=r"expects dA of the shape of its output, \(2, 5\); got"):
        layer.backward(np.ones((2, 4)), layer.forward(np.ones((12, 5)))[1])


def test_a_reset_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="GRU: reset must be 'before' or 'after'; got 'never'"):
        GRU(2, reset="never")
    with pytest.raises(ValueError, match="softmax is for the output layer"):
        Network([Recurrent(2, "softmax"), Dense(1)], (3, 1))


# --- learning ---


@pytest.mark.parametrize("kind", KINDS)
def test_an_echo_is_learned(kind: str) -> None:
    """y<t> = x<t-2>, bits: without memory nothing is better than ln 2."""
    rng = np.random.default_rng(1)
    X = rng.integers(0, 2, (12, 200)).astype(float)
    Y, lengths = np.zeros_like(X), rng.integers(6, 13, 200)
    Y[2:] = X[:-2]
    layer = KINDS[kind](8, sequences=True)
    net = Network([layer, Dense(1, "sigmoid", each_step=True)], (12, 1), seed=0)
    history = train(
        net, X, Y, loss="bce", optimizer="adam", learning_rate=0.03, epochs=40, batch_size=20,
        lengths=lengths, seed=0,
    )  # fmt: skip
    assert history.curves["loss"][0] > 0.5
    assert net.loss(X, Y, "bce", lengths=lengths) < 0.05
    there = np.arange(12)[:, None] < lengths
    assert (net.predict(X, lengths=lengths) == Y)[there].mean() > 0.995


@pytest.mark.parametrize("kind", ["gru", "gru-after", "lstm"])
def test_two_marked_numbers_are_added(kind: str) -> None:
    """The adding problem of Hochreiter and Schmidhuber 1997; the mean alone leaves 1/6."""
    rng = np.random.default_rng(2)
    m, T = 1000, 12
    numbers, marks = rng.random((m, T)), np.zeros((m, T))
    first, second = rng.integers(0, T // 2, m), rng.integers(T // 2, T, m)
    marks[np.arange(m), first] = marks[np.arange(m), second] = 1
    X = np.stack([numbers, marks], axis=2).reshape(m, -1).T
    Y = (numbers * marks).sum(axis=1)
    net = Network([KINDS[kind](16), Dense(1, "identity")], (T, 2), seed=0)
    train(net, X, Y, loss="mse", optimizer="adam", learning_rate=0.02, epochs=25, batch_size=50,
          seed=0)  # fmt: skip
    assert net.loss(X, Y, "mse") < 0.01


def test_a_trained_network_is_saved_and_loaded(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    layers = [LSTM(4, sequences=True), GRU(3, reset="after", backwards=True), Dense(2, "softmax")]
    net = Network(layers, (5, 2), seed=0)
    X, Y, lengths = rng.normal(size=(10, 40)), rng.integers(0, 2, 40), rng.integers(1, 6, 40)
    train(net, X, Y, loss="cce", lengths=lengths, epochs=3, batch_size=8, seed=0)
    save(net, tmp_path / "net")
    again = load(tmp_path / "net")
    assert repr(again.layers) == repr(net.layers)
    assert (again.forward(X, lengths=lengths) == net.forward(X, lengths=lengths)).all()
