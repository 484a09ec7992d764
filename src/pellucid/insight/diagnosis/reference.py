"""What can be learned from a table: simple learners that need no settings, on rows held out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.insight.diagnosis.facts import Table, take_rows


@dataclass
class Reference:
    """The best of a few learners, and what is reached without any.

    Attributes
    ----------
    name : str
        Which was the best.
    score, balanced : float
        Accuracy or R squared; the mean of the classes' accuracies (the best of all learners).
    floor : float
        The score of always the commonest class, or of the mean.
    rows : int
        How many rows it was measured on.
    """

    name: str
    score: float
    balanced: float
    floor: float
    rows: int


def reference(train: Table, held_out: Table) -> Reference:
    """Fit logistic or ridge regression, a kernel machine and random trees; return the best.

    At most 2000 rows are used; columns are standardised; the same data give the same numbers.
    """
    rows = take_rows(len(train.y))
    spread = train.X[rows].std(axis=0)
    mean, spread = train.X[rows].mean(axis=0), np.where(spread > 0, spread, 1.0)
    X, Xv = (train.X[rows] - mean) / spread, (held_out.X - mean) / spread
    y, yv = train.y[rows], held_out.y
    floor = float(np.bincount(yv).max() / len(yv)) if train.classes else 0.0
    best = Reference("none", floor, 1 / max(train.classes, 1), floor, len(yv))
    for name, learner in _learners(bool(train.classes)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                predicted = learner.fit(X, y).predict(Xv)
            except ValueError:  # one class alone
                continue
        value, balanced = _scores(predicted, yv, train.classes)
        best.balanced = max(best.balanced, balanced)
        if value > best.score:
            best.name, best.score = name, value
    return best


def _learners(classes: bool) -> list[tuple[str, Any]]:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.svm import SVC, SVR

    if classes:
        return [
            ("logistic regression", LogisticRegression(max_iter=300)),
            ("a kernel machine", SVC(C=3.0)),
            ("random trees", ExtraTreesClassifier(60, min_samples_leaf=2, random_state=0)),
            ("weighted logistic regression", _balanced(LogisticRegression(max_iter=300))),
            ("a weighted kernel machine", _balanced(SVC(C=3.0))),
        ]
    return [
        ("linear regression", Ridge(1.0)),
        ("a kernel machine", SVR(C=10.0, epsilon=0.01)),
        ("random trees", ExtraTreesRegressor(60, min_samples_leaf=2, random_state=0)),
    ]


def _balanced(learner: Any) -> Any:
    return learner.set_params(class_weight="balanced")


def _scores(predicted: Any, y: Any, classes: int) -> tuple[float, float]:
    if classes:
        recalls = [float(np.mean(predicted[y == k] == k)) for k in range(classes) if np.any(y == k)]
        return float(np.mean(predicted == y)), float(np.mean(recalls))
    spread = float(np.var(y))
    value = 1 - float(np.mean((predicted - y) ** 2)) / spread if spread > 0 else 0.0
    return value, value
