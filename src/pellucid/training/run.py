"""What a training is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from pellucid._shown import plain
from pellucid.checks import is_number
from pellucid.engines.contract import Examples, Objective, State
from pellucid.history import History
from pellucid.losses import is_custom
from pellucid.metrics import Metric
from pellucid.network import Network
from pellucid.optimizers import Optimizer
from pellucid.schedules import Schedule
from pellucid.training.augment import Augment
from pellucid.training.orders import Order


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
class Run:
    """A training under way, as callbacks see it.

    ``epoch`` counts the epochs done, ``J`` is the cost of the latest; ``learning_rate`` is alpha
    before the schedule and may be set; ``state`` is the optimizer's memory, before and after;
    ``best`` holds the parameters of the best epoch so far; ``validation_output`` is A[L] of the
    validation data after the latest epoch; ``augment`` what is done to the training examples;
    ``memory`` is what the schedule and the early stopping
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
    augment: Augment | None = None
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
            "augment": None if self.augment is None else self.augment.spec(),
            "seed": self.seed,
        }

    def stop(
        self, message: str = "a callback stopped the training", reason: str = "callback"
    ) -> None:
        """End the training after the present hook."""
        self.history.stopped, self.history.message = reason, message
