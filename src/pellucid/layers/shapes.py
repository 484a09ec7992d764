"""Volumes and sequences as columns: what is unrolled, and what is padded.

An example of shape (rows, columns, channels) or (steps, features) is one column, unrolled row by
row, as lecture 002 (2.1) unrolls its picture: the last axis runs fastest. A place is a pixel or a
step; :func:`by_place` gives each place a column of its own, with an entry for each channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid._whole import one_operation

Array = Any
Places = tuple[tuple[int, int], ...]
"""From and to, along each axis of places: rows and columns, or steps."""


@one_operation("by_place")
def by_place(A: Array, n: int) -> Array:
    """Return (n, m places) of (places n, m): a column for each place of each example.

    >>> A = np.array([[1, 5], [2, 6], [3, 7], [4, 8]])  # 2 steps of 2 features, 2 examples
    >>> by_place(A, 2)
    array([[1, 3, 5, 7],
           [2, 4, 6, 8]])
    """
    return A if A.shape[0] == n else A.T.reshape(-1, n).T


@one_operation("unrolled")
def unrolled(A: Array, m: int) -> Array:
    """Return (places n, m) of (n, m places): the inverse of :func:`by_place`.

    >>> unrolled(np.array([[1, 3, 5, 7], [2, 4, 6, 8]]), 2).T
    array([[1, 2, 3, 4],
           [5, 6, 7, 8]])
    """
    return A if A.shape[1] == m else A.T.reshape(m, -1).T


def place_by_place(W: Array, P: Array) -> Array:
    """Return W P with the numbers of a place side by side in memory, as P should have them.

    NumPy alone would put those of a unit side by side, and unrolling them would be a copy.
    """
    return np.matmul(W, P, order="F") if isinstance(P, np.ndarray) else W @ P


def over_places(A: Array, n: int) -> Array:
    """Return (n, 1): the sum of (places n, m) over examples and places.

    >>> over_places(np.array([[1, 5], [2, 6], [3, 7], [4, 8]]), 2)
    array([[16],
           [20]])
    """
    xp = A.__array_namespace__()
    total = xp.sum(A, axis=1, keepdims=True)
    return total if total.shape[0] == n else xp.sum(by_place(total, n), axis=1, keepdims=True)


def n_places(shape: tuple[int, ...]) -> int:
    """Return how many places a shape has: (28, 28, 6) has 784, (10,) is one place."""
    return math.prod(shape[:-1])


def around(several: Sequence[Places]) -> Places:
    """Return the smallest range of places that holds all of these.

    >>> around([((2, 3), (0, 4)), ((1, 2), (1, 5))])
    ((1, 3), (0, 5))
    """
    along = zip(*several, strict=True)
    return tuple((min(a for a, _ in each), max(b for _, b in each)) for each in along)


def valid_steps(lengths: Array, shape: tuple[int, ...]) -> Array:
    """Return (n, m): whether each entry of an unrolled sequence belongs to a step that is there.

    >>> valid_steps(np.array([1, 2]), (2, 1))
    array([[ True,  True],
           [False,  True]])
    """
    xp = lengths.__array_namespace__()
    steps = xp.arange(shape[0])[:, None] < lengths[None, :]
    return xp.repeat(steps, math.prod(shape[1:]), axis=0)


@one_operation("held")
def held(A: Array, valid: Array) -> Array:
    """Return A with 0 in the steps that are padding, whatever stands there."""
    xp = A.__array_namespace__()
    return xp.where(valid, A, xp.asarray(0, dtype=A.dtype))
