"""Convolutional and recurrent networks: pellucid, and ONNX Runtime with what it exported.

Each is a function ``contestant(job, stopwatch)``, see :mod:`stopwatch`; the job's workload is a
Task. All start from the weights of ``Task.network`` and are checked by their outputs.
"""

from __future__ import annotations

import dataclasses
import tempfile
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import networks_accuracy
import numpy as np
from contestants import note_engine
from stopwatch import Stopwatch
from variants import repeat
from workloads import LEARNING_RATE, Job, columns

from pellucid import engines
from pellucid.engines.threads import threads_asked
from pellucid.losses import loss
from pellucid.optimizers import optimizer
from pellucid.training import examples

SEEDS = (0, 1, 2)


def session(job: Job, stopwatch: Stopwatch) -> None:
    """The bare steps of the engine that ``train`` takes, epoch by epoch."""
    task = job.workload
    X, y = task.data(job.dtype)
    network = task.network(job.dtype)
    task.check(X[: task.batch], network.forward(columns(X[: task.batch])).T)
    J = loss("categorical_cross_entropy")
    work = engines.Job(network, engines.Objective(J), optimizer(job.optimizer), task.batch)
    engine, note = engines.choose_engine("auto", work)
    note_engine(stopwatch, SimpleNamespace(engine=engine.name, engine_note=note))
    work = dataclasses.replace(work, n_threads=job.threads or threads_asked())
    steps = partial(
        engine.start(work).run,
        examples(network, columns(X), y.T, J),
        first=0,
        last=task.steps,
        learning_rate=np.full(task.steps, LEARNING_RATE),
    )
    orders = cycle(task.orders())
    costs = steps(order=next(orders)).tolist()
    task.check_costs(costs)
    stopwatch.info["first_loss"] = mean(costs)
    for order in orders:
        stopwatch()
        steps(order=order)


def row(job: Job, stopwatch: Stopwatch) -> None:
    """``Network.forward`` of one example."""
    network = job.workload.network(job.dtype)
    x, _ = job.workload.with_steps(1).data(job.dtype)
    job.workload.check(x[:1], network.forward(columns(x[:1])).T)
    repeat(partial(network.forward, columns(x[:1])), stopwatch)


def row_onnx(job: Job, stopwatch: Stopwatch) -> None:
    """ONNX Runtime with the exported file."""
    import onnxruntime

    from pellucid.export import export

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(job.workload.network(job.dtype), path)
        run = onnxruntime.InferenceSession(path, options).run
    X, _ = job.workload.with_steps(1).data(job.dtype)
    x = columns(X[:1]).T.copy()
    job.workload.check(X[:1], run(["probabilities"], {"X": x})[0])
    repeat(partial(run, ["probabilities"], {"X": x}), stopwatch)


def mnist(job: Job, stopwatch: Stopwatch) -> None:
    """Whole calls of ``train``: LeNet-5 on MNIST, as in accuracy.md, once for each seed."""
    task = networks_accuracy.TASKS["mnist"]
    parts = task.read()
    fits = [
        networks_accuracy.fit(task.layers(), task.settings, seed, parts, "auto") for seed in SEEDS
    ]
    stopwatch.finish(fits=fits, settings=task.settings)
