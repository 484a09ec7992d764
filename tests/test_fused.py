"""The fused engine gives the reference's numbers, and the same bits however it is shared."""

import hashlib
import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
from dataclasses import replace

import joblib
import numpy as np
import pytest
import scipy.sparse

from pellucid import Callback, Dense, MLPClassifier, Network, Scale, train
from pellucid.activations import ACTIVATIONS
from pellucid.engines import ENGINES, Examples, Job, Objective, simd
from pellucid.losses import LOSSES, loss
from pellucid.optimizers import OPTIMIZERS, optimizer

LEVELS = simd.levels()
if not LEVELS:
    pytest.skip("built without the fused engine (PELLUCID_PURE)", allow_module_level=True)
FUSED, REFERENCE = ENGINES["fused"], ENGINES["reference"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
MODULE = simd.load_level()
HIDDEN = [name for name in MODULE.activation_ids if not ACTIVATIONS[name].output_only]


def examples(n, m, n_outputs, loss_name, seed=0):
    """X and Y that suit a loss."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m))
    kind = loss(loss_name).targets
    if kind == "distribution":
        return X, rng.integers(0, n_outputs, m)
    if kind == "unit":
        return X, rng.integers(0, 2, (n_outputs, m)).astype(float)
    Y = rng.normal(size=(n_outputs, m))
    return X, np.floor(np.abs(4 * Y)) if kind == "non-negative" else Y


def session(engine, net, batch_size, rule="adam", loss_name="mse", threads=1, state=None, **extra):
    objective = Objective(loss(loss_name), **extra)
    return engine.start(Job(net, objective, optimizer(rule), batch_size, 5, state, threads))


def largest(found, expected):
    """The largest difference of any array, relative to its largest entry."""
    differences = [
        np.abs(np.asarray(found[name], dtype=np.float64) - array).max()
        / max(np.abs(array).max(), 1e-30)
        for name, array in expected.items()
    ]
    return max(differences)


def one_step(layers, n, m, batch_size, dtype, loss_name, weights=False, steps=1, **options):
    """The largest difference between the engines after some steps, in everything they return."""
    n_outputs = layers[-1].n_units
    X, Y = examples(n, m, n_outputs, loss_name)
    data = Examples(X, Y, np.random.default_rng(1).uniform(0.1, 2, m) if weights else None)
    results = []
    for engine in (FUSED, REFERENCE):
        net = Network(layers, n, seed=3, dtype=dtype)
        one = session(engine, net, batch_size, loss_name=loss_name, **options)
        gradients = one.gradients(data, position=None)
        order = np.random.default_rng(2).permutation(m)
        rates = np.full(steps, 0.01)
        costs = one.run(data, order, 0, steps, learning_rate=rates)
        value, A = one.evaluate(data)
        state = one.state()
        one.close()
        found = {"costs": costs, "J": np.array([gradients.J]), "value": np.array([value]), "A": A}
        found |= net.parameters | state.slots
        for layer, each in zip(net.layers, gradients.by_layer, strict=True):
            found |= {f"{k}{layer.number}": each[k] for k in each if k != "dZ"}
        results.append(found)
    return largest(*results)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", HIDDEN)
def test_every_hidden_activation(name, dtype):
    layers = [Dense(9, name), Dense(5, name, dropout=0.3), Dense(2, "identity")]
    for units, batch in itertools.product((1, 7, 16, 17), (1, 6, 13)):
        layers[0] = Dense(units, name)
        error = one_step(layers, 3, 13, batch, dtype, "mse", rule="gradient_descent")
        assert error < 3 * TOLERANCE[dtype], (units, batch)


PAIRS = [
    (name, g) for name in MODULE.loss_ids for g in LOSSES[name].fits if g in MODULE.activation_ids
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("loss_name", "g"), PAIRS)
def test_every_loss_with_every_output(loss_name, g, dtype):
    for outputs, weights in itertools.product((1, 2, 5, 33), (False, True)):
        if outputs == 1 and LOSSES[loss_name].targets == "distribution":
            continue
        layers = [Dense(6, "tanh"), Dense(outputs, g)]
        error = one_step(
            layers, 4, 11, 5, dtype, loss_name, weights=weights, rule="gradient_descent"
        )
        assert error < 3 * TOLERANCE[dtype], (outputs, weights)


@pytest.mark.parametrize("loss_name", ["binary_cross_entropy", "categorical_cross_entropy"])
def test_label_smoothing(loss_name):
    g = LOSSES[loss_name].fits[0]
    layers = [Dense(6, "tanh"), Dense(3, g)]
    assert one_step(layers, 4, 11, 5, "float64", loss_name, label_smoothing=0.2) < 1e-12


OBJECTIVES = [
    {},
    {"l1": 0.01, "l2": 0.02},
    {"l2": 0.5, "penalty_per_weight": True},
    {"clip_value": 0.01},
    {"clip_norm": 0.05, "l2": 0.1},
]


@pytest.mark.parametrize("rule", [name for name in OPTIMIZERS if name != "lbfgs"])
@pytest.mark.parametrize("extra", OBJECTIVES, ids=str)
def test_every_optimizer_twenty_steps(rule, extra):
    layers = [
        Scale(learning_rate_factor=3.0),
        Dense(17, "tanh", dropout=0.2, learning_rate_factor={"b": 0.1}),
        Scale(weight_decay_factor=0.5),
        Dense(15, "silu", weight_decay_factor=0.3),
        Dense(3, "softmax"),
    ]
    options = {"loss_name": "cce", "rule": rule, "weights": True, **extra}
    assert one_step(layers, 33, 100, 7, "float64", steps=14, **options) < 1e-9
    assert one_step(layers, 33, 100, 7, "float32", steps=1, **options) < 1e-4


SIZES = [(1, 1, 1, 1), (2, 33, 3, 200), (17, 15, 16, 6), (40, 7, 1, 5), (100, 130, 33, 128)]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_odd_sizes(sizes, dtype):
    n, a, b, batch = sizes
    layers = [Dense(a, "tanh"), Dense(b, "elu"), Dense(2, "softmax")]
    for m in (batch, batch + 1, 3 * batch - 1):
        error = one_step(
            layers, n, m, batch, dtype, "cce", steps=-(-m // batch), rule="classical_momentum"
        )
        assert error < 10 * TOLERANCE[dtype], m


# Up to half a vector of outputs is summed lane by lane. Where g(0) is not 0, neither is padding.
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n_outputs", [1, 2, 3, 4, 5, 8, 9, 16, 17])
def test_every_number_of_outputs(n_outputs, dtype):
    for hidden, batch, g in [
        (1, 5, "sigmoid"),
        (7, 6, "mish"),
        (17, 33, "softplus"),
        (40, 9, "relu"),
    ]:
        layers = [Dense(hidden, g, dropout=0.2), Dense(n_outputs, "tanh")]
        for extra in ({"rule": "adam", "l2": 0.1, "l1": 0.01}, {"rule": "sgd", "clip_norm": 0.1}):
            error = one_step(layers, 6, 3 * batch, batch, dtype, "mse", weights=True, **extra)
            assert error < 20 * TOLERANCE[dtype], (hidden, extra)
    error = one_step([Dense(n_outputs, "identity")], 37, 50, 9, dtype, "mse", rule="sgd")
    assert error < TOLERANCE[dtype]


def test_a_full_batch_larger_than_a_pass():
    layers = [Dense(5, "tanh", dropout=0.1), Dense(2, "softmax")]
    assert one_step(layers, 3, 2500, 2500, "float64", "cce", weights=True) < 1e-12


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("left", [1, 3, 70])
def test_gradients_of_small_layers_are_summed_in_parts(left, dtype):
    """The last mini-batch has examples for all parts, or for some alone."""
    layers = [Dense(30, "tanh", dropout=0.1), Scale(), Dense(2, "softmax")]
    error = one_step(layers, 20, 400 + left, 200, dtype, "cce", weights=True, steps=3, l2=0.1)
    assert error < 20 * TOLERANCE[dtype]


def bits(net):
    data = b"".join(array.tobytes() for array in net.parameters.values())
    return hashlib.sha256(data).hexdigest()


SHARED = [
    ([Dense(100, "relu")], 20, 200, {}),
    ([Dense(300, "tanh", dropout=0.2), Dense(260, "relu")], 300, 64, {"l2": 1e-3}),
    ([Dense(128, "gelu"), Dense(128, "relu")], 64, 33, {"clip_norm": 0.5}),
    ([Dense(9, "relu")], 7, 1500, {}),
    ([Dense(400, "relu"), Dense(100, "sigmoid")], 300, 33, {}),
    ([Dense(40, "relu", dropout=0.2), Scale()], 30, 120, {"l2": 1e-3}),
    ([Dense(200, "relu"), Dense(140, "tanh")], 130, 1000, {"l2": 1e-3}),  # panels are taken over
    (
        [Scale(learning_rate_factor=2.0), Dense(17, "mish", learning_rate_factor={"b": 0.5})],
        20,
        130,
        {"l1": 1e-3, "clip_value": 0.01, "label_smoothing": 0.1},
    ),
    (
        [Dense(200, "silu", weight_decay_factor=0.3), Scale(), Dense(33, "tanh", dropout=0.2)],
        130,
        48,
        {"rule": "adamw", "l1": 1e-4, "label_smoothing": 0.1, "penalty_per_weight": True},
    ),
]


def shared(case, n_outputs, plain):
    """The examples of a case of SHARED; sparse and weighted where not plain."""
    _, n, batch, _ = SHARED[case]
    X, Y = examples(n, 4 * batch + 3, n_outputs, "cce")
    if plain:
        return Examples(X, Y)
    weights = np.random.default_rng(1).uniform(0.1, 2, X.shape[1])
    return Examples(scipy.sparse.csc_array(np.where(X > 0.5, X, 0)), Y, weights)


def epoch(one, data, e, first=0, last=5):
    order = np.random.default_rng(e).permutation(data.m)
    rates = np.full(last - first, 0.01)
    return one.run(data, order, first, last, learning_rate=rates)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("n_outputs", [2, 10])
@pytest.mark.parametrize("case", range(len(SHARED)))
def test_the_same_bits_for_any_number_of_threads_and_any_sharing(
    case, n_outputs, plain, dtype, monkeypatch
):
    monkeypatch.setenv("PELLUCID_TUNE", "0")  # all take part in every step
    hidden, n, batch, extra = SHARED[case]
    data = shared(case, n_outputs, plain)
    found = set()
    for threads in (1, 2, 3, 4, 8):
        net = Network([*hidden, Dense(n_outputs, "softmax")], n, seed=1, dtype=dtype)
        one = session(FUSED, net, batch, loss_name="cce", threads=threads, **extra)
        costs = [epoch(one, data, e) for e in range(3)]
        value, A = one.evaluate(data)
        slopes = one.gradients(data, position=None)
        one.close()
        arrays = (np.concatenate(costs), A, slopes.flat)
        found.add((bits(net), value, slopes.J, *(each.tobytes() for each in arrays)))
    assert len(found) == 1


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("case", range(len(SHARED)))
def test_any_sharing_resumes_in_the_middle_with_the_same_bits(case, plain, dtype, monkeypatch):
    monkeypatch.setenv("PELLUCID_TUNE", "0")
    hidden, n, batch, extra = SHARED[case]
    data = shared(case, 3, plain)
    found = set()
    for breaks in (False, True):
        net = Network([*hidden, Dense(3, "softmax")], n, seed=1, dtype=dtype)
        one = session(FUSED, net, batch, loss_name="cce", threads=4, **extra)
        costs = [epoch(one, data, 0), epoch(one, data, 1, 0, 2)]
        if breaks:
            state = one.state()
            one.close()
            one = session(FUSED, net, batch, loss_name="cce", threads=3, state=state, **extra)
        costs += [epoch(one, data, 1, 2, 5), epoch(one, data, 2)]
        slots = [array.tobytes() for array in one.state().slots.values()]
        one.close()
        found.add((bits(net), np.concatenate(costs).tobytes(), *slots))
    assert len(found) == 1


def test_mini_batches_without_weight_among_others_on_several_threads(monkeypatch):
    """The examples of the next mini-batch are gathered before its turn, or it has none."""
    monkeypatch.setenv("PELLUCID_TUNE", "0")
    layers, n, batch = [Dense(200, "relu"), Dense(3, "softmax")], 90, 16
    X, Y = examples(n, 20 * batch, 3, "cce")
    weights = np.ones(X.shape[1])
    for k in (0, 4, 9, 10, 19):
        weights[k * batch : (k + 1) * batch] = 0
    data = Examples(X, Y, weights)
    found = []
    for engine, threads in ((FUSED, 1), (FUSED, 3), (FUSED, 4), (REFERENCE, 1)):
        net = Network(layers, n, seed=1)
        one = session(engine, net, batch, loss_name="cce", threads=threads)
        costs = [
            one.run(data, np.arange(20 * batch), 0, 20, learning_rate=np.full(20, 0.01))
            for _ in range(10)
        ]
        one.close()
        assert np.isnan(costs).sum() == 50
        found.append((net.parameters, np.concatenate(costs)))
    expected, costs = found.pop()
    for parameters, own in found:
        assert np.array_equal(own, found[0][1], equal_nan=True)
        np.testing.assert_allclose(own, costs, rtol=1e-3)
        assert largest(parameters, expected) < 1e-2
        assert all(np.array_equal(parameters[k], found[0][0][k]) for k in expected)


@pytest.mark.parametrize("batch", [16, 120])  # shared by panels; in parts
def test_a_run_that_diverges_ends_at_the_same_step_on_any_number_of_threads(batch, monkeypatch):
    monkeypatch.setenv("PELLUCID_TUNE", "0")
    layers, n = [Dense(64, "relu"), Dense(3, "softmax")], 70
    X, Y = examples(n, 20 * batch, 3, "cce")
    X[0, 11 * batch + 5] = np.inf
    data = Examples(X, Y)
    found = []
    for threads in (1, 3, 4):
        net = Network(layers, n, seed=1)
        one = session(FUSED, net, batch, loss_name="cce", threads=threads)
        costs = one.run(data, np.arange(20 * batch), 0, 20, learning_rate=np.full(20, 0.01))
        one.close()
        assert (len(costs), costs[-1]) == (12, np.inf)
        found.append((costs, bits(net)))
    assert all(np.array_equal(costs, found[0][0]) and b == found[0][1] for costs, b in found)


def test_an_example_gets_the_same_bits_in_any_batch():
    X, Y = examples(50, 300, 4, "categorical_cross_entropy")
    net = Network([Dense(70, "tanh"), Dense(4, "softmax")], 50, seed=0)
    one = session(FUSED, net, 32, loss_name="cce", threads=2)
    data = Examples(X, Y)
    _, together = one.evaluate(data)
    for i in (0, 7, 299):
        _, alone = one.evaluate(data, np.array([i]))
        assert np.array_equal(alone[:, 0], together[:, i])
        assert np.array_equal(net.forward(X[:, i : i + 1])[:, 0], together[:, i])
    assert np.array_equal(net.forward(X), together)
    one.close()


def test_resume_gives_the_same_bits():
    data = Examples(*examples(10, 100, 3, "categorical_cross_entropy"))
    order = np.random.default_rng(0).permutation(100)
    nets = [
        Network([Dense(20, "relu", dropout=0.3), Dense(3, "softmax")], 10, seed=0) for _ in "ab"
    ]
    for net in nets:
        net.set_parameters({l: (nets[0].W[l], nets[0].b[l]) for l in (1, 2)})
    whole = session(FUSED, nets[0], 8, loss_name="cce")
    whole.run(data, order, 0, 12, learning_rate=np.full(12, 0.01))
    whole.close()
    first = session(FUSED, nets[1], 8, loss_name="cce")
    first.run(data, order, 0, 5, learning_rate=np.full(5, 0.01))
    state = first.state()
    first.close()
    second = session(FUSED, nets[1], 8, loss_name="cce", state=state, threads=3)
    second.run(data, order, 5, 12, learning_rate=np.full(7, 0.01))
    second.close()
    assert bits(nets[0]) == bits(nets[1])


KINDS = {
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "float32": lambda X: X.astype(np.float32),
    "uint8": lambda X: X.astype(np.uint8),
    "int16": lambda X: X.astype(np.int16),
    "big-endian": lambda X: X.astype(">f8"),
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "csr": lambda X: scipy.sparse.csr_array(X),
    "csr of float32": lambda X: scipy.sparse.csr_array(X.astype(np.float32)),
    "csr of uint8": lambda X: scipy.sparse.csr_array(X.astype(np.uint8)),
    "csr of int16": lambda X: scipy.sparse.csr_array(X.astype(np.int16)),
    "csc, strided": lambda X: scipy.sparse.csc_array(
        tuple(
            np.repeat(getattr(scipy.sparse.csc_array(X), name), 2)[::2]
            for name in ("data", "indices", "indptr")
        ),
        shape=X.shape,
    ),
    "csc, 64-bit indices": lambda X: scipy.sparse.csc_array(
        (
            scipy.sparse.csc_array(X).data,
            scipy.sparse.csc_array(X).indices.astype(np.int64),
            scipy.sparse.csc_array(X).indptr.astype(np.int64),
        ),
        shape=X.shape,
    ),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_gathered_from_any_array(kind, dtype):
    X = np.random.default_rng(0).integers(0, 3, (37, 60)).astype(np.float64)
    y = np.arange(60) % 3
    nets = [Network([Dense(8, "relu"), Dense(3, "softmax")], 37, seed=0, dtype=dtype) for _ in "ab"]
    train(nets[0], X, y, loss="cce", epochs=2, engine="fused")
    history = train(nets[1], KINDS[kind](X), y, loss="cce", epochs=2, engine="fused")
    assert bits(nets[0]) == bits(nets[1])
    assert history.engine == "fused"


def test_parameters_in_any_memory_order_are_written_back():
    rng = np.random.default_rng(0)
    clf = MLPClassifier((7,), max_iter=3, random_state=0, engine="fused", warm_start=True)
    X, y = rng.normal(size=(50, 4)), rng.integers(0, 2, 50)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        clf.fit(X, y)
    clf.coefs_[0] = np.asfortranarray(clf.coefs_[0])
    before = clf.coefs_[0].copy()
    with pytest.warns(UserWarning, match="Maximum iterations"):
        clf.fit(X, y)
    assert np.abs(clf.coefs_[0] - before).max() > 1e-4


def test_auto_takes_the_fused_engine_and_says_when_not():
    X, Y = examples(3, 20, 1, "mean_squared_error")

    class Mine(ACTIVATIONS["tanh"]):
        name = "mine"

    net = Network([Dense(4, "tanh"), Dense(1, "identity")], 3, seed=0)
    assert train(net, X, Y, loss="mse", epochs=1).engine == "fused"
    own = Network([Dense(4, Mine()), Dense(1, "identity")], 3, seed=0)
    history = train(own, X, Y, loss="mse", epochs=1)
    assert history.engine == "reference"
    assert "fused: it has no activation" in history.engine_note
    with pytest.raises(ValueError, match="no engine can do this job: fused: it has no activation"):
        train(own, X, Y, loss="mse", epochs=1, engine="fused")


def test_two_threads_train_two_networks():
    X, y = examples(20, 400, 3, "categorical_cross_entropy")
    nets = [Network([Dense(30, "relu"), Dense(3, "softmax")], 20, seed=0) for _ in range(3)]
    work = [
        threading.Thread(
            target=train, args=(net, X, y), kwargs={"loss": "cce", "epochs": 20, "n_threads": 2}
        )
        for net in nets[:2]
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    train(nets[2], X, y, loss="cce", epochs=20)
    assert len({bits(net) for net in nets}) == 1


def test_the_interpreter_goes_on_while_the_engine_works():
    X, y = examples(200, 2000, 3, "categorical_cross_entropy")
    net = Network([Dense(256, "relu"), Dense(3, "softmax")], 200, seed=0)
    ticks, done = [], threading.Event()

    def tick():
        while not done.wait(0.001):
            ticks.append(None)

    thread = threading.Thread(target=tick)
    thread.start()
    train(net, X, y, loss="cce", epochs=10, engine="fused")
    done.set()
    thread.join()
    assert len(ticks) > 10


def fit_in_child(seed):
    X, y = examples(8, 60, 2, "categorical_cross_entropy")
    net = Network([Dense(6, "relu"), Dense(2, "softmax")], 8, seed=seed)
    train(net, X, y, loss="cce", epochs=2, n_threads=2)
    return bits(net)


# Python warns of forking a process with threads; that it works here is what is tested.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_after_use_works():
    expected = fit_in_child(1)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(fit_in_child, [1, 1]) == [expected] * 2


def test_joblib_workers_give_the_same_bits_and_are_limited():
    X, y = examples(8, 60, 2, "cce")
    clf = MLPClassifier((6,), max_iter=60, tol=1, random_state=0)
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(clf.fit)(X.T, y) for _ in range(2))
    assert len({bits(each.network_) for each in [*found, clf.fit(X.T, y)]}) == 1
    code = "from pellucid.engines.threads import available_cpus; print(available_cpus())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "1"


def test_an_interrupt_ends_the_run_between_two_steps():
    X, y = examples(100, 20_000, 2, "cce")
    nets = [Network([Dense(512, "tanh"), Dense(2, "softmax")], 100, seed=0) for _ in "ab"]
    rates = np.full(20_000, 0.01)
    job = Job(nets[0], Objective(loss("cce")), optimizer("adam"))
    one = FUSED.start(replace(job, interrupted=lambda: True))
    done = len(one.run(Examples(X, y), None, 0, 20_000, learning_rate=rates))
    one.close()
    assert 0 < done < 20_000
    whole = FUSED.start(replace(job, network=nets[1]))
    whole.run(Examples(X, y), None, 0, done, learning_rate=rates)
    whole.close()
    assert bits(nets[0]) == bits(nets[1])


def test_an_error_in_a_callback_comes_through():
    class Fault(Callback):
        def on_batch_end(self, run, step, J):
            raise RuntimeError("from the callback")

    X, y = examples(3, 20, 2, "categorical_cross_entropy")
    net = Network([Dense(4), Dense(2, "softmax")], 3, seed=0)
    with pytest.raises(RuntimeError, match="from the callback"):
        train(net, X, y, loss="cce", callbacks=[Fault()], engine="fused")


@pytest.mark.parametrize("n_outputs", [2, 3, 8, 9])
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_gives_the_numbers(level, n_outputs):
    code = (
        "import numpy as np; from pellucid import *; rng = np.random.default_rng(0);"
        f"X = rng.normal(size=(20, 300)); y = rng.integers(0, {n_outputs}, 300);"
        f"layers = [Dense(33, 'gelu', dropout=0.1), Dense({n_outputs}, 'softmax')];"
        "net = Network(layers, 20, seed=0, dtype='float64');"
        "h = train(net, X, y, loss='cce', epochs=3, l2=1e-3, engine=ENGINE);"
        "print(*(repr(float(v)) for v in [*h['loss'], *net.W[1].ravel()[:20]]))"
    )
    values = []
    for engine in ("'fused'", "'reference'"):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("ENGINE", engine)],
            env=os.environ | {"PELLUCID_SIMD": level},
            capture_output=True,
            text=True,
            check=True,
        )
        values.append([float(text) for text in done.stdout.split()])
    np.testing.assert_allclose(*values, rtol=1e-9)


def test_one_row_is_predicted_by_the_bits_of_many():
    X, _ = examples(20, 40, 1, "mean_squared_error")
    outputs = ["sigmoid", "softmax", "identity", "exp"]
    for dtype, g, n in itertools.product(TOLERANCE, outputs, [1, 2, 3, 4, 5, 9]):
        layers = [Scale(), Dense(100, "relu"), Dense(13, "mish"), Dense(n, g)]
        net = Network(layers, 20, seed=0, dtype=dtype)
        net.s[0][:] = 1.5
        many = net.forward(X)
        for i in range(40):
            assert np.array_equal(net.forward(X[:, i : i + 1])[:, 0], many[:, i])
