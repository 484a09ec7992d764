"""What can be learned from a table: learners that need no settings, on rows held out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from pellucid.layers import Dense
from pellucid.network import Network
from pellucid.training import train
from pellucid.training.facts.reference import Learner, Reference, best_of
from pellucid.training.facts.target import Table


def reference(train: Table, held_out: Table) -> Reference:
    """Fit linear regression, a kernel machine, random trees and a plain network; return the best.

    The same data give the same numbers.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return best_of(_learners(train.classes), train, held_out)


def _learners(classes: int) -> list[tuple[str, Learner]]:
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
    trees = ExtraTreesRegressor(60, min_samples_leaf=2, random_state=0)
    return [
        ("linear regression", _Numbers(Ridge(1.0))),
        ("a kernel machine", _Numbers(SVR(C=10.0, epsilon=0.01), each=True)),
        ("random trees", _Numbers(trees)),
        ("a plain network", _PlainNetwork(classes)),
    ]


MOST_OUTPUTS = 4
"""Outputs that a learner of one number each is fitted to."""


class _Numbers:
    """A learner of numbers, (m, n[L]), of one of them or all at once."""

    def __init__(self, learner: Any, *, each: bool = False) -> None:
        self.learner, self.each = learner, each

    def fit(self, X: Any, y: Any, weight: Any) -> _Numbers:
        if self.each and y.shape[1] > MOST_OUTPUTS:
            raise ValueError("too many outputs")
        targets = list(y.T) if self.each or y.shape[1] == 1 else [y]
        self.fitted = [clone(self.learner).fit(X, t, sample_weight=weight) for t in targets]
        return self

    def predict(self, X: Any) -> Any:
        return np.column_stack([each.predict(X) for each in self.fitted])


class _PlainNetwork:
    """n[0]-64-32-n[L], ReLU, Adam, stopped early: what usually works on standardised columns."""

    def __init__(self, classes: int, class_weight: str | None = None) -> None:
        self.classes, self.class_weight = classes, class_weight

    def fit(self, X: Any, y: Any, weight: Any) -> _PlainNetwork:
        k = self.classes
        output = Dense(k, "softmax") if k else Dense(y.shape[1], "identity")
        self.mean: Any = 0.0 if k else y.mean(axis=0)
        self.spread: Any = 1.0 if k else np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0)
        self.network = Network([Dense(64), Dense(32), output], X.shape[1], seed=0)
        train(
            self.network,
            X.T,
            y if k else ((y - self.mean) / self.spread).T,
            loss="cce" if k else "mse",
            learning_rate=0.003,
            epochs=100,
            validation_fraction=0.15,
            early_stopping=12,
            l2=1e-4,
            sample_weight=weight,
            class_weight=self.class_weight,
            statistics=False,
            n_threads=1,
        )
        return self

    def predict(self, X: Any) -> Any:
        A = self.network.forward(X.T)
        return A.argmax(axis=0) if self.classes else self.mean + self.spread * A.T
