"""Dropout: A = A_prev * mask."""

from __future__ import annotations

from collections.abc import Iterator

from pellucid._shown import plain
from pellucid.checks import is_number
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.shapes import Places


class Dropout(Layer):
    """A = A_prev * mask: at each step of training some numbers are left out.

    The mask is 0 for those and 1 / (1 - rate) for the others, so that the mean stays;
    dA_prev = dA * mask. Without training nothing is left out. It has no parameters and no Z, so it
    belongs to the layer before it. ``Dense(..., dropout=rate)`` does the same to its own units;
    this layer also stands behind a pool or a norm, or before all others. Srivastava et al. 2014.

    Parameters
    ----------
    rate : float
        The share that is left out, 0 to below 1.

    Raises
    ------
    ValueError
        For a rate that cannot be; by the network where two layers of one l drop units, as the mask
        depends on (seed, l, step, example, unit) and would be the same.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Dropout(0.5).build((2,))
    >>> layer.forward(np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([[2.0, 0.0], [2.0, 2.0]]))[0]
    array([[ 6.,  0.],
           [10., 12.]])
    """

    name = "dropout"
    each_step = True

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not is_number(rate) or not 0 <= rate < 1:
            raise ValueError(
                f"Dropout: rate must be at least 0 and below 1; got {plain(rate)!r:.60}."
            )
        self.rate = self.dropout = float(rate)

    @classmethod
    def examples(cls) -> Iterator[tuple[Dropout, tuple[int, ...]]]:
        yield cls(0.4), (5,)
        yield cls(0.2), (3, 2)
        yield cls(0.0), (2, 2, 2)

    def field(self, places: Places) -> Places:
        return places

    @property
    def fan_in(self) -> int | None:
        return 1

    def forward(self, A_prev: Array, mask: Array = None) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        output = A_prev if mask is None else A_prev * mask
        return output, LayerCache(A_prev, output, mask=mask)

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, dict[str, Array]]:
        self.check_gradient(dA, cache)
        if not inputs:
            return None, {}
        return dA if cache.mask is None else dA * cache.mask, {}
