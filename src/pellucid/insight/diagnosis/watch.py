"""Watch: a callback that takes statistics while training, at fixed steps and never by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.callbacks import Callback
from pellucid.insight.diagnosis.statistics import measure
from pellucid.losses import one_hot

if TYPE_CHECKING:
    from pellucid.training import Run

PROBE = 256
"""Examples that are looked at, the same ones each time."""
SAMPLES = 24
"""Epochs after which statistics are taken, at most about: the first ones, then evenly spaced."""


class Watch(Callback):
    """Takes the statistics that :func:`pellucid.diagnose` reads, into ``history.statistics``.

    Before the first step, after the first epochs 1, 2, 4, 8 and then some twenty times, always at
    the same epochs for the same settings. Each time costs one pass over 256 examples.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import Dense, Network, train
    >>> from pellucid.insight import Watch
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> X = np.array([[0, 0, 1, 1], [0, 1, 0, 1.0]])
    >>> history = train(net, X, [0, 1, 1, 0], loss="bce", epochs=4, callbacks=Watch())
    >>> [each["epoch"] for each in history.statistics]
    [0, 1, 2, 3, 4]
    """

    def __init__(self) -> None:
        self._probe: tuple[NDArray[Any], NDArray[Any]] | None = None
        self._before: dict[str, NDArray[Any]] = {}
        self._start: dict[str, NDArray[Any]] = {}

    def on_train_begin(self, run: Run) -> None:
        m = run.data.m
        rows = np.sort(philox.permutation(run.seed, m, stream=philox.SPLIT)[:PROBE])
        X = run.data.X[:, rows]
        X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=run.network.dtype)
        Y = run.data.Y
        Y = one_hot(Y[rows], run.network.n[-1], run.network.dtype) if Y.ndim == 1 else Y[:, rows]
        self._probe = np.asfortranarray(X), np.asfortranarray(Y.astype(run.network.dtype))
        self._start = run.network.copy_parameters()
        self._before = self._start
        self._take(run)

    def on_epoch_end(self, run: Run) -> None:
        if self._wanted(run.epoch, run.epochs):
            self._take(run)

    def _wanted(self, epoch: int, epochs: int) -> bool:
        every = max(1, epochs // SAMPLES)
        return epoch in (1, 2, 4, 8) or epoch % every == 0 or epoch == epochs

    def _take(self, run: Run) -> None:
        assert self._probe is not None
        found, _ = measure(run.network, *self._probe, run.objective.loss)
        now = run.network.copy_parameters()
        for layer in found["layers"]:
            name = f"W{layer['layer']}"
            layer["moved"] = _relative(now[name], self._before[name])
            layer["moved_since_start"] = _relative(now[name], self._start[name])
        self._before = now
        run.history.statistics.append(
            {"epoch": run.epoch, "step": run.epoch * run.steps_per_epoch, **found}
        )


def _relative(now: NDArray[Any], before: NDArray[Any]) -> float:
    """|now - before| / |before|."""
    size = float(np.linalg.norm(before.astype(np.float64)))
    change = float(np.linalg.norm((now - before).astype(np.float64)))
    return change / size if size > 0 else float(change > 0)
