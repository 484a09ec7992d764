"""What ``fit`` of the tabular estimators is given beside the rows: y, weights, what parts them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from pellucid.errors import DataError, SettingsError
from pellucid.tables.by import By, groups_of, time_of
from pellucid.tables.frame import as_table, column_of, labels_of, weights_of
from pellucid.tables.model import has_names
from pellucid.tables.settings import TrainSettings, check_settings_named
from pellucid.tables.table import Table, count


@dataclass
class Given:
    """The arguments of fit but for X; see :meth:`TabularClassifier.fit` for what each is."""

    y: Any
    sample_weight: Any
    X_val: Any
    y_val: Any
    sample_weight_val: Any
    groups: Any
    time: Any
    target: str | None

    def __post_init__(self) -> None:
        if self.target is not None:
            self.target = str(self.target)  # as as_table names columns

    def check(self, settings: TrainSettings) -> None:
        """Refuse what cannot be together, all at once."""
        faults: list[tuple[str, str]] = []
        parting = [name for name in ("groups", "time") if getattr(self, name) is not None]
        if len(parting) == 2:
            faults.append(("groups", "and time are both given; give one of the two."))
        if self.target is not None:
            if self.y is not None:
                faults.append(("target", "names the column of X that is y, but y is given too."))
            faults += [
                (name, f"names the target {self.target!r}.")
                for name in parting
                if isinstance(getattr(self, name), str) and getattr(self, name) == self.target
            ]
        if self.X_val is None:
            faults += [
                (name, "is given, but X_val is not.")
                for name in ("y_val", "sample_weight_val")
                if getattr(self, name) is not None
            ]
        else:
            if self.y_val is None and (self.target is None or not has_names(self.X_val)):
                faults.append(("X_val", "is given, but y_val is not."))
            faults += [
                (name, "splits the rows, but X_val is already split off.") for name in parting
            ]
            if (settings.ensemble or 1) > 1:
                fault = f"is {settings.ensemble}, but with X_val one network is trained."
                faults.append(("ensemble", fault))
        if faults:
            raise SettingsError(*faults)

    def take_target(self, X: Any) -> str:
        """Set y, and that of the validation rows, where a column of X is to be it; return its name.

        What y is called otherwise is its own name, or "y".
        """
        if self.target is None:
            name = getattr(self.y, "name", None)
            return "y" if name is None or callable(name) else str(name)
        self.y = column_of(X, self.target)
        if self.X_val is not None and self.y_val is None:
            self.y_val = column_of(self.X_val, self.target, "X_val")
        return self.target

    def table(self, X: Any, y: Any, name: str, settings: TrainSettings) -> Table:
        """Return the table to learn from: the rows with their target, weights and parting."""
        table = as_table(X, drop={*settings.drop, *([self.target] if self.target else [])})
        table = table.select([each for each in table.columns if each != self.target])
        table = as_table(table, y=y, target=name)
        if self.sample_weight is not None:
            table.weights = weights_of(self.sample_weight, table.m, "sample_weight")
        return replace(table, by=self._by(table, X))

    def _by(self, table: Table, X: Any) -> By | None:
        """What parts the rows that validate from those that train."""
        argument = "groups" if self.time is None else "time"
        given = getattr(self, argument)
        if given is None:
            return None
        named = isinstance(given, str)
        if named:
            check_settings_named({argument: (given,)}, table.columns)
            column = as_table(X, only=[given]).columns[given]
        else:
            column = as_table({argument: given}, source=argument).columns[argument]
        if len(column) != table.m:
            raise DataError(
                f"X has {count(table.m, 'row')} and {argument} has {count(len(column), 'value')}; "
                "expected one value for each row."
            )
        name = given if named else argument
        if argument == "time":
            return time_of(table, name, column)
        return groups_of(table, name, column, is_column=named)


def one_column(estimator: Any, y: Any) -> Any:
    """Return y, of one column as a vector; ValueError where there is none."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    return y


def classes_of(y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the labels, sorted, as they were given, and y as a table holds it."""
    given = np.asarray(y).ravel()
    if given.dtype.kind == "f" and np.isfinite(given).all():
        check_classification_targets(given)
    canonical = labels_of(y)
    values, first = np.unique(canonical, return_index=True)
    as_given = given.dtype.kind in "biufU" or (
        given.dtype == object and canonical.dtype.kind == "U"
    )
    return (given[first] if as_given and len(given) == len(canonical) else values), canonical
