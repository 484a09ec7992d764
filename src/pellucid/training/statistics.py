"""Statistics: taken while training, at fixed epochs and never by the clock, for a diagnosis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pellucid.callbacks import Callback
from pellucid.training.kept import FEWEST, Kept
from pellucid.training.measure import PROBE, by_step, score

if TYPE_CHECKING:
    from pellucid.training import Run

SHARE = 0.005
"""The part of a training's time that statistics may take, counted in operations, not measured."""
FAST, SLOW, CALL = 6e10, 3e10, 3e-4
"""Operations a second of an engine and of NumPy, and seconds of the calls of one look."""


class StatisticsCallback(Callback):
    """Takes what :func:`pellucid.diagnose` reads, into ``history.statistics`` and ``.facts``.

    Every training has one, unless it is given ``statistics=False``. It looks at the network before
    the first step, after the first epoch and the last, and between them up to 13 times, more often
    at the beginning: always at the same epochs for the same settings. At the end it keeps up to 256
    kB of the rows, in memory only. What it has kept is evaluated when the history is read or saved:
    statistics and gradients of the layers, shares of the classes, conspicuous columns, scores and
    those of simple learners. No row goes into a pickle or a model folder, and what is learned does
    not change.

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
        """Choose the epochs, and look for the first time."""
        self._kept = Kept(run.network, run.data, run.objective.loss)
        per_example = 6 * run.network.n_parameters
        whole = per_example * run.data.m * run.epochs / FAST
        look = CALL + per_example * PROBE / SLOW
        count = int(min(max(SHARE * whole / look, FEWEST), self._kept.most(run.network))) - 1
        self._epochs = {round(run.epochs ** (k / (count - 1))) for k in range(count)}
        self._look(run)

    def next_look(self, run: Run) -> float:
        """Return the next of those epochs; a subclass may have other hooks."""
        if type(self) is not StatisticsCallback:
            return super().next_look(run)
        return min((each for each in self._epochs if each > run.epoch), default=math.inf)

    def on_epoch_end(self, run: Run) -> None:
        """Look where it is the epoch's turn."""
        if run.epoch in self._epochs:
            self._look(run)

    def on_train_end(self, run: Run) -> None:
        """Look for the last time, at the parameters that are kept, and keep some rows."""
        if run.epoch > self._last or run.history.stopped == "diverged":
            self._look(run)
        self._kept.end(run.network, run.validation)
        run.history.kept = self._kept
        del self._kept

    def _look(self, run: Run) -> None:
        when: dict[str, Any] = {"epoch": run.epoch, "step": run.epoch * run.steps_per_epoch}
        if run.validation is not None and run.validation_output is not None:
            when["val_score"] = score(*by_step(run.network, run.validation, run.validation_output))
        self._kept.look(run.network, when)
        self._last = run.epoch


def with_statistics(callbacks: Iterable[Callback], wanted: bool) -> list[Callback]:
    """Return the callbacks, and last one that takes statistics, if it is wanted and not there."""
    given = list(callbacks)
    there = any(isinstance(each, StatisticsCallback) for each in given)
    return [*given, StatisticsCallback()] if wanted and not there else given
