"""Schedules: the learning rate over the steps of a training.

One table, :data:`SCHEDULES`. An entry says what the learning rate is multiplied with at a step;
``steps`` are numbered from 0, an epoch has ``steps_per_epoch`` of them, the training ``total``.

>>> schedule("cosine").factor(np.array([0, 5, 10]), steps_per_epoch=1, total=10)
array([1. , 0.5, 0. ])
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pellucid._catalogue import Entry, lookup

Steps = NDArray[np.integer[Any]]
Factors = NDArray[np.float64]


@dataclass(frozen=True)
class Schedule(Entry):
    """The factor of the learning rate at each step; one entry of :data:`SCHEDULES`."""

    kind: ClassVar[str] = "schedule"

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        """Return the factor at each of these steps."""
        raise NotImplementedError

    def after_epoch(self, state: dict[str, float], value: float) -> float:
        """Return a further factor for the epochs to come, from a curve's new value.

        ``state`` is the schedule's memory, empty at the start; ``value`` is the validation loss,
        or the training loss where there are no validation data. 1 unless the schedule listens.
        """
        return 1.0


@dataclass(frozen=True)
class Constant(Schedule):
    """alpha_t = alpha."""

    name = "constant"
    formula = "alpha"

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        return np.ones(len(steps))


@dataclass(frozen=True)
class Step(Schedule):
    """alpha_t = alpha * rate^floor(epoch / every)."""

    rate: float = 0.1
    every: int = 30

    name = "step"
    formula = "alpha rate^floor(epoch / every)"

    def __post_init__(self) -> None:
        self._require(0 < self.rate <= 1, "rate", "above 0 and at most 1")
        self._require(self.every >= 1, "every", "1 or more epochs")

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        return self.rate ** (steps // (self.every * steps_per_epoch)).astype(float)


@dataclass(frozen=True)
class Exponential(Schedule):
    """alpha_t = alpha * rate^(t / steps per epoch)."""

    rate: float = 0.97

    name = "exponential"
    formula = "alpha rate^(t / steps per epoch)"

    def __post_init__(self) -> None:
        self._require(0 < self.rate <= 1, "rate", "above 0 and at most 1")

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        return self.rate ** (steps / steps_per_epoch)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """alpha_t = alpha / (1 + t)^power."""

    power: float = 0.5

    name = "inverse_scaling"
    formula = "alpha / (1 + t)^power"

    def __post_init__(self) -> None:
        self._require(self.power >= 0, "power", "0 or more")

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        return (1.0 + steps.astype(np.float64)) ** -self.power


@dataclass(frozen=True)
class Cosine(Schedule):
    """alpha_t = alpha * (final + (1 - final) (1 + cos(pi t / T)) / 2). Loshchilov, Hutter 2017."""

    final: float = 0.0

    name = "cosine"
    formula = "alpha (final + (1 - final) (1 + cos(pi t / T)) / 2)"

    def __post_init__(self) -> None:
        self._require(0 <= self.final <= 1, "final", "between 0 and 1")

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        return self.final + (1 - self.final) * 0.5 * (1 + np.cos(np.pi * steps / total))


@dataclass(frozen=True)
class CosineLog(Schedule):
    """alpha_t = alpha (1 - cos(2 pi log2(1 + (2^cycles - 1) t / T))) / 2.

    It goes from 0 up to alpha and down to 0 again ``cycles`` times, each time over twice as many
    steps: there are good epochs to stop at early and late. Holzmueller, Grinsztajn, Steinwart 2024,
    arXiv:2407.04491.
    """

    cycles: int = 4

    name = "cosine_log"
    formula = "alpha (1 - cos(2 pi log2(1 + (2^cycles - 1) t / T))) / 2"

    def __post_init__(self) -> None:
        self._require(1 <= self.cycles <= 30, "cycles", "1 to 30")

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        turns = np.log2(1 + (2**self.cycles - 1) * (steps / total))
        factors: Factors = 0.5 * (1 - np.cos(2 * np.pi * turns))
        return factors


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from alpha / start to alpha in a share of the steps, then by a cosine to alpha / end.

    Smith, Topin 2019, arXiv:1708.07120.
    """

    share: float = 0.3
    start: float = 25.0
    end: float = 1e4

    name = "one_cycle"
    formula = "alpha/start to alpha over share T steps, then by a cosine to alpha/end"

    def __post_init__(self) -> None:
        self._require(0 < self.share < 1, "share", "between 0 and 1")
        self._require(self.start >= 1, "start", "1 or more")
        self._require(self.end >= 1, "end", "1 or more")

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        peak = self.share * total
        up = _cosine(1 / self.start, 1.0, steps / peak)
        down = _cosine(1.0, 1 / self.end, (steps - peak) / (total - peak))
        return np.where(steps < peak, up, down)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """alpha times rate whenever the loss has not fallen for ``patience`` epochs."""

    rate: float = 0.2
    patience: int = 5
    min_delta: float = 1e-4

    name = "reduce_on_plateau"
    formula = "alpha rate^(plateaus so far)"

    def __post_init__(self) -> None:
        self._require(0 < self.rate < 1, "rate", "between 0 and 1")
        self._require(self.patience >= 1, "patience", "1 or more epochs")
        self._require(self.min_delta >= 0, "min_delta", "0 or more")

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        return np.ones(len(steps))

    def after_epoch(self, state: dict[str, float], value: float) -> float:
        if value < state.get("best", math.inf) - self.min_delta:
            state["best"], state["waited"] = value, 0
            return 1.0
        state["waited"] = state.get("waited", 0) + 1
        if state["waited"] < self.patience:
            return 1.0
        state["waited"] = 0
        return self.rate


@dataclass(frozen=True)
class WarmUp(Schedule):
    """alpha_t = alpha * (t + 1) / (epochs * steps per epoch), then another schedule."""

    epochs: float = 1.0
    then: Any = "constant"

    name = "warm_up"
    formula = "alpha min(1, (t + 1) / warm steps), then another schedule"

    def __post_init__(self) -> None:
        self._require(self.epochs > 0, "epochs", "above 0")
        schedule(self.then)

    def spec(self) -> str | dict[str, Any]:
        return {"name": self.name, "epochs": self.epochs, "then": schedule(self.then).spec()}

    def factor(self, steps: Steps, *, steps_per_epoch: int, total: int) -> Factors:
        warm = max(1, round(self.epochs * steps_per_epoch))
        after = schedule(self.then).factor(
            np.maximum(steps - warm, 0),
            steps_per_epoch=steps_per_epoch,
            total=max(1, total - warm),
        )
        return np.where(steps < warm, (steps + 1) / warm, after)

    def after_epoch(self, state: dict[str, float], value: float) -> float:
        return schedule(self.then).after_epoch(state, value)


SCHEDULES: dict[str, type[Schedule]] = {
    entry.name: entry
    for entry in (
        Constant,
        Step,
        Exponential,
        InverseScaling,
        Cosine,
        CosineLog,
        OneCycle,
        ReduceOnPlateau,
        WarmUp,
    )
}
"""Every schedule by its name. A new one is a class above and a line here."""


def schedule(spec: str | Schedule) -> Schedule:
    """Return the schedule that a name or a Schedule stands for.

    >>> schedule("step")
    Step(rate=0.1, every=30)
    """
    return lookup(SCHEDULES, spec, Schedule)


def _cosine(start: float, end: float, share: NDArray[Any]) -> Factors:
    """Go from start to end as half a cosine wave, share from 0 to 1."""
    wave: Factors = 0.5 * (1 - np.cos(np.pi * np.clip(share, 0, 1)))
    return start + (end - start) * wave
