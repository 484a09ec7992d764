"""Epochs between which nobody looks are done in one call: what comes out keeps its bits."""

from __future__ import annotations

import math
import os
import signal
import threading

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer

from engine_sessions import assert_same, data, each_engine, network, parameters, start
from pellucid import Callback, Dense, MLPClassifier, MLPRegressor, Network, train
from pellucid.engines import Examples
from pellucid.engines.reference import ReferenceSession
from pellucid.estimators.regressor import r_squared
from pellucid.insight import StatisticsCallback
from pellucid.schedules import SCHEDULES
from pellucid.training import EarlyStopping

X, Y = data(150)
COLUMN = (X[:1] * X[1:2] > 0).astype(float)


class Looks(Callback):
    """Makes every epoch a call of its own."""

    writes = False

    def on_epoch_end(self, run):
        pass


@pytest.fixture
def calls(monkeypatch):
    """How many steps each call of a session of the reference engine does."""
    counts, run = [], ReferenceSession.run

    def counted(self, examples, order, first, last, *, learning_rate):
        counts.append(last - first)
        return run(self, examples, order, first, last, learning_rate=learning_rate)

    monkeypatch.setattr(ReferenceSession, "run", counted)
    return counts


# --- sessions ---


@each_engine
@pytest.mark.parametrize("form", ["own order", "orders", "rows", "orders of rows", "weighted"])
def test_a_call_of_several_epochs_is_a_call_for_each(engine, form):
    rng = np.random.default_rng(0)
    rows = rng.permutation(150)[:90] if "rows" in form else None
    w = np.repeat([0.0, 1.0, 2.0], 50) if form == "weighted" else None
    examples = Examples(X, Y, w, rows)
    orders = np.array([rng.permutation(examples.m) for _ in range(4)])
    orders = orders if form not in ("own order", "rows") else None
    steps = -(-examples.m // 16)
    rates = np.linspace(0.1, 0.01, 4 * steps)
    found = []
    for pieces in ([(0, 4 * steps)], [(0, 2), (2, 3 * steps), (3 * steps, 4 * steps)], None):
        net = network(dropout=0.2)
        session = start(net, engine, "adam", batch_size=16)
        costs = []
        for k, n in pieces or [(k, k + steps) for k in range(0, 4 * steps, steps)]:
            order, first = orders, 0
            if pieces is None:
                order, first = None if orders is None else orders[k // steps], k
            got = session.run(examples, order, k - first, n - first, learning_rate=rates[k:n])
            costs.append(got)
            session.write_back()
        slots = session.state().slots
        session.close()
        found.append(parameters(net) | slots | {"costs": np.concatenate(costs)})
    assert len(found[0]["costs"]) == 4 * steps
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


@each_engine
def test_epochs_that_end_within_a_call_are_written_back(engine):
    twin, net = network(), network()
    net.layers[0].parameters["W"] = np.ascontiguousarray(net.layers[0].parameters["W"])
    sessions = [start(each, engine, "adam", batch_size=50) for each in (twin, net)]
    examples, rates = Examples(X, Y), np.full(9, 0.1)
    sessions[0].run(examples, None, 0, 6, learning_rate=rates[:6])
    sessions[0].close()
    sessions[1].run(examples, None, 0, 9, learning_rate=rates)
    sessions[1].roll_back()
    sessions[1].close()
    assert_same(parameters(net), parameters(twin))


@each_engine
def test_a_call_ends_with_the_epoch_that_leaves_a_parameter_that_is_not_finite(engine):
    twin, net = network(), network()
    sessions = [start(each, engine, batch_size=50) for each in (twin, net)]
    examples, rates = Examples(X, Y), np.full(12, 0.1)
    sessions[0].run(examples, None, 0, 3, learning_rate=rates[:3])
    sessions[0].close()
    rates[5] = math.inf
    costs = sessions[1].run(examples, None, 0, 12, learning_rate=rates)
    assert len(costs) == 6
    assert np.isfinite(costs).all()
    assert not sessions[1].finite()
    sessions[1].roll_back()
    sessions[1].close()
    assert_same(parameters(net), parameters(twin))


# --- trainings ---


def trained(engine="reference", callbacks=(), **settings):
    """All that a training leaves behind, as text; the numbers by their bits."""
    net = Network([Dense(6, "relu"), Dense(1, "sigmoid")], n_inputs=3, seed=4)
    settings = {"loss": "bce", "epochs": 40, "batch_size": 32} | settings
    with np.errstate(all="ignore"):
        history = train(net, X, COLUMN, engine=engine, callbacks=callbacks, **settings)
        kept = repr([(each["epoch"], each["J"]) for each in history.statistics])
    bits = {name: array.tobytes() for name, array in net.parameters.items()}
    return bits, repr(history.curves), history.stopped, history.message, history.best_epoch, kept


@each_engine
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_go_on_as_before(engine, schedule):
    found = trained(engine, schedule=schedule)
    assert found == trained(engine, [Looks()], schedule=schedule)


@each_engine
@pytest.mark.parametrize(
    "settings",
    [
        {"shuffle": False},
        {"shuffle": lambda epoch: np.roll(np.arange(150), epoch)},
        {"batch_size": None, "epochs": 300},
        {"early_stopping": EarlyStopping(2, min_delta=0.02, restore_best=False)},
        {"early_stopping": EarlyStopping(2, min_delta=0.02)},
        {"metrics": "accuracy"},
        {"validation_fraction": 0.2, "early_stopping": 3},
        {"augment": lambda x, rng: x + rng.normal(size=3)},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_all_else_goes_on_as_before(engine, settings):
    assert trained(engine, **settings) == trained(engine, [Looks()], **settings)


@each_engine
@pytest.mark.parametrize("learning_rate", [100.0, 300.0, 1e3, 1e200])
@pytest.mark.filterwarnings("ignore::pellucid.training.DivergenceWarning")
def test_what_diverges_ends_with_the_epoch_before(engine, learning_rate):
    settings = {"optimizer": "momentum", "learning_rate": learning_rate, "l2": 0.5}
    found = trained(engine, **settings)
    assert found == trained(engine, [Looks()], **settings)
    assert found[2] == "diverged"


def test_the_epochs_of_a_call_end_where_somebody_looks(calls):
    steps = 5
    trained(statistics=False)
    assert calls == [40 * steps]
    calls.clear()
    trained()  # statistics are taken before, after the first and the last epoch
    assert calls == [steps, 39 * steps]
    calls.clear()
    trained(callbacks=[Looks()])
    assert calls == [steps] * 40
    calls.clear()
    trained(statistics=False, early_stopping=EarlyStopping(7, restore_best=False))
    assert len(calls) < 10
    assert sum(calls) == 40 * steps


def test_checkpoints_are_written_when_they_are_due(calls, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    trained(statistics=False, checkpoint=one, checkpoint_every=3, epochs=10)
    assert calls == [15, 15, 15, 5]
    trained(statistics=False, checkpoint=other, checkpoint_every=3, epochs=10, callbacks=[Looks()])
    resumed = [trained(resume=folder, epochs=12) for folder in (one, other)]
    assert resumed[0] == resumed[1]


def test_a_long_epoch_is_a_call_of_its_own(calls):
    net = Network([Dense(2000, "relu"), Dense(1, "sigmoid")], n_inputs=2000, seed=0)
    wide = np.ones((2000, 20))
    train(net, wide, np.ones(20), loss="bce", epochs=2, engine="reference", statistics=False)
    assert calls == [1, 1]


def test_ctrl_c_is_heard_within_a_call():
    def press():
        os.kill(os.getpid(), signal.SIGINT)

    nets = [Network([Dense(6, "relu"), Dense(1, "sigmoid")], n_inputs=3, seed=4) for _ in "ab"]
    settings = {"loss": "bce", "batch_size": None, "statistics": False}
    timer = threading.Timer(0.2, press)
    timer.start()
    history = train(nets[0], X, COLUMN, epochs=10**9, **settings)
    timer.join()
    assert history.stopped == "interrupted"
    assert f"after {history.epochs} epochs" in history.message
    train(nets[1], X, COLUMN, epochs=history.epochs, **settings)
    assert_same(parameters(nets[0]), parameters(nets[1]))


def test_callbacks_say_when_they_look(calls):
    class Third(Callback):
        def next_look(self, run):
            return run.epoch + 3

        def on_epoch_end(self, run):
            seen.append((run.epoch, len(run.history["loss"]), run.network.W[1][0, 0]))

    class Own(StatisticsCallback):
        def on_epoch_end(self, run):
            super().on_epoch_end(run)

    seen = []
    trained(callbacks=[Third()], statistics=False, epochs=7)
    assert calls == [15, 15, 5]
    assert [each[:2] for each in seen] == [(k, k) for k in range(1, 8)]
    assert len({each[2] for each in seen}) == 3  # the network as it is after the last of them
    calls.clear()
    trained(callbacks=[Own()], epochs=3)
    assert calls == [5, 5, 5]


# --- the drop-ins ---


def fitted(estimator, y, **settings):
    """All that a fit leaves behind, and what its RandomState draws next."""
    random = np.random.RandomState(3)
    fit = {"max_iter": 60, "learning_rate_init": 0.02, "random_state": random} | settings
    est = estimator(hidden_layer_sizes=(6,), batch_size=32, **fit)
    error = ""
    try:
        est.fit(X.T, y)
    except ValueError as problem:
        error = str(problem)
    names = ("n_iter_", "t_", "loss_curve_", "best_loss_", "_no_improvement_count")
    told = [repr(getattr(est, name)) for name in names]
    told += [repr(est.history_.curves), est.history_.stopped, error, random.randint(2**31)]
    return [each.tobytes() for each in [*est.coefs_, *est.intercepts_]], told


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("engine", ["fused", "reference"])
@pytest.mark.parametrize("rule", ["constant", "adaptive", "invscaling"])
@pytest.mark.parametrize(("tol", "patience"), [(1e-2, 1), (1e-3, 4), (1e-4, 10), (0.0, math.inf)])
def test_the_stopping_rule_acts_at_the_same_epoch(engine, rule, tol, patience):
    settings = {"tol": tol, "n_iter_no_change": patience, "learning_rate": rule, "solver": "sgd"}
    found = fitted(MLPClassifier, Y, engine=engine, **settings)
    assert found == fitted(MLPClassifier, Y, engine=engine, callbacks=[Looks()], **settings)


@pytest.mark.parametrize("rate", [0.3, 3.0, 1e4])
def test_a_fit_that_diverges_leaves_the_random_numbers_where_they_were(rate):
    settings = {"solver": "sgd", "learning_rate_init": rate, "n_iter_no_change": 100}
    y = 1e3 * X[0]
    found = fitted(MLPRegressor, y, **settings)
    assert found == fitted(MLPRegressor, y, callbacks=[Looks()], **settings)
    assert found[1][-3] == "diverged"


@pytest.mark.parametrize(
    "y",
    [
        np.array([3, 1, 2, 3, 3, 1], dtype=np.int8),
        np.array([7, 7, 7]),
        np.array([True, False, True]),
        np.array([5, 9, 5], dtype=np.uint64),
        np.array(["b", "a", "b", "a"], dtype="U20"),
        np.array(["b", "a", "", "longer"]),
    ],
    ids=lambda y: str(y.dtype),
)
def test_labels_are_told_apart_as_scikit_learn_does(y):
    est, expected = MLPClassifier(), LabelBinarizer().fit(y)
    est._fit_labels(y)
    found = est._label_binarizer
    assert vars(found).keys() == vars(expected).keys()
    assert (found.y_type_, found.sparse_input_) == (expected.y_type_, expected.sparse_input_)
    assert est.classes_.dtype == expected.classes_.dtype
    np.testing.assert_array_equal(est.classes_, expected.classes_)
    np.testing.assert_array_equal(est._columns(y), expected.transform(y).astype(bool))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_the_validation_part_are_scikit_learns(dtype, weighted):
    rng = np.random.default_rng(0)
    for m in (2, 7, 50, 151, 3000):
        w = rng.random(m).astype(dtype) if weighted else None
        y = rng.normal(size=(m, 1)).astype(dtype)
        found = (y + rng.normal(size=(m, 1))).astype(dtype)
        for each in (found, y):
            assert r_squared(y, each, w) == r2_score(y, each, sample_weight=w)
        same = np.ones_like(y)
        assert r_squared(same, found, w) == r2_score(same, found, sample_weight=w)
        for labels in (rng.integers(0, 2, m), rng.integers(0, 5, m), rng.integers(0, 2, (m, 3))):
            est = MLPClassifier()
            est._fit_labels(labels)
            Y = est._columns(labels).T.astype(dtype)
            est.n_outputs_ = len(Y)
            A = rng.random(Y.shape).astype(dtype)
            expected = accuracy_score(labels, est._labels(A.T), sample_weight=w)
            numbers = [Y.argmax(axis=0)] if len(est.classes_) > 2 and labels.ndim == 1 else []
            for targets in (Y, *numbers):
                right = est._right(targets, A)
                assert float(np.average(right, weights=w)) == expected
