"""The contestants that need NumPy alone: pellucid, scikit-learn, the machine's own limits.

Each is a function ``contestant(job, stopwatch)``, see :mod:`stopwatch`.
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from machine import cpu_count, engine_hook
from stopwatch import Skip, Stopwatch
from variants import repeat
from workloads import LEARNING_RATE, Job, columns

CONTESTANTS = {
    "pellucid": ("contestants", "pellucid"),
    "pellucid-call": ("contestants", "pellucid_call"),
    "pellucid-mlp": ("contestants", "pellucid_mlp"),
    "sklearn": ("contestants", "sklearn"),
    "torch": ("contestants_torch", "eager"),
    "torch-compiled": ("contestants_torch", "compiled"),
    "jax": ("contestants_jax", "scan"),
    "pellucid-fit": ("contestants_fits", "pellucid"),
    "sklearn-fit": ("contestants_fits", "sklearn"),
    "sgemm": ("contestants", "matrix_product"),
    "fma": ("contestants", "fma"),
    "optimizer-pass": ("contestants", "optimizer_pass"),
    "pellucid-memory": ("contestants", "memory"),
    "pellucid-mlp-memory": ("contestants", "memory_mlp"),
    "pellucid-row": ("contestants", "row_pellucid"),
    "pellucid-mlp-row": ("contestants", "row_pellucid_mlp"),
    "sklearn-row": ("contestants", "row_sklearn"),
    "torch-row": ("contestants_torch", "row"),
    "pellucid-session": ("contestants_networks", "session"),
    "pellucid-network-row": ("contestants_networks", "row"),
    "pellucid-mnist": ("contestants_networks", "mnist"),
    "onnx-network-row": ("contestants_networks", "row_onnx"),
    "torch-network": ("contestants_networks_torch", "eager"),
    "torch-network-channels-last": ("contestants_networks_torch", "channels_last"),
    "torch-network-compiled": ("contestants_networks_torch", "compiled"),
    "torch-network-row": ("contestants_networks_torch", "row"),
    "jax-network": ("contestants_networks_jax", "steps"),
    "jax-network-row": ("contestants_networks_jax", "row"),
    "keras-network": ("contestants_networks_keras", "steps"),
    "keras-network-row": ("contestants_networks_keras", "row"),
}
"""Module and function of each; a module is imported only where it is wanted."""

EPOCHS_PER_CALL = 10


def pellucid(job: Job, stopwatch: Stopwatch) -> None:
    """``train(...)``: one call, its epochs as they come, with all that surrounds the steps."""
    from pellucid import Callback, train

    class EpochGate(Callback):
        writes = False

        def on_epoch_begin(self, run: Any) -> None:
            note_engine(stopwatch, run.history)
            if run.epoch == 1:
                stopwatch.info["first_loss"] = run.J
            stopwatch()

    X, y = job.workload.data(job.dtype)
    orders = job.workload.orders()
    network = job.workload.network
    train(network(job.dtype), columns(X), y.T, **_settings(job), epochs=1)  # as all have
    train(
        network(job.dtype),
        columns(X),
        y.T,
        **_settings(job),
        epochs=10**9,
        shuffle=True if job.own_order else lambda epoch: orders[epoch % len(orders)],
        callbacks=[EpochGate()],
    )


def pellucid_call(job: Job, stopwatch: Stopwatch) -> None:
    """Whole calls of ``train``: checks of the data, start, its own shuffling, end."""
    from pellucid import train

    X, y = job.workload.data(job.dtype)
    network = job.workload.network(job.dtype)
    stopwatch.epochs_per_call = EPOCHS_PER_CALL
    while True:
        stopwatch()
        history = train(network, X.T, y, **_settings(job), epochs=EPOCHS_PER_CALL)
        note_engine(stopwatch, history)


def note_engine(stopwatch: Stopwatch, history: Any) -> None:
    """Note engine, why no faster one, and SIMD level; once, as it takes longer than some epochs."""
    if "engine" in stopwatch.info:
        return
    told = {"engine": history.engine, "engine_note": history.engine_note}
    if history.engine != "reference":
        from pellucid.engines.simd import load_level

        told["simd"] = load_level().level
    stopwatch.info |= {name: text for name, text in told.items() if text}


def _settings(job: Job) -> dict[str, Any]:
    return {
        "loss": "categorical_cross_entropy",
        "optimizer": job.optimizer,
        "learning_rate": LEARNING_RATE,
        "batch_size": job.workload.batch,
        "n_threads": job.threads or None,
        "seed": 0,
    }


def pellucid_mlp(job: Job, stopwatch: Stopwatch) -> None:
    """The drop-in, as scikit-learn's users call it."""
    from pellucid import Callback, MLPClassifier

    class EpochGate(Callback):
        writes = False

        def on_epoch_begin(self, run: Any) -> None:
            note_engine(stopwatch, run.history)
            stopwatch()

    warnings.simplefilter("ignore")
    X, y = job.workload.data(job.dtype)
    settings = mlp_settings(job) | {"n_threads": job.threads or None}
    MLPClassifier(**settings | {"max_iter": 1}).fit(X, y)
    MLPClassifier(**settings, callbacks=[EpochGate()]).fit(X, y)


def sklearn(job: Job, stopwatch: Stopwatch) -> None:
    """scikit-learn's MLPClassifier; it draws parameters and orders itself."""
    from sklearn.neural_network import MLPClassifier

    if not hasattr(MLPClassifier, "_update_no_improvement_count"):
        raise Skip("this scikit-learn has no place to take the time of an epoch")

    class Timed(MLPClassifier):
        def _update_no_improvement_count(self, *args: Any) -> None:
            super()._update_no_improvement_count(*args)
            stopwatch.info.setdefault("first_loss", float(self.loss_))
            stopwatch()

    warnings.simplefilter("ignore")
    X, y = job.workload.data(job.dtype)
    MLPClassifier(**mlp_settings(job) | {"max_iter": 1}).fit(X, y)
    Timed(**mlp_settings(job)).fit(X, y)


def mlp_settings(job: Job) -> dict[str, Any]:
    """Return what both MLPClassifiers are asked for: epochs without end."""
    return {
        "hidden_layer_sizes": job.workload.sizes[1:-1],
        "batch_size": job.workload.batch,
        "learning_rate_init": LEARNING_RATE,
        "max_iter": 10**9,
        "tol": 0.0,
        "n_iter_no_change": 10**9,
        "random_state": 0,
    }


def matrix_product(job: Job, stopwatch: Stopwatch) -> None:
    """A large matrix product by NumPy's BLAS."""
    n = 1536
    random = np.random.default_rng(0)
    A = random.standard_normal((n, n)).astype(job.dtype)
    B = random.standard_normal((n, n)).astype(job.dtype)
    C = A @ B
    stopwatch.info["flops"] = 2 * n**3
    while True:
        stopwatch()
        np.matmul(A, B, out=C)


def fma(job: Job, stopwatch: Stopwatch) -> None:
    """The engine's loop of fused multiply-adds, where it has one."""
    measure = engine_hook("fma_gflops")
    if measure is None:
        raise Skip("the engine offers no such loop")
    while True:
        stopwatch()
        gflops = measure(job.dtype, job.threads or cpu_count(), 0.05)
        stopwatch.info["gflops_best"] = max(gflops, stopwatch.info.get("gflops_best", 0.0))


def optimizer_pass(job: Job, stopwatch: Stopwatch) -> None:
    """The optimizer alone on as many parameters, where the engine offers it."""
    measure = engine_hook("optimizer_seconds")
    if measure is None:
        raise Skip("the engine offers no such pass")
    passes: list[float] = []
    while True:
        stopwatch()
        passes.append(
            measure(job.optimizer, job.workload.n_parameters, job.dtype, job.threads or cpu_count())
        )
        stopwatch.info["pass_us"] = 1e6 * float(np.median(passes))


def memory(job: Job, stopwatch: Stopwatch) -> None:
    """What ``train`` adds to the resident memory, every tenth row for validation."""
    from pellucid import train

    def fit(X: np.ndarray, y: np.ndarray) -> None:
        rows = np.arange(0, len(y), 10)
        train(
            job.workload.network(job.dtype),
            X.T,
            y,
            **_settings(job),
            epochs=1,
            validation_rows=rows,
        )

    _memory_of(fit, job, stopwatch)


def memory_mlp(job: Job, stopwatch: Stopwatch) -> None:
    """The same of the drop-in with early stopping."""
    from pellucid import MLPClassifier

    def fit(X: np.ndarray, y: np.ndarray) -> None:
        settings = mlp_settings(job) | {"max_iter": 1}
        MLPClassifier(**settings, early_stopping=True, n_threads=job.threads or None).fit(X, y)

    warnings.simplefilter("ignore")
    _memory_of(fit, job, stopwatch)


def _memory_of(fit: Any, job: Job, stopwatch: Stopwatch) -> None:
    """Resident memory before the training, its highest during it, from Linux's own books."""
    fit(*job.workload.with_steps(10).data())  # loads what is to be loaded
    X, y = job.workload.data()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
        before = _status("VmRSS")
        start = time.perf_counter()
        fit(X, y)
        seconds = time.perf_counter() - start
        added = _status("VmHWM") - before
    except OSError:
        raise Skip("this system does not tell the highest resident memory") from None
    stopwatch.finish(data_mb=(X.nbytes + y.nbytes) / 1e6, added_mb=added / 1e6, seconds=seconds)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise OSError(field)


def row_pellucid(job: Job, stopwatch: Stopwatch) -> None:
    """``Network.forward`` of one example."""
    network, x = job.workload.network(job.dtype), np.ones((job.workload.sizes[0], 1), job.dtype)
    repeat(partial(network.forward, x), stopwatch)


def row_pellucid_mlp(job: Job, stopwatch: Stopwatch) -> None:
    """``predict_proba`` of one row, the drop-in's."""
    from pellucid import MLPClassifier

    _row_mlp(MLPClassifier, job, stopwatch)


def row_sklearn(job: Job, stopwatch: Stopwatch) -> None:
    """``predict_proba`` of one row, scikit-learn's."""
    from sklearn.neural_network import MLPClassifier

    _row_mlp(MLPClassifier, job, stopwatch)


def _row_mlp(kind: Any, job: Job, stopwatch: Stopwatch) -> None:
    warnings.simplefilter("ignore")
    X, y = job.workload.data(job.dtype)
    estimator = kind(**mlp_settings(job) | {"max_iter": 1}).fit(X, y)
    repeat(partial(estimator.predict_proba, X[:1].copy()), stopwatch)
