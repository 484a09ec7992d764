"""TableModel: networks with the preprocessing of their columns and the terms of the target.

It needs numpy and safetensors alone: :func:`pellucid.load_predictor` returns it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.checks import is_number
from pellucid.errors import DataError
from pellucid.history import History
from pellucid.network import Network
from pellucid.persistence import ModelFolder, networks_from_model, networks_to_model
from pellucid.persistence.labels import label_array
from pellucid.tables.kinds import Binary, Category
from pellucid.tables.preprocess import Preprocessing
from pellucid.tables.table import Table
from pellucid.tables.values import LARGEST
from pellucid.tasks import OF_A_COLUMN, TASKS

KIND = "tabular"


@dataclass
class TableModel:
    """p = mean over the networks of A[L]: takes rows of a table, answers in the target's terms.

    Attributes
    ----------
    preprocessing : Preprocessing
        From the columns that are used to the networks' inputs.
    networks : list of Network
        One, or those of an ensemble; all have one architecture.
    task : str
        "binary", "multiclass" or "regression".
    target : str
        The name of the column that was learned.
    columns : list of str
        The columns of the table it was fitted to, those left out among them, in their order; a
        2-D array holds them all.
    classes : list
        What each class number stands for, sorted. Binary: the output is the probability of the
        second.
    label_dtype : str
        The dtype of the labels that predict returns; "" leaves it to numpy.
    target_mean, target_std : float
        For regression the networks learn (y - mean) / std.
    settings, histories, metrics, data : dict, list of dict, dict, dict
        What was asked for, the curves of each network, held-out metrics, and for the report what
        the data were: source, rows, left_out, warnings, reason, ...

    Examples
    --------
    >>> from pellucid.tables import TrainSettings, read_sample
    >>> from pellucid.tables.fit import fit, prepare
    >>> iris = read_sample("iris")
    >>> settings = TrainSettings(hidden_layer_sizes=(16,), epochs=20, ensemble=1)
    >>> model = fit(prepare(iris, settings))
    >>> model.predict(iris)[:2]
    array(['setosa', 'setosa'], dtype='<U10')
    >>> model.predict_proba([[5.1, 3.5, 1.4, 0.2]]).shape
    (1, 3)
    """

    preprocessing: Preprocessing
    networks: list[Network]
    task: str
    target: str
    columns: list[str]
    classes: list[Any] = field(default_factory=list)
    label_dtype: str = ""
    target_mean: float = 0.0
    target_std: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)
    histories: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def predict(self, rows: Any) -> NDArray[Any]:
        """Return the class or number for each row, (m,).

        ``rows`` is a Table, a data frame, a dict of columns or a list of dicts, whose columns are
        found by name, or a 2-D array with the columns in the order of ``columns``. Binary: the
        second class where its probability is 0.5 or more (lecture 001).
        """
        return self.answers(self.inputs(rows))

    def predict_proba(self, rows: Any) -> NDArray[np.float64]:
        """Return the probability of each class for each row, (m, number of classes)."""
        if self.task == "regression":
            raise ValueError(
                f"{self.target!r} is a number, so there are no probabilities; use predict."
            )
        return self.probabilities(self.inputs(rows))

    def answers(self, Z: NDArray[np.float32]) -> NDArray[Any]:
        """Return what :meth:`predict` does, for rows that :meth:`inputs` preprocessed."""
        if self.task == "regression":
            predicted: NDArray[Any] = self.target_mean + self.target_std * self._mean_output(Z)[0]
            return predicted
        predicted = self.labels()[self.class_numbers(self.probabilities(Z))]
        return predicted

    def probabilities(self, Z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what :meth:`predict_proba` does, for rows that :meth:`inputs` preprocessed."""
        probabilities = TASKS[self.task].probabilities
        assert probabilities is not None
        return probabilities(self._mean_output(Z)).T

    def class_numbers(self, p: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the number of the class that each row of probabilities stands for."""
        task = TASKS[self.task]
        return task.answers(p.T[-task.n_outputs(p.shape[1]) :]).ravel()

    def labels(self) -> NDArray[Any]:
        """Return the classes as an array of the labels' dtype."""
        return np.array(self.classes, dtype=self.label_dtype or None)

    def inputs(self, rows: Any, source: str = "X") -> NDArray[np.float32]:
        """Return Z, (m, n[0]): the preprocessed rows, as the networks take them.

        ``source`` is what they are called in messages.
        """
        if type(rows) is np.ndarray and rows.ndim == 2 and rows.dtype.kind == "f":
            columns = self._by_position(rows)  # the short way: nothing to convert
            if columns is not None:
                return self.preprocessing.transform(columns, source)
        table = rows if isinstance(rows, Table) else self._as_table(rows, source)
        return self.preprocessing.transform(table.columns, table.source)

    def unseen(self, rows: Any) -> dict[str, NDArray[np.bool_]]:
        """Return for each column with categories not seen in training a mask of their rows, (m,).

        The worst comes first. :meth:`predict` takes such rows without a word, as scikit-learn's
        ``OneHotEncoder(handle_unknown="ignore")`` does.

        Examples
        --------
        >>> from pellucid.tables import TrainSettings, as_table
        >>> from pellucid.tables.fit import fit, prepare
        >>> columns = {"zip": ["10000", "20000", "30000"] * 20, "x": [1, 2, 3, 4] * 15}
        >>> settings = TrainSettings(hidden_layer_sizes=(4,), epochs=1, categorical=["zip"])
        >>> model = fit(prepare(as_table(columns, y=[0, 1] * 30, target="y"), settings))
        >>> model.unseen({"zip": [10000.0, 20500.0], "x": [1, 2]})
        {'zip': array([False,  True])}
        """
        table = rows if isinstance(rows, Table) else self._as_table(rows)
        self.preprocessing.transform(table.columns, table.source)  # refuses what does not fit
        return self.preprocessing.unseen(table.columns, table.source)

    @property
    def reads_target_as(self) -> str | None:
        """The ``task`` for reading rows with their target; None where its classes are numbers."""
        texts = any(isinstance(label, str) for label in self.classes)
        return self.task if texts or self.task == "regression" else None

    @property
    def codes(self) -> list[str]:
        """The columns whose cells stay texts though all look like numbers, such as 02134."""
        declared = self.settings.get("categorical")
        declared = declared if isinstance(declared, (list, tuple)) else ()
        return [
            name
            for name, kind in self.preprocessing.columns.items()
            if isinstance(kind, Category)
            or (isinstance(kind, Binary) and (not kind.from_numbers or name in declared))
        ]

    def to_folder(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return what :func:`pellucid.persistence.write_folder` takes."""
        network, weights = networks_to_model(self.networks)
        model = {
            "kind": KIND,
            "task": self.task,
            "target": self.target,
            "classes": self.classes,
            "label_dtype": self.label_dtype,
            "target_mean": self.target_mean,
            "target_std": self.target_std,
            "metrics": self.metrics,
            "settings": self.settings,
            "data": self.data,
            "networks": len(self.networks),
            "network": network,
            "columns": self.columns,
            "preprocessing": self.preprocessing.to_dict(),
        }
        return model, {"weights": weights}, {"history": self.histories}

    def _mean_output(self, Z: NDArray[np.float32]) -> NDArray[np.float64]:
        """The mean of A[L] over the networks, (n[L], m)."""
        X = Z.T
        total = self.networks[0].forward(X).astype(np.float64)
        for network in self.networks[1:]:
            total += network.forward(X)
        return total / len(self.networks)

    def _by_position(self, X: NDArray[np.floating[Any]]) -> dict[str, NDArray[np.float64]] | None:
        """The columns of a matrix of numbers; None where some are infinite or too large."""
        self._check_width(X.shape[1])
        if X.size and float(np.fmax.reduce(np.abs(X), axis=None)) > LARGEST:
            return None
        by_column = np.asarray(X, dtype=np.float64).T
        return dict(zip(self.columns, by_column, strict=True))

    def _as_table(self, rows: Any, source: str = "X") -> Table:
        from pellucid.tables.frame import as_table

        used = self.preprocessing.columns  # whatever the others hold is none of our business
        if has_names(rows):
            return as_table(rows, only=used, source=source)
        places = {str(k) for k, name in enumerate(self.columns, start=1) if name in used}
        table = as_table(rows, only=places, source=source)
        self._check_width(len(table.columns))
        columns = dict(zip(self.columns, table.columns.values(), strict=True))
        return Table(columns, source=table.source)

    def _check_width(self, width: int) -> None:
        n = len(self.columns)
        if width != n:
            raise DataError(
                f"X has {width} features, but TableModel is expecting {n} features as input: one "
                "row per example, the columns as in training. Pass a data frame or a dict to have "
                "columns found by name."
            )


def has_names(rows: Any) -> bool:
    """Whether rows bring the names of their columns: frames, dicts, lists of dicts, Tables.

    >>> has_names({"a": [1]}), has_names([{"a": 1}]), has_names([[1]])
    (True, True, False)
    """
    if isinstance(rows, (list, tuple)):
        return bool(rows) and isinstance(rows[0], Mapping)
    if isinstance(rows, np.ndarray):
        return rows.dtype.names is not None
    kind = type(rows)  # asked for the columns, a polars LazyFrame would work them out
    named = hasattr(kind, "columns") or hasattr(kind, "column_names")
    return named or isinstance(rows, (Mapping, Table))


def from_folder(folder: ModelFolder) -> TableModel:
    """Return the model of a folder of the kind "tabular"."""
    task, classes = folder.entry("task", str), folder.entry("classes", list)
    if task not in OF_A_COLUMN:
        raise folder.damaged(f"the task is {task!r}; expected one of {', '.join(OF_A_COLUMN)}")
    columns = folder.entry("columns", list)
    preprocessing = _preprocessing(folder, columns)
    networks = networks_from_model(folder)
    first = networks[0]
    if first.n_inputs != preprocessing.n_outputs:
        raise folder.damaged(
            f"its columns make {preprocessing.n_outputs} inputs, the network takes {first.n_inputs}"
        )
    outputs = {"binary": (2, 1), "regression": (0, 1)}.get(task, (len(classes), len(classes)))
    if (len(classes), first.n[-1]) != outputs:
        raise folder.damaged(
            f"a {task} model with {len(classes)} classes has {outputs[1]} outputs; the network has "
            f"{first.n[-1]}"
        )
    histories = folder.document("history")
    if not isinstance(histories, list) or len(histories) > len(networks):
        raise folder.damaged(f"its history must list one for each of {len(networks)} networks")
    try:
        for history in histories:
            History.from_dict(history)
    except ValueError as error:
        raise folder.damaged(f"its history is wrong: {error}") from None
    return TableModel(
        preprocessing,
        networks,
        task,
        folder.entry("target", str),
        columns,
        classes,
        _label_dtype(folder, classes),
        _number(folder, "target_mean"),
        _number(folder, "target_std"),
        folder.entry("settings", dict),
        histories,
        folder.entry("metrics", dict),
        folder.entry("data", dict),
    )


def _preprocessing(folder: ModelFolder, columns: Sequence[Any]) -> Preprocessing:
    entry = folder.entry("preprocessing", dict)
    try:
        preprocessing = Preprocessing.from_dict(entry)
    except (KeyError, TypeError, ValueError) as error:
        raise folder.damaged(f"the entry 'preprocessing' of model.json is wrong: {error}") from None
    known = {name for name in columns if isinstance(name, str)}
    unknown = [name for name in preprocessing.columns if name not in known]
    if unknown or len(known) < len(columns):
        shown = f"{unknown or columns!r:.60}"
        raise folder.damaged(f"the columns {shown} are not those it was fitted to")
    return preprocessing


def _label_dtype(folder: ModelFolder, classes: list[Any]) -> str:
    name = folder.entry("label_dtype", str)
    try:
        label_array(classes, name)
    except ValueError as error:
        raise folder.damaged(f"its classes are wrong: {error}") from None
    if len(set(map(str, classes))) < len(classes):
        raise folder.damaged(f"its classes are wrong: {classes!r:.60} holds one twice")
    return name


def _number(folder: ModelFolder, name: str) -> float:
    value: Any = folder.model.get(name)
    if not is_number(value) or (name == "target_std" and value <= 0):
        raise folder.damaged(
            f"the entry {name!r} of model.json is {value!r:.60}; expected a number"
        )
    return float(value)
