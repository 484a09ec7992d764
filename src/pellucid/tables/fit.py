"""From a table to a model: infer the task, split, standardise, train, compare with baselines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import philox
from pellucid.activations import activation as find_activation
from pellucid.callbacks import Callback
from pellucid.errors import SettingsError
from pellucid.history import History
from pellucid.layers import Dense
from pellucid.network import Network
from pellucid.optimizers import optimizer as find_optimizer
from pellucid.tables import evaluate
from pellucid.tables.evaluate import Metrics
from pellucid.tables.model import TableModel, class_numbers
from pellucid.tables.preprocess import Standardizer
from pellucid.tables.split import TASKS, Split, infer_task, split
from pellucid.tables.table import Table, check_learnable

OUTPUTS = {
    "binary": ("sigmoid", "binary_cross_entropy"),
    "multiclass": ("softmax", "categorical_cross_entropy"),
    "regression": ("identity", "mean_squared_error"),
}
"""The output activation and the loss of each task."""


@dataclass(frozen=True)
class TrainSettings:
    """What a training on a table is asked for; all that is wrong is named at once.

    Attributes
    ----------
    task : str or None
        "binary", "multiclass" or "regression"; None infers it.
    hidden : tuple of int
        The units of each hidden layer; none is logistic or linear regression.
    activation, optimizer : str
        Of the hidden layers; names of the tables.
    learning_rate : float or None
        None takes the optimizer's usual one.
    epochs, batch_size : int
    patience : int
        Stop when the validation loss has not fallen for so many epochs; 0 never does.
    l2, dropout : float
    seed : int

    Examples
    --------
    >>> TrainSettings(hidden=(16,), epochs=0, activation="rleu")
    Traceback (most recent call last):
    pellucid.errors.SettingsError: epochs must be a whole number of 1 or more; got 0. unknown
    activation 'rleu' (did you mean 'relu'?). Known are: identity, sigmoid, ...
    """

    task: str | None = None
    hidden: tuple[int, ...] = (64, 32)
    activation: str = "relu"
    optimizer: str = "adam"
    learning_rate: float | None = None
    epochs: int = 200
    batch_size: int = 32
    patience: int = 20
    l2: float = 0.0
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        faults = [
            (name, f"must be {expected}; got {getattr(self, name)!r}.")
            for name, holds, expected in (
                ("task", self.task in (None, *TASKS), f"one of {', '.join(TASKS)}"),
                (
                    "hidden",
                    all(_whole(n, 1) for n in self.hidden),
                    "whole numbers of 1 or more",
                ),
                (
                    "learning_rate",
                    self.learning_rate is None or 0 < self.learning_rate < math.inf,
                    "a positive number",
                ),
                ("epochs", _whole(self.epochs, 1), "a whole number of 1 or more"),
                ("batch_size", _whole(self.batch_size, 1), "a whole number of 1 or more"),
                ("patience", _whole(self.patience, 0), "a whole number of 0 or more"),
                ("l2", 0 <= self.l2 < math.inf, "a number of 0 or more"),
                ("dropout", 0 <= self.dropout < 1, "at least 0 and below 1"),
                ("seed", _whole(self.seed, 0) and self.seed < 2**64, "a whole number below 2^64"),
            )
            if not holds
        ]
        faults += _named(find_activation, self.activation, "activation")
        faults += _named(find_optimizer, self.optimizer, "optimizer")
        if self.optimizer == "lbfgs" and self.dropout:
            faults.append(("dropout", f"must be 0 with lbfgs; got {self.dropout!r}."))
        if faults:
            raise SettingsError(*faults)


def _whole(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _named(find: Any, name: str, kind: str) -> list[tuple[str, str]]:
    try:
        found = find(name)
    except ValueError as error:
        return [("", str(error))]
    if getattr(found, "output_only", False):
        fault = f"{kind} {name!r} is for the output layer; choose another for the hidden ones."
        return [("", fault)]
    return []


@dataclass
class Plan:
    """A training that is ready to start.

    ``Z`` are the standardised inputs, (m, n); ``t`` is the target as the network learns it: class
    numbers, or the standardised number.
    """

    table: Table
    settings: TrainSettings
    task: str
    reason: str
    parts: Split
    model: TableModel
    Z: NDArray[np.float64]
    t: NDArray[Any]

    @property
    def network(self) -> Network:
        """The network that will be trained."""
        return self.model.network


@dataclass
class FitResult:
    """A trained model, its history, and metrics on the held-out rows by predictor."""

    model: TableModel
    history: History
    metrics: dict[str, Metrics]


def prepare(table: Table, settings: TrainSettings) -> Plan:
    """Infer the task, split the rows, standardise on the training rows, build the network."""
    check_learnable(table)
    y, target = np.asarray(table.y), str(table.target)
    task, reason = infer_task(target, y, settings.task)
    classes: list[Any] = [] if task == "regression" else np.unique(y).tolist()
    t: NDArray[Any] = y.astype(np.float64) if task == "regression" else class_numbers(y, classes)
    parts = split(table.m, None if task == "regression" else t, settings.seed)
    standardizer = Standardizer.fit(table.X[parts.training])
    of_target = None
    if task == "regression":
        of_target = Standardizer.fit(t[parts.training, np.newaxis])
        t = of_target.transform(t[:, np.newaxis])[:, 0]
    network = _network(table.X.shape[1], task, len(classes), settings)
    asked = dataclasses.asdict(settings)
    model = TableModel(
        network, list(table.columns), standardizer, task, target, classes, of_target, {}, asked
    )
    Z = standardizer.transform(table.X)
    return Plan(table, settings, task, reason, parts, model, Z, t)


def fit(plan: Plan, callbacks: Iterable[Callback] = ()) -> FitResult:
    """Carry out a prepared training and measure it on the held-out rows."""
    from pellucid.training import train

    settings, parts = plan.settings, plan.parts
    history = train(
        plan.network,
        plan.Z[parts.training].T,
        plan.t[parts.training],
        loss=OUTPUTS[plan.task][1],
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        validation_data=(plan.Z[parts.validation].T, plan.t[parts.validation]),
        l2=settings.l2,
        early_stopping=settings.patience or None,
        callbacks=callbacks,
        seed=settings.seed,
    )
    metrics = _metrics(plan)
    model = plan.model
    rows = {name: len(part) for name, part in vars(parts).items()}
    model.metrics = {"rows": rows, "held_out": metrics}
    model.history = history.to_dict()
    return FitResult(model, history, metrics)


def fit_table(
    table: Table, settings: TrainSettings | None = None, callbacks: Sequence[Callback] = ()
) -> FitResult:
    """Train a network on a table; 20 % of the rows are held out to measure it.

    Of the others 15 % validate: the training stops when their loss no longer falls, and the best
    epoch's parameters are kept. Inputs are standardised with the training rows' means and standard
    deviations. Results of the same table, settings and machine are the same.

    Examples
    --------
    >>> from pellucid.tables import read_table
    >>> result = fit_table(read_table("sample:iris"), TrainSettings(epochs=40, seed=0))
    >>> result.metrics["network"]["accuracy"] > 0.8
    True
    """
    return fit(prepare(table, settings or TrainSettings()), callbacks)


def _network(n_inputs: int, task: str, n_classes: int, settings: TrainSettings) -> Network:
    n_outputs = n_classes if task == "multiclass" else 1
    hidden = [Dense(n, settings.activation, dropout=settings.dropout) for n in settings.hidden]
    seed = philox.check_seed(settings.seed)
    return Network([*hidden, Dense(n_outputs, OUTPUTS[task][0])], n_inputs, seed=seed)


def _metrics(plan: Plan) -> dict[str, Metrics]:
    """The network's metrics and the baselines' on the test rows.

    The baselines learn from the training and validation rows, all that the network saw.
    """
    parts, model, y = plan.parts, plan.model, plan.table.y
    assert y is not None
    seen = np.concatenate([parts.training, parts.validation])
    X_test, Z, Z_test = plan.table.X[parts.test], plan.Z[seen], plan.Z[parts.test]
    predicted = model.predict(X_test)
    if plan.task == "regression":
        y = y.astype(np.float64)
        mine = evaluate.regression_metrics(y[parts.test], predicted)
        others = evaluate.regression_baselines(Z, y[seen], Z_test, y[parts.test])
    else:
        p = model.predict_proba(X_test)
        numbers = class_numbers(predicted, model.classes)
        mine = evaluate.classification_metrics(plan.t[parts.test], p, numbers)
        others = evaluate.classification_baselines(Z, plan.t[seen], Z_test, plan.t[parts.test])
    return {"network": mine, **others}
