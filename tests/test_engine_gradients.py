"""Gradients handed over and steps from them: of any engine of the table, as the whole step is."""

from __future__ import annotations

import numpy as np
import pytest

from engine_sessions import (
    STEPPING,
    assert_same,
    data,
    each_engine,
    network,
    parameters,
    run,
    start,
)
from pellucid import Dense, Network, Scale, philox
from pellucid.engines import Examples

HANDED = pytest.mark.parametrize("dropout", [0.0, 0.4])
OBJECTIVES = [{}, {"l1": 0.01, "l2": 0.1}, {"clip_value": 0.01}, {"clip_norm": 0.05, "l2": 0.1}]


def wide(dropout: float, dtype: str) -> Network:
    """Panels of both kinds, a Scale, factors of every kind."""
    layers = [
        Scale(learning_rate_factor=3.0),
        Dense(19, "tanh", dropout=dropout, learning_rate_factor={"b": 0.1}),
        Dense(5, "relu", dropout=dropout, weight_decay_factor=0.3),
        Dense(2, "softmax"),
    ]
    return Network(layers, n_inputs=3, seed=1, dtype=dtype)


def step_by_parts(session, examples, cuts, alpha=0.1, whole=None):
    """One step from the gradients of parts of a mini-batch; returns J."""
    m = examples.m if whole is None else len(whole)
    whole = np.arange(m) if whole is None else whole
    J, flat, total = 0.0, 0.0, examples.weight_of(whole)
    if total == 0:
        session.skip()
        return np.nan
    for first, last in zip([0, *cuts], [*cuts, m], strict=True):
        found = session.gradients(examples, whole[first:last], first, whole_weight=total)
        share = found.weight / total
        J, flat = J + share * found.J, flat + found.flat.dtype.type(share) * found.flat
    session.apply(flat, alpha)
    return J


@each_engine
@HANDED
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", STEPPING)
@pytest.mark.parametrize("extra", OBJECTIVES, ids=str)
def test_steps_from_gradients_are_the_steps_of_run(engine, rule, dtype, dropout, extra):
    """Of one part: the same bits. Of several: another order of the sums."""
    X, Y = data(48)
    order = philox.permutation(0, 48)
    examples = Examples(X, Y)
    found = []
    for cuts in (None, [], [7], [5, 6, 10]):
        net = wide(dropout, dtype)
        session = start(net, engine, rule, batch_size=16, **extra)
        if cuts is None:
            costs = run(session, X, Y, order, alpha=0.01)
        else:
            costs = [
                step_by_parts(session, examples, cuts, 0.01, order[k : k + 16]) for k in (0, 16, 32)
            ]
        state = session.state()
        assert state.step == 3
        session.close()
        found.append(parameters(net) | state.slots | {"costs": np.array(costs)})
    exact = engine == "fused" or "clip_norm" not in extra  # NumPy sums by the memory's order
    tiny = 2e-5 if dtype == "float32" else 2e-13
    assert_same(found[1], found[0], 0 if exact else tiny)
    for parts in found[2:]:
        assert_same(parts, found[0], 200 * tiny)


@each_engine
@HANDED
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [150, 2600])
def test_the_gradient_of_a_batch_is_that_of_its_parts(engine, dtype, dropout, m):
    """Weighted examples, some of them 0; a part without weight; parts beyond a pass."""
    X, Y = data(m)
    w = np.random.default_rng(0).random(m)
    w[:9] = 0
    examples = Examples(X, Y, w.astype(dtype))
    nets = [wide(dropout, dtype) for _ in range(2)]
    penalties = {"l1": 0.1, "l2": 1.0, "penalty_per_weight": True}
    sessions = [start(net, engine, batch_size=m, **penalties) for net in nets]
    J = step_by_parts(sessions[0], examples, [9, m // 2, m // 2 + 1])
    costs = run(sessions[1], X, Y, w=w.astype(dtype))
    for session in sessions:
        session.close()
    tiny = 1e-5 if dtype == "float32" else 1e-12
    assert pytest.approx(costs[0], rel=tiny) == J
    assert_same(parameters(nets[0]), parameters(nets[1]), tiny)


@each_engine
def test_gradients_are_views_into_one_array_and_change_nothing(engine):
    X, Y = data(6)
    net = Network([Scale(), Dense(4, "tanh"), Dense(2, "softmax")], 3, seed=1, dtype="float64")
    session = start(net, engine, "adam", l2=0.1)
    before = parameters(net)
    found = session.gradients(Examples(X, Y, rows=np.array([5, 0, 2, 3])), np.array([0, 3, 1]))
    rows = [5, 3, 0]
    expected = net.backward(net.forward(X[:, rows], cache=True), Y[rows], "cce", l2=0.1)
    assert found.J == pytest.approx(net.loss(X[:, rows], Y[rows], "cce", l2=0.1), rel=1e-13)
    assert found.weight == 3
    at = 0
    for letter, l in [("s", 0), ("W", 1), ("b", 1), ("W", 2), ("b", 2)]:
        array, wanted = getattr(found, f"d{letter}")[l], getattr(expected, f"d{letter}")[l]
        np.testing.assert_allclose(array, wanted, rtol=1e-12, atol=1e-15)
        assert array.base is not None
        assert np.shares_memory(array, found.flat)
        assert (found.flat[at : at + array.size] == array.ravel("F")).all()
        at += array.size
    assert at == found.flat.size == net.n_parameters
    assert session.state().step == 0
    session.close()
    assert_same(parameters(net), before)


@each_engine
def test_steps_of_both_kinds_may_follow_each_other(engine):
    X, Y = data(12)
    found = []
    for handed in ((), (1,), (0, 2)):
        net = wide(0.4, "float64")
        session = start(net, engine, "adam", l2=0.1)
        costs = []
        for k in range(3):
            if k in handed:
                part = np.arange(4 * k, 4 * k + 4)
                costs.append(step_by_parts(session, Examples(X, Y), [], whole=part))
            else:
                costs += run(session, X, Y, first=k, last=k + 1).tolist()
        session.close()
        found.append(parameters(net) | {"costs": np.array(costs)})
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


@each_engine
@pytest.mark.parametrize("handed", [(0, 1, 2, 3, 4, 5), (1, 2), (0, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", STEPPING)
def test_a_step_without_weight_is_counted_and_changes_nothing(engine, rule, dtype, handed):
    """By run and by hand: then the same units are dropped, and J holds the same penalties."""
    X, Y = data(24)
    w = np.ones(24)
    w[4:12] = w[16:20] = 0  # the steps 1, 2 and 4
    examples = Examples(X, Y, w)
    found = []
    for by_hand in ((), handed):
        net = wide(0.4, dtype)
        session = start(net, engine, rule, l1=0.01, l2=0.1)
        costs = []
        for k in range(6):
            session.write_back()
            before, slots = parameters(net), session.state().slots
            if k in by_hand:
                part = np.arange(4 * k, 4 * k + 4)
                costs.append(step_by_parts(session, examples, [], whole=part))
            else:
                costs += run(session, X, Y, first=k, last=k + 1, w=w).tolist()
            session.write_back()
            assert session.state().step == k + 1
            if k in (1, 2, 4):
                assert_same(parameters(net), before)
                assert_same(session.state().slots, slots)
        slots = session.state().slots
        session.close()
        assert np.isnan(costs).tolist() == [False, True, True, False, True, False]
        found.append(parameters(net) | slots | {"costs": np.array(costs)[[0, 3, 5]]})
    assert_same(found[1], found[0])


@each_engine
def test_what_was_written_into_the_network_outlives_a_step_without_weight(engine):
    net = network()
    session = start(net, engine)
    session.write_back()
    net.W[1][0, 0] = 7
    session.skip()
    session.write_back()
    session.read_back()
    session.close()
    assert net.W[1][0, 0] == 7


@each_engine
@pytest.mark.parametrize("of", [float, lambda flat: flat[:-1], lambda flat: flat.astype("f4")])
def test_gradients_of_another_size_or_type_are_refused(engine, of):
    X, Y = data(4)
    session = start(network(), engine)
    flat = session.gradients(Examples(X, Y)).flat
    wrong = 1.0 if of is float else of(flat)
    with pytest.raises(ValueError, match=r"must be a contiguous float64 array of shape \(26,\)"):
        session.apply(wrong, 0.1)
    session.apply(flat, 0.1)
    session.close()
