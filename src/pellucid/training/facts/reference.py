"""What can be learned from a table: the score that a network is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.training.facts.target import Table

Floats = NDArray[np.float64]

EQUAL = 0.7
"""Classes of which none has less than this part of an equal share need no weights."""
RIDGE = 0.3
"""The penalty of the quick learners, for standardised columns."""


@dataclass
class Reference:
    """The best of a few learners, and what is reached without any.

    Attributes
    ----------
    name : str
        Which was the best.
    score : float
        As :meth:`Table.score` counts.
    balanced, weighted : float
        For classes, the mean of the classes' accuracies: the best learner's, and that of the best
        one whose classes weigh the same.
    linear : float
        The score of linear or logistic regression.
    floor : float
        The score of one answer to all: the commonest class, or the mean.
    rows, rarest : int
        How many rows it was measured on, and how many of them are of the rarest class.
    """

    name: str
    score: float
    balanced: float
    weighted: float
    linear: float
    floor: float
    rows: int
    rarest: int


class Learner(Protocol):
    """What learns from rows; y are class numbers (m,), or numbers (m, n[L])."""

    def fit(self, X: Floats, y: NDArray[Any], weight: NDArray[Any] | None) -> Any:
        """Learn."""

    def predict(self, X: Floats) -> NDArray[Any]:
        """Return class numbers, or numbers (m, n[L])."""


def best_of(learners: Iterable[tuple[str, Learner]], train: Table, held_out: Table) -> Reference:
    """Fit each learner to standardised columns; return the best on the rows held out.

    The name of a learner whose classes weigh the same begins with "weighted"; "regression" ends
    that of a linear one.
    """
    mean, spread = train.X.mean(axis=0), train.X.std(axis=0)
    spread = np.where(spread > 1e-9 * np.abs(mean), spread, 1.0)
    X, Xv = (train.X - mean) / spread, (held_out.X - mean) / spread
    k, floor = train.classes, held_out.floor()
    counts = np.bincount(held_out.y, minlength=k) if k else np.array([len(Xv)])
    chance = 1 / max(int(np.sum(counts > 0)), 1) if k else 0.0
    rarest = int(counts[counts > 0].min())
    best = Reference("none", floor, chance, chance, floor, floor, len(Xv), rarest)
    for name, learner in learners:
        try:
            predicted = learner.fit(X, train.y, train.weight).predict(Xv)
        except ValueError:  # one class alone
            continue
        predicted = held_out.moved(predicted)
        value = held_out.score(predicted)
        balanced = mean_recall(predicted, held_out.y, k) if k else value
        best.weighted = max(best.weighted, balanced)
        if name.startswith("weighted"):
            continue
        best.balanced = max(best.balanced, balanced)
        best.weighted = max(best.weighted, balanced)
        if name.endswith("regression"):
            best.linear = max(value, floor)
        if value > best.score:
            best.name, best.score = name, value
    return best


def mean_recall(predicted: Any, y: Any, classes: int) -> float:
    """The mean over the classes of the share of their examples that is found."""
    found = [float(np.mean(predicted[y == k] == k)) for k in range(classes) if np.any(y == k)]
    return float(np.mean(found))


def pooled(whole: Table, reference: Any) -> Reference:
    """Learn each third of all rows from the other two: the surest answer to whether X says Y."""
    third = np.random.default_rng(0).permutation(len(whole.y)) % 3
    parts = [reference(whole.rows(third != k), whole.rows(third == k)) for k in range(3)]

    def mean(name: str) -> float:
        return float(np.mean([getattr(each, name) for each in parts]))

    numbers = (mean("score"), mean("balanced"), mean("weighted"))
    floors = mean("linear"), mean("floor")
    rarest = sum(each.rarest for each in parts)
    return Reference(parts[0].name, *numbers, *floors, len(whole.y), rarest)


def quick(train: Table, held_out: Table) -> Reference:
    """Return the best of ridge regression and a kernel machine: milliseconds, NumPy alone."""
    k = train.classes
    learners = [("linear regression", _Ridge(k, kernel=False)), ("a kernel machine", _Ridge(k))]
    if k and train.counts().min() < EQUAL * train.counts().mean():
        learners += [
            ("weighted regression", _Ridge(k, kernel=False, balanced=True)),
            ("weighted kernel machine", _Ridge(k, balanced=True)),
        ]
    return best_of(learners, train, held_out)


def of_inner_width(train: Table, held_out: Table, width: int) -> Reference:
    """Return what an auto-encoder is compared with: as many principal components as it has units.

    Baldi, Hornik 1989: no linear auto-encoder does better.
    """
    mean = train.X.mean(axis=0)
    _, _, axes = np.linalg.svd(train.X - mean, full_matrices=False)
    kept = axes[:width]
    score = held_out.score(mean + (held_out.X - mean) @ kept.T @ kept)
    score = max(score, 0.0)
    name = f"{width} principal component{'s' * (width > 1)}"
    return Reference(name, score, score, score, score, 0.0, len(held_out.X), len(held_out.X))


class _Ridge:
    """(K + λ / w) c = y: least squares with a penalty, of X or of Gaussian bumps at its rows."""

    def __init__(self, classes: int, *, kernel: bool = True, balanced: bool = False) -> None:
        self.classes, self.kernel, self.balanced = classes, kernel, balanced

    def fit(self, X: Floats, y: NDArray[Any], weight: NDArray[Any] | None) -> _Ridge:
        w = np.ones(len(X)) if weight is None else weight / weight.mean()
        Y = np.eye(self.classes)[y] if self.classes else y
        if self.balanced:
            counts = np.bincount(y, w, self.classes)
            w = w * (counts.sum() / np.maximum(counts, 1) / np.count_nonzero(counts))[y]
        self.X, self.mean = X, np.average(Y, axis=0, weights=w)
        if self.kernel or X.shape[1] > len(X):
            K = self._kernel(X) + np.diag(RIDGE / np.maximum(w, 1e-9))
            self.c = np.linalg.solve(K, Y - self.mean)
        else:
            wX = X * w[:, np.newaxis]
            self.c = np.linalg.solve(X.T @ wX + RIDGE * np.eye(X.shape[1]), wX.T @ (Y - self.mean))
        return self

    def predict(self, X: Floats) -> NDArray[Any]:
        dual = self.kernel or X.shape[1] > len(self.X)
        A = self.mean + (self._kernel(X) if dual else X) @ self.c
        answers: NDArray[Any] = A.argmax(axis=1) if self.classes else A
        return answers

    def _kernel(self, X: Floats) -> Floats:
        """K(x, x') = exp(-|x - x'|^2 / n), or x . x'."""
        inner: Floats = X @ self.X.T
        if not self.kernel:
            return inner
        squares = (X**2).sum(axis=1)[:, np.newaxis] + (self.X**2).sum(axis=1)
        bumps: Floats = np.exp((2 * inner - squares) / X.shape[1])
        return bumps
