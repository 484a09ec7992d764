"""What a training is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engines import Objective
from pellucid.engines.base import Data, State
from pellucid.history import History
from pellucid.metrics import Metric
from pellucid.network import Network, check_weights
from pellucid.optimizers import Optimizer
from pellucid.schedules import Schedule


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a curve has not improved for ``patience`` epochs.

    Attributes
    ----------
    patience : int
        Epochs to wait for an improvement.
    monitor : str or None
        A curve of the history; None: "val_loss" with validation data, else "loss".
    min_delta : float
        What counts as an improvement.
    restore_best : bool
        Give the network the parameters of its best epoch at the end.

    Examples
    --------
    >>> EarlyStopping(patience=5, monitor="val_accuracy").patience
    5
    """

    patience: int = 10
    monitor: str | None = None
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.patience, bool) or not isinstance(self.patience, Real):
            raise TypeError(f"EarlyStopping: patience must be a number; got {self.patience!r}.")
        if isinstance(self.min_delta, bool) or not isinstance(self.min_delta, Real):
            raise TypeError(f"EarlyStopping: min_delta must be a number; got {self.min_delta!r}.")
        if not self.patience >= 1:
            raise ValueError(f"EarlyStopping: patience must be 1 or more; got {self.patience!r}.")
        if not self.min_delta >= 0:
            raise ValueError(f"EarlyStopping: min_delta must be 0 or more; got {self.min_delta!r}.")


@dataclass
class Examples:
    """Examples as an engine takes them: X (n[0], m), Y (n[L], m) or m class numbers, weights."""

    X: Data
    Y: NDArray[Any]
    weight: NDArray[Any] | None = None

    @property
    def m(self) -> int:
        """The number of examples."""
        return int(self.X.shape[1])

    def some(self, rows: NDArray[np.integer[Any]]) -> Examples:
        """Return these examples, copied."""
        Y = self.Y[rows] if self.Y.ndim == 1 else self.Y[:, rows]
        return Examples(self.X[:, rows], Y, None if self.weight is None else self.weight[rows])

    def multiply_weights(self, factors: NDArray[Any], dtype: np.dtype[Any]) -> None:
        """Multiply each example's weight by the factor of its class."""
        product = factors if self.weight is None else self.weight.astype(np.float64) * factors
        self.weight = check_weights(product, self.m, dtype, "sample_weight times class_weight")


Order = Callable[[int], "NDArray[np.integer[Any]] | None"]
"""From an epoch, counted from 0, to the order of its examples; None is their own order."""


@dataclass
class Run:
    """A training under way, as callbacks see it.

    ``epoch`` counts the epochs done, ``J`` is the cost of the latest; ``learning_rate`` is alpha
    before the schedule and may be set; ``state`` is the optimizer's memory, before and after;
    ``best`` holds the parameters of the best epoch so far; ``validation_output`` is A[L] of the
    validation data after the latest epoch; ``memory`` is what the schedule and the early stopping
    remember.
    """

    network: Network
    data: Examples
    objective: Objective
    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    epochs: int
    batch_size: int
    seed: int
    order: Order
    validation: Examples | None = None
    metrics: list[Metric] = field(default_factory=list)
    stopping: EarlyStopping | None = None
    state: State | None = None
    history: History = field(default_factory=History)
    epoch: int = 0
    J: float = math.nan
    best: dict[str, NDArray[Any]] = field(default_factory=dict)
    validation_output: NDArray[Any] | None = None
    memory: dict[str, dict[str, float]] = field(
        default_factory=lambda: {"schedule": {}, "stopping": {}}
    )

    @property
    def steps_per_epoch(self) -> int:
        """Mini-batches an epoch; the last one may be smaller."""
        return -(-self.data.m // self.batch_size)

    @property
    def monitor(self) -> str:
        """The curve that early stopping watches; schedules get the validation or training loss."""
        if self.stopping is not None and self.stopping.monitor:
            return self.stopping.monitor
        return "val_loss" if self.validation is not None else "loss"

    def stop(
        self, message: str = "a callback stopped the training", reason: str = "callback"
    ) -> None:
        """End the training after the present hook."""
        self.history.stopped, self.history.message = reason, message
