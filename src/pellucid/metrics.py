"""Metrics: numbers for people, beside the loss that training minimises.

One table, :data:`METRICS`. A metric compares targets Y, (n[L], m) or m class numbers, with the
outputs A[L], (n[L], m).

>>> METRICS["accuracy"](np.array([[1, 0]]), np.array([[0.9, 0.6]]))
0.5
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import did_you_mean
from pellucid.losses import one_hot


@dataclass(frozen=True)
class Metric:
    """A metric: its name, its function of (Y, A), and whether more is better.

    Class numbers come to the function as one-hot columns, unless it ``takes_labels``.
    """

    name: str
    function: Callable[[NDArray[Any], NDArray[Any]], float]
    more_is_better: bool
    takes_labels: bool = False
    aliases: tuple[str, ...] = ()

    def __call__(self, Y: NDArray[Any], A: NDArray[Any]) -> float:
        if Y.ndim == 1 and A.shape[0] == 1:
            Y = Y[np.newaxis]
        elif Y.ndim == 1 and not self.takes_labels:
            Y = one_hot(Y, A.shape[0], A.dtype)
        return float(self.function(Y, A))


def _accuracy(Y: NDArray[Any], A: NDArray[Any]) -> float:
    """The share of examples whose class (or whose every label) is right."""
    if A.shape[0] > 1 and Y.ndim == 1:
        return float(np.mean(A.argmax(axis=0) == Y))
    if A.shape[0] > 1 and np.all(Y.sum(axis=0) == 1) and np.allclose(A.sum(axis=0), 1, atol=1e-3):
        return float(np.mean(A.argmax(axis=0) == Y.argmax(axis=0)))
    return float(np.mean(np.all((A >= 0.5) == (Y >= 0.5), axis=0)))


def _r2(Y: NDArray[Any], A: NDArray[Any]) -> float:
    """1 - sum (y - a)^2 / sum (y - mean y)^2, averaged over outputs; NaN where y is constant."""
    Y = np.asarray(Y, dtype=np.float64)
    spread = np.sum((Y - Y.mean(axis=1, keepdims=True)) ** 2, axis=1)
    residual = np.sum((Y - A) ** 2, axis=1)
    return float(np.mean(1 - residual / np.where(spread > 0, spread, np.nan)))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", _accuracy, True, takes_labels=True),
        Metric("r2", _r2, True),
        Metric(
            "root_mean_squared_error",
            lambda Y, A: float(np.sqrt(np.mean((Y - A) ** 2, dtype=np.float64))),
            False,
            aliases=("rmse",),
        ),
        Metric(
            "mean_absolute_error",
            lambda Y, A: float(np.mean(np.abs(Y - A), dtype=np.float64)),
            False,
            aliases=("mae",),
        ),
    )
}
"""Every metric by its name. A new one is a line here."""


def metric(spec: str | Metric) -> Metric:
    """Return the metric that a name or a Metric stands for.

    >>> metric("r2").more_is_better, metric("mae").name
    (True, 'mean_absolute_error')
    """
    if isinstance(spec, Metric):
        return spec
    for known in METRICS.values():
        if isinstance(spec, str) and spec in (known.name, *known.aliases):
            return known
    names = [name for known in METRICS.values() for name in (known.name, *known.aliases)]
    raise ValueError(
        f"unknown metric {spec!r}{did_you_mean(spec, names)}. Known are: {', '.join(METRICS)}."
    )
