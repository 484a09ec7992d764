"""Pictures and sequences: their channels and features, as a table has columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.layers.shapes import by_place, n_places, valid_steps
from pellucid.training.facts.columns import Columns, add_moved, columns_of_values, drift, take_rows

PLACES = 20_000
"""Places of all examples together at which a channel is looked at."""
SAME = 1e-6
"""Means that differ by less than this share of the values are rounding."""

Inputs = tuple[NDArray[Any], Any]
"""X (n[0], m) and the steps of each example that are there, (m,), or None for all."""


def channels_of(inputs: Inputs, shape: tuple[int, ...]) -> Columns:
    """Return the facts of every channel of examples of this shape, at all places that are there.

    >>> channels_of((np.array([[1.0], [50.0], [3.0], [70.0]]), None), (2, 2)).scale
    [2.23606797749979, 60.8276253029822]
    """
    found = columns_of_values(_values(inputs, shape))
    found.word = "feature" if len(shape) == 2 else "channel"
    return found


def compare_channels(
    found: Columns, train: Inputs, held_out: Inputs, shape: tuple[int, ...]
) -> None:
    """Add how the channels of validation examples differ from those of training examples.

    The places of an example are no draws of their own: of each its mean stands for it.
    """
    add_moved(found, *(_values(part, shape) for part in (train, held_out)))
    means = [_means(part, shape) for part in (train, held_out)]
    for each in means:
        each[...] = np.round(each / SAME / np.maximum(found.scale, 1e-300)[:, np.newaxis])
    n = len(found.scale)
    found.drift = [drift(means[0][j], means[1][j], n + 1) for j in range(n)]


def at_places(inputs: Inputs, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the values of each channel, a row each, at all places that are there."""
    X, lengths = inputs
    values: NDArray[Any] = by_place(X, shape[-1])
    return values if lengths is None else values[:, valid_steps(lengths, (shape[0], 1)).T.ravel()]


def _values(inputs: Inputs, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The same with a column for each channel: some of them where there are many."""
    values = at_places(inputs, shape)
    rows = take_rows(values.shape[1], max(PLACES, inputs[0].shape[1]))
    return np.asarray(values[:, rows].T, dtype=np.float64)


def _means(inputs: Inputs, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The mean of each channel in each example, (channels, m)."""
    X, lengths = inputs
    sums = X.T.reshape(X.shape[1], -1, shape[-1]).sum(axis=1, dtype=np.float64).T
    found: NDArray[np.float64] = sums / (n_places(shape) if lengths is None else lengths)
    return found
