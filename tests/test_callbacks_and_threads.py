"""Callbacks that write into the network; threads of workers, and how they are counted."""

import os
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from pellucid import Callback, Dense, MLPClassifier, Network, Scale, train
from pellucid.engines import ENGINES, Job, Objective, simd, threads
from pellucid.engines.fused import FusedPredictor
from pellucid.engines.reference import ReferenceSession
from pellucid.losses import loss
from pellucid.optimizers import optimizer
from pellucid.training import DivergenceWarning

BUILT = [name for name in ENGINES if name != "fused" or simd.levels()]
needs_fused = pytest.mark.skipif("fused" not in BUILT, reason="built without the fused engine")


def made(m=60, n=5, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, m)), rng.integers(0, classes, m)


class Bounded(Callback):
    """No weight beyond 0.1 after an epoch: in the hook of the table."""

    def __init__(self, hook):
        setattr(self, hook, self.bound)

    def bound(self, run):
        for array in run.network.parameters.values():
            np.clip(array, -0.1, 0.1, out=array)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end"])
def test_what_a_callback_writes_between_epochs_counts(hook):
    X, y = made()
    options = {"loss": "cce", "epochs": 5, "batch_size": 8, "seed": 0}
    found = {}
    for engine in (*BUILT, "none"):
        net = Network([Scale(), Dense(6, "tanh"), Dense(3, "softmax")], 5, seed=0, dtype="float64")
        bounded = [] if engine == "none" else [Bounded(hook)]
        name = BUILT[0] if engine == "none" else engine
        train(net, X, y, callbacks=bounded, engine=name, **options)
        found[engine] = np.concatenate([array.ravel() for array in net.parameters.values()])
    np.testing.assert_allclose(found[BUILT[0]], found[BUILT[-1]], rtol=1e-10)
    assert np.abs(found["none"] - found["reference"]).max() > 0.01


@needs_fused
def test_a_callback_that_writes_nothing_costs_no_bit():
    X, y = made()
    nets = [Network([Dense(6, "tanh"), Dense(3, "softmax")], 5, seed=0) for _ in "ab"]
    for net, callbacks in zip(nets, ([], [Callback()]), strict=True):
        train(net, X, y, loss="cce", epochs=3, callbacks=callbacks, engine="fused")
    for name, array in nets[0].parameters.items():
        assert np.array_equal(array, nets[1].parameters[name])


def test_the_cgroup_is_read_once_in_a_process(monkeypatch):
    reads = []

    class Counted(type(threads.Path())):
        def read_text(self, *args, **kwargs):
            reads.append(str(self))
            return "150000 100000\n"

    monkeypatch.setattr(threads, "Path", Counted)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads._cgroup_quota.cache_clear()
    try:
        cpus = threads.available_cpus()
        assert cpus == min(2, len(os.sched_getaffinity(0)))  # 1.5 of a CPU: two threads
        net = Network([Dense(3, "softmax")], 5, seed=0)
        for _ in range(3):
            net.forward(made()[0])
        assert reads == ["/sys/fs/cgroup/cpu.max"]
        monkeypatch.setenv("OMP_NUM_THREADS", "1,2")
        assert threads.available_cpus() == 1
    finally:
        threads._cgroup_quota.cache_clear()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_the_cgroup_again():
    threads.available_cpus()
    assert threads._cgroup_quota.cache_info().currsize == 1
    child = os.fork()
    if child == 0:
        os._exit(threads._cgroup_quota.cache_info().currsize)
    assert os.waitpid(child, 0)[1] == 0


@needs_fused
def test_the_workers_of_a_grid_search_share_the_cpus(monkeypatch):
    """joblib sets OMP_NUM_THREADS of its workers to each one's share."""

    def team_of(estimator, X, y):
        """How many threads the engine would give a training of a wide network, as a score."""
        net = Network([Dense(512, "relu"), Dense(3, "softmax")], 5, seed=0)
        one = ENGINES["fused"].start(Job(net, Objective(loss("cce")), optimizer("adam"), 1000))
        return float(one._session.threads)

    for name in ("OMP_NUM_THREADS", "PELLUCID_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    cpus = threads.available_cpus()
    assert team_of(None, None, None) == cpus
    X, y = made()
    for n_jobs in (2, 4):
        search = GridSearchCV(
            MLPClassifier((4,), max_iter=2),
            {"alpha": [1e-4, 1e-3]},
            cv=2,
            n_jobs=n_jobs,
            scoring=team_of,
            refit=False,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X.T, y)
        assert (search.cv_results_["mean_test_score"] == max(1, cpus // n_jobs)).all()


FEW_THREADS = """
import resource, sys, warnings
import numpy as np
from pellucid import Dense, Network, train

def trained(n_threads):
    net = Network([Dense(64, "tanh"), Dense(2, "softmax")], 30, seed=0)
    X = np.random.default_rng(0).normal(size=(30, 500))
    history = train(net, X, X[0] > 0, loss="cce", epochs=2, batch_size=100, n_threads=n_threads)
    return net.W[1].tobytes()

one = trained(1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, -1))  # room for some stacks of 8 MB
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(trained(16) == one)
    print(*(each.message for each in caught))
"""


@needs_fused
@pytest.mark.skipif(sys.platform != "linux", reason="bounds its memory as on Linux")
def test_training_goes_on_with_the_threads_that_could_be_started():
    done = subprocess.run(
        [sys.executable, "-c", FEW_THREADS], capture_output=True, text=True, check=True
    )
    same, message = done.stdout.splitlines()
    assert same == "True"
    assert re.match(r"\d of 16 threads could be started, the system allows no more", message)


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_number_of_threads_far_beyond_the_cpus_is_lowered(monkeypatch, engine):
    X, y = np.ones((3, 8)), np.arange(8) % 2
    net = Network([Dense(2, "softmax")], 3, seed=0)
    message = rf"n_threads=1000000 is lowered to {max(16, 4 * os.cpu_count())}, 4 for each CPU"
    with pytest.warns(RuntimeWarning, match=message):
        train(net, X, y, loss="cce", epochs=1, n_threads=10**6, engine=engine)
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "1000000")
    with pytest.warns(RuntimeWarning, match=message):
        train(net, X, y, loss="cce", epochs=1, engine=engine)


def time_of_each_thread():
    """The processor time, in nanoseconds, of every thread of this process, by its number."""
    try:
        return {
            task.name: int((task / "schedstat").read_text(encoding="ascii").split()[0])
            for task in Path("/proc/self/task").iterdir()
        }
    except OSError:
        pytest.skip("this system does not tell the time of each thread")


@needs_fused
@pytest.mark.parametrize("width", [24, 256])  # shared by examples; by panels
def test_every_thread_of_a_large_prediction_works(width, monkeypatch):
    """The bits are the same with one thread alone; the processor time is not."""
    monkeypatch.setattr("pellucid.engines.fused.predictor.available_cpus", lambda: 3)
    net = Network([Dense(width, "tanh"), Dense(10, "softmax")], 100, seed=0)
    X = np.ones((100, 40_000), dtype=np.float32)
    forward, sessions = FusedPredictor(net), []
    start = forward._kind

    def one_session(*spec):  # that outlives the call
        sessions[:] = sessions or [start(*spec)]
        return sessions[0]

    forward._kind = one_session
    others = time_of_each_thread()
    for _ in range(10):  # other processes may have the processors for a while
        before, spent = time_of_each_thread(), time.process_time_ns()
        forward.many(X)
        spent = time.process_time_ns() - spent
        now = time_of_each_thread()
        own = {task: t - before.get(task, 0) for task, t in now.items() if task not in others}
        assert len(own) == sessions[0].threads - 1 == 2
        if min(own.values()) > 0.1 * spent:  # a third, about; 0.004 where they only wait
            return
    pytest.fail(f"of {spent} ns the threads did {own}")


class Breaks(Callback):
    """Writes NaN in one hook."""

    def __init__(self, hook):
        setattr(self, hook, self.write)
        self.kept = {}

    def write(self, run):
        if run.epoch == 2:
            self.kept = run.network.copy_parameters()
            run.network.W[1][0, 0] = np.nan


@pytest.mark.parametrize("engine", BUILT)
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end"])
def test_what_is_not_finite_is_not_gone_on_from(hook, engine):
    X, y = made()
    net, breaks = Network([Dense(4, "tanh"), Dense(3, "softmax")], 5, seed=0), Breaks(hook)
    with pytest.warns(DivergenceWarning, match="diverged at step 0 of epoch 3"):
        train(net, X, y, loss="cce", epochs=5, batch_size=8, callbacks=breaks, engine=engine)
    assert len(breaks.kept) == 4
    for name, array in breaks.kept.items():
        np.testing.assert_array_equal(net.parameters[name], array)


@pytest.mark.parametrize(("writes", "looks"), [(True, 4), (False, 0)])
def test_only_callbacks_that_write_cost_a_look_at_the_parameters(writes, looks, monkeypatch):
    seen = []
    read_back = ReferenceSession.read_back
    monkeypatch.setattr(ReferenceSession, "read_back", lambda one: seen.append(1) or read_back(one))

    class Mine(Callback):
        def on_epoch_end(self, run):
            pass

    Mine.writes = writes
    net = Network([Dense(1, "sigmoid")], n_inputs=2, seed=0)
    train(
        net,
        np.ones((2, 4)),
        [0, 1, 1, 0],
        loss="bce",
        epochs=4,
        engine="reference",
        callbacks=[Mine()],
    )
    assert len(seen) == looks
