"""Whole fits of both MLPClassifiers, as their users call them; see fits.py.

The first fit of a process is not counted: it loads what is to be loaded, and the allocator and the
threads settle.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

from contestants import mlp_settings
from machine import ForeignLoad
from stopwatch import Stopwatch
from workloads import Job

EPOCHS = 200
WARM_EPOCHS = 20
"""Of the first fit, of the same size as those that count."""
SECONDS = 0.3
"""Fits are repeated for so long; one at least."""


def pellucid(job: Job, stopwatch: Stopwatch) -> None:
    """The drop-in."""
    from pellucid import MLPClassifier

    _fits(MLPClassifier, job, stopwatch, n_threads=job.threads or None)


def sklearn(job: Job, stopwatch: Stopwatch) -> None:
    """scikit-learn's."""
    from sklearn.neural_network import MLPClassifier

    _fits(MLPClassifier, job, stopwatch)


def _fits(kind: Any, job: Job, stopwatch: Stopwatch, **more: Any) -> None:
    """Answer with the seconds of each fit, and what says that both did the same."""
    warnings.simplefilter("ignore")
    X, y = job.workload.data(job.dtype)
    settings = mlp_settings(job) | {"n_iter_no_change": EPOCHS, "max_iter": EPOCHS} | more
    kind(**settings | {"max_iter": WARM_EPOCHS}).fit(X, y)
    seconds: list[float] = []
    load, began = ForeignLoad(), time.process_time()
    while not seconds or sum(seconds) < SECONDS:
        estimator = kind(**settings)
        start = time.perf_counter()
        estimator.fit(X, y)
        seconds.append(time.perf_counter() - start)
    stopwatch.finish(
        seconds=seconds,
        epochs=int(estimator.n_iter_),
        loss=float(estimator.loss_),
        cores_others=load.cores(time.process_time() - began),
    )
