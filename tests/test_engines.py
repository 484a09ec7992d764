"""The session protocol (DESIGN, section 3): any engine of the table must keep these promises."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from engine_sessions import (
    BUILT,
    STEPPING,
    assert_same,
    data,
    each_engine,
    network,
    parameters,
    run,
    start,
)
from pellucid import Dense, Network, Scale, philox, propagation
from pellucid.engines import ENGINES, Examples, Job, Objective, choose_engine
from pellucid.engines.contract import State
from pellucid.losses import loss
from pellucid.optimizers import GradientDescent, Momentum

# --- a step ---


@each_engine
def test_a_step_is_the_formula(engine):
    net = network()
    X, Y = data(4)
    J = net.loss(X, Y, "cce", l1=0.01, l2=0.1)
    gradients = net.backward(net.forward(X, cache=True), Y, "cce", l1=0.01, l2=0.1)
    expected = {}
    for l in (1, 2):
        expected[f"W{l}"] = net.W[l] - 0.5 * gradients.dW[l]
        expected[f"b{l}"] = net.b[l] - 0.5 * gradients.db[l]
    session = start(net, engine, l1=0.01, l2=0.1)
    costs = run(session, X, Y, alpha=0.5)
    session.close()
    np.testing.assert_allclose(costs, [J], rtol=1e-13)  # J before the update
    assert_same(parameters(net), expected, 1e-13)


@each_engine
def test_an_epoch_is_its_steps_in_order(engine):
    net, twin = network(), network()
    X, Y = data(11)
    order = philox.permutation(3, 11)
    session = start(net, engine, batch_size=4)
    costs = run(session, X, Y, order)
    session.close()
    assert len(costs) == 3  # 4, 4 and the last 3
    for k, J in enumerate(costs):
        rows = order[4 * k : 4 * k + 4]
        cache = twin.forward(X[:, rows], cache=True)
        assert twin.loss(X[:, rows], Y[rows], "cce") == pytest.approx(J, rel=1e-12)
        gradients = twin.backward(cache, Y[rows], "cce")
        for l in (1, 2):
            twin.W[l][...] -= 0.1 * gradients.dW[l]
            twin.b[l][...] -= 0.1 * gradients.db[l]
    assert_same(parameters(net), parameters(twin), 1e-12)


@each_engine
def test_no_order_is_the_given_order_and_steps_may_be_split(engine):
    X, Y = data(10)
    results = []
    for pieces in ([(None, 0, 3)], [(np.arange(10), 0, 3)], [(None, 0, 1), (None, 1, 3)]):
        net = network()
        session = start(net, engine, "adam")
        costs = [run(session, X, Y, order, first, last) for order, first, last in pieces]
        session.close()
        results.append(parameters(net) | {"costs": np.concatenate(costs)})
    assert_same(results[1], results[0])
    assert_same(results[2], results[0])


@each_engine
def test_each_step_has_its_learning_rate(engine):
    X, Y = data(8)
    net = network()
    session = start(net, engine)
    before = parameters(net)
    rates = np.array([0.0, 0.1])
    session.run(Examples(X, Y), None, 0, 1, learning_rate=rates[:1])
    session.write_back()
    assert_same(parameters(net), before)
    session.run(Examples(X, Y), None, 1, 2, learning_rate=rates[1:])
    session.close()
    assert (net.W[1] != before["W1"]).any()


@each_engine
def test_labels_and_one_hot_targets_are_the_same(engine):
    X, Y = data(8)
    results = []
    for targets in (Y, np.eye(2)[Y].T):
        net = network()
        session = start(net, engine, label_smoothing=0.2)
        run(session, X, targets)
        session.close()
        results.append(parameters(net))
    assert_same(results[1], results[0])


@each_engine
def test_label_smoothing_is_in_J_and_in_the_step_not_in_the_evaluation(engine):
    X, Y = data(4)
    net = network()
    smooth = loss("cce").smoothed(np.eye(2)[Y].T, 0.2)
    session = start(net, engine, label_smoothing=0.2, l2=0.1)
    gradients = session.gradients(Examples(X, Y))
    assert gradients.J == pytest.approx(net.loss(X, smooth, "cce", l2=0.1), rel=1e-13)
    by_hand = net.backward(net.forward(X, cache=True), smooth, "cce", l2=0.1)
    np.testing.assert_allclose(gradients.dW[1], by_hand.dW[1], rtol=1e-12, atol=1e-15)
    mean, A = session.evaluate(Examples(X, Y))
    assert mean == pytest.approx(net.loss(X, Y, "cce"), rel=1e-13)
    np.testing.assert_allclose(A, net.forward(X), rtol=1e-13)


@each_engine
def test_penalty_per_weight_is_scikit_learns_alpha(engine):
    X, Y = data(4)
    w = np.array([1.0, 2.0, 0.5, 1.5])
    net = network()
    session = start(net, engine, l1=0.1, l2=0.2, penalty_per_weight=True)
    expected = net.loss(X, Y, "cce", sample_weight=w, l1=0.1 / 5, l2=0.2 / 5)
    assert session.gradients(Examples(X, Y, w)).J == pytest.approx(expected, rel=1e-13)


# --- which examples ---


@each_engine
@pytest.mark.parametrize("form", ["dense", "csr"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_an_order_counts_the_examples_not_the_columns_of_X(engine, form, weighted, shuffled):
    """Some columns of X, and copies of them, are the same examples: the same bits."""
    X, Y = data(2700)
    w = np.arange(2700) % 7.0 if weighted else None
    rows = philox.permutation(4, 2700)[:2300]
    copied = Examples(X[:, rows], Y[rows], None if w is None else w[rows])
    order = philox.permutation(5, 2300)[:2250] if shuffled else None
    some = np.array([2299, 0, 7, 7])
    found = []
    for examples in (Examples(X, Y, w, rows), copied):
        if form == "csr":
            examples.X = scipy.sparse.csr_array(examples.X)
        net = network()
        session = start(net, engine, "adam", batch_size=150)
        costs = [
            session.run(examples, order, k, k + n, learning_rate=np.full(n, 0.1))
            for k, n in ((0, 1), (1, 13), (14, 1))  # the last of 150, or 200 to the end
        ]
        results = {"costs": np.concatenate(costs)}
        for each in (None, some, order):
            mean, results[f"A{each is None}"] = session.evaluate(examples, each)
            J = session.gradients(examples, each, None).J
            results |= {f"J{each is order}{each is None}": np.array([mean, J])}
            assert pytest.approx(mean, rel=1e-12) == J
        session.close()
        found.append(results | parameters(net))
    assert len(found[0]["costs"]) == 15
    assert_same(found[1], found[0])


# --- weights ---


@each_engine
def test_weights_go_with_their_examples(engine):
    X, Y = data(8)
    w = np.arange(1.0, 9.0)
    order = philox.permutation(0, 8)
    net, twin = network(), network()
    session = start(net, engine)
    costs = run(session, X, Y, order, w=w)
    session.close()
    rows = order[:4]
    assert costs[0] == pytest.approx(
        twin.loss(X[:, rows], Y[rows], "cce", sample_weight=w[rows]), rel=1e-12
    )


@each_engine
def test_a_mini_batch_without_weight_is_skipped(engine):
    X, Y = data(12)
    w = np.array([1.0] * 4 + [0.0] * 4 + [1.0] * 4)
    net, twin = network(), network()
    session = start(net, engine, "momentum")
    costs = run(session, X, Y, w=w)
    session.close()
    assert np.isnan(costs).tolist() == [False, True, False]
    kept = np.r_[0:4, 8:12]
    other = start(twin, engine, "momentum")
    others = run(other, X[:, kept], Y[kept])
    other.close()
    np.testing.assert_allclose(costs[[0, 2]], others, rtol=1e-13)
    assert_same(parameters(net), parameters(twin), 1e-13)


# --- the full batch in blocks, and sparse rows ---


@each_engine
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_full_batch_equals_the_plain_computation(engine, dtype, weighted):
    X, Y = data(2500)
    w = np.random.default_rng(0).random(2500) if weighted else None
    results = []
    for _ in range(2):
        net = network(dtype=dtype)
        session = start(net, engine, batch_size=2500, l2=0.1)
        costs = run(session, X, Y, w=w)
        session.close()
        results.append(parameters(net) | {"costs": costs})
    assert_same(results[1], results[0])  # the same bits
    net = network(dtype=dtype)
    cache = propagation.forward(net.layers, X.astype(dtype))
    targets = np.eye(2, dtype=dtype)[Y].T
    weights = None if w is None else w.astype(dtype)
    gradients = propagation.backward(cache, targets, loss("cce"), weights, l2=0.1)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    expected = {}
    for l in (1, 2):
        expected[f"W{l}"] = net.W[l] - 0.1 * gradients.dW[l]
        expected[f"b{l}"] = net.b[l] - 0.1 * gradients.db[l]
    expected["costs"] = np.array([net.loss(X, Y, "cce", sample_weight=w, l2=0.1)])
    assert_same(results[0], expected, tolerance)


@each_engine
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_rows_give_the_same_bits(engine, form):
    X, Y = data(2300)
    X = np.where(X > 1, X, 0)
    results = []
    for matrix in (X, scipy.sparse.csr_array(X.T).T.asformat(form)):
        net = network()
        session = start(net, engine, "adam", batch_size=1200)
        costs = run(session, matrix, Y, philox.permutation(0, 2300))
        _, A = session.evaluate(Examples(matrix, Y))
        session.close()
        results.append(parameters(net) | {"costs": costs, "A": A})
    assert_same(results[1], results[0])


@each_engine
def test_memory_order_of_X_does_not_matter(engine):
    X, Y = data(9)
    results = []
    for array in (np.asfortranarray(X), np.ascontiguousarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        net = network()
        session = start(net, engine)
        run(session, array, Y, philox.permutation(0, 9))
        session.close()
        results.append(parameters(net))
    assert_same(results[1], results[0], 1e-14)
    assert_same(results[2], results[0], 1e-14)


# --- clipping, factors, decay, dropout ---


@each_engine
def test_clipping_by_value(engine):
    X, Y = data(4)
    net = network()
    gradients = net.backward(net.forward(X, cache=True), Y, "cce")
    before = parameters(net)
    session = start(net, engine, clip_value=0.01)
    run(session, X, Y, alpha=1.0)
    session.close()
    moved = before["W2"] - net.W[2]
    np.testing.assert_allclose(moved, np.clip(gradients.dW[2], -0.01, 0.01), atol=1e-15)
    assert np.abs(gradients.dW[2]).max() > 0.01


@each_engine
@pytest.mark.parametrize("bound", [0.05, 1e3])
def test_clipping_by_the_norm_of_all_gradients_together(engine, bound):
    X, Y = data(4)
    net = network()
    g = net.backward(net.forward(X, cache=True), Y, "cce")
    norm = np.sqrt(sum((a**2).sum() for a in [*g.dW.values(), *g.db.values()]))
    assert 0.05 < norm < 1e3
    before = parameters(net)
    session = start(net, engine, clip_norm=bound)
    run(session, X, Y, alpha=1.0)
    session.close()
    share = min(1, bound / norm)
    for l in (1, 2):
        np.testing.assert_allclose(before[f"W{l}"] - net.W[l], share * g.dW[l], atol=1e-14)
        np.testing.assert_allclose(before[f"b{l}"] - net.b[l], share * g.db[l], atol=1e-14)


@each_engine
def test_learning_rate_factors_of_a_layer(engine):
    X, Y = data(4)
    net, plain = network(learning_rate_factor={"W": 0.5, "b": 0.0}), network()
    before = parameters(net)
    for each in (net, plain):
        session = start(each, engine)
        run(session, X, Y)
        session.close()
    np.testing.assert_allclose(
        net.W[1] - before["W1"], 0.5 * (plain.W[1] - before["W1"]), rtol=1e-12
    )
    assert (net.b[1] == before["b1"]).all()
    assert (net.W[2] == plain.W[2]).all()


@each_engine
def test_adamw_decays_W_and_never_b(engine):
    X, Y = data(4)
    rule = {"name": "adamw", "weight_decay": 0.5}
    nets = [network(weight_decay_factor=2.0) for _ in range(2)]
    for net in nets:
        for b in net.b.values():
            b[...] = 1.0
    before = parameters(nets[0])
    for net, each in zip(nets, (rule, "adam"), strict=True):
        session = start(net, engine, each)
        run(session, X, Y, alpha=0.1)
        session.close()
    decayed, plain = nets
    # W := W - alpha decay factor W, then Adam's step, which is the same: its gradient is.
    np.testing.assert_allclose(decayed.W[1], plain.W[1] - 0.1 * 0.5 * 2 * before["W1"], rtol=1e-12)
    np.testing.assert_allclose(decayed.W[2], plain.W[2] - 0.1 * 0.5 * before["W2"], rtol=1e-12)
    assert_same({l: decayed.b[l] for l in (1, 2)}, {l: plain.b[l] for l in (1, 2)}, 1e-14)


@each_engine
@pytest.mark.parametrize("step", [1, 3])
def test_the_dropout_mask_follows_from_seed_layer_and_step(engine, step):
    X, Y = data(12)
    net = network(dropout=0.5)
    session = start(net, engine, seed=77)
    run(session, X, Y, last=step - 1)
    session.write_back()
    twin = net.copy()
    costs = run(session, X, Y, first=step - 1, last=step)
    session.close()
    part = slice(4 * step - 4, 4 * step)
    # element = position in the mini-batch * n[l] + unit, whatever examples they are
    mask = philox.dropout_mask(77, 4, 4, 0.5, layer=1, step=step) / 0.5
    cache = propagation.forward(twin.layers, X[:, part], {1: mask})
    targets = np.eye(2)[Y[part]].T
    assert costs[0] == pytest.approx(propagation.cost(cache, targets, loss("cce")), rel=1e-12)
    gradients = propagation.backward(cache, targets, loss("cce"))
    np.testing.assert_allclose(net.W[1], twin.W[1] - 0.1 * gradients.dW[1], rtol=1e-12)


@each_engine
def test_dropout_does_not_depend_on_the_blocks_of_a_large_batch(engine):
    X, Y = data(1100)
    net = network(dropout=0.5)
    mask = philox.dropout_mask(0, 4, 1100, 0.5, layer=1, step=1) / 0.5
    cache = propagation.forward(net.layers, X, {1: mask})
    expected = propagation.cost(cache, np.eye(2)[Y].T, loss("cce"))
    session = start(net, engine, batch_size=1100)
    assert run(session, X, Y)[0] == pytest.approx(expected, rel=1e-12)


@each_engine
def test_nothing_is_dropped_outside_the_steps(engine):
    X, Y = data(6)
    net = network(dropout=0.9)
    session = start(net, engine)
    J = net.loss(X, Y, "cce")
    assert session.gradients(Examples(X, Y), position=None).J == pytest.approx(J, rel=1e-13)
    assert session.gradients(Examples(X, Y)).J != pytest.approx(J, rel=1e-2)
    assert session.evaluate(Examples(X, Y))[0] == pytest.approx(J, rel=1e-13)


@each_engine
def test_a_scale_learns(engine):
    net = Network([Scale(), Dense(2, "softmax")], n_inputs=3, seed=0, dtype="float64")
    X, Y = data(4)
    ds = net.backward(net.forward(X, cache=True), Y, "cce").ds[0]
    session = start(net, engine)
    run(session, X, Y)
    session.close()
    np.testing.assert_allclose(net.s[0], 1 - 0.1 * ds, rtol=1e-13)


# --- state ---


@each_engine
@pytest.mark.parametrize("rule", STEPPING)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resuming_gives_the_same_bits(engine, rule, dtype):
    X, Y = data(20)
    whole = network(dropout=0.25, dtype=dtype)
    session = start(whole, engine, rule)
    run(session, X, Y)
    broken = network(dropout=0.25, dtype=dtype)
    first = start(broken, engine, rule)
    run(first, X, Y, last=2)
    state = first.state()
    first.close()
    assert state.step == 2
    second = start(broken, engine, rule, state=state)
    run(second, X, Y, first=2)
    assert_same(second.state().slots, session.state().slots)
    assert second.state().step == session.state().step == 5
    session.close()
    second.close()
    assert_same(parameters(broken), parameters(whole))


def many_kinds(dtype: str = "float32") -> Network:
    """Layers of more than a panel and of just one, a Scale, few outputs."""
    layers = [Scale(), Dense(37, "relu"), Dense(16, "relu"), Dense(2, "softmax")]
    net = Network(layers, n_inputs=3, seed=1, dtype=dtype)
    net.layers[2].parameters["W"] = np.ascontiguousarray(net.layers[2].parameters["W"])
    return net


@each_engine
@pytest.mark.parametrize("n_threads", [1, 3])
def test_undo_goes_back_to_the_last_sync(engine, n_threads):
    X, Y = data(20)
    net = many_kinds()
    session = start(net, engine, "adam", n_threads=n_threads)
    starting = parameters(net)
    run(session, X, Y, last=2)
    session.roll_back()
    assert_same(parameters(net), starting)
    run(session, X, Y, last=2)
    session.write_back()
    synced = parameters(net)
    assert (synced["W2"] != starting["W2"]).any()
    run(session, X, Y, first=2)
    session.roll_back()
    assert_same(parameters(net), synced)
    J, _ = session.evaluate(Examples(X, Y))
    session.close()
    assert_same(parameters(net), synced)
    assert J == pytest.approx(net.loss(X, Y, "cce"), rel=1e-5)


@each_engine
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_cell_is_taken_and_looked_at(engine, n_threads, dtype):
    X, Y = data(20)
    net = many_kinds(dtype)
    session = start(net, engine, n_threads=n_threads)
    run(session, X, Y)
    session.write_back()
    assert session.finite()
    for array in net.parameters.values():
        for at in {0, array.size // 2, array.size - 1}:
            before = array.flat[at]
            for value in (np.inf, np.nan):
                array.flat[at] = value
                session.read_back()
                assert not session.finite()
            array.flat[at] = before + 0.5
            session.read_back()
            assert session.finite()
            J, _ = session.evaluate(Examples(X, Y))
            assert J == pytest.approx(net.loss(X, Y, "cce"), rel=1e-5)
    expected = parameters(net)
    session.close()
    assert_same(parameters(net), expected)


@each_engine
def test_the_state_is_a_copy_by_the_lectures_names(engine):
    X, Y = data(4)
    session = start(network(), engine, "adam")
    run(session, X, Y)
    state = session.state()
    names = [f"{slot}_{p}" for p in ("W1", "b1", "W2", "b2") for slot in ("v", "s")]
    assert list(state.slots) == names
    assert state.slots["v_W1"].shape == (4, 3)
    state.slots["v_W1"][...] = 9
    assert (session.state().slots["v_W1"] != 9).all()


@each_engine
@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({}, r"does not belong to this network and momentum: v_W1 should be \(4, 3\), is absent"),
        ({"v_W1": np.zeros((2, 2))}, r"v_W1 should be \(4, 3\), is \(2, 2\)"),
        ({"u_W1": np.zeros((4, 3))}, r"u_W1 should be absent, is \(4, 3\)"),
    ],
)
def test_a_state_of_something_else_is_refused(engine, slots, message):
    session = start(network(), engine, Momentum())
    good = session.state().slots if slots else {}
    with pytest.raises(ValueError, match=message):
        start(network(), engine, Momentum(), state=State(1, good | slots))


@each_engine
def test_a_cost_that_is_not_finite_ends_the_run_before_its_update(engine):
    X, Y = data(12)
    X[0, 5] = np.nan  # in the second mini-batch
    net, twin = network(), network()
    session = start(net, engine)
    costs = run(session, X, Y)
    session.close()
    assert len(costs) == 2
    assert np.isfinite(costs).tolist() == [True, False]
    assert not np.isnan(costs[1])  # NaN is for a mini-batch without weight
    other = start(twin, engine)
    run(other, X, Y, last=1)
    other.close()
    assert_same(parameters(net), parameters(twin))


def test_an_interrupt_ends_the_run_after_a_whole_step():
    engine = "reference"  # the fused engine asks by the clock: tests/test_fused.py
    X, Y = data(12)
    asked = iter([False, True])
    net, twin = network(), network()
    session = start(net, engine, interrupted=lambda: next(asked))
    assert len(run(session, X, Y)) == 2
    session.close()
    other = start(twin, engine)
    run(other, X, Y, last=2)
    other.close()
    assert_same(parameters(net), parameters(twin))


# --- choosing ---


def test_choose_engine():
    job = Job(network(), Objective(loss("cce")), GradientDescent())
    chosen, note = choose_engine("auto", job)
    assert chosen is ENGINES[BUILT[0]]
    assert (note == "") == (BUILT[0] == next(iter(ENGINES)))
    for name, engine in ENGINES.items():
        assert engine.name == name
    for name in BUILT:
        assert choose_engine(name, job)[0] is ENGINES[name]
    with pytest.raises(
        ValueError, match=r"unknown engine 'referense' \(did you mean 'reference'\?"
    ):
        choose_engine("referense", job)


def test_the_reference_runs_whatever_the_others_refuse(monkeypatch):
    class Picky:
        name = "picky"

        def refuses(self, job):
            return "it is Monday"

    monkeypatch.setattr("pellucid.engines.ENGINES", {"picky": Picky(), **ENGINES})
    job = Job(network(), Objective(loss("cce")), GradientDescent())
    chosen, note = choose_engine("auto", job)
    assert chosen.name != "picky"
    assert note.startswith("picky: it is Monday")
    with pytest.raises(ValueError, match="no engine can do this job: picky: it is Monday"):
        choose_engine("picky", job)
