"""Random numbers: Philox4x32-10, the same in every engine and for any number of threads.

A draw is a pure function of a key (the seed) and a counter, so nothing depends on who draws first::

    four 32-bit words = philox(counter = (element / 4, layer, step, stream), key = seed)

Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.checks import is_whole

WEIGHTS, DROPOUT, ORDER, SPLIT, AUGMENT, WORDS = range(6)
"""The streams: one for each purpose, so that no purpose disturbs another."""

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: NDArray[np.uint32], seed: int) -> NDArray[np.uint32]:
    """Return the four words of each counter: ten rounds of Philox4x32.

    ``counter`` is (4, k), unsigned 32-bit; ``seed`` is 0 to 2^64 - 1. The result is (4, k).

    >>> philox(np.zeros((4, 1), dtype=np.uint32), 0).ravel().tolist()
    [1713891541, 3781805453, 3159862348, 2600524760]
    """
    x0, x1, x2, x3 = counter.astype(np.uint64)
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = _M0 * x0, _M1 * x2
        x0, x1, x2, x3 = (
            (p1 >> _SHIFT) ^ x1 ^ np.uint64(key0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ x3 ^ np.uint64(key1),
            p0 & _LOW,
        )
        key0, key1 = (key0 + _W0) & 0xFFFFFFFF, (key1 + _W1) & 0xFFFFFFFF
    return np.stack([x0, x1, x2, x3]).astype(np.uint32)


def words(
    seed: int, count: int, *, stream: int, layer: int = 0, step: int = 0, start: int = 0
) -> NDArray[np.uint32]:
    """Return ``count`` 32-bit words: those of elements start, start + 1, ..."""
    first, last = start // 4, (start + count + 3) // 4
    counter = np.empty((4, last - first), dtype=np.uint32)
    counter[0] = np.arange(first, last)
    counter[1], counter[2], counter[3] = layer, step & 0xFFFFFFFF, stream
    drawn = philox(counter, seed).T.ravel()
    return drawn[start - 4 * first :][:count]


def of_rows(
    seed: int, rows: NDArray[np.integer[Any]], *, stream: int, layer: int = 0, step: int = 0
) -> NDArray[np.uint32]:
    """Return the four words of each row number, (4, k): those of elements 4 row to 4 row + 3."""
    counter = np.empty((4, len(rows)), dtype=np.uint32)
    counter[0] = rows
    counter[1], counter[2], counter[3] = layer, step & 0xFFFFFFFF, stream
    return philox(counter, seed)


def uniform(seed: int, shape: tuple[int, ...], **where: Any) -> NDArray[np.float64]:
    """Return numbers in (0, 1): (word + 1/2) / 2^32, element by element in C order."""
    count = int(np.prod(shape))
    drawn = words(seed, count, **where).astype(np.float64)
    return ((drawn + 0.5) * 2.0**-32).reshape(shape)


def normal(seed: int, shape: tuple[int, ...], **where: Any) -> NDArray[np.float64]:
    """Return standard normal numbers, by Box and Muller from pairs of words, in C order."""
    count = int(np.prod(shape))
    u = uniform(seed, (count + count % 2,), **where)
    radius, angle = np.sqrt(-2 * np.log(u[0::2])), 2 * np.pi * u[1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.ravel()[:count].reshape(shape)


def permutation(seed: int, count: int, *, step: int = 0, stream: int = ORDER) -> NDArray[np.int64]:
    """Return 0..count-1 shuffled: the stable argsort of one 64-bit draw per row.

    :func:`pellucid.engines.permutation` draws the same in C++ where that is built.

    >>> permutation(0, 5)
    array([4, 3, 2, 0, 1])
    """
    halves = words(seed, 2 * count, stream=stream, step=step).astype(np.uint64)
    return np.argsort(halves[0::2] << _SHIFT | halves[1::2], kind="stable")


def dropout_mask(
    seed: int, n_units: int, m: int, rate: float, *, layer: int, step: int, first: int = 0
) -> NDArray[np.bool_]:
    """Return which units stay, (n_units, m): those whose word is at least rate * 2^32.

    The element of a unit is (position in the mini-batch) * n_units + unit; ``first`` is the
    position of the first of these m examples.
    """
    drawn = words(seed, n_units * m, stream=DROPOUT, layer=layer, step=step, start=first * n_units)
    return (drawn >= round(rate * 2**32)).reshape(m, n_units).T


def check_seed(seed: int | None) -> int:
    """Return the seed, or a fresh one for None; refuse anything but 0 to 2^64 - 1."""
    if seed is None:
        return secrets.randbits(64)
    if not is_whole(seed):
        raise TypeError(f"seed must be an integer or None; got {seed!r}.")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be between 0 and 2^64 - 1; got {seed!r}.")
    return int(seed)
