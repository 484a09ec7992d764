"""What the targets are like, and which score their task is judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.layers.shapes import by_place, valid_steps
from pellucid.losses import Loss, one_hot

_SQUARES = ("half_squared_error", "mean_squared_error")
SMALL = 4096
"""So few numbers go faster into a set than through NumPy's sorting."""
_LEVELS = (0.01, 0.02, *np.linspace(0.05, 0.95, 19), 0.98, 0.99)
"""Quantiles of the targets among which the best constant answer is looked for."""


@dataclass
class Target:
    """What the targets are like."""

    task: str
    """"binary", "multiclass" or "regression"."""
    values: int
    """How many different ones."""
    low: float
    high: float
    scale: float
    """Root mean square."""
    spread: float
    """Standard deviation."""
    sums_to_one: bool
    whole: bool
    """Whether all are whole numbers."""
    shares: list[float] = field(default_factory=list)
    """Of the classes."""
    drift: float = 0.0
    is_input: bool = False
    """Whether the outputs are to be the inputs: an auto-encoder."""


@dataclass
class Table:
    """Rows (m, n), and the target as class numbers (m,) or as real numbers (m, n[L])."""

    X: NDArray[np.float64]
    y: NDArray[Any]
    classes: int
    """0 for regression."""
    weight: NDArray[np.float64] | None = None
    """What each row counts; None is 1 for all."""
    loss: Loss | None = None
    """What real numbers are judged by, where it is not the square of the error."""

    def __post_init__(self) -> None:
        if self.weight is not None and not self.weight.any():  # rows of which not one counts
            self.weight = None

    def rows(self, rows: Any) -> Table:
        """Return some of the rows."""
        w = None if self.weight is None else self.weight[rows]
        return Table(self.X[rows], self.y[rows], self.classes, w, self.loss)

    def score(self, predicted: NDArray[Any]) -> float:
        """Return the accuracy; for real numbers how much smaller the loss is than a constant's.

        1 - J / (least J of one answer to all), which is R squared for squares. By the weights.
        """
        w = self.weight
        if self.classes:
            return float(mean(predicted == self.y, w))
        if self.loss is None:
            spread = mean((self.y - mean(self.y, w)) ** 2, w).sum()
            error = mean((self.y - predicted) ** 2, w).sum()
            return float(1 - error / spread) if spread > 0 else 0.0
        least = best_constant(self.loss, self.y.T, self.weight)[1]
        return 1 - mean_loss(self.loss, self.y.T, predicted.T, self.weight) / max(least, 1e-300)

    def floor(self) -> float:
        """Return the score of one answer to all."""
        return float(self.counts().max() / self.counts().sum()) if self.classes else 0.0

    def counts(self) -> NDArray[np.float64]:
        """Return what each class counts."""
        return np.bincount(self.y, self.weight, self.classes).astype(np.float64)

    def moved(self, predicted: NDArray[Any]) -> NDArray[Any]:
        """Return predictions of the mean, moved by a constant to what the loss asks for."""
        if self.loss is None:
            return predicted
        constant = best_constant(self.loss, (self.y - predicted).T, self.weight)[0]
        moved: NDArray[Any] = predicted + constant.T
        return moved


def mean(rows: NDArray[Any], weight: NDArray[Any] | None) -> Any:
    """The weighted mean over the rows."""
    return rows.mean(axis=0) if weight is None else np.average(rows, axis=0, weights=weight)


def mean_loss(loss: Loss, Y: Any, A: Any, weight: Any = None) -> float:
    """Return J without penalties, of (n[L], m) arrays."""
    with np.errstate(all="ignore"):
        return float(mean(loss.value(Y, np.broadcast_to(A, Y.shape)), weight))


def best_constant(
    loss: Loss, Y: NDArray[Any], weight: NDArray[Any] | None = None
) -> tuple[NDArray[Any], float]:
    """Return the one answer to all, (n[L], 1), whose mean loss is least, and that loss.

    It is the mean for most losses, the median or another quantile for absolute errors.
    """
    answers = [mean(Y.T, weight)[:, np.newaxis]]
    if loss.targets == "real" and loss.name not in _SQUARES:
        answers += list(np.quantile(Y, _LEVELS, axis=1)[..., np.newaxis])
    costs = np.array([mean_loss(loss, Y, answer, weight) for answer in answers])
    best = int(np.argmin(np.where(np.isfinite(costs), costs, np.inf)))
    return answers[best], float(costs[best])


def judged_by(loss: Loss | None, Y: NDArray[Any]) -> Loss | None:
    """The loss by which real numbers are judged; None where squares do.

    Those for probabilities and counts, and one of somebody's own that is least somewhere else than
    at Y, are no measure of how near the outputs come.
    """
    if loss is None or loss.targets != "real" or loss.name in _SQUARES or Y.ndim == 1:
        return None
    right, constant = mean_loss(loss, Y, Y), best_constant(loss, Y)[1]
    return loss if 0 <= right < 0.01 * constant else None


def as_columns(Y: NDArray[Any], n_outputs: int) -> NDArray[Any] | None:
    """Y as (n[L], m); None where class numbers do not fit the outputs."""
    if Y.ndim == 2:
        return Y
    if n_outputs == 1:
        return Y[np.newaxis]
    if np.all((Y == Y.astype(int)) & (Y >= 0) & (Y < n_outputs)):
        return one_hot(Y.astype(int), n_outputs, np.float64)
    return None


def by_steps(
    Y: NDArray[Any], A: NDArray[Any], n: int, lengths: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return targets and outputs with a column for each step that is there, n outputs each.

    ``lengths``, (m,), are the steps that the outputs have. Y may hold class numbers, (steps, m).

    >>> by_steps(np.array([[1, 2], [3, 0]]), np.array([[5, 6], [7, 8]]), 1, np.array([2, 1]))
    (array([[1, 3, 2]]), array([[5, 7, 6]]))
    """
    steps = len(A) // n
    Y = Y.T.ravel() if len(Y) == steps and n > 1 else by_place(Y, n)
    A = by_place(A, n)
    if lengths is None:
        return Y, A
    there = valid_steps(lengths, (steps, 1)).T.ravel()
    return Y[..., there], A[:, there]


def classes_of(A: NDArray[Any], target: Target) -> NDArray[np.intp]:
    """The class numbers that outputs or targets, (n[L], m), stand for."""
    if len(A) > 1:
        best: NDArray[np.intp] = A.argmax(axis=0)
        return best
    above: NDArray[np.intp] = (A[0] >= (target.low + target.high) / 2).astype(np.intp)
    return above


def table(
    X: NDArray[Any],
    Y: NDArray[Any],
    target: Target,
    weight: NDArray[Any] | None = None,
    loss: Loss | None = None,
) -> Table:
    """Return X (n[0], m) and Y (n[L], m) or (m,) as rows."""
    rows = np.asarray(X.T, dtype=np.float64)
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
    if target.task == "regression":
        y = np.asarray(np.atleast_2d(Y).T, dtype=np.float64)
        return Table(rows, y, 0, weight, judged_by(loss, np.atleast_2d(Y)))
    return Table(rows, *_class_numbers(Y, target), weight)


def _class_numbers(Y: NDArray[Any], target: Target) -> tuple[NDArray[np.intp], int]:
    """Class numbers from 0 on, and how many classes there are."""
    if Y.ndim == 2 and len(Y) > 1:
        return Y.argmax(axis=0), len(Y)
    y = Y.ravel()
    if target.task == "binary":
        return (y >= (target.low + target.high) / 2).astype(np.intp), 2
    numbers = np.unique(y)
    if len(numbers) == target.values:
        return np.searchsorted(numbers, y), len(numbers)
    return (y - target.low).astype(np.intp).clip(0), target.values


def target_of(Y: NDArray[Any], loss: Loss | None, task: str | None = None) -> Target:
    """Return what the targets are like; the task is inferred where it is not given."""
    y = np.asarray(Y, dtype=np.float64)
    distinct = sorted(set(y.ravel().tolist()) if y.size < SMALL else np.unique(y).tolist())
    several = y.ndim == 2 and len(y) > 1
    whole = all(map(float.is_integer, distinct))
    one_each = several and bool((abs(y.sum(axis=0) - 1) < 1e-5).all())
    if task in (None, "classification"):
        task = _infer(distinct, whole, several, one_each, loss, task is not None)
    found = Target(
        task,
        len(distinct),
        distinct[0],
        distinct[-1],
        math.sqrt((y**2).mean()),
        float(y.std(axis=-1).mean()),
        one_each,
        whole,
    )
    if task != "regression":
        classes, _ = _class_numbers(y, found)
        found.shares = (np.bincount(classes) / len(classes)).tolist()
    return found


def _infer(
    distinct: list[float], whole: bool, several: bool, one_each: bool, loss: Any, classes: bool
) -> str:
    if several:
        return "multiclass" if whole and one_each else "regression"
    if whole and loss is not None and loss.targets == "distribution":
        return "multiclass"
    if len(distinct) <= 2:
        return "binary"
    if classes:
        return "multiclass"
    return "regression"
