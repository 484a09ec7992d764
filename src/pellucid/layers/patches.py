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

AT_ONCE = 2**17
"""So many numbers are added up at once: they stay in a core's cache."""


@dataclass(frozen=True, eq=False)
class Patches:
    """The windows of a size over a volume of ``shape``, whose last axis is the channels.

    n_H[l] = floor((n_H[l-1] + 2p - f) / s) + 1 for each axis but the last.

    Attributes
    ----------
    entries : array of int, (places, f f n_C), or with channels apart (f f, n[l])
        Which entry of the column stands there, in the order row, column, channel; n, the number of
        entries, where it is padding.
    visits : array of int, (most, n)
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
        """Return (m, *entries.shape): of each example of (n, m), what the windows see."""
        return _taken(A_prev.T, self.entries)

    def leave(self, dP: Array) -> Array:
        """Return (n, m) of (m, *entries.shape): each entry is the sum over where it stands."""
        rows = dP.reshape(-1, self.entries.size)
        m, some = rows.shape[0], max(1, AT_ONCE // self.visits.size)
        xp = rows.__array_namespace__()
        if m <= some:
            return xp.sum(_taken(rows, self.visits), axis=1).T
        sums = [xp.sum(_taken(rows[k : k + some], self.visits), axis=1) for k in range(0, m, some)]
        return xp.concat(sums, axis=0).T


def _taken(rows: Array, at: NDArray[np.int64]) -> Array:
    """Return (m, *at.shape): what stands at these places in each row, and 0 behind its end."""
    xp, (m, n) = rows.__array_namespace__(), rows.shape
    if int(at.max()) == n:
        rows = xp.concat([rows, xp.zeros((m, 1), dtype=rows.dtype)], axis=1)
    return xp.take(rows, at, axis=1)


@functools.lru_cache(maxsize=64)
def patches(
    shape: tuple[int, ...],
    size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    *,
    apart: bool = False,
) -> Patches:
    """Return the windows; ``padding`` is how much stands before and behind each axis.

    With ``apart=True`` each channel has windows of its own, and ``entries`` is (f f, n[l]): a
    column for each number of the output.

    >>> patches((4, 1), (2,), (2,), ((0, 0),), apart=True).entries
    array([[0, 2],
           [1, 3]])
    """
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
    entries = entries.reshape(math.prod(d[0] for d in dims), -1, shape[-1])
    if apart:
        entries = entries.swapaxes(0, 1)
    flat = np.ascontiguousarray(entries).reshape(len(entries), -1)
    return Patches(flat, _visits(flat, n))


def _visits(entries: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Where each of n entries stands, a column each, filled up with the number of all."""
    flat = entries.ravel()
    order = np.argsort(flat, kind="stable")
    counts = np.bincount(flat, minlength=n + 1)
    visits = np.full((int(counts[:n].max(initial=1)), n), flat.size, np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    seen = flat[order] < n
    columns = flat[order][seen]
    visits[np.arange(flat.size)[seen] - starts[columns], columns] = order[seen]
    return visits


def places_along(length: int, f: int, s: int, pads: tuple[int, int]) -> int:
    """Return floor((n + p - f) / s) + 1, p being the padding on both sides; 0 or less: no place."""
    return (length + sum(pads) - f) // s + 1
