"""TableModel: a network with the columns it takes, how they are standardised, and its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.network import Network
from pellucid.persistence import ModelFolder, network_from_model, network_to_model
from pellucid.tables.preprocess import Standardizer
from pellucid.tables.split import TASKS
from pellucid.tables.table import Table

KIND = "table_model"


@dataclass
class TableModel:
    """A trained network that takes rows of a table and answers in the target's own terms.

    Attributes
    ----------
    network : Network
    columns : list of str
        The inputs, in the order of the network's.
    standardizer : Standardizer
        Of the inputs.
    task : str
        "binary", "multiclass" or "regression".
    target : str
        The name of the column that was learned.
    classes : list
        For classification, what each class number stands for, sorted. Binary: the output is the
        probability of the second.
    target_standardizer : Standardizer or None
        For regression, of the target.
    metrics, settings, history : dict
        The held-out metrics, what the training was asked for, its curves.

    Examples
    --------
    >>> from pellucid.tables import TrainSettings, fit_table, read_table
    >>> table = read_table("sample:iris")
    >>> model = fit_table(table, TrainSettings(epochs=40, seed=0)).model
    >>> model.predict(table)[:2]
    array(['setosa', 'setosa'], dtype='<U10')
    >>> model.predict_proba([[5.1, 3.5, 1.4, 0.2]]).round(2)
    array([[1., 0., 0.]])
    """

    network: Network
    columns: list[str]
    standardizer: Standardizer
    task: str
    target: str
    classes: list[Any] = field(default_factory=list)
    target_standardizer: Standardizer | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict)

    def predict(self, rows: Table | Any) -> NDArray[Any]:
        """Return the class or number for each row, (m,).

        ``rows`` is a table, whose columns are found by name, or an (m, n) array in the order of
        ``columns``. Binary: the second class where its probability is 0.5 or more (lecture 001).
        """
        if self.target_standardizer is not None:
            A = self._outputs(rows).astype(np.float64)
            return self.target_standardizer.inverse(A.T)[:, 0]
        p = self.predict_proba(rows)
        number = (p[:, 1] >= 0.5).astype(np.int64) if self.task == "binary" else p.argmax(axis=1)
        predicted: NDArray[Any] = np.array(self.classes)[number]
        return predicted

    def predict_proba(self, rows: Table | Any) -> NDArray[np.float64]:
        """Return the probability of each class for each row, (m, number of classes)."""
        if self.task == "regression":
            raise ValueError(
                f"{self.target!r} is a number, so there are no probabilities; use predict."
            )
        A = self._outputs(rows).astype(np.float64)
        return np.concatenate([1 - A, A]).T if self.task == "binary" else A.T

    def to_folder(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return what :func:`pellucid.persistence.write_folder` takes."""
        network, weights = network_to_model(self.network)
        of_target = self.target_standardizer
        model = {
            "kind": KIND,
            "task": self.task,
            "target": self.target,
            "classes": self.classes,
            "columns": self.columns,
            "standardizer": self.standardizer.to_dict(),
            "target_standardizer": None if of_target is None else of_target.to_dict(),
            "metrics": self.metrics,
            "settings": self.settings,
            "network": network,
        }
        return model, {"weights": weights}, {"history": self.history}

    def _outputs(self, rows: Table | Any) -> NDArray[Any]:
        X = rows.inputs(self.columns) if isinstance(rows, Table) else self._checked(rows)
        return self.network.forward(self.standardizer.transform(X).T)

    def _checked(self, rows: Any) -> NDArray[np.float64]:
        X = np.asarray(rows)
        n = len(self.columns)
        if X.dtype.kind not in "biuf":
            raise DataError(f"rows must hold numbers; got the dtype {X.dtype}.")
        if X.ndim != 2 or X.shape[1] != n:
            hint = " For one row pass [row]." if X.ndim == 1 else ""
            raise DataError(
                f"rows must have the shape (m, {n}), a row an example; got {X.shape}.{hint}"
            )
        if not np.isfinite(X).all():
            row, k = (int(place[0]) for place in np.nonzero(~np.isfinite(X)))
            raise DataError(
                f"rows hold NaN or infinity, first in row {row + 1}, column {self.columns[k]!r}. "
                "Fill it in, or leave the row out."
            )
        return X.astype(np.float64, copy=False)


def from_folder(folder: ModelFolder) -> TableModel:
    """Return the model of a folder of the kind "table_model"."""
    network = network_from_model(folder)
    columns = folder.entry("columns", list)
    task, classes = folder.entry("task", str), folder.entry("classes", list)
    if len(set(map(str, columns))) != network.n_inputs or len(columns) != network.n_inputs:
        raise folder.damaged(
            f"it names {len(columns)} columns, the network takes {network.n_inputs}"
        )
    if task not in TASKS:
        raise folder.damaged(f"the task is {task!r}; expected one of {', '.join(TASKS)}")
    outputs = {"binary": (2, 1), "regression": (0, 1)}.get(task, (len(classes), len(classes)))
    if (len(classes), network.n[-1]) != outputs:
        raise folder.damaged(
            f"a {task} model with {len(classes)} classes has {outputs[1]} outputs; the network has "
            f"{network.n[-1]}"
        )
    of_target = _standardizer(folder, "target_standardizer", 1) if task == "regression" else None
    return TableModel(
        network,
        [str(name) for name in columns],
        _standardizer(folder, "standardizer", network.n_inputs),
        task,
        folder.entry("target", str),
        classes,
        of_target,
        folder.entry("metrics", dict),
        folder.entry("settings", dict),
        folder.document("history"),
    )


def _standardizer(folder: ModelFolder, name: str, n: int) -> Standardizer:
    try:
        return Standardizer.from_dict(folder.entry(name, dict), n)
    except (TypeError, ValueError) as error:
        raise folder.damaged(f"the entry {name!r} of model.json is wrong: {error}") from None


def class_numbers(y: NDArray[Any], classes: Sequence[Any]) -> NDArray[np.int64]:
    """Return the number of each row's class; ``classes`` are sorted and hold every value.

    >>> class_numbers(np.array(["b", "a"]), ["a", "b"])
    array([1, 0])
    """
    return np.searchsorted(np.array(classes), y)
