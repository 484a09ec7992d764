"""The hidden space: where a layer puts the examples, and how it bends the plane of the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.views.boundary import Extent, extent_of
from pellucid.tables.table import count
from pellucid.tasks import task_of

MOST_EXAMPLES = 500
MOST_UNITS = 128
"""The largest layer whose main directions are worked out: a few milliseconds."""
LINES, PLACES = 13, 41
"""Lines of the grid each way, and places on each."""

Floats = NDArray[np.floating[Any]]


def hidden(
    experiment: Experiment, layer: int, axes: tuple[int, int] | None
) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Return where A[l] puts the examples on two axes, and what a drawing needs to know of it.

    Parameters
    ----------
    layer : int
        l, from 0 (the inputs themselves) to L.
    axes : (int, int) or None
        Two units of the layer; None: the two main directions of A[l].

    Returns
    -------
    arrays : dict
        ``"points"``, (2, k), of the examples in ``header["examples"]``; for two inputs also
        ``"lines"``, (lines, 2, places): the straight lines of the input plane as the layer bends
        them.
    header : dict
        ``"share"``: of the variance of A[l] that the axes show, None where there is none at all.
        ``"decision"``: (w1, w2, b) where the answer changes on the line w1 a1 + w2 a2 + b = 0,
        else None.

    Raises
    ------
    ValueError
        For the main directions of a layer of one unit, of more than 128, or not finite.
    """
    e = experiment
    chosen = np.unique(np.linspace(0, e.m - 1, min(e.m, MOST_EXAMPLES)).round().astype(int))
    grid = _grid(extent_of(e.X)) if len(e.X) == 2 else np.empty((len(e.X), 0))
    X = np.asfortranarray(np.hstack([e.X[:, chosen], grid]), dtype=np.float32)
    A = propagation.forward(e.network.layers[:layer], X).A[layer].astype(np.float64)
    seen = A[:, : len(chosen)]
    directions, share = _units(seen, axes) if axes else _main_directions(seen, layer)
    centre = np.zeros((len(A), 1)) if axes else seen.mean(axis=1, keepdims=True)
    flat = directions @ (A - centre)
    arrays = {"points": flat[:, : len(chosen)]}
    if grid.size:
        lines = flat[:, len(chosen) :].reshape(2, -1, PLACES)
        arrays["lines"] = np.moveaxis(lines, 1, 0)
    header = {
        "layer": layer,
        "axes": axes,
        "examples": chosen,
        "share": share,
        "decision": _decision(e, layer, axes),
    }
    return arrays, header


def _grid(extent: Extent) -> Floats:
    """Places on the straight lines of a plane, (2, places): line after line."""
    ends = [np.linspace(low, high, LINES) for low, high in extent]
    along = [np.linspace(low, high, PLACES) for low, high in extent]
    upright = np.stack(np.meshgrid(ends[0], along[1], indexing="ij"))
    level = np.stack(np.meshgrid(ends[1], along[0], indexing="ij"))[::-1]
    return np.hstack([upright.reshape(2, -1), level.reshape(2, -1)])


def _units(A: Floats, axes: tuple[int, int]) -> tuple[Floats, float | None]:
    """The directions of two units, (2, n[l]), and their share of the variance."""
    variances = A.var(axis=1)
    total = variances.sum()
    share = float(variances[list(axes)].sum() / total) if total > 0 else None
    return np.eye(len(A))[list(axes)], share


def _main_directions(A: Floats, layer: int) -> tuple[Floats, float | None]:
    """The two directions of the largest variance, (2, n[l]): singular vectors of the covariance.

    Of the two signs of each, the one that makes its largest part positive.
    """
    if not 2 <= len(A) <= MOST_UNITS:
        raise ValueError(
            f"layer {layer} has {count(len(A), 'unit')}; the main directions are those of 2 to "
            f"{MOST_UNITS}. Choose two units as axes."
        )
    if not np.isfinite(A).all():
        raise ValueError(
            f"A[{layer}] is no longer finite, so it has no main directions. Lower the learning "
            "rate, or reset."
        )
    centred = A - A.mean(axis=1, keepdims=True)
    found, variances, _ = np.linalg.svd(centred @ centred.T, hermitian=True)
    directions = found[:, :2].T
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[[0, 1], largest])[:, np.newaxis]
    total = variances.sum()
    return directions, float(variances[:2].sum() / total) if total > 0 else None


def _decision(e: Experiment, layer: int, axes: tuple[int, int] | None) -> list[float] | None:
    """w1, w2 and b of the output, where it decides by the sign of z = w1 a1 + w2 a2 + b."""
    last = e.network.L
    decides = task_of(e.network.layers[-1].activation, e.network.n[last]).name == "binary"
    if axes is None or layer != last - 1 or e.network.n[layer] != 2 or not decides:
        return None
    w = e.network.W[last][0, list(axes)]
    return [*map(float, w), float(e.network.b[last][0, 0])]
