"""Statistics: taken while training, at fixed epochs and never by the clock, for a diagnosis."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from pellucid import philox
from pellucid.callbacks import Callback
from pellucid.losses import Loss, one_hot
from pellucid.network import Network
from pellucid.training import facts
from pellucid.training.measure import measure, norm, score

if TYPE_CHECKING:
    from pellucid.training import Run

PROBE = 128
"""Examples that are looked at at most, the same ones each time; of small data a sixteenth."""
SHARE = 0.0012
"""Of all the examples that a training passes through the network, so many are looked at."""
FEWEST, MOST = 3, 16
"""How often statistics are taken."""
LAYERS = 100
"""Of all layers at all times together, so many statistics are kept, where that leaves FEWEST."""
REMEMBERED = 2**16
"""Weights of the start that are kept to see how far they move."""
ROWS = (192, 1000)
"""Rows from which the facts of the data are taken, least and most; between them by the work."""


class StatisticsCallback(Callback):
    """Takes what :func:`pellucid.diagnose` reads, into ``history.statistics`` and ``.facts``.

    Every training has one, unless it is told ``statistics=False``. Statistics of the layers are
    taken before the first step, after the first epoch and the last, and between them up to 13
    times, more often at the beginning: always at the same epochs for the same settings. Each time
    costs one pass over 32 to 128 examples. At the end it gathers what the data and the answers to
    them are like, from 192 to 1000 rows: the shares of the classes, what stands out of the columns,
    the scores and those of simple learners. No row of the data is kept, and nothing that is learned
    changes.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import Dense, Network, train
    >>> net = Network([Dense(4, "tanh"), Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> X = np.array([[0, 0, 1, 1], [0, 1, 0, 1.0]])
    >>> history = train(net, X, [0, 1, 1, 0], loss="bce", epochs=8)
    >>> [each["epoch"] for each in history.statistics], history.facts["target"]["shares"]
    ([0, 1, 8], [0.5, 0.5])
    """

    writes = False

    def on_train_begin(self, run: Run) -> None:
        """Choose the examples, and take the first statistics."""
        self._rows = _probed(run.data.m, run.seed, run.network.n_inputs)
        if run.data.rows is not None:
            self._rows = run.data.rows[self._rows]
        self._start: dict[str, NDArray[Any]] = {}
        budget = SHARE * run.epochs * run.data.m / len(self._rows)
        count = int(max(FEWEST, min(budget, MOST, LAYERS // run.network.L))) - 1
        self._epochs = {round(run.epochs ** (k / (count - 1))) for k in range(count)}
        self._take(run)
        self._start = start_of(run.network)

    def on_epoch_end(self, run: Run) -> None:
        """Take statistics where it is their turn."""
        if run.epoch in self._epochs:
            self._take(run)

    def on_train_end(self, run: Run) -> None:
        """Take the last statistics, of the parameters that are kept, and the facts."""
        last = run.history.statistics[-1]["epoch"]
        if run.epoch > last or run.history.stopped == "diverged":
            self._take(run)
        work = sum(W.size for W in run.network.parameters.values()) * run.data.m * run.epoch
        rows = int(min(max(math.cbrt(work / 100), ROWS[0]), ROWS[1]))
        with one_thread():
            run.history.facts = facts.of_run(run, rows).to_dict()
        self._start = {}

    def _take(self, run: Run) -> None:
        few = examples_at(self._rows, run.data.X, run.data.Y, run.network)
        found = sample(run.network, few, run.objective.loss, self._start)
        if run.validation is not None and run.validation_output is not None:
            found["val_score"] = score(run.validation.targets, run.validation_output)
        run.history.statistics.append(
            {"epoch": run.epoch, "step": run.epoch * run.steps_per_epoch, **found}
        )


def with_statistics(callbacks: Iterable[Callback], wanted: bool) -> list[Callback]:
    """Return the callbacks, and one that takes statistics where it is wanted and not there."""
    given = list(callbacks)
    there = any(isinstance(each, StatisticsCallback) for each in given)
    return [StatisticsCallback(), *given] if wanted and not there else given


def sample(
    network: Network,
    few: tuple[NDArray[Any], NDArray[Any]],
    loss: Loss,
    start: Mapping[str, NDArray[Any]],
) -> dict[str, Any]:
    """Return the statistics of a few examples, and how far each W is from where it started.

    ``start`` holds the weights that :func:`start_of` chose; empty, the training has not begun.
    """
    with one_thread():
        found = measure(network, *few, loss)
    parameters = network.parameters
    for layer in found["layers"]:
        name = f"W{layer['layer']}"
        moved = _relative(_some(parameters[name]), start[name]) if start else 0.0
        layer["moved_since_start"] = moved
        layer |= {k: float(f"{v:.6g}") for k, v in layer.items() if isinstance(v, float)}
    return found


def start_of(network: Network) -> dict[str, NDArray[Any]]:
    """Return some of each W, to see later how far it has moved."""
    return {k: _some(W).copy() for k, W in network.parameters.items() if k[0] == "W"}


def _some(W: NDArray[Any]) -> NDArray[Any]:
    """Evenly spaced entries of a large W, all of a small one."""
    return W.ravel("K")[:: -(-W.size // REMEMBERED)]


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
    chosen = _probed(X.shape[1] if rows is None else len(rows), seed, X.shape[0])
    return examples_at(chosen if rows is None else rows[chosen], X, Y, network)


def _probed(m: int, seed: int, n_inputs: int) -> NDArray[np.int64]:
    """Which of m examples are looked at: of very wide ones fewer."""
    count = min(m, PROBE, max(32, m // 16), max(8, 2**18 // n_inputs))
    return np.sort(philox.permutation(seed, m, stream=philox.SPLIT)[:count])


def examples_at(
    rows: NDArray[np.integer[Any]], X: Any, Y: NDArray[Any], network: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return those columns of X and Y as arrays of the network's dtype, classes one-hot."""
    X = X[:, rows]
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=network.dtype)
    Y = one_hot(Y[rows], network.n[-1], network.dtype) if Y.ndim == 1 else Y[:, rows]
    return np.asfortranarray(X), np.asfortranarray(Y.astype(network.dtype))


def _relative(now: NDArray[Any], before: NDArray[Any]) -> float:
    """|now - before| / |before|."""
    size, change = norm(before), norm(now - before)
    return change / size if size > 0 else float(change > 0)
