"""Which entries of an unrolled volume or sequence a window sees at each of its places."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Patches:
    """The windows of a size over a volume of ``shape``, whose last axis is the channels.

    n_H[l] = floor((n_H[l-1] + 2p - f) / s) + 1 for each axis but the last.

    Attributes
    ----------
    entries : array of int, (places, f f n_C)
        Which entry of the column stands there, in the order row, column, channel; n, the number of
        entries, where it is padding.
    visits : array of int, (n, most)
        Where each entry stands in the ``entries``, numbered row by row; their number where it
        stands in fewer windows than others.

    Examples
    --------
    >>> patches((4, 1), (3,), (1,), ((0, 0),)).entries
    array([[0, 1, 2],
           [1, 2, 3]])
    """

    entries: NDArray[np.int64]
    visits: NDArray[np.int64]

    def enter(self, A_prev: Array) -> Array:
        """Return (f f n_C, m places): each column a patch of the (n, m) that entered."""
        rows, (n, m) = A_prev.T, A_prev.shape
        if int(self.entries.max()) == n:
            rows = _with_zero(rows)
        return rows[:, self.entries].reshape(m * len(self.entries), -1).T

    def leave(self, dP: Array) -> Array:
        """Return (n, m): for each entry the sum over the patches that it stands in."""
        rows = _with_zero(dP.T.reshape(-1, self.entries.size))
        xp = rows.__array_namespace__()
        return xp.sum(rows[:, self.visits], axis=2).T


def _with_zero(rows: Array) -> Array:
    """The rows with one entry more, 0: what stands for padding."""
    xp = rows.__array_namespace__()
    return xp.concat([rows, xp.zeros((rows.shape[0], 1), dtype=rows.dtype)], axis=1)


@functools.lru_cache(maxsize=64)
def patches(
    shape: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs
) -> Patches:
    """Return the windows; ``padding`` is how much stands before and behind each axis."""
    n, grids = math.prod(shape), []
    for axis, (length, f, s, pads) in enumerate(zip(shape, size, stride, padding, strict=False)):
        places = np.arange(places_along(length, f, s, pads)) * s - pads[0]
        grids.append((axis, places[:, None] + np.arange(f), length))
    n_axes, step = len(grids), n
    dims = [grid.shape for _, grid, _ in grids]
    entries = np.zeros((*(d[0] for d in dims), *(d[1] for d in dims), shape[-1]), np.int64)
    inside = np.ones_like(entries, dtype=bool)
    for axis, grid, length in grids:
        step //= length
        form = [1] * entries.ndim
        form[axis], form[n_axes + axis] = grid.shape
        entries += grid.reshape(form) * step
        inside &= ((grid >= 0) & (grid < length)).reshape(form)
    entries += np.arange(shape[-1])
    entries = np.where(inside, entries, n)
    flat = entries.reshape(math.prod(d[0] for d in dims), -1)
    return Patches(flat, _visits(flat, n))


def _visits(entries: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Where each of n entries stands, a row each, filled up with the number of all."""
    flat = entries.ravel()
    order = np.argsort(flat, kind="stable")
    counts = np.bincount(flat, minlength=n + 1)
    visits = np.full((n, int(counts[:n].max(initial=1))), flat.size, np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    seen = flat[order] < n
    rows = flat[order][seen]
    visits[rows, np.arange(flat.size)[seen] - starts[rows]] = order[seen]
    return visits


def places_along(length: int, f: int, s: int, pads: tuple[int, int]) -> int:
    """Return floor((n + p - f) / s) + 1, p being the padding on both sides; 0 or less: no place."""
    return (length + sum(pads) - f) // s + 1
