"""The same X step after step is packed once: the bits are those of an X that is always another."""

import numpy as np
import pytest

from pellucid import Callback, Dense, Network, Scale, train
from pellucid.engines import ENGINES, Examples, Job, Objective, simd
from pellucid.losses import loss
from pellucid.optimizers import optimizer

if not simd.levels():
    pytest.skip("built without the fused engine (PELLUCID_PURE)", allow_module_level=True)
FUSED = ENGINES["fused"]

NETWORKS = {
    "output alone": ([Dense(1, "sigmoid")], 50),
    "by panels": ([Dense(200, "relu", dropout=0.2), Dense(1, "sigmoid")], 70),
    "scaled": ([Scale(), Dense(30, "tanh"), Dense(1, "sigmoid")], 33),
    "few inputs": ([Dense(300, "tanh"), Dense(1, "sigmoid")], 2),
}


def drawn(n, m, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m)).astype(dtype)
    return X, (X.sum(axis=0, keepdims=True) > 0).astype(dtype)


def started(name, batch, dtype="float64", threads=1):
    layers, n = NETWORKS[name]
    net = Network(layers, n, seed=1, dtype=dtype)
    objective = Objective(loss("bce"), l2=0.01)
    return net, FUSED.start(Job(net, objective, optimizer("adam"), batch, 3, n_threads=threads))


def left(name, batch, data, orders, dtype="float64", threads=1, fresh=False):
    """What steps over some orders leave; ``fresh`` hands over another X each time."""
    net, session = started(name, batch, dtype, threads)
    found = []
    for order in orders:
        if fresh:
            data = Examples(data.X.copy("K"), data.Y, data.weight, data.rows)
        rates = np.full(-(-data.m // batch), 0.01)
        found.append(session.run(data, order, 0, len(rates), learning_rate=rates))
        slopes = session.gradients(data)
        found += [slopes.flat, np.array(slopes.J), *session.evaluate(data, order)]
    session.close()
    return [np.asarray(array).tobytes() for array in (*found, *net.parameters.values())]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [128, 600, 1024, 2048, 2500])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits_as_of_examples_that_are_always_others(name, batch, dtype, monkeypatch):
    monkeypatch.setenv("PELLUCID_TUNE", "0")  # all take part in every step
    data = Examples(*drawn(NETWORKS[name][1], 2500, dtype))
    wanted = left(name, batch, data, [None] * 4, dtype, fresh=True)
    for threads in (1, 2, 3):
        assert left(name, batch, data, [None] * 4, dtype, threads) == wanted


@pytest.mark.parametrize("order", ["rows", "same", "changing"])
def test_the_same_bits_in_any_order_and_of_a_part_of_the_examples(order):
    X, Y = drawn(50, 3000)
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.5, 2, 3000)
    data = Examples(X, Y, weight, rng.permutation(3000)[:2300] if order == "rows" else None)
    orders = [None if order == "rows" else rng.permutation(3000)] * 4
    if order == "changing":
        orders = [rng.permutation(3000) for _ in range(4)]
    wanted = left("output alone", 3000, data, orders, fresh=True)
    assert left("output alone", 3000, data, orders, threads=2) == wanted


def test_an_order_that_is_written_into_between_two_epochs_counts():
    data = Examples(*drawn(50, 2000))
    ends = []
    for once in (True, False):
        net, session = started("output alone", 2000)
        order = np.arange(2000)
        for epoch in range(5):
            if epoch == 3:
                order = np.roll(order, 700)[::-1].copy() if once else order
                if not once:
                    order[...] = np.roll(order, 700)[::-1].copy()
            session.run(data, order, 0, 1, learning_rate=np.full(1, 0.1))
        session.close()
        ends.append([array.tobytes() for array in net.parameters.values()])
    assert ends[0] == ends[1]


def test_another_X_at_the_same_place_is_another_X():
    (X, Y), (other, _) = drawn(50, 2000), drawn(50, 2000, seed=5)
    ends = []
    for again in (True, False):
        net, session = started("output alone", 2000)
        place = X.copy()
        for _ in range(3):
            session.run(Examples(place, Y), None, 0, 1, learning_rate=np.full(1, 0.1))
        if again:
            place[...] = other
        view = place[:] if again else other
        assert (view.ctypes.data == place.ctypes.data) == again
        for _ in range(3):
            session.run(Examples(view, Y), None, 0, 1, learning_rate=np.full(1, 0.1))
        session.close()
        ends.append([array.tobytes() for array in net.parameters.values()])
    assert ends[0] == ends[1]


@pytest.mark.parametrize("rule", ["adam", "lbfgs"])
def test_what_is_written_into_X_between_two_trainings_counts(rule):
    (X, Y), (other, _) = drawn(50, 1500), drawn(50, 1500, seed=5)
    nets = [Network([Dense(1, "sigmoid")], 50, seed=0, dtype="float64") for _ in "ab"]
    settings = {"loss": "bce", "optimizer": rule, "epochs": 6, "engine": "fused"}
    settings |= {} if rule == "lbfgs" else {"batch_size": None, "shuffle": False}
    for net, place in ((nets[0], None), (nets[1], X.copy())):
        train(net, X if place is None else place, Y, **settings)
        if place is not None:
            place[...] = other
        train(net, other if place is None else place, Y, **settings)
    for a, b in zip(nets[0].parameters.values(), nets[1].parameters.values(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_what_a_callback_writes_into_X_between_two_epochs_counts():
    X, Y = drawn(50, 1500)
    nets = []
    for engine in ("fused", "reference"):
        place = X.copy()

        class Turn(Callback):
            def on_epoch_end(self, run, place=place):
                place[...] = np.roll(place, 1, axis=0)

        net = Network([Dense(1, "sigmoid")], 50, seed=0, dtype="float64")
        settings = {"loss": "bce", "optimizer": "gradient_descent", "learning_rate": 1.0}
        settings |= {"batch_size": None, "shuffle": False, "epochs": 7, "engine": engine}
        train(net, place, Y, callbacks=[Turn()], **settings)
        nets.append(net)
    for ours, theirs in zip(*(net.parameters.values() for net in nets), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
