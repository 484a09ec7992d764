"""Explain: how much each column of a table adds to a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pellucid._shown import plain
from pellucid.insight.jacobian import integrated_gradients

if TYPE_CHECKING:
    from pellucid.tables.model import TableModel

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """What :func:`explain` returns, for m rows.

    Attributes
    ----------
    columns : list of str
        The user's own columns.
    contributions : array of shape (m, columns)
        What each adds to ``value``; over the columns they add up to ``value - start``.
    value : array of shape (m,)
        The prediction: the probability of ``of``, or the number.
    start : float or array of shape (m,)
        The same for the row that nothing is known of: every number at its median, no category.
    of : list
        The class whose probability it is; empty for numbers.
    """

    columns: list[str]
    contributions: Floats
    value: Floats
    start: Floats
    of: list[Any]

    def importance(self) -> dict[str, float]:
        """Return the mean size of each column's contribution, the largest first."""
        sizes = np.abs(self.contributions).mean(axis=0).tolist()
        pairs = zip(self.columns, sizes, strict=True)
        return dict(sorted(pairs, key=lambda pair: -pair[1]))

    def row(self, row: int) -> dict[str, float]:
        """Return the contributions to one row's prediction, the largest first."""
        if not isinstance(row, Integral) or row not in range(len(self.value)):
            raise ValueError(f"row must be 0 to {len(self.value) - 1}; got {plain(row)!r}.")
        pairs = zip(self.columns, self.contributions[row].tolist(), strict=True)
        return dict(sorted(pairs, key=lambda pair: -abs(pair[1])))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "columns": self.columns,
            "contributions": self.contributions.tolist(),
            "value": self.value.tolist(),
            "start": self.start.tolist(),
            "of": list(self.of),
        }


def explain(model: Any, rows: Any, *, of: Any = None) -> Explanation:
    """Return how much each column adds to the prediction of each row, by integrated gradients.

    From the row that nothing is known of to the row itself, the derivatives of the prediction by
    the networks' inputs are summed up, and the inputs of one column are added together. What
    stands out is what the model uses, not what causes the target. Sundararajan, Taly, Yan 2017,
    arXiv:1703.01365.

    Parameters
    ----------
    model : TabularClassifier, TabularRegressor or TableModel
    rows : data frame, dict of columns, 2-D array or Table
    of : label or None
        The class whose probability is explained; None takes the one predicted for each row.

    Raises
    ------
    TypeError
        For anything but a fitted model of a table.
    ValueError
        For a class that the model does not know.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import TabularRegressor
    >>> x = np.linspace(-1, 1, 200)
    >>> rows = {"size": x, "weight": np.cos(57 * x), "noise": np.cos(31 * x)}
    >>> y = 3 * rows["size"] + rows["weight"]
    >>> model = TabularRegressor((16,), epochs=40, ensemble=1).fit(rows, y)
    >>> list(explain(model, rows).importance())
    ['size', 'weight', 'noise']
    """
    model = _table_model(model)
    with threadpool_limits(1, "blas"):  # products so small lose by being shared
        return _explained_by_columns(model, model.inputs(rows), of)


def _explained_by_columns(model: TableModel, Z: NDArray[Any], of: Any) -> Explanation:
    kinds = model.preprocessing.output_columns
    columns = list(model.preprocessing.columns)
    numbers = _explained(model, Z, of)
    parts = _mean_parts(model, Z, numbers)
    contributions = np.zeros((len(Z), len(columns)))
    place = {name: k for k, name in enumerate(columns)}
    for j, name in enumerate(kinds):
        contributions[:, place[name]] += parts[j]
    value, start = (_values(model, each, numbers) for each in (Z, np.zeros_like(Z)))
    labels = [] if numbers is None else model.labels()[numbers].tolist()
    return Explanation(columns, contributions, value, start, labels)


def _table_model(model: Any) -> TableModel:
    from pellucid.tables.model import TableModel

    found = getattr(model, "model_", model)
    if not isinstance(found, TableModel):
        fitted = " It is not fitted." if hasattr(type(model), "fit") else ""
        raise TypeError(
            "explain takes a fitted TabularClassifier or TabularRegressor, or what load_predictor "
            f"returns; got {model!r}.{fitted} For a network: insight.integrated_gradients or "
            "insight.saliency."
        )
    return found


def _explained(model: TableModel, Z: NDArray[Any], of: Any) -> NDArray[np.int64] | None:
    """The number of the class that is explained for each row."""
    if model.task == "regression":
        if of is not None:
            raise ValueError(f"{model.target!r} is a number and has no classes; leave of out.")
        return None
    if of is None:
        return model.class_numbers(model.probabilities(Z))
    if of not in model.classes:
        known = ", ".join(map(repr, model.classes[:8]))
        raise ValueError(f"{of!r} is no class of {model.target!r}; its classes are {known}.")
    return np.full(len(Z), model.classes.index(of), dtype=np.int64)


def _mean_parts(model: TableModel, Z: NDArray[Any], numbers: NDArray[np.int64] | None) -> Floats:
    """The attributions to the inputs, (n[0], m): the mean over the networks."""
    multiclass = model.task == "multiclass"
    outputs: Any = numbers if multiclass else 0
    total = np.zeros(Z.T.shape)
    for network in model.networks:
        total += integrated_gradients(network, Z.T, outputs)
    total /= len(model.networks)
    if model.task == "binary":  # the output is the probability of the second class
        total *= np.where(numbers == 1, 1.0, -1.0)
    return total * model.target_std if model.task == "regression" else total


def _values(model: TableModel, Z: NDArray[Any], numbers: NDArray[np.int64] | None) -> Floats:
    """The predictions that are explained."""
    if numbers is None:
        return np.asarray(model.answers(Z), dtype=np.float64)
    return model.probabilities(Z)[np.arange(len(Z)), numbers]
