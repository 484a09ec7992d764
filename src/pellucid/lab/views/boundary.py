"""What a network, or one of its units, answers over a plane of two inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.lab.session.experiment import Experiment

MARGIN = 0.15
"""What is drawn beyond the examples, as a share of their extent."""

Extent = list[list[float]]


@dataclass(frozen=True)
class View:
    """What is looked at.

    Attributes
    ----------
    size : int
        Cells each way.
    unit : (int, int) or None
        Layer, from 1, and unit, from 0; None: the outputs.
    columns : (int, int)
        The inputs on the two axes; the others are held at their mean.
    """

    size: int = 100
    unit: tuple[int, int] | None = None
    columns: tuple[int, int] = (0, 1)


def extent_of(X: NDArray[Any]) -> Extent:
    """Return the lowest and the highest value of each input, with a margin.

    >>> extent_of(np.array([[0.0, 1.0], [2.0, 2.0]]))
    [[-0.15, 1.15], [1.0, 3.0]]
    """
    low, high = X.min(axis=1).astype(float), X.max(axis=1).astype(float)
    margin = np.where(high > low, MARGIN * (high - low), 1.0)
    return [[float(a), float(b)] for a, b in zip(low - margin, high + margin, strict=True)]


def boundary(experiment: Experiment, view: View) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return the values, (k, rows, columns), and what a drawing needs to know of them.

    Row r counts the second input upwards, column c the first; with one input there is one row.
    The plane is one batch.
    """
    X, shape, header = _plane(experiment, view)
    A = _answers(experiment, X, view.unit)
    return np.ascontiguousarray(A.reshape(-1, *shape), dtype=np.float32), header


def unit_maps(
    experiment: Experiment, view: View, most: int
) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Return the values of the first units of every layer, "A1" to "AL", (units, rows, columns).

    The maps of all units are one pass.
    """
    X, shape, header = _plane(experiment, view)
    network = experiment.network
    A = propagation.forward(network.layers, X).A
    layers = range(1, network.L + 1)
    return {f"A{l}": A[l][:most].reshape(-1, *shape) for l in layers}, header


def _plane(
    experiment: Experiment, view: View
) -> tuple[NDArray[np.float32], tuple[int, int], dict[str, Any]]:
    """The inputs at every place of the plane, (n[0], places), its rows and columns, a header."""
    X, axes = experiment.X, list(view.columns[: len(experiment.X)])
    extent = extent_of(X)
    ticks = (np.arange(view.size) + 0.5) / view.size
    lines = [extent[k][0] + ticks * (extent[k][1] - extent[k][0]) for k in axes]
    grid = np.meshgrid(*lines)
    points = np.empty((len(X), grid[0].size), dtype=np.float32, order="F")
    points[:] = X.mean(axis=1, keepdims=True)
    for k, values in zip(axes, grid, strict=True):
        points[k] = values.ravel()
    header = {"extent": [extent[k] for k in axes], "columns": axes, "unit": view.unit}
    shape = (view.size if len(axes) > 1 else 1, view.size)
    return points, shape, header


def _answers(
    experiment: Experiment, X: NDArray[Any], unit: tuple[int, int] | None
) -> NDArray[np.float32]:
    network = experiment.network
    if unit is None:
        return network.forward(X)
    layer, row = unit
    found: NDArray[np.float32] = propagation.forward(network.layers[:layer], X).A[layer]
    return found[row : row + 1]
