"""What a training is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid._shown import plain
from pellucid.checks import is_number
from pellucid.engines import Objective
from pellucid.engines.base import Data, State
from pellucid.history import History
from pellucid.losses import is_custom
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
        if not is_number(self.patience, infinite=True):
            raise TypeError(
                f"EarlyStopping: patience must be a number; got {plain(self.patience)!r}."
            )
        if not is_number(self.min_delta, infinite=True):
            raise TypeError(
                f"EarlyStopping: min_delta must be a number; got {plain(self.min_delta)!r}."
            )
        if not self.patience >= 1:
            raise ValueError(
                f"EarlyStopping: patience must be 1 or more; got {plain(self.patience)!r}."
            )
        if not self.min_delta >= 0:
            raise ValueError(
                f"EarlyStopping: min_delta must be 0 or more; got {plain(self.min_delta)!r}."
            )


@dataclass
class Examples:
    """Examples as an engine takes them: X (n[0], M), Y (n[L], M) or M class numbers, weights.

    Where ``rows`` is not None, they are these m of the M columns, in this order: training and
    validation examples may lie in the same X, and neither part is copied.

    >>> X, Y = np.array([[1.0, 2.0, 3.0]]), np.array([0, 1, 2])
    >>> Examples(X, Y, rows=np.array([2, 0])).targets
    array([2, 0])
    """

    X: Data
    Y: NDArray[Any]
    weight: NDArray[Any] | None = None
    rows: NDArray[np.integer[Any]] | None = None
    class_weight: list[float] | None = field(default=None, compare=False)
    """The factor of each class, where that is all that weighs the examples."""

    @property
    def m(self) -> int:
        """The number of examples."""
        return int(self.X.shape[1]) if self.rows is None else len(self.rows)

    @property
    def targets(self) -> NDArray[Any]:
        """Y of these examples alone."""
        return self.Y if self.rows is None else self.Y[..., self.rows]

    @property
    def weights(self) -> NDArray[Any] | None:
        """The weights of these examples alone."""
        return self.weight if self.rows is None or self.weight is None else self.weight[self.rows]

    def columns(self, order: NDArray[np.integer[Any]] | None) -> NDArray[np.integer[Any]] | None:
        """Return which columns of X an order of these examples stands for."""
        if self.rows is None or order is None:
            return order if self.rows is None else self.rows
        columns: NDArray[np.integer[Any]] = self.rows[order]
        return columns

    def parts(self, *rows: NDArray[np.integer[Any]], dtype: np.dtype[Any]) -> list[Examples]:
        """Return the training part and the validation part of these examples."""
        parts = [Examples(self.X, self.Y, self.weight, each) for each in rows]
        for part, name in zip(parts, ("training", "validation"), strict=True):
            check_weights(part.weights, part.m, dtype, f"sample_weight of the {name} part")
        return parts

    def multiply_weights(self, factors: NDArray[Any], dtype: np.dtype[Any]) -> None:
        """Multiply each example's weight by the factor of its class."""
        w = self.weights
        if w is None and (self.Y.ndim == 1 or len(self.Y) == 1):
            classes, first = np.unique(self.targets, return_index=True)
            if np.array_equal(classes, np.arange(len(classes))):
                self.class_weight = factors[first].astype(float).tolist()
        product = factors if w is None else w.astype(np.float64) * factors
        w = check_weights(product, self.m, dtype, "sample_weight times class_weight")
        if self.rows is None or w is None:
            self.weight = w
        else:
            self.weight = np.zeros(self.X.shape[1], dtype)
            self.weight[self.rows] = w


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

    def note_settings(self) -> None:
        """Keep in the history what was asked for, as plain data, and a loss that has no name."""
        loss = self.objective.loss
        self.history.own_loss = loss if is_custom(loss) else None
        self.history.settings = {
            "loss": self.objective.loss.spec(),
            "optimizer": self.optimizer.spec(),
            "schedule": self.schedule.spec(),
            "learning_rate": float(self.learning_rate),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "examples": self.data.m,
            "validation_examples": self.validation.m if self.validation else 0,
            "l1": float(self.objective.l1),
            "l2": float(self.objective.l2),
            "penalty_per_weight": self.objective.penalty_per_weight,
            "class_weight": self.data.class_weight,
            "early_stopping": self.stopping.patience if self.stopping else None,
            "label_smoothing": self.objective.label_smoothing,
            "clip_norm": self.objective.clip_norm,
            "clip_value": self.objective.clip_value,
            "seed": self.seed,
        }

    def stop(
        self, message: str = "a callback stopped the training", reason: str = "callback"
    ) -> None:
        """End the training after the present hook."""
        self.history.stopped, self.history.message = reason, message
