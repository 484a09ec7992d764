"""What can be learned from a table: simple learners that need no settings, on rows held out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.insight.diagnosis.facts import Table, score_of, take_rows
from pellucid.layers import Dense
from pellucid.network import Network
from pellucid.training import train


@dataclass
class Reference:
    """The best of a few learners, and what is reached without any.

    Attributes
    ----------
    name : str
        Which was the best.
    score : float
        Accuracy or R squared.
    balanced, weighted : float
        For classes, the mean of the classes' accuracies: the best learner's, and that of the best
        one whose classes weigh the same.
    linear : float
        The score of linear or logistic regression.
    floor : float
        The score of always the commonest class, or of the mean.
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


def reference(train: Table, held_out: Table) -> Reference:
    """Fit linear regression, a kernel machine, random trees and a plain network; return the best.

    At most 2000 rows are used; columns are standardised; the same data give the same numbers.
    """
    rows = take_rows(len(train.y))
    mean, spread = train.X[rows].mean(axis=0), train.X[rows].std(axis=0)
    spread = np.where(spread > 1e-9 * np.abs(mean), spread, 1.0)
    X, Xv = (train.X[rows] - mean) / spread, (held_out.X - mean) / spread
    y, yv, k = train.y[rows], held_out.y, train.classes
    counts = np.bincount(yv, minlength=k) if k else np.array([len(yv)])
    floor = float(counts.max() / len(yv)) if k else 0.0
    chance = 1 / max(int(np.sum(counts > 0)), 1) if k else 0.0
    best = Reference(
        "none", floor, chance, chance, floor, floor, len(yv), int(counts[counts > 0].min())
    )
    for name, learner in _learners(k):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                predicted = learner.fit(X, y).predict(Xv)
            except ValueError:  # one class alone
                continue
        value = score_of(predicted, yv, k)
        balanced = mean_recall(predicted, yv, k) if k else value
        best.weighted = max(best.weighted, balanced)
        if name.startswith("weighted"):
            continue
        best.balanced = max(best.balanced, balanced)
        if name.endswith("regression"):
            best.linear = max(value, floor)
        if value > best.score:
            best.name, best.score = name, value
    return best


def pooled(train: Table, held_out: Table) -> Reference:
    """Learn each third of all rows from the other two: the surest answer to whether X says Y."""
    X, y = np.concatenate([train.X, held_out.X]), np.concatenate([train.y, held_out.y])
    whole = Table(X, y, train.classes)
    third = np.random.default_rng(0).permutation(len(y)) % 3
    parts = [reference(_some(whole, third != k), _some(whole, third == k)) for k in range(3)]

    def mean(name: str) -> float:
        return float(np.mean([getattr(each, name) for each in parts]))

    numbers = (mean("score"), mean("balanced"), mean("weighted"))
    floors = mean("linear"), mean("floor")
    rarest = sum(each.rarest for each in parts)
    return Reference(parts[0].name, *numbers, *floors, len(y), rarest)


def _some(table: Table, rows: Any) -> Table:
    return Table(table.X[rows], table.y[rows], table.classes)


def mean_recall(predicted: Any, y: Any, classes: int) -> float:
    """The mean over the classes of the share of their examples that is found."""
    found = [float(np.mean(predicted[y == k] == k)) for k in range(classes) if np.any(y == k)]
    return float(np.mean(found))


def _learners(classes: int) -> list[tuple[str, Any]]:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.svm import SVC, SVR

    if classes:
        return [
            ("logistic regression", LogisticRegression(max_iter=300)),
            ("a kernel machine", SVC(C=3.0)),
            ("random trees", ExtraTreesClassifier(60, min_samples_leaf=2, random_state=0)),
            ("a plain network", _PlainNetwork(classes)),
            ("weighted regression", LogisticRegression(max_iter=300, class_weight="balanced")),
            ("weighted kernel machine", SVC(C=3.0, class_weight="balanced")),
            ("weighted plain network", _PlainNetwork(classes, "balanced")),
        ]
    return [
        ("linear regression", Ridge(1.0)),
        ("a kernel machine", SVR(C=10.0, epsilon=0.01)),
        ("random trees", ExtraTreesRegressor(60, min_samples_leaf=2, random_state=0)),
        ("a plain network", _PlainNetwork(classes)),
    ]


class _PlainNetwork:
    """n[0]-64-32-n[L], ReLU, Adam, stopped early: what usually works on standardised columns."""

    def __init__(self, classes: int, class_weight: str | None = None) -> None:
        self.classes, self.class_weight = classes, class_weight

    def fit(self, X: Any, y: Any) -> _PlainNetwork:
        k = self.classes
        output = Dense(k, "softmax") if k else Dense(1, "identity")
        self.mean, self.spread = (0.0, 1.0) if k else (float(y.mean()), float(y.std()) or 1.0)
        self.network = Network([Dense(64), Dense(32), output], X.shape[1], seed=0)
        train(
            self.network,
            X.T,
            y if k else (y - self.mean) / self.spread,
            loss="cce" if k else "mse",
            learning_rate=0.003,
            epochs=100,
            validation_fraction=0.15,
            early_stopping=12,
            l2=1e-4,
            class_weight=self.class_weight,
            n_threads=1,
        )
        return self

    def predict(self, X: Any) -> Any:
        A = self.network.forward(X.T)
        return A.argmax(axis=0) if self.classes else self.mean + self.spread * A[0]
