"""Watch: a callback that takes statistics while training, at fixed steps and never by the clock."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from pellucid import philox
from pellucid.callbacks import Callback
from pellucid.insight.diagnosis.statistics import measure, norm, score
from pellucid.losses import Loss, one_hot
from pellucid.network import Network

if TYPE_CHECKING:
    from pellucid.training import Run

PROBE = 128
"""Examples that are looked at at most, the same ones each time; of small data a sixteenth."""
SHARE = 0.0025
"""Of all the examples that a training passes through the network, so many are looked at."""
FEWEST, MOST = 3, 24
"""How often statistics are taken."""


class Watch(Callback):
    """Takes the statistics that :func:`pellucid.diagnose` reads, into ``history.statistics``.

    Before the first step, after the first epoch and the last, and between them up to 21 times, more
    often at the beginning: always at the same epochs for the same settings. Each time costs one
    pass over 32 to 128 examples. It never changes what is learned.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import Dense, Network, train
    >>> from pellucid.insight import Watch
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> X = np.array([[0, 0, 1, 1], [0, 1, 0, 1.0]])
    >>> history = train(net, X, [0, 1, 1, 0], loss="bce", epochs=8, callbacks=Watch())
    >>> [each["epoch"] for each in history.statistics]
    [0, 1, 8]
    """

    writes = False

    def on_train_begin(self, run: Run) -> None:
        """Choose the examples, and take the first statistics."""
        self._probe = probe(run.data.X, run.data.Y, run.network, run.seed, run.data.rows)
        self._start: dict[str, NDArray[Any]] = {}
        budget = SHARE * run.epochs * run.data.m / self._probe[0].shape[1]
        count = int(min(max(budget, FEWEST), MOST)) - 1
        self._epochs = {round(run.epochs ** (k / (count - 1))) for k in range(count)}
        self._take(run)
        self._start = {k: v.copy("K") for k, v in run.network.parameters.items() if k[0] == "W"}

    def on_epoch_end(self, run: Run) -> None:
        """Take statistics where it is their turn."""
        if run.epoch in self._epochs:
            self._take(run)

    def on_train_end(self, run: Run) -> None:
        """Take the last statistics, of the parameters that are kept."""
        last = run.history.statistics[-1]["epoch"]
        if run.epoch > last or run.history.stopped == "diverged":
            self._take(run)

    def _take(self, run: Run) -> None:
        found = sample(run.network, self._probe, run.objective.loss, self._start)
        if run.validation is not None and run.validation_output is not None:
            found["val_score"] = score(run.validation.targets, run.validation_output)
        run.history.statistics.append(
            {"epoch": run.epoch, "step": run.epoch * run.steps_per_epoch, **found}
        )


def sample(
    network: Network,
    few: tuple[NDArray[Any], NDArray[Any]],
    loss: Loss,
    start: Mapping[str, NDArray[Any]],
) -> dict[str, Any]:
    """Return the statistics of a few examples, and how far each W is from where it started.

    An empty ``start`` is that of a training that has not begun.
    """
    with one_thread():
        found = measure(network, *few, loss)
    parameters = network.parameters
    for layer in found["layers"]:
        name = f"W{layer['layer']}"
        layer["moved_since_start"] = _relative(parameters[name], start[name]) if start else 0.0
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep matrix products in this thread meanwhile: those of a few examples lose by sharing."""
    several = [(each, n) for each in _libraries() if (n := each.get_num_threads()) > 1]
    try:
        for library, _ in several:
            library.set_num_threads(1)
        yield
    finally:
        for library, count in several:
            library.set_num_threads(count)


@functools.cache
def _libraries() -> list[Any]:
    """The BLAS that are loaded; to look them up takes longer than to take statistics."""
    # threadpoolctl's own limit() asks each for all it knows, which takes as long as a forward pass
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def probe(
    X: Any,
    Y: NDArray[Any],
    network: Any,
    seed: int,
    rows: NDArray[np.integer[Any]] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return some of the examples, (n[0], k) and (n[L], k), the same for the same seed.

    ``rows`` are the columns of X to choose from; None is all of them.
    """
    m = X.shape[1] if rows is None else len(rows)
    count = min(m, PROBE, max(32, m // 16))
    chosen = np.sort(philox.permutation(seed, m, stream=philox.SPLIT)[:count])
    rows = chosen if rows is None else rows[chosen]
    X = X[:, rows]
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=network.dtype)
    Y = one_hot(Y[rows], network.n[-1], network.dtype) if Y.ndim == 1 else Y[:, rows]
    return np.asfortranarray(X), np.asfortranarray(Y.astype(network.dtype))


def _relative(now: NDArray[Any], before: NDArray[Any]) -> float:
    """|now - before| / |before|."""
    size, change = norm(before), norm(now - before)
    return change / size if size > 0 else float(change > 0)
