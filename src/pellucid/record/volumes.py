"""Volumes and sequences as they were before they were unrolled: a picture for each channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.layers.shapes import n_places, unrolled


@dataclass(frozen=True)
class Volume:
    """What a column of an array is unrolled of.

    Attributes
    ----------
    shape : tuple of int
        (rows, columns, channels), or (steps, features).
    channel : str
        What the last axis of three counts.
    column : str
        What a column is: an example.
    by_row : bool
        Whether a row is unrolled instead, as a filter in W is.
    lengths : tuple of int or None
        How many steps of each example are there; those behind them are no numbers.
    """

    shape: tuple[int, ...]
    channel: str = "channel"
    column: str = "example"
    by_row: bool = False
    lengths: tuple[int, ...] | None = None

    def fits(self, values: NDArray[Any]) -> bool:
        """Return whether the columns are unrolled of this shape, or its places stand apart."""
        if values.ndim != 2:
            return False
        n, m = values.shape[::-1] if self.by_row else values.shape
        return n == math.prod(self.shape) or (
            not self.by_row and n == self.shape[-1] and m % n_places(self.shape) == 0
        )


@dataclass(frozen=True)
class Picture:
    """Numbers as they lie beside and below each other; NaN is a place without one."""

    values: NDArray[Any]
    label: str = ""


def pictures(values: NDArray[Any], volume: Volume) -> list[Picture]:
    """Return one channel of one example after the other; a sequence runs from left to right.

    >>> [each.values.tolist() for each in pictures(np.arange(4).reshape(4, 1), Volume((2, 2, 1)))]
    [[[0, 1], [2, 3]]]
    >>> pictures(np.arange(8).reshape(8, 1), Volume((2, 2, 2)))[1].label
    'channel 1'
    """
    if volume.by_row:
        values = values.T
    elif len(values) != math.prod(volume.shape):
        values = unrolled(values, values.shape[1] // n_places(volume.shape))
    found, m = [], values.shape[1]
    for number, each in enumerate(values.T.reshape(m, *volume.shape)):
        whose = [f"{volume.column} {number}"] if m > 1 else []
        if each.ndim == 2:
            if volume.lengths is not None:
                there = np.arange(len(each)) < volume.lengths[number]
                each = np.where(there[:, None], each, np.nan)
            found.append(Picture(each.T, *whose))
            continue
        for channel in range(each.shape[-1]):
            which = [f"{volume.channel} {channel}"] if each.shape[-1] > 1 else []
            found.append(Picture(each[:, :, channel], ", ".join([*whose, *which])))
    return found
